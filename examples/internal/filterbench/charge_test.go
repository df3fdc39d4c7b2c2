package filterbench_test

import (
	"math/rand/v2"
	"time"

	"github.com/usagebook/usagebook/filter"
)

// charge is a row: what a reseller's usage report tells about one use.
type charge struct {
	category, location, customer string
	thousandths                  int64 // of the quantity
	used                         time.Time
}

// charges returns n rows, the same in each run.
func charges(n int) []charge {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	list := make([]charge, n)
	for i := range list {
		list[i] = charge{
			category:    pick("Storage", "Networking", "Compute", "Data Management", "Databases"),
			location:    pick("EU-W", "EU-N", "US-E", "AP-S"),
			customer:    pick("Contoso", "Fabrikam", "Adatum"),
			thousandths: r.Int64N(100_000),
			used:        day(2017, 12, 1).Add(time.Duration(r.IntN(200*24)) * time.Hour),
		}
	}
	return list
}

func day(year, month, day int) time.Time {
	return time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
}

// fields are the fields of a charge; the constants below are their order.
var fields = []filter.Field{
	{Name: "meterCategory", Type: filter.TypeString},
	{Name: "resourceLocation", Type: filter.TypeString},
	{Name: "customerName", Type: filter.TypeString},
	{Name: "quantity", Type: filter.TypeDecimal},
	{Name: "usageDate", Type: filter.TypeTime},
}

const (
	category = iota
	location
	customer
	quantity
	used
	columns
)
