// Package jsontext reads JSON text in a single pass, without reflection, for
// decoders that know what they are about to read: of records, of a vendor's
// documents, of stored tasks. A decoder asks for what its document has next:
//
//	s := jsontext.Scanner{Data: text}
//	if s.Peek() != '{' { ... }
//	s.Pos++
//	for first := true; ; first = false {
//		key, done, err := s.Key(first)
//		...
//	}
//
// Where a [Scanner] returns no error up to its end, encoding/json takes the text
// for JSON too, and the other way round but for its limit of 10,000 levels; and
// what both read is the same. It is stricter in nothing and leaves two things to
// its caller: whether the text is UTF-8, and what half of a surrogate pair is to
// mean. [Texts] keeps the strings that are read.
package jsontext
