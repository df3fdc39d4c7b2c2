package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// concurrentWriters is how many writers are many.
const concurrentWriters = 8

// compareWriters compares one writer with some at once, on stores that begin empty.
func compareWriters(ctx context.Context, s sizes, r *report) error {
	t := &table{title: fmt.Sprintf("Booking by one writer and by %d at once, %d batches in a turn", concurrentWriters, s.commits),
		columns: []string{"engine", "batch", "writers", "ours", "spread", "to one", "by hand", "spread", "to one", "rate, ours to by hand", "spread"}}
	for _, name := range s.engines {
		err := withEngine(ctx, name, t, func(e engine) error {
			for _, size := range []int{1, 10, 200} {
				if err := compareWriter(ctx, s, e, size, t); err != nil {
					return fmt.Errorf("batches of %d: %w", size, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return r.add(t)
}

// compareWriter compares booking in batches of a size by one and by many writers.
func compareWriter(ctx context.Context, s sizes, e engine, size int, t *table) (err error) {
	var alone [2]turns // ours and by hand, of one writer
	for _, writers := range []int{1, concurrentWriters} {
		ours, hand, err := raceWriters(ctx, s, e, size, writers)
		if err != nil {
			return fmt.Errorf("%d writers: %w", writers, err)
		}
		if writers == 1 {
			alone = [2]turns{ours, hand}
		}
		rate := over(hand, ours)
		t.rows = append(t.rows, []string{e.name(), fmt.Sprint(size), fmt.Sprint(writers),
			perSecond(s.commits*size, ours.median()), ours.spread(), fmt.Sprintf("%.1fx", alone[0].median().Seconds()/ours.median().Seconds()),
			perSecond(s.commits*size, hand.median()), hand.spread(), fmt.Sprintf("%.1fx", alone[1].median().Seconds()/hand.median().Seconds()),
			rate.String(), rate.spread()})
	}
	return nil
}

func raceWriters(ctx context.Context, s sizes, e engine, size, writers int) (ours, hand turns, err error) {
	p, err := openPair(ctx, e, s.workload)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	stream := newTraffic(2, s.turns*s.commits*size, s.workload)
	for i := range s.turns {
		batches, fresh := stream.batches(s.commits, size), 0
		for _, b := range batches {
			fresh += b.fresh
		}
		err := p.turn(i, &ours, &hand, func(c contender) error {
			inserted, err := addAll(ctx, c, batches, writers)
			// Which of two deliveries comes first is left to chance, but one of them is
			// new, and the other one not.
			if err == nil && inserted != fresh {
				err = fmt.Errorf("%T has booked %d of %d new records", c, inserted, fresh)
			}
			return err
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return ours, hand, nil
}

// addAll has some writers book the batches, each the next one that is left.
func addAll(ctx context.Context, c contender, batches []delivery, writers int) (int, error) {
	bookings := make([]booking, len(batches))
	for i, b := range batches {
		bookings[i] = func(ctx context.Context) (int, error) { return add(ctx, c, b) }
	}
	return bookAll(ctx, bookings, writers)
}

// bookAll has some writers do the bookings, each the next one that is left.
func bookAll(ctx context.Context, bookings []booking, writers int) (int, error) {
	queue := make(chan booking, len(bookings))
	for _, b := range bookings {
		queue <- b
	}
	close(queue)
	var inserted atomic.Int64
	faults := make(chan error, writers)
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for book := range queue {
				n, err := book(ctx)
				if err != nil {
					faults <- err
					return
				}
				inserted.Add(int64(n))
			}
		})
	}
	group.Wait()
	close(faults)
	return int(inserted.Load()), <-faults
}
