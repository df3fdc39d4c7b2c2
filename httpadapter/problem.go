package httpadapter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/paginate"
	"github.com/usagebook/usagebook/usage"
)

// ProblemKind says what sort of failure a [Problem] is. Each API has one body
// and status for each kind, where it has no more special code of its own.
type ProblemKind uint8

// The kinds, in the order in which a request meets them.
const (
	// Internal: our fault. Its cause is logged and not shown.
	Internal ProblemKind = iota
	// NoPath: no route has the path.
	NoPath
	// BadMethod: the path has no such method. Allowed lists those it has.
	BadMethod
	// NoToken and BadToken: the caller is not known.
	NoToken
	BadToken
	// TooMany: the caller is above its rate. RetryAfter says when to come back.
	TooMany
	// Forbidden: the caller may not do this, or not with this tenant.
	Forbidden
	// Unsupported: the body has another content type or content encoding.
	Unsupported
	// TooLarge: the body, or the number of items in it, is above its limit.
	TooLarge
	// SlowBody: the body did not arrive in time.
	SlowBody
	// Twice: a documented query parameter is given more than once.
	Twice
	// Invalid: a parameter or the body cannot be understood.
	Invalid
	// NotFound: what the request names does not exist, or not for this caller.
	NotFound
	// Conflict: what the request asks for contradicts what is there.
	Conflict
	// Unavailable: come back later. RetryAfter says when.
	Unavailable
)

var kindNames = [...]string{"internal", "no path", "bad method", "no token", "bad token", "too many", "forbidden",
	"unsupported", "too large", "slow body", "twice", "invalid", "not found", "conflict", "unavailable"}

// String returns the kind in words.
func (k ProblemKind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Problem is a failure of a request, before an API gives it its documented
// body. Handlers return one as their error; any other error becomes one by
// [ProblemOf].
type Problem struct {
	Kind ProblemKind
	// Code is the API's own code, where it has one beside that of the Kind.
	Code string
	// Status is the API's own status; 0 is that of the Kind.
	Status int
	// Field names what is at fault: a query parameter as documented, or the path
	// of a property in the body.
	Field string
	// Message is for the person who must act: what was wrong, in one sentence.
	Message string
	// Allowed says what to do or what is allowed instead, in one sentence.
	Allowed string
	// Figures are the numbers and names of the message.
	Figures []Figure
	// RetryAfter is for TooMany and Unavailable; it is rounded up to seconds.
	RetryAfter time.Duration
	// Err is the cause, for logs.
	Err error
}

// Figure is a named figure of a message.
type Figure struct{ Name, Value string }

// Error returns the message, with the field it is about.
func (p *Problem) Error() string {
	s := p.Message
	if s == "" {
		s = p.Kind.String()
	}
	if p.Err != nil {
		s += ": " + p.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Err }

// Bad returns an Invalid problem of a parameter or property.
func Bad(field, format string, args ...any) *Problem {
	return &Problem{Kind: Invalid, Field: field, Message: fmt.Sprintf(format, args...)}
}

// Denied returns a Forbidden problem.
func Denied(format string, args ...any) *Problem {
	return &Problem{Kind: Forbidden, Message: fmt.Sprintf(format, args...)}
}

// Missing returns a NotFound problem.
func Missing(format string, args ...any) *Problem {
	return &Problem{Kind: NotFound, Message: fmt.Sprintf(format, args...)}
}

// retrySoon is the Retry-After of a store that cannot be reached.
const retrySoon = 5 * time.Second

// ProblemOf turns any error into the problem that it is for a caller: the one
// place where the errors of the packages below become answers. A *Problem in
// the chain is taken as it is. What is not known is Internal.
func ProblemOf(err error) *Problem {
	var p *Problem
	var fe *filter.Error
	var te *paginate.TokenError
	var busy *usage.BusyError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &fe):
		return &Problem{Kind: Invalid, Message: fe.Error(), Err: err}
	case errors.As(err, &te), errors.Is(err, paginate.ErrToken):
		return &Problem{Kind: Invalid, Message: tokenMessage(err), Err: err}
	case errors.Is(err, usage.ErrScope):
		return &Problem{Kind: Forbidden, Message: "the caller holds no tenant that this request could be about", Err: err}
	case errors.As(err, &busy):
		return &Problem{Kind: TooMany, Message: fmt.Sprintf("%d queries of this caller are not finished, which is the most allowed", busy.Most), RetryAfter: busy.RetryAfter, Err: err}
	case errors.Is(err, usage.ErrKeyReused), errors.Is(err, usage.ErrTaskExists):
		return &Problem{Kind: Conflict, Field: "Idempotency-Key", Message: "the idempotency key was used for another request", Allowed: "Use a new key for a new request.", Err: err}
	case errors.Is(err, usage.ErrTooLarge):
		return &Problem{Kind: TooLarge, Message: plain(err), Err: err}
	case errors.Is(err, usage.ErrInvalid):
		return &Problem{Kind: Invalid, Message: plain(err), Err: err}
	case errors.Is(err, usage.ErrNotFound):
		return &Problem{Kind: NotFound, Message: "there is no such thing, or not for this caller", Err: err}
	case errors.Is(err, usage.ErrFull):
		return &Problem{Kind: Unavailable, Message: "the book has no room for more at the moment; nothing of the request was booked", RetryAfter: retrySoon, Err: err}
	case errors.Is(err, usage.ErrUnavailable), errors.Is(err, usage.ErrClosed), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &Problem{Kind: Unavailable, Message: "the book cannot be reached at the moment", RetryAfter: retrySoon, Err: err}
	}
	return &Problem{Kind: Internal, Message: "something went wrong on this side; the operation id finds it in the log", Err: err}
}

// plain is the text of an error for a caller, who does not know our packages.
func plain(err error) string { return strings.TrimPrefix(err.Error(), "usage: ") }

// tokenMessage says what to do about a token that is refused.
func tokenMessage(err error) string {
	switch {
	case errors.Is(err, paginate.ErrTokenExpired):
		return "the token has expired; begin again with the first page"
	case errors.Is(err, paginate.ErrTokenKey), errors.Is(err, paginate.ErrTokenVersion):
		return "the token was made by another server, or before it was restarted; begin again with the first page"
	case errors.Is(err, paginate.ErrTokenScope):
		return "the token was made for another caller's tenants"
	case errors.Is(err, paginate.ErrTokenQuery):
		return "the token was made for another request; repeat the parameters of the first page"
	}
	return "the token is none that this server made, or was changed; send it back as it was given"
}
