package httpadapter_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/azurestack"
	"github.com/usagebook/usagebook/httpadapter/internal/demo"
	"github.com/usagebook/usagebook/httpadapter/native"
	"github.com/usagebook/usagebook/httpadapter/ocs"
	"github.com/usagebook/usagebook/httpadapter/partnercenter"
	"github.com/usagebook/usagebook/httpadapter/purecloud"
	"github.com/usagebook/usagebook/httpadapter/uts"
	"github.com/usagebook/usagebook/rules"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// everything mounts every API over one book, as examples/server does.
func everything(t testing.TB, o *usage.Options) (*httpadapter.Adapter, *usage.Book, *usagetest.Clock) {
	t.Helper()
	if o == nil {
		o = &usage.Options{}
	}
	o.Meters = httpadapter.Meters()
	b, clock := usagetest.NewBook(t, o)
	ho := demo.Authenticate(t)
	ho.Catalogue.Clients = append(ho.Catalogue.Clients, httpadapter.Client{ID: "client-9", Name: "Globex App", Tenant: "globex"})
	ho.Limiter, ho.Logger = httpadapter.Unlimited{}, slog.New(slog.DiscardHandler)
	a, err := httpadapter.New(b, &ho, ocs.New(nil), azurestack.New(&azurestack.Options{ReportedTime: azurestack.Event}), purecloud.New(&purecloud.Options{NoWait: true}),
		partnercenter.New(nil), uts.New(nil), native.New(nil))
	require.NoError(t, err)
	return a, b, clock
}

// request is one request of the matrix.
type request struct {
	method, target, body, contentType string
}

func (q request) send(h http.Handler, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(q.method, q.target, strings.NewReader(q.body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if q.contentType != "" {
		r.Header.Set("Content-Type", q.contentType)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func get(target string) request { return request{method: "GET", target: target} }

func post(target, body string) request { return request{"POST", target, body, "application/json"} }

// foreign is a request that reaches for globex: refused with a status, or
// answered without anything of globex.
type foreign struct {
	how    string
	ask    request
	status int
}

// cell is a route of the matrix.
type cell struct {
	// own is answered with 2xx for demo-acme, and of acme alone.
	own request
	// other are refused, or answered of acme alone, for demo-acme.
	other []foreign
	// role says who lacks what the route asks for; empty: no-roles.
	role string
	// twin, where set, is the token that own is for instead of demo-acme.
	twin string
	// public routes know no callers.
	public bool
}

// secret marks everything of globex in the book.
const secret = "globex"

// TestAuthorizationMatrix asks every route without a token, with a bad one, with
// the wrong role, for another tenant in every place where one can be named, and
// rightly. A route that is mounted and not in the matrix fails it.
func TestAuthorizationMatrix(t *testing.T) {
	t.Parallel()
	kpi := rules.KPI{Provider: "demo", Application: "app", Name: "k", Units: []string{"u"}}
	a, b, clock := everything(t, &usage.Options{KPIs: []rules.KPI{kpi}})
	clock.Set(time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC))
	day := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	for i, tenant := range []string{"acme", secret} {
		sub := []string{demo.AcmeSubscription, demo.GlobexSubscription}[i]
		for k := range 3 {
			base := usagetest.Record(tenant, "").ID(fmt.Sprint(tenant, k)).At(day.Add(time.Duration(k) * time.Hour))
			with := func(meter string, values map[string]int64, dims ...string) {
				r := base.Build()
				r.Meter, r.ID, r.Values = meter, r.ID+meter, usage.Values{}
				for name, v := range values {
					r.Values = r.Values.With(name, decimal.NewFromInt(v+int64(i)*770000))
				}
				for d := 0; d < len(dims); d += 2 {
					r.Dimensions = r.Dimensions.With(dims[d], dims[d+1])
				}
				usagetest.Append(t, b, r)
			}
			with(httpadapter.StreamEvents, map[string]int64{"ingressEvents": 1}, "namespaceId", "ns-"+tenant, "streamId", "s")
			with(httpadapter.AzureUsage, map[string]int64{"quantity": 1}, "subscriptionId", sub, "meterId", fmt.Sprint("m-", tenant, k), "meterCategory", "c-"+tenant)
			with(httpadapter.APIRequests, map[string]int64{"requests": 1, "status200": 1}, "clientId", []string{"client-1", "client-9"}[i], "userId", "u-"+tenant, "templateUri", fmt.Sprint("/", tenant, k), "httpMethod", "GET")
			with(httpadapter.AppUsage, map[string]int64{"quantity": 1}, "provider", "demo", "application", "app", "unit", "u")
		}
	}

	const (
		ocsRoot  = "/api/v1/tenants/"
		pc       = "/api/v2/"
		partner  = "/partner/v1/analytics/"
		utsRoot  = "/api/usagetransparency/v3/"
		commerce = "/providers/Microsoft.Commerce"
		interval = `"interval":"2026-03-01/2026-03-08"`
	)
	span := "reportedStartTime=2026-03-01T00:00:00Z&reportedEndTime=2026-03-05T00:00:00Z&api-version=2015-06-01-preview"
	usages := func(tenant string) string {
		return fmt.Sprintf(`{"users":[{"tenantId":%q,"resources":[{"application":"app","resource":"r","usages":[{"value":1,"unit":"u","datetime":"2026-03-02T10:00:00Z"}]}]}]}`, tenant)
	}
	oneUsage := func(tenant string) string {
		return fmt.Sprintf(`{"CustomerTenantID":%q,"CustomerUserID":"u1","UTSUsageData":[{"resourceAlias":"app","UsageData":[{"usage":1,"usageUnit":"u","usageDate":"2026-03-02T10:00:00Z"}]}]}`, tenant)
	}
	records := func(tenant string) string {
		return fmt.Sprintf(`[{"id":"n","source":"s","tenant":%q,"meter":"m","start":"2026-03-02T10:00:00Z","quantity":1}]`, tenant)
	}
	// answer reads a field of an answer that has to succeed.
	answer := func(token string, q request, field string) string {
		t.Helper()
		w := q.send(a, token)
		require.Less(t, w.Code, 300, "%s %s: %s", q.method, q.target, w.Body)
		var body map[string]any
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
		require.NotEmpty(t, body[field], w.Body)
		return fmt.Sprint(body[field])
	}
	parameter := func(link, name string) string {
		t.Helper()
		u, err := url.Parse(link)
		require.NoError(t, err)
		require.NotEmpty(t, u.Query().Get(name), link)
		return url.QueryEscape(u.Query().Get(name))
	}
	// What globex and acme have each under way: executions, jobs and tokens.
	type held struct{ organization, search, client, cursor, utsJob, nativeJob, snapshot, skip string }
	hold := func(tenant, client string) (h held) {
		token := "demo-" + tenant
		h.organization = answer(token, post(pc+"usage/query", `{`+interval+`,"groupBy":["TemplateUri"]}`), "executionId")
		h.search = answer(token, post(pc+"usage/simplesearch", `{`+interval+`}`), "executionId")
		h.client = answer(token, post(pc+"oauth/clients/"+client+"/usage/query", `{`+interval+`}`), "executionId")
		h.utsJob = answer(token, post(utsRoot+"usagesJobs", usages(tenant)), "id")
		h.nativeJob = answer(token, post("/v1/jobs", records(tenant)), "id")
		for did := true; did; {
			var err error
			did, err = b.Work(t.Context())
			require.NoError(t, err)
		}
		var page struct {
			Cursors struct{ After string }
		}
		w := get(pc+"usage/simplesearch/"+h.search+"/results?pageSize=1").send(a, token)
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &page))
		h.cursor = url.QueryEscape(page.Cursors.After)
		require.NotEmpty(t, h.cursor, w.Body)
		h.snapshot = parameter(answer(token, get(partner+"azureusage?groupby=consumptionMeterId&top=1"), "@nextLink"), "snapshot")
		h.skip = parameter(answer(token, get("/v1/usage?tenant="+tenant+"&pageSize=1"), "nextLink"), "$skiptoken")
		return h
	}
	acme, globex := hold("acme", "client-1"), hold(secret, "client-9")

	matrix := map[string]cell{
		"GET /api/v1/tenants/{tenantId}/usage": {own: get(ocsRoot + "acme/usage?start=2026-03-02"), other: []foreign{
			{"path", get(ocsRoot + "globex/usage?start=2026-03-02"), 403}, {"path, encoded", get(ocsRoot + "g%6Cobex/usage"), 403}, {"path and parameter", get(ocsRoot + "globex/usage?end=x"), 403},
			{"everything", get(ocsRoot + "*/usage?start=2026-03-02"), 403}}},
		"GET /api/v1/tenants/{tenantId}/namespaces/{namespaceId}/usage": {own: get(ocsRoot + "acme/namespaces/ns-acme/usage?start=2026-03-02"), other: []foreign{
			{"path", get(ocsRoot + "globex/namespaces/ns-globex/usage"), 403}, {"another tenant's namespace", get(ocsRoot + "acme/namespaces/ns-globex/usage"), 404}}},
		"GET /api/v1/tenants/{tenantId}/subscriptionterm/billingcycles": {own: get(ocsRoot + "acme/subscriptionterm/billingcycles"), twin: "acme-cycles", role: "demo-acme", other: []foreign{
			{"path", get(ocsRoot + "globex/subscriptionterm/billingcycles"), 403}}},
		"GET /subscriptions/{subId?}/providers/Microsoft.Commerce/usageAggregates": {own: get("/subscriptions/" + demo.AcmeSubscription + commerce + "/UsageAggregates?" + span), other: []foreign{
			{"path", get("/subscriptions/" + demo.GlobexSubscription + commerce + "/usageAggregates?" + span), 403}, {"path, upper case", get("/SUBSCRIPTIONS/" + strings.ToUpper(demo.GlobexSubscription) + commerce + "/USAGEAGGREGATES"), 403},
			{"an unknown subscription", get("/subscriptions/globex" + commerce + "/usageAggregates?" + span), 403}}},
		"GET /subscriptions/{subId?}/providers/Microsoft.Commerce/subscriberUsageAggregates": {own: get("/subscriptions/" + demo.ProviderSubscription + commerce + "/subscriberUsageAggregates?" + span), twin: "demo-provider", other: []foreign{
			{"the provider's subscription", get("/subscriptions/" + demo.ProviderSubscription + commerce + "/subscriberUsageAggregates?" + span), 403},
			{"its own, which is no provider's", get("/subscriptions/" + demo.AcmeSubscription + commerce + "/subscriberUsageAggregates?" + span + "&subscriberId=" + demo.GlobexSubscription), 403}}},
		"GET /subscriptions/{subId?}/providers/Microsoft.Commerce.Admin/subscriberUsageAggregates": {own: get("/subscriptions/" + demo.ProviderSubscription + commerce + ".Admin/subscriberUsageAggregates?" + span), twin: "demo-provider", other: []foreign{
			{"the provider's subscription", get("/subscriptions/" + demo.ProviderSubscription + commerce + ".Admin/subscriberUsageAggregates?" + span), 403}}},
		"GET /subscriptions/providers/Microsoft.Commerce/usageAggregates":                 {own: request{}},
		"GET /subscriptions/providers/Microsoft.Commerce/subscriberUsageAggregates":       {own: request{}},
		"GET /subscriptions/providers/Microsoft.Commerce.Admin/subscriberUsageAggregates": {own: request{}},
		"POST /api/v2/usage/query": {own: post(pc+"usage/query", `{`+interval+`}`), other: []foreign{
			{"body", post(pc+"usage/query", `{`+interval+`,"organizationId":"globex"}`), 400}}},
		"GET /api/v2/usage/query/{executionId}/results": {own: get(pc + "usage/query/" + acme.organization + "/results"), other: []foreign{
			{"token", get(pc + "usage/query/" + acme.organization + "/results?pageSize=1&after=" + globex.cursor), 400}, {"execution", get(pc + "usage/query/" + globex.organization + "/results"), 404}, {"execution of another route", get(pc + "usage/query/" + acme.search + "/results"), 404}}},
		"POST /api/v2/usage/simplesearch": {own: post(pc+"usage/simplesearch", `{`+interval+`,"oauthClientNames":["Globex App"]}`)},
		"GET /api/v2/usage/simplesearch/{executionId}/results": {own: get(pc + "usage/simplesearch/" + acme.search + "/results"), other: []foreign{
			{"execution", get(pc + "usage/simplesearch/" + globex.search + "/results"), 404}, {"execution of another route", get(pc + "usage/simplesearch/" + acme.client + "/results"), 404},
			{"token", get(pc + "usage/simplesearch/" + acme.search + "/results?pageSize=1&after=" + globex.cursor), 400}}},
		"POST /api/v2/oauth/clients/{clientId}/usage/query": {own: post(pc+"oauth/clients/client-1/usage/query", `{`+interval+`}`), other: []foreign{
			{"path", post(pc+"oauth/clients/client-9/usage/query", `{`+interval+`}`), 404}}},
		"GET /api/v2/oauth/clients/{clientId}/usage/query/results/{executionId}": {own: get(pc + "oauth/clients/client-1/usage/query/results/" + acme.client), other: []foreign{
			{"execution", get(pc + "oauth/clients/client-9/usage/query/results/" + globex.client), 404}, {"execution below its own client", get(pc + "oauth/clients/client-1/usage/query/results/" + globex.client), 404},
			{"execution of another client", get(pc + "oauth/clients/client-2/usage/query/results/" + acme.client), 404}}},
		"GET /api/v2/oauth/clients/{clientId}/usage/summary": {own: get(pc + "oauth/clients/client-1/usage/summary"), other: []foreign{{"path", get(pc + "oauth/clients/client-9/usage/summary"), 404}}},
		"GET /partner/v1/analytics/azureusage": {own: get(partner + "azureusage"), other: []foreign{
			{"filter", get(partner + "azureusage?filter=customerTenantId%20eq%20'globex'%20or%20true"), 200}, {"token", get(partner + "azureusage?snapshot=" + globex.snapshot), 400}}},
		"GET /partner/v1/analytics/usage/azure": {own: get(partner + "usage/azure"), other: []foreign{
			{"filter", get(partner + "usage/azure?$filter=true%20or%20customerTenantId%20eq%20'globex'"), 200}, {"token", get(partner + "usage/azure?snapshot=" + globex.snapshot), 400}}},
		"POST /api/usagetransparency/v3/usages": {own: post(utsRoot+"usages", oneUsage("acme")), other: []foreign{{"body", post(utsRoot+"usages", oneUsage(secret)), 403}}},
		"POST /api/usagetransparency/v3/usagesJobs": {own: post(utsRoot+"usagesJobs", usages("acme")), other: []foreign{
			{"body", post(utsRoot+"usagesJobs", usages(secret)), 403}, {"everything", post(utsRoot+"usagesJobs", usages("*")), 403}}},
		"GET /api/usagetransparency/v3/usagesJobs":             {own: get(utsRoot + "usagesJobs?tenant=acme"), other: []foreign{{"parameter", get(utsRoot + "usagesJobs?tenant=globex"), 200}}},
		"GET /api/usagetransparency/v3/usagesJobs/{id}":        {own: get(utsRoot + "usagesJobs/" + acme.utsJob), other: []foreign{{"job", get(utsRoot + "usagesJobs/" + globex.utsJob), 404}, {"job of another API", get(utsRoot + "usagesJobs/" + acme.nativeJob), 404}}},
		"GET /api/usagetransparency/v3/usagesJobs/{id}/errors": {own: get(utsRoot + "usagesJobs/" + acme.utsJob + "/errors"), other: []foreign{{"job", get(utsRoot + "usagesJobs/" + globex.utsJob + "/errors"), 404}}},
		"GET /api/usagetransparency/v3/aggregatedMonthlyConsumerUsage": {own: get(utsRoot + "aggregatedMonthlyConsumerUsage?month=3&year=2026&provider=demo&application=app&KPIName=k"), other: []foreign{
			{"parameter", get(utsRoot + "aggregatedMonthlyConsumerUsage?month=3&year=2026&provider=demo&application=app&KPIName=k&consumer=globex"), 200}}},
		"GET /api/usagetransparency/v3/aggregatedMonthlyProviderUsage": {own: get(utsRoot + "aggregatedMonthlyProviderUsage?month=3&year=2026&application=app&KPIName=k"), twin: "demo-provider", other: []foreign{
			{"a consumer as provider", get(utsRoot + "aggregatedMonthlyProviderUsage?month=3&year=2026&application=app&KPIName=k"), 404}, {"parameter", get(utsRoot + "aggregatedMonthlyProviderUsage?month=3&year=2026&application=app&KPIName=k&consumer=globex"), 404}}},
		"POST /v1/records": {own: post("/v1/records", records("acme")), other: []foreign{{"body", post("/v1/records", records(secret)), 403},
			{"body, one of two", post("/v1/records", strings.TrimSuffix(records("acme"), "]")+","+strings.TrimPrefix(records(secret), "[")), 403}, {"body, malformed", post("/v1/records", `[{"tenant":"globex","start":1}]`), 403}}},
		"GET /v1/usage": {own: get("/v1/usage?tenant=acme"), other: []foreign{{"parameter", get("/v1/usage?tenant=globex"), 403}, {"parameter twice", get("/v1/usage?tenant=acme&tenant=globex"), 403},
			{"filter", get("/v1/usage?tenant=acme&$filter=tenant%20eq%20'globex'%20or%20true"), 200}, {"filter in a pipeline", get("/v1/usage?tenant=acme&$apply=filter(true)/groupby((tenant),aggregate($count%20as%20n))"), 200},
			{"everything", get("/v1/usage?tenant=*&$groupby=tenant&measures=count()"), 200}, {"token", get("/v1/usage?tenant=acme&pageSize=1&$skiptoken=" + globex.skip), 400}}},
		"GET /v1/explain": {own: get("/v1/explain?tenant=acme&source=test&id=acme0azure-usage"), other: []foreign{{"parameter", get("/v1/explain?tenant=globex&source=test&id=globex0azure-usage"), 403},
			{"another tenant's record", get("/v1/explain?tenant=acme&source=test&id=globex0azure-usage"), 200}}},
		"POST /v1/jobs": {own: post("/v1/jobs", records("acme")), other: []foreign{{"body", post("/v1/jobs", records(secret)), 403}}},
		"GET /v1/jobs":  {own: get("/v1/jobs")},
		"GET /v1/jobs/{id}": {own: get("/v1/jobs/" + acme.nativeJob), other: []foreign{{"job", get("/v1/jobs/" + globex.nativeJob), 404},
			{"job of another API", get("/v1/jobs/" + acme.utsJob), 404}}},
		"GET /v1/jobs/{id}/errors": {own: get("/v1/jobs/" + acme.nativeJob + "/errors"), other: []foreign{{"job", get("/v1/jobs/" + globex.nativeJob + "/errors"), 404}}},
		"GET /openapi.json":        {own: get("/openapi.json"), public: true},
	}

	seen := map[string]bool{}
	for _, r := range a.ListRoutes() {
		name := r.Method + " " + r.Path
		c, ok := matrix[name]
		require.True(t, ok, "the route %s is not in the matrix", name)
		seen[name] = true
		if c.own.target == "" { // a path without a subscription: known callers alone learn what is missing
			q := get(strings.TrimPrefix(name, "GET ") + "?" + span)
			require.Equal(t, 401, q.send(a, "").Code, name)
			require.Equal(t, 400, q.send(a, "demo-acme").Code, name)
			continue
		}
		own := "demo-acme"
		if c.twin != "" {
			own = c.twin
		}
		w := c.own.send(a, own)
		require.Less(t, w.Code, 300, "%s: %s", name, w.Body)
		if c.public {
			require.Equal(t, 200, c.own.send(a, "").Code)
			continue
		}
		if own == "demo-acme" {
			require.NotContains(t, w.Body.String(), secret, name)
			require.NotContains(t, w.Body.String(), "77000", name)
		}
		lacks := c.role
		if lacks == "" {
			lacks = "no-roles"
		}
		for token, status := range map[string]int{"": 401, "nobody": 401, lacks: 403, "no-tenants": 403} {
			w := c.own.send(a, token)
			require.Equal(t, status, w.Code, "%s with the token %q: %s", name, token, w.Body)
			if !strings.HasPrefix(name, "GET /api/v1/") || status != 401 {
				require.NotEmpty(t, w.Body.String(), name)
			}
		}
		for _, f := range c.other {
			w := f.ask.send(a, "demo-acme")
			require.Equal(t, f.status, w.Code, "%s, %s: %s", name, f.how, w.Body)
			if f.status == 200 {
				body := w.Body.String()
				require.NotContains(t, body, "77000", "%s, %s", name, f.how)
				require.NotContains(t, strings.ReplaceAll(body, `"tenant":"globex","source":"test","id":"globex0azure-usage","booked":false`, ""), `globex`, "%s, %s", name, f.how)
			}
		}
	}
	for name := range matrix {
		require.True(t, seen[name], "there is no route %s", name)
	}
	// Nothing of what was refused is in the book.
	page, err := b.Query(t.Context(), usage.ForTenant(secret), usage.Query{Filter: "id eq 'n'"})
	require.NoError(t, err)
	require.LessOrEqual(t, len(page.Rows), 1, "globex' own job alone")
}
