package native

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/rules"
	"github.com/usagebook/usagebook/usage"
)

// RowsOptions say what [WriteRows] writes beside the rows. nil and the zero
// value write nothing of it.
type RowsOptions struct {
	// Count writes the number of rows of the whole result, which the query must
	// have asked for.
	Count bool
	// NextLink is the absolute address of the next page; empty on the last one.
	NextLink string
}

// rowChunk is how much text is collected before it is written: large enough
// that a write costs little, small enough to be of no weight.
const rowChunk = 32 << 10

// recordColumns are the keys of a record in an answer, in their order.
var recordColumns = []string{"id", "source", "tenant", "meter", "start", "end", "values", "dimensions", "corrects",
	"sequence", "recorded", "verified", "billable"}

// WriteRows writes a page of an answer as JSON:
//
//	{"columns":["start","end","region","quantity"],
//	 "rows":[{"start":"2026-03-01T00:00:00Z","end":"2026-03-02T00:00:00Z","region":"eu","quantity":"1.5"}],
//	 "asOf":42,"count":1,"nextLink":"https://..."}
//
// compact, in this order, without a line end; <, > and & are not escaped. count
// and nextLink are there only if the options have them.
//
// columns are the keys of the rows in their order: the bounds of the row, its
// groups, its measures. Every row has all of them. A group or a measure of
// nothing is null, as is a bound that the query left open; measures and groups
// by a value are decimals in strings; instants are RFC 3339 in UTC, with a
// fraction where there is one; verified and billable are booleans and sequence
// is a number. asOf is the sequence that the answer speaks of, 0 for a book
// where nothing is booked.
//
// A query may group by the records' own start or end. Then the key is the
// group's, as the name is in the query's order, and the bound of the row is
// called rowStart or rowEnd, with as many "_" behind it as it takes to be no
// other column's name.
//
// In an answer of records each row is the record as [usage.Record.AppendJSON]
// writes it, with what is not set left out, followed by what the book added:
//
//	"sequence":7,"recorded":"2026-03-01T00:00:05.25Z","verified":true,"billable":false
//
// verified is null where no rule covers the record; sequence and recorded are
// null for a record that was not given them yet.
//
// The text goes to w in pieces of some 32 KiB, so that a page is never a second
// time in memory. An error is one of w, or one of a record that has no JSON
// form, which no record of a book is; w has a part of the text then.
func WriteRows(w io.Writer, page *usage.Page, o *RowsOptions) error {
	if o == nil {
		o = &RowsOptions{}
	}
	out := rowWriter{w: w, buf: make([]byte, 0, 4<<10)}
	keys := rowKeys(page)
	out.head(keys)
	for i, k := range keys {
		// What stands before the value of each column.
		lead := appendText([]byte{','}, k)
		if i == 0 {
			lead[0] = '{'
		}
		out.leads = append(out.leads, append(lead, ':'))
	}
	for i := range page.Rows {
		if i > 0 {
			out.buf = append(out.buf, ',')
		}
		if err := out.row(page, &page.Rows[i]); err != nil {
			return fmt.Errorf("native: rows: %w", err)
		}
	}
	return out.tail(page.AsOf, page.Count, o)
}

// rowKeys returns the keys of the rows of a page.
func rowKeys(page *usage.Page) []string {
	if isRecords(page) {
		return recordColumns
	}
	keys := []string{"start", "end"}
	for _, c := range page.Columns {
		keys = append(keys, valid(c.Name))
	}
	for i, name := range [...]string{"rowStart", "rowEnd"} {
		if !slices.Contains(keys[2:], keys[i]) {
			continue
		}
		for slices.Contains(keys, name) {
			name += "_"
		}
		keys[i] = name
	}
	return keys
}

// isRecords reports whether the answer is records: any other has a measure.
func isRecords(page *usage.Page) bool {
	if len(page.Rows) > 0 {
		return page.Rows[0].Record != nil
	}
	return !slices.ContainsFunc(page.Columns, func(c usage.Column) bool { return c.Measure != nil })
}

type rowWriter struct {
	w     io.Writer
	buf   []byte
	leads [][]byte
}

// head begins the answer, up to its rows.
func (o *rowWriter) head(keys []string) {
	o.buf = append(o.buf, `{"columns":[`...)
	for i, k := range keys {
		if i > 0 {
			o.buf = append(o.buf, ',')
		}
		o.buf = appendText(o.buf, k)
	}
	o.buf = append(o.buf, `],"rows":[`...)
}

// tail ends it behind its rows.
func (o *rowWriter) tail(at usage.AsOf, count int64, opts *RowsOptions) error {
	o.buf = strconv.AppendUint(append(o.buf, `],"asOf":`...), at.Sequence, 10)
	if opts.Count {
		o.buf = strconv.AppendInt(append(o.buf, `,"count":`...), count, 10)
	}
	if opts.NextLink != "" {
		o.buf = appendText(append(o.buf, `,"nextLink":`...), valid(opts.NextLink))
	}
	o.buf = append(o.buf, '}')
	if err := o.flush(); err != nil {
		return fmt.Errorf("native: rows: %w", err)
	}
	return nil
}

func (o *rowWriter) flush() error {
	_, err := o.w.Write(o.buf)
	o.buf = o.buf[:0]
	return err
}

func (o *rowWriter) row(page *usage.Page, r *usage.Row) error {
	if r.Record != nil {
		if err := o.record(r.Record); err != nil {
			return err
		}
	} else {
		o.buf = appendInstant(append(o.buf, o.leads[0]...), r.Start)
		o.buf = appendInstant(append(o.buf, o.leads[1]...), r.End)
		for i := range page.Columns {
			cell := filter.Null()
			if i < len(r.Cells) {
				cell = r.Cells[i]
			}
			bare := page.Columns[i].Measure == nil && page.Columns[i].Name == "sequence"
			o.buf = appendCell(append(o.buf, o.leads[2+i]...), cell, bare)
		}
		o.buf = append(o.buf, '}')
	}
	if len(o.buf) < rowChunk {
		return nil
	}
	return o.flush()
}

func (o *rowWriter) record(s *usage.Stored) error {
	out, err := s.Record.AppendJSON(o.buf)
	if err != nil {
		return err
	}
	out = append(out[:len(out)-1], `,"sequence":`...)
	if s.Sequence > 0 {
		out = strconv.AppendUint(out, s.Sequence, 10)
	} else {
		out = append(out, "null"...)
	}
	out = appendInstant(append(out, `,"recorded":`...), s.Recorded)
	out = append(out, `,"verified":`...)
	if s.Verdict.State == rules.NoRule {
		out = append(out, "null"...)
	} else {
		out = strconv.AppendBool(out, s.Verdict.State == rules.Verified)
	}
	out = strconv.AppendBool(append(out, `,"billable":`...), s.Verdict.Billable)
	o.buf = append(out, '}')
	return nil
}

// appendInstant appends an instant, or null for the zero time.
func appendInstant(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(dst, "null"...)
	}
	dst = append(dst, '"')
	dst = t.UTC().AppendFormat(dst, "2006-01-02T15:04:05.999999Z")
	return append(dst, '"')
}

// appendCell appends a cell. Numbers are strings unless bare.
func appendCell(dst []byte, v filter.Value, bare bool) []byte {
	switch v.Type() {
	case filter.TypeNull:
		return append(dst, "null"...)
	case filter.TypeBool:
		return strconv.AppendBool(dst, v.Bool())
	case filter.TypeTime:
		return appendInstant(dst, v.Time())
	case filter.TypeDecimal:
		if bare {
			return appendNumber(dst, v)
		}
		return append(appendNumber(append(dst, '"'), v), '"')
	}
	return appendText(dst, valid(v.String()))
}

// appendNumber appends what v.String returns, mostly without allocating.
func appendNumber(dst []byte, v filter.Value) []byte {
	coef, scale, ok := v.Small()
	if !ok || scale > 30 {
		return append(dst, v.String()...)
	}
	for ; scale > 0 && coef%10 == 0; scale-- {
		coef /= 10
	}
	if coef < 0 {
		dst = append(dst, '-')
	}
	magnitude := uint64(coef)
	if coef < 0 {
		magnitude = -magnitude
	}
	var digits [32]byte
	text := strconv.AppendUint(digits[:0], magnitude, 10)
	n := int(scale)
	switch {
	case n == 0:
		return append(dst, text...)
	case n < len(text):
		dst = append(dst, text[:len(text)-n]...)
		return append(append(dst, '.'), text[len(text)-n:]...)
	}
	dst = append(dst, '0', '.')
	for range n - len(text) {
		dst = append(dst, '0')
	}
	return append(dst, text...)
}
