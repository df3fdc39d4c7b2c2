package sqlitestore

import (
	"encoding/binary"
	"hash/crc32"
)

// SQLite trusts the bytes of the file. Each row has a checksum over what it says
// and over the key that it stands under, so that neither a changed byte nor a row
// that was moved is read as usage.

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumOf returns the checksum of bytes that stand under a key of integers.
func sumOf(data []byte, key ...int64) uint32 {
	var buf [8]byte
	sum := uint32(0)
	for _, k := range key {
		binary.LittleEndian.PutUint64(buf[:], uint64(k))
		sum = crc32.Update(sum, castagnoli, buf[:])
	}
	return crc32.Update(sum, castagnoli, data)
}

// sumSize is the size of a checksum at the end of a blob.
const sumSize = 4

// appendSum appends the checksum of data[from:].
func appendSum(data []byte, from int, key ...int64) []byte {
	return binary.LittleEndian.AppendUint32(data, sumOf(data[from:], key...))
}

// cutSum checks and removes the checksum.
func cutSum(data []byte, key ...int64) ([]byte, bool) {
	n := len(data) - sumSize
	if n < 0 || binary.LittleEndian.Uint32(data[n:]) != sumOf(data[:n], key...) {
		return nil, false
	}
	return data[:n], true
}

// appendText appends a text with its length before it.
func appendText(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// cutter reads from bytes whose checksum is right, and still never beyond them.
type cutter struct {
	data []byte
	bad  bool
}

func (c *cutter) uvarint() uint64 {
	if len(c.data) > 0 && c.data[0] < 0x80 {
		v := c.data[0]
		c.data = c.data[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(c.data)
	if n <= 0 {
		c.bad, c.data = true, nil
		return 0
	}
	c.data = c.data[n:]
	return v
}

// mostCodes is beyond what the codes of names can be: those are given one by one,
// and tables are made by them.
const mostCodes = 1 << 31

// code reads the code of a name.
func (c *cutter) code() int64 {
	v := c.uvarint()
	if v == 0 || v >= mostCodes {
		c.bad = true
		return 0
	}
	return int64(v)
}

func (c *cutter) varint() int64 {
	v, n := binary.Varint(c.data)
	if n <= 0 {
		c.bad, c.data = true, nil
		return 0
	}
	c.data = c.data[n:]
	return v
}

func (c *cutter) byte() byte {
	if len(c.data) == 0 {
		c.bad = true
		return 0
	}
	b := c.data[0]
	c.data = c.data[1:]
	return b
}

func (c *cutter) bytes(n uint64) []byte {
	if n > uint64(len(c.data)) {
		c.bad, c.data = true, nil
		return nil
	}
	b := c.data[:n]
	c.data = c.data[n:]
	return b
}

func (c *cutter) text() string { return string(c.bytes(c.uvarint())) }

func (c *cutter) uint32() uint32 {
	b := c.bytes(4)
	if c.bad {
		return 0
	}
	return binary.LittleEndian.Uint32(b)
}
