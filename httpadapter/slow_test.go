package httpadapter_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

// pipes is a listener whose connections are in memory, so that time in a bubble goes
// by the bubble's clock.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p pipes) dial() net.Conn {
	client, server := net.Pipe()
	p <- server
	return client
}

// A client that stops sending is cut off, whatever became of its request, by a server
// that has no time of its own for bodies.
func TestStalledBodies(t *testing.T) {
	t.Parallel()
	const head = " HTTP/1.1\r\nHost: example.com\r\nContent-Type: text/plain\r\n"
	const token = "Authorization: Bearer known\r\n"
	for name, test := range map[string]struct {
		request string
		status  int
		most    time.Duration
	}{
		"of a route that reads it": {"POST /x/read" + head + token + "Content-Length: 10\r\n\r\nabc", 408, 10 * time.Second},
		"in chunks":                {"POST /x/read" + head + token + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", 408, 10 * time.Second},
		"too large":                {"POST /x/read" + head + token + "Content-Length: 200\r\n\r\nabc", 413, 30 * time.Second},
		"too large in chunks":      {"POST /x/read" + head + token + "Transfer-Encoding: chunked\r\n\r\n70\r\n" + strings.Repeat("x", 0x70) + "\r\n", 413, 10 * time.Second},
		"not what gzip writes":     {"POST /x/read" + head + token + "Content-Encoding: gzip\r\nContent-Length: 50\r\n\r\nno gzip at all", 400, 10 * time.Second},
		"of nobody known":          {"POST /x/read" + head + "Content-Length: 10\r\n\r\nabc", 401, 30 * time.Second},
		"nobody reads":             {"GET /x/none" + head + token + "Content-Length: 10\r\n\r\nabc", 200, 30 * time.Second},
		"at nobody's path":         {"POST /y" + head + "Content-Length: 10\r\n\r\nabc", 404, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				listener, stop := serveSlow(t)
				defer stop()
				conn := listener.dial()
				defer conn.Close()
				go func() { _, _ = io.WriteString(conn, test.request) }()
				begun := time.Now()
				in := bufio.NewReader(conn)
				resp, err := http.ReadResponse(in, nil)
				require.NoError(t, err)
				require.Equal(t, test.status, resp.StatusCode)
				_, err = io.Copy(io.Discard, resp.Body)
				require.NoError(t, err)
				_, err = in.ReadByte()
				require.ErrorIs(t, err, io.EOF, "the connection is closed")
				// The server lingers a little, for the client to read the answer.
				require.LessOrEqual(t, time.Since(begun), test.most+time.Second)
			})
		})
	}
}

// What is left of the time of a body is nothing to the requests behind it.
func TestBodyTimeEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		listener, stop := serveSlow(t)
		defer stop()
		conn := listener.dial()
		defer conn.Close()
		in := bufio.NewReader(conn)
		for range 3 {
			go func() {
				_, _ = io.WriteString(conn, "POST /x/read HTTP/1.1\r\nHost: example.com\r\nContent-Type: text/plain\r\nAuthorization: Bearer known\r\nContent-Length: 3\r\n\r\nabc")
			}()
			resp, err := http.ReadResponse(in, nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, resp.StatusCode)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Equal(t, "abc <nil>", string(body))
			time.Sleep(time.Hour)
		}
	})
}

const slowDocument = `{"paths":{"/x/read":{"post":{"responses":{"200":{"description":"ok"}}}},"/x/none":{"get":{"responses":{"200":{"description":"ok"}}}}}}`

// serveSlow serves a route that reads its body, takes its time, and answers with the
// body and what has become of its context; and one without a body.
func serveSlow(t *testing.T) (listener pipes, stop func()) {
	t.Helper()
	book, err := usage.New(memstore.New(nil), nil)
	require.NoError(t, err)
	auth, err := httpadapter.StaticTokens(map[string]httpadapter.Principal{"known": {Subject: "known"}})
	require.NoError(t, err)
	adapter, err := httpadapter.New(book, &httpadapter.Options{Authenticate: auth, MaxBody: 100, BodyTimeout: 10 * time.Second, Timeout: 20 * time.Second, WriteTimeout: time.Minute,
		Logger: slog.New(slog.DiscardHandler)}, &httpadapter.API{Name: "x", Roots: []string{"/x"}, Fail: httpadapter.FailPlain, Document: []byte(slowDocument), Routes: []httpadapter.Route{
		{Method: "POST", Path: "/x/read", Authorize: httpadapter.Anyone, Body: &httpadapter.BodyRule{}, Serve: func(c *httpadapter.Call) error {
			time.Sleep(15 * time.Second)
			return c.Answer(http.StatusOK, "text/plain", fmt.Appendf(nil, "%s %v", c.Body(), c.Context().Err()))
		}},
		{Method: "GET", Path: "/x/none", Authorize: httpadapter.Anyone, Serve: func(c *httpadapter.Call) error {
			return c.Answer(http.StatusOK, "text/plain", nil)
		}},
	}})
	require.NoError(t, err)
	listener = make(pipes)
	server := http.Server{Handler: adapter, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	ended := make(chan error)
	go func() { ended <- server.Serve(listener) }()
	return listener, func() {
		_ = server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		synctest.Wait()
	}
}
