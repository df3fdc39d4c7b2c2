package durabletest

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
	"github.com/usagebook/usagebook/usage/postgresstore/pgtest"
	"github.com/usagebook/usagebook/usage/storetest"
)

// TestCompare asks all stores the same. Histories of odd seeds are made of little
// within a short time, so that rollups are worth keeping; those of even ones of
// much, over years.
func TestCompare(t *testing.T) {
	t.Parallel()
	seeds := []uint64{900, 901, 902, 903, 904, 905, 906, 907}
	for i, seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			reopen := func(name string) storetest.Named {
				s, closeAll, err := openStore(t.Context(), name)
				require.NoError(t, err)
				t.Cleanup(func() {
					s.Close()
					closeAll()
				})
				return storetest.Named{Store: s, Reopen: func(tb testing.TB, s usage.Store) usage.Store {
					require.NoError(tb, s.Close())
					closeAll()
					s, closeAll, err = openStore(tb.Context(), name)
					require.NoError(tb, err)
					return s
				}}
			}
			sqlite := reopen("sqlite:" + filepath.Join(t.TempDir(), "usage.db"))
			sqlite.Name = "sqlitestore"
			postgres := reopen(pgtest.Shared(t, versions[i/2%len(versions)]).Database(t))
			postgres.Name = "postgresstore"
			storetest.Compare(t, seed, times(questions)/len(seeds),
				storetest.Named{Name: "memstore", Store: memstore.New(nil)}, sqlite, postgres)
		})
	}
}
