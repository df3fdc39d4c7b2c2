package usage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits of a record, the same in every store.
const (
	maxIDBytes        = 256
	maxNameBytes      = 128
	maxDimensionBytes = 4 << 10
	maxDimensions     = 64
	maxValues         = 32
	maxJSONDepth      = 32
)

// The instants that a record may carry: years 1 to 9999. The very first instant
// is Go's zero time, which means "not given".
var (
	minTime = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	maxTime = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)

	minSeconds, maxSeconds = minTime.Unix(), maxTime.Unix()
)

// printable reports whether a text is nothing but printable ASCII, which nearly all
// are, eight bytes at a time. What is not so is not wrong yet.
func printable(s string) bool {
	const ones = 0x0101010101010101
	for len(s) >= 8 {
		w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		// The top bit of a byte is set where the text has one that is above 0x7f,
		// below a space, or a delete.
		if (w|(w-0x20*ones)|((w^0x7f*ones)-ones))&(0x80*ones) != 0 {
			return false
		}
		s = s[8:]
	}
	for i := range len(s) {
		if s[i]-0x20 >= 0x7f-0x20 {
			return false
		}
	}
	return true
}

// checkText returns what is wrong with an id or a name, or nil.
func checkText(field, s string, most int) *Violation {
	if s != "" && len(s) <= most && printable(s) {
		return nil
	}
	return textFault(field, s, most)
}

// textFault is checkText for a text that is not all printable ASCII.
func textFault(field, s string, most int) *Violation {
	switch {
	case s == "":
		return &Violation{Code: CodeRequired, Field: field, Message: "is required"}
	case len(s) > most:
		return &Violation{Code: CodeTooLong, Field: field, Message: fmt.Sprintf("has %d bytes, at most %d are allowed", len(s), most)}
	}
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c < 0x20 || c == 0x7f {
				return &Violation{Code: CodeCharacters, Field: field, Message: fmt.Sprintf("has the control character %#02x at byte %d", c, i)}
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			return &Violation{Code: CodeCharacters, Field: field, Message: fmt.Sprintf("is not valid UTF-8 at byte %d", i)}
		}
		if r >= 0x80 && r < 0xa0 {
			return &Violation{Code: CodeCharacters, Field: field, Message: fmt.Sprintf("has the control character %U at byte %d", r, i)}
		}
		i += n
	}
	return nil
}

// micro cuts an instant to the microsecond towards the past and drops its zone
// and its monotonic reading, so that equal instants are equal values.
//
// An instant outside the years that the book holds is left as it is: it has no
// number of microseconds, and whoever checks the range has to see it.
func micro(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	if outside(t) {
		return t.UTC()
	}
	return time.Unix(t.Unix(), int64(t.Nanosecond()/1000*1000)).UTC()
}

// ceilMicro is micro towards the future, for the bounds of ranges: an instant
// of the book is before t exactly when it is before ceilMicro(t).
func ceilMicro(t time.Time) time.Time {
	cut := micro(t)
	if cut.Before(t) {
		cut = cut.Add(time.Microsecond)
	}
	return cut
}

func outside(t time.Time) bool { return t.Unix() < minSeconds || t.Unix() >= maxSeconds }

// normalize returns the canonical form of a record with everything that is
// wrong with its shape, and with its meter's declaration.
func (b *Book) normalize(in *Record) Entry {
	var e Entry
	b.normalizeInto(&e, in)
	return e
}

// normalizeInto is normalize into an entry that may have been used before:
// entries are large, and copying each cost as much as looking at it.
func (b *Book) normalizeInto(e *Entry, in *Record) {
	if len(in.faults) > 0 {
		*e = b.normalizeFaulty(in)
		return
	}
	*e = Entry{Record: *in}
	r := &e.Record
	e.note(checkText("tenant", r.Tenant, maxNameBytes))
	e.note(checkText("source", r.Source, maxIDBytes))
	e.note(checkText("id", r.ID, maxIDBytes))
	e.Anonymous = len(e.Violations) > 0

	if r.Corrects != nil && !e.normalizeCorrection() {
		return
	}
	e.note(checkText("meter", r.Meter, maxNameBytes))
	e.note(normalizeTimes(r))
	e.Violations = append(e.Violations, checkValues(r.Values)...)
	r.Values.faults = nil
	m := b.catalogue.byName[r.Meter]
	e.Violations = append(e.Violations, normalizeDimensions(m, r)...)
	e.Malformed = len(e.Violations) > 0
	if m != nil {
		e.Violations = append(e.Violations, m.check(r)...)
	}
}

func (e *Entry) note(v *Violation) {
	if v != nil {
		e.Violations = append(e.Violations, *v)
	}
}

// normalizeCorrection looks at what a record corrects, and reports false when
// that is all there is to look at.
func (e *Entry) normalizeCorrection() bool {
	r := &e.Record
	c := *r.Corrects
	r.Corrects = &c
	switch {
	case c.Kind != Void && c.Kind != Replace:
		e.note(&Violation{Code: CodeCorrection, Field: "corrects", Message: fmt.Sprintf("unknown kind of correction %d, allowed are Void and Replace", c.Kind)})
	case c.Source == r.Source && c.ID == r.ID:
		e.note(&Violation{Code: CodeCorrection, Field: "corrects", Message: "a record cannot correct itself"})
	}
	e.note(checkText("corrects.source", c.Source, maxIDBytes))
	e.note(checkText("corrects.id", c.ID, maxIDBytes))
	if c.Kind != Void {
		return true
	}
	if r.Meter != "" || !r.Start.IsZero() || !r.End.IsZero() || r.Values.Len() > 0 || len(r.Values.faults) > 0 || r.Dimensions.Len() > 0 {
		e.note(&Violation{Code: CodeVoidContent, Field: "corrects", Message: "a void carries no meter, start, end, values or dimensions; use a replace to put other content in its target's place"})
	}
	e.Malformed = len(e.Violations) > 0
	return false
}

func normalizeTimes(r *Record) *Violation {
	r.Start, r.End = micro(r.Start), micro(r.End)
	outOfRange := func(field string, t time.Time) *Violation {
		if outside(t) {
			return &Violation{Code: CodeOutOfRange, Field: field, Message: "is outside the years 1 to 9999"}
		}
		return nil
	}
	if r.Start.IsZero() {
		return &Violation{Code: CodeRequired, Field: "start", Message: "is required"}
	}
	if v := outOfRange("start", r.Start); v != nil {
		return v
	}
	if r.End.IsZero() {
		return nil
	}
	if v := outOfRange("end", r.End); v != nil {
		return v
	}
	switch r.End.Compare(r.Start) {
	case 0:
		r.End = time.Time{} // an interval of no length is an instant
	case -1:
		return &Violation{Code: CodeEndBeforeStart, Field: "end",
			Message: fmt.Sprintf("%s is before the start %s", r.End.Format(time.RFC3339Nano), r.Start.Format(time.RFC3339Nano))}
	}
	return nil
}

func checkValues(v Values) []Violation {
	if len(v.list) == 1 && len(v.faults) == 0 && checkText("", v.list[0].Name, maxNameBytes) == nil {
		return nil
	}
	var out []Violation
	if len(v.list) == 0 && len(v.faults) == 0 {
		return []Violation{{Code: CodeRequired, Field: "values", Message: "at least one value is required"}}
	}
	if n := len(v.list); n > maxValues {
		out = append(out, Violation{Code: CodeTooMany, Field: "values", Message: fmt.Sprintf("has %d values, at most %d are allowed", n, maxValues)})
	}
	for _, f := range v.faults {
		out = append(out, Violation{Code: f.code, Field: "values." + shortName(f.name), Message: f.message})
	}
	for i := range v.list {
		if i > 0 && v.list[i].Name == v.list[i-1].Name {
			out = append(out, Violation{Code: CodeDuplicate, Field: "values." + shortName(v.list[i].Name), Message: "the value is given twice"})
			continue
		}
		if x := checkText("values", v.list[i].Name, maxNameBytes); x != nil {
			x.Message = "the name " + quoted(v.list[i].Name) + " " + x.Message
			out = append(out, *x)
		}
	}
	return out
}

// shortName cuts a name from outside to what fits the field of a violation.
func shortName(s string) string {
	if len(s) > maxNameBytes {
		return strings.ToValidUTF8(s[:maxNameBytes], "") + "..."
	}
	return strings.ToValidUTF8(s, "")
}

func normalizeDimensions(m *Meter, r *Record) []Violation {
	var out []Violation
	d := r.Dimensions
	if n := len(d.list); n > maxDimensions {
		out = append(out, Violation{Code: CodeTooMany, Field: "dimensions", Message: fmt.Sprintf("has %d dimensions, at most %d are allowed", n, maxDimensions)})
	}
	copied := false
	for i := range d.list {
		name, value := d.list[i].Name, d.list[i].Value
		if m == nil && name != "" && len(name) <= maxNameBytes && len(value) <= maxDimensionBytes && printable(name) && printable(value) &&
			(i == 0 || name != d.list[i-1].Name) {
			continue
		}
		if i > 0 && name == d.list[i-1].Name {
			out = append(out, Violation{Code: CodeDuplicate, Field: "dimensions." + shortName(name), Message: "the dimension is given twice"})
			continue
		}
		if x := checkText("dimensions", name, maxNameBytes); x != nil {
			x.Message = "the name " + quoted(name) + " " + x.Message
			out = append(out, *x)
			continue
		}
		field := "dimensions." + name
		switch {
		case len(value) > maxDimensionBytes:
			out = append(out, Violation{Code: CodeTooLong, Field: field, Message: fmt.Sprintf("has %d bytes, at most %d are allowed", len(value), maxDimensionBytes)})
			continue
		case !utf8.ValidString(value):
			out = append(out, Violation{Code: CodeCharacters, Field: field, Message: "is not valid UTF-8"})
			continue
		case strings.IndexByte(value, 0) >= 0:
			out = append(out, Violation{Code: CodeCharacters, Field: field, Message: "has a NUL character"})
			continue
		}
		if m == nil {
			continue
		}
		declared := m.jsonDimension(name)
		if declared == nil {
			continue
		}
		text, err := CanonicalJSON(value)
		if err != nil && declared.AnyText {
			continue
		}
		if err != nil {
			out = append(out, Violation{Code: CodeSyntax, Field: field, Message: err.Error()})
			continue
		}
		if len(text) > maxDimensionBytes {
			out = append(out, Violation{Code: CodeTooLong, Field: field, Message: fmt.Sprintf("has %d bytes in canonical form, at most %d are allowed", len(text), maxDimensionBytes)})
			continue
		}
		if text != value {
			if !copied {
				d.list = slices.Clone(d.list)
				copied = true
			}
			d.list[i].Value = text
		}
	}
	r.Dimensions = d
	return out
}

// jsonDimension returns the declaration of a JSON dimension, nil for others.
func (m *Meter) jsonDimension(name string) *MeterDimension {
	for i := range m.Dimensions {
		if d := &m.Dimensions[i]; d.JSON && (d.Name == name || slices.Contains(d.Aliases, name)) {
			return d
		}
	}
	return nil
}

// check holds a record against the declaration of its meter.
func (m *Meter) check(r *Record) []Violation {
	var out []Violation
	for _, v := range r.Values.list {
		i := slices.IndexFunc(m.Values, func(d MeterValue) bool { return d.Name == v.Name || slices.Contains(d.Aliases, v.Name) })
		if i < 0 {
			if m.Closed {
				out = append(out, Violation{Code: CodeUndeclared, Field: "values." + v.Name, Message: "the meter " + quoted(m.Name) + " declares no such value and is closed"})
			}
			continue
		}
		decl := &m.Values[i]
		most := decl.MaxScale
		if (decl.Integer || most > 0) && int(v.Number.Scale()) > most {
			out = append(out, Violation{Code: CodeScale, Field: "values." + v.Name,
				Message: fmt.Sprintf("%s has %d decimal places, the meter %s allows %d", v.Number, v.Number.Scale(), quoted(m.Name), most)})
		}
		if v.Name != decl.Name {
			if _, both := r.Values.Number(decl.Name); both {
				out = append(out, Violation{Code: CodeAlias, Field: "values." + v.Name, Message: "is a former name of " + quoted(decl.Name) + ", which is given too"})
			}
		}
	}
	for _, d := range r.Dimensions.list {
		i := slices.IndexFunc(m.Dimensions, func(x MeterDimension) bool { return x.Name == d.Name || slices.Contains(x.Aliases, d.Name) })
		if i < 0 {
			if m.Closed {
				out = append(out, Violation{Code: CodeUndeclared, Field: "dimensions." + d.Name, Message: "the meter " + quoted(m.Name) + " declares no such dimension and is closed"})
			}
			continue
		}
		if now := m.Dimensions[i].Name; now != d.Name {
			if _, both := r.Dimensions.Get(now); both {
				out = append(out, Violation{Code: CodeAlias, Field: "dimensions." + d.Name, Message: "is a former name of " + quoted(now) + ", which is given too"})
			}
		}
	}
	return out
}

// CanonicalJSON rewrites a JSON text with sorted keys, without insignificant
// space and with one spelling of each string, so that equal content is equal
// text. Numbers keep their digits as they are. A text that nests deeper than 32
// levels, names a key twice, escapes half of a surrogate pair or is no JSON at
// all is an error.
func CanonicalJSON(text string) (string, error) {
	// The decoder would put one replacement character for every half of a
	// surrogate pair, and so make different texts equal.
	if at := loneSurrogate(text); at >= 0 {
		return "", fmt.Errorf("is no JSON that the book takes: half of a surrogate pair (at byte %d)", at)
	}
	// Depth is bounded as the tokens come; the decoder itself does not recurse.
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var buf bytes.Buffer
	if err := canonicalValue(dec, &buf, 0); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("unexpected end")
		}
		return "", fmt.Errorf("is no JSON that the book takes: %w (at byte %d)", err, dec.InputOffset())
	}
	if _, err := dec.Token(); err != io.EOF {
		return "", fmt.Errorf("is no JSON that the book takes: text after the value (at byte %d)", dec.InputOffset())
	}
	return buf.String(), nil
}

func canonicalValue(dec *json.Decoder, out *bytes.Buffer, depth int) error {
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	switch t := tok.(type) {
	case json.Delim:
		if depth == maxJSONDepth {
			return fmt.Errorf("deeper than %d levels", maxJSONDepth)
		}
		if t == '[' {
			out.WriteByte('[')
			for i := 0; dec.More(); i++ {
				if i > 0 {
					out.WriteByte(',')
				}
				if err := canonicalValue(dec, out, depth+1); err != nil {
					return err
				}
			}
			out.WriteByte(']')
			_, err = dec.Token()
			return err
		}
		return canonicalObject(dec, out, depth)
	case string:
		return writeJSONString(out, t)
	case json.Number:
		out.WriteString(t.String())
	case bool:
		fmt.Fprint(out, t)
	case nil:
		out.WriteString("null")
	}
	return nil
}

func canonicalObject(dec *json.Decoder, out *bytes.Buffer, depth int) error {
	type member struct{ key, text string }
	var members []member
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return err
		}
		key, ok := tok.(string)
		if !ok {
			return fmt.Errorf("a key that is no string")
		}
		var value bytes.Buffer
		if err := canonicalValue(dec, &value, depth+1); err != nil {
			return err
		}
		members = append(members, member{key, value.String()})
	}
	if _, err := dec.Token(); err != nil {
		return err
	}
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.key, b.key) })
	out.WriteByte('{')
	for i, m := range members {
		if i > 0 {
			if m.key == members[i-1].key {
				return fmt.Errorf("the key %s is given twice", quoted(m.key))
			}
			out.WriteByte(',')
		}
		if err := writeJSONString(out, m.key); err != nil {
			return err
		}
		out.WriteByte(':')
		out.WriteString(m.text)
	}
	out.WriteByte('}')
	return nil
}

func writeJSONString(out *bytes.Buffer, s string) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return err
	}
	out.Truncate(out.Len() - 1) // the newline that Encode adds
	return nil
}

// loneSurrogate returns the place of an escape \uD800 to \uDFFF that is not one
// half of a pair, or -1.
func loneSurrogate(text string) int {
	unit := func(i int) (rune, bool) {
		if i+6 > len(text) || text[i] != '\\' || text[i+1] != 'u' {
			return 0, false
		}
		n, err := strconv.ParseUint(text[i+2:i+6], 16, 16)
		return rune(n), err == nil
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		r, ok := unit(i)
		if !ok || !utf16.IsSurrogate(r) {
			i++ // what is escaped is no backslash that begins another escape
			continue
		}
		next, ok := unit(i + 6)
		if !ok || utf16.DecodeRune(r, next) == utf8.RuneError {
			return i
		}
		i += 11
	}
	return -1
}
