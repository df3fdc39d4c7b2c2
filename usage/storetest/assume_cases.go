package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
)

var assumeCases = []aCase{
	{
		name: "P1_assumed_state_is_of_the_past",
		rule: "Where a store assumes the state of the book (Assumer), it assumes one that Checkpoint has returned, and never that of an empty book.",
		run:  assumedStateIsOfThePast,
	},
	{
		name: "P2_confirmed_read",
		rule: "A read with Confirm of the present State is the same read as without.",
		run:  confirmedRead,
	},
	{
		name: "P3_read_that_cannot_confirm",
		rule: "A read with Confirm of a State that is not the present one yields ErrMoved and nothing else, also where there would be nothing to yield.",
		run:  readThatCannotConfirm,
	},
}

// assumer returns the store's Assumer; a store without one has nothing to hold,
// because the Book asks first then.
func (b *bench) assumer() (usage.Assumer, bool) {
	a, ok := b.store.(usage.Assumer)
	if !ok {
		b.k.Log("the store is no usage.Assumer, so the Book calls Checkpoint first")
	}
	return a, ok
}

func assumedStateIsOfThePast(k *kit) {
	b := k.open(nil)
	a, ok := b.assumer()
	if !ok {
		return
	}
	var told []usage.State
	check := func(when string) {
		k.Helper()
		s, ok := a.Assume()
		if !ok {
			return
		}
		if s.Mark.Sequence == 0 {
			k.Fatalf("%s: the store assumes an empty book", when)
		}
		for i := range told {
			if reflect.DeepEqual(s, told[i]) {
				return
			}
		}
		k.Fatalf("%s: the store assumes %+v, which Checkpoint never returned", when, s)
	}
	ask := func(when string, times int) {
		k.Helper()
		for range times {
			told = append(told, b.state())
			check(when)
		}
	}
	check("before anything was asked")
	ask("while the book is empty", 3)
	for i := range 4 {
		b.must(uses(fmt.Sprintf("b%d-", i), 3)...)
		check("after an Append")
		ask("with records", 1+i)
		b.stateAt(usage.AsOf{Sequence: 2})
		check("after Checkpoint with a sequence")
		b.clock.advance(time.Hour)
		if i%2 == 1 {
			st := b.state()
			told = append(told, st)
			b.mustCommit(&usage.Commit{From: st.Latest, To: st.Mark.Sequence, Coverage: []byte("{}")})
			check("after a Commit")
			ask("with rollups", 3)
		}
	}
}

// roll moves the checkpoint as far as it goes.
func (b *bench) roll() {
	b.k.Helper()
	for {
		did, err := b.book.Roll(b.ctx())
		if err != nil {
			b.k.Fatalf("Roll: %v", err)
		}
		if !did {
			return
		}
	}
}

// reads are the reads that may have to confirm a state: each yields texts.
func (b *bench) reads(a usage.Assumer, st *usage.State) map[string]func(confirm *usage.State) ([]string, error) {
	group := func(change func(*usage.GroupRead)) func(*usage.State) ([]string, error) {
		return func(confirm *usage.State) (out []string, err error) {
			read := usage.GroupRead{
				Selection: usage.Selection{Scope: usage.AllTenants(), Mark: st.Mark, Class: usage.Plain}, Values: []string{usage.QuantityName}, Confirm: confirm,
				Group: func(*usage.Series, usage.VerdictClass) int { return 0 }, Dimensions: []string{}, Window: aggregate.Window{Unit: aggregate.Hour},
			}
			change(&read)
			all := map[int64]*aggregate.Summary{}
			for row, err := range a.Group(b.ctx(), read) {
				if err != nil {
					return out, err
				}
				s := all[row.Window]
				if s == nil {
					s = new(aggregate.Summary)
					all[row.Window] = s
				}
				s.Merge(&row.Values[0])
				out = append(out, "")
			}
			if len(all) > 0 {
				out = []string{}
			}
			for at, s := range all {
				out = append(out, fmt.Sprintf("%d: %d, %s", at, s.Count, s.Sum.Decimal()))
			}
			return out, nil
		}
	}
	rollups := func(change func(*usage.RollupSelection)) func(*usage.State) ([]string, error) {
		return func(confirm *usage.State) (out []string, err error) {
			sel := usage.RollupSelection{Scope: usage.AllTenants(), Checkpoint: st.Checkpoint, Projection: "meter", Level: aggregate.Day, Confirm: confirm}
			change(&sel)
			for row, err := range a.ScanRollups(b.ctx(), sel) {
				if err != nil {
					return out, err
				}
				out = append(out, showRollup(row))
			}
			return out, nil
		}
	}
	return map[string]func(*usage.State) ([]string, error){
		"Group": group(func(*usage.GroupRead) {}),
		"Group of a meter": group(func(r *usage.GroupRead) {
			r.Selection.Scope, r.Selection.Meters = usage.ForTenant("acme"), []string{"requests"}
		}),
		"Group by series": group(func(r *usage.GroupRead) { r.Dimensions = []string{"region"} }),
		"Group that wants no series": group(func(r *usage.GroupRead) {
			r.Dimensions, r.Group = []string{"region"}, func(*usage.Series, usage.VerdictClass) int { return -1 }
		}),
		"Group of nobody":       group(func(r *usage.GroupRead) { r.Selection.Scope = usage.ForTenant("nobody") }),
		"Group of no time":      group(func(r *usage.GroupRead) { r.Selection.From = epoch.AddDate(100, 0, 0) }),
		"Group of an interval":  group(func(r *usage.GroupRead) { r.Selection.After = 5 }),
		"ScanRollups":           rollups(func(*usage.RollupSelection) {}),
		"ScanRollups of nobody": rollups(func(s *usage.RollupSelection) { s.Scope = usage.ForTenant("nobody") }),
		"ScanRollups of no key": rollups(func(s *usage.RollupSelection) { s.Keys = []usage.RollupKey{} }),
		"ScanRollups of a key": rollups(func(s *usage.RollupSelection) {
			s.Keys = []usage.RollupKey{{Projection: "meter", Level: aggregate.Day, Bucket: aggregate.Floor(aggregate.Day, epoch.UnixMicro()), Tenant: "acme", Meter: "requests", Verdict: 1}}
		}),
	}
}

func confirmedRead(k *kit) {
	b := k.open(nil)
	a, ok := b.assumer()
	if !ok {
		return
	}
	check := func(when string) {
		k.Helper()
		st := b.state()
		for name, read := range b.reads(a, &st) {
			want, err := read(nil)
			if err != nil {
				k.Fatalf("%s: %s: %v", when, name, err)
			}
			got, err := read(&st)
			if err != nil {
				k.Fatalf("%s: %s that confirms the present state: %v", when, name, err)
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				k.Fatalf("%s: %s that confirms the state yields %q, and without %q", when, name, got, want)
			}
		}
	}
	b.must(uses("a", 40)...)
	check("without rollups")
	b.clock.advance(48 * time.Hour)
	b.roll()
	check("with rollups")
	b.must(uses("b", 20)...)
	check("with later records")
	b.must(voidOf("v", use("a0003", 3)), replaceOf("p", use("a0004", 4), 9))
	check("with corrections")
}

func readThatCannotConfirm(k *kit) {
	b := k.open(nil)
	a, ok := b.assumer()
	if !ok {
		return
	}
	var states []usage.State
	check := func(when string) {
		k.Helper()
		for i := range states {
			st := &states[i]
			for name, read := range b.reads(a, st) {
				got, err := read(st)
				if !errors.Is(err, usage.ErrMoved) {
					k.Fatalf("%s: %s that confirms the state of sequence %d: the error is %v, want %v", when, name, st.Mark.Sequence, err, usage.ErrMoved)
				}
				if len(got) > 0 {
					k.Fatalf("%s: %s that cannot confirm its state yielded %d rows first", when, name, len(got))
				}
			}
		}
	}
	b.must(uses("a", 10)...)
	b.clock.advance(48 * time.Hour)
	b.roll()
	states = append(states, b.state())
	b.must(use("b", 1))
	check("after an Append that nobody has asked about")
	b.state()
	check("after a Checkpoint")
	states = append(states, b.state())
	b.must(voidOf("v", use("a0003", 3)))
	check("after a correction")
}
