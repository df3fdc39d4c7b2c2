package sqlitestore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/sqlitestore"
)

// unavailable checks that an error is one of the package, comes with
// usage.ErrUnavailable, and has the driver's own error in it.
func unavailable(t *testing.T, err, want error) {
	t.Helper()
	require.ErrorIs(t, err, want)
	require.ErrorIs(t, err, usage.ErrUnavailable)
	var driver *sqlite.Error
	require.ErrorAs(t, err, &driver)
}

func TestLockedFile(t *testing.T) {
	t.Parallel()
	path := temp(t)
	s := openStore(t, path, &sqlitestore.Options{Busy: 30 * time.Millisecond})
	book := newBook(t, s)
	mustAppend(t, book, use("a", 1))
	other := openHandWritten(t, path).db
	tx, err := other.Begin() // immediate
	require.NoError(t, err)

	_, err = book.Append(t.Context(), use("b", 2))
	unavailable(t, err, sqlitestore.ErrLocked)
	unavailable(t, s.PutTask(t.Context(), &usage.Task{Kind: "job", ID: "a", Owner: "o"}), sqlitestore.ErrLocked)
	_, err = s.Checkpoint(t.Context(), usage.AsOf{Time: time.Now()})
	unavailable(t, err, sqlitestore.ErrLocked)
	page, err := book.Query(t.Context(), usage.AllTenants(), usage.Query{Measures: []usage.Measure{{Aggregation: usage.Count}}})
	require.NoError(t, err, "reading goes on")
	require.Len(t, page.Rows, 1)

	require.NoError(t, tx.Rollback())
	mustAppend(t, book, use("b", 2))
}

// Callers that wait behind each other for a file that stays locked give up
// together.
func TestLockedFileAndManyCallers(t *testing.T) {
	t.Parallel()
	path := temp(t)
	const busy = 300 * time.Millisecond
	s := openStore(t, path, &sqlitestore.Options{Busy: busy})
	book := newBook(t, s)
	other := openHandWritten(t, path).db
	tx, err := other.Begin()
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	const callers = 20
	failed := make(chan error, callers)
	begin := time.Now()
	for i := range callers {
		go func() {
			_, err := book.Append(t.Context(), use(fmt.Sprint(i), i))
			failed <- err
		}()
	}
	for range callers {
		unavailable(t, <-failed, sqlitestore.ErrLocked)
	}
	// One after the other it would be twenty times as long.
	require.Less(t, time.Since(begin), callers*busy/2)
}

// A context ends the wait for a lock, however long Busy is.
func TestLockedFileAndContext(t *testing.T) {
	t.Parallel()
	path := temp(t)
	s := openStore(t, path, &sqlitestore.Options{Busy: time.Hour})
	book := newBook(t, s)
	other := openHandWritten(t, path).db
	tx, err := other.Begin()
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = book.Append(ctx, use("b", 2))
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// limited opens a book through a handle whose file may have so many pages.
func limited(t *testing.T, path string, pages int) *sqlitestore.Store {
	t.Helper()
	db, err := sql.Open("sqlite", fmt.Sprintf("file:%s?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=max_page_count(%d)", path, pages))
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	s, err := sqlitestore.New(t.Context(), db, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestFullFile(t *testing.T) {
	t.Parallel()
	path := temp(t)
	s := limited(t, path, 60)
	acknowledged, full := fillUp(t, newBook(t, s))
	unavailable(t, full, sqlitestore.ErrFull)
	require.ErrorIs(t, full, usage.ErrFull)
	sameAfterFull(t, s, acknowledged)
	require.NoError(t, s.Close())

	again := openStore(t, path, nil) // without the limit
	sameAfterFull(t, again, acknowledged)
	mustAppend(t, newBook(t, again), use("more", 1))
}

// fillUp appends until that fails, and returns what was acknowledged.
func fillUp(t *testing.T, book *usage.Book) (acknowledged []usage.Record, full error) {
	t.Helper()
	for i := range 1000 {
		batch := uses(fmt.Sprintf("b%d-", i), 50)
		if _, full = book.Append(t.Context(), batch...); full != nil {
			require.NotEmpty(t, acknowledged)
			return acknowledged, full
		}
		acknowledged = append(acknowledged, batch...)
	}
	t.Fatal("it never became full")
	return nil, nil
}

func sameAfterFull(t *testing.T, s *sqlitestore.Store, acknowledged []usage.Record) {
	t.Helper()
	st, err := s.Checkpoint(t.Context(), usage.AsOf{})
	require.NoError(t, err)
	n := 0
	for r, err := range s.Scan(t.Context(), usage.Selection{Scope: usage.AllTenants(), Mark: st.Mark, Order: usage.BySequence}) {
		require.NoError(t, err)
		require.Equal(t, acknowledged[n].ID, r.ID)
		n++
	}
	require.Len(t, acknowledged, n)
	require.NoError(t, s.Check(t.Context()))
}

// mountTmpfs mounts a small file system of the given size, where the test runs as
// somebody who may.
func mountTmpfs(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Logf("no tmpfs: %v: %s", err, out)
		return ""
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() })
	return dir
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := mountTmpfs(t, "size=2m")
	if dir == "" {
		return // TestFullFile stands for it where nothing can be mounted
	}
	path := filepath.Join(dir, "usage.db")
	s := openStore(t, path, nil)
	book := newBook(t, s)
	acknowledged, full := fillUp(t, book)
	unavailable(t, full, sqlitestore.ErrFull)
	for range 3 { // it stays full, and readable
		_, err := book.Append(t.Context(), uses("late", 50)...)
		require.ErrorIs(t, err, sqlitestore.ErrFull)
		sameAfterFull(t, s, acknowledged)
	}
	require.NoError(t, exec.Command("mount", "-o", "remount,size=64m", dir).Run())
	late := uses("late", 50)
	mustAppend(t, book, late...)
	acknowledged = append(acknowledged, late...)
	sameAfterFull(t, s, acknowledged)
	require.NoError(t, s.Close())
	sameAfterFull(t, openStore(t, path, nil), acknowledged)
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	dir := mountTmpfs(t, "size=8m")
	if dir == "" { // not root: permissions do
		dir = t.TempDir()
	}
	path := filepath.Join(dir, "usage.db")
	s, err := sqlitestore.Open(t.Context(), path, nil)
	require.NoError(t, err)
	mustAppend(t, newBook(t, s), use("a", 1))
	require.NoError(t, s.Close())
	if exec.Command("mount", "-o", "remount,ro", dir).Run() != nil {
		require.NoError(t, os.Chmod(path, 0o400))
		require.NoError(t, os.Chmod(dir, 0o500))
		t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
	}
	s, err = sqlitestore.Open(t.Context(), path, nil)
	if err == nil {
		defer s.Close()
		_, err = newBook(t, s).Append(t.Context(), use("b", 2))
	}
	unavailable(t, err, sqlitestore.ErrReadOnly)
}

func TestNoBook(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	require.NoError(t, os.WriteFile(text, []byte("this is a text of some length and no database of any kind at all, and it goes on for a while"), 0o600))
	_, err := sqlitestore.Open(t.Context(), text, nil)
	unavailable(t, err, sqlitestore.ErrDamaged)

	_, err = sqlitestore.Open(t.Context(), filepath.Join(dir, "none", "usage.db"), nil)
	require.ErrorIs(t, err, usage.ErrUnavailable)
	_, err = sqlitestore.Open(t.Context(), dir, nil)
	require.ErrorIs(t, err, usage.ErrUnavailable)
	for _, path := range []string{"", ":memory:"} {
		_, err = sqlitestore.Open(t.Context(), path, nil)
		require.ErrorIs(t, err, usage.ErrInvalid)
	}
	_, err = sqlitestore.Open(t.Context(), filepath.Join(dir, "x"), &sqlitestore.Options{Busy: -1})
	require.ErrorIs(t, err, usage.ErrInvalid)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = sqlitestore.Open(ctx, filepath.Join(dir, "y"), nil)
	require.ErrorIs(t, err, context.Canceled)
}

// Names that mean something in an URI are names of files here.
func TestNamesOfFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"plain.db", "with space", "per%20cent", "quest?mode=ro", "hash#tag", "ümlaut", "file:x", "a&b=c;d"} {
		path := filepath.Join(dir, name)
		s := openStore(t, path, nil)
		mustAppend(t, newBook(t, s), use("a", 1))
		require.NoError(t, s.Close())
		_, err := os.Stat(path)
		require.NoError(t, err, name)
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 8)
}

func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, filepath.Join(dir, "usage.db"), nil)
	sample(t, s)
	book := newBook(t, s)
	const size = 20
	ctx, cancel := context.WithCancel(t.Context())
	written := make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			if _, err := book.Append(t.Context(), uses(fmt.Sprintf("load%d-", i), size)...); err != nil || ctx.Err() != nil {
				written <- err
				return
			}
		}
	}()
	for i := range 5 {
		path := filepath.Join(dir, fmt.Sprintf("backup%d.db", i))
		before, err := s.Checkpoint(t.Context(), usage.AsOf{})
		require.NoError(t, err)
		require.NoError(t, s.Backup(t.Context(), path))
		copied := openStore(t, path, nil)
		require.NoError(t, copied.Check(t.Context()))
		after, err := copied.Checkpoint(t.Context(), usage.AsOf{})
		require.NoError(t, err)
		require.GreaterOrEqual(t, after.Mark.Sequence, before.Mark.Sequence)
		require.Zero(t, (after.Mark.Sequence-744)%size, "no half batch")
		if i == 0 {
			mustAppend(t, newBook(t, copied), uses("own", 3)...)
		}
	}
	cancel()
	require.NoError(t, <-written)
	entries, err := filepath.Glob(filepath.Join(dir, "*.partial"))
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestBackupFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, filepath.Join(dir, "usage.db"), nil)
	sample(t, s)
	there := filepath.Join(dir, "there")
	require.NoError(t, os.WriteFile(there, []byte("precious"), 0o600))
	require.ErrorIs(t, s.Backup(t.Context(), there), usage.ErrInvalid)
	data, err := os.ReadFile(there)
	require.NoError(t, err)
	require.Equal(t, "precious", string(data))
	require.ErrorIs(t, s.Backup(t.Context(), filepath.Join(dir, "none", "x")), usage.ErrUnavailable)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Backup(ctx, filepath.Join(dir, "late")), context.Canceled)
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Backup(t.Context(), filepath.Join(dir, "closed")), usage.ErrClosed)
	_, err = os.Stat(filepath.Join(dir, "late"))
	require.True(t, errors.Is(err, os.ErrNotExist))
}
