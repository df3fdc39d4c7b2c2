package httpadapter_test

import (
	"bufio"
	"bytes"
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
	"github.com/usagebook/usagebook/usage/usagetest"
)

// What the work takes is no time of the client's: an answer that comes after
// WriteTimeout arrives, and each piece of it has its own.
func TestAnswerDeadline(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	const document = `{"paths":{"/x/long":{"get":{"responses":{"200":{"description":"ok"}}}},"/x/large":{"get":{"responses":{"200":{"description":"ok"}}}}}}`
	routes := []httpadapter.Route{
		{Method: "GET", Path: "/x/long", Public: true, Authorize: httpadapter.Anyone, Serve: func(c *httpadapter.Call) error {
			<-c.Context().Done()
			return c.Context().Err()
		}},
		{Method: "GET", Path: "/x/large", Public: true, Authorize: httpadapter.Anyone, Serve: func(c *httpadapter.Call) error {
			return c.Answer(http.StatusOK, "text/plain", bytes.Repeat([]byte{'x'}, size))
		}},
	}
	// ask has a server answer a request over a connection in memory. done is closed when
	// the request is no more.
	ask := func(t *testing.T, path string, header ...string) (conn net.Conn, done chan struct{}) {
		book, _ := usagetest.NewBook(t, nil)
		done = make(chan struct{})
		adapter, err := httpadapter.New(book, &httpadapter.Options{WriteTimeout: 10 * time.Second, Timeout: time.Minute, Logger: slog.New(slog.DiscardHandler)},
			&httpadapter.API{Name: "x", Roots: []string{"/x"}, Fail: httpadapter.FailPlain, Document: []byte(document), Routes: routes})
		require.NoError(t, err)
		client, server := net.Pipe()
		host := http.Server{ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(done)
			adapter.ServeHTTP(w, r)
		})}
		go func() { _ = host.Serve(&oneConnection{conn: server, over: make(chan struct{})}) }()
		t.Cleanup(func() { _ = host.Close() })
		go func() {
			_, _ = io.WriteString(client, "GET "+path+" HTTP/1.1\r\nHost: example.com\r\n"+strings.Join(append(header, "\r\n"), "\r\n"))
		}()
		return client, done
	}
	t.Run("long work", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			conn, _ := ask(t, "/x/long", "Connection: close")
			defer conn.Close()
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
			require.NotEmpty(t, resp.Header.Get("Retry-After"))
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Contains(t, string(body), `"code":"unavailable"`)
		})
	})
	t.Run("a body that never comes", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			conn, _ := ask(t, "/y", "Content-Length: 10")
			defer conn.Close()
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusNotFound, resp.StatusCode)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Contains(t, string(body), `"code":"no_path"`)
		})
	})
	t.Run("slow reader", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			conn, _ := ask(t, "/x/large", "Connection: close")
			defer conn.Close()
			in := bufio.NewReaderSize(conn, 32<<10)
			resp, err := http.ReadResponse(in, nil)
			require.NoError(t, err)
			n := 0
			for piece := make([]byte, 32<<10); err == nil; time.Sleep(9 * time.Second) {
				var m int
				m, err = io.ReadFull(resp.Body, piece)
				n += m
			}
			require.Equal(t, size, n)
		})
	})
	t.Run("no reader", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			conn, done := ask(t, "/x/large", "Connection: close")
			defer conn.Close()
			<-done
			require.Equal(t, 10*time.Second, time.Since(begun))
		})
	})
}

// oneConnection is a listener that has one.
type oneConnection struct {
	conn net.Conn
	over chan struct{}
}

func (l *oneConnection) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.over
	return nil, net.ErrClosed
}

func (l *oneConnection) Close() error {
	select {
	case <-l.over:
	default:
		close(l.over)
	}
	return nil
}

func (l *oneConnection) Addr() net.Addr { return &net.TCPAddr{} }

func TestPrefixIsSpelledAsInURLs(t *testing.T) {
	t.Parallel()
	book, _ := usagetest.NewBook(t, nil)
	for prefix, ok := range map[string]bool{"": true, "/usage": true, "/a%20b": true, "/a b": false, "/a?b": false, "/a#b": false, "/a%zz": false} {
		_, err := httpadapter.New(book, &httpadapter.Options{Prefix: prefix})
		require.Equal(t, ok, err == nil, "%q: %v", prefix, err)
	}
}
