package azurestack_test

import (
	"encoding/json"
	"fmt"
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
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// owned is a book in which each tenant and subscription has a quantity that tells
// it: 1001 acme's, 2002 acme's other subscription, 3003 acme's without one, 4004
// globex', 5005 globex' record that names acme's subscription, 6006 demo's own.
func owned(t testing.TB) *usage.Book {
	t.Helper()
	b, clock := usagetest.NewBook(t, &usage.Options{Meters: httpadapter.Meters()})
	for i, r := range []struct{ tenant, subscription string }{
		{"acme", demo.AcmeSubscription}, {"acme", otherSubscription}, {"acme", ""}, {"globex", demo.GlobexSubscription},
		{"globex", strings.ToUpper(demo.AcmeSubscription)}, {"demo", demo.ProviderSubscription},
	} {
		rec := usage.Record{Tenant: r.tenant, Source: "s", ID: fmt.Sprint(i), Meter: httpadapter.AzureUsage, Start: usagetest.Epoch(),
			Values: usage.Quantity(decimal.NewFromInt(int64((i + 1) * 1001)))}
		if r.subscription != "" {
			rec.Dimensions = rec.Dimensions.With("subscriptionId", r.subscription)
		}
		usagetest.Append(t, b, rec)
	}
	clock.Advance(30 * 24 * time.Hour)
	return b
}

var tells = []string{"1001.", "2002.", "3003.", "4004.", "5005.", "6006."}

func TestNobodySeesMoreThanIsTheirs(t *testing.T) {
	t.Parallel()
	b := owned(t)
	from, to := usagetest.Epoch(), usagetest.Epoch().AddDate(0, 0, 2)
	tenant := func(s string) string { return "/subscriptions/" + s + "/providers/Microsoft.Commerce/usageAggregates" }
	provider := func(s, n string) string {
		return "/subscriptions/" + s + "/providers/" + n + "/subscriberUsageAggregates"
	}
	seen := map[string]string{} // path and token -> what is seen; everything else sees nothing
	all := []string{demo.AcmeSubscription, strings.ToUpper(demo.AcmeSubscription), otherSubscription, demo.GlobexSubscription, deletedSubscription,
		demo.ProviderSubscription, "acme", "globex", "demo", "ACME", "stranger", "*", "acme%00", "acme%2Fglobex", "%ff"}
	var paths []string
	for _, s := range all {
		paths = append(paths, tenant(s), provider(s, "Microsoft.Commerce"), provider(s, "Microsoft.Commerce.Admin"))
	}
	for _, token := range []string{"demo-acme", "demo-admin"} {
		seen[tenant(demo.AcmeSubscription)+token], seen[tenant(strings.ToUpper(demo.AcmeSubscription))+token] = "1001.", "1001."
		seen[tenant(otherSubscription)+token], seen[tenant("acme")+token] = "2002.", "6006." // 1001 + 2002 + 3003 in one row
	}
	for _, token := range []string{"demo-globex", "demo-admin"} {
		seen[tenant(demo.GlobexSubscription)+token], seen[tenant("globex")+token] = "4004.", "9009."
	}
	seen[tenant(demo.ProviderSubscription)+"demo-admin"], seen[tenant("demo")+"demo-admin"] = "6006.", "6006."
	for _, n := range []string{"Microsoft.Commerce", "Microsoft.Commerce.Admin"} {
		seen[provider(demo.ProviderSubscription, n)+"demo-admin"] = "1001.4004."
	}
	for _, event := range []azurestack.ReportedTime{azurestack.Recorded, azurestack.Event} {
		h := newHandler(t, b, &azurestack.Options{ReportedTime: event}, httpadapter.Options{Limiter: httpadapter.Unlimited{}})
		for _, path := range paths {
			for _, token := range []string{"demo-acme", "demo-globex", "demo-admin", "no-roles", "no-tenants", "nobody"} {
				w := get(h, target(path, from, to, ""), token)
				got := ""
				for _, mark := range append(tells, "9009.") {
					if strings.Contains(w.Body.String(), `"quantity":`+mark) {
						got += mark
					}
				}
				require.Equal(t, seen[path+token], got, "%s as %s: %d %s", path, token, w.Code, w.Body)
				switch {
				case got != "":
					require.Equal(t, 200, w.Code)
				case token == "nobody":
					require.Equal(t, 401, w.Code)
				case token != "demo-admin" && path != tenant(deletedSubscription):
					require.Equal(t, 403, w.Code, "%s as %s", path, token)
				}
			}
		}
		// A provider's parameter leads nowhere else either.
		for _, id := range []string{otherSubscription, demo.ProviderSubscription, "acme", "globex", "*", "' or true"} {
			w := get(h, target(provider(demo.ProviderSubscription, "Microsoft.Commerce"), from, to, "&subscriberId="+url.QueryEscape(id)), "demo-admin")
			require.Equal(t, 400, w.Code, id)
			require.Contains(t, w.Body.String(), "SubscriberIdIsNotDirectTenant")
		}
	}
}

func FuzzQuery(f *testing.F) {
	b := owned(f)
	o := &azurestack.Options{ReportedTime: azurestack.Event}
	h := newHandler(f, b, o, httpadapter.Options{Limiter: httpadapter.Unlimited{}})
	f.Add("reportedStartTime=2026-01-01T00:00:00Z&reportedEndTime=2026-01-02T00%3a00%3a00%2b00%3a00Z&api-version=2015-06-01-preview", demo.AcmeSubscription, "Microsoft.Commerce/usageAggregates")
	f.Add("REPORTEDSTARTTIME=0001-01-01T00:00:00 00:00&reportedEndTime=2026-01-02T00:00:00.000Z&api-version=2015-06-01-PREVIEW&aggregationGranularity=hourly", "acme", "microsoft.commerce/USAGEAGGREGATES")
	f.Add("subscriberId=%27&continuationToken=AAAA&;&=&%zz", "", "Microsoft.Commerce.Admin/subscriberUsageAggregates")
	f.Fuzz(func(t *testing.T, query, subscription, rest string) {
		for _, token := range []string{"demo-acme", "no-tenants"} {
			for _, path := range []string{"/subscriptions/" + url.PathEscape(subscription) + "/providers/" + rest,
				"/subscriptions/" + url.PathEscape(subscription) + "/providers/Microsoft.Commerce/usageAggregates",
				"/subscriptions/" + demo.AcmeSubscription + "/providers/Microsoft.Commerce/usageAggregates",
				"/subscriptions/" + demo.ProviderSubscription + "/providers/Microsoft.Commerce/subscriberUsageAggregates"} {
				r := httptest.NewRequest("GET", "/", nil)
				r.URL.Path, r.URL.RawPath, r.URL.RawQuery = unescape(path), path, query
				r.Header.Set("Authorization", "Bearer "+token)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				require.Less(t, w.Code, 500, "%s?%s: %s", path, query, w.Body)
				require.True(t, json.Valid(w.Body.Bytes()), w.Body)
				for _, mark := range []string{"4004.", "5005.", "9009."} {
					require.NotContains(t, w.Body.String(), `"quantity":`+mark, "another tenant's figures")
				}
				if token == "no-tenants" {
					require.NotEqual(t, http.StatusOK, w.Code)
				}
			}
		}
	})
}

func unescape(s string) string {
	u, err := url.PathUnescape(s)
	if err != nil {
		return s
	}
	return u
}
