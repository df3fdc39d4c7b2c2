package memstore

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
)

// rollups keeps rollup rows and the checkpoints that they were valid for.
type rollups struct {
	mu     sync.RWMutex
	tables map[rollupKind]*rollupTable
	// held are the checkpoints that can be read, oldest first.
	held []heldCheckpoint
	// replaced lists rows that are not current any more, in the order in which
	// they were replaced; they go when the oldest held checkpoint is past them.
	replaced []replacedRow
	// bytes is about what all of it takes, as of the last commit.
	bytes atomic.Int64
	// found lends the room of rows that were found, *foundRollups.
	found sync.Pool
}

// heldCheckpoint is a checkpoint. Rows tell it by its ordinal: commits are
// counted from 1, which takes half the room of a sequence.
type heldCheckpoint struct {
	at       uint64
	ordinal  uint32
	coverage []byte
	replaced time.Time // when the next one took over; zero for the newest
}

type replacedRow struct {
	table  *rollupTable
	tenant uint32
	row    uint32
	until  uint32
}

func (r *rollups) latest() uint64 {
	if n := len(r.held); n > 0 {
		return r.held[n-1].at
	}
	return 0
}

// drop forgets everything. The lock is held.
func (r *rollups) drop() {
	r.tables, r.held, r.replaced = nil, nil, nil
	r.bytes.Store(0)
}

type rollupKind struct {
	projection string
	level      aggregate.Unit
}

// rollupTable holds the rows of one projection and level.
type rollupTable struct {
	level  aggregate.Unit
	chunks [][]rollupRow
	n      uint32
	free   []uint32
	// current finds the current row of a key.
	current table
	// byTenant lists the rows of a tenant by spans of time, so that a read of
	// one tenant and range does not touch the others.
	byTenant map[uint32]*tenantRollups
	// more holds the values behind the first of rows that have several.
	more     []rollupValue
	moreFree []uint32
	// large holds rows that do not fit the packed form.
	large map[uint32]*largeRollup
}

const rollupChunk = 512

// rollupRow is a row in 64 bytes, with the first of its values.
type rollupRow struct {
	bucket      int64
	pair, set   uint32
	from, until uint32 // valid at checkpoints with ordinals in [from, until)
	records     uint32
	next        uint32 // place in more + 1 of the next value; 0 is none
	value       packedSummary
}

// packedSummary is a Summary at one scale, where int64 holds it.
type packedSummary struct {
	sum, min, max int64
	count         uint32
	name          uint16
	scale         uint8
	verdict       uint8 // the row's, here where there is room for it
}

type rollupValue struct {
	value packedSummary
	next  uint32
}

// largeRollup is what a row holds that the packed form does not.
type largeRollup struct {
	records int64
	values  []usage.ValueSummary
}

const (
	current = math.MaxUint32 // until of a row that is current

	// Scales of a packedSummary that is none.
	noSummary  = 0xff // the row has no values
	largeScale = 0xfe // the row is in large
)

// tenantRollups lists the rows of a tenant by spans of time, ascending.
type tenantRollups struct{ spans []rollupSpan }

type rollupSpan struct {
	number int64
	rows   []uint32
}

// spanMicros is how much time the buckets of one list are from: long enough to
// hold many rows, short enough to leave out most that a range does not want.
func spanMicros(level aggregate.Unit) int64 {
	const day = 24 * 3600 * 1_000_000
	switch level {
	case aggregate.Hour:
		return day
	case aggregate.Day:
		return 32 * day
	}
	return 366 * day
}

func spanNumber(level aggregate.Unit, bucket int64) int64 {
	size := spanMicros(level)
	n := bucket / size
	if bucket%size < 0 {
		n--
	}
	return n
}

func (t *rollupTable) row(i uint32) *rollupRow { return &t.chunks[i/rollupChunk][i%rollupChunk] }

// put stores a row and returns its number.
func (t *rollupTable) put(r rollupRow) uint32 {
	if n := len(t.free); n > 0 {
		i := t.free[n-1]
		t.free = t.free[:n-1]
		*t.row(i) = r
		return i
	}
	if int(t.n/rollupChunk) == len(t.chunks) {
		t.chunks = append(t.chunks, make([]rollupRow, rollupChunk))
	}
	i := t.n
	t.n++
	*t.row(i) = r
	return i
}

// release frees a row.
func (t *rollupTable) release(i uint32) {
	r := t.row(i)
	for next := r.next; next != 0; next = t.more[next-1].next {
		t.moreFree = append(t.moreFree, next-1)
	}
	delete(t.large, i)
	*r = rollupRow{}
	t.free = append(t.free, i)
}

func (t *rollupTable) putValue(v packedSummary, next uint32) uint32 {
	cell := rollupValue{value: v, next: next}
	if n := len(t.moreFree); n > 0 {
		i := t.moreFree[n-1]
		t.moreFree = t.moreFree[:n-1]
		t.more[i] = cell
		return i + 1
	}
	t.more = append(t.more, cell)
	return uint32(len(t.more))
}

// span returns the list of rows around a bucket of a tenant.
func (t *rollupTable) span(tenant uint32, bucket int64) *rollupSpan {
	of := t.byTenant[tenant]
	if of == nil {
		of = new(tenantRollups)
		t.byTenant[tenant] = of
	}
	number := spanNumber(t.level, bucket)
	i, found := of.find(number)
	if !found {
		of.spans = slices.Insert(of.spans, i, rollupSpan{number: number})
	}
	return &of.spans[i]
}

func (of *tenantRollups) find(number int64) (int, bool) {
	return slices.BinarySearchFunc(of.spans, number, func(s rollupSpan, n int64) int {
		switch {
		case s.number < n:
			return -1
		case s.number > n:
			return 1
		}
		return 0
	})
}

// numberedKey is a RollupKey in numbers, inside its table.
type numberedKey struct {
	bucket    int64
	pair, set uint32
	verdict   uint8
}

func (k *numberedKey) hash() uint32 {
	return uint32(mix(uint64(k.bucket), uint64(k.pair)<<32|uint64(k.set), uint64(k.verdict)))
}

func (r *rollupRow) is(k *numberedKey) bool {
	return r.bucket == k.bucket && r.pair == k.pair && r.set == k.set && r.value.verdict == k.verdict
}

// find returns the current row of a key.
func (t *rollupTable) find(k *numberedKey) (uint32, bool) {
	return t.current.find(k.hash(), func(i uint32) bool { return t.row(i).is(k) })
}

// packSummary packs a summary if it can.
func packSummary(s *aggregate.Summary, name uint32) (packedSummary, bool) {
	p := packedSummary{count: uint32(s.Count), name: uint16(name)}
	if s.Count < 1 || s.Count > math.MaxUint32 || name > math.MaxUint16 {
		return p, false
	}
	sum, err := s.Sum.Number()
	if err != nil {
		return p, false
	}
	numbers := [...]aggregate.Number{sum, s.Min, s.Max}
	for _, n := range numbers {
		p.scale = max(p.scale, n.Scale())
	}
	if p.scale >= largeScale {
		return p, false
	}
	for i, to := range [...]*int64{&p.sum, &p.min, &p.max} {
		coef, scale, ok := numbers[i].Small()
		if !ok {
			return p, false
		}
		if *to, ok = rescale(coef, p.scale-scale); !ok {
			return p, false
		}
	}
	return p, true
}

// summary unpacks a summary.
func (p *packedSummary) summary() aggregate.Summary {
	f := figure{count: int64(p.count), sum: p.sum, min: p.min, max: p.max, scale: p.scale}
	return f.summary()
}
