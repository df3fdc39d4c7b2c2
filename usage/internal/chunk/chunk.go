package chunk

import (
	"cmp"
	"slices"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
)

// Row is a rollup row inside a chunk.
type Row struct {
	// Bucket is the start of the hour, day or month in Unix microseconds.
	Bucket  int64
	Verdict usage.VerdictClass
	// From is the checkpoint since which the row is valid.
	From    uint64
	Records int64
	// Values are in the order of names. In a decoded chunk they belong to it.
	Values []usage.ValueSummary
}

func (r *Row) compare(bucket int64, verdict usage.VerdictClass) int {
	return cmp.Or(cmp.Compare(r.Bucket, bucket), cmp.Compare(r.Verdict, verdict))
}

// Chunk is the rows of one place, by bucket and verdict, each pair once. The
// zero Chunk is empty. A Chunk is not safe for concurrent use.
type Chunk struct {
	Rows []Row

	names  []string
	values []usage.ValueSummary // what Rows of a decoded chunk point into
}

// Apply puts a commit's rows, all of the chunk's place, in the place of those
// with the same bucket and verdict, valid since the checkpoint to; a row with
// Records 0 takes away and puts nothing. It returns the rows that are not current
// any more. Rows of both keep the Values that they were given with.
func (c *Chunk) Apply(put []*usage.Rollup, to uint64) (replaced Chunk) {
	for _, p := range put {
		i, found := slices.BinarySearchFunc(c.Rows, p, func(r Row, p *usage.Rollup) int { return r.compare(p.Bucket, p.Verdict) })
		if found {
			replaced.Rows = append(replaced.Rows, c.Rows[i])
		}
		row := Row{Bucket: p.Bucket, Verdict: p.Verdict, From: to, Records: p.Records, Values: p.Values}
		switch {
		case found && p.Records == 0:
			c.Rows = slices.Delete(c.Rows, i, i+1)
		case found:
			c.Rows[i] = row
		case p.Records != 0:
			c.Rows = slices.Insert(c.Rows, i, row)
		}
	}
	slices.SortFunc(replaced.Rows, func(a, b Row) int { return a.compare(b.Bucket, b.Verdict) })
	return replaced
}

// Place is what the rows of a chunk have in common.
type Place struct {
	Projection string
	Level      aggregate.Unit
	Tenant     string
	Meter      string
	Dimensions usage.Dimensions
	Span       int64
}

// Placed is the rows of a commit that belong into one chunk.
type Placed struct {
	Place
	Put []*usage.Rollup
}

// Group divides the rows of a commit by their chunks, in an order of places
// that is the same for every commit, so that stores which lock rows lock them
// in one order.
func Group(put []*usage.Rollup) []Placed {
	var out []Placed
	var keys []string
	at := make(map[string]int)
	var key []byte
	for _, p := range put {
		k := usage.RollupKey{Projection: p.Projection, Level: p.Level, Bucket: SpanOf(p.Level, p.Bucket),
			Tenant: p.Tenant, Meter: p.Meter, Dimensions: p.Dimensions}
		key = k.AppendKey(key[:0])
		i, ok := at[string(key)]
		if !ok {
			i = len(out)
			at[string(key)] = i
			keys = append(keys, string(key))
			out = append(out, Placed{Place: Place{Projection: p.Projection, Level: p.Level, Tenant: p.Tenant, Meter: p.Meter,
				Dimensions: p.Dimensions, Span: k.Bucket}})
		}
		out[i].Put = append(out[i].Put, p)
	}
	slices.Sort(keys)
	sorted := make([]Placed, len(out))
	for n, k := range keys {
		sorted[n] = out[at[k]]
	}
	return sorted
}
