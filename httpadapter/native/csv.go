package native

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
)

const (
	// maxColumns is far above what the records of one file have: 32 values and
	// 64 dimensions each.
	maxColumns = 1024
	// maxRowValues and maxRowDimensions are what a record may have. A row costs
	// no more memory than that, however many short cells it has.
	maxRowValues     = 32
	maxRowDimensions = 64
	// chunkRows and chunkBytes are how much is rewritten as JSON at a time.
	chunkRows  = 256
	chunkBytes = 64 << 10
)

// csvHeads are the columns that are rewritten as the JSON form of a record, in
// its order. The last three make one object.
var csvHeads = [...]string{"id", "source", "tenant", "meter", "start", "end", "corrects.kind", "corrects.source", "corrects.id"}

const (
	firstCorrects  = 6
	valuesPrefix   = "values."
	dimensionsPart = "dimensions."
	correctsPrefix = "corrects."
)

func csvColumns() []string {
	return append(append([]string{}, csvHeads[:firstCorrects]...),
		"quantity", "values.NAME", "dimensions.NAME", "corrects.kind", "corrects.source", "corrects.id")
}

// csvColumn is a column of a value or a dimension.
type csvColumn struct {
	name string
	cell int
}

// csvTable reads rows under a header.
type csvTable struct {
	*decoding
	scan    csvScanner
	columns int
	heads   [len(csvHeads)]int // the cell of each, -1 without a column
	values  []csvColumn        // in the order of names, as the dimensions
	dims    []csvColumn

	records []usage.Record
	// The rows of the present chunk: what JSON says of them, and the rest.
	text []byte
	rows []csvRow
	// Scratch space.
	valueList []usage.Value
	dimList   []usage.Dimension
}

// csvRow is what is not in the JSON of a row.
type csvRow struct {
	values usage.Values
	dims   usage.Dimensions
	faults []usage.Violation
}

// csv reads rows as records. Instants and corrections go through the JSON form,
// so that they mean the same in both.
func (d *decoding) csv(body []byte) ([]usage.Record, error) {
	t := &csvTable{decoding: d, scan: csvScanner{data: body, line: 1, rowBytes: d.recordBytes, most: maxColumns}}
	if err := t.header(); err != nil {
		return nil, err
	}
	t.records = []usage.Record{}
	for t.scan.next() {
		if len(t.records)+len(t.rows) == d.records {
			return nil, d.tooMany(t.scan.from, t.scan.fromLine)
		}
		t.row()
		if len(t.rows) == chunkRows || len(t.text) >= chunkBytes {
			if err := t.flush(); err != nil {
				return nil, err
			}
		}
	}
	if err := t.flush(); err != nil {
		return nil, err
	}
	return t.records, nil
}

func (t *csvTable) badHeader(message string, allowed ...string) error {
	return &DecodeError{Status: http.StatusBadRequest, Offset: -1, Line: t.scan.fromLine, Message: message, Allowed: allowed}
}

// header reads the names of the columns.
func (t *csvTable) header() error {
	s := &t.scan
	if !s.next() {
		return t.badHeader("the text is empty: the first line names the columns", csvColumns()...)
	}
	switch {
	case s.fault != "":
		return t.badHeader("the header: " + s.fault)
	case s.cells > maxColumns:
		return t.badHeader(fmt.Sprintf("the header has %d columns, at most %d are read", s.cells, maxColumns))
	}
	for i := range t.heads {
		t.heads[i] = -1
	}
	seen := make(map[string]int, s.cells)
	all := string(s.text)
	for i := range s.cells {
		from, to := s.cell(i)
		name := all[from:to]
		if err := t.column(name, i); err != nil {
			return err
		}
		if name == usage.QuantityName {
			name = valuesPrefix + name
		}
		if k, twice := seen[name]; twice {
			return t.badHeader(fmt.Sprintf("columns %d and %d are both %s", k+1, i+1, quoted(name)))
		}
		seen[name] = i
	}
	byName := func(a, b csvColumn) int { return strings.Compare(a.name, b.name) }
	slices.SortFunc(t.values, byName)
	slices.SortFunc(t.dims, byName)
	t.columns = s.cells
	s.most = s.cells
	return nil
}

// column takes the i-th column in.
func (t *csvTable) column(name string, i int) error {
	value, isValue := strings.CutPrefix(name, valuesPrefix)
	dim, isDim := strings.CutPrefix(name, dimensionsPart)
	head := slices.Index(csvHeads[:], name)
	switch {
	case !utf8.ValidString(name):
		return t.badHeader(fmt.Sprintf("the name of column %d is not valid UTF-8", i+1))
	case name == usage.QuantityName:
		t.values = append(t.values, csvColumn{name, i})
	case head >= 0:
		t.heads[head] = i
	case isValue && value != "":
		t.values = append(t.values, csvColumn{value, i})
	case isDim && dim != "":
		t.dims = append(t.dims, csvColumn{dim, i})
	case name == "":
		return t.badHeader(fmt.Sprintf("column %d has no name", i+1), csvColumns()...)
	default:
		return t.badHeader(fmt.Sprintf("column %d, %s, is unknown", i+1, quoted(name)), csvColumns()...)
	}
	return nil
}

// row takes the present row into the chunk.
func (t *csvTable) row() {
	s := &t.scan
	if len(t.rows) > 0 {
		t.text = append(t.text, ',')
	} else {
		t.text = append(t.text[:0], '[')
	}
	var row csvRow
	fault := func(code, message string) {
		row.faults = append(row.faults, usage.Violation{Code: code, Field: "record", Message: fmt.Sprintf("line %d: %s", s.fromLine, message)})
	}
	switch {
	case s.fault != "":
		fault(s.code, s.fault)
	case s.cells != t.columns:
		fault(usage.CodeSyntax, fmt.Sprintf("%s where the header has %d", plural(s.cells, "cell"), t.columns))
	}
	if len(row.faults) > 0 {
		// What stands in which column is not known: nothing of it is read.
		t.text = append(t.text, '{', '}')
		t.rows = append(t.rows, row)
		return
	}
	if n := s.pos - s.from; n > t.recordBytes {
		fault(usage.CodeTooLong, fmt.Sprintf("has %d bytes, at most %d are read", n, t.recordBytes))
	}
	t.rowHeads()
	t.rowValues(&row)
	t.rowDimensions(&row)
	t.rows = append(t.rows, row)
}

// rowHeads writes the JSON form of a row.
func (t *csvTable) rowHeads() {
	out := append(t.text, '{')
	corrects := false
	for i, at := range t.heads {
		if at < 0 {
			continue
		}
		cell := t.scan.bytes(at)
		if len(cell) == 0 {
			continue
		}
		name := csvHeads[i]
		if out[len(out)-1] != '{' {
			out = append(out, ',')
		}
		if i >= firstCorrects {
			if !corrects {
				out = append(out, `"corrects":{`...)
				corrects = true
			}
			name = name[len(correctsPrefix):]
		}
		out = append(append(append(out, '"'), name...), '"', ':')
		out = appendText(out, cell)
	}
	if corrects {
		out = append(out, '}')
	}
	t.text = append(out, '}')
}

func (t *csvTable) rowValues(row *csvRow) {
	list := t.valueList[:0]
	n := 0
	for _, c := range t.values {
		cell := t.scan.bytes(c.cell)
		if len(cell) == 0 {
			continue
		}
		if n++; n > maxRowValues {
			continue
		}
		number, err := aggregate.ParseNumberBytes(cell)
		if err != nil {
			code := usage.CodeSyntax
			if errors.Is(err, aggregate.ErrRange) {
				code = usage.CodeOutOfRange
			}
			row.faults = append(row.faults, usage.Violation{Code: code, Field: valuesPrefix + c.name, Message: err.Error()})
			continue
		}
		list = append(list, usage.Value{Name: c.name, Number: number})
	}
	row.values = usage.NewValues(list...)
	t.valueList = list
	if n > maxRowValues {
		row.faults = append(row.faults, usage.Violation{Code: usage.CodeTooMany, Field: "values", Message: fmt.Sprintf("has %d values, at most %d are allowed", n, maxRowValues)})
	}
}

func (t *csvTable) rowDimensions(row *csvRow) {
	list := t.dimList[:0]
	n, length := 0, 0
	for _, c := range t.dims {
		if size := len(t.scan.bytes(c.cell)); size > 0 {
			n++
			length += size
		}
	}
	// One piece of memory holds the texts of all dimensions of a record.
	var text strings.Builder
	text.Grow(length)
	for _, c := range t.dims {
		cell := t.scan.bytes(c.cell)
		if len(cell) == 0 || len(list) == maxRowDimensions {
			continue
		}
		at := text.Len()
		text.Write(cell)
		list = append(list, usage.Dimension{Name: c.name, Value: text.String()[at:]})
	}
	row.dims = usage.NewDimensions(list...)
	t.dimList = list
	if n > maxRowDimensions {
		row.faults = append(row.faults, usage.Violation{Code: usage.CodeTooMany, Field: "dimensions", Message: fmt.Sprintf("has %d dimensions, at most %d are allowed", n, maxRowDimensions)})
	}
}

// flush makes records of the rows of the chunk.
func (t *csvTable) flush() error {
	if len(t.rows) == 0 {
		return nil
	}
	t.text = append(t.text, ']')
	heads, err := usage.DecodeRecords(t.text, &usage.DecodeLimits{Bytes: len(t.text), Records: len(t.rows)})
	if err != nil {
		return fmt.Errorf("native: decode: rows as JSON: %w", err)
	}
	for i := range t.rows {
		r, row := &heads[i], &t.rows[i]
		r.Values, r.Dimensions = row.values, row.dims
		for _, f := range row.faults {
			if name, ok := strings.CutPrefix(f.Field, valuesPrefix); ok {
				r.Values = r.Values.WithFault(name, f.Code, f.Message)
			} else {
				*r = r.WithFault(f.Field, f.Code, f.Message)
			}
		}
	}
	t.records = append(t.records, heads...)
	t.rows = t.rows[:0]
	return nil
}

// csvScanner splits a text into rows by RFC 4180. encoding/csv is of no use
// here: a quote that is never closed takes everything behind it along, and it
// rewrites CRLF within quotes.
type csvScanner struct {
	data     []byte
	pos      int
	line     int // of pos, from 1
	rowBytes int // how far behind the start of a row a quote is looked for
	most     int // how many cells are kept

	// The present row.
	from, fromLine int
	text           []byte // of all cells, one behind the other
	ends           []int  // where each cell ends in text
	cells          int    // how many there are; above most they are counted only
	fault, code    string // what keeps it from being read, or ""
}

// next goes to the next row that is not blank and reports whether there is one.
//
// Where quotes are out of place it is not known what the lines behind them are.
// Then the row is its first line, and the scanner goes on with the second: a
// quote that was opened by mistake costs no other row. The time stays in
// proportion to the text: a line that a quote runs over has an even number of
// quotes, or the quote would end there, and so runs over no other line.
func (s *csvScanner) next() bool {
	for s.pos < len(s.data) {
		if n := lineEnd(s.data[s.pos:]); n > 0 {
			s.pos += n
			s.line++
			continue
		}
		break
	}
	s.from, s.fromLine = s.pos, s.line
	s.text, s.ends, s.cells, s.fault, s.code = s.text[:0], s.ends[:0], 0, "", ""
	if s.pos >= len(s.data) {
		return false
	}
	if s.fault = s.row(); s.fault != "" {
		if s.code == "" {
			s.code = usage.CodeSyntax
		}
		s.line = s.fromLine + 1
		if i := bytes.IndexByte(s.data[s.from:], '\n'); i >= 0 {
			s.pos = s.from + i + 1
		} else {
			s.pos = len(s.data)
		}
	}
	return true
}

// lineEnd returns the length of the line end that b begins with, or 0.
func lineEnd(b []byte) int {
	switch {
	case len(b) > 0 && b[0] == '\n':
		return 1
	case len(b) > 1 && b[0] == '\r' && b[1] == '\n':
		return 2
	case len(b) == 1 && b[0] == '\r':
		return 1
	}
	return 0
}

// row reads the cells of the row at the present place and says what is wrong.
func (s *csvScanner) row() (fault string) {
	for {
		if s.pos < len(s.data) && s.data[s.pos] == '"' {
			if fault := s.quoted(); fault != "" {
				return fault
			}
		} else {
			i := s.pos
			for i < len(s.data) && s.data[i] != ',' && s.data[i] != '\n' {
				if s.data[i] == '"' {
					return fmt.Sprintf("a quote inside cell %d, which does not begin with one", s.cells+1)
				}
				i++
			}
			if i > s.pos && s.data[i-1] == '\r' && (i == len(s.data) || s.data[i] == '\n') {
				i-- // of the line end
			}
			s.end(s.data[s.pos:i])
			s.pos = i
		}
		rest := s.data[s.pos:]
		switch n := lineEnd(rest); {
		case len(rest) == 0:
			return ""
		case n > 0:
			s.pos += n
			s.line++
			return ""
		case rest[0] == ',':
			s.pos++
		default:
			return fmt.Sprintf("cell %d goes on behind its closing quote", s.cells)
		}
	}
}

// end closes a cell with the last of its text.
func (s *csvScanner) end(text []byte) {
	if s.cells++; s.cells > s.most {
		return
	}
	s.text = append(s.text, text...)
	s.ends = append(s.ends, len(s.text))
}

// quoted reads the cell in quotes at the present place.
func (s *csvScanner) quoted() (fault string) {
	s.pos++
	for {
		limit := min(len(s.data), max(s.pos, s.from+s.rowBytes))
		i := bytes.IndexByte(s.data[s.pos:limit], '"')
		if i < 0 {
			if limit < len(s.data) {
				s.code = usage.CodeTooLong
				return fmt.Sprintf("the quote that opens cell %d is not closed within %d bytes", s.cells+1, s.rowBytes)
			}
			return fmt.Sprintf("the quote that opens cell %d is never closed", s.cells+1)
		}
		part := s.data[s.pos : s.pos+i]
		s.line += bytes.Count(part, []byte{'\n'})
		s.pos += i + 1
		if s.pos == len(s.data) || s.data[s.pos] != '"' {
			s.end(part)
			return ""
		}
		if s.cells < s.most {
			s.text = append(append(s.text, part...), '"')
		}
		s.pos++
	}
}

// cell returns where the i-th cell stands in text.
func (s *csvScanner) cell(i int) (from, to int) {
	if i > 0 {
		from = s.ends[i-1]
	}
	return from, s.ends[i]
}

func (s *csvScanner) bytes(i int) []byte {
	from, to := s.cell(i)
	return s.text[from:to]
}

// plural returns a count with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
