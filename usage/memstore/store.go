package memstore

import (
	"context"
	"hash/maphash"
	"math"
	"slices"
	"sync"

	"github.com/usagebook/usagebook/usage"
)

var (
	_ usage.Store   = (*Store)(nil)
	_ usage.Grouper = (*Store)(nil)
)

// Options are the settings of a Store. The zero value, and nil, work.
type Options struct {
	// MaxBytes is how much memory the store may take, about: see [Store.Bytes].
	// What would make it grow further, records, rollups and tasks, is refused
	// with a [*FullError]; reading goes on. It bounds what the store holds, and
	// not what queries take while they run or what the garbage collector has not
	// collected yet: leave room for these, half as much again say. Defaults to 0,
	// no ceiling.
	MaxBytes int64
}

// Store is a book in memory, and forgets it when the process ends. It is safe
// for concurrent use. Make one with [New]; the zero Store is not usable.
type Store struct {
	shift    uint  // a part has 1<<shift rows
	figures  int   // see mostFigures
	maxBytes int64 // 0: no ceiling

	seed maphash.Seed // of every hash of what comes from outside

	mu     sync.RWMutex // guards what follows
	closed bool
	// Tenants, meters, sources, dimensions and series among the names are read
	// under mu or under naming and changed under both, so that writers look them
	// up before it is their turn. Values and verdicts are guarded by mu alone.
	naming sync.RWMutex // taken after mu or without it
	names  names
	parts  []part // the last one has the head, all others are full
	head   head
	rows   uint32
	// floor is the instant before which no further row is booked: when the
	// newest one was, or a later one that Checkpoint was asked about.
	floor int64
	index tables
	// sealed and unsealed are what full parts take, with a segment and without.
	sealed, unsealed int64

	corrections map[uint32]correction // by row of the correction
	corrected   map[uint32]uint32     // row -> row of its correction

	bookings sync.Pool // of *booking
	sealings sync.Pool // of *sealing

	rollups rollups // has a lock of its own, taken after mu or without it

	tasks tasks // has a lock of its own

	used sync.Pool // of *sums
}

// part is mostRows rows, or in the last one as many as there are. It is
// copied by readers.
type part struct {
	base uint32 // its first row
	// Of a full part, exactly one of the two is set: full until the part is
	// sealed, segment from then on.
	full    *head
	segment *segment
	// chained lists the rows that corrections made chained, in the order in
	// which that happened.
	chained []chainedRow
	// recorded is when the first row was booked.
	recorded int64
}

// chainedRow says that a row (counted in its part) is chained from the moment
// that the row at of the store was booked: itself, or its correction.
type chainedRow struct{ row, at uint32 }

// correction is a record that corrects another one.
type correction struct {
	kind   usage.CorrectionKind
	target uint32
}

// maxRows is the most records that a Store holds: rows are numbered in 32 bits,
// and the hash table wants one number for itself.
const maxRows = 1<<32 - 2

// New returns an empty store. opts may be nil.
func New(opts *Options) *Store {
	s := &Store{
		shift:       mostShift,
		figures:     mostFigures,
		seed:        maphash.MakeSeed(),
		index:       newTables(identityShardBits),
		parts:       []part{{}},
		floor:       math.MinInt64,
		corrections: make(map[uint32]correction),
		corrected:   make(map[uint32]uint32),
	}
	if opts != nil {
		s.maxBytes = max(opts.MaxBytes, 0)
	}
	s.names = newNames(s.seed)
	s.sealings.New = func() any { return new(sealing) }
	s.bookings.New = func() any { return &booking{s: s} }
	s.rollups.tables = make(map[rollupKind]*rollupTable)
	s.tasks = newTasks()
	return s
}

func (s *Store) segmentRows() int { return 1 << s.shift }

// Close drops what the store holds. Scans that are under way end as they
// would have; later calls return usage.ErrClosed. Closing twice is not an
// error.
func (s *Store) Close() error {
	s.tasks.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rollups.mu.Lock()
	defer s.rollups.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.naming.Lock()
	defer s.naming.Unlock()
	s.names, s.parts, s.head, s.index = newNames(s.seed), nil, head{}, tables{}
	s.corrections, s.corrected, s.rows = nil, nil, 0
	s.sealed, s.unsealed = 0, 0
	s.rollups.drop()
	return nil
}

// view is the store as a reader sees it: a copy of what changes, taken under
// the lock, and what never changes.
type view struct {
	shift uint
	lists
	parts []part
	head  head
	rows  uint32
}

// view takes a view. The lock is held.
func (s *Store) view() view {
	v := s.writerView()
	v.parts = slices.Clone(s.parts)
	// What queries have made is kept for the next ones while there is room.
	v.full = s.maxBytes > 0 && s.bytes() > s.maxBytes/4*3
	return v
}

// headOf returns the head that holds the rows of a part, nil if it is sealed.
func (v *view) headOf(i int) *head {
	switch p := &v.parts[i]; {
	case p.segment != nil:
		return nil
	case p.full != nil:
		return p.full
	}
	return &v.head
}

func (v *view) rowsOf(i int) int {
	if i < len(v.parts)-1 {
		return 1 << v.shift
	}
	return v.head.len()
}

// recorded returns when a row was booked, in Unix microseconds.
func (v *view) recorded(row uint32) int64 {
	i := int(row >> v.shift)
	if h := v.headOf(i); h != nil {
		return h.recorded(int(row - v.parts[i].base))
	}
	return v.parts[i].segment.recorded(int(row - v.parts[i].base))
}

// bookedBefore returns the number of rows that were booked before an instant.
func (v *view) bookedBefore(us int64) uint32 {
	// The last part whose first row qualifies has the answer.
	i, _ := slices.BinarySearchFunc(v.parts, us, func(p part, us int64) int {
		if p.recorded < us {
			return -1
		}
		return 1
	})
	if i == 0 || v.rows == 0 {
		return 0
	}
	i--
	p, n := &v.parts[i], v.rowsOf(i)
	if h := v.headOf(i); h != nil {
		k, _ := slices.BinarySearch(h.recordedAt, us)
		if k < len(h.recordedAt) {
			n = int(h.recordedRow[k])
		}
	} else if k := p.segment.recordedAt.search(0, p.segment.recordings, us); k < p.segment.recordings {
		n = int(p.segment.recordedRow.at(k))
	}
	return p.base + uint32(n)
}

// alive returns the error of a call that cannot go on.
func (s *Store) alive(ctx context.Context) error {
	if s.closed {
		return usage.ErrClosed
	}
	return ctx.Err()
}
