package main

import (
	"context"
	"fmt"
)

// compareHTTP compares the HTTP side with decoding and encoding alone.
func compareHTTP(ctx context.Context, s sizes, r *report) error {
	t := &table{title: "The HTTP side, over loopback, against encoding/json alone",
		columns: []string{"work", "ours", "spread", "the other", "spread", "ratio", "spread"},
		notes:   []string{"jobs: POST usagesJobs of 200 usages until its answer; to their end: the same and booking what was accepted, one job after the other"}}
	rates := func(work string, ours, other turns) {
		rate := over(other, ours)
		t.rows = append(t.rows, []string{work, perSecond(s.batches*batchSize, ours.median()), ours.spread(),
			perSecond(s.batches*batchSize, other.median()), other.spread(), rate.String() + " of its rate", rate.spread()})
	}
	ours, other, err := ingest(ctx, s)
	if err != nil {
		return fmt.Errorf("ingest: %w", err)
	}
	rates("ingest", ours, other)
	accepted, ended, other, err := jobs(ctx, s)
	if err != nil {
		return fmt.Errorf("jobs: %w", err)
	}
	rates("jobs", accepted, other)
	rates("jobs to their end", ended, other)
	if ours, other, err = page(ctx, s); err != nil {
		return fmt.Errorf("page: %w", err)
	}
	time := over(ours, other)
	t.rows = append(t.rows, []string{"page", short(ours.median()), ours.spread(), short(other.median()), other.spread(), time.String() + " of its time", time.spread()})
	return r.add(t)
}
