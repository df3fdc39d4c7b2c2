package usage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/usagebook/usagebook/rules"
)

// jobWork is a job in the making: its records and what has become of each.
type jobWork struct {
	book    *Book
	created time.Time
	head    jobHead
	records []Record
	notes   [][]byte
	states  []ItemState
	errors  map[int]jobError // of those that failed
}

// workJob books the records of a claimed job and writes down what became of
// them. It may be begun again after any of its steps: a record that was booked
// is a Duplicate then, and has the verdict that it was booked with.
func (b *Book) workJob(ctx context.Context, h *hold) error {
	head, err := headOfJob(h.claimed)
	if err != nil {
		return err
	}
	w := &jobWork{book: b, created: h.claimed.Created, head: *head}
	switch err := w.read(h.claimed.Body); {
	case errors.Is(err, errNewerForm):
		return err // another process knows it
	case err != nil:
		b.log.ErrorContext(ctx, "usagebook: a job is lost, because its body cannot be read", "id", h.name.id, "error", err)
		return w.lose(ctx, h, err)
	}
	for from := 0; from < len(w.records); from += b.opts.BatchSize {
		if from > 0 {
			if err := w.progress(ctx, h); err != nil {
				return err
			}
		}
		var open []int
		for i := from; i < min(from+b.opts.BatchSize, len(w.records)); i++ {
			if !w.states[i].Failed() {
				open = append(open, i)
			}
		}
		err := w.append(ctx, open)
		if err == nil {
			err = w.bill(ctx, open)
		}
		if err != nil {
			// Who looks sees how far it came; the next attempt begins anew.
			if data, fault := w.marshalHead(); fault == nil {
				h.head = data
			}
			return err
		}
	}
	return w.finish(ctx, h)
}

// finish writes what became of the records, and what is worth keeping of those
// that failed.
func (w *jobWork) finish(ctx context.Context, h *hold) error {
	w.head.Finished = w.book.Now()
	head, err := w.marshalHead()
	if err != nil {
		return err
	}
	body, err := w.marshalErrors(maxJobBody)
	if err != nil {
		return err
	}
	if err := h.finish(ctx, head, body, time.Time{}); err != nil {
		return err
	}
	w.book.forgetJobs(ctx, h.claimed.Owner)
	return nil
}

// lose ends a job whose records cannot be read: all have failed.
func (w *jobWork) lose(ctx context.Context, h *hold, cause error) error {
	for i := range w.head.Lines {
		w.head.Lines[i].State = ItemFailed
	}
	w.head.Finished, w.head.Lost = w.book.Now(), "the job cannot be read: "+cause.Error()
	head, err := marshal(&w.head)
	if err != nil {
		return err
	}
	return h.finish(ctx, head, nil, time.Time{})
}

// progress writes down how far the job is.
func (w *jobWork) progress(ctx context.Context, h *hold) error {
	head, err := w.marshalHead()
	if err != nil {
		return err
	}
	err = h.put(ctx, func(t *Task) { t.Head, t.Due = head, w.book.Now().Add(w.book.opts.TaskLease) })
	if err != nil && !errors.Is(err, errLost) {
		w.book.log.WarnContext(ctx, "usagebook: the progress of a job could not be written", "id", h.name.id, "error", err)
		return nil
	}
	return err
}

// append books the records at some places, in one batch where the store takes
// them so.
func (w *jobWork) append(ctx context.Context, at []int) error {
	if len(at) == 0 {
		return nil
	}
	records := make([]Record, len(at))
	for k, i := range at {
		records[k] = w.records[i]
	}
	batch := w.book.prepare(AppendOptions{}, w.book.Now(), w.created, records)
	for k, i := range at {
		switch e := batch.At(k); {
		case len(e.Violations) > 0:
		case e.Verdict.State == rules.Verified:
			w.states[i] = ItemVerified
		default:
			w.states[i] = ItemNoRule
		}
	}
	entries, err := w.book.store.Append(ctx, batch)
	switch {
	case err == nil:
		for k, i := range at {
			w.judge(i, batch.At(k), &entries[k])
		}
		return nil
	case !permanent(err):
		return fmt.Errorf("append: %w", err)
	case len(at) == 1:
		w.fail(at[0], jobError{State: ItemFailed, Message: err.Error()})
		return nil
	}
	// The store will never take this batch: something in it is above a limit of
	// its own. The others need not suffer for it.
	half := len(at) / 2
	if err := w.append(ctx, at[:half]); err != nil {
		return err
	}
	return w.append(ctx, at[half:])
}

// judge writes down what became of a record that was sent to the store.
func (w *jobWork) judge(i int, e *Entry, out *ReceiptEntry) {
	switch out.Outcome {
	case Inserted, Duplicate:
		w.states[i] = ItemBooked
		return
	}
	state := ItemFailed
	if out.Outcome == Rejected && e.Verdict.State == rules.Refused && !e.Malformed && !e.Anonymous {
		state = ItemVerificationFailed
	}
	w.fail(i, jobError{State: state, Violations: storedViolations(out.Violations)})
}

func (w *jobWork) fail(i int, e jobError) {
	e.Index = i
	w.states[i] = e.State
	w.errors[i] = e
}

// bill hands those of the booked records that are billable to the Biller.
func (w *jobWork) bill(ctx context.Context, at []int) error {
	biller := w.book.opts.Biller
	if biller == nil {
		return nil
	}
	// Some may have been booked by an earlier attempt, and only the book knows
	// with which verdict.
	places := make(map[Identity]int)
	var ids []Identity
	for _, i := range at {
		if w.states[i] != ItemBooked {
			continue
		}
		id := w.records[i].Identity()
		if _, twice := places[id]; !twice {
			places[id] = i
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	st, err := w.book.store.Checkpoint(ctx, AsOf{})
	if err != nil {
		return fmt.Errorf("read the booked records: %w", err)
	}
	found, err := w.book.find(ctx, st.Mark, ids)
	if err != nil {
		return fmt.Errorf("read the booked records: %w", err)
	}
	var records []*Stored
	for _, id := range ids {
		if s := found[id]; s != nil && s.Verdict.Billable {
			records = append(records, s)
		}
	}
	if len(records) == 0 {
		return nil
	}
	results, err := biller.Bill(ctx, records)
	if err == nil && len(results) != len(records) {
		err = fmt.Errorf("it has %d results for %d records", len(results), len(records))
	}
	if err != nil {
		return fmt.Errorf("biller: %w", err)
	}
	text := func(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxBillingText)], "") }
	for k, s := range records {
		i := places[s.Identity()]
		if r := results[k]; r.Err != nil {
			w.fail(i, jobError{State: ItemBillingFailed, BillingID: text(r.ID), Message: text(r.Err.Error())})
		} else {
			w.states[i] = ItemBilled
		}
	}
	return nil
}

// maxBillingText is how much is kept of what a Biller says of one record.
const maxBillingText = 1 << 10

// forgetJobs lets go of the finished jobs of an owner that nobody can read any
// more. What it does not get to, it gets to after the owner's next job.
func (b *Book) forgetJobs(ctx context.Context, owner string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putTimeout)
	defer cancel()
	err := func() error {
		old, err := b.taskStore.Tasks(ctx, TaskSelection{Kind: taskJob, Owner: owner, Skip: b.opts.KeepJobs, Limit: 100})
		if err != nil {
			return err
		}
		now, any := b.Now(), false
		for _, t := range old {
			if !t.Due.IsZero() || !t.Expires.IsZero() {
				continue
			}
			t.Expires, any = now, true
			if err := b.taskStore.PutTask(ctx, t); err != nil && !errors.Is(err, ErrTaskChanged) {
				return err
			}
		}
		if any {
			_, err = b.taskStore.DeleteTasks(ctx, now)
		}
		return err
	}()
	if err != nil {
		b.log.WarnContext(ctx, "usagebook: old jobs could not be deleted", "error", err)
	}
}
