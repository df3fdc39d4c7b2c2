package clienttest

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/profiles/2020-09-01/commerce/mgmt/commerce"
	"github.com/Azure/go-autorest/autorest"
	"github.com/Azure/go-autorest/autorest/azure"
	"github.com/Azure/go-autorest/autorest/date"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
)

// The subscriptions of the tests: of acme and of globex, both customers of the provider's, and
// one of acme that was deleted.
const (
	acmeSub     = "00000000-0000-4000-8000-0000000000a1"
	globexSub   = "00000000-0000-4000-8000-0000000000b2"
	providerSub = "00000000-0000-4000-8000-0000000000d0"
	deletedSub  = "00000000-0000-4000-8000-0000000000e1"
	unknownSub  = "00000000-0000-4000-8000-0000000000f9"
)

var subscriptions = settings{"subscriptions": []settings{
	{"id": acmeSub, "name": "Acme production", "tenant": "acme", "provider": providerSub},
	{"id": globexSub, "name": "Globex", "tenant": "globex", "provider": providerSub},
	{"id": deletedSub, "name": "Acme trial", "tenant": "acme", "provider": providerSub, "deleted": true},
	{"id": providerSub, "name": "Fabric", "tenant": "demo"},
}}

// Meters of the document.
const (
	vmHours  = "FAB6EB84-500B-4A09-A8CA-7358F8BBAEA5"
	staticIP = "F271A8A388C44D93956A063E1D2FA80B"
)

type bearer string

func (b bearer) OAuthToken() string { return string(b) }

// counter counts the answers of a client by status.
type counter struct{ ok, busy atomic.Int32 }

func (c *counter) Do(req *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err == nil && resp.StatusCode == http.StatusOK {
		c.ok.Add(1)
	}
	if err == nil && resp.StatusCode == http.StatusServiceUnavailable {
		c.busy.Add(1)
	}
	return resp, err
}

// azureClient is the client of a caller and a subscription.
func azureClient(s *server, token, subscription string) (commerce.UsageAggregatesClient, *counter) {
	c := commerce.NewUsageAggregatesClientWithBaseURI(s.url, subscription)
	c.Authorizer = autorest.NewBearerAuthorizer(bearer(token))
	c.RetryAttempts, c.RetryDuration = 3, time.Millisecond // where the server asks for no longer wait
	answers := new(counter)
	c.Sender = answers
	return c, answers
}

// azureProvider makes a client ask the provider's route, for which it has no method, about one
// subscriber or all.
func azureProvider(c *commerce.UsageAggregatesClient, namespace, subscriber string) {
	c.RequestInspector = func(p autorest.Preparer) autorest.Preparer {
		return autorest.PreparerFunc(func(r *http.Request) (*http.Request, error) {
			r, err := p.Prepare(r)
			if err != nil {
				return r, err
			}
			r.URL.Path = strings.Replace(r.URL.Path, "/Microsoft.Commerce/UsageAggregates", "/"+namespace+"/subscriberUsageAggregates", 1)
			q := r.URL.Query()
			if subscriber != "" {
				q.Set("subscriberId", subscriber)
			}
			r.URL.RawQuery = q.Encode()
			return r, nil
		})
	}
}

// azureRow is what a row says, with the exact sum of the quantity.
type azureRow struct {
	Subscription, ID, Name, Type string
	Start, End                   time.Time
	Meter, Instance, Quantity    string
}

func azureRowOf(t *testing.T, v commerce.UsageAggregation) azureRow {
	t.Helper()
	require.NotNil(t, v.UsageSample)
	require.NotNil(t, v.SubscriptionID)
	// The client reads numbers as float64. The shortest text of one that was read from at most
	// fifteen digits is these digits again.
	return azureRow{
		Subscription: v.SubscriptionID.String(), ID: *v.ID, Name: *v.Name, Type: *v.Type,
		Start: v.UsageStartTime.UTC(), End: v.UsageEndTime.UTC(),
		Meter: *v.MeterID, Instance: *v.InstanceData, Quantity: decimal.NewFromFloat(*v.Quantity).String(),
	}
}

func azureAll(t *testing.T, it commerce.UsageAggregationListResultIterator, err error) []azureRow {
	t.Helper()
	rows := []azureRow{}
	for ; err == nil && it.NotDone(); err = it.NextWithContext(t.Context()) {
		rows = append(rows, azureRowOf(t, it.Value()))
	}
	require.NoError(t, err)
	return rows
}

// azureRows is the answer that records have, as the documents say it: the sum of each
// subscription, meter, resource, place, tags and further information in each bucket.
func azureRows(t *testing.T, records []record, namespace string, from, to time.Time, bucket time.Duration) []azureRow {
	t.Helper()
	type key struct {
		start                        time.Time
		meter, uri, sub, place, tags string
	}
	sums := map[key]decimal.Decimal{}
	for _, r := range records {
		if r.Start.Before(from) || !r.Start.Before(to) {
			continue
		}
		k := key{start: r.Start.Truncate(bucket)}
		k.meter, _ = r.Dimensions["meterId"].(string)
		k.uri, _ = r.Dimensions["resourceUri"].(string)
		k.sub, _ = r.Dimensions["subscriptionId"].(string)
		k.place, _ = r.Dimensions["location"].(string)
		if tags, ok := r.Dimensions["tags"]; ok {
			k.tags = string(marshal(t, tags))
		}
		sums[k] = sums[k].Add(decimal.RequireFromString(r.Values["quantity"]))
	}
	keys := make([]key, 0, len(sums))
	for k := range sums {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b key) int {
		return cmp.Or(a.start.Compare(b.start), cmp.Compare(a.meter, b.meter), cmp.Compare(a.uri, b.uri),
			cmp.Compare(a.sub, b.sub), cmp.Compare(a.place, b.place), cmp.Compare(a.tags, b.tags))
	})
	text := func(s string) string {
		if s == "" {
			return "null"
		}
		return string(marshal(t, s))
	}
	rows := []azureRow{}
	for _, k := range keys {
		name := k.sub + "-" + k.meter
		rows = append(rows, azureRow{
			Subscription: k.sub, ID: "/subscriptions/" + k.sub + "/providers/" + namespace + "/UsageAggregate/" + name, Name: name,
			Type: namespace + "/UsageAggregate", Start: k.start, End: k.start.Add(bucket), Meter: k.meter,
			Instance: fmt.Sprintf(`{"Microsoft.Resources":{"resourceUri":%s,"location":%s,"tags":%s,"additionalInfo":null}}`,
				text(k.uri), text(k.place), cmp.Or(k.tags, "null")),
			Quantity: sums[k].String(),
		})
	}
	return rows
}

func virtualMachine(n int) string {
	return fmt.Sprintf("/subscriptions/%s/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm%02d", acmeSub, n)
}

func azureRecord(tenant, subscription string, start time.Time, quantity string, dimensions settings) record {
	all := map[string]any{"subscriptionId": subscription}
	for name, value := range dimensions {
		all[name] = value
	}
	return record{Tenant: tenant, Meter: "azure-usage", Start: start, Values: map[string]string{"quantity": quantity}, Dimensions: all}
}

// The days of the lists are [firstDay, lastDay).
const firstDay, lastDay = -30, -8

// acmeUsage is 1,100 rows a day's worth each, or 2,200 an hour's worth each: two uses of 25
// machines under two meters on 22 days.
func acmeUsage() []record {
	var records []record
	for n := firstDay; n < lastDay; n++ {
		for vm := range 25 {
			for i, meter := range []string{vmHours, staticIP} {
				for use := range 2 {
					start := day(n).Add(time.Duration(use*(1+vm%23))*time.Hour + time.Duration(vm)*time.Minute)
					dimensions := settings{"meterId": meter, "resourceUri": virtualMachine(vm)}
					if vm%3 > 0 {
						dimensions["location"] = "local"
					}
					if vm%5 == 0 {
						dimensions["tags"] = map[string]string{"team": "ops & net", "env": "prod"}
					}
					quantity := fmt.Sprintf("%d.%04d", vm, 1+7*use+100*i-n)
					records = append(records, azureRecord("acme", acmeSub, start, quantity, dimensions))
				}
			}
		}
	}
	return records
}

// otherUsage is in no answer about acme's subscription in the days of the lists.
func otherUsage() []record {
	at := day(firstDay).Add(5 * time.Hour)
	vm := settings{"meterId": vmHours, "resourceUri": virtualMachine(1)}
	none := azureRecord("acme", "", at, "1000", vm)
	delete(none.Dimensions, "subscriptionId")
	other := azureRecord("acme", acmeSub, at, "1000", vm)
	other.Meter = "requests"
	return []record{
		azureRecord("globex", globexSub, at, "1000", vm),
		azureRecord("globex", acmeSub, at, "1000", vm), // the subscription is another tenant's
		azureRecord("acme", deletedSub, at, "1000", vm),
		azureRecord("acme", acmeSub, day(firstDay).Add(-time.Microsecond), "1000", vm),
		azureRecord("acme", acmeSub, day(lastDay), "1000", vm),
		none, other,
	}
}

func TestAzureStackListsDays(t *testing.T) {
	t.Parallel()
	s := start(t, subscriptions)
	records := acmeUsage()
	s.book(t, append(otherUsage(), records...)...)
	from, to := date.Time{Time: day(firstDay)}, date.Time{Time: day(lastDay)}
	want := azureRows(t, records, "Microsoft.Commerce", from.Time, to.Time, 24*time.Hour)
	require.Len(t, want, 1100)

	c, answers := azureClient(s, acme, acmeSub)
	page, err := c.List(t.Context(), from, to, nil, commerce.Daily, "")
	require.NoError(t, err)
	require.Len(t, page.Values(), 1000)
	next := page.Response().NextLink
	require.NotNil(t, next)
	var got []azureRow
	for _, v := range page.Values() {
		got = append(got, azureRowOf(t, v))
	}

	// What is booked between two pages is for the next list.
	late := azureRecord("acme", acmeSub, day(lastDay-1), "77.5", settings{"meterId": vmHours, "resourceUri": virtualMachine(99)})
	s.book(t, late)
	require.NoError(t, page.NextWithContext(t.Context()))
	require.Len(t, page.Values(), 100)
	require.Nil(t, page.Response().NextLink)
	for _, v := range page.Values() {
		got = append(got, azureRowOf(t, v))
	}
	require.Equal(t, want, got)
	require.NoError(t, page.NextWithContext(t.Context()))
	require.False(t, page.NotDone())
	require.EqualValues(t, 2, answers.ok.Load())

	// A client may send the token of the link with the parameters it had sent before.
	link, err := url.Parse(*next)
	require.NoError(t, err)
	token := link.Query().Get("continuationToken")
	require.NotEmpty(t, token)
	it, err := c.ListComplete(t.Context(), from, to, nil, commerce.Daily, token)
	require.Equal(t, want[1000:], azureAll(t, it, err))

	// Days are what a client gets that does not say, and details are neither here nor there.
	want = azureRows(t, append(records, late), "Microsoft.Commerce", from.Time, to.Time, 24*time.Hour)
	for _, details := range []*bool{nil, new(bool)} {
		it, err = c.ListComplete(t.Context(), from, to, details, "", "")
		require.Equal(t, want, azureAll(t, it, err))
	}

	total := decimal.Zero
	for _, r := range append(records, late) {
		total = total.Add(decimal.RequireFromString(r.Values["quantity"]))
	}
	for _, row := range want {
		total = total.Sub(decimal.RequireFromString(row.Quantity))
	}
	require.True(t, total.IsZero(), "what was booked and what is listed differ by %s", total)
}

func TestAzureStackListsHours(t *testing.T) {
	t.Parallel()
	s := start(t, subscriptions)
	records := acmeUsage()
	s.book(t, append(otherUsage(), records...)...)
	c, answers := azureClient(s, acme, strings.ToUpper(acmeSub))

	for name, tc := range map[string]struct {
		from, to time.Time
		pages    int32
	}{
		"all":            {day(firstDay), day(lastDay), 3},
		"from an hour":   {day(firstDay).Add(2 * time.Hour), day(lastDay).Add(-3 * time.Hour), 3},
		"one hour":       {day(-20).Add(7 * time.Hour), day(-20).Add(8 * time.Hour), 1},
		"nothing booked": {day(-7), day(-6), 1},
	} {
		before := answers.ok.Load()
		want := azureRows(t, records, "Microsoft.Commerce", tc.from, tc.to, time.Hour)
		it, err := c.ListComplete(t.Context(), date.Time{Time: tc.from}, date.Time{Time: tc.to}, nil, commerce.Hourly, "")
		require.Equal(t, want, azureAll(t, it, err), name)
		require.Equal(t, tc.pages, answers.ok.Load()-before, name)
	}
}

func TestAzureStackProvider(t *testing.T) {
	t.Parallel()
	s := start(t, subscriptions)
	at := day(-9).Add(5*time.Hour + 30*time.Minute)
	customers := []record{
		azureRecord("globex", globexSub, at, "7", settings{"meterId": staticIP}),
		azureRecord("globex", globexSub, at.Add(time.Minute), "0.0001", settings{"meterId": staticIP}),
		azureRecord("acme", acmeSub, at, "1.5", settings{"meterId": vmHours, "resourceUri": virtualMachine(1)}),
		azureRecord("acme", deletedSub, at, "2.25", settings{"meterId": vmHours}),
	}
	s.book(t, append(customers, azureRecord("demo", providerSub, at, "1000", settings{"meterId": vmHours}))...)
	from, to := date.Time{Time: day(-10)}, date.Time{Time: day(-8)}

	for _, namespace := range []string{"Microsoft.Commerce", "Microsoft.Commerce.Admin"} {
		for _, g := range []struct {
			granularity commerce.AggregationGranularity
			bucket      time.Duration
		}{{commerce.Daily, 24 * time.Hour}, {commerce.Hourly, time.Hour}} {
			c, _ := azureClient(s, admin, providerSub)
			azureProvider(&c, namespace, "")
			it, err := c.ListComplete(t.Context(), from, to, nil, g.granularity, "")
			require.Equal(t, azureRows(t, customers, namespace, from.Time, to.Time, g.bucket), azureAll(t, it, err))

			azureProvider(&c, namespace, globexSub)
			it, err = c.ListComplete(t.Context(), from, to, nil, g.granularity, "")
			require.Equal(t, azureRows(t, customers[:2], namespace, from.Time, to.Time, g.bucket), azureAll(t, it, err))
		}
	}

	const namespace = "Microsoft.Commerce.Admin"
	c, _ := azureClient(s, admin, providerSub)
	azureProvider(&c, namespace, unknownSub)
	_, err := c.ListComplete(t.Context(), from, to, nil, commerce.Daily, "")
	requireAzureError(t, err, http.StatusBadRequest, "SubscriberIdIsNotDirectTenant", "")

	// The provider's subscription is demo's, and a customer's is none.
	c, _ = azureClient(s, acme, providerSub)
	azureProvider(&c, namespace, "")
	_, err = c.ListComplete(t.Context(), from, to, nil, commerce.Daily, "")
	requireAzureError(t, err, http.StatusForbidden, "AuthorizationFailed", "")
	c, _ = azureClient(s, admin, acmeSub)
	azureProvider(&c, namespace, "")
	_, err = c.ListComplete(t.Context(), from, to, nil, commerce.Daily, "")
	requireAzureError(t, err, http.StatusForbidden, "AuthorizationFailed", "")

	// The current day is not complete; the client takes this answer, too, for an error. In its
	// first hour there is no time to ask about.
	c, _ = azureClient(s, admin, providerSub)
	azureProvider(&c, namespace, "")
	for {
		now := time.Now().UTC()
		if now.Hour() == 0 {
			break
		}
		_, err = c.ListComplete(t.Context(), from, date.Time{Time: now.Truncate(time.Hour)}, nil, commerce.Hourly, "")
		if time.Now().UTC().Day() == now.Day() {
			requireAzureError(t, err, http.StatusAccepted, "ProcessingNotCompleted", "")
			break
		}
	}
}

// requireAzureError requires that the client says which error it was given.
func requireAzureError(t *testing.T, err error, status int, code, about string) {
	t.Helper()
	var detailed autorest.DetailedError
	require.ErrorAs(t, err, &detailed)
	require.Equal(t, status, detailed.StatusCode, "%v", err)
	var answer *azure.RequestError
	require.True(t, errors.As(detailed.Original, &answer), "%v", err)
	require.NotNil(t, answer.ServiceError)
	require.Equal(t, code, answer.ServiceError.Code, "%v", err)
	require.NotEmpty(t, answer.ServiceError.Message)
	require.Contains(t, answer.ServiceError.Message, about)
	require.ErrorContains(t, err, fmt.Sprintf("Code=%q Message=", code))
}

func TestAzureStackErrors(t *testing.T) {
	t.Parallel()
	s := start(t, subscriptions)
	s.book(t, acmeUsage()...)
	hour := time.Now().UTC().Truncate(time.Hour)
	first, err := pageToken(t, s, acme)
	require.NoError(t, err)

	for _, tc := range []struct {
		name                string
		token, subscription string
		from, to            time.Time
		granularity         commerce.AggregationGranularity
		continuation        string
		status              int
		code, about         string
	}{
		{"a day that begins at one", acme, acmeSub, day(-9).Add(time.Hour), day(-8), commerce.Daily, "", 400, "InvalidProperty", "reportedStartTime"},
		{"a day that ends at one", acme, acmeSub, day(-9), day(-8).Add(time.Hour), commerce.Daily, "", 400, "InvalidProperty", "reportedEndTime"},
		{"an hour that begins late", acme, acmeSub, day(-9).Add(time.Second), day(-8), commerce.Hourly, "", 400, "InvalidProperty", "reportedStartTime"},
		{"an hour that ends late", acme, acmeSub, day(-9), day(-8).Add(time.Minute), commerce.Hourly, "", 400, "InvalidProperty", "reportedEndTime"},
		{"a range that is empty", acme, acmeSub, day(-9), day(-9), commerce.Daily, "", 400, "InvalidProperty", ""},
		{"a range that ends before it begins", acme, acmeSub, day(-8), day(-9), commerce.Daily, "", 400, "InvalidProperty", ""},
		{"hours to come", acme, acmeSub, day(-9), hour.Add(2 * time.Hour), commerce.Hourly, "", 400, "RequestEndTimeIsInFuture", ""},
		{"days to come", acme, acmeSub, day(-9), day(3), commerce.Daily, "", 400, "RequestEndTimeIsInFuture", ""},
		{"a granularity of its own", acme, acmeSub, day(-9), day(-8), "Weekly", "", 400, "InvalidAggregationGranularity", ""},
		{"a token that is none", acme, acmeSub, day(firstDay), day(lastDay), commerce.Daily, "none", 400, "InvalidProperty", "continuationToken"},
		{"a token of another granularity", acme, acmeSub, day(firstDay), day(lastDay), commerce.Hourly, first, 400, "InvalidProperty", "continuationToken"},
		{"a token of another range", acme, acmeSub, day(firstDay), day(lastDay - 1), commerce.Daily, first, 400, "InvalidProperty", "continuationToken"},
		{"a token of another subscription", globex, globexSub, day(firstDay), day(lastDay), commerce.Daily, first, 400, "InvalidProperty", "continuationToken"},
		{"no caller", stranger, acmeSub, day(-9), day(-8), commerce.Daily, "", 401, "AuthenticationFailed", ""},
		{"another tenant's subscription", acme, globexSub, day(-9), day(-8), commerce.Daily, "", 403, "AuthorizationFailed", ""},
		{"another tenant's subscription and a bad range", acme, globexSub, day(-8).Add(time.Second), day(-9), "Weekly", "", 403, "AuthorizationFailed", ""},
		{"a subscription of nobody", acme, unknownSub, day(-9), day(-8), commerce.Daily, "", 403, "AuthorizationFailed", ""},
		{"a caller without a role", nobody, acmeSub, day(-9), day(-8), commerce.Daily, "", 403, "AuthorizationFailed", ""},
		{"a deleted subscription", acme, deletedSub, day(-9), day(-8), commerce.Daily, "", 404, "SubscriptionNotFound", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, _ := azureClient(s, tc.token, tc.subscription)
			_, err := c.List(t.Context(), date.Time{Time: tc.from}, date.Time{Time: tc.to}, nil, tc.granularity, tc.continuation)
			requireAzureError(t, err, tc.status, tc.code, tc.about)
		})
	}
}

// pageToken returns the token of the second page of acme's days.
func pageToken(t *testing.T, s *server, token string) (string, error) {
	t.Helper()
	c, _ := azureClient(s, token, acmeSub)
	page, err := c.List(t.Context(), date.Time{Time: day(firstDay)}, date.Time{Time: day(lastDay)}, nil, commerce.Daily, "")
	if err != nil {
		return "", err
	}
	link, err := url.Parse(*page.Response().NextLink)
	if err != nil {
		return "", err
	}
	return link.Query().Get("continuationToken"), nil
}

// A caller above its rate is told to come back, and the client does so on its own.
func TestAzureStackThrottled(t *testing.T) {
	t.Parallel()
	other := limits("read")
	other["subscriptions"] = subscriptions["subscriptions"]
	s := start(t, other)
	records := acmeUsage()
	s.book(t, records...)
	from, to := date.Time{Time: day(firstDay)}, date.Time{Time: day(lastDay)}
	want := azureRows(t, records, "Microsoft.Commerce", from.Time, to.Time, time.Hour)

	c, answers := azureClient(s, acme, acmeSub)
	it, err := c.ListComplete(t.Context(), from, to, nil, commerce.Hourly, "")
	require.Equal(t, want, azureAll(t, it, err))
	require.EqualValues(t, 3, answers.ok.Load())
	require.Positive(t, answers.busy.Load())

	// For a client without second tries it is an error like others.
	c.SendDecorators = []autorest.SendDecorator{}
	eventually(t, func() bool {
		_, err = c.List(t.Context(), from, date.Time{Time: from.Add(time.Hour)}, nil, commerce.Hourly, "")
		return err != nil
	})
	requireAzureError(t, err, http.StatusServiceUnavailable, "ServiceUnavailable", "")
}
