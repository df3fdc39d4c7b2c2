package native

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/usagebook/usagebook/usage"
)

// lines reads NDJSON. Each line is decoded on its own: joined into one array,
// two lines that are no JSON could make a record together.
func (d *decoding) lines(body []byte) ([]usage.Record, error) {
	records := []usage.Record{}
	for pos, line := 0, 1; pos < len(body); line++ {
		text, _, _ := bytes.Cut(body[pos:], []byte{'\n'})
		from := pos
		pos += len(text) + 1
		text = bytes.Trim(text, jsonSpace)
		if len(text) == 0 {
			continue
		}
		if len(records) == d.records {
			return nil, d.tooMany(from, line)
		}
		records = append(records, d.line(text, line))
	}
	return records, nil
}

func (d *decoding) line(text []byte, line int) usage.Record {
	r, err := usage.DecodeRecord(text)
	if err != nil {
		message := err.Error()
		code := usage.CodeSyntax
		var e *usage.DecodeError
		if errors.As(err, &e) {
			message = fmt.Sprintf("byte %d: %s", e.Offset, e.Message)
		}
		if errors.Is(err, usage.ErrTooLarge) {
			code = usage.CodeTooLong
		}
		return usage.Record{}.WithFault("record", code, fmt.Sprintf("line %d, %s", line, message))
	}
	if len(text) > d.recordBytes || d.depth < defaultDepth {
		d.bound(&r, len(text), depthOf(text))
	}
	return r
}
