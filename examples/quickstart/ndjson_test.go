package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func jsonMapping(columns ...string) *mapping {
	m := &mapping{tenant: "t", source: "s", meter: "m", times: parseTime, targets: []target{{part: partStart, column: "t"}, {part: partValue, name: "q", column: "q"}}}
	for i, c := range columns {
		m.targets = append(m.targets, target{part: partDimension, name: fmt.Sprintf("d%d", i), column: c})
	}
	return m
}

func TestNDJSON(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		line string
		want string // of q and x: the cells, or what is wrong
	}{
		"numbers as they stand": {`{"q":0.1000000000000000055511151231257827,"x":1E+2}`, "0.1000000000000000055511151231257827|1E+2"},
		"strings":               {`{"q":"1.50","x":"a\u00e9\n"}`, "1.50|aé\n"},
		"null and absent":       {`{"q":null}`, "-|-"},
		"empty string":          {`{"q":1,"x":""}`, "1|"},
		"booleans":              {`{"q":1,"x":true}`, "1|true"},
		"objects without space": {`{"q":1,"x":{"b": 1, "a": [1, 2]}}`, `1|{"b":1,"a":[1,2]}`},
		"path":                  {`{"q":1,"x.y":2,"x":{"y":3}}`, `1|{"y":3}`},
		"spaces around":         {"  {\"q\" : 1}\r", "1|-"},
		"other keys":            {`{"q":1,"z":[{"x":5}]}`, "1|-"},
		"replacement character": {`{"q":1,"x":"\ufffd"}`, "1|\ufffd"},

		"no object":           {`[1]`, "! no JSON object: it begins with ["},
		"cut short":           {`{"q":1`, "! no JSON object: the line ends in the middle of it"},
		"two objects":         {`{"q":1} {"q":2}`, "! no JSON object: something follows the object"},
		"a key twice":         {`{"q":1,"q":2}`, `! no JSON object: the key "q" is given twice`},
		"half a surrogate":    {`{"q":1,"x":"\ud800"}`, "! half of a surrogate pair in a string"},
		"not UTF-8":           {"{\"x\":\"\xff\"}", "! not valid UTF-8"},
		"too deep":            {`{"q":1,"z":` + strings.Repeat("[", 100000) + strings.Repeat("]", 100000) + `}`, "! more than 32 levels of arrays and objects"},
		"brackets in strings": {`{"q":1,"x":"` + strings.Repeat(`[\"`, 50) + `"}`, "1|" + strings.Repeat(`["`, 50)},
		"too long":            {`{"q":"` + strings.Repeat("1", maxLine) + `"}`, fmt.Sprintf("! the line is longer than %d bytes", maxLine)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j, err := newJSONLines(strings.NewReader("\n"+c.line+"\n{\"q\":7}"), jsonMapping("x"))
			require.NoError(t, err)
			l, err := j.next()
			var bad *badLine
			if errors.As(err, &bad) {
				require.Equal(t, 2, bad.number)
				require.Equal(t, c.want, "! "+bad.violations[0].Message)
			} else {
				require.NoError(t, err)
				require.Equal(t, 2, l.number)
				var cells []string
				for _, x := range l.cells[1:] {
					if x.present {
						cells = append(cells, x.text)
					} else {
						cells = append(cells, "-")
					}
				}
				require.Equal(t, c.want, strings.Join(cells, "|"))
			}
			// Whatever it was, the next line can be read.
			l, err = j.next()
			require.NoError(t, err)
			require.Equal(t, "7", l.cells[1].text)
			require.Equal(t, 3, l.number)
			_, err = j.next()
			require.Equal(t, io.EOF, err)
		})
	}
}

func TestNDJSONPaths(t *testing.T) {
	t.Parallel()
	const text = `{"t":"2024-01-01","q":1,"usage":{"input":{"tokens":12},"n.m":3},"a.b":{"c":4},"a":{"b":{"c":5}}}`
	for path, want := range map[string]string{
		"usage.input.tokens": "12",
		"usage.n.m":          "3",
		"a.b.c":              "5",
		"usage.none":         "",
		"q.none":             "",
		"none.none":          "",
		".":                  "",
		"usage.":             "",
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			j, err := newJSONLines(strings.NewReader(text), jsonMapping(path))
			require.NoError(t, err)
			l, err := j.next()
			require.NoError(t, err)
			require.Equal(t, want, l.cells[2].text)
		})
	}
}

// FuzzJSONLine: every line is read or refused with a reason, and derived ids do
// not depend on the order of keys.
func FuzzJSONLine(f *testing.F) {
	f.Add(`{"t":"2024-01-01","q":1.5,"x":{"y":null}}`)
	f.Add(`{"q":"\ud800","x":"\ufffd"}`)
	f.Add(`{"a":{"b":{}},"a.b":1}`)
	f.Add(strings.Repeat(`[`, 40))
	f.Fuzz(func(t *testing.T, text string) {
		m := jsonMapping("x", "a.b", "x.y")
		j, err := newJSONLines(strings.NewReader(text), m)
		require.NoError(t, err)
		for {
			l, err := j.next()
			if err == io.EOF {
				return
			}
			var bad *badLine
			if errors.As(err, &bad) {
				require.NotEmpty(t, bad.violations)
				continue
			}
			require.NoError(t, err)
			if r, bad := m.record(l); bad == nil {
				require.Len(t, r.ID, 32)
			}
		}
	})
}
