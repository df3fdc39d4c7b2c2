package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/usagebook/usagebook/usage"
)

// booking books the lines of an input in batches.
type booking struct {
	book    *usage.Book
	mapping *mapping
	// batch is the number of records in one Append.
	batch int
	// refused is told of every line that is not booked, in the order of lines.
	refused func(refusal) error
}

// refusal is a line that is not in the book.
type refusal struct {
	line int
	id   string
	// outcome is "unreadable", or what the book said: "rejected" or "conflict".
	outcome    string
	violations []usage.Violation
}

const unreadable = "unreadable"

// tally counts what became of lines.
type tally struct {
	lines, booked, duplicates, refused int
}

// run books every line. The error is of the input or of the store; lines that
// are refused are no error.
func (b *booking) run(ctx context.Context, lines lineReader) (tally, error) {
	var t tally
	records := make([]usage.Record, 0, b.batch)
	numbers := make([]int, 0, b.batch)
	var pending []refusal
	flush := func() error {
		refused, err := b.append(ctx, records, numbers, &t)
		if err != nil {
			return err
		}
		pending = append(pending, refused...)
		slices.SortStableFunc(pending, func(x, y refusal) int { return cmp.Compare(x.line, y.line) })
		t.refused += len(pending)
		for _, r := range pending {
			if err := b.refused(r); err != nil {
				return err
			}
		}
		records, numbers, pending = records[:0], numbers[:0], pending[:0]
		return nil
	}
	for {
		l, err := lines.next()
		var bad *badLine
		switch {
		case err == io.EOF:
			return t, flush()
		case errors.As(err, &bad):
		case err != nil:
			return t, errors.Join(err, flush())
		default:
			var r usage.Record
			if r, bad = b.mapping.record(l); bad == nil {
				records = append(records, r)
				numbers = append(numbers, l.number)
			}
		}
		t.lines++
		if bad != nil {
			pending = append(pending, refusal{bad.number, "", unreadable, bad.violations})
		}
		if len(records)+len(pending) >= b.batch {
			if err := flush(); err != nil {
				return t, err
			}
		}
	}
}

// append books one batch and returns the lines that were refused.
func (b *booking) append(ctx context.Context, records []usage.Record, numbers []int, t *tally) ([]refusal, error) {
	if len(records) == 0 {
		return nil, ctx.Err()
	}
	receipt, err := b.book.Append(ctx, records...)
	// An AppendError says that some records were not booked, and why; the rest
	// of the batch is. Any other error says that the call failed.
	var failed *usage.AppendError
	if err != nil && !errors.As(err, &failed) {
		return nil, fmt.Errorf("lines %d to %d: %w", numbers[0], numbers[len(numbers)-1], err)
	}
	t.booked += receipt.Inserted
	t.duplicates += receipt.Duplicates
	var refused []refusal
	if failed != nil {
		for _, f := range failed.Failures {
			refused = append(refused, refusal{numbers[f.Index], f.Identity.ID, f.Outcome.String(), f.Violations})
		}
	}
	return refused, nil
}
