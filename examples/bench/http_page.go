package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"runtime"
	"time"

	"github.com/shopspring/decimal"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/usage"
)

// line is a line of a usageAggregates page as encoding/json writes it.
type line struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Type       string `json:"type"`
	Properties struct {
		SubscriptionID string      `json:"subscriptionId"`
		UsageStartTime string      `json:"usageStartTime"`
		UsageEndTime   string      `json:"usageEndTime"`
		InstanceData   string      `json:"instanceData"`
		Quantity       json.Number `json:"quantity"`
		MeterID        string      `json:"meterId"`
	} `json:"properties"`
}

type linePage struct {
	Value    []line `json:"value"`
	NextLink string `json:"nextLink,omitempty"`
}

// fill books records of 50 subscriptions over 90 days.
func fill(ctx context.Context, book *usage.Book, records int) error {
	rnd := rand.New(rand.NewPCG(2, 2))
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	list := make([]usage.Record, 0, 5000)
	for i := range records {
		tenant, resource := rnd.IntN(50), rnd.IntN(40)
		id := subscription(tenant)
		list = append(list, usage.Record{Tenant: id, Source: "fabric", ID: fmt.Sprint(i), Meter: httpadapter.AzureUsage,
			Start:  begin.Add(time.Duration(rnd.Int64N(90*24*3600)) * time.Second),
			Values: usage.Quantity(decimal.New(rnd.Int64N(1_000_000), -6)),
			Dimensions: usage.Dimensions{}.With("subscriptionId", id).With("meterId", fmt.Sprintf("FAB6EB84-500B-4A09-A8CA-%012d", resource%10)).With("location", "local").
				With("resourceUri", fmt.Sprintf("/subscriptions/%s/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm%d", id, resource)).With("tags", `{"env":"prod"}`)})
		if len(list) == cap(list) || i == records-1 {
			if _, err := book.Append(ctx, list...); err != nil {
				return err
			}
			list = list[:0]
		}
	}
	for did := true; did; {
		var err error
		if did, err = book.Roll(ctx); err != nil {
			return err
		}
	}
	return nil
}

func subscription(i int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", i) }

// page reads a full page over loopback and has encoding/json marshal it five
// times, in turns.
func page(ctx context.Context, s sizes) (ours, other turns, err error) {
	book, handler, err := newBook()
	if err != nil {
		return nil, nil, err
	}
	if err := fill(ctx, book, s.records); err != nil {
		return nil, nil, err
	}
	base, stop, err := serve(handler)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	query := url.Values{"reportedStartTime": {"2026-01-01T00:00:00Z"}, "reportedEndTime": {"2026-04-01T00:00:00Z"}, "aggregationGranularity": {"Daily"}, "api-version": {"2015-06-01-preview"}}
	target := base + "/subscriptions/" + subscription(7) + "/providers/Microsoft.Commerce/usageAggregates?" + query.Encode()
	first, err := read(ctx, target)
	if err != nil {
		return nil, nil, err
	}
	var decoded linePage
	if err := json.Unmarshal(first, &decoded); err != nil {
		return nil, nil, err
	}
	if len(decoded.Value) != 1000 || decoded.NextLink == "" {
		return nil, nil, fmt.Errorf("the page has %d lines, and a next one: %v; more records are needed", len(decoded.Value), decoded.NextLink != "")
	}
	value := first[:bytes.LastIndex(first, []byte(`],"nextLink"`))]
	for range s.turns {
		runtime.GC()
		begun := time.Now()
		body, err := read(ctx, target)
		ours = append(ours, time.Since(begun))
		if err != nil {
			return nil, nil, err
		}
		if !bytes.HasPrefix(body, value) {
			return nil, nil, errors.New("two readings of a page differ")
		}
		runtime.GC()
		begun = time.Now()
		for range 5 {
			text, err := json.Marshal(&decoded)
			if err != nil {
				return nil, nil, err
			}
			if len(text) < len(value) {
				return nil, nil, errors.New("the marshalled page is shorter than the served one")
			}
		}
		other = append(other, time.Since(begun))
	}
	return ours, other, nil
}

func read(ctx context.Context, target string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%d %.300s", answer.StatusCode, body)
	}
	return body, err
}
