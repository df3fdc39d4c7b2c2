package durabletest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/postgresstore/pgtest"
)

// share is the part of a child that writes beside others: they all send the same
// records, each of them some and most of them several times.
type share struct {
	// Process is which of Processes this one is, each with so many Writers.
	Process, Processes, Writers int
	// Records is how many different ones there are, Copies how many writers send
	// each.
	Records, Copies int
	// Jobs is how many jobs the process submits, of JobRecords each.
	Jobs, JobRecords int
}

// shared returns one of the records that all writers know.
func (s script) shared(i int) usage.Record {
	return record(rand.New(rand.NewPCG(s.seed, uint64(i))), fmt.Sprintf("s%d", i%7), fmt.Sprintf("r%d", i))
}

// job returns the records of a job; they are billable.
func (s script) job(process, job, records int) []usage.Record {
	out := make([]usage.Record, records)
	for i := range out {
		r := record(rand.New(rand.NewPCG(s.seed, uint64(i))), fmt.Sprintf("p%d", process), fmt.Sprintf("j%d-%d", job, i))
		r.Meter = "billed"
		out[i] = r
	}
	return out
}

// queue returns what a writer sends.
func (r *role) queue(writer int) []usage.Record {
	s, all := script{r.Seed}, r.Share.Processes*r.Share.Writers
	me := r.Share.Process*r.Share.Writers + writer
	var out []usage.Record
	for i := range r.Share.Records {
		for c := range r.Share.Copies {
			if (i*5+c*(all/2+1))%all == me {
				out = append(out, s.shared(i))
			}
		}
	}
	rng := rand.New(rand.NewPCG(r.Seed, uint64(me)))
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// shareRole writes beside others, submits jobs and works on everybody's, until it
// is told to end.
func shareRole(ctx context.Context, r *role) error {
	store, closeAll, err := openStore(ctx, r.Store)
	if err != nil {
		return err
	}
	defer closeAll()
	defer store.Close()
	book, err := usage.New(store, &usage.Options{Rules: billing{}, RollInterval: 20 * time.Millisecond, RollBatch: 500,
		TaskInterval: 20 * time.Millisecond, Biller: biller{}, Logger: slog.New(slog.NewTextHandler(loud{}, nil))})
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	var faults []error
	do := func(f func() error) {
		all.Go(func() {
			if err := f(); err != nil && ctx.Err() == nil {
				mu.Lock()
				defer mu.Unlock()
				faults = append(faults, err)
			}
		})
	}
	background, stop := context.WithCancel(ctx)
	ran := make(chan error, 1)
	go func() { ran <- book.Run(background) }()
	for w := range r.Share.Writers {
		do(func() error {
			rng := rand.New(rand.NewPCG(r.Seed, uint64(w)))
			for queue := r.queue(w); len(queue) > 0; {
				n := min(1+rng.IntN(40), len(queue))
				receipt, err := book.Append(ctx, queue[:n]...)
				if err != nil {
					return fmt.Errorf("writer %d: %w", w, err)
				}
				say("ok", receipt.Inserted, receipt.Duplicates)
				queue = queue[n:]
			}
			return nil
		})
	}
	do(func() error {
		s := script{r.Seed}
		for n := range r.Share.Jobs {
			req := usage.JobRequest{ID: fmt.Sprintf("%d-%d", r.Share.Process, n), Records: s.job(r.Share.Process, n, r.Share.JobRecords)}
			if _, _, err := book.Submit(ctx, "owner", req); err != nil {
				return err
			}
			say("submitted", req.ID)
		}
		return nil
	})
	all.Wait()
	if err := errors.Join(faults...); err != nil {
		stop()
		<-ran
		return err
	}
	say("written")
	<-ctx.Done() // the others need this one's hands
	stop()
	return <-ran
}

// biller says what it has billed, so that whoever counts it is not among those
// who work.
type biller struct{}

func (biller) Bill(_ context.Context, records []*usage.Stored) ([]usage.Billed, error) {
	for _, r := range records {
		say("billed", r.Source+"/"+r.ID)
	}
	return make([]usage.Billed, len(records)), nil
}

// loud makes every warning of the background work heard.
type loud struct{}

func (loud) Write(line []byte) (int, error) {
	say("logged", strings.TrimSpace(string(line)))
	return len(line), nil
}

// sharing is a run of several processes over one store.
type sharing struct {
	t    *testing.T
	seed uint64
	name string
	share

	acked    atomic.Int64
	inserted atomic.Int64
	mu       sync.Mutex
	billed   map[string]int
	jobs     []string
	faults   []string
	children []*child
	written  chan struct{} // one for each child
}

func (s *sharing) hear(words []string) {
	switch words[0] {
	case "ok":
		s.inserted.Add(int64(number(words[1])))
		s.acked.Add(1)
	case "written":
		s.written <- struct{}{}
	case "submitted":
		s.mu.Lock()
		defer s.mu.Unlock()
		s.jobs = append(s.jobs, words[1])
	case "billed":
		s.mu.Lock()
		defer s.mu.Unlock()
		s.billed[words[1]]++
	default:
		s.mu.Lock()
		s.faults = append(s.faults, strings.Join(words, " "))
		s.mu.Unlock()
		if words[0] == "error" {
			s.written <- struct{}{}
		}
	}
}

// begin starts the children.
func (s *sharing) begin() {
	s.t.Helper()
	s.seed = rand.Uint64()
	s.billed = map[string]int{}
	s.written = make(chan struct{}, s.Processes+1)
	for p := range s.Processes {
		part := s.share
		part.Process = p
		s.children = append(s.children, start(s.t, &role{Name: "share", Store: s.name, Seed: s.seed, Share: part}, s.hear))
	}
}

// await waits for the end of all that the children send, and of all jobs.
func (s *sharing) await(book *usage.Book) {
	t := s.t
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	for range s.children {
		select {
		case <-s.written:
		case <-ctx.Done():
			t.Fatalf("seed %d: the writers are not done", s.seed)
		}
	}
	s.mu.Lock()
	jobs := slices.Clone(s.jobs)
	require.Emptyf(t, s.faults, "seed %d", s.seed)
	s.mu.Unlock()
	require.Lenf(t, jobs, s.Jobs*s.Processes, "seed %d: submitted jobs", s.seed)
	for _, id := range jobs {
		job, err := book.AwaitJob(ctx, "owner", id, 5*time.Minute)
		require.NoErrorf(t, err, "seed %d, job %s", s.seed, id)
		require.Equalf(t, usage.JobCompleted, job.Status(), "seed %d, job %s: %v", s.seed, id, job.Lines)
	}
	for _, c := range s.children {
		require.NoErrorf(t, c.end(), "seed %d", s.seed)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Emptyf(t, s.faults, "seed %d", s.seed)
	for p := range s.Processes {
		for n := range s.Jobs {
			for _, r := range (script{s.seed}).job(p, n, s.JobRecords) {
				require.Equalf(t, 1, s.billed[r.Source+"/"+r.ID], "seed %d: how often %v was billed", s.seed, r.Identity())
			}
		}
	}
	require.Lenf(t, s.billed, s.Processes*s.Jobs*s.JobRecords, "seed %d: billed records", s.seed)
}

// booked holds the book to what was sent, every record once, and its figures to
// the sums of them; others are those of the host's own transactions.
func (s *sharing) booked(store usage.Store, others []usage.Record) {
	t := s.t
	t.Helper()
	want := map[usage.Identity]usage.Record{}
	add := func(list ...usage.Record) {
		for _, r := range list {
			want[r.Identity()] = r
		}
	}
	for i := range s.Records {
		add(script{s.seed}.shared(i))
	}
	for p := range s.Processes {
		for n := range s.Jobs {
			add(script{s.seed}.job(p, n, s.JobRecords)...)
		}
	}
	add(others...)
	type total struct{ sum, count int64 }
	totals := map[string]total{}
	for _, r := range want {
		q, _ := r.Values.Number(usage.QuantityName)
		whole, _, _ := q.Small()
		k := r.Tenant + " " + r.Meter + " " + r.Start.Format(time.DateOnly)
		totals[k] = total{totals[k].sum + whole, totals[k].count + 1}
	}

	book, err := usage.New(store, nil)
	require.NoError(t, err)
	st, err := store.Checkpoint(t.Context(), usage.AsOf{Sequence: 1 << 62})
	require.NoError(t, err)
	seen := map[usage.Identity]bool{}
	last := usage.Stored{}
	for r, err := range store.Scan(t.Context(), usage.Selection{Scope: usage.AllTenants(), Mark: st.Mark, Order: usage.BySequence}) {
		require.NoErrorf(t, err, "seed %d", s.seed)
		sent, ok := want[r.Identity()]
		require.Truef(t, ok && usage.SameContent(&sent, &r.Record), "seed %d: nobody has sent %+v", s.seed, r.Record)
		require.Falsef(t, seen[r.Identity()], "seed %d: %v is there twice", s.seed, r.Identity())
		require.Falsef(t, r.Sequence <= last.Sequence || r.Recorded.Before(last.Recorded), "seed %d: %d of %v after %d of %v",
			s.seed, r.Sequence, r.Recorded, last.Sequence, last.Recorded)
		seen[r.Identity()] = true
		last = *r
	}
	require.Lenf(t, seen, len(want), "seed %d: booked records", s.seed)
	raw, err := usage.New(unrolled{store}, nil)
	require.NoError(t, err)
	for _, b := range []*usage.Book{book, raw} {
		got := map[string]total{}
		for r, err := range b.Rows(t.Context(), usage.AllTenants(), totalsQuery) {
			require.NoErrorf(t, err, "seed %d", s.seed)
			got[r.Get("tenant").Str()+" "+r.Get("meter").Str()+" "+r.Start.Format(time.DateOnly)] = total{
				r.Get(usage.QuantityName).Decimal().IntPart(), r.Get("records").Decimal().IntPart()}
		}
		require.Equalf(t, totals, got, "seed %d: totals, with rollups: %v", s.seed, b == book)
	}
	plan, err := book.Plan(t.Context(), usage.AllTenants(), totalsQuery)
	require.NoError(t, err)
	require.NotZerof(t, plan.Checkpoint, "seed %d: nothing was rolled", s.seed)
}

// look is a range of recorded time that had ended when it was read.
type look struct {
	from, to time.Time
	found    []usage.Identity
}

// reader reads adjacent ranges of recorded time up to now, until done is closed.
func reader(ctx context.Context, book *usage.Book, done <-chan struct{}) ([]look, error) {
	var all []look
	from := time.Time{}
	pause := time.NewTicker(15 * time.Millisecond)
	defer pause.Stop()
	for last := false; ; {
		to := book.Now()
		if to.After(from) {
			found, err := within(ctx, book, from, to)
			if err != nil {
				return all, err
			}
			all = append(all, look{from, to, found})
			from = to
		}
		if last {
			return all, nil
		}
		select {
		case <-pause.C:
		case <-done:
			// What was booked last has the recorded time of the last range or of
			// the next.
			<-pause.C
			last = true
		}
	}
}

func within(ctx context.Context, book *usage.Book, from, to time.Time) ([]usage.Identity, error) {
	var out []usage.Identity
	for r, err := range book.Rows(ctx, usage.AllTenants(), usage.Query{On: usage.RecordedTime, From: from, To: to}) {
		if err != nil {
			return nil, fmt.Errorf("the records from %v to %v: %w", from, to, err)
		}
		out = append(out, r.Record.Identity())
	}
	return out, nil
}

// ranges holds that every record is in exactly one of the ranges, and that none of
// them has grown since it was read.
func (s *sharing) ranges(book *usage.Book, all []look, records int) {
	t := s.t
	t.Helper()
	seen, filled := map[usage.Identity]bool{}, 0
	for _, l := range all {
		again, err := within(t.Context(), book, l.from, l.to)
		require.NoErrorf(t, err, "seed %d", s.seed)
		require.Equalf(t, l.found, again, "seed %d: the range from %v to %v, which had ended when it was first read", s.seed, l.from, l.to)
		for _, id := range again {
			require.Falsef(t, seen[id], "seed %d: %v is in two ranges", s.seed, id)
			seen[id] = true
		}
		if len(again) > 0 {
			filled++
		}
	}
	require.Lenf(t, seen, records, "seed %d: records in ranges", s.seed)
	require.Greaterf(t, filled, 1, "seed %d: of %d ranges so few have records that nothing was shown", s.seed, len(all))
	t.Logf("seed %d: %d records in %d ranges, %d of them with records", s.seed, len(seen), len(all), filled)
}

func TestProcessesOverSQLite(t *testing.T) {
	t.Parallel()
	s := &sharing{t: t, name: "sqlite:" + filepath.Join(t.TempDir(), "usage.db"),
		share: share{Processes: 2, Writers: 3, Records: times(3000), Copies: 3, Jobs: 20, JobRecords: 5}}
	store, closeAll, err := openStore(t.Context(), s.name)
	require.NoError(t, err)
	defer closeAll()
	defer store.Close()
	book, err := usage.New(store, &usage.Options{TaskInterval: 20 * time.Millisecond})
	require.NoError(t, err)
	s.begin()
	looks := s.read(book)
	s.await(book)
	require.EqualValues(t, s.Records, s.inserted.Load(), "inserted records")
	s.booked(store, nil)
	s.ranges(book, looks(), s.Records+s.Processes*s.Jobs*s.JobRecords)
}

// read begins to read ranges; the function ends it and returns them.
func (s *sharing) read(book *usage.Book) func() []look {
	done, ended := make(chan struct{}), make(chan struct{})
	var all []look
	var err error
	go func() {
		defer close(ended)
		all, err = reader(s.t.Context(), book, done)
	}()
	return func() []look {
		close(done)
		<-ended
		require.NoErrorf(s.t, err, "seed %d: reading ranges", s.seed)
		return all
	}
}

func TestProcessesOverPostgreSQL(t *testing.T) {
	t.Parallel()
	s := &sharing{t: t, name: pgtest.Shared(t, 0).Database(t) + "&pool_max_conns=8",
		share: share{Processes: 4, Writers: 8, Records: times(6000), Copies: 3, Jobs: 15, JobRecords: 5}}
	store, closeAll, err := openStore(t.Context(), s.name)
	require.NoError(t, err)
	defer closeAll()
	defer store.Close()
	book, err := usage.New(store, &usage.Options{TaskInterval: 20 * time.Millisecond})
	require.NoError(t, err)
	s.begin()
	looks := s.read(book)
	hosts := s.hostTransactions(book, store)
	s.await(book)
	others := hosts()
	require.EqualValuesf(t, s.Records, s.inserted.Load(), "seed %d: inserted records", s.seed)
	s.booked(store, others)
	s.ranges(book, looks(), s.Records+s.Processes*s.Jobs*s.JobRecords+len(others))
}

// hostTransactions has a host book usage in transactions of its own beside the
// writers: one that is left open for seconds, one that is rolled back after as
// long, and a row of short ones that send what the writers send, in an order that
// can meet theirs in a deadlock. The function waits for them and returns what only
// they have booked.
func (s *sharing) hostTransactions(book *usage.Book, store usage.Store) func() []usage.Record {
	t := s.t
	t.Helper()
	pool, err := pgxpool.New(t.Context(), s.name)
	require.NoError(t, err)
	appender, ok := store.(txAppender)
	require.True(t, ok, "the store books in the host's transactions")
	own := func(source string) []usage.Record {
		out := make([]usage.Record, 20)
		rng := rand.New(rand.NewPCG(s.seed, 1))
		for i := range out {
			out[i] = record(rng, source, fmt.Sprint(i))
		}
		return out
	}
	kept := own("kept")
	ctx := t.Context()
	var all sync.WaitGroup
	faults := make(chan error, 3)
	do := func(f func() error) {
		all.Go(func() {
			if err := f(); err != nil {
				faults <- err
			}
		})
	}
	// Both stay open for so long, and for so many batches of the writers: that
	// they go on is what is shown.
	const seconds, batches = 2, 100
	long := func(records []usage.Record, end func(pgx.Tx) error) error {
		tx, err := pool.Begin(ctx)
		if err != nil {
			return err
		}
		defer tx.Rollback(ctx)
		r, err := appender.AppendTx(ctx, book, tx, records...)
		if err != nil || r.Inserted != len(records) {
			return fmt.Errorf("AppendTx of new records: %+v, %w", r, err)
		}
		begun, from := time.Now(), s.acked.Load()
		look := time.NewTicker(10 * time.Millisecond)
		defer look.Stop()
		for time.Since(begun) < seconds*time.Second || s.acked.Load() < from+batches {
			if time.Since(begun) > time.Minute {
				return fmt.Errorf("the writers stand still while a transaction of the host is open: %d batches in a minute", s.acked.Load()-from)
			}
			<-look.C
		}
		return end(tx)
	}
	do(func() error { return long(kept, func(tx pgx.Tx) error { return tx.Commit(ctx) }) })
	do(func() error { return long(own("gone"), func(tx pgx.Tx) error { return tx.Rollback(ctx) }) })
	deadlocks := 0
	do(func() error {
		rng := rand.New(rand.NewPCG(s.seed, 2))
		short := func() error {
			tx, err := pool.Begin(ctx)
			if err != nil {
				return err
			}
			defer tx.Rollback(ctx)
			inserted := 0
			for range 2 {
				var list []usage.Record
				for range 5 {
					list = append(list, script{s.seed}.shared(rng.IntN(s.Records)))
				}
				r, err := appender.AppendTx(ctx, book, tx, list...)
				if err != nil {
					return err
				}
				inserted += r.Inserted
			}
			if rng.IntN(3) == 0 {
				return tx.Rollback(ctx)
			}
			if err := tx.Commit(ctx); err != nil {
				return err
			}
			s.inserted.Add(int64(inserted))
			return nil
		}
		for range 100 {
			err := short()
			var refused *pgconn.PgError
			switch {
			case errors.As(err, &refused) && (refused.Code == "40P01" || refused.Code == "40001"):
				deadlocks++ // the host's to try again, or not to
			case err != nil:
				return err
			}
		}
		return nil
	})
	return func() []usage.Record {
		t.Helper()
		all.Wait()
		pool.Close()
		close(faults)
		for err := range faults {
			require.NoErrorf(t, err, "seed %d: a transaction of the host", s.seed)
		}
		t.Logf("seed %d: %d deadlocks hit the host", s.seed, deadlocks)
		return kept
	}
}
