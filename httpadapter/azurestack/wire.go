package azurestack

import (
	"encoding/json"
	"time"

	"github.com/usagebook/usagebook/httpadapter"
)

// instant is how the API writes instants.
const instant = "2006-01-02T15:04:05-07:00"

// writePage writes the documented body.
func writePage(out *httpadapter.Stream, r *request, rows []row, link string) error {
	e := encoder{namespace: r.namespace, bucket: r.bucket()}
	if err := out.Append(func(dst []byte) []byte { return append(dst, `{"value":[`...) }); err != nil {
		return err
	}
	if err := out.List(len(rows), func(dst []byte, i int) []byte { return e.row(dst, &rows[i]) }); err != nil {
		return err
	}
	return out.Append(func(dst []byte) []byte {
		dst = append(dst, ']')
		if link != "" {
			dst = httpadapter.AppendString(append(dst, `,"nextLink":`...), link)
		}
		return append(dst, '}')
	})
}

// encoder writes rows. It keeps what neighbours have in common.
type encoder struct {
	namespace string
	bucket    time.Duration
	start     int64 // of times
	times     []byte
	scratch   []byte
}

func (e *encoder) row(dst []byte, r *row) []byte {
	s, meter := r.fields[subscriptionID].s, r.fields[meterID].s
	dst = append(dst, `{"id":"/subscriptions/`...)
	dst = appendInner(dst, s)
	dst = append(append(append(dst, `/providers/`...), e.namespace...), `/UsageAggregate/`...)
	from := len(dst)
	dst = append(appendInner(dst, s), '-')
	dst = appendInner(dst, meter)
	to := len(dst)
	dst = append(append(append(dst, `","name":"`...), dst[from:to]...), `","type":"`...)
	dst = append(append(dst, e.namespace...), `/UsageAggregate","properties":{"subscriptionId":"`...)
	dst = appendInner(dst, s)
	if e.times == nil || e.start != r.start {
		e.start = r.start
		start := time.UnixMicro(r.start)
		e.times = httpadapter.AppendTime(append(e.times[:0], `","usageStartTime":`...), start, instant)
		e.times = httpadapter.AppendTime(append(e.times, `,"usageEndTime":`...), start.Add(e.bucket), instant)
		e.times = append(e.times, `,"instanceData":"{\"Microsoft.Resources\":{\"resourceUri\":`...)
	}
	// instanceData is a document in a string, so what is in it is escaped twice.
	dst = append(dst, e.times...)
	dst = e.text(dst, r.fields[resourceURI])
	dst = e.text(append(dst, `,\"location\":`...), r.fields[location])
	dst = e.json(append(dst, `,\"tags\":`...), r.fields[tags])
	dst = e.json(append(dst, `,\"additionalInfo\":`...), r.fields[additionalInfo])
	dst = httpadapter.AppendFixed(append(dst, `}}","quantity":`...), r.sum, 10)
	dst = appendInner(append(dst, `,"meterId":"`...), meter)
	return append(dst, `"}}`...)
}

// text appends a string of the document within the string, or null.
func (e *encoder) text(dst []byte, t text) []byte {
	switch {
	case !t.ok:
		return append(dst, "null"...)
	case plain(t.s):
		return append(append(append(dst, `\"`...), t.s...), `\"`...)
	}
	e.scratch = httpadapter.AppendString(e.scratch[:0], t.s)
	return appendInner(dst, string(e.scratch))
}

// json appends a text that is JSON as it is, and any other as a string.
func (e *encoder) json(dst []byte, t text) []byte {
	if !t.ok {
		return append(dst, "null"...)
	}
	if e.scratch = append(e.scratch[:0], t.s...); json.Valid(e.scratch) {
		return appendInner(dst, t.s)
	}
	return e.text(dst, t)
}

// appendInner appends what a JSON string has between its quotes.
func appendInner(dst []byte, s string) []byte {
	if plain(s) {
		return append(dst, s...)
	}
	n := len(dst)
	dst = httpadapter.AppendString(dst, s)
	copy(dst[n:], dst[n+1:])
	return dst[:len(dst)-2]
}

// plain reports whether a text is the same within a JSON string: ASCII without
// control characters, quotes and backslashes. It looks at eight bytes at a time.
func plain(s string) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; len(s) >= 8; s = s[8:] {
		v := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		quote, slash := v^ones*'"', v^ones*'\\'
		if (v|(v-ones*' ')|(quote-ones)|(slash-ones))&tops != 0 {
			return false
		}
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x80 || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
