package ocs_test

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
	"github.com/usagebook/usagebook/httpadapter/ocs"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// line is a row as a client reads it.
type line struct {
	Date, TenantID                        string
	NamespaceID                           *string `json:"NamespaceId"`
	ClusterRegion                         int
	IngressEvents, IngressStreamsAccessed int64
	EgressEvents, EgressStreamsAccessed   int64
}

func get(h http.Handler, target, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", target, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// naive counts a row from the records themselves.
func naive(records []usage.Record, tenant string, namespace *string, grouped bool, from, to time.Time, cycle bool) (l line) {
	figures := []string{"ingressEvents", "egressEvents"}
	streams := [2]map[string]bool{{}, {}}
	unnamed := [2]map[int64]int64{{}, {}}
	events := [2]int64{}
	for _, r := range records {
		n, has := r.Dimensions.Get("namespaceId")
		if r.Tenant != tenant || r.Meter != "stream-events" || r.Start.Before(from) || !r.Start.Before(to) {
			continue
		}
		if grouped && (namespace == nil && has || namespace != nil && (!has || n != *namespace)) {
			continue
		}
		for d, f := range figures {
			if v, ok := r.Values.Get(f); ok {
				events[d] += v.IntPart()
				if id, named := r.Dimensions.Get("streamId"); named && v.IsPositive() {
					streams[d][fmt.Sprintf("%v %q %q", has, n, id)] = true
				}
			}
			if _, named := r.Dimensions.Get("streamId"); !named {
				if v, ok := r.Values.Get(strings.TrimSuffix(f, "Events") + "StreamsAccessed"); ok {
					day := int64(0)
					if cycle {
						day = r.Start.Unix() / 86400
					}
					unnamed[d][day] += v.IntPart()
				}
			}
		}
	}
	accessed := func(d int) int64 {
		most := int64(0)
		for _, n := range unnamed[d] {
			most = max(most, n)
		}
		return most + int64(len(streams[d]))
	}
	return line{IngressEvents: events[0], IngressStreamsAccessed: accessed(0), EgressEvents: events[1], EgressStreamsAccessed: accessed(1)}
}

func TestAnswersAreThoseOfTheRecords(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, 1))
			b, clock := usagetest.NewBook(t, &usage.Options{Meters: httpadapter.Meters()})
			now := time.Date(2026, 5, 10, 0, 0, 0, 0, time.UTC)
			clock.Set(now)
			api := &ocs.Options{}
			if seed%3 == 0 { // the fields have a second, older name
				api.Fields = httpadapter.Fields{"namespaceId": {"namespaceId", "ns"}, "streamId": {"streamId", "stream"}}
			}
			h := newHandler(t, b, api, httpadapter.Options{})
			var all []usage.Record
			for i := range 300 {
				r := usage.Record{Tenant: []string{"t1", "t2"}[rnd.IntN(2)], Source: "s", ID: fmt.Sprint(i), Meter: []string{"stream-events", "other"}[min(1, rnd.IntN(9)/8)],
					Start: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rnd.Int64N(int64(90 * 24 * time.Hour)))).Truncate(time.Hour)}
				plain := r // as the naive count wants it
				for _, v := range []string{"ingressEvents", "egressEvents", "ingressStreamsAccessed", "egressStreamsAccessed"} {
					if rnd.IntN(2) == 0 || v == "ingressEvents" {
						r.Values = r.Values.With(v, decimal.NewFromInt(rnd.Int64N(4)))
					}
				}
				plain.Values = r.Values
				dim := func(name, old, value string) {
					plain.Dimensions = plain.Dimensions.With(name, value)
					if seed%3 == 0 && rnd.IntN(2) == 0 {
						name = old
					}
					r.Dimensions = r.Dimensions.With(name, value)
				}
				if rnd.IntN(5) > 0 {
					dim("namespaceId", "ns", []string{"a", "b", ""}[rnd.IntN(3)])
				}
				if rnd.IntN(4) > 0 {
					dim("streamId", "stream", fmt.Sprint("s", rnd.IntN(3)))
				}
				usagetest.Append(t, b, r)
				all = append(all, plain)
			}
			// Voided records are gone.
			for i := range 20 {
				_, err := b.Void(t.Context(), all[i].Identity(), "void", fmt.Sprint(i))
				require.NoError(t, err)
			}
			all = all[20:]
			if seed%2 == 0 {
				_, err := b.Roll(t.Context())
				require.NoError(t, err)
			}
			check := func(target string, grouped, cycle bool, bounds func(time.Time) (time.Time, time.Time)) {
				w := get(h, target, "demo-admin")
				require.Equal(t, 200, w.Code, w.Body)
				var got []line
				require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
				require.NotEmpty(t, got)
				for _, g := range got {
					from, to := bounds(mustTime(t, g.Date))
					want := naive(all, "t1", g.NamespaceID, grouped, from, to, cycle)
					want.Date, want.TenantID, want.NamespaceID = g.Date, "t1", g.NamespaceID
					require.Equal(t, want, g, target)
				}
				require.True(t, slices.IsSortedFunc(got, func(a, b line) int { return strings.Compare(a.Date, b.Date) }))
			}
			day := func(d time.Time) (time.Time, time.Time) { return d, d.AddDate(0, 0, 1) }
			month := func(d time.Time) (time.Time, time.Time) { return d, d.AddDate(0, 1, 0) }
			check("/api/v1/tenants/t1/usage?start=2026-02-01&end=2026-05-01", false, false, day)
			check("/api/v1/tenants/t1/usage?start=2026-02-01&end=2026-05-01&groupByNamespace=true", true, false, day)
			check("/api/v1/tenants/t1/usage", false, true, month)
			check("/api/v1/tenants/t1/usage?groupByNamespace=true", true, true, month)
			check("/api/v1/tenants/t1/namespaces/a/usage?start=2026-03-01&end=2026-03-31", true, false, day)
			check("/api/v1/tenants/t1/namespaces/b/usage", true, true, month)
		})
	}
}

func mustTime(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	require.NoError(t, err)
	return at
}

func FuzzQuery(f *testing.F) {
	b, _ := usagetest.NewBook(f, &usage.Options{Meters: httpadapter.Meters()})
	for i, tenant := range []string{"acme", "globex"} {
		_, err := b.Append(f.Context(), usage.Record{Tenant: tenant, Source: "s", ID: "1", Meter: "stream-events", Start: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
			Values: usage.Values{}.With("ingressEvents", decimal.NewFromInt(int64(1000+i))), Dimensions: usage.Dimensions{}.With("namespaceId", "of-"+tenant)})
		require.NoError(f, err)
	}
	h := newHandler(f, b, nil, httpadapter.Options{Limiter: httpadapter.Unlimited{}})
	f.Add("start=2026-03-01&end=2026-03-02&groupByNamespace=true", "acme", "of-acme")
	f.Add("START=2026-03-01T00:00:00 07:00", "globex", "of-globex' or true")
	f.Add("end=%31&;&=", "acme/../globex", "")
	f.Fuzz(func(t *testing.T, query, tenant, namespace string) {
		for _, path := range []string{"/api/v1/tenants/" + escape(tenant) + "/usage", "/api/v1/tenants/" + escape(tenant) + "/namespaces/" + escape(namespace) + "/usage",
			"/api/v1/tenants/acme/usage", "/api/v1/tenants/acme/namespaces/" + escape(namespace) + "/usage"} {
			r := httptest.NewRequest("GET", "/", nil)
			r.URL.Path, r.URL.RawPath, r.URL.RawQuery = unescape(path), path, query
			r.Header.Set("Authorization", "Bearer demo-acme")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Less(t, w.Code, 500, "%s?%s: %s", path, query, w.Body)
			require.True(t, json.Valid(w.Body.Bytes()), w.Body)
			require.NotContains(t, w.Body.String(), "1001", "another tenant's figures")
			if w.Code == 200 {
				require.NotContains(t, w.Body.String(), `"of-globex"`)
			}
		}
	})
}

func escape(s string) string { return url.PathEscape(s) }

func unescape(s string) string {
	u, err := url.PathUnescape(s)
	if err != nil {
		return s
	}
	return u
}
