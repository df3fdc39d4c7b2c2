package azurestack_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/shopspring/decimal"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/azurestack"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

func ExampleNew() {
	book, err := usage.New(memstore.New(nil), &usage.Options{Meters: httpadapter.Meters()})
	if err != nil {
		log.Fatal(err)
	}
	_, err = book.Append(context.Background(), usage.Record{Tenant: "acme", Source: "fabric", ID: "1", Meter: httpadapter.AzureUsage,
		Start:  time.Date(2026, 3, 2, 22, 0, 0, 0, time.UTC),
		Values: usage.Quantity(decimal.RequireFromString("1.2")),
		Dimensions: usage.Dimensions{}.With("meterId", "FAB6EB84-500B-4A09-A8CA-7358F8BBAEA5").
			With("subscriptionId", "00000000-0000-4000-8000-0000000000a1").With("tags", `{"env":"prod"}`)})
	if err != nil {
		log.Fatal(err)
	}
	tokens, err := httpadapter.StaticTokens(map[string]httpadapter.Principal{
		"secret": {Subject: "portal", Tenants: []string{"acme"}, Roles: []string{"Reader"}}})
	if err != nil {
		log.Fatal(err)
	}
	catalogue := &httpadapter.Catalogue{Subscriptions: []httpadapter.Subscription{{ID: "00000000-0000-4000-8000-0000000000a1", Tenant: "acme"}}}

	// Mounting takes three lines. A mux compares letter case, so the adapter gets
	// every request that it has no better handler for.
	mux := http.NewServeMux()
	adapter, err := httpadapter.New(book, &httpadapter.Options{Authenticate: tokens, Catalogue: catalogue},
		azurestack.New(&azurestack.Options{ReportedTime: azurestack.Event})) // history that was imported
	if err != nil {
		log.Fatal(err)
	}
	mux.Handle("/", adapter)

	r := httptest.NewRequest("GET", "/subscriptions/00000000-0000-4000-8000-0000000000a1/providers/Microsoft.Commerce/UsageAggregates"+
		"?reportedStartTime=2026-03-02T00:00:00Z&reportedEndTime=2026-03-03T00:00:00Z&api-version=2015-06-01-preview", nil)
	r.Header.Set("Authorization", "Bearer secret")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output: 200 {"value":[{"id":"/subscriptions/00000000-0000-4000-8000-0000000000a1/providers/Microsoft.Commerce/UsageAggregate/00000000-0000-4000-8000-0000000000a1-FAB6EB84-500B-4A09-A8CA-7358F8BBAEA5","name":"00000000-0000-4000-8000-0000000000a1-FAB6EB84-500B-4A09-A8CA-7358F8BBAEA5","type":"Microsoft.Commerce/UsageAggregate","properties":{"subscriptionId":"00000000-0000-4000-8000-0000000000a1","usageStartTime":"2026-03-02T00:00:00+00:00","usageEndTime":"2026-03-03T00:00:00+00:00","instanceData":"{\"Microsoft.Resources\":{\"resourceUri\":null,\"location\":null,\"tags\":{\"env\":\"prod\"},\"additionalInfo\":null}}","quantity":1.2000000000,"meterId":"FAB6EB84-500B-4A09-A8CA-7358F8BBAEA5"}}]}
}
