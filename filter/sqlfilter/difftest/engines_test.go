package difftest

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/filter/sqlfilter"
	"github.com/usagebook/usagebook/usage/postgresstore/pgtest"
)

// field is a field with its column in each engine.
type field struct {
	filter.Field
	// Columns of a collection have no type, and are in no table.
	sqlite, postgres column
}

type column struct {
	sqlType string
	sqlfilter.Column
}

// engine is a database with one table, whose rows have a position.
type engine struct {
	name   string
	db     *sql.DB
	writer *sqlfilter.Writer
	fields []field
	column func(field) column
	place  func(n int) string
}

// engines opens both databases with an empty table of the fields.
func engines(t testing.TB, fields []field) []*engine {
	t.Helper()
	return []*engine{openSQLite(t, fields), openPostgres(t, fields)}
}

func openSQLite(t testing.TB, fields []field) *engine {
	t.Helper()
	db, err := sql.Open("sqlite", ":memory:")
	require.NoError(t, err)
	db.SetMaxOpenConns(1) // each connection has a memory of its own
	e := &engine{name: "SQLite", db: db, fields: fields, column: func(f field) column { return f.sqlite }}
	e.open(t, sqlfilter.SQLite())
	return e
}

func openPostgres(t testing.TB, fields []field) *engine {
	t.Helper()
	db, err := sql.Open("pgx", pgtest.Shared(t, 0).URL("postgres"))
	require.NoError(t, err)
	e := &engine{name: "PostgreSQL", db: db, fields: fields, column: func(f field) column { return f.postgres }}
	db.SetMaxOpenConns(1) // so that what is made may be temporary
	// The collation of some columns folds case: no result may depend on it.
	_, err = db.Exec(`CREATE COLLATION pg_temp.folding (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`)
	require.NoError(t, err)
	e.open(t, sqlfilter.PostgreSQL())
	return e
}

func (e *engine) open(t testing.TB, d sqlfilter.Dialect) {
	t.Helper()
	t.Cleanup(func() { e.db.Close() })
	e.place = d.Placeholder
	columns := sqlfilter.Columns{}
	ddl := "CREATE TEMPORARY TABLE rows (position BIGINT PRIMARY KEY"
	for _, f := range e.fields {
		c := e.column(f)
		if c.sqlType == "" {
			continue
		}
		c.SQL = "rows." + sqlfilter.Ident(f.Name)
		columns[f.Name] = c.Column
		ddl += ", " + sqlfilter.Ident(f.Name) + " " + c.sqlType
	}
	_, err := e.db.Exec(ddl + ")")
	require.NoError(t, err)
	e.writer, err = sqlfilter.New(d, columns)
	require.NoError(t, err)
}

// row is a row by the names of its fields.
type row map[string]filter.Value

// bound gives a row by the slots of a program.
type bound struct {
	row    row
	fields []filter.Field
}

func (b bound) Value(slot int) filter.Value { return b.row[b.fields[slot].Name] }

// fill replaces the rows of the table. The position of a row is its index.
func (e *engine) fill(t testing.TB, rows []row) {
	t.Helper()
	tx, err := e.db.Begin()
	require.NoError(t, err)
	defer tx.Rollback()
	_, err = tx.Exec("DELETE FROM rows")
	require.NoError(t, err)
	names, places := "position", e.place(1)
	var stored []field
	for _, f := range e.fields {
		if e.column(f).sqlType != "" {
			stored = append(stored, f)
			names += ", " + sqlfilter.Ident(f.Name)
			places += ", " + e.place(len(stored)+1)
		}
	}
	insert, err := tx.Prepare("INSERT INTO rows (" + names + ") VALUES (" + places + ")")
	require.NoError(t, err)
	for id, r := range rows {
		args := []any{id}
		for _, f := range stored {
			args = append(args, e.column(f).store(r[f.Name]))
		}
		_, err := insert.Exec(args...)
		require.NoError(t, err, "%s: %v", e.name, r)
	}
	require.NoError(t, tx.Commit())
}

// store returns what a column keeps of a value.
func (c column) store(v filter.Value) any {
	if v.IsNull() {
		return nil
	}
	switch c.Kind {
	case sqlfilter.KindInteger:
		shifted := v.Decimal().Shift(int32(c.Scale))
		if !shifted.IsInteger() || !shifted.BigInt().IsInt64() {
			panic(fmt.Sprintf("%s is beyond its column", v))
		}
		return shifted.IntPart()
	case sqlfilter.KindMicros:
		return v.Micros()
	case sqlfilter.KindTimestamp:
		return v.Time()
	case sqlfilter.KindBoolean:
		return v.Bool()
	case sqlfilter.KindBoolInt:
		if v.Bool() {
			return int64(1)
		}
		return int64(0)
	}
	return v.String()
}

// positions runs a query for the positions of rows.
func (e *engine) positions(t testing.TB, rest string, args []any) []int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	rows, err := e.db.QueryContext(ctx, "SELECT position FROM rows WHERE "+rest, args...)
	require.NoError(t, err, "%s: %.2000s %.500v", e.name, rest, args)
	defer rows.Close()
	ids := []int{}
	for rows.Next() {
		var id int
		require.NoError(t, rows.Scan(&id))
		ids = append(ids, id)
	}
	require.NoError(t, rows.Err(), "%s: %.2000s %.500v", e.name, rest, args)
	return ids
}

// where runs a condition with an argument of the host's own before it.
func (e *engine) where(t testing.TB, c *filter.Checked) (ids []int, residual *filter.Checked, pushed bool) {
	t.Helper()
	w := e.writer.Where(c, 1)
	ids = e.positions(t, "position >= "+e.place(1)+" AND "+w.SQL+" ORDER BY position", append([]any{0}, w.Args...))
	return ids, w.Residual, w.SQL != "TRUE"
}

// orderBy runs an order, ties by position ascending.
func (e *engine) orderBy(t testing.TB, keys []filter.Key) (ids []int, exact bool) {
	t.Helper()
	o := e.writer.OrderBy(keys, 1)
	if !o.Exact {
		return nil, false
	}
	by := "position"
	if o.SQL != "" {
		by = o.SQL + ", position"
	}
	return e.positions(t, "position >= "+e.place(1)+" ORDER BY "+by, append([]any{0}, o.Args...)), true
}

// schemaOf is the schema of the fields.
func schemaOf(t testing.TB, fields []field) *filter.Fields {
	t.Helper()
	var list []filter.Field
	for _, f := range fields {
		list = append(list, f.Field)
	}
	s, err := filter.NewSchema(list...)
	require.NoError(t, err)
	return s
}

// show prints a row for a failure.
func (r row) show() string {
	var b strings.Builder
	for name, v := range r {
		fmt.Fprintf(&b, "%s=%s ", name, v.Literal())
	}
	return b.String()
}
