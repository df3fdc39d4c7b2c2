package postgresstore

import (
	"encoding/binary"

	"github.com/usagebook/usagebook/aggregate"
)

// The binary form of a numeric: groups of four decimal digits, the first of
// weight 10000^weight.
const (
	numericHead     = 8
	numericNegative = 0x4000
	numericPositive = 0
)

// small returns a numeric as an integer of a scale, where that is easy.
func small(b []byte) (coef int64, scale uint8, ok bool) {
	n := len(b)/2 - 4
	if n > 4 || n < 0 {
		return 0, 0, false
	}
	if n == 0 {
		return 0, 0, true
	}
	behind := n - 1 - int(int16(binary.BigEndian.Uint16(b[2:]))) // groups after the point
	if behind < 0 || behind > 8 {
		return 0, 0, false
	}
	for i := range n {
		coef = coef*10_000 + int64(binary.BigEndian.Uint16(b[numericHead+2*i:]))
	}
	if binary.BigEndian.Uint16(b[4:]) == numericNegative {
		coef = -coef
	}
	return coef, uint8(4 * behind), true
}

// numericText returns a numeric as text.
func numericText(b []byte) ([]byte, error) {
	if len(b) < numericHead || len(b) != numericHead+2*int(binary.BigEndian.Uint16(b)) {
		return nil, damaged("a number of %d bytes", len(b))
	}
	n, weight, sign := len(b)/2-4, int(int16(binary.BigEndian.Uint16(b[2:]))), binary.BigEndian.Uint16(b[4:])
	if sign != numericPositive && sign != numericNegative {
		return nil, damaged("a number that is none")
	}
	var out []byte
	if sign == numericNegative {
		out = append(out, '-')
	}
	group := func(i int) {
		g := 0
		if 0 <= i && i < n {
			g = int(binary.BigEndian.Uint16(b[numericHead+2*i:]))
		}
		out = append(out, byte('0'+g/1000), byte('0'+g/100%10), byte('0'+g/10%10), byte('0'+g%10))
	}
	if weight < 0 {
		out = append(out, '0')
	}
	for i := 0; i <= weight; i++ {
		group(i)
	}
	if n-1 > weight {
		out = append(out, '.')
	}
	for i := weight + 1; i < n; i++ { // below 0: zeros between the point and the first group
		group(i)
	}
	return out, nil
}

// number reads a numeric.
func number(b []byte) (aggregate.Number, error) {
	if len(b) < numericHead {
		return aggregate.Number{}, damaged("a number of %d bytes", len(b))
	}
	if coef, scale, ok := small(b); ok {
		return aggregate.Fixed(coef, scale), nil
	}
	text, err := numericText(b)
	if err != nil {
		return aggregate.Number{}, err
	}
	n, err := aggregate.ParseNumberBytes(text)
	if err != nil {
		return aggregate.Number{}, damaged("a number that is none: %v", err)
	}
	return n, nil
}

// sum reads a numeric of any size.
func sum(b []byte) (aggregate.Sum, error) {
	var s aggregate.Sum
	if len(b) < numericHead {
		return s, damaged("a sum of %d bytes", len(b))
	}
	if coef, scale, ok := small(b); ok {
		s.AddFixed(coef, scale)
		return s, nil
	}
	text, err := numericText(b)
	if err != nil {
		return s, err
	}
	if s, err = aggregate.ParseSum(string(text)); err != nil {
		return s, damaged("a sum that is none: %v", err)
	}
	return s, nil
}

// int64s of the binary format.
func integer(b []byte) int64 { return int64(binary.BigEndian.Uint64(b)) }

// elements gives out the elements of an array in the binary format, nil for
// null.
func elements(b []byte, each func([]byte) error) error {
	const head, dimension = 12, 8
	if len(b) < head {
		return damaged("an array of %d bytes", len(b))
	}
	n := 0
	if dims := binary.BigEndian.Uint32(b); dims > 1 {
		return damaged("an array of %d dimensions", dims)
	} else if dims == 1 {
		if len(b) < head+dimension {
			return damaged("an array of %d bytes", len(b))
		}
		n = int(binary.BigEndian.Uint32(b[head:]))
		b = b[head+dimension:]
	}
	for range n {
		if len(b) < 4 {
			return damaged("an array that is cut short")
		}
		size := int(int32(binary.BigEndian.Uint32(b)))
		b = b[4:]
		if size < 0 {
			if err := each(nil); err != nil {
				return err
			}
			continue
		}
		if size > len(b) {
			return damaged("an array that is cut short")
		}
		if err := each(b[:size]); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}

// textElements reads an array of texts.
func textElements(b []byte) ([]string, error) {
	var out []string
	err := elements(b, func(e []byte) error {
		out = append(out, string(e))
		return nil
	})
	return out, err
}
