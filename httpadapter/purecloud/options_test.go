package purecloud_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/internal/demo"
	"github.com/usagebook/usagebook/httpadapter/purecloud"
	"github.com/usagebook/usagebook/paginate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
	"github.com/usagebook/usagebook/usage/usagetest"
)

const week = `{"interval":"2026-11-01/2026-11-08"}`

// noTasks is a store that keeps records only.
type noTasks struct{ store usage.Store }

func (s noTasks) Append(ctx context.Context, b *usage.Batch) ([]usage.ReceiptEntry, error) {
	return s.store.Append(ctx, b)
}
func (s noTasks) Scan(ctx context.Context, sel usage.Selection) iter.Seq2[*usage.Stored, error] {
	return s.store.Scan(ctx, sel)
}
func (s noTasks) ScanRollups(ctx context.Context, sel usage.RollupSelection) iter.Seq2[*usage.Rollup, error] {
	return s.store.ScanRollups(ctx, sel)
}
func (s noTasks) Checkpoint(ctx context.Context, at usage.AsOf) (usage.State, error) {
	return s.store.Checkpoint(ctx, at)
}
func (s noTasks) Commit(ctx context.Context, c *usage.Commit) error { return s.store.Commit(ctx, c) }
func (s noTasks) Close() error                                      { return s.store.Close() }

func TestFaultsOfOptions(t *testing.T) {
	t.Parallel()
	b, err := usage.New(noTasks{memstore.New(nil)}, nil)
	require.NoError(t, err)
	_, err = httpadapter.New(b, nil, purecloud.New(nil))
	require.ErrorIs(t, err, usage.ErrUnsupported)
	require.ErrorContains(t, err, "purecloud: the store of the book keeps no executions")

	b, _ = usagetest.NewBook(t, nil)
	_, err = httpadapter.New(b, nil, purecloud.New(&purecloud.Options{Fields: httpadapter.Fields{"colour": {"x"}, "userId": {}}, Values: map[string]string{"status404": "x"}, Wait: -time.Second}))
	for _, want := range []string{`there is no field "colour"; there are clientId, clientName, httpMethod, organizationId, templateUri, userId`, `the field "userId" comes from nothing`,
		`there is no value "status404"; there are status200, status300, status400, status500, status429, requests`, "the wait is -1s"} {
		require.ErrorContains(t, err, want)
	}
	_, err = httpadapter.New(b, nil, purecloud.New(nil))
	require.NoError(t, err)
}

// Meters, fields and values of the host's own, and what becomes of an execution
// when a later process has others.
func TestOptions(t *testing.T) {
	t.Parallel()
	b, _ := usagetest.NewBook(t, nil)
	for i, dims := range []usage.Dimensions{
		usage.Dimensions{}.With("app", "a1").With("tenant", "org-1").With("verb", "GET"),
		usage.Dimensions{}.With("clientId", "a1").With("tenant", "org-1").With("verb", "GET"),
		usage.Dimensions{}.With("app", "a2").With("clientId", "a1"),
	} {
		usagetest.Append(t, b, usage.Record{Tenant: "acme", Source: "s", ID: fmt.Sprint(i), Meter: []string{"calls", "hits"}[i%2], Start: usagetest.Epoch(), Dimensions: dims,
			Values: usage.Values{}.With("ok", decimal.RequireFromString("1.5")).With("requests", decimal.NewFromInt(7))})
	}
	o := &purecloud.Options{NoWait: true, Meters: []string{"calls", "hits"}, Values: map[string]string{"status200": "ok"}, Rounding: func(d decimal.Decimal) decimal.Decimal { return d.Floor() },
		Fields: httpadapter.Fields{"clientId": {"app", "clientId"}, "organizationId": {"dimensions/tenant", "tenant"}, "httpMethod": {"verb"}}}
	h := newHandler(t, b, o, nil, nil)
	body := `{` + always + `,"groupBy":["OAuthClientId","OrganizationId","HttpMethod"],"metrics":["Status200","Requests","Status300"]}`
	want := `{"results":[{"clientId":"a1","clientName":"a1","organizationId":"org-1","httpMethod":"GET","status200":3,"status300":0,"requests":14,"date":"0001-01-01T00:00:00Z"},` +
		`{"clientId":"a2","clientName":"a2","organizationId":"acme","status200":1,"status300":0,"requests":7,"date":"0001-01-01T00:00:00Z"}],"queryStatus":"Complete"}`
	target := execute(t, h, "/api/v2/usage/query", "demo-acme", body, 202)
	work(t, b)
	require.Equal(t, want, ask(h, target, "demo-acme", "").Body.String())
	later := newHandler(t, b, &purecloud.Options{Rounding: o.Rounding}, nil, nil)
	require.Equal(t, want, ask(later, target, "demo-acme", "").Body.String())
	// Changes to the maps of the caller change nothing.
	clear(o.Fields)
	clear(o.Values)
	target = execute(t, h, "/api/v2/oauth/clients/a2/usage/query", "demo-acme", `{`+always+`,"metrics":["Status200"]}`, 202)
	work(t, b)
	require.Equal(t, `{"results":[{"clientId":"a2","clientName":"a2","status200":1,"date":"0001-01-01T00:00:00Z"}],"queryStatus":"Complete"}`, ask(h, target, "demo-acme", "").Body.String())
}

// A search shows 20,000 rows, its pages all of them.
func TestLargeSearches(t *testing.T) {
	t.Parallel()
	const total = 20_010
	b, _ := usagetest.NewBook(t, &usage.Options{BatchSize: total})
	records := make([]usage.Record, total)
	for i := range records {
		records[i] = usage.Record{Tenant: "acme", Source: "s", ID: fmt.Sprint(i), Meter: "api-requests", Start: usagetest.Epoch(),
			Values: usage.Values{}.With("status200", decimal.NewFromInt(1)), Dimensions: usage.Dimensions{}.With("templateUri", fmt.Sprintf("/%05d", i))}
	}
	usagetest.Append(t, b, records...)
	h := newHandler(t, b, &purecloud.Options{NoWait: true}, nil, httpadapter.Unlimited{})
	target := execute(t, h, "/api/v2/usage/simplesearch", "demo-acme", `{`+always+`,"metrics":["TemplateUri"]}`, 202)
	work(t, b)
	var page struct {
		Results []struct{ TemplateURI string }
		Cursors struct{ Before, After string }
	}
	get := func(query string) int {
		page.Results, page.Cursors.After = nil, ""
		require.NoError(t, json.Unmarshal(ask(h, target+query, "demo-acme", "").Body.Bytes(), &page))
		return len(page.Results)
	}
	require.Equal(t, 20_000, get(""))
	require.Equal(t, "/19999", page.Results[19_999].TemplateURI)
	require.Equal(t, 1000, get("?pageSize=1000"))
	// The cursor of a later page, as if all before it had been read.
	id := strings.Split(target, "/")[5]
	binding := paginate.Binding{Scope: paginate.Digest("acme"), Query: paginate.Digest("httpadapter", "purecloud results", id)}
	place, err := b.Sealer().Open(page.Cursors.After, binding)
	require.NoError(t, err)
	require.Equal(t, int64(1000), place.Seen)
	place.Seen, place.Binding = 19_500, binding
	later, err := b.Sealer().Seal(place)
	require.NoError(t, err)
	require.Equal(t, total-19_500, get("?after="+later))
	require.Equal(t, "/20009", page.Results[total-19_501].TemplateURI)
	require.Empty(t, page.Cursors.After)

	// As a query of the organization it has no such bound.
	target = execute(t, h, "/api/v2/usage/query", "demo-acme", `{`+always+`,"groupBy":["TemplateUri"]}`, 202)
	work(t, b)
	require.Equal(t, total, get(""))
	require.Equal(t, 10, get("?pageSize=10"))
}

// Bodies at the bound, in the characters that take most room when they are kept.
func TestLargeBodies(t *testing.T) {
	t.Parallel()
	b, _ := usagetest.NewBook(t, nil)
	h := newHandler(t, b, &purecloud.Options{NoWait: true}, nil, nil)
	for _, c := range []string{"a", "\u2028", `\u0001`, `\u2029`, `\"`, "'", "é", "\U0001f600"} {
		const open, end = `{` + always + `,"templateUris":["`, `"]}`
		room := 30<<10 - len(open) - len(end)
		body := open + strings.Repeat(c, room/len(c)) + end
		execute(t, h, "/api/v2/usage/simplesearch", "demo-acme", body, 202)
		require.Equal(t, 413, ask(h, "/api/v2/usage/simplesearch", "demo-acme", body+strings.Repeat(" ", 30<<10-len(body)+1)).Code)
	}
	work(t, b)
}

// mount is an adapter with a time limit.
func mount(t *testing.T, b *usage.Book, o *purecloud.Options, timeout time.Duration) http.Handler {
	options := demo.Authenticate(t)
	options.Timeout = timeout
	a, err := httpadapter.New(b, &options, purecloud.New(o))
	require.NoError(t, err)
	return a
}

// How long a start waits, in a time that passes only when everybody waits.
func TestWait(t *testing.T) {
	t.Parallel()
	setup := func(t *testing.T, running bool, o *usage.Options) *usage.Book {
		b, err := usage.New(memstore.New(nil), o)
		require.NoError(t, err)
		if running {
			run(t, b)
		}
		return b
	}
	for _, tc := range []struct {
		name    string
		o       *purecloud.Options
		timeout time.Duration
		running bool
		status  int
		took    time.Duration
	}{
		{"nobody works", nil, 0, false, 202, time.Second},
		{"nobody works, for longer", &purecloud.Options{Wait: 20 * time.Second}, 0, false, 202, 20 * time.Second},
		{"nobody waits", &purecloud.Options{Wait: 20 * time.Second, NoWait: true}, 0, false, 202, 0},
		{"the request ends before", &purecloud.Options{Wait: time.Hour}, 5 * time.Second, false, 202, 5 * time.Second},
		{"it is done at once", nil, 0, true, 200, 0},
		{"it is done at once, however long the wait", &purecloud.Options{Wait: time.Hour}, 0, true, 200, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, tc.running, nil)
				h := mount(t, b, tc.o, tc.timeout)
				begun := time.Now()
				target := execute(t, h, "/api/v2/usage/query", "demo-acme", week, tc.status)
				require.Equal(t, tc.took, time.Since(begun))
				want := `{"queryStatus":"Running"}`
				if tc.status == 200 {
					want = `{"results":[],"queryStatus":"Complete"}`
				}
				require.Equal(t, want, ask(h, target, "demo-acme", "").Body.String())
			})
		})
	}
	t.Run("a failure is an end", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := setup(t, true, &usage.Options{MaxGroups: 1})
			bookSecrets(t, b)
			h := mount(t, b, nil, 0)
			target := execute(t, h, "/api/v2/usage/query", "demo-acme", `{`+always+`,"groupBy":["OAuthClientId"]}`, 200)
			require.Equal(t, `{"queryStatus":"Failed"}`, ask(h, target, "demo-acme", "").Body.String())
		})
	})
	t.Run("a worker comes while it waits", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := setup(t, false, nil)
			h := mount(t, b, &purecloud.Options{Wait: 30 * time.Second}, 0)
			done := make(chan struct{})
			time.AfterFunc(3*time.Second, func() {
				work(t, b)
				close(done)
			})
			begun := time.Now()
			execute(t, h, "/api/v2/usage/query", "demo-acme", week, 200)
			require.Equal(t, 3*time.Second, time.Since(begun))
			<-done
		})
	})
	t.Run("expired", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := setup(t, true, &usage.Options{ExecutionLife: time.Minute})
			h := mount(t, b, nil, 0)
			target := execute(t, h, "/api/v2/usage/query", "demo-acme", week, 200)
			time.Sleep(time.Minute - time.Second)
			require.Equal(t, 200, ask(h, target, "demo-acme", "").Code)
			time.Sleep(time.Second)
			require.Equal(t, 404, ask(h, target, "demo-acme", "").Code)
		})
	})
}

func TestIntervals(t *testing.T) {
	t.Parallel()
	b, _ := usagetest.NewBook(t, nil)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i, off := range []time.Duration{-time.Microsecond, 0, time.Microsecond} {
		usagetest.Append(t, b, usage.Record{Tenant: "acme", Source: "s", ID: fmt.Sprint(i), Meter: "api-requests", Start: at.Add(off), Values: usage.Values{}.With("requests", decimal.NewFromInt(1))})
	}
	h := newHandler(t, b, &purecloud.Options{NoWait: true}, nil, httpadapter.Unlimited{})
	for interval, want := range map[string]string{
		"2026-03-01/2026-03-02":                                 `3,"date":"2026-03-01T00:00:00Z"`,
		"2026-03-01T12:00:00Z/2026-03-02":                       `2,"date":"2026-03-01T12:00:00Z"`,
		"2026-03-01T12:00/2026-03-01T12:00:00.000001":           `1,"date":"2026-03-01T12:00:00Z"`,
		"2026-03-01T11:59:59.999999/2026-03-01T12:00:00.000Z":   `1,"date":"2026-03-01T11:59:59.999999Z"`,
		"2026-03-01T11:59:59.999/2026-03-01T12:00:00.000Z":      `1,"date":"2026-03-01T11:59:59.999Z"`,
		"2026-03-01T12:00:00.0000005Z/2026-03-02":               `1,"date":"2026-03-01T12:00:00.000001Z"`,
		"2026-03-01T12:00:00Z/2026-03-01T12:00:00.000000001Z":   `1,"date":"2026-03-01T12:00:00Z"`,
		"2026-03-01T14:00:00+02:00/2026-03-01T12:00:00.000002Z": `2,"date":"2026-03-01T12:00:00Z"`,
		"2026-03-01T07:00-05:00/2026-03-01T12:00:01":            `2,"date":"2026-03-01T12:00:00Z"`,
		"0001-01-01/9999-12-31":                                 `3,"date":"0001-01-01T00:00:00Z"`,
		"0001-01-01/9999-12-31T23:59:59.999Z":                   `3,"date":"0001-01-01T00:00:00Z"`,
		"0001-01-01/9999-12-31T23:59:59.9999999":                `3,"date":"0001-01-01T00:00:00Z"`,
	} {
		target := execute(t, h, "/api/v2/usage/query", "demo-acme", fmt.Sprintf(`{"interval":%q,"metrics":["Requests"]}`, interval), 202)
		work(t, b)
		require.Equal(t, `{"results":[{"requests":`+want+`}],"queryStatus":"Complete"}`, ask(h, target, "demo-acme", "").Body.String(), interval)
	}
	for _, interval := range []string{"", "/", "2026-03-01", "2026-03-01/", "/2026-03-01", "2026-03-01/P7D", "2026-03-01/2026-03-02/2026-03-03", " 2026-03-01/2026-03-02", "2026-03-01/2026-03-02 ",
		"2026-3-1/2026-03-02", "2026-03-01T24:00:00/2026-03-03", "2026-03-01T1:00:00/2026-03-03", "2026-03-01t12:00:00z/2026-03-03", "2026-02-29/2026-03-03", "0000-01-01/2026-03-01", "2026-03-01/10000-01-01", "2026-03-01/9999-12-31T23:59:59-01:00",
		"2026-03-01T00:00:00+99:99/2026-03-03", "-2026-03-01/2026-03-03", "20260301/20260302", strings.Repeat("2026-03-01/", 20)} {
		w := ask(h, "/api/v2/usage/query", "demo-acme", fmt.Sprintf(`{"interval":%q}`, interval))
		require.Equal(t, 400, w.Code, interval)
		require.Contains(t, w.Body.String(), `"code":"invalid.date"`, interval)
	}
	for _, interval := range []string{"2026-03-01/2026-03-01", "2026-03-02/2026-03-01", "2026-03-01T00:00:00.0000001/2026-03-01T00:00:00.0000009"} {
		w := ask(h, "/api/v2/usage/query", "demo-acme", fmt.Sprintf(`{"interval":%q}`, interval))
		require.Equal(t, 400, w.Code, interval)
		require.Contains(t, w.Body.String(), `"code":"constraint.validation"`, interval)
	}
}
