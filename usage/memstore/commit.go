package memstore

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"unsafe"

	"github.com/usagebook/usagebook/usage"
)

// Commit moves the checkpoint; see [usage.Store] for the rules.
func (s *Store) Commit(ctx context.Context, c *usage.Commit) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.To <= c.From {
		return fmt.Errorf("memstore: commit: %w: the new checkpoint %d is not above %d", usage.ErrInvalid, c.To, c.From)
	}
	s.mu.RLock()
	err := s.room(int64(len(c.Put)) * 2 * int64(unsafe.Sizeof(rollupRow{})))
	s.mu.RUnlock()
	if err != nil {
		return fmt.Errorf("memstore: commit: %w", err)
	}
	// What takes long is done before the lock that readers of rollups want. A
	// commit that comes too late leaves a few numbers in the dictionary.
	puts, err := s.prepare(ctx, c.Put)
	if err != nil {
		return err
	}
	r := &s.rollups
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tables == nil {
		return usage.ErrClosed
	}
	if latest := r.latest(); latest != c.From {
		return fmt.Errorf("memstore: commit: %w: it is at %d, not at %d", usage.ErrCheckpoint, latest, c.From)
	}
	ordinal := uint32(1)
	if n := len(r.held); n > 0 {
		ordinal = r.held[n-1].ordinal + 1
		r.held[n-1].replaced = c.Now
	}
	for i := range puts {
		r.put(&puts[i], ordinal)
	}
	r.held = append(r.held, heldCheckpoint{at: c.To, ordinal: ordinal, coverage: slices.Clone(c.Coverage)})
	r.expire(c)
	r.count()
	return nil
}

// rollupPut is a row to put, in numbers.
type rollupPut struct {
	kind   rollupKind
	tenant uint32
	key    numberedKey
	source *usage.Rollup
	names  []uint32 // of the values
}

// prepareRows is the number of rows that are numbered under one lock.
const prepareRows = 1024

func (s *Store) prepare(ctx context.Context, rows []*usage.Rollup) ([]rollupPut, error) {
	puts := make([]rollupPut, 0, len(rows))
	var names []uint32
	var last rollupKind
	for chunk := range slices.Chunk(rows, prepareRows) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return nil, usage.ErrClosed
		}
		s.naming.Lock()
		for _, r := range chunk {
			if last.projection != r.Projection || last.level != r.Level {
				last = rollupKind{strings.Clone(r.Projection), r.Level}
			}
			p := rollupPut{kind: last, source: r, key: numberedKey{
				bucket: r.Bucket, pair: s.names.pairCode(r.Tenant, r.Meter), set: s.names.setCode(&r.Dimensions), verdict: uint8(r.Verdict),
			}}
			p.tenant = s.names.pairs[p.key.pair].tenant
			from := len(names)
			for i := range r.Values {
				names = append(names, s.names.values.code(r.Values[i].Name))
			}
			p.names = names[from:]
			puts = append(puts, p)
		}
		s.naming.Unlock()
		s.mu.Unlock()
	}
	return puts, nil
}

// put stores a row as of a checkpoint. The lock is held.
func (r *rollups) put(p *rollupPut, ordinal uint32) {
	t := r.tables[p.kind]
	if t == nil {
		t = &rollupTable{level: p.kind.level, byTenant: make(map[uint32]*tenantRollups), large: make(map[uint32]*largeRollup)}
		r.tables[p.kind] = t
	}
	old, found := t.find(&p.key)
	if found {
		t.row(old).until = ordinal
		r.replaced = append(r.replaced, replacedRow{t, p.tenant, old, ordinal})
	}
	if p.source.Records == 0 {
		if found {
			t.current.remove(p.key.hash(), old)
		}
		return
	}
	i := t.store(p, ordinal)
	if found {
		t.current.replace(p.key.hash(), old, i)
	} else {
		t.current.insert(p.key.hash(), i)
	}
	span := t.span(p.tenant, p.key.bucket)
	span.rows = append(span.rows, i)
}

// store writes a row in the packed form, or beside it what that cannot hold.
func (t *rollupTable) store(p *rollupPut, ordinal uint32) uint32 {
	src := p.source
	row := rollupRow{bucket: p.key.bucket, pair: p.key.pair, set: p.key.set, from: ordinal, until: current, records: uint32(src.Records)}
	fits := src.Records > 0 && src.Records <= math.MaxUint32
	packed := make([]packedSummary, len(src.Values))
	for k := range src.Values {
		var ok bool
		packed[k], ok = packSummary(&src.Values[k].Summary, p.names[k])
		fits = fits && ok
	}
	switch {
	case !fits:
		row.value = packedSummary{scale: largeScale}
	case len(packed) == 0:
		row.value = packedSummary{scale: noSummary}
	default:
		for k := len(packed) - 1; k > 0; k-- {
			row.next = t.putValue(packed[k], row.next)
		}
		row.value = packed[0]
	}
	row.value.verdict = p.key.verdict
	i := t.put(row)
	if !fits {
		large := &largeRollup{records: src.Records, values: slices.Clone(src.Values)}
		for k := range large.values {
			large.values[k].Name = strings.Clone(large.values[k].Name)
		}
		t.large[i] = large
	}
	return i
}

// expire drops checkpoints that need not be held any more, and the rows that
// only they could read. The lock is held.
func (r *rollups) expire(c *usage.Commit) {
	k := 0
	for k < len(r.held)-1 && !c.Now.Before(r.held[k].replaced.Add(c.Hold)) {
		k++
	}
	if k == 0 {
		return
	}
	r.held = slices.Delete(r.held, 0, k)
	oldest := r.held[0].ordinal
	type spanOf struct {
		table  *rollupTable
		tenant uint32
		number int64
	}
	touched := make(map[spanOf]bool)
	n := 0
	for ; n < len(r.replaced) && r.replaced[n].until <= oldest; n++ {
		x := &r.replaced[n]
		row := x.table.row(x.row)
		touched[spanOf{x.table, x.tenant, spanNumber(x.table.level, row.bucket)}] = true
	}
	for at := range touched {
		of := at.table.byTenant[at.tenant]
		i, _ := of.find(at.number)
		rows := slices.DeleteFunc(of.spans[i].rows, func(row uint32) bool { return at.table.row(row).until <= oldest })
		if of.spans[i].rows = rows; len(rows) == 0 {
			of.spans = slices.Delete(of.spans, i, i+1)
		} else if cap(rows) > 2*len(rows)+16 {
			of.spans[i].rows = slices.Clone(rows)
		}
	}
	for i := range r.replaced[:n] {
		r.replaced[i].table.release(r.replaced[i].row)
	}
	r.replaced = slices.Delete(r.replaced, 0, n)
	if len(r.replaced) == 0 {
		r.replaced = nil
	}
}
