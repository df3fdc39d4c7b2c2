package httpadapter_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

const sample = `{"paths":{"/echo/{name}":{"get":{"responses":{"200":{"description":"ok"}}}},"/echo":{"post":{"responses":{"200":{"description":"ok"}}}},"/panic":{"get":{"responses":{"200":{"description":"ok"}}}}}}`

// echo is a small API that shows what a handler sees.
func echo() *httpadapter.API {
	text := func(c *httpadapter.Call, format string, args ...any) error {
		return c.Answer(http.StatusOK, "text/plain; charset=utf-8", fmt.Appendf(nil, format, args...))
	}
	return &httpadapter.API{Name: "echo", Roots: []string{"/echo", "/panic"}, FoldNames: true, Fail: httpadapter.FailPlain, Document: []byte(sample),
		Routes: []httpadapter.Route{
			{Method: "GET", Path: "/echo/{name}", Parameters: []string{"one", "two"},
				Authorize: func(c *httpadapter.Call) error {
					if !c.Principal.HoldsTenant(c.Path("name")) {
						return httpadapter.Denied("not the tenant %q", c.Path("name"))
					}
					return nil
				},
				Serve: func(c *httpadapter.Call) error {
					return text(c, "%s one=%q link=%s", c.Path("name"), c.Param("one"), c.Link(httpadapter.Figure{Name: "two", Value: "a b,(c)'&"}))
				}},
			{Method: "POST", Path: "/echo", Class: httpadapter.WriteClass, Authorize: httpadapter.Anyone,
				Body:  &httpadapter.BodyRule{Types: []string{"application/json"}, MaxBytes: 100},
				Serve: func(c *httpadapter.Call) error { return text(c, "%d %s", len(c.Body()), c.Body()) }},
			{Method: "GET", Path: "/panic", Authorize: httpadapter.Anyone, Parameters: []string{"late"}, Serve: func(c *httpadapter.Call) error {
				if c.Param("late") == "" {
					panic("secret detail")
				}
				return c.Stream(http.StatusOK, "text/plain", func(s *httpadapter.Stream) error {
					_, _ = io.Copy(s, strings.NewReader(strings.Repeat("x", 100_000)))
					return errors.New("secret detail")
				})
			}},
		}}
}

func newBook(t testing.TB) *usage.Book {
	t.Helper()
	book, err := usage.New(memstore.New(nil), nil)
	require.NoError(t, err)
	return book
}

func newAdapter(t testing.TB, o httpadapter.Options) *httpadapter.Adapter {
	t.Helper()
	auth, err := httpadapter.StaticTokens(map[string]httpadapter.Principal{
		"acme": {Subject: "acme", Tenants: []string{"acme", "a/b"}}, "all": {Subject: "all", Tenants: []string{"*"}}})
	require.NoError(t, err)
	if o.Authenticate == nil {
		o.Authenticate = auth
	}
	o.NewID = func() string { return "op-1" }
	a, err := httpadapter.New(newBook(t), &o, echo())
	require.NoError(t, err)
	return a
}

func ask(h http.Handler, method, target, token, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func jsonBody(r *http.Request) { r.Header.Set("Content-Type", "application/json; charset=UTF-8") }

func TestOrderOfChecks(t *testing.T) {
	t.Parallel()
	a := newAdapter(t, httpadapter.Options{})
	long := strings.Repeat("x", 101)
	for name, c := range map[string]struct {
		method, target, token, body string
		change                      func(*http.Request)
		status                      int
		want                        string
	}{
		"nobody's path":                {"GET", "/other", "", "", nil, 404, `"code":"no_path"`},
		"no such path":                 {"GET", "/echo/a/b/c", "", "", nil, 404, `"code":"no_path"`},
		"a path of half a segment":     {"GET", "/echoes", "", "", nil, 404, ""},
		"a trailing slash":             {"GET", "/echo/", "all", "", nil, 404, ""},
		"another method":               {"DELETE", "/echo/acme", "", "", nil, 405, "Allowed: GET."},
		"no token":                     {"GET", "/echo/acme", "", "", nil, 401, `"code":"no_token"`},
		"a bad token":                  {"GET", "/echo/acme", "nobody", "", nil, 401, `"code":"bad_token"`},
		"another scheme":               {"GET", "/echo/acme", "", "", func(r *http.Request) { r.Header.Set("Authorization", "Basic YQ==") }, 401, "bad_token"},
		"two tokens":                   {"GET", "/echo/acme", "acme", "", func(r *http.Request) { r.Header.Add("Authorization", "Bearer all") }, 401, "bad_token"},
		"another tenant, bad query":    {"GET", "/echo/globex?one=%zz", "acme", "", nil, 403, "globex"},
		"a bad query":                  {"GET", "/echo/acme?one=%zz", "acme", "", nil, 400, "percent-encoded"},
		"bytes that are no text":       {"GET", "/echo/acme?one=%ff", "acme", "", nil, 400, "percent-encoded"},
		"a parameter twice":            {"GET", "/echo/acme?one=1&ONE=2", "acme", "", nil, 400, `"code":"twice"`},
		"an unknown parameter twice":   {"GET", "/echo/acme?three=1&three=2", "acme", "", nil, 200, "one=\"\""},
		"a name in another case":       {"GET", "/echo/acme?ONE=x+y", "acme", "", nil, 200, `one="x y"`},
		"a slash in a segment":         {"GET", "/echo/a%2Fb", "acme", "", nil, 200, "a/b one"},
		"another content type":         {"POST", "/echo", "acme", "{}", func(r *http.Request) { r.Header.Set("Content-Type", "text/xml") }, 415, "Supported: application/json."},
		"no content type":              {"POST", "/echo", "acme", "{}", nil, 415, ""},
		"another charset":              {"POST", "/echo", "acme", "{}", func(r *http.Request) { r.Header.Set("Content-Type", "application/json; charset=latin1") }, 415, ""},
		"another encoding":             {"POST", "/echo", "acme", "{}", func(r *http.Request) { jsonBody(r); r.Header.Set("Content-Encoding", "br") }, 415, "gzip"},
		"too large":                    {"POST", "/echo", "acme", long, jsonBody, 413, "100 bytes"},
		"too large, of unknown length": {"POST", "/echo", "acme", long, func(r *http.Request) { jsonBody(r); r.ContentLength = -1 }, 413, "100 bytes"},
		"a body":                       {"POST", "/echo", "acme", "{}", jsonBody, 200, "2 {}"},
		"not gzip":                     {"POST", "/echo", "acme", "{}", func(r *http.Request) { jsonBody(r); r.Header.Set("Content-Encoding", "gzip") }, 400, "gzip"},
		"a long query":                 {"GET", "/echo/acme?one=" + strings.Repeat("x", 33<<10), "acme", "", nil, 400, "32 KiB"},
		"many parameters":              {"GET", "/echo/acme?" + strings.Repeat("x=1&", 201), "acme", "", nil, 400, "200 parameters"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			change := c.change
			if change == nil {
				change = func(*http.Request) {}
			}
			w := ask(a, c.method, c.target, c.token, c.body, change)
			require.Equal(t, c.status, w.Code, w.Body)
			require.Contains(t, w.Body.String(), c.want)
			require.NotEmpty(t, w.Body.String())
			switch c.status {
			case 405:
				require.Equal(t, "GET", w.Header().Get("Allow"))
			case 401:
				require.Equal(t, "Bearer", w.Header().Get("WWW-Authenticate"))
			}
			if c.status != 200 {
				require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
				require.Contains(t, w.Body.String(), "urn:uuid:op-1")
			}
		})
	}
}

func packed(t *testing.T, text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.String()
}

func TestGzipBodies(t *testing.T) {
	t.Parallel()
	a := newAdapter(t, httpadapter.Options{})
	gz := func(r *http.Request) { jsonBody(r); r.Header.Set("Content-Encoding", "gzip") }
	w := ask(a, "POST", "/echo", "acme", packed(t, `{"a":1}`), gz)
	require.Equal(t, "7 {\"a\":1}", w.Body.String())
	w = ask(a, "POST", "/echo", "acme", packed(t, strings.Repeat("x", 100)), gz)
	require.Equal(t, 200, w.Code)
	// Bounded after inflation: a few bytes that become many.
	w = ask(a, "POST", "/echo", "acme", packed(t, strings.Repeat("x", 10_000)), gz)
	require.Equal(t, 413, w.Code, w.Body)
	half := packed(t, "some text that is cut off")
	w = ask(a, "POST", "/echo", "acme", half[:len(half)-6], gz)
	require.Equal(t, 400, w.Code, w.Body)
}

func TestWithoutAuthenticationNobodyPasses(t *testing.T) {
	t.Parallel()
	a, err := httpadapter.New(newBook(t), nil, echo())
	require.NoError(t, err)
	require.Equal(t, 401, ask(a, "GET", "/echo/acme", "all", "").Code)
}

func TestAuthenticationThatFails(t *testing.T) {
	t.Parallel()
	for err, status := range map[error]int{errors.New("boom"): 500, fmt.Errorf("idp: %w", usage.ErrUnavailable): 503} {
		a := newAdapter(t, httpadapter.Options{Logger: slog.New(slog.DiscardHandler),
			Authenticate: func(*http.Request) (httpadapter.Principal, error) { return httpadapter.Principal{}, err }})
		w := ask(a, "GET", "/echo/acme", "x", "")
		require.Equal(t, status, w.Code)
		require.NotContains(t, w.Body.String(), "boom")
		if status == 503 {
			require.Equal(t, "5", w.Header().Get("Retry-After"))
		}
	}
}

func TestPanicsAreAnswered(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	var seen httpadapter.Exchange
	a := newAdapter(t, httpadapter.Options{Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Observe: func(_ context.Context, x httpadapter.Exchange) { seen = x }})
	w := ask(a, "GET", "/panic", "acme", "")
	require.Equal(t, 500, w.Code)
	require.NotContains(t, w.Body.String(), "secret")
	require.Contains(t, log.String(), "secret detail")
	require.Contains(t, log.String(), "operation=op-1")
	require.Equal(t, 500, seen.Status)
	require.Equal(t, "/panic", seen.Pattern)
	require.Equal(t, "acme", seen.Subject)
	// Half an answer is never taken for a whole one.
	require.PanicsWithError(t, http.ErrAbortHandler.Error(), func() { ask(a, "GET", "/panic?late=1", "acme", "") })
}

func TestRateLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, err := httpadapter.NewLimiter(&httpadapter.LimitOptions{Rates: map[httpadapter.RouteClass]httpadapter.Rate{httpadapter.ReadClass: {PerSecond: 0.5, Burst: 2}}, Callers: 2})
		require.NoError(t, err)
		a := newAdapter(t, httpadapter.Options{Limiter: l})
		get := func(token string) *httptest.ResponseRecorder { return ask(a, "GET", "/echo/acme", token, "") }
		require.Equal(t, 200, get("acme").Code)
		require.Equal(t, 200, get("acme").Code)
		w := get("acme")
		require.Equal(t, 429, w.Code)
		require.Equal(t, "2", w.Header().Get("Retry-After"))
		require.Equal(t, 200, get("all").Code, "another caller")
		require.Equal(t, 200, ask(a, "POST", "/echo", "acme", "{}", jsonBody).Code, "a class without a rate")
		// A caller that may not is told of its rate first.
		require.Equal(t, 429, ask(a, "GET", "/echo/globex", "acme", "").Code)
		time.Sleep(2 * time.Second)
		require.Equal(t, 200, get("acme").Code)
		require.Equal(t, 429, get("acme").Code)
	})
}

func TestLimiterForgetsTheSilent(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	l, err := httpadapter.NewLimiter(&httpadapter.LimitOptions{Rates: map[httpadapter.RouteClass]httpadapter.Rate{"read": {PerSecond: 1, Burst: 1}}, Callers: 2,
		Now: func() time.Time { return now }})
	require.NoError(t, err)
	allow := func(s string) bool { ok, _ := l.Allow(s, "read"); return ok }
	require.True(t, allow("a"))
	require.True(t, allow("b"))
	require.False(t, allow("a"))
	require.True(t, allow("c")) // b, silent for longest, is forgotten
	require.False(t, allow("a"))
	require.True(t, allow("b"))
	_, err = httpadapter.NewLimiter(&httpadapter.LimitOptions{Rates: map[httpadapter.RouteClass]httpadapter.Rate{"read": {PerSecond: 1}}})
	require.ErrorContains(t, err, "at least 1 at once")
}

func TestWhatWrapsTheAdapterSeesTheRoute(t *testing.T) {
	t.Parallel()
	a := newAdapter(t, httpadapter.Options{Prefix: "/usage"})
	r := httptest.NewRequest("GET", "/usage/echo/acme", nil)
	r.Header.Set("Authorization", "Bearer acme")
	a.ServeHTTP(httptest.NewRecorder(), r)
	require.Equal(t, "GET /usage/echo/{name}", r.Pattern)
}

func TestMounting(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prefix, base, path, link string
		mount                    func(*httpadapter.Adapter) http.Handler
	}{
		"directly": {"", "", "/echo/acme", "http://example.com/echo/acme?one=1&two=", func(a *httpadapter.Adapter) http.Handler { return a }},
		"on a mux": {"", "", "/echo/acme", "http://example.com/echo/acme?one=1&two=", func(a *httpadapter.Adapter) http.Handler {
			mux := http.NewServeMux()
			a.Mount(mux)
			return mux
		}},
		"below a prefix": {"/usage", "", "/usage/echo/acme", "http://example.com/usage/echo/acme?one=1&two=", func(a *httpadapter.Adapter) http.Handler {
			mux := http.NewServeMux()
			a.Mount(mux)
			return mux
		}},
		"behind a proxy": {"", "https://api.example.org/v/", "/echo/acme", "https://api.example.org/v/echo/acme?one=1&two=", func(a *httpadapter.Adapter) http.Handler {
			return a.Wrap(http.NotFoundHandler())
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := c.mount(newAdapter(t, httpadapter.Options{Prefix: c.prefix, BaseURL: c.base}))
			w := ask(h, "GET", c.path+"?one=1", "acme", "")
			require.Equal(t, 200, w.Code, w.Body)
			require.Contains(t, w.Body.String(), "link="+c.link+"a%20b%2C%28c%29%27%26")
			require.Equal(t, 404, ask(h, "GET", "/else", "acme", "").Code)
		})
	}
}

func TestNewNamesEveryFault(t *testing.T) {
	t.Parallel()
	twin := echo()
	_, err := httpadapter.New(nil, &httpadapter.Options{Prefix: "usage/", BaseURL: "api.example.org", MaxBody: -1, Timeout: -1,
		Catalogue: &httpadapter.Catalogue{Tenants: []httpadapter.Tenant{{}, {ID: "a", BillingAnchorDay: 40}},
			Subscriptions: []httpadapter.Subscription{{ID: "x", Tenant: "a"}, {ID: "X", Tenant: "a", Provider: "y"}}}},
		echo(), twin, nil, &httpadapter.API{Name: "broken", Routes: []httpadapter.Route{{Method: "GET", Path: "x"}}})
	for _, want := range []string{"book is nil", "prefix", "base URL", "MaxBody", "Timeout", "tenants[0] has no id", "40", "listed twice", "provider \"y\"",
		"echo is given twice", "both claim /echo", "an API is nil", "broken has no Fail", "lacks Serve"} {
		require.ErrorContains(t, err, want)
	}
}

func TestDocumentHasToMatchTheRoutes(t *testing.T) {
	t.Parallel()
	x := echo()
	x.Document = []byte(`{"paths":{"/echo/{name}":{"get":{},"put":{}},"/panic":{"get":{}}}}`)
	_, err := httpadapter.New(newBook(t), nil, x)
	require.ErrorContains(t, err, "does not describe POST /echo")
	require.ErrorContains(t, err, "PUT /echo/{name}, which it does not serve")
}
