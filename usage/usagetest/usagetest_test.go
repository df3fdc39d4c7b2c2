package usagetest_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// recorder stands in for a test, to see what an assertion says of a fault.
type recorder struct {
	testing.TB
	mu     sync.Mutex
	faults []string
}

func (r *recorder) Helper()                  {}
func (r *recorder) Cleanup(func())           {}
func (r *recorder) Context() context.Context { return context.Background() }
func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

type stopped struct{}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(stopped{})
}

func (r *recorder) run(f func()) string {
	func() {
		defer func() {
			if x := recover(); x != nil {
				if _, ok := x.(stopped); !ok {
					panic(x)
				}
			}
		}()
		f()
	}()
	return strings.Join(r.faults, "\n")
}

func TestAssertionsHold(t *testing.T) {
	t.Parallel()
	book, clock := usagetest.NewBook(t, nil)
	line := usagetest.Record(t, "acme", "requests").Dim("region", "eu")
	one := line.ID("1").Quantity("0.1").Build()
	usagetest.Append(t, book, one, line.ID("2").Quantity("0.20").Dim("region", "us").AtText("2026-03-02T14:00:00+01:00").Build(),
		line.Source("other").Value("cost", "3").Until(clock.Now().Add(time.Hour)).Build())
	usagetest.Booked(t, book, usage.ForTenant("acme")).Total("quantity", "0.3").Total("cost", "3.00").Total("other", "0").Count(3).Record(one).
		Where("region eq 'us'").Total("quantity", "0.2").Between(clock.Now(), clock.Now().Add(time.Minute)).Nothing()
	usagetest.Booked(t, book, usage.ForTenant("globex")).Nothing()

	clock.Advance(time.Hour)
	usagetest.Append(t, book, line.ID("1b").Quantity("5").Replaces("test", "1").Build())
	usagetest.Booked(t, book, usage.ForTenant("acme")).Total("quantity", "5.2").Count(3).Record(one)
}

func TestAssertionsFail(t *testing.T) {
	t.Parallel()
	book, _ := usagetest.NewBook(t, nil)
	one := usagetest.Record(t, "acme", "requests").ID("1").Quantity("1.5").Build()
	usagetest.Append(t, book, one)
	other := usagetest.Record(t, "acme", "requests").ID("1").Quantity("2").Build()
	missing := usagetest.Record(t, "acme", "requests").ID("9").Build()
	broken := usagetest.Record(t, "acme", "").ID("1").Build()
	scope := usage.ForTenant("acme")
	for name, c := range map[string]struct {
		check func(tb testing.TB)
		says  string
	}{
		"total":          {func(tb testing.TB) { usagetest.Booked(tb, book, scope).Total("quantity", "1.51") }, `the total of "quantity" is 1.5, want 1.51`},
		"no number":      {func(tb testing.TB) { usagetest.Booked(tb, book, scope).Total("quantity", "much") }, `total of "quantity"`},
		"count":          {func(tb testing.TB) { usagetest.Booked(tb, book, scope).Count(2) }, "1 records count, want 2"},
		"nothing":        {func(tb testing.TB) { usagetest.Booked(tb, book, scope).Nothing() }, "1 records count, want 0"},
		"content":        {func(tb testing.TB) { usagetest.Booked(tb, book, scope).Record(other) }, "{quantity=1.5} {}, want requests at 2026-03-02T12:00:00Z {quantity=2} {}"},
		"missing":        {func(tb testing.TB) { usagetest.Booked(tb, book, scope).Record(missing) }, `no record with source "test" and id "9"`},
		"broken":         {func(tb testing.TB) { usagetest.Booked(tb, book, scope).Record(broken) }, "meter is required"},
		"other's record": {func(tb testing.TB) { usagetest.Booked(tb, book, usage.ForTenant("globex")).Record(one) }, "no record"},
		"bad filter":     {func(tb testing.TB) { usagetest.Booked(tb, book, scope).Where("region eq").Count(0) }, "at byte"},
		"bad record":     {func(tb testing.TB) { usagetest.Append(tb, book, broken) }, "not booked"},
		"bad value":      {func(tb testing.TB) { usagetest.Record(tb, "a", "m").Value("v", "1e999999999") }, `value "v"`},
		"bad instant":    {func(tb testing.TB) { usagetest.Record(tb, "a", "m").AtText("yesterday") }, "yesterday"},
		"bad options":    {func(tb testing.TB) { usagetest.NewBook(tb, &usage.Options{BatchSize: -1}) }, "BatchSize"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &recorder{TB: t}
			require.Contains(t, r.run(func() { c.check(r) }), c.says)
		})
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	c := usagetest.NewClock(time.Time{})
	require.Equal(t, "2026-03-02 12:00:00 +0000 UTC", c.Now().String())
	require.Equal(t, c.Now().Add(time.Hour), c.Advance(time.Hour))
	c.Set(time.Unix(0, 0))
	require.Equal(t, int64(0), c.Now().Unix())
	_, used := usagetest.NewBook(t, &usage.Options{Now: c.Now})
	require.NotNil(t, used)
}
