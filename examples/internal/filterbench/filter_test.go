package filterbench_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/filter"
)

// evaluator answers one condition for all rows.
type evaluator interface {
	// evaluate writes the answer for each row.
	evaluate(answers []bool) error
}

func schema(t testing.TB) *filter.Fields {
	t.Helper()
	s, err := filter.NewSchema(fields...)
	require.NoError(t, err)
	return s
}

// filterRows are the rows as filter takes them: by column. A Row hands out values by
// the slots of a program, so that a store need not put rows together.
type filterRows [columns][]filter.Value

func newFilterRows(rows []charge) *filterRows {
	var list filterRows
	for _, c := range rows {
		list[category] = append(list[category], filter.String(c.category))
		list[location] = append(list[location], filter.String(c.location))
		list[customer] = append(list[customer], filter.String(c.customer))
		list[quantity] = append(list[quantity], filter.Number(c.thousandths, 3))
		list[used] = append(list[used], filter.Time(c.used))
	}
	return &list
}

// filterEvaluator runs a Program of package filter.
type filterEvaluator struct {
	program *filter.Program
	row     cursor
}

// cursor is the row that a program looks at. One serves all rows, so that
// evaluation allocates nothing.
type cursor struct {
	slots [][]filter.Value
	at    int
}

func (c *cursor) Value(slot int) filter.Value { return c.slots[slot][c.at] }

func newFilterEvaluator(t testing.TB, c condition, rows *filterRows) *filterEvaluator {
	t.Helper()
	tree, err := filter.Parse(c.odata, nil)
	require.NoError(t, err)
	checked, err := filter.Check(tree, schema(t))
	require.NoError(t, err)
	e := &filterEvaluator{program: checked.Compile()}
	for _, f := range e.program.Fields() {
		for at := range fields {
			if fields[at].Name == f.Name {
				e.row.slots = append(e.row.slots, rows[at])
			}
		}
	}
	return e
}

func (e *filterEvaluator) evaluate(answers []bool) error {
	for i := range answers {
		e.row.at = i
		ok, err := e.program.Match(&e.row)
		if err != nil {
			return err
		}
		answers[i] = ok
	}
	return nil
}
