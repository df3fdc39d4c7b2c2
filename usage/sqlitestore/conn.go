package sqlitestore

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"math/rand/v2"
	"time"
)

// conn is a connection of the driver with the statements that were prepared on
// it. Statements run by the driver's own interface: what database/sql does for
// each argument and column costs as much again as SQLite's own work on small
// rows.
//
// The driver is given no context that can end: it would start a goroutine for
// each statement. Statements are short; the context is looked at between them.
type conn struct {
	raw   driver.Conn
	busy  time.Duration
	asked time.Time // when the caller that has it began to wait for it
	stmts map[string]driver.Stmt
	args  []driver.NamedValue // scratch
}

func newConn(raw driver.Conn, busy time.Duration) *conn {
	return &conn{raw: raw, busy: busy, stmts: make(map[string]driver.Stmt)}
}

// beginWrite takes the lock of writers at once: a transaction that reads first and
// then finds that another one wrote cannot go on.
const beginWrite = "BEGIN IMMEDIATE"

// background is the context of statements; see conn.
var background = context.Background()

func (c *conn) prepare(ctx context.Context, query string) (s driver.Stmt, err error) {
	if s = c.stmts[query]; s != nil {
		return s, nil
	}
	// Reading the schema takes a lock too.
	err = c.retry(ctx, func() error {
		s, err = c.raw.Prepare(query)
		return err
	})
	if err != nil {
		return nil, err
	}
	c.stmts[query] = s
	return s, nil
}

// retry calls f until the file is not locked any more.
func (c *conn) retry(ctx context.Context, f func() error) error {
	return c.retryUntil(ctx, time.Time{}, f)
}

// retryUntil is retry up to a moment; the zero one is Options.Busy from now.
func (c *conn) retryUntil(ctx context.Context, end time.Time, f func() error) error {
	err := f()
	if err == nil || !isBusy(err) {
		return err
	}
	const most = 10 * time.Millisecond
	wait := time.Millisecond / 2
	if end.IsZero() {
		end = time.Now().Add(c.busy)
	}
	for time.Now().Before(end) {
		timer := time.NewTimer(wait/2 + rand.N(wait))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		if err = f(); err == nil || !isBusy(err) {
			return err
		}
		wait = min(2*wait, most)
	}
	return err
}

func (c *conn) named(args []driver.Value) []driver.NamedValue {
	c.args = c.args[:0]
	for i, v := range args {
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return c.args
}

// exec runs a statement and returns the number of rows that it changed.
func (c *conn) exec(ctx context.Context, query string, args ...driver.Value) (n int64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s, err := c.prepare(ctx, query)
	if err != nil {
		return 0, err
	}
	var end time.Time
	if query == beginWrite {
		// From when the caller came: those who wait behind each other for a file
		// that stays locked give up together, not one after the other. Who waited
		// that long for others to write has some time left all the same.
		end = c.asked.Add(c.busy)
		if least := time.Now().Add(c.busy / 10); least.After(end) {
			end = least
		}
	}
	err = c.retryUntil(ctx, end, func() error {
		result, err := s.(driver.StmtExecContext).ExecContext(background, c.named(args))
		if err == nil {
			n, err = result.RowsAffected()
		}
		return err
	})
	return n, err
}

// script runs several statements that are not worth keeping.
func (c *conn) script(ctx context.Context, text string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return c.retry(ctx, func() error {
		s, err := c.raw.Prepare(text)
		if err != nil {
			return err
		}
		_, err = s.(driver.StmtExecContext).ExecContext(background, nil)
		return errors.Join(err, s.Close())
	})
}

// query runs a statement that returns rows. They must be closed before the same
// statement is run again on this connection.
func (c *conn) query(ctx context.Context, query string, args ...driver.Value) (*rows, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s, err := c.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	r := new(rows)
	err = c.retry(ctx, func() error {
		// The first row is read, and locks are taken, before this returns.
		r.rows, err = s.(driver.StmtQueryContext).QueryContext(background, c.named(args))
		return err
	})
	if err != nil {
		return nil, err
	}
	r.row = make([]driver.Value, len(r.rows.Columns()))
	return r, nil
}

// queryOnce is query for a statement that is not worth keeping.
func (c *conn) queryOnce(ctx context.Context, query string, args ...driver.Value) (*rows, error) {
	r, err := c.query(ctx, query, args...)
	if s := c.stmts[query]; s != nil {
		delete(c.stmts, query)
		if err != nil {
			_ = s.Close()
			return nil, err
		}
		r.once = s
	}
	return r, err
}

// one runs a query for one row at most and gives it to read, if there is one.
func (c *conn) one(ctx context.Context, query string, args []driver.Value, read func(r *rows)) (found bool, err error) {
	r, err := c.query(ctx, query, args...)
	if err != nil {
		return false, err
	}
	if found = r.next(); found {
		read(r)
	}
	return found, r.close()
}

// release closes the statements, for a connection that goes back to its host.
func (c *conn) release() {
	for _, s := range c.stmts {
		_ = s.Close()
	}
	c.stmts = nil
}

func (c *conn) close() error {
	c.release()
	return c.raw.Close()
}

// rows are the rows of a query. A column that is not of the type that it is read
// as is damage, which close reports.
type rows struct {
	rows   driver.Rows
	row    []driver.Value
	err    error
	closed bool
	once   driver.Stmt // to be closed after the rows
}

func (r *rows) next() bool {
	if r.err != nil {
		return false
	}
	if err := r.rows.Next(r.row); err != nil {
		if err != io.EOF {
			r.err = err
		}
		return false
	}
	return true
}

// close ends the query and returns what went wrong in it. Closing again changes
// nothing.
func (r *rows) close() error {
	if r.closed {
		return r.err
	}
	r.closed = true
	err := r.rows.Close()
	if r.once != nil {
		err = errors.Join(err, r.once.Close())
	}
	if r.err != nil {
		return r.err
	}
	return err
}

func (r *rows) wrong(i int, want string) {
	if r.err == nil {
		r.err = damaged("column %s holds a %T, want %s", r.rows.Columns()[i], r.row[i], want)
	}
}

// int returns a column that is an integer.
func (r *rows) int(i int) int64 {
	v, ok := r.row[i].(int64)
	if !ok {
		r.wrong(i, "an integer")
	}
	return v
}

// blob returns a column that is bytes, in memory of the caller's own. Null is
// nil, and so are no bytes.
func (r *rows) blob(i int) []byte {
	v, ok := r.row[i].([]byte)
	if !ok && r.row[i] != nil {
		r.wrong(i, "bytes")
	}
	return v
}

func (r *rows) text(i int) string {
	v, ok := r.row[i].(string)
	if !ok {
		r.wrong(i, "text")
	}
	return v
}

func (r *rows) null(i int) bool { return r.row[i] == nil }
