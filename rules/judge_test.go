package rules_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/rules"
)

// TestCodes breaks each demand once: code, field, message and figures as a user
// sees them.
func TestCodes(t *testing.T) {
	t.Parallel()
	type param = rules.Param
	for _, tc := range []struct {
		name   string
		rule   rules.Rule
		record *record
		want   rules.Violation
	}{
		{
			"max", rules.Rule{Max: num(t, "1000")}, assetRecord(val("quantity", "5000")),
			rules.Violation{Code: "max", Field: "values.quantity", Message: "quantity 5000 is above the rule's maximum 1000",
				Params: []param{{"max", "1000"}, {"quantity", "5000"}}},
		},
		{
			"min", rules.Rule{Min: num(t, "0.5")}, assetRecord(val("quantity", "0.499999999999999999999999999999")),
			rules.Violation{Code: "min", Field: "values.quantity", Message: "quantity 0.499999999999999999999999999999 is below the rule's minimum 0.5",
				Params: []param{{"min", "0.5"}, {"quantity", "0.499999999999999999999999999999"}}},
		},
		{
			"max of another value", rules.Rule{Value: "cost", Max: num(t, "-1")}, assetRecord(val("cost", "0")),
			rules.Violation{Code: "max", Field: "values.cost", Message: "cost 0 is above the rule's maximum -1",
				Params: []param{{"max", "-1"}, {"cost", "0"}}},
		},
		{
			"limits by value", rules.Rule{Values: map[string]rules.Limits{"cost": {Scale: rules.Some(2)}}}, assetRecord(val("cost", "1.234")),
			rules.Violation{Code: "scale", Field: "values.cost", Message: "cost 1.234 has 3 decimal places, the rule allows 2",
				Params: []param{{"scale", "2"}, {"cost", "1.234"}}},
		},
		{
			"limits of every other value", rules.Rule{Values: map[string]rules.Limits{"*": {Sign: rules.NonNegative}, "quantity": {Max: num(t, "99")}}},
			assetRecord(val("cost", "-0.01"), val("listCost", "1")),
			rules.Violation{Code: "sign", Field: "values.cost", Message: "cost -0.01 is not zero or above, as the rule demands",
				Params: []param{{"sign", "nonNegative"}, {"cost", "-0.01"}}},
		},
		{
			"sign positive", rules.Rule{Sign: rules.Positive}, assetRecord(val("quantity", "0")),
			rules.Violation{Code: "sign", Field: "values.quantity", Message: "quantity 0 is not positive, as the rule demands",
				Params: []param{{"sign", "positive"}, {"quantity", "0"}}},
		},
		{
			"scale", rules.Rule{Scale: rules.Some(0)}, assetRecord(val("quantity", "2.5")),
			rules.Violation{Code: "scale", Field: "values.quantity", Message: "quantity 2.5 has 1 decimal places, the rule allows 0",
				Params: []param{{"scale", "0"}, {"quantity", "2.5"}}},
		},
		{
			"required dimension", rules.Rule{Required: []string{"resource", "region"}}, assetRecord(),
			rules.Violation{Code: "required", Field: "dimensions.region", Message: "dimension region is required", Params: []param{{"required", "region"}}},
		},
		{
			"required value", rules.Rule{Values: map[string]rules.Limits{"cost": {Required: true}}}, assetRecord(),
			rules.Violation{Code: "required", Field: "values.cost", Message: "value cost is required", Params: []param{{"required", "cost"}}},
		},
		{
			"forbidden", rules.Rule{Forbidden: []string{"region", "password"}}, assetRecord(dim("password", "")),
			rules.Violation{Code: "forbidden", Field: "dimensions.password", Message: "dimension password is forbidden", Params: []param{{"forbidden", "password"}}},
		},
		{
			"allowed", rules.Rule{Application: "assetmonitor", Allowed: []string{"provider", "resource"}, Units: []string{"asset"}, UserTypes: []string{"user"}},
			assetRecord(dim("region", "eu")),
			rules.Violation{Code: "allowed", Field: "dimensions.region",
				Message: "dimension region is not allowed, the rule allows provider, resource, application, unit, userType",
				Params:  []param{{"allowed", "provider, resource, application, unit, userType"}, {"dimension", "region"}}},
		},
		{
			"allowed values", rules.Rule{AllowedValues: map[string][]string{"region": {"eu", "us"}, "resource": {"plant-1"}}}, assetRecord(dim("region", "")),
			rules.Violation{Code: "allowed_values", Field: "dimensions.region", Message: `region "" is not allowed, the rule allows eu, us`,
				Params: []param{{"allowedValues", "eu, us"}, {"region", ""}}},
		},
		{
			"units", rules.Rule{Units: []string{"GB", "MB"}}, assetRecord(),
			rules.Violation{Code: "units", Field: "dimensions.unit", Message: `unit "asset" is not allowed, the rule allows GB, MB`,
				Params: []param{{"units", "GB, MB"}, {"unit", "asset"}}},
		},
		{
			"no unit", rules.Rule{Units: []string{"GB", "MB"}}, assetRecord(without("unit")),
			rules.Violation{Code: "units", Field: "dimensions.unit", Message: `unit is absent, the rule allows GB, MB`, Params: []param{{"units", "GB, MB"}}},
		},
		{
			"user types", rules.Rule{UserTypes: []string{"user", "tenant"}}, assetRecord(dim("userType", "agent")),
			rules.Violation{Code: "user_types", Field: "dimensions.userType", Message: `userType "agent" is not allowed, the rule allows user, tenant`,
				Params: []param{{"userTypes", "user, tenant"}, {"userType", "agent"}}},
		},
		{
			"no user type", rules.Rule{UserTypes: []string{"user"}}, assetRecord(without("userType")),
			rules.Violation{Code: "user_types", Field: "dimensions.userType", Message: `userType is absent, the rule allows user`, Params: []param{{"userTypes", "user"}}},
		},
		{
			"tenants", rules.Rule{Tenants: []string{"globex", "initech"}}, assetRecord(),
			rules.Violation{Code: "tenants", Field: "tenant", Message: `tenant "acme" is not among the rule's tenants`, Params: []param{{"tenant", "acme"}}},
		},
		{
			"max age", rules.Rule{MaxAge: rules.Some(48 * time.Hour)}, assetRecord(starting("2026-01-18T11:59:59.999999Z")),
			rules.Violation{Code: "max_age", Field: "start", Message: "start 2026-01-18T11:59:59.999999Z is more than the rule's greatest age 2d ago",
				Params: []param{{"maxAge", "2d"}, {"start", "2026-01-18T11:59:59.999999Z"}}},
		},
		{
			"max future", rules.Rule{MaxFuture: rules.Some(5 * time.Minute)}, assetRecord(starting("2026-01-20T12:05:00.000001Z")),
			rules.Violation{Code: "max_future", Field: "start", Message: "start 2026-01-20T12:05:00.000001Z is more than the rule's 5m ahead",
				Params: []param{{"maxFuture", "5m"}, {"start", "2026-01-20T12:05:00.000001Z"}}},
		},
		{
			"filter that fails", rules.Rule{Filter: "values/quantity div values/count gt 1"}, assetRecord(val("count", "0")),
			rules.Violation{Code: "filter", Field: "rules"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.rule.Name = "the-rule"
			tc.rule.Billable = rules.Some(true)
			got := compile(t, nil, tc.rule).Judge(tc.record, now)
			require.Equal(t, rules.Refused, got.Verdict)
			require.False(t, got.Billable, "refused usage is never billable")
			require.Equal(t, []string{"the-rule"}, got.Rules)
			require.Len(t, got.Violations, 1, "%v", got.Violations)
			tc.want.Rule = "the-rule"
			if tc.want.Code == rules.CodeFilter {
				require.Contains(t, got.Violations[0].Message, "the filter of rule the-rule cannot be evaluated: ")
				tc.want.Message = got.Violations[0].Message
			}
			require.Equal(t, tc.want, got.Violations[0])
		})
	}
}

// TestSatisfied meets each demand exactly at its edge.
func TestSatisfied(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		rule   rules.Rule
		record *record
	}{
		{"max is included", rules.Rule{Max: num(t, "10.00")}, assetRecord()},
		{"min is included", rules.Rule{Min: num(t, "1e1")}, assetRecord()},
		{"no such value, no limit", rules.Rule{Max: num(t, "1")}, assetRecord(without("quantity"), val("cost", "5"))},
		{"trailing zeros are no decimals", rules.Rule{Scale: rules.Some(0)}, assetRecord(val("quantity", "2.000"))},
		{"nonNegative zero", rules.Rule{Sign: rules.NonNegative}, assetRecord(val("quantity", "-0.0"))},
		{"nonPositive zero", rules.Rule{Sign: rules.NonPositive}, assetRecord(val("quantity", "0"))},
		{"negative", rules.Rule{Sign: rules.Negative}, assetRecord(val("quantity", "-1"))},
		{"own limits come before those of every other value", rules.Rule{Min: num(t, "1"), Values: map[string]rules.Limits{"*": {Max: num(t, "1")}}}, assetRecord()},
		{"required and empty", rules.Rule{Required: []string{"resource"}}, assetRecord(dim("resource", ""))},
		{"allowed values of an absent dimension", rules.Rule{AllowedValues: map[string][]string{"region": {"eu"}}}, assetRecord()},
		{"exactly the greatest age", rules.Rule{MaxAge: rules.Some(48 * time.Hour)}, assetRecord(starting("2026-01-18T12:00:00Z"))},
		{"no age in the future", rules.Rule{MaxAge: rules.Some(time.Duration(0))}, assetRecord(starting("2026-01-21T12:00:00Z"))},
		{"exactly the greatest future", rules.Rule{MaxFuture: rules.Some(time.Duration(0))}, assetRecord(starting("2026-01-20T12:00:00Z"))},
		{"tenant", rules.Rule{Tenants: []string{"globex", "acme"}}, assetRecord()},
		{"nothing demanded", rules.Rule{}, assetRecord()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.rule.Name = "r"
			got := compile(t, &rules.Options{Strict: true}, tc.rule).Judge(tc.record, now)
			require.Equal(t, rules.Judgement{Verdict: rules.Verified, Version: "v1", Rules: []string{"r"}}, got)
		})
	}
}

func TestCovers(t *testing.T) {
	t.Parallel()
	declared := func(meter, value string) string {
		if meter == "app-usage" && value == "cost" {
			return "EUR"
		}
		return ""
	}
	for _, tc := range []struct {
		name   string
		rule   rules.Rule
		record *record
		want   bool
	}{
		{"everything", rules.Rule{}, assetRecord(), true},
		{"meter", rules.Rule{Meter: "app-usage"}, assetRecord(), true},
		{"other meter", rules.Rule{Meter: "App-usage"}, assetRecord(), false},
		{"application and unit", rules.Rule{Application: "assetmonitor", Unit: "asset"}, assetRecord(), true},
		{"other unit", rules.Rule{Application: "assetmonitor", Unit: "assets"}, assetRecord(), false},
		{"absent unit", rules.Rule{Application: "assetmonitor", Unit: "asset"}, assetRecord(without("unit")), false},
		{"declared unit", rules.Rule{Unit: "EUR", Value: "cost"}, assetRecord(without("unit")), true},
		{"declared unit of another value", rules.Rule{Unit: "EUR"}, assetRecord(without("unit")), false},
		{"the record's own unit comes first", rules.Rule{Unit: "EUR", Value: "cost"}, assetRecord(), false},
		{"unit as a dimension", rules.Rule{Dimensions: map[string]string{"unit": "asset"}}, assetRecord(), true},
		{"provider", rules.Rule{Provider: "demo"}, assetRecord(), true},
		{"dimensions", rules.Rule{Dimensions: map[string]string{"resource": "plant-1", "userType": "user"}}, assetRecord(), true},
		{"one dimension differs", rules.Rule{Dimensions: map[string]string{"resource": "plant-1", "userType": "agent"}}, assetRecord(), false},
		{"empty is not absent", rules.Rule{Dimensions: map[string]string{"region": ""}}, assetRecord(), false},
		{"empty is empty", rules.Rule{Dimensions: map[string]string{"region": ""}}, assetRecord(dim("region", "")), true},
		{"filter on a dimension", rules.Rule{Filter: "startswith(resource,'plant-')"}, assetRecord(), true},
		{"filter that is false", rules.Rule{Filter: "resource eq 'plant-2'"}, assetRecord(), false},
		{"filter that is null", rules.Rule{Filter: "contains(region,'e')"}, assetRecord(), false},
		{"filter on an absent dimension", rules.Rule{Filter: "region eq null and resource ne null"}, assetRecord(), true},
		{"filter on the record's own fields", rules.Rule{Filter: "id eq 'job-1/0' and source eq 'uts' and tenant eq 'acme' and meter eq 'app-usage'"}, assetRecord(), true},
		{"filter on times", rules.Rule{Filter: "start ge 2026-01-07T08:00:00Z and start lt 2026-01-07T08:00:00.000001Z and end eq null"}, assetRecord(), true},
		{"filter on a value", rules.Rule{Filter: "values/quantity eq 10.0"}, assetRecord(), true},
		{"filter on a long value", rules.Rule{Filter: "values/quantity gt 12345678901234567890.5"}, assetRecord(val("quantity", "12345678901234567890.6")), true},
		{"bare declared value", rules.Rule{Filter: "cost gt 1 and listCost eq null"}, assetRecord(val("cost", "2")), true},
		{"qualified dimension of a value's name", rules.Rule{Filter: "dimensions/cost eq 'x'"}, assetRecord(dim("cost", "x")), true},
		{"qualified dimension of a reserved name", rules.Rule{Filter: "dimensions/meter eq 'x' and dimensions/billable eq null"}, assetRecord(dim("meter", "x")), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.rule.Name = "r"
			got := compile(t, &rules.Options{Values: []string{"cost"}, Units: declared}, tc.rule).Judge(tc.record, now)
			want := rules.Judgement{Verdict: rules.NoRule, Version: "v1"}
			if tc.want {
				want.Verdict, want.Rules = rules.Verified, []string{"r"}
			}
			require.Equal(t, want, got)
		})
	}
}

// TestDeclaredUnit: the declared unit stands in for a list of units too.
func TestDeclaredUnit(t *testing.T) {
	t.Parallel()
	opts := &rules.Options{Units: func(meter, value string) string { return map[string]string{"storage quantity": "GB"}[meter+" "+value] }}
	s := compile(t, opts, rules.Rule{Name: "r", Units: []string{"GB"}})
	storage := assetRecord(without("unit"))
	storage.meter = "storage"
	require.Equal(t, rules.Verified, s.Judge(storage, now).Verdict)
	require.Equal(t, rules.Refused, s.Judge(assetRecord(without("unit")), now).Verdict)
}

func TestPeriods(t *testing.T) {
	t.Parallel()
	january, february := instant("2026-01-01T00:00:00Z"), instant("2026-02-01T00:00:00Z")
	s := compile(t, &rules.Options{Strict: true},
		rules.Rule{Name: "asset-max", Application: "assetmonitor", From: january, Until: february, Max: num(t, "10")},
		rules.Rule{Name: "asset-max", Application: "assetmonitor", From: february, Until: instant("2026-03-01T00:00:00Z"), Max: num(t, "20")},
	)
	for _, tc := range []struct {
		name, start, quantity string
		want                  rules.Verdict
		code                  string
	}{
		{"before the first", "2025-12-31T23:59:59.999999Z", "1", rules.Refused, "no_rule"},
		{"first microsecond", "2026-01-01T00:00:00Z", "10", rules.Verified, ""},
		{"first period's bound", "2026-01-31T23:59:59.999999Z", "11", rules.Refused, "max"},
		{"second period's bound", "2026-02-01T00:00:00Z", "20", rules.Verified, ""},
		{"second period too", "2026-02-01T00:00:00Z", "21", rules.Refused, "max"},
		{"the end is not in the period", "2026-03-01T00:00:00Z", "1", rules.Refused, "no_rule"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := s.Judge(assetRecord(starting(tc.start), val("quantity", tc.quantity)), now)
			require.Equal(t, tc.want, got.Verdict)
			if tc.code != "" {
				require.Equal(t, tc.code, got.Violations[0].Code)
			}
		})
	}
	// The time of judging does not choose the rules: late usage meets its own day's.
	late := s.Judge(assetRecord(starting("2026-01-15T00:00:00Z"), val("quantity", "15")), instant("2026-02-20T00:00:00Z"))
	require.Equal(t, rules.Refused, late.Verdict)
}

func TestBillable(t *testing.T) {
	t.Parallel()
	yes, no := rules.Some(true), rules.Some(false)
	for _, tc := range []struct {
		name string
		says []*bool
		want bool
	}{
		{"nobody says", []*bool{nil, nil}, false},
		{"one says yes", []*bool{nil, yes, nil}, true},
		{"all say yes", []*bool{yes, yes}, true},
		{"one exception is enough", []*bool{yes, no, yes}, false},
		{"only no", []*bool{no}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			list := []rules.Rule{{Name: "elsewhere", Meter: "other", Billable: yes}}
			for i, b := range tc.says {
				list = append(list, rules.Rule{Name: string(rune('a' + i)), Billable: b})
			}
			got := compile(t, nil, list...).Judge(assetRecord(), now)
			require.Equal(t, rules.Verified, got.Verdict)
			require.Equal(t, tc.want, got.Billable)
		})
	}
}

func TestNoRule(t *testing.T) {
	t.Parallel()
	other := rules.Rule{Name: "other", Meter: "other", Billable: rules.Some(true)}
	r := assetRecord()

	require.Equal(t, rules.Judgement{}, (*rules.Set)(nil).Judge(r, now), "without a set nothing is verified")
	require.Equal(t, rules.Unverified, rules.Judgement{}.Verdict)
	require.Equal(t, rules.Judgement{Verdict: rules.NoRule, Version: "v1"}, compile(t, nil).Judge(r, now), "a set without rules is a set")
	require.Equal(t, rules.Judgement{Verdict: rules.NoRule, Version: "v1"}, compile(t, nil, other).Judge(r, now))
	require.Equal(t, rules.Judgement{Verdict: rules.Refused, Version: "v1", Violations: []rules.Violation{{
		Code: "no_rule", Field: "rules",
		Message: `no rule covers meter "app-usage", application "assetmonitor", unit "asset" at 2026-01-07T08:00:00Z`,
		Params:  []rules.Param{{"meter", "app-usage"}, {"application", "assetmonitor"}, {"unit", "asset"}, {"start", "2026-01-07T08:00:00Z"}},
	}}}, compile(t, &rules.Options{Strict: true}, other).Judge(r, now))
}

// TestEveryViolation breaks everything at once: all of it is told, in the order
// of the rules and of the table in the package comment.
func TestEveryViolation(t *testing.T) {
	t.Parallel()
	first := rules.Rule{
		Name: "first", Tenants: []string{"globex"}, UserTypes: []string{"agent"}, Units: []string{"GB"}, Required: []string{"z", "a"}, Forbidden: []string{"resource"},
		Allowed: []string{"unit"}, AllowedValues: map[string][]string{"provider": {"p"}, "application": {"a"}},
		Min: num(t, "11"), Max: num(t, "99"), Scale: rules.Some(0), Sign: rules.Positive,
		Values:    map[string]rules.Limits{"cost": {Required: true}, "*": {Max: num(t, "0")}},
		MaxAge:    rules.Some(time.Hour),
		MaxFuture: rules.Some(time.Duration(0)),
	}
	second := rules.Rule{Name: "second", Max: num(t, "-20")}
	s := compile(t, nil, first, rules.Rule{Name: "silent", Meter: "other", Max: num(t, "-20")}, second)
	got := s.Judge(assetRecord(val("quantity", "-10.5"), val("b", "1"), val("a", "2")), now)
	require.Equal(t, []string{"first", "second"}, got.Rules)
	var codes []string
	for _, v := range got.Violations {
		codes = append(codes, v.Rule+" "+v.Code+" "+v.Field)
	}
	require.Equal(t, []string{
		"first tenants tenant",
		"first user_types dimensions.userType",
		"first units dimensions.unit",
		"first required dimensions.z",
		"first required dimensions.a",
		"first required values.cost",
		"first forbidden dimensions.resource",
		"first allowed dimensions.resource",
		"first allowed_values dimensions.application",
		"first allowed_values dimensions.provider",
		"first min values.quantity",
		"first scale values.quantity",
		"first sign values.quantity",
		"first max values.a",
		"first max values.b",
		"first max_age start",
		"second max values.quantity",
	}, codes)
	for range 3 {
		require.Equal(t, got, s.Judge(assetRecord(val("quantity", "-10.5"), val("b", "1"), val("a", "2")), now), "the same again")
	}
}

// TestMessagesStayShort: a record's long texts and a rule's long lists do not
// make long messages.
func TestMessagesStayShort(t *testing.T) {
	t.Parallel()
	many := make([]string, 5000)
	for i := range many {
		many[i] = strings.Repeat("é", 50)
	}
	s := compile(t, nil, rules.Rule{Name: "r", AllowedValues: map[string][]string{"resource": many}})
	got := s.Judge(assetRecord(dim("resource", strings.Repeat("\n", 4000))), now)
	require.Len(t, got.Violations, 1)
	require.Less(t, len(got.Violations[0].Message), 1200)
	require.Contains(t, got.Violations[0].Message, "and 4990 more")
	require.NotContains(t, got.Violations[0].Message, "\n")
	require.Len(t, got.Violations[0].Params[1].Value, 4000, "the figure itself is whole")
}

func TestVerdictAndViolationStrings(t *testing.T) {
	t.Parallel()
	require.Equal(t, "unverified, no rule, verified, refused, invalid", strings.Join([]string{rules.Unverified.String(), rules.NoRule.String(),
		rules.Verified.String(), rules.Refused.String(), rules.Verdict(9).String()}, ", "))
	require.Equal(t, "values.quantity: too much (max)", rules.Violation{Code: "max", Field: "values.quantity", Message: "too much"}.String())
	require.Equal(t, "too much (max)", rules.Violation{Code: "max", Message: "too much"}.String())
	require.Equal(t, aggregate.Int(5), *rules.Some(aggregate.Int(5)))
}
