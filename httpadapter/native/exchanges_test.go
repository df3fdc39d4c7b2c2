package native_test

import (
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/internal/demo"
	"github.com/usagebook/usagebook/httpadapter/internal/golden"
	"github.com/usagebook/usagebook/httpadapter/native"
	"github.com/usagebook/usagebook/paginate"
	"github.com/usagebook/usagebook/rules"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/usagetest"
)

func newHandler(t testing.TB, b *usage.Book, o *native.Options, l httpadapter.Limiter) http.Handler {
	t.Helper()
	ho := demo.Authenticate(t)
	ho.Limiter, ho.Logger = l, slog.New(slog.DiscardHandler)
	ho.NewID = func() string { return "0b3b673a-2267-44f0-9694-86a16677d94e" }
	a, err := httpadapter.New(b, &ho, native.New(o))
	require.NoError(t, err)
	return a
}

// newBook has the demonstration's rule: no negative requests.
func newBook(t testing.TB) (*usage.Book, *usagetest.Clock) {
	t.Helper()
	set, err := rules.New("1", []rules.Rule{{Name: "requests-not-negative", Meter: "requests", Min: rules.Some(aggregate.Int(0))}}, nil)
	require.NoError(t, err)
	return usagetest.NewBook(t, &usage.Options{Meters: append(httpadapter.Meters(), usage.Meter{Name: "requests", Values: []usage.MeterValue{{Name: "quantity"}}}), Rules: set,
		TokenKeys: []paginate.Key{{ID: "test", Secret: []byte("0123456789abcdef0123456789abcdef")}}})
}

func TestExchanges(t *testing.T) {
	golden.Run(t, "testdata/exchanges", func(t *testing.T, s *golden.Scenario) golden.Fixture {
		b, clock := newBook(t)
		var limiter httpadapter.Limiter
		if s.Option("rate") == "one" {
			rate := httpadapter.Rate{PerSecond: 0.1, Burst: 1}
			l, err := httpadapter.NewLimiter(&httpadapter.LimitOptions{Rates: map[httpadapter.RouteClass]httpadapter.Rate{httpadapter.ReadClass: rate, httpadapter.WriteClass: rate}, Now: clock.Now})
			require.NoError(t, err)
			limiter = l
		}
		return golden.Fixture{Handler: newHandler(t, b, &native.Options{Decode: &native.DecodeOptions{Records: 5}}, limiter), Clock: clock.Set, Book: demo.Book(b),
			Steps: map[string]func(testing.TB, string){"work": func(t testing.TB, _ string) {
				did, err := b.Work(t.Context())
				require.NoError(t, err)
				require.True(t, did)
			}}}
	})
}
