package partnercenter

import (
	"strconv"

	"github.com/usagebook/usagebook/httpadapter"
)

// dateLayout is a usageDate: the midnight of a day, without zone.
const dateLayout = "2006-01-02T15:04:05"

// write answers a page.
func (q *request) write(c *httpadapter.Call, lines []*line, next string, total int64) error {
	return c.Stream(200, httpadapter.JSONType, func(out *httpadapter.Stream) error {
		if err := out.Append(func(b []byte) []byte { return append(b, `{"Value":[`...) }); err != nil {
			return err
		}
		if err := out.List(len(lines), func(b []byte, i int) []byte { return q.appendLine(b, lines[i]) }); err != nil {
			return err
		}
		return out.Append(func(b []byte) []byte {
			if b = append(b, `],"@nextLink":`...); next == "" {
				b = append(b, "null"...)
			} else {
				b = httpadapter.AppendString(b, next)
			}
			return append(strconv.AppendInt(append(b, `,"TotalCount":`...), total, 10), '}')
		})
	})
}

func (q *request) appendLine(b []byte, l *line) []byte {
	b = append(b, '{')
	for _, f := range q.fields {
		b = append(append(append(b, '"'), names[f]...), `":`...)
		if f == usageDate {
			b = httpadapter.AppendTime(b, l.date, dateLayout)
		} else {
			b = httpadapter.AppendString(b, l.texts[f])
		}
		b = append(b, ',')
	}
	b = append(b, `"quantity":`...)
	return append(httpadapter.AppendDecimal(b, l.quantity), '}')
}
