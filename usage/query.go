package usage

import (
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
)

// Query asks the book for figures, or for the records behind them.
//
// With measures, groups or a window the answer has a row for each group and
// window that has records; with none of the three it is the counted records
// themselves. The zero Query is every counted record of the scope.
type Query struct {
	// From and To select the half-open range From <= t < To; a zero time leaves
	// that side open. On says which clock they go by.
	From, To time.Time
	// On is EventTime (the record's Start) or RecordedTime (when it was
	// booked). Defaults to EventTime. A range on recorded time selects records
	// by their own Recorded; corrections apply as of AsOf all the same. One
	// that ended in the past is complete: no record is booked into it any more,
	// however long a writer takes. (AsOf with a sequence asks for less: what of
	// the range was booked by then. See [Book.Settled].)
	On Clock

	// Filter is an expression of package filter; empty is no condition. Its
	// names are the record's fields (id source tenant meter start end recorded
	// sequence verified billable), declared values and dimensions, any other
	// name as a dimension, values/NAME and dimensions/NAME.
	Filter string

	// GroupBy names the fields to group by, each entry a name or a list of
	// names with commas. A record that lacks a dimension is in the group null,
	// which differs from the empty string.
	GroupBy []string

	// Window cuts event time; the zero Window does not. A record belongs to the
	// window of its Start.
	Window aggregate.Window

	// Measures are the figures of each row. Without any, a grouped or windowed
	// query takes the declared aggregation of each value of the meters that it
	// selects, and the sum of "quantity" where it can select an undeclared one.
	Measures []Measure

	// OrderBy is a list of columns with asc or desc ("quantity desc, region");
	// for records any field. Ties are broken by window and group, for records
	// by (start, source, id, tenant), so the order is always total. Null comes
	// first ascending and last descending.
	OrderBy string

	// Limit caps the whole result, over all pages. 0 is no limit.
	Limit int

	// PageSize is the number of rows in a page. Defaults to 1,000; at most
	// 10,000. It may change from page to page.
	PageSize int

	// Token is the Next of the page before. The rest of the query must be the
	// same as it was then, in meaning if not in spelling.
	Token string

	// AsOf repeats what was true at an earlier moment. A sequence that is not
	// booked yet is refused; a time that the book's clock has not reached asks
	// for now, and promises nothing about what is booked until then. With a
	// Token it must be zero or the same as on the first page.
	AsOf AsOf

	// ZeroFill adds a row for every window of the range, for each group that
	// appears in the range (the one ungrouped row always), so that silent
	// windows are seen: sums and counts are 0 there, other measures null. It
	// needs a window and both ends of the range.
	ZeroFill bool

	// Count asks for the number of rows of the whole result.
	Count bool
}

// Clock is one of the two times of a record.
type Clock uint8

// The clocks.
const (
	EventTime    Clock = iota // Start: when it was used
	RecordedTime              // Recorded: when it was booked
)

// Measure is a figure of a row.
type Measure struct {
	// Name is the column. Defaults to the value's name for a Sum, and to
	// aggregation and value joined by "_" otherwise ("max_quantity"); for a
	// Count of records to "count".
	Name string
	// Aggregation is how. Defaults to Sum.
	Aggregation Aggregation
	// Of is the value to aggregate; for CountDistinct a dimension or a
	// reserved field too, where no value of that name is declared. Empty with
	// Count: the records themselves.
	Of string
	// Meter narrows the measure to the records of one meter, so that one query
	// can show several meters side by side. Empty: all.
	Meter string
}

// Page is one page of an answer.
type Page struct {
	// Columns describe the cells of the rows: groups first, then measures. For
	// an answer of records they are the reserved fields.
	Columns []Column
	Rows    []Row
	// Next is the token of the next page; empty when this is the last one.
	Next string
	// AsOf is the moment that the answer speaks of. Given in another query, it
	// repeats this one's view of the book.
	AsOf AsOf
	// Count is the number of rows of the whole result, where it was asked for.
	Count int64
}

// Column describes a column of an answer.
type Column struct {
	Name string
	// Measure is nil for a group or a record's field.
	Measure *Measure
}

// Row is a row of an answer.
type Row struct {
	// Start and End are the half-open bounds of the row: its window, or without
	// one the range of the query, zero where that is open. For a record they
	// are its own Start and End.
	Start, End time.Time
	// Cells hold a value for each column; decimals are exact.
	Cells []filter.Value
	// Record is the record itself in an answer of records, nil otherwise.
	Record *Stored

	of *answer
}

// answer is what the rows of an answer have in common.
type answer struct {
	columns []Column
	groups  int // how many of the columns are groups
	book    *Book
	mark    Mark // the moment the rows speak of
	now     time.Time
}

// Columns describe the cells of the row, as Page.Columns does. The slice is not
// to be changed.
func (r *Row) Columns() []Column {
	if r.of == nil {
		return nil
	}
	return r.of.columns
}

// Get returns the cell of a column by its name; for a record any of its fields,
// as in a filter. Null where there is none.
func (r *Row) Get(name string) filter.Value {
	if r.of == nil {
		return filter.Null()
	}
	for i := range r.of.columns {
		if r.of.columns[i].Name == name && i < len(r.Cells) {
			return r.Cells[i]
		}
	}
	if r.Record != nil {
		if f, ok := r.of.book.fields.resolve(name); ok {
			return f.of(r.Record)
		}
	}
	return filter.Null()
}
