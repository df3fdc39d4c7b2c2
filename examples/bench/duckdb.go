//go:build cgo && !noduckdb

package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/duckdb/duckdb-go/v2"
	"github.com/shopspring/decimal"
)

// duckDB is DuckDB in this process.
//
// For booking it has a table in memory with the identity as its primary key: rows are
// appended to a staging table without one, and go over from there ON CONFLICT DO
// NOTHING, which is the fastest way to deduplicate that was found. Batches of 100,000
// suit it best.
//
// For questions it has a table without a key, in a file of its own that is packed and
// all in its buffer: this is faster to ask than a table in memory, which DuckDB does
// not pack. Only new records are appended.
type duckDB struct {
	duckDBOptions
	dir     string
	db      *sql.DB
	writing sync.Mutex
	writer  *sql.Conn
	app     *duckdb.Appender
	reader  *sql.Conn
	asking  sync.Mutex // a connection answers one question at a time
	stmts   map[string]*sql.Stmt
}

type duckDBOptions struct {
	workload
	// keyed is for booking.
	keyed bool
	// enums makes the columns of few names enumerations, which are faster than texts but
	// need all names beforehand. Resources are too many: the driver's appender writes
	// nothing sensible into enumerations of more than 256 names.
	enums bool
}

// hasDuckDB tells whether the program was built with it.
const hasDuckDB = true

// duckDBBatch is the size of batches that suits it.
const duckDBBatch = 100_000

func openDuckDB(ctx context.Context, opts duckDBOptions) (_ contender, err error) {
	c := &duckDB{duckDBOptions: opts, stmts: map[string]*sql.Stmt{}}
	file := ""
	if !opts.keyed {
		if c.dir, err = os.MkdirTemp("", "usagebook-bench-"); err != nil {
			return nil, err
		}
		file = filepath.Join(c.dir, "duck.db")
	}
	if err := c.open(ctx, file); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// duckDBVersion is the version of the engine.
func duckDBVersion() (version string, err error) {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = db.QueryRow("SELECT version()").Scan(&version)
	return "DuckDB " + strings.TrimPrefix(version, "v"), err
}

func (c *duckDB) open(ctx context.Context, file string) (err error) {
	if c.db, err = sql.Open("duckdb", file); err != nil {
		return err
	}
	if c.writer, err = c.db.Conn(ctx); err != nil {
		return err
	}
	if c.reader, err = c.db.Conn(ctx); err != nil {
		return err
	}
	columns, err := c.columns(ctx)
	if err != nil {
		return err
	}
	target, key := "records", ""
	if c.keyed {
		target, key = "staging", ", PRIMARY KEY (tenant, source, id)"
		if err := c.exec(ctx, "CREATE TEMP TABLE staging ("+columns+")"); err != nil {
			return err
		}
	}
	if err := c.exec(ctx, "CREATE TABLE records ("+columns+key+")"); err != nil {
		return err
	}
	return c.writer.Raw(func(conn any) error {
		catalog := ""
		if c.keyed {
			catalog = "temp"
		}
		c.app, err = duckdb.NewAppender(conn.(driver.Conn), catalog, "", target)
		return err
	})
}

func (c *duckDB) exec(ctx context.Context, text string) error {
	_, err := c.writer.ExecContext(ctx, text)
	return err
}

// columns are those of the table.
func (c *duckDB) columns(ctx context.Context) (string, error) {
	var list []string
	add := func(name, format string, count int) error {
		kind := "VARCHAR"
		if c.enums && count > 0 {
			kind = name + "_name"
			names := make([]string, count)
			for i := range names {
				names[i] = fmt.Sprintf("'"+format+"'", i)
			}
			if err := c.exec(ctx, "CREATE TYPE "+kind+" AS ENUM ("+strings.Join(names, ", ")+")"); err != nil {
				return err
			}
		}
		list = append(list, name+" "+kind+" NOT NULL")
		return nil
	}
	id := "UUID"
	if c.hexIDs {
		id = "VARCHAR"
	}
	err := errors.Join(add("tenant", "tenant-%02d", tenants), add("source", "collector-%d", sources), add("meter", "meter-%02d", meters),
		add("namespace", "namespace-%02d", namespaces), add("resource", "", 0))
	list = append(list, "id "+id+" NOT NULL", "ts TIMESTAMP NOT NULL", "quantity DECIMAL(18, 6) NOT NULL")
	for i := range c.labels() {
		list = append(list, labelName(i)+" VARCHAR")
	}
	return strings.Join(list, ", "), err
}

func (c *duckDB) prepare(b delivery) (booking, error) {
	rows := make([][]driver.Value, 0, len(b.events))
	for i := range b.events {
		e := &b.events[i]
		if e.again && !c.keyed {
			continue
		}
		quantity, err := millionths(e.quantity)
		if err != nil {
			return nil, err
		}
		var id driver.Value = e.id
		if !c.hexIDs {
			var u duckdb.UUID
			if err := u.Scan(e.id); err != nil {
				return nil, err
			}
			id = u
		}
		row := append(make([]driver.Value, 0, 8+len(e.labels)), e.tenant, e.source, e.meter, e.namespace, e.resource, id, e.at,
			duckdb.Decimal{Width: 18, Scale: 6, Value: big.NewInt(quantity)})
		for _, v := range e.labels {
			row = append(row, v)
		}
		rows = append(rows, row)
	}
	return func(ctx context.Context) (int, error) {
		c.writing.Lock()
		defer c.writing.Unlock()
		for i := range b.events {
			if err := b.events[i].check(); err != nil {
				return 0, err
			}
		}
		for _, row := range rows {
			if err := c.app.AppendRow(row...); err != nil {
				return 0, err
			}
		}
		if err := c.app.Flush(); err != nil || !c.keyed {
			return len(rows), err
		}
		result, err := c.writer.ExecContext(ctx, "INSERT INTO records SELECT * FROM staging ON CONFLICT DO NOTHING")
		if err != nil {
			return 0, err
		}
		n, err := result.RowsAffected()
		return int(n), errors.Join(err, c.exec(ctx, "TRUNCATE staging"))
	}, nil
}

func (c *duckDB) roll(context.Context) error { return nil }

// analyze packs what was appended.
func (c *duckDB) analyze(ctx context.Context) error {
	if c.keyed {
		return nil
	}
	return c.exec(ctx, "CHECKPOINT")
}

// duckDBWhere is that of a question about meters and a prefix.
const duckDBWhere = ` FROM records WHERE meter IN (?, ?, ?) AND resource LIKE ?`

// Days are cheaper as dates and months as numbers than date_trunc, which makes
// timestamps.
var duckDBQuestions = map[string]string{
	"Q1": `SELECT epoch_us(ts::DATE) AS w, meter, sum(quantity) FROM records
		WHERE tenant = ? AND ts >= ? AND ts < ? GROUP BY ts::DATE, meter ORDER BY ts::DATE, meter::VARCHAR`,
	"Q2": `SELECT epoch_us(make_date(m // 12, m % 12 + 1, 1)), t, s FROM (
			SELECT year(ts) * 12 + month(ts) - 1 AS m, tenant AS t, sum(quantity) AS s FROM records GROUP BY m, t) ORDER BY m, t::VARCHAR`,
	"Q3": `SELECT epoch_us(d), resource, s FROM (SELECT ts::DATE AS d, resource, sum(quantity) AS s` + duckDBWhere + ` GROUP BY d, resource) ORDER BY s DESC, d, resource LIMIT ?`,
	"Q4": `SELECT epoch_us(date_trunc('hour', ts)) AS w, '', sum(quantity) FROM records
		WHERE tenant = ? AND meter = ? AND ts >= ? AND ts < ? GROUP BY w ORDER BY w`,
	"Q5": `SELECT epoch_us(make_date(m // 12, m % 12 + 1, 1)), t, n FROM (
			SELECT year(ts) * 12 + month(ts) - 1 AS m, tenant AS t, count(DISTINCT resource) AS n FROM records GROUP BY m, t) ORDER BY m, t::VARCHAR`,
	"Q6": `SELECT 0::BIGINT, namespace, sum(quantity) FROM records
		WHERE (meter IN (?, ?, ?) OR resource LIKE ?) AND quantity > ?::DECIMAL(18, 6) AND tenant <> ? AND namespace <> ? GROUP BY namespace ORDER BY namespace::VARCHAR`,
	"Q7":  `SELECT 0::BIGINT, resource, sum(quantity) AS s` + duckDBWhere + ` GROUP BY resource ORDER BY s DESC, resource LIMIT ? OFFSET ?`,
	"Q7d": `SELECT epoch_us(d), resource, s FROM (SELECT ts::DATE AS d, resource, sum(quantity) AS s` + duckDBWhere + ` GROUP BY d, resource) ORDER BY s DESC, d, resource LIMIT ? OFFSET ?`,
}

func (c *duckDB) ask(ctx context.Context, q question) (asking, error) {
	if c.stmts[q.name] == nil {
		stmt, err := c.reader.PrepareContext(ctx, duckDBQuestions[q.name])
		if err != nil {
			return nil, err
		}
		c.stmts[q.name] = stmt
	}
	stmt, args := c.stmts[q.name], c.arguments(q)
	return func(ctx context.Context) (list []figure, err error) {
		c.asking.Lock()
		defer c.asking.Unlock()
		rows, err := stmt.QueryContext(ctx, args...)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		for rows.Next() {
			var f figure
			var sum any
			if err := rows.Scan(&f.window, &f.group, &sum); err != nil {
				return nil, err
			}
			switch sum := sum.(type) {
			case int64:
				f.sum = decimal.NewFromInt(sum)
			case duckdb.Decimal:
				f.sum = decimal.NewFromBigInt(sum.Value, -int32(sum.Scale))
			default:
				return nil, fmt.Errorf("a figure is a %T", sum)
			}
			list = append(list, f)
		}
		return list, rows.Err()
	}, nil
}

func (c *duckDB) arguments(q question) []any {
	some := func() []any { return []any{q.meters[0], q.meters[1], q.meters[2], q.prefix + "%"} }
	offset, count := q.rows()
	switch q.name {
	case "Q1":
		return []any{q.tenant, q.from, q.to}
	case "Q3":
		return append(some(), count)
	case "Q4":
		return []any{q.tenant, q.meters[0], q.from, q.to}
	case "Q6":
		return append(some(), q.terms.above.String(), q.terms.notTenant, q.terms.notInside)
	case "Q7", "Q7d":
		return append(some(), count, offset)
	}
	return nil
}

// bytes are those of the table and its key in memory, and of the file otherwise.
func (c *duckDB) bytes(ctx context.Context) (n int64, err error) {
	if c.keyed {
		err = c.writer.QueryRowContext(ctx, "SELECT sum(memory_usage_bytes)::BIGINT FROM duckdb_memory()").Scan(&n)
		return n, err
	}
	info, err := os.Stat(filepath.Join(c.dir, "duck.db"))
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (c *duckDB) close() error {
	var faults []error
	for _, stmt := range c.stmts {
		faults = append(faults, stmt.Close())
	}
	if c.app != nil {
		faults = append(faults, c.app.Close())
	}
	for _, conn := range []*sql.Conn{c.reader, c.writer} {
		if conn != nil {
			faults = append(faults, conn.Close())
		}
	}
	if c.db != nil {
		faults = append(faults, c.db.Close())
	}
	if c.dir != "" {
		faults = append(faults, os.RemoveAll(c.dir))
	}
	return errors.Join(faults...)
}
