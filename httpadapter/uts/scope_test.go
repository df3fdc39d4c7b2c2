package uts_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/uts"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
	"github.com/usagebook/usagebook/usage/usagetest"
)

func usersOf(tenants ...string) string {
	var list []string
	for _, tenant := range tenants {
		list = append(list, fmt.Sprintf(`{"tenantId":%q,"resources":[{"application":"assetmonitor","resource":"r","usages":[{"value":1,"unit":"asset","datetime":"2026-01-05T08:00:00Z"}]}]}`, tenant))
	}
	return `{"users":[` + strings.Join(list, ",") + `]}`
}

func customerOf(tenant string) string {
	return fmt.Sprintf(`{"CustomerTenantID":%q,"CustomerUserID":"u1","UTSUsageData":[{"resourceAlias":"assetmonitor","UsageData":[{"usage":1,"usageUnit":"asset","usageDate":"2026-01-05T08:00:00Z"}]}]}`, tenant)
}

// Every route, by every caller, for its own tenant and another's.
func TestAuthorization(t *testing.T) {
	t.Parallel()
	b, clock := usagetest.NewBook(t, &usage.Options{Meters: httpadapter.Meters(), Rules: parseRules(t, demoRules, false), KPIs: parseKPIs(t, demoKPIs)})
	clock.Set(time.Date(2026, 1, 20, 12, 0, 0, 0, time.UTC))
	h := newHandler(t, b, nil, httpadapter.Options{Limiter: httpadapter.Unlimited{}})
	jobOf := func(token, tenant string) string {
		var j jobAnswer
		decode(t, ask(h, "POST", "/usagesJobs", token, strings.Replace(usersOf(tenant), `"value":1`, `"value":9999`, 1)), &j)
		return j.ID
	}
	acmes, globexs, demos := jobOf("demo-acme", "acme"), jobOf("demo-globex", "globex"), jobOf("demo-admin", "acme")
	work(t, b)
	usagetest.Append(t, b, usage.Record{Tenant: "acme", Source: "s", ID: "1", Meter: httpadapter.AppUsage, Start: clock.Now(), Values: usage.Quantity(decimal.NewFromInt(1)),
		Dimensions: usage.Dimensions{}.With("provider", "demo").With("application", "assetmonitor").With("unit", "asset")})
	usagetest.Append(t, b, usage.Record{Tenant: "globex", Source: "s", ID: "1", Meter: httpadapter.AppUsage, Start: clock.Now(), Values: usage.Quantity(decimal.NewFromInt(1)),
		Dimensions: usage.Dimensions{}.With("provider", "demo").With("application", "assetmonitor").With("unit", "asset")})

	const month = "month=1&year=2026&application=assetmonitor&KPIName=asset-count"
	type access struct {
		name, method, target, body string
		want                       map[string]int
	}
	tokens := []string{"", "stranger", "no-roles", "no-tenants", "homeless", "read-only", "write-only", "elsewhere", "demo-acme", "demo-globex", "demo-admin"}
	// write and read are the statuses of callers that may not, with those that may.
	fill := func(permission string, allowed map[string]int) map[string]int {
		out := map[string]int{"": 401, "stranger": 401, "no-roles": 403, "no-tenants": 403, "homeless": 403, "read-only": 403, "write-only": 403}
		delete(out, permission)
		for token, status := range allowed {
			out[token] = status
		}
		return out
	}
	for _, a := range []access{
		{"usages of acme", "POST", "/usages", customerOf("acme"), fill("write-only", map[string]int{"write-only": 200, "elsewhere": 200, "demo-acme": 200, "demo-globex": 403, "demo-admin": 200})},
		{"usages of globex", "POST", "/usages", customerOf("globex"), fill("write-only", map[string]int{"write-only": 403, "elsewhere": 403, "demo-acme": 403, "demo-globex": 200, "demo-admin": 200})},
		{"a job of acme", "POST", "/usagesJobs", usersOf("acme", "acme"), fill("write-only", map[string]int{"write-only": 200, "elsewhere": 200, "demo-acme": 200, "demo-globex": 403, "demo-admin": 200})},
		{"a job of both", "POST", "/usagesJobs", usersOf("acme", "globex", "acme"), fill("write-only", map[string]int{"write-only": 403, "elsewhere": 403, "demo-acme": 403, "demo-globex": 403, "demo-admin": 200})},
		{"list jobs", "GET", "/usagesJobs?tenant=globex", "", fill("read-only", map[string]int{"read-only": 200, "elsewhere": 200, "demo-acme": 200, "demo-globex": 200, "demo-admin": 200})},
		{"acme's job", "GET", "/usagesJobs/" + acmes, "", fill("read-only", map[string]int{"read-only": 200, "elsewhere": 404, "demo-acme": 200, "demo-globex": 404, "demo-admin": 404})},
		{"globex's job", "GET", "/usagesJobs/" + globexs, "", fill("read-only", map[string]int{"read-only": 404, "elsewhere": 404, "demo-acme": 404, "demo-globex": 200, "demo-admin": 404})},
		{"demo's job", "GET", "/usagesJobs/" + demos, "", fill("read-only", map[string]int{"read-only": 404, "elsewhere": 200, "demo-acme": 404, "demo-globex": 404, "demo-admin": 200})},
		{"demo's errors", "GET", "/usagesJobs/" + demos + "/errors", "", fill("read-only", map[string]int{"read-only": 404, "elsewhere": 200, "demo-acme": 404, "demo-globex": 404, "demo-admin": 200})},
		{"what a consumer used", "GET", "/aggregatedMonthlyConsumerUsage?provider=demo&" + month, "", fill("read-only", map[string]int{"read-only": 200, "elsewhere": 403, "demo-acme": 200, "demo-globex": 200, "demo-admin": 204})},
		{"what a provider provides", "GET", "/aggregatedMonthlyProviderUsage?" + month, "", fill("read-only", map[string]int{"read-only": 404, "elsewhere": 200, "demo-acme": 404, "demo-globex": 404, "demo-admin": 200})},
		{"to globex", "GET", "/aggregatedMonthlyProviderUsage?consumer=globex&provider=demo&" + month, "", fill("read-only", map[string]int{"read-only": 404, "elsewhere": 204, "demo-acme": 404, "demo-globex": 404, "demo-admin": 200})},
	} {
		for _, token := range tokens {
			w := ask(h, a.method, a.target, token, a.body)
			require.Equal(t, a.want[token], w.Code, "%s by %q: %s", a.name, token, w.Body)
			if w.Code == 200 && strings.HasPrefix(a.target, "/aggregated") && token != "demo-admin" && token != "demo-globex" {
				require.NotContains(t, w.Body.String(), "globex", "%s by %q", a.name, token)
			}
		}
	}
}

// A job that is refused leaves nothing behind, and one of another way in is not shown.
func TestOthersJobs(t *testing.T) {
	t.Parallel()
	b, clock := usagetest.NewBook(t, nil)
	h := newHandler(t, b, nil, httpadapter.Options{Limiter: httpadapter.Unlimited{}})
	job, _, err := b.Submit(t.Context(), "demo", usage.JobRequest{ID: "native", Records: []usage.Record{usagetest.Record("acme", "m").Build()}})
	require.NoError(t, err)
	require.Equal(t, 404, ask(h, "GET", "/usagesJobs/"+job.ID, "demo-admin", "").Code)
	require.Equal(t, 403, ask(h, "POST", "/usagesJobs", "demo-acme", usersOf("acme", "globex")).Code)
	require.Equal(t, 403, ask(h, "POST", "/usagesJobs", "demo-acme", usersOf("acme", "*")).Code)
	for _, token := range []string{"demo-admin", "demo-acme"} {
		w := ask(h, "GET", "/usagesJobs?date="+clock.Now().Format(time.DateOnly), token, "")
		require.JSONEq(t, `{"jobs":[],"page":{"number":1,"size":10,"totalElements":0,"totalPages":0}}`, w.Body.String())
	}
	work(t, b)
	usagetest.Booked(t, b, usage.AllTenants()).Count(1)
}

func TestOnlyTheLatestJobsAreKept(t *testing.T) {
	t.Parallel()
	b, clock := usagetest.NewBook(t, nil)
	clock.Set(time.Date(2026, 1, 20, 8, 0, 0, 0, time.UTC))
	h := newHandler(t, b, nil, httpadapter.Options{Limiter: httpadapter.Unlimited{}})
	var ids []string
	for range 1001 {
		clock.Advance(time.Millisecond)
		var j jobAnswer
		decode(t, ask(h, "POST", "/usagesJobs", "demo-acme", usersOf("acme")), &j)
		ids = append(ids, j.ID)
	}
	for _, done := range []bool{false, true} {
		if done {
			work(t, b)
		}
		for i, status := range map[int]int{0: 404, 1: 200, 1000: 200} {
			require.Equal(t, status, ask(h, "GET", "/usagesJobs/"+ids[i], "demo-acme", "").Code, "%d", i)
			require.Equal(t, status, ask(h, "GET", "/usagesJobs/"+ids[i]+"/errors", "demo-acme", "").Code, "%d", i)
		}
		var list struct {
			Jobs []jobAnswer
			Page pageAnswer
		}
		decode(t, ask(h, "GET", "/usagesJobs?size=1000", "demo-acme", ""), &list)
		require.Equal(t, pageAnswer{1, 1000, 1000, 1}, list.Page)
		require.Equal(t, ids[1000], list.Jobs[0].ID)
		require.Equal(t, ids[1], list.Jobs[999].ID)
	}
	usagetest.Booked(t, b, usage.AllTenants()).Count(1001)
}

func TestTheLimitIsTwoHundred(t *testing.T) {
	t.Parallel()
	b, _ := usagetest.NewBook(t, nil)
	h := newHandler(t, b, nil, httpadapter.Options{Limiter: httpadapter.Unlimited{}})
	one := `{"value":1,"unit":"asset","datetime":"2026-01-05T08:00:00Z"}`
	body := func(n int) string { return strings.Replace(usersOf("acme"), one, strings.Repeat(one+",", n-1)+one, 1) }
	require.Equal(t, 413, ask(h, "POST", "/usagesJobs", "demo-acme", body(201)).Code)
	var j jobAnswer
	decode(t, ask(h, "POST", "/usagesJobs", "demo-acme", body(200)), &j)
	require.Equal(t, 200, j.UsagesCount)
	work(t, b)
	usagetest.Booked(t, b, usage.AllTenants()).Count(200)
}

func TestOptions(t *testing.T) {
	t.Parallel()
	book, clock := usagetest.NewBook(t, nil)
	clock.Set(time.Date(2026, 1, 20, 8, 0, 0, 0, time.UTC))
	for name, tc := range map[string]struct {
		fields httpadapter.Fields
		want   string
	}{
		"a field that there is none of": {httpadapter.Fields{"unit": {"u"}}, `there is no field "unit"; there are alias, resource, userId, userType`},
		"no dimension":                  {httpadapter.Fields{"alias": {"meter"}}, `the field "alias" cannot be booked as "meter", which is no dimension`},
		"one that is taken":             {httpadapter.Fields{"alias": {"provider"}}, `would both be booked as the dimension "provider"`},
		"twice":                         {httpadapter.Fields{"alias": {"userId"}}, `the fields "alias" and "userId" would both be booked as the dimension "userId"`},
	} {
		_, err := httpadapter.New(book, nil, uts.New(&uts.Options{Fields: tc.fields}))
		require.ErrorContains(t, err, tc.want, name)
	}

	n := 0
	o := &uts.Options{Meter: "things", NewID: func() string { n++; return fmt.Sprint("job", n) },
		Fields: httpadapter.Fields{"alias": {"dimensions/source", "alias"}, "resource": {"place"}, "userId": {"person"}}}
	h := newHandler(t, book, o, httpadapter.Options{})
	o.Fields["userType"] = []string{"changed"}
	require.Equal(t, 200, ask(h, "POST", "/usagesJobs", "demo-acme", usersOf("acme")).Code)
	work(t, book)
	got := usagetest.Booked(t, book, usage.AllTenants()).Has("acme", "uts", "job1-20260120000/0")
	require.Equal(t, "things", got.Meter)
	require.Equal(t, usage.DimensionsOf(map[string]string{"provider": "acme", "application": "assetmonitor", "source": "assetmonitor", "place": "r", "person": "acme", "unit": "asset", "userType": "tenant"}), got.Dimensions)
}

// plainStore keeps records and no tasks.
type plainStore struct{ usage.Store }

func TestWithoutTasksIsRefused(t *testing.T) {
	t.Parallel()
	store := memstore.New(nil)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	book, err := usage.New(plainStore{store}, nil)
	require.NoError(t, err)
	_, err = httpadapter.New(book, nil, uts.New(nil))
	require.ErrorIs(t, err, usage.ErrUnsupported)
	require.ErrorContains(t, err, "uts: the book's store keeps no tasks")
}

// deaf is a store that cannot be reached.
type deaf struct{ *memstore.Store }

func (deaf) PutTask(context.Context, *usage.Task) error { return usage.ErrUnavailable }

func TestUnavailable(t *testing.T) {
	t.Parallel()
	store := memstore.New(nil)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	book, err := usage.New(deaf{store}, nil)
	require.NoError(t, err)
	h := newHandler(t, book, nil, httpadapter.Options{})
	w := ask(h, "POST", "/usagesJobs", "demo-acme", usersOf("acme"))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "5", w.Header().Get("Retry-After"))
	var body struct{ Errors []struct{ Code string } }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
	require.Equal(t, "mdsp.core.generic.serviceUnavailable", body.Errors[0].Code)
}
