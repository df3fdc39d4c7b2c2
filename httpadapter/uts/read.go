package uts

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/httpadapter"
)

const (
	// maxUsages is the documented limit of one request, over all users.
	maxUsages = 200
	// maxTenant and maxText are what the book takes of a tenant and of a
	// dimension, in bytes.
	maxTenant = 128
	maxText   = 4 << 10
)

// reader walks a body that is JSON. It goes on after a fault, of which it keeps
// the first, because the number of usages decides before everything else.
type reader struct {
	data   []byte
	pos    int
	path   []byte // of the value that is being read
	fault  *httpadapter.Problem
	count  int    // usages seen
	usages []item // those of them up to maxUsages, while there is no fault
}

// newReader checks that a body is JSON. What nests deeper than a document may
// is passed over and not descended into, so depth costs nothing.
func newReader(body []byte) (*reader, error) {
	if !utf8.Valid(body) {
		return nil, &httpadapter.Problem{Kind: httpadapter.Invalid, Code: invalidProperty, Message: "The body is not UTF-8."}
	}
	if !json.Valid(body) {
		var raw json.RawMessage
		message := "The body is not JSON."
		var syntax *json.SyntaxError
		if err := json.Unmarshal(body, &raw); errors.As(err, &syntax) {
			message = fmt.Sprintf("The body is not JSON: %s, at byte %d.", syntax, syntax.Offset)
		}
		return nil, &httpadapter.Problem{Kind: httpadapter.Invalid, Code: invalidProperty, Message: message}
	}
	return &reader{data: body}, nil
}

// result returns the usages, or what is wrong: first that they are too many.
func (r *reader) result() ([]item, error) {
	if r.count > maxUsages {
		return nil, &httpadapter.Problem{Kind: httpadapter.TooLarge, Message: fmt.Sprintf("%d usages in one request, at most %d are allowed.", r.count, maxUsages),
			Figures: []httpadapter.Figure{{Name: "max", Value: strconv.Itoa(maxUsages)}, {Name: "actual", Value: strconv.Itoa(r.count)}}}
	}
	if r.fault != nil {
		return nil, r.fault
	}
	return r.usages, nil
}

// note keeps a fault of the value at the path, if it is the first.
func (r *reader) note(code, format string, args ...any) {
	if r.fault != nil {
		return
	}
	what := string(r.path)
	p := &httpadapter.Problem{Kind: httpadapter.Invalid, Code: code, Field: what}
	if what == "" {
		what = "The body"
	} else {
		p.Figures = []httpadapter.Figure{{Name: "property", Value: what}}
	}
	p.Message = what + " " + fmt.Sprintf(format, args...) + "."
	r.fault = p
}

func (r *reader) missing() { r.note(missingProperty, "is missing or empty") }

// in does something with the path made longer.
func (r *reader) in(name string, do func()) {
	n := len(r.path)
	if n > 0 && !strings.HasPrefix(name, "[") {
		r.path = append(r.path, '.')
	}
	r.path = append(r.path, name...)
	do()
	r.path = r.path[:n]
}

func (r *reader) peek() byte {
	for r.data[r.pos] <= ' ' {
		r.pos++
	}
	return r.data[r.pos]
}

// object reads an object with some documented keys: read is called for the value
// of each that is not null, in the order of the text. A required one that does
// not come is missing.
func (r *reader) object(keys []string, required int, read func(key int)) {
	if r.peek() != '{' {
		r.wrong("an object")
		return
	}
	r.pos++
	var seen, given uint
	for r.peek() != '}' {
		if r.data[r.pos] == ',' {
			r.pos++
			r.peek()
		}
		name, ok := r.string()
		r.peek() // the colon
		r.pos++
		i := slices.Index(keys, name)
		switch {
		case !ok || i < 0:
			r.in(clip(name), func() { r.note(invalidProperty, "is no documented property") })
			r.skip()
			continue
		case seen&(1<<i) != 0:
			r.in(name, func() { r.note(invalidProperty, "is given twice") })
		}
		seen |= 1 << i
		if r.peek() == 'n' {
			r.skip()
			continue
		}
		given |= 1 << i
		r.in(name, func() { read(i) })
	}
	r.pos++
	for i, name := range keys[:required] {
		if given&(1<<i) == 0 {
			r.in(name, r.missing)
		}
	}
}

// array reads an array that must not be empty.
func (r *reader) array(read func()) {
	if r.peek() != '[' {
		r.wrong("an array")
		return
	}
	r.pos++
	n := 0
	for ; r.peek() != ']'; n++ {
		if r.data[r.pos] == ',' {
			r.pos++
			r.peek()
		}
		r.in("["+strconv.Itoa(n)+"]", read)
	}
	r.pos++
	if n == 0 {
		r.missing()
	}
}

// text reads a text of at most some bytes, without NUL. Where it is required,
// an empty one is missing.
func (r *reader) text(most int, required bool) string {
	if r.peek() != '"' {
		r.wrong("a text")
		return ""
	}
	s, ok := r.string()
	switch {
	case !ok:
		r.note(invalidProperty, "has half of a surrogate pair")
	case s == "" && required:
		r.missing()
	case len(s) > most:
		r.note(invalidProperty, "has %d bytes, at most %d are allowed", len(s), most)
	case strings.IndexByte(s, 0) >= 0:
		r.note(invalidProperty, "has a NUL character")
	}
	return s
}

// tenant reads the name of a tenant.
func (r *reader) tenant() string {
	s := r.text(maxTenant, true)
	if strings.ContainsFunc(s, func(c rune) bool { return c < 0x20 || c >= 0x7f && c < 0xa0 }) {
		r.note(invalidProperty, "has a control character")
	}
	return s
}

// number reads a number, exactly.
func (r *reader) number() aggregate.Number {
	if c := r.peek(); c != '-' && !isDigit(c) {
		r.wrong("a number")
		return aggregate.Number{}
	}
	from := r.pos
	r.skip()
	n, err := aggregate.ParseNumberBytes(r.data[from:r.pos])
	if err != nil {
		r.note(invalidProperty, "is %s, which has more than %d digits before or %d after the point", clip(string(r.data[from:r.pos])), aggregate.MaxIntegerDigits, aggregate.MaxScale)
	}
	return n
}

// wrong notes that the value is of another type, and passes over it.
func (r *reader) wrong(want string) {
	got := "a number"
	switch r.data[r.pos] {
	case '{':
		got = "an object"
	case '[':
		got = "an array"
	case '"':
		got = "a text"
	case 't', 'f':
		got = "true or false"
	case 'n':
		got = "null"
	}
	r.note(invalidProperty, "is %s and has to be %s", got, want)
	r.skip()
}

// skip passes over a value.
func (r *reader) skip() {
	depth := 0
	for {
		switch c := r.peek(); c {
		case '{', '[':
			depth++
			r.pos++
		case '}', ']':
			depth--
			r.pos++
		case ',', ':':
			r.pos++
			continue // a value follows
		case '"':
			r.passString()
		default:
			for r.pos < len(r.data) && !strings.ContainsRune(",]}: \t\r\n", rune(r.data[r.pos])) {
				r.pos++
			}
		}
		if depth == 0 {
			return
		}
	}
}

// passString passes over a string and reports whether it has escapes.
func (r *reader) passString() (escaped bool) {
	for r.pos++; r.data[r.pos] != '"'; r.pos++ {
		if r.data[r.pos] == '\\' {
			escaped = true
			r.pos++
		}
	}
	r.pos++
	return escaped
}

// string reads a string; ok is false where an escape is half of a surrogate
// pair, which no text of the book can hold.
func (r *reader) string() (s string, ok bool) {
	r.peek()
	from := r.pos + 1
	escaped := r.passString()
	raw := r.data[from : r.pos-1]
	if !escaped {
		return string(raw), true
	}
	out := make([]byte, 0, len(raw))
	ok = true
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			continue
		}
		i++
		switch raw[i] {
		case 'n':
			out = append(out, '\n')
		case 't':
			out = append(out, '\t')
		case 'r':
			out = append(out, '\r')
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'u':
			c := hex4(raw[i+1:])
			i += 4
			if utf16.IsSurrogate(c) {
				next := rune(-1)
				if i+6 < len(raw) && raw[i+1] == '\\' && raw[i+2] == 'u' {
					next = hex4(raw[i+3:])
				}
				if c = utf16.DecodeRune(c, next); c == utf8.RuneError {
					ok = false
				} else {
					i += 6
				}
			}
			out = utf8.AppendRune(out, c)
		default: // quote, slash, backslash
			out = append(out, raw[i])
		}
	}
	return string(out), ok
}

// hex4 is the number that four hexadecimal digits are.
func hex4(b []byte) (n rune) {
	for _, c := range b[:4] {
		n <<= 4
		switch {
		case c <= '9':
			n |= rune(c - '0')
		default:
			n |= rune(c|0x20-'a') + 10
		}
	}
	return n
}
