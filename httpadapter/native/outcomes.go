package native

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/usagebook/usagebook/usage"
)

// AppendOutcomes appends the answer to a batch that was judged and returns the
// extended slice:
//
//	{"inserted":1,"duplicates":0,"conflicts":0,"rejected":1,"outcomes":[
//	 {"index":0,"outcome":"inserted"},
//	 {"index":1,"outcome":"rejected","violations":[{"code":"required","field":"start","message":"is required"}]}]}
//
// compact, in this order, without a line end. There is an outcome for each
// record, in the order of the records; violations are there where there is one.
// The count "withheld" stands behind "rejected" if a batch that was to be booked
// wholly or not at all has innocent records that were not booked. <, > and & are
// not escaped. A nil receipt is one of no records. [WriteOutcomes] does not hold
// all of it in memory.
func AppendOutcomes(dst []byte, receipt *usage.Receipt) []byte {
	out := outcomes{buf: dst}
	_ = out.write(receipt) // to no writer, which cannot fail
	return out.buf
}

// WriteOutcomes writes what [AppendOutcomes] appends, in pieces of some 32 KiB:
// what is said of ten thousand records with sixteen violations each is long. The
// error is one of w, which has a part of the text then.
func WriteOutcomes(w io.Writer, receipt *usage.Receipt) error {
	n := 0
	if receipt != nil {
		n = len(receipt.Entries)
	}
	out := outcomes{w: w, buf: make([]byte, 0, min(rowChunk+4<<10, 96+48*n))}
	if err := out.write(receipt); err != nil {
		return fmt.Errorf("native: outcomes: %w", err)
	}
	return nil
}

// outcomes collects an answer, all of it where there is no writer.
type outcomes struct {
	w   io.Writer
	buf []byte
}

func (o *outcomes) write(receipt *usage.Receipt) error {
	if receipt == nil {
		receipt = &usage.Receipt{}
	}
	count := func(name string, n int) {
		o.buf = strconv.AppendInt(append(o.buf, name...), int64(n), 10)
	}
	count(`{"inserted":`, receipt.Inserted)
	count(`,"duplicates":`, receipt.Duplicates)
	count(`,"conflicts":`, receipt.Conflicts)
	count(`,"rejected":`, receipt.Rejected)
	if receipt.Withheld > 0 {
		count(`,"withheld":`, receipt.Withheld)
	}
	o.buf = append(o.buf, `,"outcomes":[`...)
	for i := range receipt.Entries {
		e := &receipt.Entries[i]
		if i > 0 {
			o.buf = append(o.buf, ',')
		}
		count(`{"index":`, i)
		o.buf = append(append(append(o.buf, `,"outcome":"`...), e.Outcome.String()...), '"')
		if len(e.Violations) > 0 {
			o.buf = appendViolations(append(o.buf, `,"violations":`...), e.Violations)
		}
		o.buf = append(o.buf, '}')
		if len(o.buf) >= rowChunk {
			if err := o.flush(); err != nil {
				return err
			}
		}
	}
	o.buf = append(o.buf, ']', '}')
	return o.flush()
}

func (o *outcomes) flush() error {
	if o.w == nil {
		return nil
	}
	_, err := o.w.Write(o.buf)
	o.buf = o.buf[:0]
	return err
}

// appendViolations appends a list of violations.
func appendViolations(dst []byte, list []usage.Violation) []byte {
	dst = append(dst, '[')
	for i := range list {
		v := &list[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(append(dst, `{"code":`...), valid(v.Code))
		dst = appendText(append(dst, `,"field":`...), valid(v.Field))
		dst = appendText(append(dst, `,"message":`...), valid(v.Message))
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// valid returns s as UTF-8, which nearly every text is already.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\ufffd")
}

// appendText appends a string of JSON. Bytes that are not UTF-8 stay as they
// are.
func appendText[T string | []byte](dst []byte, s T) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		}
	}
	return append(append(dst, s[from:]...), '"')
}
