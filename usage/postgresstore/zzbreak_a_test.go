package postgresstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/postgresstore"
	"github.com/usagebook/usagebook/usage/postgresstore/pgtest"
)

func TestZZClassIdentities(t *testing.T) {
	b := newBench(t, nil)
	b.book.Append(t.Context(), use("a", 1))
	st, _ := b.store.Checkpoint(t.Context(), usage.AsOf{})
	for _, class := range []usage.Class{usage.AnyClass, usage.Plain, usage.Chained, usage.Corrections} {
		for r, err := range b.store.Scan(t.Context(), usage.Selection{Scope: usage.AllTenants(), Mark: st.Mark, Class: class, Identities: []usage.Identity{{Tenant: "acme", Source: "shop", ID: "a"}}}) {
			t.Log(class, r != nil, err)
		}
	}
	// corrections exist, but of another tenant
	b.book.Append(t.Context(), voidOf("v", use("a", 1)))
	st, _ = b.store.Checkpoint(t.Context(), usage.AsOf{})
	for r, err := range b.store.Scan(t.Context(), usage.Selection{Scope: usage.ForTenants("other"), Mark: st.Mark, Class: usage.Chained, Identities: []usage.Identity{{Tenant: "other", Source: "shop", ID: "a"}}}) {
		t.Log("other tenant", r != nil, err)
	}
}

func TestZZSchemas(t *testing.T) {
	url := pgtest.Shared(t, 0).Database(t)
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		for i, schema := range []string{`we"ird'$1 x`, `{s}`, `{schema}`, `back\slash`, `--c /*`, `é"é`, strings.Repeat("é", 31), `'{schema}.rollup_ids'`, "pg temp ?;"} {
			pool := newPool(t, url, func(c *pgxpool.Config) { c.ConnConfig.DefaultQueryExecMode = mode; c.MaxConns = 1 })
			sch := fmt.Sprint(schema)
			if len(sch) < 60 {
				sch += fmt.Sprint(int(mode))
			}
			s, err := postgresstore.Open(t.Context(), pool, &postgresstore.Options{Schema: sch})
			if err != nil {
				t.Errorf("%d %q open: %v", mode, sch, err)
				continue
			}
			book, _ := usage.New(s, nil)
			id := fmt.Sprint("a", i, int(mode), `"\'é{}$1`)
			r1 := use(id, 1)
			r2 := use(id+"2", 2)
			r2.Dimensions = usage.NewDimensions(usage.Dimension{Name: `q"'\`, Value: `{",\'$1 NULL`}, usage.Dimension{Name: "e", Value: ""}, usage.Dimension{Name: "n", Value: "NULL"})
			if _, err := book.Append(t.Context(), r1, r2); err != nil {
				t.Errorf("%d %q append: %v", mode, sch, err)
				continue
			}
			if _, err := book.Append(t.Context(), voidOf("v"+id, r1)); err != nil {
				t.Errorf("%d %q void: %v", mode, sch, err)
			}
			tx, err := pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.AppendTx(t.Context(), book, tx, use(id+"3", 5), voidOf("w"+id, use(id+"3", 5))); err != nil {
				t.Errorf("%d %q appendtx: %v", mode, sch, err)
			}
			tx.Commit(t.Context())
			if _, err := book.Roll(t.Context()); err != nil {
				t.Errorf("%d %q roll: %v", mode, sch, err)
			}
			page, err := book.Query(t.Context(), usage.AllTenants(), usage.Query{Measures: []usage.Measure{{Aggregation: usage.Count}, {Of: "quantity"}}})
			if err != nil || page.Rows[0].Cells[1].String() != "2" {
				t.Errorf("%d %q query: %v %v", mode, sch, page, err)
			}
			pool.Close()
		}
	}
}

func TestZZTx(t *testing.T) {
	b := newBench(t, func(c *pgxpool.Config) { c.MaxConns = 2 })
	ctx := t.Context()
	// savepoint rolled back, then the same again
	tx := b.begin(t, pgx.ReadCommitted)
	sp, _ := tx.Begin(ctx)
	r := use("x", 1)
	r.Meter = "fresh"
	r2 := use("y", 1)
	r2.Meter = "fresh2"
	if rc, err := b.store.AppendTx(ctx, b.book, sp, r, voidOf("vx", r)); err != nil {
		t.Fatal(err, rc)
	}
	sp.Rollback(ctx)
	for i := range 2 {
		rc, err := b.store.AppendTx(ctx, b.book, tx, r, r2, voidOf("vx", r))
		t.Log(i, rc.Inserted, err)
	}
	rc, err := b.store.AppendTx(ctx, b.book, tx, voidOf("vvx", voidOf("vx", r)))
	t.Log(rc.Inserted, err)
	rc, err = b.store.AppendTx(ctx, b.book, tx, voidOf("v3", r))
	t.Log(rc.Inserted, err)
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	page, err := b.book.Query(ctx, usage.AllTenants(), usage.Query{GroupBy: []string{"meter"}, Measures: []usage.Measure{{Aggregation: usage.Count}, {Of: "quantity"}}})
	for _, r := range page.Rows {
		t.Log(r.Cells, err)
	}
	for _, lv := range []pgx.TxIsoLevel{pgx.RepeatableRead, pgx.Serializable, pgx.ReadUncommitted} {
		tx := b.begin(t, lv)
		n := use("iso"+string(lv[:3]), 1)
		n.Meter = "iso" + string(lv[:3])
		_, err := b.store.AppendTx(ctx, b.book, tx, n)
		var ie *postgresstore.IsolationError
		t.Log(lv, errors.As(err, &ie), err)
		_, err = b.store.AppendTx(ctx, b.book, tx, r)
		t.Log("duplicate:", err)
		_, err = b.store.AppendTx(ctx, b.book, tx, n, voidOf("z", r))
		t.Log(err)
		t.Log(tx.Commit(ctx))
		tx2 := b.begin(t, pgx.ReadCommitted)
		_, err = b.store.AppendTx(ctx, b.book, tx2, n)
		t.Log(err, tx2.Commit(ctx))
	}
	page, err = b.book.Query(ctx, usage.AllTenants(), usage.Query{GroupBy: []string{"meter"}, Measures: []usage.Measure{{Aggregation: usage.Count}, {Of: "quantity"}}})
	for _, r := range page.Rows {
		t.Log(r.Cells, err)
	}
}

func TestZZBig(t *testing.T) {
	b := newBench(t, nil)
	ctx := t.Context()
	var list []usage.Record
	for i := range 10000 {
		r := use(fmt.Sprint("big", i), 1)
		var ds []usage.Dimension
		for k := range 64 {
			ds = append(ds, usage.Dimension{Name: fmt.Sprint("d", k), Value: fmt.Sprint("value ", i, k)})
		}
		r.Dimensions = usage.NewDimensions(ds...)
		r.Values = usage.Values{}
		for k := range 32 {
			n, _ := aggregate.ParseNumber("12345678901234567890123456789012345678.123456789012345678901234567891")
			r.Values = r.Values.WithNumber(fmt.Sprint("v", k), n)
		}
		list = append(list, r)
	}
	st := time.Now()
	rc, err := b.book.Append(ctx, list...)
	t.Log(rc != nil && rc.Inserted == 10000, err, time.Since(st))
	st = time.Now()
	rc, err = b.book.Append(ctx, list...)
	t.Log(rc != nil && rc.Duplicates == 10000, err, time.Since(st))
	st = time.Now()
	page, err := b.book.Query(ctx, usage.AllTenants(), usage.Query{Measures: []usage.Measure{{Of: "v31"}, {Of: "v0"}}})
	t.Log(page.Rows[0].Cells, err, time.Since(st))
	_ = context.Background
}
