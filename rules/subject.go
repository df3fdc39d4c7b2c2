package rules

import (
	"iter"
	"time"

	"github.com/usagebook/usagebook/aggregate"
)

// Subject is a record as rules see it. A Set reads it while it judges and keeps
// nothing of it but texts. An implementation that is a pointer costs no
// allocation.
type Subject interface {
	Tenant() string
	Source() string
	ID() string
	Meter() string

	// Start is the event time, in UTC and microseconds.
	Start() time.Time
	// End is the end of the use; zero for an instant.
	End() time.Time

	// Dimension returns a dimension and whether it is there. Absent and empty
	// are different.
	Dimension(name string) (string, bool)
	// Value returns a value and whether it is there.
	Value(name string) (aggregate.Number, bool)

	// Dimensions and Values yield what is there in the order of names. They are
	// asked for only by rules that have to see all of it.
	Dimensions() iter.Seq2[string, string]
	Values() iter.Seq2[string, aggregate.Number]
}
