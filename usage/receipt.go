package usage

import "time"

// Outcome is what became of one record of an Append.
type Outcome uint8

// The outcomes. Inserted and Duplicate are success.
const (
	// Inserted: the record is booked now.
	Inserted Outcome = 1 + iota
	// Duplicate: the same record, with the same content, was booked before,
	// or stands earlier in the same batch. It counts once.
	Duplicate
	// Conflict: a record with the same identity and other content was booked
	// before or stands earlier in the same batch. Nothing was changed.
	Conflict
	// Rejected: the record is not booked, for the reasons in its violations.
	Rejected
	// Withheld: nothing is wrong with the record, but the call asked for all
	// or nothing and another record failed, so nothing was booked.
	Withheld
)

var outcomeNames = [...]string{"none", "inserted", "duplicate", "conflict", "rejected", "withheld"}

// String returns the outcome in lower case, as it goes over the wire.
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return "invalid"
}

// Receipt is the answer to an Append: one entry for each record, in order.
type Receipt struct {
	// Entries has one entry for each record of the call, in its order.
	Entries []ReceiptEntry
	// Counts of the outcomes.
	Inserted, Duplicates, Conflicts, Rejected, Withheld int
}

// ReceiptEntry is the answer for one record.
type ReceiptEntry struct {
	Outcome Outcome
	// Sequence and Recorded are where and when the record is booked, for
	// Inserted and Duplicate; for a Conflict they are those of the booked
	// record. Zero where nothing is booked, and for stores that give them
	// later.
	Sequence uint64
	Recorded time.Time
	// Verdict is the one the record was booked with, for Inserted.
	Verdict Verdict
	// Violations say what is wrong, for Rejected and Conflict.
	Violations []Violation
	// Head is the head of the chain when the target of a correction was
	// corrected already.
	Head *Identity
}

// OK reports whether every record is in the book: inserted now or before.
func (r *Receipt) OK() bool { return r.Inserted+r.Duplicates == len(r.Entries) }

// Receipt turns what a store answered for a batch into the Receipt and, when a
// record was not booked, the *AppendError. It is for callers that hand a
// prepared batch to a store themselves, inside a transaction of their own.
func (b *Batch) Receipt(entries []ReceiptEntry) (*Receipt, error) {
	b.index()
	r := &Receipt{Entries: entries}
	var fail *AppendError
	for i := range entries {
		e := &entries[i]
		if e.Sequence == 0 && (e.Outcome == Duplicate || e.Outcome == Conflict) {
			// A repeat within the batch gets the place of the first.
			if k := b.identities.first(i); k != i && entries[k].Outcome == Inserted {
				e.Sequence, e.Recorded = entries[k].Sequence, entries[k].Recorded
			}
		}
		if e.Outcome == Conflict || e.Outcome == Rejected {
			if fail == nil {
				fail = &AppendError{Total: len(entries), Booked: !b.allOrNothing}
			}
			fail.Failures = append(fail.Failures, Failure{Index: i, Identity: b.entries[i].Record.Identity(),
				Outcome: e.Outcome, Violations: e.Violations, Head: e.Head})
		}
	}
	r.count()
	if fail != nil {
		return r, fail
	}
	return r, nil
}

func (r *Receipt) count() {
	for i := range r.Entries {
		switch r.Entries[i].Outcome {
		case Inserted:
			r.Inserted++
		case Duplicate:
			r.Duplicates++
		case Conflict:
			r.Conflicts++
		case Rejected:
			r.Rejected++
		case Withheld:
			r.Withheld++
		}
	}
}
