package httpadapter_test

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// meterCaller places every request with the same caller.
func meterCaller(*http.Request) (httpadapter.Caller, bool) {
	return httpadapter.Caller{Tenant: "acme", Client: "client-1", User: "u1"}, true
}

// newMeter returns a meter over a handler, with meterCaller where the options
// have no Identify, and silent where they have no Logger.
func newMeter(t testing.TB, next http.Handler, book httpadapter.Appender, o httpadapter.MeterOptions) *httpadapter.Metered {
	t.Helper()
	if o.Identify == nil {
		o.Identify = meterCaller
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	m, err := httpadapter.Meter(next, book, &o)
	require.NoError(t, err)
	return m
}

// meterRecords returns what is booked, in the order in which it was queued.
func meterRecords(t testing.TB, book *usage.Book) []*usage.Stored {
	t.Helper()
	var out []*usage.Stored
	for row, err := range book.Rows(t.Context(), usage.AllTenants(), usage.Query{}) {
		require.NoError(t, err)
		out = append(out, row.Record)
	}
	slices.SortFunc(out, func(a, b *usage.Stored) int { return int(a.Sequence) - int(b.Sequence) })
	return out
}

// meterOne serves one request and returns the record of it.
func meterOne(t testing.TB, next http.Handler, r *http.Request) *usage.Stored {
	t.Helper()
	return meterOneOn(t, httptest.NewRecorder(), next, r)
}

func meterOneOn(t testing.TB, w http.ResponseWriter, next http.Handler, r *http.Request) *usage.Stored {
	t.Helper()
	book, _ := usagetest.NewBook(t, nil)
	m := newMeter(t, next, book, httpadapter.MeterOptions{})
	m.ServeHTTP(w, r)
	require.NoError(t, m.Flush(t.Context()))
	records := meterRecords(t, book)
	require.Len(t, records, 1)
	return records[0]
}

func TestMeterStatuses(t *testing.T) {
	t.Parallel()
	status := func(codes ...int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for _, c := range codes {
				w.WriteHeader(c)
			}
		}
	}
	for name, c := range map[string]struct {
		next http.HandlerFunc
		want string
	}{
		"nothing written":          {status(), "{requests=1, status200=1}"},
		"only a body":              {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }, "{bytesOut=2, requests=1, status200=1}"},
		"only a text":              {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "text") }, "{bytesOut=4, requests=1, status200=1}"},
		"only a flush":             {func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); w.WriteHeader(500) }, "{requests=1, status200=1}"},
		"200":                      {status(200), "{requests=1, status200=1}"},
		"299":                      {status(299), "{requests=1, status200=1}"},
		"302":                      {status(302), "{requests=1, status300=1}"},
		"404":                      {status(404), "{requests=1, status400=1}"},
		"429":                      {status(429), "{requests=1, status400=1, status429=1}"},
		"503":                      {status(503), "{requests=1, status500=1}"},
		"600":                      {status(600), "{requests=1}"},
		"101":                      {status(101), "{requests=1}"},
		"the first one is final":   {status(404, 200), "{requests=1, status400=1}"},
		"101 is final":             {status(101, 500), "{requests=1}"},
		"early hints are not":      {status(103, 100, 404), "{requests=1, status400=1}"},
		"a body is a 200":          {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(nil); w.WriteHeader(500) }, "{requests=1, status200=1}"},
		"nothing but early hints":  {status(103), "{requests=1, status200=1}"},
		"the request's own reader": {func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }, "{bytesIn=3, bytesOut=3, requests=1, status200=1}"},
		"what was not read": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.ReadFull(r.Body, make([]byte, 2))
			w.WriteHeader(413)
		}, "{bytesIn=2, requests=1, status400=1}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := meterOne(t, c.next, httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader("in!"))))
			require.Equal(t, c.want, r.Values.String())
		})
	}
}

func TestMeterPanics(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		next  http.HandlerFunc
		panic any
		want  string
	}{
		"before anything":    {func(http.ResponseWriter, *http.Request) { panic(boom) }, boom, "{requests=1, status500=1}"},
		"after a status":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); panic(boom) }, boom, "{requests=1, status500=1}"},
		"after some bytes":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")); panic(boom) }, boom, "{bytesOut=2, requests=1, status500=1}"},
		"an aborted answer":  {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, http.ErrAbortHandler, "{requests=1, status500=1}"},
		"a recovered one":    {func(w http.ResponseWriter, _ *http.Request) { defer func() { _ = recover() }(); panic(boom) }, nil, "{requests=1, status200=1}"},
		"an ended goroutine": {func(http.ResponseWriter, *http.Request) { runtime.Goexit() }, nil, "{requests=1, status500=1}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			book, _ := usagetest.NewBook(t, nil)
			m := newMeter(t, c.next, book, httpadapter.MeterOptions{})
			var got any
			done := make(chan struct{})
			go func() { // a goroutine of its own, for Goexit
				defer close(done)
				defer func() { got = recover() }()
				m.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
			}()
			<-done
			require.Equal(t, c.panic, got)
			require.NoError(t, m.Flush(t.Context()))
			records := meterRecords(t, book)
			require.Len(t, records, 1)
			require.Equal(t, c.want, records[0].Values.String())
		})
	}
}

// An impossible status panics in the server, as without the meter.
func TestMeterImpossibleStatus(t *testing.T) {
	t.Parallel()
	var handler http.HandlerFunc = func(w http.ResponseWriter, _ *http.Request) {
		defer func() { _ = recover() }()
		w.WriteHeader(42)
	}
	require.Equal(t, "{requests=1, status200=1}", meterOne(t, handler, httptest.NewRequest("GET", "/", nil)).Values.String())
}

func TestMeterPatterns(t *testing.T) {
	t.Parallel()
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	inner := http.NewServeMux()
	inner.Handle("GET /things/{id}", ok)
	mux := http.NewServeMux()
	mux.Handle("GET /users/{id}", ok)
	mux.Handle("example.org/users/{id}", ok)
	mux.Handle("POST\t example.org/orders/{rest...}", ok)
	mux.Handle("/exact/{$}", ok)
	mux.Handle("/stripped/", http.StripPrefix("/stripped", inner))
	mux.Handle("/things/", inner)
	mux.Handle("/copied/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner.ServeHTTP(w, r.WithContext(r.Context()))
	}))
	mux.Handle("/overridden/{id}", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { r.Method = "PATCH" }))
	for name, c := range map[string]struct{ method, target, want string }{
		"a pattern with a method":         {"GET", "/users/7", "GET /users/{id}"},
		"its HEAD":                        {"HEAD", "/users/7", "HEAD /users/{id}"},
		"one with a host":                 {"DELETE", "http://example.org/users/7", "DELETE /users/{id}"},
		"one with both":                   {"POST", "http://example.org/orders/1/2", "POST /orders/{rest...}"},
		"the end of a path":               {"GET", "/exact/", "GET /exact/{$}"},
		"nothing matched":                 {"GET", "/nowhere", "GET"},
		"no such method":                  {"POST", "/users/7", "POST"},
		"a copy hides the inner mux":      {"GET", "/stripped/things/7", "GET /stripped/"},
		"and so does any":                 {"GET", "/copied/7", "GET /copied/"},
		"a mux that is handed the same":   {"GET", "/things/7", "GET /things/{id}"},
		"which finds nothing":             {"PUT", "/things/7", "PUT"},
		"a redirect to the slash":         {"GET", "/stripped", "GET /stripped/"},
		"the method as it arrived":        {"POST", "/overridden/7", "POST /overridden/{id}"},
		"a method of the client's making": {"BREW", "/nowhere", "BREW"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := meterOne(t, mux, httptest.NewRequest(c.method, c.target, nil))
			method, _ := r.Dimensions.Get("httpMethod")
			template, has := r.Dimensions.Get("templateUri")
			got := method
			if has {
				got += " " + template
			}
			require.Equal(t, c.want, got)
		})
	}

	t.Run("inside the mux", func(t *testing.T) {
		t.Parallel()
		book, _ := usagetest.NewBook(t, nil)
		m := newMeter(t, ok, book, httpadapter.MeterOptions{})
		outer := http.NewServeMux()
		outer.Handle("GET /a/{b}", m)
		r := httptest.NewRequest("GET", "/a/1", nil)
		outer.ServeHTTP(httptest.NewRecorder(), r)
		require.NoError(t, m.Flush(t.Context()))
		usagetest.Booked(t, book, usage.ForTenant("acme")).Where("templateUri eq '/a/{b}'").Count(1)
	})
	t.Run("another router", func(t *testing.T) {
		t.Parallel()
		book, _ := usagetest.NewBook(t, nil)
		m := newMeter(t, mux, book, httpadapter.MeterOptions{Template: func(r *http.Request) string { return "route of " + r.Pattern }})
		m.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/users/7", nil))
		require.NoError(t, m.Flush(t.Context()))
		usagetest.Booked(t, book, usage.ForTenant("acme")).Where("templateUri eq 'route of GET /users/{id}'").Count(1)
	})
	t.Run("outer handlers see the pattern", func(t *testing.T) {
		t.Parallel()
		book, _ := usagetest.NewBook(t, nil)
		r := httptest.NewRequest("GET", "/users/7", strings.NewReader("body"))
		newMeter(t, mux, book, httpadapter.MeterOptions{}).ServeHTTP(httptest.NewRecorder(), r)
		require.Equal(t, "GET /users/{id}", r.Pattern)
		require.Equal(t, "7", r.PathValue("id"))
	})
}

// TestMeterBytes goes over a real connection, one for all.
func TestMeterBytes(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, bytes.Repeat([]byte("file"), 25_000), 0o600))
	mux := http.NewServeMux()
	fine := func(ok bool, err error) { // off the test's goroutine, where require must not fail
		if !ok {
			t.Error(err)
		}
	}
	handle := func(pattern string, h http.HandlerFunc) { mux.HandleFunc(pattern, h) }
	handle("/echo", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	handle("/whole", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		fine(err == nil, err)
		_, _ = w.Write(b)
	})
	handle("/ignore", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	handle("/no-content", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
		_, err := w.Write([]byte("refused"))
		fine(errors.Is(err, http.ErrBodyNotAllowed), err)
	})
	handle("/file", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) })
	handle("/unzip", func(w http.ResponseWriter, r *http.Request) {
		z, err := gzip.NewReader(r.Body)
		fine(err == nil, err)
		n, err := io.Copy(io.Discard, z)
		fine(err == nil, err)
		_, _ = fmt.Fprint(w, n)
	})
	handle("/zip", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = z.Write(bytes.Repeat([]byte("a"), 10_000))
		err := z.Close()
		fine(err == nil, err)
	})
	handle("/stream", func(w http.ResponseWriter, _ *http.Request) {
		c := http.NewResponseController(w)
		err := c.SetWriteDeadline(time.Now().Add(time.Minute))
		fine(err == nil, err)
		for range 3 {
			_, _ = io.WriteString(w, "tick")
			err := c.Flush()
			fine(err == nil, err)
		}
	})
	handle("/limited", func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 10))
		fine(errors.As(err, new(*http.MaxBytesError)), err)
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	})

	book, _ := usagetest.NewBook(t, nil)
	m := newMeter(t, mux, book, httpadapter.MeterOptions{})
	var conns atomic.Int64
	server := httptest.NewUnstartedServer(m)
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	client := server.Client()
	client.Transport.(*http.Transport).DisableCompression = true

	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := z.Write(bytes.Repeat([]byte("b"), 5_000))
	require.NoError(t, err)
	require.NoError(t, z.Close())

	var wire int64 // of /zip
	for _, c := range []struct {
		method, path string
		body         io.Reader
		in, out      int64 // out -1: what arrived
	}{
		{"POST", "/echo", strings.NewReader("hello"), 5, 5},
		{"POST", "/echo", io.MultiReader(strings.NewReader("chunk"), strings.NewReader("ed")), 7, 7}, // no length: chunked
		{"POST", "/echo", strings.NewReader(""), 0, 0},
		{"POST", "/whole", bytes.NewReader(make([]byte, 1<<20)), 1 << 20, 1 << 20},
		{"POST", "/ignore", strings.NewReader("not read"), 0, 0},
		{"GET", "/no-content", nil, 0, 0},
		{"GET", "/file", nil, 0, 100_000},
		{"HEAD", "/file", nil, 0, 0},
		{"HEAD", "/stream", nil, 0, 0},
		{"GET", "/stream", nil, 0, 12},
		{"POST", "/unzip", bytes.NewReader(zipped.Bytes()), int64(zipped.Len()), 4},
		{"GET", "/zip", nil, 0, -1},
		{"POST", "/limited", strings.NewReader("more than ten"), 11, 0}, // one more than the limit, to see that there is more
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, server.URL+c.path, c.body)
		require.NoError(t, err)
		response, err := client.Do(r)
		require.NoError(t, err)
		wire, err = io.Copy(io.Discard, response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		if c.out >= 0 && c.method != "HEAD" {
			require.Equal(t, c.out, wire, c.path)
		} else if c.out < 0 {
			require.Less(t, wire, int64(200), "compressed")
			c.out = wire
		}
		// The record is queued once the handler has returned, which may be after
		// the client has the answer: the next one comes on the same connection.
		response, err = client.Get(server.URL + "/nothing")
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, response.Body)
		require.NoError(t, response.Body.Close())
		require.NoError(t, m.Flush(t.Context()))
		records := meterRecords(t, book)
		i := slices.IndexFunc(records, func(r *usage.Stored) bool {
			template, _ := r.Dimensions.Get("templateUri")
			method, _ := r.Dimensions.Get("httpMethod")
			in, _ := r.Values.Get("bytesIn")
			out, _ := r.Values.Get("bytesOut")
			return template == c.path && method == c.method && in.IntPart() == c.in && out.IntPart() == c.out
		})
		require.GreaterOrEqual(t, i, 0, "%s %s: want %d bytes in and %d out", c.method, c.path, c.in, c.out)
	}
	require.EqualValues(t, 1, conns.Load(), "all over one connection")
	require.Equal(t, m.Stats().Booked, int64(len(meterRecords(t, book))))
}

func TestMeterHijack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hijack func(http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error)
		want   string
	}{
		"by assertion": {func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) { return w.(http.Hijacker).Hijack() }, "{requests=1}"},
		"by controller": {func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) {
			return http.NewResponseController(w).Hijack()
		}, "{requests=1}"},
		"after a status": {func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) {
			w.WriteHeader(http.StatusTeapot)
			return w.(http.Hijacker).Hijack()
		}, "{requests=1, status400=1}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			book, _ := usagetest.NewBook(t, nil)
			m := newMeter(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				conn, rw, err := c.hijack(w)
				if err != nil {
					t.Error(err)
					return
				}
				defer func() { _ = conn.Close() }()
				_, _ = rw.WriteString("free")
				_ = rw.Flush()
			}), book, httpadapter.MeterOptions{})
			served := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(served)
				m.ServeHTTP(w, r)
			}))
			t.Cleanup(server.Close)
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			require.NoError(t, err)
			_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: test\r\n\r\n")
			require.NoError(t, err)
			b, err := io.ReadAll(conn)
			require.NoError(t, err)
			require.NoError(t, conn.Close())
			require.Contains(t, string(b), "free")
			<-served
			require.NoError(t, m.Flush(t.Context()))
			records := meterRecords(t, book)
			require.Len(t, records, 1)
			require.Equal(t, c.want, records[0].Values.String())
		})
	}
}

// The writers below: nothing but the interface, and one power each.
type (
	bareWriter  struct{ http.ResponseWriter }
	meterPowerF struct{}
	meterPowerE struct{}
	meterPowerH struct{}
	meterPowerP struct{}
	unwrapping  struct{ http.ResponseWriter }
)

func (meterPowerF) Flush()            {}
func (meterPowerE) FlushError() error { return errMeter }
func (meterPowerH) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, errMeter
}
func (meterPowerP) Push(string, *http.PushOptions) error { return errMeter }
func (u unwrapping) Unwrap() http.ResponseWriter         { return u.ResponseWriter }

var errMeter = errors.New("called")

// TestMeterWriterPowers holds that the writer of the handler has the powers of
// the one below, no more and no fewer.
func TestMeterWriterPowers(t *testing.T) {
	t.Parallel()
	type (
		f = meterPowerF
		h = meterPowerH
		p = meterPowerP
	)
	bare := bareWriter{httptest.NewRecorder()}
	for name, c := range map[string]struct {
		below               http.ResponseWriter
		flush, hijack, push bool
	}{
		"none": {bare, false, false, false},
		"F": {struct {
			bareWriter
			f
		}{bare, f{}}, true, false, false},
		"FlushError": {struct {
			bareWriter
			meterPowerE
		}{bare, meterPowerE{}}, true, false, false},
		"H": {struct {
			bareWriter
			h
		}{bare, h{}}, false, true, false},
		"P": {struct {
			bareWriter
			p
		}{bare, p{}}, false, false, true},
		"FH": {struct {
			bareWriter
			f
			h
		}{bare, f{}, h{}}, true, true, false},
		"FP": {struct {
			bareWriter
			f
			p
		}{bare, f{}, p{}}, true, false, true},
		"HP": {struct {
			bareWriter
			h
			p
		}{bare, h{}, p{}}, false, true, true},
		"FHP": {struct {
			bareWriter
			f
			h
			p
		}{bare, f{}, h{}, p{}}, true, true, true},
		"FH behind Unwrap": {unwrapping{unwrapping{struct {
			bareWriter
			f
			h
		}{bare, f{}, h{}}}}, true, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			// Not in parallel: all write to one recorder.
			r := meterOneOn(t, c.below, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				flusher, flush := w.(http.Flusher)
				hijacker, hijack := w.(http.Hijacker)
				pusher, push := w.(http.Pusher)
				require.Equal(t, []bool{c.flush, c.hijack, c.push}, []bool{flush, hijack, push})
				control := http.NewResponseController(w)
				if hijack {
					_, _, err := hijacker.Hijack()
					require.ErrorIs(t, err, errMeter)
					_, _, err = control.Hijack()
					require.ErrorIs(t, err, errMeter)
				} else {
					_, _, err := control.Hijack()
					require.ErrorIs(t, err, http.ErrNotSupported)
				}
				if push {
					require.ErrorIs(t, pusher.Push("/x", nil), errMeter)
				}
				switch err := control.Flush(); {
				case !flush:
					require.ErrorIs(t, err, http.ErrNotSupported)
				case name == "FlushError":
					require.ErrorIs(t, err, errMeter)
				default:
					require.NoError(t, err)
				}
				if flush {
					flusher.Flush()
				}
				n, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("read"))
				require.NoError(t, err)
				require.EqualValues(t, 4, n)
				require.Equal(t, c.below, w.(interface{ Unwrap() http.ResponseWriter }).Unwrap())
			}), httptest.NewRequest("GET", "/", nil))
			require.Equal(t, "{bytesOut=4, requests=1, status200=1}", r.Values.String(), "a hijack that fails is none")
		})
	}
}

func TestMeterHTTP2(t *testing.T) {
	t.Parallel()
	book, _ := usagetest.NewBook(t, nil)
	done := make(chan struct{})
	m := newMeter(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, flush := w.(http.Flusher)
		_, hijack := w.(http.Hijacker)
		_, push := w.(http.Pusher)
		if r.ProtoMajor != 2 || !flush || hijack || !push {
			t.Errorf("HTTP/%d: flush %t, hijack %t, push %t", r.ProtoMajor, flush, hijack, push)
		}
		_, _ = io.Copy(w, r.Body)
	}), book, httpadapter.MeterOptions{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		m.ServeHTTP(w, r)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	response, err := server.Client().Post(server.URL, "text/plain", strings.NewReader("twelve bytes"))
	require.NoError(t, err)
	_, _ = io.Copy(io.Discard, response.Body)
	require.NoError(t, response.Body.Close())
	<-done
	require.NoError(t, m.Flush(t.Context()))
	require.Equal(t, "{bytesIn=12, bytesOut=12, requests=1, status200=1}", meterRecords(t, book)[0].Values.String())
}

// A proxy's transport may go on reading the body when the handler is through.
func TestMeterBodyReadLate(t *testing.T) {
	t.Parallel()
	read, stop := make(chan struct{}), make(chan struct{})
	r := meterOne(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body := r.Body
		go func() {
			defer close(stop)
			_, _ = body.Read(make([]byte, 1))
			close(read)
			_, _ = io.Copy(io.Discard, body)
		}()
		<-read
	}), httptest.NewRequest("POST", "/", strings.NewReader(strings.Repeat("x", 1000))))
	<-stop
	n, _ := r.Values.Get("bytesIn")
	require.Positive(t, n.IntPart())
}

func TestMeterCallers(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 4097)
	callers := map[string]struct {
		caller   httpadapter.Caller
		ok       bool
		method   string
		want     string // the dimensions
		stats    httpadapter.MeterStats
		rejected bool
	}{
		"all of it": {httpadapter.Caller{Tenant: "acme", Client: "c", ClientName: "C", User: "u"}, true, "GET",
			`{clientId="c", clientName="C", httpMethod="GET", templateUri="/", userId="u"}`, httpadapter.MeterStats{Booked: 1}, false},
		"a tenant alone": {httpadapter.Caller{Tenant: "acme"}, true, "GET",
			`{httpMethod="GET", templateUri="/"}`, httpadapter.MeterStats{Booked: 1}, false},
		"a stranger":   {httpadapter.Caller{Tenant: "acme"}, false, "GET", "", httpadapter.MeterStats{Skipped: 1}, false},
		"no tenant":    {httpadapter.Caller{Client: "c"}, true, "GET", "", httpadapter.MeterStats{Skipped: 1}, false},
		"a long name":  {httpadapter.Caller{Tenant: "acme", Client: "c", ClientName: long}, true, "GET", `{clientId="c", httpMethod="GET", templateUri="/"}`, httpadapter.MeterStats{Booked: 1, Altered: 1}, false},
		"the longest":  {httpadapter.Caller{Tenant: "acme", Client: long[1:]}, true, "GET", fmt.Sprintf(`{clientId=%.64q..., httpMethod="GET", templateUri="/"}`, long), httpadapter.MeterStats{Booked: 1}, false},
		"Latin-1":      {httpadapter.Caller{Tenant: "acme", User: "J\xfcrg\x00"}, true, "GET", `{httpMethod="GET", templateUri="/", userId="J�rg�"}`, httpadapter.MeterStats{Booked: 1, Altered: 1}, false},
		"grows too":    {httpadapter.Caller{Tenant: "acme", User: strings.Repeat("x\xff", 2000)}, true, "GET", `{httpMethod="GET", templateUri="/"}`, httpadapter.MeterStats{Booked: 1, Altered: 1}, false},
		"a newline":    {httpadapter.Caller{Tenant: "acme", User: "a\nb"}, true, "GET", `{httpMethod="GET", templateUri="/", userId="a\nb"}`, httpadapter.MeterStats{Booked: 1}, false},
		"a long verb":  {httpadapter.Caller{Tenant: "acme"}, true, long, `{templateUri="/"}`, httpadapter.MeterStats{Booked: 1, Altered: 1}, false},
		"a bad tenant": {httpadapter.Caller{Tenant: "a\x00"}, true, "GET", "", httpadapter.MeterStats{Rejected: 1}, true},
		// Cut anywhere, it would be another tenant's name.
		"a long tenant": {httpadapter.Caller{Tenant: long}, true, "GET", "", httpadapter.MeterStats{Rejected: 1}, true},
	}
	for name, c := range callers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			book, clock := usagetest.NewBook(t, nil)
			mux := http.NewServeMux()
			served := false
			mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) { served = true })
			var attempts []httpadapter.MeterAttempt
			m := newMeter(t, mux, book, httpadapter.MeterOptions{Now: clock.Now,
				Identify: func(*http.Request) (httpadapter.Caller, bool) { return c.caller, c.ok },
				Observe:  func(a httpadapter.MeterAttempt) { attempts = append(attempts, a) }})
			r := httptest.NewRequest("GET", "/", nil)
			r.Method = c.method
			m.ServeHTTP(httptest.NewRecorder(), r)
			require.True(t, served)
			require.NoError(t, m.Flush(t.Context()))
			require.Equal(t, c.stats, m.Stats())
			records := meterRecords(t, book)
			if c.rejected {
				require.Len(t, attempts, 1)
				require.ErrorIs(t, attempts[0].Err, usage.ErrRejected)
				require.Equal(t, 1, attempts[0].Rejected)
				require.Equal(t, 1, attempts[0].Receipt.Rejected)
				require.LessOrEqual(t, len(attempts[0].Records[0].Tenant), 129)
			}
			if c.want == "" {
				require.Empty(t, records)
				return
			}
			require.Len(t, records, 1)
			require.Equal(t, c.want, records[0].Dimensions.String())
			require.Equal(t, usagetest.Epoch(), records[0].Start)
			require.True(t, records[0].End.IsZero())
		})
	}
}

// TestMeterContract holds the records to those of the contract of the PureCloud
// routes, and the figures to what these answer.
func TestMeterContract(t *testing.T) {
	t.Parallel()
	clock := usagetest.NewClock(time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC))
	meters := httpadapter.Meters()
	for i := range meters {
		meters[i].Closed = true // a name that is not the contract's would be refused
	}
	book, bookClock := usagetest.NewBook(t, &usage.Options{Meters: meters})
	bookClock.Set(time.Date(2026, 11, 8, 12, 0, 0, 0, time.UTC))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v2/users/{userId}", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Busy") != "" {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		_, _ = w.Write(make([]byte, 512))
	})
	mux.HandleFunc("POST /api/v2/usage/query", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
	})
	m := newMeter(t, mux, book, httpadapter.MeterOptions{Now: clock.Now, Source: "http:a:", Identify: func(r *http.Request) (httpadapter.Caller, bool) {
		return httpadapter.Caller{Tenant: "acme", Client: r.Header.Get("X-Client"), ClientName: r.Header.Get("X-Client-Name"), User: r.Header.Get("X-User")}, true
	}})
	call := func(method, target, body string, header ...string) {
		r := httptest.NewRequest(method, target, strings.NewReader(body))
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		m.ServeHTTP(httptest.NewRecorder(), r)
		clock.Advance(time.Hour)
	}
	call("GET", "/api/v2/users/u7?expand=all", "", "X-Client", "client-1", "X-User", "u1")
	call("GET", "/api/v2/users/u8", "", "X-Client", "client-1", "X-User", "u1", "X-Busy", "1")
	call("POST", "/api/v2/usage/query", "{}", "X-Client", "client-2", "X-Client-Name", "Nightly Export")
	call("DELETE", "/api/v2/nothing", "", "X-Client", "client-2")
	require.NoError(t, m.Flush(t.Context()))
	require.EqualValues(t, 4, m.Stats().Booked)

	var source string
	for i, want := range []string{
		`{"id":"1","source":"http:a","tenant":"acme","meter":"api-requests","start":"2026-11-02T08:00:00Z","values":{"requests":"1","status200":"1","bytesOut":"512"},"dimensions":{"clientId":"client-1","userId":"u1","templateUri":"/api/v2/users/{userId}","httpMethod":"GET"}}`,
		`{"id":"2","source":"http:a","tenant":"acme","meter":"api-requests","start":"2026-11-02T09:00:00Z","values":{"requests":"1","status400":"1","status429":"1"},"dimensions":{"clientId":"client-1","userId":"u1","templateUri":"/api/v2/users/{userId}","httpMethod":"GET"}}`,
		`{"id":"3","source":"http:a","tenant":"acme","meter":"api-requests","start":"2026-11-02T10:00:00Z","values":{"requests":"1","status200":"1","bytesIn":"2"},"dimensions":{"clientId":"client-2","clientName":"Nightly Export","templateUri":"/api/v2/usage/query","httpMethod":"POST"}}`,
		`{"id":"4","source":"http:a","tenant":"acme","meter":"api-requests","start":"2026-11-02T11:00:00Z","values":{"requests":"1","status400":"1","bytesOut":"19"},"dimensions":{"clientId":"client-2","httpMethod":"DELETE"}}`,
	} {
		wanted, err := usage.DecodeRecords([]byte("["+want+"]"), nil)
		require.NoError(t, err)
		got := meterRecords(t, book)[i].Record
		require.Regexp(t, "^http:a:[0-9a-f]{32}$", got.Source)
		if source == "" {
			source = got.Source
		}
		require.Equal(t, source, got.Source)
		w := wanted[0]
		require.Equal(t, []any{w.ID, w.Tenant, w.Meter, w.Start, w.End, w.Values.String(), w.Dimensions.String()},
			[]any{got.ID, got.Tenant, got.Meter, got.Start, got.End, got.Values.String(), got.Dimensions.String()})
	}

	measures, err := usage.ParseMeasures("sum(status200) as status200, sum(status300) as status300, sum(status400) as status400, sum(status500) as status500, sum(status429) as status429, sum(requests) as requests")
	require.NoError(t, err)
	page, err := book.Query(t.Context(), usage.ForTenant("acme"), usage.Query{GroupBy: []string{"clientId"}, Measures: measures, OrderBy: "clientId"})
	require.NoError(t, err)
	var rows []string
	for _, row := range page.Rows {
		line := row.Get("clientId").String()
		for _, k := range []string{"status200", "status300", "status400", "status500", "status429", "requests"} {
			line += " " + cmp.Or(row.Get(k).String(), "-")
		}
		rows = append(rows, line)
	}
	require.Equal(t, []string{"client-1 1 - 1 - 1 2", "client-2 1 - 1 - - 2"}, rows)
}

func TestMeterOptions(t *testing.T) {
	t.Parallel()
	book, _ := usagetest.NewBook(t, nil)
	ok := http.NotFoundHandler()
	o := httpadapter.MeterOptions{Identify: meterCaller}
	before := fmt.Sprintf("%+v", o)
	_, err := httpadapter.Meter(ok, book, &o)
	require.NoError(t, err)
	require.Equal(t, before, fmt.Sprintf("%+v", o), "the options are the caller's own")

	_, err = httpadapter.Meter(nil, nil, &httpadapter.MeterOptions{
		Name: "a\nb", Source: strings.Repeat("x", 129), QueueSize: -1, BatchSize: -1, FlushInterval: -1, MaxWait: -1, Timeout: -1, WhenFull: 2,
	})
	require.ErrorIs(t, err, usage.ErrInvalid)
	for _, name := range []string{"handler", "book", "Identify", "Name", "Source", "QueueSize", "BatchSize", "FlushInterval", "MaxWait", "Timeout", "WhenFull"} {
		require.ErrorContains(t, err, name)
	}
	_, err = httpadapter.Meter(ok, book, nil)
	require.ErrorContains(t, err, "Identify")
	require.Equal(t, "block drop invalid", fmt.Sprint(httpadapter.Block, " ", httpadapter.Drop, " ", httpadapter.WhenFull(9)))
}

// Two meters over one book, of one process or two, never take each other's ids.
func TestMeterSources(t *testing.T) {
	t.Parallel()
	book, _ := usagetest.NewBook(t, nil)
	for range 2 {
		m := newMeter(t, http.NotFoundHandler(), book, httpadapter.MeterOptions{Name: "calls", Source: "gateway-7:"})
		for range 3 {
			m.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		}
		require.NoError(t, m.Flush(t.Context()))
		require.Equal(t, httpadapter.MeterStats{Booked: 3}, m.Stats())
	}
	usagetest.Booked(t, book, usage.ForTenant("acme")).Where("meter eq 'calls' and startswith(source,'gateway-7:')").Count(6).Total("requests", "6")
}

// Identify is asked when the request arrives, before inner handlers change it.
func TestMeterIdentifiesAtArrival(t *testing.T) {
	t.Parallel()
	book, _ := usagetest.NewBook(t, nil)
	type key struct{}
	m := newMeter(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { r.Header.Del("X-Client") }), book, httpadapter.MeterOptions{
		Identify: func(r *http.Request) (httpadapter.Caller, bool) {
			tenant, ok := r.Context().Value(key{}).(string)
			return httpadapter.Caller{Tenant: tenant, Client: r.Header.Get("X-Client")}, ok
		}})
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-Client", "c")
	m.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithValue(t.Context(), key{}, "acme")))
	m.ServeHTTP(httptest.NewRecorder(), r)
	require.NoError(t, m.Flush(t.Context()))
	require.Equal(t, httpadapter.MeterStats{Booked: 1, Skipped: 1}, m.Stats())
	usagetest.Booked(t, book, usage.ForTenant("acme")).Where("clientId eq 'c'").Count(1)
}
