package aggregate_test

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/usagebook/usagebook/aggregate"
)

func Example() {
	zurich, err := time.LoadLocation("Europe/Zurich")
	if err != nil {
		fmt.Println(err)
		return
	}
	f := aggregate.NewFolder[string](aggregate.Window{Unit: aggregate.Day, Location: zurich})
	add := func(region, at, quantity string) {
		t, _ := time.Parse(time.RFC3339, at)
		n, err := aggregate.ParseNumber(quantity)
		if err != nil {
			fmt.Println(err)
			return
		}
		f.Add(region, t.UnixMicro(), n)
	}
	add("eu", "2026-03-28T22:59:59Z", "0.1")
	add("eu", "2026-03-28T23:00:00Z", "0.2") // the 29th in Zurich
	add("eu", "2026-03-29T21:59:59Z", "0.1") // a day of 23 hours
	add("us", "2026-03-29T12:00:00Z", "1e-15")
	for b, s := range f.All(strings.Compare) {
		from := time.UnixMicro(b.From).In(zurich)
		hours := time.Duration(b.To-b.From) * time.Microsecond
		fmt.Println(from.Format(time.DateOnly), hours, b.Group, s.Count, s.Sum.String())
	}
	// Output:
	// 2026-03-28 24h0m0s eu 1 0.1
	// 2026-03-29 23h0m0s eu 2 0.3
	// 2026-03-29 23h0m0s us 1 0.000000000000001
}

func ExampleParseNumber() {
	for _, text := range []string{"1.50", "1e2", "-0", "1e999999999", "1,5"} {
		n, err := aggregate.ParseNumber(text)
		switch {
		case errors.Is(err, aggregate.ErrRange):
			fmt.Println("too large or too fine:", err)
		case err != nil:
			fmt.Println(err)
		default:
			fmt.Println(n)
		}
	}
	// Output:
	// 1.5
	// 100
	// 0
	// too large or too fine: number out of range: "1e999999999": more than 38 digits before the decimal point
	// not a number: "1,5": byte 1: expected a digit, a point or an exponent
}

func ExampleSum() {
	var s aggregate.Sum
	for range 10 {
		s.AddFixed(1, 1) // 0.1
	}
	fmt.Println(s.String())

	// Far beyond 128 bits and back, to the last digit.
	huge, _ := aggregate.ParseNumber("99999999999999999999999999999999999999")
	for range 3 {
		s.Add(huge)
	}
	s.AddFixed(1, 30)
	fmt.Println(s.String())
	for range 3 {
		s.Sub(huge)
	}
	fmt.Println(s.String())
	// Output:
	// 1
	// 299999999999999999999999999999999999998.000000000000000000000000000001
	// 1.000000000000000000000000000001
}

func ExampleSummary_Merge() {
	var morning, evening aggregate.Summary
	morning.AddFixed(125, 2)
	morning.AddFixed(75, 2)
	evening.AddFixed(-1, 0)
	morning.Merge(&evening)
	avg, _ := morning.Avg(aggregate.DefaultPlaces)
	fmt.Println(morning.Count, morning.Sum.String(), morning.Min, morning.Max, avg)
	// Output: 3 1 -1 1.25 0.333333333333333333
}

func ExampleLast() {
	var l aggregate.Last
	l.Add(aggregate.Position{Start: 2, Source: "meter", ID: "b"}, aggregate.Int(20))
	l.Add(aggregate.Position{Start: 1, Source: "meter", ID: "a"}, aggregate.Int(10)) // late, and earlier all the same
	p, n, ok := l.Get()
	fmt.Println(p.ID, n, ok)
	// Output: b 20 true
}

func ExampleDistinct() {
	var eu, us aggregate.Distinct
	eu.Add("alice")
	eu.Add("bob")
	us.Add("alice")
	eu.Merge(&us)
	fmt.Println(eu.Count())
	// Output: 2
}

func ExampleWindow_All() {
	cycle := aggregate.Window{Unit: aggregate.BillingCycle, AnchorDay: 31}
	from := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)
	for f, to := range cycle.All(from, from.AddDate(0, 3, 0)) {
		fmt.Println(f.Format(time.DateOnly), to.Format(time.DateOnly))
	}
	// Output:
	// 2026-01-31 2026-02-28
	// 2026-02-28 2026-03-31
	// 2026-03-31 2026-04-30
	// 2026-04-30 2026-05-31
}

func ExampleWindow_Aligned() {
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	to := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	for _, name := range []string{"UTC", "Europe/Zurich", "Asia/Kolkata"} {
		loc, _ := time.LoadLocation(name)
		w := aggregate.Window{Unit: aggregate.Day, Location: loc}
		fmt.Println(name, w.Aligned(aggregate.Day, from, to), w.Aligned(aggregate.Hour, from, to))
	}
	// Output:
	// UTC true true
	// Europe/Zurich false true
	// Asia/Kolkata false false
}

func ExampleTiles() {
	// January in Zurich, from UTC rollups by hour, day and month.
	from := time.Date(2025, 12, 31, 23, 0, 0, 0, time.UTC).UnixMicro()
	to := time.Date(2026, 1, 31, 23, 0, 0, 0, time.UTC).UnixMicro()
	for _, t := range aggregate.Tiles(from, to, aggregate.Hour, aggregate.Day, aggregate.Month) {
		fmt.Println(t.Unit, time.UnixMicro(t.From).UTC().Format("01-02 15:04"), time.UnixMicro(t.To).UTC().Format("01-02 15:04"))
	}
	// Output:
	// hour 12-31 23:00 01-01 00:00
	// day 01-01 00:00 01-31 00:00
	// hour 01-31 00:00 01-31 23:00
}

func ExampleWindow_Locator() {
	w := aggregate.Window{Unit: aggregate.Hour}
	l := w.Locator() // one per goroutine
	for _, us := range []int64{0, 1, 3_600_000_000} {
		from, to := l.Locate(us)
		fmt.Println(from, to)
	}
	// Output:
	// 0 3600000000
	// 0 3600000000
	// 3600000000 7200000000
}
