package filter_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/filter"
)

// TestHostileInput holds that size, depth and numbers are refused before they
// cost anything; each text would take long or overflow the stack otherwise.
func TestHostileInput(t *testing.T) {
	t.Parallel()
	long := &filter.Limits{Bytes: 1 << 21, Nodes: 1 << 20, Depth: 1 << 30}
	schema := errorSchema(t)
	for name, c := range map[string]struct {
		text   string
		limits *filter.Limits
	}{
		"open parentheses":      {strings.Repeat("(", 100_000), long},
		"parentheses":           {strings.Repeat("(", 100_000) + "n" + strings.Repeat(")", 100_000), long},
		"nots":                  {strings.Repeat("not ", 100_000) + "billable", long},
		"minuses":               {strings.Repeat("-", 100_000) + "n", long},
		"calls":                 {strings.Repeat("tolower(", 100_000) + "name", long},
		"unknown calls":         {strings.Repeat("f(", 100_000), long},
		"custom calls":          {strings.Repeat("a.b(c=", 100_000), long},
		"keys":                  {strings.Repeat("f(a=", 100_000), long},
		"cases":                 {strings.Repeat("case(", 100_000), long},
		"casts":                 {strings.Repeat("cast(", 100_000), long},
		"lambdas":               {strings.Repeat("tags/any(x:", 100_000), long},
		"aggregates":            {strings.Repeat("tags/aggregate(", 100_000), long},
		"in":                    {strings.Repeat("n in (", 100_000), long},
		"chained in":            {"n" + strings.Repeat(" in (n)", 100_000), long},
		"left-deep arithmetic":  {"n" + strings.Repeat(" add n", 100_000), long},
		"right-deep operators":  {strings.Repeat("n eq (n add (", 50_000), long},
		"exponent":              {"n eq 1e999999999", nil},
		"negative exponent":     {"n eq 1e-999999999", nil},
		"digits":                {"n eq " + strings.Repeat("9", 100_000), long},
		"fraction":              {"n eq 0." + strings.Repeat("9", 100_000), long},
		"long exponent":         {"n eq 1e" + strings.Repeat("9", 100_000), long},
		"zeros":                 {"n eq 1" + strings.Repeat("0", 100_000) + "e-100000", long},
		"a word":                {strings.Repeat("a", 100_000), long},
		"points":                {strings.Repeat("a.", 100_000), long},
		"quotes":                {"name eq '" + strings.Repeat("''", 100_000), long},
		"too long":              {strings.Repeat("n eq 1 and ", 10_000), nil},
		"too many":              {"n in (" + strings.Repeat("1,", 5000) + "1)", &filter.Limits{Bytes: 1 << 20}},
		"products":              {"n mul 1e99 mul 1e99 mul 1e99 gt 1 or " + strings.Repeat("1e50 mul ", 500) + "1 eq 1", long},
		"a pattern that is big": {"matchesPattern(name,'" + strings.Repeat("(", 900) + "')", nil},
		"repetitions":           {"matchesPattern(name,'(a{500}){20}')", nil},
		"a slow pattern":        {"matchesPattern(name,'((((a{0,10}){0,10}){0,10}){0,10})')", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := filter.Parse(c.text, c.limits)
			if err == nil {
				var checked *filter.Checked
				if checked, err = filter.Check(e, schema); err == nil {
					p := checked.Compile()
					_, err = p.Match(bound{row{"n": filter.Number(5, 0)}, p.Fields()})
				}
			}
			var fault *filter.Error
			require.ErrorAs(t, err, &fault)
			require.Less(t, len(fault.Render()), 1000)
		})
	}
	for name, text := range map[string]string{
		"groupby": strings.Repeat("groupby((a),", 50_000),
		"concat":  strings.Repeat("concat(", 50_000),
		"nest":    strings.Repeat("nest(", 50_000),
		"join":    strings.Repeat("join(a as b,", 50_000),
		"search":  "search" + strings.Repeat("(", 50_000),
	} {
		_, err := filter.ParseApply(text, long)
		require.Error(t, err, name)
	}
}

// TestDeepTreesWithinLimits walks trees of the greatest depth through every stage.
func TestDeepTreesWithinLimits(t *testing.T) {
	t.Parallel()
	limits := &filter.Limits{Bytes: 1 << 20, Nodes: 1 << 20, Depth: 10_000}
	for _, text := range []string{
		strings.Repeat("not ", 9_000) + "billable",
		"n" + strings.Repeat(" add n", 9_000) + " gt 5",
		strings.Repeat("-", 9_000) + "n gt 5",
		strings.Repeat("tolower(", 9_000) + "name" + strings.Repeat(")", 9_000) + " eq 'a'",
		strings.Repeat("(", 9_000) + "billable" + strings.Repeat(")", 9_000),
		"billable" + strings.Repeat(" or n eq 5", 20_000),
		strings.Repeat("billable and (n eq 1 or (", 500) + "true" + strings.Repeat("))", 500),
	} {
		e, err := filter.Parse(text, limits)
		require.NoError(t, err)
		again, err := filter.Parse(e.String(), limits)
		require.NoError(t, err)
		require.Equal(t, e.String(), again.String())
		c, err := filter.Check(e, errorSchema(t))
		require.NoError(t, err)
		require.NotEmpty(t, c.String())
		p := c.Compile()
		_, err = p.Match(bound{row{"n": filter.Number(1, 0)}, p.Fields()})
		require.NoError(t, err)
		c.Split(func(filter.Field) bool { return true })
	}
}

// TestTreesMadeByHand holds that a tree that Parse did not make does no harm.
func TestTreesMadeByHand(t *testing.T) {
	t.Parallel()
	schema := errorSchema(t)
	loop := &filter.Not{}
	loop.X = loop
	_, err := filter.Check(loop, schema)
	require.ErrorIs(t, err, &filter.Error{Code: filter.CodeLimit})
	require.Contains(t, loop.String(), "...")
	visits := 0
	filter.Walk(loop, func(filter.Expr) bool { visits++; return true })
	require.Less(t, visits, 20_000)
	for _, e := range []filter.Expr{
		&filter.Call{Func: "contains"}, &filter.Call{Func: "nope"}, &filter.Name{Path: "nope"}, &filter.Literal{Value: filter.Number(5, 0)},
		&filter.Cast{To: "Edm.String"}, &filter.Aggregate{Over: &filter.Name{Path: "lines"}}, &filter.ByKey{Over: &filter.Name{Path: "lines"}},
	} {
		_, err := filter.Check(e, schema)
		require.Error(t, err)
		require.NotEmpty(t, err.(*filter.Error).Render())
		require.NotEmpty(t, e.String())
	}
}

// FuzzParse holds that no text panics, and that what is read is printed to what is
// read alike.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"a eq 'it''s' and not (b in (1,2.50,null) or c/any(x:x/y gt 5m))", "-(5) add -a mul - -b", "case(a gt 1:2,true:-3) eq 10:30",
		"cast('2018-01-01',Edm.DateTimeOffset) le a", "2018-01-01T00:00:00+02:00 lt a", "duration'-P1DT2H3.5S' eq time'PT1S'", "Items(1)", "a.b(c=5)",
		"x/aggregate(y with sum) gt 5 and z/$count eq 1", "01234567-89ab-cdef-0123-456789abcdef eq guid'01234567-89ab-cdef-0123-456789abcdef'",
		"a in ((1)) in (b)", "INF", "$it", "a desc,b", "groupby((a),aggregate($count as n))/top(5)", "search(a 'b)')", "1e5 eq 100000", "not not a",
	} {
		f.Add(text)
	}
	schema, err := filter.NewSchema(
		filter.Field{Name: "a", Type: filter.TypeDecimal}, filter.Field{Name: "b", Type: filter.TypeString}, filter.Field{Name: "d", Type: filter.TypeTime},
		filter.Field{Name: "c", Type: filter.TypeCollection, Items: []filter.Field{{Name: "y", Type: filter.TypeDecimal}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		limits := &filter.Limits{Depth: 50}
		if e, err := filter.Parse(text, limits); err == nil {
			again, err := filter.Parse(e.String(), nil)
			require.NoError(t, err, e.String())
			require.Equal(t, e.String(), again.String())
			if c, err := filter.Check(e, schema); err == nil {
				p := c.Compile()
				_, _ = p.Match(make(slots, len(p.Fields())))
				reread, err := filter.Parse(c.String(), &filter.Limits{Bytes: 1 << 20})
				require.NoError(t, err, c.String())
				canonical, err := filter.Check(reread, schema)
				require.NoError(t, err, c.String())
				require.Equal(t, c.String(), canonical.String())
			} else {
				_ = err.(*filter.Error).Render()
			}
		} else {
			fault := err.(*filter.Error)
			_ = fault.Render()
			require.True(t, 0 <= fault.Span.From && fault.Span.From <= fault.Span.To && fault.Span.To <= len(fault.Text), "%v in %q", fault.Span, text)
		}
		if list, err := filter.ParseOrderBy(text, limits); err == nil {
			_, _ = filter.CheckOrderBy(list, schema)
		}
		if list, err := filter.ParseGroupBy(text, limits); err == nil {
			_, _ = filter.CheckGroupBy(list, schema)
		}
		if a, err := filter.ParseApply(text, limits); err == nil {
			again, err := filter.ParseApply(a.String(), nil)
			require.NoError(t, err, a.String())
			require.Equal(t, a.String(), again.String())
			_, _ = filter.CheckApply(a, schema)
		}
		_, _ = filter.ParseCompute(text, limits)
	})
}
