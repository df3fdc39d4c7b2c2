package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/shopspring/decimal"
	_ "modernc.org/sqlite"

	"github.com/usagebook/usagebook/usage/sqlitestore"
)

// sqliteCache is the memory that each side has for pages.
const sqliteCache = 256 << 20

// sqlite keeps each contender's records in a file of its own.
type sqlite struct {
	dir   string
	files int
}

func openSQLite() (engine, error) {
	dir, err := os.MkdirTemp("", "usagebook-bench-")
	return &sqlite{dir: dir}, err
}

func (s *sqlite) settings(ctx context.Context) (string, error) {
	hand, err := openHandSQLite(ctx, s.file(), workload{})
	if err != nil {
		return "", err
	}
	defer hand.close()
	var version, journal, synchronous, cache, page, checkpoint string
	for pragma, to := range map[string]*string{"journal_mode": &journal, "synchronous": &synchronous, "cache_size": &cache, "page_size": &page, "wal_autocheckpoint": &checkpoint} {
		if err := hand.conn.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(to); err != nil {
			return "", err
		}
	}
	if err := hand.conn.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version); err != nil {
		return "", err
	}
	return fmt.Sprintf("SQLite %s; by hand: journal_mode=%s synchronous=%s cache_size=%s page_size=%s wal_autocheckpoint=%s; ours: the same cache, and else the defaults of the store",
		version, journal, synchronous, cache, page, checkpoint), nil
}

func (s *sqlite) name() string { return "sqlite" }

func (s *sqlite) file() string {
	s.files++
	return filepath.Join(s.dir, fmt.Sprintf("%d.db", s.files))
}

func (s *sqlite) openOurs(ctx context.Context) (contender, error) {
	return openBookSQLite(ctx, s.file())
}

func (s *sqlite) openHand(ctx context.Context, w workload) (contender, error) {
	return openHandSQLite(ctx, s.file(), w)
}

func (s *sqlite) close() error { return os.RemoveAll(s.dir) }

// bookSQLite is ours.
type bookSQLite struct {
	bookContender
	store *sqlitestore.Store
	file  string
}

func openBookSQLite(ctx context.Context, file string) (*bookSQLite, error) {
	store, err := sqlitestore.Open(ctx, file, &sqlitestore.Options{CacheBytes: sqliteCache})
	if err != nil {
		return nil, err
	}
	c, err := newBookContender(store)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return &bookSQLite{c, store, file}, nil
}

func (c *bookSQLite) reopen(ctx context.Context) error {
	if err := c.store.Close(); err != nil {
		return err
	}
	again, err := openBookSQLite(ctx, c.file)
	if err == nil {
		*c = *again
	}
	return err
}

// analyze does nothing: a store brings what it needs.
func (c *bookSQLite) analyze(context.Context) error { return nil }

func (c *bookSQLite) bytes(ctx context.Context) (n int64, err error) {
	db, err := sql.Open("sqlite", "file:"+c.file)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return sizeOfFile(ctx, c.file, db)
}

func (c *bookSQLite) close() error { return errors.Join(c.store.Close(), removeFile(c.file)) }

// removeFile removes a database that is not needed any more: many of them may not
// find room.
func removeFile(file string) error {
	err := os.Remove(file)
	for _, beside := range []string{"-wal", "-shm"} {
		if fault := os.Remove(file + beside); !errors.Is(fault, os.ErrNotExist) {
			err = errors.Join(err, fault)
		}
	}
	return err
}

// sizeOfFile is the size of a database once everything is in its file.
func sizeOfFile(ctx context.Context, file string, checkpoint interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}) (int64, error) {
	if _, err := checkpoint.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		return 0, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// handSQLite is the hand-written contender: a table with the unique key and one
// index, rows written by a prepared statement in a transaction for each batch.
// Times are integers of microseconds and quantities integers of millionths, which
// SQLite adds exactly.
type handSQLite struct {
	file string
	db   *sql.DB

	mu        sync.Mutex // SQLite has one writer at a time; it is cheaper to wait for it here
	conn      *sql.Conn
	insert    *sql.Stmt
	reader    *sql.Conn // which the writer does not hold up
	questions map[string]*sql.Stmt
	labels    int
}

// A table without rowids, statements of several rows and larger pages were tried:
// none was faster. Rarer checkpoints are, for small batches.
const handSQLiteSchema = `
CREATE TABLE records (
	tenant TEXT NOT NULL, source TEXT NOT NULL, id TEXT NOT NULL,
	meter TEXT NOT NULL, namespace TEXT NOT NULL, resource TEXT NOT NULL,
	ts INTEGER NOT NULL, quantity INTEGER NOT NULL,
	PRIMARY KEY (tenant, source, id)
) STRICT;
CREATE INDEX records_tenant_meter_ts ON records (tenant, meter, ts);`

// handSQLiteInsert is the statement for records with so many labels.
func handSQLiteInsert(labels int) string {
	columns := "tenant, source, id, meter, namespace, resource, ts, quantity"
	for i := range labels {
		columns += ", " + labelName(i)
	}
	return "INSERT INTO records (" + columns + ") VALUES (?" + strings.Repeat(", ?", 7+labels) + ") ON CONFLICT DO NOTHING"
}

var handSQLiteQuestions = map[string]string{
	// The list of meters makes the index serve the time, too.
	"Q1": `SELECT ts / 86400000000 * 86400000000 AS day, meter, sum(quantity) FROM records
		WHERE tenant = ?1 AND meter IN (SELECT DISTINCT meter FROM records WHERE tenant = ?1) AND ts >= ?2 AND ts < ?3
		GROUP BY meter, day ORDER BY day, meter`,
	// Days first: strftime is dear, and so is going through the table by an index.
	"Q2": `SELECT 1000000 * unixepoch(min(day) * 86400, 'unixepoch', 'start of month'), tenant, sum(quantity) FROM (
			SELECT tenant, ts / 86400000000 AS day, sum(quantity) AS quantity FROM records NOT INDEXED GROUP BY tenant, day)
		GROUP BY strftime('%Y-%m', day * 86400, 'unixepoch'), tenant ORDER BY 1, 2`,
	"Q3": `SELECT ts / 86400000000 * 86400000000 AS day, resource, sum(quantity) AS total FROM records
		WHERE meter IN (?1, ?2, ?3) AND resource >= ?4 AND resource < ?5
		GROUP BY resource, day ORDER BY total DESC, day, resource LIMIT ?6`,
	"Q4": `SELECT ts / 3600000000 * 3600000000 AS hour, '', sum(quantity) FROM records
		WHERE tenant = ?1 AND meter = ?2 AND ts >= ?3 AND ts < ?4 GROUP BY hour ORDER BY hour`,
	"Q5": `SELECT 1000000 * unixepoch(min(day) * 86400, 'unixepoch', 'start of month'), tenant, count(DISTINCT resource) FROM (
			SELECT DISTINCT tenant, ts / 86400000000 AS day, resource FROM records NOT INDEXED)
		GROUP BY strftime('%Y-%m', day * 86400, 'unixepoch'), tenant ORDER BY 1, 2`,
	"Q6": `SELECT 0, namespace, sum(quantity) FROM records NOT INDEXED
		WHERE (meter IN (?1, ?2, ?3) OR (resource >= ?4 AND resource < ?5)) AND quantity > ?6 AND tenant <> ?7 AND namespace <> ?8
		GROUP BY namespace ORDER BY namespace`,
	"Q7": `SELECT 0, resource, sum(quantity) AS total FROM records
		WHERE meter IN (?1, ?2, ?3) AND resource >= ?4 AND resource < ?5
		GROUP BY resource ORDER BY total DESC, resource LIMIT ?6 OFFSET ?7`,
	"Q7d": `SELECT ts / 86400000000 * 86400000000 AS day, resource, sum(quantity) AS total FROM records
		WHERE meter IN (?1, ?2, ?3) AND resource >= ?4 AND resource < ?5
		GROUP BY resource, day ORDER BY total DESC, day, resource LIMIT ?6 OFFSET ?7`,
}

func openHandSQLite(ctx context.Context, file string, w workload) (*handSQLite, error) {
	c := &handSQLite{file: file, labels: w.labels()}
	if err := c.connect(ctx, true); err != nil {
		return nil, errors.Join(err, c.disconnect())
	}
	return c, nil
}

func (c *handSQLite) connect(ctx context.Context, create bool) (err error) {
	c.questions = map[string]*sql.Stmt{}
	if c.db, err = sql.Open("sqlite", fmt.Sprintf("file:%s?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=cache_size(-%d)&_pragma=temp_store(MEMORY)&_pragma=wal_autocheckpoint(16384)", c.file, sqliteCache>>10)); err != nil {
		return err
	}
	for _, conn := range []**sql.Conn{&c.conn, &c.reader} {
		if *conn, err = c.db.Conn(ctx); err != nil {
			return err
		}
	}
	if create {
		schema := handSQLiteSchema
		for i := range c.labels {
			schema += "\nALTER TABLE records ADD COLUMN " + labelName(i) + " TEXT;"
		}
		if _, err := c.conn.ExecContext(ctx, schema); err != nil {
			return err
		}
	}
	c.insert, err = c.conn.PrepareContext(ctx, handSQLiteInsert(c.labels))
	return err
}

func (c *handSQLite) disconnect() error {
	var faults []error
	for _, conn := range []*sql.Conn{c.conn, c.reader} {
		if conn != nil {
			faults = append(faults, conn.Close())
		}
	}
	return errors.Join(append(faults, c.db.Close())...)
}

func (c *handSQLite) reopen(ctx context.Context) error {
	if err := c.disconnect(); err != nil {
		return err
	}
	return c.connect(ctx, false)
}

func (c *handSQLite) prepare(b delivery) (booking, error) {
	rows := make([][]any, len(b.events))
	for i := range b.events {
		e := &b.events[i]
		quantity, err := millionths(e.quantity)
		if err != nil {
			return nil, err
		}
		rows[i] = append(rows[i], e.tenant, e.source, e.id, e.meter, e.namespace, e.resource, e.at.UnixMicro(), quantity)
		for _, v := range e.labels {
			rows[i] = append(rows[i], v)
		}
	}
	return func(ctx context.Context) (int, error) {
		for i := range b.events {
			if err := b.events[i].check(); err != nil {
				return 0, err
			}
		}
		return c.book(ctx, rows)
	}, nil
}

func (c *handSQLite) book(ctx context.Context, rows [][]any) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return 0, err
	}
	inserted, err := c.insertAll(ctx, rows)
	if err != nil {
		_, undone := c.conn.ExecContext(ctx, "ROLLBACK")
		return 0, errors.Join(err, undone)
	}
	_, err = c.conn.ExecContext(ctx, "COMMIT")
	return inserted, err
}

func (c *handSQLite) insertAll(ctx context.Context, rows [][]any) (inserted int, err error) {
	for _, row := range rows {
		result, err := c.insert.ExecContext(ctx, row...)
		if err != nil {
			return 0, err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return 0, err
		}
		inserted += int(n)
	}
	return inserted, nil
}

// millionths returns a quantity as a whole number of them.
func millionths(d decimal.Decimal) (int64, error) {
	places := d.Exponent() + 6
	if places < 0 || places > 6 || d.NumDigits() > 12 {
		return 0, fmt.Errorf("%s is not kept exactly", d)
	}
	n := d.CoefficientInt64()
	for range places {
		n *= 10
	}
	return n, nil
}

func (c *handSQLite) roll(context.Context) error { return nil }

func (c *handSQLite) analyze(ctx context.Context) error {
	if _, err := c.conn.ExecContext(ctx, "ANALYZE"); err != nil {
		return err
	}
	for name, text := range handSQLiteQuestions {
		var err error
		if c.questions[name], err = c.reader.PrepareContext(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

func (c *handSQLite) ask(_ context.Context, q question) (asking, error) {
	stmt := c.questions[q.name]
	var args []any
	offset, count := q.rows()
	some := func() []any { return []any{q.meters[0], q.meters[1], q.meters[2], q.prefix, after(q.prefix)} }
	switch q.name {
	case "Q1":
		args = []any{q.tenant, q.from.UnixMicro(), q.to.UnixMicro()}
	case "Q3":
		args = append(some(), count)
	case "Q4":
		args = []any{q.tenant, q.meters[0], q.from.UnixMicro(), q.to.UnixMicro()}
	case "Q6":
		above, err := millionths(q.terms.above)
		if err != nil {
			return nil, err
		}
		args = append(some(), above, q.terms.notTenant, q.terms.notInside)
	case "Q7", "Q7d":
		args = append(some(), count, offset)
	}
	return func(ctx context.Context) (list []figure, err error) {
		rows, err := stmt.QueryContext(ctx, args...)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		for rows.Next() {
			var f figure
			var sum int64
			if err := rows.Scan(&f.window, &f.group, &sum); err != nil {
				return nil, err
			}
			f.sum = decimal.New(sum, -6)
			if q.distinct {
				f.sum = decimal.NewFromInt(sum)
			}
			list = append(list, f)
		}
		return list, rows.Err()
	}, nil
}

// after is the least text behind all that begin with the prefix.
func after(prefix string) string {
	last := len(prefix) - 1
	return prefix[:last] + string(prefix[last]+1)
}

func (c *handSQLite) bytes(ctx context.Context) (int64, error) {
	return sizeOfFile(ctx, c.file, c.conn)
}

func (c *handSQLite) close() error { return errors.Join(c.disconnect(), removeFile(c.file)) }
