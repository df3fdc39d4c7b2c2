package memstore

import (
	"context"
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
	w := s.bookings.Get().(*booking)
	w.begin(b)
	out, filled, err := s.book(ctx, w)
	w.end()
	s.bookings.Put(w)
	if err != nil {
		return nil, err
	}
	for _, i := range filled {
		s.seal(i)
	}
	return out, nil
}

// book judges and books a batch, and returns the parts that it filled.
func (s *Store) book(ctx context.Context, w *booking) (out []usage.ReceiptEntry, filled []int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.alive(ctx); err != nil {
		return nil, nil, err
	}
	b := w.batch
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
	at := s.extend(inHead)
	for i := range out {
		if out[i].Outcome != usage.Inserted {
			continue
		}
		if at == s.head.len() {
			filled = append(filled, s.turn())
			at = s.extend(min(inserted, s.segmentRows()))
		}
		s.insert(at, b.At(i), w, &w.looked[i])
		out[i].Sequence, out[i].Recorded = uint64(s.rows), recorded
		at, inserted = at+1, inserted-1
	}
	if at == s.segmentRows() {
		filled = append(filled, s.turn())
	}
	return out, filled, nil
}

// extend makes rows in the head, which has room for them, and returns the first.
func (s *Store) extend(rows int) int {
	if s.head.len() == 0 {
		s.parts[len(s.parts)-1].recorded = s.floor
	}
	s.head.reserve(rows, s.segmentRows())
	return s.head.extend(rows, s.floor)
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
	w := s.sealings.Get().(*sealing)
	sealed := seal(full, &l, w)
	s.sealings.Put(w)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.parts[i].segment, s.parts[i].full = sealed, nil
		s.unsealed -= full.bytes()
		s.sealed += sealed.bytes()
	}
}

// insert books a record as a row of the head. It is known not to be there.
func (s *Store) insert(i int, e *usage.Entry, w *booking, at *looked) {
	r := &e.Record
	if !at.owned || !at.placed {
		s.name(at, r)
	}
	s.head.fill(i, &row{
		place: at.place, source: at.source, verdict: s.names.verdictCode(&e.Verdict),
		idForm: at.form, id: w.id(at), record: r,
	}, &s.names.values)
	s.index.insert(at.hash, s.rows)
	if c := r.Corrects; c != nil {
		// The judge made sure that the target is there.
		target, _ := s.find(usage.Identity{Tenant: r.Tenant, Source: c.Source, ID: c.ID})
		s.corrections[s.rows] = correction{c.Kind, target}
		s.corrected[target] = s.rows
		last := &s.parts[len(s.parts)-1]
		last.chained = append(last.chained, chainedRow{s.rows - last.base, s.rows})
		of := &s.parts[target>>s.shift]
		of.chained = append(of.chained, chainedRow{target - of.base, s.rows})
	}
	s.rows++
}

// name gives numbers to the names of a record that had none when they were
// looked up.
func (s *Store) name(at *looked, r *usage.Record) {
	s.naming.Lock()
	defer s.naming.Unlock()
	n := &s.names
	at.place, at.placed = n.seriesCode(r), true
	at.tenant, at.source, at.owned = n.pairs[at.place.pair].tenant, n.sources.code(r.Source), true
}

// identityHash hashes an identity by the hashes of its tenant and source and its
// packed id. All are seeded: who sends records cannot choose what collides.
func (s *Store) identityHash(tenant, source uint64, form uint8, id []byte) uint64 {
	return mix(tenant, source, maphash.Bytes(s.seed, id)+uint64(form))
}

// find returns the row of an identity. The lock is held.
func (s *Store) find(id usage.Identity) (uint32, bool) {
	var buf [256]byte
	var at looked
	kept, form := packID(buf[:0], id.ID)
	tenant, source := s.names.tenants.hash(id.Tenant), s.names.sources.hash(id.Source)
	at.form, at.hash = form, s.identityHash(tenant, source, form, kept)
	return s.look(&at, id.Tenant, id.Source, kept)
}

// look returns the row of an identity. The lock is held.
func (s *Store) look(at *looked, tenant, source string, kept []byte) (uint32, bool) {
	if s.rows == 0 {
		return 0, false
	}
	t := s.index.shard(at.hash)
	row, i := t.first(uint32(at.hash))
	if i >= 0 && !at.owned {
		// Where one of the two is new, no record of theirs is booked.
		var ok bool
		if at.tenant, ok = s.names.tenants.find(tenant); !ok {
			return 0, false
		}
		if at.source, ok = s.names.sources.find(source); !ok {
			return 0, false
		}
		at.owned = true
	}
	for ; i >= 0; row, i = t.next(uint32(at.hash), i) {
		if s.isIdentity(row, at.tenant, at.source, at.form, kept) {
			return row, true
		}
	}
	return 0, false
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

// booking is an Append under way, and what the judge asks.
type booking struct {
	s      *Store
	batch  *usage.Batch
	looked []looked // by entry
	next   int      // the entry that the judge is likely to ask about next
	ids    []byte   // packed ids of the batch
	ahead  int      // entries whose place in the index was touched
	nudge  uint64

	// Of the block that is being looked up.
	sought     [block]sought
	keys       []byte   // sets of dimensions as labels keep them
	names      []uint32 // of the dimensions of the record before
	tenantHash uint64   // of the last record
}

// looked is what is known of an entry before it is judged.
type looked struct {
	hash           uint64 // of the identity
	id             uint32 // in ids
	size           uint16
	form           uint8
	owned, placed  bool // tenant and source, and place, are known
	tenant, source uint32
	place          place
}

// block is the number of records that are looked up together. What one of them
// waits for in memory all of them wait for at the same time: their places are
// worked out and touched first, and found at hand when they are read.
const block = 64

// sought is a series that is looked for.
type sought struct {
	hash     uint64
	meter    uint32
	from, to uint32 // its labels, in keys
	number   uint32 // of a series with this hash, in this slot
	slot     int
	wanted   bool
}

// begin looks up what can be known before it is the batch's turn: numbers of
// names never change once they are given. It is most of the work, and writers do
// it side by side.
func (w *booking) begin(b *usage.Batch) {
	w.batch, w.next, w.ahead = b, 0, 0
	w.looked, w.ids = slices.Grow(w.looked[:0], b.Len())[:b.Len()], w.ids[:0]
	for from := 0; from < b.Len(); from += block {
		w.lookUp(from, min(from+block, b.Len()))
	}
}

// lookUp looks up the names of a block of entries.
func (w *booking) lookUp(from, to int) {
	w.s.naming.RLock()
	defer w.s.naming.RUnlock()
	n := &w.s.names
	w.keys = w.keys[:0]
	sought := w.sought[:to-from]
	for i := range sought {
		e := w.batch.At(from + i)
		sought[i].slot = -1
		sought[i].wanted = w.owner(e, &w.looked[from+i]) && w.series(&e.Record, &sought[i])
	}
	// These loops do next to nothing, so that the processor has many of their
	// loads under way.
	for i := range sought {
		if s := &sought[i]; s.wanted {
			w.nudge += n.seriesIndex.shard(s.hash).touch(uint32(s.hash))
		}
	}
	for i := range sought {
		if s := &sought[i]; s.wanted {
			s.number, s.slot = n.seriesIndex.shard(s.hash).first(uint32(s.hash))
		}
	}
	for i := range sought {
		if s := &sought[i]; s.slot >= 0 {
			w.nudge += uint64(n.placeOf[s.number].pair)
		}
	}
	for i := range sought {
		if s := &sought[i]; s.slot >= 0 {
			at := &w.looked[from+i]
			at.place, at.placed = n.match(s, at.tenant, w.keys[s.from:s.to])
		}
	}
}

// owner packs and hashes the identity of an entry, and reports whether its
// tenant is known.
func (w *booking) owner(e *usage.Entry, at *looked) bool {
	*at = looked{id: uint32(len(w.ids))}
	if e.Anonymous {
		return false
	}
	r, n := &e.Record, &w.s.names
	w.ids, at.form = packID(w.ids, r.ID)
	at.size = uint16(len(w.ids) - int(at.id))
	tenant, source := n.tenants.hash(r.Tenant), n.sources.hash(r.Source)
	at.hash = w.s.identityHash(tenant, source, at.form, w.id(at))
	var known bool
	if at.tenant, known = n.tenants.findHashed(r.Tenant, tenant); known {
		at.source, at.owned = n.sources.findHashed(r.Source, source)
	}
	w.tenantHash = tenant
	return known
}

// series begins to look for the series of a record, and reports false when one
// of its names has no number.
func (w *booking) series(r *usage.Record, s *sought) bool {
	n := &w.s.names
	meter := n.meters.hash(r.Meter)
	var ok bool
	if s.meter, ok = n.meters.findHashed(r.Meter, meter); !ok {
		return false
	}
	s.from = uint32(len(w.keys))
	if !w.encode(&r.Dimensions) {
		return false
	}
	s.to = uint32(len(w.keys))
	s.hash = seriesHash(w.tenantHash, meter, maphash.Bytes(n.seed, w.keys[s.from:s.to]))
	return true
}

// encode appends a set of dimensions as labels keep it, and reports false when a
// name has no number.
func (w *booking) encode(d *usage.Dimensions) bool {
	n := &w.s.names.attributes
	for i := range d.Len() {
		e := d.At(i)
		// One record after the other has the same dimensions.
		if i == len(w.names) || n.list[w.names[i]] != e.Name {
			c, ok := n.find(e.Name)
			if !ok {
				return false
			}
			w.names = append(w.names[:i], c)
		}
		w.keys = appendLabel(w.keys, w.names[i], e.Value)
	}
	return true
}

// id returns the packed id of an entry.
func (w *booking) id(at *looked) []byte { return w.ids[at.id : at.id+uint32(at.size)] }

// end forgets the batch: nothing of it may be kept.
func (w *booking) end() { w.batch = nil }

// at returns the place of an entry in the batch.
func (w *booking) at(e *usage.Entry) int {
	for w.batch.At(w.next) != e {
		if w.next++; w.next == w.batch.Len() {
			w.next = 0
		}
	}
	return w.next
}

// touch reads the places in the index of the next entries.
func (w *booking) touch() {
	to := min(w.ahead+block, len(w.looked))
	for i := w.ahead; i < to; i++ {
		h := w.looked[i].hash
		w.nudge += w.s.index.shard(h).touch(uint32(h))
	}
	w.ahead = to
}

// Find implements usage.Ledger.
func (w *booking) Find(e *usage.Entry) (found, same bool, at uint64, recorded time.Time) {
	i := w.at(e)
	if i >= w.ahead {
		w.touch()
	}
	k := &w.looked[i]
	row, found := w.s.look(k, e.Record.Tenant, e.Record.Source, w.id(k))
	if !found {
		return false, false, 0, time.Time{}
	}
	v := w.s.writerView()
	at, recorded = uint64(row)+1, time.UnixMicro(v.recorded(row)).UTC()
	return true, w.s.sameContent(&v, row, k, &e.Record), at, recorded
}

// Target implements usage.Ledger.
func (w *booking) Target(id usage.Identity) (bool, usage.Target) {
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
func (s *Store) sameContent(v *view, row uint32, at *looked, r *usage.Record) bool {
	i := int(row >> v.shift)
	k := int(row - v.parts[i].base)
	var buf [4]usage.Value
	f := fields{list: buf[:0]}
	if h := v.headOf(i); h != nil {
		f.fromHead(h, k, v.lists.values)
	} else {
		g := v.parts[i].segment
		at := int(g.position.at(k))
		f.fromSegment(g, at, g.run(at), v.lists.values)
	}
	if at.placed {
		if f.pair != at.place.pair || f.local != at.place.local {
			return false
		}
	} else if series := v.seriesAt(s.names.pairs[f.pair].series[f.local]); series.Meter != r.Meter || !series.Dimensions.Equal(r.Dimensions) {
		return false
	}
	start, end := f.times()
	if !start.Equal(r.Start) || !end.Equal(r.End) || len(f.list) != r.Values.Len() {
		return false
	}
	for i := range f.list {
		if n, ok := r.Values.Number(f.list[i].Name); !ok || n != f.list[i].Number {
			return false
		}
	}
	c, corrects := s.corrections[row]
	if !corrects || r.Corrects == nil {
		return corrects == (r.Corrects != nil)
	}
	_, source, id := v.identity(c.target)
	return *r.Corrects == usage.Correction{Kind: c.kind, Source: source, ID: id}
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
