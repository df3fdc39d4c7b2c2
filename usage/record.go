package usage

import (
	"time"

	"github.com/usagebook/usagebook/rules"
)

// Record is one measured use: who used how much of what, and when.
//
// A Record is a value. Its Values and Dimensions are immutable, so records may
// be copied and shared between goroutines freely as long as nobody assigns to
// their fields.
type Record struct {
	// Tenant is the isolation boundary: no query of another tenant's scope
	// ever sees the record. Required, at most 128 bytes.
	Tenant string

	// Source and ID are, together with Tenant, the identity of the record for
	// ever: the same identity with the same content counts once, with other
	// content it is a conflict. Source names the producer ("checkout-7"), ID
	// the use within it. Required, at most 256 bytes each. They follow the
	// attributes source and id of CloudEvents 1.0.
	Source, ID string

	// Meter names what was counted. Required for plain and replacing records,
	// at most 128 bytes.
	Meter string

	// Start is the event time: when it was used. End, when not zero, makes the
	// use a half-open interval [Start, End); a zero End is an instant. A record
	// belongs wholly to the bucket that holds its Start, whatever its End.
	// Both are kept in UTC and cut to the microsecond towards the past; years
	// 1 to 9999.
	Start, End time.Time

	// Values are the figures of the record, at least one. A plain measurement
	// has the single value "quantity"; see [Quantity].
	Values Values

	// Dimensions are the named attributes to filter and group by.
	Dimensions Dimensions

	// Corrects makes the record a correction of an earlier one of the same
	// tenant; nil for plain usage. A void has neither meter, times, values nor
	// dimensions: it says only what no longer counts.
	Corrects *Correction

	// faults are what a decoder could not read; see WithFault.
	faults []Violation
}

// Identity is what makes a record the same record for ever. It is comparable
// and may be used as a map key.
type Identity struct {
	Tenant, Source, ID string
}

// Identity returns the identity of the record.
func (r Record) Identity() Identity {
	return Identity{Tenant: r.Tenant, Source: r.Source, ID: r.ID}
}

// Correction names the record that a correcting record is about.
type Correction struct {
	Kind CorrectionKind
	// Source and ID identify the target, which is always of the correcting
	// record's own tenant.
	Source, ID string
}

// CorrectionKind says what a correction does to its target.
type CorrectionKind uint8

// The kinds of correction. A void takes its target out of every figure (a void
// of a void brings back what the first one took); a replace puts its own
// content in the target's place.
const (
	Void    CorrectionKind = 1
	Replace CorrectionKind = 2
)

// String returns "void" or "replace", and "invalid" for anything else.
func (k CorrectionKind) String() string {
	switch k {
	case Void:
		return "void"
	case Replace:
		return "replace"
	}
	return "invalid"
}

// Stored is a record as a store gives it back: what was booked and what the
// store added. A *Stored that an iterator yields belongs to the receiver only
// until the next step unless the iterator says otherwise; [Store.Scan] yields a
// fresh one each time.
type Stored struct {
	Record

	// Sequence is the place of the record in the order of commit, from 1,
	// unique in the store.
	Sequence uint64

	// Recorded is when the record was booked, UTC, never decreasing with
	// Sequence.
	Recorded time.Time

	// Verdict is what the rules in force said when the record was booked. It
	// is never judged again.
	Verdict Verdict

	// CorrectedBy is the correction that has this record as its target, as of
	// the mark of the scan; nil when there is none.
	CorrectedBy *CorrectedBy
}

// CorrectedBy tells which record corrected another one.
type CorrectedBy struct {
	Sequence   uint64
	Kind       CorrectionKind
	Source, ID string
}

// Verdict is the judgement of the rules that a record was booked with.
type Verdict struct {
	// State is Verified, NoRule (a rule set was in force and no rule covered
	// the record) or Unverified (no rule set was in force).
	State rules.Verdict
	// Billable says whether the rules call the usage billable.
	Billable bool
	// Version is the version of the rule set; empty when there was none.
	Version string
}

// Class is the part of the verdict that queries can filter and group by, and
// that rollups are keyed by.
func (v Verdict) Class() VerdictClass {
	c := VerdictClass(v.State) << 1
	if v.Billable {
		c |= 1
	}
	return c
}

// VerdictClass is a verdict without the version of the rule set: the rules'
// state and whether the usage is billable, in one small number.
type VerdictClass uint8

// State returns the rules' state.
func (c VerdictClass) State() rules.Verdict { return rules.Verdict(c >> 1) }

// Billable reports whether the usage is billable.
func (c VerdictClass) Billable() bool { return c&1 != 0 }

// Series is a distinct combination of tenant, meter and dimensions. Stores
// intern series, so that a condition on dimensions is decided once per series
// and not once per record. A *Series given to a function is not to be changed
// and may be kept.
type Series struct {
	Tenant, Meter string
	Dimensions    Dimensions
}
