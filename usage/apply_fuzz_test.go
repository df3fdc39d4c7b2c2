package usage_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/paginate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

// FuzzApply runs whatever comes over a rolled book and one whose store adds
// nothing up, of the same content: they agree, nothing panics or grows without
// bound, what is refused is refused with its place, and no row is of a tenant
// that is out of scope.
func FuzzApply(f *testing.F) {
	for _, text := range []string{
		"filter(region eq 'eu' or true)/groupby((region,meter),aggregate(quantity with sum as s,$count as n))/topcount(2,s)",
		"compute(values/quantity mul 2 as d,now() as t)/orderby(d desc,id)/skip(1)/top(7)",
		"concat(groupby((tenant)),identity,aggregate(cost with average as a,zone with countdistinct as z))",
		"groupby((region),topsum(5.5,values/quantity)/aggregate(quantity mul cost with max as m)/compute(m divby 3 as x))",
		"groupby((zone),aggregate(end sub start with sum as d))/bottompercent(20,totalseconds(d))",
		"concat(identity,identity)/concat(identity,identity)/concat(identity,identity)/aggregate($count as n)",
		"groupby((rollup(a,b)))/nest(identity as x)", "aggregate(x with y from z as a", "((((", "identity/identity/identity",
		"toppercent(100,sequence)/bottomsum(1e99,sequence)/groupby((start,recorded,verified,billable))",
	} {
		f.Add(text, "", "", uint8(0), uint8(9))
		f.Add(text, "n gt 1 or region eq 'eu'", "region desc,n", uint8(2), uint8(2))
	}
	var rolled, scanned *usage.Book
	f.Fuzz(func(t *testing.T, text, condition, order string, unit, size uint8) {
		if rolled == nil {
			rolled, scanned = applyFuzzBooks(t)
		}
		q := usage.ApplyQuery{Apply: text, Filter: condition, OrderBy: order, PageSize: int(size), Window: aggregate.Window{Unit: aggregate.Unit(unit)}, Count: size%2 == 0}
		scope := usage.ForTenant("acme")
		for range 3 {
			got, err := rolled.Apply(t.Context(), scope, q)
			want, errScanned := scanned.Apply(t.Context(), scope, usage.ApplyQuery{Apply: text, Filter: condition, OrderBy: order, PageSize: 10_000, Window: q.Window})
			if (err == nil) != (errScanned == nil) {
				t.Fatalf("%v against %v", err, errScanned)
			}
			if err != nil {
				applyFault(t, q, err)
				return
			}
			for _, r := range got.Rows {
				if r.Record != nil && r.Record.Tenant != "acme" {
					t.Fatalf("a record of %s", r.Record.Tenant)
				}
			}
			if q.Token == "" {
				n := min(len(want.Rows), len(got.Rows))
				// now() is another moment for each.
				if wantRows := applyRows(want)[:n]; !containsNow(text + condition + order) {
					require.Equal(t, wantRows, applyRows(got))
				}
			}
			if q.Token = got.Next; q.Token == "" {
				return
			}
		}
	})
}

func containsNow(text string) bool {
	for i := 0; i+3 <= len(text); i++ {
		if text[i]|0x20 == 'n' && text[i+1]|0x20 == 'o' && text[i+2]|0x20 == 'w' {
			return true
		}
	}
	return false
}

// applyFault holds that an error is of a known kind and has its place.
func applyFault(t *testing.T, q usage.ApplyQuery, err error) {
	var fault *filter.Error
	switch {
	case errors.As(err, &fault):
		require.ErrorIs(t, err, usage.ErrInvalid)
		require.Contains(t, []string{q.Apply, q.Filter, q.OrderBy}, fault.Text)
		if fault.Span.From < 0 || fault.Span.From > fault.Span.To || fault.Span.To > len(fault.Text) {
			t.Fatalf("span %v of %q", fault.Span, fault.Text)
		}
		require.NotEmpty(t, fault.Render())
	case errors.Is(err, usage.ErrInvalid), errors.Is(err, usage.ErrTooLarge), errors.Is(err, paginate.ErrToken):
	default:
		t.Fatalf("an error of no kind: %v", err)
	}
}

func applyFuzzBooks(t *testing.T) (rolled, scanned *usage.Book) {
	w := newWorld(t, 5)
	opts := &usage.Options{MaxGroups: 1000, RollBatch: 100, Rollups: [][]string{{"region"}}, Now: w.clock.Now,
		Meters: []usage.Meter{{Name: "b", Values: []usage.MeterValue{{Name: "cost"}}, Dimensions: []usage.MeterDimension{{Name: "zone", Aliases: []string{"az"}}}}}}
	var err error
	rolled, err = usage.New(memstore.New(nil), opts)
	require.NoError(t, err)
	scanned, err = usage.New(ungrouped{memstore.New(nil)}, opts)
	require.NoError(t, err)
	for range 120 {
		r := w.record()
		mustAppend(t, rolled, r)
		mustAppend(t, scanned, r)
	}
	rollAll(t, rolled)
	for range 20 {
		r := w.record()
		mustAppend(t, rolled, r)
		mustAppend(t, scanned, r)
	}
	return rolled, scanned
}
