package usage_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/paginate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// completed executes a query and works until it is done.
func completed(t *testing.T, book *usage.Book, scope usage.Scope, q usage.Query) *usage.Execution {
	t.Helper()
	x, err := book.Execute(t.Context(), "op", scope, usage.ExecutionRequest{Query: q})
	require.NoError(t, err)
	workAll(t, book)
	x, err = book.Execution(t.Context(), "op", x.ID)
	require.NoError(t, err)
	require.Equal(t, usage.ExecutionComplete, x.State, x.Reason)
	return x
}

// rowsOf collects the rows of an execution in the form of a page.
func rowsOf(t *testing.T, book *usage.Book, id string) *usage.Page {
	t.Helper()
	page := &usage.Page{}
	for row, err := range book.ExecutionRows(t.Context(), "op", id) {
		require.NoError(t, err)
		page.Rows = append(page.Rows, row)
	}
	return page
}

// pagesOf collects them by pages.
func pagesOf(t *testing.T, book *usage.Book, id string, size int) *usage.Page {
	t.Helper()
	all := &usage.Page{}
	for token := ""; ; {
		page, err := book.ExecutionPage(t.Context(), "op", id, size, token)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Rows), size)
		all.Rows, all.Columns, all.Count = append(all.Rows, page.Rows...), page.Columns, page.Count
		if token = page.Next; token == "" {
			return all
		}
	}
}

func TestExecutionStates(t *testing.T) {
	t.Parallel()
	clock := usagetest.NewClock(noon)
	book := over(t, memstore.New(nil), clock, usage.Options{})
	mustAppend(t, book, plainRecord("1"), plainRecord("2"))
	x, err := book.Execute(t.Context(), "op", usage.ForTenant("acme"), usage.ExecutionRequest{Note: []byte("the caller's"), Query: usage.Query{
		GroupBy: []string{"meter"}, Measures: []usage.Measure{{Of: "quantity"}}}})
	require.NoError(t, err)
	require.Equal(t, &usage.Execution{ID: x.ID, Owner: "op", Created: noon, Expires: noon.Add(24 * time.Hour), State: usage.ExecutionRunning,
		AsOf: usage.AsOf{Sequence: 2}, Note: []byte("the caller's")}, x)
	require.Regexp(t, "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$", x.ID)
	for _, err := range book.ExecutionRows(t.Context(), "op", x.ID) {
		require.ErrorIs(t, err, usage.ErrNoResult)
		require.ErrorContains(t, err, "running")
	}
	_, err = book.ExecutionPage(t.Context(), "op", x.ID, 0, "")
	require.ErrorIs(t, err, usage.ErrNoResult)

	mustAppend(t, book, plainRecord("3")) // after it was accepted
	clock.Advance(time.Hour)
	require.Equal(t, 1, workAll(t, book))
	x, err = book.Execution(t.Context(), "op", x.ID)
	require.NoError(t, err)
	require.Equal(t, usage.ExecutionComplete, x.State)
	require.EqualValues(t, 1, x.Rows)
	require.Equal(t, noon.Add(time.Hour), x.Finished)
	require.Equal(t, noon.Add(25*time.Hour), x.Expires)
	require.Equal(t, "the caller's", string(x.Note))
	for row, err := range book.ExecutionRows(t.Context(), "op", x.ID) {
		require.NoError(t, err)
		require.Equal(t, "2", row.Get("quantity").String())
	}
	for _, owner := range []string{"another", "OP"} {
		_, err = book.Execution(t.Context(), owner, x.ID)
		require.ErrorIs(t, err, usage.ErrNotFound)
		_, err = book.Cancel(t.Context(), owner, x.ID)
		require.ErrorIs(t, err, usage.ErrNotFound)
		_, err = book.ExecutionPage(t.Context(), owner, x.ID, 0, "")
		require.ErrorIs(t, err, usage.ErrNotFound)
		for _, err := range book.ExecutionRows(t.Context(), owner, x.ID) {
			require.ErrorIs(t, err, usage.ErrNotFound)
		}
	}
	clock.Set(x.Expires)
	_, err = book.Execution(t.Context(), "op", x.ID)
	require.ErrorIs(t, err, usage.ErrNotFound, "it has expired, whether it was deleted or not")
	for _, err := range book.ExecutionRows(t.Context(), "op", x.ID) {
		require.ErrorIs(t, err, usage.ErrNotFound)
	}
}

// summery returns a zone with summer time that no database of zones has.
func summery(t *testing.T, name string) *time.Location {
	t.Helper()
	counts := "TZif2" + strings.Repeat("\x00", 15) + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x01" + "\x00\x00\x00\x04"
	block := counts + "\x00\x00\x0e\x10\x00\x00" + "CET\x00"
	loc, err := time.LoadLocationFromTZData(name, []byte(block+block+"\nCET-1CEST,M3.5.0,M10.5.0/3\n"))
	require.NoError(t, err)
	_, winter := time.Date(2026, 1, 1, 0, 0, 0, 0, loc).Zone()
	_, summer := time.Date(2026, 7, 1, 0, 0, 0, 0, loc).Zone()
	require.Equal(t, []int{3600, 7200}, []int{winter, summer})
	return loc
}

// A query that cannot be answered is refused at once, and is no failed
// execution.
func TestExecuteRefusals(t *testing.T) {
	t.Parallel()
	store := memstore.New(nil)
	book := over(t, store, nil, usage.Options{})
	mustAppend(t, book, plainRecord("1"))
	page, err := book.Query(t.Context(), usage.ForTenant("acme"), usage.Query{GroupBy: []string{"id"}, PageSize: 1})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		scope   usage.Scope
		request usage.ExecutionRequest
		kind    error
	}{
		"no scope":                  {usage.Scope{}, usage.ExecutionRequest{}, usage.ErrScope},
		"bad filter":                {usage.ForTenant("acme"), usage.ExecutionRequest{Query: usage.Query{Filter: "region eq"}}, usage.ErrInvalid},
		"reversed range":            {usage.ForTenant("acme"), usage.ExecutionRequest{Query: usage.Query{From: noon, To: noon.Add(-1e6)}}, usage.ErrInvalid},
		"a moment to come":          {usage.ForTenant("acme"), usage.ExecutionRequest{Query: usage.Query{AsOf: usage.AsOf{Sequence: 99}}}, usage.ErrInvalid},
		"a token":                   {usage.ForTenant("acme"), usage.ExecutionRequest{Query: usage.Query{Token: "x" + page.Next}}, usage.ErrInvalid},
		"a long note":               {usage.ForTenant("acme"), usage.ExecutionRequest{Note: make([]byte, 64<<10+1)}, usage.ErrTooLarge},
		"a tenant that is no text":  {usage.ForTenants("acme", "\xff"), usage.ExecutionRequest{}, usage.ErrInvalid},
		"a required value that is":  {usage.ForTenant("acme").With("region", "\xff"), usage.ExecutionRequest{}, usage.ErrInvalid},
		"a required value that too": {usage.ForTenant("acme").WithFold("region", "a", "\xff"), usage.ExecutionRequest{}, usage.ErrInvalid},
		"a zone of no database": {usage.ForTenant("acme"), usage.ExecutionRequest{Query: usage.Query{Window: aggregate.Window{Unit: aggregate.Day,
			Location: summery(t, "Mars/Olympus")}}}, usage.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := book.Execute(t.Context(), "op", c.scope, c.request)
			require.ErrorIs(t, err, c.kind)
			require.ErrorContains(t, err, "usage: execute: ")
			list, err := store.Tasks(t.Context(), usage.TaskSelection{Kind: "execution", Owner: "op"})
			require.NoError(t, err)
			require.Empty(t, list)
		})
	}
}

// TestExecutionZones: a window's zone comes back with the clock it had.
func TestExecutionZones(t *testing.T) {
	t.Parallel()
	book := newBook(t, nil)
	for i := range 40 {
		r := plainRecord(fmt.Sprint(i))
		r.Start = time.Date(2026, 3, 27, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * 100 * time.Minute)
		mustAppend(t, book, r)
	}
	zurich, err := time.LoadLocation("Europe/Zurich")
	require.NoError(t, err)
	for name, loc := range map[string]*time.Location{
		"none": nil, "UTC": time.UTC, "named": zurich, "fixed": time.FixedZone("", -9000), "fixed with a name": time.FixedZone("+0530", 19800),
		"a name that belongs to another": time.FixedZone("Europe/Zurich", 3600), "fixed and local": time.FixedZone("Local", 7200),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := usage.Query{Window: aggregate.Window{Unit: aggregate.Day, Location: loc}, Measures: []usage.Measure{{Of: "quantity"}}}
			want, err := book.Query(t.Context(), usage.ForTenant("acme"), q)
			require.NoError(t, err)
			x := completed(t, book, usage.ForTenant("acme"), q)
			require.Equal(t, table(want), table(pagesOf(t, book, x.ID, 2)))
			require.Equal(t, table(want), table(rowsOf(t, book, x.ID)))
		})
	}
}

// newTwins returns a world, and another book over the store of its rolled one.
func newTwins(t *testing.T, seed uint64) (*world, *usage.Book) {
	w := newWorld(t, seed)
	options := usage.Options{Now: w.clock.Now, Rollups: [][]string{{"region"}}, RollBatch: 150, TokenKeys: []paginate.Key{{ID: "k", Secret: []byte("0123456789abcdef")}},
		Meters: []usage.Meter{{Name: "b", Values: []usage.MeterValue{{Name: "cost"}}, Dimensions: []usage.MeterDimension{{Name: "zone", Aliases: []string{"az"}}}}}}
	store := memstore.New(nil)
	var err error
	w.rolled, err = usage.New(store, &options)
	require.NoError(t, err)
	w.raw, err = usage.New(memstore.New(nil), &options)
	require.NoError(t, err)
	another, err := usage.New(store, &options)
	require.NoError(t, err)
	return w, another
}

// TestExecutionsAnswerAsQueries: whatever is asked, and whatever is booked,
// corrected and rolled up in the meantime, an execution answers what the query
// would have answered when it was accepted, by rows and by pages, in the process
// that did it and in one that did not.
func TestExecutionsAnswerAsQueries(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w, another := newTwins(t, 100+seed)
			rows := 0
			for range 25 {
				w.append()
				if w.rng.IntN(2) == 0 {
					_, err := w.rolled.Roll(t.Context())
					require.NoError(t, err)
				}
				type asked struct {
					x    *usage.Execution
					want string
				}
				var open []asked
				for range 4 {
					scope, q := w.query()
					if w.rng.IntN(3) == 0 {
						scope = scope.WithAny("region", "eu", "us", "EU")
					}
					if w.rng.IntN(3) == 0 {
						scope = scope.WithFold("region", "Eu", "asia")
					}
					if w.rng.IntN(4) == 0 {
						q.Limit = 1 + w.rng.IntN(20)
					}
					if w.rng.IntN(6) == 0 {
						q.Filter = "start lt now()"
					}
					want, errQuery := w.rolled.Query(t.Context(), scope, q)
					x, err := w.rolled.Execute(t.Context(), "op", scope, usage.ExecutionRequest{Query: q})
					require.Equal(t, errQuery == nil, err == nil, "%v, %v", errQuery, err)
					if err == nil {
						require.Equal(t, want.AsOf, x.AsOf)
						open = append(open, asked{x, table(want)})
					}
				}
				w.append()
				w.clock.at = w.clock.at.Add(time.Hour)
				workAll(t, w.rolled)
				for _, a := range open {
					size := 1 + w.rng.IntN(40)
					for _, book := range []*usage.Book{w.rolled, another} {
						x, err := book.Execution(t.Context(), "op", a.x.ID)
						require.NoError(t, err)
						require.Equal(t, usage.ExecutionComplete, x.State, x.Reason)
						require.Equal(t, a.want, table(pagesOf(t, book, x.ID, size)), "by pages")
						got := rowsOf(t, book, x.ID)
						require.Equal(t, a.want, table(got))
						require.EqualValues(t, len(got.Rows), x.Rows)
						require.Equal(t, a.want, table(pagesOf(t, book, x.ID, size)), "by pages, once more")
						rows += len(got.Rows)
					}
				}
			}
			require.Greater(t, rows, 1000, "the answers were empty: the test proves nothing")
		})
	}
}

func TestExecutionPages(t *testing.T) {
	t.Parallel()
	store, keys := memstore.New(nil), []paginate.Key{{ID: "k", Secret: []byte("0123456789abcdef")}}
	clock := usagetest.NewClock(noon)
	a := over(t, store, clock, usage.Options{TokenKeys: keys})
	b := over(t, store, clock, usage.Options{TokenKeys: keys})
	for i := range 10 {
		mustAppend(t, a, plainRecord(fmt.Sprint(i)))
	}
	scope, q := usage.ForTenant("acme"), usage.Query{Count: true, OrderBy: "id desc"}
	x := completed(t, a, scope, q)
	other := completed(t, a, scope, q)
	var ids []string
	token := ""
	for i := 0; ; i++ {
		// One process has the result in its memory, the other one reads it again.
		page, err := []*usage.Book{a, b}[i%2].ExecutionPage(t.Context(), "op", x.ID, []int{3, 2, 1}[i%3], token)
		require.NoError(t, err)
		require.EqualValues(t, 10, page.Count)
		require.Equal(t, x.AsOf, page.AsOf)
		for _, r := range page.Rows {
			ids = append(ids, r.Record.ID)
		}
		if page.Next == "" {
			break
		}
		token = page.Next
		mustAppend(t, b, plainRecord(fmt.Sprint("later-", i)))
		clock.Advance(time.Hour) // past the life of a query's token
	}
	require.Equal(t, "9 8 7 6 5 4 3 2 1 0", strings.Join(ids, " "))

	for _, book := range []*usage.Book{a, b} {
		_, err := book.ExecutionPage(t.Context(), "op", other.ID, 3, token)
		require.ErrorIs(t, err, paginate.ErrTokenQuery, "the token of another execution of the same query")
		q.Token = token
		_, err = book.Query(t.Context(), scope, q)
		require.ErrorIs(t, err, paginate.ErrTokenQuery, "a query is no execution")
		q.Token = ""
		page, err := book.Query(t.Context(), scope, usage.Query{Count: true, OrderBy: "id desc", PageSize: 2})
		require.NoError(t, err)
		_, err = book.ExecutionPage(t.Context(), "op", x.ID, 2, page.Next)
		require.ErrorIs(t, err, paginate.ErrTokenQuery)
		_, err = book.ExecutionPage(t.Context(), "op", x.ID, 2, "nonsense")
		require.ErrorIs(t, err, paginate.ErrToken)
		_, err = book.ExecutionPage(t.Context(), "op", x.ID, 10_001, "")
		require.ErrorIs(t, err, usage.ErrInvalid)
		page, err = book.ExecutionPage(t.Context(), "op", x.ID, 0, "")
		require.NoError(t, err)
		require.Len(t, page.Rows, 10)
	}

	// What a reader does to its rows is its own affair.
	for _, r := range rowsOf(t, a, x.ID).Rows {
		r.Cells[0] = filter.Null()
		r.Record.ID = "changed"
	}
	page, err := a.ExecutionPage(t.Context(), "op", x.ID, 1, "")
	require.NoError(t, err)
	require.Equal(t, "9", page.Rows[0].Record.ID)
	require.False(t, page.Rows[0].Cells[0].IsNull())
}

// TestExecutionOfAnEmptyBook: what is booked after it was accepted is not in the
// answer, not even when nothing was before.
func TestExecutionOfAnEmptyBook(t *testing.T) {
	t.Parallel()
	book := newBook(t, nil)
	x, err := book.Execute(t.Context(), "op", usage.AllTenants(), usage.ExecutionRequest{})
	require.NoError(t, err)
	mustAppend(t, book, plainRecord("1"))
	workAll(t, book)
	require.Empty(t, rowsOf(t, book, x.ID).Rows)
	require.Empty(t, pagesOf(t, book, x.ID, 5).Rows)
	page, err := book.Query(t.Context(), usage.AllTenants(), usage.Query{AsOf: x.AsOf})
	require.NoError(t, err)
	require.Empty(t, page.Rows)
}

func TestExecutionBounds(t *testing.T) {
	t.Parallel()
	book := over(t, memstore.New(nil), nil, usage.Options{WaitingExecutions: 3, TaskInterval: 7 * time.Second})
	for range 3 {
		_, err := book.Execute(t.Context(), "op", usage.AllTenants(), usage.ExecutionRequest{})
		require.NoError(t, err)
	}
	_, err := book.Execute(t.Context(), "op", usage.AllTenants(), usage.ExecutionRequest{})
	require.ErrorIs(t, err, usage.ErrBusy)
	var busy *usage.BusyError
	require.ErrorAs(t, err, &busy)
	require.Equal(t, usage.BusyError{Most: 3, RetryAfter: 7 * time.Second}, *busy)
	_, err = book.Execute(t.Context(), "another", usage.AllTenants(), usage.ExecutionRequest{})
	require.NoError(t, err, "one owner does not crowd out another one")
	require.Equal(t, 4, workAll(t, book))
	_, err = book.Execute(t.Context(), "op", usage.AllTenants(), usage.ExecutionRequest{})
	require.NoError(t, err)
}

func TestFailedExecutions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fails    int // how many scans
		with     error
		attempts int
		state    usage.ExecutionState
		reason   string
	}{
		"the store is away twice":     {2, errCut, 3, usage.ExecutionComplete, ""},
		"the store is away for long":  {9, errCut, 3, usage.ExecutionFailed, "the line was cut"},
		"an unknown fault, twice":     {2, errors.New("what?"), 3, usage.ExecutionComplete, ""},
		"a fault that will not pass":  {9, fmt.Errorf("%w: far too many", usage.ErrTooLarge), 1, usage.ExecutionFailed, "far too many"},
		"a fault that will not, once": {1, usage.ErrUnsupported, 1, usage.ExecutionFailed, "not supported"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, clock := newHooked(), usagetest.NewClock(noon)
			book := over(t, store, clock, usage.Options{})
			mustAppend(t, book, plainRecord("1"))
			x, err := book.Execute(t.Context(), "op", usage.ForTenant("acme"), usage.ExecutionRequest{Note: []byte("n")})
			require.NoError(t, err)
			scans := 0
			store.on(func(_ context.Context, call string) (before, after error) {
				if call == "Scan" {
					if scans++; scans <= c.fails {
						return nil, c.with
					}
				}
				return nil, nil
			})
			attempts := 0
			for x.State == usage.ExecutionRunning {
				did, err := book.Work(t.Context())
				require.True(t, did)
				attempts++
				x, _ = book.Execution(t.Context(), "op", x.ID)
				require.Equal(t, x.State == usage.ExecutionRunning, err != nil)
				clock.Advance(time.Minute)
			}
			require.Equal(t, c.attempts, attempts)
			require.Equal(t, c.state, x.State)
			require.Contains(t, x.Reason, c.reason)
			require.Equal(t, c.reason == "", x.Reason == "")
			require.Equal(t, "n", string(x.Note))
			if c.state == usage.ExecutionFailed {
				_, err = book.ExecutionPage(t.Context(), "op", x.ID, 0, "")
				require.ErrorIs(t, err, usage.ErrNoResult)
				require.ErrorContains(t, err, "failed")
			}
			store.on(nil)
			clock.Advance(time.Hour)
			require.Zero(t, workAll(t, book))
		})
	}
	t.Run("more groups than memory", func(t *testing.T) {
		t.Parallel()
		book := over(t, memstore.New(nil), nil, usage.Options{MaxGroups: 2})
		mustAppend(t, book, plainRecord("1"), plainRecord("2"), plainRecord("3"))
		x, err := book.Execute(t.Context(), "op", usage.ForTenant("acme"), usage.ExecutionRequest{Query: usage.Query{GroupBy: []string{"id"}}})
		require.NoError(t, err)
		require.Equal(t, 1, workAll(t, book))
		x, err = book.Execution(t.Context(), "op", x.ID)
		require.NoError(t, err)
		require.Equal(t, usage.ExecutionFailed, x.State)
	})
	t.Run("workers die over it", func(t *testing.T) {
		t.Parallel()
		store, clock := memstore.New(nil), usagetest.NewClock(noon)
		book := over(t, store, clock, usage.Options{})
		x, err := book.Execute(t.Context(), "op", usage.ForTenant("acme"), usage.ExecutionRequest{})
		require.NoError(t, err)
		for range 3 {
			task, err := store.ClaimTask(t.Context(), "execution", clock.Now(), time.Minute)
			require.NoError(t, err)
			require.NotNil(t, task)
			clock.Advance(time.Minute)
		}
		require.Equal(t, 1, workAll(t, book))
		x, err = book.Execution(t.Context(), "op", x.ID)
		require.NoError(t, err)
		require.Equal(t, usage.ExecutionFailed, x.State)
		require.Equal(t, "given up after 3 attempts", x.Reason)
	})
	t.Run("its body cannot be read", func(t *testing.T) {
		t.Parallel()
		for body, state := range map[string]usage.ExecutionState{
			"{": usage.ExecutionFailed, `{"v":1,"query":{"measures":[{"aggregation":"guess"}]}}`: usage.ExecutionFailed,
			`{"v":1,"query":{"window":{"unit":"day","zone":"Mars/Olympus"}}}`: usage.ExecutionFailed, `{"v":2}`: usage.ExecutionRunning,
		} {
			store, clock := memstore.New(nil), usagetest.NewClock(noon)
			book := over(t, store, clock, usage.Options{})
			x, err := book.Execute(t.Context(), "op", usage.ForTenant("acme"), usage.ExecutionRequest{})
			require.NoError(t, err)
			task, err := store.Task(t.Context(), "execution", x.ID)
			require.NoError(t, err)
			task.Body = []byte(body)
			require.NoError(t, store.PutTask(t.Context(), task))
			for range 5 {
				_, _ = book.Work(t.Context())
				clock.Advance(time.Minute)
			}
			x, err = book.Execution(t.Context(), "op", x.ID)
			require.NoError(t, err)
			require.Equal(t, state, x.State, body)
		}
	})
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := memstore.New(nil)
		var scanning, ended atomic.Int32
		slow := func(ctx context.Context, call string) (before, after error) {
			if call != "Scan" {
				return nil, nil
			}
			scanning.Add(1)
			defer ended.Add(1)
			select {
			case <-ctx.Done():
				return ctx.Err(), nil
			case <-time.After(10 * time.Minute):
				return nil, nil
			}
		}
		a := newProcess(t, shared, usage.Options{TaskLease: 30 * time.Second, RollInterval: time.Hour, Executions: 1})
		mustAppend(t, a.Book, plainRecord("1"))
		rollAll(t, a.Book)
		a.store.on(slow)
		a.run(t)
		defer a.end()
		b := newProcess(t, shared, usage.Options{TaskLease: 30 * time.Second})
		execute := func() string {
			x, err := a.Execute(t.Context(), "op", usage.ForTenant("acme"), usage.ExecutionRequest{Note: []byte("n")})
			require.NoError(t, err)
			return x.ID
		}

		// In the process that works on it.
		id := execute()
		synctest.Wait()
		require.EqualValues(t, 1, scanning.Load())
		require.EqualValues(t, 0, ended.Load())
		var heard *usage.Execution
		go func() { heard, _ = b.AwaitExecution(t.Context(), "op", id, time.Hour) }()
		begin := time.Now()
		x, err := a.Cancel(t.Context(), "op", id)
		require.NoError(t, err)
		require.Equal(t, usage.ExecutionCancelled, x.State)
		require.Equal(t, begin, x.Finished.Local())
		require.Equal(t, "n", string(x.Note))
		synctest.Wait()
		require.EqualValues(t, 1, ended.Load(), "the work ended at once")
		<-time.After(2 * time.Second)
		synctest.Wait()
		require.Equal(t, x, heard)
		again, err := a.Cancel(t.Context(), "op", id)
		require.NoError(t, err)
		require.Equal(t, x, again)
		_, err = a.ExecutionPage(t.Context(), "op", id, 0, "")
		require.ErrorIs(t, err, usage.ErrNoResult)

		// In another process: the worker finds out when it renews its lease.
		id = execute()
		synctest.Wait()
		x, err = b.Cancel(t.Context(), "op", id)
		require.NoError(t, err)
		require.Equal(t, usage.ExecutionCancelled, x.State)
		<-time.After(11 * time.Second)
		require.EqualValues(t, 2, ended.Load())

		// While it waits for a worker, and when it has its result.
		id = execute()
		synctest.Wait()
		waiting := execute()
		_, err = a.Cancel(t.Context(), "op", waiting)
		require.NoError(t, err)
		<-time.After(11 * time.Minute)
		require.EqualValues(t, 3, scanning.Load(), "the one that waited was never begun")
		x, err = a.Cancel(t.Context(), "op", id)
		require.NoError(t, err)
		require.Equal(t, usage.ExecutionComplete, x.State)

		// The worker renews its lease between the look and the write.
		var once atomic.Bool
		b.store.on(func(ctx context.Context, call string) (before, after error) {
			if call == "PutTask" && once.CompareAndSwap(false, true) {
				<-time.After(15 * time.Second)
			}
			return nil, nil
		})
		id = execute()
		synctest.Wait()
		x, err = b.Cancel(t.Context(), "op", id)
		require.NoError(t, err)
		require.Equal(t, usage.ExecutionCancelled, x.State)
		_, err = a.Cancel(t.Context(), "op", "nobody")
		require.ErrorIs(t, err, usage.ErrNotFound)
	})
}

// TestExecutionCrashes ends the process at every call that an execution makes:
// another process completes it with the answer of the moment it was accepted at.
func TestExecutionCrashes(t *testing.T) {
	t.Parallel()
	run := func(t *testing.T, at int, after bool) int {
		store, clock := newHooked(), usagetest.NewClock(noon)
		book := over(t, store, clock, usage.Options{})
		mustAppend(t, book, plainRecord("1"), plainRecord("2"))
		x, err := book.Execute(t.Context(), "op", usage.ForTenant("acme"), usage.ExecutionRequest{})
		require.NoError(t, err)
		mustAppend(t, book, plainRecord("3"))
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
		_, err = book.Work(t.Context())
		require.Equal(t, at == 0, err == nil)
		total := calls
		store.on(nil)
		clock.Advance(time.Minute)
		book = over(t, store, clock, usage.Options{})
		workAll(t, book)
		x, err = book.Execution(t.Context(), "op", x.ID)
		require.NoError(t, err)
		require.Equal(t, usage.ExecutionComplete, x.State)
		require.EqualValues(t, 2, x.Rows)
		require.Len(t, rowsOf(t, book, x.ID).Rows, 2)
		return total
	}
	calls := run(t, 0, false)
	require.GreaterOrEqual(t, calls, 4)
	for at := 1; at <= calls; at++ {
		run(t, at, false)
		run(t, at, true)
	}
}

// TestExecutionScopes: an execution sees what its scope saw, and nothing else.
func TestExecutionScopes(t *testing.T) {
	t.Parallel()
	book := newBook(t, nil)
	texts := []string{"acme", "globex", "Acme", "a\"b", "<&>", "é", "e\u0301", "", " ", "K", "k", "\u212a"}
	n := 0
	for _, tenant := range texts {
		for _, region := range texts {
			r := plainRecord(fmt.Sprint(n))
			if r.Tenant = tenant; tenant == "" {
				continue
			}
			r.Dimensions = r.Dimensions.With("region", region).With("zone", texts[n%len(texts)])
			n++
			mustAppend(t, book, r)
		}
	}
	rng := rand.New(rand.NewPCG(5, 5))
	some := func() []string {
		out := make([]string, 1+rng.IntN(4))
		for i := range out {
			out[i] = texts[rng.IntN(len(texts))]
		}
		return out
	}
	seen := 0
	for range 200 {
		scope := usage.AllTenants()
		if rng.IntN(4) > 0 {
			scope = usage.ForTenants(some()...)
		}
		for range rng.IntN(3) {
			name := []string{"region", "zone"}[rng.IntN(2)]
			switch rng.IntN(3) {
			case 0:
				scope = scope.With(name, some()[0])
			case 1:
				scope = scope.WithAny(name, some()...)
			case 2:
				scope = scope.WithFold(name, some()...)
			}
		}
		if rng.IntN(20) == 0 {
			scope = scope.WithAny("region")
		}
		want, errQuery := book.Query(t.Context(), scope, usage.Query{})
		x, err := book.Execute(t.Context(), "op", scope, usage.ExecutionRequest{})
		require.Equal(t, errQuery == nil, err == nil, "%v, %v", errQuery, err)
		if err != nil {
			continue
		}
		workAll(t, book)
		require.Equal(t, table(want), table(pagesOf(t, book, x.ID, 1000)))
		seen += len(want.Rows)
	}
	require.Greater(t, seen, 500)
}
