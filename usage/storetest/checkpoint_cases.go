package storetest

import (
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/usagebook/usagebook/usage"
)

var checkpointCases = []aCase{
	{
		name: "C1_mark_covers_acknowledged",
		rule: "State.Mark is at or above every record whose Append returned before the call: you read what you wrote, whoever else is writing.",
		run:  markCoversAcknowledged,
	},
	{
		name: "C1_state_of_an_empty_book",
		rule: "The state of an empty book is mark 0, no Recorded, no checkpoint, as of any moment.",
		run:  stateOfAnEmptyBook,
	},
	{
		name: "C2_as_of_time",
		rule: "With AsOf.Time the mark is the newest record with Recorded before that time: one recorded at that very instant is above it. State.Recorded is when that record was booked.",
		run:  asOfTime,
	},
	{
		name: "C2_as_of_sequence",
		rule: "With AsOf.Sequence the mark is that sequence, or the newest one where fewer are booked.",
		run:  asOfSequence,
	},
	{
		name: "C3_newest_held_checkpoint",
		rule: "State.Checkpoint is the newest held checkpoint at or below the mark, Coverage what was committed with it, and Latest the newest of all.",
		run:  newestHeldCheckpoint,
	},
	{
		name: "C4_settled_past_never_grows",
		rule: "After Checkpoint with AsOf.Time returned, no record is ever booked with Recorded before that time, also when its batch was prepared earlier: a range of Recorded that has ended is complete.",
		run:  settledPastNeverGrows,
	},
}

func markCoversAcknowledged(k *kit) {
	b := k.open(nil)
	const writers, each = 6, 30
	var failures sync.Map
	race(writers, func(w int) {
		for i := range each {
			r := use(fmt.Sprintf("w%d-%d", w, i), i)
			batch, err := b.book.Prepare(usage.AppendOptions{}, r)
			if err == nil {
				_, err = b.store.Append(b.ctx(), batch)
			}
			if err != nil {
				failures.Store(w, fmt.Sprintf("Append: %v", err))
				return
			}
			s, err := b.store.Checkpoint(b.ctx(), usage.AsOf{})
			if err != nil {
				failures.Store(w, fmt.Sprintf("Checkpoint: %v", err))
				return
			}
			found := 0
			for _, err := range b.store.Scan(b.ctx(), usage.Selection{Scope: usage.AllTenants(), Mark: s.Mark, Identities: []usage.Identity{r.Identity()}}) {
				if err != nil {
					failures.Store(w, fmt.Sprintf("Scan: %v", err))
					return
				}
				found++
			}
			if found != 1 {
				failures.Store(w, fmt.Sprintf("a record whose Append had returned is there %d times at the mark %d that was asked for afterwards", found, s.Mark.Sequence))
				return
			}
		}
	})
	failures.Range(func(w, what any) bool {
		k.Fatalf("writer %v: %v", w, what)
		return false
	})
	if got := len(b.everything()); got != writers*each {
		k.Fatalf("%d records are there, want %d", got, writers*each)
	}
}

func stateOfAnEmptyBook(k *kit) {
	b := k.open(nil)
	for _, at := range []usage.AsOf{{}, {Time: epoch}, {Time: epoch.AddDate(-100, 0, 0)}, {Sequence: 7}} {
		s := b.stateAt(at)
		if s.Mark.Sequence != 0 || !s.Recorded.IsZero() || s.Checkpoint != 0 || s.Latest != 0 || len(s.Coverage) != 0 {
			k.Fatalf("the state of an empty book as of %+v is %+v", at, s)
		}
		if got := b.scan(usage.Selection{Scope: usage.AllTenants(), Mark: s.Mark}); len(got) != 0 {
			k.Fatalf("an empty book yields %d records", len(got))
		}
	}
}

func asOfTime(k *kit) {
	b := k.open(nil)
	for i := range 6 {
		b.must(uses(fmt.Sprintf("b%d-", i), 1+i%3)...)
		b.settled()
		b.clock.advance([]time.Duration{time.Hour, time.Microsecond, 0}[i%3])
	}
	all := b.everything()
	check := func(at time.Time) {
		k.Helper()
		if at.After(b.clock.Now()) {
			b.clock.set(at) // nobody asks about the future
		}
		var want usage.State
		for _, r := range all {
			if r.Recorded.Before(at) {
				want.Mark.Sequence, want.Recorded = r.Sequence, r.Recorded
			}
		}
		s := b.stateAt(usage.AsOf{Time: at})
		if s.Mark.Sequence != want.Mark.Sequence || !s.Recorded.Equal(want.Recorded) {
			k.Fatalf("as of %s the mark is %d, recorded %s; want %d, %s", showTime(at), s.Mark.Sequence, showTime(s.Recorded), want.Mark.Sequence, showTime(want.Recorded))
		}
		n := 0
		for _, r := range all {
			if r.Recorded.Before(at) {
				n++
			}
		}
		if got := len(b.scan(usage.Selection{Scope: usage.AllTenants(), Mark: s.Mark})); got != n {
			k.Fatalf("as of %s there are %d records, want %d", showTime(at), got, n)
		}
	}
	for _, r := range all {
		for _, d := range []time.Duration{-time.Microsecond, 0, time.Microsecond, time.Minute} {
			check(r.Recorded.Add(d))
			check(r.Recorded.Add(d).In(time.FixedZone("", 3600)))
		}
	}
	check(epoch.AddDate(-10, 0, 0))
	check(epoch.AddDate(10, 0, 0))
}

func asOfSequence(k *kit) {
	b := k.open(nil)
	b.must(uses("a", 4)...)
	b.clock.advance(time.Hour)
	b.must(uses("b", 3)...)
	all := b.everything()
	for _, r := range all {
		s := b.stateAt(usage.AsOf{Sequence: r.Sequence})
		if s.Mark.Sequence != r.Sequence || !s.Recorded.Equal(r.Recorded) {
			k.Fatalf("as of sequence %d the mark is %d, recorded %s; want it recorded %s", r.Sequence, s.Mark.Sequence, showTime(s.Recorded), showTime(r.Recorded))
		}
	}
	newest := all[len(all)-1]
	for _, beyond := range []uint64{newest.Sequence + 1, newest.Sequence + 1000, math.MaxInt64} {
		s := b.stateAt(usage.AsOf{Sequence: beyond})
		if s.Mark.Sequence != newest.Sequence || !s.Recorded.Equal(newest.Recorded) {
			k.Fatalf("as of sequence %d, which is not booked, the mark is %d, want the newest, %d", beyond, s.Mark.Sequence, newest.Sequence)
		}
	}
	if s := b.state(); s.Mark.Sequence > newest.Sequence {
		k.Fatalf("the mark is %d, but the newest record has %d", s.Mark.Sequence, newest.Sequence)
	}
}

func newestHeldCheckpoint(k *kit) {
	b := k.open(nil)
	at := b.sequences(9)
	check := func(asOf, checkpoint, latest uint64, coverage string) {
		k.Helper()
		s := b.stateAt(usage.AsOf{Sequence: asOf})
		if s.Checkpoint != checkpoint || s.Latest != latest || string(s.Coverage) != coverage {
			k.Fatalf("as of %d the checkpoint is %d with %q, the latest %d; want %d with %q, %d", asOf, s.Checkpoint, s.Coverage, s.Latest, checkpoint, coverage, latest)
		}
	}
	check(at[8], 0, 0, "")
	b.mustCommit(&usage.Commit{To: at[2], Coverage: []byte("two"), Put: []*usage.Rollup{rollup("acme", 0, 1)}})
	check(at[8], at[2], at[2], "two")
	check(at[2], at[2], at[2], "two")
	check(at[1], 0, at[2], "")
	long := make([]byte, 64<<10)
	for i := range long {
		long[i] = byte(i * 31)
	}
	b.mustCommit(&usage.Commit{From: at[2], To: at[5], Coverage: long, Put: []*usage.Rollup{rollup("acme", 1, 1)}})
	check(at[8], at[5], at[5], string(long))
	check(at[4], at[2], at[5], "two")
	check(at[1], 0, at[5], "")
	b.mustCommit(&usage.Commit{From: at[5], To: at[6]})
	check(at[8], at[6], at[6], "")
	b.must(use("new", 99))
	check(math.MaxInt64, at[6], at[6], "")
	if s := b.state(); s.Checkpoint != at[6] || s.Latest != at[6] {
		k.Fatalf("as of now the checkpoint is %d, the latest %d, want %d", s.Checkpoint, s.Latest, at[6])
	}
	// The coverage that was handed out and the one that was handed in are the
	// receiver's and the caller's own.
	s := b.stateAt(usage.AsOf{Sequence: at[5]})
	clear(s.Coverage)
	clear(long)
	if s := b.stateAt(usage.AsOf{Sequence: at[5]}); len(s.Coverage) != 64<<10 || s.Coverage[1] != 31 {
		k.Fatalf("the coverage changed when the caller changed its copy")
	}
}

// settledPastNeverGrows books batches that are older than what was settled.
func settledPastNeverGrows(k *kit) {
	b := k.open(nil)
	var floor time.Time
	settle := func(at time.Time) {
		k.Helper()
		b.stateAt(usage.AsOf{Time: at})
		if at.After(floor) {
			floor = at
		}
	}
	book := func(what string, batch *usage.Batch) {
		k.Helper()
		before := b.everything()
		out := b.appendBatch(batch)
		all := b.everything()
		if len(all) != len(before)+batch.Len() {
			k.Fatalf("%s: %d records are there, want %d", what, len(all), len(before)+batch.Len())
		}
		for i, r := range all[len(before):] {
			if r.Recorded.Before(floor) {
				k.Fatalf("%s: a record was booked at %s into what was settled up to %s", what, showTime(r.Recorded), showTime(floor))
			}
			if e := out[i].Recorded; !e.IsZero() && !e.Equal(r.Recorded) {
				k.Fatalf("%s: the receipt says recorded %s, booked is %s", what, showTime(e), showTime(r.Recorded))
			}
		}
		if got := b.stateAt(usage.AsOf{Time: floor}); len(before) > 0 && got.Mark.Sequence > before[len(before)-1].Sequence {
			k.Fatalf("%s: the mark as of %s went up to %d after that time was settled", what, showTime(floor), got.Mark.Sequence)
		}
	}
	inFlight := make([]*usage.Batch, 5)
	for i := range inFlight {
		inFlight[i] = b.prepare(uses(fmt.Sprintf("b%d-", i), 2)...)
	}
	b.clock.advance(time.Hour)
	settle(b.clock.Now())
	book("into an empty book", inFlight[0])
	b.clock.advance(time.Hour)
	settle(b.clock.Now().Add(-time.Microsecond))
	book("behind others", inFlight[1])
	b.clock.advance(time.Hour)
	settle(b.clock.Now().In(time.FixedZone("", -7200)))
	book("in a zone", inFlight[2])
	b.clock.advance(time.Hour)
	settle(b.clock.Now())
	settle(epoch)
	settle(floor.Add(-time.Minute))
	book("after earlier moments were settled too", inFlight[3])
	b.clock.set(epoch)
	b.stateAt(usage.AsOf{Sequence: 1})
	b.stateAt(usage.AsOf{})
	book("after the clock ran back", b.prepare(use("new", 1)))
	book("the oldest of all", inFlight[4])
}
