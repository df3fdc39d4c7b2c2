package durabletest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/rules"
	"github.com/usagebook/usagebook/usage"
)

// epoch is about where the event times of scripts lie.
var epoch = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

// script is what the writers of a test send.
type script struct{ seed uint64 }

// batch returns the n-th batch of a writer. Every third one replaces a record of
// the batch before, and the one after that voids another one, so that batches
// depend on what was acknowledged.
func (s script) batch(writer, n int) []usage.Record {
	rng := rand.New(rand.NewPCG(s.seed, uint64(writer)<<32|uint64(n)))
	out := make([]usage.Record, 2+rng.IntN(12))
	for i := range out {
		out[i] = record(rng, fmt.Sprintf("w%d", writer), fmt.Sprintf("%d-%d", n, i))
	}
	last := &out[len(out)-1]
	switch {
	case n%3 == 2:
		last.Corrects = &usage.Correction{Kind: usage.Replace, Source: last.Source, ID: fmt.Sprintf("%d-0", n-1)}
		last.Tenant = s.batch(writer, n-1)[0].Tenant
	case n%3 == 0 && n > 0:
		*last = usage.Record{Tenant: s.batch(writer, n-2)[1].Tenant, Source: last.Source, ID: last.ID,
			Corrects: &usage.Correction{Kind: usage.Void, Source: last.Source, ID: fmt.Sprintf("%d-1", n-2)}}
	}
	return out
}

func record(rng *rand.Rand, source, id string) usage.Record {
	return usage.Record{
		Tenant: []string{"acme", "globex"}[rng.IntN(2)], Source: source, ID: id,
		Meter:      []string{"requests", "storage", "billed"}[rng.IntN(3)],
		Start:      epoch.Add(time.Duration(rng.IntN(3*24*60)) * time.Minute),
		Values:     usage.Values{}.WithNumber(usage.QuantityName, aggregate.Int(int64(1+rng.IntN(1000)))),
		Dimensions: usage.NewDimensions(usage.Dimension{Name: "region", Value: []string{"eu", "us", "ap"}[rng.IntN(3)]}),
	}
}

// billing calls the usage of one meter billable.
type billing struct{}

// Judge implements usage.Rules.
func (billing) Judge(s rules.Subject, _ time.Time) rules.Judgement {
	return rules.Judgement{Verdict: rules.Verified, Billable: s.Meter() == "billed", Version: "v1"}
}
