package sqlitestore_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/sqlitestore"
)

// The work of the benchmarks: 2,000 resources, each of one of 50 tenants and one
// of 20 namespaces, measured by 40 meters over 90 days, quantities of up to six
// places, ids of 32 hex digits.
const (
	benchDays  = 90
	benchScale = 6
)

var benchEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// measured is a record of the work before it takes either form.
type measured struct {
	tenant, meter, namespace, resource, id string
	start                                  time.Time
	micros                                 int64 // the quantity
}

type work struct{ rng *rand.Rand }

func newWork() *work { return &work{rand.New(rand.NewPCG(7, 11))} }

func (w *work) next() measured {
	resource := w.rng.IntN(2000)
	micros := w.rng.Int64N(1_000_000_000)
	for range w.rng.IntN(4) { // up to six places
		micros -= micros % 100
	}
	return measured{
		tenant: fmt.Sprintf("tenant-%02d", resource%50), namespace: fmt.Sprintf("ns-%02d", resource%20), resource: fmt.Sprintf("res-%04d", resource),
		meter: fmt.Sprintf("meter-%02d", w.rng.IntN(40)), id: fmt.Sprintf("%016x%016x", w.rng.Uint64(), w.rng.Uint64()),
		start: benchEpoch.Add(time.Duration(w.rng.Int64N(int64(benchDays * 24 * time.Hour)))).Truncate(time.Millisecond), micros: micros,
	}
}

func (m *measured) record() usage.Record {
	return usage.Record{
		Tenant: m.tenant, Source: "meter", ID: m.id, Meter: m.meter, Start: m.start,
		Values: usage.Values{}.WithNumber(usage.QuantityName, aggregate.Fixed(m.micros, benchScale)),
		Dimensions: usage.NewDimensions(
			usage.Dimension{Name: "namespace", Value: m.namespace}, usage.Dimension{Name: "resource", Value: m.resource}),
	}
}

// handDSN has the settings that the store uses.
func handDSN(path string) string {
	return "file:" + path + "?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=cache_size(-65536)&_pragma=wal_autocheckpoint(8192)"
}

// handWritten is what one would write by hand: a table of texts and integers,
// a unique key, an index for queries.
type handWritten struct {
	db     *sql.DB
	insert *sql.Stmt
}

func newHandWritten(tb testing.TB, path string) *handWritten {
	h := openHandWritten(tb, path)
	_, err := h.db.Exec(`
		CREATE TABLE usage (tenant TEXT NOT NULL, id TEXT NOT NULL, meter TEXT NOT NULL, ts INTEGER NOT NULL,
			namespace TEXT NOT NULL, resource TEXT NOT NULL, quantity INTEGER NOT NULL, UNIQUE (tenant, id));
		CREATE INDEX usage_of ON usage (tenant, meter, ts);`)
	require.NoError(tb, err)
	h.insert, err = h.db.Prepare("INSERT INTO usage (tenant, id, meter, ts, namespace, resource, quantity) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")
	require.NoError(tb, err)
	return h
}

func openHandWritten(tb testing.TB, path string) *handWritten {
	db, err := sql.Open("sqlite", handDSN(path))
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	return &handWritten{db: db}
}

func (h *handWritten) append(tb testing.TB, batch []measured) {
	tx, err := h.db.Begin()
	require.NoError(tb, err)
	insert := tx.Stmt(h.insert)
	for i := range batch {
		m := &batch[i]
		if _, err := insert.Exec(m.tenant, m.id, m.meter, m.start.UnixMicro(), m.namespace, m.resource, m.micros); err != nil {
			tb.Fatal(err)
		}
	}
	require.NoError(tb, tx.Commit())
}

// BenchmarkAppend books batches through a book, and beside it inserts the same
// ones into a hand-written table with the same settings, after each other on
// files that grow alike.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{200, 10_000} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			dir := b.TempDir()
			s, err := sqlitestore.Open(b.Context(), filepath.Join(dir, "usage.db"), nil)
			require.NoError(b, err)
			defer s.Close()
			book, err := usage.New(s, nil)
			require.NoError(b, err)
			hand := newHandWritten(b, filepath.Join(dir, "hand.db"))
			w := newWork()
			batch, records := make([]measured, size), make([]usage.Record, size)
			var ours, theirs time.Duration
			n := 0
			for b.Loop() {
				for i := range batch {
					batch[i] = w.next()
					records[i] = batch[i].record()
				}
				begin := time.Now()
				receipt, err := book.Append(b.Context(), records...)
				ours += time.Since(begin)
				if err != nil || receipt.Inserted != size {
					b.Fatalf("Append: %v", err)
				}
				begin = time.Now()
				hand.append(b, batch)
				theirs += time.Since(begin)
				n += size
			}
			b.ReportMetric(float64(n)/ours.Seconds(), "records/s")
			b.ReportMetric(float64(n)/theirs.Seconds(), "hand-records/s")
			b.ReportMetric(theirs.Seconds()/ours.Seconds(), "times-hand")
			b.ReportMetric(float64(n), "records")
		})
	}
}

// filled is a book and a hand-written table of 1,000,000 records, made once for
// all benchmarks that read.
var filled struct {
	once         sync.Once
	dir          string
	raw, rolled  *usage.Book // the same file, with and without rollups
	hand         *handWritten
	bytes, hands float64 // on disk, a record
}

const filledRecords = 1_000_000

func TestMain(m *testing.M) {
	code := m.Run()
	if filled.dir != "" {
		_ = os.RemoveAll(filled.dir)
	}
	os.Exit(code)
}

// plain hides that the book has rollups.
type plain struct {
	*sqlitestore.Store
}

func (p plain) Checkpoint(ctx context.Context, at usage.AsOf) (usage.State, error) {
	st, err := p.Store.Checkpoint(ctx, at)
	st.Checkpoint, st.Coverage = 0, nil
	return st, err
}

func fill(b *testing.B) {
	filled.once.Do(func() {
		dir, err := os.MkdirTemp("", "sqlitestore")
		require.NoError(b, err)
		filled.dir = dir
		s, err := sqlitestore.Open(context.Background(), filepath.Join(dir, "usage.db"), nil)
		require.NoError(b, err)
		filled.rolled, err = usage.New(s, nil)
		require.NoError(b, err)
		filled.raw, err = usage.New(plain{s}, nil)
		require.NoError(b, err)
		db, err := sql.Open("sqlite", handDSN(filepath.Join(dir, "hand.db")))
		require.NoError(b, err)
		require.NoError(b, db.Close())
		filled.hand = newHandWritten(keep{b}, filepath.Join(dir, "hand.db"))
		w := newWork()
		const size = 10_000
		batch, records := make([]measured, size), make([]usage.Record, size)
		begin := time.Now()
		for range filledRecords / size {
			for i := range batch {
				batch[i] = w.next()
				records[i] = batch[i].record()
			}
			receipt, err := filled.rolled.Append(context.Background(), records...)
			require.NoError(b, err)
			require.Equal(b, size, receipt.Inserted)
			filled.hand.append(b, batch)
		}
		b.Logf("filled in %s", time.Since(begin))
		_, err = filled.hand.db.Exec("ANALYZE; PRAGMA wal_checkpoint(TRUNCATE)")
		require.NoError(b, err)
		filled.hands = bytesOf(b, filepath.Join(dir, "hand.db")) / filledRecords
		copyOf := filepath.Join(dir, "copy.db")
		require.NoError(b, s.Backup(context.Background(), copyOf))
		begin = time.Now()
		for {
			did, err := filled.rolled.Roll(context.Background())
			require.NoError(b, err)
			if !did {
				break
			}
		}
		b.Logf("rolled in %s", time.Since(begin))
		filled.bytes = bytesOf(b, filepath.Join(dir, "usage.db")) / filledRecords
		b.Logf("%.1f bytes a record with rollups, %.1f in a backup without, %.1f by hand", filled.bytes, bytesOf(b, copyOf)/filledRecords, filled.hands)
	})
}

// keep is a benchmark whose cleanups don't run at its end.
type keep struct{ testing.TB }

func (keep) Cleanup(func()) {}

func bytesOf(tb testing.TB, path string) float64 {
	info, err := os.Stat(path)
	require.NoError(tb, err)
	return float64(info.Size())
}

// BenchmarkQuery_1M asks four questions of 1,000,000 records: with rollups, from
// the records, and by hand-written SQL on the hand-written table.
func BenchmarkQuery_1M(b *testing.B) {
	fill(b)
	for _, q := range benchQuestions() {
		rows := -1
		count := func(b *testing.B, n int) {
			if rows < 0 {
				rows = n
			}
			if n == 0 || n != rows {
				b.Fatalf("%s has %d rows, want %d", q.name, n, rows)
			}
		}
		for _, of := range []struct {
			name string
			book *usage.Book
		}{{"rolled", filled.rolled}, {"raw", filled.raw}} {
			b.Run(q.name+"/"+of.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					page, err := of.book.Query(b.Context(), q.scope, q.query)
					require.NoError(b, err)
					count(b, len(page.Rows))
				}
			})
		}
		b.Run(q.name+"/hand", func(b *testing.B) {
			b.ReportAllocs()
			stmt, err := filled.hand.db.Prepare(q.hand)
			require.NoError(b, err)
			defer stmt.Close()
			for b.Loop() {
				r, err := stmt.Query(q.args...)
				require.NoError(b, err)
				n := 0
				var a, c any
				var total int64
				for ; r.Next(); n++ {
					if cols, _ := r.Columns(); len(cols) == 2 {
						err = r.Scan(&a, &total)
					} else {
						err = r.Scan(&a, &c, &total)
					}
					require.NoError(b, err)
				}
				require.NoError(b, r.Err())
				count(b, n)
			}
		})
	}
}

// question is a query of the book and the same one in SQL.
type question struct {
	name  string
	scope usage.Scope
	query usage.Query
	hand  string
	args  []any
}

func benchQuestions() []question {
	const day = 24 * time.Hour
	sum := []usage.Measure{{Of: usage.QuantityName}}
	from := benchEpoch.Add(31 * day)
	micros := func(t time.Time) int64 { return t.UnixMicro() }
	return []question{
		{"Q1", usage.ForTenant("tenant-07"), usage.Query{From: from, To: from.Add(30 * day), GroupBy: []string{"meter"},
			Window: aggregate.Window{Unit: aggregate.Day}, Measures: sum, PageSize: 10_000},
			`SELECT meter, ts/86400000000, sum(quantity) FROM usage WHERE tenant = ? AND ts >= ? AND ts < ? GROUP BY 1, 2`,
			[]any{"tenant-07", micros(from), micros(from.Add(30 * day))}},
		{"Q2", usage.AllTenants(), usage.Query{GroupBy: []string{"tenant"}, Window: aggregate.Window{Unit: aggregate.Month}, Measures: sum, PageSize: 10_000},
			`SELECT tenant, strftime('%Y-%m', ts/1000000, 'unixepoch'), sum(quantity) FROM usage GROUP BY 1, 2`, nil},
		{"Q3", usage.AllTenants(), usage.Query{Filter: "meter in ('meter-01','meter-02','meter-03') and startswith(resource,'res-00')",
			GroupBy: []string{"resource"}, Window: aggregate.Window{Unit: aggregate.Day}, Measures: sum, OrderBy: "quantity desc", Limit: 100, PageSize: 100},
			`SELECT resource, ts/86400000000, sum(quantity) AS q FROM usage WHERE meter IN ('meter-01','meter-02','meter-03') AND resource >= 'res-00' AND resource < 'res-01'
			 GROUP BY 1, 2 ORDER BY q DESC, 1, 2 LIMIT 100`, nil},
		{"Q4", usage.ForTenant("tenant-07"), usage.Query{From: from, To: from.Add(7 * day), Filter: "meter eq 'meter-05'",
			Window: aggregate.Window{Unit: aggregate.Hour}, Measures: sum, PageSize: 10_000},
			`SELECT ts/3600000000, sum(quantity) FROM usage WHERE tenant = ? AND meter = ? AND ts >= ? AND ts < ? GROUP BY 1`,
			[]any{"tenant-07", "meter-05", micros(from), micros(from.Add(7 * day))}},
	}
}
