package memstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"github.com/usagebook/usagebook/usage"
)

// Append books a batch; see [usage.Store] for the rules. The call that fills a
// segment also sorts and packs it, outside of the lock, which takes some
// milliseconds.
//
// Besides the errors of the interface it returns usage.ErrFull when the store
// would take more memory than Options.MaxBytes, a [*FullError], or hold more than
// 4,294,967,294 records. Nothing of the batch is booked then; what is in it and was
// booked before is told when there is room again.
func (s *Store) Append(ctx context.Context, b *usage.Batch) ([]usage.ReceiptEntry, error) {
	out, filled, err := s.book(ctx, b)
	if err != nil {
		return nil, err
	}
	for _, i := range filled {
		s.seal(i)
	}
	return out, nil
}

// book judges and books a batch, and returns the parts that it filled.
func (s *Store) book(ctx context.Context, b *usage.Batch) (out []usage.ReceiptEntry, filled []int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.alive(ctx); err != nil {
		return nil, nil, err
	}
	w := &s.work
	w.begin(b)
	defer w.end()
	out = b.Judge(w)
	inserted := 0
	for i := range out {
		if out[i].Outcome == usage.Inserted {
			inserted++
		}
	}
	if inserted == 0 {
		return out, nil, nil
	}
	if uint64(s.rows)+uint64(inserted) > maxRows {
		return nil, nil, fmt.Errorf("memstore: append: %w: a store holds at most %d records", usage.ErrFull, uint32(maxRows))
	}
	inHead := min(inserted, s.segmentRows()-s.head.len())
	if err := s.room(int64(max(inserted, s.head.growth(inHead, s.segmentRows()))) * newRow); err != nil {
		return nil, nil, fmt.Errorf("memstore: append: %w", err)
	}
	s.floor = max(b.Now().UnixMicro(), s.floor)
	recorded := time.UnixMicro(s.floor).UTC()
	s.head.reserve(inHead, s.segmentRows())
	for i := range out {
		if out[i].Outcome != usage.Inserted {
			continue
		}
		if s.head.len() == s.segmentRows() {
			filled = append(filled, s.turn())
			s.head.reserve(min(len(out)-i, s.segmentRows()), s.segmentRows())
		}
		s.insert(b.At(i), &w.looked[i])
		out[i].Sequence, out[i].Recorded = uint64(s.rows), recorded
	}
	if s.head.len() == s.segmentRows() {
		filled = append(filled, s.turn())
	}
	return out, filled, nil
}

// turn closes the full head and begins another one.
func (s *Store) turn() int {
	i := len(s.parts) - 1
	full := s.head
	s.parts[i].full = &full
	s.unsealed += full.bytes()
	s.parts = append(s.parts, part{base: s.rows, recorded: s.floor})
	s.head = head{}
	return i
}

// seal replaces a full head by its segment.
func (s *Store) seal(i int) {
	s.mu.RLock()
	if s.closed {
		s.mu.RUnlock()
		return
	}
	full, l := s.parts[i].full, s.names.lists()
	s.mu.RUnlock()
	sealed := seal(full, &l)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.parts[i].segment, s.parts[i].full = sealed, nil
		s.unsealed -= full.bytes()
		s.sealed += sealed.bytes()
	}
}

// insert books a record. It is known not to be there.
func (s *Store) insert(e *usage.Entry, at *looked) {
	r := &e.Record
	n := &s.names
	kept := s.work.ids[at.id : at.id+at.size]
	if !at.known {
		at.tenant, at.source = n.tenantCode(r.Tenant), n.sources.code(r.Source)
		at.hash = s.hash(at.tenant, at.source, at.form, kept)
	}
	put := row{
		place:  n.seriesCode(n.pairOfCodes(at.tenant, n.meters.code(r.Meter)), &r.Dimensions),
		source: at.source, verdict: n.verdictCode(&e.Verdict),
		idForm: at.form, id: kept, recorded: s.floor, record: r,
	}
	last := &s.parts[len(s.parts)-1]
	if s.head.len() == 0 {
		last.recorded = s.floor
	}
	s.head.push(&put, &n.values)
	s.index.shard(at.hash).insert(uint32(at.hash), s.rows)
	if c := r.Corrects; c != nil {
		// The judge made sure that the target is there.
		target, _ := s.find(usage.Identity{Tenant: r.Tenant, Source: c.Source, ID: c.ID})
		s.corrections[s.rows] = correction{c.Kind, target}
		s.corrected[target] = s.rows
		last.chained = append(last.chained, chainedRow{s.rows - last.base, s.rows})
		of := &s.parts[target>>s.shift]
		of.chained = append(of.chained, chainedRow{target - of.base, s.rows})
	}
	s.rows++
}

// hash hashes an identity in numbers.
func (s *Store) hash(tenant, source uint32, form uint8, id []byte) uint64 {
	var key [9 + 256]byte
	buf := binary.LittleEndian.AppendUint32(key[:0], tenant)
	buf = binary.LittleEndian.AppendUint32(buf, source)
	buf = append(append(buf, form), id...)
	return maphash.Bytes(s.names.seed, buf)
}

// find returns the row of an identity. The lock is held.
func (s *Store) find(id usage.Identity) (uint32, bool) {
	var buf [256]byte
	kept, form := packID(buf[:0], id.ID)
	tenant, source, ok := s.owners(id.Tenant, id.Source)
	if !ok {
		return 0, false
	}
	return s.look(&looked{tenant: tenant, source: source, form: form, hash: s.hash(tenant, source, form, kept)}, kept)
}

// owners returns the numbers of a tenant and a source. Where one of them is
// new, no record of theirs is booked.
func (s *Store) owners(tenantName, sourceName string) (tenant, source uint32, ok bool) {
	if tenant, ok = s.names.tenants.find(tenantName); !ok {
		return 0, 0, false
	}
	source, ok = s.names.sources.find(sourceName)
	return tenant, source, ok
}

// look returns the row of an identity. The lock is held.
func (s *Store) look(at *looked, kept []byte) (row uint32, found bool) {
	return s.index.shard(at.hash).find(uint32(at.hash), func(row uint32) bool {
		return s.isIdentity(row, at.tenant, at.source, at.form, kept)
	})
}

// isIdentity compares the identity of a row.
func (s *Store) isIdentity(row, tenant, source uint32, form uint8, kept []byte) bool {
	p := &s.parts[row>>s.shift]
	i := int(row - p.base)
	g := p.segment
	if g == nil {
		h := p.full
		if h == nil {
			h = &s.head
		}
		f, id := h.id(i)
		return f == form && string(id) == string(kept) && h.source[i] == source && s.names.pairs[h.pair[i]].tenant == tenant
	}
	at := int(g.position.at(i))
	f, id := g.id(at)
	return f == form && string(id) == string(kept) && uint32(g.source.at(at)) == source &&
		s.names.pairs[g.pairs[g.run(at)]].tenant == tenant
}

// ledger is what the judge asks.
type ledger struct {
	s      *Store
	batch  *usage.Batch
	looked []looked // by entry
	next   int      // the entry that the judge is likely to ask about next
	ids    []byte   // packed ids of the batch
	nudge  uint64
}

// looked is what is known of an entry before it is judged.
type looked struct {
	id, size       int // in ids
	tenant, source uint32
	form           uint8
	known          bool // both have numbers
	hash           uint64
}

// begin works out where the identities of a batch would stand, and touches
// those places of the index. What each touch waits for in memory, they wait for
// together, and the judge's questions find it at hand.
func (w *ledger) begin(b *usage.Batch) {
	w.batch, w.next = b, 0
	w.looked, w.ids = slices.Grow(w.looked[:0], b.Len())[:b.Len()], w.ids[:0]
	s := w.s
	for i := range w.looked {
		e, at := b.At(i), &w.looked[i]
		*at = looked{id: len(w.ids)}
		if e.Anonymous {
			continue
		}
		r := &e.Record
		w.ids, at.form = packID(w.ids, r.ID)
		at.size = len(w.ids) - at.id
		if at.tenant, at.source, at.known = s.owners(r.Tenant, r.Source); at.known {
			at.hash = s.hash(at.tenant, at.source, at.form, w.ids[at.id:])
		}
	}
	for i := range w.looked {
		if at := &w.looked[i]; at.known {
			w.nudge += s.index.shard(at.hash).touch(uint32(at.hash))
		}
	}
}

// end forgets the batch: nothing of it may be kept.
func (w *ledger) end() { w.batch = nil }

// at returns the place of an entry in the batch.
func (w *ledger) at(e *usage.Entry) int {
	for w.batch.At(w.next) != e {
		if w.next++; w.next == w.batch.Len() {
			w.next = 0
		}
	}
	return w.next
}

// Find implements usage.Ledger.
func (w *ledger) Find(e *usage.Entry) (found, same bool, at uint64, recorded time.Time) {
	k := &w.looked[w.at(e)]
	if !k.known {
		return false, false, 0, time.Time{}
	}
	row, found := w.s.look(k, w.ids[k.id:k.id+k.size])
	if !found {
		return false, false, 0, time.Time{}
	}
	v := w.s.writerView()
	at, recorded = uint64(row)+1, time.UnixMicro(v.recorded(row)).UTC()
	return true, w.s.sameContent(&v, row, &e.Record), at, recorded
}

// Target implements usage.Ledger.
func (w *ledger) Target(id usage.Identity) (bool, usage.Target) {
	s := w.s
	row, ok := s.find(id)
	if !ok {
		return false, usage.Target{}
	}
	var t usage.Target
	t.Void = s.corrections[row].kind == usage.Void
	if by, ok := s.corrected[row]; ok {
		v := s.writerView()
		_, source, own := v.identity(by)
		t.CorrectedBy = &usage.Identity{Tenant: id.Tenant, Source: source, ID: own}
	}
	return true, t
}

// writerView is view without a copy of the parts, for use under the lock.
func (s *Store) writerView() view {
	return view{shift: s.shift, lists: s.names.lists(), parts: s.parts, head: s.head, rows: s.rows}
}

// identity returns the pair, the source and the id of a row.
func (v *view) identity(row uint32) (pairCode uint32, source, id string) {
	i := int(row >> v.shift)
	k := int(row - v.parts[i].base)
	if h := v.headOf(i); h != nil {
		form, kept := h.id(k)
		return h.pair[k], v.sources[h.source[k]], idString(form, kept)
	}
	g := v.parts[i].segment
	at := int(g.position.at(k))
	form, kept := g.id(at)
	return g.pairs[g.run(at)], v.sources[g.source.at(at)], idString(form, kept)
}

// sameContent compares what is booked with a record.
func (s *Store) sameContent(v *view, row uint32, r *usage.Record) bool {
	i := int(row >> v.shift)
	k := int(row - v.parts[i].base)
	var f fields
	if h := v.headOf(i); h != nil {
		f.fromHead(h, k, v.lists.values)
	} else {
		at := int(v.parts[i].segment.position.at(k))
		f.fromSegment(v.parts[i].segment, at, v.parts[i].segment.run(at), v.lists.values)
	}
	p := &s.names.pairs[f.pair]
	series := v.seriesAt(p.series[f.local])
	booked := usage.Record{Meter: series.Meter, Dimensions: series.Dimensions, Values: f.values()}
	booked.Start, booked.End = f.times()
	if c, ok := s.corrections[row]; ok {
		_, source, id := v.identity(c.target)
		booked.Corrects = &usage.Correction{Kind: c.kind, Source: source, ID: id}
	}
	return usage.SameContent(r, &booked)
}

// fields are the fields of one row, in numbers.
type fields struct {
	pair, local uint32
	start, span int64
	source      uint32
	verdict     uint32
	idForm      uint8
	id          []byte
	list        []usage.Value // scratch
}

// fromHead reads a row of a head. names are those of values.
func (f *fields) fromHead(h *head, i int, names []string) {
	f.pair, f.local, f.start, f.span = h.pair[i], h.local[i], h.start[i], h.span[i]
	f.source, f.verdict = h.source[i], h.verdict[i]
	f.idForm, f.id = h.id(i)
	f.list = f.list[:0]
	cells := h.valuesOf(i)
	for k := range cells {
		c := &cells[k]
		f.list = append(f.list, usage.Value{Name: names[c.name], Number: h.number(c)})
	}
}

// fromSegment reads a position of a segment.
func (f *fields) fromSegment(g *segment, at, run int, names []string) {
	f.pair, f.local, f.start, f.span = g.pairs[run], uint32(g.local.at(at)), g.start.at(at), g.span.at(at)
	f.source, f.verdict = uint32(g.source.at(at)), uint32(g.verdict.at(at))
	f.idForm, f.id = g.id(at)
	f.list = f.list[:0]
	for i := range g.columns {
		c := &g.columns[i]
		if k, ok := c.presence.index(at); ok {
			f.list = append(f.list, usage.Value{Name: names[c.name], Number: c.number(k)})
		}
	}
}

// values returns the values as a set of their own.
func (f *fields) values() usage.Values {
	switch len(f.list) {
	case 0:
		return usage.Values{}
	case 1:
		return usage.Values{}.WithNumber(f.list[0].Name, f.list[0].Number)
	}
	return usage.NewValues(f.list...)
}

// times returns start and end. A record without values is a void, which has
// neither: every other one has at least one value.
func (f *fields) times() (start, end time.Time) {
	if len(f.list) == 0 {
		return time.Time{}, time.Time{}
	}
	start = time.UnixMicro(f.start).UTC()
	if f.span != 0 {
		end = time.UnixMicro(f.start + f.span).UTC()
	}
	return start, end
}
