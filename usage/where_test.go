package usage_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

// hiding hides the powers of a store: the Book scans.
type hiding struct{ usage.Store }

// TestConditionsOnRecordsAreAddedUp: what only a record decides is left to a store
// that can, and the answer is that of a scan, faults of the evaluation included.
func TestConditionsOnRecordsAreAddedUp(t *testing.T) {
	t.Parallel()
	store := memstore.New(nil)
	opts := &usage.Options{Meters: []usage.Meter{{Name: "meter-01", Values: []usage.MeterValue{{Name: "quantity"}, {Name: "cost", Aliases: []string{"price"}}},
		Dimensions: []usage.MeterDimension{{Name: "region", Aliases: []string{"zone"}}}}}}
	book, err := usage.New(store, opts)
	require.NoError(t, err)
	scanning, err := usage.New(hiding{store}, opts)
	require.NoError(t, err)
	for batch := range batches(5000, 500) {
		_, err := book.Append(t.Context(), batch...)
		require.NoError(t, err)
	}
	for row, err := range book.Rows(t.Context(), usage.AllTenants(), usage.Query{Filter: "values/quantity gt 13", Limit: 3}) {
		require.NoError(t, err)
		_, err = book.Void(t.Context(), row.Record.Identity(), "office", row.Record.ID)
		require.NoError(t, err)
	}
	rollAll(t, book)
	for text, grouped := range map[string]bool{
		"values/quantity gt 12.5":                                        true,
		"values/quantity gt 12.5 or resource eq 'res-0100'":              true,
		"not (values/quantity le 12.5) and startswith(resource,'res-0')": true,
		"values/quantity in (1,2,3) or id lt '8'":                        true,
		"end eq null and sequence le 3000 and source eq 'meterd-1'":      true,
		"start ge 2026-02-01T00:00:00Z and values/quantity lt 1":         true,
		"values/quantity gt 1 and 1 div (values/quantity sub 1) gt 0":    true,
		"1 div (sequence sub 70) gt 0":                                   true,  // fails for one record
		"values/quantity lt 1000 and values/cost eq null":                false, // it has a former name
		"values/quantity gt 5 or region eq 'us-east-1'":                  false,
	} {
		for _, groups := range [][]string{nil, {"meter"}, {"resource"}} {
			q := usage.Query{Filter: text, GroupBy: groups, PageSize: 10_000, Measures: []usage.Measure{{Of: "quantity"}, {Aggregation: usage.Count, Name: "n"}}}
			want, wantErr := scanning.Query(t.Context(), usage.AllTenants(), q)
			got, gotErr := book.Query(t.Context(), usage.AllTenants(), q)
			if wantErr != nil {
				require.ErrorAs(t, gotErr, new(*filter.Error), text)
				require.EqualError(t, gotErr, wantErr.Error())
				continue
			}
			require.NoError(t, gotErr, text)
			require.Equal(t, len(want.Rows), len(got.Rows), text)
			for i := range want.Rows {
				require.Equal(t, cellTexts(want.Rows[i]), cellTexts(got.Rows[i]), text)
			}
			plan, err := book.Plan(t.Context(), usage.AllTenants(), q)
			require.NoError(t, err)
			require.NotEmpty(t, plan.Raw)
			for _, r := range plan.Reads {
				require.Equal(t, grouped, r.Grouped, "%s\n%s", text, plan)
			}
		}
	}
}

func cellTexts(row usage.Row) (texts []string) {
	for _, c := range row.Cells {
		texts = append(texts, c.String())
	}
	return texts
}
