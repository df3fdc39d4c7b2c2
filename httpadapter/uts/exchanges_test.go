package uts_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/internal/demo"
	"github.com/usagebook/usagebook/httpadapter/internal/golden"
	"github.com/usagebook/usagebook/httpadapter/uts"
	"github.com/usagebook/usagebook/rules"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// demoRules are those of the demonstration, in two keys each.
const demoRules = `[{"name":"asset limit","application":"assetmonitor","unit":"asset","max":1000}]`

const demoKPIs = `[{"provider":"demo","application":"assetmonitor","applicationDisplayName":"Asset Monitor","name":"asset-count","displayName":"asset count","units":["asset"],"daily":"MAX","monthly":"SUM"}]`

func parseRules(t testing.TB, text string, strict bool) *rules.Set {
	t.Helper()
	list, err := rules.Parse([]byte(text))
	require.NoError(t, err)
	set, err := rules.New("1", list, &rules.Options{Strict: strict})
	require.NoError(t, err)
	return set
}

func parseKPIs(t testing.TB, text string) []rules.KPI {
	t.Helper()
	list, err := rules.ParseKPIs([]byte(text))
	require.NoError(t, err)
	return list
}

// ids are what the next ids are to be, the last one again and again.
type ids []string

func (x *ids) next() string {
	id := (*x)[0]
	if len(*x) > 1 {
		*x = (*x)[1:]
	}
	return id
}

// clerk refuses what is above 100.
type clerk struct{}

func (clerk) Bill(_ context.Context, list []*usage.Stored) ([]usage.Billed, error) {
	out := make([]usage.Billed, len(list))
	for i, s := range list {
		n, _ := s.Values.Number(usage.QuantityName)
		out[i].ID = "bill-" + n.String()
		if n.Decimal().IntPart() > 100 {
			out[i].Err = errors.New("the account is closed")
		}
	}
	return out, nil
}

func newHandler(t testing.TB, b *usage.Book, o *uts.Options, h httpadapter.Options) http.Handler {
	t.Helper()
	callers := demo.Principals()
	callers["read-only"] = httpadapter.Principal{Subject: "read-only", Home: "acme", Tenants: []string{"acme"}, Permissions: []string{"uts:usages:read"}}
	callers["write-only"] = httpadapter.Principal{Subject: "write-only", Home: "acme", Tenants: []string{"acme"}, Permissions: []string{"uts:usages:write"}}
	callers["homeless"] = httpadapter.Principal{Subject: "homeless", Tenants: []string{"*"}, Permissions: []string{"*"}}
	callers["elsewhere"] = httpadapter.Principal{Subject: "elsewhere", Home: "demo", Tenants: []string{"acme"}, Permissions: []string{"*"}}
	var err error
	h.Authenticate, err = httpadapter.StaticTokens(callers)
	require.NoError(t, err)
	h.Catalogue, h.Logger = demo.Catalogue(), slog.New(slog.DiscardHandler)
	a, err := httpadapter.New(b, &h, uts.New(o))
	require.NoError(t, err)
	return a
}

func TestExchanges(t *testing.T) {
	golden.Run(t, "testdata/exchanges", func(t *testing.T, s *golden.Scenario) golden.Fixture {
		rule := demoRules
		opts := &usage.Options{Meters: httpadapter.Meters(), KPIs: parseKPIs(t, demoKPIs)}
		if text := s.Option("rules"); text != "" {
			rule = text
		}
		if text := s.Option("kpis"); text != "" {
			opts.KPIs = parseKPIs(t, text)
		}
		if s.Option("biller") == "clerk" {
			opts.Biller = clerk{}
		}
		if s.Option("whole") == "yes" {
			opts.Meters = []usage.Meter{{Name: httpadapter.AppUsage, Values: []usage.MeterValue{{Name: usage.QuantityName, Integer: true}}}}
		}
		opts.Rules = parseRules(t, rule, s.Option("strict") == "yes")
		b, clock := usagetest.NewBook(t, opts)
		operations, jobs := ids{"0bff7e7a-cd25-4576-9908-4180ef086174"}, ids{"35a4cb01-2497-4191-ad1c-551a1942c409"}
		adapter := httpadapter.Options{NewID: operations.next}
		if s.Option("rate") == "one" {
			one := httpadapter.Rate{PerSecond: 0.1, Burst: 1}
			var err error
			adapter.Limiter, err = httpadapter.NewLimiter(&httpadapter.LimitOptions{Now: clock.Now,
				Rates: map[httpadapter.RouteClass]httpadapter.Rate{httpadapter.ReadClass: one, httpadapter.WriteClass: one}})
			require.NoError(t, err)
		}
		set := func(x *ids) func(testing.TB, string) {
			return func(_ testing.TB, id string) { *x = ids{id} }
		}
		return golden.Fixture{
			Handler: newHandler(t, b, &uts.Options{NewID: jobs.next}, adapter),
			Clock:   clock.Set,
			Book:    demo.Book(b),
			Steps: map[string]func(testing.TB, string){
				"operation": set(&operations),
				"job":       set(&jobs),
				"work":      func(t testing.TB, _ string) { work(t, b) },
			},
		}
	})
}

// work does all jobs that wait.
func work(t testing.TB, b *usage.Book) {
	t.Helper()
	for did := true; did; {
		var err error
		did, err = b.Work(t.Context())
		require.NoError(t, err)
	}
}
