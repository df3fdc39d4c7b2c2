package usage_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/paginate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

// remake builds a scope again from what its accessors tell.
func remake(s usage.Scope) usage.Scope {
	tenants, all := s.Tenants()
	out := usage.ForTenants(tenants...)
	if all {
		out = usage.AllTenants()
	}
	for _, r := range s.Requirements() {
		if r.Fold {
			out = out.WithFold(r.Dimension, r.Values...)
		} else {
			out = out.WithAny(r.Dimension, r.Values...)
		}
	}
	return out
}

func TestScopeRequirements(t *testing.T) {
	t.Parallel()
	acme := usage.ForTenant("acme")
	exact := func(values ...string) []usage.Requirement {
		return []usage.Requirement{{Dimension: "d", Values: append([]string{}, values...)}}
	}
	folded := func(values ...string) []usage.Requirement {
		return []usage.Requirement{{Dimension: "d", Values: append([]string{}, values...), Fold: true}}
	}
	for name, c := range map[string]struct {
		scope usage.Scope
		want  []usage.Requirement
	}{
		"none":                       {acme, nil},
		"one":                        {acme.With("d", "a"), exact("a")},
		"empty value":                {acme.With("d", ""), exact("")},
		"any":                        {acme.WithAny("d", "b", "a", "b"), exact("a", "b")},
		"any of none":                {acme.WithAny("d"), exact()},
		"fold":                       {acme.WithFold("d", "b", "A", "a", "B"), folded("A", "B")},
		"fold of none":               {acme.WithFold("d"), folded()},
		"both":                       {acme.WithAny("d", "a", "b", "c").WithAny("d", "b", "c", "x"), exact("b", "c")},
		"both leave nothing":         {acme.With("d", "a").With("d", "b"), exact()},
		"exact spelling decides":     {acme.WithAny("d", "a", "A", "b").WithFold("d", "a"), exact("A", "a")},
		"in the other order too":     {acme.WithFold("d", "a").WithAny("d", "a", "A", "b"), exact("A", "a")},
		"both folded":                {acme.WithFold("d", "a", "b").WithFold("d", "B", "c"), folded("b")},
		"two dimensions, by name":    {acme.With("d", "a").With("c", "x"), append([]usage.Requirement{{Dimension: "c", Values: []string{"x"}}}, exact("a")...)},
		"Kelvin, long s and strasse": {acme.WithFold("d", "K", "k", "\u212a", "ſ", "s", "straße", "STRASSE"), folded("K", "STRASSE", "s", "straße")},
	} {
		require.Equal(t, c.want, c.scope.Requirements(), name)
		require.Equal(t, c.scope, remake(c.scope), name)
	}
	// A scope does not change under the narrower ones made of it, nor with the
	// caller's slice.
	values := []string{"b", "a"}
	wide := acme.WithAny("d", values...)
	values[0] = "z"
	require.Equal(t, exact("a"), wide.With("d", "a").Requirements())
	require.Equal(t, exact("a", "b"), wide.Requirements())
	require.ErrorIs(t, acme.WithFold("", "a").Check(), usage.ErrScope)
}

// scopeQueries are the ways in which a condition reaches the records.
var scopeQueries = map[string]usage.Query{
	"records":  {},
	"rows":     {GroupBy: []string{"sub"}},
	"windows":  {Window: aggregate.Window{Unit: aggregate.Day}},
	"values":   {Filter: "values/quantity gt 0 or true", GroupBy: []string{"sub"}},
	"distinct": {Measures: []usage.Measure{{Aggregation: usage.CountDistinct, Of: "sub"}, {Aggregation: usage.Count}}},
	"first":    {Measures: []usage.Measure{{Aggregation: usage.First, Of: "quantity"}, {Aggregation: usage.Last, Of: "quantity"}}},
	"recorded": {On: usage.RecordedTime, From: noon.Add(-24 * time.Hour), Measures: []usage.Measure{{Aggregation: usage.Count}}},
	"widening": {Filter: "sub eq 'x' or sub ne 'x' or sub eq null or tenant eq 'globex' or true", GroupBy: []string{"sub", "tenant"}},
}

// TestScopeIsAFilterOutside holds the answers in a narrowed scope equal to those
// of a filter that says the same, over rollups and records, with corrections;
// and a filter that is true of everything widens nothing.
func TestScopeIsAFilterOutside(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(11, 7))
	clock := noon
	rolled, err := usage.New(memstore.New(nil), &usage.Options{Rollups: [][]string{{"sub"}}, Now: func() time.Time { return clock }})
	require.NoError(t, err)
	spellings := []string{"a1", "A1", "b2", "B2", "c3", "", "ſk", "SK", "s\u212a"}
	var batch []usage.Record
	for i := range 3000 {
		r := plainRecord(fmt.Sprint(i))
		r.Tenant = pick(rng, "acme", "globex")
		r.Start = noon.Add(time.Duration(rng.IntN(72)) * time.Hour)
		if rng.IntN(8) > 0 {
			r.Dimensions = r.Dimensions.With("sub", pick(rng, spellings...))
		}
		batch = append(batch, r)
	}
	mustAppend(t, rolled, batch[:2500]...)
	rollAll(t, rolled)
	plan, err := rolled.Plan(t.Context(), usage.AllTenants().WithFold("sub", "a1"), usage.Query{Measures: []usage.Measure{{Aggregation: usage.Count}}})
	require.NoError(t, err)
	require.Less(t, plan.RowsRead, plan.Records, plan.String())
	mustAppend(t, rolled, batch[2500:]...)
	for i := range 40 { // voids and moves from one subscription to another
		target := batch[i].Identity()
		if i%2 == 0 {
			_, err = rolled.Void(t.Context(), target, "v", fmt.Sprint(i))
		} else {
			with := plainRecord("r" + fmt.Sprint(i))
			with.Tenant = ""
			with.Dimensions = with.Dimensions.With("sub", pick(rng, spellings...))
			_, err = rolled.Replace(t.Context(), target, with)
		}
		require.NoError(t, err)
	}
	literal := func(v string) string { return "'" + strings.ReplaceAll(v, "'", "''") + "'" }
	answer := func(scope usage.Scope, q usage.Query) []string {
		var out []string
		for row, err := range rolled.Rows(t.Context(), scope, q) {
			require.NoError(t, err)
			if row.Record != nil {
				out = append(out, row.Record.Tenant+" "+row.Record.ID)
				continue
			}
			line := row.Start.String()
			for _, c := range row.Cells {
				line += " " + c.String()
			}
			out = append(out, line)
		}
		return out
	}
	for range 60 {
		base := pick(rng, usage.ForTenant("acme"), usage.AllTenants())
		var values []string
		for range rng.IntN(4) {
			values = append(values, pick(rng, append(spellings, "nothing")...))
		}
		scope, text := base.WithAny("sub", values...), "false"
		if fold := rng.IntN(2) == 0; fold {
			scope = base.WithFold("sub", values...)
			values = slices.DeleteFunc(slices.Clone(spellings), func(s string) bool {
				return !slices.ContainsFunc(values, func(v string) bool { return strings.EqualFold(v, s) })
			})
		}
		for _, v := range values {
			text += " or sub eq " + literal(v)
		}
		for name, q := range scopeQueries {
			narrowed := answer(scope, q)
			if q.Filter != "" {
				q.Filter = "(" + q.Filter + ") and (" + text + ")"
			} else {
				q.Filter = text
			}
			require.Equal(t, answer(base, q), narrowed, "%s: %v", name, scope.Requirements())
		}
	}
	// What is out of the scope cannot be explained in it either.
	inside, outside := usage.ForTenant(batch[50].Tenant), batch[50].Identity()
	for _, scope := range []usage.Scope{inside.WithAny("sub"), inside.WithFold("sub", "zz"), inside.WithAny("sub", "y", "z")} {
		why, err := rolled.Explain(t.Context(), scope, usage.Explain{Identity: &outside})
		require.NoError(t, err)
		require.False(t, why.Booked)
	}
	mixed := plainRecord("mixed")
	mixed.Dimensions = mixed.Dimensions.With("sub", "MiXeD")
	mustAppend(t, rolled, mixed)
	id := mixed.Identity()
	why, err := rolled.Explain(t.Context(), usage.ForTenant("acme").WithFold("sub", "x", "mixed"), usage.Explain{Identity: &id})
	require.NoError(t, err)
	require.True(t, why.Booked)
	require.True(t, why.Records[0].Counted)

	// A void is as visible as what it is about, in every form of scope.
	_, err = rolled.Void(t.Context(), id, "desk", "mixed")
	require.NoError(t, err)
	void := usage.Identity{Tenant: "acme", Source: "desk", ID: "mixed"}
	for want, scopes := range map[bool][]usage.Scope{
		true:  {usage.ForTenant("acme"), usage.ForTenant("acme").WithFold("sub", "mIXED"), usage.ForTenant("acme").WithAny("sub", "x", "MiXeD")},
		false: {usage.ForTenant("acme").WithAny("sub", "mixed", "x"), usage.ForTenant("acme").WithFold("sub", "x"), usage.ForTenant("acme").WithFold("sub"), usage.ForTenant("globex")},
	} {
		for _, scope := range scopes {
			why, err := rolled.Explain(t.Context(), scope, usage.Explain{Identity: &void})
			require.NoError(t, err)
			require.Equal(t, want, why.Booked, "%v", scope)
		}
	}
	// The records behind a row are those of the scope.
	query := usage.Query{Measures: []usage.Measure{{Aggregation: usage.Count}}}
	for _, scope := range []usage.Scope{usage.ForTenant("acme").WithFold("sub", "A1"), usage.ForTenant("acme").WithAny("sub", "A1", "a1")} {
		page, err := rolled.Query(t.Context(), scope, query)
		require.NoError(t, err)
		counted := 0
		e := usage.Explain{Query: query, Row: &page.Rows[0], PageSize: 100}
		for more := true; more; more = e.Token != "" {
			why, err := rolled.Explain(t.Context(), scope, e)
			require.NoError(t, err)
			e.Token = why.Next
			for _, r := range why.Records {
				sub, _ := r.Dimensions.Get("sub")
				require.Contains(t, []string{"a1", "A1"}, sub)
				if r.Counted {
					counted++
				}
			}
		}
		require.Equal(t, page.Rows[0].Get("count").String(), fmt.Sprint(counted))
	}
}

// TestTokensKnowEveryFormOfScope: a token goes on in a scope of the same
// meaning, and in no other.
func TestTokensKnowEveryFormOfScope(t *testing.T) {
	t.Parallel()
	book := newBook(t, nil)
	for i := range 3 {
		r := plainRecord(fmt.Sprint(i))
		r.Dimensions = r.Dimensions.With("d", "a")
		mustAppend(t, book, r)
	}
	acme := usage.ForTenant("acme")
	scopes := [][]usage.Scope{
		{acme},
		{acme.With("d", "a"), acme.WithAny("d", "a", "a"), acme.WithFold("d", "A").With("d", "a")},
		{acme.WithAny("d", "a", "b"), acme.WithAny("d", "b", "a"), acme.WithAny("d", "a", "b", "c").WithAny("d", "x", "b", "a")},
		{acme.WithFold("d", "a"), acme.WithFold("d", "A", "a")},
		{acme.WithFold("d", "a", "b"), acme.WithFold("d", "B", "A")},
		{acme.WithAny("d", "a", "d"), acme.WithAny("d", "d", "a")},
		{usage.AllTenants().With("d", "a")},
	}
	query := usage.Query{PageSize: 1}
	for i, group := range scopes {
		page, err := book.Query(t.Context(), group[0], query)
		require.NoError(t, err)
		for k, others := range scopes {
			for _, other := range others {
				q := query
				q.Token = page.Next
				_, err := book.Query(t.Context(), other, q)
				if i == k {
					require.NoError(t, err, "%v %v", group[0], other)
				} else {
					require.ErrorIs(t, err, paginate.ErrTokenScope, "%v %v", group[0], other)
				}
			}
		}
	}
}
