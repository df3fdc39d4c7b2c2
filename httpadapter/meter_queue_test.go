package httpadapter_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/rules"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// faultyBook stands before a book and fails as it is told.
type faultyBook struct {
	*usage.Book
	mu sync.Mutex
	// before and after are asked before and after a batch is booked; an error
	// is what Append returns.
	before, after func(call int, records []usage.Record) error
	calls         int
	sizes         []int
}

func (b *faultyBook) Append(ctx context.Context, records ...usage.Record) (*usage.Receipt, error) {
	b.mu.Lock()
	b.calls++
	call, before, after := b.calls, b.before, b.after
	b.sizes = append(b.sizes, len(records))
	b.mu.Unlock()
	if before != nil {
		if err := before(call, records); err != nil {
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	receipt, err := b.Book.Append(ctx, records...)
	if after != nil {
		if err := after(call, records); err != nil {
			return nil, err
		}
	}
	return receipt, err
}

func (b *faultyBook) set(before func(int, []usage.Record) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.before = before
}

func (b *faultyBook) batches() []int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.sizes)
}

var errOutage = fmt.Errorf("%w: the line was cut", usage.ErrUnavailable)

func outage(int, []usage.Record) error { return errOutage }

// meterServe serves requests one after the other and returns their statuses.
func meterServe(t testing.TB, m http.Handler, n int) []int {
	t.Helper()
	out := make([]int, n)
	for i := range out {
		w := httptest.NewRecorder()
		m.ServeHTTP(w, httptest.NewRequest("GET", "/", nil).WithContext(t.Context()))
		out[i] = w.Code
	}
	return out
}

var meterOK = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

// meterRun runs the meter until the returned function is called, which waits
// for it.
func meterRun(t testing.TB, m *httpadapter.Metered) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		require.NoError(t, <-done)
	}
}

func TestMeterRunBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory, _ := usagetest.NewBook(t, nil)
		book := &faultyBook{Book: memory}
		m := newMeter(t, meterOK, book, httpadapter.MeterOptions{BatchSize: 10, FlushInterval: time.Minute})
		stop := meterRun(t, m)

		meterServe(t, m, 25)
		synctest.Wait()
		require.Equal(t, []int{10, 10}, book.batches(), "full batches go at once")
		require.Equal(t, httpadapter.MeterStats{Booked: 20, Queued: 5}, m.Stats())
		<-time.After(59 * time.Second)
		synctest.Wait()
		require.Len(t, book.batches(), 2)
		<-time.After(time.Second)
		synctest.Wait()
		require.Equal(t, []int{10, 10, 5}, book.batches(), "the others when the interval is over")
		<-time.After(time.Hour)
		require.Len(t, book.batches(), 3, "nothing is sent where nothing is queued")
		stop()

		meterServe(t, m, 10)
		synctest.Wait()
		require.Equal(t, httpadapter.MeterStats{Booked: 25, Queued: 10}, m.Stats(), "nobody runs it")
		left, err := m.Shutdown(t.Context())
		require.NoError(t, err)
		require.Zero(t, left)
		require.Equal(t, httpadapter.MeterStats{Booked: 35}, m.Stats())
		usagetest.Booked(t, memory, usage.ForTenant("acme")).Count(35).Total("requests", "35")
	})
}

// TestMeterOutage lets the store fail for a while, before it has booked and
// after: nothing is lost and nothing counts twice.
func TestMeterOutage(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*faultyBook, func(int, []usage.Record) error){
		"before the write": func(b *faultyBook, f func(int, []usage.Record) error) { b.before = f },
		"after the write":  func(b *faultyBook, f func(int, []usage.Record) error) { b.after = f },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				memory, _ := usagetest.NewBook(t, nil)
				book := &faultyBook{Book: memory}
				var first []usage.Record
				const outages = 12
				fail(book, func(call int, records []usage.Record) error {
					if call == 1 {
						first = slices.Clone(records)
					}
					if call <= outages {
						if !slices.EqualFunc(first, records, func(a, b usage.Record) bool { return a.Identity() == b.Identity() }) {
							t.Errorf("call %d sends other records", call)
						}
						return errOutage
					}
					return nil
				})
				var attempts []httpadapter.MeterAttempt
				var log bytes.Buffer
				m := newMeter(t, meterOK, book, httpadapter.MeterOptions{BatchSize: 4, Logger: slog.New(slog.NewTextHandler(&log, nil)),
					Observe: func(a httpadapter.MeterAttempt) { attempts = append(attempts, a) }})
				stop := meterRun(t, m)
				began := time.Now()
				meterServe(t, m, 11)
				synctest.Wait()
				require.Equal(t, httpadapter.MeterStats{Queued: 11, Failures: 1}, m.Stats())
				for m.Stats().Queued > 0 && time.Since(began) < time.Hour {
					<-time.After(time.Second)
				}
				took := time.Since(began)
				stop()
				require.Equal(t, httpadapter.MeterStats{Booked: 11, Failures: outages}, m.Stats())
				usagetest.Booked(t, memory, usage.ForTenant("acme")).Count(11).Total("requests", "11")
				require.Equal(t, outages+3, len(attempts))
				require.Equal(t, outages+1, attempts[outages].Number)
				require.NoError(t, attempts[outages].Err)
				require.ErrorIs(t, attempts[0].Err, usage.ErrUnavailable)
				// Pauses of 0.1, 0.2 ... 6.4 and then 10 seconds, each from one half to
				// the whole of it, and the second that the last batch waits.
				require.Greater(t, took, 31*time.Second)
				require.Less(t, took, 66*time.Second)
				require.Equal(t, outages, strings.Count(log.String(), "level=WARN"), log.String())
				require.Equal(t, 1, strings.Count(log.String(), "level=INFO"), log.String())
			})
		})
	}
}

// TestMeterBlock fills the queue while the store is away: requests wait before
// they are served, and nothing that was served is lost.
func TestMeterBlock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory, _ := usagetest.NewBook(t, nil)
		book := &faultyBook{Book: memory, before: outage}
		var served atomic.Int64
		hold := make(chan struct{})
		handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			served.Add(1)
			if r.URL.Path == "/slow" {
				<-hold
			}
		})
		m := newMeter(t, handler, book, httpadapter.MeterOptions{QueueSize: 4, BatchSize: 2, MaxWait: time.Minute,
			Identify: func(r *http.Request) (httpadapter.Caller, bool) {
				return httpadapter.Caller{Tenant: "acme"}, r.URL.Path != "/healthz"
			}})
		stop := meterRun(t, m)
		var wg sync.WaitGroup
		answers := make(map[string]*httptest.ResponseRecorder)
		request := func(ctx context.Context, path string) {
			w := httptest.NewRecorder()
			answers[path] = w
			r := httptest.NewRequest("GET", path, nil).WithContext(ctx)
			wg.Go(func() { m.ServeHTTP(w, r) })
			synctest.Wait()
		}
		request(t.Context(), "/slow")
		for i := range 4 {
			request(t.Context(), fmt.Sprint("/", i))
		}
		require.EqualValues(t, 5, served.Load())
		require.Equal(t, 4, m.Stats().Queued)

		ctx, cancel := context.WithCancel(t.Context())
		request(ctx, "/gives-up")
		request(t.Context(), "/waits")
		require.EqualValues(t, 5, served.Load(), "the queue is full")
		request(t.Context(), "/healthz")
		require.EqualValues(t, 6, served.Load(), "what is not booked need not wait")
		close(hold)
		synctest.Wait()
		require.Equal(t, 5, m.Stats().Queued, "what was being served is booked all the same")

		cancel()
		synctest.Wait()
		require.Equal(t, http.StatusServiceUnavailable, answers["/gives-up"].Code)
		require.Equal(t, "10", answers["/gives-up"].Header().Get("Retry-After"))
		<-time.After(30 * time.Second)
		request(t.Context(), "/waits-too")
		<-time.After(30 * time.Second)
		synctest.Wait()
		require.Equal(t, http.StatusServiceUnavailable, answers["/waits"].Code, "after MaxWait")
		require.EqualValues(t, 6, served.Load())
		require.EqualValues(t, 2, m.Stats().Refused)

		book.set(nil)
		<-time.After(11 * time.Second) // the longest pause, and a batch that is not full
		synctest.Wait()
		require.Equal(t, http.StatusOK, answers["/waits-too"].Code)
		require.EqualValues(t, 7, served.Load())
		<-time.After(2 * time.Second)
		synctest.Wait()
		stats := m.Stats()
		stats.Failures = 0
		require.Equal(t, httpadapter.MeterStats{Booked: 6, Skipped: 1, Refused: 2}, stats)
		usagetest.Booked(t, memory, usage.ForTenant("acme")).Count(6)
		wg.Wait()
		stop()
	})
}

func TestMeterDrop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory, _ := usagetest.NewBook(t, nil)
		book := &faultyBook{Book: memory, before: outage}
		var log bytes.Buffer
		m := newMeter(t, meterOK, book, httpadapter.MeterOptions{QueueSize: 3, WhenFull: httpadapter.Drop, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.Equal(t, slices.Repeat([]int{200}, 10), meterServe(t, m, 10), "every request is served")
		require.Equal(t, httpadapter.MeterStats{Dropped: 7, Queued: 3}, m.Stats())
		require.Equal(t, 1, strings.Count(log.String(), "level=ERROR"), "a line, not one for each: %s", log.String())
		require.Contains(t, log.String(), "dropped=1")
		<-time.After(10 * time.Second)
		meterServe(t, m, 2)
		require.Equal(t, 2, strings.Count(log.String(), "level=ERROR"), log.String())
		require.Contains(t, log.String(), "dropped=8")

		book.set(nil)
		require.NoError(t, m.Flush(t.Context()))
		meterServe(t, m, 1)
		require.NoError(t, m.Flush(t.Context()))
		require.Equal(t, httpadapter.MeterStats{Booked: 4, Dropped: 9}, m.Stats())
		usagetest.Booked(t, memory, usage.ForTenant("acme")).Count(4)
		records := meterRecords(t, memory)
		require.Equal(t, "4", records[3].ID, "what was dropped took no number")
	})
}

// appendFunc is an Appender made of a function.
type appendFunc func(ctx context.Context, records ...usage.Record) (*usage.Receipt, error)

func (f appendFunc) Append(ctx context.Context, records ...usage.Record) (*usage.Receipt, error) {
	return f(ctx, records...)
}

// TestMeterRejected: what the book refuses is counted, logged, shown and not
// sent again; the others of its batch are booked.
func TestMeterRejected(t *testing.T) {
	t.Parallel()
	readsOnly, err := rules.New("1", []rules.Rule{{Name: "reads only", AllowedValues: map[string][]string{"httpMethod": {"GET"}}}}, nil)
	require.NoError(t, err)
	isDelete := func(r usage.Record) bool {
		method, _ := r.Dimensions.Get("httpMethod")
		return method == "DELETE"
	}
	noDeletes := func(err error) func(*usage.Book) httpadapter.Appender {
		return func(b *usage.Book) httpadapter.Appender {
			return &faultyBook{Book: b, before: func(_ int, records []usage.Record) error {
				if slices.ContainsFunc(records, isDelete) {
					return err
				}
				return nil
			}}
		}
	}
	for name, c := range map[string]struct {
		options  usage.Options
		appender func(*usage.Book) httpadapter.Appender
		booked   int
		attempts []int // the sizes of what was sent
		log      string
	}{
		"by the book's rules": {usage.Options{Rules: readsOnly}, func(b *usage.Book) httpadapter.Appender { return b }, 6, []int{8}, "allowed_values"},
		"by its catalogue": {usage.Options{Meters: []usage.Meter{{Name: "api-requests", Closed: true, Values: []usage.MeterValue{{Name: "requests"}, {Name: "status200"}}}}},
			func(b *usage.Book) httpadapter.Appender { return b }, 0, []int{8}, "undeclared"},
		"all or nothing": {usage.Options{Rules: readsOnly}, func(b *usage.Book) httpadapter.Appender {
			return appendFunc(func(ctx context.Context, records ...usage.Record) (*usage.Receipt, error) {
				return b.AppendBatch(ctx, usage.AppendOptions{AllOrNothing: true}, records...)
			})
		}, 6, []int{8, 6}, "allowed_values"},
		"conflicting": {usage.Options{}, func(b *usage.Book) httpadapter.Appender {
			return appendFunc(func(ctx context.Context, records ...usage.Record) (*usage.Receipt, error) {
				for _, r := range records {
					if isDelete(r) {
						r.Meter = "other"
						usagetest.Append(t, b, r)
					}
				}
				return b.Append(ctx, records...)
			})
		}, 6, []int{8}, "conflict"},
		"an invalid record":      {usage.Options{}, noDeletes(fmt.Errorf("wrapped: %w", usage.ErrInvalid)), 6, []int{8, 4, 2, 1, 1, 2, 4, 2, 1, 1, 2}, "wrapped: invalid"},
		"an unsupported record":  {usage.Options{}, noDeletes(usage.ErrUnsupported), 6, []int{8, 4, 2, 1, 1, 2, 4, 2, 1, 1, 2}, "not supported"},
		"a book of small bites":  {usage.Options{BatchSize: 3}, func(b *usage.Book) httpadapter.Appender { return b }, 8, []int{8, 4, 2, 2, 4, 2, 2}, ""},
		"nothing wrong with any": {usage.Options{}, func(b *usage.Book) httpadapter.Appender { return b }, 8, []int{8}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			book, _ := usagetest.NewBook(t, &c.options)
			var log bytes.Buffer
			var attempts []int
			rejected := 0
			m := newMeter(t, meterOK, c.appender(book), httpadapter.MeterOptions{Logger: slog.New(slog.NewTextHandler(&log, nil)),
				Observe: func(a httpadapter.MeterAttempt) {
					attempts = append(attempts, len(a.Records))
					rejected += a.Rejected
				}})
			for i := range 8 {
				method := "GET"
				if i%4 == 1 {
					method = "DELETE"
				}
				m.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, "/", nil))
			}
			require.NoError(t, m.Flush(t.Context()))
			require.Equal(t, httpadapter.MeterStats{Booked: int64(c.booked), Rejected: int64(8 - c.booked)}, m.Stats())
			require.Equal(t, 8-c.booked, rejected)
			require.Equal(t, c.attempts, attempts)
			usagetest.Booked(t, book, usage.ForTenant("acme")).Where("meter eq 'api-requests'").Count(c.booked)
			if c.log == "" {
				require.Empty(t, log.String())
			} else {
				require.Contains(t, log.String(), "refused and not booked")
				require.Contains(t, log.String(), c.log)
			}
		})
	}
}

// An answer that names no record is none: the batch is sent again.
func TestMeterSenselessAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory, _ := usagetest.NewBook(t, nil)
		calls := 0
		m := newMeter(t, meterOK, appendFunc(func(ctx context.Context, records ...usage.Record) (*usage.Receipt, error) {
			if calls++; calls == 1 {
				return nil, &usage.AppendError{Total: len(records), Failures: []usage.Failure{{Index: 99}}}
			}
			return memory.Append(ctx, records...)
		}), httpadapter.MeterOptions{})
		meterServe(t, m, 2)
		require.NoError(t, m.Flush(t.Context()))
		require.Equal(t, httpadapter.MeterStats{Booked: 2, Failures: 1}, m.Stats())
	})
}

// A store that does not answer is asked again.
func TestMeterTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory, _ := usagetest.NewBook(t, nil)
		var calls atomic.Int64
		m := newMeter(t, meterOK, appendFunc(func(ctx context.Context, records ...usage.Record) (*usage.Receipt, error) {
			if calls.Add(1) == 1 {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return memory.Append(ctx, records...)
		}), httpadapter.MeterOptions{Timeout: 5 * time.Second})
		meterServe(t, m, 2)
		began := time.Now()
		require.NoError(t, m.Flush(t.Context()))
		require.InDelta(t, 5, time.Since(began).Seconds(), 0.1)
		require.Equal(t, httpadapter.MeterStats{Booked: 2, Failures: 1}, m.Stats())

		// Who waits for another's attempt stops waiting when the context ends.
		calls.Store(0)
		meterServe(t, m, 1)
		stop := meterRun(t, m)
		<-time.After(2 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, m.Flush(ctx), context.DeadlineExceeded)
		require.EqualValues(t, 1, calls.Load())
		require.NoError(t, m.Flush(t.Context()))
		stop()
		require.Equal(t, httpadapter.MeterStats{Booked: 3, Failures: 2}, m.Stats())
	})
}

func TestMeterFlush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New(nil)
		memory, err := usage.New(store, nil)
		require.NoError(t, err)
		book := &faultyBook{Book: memory, before: outage}
		m := newMeter(t, meterOK, book, httpadapter.MeterOptions{BatchSize: 3})
		require.NoError(t, m.Flush(t.Context()), "nothing is queued")
		meterServe(t, m, 5)

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err = m.Flush(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, usage.ErrUnavailable, "and why it took so long")
		require.ErrorContains(t, err, "5 records are not booked")
		calls := len(book.batches())
		require.ErrorIs(t, m.Flush(ctx), context.DeadlineExceeded)
		require.Len(t, book.batches(), calls, "a context that is over makes no attempt")

		// Requests that come after the call are not waited for.
		book.set(nil)
		book.after = func(int, []usage.Record) error { meterServe(t, m, 1); return nil }
		require.NoError(t, m.Flush(t.Context()))
		require.Len(t, meterRecords(t, memory), 5)
		require.Equal(t, 2, m.Stats().Queued)
		book.after = nil

		// A Flush beside a Run that is waiting after a failure does not wait, and
		// neither does one that another has got ahead of.
		book.set(outage)
		stop := meterRun(t, m)
		<-time.After(time.Minute)
		synctest.Wait()
		book.set(nil)
		began := time.Now()
		require.NoError(t, m.Flush(t.Context()))
		require.Zero(t, time.Since(began))
		book.set(outage)
		meterServe(t, m, 1)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if err := m.Flush(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		<-time.After(time.Minute)
		synctest.Wait()
		book.set(nil)
		began = time.Now()
		wg.Wait()
		require.LessOrEqual(t, time.Since(began), 10*time.Second)
		stop()
		require.Len(t, meterRecords(t, memory), 8)

		// A store that is closed does not come back.
		require.NoError(t, store.Close())
		meterServe(t, m, 2)
		err = m.Flush(t.Context())
		require.ErrorIs(t, err, usage.ErrClosed)
		require.ErrorContains(t, err, "2 records are not booked")
		left, err := m.Shutdown(t.Context())
		require.ErrorIs(t, err, usage.ErrClosed)
		require.Equal(t, 2, left)
	})
}

// Flush comes to an end under a load that never does.
func TestMeterFlushUnderLoad(t *testing.T) {
	t.Parallel()
	memory, _ := usagetest.NewBook(t, nil)
	book := &faultyBook{Book: memory}
	m := newMeter(t, meterOK, book, httpadapter.MeterOptions{BatchSize: 1})
	book.after = func(call int, _ []usage.Record) error {
		if call < 100 {
			meterServe(t, m, 1)
		}
		return nil
	}
	meterServe(t, m, 3)
	require.NoError(t, m.Flush(t.Context()))
	require.Equal(t, httpadapter.MeterStats{Booked: 3, Queued: 3}, m.Stats())
}

func TestMeterShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory, _ := usagetest.NewBook(t, nil)
		book := &faultyBook{Book: memory, before: outage}
		var log bytes.Buffer
		m := newMeter(t, meterOK, book, httpadapter.MeterOptions{QueueSize: 3, MaxWait: time.Hour, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		running := make(chan error, 1)
		go func() { running <- m.Run(t.Context()) }()
		meterServe(t, m, 3)
		var waiting atomic.Int64
		for range 2 {
			go func() {
				waiting.Store(int64(meterServe(t, m, 1)[0]))
			}()
		}
		synctest.Wait()
		require.Zero(t, waiting.Load(), "the queue is full")

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		left, err := m.Shutdown(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 3, left)
		require.EqualValues(t, 200, waiting.Load(), "nobody waits after shutdown")
		require.Contains(t, log.String(), "after Shutdown")
		require.EqualValues(t, 2, m.Stats().Dropped)
		require.Empty(t, running, "there is something to book")

		book.set(nil)
		left, err = m.Shutdown(t.Context())
		require.NoError(t, err)
		require.Zero(t, left)
		require.NoError(t, <-running, "there is nothing left to book")
		require.Equal(t, []int{200, 200, 200, 200}, meterServe(t, m, 4))
		stats := m.Stats()
		stats.Failures = 0
		require.Equal(t, httpadapter.MeterStats{Booked: 3, Dropped: 6}, stats)
		require.NoError(t, m.Flush(t.Context()))
		require.NoError(t, m.Run(t.Context()))
		usagetest.Booked(t, memory, usage.ForTenant("acme")).Count(3)
	})
}

// Whoever is told of a batch, or logs it, may panic: what is queued stays.
func TestMeterPanickingBook(t *testing.T) {
	t.Parallel()
	memory, _ := usagetest.NewBook(t, nil)
	calls := 0
	m := newMeter(t, meterOK, appendFunc(func(ctx context.Context, records ...usage.Record) (*usage.Receipt, error) {
		if calls++; calls == 1 {
			panic("store")
		}
		return memory.Append(ctx, records...)
	}), httpadapter.MeterOptions{})
	meterServe(t, m, 2)
	require.PanicsWithValue(t, "store", func() { _ = m.Flush(t.Context()) })
	require.NoError(t, m.Flush(t.Context()))
	require.Equal(t, httpadapter.MeterStats{Booked: 2}, m.Stats())
}

// TestMeterConcurrent has many clients, a store that fails now and then, before
// and after the write, and a flusher beside the runner, and counts to the last
// request.
func TestMeterConcurrent(t *testing.T) {
	t.Parallel()
	const clients, each = 16, 250
	for name, o := range map[string]httpadapter.MeterOptions{
		"block": {QueueSize: 50, BatchSize: 20, FlushInterval: time.Millisecond},
		"drop":  {QueueSize: 50, BatchSize: 20, FlushInterval: time.Millisecond, WhenFull: httpadapter.Drop},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			memory, _ := usagetest.NewBook(t, nil)
			sometimes := func(call int, _ []usage.Record) error {
				if call%17 == 0 {
					return errOutage
				}
				return nil
			}
			book := &faultyBook{Book: memory, before: sometimes, after: func(call int, _ []usage.Record) error { return sometimes(call+5, nil) }}
			mux := http.NewServeMux()
			mux.HandleFunc("GET /n/{bytes}", func(w http.ResponseWriter, r *http.Request) {
				n, _ := strconv.Atoi(r.PathValue("bytes"))
				_, _ = w.Write(make([]byte, n))
			})
			o.Identify = func(r *http.Request) (httpadapter.Caller, bool) {
				return httpadapter.Caller{Tenant: "acme", Client: r.Header.Get("X-Client")}, true
			}
			m := newMeter(t, mux, book, o)
			stop := meterRun(t, m)
			var sent [clients]int64
			var wg sync.WaitGroup
			for c := range clients {
				wg.Go(func() {
					random := rand.New(rand.NewPCG(1, uint64(c)))
					for i := range each {
						n := random.IntN(1000)
						sent[c] += int64(n)
						r := httptest.NewRequest("GET", fmt.Sprint("/n/", n), nil)
						r.Header.Set("X-Client", fmt.Sprint("c", c))
						m.ServeHTTP(httptest.NewRecorder(), r)
						if i%100 == 50 {
							if err := m.Flush(t.Context()); err != nil {
								t.Error(err)
							}
						}
					}
				})
			}
			wg.Wait()
			left, err := m.Shutdown(t.Context())
			require.NoError(t, err)
			require.Zero(t, left)
			stop()
			stats := m.Stats()
			require.EqualValues(t, clients*each, stats.Booked+stats.Dropped)
			require.Zero(t, stats.Queued)
			ledger := usagetest.Booked(t, memory, usage.ForTenant("acme"))
			ledger.Count(int(stats.Booked)).Total("requests", fmt.Sprint(stats.Booked)).Total("status200", fmt.Sprint(stats.Booked))
			if o.WhenFull == httpadapter.Block {
				require.EqualValues(t, clients*each, stats.Booked)
				for c, n := range sent {
					ledger.Where(fmt.Sprintf("clientId eq 'c%d'", c)).Count(each).Total("bytesOut", fmt.Sprint(n))
				}
			}
			require.Positive(t, stats.Failures, "the store did fail")
		})
	}
}

// With Block the queue holds at most its size and one record for each request
// that is served at the same time.
func TestMeterBlockBound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory, _ := usagetest.NewBook(t, nil)
		const clients, size = 8, 20
		var m *httpadapter.Metered
		most := 0
		m = newMeter(t, meterOK, appendFunc(func(ctx context.Context, records ...usage.Record) (*usage.Receipt, error) {
			<-time.After(time.Second)
			most = max(most, m.Stats().Queued)
			return memory.Append(ctx, records...)
		}), httpadapter.MeterOptions{QueueSize: size, BatchSize: 5, MaxWait: time.Hour})
		stop := meterRun(t, m)
		var wg sync.WaitGroup
		for range clients {
			wg.Go(func() { meterServe(t, m, 50) })
		}
		wg.Wait()
		_, err := m.Shutdown(t.Context())
		require.NoError(t, err)
		stop()
		require.Equal(t, httpadapter.MeterStats{Booked: 50 * clients}, m.Stats())
		require.GreaterOrEqual(t, most, size)
		require.LessOrEqual(t, most, size+clients)
	})
}

// discardWriter is a ResponseWriter that costs nothing.
type discardWriter struct{ header http.Header }

func (w *discardWriter) Header() http.Header         { return w.header }
func (w *discardWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *discardWriter) WriteHeader(int)             {}
func (w *discardWriter) Flush()                      {}

// nowhere books nothing, so that what is measured is the meter.
var nowhere = appendFunc(func(_ context.Context, records ...usage.Record) (*usage.Receipt, error) {
	return &usage.Receipt{Inserted: len(records)}, nil
})

var meterBody = []byte("hello")

// meterMux is what the benchmarks serve.
func meterMux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(meterBody) })
	return mux
}

// TestMeterAlloc holds what a request costs in allocations beside the mux's
// own: one, and what the records of the queue take, which are allocated by the
// hundred.
func TestMeterAlloc(t *testing.T) {
	handlers := map[string]http.Handler{"bare": meterMux()}
	m := newMeter(t, meterMux(), nowhere, httpadapter.MeterOptions{QueueSize: 1 << 20})
	handlers["metered"] = m
	allocs := map[string]float64{}
	for name, h := range handlers {
		w := &discardWriter{header: make(http.Header)}
		r := httptest.NewRequest("GET", "/users/7", nil)
		allocs[name] = testing.AllocsPerRun(2000, func() { h.ServeHTTP(w, r) })
	}
	require.LessOrEqual(t, allocs["metered"]-allocs["bare"], 1.0)
	require.EqualValues(t, 2001, m.Stats().Queued)
}

// BenchmarkMeter compares a request through the meter, and booked in memory,
// with one to the bare handler. Nothing goes over a wire.
func BenchmarkMeter(b *testing.B) {
	for _, name := range []string{"bare", "metered", "booked"} {
		b.Run(name, func(b *testing.B) {
			h := meterMux()
			var m *httpadapter.Metered
			var book httpadapter.Appender = nowhere
			if name == "booked" {
				book, _ = usagetest.NewBook(b, nil)
			}
			if name != "bare" {
				m = newMeter(b, h, book, httpadapter.MeterOptions{})
				stop := meterRun(b, m)
				defer stop()
				h = m
			}
			w := &discardWriter{header: make(http.Header)}
			r := httptest.NewRequest("GET", "/users/7", nil)
			b.ReportAllocs()
			requests := 0
			for b.Loop() {
				h.ServeHTTP(w, r)
				requests++
			}
			if m != nil {
				left, err := m.Shutdown(b.Context())
				require.NoError(b, err)
				require.Zero(b, left)
				require.EqualValues(b, requests, m.Stats().Booked)
			}
		})
	}
}
