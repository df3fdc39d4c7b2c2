package usage

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// ExecutionRequest is a query for [Book.Execute].
type ExecutionRequest struct {
	// Query is what to ask. Its Token must be empty; its PageSize does not
	// matter.
	Query Query

	// Note is the caller's own and comes back with the execution: how to write
	// the rows down, say. At most 64 KiB.
	Note []byte
}

// Execution is a query that is answered in the background. It is a value of the
// moment at which it was read.
type Execution struct {
	ID, Owner string
	// Created is when it was accepted.
	Created time.Time
	// Finished is when it came to its end; zero while it is Running.
	Finished time.Time
	// Expires is when it will be gone: Options.ExecutionLife after it was
	// accepted and again after it was finished.
	Expires time.Time
	State   ExecutionState
	// Reason says why it Failed.
	Reason string
	// AsOf is the moment that the answer speaks of, fixed when the query was
	// accepted.
	AsOf AsOf
	// Rows is the number of rows of the answer, when it is Complete.
	Rows int64
	// Note is the caller's.
	Note []byte
}

// ExecutionState is how far an execution is.
type ExecutionState uint8

// The states.
const (
	// ExecutionRunning: accepted, and not at its end. Whether a worker has begun
	// makes no difference to who waits.
	ExecutionRunning ExecutionState = 1 + iota
	// ExecutionComplete: its rows can be read.
	ExecutionComplete
	// ExecutionFailed: it has no rows, and Reason says why.
	ExecutionFailed
	// ExecutionCancelled: [Book.Cancel] has ended it.
	ExecutionCancelled
)

var executionStateNames = [...]string{"none", "running", "complete", "failed", "cancelled"}

// String returns the state in lower case.
func (s ExecutionState) String() string {
	if int(s) < len(executionStateNames) {
		return executionStateNames[s]
	}
	return "invalid"
}

// BusyError is the refusal of an execution because its owner has too many that
// are not finished. errors.Is finds ErrBusy in it.
type BusyError struct {
	// Most is how many an owner may have.
	Most int
	// RetryAfter is when it is worth to ask again.
	RetryAfter time.Duration
}

// Error names the limit and the pause.
func (e *BusyError) Error() string {
	return fmt.Sprintf("%d executions of this owner are not finished, which is the most allowed; try again after %s", e.Most, e.RetryAfter)
}

// Is lets errors.Is find ErrBusy.
func (e *BusyError) Is(target error) bool { return target == ErrBusy }

const (
	maxExecutionNote = 64 << 10
	// maxExecutionAttempts is how many workers may die over an execution, or
	// meet a fault of the store.
	maxExecutionAttempts = 3
)

// Execute accepts a query to be answered by [Book.Run] or [Book.Work]. The
// query is understood at once: one that cannot be is an error here and no failed
// execution. Its moment is fixed at once, too: whatever is booked later changes
// nothing of the answer. What is kept are the query, its scope and its moment,
// and no rows.
//
// Errors: ErrUnsupported without a [TaskStore]; ErrScope and ErrInvalid as for
// [Book.Query]; ErrBusy, as a [*BusyError], where the owner has
// Options.WaitingExecutions unfinished ones (or a few more, where calls race);
// and those of the store.
func (b *Book) Execute(ctx context.Context, owner string, scope Scope, req ExecutionRequest) (*Execution, error) {
	x, err := b.newExecution(ctx, owner, scope, &req)
	if err != nil {
		return nil, fmt.Errorf("usage: execute: %w", err)
	}
	b.tasks.wake(taskExecution)
	return x, nil
}

func (b *Book) newExecution(ctx context.Context, owner string, scope Scope, req *ExecutionRequest) (*Execution, error) {
	if err := b.checkOwner(owner); err != nil {
		return nil, err
	}
	switch {
	case req.Query.Token != "":
		return nil, invalid("an execution begins at the first page; its query has no token")
	case len(req.Note) > maxExecutionNote:
		return nil, fmt.Errorf("%w: a note of %d bytes, at most %d are allowed", ErrTooLarge, len(req.Note), maxExecutionNote)
	}
	q, err := b.compile(ctx, scope, req.Query)
	if err != nil {
		return nil, err
	}
	body, err := bodyOfExecution(q)
	if err != nil {
		return nil, err
	}
	most := b.opts.WaitingExecutions
	waiting, err := b.taskStore.Tasks(ctx, TaskSelection{Kind: taskExecution, Owner: owner, Pending: true, Limit: most})
	if err != nil {
		return nil, err
	}
	if len(waiting) >= most {
		return nil, &BusyError{Most: most, RetryAfter: max(b.opts.TaskInterval, time.Second)}
	}
	now := b.Now()
	t := &Task{Kind: taskExecution, ID: newID(), Owner: owner, Created: now, Due: now, Expires: now.Add(b.opts.ExecutionLife), Body: body}
	if t.Head, err = marshal(&executionHead{Form: taskForm, State: ExecutionRunning, Mark: q.mark.Sequence, Note: req.Note}); err != nil {
		return nil, err
	}
	if err := b.taskStore.PutTask(ctx, t); err != nil {
		return nil, err
	}
	return executionOf(t)
}

// Execution returns an execution of an owner as it stands. Another owner's, and
// one that has expired, are ErrNotFound like one that never was.
func (b *Book) Execution(ctx context.Context, owner, id string) (*Execution, error) {
	return b.AwaitExecution(ctx, owner, id, 0)
}

// AwaitExecution is Execution after waiting for its end, at most for a time. It
// hears at once of what this process does, and looks every Options.TaskInterval
// for what others do. A context that ends ends the wait with its error.
func (b *Book) AwaitExecution(ctx context.Context, owner, id string, wait time.Duration) (*Execution, error) {
	var x *Execution
	t, err := b.awaitTask(ctx, taskName{taskExecution, id}, wait, func() (*Task, error) { return b.ownTask(ctx, taskExecution, owner, id) })
	if err == nil {
		x, err = executionOf(t)
	}
	if err != nil {
		return nil, fmt.Errorf("usage: execution: %w", err)
	}
	return x, nil
}

// Cancel ends an execution that is Running, wherever a worker is at it, and
// returns it as it stands then. One that is at its end stays as it is, which is
// no error.
func (b *Book) Cancel(ctx context.Context, owner, id string) (*Execution, error) {
	for tries := 0; ; tries++ {
		x, err := b.cancel(ctx, owner, id)
		// A worker that renews its lease in between is no reason to give up.
		if errors.Is(err, ErrTaskChanged) && tries < 100 {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("usage: cancel: %w", err)
		}
		return x, nil
	}
}

func (b *Book) cancel(ctx context.Context, owner, id string) (*Execution, error) {
	t, err := b.ownTask(ctx, taskExecution, owner, id)
	if err != nil {
		return nil, err
	}
	if t.Due.IsZero() {
		return executionOf(t)
	}
	h, err := headOfExecution(t)
	if err != nil {
		return nil, err
	}
	h.State, h.Finished = ExecutionCancelled, b.Now()
	t.Due, t.Expires, t.Body = time.Time{}, h.Finished.Add(b.opts.ExecutionLife), nil
	if t.Head, err = marshal(h); err != nil {
		return nil, err
	}
	if err := b.taskStore.PutTask(ctx, t); err != nil {
		return nil, err
	}
	name := taskName{t.Kind, t.ID}
	b.tasks.cancel(name)
	b.tasks.tell(name)
	return executionOf(t)
}

// ExecutionRows yields the rows of a Complete execution, in the order of its
// query. They are read again as of its moment, or come from a small memory of
// late results. After an error it yields nothing more: ErrNotFound as for
// [Book.Execution], ErrNoResult where the execution is not Complete, and those
// of [Book.Rows].
func (b *Book) ExecutionRows(ctx context.Context, owner, id string) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		fail := func(err error) { yield(Row{}, fmt.Errorf("usage: execution rows: %w", err)) }
		t, err := b.completeTask(ctx, owner, id)
		if err != nil {
			fail(err)
			return
		}
		if rows, ok := b.results.get(id); ok {
			for i := range rows {
				if !yield(rows[i].own(), nil) {
					return
				}
			}
			return
		}
		q, err := b.compileExecution(ctx, t, 0, "")
		if err != nil {
			fail(err)
			return
		}
		keep := newKeeper(q)
		for row, err := range q.rows(ctx) {
			if err != nil {
				fail(err)
				return
			}
			keep.add(row)
			if !yield(row.own(), nil) {
				return
			}
		}
		b.results.put(id, t.Expires, keep)
	}
}

// ExecutionPage returns one page of the rows of a Complete execution: of at
// most size rows (0 means 1,000; at most 10,000), after the page whose Next the
// token is, the first one where it is empty. A token of another execution is
// refused. The errors are those of [Book.Query] and [Book.ExecutionRows].
func (b *Book) ExecutionPage(ctx context.Context, owner, id string, size int, token string) (*Page, error) {
	page, err := b.executionPage(ctx, owner, id, size, token)
	if err != nil {
		return nil, fmt.Errorf("usage: execution page: %w", err)
	}
	return page, nil
}

func (b *Book) executionPage(ctx context.Context, owner, id string, size int, token string) (*Page, error) {
	t, err := b.completeTask(ctx, owner, id)
	if err != nil {
		return nil, err
	}
	q, err := b.compileExecution(ctx, t, size, token)
	if err != nil {
		return nil, err
	}
	rows, ok := b.results.get(id)
	if !ok {
		return q.page(ctx)
	}
	seen := int(min(q.token.Seen, int64(len(rows))))
	out := &Page{Columns: q.columns, AsOf: q.asOf(), Rows: make([]Row, 0, min(q.src.PageSize, len(rows)-seen))}
	if q.src.Count {
		out.Count = int64(len(rows))
	}
	for ; seen < len(rows) && len(out.Rows) < q.src.PageSize; seen++ {
		out.Rows = append(out.Rows, rows[seen].own())
	}
	if seen < len(rows) {
		next := *q.token
		next.Binding, next.Keys, next.Seen = q.binding(), nil, int64(seen)
		if q.src.Count {
			next.Total = int64(len(rows))
		}
		if out.Next, err = b.tokens.Seal(next); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// completeTask returns the task of an execution that has a result.
func (b *Book) completeTask(ctx context.Context, owner, id string) (*Task, error) {
	t, err := b.ownTask(ctx, taskExecution, owner, id)
	if err != nil {
		return nil, err
	}
	h, err := headOfExecution(t)
	if err != nil {
		return nil, err
	}
	if h.State != ExecutionComplete {
		return nil, fmt.Errorf("%w: execution %s is %s", ErrNoResult, quoted(id), h.State)
	}
	return t, nil
}

// workExecution answers a claimed execution and writes down that it did.
func (b *Book) workExecution(ctx context.Context, h *hold) error {
	t := h.claimed
	head, err := headOfExecution(t)
	if err != nil {
		return err
	}
	var keep *keeper
	if t.Attempts > maxExecutionAttempts {
		err = fmt.Errorf("given up after %d attempts", t.Attempts-1)
	} else {
		keep, err = b.answerExecution(ctx, t)
	}
	switch {
	case err == nil || permanent(err):
	case ctx.Err() != nil || errors.Is(err, errNewerForm) || t.Attempts < maxExecutionAttempts:
		return err
	}
	head.Finished = b.Now()
	head.State = ExecutionComplete
	if err != nil {
		head.State, head.Reason = ExecutionFailed, err.Error()
		b.log.WarnContext(ctx, "usagebook: an execution failed", "id", t.ID, "attempts", t.Attempts, "error", err)
	} else {
		head.Rows = keep.rows
	}
	data, err := marshal(head)
	if err != nil {
		return err
	}
	expires := head.Finished.Add(b.opts.ExecutionLife)
	if keep != nil {
		b.results.put(t.ID, expires, keep)
	}
	return h.finish(ctx, data, nil, expires)
}

func (b *Book) answerExecution(ctx context.Context, t *Task) (*keeper, error) {
	q, err := b.compileExecution(ctx, t, 0, "")
	if err != nil {
		return nil, err
	}
	keep := newKeeper(q)
	for row, err := range q.rows(ctx) {
		if err != nil {
			return nil, err
		}
		keep.add(row)
	}
	return keep, nil
}

// permanent reports whether a fault will be the same the next time.
func permanent(err error) bool {
	return errors.Is(err, ErrInvalid) || errors.Is(err, ErrTooLarge) || errors.Is(err, ErrScope) || errors.Is(err, ErrUnsupported)
}
