package usage_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/shopspring/decimal"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

var march = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func request(tenant, id, region string, at time.Time, quantity string) usage.Record {
	return usage.Record{Tenant: tenant, Source: "gateway", ID: id, Meter: "requests", Start: at,
		Values:     usage.Quantity(decimal.RequireFromString(quantity)),
		Dimensions: usage.Dimensions{}.With("region", region)}
}

func Example() {
	ctx := context.Background()
	book, err := usage.New(memstore.New(nil), nil)
	if err != nil {
		log.Fatal(err)
	}
	receipt, err := book.Append(ctx,
		request("acme", "1", "eu", march.Add(time.Hour), "0.1"),
		request("acme", "2", "us", march.Add(2*time.Hour), "0.2"),
		request("globex", "1", "eu", march, "7"),
		request("acme", "1", "eu", march.Add(time.Hour), "0.10"), // sent twice, counts once
	)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("inserted", receipt.Inserted, "duplicates", receipt.Duplicates)

	page, err := book.Query(ctx, usage.ForTenant("acme"), usage.Query{
		From: march, To: march.AddDate(0, 1, 0), GroupBy: []string{"region"}, OrderBy: "quantity desc"})
	if err != nil {
		log.Fatal(err)
	}
	for _, row := range page.Rows {
		fmt.Println(row.Get("region"), row.Get("quantity"))
	}
	// Output:
	// inserted 3 duplicates 1
	// us 0.2
	// eu 0.1
}

func ExampleBook_Append() {
	book, _ := usage.New(memstore.New(nil), nil)
	receipt, err := book.Append(context.Background(),
		request("acme", "1", "eu", march, "1"),
		request("acme", "1", "eu", march, "2"), // the same identity, other content
		request("acme", "", "eu", march, "3"),
	)
	var failed *usage.AppendError
	if errors.As(err, &failed) {
		for _, f := range failed.Failures {
			fmt.Println(f)
		}
	}
	fmt.Println(errors.Is(err, usage.ErrConflict), errors.Is(err, usage.ErrRejected), receipt.Inserted)
	// Output:
	// record 1 (id "1"): conflict: id: an earlier record of the batch has the same identity and other content (conflict)
	// record 2 (id ""): rejected: id: is required (required)
	// true true 1
}

func ExampleBook_Void() {
	ctx := context.Background()
	book, _ := usage.New(memstore.New(nil), nil)
	r := request("acme", "1", "eu", march, "5")
	book.Append(ctx, r)
	total := func() {
		page, _ := book.Query(ctx, usage.ForTenant("acme"), usage.Query{Measures: []usage.Measure{{Of: "quantity"}}, ZeroFill: true})
		fmt.Println(page.Rows[0].Get("quantity"))
	}
	total()
	book.Void(ctx, r.Identity(), "support", "ticket-7")
	total()
	// A void of the void brings the record back.
	book.Void(ctx, usage.Identity{Tenant: "acme", Source: "support", ID: "ticket-7"}, "support", "ticket-8")
	total()
	// Output:
	// 5
	// 0
	// 5
}

func ExampleBook_Replace() {
	ctx := context.Background()
	book, _ := usage.New(memstore.New(nil), nil)
	wrong := request("acme", "1", "eu", march, "5")
	book.Append(ctx, wrong)
	book.Replace(ctx, wrong.Identity(), request("acme", "1-corrected", "us", march, "4.5"))
	for row, err := range book.Rows(ctx, usage.ForTenant("acme"), usage.Query{}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(row.Record.ID, row.Record.Dimensions, row.Record.Values)
	}
	// The target is corrected now; its replacement is what can be corrected next.
	_, err := book.Void(ctx, wrong.Identity(), "support", "ticket-9")
	fmt.Println(errors.Is(err, usage.ErrAlreadyCorrected))
	// Output:
	// 1-corrected {region="us"} {quantity=4.5}
	// true
}

func ExampleBook_Query() {
	ctx := context.Background()
	book, _ := usage.New(memstore.New(nil), nil)
	zurich, _ := time.LoadLocation("Europe/Zurich")
	book.Append(ctx,
		request("acme", "1", "eu", time.Date(2026, 3, 28, 23, 30, 0, 0, time.UTC), "1"), // the 29th in Zurich
		request("acme", "2", "eu", time.Date(2026, 3, 29, 21, 59, 0, 0, time.UTC), "2"),
		request("acme", "3", "eu", time.Date(2026, 3, 29, 22, 0, 0, 0, time.UTC), "4"), // the 30th
	)
	page, _ := book.Query(ctx, usage.ForTenant("acme"), usage.Query{
		From: time.Date(2026, 3, 28, 0, 0, 0, 0, zurich), To: time.Date(2026, 3, 31, 0, 0, 0, 0, zurich),
		Window: aggregate.Window{Unit: aggregate.Day, Location: zurich}, Measures: []usage.Measure{{Of: "quantity"}}, ZeroFill: true,
	})
	for _, row := range page.Rows {
		fmt.Println(row.Start.In(zurich).Format(time.DateOnly), row.End.Sub(row.Start), row.Get("quantity"))
	}

	_, err := book.Query(ctx, usage.ForTenant("acme"), usage.Query{Filter: "region eq 'eu' and quantity gt"})
	var fault *filter.Error
	if errors.As(err, &fault) {
		fmt.Println("byte", fault.Span.From)
	}
	// Output:
	// 2026-03-28 24h0m0s 0
	// 2026-03-29 23h0m0s 3
	// 2026-03-30 24h0m0s 4
	// byte 30
}

func ExampleBook_Explain() {
	ctx := context.Background()
	late := march.AddDate(0, 0, 2)
	book, _ := usage.New(memstore.New(nil), &usage.Options{Now: func() time.Time { return late }})
	book.Append(ctx, request("acme", "1", "eu", march, "5"), request("acme", "2", "eu", march, "7"))
	book.Void(ctx, usage.Identity{Tenant: "acme", Source: "gateway", ID: "2"}, "support", "ticket-1")

	query := usage.Query{GroupBy: []string{"region"}, Window: aggregate.Window{Unit: aggregate.Day}}
	page, _ := book.Query(ctx, usage.ForTenant("acme"), query)
	why, err := book.Explain(ctx, usage.ForTenant("acme"), usage.Explain{Query: query, Row: &page.Rows[0]})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(page.Rows[0].Get("quantity"))
	for _, r := range why.Records {
		fmt.Printf("%s %s counted %v, late %v, why %q\n", r.ID, r.Values, r.Counted, r.Late, r.Why)
	}

	id := usage.Identity{Tenant: "acme", Source: "gateway", ID: "2"}
	one, _ := book.Explain(ctx, usage.ForTenant("acme"), usage.Explain{Query: query, Identity: &id})
	fmt.Println(one.Booked, one.Records[0].Detail)
	// Output:
	// 5
	// 1 {quantity=5} counted true, late true, why ""
	// 2 {quantity=7} counted false, late true, why "voided"
	// true voided by source "support", id "ticket-1" (sequence 3)
}

func ExampleBook_Plan() {
	ctx := context.Background()
	book, _ := usage.New(memstore.New(nil), nil)
	for hour := range 100 {
		book.Append(ctx, request("acme", fmt.Sprint(hour), "eu", march.Add(time.Duration(hour)*time.Hour), "1"))
	}
	book.Roll(ctx)
	plan, err := book.Plan(ctx, usage.ForTenant("acme"), usage.Query{From: march, To: march.AddDate(0, 0, 4), Window: aggregate.Window{Unit: aggregate.Day}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(plan)
	// Output:
	// as of 100, rollups of 100: 4 rows read for 96 records
	//   rollup meter by day from 2026-03-01T00:00:00Z to 2026-03-05T00:00:00Z: 4 rows
}

func ExampleParseMeasures() {
	measures, err := usage.ParseMeasures("sum(quantity) as quantity, count() as n, max(cost) of 'api-calls' as dearest")
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range measures {
		fmt.Printf("%s: %s of %q, meter %q\n", m.Name, m.Aggregation, m.Of, m.Meter)
	}
	// Output:
	// quantity: sum of "quantity", meter ""
	// n: count of "", meter ""
	// dearest: max of "cost", meter "api-calls"
}
