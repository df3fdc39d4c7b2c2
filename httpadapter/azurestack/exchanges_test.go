package azurestack_test

import (
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/azurestack"
	"github.com/usagebook/usagebook/httpadapter/internal/demo"
	"github.com/usagebook/usagebook/httpadapter/internal/golden"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/usagetest"
)

const operation = "1b2af18e-8b27-4f86-93e0-6caa3e59b90c"

// Subscriptions beside those of the demonstration.
const (
	deletedSubscription = "00000000-0000-4000-8000-0000000000C3" // of globex
	otherSubscription   = "00000000-0000-4000-8000-0000000000e4" // of acme, of no provider
)

func newHandler(t testing.TB, b *usage.Book, o *azurestack.Options, ho httpadapter.Options) http.Handler {
	t.Helper()
	defaults := demo.Authenticate(t)
	ho.Authenticate = defaults.Authenticate
	if ho.Catalogue == nil {
		ho.Catalogue = defaults.Catalogue
		ho.Catalogue.Subscriptions = append(ho.Catalogue.Subscriptions,
			httpadapter.Subscription{ID: deletedSubscription, Tenant: "globex", Provider: demo.ProviderSubscription, Deleted: true},
			httpadapter.Subscription{ID: otherSubscription, Tenant: "acme"})
	}
	ho.Logger = slog.New(slog.DiscardHandler)
	ho.NewID = func() string { return operation }
	a, err := httpadapter.New(b, &ho, azurestack.New(o))
	require.NoError(t, err)
	return a
}

func TestExchanges(t *testing.T) {
	golden.Run(t, "testdata/exchanges", func(t *testing.T, s *golden.Scenario) golden.Fixture {
		options := &usage.Options{Meters: httpadapter.Meters()}
		if s.Option("meters") == "open" {
			options.Meters = nil
		}
		o := &azurestack.Options{}
		require.NoError(t, o.ReportedTime.UnmarshalText([]byte(s.Option("reportedTime"))))
		b, clock := usagetest.NewBook(t, options)
		ho := httpadapter.Options{BaseURL: s.Option("baseURL")}
		if s.Option("rate") == "one" {
			l, err := httpadapter.NewLimiter(&httpadapter.LimitOptions{Rates: map[httpadapter.RouteClass]httpadapter.Rate{httpadapter.ReadClass: {PerSecond: 0.1, Burst: 1}}, Now: clock.Now})
			require.NoError(t, err)
			ho.Limiter = l
		}
		return golden.Fixture{Handler: newHandler(t, b, o, ho), Clock: clock.Set, Book: demo.Book(b)}
	})
}
