package ocs_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/internal/demo"
	"github.com/usagebook/usagebook/httpadapter/ocs"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// Streams that were counted here and those that records tell of are one total, and
// it either fits the field or is our fault.
func TestStreamsAboveTheField(t *testing.T) {
	t.Parallel()
	book, _ := usagetest.NewBook(t, nil)
	demo.Book(book)(t, []byte(`
{"id":"1","source":"sds","tenant":"acme","meter":"stream-events","start":"2026-03-01T00:10:00Z","values":{"ingressStreamsAccessed":"9223372036854775806"}}
{"id":"2","source":"sds","tenant":"acme","meter":"stream-events","start":"2026-03-01T10:00:00Z","values":{"ingressEvents":"50"},"dimensions":{"streamId":"s1"}}
`))
	options := demo.Authenticate(t)
	adapter, err := httpadapter.New(book, &options, ocs.New(nil))
	require.NoError(t, err)
	w := get(adapter, "/api/v1/tenants/acme/usage?start=2026-03-01", "demo-acme")
	require.Equal(t, 200, w.Code)
	require.Contains(t, w.Body.String(), `"IngressStreamsAccessed":9223372036854775807,`)
	demo.Book(book)(t, []byte(`{"id":"3","source":"sds","tenant":"acme","meter":"stream-events","start":"2026-03-01T10:00:00Z","values":{"ingressEvents":"50"},"dimensions":{"streamId":"s2"}}`))
	w = get(adapter, "/api/v1/tenants/acme/usage?start=2026-03-01", "demo-acme")
	require.Equal(t, 500, w.Code, w.Body)
}
