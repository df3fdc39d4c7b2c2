package chunk_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/internal/chunk"
)

var numbers = []string{"0", "1", "-1.25", "0.000001", "9223372036854775807", "-9223372036854775808",
	"99999999999999999999999999999999999999.999999999999999999999999999999", "-0.000000000000000000000000000001"}

func summary(rng *rand.Rand) aggregate.Summary {
	var s aggregate.Summary
	for range rng.IntN(4) {
		n, err := aggregate.ParseNumber(numbers[rng.IntN(len(numbers))])
		if err != nil {
			panic(err)
		}
		s.Add(n)
	}
	return s
}

func rollup(rng *rand.Rand, bucket int64) *usage.Rollup {
	r := &usage.Rollup{RollupKey: usage.RollupKey{Projection: "meter", Level: aggregate.Day, Bucket: bucket, Tenant: "acme", Meter: "m",
		Verdict: usage.VerdictClass(rng.IntN(6))}, Records: 1 + rng.Int64N(1000)}
	for _, name := range []string{"cost", "ä", "quantity"} {
		if rng.IntN(3) > 0 {
			r.Values = append(r.Values, usage.ValueSummary{Name: name, Summary: summary(rng)})
		}
	}
	return r
}

func text(r *chunk.Row) string {
	s := fmt.Sprintf("%d/%d since %d: %d", r.Bucket, r.Verdict, r.From, r.Records)
	for i := range r.Values {
		v := &r.Values[i]
		s += fmt.Sprintf(" %q %d", v.Name, v.Count)
		if v.Count > 0 {
			s += fmt.Sprintf(" %s %s %s", v.Sum, v.Min, v.Max)
		}
	}
	return s
}

func texts(c *chunk.Chunk) []string {
	out := []string{}
	for i := range c.Rows {
		out = append(out, text(&c.Rows[i]))
	}
	return out
}

// Commit after commit, what is current and what was replaced are compared with
// maps, through the packed form each time.
func TestApplyAgainstMaps(t *testing.T) {
	t.Parallel()
	type key struct {
		bucket  int64
		verdict usage.VerdictClass
	}
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 1))
		current := map[key]string{}
		var packed []byte
		packed = new(chunk.Chunk).AppendBinary(packed)
		var c chunk.Chunk
		for to := uint64(1); to < 40; to += 1 + rng.Uint64N(3) {
			var put []*usage.Rollup
			wantReplaced := []string{}
			seen := map[key]bool{}
			for range rng.IntN(8) {
				bucket := (rng.Int64N(40) - 20) * 3600_000_000
				if seed%3 == 0 {
					bucket = rng.Int64N(60) - 30 // of no hour
				}
				p := rollup(rng, bucket)
				k := key{p.Bucket, p.Verdict}
				if seen[k] {
					continue
				}
				seen[k] = true
				if rng.IntN(4) == 0 {
					p.Records, p.Values = 0, nil
				}
				put = append(put, p)
				if was, ok := current[k]; ok {
					wantReplaced = append(wantReplaced, was)
				}
				delete(current, k)
				if p.Records != 0 {
					current[k] = text(&chunk.Row{Bucket: p.Bucket, Verdict: p.Verdict, From: to, Records: p.Records, Values: p.Values})
				}
			}
			require.NoError(t, c.Decode(packed))
			replaced := c.Apply(put, to)
			gone := replaced.AppendBinary(nil)
			packed = c.AppendBinary([]byte("before"))[len("before"):]

			var old chunk.Chunk
			require.NoError(t, old.Decode(gone))
			require.ElementsMatch(t, wantReplaced, texts(&old), "seed %d", seed)
			require.True(t, slices.IsSortedFunc(old.Rows, func(a, b chunk.Row) int { return int(a.Bucket - b.Bucket) }))
			require.NoError(t, c.Decode(packed))
			require.ElementsMatch(t, slices.Collect(maps.Values(current)), texts(&c), "seed %d", seed)
		}
	}
}

func TestEveryFlippedBitIsSeen(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	var c chunk.Chunk
	for i := range 5 {
		c.Apply([]*usage.Rollup{rollup(rng, int64(i)*3600_000_000)}, 7)
	}
	data := c.AppendBinary(nil)
	for i := range len(data) * 8 {
		data[i/8] ^= 1 << (i % 8)
		require.ErrorIs(t, new(chunk.Chunk).Decode(data), chunk.ErrDamaged)
		data[i/8] ^= 1 << (i % 8)
	}
	for n := range data {
		require.ErrorIs(t, new(chunk.Chunk).Decode(data[:n]), chunk.ErrDamaged)
	}
	require.NoError(t, new(chunk.Chunk).Decode(data))
}

func TestSpans(t *testing.T) {
	t.Parallel()
	at := func(s string) int64 {
		when, err := time.Parse(time.RFC3339, s)
		require.NoError(t, err)
		return when.UnixMicro()
	}
	for _, level := range []aggregate.Unit{aggregate.Hour, aggregate.Day, aggregate.Month} {
		for _, from := range []string{"0001-01-01T00:00:00Z", "1969-12-31T00:00:00Z", "1970-01-01T00:00:00Z", "2026-03-01T00:00:00Z", "9999-12-01T00:00:00Z"} {
			lo := aggregate.Floor(level, at(from))
			hi := lo
			for range 40 {
				hi = aggregate.Next(level, hi)
			}
			first, last := chunk.Spans(level, lo, hi)
			for b := lo; b < hi; b = aggregate.Next(level, b) {
				require.LessOrEqual(t, first, chunk.SpanOf(level, b))
				require.GreaterOrEqual(t, last, chunk.SpanOf(level, b))
			}
			require.LessOrEqual(t, last-first, int64(4))
		}
	}
	first, last := chunk.Spans(aggregate.Day, 0, 0)
	require.Equal(t, [2]int64{math.MinInt64, math.MaxInt64}, [2]int64{first, last}, "no bounds")
	first, last = chunk.Spans(aggregate.Day, 5, 5)
	require.Less(t, last, first, "nothing")
}

func TestGroup(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 3))
	var put []*usage.Rollup
	for i := range 200 {
		p := rollup(rng, int64(i)*24*3600_000_000)
		p.Tenant = []string{"a", "b"}[i%2]
		p.Dimensions = usage.DimensionsOf(map[string]string{"region": []string{"eu", "us", ""}[i%3]})
		p.Projection = []string{"meter", "series"}[i/100]
		put = append(put, p)
	}
	groups := chunk.Group(put)
	rng.Shuffle(len(put), func(i, j int) { put[i], put[j] = put[j], put[i] })
	again := chunk.Group(put)
	require.Len(t, again, len(groups))
	n := 0
	for i := range groups {
		g := &groups[i]
		require.Equal(t, g.Place, again[i].Place, "the order of places is that of places")
		require.Len(t, again[i].Put, len(g.Put))
		for _, p := range g.Put {
			n++
			require.Equal(t, g.Place, chunk.Place{Projection: p.Projection, Level: p.Level, Tenant: p.Tenant, Meter: p.Meter,
				Dimensions: p.Dimensions, Span: chunk.SpanOf(p.Level, p.Bucket)})
		}
	}
	require.Equal(t, len(put), n)
	require.Empty(t, chunk.Group(nil))
}

func FuzzDecode(f *testing.F) {
	rng := rand.New(rand.NewPCG(5, 5))
	for range 4 {
		var c chunk.Chunk
		for i := range 3 {
			c.Apply([]*usage.Rollup{rollup(rng, int64(i))}, 7)
		}
		f.Add(c.AppendBinary(nil))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		// With a checksum that is right, so that the decoder is reached.
		data = chunk.Seal(data)
		var c chunk.Chunk
		if c.Decode(data) != nil {
			return
		}
		want := texts(&c)
		var again chunk.Chunk
		require.NoError(t, again.Decode(c.AppendBinary(nil)))
		require.Equal(t, want, texts(&again))
	})
}

func BenchmarkDecodeMonth(b *testing.B) {
	var c chunk.Chunk
	for day := range 30 {
		var s aggregate.Summary
		s.AddFixed(int64(day)*1234567, 6)
		s.AddFixed(1, 3)
		c.Apply([]*usage.Rollup{{RollupKey: usage.RollupKey{Bucket: int64(day) * 24 * 3600_000_000}, Records: 2,
			Values: []usage.ValueSummary{{Name: "quantity", Summary: s}}}}, 1)
	}
	data := c.AppendBinary(nil)
	b.ReportAllocs()
	b.ReportMetric(float64(len(data))/30, "bytes/row")
	for b.Loop() {
		if err := c.Decode(data); err != nil || len(c.Rows) != 30 {
			b.Fatal(err, len(c.Rows))
		}
	}
}
