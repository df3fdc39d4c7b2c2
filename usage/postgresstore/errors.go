package postgresstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/usagebook/usagebook/usage"
)

// SchemaError says that the tables of a schema are of another version than this
// package works with.
type SchemaError struct {
	// Schema is the schema, Have the version that it is at, 0 where it has no
	// tables of a book, and Want the version that this package works with.
	Schema     string
	Have, Want int
}

// Error says what is to be done.
func (e *SchemaError) Error() string {
	if e.Have > e.Want {
		return fmt.Sprintf("the schema %q is at version %d, newer than version %d, which this program works with: use a newer program", e.Schema, e.Have, e.Want)
	}
	return fmt.Sprintf("the schema %q is at version %d, this program works with version %d: run the migrations", e.Schema, e.Have, e.Want)
}

// IsolationError says that a transaction given to [Store.AppendTx] or [Store.AppendSQLTx]
// has an isolation level in which a store cannot see what others have booked
// meanwhile. Nothing was booked and the transaction is usable.
type IsolationError struct {
	// Level is the transaction's, as PostgreSQL writes it.
	Level string
}

// Error says what is to be done.
func (e *IsolationError) Error() string {
	return fmt.Sprintf("the transaction is %q and must be \"read committed\", PostgreSQL's default: in others a record that somebody else booked meanwhile cannot be seen", e.Level)
}

// Unwrap makes errors.Is find usage.ErrInvalid.
func (e *IsolationError) Unwrap() error { return usage.ErrInvalid }

// fault gives an error its place in the package's words: which call, and which
// of the sentinels of package usage it is. The driver's own error stays within
// reach of errors.As.
func fault(call string, err error) error {
	if err == nil {
		return nil
	}
	for _, own := range []error{context.Canceled, context.DeadlineExceeded, usage.ErrUnavailable, usage.ErrClosed, usage.ErrInvalid, usage.ErrScope,
		usage.ErrTooLarge, usage.ErrFull, usage.ErrHeld, usage.ErrMoved, usage.ErrCheckpoint, usage.ErrNotFound, usage.ErrTaskExists, usage.ErrTaskChanged} {
		if errors.Is(err, own) {
			return fmt.Errorf("postgresstore: %s: %w", call, err)
		}
	}
	kind := usage.ErrUnavailable
	if pg := (*pgconn.PgError)(nil); errors.As(err, &pg) {
		switch {
		case strings.HasPrefix(pg.Code, "54"): // a limit of the server
			kind = usage.ErrTooLarge
		case pg.Code == "53100": // its disk is full, and the transaction is aborted
			kind = usage.ErrFull
		}
	}
	return fmt.Errorf("postgresstore: %s: %w: %w", call, kind, err)
}

// errDamaged is what is in the tables but cannot be.
var errDamaged = errors.New("the tables of the book are damaged")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errDamaged, fmt.Sprintf(format, args...))
}
