package uts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/usage"
)

const (
	// maxUsages is the documented limit of one request, over all users.
	maxUsages = 200
	// maxTenant and maxText are what the book takes of a tenant and of a
	// dimension, in bytes.
	maxTenant = 128
	maxText   = 4 << 10
)

// reader reads a body in a single pass, without recursion below the documented
// levels. It goes on after a fault, of which it keeps the first, because the
// number of usages decides before everything else; its errors are about a body
// that is no JSON, and decide before that.
type reader struct {
	usage.JSONScanner
	texts  usage.JSONTexts
	path   []step // of the value that is being read
	fault  *httpadapter.Problem
	count  int    // usages seen
	usages []item // those of them up to maxUsages, while there is no fault

	// What the usages that are being read belong to. Both are complete only when
	// their objects have ended.
	owner *owner
	place *place
}

// step is a key of an object, or an index of an array where there is no name.
type step struct {
	name  string
	index int
}

// read reads a whole body.
func read(body []byte, document func(*reader) error) ([]item, error) {
	if !utf8.Valid(body) {
		return nil, &httpadapter.Problem{Kind: httpadapter.Invalid, Code: invalidProperty, Message: "The body is not UTF-8."}
	}
	r := &reader{JSONScanner: usage.JSONScanner{Data: body}, texts: usage.JSONTexts{Size: len(body)}, path: make([]step, 0, 8),
		usages: make([]item, 0, min(maxUsages, len(body)/leastUsage+1))}
	err := document(r)
	if err == nil {
		err = r.End()
	}
	if err != nil {
		return nil, notJSON(body, err)
	}
	return r.result()
}

// leastUsage is about the length of a usage in a document.
const leastUsage = 50

// notJSON says what is wrong with a body that is no JSON, in the words of
// encoding/json.
func notJSON(body []byte, err error) error {
	var raw json.RawMessage
	var syntax *json.SyntaxError
	message := fmt.Sprintf("The body is not JSON: %s.", err)
	if err := json.Unmarshal(body, &raw); errors.As(err, &syntax) {
		message = fmt.Sprintf("The body is not JSON: %s, at byte %d.", syntax, syntax.Offset)
	}
	return &httpadapter.Problem{Kind: httpadapter.Invalid, Code: invalidProperty, Message: message}
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

// note keeps a fault of the value at the path, if it is the first. What follows
// the path names a value below it.
func (r *reader) note(code, message string, below ...string) {
	if r.fault != nil {
		return
	}
	var path []byte
	name := func(s string) {
		if len(path) > 0 {
			path = append(path, '.')
		}
		path = append(path, s...)
	}
	for _, s := range r.path {
		if s.name == "" {
			path = append(strconv.AppendInt(append(path, '['), int64(s.index), 10), ']')
			continue
		}
		name(s.name)
	}
	for _, s := range below {
		name(s)
	}
	what := string(path)
	p := &httpadapter.Problem{Kind: httpadapter.Invalid, Code: code, Field: what}
	if what == "" {
		what = "The body"
	} else {
		p.Figures = []httpadapter.Figure{{Name: "property", Value: what}}
	}
	p.Message = what + " " + message + "."
	r.fault = p
}

// missing notes that a value is missing: the one at the path, or one below it.
func (r *reader) missing(below ...string) { r.note(missingProperty, "is missing or empty", below...) }

// keys are the documented keys of an object, those that are required first.
type keys struct {
	names    []string
	members  []string // the names as they stand before a value
	required int
}

func newKeys(required int, names ...string) *keys {
	k := &keys{names: names, required: required}
	for _, name := range names {
		k.members = append(k.members, `"`+name+`":`)
	}
	return k
}

// object reads an object with some documented keys: read is called for the value
// of each that is not null, in the order of the text. A required one that does
// not come is missing.
func (r *reader) object(k *keys, read func(key int) error) error {
	if r.Peek() != '{' {
		return r.wrong("an object")
	}
	r.Pos++
	var seen, given uint
	i := -1
	for first := true; ; first = false {
		// Mostly they come as documented.
		if i++; i >= len(k.names) || !r.Ahead(first, k.members[i]) {
			key, _, done, err := r.Key(first)
			if err != nil {
				return err
			}
			if done {
				break
			}
			if i = slices.IndexFunc(k.names, func(name string) bool { return name == string(key) }); i < 0 {
				r.note(invalidProperty, "is no documented property", clip(string(key)))
				if _, err := r.Skip(); err != nil {
					return err
				}
				continue
			}
		}
		if seen&(1<<i) != 0 {
			r.note(invalidProperty, "is given twice", k.names[i])
		}
		seen |= 1 << i
		if r.Peek() == 'n' {
			if err := r.Literal(); err != nil {
				return err
			}
			continue
		}
		given |= 1 << i
		r.path = append(r.path, step{name: k.names[i]})
		if err := read(i); err != nil {
			return err
		}
		r.path = r.path[:len(r.path)-1]
	}
	for i, name := range k.names[:k.required] {
		if given&(1<<i) == 0 {
			r.missing(name)
		}
	}
	return nil
}

// array reads an array that must not be empty.
func (r *reader) array(read func() error) error {
	if r.Peek() != '[' {
		return r.wrong("an array")
	}
	r.Pos++
	for n := 0; ; n++ {
		more, err := r.Item(n == 0)
		if err != nil {
			return err
		}
		if !more {
			if n == 0 {
				r.missing()
			}
			return nil
		}
		r.path = append(r.path, step{index: n})
		if err := read(); err != nil {
			return err
		}
		r.path = r.path[:len(r.path)-1]
	}
}

// bytes reads a text of at most some bytes, without NUL, which is good until the
// next is read. Where it is required, an empty one is missing.
func (r *reader) bytes(most int, required bool) ([]byte, error) {
	if r.Peek() != '"' {
		return nil, r.wrong("a text")
	}
	s, broken, err := r.String()
	switch {
	case err != nil:
	case broken:
		// No text of the book can hold it.
		r.note(invalidProperty, "has half of a surrogate pair")
	case len(s) == 0 && required:
		r.missing()
	case len(s) > most:
		r.note(invalidProperty, fmt.Sprintf("has %d bytes, at most %d are allowed", len(s), most))
	case bytes.IndexByte(s, 0) >= 0:
		r.note(invalidProperty, "has a NUL character")
	}
	return s, err
}

// text is bytes for a text that other usages are likely to share.
func (r *reader) text(to *string, required bool) error {
	s, err := r.bytes(maxText, required)
	*to = r.texts.Intern(s)
	return err
}

// tenant reads the name of a tenant.
func (r *reader) tenant(to *string) error {
	s, err := r.bytes(maxTenant, true)
	if bytes.ContainsFunc(s, func(c rune) bool { return c < 0x20 || c >= 0x7f && c < 0xa0 }) {
		r.note(invalidProperty, "has a control character")
	}
	*to = r.texts.Intern(s)
	return err
}

// instant reads an instant.
func (r *reader) instant(to *time.Time) error {
	s, err := r.bytes(maxText, true)
	if err != nil {
		return err
	}
	t, ok := parseInstant(string(s))
	if *to = t; !ok {
		r.note(invalidProperty, fmt.Sprintf("is %q, which is no instant such as 2026-01-05T08:00:00Z", clip(string(s))))
	}
	return nil
}

// number reads a number, exactly.
func (r *reader) number(to *aggregate.Number, integer bool) error {
	if c := r.Peek(); c != '-' && !isDigit(c) {
		return r.wrong("a number")
	}
	text, err := r.Number()
	if err != nil {
		return err
	}
	n, err := aggregate.ParseNumberBytes(text)
	switch *to = n; {
	case err != nil:
		r.note(invalidProperty, fmt.Sprintf("is %s, which has more than %d digits before or %d after the point", clip(string(text)), aggregate.MaxIntegerDigits, aggregate.MaxScale))
	case integer && n.Scale() > 0:
		r.note(invalidProperty, fmt.Sprintf("is %s and has to be a whole number", clip(n.String())))
	}
	return nil
}

// wrong notes that the value is of another type, and passes over it.
func (r *reader) wrong(want string) error {
	v, err := r.Skip()
	if err != nil {
		return err
	}
	got := "a number"
	switch v.Kind {
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
	r.note(invalidProperty, "is "+got+" and has to be "+want)
	return nil
}
