package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/usagebook/usagebook/usage"
)

var appendCases = []aCase{
	{
		name: "A1_books_what_judge_inserts",
		rule: "Append calls Batch.Judge with what is booked and books exactly the entries that come back Inserted, in their order, whatever stands between them in the batch.",
		run:  booksWhatJudgeInserts,
	},
	{
		name: "A2_race_of_one_identity",
		rule: "Looking up and booking are one atomic step: of several calls that race with the same identity and content exactly one inserts it, and the others find it booked.",
		run:  raceOfOneIdentity,
	},
	{
		name: "A2_race_of_two_contents",
		rule: "Looking up and booking are one atomic step: of several calls that race with one identity and different contents exactly one inserts, and the others are conflicts with what it booked.",
		run:  raceOfTwoContents,
	},
	{
		name: "A3_all_or_nothing",
		rule: "A batch that is to be booked wholly or not at all, and in which one record fails, leaves nothing behind: neither records nor identities nor corrections; the innocent are Withheld and can be booked later.",
		run:  allOrNothing,
	},
	{
		name: "A3_withheld_names",
		rule: "What a batch that was not booked would have brought with it, tenants, sources, meters, dimensions and names of values, changes nothing in what is booked later, nor in what is found of it: also in a store that was opened anew, which has to look up what everything is called.",
		run:  withheldNames,
	},
	{
		name: "A3_no_half_batches",
		rule: "Either all Inserted entries of a batch are booked or none: a reader never sees a part of one, whenever it asks for the mark.",
		run:  noHalfBatches,
	},
	{
		name:    "A4_acknowledged_is_kept",
		rule:    "When Append returns without error, a durable store has the batch on stable storage: after opening it again, everything acknowledged is there, once, and knows its identities and corrections.",
		durable: true,
		run:     acknowledgedIsKept,
	},
	{
		name: "A5_sequence_rises",
		rule: "Inserted entries get Sequence numbers from 1, rising in their order and above every one given before, and no two records have the same.",
		run:  sequenceRises,
	},
	{
		name: "A5_recorded_never_runs_back",
		rule: "Recorded never decreases with Sequence and is never before the batch's Now, even when the book's clock runs backwards.",
		run:  recordedNeverRunsBack,
	},
	{
		name: "A5_receipts_tell_the_place",
		rule: "Sequence and Recorded of a receipt, where the store gives them at once, are those that the record is read back with: for Inserted, for a Duplicate and for a Conflict.",
		run:  receiptsTellThePlace,
	},
	{
		name: "A6_race_of_corrections",
		rule: "A record has at most one accepted correction, ever, however many race for it; the others are told that the target is corrected already and which record heads its chain.",
		run:  raceOfCorrections,
	},
	{
		name: "A8_nothing_is_kept",
		rule: "Nothing of the batch is kept or changed after the call: the caller may go on to use its memory, and may append the same batch again.",
		run:  nothingIsKept,
	},
	{
		name: "A9_cancelled_append",
		rule: "A cancelled context ends the call with its error; the batch is then booked wholly or not at all.",
		run:  cancelledAppend,
	},
}

func booksWhatJudgeInserts(k *kit) {
	b := k.open(nil)
	old := use("old", 0)
	b.must(old)

	changed := old
	changed.Meter = "other"
	first, second, third := use("a", 1), use("b", 2), use("c", 3)
	nameless := use("", 4)
	valueless := use("v", 5)
	valueless.Values = usage.Values{}
	orphan := voidOf("x", use("nowhere", 0))

	b.want("a mixed batch",
		[]usage.Outcome{usage.Inserted, usage.Duplicate, usage.Conflict, usage.Rejected, usage.Inserted, usage.Rejected, usage.Rejected, usage.Inserted, usage.Duplicate},
		third, old, changed, nameless, first, valueless, orphan, second, third)
	b.holds("after a mixed batch", old, third, first, second)

	b.want("a batch of repeats", []usage.Outcome{usage.Duplicate, usage.Duplicate}, first, second)
	b.want("an empty batch", nil)
	b.holds("after repeats and an empty batch", old, third, first, second)
}

// race runs one call in each of n goroutines, which begin together.
func race(n int, call func(i int)) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		ready.Add(1)
		done.Add(1)
		go func() {
			defer done.Done()
			ready.Done()
			<-start
			call(i)
		}()
	}
	ready.Wait()
	close(start)
	done.Wait()
}

const (
	racers = 8
	rounds = 25
)

func raceOfOneIdentity(k *kit) {
	b := k.open(nil)
	for round := range rounds {
		// Each call has a record of its own too, so that the batches differ.
		shared := use(fmt.Sprintf("shared%d", round), round)
		batches := make([]*usage.Batch, racers)
		for i := range batches {
			batches[i] = b.prepare(use(fmt.Sprintf("own%d-%d", round, i), round), shared)
		}
		out, errs := b.raceAppend(batches)
		inserted := 0
		for i := range out {
			if errs[i] != nil {
				k.Fatalf("round %d: Append of racer %d: %v", round, i, errs[i])
			}
			if got := out[i][0].Outcome; got != usage.Inserted {
				k.Fatalf("round %d: racer %d's own record is %s, want inserted", round, i, got)
			}
			switch got := out[i][1].Outcome; got {
			case usage.Inserted:
				inserted++
			case usage.Duplicate:
			default:
				k.Fatalf("round %d: the shared record is %s for racer %d, want inserted or duplicate", round, got, i)
			}
		}
		if inserted != 1 {
			k.Fatalf("round %d: %d of %d racers were told that they inserted the same record, want 1", round, inserted, racers)
		}
		if n := len(b.scan(usage.Selection{Scope: usage.AllTenants(), Mark: b.state().Mark, Identities: []usage.Identity{shared.Identity()}})); n != 1 {
			k.Fatalf("round %d: the record is booked %d times, want once", round, n)
		}
	}
	if got, want := len(b.everything()), rounds*(racers+1); got != want {
		k.Fatalf("%d records are booked, want %d", got, want)
	}
}

func raceOfTwoContents(k *kit) {
	b := k.open(nil)
	for round := range rounds {
		batches := make([]*usage.Batch, racers)
		for i := range batches {
			r := use(fmt.Sprintf("r%d", round), round)
			r.Values = quantity(fmt.Sprint(i))
			batches[i] = b.prepare(r)
		}
		out, errs := b.raceAppend(batches)
		winner := -1
		for i := range out {
			switch {
			case errs[i] != nil:
				k.Fatalf("round %d: Append of racer %d: %v", round, i, errs[i])
			case out[i][0].Outcome == usage.Inserted && winner < 0:
				winner = i
			case out[i][0].Outcome == usage.Conflict:
			default:
				k.Fatalf("round %d: racer %d got %s, want one inserted and conflicts", round, i, out[i][0].Outcome)
			}
		}
		if winner < 0 {
			k.Fatalf("round %d: nobody inserted", round)
		}
		got := b.find(batches[0].At(0).Record.Identity())
		if !usage.SameContent(&got.Record, &batches[winner].At(0).Record) {
			k.Fatalf("round %d: booked is %s, but the one who was told that it inserted gave %s", round, show(&got.Record), show(&batches[winner].At(0).Record))
		}
	}
}

// raceAppend appends all batches at once.
func (b *bench) raceAppend(batches []*usage.Batch) ([][]usage.ReceiptEntry, []error) {
	out := make([][]usage.ReceiptEntry, len(batches))
	errs := make([]error, len(batches))
	race(len(batches), func(i int) {
		out[i], errs[i] = b.store.Append(b.ctx(), batches[i])
		if errs[i] == nil && len(out[i]) != batches[i].Len() {
			errs[i] = fmt.Errorf("%d entries for %d records", len(out[i]), batches[i].Len())
		}
	})
	return out, errs
}

func allOrNothing(k *kit) {
	b := k.open(nil)
	old := use("old", 0)
	b.must(old)
	changed := old
	changed.Meter = "other"
	fresh := use("fresh", 1)
	void := voidOf("void", old)

	all := usage.AppendOptions{AllOrNothing: true}
	got := b.appendBatch(b.prepareWith(all, fresh, void, old, fresh, changed))
	b.outcomes("all or nothing with a conflict",
		[]usage.Outcome{usage.Withheld, usage.Withheld, usage.Duplicate, usage.Withheld, usage.Conflict}, got)
	b.holds("after a withheld batch", old)
	if c := b.find(old.Identity()).CorrectedBy; c != nil {
		k.Fatalf("the withheld void corrects its target all the same")
	}

	got = b.appendBatch(b.prepareWith(all, fresh, use("", 2)))
	b.outcomes("all or nothing with a malformed record", []usage.Outcome{usage.Withheld, usage.Rejected}, got)
	b.holds("after a second withheld batch", old)

	b.want("the withheld records, later", []usage.Outcome{usage.Inserted, usage.Inserted}, fresh, void)
	got = b.appendBatch(b.prepareWith(all, use("more", 3), fresh))
	b.outcomes("all or nothing without a failure", []usage.Outcome{usage.Inserted, usage.Duplicate}, got)
	b.holds("at the end", old, fresh, void, use("more", 3))
}

func withheldNames(k *kit) {
	for _, cold := range []bool{false, true} {
		if cold && k.opts.Reopen == nil {
			continue // A4 asks durable stores for it
		}
		b := k.open(nil)
		old := use("old", 0)
		b.must(old)
		if cold {
			b = k.bench(k.opts.Reopen(k.TB, b.store), nil)
			k.Cleanup(func() { _ = b.store.Close() })
			if len(b.everything()) != 1 {
				return // A4 is about that
			}
		}
		// Two strangers alike in everything but what they are called.
		stranger := func(name string, i int) []usage.Record {
			region := use(name+"-region", i)
			region.Dimensions = usage.NewDimensions(usage.Dimension{Name: "region", Value: name})
			dimension := use(name+"-dimension", i)
			dimension.Dimensions = usage.NewDimensions(usage.Dimension{Name: name, Value: "eu"})
			meter := use(name+"-meter", i)
			meter.Meter = name
			value := use(name+"-value", i)
			value.Values = usage.Values{}.WithNumber(name, number("1"))
			source := use(name+"-source", i)
			source.Source = name
			return []usage.Record{region, dimension, meter, value, source, of(name, use(name+"-tenant", i))}
		}
		changed := old
		changed.Values = quantity("2")
		withheld := append(stranger("one", 1), changed)
		for i, e := range b.appendBatch(b.prepareWith(usage.AppendOptions{AllOrNothing: true}, withheld...)) {
			want := usage.Withheld
			if i == len(withheld)-1 {
				want = usage.Conflict
			}
			if e.Outcome != want {
				k.Fatalf("all or nothing with a conflict: record %d is %s, want %s", i, e.Outcome, want)
			}
		}
		booked := stranger("two", 1)
		b.must(booked...)
		for i := range booked {
			got := b.find(booked[i].Identity())
			if !usage.SameContent(&got.Record, &booked[i]) {
				k.Fatalf("opened anew: %v: a record that was booked after a batch had been withheld is\n  %s\nwant\n  %s", cold, show(&got.Record), show(&booked[i]))
			}
		}
		sel := b.at()
		sel.Series = func(s *usage.Series) bool { v, _ := s.Dimensions.Get("region"); return v == "two" }
		if got := identities(b.scan(sel)); len(got) != 1 || got[0] != booked[0].Identity() {
			k.Fatalf("opened anew: %v: of the region that was booked after a batch had been withheld there are %s", cold, showIdentities(got))
		}
	}
}

func noHalfBatches(k *kit) {
	b := k.open(nil)
	const size, batches = 40, 30
	prepared := make([]*usage.Batch, batches)
	for i := range prepared {
		prepared[i] = b.prepare(uses(fmt.Sprintf("b%d-", i), size)...)
	}
	ctx, cancel := context.WithCancel(b.ctx())
	defer cancel()
	var writer sync.WaitGroup
	var failure error
	writer.Add(1)
	go func() {
		defer writer.Done()
		defer cancel()
		for _, batch := range prepared {
			if _, failure = b.store.Append(b.ctx(), batch); failure != nil {
				return
			}
		}
	}()
	for done := false; !done; {
		done = ctx.Err() != nil // one more look after the writer has ended
		n := len(b.scan(usage.Selection{Scope: usage.AllTenants(), Mark: b.state().Mark}))
		if n%size != 0 {
			cancel()
			writer.Wait()
			k.Fatalf("a reader saw %d records, which is no whole number of batches of %d", n, size)
		}
	}
	writer.Wait()
	if failure != nil {
		k.Fatalf("Append: %v", failure)
	}
}

func acknowledgedIsKept(k *kit) {
	if k.opts.Reopen == nil {
		k.Fatalf("no Options.Reopen is given, so that nothing shows that the store is durable; give it, or declare NotDurable")
	}
	b := k.open(nil)
	records := uses("r", 50)
	b.must(records...)
	void := voidOf("void", records[3])
	b.must(void)
	before := b.everything()
	newest := b.settled().Mark.Sequence
	b.mustCommit(&usage.Commit{To: newest, Put: []*usage.Rollup{rollup("acme", 0, 7)}, Coverage: []byte("coverage")})

	b = k.bench(k.opts.Reopen(k.TB, b.store), nil)
	k.Cleanup(func() { _ = b.store.Close() })
	after := b.everything()
	if len(after) != len(before) {
		k.Fatalf("%d records were acknowledged and %d are there after opening again", len(before), len(after))
	}
	for i := range before {
		if got, want := showStored(after[i]), showStored(before[i]); got != want {
			k.Fatalf("after opening again a record is\n  %s\nwant\n  %s", got, want)
		}
	}
	b.want("a retry after opening again", []usage.Outcome{usage.Duplicate, usage.Duplicate, usage.Inserted}, records[0], void, use("new", 60))
	if got := b.append(voidOf("late", records[3])); got[0].Outcome != usage.Rejected {
		k.Fatalf("a second correction after opening again is %s, want rejected", got[0].Outcome)
	}
	if s := b.settled(); s.Checkpoint != newest || string(s.Coverage) != "coverage" {
		k.Fatalf("after opening again the checkpoint is %d with coverage %q, want %d with %q", s.Checkpoint, s.Coverage, newest, "coverage")
	}
	if got := b.rollups(usage.RollupSelection{Checkpoint: newest}); len(got) != 1 || got[0].Records != 7 {
		k.Fatalf("after opening again there are %d rollup rows, want the one that was committed", len(got))
	}
}

func sequenceRises(k *kit) {
	b := k.open(nil)
	var last uint64
	for i := range 5 {
		records := uses(fmt.Sprintf("b%d-", i), 7)
		if i%2 == 1 {
			slices.Reverse(records) // the order of the batch counts, not that of time
		}
		b.must(records...)
		all := b.everything()
		if len(all) != 7*(i+1) {
			k.Fatalf("after %d batches of 7 there are %d records", i+1, len(all))
		}
		fresh := all[7*i:]
		for j := range fresh {
			if fresh[j].Sequence <= last {
				k.Fatalf("record %d of batch %d has sequence %d, but %d was given before it", j, i, fresh[j].Sequence, last)
			}
			last = fresh[j].Sequence
			if fresh[j].ID != records[j].ID {
				k.Fatalf("place %d of batch %d has record %s, want %s", j, i, fresh[j].ID, records[j].ID)
			}
		}
	}
}

func recordedNeverRunsBack(k *kit) {
	b := k.open(nil)
	for i, offset := range []time.Duration{0, time.Hour, -time.Hour, time.Minute, 2 * time.Hour, 2*time.Hour - time.Microsecond} {
		b.clock.set(epoch.Add(offset))
		before := b.clock.Now()
		b.must(uses(fmt.Sprintf("b%d-", i), 3)...)
		all := b.everything()
		for j, r := range all {
			if j > 0 && r.Recorded.Before(all[j-1].Recorded) {
				k.Fatalf("sequence %d was recorded at %s, before sequence %d at %s", r.Sequence, r.Recorded, all[j-1].Sequence, all[j-1].Recorded)
			}
			if j >= 3*i && r.Recorded.Before(before) {
				k.Fatalf("batch %d is recorded at %s, before its own Now %s", i, r.Recorded, before)
			}
		}
	}
}

func receiptsTellThePlace(k *kit) {
	b := k.open(nil)
	records := uses("r", 5)
	changed := records[2]
	changed.Meter = "other"
	check := func(what string, entries []usage.ReceiptEntry, asked ...usage.Record) {
		k.Helper()
		for i := range entries {
			stored := b.find(asked[i].Identity())
			if got := entries[i].Sequence; got != 0 && got != stored.Sequence {
				k.Fatalf("%s: the receipt says sequence %d, booked is %d", what, got, stored.Sequence)
			}
			if got := entries[i].Recorded; !got.IsZero() && !got.Equal(stored.Recorded) {
				k.Fatalf("%s: the receipt says recorded %s, booked is %s", what, got, stored.Recorded)
			}
		}
	}
	check("inserted", b.must(records...), records...)
	b.clock.advance(time.Hour)
	asked := []usage.Record{records[4], changed, use("new", 9), records[0]}
	check("a later batch", b.want("a later batch",
		[]usage.Outcome{usage.Duplicate, usage.Conflict, usage.Inserted, usage.Duplicate}, asked...), asked...)
}

func raceOfCorrections(k *kit) {
	b := k.open(nil)
	for round := range rounds {
		target := use(fmt.Sprintf("t%d", round), round)
		b.must(target)
		batches := make([]*usage.Batch, racers)
		for i := range batches {
			id := fmt.Sprintf("c%d-%d", round, i)
			if i%2 == 0 {
				batches[i] = b.prepare(voidOf(id, target))
			} else {
				batches[i] = b.prepare(replaceOf(id, target, int64(i)))
			}
		}
		out, errs := b.raceAppend(batches)
		winner := -1
		for i := range out {
			switch {
			case errs[i] != nil:
				k.Fatalf("round %d: Append of racer %d: %v", round, i, errs[i])
			case out[i][0].Outcome == usage.Inserted:
				if winner >= 0 {
					k.Fatalf("round %d: two corrections of one record were accepted", round)
				}
				winner = i
			case out[i][0].Outcome != usage.Rejected:
				k.Fatalf("round %d: racer %d got %s, want inserted or rejected", round, i, out[i][0].Outcome)
			}
		}
		if winner < 0 {
			k.Fatalf("round %d: no correction was accepted", round)
		}
		head := batches[winner].At(0).Record.Identity()
		for i := range out {
			if i != winner {
				b.alreadyCorrected(out[i][0], head)
			}
		}
		if c := b.find(target.Identity()).CorrectedBy; c == nil || c.ID != head.ID {
			k.Fatalf("round %d: the target is corrected by %+v, want %v", round, c, head)
		}
	}
}

// alreadyCorrected checks the answer to a correction that came too late.
func (b *bench) alreadyCorrected(e usage.ReceiptEntry, head usage.Identity) {
	b.k.Helper()
	if e.Outcome != usage.Rejected || len(e.Violations) == 0 || e.Violations[0].Code != usage.CodeAlreadyCorrected {
		b.k.Fatalf("a second correction is %s with %v, want rejected with %s", e.Outcome, e.Violations, usage.CodeAlreadyCorrected)
	}
	if e.Head == nil || *e.Head != head {
		b.k.Fatalf("a second correction is told of the head %v, want %v", e.Head, head)
	}
}

func nothingIsKept(k *kit) {
	b := k.open(nil)
	records := append(uses("r", 3), use("target", 5))
	records = append(records, replaceOf("replacement", records[3], 9))
	batch := b.prepare(records...)
	var before []string
	for i := range batch.Len() {
		before = append(before, show(&batch.At(i).Record))
	}
	first := b.appendBatch(batch)
	for i := range before {
		if got := show(&batch.At(i).Record); got != before[i] {
			k.Fatalf("Append changed its batch: record %d is %s and was %s", i, got, before[i])
		}
	}
	again := b.appendBatch(batch)
	for i := range again {
		if first[i].Outcome != usage.Inserted || again[i].Outcome != usage.Duplicate {
			k.Fatalf("the same batch twice: record %d is %s and then %s, want inserted and duplicate", i, first[i].Outcome, again[i].Outcome)
		}
	}
	// The memory of the batch and of the receipt is the caller's again.
	for i := range batch.Len() {
		r := &batch.At(i).Record
		if r.Corrects != nil {
			r.Corrects.ID = "overwritten"
		}
		*r = usage.Record{Tenant: "overwritten"}
	}
	clear(first)
	for i, r := range b.everything() {
		if got := show(&r.Record); got != before[i] {
			k.Fatalf("after the batch was overwritten, record %d is read back as %s, want %s", i, got, before[i])
		}
	}
}

func cancelledAppend(k *kit) {
	b := k.open(nil)
	records := uses("r", 20)
	batch := b.prepare(records...)
	if _, err := b.store.Append(ended(b.ctx()), batch); !isCancelled(err) {
		k.Fatalf("Append with a cancelled context returned %v, want %v", err, context.Canceled)
	}
	if n := len(b.everything()); n != 0 && n != len(records) {
		k.Fatalf("a cancelled Append of %d records booked %d, want all or none", len(records), n)
	}
	// Cancelled somewhere on the way: wholly, or not at all, and the retry
	// makes it whole.
	for i := range 20 {
		ctx, cancel := context.WithCancel(b.ctx())
		mine := uses(fmt.Sprintf("m%d-", i), 50)
		batch := b.prepare(mine...)
		race(2, func(side int) {
			if side == 0 {
				cancel()
				return
			}
			if _, err := b.store.Append(ctx, batch); err != nil && !isCancelled(err) && !errors.Is(err, usage.ErrUnavailable) {
				k.Errorf("Append cancelled on the way returned %v, want nil or %v", err, context.Canceled)
			}
		})
		cancel()
		in := usage.Selection{Scope: usage.AllTenants(), Mark: b.state().Mark, Series: func(s *usage.Series) bool { return true }}
		in.Identities = make([]usage.Identity, len(mine))
		for j := range mine {
			in.Identities[j] = mine[j].Identity()
		}
		if n := len(b.scan(in)); n != 0 && n != len(mine) {
			k.Fatalf("an Append of %d records that was cancelled on the way booked %d, want all or none", len(mine), n)
		}
		for j, e := range b.append(mine...) {
			if e.Outcome != usage.Inserted && e.Outcome != usage.Duplicate {
				k.Fatalf("the retry of a cancelled batch: record %d is %s", j, e.Outcome)
			}
		}
	}
}
