package purecloud_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/purecloud"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// ask sends a request; one with a body is a POST.
func ask(h http.Handler, target, token, body string) *httptest.ResponseRecorder {
	method := "GET"
	if body != "" {
		method = "POST"
	}
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// execute starts a query and returns where its results are.
func execute(t testing.TB, h http.Handler, target, token, body string, status int) string {
	t.Helper()
	w := ask(h, target, token, body)
	require.Equal(t, status, w.Code, "%s %s: %s", target, body, w.Body)
	var x struct{ ExecutionID, ResultsURI string }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &x))
	require.Contains(t, x.ResultsURI, x.ExecutionID)
	return x.ResultsURI
}

// registry has two clients of one name, an id that two tenants have, and a
// client without a name.
func registry() *httpadapter.Catalogue {
	return &httpadapter.Catalogue{Clients: []httpadapter.Client{
		{ID: "client-1", Tenant: "acme", Name: "Acme Mobile"}, {ID: "client-2", Tenant: "acme", Name: "Nightly Export"}, {ID: "client-3", Tenant: "acme", Name: "Nightly Export"},
		{ID: "client-1", Tenant: "globex", Name: "Nightly Export"}, {ID: "client-9", Tenant: "globex"},
	}}
}

var (
	naiveFields  = []string{"clientId", "clientName", "organizationId", "userId", "templateUri", "httpMethod"}
	naiveFigures = []string{"status200", "status300", "status400", "status500", "status429", "requests"}
)

// fieldOf is what a record says of a field, as the contract's table has it.
func fieldOf(r *usage.Record, name string) (string, bool) {
	switch name {
	case "organizationId":
		return r.Tenant, true
	case "clientName":
		id, ok := r.Dimensions.Get("clientId")
		for _, k := range registry().Clients {
			if ok && k.ID == id && k.Tenant == r.Tenant && k.Name != "" {
				return k.Name, true
			}
		}
		if name, named := r.Dimensions.Get("clientName"); name != "" || named && !ok {
			return name, true
		}
		return id, ok
	}
	return r.Dimensions.Get(name)
}

// nameKnown is 2 for a client with a registered name, 1 for one that its record
// names, and 0 for one that has an id alone.
func nameKnown(r *usage.Record) int {
	id, ok := r.Dimensions.Get("clientId")
	for _, k := range registry().Clients {
		if ok && k.ID == id && k.Tenant == r.Tenant && k.Name != "" {
			return 2
		}
	}
	if name, named := r.Dimensions.Get("clientName"); name != "" || named && !ok {
		return 1
	}
	return 0
}

// naiveQuery is a query of any kind.
type naiveQuery struct {
	route    string
	from, to time.Time
	date     string // "", start, Day, Week, Month
	fields   []string
	figures  []string
	client   string
	lists    map[string][]string
	body     map[string]any
}

// naive adds the records up and writes the rows down.
func naive(records []usage.Record, tenants []string, q *naiveQuery) []string {
	type line struct {
		date  time.Time
		texts [6]*string
		known int // how well the client's name is known
		sums  map[string]decimal.Decimal
	}
	lines := map[string]*line{}
next:
	for i := range records {
		r := &records[i]
		if r.Meter != "api-requests" || !slices.Contains(tenants, r.Tenant) || r.Start.Before(q.from) || !r.Start.Before(q.to) {
			continue
		}
		if id, _ := r.Dimensions.Get("clientId"); q.client != "" && id != q.client {
			continue
		}
		for name, items := range q.lists {
			if v, ok := fieldOf(r, name); !ok || !slices.Contains(items, v) {
				continue next
			}
		}
		l := &line{date: q.from, sums: map[string]decimal.Decimal{}}
		day := time.Date(r.Start.Year(), r.Start.Month(), r.Start.Day(), 0, 0, 0, 0, time.UTC)
		switch q.date {
		case "Day":
			l.date = day
		case "Week":
			for l.date = day; l.date.Weekday() != time.Monday; {
				l.date = l.date.AddDate(0, 0, -1)
			}
		case "Month":
			l.date = time.Date(day.Year(), day.Month(), 1, 0, 0, 0, 0, time.UTC)
		}
		key := l.date.String()
		byID := slices.Contains(q.fields, "clientId") // a client is one row, whatever its names
		for f, name := range naiveFields {
			if v, ok := fieldOf(r, name); ok && slices.Contains(q.fields, name) {
				l.texts[f] = &v
				if name != "clientName" || !byID {
					key += fmt.Sprintf("|%d=%q", f, v)
				}
			}
		}
		l.known = nameKnown(r)
		read := false
		for _, name := range naiveFigures {
			v, ok := r.Values.Get(name)
			read = read || ok
			l.sums[name] = v
		}
		if !read {
			continue
		}
		if known := lines[key]; known == nil {
			lines[key] = l
		} else {
			for name, v := range l.sums {
				known.sums[name] = known.sums[name].Add(v)
			}
			if a, b := known.texts[1], l.texts[1]; byID && b != nil && (a == nil || l.known > known.known || l.known == known.known && *b < *a) {
				known.texts[1], known.known = b, l.known
			}
		}
	}
	var list []*line
	for _, l := range lines {
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b *line) int {
		d := a.date.Compare(b.date)
		for f := range naiveFields {
			x, y := a.texts[f], b.texts[f]
			switch {
			case d != 0, f == 1 && slices.Contains(q.fields, "clientId"):
			case x == nil && y == nil:
			case x == nil:
				d = -1
			case y == nil:
				d = 1
			default:
				d = strings.Compare(*x, *y)
			}
		}
		return d
	})
	var out []string
	for _, l := range list {
		var parts []string
		for f, name := range naiveFields {
			if l.texts[f] != nil {
				text, _ := json.Marshal(*l.texts[f])
				parts = append(parts, fmt.Sprintf("%q:%s", name, text))
			}
		}
		for _, name := range naiveFigures {
			if slices.Contains(q.figures, name) {
				parts = append(parts, fmt.Sprintf("%q:%s", name, l.sums[name]))
			}
		}
		if q.date != "" {
			parts = append(parts, fmt.Sprintf(`"date":%q`, l.date.Format("2006-01-02T15:04:05Z")))
		}
		out = append(out, "{"+strings.Join(parts, ",")+"}")
	}
	return out
}

// randomQuery makes a query that is allowed, and what it means.
func randomQuery(rnd *rand.Rand, clients []string) *naiveQuery {
	from := time.Date(2026, 4, 20, 0, 0, 0, 0, time.UTC).Add(time.Duration(rnd.IntN(20*24)) * time.Hour)
	q := &naiveQuery{from: from, to: from.Add(time.Duration(1+rnd.IntN(25*24)) * time.Hour), date: "start", figures: naiveFigures}
	layout := []string{"2006-01-02T15:04:05", "2006-01-02T15:04:05Z", "2006-01-02T15:04:05.000Z", "2006-01-02T15:04"}[rnd.IntN(4)]
	q.body = map[string]any{"interval": q.from.Format(layout) + "/" + q.to.Format(layout)}
	some := func(list ...string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(string) bool { return rnd.IntN(2) == 0 })
	}
	shuffled := func(list []string) []string {
		rnd.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		return list
	}
	lower := func(s string) string { return strings.ToLower(s[:1]) + s[1:] }
	kind := rnd.IntN(3)
	if kind < 2 {
		if unit := rnd.IntN(4); unit > 0 {
			q.date = []string{"", "Day", "Week", "Month"}[unit]
			q.body["granularity"] = q.date
		}
		groups := some("OAuthClientId", "OrganizationId", "UserId", "TemplateUri", "HttpMethod")
		q.route = "/api/v2/usage/query"
		if kind == 1 {
			q.client = clients[rnd.IntN(len(clients))]
			q.route = "/api/v2/oauth/clients/" + q.client + "/usage/query"
			q.fields = []string{"clientId", "clientName"}
			groups = slices.DeleteFunc(groups, func(s string) bool { return s == "UserId" })
		}
		for _, g := range groups {
			if g == "OAuthClientId" {
				q.fields = append(q.fields, "clientId", "clientName")
			} else {
				q.fields = append(q.fields, lower(g))
			}
		}
		q.body["groupBy"] = shuffled(groups)
		if figures := some("Status200", "Status300", "Status400", "Status500", "Status429", "Requests"); len(figures) > 0 {
			q.figures = nil
			for _, f := range figures {
				q.figures = append(q.figures, lower(f))
			}
			q.body["metrics"] = shuffled(figures)
		}
		return q
	}
	q.route, q.date, q.fields, q.figures = "/api/v2/usage/simplesearch", "Day", []string{"clientName", "templateUri", "httpMethod"}, naiveFigures[:5]
	if selected := some("Date", "ClientName", "HttpMethod", "TemplateUri", "Status200", "Status300", "Status400", "Status500", "Status429"); len(selected) > 0 {
		q.date, q.fields, q.figures = "", nil, nil
		for _, s := range selected {
			switch {
			case s == "Date":
				q.date = "Day"
			case strings.HasPrefix(s, "Status"):
				q.figures = append(q.figures, lower(s))
			default:
				q.fields = append(q.fields, lower(s))
			}
		}
		q.body["metrics"] = shuffled(selected)
	}
	q.lists = map[string][]string{}
	for _, l := range []struct {
		property, field string
		items           []string
	}{
		{"oauthClientNames", "clientName", []string{"Acme Mobile", "Nightly Export", "Field Tool", "client-9", "client-x", "Nobody", ""}},
		{"httpMethods", "httpMethod", []string{"GET", "POST", "PUT"}},
		{"templateUris", "templateUri", []string{"/a", "/it's", "/b/{id}", "", "/\u0000"}},
	} {
		if rnd.IntN(3) != 0 {
			continue
		}
		items := append(some(l.items...), some(l.items...)...)
		if l.property == "templateUris" && rnd.IntN(2) == 0 {
			items = append(items, strings.Repeat("'", 3000)) // too long for a filter
		}
		q.body[l.property] = items
		if len(items) > 0 {
			q.lists[l.field] = items
		}
	}
	return q
}

func TestAnswersAreThoseOfTheRecords(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, 3))
			b, clock := usagetest.NewBook(t, &usage.Options{Meters: httpadapter.Meters()})
			clock.Set(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC))
			h := newHandler(t, b, &purecloud.Options{NoWait: true}, registry(), httpadapter.Unlimited{})
			number := 0
			random := func() usage.Record {
				number++
				r := usage.Record{Tenant: []string{"acme", "globex", "initech"}[rnd.IntN(3)], Source: "s", ID: fmt.Sprint(number), Meter: []string{"api-requests", "other"}[min(1, rnd.IntN(9)/8)],
					Start: time.Date(2026, 4, 20, 0, 0, 0, 0, time.UTC).Add(time.Duration(rnd.IntN(40*24)) * time.Hour)}
				if rnd.IntN(3) == 0 {
					r.Start = r.Start.Add(-time.Microsecond)
				}
				r.Values = r.Values.With("bytesOut", decimal.NewFromInt(1))
				for _, name := range naiveFigures {
					if rnd.IntN(4) == 0 {
						r.Values = r.Values.With(name, decimal.NewFromInt(rnd.Int64N(100)-10))
					}
				}
				for name, values := range map[string][]string{"clientId": {"client-1", "client-2", "client-3", "client-9", "client-x"}, "clientName": {"Field Tool", "Nightly Export", ""},
					"userId": {"u1", "u2", "ü\"3"}, "templateUri": {"/a", "/it's", "/b/{id}", ""}, "httpMethod": {"GET", "POST"}} {
					if rnd.IntN(3) > 0 {
						r.Dimensions = r.Dimensions.With(name, values[rnd.IntN(len(values))])
					}
				}
				return r
			}
			var all []usage.Record
			append1 := func() {
				r := random()
				usagetest.Append(t, b, r)
				all = append(all, r)
			}
			correct := func() {
				i := rnd.IntN(len(all))
				if rnd.IntN(2) == 0 {
					number++
					_, err := b.Void(t.Context(), all[i].Identity(), "void", fmt.Sprint(number))
					require.NoError(t, err)
					all = slices.Delete(all, i, i+1)
					return
				}
				with := random()
				with.Tenant = all[i].Tenant
				_, err := b.Replace(t.Context(), all[i].Identity(), with)
				require.NoError(t, err)
				all[i] = with
			}
			for range 250 {
				append1()
			}
			callers := map[string][]string{"demo-acme": {"acme"}, "demo-globex": {"globex"}, "demo-both": {"acme", "globex"}, "demo-admin": {"acme", "globex", "initech"}}
			clients := map[string][]string{"demo-acme": {"client-1", "client-2", "client-3"}, "demo-globex": {"client-1", "client-9"}, "demo-both": {"client-1", "client-2", "client-3", "client-9"}}
			clients["demo-admin"] = clients["demo-both"]
			shown := 0
			for n := range 60 {
				if seed%2 == 0 && n%10 == 0 {
					_, err := b.Roll(t.Context())
					require.NoError(t, err)
				}
				token := []string{"demo-acme", "demo-globex", "demo-both", "demo-admin"}[rnd.IntN(4)]
				q := randomQuery(rnd, clients[token])
				body, err := json.Marshal(q.body)
				require.NoError(t, err)
				want := naive(all, callers[token], q)
				shown += len(want)
				target := execute(t, h, q.route, token, string(body), 202)
				// What happens from now on is not part of the answer.
				append1()
				correct()
				work(t, b)
				append1()
				w := ask(h, target, token, "")
				require.Equal(t, 200, w.Code, w.Body)
				require.Equal(t, `{"results":[`+strings.Join(want, ",")+`],"queryStatus":"Complete"}`, w.Body.String(), "%s %s %s", token, q.route, body)
				if q.route != "/api/v2/usage/simplesearch" || len(want) == 0 {
					continue
				}
				var got []string
				size := 1 + rnd.IntN(len(want)+1)
				for after, pages := "", 0; pages == 0 || after != ""; pages++ {
					correct()
					w := ask(h, fmt.Sprintf("%s?pageSize=%d&after=%s", target, size, url.QueryEscape(after)), token, "")
					require.Equal(t, 200, w.Code, w.Body)
					var page struct {
						Results []json.RawMessage
						Cursors *struct{ Before, After string }
					}
					require.NoError(t, json.Unmarshal(w.Body.Bytes(), &page))
					require.NotEmpty(t, page.Results)
					require.Equal(t, pages == 0, page.Cursors.Before == "")
					for _, r := range page.Results {
						got = append(got, string(r))
					}
					if after = page.Cursors.After; after != "" {
						require.Len(t, page.Results, size)
					}
				}
				require.Equal(t, want, got)
			}
			require.Greater(t, shown, 300, "the queries must find something")
		})
	}
}
