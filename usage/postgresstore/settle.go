package postgresstore

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"github.com/usagebook/usagebook/usage"
)

// How records get their place in the book.
//
// A number that is drawn inside a transaction says nothing of the order of
// commits: a reader that has seen 10 may see 9 appear later. So an append draws
// none. It books a row in batches, and whoever needs to know how far the book is
// settles it first: under the lock of the one row of state, in a statement whose
// snapshot is taken under that lock, it gives every batch that it sees and that
// has no place the next ones, in the order of ids. A batch that is committed
// later is settled later, behind all that is settled by then, and nobody waits
// for a transaction that is still open.
//
// Ids are drawn one by one when a batch is booked, so that a correction, which is
// booked after its target was seen, has the higher one and gets the later place
// even when one settling gives both of them theirs.

// settleMost is how many batches one transaction settles. Others wait for it.
const settleMost = 10_000

// settleSQL settles the batches that it sees. Its argument is the instant up to
// which the book is to be settled: what is settled after it is recorded then or
// later.
const settleSQL = `WITH s AS (SELECT * FROM {s}.state WHERE one),
u AS (SELECT id, now, width, corrections, since, until FROM {s}.batches WHERE late AND through = ` + unsettled + ` ORDER BY id LIMIT 10000),
w AS (SELECT u.id,
		s.through + sum(u.width) OVER o - u.width AS base,
		s.through + sum(u.width) OVER o AS through,
		greatest(s.recorded, s.floor, max(u.now) OVER o) AS recorded,
		greatest(s.most, u.id) AS most,
		u.id < s.most AS late,
		s.corrections + sum(u.corrections) OVER o AS total,
		least(s.since, min(u.since) OVER o) AS first,
		greatest(s.until, max(u.until) OVER o) AS last
	FROM u CROSS JOIN s WINDOW o AS (ORDER BY u.id)),
done AS (UPDATE {s}.batches b SET base = w.base, through = w.through, recorded = w.recorded, most = w.most, late = w.late,
		total = w.total, first = w.first, last = w.last
	FROM w WHERE b.id = w.id),
e AS (SELECT count(*) AS n, max(through) AS through, max(recorded) AS recorded, max(most) AS most, max(total) AS total, min(first) AS first, max(last) AS last FROM w)
UPDATE {s}.state t SET
	through = coalesce(e.through, t.through), recorded = coalesce(e.recorded, t.recorded), floor = greatest(t.floor, $1::bigint),
	most = coalesce(e.most, t.most), corrections = coalesce(e.total, t.corrections),
	since = coalesce(e.first, t.since), until = coalesce(e.last, t.until)
FROM e WHERE t.one RETURNING e.n::text`

// settler has the calls of this process settle one at a time, and those that
// waited take what was begun after they came for their own.
type settler struct {
	begun atomic.Int64
	turn  chan struct{} // holds one while somebody settles, who owns what follows
	done  int64         // the newest one that ended well
	floor int64         // the latest instant up to which one of them has settled
}

// settle settles all that was committed before the call, and the book up to an
// instant.
func (s *Store) settle(ctx context.Context, upTo int64) error {
	t := &s.settler
	came := t.begun.Load()
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-t.turn }()
	if t.done > came && upTo <= t.floor {
		return nil
	}
	number := t.begun.Add(1)
	for {
		var n int
		err := retry(ctx, func() (err error) {
			n, err = s.settleOnce(ctx, upTo)
			return err
		})
		if err != nil {
			return err
		}
		if n < settleMost {
			t.done, t.floor = number, max(t.floor, upTo)
			return nil
		}
	}
}

func (s *Store) settleOnce(ctx context.Context, upTo int64) (n int, err error) {
	list := []statement{
		// Another isolation level would take the snapshot before the lock.
		{sql: "BEGIN ISOLATION LEVEL READ COMMITTED"},
		{sql: s.sql.lockState},
		{sql: s.sql.settle, args: []any{upTo}},
		{sql: "COMMIT"},
	}
	err = pgxSession{s.pool}.run(ctx, list, func(i int, c [][]byte) error {
		if i == 2 {
			count, err := parseInt(c[0])
			n = int(count)
			return err
		}
		return nil
	})
	return n, err
}

// moment is what a mark means: the batch that holds it, and what is true up to
// it. It never changes.
type moment struct {
	mark     uint64
	batch    int64 // 0: before all batches
	base     int64
	through  int64
	recorded int64
	most     int64 // no batch up to here has a greater id
	// corrections up to the end of the batch, and up to its beginning.
	corrections, before int64
	first, last         int64 // of the starts of records that have one
	starts              bool
}

// ord is the last ord of the batch that the mark takes in.
func (m *moment) ord() int64 { return int64(m.mark) - m.base }

// whole reports whether the mark takes in all of its batch.
func (m *moment) whole() bool { return int64(m.mark) >= m.through }

// momentColumns are what moment reads of a row of batches.
const momentColumns = `b.id, b.base, b.through, b.recorded, b.most, b.total, b.total - b.corrections, b.first, b.last`

const momentColumnCount = 9

func readMoment(c [][]byte) (m moment) {
	if c[0] == nil {
		return m
	}
	m = moment{batch: integer(c[0]), base: integer(c[1]), through: integer(c[2]), recorded: integer(c[3]), most: integer(c[4]),
		corrections: integer(c[5]), before: integer(c[6])}
	if c[7] != nil {
		m.first, m.last, m.starts = integer(c[7]), integer(c[8]), true
	}
	return m
}

// lookSQL tells how far the book is: whether something waits to be settled, the
// state, the newest batch of those that the condition selects by $1 (cut at the
// sequence $2), the newest held checkpoint up to there with its batch, and the
// newest of all. $3 is a checkpoint whose coverage need not be sent. That there is
// one row of state and one of tip is said so that the planner knows.
func lookSQL(condition string) string {
	return `SELECT EXISTS (SELECT FROM {s}.batches WHERE late AND through = ` + unsettled + `), s.floor, s.recorded, ` + momentColumns + `,
	c.at, CASE WHEN c.at IS DISTINCT FROM $3 THEN c.coverage END, t.latest, k.*
FROM (SELECT * FROM {s}.state WHERE one) s CROSS JOIN (SELECT * FROM {s}.tip WHERE one) t
LEFT JOIN LATERAL (SELECT * FROM {s}.batches b WHERE ` + condition + `) b ON true
LEFT JOIN LATERAL (SELECT * FROM {s}.checkpoints c WHERE c.at <= least($2, b.through) ORDER BY c.at DESC LIMIT 1) c ON true
LEFT JOIN LATERAL (SELECT ` + momentColumns + ` FROM {s}.batches b WHERE b.base < c.at ORDER BY b.base DESC LIMIT 1) k ON true`
}

// look is the answer to lookSQL.
type look struct {
	unsettled       bool
	floor, recorded int64
	moment          moment
	checkpoint      int64 // 0: none
	coverage        []byte
	latest          int64
}

type coverage struct {
	at   int64
	data []byte
}

func (s *Store) look(ctx context.Context, sequence, at int64) (*look, error) {
	sql, first := s.sql.look, sequence
	if at != math.MaxInt64 {
		sql, first = s.sql.lookAtTime, at
	}
	known := s.coverage.Load()
	if known == nil {
		known = &coverage{at: -1}
	}
	var out *look
	err := s.read(ctx, sql, []any{first, sequence, known.at}, func(c [][]byte) error {
		l := &look{unsettled: c[0][0] != 0, floor: integer(c[1]), recorded: integer(c[2]), moment: readMoment(c[3:])}
		c = c[3+momentColumnCount:]
		l.latest = integer(c[2])
		if c[0] != nil {
			if l.checkpoint = integer(c[0]); l.checkpoint == known.at {
				l.coverage = known.data
			} else {
				l.coverage = append([]byte{}, c[1]...)
				s.coverage.Store(&coverage{l.checkpoint, l.coverage})
			}
			if k := readMoment(c[3:]); k.batch != 0 {
				k.mark = uint64(l.checkpoint)
				s.moments.Put(k.mark, k)
			}
		}
		out = l
		return nil
	})
	if err == nil && out == nil {
		err = damaged("there is no state")
	}
	return out, err
}

// Checkpoint tells how far the store is; see [usage.Store] for the rules. What
// was committed and has no Sequence yet gets it here. That waits for others that
// settle at the same time and for no transaction of a host's.
func (s *Store) Checkpoint(ctx context.Context, at usage.AsOf) (usage.State, error) {
	state, err := s.checkpoint(ctx, at)
	if err != nil {
		return usage.State{}, fault("checkpoint", err)
	}
	if at.IsZero() {
		s.assumed.told(&state)
	}
	return state, nil
}

func (s *Store) checkpoint(ctx context.Context, at usage.AsOf) (usage.State, error) {
	var out usage.State
	if err := s.alive(ctx); err != nil {
		return out, err
	}
	sequence, instant := int64(math.MaxInt64), int64(math.MaxInt64)
	if at.Sequence != 0 {
		sequence = int64(min(at.Sequence, math.MaxInt64))
	}
	if !at.Time.IsZero() {
		instant = ceilMicro(at.Time)
	}
	l, err := s.look(ctx, sequence, instant)
	if err != nil {
		return out, err
	}
	floor := int64(math.MinInt64)
	if instant != math.MaxInt64 && instant > max(l.floor, l.recorded) {
		floor = instant
	}
	if l.unsettled || floor != math.MinInt64 {
		if err := s.settle(ctx, floor); err != nil {
			return out, err
		}
		if l, err = s.look(ctx, sequence, instant); err != nil {
			return out, err
		}
	}
	if instant != math.MaxInt64 && l.moment.batch != 0 && sequence <= l.moment.base {
		// Both were asked for, and the sequence is the earlier moment.
		if l, err = s.look(ctx, sequence, math.MaxInt64); err != nil {
			return out, err
		}
	}
	m := l.moment
	out.Latest = uint64(l.latest)
	if m.batch == 0 {
		return out, nil
	}
	m.mark = uint64(min(sequence, m.through))
	s.moments.Put(m.mark, m)
	out.Mark.Sequence, out.Recorded = m.mark, time.UnixMicro(m.recorded).UTC()
	out.Checkpoint, out.Coverage = uint64(l.checkpoint), append([]byte{}, l.coverage...)
	return out, nil
}

// ceilMicro returns the first microsecond that is not before t.
func ceilMicro(t time.Time) int64 {
	us := t.UnixMicro()
	if t.Nanosecond()%1000 != 0 {
		us++
	}
	return us
}

// at returns what a mark means.
func (s *Store) at(ctx context.Context, mark uint64) (moment, error) {
	if mark == 0 {
		return moment{}, nil
	}
	if m, ok := s.moments.Get(mark); ok {
		return m, nil
	}
	var m moment
	err := s.read(ctx, s.text("SELECT "+momentColumns+" FROM {s}.batches b WHERE b.base < $1 ORDER BY b.base DESC LIMIT 1"), []any{int64(min(mark, math.MaxInt64))}, func(c [][]byte) error {
		m = readMoment(c)
		return nil
	})
	if err != nil || m.batch == 0 {
		return m, err
	}
	if mark > uint64(m.through) {
		// It lies ahead of the book, which may grow: not to be remembered.
		m.mark = uint64(m.through)
		return m, nil
	}
	m.mark = mark
	s.moments.Put(mark, m)
	return m, nil
}
