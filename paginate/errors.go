package paginate

import (
	"errors"
	"fmt"
)

// The errors of Open. All of them are ErrToken too, so a caller that only wants
// to tell a bad token from a fault of its own asks for ErrToken.
var (
	// ErrToken is the base of every reason to refuse a token, and on its own
	// means that the text is not a token or that a bit of it was changed.
	ErrToken = errors.New("invalid page token")

	// ErrTokenVersion means that the token has a layout this build does not
	// read, for example because a newer release issued it.
	ErrTokenVersion = fmt.Errorf("%w: unknown version", ErrToken)

	// ErrTokenKey means that no configured key has the id the token names. The
	// usual cause is a process without Options.Keys that was restarted, or two
	// processes that do not share their keys.
	ErrTokenKey = fmt.Errorf("%w: unknown key", ErrToken)

	// ErrTokenScope means that the token is sound but was issued in another
	// scope: for other tenants, or other required dimension values.
	ErrTokenScope = fmt.Errorf("%w: issued for another scope", ErrToken)

	// ErrTokenQuery means that the token is sound but continues another query.
	ErrTokenQuery = fmt.Errorf("%w: issued for another query", ErrToken)

	// ErrTokenExpired means that the token is sound and its life is over.
	ErrTokenExpired = fmt.Errorf("%w: expired", ErrToken)
)

// The errors of Seal and of the values in a cursor: faults of the caller, not
// of a client.
var (
	// ErrTokenLength means that a token would be longer than Options.MaxLength.
	// Seal it again without Keys and continue from Seen.
	ErrTokenLength = errors.New("page token too long")

	// ErrValue means that a cursor value or a field of a Token cannot be held:
	// a decimal out of range, a negative Seen, too many keys.
	ErrValue = errors.New("value cannot be held in a page token")

	// ErrStuck means that a source of pages answered a page with the very
	// token the page was asked for with, which would go on for ever.
	ErrStuck = errors.New("next page token equals the page's own")
)

// TokenError says why Open refused a token. It never quotes the token, which
// may end up in a log that its holder does not read.
type TokenError struct {
	// Reason says what is wrong in words, lower case and without a full stop.
	Reason string
	// Err is one of the ErrToken sentinels.
	Err error
}

// Error returns the sentinel's text and the reason.
func (e *TokenError) Error() string { return "paginate: " + e.Err.Error() + ": " + e.Reason }

// Unwrap returns the sentinel.
func (e *TokenError) Unwrap() error { return e.Err }

func refuse(sentinel error, format string, args ...any) error {
	return &TokenError{Reason: fmt.Sprintf(format, args...), Err: sentinel}
}
