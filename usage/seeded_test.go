package usage_test

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

// The seeded set: 50 tenants, 40 meters, 2,000 resources of one tenant each,
// 90 days. Tenants and meters are skewed as they are in life: the largest
// tenant has about a third of the records.
const (
	seedTenants   = 50
	seedMeters    = 40
	seedResources = 2000
	seedDays      = 90
)

var seedFrom = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func seeded(n int) func(yield func(usage.Record) bool) {
	return func(yield func(usage.Record) bool) {
		rng := rand.New(rand.NewPCG(2026, 90))
		tenants := rand.NewZipf(rng, 1.6, 1.5, seedTenants-1)
		meters := rand.NewZipf(rng, 1.5, 3, seedMeters-1)
		span := int64(seedDays * 24 * time.Hour / time.Microsecond)
		tenantNames := make([]string, seedTenants)
		for i := range tenantNames {
			tenantNames[i] = fmt.Sprintf("tenant-%02d", i)
		}
		meterNames := make([]string, seedMeters)
		for i := range meterNames {
			meterNames[i] = fmt.Sprintf("meter-%02d", i)
		}
		dims := make([]usage.Dimensions, seedResources)
		for i := range dims {
			dims[i] = usage.NewDimensions(usage.Dimension{Name: "resource", Value: fmt.Sprintf("res-%04d", i)},
				usage.Dimension{Name: "region", Value: []string{"eu-central-1", "eu-west-1", "us-east-1", "us-west-2"}[i%4]})
		}
		var id [16]byte
		for range n {
			tenant := int(tenants.Uint64())
			resource := rng.IntN(seedResources/seedTenants)*seedTenants + tenant
			for i := range id {
				id[i] = byte(rng.Uint32())
			}
			r := usage.Record{Tenant: tenantNames[tenant], Source: "meterd-1", ID: hex.EncodeToString(id[:]), Meter: meterNames[meters.Uint64()],
				Start:      seedFrom.Add(time.Duration(rng.Int64N(span)) * time.Microsecond),
				Values:     usage.NewValues(usage.Value{Name: "quantity", Number: aggregate.Fixed(rng.Int64N(10_000_000), uint8(rng.IntN(7)))}),
				Dimensions: dims[resource]}
			if !yield(r) {
				return
			}
		}
	}
}

func batches(n, size int) func(yield func([]usage.Record) bool) {
	return func(yield func([]usage.Record) bool) {
		batch := make([]usage.Record, 0, size)
		for r := range seeded(n) {
			if batch = append(batch, r); len(batch) == size {
				if !yield(batch) {
					return
				}
				batch = batch[:0]
			}
		}
		if len(batch) > 0 {
			yield(batch)
		}
	}
}

// seededQueries are the questions of the benchmarks: the largest tenant by day
// and meter, everybody by month, three meters of some resources, one series of
// hours, and a filter with a term about records themselves.
var seededQueries = []struct {
	name  string
	scope usage.Scope
	query usage.Query
}{
	{"Q1", usage.ForTenant("tenant-00"), usage.Query{From: seedFrom, To: seedFrom.AddDate(0, 0, 30), GroupBy: []string{"meter"},
		Window: aggregate.Window{Unit: aggregate.Day}, Measures: sumQuantity, PageSize: 10_000}},
	{"Q2", usage.AllTenants(), usage.Query{GroupBy: []string{"tenant"}, Window: aggregate.Window{Unit: aggregate.Month}, Measures: sumQuantity, PageSize: 10_000}},
	{"Q3", usage.AllTenants(), usage.Query{Filter: "meter in ('meter-03','meter-07','meter-11') and startswith(resource,'res-01')", GroupBy: []string{"resource"},
		Window: aggregate.Window{Unit: aggregate.Day}, Measures: sumQuantity, OrderBy: "quantity desc", Limit: 100}},
	{"Q4", usage.ForTenant("tenant-00"), usage.Query{From: seedFrom.AddDate(0, 0, 40), To: seedFrom.AddDate(0, 0, 47), Filter: "meter eq 'meter-03'",
		Window: aggregate.Window{Unit: aggregate.Hour}, Measures: sumQuantity, PageSize: 10_000}},
	{"Q6", usage.AllTenants(), usage.Query{Filter: "(meter in ('meter-03','meter-07') or startswith(resource,'res-1')) and values/quantity gt 12.5 and not (tenant eq 'tenant-07') and region ne 'us-east-1'",
		GroupBy: []string{"region"}, Measures: sumQuantity}},
}

var sumQuantity = []usage.Measure{{Of: "quantity"}}

// naive is what a service has before it has a book: a slice of structs and a
// loop.
type naive struct {
	Tenant, Meter string
	Start         time.Time
	Dimensions    map[string]string
	Values        map[string]decimal.Decimal
}

func naiveOf(n int) []naive {
	out := make([]naive, 0, n)
	for r := range seeded(n) {
		x := naive{Tenant: r.Tenant, Meter: r.Meter, Start: r.Start, Dimensions: map[string]string{}, Values: map[string]decimal.Decimal{}}
		for k, v := range r.Dimensions.All() {
			x.Dimensions[k] = v
		}
		for k, v := range r.Values.All() {
			x.Values[k] = v.Decimal()
		}
		out = append(out, x)
	}
	return out
}

type naiveKey struct {
	group string
	from  time.Time
}

type naiveRow struct {
	naiveKey
	sum decimal.Decimal
}

// answer runs one of the seeded queries over the slice.
func (q naiveQuery) answer(records []naive) []naiveRow {
	sums := map[naiveKey]decimal.Decimal{}
	for i := range records {
		r := &records[i]
		if k, ok := q(r); ok {
			sums[k] = sums[k].Add(r.Values["quantity"])
		}
	}
	out := make([]naiveRow, 0, len(sums))
	for k, v := range sums {
		out = append(out, naiveRow{k, v})
	}
	return out
}

type naiveQuery func(r *naive) (naiveKey, bool)

var naiveQueries = map[string]naiveQuery{
	"Q1": func(r *naive) (naiveKey, bool) {
		if r.Tenant != "tenant-00" || r.Start.Before(seedFrom) || !r.Start.Before(seedFrom.AddDate(0, 0, 30)) {
			return naiveKey{}, false
		}
		return naiveKey{r.Meter, r.Start.Truncate(24 * time.Hour)}, true
	},
	"Q2": func(r *naive) (naiveKey, bool) {
		return naiveKey{r.Tenant, time.Date(r.Start.Year(), r.Start.Month(), 1, 0, 0, 0, 0, time.UTC)}, true
	},
	"Q3": func(r *naive) (naiveKey, bool) {
		if r.Meter != "meter-03" && r.Meter != "meter-07" && r.Meter != "meter-11" || !strings.HasPrefix(r.Dimensions["resource"], "res-01") {
			return naiveKey{}, false
		}
		return naiveKey{r.Dimensions["resource"], r.Start.Truncate(24 * time.Hour)}, true
	},
	"Q4": func(r *naive) (naiveKey, bool) {
		if r.Tenant != "tenant-00" || r.Meter != "meter-03" || r.Start.Before(seedFrom.AddDate(0, 0, 40)) || !r.Start.Before(seedFrom.AddDate(0, 0, 47)) {
			return naiveKey{}, false
		}
		return naiveKey{"", r.Start.Truncate(time.Hour)}, true
	},
	"Q6": func(r *naive) (naiveKey, bool) {
		if r.Meter != "meter-03" && r.Meter != "meter-07" && !strings.HasPrefix(r.Dimensions["resource"], "res-1") ||
			r.Values["quantity"].Cmp(decimal.New(125, -1)) <= 0 || r.Tenant == "tenant-07" || r.Dimensions["region"] == "us-east-1" {
			return naiveKey{}, false
		}
		return naiveKey{r.Dimensions["region"], time.Time{}}, true
	},
}

// sameAnswer compares the book's answer with the naive one to the last digit.
func sameAnswer(tb testing.TB, name string, page *usage.Page, want []naiveRow) {
	tb.Helper()
	sums := map[naiveKey]string{}
	for _, r := range want {
		sums[r.naiveKey] = r.sum.String()
	}
	if name == "Q3" {
		// The hundred largest, in order.
		slices.SortFunc(want, func(a, b naiveRow) int {
			if c := b.sum.Cmp(a.sum); c != 0 {
				return c
			}
			if c := a.from.Compare(b.from); c != 0 {
				return c
			}
			return strings.Compare(a.group, b.group)
		})
		require.Len(tb, page.Rows, 100)
		for i, row := range page.Rows {
			require.Equal(tb, want[i].sum.String(), row.Get("quantity").String())
			require.Equal(tb, want[i].group, row.Get("resource").Str())
		}
		return
	}
	require.Len(tb, page.Rows, len(want))
	require.Empty(tb, page.Next)
	for _, row := range page.Rows {
		k := naiveKey{from: row.Start}
		if name == "Q6" {
			k.from = time.Time{}
		}
		if name != "Q4" {
			k.group = row.Cells[0].Str()
		}
		require.Equal(tb, sums[k], row.Get("quantity").String(), "%v", k)
	}
}

func seededBook(tb testing.TB, n int, opts *usage.Options) *usage.Book {
	tb.Helper()
	book, err := usage.New(memstore.New(nil), opts)
	require.NoError(tb, err)
	for batch := range batches(n, 200) {
		receipt, err := book.Append(tb.Context(), batch...)
		require.NoError(tb, err)
		require.Equal(tb, len(batch), receipt.Inserted)
	}
	return book
}

func rollAll(tb testing.TB, book *usage.Book) {
	tb.Helper()
	for {
		did, err := book.Roll(tb.Context())
		require.NoError(tb, err)
		if !did {
			return
		}
	}
}

func TestSeededAnswers(t *testing.T) {
	t.Parallel()
	const n = 60_000
	book := seededBook(t, n, nil)
	records := naiveOf(n)
	check := func() {
		for _, q := range seededQueries {
			page, err := book.Query(t.Context(), q.scope, q.query)
			require.NoError(t, err)
			sameAnswer(t, q.name, page, naiveQueries[q.name].answer(records))
		}
	}
	check()
	rollAll(t, book)
	check()
}

// TestPlanReadsLittle holds what rollups are for: the largest tenant's days and
// everybody's months are read from at most a tenth as many rows as there are
// records behind them.
func TestPlanReadsLittle(t *testing.T) {
	t.Parallel()
	book := seededBook(t, 300_000, nil)
	rollAll(t, book)
	for _, q := range seededQueries[:2] {
		plan, err := book.Plan(t.Context(), q.scope, q.query)
		require.NoError(t, err)
		require.Positive(t, plan.Records)
		require.LessOrEqual(t, plan.RowsRead*10, plan.Records, "%s\n%s", q.name, plan)
		for _, r := range plan.Reads {
			if r.Kind != "rollup" {
				require.Zero(t, r.Rows, "%s reads records\n%s", q.name, plan)
			}
		}
	}
}

// TestZurichDaysReadRawOnlyInTheTail: days of a zone with daylight saving are
// made of UTC hours, over the change of the clocks too.
func TestZurichDaysReadRawOnlyInTheTail(t *testing.T) {
	t.Parallel()
	zurich, err := time.LoadLocation("Europe/Zurich")
	require.NoError(t, err)
	book, err := usage.New(memstore.New(nil), nil)
	require.NoError(t, err)
	// One series, twenty records an hour, across 29 March 2026.
	var batch []usage.Record
	from := time.Date(2026, 3, 15, 0, 0, 0, 0, zurich)
	for i := range 20 * 24 * 30 {
		batch = append(batch, usage.Record{Tenant: "acme", Source: "s", ID: fmt.Sprint(i), Meter: "requests",
			Start: from.Add(time.Duration(i) * 3 * time.Minute), Values: usage.Quantity(decimal.NewFromInt(1))})
	}
	book2, err := usage.New(memstore.New(nil), nil) // the same, never rolled
	require.NoError(t, err)
	add := func(records []usage.Record) {
		for part := range slices.Chunk(records, 5000) {
			for _, b := range []*usage.Book{book, book2} {
				_, err := b.Append(t.Context(), part...)
				require.NoError(t, err)
			}
		}
	}
	tail := len(batch) - 50
	add(batch[:tail])
	rollAll(t, book)
	add(batch[tail:])

	query := usage.Query{From: from, To: from.AddDate(0, 0, 30), Window: aggregate.Window{Unit: aggregate.Day, Location: zurich},
		Measures: []usage.Measure{{Of: "quantity"}, {Aggregation: usage.Count, Name: "n"}}}
	plan, err := book.Plan(t.Context(), usage.ForTenant("acme"), query)
	require.NoError(t, err)
	raw, rolled := int64(0), int64(0)
	for _, r := range plan.Reads {
		switch r.Kind {
		case "rollup":
			rolled += r.Rows
		case "tail":
			require.EqualValues(t, 30, r.Rows) // twenty are after the range, which is an hour short
		default:
			raw += r.Rows
		}
	}
	require.Zero(t, raw, plan.String())
	require.Positive(t, rolled)
	require.Less(t, rolled, int64(800), plan.String())

	a, err := book.Query(t.Context(), usage.ForTenant("acme"), query)
	require.NoError(t, err)
	b, err := book2.Query(t.Context(), usage.ForTenant("acme"), query)
	require.NoError(t, err)
	require.Equal(t, len(b.Rows), len(a.Rows))
	for i := range a.Rows {
		require.Equal(t, b.Rows[i].Start, a.Rows[i].Start)
		require.Equal(t, b.Rows[i].Get("quantity").String(), a.Rows[i].Get("quantity").String())
	}
	short := a.Rows[14] // 29 March has 23 hours
	require.Equal(t, 23*time.Hour, short.End.Sub(short.Start))
	require.Equal(t, "460", short.Get("n").String())
}

// The million records are made once for all benchmarks of a run.
var million struct {
	sync.Once
	raw, rolled *usage.Book
	naive       []naive
}

const millionRecords = 1_000_000

func needMillion(b *testing.B) {
	million.Do(func() {
		million.raw = seededBook(b, millionRecords, nil)
		million.rolled = seededBook(b, millionRecords, nil)
		rollAll(b, million.rolled)
		million.naive = naiveOf(millionRecords)
	})
}

// BenchmarkQuery1M answers each of the queries from rollups, from records and
// by the naive loop in one run, and compares the answers.
func BenchmarkQuery1M(b *testing.B) {
	needMillion(b)
	for _, q := range seededQueries {
		var want []naiveRow
		var per [3]float64
		run := func(name string, place int, f func(b *testing.B)) {
			b.Run(q.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				f(b)
				per[place] = float64(b.Elapsed()) / float64(b.N)
				if place > 0 && per[0] > 0 && per[place] > 0 {
					b.ReportMetric(per[0]/per[place], "x-naive")
				}
			})
		}
		run("naive", 0, func(b *testing.B) {
			for b.Loop() {
				want = naiveQueries[q.name].answer(million.naive)
			}
		})
		for i, book := range []*usage.Book{million.raw, million.rolled} {
			run([]string{"raw", "rolled"}[i], i+1, func(b *testing.B) {
				var page *usage.Page
				for b.Loop() {
					var err error
					if page, err = book.Query(b.Context(), q.scope, q.query); err != nil {
						b.Fatal(err)
					}
				}
				b.StopTimer()
				if want == nil {
					want = naiveQueries[q.name].answer(million.naive)
				}
				sameAnswer(b, q.name, page, want)
			})
		}
	}
}

// BenchmarkDistinct1M counts the resources of every tenant and month, which goes over
// the rollups of all series, or over all records.
func BenchmarkDistinct1M(b *testing.B) {
	needMillion(b)
	q := usage.Query{GroupBy: []string{"tenant"}, Window: aggregate.Window{Unit: aggregate.Month}, PageSize: 10_000,
		Measures: []usage.Measure{{Aggregation: usage.CountDistinct, Of: "resource", Name: "n"}}}
	seen := map[naiveKey]map[string]bool{}
	for i := range million.naive {
		r := &million.naive[i]
		k, _ := naiveQueries["Q2"](r)
		if seen[k] == nil {
			seen[k] = map[string]bool{}
		}
		seen[k][r.Dimensions["resource"]] = true
	}
	for name, book := range map[string]*usage.Book{"raw": million.raw, "rolled": million.rolled} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var page *usage.Page
			for b.Loop() {
				var err error
				if page, err = book.Query(b.Context(), usage.AllTenants(), q); err != nil {
					b.Fatal(err)
				}
			}
			require.Len(b, page.Rows, len(seen))
			for _, row := range page.Rows {
				k := naiveKey{row.Get("tenant").Str(), row.Start}
				require.Equal(b, fmt.Sprint(len(seen[k])), row.Get("n").String(), "%v", k)
			}
		})
	}
}

// BenchmarkAppend200 books batches of 200 with deduplication; every tenth batch
// comes twice.
func BenchmarkAppend200(b *testing.B) {
	b.ReportAllocs()
	var all [][]usage.Record
	for batch := range batches(millionRecords/4, 200) {
		all = append(all, slices.Clone(batch))
	}
	records := 0
	for b.Loop() {
		book, err := usage.New(memstore.New(nil), nil)
		if err != nil {
			b.Fatal(err)
		}
		inserted := 0
		for i, batch := range all {
			again := 1
			if i%10 == 0 {
				again = 2
			}
			for range again {
				receipt, err := book.Append(b.Context(), batch...)
				if err != nil {
					b.Fatal(err)
				}
				inserted += receipt.Inserted
				records += len(batch)
			}
		}
		if inserted != millionRecords/4 {
			b.Fatalf("%d inserted", inserted)
		}
	}
	b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
}
