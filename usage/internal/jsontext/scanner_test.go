package jsontext_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage/internal/jsontext"
)

// tree reads any document, as encoding/json would into an any, by the methods
// that decoders use.
func tree(s *jsontext.Scanner) (any, error) {
	switch c := s.Peek(); {
	case c == '"':
		return text(s.String())
	case jsontext.IsNumber(c):
		n, err := s.Number()
		return json.Number(n), err
	case c == '{':
		s.Pos++
		out := map[string]any{}
		for first := true; ; first = false {
			key, broken, done, err := s.Key(first)
			if err != nil || done {
				return out, err
			}
			name, _ := text(key, broken, nil)
			if out[name.(string)], err = tree(s); err != nil {
				return nil, err
			}
		}
	case c == '[':
		s.Pos++
		out := []any{}
		for first := true; ; first = false {
			more, err := s.Item(first)
			if err != nil || !more {
				return out, err
			}
			item, err := tree(s)
			if err != nil {
				return nil, err
			}
			out = append(out, item)
		}
	}
	from := s.Pos
	if err := s.Literal(); err != nil {
		return nil, err
	}
	return map[string]any{"null": nil, "true": true, "false": false}[string(s.Data[from:s.Pos])], nil
}

// text is a string with what is not UTF-8 replaced, as encoding/json does.
func text(b []byte, broken bool, err error) (any, error) {
	if broken && !bytes.ContainsRune(b, utf8.RuneError) {
		return nil, errors.New("half of a surrogate pair was not replaced")
	}
	var out strings.Builder
	for _, r := range string(b) {
		out.WriteRune(r)
	}
	return out.String(), err
}

func whole(s *jsontext.Scanner, err error) error {
	if err == nil {
		err = s.End()
	}
	return err
}

var seeds = []string{
	``, ` `, `null`, ` true `, `false`, `nul`, `truefalse`, `0`, `-0`, `-`, `01`, `1.`, `.5`, `1.5e`, `1e+`, `-12.50E-03`, `+1`, `1 2`,
	`""`, `"a`, `"\u00e9\n\t\"\\\/\b\f\r"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ude00\ud83d"`, `"\ud83dx"`, `"\uD83D\uDE0"`, `"\x"`, "\"\xff\xc3\"", "\"\x01\"", "\"\u2028\x7f\"",
	`[]`, `[1,2]`, `[1,]`, `[,]`, `[1 2]`, `[`, `]`, `[[[]],{}]`, `{}`, `{"a":1}`, `{"a":1,"a":2}`, `{"b":1,"a":{"c":[]}}`, `{"a"}`, `{"a":}`, `{a:1}`, `{"a":1,}`, `{"a":1 "b":2}`, `{`,
	"\ufeff[]", "[1]\x00", "\t[\r\n1 , 2 ]\n", `{"\u0061":1,"a":2}`,
}

// FuzzScanner: what a decoder reads is what encoding/json reads.
func FuzzScanner(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		s := jsontext.Scanner{Data: data}
		got, err := tree(&s)
		err = whole(&s, err)
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		var want any
		fault := d.Decode(&want)
		if fault == nil {
			if _, more := d.Token(); more != io.EOF {
				fault = errors.New("something follows")
			}
		}
		if fault != nil && strings.Contains(fault.Error(), "exceeded max depth") {
			return
		}
		require.Equal(t, fault == nil, err == nil, "%v against %v", err, fault)
		require.Equal(t, before, data)
		if err == nil {
			require.Equal(t, want, got)
			return
		}
		var e *jsontext.Error
		require.ErrorAs(t, err, &e)
		require.LessOrEqual(t, e.Offset, len(data))
		require.GreaterOrEqual(t, e.Offset, 0)
	})
}

// FuzzSkip: what is passed over is what encoding/json takes for JSON, and what is
// canonical is what it would write.
func FuzzSkip(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := jsontext.Scanner{Data: data}
		v, err := s.Skip()
		end := s.Pos
		err = whole(&s, err)
		if strings.Count(string(data), "[")+strings.Count(string(data), "{") >= 10_000 {
			return // where encoding/json ends
		}
		require.Equal(t, json.Valid(data), err == nil, "%v", err)
		if err != nil {
			return
		}
		text := bytes.TrimLeft(data[:end], " \t\r\n")
		require.Equal(t, text[0], v.Kind)
		require.Equal(t, depth(text), v.Depth)
		if v.Canonical {
			s := jsontext.Scanner{Data: text}
			value, err := tree(&s)
			require.NoError(t, err)
			again, err := marshal(value)
			require.NoError(t, err)
			require.Equal(t, string(text), string(again))
		}
	})
}

// depth counts the levels of a text that is JSON.
func depth(text []byte) (most int) {
	d := json.NewDecoder(bytes.NewReader(text))
	for level := 0; ; {
		token, err := d.Token()
		if err != nil {
			return most
		}
		switch token {
		case json.Delim('['), json.Delim('{'):
			level++
			most = max(most, level)
		case json.Delim(']'), json.Delim('}'):
			level--
		}
	}
}

func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}

// Ahead takes what Key would, and leaves everything else to it.
func TestAhead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{`"id":1}`: true, `"id": 1}`: true, `"id" :1}`: false, ` "id":1}`: false, `"ID":1}`: false, `"i\u0064":1}`: false, `"id"`: false, `"idx":1}`: false, `}`: false, ``: false} {
		for _, first := range []bool{true, false} {
			if !first {
				text = "," + text
			}
			s, by := jsontext.Scanner{Data: []byte(text)}, jsontext.Scanner{Data: []byte(text)}
			require.Equal(t, want, s.Ahead(first, `"id":`), text)
			if !want {
				require.Zero(t, s.Pos)
				continue
			}
			key, _, _, err := by.Key(first)
			require.NoError(t, err)
			require.Equal(t, "id", string(key))
			require.Equal(t, by.Pos, s.Pos)
		}
	}
}

// What is deep costs no more than what is long.
func TestDeep(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 32, 33, 63, 64, 65, 1_000_000} {
		for _, pair := range []string{"[]", "{}"} {
			text := strings.Repeat(pair[:1], n) + strings.Repeat(pair[1:], n)
			if pair == "{}" {
				text = strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n)
			}
			s := jsontext.Scanner{Data: []byte(text)}
			v, err := s.Skip()
			require.NoError(t, whole(&s, err))
			require.Equal(t, jsontext.Skipped{Kind: pair[0], Depth: n, Canonical: n <= jsontext.Depth}, v)
			s = jsontext.Scanner{Data: []byte(text[:len(text)-1])}
			_, err = s.Skip()
			require.Error(t, whole(&s, err))
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`[1,x]`:        `byte 3: expected a value, found 'x'`,
		`{"a" 1}`:      `byte 5: expected a colon, found '1'`,
		`[1 2]`:        `byte 3: expected a comma or ], found '2'`,
		"\ufeff1":      `byte 0: expected a value, found a byte order mark`,
		"[\xff]":       `byte 1: expected a value, found the byte 0xff`,
		`["a`:          `byte 3: expected the closing quote of a string, found the end of the text`,
		`1.x`:          `byte 2: expected a digit behind the point, found 'x'`,
		`{"a":1,}`:     `byte 7: expected a key in double quotes, found '}'`,
		"[\"a\nb\"]":   `byte 3: the control character 0x0a in a string, write it as \u000a`,
		`[1] true`:     `byte 4: expected the end of the text, found 't'`,
		`{"a":1 "b":2`: `byte 7: expected a comma or }, found '"'`,
	} {
		s := jsontext.Scanner{Data: []byte(text)}
		_, err := tree(&s)
		require.EqualError(t, whole(&s, err), want, text)
		s = jsontext.Scanner{Data: []byte(text)}
		_, err = s.Skip()
		require.EqualError(t, whole(&s, err), want, text)
	}
}

// Strings of one text share memory, and are right whatever it is overwritten
// with.
func TestTexts(t *testing.T) {
	t.Parallel()
	for _, texts := range []*jsontext.Texts{{}, {Size: 10}, {Size: 1 << 20}, {Size: 100, Once: true}} {
		var want, got []string
		buf := make([]byte, 0, 5000)
		for i := range 3000 {
			buf = fmt.Appendf(buf[:0], "%d", i*i%701)
			if i%5 == 0 {
				buf = append(buf, strings.Repeat("x", i)...)
			}
			want = append(want, string(buf), string(buf))
			got = append(got, texts.Intern(buf), texts.Keep(buf))
			clear(buf)
		}
		require.Equal(t, want, got)
		require.Empty(t, texts.Intern(nil))
		require.Empty(t, texts.Keep(nil))
	}
}

func TestTextsAlloc(t *testing.T) {
	texts := jsontext.Texts{Size: 1 << 20}
	word := []byte("tenant-07")
	texts.Intern(word)
	require.Zero(t, testing.AllocsPerRun(100, func() { texts.Intern(word) }))
	require.Less(t, testing.AllocsPerRun(1000, func() { texts.Keep(word) }), 0.1)
}

func BenchmarkSkip(b *testing.B) {
	data := []byte(`[` + strings.Repeat(`{"id":"req-8f14e45f","meter":"tokens","start":"2026-03-01T00:00:00Z","quantity":1250.5,"tags":["a","b"]},`, 200) + `0]`)
	b.Run("skip", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			s := jsontext.Scanner{Data: data}
			if _, err := s.Skip(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			if !json.Valid(data) {
				b.Fatal("not valid")
			}
		}
	})
}
