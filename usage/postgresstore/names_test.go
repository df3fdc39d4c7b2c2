package postgresstore_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/postgresstore"
)

// What a call found remembered at its beginning may be forgotten before its end,
// because others bring so many new names meanwhile.
func TestForgottenNames(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.store.Remember(8)
	const writers, rounds, each = 4, 12, 60
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for round := range rounds {
				records := make([]usage.Record, each)
				for i := range records {
					r := use(fmt.Sprintf("%d-%d-%d", w, round, i), 1)
					r.Values = usage.Values{}.WithNumber(fmt.Sprintf("v%d", (round*7+w*13+i)%97), aggregate.Int(1))
					records[i] = r
				}
				if _, err := b.book.Append(t.Context(), records...); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	all := 0
	for r, err := range b.book.Rows(t.Context(), usage.AllTenants(), usage.Query{}) {
		require.NoError(t, err)
		require.Equal(t, 1, r.Record.Values.Len())
		all++
	}
	require.Equal(t, writers*rounds*each, all)
}

// A transaction whose session writes texts otherwise would book other names.
func TestSessionSettings(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for _, set := range []string{"client_encoding = LATIN1", "array_nulls = off"} {
		for _, records := range [][]usage.Record{{use("ä", 1)}, {use("ö", 1), voidOf("v", use("ö", 1))}} {
			tx := b.begin(t, pgx.ReadCommitted)
			_, err := tx.Exec(t.Context(), "SET LOCAL "+set)
			require.NoError(t, err)
			_, err = b.store.AppendTx(t.Context(), b.book, tx, records...)
			require.ErrorIs(t, err, usage.ErrInvalid, set)
			require.ErrorContains(t, err, "needed are UTF8 and on")
			_, err = tx.Exec(t.Context(), "SELECT 1")
			require.NoError(t, err, "the transaction is usable")
			require.NoError(t, tx.Commit(t.Context()))
		}
	}
	b.counts(t, "0", "0")
}

// Names that the database cannot hold are names of nothing, and no fault of the
// database's.
func TestNamesThatCannotBe(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	_, err := b.book.Append(t.Context(), use("1", 1))
	require.NoError(t, err)
	for _, name := range []string{"acme\x00", "acme\xff"} {
		for _, scope := range []usage.Scope{usage.ForTenant(name), usage.ForTenants(name, "nobody")} {
			page, err := b.book.Query(t.Context(), scope, usage.Query{})
			require.NoError(t, err)
			require.Empty(t, page.Rows)
		}
		page, err := b.book.Query(t.Context(), usage.ForTenants(name, "acme"), usage.Query{})
		require.NoError(t, err)
		require.Len(t, page.Rows, 1)
		for _, id := range []usage.Identity{{Tenant: name, Source: "shop", ID: "1"}, {Tenant: "acme", Source: name, ID: "1"}, {Tenant: "acme", Source: "shop", ID: name}} {
			for _, err := range b.store.Scan(t.Context(), usage.Selection{Scope: usage.AllTenants(), Mark: usage.Mark{Sequence: 9}, Identities: []usage.Identity{id}}) {
				require.NoError(t, err)
				t.Fatal("there is a record of that name")
			}
		}
		for _, err := range b.store.ScanRollups(t.Context(), usage.RollupSelection{Scope: usage.ForTenant(name), Projection: "meter", Level: aggregate.Day, Meters: []string{name},
			Keys: []usage.RollupKey{{Projection: "meter", Level: aggregate.Day, Tenant: name, Meter: name}}}) {
			require.NoError(t, err)
		}
	}
}

// The name of a schema may read like anything.
func TestOddSchemas(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for _, schema := range []string{`{schema}`, `a{schema}"b`, `{s}`, `it's $1 -- \`, "ü ü"} {
		store := open(t, b.pool, &postgresstore.Options{Schema: schema})
		book, err := usage.New(store, nil)
		require.NoError(t, err)
		receipt, err := book.Append(t.Context(), use("1", 1), use("1", 1))
		require.NoError(t, err, schema)
		require.Equal(t, 1, receipt.Inserted)
		page, err := book.Query(t.Context(), usage.ForTenant("acme"), usage.Query{})
		require.NoError(t, err, schema)
		require.Len(t, page.Rows, 1)
	}
}
