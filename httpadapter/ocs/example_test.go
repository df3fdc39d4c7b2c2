package ocs_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/shopspring/decimal"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/ocs"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

func ExampleNew() {
	book, err := usage.New(memstore.New(nil), &usage.Options{Meters: httpadapter.Meters()})
	if err != nil {
		log.Fatal(err)
	}
	_, err = book.Append(context.Background(), usage.Record{Tenant: "acme", Source: "sds", ID: "1", Meter: httpadapter.StreamEvents,
		Start:      time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC),
		Values:     usage.Values{}.With("ingressEvents", decimal.NewFromInt(150)),
		Dimensions: usage.Dimensions{}.With("namespaceId", "plant").With("streamId", "s1")})
	if err != nil {
		log.Fatal(err)
	}
	tokens, err := httpadapter.StaticTokens(map[string]httpadapter.Principal{
		"secret": {Subject: "portal", Tenants: []string{"acme"}, Roles: []string{"Account Member"}}})
	if err != nil {
		log.Fatal(err)
	}

	// Mounting takes three lines.
	mux := http.NewServeMux()
	adapter, err := httpadapter.New(book, &httpadapter.Options{Authenticate: tokens}, ocs.New(nil))
	if err != nil {
		log.Fatal(err)
	}
	adapter.Mount(mux)

	r := httptest.NewRequest("GET", "/api/v1/tenants/acme/usage?start=2026-03-01", nil)
	r.Header.Set("Authorization", "Bearer secret")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output: 200 [{"Date":"2026-03-01T00:00:00Z","TenantId":"acme","NamespaceId":null,"ClusterRegion":0,"IngressEvents":150,"IngressStreamsAccessed":1,"EgressEvents":0,"EgressStreamsAccessed":0}]
}
