package sqlitestore_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/sqlitestore"
	"github.com/usagebook/usagebook/usage/storetest"
)

// A process of the tests' own: what it is to do stands in its environment.
const (
	processPath   = "USAGEBOOK_PROCESS_PATH"
	processNumber = "USAGEBOOK_PROCESS_NUMBER"
)

const (
	processes      = 4
	ownBatches     = 15
	ownBatchSize   = 20
	sharedBatches  = 10
	sharedMeters   = 7
	processRecords = processes*ownBatches*ownBatchSize + sharedBatches*ownBatchSize
)

// Not a test: the work of one process among several on one file.
func TestProcess(t *testing.T) {
	path := os.Getenv(processPath)
	if path == "" {
		return
	}
	number, err := strconv.Atoi(os.Getenv(processNumber))
	require.NoError(t, err)
	s := openStore(t, path, &sqlitestore.Options{Busy: time.Minute})
	book, err := usage.New(s, &usage.Options{RollBatch: 70})
	require.NoError(t, err)
	for i := range max(ownBatches, sharedBatches) {
		if i < ownBatches {
			// A meter of its own each time, so that processes meet in the dictionary.
			batch := uses(fmt.Sprintf("p%d-%d-", number, i), ownBatchSize)
			for k := range batch {
				batch[k].Meter = fmt.Sprintf("m%d-%d", i, k%sharedMeters)
			}
			mustAppend(t, book, batch...)
		}
		if i < sharedBatches {
			_, err := book.Append(t.Context(), uses(fmt.Sprintf("shared-%d-", i), ownBatchSize)...)
			require.NoError(t, err)
		}
		_, err := book.Roll(t.Context())
		require.NoError(t, err)
		for {
			task, err := s.ClaimTask(t.Context(), "job", epoch, time.Hour)
			require.NoError(t, err)
			if task == nil || i < number { // the first ones leave some to the others
				break
			}
			task.Due, task.Expires = time.Time{}, time.Time{}
			require.NoError(t, s.PutTask(t.Context(), task))
		}
	}
}

// Several processes begin with one file that is not there yet: one of them makes
// the tables. They append, roll and claim at once, and nothing is lost or counted
// twice.
func TestProcessesOnOneFile(t *testing.T) {
	t.Parallel()
	path := temp(t)
	self, err := os.Executable()
	require.NoError(t, err)
	run := func() {
		var wait sync.WaitGroup
		for i := range processes {
			wait.Go(func() {
				cmd := exec.CommandContext(t.Context(), self, "-test.run", "^TestProcess$", "-test.v")
				cmd.Env = append(os.Environ(), processPath+"="+path, processNumber+"="+strconv.Itoa(i))
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("process %d: %v\n%s", i, err, out)
				}
			})
		}
		wait.Wait()
	}
	run()
	s := openStore(t, path, nil)
	require.NoError(t, s.Check(t.Context()))
	book := newBook(t, s)
	mustRoll(t, book)
	page, err := book.Query(t.Context(), usage.AllTenants(), usage.Query{Measures: []usage.Measure{{Aggregation: usage.Count}}})
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(processRecords), page.Rows[0].Get("count").String())
	seen := make(map[uint64]bool)
	for r, err := range s.Scan(t.Context(), usage.Selection{Scope: usage.AllTenants(), Mark: usage.Mark{Sequence: 1 << 60}}) {
		require.NoError(t, err)
		require.False(t, seen[r.Sequence])
		seen[r.Sequence] = true
	}
	require.Len(t, seen, processRecords)
}

// Each of many tasks is done by one process.
func TestProcessesClaimTasks(t *testing.T) {
	t.Parallel()
	path := temp(t)
	a, b := openStore(t, path, nil), openStore(t, path, nil)
	for i := range 40 {
		require.NoError(t, a.PutTask(t.Context(), &usage.Task{Kind: "job", ID: fmt.Sprint(i), Owner: "o", Created: epoch, Due: epoch, Body: []byte("x")}))
	}
	var mu sync.Mutex
	claimed := make(map[string]int)
	var wait sync.WaitGroup
	for _, s := range []*sqlitestore.Store{a, b, a, b} {
		wait.Go(func() {
			for {
				task, err := s.ClaimTask(t.Context(), "job", epoch, time.Hour)
				if err != nil || task == nil {
					if err != nil {
						t.Errorf("ClaimTask: %v", err)
					}
					return
				}
				mu.Lock()
				claimed[task.ID]++
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	require.Len(t, claimed, 40)
	for id, n := range claimed {
		require.Equal(t, 1, n, id)
	}
}

// Two stores on one file see each other's records, names, corrections and rollups
// at once.
func TestTwoStoresOnOneFile(t *testing.T) {
	t.Parallel()
	path := temp(t)
	a, b := openStore(t, path, nil), openStore(t, path, nil)
	for i := range 6 {
		from, to := a, b
		if i%2 == 1 {
			from, to = b, a
		}
		mustAppend(t, newBook(t, from), uses(fmt.Sprintf("x%d-", i), 30)...)
		if i > 0 {
			mustAppend(t, newBook(t, from), voidOf(fmt.Sprint("v", i), use(fmt.Sprintf("x%d-00003", i-1), 3)))
		}
		mustRoll(t, newBook(t, from))
		want, err := everything(t, from)
		require.NoError(t, err)
		got, err := everything(t, to)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

// hostDB opens a handle as a host might, with tables of its own.
func hostDB(t testing.TB, path, pragmas string, connections int) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)"+pragmas)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(connections)
	_, err = db.Exec("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, usagebook TEXT); CREATE INDEX IF NOT EXISTS usagebookish ON orders (usagebook)")
	require.NoError(t, err)
	return db
}

// The contract holds on a handle of the host's, and without WAL, where readers and
// the writer lock each other out.
func TestContractOnHostsHandle(t *testing.T) {
	t.Parallel()
	var paths sync.Map
	open := func(t testing.TB, path string) usage.Store {
		s, err := sqlitestore.New(t.Context(), hostDB(t, path, "&_pragma=journal_mode(TRUNCATE)", 3), nil)
		require.NoError(t, err)
		paths.Store(s, path)
		return s
	}
	storetest.Run(t, func(t testing.TB) usage.Store { return open(t, temp(t)) }, &storetest.Options{
		Reopen: func(t testing.TB, s usage.Store) usage.Store {
			path, _ := paths.Load(s)
			return open(t, path.(string))
		},
	})
}

// A handle with one connection is enough, also for who calls the store again from
// inside a scan.
func TestOneConnection(t *testing.T) {
	t.Parallel()
	path := temp(t)
	s, err := sqlitestore.New(t.Context(), hostDB(t, path, "&_pragma=journal_mode(WAL)", 1), nil)
	require.NoError(t, err)
	defer s.Close()
	sample(t, s)
	want, err := everything(t, s)
	require.NoError(t, err)
	own, err := everything(t, openStore(t, path, nil))
	require.NoError(t, err)
	require.Equal(t, own, want)
	st, err := s.Checkpoint(t.Context(), usage.AsOf{})
	require.NoError(t, err)
	n := 0
	for r, err := range s.Scan(t.Context(), usage.Selection{Scope: usage.AllTenants(), Mark: st.Mark, Order: usage.ByStart}) {
		require.NoError(t, err)
		if n++; n%100 == 0 {
			mustAppend(t, newBook(t, s), use("inside "+r.ID, n))
			for range s.ScanRollups(t.Context(), usage.RollupSelection{Scope: usage.AllTenants(), Checkpoint: st.Checkpoint}) {
				_, err := s.Checkpoint(t.Context(), usage.AsOf{})
				require.NoError(t, err)
			}
		}
	}
	require.Equal(t, int(st.Mark.Sequence), n)
	require.NoError(t, s.Check(t.Context()))
}

func TestHostsHandleStaysTheHosts(t *testing.T) {
	t.Parallel()
	db := hostDB(t, temp(t), "&_pragma=journal_mode(WAL)&_pragma=cache_size(-123)", 2)
	s, err := sqlitestore.New(t.Context(), db, nil)
	require.NoError(t, err)
	sample(t, s)
	require.NoError(t, s.Check(t.Context()))
	require.NoError(t, s.Close())
	_, err = s.Checkpoint(t.Context(), usage.AsOf{})
	require.ErrorIs(t, err, usage.ErrClosed)
	var cache int
	require.NoError(t, db.QueryRow("PRAGMA cache_size").Scan(&cache))
	require.Equal(t, -123, cache)
	_, err = db.Exec("INSERT INTO orders (usagebook) VALUES ('x')")
	require.NoError(t, err)
}

func TestUnsafeHandlesAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		dsn  string
		opts *sqlitestore.Options
		ok   bool
	}{
		"in memory":          {dsn: ":memory:"},
		"synchronous off":    {dsn: "file:%s?_pragma=synchronous(OFF)"},
		"normal":             {dsn: "file:%s?_pragma=synchronous(NORMAL)"},
		"normal, wanted":     {dsn: "file:%s?_pragma=synchronous(NORMAL)", opts: &sqlitestore.Options{LoseLastOnPowerCut: true}, ok: true},
		"extra":              {dsn: "file:%s?_pragma=synchronous(EXTRA)", ok: true},
		"UTF-16":             {dsn: "file:%s?_pragma=encoding('UTF-16')"},
		"the driver's usual": {dsn: "%s", ok: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := c.dsn
			if dsn != ":memory:" {
				dsn = fmt.Sprintf(dsn, temp(t))
			}
			db, err := sql.Open("sqlite", dsn)
			require.NoError(t, err)
			defer db.Close()
			s, err := sqlitestore.New(context.Background(), db, c.opts)
			if c.ok {
				require.NoError(t, err)
				require.NoError(t, s.Close())
				return
			}
			require.ErrorIs(t, err, usage.ErrInvalid)
		})
	}
}

func TestMigrations(t *testing.T) {
	t.Parallel()
	list := sqlitestore.Migrations()
	require.NotEmpty(t, list)

	t.Run("by hand", func(t *testing.T) {
		t.Parallel()
		path := temp(t)
		_, err := sqlitestore.Open(t.Context(), path, &sqlitestore.Options{NoMigrate: true})
		require.ErrorIs(t, err, sqlitestore.ErrSchema)
		db := openHandWritten(t, path).db
		for _, m := range list {
			tx, err := db.Begin()
			require.NoError(t, err)
			_, err = tx.Exec(m.SQL)
			require.NoError(t, err)
			require.NoError(t, tx.Commit())
		}
		s := openStore(t, path, &sqlitestore.Options{NoMigrate: true})
		sample(t, s)
		require.NoError(t, s.Check(t.Context()))
	})
	t.Run("newer", func(t *testing.T) {
		t.Parallel()
		path := temp(t)
		s := openStore(t, path, nil)
		sample(t, s)
		require.NoError(t, s.Close())
		db := openHandWritten(t, path).db
		_, err := db.Exec("INSERT INTO usagebook_schema (version) VALUES (?)", len(list)+1)
		require.NoError(t, err)
		_, err = sqlitestore.Open(t.Context(), path, nil)
		require.ErrorIs(t, err, sqlitestore.ErrSchema)
		require.ErrorIs(t, err, usage.ErrUnavailable)
	})
	t.Run("several at once", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "usage.db")
		var wait sync.WaitGroup
		for range 8 {
			wait.Go(func() {
				s, err := sqlitestore.Open(t.Context(), path, nil)
				if err != nil {
					t.Errorf("Open: %v", err)
					return
				}
				_ = s.Close()
			})
		}
		wait.Wait()
	})
	t.Run("a changed schema", func(t *testing.T) {
		t.Parallel()
		path := temp(t)
		require.NoError(t, openStore(t, path, nil).Close())
		db := openHandWritten(t, path).db
		_, err := db.Exec("DROP INDEX usagebook_records_id; CREATE INDEX usagebook_records_id ON usagebook_records (id)")
		require.NoError(t, err)
		_, err = sqlitestore.Open(t.Context(), path, nil)
		require.ErrorIs(t, err, sqlitestore.ErrDamaged)
	})
}
