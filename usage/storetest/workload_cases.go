package storetest

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/storetest/internal/model"
)

var workloadCases = []aCase{
	{
		name:     "W1_without_rollups",
		rule:     "Any query over any history gives, from raw records, what a naive reading of all records gives, row by row and to the last digit.",
		workload: true,
		run: func(k *kit) {
			for _, seed := range seeds(100, 101) {
				k.workload(seed, func(*world) {})
			}
		},
	},
	{
		name:     "W2_with_partial_rollups",
		rule:     "A rollup makes an answer faster and never different: with rollups that are complete up to some moment, in whatever steps they were made.",
		workload: true,
		run: func(k *kit) {
			k.rolling(seeds(201, 203, 205, 200), func(w *world) { w.roll(w.rng.IntN(3)) })
		},
	},
	{
		name:     "W3_with_complete_rollups",
		rule:     "A rollup makes an answer faster and never different: with rollups that are complete.",
		workload: true,
		run: func(k *kit) {
			k.rolling(seeds(301, 303, 305), func(w *world) { w.roll(-1) })
		},
	},
	{
		name:     "W4_paging_while_writing",
		rule:     "The pages of one answer are one snapshot, and as one big page, while writers, corrections and rollups go on; and a query as of the moment of an answer repeats it later.",
		workload: true,
		run:      pagingWhileWriting,
	},
	{
		name:     "W5_concurrent_writers",
		rule:     "However many writers send the same records at once, in whatever batches and order, each identity is inserted exactly once and every figure is right at the end; meanwhile readers see whole moments, which never run back.",
		workload: true,
		run:      concurrentWriters,
	},
	{
		name:     "W6_ended_ranges_of_recorded_time",
		rule:     "A range of recorded time that ended in the past is complete when it is first read and never grows, however long batches are in flight: of adjacent ranges exactly one has a record.",
		workload: true,
		run:      endedRanges,
	},
}

// seeds are the histories that a workload goes through: the first one under go
// test -short, and further ones of the same kinds when USAGEBOOK_WORKLOADS is
// the number of times to go through all.
func seeds(list ...uint64) []uint64 {
	if testing.Short() {
		return list[:1]
	}
	more, err := strconv.Atoi(os.Getenv("USAGEBOOK_WORKLOADS"))
	if err != nil {
		return list
	}
	all := list
	for i := 1; i < more; i++ {
		for _, seed := range list {
			all = append(all, seed+uint64(i)*1000)
		}
	}
	return all
}

// workload makes up a history and asks about it all the while, with roll in
// between.
func (k *kit) workload(seed uint64, roll func(w *world)) map[string]int {
	k.Helper()
	w := k.world(seed, usage.Options{RollBatch: 40, SnapshotHold: 20 * time.Minute})
	for range 3 {
		// Enough for rollups to be worth keeping.
		bulk := make([]usage.Record, 120)
		for i := range bulk {
			bulk[i] = w.fresh()
		}
		w.append(bulk...)
	}
	for range 14 {
		w.step()
		roll(w)
		for range 5 {
			w.check(w.question())
		}
	}
	return w.planned
}

// rolling goes through workloads whose rollups are to be read.
func (k *kit) rolling(seeds []uint64, roll func(w *world)) {
	k.Helper()
	read := 0
	for _, seed := range seeds {
		read += k.workload(seed, roll)["rollup"]
	}
	if read == 0 && !testing.Short() {
		k.Fatalf("no answer was read from rollups, so nothing was shown about them")
	}
}

func pagingWhileWriting(k *kit) {
	for _, seed := range seeds(501, 502) {
		w := k.world(seed, usage.Options{RollBatch: 30, SnapshotHold: time.Hour})
		type asked struct {
			q    question
			want []string
		}
		var past []asked
		for range 12 {
			w.step()
			w.step()
			for range 3 {
				q := w.question()
				q.pageSize = 1 + w.rng.IntN(4)
				if len(w.expected(q)) > 60 {
					q.Limit = 30
				}
				want := w.expected(q)
				got := w.answer(w.book, q, func() {
					switch w.rng.IntN(4) {
					case 0:
						w.step()
					case 1:
						w.roll(1)
					case 2:
						w.clock.advance(time.Minute)
					}
				})
				w.same("page by page while writing goes on", q, got, want)
				again := *q
				again.asOf = usage.AsOf{Sequence: q.Mark}
				if q.Mark > 0 {
					past = append(past, asked{again, want})
				}
			}
			for range 3 {
				if len(past) == 0 {
					break
				}
				a := pick(w.rng, past)
				a.q.pageSize = pick(w.rng, []int{0, 3, 40})
				w.same("repeated as of an earlier answer", &a.q, w.answer(w.book, &a.q, nil), a.want)
			}
		}
		w.place()
	}
}

func concurrentWriters(k *kit) {
	const writers, copies = 6, 3
	w := k.world(601, usage.Options{RollBatch: 150})
	records := make([]usage.Record, 900)
	for i := range records {
		records[i] = w.fresh()
	}
	// Each record is sent several times, by different writers, in any order.
	queues := make([][]usage.Record, writers)
	for i, r := range records {
		for c := range copies {
			n := (i + c) % writers
			queues[n] = append(queues[n], r)
		}
	}
	for _, q := range queues {
		w.rng.Shuffle(len(q), func(i, j int) { q[i], q[j] = q[j], q[i] })
	}
	var inserted sync.Map // Identity -> *atomic.Int64
	var running atomic.Int64
	running.Store(writers)
	var mu sync.Mutex
	var faults []string
	fault := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		faults = append(faults, fmt.Sprintf(format, args...))
	}
	count := usage.Query{Measures: []usage.Measure{{Aggregation: usage.Count}}}
	race(writers+2, func(n int) {
		switch {
		case n < writers:
			defer running.Add(-1)
			for queue := queues[n]; len(queue) > 0; {
				size := min(1+len(queue)%37, len(queue))
				receipt, err := w.book.Append(w.ctx(), queue[:size]...)
				if err != nil {
					fault("Append: %v", err)
					return
				}
				for i, e := range receipt.Entries {
					if e.Outcome == usage.Inserted {
						times, _ := inserted.LoadOrStore(queue[i].Identity(), new(atomic.Int64))
						times.(*atomic.Int64).Add(1)
					}
				}
				queue = queue[size:]
			}
		case n == writers: // rolls
			for running.Load() > 0 {
				if _, err := w.book.Roll(w.ctx()); err != nil {
					fault("Roll: %v", err)
					return
				}
				runtime.Gosched()
			}
		default: // reads
			last := int64(0)
			for running.Load() > 0 {
				page, err := w.book.Query(w.ctx(), usage.AllTenants(), count)
				if err != nil {
					fault("Query: %v", err)
					return
				}
				if len(page.Rows) == 0 {
					continue
				}
				now := page.Rows[0].Get("count").Decimal().IntPart()
				if now < last {
					fault("%d records were counted, and %d later", last, now)
				}
				last = now
				again := count
				again.AsOf = page.AsOf
				repeated, err := w.book.Query(w.ctx(), usage.AllTenants(), again)
				if err != nil || len(repeated.Rows) != 1 {
					fault("the same query as of %+v: %v", page.AsOf, err)
					return
				}
				if got := repeated.Rows[0].Get("count").Decimal().IntPart(); got != now {
					fault("as of %+v %d records were counted, and later as of the same moment %d", page.AsOf, now, got)
				}
			}
		}
	})
	if len(faults) > 0 {
		w.fatalf("%d faults, the first: %s", len(faults), faults[0])
	}
	for i := range records {
		times, ok := inserted.Load(records[i].Identity())
		if !ok || times.(*atomic.Int64).Load() != 1 {
			w.fatalf("%v was sent %d times and inserted %v times, want once", records[i].Identity(), copies, times)
		}
	}
	// The model is told in the order in which the store booked them.
	byIdentity := map[usage.Identity]usage.Record{}
	for _, r := range records {
		byIdentity[r.Identity()] = r
	}
	for _, r := range w.everything() {
		batch := w.prepare(byIdentity[r.Identity()])
		w.model.Append([]model.Record{modelled(batch.At(0))}, false)
	}
	w.sent = records
	for range 2 {
		for range 15 {
			w.check(w.question())
		}
		w.roll(-1)
	}
}

// endedRanges has writers whose batches are in flight for up to two
// looks of a reader, who asks what was booked since it looked last: every record
// is to be in exactly one of its ranges, and none of them ever grows.
func endedRanges(k *kit) {
	b := k.open(nil)
	const writers, each = 4, 25
	var mu sync.Mutex
	looked := sync.NewCond(&mu)
	looks, working := 0, writers
	var failures []string
	written := make(chan struct{})
	go func() {
		defer close(written)
		race(writers, func(w int) {
			defer func() {
				mu.Lock()
				defer mu.Unlock()
				working--
			}()
			for i := range each {
				mu.Lock()
				until := looks + (w+i)%3
				mu.Unlock()
				batch, err := b.book.Prepare(usage.AppendOptions{}, use(fmt.Sprintf("w%d-%d", w, i), i))
				mu.Lock()
				for looks < until {
					looked.Wait()
				}
				mu.Unlock()
				if err == nil {
					_, err = b.store.Append(b.ctx(), batch)
				}
				if err != nil {
					mu.Lock()
					defer mu.Unlock()
					failures = append(failures, fmt.Sprintf("writer %d: Append: %v", w, err))
					return
				}
			}
		})
	}()
	type look struct {
		from, to time.Time
		records  []usage.Identity
	}
	read := func(from, to time.Time) ([]usage.Identity, error) {
		var out []usage.Identity
		for row, err := range b.book.Rows(b.ctx(), usage.AllTenants(), usage.Query{On: usage.RecordedTime, From: from, To: to}) {
			if err != nil {
				return nil, err
			}
			out = append(out, row.Record.Identity())
		}
		return out, nil
	}
	var all []look
	var fault error
	from, busy := epoch, true
	for busy {
		mu.Lock()
		busy = working > 0
		mu.Unlock()
		b.clock.advance(time.Millisecond)
		to := b.clock.Now()
		if fault == nil {
			var ids []usage.Identity
			ids, fault = read(from, to)
			all = append(all, look{from, to, ids})
			from = to
		}
		mu.Lock()
		looks++
		looked.Broadcast()
		mu.Unlock()
	}
	<-written
	for _, what := range failures {
		k.Fatalf("%s", what)
	}
	if fault != nil {
		k.Fatalf("reading a range: %v", fault)
	}
	// What was booked last may have been recorded where the clock still stood.
	b.clock.advance(time.Hour)
	ids, err := read(from, b.clock.Now())
	if err != nil {
		k.Fatalf("reading a range: %v", err)
	}
	all = append(all, look{from, b.clock.Now(), ids})
	seen := map[usage.Identity]bool{}
	for _, l := range all {
		again, err := read(l.from, l.to)
		if err != nil {
			k.Fatalf("reading a range: %v", err)
		}
		b.sameIdentities(fmt.Sprintf("the range of Recorded from %s to %s, which had ended when it was first read, read again", showTime(l.from), showTime(l.to)), again, l.records)
		for _, id := range again {
			if seen[id] {
				k.Fatalf("%v is in two adjacent ranges of Recorded", id)
			}
			seen[id] = true
		}
	}
	if len(seen) != writers*each {
		k.Fatalf("%d of %d booked records are in the ranges of Recorded that cover all time", len(seen), writers*each)
	}
}
