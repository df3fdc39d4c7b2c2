package sqlitestore

import (
	"context"
	"database/sql"
	"sync"
	"sync/atomic"

	"github.com/usagebook/usagebook/usage"
)

var (
	_ usage.Store         = (*Store)(nil)
	_ usage.Grouper       = (*Store)(nil)
	_ usage.FilterGrouper = (*Store)(nil)
	_ usage.TaskStore     = (*Store)(nil)
)

// Store is a book in an SQLite file. It is safe for concurrent use, and so is
// the file: several stores, of several processes too, may be open on it. Make
// one with [Open] or [New]; the zero Store is not usable.
type Store struct {
	pool    pool
	names   *names
	chained chainedPairs
	queue   queue
	// known is a sequence that was booked already: marks up to it need not be
	// looked at.
	known   atomic.Int64
	tallies sync.Pool // of *tally
}

// Open opens the book in a file, which is made where there is none, and brings
// its tables to this version of the package. opts may be nil.
//
// The file is put into WAL mode: beside it SQLite keeps path-wal and path-shm
// while it is open. They are part of the book as long as they exist, so don't copy
// or move the file alone; see [Store.Backup]. WAL needs a file system of this
// machine, not one of a network.
func Open(ctx context.Context, path string, opts *Options) (*Store, error) {
	o, err := opts.settled()
	if err != nil {
		return nil, fault("open", err)
	}
	p, err := newFilePool(ctx, path, o)
	if err != nil {
		return nil, fault("open", err)
	}
	return begin(ctx, p, o)
}

// New keeps a book in a database of the host's, in tables whose names begin with
// usagebook_. The handle is one of modernc.org/sqlite and stays the host's: it is
// not closed by Close, and its settings stay as they are. What would lose
// acknowledged usage is refused: a database in memory, synchronous=OFF, and
// synchronous=NORMAL without Options.LoseLastOnPowerCut. opts may be nil.
//
// Every call takes one connection of the handle at a time, for as long as it
// works in the database and never while an iterator yields: a pool of one is
// enough. journal_mode=WAL is advised, since without it readers and the writer
// wait for each other.
func New(ctx context.Context, db *sql.DB, opts *Options) (*Store, error) {
	o, err := opts.settled()
	if err != nil {
		return nil, fault("open", err)
	}
	p := newHostPool(db, o)
	if err := p.examine(ctx); err != nil {
		return nil, fault("open", err)
	}
	return begin(ctx, p, o)
}

func begin(ctx context.Context, p pool, o Options) (*Store, error) {
	err := p.write(ctx, func(c *conn) error { return migrate(ctx, c, o.NoMigrate) })
	if err != nil {
		_ = p.close()
		return nil, fault("open", err)
	}
	return &Store{pool: p, names: newNames()}, nil
}

// Close waits for calls that are under way, closes what Open opened, and leaves
// the host's handle of New open. Later calls return usage.ErrClosed. Closing
// twice is not an error.
func (s *Store) Close() error { return fault("close", s.pool.close()) }

// transact runs f in a transaction that writes.
func transact(ctx context.Context, c *conn, f func() error) (err error) {
	if _, err := c.exec(ctx, beginWrite); err != nil {
		return err
	}
	done := false
	defer func() {
		if !done { // after an error, or a panic
			// SQLite may have rolled back by itself already.
			_, _ = c.exec(background, "ROLLBACK")
		}
	}()
	if err := f(); err != nil {
		return err
	}
	// Not with ctx: what was decided is booked.
	if _, err := c.exec(background, "COMMIT"); err != nil {
		return err
	}
	done = true
	return nil
}

// snapshot calls f in a transaction that reads.
func snapshot(ctx context.Context, c *conn, f func() error) (err error) {
	if _, err := c.exec(ctx, "BEGIN"); err != nil {
		return err
	}
	defer func() {
		if _, end := c.exec(background, "COMMIT"); err == nil {
			err = end
		}
	}()
	return f()
}

// newest returns the newest sequence, 0 in an empty book.
func newest(ctx context.Context, c *conn) (seq int64, err error) {
	_, err = c.one(ctx, "SELECT first, records, recorded, crc FROM usagebook_log ORDER BY first DESC LIMIT 1", nil, func(r *rows) {
		l := readLog(r, 0)
		seq = l.last()
	})
	return seq, err
}

// learn notes a sequence that is booked.
func (s *Store) learn(seq int64) {
	for {
		k := s.known.Load()
		if k >= seq || s.known.CompareAndSwap(k, seq) {
			return
		}
	}
}
