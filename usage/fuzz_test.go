package usage_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/paginate"
	"github.com/usagebook/usagebook/usage"
)

// FuzzQuery asks a rolled and an unrolled book of the same content whatever
// comes: they agree, nothing panics, and what is refused is refused as invalid.
func FuzzQuery(f *testing.F) {
	f.Add("region eq 'eu'", "region,meter", "quantity desc", "sum(quantity) as quantity", uint8(2), int64(0), int64(30), false, "")
	f.Add("meter in ('a','b') and values/quantity gt 1e2", "", "", "count(), first(cost)", uint8(0), int64(-5), int64(900), true, "token")
	f.Add("not (zone eq null) or billable eq true", "zone", "start desc, n", "count() as n, countdistinct(region)", uint8(7), int64(3), int64(4), true, "")
	f.Add("startswith(tolower(region),'e')", "tenant", "-(quantity)", "avg(quantity) of 'a' as quantity", uint8(3), int64(1), int64(1), true, "")
	f.Add("((((((", "a,,b", "x y z", "sum(sum)", uint8(200), int64(0), int64(0), false, "AQ")
	var shared *world
	f.Fuzz(func(t *testing.T, text, groups, order, measures string, unit uint8, from, hours int64, fill bool, token string) {
		if shared == nil {
			shared = newWorld(t, 5)
			for range 6 {
				shared.append()
			}
			rollAll(t, shared.rolled)
			shared.append()
		}
		q := usage.Query{Filter: text, OrderBy: order, PageSize: 500, ZeroFill: fill, Token: token, Window: aggregate.Window{Unit: aggregate.Unit(unit)}}
		if groups != "" {
			q.GroupBy = []string{groups}
		}
		ms, err := usage.ParseMeasures(measures)
		var fault *filter.Error
		if err != nil && !errors.As(err, &fault) {
			t.Fatalf("measures: %T %v", err, err)
		}
		if fault != nil && (fault.Span.From < 0 || fault.Span.From > fault.Span.To || fault.Span.To > len(measures)) {
			t.Fatalf("span %v of %q", fault.Span, measures)
		}
		q.Measures = ms
		if hours != 0 {
			q.From = shared.from.Add(time.Duration(from%1000) * time.Hour)
			q.To = q.From.Add(time.Duration(hours%5000) * time.Hour)
		}
		want, errRaw := shared.raw.Query(t.Context(), usage.ForTenant("acme"), q)
		got, errRolled := shared.rolled.Query(t.Context(), usage.ForTenant("acme"), q)
		if (errRaw == nil) != (errRolled == nil) {
			t.Fatalf("%v against %v", errRaw, errRolled)
		}
		if errRaw == nil {
			require.Equal(t, table(want), table(got))
			return
		}
		if errors.As(errRaw, &fault) || errors.Is(errRaw, usage.ErrInvalid) || errors.Is(errRaw, usage.ErrTooLarge) || errors.Is(errRaw, paginate.ErrToken) {
			return
		}
		t.Fatalf("an error of no kind: %v", errRaw)
	})
}

// FuzzAppend books whatever comes: nothing panics, what is booked is read back
// in canonical form, and booking that form again is a duplicate.
func FuzzAppend(f *testing.F) {
	f.Add("acme", "s", "1", "m", int64(1773144000), "quantity", int64(15), uint8(1), "region", "eu")
	f.Add("", "\x00", "\xff", "", int64(-1<<60), "", int64(-1<<62), uint8(200), "a=b", "\x00")
	f.Add("tenant", "s", "2", "json", int64(0), "cost", int64(100), uint8(30), "tags", `{"b":[1,{"a":null}],"a":"\u00e4"}`)
	f.Fuzz(func(t *testing.T, tenant, source, id, meter string, seconds int64, value string, coef int64, scale uint8, dimension, text string) {
		book := newBook(t, &usage.Options{Meters: []usage.Meter{{Name: "json", Dimensions: []usage.MeterDimension{{Name: "tags", JSON: true}}}}})
		r := usage.Record{Tenant: tenant, Source: source, ID: id, Meter: meter, Start: time.Unix(seconds, 999),
			Values: usage.NewValues(usage.Value{Name: value, Number: aggregate.Fixed(coef, scale)}), Dimensions: usage.NewDimensions(usage.Dimension{Name: dimension, Value: text})}
		receipt, err := book.Append(t.Context(), r)
		if err != nil {
			var failed *usage.AppendError
			require.ErrorAs(t, err, &failed)
			require.NotEmpty(t, failed.Failures[0].Violations)
			require.NotEmpty(t, fmt.Sprint(failed))
			return
		}
		require.Equal(t, 1, receipt.Inserted)
		for row, err := range book.Rows(t.Context(), usage.ForTenant(tenant), usage.Query{}) {
			require.NoError(t, err)
			receipt, err = book.Append(t.Context(), row.Record.Record)
			require.NoError(t, err)
			require.Equal(t, 1, receipt.Duplicates)
		}
	})
}

func FuzzCanonicalJSON(f *testing.F) {
	f.Add(`{"b":1,"a":[true,null,"x\n"]}`)
	f.Add(`[[[[`)
	f.Add(`1e999999999`)
	f.Fuzz(func(t *testing.T, text string) {
		once, err := usage.CanonicalJSON(text)
		if err != nil {
			return
		}
		twice, err := usage.CanonicalJSON(once)
		require.NoError(t, err)
		require.Equal(t, once, twice)
	})
}
