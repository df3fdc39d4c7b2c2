package sqlitestore

import (
	"strings"

	"github.com/usagebook/usagebook/filter"
)

// Filters reports whether Group goes by a condition: it does where that looks at the
// start and the values of a record alone, which it has at hand when it adds them up.
func (s *Store) Filters(c *filter.Checked) bool {
	for _, f := range c.Fields() {
		if f.Name != "start" && !strings.HasPrefix(f.Name, valuePrefix) {
			return false
		}
	}
	return true
}

// valuePrefix is what the name of a field begins with that is a value.
const valuePrefix = "values/"

// sieve is a condition on records under way.
type sieve struct {
	program *filter.Program
	names   []string // of the values by slot, empty for the start
	shapes  [][]int32
	// The record at hand, by slot.
	cells []filter.Value
}

func newSieve(c *filter.Checked) *sieve {
	p := c.Compile()
	w := &sieve{program: p, names: make([]string, len(p.Fields())), cells: make([]filter.Value, len(p.Fields()))}
	for i, f := range p.Fields() {
		w.names[i], _ = strings.CutPrefix(f.Name, valuePrefix)
		if f.Name == "start" {
			w.names[i] = ""
		}
	}
	return w
}

// Value is for the program.
func (w *sieve) Value(slot int) filter.Value { return w.cells[slot] }

// slots returns the slot of each value of a shape, -1 where nobody asks for it.
func (w *sieve) slots(g *grouping, c *conn, code int64) ([]int32, error) {
	w.shapes = grow(w.shapes, code)
	if s := w.shapes[code]; s != nil {
		return s, nil
	}
	names, err := g.s.names.shapeOf(g.ctx, c, code)
	if err != nil {
		return nil, err
	}
	s := make([]int32, len(names))
	for i, name := range names {
		s[i] = -1
		for slot, wanted := range w.names {
			if wanted == name {
				s[i] = int32(slot)
			}
		}
	}
	w.shapes[code] = s
	return s, nil
}

// takes reports whether the condition is true for a record.
func (w *sieve) takes(g *grouping, c *conn, at place, shape int64, values cutter) (bool, error) {
	slots, err := w.slots(g, c, shape)
	if err != nil {
		return false, err
	}
	clear(w.cells)
	for slot, name := range w.names {
		if name == "" {
			w.cells[slot] = filter.Micros(at.start)
		}
	}
	for _, slot := range slots {
		coef, scale, wide, small := values.number()
		switch {
		case slot < 0:
		case small:
			w.cells[slot] = filter.Number(coef, int32(scale))
		default:
			w.cells[slot] = filter.Decimal(wide.Decimal())
		}
	}
	return w.program.Match(w)
}
