package filter_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/filter"
)

// TestApplyRoundTrip holds that each transformation is printed as it is read.
func TestApplyRoundTrip(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"identity":                     "",
		"Filter( n gt 5 )":             "filter(n gt 5)",
		"groupby((a,b/c))":             "",
		"groupby((a),identity/top(1))": "",
		"aggregate($count as n,x with sum as y,z/$count as w,Forecast,Budget as b)":             "",
		"aggregate(x with sum from a,b with max from c with min as y,Forecast from a with sum)": "",
		"compute(x mul (y add 1) as z,case(a:1) as b)":                                          "compute(x mul (y add 1) as z,case(a : 1) as b)",
		"orderby(a desc,length(b) asc)":                                                         "orderby(a desc,length(b))",
		"skip(5)/top(2)":                                                                        "",
		"topcount(2,x)/topsum(1.5,x)/toppercent(5,x)/bottomcount(1,-x)/bottomsum(1,x)":          "topcount(2,x)/topsum(1.5,x)/toppercent(5,x)/bottomcount(1,-x)/bottomsum(1,x)",
		"concat(identity,top(1)/skip(1),concat(identity,identity))":                             "",
		"search(a (b) 'c)' \"d)\")/top(1)":                                                      "",
		"nest(identity as a,top(1) as b)":                                                       "",
		"addnested(x/y,filter(z) as a,addnested(b,identity as c) as d)":                         "",
		"join(a as b)": "",
		"outerjoin(a/c as b,filter(x eq 1)/top(1))":                                                "",
		"filter(a/aggregate(b with max) gt 1 and c/aggregate($count) gt 2 and d/any(e:e/f eq 'g')": "error",
	} {
		a, err := filter.ParseApply(text, nil)
		if want == "error" {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err, text)
		if want == "" {
			want = text
		}
		require.Equal(t, want, a.String())
		again, err := filter.ParseApply(a.String(), nil)
		require.NoError(t, err)
		require.Equal(t, a.String(), again.String())
		for _, s := range a.Steps {
			require.NotEmpty(t, s.Name())
			require.Less(t, s.Span().From, s.Span().To)
		}
	}
}

// TestConcatFields holds which fields rows have after branches.
func TestConcatFields(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		ok   bool
	}{
		{"concat(identity,compute(n mul 2 as twice))/filter(twice gt 5 or n gt 1)", true},
		{"aggregate(n with sum as x)/concat(identity,compute(x mul 2 as y))/filter(x gt 1 and y gt 1)", true},
		{"concat(groupby((name)),groupby((billable)))/filter(billable or name eq 'a')", true},
		{"concat(groupby((name)),groupby((billable)))/filter(n gt 5)", false},
		{"groupby((name),compute(n mul 2 as twice))/filter(twice gt 5 and n gt 1)", true},
		{"groupby((name),nest(identity as x))", false},
		{"compute(null as nothing)/filter(nothing eq 'x')", true},
		{"compute(tags as x)", false},
		{"aggregate(subscription with max as x)", false},
		{"aggregate(tags with countdistinct as x)", false},
		{"aggregate(null with sum as x)/filter(x gt 1)", true},
	} {
		a, err := filter.ParseApply(c.text, nil)
		require.NoError(t, err, c.text)
		_, err = filter.CheckApply(a, errorSchema(t))
		require.Equal(t, c.ok, err == nil, "%s: %v", c.text, err)
	}
}
