package azurestack_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/azurestack"
	"github.com/usagebook/usagebook/httpadapter/internal/demo"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// unsettled is a store in which a writer that may still book before any moment takes
// its time.
type unsettled struct {
	usage.Store
	wait  time.Duration
	fault error
}

func (s *unsettled) Checkpoint(ctx context.Context, at usage.AsOf) (usage.State, error) {
	if !at.Time.IsZero() {
		select {
		case <-time.After(s.wait):
		case <-ctx.Done():
			return usage.State{}, ctx.Err()
		}
	}
	if s.fault != nil {
		return usage.State{}, s.fault
	}
	return s.Store.Checkpoint(ctx, at)
}

// A range is answered when nothing can be booked into it any more, and not before.
func TestRangesThatAreStillWritten(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wait   time.Duration
		o      azurestack.Options
		fault  error
		status int
		after  time.Duration
	}{
		"settled in time":           {4 * time.Second, azurestack.Options{}, nil, 200, 4 * time.Second},
		"not settled in time":       {6 * time.Second, azurestack.Options{}, nil, 503, 5 * time.Second},
		"another time":              {6 * time.Second, azurestack.Options{SettleWait: 2 * time.Second}, nil, 503, 2 * time.Second},
		"event time need not wait":  {time.Hour, azurestack.Options{ReportedTime: azurestack.Event}, nil, 200, 0},
		"a store that is not there": {0, azurestack.Options{}, usage.ErrUnavailable, 503, 0},
		"a store that fails":        {0, azurestack.Options{}, errors.New("secret"), 500, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clock := usagetest.NewClock(usagetest.Epoch().AddDate(0, 0, 10))
				b, err := usage.New(&unsettled{memstore.New(nil), c.wait, c.fault}, &usage.Options{Now: clock.Now})
				require.NoError(t, err)
				usagetest.Append(t, b, usagetest.Record("acme", httpadapter.AzureUsage).Build())
				h := newHandler(t, b, &c.o, httpadapter.Options{})
				begun := time.Now()
				w := get(h, target("/subscriptions/"+demo.AcmeSubscription+"/providers/Microsoft.Commerce/usageAggregates",
					usagetest.Epoch(), usagetest.Epoch().AddDate(0, 0, 1), ""), "demo-acme")
				require.Equal(t, c.status, w.Code, w.Body)
				require.Equal(t, c.after, time.Since(begun))
				require.NotContains(t, w.Body.String(), "secret")
				switch c.status {
				case 503:
					require.True(t, strings.HasPrefix(w.Body.String(), `{"error":{"code":"ServiceUnavailable","message":"`), w.Body)
					require.NotEmpty(t, w.Header().Get("Retry-After"))
				case 500:
					require.Equal(t, `{"error":{"code":"InternalServerError","message":"Something went wrong on this side; the header x-ms-request-id finds it in the log."}}`, w.Body.String())
					require.Equal(t, operation, w.Header().Get("x-ms-request-id"))
				}
			})
		})
	}
}

// A book that came back without what a token speaks of asks to begin again; one whose
// rows are too many asks for less.
func TestBooksThatCannotAnswer(t *testing.T) {
	t.Parallel()
	o := &azurestack.Options{ReportedTime: azurestack.Event}
	o.PageRows(2)
	path := target("/subscriptions/acme/providers/Microsoft.Commerce/usageAggregates", usagetest.Epoch(), usagetest.Epoch().AddDate(0, 0, 1), "&aggregationGranularity=Hourly")
	full, clock := usagetest.NewBook(t, &usage.Options{TokenKeys: tokenKeys, MaxGroups: 4})
	usagetest.Append(t, full, usagetest.Record("acme", httpadapter.AzureUsage).Repeat(4, time.Hour)...)
	clock.Advance(48 * time.Hour)
	h := newHandler(t, full, o, httpadapter.Options{})
	w := get(h, path, "demo-acme")
	require.Equal(t, 200, w.Code, w.Body)
	var page body
	unmarshal(t, w, &page)

	empty, clock := usagetest.NewBook(t, &usage.Options{TokenKeys: tokenKeys})
	clock.Advance(48 * time.Hour)
	w = get(newHandler(t, empty, o, httpadapter.Options{}), page.NextLink, "demo-acme")
	require.Equal(t, 400, w.Code, w.Body)
	require.Contains(t, w.Body.String(), `"code":"InvalidProperty","message":"continuationToken `)

	usagetest.Append(t, full, usagetest.Record("acme", httpadapter.AzureUsage).ID("more").Dim("meterId", "m").At(usagetest.Epoch().Add(time.Minute)).Repeat(10, time.Second)...)
	narrow := &azurestack.Options{ReportedTime: azurestack.Event, Fields: httpadapter.Fields{"resourceUri": {"id"}}}
	w = get(newHandler(t, full, narrow, httpadapter.Options{}), path, "demo-acme")
	require.Equal(t, 400, w.Code, w.Body)
	require.Contains(t, w.Body.String(), "too many lines")

	// A meter that is closed and lacks what rows show is a fault of the host's.
	closed, clock := usagetest.NewBook(t, &usage.Options{Meters: []usage.Meter{{Name: httpadapter.AzureUsage, Values: []usage.MeterValue{{Name: "quantity"}}, Closed: true}}})
	clock.Advance(48 * time.Hour)
	w = get(newHandler(t, closed, o, httpadapter.Options{}), path, "demo-acme")
	require.Equal(t, 500, w.Code, w.Body)
}
