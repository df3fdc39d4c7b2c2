package usagetest

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
)

// Builder builds a record for a test. Each method returns a builder that is
// changed in one thing and leaves the receiver as it is, so a builder can be a
// template for several records. It is safe for concurrent use.
type Builder struct {
	tb testing.TB
	r  usage.Record
}

// drawn numbers the records that were given no id.
var drawn atomic.Int64

// Record begins a record of a tenant and meter. What is not said is a quantity
// of 1, used at the noon where a new book's clock stands, from the source
// "test", with an id that no other record of the test run has. What cannot be a
// number or an instant fails the test at once.
func Record(tb testing.TB, tenant, meter string) Builder {
	return Builder{tb: tb, r: usage.Record{Tenant: tenant, Source: "test", Meter: meter, Start: start}}
}

// ID sets the id.
func (b Builder) ID(id string) Builder { b.r.ID = id; return b }

// Source sets the source.
func (b Builder) Source(source string) Builder { b.r.Source = source; return b }

// At sets the start.
func (b Builder) At(at time.Time) Builder { b.r.Start = at; return b }

// AtText sets the start from a text in the form of RFC 3339.
func (b Builder) AtText(text string) Builder {
	b.tb.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		b.tb.Fatalf("usagetest: %v", err)
	}
	return b.At(at)
}

// Until sets the end.
func (b Builder) Until(at time.Time) Builder { b.r.End = at; return b }

// Quantity sets the value "quantity" from its text.
func (b Builder) Quantity(text string) Builder {
	b.tb.Helper()
	return b.Value(usage.QuantityName, text)
}

// Value sets a value from its text.
func (b Builder) Value(name, text string) Builder {
	b.tb.Helper()
	n, err := aggregate.ParseNumber(text)
	if err != nil {
		b.tb.Fatalf("usagetest: value %q: %v", name, err)
	}
	b.r.Values = b.r.Values.WithNumber(name, n)
	return b
}

// Dim sets a dimension.
func (b Builder) Dim(name, value string) Builder {
	b.r.Dimensions = b.r.Dimensions.With(name, value)
	return b
}

// Replaces makes the record a replacement of an earlier one of its tenant.
func (b Builder) Replaces(source, id string) Builder {
	b.r.Corrects = &usage.Correction{Kind: usage.Replace, Source: source, ID: id}
	return b
}

// Build returns the record.
func (b Builder) Build() usage.Record {
	r := b.r
	if r.ID == "" {
		r.ID = fmt.Sprintf("drawn-%d", drawn.Add(1))
	}
	if r.Values.Len() == 0 {
		r.Values = r.Values.WithNumber(usage.QuantityName, aggregate.Int(1))
	}
	return r
}
