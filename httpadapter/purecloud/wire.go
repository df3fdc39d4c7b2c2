package purecloud

import (
	"strconv"
	"time"

	"github.com/usagebook/usagebook/httpadapter"
)

// write answers with rows, and with cursors where pages were asked for.
func (p *plan) write(c *httpadapter.Call, rows []*row, paged bool, before, after string) error {
	return c.Stream(200, httpadapter.JSONType, func(out *httpadapter.Stream) error {
		if err := out.Append(func(b []byte) []byte { return append(b, `{"results":[`...) }); err != nil {
			return err
		}
		if err := out.List(len(rows), func(b []byte, i int) []byte { return p.appendRow(b, rows[i]) }); err != nil {
			return err
		}
		return out.Append(func(b []byte) []byte {
			b = append(b, `],"queryStatus":"Complete"`...)
			if paged {
				b = appendCursors(append(b, `,"cursors":`...), before, after)
			}
			return append(b, '}')
		})
	})
}

func (p *plan) appendRow(b []byte, r *row) []byte {
	next := byte('{')
	for _, f := range p.Fields {
		if r.texts[f].ok {
			b = append(append(append(b, next, '"'), fieldNames[f]...), `":`...)
			b = httpadapter.AppendString(b, r.texts[f].value)
			next = ','
		}
	}
	for _, f := range p.Figures {
		b = append(append(append(b, next, '"'), figureNames[f]...), `":`...)
		b = strconv.AppendInt(b, r.figures[f], 10)
		next = ','
	}
	if p.Date != undated {
		b = appendDate(append(append(b, next), `"date":`...), r.date)
		next = ','
	}
	if next == '{' {
		b = append(b, '{')
	}
	return append(b, '}')
}

// appendDate writes a date as documented: with a fraction of milliseconds, or of
// microseconds where these are not enough, only where there is one.
func appendDate(b []byte, t time.Time) []byte {
	layout := "2006-01-02T15:04:05Z"
	switch us := t.Nanosecond() / 1000; {
	case us%1000 != 0:
		layout = "2006-01-02T15:04:05.000000Z"
	case us != 0:
		layout = "2006-01-02T15:04:05.000Z"
	}
	return httpadapter.AppendTime(b, t, layout)
}

// appendCursors writes the places of a page: before is that of its own first
// row, after that of the next page's. The first and the last page lack one.
func appendCursors(b []byte, before, after string) []byte {
	next := byte('{')
	for _, f := range []httpadapter.Figure{{Name: "before", Value: before}, {Name: "after", Value: after}} {
		if f.Value != "" {
			b = append(append(append(b, next, '"'), f.Name...), `":`...)
			b = httpadapter.AppendString(b, f.Value)
			next = ','
		}
	}
	if next == '{' {
		b = append(b, '{')
	}
	return append(b, '}')
}
