package httpadapter_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

// A service books a record for each request, and asks what each client did.
func ExampleMeter() {
	book, err := usage.New(memstore.New(nil), nil)
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") == "0" {
			http.NotFound(w, r)
			return
		}
		_, _ = fmt.Fprint(w, "hello")
	})
	metered, err := httpadapter.Meter(mux, book, &httpadapter.MeterOptions{
		// Where authentication stands before the meter, from the request's context.
		Identify: func(r *http.Request) (httpadapter.Caller, bool) {
			client := r.Header.Get("X-Client")
			return httpadapter.Caller{Tenant: "acme", Client: client}, client != ""
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	running, stop := context.WithCancel(context.Background())
	defer stop()
	go func() { _ = metered.Run(running) }()
	server := httptest.NewServer(metered)

	for _, path := range []string{"/users/7", "/users/8", "/users/0", "/nowhere"} {
		request, _ := http.NewRequest(http.MethodGet, server.URL+path, nil)
		request.Header.Set("X-Client", "client-1")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			log.Fatal(err)
		}
		_ = response.Body.Close()
	}

	server.Close() // first, so that no request is under way
	left, err := metered.Shutdown(context.Background())
	fmt.Println("not booked:", left, err)

	page, err := book.Query(context.Background(), usage.ForTenant("acme"), usage.Query{
		GroupBy: []string{"clientId", "templateUri"}, OrderBy: "templateUri",
		Measures: []usage.Measure{{Of: "requests"}, {Of: "status200"}, {Of: "status400"}}})
	if err != nil {
		log.Fatal(err)
	}
	for _, row := range page.Rows {
		fmt.Printf("%v %q: requests %v, status200 %q, status400 %v\n",
			row.Get("clientId"), row.Get("templateUri"), row.Get("requests"), row.Get("status200"), row.Get("status400"))
	}
	// Output:
	// not booked: 0 <nil>
	// client-1 "": requests 1, status200 "", status400 1
	// client-1 "/users/{id}": requests 3, status200 "2", status400 1
}
