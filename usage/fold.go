package usage

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
)

// errValueCounted stops a fold that counts the distinct values of a dimension
// whose name turns out to be the name of a value: see query.compileDistinct.
var errValueCounted = errors.New("a name is both a value and a dimension")

// fold adds everything that was read up into rows: rollups, groups that a store
// added up, and records one by one, in any order.
type fold struct {
	q       *query
	subs    map[string]*subGroup
	groups  map[string]*outGroup
	rows    int // in all groups
	locator aggregate.Locator
	key     []byte
	scratch []filter.Value
	// Rows are made by the hundred: an answer may have a hundred thousand.
	spareAccs    []acc
	spareTallies []tally
}

// outGroup is a group of the answer with its rows, by window.
type outGroup struct {
	key  []filter.Value
	rows []*acc
}

// place returns where the row of a window is, or belongs. Windows come mostly
// in order, or again and again.
func (g *outGroup) place(from int64) (int, bool) {
	n := len(g.rows)
	if n == 0 || g.rows[n-1].from < from {
		return n, false
	}
	if g.rows[n-1].from == from {
		return n - 1, true
	}
	return slices.BinarySearchFunc(g.rows, from, func(a *acc, from int64) int { return cmp.Compare(a.from, from) })
}

// subGroup is a part of a group whose records the fold treats alike: beside
// the group's fields it fixes what is counted distinctly and, where measures
// are narrowed to meters, the meter.
type subGroup struct {
	group *outGroup
	extra []filter.Value
	// wants tells which measures take these records; nil: all.
	wants []bool
	// number is the sub-group's number in the read of a Grouper that is
	// numbered read.
	number, read int
}

// acc is a row in the making.
type acc struct {
	group    *outGroup
	from, to int64
	records  int64
	measures []tally
}

// tally is a measure in the making. Most are sums and counts, and an answer may have
// a hundred thousand of them, so what the others need is apart.
type tally struct {
	count int64 // of records, or of values
	sum   aggregate.Sum
	more  *tallyMore // nil: nothing was seen
}

// tallyMore is what the figures beside sums and counts need.
type tallyMore struct {
	least, most aggregate.Number
	distinct    aggregate.Distinct
	first       *aggregate.First
	last        *aggregate.Last
	// edge is the rollup bucket that holds the first or last record among
	// those that only rollups were read of.
	edge *edge
}

type edge struct{ from, to int64 }

func (t *tally) grow() *tallyMore {
	if t.more == nil {
		t.more = new(tallyMore)
	}
	return t.more
}

// merge takes in what a figure needs of a summary that is not empty.
func (t *tally) merge(figure Aggregation, v *aggregate.Summary) {
	switch figure {
	case Sum, Avg:
		if t.count == 0 {
			t.sum = v.Sum
		} else {
			t.sum.Merge(&v.Sum)
		}
	case Min:
		if m := t.grow(); t.count == 0 || v.Min.Cmp(m.least) < 0 {
			m.least = v.Min
		}
	case Max:
		if m := t.grow(); t.count == 0 || v.Max.Cmp(m.most) > 0 {
			m.most = v.Max
		}
	}
	t.count += v.Count
}

// add is merge for one number.
func (t *tally) add(figure Aggregation, n aggregate.Number) {
	switch figure {
	case Sum, Avg:
		t.sum.Add(n)
	case Min:
		if m := t.grow(); t.count == 0 || n.Cmp(m.least) < 0 {
			m.least = n
		}
	case Max:
		if m := t.grow(); t.count == 0 || n.Cmp(m.most) > 0 {
			m.most = n
		}
	}
	t.count++
}

func newFold(q *query) *fold {
	return &fold{q: q, subs: map[string]*subGroup{}, groups: map[string]*outGroup{}, locator: q.src.Window.Locator()}
}

// sub returns the sub-group of a series.
func (f *fold) sub(tenant, meter string, dims Dimensions, class VerdictClass) *subGroup {
	f.key = f.key[:0]
	f.scratch = f.scratch[:0]
	for _, g := range f.q.groups {
		f.scratch = append(f.scratch, g.ofSeries(tenant, meter, dims, class))
	}
	return f.subOf(f.scratch, tenant, meter, dims, class)
}

// subOf is sub for group values that are at hand; group is copied.
func (f *fold) subOf(group []filter.Value, tenant, meter string, dims Dimensions, class VerdictClass) *subGroup {
	f.key = f.key[:0]
	for _, v := range group {
		f.key = appendValueKey(f.key, v)
	}
	groupKey := len(f.key)
	for _, x := range f.q.extra {
		f.key = appendValueKey(f.key, x.ofSeries(tenant, meter, dims, class))
	}
	if f.q.pivot {
		f.key = appendKeyText(f.key, meter)
	}
	if s := f.subs[string(f.key)]; s != nil {
		return s
	}
	s := new(subGroup)
	if s.group = f.groups[string(f.key[:groupKey])]; s.group == nil {
		s.group = f.newGroup(string(f.key[:groupKey]), group)
	}
	for _, x := range f.q.extra {
		s.extra = append(s.extra, x.ofSeries(tenant, meter, dims, class))
	}
	if f.q.pivot {
		s.wants = make([]bool, len(f.q.measures))
		for i := range f.q.measures {
			s.wants[i] = f.q.measures[i].takes(meter)
		}
	}
	f.subs[string(f.key)] = s
	return s
}

func (f *fold) newGroup(key string, values []filter.Value) *outGroup {
	g := &outGroup{key: append([]filter.Value(nil), values...)}
	f.groups[key] = g
	return g
}

func (m *measure) takes(meter string) bool {
	if m.meters == nil {
		return true
	}
	for _, name := range m.meters {
		if name == meter {
			return true
		}
	}
	return false
}

// row returns the row of a group that holds an instant.
func (f *fold) row(g *outGroup, us int64) (*acc, error) {
	from, to := f.q.from, f.q.to
	if f.q.src.Window.Unit != aggregate.None {
		from, to = f.locator.Locate(us)
	}
	i, ok := g.place(from)
	if ok {
		return g.rows[i], nil
	}
	if f.rows >= f.q.book.opts.MaxGroups {
		return nil, fmt.Errorf("query: %w: more than %d rows; group by fewer fields, use longer windows or a narrower filter", ErrTooLarge, f.q.book.opts.MaxGroups)
	}
	if g.rows == nil {
		// Most groups have as many rows as others.
		g.rows = make([]*acc, 0, max(1, f.rows/len(f.groups)))
	}
	a := f.newAcc()
	a.group, a.from, a.to = g, from, to
	if i == len(g.rows) {
		g.rows = append(g.rows, a)
	} else {
		g.rows = slices.Insert(g.rows, i, a)
	}
	f.rows++
	return a, nil
}

// all yields the rows in no particular order.
func (f *fold) all() iter.Seq[*acc] {
	return func(yield func(*acc) bool) {
		for _, g := range f.groups {
			for _, a := range g.rows {
				if !yield(a) {
					return
				}
			}
		}
	}
}

// inOrder yields the rows by window and then by group, which is the order of an
// answer that asks for none: sorting the groups, of which there are fewer, and
// the windows is less than sorting the rows.
func (f *fold) inOrder() iter.Seq[*acc] {
	return func(yield func(*acc) bool) {
		groups := make([]*outGroup, 0, len(f.groups))
		for _, g := range f.groups {
			groups = append(groups, g)
		}
		if len(groups) == 1 {
			for _, a := range groups[0].rows {
				if !yield(a) {
					return
				}
			}
			return
		}
		slices.SortFunc(groups, func(a, b *outGroup) int { return slices.CompareFunc(a.key, b.key, filter.Compare) })
		if windows := commonWindows(groups, 4*f.rows); windows != nil {
			at := make([]int, len(groups))
			for _, from := range windows {
				for i, g := range groups {
					if k := at[i]; k < len(g.rows) && g.rows[k].from == from {
						at[i]++
						if !yield(g.rows[k]) {
							return
						}
					}
				}
			}
			return
		}
		byWindow := make(map[int64][]*acc)
		for _, g := range groups {
			for _, a := range g.rows {
				byWindow[a.from] = append(byWindow[a.from], a)
			}
		}
		for _, from := range slices.Sorted(maps.Keys(byWindow)) {
			for _, a := range byWindow[from] {
				if !yield(a) {
					return
				}
			}
		}
	}
}

// commonWindows returns the windows of some groups, in order; nil where going through
// all groups for each of them takes more than so many steps.
func commonWindows(groups []*outGroup, steps int) []int64 {
	var windows, merged []int64
	for _, g := range groups {
		k, news := 0, 0
		for _, a := range g.rows {
			for k < len(windows) && windows[k] < a.from {
				k++
			}
			if k == len(windows) || windows[k] != a.from {
				news++
			}
		}
		if news > 0 {
			merged = slices.Grow(merged[:0], len(windows)+news)
			k = 0
			for _, a := range g.rows {
				for k < len(windows) && windows[k] < a.from {
					merged = append(merged, windows[k])
					k++
				}
				if k < len(windows) && windows[k] == a.from {
					k++
				}
				merged = append(merged, a.from)
			}
			windows, merged = append(merged, windows[k:]...), windows
		}
		if len(windows)*len(groups) > steps {
			return nil
		}
	}
	return windows
}

func (f *fold) newAcc() *acc {
	const most = 128
	if len(f.spareAccs) == 0 {
		n := min(most, 4+f.rows/2) // few rows, few spares
		f.spareAccs = make([]acc, n)
		f.spareTallies = make([]tally, n*len(f.q.measures))
	}
	a := &f.spareAccs[0]
	f.spareAccs = f.spareAccs[1:]
	n := len(f.q.measures)
	a.measures, f.spareTallies = f.spareTallies[:n:n], f.spareTallies[n:]
	return a
}

// summed takes in records of one sub-group and window that somebody else added
// up. summary gives the summary of a value by its place in query.values, nil
// where no record has it. bucket is where a first or last record is to be
// looked for; nil when there is none to look for.
func (f *fold) summed(s *subGroup, us, records int64, summary func(slot int) *aggregate.Summary, bucket *edge) error {
	a, err := f.row(s.group, us)
	if err != nil {
		return err
	}
	a.records += records
	for i := range f.q.measures {
		m, t := &f.q.measures[i], &a.measures[i]
		if s.wants != nil && !s.wants[i] {
			continue
		}
		switch {
		case m.extra >= 0:
			if m.slot >= 0 {
				if v := summary(m.slot); v != nil && v.Count > 0 {
					return errValueCounted
				}
			}
			t.addDistinct(s.extra[m.extra])
		case m.slot < 0:
			t.count += records
		default:
			v := summary(m.slot)
			if v == nil || v.Count == 0 {
				continue
			}
			t.merge(m.Aggregation, v)
			if bucket == nil || m.Aggregation != First && m.Aggregation != Last {
				continue
			}
			if x := t.grow(); x.edge == nil || m.Aggregation == First && bucket.from < x.edge.from || m.Aggregation == Last && bucket.from > x.edge.from {
				x.edge = bucket
			}
		}
	}
	return nil
}

func (t *tally) addDistinct(v filter.Value) {
	if !v.IsNull() {
		t.grow().distinct.Add(distinctKey(v))
	}
}

func distinctKey(v filter.Value) string {
	if v.Type() == filter.TypeString {
		return v.Str()
	}
	// No text holds a NUL, so the number 5 and the text "5" stay two things.
	return "\x00" + v.String()
}

// record takes in a record that counts. edgesOnly: only for the first and last
// measures; everything else knows of it already.
func (f *fold) record(r *Stored, edgesOnly bool) error {
	group := f.scratch[:0]
	for _, g := range f.q.groups {
		group = append(group, g.of(r))
	}
	f.scratch = group
	s := f.subOf(group, r.Tenant, r.Meter, r.Dimensions, r.Verdict.Class())
	a, err := f.row(s.group, r.Start.UnixMicro())
	if err != nil {
		return err
	}
	if !edgesOnly {
		a.records++
	}
	for i := range f.q.measures {
		m, t := &f.q.measures[i], &a.measures[i]
		if s.wants != nil && !s.wants[i] {
			continue
		}
		edgy := m.Aggregation == First || m.Aggregation == Last
		if edgesOnly && !edgy {
			continue
		}
		switch {
		case m.Aggregation == CountDistinct:
			t.addDistinct(m.field.of(r))
		case m.field == nil:
			t.count++
		default:
			n, ok := m.field.number(r)
			if !ok {
				continue
			}
			if !edgy {
				t.add(m.Aggregation, n)
				continue
			}
			x := t.grow()
			p := aggregate.Position{Start: r.Start.UnixMicro(), Source: r.Source, ID: r.ID, Tenant: r.Tenant}
			if m.Aggregation == First {
				if x.first == nil {
					x.first = new(aggregate.First)
				}
				x.first.Add(p, n)
			} else {
				if x.last == nil {
					x.last = new(aggregate.Last)
				}
				x.last.Add(p, n)
			}
		}
	}
	return nil
}

// cell is the finished figure. filled: the row stands for a silent window.
func (q *query) cell(m *measure, t *tally, filled bool) filter.Value {
	x := t.more
	switch m.Aggregation {
	case Count:
		return filter.Number(t.count, 0)
	case CountDistinct:
		if x == nil {
			return filter.Number(0, 0)
		}
		return filter.Number(x.distinct.Count(), 0)
	case First:
		if x != nil && x.first != nil {
			if _, n, ok := x.first.Get(); ok {
				return numberValue(n)
			}
		}
		return filter.Null()
	case Last:
		if x != nil && x.last != nil {
			if _, n, ok := x.last.Get(); ok {
				return numberValue(n)
			}
		}
		return filter.Null()
	}
	if t.count == 0 {
		if m.Aggregation == Sum && filled {
			return filter.Number(0, 0)
		}
		return filter.Null()
	}
	switch m.Aggregation {
	case Min:
		return numberValue(x.least)
	case Max:
		return numberValue(x.most)
	case Avg:
		return filter.Decimal(aggregate.Average(t.sum.Decimal(), t.count, int32(q.book.opts.AvgPlaces)))
	}
	if n, err := t.sum.Number(); err == nil {
		return numberValue(n)
	}
	return filter.Decimal(t.sum.Decimal())
}

// appendValueKey appends a form of a value that is equal for equal values only.
func appendValueKey(b []byte, v filter.Value) []byte {
	b = append(b, byte(v.Type()))
	switch v.Type() {
	case filter.TypeNull:
	case filter.TypeString:
		b = appendKeyText(b, v.Str())
	case filter.TypeTime:
		b = appendKeyText(b, strconv.FormatInt(v.Micros(), 36))
	default:
		b = appendKeyText(b, v.String())
	}
	return b
}
