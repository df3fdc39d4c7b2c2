package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/usagebook/usagebook/filter"
)

// query is what is asked of a table.
type query struct {
	filter  *string // nil takes all rows
	orderBy string  // empty keeps the order of the table
	top     *int    // nil takes all
	skip    *int    // nil skips none
}

// rowError is a fault that an expression has only for some row.
type rowError struct {
	index int
	err   error
}

func (e *rowError) Error() string { return fmt.Sprintf("rows[%d]: %s", e.index, e.err) }
func (e *rowError) Unwrap() error { return e.err }

// orderError is a fault of an orderby list, not of a condition.
type orderError struct{ err error }

func (e *orderError) Error() string { return "orderby: " + e.err.Error() }
func (e *orderError) Unwrap() error { return e.err }

// answer returns the indexes of the rows that the query asks for, in its order.
// now is the moment of now().
func (t *table) answer(q query, now time.Time) ([]int, error) {
	condition, err := t.condition(q.filter, now)
	if err != nil {
		return nil, err
	}
	keys, err := t.keys(q.orderBy, now)
	if err != nil {
		return nil, &orderError{err}
	}
	selected, err := t.matching(condition)
	if err != nil {
		return nil, err
	}
	if err := t.sort(selected, keys); err != nil {
		return nil, &orderError{err}
	}
	if q.skip != nil {
		selected = selected[min(*q.skip, len(selected)):]
	}
	if q.top != nil {
		selected = selected[:min(*q.top, len(selected))]
	}
	return selected, nil
}

// condition compiles the text of a condition; nil stays nil.
func (t *table) condition(text *string, now time.Time) (*filter.Program, error) {
	if text == nil {
		return nil, nil
	}
	expr, err := filter.Parse(*text, nil)
	if err != nil {
		return nil, err
	}
	checked, err := filter.Check(expr, t.schema)
	if err != nil {
		return nil, err
	}
	return checked.At(now).Compile(), nil
}

// key is a compiled key of an order.
type key struct {
	program *filter.Program
	desc    bool
}

// keys compiles the text of an order; an empty one has no keys.
func (t *table) keys(text string, now time.Time) ([]key, error) {
	if text == "" {
		return nil, nil
	}
	list, err := filter.ParseOrderBy(text, nil)
	if err != nil {
		return nil, err
	}
	checked, err := filter.CheckOrderBy(list, t.schema)
	if err != nil {
		return nil, err
	}
	keys := make([]key, len(checked))
	for i, k := range checked {
		keys[i] = key{k.Value.At(now).Compile(), k.Desc}
	}
	return keys, nil
}

// matching returns the indexes of the rows that meet a condition, of all where
// there is none.
func (t *table) matching(condition *filter.Program) ([]int, error) {
	selected := make([]int, 0, len(t.rows))
	if condition == nil {
		for at := range t.rows {
			selected = append(selected, at)
		}
		return selected, nil
	}
	row := t.cursor(condition)
	for at := range t.rows {
		row.values = t.rows[at].values
		ok, err := condition.Match(row)
		if err != nil {
			return nil, &rowError{at, err}
		}
		if ok {
			selected = append(selected, at)
		}
	}
	return selected, nil
}

// sort orders indexes of rows by the keys, and rows with equal keys by their id.
// Without keys the order stays.
func (t *table) sort(selected []int, keys []key) error {
	if len(keys) == 0 {
		return nil
	}
	// Each key is computed once for a row, not once for a comparison.
	values := make([]filter.Value, len(t.rows)*len(keys))
	for k, key := range keys {
		row := t.cursor(key.program)
		for _, at := range selected {
			row.values = t.rows[at].values
			v, err := key.program.Eval(row)
			if err != nil {
				return &rowError{at, err}
			}
			values[at*len(keys)+k] = v
		}
	}
	slices.SortStableFunc(selected, func(a, b int) int {
		for k, key := range keys {
			// Null comes first in Compare, and so last in a descending order.
			c := filter.Compare(values[a*len(keys)+k], values[b*len(keys)+k])
			if key.desc {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		if t.id < 0 {
			return 0
		}
		return filter.Compare(t.rows[a].values[t.id], t.rows[b].values[t.id])
	})
	return nil
}

// cursor is the row that a program looks at. One serves all rows, so that
// evaluation allocates nothing.
type cursor struct {
	values  []filter.Value
	columns []int // by slot of the program
}

var _ filter.Row = (*cursor)(nil)

func (c *cursor) Value(slot int) filter.Value { return c.values[c.columns[slot]] }

func (t *table) cursor(p *filter.Program) *cursor {
	c := &cursor{}
	for _, f := range p.Fields() {
		c.columns = append(c.columns, t.column(f.Name))
	}
	return c
}
