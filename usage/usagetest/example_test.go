package usagetest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// t stands for the *testing.T of a host's test.
var t = &example{}

type example struct{ recorder }

func (e *example) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }

var _ testing.TB = t

func ExampleNewBook() {
	book, clock := usagetest.NewBook(t, nil)
	// The service under test would be given book and clock.Now.
	book.Append(t.Context(), usagetest.Record(t, "acme", "requests").At(clock.Now()).Build())
	usagetest.Booked(t, book, usage.ForTenant("acme")).Count(1)
	fmt.Println(book.Now())
	// Output: 2026-03-02 12:00:00 +0000 UTC
}

func ExampleRecord() {
	eu := usagetest.Record(t, "acme", "requests").Dim("region", "eu") // a template
	r := eu.ID("r-1").Quantity("1.5").AtText("2026-03-02T13:00:00+01:00").Build()
	fmt.Println(r.Tenant, r.Meter, r.ID, r.Values, r.Dimensions)
	// Output: acme requests r-1 {quantity=1.5} {region="eu"}
}

func ExampleBooked() {
	book, _ := usagetest.NewBook(t, nil)
	usagetest.Append(t, book, usagetest.Record(t, "acme", "requests").Quantity("0.1").Build(),
		usagetest.Record(t, "acme", "requests").Quantity("0.2").Build())
	usagetest.Booked(t, book, usage.ForTenant("acme")).Total("quantity", "0.3").Count(3)
	// Output: usagetest: 2 records count, want 3
}

func ExampleClock() {
	clock := usagetest.NewClock(time.Time{})
	clock.Advance(90 * time.Minute)
	fmt.Println(clock.Now().Format(time.Kitchen))
	// Output: 1:30PM
}

func ExampleAppend() {
	book, _ := usagetest.NewBook(t, nil)
	r := usagetest.Record(t, "acme", "requests").ID("1").Build()
	fmt.Println(usagetest.Append(t, book, r, r).Duplicates)
	// Output: 1
}
