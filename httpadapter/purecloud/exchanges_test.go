package purecloud_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/internal/demo"
	"github.com/usagebook/usagebook/httpadapter/internal/golden"
	"github.com/usagebook/usagebook/httpadapter/purecloud"
	"github.com/usagebook/usagebook/paginate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/usagetest"
)

const operation = "6a1f7c52-8a0e-4a5e-9a57-0b7a6f0a9d11"

// newHandler mounts the API for the callers of the demonstration, one that holds
// two tenants, and the catalogue.
func newHandler(t testing.TB, b *usage.Book, o *purecloud.Options, k *httpadapter.Catalogue, l httpadapter.Limiter) http.Handler {
	t.Helper()
	callers := demo.Principals()
	both := callers["demo-acme"]
	both.Subject, both.Tenants = "demo-both", []string{"globex", "acme"}
	callers["demo-both"] = both
	auth, err := httpadapter.StaticTokens(callers)
	require.NoError(t, err)
	a, err := httpadapter.New(b, &httpadapter.Options{Authenticate: auth, Catalogue: k, Limiter: l, Logger: slog.New(slog.DiscardHandler),
		NewID: func() string { return operation }}, purecloud.New(o))
	require.NoError(t, err)
	return a
}

// work does all that waits.
func work(t testing.TB, b *usage.Book) {
	t.Helper()
	for {
		did, err := b.Work(t.Context())
		require.NoError(t, err)
		if !did {
			return
		}
	}
}

// run runs the book's workers until the test ends.
func run(t testing.TB, b *usage.Book) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
}

func TestExchanges(t *testing.T) {
	golden.Run(t, "testdata/exchanges", func(t *testing.T, s *golden.Scenario) golden.Fixture {
		o := &usage.Options{Meters: httpadapter.Meters(), TokenKeys: []paginate.Key{{ID: "test", Secret: []byte("0123456789abcdef0123456789abcdef")}}}
		own := &purecloud.Options{NoWait: true}
		catalogue := demo.Catalogue()
		switch s.Option("book") {
		case "one group":
			o.MaxGroups = 1
		case "one waiting":
			o.WaitingExecutions = 1
		case "any number":
			o.Meters = nil
		}
		if s.Option("registry") == "none" {
			catalogue.Clients = nil
		}
		b, clock := usagetest.NewBook(t, o)
		if s.Option("workers") == "yes" {
			own = &purecloud.Options{Wait: 50 * time.Second}
			run(t, b)
		}
		var limiter httpadapter.Limiter
		if s.Option("rate") == "one" {
			l, err := httpadapter.NewLimiter(&httpadapter.LimitOptions{Rates: map[httpadapter.RouteClass]httpadapter.Rate{httpadapter.StartClass: {PerSecond: 0.1, Burst: 1}}, Now: clock.Now})
			require.NoError(t, err)
			limiter = l
		}
		steps := map[string]func(testing.TB, string){
			"work":   func(t testing.TB, _ string) { work(t, b) },
			"cancel": func(t testing.TB, id string) { purecloud.Cancel(t, b, id, "acme") },
		}
		return golden.Fixture{Handler: newHandler(t, b, own, catalogue, limiter), Clock: clock.Set, Book: demo.Book(b), Steps: steps}
	})
}
