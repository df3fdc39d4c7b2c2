package memstore

import "unsafe"

// table is a hash table of numbers: of rows, series or whatever its owner
// counts. It keeps the number and 32 bits of the hash, not the key: the owner
// compares keys where it keeps them, and the hash spares it nearly every
// comparison with another key. Slots are probed one after the other.
type table struct {
	slots []uint64 // hash above, number+1 below; 0 is free
	n     int
}

// The table grows by a half when it is filled to 17/20, so that it is never
// emptier than 11/20. Growing needs no keys, because the place of a slot
// follows from the hash in it.
const (
	fullNumerator   = 17
	fullDenominator = 20
	firstSlots      = 8
)

func (t *table) home(h uint32) int { return int(uint64(h) * uint64(len(t.slots)) >> 32) }

// find returns the number with this hash for which same holds.
func (t *table) find(h uint32, same func(uint32) bool) (uint32, bool) {
	if t.n == 0 {
		return 0, false
	}
	for i := t.home(h); ; {
		s := t.slots[i]
		if s == 0 {
			return 0, false
		}
		if uint32(s>>32) == h && same(uint32(s)-1) {
			return uint32(s) - 1, true
		}
		if i++; i == len(t.slots) {
			i = 0
		}
	}
}

// first returns a number with this hash and its slot, or a slot below 0 when
// there is none. next goes on behind it. They are find without a function to
// call, for what is looked up once for every record.
func (t *table) first(h uint32) (number uint32, at int) {
	if t.n == 0 {
		return 0, -1
	}
	return t.from(h, t.home(h))
}

func (t *table) next(h uint32, at int) (number uint32, next int) {
	if at++; at == len(t.slots) {
		at = 0
	}
	return t.from(h, at)
}

func (t *table) from(h uint32, at int) (number uint32, next int) {
	for {
		s := t.slots[at]
		if s == 0 {
			return 0, -1
		}
		if uint32(s>>32) == h {
			return uint32(s) - 1, at
		}
		if at++; at == len(t.slots) {
			at = 0
		}
	}
}

// touch reads the place where a hash would stand.
func (t *table) touch(h uint32) uint64 {
	if t.n == 0 {
		return 0
	}
	return t.slots[t.home(h)]
}

// insert adds a number that is not there.
func (t *table) insert(h, number uint32) {
	if (t.n+1)*fullDenominator > len(t.slots)*fullNumerator {
		t.grow()
	}
	t.put(uint64(h)<<32 | uint64(number+1))
	t.n++
}

func (t *table) put(s uint64) {
	i := t.home(uint32(s >> 32))
	for t.slots[i] != 0 {
		if i++; i == len(t.slots) {
			i = 0
		}
	}
	t.slots[i] = s
}

func (t *table) grow() {
	old := t.slots
	t.slots = make([]uint64, max(firstSlots, len(old)+len(old)/2))
	for _, s := range old {
		if s != 0 {
			t.put(s)
		}
	}
}

// place returns the slot of a number that is there.
func (t *table) place(h, number uint32) int {
	want := uint64(h)<<32 | uint64(number+1)
	i := t.home(h)
	for t.slots[i] != want {
		if i++; i == len(t.slots) {
			i = 0
		}
	}
	return i
}

// replace puts another number in the place of one that is there.
func (t *table) replace(h, number, by uint32) {
	t.slots[t.place(h, number)] = uint64(h)<<32 | uint64(by+1)
}

// remove takes a number out that is there. Those behind it move up, so that no
// free slot stands between a number and its home.
func (t *table) remove(h, number uint32) {
	free := t.place(h, number)
	for i := free; ; {
		if i++; i == len(t.slots) {
			i = 0
		}
		s := t.slots[i]
		if s == 0 {
			break
		}
		home := t.home(uint32(s >> 32))
		// It may move unless its home lies behind the free slot.
		if free <= i && (home <= free || home > i) || free > i && home <= free && home > i {
			t.slots[free] = s
			free = i
		}
	}
	t.slots[free] = 0
	t.n--
}

// tables is a table in parts, so that growing never stops the writer for long:
// it is one part that grows at a time, and the parts of identities have a few
// thousand entries each where there are ten million of them.
type tables struct {
	bits   uint
	shards []table
	slots  int // of all of them
}

const (
	identityShardBits = 12
	seriesShardBits   = 8
)

func newTables(bits uint) tables { return tables{bits: bits, shards: make([]table, 1<<bits)} }

func (t *tables) shard(h uint64) *table { return &t.shards[h>>(64-t.bits)] }

// insert adds a number that is not there.
func (t *tables) insert(h uint64, number uint32) {
	s := t.shard(h)
	before := len(s.slots)
	s.insert(uint32(h), number)
	t.slots += len(s.slots) - before
}

func (t *tables) bytes() int64 {
	return int64(len(t.shards))*int64(unsafe.Sizeof(table{})) + int64(t.slots)*8
}
