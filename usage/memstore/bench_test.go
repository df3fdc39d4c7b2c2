package memstore_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

const (
	benchRecords = 1_000_000
	benchTenants = 50
	benchDays    = 90
	benchBatch   = 200
)

var benchStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// generator makes the records of the benchmarks: 50 tenants, 40 meters, 2,000
// resources of one tenant each, 90 days, in about the order of time, with
// microseconds, quantities of up to six places and two or three dimensions.
type generator struct {
	rnd *rand.Rand
	n   int
}

func newGenerator() *generator { return &generator{rnd: rand.New(rand.NewPCG(1, 2))} }

func (g *generator) next() usage.Record {
	var id [16]byte
	for i := 0; i < 16; i += 8 {
		v := g.rnd.Uint64()
		for k := range 8 {
			id[i+k] = byte(v >> (8 * k))
		}
	}
	h := hex.EncodeToString(id[:])
	resource := g.rnd.IntN(2000)
	at := time.Duration(g.n) * (benchDays * 24 * time.Hour / benchRecords)
	at -= time.Duration(g.rnd.Int64N(int64(2 * time.Hour)))
	at = max(at, 0)
	g.n++
	dims := []usage.Dimension{
		{Name: "resource", Value: fmt.Sprintf("res-%04d", resource)},
		{Name: "region", Value: []string{"eu-west-1", "eu-central-1", "us-east-1", "ap-south-1"}[resource%4]},
	}
	if resource%2 == 0 {
		dims = append(dims, usage.Dimension{Name: "tier", Value: []string{"standard", "premium"}[resource/2%2]})
	}
	return usage.Record{
		Tenant: fmt.Sprintf("tenant-%02d", resource%benchTenants), Source: fmt.Sprintf("collector-%d", resource%8),
		ID:    h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:],
		Meter: fmt.Sprintf("meter-%02d", g.rnd.IntN(40)), Start: benchStart.Add(at),
		Values:     usage.Quantity(decimal.New(g.rnd.Int64N(1_000_000_000), -6)),
		Dimensions: usage.NewDimensions(dims...),
	}
}

// simple is what the naive loop goes over.
type simple struct {
	tenant, meter, resource string
	start                   time.Time
	values                  map[string]decimal.Decimal
}

// benchData is the set, once as batches and once as a slice of structs.
var benchData = sync.OnceValue(func() (d struct {
	batches []*usage.Batch
	naive   []simple
	store   *memstore.Store
}) {
	d.store = memstore.New(nil)
	book, err := usage.New(d.store, nil)
	if err != nil {
		panic(err)
	}
	g := newGenerator()
	for range benchRecords / benchBatch {
		records := make([]usage.Record, benchBatch)
		for i := range records {
			r := g.next()
			records[i] = r
			q, _ := r.Values.Get(usage.QuantityName)
			resource, _ := r.Dimensions.Get("resource")
			d.naive = append(d.naive, simple{r.Tenant, r.Meter, resource, r.Start, map[string]decimal.Decimal{usage.QuantityName: q}})
		}
		b, err := book.Prepare(usage.AppendOptions{}, records...)
		if err != nil {
			panic(err)
		}
		d.batches = append(d.batches, b)
		if _, err := d.store.Append(context.Background(), b); err != nil {
			panic(err)
		}
	}
	return d
})

func BenchmarkAppend200_1M(b *testing.B) {
	d := benchData()
	b.ReportAllocs()
	for b.Loop() {
		s := memstore.New(nil)
		for _, batch := range d.batches {
			out, err := s.Append(b.Context(), batch)
			if err != nil || out[0].Outcome != usage.Inserted {
				b.Fatal(err, out[0].Outcome)
			}
		}
	}
	b.ReportMetric(float64(b.N)*benchRecords/b.Elapsed().Seconds(), "records/s")
}

// The same records again: what a retry costs.
func BenchmarkAppendDuplicates200_1M(b *testing.B) {
	d := benchData()
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		out, err := d.store.Append(b.Context(), d.batches[n%len(d.batches)])
		if err != nil || out[0].Outcome != usage.Duplicate {
			b.Fatal(err, out[0].Outcome)
		}
		n++
	}
	b.ReportMetric(float64(b.N)*benchBatch/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkAppendMap200_1M(b *testing.B) {
	d := benchData()
	b.ReportAllocs()
	for b.Loop() {
		s := make(map[usage.Identity]simple)
		for _, batch := range d.batches {
			for i := range batch.Len() {
				r := &batch.At(i).Record
				if _, ok := s[r.Identity()]; ok {
					b.Fatal("twice")
				}
				q, _ := r.Values.Get(usage.QuantityName)
				resource, _ := r.Dimensions.Get("resource")
				s[r.Identity()] = simple{r.Tenant, r.Meter, resource, r.Start, map[string]decimal.Decimal{usage.QuantityName: q}}
			}
		}
	}
	b.ReportMetric(float64(b.N)*benchRecords/b.Elapsed().Seconds(), "records/s")
}

// benchQuery is a query for the store and for the naive loop.
type benchQuery struct {
	name     string
	sel      usage.Selection
	window   aggregate.Window
	want     func(r *simple) bool
	group    func(s *usage.Series) string // "" is not wanted
	groupOf  func(r *simple) string
	windowOf func(t time.Time) time.Time
}

func day(t time.Time) time.Time  { return t.Truncate(24 * time.Hour) }
func hour(t time.Time) time.Time { return t.Truncate(time.Hour) }
func month(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

func benchQueries() []benchQuery {
	from := benchStart.AddDate(0, 0, 20)
	within := func(t time.Time, days int) bool { return !t.Before(from) && t.Before(from.AddDate(0, 0, days)) }
	meters := map[string]bool{"meter-03": true, "meter-14": true, "meter-25": true}
	return []benchQuery{
		{
			name: "Q1", sel: usage.Selection{Scope: usage.ForTenant("tenant-07"), From: from, To: from.AddDate(0, 0, 30)},
			window: aggregate.Window{Unit: aggregate.Day}, windowOf: day,
			want:    func(r *simple) bool { return r.tenant == "tenant-07" && within(r.start, 30) },
			group:   func(s *usage.Series) string { return s.Meter },
			groupOf: func(r *simple) string { return r.meter },
		},
		{
			name: "Q2", sel: usage.Selection{Scope: usage.AllTenants()},
			window: aggregate.Window{Unit: aggregate.Month}, windowOf: month,
			want:    func(*simple) bool { return true },
			group:   func(s *usage.Series) string { return s.Tenant },
			groupOf: func(r *simple) string { return r.tenant },
		},
		{
			name: "Q3", sel: usage.Selection{Scope: usage.AllTenants(), Meters: []string{"meter-03", "meter-14", "meter-25"}},
			window: aggregate.Window{Unit: aggregate.Day}, windowOf: day,
			want: func(r *simple) bool { return meters[r.meter] && strings.HasPrefix(r.resource, "res-10") },
			group: func(s *usage.Series) string {
				if v, _ := s.Dimensions.Get("resource"); strings.HasPrefix(v, "res-10") {
					return v
				}
				return ""
			},
			groupOf: func(r *simple) string { return r.resource },
		},
		{
			name: "Q4", sel: usage.Selection{Scope: usage.ForTenant("tenant-07"), Meters: []string{"meter-03"}, From: from, To: from.AddDate(0, 0, 7)},
			window: aggregate.Window{Unit: aggregate.Hour}, windowOf: hour,
			want:    func(r *simple) bool { return r.tenant == "tenant-07" && r.meter == "meter-03" && within(r.start, 7) },
			group:   func(*usage.Series) string { return "all" },
			groupOf: func(*simple) string { return "all" },
		},
	}
}

type benchKey struct {
	group  string
	window int64
}

// byStore answers a query with Group.
func (q *benchQuery) byStore(ctx context.Context, s *memstore.Store) (iter.Seq2[benchKey, *aggregate.Sum], error) {
	numbers, names := map[string]int{}, []string{}
	read := usage.GroupRead{Selection: q.sel, Window: q.window, Values: []string{usage.QuantityName}}
	read.Selection.Mark, read.Selection.Class = usage.Mark{Sequence: benchRecords}, usage.Plain
	read.Group = func(s *usage.Series, _ usage.VerdictClass) int {
		name := q.group(s)
		if name == "" {
			return -1
		}
		n, ok := numbers[name]
		if !ok {
			n = len(names)
			numbers[name], names = n, append(names, name)
		}
		return n
	}
	type key struct {
		group  int
		window int64
	}
	at := map[key]int{}
	var sums []aggregate.Sum
	for row, err := range s.Group(ctx, read) {
		if err != nil {
			return nil, err
		}
		k := key{row.Group, row.Window}
		i, ok := at[k]
		if !ok {
			i = len(sums)
			at[k], sums = i, append(sums, aggregate.Sum{})
		}
		sums[i].Merge(&row.Values[0].Sum)
	}
	return func(yield func(benchKey, *aggregate.Sum) bool) {
		for k, i := range at {
			if !yield(benchKey{names[k.group], k.window}, &sums[i]) {
				return
			}
		}
	}, nil
}

// naive answers it with a loop.
func (q *benchQuery) naive(all []simple) map[benchKey]decimal.Decimal {
	type key struct {
		group  string
		window time.Time
	}
	sums := map[key]decimal.Decimal{}
	for i := range all {
		r := &all[i]
		if q.want(r) {
			k := key{q.groupOf(r), q.windowOf(r.start)}
			sums[k] = sums[k].Add(r.values[usage.QuantityName])
		}
	}
	out := make(map[benchKey]decimal.Decimal, len(sums))
	for k, v := range sums {
		out[benchKey{k.group, k.window.UnixMicro()}] = v
	}
	return out
}

func BenchmarkGroup_1M(b *testing.B) {
	d := benchData()
	for _, q := range benchQueries() {
		b.Run(q.name, func(b *testing.B) {
			b.ReportAllocs()
			var got iter.Seq2[benchKey, *aggregate.Sum]
			for b.Loop() {
				var err error
				if got, err = q.byStore(b.Context(), d.store); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			texts := map[benchKey]string{}
			for k, v := range got {
				texts[k] = v.String()
			}
			want := map[benchKey]string{}
			for k, v := range q.naive(d.naive) {
				want[k] = v.String()
			}
			if !maps.Equal(texts, want) {
				b.Fatalf("%d rows differ from the %d of the naive loop", len(texts), len(want))
			}
		})
		b.Run(q.name+"/naive", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if len(q.naive(d.naive)) == 0 {
					b.Fatal("no rows")
				}
			}
		})
	}
}

// BenchmarkBytes_1M measures nothing but room: what the heap holds with the
// store in it and all else let go, without rollups and with those that the Book
// keeps.
func BenchmarkBytes_1M(b *testing.B) {
	for b.Loop() {
		before := heap()
		store := memstore.New(nil)
		now := benchStart.AddDate(1, 0, 0)
		book, err := usage.New(store, &usage.Options{Now: func() time.Time { return now }, RollBatch: benchRecords})
		require.NoError(b, err)
		g := newGenerator()
		for range benchRecords / benchBatch {
			records := make([]usage.Record, benchBatch)
			for i := range records {
				records[i] = g.next()
			}
			now = now.Add(time.Second)
			_, err := book.Append(b.Context(), records...)
			require.NoError(b, err)
		}
		b.ReportMetric(float64(heap()-before)/benchRecords, "B/record")
		for did := true; did; {
			did, err = book.Roll(b.Context())
			require.NoError(b, err)
			now = now.Add(2 * time.Hour)
		}
		b.ReportMetric(float64(heap()-before)/benchRecords, "B/record-with-rollups")
		runtime.KeepAlive(book)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
