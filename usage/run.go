package usage

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Run does the background work of the book until the context ends, and then
// returns nil: it rolls, deletes what has expired, and looks for work again
// every Options.RollInterval; it works on jobs and executions as they come. It
// blocks: the host owns the goroutine. Every goroutine that it starts has ended
// when it returns. A step that fails is logged and tried again later; a job or
// execution that it was working on when the context ended is given back, and
// goes on in the next process that looks.
//
// Without Run every figure is right all the same and only gets slower to read,
// and jobs and executions wait. Any number of processes may run it over the same
// store: one of them moves the checkpoint, the others find it moved, and each
// job and execution is worked on by one at a time.
func (b *Book) Run(ctx context.Context) error {
	b.tasks.runs.Add(1)
	defer b.tasks.runs.Add(-1)
	var workers sync.WaitGroup
	defer workers.Wait()
	if b.taskStore != nil {
		for kind := range b.tasks.slots {
			workers.Go(func() { b.dispatch(ctx, kind) })
		}
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		for {
			did, err := b.Roll(ctx)
			if err != nil && ctx.Err() == nil {
				b.log.ErrorContext(ctx, "usagebook: roll failed, trying again later", "error", err)
			}
			if err != nil || !did {
				break
			}
		}
		if err := b.purge(ctx); err != nil && ctx.Err() == nil {
			b.log.ErrorContext(ctx, "usagebook: deleting expired tasks failed, trying again later", "error", err)
		}
		timer.Reset(b.opts.RollInterval)
	}
}

// Running reports whether [Book.Run] is under way in this process, for
// readiness: without it, or [Book.Work], jobs and executions wait.
func (b *Book) Running() bool { return b.tasks.runs.Load() > 0 }

// Work does one job or execution, if one is waiting: one step of what [Book.Run]
// does, for hosts that call it themselves. It reports false when there was none,
// when this process is at Options.Jobs or Options.Executions already, and when
// the store keeps no tasks. An error beside true means that the task waits to be
// tried again.
func (b *Book) Work(ctx context.Context) (bool, error) {
	if b.taskStore == nil {
		return false, nil
	}
	kinds := [...]string{taskJob, taskExecution}
	turn := b.tasks.turn.Add(1)
	for i := range kinds {
		kind := kinds[(int(turn)+i+1)%len(kinds)]
		select {
		case b.tasks.slots[kind] <- struct{}{}:
		default:
			continue
		}
		did, err := b.step(ctx, kind)
		<-b.tasks.slots[kind]
		if err != nil {
			return did, fmt.Errorf("usage: work: %w", err)
		}
		if did {
			return true, nil
		}
	}
	return false, nil
}

// dispatch claims the tasks of a kind and has them worked on, until the context
// ends.
func (b *Book) dispatch(ctx context.Context, kind string) {
	var workers sync.WaitGroup
	defer workers.Wait()
	slots, wakes := b.tasks.slots[kind], b.tasks.wakes[kind]
	look := time.NewTicker(b.opts.TaskInterval)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case slots <- struct{}{}:
		}
		t, err := b.claim(ctx, kind)
		if t != nil && err == nil {
			workers.Go(func() {
				defer func() { <-slots }()
				_ = b.work(ctx, t) // logged there
			})
			continue
		}
		<-slots
		if err != nil && ctx.Err() == nil {
			b.log.ErrorContext(ctx, "usagebook: looking for tasks failed, trying again later", "kind", kind, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-wakes:
		case <-look.C:
		}
	}
}

// purge deletes the tasks that have expired.
func (b *Book) purge(ctx context.Context) error {
	if b.taskStore == nil {
		return nil
	}
	_, err := b.taskStore.DeleteTasks(ctx, b.Now())
	return err
}
