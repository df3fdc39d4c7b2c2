package rules_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/rules"
)

// manyRules are n rules of the shape that a catalogue of applications has, and
// one that covers everything.
func manyRules(t testing.TB, n int) []rules.Rule {
	list := []rules.Rule{{Name: "everything", Sign: rules.NonNegative, MaxAge: rules.Some(365 * 24 * time.Hour), MaxFuture: rules.Some(time.Hour)}}
	for i := 1; i < n; i++ {
		list = append(list, rules.Rule{
			Name: fmt.Sprintf("rule-%d", i), Meter: "app-usage", Application: fmt.Sprintf("app-%d", i/4), Unit: []string{"asset", "GB", "call", "user"}[i%4],
			Filter:        "startswith(resource,'plant-') and values/quantity ge 0",
			Required:      []string{"resource", "provider"},
			AllowedValues: map[string][]string{"region": {"eu", "us"}},
			UserTypes:     []string{"user", "tenant"},
			Min:           num(t, "0"), Max: num(t, "1000"), Scale: rules.Some(2),
			Billable: rules.Some(true),
		})
	}
	return list
}

func benchRecord() *record {
	return assetRecord(dim("application", "app-7"), dim("region", "eu"), val("quantity", "12.25"), val("cost", "0.5"))
}

func BenchmarkJudge(b *testing.B) {
	for _, tc := range []struct {
		name    string
		rules   int
		record  *record
		want    rules.Verdict
		applied int
	}{
		{"1_rule", 1, benchRecord(), rules.Verified, 1},
		{"100_rules", 100, benchRecord(), rules.Verified, 2},
		{"1000_rules", 1000, benchRecord(), rules.Verified, 2},
		{"10000_rules", 10_000, benchRecord(), rules.Verified, 2},
		{"1000_rules_refused", 1000, assetRecord(dim("application", "app-7"), val("quantity", "5000.125")), rules.Refused, 2},
	} {
		b.Run(tc.name, func(b *testing.B) {
			s := compile(b, nil, manyRules(b, tc.rules)...)
			b.ReportAllocs()
			for b.Loop() {
				if j := s.Judge(tc.record, now); j.Verdict != tc.want || len(j.Rules) != tc.applied {
					b.Fatal(j)
				}
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	list := manyRules(b, 1000)
	b.ReportAllocs()
	for b.Loop() {
		if s, err := rules.New("", list, nil); err != nil || s.Len() != 1000 {
			b.Fatal(err)
		}
	}
}

// TestJudgeDoesNotAllocate covers every demand and every way in which names are
// given back: one rule, neighbours, and rules with others between them.
func TestJudgeDoesNotAllocate(t *testing.T) {
	everything := rules.Rule{
		Name: "all", Application: "assetmonitor", Filter: "contains(resource,'plant') and tenant in ('acme','globex') and values/quantity mul 2 lt 100 and start gt 2020-01-01T00:00:00Z",
		From: instant("2026-01-01T00:00:00Z"), Tenants: []string{"acme"}, UserTypes: []string{"user"}, Units: []string{"asset"}, Required: []string{"resource"}, Forbidden: []string{"x"},
		Allowed: []string{"provider", "region"}, AllowedValues: map[string][]string{"region": {"eu"}}, Min: num(t, "-1.5"), Max: num(t, "12345678901234567890123456789"), Scale: rules.Some(2), Sign: rules.Positive,
		Values: map[string]rules.Limits{"cost": {Required: true, Max: num(t, "5")}, "*": {Sign: rules.NonNegative}}, MaxAge: rules.Some(9000 * time.Hour), MaxFuture: rules.Some(time.Hour), Billable: rules.Some(true),
	}
	elsewhere := rules.Rule{Name: "elsewhere", Filter: "meter eq 'other'"}
	list := []rules.Rule{everything}
	for i := range 40 {
		apart := elsewhere
		apart.Name = fmt.Sprint("elsewhere-", i)
		list = append(list, apart, rules.Rule{Name: fmt.Sprint("here-", i)})
	}
	record := assetRecord(dim("region", "eu"), val("cost", "0.5"), val("listCost", "0"))
	for name, s := range map[string]*rules.Set{
		"one rule":        compile(t, nil, everything),
		"neighbours":      compile(t, nil, everything, rules.Rule{Name: "b"}, elsewhere),
		"forty-one apart": compile(t, nil, list...),
		"no rule":         compile(t, nil, elsewhere),
		"many":            compile(t, nil, manyRules(t, 1000)...),
	} {
		judge := func() {
			if j := s.Judge(record, now); len(j.Violations) > 0 {
				panic(j.Violations[0].String())
			}
		}
		judge()
		if !raceEnabled {
			require.Zero(t, testing.AllocsPerRun(200, judge), name)
		}
	}
	var none *rules.Set
	require.Zero(t, testing.AllocsPerRun(100, func() { none.Judge(record, now) }))
}
