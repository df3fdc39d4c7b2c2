package model

import (
	"math/big"
	"strings"
	"time"
)

// Identity is what makes a record the same record.
type Identity struct{ Tenant, Source, ID string }

// Role is the part a record plays in a correction.
type Role uint8

// The roles.
const (
	Plain Role = iota
	Void
	Replace
)

// Record is one measured use. It is normalised already: its instants are UTC
// microseconds, and an End is a zero time or after Start.
type Record struct {
	Identity
	Meter      string
	Start, End time.Time
	Values     map[string]*big.Rat
	Dimensions map[string]string

	Role   Role
	Target Identity // of a void or replace; of the same tenant

	// Verified is null where no rule covered the record.
	Verified Value
	Billable bool
}

// Outcome is what became of a record.
type Outcome uint8

// The outcomes.
const (
	Inserted Outcome = 1 + iota
	Duplicate
	Conflict
	Rejected
	Withheld
)

// Booked is a record that is in the book.
type Booked struct {
	Record
	Sequence uint64
	Recorded time.Time
	by       *Booked // the one correction that it has
}

// Book is all records in the order in which they were booked.
type Book struct {
	Records []*Booked
	ids     map[Identity]*Booked
}

// New returns an empty book.
func New() *Book { return &Book{ids: map[Identity]*Booked{}} }

// Find returns the booked record of an identity, or nil.
func (b *Book) Find(id Identity) *Booked { return b.ids[id] }

// Append books what may be booked of a batch, one record after the other, and
// takes all of it back when it was to be all or nothing and one failed. The
// caller gives Sequence and Recorded to the new records.
func (b *Book) Append(batch []Record, allOrNothing bool) []Outcome {
	out := make([]Outcome, len(batch))
	before := len(b.Records)
	firsts := map[Identity]int{}
	failed := false
	for i := range batch {
		k, repeats := firsts[batch[i].Identity]
		switch {
		case !repeats:
			firsts[batch[i].Identity] = i
			out[i] = b.book(batch[i])
		case !same(&batch[k], &batch[i]):
			out[i] = Conflict
		case out[k] == Inserted:
			out[i] = Duplicate
		default:
			out[i] = out[k]
		}
		failed = failed || out[i] == Conflict || out[i] == Rejected
	}
	if failed && allOrNothing {
		withdrawn := map[Identity]bool{}
		for _, r := range b.Records[before:] {
			withdrawn[r.Identity] = true
			delete(b.ids, r.Identity)
			if r.Role != Plain {
				if t := b.ids[r.Target]; t != nil {
					t.by = nil
				}
			}
		}
		b.Records = b.Records[:before]
		for i := range batch {
			if withdrawn[batch[i].Identity] && (out[i] == Inserted || out[i] == Duplicate) {
				out[i] = Withheld
			}
		}
	}
	return out
}

func (b *Book) book(r Record) Outcome {
	if old := b.ids[r.Identity]; old != nil {
		if same(&old.Record, &r) {
			return Duplicate
		}
		return Conflict
	}
	booked := &Booked{Record: r}
	if r.Role != Plain {
		target := b.ids[r.Target]
		switch {
		case target == nil || target.Tenant != r.Tenant:
			return Rejected
		case target.by != nil:
			return Rejected
		case target.Role == Void && r.Role == Replace:
			return Rejected
		}
		target.by = booked
	}
	b.ids[r.Identity] = booked
	b.Records = append(b.Records, booked)
	return Inserted
}

// same compares contents field by field.
func same(a, b *Record) bool {
	if a.Meter != b.Meter || !a.Start.Equal(b.Start) || !a.End.Equal(b.End) || a.Role != b.Role || a.Target != b.Target {
		return false
	}
	if len(a.Values) != len(b.Values) || len(a.Dimensions) != len(b.Dimensions) {
		return false
	}
	for name, n := range a.Values {
		if m, ok := b.Values[name]; !ok || m.Cmp(n) != 0 {
			return false
		}
	}
	for name, s := range a.Dimensions {
		if t, ok := b.Dimensions[name]; !ok || t != s {
			return false
		}
	}
	return true
}

// Counts reports whether a record counts when nothing above the mark is known.
func (r *Booked) Counts(mark uint64) bool {
	if r.Role == Void || r.Sequence > mark {
		return false
	}
	by := r.by
	if by == nil || by.Sequence > mark {
		return true
	}
	return by.Role == Void && by.undone(mark)
}

// undone reports whether a void was itself voided, by a void that stands.
func (r *Booked) undone(mark uint64) bool {
	by := r.by
	return by != nil && by.Sequence <= mark && !by.undone(mark)
}

// CorrectedBy returns the correction of a record up to the mark, or nil.
func (r *Booked) CorrectedBy(mark uint64) *Booked {
	if r.by == nil || r.by.Sequence > mark {
		return nil
	}
	return r.by
}

// Field returns a field of a record by its name in a query: a reserved one,
// values/NAME, dimensions/NAME, and any other name as a dimension.
func (r *Booked) Field(name string) Value {
	switch name {
	case "id":
		return OfText(r.ID)
	case "source":
		return OfText(r.Source)
	case "tenant":
		return OfText(r.Tenant)
	case "meter":
		return OfText(r.Meter)
	case "start":
		return OfInstant(r.Start)
	case "end":
		return OfInstant(r.End)
	case "recorded":
		return OfInstant(r.Recorded)
	case "sequence":
		return OfInt(int64(r.Sequence))
	case "verified":
		return r.Verified
	case "billable":
		return OfBool(r.Billable)
	}
	if value, ok := strings.CutPrefix(name, "values/"); ok {
		if n, ok := r.Values[value]; ok {
			return OfNumber(n)
		}
		return Value{}
	}
	if s, ok := r.Dimensions[strings.TrimPrefix(name, "dimensions/")]; ok {
		return OfText(s)
	}
	return Value{}
}
