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

func (p *postgres) openOurs(ctx context.Context) (contender, error) {
	in, err := p.database(ctx)
	if err != nil {
		return nil, err
	}
	c, err := openBookPostgres(ctx, in)
	if err != nil {
		return nil, errors.Join(err, in.close())
	}
	return c, nil
}

func (p *postgres) openHand(ctx context.Context, w workload) (contender, error) {
	in, err := p.database(ctx)
	if err != nil {
		return nil, err
	}
	c, err := openHandPostgres(ctx, in, w)
	if err != nil {
		return nil, errors.Join(err, in.close())
	}
	return c, nil
}

func (p *postgres) close() error { return p.server.Close() }

// inPostgres is a database, which is what both contenders have.
type inPostgres struct {
	config *pgxpool.Config
	pool   *pgxpool.Pool
	drop   func() error
}

// connect makes a new pool in place of the one before.
func (c *inPostgres) connect(ctx context.Context) (err error) {
	if c.pool != nil {
		c.pool.Close()
	}
	c.pool, err = pgxpool.NewWithConfig(ctx, c.config.Copy())
	return err
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
	in := inPostgres{config: config, drop: drop}
	if err := in.connect(ctx); err != nil {
		return inPostgres{}, errors.Join(err, drop())
	}
	return in, nil
}

// analyze does what autovacuum would come to.
func (c *inPostgres) analyze(ctx context.Context) error {
	_, err := c.pool.Exec(ctx, "VACUUM (ANALYZE)")
	return err
}

func (c *inPostgres) bytes(ctx context.Context) (n int64, err error) {
	err = c.pool.QueryRow(ctx, `SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema')`).Scan(&n)
	return n, err
}

// close drops the database, too: the server need not look after it any more.
func (c *inPostgres) close() error {
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

func (c *bookPostgres) reopen(ctx context.Context) error {
	if err := errors.Join(c.store.Close(), c.connect(ctx)); err != nil {
		return err
	}
	again, err := openBookPostgres(ctx, c.inPostgres)
	if err == nil {
		*c = *again
	}
	return err
}

// handPostgres is the hand-written contender: a table with the unique key and one
// index, written by one statement with an array for each column, which is a
// transaction and a round trip for each batch.
type handPostgres struct {
	inPostgres
	insert string
}

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

// handPostgresInsert is the statement for records with so many labels.
func handPostgresInsert(labels int) string {
	columns, arrays := "ts, quantity, tenant, source, id, meter, namespace, resource", "$1::timestamptz[], $2::numeric[]"
	for i := range 6 + labels {
		arrays += fmt.Sprintf(", $%d::text[]", 3+i)
	}
	for i := range labels {
		columns += ", " + labelName(i)
	}
	return "INSERT INTO records (" + columns + ") SELECT * FROM unnest(" + arrays + ") ON CONFLICT DO NOTHING"
}

var handPostgresQuestions = map[string]string{
	"Q1": `SELECT date_trunc('day', ts AT TIME ZONE 'UTC'), meter, sum(quantity) FROM records
		WHERE tenant = $1 AND ts >= $2 AND ts < $3 GROUP BY 1, 2 ORDER BY 1, 2`,
	"Q2": `SELECT date_trunc('month', ts AT TIME ZONE 'UTC'), tenant, sum(quantity) FROM records GROUP BY 1, 2 ORDER BY 1, 2`,
	"Q3": `SELECT date_trunc('day', ts AT TIME ZONE 'UTC'), resource, sum(quantity) FROM records
		WHERE meter = ANY($1) AND starts_with(resource, $2) GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT $3`,
	"Q4": `SELECT date_trunc('hour', ts AT TIME ZONE 'UTC'), '', sum(quantity) FROM records
		WHERE tenant = $1 AND meter = $2 AND ts >= $3 AND ts < $4 GROUP BY 1 ORDER BY 1`,
	// Different ones first: a hash of few beats sorting all of them.
	"Q5": `SELECT month, tenant, count(*)::numeric FROM (
			SELECT date_trunc('month', ts AT TIME ZONE 'UTC') AS month, tenant, resource FROM records GROUP BY 1, 2, 3) AS d
		GROUP BY 1, 2 ORDER BY 1, 2`,
	"Q6": `SELECT NULL::timestamp, namespace, sum(quantity) FROM records
		WHERE (meter = ANY($1) OR starts_with(resource, $2)) AND quantity > $3 AND tenant <> $4 AND namespace <> $5 GROUP BY 2 ORDER BY 2`,
	"Q7": `SELECT NULL::timestamp, resource, sum(quantity) FROM records
		WHERE meter = ANY($1) AND starts_with(resource, $2) GROUP BY 2 ORDER BY 3 DESC, 2 LIMIT $3 OFFSET $4`,
	"Q7d": `SELECT date_trunc('day', ts AT TIME ZONE 'UTC'), resource, sum(quantity) FROM records
		WHERE meter = ANY($1) AND starts_with(resource, $2) GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT $3 OFFSET $4`,
}

func openHandPostgres(ctx context.Context, in inPostgres, w workload) (*handPostgres, error) {
	schema := handPostgresSchema
	for i := range w.labels() {
		schema += ";\nALTER TABLE records ADD COLUMN " + labelName(i) + " text"
	}
	_, err := in.pool.Exec(ctx, schema)
	return &handPostgres{in, handPostgresInsert(w.labels())}, err
}

func (c *handPostgres) reopen(ctx context.Context) error { return c.connect(ctx) }

func (c *handPostgres) prepare(b delivery) (booking, error) {
	n := len(b.events)
	texts := make([][]string, 6+len(b.events[0].labels))
	for i := range texts {
		texts[i] = make([]string, n)
	}
	at, quantities := make([]time.Time, n), make([]pgtype.Numeric, n)
	for i, e := range b.sorted() {
		for k, text := range append([]string{e.tenant, e.source, e.id, e.meter, e.namespace, e.resource}, e.labels...) {
			texts[k][i] = text
		}
		at[i], quantities[i] = e.at, pgtype.Numeric{Int: e.quantity.Coefficient(), Exp: e.quantity.Exponent(), Valid: true}
	}
	args := []any{at, quantities}
	for _, column := range texts {
		args = append(args, column)
	}
	return func(ctx context.Context) (int, error) {
		for i := range b.events {
			if err := b.events[i].check(); err != nil {
				return 0, err
			}
		}
		tag, err := c.pool.Exec(ctx, c.insert, args...)
		return int(tag.RowsAffected()), err
	}, nil
}

func (c *handPostgres) roll(context.Context) error { return nil }

func (c *handPostgres) ask(_ context.Context, q question) (asking, error) {
	var args []any
	offset, count := q.rows()
	switch q.name {
	case "Q1":
		args = []any{q.tenant, q.from, q.to}
	case "Q3":
		args = []any{q.meters, q.prefix, count}
	case "Q4":
		args = []any{q.tenant, q.meters[0], q.from, q.to}
	case "Q6":
		args = []any{q.meters, q.prefix, pgtype.Numeric{Int: q.terms.above.Coefficient(), Exp: q.terms.above.Exponent(), Valid: true}, q.terms.notTenant, q.terms.notInside}
	case "Q7", "Q7d":
		args = []any{q.meters, q.prefix, count, offset}
	}
	return func(ctx context.Context) (list []figure, err error) {
		rows, err := c.pool.Query(ctx, handPostgresQuestions[q.name], args...)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		for rows.Next() {
			var f figure
			var window *time.Time
			var sum pgtype.Numeric
			if err := rows.Scan(&window, &f.group, &sum); err != nil {
				return nil, err
			}
			if !sum.Valid || sum.NaN || sum.InfinityModifier != pgtype.Finite {
				return nil, fmt.Errorf("a sum is no number: %v", sum)
			}
			if window != nil {
				f.window = window.UnixMicro()
			}
			f.sum = decimal.NewFromBigInt(sum.Int, sum.Exp)
			list = append(list, f)
		}
		return list, rows.Err()
	}, nil
}
