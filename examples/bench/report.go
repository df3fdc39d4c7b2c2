package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// report prints what was measured as it comes, and keeps it for a file.
type report struct {
	out      io.Writer
	markdown strings.Builder
	// name is the file's, without folder and ending; plots are named after it.
	name  string
	plots []named
	aims  []aim
}

// named is a plot in a file of its own.
type named struct {
	file string
	plot *plot
}

// aim is something that was asked of Usagebook, with how it came out.
type aim struct {
	what, of        string
	asked, measured string
	reached         bool
}

// table is a part of a report.
type table struct {
	title string
	notes []string
	// columns and rows are what a person reads: numbers stand on the right.
	columns []string
	rows    [][]string
}

func newReport(out io.Writer, file string) *report {
	name := filepath.Base(file)
	r := &report{out: out, name: strings.TrimSuffix(name, filepath.Ext(name))}
	for _, text := range machine() {
		fmt.Fprintln(out, text)
	}
	return r
}

// draw puts a plot here in the report.
func (r *report) draw(name string, p *plot) {
	file := r.name + "-" + name + ".svg"
	for i := 2; slices.ContainsFunc(r.plots, func(n named) bool { return n.file == file }); i++ {
		file = fmt.Sprintf("%s-%s-%d.svg", r.name, name, i)
	}
	r.plots = append(r.plots, named{file, p})
	fmt.Fprintf(&r.markdown, "\n![%s](%s)\n", p.title, file)
}

// aimed notes how something came out that was asked for. Times faster and the like
// are reached where measured is at least asked; costs where it is at most that.
func (r *report) aimed(what, of string, asked, measured float64, cost bool) {
	number := func(v float64) string {
		if v >= 1000 {
			return fmt.Sprintf("%.0f", v)
		}
		return fmt.Sprintf("%.3g", v)
	}
	a := aim{what, of, "at least " + number(asked), number(measured), measured >= asked}
	if cost {
		a.asked, a.reached = "at most "+number(asked), measured <= asked
	}
	r.aims = append(r.aims, a)
}

// finish prints what was asked for, and writes the report and its plots to files,
// where it has a name.
func (r *report) finish(file string, args []string) error {
	measured := r.markdown.String()
	r.markdown.Reset() // what was asked for comes first in the file, and last on the screen
	if len(r.aims) > 0 {
		t := &table{title: "What was asked for", columns: []string{"of", "what", "asked for", "measured", "reached"}}
		for _, a := range r.aims {
			reached := "yes"
			if !a.reached {
				reached = "**no**"
			}
			t.rows = append(t.rows, []string{a.of, a.what, a.asked, a.measured, reached})
		}
		if err := r.add(t); err != nil {
			return err
		}
	}
	if file == "" {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Measured by examples/bench on %s\n\n", time.Now().UTC().Format(time.DateOnly))
	fmt.Fprintf(&b, "This file is generated: `go run ./examples/bench %s`. Ratios are medians of the ratios within each turn, with the least and the greatest; times are medians of turns, with how far the others are away.\n\n", strings.Join(args, " "))
	for _, text := range machine() {
		b.WriteString("- " + text + "\n")
	}
	b.WriteString(r.markdown.String() + measured)
	for _, p := range r.plots {
		if err := os.WriteFile(filepath.Join(filepath.Dir(file), p.file), []byte(p.plot.svg()), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(file, []byte(b.String()), 0o644)
}

// progress says what is done, for who waits.
func (r *report) progress(format string, args ...any) { fmt.Fprintf(r.out, format+"\n", args...) }

// add prints a table.
func (r *report) add(t *table) error {
	fmt.Fprintf(r.out, "\n%s\n", t.title)
	fmt.Fprintf(&r.markdown, "\n## %s\n\n", t.title)
	for _, note := range t.notes {
		fmt.Fprintf(r.out, "  %s\n", note)
		fmt.Fprintf(&r.markdown, "- %s\n", note)
	}
	if len(t.notes) > 0 {
		r.markdown.WriteByte('\n')
	}
	w := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%s\t\n", strings.Join(t.columns, "\t"))
	markdownRow(&r.markdown, t.columns)
	markdownRow(&r.markdown, t.alignment())
	for _, row := range t.rows {
		fmt.Fprintf(w, "%s\t\n", strings.Join(row, "\t"))
		markdownRow(&r.markdown, row)
	}
	return w.Flush()
}

// alignment has columns of words begin on the left.
func (t *table) alignment() []string {
	list := slices.Repeat([]string{"---:"}, len(t.columns))
	for i := range list {
		if slices.ContainsFunc(t.rows, func(row []string) bool { return row[i] != "" && row[i][0] >= 'a' && row[i][0] <= 'z' }) {
			list[i] = "---"
		}
	}
	return list
}

func markdownRow(b *strings.Builder, cells []string) {
	for _, cell := range cells {
		b.WriteString("| " + strings.ReplaceAll(cell, "|", `\|`) + " ")
	}
	b.WriteString("|\n")
}
