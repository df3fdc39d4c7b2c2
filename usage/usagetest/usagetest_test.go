package usagetest_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// example stands in for the testing.T of a test: it prints failures.
type example struct{ testing.TB }

func (example) Helper()                           {}
func (example) Cleanup(func())                    {}
func (example) Context() context.Context          { return context.Background() }
func (example) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }
func (e example) Fatalf(format string, args ...any) {
	e.Errorf(format, args...)
	panic(errEnded)
}

var errEnded = errors.New("the test was ended")

// recorder keeps what an assertion says.
type recorder struct {
	testing.TB
	said []string
}

func (r *recorder) Helper() {}
func (r *recorder) Errorf(format string, args ...any) {
	r.said = append(r.said, fmt.Sprintf(format, args...))
}
func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(errEnded)
}

// said runs what is to fail and returns what it said.
func said(t *testing.T, run func(t testing.TB)) string {
	t.Helper()
	r := &recorder{TB: t}
	func() {
		defer func() {
			if p := recover(); p != nil && p != errEnded {
				panic(p)
			}
		}()
		run(r)
	}()
	require.Len(t, r.said, 1)
	return r.said[0]
}

func TestClock(t *testing.T) {
	t.Parallel()
	var c usagetest.Clock
	require.Equal(t, usagetest.Epoch(), c.Now())
	require.Equal(t, usagetest.Epoch().Add(time.Minute), c.Advance(time.Minute))
	require.Equal(t, usagetest.Epoch(), c.Advance(-time.Minute))
	zurich := time.FixedZone("", 3600)
	c.Set(time.Date(2030, 1, 1, 1, 0, 0, 0, zurich))
	require.Equal(t, time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), c.Now())
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 100 {
				c.Advance(time.Second)
			}
		}()
	}
	wg.Wait()
	require.Equal(t, time.Date(2030, 1, 1, 0, 13, 20, 0, time.UTC), c.Now())
}

func TestBuilder(t *testing.T) {
	t.Parallel()
	base := usagetest.Record("acme", "storage").Source("s3").At(usagetest.Epoch().Add(time.Hour)).Until(usagetest.Epoch().Add(2 * time.Hour))
	one := base.Value("gb", "1.25").Dim("tier", "cold").Build()
	two := base.Value("cost", "0.01").Replaces("s3", "r1").Build()
	require.Equal(t, "{gb=1.25}", one.Values.String())
	require.Equal(t, "{cost=0.01}", two.Values.String(), "a Builder is a value")
	require.Equal(t, 0, two.Dimensions.Len())
	require.Nil(t, one.Corrects)
	require.Equal(t, usage.Correction{Kind: usage.Replace, Source: "s3", ID: "r1"}, *two.Corrects)

	many := base.ID("x").Repeat(2, time.Minute)
	require.Equal(t, "x-0002", many[1].ID)
	require.Equal(t, time.Hour, many[1].End.Sub(many[1].Start))
	require.Equal(t, time.Minute, many[1].Start.Sub(many[0].Start))
	require.Empty(t, base.Repeat(0, time.Hour))

	book, _ := usagetest.NewBook(t, nil)
	_, err := book.Append(t.Context(), base.Quantity("a lot").Build())
	require.ErrorIs(t, err, usage.ErrRejected)
	require.ErrorContains(t, err, "a lot")
}

func TestNewBook(t *testing.T) {
	t.Parallel()
	opts := &usage.Options{BatchSize: 1}
	book, clock := usagetest.NewBook(t, opts)
	require.Nil(t, opts.Now, "the options are the caller's own")
	clock.Advance(time.Hour)
	receipt := usagetest.Append(t, book, usagetest.Record("acme", "requests").Build())
	require.Equal(t, usagetest.Epoch().Add(time.Hour), receipt.Entries[0].Recorded)

	require.Contains(t, said(t, func(t testing.TB) { usagetest.NewBook(t, &usage.Options{BatchSize: -1}) }), "BatchSize")
	require.Contains(t, said(t, func(t testing.TB) {
		usagetest.Append(t, book, usagetest.Record("acme", "requests").Build())
	}), "is duplicate, want inserted")
	require.Contains(t, said(t, func(t testing.TB) {
		usagetest.Append(t, book, usagetest.Record("", "requests").Build())
	}), "tenant")
}

func TestLedger(t *testing.T) {
	t.Parallel()
	book, _ := usagetest.NewBook(t, nil)
	acme := usage.ForTenant("acme")
	usagetest.Booked(t, book, acme).Nothing().Count(0).Total("quantity", "0").HasNot("acme", "test", "r1")

	records := usagetest.Record("acme", "requests").Quantity("0.1").Dim("region", "eu").Repeat(12, time.Hour)
	usagetest.Append(t, book, records...)
	usagetest.Append(t, book, usagetest.Record("globex", "requests").Build(), usagetest.Void(records[3]))
	booked := usagetest.Booked(t, book, acme)
	booked.Count(11).Total("quantity", "1.1").Total("quantity", "1.10").HasNot("acme", "test", "r1-0004").HasNot("globex", "test", "r1")
	booked.During(usagetest.Epoch().Add(4*time.Hour), usagetest.Epoch().Add(6*time.Hour)).Count(2)
	booked.Where("region eq 'us'").Nothing().HasNot("acme", "test", "r1-0001")
	require.Equal(t, records[0].Start, booked.Has("acme", "test", "r1-0001").Start)
	usagetest.Booked(t, book, usage.AllTenants()).Total("quantity", "2.1")

	for name, c := range map[string]struct {
		run  func(l *usagetest.Ledger)
		want string
	}{
		"a wrong total":        {func(l *usagetest.Ledger) { l.Total("quantity", "1.2") }, "the total of quantity is 1.1, want 1.2; booked are"},
		"a wrong count":        {func(l *usagetest.Ledger) { l.Count(12) }, "11 records are booked, want 12; booked are"},
		"many records":         {func(l *usagetest.Ledger) { l.Count(12) }, "and more"},
		"something":            {func(l *usagetest.Ledger) { l.Nothing() }, "11 records are booked, want 0"},
		"a missing record":     {func(l *usagetest.Ledger) { l.Has("acme", "test", "nobody") }, `no record of tenant "acme" with source "test" and id "nobody" is booked`},
		"a void record":        {func(l *usagetest.Ledger) { l.Has("acme", "test", "r1-0004") }, "does not count: voided"},
		"another tenant's":     {func(l *usagetest.Ledger) { l.Has("globex", "test", "r1") }, "is booked"},
		"a record that counts": {func(l *usagetest.Ledger) { l.HasNot("acme", "test", "r1-0001") }, "counts, want that it does not"},
		"no number":            {func(l *usagetest.Ledger) { l.Total("quantity", "much") }, "the wanted total"},
		"no filter":            {func(l *usagetest.Ledger) { l.Where("region is eu").Count(1) }, "filter"},
		"nothing at all":       {func(l *usagetest.Ledger) { l.Where("region eq 'us'").Count(1) }, "nothing is booked"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, said(t, func(t testing.TB) { c.run(usagetest.Booked(t, book, acme)) }), c.want)
		})
	}
}
