package jsontext

import (
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// Error tells why a text is no JSON, or not the JSON that was asked for.
type Error struct {
	// Offset is the byte of the text, from 0, where the fault was found.
	Offset int
	// Message says what is wrong and what is allowed.
	Message string
}

// Error names the byte and the fault.
func (e *Error) Error() string { return fmt.Sprintf("byte %d: %s", e.Offset, e.Message) }

// Scanner finds its way through a text. It neither keeps nor changes the text,
// and needs neither recursion nor memory, but for what is nested in a value that
// is skipped, a bit each, and for strings with escapes. Every error of its
// methods is an [*Error], behind which the Scanner is of no more use.
type Scanner struct {
	Data []byte
	Pos  int // the next byte to be read

	escaped []byte   // the last string that had escapes
	nesting []uint64 // a bit for each open bracket of a skipped value: 1 is {
}

// Fail returns the error for a byte of the text.
func (s *Scanner) Fail(offset int, message string) error {
	return &Error{Offset: offset, Message: message}
}

// Unexpected returns the error for the byte at the present place.
func (s *Scanner) Unexpected(expected string) error {
	found := "the end of the text"
	if s.Pos < len(s.Data) {
		r, n := utf8.DecodeRune(s.Data[s.Pos:])
		if r == utf8.RuneError && n == 1 {
			found = fmt.Sprintf("the byte %#02x", s.Data[s.Pos])
		} else {
			found = fmt.Sprintf("%q", r)
		}
		if r == '\ufeff' {
			found = "a byte order mark"
		}
	}
	return s.Fail(s.Pos, "expected "+expected+", found "+found)
}

// End sees that nothing but space is left.
func (s *Scanner) End() error {
	if s.Peek(); s.Pos < len(s.Data) {
		return s.Unexpected("the end of the text")
	}
	return nil
}

// Peek skips space and returns the next byte, which is not consumed; 0, which
// begins no JSON value, at the end.
func (s *Scanner) Peek() byte {
	// Mostly there is no space, and this much is inlined.
	if s.Pos < len(s.Data) {
		if c := s.Data[s.Pos]; c > ' ' {
			return c
		}
	}
	return s.space()
}

func (s *Scanner) space() byte {
	for i := s.Pos; i < len(s.Data); i++ {
		if c := s.Data[i]; c > ' ' || c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			s.Pos = i
			return c
		}
	}
	s.Pos = len(s.Data)
	return 0
}

// Key reads the next key of an object and the colon behind it. The first call
// comes behind the opening brace; done tells that the object is closed. The key
// is good until the next string is read, and broken is as of [Scanner.String].
func (s *Scanner) Key(first bool) (key []byte, broken, done bool, err error) {
	c := s.Peek()
	if c == '}' {
		s.Pos++
		return nil, false, true, nil
	}
	if !first {
		if c != ',' {
			return nil, false, false, s.Unexpected("a comma or }")
		}
		s.Pos++
		c = s.Peek()
	}
	if c != '"' {
		return nil, false, false, s.Unexpected("a key in double quotes")
	}
	key, broken, err = s.String()
	if err != nil {
		return nil, false, false, err
	}
	if s.Peek() != ':' {
		return nil, false, false, s.Unexpected("a colon")
	}
	s.Pos++
	return key, broken, false, nil
}

// Ahead reads the key of the next member where it stands in the text as an encoder
// writes it, in quotes and with its colon: "id":. It reports whether it was there,
// and costs next to nothing where it was not; [Scanner.Key] finds what was.
func (s *Scanner) Ahead(first bool, member string) bool {
	at := s.Pos
	if !first {
		if at == len(s.Data) || s.Data[at] != ',' {
			return false
		}
		at++
	}
	if len(s.Data)-at < len(member) || string(s.Data[at:at+len(member)]) != member {
		return false
	}
	s.Pos = at + len(member)
	return true
}

// Item goes to the next item of an array and reports whether there is one. The
// first call comes behind the opening bracket; behind the last item it consumes
// the closing one.
func (s *Scanner) Item(first bool) (bool, error) {
	c := s.Peek()
	switch {
	case c == ']':
		s.Pos++
		return false, nil
	case first:
		return true, nil
	case c != ',':
		return false, s.Unexpected("a comma or ]")
	}
	s.Pos++
	s.Peek()
	return true, nil
}

// plain marks the bytes that stand for themselves in a string.
var plain = func() (t [256]bool) {
	for c := ' '; c < 256; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// String reads the string at the present place, which begins with a quote. The
// bytes are the text's own or, where there are escapes, good until the next
// string is read. broken reports half of a surrogate pair, which was read as
// U+FFFD. The text is not checked for being UTF-8.
func (s *Scanner) String() (text []byte, broken bool, err error) {
	data, start := s.Data, s.Pos+1
	i := start
	for i < len(data) && plain[data[i]] {
		i++
	}
	if i < len(data) && data[i] == '"' {
		s.Pos = i + 1
		return data[start:i], false, nil
	}
	return s.unescaped(start, i)
}

// unescaped reads a string of which the bytes from start to i stand for
// themselves.
func (s *Scanner) unescaped(start, i int) (text []byte, broken bool, err error) {
	out := append(s.escaped[:0], s.Data[start:i]...)
	for i < len(s.Data) {
		switch c := s.Data[i]; {
		case c == '"':
			s.Pos = i + 1
			s.escaped = out
			return out, broken, nil
		case c == '\\':
			r, n := unescape(s.Data[i:])
			if n == 0 {
				s.Pos = i
				return nil, false, s.Fail(i, `unknown escape in a string, allowed are \" \\ \/ \b \f \n \r \t and \u with four hexadecimal digits`)
			}
			if r < 0 {
				broken, r = true, utf8.RuneError
			}
			out = utf8.AppendRune(out, r)
			i += n
		case c < ' ':
			s.Pos = i
			return nil, false, s.Fail(i, fmt.Sprintf(`the control character %#02x in a string, write it as \u%04x`, c, c))
		default:
			out = append(out, c)
			i++
		}
	}
	s.Pos = i
	return nil, false, s.Unexpected("the closing quote of a string")
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

// IsNumber reports whether a value that begins with c is a number.
func IsNumber(c byte) bool { return c == '-' || c-'0' <= 9 }

// Number reads the number at the present place, which begins with a digit or a
// minus, and returns its text.
func (s *Scanner) Number() ([]byte, error) {
	b, start := s.Data, s.Pos
	i := start
	digits := func() bool {
		from := i
		for i < len(b) && b[i]-'0' <= 9 {
			i++
		}
		s.Pos = i
		return i > from
	}
	if b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
		s.Pos = i
	} else if !digits() {
		return nil, s.Unexpected("a digit")
	}
	if i < len(b) && b[i] == '.' {
		i++
		if !digits() {
			return nil, s.Unexpected("a digit behind the point")
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if !digits() {
			return nil, s.Unexpected("a digit of the exponent")
		}
	}
	return b[start:i], nil
}

// Literal reads null, true or false.
func (s *Scanner) Literal() error {
	for _, word := range [...]string{"null", "true", "false"} {
		if len(s.Data)-s.Pos >= len(word) && string(s.Data[s.Pos:s.Pos+len(word)]) == word {
			s.Pos += len(word)
			return nil
		}
	}
	return s.Unexpected("a value")
}
