package storetest_test

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/usagebook/usagebook/usage"
)

// taskList is the plainest way to keep tasks: a list, walked for everything.
type taskList []usage.Task

var _ usage.TaskStore = (*list)(nil)

func (l taskList) find(kind, id string) *usage.Task {
	for i := range l {
		if l[i].Kind == kind && l[i].ID == id {
			return &l[i]
		}
	}
	return nil
}

func ownTask(t *usage.Task) *usage.Task {
	own := *t
	own.Head, own.Body = bytes.Clone(t.Head), bytes.Clone(t.Body)
	return &own
}

func (s *list) PutTask(ctx context.Context, t *usage.Task) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	at := s.tasks.find(t.Kind, t.ID)
	if t.Version == 0 {
		if at != nil || t.Key != "" && slices.ContainsFunc(s.tasks, func(o usage.Task) bool { return o.Kind == t.Kind && o.Owner == t.Owner && o.Key == t.Key }) {
			return usage.ErrTaskExists
		}
		t.Version = 1
		s.tasks = append(s.tasks, *ownTask(t))
		return nil
	}
	if at == nil || at.Version != t.Version {
		return usage.ErrTaskChanged
	}
	t.Version++
	next := ownTask(t)
	next.Owner, next.Key, next.Created = at.Owner, at.Key, at.Created
	if t.Body == nil {
		next.Body = at.Body
	}
	*at = *next
	return nil
}

func (s *list) Task(ctx context.Context, kind, id string) (*usage.Task, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	t := s.tasks.find(kind, id)
	if t == nil {
		return nil, usage.ErrNotFound
	}
	return ownTask(t), nil
}

func (s *list) Tasks(ctx context.Context, sel usage.TaskSelection) ([]*usage.Task, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var out []*usage.Task
	for i := range s.tasks {
		t := &s.tasks[i]
		if t.Kind == sel.Kind && t.Owner == sel.Owner && (sel.Key == "" || t.Key == sel.Key) && (!sel.Pending || !t.Due.IsZero()) &&
			(sel.From.IsZero() || !t.Created.Before(sel.From)) && (sel.To.IsZero() || t.Created.Before(sel.To)) {
			own := ownTask(t)
			own.Body = nil
			out = append(out, own)
		}
	}
	slices.SortFunc(out, func(a, b *usage.Task) int { return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(b.ID, a.ID)) })
	out = out[min(sel.Skip, len(out)):]
	if sel.Limit > 0 {
		out = out[:min(sel.Limit, len(out))]
	}
	return out, nil
}

func (s *list) ClaimTask(ctx context.Context, kind string, now time.Time, lease time.Duration) (*usage.Task, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var first *usage.Task
	for i := range s.tasks {
		t := &s.tasks[i]
		if t.Kind == kind && !t.Due.IsZero() && !t.Due.After(now) && (first == nil || t.Due.Before(first.Due)) {
			first = t
		}
	}
	if first == nil {
		return nil, nil
	}
	first.Due = now.Add(lease)
	first.Attempts++
	first.Version++
	return ownTask(first), nil
}

func (s *list) DeleteTasks(ctx context.Context, now time.Time) (int, error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	n := len(s.tasks)
	s.tasks = slices.DeleteFunc(s.tasks, func(t usage.Task) bool { return !t.Expires.IsZero() && !t.Expires.After(now) })
	return n - len(s.tasks), nil
}
