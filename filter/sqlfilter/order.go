package sqlfilter

import "github.com/usagebook/usagebook/filter"

// Order is an order, as far as the database can give it.
type Order struct {
	// SQL is what follows ORDER BY, empty when there is nothing to sort by.
	SQL string
	// Args are the arguments of the placeholders in SQL, in their order.
	Args []any
	// Exact says that rows sorted by SQL are in the order asked for. Otherwise SQL
	// has the keys before the first that could not be written, and the rows are to
	// be sorted in Go.
	Exact bool
}

// OrderBy writes the keys of an order: null first ascending and last descending,
// false before true, strings by their bytes. argsBefore is as in Where. A key that
// is constant is left out.
func (w *Writer) OrderBy(keys []filter.Key, argsBefore int) Order {
	t := w.text(argsBefore)
	for _, k := range keys {
		sql, args := len(t.sql), len(t.args)
		if sql > 0 {
			t.write(", ")
		}
		from := len(t.sql)
		notNull, ok := t.key(k.Value.Expr())
		if !ok {
			return Order{SQL: string(t.sql[:sql]), Args: t.args[:args:args]}
		}
		switch string(t.sql[from:]) {
		case "", "TRUE", "FALSE":
			// PostgreSQL refuses a constant in ORDER BY.
			t.sql, t.args = t.sql[:sql], t.args[:args]
			continue
		}
		switch {
		case k.Desc && notNull:
			t.write(" DESC")
		case k.Desc:
			t.write(" DESC NULLS LAST")
		case notNull:
			t.write(" ASC") // an index serves NULLS FIRST only when it was made so
		default:
			t.write(" ASC NULLS FIRST")
		}
	}
	return Order{SQL: string(t.sql), Args: t.args, Exact: true}
}

// key writes what one key sorts by, nothing for a literal.
func (t *text) key(e filter.Expr) (notNull, ok bool) {
	if _, literal := e.(*filter.Literal); literal {
		return true, true
	}
	if n, ok := e.(*filter.Name); ok && e.Type() == filter.TypeBool {
		c, ok := t.column(n)
		t.write(c.SQL)
		return c.NotNull, ok && c.Kind != KindOpaque
	}
	if e.Type() == filter.TypeBool {
		return false, t.condition(e, true)
	}
	r, ok := t.form(e)
	if !ok || r.kind == kindNull {
		return false, false
	}
	ok = t.value(e, r.kind)
	t.collate(r.kind)
	return r.notNull, ok
}
