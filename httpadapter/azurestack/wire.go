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
	for i := range rows {
		err := out.Append(func(dst []byte) []byte {
			if i > 0 {
				dst = append(dst, ',')
			}
			return e.row(dst, &rows[i])
		})
		if err != nil {
			return err
		}
	}
	return out.Append(func(dst []byte) []byte {
		dst = append(dst, ']')
		if link != "" {
			dst = httpadapter.AppendString(append(dst, `,"nextLink":`...), link)
		}
		return append(dst, '}')
	})
}

// encoder writes rows.
type encoder struct {
	namespace string
	bucket    time.Duration
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
	dst = append(append(dst, e.namespace...), `/UsageAggregate","properties":{"subscriptionId":`...)
	dst = httpadapter.AppendString(dst, s)
	start := time.UnixMicro(r.start)
	dst = httpadapter.AppendTime(append(dst, `,"usageStartTime":`...), start, instant)
	dst = httpadapter.AppendTime(append(dst, `,"usageEndTime":`...), start.Add(e.bucket), instant)
	e.scratch = appendInstance(e.scratch[:0], r)
	dst = httpadapter.AppendString(append(dst, `,"instanceData":`...), string(e.scratch))
	dst = httpadapter.AppendFixed(append(dst, `,"quantity":`...), r.sum, 10)
	dst = httpadapter.AppendString(append(dst, `,"meterId":`...), meter)
	return append(dst, "}}"...)
}

// appendInstance appends the document that instanceData holds as a string.
func appendInstance(dst []byte, r *row) []byte {
	dst = append(dst, `{"Microsoft.Resources":{"resourceUri":`...)
	dst = appendText(dst, r.fields[resourceURI])
	dst = append(dst, `,"location":`...)
	dst = appendText(dst, r.fields[location])
	dst = append(dst, `,"tags":`...)
	dst = appendJSON(dst, r.fields[tags])
	dst = append(dst, `,"additionalInfo":`...)
	dst = appendJSON(dst, r.fields[additionalInfo])
	return append(dst, "}}"...)
}

func appendText(dst []byte, t text) []byte {
	if !t.ok {
		return append(dst, "null"...)
	}
	return httpadapter.AppendString(dst, t.s)
}

// appendJSON appends a text that is JSON as it is, and any other as a string.
func appendJSON(dst []byte, t text) []byte {
	if t.ok && json.Valid([]byte(t.s)) {
		return append(dst, t.s...)
	}
	return appendText(dst, t)
}

// appendInner appends what a JSON string has between its quotes.
func appendInner(dst []byte, s string) []byte {
	n := len(dst)
	dst = httpadapter.AppendString(dst, s)
	copy(dst[n:], dst[n+1:])
	return dst[:len(dst)-2]
}
