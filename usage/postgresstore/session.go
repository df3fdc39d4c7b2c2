package postgresstore

import (
	"context"
	"database/sql"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// statement is a statement with its arguments, which are strings, integers and
// nothing else: arrays are written as text, so that every way to a server takes
// them. What it returns are texts too.
type statement struct {
	sql  string
	args []any
}

// session runs statements: on its own, or in a transaction of the host's.
type session interface {
	// run runs statements one after the other, in one round trip where that is
	// possible, and gives out the rows of the i-th, as texts; nil is null. The
	// memory of a row is good until the next one. Outside of a transaction they
	// are one of their own.
	run(ctx context.Context, list []statement, row func(i int, cols [][]byte) error) error
}

// sender is what a pool and a transaction of pgx have in common.
type sender interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

var (
	_ sender = (*pgxpool.Pool)(nil)
	_ sender = (pgx.Tx)(nil)
)

type pgxSession struct{ sender }

func (p pgxSession) run(ctx context.Context, list []statement, row func(int, [][]byte) error) error {
	if len(list) == 1 {
		rows, err := p.Query(ctx, list[0].sql, list[0].args...)
		if err != nil {
			return err
		}
		return eachRow(rows, func(cols [][]byte) error { return row(0, cols) })
	}
	batch := new(pgx.Batch)
	for _, st := range list {
		batch.Queue(st.sql, st.args...)
	}
	results := p.SendBatch(ctx, batch)
	for i := range list {
		rows, err := results.Query()
		if err == nil {
			err = eachRow(rows, func(cols [][]byte) error { return row(i, cols) })
		}
		if err != nil {
			results.Close()
			return err
		}
	}
	return results.Close()
}

func eachRow(rows pgx.Rows, row func([][]byte) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.RawValues()); err != nil {
			return err
		}
	}
	return rows.Err()
}

type sqlSession struct{ tx *sql.Tx }

func (p sqlSession) run(ctx context.Context, list []statement, row func(int, [][]byte) error) error {
	for i, st := range list {
		if err := p.one(ctx, st, func(cols [][]byte) error { return row(i, cols) }); err != nil {
			return err
		}
	}
	return nil
}

func (p sqlSession) one(ctx context.Context, st statement, row func([][]byte) error) error {
	rows, err := p.tx.QueryContext(ctx, st.sql, st.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	raw, targets, cols := make([]sql.RawBytes, len(names)), make([]any, len(names)), make([][]byte, len(names))
	for i := range raw {
		targets[i] = &raw[i]
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		for i := range raw {
			cols[i] = raw[i]
		}
		if err := row(cols); err != nil {
			return err
		}
	}
	return rows.Err()
}

// outsideTransaction reports whether the statements of a session are
// transactions of their own, which may be tried again.
func outsideTransaction(in session) bool {
	p, ok := in.(pgxSession)
	if !ok {
		return false
	}
	_, ok = p.sender.(*pgxpool.Pool)
	return ok
}
