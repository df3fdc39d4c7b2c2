package usage_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

func ExampleBook_Apply() {
	ctx := context.Background()
	book, _ := usage.New(memstore.New(nil), nil)
	book.Append(ctx,
		request("acme", "1", "eu", march.Add(time.Hour), "0.5"),
		request("acme", "2", "eu", march.Add(2*time.Hour), "0.25"),
		request("acme", "3", "us", march.Add(26*time.Hour), "4"),
		request("acme", "4", "ap", march.Add(27*time.Hour), "1"),
		request("globex", "1", "eu", march, "100"),
	)
	scope := usage.ForTenant("acme")
	show := func(query usage.ApplyQuery) {
		for row, err := range book.ApplyRows(ctx, scope, query) {
			if err != nil {
				log.Fatal(err)
			}
			fmt.Println(row.Cells)
		}
	}

	fmt.Println("The two regions that used most, and what all used:")
	show(usage.ApplyQuery{Apply: "concat(groupby((region),aggregate(quantity with sum as total))/topcount(2,total),aggregate(quantity with sum as total))",
		OrderBy: "total desc"})

	fmt.Println("The busiest hour of each day:")
	show(usage.ApplyQuery{Window: aggregate.Window{Unit: aggregate.Hour},
		Apply: "aggregate(quantity with sum as total)/compute(date(start) as day)/groupby((day),topcount(1,total))"})

	_, err := book.Apply(ctx, scope, usage.ApplyQuery{Apply: "groupby((region),aggregate(quantity with sum as total))/filter(totl gt 1)"})
	var fault *filter.Error
	if errors.As(err, &fault) {
		fmt.Println(fault.Render())
	}
	// Output:
	// The two regions that used most, and what all used:
	// [ 5.75]
	// [us 4]
	// [ap 1]
	// The busiest hour of each day:
	// [2026-03-01 2026-03-01T01:00:00Z 2026-03-01T02:00:00Z 0.5]
	// [2026-03-02 2026-03-02T02:00:00Z 2026-03-02T03:00:00Z 4]
	// filter: at byte 63: there is no field totl; did you mean total?
	//   ...e(quantity with sum as total))/filter(totl gt 1)
	//                                            ^^^^
}
