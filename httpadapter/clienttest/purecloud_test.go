package clienttest

import (
	"cmp"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	pc "github.com/mypurecloud/platform-client-sdk-go/v193/platformclientv2"
	"github.com/stretchr/testify/require"
)

// clients are registered: two of acme's by one name, and one of globex's.
var clients = map[string]struct{ tenant, name string }{
	"client-1": {"acme", "Acme Mobile"},
	"client-2": {"acme", "Nightly Export"},
	"client-3": {"acme", "Nightly Export"},
	"client-9": {"globex", "Globex Portal"},
}

func registry() settings {
	var list []settings
	for id, c := range clients {
		list = append(list, settings{"id": id, "tenant": c.tenant, "name": c.name})
	}
	return settings{"clients": list}
}

func ptr[T any](v T) *T { return &v }

// pureClient is the client of a caller. It reads no file in the home folder.
func pureClient(t *testing.T, s *server, token string) *pc.UsageApi {
	t.Helper()
	config := pc.NewConfigurationWithConfigFile(filepath.Join(t.TempDir(), "config"), false)
	config.BasePath = s.url
	config.AccessToken = token
	return pc.NewUsageApiWithConfig(config)
}

// pureUsage is booked for the tests: requests on some days of this month and the last ones, by
// registered clients, one that is not and none.
func pureUsage() []record {
	var records []record
	for n, at := range []time.Duration{-40 * 24, -21*24 + 23, -8*24 + 12, -5*24 + 1, -5*24 + 17, -4 * 24, -3*24 + 12, -2*24 + 23} {
		for c, client := range []string{"client-1", "client-2", "client-3", "client-9", "client-x", "client-y", ""} {
			for u, use := range []struct{ uri, method string }{
				{"/api/v2/users/{userId}", "GET"}, {"/api/v2/users/{userId}", "PATCH"}, {"/api/v2/usage/query", "POST"}, {"", "GET"},
			} {
				if (n+c+u)%3 == 0 {
					continue
				}
				dimensions := map[string]any{"httpMethod": use.method}
				for name, value := range map[string]string{"clientId": client, "templateUri": use.uri} {
					if value != "" {
						dimensions[name] = value
					}
				}
				if client == "client-x" {
					dimensions["clientName"] = "Field Tool"
				}
				if u > 0 {
					dimensions["userId"] = fmt.Sprintf("u%d", (n+u)%3)
				}
				ok, bad, busy, down := 10*n+c, 3*u, u%2, (n*c)%4
				values := map[string]string{}
				for name, count := range map[string]int{"status200": ok, "status400": bad + busy, "status429": busy, "status500": down,
					"requests": ok + bad + busy + down, "bytesOut": 512} {
					if count > 0 {
						values[name] = strconv.Itoa(count)
					}
				}
				tenant := "acme"
				if client == "client-9" {
					tenant = "globex"
				}
				records = append(records, record{Tenant: tenant, Meter: "api-requests", Start: day(0).Add(at * time.Hour), Values: values, Dimensions: dimensions})
			}
		}
	}
	return records
}

// pureQuery is a query of any of the routes.
type pureQuery struct {
	tenants     []string
	from, to    time.Time
	granularity string
	groupBy     []string // the names of dimensions in rows
	figures     []string // nil: all
	undated     bool
	where       func(record) bool
}

// pureFields are the fields by which rows are grouped and ordered, in the schema's order.
var pureFields = []string{"clientId", "clientName", "organizationId", "userId", "templateUri", "httpMethod"}

var pureFigures = []string{"status200", "status300", "status400", "status500", "status429", "requests"}

// pureField is what a record says of a field of rows; empty if nothing.
func pureField(r record, name string) string {
	text := func(name string) string { s, _ := r.Dimensions[name].(string); return s }
	switch name {
	case "clientName":
		if c, ok := clients[text("clientId")]; ok && c.tenant == r.Tenant {
			return c.name
		}
		return cmp.Or(text("clientName"), text("clientId"))
	case "organizationId":
		return r.Tenant
	}
	return text(name)
}

// pureRows is the answer that the records have, as the documents say it.
func pureRows(t *testing.T, records []record, q pureQuery) []pc.Apiusagerow {
	t.Helper()
	type key struct {
		date   time.Time
		fields [6]string
	}
	sums := map[key]map[string]int{}
	for _, r := range records {
		if !slices.Contains(q.tenants, r.Tenant) || r.Start.Before(q.from) || !r.Start.Before(q.to) || q.where != nil && !q.where(r) {
			continue
		}
		var k key
		midnight := r.Start.Truncate(24 * time.Hour)
		switch q.granularity {
		case "Day":
			k.date = midnight
		case "Week":
			k.date = midnight.AddDate(0, 0, -(int(midnight.Weekday())+6)%7)
		case "Month":
			k.date = midnight.AddDate(0, 0, 1-midnight.Day())
		default:
			k.date = q.from
		}
		for i, name := range pureFields {
			if slices.Contains(q.groupBy, name) {
				k.fields[i] = pureField(r, name)
			}
		}
		if sums[k] == nil {
			sums[k] = map[string]int{}
		}
		for name, text := range r.Values {
			n, err := strconv.Atoi(text)
			require.NoError(t, err)
			sums[k][name] += n
		}
	}
	keys := make([]key, 0, len(sums))
	for k := range sums {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b key) int {
		return cmp.Or(a.date.Compare(b.date), slices.Compare(a.fields[:], b.fields[:]))
	})
	rows := []pc.Apiusagerow{}
	for _, k := range keys {
		var row pc.Apiusagerow
		for i, at := range []**string{&row.ClientId, &row.ClientName, &row.OrganizationId, &row.UserId, &row.TemplateUri, &row.HttpMethod} {
			if k.fields[i] != "" {
				*at = ptr(k.fields[i])
			}
		}
		for i, at := range []**int{&row.Status200, &row.Status300, &row.Status400, &row.Status500, &row.Status429, &row.Requests} {
			if q.figures == nil || slices.Contains(q.figures, pureFigures[i]) {
				*at = ptr(sums[k][pureFigures[i]])
			}
		}
		if !q.undated {
			row.Date = ptr(k.date)
		}
		rows = append(rows, row)
	}
	return rows
}

// started checks the answer of a route that starts a query, and returns the query's id.
func started(t *testing.T, ex *pc.Usageexecutionresult, resp *pc.APIResponse, err error, path string) string {
	t.Helper()
	require.NoError(t, err)
	require.Contains(t, []int{http.StatusOK, http.StatusAccepted}, resp.StatusCode)
	require.NotNil(t, ex.ExecutionId)
	require.NotEmpty(t, *ex.ExecutionId)
	require.NotNil(t, ex.ResultsUri)
	require.Equal(t, fmt.Sprintf(path, *ex.ExecutionId), *ex.ResultsUri)
	return *ex.ExecutionId
}

// completed asks for results until they are there.
func completed(t *testing.T, ask func() (*pc.Apiusagequeryresult, *pc.APIResponse, error)) *pc.Apiusagequeryresult {
	t.Helper()
	var res *pc.Apiusagequeryresult
	eventually(t, func() bool {
		var resp *pc.APIResponse
		var err error
		res, resp, err = ask()
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.NotNil(t, res.QueryStatus)
		if *res.QueryStatus == "Running" {
			require.Nil(t, res.Results)
			return false
		}
		return true
	})
	require.Equal(t, "Complete", *res.QueryStatus)
	require.NotNil(t, res.Results)
	return res
}

func interval(from, to time.Time, layout string) *string {
	return ptr(from.Format(layout) + "/" + to.Format(layout))
}

const millis = "2006-01-02T15:04:05.000Z"

func TestPureCloudOrganizationQuery(t *testing.T) {
	t.Parallel()
	s := start(t, registry())
	records := pureUsage()
	s.book(t, records...)

	for _, tc := range []struct {
		name     string
		token    string
		body     pc.Apiusageorganizationquery
		interval string
		want     pureQuery
	}{
		{"the interval alone", acme, pc.Apiusageorganizationquery{}, "2006-01-02",
			pureQuery{tenants: []string{"acme"}, from: day(-5), to: day(-2)}},
		{"days by client", acme, pc.Apiusageorganizationquery{Granularity: ptr("Day"), GroupBy: &[]string{"OAuthClientId"}, Metrics: &[]string{"Status200", "Status429", "Requests"}}, millis,
			pureQuery{tenants: []string{"acme"}, from: day(-5), to: day(0), granularity: "Day", groupBy: []string{"clientId", "clientName"}, figures: []string{"status200", "status429", "requests"}}},
		{"weeks by user", acme, pc.Apiusageorganizationquery{Granularity: ptr("Week"), GroupBy: &[]string{"UserId"}}, "2006-01-02T15:04:05",
			pureQuery{tenants: []string{"acme"}, from: day(-45), to: day(0), granularity: "Week", groupBy: []string{"userId"}}},
		{"months by method and template", acme, pc.Apiusageorganizationquery{Granularity: ptr("Month"), GroupBy: &[]string{"HttpMethod", "TemplateUri"}, Metrics: &[]string{"Status500", "Status400", "Status300"}}, millis,
			pureQuery{tenants: []string{"acme"}, from: day(-45), to: day(0), granularity: "Month", groupBy: []string{"templateUri", "httpMethod"}, figures: []string{"status300", "status400", "status500"}}},
		{"all groups of an interval in the middle of days", acme, pc.Apiusageorganizationquery{GroupBy: &[]string{"OrganizationId", "OAuthClientId", "UserId", "TemplateUri", "HttpMethod"}}, millis,
			pureQuery{tenants: []string{"acme"}, from: day(-5).Add(2 * time.Hour), to: day(-2).Add(23 * time.Hour), groupBy: pureFields}},
		{"two organizations", both, pc.Apiusageorganizationquery{Granularity: ptr("Day"), GroupBy: &[]string{"OrganizationId"}}, millis,
			pureQuery{tenants: []string{"acme", "globex"}, from: day(-45), to: day(0), granularity: "Day", groupBy: []string{"organizationId"}}},
		{"another organization", globex, pc.Apiusageorganizationquery{GroupBy: &[]string{"OAuthClientId"}}, millis,
			pureQuery{tenants: []string{"globex"}, from: day(-45), to: day(0), groupBy: []string{"clientId", "clientName"}}},
		{"nothing booked", acme, pc.Apiusageorganizationquery{Granularity: ptr("Day")}, millis,
			pureQuery{tenants: []string{"acme"}, from: day(-30), to: day(-25)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			api := pureClient(t, s, tc.token)
			tc.body.Interval = interval(tc.want.from, tc.want.to, tc.interval)
			ex, resp, err := api.PostUsageQuery(tc.body)
			id := started(t, ex, resp, err, "/api/v2/usage/query/%s/results")
			res := completed(t, func() (*pc.Apiusagequeryresult, *pc.APIResponse, error) {
				return api.GetUsageQueryExecutionIdResults(id)
			})
			require.Equal(t, pureRows(t, records, tc.want), *res.Results)
			require.Nil(t, res.Cursors)
		})
	}
}

const clientPath = "/api/v2/oauth/clients/%s/usage/query/results/%%s"

func TestPureCloudClientQuery(t *testing.T) {
	t.Parallel()
	s := start(t, registry())
	records := pureUsage()
	s.book(t, records...)
	of := func(client string) func(record) bool {
		return func(r record) bool { return r.Dimensions["clientId"] == client }
	}

	for _, tc := range []struct {
		name, client string
		body         pc.Apiusageclientquery
		want         pureQuery
	}{
		{"the interval alone", "client-1", pc.Apiusageclientquery{},
			pureQuery{from: day(-45), to: day(0)}},
		{"days by template", "client-2", pc.Apiusageclientquery{Granularity: ptr("Day"), GroupBy: &[]string{"TemplateUri"}, Metrics: &[]string{"Requests"}},
			pureQuery{from: day(-5), to: day(0), granularity: "Day", groupBy: []string{"templateUri"}, figures: []string{"requests"}}},
		{"months by all", "client-3", pc.Apiusageclientquery{Granularity: ptr("Month"), GroupBy: &[]string{"OAuthClientId", "OrganizationId", "HttpMethod", "TemplateUri"}},
			pureQuery{from: day(-45), to: day(0), granularity: "Month", groupBy: []string{"organizationId", "templateUri", "httpMethod"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			api := pureClient(t, s, acme)
			tc.body.Interval = interval(tc.want.from, tc.want.to, millis)
			ex, resp, err := api.PostOauthClientUsageQuery(tc.client, tc.body)
			id := started(t, ex, resp, err, fmt.Sprintf(clientPath, tc.client))
			res := completed(t, func() (*pc.Apiusagequeryresult, *pc.APIResponse, error) {
				return api.GetOauthClientUsageQueryResult(id, tc.client)
			})
			tc.want.tenants, tc.want.where = []string{"acme"}, of(tc.client)
			tc.want.groupBy = append(tc.want.groupBy, "clientId", "clientName")
			require.Equal(t, pureRows(t, records, tc.want), *res.Results)
		})
	}
	for days, from := range map[string]time.Time{"": day(-7), "7": day(-7), "30": day(-30), "365": day(-365)} {
		t.Run("summary of "+cmp.Or(days, "no")+" days", func(t *testing.T) {
			t.Parallel()
			api := pureClient(t, s, acme)
			ex, resp, err := api.GetOauthClientUsageSummary("client-1", days)
			id := started(t, ex, resp, err, fmt.Sprintf(clientPath, "client-1"))
			res := completed(t, func() (*pc.Apiusagequeryresult, *pc.APIResponse, error) {
				return api.GetOauthClientUsageQueryResult(id, "client-1")
			})
			require.Equal(t, pureRows(t, records, pureQuery{tenants: []string{"acme"}, from: from, to: day(0), granularity: "Day",
				groupBy: []string{"clientId", "clientName", "templateUri", "httpMethod"}, where: of("client-1")}), *res.Results)
		})
	}
}

func TestPureCloudSimpleSearch(t *testing.T) {
	t.Parallel()
	s := start(t, registry())
	records := pureUsage()
	s.book(t, records...)
	statuses := []string{"status200", "status300", "status400", "status500", "status429"}

	for _, tc := range []struct {
		name string
		body pc.Apiusagesimplesearch
		want pureQuery
	}{
		{"the interval alone", pc.Apiusagesimplesearch{},
			pureQuery{from: day(-45), to: day(0), groupBy: []string{"clientName", "templateUri", "httpMethod"}, figures: statuses}},
		{"some columns", pc.Apiusagesimplesearch{Metrics: &[]string{"Date", "ClientName", "Status200", "Status400"}, HttpMethods: &[]string{"GET"}},
			pureQuery{from: day(-5), to: day(0), groupBy: []string{"clientName"}, figures: []string{"status200", "status400"},
				where: func(r record) bool { return r.Dimensions["httpMethod"] == "GET" }}},
		{"every list", pc.Apiusagesimplesearch{Metrics: &[]string{"HttpMethod", "TemplateUri", "Status429", "Status500"},
			OauthClientNames: &[]string{"Nightly Export", "Globex Portal"}, HttpMethods: &[]string{"POST", "PATCH"}, TemplateUris: &[]string{"/api/v2/usage/query", "/api/v2/nothing"}},
			pureQuery{from: day(-45), to: day(0), groupBy: []string{"templateUri", "httpMethod"}, figures: []string{"status429", "status500"}, undated: true,
				where: func(r record) bool {
					return slices.Contains([]any{"client-2", "client-3"}, r.Dimensions["clientId"]) && r.Dimensions["httpMethod"] == "POST" && r.Dimensions["templateUri"] == "/api/v2/usage/query"
				}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			api := pureClient(t, s, acme)
			tc.want.tenants = []string{"acme"}
			if !tc.want.undated {
				tc.want.granularity = "Day"
			}
			want := pureRows(t, records, tc.want)
			tc.body.Interval = interval(tc.want.from, tc.want.to, millis)
			ex, resp, err := api.PostUsageSimplesearch(tc.body)
			id := started(t, ex, resp, err, "/api/v2/usage/simplesearch/%s/results")
			page := func(after string, size int) *pc.Apiusagequeryresult {
				return completed(t, func() (*pc.Apiusagequeryresult, *pc.APIResponse, error) {
					return api.GetUsageSimplesearchExecutionIdResults(id, after, size)
				})
			}
			whole := page("", 0)
			require.Equal(t, want, *whole.Results)
			require.Nil(t, whole.Cursors, "without pages there are no cursors")

			for _, size := range []int{1, 3, len(want), 1000} {
				got := []pc.Apiusagerow{}
				for after, pages := "", 1; ; pages++ {
					res := page(after, size)
					require.NotNil(t, res.Cursors)
					require.LessOrEqual(t, len(*res.Results), size)
					got = append(got, *res.Results...)
					if res.Cursors.After == nil || *res.Cursors.After == "" {
						break
					}
					require.Len(t, *res.Results, size, "only the last page is short")
					require.LessOrEqual(t, pages, len(want), "the cursors never end")
					after = *res.Cursors.After
				}
				require.Equal(t, want, got, "in pages of %d", size)
			}
		})
	}
}

func TestPureCloudErrors(t *testing.T) {
	t.Parallel()
	s := start(t, registry())
	week := interval(day(-8), day(-1), millis)

	// One query of each kind, all of them acme's.
	api := pureClient(t, s, acme)
	ex, resp, err := api.PostUsageQuery(pc.Apiusageorganizationquery{Interval: week})
	organization := started(t, ex, resp, err, "/api/v2/usage/query/%s/results")
	ex, resp, err = api.PostUsageSimplesearch(pc.Apiusagesimplesearch{Interval: week})
	search := started(t, ex, resp, err, "/api/v2/usage/simplesearch/%s/results")
	ex, resp, err = api.PostOauthClientUsageQuery("client-1", pc.Apiusageclientquery{Interval: week})
	client := started(t, ex, resp, err, fmt.Sprintf(clientPath, "client-1"))

	query := func(q pc.Apiusageorganizationquery) func(*pc.UsageApi) (*pc.APIResponse, error) {
		return func(api *pc.UsageApi) (*pc.APIResponse, error) { _, r, err := api.PostUsageQuery(q); return r, err }
	}
	clientQuery := func(client string, q pc.Apiusageclientquery) func(*pc.UsageApi) (*pc.APIResponse, error) {
		return func(api *pc.UsageApi) (*pc.APIResponse, error) {
			_, r, err := api.PostOauthClientUsageQuery(client, q)
			return r, err
		}
	}
	simple := func(q pc.Apiusagesimplesearch) func(*pc.UsageApi) (*pc.APIResponse, error) {
		return func(api *pc.UsageApi) (*pc.APIResponse, error) {
			_, r, err := api.PostUsageSimplesearch(q)
			return r, err
		}
	}
	summary := func(client, days string) func(*pc.UsageApi) (*pc.APIResponse, error) {
		return func(api *pc.UsageApi) (*pc.APIResponse, error) {
			_, r, err := api.GetOauthClientUsageSummary(client, days)
			return r, err
		}
	}
	queryResults := func(id string) func(*pc.UsageApi) (*pc.APIResponse, error) {
		return func(api *pc.UsageApi) (*pc.APIResponse, error) {
			_, r, err := api.GetUsageQueryExecutionIdResults(id)
			return r, err
		}
	}
	searchResults := func(id, after string, size int) func(*pc.UsageApi) (*pc.APIResponse, error) {
		return func(api *pc.UsageApi) (*pc.APIResponse, error) {
			_, r, err := api.GetUsageSimplesearchExecutionIdResults(id, after, size)
			return r, err
		}
	}
	clientResults := func(client, id string) func(*pc.UsageApi) (*pc.APIResponse, error) {
		return func(api *pc.UsageApi) (*pc.APIResponse, error) {
			_, r, err := api.GetOauthClientUsageQueryResult(id, client)
			return r, err
		}
	}
	const noID = "00000000-0000-4000-8000-000000000000"

	for _, tc := range []struct {
		name   string
		token  string
		call   func(*pc.UsageApi) (*pc.APIResponse, error)
		status int
		code   string
	}{
		{"a group of its own", acme, query(pc.Apiusageorganizationquery{Interval: week, GroupBy: &[]string{"Colour"}}), 400, "invalid.value"},
		{"a group of organizations only", acme, clientQuery("client-1", pc.Apiusageclientquery{Interval: week, GroupBy: &[]string{"UserId"}}), 400, "invalid.value"},
		{"a granularity of its own", acme, query(pc.Apiusageorganizationquery{Interval: week, Granularity: ptr("Hour")}), 400, "invalid.value"},
		{"a figure of its own", acme, query(pc.Apiusageorganizationquery{Interval: week, Metrics: &[]string{"Status100"}}), 400, "invalid.value"},
		{"a figure of other queries", acme, simple(pc.Apiusagesimplesearch{Interval: week, Metrics: &[]string{"Requests"}}), 400, "invalid.value"},
		{"a method of its own", acme, simple(pc.Apiusagesimplesearch{Interval: week, HttpMethods: &[]string{"BREW"}}), 400, "invalid.value"},
		{"an interval that is none", acme, query(pc.Apiusageorganizationquery{Interval: ptr("yesterday")}), 400, "invalid.date"},
		{"no interval", acme, query(pc.Apiusageorganizationquery{}), 400, "constraint.validation"},
		{"an interval that ends before it begins", acme, simple(pc.Apiusagesimplesearch{Interval: interval(day(-1), day(-2), millis)}), 400, "constraint.validation"},
		{"no days", acme, summary("client-1", "0"), 400, "invalid.query.param.value"},
		{"too many days", acme, summary("client-1", "366"), 400, "invalid.query.param.value"},
		{"days in words", acme, summary("client-1", "seven"), 400, "invalid.query.param.value"},
		{"a page that is too large", acme, searchResults(search, "", 1001), 400, "invalid.query.param.value"},
		{"a page that is too small", acme, searchResults(search, "", -1), 400, "invalid.query.param.value"},
		{"a cursor that is none", acme, searchResults(search, "none", 1), 400, "invalid.query.param.value"},
		{"no token", "", query(pc.Apiusageorganizationquery{Interval: week}), 401, "authentication.required"},
		{"no caller", stranger, query(pc.Apiusageorganizationquery{Interval: week}), 401, "bad.credentials"},
		{"no caller and a bad query", stranger, simple(pc.Apiusagesimplesearch{}), 401, "bad.credentials"},
		{"no permission for organizations", nobody, query(pc.Apiusageorganizationquery{Interval: week}), 403, "missing.any.permissions"},
		{"no permission for results", nobody, queryResults(organization), 403, "missing.any.permissions"},
		{"no permission for searches", nobody, simple(pc.Apiusagesimplesearch{Interval: week}), 403, "missing.any.permissions"},
		{"no permission for what was found", nobody, searchResults(search, "", 0), 403, "missing.any.permissions"},
		{"no permission for clients", nobody, clientQuery("client-1", pc.Apiusageclientquery{Interval: week}), 403, "missing.any.permissions"},
		{"no permission for summaries", nobody, summary("client-1", ""), 403, "missing.any.permissions"},
		{"no permission for results of clients", nobody, clientResults("client-1", client), 403, "missing.any.permissions"},
		{"a query of nobody", acme, queryResults(noID), 404, "not.found"},
		{"another tenant's query", globex, queryResults(organization), 404, "not.found"},
		{"another tenant's search", globex, searchResults(search, "", 0), 404, "not.found"},
		{"another tenant's client", globex, clientResults("client-1", client), 404, "not.found"},
		{"a query as a search", acme, searchResults(organization, "", 0), 404, "not.found"},
		{"a search as a query", acme, queryResults(search), 404, "not.found"},
		{"a query as a client's", acme, clientResults("client-1", organization), 404, "not.found"},
		{"a client's query as another client's", acme, clientResults("client-2", client), 404, "not.found"},
		{"a client that is not registered", acme, clientQuery("client-x", pc.Apiusageclientquery{Interval: week}), 404, "not.found"},
		{"a client of another tenant", acme, clientQuery("client-9", pc.Apiusageclientquery{Interval: week}), 404, "not.found"},
		{"a summary of another tenant's client", acme, summary("client-9", ""), 404, "not.found"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			resp, err := tc.call(pureClient(t, s, tc.token))
			require.Error(t, err)
			require.NotNil(t, resp, "%v", err)
			require.Equal(t, tc.status, resp.StatusCode, "%s", resp.RawBody)
			require.NotNil(t, resp.Error, "%v", err)
			require.Equal(t, tc.code, resp.Error.Code, "%s", resp.RawBody)
			require.Equal(t, tc.status, resp.Error.Status)
			require.NotEmpty(t, resp.Error.Message)
			require.NotEmpty(t, resp.CorrelationID, "the header ININ-Correlation-Id")
			require.Equal(t, resp.CorrelationID, resp.Error.ContextID)
		})
	}
}

// A caller above its rate is told to come back. The client hides that answer, and comes back on
// its own where it is configured to.
func TestPureCloudThrottled(t *testing.T) {
	t.Parallel()
	s := start(t, limits("start"))
	body := pc.Apiusageorganizationquery{Interval: interval(day(-8), day(-1), millis)}
	api := pureClient(t, s, acme)
	var resp *pc.APIResponse
	var err error
	eventually(t, func() bool {
		_, resp, err = api.PostUsageQuery(body)
		return err != nil
	})
	require.Nil(t, resp)
	require.ErrorContains(t, err, "giving up after 1 attempt(s)")

	var statuses []int
	api.Configuration.RetryConfiguration = &pc.RetryConfiguration{RetryWaitMax: deadline, RetryMax: 5,
		ResponseLogHook: func(r *http.Response) { statuses = append(statuses, r.StatusCode) }}
	eventually(t, func() bool {
		ex, resp, err := api.PostUsageQuery(body)
		started(t, ex, resp, err, "/api/v2/usage/query/%s/results")
		return slices.Contains(statuses, http.StatusTooManyRequests)
	})
}
