package native_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// The first instant of all, which is Go's zero time, is neither an open bound nor the
// present.
func TestBoundsOfTheFirstInstant(t *testing.T) {
	t.Parallel()
	b, _ := newBook(t)
	h := newHandler(t, b, nil, httpadapter.Unlimited{})
	usagetest.Append(t, b, usagetest.Record("acme", "requests").ID("1").Quantity("1").Build())
	for query, want := range map[string]int{"": 200, "&to=0001-01-01": 400, "&from=0001-01-01T00:00:00Z": 400, "&asOf=0001-01-01": 400, "&to=0001-01-02": 200} {
		w := call(h, "GET", "/v1/usage?tenant=acme"+query, "demo-acme", "", "")
		require.Equal(t, want, w.Code, "%s: %s", query, w.Body)
	}
}
