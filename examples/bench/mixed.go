package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"
)

// mixedTop is how many records a writer may add before it goes on in a book that is
// loaded anew, so that minutes of it find room in memory.
const mixedTop = 20_000_000

// mixedTemplates is how many batches a writer goes round; each time they get new ids.
const mixedTemplates = 500

// compareMixed measures ours with one reader and one writer on two cores: each alone,
// the writer as fast as it can, and then both, the writer at half of that pace. The
// reader asks Q1 and Q4, whose windows do not grow. Durable stores roll up meanwhile.
func compareMixed(ctx context.Context, s sizes, r *report) (err error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	f, err := newField(s.contenders)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	title := fmt.Sprintf("over %s records and more, %s", count(s.records), s.workload)
	t := &table{title: fmt.Sprintf("One reader and one writer of batches of %d on two cores for %s, %s", batchSize, s.mix, title),
		notes: []string{"share: of the speed alone; of the writer's, while it books, and of the pace it was to keep",
			"an append: of the writer at half its top rate with the reader beside it"},
		columns: []string{"contender", "reader alone", "beside", "share", "writer alone", "beside", "share", "of its pace", "append, median", "p99", "p99 to median", "longest"}}
	p := &plot{title: "Appends of 200 records beside a reader, " + title, x: "seconds", y: "milliseconds", logY: true}
	for _, e := range f.entrants {
		if !e.ours {
			continue
		}
		m := &mixture{sizes: s, field: f, entrant: e}
		if err := m.measure(ctx); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
		r.progress("%s: done", e.name)
		t.rows = append(t.rows, m.row(r, title))
		p.lines = append(p.lines, m.curve(e.name+", median", 0.5), m.curve(e.name+", p99", 0.99))
	}
	if len(t.rows) == 0 {
		return errors.New("none of the contenders is ours")
	}
	if err := r.add(t); err != nil {
		return err
	}
	r.draw(string(s.shape)+"-mixed", p)
	return nil
}

// mixture is a run of compareMixed with one of ours.
type mixture struct {
	sizes
	field   *field
	entrant entrant

	reader, besideReader float64 // questions a second
	writer, besideWriter float64 // records a second while it books
	pace                 float64 // records a second that the writer was to keep
	kept                 float64 // and kept
	appends              turns   // of both together, in their order
	at                   []time.Duration
}

// stamper is a contender that can book a batch again and again, as new records.
type stamper interface {
	contender
	// stamped makes ready a batch to be booked with ids of this number.
	stamped(b delivery) func(number uint64) booking
}

func (c *bookContender) stamped(b delivery) func(number uint64) booking {
	records := c.records(b)
	return func(number uint64) booking {
		for i := range records {
			records[i].ID = stampedID(number, uint64(i))
		}
		return func(ctx context.Context) (int, error) { return c.append(ctx, records) }
	}
}

// stampedID is a UUID that was not there before, made quickly.
func stampedID(number, i uint64) string {
	const digits = "0123456789abcdef"
	var raw [16]byte
	// Multiplying by an odd number spreads them, as random ones are.
	binary.BigEndian.PutUint64(raw[:8], (number*10_000+i)*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(raw[8:], (number*10_000+i)*0xc2b2ae3d27d4eb4f)
	raw[6], raw[8] = raw[6]&0x0f|0x40, raw[8]&0x3f|0x80
	var text [36]byte
	at := 0
	for k, v := range raw {
		if k == 4 || k == 6 || k == 8 || k == 10 {
			text[at] = '-'
			at++
		}
		text[at], text[at+1] = digits[v>>4], digits[v&15]
		at += 2
	}
	return string(text[:])
}

// measure takes everything in its order.
func (m *mixture) measure(ctx context.Context) error {
	alone := min(10*time.Second, m.mix/5)
	err := m.loaded(ctx, func(c stamper) (err error) {
		m.reader, err = m.read(ctx, c, until(alone))
		return err
	})
	if err != nil {
		return err
	}
	err = m.loaded(ctx, func(c stamper) error {
		w := m.newWriter(c, 0)
		err := w.write(ctx, until(alone))
		m.writer = w.speed()
		return err
	})
	if err != nil {
		return err
	}
	m.pace = m.writer / 2
	var questions, reading float64
	var writing writer
	for spent := time.Duration(0); spent < m.mix; {
		err := m.loaded(ctx, func(c stamper) error {
			w, begun := m.newWriter(c, m.pace), time.Now()
			full := func() bool { return time.Since(begun)+spent >= m.mix || w.records >= mixedTop }
			var group sync.WaitGroup
			var fault error
			group.Go(func() { fault = w.write(ctx, full) })
			rate, err := m.read(ctx, c, full)
			group.Wait()
			took := time.Since(begun)
			questions, reading = questions+rate*took.Seconds(), reading+took.Seconds()
			for i, d := range w.appends {
				m.appends, m.at = append(m.appends, d), append(m.at, spent+w.at[i])
			}
			writing.records, writing.busy = writing.records+w.records, writing.busy+w.busy
			spent += took
			return errors.Join(err, fault)
		})
		if err != nil {
			return err
		}
	}
	m.besideReader, m.besideWriter, m.kept = questions/reading, writing.speed(), float64(writing.records)/reading
	return nil
}

// loaded does something with a contender that has all records.
func (m *mixture) loaded(ctx context.Context, do func(stamper) error) (err error) {
	c, err := m.entrant.open(ctx, m.field, purpose{workload: m.workload})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	s, ok := c.(stamper)
	if !ok {
		return errors.ErrUnsupported
	}
	if err := errors.Join(load(ctx, c, m.entrant, newTraffic(1, m.records, m.workload), m.records), c.roll(ctx), c.analyze(ctx)); err != nil {
		return err
	}
	runtime.GC()
	if r, ok := c.(runner); ok && m.entrant.runs {
		_, err := inService(ctx, r, func() error { return do(s) })
		return err
	}
	return do(s)
}

func until(d time.Duration) func() bool {
	end := time.Now().Add(d)
	return func() bool { return !time.Now().Before(end) }
}

// read asks until it is time, and returns how many questions it had answered a second.
func (m *mixture) read(ctx context.Context, c contender, done func() bool) (float64, error) {
	begun, count := time.Now(), 0
	for variant := 0; !done(); variant++ {
		list := m.workload.questions(m.records, variant)
		for _, which := range []int{0, 3} {
			if _, err := answer(ctx, c, list[which]); err != nil {
				return 0, err
			}
			count++
		}
	}
	return float64(count) / time.Since(begun).Seconds(), nil
}

// writer books batches, as fast as it can or at a pace.
type writer struct {
	batches []func(uint64) booking
	pace    float64
	records int
	busy    time.Duration
	appends turns
	at      []time.Duration
}

func (m *mixture) newWriter(c stamper, pace float64) *writer {
	stream := newTraffic(3, 1, m.workload) // all of it in the last hour
	w := &writer{pace: pace}
	for range mixedTemplates {
		w.batches = append(w.batches, c.stamped(stream.batch(batchSize)))
	}
	return w
}

// speed is how many records it booked a second of those it was busy.
func (w *writer) speed() float64 { return float64(w.records) / w.busy.Seconds() }

func (w *writer) write(ctx context.Context, done func() bool) error {
	begun := time.Now()
	for n := 0; !done(); n++ {
		book := w.batches[n%len(w.batches)](uint64(n))
		if w.pace > 0 {
			// Who is behind makes up for it; who is ahead waits.
			due := time.Duration(float64(w.records) / w.pace * float64(time.Second))
			time.Sleep(due - time.Since(begun))
		}
		from := time.Now()
		inserted, err := book(ctx)
		d := time.Since(from)
		if err != nil {
			return err
		}
		if inserted != batchSize {
			return fmt.Errorf("it has booked %d of %d new records", inserted, batchSize)
		}
		w.records, w.busy = w.records+inserted, w.busy+d
		w.appends, w.at = append(w.appends, d), append(w.at, from.Sub(begun))
	}
	return nil
}

// quantile of times, 0.5 being their median.
func (t turns) quantile(q float64) time.Duration {
	s := slices.Sorted(slices.Values(t))
	return s[min(len(s)-1, int(q*float64(len(s))))]
}

// row is what a person reads, and notes what was asked for.
func (m *mixture) row(r *report, of string) []string {
	median, p99 := m.appends.quantile(0.5), m.appends.quantile(0.99)
	reader, writer, tail := m.besideReader/m.reader, m.besideWriter/m.writer, p99.Seconds()/median.Seconds()
	if m.entrant.memory {
		r.aimed(fmt.Sprintf("mixed: %s, share of its speed that the reader keeps", m.entrant.name), of, 0.8, reader, false)
		r.aimed(fmt.Sprintf("mixed: %s, share of its speed that the writer keeps", m.entrant.name), of, 0.8, writer, false)
		r.aimed(fmt.Sprintf("mixed: %s, p99 of an append to its median", m.entrant.name), of, 10, tail, true)
	}
	rate := func(v float64, of string) string { return fmt.Sprintf("%.0f %s", v, of) }
	return []string{m.entrant.name, rate(m.reader, "questions/s"), rate(m.besideReader, "questions/s"), fmt.Sprintf("%.2f", reader),
		rate(m.writer, "records/s"), rate(m.besideWriter, "records/s"), fmt.Sprintf("%.2f", writer), fmt.Sprintf("%.2f", m.kept/m.pace),
		short(median), short(p99), fmt.Sprintf("%.1f", tail), short(slices.Max(m.appends))}
}

// curve draws a quantile of appends over time.
func (m *mixture) curve(name string, q float64) curve {
	const pieces = 60
	parts := make([]turns, pieces)
	for i, d := range m.appends {
		k := min(pieces-1, int(pieces*m.at[i]/m.mix))
		parts[k] = append(parts[k], d)
	}
	c := curve{name: name}
	for k, list := range parts {
		if len(list) > 0 {
			c.points = append(c.points, point{m.mix.Seconds() * (float64(k) + 0.5) / pieces, list.quantile(q).Seconds() * 1e3})
		}
	}
	return c
}
