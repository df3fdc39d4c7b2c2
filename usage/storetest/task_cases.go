package storetest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/usagebook/usagebook/usage"
)

var taskCases = []aCase{
	{
		name: "T1_inserts_once",
		rule: "Where a store keeps tasks (TaskStore), PutTask with Version 0 inserts; where a task of that Kind and ID, or of that Kind, Owner and non-empty Key, is stored already, it changes nothing and returns ErrTaskExists.",
		run:  taskInsertsOnce,
	},
	{
		name: "T2_compare_and_swap",
		rule: "PutTask with another Version replaces the task of that Kind and ID, whose Owner, Key and Created stay as they are; where that has another Version, or is not there, it changes nothing and returns ErrTaskChanged.",
		run:  taskCompareAndSwap,
	},
	{
		name: "T3_races_of_writes",
		rule: "Looking and writing are one atomic step: of two inserts of one ID or Key, or two writes of one Version, that race, one wins.",
		run:  taskRaces,
	},
	{
		name: "T4_versions",
		rule: "The stored Version is one above the task's, and is set in *Task when the call returns without error; *Task is otherwise left as it is.",
		run:  taskVersions,
	},
	{
		name: "T5_nil_bodies",
		rule: "On replacing, a nil Body leaves the stored Body as it is, and one that is empty but not nil takes it away.",
		run:  taskBodies,
	},
	{
		name: "T6_every_byte_of_a_task",
		rule: "What is read back is what was put: every byte and every microsecond, and a zero time as such. Nothing of the task is kept or given to two callers.",
		run:  taskEveryByte,
	},
	{
		name:    "T7_tasks_are_kept",
		rule:    "When PutTask returns without error, a durable store has the task on stable storage.",
		durable: true,
		run:     tasksAreKept,
	},
	{
		name: "T8_one_task",
		rule: "Task returns the task of that Kind and ID, with its Body, or ErrNotFound.",
		run:  oneTask,
	},
	{
		name: "T9_lists_of_tasks",
		rule: "Tasks returns exactly the tasks that every given condition selects, without Body: newest first, by Created and then by ID, both descending, Skip of them left out and at most Limit.",
		run:  listsOfTasks,
	},
	{
		name: "T10_claims_what_is_due",
		rule: "ClaimTask gives the task of that Kind with the earliest Due that is not zero and not after now, with its Body; nil and no error where there is none.",
		run:  claimsWhatIsDue,
	},
	{
		name: "T11_what_a_claim_changes",
		rule: "As it is returned and stored after a claim, a task's Due is now + lease, its Attempts and Version are one higher, and nothing else is changed.",
		run:  whatAClaimChanges,
	},
	{
		name: "T12_races_of_claims",
		rule: "Of callers of ClaimTask that race, each gets another task, or none.",
		run:  claimRaces,
	},
	{
		name: "T13_deletes_what_has_expired",
		rule: "DeleteTasks deletes exactly the tasks whose Expires is not zero and not after now, and returns how many; their IDs and Keys are free again.",
		run:  deletesWhatHasExpired,
	},
	{
		name: "T14_cancelled_task_calls",
		rule: "A cancelled context ends every method of a TaskStore with its error, and nothing is changed then.",
		run:  cancelledTaskCalls,
	},
}

// taskBench is a store that keeps tasks on its bench.
type taskBench struct {
	*bench
	tasks usage.TaskStore
}

// taskBench returns the store's TaskStore; a store without one has nothing to
// hold, because the Book refuses jobs and executions then.
func (k *kit) taskBench() (*taskBench, bool) {
	k.Helper()
	b := k.open(nil)
	s, ok := b.store.(usage.TaskStore)
	if !ok {
		k.Log("the store is no usage.TaskStore, so the Book refuses jobs and executions")
	}
	return &taskBench{b, s}, ok
}

// taskOwner is whose tasks are where it does not matter.
const taskOwner = "operator"

// newTask returns a job that was created, and is due, at the epoch.
func newTask(id string) *usage.Task {
	return &usage.Task{Kind: "job", ID: id, Owner: taskOwner, Created: epoch, Due: epoch, Head: []byte("head of " + id), Body: []byte("body of " + id)}
}

// put writes tasks that are all to be taken.
func (b *taskBench) put(list ...*usage.Task) {
	b.k.Helper()
	for _, t := range list {
		if err := b.tasks.PutTask(b.ctx(), t); err != nil {
			b.k.Fatalf("PutTask of %s: %v", showTask(t), err)
		}
	}
}

// refused writes a task that is not to be taken.
func (b *taskBench) refused(what string, t *usage.Task, want error) {
	b.k.Helper()
	if err := b.tasks.PutTask(b.ctx(), t); !errors.Is(err, want) {
		b.k.Fatalf("PutTask %s returned %v, want %v", what, err, want)
	}
}

func (b *taskBench) get(kind, id string) *usage.Task {
	b.k.Helper()
	t, err := b.tasks.Task(b.ctx(), kind, id)
	if err != nil {
		b.k.Fatalf("Task(%q, %q): %v", kind, id, err)
	}
	return t
}

func (b *taskBench) missing(what, kind, id string) {
	b.k.Helper()
	if t, err := b.tasks.Task(b.ctx(), kind, id); !errors.Is(err, usage.ErrNotFound) {
		b.k.Fatalf("Task(%q, %q) of %s returned %s and %v, want %v", kind, id, what, showTask(t), err, usage.ErrNotFound)
	}
}

func (b *taskBench) claim(kind string, now time.Time) *usage.Task {
	b.k.Helper()
	t, err := b.tasks.ClaimTask(b.ctx(), kind, now, time.Minute)
	if err != nil {
		b.k.Fatalf("ClaimTask(%q): %v", kind, err)
	}
	return t
}

// holds checks that a stored task is a wanted one, Version and all.
func (b *taskBench) holdsTask(what string, want *usage.Task) {
	b.k.Helper()
	b.sameTask(what, b.get(want.Kind, want.ID), want)
}

func (b *taskBench) sameTask(what string, got, want *usage.Task) {
	b.k.Helper()
	if got, want := showTask(got), showTask(want); got != want {
		b.k.Fatalf("%s: the task is\n  %s\nwant\n  %s", what, got, want)
	}
}

func showTask(t *usage.Task) string {
	if t == nil {
		return "no task"
	}
	part := func(p []byte) string {
		if len(p) > 600 {
			return fmt.Sprintf("%d bytes %q...%q", len(p), p[:20], p[len(p)-20:])
		}
		return fmt.Sprintf("%q", p)
	}
	return fmt.Sprintf("%q %q of %q key %q version %d created %s due %s attempts %d expires %s head %s body %s", t.Kind, t.ID, t.Owner, t.Key, t.Version,
		showTime(t.Created), showTime(t.Due), t.Attempts, showTime(t.Expires), part(t.Head), part(t.Body))
}

func copyOfTask(t *usage.Task) *usage.Task {
	own := *t
	own.Head, own.Body = bytes.Clone(t.Head), bytes.Clone(t.Body)
	return &own
}

func taskInsertsOnce(k *kit) {
	b, ok := k.taskBench()
	if !ok {
		return
	}
	first := newTask("one")
	first.Key = "key"
	b.put(first)
	twice := newTask("one")
	twice.Owner, twice.Body = "somebody else", []byte("other")
	b.refused("with an ID that is stored", twice, usage.ErrTaskExists)
	again := newTask("two")
	again.Key = "key"
	b.refused("with a Key that is stored", again, usage.ErrTaskExists)
	b.missing("a task that was refused", "job", "two")
	b.holdsTask("after inserts that were refused", first)

	kind := newTask("one")
	kind.Kind, kind.Key = "execution", "key"
	owner := newTask("three")
	owner.Owner, owner.Key = "Operator", "key"
	key := newTask("four")
	key.Key = "Key"
	b.put(kind, owner, key, newTask("five"), newTask("six"), newTask("One"))
	b.holdsTask("beside a task of another Kind and the same ID and Key", first)
	b.holdsTask("of another Kind", kind)
	b.holdsTask("of another Owner", owner)
}

func taskCompareAndSwap(k *kit) {
	b, ok := k.taskBench()
	if !ok {
		return
	}
	t := newTask("one")
	t.Key = "key"
	b.put(t)
	stale := copyOfTask(t)
	next := copyOfTask(t)
	next.Due, next.Expires, next.Attempts = epoch.Add(time.Hour), epoch.Add(2*time.Hour), 7
	next.Head, next.Body = []byte("new head"), []byte("new body")
	b.put(next)
	b.holdsTask("after a write of its version", next)
	stale.Head, stale.Body = []byte("stale head"), []byte("stale body")
	b.refused("with an earlier Version", copyOfTask(stale), usage.ErrTaskChanged)
	ahead := copyOfTask(stale)
	ahead.Version = next.Version + 1
	b.refused("with a later Version", ahead, usage.ErrTaskChanged)
	unknown := newTask("two")
	unknown.Version = 1
	b.refused("with a Version where nothing is stored", unknown, usage.ErrTaskChanged)
	b.missing("a task that was refused", "job", "two")
	kind := copyOfTask(next)
	kind.Kind = "execution"
	b.refused("with another Kind", kind, usage.ErrTaskChanged)
	b.holdsTask("after writes that were refused", next)

	other := copyOfTask(next)
	other.Owner, other.Key, other.Created, other.Head = "somebody else", "other", epoch.Add(time.Minute), []byte("third head")
	b.put(other)
	next.Version, next.Head = other.Version, other.Head
	b.holdsTask("after a write with another Owner, Key and Created", next)
}

func taskRaces(k *kit) {
	const racers, rounds = 8, 20
	b, ok := k.taskBench()
	if !ok {
		return
	}
	// race returns how many of the racers were taken.
	race := func(what string, lost error, task func(i int) *usage.Task) (winner *usage.Task) {
		k.Helper()
		var won atomic.Int32
		var failure atomic.Value
		var last atomic.Pointer[usage.Task]
		at := make(chan struct{})
		var wg sync.WaitGroup
		for i := range racers {
			t := task(i)
			wg.Add(1)
			go func() {
				defer wg.Done()
				<-at
				switch err := b.tasks.PutTask(b.ctx(), t); {
				case err == nil:
					won.Add(1)
					last.Store(t)
				case !errors.Is(err, lost):
					failure.Store(err)
				}
			}()
		}
		close(at)
		wg.Wait()
		if err := failure.Load(); err != nil {
			k.Fatalf("%s: PutTask returned %v, want %v", what, err, lost)
		}
		if won.Load() != 1 {
			k.Fatalf("%s: %d of %d racing writes were taken, want 1", what, won.Load(), racers)
		}
		return last.Load()
	}
	for round := range rounds {
		named := func(i int) *usage.Task {
			t := newTask(fmt.Sprintf("id-%d", round))
			t.Body = fmt.Appendf(nil, "body of racer %d", i)
			return t
		}
		winner := race("inserts of one ID", usage.ErrTaskExists, named)
		b.holdsTask("after a race of inserts", winner)
		race("inserts of one Key", usage.ErrTaskExists, func(i int) *usage.Task {
			t := newTask(fmt.Sprintf("key-%d-%d", round, i))
			t.Key = fmt.Sprintf("key %d", round)
			return t
		})
		version := winner.Version
		winner = race("writes of one Version", usage.ErrTaskChanged, func(i int) *usage.Task {
			t := named(racers + i)
			t.Version = version
			return t
		})
		b.holdsTask("after a race of writes", winner)
	}
}

func taskVersions(k *kit) {
	b, ok := k.taskBench()
	if !ok {
		return
	}
	t := newTask("one")
	for version := range uint64(5) {
		before := copyOfTask(t)
		b.put(t)
		before.Version = version + 1
		b.sameTask("given to PutTask, afterwards", t, before)
		b.holdsTask("as it is stored", before)
	}
	for _, refused := range []*usage.Task{newTask("one"), {Kind: "job", ID: "one", Version: 2}, {Kind: "job", ID: "one", Version: 77}} {
		before := copyOfTask(refused)
		if err := b.tasks.PutTask(b.ctx(), refused); err == nil {
			k.Fatalf("PutTask of %s was taken", showTask(before))
		}
		b.sameTask("given to a PutTask that refused it", refused, before)
	}
}

func taskBodies(k *kit) {
	b, ok := k.taskBench()
	if !ok {
		return
	}
	t := newTask("one")
	t.Body = []byte("to stay")
	b.put(t)
	want := copyOfTask(t)
	t.Head, t.Body = []byte("another head"), nil
	b.put(t)
	want.Head, want.Version = t.Head, t.Version
	b.holdsTask("after a write with a nil Body", want)
	t.Head, t.Body = nil, []byte{}
	b.put(t)
	want.Head, want.Body, want.Version = nil, nil, t.Version
	b.holdsTask("after a write with a nil Head and an empty Body", want)
	t.Body = nil
	b.put(t)
	want.Version = t.Version
	b.holdsTask("after a write with a nil Body where there is none", want)
	t.Body = []byte("back")
	b.put(t)
	want.Body, want.Version = t.Body, t.Version
	b.holdsTask("after a write with a Body where there was none", want)
	none := newTask("two")
	none.Head, none.Body = nil, nil
	b.put(none)
	b.holdsTask("that was inserted without Head and Body", none)
}

func taskEveryByte(k *kit) {
	b, ok := k.taskBench()
	if !ok {
		return
	}
	bytesOf := func(n int) []byte {
		p := make([]byte, n)
		for i := range p {
			p[i] = byte(i ^ i>>8)
		}
		return p
	}
	at := func(d time.Duration) time.Time { return epoch.Add(d) }
	list := []*usage.Task{
		{Kind: "job", ID: "a", Owner: "o", Created: at(time.Microsecond), Due: at(999_999 * time.Microsecond), Expires: at(1_000_001 * time.Microsecond), Attempts: 1 << 20, Head: bytesOf(300), Body: bytesOf(1 << 20)},
		{Kind: "job", ID: strings.Repeat("é", 128), Owner: strings.Repeat("w ", 512), Key: strings.Repeat("k", 256), Created: epoch},
		{Kind: "job", ID: "quote ' \" \\ % _ ; -- ", Owner: " o'wner\t\n\u2028", Key: "\x01 'key' \U0001F600", Created: epoch.AddDate(-400, 0, 0), Due: epoch.AddDate(700, 0, 0), Head: []byte{0}, Body: []byte("\x00\xff")},
		{Kind: "job", ID: "e\u0301", Owner: "o", Key: "e\u0301", Created: epoch}, {Kind: "job", ID: "\u00e9", Owner: "o", Key: "\u00e9", Created: epoch},
		{Kind: "job", ID: "trailing", Owner: "o", Created: epoch}, {Kind: "job", ID: "trailing ", Owner: "o", Created: epoch}, {Kind: "job", ID: "Trailing", Owner: "o", Created: epoch},
	}
	var want []*usage.Task
	for _, t := range list {
		b.put(t)
		want = append(want, copyOfTask(t))
		clear(t.Head)
		clear(t.Body)
	}
	for range 2 {
		for _, t := range want {
			got := b.get(t.Kind, t.ID)
			b.sameTask("as it is read", got, t)
			clear(got.Head) // which must not reach the store, nor the next reader
			clear(got.Body)
		}
	}
	listed, err := b.tasks.Tasks(b.ctx(), usage.TaskSelection{Kind: "job", Owner: want[2].Owner})
	if err != nil || len(listed) != 1 {
		k.Fatalf("Tasks of one owner returned %d tasks and %v, want 1", len(listed), err)
	}
	clear(listed[0].Head)
	b.holdsTask("after its reader changed what was listed", want[2])
	claimed := b.claim("job", at(time.Second))
	if claimed == nil || !bytes.Equal(claimed.Body, want[0].Body) || !bytes.Equal(claimed.Head, want[0].Head) {
		k.Fatalf("ClaimTask gave another Head or Body than was put: %s", showTask(claimed))
	}
	clear(claimed.Head)
	clear(claimed.Body)
	if got := b.get("job", "a"); !bytes.Equal(got.Body, want[0].Body) || !bytes.Equal(got.Head, want[0].Head) {
		k.Fatalf("the task is another one after its worker changed what it had claimed: %s", showTask(got))
	}
}

func tasksAreKept(k *kit) {
	b, ok := k.taskBench()
	if !ok || k.opts.Reopen == nil {
		return // A4 says that durability was neither shown nor given up
	}
	var want []*usage.Task
	for i := range 5 {
		t := newTask(fmt.Sprint("t", i))
		t.Key, t.Created = fmt.Sprint("key ", i), epoch.Add(time.Duration(i)*time.Second)
		b.put(t)
		want = append(want, copyOfTask(t))
	}
	want[1].Head, want[1].Body = []byte("changed"), []byte("changed, too")
	b.put(want[1])
	want[0] = b.claim("job", epoch)
	if want[0] == nil {
		k.Fatalf("nothing could be claimed")
	}
	again, ok := k.opts.Reopen(k.TB, b.store).(usage.TaskStore)
	if !ok {
		k.Fatalf("the store that was opened again keeps no tasks")
	}
	if s, ok := again.(usage.Store); ok {
		k.Cleanup(func() { _ = s.Close() })
	}
	b.tasks = again
	slices.SortFunc(want, func(a, b *usage.Task) int { return cmp.Compare(a.ID, b.ID) })
	seen := map[string]bool{}
	for _, t := range want {
		if seen[t.ID] {
			continue // the claimed one as it was put
		}
		seen[t.ID] = true
		b.holdsTask("after the store was opened again", t)
	}
	twice := newTask("another")
	twice.Key = "key 3"
	b.refused("with a Key from before", twice, usage.ErrTaskExists)
}

func oneTask(k *kit) {
	b, ok := k.taskBench()
	if !ok {
		return
	}
	b.missing("an empty store", "job", "one")
	job, execution := newTask("one"), newTask("two")
	execution.Kind = "execution"
	b.put(job, execution)
	b.holdsTask("with its Body", job)
	b.holdsTask("with its Body", execution)
	b.missing("another Kind", "job", "two")
	b.missing("another Kind", "execution", "one")
	b.missing("another spelling", "job", "ONE")
	b.missing("no ID", "job", "")
}

func listsOfTasks(k *kit) {
	b, ok := k.taskBench()
	if !ok {
		return
	}
	var all []*usage.Task
	for i := range 60 {
		t := newTask(fmt.Sprintf("%c%02d", "aBcÄ"[i%3], i*37%60))
		t.Kind, t.Owner = []string{"job", "execution"}[i/2%2], []string{"acme", "globex", "Acme"}[i%7%3]
		t.Created = epoch.Add(time.Duration(i*13%60/12) * 3 * time.Minute) // with ties
		if i%4 == 0 {
			t.Key = fmt.Sprint("key ", i)
		}
		if i%5 < 2 {
			t.Due = time.Time{}
		}
		b.put(t)
		all = append(all, copyOfTask(t))
	}
	slices.SortFunc(all, func(a, b *usage.Task) int { return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(b.ID, a.ID)) })
	check := func(sel usage.TaskSelection) {
		k.Helper()
		var want []string
		skipped := 0
		for _, t := range all {
			switch {
			case t.Kind != sel.Kind, t.Owner != sel.Owner, sel.Key != "" && t.Key != sel.Key, sel.Pending && t.Due.IsZero(),
				!sel.From.IsZero() && t.Created.Before(sel.From), !sel.To.IsZero() && !t.Created.Before(sel.To),
				sel.Limit > 0 && len(want) == sel.Limit:
			case skipped < sel.Skip:
				skipped++
			default:
				bare := *t
				bare.Body = nil
				want = append(want, showTask(&bare))
			}
		}
		list, err := b.tasks.Tasks(b.ctx(), sel)
		if err != nil {
			k.Fatalf("Tasks(%+v): %v", sel, err)
		}
		var got []string
		for _, t := range list {
			got = append(got, showTask(t))
		}
		if !slices.Equal(got, want) {
			k.Fatalf("Tasks(%+v) returned\n  %s\nwant\n  %s", sel, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
		}
	}
	for _, kind := range []string{"job", "execution", "other"} {
		for _, owner := range []string{"acme", "globex", "Acme", "nobody", ""} {
			base := usage.TaskSelection{Kind: kind, Owner: owner}
			check(base)
			for n := range 24 {
				sel := base
				sel.Skip, sel.Limit = n%5*3, n%4*2
				sel.Pending = n%3 == 0
				if n%2 == 0 {
					sel.From = epoch.Add(time.Duration(n/2) * time.Minute)
				}
				if n%8 < 5 {
					sel.To = epoch.Add(time.Duration(n) * time.Minute)
				}
				check(sel)
			}
			for _, key := range []string{"key 0", "key 4", "key 8", "key 12", "key 1", "Key 0"} {
				sel := base
				sel.Key = key
				check(sel)
				sel.Limit = 1
				check(sel)
			}
		}
	}
}

func claimsWhatIsDue(k *kit) {
	b, ok := k.taskBench()
	if !ok {
		return
	}
	want := func(kind string, now time.Time, id string) {
		k.Helper()
		t := b.claim(kind, now)
		switch {
		case t == nil && id != "":
			k.Fatalf("ClaimTask at %s found nothing, want %s", showTime(now), id)
		case t != nil && (t.ID != id || t.Kind != kind || string(t.Body) != "body of "+id || string(t.Head) != "head of "+id):
			k.Fatalf("ClaimTask of %q at %s gave %s, want %q", kind, showTime(now), showTask(t), id)
		}
	}
	want("job", epoch, "")
	minute := func(n int) time.Time { return epoch.Add(time.Duration(n) * time.Minute) }
	for i, due := range []int{50, 10, 30, -1, 20, 40} {
		t := newTask(fmt.Sprint("t", due))
		t.Created = epoch.Add(time.Duration(i) * time.Hour) // which decides nothing
		if t.Due = minute(due); due < 0 {
			t.Due = time.Time{}
		}
		b.put(t)
	}
	other := newTask("other")
	other.Kind, other.Due = "execution", minute(-5)
	b.put(other)
	want("job", minute(10).Add(-time.Microsecond), "")
	want("job", minute(10), "t10")
	want("job", minute(10), "")
	want("job", minute(30), "t10") // again, because its lease of a minute is over
	want("job", minute(30), "t20")
	want("job", minute(30), "t30")
	want("job", minute(30), "")
	want("execution", minute(30), "other")
	want("execution", minute(30), "")
	seen := map[string]bool{}
	for n := range 10 {
		if t := b.claim("job", minute(1000+n)); t != nil {
			seen[t.ID] = true
		}
	}
	if len(seen) != 5 || seen["t-1"] {
		k.Fatalf("of the tasks due at some time, and one that never is, %v were claimed", seen)
	}
}

func whatAClaimChanges(k *kit) {
	b, ok := k.taskBench()
	if !ok {
		return
	}
	t := newTask("one")
	t.Key, t.Expires, t.Attempts = "key", epoch.Add(time.Hour), 4
	b.put(t)
	late := copyOfTask(t)
	for n := range 3 {
		now := epoch.Add(time.Duration(n) * time.Minute)
		t.Due, t.Attempts, t.Version = now.Add(time.Minute), t.Attempts+1, t.Version+1
		got := b.claim("job", now)
		if got == nil {
			k.Fatalf("claim %d found nothing", n+1)
		}
		b.sameTask("as it was claimed", got, t)
		b.holdsTask("as it is stored after a claim", t)
	}
	b.refused("by the worker from which it was claimed", late, usage.ErrTaskChanged)
	b.holdsTask("after the write of a worker that is too late", t)
	t.Due = time.Time{}
	b.put(t)
	b.holdsTask("after the write of the worker that has it", t)
}

func claimRaces(k *kit) {
	const workers, count = 8, 120
	b, ok := k.taskBench()
	if !ok {
		return
	}
	for i := range count {
		t := newTask(fmt.Sprint("t", i))
		t.Due = epoch.Add(time.Duration(i/3) * time.Microsecond)
		b.put(t)
	}
	var mu sync.Mutex
	claims := map[string]int{}
	var failure error
	var wg sync.WaitGroup
	for range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range count {
				t, err := b.tasks.ClaimTask(b.ctx(), "job", epoch.Add(time.Second), time.Hour)
				mu.Lock()
				if err != nil {
					failure = err
				}
				if t != nil {
					claims[t.ID]++
				}
				mu.Unlock()
				if t == nil || err != nil {
					return
				}
			}
		}()
	}
	wg.Wait()
	if failure != nil {
		k.Fatalf("ClaimTask: %v", failure)
	}
	for id, n := range claims {
		if n != 1 {
			k.Fatalf("the task %s was claimed by %d workers within one lease", id, n)
		}
	}
	// A worker may find nothing while others are at it; what is left is there.
	for t := b.claim("job", epoch.Add(time.Second)); t != nil; t = b.claim("job", epoch.Add(time.Second)) {
		claims[t.ID]++
	}
	if len(claims) != count {
		k.Fatalf("%d of %d tasks were claimed", len(claims), count)
	}
}

func deletesWhatHasExpired(k *kit) {
	b, ok := k.taskBench()
	if !ok {
		return
	}
	remove := func(now time.Time, want int) {
		k.Helper()
		if n, err := b.tasks.DeleteTasks(b.ctx(), now); err != nil || n != want {
			k.Fatalf("DeleteTasks at %s returned %d and %v, want %d", showTime(now), n, err, want)
		}
	}
	remove(epoch, 0)
	minute := func(n int) time.Time { return epoch.Add(time.Duration(n) * time.Minute) }
	var all []*usage.Task
	for i, expires := range []int{10, 0, 20, 30, 20} {
		t := newTask(fmt.Sprint("t", i))
		t.Kind, t.Key = []string{"job", "execution"}[i%2], fmt.Sprint("key ", i)
		if expires > 0 {
			t.Expires = minute(expires)
		}
		if i == 2 {
			t.Due = time.Time{} // finished or not makes no difference
		}
		b.put(t)
		all = append(all, t)
	}
	remove(minute(10).Add(-time.Microsecond), 0)
	remove(minute(10), 1)
	b.missing("a task that has expired", all[0].Kind, all[0].ID)
	for _, t := range all[1:] {
		b.holdsTask("that has not expired", t)
	}
	// An expiry that was put off or given up is none.
	all[4].Expires = time.Time{}
	b.put(all[4])
	remove(minute(25), 1)
	b.missing("a task that has expired", all[2].Kind, all[2].ID)
	b.holdsTask("that does not expire any more", all[4])
	remove(minute(1000), 1)
	remove(minute(1_000_000), 0)
	if t := b.claim("job", minute(1)); t == nil || t.ID != "t4" {
		k.Fatalf("after deletion ClaimTask gave %s, want t4", showTask(t))
	}
	late := copyOfTask(all[0])
	b.refused("to a task that was deleted", late, usage.ErrTaskChanged)
	again := newTask("t0")
	again.Key = "key 0"
	b.put(again)
	b.holdsTask("with the ID and Key of a deleted one", again)
	list, err := b.tasks.Tasks(b.ctx(), usage.TaskSelection{Kind: "job", Owner: taskOwner})
	if err != nil || len(list) != 2 {
		k.Fatalf("after deletion Tasks lists %d jobs (%v), want 2", len(list), err)
	}
}

func cancelledTaskCalls(k *kit) {
	b, ok := k.taskBench()
	if !ok {
		return
	}
	t := newTask("one")
	t.Expires = epoch
	b.put(t)
	over := ended(b.ctx())
	next := copyOfTask(t)
	next.Head = []byte("changed")
	calls := map[string]func(ctx context.Context) error{
		"PutTask of a new task":    func(ctx context.Context) error { return b.tasks.PutTask(ctx, newTask("two")) },
		"PutTask of a stored task": func(ctx context.Context) error { return b.tasks.PutTask(ctx, next) },
		"Task":                     func(ctx context.Context) error { _, err := b.tasks.Task(ctx, "job", "one"); return err },
		"Tasks": func(ctx context.Context) error {
			_, err := b.tasks.Tasks(ctx, usage.TaskSelection{Kind: "job", Owner: taskOwner})
			return err
		},
		"ClaimTask": func(ctx context.Context) error {
			_, err := b.tasks.ClaimTask(ctx, "job", epoch, time.Minute)
			return err
		},
		"DeleteTasks": func(ctx context.Context) error { _, err := b.tasks.DeleteTasks(ctx, epoch); return err },
	}
	for name, call := range calls {
		if err := call(over); !isCancelled(err) {
			k.Fatalf("%s with a cancelled context returned %v, want %v", name, err, context.Canceled)
		}
	}
	b.holdsTask("after calls that were cancelled", t)
	b.missing("an insert that was cancelled", "job", "two")
}
