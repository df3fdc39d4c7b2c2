package azurestack_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/azurestack"
	"github.com/usagebook/usagebook/httpadapter/internal/demo"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/usagetest"
)

func get(h http.Handler, target, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", target, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// line is a row as a client reads it.
type line struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Type       string `json:"type"`
	Properties struct {
		SubscriptionID string      `json:"subscriptionId"`
		UsageStartTime string      `json:"usageStartTime"`
		UsageEndTime   string      `json:"usageEndTime"`
		InstanceData   string      `json:"instanceData"`
		Quantity       json.Number `json:"quantity"`
		MeterID        string      `json:"meterId"`
	} `json:"properties"`
}

type body struct {
	Value    []line `json:"value"`
	NextLink string `json:"nextLink"`
}

func target(path string, from, to time.Time, rest string) string {
	return fmt.Sprintf("%s?api-version=2015-06-01-preview&reportedStartTime=%s&reportedEndTime=%s%s", path, from.Format(time.RFC3339), to.Format(time.RFC3339), rest)
}

// readAll follows the links to the end. between runs before every page.
func readAll(t testing.TB, h http.Handler, first, token string, size int, between func()) []line {
	t.Helper()
	all := []line{}
	pages := 0
	for next := first; next != ""; {
		pages++
		require.Less(t, pages, 2000, "links without end")
		between()
		w := get(h, next, token)
		require.Equal(t, 200, w.Code, w.Body)
		dec := json.NewDecoder(w.Body)
		dec.DisallowUnknownFields()
		var b body
		require.NoError(t, dec.Decode(&b))
		require.NotNil(t, b.Value)
		if b.NextLink != "" {
			require.Len(t, b.Value, size, "a page that is not the last is full")
		}
		require.LessOrEqual(t, len(b.Value), size)
		require.True(t, next == first || len(b.Value) > 0, "a link leads to rows")
		all = append(all, b.Value...)
		next = b.NextLink
	}
	return all
}

// requireLines compares answers, and shows no more than the first difference.
func requireLines(t testing.TB, want, got []line, format string, args ...any) {
	t.Helper()
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			require.Equal(t, want[i], got[i], "row %d of %s", i, fmt.Sprintf(format, args...))
		}
	}
	require.Equal(t, len(want), len(got), fmt.Sprintf(format, args...))
}

// booked is a record with the moment at which it was booked.
type booked struct {
	usage.Record
	at time.Time
}

// naive works the rows out from the records that count.
func naive(records []booked, k *httpadapter.Catalogue, provider, namespace, subscription, subscriber string, listed bool, from, to time.Time, length time.Duration, event bool) []line {
	type key struct {
		start int64
		// Absent texts are empty, present ones have a first letter.
		meter, resource, subscription, location, tags, info string
	}
	sums := map[key]decimal.Decimal{}
	for _, r := range records {
		at := r.at
		if event {
			at = r.Start
		}
		q, ok := r.Values.Get("quantity")
		if at.Before(from) || !at.Before(to) || !ok || r.Meter != "azure-usage" && r.Meter != "second" {
			continue
		}
		dim := func(name string) string {
			if v, ok := r.Dimensions.Get(name); ok {
				return "!" + v
			}
			return ""
		}
		x := key{r.Start.Truncate(length).UnixMicro(), dim("meterId"), dim("resourceUri"), "", dim("location"), dim("tags"), dim("additionalInfo")}
		if x.meter == "" {
			x.meter = "!" + r.Meter
		}
		if x.location == "" {
			x.location = dim("region")
		}
		own := dim("subscriptionId")
		found := false
		for _, s := range k.Subscriptions {
			if r.Tenant != s.Tenant || own == "" || !strings.EqualFold(own[1:], s.ID) {
				continue
			}
			if provider != "" && s.Provider == provider && (subscriber == "" || subscriber == s.ID) || provider == "" && s.ID == subscription {
				x.subscription, found = s.ID, true
			}
		}
		if provider == "" && !listed && r.Tenant == subscription {
			x.subscription, found = subscription, true
		}
		if found {
			sums[x] = sums[x].Add(q)
		}
	}
	keys := make([]key, 0, len(sums))
	for x := range sums {
		keys = append(keys, x)
	}
	slices.SortFunc(keys, func(a, b key) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.meter, b.meter), cmp.Compare(a.resource, b.resource), cmp.Compare(a.subscription, b.subscription),
			cmp.Compare(a.location, b.location), cmp.Compare(a.tags, b.tags), cmp.Compare(a.info, b.info))
	})
	out := []line{}
	for _, x := range keys {
		var l line
		l.Name = x.subscription + "-" + x.meter[1:]
		l.ID, l.Type = "/subscriptions/"+x.subscription+"/providers/"+namespace+"/UsageAggregate/"+l.Name, namespace+"/UsageAggregate"
		p := &l.Properties
		p.SubscriptionID, p.MeterID = x.subscription, x.meter[1:]
		start := time.UnixMicro(x.start).UTC()
		p.UsageStartTime, p.UsageEndTime = start.Format("2006-01-02T15:04:05+00:00"), start.Add(length).Format("2006-01-02T15:04:05+00:00")
		text := func(s string) any {
			if s == "" {
				return nil
			}
			return s[1:]
		}
		document := func(s string) any {
			if s != "" && json.Valid([]byte(s[1:])) {
				return json.RawMessage(s[1:])
			}
			return text(s)
		}
		var inner bytes.Buffer
		enc := json.NewEncoder(&inner)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(struct {
			R any `json:"Microsoft.Resources"`
		}{struct {
			R any `json:"resourceUri"`
			L any `json:"location"`
			T any `json:"tags"`
			I any `json:"additionalInfo"`
		}{text(x.resource), text(x.location), document(x.tags), document(x.info)}})
		p.InstanceData = strings.TrimSpace(inner.String())
		q := sums[x].String()
		whole, fraction, _ := strings.Cut(q, ".")
		p.Quantity = json.Number(whole + "." + fraction + strings.Repeat("0", max(0, 10-len(fraction))))
		out = append(out, l)
	}
	return out
}

// seeded books random records of three days, at random times, and tells which count.
func seeded(t testing.TB, b *usage.Book, clock *usagetest.Clock, rnd *rand.Rand, n int) []booked {
	pick := func(list ...string) string { return list[rnd.IntN(len(list))] }
	var all []booked
	begin := usagetest.Epoch()
	for i := range n {
		clock.Advance(time.Duration(rnd.Int64N(int64(72 * time.Hour / time.Duration(n)))))
		start := begin.Add(time.Duration(rnd.Int64N(int64(72 * time.Hour))))
		if rnd.IntN(3) > 0 {
			start = start.Truncate(12 * time.Hour) // some buckets with many rows
		}
		r := usage.Record{Tenant: pick("acme", "acme", "globex", "demo"), Source: "s", ID: fmt.Sprint(i), Meter: pick("azure-usage", "azure-usage", "second", "other"), Start: start,
			Values: usage.Quantity(decimal.New(rnd.Int64N(1000)-100, -int32(rnd.IntN(13))))}
		if rnd.IntN(20) == 0 {
			r.Values = usage.Values{}.With("cost", decimal.NewFromInt(1))
		}
		dim := func(often int, name string, values ...string) {
			if rnd.IntN(often) > 0 {
				r.Dimensions = r.Dimensions.With(name, pick(values...))
			}
		}
		a1, c3 := demo.AcmeSubscription, deletedSubscription
		dim(12, "subscriptionId", a1, strings.ToUpper(a1), a1, demo.GlobexSubscription, demo.GlobexSubscription, c3, strings.ToLower(c3), otherSubscription, demo.ProviderSubscription)
		dim(4, "meterId", "m1", "m2", "M1", "azure-usage", "second", "é")
		dim(4, "resourceUri", "/r/1", "/r/2", "/R/1", "", "/r/<&>\"\\\u2028")
		dim(3, "location", "local", "eu")
		dim(3, "region", "eu", "us")
		dim(2, "tags", `{"env":"prod"}`, `{"a":["\"\\",1.50]}`, `[]`)
		dim(2, "additionalInfo", `{"os":"linux"}`, `null`, `"text"`)
		usagetest.Append(t, b, r)
		all = append(all, booked{r, clock.Now()})
	}
	for i := range n / 20 {
		target := &all[i]
		if i%2 == 0 {
			_, err := b.Void(t.Context(), target.Identity(), "void", fmt.Sprint(i))
			require.NoError(t, err)
			target.Values = usage.Values{}
			continue
		}
		with := target.Record
		with.Source, with.Values = "replace", usage.Quantity(decimal.NewFromInt(1000))
		_, err := b.Replace(t.Context(), target.Identity(), with)
		require.NoError(t, err)
		target.Record, target.at = with, clock.Now()
	}
	return all
}

// Answers are what an independent computation makes of random records: with
// corrections, missing dimensions, spellings, meters that are not read, tenants that
// name a subscription of others, rollups, and pages of a few rows.
func TestRowsAreThoseOfTheRecords(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			options := &usage.Options{Meters: httpadapter.Meters()}
			second := options.Meters[1]
			second.Name = "second"
			options.Meters = append(options.Meters, second)
			if seed%3 == 1 {
				// Whatever case rule the dimensions have, rows differ by bytes.
				for i := range options.Meters {
					for k := range options.Meters[i].Dimensions {
						d := &options.Meters[i].Dimensions[k]
						d.FoldCase = d.FoldCase || d.Name == "meterId" || d.Name == "resourceUri"
					}
				}
			}
			b, clock := usagetest.NewBook(t, options)
			rnd := rand.New(rand.NewPCG(seed, 7))
			all := seeded(t, b, clock, rnd, 400)
			clock.Set(usagetest.Epoch().Add(30 * 24 * time.Hour))
			if seed%2 == 0 {
				_, err := b.Roll(t.Context())
				require.NoError(t, err)
			}
			for _, event := range []bool{true, false} {
				for _, size := range []int{1000, 5} {
					o := &azurestack.Options{Meters: []string{"azure-usage", "second"}, Fields: httpadapter.Fields{"location": {"location", "region"}}}
					o.PageRows(size)
					if event {
						o.ReportedTime = azurestack.Event
					}
					h := newHandler(t, b, o, httpadapter.Options{Limiter: httpadapter.Unlimited{}})
					k := catalogue(t)
					day := usagetest.Epoch()
					check := func(path, provider, namespace, subscription, subscriber string, listed bool, rest string) {
						for _, hourly := range []bool{false, true} {
							length, from, to := 24*time.Hour, day, day.AddDate(0, 0, 5)
							if seed%2 == 1 {
								from, to = day.AddDate(0, 0, 1), day.AddDate(0, 0, 2)
							}
							granularity := ""
							if hourly {
								length, granularity = time.Hour, "&aggregationGranularity=hourly"
								from = from.Add(5 * time.Hour)
							}
							want := naive(all, k, provider, namespace, subscription, subscriber, listed, from, to, length, event)
							got := readAll(t, h, target(path, from, to, granularity+rest), "demo-admin", size, func() {})
							requireLines(t, want, got, "%s event %v hourly %v size %d", path, event, hourly, size)
							require.True(t, size != 1000 || hourly || len(got) > 0 || subscription == "stranger", path)
						}
					}
					tenant := func(s string) string { return "/subscriptions/" + s + "/providers/Microsoft.Commerce/usageAggregates" }
					check(tenant(demo.AcmeSubscription), "", "Microsoft.Commerce", demo.AcmeSubscription, "", true, "")
					check(tenant(otherSubscription), "", "Microsoft.Commerce", otherSubscription, "", true, "")
					check(tenant("acme"), "", "Microsoft.Commerce", "acme", "", false, "")
					check(tenant("stranger"), "", "Microsoft.Commerce", "stranger", "", false, "")
					for _, n := range []string{"Microsoft.Commerce", "Microsoft.Commerce.Admin"} {
						path := "/subscriptions/" + demo.ProviderSubscription + "/providers/" + n + "/subscriberUsageAggregates"
						check(path, demo.ProviderSubscription, n, "", "", true, "")
						check(path, demo.ProviderSubscription, n, "", deletedSubscription, true, "&subscriberId="+strings.ToLower(deletedSubscription))
					}
				}
			}
		})
	}
}

// catalogue is that of newHandler, as the naive computation reads it.
func catalogue(t testing.TB) *httpadapter.Catalogue {
	k := demo.Authenticate(t).Catalogue
	k.Subscriptions = append(k.Subscriptions,
		httpadapter.Subscription{ID: deletedSubscription, Tenant: "globex", Provider: demo.ProviderSubscription, Deleted: true},
		httpadapter.Subscription{ID: otherSubscription, Tenant: "acme"})
	return k
}

// More rows than a page has, in one bucket and over many, with others writing,
// correcting and rolling between the pages: together they are the answer of the
// moment of the first.
func TestPagesAreOneAnswerUnderWrites(t *testing.T) {
	t.Parallel()
	b, clock := usagetest.NewBook(t, &usage.Options{Meters: httpadapter.Meters()})
	day := usagetest.Epoch()
	var all []booked
	var batch []usage.Record
	for i := range 2501 {
		r := usage.Record{Tenant: "acme", Source: "s", ID: fmt.Sprint(i), Meter: httpadapter.AzureUsage, Start: day.Add(time.Duration(i%50) * 20 * time.Minute),
			Values:     usage.Quantity(decimal.New(int64(i), -2)),
			Dimensions: usage.NewDimensions(usage.Dimension{Name: "subscriptionId", Value: demo.AcmeSubscription}, usage.Dimension{Name: "resourceUri", Value: fmt.Sprint("/r/", i)})}
		batch = append(batch, r)
		all = append(all, booked{r, clock.Now()})
	}
	usagetest.Append(t, b, batch...)
	clock.Advance(48 * time.Hour)
	n := 0
	write := func() {
		n++
		var more []usage.Record
		for i := range 100 {
			r := all[i*n%len(all)].Record
			r.ID = fmt.Sprintf("late-%d-%d", n, i)
			more = append(more, r)
		}
		usagetest.Append(t, b, more...)
		if _, err := b.Void(t.Context(), all[n].Identity(), "void", fmt.Sprint(n)); err != nil {
			t.Error(err)
		}
		if _, err := b.Roll(t.Context()); err != nil {
			t.Error(err)
		}
	}
	for _, event := range []bool{true, false} {
		o := &azurestack.Options{}
		if event {
			o.ReportedTime = azurestack.Event
		}
		h := newHandler(t, b, o, httpadapter.Options{Limiter: httpadapter.Unlimited{}})
		for granularity, length := range map[string]time.Duration{"Daily": 24 * time.Hour, "Hourly": time.Hour} {
			first := target("/subscriptions/"+demo.AcmeSubscription+"/providers/Microsoft.Commerce/usageAggregates", day, day.AddDate(0, 0, 2), "&aggregationGranularity="+granularity)
			// The book as it is now is what all pages are to show.
			now := []booked{}
			scope := usage.ForTenant("acme")
			for row, err := range b.Rows(t.Context(), scope, usage.Query{}) {
				require.NoError(t, err)
				now = append(now, booked{row.Record.Record, row.Record.Recorded})
			}
			want := naive(now, catalogue(t), "", "Microsoft.Commerce", demo.AcmeSubscription, "", true, day, day.AddDate(0, 0, 2), length, event)
			require.Greater(t, len(want), 2000)
			var wait sync.WaitGroup
			begun := false
			got := readAll(t, h, first, "demo-acme", 1000, func() {
				if begun {
					wait.Go(write) // while the page is read
				}
				begun = true
			})
			wait.Wait()
			requireLines(t, want, got, "event %v %s", event, granularity)
			write()
		}
	}
}
