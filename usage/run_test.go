package usage_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// process is a book in a process of its own, over a store that others use too.
type process struct {
	*usage.Book
	store *hooked
	stop  context.CancelFunc
	ended chan struct{}
}

// newProcess opens a book over a store by the clock of the bubble.
func newProcess(t *testing.T, shared *memstore.Store, opts usage.Options) *process {
	t.Helper()
	p := &process{store: &hooked{Store: shared}, ended: make(chan struct{})}
	p.Book = over(t, p.store, nil, opts)
	return p
}

// run has the process do its background work.
func (p *process) run(t *testing.T) *process {
	t.Helper()
	var ctx context.Context
	ctx, p.stop = context.WithCancel(t.Context())
	go func() {
		defer close(p.ended)
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	synctest.Wait()
	return p
}

// end has the process stop in order.
func (p *process) end() {
	p.stop()
	<-p.ended
}

func mustSubmit(t *testing.T, book *usage.Book, id string, records ...usage.Record) *usage.Job {
	t.Helper()
	job, _, err := book.Submit(t.Context(), "op", usage.JobRequest{ID: id, Records: records})
	require.NoError(t, err)
	return job
}

func TestRunWorksAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t, memstore.New(nil), usage.Options{TaskInterval: time.Hour, RollInterval: time.Hour})
		require.False(t, p.Running())
		p.run(t)
		require.True(t, p.Running())
		begin := time.Now()
		for i := range 10 {
			mustSubmit(t, p.Book, fmt.Sprint(i), plainRecord(fmt.Sprint(i)))
			job, err := p.AwaitJob(t.Context(), "op", fmt.Sprint(i), time.Minute)
			require.NoError(t, err)
			require.Equal(t, usage.JobCompleted, job.Status())
			x, err := p.Execute(t.Context(), "op", usage.ForTenant("acme"), usage.ExecutionRequest{})
			require.NoError(t, err)
			x, err = p.AwaitExecution(t.Context(), "op", x.ID, time.Minute)
			require.NoError(t, err)
			require.EqualValues(t, i+1, x.Rows)
		}
		require.Zero(t, time.Since(begin), "nobody had to look")
		p.end()
		require.False(t, p.Running())
	})
}

func TestWorkOfOtherProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := memstore.New(nil)
		front := newProcess(t, shared, usage.Options{TaskInterval: 2 * time.Second})
		back := newProcess(t, shared, usage.Options{TaskInterval: 3 * time.Second}).run(t)
		defer back.end()
		begin := time.Now()
		mustSubmit(t, front.Book, "1", plainRecord("1"))
		job, err := front.AwaitJob(t.Context(), "op", "1", time.Minute)
		require.NoError(t, err)
		require.Equal(t, usage.JobCompleted, job.Status())
		require.LessOrEqual(t, time.Since(begin), 5*time.Second)
		x, err := front.Execute(t.Context(), "op", usage.ForTenant("acme"), usage.ExecutionRequest{})
		require.NoError(t, err)
		x, err = front.AwaitExecution(t.Context(), "op", x.ID, time.Minute)
		require.NoError(t, err)
		require.Equal(t, usage.ExecutionComplete, x.State)
		require.LessOrEqual(t, time.Since(begin), 10*time.Second)
	})
}

func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t, memstore.New(nil), usage.Options{})
		mustSubmit(t, p.Book, "1", plainRecord("1"))
		begin := time.Now()
		job, err := p.AwaitJob(t.Context(), "op", "1", 5*time.Second+time.Millisecond)
		require.NoError(t, err)
		require.Equal(t, usage.JobAccepted, job.Status())
		require.Equal(t, 5*time.Second+time.Millisecond, time.Since(begin), "nobody works")
		for _, wait := range []time.Duration{0, -time.Hour} {
			_, err = p.AwaitJob(t.Context(), "op", "1", wait)
			require.NoError(t, err)
		}
		require.Equal(t, 5*time.Second+time.Millisecond, time.Since(begin))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = p.AwaitJob(ctx, "op", "1", time.Hour)
		require.ErrorIs(t, err, context.DeadlineExceeded)

		// Many wait, and all hear of it.
		var heard atomic.Int32
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if job, err := p.AwaitJob(t.Context(), "op", "1", time.Hour); err == nil && job.Status() == usage.JobCompleted {
					heard.Add(1)
				}
			})
		}
		synctest.Wait()
		begin = time.Now()
		workAll(t, p.Book)
		wg.Wait()
		require.EqualValues(t, 20, heard.Load())
		require.Zero(t, time.Since(begin))

		// A store that does not answer ends the wait.
		mustSubmit(t, p.Book, "2", plainRecord("2"))
		p.store.on(func(_ context.Context, call string) (before, after error) {
			if call == "Task" && time.Since(begin) > 0 {
				return errCut, nil
			}
			return nil, nil
		})
		_, err = p.AwaitJob(t.Context(), "op", "2", time.Hour)
		require.ErrorIs(t, err, usage.ErrUnavailable)
	})
}

// TestRenewedLease: a worker that lives keeps its job, however long it takes.
func TestRenewedLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := memstore.New(nil)
		biller := &bills{before: func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(10 * time.Minute):
				return nil
			}
		}}
		opts := usage.Options{Rules: assets(t), Biller: biller, TaskLease: 30 * time.Second}
		a, b := newProcess(t, shared, opts).run(t), newProcess(t, shared, opts).run(t)
		defer a.end()
		defer b.end()
		r := appRecord("1", "acme", "asset", 1)
		r.Start = time.Now()
		mustSubmit(t, a.Book, "1", r)
		job, err := a.AwaitJob(t.Context(), "op", "1", time.Hour)
		require.NoError(t, err)
		require.Equal(t, "acme {} billed 1", lines(job))
		require.Equal(t, 10*time.Minute, job.Finished.Sub(job.Created))
		require.Equal(t, 1, biller.seen[r.Identity()])
		task, err := shared.Task(t.Context(), "job", "1")
		require.NoError(t, err)
		require.Equal(t, 1, task.Attempts)
	})
}

// TestLostLease: a worker that cannot be heard of loses its job to another one,
// and what it writes later does no harm.
func TestLostLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := memstore.New(nil)
		var ends atomic.Int32
		slow := &bills{before: func(ctx context.Context) error {
			defer ends.Add(1)
			<-time.After(10 * time.Minute) // and does not listen
			return nil
		}}
		quick := &bills{}
		a := newProcess(t, shared, usage.Options{Rules: assets(t), Biller: slow, TaskLease: 30 * time.Second, Jobs: 1}).run(t)
		defer a.end()
		r := appRecord("1", "acme", "asset", 1)
		r.Start = time.Now()
		mustSubmit(t, a.Book, "1", r)
		synctest.Wait()
		var cut atomic.Bool
		cut.Store(true)
		a.store.on(func(context.Context, string) (before, after error) {
			if cut.Load() {
				return errCut, nil
			}
			return nil, nil
		})
		b := newProcess(t, shared, usage.Options{Rules: assets(t), Biller: quick, TaskLease: 30 * time.Second}).run(t)
		defer b.end()
		job, err := b.AwaitJob(t.Context(), "op", "1", time.Hour)
		require.NoError(t, err)
		require.Equal(t, "acme {} billed 1", lines(job))
		require.LessOrEqual(t, job.Finished.Sub(job.Created), 32*time.Second)
		cut.Store(false)
		<-time.After(20 * time.Minute)
		require.EqualValues(t, 1, ends.Load())
		after, err := b.Job(t.Context(), "op", "1")
		require.NoError(t, err)
		require.Equal(t, job, after)
		require.Equal(t, 1, quick.seen[r.Identity()])

		// The worker that lost is there for the next one.
		slow.before = nil
		mustSubmit(t, a.Book, "2", plainRecord("2"))
		job, err = a.AwaitJob(t.Context(), "op", "2", time.Minute)
		require.NoError(t, err)
		require.Equal(t, usage.JobCompleted, job.Status())
		usagetest.Booked(t, b.Book, usage.AllTenants()).Count(2)
	})
}

// TestShutdown: a job that is under way when the process is stopped is another
// one's at once, and the attempt does not count.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := memstore.New(nil)
		waits := &bills{before: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
		a := newProcess(t, shared, usage.Options{Rules: assets(t), Biller: waits, TaskLease: time.Hour}).run(t)
		r := appRecord("1", "acme", "asset", 1)
		r.Start = time.Now()
		mustSubmit(t, a.Book, "1", r)
		synctest.Wait()
		task, err := shared.Task(t.Context(), "job", "1")
		require.NoError(t, err)
		require.Equal(t, 1, task.Attempts)
		<-time.After(10 * time.Second)
		a.end()
		require.False(t, a.Running())
		task, err = shared.Task(t.Context(), "job", "1")
		require.NoError(t, err)
		require.Zero(t, task.Attempts)
		require.False(t, task.Due.After(time.Now()))
		job, err := a.Job(t.Context(), "op", "1")
		require.NoError(t, err)
		require.Equal(t, usage.JobInProgress, job.Status(), "who looks sees no step back")
		require.Equal(t, "acme {} booked 1", lines(job))
		b := newProcess(t, shared, usage.Options{Rules: assets(t), Biller: &bills{}}).run(t)
		defer b.end()
		job, err = b.Job(t.Context(), "op", "1")
		require.NoError(t, err)
		require.Equal(t, usage.JobCompleted, job.Status(), "it did not wait for the lease")
	})
}

// TestWorkersAtOnce: no more jobs and executions are worked on at once than the
// options say, by Run and by Work together.
func TestWorkersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := memstore.New(nil)
		var mu sync.Mutex
		now, most := map[string]int{}, map[string]int{}
		p := newProcess(t, shared, usage.Options{Jobs: 3, Executions: 2, RollInterval: time.Hour})
		mustAppend(t, p.Book, plainRecord("0"))
		rollAll(t, p.Book) // which leaves Run nothing to roll, so that every scan is an execution's
		p.store.on(func(_ context.Context, call string) (before, after error) {
			if call != "Append" && call != "Scan" {
				return nil, nil
			}
			mu.Lock()
			now[call]++
			most[call] = max(most[call], now[call])
			mu.Unlock()
			<-time.After(time.Second)
			mu.Lock()
			now[call]--
			mu.Unlock()
			return nil, nil
		})
		for i := range 12 {
			mustSubmit(t, p.Book, fmt.Sprint(i), plainRecord(fmt.Sprint(i)))
			_, err := p.Execute(t.Context(), "op", usage.ForTenant("acme"), usage.ExecutionRequest{})
			require.NoError(t, err)
		}
		p.run(t)
		for range 3 {
			go func() { _, _ = p.Work(t.Context()) }()
		}
		begin := time.Now()
		<-time.After(20 * time.Second)
		p.end()
		require.Equal(t, map[string]int{"Append": 3, "Scan": 2}, most)
		list, err := p.Jobs(t.Context(), "op", usage.JobsQuery{})
		require.NoError(t, err)
		for _, j := range list {
			require.Equal(t, usage.JobCompleted, j.Status())
			require.LessOrEqual(t, j.Finished.Sub(begin), 5*time.Second, "nobody stood idle")
		}
	})
}

// TestRunOverABadStore: nothing that the store does ends Run.
func TestRunOverABadStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcess(t, memstore.New(nil), usage.Options{})
		var mu sync.Mutex
		rng := rand.New(rand.NewPCG(1, 2))
		p.store.on(func(context.Context, string) (before, after error) {
			mu.Lock()
			defer mu.Unlock()
			switch rng.IntN(3) {
			case 0:
				return errCut, nil
			case 1:
				return nil, errCut
			}
			return nil, nil
		})
		p.run(t)
		for i := range 20 {
			request := usage.JobRequest{ID: fmt.Sprint(i), Digest: "d", Records: []usage.Record{plainRecord(fmt.Sprint(i))}}
			for {
				_, _, err := p.Submit(t.Context(), "op", request)
				if err == nil {
					break
				}
				require.ErrorIs(t, err, usage.ErrUnavailable)
			}
		}
		<-time.After(24 * time.Hour)
		p.end()
		p.store.on(nil)
		list, err := p.Jobs(t.Context(), "op", usage.JobsQuery{})
		require.NoError(t, err)
		require.Len(t, list, 20)
		for _, j := range list {
			require.Equal(t, usage.JobCompleted, j.Status())
		}
		usagetest.Booked(t, p.Book, usage.AllTenants()).Count(20)
	})
}

func TestRunDeletesWhatHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := memstore.New(nil)
		p := newProcess(t, shared, usage.Options{ExecutionLife: time.Hour, RollInterval: time.Minute}).run(t)
		defer p.end()
		x, err := p.Execute(t.Context(), "op", usage.AllTenants(), usage.ExecutionRequest{})
		require.NoError(t, err)
		<-time.After(time.Hour - time.Second)
		x, err = p.Execution(t.Context(), "op", x.ID)
		require.NoError(t, err)
		require.Equal(t, x.Finished.Add(time.Hour), x.Expires)
		<-time.After(2 * time.Second)
		_, err = p.Execution(t.Context(), "op", x.ID)
		require.ErrorIs(t, err, usage.ErrNotFound)
		<-time.After(time.Minute)
		_, err = shared.Task(t.Context(), "execution", x.ID)
		require.True(t, errors.Is(err, usage.ErrNotFound), "%v", err)
	})
}
