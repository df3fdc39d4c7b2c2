package sqlitestore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"modernc.org/sqlite"

	"github.com/usagebook/usagebook/usage"
)

// pool gives out connections. A call that holds one never asks for another, so
// a pool of one connection is enough.
type pool interface {
	// read lends a connection for reading.
	read(ctx context.Context, f func(*conn) error) error
	// write lends the connection for writing, to one caller at a time.
	write(ctx context.Context, f func(*conn) error) error
	// close waits for those that are lent and closes what is the pool's own.
	close() error
}

// gate counts the calls that are under way and ends them.
type gate struct {
	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup
}

func (g *gate) enter(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return usage.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	g.calls.Add(1)
	return nil
}

func (g *gate) leave() { g.calls.Done() }

// shut lets nobody in any more, waits for those inside, and reports whether
// this call was the first.
func (g *gate) shut() bool {
	g.mu.Lock()
	first := !g.closed
	g.closed = true
	g.mu.Unlock()
	g.calls.Wait()
	return first
}

// filePool owns the connections to a file: one that writes, some that read. The
// latter are opened when they are needed first.
type filePool struct {
	gate
	name    string // as the driver wants it
	opts    Options
	writer  chan *conn
	readers chan *conn // nil: to be opened
}

// newFilePool opens the file, which is made where there is none.
func newFilePool(ctx context.Context, path string, opts Options) (*filePool, error) {
	if path == "" || strings.HasPrefix(path, ":memory:") {
		return nil, fmt.Errorf("%w: %q is no file; package memstore keeps a book in memory", usage.ErrInvalid, path)
	}
	name := filepath.ToSlash(path)
	if filepath.VolumeName(path) != "" {
		name = "/" + name
	}
	p := &filePool{name: "file:" + (&url.URL{Path: name}).EscapedPath(), opts: opts, writer: make(chan *conn, 1), readers: make(chan *conn, opts.Readers)}
	w, err := p.openWriter(ctx)
	if code, _ := codeOf(err); code == codeCantOpen && isReadOnly(path) {
		// SQLite says only that it could not open one of its files.
		err = fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	if err != nil {
		return nil, err
	}
	p.writer <- w
	for range opts.Readers {
		p.readers <- nil
	}
	return p, nil
}

func (p *filePool) openWriter(ctx context.Context) (*conn, error) {
	w, err := p.open(ctx, p.opts.CacheBytes)
	if err != nil {
		return nil, err
	}
	mode := ""
	if _, err = w.one(ctx, "PRAGMA journal_mode=WAL", nil, func(r *rows) { mode = r.text(0) }); err == nil && mode != "wal" {
		err = fmt.Errorf("the journal mode is %s and cannot be changed to wal", mode)
	}
	if err != nil {
		_ = w.close()
		return nil, err
	}
	return w, nil
}

// isReadOnly reports whether a file, or the folder in which SQLite makes two more
// beside it, cannot be written.
func isReadOnly(path string) bool {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		_ = f.Close()
		if f, err = os.CreateTemp(filepath.Dir(path), ".usagebook"); err == nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// walPages is after how many pages the log is written back into the file. Random
// identities change many pages a batch, the same ones again and again: the longer
// the log, the fewer of them are written twice. 16,384 pages are 64 MiB.
const walPages = 16384

func (p *filePool) open(ctx context.Context, cacheBytes int64) (*conn, error) {
	raw, err := new(sqlite.Driver).Open(p.name)
	if err != nil {
		return nil, err
	}
	c := newConn(raw, p.opts.Busy)
	sync := "FULL"
	if p.opts.LoseLastOnPowerCut {
		sync = "NORMAL"
	}
	// trusted_schema: the text of the schema is data of the file and may not call
	// functions of the process.
	err = c.script(ctx, fmt.Sprintf("PRAGMA synchronous=%s; PRAGMA cache_size=%d; PRAGMA wal_autocheckpoint=%d; PRAGMA journal_size_limit=%d; PRAGMA trusted_schema=OFF",
		sync, -max(cacheBytes>>10, 1), walPages, 2*walPages*4096))
	if err != nil {
		_ = c.close()
		return nil, err
	}
	return c, nil
}

func (p *filePool) read(ctx context.Context, f func(*conn) error) error {
	if err := p.enter(ctx); err != nil {
		return err
	}
	defer p.leave()
	var c *conn
	select {
	case c = <-p.readers:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { p.readers <- c }()
	if c == nil {
		var err error
		if c, err = p.open(ctx, p.opts.CacheBytes/4); err != nil {
			return err
		}
	}
	return f(c)
}

func (p *filePool) write(ctx context.Context, f func(*conn) error) error {
	if err := p.enter(ctx); err != nil {
		return err
	}
	defer p.leave()
	asked := time.Now()
	select {
	case c := <-p.writer:
		defer func() { p.writer <- c }()
		c.asked = asked
		return f(c)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *filePool) close() error {
	if !p.shut() {
		return nil
	}
	var errs []error
	for range cap(p.readers) {
		if c := <-p.readers; c != nil {
			errs = append(errs, c.close())
		}
	}
	// Last: who closes the last connection writes the log back into the file.
	return errors.Join(append(errs, (<-p.writer).close())...)
}

// hostPool borrows connections from the host's handle.
type hostPool struct {
	gate
	db   *sql.DB
	opts Options
	turn chan struct{} // held by the one who writes
}

func newHostPool(db *sql.DB, opts Options) *hostPool {
	return &hostPool{db: db, opts: opts, turn: make(chan struct{}, 1)}
}

func (p *hostPool) read(ctx context.Context, f func(*conn) error) error {
	if err := p.enter(ctx); err != nil {
		return err
	}
	defer p.leave()
	return p.borrow(ctx, f)
}

func (p *hostPool) write(ctx context.Context, f func(*conn) error) error {
	if err := p.enter(ctx); err != nil {
		return err
	}
	defer p.leave()
	asked := time.Now()
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
		return p.borrow(ctx, func(c *conn) error {
			c.asked = asked
			return f(c)
		})
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *hostPool) borrow(ctx context.Context, f func(*conn) error) error {
	of, err := p.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer of.Close()
	return of.Raw(func(raw any) error {
		dc, ok := raw.(driver.Conn)
		if !ok {
			return fmt.Errorf("%w: the driver's connection is a %T", usage.ErrInvalid, raw)
		}
		c := newConn(dc, p.opts.Busy)
		defer c.release()
		return f(c)
	})
}

func (p *hostPool) close() error {
	p.shut()
	return nil
}

// examine refuses a handle of the host's that would lose what is acknowledged.
func (p *hostPool) examine(ctx context.Context) error {
	return p.read(ctx, func(c *conn) error {
		var file, encoding string
		var sync int64
		if _, err := c.one(ctx, "SELECT file FROM pragma_database_list WHERE name = 'main'", nil, func(r *rows) { file = r.text(0) }); err != nil {
			return err
		}
		if file == "" {
			return fmt.Errorf("%w: the handle is of a database in memory, of which each connection has its own", usage.ErrInvalid)
		}
		if _, err := c.one(ctx, "PRAGMA encoding", nil, func(r *rows) { encoding = r.text(0) }); err != nil {
			return err
		}
		if encoding != "UTF-8" {
			return fmt.Errorf("%w: the encoding of the database is %s, allowed is UTF-8", usage.ErrInvalid, encoding)
		}
		if _, err := c.one(ctx, "PRAGMA synchronous", nil, func(r *rows) { sync = r.int(0) }); err != nil {
			return err
		}
		const normal, full = 1, 2
		if sync < full && !(sync == normal && p.opts.LoseLastOnPowerCut) {
			return fmt.Errorf("%w: the handle runs with synchronous=%d, with which acknowledged usage can be lost; set FULL, or NORMAL and Options.LoseLastOnPowerCut", usage.ErrInvalid, sync)
		}
		return nil
	})
}
