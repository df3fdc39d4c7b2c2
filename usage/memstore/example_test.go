package memstore_test

import (
	"context"
	"fmt"
	"time"

	"github.com/shopspring/decimal"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

func Example() {
	ctx := context.Background()
	book, err := usage.New(memstore.New(nil), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	record := usage.Record{
		Tenant: "acme", Source: "gateway-1", ID: "0190b3f2-5c1e-7abc-8def-0123456789ab", Meter: "requests",
		Start: time.Date(2026, 1, 31, 23, 59, 0, 0, time.UTC), Values: usage.Quantity(decimal.RequireFromString("1.50")),
	}
	for range 2 {
		receipt, err := book.Append(ctx, record)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(receipt.Entries[0].Outcome, receipt.Entries[0].Sequence)
	}
	page, err := book.Query(ctx, usage.ForTenant("acme"), usage.Query{GroupBy: []string{"meter"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, row := range page.Rows {
		fmt.Println(row.Get("meter"), row.Get("quantity"))
	}
	// Output:
	// inserted 1
	// duplicate 1
	// requests 1.5
}
