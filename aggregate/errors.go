package aggregate

import (
	"errors"
	"fmt"
)

var (
	// ErrSyntax reports a text that is not a number.
	ErrSyntax = errors.New("not a number")
	// ErrRange reports a number with too many digits before or after the decimal point.
	ErrRange = errors.New("number out of range")
	// ErrUnit reports a text or a value that names no unit of windows.
	ErrUnit = errors.New("unknown window unit")
	// ErrWindow reports a window whose fields cannot be used together.
	ErrWindow = errors.New("invalid window")
)

// A NumberError says which text or decimal was refused and why. It wraps
// [ErrSyntax] or [ErrRange].
type NumberError struct {
	Text   string // the refused text, cut to 40 bytes; empty for a decimal
	Offset int    // byte offset of the fault in a text; 0 where the whole is at fault
	Reason string // what was wrong and what is allowed
	Err    error  // ErrSyntax or ErrRange
}

// Error names the text, the place and the reason.
func (e *NumberError) Error() string {
	switch {
	case e.Text == "":
		return fmt.Sprintf("%v: %s", e.Err, e.Reason)
	case errors.Is(e.Err, ErrSyntax):
		return fmt.Sprintf("%v: %q: byte %d: %s", e.Err, e.Text, e.Offset, e.Reason)
	default:
		return fmt.Sprintf("%v: %q: %s", e.Err, e.Text, e.Reason)
	}
}

// Unwrap returns ErrSyntax or ErrRange.
func (e *NumberError) Unwrap() error { return e.Err }

// A WindowError names the field of a [Window] that was refused. It wraps
// [ErrWindow], or [ErrUnit] where the unit is at fault.
type WindowError struct {
	Field  string // Unit, AnchorDay or AnchorHour
	Reason string // what was wrong and what is allowed
	Err    error  // ErrWindow or ErrUnit
}

// Error names the field and the reason.
func (e *WindowError) Error() string { return fmt.Sprintf("%v: %s: %s", e.Err, e.Field, e.Reason) }

// Unwrap returns ErrWindow or ErrUnit.
func (e *WindowError) Unwrap() error { return e.Err }
