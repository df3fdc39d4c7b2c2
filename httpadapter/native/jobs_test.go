package native_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
)

// Two events under one key are one request only if all of their attributes are the
// same, which in binary mode are headers.
func TestKeysOfEvents(t *testing.T) {
	t.Parallel()
	b, _ := newBook(t)
	h := newHandler(t, b, nil, httpadapter.Unlimited{})
	post := func(kind string) int {
		r := httptest.NewRequest("POST", "/v1/jobs", strings.NewReader(`{"quantity":1}`))
		for name, value := range map[string]string{"Authorization": "Bearer demo-acme", "Content-Type": "application/json", "Idempotency-Key": "k",
			"Ce-Specversion": "1.0", "Ce-Id": "1", "Ce-Source": "s", "Ce-Tenant": "acme", "Ce-Time": "2026-01-01T00:00:00Z", "Ce-Type": kind} {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	require.Equal(t, 202, post("requests"))
	require.Equal(t, 202, post("requests"))
	require.Equal(t, 409, post("storage"))
}
