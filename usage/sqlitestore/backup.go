package sqlitestore

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/usagebook/usagebook/usage"
)

// Backup writes the book as of now into a new file, while it goes on being read
// and written. The file is sound and complete, or not there: it is written under
// the name path.partial, brought to the disk, and named then. An existing file is
// not overwritten.
//
// A backup is a book like any other: open it to read it, and Check it to be sure.
// It has the size of what is in the book; room that the file itself keeps free is
// left out. With New the whole database of the host is written.
//
// It reads a snapshot for as long as it takes. The log that SQLite keeps beside the
// file (path-wal) cannot shrink in the meantime.
func (s *Store) Backup(ctx context.Context, path string) error {
	return fault("backup", s.backup(ctx, path))
}

func (s *Store) backup(ctx context.Context, path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%w: %s exists", usage.ErrInvalid, path)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	partial := path + ".partial"
	if err := os.Remove(partial); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	defer os.Remove(partial) // does nothing after it was named
	err := s.pool.read(ctx, func(c *conn) error {
		statement, err := c.raw.Prepare("VACUUM INTO ?")
		if err != nil {
			return err
		}
		defer statement.Close()
		// The one statement that takes long enough for its context to be watched.
		_, err = statement.(driver.StmtExecContext).ExecContext(ctx, []driver.NamedValue{{Ordinal: 1, Value: partial}})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := syncPath(partial); err != nil {
		return err
	}
	// A link, unlike a new name, fails where a file has come to be in the meantime;
	// not all file systems have them.
	if err := os.Link(partial, path); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %w", usage.ErrInvalid, err)
	} else if err != nil {
		if err := os.Rename(partial, path); err != nil {
			return err
		}
	}
	if runtime.GOOS == "windows" {
		return nil // folders can't be synced there
	}
	return syncPath(filepath.Dir(path))
}

// syncPath brings a file, or the names in a folder, to the disk.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
