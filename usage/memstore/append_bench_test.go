package memstore_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/rules"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

// traffic makes the records of BenchmarkAppendPrepared: 50 tenants, 20
// namespaces, 40 meters, 2,000 resources that belong to one tenant and namespace
// each, 90 days, quantities of up to 6 places, unique ids. Every fiftieth record
// is one of the last thousands again, every hundredth comes days late.
type traffic struct {
	rnd         *rand.Rand
	total, n    int
	uuid        bool // ids are UUIDs, else 32 hexadecimal digits
	adversarial bool // nearly every record is a series of its own
	recent      []usage.Record
	tenants     [benchTenants]string
	meters      [40]string
	sources     [8]string
	resources   [2000]string
	namespaces  [20]string
}

func newTraffic(seed uint64, total int) *traffic {
	w := &traffic{rnd: rand.New(rand.NewPCG(seed, 7)), total: total, uuid: true}
	for _, names := range []struct {
		list   []string
		format string
	}{{w.tenants[:], "tenant-%02d"}, {w.meters[:], "meter-%02d"}, {w.sources[:], "collector-%d"}, {w.resources[:], "resource-%04d"}, {w.namespaces[:], "namespace-%02d"}} {
		for i := range names.list {
			names.list[i] = fmt.Sprintf(names.format, i)
		}
	}
	return w
}

func (w *traffic) next() usage.Record {
	at := benchStart.Add(time.Duration(float64(w.n) / float64(w.total) * float64(benchDays*24*time.Hour)))
	w.n++
	if len(w.recent) > 0 && w.rnd.IntN(50) == 0 {
		return w.recent[w.rnd.IntN(len(w.recent))]
	}
	at = at.Add(time.Duration(w.rnd.Int64N(int64(time.Hour)))).Truncate(time.Microsecond)
	if w.rnd.IntN(100) == 0 {
		at = at.AddDate(0, 0, -1-w.rnd.IntN(30))
	}
	var id [16]byte
	for i := range id {
		id[i] = byte(w.rnd.Uint32())
	}
	h := hex.EncodeToString(id[:])
	if w.uuid {
		h = h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
	}
	i := w.rnd.IntN(len(w.resources))
	resource := w.resources[i]
	if w.adversarial {
		resource = fmt.Sprintf("resource-%012x", w.rnd.Uint64()>>16)
	}
	r := usage.Record{
		Tenant: w.tenants[i%len(w.tenants)], Source: w.sources[i%len(w.sources)], ID: h, Meter: w.meters[w.rnd.IntN(len(w.meters))], Start: at,
		Values:     usage.NewValues(usage.Value{Name: usage.QuantityName, Number: aggregate.Fixed(w.rnd.Int64N(1_000_000_000), uint8(w.rnd.IntN(7)))}),
		Dimensions: usage.NewDimensions(usage.Dimension{Name: "namespace", Value: w.namespaces[i%len(w.namespaces)]}, usage.Dimension{Name: "resource", Value: resource}),
	}
	if len(w.recent) < 5000 {
		w.recent = append(w.recent, r)
	} else {
		w.recent[w.n%len(w.recent)] = r
	}
	return r
}

// batches makes the next records. Their texts are shared with nobody, as if each
// batch had come in a request of its own.
func (w *traffic) batches(count, size int) [][]usage.Record {
	list := make([][]usage.Record, count)
	for i := range list {
		list[i] = make([]usage.Record, size)
		for k := range list[i] {
			list[i][k] = w.next()
		}
	}
	return list
}

// benchRules covers all that the traffic has, some of it twice.
func benchRules(tb testing.TB) *rules.Set {
	most, err := aggregate.ParseNumber("1000000000")
	require.NoError(tb, err)
	list := []rules.Rule{{Name: "everything", Sign: rules.NonNegative, Scale: rules.Some(6), Max: &most, Required: []string{"namespace", "resource"}, MaxFuture: rules.Some(time.Hour)}}
	for i := 0; i < 40; i += 2 {
		list = append(list, rules.Rule{Name: fmt.Sprintf("billed %d", i), Meter: fmt.Sprintf("meter-%02d", i), Billable: rules.Some(true)})
	}
	set, err := rules.New("", list, nil)
	require.NoError(tb, err)
	return set
}

// appendAll books what the workloads make, a writer for each, and returns how
// long the calls of Append took, on the clock and of the processors. The records of a round are made beforehand.
func appendAll(b *testing.B, book *usage.Book, writers []*traffic, batch int, each func(took, used time.Duration)) (took, cpu time.Duration) {
	const round = 50_000 // small, so that what waits to be booked is no work for the garbage collector
	for done := 0; done < writers[0].total; done += round {
		prepared := make([][][]usage.Record, len(writers))
		for i, w := range writers {
			prepared[i] = w.batches(round/batch, batch)
		}
		var group sync.WaitGroup
		var failed atomic.Pointer[error]
		begun, used := time.Now(), processorTime()
		for _, batches := range prepared {
			group.Go(func() {
				runtime.LockOSThread()
				for _, records := range batches {
					at, used := time.Now(), threadTime()
					receipt, err := book.Append(context.Background(), records...)
					if err == nil && !receipt.OK() {
						err = fmt.Errorf("%d inserted, %d duplicates", receipt.Inserted, receipt.Duplicates)
					}
					if err != nil {
						failed.Store(&err)
						return
					}
					if each != nil {
						each(time.Since(at), threadTime()-used)
					}
				}
			})
		}
		group.Wait()
		took, cpu = took+time.Since(begun), cpu+processorTime()-used
		if err := failed.Load(); err != nil {
			b.Fatal(*err)
		}
	}
	return took, cpu
}

func newBenchBook(b *testing.B) (*usage.Book, *memstore.Store) {
	store := memstore.New(nil)
	now := benchStart.AddDate(1, 0, 0)
	book, err := usage.New(store, &usage.Options{Now: func() time.Time { return now }, Rules: benchRules(b)})
	require.NoError(b, err)
	return book, store
}

// BenchmarkAppendPrepared books records through the Book, with everything that
// stands between a caller and the store: checks, rules, deduplication, receipt.
// For the figures of one core run it with -cpu 1; writers are goroutines.
func BenchmarkAppendPrepared(b *testing.B) {
	for _, kind := range []struct {
		name       string
		uuid, many bool
	}{
		{name: "typical/uuid", uuid: true}, {name: "typical/hex32"}, {name: "adversarial/uuid", uuid: true, many: true},
	} {
		for _, batch := range []int{200, 10_000} {
			for _, writers := range []int{1, 2} {
				b.Run(fmt.Sprintf("%s/batch%d/writers%d", kind.name, batch, writers), func(b *testing.B) {
					b.ReportAllocs()
					took, cpu := time.Duration(0), time.Duration(0)
					for b.Loop() {
						before := heap()
						book, store := newBenchBook(b)
						list := make([]*traffic, writers)
						for i := range list {
							list[i] = newTraffic(uint64(i), benchRecords/writers)
							list[i].uuid, list[i].adversarial = kind.uuid, kind.many
						}
						t, c := appendAll(b, book, list, batch, nil)
						took, cpu = took+t, cpu+c
						clear(list)
						state, err := store.Checkpoint(b.Context(), usage.AsOf{})
						require.NoError(b, err)
						b.ReportMetric(float64(heap()-before)/float64(state.Mark.Sequence), "B/record")
						runtime.KeepAlive(book)
					}
					b.ReportMetric(float64(b.N)*benchRecords/took.Seconds(), "records/s")
					if cpu > 0 {
						b.ReportMetric(float64(b.N)*benchRecords/cpu.Seconds(), "records/cpu-s")
					}
				})
			}
		}
	}
}

// BenchmarkAppendGrowing books 2,000,000 records into an empty store, in batches
// of 200, and tells how long the calls took by the clock, and how much processor
// time of their thread, which others on the machine cannot lengthen.
func BenchmarkAppendGrowing(b *testing.B) {
	for b.Loop() {
		book, _ := newBenchBook(b)
		var clock, thread []time.Duration
		appendAll(b, book, []*traffic{newTraffic(1, 2*benchRecords)}, benchBatch, func(took, used time.Duration) {
			clock, thread = append(clock, took), append(thread, used)
		})
		for _, times := range []struct {
			list []time.Duration
			of   string
		}{{clock, "clock"}, {thread, "thread"}} {
			if slices.Max(times.list) == 0 {
				continue // there is no such clock
			}
			quarter := len(times.list) / 4
			first, last := slices.Sorted(slices.Values(times.list[:quarter])), slices.Sorted(slices.Values(times.list[3*quarter:]))
			slices.Sort(times.list)
			at := func(list []time.Duration, share float64) float64 {
				return float64(list[int(share*float64(len(list)-1))].Nanoseconds()) / 1000
			}
			median := at(times.list, 0.5)
			b.ReportMetric(median, times.of+"-median-µs")
			b.ReportMetric(at(times.list, 0.99)/median, times.of+"-p99/median")
			b.ReportMetric(at(times.list, 0.999)/median, times.of+"-p99.9/median")
			b.ReportMetric(at(times.list, 1)/median, times.of+"-max/median")
			b.ReportMetric(at(last, 0.5)/at(first, 0.5), times.of+"-last/first-quarter")
		}
	}
}
