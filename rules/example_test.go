package rules_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/rules"
)

// A rule in Go, and a record that breaks it. (assetRecord makes a Subject; in a
// service that is a usage.Record.)
func Example() {
	set, err := rules.New("2026-01", []rules.Rule{{
		Name:        "asset-max",
		Application: "assetmonitor",
		Unit:        "asset",
		Max:         rules.Some(aggregate.Int(1000)),
		Scale:       rules.Some(0),
		Billable:    rules.Some(true),
	}}, nil)
	if err != nil {
		panic(err)
	}
	at := time.Date(2026, 1, 20, 12, 0, 0, 0, time.UTC)
	fine := set.Judge(assetRecord(val("quantity", "10")), at)
	fmt.Println(fine.Verdict, fine.Billable, fine.Version, fine.Rules)
	wrong := set.Judge(assetRecord(val("quantity", "5000.5")), at)
	fmt.Println(wrong.Verdict, wrong.Billable)
	for _, v := range wrong.Violations {
		fmt.Println(v, v.Params)
	}
	// Output:
	// verified true 2026-01 [asset-max]
	// refused false
	// values.quantity: quantity 5000.5 is above the rule's maximum 1000 (max) [{max 1000} {quantity 5000.5}]
	// values.quantity: quantity 5000.5 has 1 decimal places, the rule allows 0 (scale) [{scale 0} {quantity 5000.5}]
}

func ExampleParse() {
	list, err := rules.Parse([]byte(`[
		{"name": "asset-max", "application": "assetmonitor", "unit": "asset", "max": 1000, "until": "2026-07-01"},
		{"name": "asset-max", "application": "assetmonitor", "unit": "asset", "max": 2000, "from": "2026-07-01"},
		{"name": "fresh", "maxAge": "90d", "maxFuture": "5m"}
	]`))
	if err != nil {
		panic(err)
	}
	text, _ := json.Marshal(list[1])
	fmt.Println(len(list), string(text))
	// Output: 3 {"name":"asset-max","application":"assetmonitor","unit":"asset","from":"2026-07-01T00:00:00Z","max":"2000"}
}

func ExampleNew_faults() {
	_, err := rules.New("", []rules.Rule{
		{Name: "a", Min: rules.Some(aggregate.Int(2)), Max: rules.Some(aggregate.Int(1))},
		{Name: "b", Filter: "region eq"},
	}, nil)
	var faults *rules.SetError
	if errors.As(err, &faults) {
		for _, f := range faults.Faults {
			fmt.Println(f)
		}
	}
	// Output:
	// rule 0 (a): max: 1 is below min, 2; no number is in between
	// rule 1 (b): filter: at byte 9: unexpected end, expected a field, literal, function or parenthesis
}

// A service changes its rules while it runs; what was judged before stays
// judged.
func ExampleHolder() {
	old, _ := rules.New("2026-01", []rules.Rule{{Name: "max", Max: rules.Some(aggregate.Int(5))}}, nil)
	fresh, _ := rules.New("2026-02", []rules.Rule{{Name: "max", Max: rules.Some(aggregate.Int(50))}}, nil)
	var holder rules.Holder
	record, at := assetRecord(val("quantity", "10")), time.Date(2026, 1, 20, 12, 0, 0, 0, time.UTC)
	fmt.Println(holder.Judge(record, at).Verdict)
	holder.Swap(old)
	fmt.Println(holder.Judge(record, at).Verdict, holder.Current().Version())
	holder.Swap(fresh)
	fmt.Println(holder.Judge(record, at).Verdict, holder.Current().Version())
	// Output:
	// unverified
	// refused 2026-01
	// verified 2026-02
}

// The definition of a figure, as a configuration file has it. usage.Book.KPI
// works it out.
func ExampleParseKPIs() {
	list, err := rules.ParseKPIs([]byte(`[{
		"provider": "demo", "application": "assetmonitor", "applicationDisplayName": "Asset Monitor",
		"name": "asset-count", "units": ["asset"], "daily": "MAX", "monthly": "AVG", "preFill": "PREVIOUS"
	}]`))
	if err != nil {
		panic(err)
	}
	set, err := rules.NewKPIs(list, nil)
	if err != nil {
		panic(err)
	}
	kpi, ok := set.Get(rules.KPIKey{Provider: "demo", Application: "assetmonitor", Name: "asset-count"})
	fmt.Println(ok, kpi.DisplayName, kpi.Meter, kpi.Value, kpi.Factor, kpi.Daily, kpi.Monthly, kpi.PreFill)

	_, err = rules.ParseKPIs([]byte(`[{"name": "k", "unit": "asset", "daily": "max"}]`))
	fmt.Println(err)
	// Output:
	// true asset-count app-usage quantity 1 MAX AVG PREVIOUS
	// rules: KPI 0 (k): unit: unknown key, allowed are provider, application, applicationDisplayName, name, displayName, units, filter, factor, daily, monthly, preFill, meter, value; KPI 0 (k): daily: unknown function "max", allowed are SUM, MAX, MIN, AVG, LAST, COUNT
}
