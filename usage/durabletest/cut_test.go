package durabletest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver of package sql
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/postgresstore/pgtest"
)

// versions are those of PostgreSQL that the tests run with: the system's, and
// another one.
var versions = []int{0, 18}

// mostMessages is far above the number of messages with which a call speaks to
// the server.
const mostMessages = 100

// cutting sends something through a proxy that cuts the connection, at each of its
// messages in turn and at each of the moments around it, until it is not cut any
// more; and once more as often as it takes to hit the commit, for how many messages
// there are differs with what the store and the connection know already. attempt sends the n-th thing, which is new for each n; landed tells whether
// it is booked, all of it or nothing, and fails where it is half there.
func cutting(t *testing.T, p *proxy, attempt func(n int) error, judge func(err error), landed func(n int) bool, again func(n int)) {
	t.Helper()
	n := 0
	for _, when := range []moment{beforeSending, afterSending, beforeAnswer} {
		cuts, told, unknown := 0, 0, 0
		for at, rounds := 0, 1; ; at++ {
			require.Less(t, at, mostMessages)
			n++
			p.arm(at, when)
			err := attempt(n)
			if !p.disarm() {
				require.NoErrorf(t, err, "nothing was cut")
				require.True(t, landed(n))
				again(n)
				if rounds++; rounds > 3 && (unknown > 0 || when != beforeAnswer) || rounds > 30 {
					break
				}
				at = -1
				continue
			}
			cuts++
			if err != nil {
				told++
				judge(err)
			}
			if when != afterSending { // then the server may be at it still
				was := landed(n)
				require.Truef(t, was || err != nil, "cut at message %d, %v: no error, and nothing is booked", at, when)
				if was && err != nil {
					unknown++
				}
			}
			again(n)
			require.Truef(t, landed(n), "cut at message %d, %v: what was sent again is not there", at, when)
		}
		t.Logf("cut %v: %d cuts, %d errors, %d of them of what was booked", when, cuts, told, unknown)
		require.NotZerof(t, told, "no cut %v was an error", when)
		switch when {
		case beforeSending:
			require.Zerof(t, unknown, "booked without a message")
		case beforeAnswer:
			require.NotZerof(t, unknown, "no cut hit a commit")
		}
	}
}

func TestCutAppend(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		for _, kind := range []string{"plain", "corrections", "all or nothing"} {
			t.Run(fmt.Sprintf("%d/%s", version, kind), func(t *testing.T) {
				t.Parallel()
				c := newCut(t, version)
				batch := func(n int) (usage.AppendOptions, []usage.Record) {
					list := c.records(n)
					if kind == "corrections" {
						list = append(list, usage.Record{Tenant: list[0].Tenant, Source: "desk", ID: list[0].ID,
							Corrects: &usage.Correction{Kind: usage.Void, Source: list[0].Source, ID: list[0].ID}})
					}
					return usage.AppendOptions{AllOrNothing: kind == "all or nothing"}, list
				}
				cutting(t, c.proxy, func(n int) error {
					o, list := batch(n)
					_, err := receipt(c.book.AppendBatch(t.Context(), o, list...))
					return err
				}, c.unavailable, func(n int) bool {
					_, list := batch(n)
					return c.landed(list)
				}, func(n int) {
					o, list := batch(n)
					_, err := receipt(c.book.AppendBatch(t.Context(), o, list...))
					require.NoError(t, err)
				})
				c.once(t)
			})
		}
	}
}

// TestCutAppendTx cuts around what a host does in a transaction of its own: an
// order, and its usage. One is there when the other is.
func TestCutAppendTx(t *testing.T) {
	t.Parallel()
	for _, version := range versions {
		for _, kind := range []string{"pgx", "database/sql"} {
			t.Run(fmt.Sprintf("%d/%s", version, kind), func(t *testing.T) {
				t.Parallel()
				c := newCut(t, version)
				appender, ok := c.store.(txAppender)
				require.True(t, ok, "the store books in the host's transactions")
				_, err := c.pool.Exec(t.Context(), "CREATE TABLE orders (id int PRIMARY KEY)")
				require.NoError(t, err)
				order := c.pgxOrder(appender)
				if kind == "database/sql" {
					order = c.sqlOrder(t, appender)
				}
				cutting(t, c.proxy, func(n int) error { return order(t.Context(), n) }, func(err error) {
					var book bookError
					if errors.As(err, &book) {
						c.unavailable(book.error)
					}
				}, func(n int) bool {
					var orders int
					require.NoError(t, c.direct.QueryRow(t.Context(), "SELECT count(*) FROM orders WHERE id = $1", n).Scan(&orders))
					usage := c.landed(c.records(n))
					require.Equal(t, orders == 1, usage, "an order and its usage")
					return usage
				}, func(n int) { require.NoError(t, order(t.Context(), n)) })
				c.once(t)
			})
		}
	}
}

// cut is a store behind a proxy, and the same one without.
type cut struct {
	t            *testing.T
	seed         uint64
	proxy        *proxy
	store        usage.Store // through the proxy
	book         *usage.Book
	pool, direct *pgxpool.Pool
	url          string
	clear        usage.Store // not through it
	sent         map[usage.Identity]bool
}

func newCut(t *testing.T, version int) *cut {
	t.Helper()
	database := pgtest.Shared(t, version).Database(t)
	c := &cut{t: t, seed: rand.Uint64(), sent: map[usage.Identity]bool{}}
	var err error
	c.direct, err = pgxpool.New(t.Context(), database)
	require.NoError(t, err)
	t.Cleanup(c.direct.Close)
	c.clear = c.open(database)
	c.proxy, c.url = newProxy(t, database)
	c.pool, err = pgxpool.New(t.Context(), c.url)
	require.NoError(t, err)
	t.Cleanup(c.pool.Close)
	c.store = c.open(c.url)
	c.book, err = usage.New(c.store, nil)
	require.NoError(t, err)
	return c
}

func (c *cut) open(name string) usage.Store {
	c.t.Helper()
	s, closeAll, err := openStore(c.t.Context(), name)
	require.NoError(c.t, err)
	c.t.Cleanup(func() {
		s.Close()
		closeAll()
	})
	return s
}

// records are those of the n-th thing.
func (c *cut) records(n int) []usage.Record {
	rng := rand.New(rand.NewPCG(c.seed, uint64(n)))
	out := make([]usage.Record, 3)
	for i := range out {
		out[i] = record(rng, "cut", fmt.Sprintf("%d-%d", n, i))
	}
	return out
}

func (c *cut) unavailable(err error) {
	c.t.Helper()
	require.ErrorIsf(c.t, err, usage.ErrUnavailable, "the error of a cut connection: %v", err)
}

// landed reports whether records are booked, all or none.
func (c *cut) landed(list []usage.Record) bool {
	c.t.Helper()
	ids := make([]usage.Identity, len(list))
	for i := range list {
		ids[i] = list[i].Identity()
		c.sent[ids[i]] = true
	}
	st, err := c.clear.Checkpoint(c.t.Context(), usage.AsOf{Sequence: 1 << 62})
	require.NoError(c.t, err)
	n := 0
	for _, err := range c.clear.Scan(c.t.Context(), usage.Selection{Scope: usage.AllTenants(), Mark: st.Mark, Identities: ids}) {
		require.NoError(c.t, err)
		n++
	}
	require.Containsf(c.t, []int{0, len(list)}, n, "seed %d: of %d records so many are there", c.seed, len(list))
	return n > 0
}

// once holds that everything that was sent is there, once.
func (c *cut) once(t *testing.T) {
	t.Helper()
	st, err := c.clear.Checkpoint(t.Context(), usage.AsOf{Sequence: 1 << 62})
	require.NoError(t, err)
	seen := map[usage.Identity]bool{}
	for s, err := range c.clear.Scan(t.Context(), usage.Selection{Scope: usage.AllTenants(), Mark: st.Mark}) {
		require.NoError(t, err)
		require.Falsef(t, seen[s.Identity()], "seed %d: %v is there twice", c.seed, s.Identity())
		seen[s.Identity()] = true
	}
	require.Equalf(t, c.sent, seen, "seed %d", c.seed)
}

// bookError is an error of the book; others are the host's own.
type bookError struct{ error }

const insertOrder = "INSERT INTO orders VALUES ($1) ON CONFLICT DO NOTHING"

func (c *cut) pgxOrder(appender txAppender) func(ctx context.Context, n int) error {
	return func(ctx context.Context, n int) error {
		tx, err := c.pool.Begin(ctx)
		if err != nil {
			return err
		}
		defer tx.Rollback(ctx)
		if _, err := tx.Exec(ctx, insertOrder, n); err != nil {
			return err
		}
		if _, err := receipt(appender.AppendTx(ctx, c.book, tx, c.records(n)...)); err != nil {
			return bookError{err}
		}
		return tx.Commit(ctx)
	}
}

func (c *cut) sqlOrder(t *testing.T, appender txAppender) func(ctx context.Context, n int) error {
	t.Helper()
	db, err := sql.Open("pgx", c.url)
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	return func(ctx context.Context, n int) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if _, err := tx.ExecContext(ctx, insertOrder, n); err != nil {
			return err
		}
		if _, err := receipt(appender.AppendSQLTx(ctx, c.book, tx, c.records(n)...)); err != nil {
			return bookError{err}
		}
		return tx.Commit()
	}
}
