package memstore

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// The forms in which ids are kept. Most ids are canonical UUIDs or lower-case
// hexadecimal, which take half their text or less; any other is kept as it is.
// The form of an id follows from its text alone, so two ids are the same
// exactly when their forms and bytes are.
const (
	idText uint8 = iota // the bytes themselves
	idHex               // an even number of lower-case hex digits, two to a byte
	idOdd               // an odd number of them, behind a zero
	idUUID              // 8-4-4-4-12 lower-case hex digits, 16 bytes
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

// packID appends the kept form of an id to dst.
func packID(dst []byte, id string) ([]byte, uint8) {
	n := len(dst)
	if len(id) == uuidLen && id[8] == '-' && id[13] == '-' && id[18] == '-' && id[23] == '-' {
		a, okA := packDigits(fourBytes(id[0:]), fourBytes(id[4:]))
		b, okB := packDigits(fourBytes(id[9:]), fourBytes(id[14:]))
		c, okC := packDigits(fourBytes(id[19:]), fourBytes(id[24:]))
		d, okD := packDigits(fourBytes(id[28:]), fourBytes(id[32:]))
		if okA && okB && okC && okD {
			dst = binary.LittleEndian.AppendUint64(dst, uint64(b)<<32|uint64(a))
			return binary.LittleEndian.AppendUint64(dst, uint64(d)<<32|uint64(c)), idUUID
		}
		return append(dst, id...), idText
	}
	if len(id) == 0 {
		return dst, idText
	}
	form, rest, ok := idHex, id, true
	if len(id)%2 == 1 {
		v := hexValue[id[0]]
		form, rest, ok = idOdd, id[1:], v != notHex
		dst = append(dst, v)
	}
	if ok {
		if dst, ok = appendNibbles(dst, rest); ok {
			return dst, form
		}
	}
	return append(dst[:n], id...), idText
}

func fourBytes(s string) uint32 {
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

// packDigits packs eight lower-case hex digits, four and four in the order of
// the text, into four bytes in that order, and reports whether that is what they
// are. It works on all eight at once: the ids of a service are mostly such.
func packDigits(first, second uint32) (uint32, bool) {
	const ones = 0x0101010101010101
	text := uint64(second)<<32 | uint64(first)
	// A letter has bit 6, and its lower half counts from 1 where it stands for 10.
	v := text&(0x0f*ones) + text>>6&ones*9
	// Other characters have a value too. It is above 15, or its digit is another.
	letters := (v + 0x76*ones) >> 7 & ones
	if v&(0xf0*ones) != 0 || v+0x30*ones+letters*('a'-10-'0') != text {
		return 0, false
	}
	v = (v<<4 | v>>8) & 0x00ff00ff00ff00ff
	v = (v | v>>8) & 0x0000ffff0000ffff
	return uint32(v | v>>16), true
}

// appendNibbles appends pairs of hex digits as bytes and reports whether that
// is what s consists of.
func appendNibbles(dst []byte, s string) ([]byte, bool) {
	for ; len(s) >= 8; s = s[8:] {
		v, ok := packDigits(fourBytes(s), fourBytes(s[4:]))
		if !ok {
			return dst, false
		}
		dst = binary.LittleEndian.AppendUint32(dst, v)
	}
	for i := 0; i+1 < len(s); i += 2 {
		hi, lo := hexValue[s[i]], hexValue[s[i+1]]
		if hi|lo == notHex {
			return dst, false
		}
		dst = append(dst, hi<<4|lo)
	}
	return dst, true
}

// appendID appends the text of a kept id.
func appendID(dst []byte, form uint8, kept []byte) []byte {
	switch form {
	case idHex:
		return appendHex(dst, kept)
	case idOdd:
		if len(kept) == 0 {
			return dst
		}
		return appendHex(append(dst, hexDigits[kept[0]&15]), kept[1:])
	case idUUID:
		for i, b := range kept {
			if i == 4 || i == 6 || i == 8 || i == 10 {
				dst = append(dst, '-')
			}
			dst = append(dst, hexDigits[b>>4], hexDigits[b&15])
		}
		return dst
	}
	return append(dst, kept...)
}

func appendHex(dst, kept []byte) []byte {
	for _, b := range kept {
		dst = append(dst, hexDigits[b>>4], hexDigits[b&15])
	}
	return dst
}

// idString returns the text of a kept id as a string of its own.
func idString(form uint8, kept []byte) string {
	if form == idText {
		return string(kept)
	}
	var buf [2 * 256]byte
	return string(appendID(buf[:0], form, kept))
}

// compareIDs orders kept ids by the bytes of their texts.
func compareIDs(aForm uint8, a []byte, bForm uint8, b []byte) int {
	if aForm == bForm {
		// Digits stand before letters in both orders, and what two texts of one
		// form have at the same place packs into the same place.
		return bytes.Compare(a, b)
	}
	var x, y [2 * 256]byte
	return bytes.Compare(appendID(x[:0], aForm, a), appendID(y[:0], bForm, b))
}

// compareID orders a kept id and a text.
func compareID(form uint8, kept []byte, text string) int {
	if form == idText {
		return strings.Compare(string(kept), text)
	}
	var x [2 * 256]byte
	return strings.Compare(string(appendID(x[:0], form, kept)), text)
}
