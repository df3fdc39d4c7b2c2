package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// renderer prints sections.
type renderer interface {
	section(s *section) error
	// close prints what belongs behind the last section.
	close() error
}

func newRenderer(format string, w io.Writer) renderer {
	b := bufio.NewWriter(w)
	switch format {
	case "json":
		return &jsonRenderer{w: b}
	case "csv":
		return &csvRenderer{w: b}
	}
	return &tableRenderer{w: b}
}

// tableRenderer prints aligned tables for people. Null is shown as a dash and
// the empty string as "".
type tableRenderer struct {
	w     *bufio.Writer
	begun bool
}

// widest is the number of characters of a text that a table shows. JSON and CSV
// show all of it.
const widest = 44

func (t *tableRenderer) section(s *section) error {
	if t.begun {
		t.w.WriteString("\n")
	}
	t.begun = true
	fmt.Fprintf(t.w, "%s\n%s\n", s.title, strings.Repeat("=", min(80, utf8.RuneCountInString(s.title))))
	if len(s.rows) > 0 {
		t.table(s)
	}
	for _, n := range s.notes {
		t.w.WriteString(n + "\n")
	}
	return t.w.Flush()
}

func (t *tableRenderer) table(s *section) {
	cells := make([][]string, len(s.rows)+1)
	for i := range cells {
		cells[i] = make([]string, len(s.columns))
	}
	for c, col := range s.columns {
		cells[0][c] = col.name
		for r, row := range s.rows {
			if col.chart == "" {
				most := widest
				if c == len(s.columns)-1 {
					most = math.MaxInt // nothing stands behind it
				}
				cells[r+1][c] = shown(row[c], col.number, most)
			}
		}
		switch {
		case col.chart != "":
			for r, bar := range chart(s, col.chart) {
				cells[r+1][c] = bar
			}
		case col.number:
			alignPoint(cells, c)
		}
	}
	for c, col := range s.columns {
		width := 0
		for r := range cells {
			width = max(width, utf8.RuneCountInString(cells[r][c]))
		}
		for r := range cells {
			pad := strings.Repeat(" ", width-utf8.RuneCountInString(cells[r][c]))
			if col.number && r == 0 {
				cells[r][c] = pad + cells[r][c]
			} else {
				cells[r][c] += pad
			}
		}
	}
	for r, row := range cells {
		line := strings.TrimRight(strings.Join(row, "  "), " ")
		t.w.WriteString(line + "\n")
		if r == 0 {
			for c := range row {
				row[c] = strings.Repeat("-", utf8.RuneCountInString(row[c]))
			}
			t.w.WriteString(strings.Join(row, "  ") + "\n")
		}
	}
}

func (t *tableRenderer) close() error { return t.w.Flush() }

// shown is the text of a cell in a table. Control characters, which could move
// the cursor of a terminal, are shown as their escapes; a text above most
// characters is cut.
func shown(c cell, number bool, most int) string {
	switch {
	case !c.present:
		return "-"
	case c.text == "":
		return `""`
	case number:
		return c.text
	}
	var b strings.Builder
	n := 0
	for _, r := range c.text {
		if n++; n > most {
			return b.String() + "…"
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			q := fmt.Sprintf("%q", r)
			b.WriteString(q[1 : len(q)-1])
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// alignPoint pads the numbers of a column, from the second row on, so that
// their points stand below each other. No digit is added or taken away.
func alignPoint(cells [][]string, c int) {
	before, after := 0, 0
	split := func(s string) (int, int) {
		if i := strings.IndexByte(s, '.'); i >= 0 {
			return i, len(s) - i
		}
		return len(s), 0
	}
	for _, row := range cells[1:] {
		b, a := split(row[c])
		before, after = max(before, b), max(after, a)
	}
	// A long headline moves the numbers to the right with it.
	before = max(before, utf8.RuneCountInString(cells[0][c])-after)
	for _, row := range cells[1:] {
		b, a := split(row[c])
		row[c] = strings.Repeat(" ", before-b) + row[c] + strings.Repeat(" ", after-a)
	}
}

// jsonRenderer prints one document: {"sections":[{"name","title","rows":[{..}]}]}.
// Every cell is a string, so that no reader rounds a figure, or null.
type jsonRenderer struct {
	w     *bufio.Writer
	begun bool
}

func (j *jsonRenderer) section(s *section) error {
	if j.begun {
		j.w.WriteString(",")
	} else {
		j.w.WriteString(`{"sections":[`)
	}
	j.begun = true
	fmt.Fprintf(j.w, "\n{\"name\":%s,\"title\":%s,\"rows\":[", quoted(s.name), quoted(s.title))
	for r, row := range s.rows {
		if r > 0 {
			j.w.WriteString(",")
		}
		j.w.WriteString("\n  {")
		first := true
		for c, col := range s.columns {
			if col.chart != "" {
				continue
			}
			if !first {
				j.w.WriteString(",")
			}
			first = false
			j.w.WriteString(quoted(col.name) + ":")
			if row[c].present {
				j.w.WriteString(quoted(row[c].text))
			} else {
				j.w.WriteString("null")
			}
		}
		j.w.WriteString("}")
	}
	j.w.WriteString("]}")
	return j.w.Flush()
}

func (j *jsonRenderer) close() error {
	if !j.begun {
		j.w.WriteString(`{"sections":[`)
	}
	j.w.WriteString("\n]}\n")
	return j.w.Flush()
}

// quoted returns s as a JSON string.
func quoted(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return `""` // no string fails to encode
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// csvRenderer prints the sections one after the other, each with a header of
// its own and a blank line before it; the first column names the section. NULL
// without quotes is null, as in the input.
type csvRenderer struct {
	w     *bufio.Writer
	begun bool
}

func (v *csvRenderer) section(s *section) error {
	if v.begun {
		v.w.WriteString("\n")
	}
	v.begun = true
	v.w.WriteString("section")
	for _, col := range s.columns {
		if col.chart == "" {
			v.w.WriteString("," + csvText(col.name))
		}
	}
	v.w.WriteString("\n")
	for _, row := range s.rows {
		v.w.WriteString(csvText(s.name))
		for c, col := range s.columns {
			switch {
			case col.chart != "":
			case !row[c].present:
				v.w.WriteString(",NULL")
			default:
				v.w.WriteString("," + csvText(row[c].text))
			}
		}
		v.w.WriteString("\n")
	}
	return v.w.Flush()
}

func (v *csvRenderer) close() error { return v.w.Flush() }

// csvText quotes a text where it needs quotes, which the empty string and the
// word NULL do.
func csvText(s string) string {
	if s == "" || s == "NULL" || strings.ContainsAny(s, ",\"\r\n") || strings.TrimSpace(s) != s {
		return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
	}
	return s
}
