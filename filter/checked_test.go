package filter_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/filter"
)

func checked(t testing.TB, text string) *filter.Checked {
	t.Helper()
	e, err := filter.Parse(text, nil)
	require.NoError(t, err)
	c, err := filter.Check(e, errorSchema(t))
	require.NoError(t, err, text)
	return c
}

func TestConstraint(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, field, want string }{
		{"name eq 'a'", "name", "['a']"},
		{"'a' eq name", "name", "['a']"},
		{"name eq 'a' and n gt 5", "name", "['a']"},
		{"name eq 'a' and n gt 5", "n", "none"},
		{"name in ('a','b','a')", "name", "['a' 'b']"},
		{"name in ('a',null)", "name", "['a' null]"},
		{"name in ()", "name", "[]"},
		{"name eq 'a' or name eq 'b' or name in ('c','a')", "name", "['a' 'b' 'c']"},
		{"name eq 'a' or n eq 5", "name", "none"},
		{"(name eq 'a' or name eq 'b') and (name eq 'b' or name eq 'c')", "name", "['b']"},
		{"name eq 'a' and name eq 'b'", "name", "[]"},
		{"name eq null", "name", "[null]"},
		{"name ne 'a'", "name", "none"},
		{"not (name eq 'a')", "name", "none"},
		{"region eq 'a'", "region", "none"},
		{"region eq null", "region", "none"},
		{"tolower(name) eq 'a'", "name", "none"},
		{"n in (1,1.0,2)", "n", "[1 2]"},
		{"billable", "billable", "[true]"},
		{"not billable and n eq 1", "billable", "[false]"},
		{"start eq 2018-01-01", "start", "[2018-01-01T00:00:00Z]"},
		{"subscriptionId eq 01234567-89ab-cdef-0123-456789abcdef", "subscription", "[01234567-89ab-cdef-0123-456789abcdef]"},
		{"(name eq 'a' and n eq 1) and billable", "n", "[1]"},
		{"n eq 2 add 3", "n", "[5]"},
		{"tags/any(name:name eq 'a')", "name", "none"},
	} {
		t.Run(c.text+" on "+c.field, func(t *testing.T) {
			t.Parallel()
			values, ok := checked(t, c.text).Constraint(c.field)
			if !ok {
				require.Equal(t, c.want, "none")
				return
			}
			text := make([]string, len(values))
			for i, v := range values {
				text[i] = v.Literal()
			}
			require.Equal(t, c.want, "["+strings.Join(text, " ")+"]")
		})
	}
}

func TestRange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"start ge 2018-01-01 and start lt 2018-02-01", "2018-01-01T00:00:00Z true 2018-02-01T00:00:00Z false"},
		{"start gt 2018-01-01 and start ge 2018-01-01 and start le 2018-02-01", "2018-01-01T00:00:00Z false 2018-02-01T00:00:00Z true"},
		{"2018-01-01 lt start", "2018-01-01T00:00:00Z false null false"},
		{"start eq 2018-01-01", "2018-01-01T00:00:00Z true 2018-01-01T00:00:00Z true"},
		{"start in (2018-01-03,2018-01-01)", "2018-01-01T00:00:00Z true 2018-01-03T00:00:00Z true"},
		{"start in (2018-01-03,null)", "null false null false"},
		{"start ge 2018-01-01 or n eq 5", "null false null false"},
		{"start ge null", "null false null false"},
		{"start ne 2018-01-01", "null false null false"},
		{"start ge cast('2018-01-01',Edm.DateTimeOffset) and (n gt 5 and start le 2019-01-01)", "2018-01-01T00:00:00Z true 2019-01-01T00:00:00Z true"},
	} {
		t.Run(c.text, func(t *testing.T) {
			t.Parallel()
			from, to, fromIncl, toIncl := checked(t, c.text).Range("start")
			require.Equal(t, c.want, fmt.Sprintf("%s %t %s %t", from.Literal(), fromIncl, to.Literal(), toIncl))
		})
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, yes, rest string }{
		{"name eq 'a' and n gt 5 and region eq 'b'", "name eq 'a' and tolower(region) eq 'b'", "n gt 5"},
		{"name eq 'a'", "name eq 'a'", "nil"},
		{"n eq 5", "nil", "n eq 5"},
		{"n eq 5 and (name eq 'a' and n gt 3)", "name eq 'a'", "n eq 5 and n gt 3"},
		{"name eq 'a' or n eq 5", "nil", "n eq 5 or name eq 'a'"},
		{"tags/any(t:t eq name) and tags/any(t:t eq 'x')", "nil", "tags/any(t:t eq 'x') and tags/any(t:t eq name)"},
		{"n eq 5 and false", "false", "n eq 5"},
	} {
		t.Run(c.text, func(t *testing.T) {
			t.Parallel()
			whole := checked(t, c.text)
			yes, rest := whole.Split(func(f filter.Field) bool { return f.Type == filter.TypeString })
			text := func(c *filter.Checked) string {
				if c == nil {
					return "nil"
				}
				for slot, f := range c.Fields() {
					found := false
					filter.Walk(c.Expr(), func(e filter.Expr) bool {
						if n, ok := e.(*filter.Name); ok && n.Var == 0 && n.Slot == slot {
							require.Equal(t, f.Name, n.Field.Name)
							found = true
						}
						return true
					})
					require.True(t, found)
				}
				return c.String()
			}
			require.Equal(t, c.yes, text(yes))
			require.Equal(t, c.rest, text(rest))
		})
	}
}

func TestConjuncts(t *testing.T) {
	t.Parallel()
	list := checked(t, "name eq 'a' and (n gt 5 and (billable or n eq 1))").Conjuncts()
	require.Len(t, list, 3)
	require.Equal(t, "n gt 5", list[1].String())
	require.Equal(t, "n", list[1].Fields()[0].Name)
	require.Len(t, checked(t, "name eq 'a'").Conjuncts(), 1)
}

// TestCanonicalText holds that what means the same has one text, and what does not
// has two.
func TestCanonicalText(t *testing.T) {
	t.Parallel()
	for _, same := range [][]string{
		{"name eq 'a' and n gt 5", "5 lt n AND (name EQ 'a')", "(n gt 5.0) and name eq 'a'", "n gt 5m and name in ('a')", "n gt 5 and n gt 5 and name eq 'a'"},
		{"n in (1,2,3)", "n in (3,2,1,1.0)"},
		{"start ge 2018-01-01", "start ge 2018-01-01T00:00:00Z", "start ge cast('2018-01-01',Edm.DateTimeOffset)", "start ge 2018-01-01T02:00:00+02:00", "start ge datetime'2018-01-01T00:00'"},
		{"subscription eq null", "subscriptionId eq null"},
		{"region eq 'A'", "region eq 'a'", "tolower(region) eq 'a'"},
		{"billable or (n eq 1 or n eq 2)", "n eq 2 or n eq 1 or billable"},
		{"n gt 2 add 3", "n gt 5"},
	} {
		for _, text := range same {
			require.Equal(t, checked(t, same[0]).String(), checked(t, text).String(), text)
		}
	}
	seen := map[string]string{}
	for _, text := range []string{
		"n div 2 eq 1", "n div 2.0 eq 1", "name eq 'n'", "name eq 'N'", "name ne 'n'", "not (name eq 'n')", "n eq 1 and (billable or n eq 2)",
		"n eq 1 and billable or n eq 2", "n sub 1 sub 2 eq 0", "n sub (1 sub n) eq 0", "tags/any(t:t eq 'a')", "tags/all(t:t eq 'a')",
		"name in ('a','b')", "name in ('a,b')", "name eq 'null'", "name eq null", "start gt 2018-01-01", "day1 gt 2018-01-01",
		"lines/aggregate(price with sum) gt 1", "lines/aggregate(price with max) gt 1", "lines/$count gt 1",
	} {
		c := checked(t, text).String()
		require.Empty(t, seen[c], text)
		seen[c] = text
	}
}

func TestNowIsFixed(t *testing.T) {
	t.Parallel()
	c := checked(t, "start lt now()")
	at := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	fixed := c.At(at)
	require.Equal(t, "start lt now()", c.String())
	require.Equal(t, "start lt 2020-01-01T00:00:00Z", fixed.String())
	p := fixed.Compile()
	for offset, want := range map[time.Duration]bool{-1: true, 0: false, 1: false} {
		got, err := p.Match(slots{filter.Time(at.Add(offset))})
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

// TestCheckLeavesTreeAlone checks one tree against two schemas.
func TestCheckLeavesTreeAlone(t *testing.T) {
	t.Parallel()
	e, err := filter.Parse("a eq 1 and b in (2018-01-01,null) and c/any(x:x eq a)", nil)
	require.NoError(t, err)
	before := e.String()
	one, err := filter.NewSchema(
		filter.Field{Name: "b", Type: filter.TypeTime}, filter.Field{Name: "a", Type: filter.TypeDecimal},
		filter.Field{Name: "c", Type: filter.TypeCollection, Items: []filter.Field{{Type: filter.TypeDecimal}}})
	require.NoError(t, err)
	other, err := filter.NewSchema(
		filter.Field{Name: "b", Type: filter.TypeDate}, filter.Field{Name: "A", Type: filter.TypeDecimal, Aliases: []string{"a"}},
		filter.Field{Name: "c", Type: filter.TypeCollection, Items: []filter.Field{{Type: filter.TypeDecimal}}})
	require.NoError(t, err)
	for _, c := range []struct {
		schema *filter.Fields
		want   string
	}{
		{one, "a eq 1 and b in (null,2018-01-01T00:00:00Z) and c/any(x:x eq a)"},
		{other, "A eq 1 and b in (null,2018-01-01) and c/any(x:x eq A)"},
	} {
		checked, err := filter.Check(e, c.schema)
		require.NoError(t, err)
		require.Equal(t, c.want, checked.String())
		require.Equal(t, before, e.String())
		filter.Walk(e, func(e filter.Expr) bool {
			require.Equal(t, filter.TypeNull, e.Type())
			return true
		})
	}
}

func TestNewSchemaRefuses(t *testing.T) {
	t.Parallel()
	for name, fields := range map[string][]filter.Field{
		"no name":            {{Type: filter.TypeBool}},
		"no type":            {{Name: "a"}},
		"twice":              {{Name: "a", Type: filter.TypeBool}, {Name: "a", Type: filter.TypeBool}},
		"alias twice":        {{Name: "a", Type: filter.TypeBool, Aliases: []string{"b"}}, {Name: "b", Type: filter.TypeBool}},
		"folds no string":    {{Name: "a", Type: filter.TypeBool, FoldCase: true}},
		"no items":           {{Name: "a", Type: filter.TypeCollection}},
		"items of no type":   {{Name: "a", Type: filter.TypeCollection, Items: []filter.Field{{}}}},
		"nested collections": {{Name: "a", Type: filter.TypeCollection, Items: []filter.Field{{Type: filter.TypeCollection}}}},
		"unnamed item field": {{Name: "a", Type: filter.TypeCollection, Items: []filter.Field{{Type: filter.TypeBool}, {Name: "b", Type: filter.TypeBool}}}},
	} {
		_, err := filter.NewSchema(fields...)
		require.Error(t, err, name)
	}
}

// TestRowOfAnotherType holds that a row that breaks its declaration is a fault and
// no silent answer.
func TestRowOfAnotherType(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"name eq 'a'", "name gt 'a'", "n eq 5", "start gt 2018-01-01", "name in ('a')", "n in (1,2)", "billable", "billable eq true",
		"contains(name,'a')", "tolower(name) eq 'a'", "n add 1 gt 5", "tags/any()", "tags/any(t:t eq 'a')", "quantity eq 1e50", "took gt duration'PT1S'",
		"name eq name", "day1 eq 2018-01-01", "lines/aggregate(price with sum) gt 5",
	} {
		p := checked(t, text).Compile()
		broken := make(slots, len(p.Fields()))
		for i, f := range p.Fields() {
			broken[i] = filter.String("x")
			if f.Type == filter.TypeString {
				broken[i] = filter.Number(5, 0)
			}
		}
		_, err := p.Match(broken)
		require.ErrorIs(t, err, &filter.Error{Code: filter.CodeType}, text)
	}
}

// TestPipeline holds what a checked $apply gives a host.
func TestPipeline(t *testing.T) {
	t.Parallel()
	a, err := filter.ParseApply("filter(n gt 5)/compute(quantity mul 2 as double)/groupby((name,billable),aggregate(double with sum as total,start with max as last,$count as records))/filter(total gt 10)/orderby(total desc,name)/skip(2)/top(3)", nil)
	require.NoError(t, err)
	again, err := filter.ParseApply(a.String(), nil)
	require.NoError(t, err)
	require.Equal(t, a.String(), again.String())
	p, err := filter.CheckApply(a, errorSchema(t))
	require.NoError(t, err)
	kinds := make([]string, len(p.Stages))
	for i, s := range p.Stages {
		kinds[i] = s.Kind
	}
	require.Equal(t, []string{"filter", "compute", "groupby", "filter", "orderby", "skip", "top"}, kinds)
	group := p.Stages[2]
	require.Equal(t, "name", group.Groups[0].Name)
	require.Equal(t, "double", group.Measures[0].Value.Fields()[0].Name)
	require.Equal(t, []any{"sum", "total", filter.TypeDecimal}, []any{group.Measures[0].Method, group.Measures[0].As, group.Measures[0].Type})
	require.Equal(t, filter.TypeTime, group.Measures[1].Type)
	require.Nil(t, group.Measures[2].Value)
	require.True(t, p.Stages[4].Keys[0].Desc)
	require.Equal(t, int64(3), p.Stages[6].N)
	names := make([]string, len(p.Fields))
	for i, f := range p.Fields {
		names[i] = f.Name
	}
	require.Equal(t, []string{"name", "billable", "total", "last", "records"}, names)
}

func TestPipelineSteps(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"identity", "groupby((name))", "groupby((name),topcount(2,quantity))/filter(cost gt 5 or quantity gt 1)",
		"topsum(15,quantity)/aggregate(quantity with average as mean,name with countdistinct as names)",
		"concat(aggregate(n with sum as x),identity/aggregate(n with max as x,cost with min as y))/filter(x gt 1 and y gt 1)",
		"aggregate(took with sum as whole)/filter(whole gt duration'PT1H')", "bottompercent(50,n)", "groupby((name),aggregate(cost with sum as cost))",
		"groupby((name),filter(n gt 5)/aggregate(n with sum as x))/orderby(x)",
	} {
		a, err := filter.ParseApply(text, nil)
		require.NoError(t, err, text)
		_, err = filter.CheckApply(a, errorSchema(t))
		if strings.Contains(text, "cost gt") {
			require.ErrorIs(t, err, &filter.Error{Code: filter.CodeNotAllowed}, text)
			continue
		}
		require.NoError(t, err, text)
	}
}

// TestConjunction holds that conditions of different texts select together what
// each selects, and that an error names the text at fault.
func TestConjunction(t *testing.T) {
	t.Parallel()
	require.Nil(t, filter.Conjunction())
	one := checked(t, "n gt 1 and name eq 'a'")
	require.Same(t, one, filter.Conjunction(one))
	all := filter.Conjunction(one, checked(t, "quantity eq null or name in ('a','b')"), checked(t, "10 div n gt 2"))
	require.Len(t, all.Conjuncts(), 4)
	values, ok := all.Constraint("name")
	require.True(t, ok)
	require.Equal(t, "[a]", fmt.Sprint(values))
	p := all.Compile()
	for _, c := range []struct {
		name string
		n    int64
		want bool
	}{{"a", 2, true}, {"b", 2, false}, {"a", 1, false}, {"a", 9, false}} {
		got, err := p.Match(bind(row{"name": filter.String(c.name), "n": filter.Number(c.n, 0), "quantity": filter.Null()}, p))
		require.NoError(t, err)
		require.Equal(t, c.want, got, "%+v", c)
	}
	p = filter.Conjunction(checked(t, "name eq 'a'"), checked(t, "1 div n gt 2")).Compile()
	_, err := p.Match(bind(row{"name": filter.String("a"), "n": filter.Number(0, 0)}, p))
	var fault *filter.Error
	require.ErrorAs(t, err, &fault)
	require.Equal(t, "1 div n gt 2", fault.Text)
	require.Equal(t, filter.Span{From: 0, To: 7}, fault.Span)
}
