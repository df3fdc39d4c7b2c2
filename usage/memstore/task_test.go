package memstore_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

// taskModel keeps tasks in a list that is walked for everything.
type taskModel []*usage.Task

func (m *taskModel) put(t *usage.Task) error {
	i := slices.IndexFunc(*m, func(o *usage.Task) bool { return o.Kind == t.Kind && o.ID == t.ID })
	next := *t
	next.Version++
	switch {
	case t.Version == 0 && (i >= 0 || t.Key != "" && slices.ContainsFunc(*m, func(o *usage.Task) bool { return o.Kind == t.Kind && o.Owner == t.Owner && o.Key == t.Key })):
		return usage.ErrTaskExists
	case t.Version == 0:
		*m = append(*m, &next)
		return nil
	case i < 0 || (*m)[i].Version != t.Version:
		return usage.ErrTaskChanged
	}
	was := (*m)[i]
	next.Owner, next.Key, next.Created = was.Owner, was.Key, was.Created
	if t.Body == nil {
		next.Body = was.Body
	}
	(*m)[i] = &next
	return nil
}

func (m taskModel) list(sel usage.TaskSelection) (out []*usage.Task) {
	for _, t := range m {
		if t.Kind == sel.Kind && t.Owner == sel.Owner && (sel.Key == "" || t.Key == sel.Key) && (!sel.Pending || !t.Due.IsZero()) &&
			(sel.From.IsZero() || !t.Created.Before(sel.From)) && (sel.To.IsZero() || t.Created.Before(sel.To)) {
			bare := *t
			bare.Body = nil
			out = append(out, &bare)
		}
	}
	slices.SortFunc(out, func(a, b *usage.Task) int { return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(b.ID, a.ID)) })
	out = out[min(sel.Skip, len(out)):]
	if sel.Limit > 0 {
		out = out[:min(sel.Limit, len(out))]
	}
	return out
}

// TestTasksEqualTheModel: whatever is put, claimed and deleted in whatever
// order, the store says what a plain list says.
func TestTasksEqualTheModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 99))
			store, ctx := memstore.New(nil), t.Context()
			var model taskModel
			now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			one := func(list ...string) string { return list[rng.IntN(len(list))] }
			unique := 0
			// soon is an instant about now that no other task has.
			soon := func() time.Time {
				unique++
				return now.Add(time.Duration(rng.IntN(120)-40)*time.Second + time.Duration(unique)*time.Microsecond)
			}
			show := func(list ...*usage.Task) (out string) {
				for _, t := range list {
					out += fmt.Sprintf("%+v\n", *t)
				}
				return out
			}
			seen := map[string]int{}
			for range 6000 {
				now = now.Add(time.Duration(rng.IntN(3)) * time.Second)
				switch rng.IntN(8) {
				case 0, 1, 2: // put a new one, or one that is there, or a stale one
					task := &usage.Task{Kind: one("job", "execution"), ID: fmt.Sprint(rng.IntN(40)), Owner: one("a", "b"), Created: now.Truncate(5 * time.Second), Head: []byte(one("h", "i"))}
					if rng.IntN(2) == 0 {
						task.Key = fmt.Sprint(rng.IntN(12))
					}
					if len(model) > 0 && rng.IntN(3) > 0 {
						was := model[rng.IntN(len(model))]
						task.Kind, task.ID = was.Kind, was.ID
						task.Version = was.Version - uint64(rng.IntN(5)/4)
					}
					if rng.IntN(3) > 0 {
						task.Due = soon()
					}
					if rng.IntN(3) == 0 {
						task.Expires = soon().Add(time.Minute)
					}
					task.Body = [][]byte{nil, {}, []byte("body")}[rng.IntN(3)]
					own := *task
					want := model.put(task)
					got := store.PutTask(ctx, &own)
					require.True(t, errors.Is(got, want), "%v, want %v", got, want)
					seen[fmt.Sprint("put ", want)]++
				case 3: // claim
					kind := one("job", "execution")
					var first *usage.Task
					for _, t := range model {
						if t.Kind == kind && !t.Due.IsZero() && !t.Due.After(now) && (first == nil || t.Due.Before(first.Due)) {
							first = t
						}
					}
					got, err := store.ClaimTask(ctx, kind, now, 10*time.Second)
					require.NoError(t, err)
					require.Equal(t, first == nil, got == nil)
					if first != nil {
						unique++
						first.Attempts++
						first.Version++
						first.Due = now.Add(10 * time.Second)
						require.Equal(t, show(first), show(got))
						// Two claimed at one instant would tie the next time.
						first.Due = now.Add(10*time.Second + time.Duration(unique)*time.Microsecond)
						got.Due, got.Body = first.Due, nil
						require.NoError(t, store.PutTask(ctx, got))
						first.Version++
						seen["claimed"]++
					}
				case 4: // delete
					if rng.IntN(20) > 0 {
						continue
					}
					before := len(model)
					model = slices.DeleteFunc(model, func(t *usage.Task) bool { return !t.Expires.IsZero() && !t.Expires.After(now) })
					n, err := store.DeleteTasks(ctx, now)
					require.NoError(t, err)
					require.Equal(t, before-len(model), n)
					seen["deleted"] += n
				case 5: // read one
					kind, id := one("job", "execution"), fmt.Sprint(rng.IntN(40))
					i := slices.IndexFunc(model, func(t *usage.Task) bool { return t.Kind == kind && t.ID == id })
					got, err := store.Task(ctx, kind, id)
					if i < 0 {
						require.ErrorIs(t, err, usage.ErrNotFound)
						continue
					}
					require.NoError(t, err)
					require.Equal(t, show(model[i]), show(got))
				default: // list
					sel := usage.TaskSelection{Kind: one("job", "execution"), Owner: one("a", "b"), Skip: max(0, rng.IntN(8)-4), Limit: max(0, rng.IntN(9)-3), Pending: rng.IntN(3) == 0}
					if rng.IntN(4) == 0 {
						sel.Key = fmt.Sprint(rng.IntN(12))
					}
					if rng.IntN(3) == 0 {
						sel.From = now.Add(-time.Duration(rng.IntN(600)) * time.Second)
					}
					if rng.IntN(3) == 0 {
						sel.To = now.Add(-time.Duration(rng.IntN(300)) * time.Second)
					}
					want := model.list(sel)
					got, err := store.Tasks(ctx, sel)
					require.NoError(t, err)
					require.Equal(t, show(want...), show(got...), "%+v", sel)
					seen["listed"] += len(got)
				}
			}
			for _, what := range []string{"put <nil>", "put task exists already", "put task changed", "claimed", "deleted", "listed"} {
				require.Greater(t, seen[what], 20, "%s: the test proves nothing: %v", what, seen)
			}
		})
	}
}

func BenchmarkTasks(b *testing.B) {
	store, ctx := memstore.New(nil), context.Background()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	body := bytes.Repeat([]byte("x"), 60<<10) // a job of 200 usages
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		at := now.Add(time.Duration(i) * time.Millisecond)
		task := &usage.Task{Kind: "job", ID: fmt.Sprint(i), Owner: "op", Key: fmt.Sprint(i), Created: at, Due: at, Expires: at.Add(time.Second), Body: body}
		if err := store.PutTask(ctx, task); err != nil {
			b.Fatal(err)
		}
		got, err := store.ClaimTask(ctx, "job", at, time.Minute)
		if err != nil || got == nil {
			b.Fatal(got, err)
		}
		got.Due, got.Body = time.Time{}, []byte{}
		if err := store.PutTask(ctx, got); err != nil {
			b.Fatal(err)
		}
		if _, err := store.DeleteTasks(ctx, at); err != nil {
			b.Fatal(err)
		}
	}
}
