package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
)

// scanned is what a scanner makes of a text: a line for each record, with the
// number of the line it begins on, fields between bars and quoted ones in
// brackets.
func scanned(t *testing.T, text string) []string {
	t.Helper()
	s := newCSVScanner(strings.NewReader(text), ',')
	var out []string
	for range strings.Count(text, "\n") + 2 {
		fields, number, err := s.next()
		var bad *badLine
		switch {
		case err == io.EOF:
			return out
		case errors.As(err, &bad):
			require.Equal(t, number, bad.number)
			out = append(out, fmt.Sprintf("%d! %s", bad.number, bad.violations[0].Message))
			continue
		}
		require.NoError(t, err)
		var cells []string
		for _, f := range fields {
			if f.quoted {
				cells = append(cells, "["+f.text+"]")
			} else {
				cells = append(cells, f.text)
			}
		}
		out = append(out, fmt.Sprintf("%d %s", number, strings.Join(cells, "|")))
	}
	t.Fatal("the scanner does not come to an end")
	return nil
}

func TestCSVScanner(t *testing.T) {
	t.Parallel()
	const behind, inside = "goes on behind its closing quote", "which does not begin with one"
	for name, c := range map[string]struct {
		in   string
		want []string
	}{
		"plain":                  {"a,b\nc,d\n", []string{"1 a|b", "2 c|d"}},
		"no end of line":         {"a,b", []string{"1 a|b"}},
		"carriage returns":       {"a,b\r\n\"c\",d\r\n", []string{"1 a|b", "2 [c]|d"}},
		"byte order mark":        {"\ufeffa,b\n", []string{"1 a|b"}},
		"empty fields":           {",\n\"\",\n", []string{"1 |", "2 []|"}},
		"blank lines":            {"\n\r\na\n\nb\n", []string{"3 a", "5 b"}},
		"null and \"NULL\"":      {"NULL,\"NULL\"\n", []string{"1 NULL|[NULL]"}},
		"doubled quotes":         {`"a ""b""",""""` + "\n", []string{`1 [a "b"]|["]`}},
		"delimiter in quotes":    {`"a,b",c`, []string{"1 [a,b]|c"}},
		"over lines":             {"\"a\nb\r\nc\",d\ne\n", []string{"1 [a\nb\r\nc]|d", "4 e"}},
		"quote inside":           {"a\"b,c\nd\n", []string{"1! a quote inside field 1, " + inside, "2 d"}},
		"behind a quote":         {"\"a\"b\nc\n", []string{"1! field 1 " + behind, "2 c"}},
		"space behind a quote":   {"\"a\" ,b\n", []string{"1! field 1 " + behind}},
		"never closed":           {"a,\"b\nc,d\n", []string{"1! the quote that opens field 2 is never closed", "2 c|d"}},
		"closed by a later one":  {"\"a\n\"b\",c\nd\n", []string{"1! a quote is opened and not closed: field 1 " + behind, "2 [b]|c", "3 d"}},
		"never closed, no lines": {`"`, []string{"1! the quote that opens field 1 is never closed"}},
		"too long":               {"a\n" + strings.Repeat("b", maxLine) + "\nc\n", []string{"1 a", fmt.Sprintf("2! the line is longer than %d bytes", maxLine), "3 c"}},
		"too long in quotes":     {"\"a\n" + strings.Repeat("b", maxLine) + "\nc\n", []string{"1! the quote that opens field 1 is never closed", fmt.Sprintf("2! the line is longer than %d bytes", maxLine), "3 c"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, scanned(t, c.in))
		})
	}
}

// A record over lines ends where it would fill the memory, and its lines are
// read again.
func TestCSVScannerLongRecord(t *testing.T) {
	t.Parallel()
	row := strings.Repeat("x", 1000) + "\n"
	n := maxLine/len(row) + 5
	got := scanned(t, "\"a\n"+strings.Repeat(row, n)+"b\n")
	require.Len(t, got, n+2)
	require.Equal(t, "1! the quote that opens field 1 is never closed", got[0])
	require.Equal(t, "2 "+strings.TrimSpace(row), got[1])
	require.Equal(t, fmt.Sprintf("%d b", n+2), got[n+1])
}

func TestCSVHeader(t *testing.T) {
	t.Parallel()
	m := func() *mapping {
		return &mapping{targets: []target{{part: partStart, column: "t"}, {part: partValue, name: "q", column: "q"}, {part: partDimension, name: "o", column: "o", optional: true}}}
	}
	for name, c := range map[string]struct{ header, want string }{
		"fits":              {"t,q\n", ""},
		"other columns":     {"x,q,t,x\n", ""},
		"empty":             {"", "the file is empty: a header with the names of the columns is needed"},
		"column missing":    {"t\n", `mapping: the file has no column "q"`},
		"twice":             {"t,q,q\n", `the header: columns 2 and 3 are both named "q"`},
		"broken":            {"t,\"q\n", "the header: line 1: the quote that opens field 2 is never closed (syntax)"},
		"not UTF-8":         {"t,q,\xff\n", "the header: column 3 is not valid UTF-8"},
		"UTF-16":            {"\xff\xfet\x00,\x00q\x00\n\x00", "the header: column 1 is not valid UTF-8"},
		"optional is there": {"t,q,o\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := newCSVLines(strings.NewReader(c.header), m(), nil, ',')
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, c.want)
		})
	}
}

func TestNull(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		flag  string
		nulls string // of: nothing, "", NULL, "NULL", \N, -
	}{
		"default":   {`NULL,\N,empty`, "n.n.n."},
		"only \\N":  {`\N`, "....n."},
		"only dash": {`-`, ".....n"},
		"nothing":   {``, "......"},
		"empty":     {`empty`, "n....."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := parseNull(c.flag)
			got := ""
			for _, f := range []csvField{{"", false}, {"", true}, {"NULL", false}, {"NULL", true}, {`\N`, false}, {"-", false}} {
				x := n.cell(f)
				if !x.present {
					got += "n"
				} else {
					require.Equal(t, f.text, x.text)
					got += "."
				}
			}
			require.Equal(t, c.nulls, got)
		})
	}
}

// FuzzLine maps whatever bytes as a line of a FOCUS export: each becomes a
// record or is refused with a reason, the book takes every record without
// trouble, and where encoding/csv reads a record ours reads the same.
func FuzzLine(f *testing.F) {
	header, rest, _ := strings.Cut(string(badLinesCSV), "\n")
	for line := range strings.Lines(rest) {
		f.Add(line)
	}
	for _, line := range strings.SplitN(string(sampleCSV), "\n", 20)[1:] {
		f.Add(line)
	}
	f.Add("NULL,1e999999999,")
	f.Add("\"\n\"\"\",\"")
	f.Fuzz(func(t *testing.T, text string) {
		m := &mapping{tenant: "t", source: "s", meter: "m", targets: append([]target(nil), focusTargets...), times: parseTime, digits: 8}
		lines, err := newCSVLines(strings.NewReader(header+"\n"+text), m, parseNull(`NULL,\N,empty`), ',')
		require.NoError(t, err)
		book, err := usage.New(newStore(t), &usage.Options{Meters: m.catalogue()})
		require.NoError(t, err)
		last := 0
		for {
			l, err := lines.next()
			if err == io.EOF {
				break
			}
			var bad *badLine
			if errors.As(err, &bad) {
				require.NotEmpty(t, bad.violations)
				require.Greater(t, bad.number, last)
				last = bad.number
				continue
			}
			require.NoError(t, err)
			require.Greater(t, l.number, last)
			last = l.number
			r, bad := m.record(l)
			if bad != nil {
				require.NotEmpty(t, bad.violations)
				continue
			}
			_, err = book.Append(t.Context(), r)
			var failed *usage.AppendError
			if err != nil {
				require.ErrorAs(t, err, &failed)
			}
		}
		sameAsStandard(t, text)
	})
}

// sameAsStandard compares the scanner with encoding/csv, where that reads the
// whole text. It drops carriage returns before a line end inside quotes, and a
// byte order mark is content to it.
func sameAsStandard(t *testing.T, text string) {
	if strings.ContainsAny(text, "\r") || strings.HasPrefix(text, "\ufeff") || len(text) >= maxLine {
		return
	}
	standard := csv.NewReader(strings.NewReader(text))
	standard.FieldsPerRecord = -1
	want, err := standard.ReadAll()
	if err != nil {
		return
	}
	s := newCSVScanner(strings.NewReader(text), ',')
	for _, record := range want {
		fields, _, err := s.next()
		require.NoError(t, err)
		var got []string
		for _, f := range fields {
			got = append(got, f.text)
		}
		require.Equal(t, record, got)
	}
	_, _, err = s.next()
	require.Equal(t, io.EOF, err)
}
