package partnercenter_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/shopspring/decimal"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/partnercenter"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

func ExampleNew() {
	book, err := usage.New(memstore.New(nil), &usage.Options{Meters: httpadapter.Meters()})
	if err != nil {
		log.Fatal(err)
	}
	_, err = book.Append(context.Background(), usage.Record{Tenant: "acme", Source: "csp", ID: "1", Meter: httpadapter.AzureUsage,
		Start:      time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC),
		Values:     usage.Values{}.With("quantity", decimal.RequireFromString("1.5")),
		Dimensions: usage.Dimensions{}.With("meterCategory", "Virtual Machines").With("unit", "Hours")})
	if err != nil {
		log.Fatal(err)
	}
	tokens, err := httpadapter.StaticTokens(map[string]httpadapter.Principal{
		"secret": {Subject: "partner", Tenants: []string{"acme", "globex"}, Permissions: []string{"partner:analytics:view"}}})
	if err != nil {
		log.Fatal(err)
	}

	// Mounting takes three lines.
	mux := http.NewServeMux()
	adapter, err := httpadapter.New(book, &httpadapter.Options{Authenticate: tokens}, partnercenter.New(nil))
	if err != nil {
		log.Fatal(err)
	}
	adapter.Mount(mux)

	r := httptest.NewRequest("GET", "/partner/v1/analytics/azureusage?groupby=customerTenantId,meterCategory", nil)
	r.Header.Set("Authorization", "Bearer secret")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output: 200 {"Value":[{"customerTenantId":"acme","meterCategory":"Virtual Machines","quantity":1.5}],"@nextLink":null,"TotalCount":1}
}
