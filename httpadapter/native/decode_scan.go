package native

import (
	"bytes"
	"encoding/json"
)

const jsonSpace = " \t\r\n"

// scanner finds its way through a text that is known to be JSON, without
// recursion. On any other text it gives nonsense, and no more than that.
type scanner struct {
	data []byte
	pos  int
}

// space passes over space and returns the next byte, which is not consumed; 0 at
// the end.
func (s *scanner) space() byte {
	for ; s.pos < len(s.data); s.pos++ {
		switch c := s.data[s.pos]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// next goes to the next item of the object or array whose opening bracket was
// consumed, and reports whether there is one. Behind the last it consumes the
// closing bracket.
func (s *scanner) next(closing byte) bool {
	c := s.space()
	if c == ',' {
		s.pos++
		c = s.space()
	}
	if c == closing {
		s.pos++
		return false
	}
	return c != 0
}

// key returns the key of a member, with its quotes, and consumes the colon.
func (s *scanner) key() []byte {
	from := s.pos
	s.string()
	key := s.data[from:s.pos]
	if s.space() == ':' {
		s.pos++
	}
	return key
}

// string passes over the string at the present place.
func (s *scanner) string() {
	for s.pos++; s.pos < len(s.data); s.pos++ {
		switch s.data[s.pos] {
		case '\\':
			s.pos++
		case '"':
			s.pos++
			return
		}
	}
	s.pos = len(s.data)
}

// value passes over the value at the present place and returns its text and how
// many levels of objects and arrays it has.
func (s *scanner) value() (text []byte, depth int) {
	s.space()
	from := s.pos
	level := 0
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case '"':
			s.string()
		case '{', '[':
			s.pos++
			level++
			depth = max(depth, level)
			continue
		case '}', ']':
			s.pos++
			level--
		case ',', ':', ' ', '\t', '\r', '\n':
			s.pos++
			continue
		default:
			s.word()
		}
		if level <= 0 {
			break
		}
	}
	return s.data[from:s.pos], depth
}

// word passes over a number or a literal.
func (s *scanner) word() {
	for s.pos++; s.pos < len(s.data); s.pos++ {
		switch s.data[s.pos] {
		case ',', ':', '}', ']', ' ', '\t', '\r', '\n':
			return
		}
	}
}

// depthOf returns how many levels of objects and arrays a value has.
func depthOf(text []byte) int {
	s := scanner{data: text}
	_, depth := s.value()
	return depth
}

// nameIs reports whether a string of JSON, in its quotes, says name.
func nameIs(raw []byte, name string) bool {
	if len(raw) == len(name)+2 {
		return string(raw[1:len(raw)-1]) == name // an escape is longer than what it stands for
	}
	return bytes.IndexByte(raw, '\\') >= 0 && unquote(raw) == name
}

// unquote returns what a string of JSON, in its quotes, says.
func unquote(raw []byte) string {
	if len(raw) >= 2 && bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}
