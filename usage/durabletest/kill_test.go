package durabletest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/postgresstore/pgtest"
)

// Of each run's kills so many have to meet a batch between its announcement and
// its acknowledgement; else nothing was shown.
const (
	kills   = 100
	inBatch = 50
)

// rolling are options with which the rollups come along in small steps, so that a
// kill meets them too.
func rolling() *usage.Options {
	return &usage.Options{Rules: billing{}, RollInterval: 5 * time.Millisecond, RollBatch: 60, Rollups: [][]string{{"region"}}}
}

// appendRole sends the batches of a script, one after the other for each writer,
// says what it is about to send and what was acknowledged, and goes on until it is
// killed.
func appendRole(ctx context.Context, r *role) error {
	store, closeAll, err := openStore(ctx, r.Store)
	if err != nil {
		return err
	}
	defer closeAll()
	defer store.Close()
	book, err := usage.New(store, rolling())
	if err != nil {
		return err
	}
	s := script{r.Seed}
	faults := make(chan error, len(r.From)+1)
	go func() { faults <- rollAll(ctx, book) }()
	for w, from := range r.From {
		go func() { faults <- appendAll(ctx, book, s, w, from) }()
	}
	return <-faults
}

// rollAll does what Book.Run does for the rollups, and says when it has.
func rollAll(ctx context.Context, book *usage.Book) error {
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		did, err := book.Roll(ctx)
		if err != nil {
			return err
		}
		if did {
			say("rolled")
			continue
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func appendAll(ctx context.Context, book *usage.Book, s script, w, from int) error {
	// What was acknowledged before the kill is sent once more.
	for n := max(0, from-2); n < from; n++ {
		again, err := receipt(book.Append(ctx, s.batch(w, n)...))
		if err == nil && !again {
			err = fmt.Errorf("it was booked a second time")
		}
		if err != nil {
			return fmt.Errorf("batch %d of writer %d, which was acknowledged: %w", n, w, err)
		}
	}
	for n := from; ; n++ {
		say("try", w, n)
		again, err := receipt(book.Append(ctx, s.batch(w, n)...))
		if err == nil && again && n > from {
			err = fmt.Errorf("it was there before it was sent")
		}
		if err != nil {
			return fmt.Errorf("batch %d of writer %d: %w", n, w, err)
		}
		say("ok", w, n)
	}
}

// killing starts appenders and kills them, again and again, and calls check after
// each.
func killing(t *testing.T, store string, most int, check func(j *journal, last bool) error) error {
	t.Helper()
	seed := rand.Uint64()
	j := newJournal(seed, 2)
	met := 0
	for life := range most {
		c, err := untilKilled(t, store, j, life%5 == 0)
		if j.open() > 0 {
			met++
		}
		if err == nil {
			err = check(j, life == most-1)
		}
		if err != nil {
			return fmt.Errorf("seed %d, life %d: %w; the child's stderr: %s", seed, life, err, c.stderr.String())
		}
	}
	t.Logf("seed %d: %d kills, %d of them with a batch in flight, of which %d were booked and not acknowledged; %d batches of %d records acknowledged; %d steps of the rollups",
		seed, most, met, j.landed, j.acknowledged(), len(j.found), j.rolled.Load())
	if met < most*inBatch/kills {
		return fmt.Errorf("of %d kills %d met a batch in flight, which shows nothing", most, met)
	}
	return nil
}

// untilKilled starts an appender that goes on where the journal ends, and kills it
// some milliseconds after its first acknowledgement, or its first step of the
// rollups.
func untilKilled(t *testing.T, store string, j *journal, afterRoll bool) (*child, error) {
	t.Helper()
	awaited := make(chan struct{})
	begun := sync.OnceFunc(func() { close(awaited) })
	c := start(t, &role{Name: "append", Store: store, Seed: j.script.seed, From: slices.Clone(j.acked)}, func(words []string) {
		switch words[0] {
		case "try":
			j.try(number(words[1]), number(words[2]))
		case "ok":
			j.ack(number(words[1]), number(words[2]))
			if !afterRoll {
				begun()
			}
		case "rolled":
			j.rolled.Add(1)
			if afterRoll {
				begun()
			}
		default:
			j.blame(errors.New(strings.Join(words, " ")))
		}
	})
	defer c.kill()
	patience := time.NewTimer(time.Minute)
	defer patience.Stop()
	select {
	case <-awaited:
	case <-c.heard: // it has failed, and said why
	case <-patience.C:
		return c, errors.New("nothing was acknowledged, or rolled, for a minute")
	}
	moment := time.NewTimer(randomMoment())
	defer moment.Stop()
	select {
	case <-moment.C:
	case <-c.heard:
	}
	return c, nil
}

// randomMoment is how long after the first sign of life a writer is killed.
func randomMoment() time.Duration { return time.Duration(rand.Int64N(int64(40 * time.Millisecond))) }

// held holds what a store has against a journal; the figures are looked at now
// and then, for they take longer. It reports whether rollups were read.
func held(ctx context.Context, j *journal, store usage.Store, figures, last bool) (rolled bool, err error) {
	if err := j.read(ctx, store); err != nil {
		return false, err
	}
	if figures || last {
		if rolled, err = j.figures(ctx, store); err != nil {
			return false, err
		}
	}
	if last {
		err = j.whole(ctx, store)
	}
	return rolled, err
}

// reopened opens a store after a kill and holds what it has against a journal.
func reopened(ctx context.Context, name string, j *journal, figures, last bool) (rolled bool, err error) {
	store, closeAll, err := openStore(ctx, name)
	if err != nil {
		return false, fmt.Errorf("opening the store again: %w", err)
	}
	defer closeAll()
	defer store.Close()
	return held(ctx, j, store, figures, last)
}

func testKill(t *testing.T, name string) {
	t.Helper()
	lives, rolled := 0, 0
	err := killing(t, name, times(kills), func(j *journal, last bool) error {
		lives++
		read, err := reopened(t.Context(), name, j, lives%10 == 1, last)
		if read {
			rolled++
		}
		return err
	})
	require.NoError(t, err)
	// Those of few records are not worth reading, so not every one is read.
	require.NotZero(t, rolled, "how often rollups were read after a kill")
}

func TestKillAppenderOverSQLite(t *testing.T) {
	t.Parallel()
	testKill(t, "sqlite:"+filepath.Join(t.TempDir(), "usage.db"))
}

func TestKillAppenderOverPostgreSQL(t *testing.T) {
	t.Parallel()
	testKill(t, pgtest.Shared(t, 0).Database(t))
}

// TestKillFindsFaults kills appenders over a plain log, which has to survive it,
// and over some that are broken.
func TestKillFindsFaults(t *testing.T) {
	t.Parallel()
	for flaw, want := range map[string]string{
		"":             "",
		"acknowledges": "records are there, acknowledged: true",
		"halves":       "records are there, acknowledged: false",
		"repeats":      "is there twice",
	} {
		t.Run("flaw "+flaw, func(t *testing.T) {
			t.Parallel()
			name := "log:" + flaw + ":" + filepath.Join(t.TempDir(), "log")
			lives := 0
			err := killing(t, name, 30, func(j *journal, last bool) error {
				lives++
				_, err := reopened(t.Context(), name, j, lives%10 == 0, last)
				return err
			})
			if want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, want)
		})
	}
}

// TestKillPostgreSQL kills all processes of a server that writes to stable
// storage, which in memory is quick, and starts it again.
func TestKillPostgreSQL(t *testing.T) {
	t.Parallel()
	opts := &pgtest.Options{Fsync: true}
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		opts.Dir = "/dev/shm"
	}
	server := pgtest.Run(t, opts)
	name := server.Database(t)
	store, closeAll, err := openStore(t.Context(), name)
	require.NoError(t, err)
	defer closeAll()
	defer store.Close()
	book, err := usage.New(store, rolling())
	require.NoError(t, err)

	const writers = 3
	j := newJournal(rand.Uint64(), writers)
	seed := j.script.seed
	ctx, cancel := context.WithCancel(t.Context())
	g := newGate()
	acks := make(chan struct{}, 1) // something was acknowledged since it was drained
	var working sync.WaitGroup
	for w := range writers {
		working.Go(func() {
			defer g.leave()
			for n := 0; ; n++ {
				j.try(w, n)
				for tries := 0; ; tries++ {
					if !g.pass(ctx) {
						return
					}
					again, err := receipt(book.Append(ctx, j.script.batch(w, n)...))
					if err == nil && again && tries == 0 {
						err = fmt.Errorf("it was there before it was sent")
					}
					if err == nil {
						break
					}
					if refused := (*pgconn.ConnectError)(nil); !errors.As(err, &refused) {
						g.failed.Add(1) // else it had not begun when the server was killed
					}
					if !errors.Is(err, usage.ErrUnavailable) {
						j.blame(fmt.Errorf("batch %d of writer %d, try %d: %w", n, w, tries, err))
						return
					}
				}
				j.ack(w, n)
				select {
				case acks <- struct{}{}:
				default:
				}
			}
		})
	}
	working.Go(func() { book.Run(ctx) }) // it tries again after each kill
	defer working.Wait()
	defer cancel()

	met, rolled, most := 0, false, times(kills)
	for life := range most {
		select {
		case <-acks:
		default:
		}
		g.open()
		patience := time.NewTimer(time.Minute)
		select {
		case <-acks:
		case <-patience.C:
			t.Fatalf("seed %d, life %d: nothing was acknowledged for a minute; fault: %v", seed, life, j.fault)
		}
		patience.Stop()
		<-time.After(randomMoment())
		g.failed.Store(0)
		require.NoError(t, server.Kill(t.Context()))
		g.close()
		require.NoError(t, server.Start(t.Context()))
		// Whoever was in a call comes out of it, with an answer or without.
		g.wait(writers)
		if g.failed.Load() > 0 {
			met++
		}
		// Opened anew: the connections of the store that writes are dead, each
		// until somebody notices.
		r, err := reopened(t.Context(), name, j, life%10 == 9, life == most-1)
		require.NoErrorf(t, err, "seed %d, life %d", seed, life)
		rolled = rolled || r
	}
	t.Logf("seed %d: %d kills of the server, %d of them with a batch in flight, of which %d were booked and not acknowledged; %d batches of %d records acknowledged",
		seed, most, met, j.landed, j.acknowledged(), len(j.found))
	require.GreaterOrEqual(t, met, most*inBatch/kills, "kills with a batch in flight: the run shows nothing")
	require.True(t, rolled, "no rollup was read")
}

// gate is what writers pass before each call, and where they stand while it is
// closed.
type gate struct {
	failed atomic.Int64 // calls that came back without an answer

	mu       sync.Mutex
	changed  *sync.Cond
	isOpen   bool
	standing int
}

func newGate() *gate {
	g := &gate{}
	g.changed = sync.NewCond(&g.mu)
	return g
}

func (g *gate) set(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.isOpen = open
	g.changed.Broadcast()
}

func (g *gate) open()  { g.set(true) }
func (g *gate) close() { g.set(false) }

// pass returns when the gate is open, and false when the context has ended.
func (g *gate) pass(ctx context.Context) bool {
	defer context.AfterFunc(ctx, g.open)()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.standing++
	g.changed.Broadcast()
	for !g.isOpen {
		g.changed.Wait()
	}
	g.standing--
	return ctx.Err() == nil
}

// leave is for who passes no more.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.standing++
	g.changed.Broadcast()
}

// wait returns when so many stand at the gate, or have left.
func (g *gate) wait(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.standing < n {
		g.changed.Wait()
	}
}
