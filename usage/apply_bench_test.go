package usage_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

// BenchmarkApply100k answers pipelines over 100,000 seeded records. "query" is
// what "served" does asked as a Query; the others go over the records.
func BenchmarkApply100k(b *testing.B) {
	const n = 100_000
	book, err := usage.New(memstore.New(nil), nil)
	require.NoError(b, err)
	for batch := range batches(n, 5000) {
		mustAppend(b, book, batch...)
	}
	for {
		did, err := book.Roll(b.Context())
		require.NoError(b, err)
		if !did {
			break
		}
	}
	day := aggregate.Window{Unit: aggregate.Day}
	query := usage.Query{GroupBy: []string{"meter"}, Window: day, Measures: sumQuantity, PageSize: 10_000}
	figures, err := book.Query(b.Context(), usage.AllTenants(), query)
	require.NoError(b, err)
	b.Run("query", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			page, err := book.Query(b.Context(), usage.AllTenants(), query)
			require.NoError(b, err)
			require.Len(b, page.Rows, len(figures.Rows))
		}
	})
	for _, c := range []struct {
		name, apply string
		window      aggregate.Window
		rows        int
	}{
		{"served", "groupby((meter),aggregate(quantity with sum as s))", day, len(figures.Rows)},
		{"served top 3 per meter", "groupby((meter),aggregate(quantity with sum as s))/groupby((meter),topcount(3,s))", day, seedMeters * 3},
		{"scanned expression", "groupby((meter),aggregate(quantity mul 2 with sum as s))", aggregate.Window{}, seedMeters},
		{"scanned group", "compute(substring(region,0,2) as continent)/groupby((continent,meter),aggregate(quantity with sum as s,$count as n))", aggregate.Window{}, seedMeters * 2},
		{"scanned top 3 per meter", "groupby((meter),topcount(3,values/quantity))", aggregate.Window{}, seedMeters * 3},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				page, err := book.Apply(b.Context(), usage.AllTenants(), usage.ApplyQuery{Apply: c.apply, Window: c.window, PageSize: 10_000})
				require.NoError(b, err)
				require.Len(b, page.Rows, c.rows)
			}
		})
	}
}
