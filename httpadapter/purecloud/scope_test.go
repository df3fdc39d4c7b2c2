package purecloud_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/purecloud"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// Each tenant and client has a number of requests that no other sum shows.
var secrets = map[string]map[string]int64{
	"acme":   {"client-1": 1_000_001, "client-2": 1_000_010},
	"globex": {"client-1": 1_000_100, "client-9": 1_001_000},
}

func bookSecrets(t testing.TB, b *usage.Book) {
	for tenant, clients := range secrets {
		for id, n := range clients {
			_, err := b.Append(t.Context(), usage.Record{Tenant: tenant, Source: "s", ID: tenant + id, Meter: "api-requests", Start: usagetest.Epoch(),
				Values:     usage.Values{}.With("requests", decimal.NewFromInt(n)).With("status200", decimal.NewFromInt(n)),
				Dimensions: usage.Dimensions{}.With("clientId", id).With("clientName", "of "+tenant).With("userId", "u-"+tenant).With("templateUri", "/"+tenant).With("httpMethod", "GET")})
			require.NoError(t, err)
		}
	}
}

const always = `"interval":"0001-01-01/9998-12-31"`

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// escapes are texts that would leave a filter they are part of.
var escapes = []string{"client-1' or clientId ne 'client-1", "client-1') or (true", "*", "%", "client-1,client-9", "client-1\x00client-9", "globex", "u-globex", "/globex", "of globex"}

func TestNobodyLeavesItsTenants(t *testing.T) {
	t.Parallel()
	for _, catalogue := range []*httpadapter.Catalogue{nil, registry()} {
		b, _ := usagetest.NewBook(t, &usage.Options{Meters: httpadapter.Meters()})
		bookSecrets(t, b)
		h := newHandler(t, b, &purecloud.Options{NoWait: true}, catalogue, httpadapter.Unlimited{})
		answer := func(target, body string) string {
			if w := ask(h, target, "demo-acme", body); w.Code == 404 {
				return ""
			}
			uri := execute(t, h, target, "demo-acme", body, 202)
			work(t, b)
			w := ask(h, uri, "demo-acme", "")
			require.Equal(t, 200, w.Code, w.Body)
			require.NotContains(t, w.Body.String(), "globex", body)
			return w.Body.String()
		}
		all := answer("/api/v2/usage/query", `{`+always+`,"groupBy":["OAuthClientId","OrganizationId","UserId","TemplateUri","HttpMethod"]}`)
		require.Contains(t, all, "1000001")
		require.Contains(t, all, "1000010")
		require.Contains(t, answer("/api/v2/usage/query", `{`+always+`,"metrics":["Requests"]}`), `"requests":2000011,`)
		require.Contains(t, answer("/api/v2/usage/simplesearch", `{`+always+`,"metrics":["Status200"]}`), `"status200":2000011}`)
		require.Contains(t, answer("/api/v2/oauth/clients/client-1/usage/query", `{`+always+`,"metrics":["Requests"]}`), `"requests":1000001,`)
		for _, text := range escapes {
			for _, list := range []string{"oauthClientNames", "templateUris"} {
				require.Equal(t, `{"results":[],"queryStatus":"Complete"}`, answer("/api/v2/usage/simplesearch", fmt.Sprintf(`{%s,%q:[%s]}`, always, list, quote(text))), text)
			}
			got := answer("/api/v2/oauth/clients/"+url.PathEscape(text)+"/usage/query", `{`+always+`}`)
			require.Contains(t, []string{"", `{"results":[],"queryStatus":"Complete"}`}, got, text)
		}
		if catalogue == nil {
			require.Equal(t, `{"results":[],"queryStatus":"Complete"}`, answer("/api/v2/oauth/clients/client-9/usage/query", `{`+always+`}`))
		} else {
			require.Equal(t, "", answer("/api/v2/oauth/clients/client-9/usage/query", `{`+always+`}`))
		}
	}
}

// Where an id may come from several fields, no scope can say it.
func TestNobodyLeavesItsClient(t *testing.T) {
	t.Parallel()
	for _, from := range [][]string{{"clientId"}, {"dimensions/clientId"}, {"appId", "clientId"}, {"clientId", "id"}} {
		b, _ := usagetest.NewBook(t, &usage.Options{Meters: httpadapter.Meters()})
		bookSecrets(t, b)
		h := newHandler(t, b, &purecloud.Options{NoWait: true, Fields: httpadapter.Fields{"clientId": from}}, nil, httpadapter.Unlimited{})
		for _, text := range append([]string{"client-1"}, escapes...) {
			w := ask(h, "/api/v2/oauth/clients/"+url.PathEscape(text)+"/usage/query", "demo-acme", `{`+always+`,"metrics":["Requests"]}`)
			if text == "client-1\x00client-9" {
				require.Equal(t, 404, w.Code)
				continue
			}
			require.Equal(t, 202, w.Code, w.Body)
			var x struct{ ResultsURI string }
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &x))
			work(t, b)
			got := ask(h, x.ResultsURI, "demo-acme", "").Body.String()
			if text == "client-1" {
				require.Equal(t, `{"results":[{"clientId":"client-1","clientName":"of acme","requests":1000001,"date":"0001-01-01T00:00:00Z"}],"queryStatus":"Complete"}`, got)
			} else {
				require.Equal(t, `{"results":[],"queryStatus":"Complete"}`, got)
			}
		}
	}
}

// An execution is its callers' alone, whatever route and client it is asked for on.
func TestNobodyReadsAnothersExecution(t *testing.T) {
	t.Parallel()
	b, _ := usagetest.NewBook(t, &usage.Options{Meters: httpadapter.Meters()})
	bookSecrets(t, b)
	h := newHandler(t, b, &purecloud.Options{NoWait: true}, nil, httpadapter.Unlimited{})
	started := map[string]string{}
	for route, target := range map[string]string{"query": "/api/v2/usage/query", "search": "/api/v2/usage/simplesearch", "client-1": "/api/v2/oauth/clients/client-1/usage/query", "client-2": "/api/v2/oauth/clients/client-2/usage/query"} {
		w := ask(h, target, "demo-acme", `{`+always+`}`)
		var x struct{ ExecutionID string }
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &x))
		started[route] = x.ExecutionID
	}
	work(t, b)
	results := map[string]string{"query": "/api/v2/usage/query/%s/results", "search": "/api/v2/usage/simplesearch/%s/results",
		"client-1": "/api/v2/oauth/clients/client-1/usage/query/results/%s", "client-2": "/api/v2/oauth/clients/client-2/usage/query/results/%s"}
	for kind, id := range started {
		for route, path := range results {
			for _, token := range []string{"demo-acme", "demo-globex", "demo-both", "demo-admin", "no-roles", "no-tenants", "nobody"} {
				want := 404
				switch {
				case token == "demo-acme" && kind == route:
					want = 200
				case token == "nobody":
					want = 401
				case token == "no-roles" || token == "no-tenants":
					want = 403
				}
				w := ask(h, fmt.Sprintf(path, id), token, "")
				require.Equal(t, want, w.Code, "%s of %s on %s: %s", kind, token, route, w.Body)
			}
		}
	}
}
