package usage

import (
	"context"
	"fmt"
	"time"
)

// Settled returns nil once the book is settled up to t: no record is booked any
// more with Recorded before t, so what was is complete. It is for callers that
// fix a moment first (with [Book.Present]) and read ranges of recorded time as
// of it afterwards; a Query whose range on recorded time has ended sees to it by
// itself, and so does one with AsOf.Time.
//
// t is at most the book's time, else ErrInvalid. A store may have to wait for
// writers that are about to book; it waits no longer than ctx allows, and the
// error is then that of ctx. Other errors are those of the store.
func (b *Book) Settled(ctx context.Context, t time.Time) error {
	if now := b.now(); t.After(now) {
		return fmt.Errorf("usage: settled: %w: %s is in the future, the book's time is %s", ErrInvalid,
			t.Format(time.RFC3339Nano), now.Format(time.RFC3339Nano))
	}
	if err := b.settle(ctx, t); err != nil {
		return fmt.Errorf("usage: settled: %w", err)
	}
	return nil
}

func (b *Book) settle(ctx context.Context, t time.Time) error {
	if !t.After(minTime) {
		return ctx.Err() // before anything
	}
	_, err := b.store.Checkpoint(ctx, AsOf{Time: ceilMicro(t).UTC()})
	return err
}
