package postgresstore_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/rules"
	"github.com/usagebook/usagebook/usage"
)

// trips counts the statements and batches that are sent.
type trips struct{ n atomic.Int64 }

func (t *trips) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	t.n.Add(1)
	return ctx
}

func (t *trips) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// sumsOf asks for the sums of a tenant in three ways: from records, from rollups
// where there are any, and by a dimension.
var sumsOf = map[string]usage.Query{
	"by hour":        {Window: aggregate.Window{Unit: aggregate.Hour}, Filter: "meter eq 'orders'", Measures: []usage.Measure{{Of: usage.QuantityName}}},
	"by month":       {Window: aggregate.Window{Unit: aggregate.Month}, GroupBy: []string{"meter"}, Measures: []usage.Measure{{Of: usage.QuantityName}}},
	"by region":      {GroupBy: []string{"region"}, Filter: "startswith(region,'e')", Measures: []usage.Measure{{Of: usage.QuantityName}}},
	"of no time":     {From: epoch.AddDate(50, 0, 0), Measures: []usage.Measure{{Of: usage.QuantityName}}},
	"of nobody":      {Filter: "meter eq 'nothing'", Measures: []usage.Measure{{Of: usage.QuantityName}}},
	"by no such one": {GroupBy: []string{"region"}, Filter: "region eq 'nowhere'", Measures: []usage.Measure{{Of: usage.QuantityName}}},
}

func answerOf(t testing.TB, b *bench, q usage.Query) string {
	t.Helper()
	page, err := b.book.Query(t.Context(), usage.ForTenant("acme"), q)
	require.NoError(t, err)
	out := ""
	for i := range page.Rows {
		r := &page.Rows[i]
		out += fmt.Sprintf("%s %v; ", r.Start.Format(time.RFC3339), r.Cells)
	}
	return out
}

func TestOneRoundTripAtRest(t *testing.T) {
	t.Parallel()
	count := new(trips)
	b := newBench(t, func(c *pgxpool.Config) { c.ConnConfig.Tracer = count })
	var all []usage.Record
	for i := range 200 {
		r := use(fmt.Sprint("r", i), int64(i))
		r.Start = epoch.Add(time.Duration(i) * time.Hour)
		all = append(all, r)
	}
	_, err := b.book.Append(t.Context(), all...)
	require.NoError(t, err)
	want := map[string]string{}
	for name, q := range sumsOf {
		want[name] = answerOf(t, b, q)
	}
	require.NotEmpty(t, want["by hour"])
	require.Empty(t, want["of nobody"])
	for round := range 2 {
		for name, q := range sumsOf {
			for range 3 { // it is told the same twice, and looks series up anew
				require.Equal(t, want[name], answerOf(t, b, q))
			}
			before := count.n.Load()
			require.Equal(t, want[name], answerOf(t, b, q))
			if sent := count.n.Load() - before; want[name] != "" {
				// With rollups it may read two pieces, and asks nothing beside them.
				require.LessOrEqual(t, sent, int64(1+round), "%s, round %d", name, round)
			} else {
				require.LessOrEqual(t, sent, int64(2), "%s, round %d", name, round)
			}
		}
		b.clock.advance(100 * 24 * time.Hour)
		for {
			did, err := b.book.Roll(t.Context())
			require.NoError(t, err)
			if !did {
				break
			}
		}
	}
}

// What another process books or corrects, or a transaction of the host's, is in the
// next answer, however sure the store was.
func TestAssumedStateIsConfirmed(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	other := b.sibling(t)
	rng := rand.New(rand.NewPCG(1, 2))
	n := 0
	fresh := func() usage.Record {
		n++
		r := use(fmt.Sprint("r", n), rng.Int64N(1000))
		r.Start = epoch.Add(time.Duration(rng.IntN(2000)) * time.Hour)
		r.Dimensions = usage.NewDimensions(usage.Dimension{Name: "region", Value: []string{"eu", "east", "us", fmt.Sprint("e", n)}[rng.IntN(4)]})
		if rng.IntN(10) == 0 {
			r.Values = r.Values.WithNumber("cost", aggregate.Int(1)) // another shape
		}
		return r
	}
	_, err := b.book.Append(t.Context(), fresh())
	require.NoError(t, err)
	var last usage.Record
	for step := range 60 {
		for name, q := range sumsOf {
			for range rng.IntN(5) {
				answerOf(t, b, q)
			}
			switch what := rng.IntN(6); {
			case what == 0 && last.ID != "":
				_, err = other.book.Append(t.Context(), voidOf(fmt.Sprint("v", n, name), last))
				last.ID = ""
			case what == 1:
				tx, err := other.pool.Begin(t.Context())
				require.NoError(t, err)
				_, err = other.store.AppendTx(t.Context(), other.book, tx, fresh())
				require.NoError(t, err)
				answerOf(t, b, q)
				require.NoError(t, tx.Commit(t.Context()))
			case what == 2 && step%5 == 0:
				b.clock.advance(40 * 24 * time.Hour)
				_, err = other.book.Roll(t.Context())
			default:
				last = fresh()
				_, err = other.book.Append(t.Context(), last)
			}
			require.NoError(t, err)
			// A store that was never asked assumes nothing.
			ignorant := &bench{store: open(t, other.pool, nil)}
			ignorant.book, err = usage.New(ignorant.store, &usage.Options{Now: b.clock.Now})
			require.NoError(t, err)
			require.Equal(t, answerOf(t, ignorant, q), answerOf(t, b, q), "step %d: %s", step, name)
		}
	}
}

// A store that is sure of the records still learns of rollups that another process
// has made.
func TestNewerRollupsAreFound(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	var all []usage.Record
	for i := range 400 {
		r := use(fmt.Sprint("r", i), 1)
		r.Start = epoch.Add(time.Duration(i) * time.Hour / 8)
		all = append(all, r)
	}
	_, err := b.book.Append(t.Context(), all...)
	require.NoError(t, err)
	q := sumsOf["by month"]
	want := answerOf(t, b, q)
	for range 5 {
		require.Equal(t, want, answerOf(t, b, q))
	}
	other := b.sibling(t)
	for did := true; did; {
		did, err = other.book.Roll(t.Context())
		require.NoError(t, err)
	}
	found := 0
	for i := range 250 {
		require.Equal(t, want, answerOf(t, b, q))
		if st, ok := b.store.Assume(); ok && st.Checkpoint == uint64(len(all)) {
			found = i
			break
		}
	}
	require.Positive(t, found)
}

// What a question is about may be few records or, against what was to be expected,
// many: the answer is the same as one that the database adds up.
func TestFewRecords(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	rng := rand.New(rand.NewPCG(3, 4))
	var all []usage.Record
	add := func(meter string, n int) {
		for range n {
			r := use(fmt.Sprint("r", len(all)), rng.Int64N(1000)-300)
			r.Meter, r.Start = meter, epoch.Add(time.Duration(rng.IntN(60*24*60))*time.Minute)
			switch rng.IntN(5) {
			case 0:
				r.Values = r.Values.WithNumber("cost", aggregate.Fixed(rng.Int64N(1e9), 7))
			case 1:
				r.Values = usage.Values{}.WithNumber("cost", aggregate.Int(rng.Int64N(9)))
			}
			all = append(all, r)
		}
	}
	for i := range 200 {
		add(fmt.Sprint("meter", i), 1+i%3)
	}
	add("few", 40)
	add("some", 256)
	add("many", 257)
	add("very many", 900)
	_, err := b.book.Append(t.Context(), all...)
	require.NoError(t, err)
	book, err := usage.New(struct{ usage.Store }{b.store}, nil) // it is scanned
	require.NoError(t, err)
	measures := []usage.Measure{{Of: usage.QuantityName}, {Of: "cost", Aggregation: usage.Max, Name: "most"}, {Of: "cost", Aggregation: usage.Min, Name: "least"},
		{Of: "cost", Aggregation: usage.Avg, Name: "mean"}, {Of: "cost", Aggregation: usage.Count, Name: "costs"}, {Aggregation: usage.Count, Name: "records"}}
	zurich, err := time.LoadLocation("Europe/Zurich")
	require.NoError(t, err)
	check := func() {
		t.Helper()
		for _, meter := range []string{"meter7", "few", "some", "many", "very many", "none"} {
			for _, window := range []aggregate.Window{{}, {Unit: aggregate.Hour}, {Unit: aggregate.Day, Location: zurich}, {Unit: aggregate.Month}} {
				for _, days := range []int{0, 1, 30} {
					q := usage.Query{Filter: "meter eq '" + meter + "'", Window: window, Measures: measures, PageSize: 5000}
					if days > 0 {
						q.From, q.To = epoch.AddDate(0, 0, 3), epoch.AddDate(0, 0, 3+days)
					}
					text := func(b *usage.Book) (out []string) {
						for row, err := range b.Rows(t.Context(), usage.ForTenant("acme"), q) {
							require.NoError(t, err)
							out = append(out, fmt.Sprint(row.Start, row.End, row.Cells))
						}
						return out
					}
					want := text(book)
					for range 3 {
						require.Equal(t, want, text(b.book), "%s, %v, %d days", meter, window, days)
					}
				}
			}
		}
	}
	check()
	_, err = b.book.Append(t.Context(), voidOf("v1", all[len(all)-1]), voidOf("v2", all[len(all)-1200]))
	require.NoError(t, err)
	check()
}

// A record with other values than those before, without which every record would have
// the value first, does not confuse the sum.
func TestSumAfterANewShape(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	_, err := b.book.Append(t.Context(), use("a", 7), use("b", 8))
	require.NoError(t, err)
	for name, q := range sumsOf {
		answerOf(t, b, q)
		r := use("new "+name, 5)
		r.Values = r.Values.WithNumber("a"+name, aggregate.Int(1)) // before the quantity
		_, err = b.book.Append(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, answerOf(t, b.sibling(t), q), answerOf(t, b, q), name)
	}
}

// byID makes records billable whose ids begin with b.
type byID struct{}

func (byID) Judge(s rules.Subject, _ time.Time) rules.Judgement {
	return rules.Judgement{Verdict: rules.Verified, Billable: s.ID()[0] == 'b', Version: "v1"}
}

// A verdict of a class that there was none of before counts at once.
func TestNewClassOfVerdict(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	var err error
	b.book, err = usage.New(b.store, &usage.Options{Now: b.clock.Now, Rules: byID{}})
	require.NoError(t, err)
	_, err = b.book.Append(t.Context(), use("n1", 7), use("n2", 8))
	require.NoError(t, err)
	q := usage.Query{GroupBy: []string{"region"}, Filter: "billable eq true", Measures: []usage.Measure{{Of: usage.QuantityName}}}
	for range 3 {
		require.Empty(t, answerOf(t, b, q))
	}
	_, err = b.book.Append(t.Context(), use("b1", 7), use("b2", 8))
	require.NoError(t, err)
	for range 3 {
		require.Contains(t, answerOf(t, b, q), "15")
	}
}
