package usage

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// JobRequest is work for [Book.Submit].
type JobRequest struct {
	// ID names the job, for ever and in every owner's hands. Defaults to a
	// random UUID. At most 128 bytes, without control characters.
	ID string

	// Created is when the job was accepted, for callers that have told their
	// client already. Defaults to the book's clock.
	Created time.Time

	// Key, where it is not empty, makes a repeated call answer the first job of
	// this owner and Key, as long as that job can be read: once it is not among
	// the latest Options.KeepJobs any more, the key is new again. At most 256
	// bytes.
	Key string

	// Digest tells what was asked for, to see whether a repeated call asks for
	// the same: of a request's body, say. Defaults to a digest of Records and
	// Notes. At most 256 bytes.
	Digest string

	// Records are to be booked. Their identities should derive from the job or
	// from the usage itself, as everywhere: a job that is worked on twice books
	// nothing twice. One with a fault (see [Record.WithFault]) is accepted and
	// has failed from the start. At most Options.JobSize records.
	Records []Record

	// Notes are texts of the caller, one for each record or none at all, that
	// come back with the record's error: the place in the document, say.
	Notes [][]byte

	// Labels name dimensions by whose values the states of a job are counted
	// beside the tenant; see [JobLine]. At most 8.
	Labels []string
}

// Job is asynchronous ingest: records that were accepted together, and what
// became of them. It is a value of the moment at which it was read.
type Job struct {
	ID, Owner, Key string
	// Created is when it was accepted.
	Created time.Time
	// Count is the number of its records.
	Count int
	// Started tells that a worker has begun, if only to be stopped again.
	Started bool
	// Finished is when all work on it was done; zero until then.
	Finished time.Time
	// Labels are those of the request.
	Labels []string
	// Lines count the records by tenant, labels and state, in that order.
	Lines []JobLine
}

// JobLine is a number of records of a job that have the tenant, the values of
// the job's labels and the state in common.
type JobLine struct {
	Tenant string
	// Labels are the record's dimensions that the job's labels name; one that
	// it lacks is absent.
	Labels Dimensions
	State  ItemState
	Count  int
}

// ItemState is how far one record of a job is.
type ItemState uint8

// The states. Accepted, Verified and NoRule are on the way; a Booked record is
// on the way only while its job is not finished and a Biller is to hear of it.
const (
	// ItemAccepted: not looked at yet.
	ItemAccepted ItemState = 1 + iota
	// ItemVerified: rules have passed it, and it is to be booked.
	ItemVerified
	// ItemNoRule: no rule covers it, and it is to be booked.
	ItemNoRule
	// ItemVerificationFailed: a rule refused it.
	ItemVerificationFailed
	// ItemFailed: it is no record that the book takes, or conflicts with a
	// booked one.
	ItemFailed
	// ItemBooked: it is in the book.
	ItemBooked
	// ItemBilled: it is in the book, and the Biller has taken it.
	ItemBilled
	// ItemBillingFailed: it is in the book, and the Biller has refused it.
	ItemBillingFailed
)

var itemStateNames = [...]string{"none", "accepted", "verified", "no_rule", "verification_failed", "failed", "booked", "billed", "billing_failed"}

// String returns the state in lower case, with underscores.
func (s ItemState) String() string {
	if int(s) < len(itemStateNames) {
		return itemStateNames[s]
	}
	return "invalid"
}

// Failed reports whether the record has come to a bad end.
func (s ItemState) Failed() bool {
	return s == ItemVerificationFailed || s == ItemFailed || s == ItemBillingFailed
}

// JobStatus is how far a job is, or a part of it.
type JobStatus uint8

// The statuses.
const (
	// JobAccepted: no worker has begun.
	JobAccepted JobStatus = 1 + iota
	// JobInProgress: a worker has begun, and something is left to do.
	JobInProgress
	// JobWithErrors: nothing is left to do, and at least one record has failed.
	JobWithErrors
	// JobCompleted: nothing is left to do, and no record has failed.
	JobCompleted
)

var jobStatusNames = [...]string{"none", "accepted", "in_progress", "errors", "completed"}

// String returns the status in lower case, with underscores.
func (s JobStatus) String() string {
	if int(s) < len(jobStatusNames) {
		return jobStatusNames[s]
	}
	return "invalid"
}

// Status returns the status of the whole job.
func (j *Job) Status() JobStatus {
	s, _ := j.StatusOf(func(JobLine) bool { return true })
	return s
}

// StatusOf returns the status of the lines that match, and how many records
// they count. Without any the status is that of a job without records.
func (j *Job) StatusOf(match func(JobLine) bool) (JobStatus, int) {
	n, failed, open := 0, false, j.Finished.IsZero()
	left := open && j.Count == 0
	for _, l := range j.Lines {
		if !match(l) {
			continue
		}
		n += l.Count
		failed = failed || l.State.Failed()
		left = left || open && !l.State.Failed()
	}
	switch {
	case left && j.Started:
		return JobInProgress, n
	case left:
		return JobAccepted, n
	case failed:
		return JobWithErrors, n
	}
	return JobCompleted, n
}

// JobsQuery selects jobs of an owner.
type JobsQuery struct {
	// From and To select Created in [From, To); a zero time leaves that side
	// open.
	From, To time.Time
}

// ErrorKind says what kind of failure a record of a job met.
type ErrorKind uint8

// The kinds.
const (
	// ValidationError: a rule refused the record. The violations are the
	// rule's.
	ValidationError ErrorKind = 1 + iota
	// BillingError: the Biller refused it.
	BillingError
	// OtherError: the book cannot take it: its shape, a conflict, a limit of
	// the store.
	OtherError
)

// JobError is one failed record of a job.
type JobError struct {
	// Index is the place of the record in the request, from 0.
	Index int
	// Record is the record as far as it could be read. Of jobs with more than 64
	// MiB of errors the later ones have none, and one violation each.
	Record Record
	// Note is the caller's text for it; nil where none was given.
	Note []byte
	// State is VerificationFailed, Failed or BillingFailed.
	State ItemState
	Kind  ErrorKind
	// Violations say what is wrong with it; for a BillingError there are none.
	Violations []Violation
	// BillingID is what the Biller called it.
	BillingID string
	// Message is a sentence for a person.
	Message string
}

// Biller hands usage that the rules call billable on to a billing system. It is
// safe for concurrent use.
type Biller interface {
	// Bill is called with records that are booked and billable, each at least
	// once: the identity of a record is the idempotency key. It returns a
	// result for each, in their order. With an error nothing is known of any,
	// and the call is repeated later, with ever longer pauses and for as long
	// as it takes: a record that billing refuses for good is a Billed with an
	// Err, and no error. It returns soon when the context ends: Run waits for
	// it. The records are its own; one that was corrected since it was booked
	// says so, and was billable all the same.
	Bill(ctx context.Context, records []*Stored) ([]Billed, error)
}

// Billed is what a [Biller] has done with one record.
type Billed struct {
	// ID is what the billing system calls it; may be empty.
	ID string
	// Err says why it was refused; nil: it was taken.
	Err error
}

// Bounds of a job that no option moves.
const (
	maxJobLabels = 8
	maxJobID     = 128
	maxKeyBytes  = 256
	maxOwner     = 1024
	maxJobHead   = 1 << 20
	maxJobBody   = 64 << 20
	// maxRecordText is far above the longest text of a record that the book
	// takes: 64 dimensions of 4 KiB, each byte of them escaped as six.
	maxRecordText = 4 << 20
	// maxJobViolations is how many violations of one record are kept.
	maxJobViolations = 16
)

// Submit accepts records to be booked by [Book.Run] or [Book.Work], and answers
// as soon as they are safe in the store: in durable stores on stable storage.
// existed tells that the job was there before: the same owner had submitted
// this Key, or this ID, with the same Digest.
//
// Rules judge the records as of the job's Created, however late it is worked
// on. What becomes of each is told by [Book.Job] and [Book.JobErrors].
//
// Errors: ErrUnsupported without a [TaskStore]; ErrInvalid; ErrTooLarge;
// ErrKeyReused where the Key or ID was submitted with another Digest;
// ErrTaskExists where the ID is another owner's; and those of the store. With
// ErrUnavailable the job may have been accepted: submitting it again with the
// same Key or ID is safe.
func (b *Book) Submit(ctx context.Context, owner string, req JobRequest) (job *Job, existed bool, err error) {
	t, head, err := b.newJob(owner, &req)
	if err == nil {
		body := t.Body
		t, head, existed, err = b.acceptJob(ctx, t, head)
		if err == nil {
			reuseJobBody(body) // a store keeps nothing of a task that it has put
		}
	}
	if err != nil {
		return nil, false, fmt.Errorf("usage: submit: %w", err)
	}
	if !existed {
		b.tasks.wake(taskJob)
	}
	return newJobOf(t, head), existed, nil
}

// acceptJob writes a new job, or finds the one that was accepted before.
func (b *Book) acceptJob(ctx context.Context, t *Task, head *jobHead) (*Task, *jobHead, bool, error) {
	for tries := 0; ; tries++ {
		err := b.taskStore.PutTask(ctx, t)
		if err == nil {
			return t, head, false, nil
		}
		if !errors.Is(err, ErrTaskExists) {
			return nil, nil, false, err
		}
		first, found := b.firstJob(ctx, t)
		if found != nil {
			return nil, nil, false, found
		}
		if first == nil && tries < 3 {
			continue // it was deleted in the meantime
		}
		if first == nil || first.Owner != t.Owner {
			return nil, nil, false, err
		}
		switch before, err := headOfJob(first); {
		case err != nil:
			return nil, nil, false, err
		case before.Digest != head.Digest:
			return nil, nil, false, fmt.Errorf("%w: job %s was submitted with other content", ErrKeyReused, quoted(first.ID))
		default:
			return first, before, true, nil
		}
	}
}

// firstJob returns the job that stands in the way of a new one, nil if it is
// gone.
func (b *Book) firstJob(ctx context.Context, t *Task) (*Task, error) {
	if t.Key != "" {
		list, err := b.taskStore.Tasks(ctx, TaskSelection{Kind: t.Kind, Owner: t.Owner, Key: t.Key, Limit: 1})
		if err != nil {
			return nil, err
		}
		if len(list) > 0 {
			return list[0], nil
		}
	}
	first, err := b.taskStore.Task(ctx, t.Kind, t.ID)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return first, err
}

// Job returns a job of an owner as it stands. Another owner's job, and one
// that is older than the owner's latest Options.KeepJobs, are ErrNotFound like
// one that never was.
func (b *Book) Job(ctx context.Context, owner, id string) (*Job, error) {
	return b.AwaitJob(ctx, owner, id, 0)
}

// AwaitJob is Job after waiting for its end, at most for a time. It hears at
// once of what this process does, and looks every Options.TaskInterval for what
// others do. A context that ends ends the wait with its error.
func (b *Book) AwaitJob(ctx context.Context, owner, id string, wait time.Duration) (*Job, error) {
	var job *Job
	t, err := b.awaitTask(ctx, taskName{taskJob, id}, wait, func() (*Task, error) { return b.jobTask(ctx, owner, id) })
	if err == nil {
		job, err = jobOf(t)
	}
	if err != nil {
		return nil, fmt.Errorf("usage: job: %w", err)
	}
	return job, nil
}

// Jobs returns the jobs of an owner, newest first, of the latest
// Options.KeepJobs ones.
func (b *Book) Jobs(ctx context.Context, owner string, q JobsQuery) ([]*Job, error) {
	list, err := b.jobs(ctx, owner, q)
	if err != nil {
		return nil, fmt.Errorf("usage: jobs: %w", err)
	}
	return list, nil
}

func (b *Book) jobs(ctx context.Context, owner string, q JobsQuery) ([]*Job, error) {
	if err := b.checkOwner(owner); err != nil {
		return nil, err
	}
	oldest, err := b.oldestJob(ctx, owner)
	if err != nil {
		return nil, err
	}
	sel := TaskSelection{Kind: taskJob, Owner: owner, From: ceilMicro(q.From), To: ceilMicro(q.To), Limit: b.opts.KeepJobs}
	list, err := b.taskStore.Tasks(ctx, sel)
	if err != nil {
		return nil, err
	}
	out := make([]*Job, 0, len(list))
	for _, t := range list {
		if oldest != nil && compareTasks(t, oldest) < 0 {
			break
		}
		job, err := jobOf(t)
		if err != nil {
			return nil, err
		}
		out = append(out, job)
	}
	return out, nil
}

// JobErrors returns the failed records of a job of an owner, in the order of
// the request, as far as they have failed by now. It is ErrNotFound for the
// jobs for which [Book.Job] is.
func (b *Book) JobErrors(ctx context.Context, owner, id string) ([]JobError, error) {
	t, err := b.jobTask(ctx, owner, id)
	if err != nil {
		return nil, fmt.Errorf("usage: job errors: %w", err)
	}
	list, err := jobErrorsOf(t)
	if err != nil {
		return nil, fmt.Errorf("usage: job errors: %w", err)
	}
	return list, nil
}

// jobTask returns the task of a job that the owner may see.
func (b *Book) jobTask(ctx context.Context, owner, id string) (*Task, error) {
	t, err := b.ownTask(ctx, taskJob, owner, id)
	if err != nil {
		return nil, err
	}
	oldest, err := b.oldestJob(ctx, owner)
	if err != nil {
		return nil, err
	}
	if oldest != nil && compareTasks(t, oldest) < 0 {
		return nil, fmt.Errorf("%w: job %s", ErrNotFound, quoted(id))
	}
	return t, nil
}

// oldestJob returns the oldest job that the owner can see, nil where that is
// every one.
func (b *Book) oldestJob(ctx context.Context, owner string) (*Task, error) {
	list, err := b.taskStore.Tasks(ctx, TaskSelection{Kind: taskJob, Owner: owner, Skip: b.opts.KeepJobs - 1, Limit: 1})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list[0], nil
}

// newJob makes the task of a new job.
func (b *Book) newJob(owner string, req *JobRequest) (*Task, *jobHead, error) {
	if err := b.checkOwner(owner); err != nil {
		return nil, nil, err
	}
	invalid := func(format string, args ...any) error {
		return fmt.Errorf("%w job: "+format, append([]any{ErrInvalid}, args...)...)
	}
	id := req.ID
	if id == "" {
		id = newID()
	}
	if v := checkText("id", id, maxJobID); v != nil {
		return nil, nil, invalid("the id %s %s", quoted(id), v.Message)
	}
	for what, text := range map[string]string{"key": req.Key, "digest": req.Digest} {
		if len(text) > maxKeyBytes || !storable(text) {
			return nil, nil, invalid("the %s %s is no text of at most %d bytes", what, quoted(text), maxKeyBytes)
		}
	}
	created := micro(req.Created)
	if created.IsZero() {
		created = b.Now()
	}
	if outside(created) {
		return nil, nil, invalid("it was created outside the years 1 to 9999")
	}
	if n := len(req.Notes); n > 0 && n != len(req.Records) {
		return nil, nil, invalid("%d notes for %d records", n, len(req.Records))
	}
	if n := len(req.Labels); n > maxJobLabels {
		return nil, nil, invalid("%d labels, at most %d are allowed", n, maxJobLabels)
	}
	for _, l := range req.Labels {
		if v := checkText("label", l, maxNameBytes); v != nil {
			return nil, nil, invalid("the label %s %s", quoted(l), v.Message)
		}
	}
	if n := len(req.Records); n > b.opts.JobSize {
		return nil, nil, fmt.Errorf("%w: %d records in one job, at most %d are allowed", ErrTooLarge, n, b.opts.JobSize)
	}
	t := &Task{Kind: taskJob, ID: id, Owner: owner, Key: req.Key, Created: created}
	head, err := b.fillJob(t, req)
	return t, head, err
}

// checkOwner refuses owners that no store could tell apart, and a store without
// tasks.
func (b *Book) checkOwner(owner string) error {
	switch {
	case b.taskStore == nil:
		return fmt.Errorf("%w: it keeps no tasks", ErrUnsupported)
	case owner == "":
		return fmt.Errorf("%w: no owner given", ErrInvalid)
	case len(owner) > maxOwner || !storable(owner):
		return fmt.Errorf("%w: the owner %s is no text of at most %d bytes", ErrInvalid, quoted(owner), maxOwner)
	}
	return nil
}

// storable reports whether every store can hold a text.
func storable(s string) bool {
	for i := range len(s) {
		if s[i] == 0 {
			return false
		}
	}
	return utf8.ValidString(s)
}

// newID returns a random UUID of version 4.
func newID() string {
	var u [16]byte
	_, _ = rand.Read(u[:]) // never fails
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	var out [36]byte
	hex.Encode(out[:8], u[:4])
	hex.Encode(out[9:13], u[4:6])
	hex.Encode(out[14:18], u[6:8])
	hex.Encode(out[19:23], u[8:10])
	hex.Encode(out[24:], u[10:])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}
