package durabletest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/postgresstore/pgtest"
)

// TestDeadlock leads the store into a deadlock with a transaction of the host, in
// which the server ends the statement of the store: the host books b, the store a
// and b, for which it waits, and then the host a. Nobody but the store hears of it.
func TestDeadlock(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"plain", "corrections", "all or nothing"} {
		for _, commits := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, the host commits %v", kind, commits), func(t *testing.T) {
				t.Parallel()
				name := pgtest.Shared(t, 0).Database(t)
				// A session looks for a deadlock once, when it has waited for so long. The
				// store is to be the one that finds it, on a slow machine too.
				store, closeAll, err := openStore(t.Context(), name+"&options=-c%20deadlock_timeout%3D2s")
				require.NoError(t, err)
				defer closeAll()
				defer store.Close()
				book, err := usage.New(store, nil)
				require.NoError(t, err)
				pool, err := pgxpool.New(t.Context(), name)
				require.NoError(t, err)
				defer pool.Close()

				rng := rand.New(rand.NewPCG(1, 1))
				a, b, c := record(rng, "s", "a"), record(rng, "s", "b"), record(rng, "s", "c")
				a.Tenant, b.Tenant = "acme", "acme"
				batch := []usage.Record{a, b, c}
				if kind == "corrections" {
					z := record(rng, "s", "z")
					_, err := book.Append(t.Context(), z)
					require.NoError(t, err)
					batch = append(batch, usage.Record{Tenant: z.Tenant, Source: "desk", ID: "void",
						Corrects: &usage.Correction{Kind: usage.Void, Source: z.Source, ID: z.ID}})
				}

				tx, err := pool.Begin(t.Context())
				require.NoError(t, err)
				defer tx.Rollback(t.Context())
				_, err = tx.Exec(t.Context(), "SET LOCAL deadlock_timeout = '1min'")
				require.NoError(t, err)
				appender := store.(txAppender)
				_, err = appender.AppendTx(t.Context(), book, tx, b)
				require.NoError(t, err)
				type answer struct {
					*usage.Receipt
					err error
				}
				answered := make(chan answer, 1)
				go func() {
					r, err := book.AppendBatch(t.Context(), usage.AppendOptions{AllOrNothing: kind == "all or nothing"}, batch...)
					answered <- answer{r, err}
				}()
				await(t, pool, "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
				_, err = appender.AppendTx(t.Context(), book, tx, a)
				require.NoError(t, err, "the host is not the one to suffer")
				want := []usage.Outcome{usage.Inserted, usage.Inserted, usage.Inserted, usage.Inserted}
				if commits {
					require.NoError(t, tx.Commit(t.Context()))
					want[0], want[1] = usage.Duplicate, usage.Duplicate
				} else {
					require.NoError(t, tx.Rollback(t.Context()))
				}
				got := <-answered
				require.NoError(t, got.err)
				for i, e := range got.Entries {
					require.Equalf(t, want[i], e.Outcome, "record %d", i)
				}
				await(t, pool, "SELECT deadlocks > 0 FROM pg_stat_database WHERE datname = current_database()")
				st, err := store.Checkpoint(t.Context(), usage.AsOf{Sequence: 1 << 62})
				require.NoError(t, err)
				seen := map[usage.Identity]int{}
				for s, err := range store.Scan(t.Context(), usage.Selection{Scope: usage.AllTenants(), Mark: st.Mark}) {
					require.NoError(t, err)
					seen[s.Identity()]++
				}
				for i := range batch {
					require.Equalf(t, 1, seen[batch[i].Identity()], "how often record %d is there", i)
				}
			})
		}
	}
}

// await asks the server until a condition holds.
func await(t *testing.T, pool *pgxpool.Pool, condition string) {
	t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-look.C {
		var holds bool
		require.NoError(t, pool.QueryRow(t.Context(), condition).Scan(&holds))
		if holds {
			return
		}
		require.Truef(t, time.Now().Before(deadline), "it never came true: %s", condition)
	}
}
