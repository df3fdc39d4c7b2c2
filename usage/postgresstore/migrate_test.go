package postgresstore_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/postgresstore"
	"github.com/usagebook/usagebook/usage/postgresstore/pgtest"
)

// migrateEnv makes the test binary a process that opens a store and ends.
const migrateEnv = "USAGEBOOK_TEST_MIGRATE"

func TestMain(m *testing.M) {
	if url := os.Getenv(migrateEnv); url != "" {
		if err := openAsProcess(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.Shared(t, 0).Database(t)
	var wait sync.WaitGroup
	errs := make([]error, 9)
	for i := range errs {
		wait.Go(func() {
			if i%3 == 0 {
				cmd := exec.Command(os.Args[0])
				cmd.Env = append(os.Environ(), migrateEnv+"="+url)
				if out, err := cmd.CombinedOutput(); err != nil {
					errs[i] = fmt.Errorf("%w: %s", err, out)
				}
				return
			}
			pool, err := pgxpool.New(t.Context(), url)
			if err == nil {
				defer pool.Close()
				_, err = postgresstore.Open(t.Context(), pool, nil)
			}
			errs[i] = err
		})
	}
	wait.Wait()
	require.NoError(t, errors.Join(errs...))
	var rows int
	require.NoError(t, newPool(t, url, nil).QueryRow(t.Context(), "SELECT count(*) FROM usagebook.migrations").Scan(&rows))
	require.Equal(t, len(postgresstore.Migrations("")), rows)
}

func TestMigrationsByHand(t *testing.T) {
	t.Parallel()
	const schema = `Odd "name's` + "\u00e9"
	pool := newPool(t, pgtest.Shared(t, 0).Database(t), nil)
	opts := &postgresstore.Options{Schema: schema, NoMigrate: true}
	_, err := postgresstore.Open(t.Context(), pool, opts)
	var mismatch *postgresstore.SchemaError
	require.ErrorAs(t, err, &mismatch)
	require.Zero(t, mismatch.Have)
	require.ErrorContains(t, err, "run the migrations")

	for _, m := range postgresstore.Migrations(schema) {
		require.NotEmpty(t, m.Name)
		_, err := pool.Exec(t.Context(), "BEGIN;\n"+m.SQL+"COMMIT;")
		require.NoError(t, err, "migration %d", m.Version)
	}
	s := open(t, pool, opts)
	book, err := usage.New(s, nil)
	require.NoError(t, err)
	_, err = book.Append(t.Context(), use("1", 1))
	require.NoError(t, err)
	// Another schema of the same database is another book.
	other, err := usage.New(open(t, pool, nil), nil)
	require.NoError(t, err)
	receipt, err := other.Append(t.Context(), use("1", 1))
	require.NoError(t, err)
	require.Equal(t, 1, receipt.Inserted)
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	pool := newPool(t, pgtest.Shared(t, 0).Database(t), nil)
	open(t, pool, nil)
	_, err := pool.Exec(t.Context(), "INSERT INTO usagebook.migrations (version) VALUES (1000)")
	require.NoError(t, err)
	for _, opts := range []*postgresstore.Options{nil, {NoMigrate: true}} {
		_, err := postgresstore.Open(t.Context(), pool, opts)
		var mismatch *postgresstore.SchemaError
		require.ErrorAs(t, err, &mismatch)
		require.Equal(t, 1000, mismatch.Have)
		require.ErrorContains(t, err, "newer")
	}
}

// A role that may not create schemas can use one that is there.
func TestMigrateInAGivenSchema(t *testing.T) {
	t.Parallel()
	url := pgtest.Shared(t, 0).Database(t)
	admin := newPool(t, url, nil)
	role := fmt.Sprintf("clerk_%s", strings.TrimPrefix(admin.Config().ConnConfig.Database, "test_"))
	_, err := admin.Exec(t.Context(), "CREATE ROLE "+role+"; CREATE SCHEMA usagebook AUTHORIZATION "+role)
	require.NoError(t, err)
	pool := newPool(t, url, func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["role"] = role })
	book, err := usage.New(open(t, pool, nil), nil)
	require.NoError(t, err)
	_, err = book.Append(t.Context(), use("1", 1))
	require.NoError(t, err)
}

func TestOpenRefusesOtherEncodings(t *testing.T) {
	t.Parallel()
	url := pgtest.Shared(t, 0).Database(t)
	admin := newPool(t, url, nil)
	name := admin.Config().ConnConfig.Database + "_latin"
	_, err := admin.Exec(t.Context(), "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING LATIN1")
	require.NoError(t, err)
	pool := newPool(t, url, func(c *pgxpool.Config) { c.ConnConfig.Database = name })
	_, err = postgresstore.Open(t.Context(), pool, nil)
	require.ErrorIs(t, err, usage.ErrInvalid)
	require.ErrorContains(t, err, "LATIN1")
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	pool := newPool(t, pgtest.Shared(t, 0).Database(t), nil)
	for name, opts := range map[string]*postgresstore.Options{
		"a long schema":     {Schema: strings.Repeat("s", 64)},
		"a schema of bytes": {Schema: "\xff"},
		"no series":         {Series: -1},
	} {
		_, err := postgresstore.Open(t.Context(), pool, opts)
		require.ErrorIs(t, err, usage.ErrInvalid, name)
	}
	_, err := postgresstore.Open(t.Context(), nil, nil)
	require.ErrorIs(t, err, usage.ErrInvalid)
}
