package usage_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// Bounds of event time in a filter are taken over by the reading of records, and
// select what they select where they are not.
func TestBoundsInFilters(t *testing.T) {
	t.Parallel()
	b, clock := usagetest.NewBook(t, nil)
	rnd := rand.New(rand.NewPCG(3, 4))
	day := usagetest.Epoch()
	var all []usage.Record
	for i := range 400 {
		clock.Advance(time.Minute)
		r := usagetest.Record("acme", "m").ID(fmt.Sprint(i)).At(day.Add(time.Duration(rnd.IntN(6))*time.Microsecond)).Dim("d", fmt.Sprint(rnd.IntN(3))).Build()
		usagetest.Append(t, b, r)
		all = append(all, r)
	}
	for i := range 40 {
		with := all[i]
		with.Source, with.Start = "new", day.Add(time.Duration(rnd.IntN(6))*time.Microsecond)
		_, err := b.Replace(t.Context(), all[i].Identity(), with)
		require.NoError(t, err)
		usagetest.Append(t, b, usagetest.Void(all[40+i]))
	}
	at := func(nanos int) string { return day.Add(time.Duration(nanos)).Format(time.RFC3339Nano) }
	conditions := map[string]string{} // the same, one with bounds and one without
	for _, n := range []int{-1, 0, 1, 1000, 1001, 1999, 3000, 4500, 6000} {
		conditions["start ge "+at(n)] = "not (start lt " + at(n) + ")"
		conditions["start gt "+at(n)] = "not (start le " + at(n) + ")"
		conditions["start lt "+at(n)] = "not (start ge " + at(n) + ")"
		conditions["start le "+at(n)] = "not (start gt " + at(n) + ")"
		conditions["d ne '1' and start ge "+at(n)+" and start lt "+at(n+3000)] = "d ne '1' and not (start lt " + at(n) + " or start ge " + at(n+3000) + ")"
		conditions["start gt "+at(n)+" and start lt "+at(n-1000)] = "false"
		conditions["start ge "+at(n)+" and (start le "+at(n+2000)+" or d eq '2')"] = "not (start lt " + at(n) + ") and (not (start gt " + at(n+2000) + ") or d eq '2')"
		conditions["start eq "+at(n)] = "not (start ne " + at(n) + ")"
	}
	queries := []usage.Query{
		{GroupBy: []string{"d"}, Window: aggregate.Window{Unit: aggregate.Hour}, Count: true},
		{Measures: []usage.Measure{{Name: "n", Aggregation: usage.Count}}},
		{Measures: []usage.Measure{{Name: "last", Aggregation: usage.Last, Of: "quantity"}}, GroupBy: []string{"d"}},
		{},
	}
	for _, q := range queries {
		for _, span := range []usage.Query{{}, {From: day.Add(2 * time.Microsecond), To: day.Add(5 * time.Microsecond)},
			{On: usage.RecordedTime, From: day.Add(90 * time.Minute), To: day.Add(5 * time.Hour)}} {
			q.On, q.From, q.To = span.On, span.From, span.To
			for bounded, plain := range conditions {
				answer := func(filter string) (out []string) {
					q.Filter = filter
					for row, err := range b.Rows(t.Context(), usage.ForTenant("acme"), q) {
						require.NoError(t, err)
						out = append(out, fmt.Sprint(row.Start, row.End, row.Cells))
					}
					return out
				}
				require.Equal(t, answer(plain), answer(bounded), "%s on %d", bounded, q.On)
			}
		}
	}
	// What lies outside is not read.
	p, err := b.Plan(t.Context(), usage.ForTenant("acme"), usage.Query{GroupBy: []string{"d"}, Filter: "start ge " + at(4000) + " and start lt " + at(5000)})
	require.NoError(t, err)
	require.NotZero(t, p.Records)
	require.Equal(t, p.Records, p.RowsRead)
}
