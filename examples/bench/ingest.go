package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// compareIngest compares booking with validation, rules and deduplication, and what
// the records take then.
func compareIngest(ctx context.Context, s sizes, r *report) (err error) {
	f, err := newField(s.contenders)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	m := &ingestion{sizes: s, field: f}
	for i := range s.turns {
		for _, e := range f.turn(i) {
			for _, a := range m.attemptsOf(e) {
				if err := m.attempt(ctx, a); err != nil {
					return fmt.Errorf("%s: %w", e.name, err)
				}
				r.progress("turn %d: %s, batches of %d", i+1, e.name, a.batch)
			}
		}
	}
	return m.report(ctx, r)
}

// ingestion is a run of compareIngest.
type ingestion struct {
	sizes
	field    *field
	attempts []*attempt
}

// attempt is one way in which a contender books, in all turns.
type attempt struct {
	entrant
	batch int
	cores int
	// roller: it rolls up meanwhile.
	roller bool
	// times are those of all records, first and last of the first and the last tenth.
	times, first, last turns
	// chunks are the times of each chunk, in all turns.
	chunks []turns
	// rolling is what was left to roll up afterwards, a second; besides is what was
	// rolled up a second while booking, where a contender does so.
	rolling, besides []float64
	// Bytes: of the heap, and as the contender counts them, before and after rolling up.
	heap, heapRolled, own, rolled int64
	records                       int // booked
}

// attemptsOf returns the ways in which one of the field books.
func (m *ingestion) attemptsOf(e entrant) (list []*attempt) {
	for _, a := range m.attempts {
		if a.name == e.name {
			list = append(list, a)
		}
	}
	if list != nil {
		return list
	}
	batches := m.append
	if e.batch > 0 {
		batches = []int{e.batch}
	}
	cores := []int{0}
	if e.cores {
		cores = []int{1, 2}
	}
	for _, b := range batches {
		for _, c := range cores {
			list = append(list, &attempt{entrant: e, batch: b, cores: c})
		}
		if e.runs {
			list = append(list, &attempt{entrant: e, batch: b, roller: true})
		}
	}
	m.attempts = append(m.attempts, list...)
	return list
}

func (a *attempt) onCores() string {
	if a.cores == 0 {
		return "all"
	}
	return fmt.Sprint(a.cores)
}

func (a *attempt) running() string {
	if a.roller {
		return "running"
	}
	return "-"
}

// chunk is how many events are made ready at a time: all of them at once would not go
// into memory.
const chunk = 100_000

// attempt has a contender book everything once.
func (m *ingestion) attempt(ctx context.Context, a *attempt) (err error) {
	writers := 1
	if a.cores > 0 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(a.cores))
		writers = a.cores
	}
	before := heap()
	c, err := a.open(ctx, m.field, purpose{workload: m.workload, booking: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	var parts turns
	already := 0 // rolled up
	if r, ok := c.(runner); ok && a.roller {
		already, err = inService(ctx, r, func() error {
			parts, a.records, err = m.book(ctx, c, a.batch, writers)
			return err
		})
		a.besides = append(a.besides, float64(already)/parts.sum().Seconds())
	} else {
		parts, a.records, err = m.book(ctx, c, a.batch, writers)
	}
	if err != nil {
		return err
	}
	tenth := max(1, len(parts)/10)
	note := func(to *turns, list turns) { *to = append(*to, list.sum()/time.Duration(len(list))) }
	a.times = append(a.times, parts.sum())
	if a.chunks == nil {
		a.chunks = make([]turns, len(parts))
	}
	for i, d := range parts {
		a.chunks[i] = append(a.chunks[i], d)
	}
	note(&a.first, parts[:tenth])
	note(&a.last, parts[len(parts)-tenth:])
	if a.own, err = c.bytes(ctx); err != nil {
		return err
	}
	a.heap = heap() - before
	begun := time.Now()
	if err = c.roll(ctx); err != nil {
		return err
	}
	a.rolling = append(a.rolling, float64(a.records-already)/time.Since(begun).Seconds())
	a.rolled, err = c.bytes(ctx)
	a.heapRolled = heap() - before
	return err
}

// inService does something while the contender does its work in the background, and
// returns how many records that has taken in by then.
func inService(ctx context.Context, r runner, do func() error) (rolledUp int, err error) {
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- r.run(running) }()
	if err = do(); err == nil {
		rolledUp, err = r.rolledUp(ctx)
	}
	stop()
	return rolledUp, errors.Join(err, <-done)
}

// book has a contender book everything, and returns the times of all chunks and how
// many records there are then.
func (m *ingestion) book(ctx context.Context, c contender, batch, writers int) (parts turns, records int, err error) {
	stream := newTraffic(1, m.records, m.workload)
	for left := m.records; left > 0; left -= chunk {
		size := min(left, chunk)
		bookings, fresh := make([]booking, 0, size/batch+1), 0
		for size > 0 {
			b := stream.batch(min(size, batch))
			book, err := c.prepare(b)
			if err != nil {
				return nil, 0, err
			}
			bookings, fresh, size = append(bookings, book), fresh+b.fresh, size-len(b.events)
		}
		begun := time.Now()
		inserted, err := bookAll(ctx, bookings, writers)
		parts = append(parts, time.Since(begun))
		if err != nil {
			return nil, 0, err
		}
		if inserted != fresh {
			return nil, 0, fmt.Errorf("it has booked %d of %d new records", inserted, fresh)
		}
		records += inserted
	}
	return parts, records, nil
}

// heap is how many bytes of the heap are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what finalizers and pools let go
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func (t turns) sum() (all time.Duration) {
	for _, d := range t {
		all += d
	}
	return all
}

// report prints what was measured.
func (m *ingestion) report(ctx context.Context, r *report) error {
	title := fmt.Sprintf("%s records, %s", count(m.records), m.workload)
	notes, err := m.field.notes(ctx)
	if err != nil {
		return err
	}
	rates := &table{title: "Booking " + title + ", with validation, rules and deduplication", notes: notes,
		columns: []string{"contender", "batch", "cores", "roller", "rate", "spread", "µs a record, first tenth", "last tenth", "heap, bytes a record", "by its own account, or on disk", "rolled up meanwhile, records/s", "rolled up afterwards", "heap then", "own account or disk then"}}
	for _, a := range m.attempts {
		rolling, besides := "-", "-"
		if a.rolled != a.own {
			rolling = fmt.Sprintf("%.0f", median(a.rolling))
		}
		if len(a.besides) > 0 {
			besides = fmt.Sprintf("%.0f", median(a.besides))
		}
		// The heap means something where records are in it, and no account where none is
		// kept.
		each := func(n int64, known bool) string {
			if !known {
				return "-"
			}
			return fmt.Sprintf("%.1f", float64(n)/float64(a.records))
		}
		inHeap := a.memory && a.entrant.batch == 0
		tenth := func(t turns) string {
			return fmt.Sprintf("%.3f", t.median().Seconds()*1e6/float64(min(chunk, m.records)))
		}
		rates.rows = append(rates.rows, []string{a.name, fmt.Sprint(a.batch), a.onCores(), a.running(), perSecond(m.records, a.times.median()), a.times.spread(),
			tenth(a.first), tenth(a.last),
			each(a.heap, inHeap), each(a.own, a.own > 0), besides, rolling, each(a.heapRolled, inHeap), each(a.rolled, a.own > 0)})
	}
	ratios := &table{title: "How many times faster ours book " + title, columns: []string{"ours", "batch", "cores", "roller", "theirs", "batch", "rate", "spread", "asked for"}}
	for _, pair := range m.field.rivals() {
		for _, ours := range m.attempts {
			for _, theirs := range m.attempts {
				if ours.name != pair.ours || theirs.name != pair.theirs || theirs.entrant.batch == 0 && ours.batch != theirs.batch {
					continue
				}
				faster, asked := over(theirs.times, ours.times), 0.0
				switch {
				case pair == (rival{"memstore", "duckdb"}):
					asked = 25
				case ours.roller:
					asked = 0.9
				}
				aim := ""
				if asked > 0 {
					aim = fmt.Sprint(asked)
					r.aimed(fmt.Sprintf("booking: %s against %s, times faster", ours.way(), theirs.way()), title, asked, median(faster), false)
				}
				ratios.rows = append(ratios.rows, []string{ours.name, fmt.Sprint(ours.batch), ours.onCores(), ours.running(), theirs.name, fmt.Sprint(theirs.batch),
					faster.String(), faster.spread(), aim})
			}
		}
	}
	for _, a := range m.attempts {
		if a.name == "memstore" {
			r.aimed(fmt.Sprintf("booking: %s, records a second", a.way()), title, 1.5e6*float64(a.cores), float64(m.records)/a.times.median().Seconds(), false)
			if asked := m.room(); asked > 0 {
				r.aimed(fmt.Sprintf("bytes of the heap a record: %s", a.way()), title, asked, float64(a.heap)/float64(a.records), true)
			}
		}
	}
	if err := r.add(rates); err != nil {
		return err
	}
	r.draw(string(m.shape)+"-booking", m.drawing(title))
	if len(ratios.rows) == 0 {
		return nil
	}
	return r.add(ratios)
}

// way names the attempt for a person.
func (a *attempt) way() string {
	text := fmt.Sprintf("%s, batches of %d", a.name, a.batch)
	switch {
	case a.cores == 1:
		text += ", one core"
	case a.cores > 1:
		text += fmt.Sprintf(", %d cores", a.cores)
	}
	if a.roller {
		text += ", roller running"
	}
	return text
}

// room is how many bytes a record may take in memory; 0 where nothing was asked for.
func (m *ingestion) room() float64 {
	switch {
	case m.shape == adversarial:
		return 160
	case m.shape == typical && m.hexIDs:
		return 100
	case m.shape == typical:
		return 64
	}
	return 0
}

// drawing shows how long a record takes when there are more and more of them.
func (m *ingestion) drawing(title string) *plot {
	p := &plot{title: "Booking " + title, x: "records booked before", y: "microseconds a record", logY: true}
	for _, a := range m.attempts {
		c := curve{name: a.way()}
		for i, d := range a.chunks {
			size := min(chunk, m.records-i*chunk)
			c.points = append(c.points, point{float64(i * chunk), d.median().Seconds() * 1e6 / float64(size)})
		}
		p.lines = append(p.lines, c)
	}
	return p
}
