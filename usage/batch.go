package usage

import (
	"hash/maphash"
	"math/bits"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/usagebook/usagebook/rules"
)

// Batch is a list of records that a Book has normalised and judged, ready to be
// booked. [Book.Prepare] is the only way to make one; [Store.Append] takes it.
// A Batch is immutable.
type Batch struct {
	entries      []Entry
	allOrNothing bool
	now          time.Time

	indexing   sync.Once
	identities identities
}

// prepare is Book.Prepare with the instant as of which the rules judge.
func (b *Book) prepare(o AppendOptions, now, asOf time.Time, records []Record) *Batch {
	batch := b.batches.get(len(records))
	batch.allOrNothing, batch.now = o.AllOrNothing, now
	judge := b.opts.Rules
	if source, ok := judge.(rules.Source); ok {
		judge = source.Current() // one batch, one version, however often the set is swapped
	}
	sub := &subject{catalogue: b.catalogue}
	for i := range records {
		e := &batch.entries[i]
		b.normalizeInto(e, &records[i])
		if e.Malformed || e.Anonymous || judge == nil || e.Record.isVoid() {
			continue
		}
		sub.r = &e.Record
		j := judge.Judge(sub, asOf)
		e.Verdict = Verdict{State: j.Verdict, Billable: j.Billable, Version: j.Version}
		e.Violations = append(e.Violations, j.Violations...)
	}
	batch.index() // now, and not while the store holds its lock
	return batch
}

// batchMemory lends the memory of batches that were booked to the next ones.
// Entries are large: to allocate them for every batch, and to have each of them
// come from memory that no cache holds, was a fifth of the time of an Append.
type batchMemory struct {
	pool sync.Pool // of *Batch
}

// get returns a batch of so many entries, which hold anything.
func (m *batchMemory) get(n int) *Batch {
	b := &Batch{}
	if used, ok := m.pool.Get().(*Batch); ok {
		b.entries, b.identities.slots = used.entries, used.identities.slots
	}
	b.entries = slices.Grow(b.entries[:0], n)[:n]
	return b
}

// put takes back a batch that nobody has any more: a store keeps nothing of it
// once it has answered.
func (m *batchMemory) put(b *Batch) {
	clear(b.entries) // and nothing of it is kept from the garbage collector
	m.pool.Put(b)
}

// Entry is one record of a batch with what the book thinks of it.
type Entry struct {
	// Record is normalised: its times are UTC microseconds, its dimensions and
	// values sorted and canonical.
	Record Record
	// Verdict is the one to book it with.
	Verdict Verdict
	// Violations, when there are any, forbid booking it. The identity is still
	// looked up first, so that a retry of a booked record has the same answer
	// for ever.
	Violations []Violation
	// Anonymous: the identity itself is malformed, so that it cannot be booked
	// and need not be looked up.
	Anonymous bool
	// Malformed: the content is nothing that could be booked, so that it
	// differs from every booked content.
	Malformed bool
}

// Len returns the number of records.
func (b *Batch) Len() int { return len(b.entries) }

// At returns the i-th entry, 0 <= i < Len. It is not to be changed.
func (b *Batch) At(i int) *Entry { return &b.entries[i] }

// AllOrNothing reports whether nothing may be booked when one record fails.
func (b *Batch) AllOrNothing() bool { return b.allOrNothing }

// Now is the book's clock when the batch was prepared, UTC, cut to the
// microsecond. A store books the batch with Recorded = max(Now, the newest
// Recorded in the store), or by a clock of its own that never runs backwards.
func (b *Batch) Now() time.Time { return b.now }

// Ledger is what a store must be able to say, inside the atomic step that books
// a batch, for [Batch.Judge] to decide the outcomes.
type Ledger interface {
	// Find looks an identity up. found: it is booked; then same tells whether
	// the booked content is that of the entry's record, and at and recorded
	// where and when it is booked.
	Find(e *Entry) (found, same bool, at uint64, recorded time.Time)

	// Target looks up the record that a correction names: whether it is booked
	// in the given tenant, whether it is itself a void, and which record
	// corrects it, if one does.
	Target(id Identity) (found bool, t Target)
}

// Target is what a [Ledger] knows of a correction's target.
type Target struct {
	Void        bool
	CorrectedBy *Identity
}

// Judge decides the outcome of every entry by the rules of the book: identity
// first, then the violations found before, then the correction's target. It
// returns one entry for each record; those with Inserted are for the store to
// book, in this order, and their Sequence and Recorded for the store to fill
// in. Records that stand earlier in the batch count as booked for later ones.
//
// Stores call it under the lock or in the transaction that books the batch.
func (b *Batch) Judge(l Ledger) []ReceiptEntry {
	b.index()
	out := make([]ReceiptEntry, len(b.entries))
	j := judge{batch: b, ledger: l, out: out}
	failed := false
	for i := range b.entries {
		j.entry(i)
		if o := out[i].Outcome; o == Conflict || o == Rejected {
			failed = true
		}
	}
	if failed && b.allOrNothing {
		for i := range out {
			switch {
			case out[i].Outcome == Inserted:
				out[i] = ReceiptEntry{Outcome: Withheld}
			case out[i].Outcome == Duplicate && j.repeats[i]:
				// It repeats a record of this very batch, which is withheld.
				out[i] = ReceiptEntry{Outcome: Withheld}
			}
		}
	}
	return out
}

type judge struct {
	batch  *Batch
	ledger Ledger
	out    []ReceiptEntry
	// corrected holds, for targets of corrections inserted by this batch, the
	// index of the correction.
	corrected map[Identity]int
	repeats   map[int]bool // entries that repeat an earlier one of the batch
	// heads remembers, for targets that were corrected before the batch, a record
	// further up their chain, so that many corrections of one foot don't walk the
	// whole chain each.
	heads map[Identity]Identity
}

func (j *judge) entry(i int) {
	e, out := &j.batch.entries[i], &j.out[i]
	if e.Anonymous {
		*out = ReceiptEntry{Outcome: Rejected, Violations: e.Violations}
		return
	}
	if k := j.batch.identities.first(i); k != i {
		j.repeat(i, k)
		return
	}
	if j.find(e, out) {
		return
	}
	if len(e.Violations) > 0 {
		*out = ReceiptEntry{Outcome: Rejected, Violations: e.Violations}
		return
	}
	if c := e.Record.Corrects; c != nil {
		if v, head := j.target(e, c); v != nil {
			*out = ReceiptEntry{Outcome: Rejected, Violations: []Violation{*v}, Head: head}
			return
		}
		if j.corrected == nil {
			j.corrected = make(map[Identity]int)
		}
		j.corrected[Identity{e.Record.Tenant, c.Source, c.ID}] = i
	}
	*out = ReceiptEntry{Outcome: Inserted, Verdict: e.Verdict}
}

// repeat answers for an entry whose identity stood earlier in the batch, at k:
// the first one is judged, later ones are compared with it, even where the
// identity was booked before and it is the first that differs from the booked
// content. Two contents for one identity in one batch are a fault of the
// producer that is told whatever else is true.
func (j *judge) repeat(i, k int) {
	e, first := &j.batch.entries[i], &j.batch.entries[k]
	if j.repeats == nil {
		j.repeats = make(map[int]bool)
	}
	j.repeats[i] = j.out[k].Outcome != Duplicate
	switch {
	case e.Malformed && first.Malformed && j.out[k].Outcome == Rejected:
		j.out[i] = ReceiptEntry{Outcome: Rejected, Violations: e.Violations}
	case e.Malformed || first.Malformed || !SameContent(&e.Record, &first.Record):
		j.out[i] = ReceiptEntry{Outcome: Conflict, Sequence: j.out[k].Sequence, Recorded: j.out[k].Recorded,
			Violations: conflictViolations(e, "an earlier record of the batch has the same identity and other content")}
		j.out[i].Violations[0].Params = []rules.Param{{Name: "index", Value: strconv.Itoa(k)}}
	case j.out[k].Outcome == Inserted:
		j.out[i] = ReceiptEntry{Outcome: Duplicate}
	default:
		j.out[i] = j.out[k]
	}
}

// find answers for an entry whose identity is booked, and reports false for
// one that is not.
func (j *judge) find(e *Entry, out *ReceiptEntry) bool {
	found, same, at, recorded := j.ledger.Find(e)
	if !found {
		return false
	}
	*out = ReceiptEntry{Outcome: Duplicate, Sequence: at, Recorded: recorded}
	if !same || e.Malformed {
		out.Outcome = Conflict
		out.Violations = conflictViolations(e, "the identity is booked with other content")
	}
	return true
}

func conflictViolations(e *Entry, message string) []Violation {
	return append([]Violation{{Code: CodeConflict, Field: "id", Message: message}}, e.Violations...)
}

// target decides whether a correction may be booked. The head of the chain is
// returned when the target has been corrected already.
func (j *judge) target(e *Entry, c *Correction) (*Violation, *Identity) {
	id := Identity{e.Record.Tenant, c.Source, c.ID}
	found, t := j.lookup(id)
	if !found {
		return &Violation{Code: CodeTarget, Field: "corrects",
			Message: "no record with source " + quoted(c.Source) + " and id " + quoted(c.ID) + " is booked for this tenant"}, nil
	}
	if t.CorrectedBy != nil {
		head := j.head(id, *t.CorrectedBy)
		return &Violation{Code: CodeAlreadyCorrected, Field: "corrects",
			Message: "the target is corrected already; the head of its chain is source " + quoted(head.Source) + ", id " + quoted(head.ID),
			Params:  []rules.Param{{Name: "source", Value: head.Source}, {Name: "id", Value: head.ID}}}, &head
	}
	if t.Void && c.Kind == Replace {
		return &Violation{Code: CodeReplacesVoid, Field: "corrects", Message: "a void cannot be replaced; void it to bring its target back"}, nil
	}
	return nil, nil
}

// head walks from the correction of a target to the head of the chain.
func (j *judge) head(target, head Identity) Identity {
	if further, ok := j.heads[target]; ok {
		head = further
	}
	for {
		_, next := j.lookup(head)
		if next.CorrectedBy == nil {
			break
		}
		head = *next.CorrectedBy
	}
	if j.heads == nil {
		j.heads = make(map[Identity]Identity)
	}
	j.heads[target] = head
	return head
}

// lookup asks the ledger, and the earlier entries of the batch before it.
func (j *judge) lookup(id Identity) (bool, Target) {
	var t Target
	found := false
	if k := j.batch.identities.find(j.batch, &id); k >= 0 && j.out[k].Outcome == Inserted {
		found = true
		r := &j.batch.entries[k].Record
		t.Void = r.Corrects != nil && r.Corrects.Kind == Void
	} else {
		found, t = j.ledger.Target(id)
	}
	if k, ok := j.corrected[id]; ok {
		by := j.batch.entries[k].Record.Identity()
		t.CorrectedBy = &by
	}
	return found, t
}

// index works out which entries repeat an earlier one.
func (b *Batch) index() {
	b.indexing.Do(func() { b.identities.fill(b) })
}

// identities tells which entries of a batch repeat the identity of an earlier
// one: a table of small numbers, which costs a fraction of what a map of
// identities does.
type identities struct {
	seed   maphash.Seed
	slots  []uint32 // entry+1 by hash; 0 is free. Empty for a batch of one
	firsts []uint32 // by entry; nil while nothing is repeated
}

func (x *identities) hash(id *Identity) uint64 {
	// Odd factors, so that no part is lost; what they multiply is seeded.
	return maphash.String(x.seed, id.ID) ^ maphash.String(x.seed, id.Tenant)*0x9e3779b97f4a7c15 ^ maphash.String(x.seed, id.Source)*0xc2b2ae3d27d4eb4f
}

// fill notes the identities of a batch.
func (x *identities) fill(b *Batch) {
	x.slots, x.firsts = x.slots[:0], nil
	n := len(b.entries)
	if n < 2 {
		return
	}
	x.seed = maphash.MakeSeed()
	size := 1 << bits.Len(uint(n+n/2))
	x.slots = slices.Grow(x.slots, size)[:size]
	clear(x.slots)
	for i := range b.entries {
		e := &b.entries[i]
		if e.Anonymous {
			continue
		}
		id := e.Record.Identity()
		k, slot := x.look(b, &id)
		if k < 0 {
			x.slots[slot] = uint32(i + 1)
			continue
		}
		if x.firsts == nil {
			x.firsts = make([]uint32, n)
			for i := range x.firsts {
				x.firsts[i] = uint32(i)
			}
		}
		x.firsts[i] = uint32(k)
	}
}

// look returns the entry that has an identity first, or -1 and the slot where it
// would be noted.
func (x *identities) look(b *Batch, id *Identity) (entry, slot int) {
	mask := len(x.slots) - 1
	for i := int(x.hash(id)) & mask; ; i = (i + 1) & mask {
		k := int(x.slots[i]) - 1
		if k < 0 {
			return -1, i
		}
		if r := &b.entries[k].Record; r.ID == id.ID && r.Source == id.Source && r.Tenant == id.Tenant {
			return k, i
		}
	}
}

// first returns the first entry that has the identity of an entry.
func (x *identities) first(i int) int {
	if x.firsts == nil {
		return i
	}
	return int(x.firsts[i])
}

// find returns the first entry that has an identity, or -1.
func (x *identities) find(b *Batch, id *Identity) int {
	if len(x.slots) == 0 {
		return -1
	}
	k, _ := x.look(b, id)
	return k
}

// SameContent reports whether two normalised records have the same content:
// meter, start, end, values, dimensions and correction. Identity is not
// content; neither is what the store adds.
func SameContent(a, b *Record) bool {
	if a.Meter != b.Meter || !a.Start.Equal(b.Start) || !a.End.Equal(b.End) ||
		!slices.EqualFunc(a.Values.list, b.Values.list, func(x, y Value) bool { return x.Name == y.Name && x.Number.Equal(y.Number) }) ||
		!a.Dimensions.Equal(b.Dimensions) {
		return false
	}
	if a.Corrects == nil || b.Corrects == nil {
		return a.Corrects == b.Corrects
	}
	return *a.Corrects == *b.Corrects
}
