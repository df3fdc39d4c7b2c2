package usagetest

import (
	"fmt"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
)

// Builder makes a record step by step. It is a value: each method returns a
// changed copy, so that a test can keep one as the base of several. [Record]
// begins one; the zero Builder lacks a tenant and a meter.
type Builder struct {
	record usage.Record
}

// Record begins a record of a tenant and meter: source "test", id "r1", at
// [Epoch], without dimensions. Build gives it the quantity 1 unless another
// value was given.
func Record(tenant, meter string) Builder {
	return Builder{usage.Record{Tenant: tenant, Source: "test", ID: "r1", Meter: meter, Start: Epoch()}}
}

// Source sets the source, ID the id: with the tenant, the identity of the
// record.
func (b Builder) Source(source string) Builder { b.record.Source = source; return b }

// ID sets the id of the record.
func (b Builder) ID(id string) Builder { b.record.ID = id; return b }

// At sets the instant of the use.
func (b Builder) At(start time.Time) Builder { b.record.Start = start; return b }

// Until makes the use an interval that ends before an instant.
func (b Builder) Until(end time.Time) Builder { b.record.End = end; return b }

// Quantity sets the value "quantity" from a number such as "1.5".
func (b Builder) Quantity(number string) Builder { return b.Value(usage.QuantityName, number) }

// Value sets a named value from a number such as "0.000125". A text that is no
// number is not lost: Append refuses the record, with a violation that says so.
func (b Builder) Value(name, number string) Builder {
	n, err := aggregate.ParseNumber(number)
	if err != nil {
		b.record.Values = b.record.Values.WithFault(name, usage.CodeSyntax, err.Error())
		return b
	}
	b.record.Values = b.record.Values.WithNumber(name, n)
	return b
}

// Dim sets a dimension.
func (b Builder) Dim(name, value string) Builder {
	b.record.Dimensions = b.record.Dimensions.With(name, value)
	return b
}

// Replaces makes the record a replacement of another one of the same tenant.
func (b Builder) Replaces(source, id string) Builder {
	b.record.Corrects = &usage.Correction{Kind: usage.Replace, Source: source, ID: id}
	return b
}

// Build returns the record.
func (b Builder) Build() usage.Record {
	r := b.record
	// A value that was given and could not be read is a fault, which Equal
	// tells from no value at all.
	if r.Values.Equal(usage.Values{}) {
		r.Values = r.Values.WithNumber(usage.QuantityName, aggregate.Int(1))
	}
	if r.Corrects != nil {
		own := *r.Corrects
		r.Corrects = &own
	}
	return r
}

// Repeat returns n records that begin one step after the other, with the ids
// ID-0001, ID-0002 and so on. An interval keeps its length.
func (b Builder) Repeat(n int, step time.Duration) []usage.Record {
	out := make([]usage.Record, n)
	for i := range out {
		shift := time.Duration(i) * step
		next := b.ID(fmt.Sprintf("%s-%04d", b.record.ID, i+1)).At(b.record.Start.Add(shift))
		if !b.record.End.IsZero() {
			next = next.Until(b.record.End.Add(shift))
		}
		out[i] = next.Build()
	}
	return out
}

// Void returns the void of a record, with the source "test" and an id made of
// the record's, so that voiding it twice is a duplicate.
func Void(of usage.Record) usage.Record {
	return usage.Record{Tenant: of.Tenant, Source: "test", ID: "void-" + of.ID,
		Corrects: &usage.Correction{Kind: usage.Void, Source: of.Source, ID: of.ID}}
}
