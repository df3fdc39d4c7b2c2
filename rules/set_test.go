package rules_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/rules"
)

// TestNewFaults shows each fault as its reader sees it.
func TestNewFaults(t *testing.T) {
	t.Parallel()
	day := func(d int) time.Time { return time.Date(2026, 1, d, 0, 0, 0, 0, time.UTC) }
	one := aggregate.Int(1)
	zero := aggregate.Int(0)
	long := strings.Repeat("x", 129)
	for _, tc := range []struct {
		name string
		rule rules.Rule
		want string
	}{
		{"no name", rules.Rule{}, "rule 0: name: is required"},
		{"long name", rules.Rule{Name: long}, "rule 0 (" + strings.Repeat("x", 64) + "...): name: has 129 bytes, at most 128 are allowed"},
		{"control character", rules.Rule{Name: "a\tb"}, "rule 0 (a\tb): name: has a control character"},
		{"empty period", rules.Rule{Name: "r", From: day(2), Until: day(2)},
			"rule 0 (r): until: 2026-01-02T00:00:00Z is not after from, 2026-01-02T00:00:00Z; the period is empty"},
		{"year", rules.Rule{Name: "r", From: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}, "rule 0 (r): from: the year is outside 1 to 9999"},
		{"unit twice", rules.Rule{Name: "r", Unit: "GB", Dimensions: map[string]string{"unit": "GB"}}, "rule 0 (r): dimensions.unit: is given as unit already"},
		{"bad selector", rules.Rule{Name: "r", Meter: "a\x00"}, "rule 0 (r): meter: has a NUL character"},
		{"dimension without name", rules.Rule{Name: "r", Dimensions: map[string]string{"": "x"}}, "rule 0 (r): dimensions.: the name is required"},
		{"no tenants", rules.Rule{Name: "r", Tenants: []string{}},
			"rule 0 (r): tenants: is an empty list, which would refuse everything; leave it out to allow everything"},
		{"no allowed", rules.Rule{Name: "r", Allowed: []string{}}, "rule 0 (r): allowed: is an empty list; leave it out"},
		{"no allowed values", rules.Rule{Name: "r", AllowedValues: map[string][]string{"a": nil}}, "rule 0 (r): allowedValues.a: lists no value"},
		{"required and forbidden", rules.Rule{Name: "r", Required: []string{"a"}, Forbidden: []string{"a"}},
			`rule 0 (r): forbidden: dimension "a" is demanded by required of the same rule`},
		{"selected and forbidden", rules.Rule{Name: "r", Provider: "p", Forbidden: []string{"provider"}},
			`rule 0 (r): forbidden: dimension "provider" is demanded by a selector of the same rule`},
		{"allowed and forbidden", rules.Rule{Name: "r", Allowed: []string{"a"}, Forbidden: []string{"a"}},
			`rule 0 (r): forbidden: dimension "a" is allowed by the same rule`},
		{"selected value not allowed", rules.Rule{Name: "r", Application: "a", AllowedValues: map[string][]string{"application": {"b"}}},
			`rule 0 (r): allowedValues.application: the rule covers only records with application "a", which is not listed`},
		{"selected unit not allowed", rules.Rule{Name: "r", Unit: "GB", Units: []string{"MB"}},
			`rule 0 (r): units: the rule covers only the unit "GB", which is not listed`},
		{"selected user type not allowed", rules.Rule{Name: "r", Dimensions: map[string]string{"userType": "agent"}, UserTypes: []string{"user"}},
			`rule 0 (r): userTypes: the rule covers only the userType "agent", which is not listed`},
		{"max below min", rules.Rule{Name: "r", Min: &one, Max: &zero}, "rule 0 (r): max: 0 is below min, 1; no number is in between"},
		{"scale", rules.Rule{Name: "r", Scale: rules.Some(31)}, "rule 0 (r): scale: 31 is outside 0 to 30"},
		{"sign and max", rules.Rule{Name: "r", Sign: rules.Positive, Max: &zero}, "rule 0 (r): sign: no number within min and max is positive"},
		{"sign and min", rules.Rule{Name: "r", Values: map[string]rules.Limits{"cost": {Sign: rules.NonPositive, Min: &one}}},
			"rule 0 (r): values.cost.sign: no number within min and max is zero or below"},
		{"unknown sign", rules.Rule{Name: "r", Sign: 99}, "rule 0 (r): sign: unknown sign 99"},
		{"value without limits", rules.Rule{Name: "r", Value: "cost"}, "rule 0 (r): value: is named but has no min, max, scale or sign"},
		{"limits twice", rules.Rule{Name: "r", Max: &one, Values: map[string]rules.Limits{"quantity": {Min: &zero}}},
			"rule 0 (r): values.quantity: has limits in min, max, scale or sign already"},
		{"empty limits", rules.Rule{Name: "r", Values: map[string]rules.Limits{"cost": {}}}, "rule 0 (r): values.cost: has no limit"},
		{"everything required", rules.Rule{Name: "r", Values: map[string]rules.Limits{"*": {Required: true}}},
			"rule 0 (r): values.*.required: names no value; name the values that are required"},
		{"negative age", rules.Rule{Name: "r", MaxAge: rules.Some(-time.Hour)}, "rule 0 (r): maxAge: -1h0m0s is negative"},
		{"negative future", rules.Rule{Name: "r", MaxFuture: rules.Some(-time.Hour)}, "rule 0 (r): maxFuture: -1h0m0s is negative"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s, err := rules.New("", []rules.Rule{tc.rule}, nil)
			require.Nil(t, s)
			require.EqualError(t, err, "rules: "+tc.want)
		})
	}
}

func TestFilterFaults(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"syntax":             "resource eq",
		"not a condition":    "length(resource)",
		"types":              "values/quantity eq 'x'",
		"a booked field":     "billable eq true",
		"another one":        "recorded gt 2026-01-01T00:00:00Z",
		"nameless":           "values/ eq 1",
		"too long":           strings.Repeat("(", 100_000),
		"an exponent bomb":   "values/quantity gt 1e999999999",
		"not of the grammar": "resource == 'x'",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := rules.New("", []rules.Rule{{Name: "fine"}, {Name: "r", Filter: text}}, nil)
			var list *rules.SetError
			require.ErrorAs(t, err, &list)
			require.Len(t, list.Faults, 1)
			require.Equal(t, 1, list.Faults[0].Index)
			require.Equal(t, "filter", list.Faults[0].Field)
			var cause *filter.Error
			require.ErrorAs(t, err, &cause, "the place in the expression can be asked for")
		})
	}
}

// TestUnclearNames: a value written like a dimension is told as that, as the
// condition would never be true.
func TestUnclearNames(t *testing.T) {
	t.Parallel()
	one := aggregate.Int(1)
	for _, text := range []string{"quantity gt 5", "quantity gt '5'", "unit eq 'GB' and quantity eq null"} {
		_, err := rules.New("", []rules.Rule{{Name: "r", Filter: text}}, nil)
		require.EqualError(t, err, "rules: rule 0 (r): filter: quantity is a value in this rule; write values/quantity, or dimensions/quantity for a dimension of that name")
	}
	for _, r := range []rules.Rule{
		{Name: "r", Filter: "cost eq '1'", Value: "cost", Max: &one},
		{Name: "r", Filter: "cost eq '1'", Values: map[string]rules.Limits{"cost": {Max: &one}}},
	} {
		_, err := rules.New("", []rules.Rule{r}, nil)
		require.ErrorContains(t, err, "filter: cost is a value in this rule; write values/cost")
	}
	_, err := rules.New("", []rules.Rule{{Name: "r", Filter: "quantity gt 5 and cost gt 1", Value: "cost", Max: &one}}, &rules.Options{Values: []string{"quantity", "cost"}})
	require.NoError(t, err)
	_, err = rules.New("", []rules.Rule{{Name: "r", Filter: "values/quantity gt 5 and dimensions/quantity eq '5' and cost eq '5'"}}, nil)
	require.NoError(t, err)
}

func TestEveryFaultIsListed(t *testing.T) {
	t.Parallel()
	one, two := aggregate.Int(1), aggregate.Int(2)
	_, err := rules.New("a\nb", []rules.Rule{
		{Name: "a", Min: &two, Max: &one, Scale: rules.Some(-1)},
		{Name: "b"},
		{Filter: "("},
	}, &rules.Options{Values: []string{"cost", "meter", ""}})
	var list *rules.SetError
	require.ErrorAs(t, err, &list)
	var got []string
	for _, f := range list.Faults {
		got = append(got, fmt.Sprintf("%d %s %s", f.Index, f.Rule, f.Field))
	}
	require.Equal(t, []string{"-1  version", "-1  Values", "-1  Values", "0 a max", "0 a scale", "2  name", "2  filter"}, got)
	require.Contains(t, err.Error(), "rules: version: has a control character; Values: the name \"meter\" is reserved; write values/meter in filters; ")

	many := make([]rules.Rule, 1000)
	_, err = rules.New("", many, nil)
	require.ErrorAs(t, err, &list)
	require.Len(t, list.Faults, 1000)
	require.Contains(t, err.Error(), "; and 980 more")
	require.Less(t, len(err.Error()), 1000)
}

func TestNamesakes(t *testing.T) {
	t.Parallel()
	day := func(d int) time.Time {
		if d == 0 {
			return time.Time{}
		}
		return time.Date(2026, 1, d, 0, 0, 0, 0, time.UTC)
	}
	period := func(from, until int) rules.Rule { return rules.Rule{Name: "r", From: day(from), Until: day(until)} }
	for _, tc := range []struct {
		name string
		list []rules.Rule
		want string
	}{
		{"one after the other", []rules.Rule{period(0, 5), period(5, 10), period(10, 0)}, ""},
		{"in any order, with gaps", []rules.Rule{period(20, 0), period(2, 3), period(0, 1)}, ""},
		{"twice for ever", []rules.Rule{period(0, 0), {Name: "other"}, period(0, 0)}, "rule 2 (r): name: rule 0 has"},
		{"one microsecond", []rules.Rule{period(5, 10), {Name: "r", From: day(1), Until: day(5).Add(time.Microsecond)}}, "rule 1 (r): name: rule 0 has"},
		{"not with the next but the one after", []rules.Rule{period(1, 20), period(2, 3), period(4, 5)}, "rule 1 (r): name: rule 0 has"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := rules.New("", tc.list, nil)
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	derive := func(opts *rules.Options, list ...rules.Rule) string {
		s, err := rules.New("", list, opts)
		require.NoError(t, err)
		return s.Version()
	}
	max10, max100, scaled := aggregate.Int(10), aggregate.Int(100), *num(t, "10.0")
	zone := time.FixedZone("", 3600)
	base := derive(nil, rules.Rule{Name: "r", Max: &max10, From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)})
	require.Regexp(t, `^sha256-[0-9a-f]{32}$`, base)
	require.Equal(t, base, derive(&rules.Options{}, rules.Rule{Name: "r", Max: &scaled, From: time.Date(2026, 1, 1, 1, 0, 0, 0, zone)}), "the same meaning is the same version")
	seen := map[string]string{base: "base"}
	for name, version := range map[string]string{
		"other figure": derive(nil, rules.Rule{Name: "r", Max: &max100, From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}),
		"other name":   derive(nil, rules.Rule{Name: "s", Max: &max10, From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}),
		"strict":       derive(&rules.Options{Strict: true}, rules.Rule{Name: "r", Max: &max10, From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}),
		"values":       derive(&rules.Options{Values: []string{"x"}}, rules.Rule{Name: "r", Max: &max10, From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}),
		"none":         derive(nil),
		"a, b":         derive(nil, rules.Rule{Name: "a"}, rules.Rule{Name: "b"}),
		"b, a":         derive(nil, rules.Rule{Name: "b"}, rules.Rule{Name: "a"}),
	} {
		require.Empty(t, seen[version], name)
		seen[version] = name
	}

	s, err := rules.New("2026-03", nil, &rules.Options{Strict: true})
	require.NoError(t, err)
	require.Equal(t, "2026-03", s.Version())
	require.True(t, s.Strict())
	var none *rules.Set
	require.Equal(t, "", none.Version())
	require.False(t, none.Strict())
	require.Zero(t, none.Len())
	require.Empty(t, none.Rules())
}

// TestSetKeepsNothing: neither the caller's rules nor the copies that a Set
// hands out are the Set's own.
func TestSetKeepsNothing(t *testing.T) {
	t.Parallel()
	bound := aggregate.Int(10)
	list := []rules.Rule{{
		Name: "r", Dimensions: map[string]string{"provider": "demo"}, Tenants: []string{"acme"}, Required: []string{"unit"}, Forbidden: []string{"x"}, Allowed: []string{"resource", "userType", "application"},
		UserTypes: []string{"user"}, Units: []string{"asset"}, AllowedValues: map[string][]string{"unit": {"asset"}}, Max: &bound,
		Values: map[string]rules.Limits{"cost": {Min: rules.Some(aggregate.Int(0))}}, Scale: rules.Some(3), MaxAge: rules.Some(240 * time.Hour * 10), Billable: rules.Some(true),
	}}
	values := []string{"cost"}
	s, err := rules.New("", list, &rules.Options{Values: values})
	require.NoError(t, err)
	r := assetRecord(val("cost", "1"))
	before := s.Judge(r, now)
	require.Equal(t, rules.Verified, before.Verdict, "%v", before.Violations)

	spoil := func(r *rules.Rule) {
		r.Name = "changed"
		r.Dimensions["provider"] = "nobody"
		r.Tenants[0], r.Required[0], r.Forbidden[0], r.Allowed[0], r.UserTypes[0], r.Units[0] = "x", "x", "unit", "x", "x", "x"
		r.AllowedValues["unit"][0] = "x"
		*r.Max = aggregate.Int(0)
		*r.Values["cost"].Min = aggregate.Int(99)
		*r.Scale, *r.MaxAge, *r.Billable = 0, 0, false
	}
	copied := s.Rules()
	spoil(&list[0])
	spoil(&copied[0])
	values[0] = "quantity"
	require.Equal(t, before, s.Judge(r, now))
	require.Equal(t, "r", s.Rules()[0].Name)
}

func TestHolder(t *testing.T) {
	t.Parallel()
	var h rules.Holder
	require.Nil(t, h.Current())
	require.Equal(t, rules.Unverified, h.Judge(assetRecord(), now).Verdict)
	require.Nil(t, (*rules.Holder)(nil).Current())
	first := compile(t, nil, rules.Rule{Name: "first"})
	require.Nil(t, h.Swap(first))
	require.Same(t, first, h.Current())
	require.Equal(t, rules.Verified, h.Judge(assetRecord(), now).Verdict)
	require.Same(t, first, h.Swap(nil))
	require.Equal(t, rules.Unverified, h.Judge(assetRecord(), now).Verdict)
	require.Same(t, first, first.Current(), "a set is its own source")
}

// TestSwapWhileJudging judges from several goroutines while sets are swapped:
// every judgement is wholly of one set.
func TestSwapWhileJudging(t *testing.T) {
	t.Parallel()
	const sets = 8
	var h rules.Holder
	list := make([]*rules.Set, sets)
	for i := range list {
		version := fmt.Sprint(i)
		var all []rules.Rule
		for k := range 2*i + 1 {
			r := rules.Rule{Name: fmt.Sprintf("%s/%d", version, k), Meter: "app-usage", Max: num(t, version), Allowed: []string{"provider", "unit", "userType", "resource", "application"}}
			if k%2 == 1 {
				r.Filter = "unit eq 'none'" // leaves gaps in the list of rules that apply
			}
			all = append(all, r)
		}
		s, err := rules.New(version, all, nil)
		require.NoError(t, err)
		list[i] = s
	}
	h.Swap(list[0])
	done := make(chan struct{})
	var judging, swapping sync.WaitGroup
	faults := make(chan error, 8)
	for worker := range 4 {
		judging.Go(func() {
			r := assetRecord(val("quantity", fmt.Sprint(worker*2)))
			for range 3000 {
				j := h.Judge(r, now)
				var n int
				fmt.Sscan(j.Version, &n)
				wantVerdict := rules.Verified
				if worker*2 > n {
					wantVerdict = rules.Refused
				}
				if j.Verdict != wantVerdict || len(j.Rules) != n+1 || len(j.Violations) > 0 && len(j.Violations) != n+1 {
					faults <- fmt.Errorf("version %s: %s by %v with %v", j.Version, j.Verdict, j.Rules, j.Violations)
					return
				}
				for k, name := range j.Rules {
					if name != fmt.Sprintf("%s/%d", j.Version, 2*k) {
						faults <- errors.New("rule " + name + " in version " + j.Version)
						return
					}
				}
			}
		})
	}
	swapping.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
				h.Swap(list[i%sets])
			}
		}
	})
	judging.Wait()
	close(done)
	swapping.Wait()
	close(faults)
	for err := range faults {
		t.Error(err)
	}
}
