package partnercenter_test

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
	"github.com/usagebook/usagebook/httpadapter/internal/demo"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/usagetest"
)

const route = "/partner/v1/analytics/azureusage"

// rowOf is one row as a client reads it: numbers as their digits.
type rowOf map[string]any

func ask(h http.Handler, target, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", target, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// pages reads an answer page by page; between two pages it calls meanwhile.
func pages(t *testing.T, h http.Handler, query, token string, meanwhile func()) (rows []rowOf) {
	t.Helper()
	total := -1
	for target := route + "?" + query; ; meanwhile() {
		w := ask(h, target, token)
		require.Equal(t, 200, w.Code, "%s: %s", target, w.Body)
		var page struct {
			Value      []rowOf
			NextLink   *string `json:"@nextLink"`
			TotalCount int
		}
		d := json.NewDecoder(w.Body)
		d.UseNumber()
		require.NoError(t, d.Decode(&page))
		if total >= 0 {
			require.Equal(t, total, page.TotalCount, "all pages are of one moment")
		}
		total = page.TotalCount
		rows = append(rows, page.Value...)
		if page.NextLink == nil {
			require.Len(t, rows, total)
			return rows
		}
		u, err := url.Parse(*page.NextLink)
		require.NoError(t, err)
		target = u.RequestURI()
	}
}

// fieldsOf tells a record's thirteen fields as the contract's table has them.
func fieldsOf(r *usage.Record) map[string]string {
	first := func(def string, names ...string) string {
		for _, n := range names {
			if v, ok := r.Dimensions.Get(n); ok {
				return v
			}
		}
		return def
	}
	tenants := map[string]string{"acme": "Acme AG", "globex": "Globex"}
	id := first("", "subscriptionId")
	name := ""
	if strings.EqualFold(id, demo.AcmeSubscription) {
		if id = demo.AcmeSubscription; r.Tenant == "acme" { // whose subscription it is
			name = "Acme production"
		}
	}
	return map[string]string{
		"customerTenantId": first(r.Tenant, "customerTenantId"), "customerName": first(tenants[r.Tenant], "customerName"),
		"subscriptionId": id, "subscriptionName": first(name, "subscriptionName"), "usageDate": r.Start.Format("2006-01-02") + "T00:00:00",
		"resourceLocation": first("", "resourceLocation", "location"), "meterCategory": first("", "meterCategory"), "meterSubcategory": first("None", "meterSubcategory"),
		"meterUnit": first("", "meterUnit", "unit"), "reservationOrderId": first("", "reservationOrderId"), "reservationId": first("", "reservationId"),
		"consumptionMeterId": first("", "consumptionMeterId", "meterId"), "serviceType": first("", "serviceType"),
	}
}

var order = []string{"usageDate", "customerTenantId", "customerName", "subscriptionId", "subscriptionName", "resourceLocation", "meterCategory",
	"meterSubcategory", "meterUnit", "reservationOrderId", "reservationId", "consumptionMeterId", "serviceType"}

// naive adds the records up.
func naive(records []usage.Record, groupby []string, level func(time.Time) time.Time, keep func(map[string]string) bool) []rowOf {
	sums := map[string]decimal.Decimal{}
	rows := map[string]rowOf{}
	for i := range records {
		quantity, ok := records[i].Values.Get("quantity")
		f := fieldsOf(&records[i])
		if !ok || records[i].Meter != "azure-usage" || !keep(f) {
			continue
		}
		f["usageDate"] = level(records[i].Start).Format("2006-01-02") + "T00:00:00"
		row := rowOf{}
		var key []string
		for _, name := range order {
			if slices.Contains(groupby, name) {
				row[name] = f[name]
				key = append(key, f[name])
			}
		}
		k := strings.Join(key, "\x00") // sorts as the fields do: no text of these has a byte below
		rows[k] = row
		sums[k] = sums[k].Add(quantity)
	}
	keys := make([]string, 0, len(rows))
	for k := range rows {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var out []rowOf
	for _, k := range keys {
		rows[k]["quantity"] = json.Number(sums[k].String())
		out = append(out, rows[k])
	}
	return out
}

func TestAnswersAreThoseOfTheRecords(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, 2))
			b, clock := usagetest.NewBook(t, &usage.Options{Meters: httpadapter.Meters()})
			clock.Set(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC))
			h := newHandler(t, b, nil, httpadapter.Unlimited{})
			number := 0
			record := func() usage.Record {
				number++
				r := usage.Record{Tenant: []string{"acme", "globex"}[rnd.IntN(2)], Source: "s", ID: fmt.Sprint(number), Meter: []string{"azure-usage", "other"}[min(1, rnd.IntN(9)/8)],
					Start:  time.Date(2026, 4, 20, 0, 0, 0, 0, time.UTC).Add(time.Duration(rnd.IntN(30*24)) * time.Hour),
					Values: usage.Values{}.With([]string{"quantity", "cost"}[min(1, rnd.IntN(9)/8)], decimal.New(rnd.Int64N(1000)-100, -3))}
				for name, values := range map[string][]string{"subscriptionId": {demo.AcmeSubscription, strings.ToUpper(demo.AcmeSubscription), "x"}, "location": {"eu", "us"}, "resourceLocation": {"eu"},
					"meterCategory": {"vm", "disk", ""}, "meterSubcategory": {"None", "B"}, "unit": {"h"}, "meterUnit": {"h", "m"}, "meterId": {"m1"}, "consumptionMeterId": {"m1", "m2"},
					"customerName": {"Acme AG", "Ümlaut"}, "customerTenantId": {"acme"}, "subscriptionName": {"named"}} {
					if rnd.IntN(3) == 0 {
						r.Dimensions = r.Dimensions.With(name, values[rnd.IntN(len(values))])
					}
				}
				usagetest.Append(t, b, r)
				return r
			}
			var all []usage.Record
			for range 200 {
				all = append(all, record())
			}
			for i := range 10 {
				_, err := b.Void(t.Context(), all[i].Identity(), "void", fmt.Sprint(i))
				require.NoError(t, err)
			}
			all = all[10:]
			if seed%2 == 0 {
				_, err := b.Roll(t.Context())
				require.NoError(t, err)
			}
			day := func(t time.Time) time.Time { return t }
			month := func(t time.Time) time.Time { return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC) }
			week := func(t time.Time) time.Time { return t.AddDate(0, 0, -(int(t.Weekday())+6)%7) }
			everything := func(map[string]string) bool { return true }
			meanwhile := func() { record() } // what is booked later is not in the answer
			for _, c := range []struct {
				query   string
				groupby []string
				level   func(time.Time) time.Time
				keep    func(map[string]string) bool
			}{
				{"top=7", order, day, everything},
				{"groupby=meterCategory,usageDate&aggregationLevel=month&top=2", []string{"usageDate", "meterCategory"}, month, everything},
				{"groupby=usageDate,subscriptionId,customerName&aggregationLevel=week&top=3", []string{"usageDate", "customerName", "subscriptionId"}, week, everything},
				{"groupby=meterUnit,subscriptionName&top=2&filter=" + url.QueryEscape("meterCategory eq 'vm' or consumptionMeterId eq 'M1' and usageDate ge cast('2026-05-01',Edm.DateTimeOffset)"),
					[]string{"meterUnit", "subscriptionName"}, day, func(f map[string]string) bool {
						return f["meterCategory"] == "vm" || strings.EqualFold(f["consumptionMeterId"], "m1") && f["usageDate"] >= "2026-05-01"
					}},
				{"groupby=customerTenantId,resourceLocation,meterSubcategory&filter=" + url.QueryEscape("not (resourceLocation eq '')"),
					[]string{"customerTenantId", "resourceLocation", "meterSubcategory"}, day, func(f map[string]string) bool { return f["resourceLocation"] != "" }},
			} {
				now := slices.Clone(all)
				got := pages(t, h, c.query, "demo-admin", meanwhile)
				// The records booked meanwhile are in the next question.
				page, err := b.Query(t.Context(), usage.AllTenants(), usage.Query{PageSize: 10_000})
				require.NoError(t, err)
				all = all[:0]
				for _, row := range page.Rows {
					all = append(all, row.Record.Record)
				}
				require.Equal(t, naive(now, c.groupby, c.level, c.keep), got, c.query)
			}
			// A partner with one customer sees that one, whatever it asks.
			own := slices.DeleteFunc(slices.Clone(all), func(r usage.Record) bool { return r.Tenant != "acme" })
			got := pages(t, h, "filter="+url.QueryEscape("customerTenantId eq 'globex' or true"), "demo-acme", func() {})
			require.Equal(t, naive(own, order, day, everything), got)
		})
	}
}

func TestSnapshotsAreOfTheCallersTenants(t *testing.T) {
	t.Parallel()
	b, _ := usagetest.NewBook(t, nil)
	h := newHandler(t, b, nil, nil)
	for i := range 3 {
		usagetest.Append(t, b, usage.Record{Tenant: "acme", Source: "s", ID: fmt.Sprint(i), Meter: "azure-usage", Start: usagetest.Epoch().AddDate(0, 0, i), Values: usage.Quantity(decimal.NewFromInt(1))})
	}
	var page struct {
		NextLink string `json:"@nextLink"`
	}
	require.NoError(t, json.Unmarshal(ask(h, route+"?top=1", "demo-admin").Body.Bytes(), &page))
	u, err := url.Parse(page.NextLink)
	require.NoError(t, err)
	require.Equal(t, 200, ask(h, u.RequestURI(), "demo-admin").Code)
	w := ask(h, u.RequestURI(), "demo-acme")
	require.Equal(t, 400, w.Code)
	require.Contains(t, w.Body.String(), "another caller")
}

func FuzzQuery(f *testing.F) {
	b, _ := usagetest.NewBook(f, &usage.Options{Meters: httpadapter.Meters()})
	for i, tenant := range []string{"acme", "globex"} {
		_, err := b.Append(f.Context(), usage.Record{Tenant: tenant, Source: "s", ID: "1", Meter: "azure-usage", Start: usagetest.Epoch(),
			Values: usage.Quantity(decimal.NewFromInt(int64(770001 + i))), Dimensions: usage.Dimensions{}.With("meterCategory", "of-"+tenant)})
		require.NoError(f, err)
	}
	h := newHandler(f, b, nil, httpadapter.Unlimited{})
	f.Add("top=1&skip=0&groupby=meterCategory,usageDate&aggregationLevel=week&orderby=meterCategory desc&startDate=2026-01-01&endDate=1/2/2026")
	f.Add("$filter=meterCategory eq 'of-globex' or true&$top=5")
	f.Add("filter=usageDate le cast('2018-01-01',Edm.DateTimeOffset)&snapshot=AQ")
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest("GET", route, nil)
		r.URL.RawQuery = query
		r.Header.Set("Authorization", "Bearer demo-acme")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Less(t, w.Code, 500, "%s: %s", query, w.Body)
		require.True(t, json.Valid(w.Body.Bytes()), w.Body)
		if w.Code == 200 {
			var page struct{ Value []rowOf }
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &page))
			for _, row := range page.Value {
				require.NotContains(t, fmt.Sprint(row), "globex")
				require.NotEqual(t, 770002.0, row["quantity"])
			}
		}
	})
}
