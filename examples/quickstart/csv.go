package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/usagebook/usagebook/usage"
)

// csvField is one field of a CSV record. encoding/csv does not tell whether a
// field stood in quotes, which is what makes the difference between NULL and
// "NULL", and between nothing and the empty string: hence a reader of our own.
type csvField struct {
	text   string
	quoted bool
}

// csvScanner splits a file into records by RFC 4180: fields in quotes may hold
// the delimiter, line ends and doubled quotes. Blank lines are skipped. A
// record that breaks the rules is refused and costs one physical line: when a
// quote is never closed, reading goes on with the line after the one that
// opened it.
type csvScanner struct {
	lines     *physical
	delimiter byte

	buf    []byte // the text of all fields, one behind the other
	ends   []int  // where each field ends in buf
	quotes []bool // which fields stood in quotes
	open   bool   // a quote is open at the end of what was read
	fields []csvField
}

func newCSVScanner(r io.Reader, delimiter byte) *csvScanner {
	return &csvScanner{lines: newPhysical(r), delimiter: delimiter}
}

// next returns the fields of the next record, which are valid until the next
// call, and the line that it begins on.
func (s *csvScanner) next() (fields []csvField, number int, err error) {
	var first string
	for {
		first, err = s.lines.next()
		number = s.lines.number
		if err != nil {
			return nil, number, s.fault(number, err)
		}
		if number == 1 {
			first = strings.TrimPrefix(first, "\ufeff")
		}
		if strings.TrimRight(first, "\r\n") != "" {
			break
		}
	}
	s.buf, s.ends, s.quotes, s.open = s.buf[:0], s.ends[:0], s.quotes[:0], false
	fault := s.split(first)
	var more []taken
	for s.open && fault == "" {
		rest, err := s.lines.next()
		if err != nil && err != io.EOF && err != errLongLine {
			return nil, number, err
		}
		if err != io.EOF {
			more = append(more, taken{rest, err})
		}
		if err != nil || len(s.buf)+len(rest) > maxLine {
			// The file ends or the record would be too long: the quote was
			// opened by mistake, and what followed is read again as lines of
			// their own.
			fault = fmt.Sprintf("the quote that opens field %d is never closed", len(s.ends)+1)
			break
		}
		fault = s.split(rest)
	}
	if fault != "" {
		if len(more) > 0 && !s.open {
			// The quote that seemed to close it was the first of a later field.
			fault = "a quote is opened and not closed: " + fault
		}
		s.lines.giveBack(more)
		return nil, number, refuse(number, "", usage.CodeSyntax, "%s", fault)
	}
	all := string(s.buf)
	s.fields = s.fields[:0]
	begin := 0
	for i, end := range s.ends {
		s.fields = append(s.fields, csvField{all[begin:end], s.quotes[i]})
		begin = end
	}
	return s.fields, number, nil
}

func (s *csvScanner) fault(number int, err error) error {
	if err == errLongLine {
		return refuse(number, "", usage.CodeTooLong, "the line is longer than %d bytes", maxLine)
	}
	return err
}

// split reads the fields of one physical line, the first of which may have
// begun on the line before. It returns what is wrong, or "".
func (s *csvScanner) split(line string) (fault string) {
	end := len(strings.TrimSuffix(line, "\n"))
	if end > 0 && line[end-1] == '\r' {
		end--
	}
	at := 0
	for {
		if s.open || (at < end && line[at] == '"') {
			if !s.open {
				at++
			}
			at = s.quoted(line, at)
			if s.open {
				return ""
			}
			s.endField(true)
			if at >= end {
				return ""
			}
			if line[at] != s.delimiter {
				return fmt.Sprintf("field %d goes on behind its closing quote", len(s.ends))
			}
		} else {
			text := line[at:end]
			i := strings.IndexByte(text, s.delimiter)
			if i >= 0 {
				text = text[:i]
			}
			if strings.IndexByte(text, '"') >= 0 {
				return fmt.Sprintf("a quote inside field %d, which does not begin with one", len(s.ends)+1)
			}
			s.buf = append(s.buf, text...)
			s.endField(false)
			if i < 0 {
				return ""
			}
			at += i
		}
		at++ // the delimiter
	}
}

// quoted reads a field in quotes from behind the opening one and returns where
// the closing one ends. s.open says whether there is none on this line.
func (s *csvScanner) quoted(line string, at int) int {
	for {
		i := strings.IndexByte(line[at:], '"')
		if i < 0 {
			s.buf = append(s.buf, line[at:]...)
			s.open = true
			return len(line)
		}
		s.buf = append(s.buf, line[at:at+i]...)
		at += i + 1
		if at == len(line) || line[at] != '"' {
			s.open = false
			return at
		}
		s.buf = append(s.buf, '"')
		at++
	}
}

func (s *csvScanner) endField(quoted bool) {
	s.ends = append(s.ends, len(s.buf))
	s.quotes = append(s.quotes, quoted)
}

// csvLines reads a CSV file with a header as lines of a mapping.
type csvLines struct {
	scanner *csvScanner
	header  []string
	// index is the column of each target, -1 for one that the file lacks.
	index []int
	// sorted is the columns in the order of their names, for the content.
	sorted []int
	null   nullTexts
	line   line
	derive bool
}

// newCSVLines reads the header. Its errors end the run: without the columns no
// line can be read.
func newCSVLines(r io.Reader, m *mapping, null nullTexts, delimiter byte) (*csvLines, error) {
	c := &csvLines{scanner: newCSVScanner(r, delimiter), null: null}
	fields, _, err := c.scanner.next()
	if err == io.EOF {
		return nil, errors.New("the file is empty: a header with the names of the columns is needed")
	}
	if err != nil {
		return nil, fmt.Errorf("the header: %w", err)
	}
	at := make(map[string]int, len(fields))
	for i, f := range fields {
		if !utf8.ValidString(f.text) {
			return nil, fmt.Errorf("the header: column %d is not valid UTF-8", i+1)
		}
		if k, twice := at[f.text]; twice && m.names(f.text) {
			return nil, fmt.Errorf("the header: columns %d and %d are both named %s", k+1, i+1, quote(f.text))
		}
		at[f.text] = i
		c.header = append(c.header, f.text)
		c.sorted = append(c.sorted, i)
	}
	slices.SortStableFunc(c.sorted, func(a, b int) int { return cmp.Compare(c.header[a], c.header[b]) })
	if err := m.bind(func(column string) bool { _, ok := at[column]; return ok }); err != nil {
		return nil, err
	}
	c.derive = m.derives()
	for _, t := range m.targets {
		i, ok := at[t.column]
		if !ok {
			i = -1
		}
		c.index = append(c.index, i)
	}
	c.line.cells = make([]cell, len(m.targets))
	return c, nil
}

func (c *csvLines) next() (*line, error) {
	fields, number, err := c.scanner.next()
	if err != nil {
		return nil, err
	}
	if len(fields) != len(c.header) {
		return nil, refuse(number, "", codeColumns, "%s where the header has %d", plural(len(fields), "cell"), len(c.header))
	}
	for i, f := range fields {
		if !utf8.ValidString(f.text) {
			return nil, refuse(number, c.header[i], usage.CodeCharacters, "not valid UTF-8")
		}
	}
	l := &c.line
	l.number = number
	for t, i := range c.index {
		l.cells[t] = cell{}
		if i >= 0 {
			l.cells[t] = c.null.cell(fields[i])
		}
	}
	if c.derive {
		l.content = l.content[:0]
		for _, i := range c.sorted {
			if f := c.null.cell(fields[i]); f.present {
				l.content = appendText(appendText(l.content, c.header[i]), f.text)
			}
		}
	}
	return l, nil
}

// nullTexts are the texts that mean null where they stand without quotes.
type nullTexts []string

// nullEmpty stands for the empty text on the command line.
const nullEmpty = "empty"

func parseNull(flag string) nullTexts {
	var n nullTexts
	for _, s := range strings.Split(flag, ",") {
		if s == nullEmpty {
			s = ""
		} else if s == "" {
			continue
		}
		n = append(n, s)
	}
	return n
}

func (n nullTexts) cell(f csvField) cell {
	if !f.quoted && slices.Contains(n, f.text) {
		return cell{}
	}
	return text(f.text)
}

// plural returns a count with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
