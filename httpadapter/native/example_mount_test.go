package native_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/native"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

func ExampleNew() {
	book, err := usage.New(memstore.New(nil), nil)
	if err != nil {
		log.Fatal(err)
	}
	tokens, err := httpadapter.StaticTokens(map[string]httpadapter.Principal{
		"secret": {Subject: "gateway", Tenants: []string{"acme"}, Permissions: []string{native.ReadPermission, native.WritePermission}}})
	if err != nil {
		log.Fatal(err)
	}

	// Mounting takes three lines.
	mux := http.NewServeMux()
	adapter, err := httpadapter.New(book, &httpadapter.Options{Authenticate: tokens}, native.New(nil))
	if err != nil {
		log.Fatal(err)
	}
	adapter.Mount(mux)

	ask := func(method, target, body string) {
		r := httptest.NewRequest(method, target, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer secret")
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
	}
	ask("POST", "/v1/records", `[{"id":"1","source":"gw","tenant":"acme","meter":"calls","start":"2026-03-01T10:00:00Z","quantity":"1.5"}]`)
	ask("GET", "/v1/usage?tenant=acme&measures=sum(quantity)", "")
	// Output:
	// 200 {"inserted":1,"duplicates":0,"conflicts":0,"rejected":0,"outcomes":[{"index":0,"outcome":"inserted"}]}
	// 200 {"columns":["start","end","quantity"],"rows":[{"start":null,"end":null,"quantity":"1.5"}],"asOf":1}
}
