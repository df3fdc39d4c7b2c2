package memstore

import (
	"context"
	"slices"
	"time"

	"github.com/usagebook/usagebook/usage"
)

// Checkpoint tells how far the store is; see [usage.Store] for the rules. With
// both a time and a sequence the earlier of the two moments is meant.
func (s *Store) Checkpoint(ctx context.Context, at usage.AsOf) (usage.State, error) {
	if !at.Time.IsZero() {
		if err := s.settle(ctx, ceilMicro(at.Time)); err != nil {
			return usage.State{}, err
		}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.alive(ctx); err != nil {
		return usage.State{}, err
	}
	v := s.writerView()
	n := s.rows
	if at.Sequence != 0 {
		n = uint32(min(at.Sequence, uint64(n)))
	}
	if !at.Time.IsZero() {
		n = min(n, v.bookedBefore(ceilMicro(at.Time)))
	}
	state := usage.State{Mark: usage.Mark{Sequence: uint64(n)}}
	if n > 0 {
		state.Recorded = time.UnixMicro(v.recorded(n - 1)).UTC()
	}
	r := &s.rollups
	r.mu.RLock()
	defer r.mu.RUnlock()
	state.Latest = r.latest()
	for i := len(r.held) - 1; i >= 0; i-- {
		if h := &r.held[i]; h.at <= uint64(n) {
			state.Checkpoint, state.Coverage = h.at, slices.Clone(h.coverage)
			break
		}
	}
	return state, nil
}

// settle has no row booked before an instant any more.
func (s *Store) settle(ctx context.Context, us int64) error {
	s.mu.RLock()
	err, settled := s.alive(ctx), us <= s.floor
	s.mu.RUnlock()
	if err != nil || settled {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.floor = max(s.floor, us)
	return nil
}
