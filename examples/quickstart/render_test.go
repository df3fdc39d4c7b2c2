package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// awkward is a section with everything that can go wrong in a table.
func awkward() *section {
	s := &section{name: "s", title: "Title"}
	s.columns = append(textColumns("text"), numberColumns("n")...)
	s.columns = append(s.columns, column{name: "chart", chart: "n"})
	for _, row := range [][2]cell{
		{text("plain"), text("10")},
		{text(""), text("-2.5")},
		{cell{}, cell{}},
		{text("NULL"), text("0")},
		{text("a,\"b\"\n\x1b[31m"), text("0.000000000000001")},
		{text("Zürich"), text("123456789012345678901234567890.5")},
		{text(strings.Repeat("long", 20)), text("7")},
	} {
		s.add(row[0], row[1], cell{})
	}
	s.note("A note.")
	return s
}

func rendered(t *testing.T, format string, sections ...*section) string {
	t.Helper()
	var b bytes.Buffer
	r := newRenderer(format, &b)
	for _, s := range sections {
		require.NoError(t, r.section(s))
	}
	require.NoError(t, r.close())
	return b.String()
}

func TestTable(t *testing.T) {
	t.Parallel()
	small := &section{title: "Übersicht", columns: append(textColumns("name"), append(numberColumns("n", "long headline"), column{name: "chart", chart: "n"})...)}
	small.add(text("Zürich"), text("10"), text("1"), cell{})
	small.add(text(""), text("-2.5"), cell{}, cell{})
	small.add(cell{}, text("0.125"), text("2.25"), cell{})
	require.Equal(t, strings.TrimPrefix(`
Übersicht
=========
name         n  long headline  chart
------  ------  -------------  --------------------------------
Zürich  10               1     ████████████████████████████████
""      -2.5             -     ░░░░░░░░
-        0.125           2.25  ·
`, "\n"), rendered(t, "table", small))
	got := strings.Split(rendered(t, "table", awkward()), "\n")
	whole := strings.Join(got, "\n")
	require.NotContains(t, whole, "\x1b", "nothing reaches the terminal that could move its cursor")
	require.Contains(t, whole, `a,"b"\n\x1b[31m`)
	require.Contains(t, whole, strings.Repeat("long", 11)+"…")
	require.Contains(t, whole, "\n\"\"  ", "the empty string")
	require.Contains(t, whole, "\n-   ", "null")
	require.True(t, strings.HasSuffix(whole, "A note.\n"))
	require.Equal(t, "Title\n=====\nnone\n", rendered(t, "table", &section{title: "Title", columns: textColumns("a"), notes: []string{"none"}}), "no rows, no table")
}

func TestChart(t *testing.T) {
	t.Parallel()
	s := &section{columns: numberColumns("n")}
	for _, n := range []string{"32", "31.9999", "1", "0.9", "0", "-16", "-0.1"} {
		s.add(text(n))
	}
	s.add(cell{})
	require.Equal(t, []string{
		strings.Repeat("█", 32), strings.Repeat("█", 31), "█", "·", "", strings.Repeat("░", 16), "·", "",
	}, chart(s, "n"))
	zero := &section{columns: numberColumns("n"), rows: [][]cell{{text("0")}, {cell{}}}}
	require.Equal(t, []string{"", ""}, chart(zero, "n"))
	huge := &section{columns: numberColumns("n"), rows: [][]cell{{text("1" + strings.Repeat("0", 37))}, {text("0." + strings.Repeat("0", 29) + "1")}}}
	require.Equal(t, []string{strings.Repeat("█", 32), "·"}, chart(huge, "n"))
}

func TestJSON(t *testing.T) {
	t.Parallel()
	got := rendered(t, "json", awkward(), awkward())
	var document struct {
		Sections []struct {
			Name, Title string
			Rows        []map[string]*string
		}
	}
	require.NoError(t, json.Unmarshal([]byte(got), &document))
	require.Len(t, document.Sections, 2)
	rows := document.Sections[0].Rows
	require.Len(t, rows, 7)
	for i, row := range awkward().rows {
		require.Len(t, rows[i], 2, "no chart")
		for c, name := range []string{"text", "n"} {
			if row[c].present {
				require.Equal(t, row[c].text, *rows[i][name])
			} else {
				require.Nil(t, rows[i][name])
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(rendered(t, "json")), &document), "no section at all")
}

// What the CSV output says, our own reader reads.
func TestCSVOutput(t *testing.T) {
	t.Parallel()
	got := rendered(t, "csv", awkward())
	s := newCSVScanner(strings.NewReader(got), ',')
	fields, _, err := s.next()
	require.NoError(t, err)
	require.Len(t, fields, 3, "no chart")
	null := parseNull("NULL")
	for _, row := range awkward().rows {
		fields, _, err := s.next()
		require.NoError(t, err)
		require.Equal(t, "s", fields[0].text)
		require.Equal(t, row[0], null.cell(fields[1]))
		require.Equal(t, row[1], null.cell(fields[2]))
	}
	require.Equal(t, 1, strings.Count(rendered(t, "csv", awkward(), awkward()), "\n\n"))
}

// The bar is for terminals alone, and is gone at the end.
func TestProgress(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	p := newProgress(&b, true, "first pass", 1000)
	p.add(1)
	p.add(499)
	p.add(0)
	p.add(500)
	p.add(10)
	p.clear()
	require.Equal(t, "\rfirst pass [..............................]   0 %"+
		"\rfirst pass [###############...............]  50 %"+
		"\rfirst pass [##############################] 100 %"+
		"\r\x1b[K", b.String())
	b.Reset()
	p.clear()
	for _, p := range []*progress{newProgress(&b, false, "x", 10), newProgress(&b, true, "x", 0)} {
		p.add(5)
		p.clear()
	}
	require.Empty(t, b.String())
	require.False(t, isTerminal(&b))
	f, err := os.Create(t.TempDir() + "/f")
	require.NoError(t, err)
	defer f.Close()
	require.False(t, isTerminal(f))
}
