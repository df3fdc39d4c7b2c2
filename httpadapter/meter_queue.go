package httpadapter

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/usagebook/usagebook/usage"
)

const (
	// After a failed attempt the next one waits meterMinPause, twice as long
	// after each further one, up to meterMaxPause: long enough to let a store
	// come back, short enough that a queue of the default size outlives the
	// last pause at a thousand requests a second.
	meterMinPause = 100 * time.Millisecond
	meterMaxPause = 10 * time.Second

	// meterComplaint is the pause between two log lines on requests that are
	// lost: an overload is not the time to log every request.
	meterComplaint = 10 * time.Second
)

// meterBatch is a run of events of the queue that are booked together. They
// stay in the queue, in their batch, until the book has judged them: what is
// sent again is the same.
type meterBatch struct {
	first  uint64 // the number of the first event
	events []meterEvent
	sealed bool // takes no more events; guarded by the Metered's mu

	// Of who holds sending:
	records  []usage.Record // nil until the first attempt
	attempts int
}

// admit waits for room in the queue. It reports false when the context ends or
// MaxWait has passed before there is any.
func (m *Metered) admit(ctx context.Context) bool {
	timer := time.NewTimer(m.opts.MaxWait)
	defer timer.Stop()
	for {
		// Before looking: room that appears after the look closes it.
		moved := m.nextMove()
		if !m.full.Load() {
			return true
		}
		select {
		case <-moved:
			continue
		case <-ctx.Done():
		case <-timer.C:
		}
		m.mu.Lock()
		m.stats.Refused++
		m.mu.Unlock()
		m.complain("requests are refused: the queue is full")
		return false
	}
}

// nextMove returns a channel that is closed when records leave the queue, or
// the Metered is shut down.
func (m *Metered) nextMove() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.moved == nil {
		m.moved = make(chan struct{})
	}
	return m.moved
}

// moveLocked wakes who waits for room or for records to be booked, and decides
// whether requests have to wait for room.
func (m *Metered) moveLocked() {
	m.full.Store(m.opts.WhenFull == Block && m.stats.Queued >= m.opts.QueueSize && !m.closed)
	if m.moved != nil {
		close(m.moved)
		m.moved = nil
	}
	if m.closed && m.stats.Queued == 0 && !m.ended {
		m.ended = true
		close(m.drained)
	}
}

// enqueue queues an event. It never waits.
func (m *Metered) enqueue(e meterEvent) {
	e.bound()
	if why := m.take(e); why != "" {
		m.complain(why)
	}
}

// take puts an event into the queue, or counts it as dropped and says why.
func (m *Metered) take(e meterEvent) (dropped string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		m.stats.Dropped++
		return "requests are not booked: they ended after Shutdown"
	case m.opts.WhenFull == Drop && m.stats.Queued >= m.opts.QueueSize:
		m.stats.Dropped++
		return "requests are not booked: the queue is full"
	}
	m.taken++
	var b *meterBatch
	if n := len(m.queue); n > 0 {
		b = m.queue[n-1]
	}
	if b == nil || b.sealed {
		room := 16
		if b != nil {
			room = m.opts.BatchSize // the last one is waiting still: there is much to do
		}
		b = &meterBatch{first: m.taken, events: make([]meterEvent, 0, min(room, m.opts.BatchSize))}
		m.queue = append(m.queue, b)
	}
	b.events = append(b.events, e)
	m.stats.Queued++
	if m.opts.WhenFull == Block && m.stats.Queued >= m.opts.QueueSize {
		m.full.Store(true)
	}
	if len(b.events) >= m.opts.BatchSize {
		b.sealed = true
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
	return ""
}

// complain logs a loss, unless one was logged just before.
func (m *Metered) complain(why string) {
	now := m.opts.Now()
	m.mu.Lock()
	due := m.complained.IsZero() || now.Sub(m.complained) >= meterComplaint
	if due {
		m.complained = now
	}
	s := m.stats
	m.mu.Unlock()
	if due { // outside the lock: a logger may do anything
		m.opts.Logger.Error("httpadapter: meter: "+why, "refused", s.Refused, "dropped", s.Dropped, "queued", s.Queued)
	}
}

// seal lets the last batch take no more events and returns the number of the
// last one.
func (m *Metered) seal() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.queue); n > 0 {
		m.queue[n-1].sealed = true
	}
	return m.taken
}

// Run books what is queued, until the context ends or everything is booked
// after [Metered.Shutdown], and then returns nil. It blocks: the host owns the
// goroutine. Without it nothing is booked but by Flush and Shutdown.
//
// A batch whose attempt fails is sent again until it is booked, with pauses of
// up to ten seconds: a record has one identity for ever, so it counts once
// however often it is sent. Records that the book refuses are logged, counted
// and not sent again. What is queued when the context ends stays queued:
// Shutdown, with a context of its own, books it.
func (m *Metered) Run(ctx context.Context) error {
	tick := time.NewTicker(m.opts.FlushInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.drained:
			return nil
		case <-m.wake:
		case <-tick.C:
			m.seal()
		}
		if m.drain(ctx, m.send) != nil {
			return nil // the context has ended; what failed before is logged
		}
	}
}

// Flush books everything that is queued when it is called, and waits for it
// until the context ends. It needs no Run, and may be called beside it. Requests
// that are being served are not queued yet.
//
// An error means that records are still queued, and says how many; it wraps the
// context's error, or usage.ErrClosed, which no waiting cures. Records that the
// book refuses are no error: they are logged and counted.
func (m *Metered) Flush(ctx context.Context) error {
	through := m.seal()
	var last error
	err := m.drain(ctx, func(ctx context.Context) (bool, error) {
		if m.left(through) == 0 {
			return false, nil
		}
		did, err := m.send(ctx)
		last = err
		if errors.Is(err, usage.ErrClosed) {
			return false, nil
		}
		return did, err
	})
	left := m.left(through)
	switch {
	case left == 0:
		return nil
	case err == nil:
		err = last
	case last != nil && !errors.Is(last, err):
		err = fmt.Errorf("%w; the last attempt: %w", err, last)
	}
	return fmt.Errorf("httpadapter: meter: %d records are not booked: %w", left, err)
}

// Shutdown stops taking records, books what is queued as Flush does, and
// returns how many records are still queued, which is not 0 only beside an
// error. These are lost unless Flush or Shutdown is called once more. Requests
// that end after Shutdown has begun are served, not booked and counted as
// dropped, so shut the server down first. Nobody waits for room any more.
func (m *Metered) Shutdown(ctx context.Context) (queued int, err error) {
	m.mu.Lock()
	m.closed = true
	m.moveLocked()
	m.mu.Unlock()
	err = m.Flush(ctx)
	return m.Stats().Queued, err
}

// left returns how many of the records up to a number are still queued.
func (m *Metered) left(through uint64) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	// Batches are booked in the order of the queue, and none spans the number,
	// because seal has ended one there: while any of these records is queued, so
	// are all that came after.
	return max(0, m.stats.Queued-int(m.taken-through))
}

// drain calls send until there is nothing left to send, with pauses after
// failures. Its error is that of the context.
func (m *Metered) drain(ctx context.Context, send func(context.Context) (bool, error)) error {
	for failures := 0; ; {
		// Alone, because select takes any case that is ready.
		if err := ctx.Err(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m.sending <- struct{}{}:
		}
		did, err := func() (bool, error) {
			defer func() { <-m.sending }()
			return send(ctx)
		}()
		switch {
		case err == nil && !did:
			return nil
		case err == nil:
			failures = 0
			continue
		}
		failures++
		moved := m.nextMove()
		timer := time.NewTimer(meterPause(failures))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-moved: // somebody else had more luck
			failures = 0
		}
		timer.Stop()
	}
}

// meterPause is how long to wait after so many failures in a row. A part of it
// is chance, so that processes that lost one store don't come back as one.
func meterPause(failures int) time.Duration {
	d := meterMaxPause
	if failures < 8 { // the eighth doubling is above the highest pause
		d = min(d, meterMinPause<<(failures-1))
	}
	return d/2 + rand.N(d/2+1)
}

// send makes one attempt with the oldest batch. It reports whether there was
// one; an error means that the batch is to be sent again. The caller holds
// sending.
func (m *Metered) send(ctx context.Context) (bool, error) {
	m.mu.Lock()
	var b *meterBatch
	if len(m.queue) > 0 && m.queue[0].sealed {
		b = m.queue[0]
	}
	m.mu.Unlock()
	if b == nil {
		return false, nil
	}
	if b.records == nil {
		m.write(b)
	}
	b.attempts++
	attempt, cancel := context.WithTimeout(ctx, m.opts.Timeout)
	receipt, err := m.book.Append(attempt, b.records...)
	cancel()

	sent := b.records
	next, rejected, again := meterJudge(sent, err)
	booked := len(sent) - rejected
	for _, records := range next {
		booked -= len(records)
	}
	m.settle(next, booked, rejected, again != nil)

	log := m.opts.Logger.With("records", len(sent), "attempt", b.attempts)
	switch {
	case rejected > 0:
		log.ErrorContext(ctx, "httpadapter: meter: records are refused and not booked", "refused", rejected, "error", err)
	case again != nil && ctx.Err() == nil:
		log.WarnContext(ctx, "httpadapter: meter: records could not be booked, trying again", "error", err)
	case booked > 0 && b.attempts > 1:
		log.InfoContext(ctx, "httpadapter: meter: records are booked after failures")
	}
	if m.opts.Observe != nil {
		m.opts.Observe(MeterAttempt{Records: sent, Number: b.attempts, Receipt: receipt, Err: err, Rejected: rejected})
	}
	return true, again
}

// meterJudge decides what an answer of Append means: how many records are given
// up, and which batches take the place of the one that was sent; those that are
// in neither are booked. With again the batch is the same, for later.
func meterJudge(sent []usage.Record, err error) (next [][]usage.Record, rejected int, again error) {
	var refused *usage.AppendError
	switch {
	case err == nil:
		return nil, 0, nil
	case errors.As(err, &refused):
		rest := meterWithout(sent, refused)
		rejected = len(sent) - len(rest)
		switch {
		case refused.Booked || len(rest) == 0:
			return nil, rejected, nil
		case rejected > 0: // all or nothing: the innocent once more, without the others
			return [][]usage.Record{rest}, rejected, nil
		}
	case errors.Is(err, usage.ErrTooLarge), errors.Is(err, usage.ErrInvalid), errors.Is(err, usage.ErrUnsupported):
		// Sending the same again is of no use. Halves lead to the records that
		// are to blame, and let the others pass.
		if len(sent) == 1 {
			return nil, 1, nil
		}
		half := len(sent) / 2
		return [][]usage.Record{sent[:half:half], sent[half:]}, 0, nil
	}
	return [][]usage.Record{sent}, 0, err
}

// meterWithout returns the records that were not refused.
func meterWithout(records []usage.Record, e *usage.AppendError) []usage.Record {
	bad := make(map[int]bool, len(e.Failures))
	for i := range e.Failures {
		bad[e.Failures[i].Index] = true
	}
	rest := make([]usage.Record, 0, len(records))
	for i := range records {
		if !bad[i] {
			rest = append(rest, records[i])
		}
	}
	return rest
}

// write turns the events of a batch into records.
func (m *Metered) write(b *meterBatch) {
	b.records = make([]usage.Record, len(b.events))
	var altered int64
	for i := range b.events {
		r, changed := m.record(&b.events[i], b.first+uint64(i))
		b.records[i] = r
		if changed {
			altered++
		}
	}
	b.events = nil
	if altered > 0 {
		m.mu.Lock()
		m.stats.Altered += altered
		m.mu.Unlock()
	}
}

// settle counts what became of the records of the first batch, and puts what is
// to be sent next in its place.
func (m *Metered) settle(next [][]usage.Record, booked, rejected int, failed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if failed { // the batch stays as it is
		m.stats.Failures++
		return
	}
	m.stats.Booked += int64(booked)
	m.stats.Rejected += int64(rejected)
	m.stats.Queued -= booked + rejected
	m.queue[0] = nil // its memory need not wait for that of the queue
	m.queue = m.queue[1:]
	for _, records := range slices.Backward(next) {
		m.queue = slices.Insert(m.queue, 0, &meterBatch{sealed: true, records: records})
	}
	m.moveLocked()
}
