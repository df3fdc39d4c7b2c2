package usage_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

// asking is a store that remembers about which instants it was asked.
type asking struct {
	usage.Store
	mu    sync.Mutex
	asked []time.Time
	wait  bool // Checkpoint with a time waits for the context
}

func (s *asking) Checkpoint(ctx context.Context, at usage.AsOf) (usage.State, error) {
	s.mu.Lock()
	if !at.Time.IsZero() {
		s.asked = append(s.asked, at.Time)
	}
	s.mu.Unlock()
	if s.wait && !at.Time.IsZero() {
		<-ctx.Done()
		return usage.State{}, ctx.Err()
	}
	return s.Store.Checkpoint(ctx, at)
}

func (s *asking) taken() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.asked
	s.asked = nil
	return out
}

// TestWhatIsSettled: the Book settles what a query needs settled, and never
// what its clock has not reached.
func TestWhatIsSettled(t *testing.T) {
	t.Parallel()
	s := &asking{Store: memstore.New(nil)}
	book, err := usage.New(s, &usage.Options{Now: func() time.Time { return noon }})
	require.NoError(t, err)
	mustAppend(t, book, plainRecord("1"), plainRecord("2"))
	day := 24 * time.Hour
	ended := usage.Query{On: usage.RecordedTime, From: noon.Add(-day), To: noon.Add(-time.Hour)}
	change := func(f func(q *usage.Query)) usage.Query {
		q := ended
		f(&q)
		return q
	}
	page, err := book.Query(t.Context(), usage.ForTenant("acme"), usage.Query{PageSize: 1})
	require.NoError(t, err)
	require.NotEmpty(t, page.Next)
	for name, c := range map[string]struct {
		query usage.Query
		want  []time.Time
	}{
		"event time":            {usage.Query{From: noon.Add(-day), To: noon.Add(-time.Hour)}, nil},
		"ended":                 {ended, []time.Time{ended.To}},
		"ended, grouped":        {change(func(q *usage.Query) { q.GroupBy = []string{"meter"} }), []time.Time{ended.To}},
		"ends now":              {change(func(q *usage.Query) { q.To = noon }), []time.Time{noon}},
		"goes on":               {change(func(q *usage.Query) { q.To = noon.Add(time.Microsecond) }), nil},
		"ends within this tick": {change(func(q *usage.Query) { q.To = noon.Add(time.Nanosecond) }), nil},
		"no end":                {change(func(q *usage.Query) { q.To = time.Time{} }), nil},
		"as of a time":          {usage.Query{AsOf: usage.AsOf{Time: noon.Add(-time.Minute)}}, []time.Time{noon.Add(-time.Minute)}},
		"as of a time, ended":   {change(func(q *usage.Query) { q.AsOf.Time = noon.Add(-time.Minute) }), []time.Time{noon.Add(-time.Minute)}},
		"as of the future":      {usage.Query{AsOf: usage.AsOf{Time: noon.Add(day)}}, nil},
		"as of the future and ended": {change(func(q *usage.Query) { q.AsOf.Time = noon.Add(day) }),
			[]time.Time{ended.To}},
		"as of a sequence": {change(func(q *usage.Query) { q.AsOf.Sequence = 1 }), nil},
		"a later page":     {usage.Query{Token: page.Next}, nil},
	} {
		s.taken()
		_, err := book.Query(t.Context(), usage.ForTenant("acme"), c.query)
		require.NoError(t, err, name)
		require.Equal(t, c.want, s.taken(), name)
		_, err = book.Plan(t.Context(), usage.ForTenant("acme"), c.query)
		require.NoError(t, err, name)
		require.Equal(t, c.want, s.taken(), name)
		for _, err := range book.Rows(t.Context(), usage.ForTenant("acme"), c.query) {
			require.NoError(t, err, name)
		}
		require.Equal(t, c.want, s.taken(), name)
	}
}

func TestSettled(t *testing.T) {
	t.Parallel()
	now := noon
	s := &asking{Store: memstore.New(nil)}
	book, err := usage.New(s, &usage.Options{Now: func() time.Time { return now }})
	require.NoError(t, err)
	inFlight := func(id string) *usage.Batch {
		batch, err := book.Prepare(usage.AppendOptions{}, plainRecord(id))
		require.NoError(t, err)
		return batch
	}
	one, two, three := inFlight("1"), inFlight("2"), inFlight("3")
	now = noon.Add(time.Hour)

	recorded := func(batch *usage.Batch) time.Time {
		out, err := s.Append(t.Context(), batch)
		require.NoError(t, err)
		return out[0].Recorded
	}
	require.Equal(t, noon, recorded(one), "nothing was settled")
	require.NoError(t, book.Settled(t.Context(), time.Time{}))
	require.NoError(t, book.Settled(t.Context(), noon.Add(time.Minute+time.Nanosecond)))
	require.Equal(t, noon.Add(time.Minute+time.Microsecond), recorded(two))
	require.NoError(t, book.Settled(t.Context(), now))
	require.NoError(t, book.Settled(t.Context(), noon), "an earlier moment takes nothing back")
	require.Equal(t, now, recorded(three))

	s.taken()
	require.ErrorIs(t, book.Settled(t.Context(), now.Add(time.Nanosecond)), usage.ErrInvalid)
	require.Empty(t, s.taken(), "the store is not asked about the future")

	// A range that ended holds what it held, and the next one has the rest.
	ids := func(from, to time.Time) (out []string) {
		for row, err := range book.Rows(t.Context(), usage.ForTenant("acme"), usage.Query{On: usage.RecordedTime, From: from, To: to}) {
			require.NoError(t, err)
			out = append(out, row.Record.ID)
		}
		return out
	}
	late := make([]*usage.Batch, 3)
	for i := range late {
		late[i] = inFlight(fmt.Sprint("late", i))
	}
	now = now.Add(time.Hour)
	require.Equal(t, []string{"1", "2", "3"}, ids(time.Time{}, now))
	for i, batch := range late {
		require.Equal(t, now, recorded(batch))
		now = now.Add(time.Minute)
		require.Equal(t, []string{fmt.Sprint("late", i)}, ids(now.Add(-time.Minute), now))
	}
	require.Equal(t, []string{"1", "2", "3"}, ids(time.Time{}, now.Add(-3*time.Minute)))

	// The caller decides how long to wait.
	s.wait = true
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	require.ErrorIs(t, book.Settled(ctx, noon), context.DeadlineExceeded)
	_, err = book.Query(ctx, usage.ForTenant("acme"), usage.Query{On: usage.RecordedTime, To: noon})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
