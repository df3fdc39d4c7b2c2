package httpadapter_test

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/internal/sink"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// listing has a route that lists numbers from 0 up to n, and then fails if it is
// to; each item takes so many bytes.
func listing(t *testing.T) http.Handler {
	const document = `{"paths":{"/x":{"get":{"responses":{"200":{"description":"ok"}}}}}}`
	book, _ := usagetest.NewBook(t, nil)
	route := httpadapter.Route{Method: "GET", Path: "/x", Public: true, Authorize: httpadapter.Anyone, Parameters: []string{"n", "size", "fail"}, Serve: func(c *httpadapter.Call) error {
		n, _ := strconv.Atoi(c.Param("n"))
		size, _ := strconv.Atoi(c.Param("size"))
		return c.Stream(200, httpadapter.JSONType, func(out *httpadapter.Stream) error {
			if err := out.Append(func(b []byte) []byte { return append(b, '[') }); err != nil {
				return err
			}
			err := out.List(n, func(b []byte, i int) []byte {
				for range size - 10 {
					b = append(b, ' ')
				}
				return strconv.AppendInt(b, int64(1e9+i), 10)
			})
			if err == nil && c.Param("fail") != "" {
				err = errors.New("the book is gone")
			}
			if err != nil {
				return err
			}
			return out.Append(func(b []byte) []byte { return append(b, ']') })
		})
	}}
	a, err := httpadapter.New(book, &httpadapter.Options{Logger: slog.New(slog.DiscardHandler)},
		&httpadapter.API{Name: "x", Roots: []string{"/x"}, Fail: httpadapter.FailPlain, Document: []byte(document), Routes: []httpadapter.Route{route}})
	require.NoError(t, err)
	return a
}

// A page takes memory for a piece of it, however long it is.
func TestStreamAlloc(t *testing.T) {
	h := listing(t)
	ask := func(query string) *sink.Sink {
		w := &sink.Sink{}
		h.ServeHTTP(w, httptest.NewRequest("GET", "/x?"+query, nil))
		return w
	}
	taken := func(query string) (w *sink.Sink, bytes uint64) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		w = ask(query)
		runtime.ReadMemStats(&after)
		return w, after.TotalAlloc - before.TotalAlloc
	}
	w, bytes := taken("n=200000&size=100")
	require.True(t, w.Streamed(20_000_000), "%+v", w)
	require.Equal(t, 200000*101+1, w.Bytes)
	require.Less(t, bytes, uint64(200_000))
	few := testing.AllocsPerRun(20, func() { ask("n=1000&size=100") })
	many := testing.AllocsPerRun(20, func() { ask("n=50000&size=100") })
	require.Less(t, many, few+10)

	// An item that is longer than a piece is written in pieces all the same.
	w = ask("n=3&size=100000")
	require.Equal(t, sink.Piece, w.Largest)
	require.Equal(t, 300_004, w.Bytes)

	w = ask("n=10&size=10")
	require.Equal(t, 1, w.Writes)
	require.Equal(t, "111", w.Header().Get("Content-Length"))
}

// A fault before the first byte is answered as any other; one behind it cuts the
// connection, and never leaves a page that looks whole.
func TestStreamFault(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(listing(t))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.Start()
	defer s.Close()
	ask := func(query string) (int, string, []byte, error) {
		resp, err := http.Get(s.URL + "/x?" + query)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return resp.StatusCode, resp.Header.Get("Content-Type"), body, err
	}
	status, kind, body, err := ask("n=10&size=10&fail=1")
	require.NoError(t, err)
	require.Equal(t, 500, status)
	require.Equal(t, "application/problem+json", kind)
	require.True(t, json.Valid(body))
	require.NotContains(t, string(body), "1000000001")

	status, _, body, err = ask("n=10000&size=100&fail=1")
	require.Equal(t, 200, status)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.False(t, json.Valid(body))

	status, _, body, err = ask("n=10000&size=100")
	require.NoError(t, err)
	require.Equal(t, 200, status)
	var list []int
	require.NoError(t, json.Unmarshal(body, &list))
	require.Len(t, list, 10000)
	require.Equal(t, 1_000_009_999, list[9999])
}
