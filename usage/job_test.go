package usage_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/rules"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// assets are rules: usage of the unit asset is verified and billable up to
// 1000, none older than a day.
func assets(t testing.TB) *rules.Set {
	t.Helper()
	list, err := rules.Parse([]byte(`[{"name":"assets","meter":"app","max":1000,"maxAge":"24h","unit":"asset","billable":true}]`))
	require.NoError(t, err)
	set, err := rules.New("v1", list, nil)
	require.NoError(t, err)
	return set
}

func appRecord(id, tenant, unit string, quantity int64) usage.Record {
	return usage.Record{Tenant: tenant, Source: "uts", ID: id, Meter: "app", Start: usagetest.Epoch(), Values: usage.Quantity(decimal.NewFromInt(quantity)),
		Dimensions: usage.Dimensions{}.With("application", "monitor").With("unit", unit)}
}

// bills is a Biller that remembers what it was given.
type bills struct {
	mu     sync.Mutex
	seen   map[usage.Identity]int
	bill   func(ctx context.Context, s *usage.Stored) usage.Billed
	before func(ctx context.Context) error
}

func (b *bills) Bill(ctx context.Context, records []*usage.Stored) ([]usage.Billed, error) {
	if b.before != nil {
		if err := b.before(ctx); err != nil {
			return nil, err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]usage.Billed, len(records))
	for i, r := range records {
		if b.seen == nil {
			b.seen = map[usage.Identity]int{}
		}
		b.seen[r.Identity()]++
		out[i].ID = "bill-" + r.ID
		if b.bill != nil {
			out[i] = b.bill(ctx, r)
		}
	}
	return out, nil
}

// lines writes the lines of a job down.
func lines(j *usage.Job) string {
	var parts []string
	for _, l := range j.Lines {
		parts = append(parts, fmt.Sprintf("%s %s %s %d", l.Tenant, l.Labels, l.State, l.Count))
	}
	return strings.Join(parts, "\n")
}

func TestJobStates(t *testing.T) {
	t.Parallel()
	store, clock := memstore.New(nil), usagetest.NewClock(usagetest.Epoch())
	biller := &bills{bill: func(_ context.Context, s *usage.Stored) usage.Billed {
		if s.ID == "3" {
			return usage.Billed{ID: "B-17", Err: errors.New("the account is closed")}
		}
		return usage.Billed{ID: "B-1"}
	}}
	book := over(t, store, clock, usage.Options{Rules: assets(t), Biller: biller})
	mustAppend(t, book, appRecord("5", "globex", "asset", 77))
	request := usage.JobRequest{ID: "job-1", Labels: []string{"application", "unit"}, Records: []usage.Record{
		appRecord("0", "acme", "asset", 10),
		appRecord("1", "acme", "asset", 5000),  // above the rule's maximum
		appRecord("2", "acme", "minutes", 3),   // no rule
		appRecord("3", "globex", "asset", 1),   // billing refuses
		appRecord("4", "globex", "asset", 1),   // billed
		appRecord("5", "globex", "asset", 1),   // booked with other content
		appRecord("", "globex", "asset", 1),    // no identity
		appRecord("0", "acme", "asset", 10),    // the first one again
		appRecord("8", "globex", "minutes", 2), // a void of it follows
		{Tenant: "globex", Source: "uts", ID: "9", Corrects: &usage.Correction{Kind: usage.Void, Source: "uts", ID: "8"}},
	}}
	for i := range request.Records {
		request.Notes = append(request.Notes, fmt.Appendf(nil, "note %d", i))
	}
	request.Notes[3] = nil
	job, existed, err := book.Submit(t.Context(), "operator", request)
	require.NoError(t, err)
	require.False(t, existed)
	require.Equal(t, usage.JobAccepted, job.Status())
	require.Equal(t, 10, job.Count)
	require.Equal(t, clock.Now(), job.Created)
	require.True(t, job.Finished.IsZero())
	require.Equal(t, `acme {application="monitor", unit="asset"} accepted 3
acme {application="monitor", unit="minutes"} accepted 1
globex {} accepted 1
globex {application="monitor", unit="asset"} accepted 4
globex {application="monitor", unit="minutes"} accepted 1`, lines(job))
	usagetest.Booked(t, book, usage.AllTenants()).Count(1)

	clock.Advance(time.Minute)
	require.Equal(t, 1, workAll(t, book))
	job, err = book.Job(t.Context(), "operator", "job-1")
	require.NoError(t, err)
	require.Equal(t, `acme {application="monitor", unit="asset"} verification_failed 1
acme {application="monitor", unit="asset"} booked 1
acme {application="monitor", unit="asset"} billed 1
acme {application="monitor", unit="minutes"} booked 1
globex {} booked 1
globex {application="monitor", unit="asset"} failed 2
globex {application="monitor", unit="asset"} billed 1
globex {application="monitor", unit="asset"} billing_failed 1
globex {application="monitor", unit="minutes"} booked 1`, lines(job))
	require.Equal(t, usage.JobWithErrors, job.Status())
	require.Equal(t, clock.Now(), job.Finished)
	require.True(t, job.Started)
	status, n := job.StatusOf(func(l usage.JobLine) bool { unit, _ := l.Labels.Get("unit"); return unit == "minutes" })
	require.Equal(t, usage.JobCompleted, status)
	require.Equal(t, 2, n)
	status, n = job.StatusOf(func(l usage.JobLine) bool { return l.Tenant == "acme" })
	require.Equal(t, usage.JobWithErrors, status)
	require.Equal(t, 4, n)
	usagetest.Booked(t, book, usage.ForTenant("acme")).Count(2).Total("quantity", "13")
	require.Equal(t, map[usage.Identity]int{{Tenant: "acme", Source: "uts", ID: "0"}: 1, {Tenant: "globex", Source: "uts", ID: "3"}: 1, {Tenant: "globex", Source: "uts", ID: "4"}: 1}, biller.seen)

	failed, err := book.JobErrors(t.Context(), "operator", "job-1")
	require.NoError(t, err)
	require.Len(t, failed, 4)
	require.Equal(t, 1, failed[0].Index)
	require.Equal(t, usage.ValidationError, failed[0].Kind)
	require.Equal(t, usage.ItemVerificationFailed, failed[0].State)
	require.Equal(t, "note 1", string(failed[0].Note))
	require.Equal(t, rules.CodeMax, failed[0].Violations[0].Code)
	require.Equal(t, "assets", failed[0].Violations[0].Rule)
	require.Equal(t, []rules.Param{{Name: "max", Value: "1000"}, {Name: "quantity", Value: "5000"}}, failed[0].Violations[0].Params)
	require.True(t, usage.SameContent(&request.Records[1], &failed[0].Record))
	require.Equal(t, request.Records[1].Identity(), failed[0].Record.Identity())
	require.Equal(t, usage.JobError{Index: 3, Record: failed[1].Record, State: usage.ItemBillingFailed, Kind: usage.BillingError, BillingID: "B-17", Message: "the account is closed"}, failed[1])
	require.Equal(t, usage.OtherError, failed[2].Kind)
	require.Equal(t, usage.CodeConflict, failed[2].Violations[0].Code)
	require.Equal(t, 6, failed[3].Index)
	require.Equal(t, usage.CodeRequired, failed[3].Violations[0].Code)
	require.Equal(t, "id: is required (required)", failed[3].Message)
}

// TestJobFaults submits records that have no JSON form: each fails by itself,
// from the start, with what could be read of it.
func TestJobFaults(t *testing.T) {
	t.Parallel()
	dimensions := make([]usage.Dimension, 5000)
	for i := range dimensions {
		dimensions[i] = usage.Dimension{Name: fmt.Sprintf("d%04d", i), Value: "v"}
	}
	for name, c := range map[string]struct {
		change func(r usage.Record) usage.Record
		code   string
		field  string
	}{
		"fault of a decoder":  {func(r usage.Record) usage.Record { return r.WithFault("start", usage.CodeSyntax, "is no instant") }, usage.CodeSyntax, "start"},
		"fault of the tenant": {func(r usage.Record) usage.Record { return r.WithFault("tenant", usage.CodeType, "is a number") }, usage.CodeType, "tenant"},
		"fault of a value": {func(r usage.Record) usage.Record {
			r.Values = r.Values.WithFault("quantity", usage.CodeSyntax, "is no number")
			return r
		}, usage.CodeSyntax, "values.quantity"},
		"value too large":  {func(r usage.Record) usage.Record { r.Values = usage.Quantity(decimal.New(1, 1<<30)); return r }, usage.CodeOutOfRange, "values.quantity"},
		"broken tenant":    {func(r usage.Record) usage.Record { r.Tenant = "a\xff"; return r }, usage.CodeCharacters, "tenant"},
		"broken dimension": {func(r usage.Record) usage.Record { r.Dimensions = r.Dimensions.With("d", "\xff"); return r }, usage.CodeCharacters, "dimensions.d"},
		"broken name":      {func(r usage.Record) usage.Record { r.Dimensions = r.Dimensions.With("\xff", "x"); return r }, usage.CodeCharacters, "dimensions"},
		"dimension twice": {func(r usage.Record) usage.Record {
			r.Dimensions = usage.NewDimensions(usage.Dimension{Name: "d"}, usage.Dimension{Name: "d"})
			return r
		}, usage.CodeDuplicate, "dimensions.d"},
		"value twice": {func(r usage.Record) usage.Record {
			r.Values = usage.NewValues(usage.Value{Name: "v"}, usage.Value{Name: "v"})
			return r
		}, usage.CodeDuplicate, "values.v"},
		"year 10000": {func(r usage.Record) usage.Record { r.Start = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC); return r }, usage.CodeOutOfRange, "start"},
		"unknown correction": {func(r usage.Record) usage.Record {
			r.Corrects = &usage.Correction{Kind: 9, Source: "s", ID: "\xff"}
			return r
		}, usage.CodeCorrection, "corrects"},
		"many dimensions": {func(r usage.Record) usage.Record { r.Dimensions = usage.NewDimensions(dimensions...); return r }, usage.CodeTooMany, "dimensions"},
		"very long dimension": {func(r usage.Record) usage.Record {
			r.Dimensions = r.Dimensions.With("d", strings.Repeat("x", 5<<20))
			return r
		}, usage.CodeTooLong, "dimensions.d"},
		"very long id": {func(r usage.Record) usage.Record { r.ID = strings.Repeat("é", 3<<20); return r }, usage.CodeTooLong, "id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			book := newBook(t, nil)
			bad := c.change(appRecord("bad", "acme", "asset", 1))
			job, _, err := book.Submit(t.Context(), "op", usage.JobRequest{Records: []usage.Record{plainRecord("1"), bad, plainRecord("3")},
				Notes: [][]byte{[]byte("a"), {0xff, 0}, nil}, Labels: []string{"unit"}})
			require.NoError(t, err)
			require.Equal(t, usage.JobAccepted, job.Status())
			check := func() {
				t.Helper()
				failed, err := book.JobErrors(t.Context(), "op", job.ID)
				require.NoError(t, err)
				require.Len(t, failed, 1)
				require.Equal(t, 1, failed[0].Index)
				require.Equal(t, usage.ItemFailed, failed[0].State)
				require.Equal(t, usage.OtherError, failed[0].Kind)
				require.Equal(t, []byte{0xff, 0}, failed[0].Note)
				require.Equal(t, c.code, failed[0].Violations[0].Code, "%v", failed[0].Violations)
				require.Equal(t, c.field, failed[0].Violations[0].Field)
				require.Equal(t, "app", failed[0].Record.Meter, "what could be read is there")
				require.NotEmpty(t, failed[0].Message)
			}
			check()
			workAll(t, book)
			check()
			job, err = book.Job(t.Context(), "op", job.ID)
			require.NoError(t, err)
			require.Equal(t, usage.JobWithErrors, job.Status())
			usagetest.Booked(t, book, usage.AllTenants()).Count(2)

			job, _, err = book.Submit(t.Context(), "op", usage.JobRequest{Records: []usage.Record{bad, bad}})
			require.NoError(t, err)
			require.Equal(t, usage.JobWithErrors, job.Status(), "there is nothing to work on")
			require.False(t, job.Finished.IsZero())
			require.Zero(t, workAll(t, book))
		})
	}
}

func TestSubmitRefusals(t *testing.T) {
	t.Parallel()
	book := newBook(t, &usage.Options{JobSize: 2})
	one := []usage.Record{plainRecord("1")}
	wide := usage.Record{Tenant: "acme", Source: "s", ID: "1", Meter: "m", Start: noon, Values: usage.Quantity(decimal.New(1, 0))}
	for i := range 60 {
		wide.Dimensions = wide.Dimensions.With(fmt.Sprint("d", i), strings.Repeat("\x01", 4096))
	}
	many := make([]string, 9)
	for i := range many {
		many[i] = fmt.Sprint("l", i)
	}
	for name, c := range map[string]struct {
		request usage.JobRequest
		kind    error
	}{
		"id with a control character": {usage.JobRequest{ID: "a\nb"}, usage.ErrInvalid},
		"long id":                     {usage.JobRequest{ID: strings.Repeat("x", 129)}, usage.ErrInvalid},
		"long key":                    {usage.JobRequest{Key: strings.Repeat("x", 257)}, usage.ErrInvalid},
		"key with NUL":                {usage.JobRequest{Key: "a\x00"}, usage.ErrInvalid},
		"broken digest":               {usage.JobRequest{Digest: "\xff"}, usage.ErrInvalid},
		"notes for others":            {usage.JobRequest{Records: one, Notes: [][]byte{nil, nil}}, usage.ErrInvalid},
		"year 0":                      {usage.JobRequest{Created: time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)}, usage.ErrInvalid},
		"nine labels":                 {usage.JobRequest{Labels: many}, usage.ErrInvalid},
		"empty label":                 {usage.JobRequest{Labels: []string{""}}, usage.ErrInvalid},
		"three records":               {usage.JobRequest{Records: []usage.Record{one[0], one[0], one[0]}}, usage.ErrTooLarge},
		"notes of 70 MB":              {usage.JobRequest{Records: one, Notes: [][]byte{make([]byte, 70<<20)}}, usage.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := book.Submit(t.Context(), "op", c.request)
			require.ErrorIs(t, err, c.kind)
		})
	}
	// What a record may have fits, at its longest.
	job, _, err := book.Submit(t.Context(), "op", usage.JobRequest{Records: []usage.Record{wide}})
	require.NoError(t, err)
	workAll(t, book)
	job, err = book.Job(t.Context(), "op", job.ID)
	require.NoError(t, err)
	require.Equal(t, usage.JobCompleted, job.Status())

	// Labels that differ in every record would make the list of jobs as long as
	// the jobs.
	labelled := newBook(t, nil)
	var records []usage.Record
	for i := range 400 {
		r := plainRecord(fmt.Sprint(i))
		r.Dimensions = r.Dimensions.With("label", strings.Repeat("x", 4000)+fmt.Sprint(i))
		records = append(records, r)
	}
	_, _, err = labelled.Submit(t.Context(), "op", usage.JobRequest{Records: records, Labels: []string{"label"}})
	require.ErrorIs(t, err, usage.ErrTooLarge)
	_, _, err = labelled.Submit(t.Context(), "op", usage.JobRequest{Records: records})
	require.NoError(t, err)

	job, _, err = labelled.Submit(t.Context(), "op", usage.JobRequest{})
	require.NoError(t, err)
	require.Equal(t, usage.JobAccepted, job.Status())
	workAll(t, labelled)
	job, err = labelled.Job(t.Context(), "op", job.ID)
	require.NoError(t, err)
	require.Equal(t, usage.JobCompleted, job.Status(), "a job without records has nothing to do")
}

func TestSubmitOnce(t *testing.T) {
	t.Parallel()
	book := newBook(t, nil)
	submit := func(owner, id, key, digest, record string) (*usage.Job, bool, error) {
		return book.Submit(t.Context(), owner, usage.JobRequest{ID: id, Key: key, Digest: digest, Records: []usage.Record{plainRecord(record)}})
	}
	first, existed, err := submit("op", "", "key", "digest", "1")
	require.NoError(t, err)
	require.False(t, existed)
	again, existed, err := submit("op", "", "key", "digest", "1")
	require.NoError(t, err)
	require.True(t, existed)
	require.Equal(t, first, again)
	_, _, err = submit("op", "", "key", "other", "1")
	require.ErrorIs(t, err, usage.ErrKeyReused)
	other, existed, err := submit("another", "", "key", "other", "1")
	require.NoError(t, err)
	require.False(t, existed, "keys are each owner's own")
	require.NotEqual(t, first.ID, other.ID)

	// Without a Key the ID does, and without a Digest the content.
	named, existed, err := submit("op", "named", "", "", "1")
	require.NoError(t, err)
	require.False(t, existed)
	again, existed, err = submit("op", "named", "", "", "1")
	require.NoError(t, err)
	require.True(t, existed)
	require.Equal(t, named, again)
	_, _, err = submit("op", "named", "", "", "2")
	require.ErrorIs(t, err, usage.ErrKeyReused)
	_, _, err = submit("another", "named", "", "", "1")
	require.ErrorIs(t, err, usage.ErrTaskExists)
	require.NotErrorIs(t, err, usage.ErrKeyReused)

	// The first job is the answer however far it is.
	workAll(t, book)
	again, existed, err = submit("op", "", "key", "digest", "1")
	require.NoError(t, err)
	require.True(t, existed)
	require.Equal(t, usage.JobCompleted, again.Status())
	list, err := book.Jobs(t.Context(), "op", usage.JobsQuery{})
	require.NoError(t, err)
	require.Len(t, list, 2)
}

func TestSubmitRaces(t *testing.T) {
	t.Parallel()
	book := newBook(t, nil)
	var wg sync.WaitGroup
	var mu sync.Mutex
	ids, fresh := map[string]bool{}, 0
	for i := range 16 {
		wg.Go(func() {
			job, existed, err := book.Submit(t.Context(), "op", usage.JobRequest{Key: "k", Digest: "d", Records: []usage.Record{plainRecord(fmt.Sprint(i))}})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
				return
			}
			ids[job.ID] = true
			if !existed {
				fresh++
			}
		})
	}
	wg.Wait()
	require.Len(t, ids, 1)
	require.Equal(t, 1, fresh)
	workAll(t, book)
	usagetest.Booked(t, book, usage.AllTenants()).Count(1)
}

func TestKeepJobs(t *testing.T) {
	t.Parallel()
	store, clock := newHooked(), usagetest.NewClock(noon)
	book := over(t, store, clock, usage.Options{KeepJobs: 3})
	submit := func(owner, id string) {
		t.Helper()
		_, _, err := book.Submit(t.Context(), owner, usage.JobRequest{ID: id, Records: []usage.Record{plainRecord(id)}})
		require.NoError(t, err)
	}
	ids := func() (out []string) {
		t.Helper()
		list, err := book.Jobs(t.Context(), "op", usage.JobsQuery{})
		require.NoError(t, err)
		for _, j := range list {
			out = append(out, j.ID)
		}
		return out
	}
	submit("another", "theirs")
	for i := range 5 {
		submit("op", fmt.Sprint("job-", i)) // at one instant: ids decide
	}
	require.Equal(t, []string{"job-4", "job-3", "job-2"}, ids())
	for _, id := range []string{"job-0", "job-1", "theirs", "nobody"} {
		_, err := book.Job(t.Context(), "op", id)
		require.ErrorIs(t, err, usage.ErrNotFound)
		_, err = book.JobErrors(t.Context(), "op", id)
		require.ErrorIs(t, err, usage.ErrNotFound)
		_, err = book.AwaitJob(t.Context(), "op", id, time.Hour)
		require.ErrorIs(t, err, usage.ErrNotFound)
	}
	_, err := book.Job(t.Context(), "another", "theirs")
	require.NoError(t, err, "others' jobs count for others")

	// What nobody can read any more is done all the same, and then deleted.
	require.Equal(t, 6, workAll(t, book))
	usagetest.Booked(t, book, usage.AllTenants()).Count(6)
	stored := func() int {
		list, err := store.Tasks(t.Context(), usage.TaskSelection{Kind: "job", Owner: "op"})
		require.NoError(t, err)
		return len(list)
	}
	require.Equal(t, 3, stored())
	clock.Advance(time.Minute)
	submit("op", "a-later-one")
	require.Equal(t, []string{"a-later-one", "job-4", "job-3"}, ids())
	require.Equal(t, 4, stored())
	store.on(func(_ context.Context, call string) (before, after error) {
		if call == "Tasks" {
			return errCut, nil
		}
		return nil, nil
	})
	workAll(t, book) // the work is done, the deletion is left for the next job
	store.on(nil)
	require.Equal(t, 4, stored())
	submit("op", "z")
	workAll(t, book)
	require.Equal(t, 3, stored())
}

func TestJobsByTime(t *testing.T) {
	t.Parallel()
	clock := usagetest.NewClock(noon)
	book := over(t, memstore.New(nil), clock, usage.Options{KeepJobs: 9})
	for i := range 12 {
		_, _, err := book.Submit(t.Context(), "op", usage.JobRequest{ID: fmt.Sprintf("job-%02d", i), Records: []usage.Record{plainRecord(fmt.Sprint(i))}})
		require.NoError(t, err)
		clock.Advance(time.Hour)
	}
	_, _, err := book.Submit(t.Context(), "op", usage.JobRequest{ID: "job-13", Created: noon.Add(90*time.Minute + 999)})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		from, to time.Time
		want     string
	}{
		"all that are kept":       {time.Time{}, time.Time{}, "11 10 09 08 07 06 05 04 03"},
		"the end is not in it":    {noon.Add(4 * time.Hour), noon.Add(6 * time.Hour), "05 04"},
		"an open beginning":       {time.Time{}, noon.Add(5 * time.Hour), "04 03"},
		"an open end":             {noon.Add(10 * time.Hour), time.Time{}, "11 10"},
		"a bound within a micro":  {noon.Add(10*time.Hour + 1), time.Time{}, "11"},
		"nothing":                 {noon.Add(100 * time.Hour), time.Time{}, ""},
		"older than what is kept": {noon, noon.Add(3 * time.Hour), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list, err := book.Jobs(t.Context(), "op", usage.JobsQuery{From: c.from, To: c.to})
			require.NoError(t, err)
			var got []string
			for _, j := range list {
				got = append(got, strings.TrimPrefix(j.ID, "job-"))
			}
			require.Equal(t, c.want, strings.Join(got, " "))
		})
	}
}

// TestRulesJudgeAsOfAcceptance: that a worker is late is no fault of the usage.
func TestRulesJudgeAsOfAcceptance(t *testing.T) {
	t.Parallel()
	clock := usagetest.NewClock(usagetest.Epoch().Add(23 * time.Hour))
	book := over(t, memstore.New(nil), clock, usage.Options{Rules: assets(t)})
	for _, created := range []time.Time{{}, usagetest.Epoch().Add(25 * time.Hour)} {
		_, _, err := book.Submit(t.Context(), "op", usage.JobRequest{Created: created, Records: []usage.Record{appRecord(created.String(), "acme", "asset", 1)}})
		require.NoError(t, err)
	}
	late := clock.Advance(48 * time.Hour)
	workAll(t, book)
	list, err := book.Jobs(t.Context(), "op", usage.JobsQuery{})
	require.NoError(t, err)
	require.Equal(t, usage.JobWithErrors, list[0].Status())
	require.Equal(t, usage.JobCompleted, list[1].Status())
	for row, err := range book.Rows(t.Context(), usage.AllTenants(), usage.Query{}) {
		require.NoError(t, err)
		require.Equal(t, late, row.Record.Recorded, "it is booked when it is booked")
	}
}

// TestJobOfManyBatches has a job go through in several batches, and shows how
// far it is in between.
func TestJobOfManyBatches(t *testing.T) {
	t.Parallel()
	store := newHooked()
	book := over(t, store, nil, usage.Options{BatchSize: 3})
	var records []usage.Record
	for i := range 8 {
		records = append(records, plainRecord(fmt.Sprint(i)))
	}
	records[4].Meter = ""
	submitted, _, err := book.Submit(t.Context(), "op", usage.JobRequest{Records: records})
	require.NoError(t, err)
	var seen []string
	store.on(func(_ context.Context, call string) (before, after error) {
		if call == "Append" {
			job, err := book.Job(t.Context(), "op", submitted.ID)
			if err == nil {
				err = errors.New(job.Status().String())
			}
			seen = append(seen, err.Error()+": "+strings.ReplaceAll(lines(job), "\n", ", "))
		}
		return nil, nil
	})
	workAll(t, book)
	require.Equal(t, []string{
		"in_progress: acme {} accepted 8",
		"in_progress: acme {} accepted 5, acme {} booked 3",
		"in_progress: acme {} accepted 2, acme {} failed 1, acme {} booked 5",
	}, seen)
	job, err := book.Job(t.Context(), "op", submitted.ID)
	require.NoError(t, err)
	require.Equal(t, "acme {} failed 1\nacme {} booked 7", lines(job))
	usagetest.Booked(t, book, usage.AllTenants()).Count(7)
}

// picky is a store with a limit of its own, which it meets with an error.
type picky struct{ *memstore.Store }

func (s picky) Append(ctx context.Context, b *usage.Batch) ([]usage.ReceiptEntry, error) {
	for i := range b.Len() {
		if n, ok := b.At(i).Record.Values.Number("quantity"); ok && n.Equal(aggregate.Int(13)) {
			return nil, fmt.Errorf("picky: %w: no thirteen here", usage.ErrTooLarge)
		}
	}
	return s.Store.Append(ctx, b)
}

func TestLimitOfTheStore(t *testing.T) {
	t.Parallel()
	book := over(t, picky{memstore.New(nil)}, nil, usage.Options{})
	var records []usage.Record
	for i := range 40 {
		r := plainRecord(fmt.Sprint(i))
		r.Values = usage.Quantity(decimal.NewFromInt(int64(i)))
		records = append(records, r)
	}
	job, _, err := book.Submit(t.Context(), "op", usage.JobRequest{Records: records})
	require.NoError(t, err)
	workAll(t, book)
	job, err = book.Job(t.Context(), "op", job.ID)
	require.NoError(t, err)
	require.Equal(t, "acme {} failed 1\nacme {} booked 39", lines(job))
	failed, err := book.JobErrors(t.Context(), "op", job.ID)
	require.NoError(t, err)
	require.Equal(t, 13, failed[0].Index)
	require.Contains(t, failed[0].Message, "no thirteen here")
	require.Equal(t, usage.OtherError, failed[0].Kind)
}

// TestJobRetries: a store that does not answer costs time and nothing else.
func TestJobRetries(t *testing.T) {
	t.Parallel()
	store, clock := newHooked(), usagetest.NewClock(usagetest.Epoch())
	book := over(t, store, clock, usage.Options{Rules: assets(t)})
	job, _, err := book.Submit(t.Context(), "op", usage.JobRequest{Labels: []string{"unit"}, Records: []usage.Record{
		appRecord("1", "acme", "asset", 1), appRecord("2", "acme", "minutes", 1), appRecord("3", "acme", "asset", 5000)}})
	require.NoError(t, err)
	down := true
	store.on(func(_ context.Context, call string) (before, after error) {
		if call == "Append" && down {
			return errCut, nil
		}
		return nil, nil
	})
	want := time.Second
	for range 12 {
		did, err := book.Work(t.Context())
		require.True(t, did)
		require.ErrorIs(t, err, usage.ErrUnavailable)
		job, err = book.Job(t.Context(), "op", job.ID)
		require.NoError(t, err)
		require.Equal(t, usage.JobInProgress, job.Status())
		require.Equal(t, "acme {unit=\"asset\"} accepted 1\nacme {unit=\"asset\"} verified 1\nacme {unit=\"minutes\"} no_rule 1", lines(job))

		clock.Advance(want - time.Microsecond)
		did, err = book.Work(t.Context())
		require.NoError(t, err)
		require.False(t, did, "before the pause of %s is over", want)
		clock.Advance(time.Microsecond)
		want = min(2*want, 5*time.Minute)
	}
	down = false
	require.Equal(t, 1, workAll(t, book))
	job, err = book.Job(t.Context(), "op", job.ID)
	require.NoError(t, err)
	require.Equal(t, usage.JobWithErrors, job.Status())
	usagetest.Booked(t, book, usage.AllTenants()).Count(2)
}

func TestLostJobs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		lost bool
	}{
		"no JSON":            {"{", true},
		"records of no kind": {`{"v":1,"records":{}}`, true},
		"too few records":    {`{"v":1,"records":[]}`, true},
		"a broken record":    {`{"v":1,"records":[1,2]}`, true},
		"an error of nobody": {`{"v":1,"records":[{},{}],"errors":[{"i":2,"s":"failed"}]}`, true},
		"an unknown state":   {`{"v":1,"records":[{},{}],"errors":[{"i":1,"s":"merry"}]}`, true},
		"too many notes":     {`{"v":1,"records":[{},{}],"notes":["","",""]}`, true},
		"no form":            {`{"records":[{},{}]}`, true},
		"a newer form":       {`{"v":2,"records":[{},{}]}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, clock := memstore.New(nil), usagetest.NewClock(noon)
			book := over(t, store, clock, usage.Options{})
			job, _, err := book.Submit(t.Context(), "op", usage.JobRequest{Records: []usage.Record{plainRecord("1"), plainRecord("2")}})
			require.NoError(t, err)
			task, err := store.Task(t.Context(), "job", job.ID)
			require.NoError(t, err)
			task.Body = []byte(c.body)
			require.NoError(t, store.PutTask(t.Context(), task))
			did, err := book.Work(t.Context())
			require.True(t, did)
			if !c.lost {
				require.Error(t, err)
				job, err = book.Job(t.Context(), "op", job.ID)
				require.NoError(t, err)
				require.True(t, job.Finished.IsZero(), "it is left to who knows the form")
				clock.Advance(30 * time.Second)
				did, _ = book.Work(t.Context())
				require.True(t, did)
				task, err = store.Task(t.Context(), "job", job.ID)
				require.NoError(t, err)
				require.Zero(t, task.Attempts)
				return
			}
			require.NoError(t, err)
			job, err = book.Job(t.Context(), "op", job.ID)
			require.NoError(t, err)
			require.Equal(t, "acme {} failed 2", lines(job))
			failed, err := book.JobErrors(t.Context(), "op", job.ID)
			require.NoError(t, err)
			require.Len(t, failed, 2)
			require.Equal(t, 1, failed[1].Index)
			require.Contains(t, failed[1].Message, "cannot be read")
			require.Zero(t, workAll(t, book))
		})
	}
}

func TestBillerFaults(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(ctx context.Context, records []*usage.Stored) ([]usage.Billed, error){
		"an error": func(context.Context, []*usage.Stored) ([]usage.Billed, error) { return nil, errors.New("no line") },
		"a panic":  func(context.Context, []*usage.Stored) ([]usage.Billed, error) { panic("no line") },
		"results for others": func(_ context.Context, r []*usage.Stored) ([]usage.Billed, error) {
			return make([]usage.Billed, len(r)+1), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := usagetest.NewClock(usagetest.Epoch())
			var holder rules.Holder
			holder.Swap(assets(t))
			biller := &swapped{bill: fault}
			book := over(t, memstore.New(nil), clock, usage.Options{Rules: &holder, Biller: biller})
			job, _, err := book.Submit(t.Context(), "op", usage.JobRequest{Records: []usage.Record{
				appRecord("1", "acme", "asset", 1), appRecord("2", "acme", "minutes", 1), appRecord("3", "acme", "asset", 5000)}})
			require.NoError(t, err)
			did, err := book.Work(t.Context())
			require.True(t, did)
			require.Error(t, err)
			job, err = book.Job(t.Context(), "op", job.ID)
			require.NoError(t, err)
			require.Equal(t, usage.JobInProgress, job.Status())
			usagetest.Booked(t, book, usage.AllTenants()).Count(2)

			// The verdict that counts is the one it was booked with.
			none, err := rules.New("v2", nil, nil)
			require.NoError(t, err)
			holder.Swap(none)
			good := &bills{}
			biller.bill = good.Bill
			clock.Advance(time.Hour)
			require.Equal(t, 1, workAll(t, book))
			require.Equal(t, map[usage.Identity]int{{Tenant: "acme", Source: "uts", ID: "1"}: 1}, good.seen)
			job, err = book.Job(t.Context(), "op", job.ID)
			require.NoError(t, err)
			require.Equal(t, "acme {} booked 2\nacme {} billed 1", lines(job), "the third is judged by the rules of now, because it was not booked")
		})
	}
}

// swapped is a Biller that can be exchanged.
type swapped struct {
	bill func(ctx context.Context, records []*usage.Stored) ([]usage.Billed, error)
}

func (b *swapped) Bill(ctx context.Context, records []*usage.Stored) ([]usage.Billed, error) {
	return b.bill(ctx, records)
}

// TestJobCrashes ends the process at every call of the store that a job makes,
// before the call and after it, and has another process go on: what becomes of
// the job and of the book is always the same.
func TestJobCrashes(t *testing.T) {
	t.Parallel()
	var records []usage.Record
	for i := range 11 {
		r := appRecord(fmt.Sprint(i), []string{"acme", "globex"}[i%2], []string{"asset", "asset", "minutes"}[i%3], []int64{1, 7, 5000, 2}[i%4])
		if i == 6 {
			r.ID = "4" // another content
		}
		if i == 8 {
			r = r.WithFault("start", usage.CodeSyntax, "is no instant")
		}
		records = append(records, r)
	}
	type result struct {
		lines, errors, booked string
		billed                map[usage.Identity]int
	}
	// run goes through the job, and ends the process at the call with the number
	// at, 0 for never. It returns how many calls there were.
	run := func(t *testing.T, at int, after bool) (result, int) {
		store, clock := newHooked(), usagetest.NewClock(usagetest.Epoch())
		biller := &bills{bill: func(_ context.Context, s *usage.Stored) usage.Billed {
			if s.ID == "0" {
				return usage.Billed{ID: "B-0", Err: errors.New("refused")}
			}
			return usage.Billed{}
		}}
		open := func() *usage.Book {
			return over(t, store, clock, usage.Options{Rules: assets(t), Biller: biller, BatchSize: 4, TaskLease: time.Minute})
		}
		book := open()
		calls := 0
		store.on(func(context.Context, string) (error, error) {
			if calls++; at == 0 || calls < at {
				return nil, nil
			}
			if calls == at && after {
				return nil, errCut
			}
			return errCut, errCut
		})
		request := usage.JobRequest{ID: "job", Key: "key", Digest: "digest", Labels: []string{"unit"}, Records: records}
		_, _, err := book.Submit(t.Context(), "op", request)
		if err == nil {
			_, err = book.Work(t.Context())
		}
		require.True(t, at > 0 || err == nil, "%v", err)
		total := calls
		if at > 0 {
			// The client saw no answer, or the worker is dead.
			store.on(nil)
			book = open()
			_, _, err := book.Submit(t.Context(), "op", request)
			require.NoError(t, err)
			clock.Advance(time.Minute)
			workAll(t, book)
		}
		store.on(nil)
		job, err := book.Job(t.Context(), "op", "job")
		require.NoError(t, err)
		require.False(t, job.Finished.IsZero(), "the job is finished")
		failed, err := book.JobErrors(t.Context(), "op", "job")
		require.NoError(t, err)
		out := result{lines: lines(job), billed: map[usage.Identity]int{}}
		for _, f := range failed {
			out.errors += fmt.Sprintf("%+v\n", f)
		}
		for row, err := range book.Rows(t.Context(), usage.AllTenants(), usage.Query{}) {
			require.NoError(t, err)
			out.booked += fmt.Sprintln(row.Record.Record, row.Record.Sequence, row.Record.Verdict)
		}
		for id, n := range biller.seen {
			require.LessOrEqual(t, n, 2, "once for each process")
			out.billed[id] = 1
		}
		require.Zero(t, workAll(t, book))
		return out, total
	}
	want, calls := run(t, 0, false)
	require.Contains(t, want.lines, "billing_failed")
	require.Contains(t, want.lines, "verification_failed")
	require.Greater(t, calls, 12)
	for at := 1; at <= calls; at++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("call %d, after it %v", at, after), func(t *testing.T) {
				t.Parallel()
				got, _ := run(t, at, after)
				require.Equal(t, want, got)
			})
		}
	}
}
