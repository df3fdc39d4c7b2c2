package sqlitestore

import (
	"context"
	"errors"
	"fmt"

	"modernc.org/sqlite"

	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/internal/chunk"
)

// What can be wrong with the file, for errors.Is. Each of them comes together
// with usage.ErrUnavailable, and with the driver's own error where there is one
// (errors.As with *sqlite.Error of modernc.org/sqlite).
var (
	// ErrLocked: another connection kept the file locked for longer than
	// Options.Busy. Try again.
	ErrLocked = errors.New("the file is locked")

	// ErrReadOnly: the file, its folder or the file system can't be written.
	// Reading goes on as far as SQLite can do it.
	ErrReadOnly = errors.New("the file is read-only")

	// ErrFull: the disk, a quota or the file's own limit is exhausted. Nothing
	// of the call was booked; what was booked before is there. It is a
	// usage.ErrFull too.
	ErrFull = fmt.Errorf("%w: the disk is full", usage.ErrFull)

	// ErrDamaged: what the file holds is not what was written into it. Restore
	// a backup; Check names what is wrong.
	ErrDamaged = errors.New("the file is damaged")

	// ErrSchema: the tables in the file are not those of this version of the
	// package: they were made by a newer one, or were not migrated and
	// Options.NoMigrate is set.
	ErrSchema = errors.New("the tables are of another version")
)

// Primary result codes of SQLite.
const (
	codeBusy     = 5
	codeLocked   = 6
	codeReadOnly = 8
	codeIO       = 10
	codeCorrupt  = 11
	codeFull     = 13
	codeCantOpen = 14
	codeTooBig   = 18
	codeNotADB   = 26

	codeShmSize = codeIO | 19<<8 // no room for the index of the log
)

// codeOf returns the primary result code of a driver's error, 0 for others.
func codeOf(err error) (primary, extended int) {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return 0, 0
	}
	return e.Code() & 0xff, e.Code()
}

func isBusy(err error) bool {
	code, _ := codeOf(err)
	return code == codeBusy || code == codeLocked
}

// fault wraps an error on its way out of the package.
func fault(what string, err error) error {
	if err == nil {
		return nil
	}
	for _, own := range []error{
		context.Canceled, context.DeadlineExceeded, usage.ErrClosed, usage.ErrInvalid, usage.ErrScope, usage.ErrHeld, usage.ErrCheckpoint,
		usage.ErrTooLarge, usage.ErrNotFound, usage.ErrTaskExists, usage.ErrTaskChanged, usage.ErrUnavailable,
	} {
		if errors.Is(err, own) {
			return fmt.Errorf("sqlitestore: %s: %w", what, err)
		}
	}
	if condition := (*filter.Error)(nil); errors.As(err, &condition) {
		return fmt.Errorf("sqlitestore: %s: %w", what, err)
	}
	primary, extended := codeOf(err)
	kind := usage.ErrUnavailable
	switch {
	case primary == codeTooBig:
		return fmt.Errorf("sqlitestore: %s: %w: %w", what, usage.ErrTooLarge, err)
	case errors.Is(err, ErrDamaged), errors.Is(err, ErrSchema), errors.Is(err, ErrReadOnly):
		return fmt.Errorf("sqlitestore: %s: %w: %w", what, kind, err)
	case errors.Is(err, chunk.ErrDamaged), primary == codeCorrupt, primary == codeNotADB:
		return fmt.Errorf("sqlitestore: %s: %w: %w: %w", what, kind, ErrDamaged, err)
	case primary == codeBusy, primary == codeLocked:
		return fmt.Errorf("sqlitestore: %s: %w: %w: %w", what, kind, ErrLocked, err)
	case primary == codeReadOnly:
		return fmt.Errorf("sqlitestore: %s: %w: %w: %w", what, kind, ErrReadOnly, err)
	case primary == codeFull, extended == codeShmSize:
		return fmt.Errorf("sqlitestore: %s: %w: %w: %w", what, kind, ErrFull, err)
	}
	return fmt.Errorf("sqlitestore: %s: %w: %w", what, kind, err)
}

// damaged returns the error of something that the file should not hold.
func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}
