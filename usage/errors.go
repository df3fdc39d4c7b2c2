package usage

import (
	"errors"
	"fmt"
	"strings"

	"github.com/usagebook/usagebook/rules"
)

// What can go wrong, for errors.Is. Errors with a position carry a struct of
// their own beside these: [AppendError], filter.Error, [CatalogueError].
var (
	// ErrInvalid: the call itself is wrong (a query that cannot be understood,
	// an option out of range). Repeating it is of no use.
	ErrInvalid = errors.New("invalid")

	// ErrScope: a query without a scope, or with one that names nobody.
	ErrScope = errors.New("no scope")

	// ErrRejected: at least one record was refused: its shape, the meter's
	// catalogue, a rule or its correction's target. See [AppendError].
	ErrRejected = errors.New("record rejected")

	// ErrConflict: at least one record has the identity of a booked one and
	// other content. Nothing was changed. See [AppendError].
	ErrConflict = errors.New("record conflicts with the booked one")

	// ErrTarget: a correction names a record that is not booked in its own
	// tenant. Another tenant's record and a missing one are the same.
	ErrTarget = errors.New("the correction's target is not booked")

	// ErrAlreadyCorrected: the target has its one correction already. The
	// failure names the head of the chain, which is what can be corrected.
	ErrAlreadyCorrected = errors.New("the target is corrected already")

	// ErrTooLarge: a batch, a result or a page is above its limit.
	ErrTooLarge = errors.New("too large")

	// ErrNotFound: what was asked for is not in the book, or not in the scope.
	ErrNotFound = errors.New("not found")

	// ErrCheckpoint: the checkpoint was moved by somebody else in the
	// meantime. Roll starts over by itself; only stores return it.
	ErrCheckpoint = errors.New("checkpoint moved")

	// ErrHeld: the snapshot that was asked for is no longer held, or never was.
	ErrHeld = errors.New("snapshot not held")

	// ErrMoved: the book is not as the store assumed. The Book starts over by
	// itself; only an [Assumer] returns it.
	ErrMoved = errors.New("the book has moved")

	// ErrUnavailable: the store could not be reached or did not answer. The
	// write may have happened: send the same records again, which is safe
	// because the same identity with the same content counts once.
	ErrUnavailable = errors.New("store unavailable")

	// ErrFull: the store has no room for more: a ceiling of its options, a disk or
	// a quota. Nothing of the call was booked, what was booked before is there,
	// and reading goes on. Sending the same again is of use once there is room.
	ErrFull = errors.New("store full")

	// ErrUnsupported: the store lacks what the call needs and there is no
	// slower way.
	ErrUnsupported = errors.New("not supported by this store")

	// ErrTaskExists: a task with this ID, or with this Key of this owner, is
	// stored already.
	ErrTaskExists = errors.New("task exists already")

	// ErrTaskChanged: the task was written or deleted by somebody else in the
	// meantime.
	ErrTaskChanged = errors.New("task changed")

	// ErrKeyReused: the idempotency key, or the ID, belongs to a job that was
	// submitted with other content.
	ErrKeyReused = errors.New("key used for something else")

	// ErrBusy: too many executions of the owner are not finished. See
	// [BusyError].
	ErrBusy = errors.New("too many at once")

	// ErrNoResult: the execution is not complete, so it has no rows.
	ErrNoResult = errors.New("no result")

	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store closed")
)

// Codes of violations. Rules add their own codes (package rules).
const (
	CodeRequired         = "required"          // a field that must be there is not
	CodeTooLong          = "too_long"          // a text is longer than its limit
	CodeCharacters       = "characters"        // invalid UTF-8, NUL or a control character
	CodeOutOfRange       = "out_of_range"      // a number or an instant outside what the book holds
	CodeSyntax           = "syntax"            // a text that is no number, no JSON, no instant
	CodeDuplicate        = "duplicate"         // a name that is given twice
	CodeTooMany          = "too_many"          // more values or dimensions than a record may have
	CodeEndBeforeStart   = "end_before_start"  // an interval that ends before it begins
	CodeScale            = "scale"             // more decimal places than the meter declares
	CodeUndeclared       = "undeclared"        // a closed meter does not declare the name
	CodeReserved         = "reserved"          // a name that records may not use
	CodeAlias            = "alias"             // a record that carries a name and its alias at once
	CodeCorrection       = "correction"        // a correction of no known kind, or of itself
	CodeVoidContent      = "void_content"      // a void that carries usage
	CodeTarget           = "target"            // the correction's target is not booked
	CodeAlreadyCorrected = "already_corrected" // the correction's target is corrected already
	CodeReplacesVoid     = "replaces_void"     // a void cannot be replaced
	CodeConflict         = "conflict"          // the identity has other content already
)

// Violation is one thing that is wrong with a record: a code that programs can
// act on, the field it is about and a sentence for a person.
type Violation = rules.Violation

// Failure is one record of a batch that was not booked.
type Failure struct {
	// Index is the place of the record in the call, from 0.
	Index    int
	Identity Identity
	// Outcome is Rejected, Conflict or Withheld.
	Outcome    Outcome
	Violations []Violation
	// Head is set with ErrAlreadyCorrected: the record at the head of the
	// chain, which is the one that can be corrected now.
	Head *Identity
}

// AppendError tells which records of a batch were not booked, and why. The
// other records of the batch are booked, unless the call asked for all or
// nothing. errors.Is finds in it ErrRejected, ErrConflict, ErrTarget and
// ErrAlreadyCorrected, each when at least one failure is of that kind.
type AppendError struct {
	// Failures are in the order of the records. Withheld records, which are
	// innocent, are not among them; the Receipt shows them.
	Failures []Failure
	// Total is the number of records in the call.
	Total int
	// Booked tells whether the rest of the batch was booked.
	Booked bool
}

// Error names the first failures in full and counts the rest.
func (e *AppendError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "usage: append: %d of %d records not booked", len(e.Failures), e.Total)
	if !e.Booked {
		b.WriteString(", so none was")
	}
	const shown = 3
	for i, f := range e.Failures {
		if i == shown {
			fmt.Fprintf(&b, "; and %d more", len(e.Failures)-shown)
			break
		}
		b.WriteString("; ")
		b.WriteString(f.String())
	}
	return b.String()
}

// String returns the failure as a sentence.
func (f Failure) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "record %d (id %s): %s", f.Index, quoted(f.Identity.ID), f.Outcome)
	for i, v := range f.Violations {
		if i == 3 {
			fmt.Fprintf(&b, ", and %d more", len(f.Violations)-i)
			break
		}
		if i > 0 {
			b.WriteString(",")
		} else {
			b.WriteString(":")
		}
		if v.Field != "" {
			b.WriteString(" " + v.Field + ":")
		}
		fmt.Fprintf(&b, " %s (%s)", v.Message, v.Code)
	}
	return b.String()
}

// Is lets errors.Is ask for the kinds of failure in the batch.
func (e *AppendError) Is(target error) bool {
	for i := range e.Failures {
		f := &e.Failures[i]
		switch target {
		case ErrConflict:
			if f.Outcome == Conflict {
				return true
			}
		case ErrRejected:
			if f.Outcome == Rejected {
				return true
			}
		case ErrTarget:
			if f.has(CodeTarget) {
				return true
			}
		case ErrAlreadyCorrected:
			if f.has(CodeAlreadyCorrected) {
				return true
			}
		}
	}
	return false
}

func (f *Failure) has(code string) bool {
	for i := range f.Violations {
		if f.Violations[i].Code == code {
			return true
		}
	}
	return false
}

// quoted returns s in quotes, cut to a length that fits a message.
func quoted(s string) string {
	const most = 64
	if len(s) > most {
		return fmt.Sprintf("%.*q...", most, s)
	}
	return fmt.Sprintf("%q", s)
}
