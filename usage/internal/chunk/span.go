package chunk

import (
	"math"

	"github.com/usagebook/usagebook/aggregate"
)

const (
	hourMicros = 3600 * 1_000_000
	dayMicros  = 24 * hourMicros
)

// spanMicros is how much time a chunk covers: enough rows for a read to be
// worth its trip to the database, few enough for a commit that changes one of
// them to write little.
func spanMicros(level aggregate.Unit) int64 {
	switch level {
	case aggregate.Hour:
		return dayMicros
	case aggregate.Day:
		return 32 * dayMicros
	}
	return 366 * dayMicros
}

// SpanOf returns the span that holds a bucket, given in Unix microseconds.
func SpanOf(level aggregate.Unit, bucket int64) int64 {
	size := spanMicros(level)
	n := bucket / size
	if bucket%size < 0 {
		n--
	}
	return n
}

// Spans returns the first and the last span that can hold buckets in [from, to),
// in Unix microseconds. Where the range is empty the last is before the first.
// Both zero are no bounds, as in usage.RollupSelection.
func Spans(level aggregate.Unit, from, to int64) (first, last int64) {
	if from == 0 && to == 0 {
		return math.MinInt64, math.MaxInt64
	}
	if from >= to {
		return 0, -1
	}
	return SpanOf(level, from), SpanOf(level, to-1)
}
