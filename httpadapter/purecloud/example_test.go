package purecloud_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/purecloud"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

func ExampleNew() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	book, err := usage.New(memstore.New(nil), &usage.Options{Meters: httpadapter.Meters()})
	if err != nil {
		log.Fatal(err)
	}
	_, err = book.Append(ctx, usage.Record{Tenant: "acme", Source: "gateway", ID: "1", Meter: httpadapter.APIRequests,
		Start:      time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC),
		Values:     usage.Values{}.With("requests", decimal.NewFromInt(12)).With("status200", decimal.NewFromInt(12)),
		Dimensions: usage.Dimensions{}.With("clientId", "client-1").With("httpMethod", "GET")})
	if err != nil {
		log.Fatal(err)
	}
	tokens, err := httpadapter.StaticTokens(map[string]httpadapter.Principal{
		"secret": {Subject: "ops", Tenants: []string{"acme"}, Permissions: []string{"usage:organization:view"}}})
	if err != nil {
		log.Fatal(err)
	}
	go func() { _ = book.Run(ctx) }() // it answers executions

	// Mounting takes three lines.
	mux := http.NewServeMux()
	adapter, err := httpadapter.New(book, &httpadapter.Options{Authenticate: tokens}, purecloud.New(&purecloud.Options{Wait: 30 * time.Second}))
	if err != nil {
		log.Fatal(err)
	}
	adapter.Mount(mux)

	r := httptest.NewRequest("POST", "/api/v2/usage/query", strings.NewReader(`{"interval":"2026-03-01/2026-03-02","groupBy":["HttpMethod"],"metrics":["Requests"]}`))
	r.Header.Set("Authorization", "Bearer secret")
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	var execution struct{ ResultsURI string }
	if err := json.Unmarshal(w.Body.Bytes(), &execution); err != nil {
		log.Fatal(err)
	}
	fmt.Println(w.Code)

	r = httptest.NewRequest("GET", execution.ResultsURI, nil)
	r.Header.Set("Authorization", "Bearer secret")
	w = httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output:
	// 200
	// 200 {"results":[{"httpMethod":"GET","requests":12,"date":"2026-03-01T00:00:00Z"}],"queryStatus":"Complete"}
}
