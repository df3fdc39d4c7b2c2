package memstore_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

// fill books records of a kind until there is no room, and returns how many.
func fill(t *testing.T, book *usage.Book, most int, record func(i int) usage.Record) (int, error) {
	t.Helper()
	for n := 0; n < most; n += 500 {
		records := make([]usage.Record, 500)
		for i := range records {
			records[i] = record(n + i)
		}
		if _, err := book.Append(t.Context(), records...); err != nil {
			return n, err
		}
	}
	return most, nil
}

// Not parallel to others: it looks at the heap of the process.
func TestBytesAreThoseOfTheHeap(t *testing.T) {
	for name, record := range map[string]func(i int) usage.Record{
		"many of a series": func(i int) usage.Record {
			return usage.Record{Tenant: fmt.Sprintf("tenant-%02d", i%50), Source: "gateway", ID: fmt.Sprintf("%016x%016x", i*7919, i), Meter: fmt.Sprintf("meter-%02d", i%40),
				Start: benchStart.Add(time.Duration(i) * time.Second), Values: usage.Values{}.WithNumber("quantity", aggregate.Fixed(int64(i)*1234567, 6)),
				Dimensions: usage.DimensionsOf(map[string]string{"resource": fmt.Sprintf("/resources/%04d", i%2000)})}
		},
		"each its own series, long ids": func(i int) usage.Record {
			return usage.Record{Tenant: "acme", Source: "gateway", ID: strings.Repeat("id-", 20) + fmt.Sprint(i), Meter: "requests",
				Start: benchStart.Add(time.Duration(i) * time.Second), Values: usage.Values{}.WithNumber("a", aggregate.Int(int64(i))).WithNumber("b", aggregate.Int(1)),
				Dimensions: usage.DimensionsOf(map[string]string{"request": fmt.Sprintf("request-%08d", i), "path": "/v1/things"})}
		},
	} {
		before := heap()
		store := memstore.New(nil)
		book, err := usage.New(store, &usage.Options{Rollups: [][]string{{"resource"}}})
		require.NoError(t, err)
		const n = 150_000
		_, err = fill(t, book, n, record)
		require.NoError(t, err)
		for did := true; did; {
			did, err = book.Roll(t.Context())
			require.NoError(t, err)
		}
		took := heap() - before
		said := store.Bytes()
		t.Logf("%s: %d bytes a record on the heap, %d by Bytes", name, took/n, said/n)
		require.InEpsilon(t, took, said, 0.2, name)
		runtime.KeepAlive(book)
		require.NoError(t, store.Close())
		require.Less(t, store.Bytes(), int64(1<<20), "nothing is left after Close")
	}
}

func TestCeiling(t *testing.T) {
	t.Parallel()
	const most = 8 << 20
	store := memstore.New(&memstore.Options{MaxBytes: most})
	book, err := usage.New(store, nil)
	require.NoError(t, err)
	record := func(i int) usage.Record {
		return usage.Record{Tenant: "acme", Source: "s", ID: fmt.Sprint("r-", i), Meter: "m", Start: benchStart.Add(time.Duration(i) * time.Minute),
			Values: usage.Values{}.WithNumber("quantity", aggregate.Int(1))}
	}
	n, err := fill(t, book, 10_000_000, record)
	require.ErrorIs(t, err, usage.ErrFull)
	var full *memstore.FullError
	require.ErrorAs(t, err, &full)
	require.Equal(t, int64(most), full.MaxBytes)
	require.ErrorContains(t, err, "store full: it takes ")
	require.NotErrorIs(t, err, usage.ErrUnavailable, "nothing was booked")
	require.Greater(t, n, 20_000)
	require.LessOrEqual(t, store.Bytes(), int64(most))

	// What is there is read, sent again and corrected as far as that needs no room.
	count := func() string {
		page, err := book.Query(t.Context(), usage.ForTenant("acme"), usage.Query{Measures: []usage.Measure{{Aggregation: usage.Count, Name: "n"}}})
		require.NoError(t, err)
		return page.Rows[0].Get("n").String()
	}
	require.Equal(t, fmt.Sprint(n), count())
	again, err := book.Append(t.Context(), record(0), record(n-1))
	require.NoError(t, err)
	require.Equal(t, 2, again.Duplicates)
	_, err = book.Append(t.Context(), record(0), record(n), record(n+1))
	if err != nil {
		require.ErrorIs(t, err, usage.ErrFull)
		require.Equal(t, fmt.Sprint(n), count(), "of a batch nothing is booked")
	}

	// Work in the background is refused alike, and what is stored already is found.
	tasks, put := 0, func(id string, size int) error {
		return store.PutTask(t.Context(), &usage.Task{Kind: "job", ID: id, Owner: "o", Created: benchStart, Body: make([]byte, size)})
	}
	for err = nil; err == nil && tasks < 100; tasks++ {
		err = put(fmt.Sprint(tasks), 1<<20)
	}
	require.ErrorIs(t, err, usage.ErrFull)
	if tasks > 1 {
		require.ErrorIs(t, put("0", 1<<20), usage.ErrTaskExists)
	}
	_, err = store.DeleteTasks(t.Context(), benchStart.AddDate(1, 0, 0))
	require.NoError(t, err)
}

// Rolling needs room too; without it figures stay right.
func TestCeilingOfRollups(t *testing.T) {
	t.Parallel()
	store := memstore.New(&memstore.Options{MaxBytes: 4 << 20})
	book, err := usage.New(store, &usage.Options{RollBatch: 1000})
	require.NoError(t, err)
	_, err = fill(t, book, 10_000_000, func(i int) usage.Record {
		return usage.Record{Tenant: fmt.Sprint(i % 500), Source: "s", ID: fmt.Sprint("r-", i), Meter: "m", Start: benchStart.Add(time.Duration(i/4000) * time.Hour),
			Values: usage.Values{}.WithNumber("quantity", aggregate.Int(1))}
	})
	require.ErrorIs(t, err, usage.ErrFull)
	for err = nil; err == nil; {
		var did bool
		if did, err = book.Roll(t.Context()); !did {
			break
		}
	}
	if err != nil {
		require.ErrorIs(t, err, usage.ErrFull)
		require.False(t, errors.Is(err, usage.ErrCheckpoint))
	}
	require.LessOrEqual(t, store.Bytes(), int64(5<<20))
	page, err := book.Query(t.Context(), usage.AllTenants(), usage.Query{Measures: []usage.Measure{{Of: "quantity"}, {Aggregation: usage.Count}}})
	require.NoError(t, err)
	require.Equal(t, page.Rows[0].Get("count").String(), page.Rows[0].Get("quantity").String())
}

// What a query has made of series is kept for the next one, and takes no room
// from records: a store holds as many whether it is read or not.
func TestCeilingOfSeries(t *testing.T) {
	t.Parallel()
	const most = 16 << 20
	record := func(i int) usage.Record {
		return usage.Record{Tenant: "acme", Source: "s", ID: fmt.Sprint("r-", i), Meter: "m", Start: benchStart.Add(time.Duration(i) * time.Minute),
			Values: usage.Values{}.WithNumber("quantity", aggregate.Int(1)), Dimensions: usage.Dimensions{}.With("request", fmt.Sprint("request-", i))}
	}
	booked := func(read bool) int {
		store := memstore.New(&memstore.Options{MaxBytes: most})
		book, err := usage.New(store, nil)
		require.NoError(t, err)
		query := func(want int) {
			page, err := book.Query(t.Context(), usage.ForTenant("acme"), usage.Query{GroupBy: []string{"request"}, Limit: 10})
			require.NoError(t, err)
			require.Len(t, page.Rows, min(10, want))
			require.LessOrEqual(t, store.Bytes(), int64(most))
		}
		n, step := 0, 5000
		for err == nil {
			var did int
			did, err = fill(t, book, step, func(i int) usage.Record { return record(n + i) })
			n += did
			if read && n <= 4*step {
				before := store.Bytes()
				query(n)
				require.Greater(t, store.Bytes(), before, "it is kept while there is room")
			}
		}
		require.ErrorIs(t, err, usage.ErrFull)
		query(n)
		return n
	}
	require.Equal(t, booked(false), booked(true))
}
