package sqlfilter

import (
	"strings"

	"github.com/usagebook/usagebook/filter"
)

// Where is a condition, divided between the database and Go: a row is selected if
// and only if SQL is true for it and Residual, compiled, matches it.
type Where struct {
	// SQL is never empty: TRUE where nothing was pushed. It may stand beside AND as
	// it is; beside OR and behind NOT it needs parentheses.
	SQL string
	// Args are the arguments of the placeholders in SQL, in their order.
	Args []any
	// Residual is what stays in Go, nil when everything was pushed.
	Residual *filter.Checked
}

// Where writes a condition. Each operand of and at the top is pushed, where all of
// it can be, or stays whole in Residual. argsBefore is the number of arguments that
// the statement has before these: it numbers the placeholders and counts against
// the dialect's limit. A nil condition selects everything.
//
// A condition with now() is pushed after Checked.At fixed the moment.
func (w *Writer) Where(c *filter.Checked, argsBefore int) Where {
	if c == nil {
		return Where{SQL: "TRUE"}
	}
	t := w.text(argsBefore)
	conjuncts := c.Conjuncts()
	var ends []int
	var rest []*filter.Checked
	for _, x := range conjuncts {
		sql, args := len(t.sql), len(t.args)
		pushed := t.condition(x.Expr(), false)
		if !pushed {
			rest = append(rest, x)
		}
		if !pushed || string(t.sql[sql:]) == "TRUE" {
			t.sql, t.args = t.sql[:sql], t.args[:args]
			continue
		}
		ends = append(ends, len(t.sql))
	}
	out := Where{SQL: "TRUE", Args: t.args}
	if len(ends) > 0 {
		var b strings.Builder
		join(&b, t.sql, 0, ends)
		out.SQL = b.String()
	}
	switch {
	case len(rest) == len(conjuncts):
		out.Residual = c
	case len(rest) == 1:
		out.Residual = rest[0]
	case len(rest) > 1:
		out.Residual = conjunction(rest, c)
	}
	return out
}

// flat is the longest chain that is written without parentheses. A chain is a tree
// as deep as it is long to a database, and a longer one is halved.
const flat = 16

// join writes the pieces of sql that end at ends as one conjunction.
func join(b *strings.Builder, sql []byte, from int, ends []int) {
	if len(ends) > flat {
		half := len(ends) / 2
		b.WriteByte('(')
		join(b, sql, from, ends[:half])
		b.WriteString(") AND (")
		join(b, sql, ends[half-1], ends[half:])
		b.WriteByte(')')
		return
	}
	for i, end := range ends {
		if i > 0 {
			b.WriteString(" AND ")
		}
		b.Write(sql[from:end])
		from = end
	}
}

// conjunction makes one condition of conjuncts of c. Checking checked trees again
// gives equal ones; should it ever not, all of c is right too, as it selects
// nothing that SQL refuses.
func conjunction(list []*filter.Checked, c *filter.Checked) *filter.Checked {
	and := &filter.Logic{Args: make([]filter.Expr, len(list))}
	for i, x := range list {
		and.Args[i] = x.Expr()
	}
	checked, err := filter.Check(and, fieldsOf(c))
	if err != nil {
		return c
	}
	return checked
}

// declared is the schema of a condition's own fields.
type declared map[string]filter.Field

var _ filter.Schema = declared(nil)

func fieldsOf(c *filter.Checked) declared {
	fields := c.Fields()
	d := make(declared, len(fields))
	for _, f := range fields {
		f.NoFilter = false // it was allowed when c was checked
		d[f.Name] = f
	}
	return d
}

func (d declared) Field(name string) (filter.Field, bool) {
	f, ok := d[name]
	return f, ok
}

func (d declared) Names() []string { return nil }
