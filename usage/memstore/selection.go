package memstore

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/usagebook/usagebook/usage"
)

// query is a selection in numbers, with the view it is answered from.
type query struct {
	view
	store *Store
	sel   *usage.Selection

	lo, hi   uint32 // rows in [lo, hi): mark, sequence and recorded time are ranges of rows
	mark     uint32 // corrections at rows below it have happened
	from, to int64  // start in [from, to)

	wants  []want  // in the order of pairs
	wantOf []int32 // pair -> place in wants, -1 where it is not wanted; nil where few are
}

// want is a pair that the selection is about, with what is known of its series.
type want struct {
	pair   uint32
	void   bool     // its records have no start
	series []uint32 // by local number

	// kept is what Selection.Series said of each; see query.keeps.
	kept []uint8
	// groups is what GroupRead.Group said of each: for class c of series i at
	// c*len(series)+i. unasked where it was not asked yet.
	groups []int32
	// group is the group of every series of the pair, unasked when they differ.
	group int32
}

// ceilMicro returns the first microsecond that is not before t.
func ceilMicro(t time.Time) int64 {
	us := t.UnixMicro()
	if t.Nanosecond()%1000 != 0 {
		us++
	}
	return us
}

// query resolves a selection. It takes the lock.
func (s *Store) query(sel *usage.Selection) (*query, error) {
	if err := sel.Scope.Check(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, usage.ErrClosed
	}
	q := &query{view: s.view(), store: s, sel: sel, from: math.MinInt64, to: math.MaxInt64}
	q.mark = uint32(min(sel.Mark.Sequence, uint64(q.rows)))
	q.lo, q.hi = uint32(min(sel.After, uint64(q.rows))), q.mark
	if sel.Through != 0 {
		q.hi = uint32(min(sel.Through, uint64(q.hi)))
	}
	if !sel.RecordedFrom.IsZero() {
		q.lo = max(q.lo, q.bookedBefore(ceilMicro(sel.RecordedFrom)))
	}
	if !sel.RecordedTo.IsZero() {
		q.hi = min(q.hi, q.bookedBefore(ceilMicro(sel.RecordedTo)))
	}
	if !sel.From.IsZero() {
		q.from = ceilMicro(sel.From)
	}
	if !sel.To.IsZero() {
		q.to = ceilMicro(sel.To)
	}
	if q.lo < q.hi && q.from < q.to && q.reaches() {
		q.want(&s.names)
	}
	return q, nil
}

// reaches reports whether some part may have a record of the class: rollups leave
// questions about times in which there is none, and mostly no record is chained.
func (q *query) reaches() bool {
	switch q.sel.Class {
	case usage.Plain:
		return slices.ContainsFunc(q.parts, func(p part) bool {
			h := &q.head
			if p.segment != nil {
				return q.from <= p.segment.most && q.to > p.segment.least
			}
			if p.full != nil {
				h = p.full
			}
			return q.from <= h.most && q.to > h.least
		})
	case usage.Chained, usage.Corrections:
		return slices.ContainsFunc(q.parts, func(p part) bool { return len(p.chained) > 0 })
	}
	return true
}

// want lists the wanted pairs. The lock is held.
func (q *query) want(n *names) {
	var meters map[uint32]bool
	if q.sel.Meters != nil {
		meters = make(map[uint32]bool, len(q.sel.Meters))
		for _, m := range q.sel.Meters {
			if c, ok := n.meters.find(m); ok && m != "" {
				meters[c] = true
			}
		}
	}
	void, hasVoid := n.meters.find("")
	add := func(code uint32) {
		p := &n.pairs[code]
		if len(p.series) > 0 && (meters == nil || meters[p.meter]) {
			q.wants = append(q.wants, want{pair: code, void: hasVoid && p.meter == void, series: p.series, group: unasked})
		}
	}
	tenants, all := q.sel.Scope.Tenants()
	if all {
		q.wants = make([]want, 0, len(n.pairs))
		for code := range n.pairs {
			add(uint32(code))
		}
	}
	for _, t := range tenants {
		if c, ok := n.tenants.find(t); ok {
			for _, code := range n.ofTenant[c] {
				add(code)
			}
		}
	}
	if len(tenants) > 1 {
		slices.SortFunc(q.wants, func(a, b want) int { return cmp.Compare(a.pair, b.pair) })
	}
	if len(q.wants) <= fewWants {
		return
	}
	q.wantOf = make([]int32, len(n.pairs))
	for i := range q.wantOf {
		q.wantOf[i] = -1
	}
	for i := range q.wants {
		q.wantOf[q.wants[i].pair] = int32(i)
	}
}

// fewWants is how many pairs are searched among instead of being listed by number.
const fewWants = 8

// place returns the place of a pair in wants, -1 where it is not wanted.
func (q *query) place(pairCode uint32) int32 {
	if q.wantOf != nil {
		if int(pairCode) >= len(q.wantOf) {
			return -1
		}
		return q.wantOf[pairCode]
	}
	for i := range q.wants {
		if q.wants[i].pair == pairCode {
			return int32(i)
		}
	}
	return -1
}

// wanted returns the want of a pair, nil when there is none.
func (q *query) wanted(pairCode uint32) *want {
	k := q.place(pairCode)
	if k < 0 {
		return nil
	}
	return &q.wants[k]
}

const (
	keepUnknown = iota
	keepYes
	keepNo
)

// keeps reports whether Selection.Series wants a series. It asks once for each
// that occurs, so a selection of few records costs little however many series
// there are.
func (q *query) keeps(w *want, local uint32) bool {
	if q.sel.Series == nil {
		return true
	}
	if w.kept == nil {
		w.kept = make([]uint8, len(w.series))
	}
	k := &w.kept[local]
	if *k == keepUnknown {
		*k = keepNo
		if q.sel.Series(q.seriesAt(w.series[local])) {
			*k = keepYes
		}
	}
	return *k == keepYes
}

// partRange is the part of a query that lies in one part of the store.
type partRange struct {
	part    int
	base    uint32
	lo, hi  int // rows of the part
	whole   bool
	chained *bitmap // nil when no row of the part is chained
	segment *segment
	head    *head
}

// ranges returns the parts that the query has rows in, in their order.
func (q *query) ranges() []partRange {
	if len(q.wants) == 0 {
		return nil
	}
	var out []partRange
	for i := int(q.lo >> q.shift); i < len(q.parts); i++ {
		p := &q.parts[i]
		if p.base >= q.hi {
			break
		}
		n := q.rowsOf(i)
		r := partRange{part: i, base: p.base, lo: int(max(q.lo, p.base) - p.base), hi: min(n, int(q.hi-p.base)), segment: p.segment, head: q.headOf(i)}
		var least, most int64
		if r.segment != nil {
			least, most = r.segment.least, r.segment.most
		} else {
			least, most = r.head.least, r.head.most
		}
		// Voids, which have no Start, are of no part's bounds; plain records are.
		if (q.sel.Class == usage.Plain || q.from > zeroStart) && (q.from > most || q.to <= least) {
			continue
		}
		r.whole = r.lo == 0 && r.hi == n
		r.chained = q.chainedIn(p)
		out = append(out, r)
	}
	return out
}

// bitmap has a bit for each row of a part.
type bitmap [mostRows / 64]uint64

func (b *bitmap) set(i int)      { b[i>>6] |= 1 << (i & 63) }
func (b *bitmap) has(i int) bool { return b[i>>6]>>(i&63)&1 != 0 }

// chainedIn returns which rows of a part are chained as of the mark.
func (q *query) chainedIn(p *part) *bitmap {
	var b *bitmap
	for _, c := range p.chained {
		if c.at >= q.mark {
			break
		}
		if b == nil {
			b = new(bitmap)
		}
		b.set(int(c.row))
	}
	return b
}

// takes reports whether the class and the range of rows take a row of a part.
func (q *query) takes(r *partRange, row int) bool {
	if row < r.lo || row >= r.hi {
		return false
	}
	switch q.sel.Class {
	case usage.Plain:
		return r.chained == nil || !r.chained.has(row)
	case usage.Chained:
		return r.chained != nil && r.chained.has(row)
	case usage.Corrections:
		return r.chained != nil && r.chained.has(row) && q.isCorrection(r.base+uint32(row))
	}
	return true
}

func (q *query) isCorrection(row uint32) bool {
	q.store.mu.RLock()
	defer q.store.mu.RUnlock()
	_, ok := q.store.corrections[row]
	return ok
}

// startOf returns the start of a record of a want, given what the column says.
func (w *want) startOf(us int64) int64 {
	if w.void {
		return zeroStart
	}
	return us
}

// runs calls f for every run of a segment that is wanted, with the positions
// of it that lie in the range of starts, until f returns false.
func (q *query) runs(g *segment, f func(run int, w *want, from, to int) bool) {
	call := func(run int, w *want) bool {
		from, to := int(g.runs[run]), int(g.runs[run+1])
		switch {
		case w.void:
			if zeroStart < q.from || zeroStart >= q.to {
				return true
			}
		default:
			if q.from > g.least {
				from = g.start.search(from, to, q.from)
			}
			if q.to <= g.most {
				to = g.start.search(from, to, q.to)
			}
		}
		return from == to || f(run, w, from, to)
	}
	if len(q.wants) < len(g.pairs)/16 {
		run := 0
		for i := range q.wants {
			k, found := slices.BinarySearch(g.pairs[run:], q.wants[i].pair)
			if run += k; found && !call(run, &q.wants[i]) {
				return
			}
		}
		return
	}
	for run, p := range g.pairs {
		if k := q.place(p); k >= 0 && !call(run, &q.wants[k]) {
			return
		}
	}
}
