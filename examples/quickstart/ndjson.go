package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/usagebook/usagebook/usage"
)

// maxDepth is how deep arrays and objects of a line may lie in each other.
const maxDepth = 32

// jsonLines reads one JSON object per line as lines of a mapping. Numbers are
// never turned into floating point: their text is taken as it stands.
type jsonLines struct {
	lines  *physical
	paths  []string
	line   line
	derive bool
}

func newJSONLines(r io.Reader, m *mapping) (*jsonLines, error) {
	// Whether a key is there shows in each line alone.
	if err := m.bind(func(string) bool { return true }); err != nil {
		return nil, err
	}
	j := &jsonLines{lines: newPhysical(r), derive: m.derives()}
	for _, t := range m.targets {
		j.paths = append(j.paths, t.column)
	}
	j.line.cells = make([]cell, len(j.paths))
	return j, nil
}

func (j *jsonLines) next() (*line, error) {
	for {
		text, err := j.lines.next()
		number := j.lines.number
		if err == errLongLine {
			return nil, refuse(number, "", usage.CodeTooLong, "the line is longer than %d bytes", maxLine)
		}
		if err != nil {
			return nil, err
		}
		if number == 1 {
			text = strings.TrimPrefix(text, "\ufeff")
		}
		if text = strings.TrimSpace(text); text != "" {
			return j.read(number, text)
		}
	}
}

func (j *jsonLines) read(number int, text string) (*line, error) {
	if !utf8.ValidString(text) {
		return nil, refuse(number, "", usage.CodeCharacters, "not valid UTF-8")
	}
	if jsonDepth(text) > maxDepth {
		return nil, refuse(number, "", usage.CodeSyntax, "more than %d levels of arrays and objects", maxDepth)
	}
	object, err := members(json.RawMessage(text))
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = errors.New("the line ends in the middle of it")
	}
	if err != nil {
		return nil, refuse(number, "", usage.CodeSyntax, "no JSON object: %s", err)
	}
	l := &j.line
	l.number = number
	for i, path := range j.paths {
		if l.cells[i], err = lookUp(object, path); err != nil {
			return nil, refuse(number, path, usage.CodeSyntax, "%s", err)
		}
	}
	if j.derive {
		l.content = appendMembers(l.content[:0], object)
	}
	return l, nil
}

// jsonDepth returns how deep arrays and objects lie in each other. It looks at
// brackets alone, so that it costs nothing to ask before anything is decoded.
func jsonDepth(text string) int {
	depth, deepest := 0, 0
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}

// members returns the members of an object, undecoded. A key that is given
// twice is an error: which of the two is meant cannot be known.
func members(raw json.RawMessage) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	first, err := d.Token()
	if err != nil {
		return nil, err
	}
	if first != json.Delim('{') {
		return nil, fmt.Errorf("it begins with %v", first)
	}
	object := map[string]json.RawMessage{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, ok := key.(string)
		if !ok {
			return nil, fmt.Errorf("%v is no key", key)
		}
		if _, twice := object[name]; twice {
			return nil, fmt.Errorf("the key %s is given twice", quote(name))
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		object[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the object")
	}
	return object, nil
}

// lookUp returns the member of a name, or of a path of names joined by points.
// A name that has points itself is found first.
func lookUp(object map[string]json.RawMessage, path string) (cell, error) {
	if raw, ok := object[path]; ok {
		return jsonCell(raw)
	}
	for at := strings.IndexByte(path, '.'); at >= 0; {
		if raw, ok := object[path[:at]]; ok && len(raw) > 0 && raw[0] == '{' {
			inner, err := members(raw)
			if err != nil {
				return cell{}, err
			}
			return lookUp(inner, path[at+1:])
		}
		next := strings.IndexByte(path[at+1:], '.')
		if next < 0 {
			break
		}
		at += 1 + next
	}
	return cell{}, nil
}

// jsonCell returns a value as text: strings decoded, numbers and booleans as
// they stand, arrays and objects without spaces, null as null.
func jsonCell(raw json.RawMessage) (cell, error) {
	switch raw[0] {
	case 'n':
		return cell{}, nil
	case '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return cell{}, err
		}
		// Half of a surrogate pair is decoded to the replacement character,
		// which would make one text of two different ones.
		if strings.ContainsRune(s, utf8.RuneError) && !bytes.ContainsRune(raw, utf8.RuneError) && !bytes.Contains(bytes.ToLower(raw), []byte(`\ufffd`)) {
			return cell{}, errors.New("half of a surrogate pair in a string")
		}
		return text(s), nil
	case '{', '[':
		var b bytes.Buffer
		if err := json.Compact(&b, raw); err != nil {
			return cell{}, err
		}
		return text(b.String()), nil
	}
	return text(string(raw)), nil
}

// appendMembers appends a form of an object that does not depend on the order
// of its keys. Members that are null are left out.
func appendMembers(b []byte, object map[string]json.RawMessage) []byte {
	names := make([]string, 0, len(object))
	for name, raw := range object {
		if raw[0] != 'n' {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, cmp.Compare[string])
	for _, name := range names {
		var value bytes.Buffer
		if json.Compact(&value, object[name]) != nil {
			value.Write(object[name]) // cannot be: it was decoded before
		}
		b = appendText(appendText(b, name), value.String())
	}
	return b
}
