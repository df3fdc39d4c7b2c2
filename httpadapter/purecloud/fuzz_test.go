package purecloud_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/purecloud"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// check holds an answer to what every answer is, and reads the results of what
// was started.
func check(t *testing.T, h http.Handler, b *usage.Book, w *httptest.ResponseRecorder) {
	require.Less(t, w.Code, 500, w.Body)
	require.True(t, json.Valid(w.Body.Bytes()), w.Body)
	require.NotContains(t, w.Body.String(), "1000100")
	var x struct {
		ExecutionID, ResultsURI string
		Code                    string
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &x))
	if w.Code >= 400 {
		require.NotEmpty(t, x.Code)
		return
	}
	if x.ExecutionID == "" {
		return
	}
	work(t, b)
	w = ask(h, x.ResultsURI, "demo-acme", "")
	require.Equal(t, 200, w.Code, w.Body)
	var page struct {
		Results     []map[string]any
		QueryStatus string
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &page))
	require.Equal(t, "Complete", page.QueryStatus)
	for _, row := range page.Results {
		for _, v := range row {
			text, _ := v.(string)
			require.NotContains(t, text, "globex")
			require.NotEqual(t, 1_000_100.0, v)
			require.NotEqual(t, 1_001_000.0, v)
		}
	}
}

func fuzzed(f *testing.F) (http.Handler, *usage.Book) {
	b, _ := usagetest.NewBook(f, &usage.Options{Meters: httpadapter.Meters()})
	bookSecrets(f, b)
	return newHandler(f, b, &purecloud.Options{NoWait: true}, nil, httpadapter.Unlimited{}), b
}

func FuzzBody(f *testing.F) {
	h, b := fuzzed(f)
	for _, s := range []string{
		`{"interval":"2026-11-01T00:00:00.000Z/2026-11-08T00:00:00.000Z","granularity":"Day","groupBy":["OAuthClientId","UserId"],"metrics":["Status200","Requests"]}`,
		`{"interval":"0001-01-01/9998-12-31","httpMethods":["GET"],"metrics":["Date","ClientName"],"oauthClientNames":["of globex","of acme"],"templateUris":["/acme","' or true"]}`,
		`{"interval":"2026-01-01T00:00:00,5+01:00/2026-01-02","granularity":"Week"}`,
		`{"interval":null,"metrics":[],"groupBy":[null]}`, `{"a":1,"a":{}}`, `[]`, `{`, `{"interval":"/"}`, "{\"templateUris\":[\"\\u0000\\ud800\"],\"interval\":\"2026-01-01/2027-01-01\"}",
	} {
		f.Add(s, byte(len(s)))
	}
	f.Fuzz(func(t *testing.T, body string, route byte) {
		target := []string{"/api/v2/usage/query", "/api/v2/usage/simplesearch", "/api/v2/oauth/clients/client-1/usage/query"}[route%3]
		r := httptest.NewRequest("POST", target, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer demo-acme")
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		check(t, h, b, w)
	})
}

func FuzzQuery(f *testing.F) {
	h, b := fuzzed(f)
	target := execute(f, h, "/api/v2/usage/simplesearch", "demo-acme", `{`+always+`}`, 202)
	work(f, b)
	foreign := execute(f, h, "/api/v2/usage/simplesearch", "demo-globex", `{`+always+`}`, 202)
	work(f, b)
	f.Add("days=7", "client-1", byte(0))
	f.Add("days=", "client-9' or true", byte(0))
	f.Add("pageSize=1&after=", "", byte(1))
	f.Add("pageSize=-1&after=AQR0ZXN0", "x", byte(1))
	f.Add("pageSize=1", "", byte(2))
	f.Fuzz(func(t *testing.T, query, client string, route byte) {
		r := httptest.NewRequest("GET", []string{"/api/v2/oauth/clients/x/usage/summary", target, foreign}[route%3], nil)
		r.URL.RawQuery = query
		if route%3 == 0 {
			r.URL.Path, r.URL.RawPath = "/api/v2/oauth/clients/"+client+"/usage/summary", ""
		}
		r.Header.Set("Authorization", "Bearer demo-acme")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if route%3 == 2 {
			require.Contains(t, []int{400, 404}, w.Code)
		}
		check(t, h, b, w)
	})
}
