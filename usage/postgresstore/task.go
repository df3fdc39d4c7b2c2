package postgresstore

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usagebook/usagebook/usage"
)

// taskColumns are what scanTask reads, but for the body.
const taskColumns = "kind, id, owner, coalesce(key, ''), version, created, due, attempts, expires, head"

// zeroTime is Go's zero time among the instants of tasks that may not be null.
const zeroTime = math.MinInt64

func instant(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// PutTask writes a task; see [usage.TaskStore] for the rules.
func (s *Store) PutTask(ctx context.Context, t *usage.Task) error {
	return fault("put task", retry(ctx, func() error { return s.putTask(ctx, t) }))
}

func (s *Store) putTask(ctx context.Context, t *usage.Task) error {
	if err := s.alive(ctx); err != nil {
		return err
	}
	head, body := t.Head, t.Body
	if head == nil {
		head = []byte{}
	}
	var version int64
	if t.Version == 0 {
		if body == nil {
			body = []byte{}
		}
		created := int64(zeroTime)
		if !t.Created.IsZero() {
			created = t.Created.UnixMicro()
		}
		// DO NOTHING minds every unique index: that of the key too.
		err := s.pool.QueryRow(ctx, s.text(`INSERT INTO {s}.tasks (kind, id, owner, key, version, created, due, attempts, expires, head, body)
			VALUES ($1, $2, $3, nullif($4::text, ''), 1, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING RETURNING version`),
			t.Kind, t.ID, t.Owner, t.Key, created, instant(t.Due), t.Attempts, instant(t.Expires), head, body).Scan(&version)
		if errors.Is(err, pgx.ErrNoRows) {
			return usage.ErrTaskExists
		}
		if err != nil {
			return err
		}
	} else {
		err := s.pool.QueryRow(ctx, s.text(`UPDATE {s}.tasks SET version = version + 1, due = $4, attempts = $5, expires = $6, head = $7, body = coalesce($8::bytea, body)
			WHERE kind = $1 AND id = $2 AND version = $3 RETURNING version`),
			t.Kind, t.ID, int64(t.Version), instant(t.Due), t.Attempts, instant(t.Expires), head, body).Scan(&version)
		if errors.Is(err, pgx.ErrNoRows) {
			return usage.ErrTaskChanged
		}
		if err != nil {
			return err
		}
	}
	t.Version = uint64(version)
	return nil
}

func scanTask(row pgx.Row, body bool) (*usage.Task, error) {
	t := new(usage.Task)
	var version, created int64
	var due, expires *int64
	targets := []any{&t.Kind, &t.ID, &t.Owner, &t.Key, &version, &created, &due, &t.Attempts, &expires, &t.Head}
	if body {
		targets = append(targets, &t.Body)
	}
	if err := row.Scan(targets...); err != nil {
		return nil, err
	}
	t.Version = uint64(version)
	if created != zeroTime {
		t.Created = time.UnixMicro(created).UTC()
	}
	if due != nil {
		t.Due = time.UnixMicro(*due).UTC()
	}
	if expires != nil {
		t.Expires = time.UnixMicro(*expires).UTC()
	}
	return t, nil
}

// Task returns a task; see [usage.TaskStore] for the rules.
func (s *Store) Task(ctx context.Context, kind, id string) (*usage.Task, error) {
	if err := s.alive(ctx); err != nil {
		return nil, fault("task", err)
	}
	var t *usage.Task
	err := retry(ctx, func() (err error) {
		t, err = scanTask(s.pool.QueryRow(ctx, s.text("SELECT "+taskColumns+", body FROM {s}.tasks WHERE kind = $1 AND id = $2"), kind, id), true)
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		err = usage.ErrNotFound
	}
	return t, fault("task", err)
}

// Tasks lists tasks; see [usage.TaskStore] for the rules.
func (s *Store) Tasks(ctx context.Context, sel usage.TaskSelection) ([]*usage.Task, error) {
	if err := s.alive(ctx); err != nil {
		return nil, fault("tasks", err)
	}
	var b builder
	b.add("SELECT ", taskColumns, " FROM ", s.schema, ".tasks WHERE kind = ", b.arg(sel.Kind), " AND owner = ", b.arg(sel.Owner))
	if sel.Key != "" {
		b.add(" AND key = ", b.arg(sel.Key))
	}
	if sel.Pending {
		b.add(" AND due IS NOT NULL")
	}
	if !sel.From.IsZero() {
		b.add(" AND created >= ", b.arg(ceilMicro(sel.From)))
	}
	if !sel.To.IsZero() {
		b.add(" AND created < ", b.arg(ceilMicro(sel.To)))
	}
	b.add(" ORDER BY created DESC, id DESC")
	if sel.Limit > 0 {
		b.add(" LIMIT ", b.arg(sel.Limit))
	}
	if sel.Skip > 0 {
		b.add(" OFFSET ", b.arg(sel.Skip))
	}
	var out []*usage.Task
	err := retry(ctx, func() error {
		rows, err := s.pool.Query(ctx, b.String(), b.args...)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*usage.Task, error) { return scanTask(row, false) })
		return err
	})
	return out, fault("tasks", err)
}

// ClaimTask gives a task to a worker; see [usage.TaskStore] for the rules. One
// that another caller is about to get is passed over and not waited for.
func (s *Store) ClaimTask(ctx context.Context, kind string, now time.Time, lease time.Duration) (*usage.Task, error) {
	if err := s.alive(ctx); err != nil {
		return nil, fault("claim task", err)
	}
	var t *usage.Task
	err := retry(ctx, func() (err error) {
		t, err = scanTask(s.pool.QueryRow(ctx, s.text(`WITH c AS MATERIALIZED (
			SELECT id FROM {s}.tasks WHERE kind = $1 AND due <= $2 ORDER BY due LIMIT 1 FOR UPDATE SKIP LOCKED)
		UPDATE {s}.tasks t SET due = $3, attempts = attempts + 1, version = version + 1 FROM c WHERE t.kind = $1 AND t.id = c.id
		RETURNING t.kind, t.id, t.owner, coalesce(t.key, ''), t.version, t.created, t.due, t.attempts, t.expires, t.head, t.body`),
			kind, now.UnixMicro(), now.Add(lease).UnixMicro()), true)
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return t, fault("claim task", err)
}

// DeleteTasks deletes what has expired; see [usage.TaskStore] for the rules.
func (s *Store) DeleteTasks(ctx context.Context, now time.Time) (int, error) {
	if err := s.alive(ctx); err != nil {
		return 0, fault("delete tasks", err)
	}
	var n int64
	err := retry(ctx, func() error {
		tag, err := s.pool.Exec(ctx, s.text("DELETE FROM {s}.tasks WHERE expires <= $1"), now.UnixMicro())
		n = tag.RowsAffected()
		return err
	})
	return int(n), fault("delete tasks", err)
}
