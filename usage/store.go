package usage

import (
	"context"
	"iter"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
)

// Store keeps a book. It judges identity and the targets of corrections, inside
// the atomic step that books a batch, and nothing else: it parses no text, sees
// no token, applies no rule and decides nowhere whether a record counts.
//
// All methods are safe for concurrent use. Errors of the engine come back
// wrapped so that errors.Is finds a sentinel of this package (mostly
// [ErrUnavailable]) and errors.As the driver's own error.
//
// The numbered rules below are the contract; package storetest has a case of
// the same number for each.
type Store interface {
	// Append books a batch.
	//
	//  A1. It calls [Batch.Judge] with what is booked, and books exactly the
	//      entries that come back Inserted, in their order.
	//  A2. Looking up and booking are one atomic step: of two calls that race
	//      with the same identity one inserts, and the other finds it booked.
	//  A3. Either all Inserted entries are booked or none: after an error
	//      other than ErrUnavailable, none is.
	//  A4. When it returns without error, a durable store has the batch on
	//      stable storage.
	//  A5. Inserted entries get Sequence numbers, rising in their order and
	//      above every one given before, and Recorded, which never decreases
	//      with Sequence and is never before the batch's Now, nor before what
	//      is settled (C4).
	//  A6. A record has at most one accepted correction, ever, however many
	//      race for it.
	//  A7. What is read back is what was booked: every digit, every byte, every
	//      microsecond, and a nil End, absent dimension or absent correction as
	//      such.
	//  A8. Nothing of the batch is kept or changed after the call.
	//  A9. A cancelled context ends the call with its error; the batch is then
	//      booked wholly or not at all.
	Append(ctx context.Context, b *Batch) ([]ReceiptEntry, error)

	// Scan yields the records that a selection names.
	//
	//  S1. It yields exactly the records that every given condition of the
	//      Selection selects, each once.
	//  S2. In the order that the selection asks for.
	//  S3. As of the mark: records above it are not there, and CorrectedBy
	//      tells of corrections up to the mark only.
	//  S4. A tenant that the scope does not hold is never yielded.
	//  S5. What is booked during a scan at or below its mark is not missed, and
	//      what is booked above it is not seen.
	//  S6. Every yielded *Stored is fresh: the receiver may keep it.
	//  S7. After an error it yields nothing more. Stopping early releases
	//      everything. A cancelled context ends the scan with its error.
	Scan(ctx context.Context, sel Selection) iter.Seq2[*Stored, error]

	// ScanRollups yields the rollup rows that were valid at a checkpoint.
	//
	//  R1. It yields exactly the rows that the selection names and that were
	//      put by a commit up to the checkpoint and not put again (or taken
	//      away) by one up to it; in any order.
	//  R2. A checkpoint that is not held any more, or never was, is ErrHeld.
	//  R3. A tenant that the scope does not hold is never yielded. Scopes'
	//      required dimensions are the Book's to check.
	//  R4. The yielded *Rollup may be reused by the next step.
	ScanRollups(ctx context.Context, sel RollupSelection) iter.Seq2[*Rollup, error]

	// Checkpoint tells how far the store is.
	//
	//  C1. State.Mark is at or above every record whose Append returned before
	//      the call, or the newest one that AsOf allows.
	//  C2. With AsOf.Time, the mark is the newest record with Recorded before
	//      that time; with AsOf.Sequence it is that sequence, or the newest one
	//      where fewer are booked.
	//  C3. State.Checkpoint is the newest held checkpoint at or below the mark,
	//      and Coverage what was committed with it.
	//  C4. With AsOf.Time the book is settled up to that time: after the call
	//      returned, no record is ever booked with Recorded before it, not even
	//      one of a batch whose Now is, nor after the store was opened again. So
	//      a range of Recorded that has ended is complete. The Book never asks
	//      with a time that its clock has not reached. A store that has to wait
	//      for it waits no longer than ctx allows.
	Checkpoint(ctx context.Context, at AsOf) (State, error)

	// Commit moves the checkpoint.
	//
	//  M1. It is a compare-and-swap: when the newest checkpoint is not
	//      Commit.From it changes nothing and returns ErrCheckpoint.
	//  M2. Put rows replace the current row of the same key; a row with
	//      Records 0 takes it away. All of it happens or nothing does.
	//  M3. Replaced rows stay readable at the checkpoints they were valid for
	//      until Commit.Hold has passed since they were replaced, by
	//      Commit.Now; then the store may drop them and these checkpoints.
	Commit(ctx context.Context, c *Commit) error

	// Close releases what the store holds. Calls after it return ErrClosed.
	// Closing twice is not an error.
	Close() error
}

// Mark is a moment in the life of a book: everything booked up to and
// including Sequence. Extra is a store's own addition, for stores that show
// records before they have given them a sequence; the Book carries it along in
// page tokens and never looks into it. At most 1 KiB.
type Mark struct {
	Sequence uint64
	Extra    string
}

// AsOf asks for the book as it was at an earlier moment. The zero value is now.
type AsOf struct {
	// Time, when not zero: everything recorded before this instant.
	Time time.Time
	// Sequence, when not zero: everything up to and including this one.
	Sequence uint64
}

// IsZero reports whether it asks for the book as it is now.
func (a AsOf) IsZero() bool { return a.Time.IsZero() && a.Sequence == 0 }

// State is how far a store is.
type State struct {
	// Mark is the newest moment that can be read, or the one asked for.
	Mark Mark
	// Recorded is when the newest record at or below the mark was booked; zero
	// in an empty book.
	Recorded time.Time
	// Checkpoint is the newest held checkpoint at or below the mark: rollups
	// are complete up to this Sequence. 0 when there is none.
	Checkpoint uint64
	// Coverage is what the Book committed with Checkpoint: which rollups there
	// are. Stores do not look into it.
	Coverage []byte
	// Latest is the newest checkpoint of all, from which the next Commit goes
	// on. It is at or above Checkpoint.
	Latest uint64
}

// Selection names records for [Store.Scan]. Every condition that is given must
// hold; the zero value of a field is no condition, except for Scope and Mark.
type Selection struct {
	// Scope limits the tenants. Its required dimensions are part of Series, so
	// a store need not look at them.
	Scope Scope

	// Mark is the moment as of which the book is read.
	Mark Mark

	// After and Through select Sequence in (After, Through]. Through 0 means
	// up to the mark.
	After, Through uint64

	// From and To select Start in [From, To).
	From, To time.Time

	// RecordedFrom and RecordedTo select Recorded in [RecordedFrom, RecordedTo).
	RecordedFrom, RecordedTo time.Time

	// Meters selects records of these meters. A void has no meter and is not
	// selected by it.
	Meters []string

	// Series selects records by their series. It is pure: stores that intern
	// series call it once for each, others may remember its answers. It is
	// called from one goroutine at a time.
	Series func(*Series) bool

	// Identities selects exactly these, as far as they are booked and in scope.
	// Empty but not nil selects nothing.
	Identities []Identity

	// Class selects by the part that corrections play.
	Class Class

	// Filter is a hint and no condition: records for which it does not hold may
	// be left out, so a store may push it down or ignore it. The slots of its
	// fields are the Book's; a store goes by their names.
	Filter *filter.Checked

	// Order is the order to yield in.
	Order ScanOrder

	// Resume, with ByStart: only records strictly after this place.
	Resume *aggregate.Position
}

// Class divides records by the part that corrections play in them.
type Class uint8

// The classes. A record is plain when it neither is a correction nor has one
// at or below the mark: it counts, and nothing need be asked. All others are
// chained, and whether one counts depends on its chain.
const (
	AnyClass    Class = iota
	Plain             // no correction, and not corrected as of the mark
	Chained           // a correction, or corrected as of the mark
	Corrections       // voids and replaces only
)

// ScanOrder is the order of a scan.
type ScanOrder uint8

// The orders.
const (
	// Unordered lets the store choose; fastest.
	Unordered ScanOrder = iota
	// ByStart is (Start, Source, ID, Tenant), texts by their bytes. Voids,
	// which have no Start, come first.
	ByStart
	// BySequence is the order of commit.
	BySequence
)

// Rollup is a stored row of sums: what the records of one series of a
// projection add up to in one UTC hour, day or month.
type Rollup struct {
	RollupKey
	// Records is the number of counted records.
	Records int64
	// Values has a summary for each value that a counted record has, in the
	// order of names.
	Values []ValueSummary
}

// RollupKey is what makes a rollup row the same row.
type RollupKey struct {
	// Projection is the Book's name for a set of dimensions.
	Projection string
	// Level is aggregate.Hour, Day or Month, UTC.
	Level aggregate.Unit
	// Bucket is the start of the hour, day or month in Unix microseconds.
	Bucket int64
	// Tenant, Meter and Dimensions are the series, its dimensions cut down to
	// those of the projection.
	Tenant, Meter string
	Dimensions    Dimensions
	// Verdict keeps verified and billable usage apart.
	Verdict VerdictClass
}

// ValueSummary is the summary of one named value.
type ValueSummary struct {
	Name string
	aggregate.Summary
}

// RollupSelection names rollup rows for [Store.ScanRollups]. Every condition
// that is given must hold.
type RollupSelection struct {
	Scope Scope
	// Checkpoint is the one to read as of.
	Checkpoint uint64
	// Projection and Level select the rows of one kind; both are required.
	Projection string
	Level      aggregate.Unit
	// From and To select Bucket in [From, To), in Unix microseconds. Both zero:
	// no condition.
	From, To int64
	// Meters selects rows of these meters; nil is no condition.
	Meters []string
	// Keys selects exactly these rows, all of the same Projection and Level;
	// nil is no condition. Empty but not nil selects nothing.
	Keys []RollupKey
	// Confirm, for an [Assumer] alone: the State that the read was planned with.
	Confirm *State
}

// Commit is a step of the checkpoint with the rollup rows that it changes.
type Commit struct {
	// From is the newest checkpoint as the Book knows it, To the new one, above
	// it.
	From, To uint64
	// Put holds each key at most once.
	Put []*Rollup
	// Coverage goes with the new checkpoint.
	Coverage []byte
	// Now is the book's clock, and Hold for how long replaced rows are kept.
	Now  time.Time
	Hold time.Duration
}

// Assumer is an optional interface of stores that are asked across a network. The
// Book plans a question by the State that the store assumes, and the first read of
// it, a Group or a ScanRollups, has to confirm it: a question of one read is then one
// round trip instead of two.
//
//	P1. Assume returns a State that Checkpoint has returned, and never that of
//	    an empty book.
//	P2. A read with Confirm makes sure, in the step that reads, that Checkpoint
//	    with the zero AsOf would return that State, but for Checkpoint, Coverage
//	    and Latest, if it were called now. Then it is the read without Confirm.
//	P3. Where it would not, or the store cannot tell, the read yields ErrMoved
//	    and nothing else. The Book then calls Checkpoint and starts over.
//
// A State whose Checkpoint is not the newest any more serves as well, so long as it is
// held; but a store that goes on assuming it goes without newer rollups.
type Assumer interface {
	Store
	Grouper
	// Assume returns the State that Checkpoint with the zero AsOf would probably
	// return now, without asking anybody; false when the store does not expect the
	// book to be as it last was. The caller does not change the State.
	Assume() (State, bool)
}

// Grouper is an optional interface of stores that can add up records without
// giving them out one by one. Without it the Book scans.
type Grouper interface {
	// Group adds up the selected records, which are of class Plain, by group
	// and window. It yields as many rows for one group and window as it likes,
	// in any order: the Book adds them up. The yielded row may be reused.
	Group(ctx context.Context, read GroupRead) iter.Seq2[*GroupRow, error]
}

// FilterGrouper is an optional interface of stores whose Group can leave records out
// by a condition that only the record itself decides, such as one on a value. Without
// it the Book scans wherever a filter has such a condition.
type FilterGrouper interface {
	Grouper
	// Filters reports whether Group goes by a condition, exactly, when it is given
	// as GroupRead.Where. It is asked once for each query.
	Filters(where *filter.Checked) bool
}

// RollupGrouper is an optional interface of stores that can add up rollup rows as a
// [Grouper] adds up records. Without it the Book goes through them one by one.
type RollupGrouper interface {
	// GroupRollups adds up the rows that ScanRollups yields for a selection without
	// Keys and Confirm, by group and by the window that holds their Bucket. Of the read, Group,
	// Dimensions, AnyMeter, Window, Values and Figures count; the series that Group is asked
	// about are those of the rows. It yields like Group, and errors like ScanRollups.
	GroupRollups(ctx context.Context, sel RollupSelection, read GroupRead) iter.Seq2[*GroupRow, error]
}

// GroupRead is what a [Grouper] is asked for.
type GroupRead struct {
	// Selection names the records. Class is Plain and Resume nil; Filter and
	// Order are not set.
	Selection Selection
	// Group gives the group of a series and verdict as a small number from 0,
	// or -1 for series that are not wanted (Selection.Series is nil then). It
	// is pure in its answers, is called from one goroutine at a time, and costs
	// enough to be called once per series.
	Group func(*Series, VerdictClass) int
	// Dimensions are the names of the dimensions that Group looks at: two series
	// of one tenant and meter that agree in these have the same answer. nil: it
	// may look at any; empty but not nil: at none.
	Dimensions []string
	// AnyMeter says that Group does not look at the meter either: then two series of
	// one tenant that agree in Dimensions have the same answer, among those of
	// Selection.Meters.
	AnyMeter bool
	// IgnoresClass: Group has one answer for all classes of verdicts of a series.
	// false says nothing.
	IgnoresClass bool
	// Window cuts time; the zero Window does not.
	Window aggregate.Window
	// Values names the values to summarise, in the order in which
	// GroupRow.Values has them.
	Values []string
	// Figures says what is asked for of each of Values beside how many there
	// are; nil asks for everything. What is not asked for may be left zero.
	Figures []Figures
	// Where, for a [FilterGrouper] alone and nil for any other, leaves out the
	// records of wanted groups for which it is not true. A *filter.Error of its
	// evaluation ends the read, and no record of another group is evaluated. A store
	// goes by the names of its fields, as in Selection.Filter; now() is a constant.
	Where *filter.Checked
	// Confirm, for an [Assumer] alone: the State that the read was planned with.
	Confirm *State
}

// Figures is a set of the figures of a [aggregate.Summary].
type Figures uint8

// The figures. How many values there are is always asked for.
const (
	FigureSum Figures = 1 << iota
	FigureMin
	FigureMax
	// AllFigures is all of them.
	AllFigures = FigureSum | FigureMin | FigureMax
)

// FiguresOf returns what is asked for of the i-th of Values.
func (r *GroupRead) FiguresOf(i int) Figures {
	if r.Figures == nil {
		return AllFigures
	}
	return r.Figures[i]
}

// GroupRow is what the records of one group in one window add up to, or part
// of it.
type GroupRow struct {
	Group int
	// Window is the start of the window in Unix microseconds; 0 without one.
	Window int64
	// Records is the number of records.
	Records int64
	// Values holds a summary for each of GroupRead.Values.
	Values []aggregate.Summary
	// Read is the number of records that were looked at for this row; only the
	// sum over all rows means something.
	Read int64
}
