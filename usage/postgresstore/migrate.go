package postgresstore

import (
	"context"
	"embed"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Migration is one step of a schema to a newer version. Steps go forward only.
type Migration struct {
	// Version is the version of the schema after it, from 1.
	Version int
	// Name is what it is about.
	Name string
	// SQL is the statements that make it, without a transaction around them. The
	// last one notes the version.
	SQL string
}

// Migrations returns the steps that make the tables of a book in a schema, from
// the first to the newest, for teams that run migrations themselves: each in one
// transaction and in order. The schema is made by the first. Options of the store
// then say NoMigrate. An empty schema is DefaultSchema.
func Migrations(schema string) []Migration {
	if schema == "" {
		schema = DefaultSchema
	}
	entries, err := migrationFiles.ReadDir("migrations")
	if err != nil {
		panic(err) // they are part of the program
	}
	var out []Migration
	for _, e := range entries {
		text, err := migrationFiles.ReadFile("migrations/" + e.Name())
		if err != nil {
			panic(err)
		}
		number, name, _ := strings.Cut(strings.TrimSuffix(e.Name(), ".sql"), "_")
		version, err := strconv.Atoi(number)
		if err != nil {
			panic(err)
		}
		out = append(out, Migration{Version: version, Name: name, SQL: migrationSQL(version, string(text), schema)})
	}
	slices.SortFunc(out, func(a, b Migration) int { return a.Version - b.Version })
	return out
}

func migrationSQL(version int, text, schema string) string {
	var b strings.Builder
	if version == 1 {
		b.WriteString("CREATE SCHEMA IF NOT EXISTS {schema};\n" +
			"CREATE TABLE {schema}.migrations (version integer PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now());\n\n")
	}
	b.WriteString(text)
	fmt.Fprintf(&b, "\nINSERT INTO {schema}.migrations (version) VALUES (%d);\n", version)
	// In one go: the name of the schema may read like a place for it.
	return strings.NewReplacer("'{schema}.rollup_ids'", literal(ident(schema)+".rollup_ids"), "{schema}", ident(schema)).Replace(b.String())
}

func ident(name string) string { return pgx.Identifier{name}.Sanitize() }

func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// newest is the version that this package works with.
func newest(m []Migration) int { return m[len(m)-1].Version }

// version returns the version that a schema is at: 0 where it has no tables of a
// book.
func version(ctx context.Context, q interface {
	QueryRow(context.Context, string, ...any) pgx.Row
}, schema string) (int, error) {
	// The catalogues tell, and not to_regclass: that may remember from before the
	// lock that there was nothing.
	var there bool
	if err := q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1::text AND c.relname = 'migrations')`, schema).Scan(&there); err != nil || !there {
		return 0, err
	}
	var at int
	err := q.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM "+ident(schema)+".migrations").Scan(&at)
	return at, err
}

// migrate brings a schema to the newest version. Several processes may do so at
// once: they take turns, and the first one does it.
func migrate(ctx context.Context, pool *pgxpool.Pool, o *Options) error {
	steps := Migrations(o.Schema)
	want := newest(steps)
	at, err := version(ctx, pool, o.Schema)
	if err != nil {
		return err
	}
	if at > want || at < want && o.NoMigrate {
		return &SchemaError{Schema: o.Schema, Have: at, Want: want}
	}
	if at == want {
		return nil
	}
	return pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		h := fnv.New64a()
		fmt.Fprintf(h, "usagebook migration of %s", o.Schema)
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(h.Sum64())); err != nil {
			return err
		}
		at, err := version(ctx, tx, o.Schema)
		if err != nil {
			return err
		}
		if at > want {
			return &SchemaError{Schema: o.Schema, Have: at, Want: want}
		}
		for _, m := range steps {
			if m.Version <= at {
				continue
			}
			text := m.SQL
			if m.Version == 1 {
				// IF NOT EXISTS asks for the right to create schemas even where
				// there is nothing to create.
				var there bool
				if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1::text)", o.Schema).Scan(&there); err != nil {
					return err
				}
				if there {
					_, text, _ = strings.Cut(text, "\n")
				}
			}
			if _, err := tx.Conn().PgConn().Exec(ctx, text).ReadAll(); err != nil {
				return fmt.Errorf("migration %d (%s): %w", m.Version, m.Name, err)
			}
		}
		return nil
	})
}
