package jsontext

import "unicode/utf8"

// Depth is how many levels of objects and arrays a canonical text has at most.
const Depth = 32

// Skipped is what a pass over a value found.
type Skipped struct {
	Kind   byte // the first byte of the value
	Depth  int  // levels of objects and arrays, 0 for the others
	Broken bool // half of a surrogate pair somewhere
	// Canonical: the text is ASCII without spaces and escapes, with the keys of
	// each object in order and each once. False says nothing.
	Canonical bool
}

// span is a part of the text.
type span struct{ from, to int }

// Skip passes over the value at the present place, whatever it is. It takes
// time and memory in proportion to its length, however deep it is.
func (s *Scanner) Skip() (Skipped, error) {
	v := Skipped{Kind: s.Peek(), Canonical: true}
	var keys [Depth]span // the last key of each open object
	depth := 0
	s.nesting = s.nesting[:0]
	for {
		// A value begins here.
		opened := false
		switch c := s.spaced(&v); {
		case c == '"':
			if _, err := s.skipString(&v); err != nil {
				return v, err
			}
		case IsNumber(c):
			if _, err := s.Number(); err != nil {
				return v, err
			}
		case c == '{' || c == '[':
			if depth%64 == 0 {
				s.nesting = append(s.nesting[:depth/64], 0)
			}
			if c == '{' {
				s.nesting[depth/64] |= 1 << (depth % 64)
			}
			if depth < Depth {
				keys[depth] = span{}
			}
			depth++
			v.Depth = max(v.Depth, depth)
			s.Pos++
			opened = true
		default:
			if err := s.Literal(); err != nil {
				return v, err
			}
		}
		// Behind it: the ends of what it was the last of, and what comes next.
		for {
			if depth == 0 {
				v.Canonical = v.Canonical && v.Depth <= Depth
				return v, nil
			}
			object := s.nesting[(depth-1)/64]>>((depth-1)%64)&1 == 1
			c := s.spaced(&v)
			if object && c == '}' || !object && c == ']' {
				s.Pos++
				depth--
				s.nesting = s.nesting[:(depth+63)/64]
				if depth%64 != 0 {
					s.nesting[depth/64] &^= 1 << (depth % 64)
				}
				opened = false
				continue
			}
			if !opened {
				if c != ',' {
					if object {
						return v, s.Unexpected("a comma or }")
					}
					return v, s.Unexpected("a comma or ]")
				}
				s.Pos++
			}
			if object {
				if err := s.skipKey(&v, keys[:], depth-1); err != nil {
					return v, err
				}
			}
			break
		}
	}
}

// spaced is Peek for a text that may be canonical: space makes it another.
func (s *Scanner) spaced(v *Skipped) byte {
	at := s.Pos
	c := s.Peek()
	if s.Pos != at {
		v.Canonical = false
	}
	return c
}

func (s *Scanner) skipKey(v *Skipped, keys []span, level int) error {
	if s.spaced(v) != '"' {
		return s.Unexpected("a key in double quotes")
	}
	key, err := s.skipString(v)
	if err != nil {
		return err
	}
	if level < len(keys) {
		last := keys[level]
		if last != (span{}) && string(s.Data[key.from:key.to]) <= string(s.Data[last.from:last.to]) {
			v.Canonical = false
		}
		keys[level] = key
	}
	if s.spaced(v) != ':' {
		return s.Unexpected("a colon")
	}
	s.Pos++
	return nil
}

// skipString passes over a string and returns what stands between its quotes.
func (s *Scanner) skipString(v *Skipped) (span, error) {
	start := s.Pos + 1
	i := start
	for i < len(s.Data) {
		c := s.Data[i]
		switch {
		case c == '"':
			s.Pos = i + 1
			return span{start, i}, nil
		case c == '\\':
			r, n := unescape(s.Data[i:])
			if n == 0 {
				s.Pos = start - 1
				_, _, err := s.String()
				return span{}, err
			}
			v.Broken = v.Broken || r < 0
			v.Canonical = false
			i += n
		case c < ' ':
			s.Pos = start - 1
			_, _, err := s.String()
			return span{}, err
		default:
			// Characters beyond ASCII may not be UTF-8.
			v.Canonical = v.Canonical && c < utf8.RuneSelf
			i++
		}
	}
	s.Pos = i
	return span{}, s.Unexpected("the closing quote of a string")
}
