package postgresstore

import (
	"context"
	"sync"

	"github.com/usagebook/usagebook/usage"
)

// assumption is what the store thinks the state of the book is. It thinks so after
// it was told the same twice running, and no more once it knows that the book has
// moved: else every other question would be asked in vain where somebody keeps
// writing. A newer checkpoint that another process has committed is no reason to
// doubt an answer, and is not looked for each time; so the store asks again after
// some questions.
type assumption struct {
	mu    sync.Mutex // guards what follows
	last  usage.State
	still bool
	times int // it was assumed since somebody was told
}

// mostAssumed is how often a state is assumed until Checkpoint is asked again.
const mostAssumed = 100

// told takes in what a Checkpoint without AsOf has found.
func (a *assumption) told(st *usage.State) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.times = 0
	a.still = st.Mark.Sequence != 0 && a.last.Mark == st.Mark && a.last.Checkpoint == st.Checkpoint && a.last.Latest == st.Latest
	if !a.still {
		a.last = *st
	}
}

// moved takes in that the book is not, or will not be, as it was.
func (a *assumption) moved() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.still = false
}

// Assume returns the state that Checkpoint has found twice running, while nothing
// is known to have changed since. See [usage.Assumer].
func (s *Store) Assume() (usage.State, bool) {
	s.assumed.mu.Lock()
	defer s.assumed.mu.Unlock()
	if !s.assumed.still || s.assumed.times == mostAssumed || s.closed.Load() {
		return usage.State{}, false
	}
	s.assumed.times++
	return s.assumed.last, true
}

// confirmed writes the condition that the book is in a state: nothing came after
// its mark, and nothing waits to be settled. A snapshot that meets it shows no batch
// above the mark.
func (s *Store) confirmed(b *builder, st *usage.State) {
	b.add("(SELECT through FROM ", s.schema, ".state WHERE one) = ", b.arg(int64(st.Mark.Sequence)),
		" AND NOT EXISTS (SELECT FROM ", s.schema, ".batches WHERE late AND through = ", unsettled, ")")
}

// confirm makes sure that the book is in a state, in a step of its own. nil needs
// no confirmation.
func (s *Store) confirm(ctx context.Context, st *usage.State) error {
	if st == nil {
		return nil
	}
	var b builder
	b.add("SELECT ")
	s.confirmed(&b, st)
	is := false
	err := s.read(ctx, b.String(), b.args, func(c [][]byte) error {
		is = c[0] != nil && c[0][0] != 0
		return nil
	})
	if err == nil && !is {
		s.assumed.moved()
		err = usage.ErrMoved
	}
	return err
}
