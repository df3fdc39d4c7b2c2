package memstore_test

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
)

// model is a store of the most obvious kind, a list that every call goes
// through from end to end, to hold the real one against.
type model struct {
	mu          sync.RWMutex
	closed      bool
	records     []*usage.Stored // CorrectedBy is kept apart
	index       map[usage.Identity]int
	corrected   map[int]int // row -> row of its correction
	checkpoints []modelCheckpoint
	rollups     map[modelKey][]version
	floor       time.Time // nothing is booked before it any more
}

type modelCheckpoint struct {
	at       uint64
	coverage []byte
	replaced time.Time // when the next one took over
}

type modelKey struct {
	projection    string
	level         aggregate.Unit
	bucket        int64
	tenant, meter string
	dims          string
	verdict       usage.VerdictClass
}

type version struct {
	from, until uint64 // until 0: current
	row         *usage.Rollup
}

func newModel() *model {
	return &model{index: map[usage.Identity]int{}, corrected: map[int]int{}, rollups: map[modelKey][]version{}}
}

type modelLedger struct{ s *model }

func (l modelLedger) Find(e *usage.Entry) (found, same bool, at uint64, recorded time.Time) {
	i, ok := l.s.index[e.Record.Identity()]
	if !ok {
		return false, false, 0, time.Time{}
	}
	r := l.s.records[i]
	return true, usage.SameContent(&e.Record, &r.Record), r.Sequence, r.Recorded
}

func (l modelLedger) Target(id usage.Identity) (bool, usage.Target) {
	i, ok := l.s.index[id]
	if !ok {
		return false, usage.Target{}
	}
	r := l.s.records[i]
	t := usage.Target{Void: r.Corrects != nil && r.Corrects.Kind == usage.Void}
	if k, ok := l.s.corrected[i]; ok {
		by := l.s.records[k].Identity()
		t.CorrectedBy = &by
	}
	return true, t
}

func (s *model) Append(ctx context.Context, b *usage.Batch) ([]usage.ReceiptEntry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, usage.ErrClosed
	}
	out := b.Judge(modelLedger{s})
	now := b.Now()
	if now.Before(s.floor) {
		now = s.floor
	}
	for i := range out {
		if out[i].Outcome != usage.Inserted {
			continue
		}
		e := b.At(i)
		row := len(s.records)
		r := &usage.Stored{Record: e.Record, Sequence: uint64(row + 1), Recorded: now, Verdict: e.Verdict}
		if c := e.Record.Corrects; c != nil {
			own := *c
			r.Corrects = &own
			s.corrected[s.index[usage.Identity{Tenant: r.Tenant, Source: c.Source, ID: c.ID}]] = row
		}
		s.records = append(s.records, r)
		s.floor = now
		s.index[r.Identity()] = row
		out[i].Sequence, out[i].Recorded = r.Sequence, r.Recorded
	}
	return out, nil
}

func (s *model) Scan(ctx context.Context, sel usage.Selection) iter.Seq2[*usage.Stored, error] {
	return func(yield func(*usage.Stored, error) bool) {
		found, err := s.selected(ctx, sel)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, r := range found {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (s *model) selected(ctx context.Context, sel usage.Selection) ([]*usage.Stored, error) {
	if err := sel.Scope.Check(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, usage.ErrClosed
	}
	var out []*usage.Stored
	wanted := map[usage.Identity]bool{}
	for _, id := range sel.Identities {
		wanted[id] = true
	}
	through := sel.Mark.Sequence
	if sel.Through != 0 {
		through = min(through, sel.Through)
	}
	for i, r := range s.records {
		if i%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		by, corrected := s.corrected[i]
		corrected = corrected && uint64(by+1) <= sel.Mark.Sequence
		chained := corrected || r.Corrects != nil
		switch {
		case r.Sequence <= sel.After || r.Sequence > through,
			!sel.Scope.Holds(r.Tenant),
			!sel.From.IsZero() && r.Start.Before(sel.From),
			!sel.To.IsZero() && !r.Start.Before(sel.To),
			!sel.RecordedFrom.IsZero() && r.Recorded.Before(sel.RecordedFrom),
			!sel.RecordedTo.IsZero() && !r.Recorded.Before(sel.RecordedTo),
			sel.Meters != nil && (r.Meter == "" || !slices.Contains(sel.Meters, r.Meter)),
			sel.Identities != nil && !wanted[r.Identity()],
			sel.Class == usage.Plain && chained,
			sel.Class == usage.Chained && !chained,
			sel.Class == usage.Corrections && r.Corrects == nil:
			continue
		case sel.Series != nil && !sel.Series(&usage.Series{Tenant: r.Tenant, Meter: r.Meter, Dimensions: r.Dimensions}):
			continue
		case sel.Resume != nil && sel.Order == usage.ByStart && position(r).Compare(*sel.Resume) <= 0:
			continue
		}
		c := *r
		if r.Corrects != nil {
			own := *r.Corrects
			c.Corrects = &own
		}
		if corrected {
			k := s.records[by]
			c.CorrectedBy = &usage.CorrectedBy{Sequence: k.Sequence, Kind: k.Corrects.Kind, Source: k.Source, ID: k.ID}
		}
		out = append(out, &c)
	}
	if sel.Order == usage.ByStart {
		slices.SortFunc(out, func(a, b *usage.Stored) int { return position(a).Compare(position(b)) })
	}
	return out, nil
}

func position(r *usage.Stored) aggregate.Position {
	return aggregate.Position{Start: r.Start.UnixMicro(), Source: r.Source, ID: r.ID, Tenant: r.Tenant}
}

func (s *model) Checkpoint(ctx context.Context, at usage.AsOf) (usage.State, error) {
	if err := ctx.Err(); err != nil {
		return usage.State{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return usage.State{}, usage.ErrClosed
	}
	if at.Time.After(s.floor) {
		s.floor = at.Time
	}
	n := len(s.records)
	if at.Sequence != 0 && at.Sequence < uint64(n) {
		n = int(at.Sequence)
	}
	for !at.Time.IsZero() && n > 0 && !s.records[n-1].Recorded.Before(at.Time) {
		n--
	}
	st := usage.State{Mark: usage.Mark{Sequence: uint64(n)}, Latest: s.latest()}
	if n > 0 {
		st.Recorded = s.records[n-1].Recorded
	}
	for _, c := range s.checkpoints {
		if c.at <= uint64(n) {
			st.Checkpoint, st.Coverage = c.at, slices.Clone(c.coverage)
		}
	}
	return st, nil
}

func (s *model) latest() uint64 {
	if n := len(s.checkpoints); n > 0 {
		return s.checkpoints[n-1].at
	}
	return 0
}

func keyOf(k *usage.RollupKey) modelKey {
	return modelKey{k.Projection, k.Level, k.Bucket, k.Tenant, k.Meter, string(k.Dimensions.AppendKey(nil)), k.Verdict}
}

func (s *model) Commit(ctx context.Context, c *usage.Commit) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return usage.ErrClosed
	case s.latest() != c.From:
		return fmt.Errorf("model: commit: %w: it is at %d, not at %d", usage.ErrCheckpoint, s.latest(), c.From)
	case c.To <= c.From:
		return fmt.Errorf("model: commit: %w: from %d to %d does not go on", usage.ErrInvalid, c.From, c.To)
	}
	if n := len(s.checkpoints); n > 0 {
		s.checkpoints[n-1].replaced = c.Now
	}
	s.checkpoints = append(s.checkpoints, modelCheckpoint{at: c.To, coverage: slices.Clone(c.Coverage)})
	for len(s.checkpoints) > 1 && !c.Now.Before(s.checkpoints[0].replaced.Add(c.Hold)) {
		s.checkpoints = s.checkpoints[1:]
	}
	for _, p := range c.Put {
		k := keyOf(&p.RollupKey)
		list := s.rollups[k]
		if n := len(list); n > 0 && list[n-1].until == 0 {
			list[n-1].until = c.To
		}
		if p.Records != 0 {
			own := *p
			own.Values = slices.Clone(p.Values)
			list = append(list, version{from: c.To, row: &own})
		}
		s.rollups[k] = slices.DeleteFunc(list, func(v version) bool { return v.until != 0 && v.until <= s.checkpoints[0].at })
	}
	return nil
}

func (s *model) ScanRollups(ctx context.Context, sel usage.RollupSelection) iter.Seq2[*usage.Rollup, error] {
	return func(yield func(*usage.Rollup, error) bool) {
		found, err := s.selectedRollups(ctx, sel)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, r := range found {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (s *model) selectedRollups(ctx context.Context, sel usage.RollupSelection) ([]*usage.Rollup, error) {
	if err := sel.Scope.Check(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, usage.ErrClosed
	}
	if sel.Checkpoint == 0 {
		return nil, nil
	}
	if _, ok := slices.BinarySearchFunc(s.checkpoints, sel.Checkpoint, func(c modelCheckpoint, at uint64) int { return cmp.Compare(c.at, at) }); !ok {
		return nil, fmt.Errorf("model: rollups: %w: checkpoint %d", usage.ErrHeld, sel.Checkpoint)
	}
	wanted := map[modelKey]bool{}
	for i := range sel.Keys {
		wanted[keyOf(&sel.Keys[i])] = true
	}
	var out []*usage.Rollup
	for k, list := range s.rollups {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if k.projection != sel.Projection || k.level != sel.Level || !sel.Scope.Holds(k.tenant) ||
			(sel.From != 0 || sel.To != 0) && (k.bucket < sel.From || k.bucket >= sel.To) ||
			sel.Meters != nil && !slices.Contains(sel.Meters, k.meter) ||
			sel.Keys != nil && !wanted[k] {
			continue
		}
		for _, v := range list {
			if v.from <= sel.Checkpoint && (v.until == 0 || sel.Checkpoint < v.until) {
				out = append(out, v.row)
			}
		}
	}
	return out, nil
}

func (s *model) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.records, s.index, s.corrected, s.rollups, s.checkpoints = nil, nil, nil, nil, nil
	return nil
}
