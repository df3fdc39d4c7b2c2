package postgresstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/postgresstore"
)

func openAsProcess(url string) error {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	_, err = postgresstore.Open(ctx, pool, nil)
	return err
}

// Writers with transactions of their own, some of which stay open for long and
// some of which are rolled back, several stores that settle, and a reader that
// asks for one range of recorded time after the other: each record is in exactly
// one, no range grows after it has ended, sequences have no gaps, and nobody
// waits for a transaction that is open.
func TestRangesThatEndedNeverGrow(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.clock = nil // real time: ranges are to end while transactions are open
	stores := []*bench{b, b.sibling(t)}
	for _, s := range stores {
		var err error
		s.book, err = usage.New(s.store, &usage.Options{RollBatch: 40})
		require.NoError(t, err)
	}
	lasting := 3 * time.Second
	if testing.Short() || os.Getenv("USAGEBOOK_WORKLOADS") == "" {
		lasting = time.Second
	}
	ctx, stop := context.WithTimeout(t.Context(), lasting)
	defer stop()
	var wait sync.WaitGroup
	var mu sync.Mutex
	var failures []error
	fail := func(err error) {
		if err != nil {
			mu.Lock()
			failures = append(failures, err)
			mu.Unlock()
		}
	}
	// A token for each range that ended while somebody may be waiting for it.
	ended := make(chan struct{}, 1)
	var outlived atomic.Int64
	var booked atomic.Int64
	for w := range 6 {
		wait.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			s := stores[w%2]
			for i := 0; ctx.Err() == nil; i++ {
				var records []usage.Record
				for k := range 1 + rng.IntN(4) {
					records = append(records, use(fmt.Sprintf("%d-%d-%d", w, i, k), 1))
				}
				if w%3 == 0 {
					_, err := s.book.Append(t.Context(), records...)
					fail(err)
					booked.Add(int64(len(records)))
					continue
				}
				err := pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error {
					if _, err := s.store.AppendTx(t.Context(), s.book, tx, records...); err != nil {
						return err
					}
					// Open until ranges have ended: a reader that waited for it would
					// have none end.
					for range rng.IntN(3) {
						select {
						case <-ended:
							outlived.Add(1)
						case <-ctx.Done():
						}
					}
					if rng.IntN(4) == 0 {
						return context.DeadlineExceeded // rolls back
					}
					return nil
				})
				if err == nil {
					booked.Add(int64(len(records)))
				} else if !errors.Is(err, context.DeadlineExceeded) {
					fail(err)
				}
			}
		})
	}
	wait.Go(func() {
		for ctx.Err() == nil {
			_, err := stores[1].book.Roll(t.Context())
			fail(err)
		}
	})

	type span struct{ from, to time.Time }
	count := func(s *bench, r span) string {
		page, err := s.book.Query(t.Context(), usage.AllTenants(), usage.Query{On: usage.RecordedTime, From: r.from, To: r.to, Measures: []usage.Measure{{Aggregation: usage.Count}}})
		require.NoError(t, err)
		if len(page.Rows) == 0 {
			return "0"
		}
		return page.Rows[0].Get("count").String()
	}
	begin := time.Now().Add(-time.Hour).Truncate(time.Microsecond)
	var spans []span
	var counts []string
	for i := 0; ctx.Err() == nil; i++ {
		now := time.Now().Truncate(time.Microsecond)
		spans = append(spans, span{begin, now})
		counts = append(counts, count(stores[i%2], spans[len(spans)-1]))
		select {
		case ended <- struct{}{}:
		default:
		}
		begin = now
	}
	wait.Wait()
	require.Positive(t, outlived.Load(), "no range ended while a transaction was open")
	mu.Lock()
	require.NoError(t, errors.Join(failures...))
	mu.Unlock()
	spans = append(spans, span{begin, time.Now().Add(time.Hour)})
	counts = append(counts, count(stores[0], spans[len(spans)-1]))
	sum := 0
	for i, r := range spans {
		require.Equal(t, counts[i], count(stores[(i+1)%2], r), "a range that has ended has grown")
		var n int
		fmt.Sscan(counts[i], &n)
		sum += n
	}
	require.EqualValues(t, booked.Load(), sum)

	state, err := b.store.Checkpoint(t.Context(), usage.AsOf{})
	require.NoError(t, err)
	want := uint64(0)
	last := time.Time{}
	for r, err := range b.store.Scan(t.Context(), usage.Selection{Scope: usage.AllTenants(), Mark: state.Mark, Order: usage.BySequence}) {
		require.NoError(t, err)
		want++
		require.Equal(t, want, r.Sequence)
		require.False(t, r.Recorded.Before(last))
		last = r.Recorded
	}
	require.EqualValues(t, booked.Load(), want)
	require.Greater(t, want, uint64(50))
	for _, s := range stores {
		s.roll(t)
		s.counts(t, fmt.Sprint(want), fmt.Sprint(want))
	}
}

// A batch that is committed after others that began later is settled after them,
// and a mark that was taken in between never shows it.
func TestLateBatchStaysOutOfEarlierMarks(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	ctx := t.Context()
	tx := b.begin(t, "")
	_, err := b.store.AppendTx(ctx, b.book, tx, use("late", 100))
	require.NoError(t, err)
	_, err = b.book.Append(ctx, use("a", 1), use("b", 2))
	require.NoError(t, err)
	before, err := b.store.Checkpoint(ctx, usage.AsOf{})
	require.NoError(t, err)
	require.Equal(t, uint64(2), before.Mark.Sequence)
	require.NoError(t, tx.Commit(ctx))
	sum := func(s *bench, asOf usage.AsOf) string {
		page, err := s.book.Query(ctx, usage.AllTenants(), usage.Query{Measures: []usage.Measure{{Of: "quantity"}}, AsOf: asOf})
		require.NoError(t, err)
		return page.Rows[0].Get("quantity").String()
	}
	require.Equal(t, "103", sum(b, usage.AsOf{}))
	_, err = b.book.Append(ctx, use("c", 10))
	require.NoError(t, err)
	require.Equal(t, "113", sum(b, usage.AsOf{}))
	_, err = b.book.Append(ctx, voidOf("v", use("late", 100)))
	require.NoError(t, err)
	for _, s := range []*bench{b, b.sibling(t)} {
		require.Equal(t, "1", sum(s, usage.AsOf{Sequence: 1}))
		require.Equal(t, "3", sum(s, usage.AsOf{Sequence: 2}))
		require.Equal(t, "103", sum(s, usage.AsOf{Sequence: 3}))
		require.Equal(t, "113", sum(s, usage.AsOf{Sequence: 4}))
		require.Equal(t, "13", sum(s, usage.AsOf{}))
	}
}
