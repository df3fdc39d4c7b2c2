package sqlfilter

import (
	"fmt"
	"maps"
	"strings"

	"github.com/usagebook/usagebook/filter"
)

// Writer writes conditions and orders for one dialect and one set of columns. It is
// immutable and safe for concurrent use.
type Writer struct {
	dialect Dialect
	columns Columns
}

// New returns the Writer of a dialect and columns, both of which it copies. The
// error lists every fault of the two.
func New(d Dialect, columns Columns) (*Writer, error) {
	if err := d.validate(); err != nil {
		return nil, fmt.Errorf("sqlfilter: dialect %s: %w", d.Name, err)
	}
	prepared, err := columns.prepared()
	if err != nil {
		return nil, fmt.Errorf("sqlfilter: %w", err)
	}
	d.Args = maps.Clone(d.Args)
	return &Writer{dialect: d, columns: prepared}, nil
}

// text is a statement's part while it is being written. Its methods report whether
// they could write; where they could not, what they wrote is dropped with the whole
// conjunct.
type text struct {
	*Writer
	sql    []byte
	args   []any
	before int
	depth  int
}

// reserved is the depth left for the conjunction around the conjuncts.
const reserved = 32

func (w *Writer) text(argsBefore int) *text {
	return &text{Writer: w, before: max(argsBefore, 0), depth: reserved}
}

// enter counts the depth of the SQL, which is what databases limit, and not that of
// the tree. Each call is followed by one of leave.
func (t *text) enter(levels int) bool {
	t.depth += levels
	return t.depth <= t.dialect.MaxDepth
}

func (t *text) leave(levels int) { t.depth -= levels }

func (t *text) write(parts ...string) {
	for _, p := range parts {
		t.sql = append(t.sql, p...)
	}
}

// arg writes the placeholder of an argument of a kind.
func (t *text) arg(kind Kind, value any) bool {
	template := t.dialect.Args[kind]
	for {
		at := strings.Index(template, "{x}")
		if at < 0 {
			t.write(template)
			return true
		}
		if t.before+len(t.args) >= t.dialect.MaxArgs {
			return false
		}
		t.args = append(t.args, value)
		t.write(template[:at], t.dialect.Placeholder(t.before+len(t.args)))
		template = template[at+len("{x}"):]
	}
}

// template writes a template with its operands.
func (t *text) template(template string, x, y func() bool) bool {
	for {
		at := strings.IndexByte(template, '{')
		if at < 0 {
			t.write(template)
			return true
		}
		t.write(template[:at])
		template = template[at:]
		operand := x
		switch {
		case strings.HasPrefix(template, "{x}"):
		case strings.HasPrefix(template, "{y}") && y != nil:
			operand = y
		default:
			t.write("{")
			template = template[1:]
			continue
		}
		if !operand() {
			return false
		}
		template = template[len("{x}"):]
	}
}

// column returns the column of a name, where there is one that can hold it.
func (t *text) column(n *filter.Name) (Column, bool) {
	if n.Var != 0 || n.Field == nil {
		return Column{}, false
	}
	c, ok := t.columns[n.Field.Name]
	if !ok || !c.Kind.holds(n.Field.Type) {
		return Column{}, false
	}
	if c.Kind < KindBoolean && t.dialect.Args[c.Kind] == "" {
		c.Kind = KindOpaque
	}
	return c, true
}
