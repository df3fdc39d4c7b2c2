package partnercenter_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/internal/demo"
	"github.com/usagebook/usagebook/httpadapter/partnercenter"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// The first instant of all, which is Go's zero time, does not leave the range open.
func TestBoundsOfTheFirstInstant(t *testing.T) {
	t.Parallel()
	book, _ := usagetest.NewBook(t, nil)
	usagetest.Append(t, book, usagetest.Record("acme", httpadapter.AzureUsage).ID("1").Quantity("1").Build())
	options := demo.Authenticate(t)
	adapter, err := httpadapter.New(book, &options, partnercenter.New(nil))
	require.NoError(t, err)
	for query, want := range map[string]int{"": 200, "?endDate=0001-01-01T00:00:00Z": 400, "?endDate=0001-01-01T01:00:00%2B01:00": 400, "?startDate=0001-01-01": 400, "?startDate=0001-01-02": 200} {
		w := ask(adapter, "/partner/v1/analytics/azureusage"+query, "demo-acme")
		require.Equal(t, want, w.Code, "%s: %s", query, w.Body)
	}
}
