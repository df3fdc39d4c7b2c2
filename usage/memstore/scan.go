package memstore

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"time"

	"github.com/usagebook/usagebook/usage"
)

// Scan yields records; see [usage.Store] for the rules. It reads a snapshot
// taken when the iteration begins and holds no lock while it yields.
func (s *Store) Scan(ctx context.Context, sel usage.Selection) iter.Seq2[*usage.Stored, error] {
	return func(yield func(*usage.Stored, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(nil, err)
			return
		}
		q, err := s.query(&sel)
		if err != nil {
			yield(nil, err)
			return
		}
		r := reader{query: q, ctx: ctx, yield: yield}
		switch {
		case sel.Identities != nil:
			r.identities()
		case sel.Class == usage.Chained || sel.Class == usage.Corrections:
			r.chained()
		case sel.Order == usage.ByStart:
			r.merge()
		default:
			r.parts()
		}
	}
}

// checkEvery is the number of rows between two looks at the context.
const checkEvery = 1024

// reader is a scan under way.
type reader struct {
	*query
	ctx    context.Context
	yield  func(*usage.Stored, error) bool
	steps  int
	fields fields // scratch
}

// hit is a selected row.
type hit struct {
	row uint32 // of the store
	at  uint32 // its position in a segment, its place in a head
	run uint32
}

// alive reports whether the scan may go on, and yields the error if not.
func (r *reader) alive() bool {
	if r.steps++; r.steps%checkEvery != 0 {
		return true
	}
	if err := r.ctx.Err(); err != nil {
		r.yield(nil, err)
		return false
	}
	return true
}

// emit yields hits as they stand.
func (r *reader) emit(hits []hit) bool {
	for _, h := range hits {
		// Every record: a consumer that cancels wants no further one.
		if err := r.ctx.Err(); err != nil {
			r.yield(nil, err)
			return false
		}
		if !r.yield(r.stored(h), nil) {
			return false
		}
	}
	return true
}

// parts yields in the order of commit, or inside a segment as it is sorted.
func (r *reader) parts() {
	var hits []hit
	for _, p := range r.ranges() {
		var ok bool
		if hits, ok = r.collect(&p, hits[:0]); !ok {
			return
		}
		if r.sel.Order == usage.BySequence && p.segment != nil {
			slices.SortFunc(hits, func(a, b hit) int { return cmp.Compare(a.row, b.row) })
		}
		if !r.emit(hits) {
			return
		}
	}
}

// collect returns the selected rows of a part; false after an error.
func (r *reader) collect(p *partRange, hits []hit) ([]hit, bool) {
	if p.head != nil {
		return r.collectHead(p, hits)
	}
	g := p.segment
	if p.hi-p.lo < g.n/8 {
		// Few rows by sequence: go by them instead of by runs.
		for row := p.lo; row < p.hi; row++ {
			if !r.alive() {
				return nil, false
			}
			if !r.takes(p, row) {
				continue
			}
			at := int(g.position.at(row))
			if h := (hit{p.base + uint32(row), uint32(at), uint32(g.run(at))}); r.matches(g, h) {
				hits = append(hits, h)
			}
		}
		return hits, true
	}
	ok := true
	r.runs(g, func(run int, w *want, from, to int) bool {
		for at := from; at < to; at++ {
			if ok = r.alive(); !ok {
				return false
			}
			row := int(g.row.at(at))
			if r.takes(p, row) && r.keeps(w, uint32(g.local.at(at))) {
				hits = append(hits, hit{p.base + uint32(row), uint32(at), uint32(run)})
			}
		}
		return true
	})
	return hits, ok
}

func (r *reader) collectHead(p *partRange, hits []hit) ([]hit, bool) {
	h := p.head
	for row := p.lo; row < p.hi; row++ {
		if !r.alive() {
			return nil, false
		}
		if at := (hit{row: p.base + uint32(row), at: uint32(row)}); r.matchesHead(h, row) && r.takes(p, row) {
			hits = append(hits, at)
		}
	}
	return hits, true
}

// matches reports whether pair, start and series of a position are wanted.
func (q *query) matches(g *segment, h hit) bool {
	w := q.wanted(g.pairs[h.run])
	if w == nil {
		return false
	}
	start := w.startOf(g.start.at(int(h.at)))
	return q.from <= start && start < q.to && q.keeps(w, uint32(g.local.at(int(h.at))))
}

func (q *query) matchesHead(h *head, row int) bool {
	w := q.wanted(h.pair[row])
	return w != nil && q.from <= h.start[row] && h.start[row] < q.to && q.keeps(w, h.local[row])
}

// pick turns rows of the store into hits, leaving out what is not selected.
func (r *reader) pick(rows []uint32) ([]hit, bool) {
	ranges := r.ranges()
	var hits []hit
	for _, row := range rows {
		if !r.alive() {
			return nil, false
		}
		i, found := slices.BinarySearchFunc(ranges, int(row>>r.shift), func(p partRange, part int) int { return cmp.Compare(p.part, part) })
		if !found {
			continue
		}
		p := &ranges[i]
		k := int(row - p.base)
		if !r.takes(p, k) {
			continue
		}
		if p.head != nil {
			if r.matchesHead(p.head, k) {
				hits = append(hits, hit{row: row, at: uint32(k)})
			}
			continue
		}
		at := int(p.segment.position.at(k))
		if h := (hit{row, uint32(at), uint32(p.segment.run(at))}); r.matches(p.segment, h) {
			hits = append(hits, h)
		}
	}
	return hits, true
}

// identities answers from the index.
func (r *reader) identities() {
	var rows []uint32
	const chunk = 256
	for ids := range slices.Chunk(r.sel.Identities, chunk) {
		if !r.alive() {
			return
		}
		r.store.mu.RLock()
		for _, id := range ids {
			if row, ok := r.store.find(id); ok && row < r.hi {
				rows = append(rows, row)
			}
		}
		r.store.mu.RUnlock()
	}
	r.sorted(rows)
}

// chained answers from the lists of chained rows, which are short.
func (r *reader) chained() {
	var rows []uint32
	for i := range r.query.view.parts {
		p := &r.query.view.parts[i]
		for _, c := range p.chained {
			if c.at < r.mark {
				rows = append(rows, p.base+c.row)
			}
		}
	}
	r.sorted(rows)
}

// sorted yields rows that were found one by one, in the order asked for.
func (r *reader) sorted(rows []uint32) {
	slices.Sort(rows)
	hits, ok := r.pick(slices.Compact(rows))
	if !ok {
		return
	}
	if r.sel.Order == usage.ByStart {
		keys := make([]key, len(hits))
		for i, h := range hits {
			keys[i] = r.key(h)
		}
		slices.SortFunc(keys, func(a, b key) int { return r.compare(&a, &b) })
		hits = hits[:0]
		for i := range keys {
			if r.after(&keys[i]) {
				hits = append(hits, keys[i].hit)
			}
		}
	}
	r.emit(hits)
}

// stored builds the record of a hit.
func (r *reader) stored(h hit) *usage.Stored {
	f := &r.fields
	i := int(h.row >> r.shift)
	if g := r.query.view.parts[i].segment; g != nil {
		f.fromSegment(g, int(h.at), int(h.run), r.lists.values)
	} else {
		f.fromHead(r.headOf(i), int(h.at), r.lists.values)
	}
	series := r.seriesAt(r.wanted(f.pair).series[f.local])
	out := &usage.Stored{
		Record: usage.Record{
			Tenant: series.Tenant, Source: r.sources[f.source], ID: idString(f.idForm, f.id),
			Meter: series.Meter, Dimensions: series.Dimensions, Values: f.values(),
		},
		Sequence: uint64(h.row) + 1,
		Recorded: time.UnixMicro(r.recorded(h.row)).UTC(),
		Verdict:  r.verdicts[f.verdict],
	}
	out.Start, out.End = f.times()
	r.corrections(out, h.row)
	return out
}

// corrections fills in what the record corrects and what corrects it.
func (r *reader) corrections(out *usage.Stored, row uint32) {
	p := &r.query.view.parts[row>>r.shift]
	if len(p.chained) == 0 {
		return
	}
	r.store.mu.RLock()
	c, corrects := r.store.corrections[row]
	by, corrected := r.store.corrected[row]
	kind := r.store.corrections[by].kind
	r.store.mu.RUnlock()
	if corrects {
		_, source, id := r.identity(c.target)
		out.Corrects = &usage.Correction{Kind: c.kind, Source: source, ID: id}
	}
	if corrected && by < r.mark {
		_, source, id := r.identity(by)
		out.CorrectedBy = &usage.CorrectedBy{Sequence: uint64(by) + 1, Kind: kind, Source: source, ID: id}
	}
}
