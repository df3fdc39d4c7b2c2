package usage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/usagebook/usagebook/aggregate"
)

// Roll takes the next records, at most Options.RollBatch of them, into the
// rollups and moves the checkpoint. It reports false when there was nothing
// left to take. It may be called at any time and from several processes: a
// step that loses the race to another one starts over from where that one left.
func (b *Book) Roll(ctx context.Context) (bool, error) {
	for tries := 0; ; tries++ {
		did, err := b.roll(ctx)
		// Who wins the race moves the checkpoint, and may let go of the rollups
		// that this step was reading. The bound is for a store that never agrees.
		if (errors.Is(err, ErrCheckpoint) || errors.Is(err, ErrHeld)) && ctx.Err() == nil && tries < 1000 {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("usage: roll: %w", err)
		}
		return did, nil
	}
}

// roller is one step of the checkpoint in the making.
type roller struct {
	book     *Book
	from, to uint64
	mark     Mark
	coverage *coverage
	// added are the records of the step that count, changed the older ones
	// whose standing it changes, both by month.
	added   map[int64][]*Stored
	changed map[int64][]changedRecord
	put     map[string]*Rollup // by key
}

type changedRecord struct {
	*Stored
	counts bool // at the end of the step
}

func (b *Book) roll(ctx context.Context) (bool, error) {
	st, err := b.store.Checkpoint(ctx, AsOf{})
	if err != nil {
		return false, err
	}
	if st.Checkpoint != st.Latest {
		return false, ErrCheckpoint // it moved while the store answered
	}
	r := &roller{book: b, from: st.Latest, to: min(st.Latest+uint64(b.opts.RollBatch), st.Mark.Sequence),
		added: map[int64][]*Stored{}, changed: map[int64][]changedRecord{}, put: map[string]*Rollup{}}
	if r.to <= r.from {
		return false, nil
	}
	r.mark = Mark{Sequence: r.to}
	if r.coverage, err = decodeCoverage(st.Coverage); err != nil {
		return false, err
	}
	if err := r.gather(ctx); err != nil {
		return false, err
	}
	months := map[int64]bool{}
	for m := range r.added {
		months[m] = true
	}
	for m := range r.changed {
		months[m] = true
	}
	for _, m := range slices.Sorted(maps.Keys(months)) {
		if err := r.month(ctx, m); err != nil {
			return false, err
		}
	}
	if err := r.tidy(ctx); err != nil {
		return false, err
	}
	c := &Commit{From: r.from, To: r.to, Now: b.Now(), Hold: b.opts.SnapshotHold}
	for _, key := range slices.Sorted(maps.Keys(r.put)) {
		c.Put = append(c.Put, r.put[key])
	}
	if c.Coverage, err = r.coverage.encode(); err != nil {
		return false, err
	}
	if err := b.store.Commit(ctx, c); err != nil {
		return true, err
	}
	// The next query need not decode what is at hand.
	b.rollups.Store(&decodedCoverage{c.Coverage, r.coverage})
	return true, nil
}

// gather reads the records of the step and finds out which older records it
// makes count or stop counting.
func (r *roller) gather(ctx context.Context) error {
	var corrections []*Stored
	sel := Selection{Scope: AllTenants(), Mark: r.mark, After: r.from}
	err := r.book.scanLinked(ctx, sel, func(s *Stored, l link) error {
		if s.Corrects != nil {
			corrections = append(corrections, s)
		}
		if l.counts {
			m := aggregate.Floor(aggregate.Month, s.Start.UnixMicro())
			r.added[m] = append(r.added[m], s)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(corrections) == 0 {
		return nil
	}
	records, err := r.book.originals(ctx, r.mark, corrections)
	if err != nil {
		return err
	}
	records = slices.DeleteFunc(records, func(s *Stored) bool { return s.Sequence > r.from })
	after, err := r.book.counted(ctx, r.mark, records, false)
	if err != nil {
		return err
	}
	was, err := r.standing(ctx, records)
	if err != nil {
		return err
	}
	for i, s := range records {
		if was[i] != after[i].counts {
			m := aggregate.Floor(aggregate.Month, s.Start.UnixMicro())
			r.changed[m] = append(r.changed[m], changedRecord{s, after[i].counts})
		}
	}
	return nil
}

// standing tells which of the records counted at the checkpoint before.
func (r *roller) standing(ctx context.Context, records []*Stored) ([]bool, error) {
	if len(records) == 0 {
		return nil, nil
	}
	before := Mark{Sequence: r.from}
	ids := make([]Identity, len(records))
	for i, s := range records {
		ids[i] = s.Identity()
	}
	then, err := r.book.find(ctx, before, ids)
	if err != nil {
		return nil, err
	}
	out := make([]bool, len(records))
	var known []*Stored
	var at []int
	for i, id := range ids {
		if s := then[id]; s != nil {
			known = append(known, s)
			at = append(at, i)
		}
	}
	links, err := r.book.counted(ctx, before, known, false)
	if err != nil {
		return nil, err
	}
	for k, i := range at {
		out[i] = links[k].counts
	}
	return out, nil
}

// month takes the step's records of one month in.
func (r *roller) month(ctx context.Context, from int64) error {
	m := r.coverage.month(from)
	if m == nil {
		n, err := r.few(ctx, from)
		if err != nil || n < coveredFrom {
			return err
		}
		m = &month{From: from, Records: n}
		r.coverage.add(m)
	} else {
		m.Records += int64(len(r.added[from]))
		for _, c := range r.changed[from] {
			if c.counts {
				m.Records++
			} else {
				m.Records--
			}
		}
		for _, k := range m.Kinds {
			if !k.Kept {
				continue
			}
			p := r.book.projection(k.Projection)
			if p == nil {
				continue // tidy drops it
			}
			if err := r.update(ctx, m, k, p); err != nil {
				return err
			}
			if k.Rows*worthwhile > m.Records {
				if err := r.drop(ctx, m, k); err != nil {
					return err
				}
			}
		}
	}
	return r.weigh(ctx, m)
}

func (b *Book) projection(name string) *projection {
	for i := range b.projections {
		if b.projections[i].name == name {
			return &b.projections[i]
		}
	}
	return nil
}

// few counts the records of a month that is not in the coverage: the older ones,
// which were too few to bring it there, and what the step adds.
func (r *roller) few(ctx context.Context, from int64) (int64, error) {
	n := int64(0)
	err := r.scanMonth(ctx, from, func(*Stored) error { n++; return nil })
	return n, err
}

// scanMonth visits the records that count at the end of the step with a Start
// in the month: those that the step adds, which are at hand, and the older ones.
func (r *roller) scanMonth(ctx context.Context, from int64, visit func(*Stored) error) error {
	if r.from > 0 {
		sel := Selection{Scope: AllTenants(), Mark: r.mark, Through: r.from, From: instant(from), To: instant(aggregate.Next(aggregate.Month, from))}
		stopped := false
		err := r.scan(ctx, sel, func(s *Stored) error {
			err := visit(s)
			stopped = err == errStop
			return err
		})
		if err != nil || stopped {
			return err
		}
	}
	for _, s := range r.added[from] {
		if err := visit(s); err != nil {
			if err == errStop {
				return nil
			}
			return err
		}
	}
	return nil
}

// scan visits the records of a selection that count at the end of the step.
func (r *roller) scan(ctx context.Context, sel Selection, visit func(*Stored) error) error {
	return r.book.scanLinked(ctx, sel, func(s *Stored, l link) error {
		if !l.counts {
			return nil
		}
		return visit(s)
	})
}

// rollupKey is the key of the row that a record belongs to.
func rollupKey(p *projection, level aggregate.Unit, s *Stored) RollupKey {
	return RollupKey{Projection: p.name, Level: level, Bucket: aggregate.Floor(level, s.Start.UnixMicro()),
		Tenant: s.Tenant, Meter: s.Meter, Dimensions: p.cut(s.Dimensions), Verdict: s.Verdict.Class()}
}

// AppendKey appends a form of the key that is equal for equal keys only, with
// rows of one projection, level and bucket next to each other.
func (k *RollupKey) AppendKey(b []byte) []byte {
	b = appendKeyText(b, k.Projection)
	b = append(b, byte(k.Level))
	u := uint64(k.Bucket) ^ 1<<63
	for shift := 56; shift >= 0; shift -= 8 {
		b = append(b, byte(u>>shift))
	}
	b = appendKeyText(b, k.Tenant)
	b = appendKeyText(b, k.Meter)
	b = append(b, byte(k.Verdict))
	return k.Dimensions.AppendKey(b)
}

// rowSet gathers rollup rows by key.
type rowSet struct {
	rows    map[string]*Rollup
	scratch []byte
}

func (t *rowSet) add(p *projection, level aggregate.Unit, s *Stored) *Rollup {
	key := rollupKey(p, level, s)
	t.scratch = key.AppendKey(t.scratch[:0])
	row := t.rows[string(t.scratch)]
	if row == nil {
		row = &Rollup{RollupKey: key}
		t.rows[string(t.scratch)] = row
	}
	row.add(s)
	return row
}

func (r *Rollup) add(s *Stored) {
	r.Records++
	for i := range s.Values.list {
		v := &s.Values.list[i]
		r.value(v.Name).Add(v.Number)
	}
}

// value returns the summary of a value, made if it is missing.
func (r *Rollup) value(name string) *aggregate.Summary {
	i, ok := slices.BinarySearchFunc(r.Values, name, func(v ValueSummary, name string) int { return strings.Compare(v.Name, name) })
	if !ok {
		r.Values = slices.Insert(r.Values, i, ValueSummary{Name: name})
	}
	return &r.Values[i].Summary
}

// update brings the rows of one kept level up to the end of the step: it adds
// the new records to their rows, and makes the rows anew whose records a
// correction touched.
func (r *roller) update(ctx context.Context, m *month, k *kind, p *projection) error {
	anew := map[string]RollupKey{}
	for _, c := range r.changed[m.From] {
		key := rollupKey(p, k.Level, c.Stored)
		anew[string(key.AppendKey(nil))] = key
	}
	fresh := rowSet{rows: map[string]*Rollup{}}
	var scratch []byte
	for _, s := range r.added[m.From] {
		if len(anew) > 0 {
			key := rollupKey(p, k.Level, s)
			scratch = key.AppendKey(scratch[:0])
			if _, ok := anew[string(scratch)]; ok {
				continue
			}
		}
		fresh.add(p, k.Level, s)
	}
	keys := make([]RollupKey, 0, len(fresh.rows)+len(anew))
	for _, row := range fresh.rows {
		keys = append(keys, row.RollupKey)
	}
	for _, key := range anew {
		keys = append(keys, key)
	}
	known := map[string]bool{}
	for chunk := range slices.Chunk(keys, 4096) {
		sel := RollupSelection{Scope: AllTenants(), Checkpoint: r.from, Projection: p.name, Level: k.Level, Keys: chunk}
		for old, err := range r.book.store.ScanRollups(ctx, sel) {
			if err != nil {
				return err
			}
			id := string(old.RollupKey.AppendKey(nil))
			known[id] = true
			row := fresh.rows[id]
			if row == nil {
				continue
			}
			row.Records += old.Records
			for i := range old.Values {
				row.value(old.Values[i].Name).Merge(&old.Values[i].Summary)
			}
		}
	}
	for id, row := range fresh.rows {
		if !known[id] {
			k.Rows++
		}
		r.put[id] = row
	}
	return r.restate(ctx, k, p, anew, known)
}

// restate makes rows anew from the records, one tenant's meter at a time.
func (r *roller) restate(ctx context.Context, k *kind, p *projection, anew map[string]RollupKey, known map[string]bool) error {
	type read struct {
		tenant, meter string
		bucket        int64
	}
	reads := map[read]bool{}
	for _, key := range anew {
		reads[read{key.Tenant, key.Meter, key.Bucket}] = true
	}
	made := rowSet{rows: map[string]*Rollup{}}
	for at := range reads {
		sel := Selection{Scope: ForTenant(at.tenant), Mark: r.mark, Meters: []string{at.meter},
			From: instant(at.bucket), To: instant(aggregate.Next(k.Level, at.bucket))}
		err := r.scan(ctx, sel, func(s *Stored) error {
			key := rollupKey(p, k.Level, s)
			made.scratch = key.AppendKey(made.scratch[:0])
			if _, ok := anew[string(made.scratch)]; ok {
				made.add(p, k.Level, s)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for id, key := range anew {
		row := made.rows[id]
		switch {
		case row != nil && !known[id]:
			k.Rows++
		case row == nil && known[id]:
			k.Rows--
			row = &Rollup{RollupKey: key}
		case row == nil:
			continue
		}
		r.put[id] = row
	}
	return nil
}

// drop takes a level away.
func (r *roller) drop(ctx context.Context, m *month, k *kind) error {
	prefix := rollupPrefix(k.Projection, k.Level)
	for id, row := range r.put {
		if strings.HasPrefix(id, prefix) && row.Bucket >= m.From && row.Bucket < m.to() {
			delete(r.put, id)
		}
	}
	sel := RollupSelection{Scope: AllTenants(), Checkpoint: r.from, Projection: k.Projection, Level: k.Level, From: m.From, To: m.to()}
	for old, err := range r.book.store.ScanRollups(ctx, sel) {
		if err != nil {
			return err
		}
		r.put[string(old.RollupKey.AppendKey(nil))] = &Rollup{RollupKey: old.RollupKey}
	}
	k.Kept, k.Rows, k.Tried = false, 0, m.Records
	return nil
}

func rollupPrefix(projection string, level aggregate.Unit) string {
	return string(append(appendKeyText(nil, projection), byte(level)))
}

// weigh tries the levels that are not kept, where the month has at least half as
// many records again as it had when they were tried last. A level whose rows come to
// more than a quarter of the records is given up as soon as that is seen.
func (r *roller) weigh(ctx context.Context, m *month) error {
	type attempt struct {
		p    *projection
		k    *kind
		rows rowSet
	}
	var tries []*attempt
	for i := range r.book.projections {
		p := &r.book.projections[i]
		for _, level := range levels {
			k := m.kind(p.name, level)
			if !k.Kept && 2*m.Records >= 3*k.Tried && m.Records > 0 {
				k.Tried = m.Records
				tries = append(tries, &attempt{p, k, rowSet{rows: map[string]*Rollup{}}})
			}
		}
	}
	if len(tries) == 0 {
		return nil
	}
	open := slices.Clone(tries)
	err := r.scanMonth(ctx, m.From, func(s *Stored) error {
		open = slices.DeleteFunc(open, func(t *attempt) bool {
			t.rows.add(t.p, t.k.Level, s)
			if int64(len(t.rows.rows))*worthwhile > m.Records {
				t.rows.rows = nil
				return true
			}
			return false
		})
		if len(open) == 0 {
			return errStop
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, t := range open {
		t.k.Kept, t.k.Rows = true, int64(len(t.rows.rows))
		for id, row := range t.rows.rows {
			r.put[id] = row
		}
	}
	return nil
}

// tidy drops the rows of projections that the options no longer name, and
// weighs those that they name since.
func (r *roller) tidy(ctx context.Context) error {
	for _, m := range r.coverage.Months {
		for _, k := range m.Kinds {
			if k.Kept && r.book.projection(k.Projection) == nil {
				if err := r.drop(ctx, m, k); err != nil {
					return err
				}
			}
		}
		m.Kinds = slices.DeleteFunc(m.Kinds, func(k *kind) bool { return r.book.projection(k.Projection) == nil })
		if len(m.Kinds) < len(r.book.projections)*len(levels) {
			if err := r.weigh(ctx, m); err != nil {
				return err
			}
		}
	}
	return nil
}
