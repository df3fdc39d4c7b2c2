package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// report prints what was measured as it comes, and keeps it for a file.
type report struct {
	out      io.Writer
	markdown strings.Builder
}

// table is a part of a report.
type table struct {
	title string
	notes []string
	// columns and rows are what a person reads: numbers stand on the right.
	columns []string
	rows    [][]string
}

func newReport(out io.Writer) *report {
	r := &report{out: out}
	machine := fmt.Sprintf("%s/%s, %d CPUs, %s", runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), runtime.Version())
	fmt.Fprintln(out, machine)
	fmt.Fprintf(&r.markdown, "# Measured by examples/bench\n\n%s\n", machine)
	return r
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
	markdownRow(&r.markdown, slices.Repeat([]string{"---:"}, len(t.columns)))
	for _, row := range t.rows {
		fmt.Fprintf(w, "%s\t\n", strings.Join(row, "\t"))
		markdownRow(&r.markdown, row)
	}
	return w.Flush()
}

func markdownRow(b *strings.Builder, cells []string) {
	for _, cell := range cells {
		b.WriteString("| " + strings.ReplaceAll(cell, "|", `\|`) + " ")
	}
	b.WriteString("|\n")
}
