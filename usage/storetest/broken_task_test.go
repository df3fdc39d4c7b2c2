package storetest_test

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
	"github.com/usagebook/usagebook/usage/storetest"
)

// twoStores keeps records in one place and tasks in another.
type twoStores struct {
	usage.Store
	usage.TaskStore
}

// brokenTasks is a store whose keeping of tasks has a fault: each hook that is
// set stands in for a method.
type brokenTasks struct {
	*memstore.Store
	put    func(ctx context.Context, t *usage.Task) error
	task   func(ctx context.Context, kind, id string) (*usage.Task, error)
	list   func(ctx context.Context, sel usage.TaskSelection) ([]*usage.Task, error)
	claim  func(ctx context.Context, kind string, now time.Time, lease time.Duration) (*usage.Task, error)
	delete func(ctx context.Context, now time.Time) (int, error)
}

func (s *brokenTasks) PutTask(ctx context.Context, t *usage.Task) error {
	if s.put != nil {
		return s.put(ctx, t)
	}
	return s.Store.PutTask(ctx, t)
}

func (s *brokenTasks) Task(ctx context.Context, kind, id string) (*usage.Task, error) {
	if s.task != nil {
		return s.task(ctx, kind, id)
	}
	return s.Store.Task(ctx, kind, id)
}

func (s *brokenTasks) Tasks(ctx context.Context, sel usage.TaskSelection) ([]*usage.Task, error) {
	if s.list != nil {
		return s.list(ctx, sel)
	}
	return s.Store.Tasks(ctx, sel)
}

func (s *brokenTasks) ClaimTask(ctx context.Context, kind string, now time.Time, lease time.Duration) (*usage.Task, error) {
	if s.claim != nil {
		return s.claim(ctx, kind, now, lease)
	}
	return s.Store.ClaimTask(ctx, kind, now, lease)
}

func (s *brokenTasks) DeleteTasks(ctx context.Context, now time.Time) (int, error) {
	if s.delete != nil {
		return s.delete(ctx, now)
	}
	return s.Store.DeleteTasks(ctx, now)
}

type taskName struct{ kind, id string }

var taskFaults = []struct {
	name  string
	fails string
	spoil func(s *brokenTasks)
}{
	{"a key belongs to its first owner alone", "T1_inserts_once", func(s *brokenTasks) {
		var mu sync.Mutex
		owners := map[taskName]string{}
		s.put = func(ctx context.Context, t *usage.Task) error {
			mu.Lock()
			at := taskName{t.Kind, t.Key}
			owner, taken := owners[at]
			if t.Key != "" && !taken {
				owners[at] = t.Owner
			}
			mu.Unlock()
			if t.Version == 0 && taken && owner != t.Owner {
				return usage.ErrTaskExists
			}
			return s.Store.PutTask(ctx, t)
		}
	}},
	{"an insert replaces what is there", "T1_inserts_once", func(s *brokenTasks) {
		s.put = func(ctx context.Context, t *usage.Task) error {
			err := s.Store.PutTask(ctx, t)
			if errors.Is(err, usage.ErrTaskExists) && t.Owner == "somebody else" {
				now, _ := s.Store.Task(ctx, t.Kind, t.ID)
				now.Body = t.Body
				_ = s.Store.PutTask(ctx, now)
			}
			return err
		}
	}},
	{"a task changes its owner", "T2_compare_and_swap", func(s *brokenTasks) {
		var owners sync.Map
		s.put = func(ctx context.Context, t *usage.Task) error {
			err := s.Store.PutTask(ctx, t)
			if err == nil {
				owners.Store(taskName{t.Kind, t.ID}, t.Owner)
			}
			return err
		}
		s.task = func(ctx context.Context, kind, id string) (*usage.Task, error) {
			t, err := s.Store.Task(ctx, kind, id)
			if owner, ok := owners.Load(taskName{kind, id}); ok && err == nil {
				t.Owner = owner.(string)
			}
			return t, err
		}
	}},
	{"the version is looked at before the write", "T3_races_of_writes", func(s *brokenTasks) {
		s.put = func(ctx context.Context, t *usage.Task) error {
			now, err := s.Store.Task(ctx, t.Kind, t.ID)
			if t.Version == 0 || err != nil || now.Version != t.Version {
				return s.Store.PutTask(ctx, t)
			}
			for range 20 {
				runtime.Gosched()
			}
			for {
				if err = s.Store.PutTask(ctx, t); !errors.Is(err, usage.ErrTaskChanged) {
					return err
				}
				now, _ := s.Store.Task(ctx, t.Kind, t.ID)
				t.Version = now.Version
			}
		}
	}},
	{"keys are looked at before the insert", "T3_races_of_writes", func(s *brokenTasks) {
		var mu sync.Mutex
		keys := map[usage.TaskSelection]bool{}
		s.put = func(ctx context.Context, t *usage.Task) error {
			if t.Version > 0 || t.Key == "" {
				return s.Store.PutTask(ctx, t)
			}
			at := usage.TaskSelection{Kind: t.Kind, Owner: t.Owner, Key: t.Key}
			mu.Lock()
			taken := keys[at]
			mu.Unlock()
			for range 20 {
				runtime.Gosched()
			}
			err := s.Store.PutTask(ctx, t)
			mu.Lock()
			keys[at] = true
			mu.Unlock()
			if errors.Is(err, usage.ErrTaskExists) && !taken {
				return nil
			}
			return err
		}
	}},
	{"a write that was refused counts", "T4_versions", func(s *brokenTasks) {
		s.put = func(ctx context.Context, t *usage.Task) error {
			err := s.Store.PutTask(ctx, t)
			if errors.Is(err, usage.ErrTaskChanged) {
				t.Version++
			}
			return err
		}
	}},
	{"a nil body takes the stored one away", "T5_nil_bodies", func(s *brokenTasks) {
		s.put = func(ctx context.Context, t *usage.Task) error {
			own := *t
			if own.Body == nil {
				own.Body = []byte{}
			}
			err := s.Store.PutTask(ctx, &own)
			t.Version = own.Version
			return err
		}
	}},
	{"an empty body leaves the stored one", "T5_nil_bodies", func(s *brokenTasks) {
		s.put = func(ctx context.Context, t *usage.Task) error {
			own := *t
			if len(own.Body) == 0 {
				own.Body = nil
			}
			err := s.Store.PutTask(ctx, &own)
			t.Version = own.Version
			return err
		}
	}},
	{"instants are cut to the second", "T6_every_byte_of_a_task", func(s *brokenTasks) {
		s.task = func(ctx context.Context, kind, id string) (*usage.Task, error) {
			t, err := s.Store.Task(ctx, kind, id)
			if err == nil {
				t.Due = t.Due.Truncate(time.Second)
			}
			return t, err
		}
	}},
	{"two readers get one head", "T6_every_byte_of_a_task", func(s *brokenTasks) {
		var heads sync.Map
		s.task = func(ctx context.Context, kind, id string) (*usage.Task, error) {
			t, err := s.Store.Task(ctx, kind, id)
			if err == nil && t.Version == 1 {
				head, _ := heads.LoadOrStore(taskName{kind, id}, t.Head)
				t.Head = head.([]byte)
			}
			return t, err
		}
	}},
	{"kinds are not told apart", "T8_one_task", func(s *brokenTasks) {
		s.task = func(ctx context.Context, kind, id string) (*usage.Task, error) {
			t, err := s.Store.Task(ctx, kind, id)
			if errors.Is(err, usage.ErrNotFound) {
				return s.Store.Task(ctx, map[string]string{"job": "execution", "execution": "job"}[kind], id)
			}
			return t, err
		}
	}},
	{"lists carry bodies", "T9_lists_of_tasks", func(s *brokenTasks) {
		s.list = func(ctx context.Context, sel usage.TaskSelection) ([]*usage.Task, error) {
			list, err := s.Store.Tasks(ctx, sel)
			for i := range list {
				list[i], _ = s.Store.Task(ctx, sel.Kind, list[i].ID)
			}
			return list, err
		}
	}},
	{"tasks of one instant are listed by rising id", "T9_lists_of_tasks", func(s *brokenTasks) {
		s.list = func(ctx context.Context, sel usage.TaskSelection) ([]*usage.Task, error) {
			list, err := s.Store.Tasks(ctx, sel)
			slices.SortFunc(list, func(a, b *usage.Task) int { return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID)) })
			return list, err
		}
	}},
	{"a range ends with its end", "T9_lists_of_tasks", func(s *brokenTasks) {
		s.list = func(ctx context.Context, sel usage.TaskSelection) ([]*usage.Task, error) {
			if !sel.To.IsZero() {
				sel.To = sel.To.Add(time.Microsecond)
			}
			return s.Store.Tasks(ctx, sel)
		}
	}},
	{"who finds nothing gets another kind", "T10_claims_what_is_due", func(s *brokenTasks) {
		s.claim = func(ctx context.Context, kind string, now time.Time, lease time.Duration) (*usage.Task, error) {
			t, err := s.Store.ClaimTask(ctx, kind, now, lease)
			if t == nil && err == nil {
				return s.Store.ClaimTask(ctx, map[string]string{"job": "execution", "execution": "job"}[kind], now, lease)
			}
			return t, err
		}
	}},
	{"attempts are not counted", "T11_what_a_claim_changes", func(s *brokenTasks) {
		s.claim = func(ctx context.Context, kind string, now time.Time, lease time.Duration) (*usage.Task, error) {
			t, err := s.Store.ClaimTask(ctx, kind, now, lease)
			if t != nil {
				t.Attempts--
			}
			return t, err
		}
	}},
	{"what is due is looked at before the claim", "T12_races_of_claims", func(s *brokenTasks) {
		s.claim = func(ctx context.Context, kind string, now time.Time, lease time.Duration) (*usage.Task, error) {
			var first *usage.Task
			list, _ := s.Store.Tasks(ctx, usage.TaskSelection{Kind: kind, Owner: "operator", Pending: true})
			for _, t := range list {
				if !t.Due.After(now) && (first == nil || t.Due.Before(first.Due)) {
					first = t
				}
			}
			for range 20 {
				runtime.Gosched()
			}
			t, err := s.Store.ClaimTask(ctx, kind, now, lease)
			if t != nil && first != nil && t.ID != first.ID {
				// Somebody else has it already, which this store cannot know.
				return s.Store.Task(ctx, kind, first.ID)
			}
			return t, err
		}
	}},
	{"what expires now is kept", "T13_deletes_what_has_expired", func(s *brokenTasks) {
		s.delete = func(ctx context.Context, now time.Time) (int, error) {
			return s.Store.DeleteTasks(ctx, now.Add(-time.Microsecond))
		}
	}},
	{"a cancelled claim goes on", "T14_cancelled_task_calls", func(s *brokenTasks) {
		s.claim = func(ctx context.Context, kind string, now time.Time, lease time.Duration) (*usage.Task, error) {
			return s.Store.ClaimTask(context.WithoutCancel(ctx), kind, now, lease)
		}
	}},
}

// Every store that breaks a rule about tasks fails exactly its case.
func TestBrokenTaskStores(t *testing.T) {
	t.Parallel()
	for _, f := range taskFaults {
		t.Run(f.fails+"/"+f.name, func(t *testing.T) {
			t.Parallel()
			failsExactly(t, f.fails, func(testing.TB) usage.Store {
				s := &brokenTasks{Store: memstore.New(nil)}
				f.spoil(s)
				return s
			}, &storetest.Options{NotDurable: true})
		})
	}
	t.Run("T7_tasks_are_kept/every task is forgotten", func(t *testing.T) {
		t.Parallel()
		failsExactly(t, "T7_tasks_are_kept", func(testing.TB) usage.Store { return memstore.New(nil) }, &storetest.Options{
			Reopen: func(_ testing.TB, s usage.Store) usage.Store { return twoStores{s, memstore.New(nil)} },
		})
	})
}
