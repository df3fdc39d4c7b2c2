package uts_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/uts"
	"github.com/usagebook/usagebook/rules"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

func ExampleNew() {
	book, err := usage.New(memstore.New(nil), &usage.Options{Meters: httpadapter.Meters(),
		KPIs: []rules.KPI{{Provider: "demo", Application: "assetmonitor", Name: "asset-count", Daily: rules.Max}},
		Now:  func() time.Time { return time.Date(2026, 1, 20, 12, 0, 0, 0, time.UTC) }})
	if err != nil {
		log.Fatal(err)
	}
	tokens, err := httpadapter.StaticTokens(map[string]httpadapter.Principal{
		"secret": {Subject: "operator", Home: "demo", Tenants: []string{"acme"}, Permissions: []string{"uts:usages:read", "uts:usages:write"}}})
	if err != nil {
		log.Fatal(err)
	}

	// Mounting takes three lines.
	mux := http.NewServeMux()
	adapter, err := httpadapter.New(book, &httpadapter.Options{Authenticate: tokens}, uts.New(nil))
	if err != nil {
		log.Fatal(err)
	}
	adapter.Mount(mux)

	ask := func(method, path, body string) {
		r := httptest.NewRequest(method, "/api/usagetransparency/v3"+path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer secret")
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
	}
	ask("POST", "/usages", `{"CustomerTenantID":"acme","CustomerUserID":"u1","UTSUsageData":[
		{"resourceAlias":"assetmonitor","UsageData":[{"usage":12,"usageUnit":"asset","usageDate":"2026-01-05T08:00:00Z"}]}]}`)
	// Book.Run does this in a service, as jobs come in.
	if _, err := book.Work(context.Background()); err != nil {
		log.Fatal(err)
	}
	ask("GET", "/aggregatedMonthlyProviderUsage?month=january&year=2026&application=assetmonitor&KPIName=asset-count", "")
	// Output:
	// 200 ""
	// 200 {"provider":"demo","application":"assetmonitor","applicationDisplayName":"assetmonitor","KPIName":"asset-count","KPIDisplayName":"asset-count","aggregationUntilDate":"2026-01-20","year":"2026","month":"january","aggregatedUsages":[{"consumer":"acme","value":12}],"aggragationFunction":{"aggregationFunctionDaily":"MAX","aggregationFunctionMonthly":"SUM","preFill":"ZERO"},"page":{"number":0,"size":20,"totalElements":1,"totalPages":1}}
}
