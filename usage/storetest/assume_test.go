package storetest_test

import (
	"context"
	"iter"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
	"github.com/usagebook/usagebook/usage/storetest"
)

// assuming is a store that assumes: by default what it told last, and confirms in
// one step because nobody else has its lock. The hooks are faults.
type assuming struct {
	*memstore.Store
	mu   *sync.Mutex
	told []usage.State
	n    int
	// stale: it assumes states of long ago as well, which is lawful and of no use.
	stale bool
	// assumes changes what it assumes; believes says what need not be confirmed;
	// first has rows yielded before they are confirmed; thins leaves out rows of
	// reads that confirm.
	assumes         func(st *usage.State)
	believesGroup   bool
	believesRollups bool
	first           bool
	thins           bool
}

func (s *assuming) Checkpoint(ctx context.Context, at usage.AsOf) (usage.State, error) {
	st, err := s.Store.Checkpoint(ctx, at)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && at.IsZero() && st.Mark.Sequence != 0 {
		s.told = append(s.told, st)
	}
	return st, err
}

func (s *assuming) Assume() (usage.State, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.told)
	if n == 0 {
		return usage.State{}, false
	}
	st := s.told[n-1]
	if s.n++; s.stale && s.n%3 == 0 {
		st = s.told[s.n%n]
	}
	if s.assumes != nil {
		s.assumes(&st)
	}
	return st, true
}

func (s *assuming) moved(ctx context.Context, st *usage.State) error {
	if st == nil {
		return nil
	}
	now, err := s.Store.Checkpoint(ctx, usage.AsOf{})
	if err == nil && now.Mark != st.Mark {
		err = usage.ErrMoved
	}
	return err
}

func (s *assuming) Group(ctx context.Context, r usage.GroupRead) iter.Seq2[*usage.GroupRow, error] {
	return func(yield func(*usage.GroupRow, error) bool) {
		err := s.moved(ctx, r.Confirm)
		if err != nil && !s.first && !s.believesGroup {
			yield(nil, err)
			return
		}
		n := 0
		for row, err := range s.Store.Group(ctx, r) {
			if n++; r.Confirm != nil && s.thins && n == 1 {
				continue
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
		if err != nil && s.first {
			yield(nil, err)
		}
	}
}

func (s *assuming) ScanRollups(ctx context.Context, sel usage.RollupSelection) iter.Seq2[*usage.Rollup, error] {
	return func(yield func(*usage.Rollup, error) bool) {
		if err := s.moved(ctx, sel.Confirm); err != nil && !s.believesRollups {
			yield(nil, err)
			return
		}
		for row, err := range s.Store.ScanRollups(ctx, sel) {
			if !yield(row, err) {
				return
			}
		}
	}
}

func TestRunOverAnAssumer(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(testing.TB) usage.Store {
		return &assuming{Store: memstore.New(nil), mu: new(sync.Mutex), stale: true}
	}, &storetest.Options{NotDurable: true})
}

func TestBrokenAssumers(t *testing.T) {
	t.Parallel()
	for _, f := range []struct {
		name, fails string
		store       assuming
	}{
		{"it assumes what is to come", "P1_assumed_state_is_of_the_past", assuming{assumes: func(st *usage.State) { st.Mark.Sequence++ }}},
		{"a confirmed group is left out", "P2_confirmed_read", assuming{thins: true}},
		{"groups confirm nothing", "P3_read_that_cannot_confirm", assuming{believesGroup: true}},
		{"rollups confirm nothing", "P3_read_that_cannot_confirm", assuming{believesRollups: true}},
		{"rows come before the confirmation", "P3_read_that_cannot_confirm", assuming{first: true}},
	} {
		t.Run(f.fails+"/"+f.name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, storetest.Rules(), f.fails)
			failsExactly(t, f.fails, func(testing.TB) usage.Store {
				s := f.store
				s.Store, s.mu = memstore.New(nil), new(sync.Mutex)
				return &s
			}, &storetest.Options{NotDurable: true})
		})
	}
}
