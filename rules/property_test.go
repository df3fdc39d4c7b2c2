package rules_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/rules"
)

// condition is a filter with the same written in Go.
type condition struct {
	text  string
	holds func(*record) bool
}

var conditions = []condition{
	{"", func(*record) bool { return true }},
	{"region eq 'eu'", func(r *record) bool { v, ok := r.Dimension("region"); return ok && v == "eu" }},
	{"region ne 'eu'", func(r *record) bool { v, ok := r.Dimension("region"); return !ok || v != "eu" }},
	{"values/cost gt 1.5", func(r *record) bool { v, ok := rat(r, "cost"); return ok && v.Cmp(big.NewRat(3, 2)) > 0 }},
	{"not (values/cost gt 1.5)", func(r *record) bool { v, ok := rat(r, "cost"); return !ok || v.Cmp(big.NewRat(3, 2)) <= 0 }},
	{"tenant eq 'acme' or meter eq 'm1'", func(r *record) bool { return r.tenant == "acme" || r.meter == "m1" }},
}

func rat(r *record, name string) (*big.Rat, bool) {
	n, ok := r.Value(name)
	if !ok {
		return nil, false
	}
	v, ok := new(big.Rat).SetString(n.String())
	return v, ok
}

// naive judges by reading every rule as its documentation says, without index,
// compilation or shared state, and with big.Rat for numbers. It tells what is
// wrong as a sorted list of "rule code field".
func naive(list []rules.Rule, where []condition, strict bool, r *record, at time.Time) (verdict rules.Verdict, billable bool, applied, wrong []string) {
	yes, no := false, false
	for i, rule := range list {
		covered := where[i].holds(r)
		covered = covered && (rule.Meter == "" || rule.Meter == r.meter)
		for name, want := range map[string]string{"application": rule.Application, "provider": rule.Provider, "unit": rule.Unit} {
			have, ok := r.Dimension(name)
			covered = covered && (want == "" || ok && have == want)
		}
		for name, want := range rule.Dimensions {
			have, ok := r.Dimension(name)
			covered = covered && ok && have == want
		}
		covered = covered && (rule.From.IsZero() || !r.start.Before(rule.From)) && (rule.Until.IsZero() || r.start.Before(rule.Until))
		if !covered {
			continue
		}
		applied = append(applied, rule.Name)
		if rule.Billable != nil {
			yes, no = yes || *rule.Billable, no || !*rule.Billable
		}
		say := func(code, field string) { wrong = append(wrong, rule.Name+" "+code+" "+field) }
		if rule.Tenants != nil && !slices.Contains(rule.Tenants, r.tenant) {
			say("tenants", "tenant")
		}
		if kind, ok := r.Dimension("userType"); rule.UserTypes != nil && (!ok || !slices.Contains(rule.UserTypes, kind)) {
			say("user_types", "dimensions.userType")
		}
		if unit, ok := r.Dimension("unit"); rule.Units != nil && (!ok || !slices.Contains(rule.Units, unit)) {
			say("units", "dimensions.unit")
		}
		for _, name := range rule.Required {
			if _, ok := r.Dimension(name); !ok {
				say("required", "dimensions."+name)
			}
		}
		for _, name := range rule.Forbidden {
			if _, ok := r.Dimension(name); ok {
				say("forbidden", "dimensions."+name)
			}
		}
		if rule.Allowed != nil {
			mentioned := append([]string{}, rule.Allowed...)
			mentioned = append(mentioned, rule.Required...)
			for name := range rule.Dimensions {
				mentioned = append(mentioned, name)
			}
			for name := range rule.AllowedValues {
				mentioned = append(mentioned, name)
			}
			for name, mentions := range map[string]bool{"application": rule.Application != "", "provider": rule.Provider != "",
				"unit": rule.Unit != "" || rule.Units != nil, "userType": rule.UserTypes != nil} {
				if mentions {
					mentioned = append(mentioned, name)
				}
			}
			for _, d := range r.dimensions {
				if !slices.Contains(mentioned, d.name) {
					say("allowed", "dimensions."+d.name)
				}
			}
		}
		for name, values := range rule.AllowedValues {
			if have, ok := r.Dimension(name); ok && !slices.Contains(values, have) {
				say("allowed_values", "dimensions."+name)
			}
		}
		own := rule.Value
		if own == "" {
			own = "quantity"
		}
		for _, v := range r.values {
			limits, given := rule.Values[v.name]
			if !given && v.name == own && (rule.Min != nil || rule.Max != nil || rule.Scale != nil || rule.Sign != rules.AnySign) {
				limits, given = rules.Limits{Min: rule.Min, Max: rule.Max, Scale: rule.Scale, Sign: rule.Sign}, true
			}
			if !given {
				limits = rule.Values["*"]
			}
			n, _ := rat(r, v.name)
			bound := func(text string) *big.Rat { b, _ := new(big.Rat).SetString(text); return b }
			if limits.Min != nil && n.Cmp(bound(limits.Min.String())) < 0 {
				say("min", "values."+v.name)
			}
			if limits.Max != nil && n.Cmp(bound(limits.Max.String())) > 0 {
				say("max", "values."+v.name)
			}
			if limits.Scale != nil {
				power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(*limits.Scale)), nil)
				if !new(big.Rat).Mul(n, new(big.Rat).SetInt(power)).IsInt() {
					say("scale", "values."+v.name)
				}
			}
			if s := n.Sign(); limits.Sign == rules.Positive && s <= 0 || limits.Sign == rules.Negative && s >= 0 ||
				limits.Sign == rules.NonNegative && s < 0 || limits.Sign == rules.NonPositive && s > 0 {
				say("sign", "values."+v.name)
			}
		}
		for name, limits := range rule.Values {
			if _, ok := r.Value(name); limits.Required && !ok {
				say("required", "values."+name)
			}
		}
		if rule.MaxAge != nil && at.Sub(r.start) > *rule.MaxAge {
			say("max_age", "start")
		}
		if rule.MaxFuture != nil && r.start.Sub(at) > *rule.MaxFuture {
			say("max_future", "start")
		}
	}
	switch {
	case len(wrong) > 0:
		verdict = rules.Refused
	case len(applied) > 0:
		verdict, billable = rules.Verified, yes && !no
	case strict:
		verdict, wrong = rules.Refused, []string{" no_rule rules"}
	default:
		verdict = rules.NoRule
	}
	sort.Strings(wrong)
	return verdict, billable, applied, wrong
}

// dice draws rules and records from small worlds, so that most things meet.
type dice struct {
	*rand.Rand
	t *testing.T
}

func pick[T any](d dice, from ...T) T { return from[d.IntN(len(from))] }

func (d dice) once(n int) bool { return d.IntN(n) == 0 }

func (d dice) some(n int, from ...string) []string {
	var out []string
	for _, s := range from {
		if d.once(n) {
			out = append(out, s)
		}
	}
	return out
}

func (d dice) limits() rules.Limits {
	var l rules.Limits
	if d.once(2) {
		l.Min = num(d.t, pick(d, "-1", "0", "0.5"))
	}
	if d.once(2) {
		l.Max = num(d.t, pick(d, "1", "2.5", "100"))
	}
	if d.once(3) {
		l.Scale = rules.Some(d.IntN(3))
	}
	if d.once(4) {
		l.Sign = rules.Sign(pick(d, rules.Positive, rules.NonNegative))
	}
	return l
}

func (d dice) rule(i int) (rules.Rule, condition) {
	r := rules.Rule{Name: fmt.Sprintf("rule-%d", i)}
	where := conditions[0]
	if d.once(3) {
		where = pick(d, conditions...)
	}
	r.Filter = where.text
	if d.once(2) {
		r.Meter = pick(d, "m1", "m2")
	}
	if d.once(3) {
		r.Application = pick(d, "a1", "a2")
	}
	if d.once(5) {
		r.Provider = "p"
	}
	if d.once(3) {
		r.Unit = pick(d, "GB", "MB")
	}
	if d.once(4) {
		r.Dimensions = map[string]string{"region": pick(d, "eu", "us", "")}
	}
	day := func(n int) time.Time { return now.AddDate(0, 0, n) }
	if d.once(3) {
		r.From = day(-1 - d.IntN(3))
	}
	if d.once(3) {
		r.Until = day(d.IntN(3))
	}
	if d.once(6) {
		r.Tenants = pick(d, []string{"acme"}, []string{"acme", "globex"})
	}
	if d.once(6) {
		r.UserTypes = []string{"user", "tenant"}
	}
	if d.once(6) && r.Unit == "" {
		r.Units = []string{"GB"}
	}
	r.Required = d.some(10, "region", "unit", "resource")
	if d.once(10) && r.Dimensions == nil && !slices.Contains(r.Required, "region") {
		r.Forbidden = []string{"region"}
	} else if d.once(6) {
		r.Allowed = []string{"region", "provider", "application", "userType"}
	}
	if d.once(6) && r.Dimensions == nil {
		r.AllowedValues = map[string][]string{"region": {"eu", ""}}
	}
	if d.once(2) {
		own := d.limits()
		r.Min, r.Max, r.Scale, r.Sign = own.Min, own.Max, own.Scale, own.Sign
	}
	if d.once(3) {
		cost := d.limits()
		cost.Required = cost.IsZero() || d.once(4)
		r.Values = map[string]rules.Limits{"cost": cost}
		if other := d.limits(); !other.IsZero() && d.once(2) {
			r.Values["*"] = other
		}
	}
	if d.once(5) {
		r.MaxAge = rules.Some(time.Duration(d.IntN(3)) * 24 * time.Hour)
	}
	if d.once(5) {
		r.MaxFuture = rules.Some(time.Duration(d.IntN(2)) * 24 * time.Hour)
	}
	if d.once(2) {
		r.Billable = rules.Some(!d.once(4))
	}
	return r, where
}

func (d dice) record() *record {
	r := assetRecord(without("quantity"))
	r.tenant, r.meter = pick(d, "acme", "globex"), pick(d, "m1", "m2", "m3")
	r.start = now.AddDate(0, 0, d.IntN(7)-4).Add(time.Duration(d.IntN(3)-1) * time.Microsecond)
	r.dimensions = nil
	for name, values := range map[string][]string{"application": {"a1", "a2", "a3"}, "provider": {"p"}, "unit": {"GB", "MB", "KB"}, "userType": {"user", "agent"},
		"region": {"eu", "us", ""}, "resource": {"x"}} {
		if !d.once(3) {
			dim(name, pick(d, values...))(r)
		}
	}
	for _, name := range []string{"quantity", "cost", "listCost"} {
		if !d.once(3) {
			val(name, pick(d, "-1", "0", "0.5", "1", "1.25", "2.5", "99.999", "1000000000000000000000.5"))(r)
		}
	}
	return r
}

func TestJudgeEqualsNaiveJudge(t *testing.T) {
	t.Parallel()
	verdicts := map[rules.Verdict]int{}
	billed, several := 0, 0
	for seed := range uint64(60) {
		d := dice{rand.New(rand.NewPCG(seed, 7)), t}
		var list []rules.Rule
		var where []condition
		for i := range d.IntN(40) {
			r, w := d.rule(i)
			list, where = append(list, r), append(where, w)
		}
		strict := d.once(2)
		s, err := rules.New("v", list, &rules.Options{Strict: strict})
		require.NoError(t, err)
		for range 200 {
			r := d.record()
			verdict, billable, applied, wrong := naive(list, where, strict, r, now)
			got := s.Judge(r, now)
			var told []string
			for _, v := range got.Violations {
				told = append(told, v.Rule+" "+v.Code+" "+v.Field)
			}
			sort.Strings(told)
			require.Equal(t, verdict, got.Verdict, "%+v", r)
			require.Equal(t, applied, got.Rules)
			require.Equal(t, wrong, told)
			require.Equal(t, billable, got.Billable)
			require.Equal(t, "v", got.Version)
			verdicts[verdict]++
			if billable {
				billed++
			}
			if len(applied) > 2 {
				several++
			}
		}
	}
	// The worlds are only a test while all of this happens often.
	for _, verdict := range []rules.Verdict{rules.NoRule, rules.Verified, rules.Refused} {
		require.Greater(t, verdicts[verdict], 200, verdict)
	}
	require.Greater(t, billed, 200)
	require.Greater(t, several, 500)
}
