package memstore

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/usagebook/usagebook/usage"
)

var _ usage.TaskStore = (*Store)(nil)

// tasks are the jobs and executions of a store.
type tasks struct {
	mu     sync.Mutex // guards what follows; taken alone
	closed bool
	byID   map[taskID]*task
	byKey  map[taskKey]*task
	owned  map[taskOwner][]*task // from the oldest to the newest
	due    map[string]*queue     // by kind: those that are not finished
	expiry queue                 // those that expire
	bytes  atomic.Int64          // about what they take
}

type taskID struct{ kind, id string }

type taskOwner struct{ kind, owner string }

type taskKey struct {
	taskOwner
	key string
}

// task is a stored task and its places in the queues.
type task struct {
	usage.Task
	places [2]int // in due and in expiry, from 1; 0: in neither
}

// queue is a heap of tasks by one of their instants.
type queue struct {
	which int // of task.places
	list  []*task
}

func (q *queue) at(i int) time.Time {
	if q.which == 0 {
		return q.list[i].Due
	}
	return q.list[i].Expires
}

func (q *queue) Len() int           { return len(q.list) }
func (q *queue) Less(i, j int) bool { return q.at(i).Before(q.at(j)) }

func (q *queue) Swap(i, j int) {
	q.list[i], q.list[j] = q.list[j], q.list[i]
	q.list[i].places[q.which], q.list[j].places[q.which] = i+1, j+1
}

func (q *queue) Push(x any) {
	t := x.(*task)
	q.list = append(q.list, t)
	t.places[q.which] = len(q.list)
}

func (q *queue) Pop() any {
	n := len(q.list) - 1
	t := q.list[n]
	q.list[n] = nil
	q.list = q.list[:n]
	t.places[q.which] = 0
	return t
}

// sort puts a task where its instant wants it; a zero one wants it nowhere.
func (q *queue) sort(t *task, at time.Time) {
	switch i := t.places[q.which] - 1; {
	case i < 0 && !at.IsZero():
		heap.Push(q, t)
	case i >= 0 && at.IsZero():
		heap.Remove(q, i)
	case i >= 0:
		heap.Fix(q, i)
	}
}

// first returns the task with the earliest instant if that has come, else nil.
func (q *queue) first(now time.Time) *task {
	if q == nil || len(q.list) == 0 || q.at(0).After(now) {
		return nil
	}
	return q.list[0]
}

func newTasks() tasks {
	return tasks{
		byID: make(map[taskID]*task), byKey: make(map[taskKey]*task),
		owned: make(map[taskOwner][]*task), due: make(map[string]*queue),
		expiry: queue{which: 1},
	}
}

// enter takes the lock for a call that can go on.
func (s *tasks) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return usage.ErrClosed
	}
	return nil
}

func (s *tasks) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.bytes.Store(0)
	s.byID, s.byKey, s.owned, s.due, s.expiry.list = nil, nil, nil, nil, nil
}

func keyOf(t *usage.Task) taskKey { return taskKey{taskOwner{t.Kind, t.Owner}, t.Key} }

// PutTask writes a task; see [usage.TaskStore] for the rules.
func (s *Store) PutTask(ctx context.Context, t *usage.Task) error {
	s.mu.RLock()
	full := s.room(taskBytes(t))
	s.mu.RUnlock()
	m := &s.tasks
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	at := m.byID[taskID{t.Kind, t.ID}]
	switch {
	case t.Version == 0 && (at != nil || t.Key != "" && m.byKey[keyOf(t)] != nil):
		return usage.ErrTaskExists
	case t.Version != 0 && (at == nil || at.Version != t.Version):
		return usage.ErrTaskChanged
	case full != nil && (at == nil || len(t.Head) > len(at.Head) || len(t.Body) > len(at.Body)):
		return fmt.Errorf("memstore: task: %w", full)
	}
	if at == nil {
		at = &task{Task: usage.Task{Kind: t.Kind, ID: t.ID, Owner: t.Owner, Key: t.Key, Created: micro(t.Created)}}
		m.insert(at)
	}
	before := taskBytes(&at.Task)
	at.Version++
	at.Attempts = t.Attempts
	at.Head = bytes.Clone(t.Head)
	if t.Body != nil {
		at.Body = bytes.Clone(t.Body)
	}
	m.bytes.Add(taskBytes(&at.Task) - before)
	m.move(at, micro(t.Due), micro(t.Expires))
	t.Version = at.Version
	return nil
}

func (s *tasks) insert(t *task) {
	s.byID[taskID{t.Kind, t.ID}] = t
	s.bytes.Add(taskBytes(&t.Task))
	if t.Key != "" {
		s.byKey[keyOf(&t.Task)] = t
	}
	of := taskOwner{t.Kind, t.Owner}
	i, _ := slices.BinarySearchFunc(s.owned[of], t, compareTasks)
	s.owned[of] = slices.Insert(s.owned[of], i, t)
	if s.due[t.Kind] == nil {
		s.due[t.Kind] = new(queue)
	}
}

func (s *tasks) move(t *task, due, expires time.Time) {
	t.Due, t.Expires = due, expires
	s.due[t.Kind].sort(t, due)
	s.expiry.sort(t, expires)
}

func compareTasks(a, b *task) int {
	return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
}

// copyTask returns a copy that shares nothing.
func copyTask(t *task) *usage.Task {
	out := t.Task
	out.Head, out.Body = bytes.Clone(t.Head), bytes.Clone(t.Body)
	return &out
}

// Task returns a task; see [usage.TaskStore] for the rules.
func (s *Store) Task(ctx context.Context, kind, id string) (*usage.Task, error) {
	m := &s.tasks
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	t := m.byID[taskID{kind, id}]
	if t == nil {
		return nil, usage.ErrNotFound
	}
	return copyTask(t), nil
}

// Tasks lists tasks; see [usage.TaskStore] for the rules.
func (s *Store) Tasks(ctx context.Context, sel usage.TaskSelection) ([]*usage.Task, error) {
	m := &s.tasks
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	of := taskOwner{sel.Kind, sel.Owner}
	list := m.owned[of]
	if sel.Key != "" {
		list = nil
		if t := m.byKey[taskKey{of, sel.Key}]; t != nil {
			list = []*task{t}
		}
	}
	list = list[since(list, sel.From):]
	if !sel.To.IsZero() {
		list = list[:since(list, sel.To)]
	}
	var out []*usage.Task
	skip := sel.Skip
	if !sel.Pending {
		list = list[:max(len(list)-skip, 0)]
		skip = 0
	}
	for _, t := range slices.Backward(list) {
		switch {
		case sel.Limit > 0 && len(out) == sel.Limit:
			return out, nil
		case sel.Pending && t.Due.IsZero():
		case skip > 0:
			skip--
		default:
			own := t.Task
			own.Head, own.Body = bytes.Clone(t.Head), nil
			out = append(out, &own)
		}
	}
	return out, nil
}

// since returns the place of the first task that was not created before an
// instant.
func since(list []*task, at time.Time) int {
	if at.IsZero() {
		return 0
	}
	i, _ := slices.BinarySearchFunc(list, at, func(t *task, at time.Time) int {
		if t.Created.Before(at) {
			return -1
		}
		return 1
	})
	return i
}

// ClaimTask gives a task to a worker; see [usage.TaskStore] for the rules.
func (s *Store) ClaimTask(ctx context.Context, kind string, now time.Time, lease time.Duration) (*usage.Task, error) {
	m := &s.tasks
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	t := m.due[kind].first(now)
	if t == nil {
		return nil, nil
	}
	t.Attempts++
	t.Version++
	m.move(t, micro(now.Add(lease)), t.Expires)
	return copyTask(t), nil
}

// DeleteTasks deletes what has expired; see [usage.TaskStore] for the rules.
func (s *Store) DeleteTasks(ctx context.Context, now time.Time) (int, error) {
	m := &s.tasks
	if err := m.enter(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	n := 0
	for t := m.expiry.first(now); t != nil; t = m.expiry.first(now) {
		m.remove(t)
		n++
	}
	return n, nil
}

func (s *tasks) remove(t *task) {
	s.move(t, time.Time{}, time.Time{})
	delete(s.byID, taskID{t.Kind, t.ID})
	s.bytes.Add(-taskBytes(&t.Task))
	if t.Key != "" {
		delete(s.byKey, keyOf(&t.Task))
	}
	of := taskOwner{t.Kind, t.Owner}
	list := s.owned[of]
	if i, ok := slices.BinarySearchFunc(list, t, compareTasks); ok {
		list = slices.Delete(list, i, i+1)
	}
	if s.owned[of] = list; len(list) == 0 {
		delete(s.owned, of)
	}
}

// micro cuts an instant to the microsecond, in UTC.
func micro(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.UnixMicro(t.UnixMicro()).UTC()
}
