package azurestack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/azurestack"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
	"github.com/usagebook/usagebook/usage/usagetest"
)

const (
	benchRecords = 1_000_000
	benchHours   = 1000
	benchMain    = "00000000-0000-4000-8000-000000000000" // the subscription that has most of it
	benchOwner   = "00000000-0000-4000-8000-0000000000f0"
)

var benchStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// benchBook is 1,000,000 records: 1,000 virtual machines that report every hour, for
// 1,000 hours; 775 of one subscription, 25 of each of nine others. Every hour is booked
// at the end of the next one.
var benchBook = sync.OnceValue(func() (b struct {
	book      *usage.Book
	catalogue *httpadapter.Catalogue
}) {
	clock := usagetest.NewClock(benchStart)
	book, err := usage.New(memstore.New(nil), &usage.Options{Meters: httpadapter.Meters(), Now: clock.Now})
	if err != nil {
		panic(err)
	}
	b.book, b.catalogue = book, &httpadapter.Catalogue{Subscriptions: []httpadapter.Subscription{{ID: benchOwner, Tenant: "demo"}}}
	for i := range 10 {
		b.catalogue.Subscriptions = append(b.catalogue.Subscriptions, httpadapter.Subscription{
			ID: fmt.Sprintf("00000000-0000-4000-8000-%012d", i), Tenant: fmt.Sprint("t", i), Provider: benchOwner})
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	meters := []string{"FAB6EB84-500B-4A09-A8CA-7358F8BBAEA5", "B5C15376-6C94-4FDD-B655-1A69D138ACA3", "09F8879E-87E9-4305-A572-4B7BE209F857",
		"F271A8A388C44D93956A063E1D2FA80B", "9E2739BA86744796B465F64674B822BA"}
	series := make([]usage.Record, benchRecords/benchHours)
	for vm := range series {
		i := max(0, (vm-775)/25+1)
		if vm < 775 {
			i = 0
		}
		s := b.catalogue.Subscriptions[1+i]
		series[vm] = usage.Record{Tenant: s.Tenant, Source: "fabric", Meter: httpadapter.AzureUsage, Dimensions: usage.NewDimensions(
			usage.Dimension{Name: "subscriptionId", Value: s.ID}, usage.Dimension{Name: "meterId", Value: meters[vm%len(meters)]},
			usage.Dimension{Name: "resourceUri", Value: fmt.Sprintf("/subscriptions/%s/resourceGroups/rg-%02d/providers/Microsoft.Compute/virtualMachines/vm-%04d", s.ID, vm%37, vm)},
			usage.Dimension{Name: "location", Value: "local"}, usage.Dimension{Name: "tags", Value: fmt.Sprintf(`{"costCenter":"%d","env":"prod"}`, vm%7)})}
	}
	batch := make([]usage.Record, len(series))
	for hour := range benchHours {
		at := benchStart.Add(time.Duration(hour) * time.Hour)
		clock.Set(at.Add(2*time.Hour - time.Second))
		for i, vm := range rnd.Perm(len(series)) {
			batch[i] = series[vm]
			batch[i].ID = fmt.Sprintf("%d/%d", vm, hour)
			batch[i].Start, batch[i].End = at, at.Add(time.Hour)
			batch[i].Values = usage.Quantity(decimal.New(rnd.Int64N(1_000_000), -4))
		}
		if _, err := book.Append(context.Background(), batch...); err != nil {
			panic(err)
		}
	}
	clock.Set(benchStart.AddDate(1, 0, 0))
	return b
})

// BenchmarkPage1M serves a page of 1,000 rows out of 1,000,000 records, and says how
// often it could have been served in the time in which encoding/json marshals five
// times its body: above 1 is faster.
func BenchmarkPage1M(b *testing.B) {
	d := benchBook()
	whole := [2]time.Time{benchStart, benchStart.AddDate(0, 0, 43)}
	aDay := [2]time.Time{benchStart.AddDate(0, 0, 20), benchStart.AddDate(0, 0, 21)}
	tenant := "/subscriptions/" + benchMain + "/providers/Microsoft.Commerce/usageAggregates"
	provider := "/subscriptions/" + benchOwner + "/providers/Microsoft.Commerce.Admin/subscriberUsageAggregates"
	run := func(name string, o *azurestack.Options, path, granularity string, span [2]time.Time, page int) {
		b.Run(name, func(b *testing.B) {
			h := newHandler(b, d.book, o, httpadapter.Options{Catalogue: d.catalogue, Limiter: httpadapter.Unlimited{}})
			next := fmt.Sprintf("%s?reportedStartTime=%s&reportedEndTime=%s&aggregationGranularity=%s&api-version=2015-06-01-preview", path,
				span[0].Format(time.RFC3339), span[1].Format(time.RFC3339), granularity)
			var w *httptest.ResponseRecorder
			var answer body
			target := ""
			for range page {
				target, answer = next, body{}
				w = get(h, target, "demo-admin")
				require.NoError(b, json.Unmarshal(w.Body.Bytes(), &answer))
				require.Len(b, answer.Value, 1000)
				next = answer.NextLink
			}
			r := httptest.NewRequest("GET", target, nil)
			r.Header.Set("Authorization", "Bearer demo-admin")
			// Both in turn, so that what else the machine does hits both.
			marshal := time.Duration(0)
			b.ReportAllocs()
			for b.Loop() {
				out := &discard{header: http.Header{}}
				h.ServeHTTP(out, r)
				if out.status != 200 || out.bytes != w.Body.Len() {
					b.Fatal(out.status, out.bytes)
				}
				b.StopTimer()
				begun := time.Now()
				for range 5 {
					if text, err := json.Marshal(&answer); err != nil || len(text) < w.Body.Len()*9/10 {
						b.Fatal(len(text), err)
					}
				}
				marshal += time.Since(begun)
				b.StartTimer()
			}
			b.ReportMetric(float64(marshal)/float64(b.Elapsed()), "x5marshal")
		})
	}
	event, recorded := &azurestack.Options{ReportedTime: azurestack.Event}, &azurestack.Options{}
	run("event/tenant/daily", event, tenant, "Daily", whole, 1)
	run("event/tenant/hourly", event, tenant, "Hourly", whole, 1)
	run("event/tenant/hourly/page3", event, tenant, "Hourly", whole, 3)
	run("event/provider/daily", event, provider, "Daily", whole, 1)
	run("recorded/tenant/hourly/day", recorded, tenant, "Hourly", aDay, 1)
	run("recorded/tenant/hourly/day/page3", recorded, tenant, "Hourly", aDay, 3)
	run("recorded/tenant/daily", recorded, tenant, "Daily", whole, 1)
	run("recorded/tenant/daily/page3", recorded, tenant, "Daily", whole, 3)
	run("recorded/provider/daily/day", recorded, provider, "Daily", aDay, 1)
	for {
		did, err := d.book.Roll(b.Context())
		require.NoError(b, err)
		if !did {
			break
		}
	}
	run("event/tenant/daily/rolled", event, tenant, "Daily", whole, 1)
}

// discard is a client that counts bytes.
type discard struct {
	header http.Header
	status int
	bytes  int
}

func (d *discard) Header() http.Header { return d.header }

func (d *discard) WriteHeader(status int) { d.status = status }

func (d *discard) Write(p []byte) (int, error) {
	n, err := io.Discard.Write(p)
	d.bytes += n
	return n, err
}
