package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
	"github.com/usagebook/usagebook/usage/postgresstore"
	"github.com/usagebook/usagebook/usage/sqlitestore"
)

// defaultStore keeps what the server was told: who tries it out and stops it finds
// the records again.
const defaultStore = "sqlite:usage.db"

// openStore opens the store that -store names.
func openStore(ctx context.Context, name string) (usage.Store, error) {
	kind, rest, _ := strings.Cut(name, ":")
	var store usage.Store
	var err error
	switch {
	case name == "mem":
		return memstore.New(nil), nil
	case kind == "mem":
		err = errors.New("mem takes nothing behind it")
	case kind == "sqlite" && rest == "":
		err = errors.New("the name of the file is missing, as in sqlite:usage.db")
	case kind == "sqlite":
		store, err = sqlitestore.Open(ctx, rest, nil)
	case kind == "postgres" && rest == "":
		err = errors.New("where the database is is missing, as in postgres:postgres://user@host/database or postgres:host=/run/postgresql")
	case kind == "postgres":
		// postgres://user@host/database is a URL as a whole, too.
		if strings.HasPrefix(rest, "//") {
			rest = name
		}
		store, err = openPostgres(ctx, rest)
	default:
		err = errors.New("there is no such store; mem, sqlite:FILE and postgres:DSN are there")
	}
	if err != nil {
		// A DSN may hold a password.
		return nil, fmt.Errorf("-store %s: %w", withoutSecrets(name), err)
	}
	return store, nil
}

// withoutSecrets cuts what may be a password off a -store.
func withoutSecrets(name string) string {
	if kind, rest, ok := strings.Cut(name, ":"); ok && kind == "postgres" && rest != "" {
		return "postgres:…"
	}
	return name
}

// pooled is a store with the connections that it works on.
type pooled struct {
	*postgresstore.Store
	pool *pgxpool.Pool
}

func openPostgres(ctx context.Context, dsn string) (usage.Store, error) {
	pool, err := pgxpool.New(ctx, dsn)
	if err != nil {
		return nil, err
	}
	store, err := postgresstore.Open(ctx, pool, nil)
	if err != nil {
		pool.Close()
		return nil, err
	}
	return pooled{store, pool}, nil
}

// Close implements usage.Store.
func (p pooled) Close() error {
	err := p.Store.Close()
	p.pool.Close()
	return err
}
