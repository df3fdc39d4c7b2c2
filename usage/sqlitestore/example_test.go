package sqlitestore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/shopspring/decimal"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/sqlitestore"
)

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "usage")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "usage.db")

	record := usage.Record{
		Tenant: "acme", Source: "gateway-1", ID: "0190b3f2-5c1e-7abc-8def-0123456789ab", Meter: "requests",
		Start: time.Date(2026, 1, 31, 23, 59, 0, 0, time.UTC), Values: usage.Quantity(decimal.RequireFromString("1.50")),
	}
	for range 2 { // as a process does that is started again
		store, err := sqlitestore.Open(ctx, path, nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		book, err := usage.New(store, nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		receipt, err := book.Append(ctx, record)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(receipt.Entries[0].Outcome, receipt.Entries[0].Sequence)
		if err := store.Close(); err != nil {
			fmt.Println(err)
			return
		}
	}
	// Output:
	// inserted 1
	// duplicate 1
}

func ExampleStore_Backup() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "usage")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	store, err := sqlitestore.Open(ctx, filepath.Join(dir, "usage.db"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()

	// While the book is in use.
	path := filepath.Join(dir, "usage-backup.db")
	if err := store.Backup(ctx, path); err != nil {
		fmt.Println(err)
		return
	}
	backup, err := sqlitestore.Open(ctx, path, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer backup.Close()
	fmt.Println(backup.Check(ctx))
	// Output:
	// <nil>
}

func ExampleMigrations() {
	for _, m := range sqlitestore.Migrations() {
		fmt.Println(m.Version, m.Name)
	}
	// Output:
	// 1 book
}
