package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"

	"github.com/usagebook/usagebook/usage/postgresstore"
	"github.com/usagebook/usagebook/usage/postgresstore/pgtest"
)

// postgresSettings are those of a server that has a part of a small machine to
// itself. Commits are on stable storage.
var postgresSettings = map[string]string{
	"shared_buffers":       "512MB",
	"effective_cache_size": "4GB",
	"work_mem":             "64MB",
	"max_wal_size":         "4GB",
	"random_page_cost":     "1.1",
	"jit":                  "off",
}

// postgres is a server that is thrown away; each contender has a database of its
// own in it.
type postgres struct {
	server *pgtest.Server
}

func openPostgres(ctx context.Context) (engine, error) {
	server, err := pgtest.Start(ctx, &pgtest.Options{Fsync: true, Settings: postgresSettings})
	if err != nil {
		return nil, err
	}
	return &postgres{server}, nil
}

func (p *postgres) name() string { return "postgres" }

func (p *postgres) settings(ctx context.Context) (string, error) {
	pool, err := pgxpool.New(ctx, p.server.URL("postgres"))
	if err != nil {
		return "", err
	}
	defer pool.Close()
	names := []string{"server_version", "fsync", "synchronous_commit", "full_page_writes"}
	for name := range postgresSettings {
		names = append(names, name)
	}
	slices.Sort(names[4:])
	for i, name := range names {
		var value string
		if err := pool.QueryRow(ctx, "SELECT current_setting($1)", name).Scan(&value); err != nil {
			return "", err
		}
		names[i] += "=" + value
	}
	return "PostgreSQL, both sides: " + strings.Join(names, " "), nil
}

func (p *postgres) open(ctx context.Context) (ours, hand contender, err error) {
	var places [2]inPostgres
	for i := range places {
		if places[i], err = p.database(ctx); err != nil {
			return nil, nil, errors.Join(err, places[0].close())
		}
	}
	if ours, err = openBookPostgres(ctx, places[0]); err == nil {
		hand, err = openHandPostgres(ctx, places[1])
	}
	if err != nil {
		return nil, nil, errors.Join(err, places[0].close(), places[1].close())
	}
	return ours, hand, nil
}

func (p *postgres) close() error { return p.server.Close() }

// inPostgres is a database, which is what both contenders have.
type inPostgres struct {
	pool *pgxpool.Pool
	drop func() error
}

func (p *postgres) database(ctx context.Context) (inPostgres, error) {
	name, err := p.server.CreateDatabase(ctx)
	if err != nil {
		return inPostgres{}, err
	}
	drop := func() error { return p.server.DropDatabase(context.WithoutCancel(ctx), name) }
	config, err := pgxpool.ParseConfig(p.server.URL(name))
	if err != nil {
		return inPostgres{}, errors.Join(err, drop())
	}
	config.MaxConns = concurrentWriters
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return inPostgres{}, errors.Join(err, drop())
	}
	return inPostgres{pool, drop}, nil
}

// analyze does what autovacuum would come to.
func (c inPostgres) analyze(ctx context.Context) error {
	_, err := c.pool.Exec(ctx, "VACUUM (ANALYZE)")
	return err
}

func (c inPostgres) bytes(ctx context.Context) (n int64, err error) {
	err = c.pool.QueryRow(ctx, `SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema')`).Scan(&n)
	return n, err
}

// close drops the database, too: the server need not look after it any more.
func (c inPostgres) close() error {
	if c.pool == nil {
		return nil
	}
	c.pool.Close()
	return c.drop()
}

// bookPostgres is ours.
type bookPostgres struct {
	bookContender
	inPostgres
	store *postgresstore.Store
}

func openBookPostgres(ctx context.Context, in inPostgres) (*bookPostgres, error) {
	store, err := postgresstore.Open(ctx, in.pool, nil)
	if err != nil {
		return nil, err
	}
	c, err := newBookContender(store)
	return &bookPostgres{c, in, store}, err
}

func (c *bookPostgres) close() error { return errors.Join(c.store.Close(), c.inPostgres.close()) }

// handPostgres is the hand-written contender: a table with the unique key and one
// index, written by one statement with an array for each column, which is a
// transaction and a round trip for each batch.
type handPostgres struct{ inPostgres }

// The statistics make the planner see how few tenants and months there are: it
// then adds them up in parallel and does not sort the table.
const handPostgresSchema = `
CREATE TABLE records (
	tenant text NOT NULL, source text NOT NULL, id text NOT NULL,
	meter text NOT NULL, namespace text NOT NULL, resource text NOT NULL,
	ts timestamptz NOT NULL, quantity numeric NOT NULL,
	PRIMARY KEY (tenant, source, id)
);
CREATE INDEX ON records (tenant, meter, ts);
CREATE STATISTICS records_months ON tenant, (date_trunc('month', ts AT TIME ZONE 'UTC')) FROM records`

const handPostgresInsert = `INSERT INTO records (tenant, source, id, meter, namespace, resource, ts, quantity)
	SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::numeric[])
	ON CONFLICT DO NOTHING`

var handPostgresQuestions = map[string]string{
	"Q1": `SELECT date_trunc('day', ts AT TIME ZONE 'UTC'), meter, sum(quantity) FROM records
		WHERE tenant = $1 AND ts >= $2 AND ts < $3 GROUP BY 1, 2 ORDER BY 1, 2`,
	"Q2": `SELECT date_trunc('month', ts AT TIME ZONE 'UTC'), tenant, sum(quantity) FROM records GROUP BY 1, 2 ORDER BY 1, 2`,
	"Q3": `SELECT date_trunc('day', ts AT TIME ZONE 'UTC'), resource, sum(quantity) FROM records
		WHERE meter = ANY($1) AND starts_with(resource, $2) GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT $3`,
	"Q4": `SELECT date_trunc('hour', ts AT TIME ZONE 'UTC'), '', sum(quantity) FROM records
		WHERE tenant = $1 AND meter = $2 AND ts >= $3 AND ts < $4 GROUP BY 1 ORDER BY 1`,
}

func openHandPostgres(ctx context.Context, in inPostgres) (*handPostgres, error) {
	_, err := in.pool.Exec(ctx, handPostgresSchema)
	return &handPostgres{in}, err
}

func (c *handPostgres) add(ctx context.Context, b delivery) (int, error) {
	n := len(b.events)
	var texts [6][]string
	for i := range texts {
		texts[i] = make([]string, n)
	}
	at, quantities := make([]time.Time, n), make([]pgtype.Numeric, n)
	for i, e := range b.sorted() {
		for k, text := range [...]string{e.tenant, e.source, e.id, e.meter, e.namespace, e.resource} {
			texts[k][i] = text
		}
		at[i], quantities[i] = e.at, pgtype.Numeric{Int: e.quantity.Coefficient(), Exp: e.quantity.Exponent(), Valid: true}
	}
	tag, err := c.pool.Exec(ctx, handPostgresInsert, texts[0], texts[1], texts[2], texts[3], texts[4], texts[5], at, quantities)
	return int(tag.RowsAffected()), err
}

func (c *handPostgres) roll(context.Context) error { return nil }

func (c *handPostgres) answer(ctx context.Context, q question) (list []figure, err error) {
	var args []any
	switch q.name {
	case "Q1":
		args = []any{q.tenant, q.from, q.to}
	case "Q3":
		args = []any{q.meters, q.prefix, q.limit}
	case "Q4":
		args = []any{q.tenant, q.meters[0], q.from, q.to}
	}
	rows, err := c.pool.Query(ctx, handPostgresQuestions[q.name], args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var f figure
		var window time.Time
		var sum pgtype.Numeric
		if err := rows.Scan(&window, &f.group, &sum); err != nil {
			return nil, err
		}
		if !sum.Valid || sum.NaN || sum.InfinityModifier != pgtype.Finite {
			return nil, fmt.Errorf("a sum is no number: %v", sum)
		}
		f.window, f.sum = window.UnixMicro(), decimal.NewFromBigInt(sum.Int, sum.Exp)
		list = append(list, f)
	}
	return list, rows.Err()
}
