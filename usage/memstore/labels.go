package memstore

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"

	"github.com/usagebook/usagebook/usage"
)

// labels numbers sets of dimensions. A set is kept as one run of bytes, each
// dimension as the number of its name, the length of its value and the value:
// one comparison of bytes finds it, and where nearly every record has a set of
// its own that is a third of the room that strings and their slices take.
type labels struct {
	index tables
	text  [][]byte   // in chunks that are never moved
	used  int        // bytes of the last chunk
	where []labelRef // by number
	sets  [][]atomic.Pointer[usage.Dimensions]
	bytes int64         // of text
	shown *atomic.Int64 // bytes of sets that were asked for, and of series
}

// labelRef is where the bytes of a set are: chunk, offset and length. A set is
// at most 64 dimensions of 128 and 4,096 bytes, which is below 1<<19.
type labelRef uint64

const (
	labelLengthBits = 20
	labelOffsetBits = 20
)

func (r labelRef) in(text [][]byte) []byte {
	from := int(r >> labelLengthBits & (1<<labelOffsetBits - 1))
	return text[r>>(labelLengthBits+labelOffsetBits)][from : from+int(r&(1<<labelLengthBits-1))]
}

// The first chunk is small for the sake of small stores. The last one has on
// average half a chunk free.
const (
	firstLabelChunk = 1 << 12
	labelChunk      = 1 << 16
)

func newLabels() labels { return labels{index: newTables(seriesShardBits), shown: new(atomic.Int64)} }

// appendCoded appends a set as it is kept. Names that are new get a number.
func (l *labels) appendCoded(key []byte, d *usage.Dimensions, names *texts) []byte {
	for i := range d.Len() {
		e := d.At(i)
		key = appendLabel(key, names.code(e.Name), e.Value)
	}
	return key
}

func appendLabel(key []byte, name uint32, value string) []byte {
	if name < 0x80 && len(value) < 0x80 {
		key = append(key, byte(name), byte(len(value)))
	} else {
		key = binary.AppendUvarint(binary.AppendUvarint(key, uint64(name)), uint64(len(value)))
	}
	return append(key, value...)
}

// find looks a set up.
func (l *labels) find(key []byte, h uint64) (uint32, bool) {
	t := l.index.shard(h)
	for c, at := t.first(uint32(h)); at >= 0; c, at = t.next(uint32(h), at) {
		if l.is(c, key) {
			return c, true
		}
	}
	return 0, false
}

// is reports whether a set is the one of a key.
func (l *labels) is(code uint32, key []byte) bool {
	return string(l.where[code].in(l.text)) == string(key)
}

// code numbers a set.
func (l *labels) code(key []byte, h uint64) uint32 {
	if c, ok := l.find(key, h); ok {
		return c
	}
	if len(l.text) == 0 || l.used+len(key) > len(l.text[len(l.text)-1]) {
		size := labelChunk
		if len(l.text) == 0 {
			size = firstLabelChunk
		}
		l.text, l.used = append(l.text, make([]byte, max(size, len(key)))), 0
		l.bytes += int64(max(size, len(key)))
	}
	copy(l.text[len(l.text)-1][l.used:], key)
	c := uint32(len(l.where))
	l.where = append(l.where, labelRef(len(l.text)-1)<<(labelLengthBits+labelOffsetBits)|labelRef(l.used)<<labelLengthBits|labelRef(len(key)))
	l.used += len(key)
	if c%seriesChunk == 0 {
		l.sets = append(l.sets, make([]atomic.Pointer[usage.Dimensions], seriesChunk))
	}
	l.index.insert(h, c)
	return c
}

// labelLists are the heads of its lists at one moment.
type labelLists struct {
	names []string
	text  [][]byte
	where []labelRef
	sets  [][]atomic.Pointer[usage.Dimensions]
	shown *atomic.Int64
}

func (l *labels) lists(names *texts) labelLists {
	return labelLists{names.list, l.text, l.where, l.sets, l.shown}
}

// at returns a set, which is made when it is asked for, and kept if it may be.
func (l *labelLists) at(code uint32, keep bool) usage.Dimensions {
	p := &l.sets[code/seriesChunk][code%seriesChunk]
	if d := p.Load(); d != nil {
		return *d
	}
	text := string(l.where[code].in(l.text))
	var buf [8]usage.Dimension
	list := buf[:0]
	for len(text) > 0 {
		name, rest := cutUvarint(text)
		n, rest := cutUvarint(rest)
		list = append(list, usage.Dimension{Name: l.names[name], Value: rest[:n]})
		text = rest[n:]
	}
	d := usage.NewDimensions(list...)
	if keep && p.CompareAndSwap(nil, &d) {
		l.shown.Add(setBytes(&d))
	}
	return d
}

// setBytes is what a set takes that was asked for.
func setBytes(d *usage.Dimensions) int64 {
	n := int64(unsafe.Sizeof(*d)) + int64(d.Len())*int64(unsafe.Sizeof(usage.Dimension{}))
	for i := range d.Len() {
		n += int64(len(d.At(i).Value)) + 2 // as it is kept: its text is one string
	}
	return n
}

// cutUvarint reads what binary.AppendUvarint wrote.
func cutUvarint(s string) (v uint64, rest string) {
	for i := 0; ; i++ {
		v |= uint64(s[i]&0x7f) << (7 * i)
		if s[i] < 0x80 {
			return v, s[i+1:]
		}
	}
}
