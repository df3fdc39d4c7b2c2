package filter_test

import (
	"strings"
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

// TestGroupsStayInRows holds that steps which leave the rows of a group as they are
// leave its names in them, and that no result may have the name of a group.
func TestGroupsStayInRows(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"groupby((name,region),aggregate(n with sum as t))/groupby((name),topcount(1,t))":                        "name region t",
		"groupby((name,region),aggregate(n with sum as t))/groupby((name),top(1)/compute(t mul 2 as d))":         "name region t d",
		"groupby((name,region),aggregate(n with sum as t))/groupby((name),aggregate(t with max as m)/identity)":  "name m",
		"groupby((name),groupby((name,region),aggregate(n with sum as t))/aggregate(t with max as m))":           "name m",
		"groupby((name),groupby((name,region),aggregate(n with sum as t)))":                                      "name region t",
		"groupby((name),concat(groupby((region)),aggregate($count as c)))":                                       "name region c",
		"groupby((name,region),aggregate(n with sum as t))/groupby((name),compute(t as region2)/skip(1))/top(1)": "name region t region2",
		"groupby((name),top(1))":                                            "open",
		"groupby((name),aggregate(n with sum as name))":                     "duplicate",
		"groupby((name),top(1)/aggregate(n with sum as name))":              "duplicate",
		"groupby((name),compute(n as name))":                                "duplicate",
		"groupby((name),groupby((region),aggregate(n with sum as name)))":   "duplicate",
		"groupby((name),aggregate(n with sum as x)/compute(x as name))":     "duplicate",
		"groupby((name),top(1))/aggregate(n with sum as name)":              "name",
		"concat(groupby((name)),aggregate(n with max as n))/top(1)/skip(1)": "name n",
	} {
		a, err := filter.ParseApply(text, nil)
		require.NoError(t, err, text)
		p, err := filter.CheckApply(a, errorSchema(t))
		if want == "duplicate" {
			require.ErrorIs(t, err, &filter.Error{Code: filter.CodeDuplicate}, text)
			continue
		}
		require.NoError(t, err, text)
		last := p.Stages[len(p.Stages)-1]
		require.Equal(t, p.Fields == nil, last.Open, text)
		if want == "open" {
			require.Nil(t, p.Fields, text)
			continue
		}
		require.Equal(t, p.Fields, last.Fields, text)
		var names []string
		for _, f := range p.Fields {
			names = append(names, f.Name)
		}
		require.Equal(t, want, strings.Join(names, " "), text)
	}
}

// otherwise resolves n to another field where it is aggregated.
type otherwise struct{ filter.Schema }

func (s otherwise) MeasureField(name, method string) (filter.Field, bool) {
	if name == "n" {
		return filter.Field{Name: "values/n/" + method, Type: filter.TypeDecimal}, true
	}
	return s.Field(name)
}

// TestMeasureSchema holds that a name is resolved apart where it is aggregated, and
// that a field of an earlier step goes before.
func TestMeasureSchema(t *testing.T) {
	t.Parallel()
	check := func(text string) *filter.Pipeline {
		a, err := filter.ParseApply(text, nil)
		require.NoError(t, err)
		p, err := filter.CheckApply(a, otherwise{errorSchema(t)})
		require.NoError(t, err)
		return p
	}
	p := check("filter(n gt 1)/aggregate(n mul 2 with sum as x,n with max as y)")
	require.Equal(t, "n", p.Stages[0].Filter.Fields()[0].Name)
	require.Equal(t, "values/n/sum", p.Stages[1].Measures[0].Value.Fields()[0].Name)
	require.Equal(t, "values/n/max", p.Stages[1].Measures[1].Value.Fields()[0].Name)
	p = check("compute(n add 1 as n)/aggregate(n with max as y)")
	require.Equal(t, "n", p.Stages[1].Measures[0].Value.Fields()[0].Name)
	require.Equal(t, filter.Span{From: 8, To: 20}, p.Stages[0].Computed[0].Span)
	require.Equal(t, filter.Span{From: 32, To: 47}, p.Stages[1].Measures[0].Span)
}

// aliased is a schema in which one field has two names.
type aliased struct{ filter.Schema }

func (s aliased) Field(name string) (filter.Field, bool) {
	if name == "where" || name == "dimensions/where" {
		return filter.Field{Name: "where", Type: filter.TypeString, Aliases: []string{"dimensions/where"}}, true
	}
	return s.Schema.Field(name)
}

// TestGroupsKeepAliases holds that a group is found by every name it had before.
func TestGroupsKeepAliases(t *testing.T) {
	t.Parallel()
	a, err := filter.ParseApply("groupby((dimensions/where))/filter(where eq 'a' or dimensions/where eq 'b')", nil)
	require.NoError(t, err)
	p, err := filter.CheckApply(a, aliased{errorSchema(t)})
	require.NoError(t, err)
	require.Len(t, p.Stages[1].Filter.Fields(), 1)
	a, err = filter.ParseApply("groupby((dimensions/where,where))", nil)
	require.NoError(t, err)
	_, err = filter.CheckApply(a, aliased{errorSchema(t)})
	require.ErrorIs(t, err, &filter.Error{Code: filter.CodeDuplicate})
}
