package memstore

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"iter"
	"slices"

	"github.com/usagebook/usagebook/usage"
)

// ScanRollups yields rollup rows; see [usage.Store] for the rules. The yielded
// row is reused. No lock is held while it yields: should the checkpoint stop
// being held in the meantime, the scan ends with usage.ErrHeld.
//
// At checkpoint 0, where every book begins, there are no rows.
func (s *Store) ScanRollups(ctx context.Context, sel usage.RollupSelection) iter.Seq2[*usage.Rollup, error] {
	return func(yield func(*usage.Rollup, error) bool) {
		r := rollupReader{store: s, ctx: ctx, sel: &sel, yield: yield}
		if err := r.run(); err != nil {
			yield(nil, err)
		}
	}
}

// lend has a function work in room that was lent.
func (r *rollupReader) lend(f func() error) error {
	x := &r.store.rollups
	if r.foundRollups, _ = x.found.Get().(*foundRollups); r.foundRollups == nil {
		r.foundRollups = new(foundRollups)
	}
	defer func() {
		if cap(r.found) <= 4*rollupsAtOnce {
			clear(r.found[:cap(r.found)]) // rows that are large
			r.found, r.more = r.found[:0], r.more[:0]
			x.found.Put(r.foundRollups)
		}
	}()
	return f()
}

// rollupReader is a scan of rollups under way.
type rollupReader struct {
	store *Store
	ctx   context.Context
	sel   *usage.RollupSelection
	yield func(*usage.Rollup, error) bool

	pairs  []pair
	sets   []usage.Dimensions
	lists  lists
	meters map[uint32]bool
	scope  map[uint32]bool // nil: all tenants

	*foundRollups // what was found and not yielded yet
	out           usage.Rollup
	sums          *rollupSums // what is yielded in the place of rows, if not nil
	stopped       bool
}

type foundRollups struct {
	found []foundRollup
	more  []packedSummary
}

// foundRollup is a copy of a row: it is yielded outside of the lock.
type foundRollup struct {
	row   rollupRow
	more  int // of the reader's more
	large *largeRollup
}

// rollupsAtOnce is about the number of rows that are found under one lock.
const rollupsAtOnce = 1024

func (r *rollupReader) run() error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	if err := r.sel.Scope.Check(); err != nil {
		return err
	}
	if err := r.resolve(); err != nil || r.sel.Checkpoint == 0 {
		return err
	}
	return r.lend(r.read)
}

func (r *rollupReader) read() error {
	if r.sel.Keys != nil {
		return r.keys()
	}
	spans, err := r.spans()
	if err != nil {
		return err
	}
	for _, at := range spans {
		if err := r.span(at, nil); err != nil {
			return err
		}
		if len(r.found) >= rollupsAtOnce {
			if err := r.flush(); err != nil || r.stopped {
				return err
			}
		}
	}
	return r.flush()
}

// resolve looks up the names of the selection.
func (r *rollupReader) resolve() error {
	r.store.mu.RLock()
	defer r.store.mu.RUnlock()
	if r.store.closed {
		return usage.ErrClosed
	}
	if r.sel.Checkpoint == 0 {
		return nil
	}
	// Asked first: the names of rows that are committed from here on may be
	// missing in the lists that are taken below.
	r.store.rollups.mu.RLock()
	_, _, err := r.table()
	r.store.rollups.mu.RUnlock()
	if err != nil {
		return err
	}
	n := &r.store.names
	// Tenant and meter of a pair never change, only its series do.
	r.pairs, r.sets, r.lists = n.pairs, n.sets, n.lists()
	if r.sel.Meters != nil {
		r.meters = make(map[uint32]bool, len(r.sel.Meters))
		for _, m := range r.sel.Meters {
			if c, ok := n.meters.find(m); ok {
				r.meters[c] = true
			}
		}
	}
	if tenants, all := r.sel.Scope.Tenants(); !all {
		r.scope = make(map[uint32]bool, len(tenants))
		for _, t := range tenants {
			if c, ok := n.tenants.find(t); ok {
				r.scope[c] = true
			}
		}
	}
	return nil
}

// table returns the table of the selection, nil when there is none, and the
// ordinal of its checkpoint. The lock of the rollups is held.
func (r *rollupReader) table() (*rollupTable, uint32, error) {
	x := &r.store.rollups
	if x.tables == nil {
		return nil, 0, usage.ErrClosed
	}
	i, ok := slices.BinarySearchFunc(x.held, r.sel.Checkpoint, func(h heldCheckpoint, at uint64) int { return cmp.Compare(h.at, at) })
	if !ok {
		return nil, 0, fmt.Errorf("memstore: rollups: %w: checkpoint %d", usage.ErrHeld, r.sel.Checkpoint)
	}
	return x.tables[rollupKind{r.sel.Projection, r.sel.Level}], x.held[i].ordinal, nil
}

// spanAt names a list of rows.
type spanAt struct {
	tenant uint32
	number int64
}

// spans returns the lists that may hold selected rows.
func (r *rollupReader) spans() ([]spanAt, error) {
	x := &r.store.rollups
	x.mu.RLock()
	defer x.mu.RUnlock()
	t, _, err := r.table()
	if err != nil || t == nil {
		return nil, err
	}
	var out []spanAt
	add := func(tenant uint32, of *tenantRollups) {
		for i := range of.spans {
			n := of.spans[i].number
			if r.ranged() && (n < spanNumber(t.level, r.sel.From) || n > spanNumber(t.level, r.sel.To)) {
				continue
			}
			out = append(out, spanAt{tenant, n})
		}
	}
	if r.scope == nil {
		for tenant, of := range t.byTenant {
			add(tenant, of)
		}
		return out, nil
	}
	for tenant := range r.scope {
		if of := t.byTenant[tenant]; of != nil {
			add(tenant, of)
		}
	}
	return out, nil
}

func (r *rollupReader) ranged() bool { return r.sel.From != 0 || r.sel.To != 0 }

// span collects the selected rows of a list; keys, unless nil, are the only
// ones wanted.
func (r *rollupReader) span(at spanAt, keys map[numberedKey]bool) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	x := &r.store.rollups
	x.mu.RLock()
	defer x.mu.RUnlock()
	t, ordinal, err := r.table()
	if err != nil || t == nil {
		return err
	}
	of := t.byTenant[at.tenant]
	if of == nil {
		return nil
	}
	i, ok := of.find(at.number)
	if !ok {
		return nil
	}
	for _, k := range of.spans[i].rows {
		row := t.row(k)
		if row.from > ordinal || row.until <= ordinal || !r.wants(row) ||
			keys != nil && !keys[numberedKey{row.bucket, row.pair, row.set, row.value.verdict}] {
			continue
		}
		r.take(t, k)
	}
	return nil
}

// wants reports whether range and meters take a row. Its tenant is in scope.
func (r *rollupReader) wants(row *rollupRow) bool {
	if r.ranged() && (row.bucket < r.sel.From || row.bucket >= r.sel.To) {
		return false
	}
	return r.meters == nil || r.meters[r.pairs[row.pair].meter]
}

func (r *rollupReader) take(t *rollupTable, k uint32) {
	row := t.row(k)
	f := foundRollup{row: *row, more: len(r.more)}
	for next := row.next; next != 0; next = t.more[next-1].next {
		r.more = append(r.more, t.more[next-1].value)
	}
	if row.value.scale == largeScale {
		f.large = t.large[k]
	}
	r.found = append(r.found, f)
}

// keys answers for single keys: from the index at the newest checkpoint, from
// the lists of rows at an older one, which the index does not know.
func (r *rollupReader) keys() error {
	keys, err := r.numbered()
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(keys, rollupsAtOnce) {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		old, err := r.current(chunk)
		if err != nil {
			return err
		}
		if old {
			if err := r.older(chunk); err != nil {
				return err
			}
		}
		if err := r.flush(); err != nil || r.stopped {
			return err
		}
	}
	return nil
}

// numbered returns the keys that the selection allows, in numbers, each once.
// A key whose names are unknown has no row.
func (r *rollupReader) numbered() ([]numberedKey, error) {
	out := make([]numberedKey, 0, len(r.sel.Keys))
	var scratch []byte
	for chunk := range slices.Chunk(r.sel.Keys, rollupsAtOnce) {
		if err := r.ctx.Err(); err != nil {
			return nil, err
		}
		r.store.mu.RLock()
		n := &r.store.names
		for i := range chunk {
			k := &chunk[i]
			if k.Projection != r.sel.Projection || k.Level != r.sel.Level {
				continue
			}
			tenant, ok := n.tenants.find(k.Tenant)
			if !ok || r.scope != nil && !r.scope[tenant] {
				continue
			}
			meter, ok := n.meters.find(k.Meter)
			if !ok {
				continue
			}
			p, ok := n.pairOf[pairKey(tenant, meter)]
			if !ok {
				continue
			}
			scratch = k.Dimensions.AppendKey(scratch[:0])
			if set, ok := n.setFind(&k.Dimensions, maphash.Bytes(n.seed, scratch)); ok {
				out = append(out, numberedKey{k.Bucket, p, set, uint8(k.Verdict)})
			}
		}
		// Keys may be of pairs that came after the scan began.
		r.pairs = n.pairs
		r.store.mu.RUnlock()
	}
	slices.SortFunc(out, func(a, b numberedKey) int {
		return cmp.Or(cmp.Compare(a.pair, b.pair), cmp.Compare(a.bucket, b.bucket), cmp.Compare(a.set, b.set), cmp.Compare(a.verdict, b.verdict))
	})
	return slices.Compact(out), nil
}

// current looks keys up in the index; older says that it cannot, because the
// checkpoint is not the newest.
func (r *rollupReader) current(keys []numberedKey) (older bool, err error) {
	x := &r.store.rollups
	x.mu.RLock()
	defer x.mu.RUnlock()
	t, _, err := r.table()
	if err != nil || t == nil {
		return false, err
	}
	if r.sel.Checkpoint != x.latest() {
		return true, nil
	}
	for i := range keys {
		if k, ok := t.find(&keys[i]); ok && r.wants(t.row(k)) {
			r.take(t, k)
		}
	}
	return false, nil
}

func (r *rollupReader) older(keys []numberedKey) error {
	wanted := make(map[numberedKey]bool, len(keys))
	spans := make(map[spanAt]bool)
	for _, k := range keys {
		wanted[k] = true
		spans[spanAt{r.pairs[k.pair].tenant, spanNumber(r.sel.Level, k.bucket)}] = true
	}
	for at := range spans {
		if err := r.span(at, wanted); err != nil {
			return err
		}
	}
	return nil
}

// flush yields what was found.
func (r *rollupReader) flush() error {
	if r.sums != nil {
		err := r.sums.add(r)
		r.found, r.more = r.found[:0], r.more[:0]
		return err
	}
	for i := range r.found {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		f := &r.found[i]
		p := &r.pairs[f.row.pair]
		o := &r.out
		o.RollupKey = usage.RollupKey{
			Projection: r.sel.Projection, Level: r.sel.Level, Bucket: f.row.bucket,
			Tenant: r.lists.tenants[p.tenant], Meter: r.lists.meters[p.meter], Dimensions: r.sets[f.row.set],
			Verdict: usage.VerdictClass(f.row.value.verdict),
		}
		o.Records, o.Values = int64(f.row.records), o.Values[:0]
		switch {
		case f.large != nil:
			o.Records = f.large.records
			o.Values = append(o.Values, f.large.values...)
		case f.row.value.scale != noSummary:
			r.value(&f.row.value)
			end := len(r.more)
			if i+1 < len(r.found) {
				end = r.found[i+1].more
			}
			for k := f.more; k < end; k++ {
				r.value(&r.more[k])
			}
		}
		if !r.yield(o, nil) {
			r.stopped = true
			return nil
		}
	}
	r.found, r.more = r.found[:0], r.more[:0]
	return nil
}

func (r *rollupReader) value(p *packedSummary) {
	r.out.Values = append(r.out.Values, usage.ValueSummary{Name: r.lists.values[p.name], Summary: p.summary()})
}
