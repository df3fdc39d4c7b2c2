package usage

import (
	"slices"

	"github.com/shopspring/decimal"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
)

// applyTally is a measure in the making, over rows.
type applyTally struct {
	count int64 // of rows, or of values that are not null
	// sum is of numbers within the book's limits, rest of those beyond.
	sum  aggregate.Sum
	rest decimal.Decimal
	best filter.Value
	seen map[string]struct{}
}

// add takes a value in, with a scratch space for its key. The result is whether
// it was one to hold on to.
func (t *applyTally) add(m *filter.Measure, v filter.Value, key *[]byte) (held bool) {
	if m.Value != nil && v.IsNull() {
		return false
	}
	t.count++
	switch m.Method {
	case "sum", "average":
		t.addNumber(v)
	case "min":
		if t.count == 1 || filter.Compare(v, t.best) < 0 {
			t.best = v
		}
	case "max":
		if t.count == 1 || filter.Compare(v, t.best) > 0 {
			t.best = v
		}
	case "countdistinct":
		*key = appendCellKey((*key)[:0], v)
		if _, ok := t.seen[string(*key)]; ok {
			return false
		}
		if t.seen == nil {
			t.seen = map[string]struct{}{}
		}
		t.seen[string(*key)] = struct{}{}
		return true
	}
	return false
}

func (t *applyTally) addNumber(v filter.Value) {
	if coef, scale, ok := v.Small(); ok && scale <= aggregate.MaxScale {
		t.sum.AddFixed(coef, uint8(scale))
		return
	}
	d := v.Decimal()
	if v.Type() == filter.TypeDuration {
		d = v.Seconds()
	}
	if n, err := aggregate.NumberOf(d); err == nil {
		t.sum.Add(n)
	} else {
		t.rest = t.rest.Add(d)
	}
}

func (t *applyTally) total() decimal.Decimal {
	if t.rest.IsZero() {
		return t.sum.Decimal()
	}
	return t.sum.Decimal().Add(t.rest)
}

// durationPlaces is the number of decimal places of a duration in seconds.
const durationPlaces = 12

// cell is the finished figure.
func (t *applyTally) cell(a *apply, m *filter.Measure) (filter.Value, error) {
	switch {
	case m.Method == "count":
		return filter.Number(t.count, 0), nil
	case m.Method == "countdistinct":
		return filter.Number(int64(len(t.seen)), 0), nil
	case t.count == 0:
		return filter.Null(), nil
	case m.Method == "min" || m.Method == "max":
		return t.best, nil
	}
	d := t.total()
	duration := m.Type == filter.TypeDuration
	if m.Method == "average" {
		places := a.q.book.opts.AvgPlaces
		if duration {
			places = durationPlaces
		}
		d = aggregate.Average(d, t.count, int32(places))
	}
	if duration {
		v, ok := filter.Seconds(d)
		if !ok {
			return v, a.fault(m.Span, filter.CodeOutOfRange, "the result is out of range")
		}
		return v, nil
	}
	if n, err := aggregate.NumberOf(d); err == nil {
		return numberValue(n), nil
	}
	return filter.Decimal(d), nil
}

// appendCellKey is appendValueKey for computed values too, which may be instants
// between two microseconds.
func appendCellKey(b []byte, v filter.Value) []byte {
	if v.Type() == filter.TypeTime {
		return appendKeyText(append(b, byte(filter.TypeTime)), v.String())
	}
	return appendValueKey(b, v)
}

// groupSink groups the rows that are pushed into it and, at the end, pushes a row
// for each group, or what inner makes of each, in the order of the groups.
type groupSink struct {
	run  *applyRun
	s    *applyStage
	next applySink

	groups  map[string]*applyGroup
	held    int // groups and distinct values
	locator aggregate.Locator
	key     []byte
	cell    []byte // of distinct counts
	values  []filter.Value
}

type applyGroup struct {
	key     []filter.Value
	tallies []applyTally
	// inner is what the rows of the group go through, into out.
	inner applySink
	full  bool // inner wants no more
	out   *bufferSink
}

func newGroupSink(run *applyRun, s *applyStage, next applySink) *groupSink {
	g := &groupSink{run: run, s: s, next: next, groups: map[string]*applyGroup{}}
	if s.windowed {
		g.locator = run.a.src.Window.Locator()
	}
	return g
}

func (g *groupSink) push(r *applyRow) error {
	g.values = g.values[:0]
	slots := g.s.groups
	if g.s.windowed {
		from, to := g.locator.Locate(r.record.Start.UnixMicro())
		g.values = append(g.values, instantValue(from), instantValue(to))
		slots = slots[2:]
	}
	for _, s := range slots {
		g.values = append(g.values, r.at(s))
	}
	group, err := g.group(g.values)
	if err != nil {
		return err
	}
	if g.s.src.Inner != nil {
		if group.full {
			return nil
		}
		if err := group.inner.push(r); err != errStop {
			return err
		}
		group.full = true
		return nil
	}
	for i := range g.s.exprs {
		m := &g.s.src.Measures[i]
		var v filter.Value
		if m.Value != nil {
			if v, err = g.s.exprs[i].eval(r); err != nil {
				return err
			}
		}
		if group.tallies[i].add(m, v, &g.cell) {
			if err := g.hold(1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *groupSink) hold(n int) error {
	g.held += n
	return g.run.hold(n)
}

func (g *groupSink) release(n int) {
	g.held -= n
	g.run.release(n)
}

// group returns the group of some values, which are copied.
func (g *groupSink) group(values []filter.Value) (*applyGroup, error) {
	g.key = g.key[:0]
	for _, v := range values {
		g.key = appendCellKey(g.key, v)
	}
	if x := g.groups[string(g.key)]; x != nil {
		return x, nil
	}
	if err := g.hold(g.s.weight); err != nil {
		return nil, err
	}
	x := &applyGroup{key: slices.Clone(values)}
	if g.s.src.Inner != nil {
		x.out = &bufferSink{run: g.run}
		x.inner = g.run.chain(g.s.inner, x.out)
	} else {
		x.tallies = make([]applyTally, len(g.s.exprs))
	}
	g.groups[string(g.key)] = x
	return x, nil
}

func (g *groupSink) finish() error {
	if g.s.src.Kind == "aggregate" {
		// One row, even of nothing.
		if _, err := g.group(nil); err != nil {
			return err
		}
	}
	groups := make([]*applyGroup, 0, len(g.groups))
	for _, x := range g.groups {
		groups = append(groups, x)
	}
	slices.SortFunc(groups, func(a, b *applyGroup) int { return slices.CompareFunc(a.key, b.key, filter.Compare) })
	g.groups = nil
	for i, x := range groups {
		groups[i] = nil
		if err := g.run.tick(); err != nil {
			return err
		}
		if err := g.emit(x); err == errStop {
			break
		} else if err != nil {
			return err
		}
	}
	g.release(g.held)
	return g.next.finish()
}

func (g *groupSink) emit(x *applyGroup) error {
	row := applyRow{cells: append(g.values[:0], x.key...)}
	if x.inner == nil {
		released := g.s.weight
		for i := range x.tallies {
			v, err := x.tallies[i].cell(g.run.a, &g.s.src.Measures[i])
			if err != nil {
				return err
			}
			row.cells = append(row.cells, v)
			released += len(x.tallies[i].seen)
		}
		g.values = row.cells
		g.release(released)
		return g.next.push(&row)
	}
	if err := x.inner.finish(); err != nil {
		return err
	}
	g.release(g.s.weight)
	return x.out.drain(func(r *applyRow) error {
		if g.s.src.Open {
			return g.next.push(r)
		}
		return g.next.push(g.s.carried(&row, x.key, r))
	})
}

// carried fills a row with a group and what a row of inner adds to it.
func (s *applyStage) carried(row *applyRow, group []filter.Value, inner *applyRow) *applyRow {
	row.cells = append(row.cells[:0], group...)
	for _, i := range s.carry {
		row.cells = append(row.cells, inner.cells[i])
	}
	return row
}
