package postgresstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/postgresstore"
	"github.com/usagebook/usagebook/usage/postgresstore/pgtest"
)

// bench is a store on a database of its own, with a book over it.
type bench struct {
	url   string
	pool  *pgxpool.Pool
	store *postgresstore.Store
	book  *usage.Book
	clock *clock
}

// clock is one that only the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

var epoch = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

func newBench(t testing.TB, configure func(*pgxpool.Config)) *bench {
	t.Helper()
	b := &bench{url: pgtest.Shared(t, 0).Database(t), clock: &clock{now: epoch}}
	b.pool = newPool(t, b.url, configure)
	b.store = open(t, b.pool, nil)
	var err error
	b.book, err = usage.New(b.store, &usage.Options{Now: b.clock.Now})
	require.NoError(t, err)
	return b
}

// sibling is the store of another process.
func (b *bench) sibling(t testing.TB) *bench {
	t.Helper()
	s := &bench{url: b.url, clock: b.clock, pool: newPool(t, b.url, nil)}
	s.store = open(t, s.pool, nil)
	var err error
	s.book, err = usage.New(s.store, &usage.Options{Now: b.clock.Now})
	require.NoError(t, err)
	return s
}

func use(id string, quantity int64) usage.Record {
	return usage.Record{Tenant: "acme", Source: "shop", ID: id, Meter: "orders", Start: epoch,
		Values:     usage.Quantity(decimal.NewFromInt(quantity)),
		Dimensions: usage.NewDimensions(usage.Dimension{Name: "region", Value: "eu"})}
}

func voidOf(id string, target usage.Record) usage.Record {
	return usage.Record{Tenant: target.Tenant, Source: "desk", ID: id,
		Corrects: &usage.Correction{Kind: usage.Void, Source: target.Source, ID: target.ID}}
}

func (b *bench) begin(t testing.TB, level pgx.TxIsoLevel) pgx.Tx {
	t.Helper()
	tx, err := b.pool.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: level})
	require.NoError(t, err)
	// The test's context has ended when cleanups run.
	t.Cleanup(func() { tx.Rollback(context.Background()) })
	return tx
}

// total returns the sum and the number of what counts.
func (b *bench) total(t testing.TB) (sum, count string) {
	t.Helper()
	page, err := b.book.Query(t.Context(), usage.AllTenants(), usage.Query{Measures: []usage.Measure{{Of: "quantity"}, {Aggregation: usage.Count}}})
	require.NoError(t, err)
	if len(page.Rows) == 0 {
		return "0", "0"
	}
	sum = page.Rows[0].Get("quantity").String()
	return sum, page.Rows[0].Get("count").String()
}

func (b *bench) counts(t testing.TB, sum, count string) {
	t.Helper()
	s, n := b.total(t)
	require.Equal(t, [2]string{sum, count}, [2]string{s, n}, "sum and number of what counts")
}

// booking books records in a transaction, of pgx or of database/sql.
type booking struct {
	append   func(records ...usage.Record) (*usage.Receipt, error)
	exec     func(sql string) error
	commit   func() error
	rollback func() error
}

// ways are the kinds of transactions.
var ways = map[string]func(t testing.TB, b *bench) booking{
	"pgx": func(t testing.TB, b *bench) booking {
		tx := b.begin(t, "")
		ctx := t.Context()
		return booking{
			append:   func(r ...usage.Record) (*usage.Receipt, error) { return b.store.AppendTx(ctx, b.book, tx, r...) },
			exec:     func(sql string) error { _, err := tx.Exec(ctx, sql); return err },
			commit:   func() error { return tx.Commit(ctx) },
			rollback: func() error { return tx.Rollback(ctx) },
		}
	},
	"database/sql": func(t testing.TB, b *bench) booking {
		db := stdlib.OpenDBFromPool(b.pool)
		t.Cleanup(func() { db.Close() })
		ctx := t.Context()
		tx, err := db.BeginTx(ctx, nil)
		require.NoError(t, err)
		t.Cleanup(func() { tx.Rollback() })
		return booking{
			append:   func(r ...usage.Record) (*usage.Receipt, error) { return b.store.AppendSQLTx(ctx, b.book, tx, r...) },
			exec:     func(sql string) error { _, err := tx.ExecContext(ctx, sql); return err },
			commit:   tx.Commit,
			rollback: tx.Rollback,
		}
	},
}

func eachWay(t *testing.T, run func(t *testing.T, begin func(t testing.TB, b *bench) booking)) {
	for name, begin := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, begin)
		})
	}
}

func TestAppendTxIsBookedWithTheCommit(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, begin func(t testing.TB, b *bench) booking) {
		b := newBench(t, nil)
		tx := begin(t, b)
		receipt, err := tx.append(use("1", 3), use("2", 4))
		require.NoError(t, err)
		require.Equal(t, 2, receipt.Inserted)
		require.Zero(t, receipt.Entries[0].Sequence)
		b.counts(t, "0", "0")
		require.NoError(t, tx.commit())
		b.counts(t, "7", "2")

		tx = begin(t, b)
		_, err = tx.append(use("3", 5))
		require.NoError(t, err)
		require.NoError(t, tx.rollback())
		b.counts(t, "7", "2")

		// The names that were rolled back are not taken for known.
		fresh := use("4", 1)
		fresh.Meter, fresh.Dimensions = "new", usage.NewDimensions(usage.Dimension{Name: "zone", Value: "z"})
		fresh.Values = fresh.Values.With("cost", decimal.NewFromInt(2))
		tx = begin(t, b)
		_, err = tx.append(fresh)
		require.NoError(t, err)
		require.NoError(t, tx.rollback())
		_, err = b.book.Append(t.Context(), fresh)
		require.NoError(t, err)
		other := b.sibling(t)
		page, err := other.book.Query(t.Context(), usage.AllTenants(), usage.Query{Filter: "meter eq 'new'", GroupBy: []string{"zone"}, Measures: []usage.Measure{{Of: "cost"}}})
		require.NoError(t, err)
		require.Len(t, page.Rows, 1)
		require.Equal(t, "2", page.Rows[0].Get("cost").String())
		require.Equal(t, "z", page.Rows[0].Get("zone").Str())
	})
}

func TestAppendTxLeavesTheTransactionUsable(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, begin func(t testing.TB, b *bench) booking) {
		b := newBench(t, nil)
		_, err := b.book.Append(t.Context(), use("1", 1))
		require.NoError(t, err)
		require.NoError(t, execute(b, "CREATE TABLE orders (id text)"))

		tx := begin(t, b)
		bad := use("5", 1)
		bad.Meter = ""
		receipt, err := tx.append(use("1", 99), use("2", 2), use("1", 99), bad, use("3", 3), use("2", 2))
		require.ErrorIs(t, err, usage.ErrConflict)
		require.ErrorIs(t, err, usage.ErrRejected)
		require.Equal(t, 2, receipt.Inserted)
		require.Equal(t, usage.Conflict, receipt.Entries[0].Outcome)
		require.NoError(t, tx.exec("INSERT INTO orders VALUES ('a')"))
		receipt, err = tx.append(use("1", 1), use("2", 2), use("4", 4))
		require.NoError(t, err)
		require.Equal(t, 2, receipt.Duplicates)
		require.NoError(t, tx.commit())
		b.counts(t, "10", "4")

		// Sequences have no gaps, whatever stood between the records.
		var sequences []uint64
		state, err := b.store.Checkpoint(t.Context(), usage.AsOf{})
		require.NoError(t, err)
		for r, err := range b.store.Scan(t.Context(), usage.Selection{Scope: usage.AllTenants(), Mark: state.Mark, Order: usage.BySequence}) {
			require.NoError(t, err)
			sequences = append(sequences, r.Sequence)
		}
		require.Equal(t, []uint64{1, 2, 3, 4}, sequences)
	})
}

func TestAppendTxBooksCorrections(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, begin func(t testing.TB, b *bench) booking) {
		b := newBench(t, nil)
		_, err := b.book.Append(t.Context(), use("old", 1))
		require.NoError(t, err)
		tx := begin(t, b)
		_, err = tx.append(use("new", 2), use("gone", 4))
		require.NoError(t, err)
		replacement := use("better", 8)
		replacement.Corrects = &usage.Correction{Kind: usage.Replace, Source: "shop", ID: "new"}
		_, err = tx.append(voidOf("v1", use("old", 1)), voidOf("v2", use("gone", 4)), replacement, use("same", 16), voidOf("v3", use("same", 16)))
		require.NoError(t, err)
		receipt, err := tx.append(voidOf("v4", use("old", 1)), voidOf("v5", use("nobody", 1)), use("more", 32))
		require.ErrorIs(t, err, usage.ErrAlreadyCorrected)
		require.ErrorIs(t, err, usage.ErrTarget)
		require.Equal(t, "v1", receipt.Entries[0].Head.ID)
		require.Equal(t, 1, receipt.Inserted)
		require.NoError(t, tx.commit())
		b.counts(t, "40", "2")
		b.roll(t)
		b.counts(t, "40", "2")
	})
}

func (b *bench) roll(t testing.TB) {
	t.Helper()
	for {
		did, err := b.book.Roll(t.Context())
		require.NoError(t, err)
		if !did {
			return
		}
	}
}

func execute(b *bench, sql string) error {
	_, err := b.pool.Exec(context.Background(), sql)
	return err
}

func TestAppendTxRefusesOtherIsolation(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	_, err := b.book.Append(t.Context(), use("target", 1))
	require.NoError(t, err)
	for _, level := range []pgx.TxIsoLevel{pgx.RepeatableRead, pgx.Serializable} {
		for name, records := range map[string][]usage.Record{"plain": {use("1", 1)}, "correction": {voidOf("v", use("target", 1))}} {
			tx := b.begin(t, level)
			_, err := b.store.AppendTx(t.Context(), b.book, tx, records...)
			var isolation *postgresstore.IsolationError
			require.ErrorAs(t, err, &isolation, name)
			require.ErrorIs(t, err, usage.ErrInvalid)
			require.Equal(t, string(level), isolation.Level)
			_, err = tx.Exec(t.Context(), "SELECT 1")
			require.NoError(t, err, "the transaction is usable")
			require.NoError(t, tx.Commit(t.Context()))
		}
	}
	b.counts(t, "1", "1")
}

// Own transactions are the store's business, whatever the database's default.
func TestAppendWhateverTheDefaultIsolation(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"repeatable read", "serializable"} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["default_transaction_isolation"] = level })
			var wait sync.WaitGroup
			errs := make([]error, 8)
			for w := range errs {
				wait.Go(func() {
					for i := range 20 {
						_, err := b.book.Append(t.Context(), use(fmt.Sprintf("shared-%d", i), 1), use(fmt.Sprintf("own-%d-%d", w, i), 1))
						errs[w] = errors.Join(errs[w], err)
						_, err = b.store.Checkpoint(t.Context(), usage.AsOf{})
						errs[w] = errors.Join(errs[w], err)
					}
				})
			}
			wait.Wait()
			require.NoError(t, errors.Join(errs...))
			b.counts(t, "180", "180")
		})
	}
}

func TestAppendTxRacesForAnIdentity(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, begin func(t testing.TB, b *bench) booking) {
		for _, commits := range []bool{true, false} {
			b := newBench(t, nil)
			first, second := begin(t, b), begin(t, b)
			_, err := first.append(use("a", 1), use("b", 2))
			require.NoError(t, err)
			type answer struct {
				receipt *usage.Receipt
				err     error
			}
			done := make(chan answer, 1)
			go func() {
				r, err := second.append(use("b", 2), use("a", 7), use("c", 4))
				done <- answer{r, err}
			}()
			select {
			case <-done:
				t.Fatal("the second transaction did not wait for the first")
			case <-time.After(100 * time.Millisecond):
			}
			if commits {
				require.NoError(t, first.commit())
			} else {
				require.NoError(t, first.rollback())
			}
			got := <-done
			if commits {
				require.ErrorIs(t, got.err, usage.ErrConflict)
				require.Equal(t, 1, got.receipt.Inserted)
				require.Equal(t, 1, got.receipt.Duplicates)
			} else {
				require.NoError(t, got.err)
				require.Equal(t, 3, got.receipt.Inserted)
			}
			require.NoError(t, second.commit())
			if commits {
				b.counts(t, "7", "3")
			} else {
				b.counts(t, "13", "3")
			}
		}
	})
}

func TestAppendTxRacesForATarget(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, begin func(t testing.TB, b *bench) booking) {
		b := newBench(t, nil)
		_, err := b.book.Append(t.Context(), use("t", 1))
		require.NoError(t, err)
		first, second := begin(t, b), begin(t, b)
		_, err = first.append(voidOf("v1", use("t", 1)))
		require.NoError(t, err)
		done := make(chan error, 1)
		go func() {
			_, err := second.append(voidOf("v2", use("t", 1)))
			done <- err
		}()
		select {
		case err := <-done:
			t.Fatalf("the second transaction did not wait for the first: %v", err)
		case <-time.After(100 * time.Millisecond):
		}
		require.NoError(t, first.commit())
		require.ErrorIs(t, <-done, usage.ErrAlreadyCorrected)
		_, err = second.append(use("u", 5))
		require.NoError(t, err, "the transaction is usable")
		require.NoError(t, second.commit())
		b.counts(t, "5", "1")
	})
}

// A host's transaction that is open holds nobody up but who books the same
// records: neither other writers of the same new series, nor readers.
func TestOpenTransactionsHoldNobodyUp(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tx := b.begin(t, "")
	_, err := b.store.AppendTx(ctx, b.book, tx, use("mine", 1))
	require.NoError(t, err)
	_, err = b.book.Append(ctx, use("other", 2))
	require.NoError(t, err)
	b.counts(t, "2", "1")
	b.roll(t)
	b.clock.advance(time.Minute)
	require.NoError(t, b.book.Settled(ctx, b.clock.Now()))
	require.NoError(t, tx.Commit(ctx))
	b.counts(t, "3", "2")
	b.roll(t)
	b.counts(t, "3", "2")
}

// A pool of one connection, which the host's transaction has.
func TestAppendTxTakesNoOtherConnection(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, begin func(t testing.TB, b *bench) booking) {
		b := newBench(t, func(c *pgxpool.Config) { c.MaxConns = 1 })
		_, err := b.book.Append(t.Context(), use("old", 1), use("older", 2))
		require.NoError(t, err)
		done := make(chan error, 1)
		go func() {
			tx := begin(t, b)
			fresh := use("new", 4)
			fresh.Meter, fresh.Values = "other", fresh.Values.With("cost", decimal.NewFromInt(1))
			_, err := tx.append(fresh, use("old", 1), voidOf("v", use("older", 2)))
			if err == nil {
				_, err = tx.append(use("old", 9))
				if errors.Is(err, usage.ErrConflict) {
					err = tx.commit()
				}
			}
			done <- err
		}()
		select {
		case err := <-done:
			require.NoError(t, err)
		case <-time.After(20 * time.Second):
			t.Fatal("the call waits for a connection")
		}
		b.counts(t, "5", "2")
	})
}

// A transaction that a host has ended must not be written to: its connection is
// somebody else's by now.
func TestAppendTxAfterTheEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	tx := b.begin(t, "")
	require.NoError(t, tx.Commit(t.Context()))
	_, err := b.store.AppendTx(t.Context(), b.book, tx, use("1", 1))
	require.ErrorIs(t, err, pgx.ErrTxClosed)
	require.ErrorIs(t, err, usage.ErrUnavailable)
	b.counts(t, "0", "0")
}

func TestErrors(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	_, err := b.book.Append(t.Context(), use("1", 1))
	require.NoError(t, err)
	require.NoError(t, execute(b, "ALTER TABLE usagebook.records RENAME TO elsewhere"))
	_, err = b.book.Append(t.Context(), use("2", 1))
	require.ErrorIs(t, err, usage.ErrUnavailable)
	var server *pgconn.PgError
	require.ErrorAs(t, err, &server)
	require.Equal(t, "42P01", server.Code)
	require.ErrorContains(t, err, "postgresstore: append: ")
	require.NoError(t, execute(b, "ALTER TABLE usagebook.elsewhere RENAME TO records"))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = b.book.Append(ctx, use("2", 1))
	require.ErrorIs(t, err, context.Canceled)

	// A lock that is held for longer than the caller waits.
	tx := b.begin(t, "")
	_, err = tx.Exec(t.Context(), "LOCK usagebook.records")
	require.NoError(t, err)
	ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = b.book.Append(ctx, use("2", 1))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, tx.Rollback(t.Context()))

	b.pool.Close()
	_, err = b.book.Append(t.Context(), use("2", 1))
	require.ErrorIs(t, err, usage.ErrUnavailable)
}
