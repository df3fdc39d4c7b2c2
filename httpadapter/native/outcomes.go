package native

import (
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
// not escaped. A nil receipt is one of no records.
func AppendOutcomes(dst []byte, receipt *usage.Receipt) []byte {
	if receipt == nil {
		receipt = &usage.Receipt{}
	}
	count := func(name string, n int) {
		dst = strconv.AppendInt(append(dst, name...), int64(n), 10)
	}
	count(`{"inserted":`, receipt.Inserted)
	count(`,"duplicates":`, receipt.Duplicates)
	count(`,"conflicts":`, receipt.Conflicts)
	count(`,"rejected":`, receipt.Rejected)
	if receipt.Withheld > 0 {
		count(`,"withheld":`, receipt.Withheld)
	}
	dst = append(dst, `,"outcomes":[`...)
	for i := range receipt.Entries {
		e := &receipt.Entries[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		count(`{"index":`, i)
		dst = append(append(append(dst, `,"outcome":"`...), e.Outcome.String()...), '"')
		if len(e.Violations) > 0 {
			dst = appendViolations(append(dst, `,"violations":`...), e.Violations)
		}
		dst = append(dst, '}')
	}
	return append(dst, ']', '}')
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
