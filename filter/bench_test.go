package filter_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/filter"
)

// seedFilters are the shapes of condition that vendors' pages show.
var seedFilters = []string{
	"meterCategory eq 'Data Management'",
	"meterCategory eq 'Data Management' or usageDate le cast('2018-01-01',Edm.DateTimeOffset)",
	"customerName eq 'Contoso' and (usageDate ge cast('2018-01-01',Edm.DateTimeOffset) and usageDate le cast('2018-05-01',Edm.DateTimeOffset))",
	"meterCategory in ('Storage','Networking','Compute') and quantity gt 10.5",
	"startswith(resourceLocation,'EU') and not (quantity mul 2 le 100)",
}

func benchSchema(b testing.TB) *filter.Fields {
	b.Helper()
	s, err := filter.NewSchema(
		filter.Field{Name: "meterCategory", Type: filter.TypeString},
		filter.Field{Name: "customerName", Type: filter.TypeString},
		filter.Field{Name: "resourceLocation", Type: filter.TypeString},
		filter.Field{Name: "quantity", Type: filter.TypeDecimal},
		filter.Field{Name: "usageDate", Type: filter.TypeTime},
	)
	require.NoError(b, err)
	return s
}

func BenchmarkParse(b *testing.B) {
	for i, text := range seedFilters {
		b.Run(fmt.Sprintf("seed=%d", i), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := filter.Parse(text, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseCheck(b *testing.B) {
	schema := benchSchema(b)
	for i, text := range seedFilters {
		b.Run(fmt.Sprintf("seed=%d", i), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				e, err := filter.Parse(text, nil)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := filter.Check(e, schema); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkMatch100k evaluates over 100,000 rows and checks how many it selects
// against a loop written by hand.
func BenchmarkMatch100k(b *testing.B) {
	schema := benchSchema(b)
	r := rand.New(rand.NewPCG(1, 2))
	categories := []string{"Storage", "Networking", "Compute", "Data Management", "Databases"}
	type plain struct {
		category, location string
		quantity           int64 // thousandths
		day                int64
	}
	const n = 100_000
	rows := make([]plain, n)
	for i := range rows {
		rows[i] = plain{categories[r.IntN(len(categories))], []string{"EU-W", "US-E"}[r.IntN(2)], r.Int64N(100_000), 17_500 + r.Int64N(365)}
	}
	for _, bench := range []struct {
		text string
		hand func(plain) bool
	}{
		{"meterCategory eq 'Data Management'", func(p plain) bool { return p.category == "Data Management" }},
		{"quantity gt 10.5", func(p plain) bool { return p.quantity > 10_500 }},
		{"meterCategory in ('Storage','Networking','Compute') and quantity gt 10.5", func(p plain) bool {
			return (p.category == "Storage" || p.category == "Networking" || p.category == "Compute") && p.quantity > 10_500
		}},
		{"usageDate ge 2018-01-01 and usageDate lt 2018-02-01", func(p plain) bool { return p.day >= 17_532 && p.day < 17_563 }},
		{"startswith(resourceLocation,'EU') and not (quantity mul 2 le 100)", func(p plain) bool { return p.location == "EU-W" && p.quantity > 50_000 }},
		{"tolower(meterCategory) eq 'storage' or contains(meterCategory,'work')", func(p plain) bool { return p.category == "Storage" || p.category == "Networking" }},
	} {
		b.Run(bench.text, func(b *testing.B) {
			p := program(b, bench.text, schema)
			want := 0
			bound := make([]slots, n)
			for i, row := range rows {
				if bench.hand(row) {
					want++
				}
				for _, f := range p.Fields() {
					bound[i] = append(bound[i], map[string]filter.Value{
						"meterCategory": filter.String(row.category), "resourceLocation": filter.String(row.location),
						"quantity": filter.Number(row.quantity, 3), "usageDate": filter.Micros(row.day * 86_400_000_000),
					}[f.Name])
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				got := 0
				for i := range bound {
					ok, err := p.Match(&bound[i])
					if err != nil {
						b.Fatal(err)
					}
					if ok {
						got++
					}
				}
				if got != want {
					b.Fatalf("selected %d, want %d", got, want)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/row")
		})
	}
}
