package usage

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// decoder reads records from JSON text in a single pass, without reflection and
// without recursion. Its methods come in two kinds: those that return an error
// found that the text is no JSON; what is wrong with one field goes into the
// record as a fault.
type decoder struct {
	data []byte
	pos  int

	// Where the decoder is, for errors: the record, its field and the member
	// of that field.
	index         int
	field, member string

	escaped   []byte   // the last string that had escapes
	brokenKey bool     // the last key has half of a surrogate pair
	nesting   []uint64 // a bit for each open bracket of a skipped value: 1 is {

	// Of the record that is being read, in the order of the text.
	values     []valueSlot
	short      valueSlot // the key "quantity"
	dimensions []dimensionSlot

	// Memory that the records of a batch share. Chunks are small, so that a
	// record that is kept does not keep much else.
	interned       *internTable // nil for a single record
	text           strings.Builder
	valueChunk     []Value
	dimensionChunk []Dimension
}

const (
	textChunk      = 4 << 10
	valuesChunk    = 64
	dimensionChunk = 128
)

// internTable holds strings that were met before, so that a tenant or a region
// is copied once and not once per record. A later string takes the place of an
// earlier one of the same hash.
type internTable [512]string

const maxInterned = 64

// intern returns b as a string that records are likely to share.
func (d *decoder) intern(b []byte) string {
	n := len(b)
	if d.interned == nil || n > maxInterned {
		return d.keep(b)
	}
	var h uint64
	switch {
	case n >= 8:
		h = binary.LittleEndian.Uint64(b) ^ bits.RotateLeft64(binary.LittleEndian.Uint64(b[n-8:]), 23)
	case n >= 4:
		h = uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint32(b[n-4:]))<<32
	case n > 0:
		h = uint64(b[0]) | uint64(b[n/2])<<8 | uint64(b[n-1])<<16
	default:
		return ""
	}
	h = (h ^ uint64(n)) * 0x9e3779b97f4a7c15
	slot := &d.interned[h>>55]
	if *slot != string(b) {
		*slot = d.keep(b)
	}
	return *slot
}

// keep copies b to the batch's own memory.
func (d *decoder) keep(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if len(b) > d.text.Cap()-d.text.Len() {
		if len(b) > textChunk/4 {
			return string(b)
		}
		d.text = strings.Builder{}
		d.text.Grow(max(len(b), min(textChunk, len(d.data)/2)))
	}
	at := d.text.Len()
	d.text.Write(b)
	return d.text.String()[at:]
}

func (d *decoder) fail(offset int, message string) error {
	field := d.field
	if d.member != "" {
		field += "." + shortName(d.member)
	}
	return &DecodeError{Offset: offset, Index: d.index, Field: field, Message: message}
}

// unexpected is the error for the byte at the present place.
func (d *decoder) unexpected(expected string) error {
	found := "the end of the text"
	if d.pos < len(d.data) {
		r, n := utf8.DecodeRune(d.data[d.pos:])
		if r == utf8.RuneError && n == 1 {
			found = fmt.Sprintf("the byte %#02x", d.data[d.pos])
		} else {
			found = fmt.Sprintf("%q", r)
		}
		if r == '\ufeff' {
			found = "a byte order mark"
		}
	}
	return d.fail(d.pos, "expected "+expected+", found "+found)
}

func (d *decoder) size(most int) error {
	if len(d.data) > most {
		return &DecodeError{Offset: most, Index: -1, Message: fmt.Sprintf("the text has %d bytes, at most %d are read", len(d.data), most), tooLarge: true}
	}
	return nil
}

// end sees that nothing but space is left.
func (d *decoder) end() error {
	d.field, d.member = "", ""
	if d.peek(); d.pos < len(d.data) {
		return d.unexpected("the end of the text")
	}
	return nil
}

// peek skips space and returns the next byte, which is not consumed; 0, which
// begins no JSON value, at the end.
func (d *decoder) peek() byte {
	for i := d.pos; i < len(d.data); i++ {
		if c := d.data[i]; c > ' ' || c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			d.pos = i
			return c
		}
	}
	d.pos = len(d.data)
	return 0
}

// key reads the next key of an object and the colon behind it. The first call
// comes behind the opening brace; done tells that the object is closed. The key
// is good until the next string is read.
func (d *decoder) key(first bool) (key []byte, done bool, err error) {
	c := d.peek()
	if c == '}' {
		d.pos++
		return nil, true, nil
	}
	if !first {
		if c != ',' {
			return nil, false, d.unexpected("a comma or }")
		}
		d.pos++
		c = d.peek()
	}
	if c != '"' {
		return nil, false, d.unexpected("a key in double quotes")
	}
	key, d.brokenKey, err = d.string()
	if err != nil {
		return nil, false, err
	}
	if d.peek() != ':' {
		return nil, false, d.unexpected("a colon")
	}
	d.pos++
	return key, false, nil
}

// plain marks the bytes that stand for themselves in a string.
var plain = func() (t [256]bool) {
	for c := ' '; c < 256; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// string reads the string at the present place. The bytes are the text's own
// or, where there are escapes, good until the next string is read. broken
// reports half of a surrogate pair, which was read as U+FFFD. The text is not
// checked for being UTF-8.
func (d *decoder) string() (s []byte, broken bool, err error) {
	start := d.pos + 1
	i := start
	for i < len(d.data) && plain[d.data[i]] {
		i++
	}
	if i < len(d.data) && d.data[i] == '"' {
		d.pos = i + 1
		return d.data[start:i], false, nil
	}
	out := append(d.escaped[:0], d.data[start:i]...)
	for i < len(d.data) {
		switch c := d.data[i]; {
		case c == '"':
			d.pos = i + 1
			d.escaped = out
			return out, broken, nil
		case c == '\\':
			r, n := unescape(d.data[i:])
			if n == 0 {
				d.pos = i
				return nil, false, d.fail(i, `unknown escape in a string, allowed are \" \\ \/ \b \f \n \r \t and \u with four hexadecimal digits`)
			}
			if r < 0 {
				broken, r = true, utf8.RuneError
			}
			out = utf8.AppendRune(out, r)
			i += n
		case c < ' ':
			d.pos = i
			return nil, false, d.fail(i, fmt.Sprintf(`the control character %#02x in a string, write it as \u%04x`, c, c))
		default:
			out = append(out, c)
			i++
		}
	}
	d.pos = i
	return nil, false, d.unexpected("the closing quote of a string")
}

// unescape reads the escape that b begins with. n is 0 if it is none; r is -1
// for half of a surrogate pair.
func unescape(b []byte) (r rune, n int) {
	if len(b) < 2 {
		return 0, 0
	}
	switch b[1] {
	case '"', '\\', '/':
		return rune(b[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
	default:
		return 0, 0
	}
	r, ok := hex4(b[2:])
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(b) >= 8 && b[6] == '\\' && b[7] == 'u' {
		if low, ok := hex4(b[8:]); ok {
			if full := utf16.DecodeRune(r, low); full != utf8.RuneError {
				return full, 12
			}
		}
	}
	return -1, 6
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// number reads the JSON number at the present place and returns its text.
func (d *decoder) number() ([]byte, error) {
	b, start := d.data, d.pos
	i := start
	digits := func() bool {
		from := i
		for i < len(b) && b[i]-'0' <= 9 {
			i++
		}
		d.pos = i
		return i > from
	}
	if b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
		d.pos = i
	} else if !digits() {
		return nil, d.unexpected("a digit")
	}
	if i < len(b) && b[i] == '.' {
		i++
		if !digits() {
			return nil, d.unexpected("a digit behind the point")
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if !digits() {
			return nil, d.unexpected("a digit of the exponent")
		}
	}
	return b[start:i], nil
}

// literal reads null, true or false.
func (d *decoder) literal() error {
	for _, word := range [...]string{"null", "true", "false"} {
		if len(d.data)-d.pos >= len(word) && string(d.data[d.pos:d.pos+len(word)]) == word {
			d.pos += len(word)
			return nil
		}
	}
	return d.unexpected("a value")
}

// skipped is what a pass over a value found.
type skipped struct {
	kind   byte // the first byte of the value
	depth  int  // levels of objects and arrays, 0 for the others
	broken bool // half of a surrogate pair somewhere
	// canonical: the text is what CanonicalJSON would make of it. False says
	// nothing.
	canonical bool
}

// span is a part of the text.
type span struct{ from, to int }

// skip passes over the value at the present place, whatever it is. It takes
// time and memory in proportion to its length, however deep it is.
func (d *decoder) skip() (skipped, error) {
	s := skipped{kind: d.peek(), canonical: true}
	var keys [maxJSONDepth]span // the last key of each open object
	depth := 0
	d.nesting = d.nesting[:0]
	for {
		// A value begins here.
		opened := false
		switch c := d.spaced(&s); {
		case c == '"':
			if _, err := d.skipString(&s); err != nil {
				return s, err
			}
		case c == '-' || c-'0' <= 9:
			if _, err := d.number(); err != nil {
				return s, err
			}
		case c == '{' || c == '[':
			if depth%64 == 0 {
				d.nesting = append(d.nesting[:depth/64], 0)
			}
			if c == '{' {
				d.nesting[depth/64] |= 1 << (depth % 64)
			}
			if depth < maxJSONDepth {
				keys[depth] = span{}
			}
			depth++
			s.depth = max(s.depth, depth)
			d.pos++
			opened = true
		default:
			if err := d.literal(); err != nil {
				return s, err
			}
		}
		// Behind it: the ends of what it was the last of, and what comes next.
		for {
			if depth == 0 {
				return s, nil
			}
			object := d.nesting[(depth-1)/64]>>((depth-1)%64)&1 == 1
			c := d.spaced(&s)
			if object && c == '}' || !object && c == ']' {
				d.pos++
				depth--
				d.nesting = d.nesting[:(depth+63)/64]
				if depth%64 != 0 {
					d.nesting[depth/64] &^= 1 << (depth % 64)
				}
				opened = false
				continue
			}
			if !opened {
				if c != ',' {
					if object {
						return s, d.unexpected("a comma or }")
					}
					return s, d.unexpected("a comma or ]")
				}
				d.pos++
			}
			if object {
				if err := d.skipKey(&s, keys[:], depth-1); err != nil {
					return s, err
				}
			}
			break
		}
	}
}

// spaced is peek for a text that may be canonical: space makes it another.
func (d *decoder) spaced(s *skipped) byte {
	at := d.pos
	c := d.peek()
	if d.pos != at {
		s.canonical = false
	}
	return c
}

func (d *decoder) skipKey(s *skipped, keys []span, level int) error {
	if d.spaced(s) != '"' {
		return d.unexpected("a key in double quotes")
	}
	key, err := d.skipString(s)
	if err != nil {
		return err
	}
	if level < len(keys) {
		last := keys[level]
		if last != (span{}) && string(d.data[key.from:key.to]) <= string(d.data[last.from:last.to]) {
			s.canonical = false
		}
		keys[level] = key
	}
	if d.spaced(s) != ':' {
		return d.unexpected("a colon")
	}
	d.pos++
	return nil
}

// skipString passes over a string and returns what stands between its quotes.
func (d *decoder) skipString(s *skipped) (span, error) {
	start := d.pos + 1
	i := start
	for i < len(d.data) {
		c := d.data[i]
		switch {
		case c == '"':
			d.pos = i + 1
			return span{start, i}, nil
		case c == '\\':
			r, n := unescape(d.data[i:])
			if n == 0 {
				d.pos = start - 1
				_, _, err := d.string()
				return span{}, err
			}
			s.broken = s.broken || r < 0
			s.canonical = false
			i += n
		case c < ' ':
			d.pos = start - 1
			_, _, err := d.string()
			return span{}, err
		default:
			// Characters beyond ASCII are left to CanonicalJSON.
			s.canonical = s.canonical && c < utf8.RuneSelf
			i++
		}
	}
	d.pos = i
	return span{}, d.unexpected("the closing quote of a string")
}
