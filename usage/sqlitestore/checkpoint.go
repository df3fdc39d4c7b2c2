package sqlitestore

import (
	"context"
	"database/sql/driver"
	"math"

	"github.com/usagebook/usagebook/usage"
)

// Checkpoint tells how far the store is; see [usage.Store] for the rules. With
// both a time and a sequence the earlier of the two moments is meant. A time that
// nobody asked about before is written down, which takes a commit.
func (s *Store) Checkpoint(ctx context.Context, at usage.AsOf) (usage.State, error) {
	if !at.Time.IsZero() {
		if err := s.settle(ctx, ceilMicro(at.Time)); err != nil {
			return usage.State{}, fault("checkpoint", err)
		}
	}
	var state usage.State
	err := s.pool.read(ctx, func(c *conn) (err error) {
		state, err = s.state(ctx, c, at)
		return err
	})
	return state, fault("checkpoint", err)
}

func (s *Store) state(ctx context.Context, c *conn, at usage.AsOf) (state usage.State, err error) {
	// The newest of both at once: it is nearly always what is asked for.
	const newest = "SELECT l.first, l.records, l.recorded, l.crc, c.at, c.replaced_at, c.coverage, c.crc" +
		" FROM usagebook_log l LEFT JOIN usagebook_checkpoints c ON c.at = (SELECT max(at) FROM usagebook_checkpoints)" +
		" WHERE l.first = (SELECT max(first) FROM usagebook_log)"
	var l logEntry
	var held heldCheckpoint
	found, err := c.one(ctx, newest, nil, func(r *rows) {
		if l = readLog(r, 0); !r.null(4) {
			held = readCheckpoint(r, 4)
		}
	})
	if err == nil && !found { // nothing is booked
		held, err = checkpointUpTo(ctx, c, math.MaxInt64)
	}
	if err != nil {
		return state, err
	}
	state.Latest = uint64(held.at)
	if l.records > 0 {
		s.learn(l.last())
	}
	if !at.Time.IsZero() {
		if l, err = bookedBefore(ctx, c, ceilMicro(at.Time)); err != nil {
			return state, err
		}
	}
	mark := int64(0)
	if l.records > 0 {
		mark = l.last()
	}
	if at.Sequence != 0 && at.Sequence < uint64(mark) {
		mark = int64(at.Sequence)
		if l, _, err = entryOf(ctx, c, mark); err != nil {
			return state, err
		}
	}
	if mark > 0 {
		state.Mark.Sequence, state.Recorded = uint64(mark), instant(l.recorded)
	}
	if held.at > mark {
		if held, err = checkpointUpTo(ctx, c, mark); err != nil {
			return state, err
		}
	}
	state.Checkpoint, state.Coverage = uint64(held.at), held.coverage
	return state, nil
}

// settle has nothing booked before an instant any more.
func (s *Store) settle(ctx context.Context, us int64) error {
	var settled bool
	look := func(c *conn) error {
		var l logEntry
		if _, err := c.one(ctx, "SELECT first, records, recorded, crc FROM usagebook_log ORDER BY first DESC LIMIT 1", nil, func(r *rows) { l = readLog(r, 0) }); err != nil {
			return err
		}
		f, err := floor(ctx, c, &l)
		settled = us <= f
		return err
	}
	if err := s.pool.read(ctx, look); err != nil || settled {
		return err
	}
	return s.pool.write(ctx, func(c *conn) error {
		return transact(ctx, c, func() error {
			if err := look(c); err != nil || settled {
				return err
			}
			return setFloor(ctx, c, us)
		})
	})
}

// heldCheckpoint is a row of usagebook_checkpoints.
type heldCheckpoint struct {
	at         int64
	replacedAt *int64 // nil: it is the newest
	coverage   []byte
}

func (h *heldCheckpoint) sum() int64 {
	if h.replacedAt == nil {
		return int64(sumOf(h.coverage, h.at))
	}
	return int64(sumOf(h.coverage, h.at, *h.replacedAt))
}

// readCheckpoint reads at, replaced_at, coverage and crc, from a column on.
func readCheckpoint(r *rows, i int) heldCheckpoint {
	h := heldCheckpoint{at: r.int(i), coverage: r.blob(i + 2)}
	if !r.null(i + 1) {
		us := r.int(i + 1)
		h.replacedAt = &us
	}
	if r.err == nil && r.int(i+3) != h.sum() {
		r.err = damaged("the checksum of checkpoint %d is wrong", h.at)
	}
	return h
}

// checkpointUpTo returns the newest held checkpoint at or below a mark.
func checkpointUpTo(ctx context.Context, c *conn, mark int64) (h heldCheckpoint, err error) {
	_, err = c.one(ctx, "SELECT at, replaced_at, coverage, crc FROM usagebook_checkpoints WHERE at <= ? ORDER BY at DESC LIMIT 1", []driver.Value{mark}, func(r *rows) { h = readCheckpoint(r, 0) })
	return h, err
}
