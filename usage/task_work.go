package usage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// A task that met a passing fault is tried again after firstPause, then
	// after twice as long each time, and at last every longestPause.
	firstPause   = time.Second
	longestPause = 5 * time.Minute
	// newerPause is how long a task that this release cannot read is left to
	// newer ones.
	newerPause = 30 * time.Second
	// putTimeout bounds the writes that end the work on a task: they happen
	// even when the context of the work has ended, so that the work is neither
	// done again nor waits for its lease to run out.
	putTimeout = 10 * time.Second
)

var (
	// errLost: the lease ran out and somebody else has the task, or it was
	// cancelled or deleted elsewhere.
	errLost = errors.New("somebody else has the task now")
	// errCancelled: the task was cancelled in this process.
	errCancelled = errors.New("cancelled")
)

type taskName struct{ kind, id string }

// taskRoom is what a book keeps of tasks beside the store: nothing that another
// process would miss.
type taskRoom struct {
	// wakes tell Run that there is something to claim, by kind.
	wakes map[string]chan struct{}
	// slots bound how many tasks of a kind are worked on at once.
	slots map[string]chan struct{}
	turn  atomic.Uint32 // which kind Work looks at first
	runs  atomic.Int32  // calls of Run that are under way

	mu      sync.Mutex // guards what follows
	running map[taskName]*hold
	waiting map[taskName]map[chan struct{}]struct{}
}

func newTaskRoom(jobs, executions int) *taskRoom {
	return &taskRoom{
		wakes:   map[string]chan struct{}{taskJob: make(chan struct{}, 1), taskExecution: make(chan struct{}, 1)},
		slots:   map[string]chan struct{}{taskJob: make(chan struct{}, jobs), taskExecution: make(chan struct{}, executions)},
		running: make(map[taskName]*hold),
		waiting: make(map[taskName]map[chan struct{}]struct{}),
	}
}

// wake has Run look for a task of a kind at once.
func (r *taskRoom) wake(kind string) {
	select {
	case r.wakes[kind] <- struct{}{}:
	default: // it will look anyway
	}
}

func (r *taskRoom) began(h *hold) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running[h.name] = h
}

func (r *taskRoom) ended(h *hold) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running[h.name] == h { // and not another worker that took it over
		delete(r.running, h.name)
	}
}

// cancel ends the work on a task in this process, if there is any.
func (r *taskRoom) cancel(name taskName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h := r.running[name]; h != nil {
		h.cancel(errCancelled)
	}
}

// listen returns a channel that is closed when the task is finished in this
// process, and what to call when nobody listens any more.
func (r *taskRoom) listen(name taskName) (finished <-chan struct{}, stop func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ch := make(chan struct{})
	if r.waiting[name] == nil {
		r.waiting[name] = make(map[chan struct{}]struct{})
	}
	r.waiting[name][ch] = struct{}{}
	return ch, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if list := r.waiting[name]; list != nil {
			if delete(list, ch); len(list) == 0 {
				delete(r.waiting, name)
			}
		}
	}
}

// tell wakes those who wait for the end of a task.
func (r *taskRoom) tell(name taskName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for ch := range r.waiting[name] {
		close(ch)
	}
	delete(r.waiting, name)
}

// compareTasks orders tasks from the oldest to the newest.
func compareTasks(a, b *Task) int {
	return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
}

// ownTask returns a task of an owner. Another owner's, and one that has
// expired, are as unknown as one that never was.
func (b *Book) ownTask(ctx context.Context, kind, owner, id string) (*Task, error) {
	if err := b.checkOwner(owner); err != nil {
		return nil, err
	}
	unknown := fmt.Errorf("%w: %s %s", ErrNotFound, kind, quoted(id))
	if len(id) > maxJobID || !storable(id) {
		return nil, unknown
	}
	t, err := b.taskStore.Task(ctx, kind, id)
	if errors.Is(err, ErrNotFound) || err == nil && (t.Owner != owner || !t.Expires.IsZero() && !t.Expires.After(b.Now())) {
		return nil, unknown
	}
	return t, err
}

// awaitTask reads a task until it is finished or the time is over, and returns
// it as it is then.
func (b *Book) awaitTask(ctx context.Context, name taskName, wait time.Duration, read func() (*Task, error)) (*Task, error) {
	finished, stop := b.tasks.listen(name)
	defer stop()
	t, err := read()
	if err != nil || t.Due.IsZero() || wait <= 0 {
		return t, err
	}
	over := time.NewTimer(wait)
	defer over.Stop()
	look := time.NewTicker(b.opts.TaskInterval)
	defer look.Stop()
	for last := false; ; {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-over.C:
			last = true
		case <-finished:
			finished = nil
		case <-look.C:
		}
		if t, err = read(); err != nil || t.Due.IsZero() || last {
			return t, err
		}
	}
}

// hold is a task that this process has claimed.
type hold struct {
	book    *Book
	name    taskName
	claimed *Task // as it was claimed; not to be changed
	cancel  context.CancelCauseFunc
	head    []byte // what the Head is to be when the task is given back; nil: as it is

	mu     sync.Mutex // guards what follows
	task   *Task      // as it was written last, without its Body
	closed bool       // finished, given back or lost
}

// put writes the task with a change, unless somebody else has it now.
func (h *hold) put(ctx context.Context, change func(t *Task)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.write(ctx, change)
}

func (h *hold) write(ctx context.Context, change func(t *Task)) error {
	if h.closed {
		return errLost
	}
	next := *h.task
	change(&next)
	err := h.book.taskStore.PutTask(ctx, &next)
	if errors.Is(err, ErrTaskChanged) {
		h.closed = true
		h.cancel(errLost)
		return errLost
	}
	if err == nil {
		next.Body = nil // which leaves the stored one alone the next time
		h.task = &next
	}
	return err
}

// end writes the task for the last time. It is done even when the context of
// the work is over.
func (h *hold) end(ctx context.Context, change func(t *Task)) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putTimeout)
	defer cancel()
	h.mu.Lock()
	defer h.mu.Unlock()
	err := h.write(ctx, change)
	h.closed = h.closed || err == nil
	return err
}

// finish writes what the task has come to.
func (h *hold) finish(ctx context.Context, head, body []byte, expires time.Time) error {
	err := h.end(ctx, func(t *Task) { t.Due, t.Expires, t.Head, t.Body = time.Time{}, expires, head, body })
	if err == nil {
		h.book.tasks.tell(h.name)
	}
	return err
}

// renew keeps the lease as long as the work goes on. What it returns ends it.
func (h *hold) renew(ctx context.Context) (stop func()) {
	lease := h.book.opts.TaskLease
	done, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(max(lease/3, time.Millisecond))
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
			}
			// Not to be torn by the end of the work: whether it was written
			// decides whether the next write is this worker's.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putTimeout)
			err := h.put(ctx, func(t *Task) { t.Due = h.book.Now().Add(lease) })
			cancel()
			if errors.Is(err, errLost) {
				return
			}
			if err != nil {
				h.book.log.WarnContext(ctx, "usagebook: the lease of a task could not be renewed", "kind", h.name.kind, "id", h.name.id, "error", err)
			}
		}
	}()
	return func() {
		close(over)
		<-done
	}
}

// step claims a task of a kind and works on it. It reports false when there was
// none.
func (b *Book) step(ctx context.Context, kind string) (bool, error) {
	t, err := b.claim(ctx, kind)
	if t == nil || err != nil {
		return false, err
	}
	return true, b.work(ctx, t)
}

func (b *Book) claim(ctx context.Context, kind string) (*Task, error) {
	return b.taskStore.ClaimTask(ctx, kind, b.Now(), b.opts.TaskLease)
}

// work does a claimed task. An error means that the task was given back, or
// will be claimed again when its lease has run out.
func (b *Book) work(parent context.Context, t *Task) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	name := taskName{t.Kind, t.ID}
	own := *t
	own.Body = nil
	h := &hold{book: b, name: name, claimed: t, cancel: cancel, task: &own}
	b.tasks.began(h)
	stop := h.renew(ctx)
	err := guarded(func() error {
		if t.Kind == taskJob {
			return b.workJob(ctx, h)
		}
		return b.workExecution(ctx, h)
	})
	stop()
	b.tasks.ended(h)
	attempts, pause := t.Attempts, pauseAfter(t.Attempts)
	switch cause := context.Cause(ctx); {
	case err == nil || errors.Is(cause, errCancelled):
		return nil
	case errors.Is(err, errLost) || errors.Is(cause, errLost):
		b.log.InfoContext(ctx, "usagebook: somebody else has a task that this worker began", "kind", name.kind, "id", name.id)
		return nil
	case parent.Err() != nil:
		b.giveBack(ctx, h, b.Now(), attempts-1)
		return parent.Err()
	case errors.Is(err, errNewerForm):
		attempts, pause = attempts-1, newerPause // it is no fault of the task
	}
	b.log.ErrorContext(ctx, "usagebook: a task failed, trying again later", "kind", name.kind, "id", name.id, "attempts", t.Attempts, "pause", pause, "error", err)
	b.giveBack(ctx, h, b.Now().Add(pause), attempts)
	return err
}

// giveBack ends the lease of a task that is not finished.
func (b *Book) giveBack(ctx context.Context, h *hold, due time.Time, attempts int) {
	err := h.end(ctx, func(t *Task) {
		t.Due, t.Attempts = due, attempts
		if h.head != nil {
			t.Head = h.head
		}
	})
	if err != nil && !errors.Is(err, errLost) {
		b.log.WarnContext(ctx, "usagebook: a task could not be given back and waits for its lease to run out", "kind", h.name.kind, "id", h.name.id, "error", err)
	}
}

func pauseAfter(attempts int) time.Duration {
	pause := firstPause
	for n := 1; n < attempts && pause < longestPause; n++ {
		pause *= 2
	}
	return min(pause, longestPause)
}

// guarded turns a panic, of a hook of the host for one, into an error: one bad
// task must not take the others with it.
func guarded(work func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return work()
}
