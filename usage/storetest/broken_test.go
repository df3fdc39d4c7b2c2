package storetest_test

import (
	"context"
	"errors"
	"iter"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
	"github.com/usagebook/usagebook/usage/storetest"
)

// broken is a store with a fault: each hook that is set stands in for a method.
type broken struct {
	usage.Store
	append      func(ctx context.Context, b *usage.Batch) ([]usage.ReceiptEntry, error)
	scan        func(ctx context.Context, sel usage.Selection) iter.Seq2[*usage.Stored, error]
	scanRollups func(ctx context.Context, sel usage.RollupSelection) iter.Seq2[*usage.Rollup, error]
	checkpoint  func(ctx context.Context, at usage.AsOf) (usage.State, error)
	commit      func(ctx context.Context, c *usage.Commit) error
	close       func() error
}

func (s *broken) Append(ctx context.Context, b *usage.Batch) ([]usage.ReceiptEntry, error) {
	if s.append != nil {
		return s.append(ctx, b)
	}
	return s.Store.Append(ctx, b)
}

func (s *broken) Scan(ctx context.Context, sel usage.Selection) iter.Seq2[*usage.Stored, error] {
	if s.scan != nil {
		return s.scan(ctx, sel)
	}
	return s.Store.Scan(ctx, sel)
}

func (s *broken) ScanRollups(ctx context.Context, sel usage.RollupSelection) iter.Seq2[*usage.Rollup, error] {
	if s.scanRollups != nil {
		return s.scanRollups(ctx, sel)
	}
	return s.Store.ScanRollups(ctx, sel)
}

func (s *broken) Checkpoint(ctx context.Context, at usage.AsOf) (usage.State, error) {
	if s.checkpoint != nil {
		return s.checkpoint(ctx, at)
	}
	return s.Store.Checkpoint(ctx, at)
}

func (s *broken) Commit(ctx context.Context, c *usage.Commit) error {
	if s.commit != nil {
		return s.commit(ctx, c)
	}
	return s.Store.Commit(ctx, c)
}

func (s *broken) Close() error {
	if s.close != nil {
		return s.close()
	}
	return s.Store.Close()
}

// brokenGroup is a store whose own adding up has a fault.
type brokenGroup struct {
	*memstore.Store
	read    func(r *usage.GroupRead)
	row     func(r *usage.GroupRead, row *usage.GroupRow)
	rollups func(sel *usage.RollupSelection)
}

func (s *brokenGroup) GroupRollups(ctx context.Context, sel usage.RollupSelection, r usage.GroupRead) iter.Seq2[*usage.GroupRow, error] {
	if s.rollups != nil {
		s.rollups(&sel)
	}
	return s.Store.GroupRollups(ctx, sel, r)
}

func (s *brokenGroup) Group(ctx context.Context, r usage.GroupRead) iter.Seq2[*usage.GroupRow, error] {
	if s.read != nil {
		s.read(&r)
	}
	return func(yield func(*usage.GroupRow, error) bool) {
		for row, err := range s.Store.Group(ctx, r) {
			if err == nil && s.row != nil {
				s.row(&r, row)
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

// answer changes the receipt of every Append; before, if not nil, is called
// first and what it returns is handed on.
func answer(s *broken, change func(b *usage.Batch, i int, e *usage.ReceiptEntry)) {
	s.append = func(ctx context.Context, b *usage.Batch) ([]usage.ReceiptEntry, error) {
		out, err := s.Store.Append(ctx, b)
		for i := range out {
			change(b, i, &out[i])
		}
		return out, err
	}
}

// each changes every record that a scan yields; false leaves it out.
func each(s *broken, change func(sel *usage.Selection, r *usage.Stored) bool) {
	inner := s.scan
	if inner == nil {
		inner = s.Store.Scan
	}
	s.scan = func(ctx context.Context, sel usage.Selection) iter.Seq2[*usage.Stored, error] {
		return func(yield func(*usage.Stored, error) bool) {
			for r, err := range inner(ctx, sel) {
				if err == nil && !change(&sel, r) {
					continue
				}
				if !yield(r, err) {
					return
				}
			}
		}
	}
}

// asked changes every selection.
func asked(s *broken, change func(sel *usage.Selection)) {
	s.scan = func(ctx context.Context, sel usage.Selection) iter.Seq2[*usage.Stored, error] {
		change(&sel)
		return s.Store.Scan(ctx, sel)
	}
}

// sorted puts what a scan yields in another order, where it is asked for.
func sorted(s *broken, when usage.ScanOrder, compare func(a, b *usage.Stored) int) {
	s.scan = func(ctx context.Context, sel usage.Selection) iter.Seq2[*usage.Stored, error] {
		if sel.Order != when {
			return s.Store.Scan(ctx, sel)
		}
		return func(yield func(*usage.Stored, error) bool) {
			var all []*usage.Stored
			for r, err := range s.Store.Scan(ctx, sel) {
				if err != nil {
					yield(nil, err)
					return
				}
				all = append(all, r)
			}
			slices.SortStableFunc(all, compare)
			for _, r := range all {
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}

// again prepares other records in the place of a batch.
func again(s usage.Store, b *usage.Batch, o usage.AppendOptions, records ...usage.Record) *usage.Batch {
	book, err := usage.New(s, &usage.Options{Now: b.Now})
	if err != nil {
		panic(err)
	}
	batch, err := book.Prepare(o, records...)
	if err != nil {
		panic(err)
	}
	return batch
}

// delayed prepares the records of a batch as if it were later.
func delayed(s usage.Store, b *usage.Batch, now time.Time) *usage.Batch {
	book, err := usage.New(s, &usage.Options{Now: func() time.Time { return now }})
	if err != nil {
		panic(err)
	}
	batch, err := book.Prepare(usage.AppendOptions{AllOrNothing: b.AllOrNothing()}, recordsOf(b)...)
	if err != nil {
		panic(err)
	}
	return batch
}

func recordsOf(b *usage.Batch) []usage.Record {
	out := make([]usage.Record, b.Len())
	for i := range out {
		out[i] = b.At(i).Record
	}
	return out
}

// permuted books the records of a batch in another order and answers in theirs.
func permuted(ctx context.Context, s usage.Store, b *usage.Batch, order []int) ([]usage.ReceiptEntry, error) {
	records := make([]usage.Record, len(order))
	for i, k := range order {
		records[i] = b.At(k).Record
	}
	got, err := s.Append(ctx, again(s, b, usage.AppendOptions{AllOrNothing: b.AllOrNothing()}, records...))
	if err != nil {
		return nil, err
	}
	out := make([]usage.ReceiptEntry, len(order))
	for i, k := range order {
		out[k] = got[i]
	}
	return out, nil
}

// lookup finds a record as it is now, or nil.
func lookup(ctx context.Context, s usage.Store, id usage.Identity) *usage.Stored {
	state, err := s.Checkpoint(ctx, usage.AsOf{})
	if err != nil {
		return nil
	}
	for r, err := range s.Scan(ctx, usage.Selection{Scope: usage.AllTenants(), Mark: state.Mark, Identities: []usage.Identity{id}}) {
		if err == nil {
			return r
		}
	}
	return nil
}

// inTwoSteps looks up before it books and believes what it saw: the look-up and
// the write are not one step.
func inTwoSteps(s *broken, believe func(before *usage.Stored, e *usage.Entry, out *usage.ReceiptEntry), about func(r *usage.Record) usage.Identity) {
	s.append = func(ctx context.Context, b *usage.Batch) ([]usage.ReceiptEntry, error) {
		before := make([]*usage.Stored, b.Len())
		for i := range before {
			before[i] = lookup(ctx, s.Store, about(&b.At(i).Record))
		}
		for range 20 {
			runtime.Gosched()
		}
		out, err := s.Store.Append(ctx, b)
		for i := range out {
			believe(before[i], b.At(i), &out[i])
		}
		return out, err
	}
}

func target(r *usage.Record) usage.Identity {
	if r.Corrects == nil {
		return usage.Identity{}
	}
	return usage.Identity{Tenant: r.Tenant, Source: r.Corrects.Source, ID: r.Corrects.ID}
}

func isVoid(r *usage.Record) bool { return r.Corrects != nil && r.Corrects.Kind == usage.Void }

func has(e *usage.ReceiptEntry, code string) bool {
	return slices.ContainsFunc(e.Violations, func(v usage.Violation) bool { return v.Code == code })
}

// unsettled answers as of a time and settles nothing.
func unsettled(s *broken) {
	s.checkpoint = func(ctx context.Context, at usage.AsOf) (usage.State, error) {
		if at.Time.IsZero() {
			return s.Store.Checkpoint(ctx, at)
		}
		now, err := s.Store.Checkpoint(ctx, usage.AsOf{})
		if err != nil || now.Mark.Sequence == 0 {
			return now, err
		}
		before := uint64(0)
		for r, err := range s.Store.Scan(ctx, usage.Selection{Scope: usage.AllTenants(), Mark: now.Mark, RecordedTo: at.Time}) {
			if err != nil {
				return usage.State{}, err
			}
			before = max(before, r.Sequence)
		}
		if before == 0 {
			return usage.State{Latest: now.Latest}, nil
		}
		return s.Store.Checkpoint(ctx, usage.AsOf{Sequence: before})
	}
}

// faults are stores that break one rule each. spoil changes a store that wraps
// a good one.
var faults = []struct {
	name  string
	fails string // the one case that must fail
	spoil func(s *broken)
}{
	{"what stands behind a nameless record is dropped", "A1_books_what_judge_inserts", func(s *broken) {
		s.append = func(ctx context.Context, b *usage.Batch) ([]usage.ReceiptEntry, error) {
			i := slices.IndexFunc(recordsOf(b), func(r usage.Record) bool { return r.ID == "" })
			if i < 0 || b.AllOrNothing() {
				return s.Store.Append(ctx, b)
			}
			out, err := s.Store.Append(ctx, again(s.Store, b, usage.AppendOptions{}, recordsOf(b)[:i]...))
			for ; i < b.Len(); i++ {
				e := usage.ReceiptEntry{Outcome: usage.Inserted}
				if len(b.At(i).Violations) > 0 {
					e.Outcome = usage.Rejected
				}
				out = append(out, e)
			}
			return out, err
		}
	}},
	{"identities are claimed before they are booked", "A2_race_of_one_identity", func(s *broken) {
		inTwoSteps(s, func(before *usage.Stored, _ *usage.Entry, out *usage.ReceiptEntry) {
			if before == nil && out.Outcome == usage.Duplicate && out.Sequence != 0 {
				out.Outcome = usage.Inserted
			}
		}, (*usage.Record).Identity)
	}},
	{"the last of two contents that race is told that it won", "A2_race_of_two_contents", func(s *broken) {
		inTwoSteps(s, func(before *usage.Stored, e *usage.Entry, out *usage.ReceiptEntry) {
			if before == nil && out.Outcome == usage.Conflict && out.Sequence != 0 {
				*out = usage.ReceiptEntry{Outcome: usage.Inserted}
			}
		}, (*usage.Record).Identity)
	}},
	{"all or nothing books the innocent", "A3_all_or_nothing", func(s *broken) {
		s.append = func(ctx context.Context, b *usage.Batch) ([]usage.ReceiptEntry, error) {
			if !b.AllOrNothing() {
				return s.Store.Append(ctx, b)
			}
			out, err := s.Store.Append(ctx, again(s.Store, b, usage.AppendOptions{}, recordsOf(b)...))
			for i := range out {
				if out[i].Outcome == usage.Inserted {
					out[i] = usage.ReceiptEntry{Outcome: usage.Withheld}
				}
			}
			return out, err
		}
	}},
	{"what a withheld batch called things sticks", "A3_withheld_names", func(s *broken) {
		var withheld usage.Dimensions
		stuck := map[usage.Identity]usage.Dimensions{}
		var mu sync.Mutex
		s.append = func(ctx context.Context, b *usage.Batch) ([]usage.ReceiptEntry, error) {
			out, err := s.Store.Append(ctx, b)
			mu.Lock()
			defer mu.Unlock()
			for i := range out {
				r := &b.At(i).Record
				if d := r.Dimensions; out[i].Outcome == usage.Withheld && withheld.Len() == 0 {
					withheld = d
				} else if out[i].Outcome == usage.Inserted && withheld.Len() > 0 && !d.Equal(withheld) {
					stuck[r.Identity()] = withheld
					withheld = usage.Dimensions{}
				}
			}
			return out, err
		}
		each(s, func(_ *usage.Selection, r *usage.Stored) bool {
			mu.Lock()
			defer mu.Unlock()
			if d, ok := stuck[r.Identity()]; ok {
				r.Dimensions = d
			}
			return true
		})
	}},
	{"long batches are booked in two halves", "A3_no_half_batches", func(s *broken) {
		var scans atomic.Int64
		s.scan = func(ctx context.Context, sel usage.Selection) iter.Seq2[*usage.Stored, error] {
			return func(yield func(*usage.Stored, error) bool) {
				s.Store.Scan(ctx, sel)(yield)
				scans.Add(1)
			}
		}
		s.append = func(ctx context.Context, b *usage.Batch) ([]usage.ReceiptEntry, error) {
			if b.Len() != 40 {
				return s.Store.Append(ctx, b)
			}
			first, err := s.Store.Append(ctx, again(s.Store, b, usage.AppendOptions{}, recordsOf(b)[:20]...))
			if err != nil {
				return nil, err
			}
			// Until somebody has looked, however busy the machine is; only this case
			// has readers meanwhile.
			for i, n := 0, scans.Load(); i < 100_000 && scans.Load() < n+2; i++ {
				runtime.Gosched()
			}
			second, err := s.Store.Append(ctx, again(s.Store, b, usage.AppendOptions{}, recordsOf(b)[20:]...))
			return append(first, second...), err
		}
	}},
	{"sequences follow event time inside a batch", "A5_sequence_rises", func(s *broken) {
		s.append = func(ctx context.Context, b *usage.Batch) ([]usage.ReceiptEntry, error) {
			if b.Len() != 7 {
				return s.Store.Append(ctx, b)
			}
			order := []int{0, 1, 2, 3, 4, 5, 6}
			slices.SortFunc(order, func(i, j int) int { return b.At(i).Record.Start.Compare(b.At(j).Record.Start) })
			return permuted(ctx, s.Store, b, order)
		}
	}},
	{"recorded is the clock of the batch, also when it runs back", "A5_recorded_never_runs_back", func(s *broken) {
		var clocks sync.Map
		var settled atomic.Pointer[time.Time]
		s.checkpoint = func(ctx context.Context, at usage.AsOf) (usage.State, error) {
			if last := settled.Load(); last == nil || at.Time.After(*last) {
				settled.Store(&at.Time)
			}
			return s.Store.Checkpoint(ctx, at)
		}
		answer(s, func(b *usage.Batch, i int, e *usage.ReceiptEntry) {
			if e.Outcome == usage.Inserted {
				now := b.Now()
				if last := settled.Load(); last != nil && last.After(now) {
					now = last.UTC()
				}
				clocks.Store(b.At(i).Record.Identity(), now)
			}
		})
		each(s, func(_ *usage.Selection, r *usage.Stored) bool {
			if now, ok := clocks.Load(r.Identity()); ok {
				r.Recorded = now.(time.Time)
			}
			return true
		})
	}},
	{"duplicates are said to be booked now", "A5_receipts_tell_the_place", func(s *broken) {
		answer(s, func(b *usage.Batch, _ int, e *usage.ReceiptEntry) {
			if e.Outcome == usage.Duplicate && e.Sequence != 0 {
				e.Recorded = b.Now()
			}
		})
	}},
	{"corrections look for another one before they are booked", "A6_race_of_corrections", func(s *broken) {
		inTwoSteps(s, func(before *usage.Stored, _ *usage.Entry, out *usage.ReceiptEntry) {
			if before != nil && before.CorrectedBy == nil && has(out, usage.CodeAlreadyCorrected) {
				*out = usage.ReceiptEntry{Outcome: usage.Inserted}
			}
		}, target)
	}},
	{"numbers are cut to 34 digits", "A7_every_digit", func(s *broken) {
		each(s, func(_ *usage.Selection, r *usage.Stored) bool {
			var out usage.Values
			for name, n := range r.Values.All() {
				if digits := strings.Trim(n.String(), "-0."); len(digits) > 35 {
					n = aggregate.Int(1)
				}
				out = out.WithNumber(name, n)
			}
			r.Values = out
			return true
		})
	}},
	{"texts are composed", "A7_every_byte", func(s *broken) {
		each(s, func(_ *usage.Selection, r *usage.Stored) bool {
			for name, v := range r.Dimensions.All() {
				r.Dimensions = r.Dimensions.With(name, strings.ReplaceAll(v, "e\u0301", "\u00e9"))
			}
			return true
		})
	}},
	{"ends are cut to the millisecond", "A7_every_microsecond", func(s *broken) {
		each(s, func(_ *usage.Selection, r *usage.Stored) bool {
			if !r.End.IsZero() {
				r.End = r.End.Truncate(time.Millisecond)
			}
			return true
		})
	}},
	{"empty texts are null", "A7_absent_stays_absent", func(s *broken) {
		each(s, func(sel *usage.Selection, r *usage.Stored) bool {
			if sel.Filter != nil {
				return true
			}
			var keep []string
			for name, v := range r.Dimensions.All() {
				if v != "" {
					keep = append(keep, name)
				}
			}
			r.Dimensions = r.Dimensions.Project(keep)
			return true
		})
	}},
	{"only 63 dimensions fit", "A7_widest_record", func(s *broken) {
		each(s, func(_ *usage.Selection, r *usage.Stored) bool {
			if r.Dimensions.Len() > 63 {
				var names []string
				for name := range r.Dimensions.All() {
					names = append(names, name)
				}
				r.Dimensions = r.Dimensions.Project(names[:63])
			}
			return true
		})
	}},
	{"the version of the rules is lost", "A7_verdicts", func(s *broken) {
		each(s, func(_ *usage.Selection, r *usage.Stored) bool { r.Verdict.Version = ""; return true })
	}},
	{"a void is read back with a start", "A7_corrections", func(s *broken) {
		each(s, func(_ *usage.Selection, r *usage.Stored) bool {
			if isVoid(&r.Record) && r.ID == "void" && r.Corrects.ID == "one" {
				r.Start = r.Recorded
			}
			return true
		})
	}},
	{"records of the batch are kept", "A8_nothing_is_kept", func(s *broken) {
		var kept sync.Map
		answer(s, func(b *usage.Batch, i int, e *usage.ReceiptEntry) {
			if e.Outcome == usage.Inserted {
				kept.Store(b.At(i).Record.Identity(), &b.At(i).Record)
			}
		})
		each(s, func(_ *usage.Selection, r *usage.Stored) bool {
			if own, ok := kept.Load(r.Identity()); ok {
				c := r.Corrects
				r.Record = *own.(*usage.Record)
				if r.Corrects != nil {
					r.Corrects = c
				}
			}
			return true
		})
	}},
	{"a cancelled append goes on", "A9_cancelled_append", func(s *broken) {
		s.append = func(ctx context.Context, b *usage.Batch) ([]usage.ReceiptEntry, error) {
			return s.Store.Append(context.WithoutCancel(ctx), b)
		}
	}},
	{"identities are forgotten after a year", "I1_identity_is_for_ever", func(s *broken) {
		answer(s, func(b *usage.Batch, _ int, e *usage.ReceiptEntry) {
			if e.Outcome == usage.Duplicate && e.Sequence != 0 && b.Now().Sub(e.Recorded) > 365*24*time.Hour {
				*e = usage.ReceiptEntry{Outcome: usage.Inserted}
			}
		})
	}},
	{"identities are joined with a dash", "I2_parts_do_not_run_together", func(s *broken) {
		var mu sync.Mutex
		joined := map[string]usage.Identity{}
		s.append = func(ctx context.Context, b *usage.Batch) ([]usage.ReceiptEntry, error) {
			mu.Lock()
			taken := make([]bool, b.Len())
			var rest []usage.Record
			for i, r := range recordsOf(b) {
				key := r.Tenant + "-" + r.Source + "-" + r.ID
				if other, ok := joined[key]; ok && other != r.Identity() {
					taken[i] = true
				} else {
					joined[key] = r.Identity()
					rest = append(rest, r)
				}
			}
			mu.Unlock()
			if len(rest) == b.Len() {
				return s.Store.Append(ctx, b)
			}
			got, err := s.Store.Append(ctx, again(s.Store, b, usage.AppendOptions{}, rest...))
			if err != nil {
				return nil, err
			}
			out := make([]usage.ReceiptEntry, b.Len())
			for i := range out {
				if taken[i] {
					out[i].Outcome = usage.Duplicate
				} else {
					out[i], got = got[0], got[1:]
				}
			}
			return out, nil
		}
	}},
	{"contents are compared without case", "I3_any_difference_is_a_conflict", func(s *broken) {
		answer(s, func(b *usage.Batch, i int, e *usage.ReceiptEntry) {
			r := &b.At(i).Record
			if old := lookup(context.Background(), s.Store, r.Identity()); old != nil && e.Outcome == usage.Conflict &&
				!old.Dimensions.Equal(r.Dimensions) && strings.EqualFold(old.Dimensions.String(), r.Dimensions.String()) {
				e.Outcome = usage.Duplicate
			}
		})
	}},
	{"an empty dimension is as good as none", "I4_absent_empty_and_zero_differ", func(s *broken) {
		answer(s, func(b *usage.Batch, i int, e *usage.ReceiptEntry) {
			r := &b.At(i).Record
			old := lookup(context.Background(), s.Store, r.Identity())
			if old == nil || e.Outcome != usage.Conflict {
				return
			}
			for name, v := range old.Dimensions.All() {
				if v == "" && r.Dimensions.Len() == 0 && name != "" {
					e.Outcome = usage.Duplicate
				}
			}
		})
	}},
	{"a retry is judged by the rules of today", "I7_identity_before_violations", func(s *broken) {
		answer(s, func(b *usage.Batch, i int, e *usage.ReceiptEntry) {
			if entry := b.At(i); len(entry.Violations) > 0 && !entry.Malformed && e.Outcome == usage.Duplicate {
				*e = usage.ReceiptEntry{Outcome: usage.Rejected, Violations: entry.Violations}
			}
		})
	}},
	{"a repeat in a batch wins over the first", "I6_repeats_in_one_batch", func(s *broken) {
		answer(s, func(b *usage.Batch, i int, e *usage.ReceiptEntry) {
			if e.Outcome == usage.Conflict && i > 0 && b.At(i-1).Record.Identity() == b.At(i).Record.Identity() && b.At(i-1).Malformed {
				e.Outcome = usage.Inserted // the mended record behind the broken one
			}
		})
	}},
	{"corrections of one tenant show in another", "K1_targets_know_their_correction", func(s *broken) {
		type by struct {
			tenant string
			c      usage.CorrectedBy
		}
		var corrected sync.Map
		answer(s, func(b *usage.Batch, i int, e *usage.ReceiptEntry) {
			if r := &b.At(i).Record; e.Outcome == usage.Inserted && r.Corrects != nil {
				corrected.Store([2]string{r.Corrects.Source, r.Corrects.ID}, by{r.Tenant, usage.CorrectedBy{Sequence: e.Sequence, Kind: r.Corrects.Kind, Source: r.Source, ID: r.ID}})
			}
		})
		each(s, func(_ *usage.Selection, r *usage.Stored) bool {
			if c, ok := corrected.Load([2]string{r.Source, r.ID}); ok && c.(by).tenant != r.Tenant && r.CorrectedBy == nil {
				own := c.(by).c
				r.CorrectedBy = &own
			}
			return true
		})
	}},
	{"the head of a long chain is not found", "K2_chains_and_heads", func(s *broken) {
		answer(s, func(b *usage.Batch, i int, e *usage.ReceiptEntry) {
			if e.Head != nil {
				next := *e.Head
				for n := 0; n < 5; n++ { // as far as five steps go
					old := lookup(context.Background(), s.Store, target(&b.At(i).Record))
					for k := 0; k < n && old != nil && old.CorrectedBy != nil; k++ {
						old = lookup(context.Background(), s.Store, usage.Identity{Tenant: old.Tenant, Source: old.CorrectedBy.Source, ID: old.CorrectedBy.ID})
					}
					if old == nil || old.CorrectedBy == nil {
						return
					}
					next = usage.Identity{Tenant: old.Tenant, Source: old.CorrectedBy.Source, ID: old.CorrectedBy.ID}
				}
				e.Head = &next
			}
		})
	}},
	{"a void can be replaced", "K3_a_void_cannot_be_replaced", func(s *broken) {
		answer(s, func(_ *usage.Batch, _ int, e *usage.ReceiptEntry) {
			if has(e, usage.CodeReplacesVoid) {
				*e = usage.ReceiptEntry{Outcome: usage.Inserted}
			}
		})
	}},
	{"another tenant's target is told from a missing one", "K4_missing_and_foreign_targets_are_one", func(s *broken) {
		var known sync.Map
		answer(s, func(b *usage.Batch, i int, e *usage.ReceiptEntry) {
			r := &b.At(i).Record
			if e.Outcome == usage.Inserted {
				known.Store([2]string{r.Source, r.ID}, true)
			}
			if r.Corrects != nil && has(e, usage.CodeTarget) {
				if _, ok := known.Load([2]string{r.Corrects.Source, r.Corrects.ID}); ok {
					e.Violations = []usage.Violation{{Code: usage.CodeTarget, Field: "corrects", Message: "the target is another tenant's"}}
				}
			}
		})
	}},
	{"plain records of a batch come first", "K5_targets_in_the_same_batch", func(s *broken) {
		s.append = func(ctx context.Context, b *usage.Batch) ([]usage.ReceiptEntry, error) {
			early := false
			seen := map[usage.Identity]bool{}
			for _, r := range recordsOf(b) {
				seen[r.Identity()] = true
				if r.Corrects != nil && !seen[target(&r)] && slices.ContainsFunc(recordsOf(b), func(o usage.Record) bool { return o.Identity() == target(&r) }) {
					early = true
				}
			}
			if !early {
				return s.Store.Append(ctx, b)
			}
			order := make([]int, b.Len())
			for i := range order {
				order[i] = i
			}
			slices.SortStableFunc(order, func(i, j int) int {
				rank := map[bool]int{true: 1}
				return rank[b.At(i).Record.Corrects != nil] - rank[b.At(j).Record.Corrects != nil]
			})
			return permuted(ctx, s.Store, b, order)
		}
	}},
	{"a retry of a corrected correction is refused", "K6_corrections_have_identities", func(s *broken) {
		answer(s, func(b *usage.Batch, i int, e *usage.ReceiptEntry) {
			if r := &b.At(i).Record; r.Corrects != nil && e.Outcome == usage.Duplicate {
				if old := lookup(context.Background(), s.Store, r.Identity()); old != nil && old.CorrectedBy != nil {
					e.Outcome = usage.Rejected
				}
			}
		})
	}},
	{"the end of a short range is in it", "S1_event_range", func(s *broken) {
		asked(s, func(sel *usage.Selection) {
			if !sel.To.IsZero() && sel.To.After(sel.From) && sel.To.Sub(sel.From) < time.Second {
				sel.To = sel.To.Add(time.Microsecond)
			}
		})
	}},
	{"the end of a recorded range is in it", "S1_recorded_range", func(s *broken) {
		asked(s, func(sel *usage.Selection) {
			if !sel.RecordedTo.IsZero() {
				sel.RecordedTo = sel.RecordedTo.Add(time.Microsecond)
			}
		})
	}},
	{"the sequence that an interval begins after is in it", "S1_sequence_interval", func(s *broken) {
		asked(s, func(sel *usage.Selection) { sel.After = max(sel.After, 1) - 1 })
	}},
	{"meters are compared without case", "S1_meters", func(s *broken) {
		s.scan = func(ctx context.Context, sel usage.Selection) iter.Seq2[*usage.Stored, error] {
			meters := sel.Meters
			sel.Meters = nil
			inner := &broken{Store: s.Store}
			each(inner, func(_ *usage.Selection, r *usage.Stored) bool {
				return meters == nil || !isVoid(&r.Record) && slices.ContainsFunc(meters, func(m string) bool { return strings.EqualFold(m, r.Meter) })
			})
			return inner.scan(ctx, sel)
		}
	}},
	{"series without dimensions are not asked about", "S1_series", func(s *broken) {
		asked(s, func(sel *usage.Selection) {
			if ask := sel.Series; ask != nil {
				sel.Series = func(x *usage.Series) bool { return (x.Dimensions.Len() > 0 || x.Meter == "") && ask(x) }
			}
		})
	}},
	{"no identities are all of them", "S1_identities", func(s *broken) {
		asked(s, func(sel *usage.Selection) {
			if len(sel.Identities) == 0 {
				sel.Identities = nil
			}
		})
	}},
	{"a class beside meters is forgotten", "S1_class", func(s *broken) {
		asked(s, func(sel *usage.Selection) {
			if sel.Meters != nil {
				sel.Class = usage.AnyClass
			}
		})
	}},
	{"a filter that is pushed down drops nulls", "S1_filter_is_a_hint", func(s *broken) {
		each(s, func(sel *usage.Selection, r *usage.Stored) bool {
			_, ok := r.Dimensions.Get("region")
			return ok || sel.Filter == nil || !strings.Contains(sel.Filter.String(), "region ne 'eu'")
		})
	}},
	{"voids come last by start", "S2_by_start", func(s *broken) {
		sorted(s, usage.ByStart, func(a, b *usage.Stored) int {
			rank := map[bool]int{true: 1}
			return rank[isVoid(&a.Record)] - rank[isVoid(&b.Record)]
		})
	}},
	{"texts are ordered without case", "S2_by_bytes", func(s *broken) {
		sorted(s, usage.ByStart, func(a, b *usage.Stored) int {
			fold := func(r *usage.Stored) aggregate.Position {
				p := positionOf(r)
				p.Source, p.ID = strings.ToLower(p.Source), strings.ToLower(p.ID)
				return p
			}
			return fold(a).Compare(fold(b))
		})
	}},
	{"the record to resume after comes again", "S2_resume", func(s *broken) {
		s.scan = func(ctx context.Context, sel usage.Selection) iter.Seq2[*usage.Stored, error] {
			after := sel.Resume
			sel.Resume = nil
			inner := &broken{Store: s.Store}
			each(inner, func(_ *usage.Selection, r *usage.Stored) bool {
				return after == nil || positionOf(r).Compare(*after) >= 0
			})
			return inner.scan(ctx, sel)
		}
	}},
	{"a void of a void shows before it was booked", "S3_as_of_the_mark", func(s *broken) {
		each(s, func(_ *usage.Selection, r *usage.Stored) bool {
			if isVoid(&r.Record) && r.CorrectedBy == nil {
				if now := lookup(context.Background(), s.Store, r.Identity()); now != nil {
					r.CorrectedBy = now.CorrectedBy
				}
			}
			return true
		})
	}},
	{"a scope does not hold for identities", "S4_scope", func(s *broken) {
		asked(s, func(sel *usage.Selection) {
			if sel.Identities != nil {
				sel.Scope = usage.AllTenants()
			}
		})
	}},
	{"a long scan goes on with what was booked meanwhile", "S5_during_a_scan", func(s *broken) {
		s.scan = func(ctx context.Context, sel usage.Selection) iter.Seq2[*usage.Stored, error] {
			if sel.Order != usage.Unordered {
				return s.Store.Scan(ctx, sel)
			}
			return func(yield func(*usage.Stored, error) bool) {
				seen := map[usage.Identity]bool{}
				for r, err := range s.Store.Scan(ctx, sel) {
					if err != nil || !yield(r, err) {
						if err != nil {
							yield(nil, err)
						}
						return
					}
					if seen[r.Identity()] = true; len(seen) == 550 {
						break
					}
				}
				if len(seen) < 550 {
					return
				}
				if now, err := s.Store.Checkpoint(ctx, usage.AsOf{}); err == nil && now.Mark.Sequence > sel.Mark.Sequence {
					sel.Mark = now.Mark
				}
				for r, err := range s.Store.Scan(ctx, sel) {
					if err == nil && seen[r.Identity()] {
						continue
					}
					if !yield(r, err) {
						return
					}
				}
			}
		}
	}},
	{"a record that was given out is given out again", "S6_records_are_fresh", func(s *broken) {
		given := map[usage.Identity]*usage.Stored{}
		s.scan = func(ctx context.Context, sel usage.Selection) iter.Seq2[*usage.Stored, error] {
			return func(yield func(*usage.Stored, error) bool) {
				for r, err := range s.Store.Scan(ctx, sel) {
					if err == nil && sel.Order == usage.ByStart {
						id := r.Identity()
						if given[id] == nil || given[id].CorrectedBy != nil || r.CorrectedBy != nil {
							given[id] = r
						}
						r = given[id]
					}
					if !yield(r, err) {
						return
					}
				}
			}
		}
	}},
	{"a cancelled scan goes on", "S7_cancelled_scan", func(s *broken) {
		s.scan = func(ctx context.Context, sel usage.Selection) iter.Seq2[*usage.Stored, error] {
			return s.Store.Scan(context.WithoutCancel(ctx), sel)
		}
	}},
	{"the mark lags behind", "C1_mark_covers_acknowledged", func(s *broken) {
		var mu sync.Mutex
		var last usage.State
		s.checkpoint = func(ctx context.Context, at usage.AsOf) (usage.State, error) {
			now, err := s.Store.Checkpoint(ctx, at)
			mu.Lock()
			defer mu.Unlock()
			if err != nil || !at.IsZero() || now.Checkpoint != 0 {
				return now, err
			}
			if now.Mark.Sequence == last.Mark.Sequence+1 {
				return last, nil
			}
			last = now
			return now, nil
		}
	}},
	{"an empty book has a mark", "C1_state_of_an_empty_book", func(s *broken) {
		s.checkpoint = func(ctx context.Context, at usage.AsOf) (usage.State, error) {
			now, err := s.Store.Checkpoint(ctx, at)
			if newest, _ := s.Store.Checkpoint(ctx, usage.AsOf{}); newest.Mark.Sequence == 0 {
				now.Recorded = at.Time
			}
			return now, err
		}
	}},
	{"what was recorded at the very instant is in", "C2_as_of_time", func(s *broken) {
		s.checkpoint = func(ctx context.Context, at usage.AsOf) (usage.State, error) {
			if !at.Time.IsZero() {
				at.Time = at.Time.Add(time.Microsecond)
			}
			return s.Store.Checkpoint(ctx, at)
		}
	}},
	{"a sequence to come is taken as the mark", "C2_as_of_sequence", func(s *broken) {
		s.checkpoint = func(ctx context.Context, at usage.AsOf) (usage.State, error) {
			now, err := s.Store.Checkpoint(ctx, at)
			if now.Mark.Sequence > 0 && at.Sequence > now.Mark.Sequence && at.Sequence < 1<<32 {
				now.Mark.Sequence = at.Sequence
			}
			return now, err
		}
	}},
	{"an earlier checkpoint has the newest coverage", "C3_newest_held_checkpoint", func(s *broken) {
		var coverage []byte
		s.commit = func(ctx context.Context, c *usage.Commit) error {
			err := s.Store.Commit(ctx, c)
			if err == nil {
				coverage = slices.Clone(c.Coverage)
			}
			return err
		}
		s.checkpoint = func(ctx context.Context, at usage.AsOf) (usage.State, error) {
			now, err := s.Store.Checkpoint(ctx, at)
			if now.Checkpoint != now.Latest && now.Checkpoint != 0 {
				now.Coverage = coverage
			}
			return now, err
		}
	}},
	{"a row taken away shows at later checkpoints", "R1_rows_valid_at_a_checkpoint", func(s *broken) {
		s.commit = func(ctx context.Context, c *usage.Commit) error {
			if len(c.Put) == 2 && c.Put[0].Records == 0 && c.Put[1].Records > 0 && c.Put[0].Bucket > c.Put[1].Bucket {
				own := *c
				own.Put = c.Put[1:]
				c = &own
			}
			return s.Store.Commit(ctx, c)
		}
	}},
	{"no keys are all of them", "R1_selection", func(s *broken) {
		s.scanRollups = func(ctx context.Context, sel usage.RollupSelection) iter.Seq2[*usage.Rollup, error] {
			if len(sel.Keys) == 0 {
				sel.Keys = nil
			}
			return s.Store.ScanRollups(ctx, sel)
		}
	}},
	{"sums have at most as many digits as numbers", "R1_every_digit", func(s *broken) {
		s.scanRollups = func(ctx context.Context, sel usage.RollupSelection) iter.Seq2[*usage.Rollup, error] {
			return func(yield func(*usage.Rollup, error) bool) {
				for r, err := range s.Store.ScanRollups(ctx, sel) {
					if err == nil {
						own := *r
						own.Values = slices.Clone(r.Values)
						for i := range own.Values {
							if len(own.Values[i].Sum.String()) > 69 {
								own.Values[i].Sum = aggregate.Sum{}
							}
						}
						r = &own
					}
					if !yield(r, err) {
						return
					}
				}
			}
		}
	}},
	{"a checkpoint to come has no rows", "R2_checkpoints_that_are_not_held", func(s *broken) {
		s.scanRollups = func(ctx context.Context, sel usage.RollupSelection) iter.Seq2[*usage.Rollup, error] {
			now, err := s.Store.Checkpoint(ctx, usage.AsOf{})
			if err == nil && sel.Checkpoint > now.Latest {
				return func(func(*usage.Rollup, error) bool) {}
			}
			return s.Store.ScanRollups(ctx, sel)
		}
	}},
	{"a scope does not hold for rollups by key", "R3_scope_of_rollups", func(s *broken) {
		s.scanRollups = func(ctx context.Context, sel usage.RollupSelection) iter.Seq2[*usage.Rollup, error] {
			if sel.Keys != nil {
				sel.Scope = usage.AllTenants()
			}
			return s.Store.ScanRollups(ctx, sel)
		}
	}},
	{"a commit that comes too late is taken for done", "M1_compare_and_swap", func(s *broken) {
		s.commit = func(ctx context.Context, c *usage.Commit) error {
			err := s.Store.Commit(ctx, c)
			if errors.Is(err, usage.ErrCheckpoint) {
				return nil
			}
			return err
		}
	}},
	{"taking away what is not there is a fault", "M2_replace_and_take_away", func(s *broken) {
		s.commit = func(ctx context.Context, c *usage.Commit) error {
			for _, r := range c.Put {
				if r.Records == 0 && c.From == 0 {
					return usage.ErrInvalid
				}
			}
			return s.Store.Commit(ctx, c)
		}
	}},
	{"nothing is held", "M3_hold", func(s *broken) {
		s.commit = func(ctx context.Context, c *usage.Commit) error {
			if c.Hold == 30*time.Minute {
				own := *c
				own.Hold = time.Nanosecond
				c = &own
			}
			return s.Store.Commit(ctx, c)
		}
	}},
	{"closing twice is an error", "X1_closing_twice", func(s *broken) {
		var closed bool
		s.close = func() error {
			if closed {
				return usage.ErrClosed
			}
			closed = true
			return s.Store.Close()
		}
	}},
	{"nothing is settled", "C4_settled_past_never_grows", unsettled},
	{"what is settled is forgotten when an earlier moment is asked about", "C4_settled_past_never_grows", func(s *broken) {
		unsettled(s)
		var mu sync.Mutex
		var floor time.Time
		inner := s.checkpoint
		s.checkpoint = func(ctx context.Context, at usage.AsOf) (usage.State, error) {
			mu.Lock()
			defer mu.Unlock()
			if !at.Time.IsZero() {
				floor = at.Time
			}
			return inner(ctx, at)
		}
		s.append = func(ctx context.Context, b *usage.Batch) ([]usage.ReceiptEntry, error) {
			mu.Lock()
			defer mu.Unlock()
			if b.Now().Before(floor) {
				b = delayed(s.Store, b, floor)
			}
			return s.Store.Append(ctx, b)
		}
	}},
	{"a closed store still has a state", "X2_calls_after_close", func(s *broken) {
		s.checkpoint = func(ctx context.Context, at usage.AsOf) (usage.State, error) {
			now, err := s.Store.Checkpoint(ctx, at)
			if errors.Is(err, usage.ErrClosed) {
				return usage.State{}, nil
			}
			return now, err
		}
	}},
	{"a range of daily rollups begins a day late", "W2_with_partial_rollups", func(s *broken) {
		s.scanRollups = func(ctx context.Context, sel usage.RollupSelection) iter.Seq2[*usage.Rollup, error] {
			if sel.Level == aggregate.Day && sel.Keys == nil && sel.From != 0 {
				sel.From += int64(24 * time.Hour / time.Microsecond)
			}
			return s.Store.ScanRollups(ctx, sel)
		}
	}},
}

// failsExactly runs the cases over a store and wants one of them to fail, with
// its rule in the message.
func failsExactly(t *testing.T, fails string, open func(testing.TB) usage.Store, opts *storetest.Options) {
	t.Helper()
	got := storetest.Failures(t, true, open, opts)
	names := slices.Sorted(maps.Keys(got))
	require.Equal(t, []string{fails}, names, "%v", got)
	require.Contains(t, got[fails][0], storetest.Rules()[fails])
}

// A kit is worth what it finds: every broken store fails exactly the case of the
// rule that it breaks, with the rule in its message, and no other.
func TestBrokenStores(t *testing.T) {
	t.Parallel()
	rules := storetest.Rules()
	seen := map[string]bool{}
	check := failsExactly
	for _, f := range faults {
		require.Contains(t, rules, f.fails)
		seen[f.fails] = true
		t.Run(f.fails+"/"+f.name, func(t *testing.T) {
			t.Parallel()
			check(t, f.fails, func(testing.TB) usage.Store {
				s := &broken{Store: memstore.New(nil)}
				f.spoil(s)
				return s
			}, &storetest.Options{NotDurable: true})
		})
	}
	require.GreaterOrEqual(t, len(seen), 12)
	for _, f := range []struct {
		name, fails string
		store       brokenGroup
	}{
		{"the greatest of three values is lost", "G1_groups_add_up", brokenGroup{row: func(r *usage.GroupRead, row *usage.GroupRow) {
			if len(r.Values) == 3 {
				row.Values[0].Max = row.Values[0].Min
			}
		}}},
		{"a condition is left out where it is one of two", "G4_groups_of_some", brokenGroup{read: func(r *usage.GroupRead) {
			if r.Where != nil {
				r.Where = r.Where.Conjuncts()[0]
			}
		}}},
		{"rollups are always the newest", "G5_groups_of_rollups", brokenGroup{rollups: func(sel *usage.RollupSelection) {
			if sel.Checkpoint == 1 {
				sel.Checkpoint = 2
			}
		}}},
		{"windows are those of UTC", "G2_groups_of_windows", brokenGroup{read: func(r *usage.GroupRead) { r.Window.Location = nil }}},
	} {
		t.Run(f.fails+"/"+f.name, func(t *testing.T) {
			t.Parallel()
			check(t, f.fails, func(testing.TB) usage.Store {
				s := f.store
				s.Store = memstore.New(nil)
				return &s
			}, &storetest.Options{NotDurable: true})
		})
	}
	t.Run("A4_acknowledged_is_kept/every record is forgotten", func(t *testing.T) {
		t.Parallel()
		check(t, "A4_acknowledged_is_kept", func(testing.TB) usage.Store { return memstore.New(nil) }, &storetest.Options{
			Reopen: func(_ testing.TB, s usage.Store) usage.Store {
				return twoStores{memstore.New(nil), s.(usage.TaskStore)}
			},
		})
	})
	t.Run("A4_acknowledged_is_kept/durability is neither shown nor given up", func(t *testing.T) {
		t.Parallel()
		check(t, "A4_acknowledged_is_kept", func(testing.TB) usage.Store { return memstore.New(nil) }, nil)
	})
}

// The other side of it: stores without a fault fail nothing. The workloads over
// them run in TestRunOverMemstore and TestRunOverAList.
func TestGoodStores(t *testing.T) {
	t.Parallel()
	reopened := func(_ testing.TB, s usage.Store) usage.Store { return s }
	require.Empty(t, storetest.Failures(t, false, func(testing.TB) usage.Store { return memstore.New(nil) }, &storetest.Options{Reopen: reopened}))
	require.Empty(t, storetest.Failures(t, false, func(testing.TB) usage.Store { return &broken{Store: memstore.New(nil)} }, &storetest.Options{NotDurable: true}))
}
