package postgresstore_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/postgresstore"
	"github.com/usagebook/usagebook/usage/postgresstore/pgtest"
	"github.com/usagebook/usagebook/usage/storetest"
)

// newPool returns a pool of connections to a database, changed as configure
// likes. It is closed with the test.
func newPool(t testing.TB, url string, configure func(*pgxpool.Config)) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	require.NoError(t, err)
	config.MaxConns = 16
	if configure != nil {
		configure(config)
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func open(t testing.TB, pool *pgxpool.Pool, opts *postgresstore.Options) *postgresstore.Store {
	t.Helper()
	s, err := postgresstore.Open(t.Context(), pool, opts)
	require.NoError(t, err)
	return s
}

func contract(t *testing.T, configure func(*pgxpool.Config)) {
	t.Helper()
	server := pgtest.Shared(t, 0)
	urls := map[usage.Store]string{}
	storetest.Run(t, func(t testing.TB) usage.Store {
		url := server.Database(t)
		s := open(t, newPool(t, url, configure), nil)
		urls[s] = url
		return s
	}, &storetest.Options{Reopen: func(t testing.TB, s usage.Store) usage.Store {
		again := open(t, newPool(t, urls[s], configure), nil)
		urls[again] = urls[s]
		return again
	}})
}

func TestContract(t *testing.T) {
	t.Parallel()
	contract(t, nil)
}

// One connection is all that a call may take: who holds one and wants another
// waits for ever.
func TestContractOfOneConnection(t *testing.T) {
	t.Parallel()
	contract(t, func(c *pgxpool.Config) { c.MaxConns = 1 })
}

// Hosts behind a proxy of connections have modes of their own.
func TestContractOfModes(t *testing.T) {
	t.Parallel()
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			contract(t, func(c *pgxpool.Config) { c.ConnConfig.DefaultQueryExecMode = mode })
		})
	}
}
