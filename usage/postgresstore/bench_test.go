package postgresstore_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/postgresstore/pgtest"
)

// benchServer is a server that writes to stable storage, with settings that both
// sides of a comparison have. The environment variable USAGEBOOK_POSTGRES names
// another one.
func benchServer(b *testing.B) string {
	b.Helper()
	if url := os.Getenv("USAGEBOOK_POSTGRES"); url != "" {
		pool := newPool(b, url, nil)
		_, err := pool.Exec(b.Context(), "DROP SCHEMA IF EXISTS usagebook CASCADE; DROP TABLE IF EXISTS plain")
		require.NoError(b, err)
		return url
	}
	return pgtest.Run(b, &pgtest.Options{Fsync: true, Settings: map[string]string{
		"shared_buffers": "1GB", "max_wal_size": "4GB", "checkpoint_timeout": "30min"}}).Database(b)
}

// benchRecords is how many records are read from. Fewer make a quick look.
func benchRecords() int {
	if n, err := strconv.Atoi(os.Getenv("USAGEBOOK_RECORDS")); err == nil {
		return n
	}
	return 200_000
}

var benchEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// benchWork makes records of 50 tenants with 40 meters and 2,000 resources, each
// of one tenant and one of 20 namespaces, over 90 days.
type benchWork struct {
	rng *rand.Rand
	n   int
}

func newBenchWork() *benchWork { return &benchWork{rng: rand.New(rand.NewPCG(1, 2))} }

func (w *benchWork) next(n int) []usage.Record {
	out := make([]usage.Record, n)
	for i := range out {
		w.n++
		resource := w.rng.IntN(2000)
		out[i] = usage.Record{
			Tenant: fmt.Sprintf("tenant-%02d", resource%50), Source: "node", ID: fmt.Sprintf("%016x%016x", w.rng.Uint64(), w.n),
			Meter:  fmt.Sprintf("meter-%02d", w.rng.IntN(40)),
			Start:  benchEpoch.Add(time.Duration(w.rng.Int64N(int64(90 * 24 * time.Hour)))).Truncate(time.Microsecond),
			Values: usage.Values{}.WithNumber(usage.QuantityName, aggregate.Fixed(w.rng.Int64N(1_000_000_000), uint8(w.rng.IntN(7)))),
			Dimensions: usage.NewDimensions(
				usage.Dimension{Name: "namespace", Value: fmt.Sprintf("ns-%02d", resource/50%20)},
				usage.Dimension{Name: "resource", Value: fmt.Sprintf("res-%04d", resource)}),
		}
	}
	return out
}

// plainTable is what somebody would write by hand.
const plainTable = `CREATE TABLE plain (
	tenant text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, source text COLLATE "C" NOT NULL, meter text COLLATE "C" NOT NULL,
	namespace text COLLATE "C" NOT NULL, resource text COLLATE "C" NOT NULL, ts timestamptz NOT NULL, quantity numeric NOT NULL, PRIMARY KEY (tenant, id));
	CREATE INDEX plain_ts ON plain (tenant, meter, ts)`

func insertPlain(ctx context.Context, pool *pgxpool.Pool, records []usage.Record) (int64, error) {
	n := len(records)
	tenant, id, source, meter, namespace, resource := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	ts, quantity := make([]time.Time, n), make([]string, n)
	for i := range records {
		r := &records[i]
		tenant[i], id[i], source[i], meter[i], ts[i] = r.Tenant, r.ID, r.Source, r.Meter, r.Start
		namespace[i], _ = r.Dimensions.Get("namespace")
		resource[i], _ = r.Dimensions.Get("resource")
		q, _ := r.Values.Number(usage.QuantityName)
		quantity[i] = q.String()
	}
	tag, err := pool.Exec(ctx, `INSERT INTO plain (tenant, id, source, meter, namespace, resource, ts, quantity)
		SELECT a, b, c, d, e, f, g, h::numeric FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::text[]) u(a, b, c, d, e, f, g, h)
		ON CONFLICT DO NOTHING`, tenant, id, source, meter, namespace, resource, ts, quantity)
	return tag.RowsAffected(), err
}

// BenchmarkAppend books batches by hand and by the store in turns, so that both
// meet the same moods of the machine. What one iteration takes is the store's;
// the metric "ofhand" is its speed as a part of that by hand.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{200, 10_000} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			url := benchServer(b)
			pool := newPool(b, url, nil)
			_, err := pool.Exec(b.Context(), plainTable)
			require.NoError(b, err)
			book, err := usage.New(open(b, pool, nil), nil)
			require.NoError(b, err)
			work := newBenchWork()
			// All series and some records are there before.
			for range benchRecords() / 10_000 {
				records := work.next(10_000)
				_, err := insertPlain(b.Context(), pool, records)
				require.NoError(b, err)
				_, err = book.Append(b.Context(), records...)
				require.NoError(b, err)
			}
			var byHand, byStore time.Duration
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				b.StopTimer()
				records := work.next(size)
				n += size
				hand := func() {
					begin := time.Now()
					if got, err := insertPlain(b.Context(), pool, records); err != nil || got != int64(size) {
						b.Fatal(got, err)
					}
					byHand += time.Since(begin)
				}
				if n/size%2 == 0 {
					hand()
				}
				begin := time.Now()
				b.StartTimer()
				receipt, err := book.Append(b.Context(), records...)
				b.StopTimer()
				byStore += time.Since(begin)
				if err != nil || receipt.Inserted != size {
					b.Fatal(receipt, err)
				}
				if n/size%2 != 0 {
					hand()
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(n)/byStore.Seconds(), "records/s")
			b.ReportMetric(float64(n)/byHand.Seconds(), "byhand/s")
			b.ReportMetric(byHand.Seconds()/byStore.Seconds(), "ofhand")
		})
	}
}

// benchQuery is a question, in the words of the book and by hand.
type benchQuery struct {
	name  string
	scope usage.Scope
	query usage.Query
	sql   string
	args  []any
}

func benchQueries() []benchQuery {
	const day = 24 * time.Hour
	sum := []usage.Measure{{Of: usage.QuantityName}}
	tenant := usage.ForTenant("tenant-07")
	q1, q4 := benchEpoch.Add(20*day), benchEpoch.Add(30*day)
	return []benchQuery{
		{"Q1", tenant, usage.Query{From: q1, To: q1.Add(30 * day), GroupBy: []string{"meter"}, Window: aggregate.Window{Unit: aggregate.Day}, Measures: sum, PageSize: 10_000},
			`SELECT date_trunc('day', ts, 'UTC'), meter, sum(quantity) FROM plain WHERE tenant = $1 AND ts >= $2 AND ts < $3 GROUP BY 1, 2 ORDER BY 1, 2`,
			[]any{"tenant-07", q1, q1.Add(30 * day)}},
		{"Q2", usage.AllTenants(), usage.Query{GroupBy: []string{"tenant"}, Window: aggregate.Window{Unit: aggregate.Month}, Measures: sum, PageSize: 10_000},
			`SELECT date_trunc('month', ts, 'UTC'), tenant, sum(quantity) FROM plain GROUP BY 1, 2 ORDER BY 1, 2`, nil},
		{"Q3", usage.AllTenants(), usage.Query{Filter: "meter in ('meter-01','meter-02','meter-03') and startswith(resource,'res-00')",
			GroupBy: []string{"resource"}, Window: aggregate.Window{Unit: aggregate.Day}, Measures: sum, OrderBy: "quantity desc", Limit: 100},
			`SELECT date_trunc('day', ts, 'UTC'), resource, sum(quantity) FROM plain WHERE meter IN ('meter-01','meter-02','meter-03') AND starts_with(resource, 'res-00')
				GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 100`, nil},
		{"Q4", tenant, usage.Query{From: q4, To: q4.Add(7 * day), Filter: "meter eq 'meter-05'", Window: aggregate.Window{Unit: aggregate.Hour}, Measures: sum},
			`SELECT date_trunc('hour', ts, 'UTC'), '', sum(quantity) FROM plain WHERE tenant = $1 AND meter = $2 AND ts >= $3 AND ts < $4 GROUP BY 1 ORDER BY 1`,
			[]any{"tenant-07", "meter-05", q4, q4.Add(7 * day)}},
	}
}

func (q *benchQuery) byHand(ctx context.Context, pool *pgxpool.Pool) ([]string, error) {
	rows, err := pool.Query(ctx, q.sql, q.args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		var at time.Time
		var group string
		var sum decimal.Decimal
		err := row.Scan(&at, &group, &sum)
		return fmt.Sprint(at.UTC().Format(time.RFC3339), " ", group, " ", sum), err
	})
}

func (q *benchQuery) byBook(ctx context.Context, book *usage.Book) ([]string, error) {
	page, err := book.Query(ctx, q.scope, q.query)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(page.Rows))
	for i := range page.Rows {
		r := &page.Rows[i]
		group := ""
		if q.query.GroupBy != nil {
			group = r.Get(q.query.GroupBy[0]).Str()
		}
		out[i] = fmt.Sprint(r.Start.Format(time.RFC3339), " ", group, " ", r.Get("quantity").String())
	}
	return out, nil
}

// BenchmarkQuery asks four questions, by hand and of the book in turns, without
// rollups and with complete ones, and compares the answers. What one iteration
// takes is the book's; the metric "byhand" is how many times as long it takes by
// hand.
func BenchmarkQuery(b *testing.B) {
	url := benchServer(b)
	pool := newPool(b, url, nil)
	_, err := pool.Exec(b.Context(), plainTable)
	require.NoError(b, err)
	book, err := usage.New(open(b, pool, nil), nil)
	require.NoError(b, err)
	work := newBenchWork()
	for range benchRecords() / 10_000 {
		records := work.next(10_000)
		_, err := insertPlain(b.Context(), pool, records)
		require.NoError(b, err)
		_, err = book.Append(b.Context(), records...)
		require.NoError(b, err)
	}
	for _, rolled := range []bool{false, true} {
		how := "raw"
		if rolled {
			how = "rolled"
			for {
				did, err := book.Roll(b.Context())
				require.NoError(b, err)
				if !did {
					break
				}
			}
		}
		_, err = pool.Exec(b.Context(), "VACUUM ANALYZE")
		require.NoError(b, err)
		for _, q := range benchQueries() {
			b.Run(fmt.Sprintf("%s/%s/records=%d", q.name, how, benchRecords()), func(b *testing.B) {
				b.ReportAllocs()
				var byHand, byBook time.Duration
				for b.Loop() {
					begin := time.Now()
					got, err := q.byBook(b.Context(), book)
					byBook += time.Since(begin)
					b.StopTimer()
					if err != nil || len(got) == 0 {
						b.Fatal(len(got), err)
					}
					begin = time.Now()
					want, err := q.byHand(b.Context(), pool)
					byHand += time.Since(begin)
					require.NoError(b, err)
					require.Equal(b, want, got)
					b.StartTimer()
				}
				b.ReportMetric(byHand.Seconds()/byBook.Seconds(), "byhand")
			})
		}
	}
}
