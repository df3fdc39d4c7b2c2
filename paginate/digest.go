package paginate

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"io"
)

// Digest returns the SHA-256 digest of a list of parts. Each part is written
// behind its length, so two lists have the same digest only if they are equal
// part by part: ("ab", "c"), ("a", "bc") and ("a", "b", "c") are three digests.
// The list itself is the order: a caller whose parts are a set sorts them first.
func Digest[T ~string | ~[]byte](parts ...T) [32]byte {
	h := sha256.New()
	for _, part := range parts {
		writePart(h, string(part))
	}
	var sum [32]byte
	h.Sum(sum[:0])
	return sum
}

func writePart(h hash.Hash, part string) {
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(len(part)))
	h.Write(size[:])
	io.WriteString(h, part)
}
