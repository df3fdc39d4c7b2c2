package usage_test

import (
	"fmt"
	"testing"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

func jobRecords(job, n int) []usage.Record {
	out := make([]usage.Record, n)
	for i := range out {
		out[i] = appRecord(fmt.Sprintf("job-%d/%d", job, i), []string{"acme", "globex"}[i%2], "asset", int64(i))
	}
	return out
}

// BenchmarkSubmit200 accepts jobs of 200 records.
func BenchmarkSubmit200(b *testing.B) {
	book := over(b, memstore.New(nil), nil, usage.Options{})
	records := jobRecords(0, 200)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := book.Submit(b.Context(), "op", usage.JobRequest{Records: records, Labels: []string{"application", "unit"}}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkJob200 takes jobs of 200 records from Submit to their end.
func BenchmarkJob200(b *testing.B) {
	book := over(b, memstore.New(nil), nil, usage.Options{})
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		job, _, err := book.Submit(b.Context(), "op", usage.JobRequest{Records: jobRecords(n, 200), Labels: []string{"application", "unit"}})
		if err != nil {
			b.Fatal(err)
		}
		if did, err := book.Work(b.Context()); !did || err != nil {
			b.Fatal(did, err)
		}
		if job, err = book.Job(b.Context(), "op", job.ID); err != nil || job.Status() != usage.JobCompleted {
			b.Fatal(job, err)
		}
	}
}
