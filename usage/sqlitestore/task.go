package sqlitestore

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"math"
	"time"

	"github.com/usagebook/usagebook/usage"
)

// task is a row of usagebook_tasks.
type task struct {
	usage.Task
	number int64
}

const taskColumns = "number, kind, id, owner, key, version, created, due, attempts, expires, head, crc"

// sum is the checksum of the row.
func (t *task) sum() int64 {
	var b []byte
	for _, s := range []string{t.Kind, t.ID, t.Owner, t.Key} {
		b = appendText(b, s)
	}
	b = binary.AppendUvarint(b, uint64(len(t.Head)))
	return int64(sumOf(append(b, t.Head...), t.number, int64(t.Version), t.Created.UnixMicro(), t.Due.UnixMicro(), int64(t.Attempts), t.Expires.UnixMicro()))
}

func readTask(r *rows) *task {
	t := &task{number: r.int(0), Task: usage.Task{Kind: r.text(1), ID: r.text(2), Owner: r.text(3), Key: r.text(4), Version: uint64(r.int(5)),
		Created: instant(r.int(6)), Attempts: int(r.int(8)), Head: r.blob(10)}}
	if !r.null(7) {
		t.Due = instant(r.int(7))
	}
	if !r.null(9) {
		t.Expires = instant(r.int(9))
	}
	if sum := r.int(11); r.err == nil && sum != t.sum() {
		r.err = damaged("the checksum of task %s %q is wrong", t.Kind, t.ID)
	}
	return t
}

// nullable returns an instant as it is kept where a zero one is null.
func nullable(t time.Time) driver.Value {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// micro cuts an instant to the microsecond, in UTC.
func micro(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return instant(t.UnixMicro())
}

func (t *task) write(ctx context.Context, c *conn) error {
	_, err := c.exec(ctx, "INSERT OR REPLACE INTO usagebook_tasks ("+taskColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		t.number, t.Kind, t.ID, t.Owner, t.Key, int64(t.Version), t.Created.UnixMicro(), nullable(t.Due), int64(t.Attempts), nullable(t.Expires), t.Head, t.sum())
	return err
}

// oneTask returns the first task of a condition, nil where there is none.
func oneTask(ctx context.Context, c *conn, where string, args ...driver.Value) (t *task, err error) {
	_, err = c.one(ctx, "SELECT "+taskColumns+" FROM usagebook_tasks WHERE "+where, args, func(r *rows) { t = readTask(r) })
	if err != nil {
		return nil, err
	}
	return t, nil
}

// body reads the body of a task.
func (t *task) body(ctx context.Context, c *conn) error {
	var sum int64
	found, err := c.one(ctx, "SELECT body, crc FROM usagebook_bodies WHERE number = ?", []driver.Value{t.number}, func(r *rows) { t.Body, sum = r.blob(0), r.int(1) })
	if err == nil && found && sum != int64(sumOf(t.Body, t.number)) {
		err = damaged("the checksum of the body of task %s %q is wrong", t.Kind, t.ID)
	}
	return err
}

// PutTask writes a task; see [usage.TaskStore] for the rules.
func (s *Store) PutTask(ctx context.Context, t *usage.Task) error {
	w := task{Task: *t}
	w.Created, w.Due, w.Expires = micro(t.Created), micro(t.Due), micro(t.Expires)
	err := s.pool.write(ctx, func(c *conn) error {
		return transact(ctx, c, func() error { return w.put(ctx, c) })
	})
	if err == nil {
		t.Version = w.Version
	}
	return fault("put task", err)
}

func (t *task) put(ctx context.Context, c *conn) error {
	have, err := oneTask(ctx, c, "kind = ? AND id = ?", t.Kind, t.ID)
	if err != nil {
		return err
	}
	if t.Version > 0 {
		if have == nil || have.Version != t.Version {
			return usage.ErrTaskChanged
		}
		t.number, t.Owner, t.Key, t.Created = have.number, have.Owner, have.Key, have.Created
	} else {
		if have == nil && t.Key != "" {
			if have, err = oneTask(ctx, c, "kind = ? AND owner = ? AND key = ? AND key <> ''", t.Kind, t.Owner, t.Key); err != nil {
				return err
			}
		}
		if have != nil {
			return usage.ErrTaskExists
		}
		// Never one that a body may still stand under.
		if _, err := c.one(ctx, "SELECT max(ifnull((SELECT max(number) FROM usagebook_tasks), 0), ifnull((SELECT max(number) FROM usagebook_bodies), 0))", nil, func(r *rows) { t.number = r.int(0) + 1 }); err != nil {
			return err
		}
	}
	t.Version++
	if err := t.write(ctx, c); err != nil {
		return err
	}
	switch {
	case t.Body == nil:
		return nil
	case len(t.Body) == 0:
		_, err = c.exec(ctx, "DELETE FROM usagebook_bodies WHERE number = ?", t.number)
	default:
		_, err = c.exec(ctx, "INSERT OR REPLACE INTO usagebook_bodies (number, body, crc) VALUES (?, ?, ?)", t.number, t.Body, int64(sumOf(t.Body, t.number)))
	}
	return err
}

// Task returns a task; see [usage.TaskStore] for the rules.
func (s *Store) Task(ctx context.Context, kind, id string) (*usage.Task, error) {
	var t *task
	err := s.pool.read(ctx, func(c *conn) error {
		return snapshot(ctx, c, func() (err error) {
			if t, err = oneTask(ctx, c, "kind = ? AND id = ?", kind, id); err != nil {
				return err
			}
			if t == nil {
				return usage.ErrNotFound
			}
			return t.body(ctx, c)
		})
	})
	if err != nil {
		return nil, fault("task", err)
	}
	return &t.Task, nil
}

// Tasks lists tasks; see [usage.TaskStore] for the rules.
func (s *Store) Tasks(ctx context.Context, sel usage.TaskSelection) ([]*usage.Task, error) {
	where, args := "kind = ? AND owner = ?", []driver.Value{sel.Kind, sel.Owner}
	if sel.Key != "" {
		where, args = where+" AND key = ? AND key <> ''", append(args, sel.Key)
	}
	if sel.Pending {
		where += " AND due IS NOT NULL"
	}
	if !sel.From.IsZero() {
		where, args = where+" AND created >= ?", append(args, ceilMicro(sel.From))
	}
	if !sel.To.IsZero() {
		where, args = where+" AND created < ?", append(args, ceilMicro(sel.To))
	}
	limit := int64(sel.Limit)
	if limit <= 0 {
		limit = math.MaxInt64
	}
	var out []*usage.Task
	err := s.pool.read(ctx, func(c *conn) error {
		r, err := c.query(ctx, "SELECT "+taskColumns+" FROM usagebook_tasks WHERE "+where+" ORDER BY created DESC, id DESC LIMIT ? OFFSET ?", append(args, limit, int64(sel.Skip))...)
		if err != nil {
			return err
		}
		for r.next() {
			if err := ctx.Err(); err != nil {
				_ = r.close()
				return err
			}
			out = append(out, &readTask(r).Task)
		}
		return r.close()
	})
	if err != nil {
		return nil, fault("tasks", err)
	}
	return out, nil
}

// ClaimTask gives a task to a worker; see [usage.TaskStore] for the rules.
func (s *Store) ClaimTask(ctx context.Context, kind string, now time.Time, lease time.Duration) (*usage.Task, error) {
	const due = "kind = ? AND due IS NOT NULL AND due <= ? ORDER BY due LIMIT 1"
	var t *task
	// Idle workers ask every second: they look before they take the lock of
	// writers.
	err := s.pool.read(ctx, func(c *conn) (err error) {
		t, err = oneTask(ctx, c, due, kind, now.UnixMicro())
		return err
	})
	if err != nil || t == nil {
		return nil, fault("claim task", err)
	}
	err = s.pool.write(ctx, func(c *conn) error {
		return transact(ctx, c, func() (err error) {
			if t, err = oneTask(ctx, c, due, kind, now.UnixMicro()); err != nil || t == nil {
				return err
			}
			t.Due = micro(now.Add(lease))
			t.Attempts++
			t.Version++
			if err := t.write(ctx, c); err != nil {
				return err
			}
			return t.body(ctx, c)
		})
	})
	if err != nil || t == nil {
		return nil, fault("claim task", err)
	}
	return &t.Task, nil
}

// DeleteTasks deletes what has expired; see [usage.TaskStore] for the rules.
func (s *Store) DeleteTasks(ctx context.Context, now time.Time) (int, error) {
	const expired = "expires IS NOT NULL AND expires <= ?"
	var t *task
	err := s.pool.read(ctx, func(c *conn) (err error) {
		t, err = oneTask(ctx, c, expired+" LIMIT 1", now.UnixMicro())
		return err
	})
	if err != nil || t == nil {
		return 0, fault("delete tasks", err)
	}
	var n int64
	err = s.pool.write(ctx, func(c *conn) error {
		return transact(ctx, c, func() error {
			if _, err := c.exec(ctx, "DELETE FROM usagebook_bodies WHERE number IN (SELECT number FROM usagebook_tasks WHERE "+expired+")", now.UnixMicro()); err != nil {
				return err
			}
			n, err = c.exec(ctx, "DELETE FROM usagebook_tasks WHERE "+expired, now.UnixMicro())
			return err
		})
	})
	if err != nil {
		return 0, fault("delete tasks", err)
	}
	return int(n), nil
}
