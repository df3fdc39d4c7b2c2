package jsontext

import (
	"encoding/binary"
	"math/bits"
	"strings"
)

// Texts makes strings of the parts of one text that share memory. Chunks are
// small, so that a string that is kept does not keep much else. The zero value is
// ready for use.
type Texts struct {
	// Size is the length of the text, of which about half becomes strings.
	Size int
	// Once tells that no string is likely to be met again.
	Once bool

	chunk strings.Builder
	// seen holds strings that were met before, so that a tenant or a region is
	// copied once and not once per record. A later string takes the place of an
	// earlier one of the same hash.
	seen *[512]string
}

const (
	chunkBytes  = 4 << 10
	maxInterned = 64
)

// Intern returns b as a string that is likely to be met again.
func (t *Texts) Intern(b []byte) string {
	n := len(b)
	if t.Once || n > maxInterned {
		return t.Keep(b)
	}
	var h uint64
	switch {
	case n >= 8:
		h = binary.LittleEndian.Uint64(b) ^ bits.RotateLeft64(binary.LittleEndian.Uint64(b[n-8:]), 23)
	case n >= 4:
		h = uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint32(b[n-4:]))<<32
	case n > 0:
		h = uint64(b[0]) | uint64(b[n/2])<<8 | uint64(b[n-1])<<16
	default:
		return ""
	}
	h = (h ^ uint64(n)) * 0x9e3779b97f4a7c15
	if t.seen == nil {
		t.seen = new([512]string)
	}
	slot := &t.seen[h>>55]
	if *slot != string(b) {
		*slot = t.Keep(b)
	}
	return *slot
}

// Keep copies b to the memory that is shared.
func (t *Texts) Keep(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if len(b) > t.chunk.Cap()-t.chunk.Len() {
		if len(b) > chunkBytes/4 {
			return string(b)
		}
		t.chunk = strings.Builder{}
		t.chunk.Grow(max(len(b), min(chunkBytes, t.Size/2)))
	}
	at := t.chunk.Len()
	t.chunk.Write(b)
	return t.chunk.String()[at:]
}
