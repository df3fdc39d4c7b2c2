package durabletest

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/postgresstore"
	"github.com/usagebook/usagebook/usage/sqlitestore"
)

// openStore opens a store by its name: "sqlite:" and the path of a file, or the
// URL of a PostgreSQL database; or "log:", a flaw and the path of a log. What else it has opened is closed by the function.
func openStore(ctx context.Context, name string) (store usage.Store, closeAll func(), err error) {
	switch {
	case strings.HasPrefix(name, "log:"):
		flaw, path, _ := strings.Cut(strings.TrimPrefix(name, "log:"), ":")
		s, err := openLog(ctx, path, flaw)
		return s, func() {}, err
	case strings.HasPrefix(name, "sqlite:"):
		s, err := sqlitestore.Open(ctx, strings.TrimPrefix(name, "sqlite:"), nil)
		return s, func() {}, err
	case strings.HasPrefix(name, "postgres:"):
		pool, err := pgxpool.New(ctx, name)
		if err != nil {
			return nil, nil, err
		}
		s, err := postgresstore.Open(ctx, pool, nil)
		if err != nil {
			pool.Close()
			return nil, nil, err
		}
		return s, pool.Close, nil
	}
	return nil, nil, fmt.Errorf("there is no store %q", name)
}

var _ txAppender = (*postgresstore.Store)(nil)

// txAppender is what the store in PostgreSQL has beside the contract.
type txAppender interface {
	AppendTx(ctx context.Context, book *usage.Book, tx pgx.Tx, records ...usage.Record) (*usage.Receipt, error)
	AppendSQLTx(ctx context.Context, book *usage.Book, tx *sql.Tx, records ...usage.Record) (*usage.Receipt, error)
}
