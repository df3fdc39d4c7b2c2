package usage_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/rules"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

// steppedClock is a clock that the test moves.
type steppedClock struct{ at time.Time }

func (c *steppedClock) Now() time.Time { return c.at }

// world is one history in two books: one that rolls and one that never does.
type world struct {
	t          *testing.T
	rng        *rand.Rand
	clock      *steppedClock
	rolled     *usage.Book
	raw        *usage.Book
	plain      []usage.Identity // targets to try
	next       int
	from       time.Time
	moments    []uint64
	rollupRows int64 // that queries were served from
	restated   int64
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 7)), from: time.Date(2026, 3, 20, 0, 0, 0, 0, time.UTC)}
	w.clock = &steppedClock{time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)}
	billable := true
	set, err := rules.New("v1", []rules.Rule{{Name: "billable", Meter: "a", Billable: &billable}}, nil)
	require.NoError(t, err)
	options := usage.Options{Now: w.clock.Now, Rules: set, Rollups: [][]string{{"region"}}, RollBatch: 150,
		Meters: []usage.Meter{{Name: "b", Values: []usage.MeterValue{{Name: "cost"}}, Dimensions: []usage.MeterDimension{{Name: "zone", Aliases: []string{"az"}}}}}}
	w.rolled, err = usage.New(memstore.New(nil), &options)
	require.NoError(t, err)
	options.Rollups = nil
	w.raw, err = usage.New(memstore.New(nil), &options)
	require.NoError(t, err)
	return w
}

func pick[T any](rng *rand.Rand, from ...T) T { return from[rng.IntN(len(from))] }

func (w *world) record() usage.Record {
	w.next++
	r := usage.Record{Tenant: pick(w.rng, "acme", "globex"), Source: pick(w.rng, "s1", "s2"), ID: fmt.Sprintf("%05d", w.next), Meter: pick(w.rng, "a", "a", "b")}
	// Two days in each month are dense, so that hours are worth keeping.
	day := pick(w.rng, 9, 9, 9, 10, 12, 12, 30)
	r.Start = w.from.AddDate(0, 0, day).Add(time.Duration(w.rng.IntN(24*60)) * time.Minute)
	r.Values = usage.NewValues(usage.Value{Name: "quantity", Number: aggregate.Fixed(w.rng.Int64N(2000)-200, uint8(w.rng.IntN(4)))})
	if w.rng.IntN(3) == 0 {
		r.Values = r.Values.WithNumber("cost", aggregate.Fixed(w.rng.Int64N(100), 2))
	}
	if w.rng.IntN(4) > 0 {
		r.Dimensions = r.Dimensions.With("region", pick(w.rng, "eu", "us", ""))
	}
	if w.rng.IntN(5) == 0 {
		r.Dimensions = r.Dimensions.With(pick(w.rng, "zone", "az"), pick(w.rng, "z1", "z2"))
	}
	return r
}

// append books a batch of new records, repeats and corrections in both books.
func (w *world) append() {
	var batch []usage.Record
	for range 1 + w.rng.IntN(120) {
		r := w.record()
		if len(w.plain) > 0 && w.rng.IntN(25) == 0 {
			target := pick(w.rng, w.plain...)
			if w.rng.IntN(3) > 0 {
				r = usage.Record{Tenant: target.Tenant, Source: r.Source, ID: r.ID, Corrects: &usage.Correction{Kind: usage.Void, Source: target.Source, ID: target.ID}}
			} else {
				r.Tenant = target.Tenant
				r.Corrects = &usage.Correction{Kind: usage.Replace, Source: target.Source, ID: target.ID}
			}
		}
		w.plain = append(w.plain, r.Identity())
		batch = append(batch, r)
	}
	w.clock.at = w.clock.at.Add(time.Duration(w.rng.IntN(90)) * time.Second)
	a, errA := w.rolled.Append(w.t.Context(), batch...)
	b, errB := w.raw.Append(w.t.Context(), batch...)
	require.Equal(w.t, fmt.Sprint(errB), fmt.Sprint(errA))
	require.Equal(w.t, b.Inserted, a.Inserted)
	for _, e := range a.Entries {
		if e.Outcome == usage.Inserted {
			w.moments = append(w.moments, e.Sequence)
		}
	}
}

var queryZones = []string{"UTC", "Europe/Zurich", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"}

func (w *world) query() (usage.Scope, usage.Query) {
	scope := pick(w.rng, usage.AllTenants(), usage.ForTenant("acme"), usage.ForTenants("acme", "globex"), usage.ForTenant("globex").With("region", "eu"))
	q := usage.Query{PageSize: 10_000}
	zone, err := time.LoadLocation(pick(w.rng, queryZones...))
	require.NoError(w.t, err)
	q.Window = aggregate.Window{Unit: pick(w.rng, aggregate.None, aggregate.None, aggregate.Hour, aggregate.Day, aggregate.Week, aggregate.Month, aggregate.Quarter, aggregate.Year, aggregate.BillingCycle), Location: zone}
	if q.Window.Unit == aggregate.BillingCycle {
		q.Window.AnchorDay, q.Window.AnchorHour = 1+w.rng.IntN(31), w.rng.IntN(24)
	}
	switch w.rng.IntN(4) {
	case 0:
	case 1:
		q.From = w.from.Add(time.Duration(w.rng.IntN(40*24*60)) * time.Minute)
	case 2:
		q.From = w.from.AddDate(0, 0, w.rng.IntN(12))
		q.To = q.From.AddDate(0, 0, w.rng.IntN(40))
	case 3:
		q.From = w.from.Add(time.Duration(w.rng.IntN(20*24*60)) * time.Minute)
		q.To = q.From.Add(time.Duration(w.rng.IntN(40*24*60)) * time.Minute)
	}
	q.GroupBy = pick(w.rng, nil, nil, []string{"meter"}, []string{"tenant", "meter"}, []string{"region"}, []string{"region", "zone"}, []string{"billable"}, []string{"source"})
	q.Filter = pick(w.rng, "", "", "", "region eq 'eu'", "region ne 'eu'", "meter eq 'a'", "meter in ('a','b') and not (region eq null)",
		"zone eq 'z1' or region eq ''", "billable eq true and region ne null", "quantity gt 3", "values/quantity gt 3", "start ge 2026-04-01T00:00:00Z")
	if strings.HasPrefix(q.Filter, "quantity") {
		q.Filter = "values/" + q.Filter
	}
	q.Measures = pick(w.rng,
		[]usage.Measure{{Of: "quantity"}},
		[]usage.Measure{{Of: "quantity"}, {Aggregation: usage.Count}, {Aggregation: usage.Count, Of: "cost"}, {Aggregation: usage.Min, Of: "quantity"}, {Aggregation: usage.Max, Of: "cost"}, {Aggregation: usage.Avg, Of: "quantity"}},
		[]usage.Measure{{Of: "quantity", Meter: "a", Name: "qa"}, {Of: "cost", Meter: "b", Name: "cb"}, {Aggregation: usage.Count}},
		[]usage.Measure{{Aggregation: usage.First, Of: "quantity"}, {Aggregation: usage.Last, Of: "cost"}, {Of: "cost"}},
		[]usage.Measure{{Aggregation: usage.CountDistinct, Of: "region"}, {Aggregation: usage.CountDistinct, Of: "zone"}, {Aggregation: usage.CountDistinct, Of: "meter"}},
		[]usage.Measure{{Aggregation: usage.CountDistinct, Of: "quantity", Name: "q"}, {Aggregation: usage.CountDistinct, Of: "values/cost", Name: "c"}},
		nil)
	q.OrderBy = pick(w.rng, "", "start desc")
	if len(q.Measures) > 0 && w.rng.IntN(2) == 0 && !strings.Contains(q.Measures[0].Name, "/") {
		name := q.Measures[0].Name
		if name == "" && q.Measures[0].Aggregation == usage.Sum {
			name = "quantity"
		}
		if name != "" {
			q.OrderBy = name + " desc"
		}
	}
	if len(w.moments) > 0 && w.rng.IntN(4) == 0 {
		q.AsOf.Sequence = pick(w.rng, w.moments...)
	}
	if w.rng.IntN(8) == 0 {
		q.On = usage.RecordedTime
		if !q.From.IsZero() {
			q.From = w.clock.at.Add(-time.Duration(w.rng.IntN(1000)) * time.Second)
		}
		q.To = time.Time{}
	}
	if !q.From.IsZero() && !q.To.IsZero() && q.On == usage.EventTime && w.rng.IntN(3) == 0 && q.Window.Unit > aggregate.Hour {
		q.ZeroFill = true
	}
	return scope, q
}

func (w *world) compare() {
	scope, q := w.query()
	want, errB := w.raw.Query(w.t.Context(), scope, q)
	got, errA := w.rolled.Query(w.t.Context(), scope, q)
	require.Equal(w.t, fmt.Sprint(errB), fmt.Sprint(errA))
	if errA != nil {
		return
	}
	if table(want) != table(got) {
		plan, _ := w.rolled.Plan(w.t.Context(), scope, q)
		w.t.Fatalf("%+v\n%+v\nraw:\n%s\nrolled:\n%s\n%s", scope, q, table(want), table(got), plan)
	}
	if len(q.Measures) > 0 {
		plan, err := w.rolled.Plan(w.t.Context(), scope, q)
		require.NoError(w.t, err)
		for _, r := range plan.Reads {
			switch r.Kind {
			case "rollup":
				w.rollupRows += r.Rows
			case "restated":
				w.restated++
			}
		}
	}
}

// table prints a page so that two can be compared to the last digit.
func table(p *usage.Page) string {
	var b strings.Builder
	for _, r := range p.Rows {
		fmt.Fprintf(&b, "%s %s", r.Start.Format(time.RFC3339), r.End.Format(time.RFC3339))
		for _, c := range r.Cells {
			fmt.Fprintf(&b, " | %v %s", c.Type(), c)
		}
		if r.Record != nil {
			fmt.Fprintf(&b, " %s %s", r.Record.ID, r.Record.Values)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// TestRollupsChangeNothing: any query gives the same rows with rollups absent,
// partial or complete, over corrections of every kind and older moments.
func TestRollupsChangeNothing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, seed)
			for range 40 {
				w.append()
				for range w.rng.IntN(3) {
					_, err := w.rolled.Roll(t.Context())
					require.NoError(t, err)
				}
				for range 12 {
					w.compare()
				}
			}
			rollAll(t, w.rolled)
			for range 200 {
				w.compare()
			}
			require.Greater(t, w.rollupRows, int64(1000), "the rollups were hardly used: the test proves nothing")
			require.Greater(t, w.restated, int64(20), "no correction touched a rolled bucket: the test proves nothing")
		})
	}
}

// countedScans counts the records that a store gives out one by one.
type countedScans struct {
	*memstore.Store
	records int
}

func (s *countedScans) Scan(ctx context.Context, sel usage.Selection) iter.Seq2[*usage.Stored, error] {
	return func(yield func(*usage.Stored, error) bool) {
		for r, err := range s.Store.Scan(ctx, sel) {
			s.records++
			if !yield(r, err) {
				return
			}
		}
	}
}

// What a step takes in it reads once, however many levels it weighs; and what was
// taken in before it reads again only to weigh a level anew.
func TestRollReadsARecordOnce(t *testing.T) {
	t.Parallel()
	const n, step = 20_000, 5_000
	store := &countedScans{Store: memstore.New(nil)}
	book, err := usage.New(store, &usage.Options{RollBatch: step})
	require.NoError(t, err)
	for batch := range batches(n, 1000) {
		_, err := book.Append(t.Context(), batch...)
		require.NoError(t, err)
	}
	did, err := book.Roll(t.Context())
	require.NoError(t, err)
	require.True(t, did)
	require.Equal(t, step, store.records)
	rollAll(t, book)
	// Each level is weighed again when a month has half as many records again.
	require.LessOrEqual(t, store.records, 4*n)
}
