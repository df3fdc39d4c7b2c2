package native_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/internal/sink"
	"github.com/usagebook/usagebook/httpadapter/native"
	"github.com/usagebook/usagebook/usage"
)

// What is said of a large batch, and every list, is not in memory as one text.
func TestAnswersAreStreamed(t *testing.T) {
	t.Parallel()
	b, _ := newBook(t)
	h := newHandler(t, b, nil, httpadapter.Unlimited{})
	send := func(method, target, body string) (*sink.Sink, *httptest.ResponseRecorder) {
		w, whole := &sink.Sink{}, httptest.NewRecorder()
		for i, out := range []http.ResponseWriter{w, whole} {
			r := httptest.NewRequest(method, target, strings.NewReader(strings.ReplaceAll(body, "TURN", fmt.Sprint(i))))
			r.Header.Set("Authorization", "Bearer demo-admin")
			if body != "" {
				r.Header.Set("Content-Type", typeJSON)
			}
			h.ServeHTTP(out, r)
		}
		return w, whole
	}
	var good, bad []string
	for i := range 5000 {
		good = append(good, fmt.Sprintf(`{"id":"TURN-%d","source":"s","tenant":"t%d","meter":"m","start":"2026-03-01T00:00:00Z","quantity":1}`, i, i))
		bad = append(bad, fmt.Sprintf(`{"id":"TURN-%d","source":"s","tenant":"t","x":1,"y":2,"start":"soon","quantity":"many"}`, i))
	}
	w, whole := send("POST", "/v1/records", "["+strings.Join(good, ",")+"]")
	require.True(t, w.Streamed(150_000), "%+v %.300s", w, whole.Body)
	require.Equal(t, whole.Body.Len(), w.Bytes)
	w, whole = send("POST", "/v1/records", "["+strings.Join(bad, ",")+"]")
	require.True(t, w.Streamed(1_500_000), "%+v", w)
	require.Equal(t, whole.Body.Len(), w.Bytes)
	for _, target := range []string{"/v1/usage?tenant=*&pageSize=10000", "/v1/usage?tenant=*&pageSize=10000&measures=count()&$groupby=tenant"} {
		w, whole = send("GET", target, "")
		require.True(t, w.Streamed(200_000), "%s: %+v %.300s", target, w, whole.Body)
		require.Equal(t, whole.Body.Len(), w.Bytes)
	}
	// A job with a line for each tenant.
	w, _ = send("POST", "/v1/jobs", "["+strings.Join(good, ",")+"]")
	require.Equal(t, 202, w.Status)
	require.Equal(t, sink.Piece, w.Largest)
	w, whole = send("GET", "/v1/jobs", "")
	require.True(t, w.Streamed(200_000), "%+v %.300s", w, whole.Body)
	require.Equal(t, whole.Body.Len(), w.Bytes)
}

// WriteOutcomes writes what AppendOutcomes appends.
func TestWriteOutcomes(t *testing.T) {
	t.Parallel()
	receipt := &usage.Receipt{Inserted: 1, Rejected: 9_999}
	receipt.Entries = append(receipt.Entries, usage.ReceiptEntry{Outcome: usage.Inserted})
	for i := range 9_999 {
		receipt.Entries = append(receipt.Entries, usage.ReceiptEntry{Outcome: usage.Rejected, Violations: []usage.Violation{{Code: usage.CodeRequired, Field: "start", Message: strings.Repeat("x", i%300)}}})
	}
	for _, r := range []*usage.Receipt{nil, {}, receipt} {
		var out bytes.Buffer
		require.NoError(t, native.WriteOutcomes(&out, r))
		require.Equal(t, string(native.AppendOutcomes(nil, r)), out.String())
	}
	require.ErrorIs(t, native.WriteOutcomes(failing{}, receipt), errGone)
}

var errGone = errors.New("gone")

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errGone }
