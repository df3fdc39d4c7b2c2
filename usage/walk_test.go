package usage_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

// TestWalkUnderWrites walks pages while writers append, correct and replay and a
// roller rolls, and again between any two pages: what the pages hold together is
// one big page taken at the moment of the first.
func TestWalkUnderWrites(t *testing.T) {
	t.Parallel()
	day := aggregate.Window{Unit: aggregate.Day}
	for name, q := range map[string]usage.Query{
		"records":                  {},
		"records by a null key":    {OrderBy: "region desc, values/quantity"},
		"records of a filter":      {Filter: "region ne 'us' and values/quantity ge 5", OrderBy: "id desc"},
		"days by region":           {GroupBy: []string{"region"}, Window: day, Measures: []usage.Measure{{Of: "quantity"}, {Name: "n", Aggregation: usage.Count}}},
		"days by largest":          {GroupBy: []string{"region", "meter"}, Window: day, Measures: []usage.Measure{{Of: "quantity"}, {Aggregation: usage.Max, Of: "quantity"}}, OrderBy: "quantity desc"},
		"first and last":           {GroupBy: []string{"region"}, Window: day, Measures: []usage.Measure{{Aggregation: usage.First, Of: "quantity"}, {Aggregation: usage.Last, Of: "quantity"}}, OrderBy: "last_quantity, start desc"},
		"distinct, with a limit":   {GroupBy: []string{"meter"}, Window: day, Measures: []usage.Measure{{Name: "regions", Aggregation: usage.CountDistinct, Of: "dimensions/region"}}, Limit: 17},
		"silent windows, counted":  {From: noon.AddDate(0, 0, -5), To: noon.AddDate(0, 0, 40), GroupBy: []string{"region"}, Window: day, Measures: []usage.Measure{{Of: "quantity"}}, ZeroFill: true, Count: true},
		"recorded before a moment": {On: usage.RecordedTime, To: noon.AddDate(100, 0, 0), GroupBy: []string{"region"}, Window: day, Measures: []usage.Measure{{Of: "quantity"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &walk{t: t, book: func() *usage.Book {
				b, err := usage.New(memstore.New(nil), &usage.Options{RollBatch: 200})
				require.NoError(t, err)
				return b
			}()}
			for range 6 {
				w.write(t.Context(), rand.New(rand.NewPCG(1, 2)))
			}
			rollAll(t, w.book)

			ctx, stop := context.WithCancel(t.Context())
			var writers sync.WaitGroup
			for i := range uint64(2) {
				writers.Go(func() {
					rng := rand.New(rand.NewPCG(i, 3))
					for ctx.Err() == nil {
						w.write(ctx, rng)
						if _, err := w.book.Roll(ctx); err != nil && ctx.Err() == nil {
							t.Error(err)
						}
					}
				})
			}
			defer func() { stop(); writers.Wait() }()

			scope := usage.ForTenant("acme")
			pages := q
			pages.PageSize = 40
			if len(q.Measures) > 0 {
				pages.PageSize = 5
			}
			var got []string
			var at usage.AsOf
			rng := rand.New(rand.NewPCG(9, 9))
			for n := 0; ; n++ {
				page, err := w.book.Query(t.Context(), scope, pages)
				require.NoError(t, err)
				if n == 0 {
					at = page.AsOf
				}
				require.Equal(t, at, page.AsOf)
				for _, row := range page.Rows {
					got = append(got, table(&usage.Page{Rows: []usage.Row{row}}))
				}
				if page.Next == "" || n == 30 {
					break
				}
				pages.Token = page.Next
				w.write(t.Context(), rng)
				rollAll(t, w.book)
			}
			plan, err := w.book.Plan(t.Context(), scope, usage.Query{Measures: []usage.Measure{{Of: "quantity"}}})
			require.NoError(t, err)
			require.Greater(t, plan.Checkpoint, at.Sequence, "the checkpoint did not pass the mark of the tokens: the walk proves nothing")
			stop()
			writers.Wait()

			var want []string
			q.AsOf = at
			for row, err := range w.book.Rows(t.Context(), scope, q) {
				require.NoError(t, err)
				want = append(want, table(&usage.Page{Rows: []usage.Row{row}}))
				if len(want) == len(got) && pages.Token != "" && len(got) >= 31*pages.PageSize {
					break // the walk was cut off after thirty pages
				}
			}
			require.Equal(t, want, got)
		})
	}
}

// walk is a book that several goroutines write to.
type walk struct {
	t    *testing.T
	book *usage.Book

	mu   sync.Mutex
	sent []usage.Record
	next int
}

// write appends new records, sends earlier ones again, and corrects some.
func (w *walk) write(ctx context.Context, rng *rand.Rand) {
	w.mu.Lock()
	var batch []usage.Record
	add := func(r usage.Record) {
		w.next++
		r.Tenant, r.Source, r.ID = "acme", "walk", fmt.Sprintf("%06d", w.next)
		batch = append(batch, r)
	}
	for range 30 {
		r := usage.Record{Meter: pick(rng, "a", "b"), Start: noon.Add(time.Duration(rng.IntN(30*24*60)) * time.Minute),
			Values: usage.NewValues(usage.Value{Name: "quantity", Number: aggregate.Fixed(rng.Int64N(3000), 2)})}
		if rng.IntN(4) > 0 {
			r.Dimensions = r.Dimensions.With("region", pick(rng, "eu", "us", ""))
		}
		add(r)
	}
	for range min(3, len(w.sent)) {
		target := w.sent[rng.IntN(len(w.sent))]
		add(usage.Record{Corrects: &usage.Correction{Kind: usage.Void, Source: target.Source, ID: target.ID}})
		other := w.sent[rng.IntN(len(w.sent))]
		if other.Corrects == nil {
			other.Corrects = &usage.Correction{Kind: usage.Replace, Source: other.Source, ID: other.ID}
			add(other)
		}
		batch = append(batch, w.sent[rng.IntN(len(w.sent))]) // sent again
	}
	w.sent = append(w.sent, batch...)
	w.mu.Unlock()
	// What targets something corrected already is refused, which is as it should
	// be; anything else is a fault.
	if _, err := w.book.Append(ctx, batch...); err != nil && ctx.Err() == nil {
		if _, ok := err.(*usage.AppendError); !ok {
			w.t.Error(err)
		}
	}
}
