package sqlitestore

import "encoding/binary"

// The forms in which ids are kept. Most ids are canonical UUIDs or lower-case
// hexadecimal, which take half their text or less; any other is kept as it is.
// The form of an id follows from its text alone, so two ids are the same exactly
// when their forms and bytes are.
const (
	idText byte = iota // the bytes themselves
	idHex              // an even number of lower-case hex digits, two to a byte
	idUUID             // 8-4-4-4-12 lower-case hex digits, 16 bytes
)

const uuidLen = 36

const notHex = 0xff

var hexValue = func() (t [256]uint8) {
	for i := range t {
		t[i] = notHex
	}
	for i, c := range "0123456789abcdef" {
		t[c] = uint8(i)
	}
	return t
}()

const hexDigits = "0123456789abcdef"

// appendIdentity appends the key of an identity: the code of tenant and source,
// the form of the id and its bytes.
func appendIdentity(dst []byte, owner int64, id string) []byte {
	dst = binary.AppendUvarint(dst, uint64(owner))
	n := len(dst)
	if len(id) == uuidLen && id[8] == '-' && id[13] == '-' && id[18] == '-' && id[23] == '-' {
		dst = append(dst, idUUID)
		ok := true
		for _, part := range [...][2]int{{0, 8}, {9, 13}, {14, 18}, {19, 23}, {24, 36}} {
			if dst, ok = appendNibbles(dst, id[part[0]:part[1]]); !ok {
				return append(append(dst[:n], idText), id...)
			}
		}
		return dst
	}
	if len(id)%2 == 0 {
		var ok bool
		if dst, ok = appendNibbles(append(dst, idHex), id); ok {
			return dst
		}
	}
	return append(append(dst[:n], idText), id...)
}

// appendNibbles appends pairs of hex digits as bytes and reports whether that is
// what s consists of.
func appendNibbles(dst []byte, s string) ([]byte, bool) {
	for i := 0; i+1 < len(s); i += 2 {
		hi, lo := hexValue[s[i]], hexValue[s[i+1]]
		if hi|lo == notHex {
			return dst, false
		}
		dst = append(dst, hi<<4|lo)
	}
	return dst, true
}

// parseIdentity takes the key of an identity apart.
func parseIdentity(key []byte) (owner int64, id string, ok bool) {
	c := cutter{data: key}
	owner = c.code()
	form := c.byte()
	if c.bad {
		return 0, "", false
	}
	var buf [2 * 256]byte
	out := buf[:0]
	switch form {
	case idText:
		return owner, string(c.data), true
	case idHex:
		for _, b := range c.data {
			out = append(out, hexDigits[b>>4], hexDigits[b&15])
		}
	case idUUID:
		for i, b := range c.data {
			if i == 4 || i == 6 || i == 8 || i == 10 {
				out = append(out, '-')
			}
			out = append(out, hexDigits[b>>4], hexDigits[b&15])
		}
	default:
		return 0, "", false
	}
	return owner, string(out), true
}
