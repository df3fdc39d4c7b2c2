package durabletest

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
)

// journal is what is known from outside of the writers of a script: what they
// have announced, and what was acknowledged to them. What it reads in the store is
// held against that.
type journal struct {
	script  script
	writers int

	mu    sync.Mutex
	acked []int // by writer: batches before it were acknowledged
	tried []int // batches before it were announced
	fault error // the first thing that a writer said and that must not be

	// What was read so far: each record that was found, by its identity, and how
	// many of each batch.
	through uint64
	found   map[usage.Identity]uint64
	parts   []map[int]int
	held    []int // by writer: batches before it were acknowledged and found whole
	landed  int   // batches that were there although nobody had been told

	rolled atomic.Int64 // steps of the rollups that were made
}

func newJournal(seed uint64, writers int) *journal {
	j := &journal{script: script{seed}, writers: writers, acked: make([]int, writers), tried: make([]int, writers),
		held: make([]int, writers), found: map[usage.Identity]uint64{}}
	for range writers {
		j.parts = append(j.parts, map[int]int{})
	}
	return j
}

// try and ack write down what a writer says.
func (j *journal) try(writer, n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.tried[writer] = n + 1
}

func (j *journal) ack(writer, n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.acked[writer] = n + 1
}

// blame keeps the first thing that must not be.
func (j *journal) blame(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fault == nil {
		j.fault = err
	}
}

// open returns how many batches are announced and not acknowledged.
func (j *journal) open() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for w := range j.writers {
		n += j.tried[w] - j.acked[w]
	}
	return n
}

func (j *journal) acknowledged() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, a := range j.acked {
		n += a
	}
	return n
}

// receipt judges what became of a batch: all of it was booked now, or all of it
// before.
func receipt(r *usage.Receipt, err error) (again bool, fault error) {
	switch {
	case err != nil:
		return false, err
	case r.Inserted == len(r.Entries):
		return false, nil
	case r.Duplicates == len(r.Entries):
		return true, nil
	}
	return false, fmt.Errorf("half a batch was there: %d of its records were inserted and %d were there already", r.Inserted, r.Duplicates)
}

// read reads what was booked since it read last, and holds it to the script and
// to what was acknowledged.
func (j *journal) read(ctx context.Context, store usage.Store) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fault != nil {
		return j.fault
	}
	st, err := store.Checkpoint(ctx, usage.AsOf{Sequence: math.MaxInt64})
	if err != nil {
		return err
	}
	sel := usage.Selection{Scope: usage.AllTenants(), Mark: st.Mark, After: j.through, Order: usage.BySequence}
	for s, err := range store.Scan(ctx, sel) {
		if err != nil {
			return err
		}
		if at, twice := j.found[s.Identity()]; twice {
			return fmt.Errorf("%v is there twice, at %d and at %d", s.Identity(), at, s.Sequence)
		}
		if s.Sequence <= j.through {
			return fmt.Errorf("%v has sequence %d after %d", s.Identity(), s.Sequence, j.through)
		}
		j.through = s.Sequence
		j.found[s.Identity()] = s.Sequence
		if err := j.place(s); err != nil {
			return err
		}
	}
	for w := range j.writers {
		for n := j.held[w]; n < j.tried[w]; n++ {
			parts, whole, acked := j.parts[w][n], len(j.script.batch(w, n)), n < j.acked[w]
			switch {
			case parts == whole && !acked:
				j.landed++
			case parts == 0 && !acked, parts == whole:
			default:
				return fmt.Errorf("batch %d of writer %d: %d of %d records are there, acknowledged: %v", n, w, parts, whole, acked)
			}
		}
		j.held[w] = j.acked[w]
	}
	return nil
}

// place holds a record to the script.
func (j *journal) place(s *usage.Stored) error {
	var w, n, i int
	if _, err := fmt.Sscanf(s.Source+" "+s.ID, "w%d %d-%d", &w, &n, &i); err != nil || w < 0 || w >= j.writers {
		return fmt.Errorf("nobody has sent %v", s.Identity())
	}
	batch := j.script.batch(w, n)
	if i >= len(batch) || batch[i].Identity() != s.Identity() || !usage.SameContent(&batch[i], &s.Record) {
		return fmt.Errorf("%v is there with other content than was sent: %+v", s.Identity(), s.Record)
	}
	if n >= j.tried[w] {
		return fmt.Errorf("%v is there before its batch was announced", s.Identity())
	}
	if n < j.held[w] {
		return fmt.Errorf("%v is there a second time", s.Identity())
	}
	j.parts[w][n]++
	return nil
}

// whole reads everything from the beginning: it has to be what was found bit by
// bit, each once.
func (j *journal) whole(ctx context.Context, store usage.Store) error {
	st, err := store.Checkpoint(ctx, usage.AsOf{Sequence: math.MaxInt64})
	if err != nil {
		return err
	}
	n := 0
	for s, err := range store.Scan(ctx, usage.Selection{Scope: usage.AllTenants(), Mark: st.Mark, Order: usage.ByStart}) {
		if err != nil {
			return err
		}
		n++
		if at, ok := j.found[s.Identity()]; !ok || at != s.Sequence {
			return fmt.Errorf("%v is at %d, and was found at %d before", s.Identity(), s.Sequence, at)
		}
	}
	if n != len(j.found) {
		return fmt.Errorf("%d records are there, and %d were found before", n, len(j.found))
	}
	return nil
}

// totals are the counted records of what is there, by the script: a line for each
// tenant, meter and day.
func (j *journal) totals() []string {
	type key struct {
		tenant, meter string
		day           time.Time
	}
	type total struct{ sum, count int64 }
	sums := map[key]*total{}
	for w := range j.writers {
		gone := map[string]bool{}
		for n := range j.parts[w] {
			for _, r := range j.script.batch(w, n) {
				if r.Corrects != nil {
					gone[r.Corrects.ID] = true
				}
			}
		}
		for n := range j.parts[w] {
			for _, r := range j.script.batch(w, n) {
				if gone[r.ID] || r.Corrects != nil && r.Corrects.Kind == usage.Void {
					continue
				}
				k := key{r.Tenant, r.Meter, r.Start.Truncate(24 * time.Hour)}
				if sums[k] == nil {
					sums[k] = &total{}
				}
				q, _ := r.Values.Number(usage.QuantityName)
				whole, _, _ := q.Small()
				sums[k].sum += whole
				sums[k].count++
			}
		}
	}
	var out []string
	for k, t := range sums {
		out = append(out, fmt.Sprintf("%s %s %s: %d of %d", k.tenant, k.meter, k.day.Format(time.DateOnly), t.sum, t.count))
	}
	slices.Sort(out)
	return out
}

var totalsQuery = usage.Query{
	GroupBy: []string{"tenant", "meter"}, Window: aggregate.Window{Unit: aggregate.Day},
	Measures: []usage.Measure{{Of: usage.QuantityName}, {Name: "records", Aggregation: usage.Count}},
}

// figures holds the answers of a book to the totals and to those of another one
// that sees no rollups. It reports whether rollups were read.
func (j *journal) figures(ctx context.Context, store usage.Store) (rolled bool, err error) {
	book, err := usage.New(store, nil)
	if err != nil {
		return false, err
	}
	raw, err := usage.New(unrolled{store}, nil)
	if err != nil {
		return false, err
	}
	now, err := book.Present(ctx)
	if err != nil {
		return false, err
	}
	read := func(b *usage.Book, q usage.Query, show func(*usage.Row) string) ([]string, error) {
		q.AsOf = now
		var out []string
		for r, err := range b.Rows(ctx, usage.AllTenants(), q) {
			if err != nil {
				return nil, err
			}
			out = append(out, show(&r))
		}
		slices.Sort(out)
		return out, nil
	}
	sum := func(r *usage.Row) string {
		return fmt.Sprintf("%s %s %s: %v of %v", r.Get("tenant").Str(), r.Get("meter").Str(), r.Start.Format(time.DateOnly), r.Get(usage.QuantityName), r.Get("records"))
	}
	for _, b := range []*usage.Book{book, raw} {
		got, err := read(b, totalsQuery, sum)
		if err != nil {
			return false, err
		}
		if want := j.totals(); !slices.Equal(got, want) {
			return false, fmt.Errorf("the totals of the book (rollups: %v) are\n%s\nwant\n%s", b == book, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	// Every series, with what rollups keep beside sums.
	fine := usage.Query{GroupBy: []string{"tenant", "meter", "region"}, Window: aggregate.Window{Unit: aggregate.Day}}
	for _, a := range []usage.Aggregation{usage.Sum, usage.Count, usage.Min, usage.Max} {
		fine.Measures = append(fine.Measures, usage.Measure{Of: usage.QuantityName, Aggregation: a})
	}
	cells := func(r *usage.Row) string { return fmt.Sprint(r.Start, r.Cells) }
	one, err := read(book, fine, cells)
	if err != nil {
		return false, err
	}
	other, err := read(raw, fine, cells)
	if err != nil {
		return false, err
	}
	if !slices.Equal(one, other) {
		return false, fmt.Errorf("rollups are\n%s\nand raw records\n%s", strings.Join(one, "\n"), strings.Join(other, "\n"))
	}
	plan, err := book.Plan(ctx, usage.AllTenants(), totalsQuery)
	if err != nil {
		return false, err
	}
	for _, r := range plan.Reads {
		rolled = rolled || r.Kind == "rollup" && r.Rows > 0
	}
	return rolled, nil
}

// unrolled is a store that has made no rollups yet.
type unrolled struct{ usage.Store }

func (s unrolled) Checkpoint(ctx context.Context, at usage.AsOf) (usage.State, error) {
	st, err := s.Store.Checkpoint(ctx, at)
	st.Checkpoint, st.Coverage = 0, nil
	return st, err
}

func (s unrolled) ScanRollups(context.Context, usage.RollupSelection) iter.Seq2[*usage.Rollup, error] {
	panic("a book that knows of no rollups reads some")
}
