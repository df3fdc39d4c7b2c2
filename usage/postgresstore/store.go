package postgresstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/internal/intern"
)

var (
	_ usage.Store         = (*Store)(nil)
	_ usage.Grouper       = (*Store)(nil)
	_ usage.Assumer       = (*Store)(nil)
	_ usage.FilterGrouper = (*Store)(nil)
	_ usage.TaskStore     = (*Store)(nil)
)

// Store is a book in a schema of a PostgreSQL database. It is safe for
// concurrent use, also of any number of processes with a Store each. Make one
// with [Open]; the zero Store is not usable.
type Store struct {
	pool   *pgxpool.Pool
	schema string // quoted
	mode   []any  // what precedes the arguments of reads
	// isolation is the level that transactions have where none is asked for.
	isolation string
	closed    atomic.Bool

	names   *names
	settler settler
	// moments remembers what the last marks mean: a settled batch never changes.
	moments *intern.Cache[uint64, moment]
	// coverage is that of the checkpoint that was read last.
	coverage atomic.Pointer[coverage]
	assumed  assumption
	chained  chainedTenants
	recent   *recent
	catalogs *intern.Cache[string, *catalog]
	// dense are the tenants' meters, by pairKey, that few was wrong about.
	dense *intern.Cache[string, struct{}]
	sql   statements
}

// Open returns the book in a schema of the pool's database. It makes the tables
// where there are none and brings older ones up to date, unless Options say
// NoMigrate; a schema that is newer than this package is refused with a
// [*SchemaError]. opts may be nil and is copied.
//
// The pool stays the host's: the store takes a connection of it for each
// statement, never two at once, and Close does not close it. The encoding of the
// database must be UTF8.
func Open(ctx context.Context, pool *pgxpool.Pool, opts *Options) (*Store, error) {
	if pool == nil {
		return nil, fmt.Errorf("postgresstore: open: %w: the pool is nil", usage.ErrInvalid)
	}
	o, err := opts.check()
	if err != nil {
		return nil, fmt.Errorf("postgresstore: open: %w options: %w", usage.ErrInvalid, err)
	}
	isolation, err := checkServer(ctx, pool)
	if err != nil {
		return nil, fault("open", err)
	}
	if err := migrate(ctx, pool, &o); err != nil {
		if mismatch := (*SchemaError)(nil); errors.As(err, &mismatch) {
			return nil, fmt.Errorf("postgresstore: open: %w", err)
		}
		return nil, fault("open", err)
	}
	s := &Store{
		pool: pool, schema: ident(o.Schema), isolation: isolation,
		moments:  intern.New[uint64, moment](256),
		catalogs: intern.New[string, *catalog](16),
		dense:    intern.New[string, struct{}](mostDense),
	}
	s.mode = []any{pgx.QueryResultFormats{pgx.BinaryFormatCode}}
	switch pool.Config().ConnConfig.DefaultQueryExecMode {
	case pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol:
		// These give texts only, and reads want numbers as they are. What comes
		// nearest knows what a statement returns and prepares none.
		s.mode = append(s.mode, pgx.QueryExecModeCacheDescribe)
	}
	s.settler.turn, s.settler.floor = make(chan struct{}, 1), math.MinInt64
	s.names, s.recent = newNames(o.Series), newRecent()
	s.sql = newStatements(s)
	return s, nil
}

// leastServer is the oldest version of PostgreSQL that the statements are for.
const leastServer = 130_000

// checkServer refuses what the statements are not for, and returns the isolation
// level that transactions have where none is asked for.
func checkServer(ctx context.Context, pool *pgxpool.Pool) (isolation string, err error) {
	var version int
	var encoding, client, nulls string
	err = pool.QueryRow(ctx, "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), current_setting('client_encoding'), current_setting('array_nulls'), current_setting('default_transaction_isolation')").
		Scan(&version, &encoding, &client, &nulls, &isolation)
	switch {
	case err != nil:
		return "", err
	case version < leastServer:
		return "", fmt.Errorf("%w: the server is of version %d, 13 or later is needed", usage.ErrInvalid, version/10_000)
	case client != "UTF8" || nulls != "on":
		return "", fmt.Errorf("%w: the connections have client_encoding %s and array_nulls %s, needed are UTF8 and on", usage.ErrInvalid, client, nulls)
	case encoding != "UTF8":
		return "", fmt.Errorf("%w: the encoding of the database is %s, UTF8 is needed", usage.ErrInvalid, encoding)
	}
	return isolation, nil
}

// Close ends the use of the store: calls that are under way end as they would
// have, later ones return usage.ErrClosed. The pool stays open. Closing twice is
// not an error.
func (s *Store) Close() error {
	s.closed.Store(true)
	return nil
}

// alive returns the error of a call that cannot go on.
func (s *Store) alive(ctx context.Context) error {
	if s.closed.Load() {
		return usage.ErrClosed
	}
	return ctx.Err()
}

// text puts the schema into a statement.
func (s *Store) text(sql string) string { return strings.ReplaceAll(sql, "{s}", s.schema) }

// read runs a query of its own on a connection of the pool and gives out the
// rows, in the binary format. The connection is free again when it returns.
func (s *Store) read(ctx context.Context, sql string, args []any, row func([][]byte) error) error {
	all := append(s.mode[:len(s.mode):len(s.mode)], args...)
	once := func(row func([][]byte) error) error {
		rows, err := s.pool.Query(ctx, sql, all...)
		if err != nil {
			return err
		}
		return eachRow(rows, row)
	}
	if s.isolation == readCommitted {
		return once(row)
	}
	// Where transactions are isolated more strictly by default, a read may be
	// given up for another one's sake, at its very end: nothing of it counts
	// before.
	var kept [][][]byte
	err := retry(ctx, func() error {
		kept = kept[:0]
		return once(func(cols [][]byte) error {
			own := make([][]byte, len(cols))
			for i, c := range cols {
				if c != nil {
					own[i] = append([]byte{}, c...)
				}
			}
			kept = append(kept, own)
			return nil
		})
	})
	if err != nil {
		return err
	}
	for _, cols := range kept {
		if err := row(cols); err != nil {
			return err
		}
	}
	return nil
}
