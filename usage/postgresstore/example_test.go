package postgresstore_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/postgresstore"
	"github.com/usagebook/usagebook/usage/postgresstore/pgtest"
)

// An order and its usage are written together, or neither is.
func ExampleStore_AppendTx() {
	ctx := context.Background()
	server, err := pgtest.Start(ctx, nil) // a throwaway one, in the place of your own
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	pool, err := pgxpool.New(ctx, server.URL("postgres"))
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	store, err := postgresstore.Open(ctx, pool, nil)
	if err != nil {
		log.Fatal(err)
	}
	book, err := usage.New(store, nil)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := pool.Exec(ctx, "CREATE TABLE orders (id text PRIMARY KEY, pages integer NOT NULL)"); err != nil {
		log.Fatal(err)
	}

	place := func(id string, pages int64, pay func() error) error {
		return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "INSERT INTO orders VALUES ($1, $2)", id, pages); err != nil {
				return err
			}
			_, err := store.AppendTx(ctx, book, tx, usage.Record{
				Tenant: "acme", Source: "print-shop", ID: id, Meter: "pages",
				Start:  time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC),
				Values: usage.Quantity(decimal.NewFromInt(pages)),
			})
			if err != nil {
				return err // rolls back both
			}
			return pay() // and so does this, if it fails
		})
	}
	fmt.Println("order-1:", place("order-1", 12, func() error { return nil }))
	fmt.Println("order-2:", place("order-2", 30, func() error { return errors.New("the card was refused") }))

	var orders int
	if err := pool.QueryRow(ctx, "SELECT count(*) FROM orders").Scan(&orders); err != nil {
		log.Fatal(err)
	}
	page, err := book.Query(ctx, usage.ForTenant("acme"), usage.Query{Measures: []usage.Measure{{Of: usage.QuantityName}}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("orders:", orders, "pages:", page.Rows[0].Get("quantity"))
	// Output:
	// order-1: <nil>
	// order-2: the card was refused
	// orders: 1 pages: 12
}

// Teams that run migrations themselves get them as SQL.
func ExampleMigrations() {
	for _, m := range postgresstore.Migrations("metering") {
		fmt.Printf("-- %04d %s: %t\n", m.Version, m.Name, len(m.SQL) > 0)
	}
	// Output:
	// -- 0001 book: true
}
