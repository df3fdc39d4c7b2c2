package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
)

const (
	benchRecords = 100_000
	benchBatch   = 200
	benchDays    = 90
)

// Bench measures a store with the work of a service that meters its tenants:
// 100,000 seeded records of 50 tenants, 40 meters and 2,000 resources over 90
// days, appended with deduplication in batches of 200, and four queries through
// a [usage.Book], first without rollups and then with complete ones:
//
//   - Q1: the sum by day and meter of one tenant over 30 days
//   - Q2: the sum by tenant and month over everything
//   - Q3: three meters and a prefix of the resource, by resource and day, the
//     largest 100
//   - Q4: the hours of one tenant and meter over 7 days
//
// Each query is checked to have rows. Compare stores, and a store with itself,
// on one machine only.
func Bench(b *testing.B, open func(t testing.TB) usage.Store) {
	records := benchWork()
	b.Run(fmt.Sprintf("append/batch=%d", benchBatch), func(b *testing.B) {
		b.ReportAllocs()
		var book *usage.Book
		at := len(records)
		for b.Loop() {
			if at+benchBatch > len(records) {
				b.StopTimer()
				book = benchBook(b, open)
				at = 0
				b.StartTimer()
			}
			receipt, err := book.Append(b.Context(), records[at:at+benchBatch]...)
			if err != nil || receipt.Inserted != benchBatch {
				b.Fatalf("Append: %v", err)
			}
			at += benchBatch
		}
		b.ReportMetric(float64(b.N)*benchBatch/b.Elapsed().Seconds(), "records/s")
	})
	book := benchBook(b, open)
	for at := 0; at < len(records); at += benchBatch {
		if _, err := book.Append(b.Context(), records[at:at+benchBatch]...); err != nil {
			b.Fatalf("Append: %v", err)
		}
	}
	b.Run(fmt.Sprintf("retry/batch=%d", benchBatch), func(b *testing.B) {
		b.ReportAllocs()
		at := 0
		for b.Loop() {
			receipt, err := book.Append(b.Context(), records[at:at+benchBatch]...)
			if err != nil || receipt.Duplicates != benchBatch {
				b.Fatalf("Append: %v", err)
			}
			at = (at + benchBatch) % len(records)
		}
	})
	queries(b, "raw", book)
	for {
		did, err := book.Roll(b.Context())
		if err != nil {
			b.Fatalf("Roll: %v", err)
		}
		if !did {
			break
		}
	}
	queries(b, "rolled", book)
}

func benchBook(b *testing.B, open func(t testing.TB) usage.Store) *usage.Book {
	b.Helper()
	s := open(b)
	b.Cleanup(func() { _ = s.Close() })
	book, err := usage.New(s, nil)
	if err != nil {
		b.Fatal(err)
	}
	return book
}

// benchWork makes the same records every time.
func benchWork() []usage.Record {
	rng := rand.New(rand.NewPCG(1, 1))
	out := make([]usage.Record, benchRecords)
	for i := range out {
		resource := rng.IntN(2000)
		out[i] = usage.Record{
			Tenant: fmt.Sprintf("tenant-%02d", resource%50), Source: fmt.Sprintf("node-%d", rng.IntN(8)), ID: fmt.Sprintf("%016x-%08d", rng.Uint64(), i),
			Meter:  fmt.Sprintf("meter-%02d", rng.IntN(40)),
			Start:  epoch.Add(time.Duration(rng.Int64N(int64(benchDays * 24 * time.Hour)))).Truncate(time.Millisecond),
			Values: usage.Values{}.WithNumber(usage.QuantityName, aggregate.Fixed(rng.Int64N(1_000_000), 3)),
			Dimensions: usage.NewDimensions(
				usage.Dimension{Name: "region", Value: fmt.Sprintf("region-%d", resource%5)},
				usage.Dimension{Name: "resource", Value: fmt.Sprintf("res-%04d", resource)}),
		}
	}
	return out
}

func queries(b *testing.B, how string, book *usage.Book) {
	day := 24 * time.Hour
	sum := []usage.Measure{{Of: usage.QuantityName}}
	for _, q := range []struct {
		name  string
		scope usage.Scope
		query usage.Query
	}{
		{"Q1", usage.ForTenant("tenant-07"), usage.Query{From: epoch.Truncate(day).Add(20 * day), To: epoch.Truncate(day).Add(50 * day),
			GroupBy: []string{"meter"}, Window: aggregate.Window{Unit: aggregate.Day}, Measures: sum, PageSize: 10_000}},
		{"Q2", usage.AllTenants(), usage.Query{GroupBy: []string{"tenant"}, Window: aggregate.Window{Unit: aggregate.Month}, Measures: sum, PageSize: 10_000}},
		{"Q3", usage.AllTenants(), usage.Query{Filter: "meter in ('meter-01','meter-02','meter-03') and startswith(resource,'res-00')",
			GroupBy: []string{"resource"}, Window: aggregate.Window{Unit: aggregate.Day}, Measures: sum, OrderBy: "quantity desc", Limit: 100}},
		{"Q4", usage.ForTenant("tenant-07"), usage.Query{From: epoch.Truncate(day).Add(30 * day), To: epoch.Truncate(day).Add(37 * day),
			Filter: "meter eq 'meter-05'", Window: aggregate.Window{Unit: aggregate.Hour}, Measures: sum}},
	} {
		b.Run(fmt.Sprintf("%s/%s/records=%d", q.name, how, benchRecords), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				page, err := book.Query(context.Background(), q.scope, q.query)
				if err != nil || len(page.Rows) == 0 {
					b.Fatalf("%s: %v", q.name, err)
				}
			}
		})
	}
}
