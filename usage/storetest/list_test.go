package storetest_test

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
)

// list is the plainest store there is: a list of records, read from the
// beginning for everything. It shares nothing with memstore, so that the kit is
// seen to hold the contract and not one way to keep it.
type list struct {
	mu          sync.Mutex
	closed      bool
	records     []usage.Stored
	ids         map[usage.Identity]int
	corrected   map[usage.Identity]usage.Identity
	checkpoints []checkpoint
	rollups     []version
	tasks       taskList
	floor       time.Time // nothing is booked before it any more
}

type checkpoint struct {
	at       uint64
	coverage []byte
	replaced time.Time // zero for the newest
}

// version is a rollup row that is valid at the checkpoints from <= c < to.
type version struct {
	row      usage.Rollup
	key      string
	from, to uint64 // to 0: still current
}

var _ usage.Store = (*list)(nil)

func newList() *list {
	return &list{ids: map[usage.Identity]int{}, corrected: map[usage.Identity]usage.Identity{}}
}

func (s *list) enter(ctx context.Context) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return usage.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		s.mu.Unlock()
		return err
	}
	return nil
}

// Find and Target implement usage.Ledger.
func (s *list) Find(e *usage.Entry) (found, same bool, at uint64, recorded time.Time) {
	i, ok := s.ids[e.Record.Identity()]
	if !ok {
		return false, false, 0, time.Time{}
	}
	r := &s.records[i]
	return true, usage.SameContent(&r.Record, &e.Record), r.Sequence, r.Recorded
}

func (s *list) Target(id usage.Identity) (bool, usage.Target) {
	i, ok := s.ids[id]
	if !ok {
		return false, usage.Target{}
	}
	t := usage.Target{Void: s.records[i].Corrects != nil && s.records[i].Corrects.Kind == usage.Void}
	if by, ok := s.corrected[id]; ok {
		t.CorrectedBy = &by
	}
	return true, t
}

func (s *list) Append(ctx context.Context, b *usage.Batch) ([]usage.ReceiptEntry, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	out := b.Judge(s)
	recorded := b.Now()
	if s.floor.After(recorded) {
		recorded = s.floor
	}
	for i := range out {
		if out[i].Outcome != usage.Inserted {
			continue
		}
		r := usage.Stored{Record: b.At(i).Record, Sequence: uint64(len(s.records) + 1), Recorded: recorded, Verdict: out[i].Verdict}
		if r.Corrects != nil {
			own := *r.Corrects
			r.Corrects = &own
			s.corrected[usage.Identity{Tenant: r.Tenant, Source: own.Source, ID: own.ID}] = r.Identity()
		}
		s.ids[r.Identity()] = len(s.records)
		s.records = append(s.records, r)
		s.floor = recorded
		out[i].Sequence, out[i].Recorded = r.Sequence, recorded
	}
	return out, nil
}

func (s *list) Scan(ctx context.Context, sel usage.Selection) iter.Seq2[*usage.Stored, error] {
	return func(yield func(*usage.Stored, error) bool) {
		if err := s.enter(ctx); err != nil {
			yield(nil, err)
			return
		}
		var found []*usage.Stored
		for i := range s.records {
			if r := s.as(i, sel.Mark.Sequence); r != nil && selects(&sel, r) {
				found = append(found, r)
			}
		}
		s.mu.Unlock()
		if sel.Order == usage.ByStart {
			slices.SortFunc(found, func(a, b *usage.Stored) int { return positionOf(a).Compare(positionOf(b)) })
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

// as returns a copy of a record as of a mark, or nil.
func (s *list) as(i int, mark uint64) *usage.Stored {
	r := s.records[i]
	if r.Sequence > mark {
		return nil
	}
	if r.Corrects != nil {
		own := *r.Corrects
		r.Corrects = &own
	}
	if by, ok := s.corrected[r.Identity()]; ok {
		if c := &s.records[s.ids[by]]; c.Sequence <= mark {
			r.CorrectedBy = &usage.CorrectedBy{Sequence: c.Sequence, Kind: c.Corrects.Kind, Source: c.Source, ID: c.ID}
		}
	}
	return &r
}

func positionOf(r *usage.Stored) aggregate.Position {
	return aggregate.Position{Start: r.Start.UnixMicro(), Source: r.Source, ID: r.ID, Tenant: r.Tenant}
}

func selects(sel *usage.Selection, r *usage.Stored) bool {
	void := r.Corrects != nil && r.Corrects.Kind == usage.Void
	switch {
	case !sel.Scope.Holds(r.Tenant),
		r.Sequence <= sel.After,
		sel.Through != 0 && r.Sequence > sel.Through,
		!sel.From.IsZero() && r.Start.Before(sel.From),
		!sel.To.IsZero() && !r.Start.Before(sel.To),
		!sel.RecordedFrom.IsZero() && r.Recorded.Before(sel.RecordedFrom),
		!sel.RecordedTo.IsZero() && !r.Recorded.Before(sel.RecordedTo),
		sel.Meters != nil && (void || !slices.Contains(sel.Meters, r.Meter)),
		sel.Identities != nil && !slices.Contains(sel.Identities, r.Identity()),
		sel.Class == usage.Plain && (r.Corrects != nil || r.CorrectedBy != nil),
		sel.Class == usage.Chained && r.Corrects == nil && r.CorrectedBy == nil,
		sel.Class == usage.Corrections && r.Corrects == nil,
		sel.Resume != nil && positionOf(r).Compare(*sel.Resume) <= 0,
		sel.Series != nil && !sel.Series(&usage.Series{Tenant: r.Tenant, Meter: r.Meter, Dimensions: r.Dimensions}):
		return false
	}
	return true
}

func (s *list) ScanRollups(ctx context.Context, sel usage.RollupSelection) iter.Seq2[*usage.Rollup, error] {
	return func(yield func(*usage.Rollup, error) bool) {
		if err := s.enter(ctx); err != nil {
			yield(nil, err)
			return
		}
		held := slices.ContainsFunc(s.checkpoints, func(c checkpoint) bool { return c.at == sel.Checkpoint })
		var found []usage.Rollup
		for _, v := range s.rollups {
			r := &v.row
			if v.from <= sel.Checkpoint && (v.to == 0 || sel.Checkpoint < v.to) &&
				sel.Scope.Holds(r.Tenant) && r.Projection == sel.Projection && r.Level == sel.Level &&
				(sel.From == 0 && sel.To == 0 || sel.From <= r.Bucket && r.Bucket < sel.To) &&
				(sel.Meters == nil || slices.Contains(sel.Meters, r.Meter)) &&
				(sel.Keys == nil || slices.ContainsFunc(sel.Keys, func(k usage.RollupKey) bool { return string(k.AppendKey(nil)) == v.key })) {
				row := v.row
				row.Values = slices.Clone(row.Values)
				found = append(found, row)
			}
		}
		s.mu.Unlock()
		if !held {
			yield(nil, usage.ErrHeld)
			return
		}
		for i := range found {
			if !yield(&found[i], nil) {
				return
			}
		}
	}
}

func (s *list) Checkpoint(ctx context.Context, at usage.AsOf) (usage.State, error) {
	if err := s.enter(ctx); err != nil {
		return usage.State{}, err
	}
	defer s.mu.Unlock()
	if at.Time.After(s.floor) {
		s.floor = at.Time.UTC()
	}
	var out usage.State
	for i := range s.records {
		r := &s.records[i]
		if (at.Time.IsZero() || r.Recorded.Before(at.Time)) && (at.Sequence == 0 || r.Sequence <= at.Sequence) {
			out.Mark.Sequence, out.Recorded = r.Sequence, r.Recorded
		}
	}
	for _, c := range s.checkpoints {
		if c.at <= out.Mark.Sequence {
			out.Checkpoint, out.Coverage = c.at, slices.Clone(c.coverage)
		}
		out.Latest = c.at
	}
	return out, nil
}

func (s *list) Commit(ctx context.Context, c *usage.Commit) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	var latest uint64
	if n := len(s.checkpoints); n > 0 {
		latest = s.checkpoints[n-1].at
		if latest == c.From {
			s.checkpoints[n-1].replaced = c.Now
		}
	}
	if latest != c.From {
		return usage.ErrCheckpoint
	}
	for _, row := range c.Put {
		key := string(row.RollupKey.AppendKey(nil))
		if i := slices.IndexFunc(s.rollups, func(v version) bool { return v.to == 0 && v.key == key }); i >= 0 {
			s.rollups[i].to = c.To
		}
		if row.Records > 0 {
			own := *row
			own.Values = slices.Clone(row.Values)
			s.rollups = append(s.rollups, version{row: own, key: key, from: c.To})
		}
	}
	s.checkpoints = append(s.checkpoints, checkpoint{at: c.To, coverage: slices.Clone(c.Coverage)})
	s.checkpoints = slices.DeleteFunc(s.checkpoints, func(p checkpoint) bool {
		return !p.replaced.IsZero() && c.Now.Sub(p.replaced) >= c.Hold
	})
	oldest := s.checkpoints[0].at
	s.rollups = slices.DeleteFunc(s.rollups, func(v version) bool { return v.to != 0 && v.to <= oldest })
	return nil
}

func (s *list) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}
