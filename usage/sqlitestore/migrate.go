package sqlitestore

import (
	"context"
	"embed"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"modernc.org/sqlite"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Migration is a step of the tables from one version to the next.
type Migration struct {
	// Version is what the tables have after it, from 1.
	Version int
	// Name says what it is about.
	Name string
	// SQL is what to run, in one transaction. It notes the version itself.
	SQL string
}

// Migrations returns the steps of this version of the package, oldest first, for
// teams that run them themselves, in one transaction each (Options.NoMigrate).
// They go forward only.
func Migrations() []Migration {
	entries, err := migrationFiles.ReadDir("migrations")
	if err != nil {
		panic(err) // they are part of the program
	}
	var out []Migration
	for _, e := range entries {
		number, name, _ := strings.Cut(strings.TrimSuffix(e.Name(), ".sql"), "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != len(out)+1 {
			panic("sqlitestore: a migration is out of order: " + e.Name())
		}
		text, err := migrationFiles.ReadFile(path.Join("migrations", e.Name()))
		if err != nil {
			panic(err)
		}
		out = append(out, Migration{Version: version, Name: name, SQL: string(text)})
	}
	return out
}

// version returns the version of the tables, 0 where there are none.
func version(ctx context.Context, c *conn) (int, error) {
	n := int64(0)
	_, err := c.one(ctx, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'usagebook_schema'", nil, func(r *rows) { n = r.int(0) })
	if err != nil || n == 0 {
		return 0, err
	}
	_, err = c.one(ctx, "SELECT max(version) FROM usagebook_schema", nil, func(r *rows) { n = r.int(0) })
	return int(n), err
}

// migrate brings the tables to the newest version and makes sure that they are
// what the migrations make. Of several processes that start at once one migrates,
// under the lock of writers, and the others find it done.
func migrate(ctx context.Context, c *conn, no bool) error {
	steps := Migrations()
	have, err := version(ctx, c)
	if err != nil {
		return err
	}
	if have < len(steps) && !no {
		err := transact(ctx, c, func() error {
			if have, err = version(ctx, c); err != nil {
				return err
			}
			for ; have < len(steps); have++ {
				if err := c.script(ctx, steps[have].SQL); err != nil {
					return fmt.Errorf("migration %d (%s): %w", steps[have].Version, steps[have].Name, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if have != len(steps) {
		return fmt.Errorf("%w: the file has version %d, this package knows %d", ErrSchema, have, len(steps))
	}
	return compareSchema(ctx, c)
}

// compareSchema refuses tables that are not what the migrations make: the text
// of the schema is part of the file like everything else, and a changed word of it
// changes what the rows mean.
func compareSchema(ctx context.Context, c *conn) error {
	have, err := schemaOf(ctx, c)
	if err != nil {
		return err
	}
	raw, err := new(sqlite.Driver).Open(":memory:")
	if err != nil {
		return err
	}
	model := newConn(raw, 0)
	defer model.close()
	for _, m := range Migrations() {
		if err := model.script(ctx, m.SQL); err != nil {
			return err
		}
	}
	want, err := schemaOf(ctx, model)
	if err != nil {
		return err
	}
	for _, s := range want {
		if !slices.Contains(have, s) {
			return damaged("the schema lacks %s", strings.ReplaceAll(s, "\n", " "))
		}
	}
	if len(have) != len(want) {
		return damaged("the schema has %d tables and indexes of the book, want %d", len(have), len(want))
	}
	return nil
}

// schemaOf returns what the schema says of our tables and indexes, in any order.
func schemaOf(ctx context.Context, c *conn) ([]string, error) {
	r, err := c.query(ctx, "SELECT type || ' ' || name || ' on ' || tbl_name || ': ' || coalesce(sql, '') FROM sqlite_schema WHERE tbl_name LIKE 'usagebook\\_%' ESCAPE '\\'")
	if err != nil {
		return nil, err
	}
	var out []string
	for r.next() {
		out = append(out, r.text(0))
	}
	return out, r.close()
}
