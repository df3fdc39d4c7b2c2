package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

const (
	admin = "demo-admin"
	acme  = "demo-acme"
)

// request makes a request with a token; none for "".
func request(method, target, token, body string) *http.Request {
	if strings.HasPrefix(target, "/") {
		target = "http://example.com" + target
	}
	r, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// ask has a handler answer a request, without a network.
func ask(h http.Handler, method, target, token, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, request(method, target, token, body))
	return w
}

// A bubble is a server in a bubble of package synctest: its network is in memory, its
// clock that of the bubble.
type bubble struct {
	*server
	net    *network
	client http.Client
	stop   context.CancelFunc
	ended  chan error
}

// network is a listener whose connections are in memory.
type network struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (n *network) Accept() (net.Conn, error) {
	select {
	case c := <-n.conns:
		return c, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *network) Close() error   { n.once.Do(func() { close(n.closed) }); return nil }
func (n *network) Addr() net.Addr { return &net.TCPAddr{} }

func (n *network) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case n.conns <- server:
		return client, nil
	case <-n.closed:
		return nil, errors.New("connection refused")
	}
}

// running runs a server with the demonstration config over a store.
func running(t *testing.T, store usage.Store, o serverOptions) *bubble {
	t.Helper()
	o.now, o.log = time.Now, slog.New(slog.DiscardHandler)
	s, err := newServer(store, demonstration(t), &o)
	require.NoError(t, err)
	b := &bubble{server: s, net: &network{conns: make(chan net.Conn), closed: make(chan struct{})}, ended: make(chan error, 1)}
	b.client.Transport = &http.Transport{DialContext: b.net.dial}
	ctx, stop := context.WithCancel(t.Context())
	b.stop = stop
	ready := make(chan struct{})
	go func() { b.ended <- s.run(ctx, b.net, func() { close(ready) }) }()
	<-ready
	return b
}

// end ends the server as a signal does. Goroutines that are left behind would be found
// by the bubble, which does not end before them.
func (b *bubble) end(t *testing.T) {
	t.Helper()
	b.client.CloseIdleConnections()
	b.stop()
	require.NoError(t, <-b.ended)
}

// do sends a request and returns the status and the body.
func (b *bubble) do(method, target, token, body string) (int, string, error) {
	r, err := b.client.Do(request(method, target, token, body))
	if err != nil {
		return 0, "", err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	return r.StatusCode, string(text), err
}

// must is do of a request that is to be answered with a status.
func (b *bubble) must(t *testing.T, status int, method, target, token, body string) string {
	t.Helper()
	got, text, err := b.do(method, target, token, body)
	require.NoError(t, err)
	require.Equal(t, status, got, text)
	return text
}

// held is a store that does not book records before they are released, and may fail.
type held struct {
	*memstore.Store
	release map[string]chan struct{} // by id; others are booked at once
	waiting atomic.Int32
	fail    bool
}

func (h *held) Append(ctx context.Context, b *usage.Batch) ([]usage.ReceiptEntry, error) {
	if c := h.release[b.At(0).Record.ID]; c != nil {
		h.waiting.Add(1)
		defer h.waiting.Add(-1)
		select {
		case <-c:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return h.Store.Append(ctx, b)
}

func (h *held) Checkpoint(ctx context.Context, at usage.AsOf) (usage.State, error) {
	if h.fail {
		return usage.State{}, fmt.Errorf("disk on fire: %w", usage.ErrUnavailable)
	}
	return h.Store.Checkpoint(ctx, at)
}

const record = `[{"id":"1","source":"gateway","tenant":"acme","meter":"requests","start":"2026-03-01T00:10:00Z","quantity":"1.5"}]`

func TestFlags(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { taken.Close() })
	for name, test := range map[string]struct {
		args []string
		is   error
		want string
	}{
		"help":                {[]string{"-help"}, flag.ErrHelp, "-store"},
		"unknown":             {[]string{"-port", "1"}, errFlags, "flag provided but not defined: -port"},
		"no flag":             {[]string{"serve"}, errFlags, `"serve" is no flag`},
		"no value":            {[]string{"-store"}, errFlags, "flag needs an argument: -store"},
		"a store":             {[]string{"-store", "disk:book.db"}, nil, "-store disk:book.db: there is no such store; mem, sqlite:FILE and postgres:DSN are there"},
		"an empty store":      {[]string{"-store", ""}, nil, "-store : there is no such store"},
		"no file":             {[]string{"-store", "sqlite:"}, nil, "-store sqlite:: the name of the file is missing"},
		"a file in no folder": {[]string{"-store", "sqlite:none/usage.db"}, nil, "-store sqlite:none/usage.db: sqlitestore: open: "},
		"no database":         {[]string{"-store", "postgres:"}, nil, "-store postgres:: where the database is is missing"},
		"no DSN":              {[]string{"-store", "postgres:password=secret word"}, nil, "-store postgres:…: "},
		"no server":           {[]string{"-store", "postgres://u:secret@127.0.0.1:1/d"}, nil, "-store postgres:…: postgresstore: open: "},
		"mem with a name":     {[]string{"-store", "mem:book"}, nil, "-store mem:book: mem takes nothing behind it"},
		"no config":           {[]string{"-store", "mem", "-config", "none.json"}, nil, "config: open none.json: "},
		"a config's fault":    {[]string{"-config", written(t, `{"stores": 1}`)}, nil, "1: stores: there is no such key"},
		"an address":          {[]string{"-store", "mem", "-addr", "8080"}, nil, "missing port in address"},
		"an address in use":   {[]string{"-store", "mem", "-addr", taken.Addr().String()}, nil, "listen tcp "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			err := start(t.Context(), test.args, &stdout, &stderr)
			require.Error(t, err)
			if test.is != nil {
				require.ErrorIs(t, err, test.is)
				require.Contains(t, stderr.String(), test.want)
			} else {
				require.ErrorContains(t, err, test.want)
			}
			require.NotContains(t, err.Error(), "secret")
			require.Empty(t, stdout.String(), "nothing is ready")
		})
	}
}

// TestReadinessLine: the line is there once requests are answered, with the port.
func TestReadinessLine(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "usage.db")
	for _, args := range [][]string{{"-store", "mem"}, {"-store", "sqlite:" + file, "-config", "config.json"}, {"-config", "config.json", "-meter", "-store", "mem"}} {
		ctx, stop := context.WithCancel(t.Context())
		out, in := io.Pipe()
		ended := make(chan error, 1)
		go func() {
			ended <- start(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), in, io.Discard)
			in.Close()
		}()
		lines := bufio.NewReader(out)
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		require.Regexp(t, `^listening on http://127\.0\.0\.1:[1-9][0-9]*\n$`, line)
		base := strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
		for path, want := range map[string]string{"/healthz": `{"status":"ok"}`, "/readyz": `{"status":"ready"}`} {
			resp, err := http.Get(base + path)
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, resp.StatusCode)
			require.Equal(t, want, string(body))
		}
		stop()
		rest, err := io.ReadAll(lines)
		require.NoError(t, err)
		require.Empty(t, rest, "one line, for scripts")
		require.NoError(t, <-ended)
		_, err = http.Get(base + "/healthz")
		require.Error(t, err, "it has ended")
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	synctest.Test(t, testReady)
}

func testReady(t *testing.T) {
	store := &held{Store: memstore.New(nil)}
	s, err := newServer(store, demonstration(t), &serverOptions{now: time.Now, log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	check := func(status int, want string) {
		t.Helper()
		w := ask(s.http.Handler, "GET", "/readyz", "", "")
		require.Equal(t, status, w.Code)
		require.Equal(t, want, w.Body.String())
		require.Equal(t, httpadapter.JSONType, w.Header().Get("Content-Type"))
		require.Equal(t, http.StatusOK, ask(s.http.Handler, "GET", "/healthz", "", "").Code, "the process answers")
	}
	const idle, silent = "the background work does not run: jobs and queries wait", "the store does not answer"
	check(503, `{"reasons":["`+idle+`"],"status":"not ready"}`)
	store.fail = true
	check(503, `{"reasons":["`+silent+`","`+idle+`"],"status":"not ready"}`)
	store.fail = false

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.book.Run(ctx) }()
	synctest.Wait()
	check(200, `{"status":"ready"}`)
	stop()
	require.NoError(t, <-ended)
	check(503, `{"reasons":["`+idle+`"],"status":"not ready"}`)
}

// TestEveryPathAnswersInKind: whatever the path and method, the answer is JSON and no
// redirect.
func TestEveryPathAnswersInKind(t *testing.T) {
	t.Parallel()
	s, err := open(t, demonstration(t), serverOptions{})
	require.NoError(t, err)
	for _, test := range []struct {
		method, target string
		status         int
		want           string
	}{
		{"GET", "/", 404, `"code":"no_path"`},
		{"GET", "/nobody", 404, `"code":"no_path"`},
		{"POST", "/nobody", 404, `"code":"no_path"`},
		{"OPTIONS", "/nobody", 404, `"code":"no_path"`},
		{"GET", "//healthz", 404, `"code":"no_path"`},
		{"GET", "/healthz/", 404, `"code":"no_path"`},
		{"GET", "/v1/../healthz", 404, `"code":"no_path"`},
		{"GET", "/v1//usage", 404, `"code":"no_path"`},
		{"GET", "/v1", 404, `"code":"no_path"`},
		{"POST", "/healthz", 405, `{"status":"method not allowed"}`},
		{"DELETE", "/readyz", 405, `{"status":"method not allowed"}`},
		{"GET", "/v1/records", 405, `"code":"bad_method"`},
		{"GET", "/api/v1/tenants//usage", 404, `"Error"`},
		{"GET", "/api/v1/tenants/acme/nobody", 404, `"Error"`},
		{"GET", "/api/v2/usage/nobody", 404, `"code":"not.found"`},
		{"GET", "/partner/v1/nobody", 404, `"code":"1000"`},
		{"GET", "/api/usagetransparency/v3/nobody", 404, `mdsp.core.generic.noMatch`},
		{"GET", "/subscriptions/a1/nobody", 404, `"code":"ResourceNotFound"`},
		{"GET", "/subscriptions//providers/Microsoft.Commerce/usageAggregates", 400, `"code":"SubscriptionIdMissingInRequest"`},
		{"GET", "/Subscriptions//PROVIDERS/microsoft.commerce/USAGEAGGREGATES", 400, `"code":"SubscriptionIdMissingInRequest"`},
		{"GET", "/subscriptions/providers/Microsoft.Commerce/usageAggregates", 400, `"code":"SubscriptionIdMissingInRequest"`},
		{"GET", "/subscriptions//providers/Microsoft.Commerce.Admin/subscriberUsageAggregates", 400, `"code":"SubscriptionIdMissingInRequest"`},
		{"GET", "/SUBSCRIPTIONS/00000000-0000-4000-8000-0000000000A1/providers/MICROSOFT.COMMERCE/UsageAggregates?api-version=2015-06-01-preview" +
			"&reportedStartTime=2026-03-02T00:00:00Z&reportedEndTime=2026-03-03T00:00:00Z", 200, `{"value":[]}`},
	} {
		w := ask(s.http.Handler, test.method, test.target, admin, "")
		require.Equal(t, test.status, w.Code, "%s %s: %s", test.method, test.target, w.Body)
		require.Contains(t, w.Body.String(), test.want, test.target)
		require.True(t, json.Valid(w.Body.Bytes()), test.target)
		require.Contains(t, w.Header().Get("Content-Type"), "json", test.target)
		require.Empty(t, w.Header().Get("Location"), test.target)
		if test.status == 405 {
			require.NotEmpty(t, w.Header().Get("Allow"), test.target)
		}
	}
}

// TestNoTokens: without a config nobody has a token, and every API says so.
func TestNoTokens(t *testing.T) {
	t.Parallel()
	c, err := readConfig("")
	require.NoError(t, err)
	s, err := open(t, c, serverOptions{})
	require.NoError(t, err)
	asked := 0
	for _, r := range s.adapter.ListRoutes() {
		if !r.Public {
			asked++
			path := strings.NewReplacer("{", "x", "?}", "x", "}", "x").Replace(r.Path)
			require.Equal(t, http.StatusUnauthorized, ask(s.http.Handler, r.Method, path, admin, "").Code, r.Path)
		}
	}
	require.Greater(t, asked, 20)
	require.Equal(t, http.StatusOK, ask(s.http.Handler, "GET", "/openapi.json", "", "").Code)
}

// TestDemonstrationMeter: the meter requests takes what comes, but nothing negative.
func TestDemonstrationMeter(t *testing.T) {
	t.Parallel()
	s, err := open(t, demonstration(t), serverOptions{})
	require.NoError(t, err)
	h := s.http.Handler
	n := 0
	book := func(token, rest, want string) {
		t.Helper()
		n++
		body := fmt.Sprintf(`[{"id":"%d","source":"t","tenant":"acme","meter":"requests",%s}]`, n, rest)
		w := ask(h, "POST", "/v1/records", token, body)
		require.Equal(t, http.StatusOK, w.Code, w.Body)
		require.Contains(t, w.Body.String(), want, body)
	}
	for _, token := range []string{admin, acme} {
		book(token, `"start":"1900-01-01T00:00:00Z","quantity":"0"`, `"inserted":1`)
		book(token, `"start":"2200-01-01T00:00:00Z","quantity":"99999999999999999999.000000000000000000000000000001"`, `"inserted":1`)
		book(token, `"start":"2026-01-01T00:00:00Z","quantity":1.5,"dimensions":{"any":"thing","unit":"","tags":{"a":[1]},"userType":"robot"}`, `"inserted":1`)
		book(token, `"start":"2026-01-01T00:00:00Z","values":{"tokens":"-1"}`, `"inserted":1`)
		book(token, `"start":"2026-01-01T00:00:00Z","quantity":"-0.000000000000000000000000000001"`, `"rejected":1`)
	}
	w := ask(h, "GET", "/v1/usage?tenant=acme&$filter=any%20eq%20'thing'&$groupby=meter,any&measures=sum(quantity)%20as%20q", acme, "")
	require.JSONEq(t, `{"columns":["start","end","meter","any","q"],"rows":[{"start":null,"end":null,"meter":"requests","any":"thing","q":"3"}],"asOf":8}`, w.Body.String())
}

// TestTightClient: the demonstration's tokens have no rate that one client reaches.
func TestTightClient(t *testing.T) {
	t.Parallel()
	c := demonstration(t)
	s, err := open(t, c, serverOptions{})
	require.NoError(t, err)
	for _, class := range classes {
		require.GreaterOrEqual(t, c.Limits.Rates[class].PerSecond, 1e6)
		require.GreaterOrEqual(t, c.Limits.Rates[class].Burst, 1_000_000)
	}
	// Queries that nobody works on, more than the book's own bound.
	var group sync.WaitGroup
	for range 300 {
		group.Go(func() {
			w := ask(s.http.Handler, "POST", "/api/v2/usage/query", acme, `{"interval":"2026-11-01/2026-11-08"}`)
			if w.Code != http.StatusAccepted {
				t.Errorf("%d: %s", w.Code, w.Body)
			}
		})
	}
	group.Wait()
	for range 2000 {
		for _, r := range []*http.Request{request("GET", "/v1/usage?tenant=acme", acme, ""), request("POST", "/v1/records", acme, record)} {
			w := httptest.NewRecorder()
			s.http.Handler.ServeHTTP(w, r)
			require.Equal(t, http.StatusOK, w.Code, w.Body)
		}
	}
}

// TestRates: rates of a config throttle each class of routes, each API in its own way.
func TestRates(t *testing.T) {
	t.Parallel()
	c := demonstration(t)
	c.Limits.Rates = map[httpadapter.RouteClass]httpadapter.Rate{"read": {PerSecond: 0.5, Burst: 1}}
	clock := time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)
	s, err := open(t, c, serverOptions{now: func() time.Time { return clock }})
	require.NoError(t, err)
	get := func(target, token string) *httptest.ResponseRecorder {
		return ask(s.http.Handler, "GET", target, token, "")
	}
	require.Equal(t, 200, get("/v1/usage?tenant=acme", acme).Code)
	w := get("/v1/usage?tenant=acme", acme)
	require.Equal(t, 429, w.Code)
	require.Equal(t, "2", w.Header().Get("Retry-After"))
	require.Equal(t, 503, get("/api/v1/tenants/acme/usage?start=2026-03-01", acme).Code, "OCS")
	require.Equal(t, 200, get("/v1/usage?tenant=acme", admin).Code, "another caller")
	require.Equal(t, 200, ask(s.http.Handler, "POST", "/v1/records", acme, record).Code, "another class")
	clock = clock.Add(2 * time.Second)
	require.Equal(t, 200, get("/v1/usage?tenant=acme", acme).Code)
}

// TestMetering: the server's own requests are booked, and the routes of PureCloud
// report them to their callers.
func TestMetering(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := running(t, memstore.New(nil), serverOptions{metered: true})
		day := time.Now().UTC().Format(time.DateOnly)
		next := time.Now().UTC().AddDate(0, 0, 1).Format(time.DateOnly)
		for range 3 {
			b.must(t, 200, "GET", "/v1/usage?tenant=acme", acme, "")
		}
		b.must(t, 200, "POST", "/v1/records", acme, record)
		b.must(t, 403, "GET", "/api/v1/tenants/globex/usage", acme, "")
		b.must(t, 404, "GET", "/nobody", acme, "")
		b.must(t, 200, "GET", "/v1/usage?tenant=*", admin, "") // of the tenant demo
		b.must(t, 401, "GET", "/v1/usage?tenant=acme", "nobody", "")
		b.must(t, 200, "GET", "/healthz", "", "")
		time.Sleep(5 * time.Second) // batches are full or a second old
		query := func(token, group string) string {
			body := fmt.Sprintf(`{"interval":"%s/%s","groupBy":[%s],"metrics":["Status200","Status400","Requests"]}`, day, next, group)
			var started struct{ ResultsURI string }
			require.NoError(t, json.Unmarshal([]byte(b.must(t, 200, "POST", "/api/v2/usage/query", token, body)), &started))
			return b.must(t, 200, "GET", started.ResultsURI, token, "")
		}
		row := func(template, method string, ok, bad int) string {
			if template != "" {
				template = fmt.Sprintf(`"templateUri":%q,`, template)
			}
			return fmt.Sprintf(`{"clientId":"demo-acme","clientName":"demo-acme","organizationId":"acme",%s"httpMethod":%q,"status200":%d,"status400":%d,"requests":%d,"date":"%sT00:00:00Z"}`,
				template, method, ok, bad, ok+bad, day)
		}
		require.Equal(t, `{"results":[`+strings.Join([]string{
			row("", "GET", 0, 1),
			row("/api/v1/tenants/{tenantId}/usage", "GET", 0, 1),
			row("/v1/records", "POST", 1, 0),
			row("/v1/usage", "GET", 3, 0),
		}, ",")+`],"queryStatus":"Complete"}`, query(acme, `"OAuthClientId","OrganizationId","TemplateUri","HttpMethod"`))
		time.Sleep(5 * time.Second)
		require.Equal(t, `{"results":[{"organizationId":"acme","status200":6,"status400":2,"requests":8,"date":"`+day+`T00:00:00Z"},`+
			`{"organizationId":"demo","status200":1,"status400":0,"requests":1,"date":"`+day+`T00:00:00Z"}],"queryStatus":"Complete"}`, query(admin, `"OrganizationId"`))
		b.end(t)
	})
}

// TestMeteringEndsWhole: what was served before the end is booked when run returns.
func TestMeteringEndsWhole(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New(nil)
		b := running(t, store, serverOptions{metered: true})
		for range 7 {
			b.must(t, 200, "GET", "/v1/usage?tenant=acme", acme, "")
		}
		b.end(t)
		book, err := usage.New(store, &usage.Options{Meters: httpadapter.Meters()})
		require.NoError(t, err)
		page, err := book.Query(t.Context(), usage.ForTenant("acme"), usage.Query{GroupBy: []string{"templateUri"}, Measures: []usage.Measure{{Name: "n", Of: "requests"}}})
		require.NoError(t, err)
		require.Len(t, page.Rows, 1)
		require.Equal(t, "7", fmt.Sprint(page.Rows[0].Get("n")))
	})
}

// TestCleanEnd: requests that are there are finished, no new ones are taken, work in
// the background is given back, and another server over the store goes on with it at
// once.
func TestCleanEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared := memstore.New(nil)
		store := &held{Store: shared, release: map[string]chan struct{}{"1": make(chan struct{}), "of a job": make(chan struct{})}}
		b := running(t, store, serverOptions{})
		var job struct{ ID, Status string }
		work := strings.Replace(record, `"id":"1"`, `"id":"of a job"`, 1)
		require.NoError(t, json.Unmarshal([]byte(b.must(t, 202, "POST", "/v1/jobs", acme, work)), &job))
		synctest.Wait()
		require.EqualValues(t, 1, store.waiting.Load(), "a worker has it")

		type answer struct {
			status int
			body   string
			err    error
		}
		answered := make(chan answer, 1)
		go func() {
			status, body, err := b.do("POST", "/v1/records", acme, record)
			answered <- answer{status, body, err}
		}()
		synctest.Wait()
		require.EqualValues(t, 2, store.waiting.Load(), "it is being served")

		b.stop()
		time.Sleep(time.Second)
		select {
		case err := <-b.ended:
			t.Fatal("it has not waited for the request", err)
		default:
		}
		_, _, err := b.do("GET", "/healthz", "", "")
		require.ErrorContains(t, err, "connection refused")

		close(store.release["1"])
		a := <-answered
		require.NoError(t, a.err)
		require.Equal(t, 200, a.status)
		require.Contains(t, a.body, `"inserted":1`)
		b.client.CloseIdleConnections()
		require.NoError(t, <-b.ended)

		begun := time.Now()
		b = running(t, shared, serverOptions{})
		time.Sleep(5 * time.Second)
		require.Contains(t, b.must(t, 200, "GET", "/v1/jobs/"+job.ID, acme, ""), `"status":"completed"`)
		require.Less(t, time.Since(begun), time.Minute, "the lease did not have to pass")
		require.Contains(t, b.must(t, 200, "GET", "/v1/usage?tenant=acme&measures=sum(quantity)%20as%20q,count()%20as%20n", acme, ""), `"q":"3","n":"2"`)
		b.end(t)
	})
}

// TestRequestsThatDoNotEnd: they are cut off, and the end says so.
func TestRequestsThatDoNotEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := running(t, &held{Store: memstore.New(nil), release: map[string]chan struct{}{"1": make(chan struct{})}}, serverOptions{})
		failed := make(chan error, 1)
		go func() {
			_, _, err := b.do("POST", "/v1/records", acme, record)
			failed <- err
		}()
		synctest.Wait()
		begun := time.Now()
		b.stop()
		require.ErrorContains(t, <-b.ended, "requests did not end in 10s")
		require.Equal(t, grace, time.Since(begun))
		require.Error(t, <-failed)
	})
}

// TestSlowClients: whoever is slow with head or body, or says nothing, is cut off.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	const post = "POST /v1/records HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nAuthorization: Bearer demo-acme\r\n"
	const whole = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
	for name, test := range map[string]struct {
		text     string
		statuses []int
		after    time.Duration
	}{
		"nothing":               {"", nil, headerTime},
		"half a head":           {"GET /v1/usage HTTP/1.1\r\nHost:", nil, headerTime},
		"half a body":           {post + "Content-Length: 100\r\n\r\n[{", []int{408}, 30 * time.Second},
		"half a chunk":          {post + "Transfer-Encoding: chunked\r\n\r\n10\r\n[{", []int{408}, 30 * time.Second},
		"of nobody known":       {"POST /v1/records HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n[{", []int{401}, 90 * time.Second},
		"to a health route":     {"GET /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n[{", []int{200}, 100 * time.Second},
		"silent after requests": {whole + whole, []int{200, 200}, 2 * time.Minute},
		"half a head later on":  {whole + "GET /he", []int{200}, headerTime},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := running(t, memstore.New(nil), serverOptions{})
				conn, err := b.net.dial(t.Context(), "", "")
				require.NoError(t, err)
				begun := time.Now()
				go func() { _, _ = io.WriteString(conn, test.text) }()
				in := bufio.NewReader(conn)
				for _, want := range test.statuses {
					resp, err := http.ReadResponse(in, nil)
					require.NoError(t, err)
					require.Equal(t, want, resp.StatusCode)
					_, err = io.Copy(io.Discard, resp.Body)
					require.NoError(t, err)
				}
				_, err = io.Copy(io.Discard, in)
				require.NoError(t, err, "the connection is closed")
				require.LessOrEqual(t, time.Since(begun), test.after+time.Second)
				conn.Close()
				b.end(t)
			})
		})
	}
}

// TestLargeHeads: a head above the bound is refused, and the server goes on.
func TestLargeHeads(t *testing.T) {
	t.Parallel()
	s, err := open(t, demonstration(t), serverOptions{})
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(s.http.Handler)
	server.Config = &s.http
	server.Start()
	defer server.Close()
	get := func(target, header string) int {
		r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+target, nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer demo-acme")
		r.Header.Set("X-Large", header)
		resp, err := server.Client().Do(r)
		require.NoError(t, err)
		resp.Body.Close()
		return resp.StatusCode
	}
	require.Equal(t, 200, get("/healthz", strings.Repeat("x", 50_000)))
	require.Equal(t, 431, get("/healthz", strings.Repeat("x", 100_000)))
	require.Equal(t, 400, get("/v1/usage?tenant=acme&$filter="+strings.Repeat("x", 40_000), ""), "the adapter bounds the query string")
	require.Equal(t, 200, get("/healthz", ""))
}

// TestZones: the binary carries the time zones itself.
func TestZones(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	require.NoError(t, err)
	require.Contains(t, strings.Fields(string(out)), "time/tzdata")
}
