package usage

import (
	"context"
	"time"
)

// Task is a piece of durable work that is kept beside the records: a job or an
// execution. Its Head and Body are the Book's; stores do not look into them.
//
// All instants are UTC, whole microseconds.
type Task struct {
	// Kind is "job" or "execution". Kind and ID name the task: no two tasks of
	// a store have both in common. At most 32 and 256 bytes.
	Kind, ID string

	// Owner is who may see the task, in the words of the host: opaque, not
	// empty, at most 1,024 bytes.
	Owner string

	// Key is the idempotency key: where it is not empty, no two tasks of one
	// Kind and Owner have it in common. At most 256 bytes.
	Key string

	// Version counts the writes of the task, from 1; 0 is a task that is not
	// stored yet.
	Version uint64

	// Created orders lists.
	Created time.Time

	// Due is when a worker may claim the task; zero: never, it is finished.
	Due time.Time

	// Attempts is how often it was claimed.
	Attempts int

	// Expires is when the task may be deleted; zero: never.
	Expires time.Time

	// Head is what lists show: mostly some hundred bytes, at most 8 MiB. Body
	// holds the work, at most 256 MiB. Empty and nil are the same to whoever
	// reads a task, and Body is nil in lists.
	Head, Body []byte
}

// TaskStore is an optional interface of stores that keep tasks: what
// [Book.Submit] and [Book.Execute] rest on. Without it these return
// [ErrUnsupported], and everything else works.
//
// All methods are safe for concurrent use and return ErrClosed after Close.
// Kind, ID, Owner and Key are valid UTF-8 without NUL and compare by their
// bytes. The numbered rules below are the contract; package storetest has a case
// of the same number for each.
//
// What is asked for often: a task by Kind and ID; the tasks of a Kind and Owner
// from the newest on, or with a Key; the earliest Due of a Kind, which idle
// workers ask for every second; what has expired.
type TaskStore interface {
	// PutTask writes a task.
	//
	//  T1. With Version 0 it inserts. Where a task of that Kind and ID, or of
	//      that Kind, Owner and non-empty Key, is stored already, it changes
	//      nothing and returns ErrTaskExists.
	//  T2. With another Version it replaces the task of that Kind and ID, whose
	//      Owner, Key and Created stay as they are. Where that has another
	//      Version, or is not there, it changes nothing and returns
	//      ErrTaskChanged.
	//  T3. Looking and writing are one atomic step: of two inserts of one ID or
	//      Key, or two writes of one Version, that race, one wins.
	//  T4. The stored Version is one above the task's, and is set in *Task when
	//      the call returns without error; *Task is otherwise left as it is.
	//  T5. On replacing, a nil Body leaves the stored Body as it is, and one
	//      that is empty but not nil takes it away.
	//  T6. What is read back is what was put: every byte and every microsecond,
	//      and a zero time as such. Nothing of the task is kept or given to two
	//      callers: each may change what it has.
	//  T7. When it returns without error, a durable store has the task on
	//      stable storage.
	PutTask(ctx context.Context, t *Task) error

	// Task returns a task.
	//
	//  T8. It is the task of that Kind and ID, with its Body, or ErrNotFound.
	Task(ctx context.Context, kind, id string) (*Task, error)

	// Tasks lists tasks.
	//
	//  T9. It returns exactly the tasks that every given condition selects,
	//      without Body: newest first, by Created and then by ID, both
	//      descending, Skip of them left out and at most Limit.
	Tasks(ctx context.Context, sel TaskSelection) ([]*Task, error)

	// ClaimTask gives a task to a worker for the time of a lease.
	//
	//  T10. It is the task of that Kind with the earliest Due that is not zero
	//       and not after now, with its Body; nil and no error where there is
	//       none.
	//  T11. As it is returned and stored then, its Due is now + lease, its
	//       Attempts and Version are one higher, and nothing else is changed.
	//  T12. Of callers that race, each gets another task, or none.
	ClaimTask(ctx context.Context, kind string, now time.Time, lease time.Duration) (*Task, error)

	// DeleteTasks deletes what has expired, of every Kind.
	//
	//  T13. It deletes exactly the tasks whose Expires is not zero and not after
	//       now, and returns how many. Their IDs and Keys are free again.
	//  T14. A cancelled context ends this and every method above with its
	//       error, and nothing is changed then.
	DeleteTasks(ctx context.Context, now time.Time) (int, error)
}

// TaskSelection names tasks for [TaskStore.Tasks]. Kind and Owner are always
// given; of the rest, the zero value of a field is no condition.
type TaskSelection struct {
	Kind, Owner string

	// Key selects the one task with this key.
	Key string

	// Pending selects tasks that are not finished: their Due is not zero.
	Pending bool

	// From and To select Created in [From, To).
	From, To time.Time

	// Skip is how many of the selected ones to leave out, newest first, and
	// Limit how many to return at most; 0 is no limit.
	Skip, Limit int
}

// The kinds of tasks.
const (
	taskJob       = "job"
	taskExecution = "execution"
)
