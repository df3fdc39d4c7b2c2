package memstore

import (
	"fmt"
	"unsafe"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
)

// FullError says that a store would grow beyond its ceiling. Nothing of the call
// was done, what was booked before is there, and reading goes on. errors.Is finds
// usage.ErrFull in it.
type FullError struct {
	// Bytes is about what the store takes, and MaxBytes the ceiling of its
	// Options.
	Bytes, MaxBytes int64
}

// Error says both.
func (e *FullError) Error() string {
	return fmt.Sprintf("%s: it takes %d bytes, at most %d are allowed", usage.ErrFull, e.Bytes, e.MaxBytes)
}

// Unwrap makes errors.Is find usage.ErrFull.
func (e *FullError) Unwrap() error { return usage.ErrFull }

// What entries of Go's maps take, with the room that maps keep free.
const (
	textEntry    = 16 + 16 // in texts.list
	pairEntry    = int64(unsafe.Sizeof(pair{})) + 40 + 8
	chainEntries = 3 * 48 // a correction in its maps and lists
	taskEntries  = int64(unsafe.Sizeof(task{})) + 3*80
	wideEntry    = int64(unsafe.Sizeof(aggregate.Number{})) + 16
)

// newRow is about what a row takes until its segment is sealed, with its place in
// the table of identities.
const newRow = 128

// Bytes returns about how much memory the store takes: what it has allocated for
// records, names, rollups and tasks, and what queries have made of names and
// others will want again, which is let go when there is a ceiling and no other
// room. What was allocated and let go, until the garbage collector has been there,
// is not in it.
func (s *Store) Bytes() int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.bytes()
}

// bytes is Bytes under the lock. It adds up what is counted along the way.
func (s *Store) bytes() int64 {
	n := s.sealed + s.unsealed + s.head.bytes() + s.names.bytes() + s.rollups.bytes.Load() + s.tasks.bytes.Load()
	n += int64(cap(s.parts))*int64(unsafe.Sizeof(part{})) + int64(len(s.corrections))*chainEntries
	return n + s.index.bytes()
}

// room returns a *FullError when that much more is too much. The lock is held.
func (s *Store) room(more int64) error {
	if s.maxBytes == 0 {
		return nil
	}
	if s.bytes()+more > s.maxBytes {
		s.names.forget()
	}
	if n := s.bytes(); n+more > s.maxBytes {
		return &FullError{Bytes: n, MaxBytes: s.maxBytes}
	}
	return nil
}

func (t *table) bytes() int64 { return 8 * int64(len(t.slots)) }

func (t *texts) bytes() int64 { return t.length + int64(len(t.list))*textEntry + t.index.bytes() }

func (l *labels) size() int64 {
	return l.bytes + l.index.bytes() + int64(cap(l.where)+len(l.sets)*seriesChunk)*8 + l.shown.Load()
}

func (n *names) bytes() int64 {
	b := n.setBytes + n.setIndex.bytes() + n.labels.size() + n.seriesIndex.bytes() + int64(len(n.pairs))*pairEntry
	for _, t := range []*texts{&n.tenants, &n.meters, &n.sources, &n.values, &n.attributes} {
		b += t.bytes()
	}
	// A place, a pointer to what was asked for, and a number in its pair.
	return b + int64(cap(n.placeOf))*int64(unsafe.Sizeof(place{})) + int64(len(n.series))*seriesChunk*8 + 6*int64(len(n.placeOf))
}

func (h *head) bytes() int64 {
	perRow := int64(cap(h.pair)+cap(h.local)+cap(h.source)+cap(h.verdict)+cap(h.idEnd)+cap(h.valueEnd)+cap(h.recordedRow))*4 +
		int64(cap(h.start)+cap(h.span)+cap(h.recordedAt))*8
	return perRow + int64(cap(h.ids)+cap(h.idForm)) + int64(cap(h.cells))*int64(unsafe.Sizeof(cell{})) + int64(cap(h.wide))*int64(unsafe.Sizeof(aggregate.Number{}))
}

func (p *packed) bytes() int64 { return int64(cap(p.data)) }

func (s *segment) bytes() int64 {
	n := int64(unsafe.Sizeof(*s)) + int64(cap(s.pairs)+cap(s.runs))*4 + int64(cap(s.ids)) + int64(cap(s.columns))*int64(unsafe.Sizeof(column{}))
	for _, p := range []*packed{&s.position, &s.row, &s.local, &s.start, &s.span, &s.source, &s.verdict, &s.idForm, &s.idEnd, &s.recordedRow, &s.recordedAt} {
		n += p.bytes()
	}
	for i := range s.columns {
		c := &s.columns[i]
		n += c.coef.bytes() + int64(cap(c.presence.list)+cap(c.presence.ranks))*2 + int64(cap(c.presence.words))*8 + int64(len(c.wide))*wideEntry
		if c.scales != nil {
			n += c.scales.bytes()
		}
	}
	return n
}

// count works out what the rollups take. Their lock is held.
func (r *rollups) count() {
	n := int64(cap(r.replaced)) * int64(unsafe.Sizeof(replacedRow{}))
	for i := range r.held {
		n += int64(len(r.held[i].coverage)) + int64(unsafe.Sizeof(heldCheckpoint{}))
	}
	for _, t := range r.tables {
		n += int64(len(t.chunks))*rollupChunk*int64(unsafe.Sizeof(rollupRow{})) + t.current.bytes() + int64(cap(t.more))*int64(unsafe.Sizeof(rollupValue{})) +
			int64(cap(t.free)+cap(t.moreFree))*4
		n += 6 * int64(t.n) // in the lists by tenant
		for _, l := range t.large {
			n += int64(len(l.values))*int64(unsafe.Sizeof(usage.ValueSummary{})) + 96
		}
	}
	r.bytes.Store(n)
}

// taskBytes is about what a task takes.
func taskBytes(t *usage.Task) int64 {
	return taskEntries + int64(len(t.Kind)+len(t.ID)+len(t.Owner)+len(t.Key)+len(t.Head)+len(t.Body))
}
