package partnercenter_test

import (
	"testing"
	"time"

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

// A day as the end of a range is in it wholly, so an instant of that day may be the
// start.
func TestRangesThatBeginOnTheirLastDay(t *testing.T) {
	t.Parallel()
	book, _ := usagetest.NewBook(t, nil)
	usagetest.Append(t, book,
		usagetest.Record("acme", httpadapter.AzureUsage).ID("1").At(time.Date(2026, 5, 28, 11, 59, 59, 0, time.UTC)).Quantity("1").Build(),
		usagetest.Record("acme", httpadapter.AzureUsage).ID("2").At(time.Date(2026, 5, 28, 23, 59, 59, 0, time.UTC)).Quantity("2").Build())
	options := demo.Authenticate(t)
	adapter, err := httpadapter.New(book, &options, partnercenter.New(nil))
	require.NoError(t, err)
	for query, want := range map[string]string{
		"startDate=2026-05-28T12:00:00Z&endDate=2026-05-28":           `"quantity":2}],"@nextLink":null,"TotalCount":1}`,
		"startDate=2026-05-28T23:59:59.999999Z&endDate=2026-05-28":    `{"Value":[],`,
		"startDate=2026-05-28T12:00:00Z&endDate=2026-05-28T12:00:00Z": `{"Value":[],`,
		"startDate=2026-05-29&endDate=2026-05-28":                     `"code":"3000"`,
		"startDate=2026-05-29T00:00:00Z&endDate=2026-05-28":           `"code":"3000"`,
		"startDate=2026-05-28T12:00:01Z&endDate=2026-05-28T12:00:00Z": `"code":"3000"`,
	} {
		w := ask(adapter, "/partner/v1/analytics/azureusage?groupby=customerTenantId&"+query, "demo-acme")
		require.Contains(t, w.Body.String(), want, query)
	}
}
