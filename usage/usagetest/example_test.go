package usagetest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// In a test the testing.T is that of the test; an example has none.
var t = example{}

// A clock stands still until the test moves it.
func ExampleClock() {
	clock := usagetest.NewClock(time.Date(2026, 3, 29, 0, 30, 0, 0, time.UTC))
	fmt.Println(clock.Now().Format(time.RFC3339))
	clock.Advance(90 * time.Minute)
	fmt.Println(clock.Now().Format(time.RFC3339))
	// Output:
	// 2026-03-29T00:30:00Z
	// 2026-03-29T02:00:00Z
}

func ExampleRecord() {
	r := usagetest.Record("acme", "requests").ID("r1").Quantity("1.50").Dim("region", "eu").Build()
	fmt.Println(r.Tenant, r.Meter, r.Source, r.ID, r.Start.Format(time.DateOnly), r.Values, r.Dimensions)
	// Output: acme requests test r1 2026-01-01 {quantity=1.5} {region="eu"}
}

func ExampleBuilder_Repeat() {
	for _, r := range usagetest.Record("acme", "requests").ID("hourly").Repeat(3, time.Hour) {
		fmt.Println(r.ID, r.Start.Format(time.TimeOnly), r.Values)
	}
	// Output:
	// hourly-0001 00:00:00 {quantity=1}
	// hourly-0002 01:00:00 {quantity=1}
	// hourly-0003 02:00:00 {quantity=1}
}

// A book for a test of its own.
func ExampleNewBook() {
	book, clock := usagetest.NewBook(t, &usage.Options{Meters: []usage.Meter{{Name: "requests", Closed: true, Values: []usage.MeterValue{{Name: "quantity", Integer: true}}}}})
	clock.Advance(time.Hour)
	receipt, err := book.Append(t.Context(), usagetest.Record("acme", "requests").Quantity("2").Build())
	fmt.Println(receipt.Inserted, receipt.Entries[0].Recorded.Format(time.TimeOnly), err)
	// Output: 1 01:00:00 <nil>
}

func ExampleAppend() {
	book, _ := usagetest.NewBook(t, nil)
	receipt := usagetest.Append(t, book, usagetest.Record("acme", "requests").Repeat(24, time.Hour)...)
	fmt.Println(receipt.Inserted)
	// Output: 24
}

// What is in the book, and what the test says when it is something else.
func ExampleBooked() {
	book, _ := usagetest.NewBook(t, nil)
	requests := usagetest.Record("acme", "requests").Quantity("1.5").Dim("region", "eu")
	usagetest.Append(t, book, requests.ID("r1").Build(), requests.ID("r2").Dim("region", "us").Build())

	booked := usagetest.Booked(t, book, usage.ForTenant("acme"))
	booked.Count(2).Total("quantity", "3")
	booked.Where("region eq 'eu'").Total("quantity", "1.5")
	booked.During(usagetest.Epoch().Add(time.Hour), usagetest.Epoch().Add(2*time.Hour)).Nothing()
	fmt.Println(booked.Has("acme", "test", "r2").Dimensions)

	booked.Where("region eq 'us'").Total("quantity", "2")
	// Output:
	// {region="us"}
	// usagetest: the total of quantity is 1.5, want 2; booked are
	//   acme requests test/r2 at 2026-01-01T00:00:00Z {quantity=1.5} {region="us"}
}

func ExampleVoid() {
	book, _ := usagetest.NewBook(t, nil)
	r := usagetest.Record("acme", "requests").Build()
	usagetest.Append(t, book, r, usagetest.Void(r))
	usagetest.Booked(t, book, usage.ForTenant("acme")).Nothing().HasNot("acme", "test", "r1")
	// Output:
}

var _ testing.TB = t
