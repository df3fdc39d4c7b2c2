package usage_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

var doubtful = time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)

func oneValue(id, meter, name string, n int64) usage.Record {
	return usage.Record{Tenant: "t", Source: "s", ID: id, Meter: meter, Start: doubtful, Values: usage.Values{}.With(name, decimal.NewFromInt(n))}
}

func cellsOf(t *testing.T, b *usage.Book, q usage.Query) []string {
	t.Helper()
	p, err := b.Query(t.Context(), usage.ForTenant("t"), q)
	require.NoError(t, err)
	var out []string
	for _, r := range p.Rows {
		var c []string
		for _, v := range r.Cells {
			c = append(c, v.String())
		}
		out = append(out, strings.Join(c, "|"))
	}
	return out
}

// An alias of one meter's value reads every other meter's value of that name.
func TestValueAliasLeaksIntoOtherMeters(t *testing.T) {
	t.Parallel()
	b, err := usage.New(memstore.New(nil), &usage.Options{Meters: []usage.Meter{
		{Name: "llm", Values: []usage.MeterValue{{Name: "tokens", Aliases: []string{"quantity"}}}},
		{Name: "storage", Values: []usage.MeterValue{{Name: "quantity"}}},
	}})
	require.NoError(t, err)
	_, err = b.Append(t.Context(), oneValue("1", "llm", "tokens", 5), oneValue("2", "llm", "quantity", 7), oneValue("3", "storage", "quantity", 1000))
	require.NoError(t, err)
	require.Equal(t, []string{"12"}, cellsOf(t, b, usage.Query{Measures: []usage.Measure{{Of: "tokens"}}}))
}
func TestDimensionAliasLeaksIntoOtherMeters(t *testing.T) {
	t.Parallel()
	b, err := usage.New(memstore.New(nil), &usage.Options{Meters: []usage.Meter{
		{Name: "a", Dimensions: []usage.MeterDimension{{Name: "region", Aliases: []string{"zone"}}}},
		{Name: "b", Dimensions: []usage.MeterDimension{{Name: "zone"}}},
	}})
	require.NoError(t, err)
	r1, r2 := oneValue("1", "a", "quantity", 1), oneValue("2", "b", "quantity", 100)
	r1.Dimensions = usage.Dimensions{}.With("zone", "x")
	r2.Dimensions = usage.Dimensions{}.With("zone", "x")
	_, err = b.Append(t.Context(), r1, r2)
	require.NoError(t, err)
	require.Equal(t, []string{"1"}, cellsOf(t, b, usage.Query{Filter: "region eq 'x'", Measures: []usage.Measure{{Of: "quantity"}}}))
}
func TestScopeReadsAliasOfOtherMeter(t *testing.T) {
	t.Parallel()
	b, err := usage.New(memstore.New(nil), &usage.Options{Meters: []usage.Meter{
		{Name: "a", Dimensions: []usage.MeterDimension{{Name: "subscriptionId", Aliases: []string{"account"}}}},
	}})
	require.NoError(t, err)
	r2 := oneValue("2", "b", "quantity", 100)
	r2.Dimensions = usage.Dimensions{}.With("account", "x") // undeclared meter, its own idea of account
	_, err = b.Append(t.Context(), r2)
	require.NoError(t, err)
	p, err := b.Query(t.Context(), usage.ForTenant("t").With("subscriptionId", "x"), usage.Query{})
	require.NoError(t, err)
	require.Empty(t, p.Rows)
}

func TestDuplicateDimensionSurvivesProject(t *testing.T) {
	t.Parallel()
	b, err := usage.New(memstore.New(nil), nil)
	require.NoError(t, err)
	d := usage.NewDimensions(usage.Dimension{Name: "a", Value: "1"}, usage.Dimension{Name: "a", Value: "2"}, usage.Dimension{Name: "b", Value: "3"}).Project([]string{"a"})
	r := oneValue("1", "m", "q", 1)
	r.Dimensions = d
	_, err = b.Append(t.Context(), r)
	require.ErrorIs(t, err, usage.ErrRejected)
}

func TestAsOfTimeChangedWithToken(t *testing.T) {
	t.Parallel()
	b, err := usage.New(memstore.New(nil), nil)
	require.NoError(t, err)
	_, err = b.Append(t.Context(), oneValue("1", "m", "q", 1), oneValue("2", "m", "q", 1), oneValue("3", "m", "q", 1))
	require.NoError(t, err)
	q := usage.Query{PageSize: 1}
	p, err := b.Query(t.Context(), usage.ForTenant("t"), q)
	require.NoError(t, err)
	q.Token, q.AsOf = p.Next, usage.AsOf{Time: doubtful}
	_, err = b.Query(t.Context(), usage.ForTenant("t"), q)
	require.Error(t, err)
}

func outcomesOf(r *usage.Receipt) (out []string) {
	for _, e := range r.Entries {
		out = append(out, fmt.Sprint(e.Outcome, e.Sequence))
	}
	return
}

func TestBatchRejectedTwiceSays(t *testing.T) {
	t.Parallel()
	b, err := usage.New(memstore.New(nil), nil)
	require.NoError(t, err)
	bad := oneValue("1", "m", "q", 2)
	bad.Meter = ""
	r, err := b.Append(t.Context(), bad, bad)
	require.Equal(t, usage.Rejected, r.Entries[1].Outcome, "%v %v", outcomesOf(r), err)
}
func TestConflictInBatchHasSequence(t *testing.T) {
	t.Parallel()
	b, err := usage.New(memstore.New(nil), nil)
	require.NoError(t, err)
	r, _ := b.Append(t.Context(), oneValue("1", "m", "q", 1), oneValue("1", "m", "q", 2))
	require.Equal(t, uint64(1), r.Entries[1].Sequence)
}

func TestRangeBelowMicrosecond(t *testing.T) {
	t.Parallel()
	b, err := usage.New(memstore.New(nil), nil)
	require.NoError(t, err)
	r := oneValue("1", "m", "q", 1)
	r.Start = time.Date(2026, 1, 31, 23, 59, 59, 999_999_000, time.UTC)
	_, err = b.Append(t.Context(), r)
	require.NoError(t, err)
	to := time.Date(2026, 1, 31, 23, 59, 59, 999_999_999, time.UTC)
	require.True(t, r.Start.Before(to))
	require.Equal(t, []string{"1"}, cellsOf(t, b, usage.Query{To: to, Measures: []usage.Measure{{Of: "q"}}}))
}
func TestAliasOfValueIsDimensionElsewhere(t *testing.T) {
	t.Parallel()
	_, err := usage.New(memstore.New(nil), &usage.Options{Meters: []usage.Meter{
		{Name: "a", Values: []usage.MeterValue{{Name: "tokens", Aliases: []string{"region"}}}},
		{Name: "b", Dimensions: []usage.MeterDimension{{Name: "region"}}},
	}})
	require.Error(t, err)
}

// A store in which every rollup snapshot is gone.
type unheld struct{ usage.Store }

func (u unheld) ScanRollups(ctx context.Context, s usage.RollupSelection) iter.Seq2[*usage.Rollup, error] {
	return func(y func(*usage.Rollup, error) bool) { y(nil, usage.ErrHeld) }
}
func (u unheld) Group(ctx context.Context, r usage.GroupRead) iter.Seq2[*usage.GroupRow, error] {
	return u.Store.(usage.Grouper).Group(ctx, r)
}

func TestHeldThenValueCounted(t *testing.T) {
	t.Parallel()
	st := memstore.New(nil)
	b, err := usage.New(st, nil)
	require.NoError(t, err)
	for i := range 500 {
		_, err = b.Append(t.Context(), oneValue(fmt.Sprint(i), "m", "q", int64(i)))
		require.NoError(t, err)
	}
	for {
		did, err := b.Roll(t.Context())
		require.NoError(t, err)
		if !did {
			break
		}
	}
	b2, err := usage.New(unheld{st}, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"500"}, cellsOf(t, b2, usage.Query{Measures: []usage.Measure{{Aggregation: usage.CountDistinct, Of: "q"}}}))
}

// Two books roll at once with a tiny hold: before the first reads the old rows,
// the second commits.
type between struct {
	usage.Store
	f func()
}

func (u *between) ScanRollups(ctx context.Context, s usage.RollupSelection) iter.Seq2[*usage.Rollup, error] {
	if f := u.f; f != nil {
		u.f = nil
		f()
	}
	return u.Store.ScanRollups(ctx, s)
}

func TestRollRaceTinyHold(t *testing.T) {
	t.Parallel()
	st := memstore.New(nil)
	w := &between{Store: st}
	o := &usage.Options{SnapshotHold: time.Nanosecond, RollBatch: 200}
	b, err := usage.New(w, o)
	require.NoError(t, err)
	b2, err := usage.New(st, o)
	require.NoError(t, err)
	for i := range 1000 {
		_, err = b.Append(t.Context(), oneValue(fmt.Sprint(i), "m", "q", int64(i)))
		require.NoError(t, err)
	}
	_, err = b.Roll(t.Context())
	require.NoError(t, err)
	w.f = func() {
		for range 2 {
			_, err := b2.Roll(t.Context())
			require.NoError(t, err)
		}
	}
	_, err = b.Roll(t.Context())
	require.NoError(t, err)
	require.False(t, errors.Is(err, usage.ErrHeld))
}

func TestZeroFillAllTime(t *testing.T) {
	t.Parallel()
	b, err := usage.New(memstore.New(nil), nil)
	require.NoError(t, err)
	_, err = b.Append(t.Context(), oneValue("1", "m", "q", 1))
	require.NoError(t, err)
	z, _ := time.LoadLocation("Europe/Zurich")
	_, err = b.Query(t.Context(), usage.ForTenant("t"), usage.Query{ZeroFill: true, From: time.Date(1, 1, 1, 1, 0, 0, 0, time.UTC), To: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
		Window: aggregate.Window{Unit: aggregate.Hour, Location: z}})
	require.ErrorIs(t, err, usage.ErrTooLarge)
}

// A former name of a meter is refused where a query names it, because records
// of that name are read under the present one.
func TestFormerMeterNameIsRefused(t *testing.T) {
	t.Parallel()
	b, err := usage.New(memstore.New(nil), &usage.Options{Meters: []usage.Meter{{Name: "new", Aliases: []string{"old"}}}})
	require.NoError(t, err)
	_, err = b.Append(t.Context(), oneValue("1", "old", "quantity", 5), oneValue("2", "new", "quantity", 7))
	require.NoError(t, err)
	require.Equal(t, []string{"12"}, cellsOf(t, b, usage.Query{Filter: "meter eq 'new'", Measures: []usage.Measure{{Of: "quantity"}}}))
	for _, q := range []usage.Query{{Filter: "meter eq 'old'"}, {Filter: "region eq 'x' or not (meter in ('a','old'))"}, {Measures: []usage.Measure{{Of: "quantity", Meter: "old"}}}} {
		_, err := b.Query(t.Context(), usage.ForTenant("t"), q)
		require.ErrorIs(t, err, usage.ErrInvalid)
		require.ErrorContains(t, err, "former name of the meter \"new\"")
	}
}

func TestDuplicateValueAndWith(t *testing.T) {
	t.Parallel()
	one := usage.Value{Name: "q", Number: aggregate.Int(1)}
	twice := usage.NewValues(one, one)
	require.Equal(t, 1, twice.With("q", decimal.NewFromInt(3)).Len(), "the new value takes the place of both")
	b := newBook(t, nil)
	r := plainRecord("1")
	r.Values = twice.With("other", decimal.NewFromInt(1))
	_, err := b.Append(t.Context(), r)
	require.ErrorContains(t, err, usage.CodeDuplicate)
}

func TestAsOfBeyondTheNewest(t *testing.T) {
	t.Parallel()
	b := newBook(t, nil)
	mustAppend(t, b, plainRecord("1"), plainRecord("2"))
	_, err := b.Query(t.Context(), usage.ForTenant("acme"), usage.Query{AsOf: usage.AsOf{Sequence: 3}})
	require.ErrorIs(t, err, usage.ErrInvalid)
	// The moment of an answer repeats it, that of an empty book too.
	empty := newBook(t, nil)
	page, err := empty.Query(t.Context(), usage.ForTenant("acme"), usage.Query{})
	require.NoError(t, err)
	mustAppend(t, empty, plainRecord("1"))
	again, err := empty.Query(t.Context(), usage.ForTenant("acme"), usage.Query{AsOf: page.AsOf})
	require.NoError(t, err)
	require.Empty(t, again.Rows)
}

func TestRepeatsInOneBatch(t *testing.T) {
	t.Parallel()
	b := newBook(t, nil)
	bad := plainRecord("1")
	bad.Meter = ""
	r, err := b.Append(t.Context(), bad, plainRecord("1"))
	require.Equal(t, usage.Conflict, r.Entries[1].Outcome)
	require.ErrorContains(t, err, "an earlier record of the batch")
	require.NotContains(t, err.Error(), "is booked with other content")
}

func TestYearsDoNotWrap(t *testing.T) {
	t.Parallel()
	b := newBook(t, nil)
	r := plainRecord("1")
	r.Start = time.Unix(noon.Unix()+18446744073709, 551616000) // 2^64 microseconds later
	_, err := b.Append(t.Context(), r)
	require.ErrorContains(t, err, usage.CodeOutOfRange)
	_, err = b.Query(t.Context(), usage.ForTenant("acme"), usage.Query{From: r.Start})
	require.ErrorIs(t, err, usage.ErrInvalid)
	_, err = b.Query(t.Context(), usage.ForTenant("acme"), usage.Query{AsOf: usage.AsOf{Time: r.Start}})
	require.ErrorIs(t, err, usage.ErrInvalid)
}

func TestSurrogatesInJSON(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{`"\ud83d\ude00"`: true, `"\\ud800"`: true, `"\ud800"`: false, `"\udfff"`: false, `"\ud800\u0041"`: false, `{"\ud800":1}`: false} {
		_, err := usage.CanonicalJSON(text)
		require.Equal(t, ok, err == nil, "%s: %v", text, err)
	}
}

// lookups counts the records that a book looks up by identity.
type lookups struct {
	usage.Store
	n int
}

func (l *lookups) Scan(ctx context.Context, s usage.Selection) iter.Seq2[*usage.Stored, error] {
	l.n += len(s.Identities)
	return l.Store.Scan(ctx, s)
}

// TestChainIsWalkedOnce: a long chain of corrections costs a query as many
// look-ups as it has links, not their square.
func TestChainIsWalkedOnce(t *testing.T) {
	t.Parallel()
	store := &lookups{Store: memstore.New(nil)}
	b, err := usage.New(store, nil)
	require.NoError(t, err)
	mustAppend(t, b, oneValue("0", "m", "q", 1))
	const links = 300
	var batch []usage.Record
	for i := 1; i <= links; i++ {
		batch = append(batch, usage.Record{Tenant: "t", Source: "s", ID: fmt.Sprint(i), Corrects: &usage.Correction{Kind: usage.Void, Source: "s", ID: fmt.Sprint(i - 1)}})
	}
	mustAppend(t, b, batch...)
	require.Equal(t, []string{"1"}, cellsOf(t, b, usage.Query{Measures: []usage.Measure{{Of: "q"}}}), "an even number of voids")
	require.LessOrEqual(t, store.n, links)
	// Explain of a void shows the whole chain all the same.
	id := usage.Identity{Tenant: "t", Source: "s", ID: "1"}
	why, err := b.Explain(t.Context(), usage.ForTenant("t"), usage.Explain{Identity: &id})
	require.NoError(t, err)
	require.Len(t, why.Records[0].Chain, links-1)
}

func TestExplainPivot(t *testing.T) {
	t.Parallel()
	b := newBook(t, nil)
	mustAppend(t, b, oneValue("1", "a", "q", 1), oneValue("2", "b", "q", 5))
	q := usage.Query{Measures: []usage.Measure{{Of: "q", Meter: "a"}}}
	page, err := b.Query(t.Context(), usage.ForTenant("t"), q)
	require.NoError(t, err)
	why, err := b.Explain(t.Context(), usage.ForTenant("t"), usage.Explain{Query: q, Row: &page.Rows[0]})
	require.NoError(t, err)
	require.True(t, why.Records[0].Counted)
	require.Equal(t, usage.WhyMeasure, why.Records[1].Why)
}

func TestDefaultsOfUndeclaredMeters(t *testing.T) {
	t.Parallel()
	b := newBook(t, &usage.Options{Meters: []usage.Meter{{Name: "storage", Values: []usage.MeterValue{{Name: "gb"}}}}})
	mustAppend(t, b, oneValue("1", "storage", "gb", 2), oneValue("2", "free", "quantity", 4))
	require.Equal(t, []string{"free||4", "storage|2|"}, cellsOf(t, b, usage.Query{GroupBy: []string{"meter"}}))
	require.Equal(t, []string{"storage|2"}, cellsOf(t, b, usage.Query{Filter: "meter eq 'storage'", GroupBy: []string{"meter"}}))
}

// TestNowIsThatOfTheFirstPage: a filter with now() is one condition over all
// pages.
func TestNowIsThatOfTheFirstPage(t *testing.T) {
	t.Parallel()
	now := noon.Add(150 * time.Second)
	b := newBook(t, &usage.Options{Now: func() time.Time { return now }})
	for i := range 10 {
		r := plainRecord(fmt.Sprint(i))
		r.Start = noon.Add(time.Duration(i) * time.Minute)
		mustAppend(t, b, r)
	}
	for _, order := range []string{"", "id desc"} {
		now = noon.Add(150 * time.Second)
		q := usage.Query{Filter: "start lt now()", OrderBy: order, PageSize: 1}
		ids := ""
		for {
			page, err := b.Query(t.Context(), usage.ForTenant("acme"), q)
			require.NoError(t, err)
			ids += page.Rows[0].Record.ID
			if page.Next == "" {
				break
			}
			q.Token = page.Next
			now = now.Add(time.Minute)
		}
		require.Len(t, ids, 3)
	}
}
