package main

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/usagebook/usagebook/usage"
)

// A line is one row of the input, cut down to what the mapping names.
type line struct {
	// number is the line of the file that it begins on, from 1.
	number int
	// cells has one cell for each target of the mapping, in its order.
	cells []cell
	// content is what the line says, for the derivation of an id; only where
	// the mapping asks for one.
	content []byte
}

// A cell is the text of one field. The zero cell is null, which is not the
// empty string.
type cell struct {
	text    string
	present bool
}

// text returns a cell that is not null.
func text(s string) cell { return cell{s, true} }

// lineReader reads the lines of an input one after the other.
type lineReader interface {
	// next returns the next line, io.EOF after the last one, and a *badLine
	// for one that cannot be read; the one after it can.
	next() (*line, error)
}

// badLine says why a line is refused: what the reader or the mapping finds
// wrong with it, in the form in which a book tells its own violations.
type badLine struct {
	number     int
	violations []usage.Violation
}

func (b *badLine) Error() string {
	return fmt.Sprintf("line %d: %s", b.number, sentences(b.violations, true))
}

// refuse returns a badLine with one violation.
func refuse(number int, field, code, format string, args ...any) *badLine {
	return &badLine{number, []usage.Violation{{Code: code, Field: field, Message: fmt.Sprintf(format, args...)}}}
}

// Codes of what is wrong with a line before it is a record. All others are
// those of package usage.
const (
	codeColumns = "columns" // not as many cells as the header has columns
)

// sentences joins violations to one text, with their codes if wanted.
func sentences(violations []usage.Violation, codes bool) string {
	var b strings.Builder
	for i, v := range violations {
		if i > 0 {
			b.WriteString("; ")
		}
		if v.Field != "" {
			b.WriteString(v.Field + ": ")
		}
		b.WriteString(v.Message)
		if codes {
			b.WriteString(" (" + v.Code + ")")
		}
	}
	return b.String()
}

// quote returns s in quotes, cut to a length that fits a message.
func quote(s string) string {
	const most = 40
	if utf8.RuneCountInString(s) > most {
		return fmt.Sprintf("%q...", string([]rune(s)[:most]))
	}
	return fmt.Sprintf("%q", s)
}

// appendText appends s behind its length, so that no two lists of texts run
// into each other.
func appendText(b []byte, s string) []byte {
	b = strconv.AppendInt(b, int64(len(s)), 10)
	b = append(b, ':')
	return append(b, s...)
}
