package sqlitestore

import (
	"cmp"
	"context"
	"database/sql/driver"
	"math"
	"slices"

	"github.com/usagebook/usagebook/usage"
)

// query is a selection in numbers.
type query struct {
	s   *Store
	sel *usage.Selection

	lo, hi   int64 // sequences in (lo, hi]
	mark     int64 // corrections up to it have happened
	from, to int64 // start in [from, to)

	pairs   []*pair // wanted, by code
	wanted  map[int64]*pair
	chained map[int64]bool // pairs that may have chained records

	kept map[int64]bool // what Selection.Series said of a series

	// Of Selection.Filter, what is decided here; see push.
	where      string
	args       []driver.Value
	identities []usage.Identity // nil: no condition
}

// none reports whether it is plain that nothing is selected.
func (q *query) none() bool { return q.lo >= q.hi || q.from >= q.to || len(q.pairs) == 0 }

// query resolves a selection.
func (s *Store) query(ctx context.Context, sel *usage.Selection) (*query, error) {
	if err := sel.Scope.Check(); err != nil {
		return nil, err
	}
	q := &query{s: s, sel: sel, from: math.MinInt64, to: math.MaxInt64}
	if !sel.From.IsZero() {
		q.from = ceilMicro(sel.From)
	}
	if !sel.To.IsZero() {
		q.to = ceilMicro(sel.To)
	}
	if sel.Resume != nil {
		q.from = max(q.from, sel.Resume.Start)
	}
	err := s.pool.read(ctx, func(c *conn) error { return q.resolve(ctx, c) })
	return q, err
}

func (q *query) resolve(ctx context.Context, c *conn) error {
	sel := q.sel
	q.mark = int64(min(sel.Mark.Sequence, math.MaxInt64))
	if q.mark > q.s.known.Load() {
		n, err := newest(ctx, c)
		if err != nil {
			return err
		}
		q.s.learn(n)
		q.mark = min(q.mark, n)
	}
	q.lo, q.hi = int64(min(sel.After, math.MaxInt64)), q.mark
	if sel.Through != 0 {
		q.hi = min(q.hi, int64(min(sel.Through, math.MaxInt64)))
	}
	if !sel.RecordedFrom.IsZero() && q.lo < q.hi {
		l, err := bookedBefore(ctx, c, ceilMicro(sel.RecordedFrom))
		if err != nil {
			return err
		}
		q.lo = max(q.lo, l.last())
	}
	if !sel.RecordedTo.IsZero() && q.lo < q.hi {
		l, err := bookedBefore(ctx, c, ceilMicro(sel.RecordedTo))
		if err != nil {
			return err
		}
		q.hi = min(q.hi, l.last())
	}
	if q.identities = sel.Identities; q.lo < q.hi {
		if err := q.push(ctx, c); err != nil {
			return err
		}
	}
	if q.lo >= q.hi || q.from >= q.to {
		return nil
	}
	if err := q.want(ctx, c); err != nil || len(q.pairs) == 0 {
		return err
	}
	var err error
	q.chained, err = q.s.chained.upTo(ctx, c, q.mark)
	return err
}

// want lists the wanted pairs.
func (q *query) want(ctx context.Context, c *conn) error {
	all, byTenant, err := q.s.names.pairs.upTo(ctx, c, q.hi)
	if err != nil {
		return err
	}
	if tenants, every := q.sel.Scope.Tenants(); !every {
		all = nil
		for _, t := range tenants {
			all = append(all, byTenant(t)...)
		}
	}
	var meters map[string]bool
	if len(q.sel.Meters) > 8 {
		meters = make(map[string]bool, len(q.sel.Meters))
		for _, m := range q.sel.Meters {
			meters[m] = true
		}
	}
	for _, p := range all {
		switch {
		case p.void() && (q.sel.Meters != nil || q.sel.Class == usage.Plain || zeroStart < q.from || zeroStart >= q.to):
		case q.sel.Meters == nil, meters != nil && meters[p.meter], meters == nil && slices.Contains(q.sel.Meters, p.meter):
			q.pairs = append(q.pairs, p)
		}
	}
	slices.SortFunc(q.pairs, func(a, b *pair) int { return cmp.Compare(a.code, b.code) })
	return nil
}

// pairOf returns a wanted pair, nil for others.
func (q *query) pairOf(code int64) *pair {
	if q.wanted == nil {
		q.wanted = make(map[int64]*pair, len(q.pairs))
		for _, p := range q.pairs {
			q.wanted[p.code] = p
		}
	}
	return q.wanted[code]
}

// keeps reports whether Selection.Series wants a series, which it is asked about
// once.
func (q *query) keeps(ctx context.Context, c *conn, series int64) (bool, error) {
	if q.sel.Series == nil {
		return true, nil
	}
	if keep, ok := q.kept[series]; ok {
		return keep, nil
	}
	of, err := q.s.names.seriesOf(ctx, c, series)
	if err != nil {
		return false, err
	}
	if q.kept == nil {
		q.kept = make(map[int64]bool)
	}
	keep := q.sel.Series(of)
	q.kept[series] = keep
	return keep, nil
}

// takes reports whether sequence, start and class take a record of a wanted pair.
// h is what is known of its corrections, nil where there are none.
func (q *query) takes(at place, h *chain) bool {
	if at.seq <= q.lo || at.seq > q.hi || at.start < q.from || at.start >= q.to {
		return false
	}
	chained := h != nil && h.since <= q.mark
	switch q.sel.Class {
	case usage.Plain:
		return !chained
	case usage.Chained:
		return chained
	case usage.Corrections:
		return chained && h.kind != 0
	}
	return true
}
