package uts_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/usagetest"
)

func fuzzed(f *testing.F) (http.Handler, *usage.Book, *usagetest.Clock) {
	b, clock := usagetest.NewBook(f, &usage.Options{Meters: httpadapter.Meters(), Rules: parseRules(f, demoRules, false), KPIs: parseKPIs(f, demoKPIs)})
	clock.Set(time.Date(2026, 1, 20, 12, 0, 0, 0, time.UTC))
	return newHandler(f, b, nil, httpadapter.Options{Limiter: httpadapter.Unlimited{}}), b, clock
}

// send posts a body as acme. What is answered is JSON and no fault of ours; what is
// accepted names no tenant but acme, and as many usages as the answer says.
func send(t *testing.T, h http.Handler, b *usage.Book, clock *usagetest.Clock, route string, body []byte, count func(map[string]any) (usages int, tenants []any)) {
	clock.Advance(time.Millisecond) // of this moment there is one job
	r := httptest.NewRequest("POST", root+route, strings.NewReader(string(body)))
	r.Header.Set("Authorization", "Bearer demo-acme")
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Less(t, w.Code, 500, "%s", w.Body)
	require.True(t, json.Valid(w.Body.Bytes()), "%s", w.Body)
	if w.Code != 200 {
		require.Contains(t, []int{400, 403, 413}, w.Code)
		require.Contains(t, w.Body.String(), `{"errors":[{"code":"mdsp.core.generic.`)
		return
	}
	var doc map[string]any
	require.NoError(t, json.Unmarshal(body, &doc))
	n, tenants := count(doc)
	for _, tenant := range tenants {
		require.Equal(t, "acme", tenant)
	}
	jobs, err := b.Jobs(t.Context(), "uts/acme", usage.JobsQuery{From: clock.Now()})
	require.NoError(t, err)
	require.Equal(t, n, jobs[0].Count, "%s", body)
	did, err := b.Work(t.Context())
	require.NoError(t, err)
	require.True(t, did)
	errs, err := b.JobErrors(t.Context(), "uts/acme", jobs[0].ID)
	require.NoError(t, err)
	for _, e := range errs {
		require.Equal(t, usage.ValidationError, e.Kind, "what is accepted is a record that the book takes: %s: %v", body, e.Violations)
	}
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

func FuzzUsers(f *testing.F) {
	h, b, clock := fuzzed(f)
	f.Add([]byte(usersOf("acme", "acme")))
	f.Add([]byte(usersOf("acme", "globex")))
	f.Add([]byte(`{"users":[{"userType":"agent","userId":"\ud83d\ude00\u0041","resources":[{"usages":[{"datetime":"2026-01-05T08:00:00.5+0100","value":-1.50e-3,"unit":"h"}],"resource":"r","alias":"a","application":null}],"tenantId":"acme"}]}`))
	f.Add([]byte(`{"users":[{"x":{"y":[1,"a\"]}",{}]}},5,null]} `))
	f.Add([]byte(`{"users":[{"tenantId":"acme","tenantId":"globex"}],"users":[]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		send(t, h, b, clock, "/usagesJobs", body, func(doc map[string]any) (n int, tenants []any) {
			for _, u := range list(doc["users"]) {
				tenants = append(tenants, u.(map[string]any)["tenantId"])
				for _, r := range list(u.(map[string]any)["resources"]) {
					n += len(list(r.(map[string]any)["usages"]))
				}
			}
			return n, tenants
		})
	})
}

func FuzzUsages(f *testing.F) {
	h, b, clock := fuzzed(f)
	f.Add([]byte(customerOf("acme")))
	f.Add([]byte(customerOf("globex")))
	f.Add([]byte(`{"UTSUsageData":[{"UsageData":[{"usageDate":"2026-01-05T08:00:00","usage":2.0e1,"usageUnit":"\n"}],"resourceName":"","resourceAlias":"/"}],"CustomerUserID":"u","CustomerTenantID":"acme"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		send(t, h, b, clock, "/usages", body, func(doc map[string]any) (n int, tenants []any) {
			for _, r := range list(doc["UTSUsageData"]) {
				n += len(list(r.(map[string]any)["UsageData"]))
			}
			return n, []any{doc["CustomerTenantID"]}
		})
	})
}

func FuzzQuery(f *testing.F) {
	h, b, _ := fuzzed(f)
	w := ask(h, "POST", "/usagesJobs", "demo-admin", usersOf("acme", "globex"))
	require.Equal(f, 200, w.Code)
	for did := true; did; {
		var err error
		did, err = b.Work(f.Context())
		require.NoError(f, err)
	}
	f.Add("/usagesJobs", "date=2026-01-20T00:00:00+0100&tenant=globex&application=a&unit=asset&page=1&size=10")
	f.Add("/usagesJobs/x/errors", "errorClass=validationerror&page=9223372036854775807&size=1000")
	f.Add("/aggregatedMonthlyConsumerUsage", "month=january&year=2026&provider=demo&application=assetmonitor&KPIName=asset-count")
	f.Add("/aggregatedMonthlyProviderUsage", "month=01&year=2026&consumer=globex&application=assetmonitor&KPIName=asset-count&page=0&size=20")
	f.Fuzz(func(t *testing.T, path, query string) {
		r := httptest.NewRequest("GET", root, nil)
		r.URL.Path, r.URL.RawQuery = root+path, query
		r.Header.Set("Authorization", "Bearer demo-acme")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Less(t, w.Code, 500, "%s", w.Body)
		if w.Code == 204 {
			require.Empty(t, w.Body.Bytes())
			return
		}
		require.True(t, json.Valid(w.Body.Bytes()), "%s", w.Body)
		if w.Code == 200 {
			require.NotContains(t, w.Body.String(), `"globex"`)
		}
	})
}
