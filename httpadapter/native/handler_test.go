package native_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/native"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
	"github.com/usagebook/usagebook/usage/usagetest"
)

func call(h http.Handler, method, target, token, contentType, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestPagesOfOneMoment reads page by page while records keep being booked: all
// pages together are the one answer of the first.
func TestPagesOfOneMoment(t *testing.T) {
	t.Parallel()
	b, _ := newBook(t)
	h := newHandler(t, b, nil, httpadapter.Unlimited{})
	n := 0
	more := func(count int) {
		for range count {
			n++
			usagetest.Append(t, b, usagetest.Record("acme", "requests").ID(fmt.Sprint(n)).At(usagetest.Epoch()).Dim("region", fmt.Sprint("r", n%23)).Quantity("1.5").Build())
		}
	}
	more(100)
	for _, query := range []string{"$groupby=region", "$groupby=region&$orderby=quantity desc,region desc", "", "$orderby=id desc", "$apply=groupby((region),aggregate(quantity with sum as quantity))", "$top=17"} {
		base := "/v1/usage?tenant=acme&measures=" + url.QueryEscape("sum(quantity)")
		if strings.Contains(query, "apply") || !strings.Contains(query, "groupby") {
			base = "/v1/usage?tenant=acme"
		}
		query = strings.ReplaceAll(query, " ", "%20")
		read := func(target string) (rows []json.RawMessage, next string) {
			w := call(h, "GET", target, "demo-acme", "", "")
			require.Equal(t, 200, w.Code, w.Body)
			var page struct {
				Rows     []json.RawMessage
				NextLink string
			}
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &page))
			return page.Rows, page.NextLink
		}
		want, next := read(base + "&" + query)
		require.Empty(t, next)
		var got []json.RawMessage
		for target := base + "&pageSize=7&" + query; target != ""; {
			var rows []json.RawMessage
			if rows, next = read(target); next != "" {
				u, err := url.Parse(next)
				require.NoError(t, err)
				next = u.RequestURI()
				// Another caller has no use for the link.
				require.Equal(t, 400, call(h, "GET", strings.Replace(next, "tenant=acme", "tenant=globex", 1), "demo-globex", "", "").Code)
			}
			got, target = append(got, rows...), next
			more(3)
		}
		require.Equal(t, want, got, query)
	}
}

func FuzzUsage(f *testing.F) {
	b, _ := newBook(f)
	for i, tenant := range []string{"acme", "globex"} {
		_, err := b.Append(f.Context(), usage.Record{Tenant: tenant, Source: "s", ID: "1", Meter: "requests", Start: usagetest.Epoch(),
			Values: usage.Quantity(decimal.NewFromInt(int64(770001 + i))), Dimensions: usage.Dimensions{}.With("region", "of-"+tenant)})
		require.NoError(f, err)
	}
	h := newHandler(f, b, nil, httpadapter.Unlimited{})
	f.Add("tenant=acme&from=2026-01-01&window=day&tz=Europe/Zurich&measures=sum(quantity)&$filter=region eq 'x' or true&$groupby=region&$orderby=region&$top=3&$count=true&pageSize=2")
	f.Add("tenant=*&$apply=filter(true)/groupby((tenant),aggregate($count as n))&asOf=1&$skiptoken=x")
	f.Add("tenant=globex&tenant=acme&row={\"region\":null}&source=s&id=1&zeroFill=true&on=recorded")
	f.Fuzz(func(t *testing.T, query string) {
		for _, path := range []string{"/v1/usage", "/v1/explain", "/v1/jobs", "/v1/jobs/x/errors"} {
			r := httptest.NewRequest("GET", path, nil)
			r.URL.RawQuery = query
			r.Header.Set("Authorization", "Bearer demo-acme")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Less(t, w.Code, 500, "%s: %s", query, w.Body)
			require.True(t, json.Valid(w.Body.Bytes()), w.Body)
			if w.Code == 200 {
				require.NotContains(t, w.Body.String(), "of-globex")
				require.NotContains(t, w.Body.String(), "770002")
			}
		}
	})
}

func FuzzRecords(f *testing.F) {
	b, _ := newBook(f)
	h := newHandler(f, b, nil, httpadapter.Unlimited{})
	for i, t := range native.Accepted() {
		f.Add(i, `[{"id":"1","source":"gw","tenant":"acme","meter":"calls","start":"2026-03-01T10:00:00Z","quantity":"1.5"}]`)
		f.Add(i, `{"specversion":"1.0","id":"1","source":"s","type":"`+t+`","tenant":"globex","data":{"quantity":1}}`)
	}
	f.Add(4, "id,tenant,quantity\n1,acme,\"1\n")
	f.Fuzz(func(t *testing.T, kind int, body string) {
		types := native.Accepted()
		for _, path := range []string{"/v1/records", "/v1/jobs"} {
			w := call(h, "POST", path, "demo-acme", types[uint(kind)%uint(len(types))], body)
			require.Less(t, w.Code, 500, w.Body)
			require.True(t, json.Valid(w.Body.Bytes()), w.Body)
			if w.Code != 200 || path != "/v1/records" {
				continue
			}
			var answer struct {
				Inserted, Duplicates, Conflicts, Rejected int
				Outcomes                                  []json.RawMessage
			}
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
			require.Len(t, answer.Outcomes, answer.Inserted+answer.Duplicates+answer.Conflicts+answer.Rejected, "an outcome for each")
		}
		page, err := b.Query(t.Context(), usage.AllTenants(), usage.Query{Filter: "tenant ne 'acme'"})
		require.NoError(t, err)
		require.Empty(t, page.Rows, "nothing is booked for another tenant")
	})
}

// recordOf is a record as encoding/json decodes it.
type recordOf struct {
	ID, Source, Tenant, Meter, Start, End string
	Values                                map[string]json.Number
	Dimensions                            map[string]string
}

func batch(n int) []byte {
	var b bytes.Buffer
	b.WriteByte('[')
	for i := range 200 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":"%08x-0000-4000-8000-%012x","source":"gateway-1","tenant":"tenant-%02d","meter":"requests","start":"2026-03-%02dT10:00:%02dZ","values":{"quantity":"%d.%06d"},"dimensions":{"namespace":"ns-%02d","region":"eu-west-%d","resource":"/resources/%d"}}`,
			n, i, i%50, 1+i%28, i%60, i, i*7, i%20, i%3, i%200)
	}
	b.WriteByte(']')
	return b.Bytes()
}

// BenchmarkRecords compares the whole of POST /v1/records, booked in memory, with
// a handler that only reads the same body and decodes it by encoding/json. Both
// are called without a network; examples/bench compares them over loopback.
func BenchmarkRecords(b *testing.B) {
	run := func(b *testing.B, h http.Handler) {
		b.ReportAllocs()
		n := 0
		bodies := make([][]byte, 64)
		for b.Loop() {
			b.StopTimer()
			if n%len(bodies) == 0 {
				for i := range bodies {
					bodies[i] = batch(n + i)
				}
			}
			r := httptest.NewRequest("POST", "/v1/records", bytes.NewReader(bodies[n%len(bodies)]))
			r.Header.Set("Authorization", "Bearer demo-admin")
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			n++
			b.StartTimer()
			h.ServeHTTP(w, r)
			if w.Code != 200 {
				b.Fatal(w.Body)
			}
		}
		b.ReportMetric(float64(200*b.N)/b.Elapsed().Seconds(), "records/s")
	}
	b.Run("book", func(b *testing.B) {
		book, _ := newBook(b)
		run(b, newHandler(b, book, nil, httpadapter.Unlimited{}))
	})
	b.Run("decode-only", func(b *testing.B) {
		run(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			var list []recordOf
			if err == nil {
				err = json.Unmarshal(body, &list)
			}
			if err != nil || len(list) != 200 {
				w.WriteHeader(500)
			}
		}))
	})
}

// A book without room answers as one that is not there, and says what became of
// the request.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	b, err := usage.New(memstore.New(&memstore.Options{MaxBytes: 1}), nil)
	require.NoError(t, err)
	h := newHandler(t, b, nil, httpadapter.Unlimited{})
	w := call(h, "POST", "/v1/records", "demo-acme", "application/json", `[{"id":"1","source":"s","tenant":"acme","meter":"m","start":"2026-03-01T00:00:00Z","quantity":"1"}]`)
	require.Equal(t, 503, w.Code)
	require.NotEmpty(t, w.Header().Get("Retry-After"))
	require.Contains(t, w.Body.String(), "the book has no room for more at the moment; nothing of the request was booked")
}
