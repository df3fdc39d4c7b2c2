package main

import (
	"context"
	"fmt"
)

// compareHTTP compares the HTTP side with decoding and encoding alone.
func compareHTTP(ctx context.Context, s sizes, r *report) error {
	t := &table{title: "The HTTP side, over loopback, against encoding/json alone",
		columns: []string{"work", "ours", "spread", "the other", "spread", "ratio", "spread"}}
	ours, other, err := ingest(ctx, s)
	if err != nil {
		return fmt.Errorf("ingest: %w", err)
	}
	rate := over(other, ours)
	t.rows = append(t.rows, []string{"ingest", perSecond(s.batches*batchSize, ours.median()), ours.spread(),
		perSecond(s.batches*batchSize, other.median()), other.spread(), rate.String() + " of its rate", rate.spread()})
	if ours, other, err = page(ctx, s); err != nil {
		return fmt.Errorf("page: %w", err)
	}
	time := over(ours, other)
	t.rows = append(t.rows, []string{"page", short(ours.median()), ours.spread(), short(other.median()), other.spread(), time.String() + " of its time", time.spread()})
	return r.add(t)
}
