package chunk

import (
	"encoding/binary"
	"hash/crc32"
)

// Seal appends the checksum of data.
func Seal(data []byte) []byte {
	data = append([]byte(nil), data...)
	return binary.BigEndian.AppendUint32(data, crc32.Checksum(data, checksum))
}
