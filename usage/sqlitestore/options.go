package sqlitestore

import (
	"fmt"
	"time"

	"github.com/usagebook/usagebook/usage"
)

// Options are the settings of a Store. The zero value, and nil, work.
type Options struct {
	// Busy is for how long a call waits for a file that another connection or
	// process has locked, before it fails with ErrLocked; its context may end
	// the wait earlier. Defaults to 5 seconds.
	Busy time.Duration

	// LoseLastOnPowerCut runs SQLite with synchronous=NORMAL instead of FULL:
	// appends don't wait for the disk any more, and the last ones that were
	// acknowledged are lost when the machine loses power or crashes. A process
	// that is killed loses nothing. The file stays sound either way. With New it
	// says that the host's handle may be set so. Defaults to false.
	LoseLastOnPowerCut bool

	// CacheBytes bounds the memory that SQLite keeps pages in, for the writer;
	// each reader has up to a quarter of it. With New the host's own settings
	// rule. Defaults to 64 MiB.
	CacheBytes int64

	// Readers bounds how many reads run at once; others wait. With New the
	// host's pool does. Defaults to 4.
	Readers int

	// NoMigrate leaves the tables alone: opening fails with ErrSchema where they
	// are not of this version, for teams that run Migrations themselves. Defaults
	// to false.
	NoMigrate bool
}

const (
	defaultBusy       = 5 * time.Second
	defaultCacheBytes = 64 << 20
	defaultReaders    = 4
)

// settled returns a copy with the defaults filled in.
func (o *Options) settled() (Options, error) {
	var out Options
	if o != nil {
		out = *o
	}
	if out.Busy < 0 || out.CacheBytes < 0 || out.Readers < 0 {
		return out, fmt.Errorf("%w: Busy %s, CacheBytes %d, Readers %d: none may be below 0", usage.ErrInvalid, out.Busy, out.CacheBytes, out.Readers)
	}
	if out.Busy == 0 {
		out.Busy = defaultBusy
	}
	if out.CacheBytes == 0 {
		out.CacheBytes = defaultCacheBytes
	}
	if out.Readers == 0 {
		out.Readers = defaultReaders
	}
	return out, nil
}
