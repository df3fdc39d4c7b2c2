package azurestack_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/azurestack"
	"github.com/usagebook/usagebook/httpadapter/internal/demo"
	"github.com/usagebook/usagebook/paginate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/usagetest"
)

var tokenKeys = []paginate.Key{{ID: "k1", Secret: []byte("0123456789abcdef0123456789abcdef")}}

func unmarshal(t testing.TB, w *httptest.ResponseRecorder, into any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), into))
}

func TestFaultyOptions(t *testing.T) {
	t.Parallel()
	b, _ := usagetest.NewBook(t, nil)
	for want, o := range map[string]azurestack.Options{
		`there is no field "quantity"`:                       {Fields: httpadapter.Fields{"quantity": {"q"}}},
		"subscriptionId comes from tenant":                   {Fields: httpadapter.Fields{"subscriptionId": {"tenant"}}},
		"subscriptionId comes from dimensions/a, dimensions": {Fields: httpadapter.Fields{"subscriptionId": {"a", "b"}}},
		"a meter has no name":                                {Meters: []string{"azure-usage", ""}},
		"SettleWait is -1s":                                  {SettleWait: -time.Second},
		"the reported time 2 is unknown":                     {ReportedTime: 2},
		`the quantity cannot be "no name"`:                   {Quantity: "no name"},
	} {
		_, err := httpadapter.New(b, nil, azurestack.New(&o))
		require.ErrorContains(t, err, "azurestack: ")
		require.ErrorContains(t, err, want)
	}
}

func TestReportedTimeAsText(t *testing.T) {
	t.Parallel()
	for _, r := range []azurestack.ReportedTime{azurestack.Recorded, azurestack.Event} {
		text, err := json.Marshal(r)
		require.NoError(t, err)
		back := azurestack.Event
		require.NoError(t, json.Unmarshal(text, &back))
		require.Equal(t, r, back)
	}
	var r azurestack.ReportedTime
	require.ErrorContains(t, json.Unmarshal([]byte(`"booked"`), &r), `"booked"; recorded and event are allowed`)
}

// Other names of meters, dimensions and the value, below a prefix of a mux.
func TestOtherNames(t *testing.T) {
	t.Parallel()
	b, clock := usagetest.NewBook(t, nil)
	usagetest.Append(t, b, usagetest.Record("acme", "vm-hours").Value("hours", "3").Dim("account", demo.AcmeSubscription).Dim("sku", "D2").Dim("arm", "/r/1").Build())
	clock.Advance(48 * time.Hour)
	defaults := demo.Authenticate(t)
	defaults.Prefix, defaults.BaseURL = "/usage", "https://example.com"
	adapter, err := httpadapter.New(b, &defaults, azurestack.New(&azurestack.Options{Meters: []string{"vm-hours"}, Quantity: "hours", ReportedTime: azurestack.Event,
		Fields: httpadapter.Fields{"subscriptionId": {"account"}, "meterId": {"sku"}, "resourceUri": {"uri", "arm"}}}))
	require.NoError(t, err)
	mux := http.NewServeMux()
	adapter.Mount(mux)
	w := get(mux, target("/usage/subscriptions/"+demo.AcmeSubscription+"/providers/Microsoft.Commerce/usageAggregates", usagetest.Epoch(), usagetest.Epoch().AddDate(0, 0, 1), ""), "demo-acme")
	require.Equal(t, 200, w.Code, w.Body)
	var page body
	unmarshal(t, w, &page)
	require.Len(t, page.Value, 1)
	p := page.Value[0].Properties
	require.Equal(t, []string{demo.AcmeSubscription, "D2", "3.0000000000", `{"Microsoft.Resources":{"resourceUri":"/r/1","location":null,"tags":null,"additionalInfo":null}}`},
		[]string{p.SubscriptionID, p.MeterID, p.Quantity.String(), p.InstanceData})
}

// Texts too long for a token are passed over by their number.
func TestLongKeys(t *testing.T) {
	t.Parallel()
	b, clock := usagetest.NewBook(t, &usage.Options{Meters: httpadapter.Meters()})
	var all []booked
	for i, n := range []int{0, 10, 1400, 1500, 1501, 3000, 4000} {
		for k := range 4 {
			long := make([]byte, n)
			for at := range long {
				long[at] = '\''
			}
			r := usagetest.Record("acme", httpadapter.AzureUsage).ID(string(rune('a'+i))+string(rune('0'+k))).Dim("meterId", "m"+string(long)).Dim("resourceUri", string(rune('a'+k))+string(long)).Build()
			usagetest.Append(t, b, r)
			all = append(all, booked{r, clock.Now()})
		}
	}
	clock.Advance(48 * time.Hour)
	for _, reported := range []azurestack.ReportedTime{azurestack.Recorded, azurestack.Event} {
		o := &azurestack.Options{ReportedTime: reported}
		o.PageRows(1)
		h := newHandler(t, b, o, httpadapter.Options{Limiter: httpadapter.Unlimited{}})
		from, to := usagetest.Epoch(), usagetest.Epoch().AddDate(0, 0, 1)
		got := readAll(t, h, target("/subscriptions/acme/providers/Microsoft.Commerce/usageAggregates", from, to, ""), "demo-acme", 1, func() {})
		requireLines(t, naive(all, catalogue(t), "", "Microsoft.Commerce", "acme", "", false, from, to, 24*time.Hour, true), got, "%s", reported)
	}
}
