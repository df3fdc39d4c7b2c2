package memstore

import (
	"math"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/usage"
)

var _ usage.FilterGrouper = (*Store)(nil)

// Filters reports whether Group can go by a condition; see [usage.FilterGrouper].
func (s *Store) Filters(where *filter.Checked) bool {
	return !slices.ContainsFunc(where.Fields(), func(f filter.Field) bool { _, ok := fieldOf(f.Name, nil); return !ok })
}

// sieve is a condition on records. Most conditions begin with comparisons of numbers
// with constants, and these are decided for a block of a segment at a time, on the
// coefficients as they are packed. A comparison never fails and is never null, so that
// what stands in front of the rest may be decided first without a change to what the
// rest is asked about.
type sieve struct {
	tests  []test // conjuncts at the front
	leaves []leaf // of the tests
	depth  int    // of the tests

	rest, all condition // behind the tests, and with them; rest may be empty
}

// condition is a program with the fields of its slots.
type condition struct {
	program *filter.Program
	fields  []recordField
}

func (s *sieve) condition(c *filter.Checked, values []string) (condition, bool) {
	p := condition{program: c.Compile()}
	for _, f := range p.program.Fields() {
		field, ok := fieldOf(f.Name, values)
		if !ok {
			return p, false
		}
		p.fields = append(p.fields, field)
	}
	return p, true
}

// newSieve returns nil where a field of the condition is unknown. values are the names
// of values by number.
func newSieve(where *filter.Checked, values []string) *sieve {
	s := new(sieve)
	var ok bool
	if s.all, ok = s.condition(where, values); !ok {
		return nil
	}
	parts := where.Conjuncts()
	for len(parts) > 0 {
		t, ok := s.test(parts[0].Expr(), values, 1)
		if !ok {
			break
		}
		s.tests, parts = append(s.tests, t), parts[1:]
	}
	if len(parts) > 0 {
		s.rest, _ = s.condition(filter.Conjunction(parts...), values)
	}
	return s
}

// test is a node of a condition that is decided by block.
type test struct {
	kind testKind
	args []test // of and, or and not
	leaf int    // of a comparison
}

type testKind uint8

const (
	testLeaf testKind = iota
	testAnd
	testOr
	testNot
)

// leaf is a comparison of a field with a constant: what holds where the field is less,
// equal, greater, and where it is null.
type leaf struct {
	field    recordField
	constant filter.Value
	holds    [3]bool
	null     bool
}

// mostListed is how long a list may be whose members are compared one by one.
const mostListed = 16

// test turns an expression into a test, if it is made of comparisons alone.
func (s *sieve) test(e filter.Expr, values []string, depth int) (test, bool) {
	s.depth = max(s.depth, depth)
	switch e := e.(type) {
	case *filter.Logic:
		t := test{kind: testAnd}
		if e.Or {
			t.kind = testOr
		}
		for _, x := range e.Args {
			arg, ok := s.test(x, values, depth+1)
			if !ok {
				return t, false
			}
			t.args = append(t.args, arg)
		}
		return t, true
	case *filter.Not:
		arg, ok := s.test(e.X, values, depth+1)
		return test{kind: testNot, args: []test{arg}}, ok
	case *filter.Binary:
		l, ok := e.Y.(*filter.Literal)
		if !ok || !e.Op.Comparison() {
			return test{}, false
		}
		return s.comparison(e.X, e.Op, l.Value, values)
	case *filter.In:
		if e.Set != nil || len(e.List) > mostListed {
			return test{}, false
		}
		t := test{kind: testOr}
		for _, l := range e.List {
			arg, ok := s.comparison(e.X, filter.OpEq, l.Value, values)
			if !ok {
				return t, false
			}
			t.args = append(t.args, arg)
		}
		s.depth = max(s.depth, depth+1)
		return t, true
	}
	return test{}, false
}

func (s *sieve) comparison(x filter.Expr, op filter.Op, v filter.Value, values []string) (test, bool) {
	n, ok := x.(*filter.Name)
	if !ok || n.Var > 0 {
		return test{}, false
	}
	l := leaf{constant: v}
	if l.field, ok = fieldOf(n.Field.Name, values); !ok {
		return test{}, false
	}
	switch {
	case l.field.kind == valueField && v.Type() == filter.TypeDecimal:
	case l.field.kind == startField && v.Type() == filter.TypeTime && filter.Equal(v, filter.Micros(v.Micros())):
	default:
		return test{}, false
	}
	// As package filter has it: null equals null alone, and no order holds of it.
	switch op {
	case filter.OpEq:
		l.holds = [3]bool{false, true, false}
	case filter.OpNe:
		l.holds, l.null = [3]bool{true, false, true}, true
	case filter.OpGt:
		l.holds = [3]bool{false, false, true}
	case filter.OpGe:
		l.holds = [3]bool{false, true, true}
	case filter.OpLt:
		l.holds = [3]bool{true, false, false}
	case filter.OpLe:
		l.holds = [3]bool{true, true, false}
	default:
		return test{}, false
	}
	s.leaves = append(s.leaves, l)
	return test{leaf: len(s.leaves) - 1}, true
}

// cut is a leaf in the numbers of a column: it holds for those in [from, from+span],
// or with flip for all others.
type cut struct {
	numbers  *packed // nil: no record has a number
	presence *presence
	from     int64
	span     uint64
	flip     uint8
	null     uint8
}

// cutAt returns the leaf for a column with so many decimal places.
func (l *leaf) cutAt(places uint8) cut {
	c := cut{}
	if l.null {
		c.null = 1
	}
	low, high, holds := int64(0), int64(0), l.holds
	if l.field.kind == startField {
		low, high = l.constant.Micros(), l.constant.Micros()
	} else {
		// What is equal to the constant is in [low, high], which is empty where the
		// constant has more places than the column.
		d := l.constant.Decimal().Shift(int32(places))
		floor := d.Floor()
		switch {
		case floor.GreaterThan(decimal.NewFromInt(math.MaxInt64)) || floor.Equal(decimal.NewFromInt(math.MaxInt64)) && !d.Equal(floor):
			holds[1], holds[2] = holds[0], holds[0]
		case floor.LessThan(decimal.NewFromInt(math.MinInt64)):
			holds[1], holds[0] = holds[2], holds[2]
		default:
			high = floor.IntPart()
			if low = high; !d.Equal(floor) {
				low++
			}
		}
	}
	// Of less, equal and greater, one or two next to each other are a range; less
	// and greater are all but one.
	if holds[0] && holds[2] && !holds[1] {
		holds, c.flip = [3]bool{false, true, false}, 1
	}
	from, to := int64(math.MinInt64), int64(math.MaxInt64)
	empty := false
	switch holds {
	case [3]bool{true, true, true}:
	case [3]bool{false, false, false}:
		empty = true
	case [3]bool{true, true, false}:
		to = high
	case [3]bool{true, false, false}:
		to, empty = low-1, low == math.MinInt64
	case [3]bool{false, true, false}:
		from, to, empty = low, high, low > high
	case [3]bool{false, true, true}:
		from = low
	case [3]bool{false, false, true}:
		from, empty = high+1, high == math.MaxInt64
	}
	if empty {
		from, to = math.MinInt64, math.MaxInt64
		c.flip ^= 1
	}
	c.from, c.span = from, uint64(to)-uint64(from)
	return c
}

func (c *cut) of(v int64) uint8 {
	var in uint8
	if uint64(v)-uint64(c.from) <= c.span {
		in = 1
	}
	return in ^ c.flip
}

// fill says of each of some positions whether the leaf holds.
func (c *cut) fill(out []uint8, from int, scratch []int64) {
	switch {
	case c.numbers == nil:
		for i := range out {
			out[i] = c.null
		}
	case c.presence == nil || c.presence.all:
		scratch = scratch[:len(out)]
		c.numbers.read(scratch, from)
		least, span, flip := uint64(c.from), c.span, c.flip
		for i, v := range scratch {
			var in uint8
			if uint64(v)-least <= span {
				in = 1
			}
			out[i] = in ^ flip
		}
	default:
		for i := range out {
			out[i] = c.null
			if e, ok := c.presence.index(from + i); ok {
				out[i] = c.of(c.numbers.at(e))
			}
		}
	}
}

// sifter is a sieve in the hands of a worker.
type sifter struct {
	*sieve
	row    sieveRow
	cuts   []cut // of the leaves, in the segment
	plain  bool  // every leaf has a cut there
	passed [blockRows]uint8
	masks  [][blockRows]uint8 // scratch, by depth
	nums   [blockRows]int64   // scratch
}

func newSifter(q *query, s *sieve) *sifter {
	f := &sifter{sieve: s, cuts: make([]cut, len(s.leaves)), masks: make([][blockRows]uint8, s.depth+1)}
	f.row.query = q
	return f
}

// segment turns to a segment, whose first row is base.
func (f *sifter) segment(g *segment, base uint32) {
	f.row.segment, f.row.head, f.row.base = g, nil, base
	f.plain = true
	for i := range f.leaves {
		l := &f.leaves[i]
		if l.field.kind == startField {
			f.cuts[i] = l.cutAt(0)
			f.cuts[i].numbers = &g.start
			continue
		}
		f.cuts[i] = l.cutAt(0)
		if c := g.column(l.field.value); c != nil && l.field.value != noValue {
			if !c.uniform() {
				f.plain = false
				return
			}
			f.cuts[i] = l.cutAt(c.scale)
			f.cuts[i].numbers, f.cuts[i].presence = &c.coef, &c.presence
		}
	}
}

// block decides the tests for positions of the segment.
func (f *sifter) block(from, n int) {
	if !f.plain || len(f.tests) == 0 {
		return
	}
	out := f.passed[:n]
	f.decide(&f.tests[0], out, from, 0)
	for i := range f.tests[1:] {
		other := f.masks[0][:n]
		f.decide(&f.tests[1+i], other, from, 1)
		for k, v := range other {
			out[k] &= v
		}
	}
}

func (f *sifter) decide(t *test, out []uint8, from, depth int) {
	switch t.kind {
	case testLeaf:
		f.cuts[t.leaf].fill(out, from, f.nums[:])
		return
	case testNot:
		f.decide(&t.args[0], out, from, depth)
		for i := range out {
			out[i] ^= 1
		}
		return
	}
	f.decide(&t.args[0], out, from, depth)
	for i := range t.args[1:] {
		other := f.masks[depth][:len(out)]
		f.decide(&t.args[1+i], other, from, depth+1)
		if t.kind == testAnd {
			for k, v := range other {
				out[k] &= v
			}
		} else {
			for k, v := range other {
				out[k] |= v
			}
		}
	}
}

// takes says whether a row passes, the i-th of the block, at a position of the segment.
func (f *sifter) takes(i, at int, w *want) (bool, error) {
	c := &f.all
	if f.plain {
		if len(f.tests) > 0 && f.passed[i] == 0 {
			return false, nil
		}
		if c = &f.rest; c.program == nil {
			return true, nil
		}
	}
	f.row.at, f.row.want, f.row.fields = at, w, c.fields
	return c.program.Match(&f.row)
}

// takesHead is takes for a row of a head.
func (f *sifter) takesHead(p *partRange, row int, w *want) (bool, error) {
	f.row.segment, f.row.head, f.row.base = nil, p.head, p.base
	f.row.at, f.row.want, f.row.fields = row, w, f.all.fields
	return f.all.program.Match(&f.row)
}

// recordField is a field of a condition, by the Book's names.
type recordField struct {
	kind  fieldKind
	name  string // of a dimension
	value uint32 // number of the value's name, noValue where no record has it
}

type fieldKind uint8

const (
	idField fieldKind = iota
	sourceField
	tenantField
	meterField
	startField
	endField
	recordedField
	sequenceField
	verifiedField
	billableField
	valueField
	dimensionField
)

var ownFields = map[string]fieldKind{
	"id": idField, "source": sourceField, "tenant": tenantField, "meter": meterField, "start": startField, "end": endField,
	"recorded": recordedField, "sequence": sequenceField, "verified": verifiedField, "billable": billableField,
}

func fieldOf(name string, values []string) (recordField, bool) {
	if kind, ok := ownFields[name]; ok {
		return recordField{kind: kind}, true
	}
	if value, ok := strings.CutPrefix(name, "values/"); ok {
		f := recordField{kind: valueField, value: noValue}
		if i := slices.Index(values, value); i >= 0 {
			f.value = uint32(i)
		}
		return f, true
	}
	dimension, ok := strings.CutPrefix(name, "dimensions/")
	return recordField{kind: dimensionField, name: dimension}, ok
}

// sieveRow lets a program look at a record in its columns.
type sieveRow struct {
	query   *query
	fields  []recordField
	want    *want
	segment *segment // or head
	head    *head
	base    uint32 // first row of the part
	at      int    // position in the segment, row of the head
}

// Value implements filter.Row.
func (r *sieveRow) Value(slot int) filter.Value {
	f := &r.fields[slot]
	switch f.kind {
	case valueField:
		return r.value(f.value)
	case dimensionField:
		if v, ok := r.series().Dimensions.Get(f.name); ok {
			return filter.String(v)
		}
		return filter.Null()
	case tenantField:
		return filter.String(r.series().Tenant)
	case meterField:
		return filter.String(r.series().Meter)
	case recordedField:
		return filter.Micros(r.query.recorded(r.row()))
	case sequenceField:
		return filter.Number(int64(r.row())+1, 0)
	}
	var start, span int64
	var source, verdict uint32
	var form uint8
	var id []byte
	if g := r.segment; g != nil {
		switch f.kind {
		case startField:
			return filter.Micros(g.start.at(r.at))
		case endField:
			start, span = g.start.at(r.at), g.span.at(r.at)
		case sourceField:
			source = uint32(g.source.at(r.at))
		case idField:
			form, id = g.id(r.at)
		default:
			verdict = uint32(g.verdict.at(r.at))
		}
	} else {
		h := r.head
		start, span, source, verdict = h.start[r.at], h.span[r.at], h.source[r.at], h.verdict[r.at]
		form, id = h.id(r.at)
	}
	switch f.kind {
	case startField:
		return filter.Micros(start)
	case endField:
		if span == 0 {
			return filter.Null()
		}
		return filter.Micros(start + span)
	case sourceField:
		return filter.String(r.query.sources[source])
	case idField:
		return filter.String(idString(form, id))
	}
	class := r.query.verdicts[verdict].Class()
	if f.kind == billableField {
		return filter.Bool(class.Billable())
	}
	if verified, ok := class.Verified(); ok {
		return filter.Bool(verified)
	}
	return filter.Null()
}

func (r *sieveRow) value(name uint32) filter.Value {
	if g := r.segment; g != nil {
		if name != noValue {
			if c := g.column(name); c != nil {
				if e, ok := c.presence.index(r.at); ok {
					return numberValue(c.number(e))
				}
			}
		}
		return filter.Null()
	}
	cells := r.head.valuesOf(r.at)
	for i := range cells {
		if cells[i].name == name {
			return numberValue(r.head.number(&cells[i]))
		}
	}
	return filter.Null()
}

func numberValue(n aggregate.Number) filter.Value {
	if coef, scale, ok := n.Small(); ok {
		return filter.Number(coef, int32(scale))
	}
	return filter.Decimal(n.Decimal())
}

func (r *sieveRow) series() *usage.Series {
	local := uint32(0)
	if r.segment != nil {
		local = uint32(r.segment.local.at(r.at))
	} else {
		local = r.head.local[r.at]
	}
	return r.query.seriesAt(r.want.series[local])
}

// row is the row's number in the store.
func (r *sieveRow) row() uint32 {
	if r.segment != nil {
		return r.base + uint32(r.segment.row.at(r.at))
	}
	return r.base + uint32(r.at)
}
