package usage

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
)

// ApplyQuery asks the book for what a pipeline of transformations makes of the
// records: the $apply of the OData extension for data aggregation 4.0.
//
//	filter(region ne null)/groupby((region),aggregate(quantity with sum as total))/topcount(3,total)
//
// The transformations are filter, groupby, aggregate with sum, min, max,
// average, countdistinct and $count, compute, orderby, top, skip, topcount,
// topsum, toppercent, bottomcount, bottomsum, bottompercent, concat and
// identity. The others of the standard are refused by name.
//
// # Names
//
// Before the first grouping names are those of Query.Filter, with two
// differences where they are aggregated: an undeclared bare name is a value
// there, and as all that countdistinct takes it is the value where a record has
// one, else the dimension. After a grouping there are its groups and results
// and nothing else. A group has the bare name of its field, however it was
// spelled, unless that name means something else.
//
// # Null, numbers and order
//
// Null is a group of its own. Sum, min, max and average disregard nulls and are
// null of nothing; counts are 0 then. Figures are exact, averages as in a Query
// (those of durations to the picosecond).
// An aggregate without groups has one row, even of no records.
//
// Groups come in the order of their values, records by (start, source, id,
// tenant), branches of concat one after the other. orderby keeps that order
// among equals; topcount and its kin choose by it among equals and leave rows in
// the order in which they were. So the order is always total. Null comes first
// ascending and last descending, also for bottomcount and topcount. Where the
// total is zero, which has no percentage, toppercent and bottompercent keep all.
type ApplyQuery struct {
	// From, To and On select the records that go into the pipeline, as in a
	// Query.
	From, To time.Time
	On       Clock

	// Window cuts event time; the zero Window does not. The first grouping of
	// the pipeline, a groupby or an aggregate, is then by window too: its rows
	// begin with the columns start and end, instants like others for what
	// follows. It needs such a grouping, in every branch of a concat or in none.
	// Silent windows have no row.
	Window aggregate.Window

	// Apply is the pipeline. It has at most 64 transformations, those in others
	// counted.
	Apply string

	// Filter is a condition on the rows of the result; empty is none. Its names
	// are the columns, and every field of records where the rows are records.
	Filter string

	// OrderBy orders the rows of the result, by the names of Filter; equals
	// keep the order that the pipeline gave them.
	OrderBy string

	// Limit, PageSize, Token, AsOf and Count are those of a Query.
	Limit    int
	PageSize int
	Token    string
	AsOf     AsOf
	Count    bool
}

// ApplyPage is one page of what a pipeline makes.
type ApplyPage struct {
	// Columns describe the cells of the rows. Rows that are still records have
	// their reserved fields first and then what compute added; see
	// ApplyRow.Record for the rest.
	Columns []ApplyColumn
	Rows    []ApplyRow
	// Next is the token of the next page; empty when this is the last one.
	Next string
	// AsOf is the moment that the answer speaks of.
	AsOf AsOf
	// Count is the number of rows of the whole result, where it was asked for.
	Count int64
}

// ApplyColumn describes a column.
type ApplyColumn struct {
	Name string
	Type filter.Type
	// Record: the column is a reserved field of the rows that are records. Such
	// columns come first.
	Record bool
}

// ApplyRow is a row of what a pipeline makes.
type ApplyRow struct {
	// Cells hold a value for each column, null where the row has none.
	Cells []filter.Value
	// Record is the record that the row is, nil for a row that a grouping made.
	Record *Stored

	columns []ApplyColumn
	book    *Book
}

// Get returns the cell of a column by its name; for a record any of its fields
// too, as in a filter. Null where there is none.
func (r *ApplyRow) Get(name string) filter.Value {
	for i := range r.columns {
		if r.columns[i].Name == name && i < len(r.Cells) {
			return r.Cells[i]
		}
	}
	if r.Record != nil && r.book != nil {
		if f, ok := r.book.fields.resolve(name); ok {
			return f.of(r.Record)
		}
	}
	return filter.Null()
}

// Apply answers a page of a pipeline in a scope.
//
// What the pipeline begins with is read as a Query is, from rollups as far as
// they reach and added up by the store where it can: leading filters, and a
// groupby or aggregate of fields. Anything else goes over the records one by
// one. What a pipeline holds in memory (groups, distinct values, and rows that
// wait to be put in order) is bounded by Options.MaxGroups.
//
// Errors: those of Query. For a fault in Apply, Filter or OrderBy there is a
// *filter.Error inside, with its place in that text.
func (b *Book) Apply(ctx context.Context, scope Scope, query ApplyQuery) (*ApplyPage, error) {
	a, err := b.compileApply(ctx, scope, query)
	if err != nil {
		return nil, applyError(err)
	}
	page, err := a.page(ctx)
	if err != nil {
		return nil, applyError(err)
	}
	return page, nil
}

// ApplyRows yields the rows of a whole result, all of one moment; see
// [Book.Rows].
func (b *Book) ApplyRows(ctx context.Context, scope Scope, query ApplyQuery) iter.Seq2[ApplyRow, error] {
	return func(yield func(ApplyRow, error) bool) {
		a, err := b.compileApply(ctx, scope, query)
		stopped := false
		if err == nil {
			err = a.rows(ctx, func(r ApplyRow) bool {
				stopped = !yield(r, nil)
				return !stopped
			})
		}
		if err != nil && !stopped {
			yield(ApplyRow{}, applyError(err))
		}
	}
}

// PlanApply reads a pipeline and answers how it was read instead of what; see
// [Book.Plan]. Each branch of a concat that is answered by itself has reads of
// its own.
func (b *Book) PlanApply(ctx context.Context, scope Scope, query ApplyQuery) (*Plan, error) {
	a, err := b.compileApply(ctx, scope, query)
	if err != nil {
		return nil, applyError(err)
	}
	plan, err := a.plan(ctx)
	if err != nil {
		return nil, applyError(err)
	}
	return plan, nil
}

// applyError makes faults of evaluation, which come as they are, invalid
// queries too.
func applyError(err error) error {
	var fault *filter.Error
	if errors.As(err, &fault) && !errors.Is(err, ErrInvalid) {
		return fmt.Errorf("usage: %w query: apply: %w", ErrInvalid, err)
	}
	return fmt.Errorf("usage: %w", err)
}
