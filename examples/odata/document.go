package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"unicode/utf8"
)

// readDocument reads a file that holds one JSON value.
func readDocument(path string) (json.RawMessage, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // some editors write it
	// encoding/json would put U+FFFD where a byte is wrong, and a row would then
	// match what it does not say.
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("%s: not UTF-8", path)
	}
	var document json.RawMessage
	if err := json.Unmarshal(text, &document); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			line := 1 + bytes.Count(text[:min(int(syntax.Offset), len(text))], []byte("\n"))
			return nil, fmt.Errorf("%s: line %d: %w", path, line, err)
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return bytes.TrimSpace(document), nil
}

// kindOf returns the first character of a JSON value, which tells its kind, and 0
// where there is none.
func kindOf(raw json.RawMessage) byte {
	if len(raw) == 0 {
		return 0
	}
	return raw[0]
}

// member is a member of a JSON object, its value as it is written.
type member struct {
	name  string
	value json.RawMessage
}

// members returns the members of an object in their order. A name that stands
// twice is refused: readers of JSON differ in which of them counts.
func members(object json.RawMessage) ([]member, error) {
	if kindOf(object) != '{' {
		return nil, fmt.Errorf("%s is no object", short(object))
	}
	d := json.NewDecoder(bytes.NewReader(object))
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	var list []member
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: fmt.Sprint(token)}
		if seen[m.name] {
			return nil, fmt.Errorf("%q is given twice", m.name)
		}
		seen[m.name] = true
		if err := d.Decode(&m.value); err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}
