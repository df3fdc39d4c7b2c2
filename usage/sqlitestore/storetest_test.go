package sqlitestore_test

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/sqlitestore"
	"github.com/usagebook/usagebook/usage/storetest"
)

// files remembers the file of each store, for opening it again.
type files struct{ of sync.Map }

func (f *files) open(t testing.TB) usage.Store {
	path := filepath.Join(t.TempDir(), "usage.db")
	s, err := sqlitestore.Open(t.Context(), path, nil)
	require.NoError(t, err)
	f.of.Store(s, path)
	return s
}

// reopen opens the file a second time beside the store, which is not closed
// before: a process that was killed did not close it either.
func (f *files) reopen(t testing.TB, s usage.Store) usage.Store {
	path, _ := f.of.Load(s)
	again, err := sqlitestore.Open(t.Context(), path.(string), nil)
	require.NoError(t, err)
	f.of.Store(again, path)
	return again
}

func TestContract(t *testing.T) {
	t.Parallel()
	var f files
	storetest.Run(t, f.open, &storetest.Options{Reopen: f.reopen})
}
