package partnercenter_test

import (
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/internal/demo"
	"github.com/usagebook/usagebook/httpadapter/internal/golden"
	"github.com/usagebook/usagebook/httpadapter/partnercenter"
	"github.com/usagebook/usagebook/paginate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/usagetest"
)

const operation = "3a1f7c52-8a0e-4a5e-9a57-0b7a6f0a9d11"

func newHandler(t testing.TB, b *usage.Book, o *partnercenter.Options, l httpadapter.Limiter) http.Handler {
	t.Helper()
	callers := demo.Principals()
	app := callers["demo-admin"]
	app.Kind = httpadapter.App
	callers["demo-app"] = app
	auth, err := httpadapter.StaticTokens(callers)
	require.NoError(t, err)
	a, err := httpadapter.New(b, &httpadapter.Options{Authenticate: auth, Catalogue: demo.Catalogue(), Limiter: l, Logger: slog.New(slog.DiscardHandler),
		NewID: func() string { return operation }}, partnercenter.New(o))
	require.NoError(t, err)
	return a
}

func TestExchanges(t *testing.T) {
	golden.Run(t, "testdata/exchanges", func(t *testing.T, s *golden.Scenario) golden.Fixture {
		b, clock := usagetest.NewBook(t, &usage.Options{Meters: httpadapter.Meters(), TokenKeys: []paginate.Key{{ID: "test", Secret: []byte("0123456789abcdef0123456789abcdef")}}})
		var limiter httpadapter.Limiter
		if s.Option("rate") == "one" {
			l, err := httpadapter.NewLimiter(&httpadapter.LimitOptions{Rates: map[httpadapter.RouteClass]httpadapter.Rate{httpadapter.ReadClass: {PerSecond: 0.1, Burst: 1}}, Now: clock.Now})
			require.NoError(t, err)
			limiter = l
		}
		return golden.Fixture{Handler: newHandler(t, b, nil, limiter), Clock: clock.Set, Book: demo.Book(b)}
	})
}
