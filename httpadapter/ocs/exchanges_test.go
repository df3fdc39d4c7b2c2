package ocs_test

import (
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/internal/demo"
	"github.com/usagebook/usagebook/httpadapter/internal/golden"
	"github.com/usagebook/usagebook/httpadapter/ocs"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/usagetest"
)

const operation = "1b2af18e-8b27-4f86-93e0-6caa3e59b90c"

func newHandler(t testing.TB, b *usage.Book, o *ocs.Options, ho httpadapter.Options) http.Handler {
	t.Helper()
	west := 1
	defaults := demo.Authenticate(t)
	defaults.Catalogue.Tenants = append(defaults.Catalogue.Tenants, httpadapter.Tenant{ID: "anchored", Since: time.Date(2025, 1, 5, 0, 0, 0, 0, time.UTC),
		BillingAnchorDay: 31, ClusterRegion: 3, Namespaces: []httpadapter.Namespace{{ID: "empty"}, {ID: "west", ClusterRegion: &west}}})
	ho.Authenticate, ho.Catalogue, ho.Logger = defaults.Authenticate, defaults.Catalogue, slog.New(slog.DiscardHandler)
	ho.NewID = func() string { return operation }
	a, err := httpadapter.New(b, &ho, ocs.New(o))
	require.NoError(t, err)
	return a
}

func TestExchanges(t *testing.T) {
	golden.Run(t, "testdata/exchanges", func(t *testing.T, s *golden.Scenario) golden.Fixture {
		options := &usage.Options{Meters: httpadapter.Meters()}
		api := &ocs.Options{}
		if s.Option("meters") == "open" {
			options.Meters = nil
		}
		if s.Option("rounding") == "down" {
			api.Rounding = decimal.Decimal.Floor
		}
		b, clock := usagetest.NewBook(t, options)
		ho := httpadapter.Options{}
		if s.Option("rate") == "one" {
			l, err := httpadapter.NewLimiter(&httpadapter.LimitOptions{Rates: map[httpadapter.RouteClass]httpadapter.Rate{httpadapter.ReadClass: {PerSecond: 0.1, Burst: 1}}, Now: clock.Now})
			require.NoError(t, err)
			ho.Limiter = l
		}
		return golden.Fixture{Handler: newHandler(t, b, api, ho), Clock: clock.Set, Book: demo.Book(b)}
	})
}
