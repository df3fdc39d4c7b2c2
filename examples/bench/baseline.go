package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
)

// baseline holds figures that come out the same in every run, or nearly so: counts of
// allocations, and bytes a record. Times are not among them.
type baseline map[string]float64

// growth is how far a figure may be above the baseline.
const growth = 1.2

// figures are what a baseline is about: of ours, for a book of so many records.
func (s sizes) figures(ctx context.Context, f *field, e entrant) (_ baseline, err error) {
	// How work is split between cores decides how much is allocated.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	b, before := baseline{}, heap()
	c, err := e.open(ctx, f, purpose{workload: s.workload})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	records, allocations := 0, 0.0
	stream := newTraffic(1, s.records, s.workload)
	for left := s.records; left > 0; left -= batchSize {
		book, err := c.prepare(stream.batch(min(left, batchSize)))
		if err != nil {
			return nil, err
		}
		n, err := allocated(func() error {
			inserted, err := book(ctx)
			records += inserted
			return err
		})
		if err != nil {
			return nil, err
		}
		allocations += n
	}
	stream = nil
	note := func(name string, value float64) { b[e.name+": "+name] = value }
	each := float64(records)
	note("allocations of booking in batches of 200, a record", allocations/each)
	room := func(when string) error {
		bytes, err := c.bytes(ctx)
		if e.memory {
			note("bytes of the heap"+when+", a record", float64(heap()-before)/each)
			note("bytes by its own account"+when+", a record", float64(bytes)/each)
		} else {
			note("bytes on disk"+when+", a record", float64(bytes)/each)
		}
		return err
	}
	if err := room(""); err != nil {
		return nil, err
	}
	n, err := allocated(func() error { return c.roll(ctx) })
	if err != nil {
		return nil, err
	}
	note("allocations of rolling up, a record", n/each)
	if err := errors.Join(room(" when rolled up"), c.analyze(ctx)); err != nil {
		return nil, err
	}
	for _, q := range s.workload.questions(s.records, 0) {
		n, err := allocationsOf(ctx, c, q)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", q.name, err)
		}
		note("allocations of "+q.name, n)
	}
	return b, nil
}

// allocationsOf returns how often answering a question allocates. Neither the first
// answer counts, which fills caches, nor the worst one, in which something else was
// going on.
func allocationsOf(ctx context.Context, c contender, q question) (float64, error) {
	var counts []float64
	for range 4 {
		ask, err := c.ask(ctx, q)
		if err != nil {
			return 0, err
		}
		n, err := allocated(func() error {
			_, err := ask(ctx)
			return err
		})
		if err != nil {
			return 0, err
		}
		counts = append(counts, n)
	}
	return median(counts[1:]), nil
}

// allocated counts the allocations of this process while something is done.
func allocated(do func() error) (float64, error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := do()
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs - before.Mallocs), err
}

// readBaseline reads what write has written.
func readBaseline(file string) (b baseline, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return b, json.Unmarshal(text, &b)
}

// write writes it for people to read, too.
func (b baseline) write(file string) error {
	rounded := baseline{}
	for name, v := range b {
		rounded[name] = rounding(v)
	}
	text, err := json.MarshalIndent(rounded, "", "\t") // sorted by name
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// rounding keeps four digits, which is more than repeats.
func rounding(v float64) float64 {
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
	if err != nil {
		return v
	}
	return rounded
}

// grown names every figure that is too far above the baseline, or is not in it.
func (b baseline) grown(now baseline) (faults []string) {
	for _, name := range slices.Sorted(maps.Keys(now)) {
		was, ok := b[name]
		switch {
		case !ok:
			faults = append(faults, fmt.Sprintf("%s: not in the baseline", name))
		case now[name] > growth*was:
			faults = append(faults, fmt.Sprintf("%s: %.2f, which is %+.0f %% of the baseline's %.2f", name, now[name], 100*(now[name]/was-1), was))
		}
	}
	return faults
}

// compareAllocations prints the figures of the baseline, as they are now.
func compareAllocations(ctx context.Context, s sizes, r *report) (err error) {
	f, err := newField(s.contenders)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	t := &table{title: fmt.Sprintf("Allocations and bytes of ours, %s records, %s", count(s.records), s.workload), columns: []string{"figure", "value"}}
	for _, e := range f.entrants {
		if !e.ours {
			continue
		}
		b, err := s.figures(ctx, f, e)
		if err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
		for _, name := range slices.Sorted(maps.Keys(b)) {
			t.rows = append(t.rows, []string{name, fmt.Sprintf("%g", rounding(b[name]))})
		}
	}
	return r.add(t)
}
