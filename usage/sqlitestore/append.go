package sqlitestore

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/usagebook/usagebook/usage"
)

// Append books a batch; see [usage.Store] for the rules. Batches of callers that
// come while another one is being written are booked together in the next
// transaction, with one wait for the disk.
//
// A call whose context ends while its batch is being written waits for the end,
// which takes milliseconds, and returns what became of it.
func (s *Store) Append(ctx context.Context, b *usage.Batch) ([]usage.ReceiptEntry, error) {
	if b == nil {
		return nil, fault("append", fmt.Errorf("%w: no batch", usage.ErrInvalid))
	}
	j := &job{ctx: ctx, batch: b, done: make(chan struct{})}
	s.queue.put(j)
	err := s.pool.write(ctx, func(c *conn) error {
		for {
			select {
			case <-j.done: // another caller booked it
				return nil
			default:
			}
			if err := s.bookNext(ctx, c); err != nil {
				return err
			}
		}
	})
	if err != nil && s.queue.drop(j) {
		return nil, fault("append", err)
	}
	// It was taken: by this call, or by one that is booking it now.
	<-j.done
	return j.out, fault("append", j.err)
}

// errJudgeFirst: records were written that Judge does not want booked.
var errJudgeFirst = errors.New("judge first")

// bookNext books the batches that are next in the queue. An error means that none
// was taken.
func (s *Store) bookNext(ctx context.Context, c *conn) error {
	var jobs []*job
	// Should booking panic, only this caller does: the others are told.
	defer func() { finish(jobs, errPanicked) }()
	err := s.book(ctx, c, func() []*job {
		jobs = s.queue.take()
		return jobs
	})
	if jobs == nil {
		return err
	}
	if errors.Is(err, errJudgeFirst) {
		for _, j := range jobs {
			j.judgeFirst = true
		}
		err = s.book(background, c, func() []*job { return jobs })
	}
	if err == nil || len(jobs) == 1 {
		finish(jobs, err)
		return nil
	}
	// One of them may have spoilt it for all: each gets a transaction of its own.
	for _, j := range jobs {
		j.judgeFirst = true
		alone := []*job{j}
		finish(alone, s.book(background, c, func() []*job { return alone }))
	}
	return nil
}

// book books batches in one transaction.
func (s *Store) book(ctx context.Context, c *conn, jobs func() []*job) error {
	w := newWriter(s)
	err := transact(ctx, c, func() error { return w.book(c, jobs()) })
	if err == nil {
		w.committed()
	}
	return err
}

// errPanicked: another caller that was booking the batch panicked.
var errPanicked = errors.New("a panic while the batch was booked")

// finish wakes the callers of batches, those that it did not wake before.
func finish(jobs []*job, err error) {
	for _, j := range jobs {
		if j.finished {
			continue
		}
		j.finished = true
		if err != nil {
			j.out, j.err = nil, err
		}
		close(j.done)
	}
}

// writer books batches in one transaction.
type writer struct {
	s     *Store
	c     *conn
	names *coiner
	next  int64 // sequence
	floor int64
	log   logWriter

	// Of the record before, which the next one mostly has in common with it.
	tenant, source, meter string
	pair, owner           int64
	verdict               usage.Verdict
	verdictCode           int64

	key, data, name []byte // scratch
	insert          driver.StmtExecContext
	named           [5]driver.NamedValue
}

func newWriter(s *Store) *writer { return &writer{s: s, names: newCoiner(s.names)} }

func (w *writer) committed() {
	w.names.committed()
	w.s.learn(w.next - 1)
}

const insertRecord = "INSERT INTO usagebook_records (pair, start, seq, id, data) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"

// book judges batches and writes what is to be booked of them, one after the
// other.
func (w *writer) book(c *conn, jobs []*job) error {
	w.c = c
	var last logEntry
	if _, err := c.one(background, "SELECT first, records, recorded, crc FROM usagebook_log ORDER BY first DESC LIMIT 1", nil, func(r *rows) { last = readLog(r, 0) }); err != nil {
		return err
	}
	var err error
	w.next = last.first + last.records
	if w.next == 0 {
		w.next = 1
	}
	if w.floor, err = floor(background, c, &last); err != nil {
		return err
	}
	insert, err := c.prepare(background, insertRecord)
	if err != nil {
		return err
	}
	w.insert = insert.(driver.StmtExecContext)
	for _, j := range jobs {
		if j.ctx.Err() != nil {
			// It is as good as never sent.
			j.out, j.err = nil, j.ctx.Err()
			continue
		}
		if err := w.batch(j); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) batch(j *job) error {
	b := j.batch
	recorded := max(b.Now().UnixMicro(), w.floor)
	first := w.next
	w.log.entry = logEntry{recorded: recorded}
	var out []usage.ReceiptEntry
	var err error
	if !j.judgeFirst && isPlain(b) {
		out, err = w.writeThenJudge(b)
	} else {
		out, err = w.judgeThenWrite(b)
	}
	if err != nil {
		return err
	}
	if err := w.log.flush(background, w.c); err != nil {
		return err
	}
	if w.next > first {
		w.floor = recorded
	}
	at := instant(recorded)
	for i := range out {
		if out[i].Outcome == usage.Inserted {
			out[i].Sequence, out[i].Recorded = uint64(first), at
			first++
		}
	}
	j.out = out
	return nil
}

// isPlain reports whether all records of a batch are booked unless their identity
// is booked already.
func isPlain(b *usage.Batch) bool {
	for i := range b.Len() {
		if e := b.At(i); e.Anonymous || e.Malformed || len(e.Violations) > 0 || e.Record.Corrects != nil {
			return false
		}
	}
	return true
}

// writeThenJudge writes the records and lets the unique index of identities say
// which of them are booked already: nearly always none, and then nothing need be
// looked up.
func (w *writer) writeThenJudge(b *usage.Batch) ([]usage.ReceiptEntry, error) {
	l := ledger{w: w, written: make([]bool, b.Len()), batch: b}
	for i := range b.Len() {
		var err error
		if l.written[i], _, err = w.write(b.At(i)); err != nil {
			return nil, err
		}
	}
	out := b.Judge(&l)
	if l.err != nil {
		return nil, l.err
	}
	for i := range out {
		if l.written[i] != (out[i].Outcome == usage.Inserted) {
			return nil, errJudgeFirst // of all or nothing, it is to be nothing
		}
	}
	return out, nil
}

func (w *writer) judgeThenWrite(b *usage.Batch) ([]usage.ReceiptEntry, error) {
	l := ledger{w: w, batch: b}
	out := b.Judge(&l)
	if l.err != nil {
		return nil, l.err
	}
	for i := range out {
		if out[i].Outcome != usage.Inserted {
			continue
		}
		e := b.At(i)
		written, at, err := w.write(e)
		if err != nil {
			return nil, err
		}
		if !written {
			return nil, damaged("an identity that was not found is booked")
		}
		if e.Record.Corrects != nil {
			if err := w.correct(&e.Record, at); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// write books a record unless its identity is booked.
func (w *writer) write(e *usage.Entry) (written bool, at place, err error) {
	r := &e.Record
	if r.Tenant != w.tenant || r.Meter != w.meter || w.pair == 0 {
		w.name = appendPair(w.name[:0], r.Tenant, r.Meter)
		if w.pair, err = w.names.code(background, w.c, w.name); err != nil {
			return false, at, err
		}
		w.meter = r.Meter
	}
	if r.Tenant != w.tenant || r.Source != w.source || w.owner == 0 {
		w.name = appendOwner(w.name[:0], r.Tenant, r.Source)
		if w.owner, err = w.names.code(background, w.c, w.name); err != nil {
			return false, at, err
		}
		w.tenant, w.source = r.Tenant, r.Source
	}
	if e.Verdict != w.verdict || w.verdictCode == 0 {
		w.name = appendVerdict(w.name[:0], &e.Verdict)
		if w.verdictCode, err = w.names.code(background, w.c, w.name); err != nil {
			return false, at, err
		}
		w.verdict = e.Verdict
	}
	series, err := w.names.seriesCode(background, w.c, w.pair, &r.Dimensions)
	if err != nil {
		return false, at, err
	}
	w.name = appendShape(w.name[:0], &r.Values)
	shape, err := w.names.code(background, w.c, w.name)
	if err != nil {
		return false, at, err
	}
	at = place{w.pair, startOf(r), w.next}
	w.key = appendIdentity(w.key[:0], w.owner, r.ID)
	w.data = appendContent(w.data[:0], at, w.key, series, w.verdictCode, shape, r)
	w.named = [5]driver.NamedValue{
		{Ordinal: 1, Value: at.pair}, {Ordinal: 2, Value: at.start}, {Ordinal: 3, Value: at.seq}, {Ordinal: 4, Value: w.key}, {Ordinal: 5, Value: w.data},
	}
	result, err := w.insert.ExecContext(background, w.named[:])
	if err != nil {
		return false, at, err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return false, at, err
	}
	w.next++
	return true, at, w.log.add(background, w.c, at)
}

// correct notes a correction and that its target is corrected.
func (w *writer) correct(r *usage.Record, at place) error {
	c := r.Corrects
	key, err := w.keyOf(usage.Identity{Tenant: r.Tenant, Source: c.Source, ID: c.ID})
	if err != nil {
		return err
	}
	target, found, err := findRecord(background, w.c, key)
	if err != nil {
		return err
	}
	if !found {
		return damaged("the target of record %d is gone", at.seq) // the judge found it
	}
	own := chain{place: at, since: at.seq, kind: c.Kind, target: key}
	if err := own.write(w.c); err != nil {
		return err
	}
	of, found, err := findChain(background, w.c, target.place)
	if err != nil {
		return err
	}
	if !found {
		of = chain{place: target.place, since: at.seq}
	}
	of.by, of.byKind, of.byID = at.seq, c.Kind, append([]byte(nil), w.key...)
	return of.write(w.c)
}

// keyOf returns the key of an identity, nil when its tenant and source have no
// record.
func (w *writer) keyOf(id usage.Identity) ([]byte, error) {
	name := appendOwner(nil, id.Tenant, id.Source)
	code, ok := w.names.fresh[string(name)]
	if !ok {
		var err error
		if code, err = w.names.find(background, w.c, name); err != nil || code == 0 {
			return nil, err
		}
	}
	return appendIdentity(nil, code, id.ID), nil
}
