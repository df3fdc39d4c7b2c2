package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// compareStores compares booking, asking and the room on disk with what is written
// by hand for the same engine.
func compareStores(ctx context.Context, s sizes, r *report) error {
	booking := &table{title: fmt.Sprintf("Booking %s records with deduplication, one writer, in %d turns", count(s.records), s.turns),
		columns: []string{"engine", "batch", "ours", "spread", "by hand", "spread", "rate, ours to by hand", "spread"}}
	asking := &table{title: fmt.Sprintf("Sums over %s records, ours rolled up", count(s.records)),
		columns: []string{"engine", "question", "rows at most", "ours", "spread", "by hand", "spread", "ours is faster by", "spread"}}
	room := &table{title: "Bytes on disk for each record, with all indexes",
		columns: []string{"engine", "batch", "ours", "by hand", "ours to by hand", "with rollups", "to by hand", "rolled up in"}}
	for _, q := range s.workload.questions(s.records, 0) {
		asking.notes = append(asking.notes, q.name+": "+q.about)
	}
	for _, name := range s.engines {
		err := withEngine(ctx, name, booking, func(e engine) error {
			for i, size := range s.append {
				if err := compareLoaded(ctx, s, e, size, i == len(s.append)-1, booking, asking, room); err != nil {
					return fmt.Errorf("batches of %d: %w", size, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return errors.Join(r.add(booking), r.add(asking), r.add(room))
}

// withEngine starts an engine for a time, and notes its settings.
func withEngine(ctx context.Context, name string, t *table, do func(engine) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", name, err)
		}
	}()
	e, err := openEngine(ctx, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	note, err := e.settings(ctx)
	if err != nil {
		return err
	}
	t.notes = append(t.notes, note)
	return do(e)
}

// pair are the two contenders on one engine.
type pair struct {
	engine     string
	ours, hand contender
}

func openPair(ctx context.Context, e engine, w workload) (p pair, err error) {
	p.engine = e.name()
	if p.ours, err = e.openOurs(ctx); err != nil {
		return p, err
	}
	if p.hand, err = e.openHand(ctx, w); err != nil {
		return p, errors.Join(err, p.ours.close())
	}
	return p, nil
}

func (p *pair) close() error { return errors.Join(p.ours.close(), p.hand.close()) }

// turn has both do the same, one after the other, and takes the time. Who is first
// changes from turn to turn.
func (p *pair) turn(i int, ours, hand *turns, do func(contender) error) error {
	if i%2 == 0 {
		if err := timed(ours, p.ours, do); err != nil {
			return err
		}
		return timed(hand, p.hand, do)
	}
	if err := timed(hand, p.hand, do); err != nil {
		return err
	}
	return timed(ours, p.ours, do)
}

func timed(t *turns, c contender, do func(contender) error) error {
	runtime.GC() // nobody tidies up after the other one
	begun := time.Now()
	err := do(c)
	*t = append(*t, time.Since(begun))
	return err
}

// compareLoaded loads both with all records in batches of a size, and has them
// answer.
func compareLoaded(ctx context.Context, s sizes, e engine, size int, ask bool, booking, asking, room *table) (err error) {
	p, err := openPair(ctx, e, s.workload)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	records, err := compareBooking(ctx, s, p, size, booking)
	if err != nil {
		return err
	}
	row := roomRow{pair: p, batch: size, records: records}
	if err := row.measure(ctx); err != nil {
		return err
	}
	room.rows = append(room.rows, row.cells())
	if !ask {
		return nil
	}
	return compareAnswers(ctx, s, p, asking)
}

// compareBooking has both book the same batches in turns, and returns how many
// records they have then.
func compareBooking(ctx context.Context, s sizes, p pair, size int, t *table) (records int, err error) {
	var ours, hand turns
	count := max(1, s.records/s.turns/size)
	stream := newTraffic(1, s.turns*count*size, s.workload)
	for i := range s.turns {
		batches := stream.batches(count, size)
		err := p.turn(i, &ours, &hand, func(c contender) error {
			for _, b := range batches {
				n, err := add(ctx, c, b)
				if err != nil {
					return err
				}
				if n != b.fresh {
					return fmt.Errorf("%T has booked %d of a batch with %d new records", c, n, b.fresh)
				}
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
		for _, b := range batches {
			records += b.fresh
		}
	}
	rate := over(hand, ours)
	t.rows = append(t.rows, []string{p.engine, fmt.Sprint(size), perSecond(count*size, ours.median()), ours.spread(),
		perSecond(count*size, hand.median()), hand.spread(), rate.String(), rate.spread()})
	return records, nil
}

// roomRow is what the records take on disk.
type roomRow struct {
	pair
	batch, records         int
	booked, rolled, byHand int64
	rolling                time.Duration
}

// measure measures, makes both sides ready to be asked, and measures again.
func (r *roomRow) measure(ctx context.Context) (err error) {
	if r.booked, err = r.ours.bytes(ctx); err != nil {
		return err
	}
	begun := time.Now()
	if err = r.ours.roll(ctx); err != nil {
		return err
	}
	r.rolling = time.Since(begun)
	if err = errors.Join(r.ours.analyze(ctx), r.hand.analyze(ctx)); err != nil {
		return err
	}
	if r.rolled, err = r.ours.bytes(ctx); err != nil {
		return err
	}
	r.byHand, err = r.hand.bytes(ctx)
	return err
}

func (r *roomRow) cells() []string {
	each := func(n int64) string { return fmt.Sprintf("%.0f", float64(n)/float64(r.records)) }
	ratio := func(n int64) string { return fmt.Sprintf("%.2f", float64(n)/float64(r.byHand)) }
	return []string{r.engine, fmt.Sprint(r.batch), each(r.booked), each(r.byHand), ratio(r.booked), each(r.rolled), ratio(r.rolled), short(r.rolling)}
}
