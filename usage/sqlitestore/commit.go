package sqlitestore

import (
	"context"
	"database/sql/driver"
	"fmt"
	"math"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/internal/chunk"
)

// chunkPlace is the key of a row of usagebook_rollups.
type chunkPlace struct{ kind, pair, span, series int64 }

// chunkSum is the checksum of a row. The chunk has one of its own; here it is
// bound to the place.
func chunkSum(data []byte, at chunkPlace, until int64) int64 {
	return int64(sumOf(data, at.kind, at.pair, at.span, at.series, until))
}

// Commit moves the checkpoint; see [usage.Store] for the rules.
func (s *Store) Commit(ctx context.Context, c *usage.Commit) error {
	if c.To <= c.From || c.To > math.MaxInt64 {
		return fault("commit", fmt.Errorf("%w: the new checkpoint %d is not above %d", usage.ErrInvalid, c.To, c.From))
	}
	placed := chunk.Group(c.Put)
	err := s.pool.write(ctx, func(cn *conn) error {
		w := committer{c: cn, ctx: ctx, names: newCoiner(s.names), commit: c}
		err := transact(ctx, cn, func() error { return w.run(placed) })
		if err == nil {
			w.names.committed()
		}
		return err
	})
	return fault("commit", err)
}

// committer is a commit under way, in its transaction.
type committer struct {
	c      *conn
	ctx    context.Context
	names  *coiner
	commit *usage.Commit
	name   []byte // scratch
}

func (w *committer) run(placed []chunk.Placed) error {
	c := w.commit
	latest, err := checkpointUpTo(w.ctx, w.c, math.MaxInt64)
	if err != nil {
		return err
	}
	if uint64(latest.at) != c.From {
		return fmt.Errorf("%w: it is at %d, not at %d", usage.ErrCheckpoint, latest.at, c.From)
	}
	for i := range placed {
		if err := w.put(&placed[i]); err != nil {
			return err
		}
	}
	if latest.at != 0 {
		us := c.Now.UnixMicro()
		latest.replacedAt = &us
		if err := w.hold(&latest); err != nil {
			return err
		}
	}
	if err := w.hold(&heldCheckpoint{at: int64(c.To), coverage: c.Coverage}); err != nil {
		return err
	}
	return w.expire()
}

func (w *committer) hold(h *heldCheckpoint) error {
	var replacedAt driver.Value
	if h.replacedAt != nil {
		replacedAt = *h.replacedAt
	}
	_, err := w.c.exec(w.ctx, "INSERT OR REPLACE INTO usagebook_checkpoints (at, replaced_at, coverage, crc) VALUES (?, ?, ?, ?)", h.at, replacedAt, h.coverage, h.sum())
	return err
}

// put puts the rows of one chunk.
func (w *committer) put(p *chunk.Placed) (err error) {
	at := chunkPlace{span: p.Span}
	if at.kind, err = w.code(appendRollup(w.name[:0], p.Projection, p.Level)); err != nil {
		return err
	}
	if at.pair, err = w.code(appendPair(w.name[:0], p.Tenant, p.Meter)); err != nil {
		return err
	}
	if at.series, err = w.names.seriesCode(w.ctx, w.c, at.pair, &p.Dimensions); err != nil {
		return err
	}
	var now chunk.Chunk
	var data []byte
	var sum int64
	found, err := w.c.one(w.ctx, "SELECT data, crc FROM usagebook_rollups WHERE kind = ? AND pair = ? AND span = ? AND series = ?",
		[]driver.Value{at.kind, at.pair, at.span, at.series}, func(r *rows) { data, sum = r.blob(0), r.int(1) })
	if err != nil {
		return err
	}
	if found {
		if err := decodeChunk(&now, data, sum, at, 0); err != nil {
			return err
		}
	}
	replaced := now.Apply(p.Put, w.commit.To)
	switch {
	case len(now.Rows) > 0:
		data = now.AppendBinary(data[:0])
		_, err = w.c.exec(w.ctx, "INSERT OR REPLACE INTO usagebook_rollups (kind, pair, span, series, data, crc) VALUES (?, ?, ?, ?, ?, ?)",
			at.kind, at.pair, at.span, at.series, data, chunkSum(data, at, 0))
	case found:
		_, err = w.c.exec(w.ctx, "DELETE FROM usagebook_rollups WHERE kind = ? AND pair = ? AND span = ? AND series = ?", at.kind, at.pair, at.span, at.series)
	}
	if err != nil || len(replaced.Rows) == 0 {
		return err
	}
	until := int64(w.commit.To)
	data = replaced.AppendBinary(nil)
	_, err = w.c.exec(w.ctx, "INSERT INTO usagebook_replaced (kind, pair, span, series, until, data, crc) VALUES (?, ?, ?, ?, ?, ?, ?)",
		at.kind, at.pair, at.span, at.series, until, data, chunkSum(data, at, until))
	return err
}

func (w *committer) code(name []byte) (int64, error) {
	w.name = name
	return w.names.code(w.ctx, w.c, name)
}

// expire drops checkpoints that need not be held any more, and the rows that only
// they could read.
func (w *committer) expire() error {
	r, err := w.c.query(w.ctx, "SELECT at, replaced_at, coverage, crc FROM usagebook_checkpoints ORDER BY at")
	if err != nil {
		return err
	}
	oldest, drop := int64(0), int64(0)
	for r.next() {
		h := readCheckpoint(r, 0)
		if h.replacedAt == nil || w.commit.Now.Before(instant(*h.replacedAt).Add(w.commit.Hold)) {
			oldest = h.at
			break
		}
		drop = h.at
	}
	if err := r.close(); err != nil || drop == 0 {
		return err
	}
	if _, err := w.c.exec(w.ctx, "DELETE FROM usagebook_checkpoints WHERE at <= ?", drop); err != nil {
		return err
	}
	_, err = w.c.exec(w.ctx, "DELETE FROM usagebook_replaced WHERE until <= ?", oldest)
	return err
}

func decodeChunk(to *chunk.Chunk, data []byte, sum int64, at chunkPlace, until int64) error {
	if sum != chunkSum(data, at, until) {
		return damaged("the checksum of rollups %v is wrong", at)
	}
	return to.Decode(data)
}
