package httpadapter_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/rules"
	"github.com/usagebook/usagebook/usage"
)

// shared returns the folder of real data, which is not part of the repository.
// Without the variable the test skips; with it, a missing file fails.
func shared(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("USAGEBOOK_SHARED")
	if dir == "" {
		t.Skip("USAGEBOOK_SHARED is not set: the real usage data is not part of the repository")
	}
	return filepath.Join(dir, "data")
}

// readLines reads a file of JSON objects, one a line; null is absent.
func readLines(t *testing.T, name string) (out []map[string]string) {
	t.Helper()
	f, err := os.Open(name)
	require.NoError(t, err)
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		r, err = gzip.NewReader(f)
		require.NoError(t, err)
	}
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		var line map[string]*string
		require.NoError(t, json.Unmarshal(s.Bytes(), &line))
		m := map[string]string{}
		for k, v := range line {
			if v != nil {
				m[k] = *v
			}
		}
		out = append(out, m)
	}
	require.NoError(t, s.Err())
	return out
}

// wireRecord is a record as a client writes it.
type wireRecord struct {
	ID         string            `json:"id"`
	Source     string            `json:"source"`
	Tenant     string            `json:"tenant"`
	Meter      string            `json:"meter"`
	Start      string            `json:"start"`
	Values     map[string]string `json:"values"`
	Dimensions map[string]string `json:"dimensions"`
}

// pick takes some fields of a line, under new names: "new=old" or the same.
func pick(line map[string]string, names ...string) map[string]string {
	out := map[string]string{}
	for _, n := range names {
		to, from, ok := strings.Cut(n, "=")
		if !ok {
			from = to
		}
		if v, ok := line[from]; ok {
			out[to] = v
		}
	}
	return out
}

func sumDecimals(t *testing.T, texts ...string) string {
	t.Helper()
	sum := decimal.Zero
	for _, x := range texts {
		d, err := decimal.NewFromString(x)
		require.NoError(t, err)
		sum = sum.Add(d)
	}
	return sum.String()
}

// numbers decodes an answer, its numbers as their digits.
func numbers(t *testing.T, body io.Reader, into any) {
	t.Helper()
	d := json.NewDecoder(body)
	d.UseNumber()
	require.NoError(t, d.Decode(into))
}

// TestTruthsOverHTTP books two real data sets through the native route, as the
// contracts map them, and compares the answers of all five APIs with what the
// lines of the data add up to.
func TestTruthsOverHTTP(t *testing.T) {
	t.Parallel()
	dir := shared(t)
	focus := readLines(t, filepath.Join(dir, "focus", "records.jsonl"))
	llm := readLines(t, filepath.Join(dir, "llm", "records.jsonl.gz"))
	require.Len(t, focus, 1000)
	require.Len(t, llm, 28185)

	a, b, clock := everything(t, &usage.Options{KPIs: []rules.KPI{{Provider: "llm", Application: "inference", Name: "tokens", Units: []string{"tokens"}}}})
	clock.Set(time.Date(2024, 11, 1, 0, 0, 0, 0, time.UTC))

	var records []wireRecord
	for _, l := range focus {
		dims := pick(l, "subscriptionId=account", "subscriptionName=accountName", "location=region", "meterCategory=service", "meterSubcategory=category", "meterUnit=unit", "meterId=sku",
			"serviceType=chargeCategory", "resourceUri=resourceId", "tags")
		records = append(records, wireRecord{l["id"], "focus", l["account"], httpadapter.AzureUsage, l["start"], pick(l, "quantity", "cost", "listCost", "effectiveCost"), dims})
	}
	for _, l := range llm {
		r := wireRecord{ID: l["id"], Source: "llm", Tenant: "llm", Start: l["time"]}
		r.Meter, r.Values, r.Dimensions = httpadapter.StreamEvents, pick(l, "ingressEvents=contextTokens", "egressEvents=generatedTokens"), pick(l, "namespaceId=service", "streamId=id")
		records = append(records, r)
		r.Meter, r.Source = httpadapter.APIRequests, "llm-calls"
		r.Values, r.Dimensions = map[string]string{"requests": "1", "status200": "1"}, map[string]string{"clientId": l["service"], "templateUri": "/v1/completions", "httpMethod": "POST"}
		records = append(records, r)
		r.Meter, r.Source, r.Tenant = httpadapter.AppUsage, "llm-tokens", l["service"]
		r.Values, r.Dimensions = map[string]string{"quantity": sumDecimals(t, l["contextTokens"], l["generatedTokens"])}, map[string]string{"provider": "llm", "application": "inference", "unit": "tokens"}
		records = append(records, r)
	}
	for batch := range slices.Chunk(records, 5000) {
		body, err := json.Marshal(batch)
		require.NoError(t, err)
		for _, want := range []string{fmt.Sprintf(`{"inserted":%d,"duplicates":0,`, len(batch)), fmt.Sprintf(`{"inserted":0,"duplicates":%d,`, len(batch))} {
			w := post("/v1/records", string(body)).send(a, "demo-admin")
			require.Equal(t, 200, w.Code)
			require.True(t, strings.HasPrefix(w.Body.String(), want), w.Body.String()[:min(2000, w.Body.Len())])
		}
	}
	for _, rolled := range []bool{false, true} {
		for did := rolled; did; {
			var err error
			did, err = b.Roll(t.Context())
			require.NoError(t, err)
		}
		t.Run(fmt.Sprintf("partner center rolled %v", rolled), func(t *testing.T) {
			want := map[string]decimal.Decimal{}
			lines := 0
			for _, l := range focus {
				if q, ok := l["quantity"]; ok {
					want[l["service"]] = want[l["service"]].Add(decimal.RequireFromString(q))
					lines++
				}
			}
			require.Equal(t, 999, lines)
			var page struct {
				Value []struct {
					MeterCategory string
					Quantity      json.Number
				}
				TotalCount int
			}
			w := get("/partner/v1/analytics/azureusage?groupby=meterCategory").send(a, "demo-admin")
			require.Equal(t, 200, w.Code, w.Body)
			numbers(t, w.Body, &page)
			require.Equal(t, len(want), page.TotalCount)
			require.Len(t, page.Value, len(want))
			for _, r := range page.Value {
				require.Equal(t, want[r.MeterCategory].String(), r.Quantity.String(), r.MeterCategory)
			}
		})
		t.Run(fmt.Sprintf("azure stack rolled %v", rolled), func(t *testing.T) { azureTruths(t, a, focus) })
		t.Run(fmt.Sprintf("ocs rolled %v", rolled), func(t *testing.T) {
			type row struct {
				NamespaceId                           string
				IngressEvents, IngressStreamsAccessed int64
				EgressEvents, EgressStreamsAccessed   int64
			}
			want := map[string]*row{}
			for _, l := range llm {
				r := want[l["service"]]
				if r == nil {
					r = &row{NamespaceId: l["service"]}
					want[l["service"]] = r
				}
				for d, text := range []string{l["contextTokens"], l["generatedTokens"]} {
					n := decimal.RequireFromString(text).IntPart()
					events, streams := &r.IngressEvents, &r.IngressStreamsAccessed
					if d == 1 {
						events, streams = &r.EgressEvents, &r.EgressStreamsAccessed
					}
					*events += n
					if n > 0 {
						*streams++ // the id of a call is its own
					}
				}
			}
			var got []row
			w := get("/api/v1/tenants/llm/usage?start=2023-11-16&groupByNamespace=true").send(a, "demo-admin")
			require.Equal(t, 200, w.Code, w.Body)
			numbers(t, w.Body, &got)
			require.Len(t, got, len(want))
			for _, r := range got {
				require.Equal(t, *want[r.NamespaceId], r)
			}
		})
		t.Run(fmt.Sprintf("genesys rolled %v", rolled), func(t *testing.T) {
			want := map[string]int64{}
			for _, l := range llm {
				want[l["service"]]++
			}
			var started struct{ ExecutionID, ResultsURI string }
			w := post("/api/v2/usage/query", `{"interval":"2023-11-16/2023-11-17","groupBy":["OAuthClientId"],"metrics":["Requests","Status200"]}`).send(a, "demo-admin")
			require.Equal(t, 202, w.Code, w.Body)
			numbers(t, w.Body, &started)
			_, err := b.Work(t.Context())
			require.NoError(t, err)
			var got struct {
				QueryStatus string
				Results     []struct {
					ClientID            string
					Requests, Status200 int64
				}
			}
			numbers(t, get(started.ResultsURI).send(a, "demo-admin").Body, &got)
			require.Equal(t, "Complete", got.QueryStatus)
			require.Len(t, got.Results, len(want))
			for _, r := range got.Results {
				require.Equal(t, want[r.ClientID], r.Requests)
				require.Equal(t, want[r.ClientID], r.Status200)
			}
		})
		t.Run(fmt.Sprintf("uts rolled %v", rolled), func(t *testing.T) {
			want := map[string]decimal.Decimal{}
			for _, l := range llm {
				want[l["service"]] = want[l["service"]].Add(decimal.RequireFromString(sumDecimals(t, l["contextTokens"], l["generatedTokens"])))
			}
			var got struct {
				AggregationUntilDate string
				AggregatedUsages     []struct {
					Consumer string
					Value    json.Number
				}
			}
			w := get("/api/usagetransparency/v3/aggregatedMonthlyProviderUsage?month=november&year=2023&application=inference&KPIName=tokens").send(a, "demo-llm")
			require.Equal(t, 200, w.Code, w.Body)
			numbers(t, w.Body, &got)
			require.Equal(t, "2023-11-30", got.AggregationUntilDate)
			require.Len(t, got.AggregatedUsages, len(want))
			for _, u := range got.AggregatedUsages {
				require.Equal(t, want[u.Consumer].String(), u.Value.String())
			}
		})
	}
}

// azureTruths compares each account's usage with its lines, by day and by hour.
func azureTruths(t *testing.T, a *httpadapter.Adapter, focus []map[string]string) {
	accounts := map[string]bool{}
	for _, l := range focus {
		accounts[l["account"]] = true
	}
	require.Len(t, accounts, 73)
	text := func(l map[string]string, name string) string {
		if v, ok := l[name]; ok {
			return "=" + v
		}
		return "-"
	}
	for _, granularity := range []string{"Daily", "Hourly"} {
		layout := map[string]string{"Daily": "2006-01-02T00:00:00+00:00", "Hourly": "2006-01-02T15:00:00+00:00"}[granularity]
		compared := 0
		for account := range accounts {
			want := map[string]decimal.Decimal{}
			for _, l := range focus {
				q, ok := l["quantity"]
				if l["account"] != account || !ok {
					continue
				}
				at, err := time.Parse(time.RFC3339, l["start"])
				require.NoError(t, err)
				meter := l["sku"]
				if _, ok := l["sku"]; !ok {
					meter = httpadapter.AzureUsage
				}
				tags := text(l, "tags")
				if tags != "-" {
					canonical, err := usage.CanonicalJSON(l["tags"])
					require.NoError(t, err)
					tags = "=" + canonical
				}
				key := strings.Join([]string{at.Format(layout), meter, text(l, "resourceId"), text(l, "region"), tags}, "\x00")
				want[key] = want[key].Add(decimal.RequireFromString(q))
			}
			q := url.Values{"reportedStartTime": {"2024-08-01T00:00:00Z"}, "reportedEndTime": {"2024-11-01T00:00:00Z"}, "aggregationGranularity": {granularity}, "api-version": {"2015-06-01-preview"}}
			got := map[string]decimal.Decimal{}
			for target := "/subscriptions/" + url.PathEscape(account) + "/providers/Microsoft.Commerce/UsageAggregates?" + q.Encode(); target != ""; {
				w := get(target).send(a, "demo-admin")
				require.Equal(t, 200, w.Code, w.Body)
				var page struct {
					Value []struct {
						Properties struct {
							SubscriptionID, UsageStartTime, InstanceData, MeterID string
							Quantity                                              json.Number
						}
					}
					NextLink string
				}
				numbers(t, w.Body, &page)
				for _, r := range page.Value {
					p := r.Properties
					require.Equal(t, account, p.SubscriptionID)
					var instance struct {
						Resources struct {
							ResourceURI, Location *string
							Tags, AdditionalInfo  json.RawMessage
						} `json:"Microsoft.Resources"`
					}
					require.NoError(t, json.Unmarshal([]byte(p.InstanceData), &instance))
					opt := func(s *string) string {
						if s == nil {
							return "-"
						}
						return "=" + *s
					}
					tags := "-"
					if string(instance.Resources.Tags) != "null" {
						tags = "=" + string(instance.Resources.Tags)
					}
					key := strings.Join([]string{p.UsageStartTime, p.MeterID, opt(instance.Resources.ResourceURI), opt(instance.Resources.Location), tags}, "\x00")
					_, twice := got[key]
					require.False(t, twice, key)
					_, places, _ := strings.Cut(p.Quantity.String(), ".")
					require.GreaterOrEqual(t, len(places), 10)
					got[key] = decimal.RequireFromString(p.Quantity.String())
				}
				if target = page.NextLink; target != "" {
					u, err := url.Parse(target)
					require.NoError(t, err)
					target = u.RequestURI()
				}
			}
			require.Len(t, got, len(want), account)
			for key, v := range want {
				require.True(t, got[key].Equal(v), "%s %q: %s is not %s", account, key, got[key], v)
				compared++
			}
		}
		require.Greater(t, compared, 500)
	}
}
