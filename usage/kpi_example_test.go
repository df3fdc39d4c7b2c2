package usage_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/usagebook/usagebook/rules"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

// The most assets of a day, summed over the days of the running month.
func ExampleBook_KPI() {
	ctx := context.Background()
	book, err := usage.New(memstore.New(nil), &usage.Options{
		KPIs: []rules.KPI{{Provider: "demo", Application: "assetmonitor", Name: "asset-count", Units: []string{"asset"}, Daily: rules.Max}},
		Now:  func() time.Time { return time.Date(2026, 1, 20, 12, 0, 0, 0, time.UTC) },
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = book.Append(ctx,
		assetUse("1", "acme", "2026-01-05T08:00:00Z", "10"),
		assetUse("2", "acme", "2026-01-05T23:30:00Z", "12"),
		assetUse("3", "acme", "2026-01-06T08:00:00Z", "8"),
		assetUse("4", "globex", "2026-01-06T10:00:00Z", "2.5"))
	if err != nil {
		log.Fatal(err)
	}
	key := rules.KPIKey{Provider: "demo", Application: "assetmonitor", Name: "asset-count"}
	result, err := book.KPI(ctx, usage.ForTenants("acme", "globex"), key, 2026, time.January)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("until", result.Until.Format(time.DateOnly))
	for _, c := range result.Consumers {
		fmt.Printf("%s: %s, from %d records on %d of %d days\n", c.Tenant, c.Value, c.Records, c.Days, result.Days)
	}
	// Output:
	// until 2026-01-20
	// acme: 20, from 3 records on 2 of 20 days
	// globex: 2.5, from 1 records on 1 of 20 days
}
