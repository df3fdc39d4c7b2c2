package postgresstore_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
	"github.com/usagebook/usagebook/usage/postgresstore"
	"github.com/usagebook/usagebook/usage/postgresstore/pgtest"
	"github.com/usagebook/usagebook/usage/storetest"
)

// newPool returns a pool of connections to a database, changed as configure
// likes. It is closed with the test.
func newPool(t testing.TB, url string, configure func(*pgxpool.Config)) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	require.NoError(t, err)
	config.MaxConns = 16
	if configure != nil {
		configure(config)
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func open(t testing.TB, pool *pgxpool.Pool, opts *postgresstore.Options) *postgresstore.Store {
	t.Helper()
	s, err := postgresstore.Open(t.Context(), pool, opts)
	require.NoError(t, err)
	return s
}

func contract(t *testing.T, version int, configure func(*pgxpool.Config)) {
	t.Helper()
	server := pgtest.Shared(t, version)
	urls := map[usage.Store]string{}
	storetest.Run(t, func(t testing.TB) usage.Store {
		url := server.Database(t)
		s := open(t, newPool(t, url, configure), nil)
		urls[s] = url
		return s
	}, &storetest.Options{Reopen: func(t testing.TB, s usage.Store) usage.Store {
		again := open(t, newPool(t, urls[s], configure), nil)
		urls[again] = urls[s]
		return again
	}})
}

func TestContract(t *testing.T) {
	t.Parallel()
	contract(t, 0, nil)
}

// The system's PostgreSQL is one of a few years ago; this is the newest that there
// is a package of.
func TestContractOnNewestServer(t *testing.T) {
	t.Parallel()
	contract(t, 18, nil)
}

// One connection is all that a call may take: who holds one and wants another
// waits for ever.
func TestContractOfOneConnection(t *testing.T) {
	t.Parallel()
	contract(t, 0, func(c *pgxpool.Config) { c.MaxConns = 1 })
}

// Hosts behind a proxy of connections have modes of their own. The kit as a whole
// takes its time: it runs under them with USAGEBOOK_WORKLOADS, and a part of it
// always, in TestModes.
func TestContractOfModes(t *testing.T) {
	t.Parallel()
	if os.Getenv("USAGEBOOK_WORKLOADS") == "" {
		return
	}
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			contract(t, 0, func(c *pgxpool.Config) { c.ConnConfig.DefaultQueryExecMode = mode })
		})
	}
}

var modes = []pgx.QueryExecMode{pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol}

// TestModes takes every kind of statement once through every mode, and compares
// with a store in memory.
func TestModes(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			everyStatement(t, newBench(t, func(c *pgxpool.Config) { c.ConnConfig.DefaultQueryExecMode = mode }))
		})
	}
}

// everyStatement holds a store against one in memory.
func everyStatement(t *testing.T, b *bench) {
	model, err := usage.New(memstore.New(nil), &usage.Options{Now: b.clock.Now})
	require.NoError(t, err)
	both := func(records ...usage.Record) {
		t.Helper()
		want, wantErr := model.Append(t.Context(), records...)
		got, err := b.book.Append(t.Context(), records...)
		require.Equal(t, wantErr, err)
		for i := range want.Entries {
			require.Equal(t, want.Entries[i].Outcome, got.Entries[i].Outcome)
		}
	}
	var all []usage.Record
	for i := range 40 {
		r := use(fmt.Sprintf("%d \"q\" \\ '", i), int64(i))
		r.Start = epoch.Add(time.Duration(i) * 20 * time.Minute)
		r.Dimensions = r.Dimensions.With("host", fmt.Sprint(i%3))
		if i%2 == 0 {
			r.End, r.Values = r.Start.Add(time.Hour), r.Values.With("cost", decimal.New(int64(i), -2))
		}
		all = append(all, r)
	}
	both(all...)
	both(all[3], use("0 \"q\" \\ '", 99), voidOf("v", all[5]), voidOf("w", all[5]))
	b.clock.advance(time.Hour)
	ask := func() {
		t.Helper()
		for _, q := range []usage.Query{
			{Measures: []usage.Measure{{Of: "quantity"}, {Of: "cost"}}, GroupBy: []string{"host"}, Window: aggregate.Window{Unit: aggregate.Month}},
			{Filter: "host eq '1' and values/quantity gt 3 and id ne 'x'", OrderBy: "start desc"},
			{Filter: "values/cost ge 0.1 or region eq 'us'", PageSize: 7},
			{On: usage.RecordedTime, From: epoch, To: epoch.Add(time.Minute), Measures: []usage.Measure{{Aggregation: usage.CountDistinct, Of: "host"}}},
		} {
			want, err := model.Query(t.Context(), usage.ForTenant("acme"), q)
			require.NoError(t, err)
			got, err := b.book.Query(t.Context(), usage.ForTenant("acme"), q)
			require.NoError(t, err)
			require.Equal(t, shown(want.Rows), shown(got.Rows))
		}
	}
	ask()
	for _, book := range []*usage.Book{model, b.book} {
		_, err := book.Roll(t.Context())
		require.NoError(t, err)
	}
	ask()
	task := &usage.Task{Kind: "job", ID: "1", Owner: "o", Key: "k", Created: epoch, Due: epoch, Head: []byte{0, 1}, Body: []byte("body")}
	require.NoError(t, b.store.PutTask(t.Context(), task))
	claimed, err := b.store.ClaimTask(t.Context(), "job", epoch, time.Minute)
	require.NoError(t, err)
	require.Equal(t, []byte("body"), claimed.Body)
	list, err := b.store.Tasks(t.Context(), usage.TaskSelection{Kind: "job", Owner: "o", Key: "k", Pending: true, Limit: 5})
	require.NoError(t, err)
	require.Len(t, list, 1)
}

func shown(rows []usage.Row) []string {
	out := []string{}
	for i := range rows {
		line := fmt.Sprint(rows[i].Start, rows[i].End)
		for _, c := range rows[i].Cells {
			line += " " + c.String()
		}
		if r := rows[i].Record; r != nil {
			line += fmt.Sprint(" ", r.Sequence, r.Recorded, r.Identity(), r.Dimensions, r.Corrects, r.CorrectedBy)
			for name, n := range r.Values.All() {
				line += " " + name + "=" + n.String()
			}
		}
		out = append(out, line)
	}
	return out
}
