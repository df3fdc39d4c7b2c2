package usage_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// hooked is a store of which every call that jobs and executions make can be
// made to wait, or to fail before or after it went through.
type hooked struct {
	*memstore.Store

	mu   sync.Mutex
	hook func(ctx context.Context, call string) (before, after error)
}

func newHooked() *hooked { return &hooked{Store: memstore.New(nil)} }

func (s *hooked) on(hook func(ctx context.Context, call string) (before, after error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = hook
}

func (s *hooked) enter(ctx context.Context, call string) (before, after error) {
	s.mu.Lock()
	hook := s.hook
	s.mu.Unlock()
	if hook == nil {
		return nil, nil
	}
	return hook(ctx, call)
}

func through[T any](ctx context.Context, s *hooked, call string, do func() (T, error)) (T, error) {
	var none T
	before, after := s.enter(ctx, call)
	if before != nil {
		return none, before
	}
	out, err := do()
	if err == nil && after != nil {
		return none, after
	}
	return out, err
}

func (s *hooked) Append(ctx context.Context, b *usage.Batch) ([]usage.ReceiptEntry, error) {
	return through(ctx, s, "Append", func() ([]usage.ReceiptEntry, error) { return s.Store.Append(ctx, b) })
}

func (s *hooked) Checkpoint(ctx context.Context, at usage.AsOf) (usage.State, error) {
	return through(ctx, s, "Checkpoint", func() (usage.State, error) { return s.Store.Checkpoint(ctx, at) })
}

func (s *hooked) Scan(ctx context.Context, sel usage.Selection) iter.Seq2[*usage.Stored, error] {
	return func(yield func(*usage.Stored, error) bool) {
		before, after := s.enter(ctx, "Scan")
		if before != nil {
			yield(nil, before)
			return
		}
		for r, err := range s.Store.Scan(ctx, sel) {
			if !yield(r, err) {
				return
			}
		}
		if after != nil {
			yield(nil, after)
		}
	}
}

func (s *hooked) PutTask(ctx context.Context, t *usage.Task) error {
	own := *t
	_, err := through(ctx, s, "PutTask", func() (struct{}, error) { return struct{}{}, s.Store.PutTask(ctx, &own) })
	if err == nil {
		t.Version = own.Version
	}
	return err
}

func (s *hooked) Task(ctx context.Context, kind, id string) (*usage.Task, error) {
	return through(ctx, s, "Task", func() (*usage.Task, error) { return s.Store.Task(ctx, kind, id) })
}

func (s *hooked) Tasks(ctx context.Context, sel usage.TaskSelection) ([]*usage.Task, error) {
	return through(ctx, s, "Tasks", func() ([]*usage.Task, error) { return s.Store.Tasks(ctx, sel) })
}

func (s *hooked) ClaimTask(ctx context.Context, kind string, now time.Time, lease time.Duration) (*usage.Task, error) {
	return through(ctx, s, "ClaimTask", func() (*usage.Task, error) { return s.Store.ClaimTask(ctx, kind, now, lease) })
}

func (s *hooked) DeleteTasks(ctx context.Context, now time.Time) (int, error) {
	return through(ctx, s, "DeleteTasks", func() (int, error) { return s.Store.DeleteTasks(ctx, now) })
}

var errCut = fmt.Errorf("%w: the line was cut", usage.ErrUnavailable)

// hidden is a store whose optional powers nobody sees.
type hidden struct{ usage.Store }

// over returns a book over a store, by a clock.
func over(t testing.TB, store usage.Store, clock *usagetest.Clock, opts usage.Options) *usage.Book {
	t.Helper()
	if clock != nil {
		opts.Now = clock.Now
	}
	book, err := usage.New(store, &opts)
	require.NoError(t, err)
	return book
}

// workAll works until nothing is left, and wants no error.
func workAll(t testing.TB, book *usage.Book) int {
	t.Helper()
	for n := 0; ; n++ {
		did, err := book.Work(t.Context())
		require.NoError(t, err)
		if !did {
			return n
		}
	}
}

func TestWithoutTasks(t *testing.T) {
	t.Parallel()
	book := over(t, hidden{memstore.New(nil)}, nil, usage.Options{})
	ctx := t.Context()
	_, _, err := book.Submit(ctx, "op", usage.JobRequest{Records: []usage.Record{plainRecord("1")}})
	require.ErrorIs(t, err, usage.ErrUnsupported)
	_, err = book.Job(ctx, "op", "1")
	require.ErrorIs(t, err, usage.ErrUnsupported)
	_, err = book.Jobs(ctx, "op", usage.JobsQuery{})
	require.ErrorIs(t, err, usage.ErrUnsupported)
	_, err = book.JobErrors(ctx, "op", "1")
	require.ErrorIs(t, err, usage.ErrUnsupported)
	_, err = book.Execute(ctx, "op", usage.AllTenants(), usage.ExecutionRequest{})
	require.ErrorIs(t, err, usage.ErrUnsupported)
	_, err = book.Execution(ctx, "op", "1")
	require.ErrorIs(t, err, usage.ErrUnsupported)
	_, err = book.Cancel(ctx, "op", "1")
	require.ErrorIs(t, err, usage.ErrUnsupported)
	_, err = book.ExecutionPage(ctx, "op", "1", 0, "")
	require.ErrorIs(t, err, usage.ErrUnsupported)
	for _, err := range book.ExecutionRows(ctx, "op", "1") {
		require.ErrorIs(t, err, usage.ErrUnsupported)
	}
	did, err := book.Work(ctx)
	require.NoError(t, err)
	require.False(t, did)

	// Everything else works.
	mustAppend(t, book, plainRecord("1"))
	_, err = book.Query(ctx, usage.ForTenant("acme"), usage.Query{})
	require.NoError(t, err)
	running, stop := context.WithCancel(ctx)
	stop()
	require.NoError(t, book.Run(running))
}

func TestTaskOptions(t *testing.T) {
	t.Parallel()
	_, err := usage.New(memstore.New(nil), &usage.Options{JobSize: -1, KeepJobs: -1, Jobs: -1, Executions: -1, WaitingExecutions: -1,
		ExecutionLife: -1, TaskLease: -1, TaskInterval: -1})
	require.ErrorIs(t, err, usage.ErrInvalid)
	for _, name := range []string{"JobSize", "KeepJobs", "Jobs", "Executions", "WaitingExecutions", "ExecutionLife", "TaskLease", "TaskInterval"} {
		require.ErrorContains(t, err, name)
	}
}

func TestOwners(t *testing.T) {
	t.Parallel()
	book := over(t, memstore.New(nil), nil, usage.Options{})
	long := make([]byte, 1025)
	for i := range long {
		long[i] = 'x'
	}
	for _, owner := range []string{"", "a\x00b", "a\xffb", string(long)} {
		_, _, err := book.Submit(t.Context(), owner, usage.JobRequest{})
		require.ErrorIs(t, err, usage.ErrInvalid)
		_, err = book.Execute(t.Context(), owner, usage.AllTenants(), usage.ExecutionRequest{})
		require.ErrorIs(t, err, usage.ErrInvalid)
		_, err = book.Job(t.Context(), owner, "1")
		require.ErrorIs(t, err, usage.ErrInvalid)
		_, err = book.Jobs(t.Context(), owner, usage.JobsQuery{})
		require.ErrorIs(t, err, usage.ErrInvalid)
		_, err = book.Execution(t.Context(), owner, "1")
		require.ErrorIs(t, err, usage.ErrInvalid)
	}
	for _, owner := range []string{"a\nb", string(long[:1024]), "3:acme", "Ä"} {
		job, _, err := book.Submit(t.Context(), owner, usage.JobRequest{Records: []usage.Record{plainRecord("1")}})
		require.NoError(t, err)
		_, err = book.Job(t.Context(), owner, job.ID)
		require.NoError(t, err)
		_, err = book.Job(t.Context(), owner+"x", job.ID)
		require.True(t, errors.Is(err, usage.ErrNotFound) || errors.Is(err, usage.ErrInvalid), "%v", err)
		_, err = book.Execution(t.Context(), owner, job.ID)
		require.ErrorIs(t, err, usage.ErrNotFound, "a job is no execution")
	}
	for _, id := range []string{"", "a\x00b", "a\xffb", string(long)} {
		_, err := book.Job(t.Context(), "op", id)
		require.ErrorIs(t, err, usage.ErrNotFound)
		_, err = book.Cancel(t.Context(), "op", id)
		require.ErrorIs(t, err, usage.ErrNotFound)
	}
}
