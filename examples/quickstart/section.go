package main

import (
	"strconv"
	"time"

	"github.com/usagebook/usagebook/filter"
)

// A section is one table of the report.
type section struct {
	// name is its key in JSON and CSV, title its headline in tables.
	name, title string
	columns     []column
	rows        [][]cell
	// notes are sentences below the table; only tables have them.
	notes []string
}

// column is a column of a section.
type column struct {
	name string
	// number columns are aligned at the decimal point.
	number bool
	// chart columns are drawn from the column of this name; only tables have
	// them.
	chart string
}

func textColumns(names ...string) []column {
	var c []column
	for _, n := range names {
		c = append(c, column{name: n})
	}
	return c
}

func numberColumns(names ...string) []column {
	var c []column
	for _, n := range names {
		c = append(c, column{name: n, number: true})
	}
	return c
}

func (s *section) add(cells ...cell) { s.rows = append(s.rows, cells) }

func (s *section) note(text string) { s.notes = append(s.notes, text) }

// whole is a cell with a count.
func whole(n int) cell { return text(strconv.Itoa(n)) }

// value is a cell with a value of an answer. Numbers keep every digit.
func value(v filter.Value) cell {
	if v.IsNull() {
		return cell{}
	}
	return text(v.String())
}

// instant is a cell with a time, as short as it can be said.
func instant(t time.Time, layout string) cell {
	if t.IsZero() {
		return cell{}
	}
	return text(t.Format(layout))
}
