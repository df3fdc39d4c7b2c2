package durabletest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/postgresstore/pgtest"
)

// workerKills is how many workers are killed in a run.
const workerKills = 20

// working are the options of who submits jobs and who works on them: small steps
// with pauses between that a kill can meet, and leases that end soon after it.
func working() *usage.Options {
	return &usage.Options{Rules: billing{}, BatchSize: 5, TaskLease: time.Second, TaskInterval: 10 * time.Millisecond, Biller: biller{}, KeepJobs: 100_000}
}

// workRole works on jobs until it is killed.
func workRole(ctx context.Context, r *role) error {
	store, closeAll, err := openStore(ctx, r.Store)
	if err != nil {
		return err
	}
	defer closeAll()
	defer store.Close()
	book, err := usage.New(store, working())
	if err != nil {
		return err
	}
	return book.Run(ctx)
}

// testKillWorkers submits jobs and kills those who work on them: each is worked on
// to its end all the same, and books and bills each of its records.
func testKillWorkers(t *testing.T, name string) {
	t.Helper()
	const records = 25 // of each job
	seed := rand.Uint64()
	store, closeAll, err := openStore(t.Context(), name)
	require.NoError(t, err)
	defer closeAll()
	defer store.Close()
	book, err := usage.New(store, working())
	require.NoError(t, err)
	jobs := 0
	submit := func() {
		_, _, err := book.Submit(t.Context(), "owner", usage.JobRequest{ID: fmt.Sprint(jobs), Records: script{seed}.job(0, jobs, records)})
		require.NoErrorf(t, err, "seed %d", seed)
		jobs++
	}

	var mu sync.Mutex
	billed := map[string]int{}
	var fault error
	worker := func() (*child, <-chan struct{}) {
		begun := make(chan struct{})
		once := sync.OnceFunc(func() { close(begun) })
		return start(t, &role{Name: "work", Store: name, Seed: seed}, func(words []string) {
			mu.Lock()
			defer mu.Unlock()
			if words[0] != "billed" {
				fault = errors.New(strings.Join(words, " "))
			} else {
				billed[words[1]]++
			}
			once()
		}), begun
	}
	// Two of them work, and the older one is killed as soon as the younger one has
	// begun.
	most := times(workerKills)
	submit()
	older, _ := worker()
	for life := range most {
		submit()
		younger, begun := worker()
		// The older one may have done everything before the younger one is there.
		more := time.NewTicker(20 * time.Millisecond)
		deadline := time.Now().Add(time.Minute)
		for waiting := true; waiting; {
			select {
			case <-begun:
				waiting = false
			case <-more.C:
				submit()
			}
			require.Truef(t, time.Now().Before(deadline), "seed %d, life %d: nothing was worked on for a minute", seed, life)
		}
		more.Stop()
		older.kill()
		older = younger
	}
	for n := range jobs {
		job, err := book.AwaitJob(t.Context(), "owner", fmt.Sprint(n), 2*time.Minute)
		require.NoErrorf(t, err, "seed %d, job %d", seed, n)
		require.Equalf(t, usage.JobCompleted, job.Status(), "seed %d, job %d: %v", seed, n, job.Lines)
	}
	older.kill()
	mu.Lock()
	defer mu.Unlock()
	require.NoErrorf(t, fault, "seed %d", seed)
	again := 0
	for n := range jobs {
		for _, r := range (script{seed}).job(0, n, records) {
			k := billed[r.Source+"/"+r.ID]
			require.Positivef(t, k, "seed %d: %v was not billed", seed, r.Identity())
			again += k - 1
		}
	}
	// Nobody works on a job of which another one lives: what a worker had in hand
	// when it was killed, in each of its slots, is begun anew, and no more.
	require.LessOrEqualf(t, again, most*2*records, "seed %d: records that were billed again", seed)
	st, err := store.Checkpoint(t.Context(), usage.AsOf{Sequence: 1 << 62})
	require.NoError(t, err)
	n := 0
	for _, err := range store.Scan(t.Context(), usage.Selection{Scope: usage.AllTenants(), Mark: st.Mark}) {
		require.NoError(t, err)
		n++
	}
	require.Equalf(t, jobs*records, n, "seed %d: booked records", seed)
	t.Logf("seed %d: %d workers killed, %d of %d records billed again", seed, most, again, n)
}

func TestKillWorkersOverSQLite(t *testing.T) {
	t.Parallel()
	testKillWorkers(t, "sqlite:"+filepath.Join(t.TempDir(), "usage.db"))
}

func TestKillWorkersOverPostgreSQL(t *testing.T) {
	t.Parallel()
	testKillWorkers(t, pgtest.Shared(t, 0).Database(t))
}
