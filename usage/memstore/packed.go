package memstore

import (
	"encoding/binary"
	"math/bits"
)

// packed is an immutable column of integers. Each is kept as its distance from
// the least one, counted in steps, in as many bits as the greatest distance
// needs; a column of equal values takes no room at all. Any element is one
// eight-byte load away, which is what lets a scan touch a run of a segment and
// nothing else.
type packed struct {
	base  int64
	step  uint64 // at least 1
	mask  uint64
	width uint   // bits of an element: 0 to 57, or 64
	data  []byte // longer than its bits by one load
}

// widest is the greatest width at which an element and the bits before it in
// its first byte fit one load; above it elements take whole words.
const widest = 57

// pack packs values. It does not keep the slice.
func pack(values []int64) packed { return packBy(values, false) }

// packSteps is pack for values that are likely to be multiples of something,
// like instants, which are mostly whole seconds, minutes or hours.
func packSteps(values []int64) packed { return packBy(values, true) }

func packBy(values []int64, steps bool) packed {
	p := packed{step: 1}
	if len(values) == 0 {
		return p
	}
	least, most := values[0], values[0]
	for _, v := range values[1:] {
		least, most = min(least, v), max(most, v)
	}
	p.base = least
	if least == most {
		return p
	}
	if steps {
		p.step = commonStep(values, least)
	}
	// The distance of two int64 always fits uint64, whatever the signs.
	p.width = uint(bits.Len64((uint64(most) - uint64(least)) / p.step))
	if p.width > widest {
		p.width = 64
	}
	p.mask = ^uint64(0) >> (64 - p.width)
	p.data = make([]byte, (uint(len(values))*p.width+7)/8+8)
	bit := uint(0)
	for _, v := range values {
		d := uint64(v) - uint64(least)
		if p.step != 1 {
			d /= p.step
		}
		at := p.data[bit>>3:]
		binary.LittleEndian.PutUint64(at, binary.LittleEndian.Uint64(at)|d<<(bit&7))
		bit += p.width
	}
	return p
}

// commonStep returns the greatest number that divides every distance.
func commonStep(values []int64, least int64) uint64 {
	step := uint64(0)
	for _, v := range values {
		d := uint64(v) - uint64(least)
		if step != 0 && d%step == 0 {
			continue
		}
		for d != 0 {
			step, d = d, step%d
		}
		if step == 1 {
			break
		}
	}
	return max(step, 1)
}

// at returns the i-th element.
func (p *packed) at(i int) int64 {
	if p.width == 0 {
		return p.base
	}
	bit := uint(i) * p.width
	d := binary.LittleEndian.Uint64(p.data[bit>>3:]) >> (bit & 7) & p.mask
	return p.base + int64(d*p.step)
}

// read fills dst with the elements from the from-th on.
func (p *packed) read(dst []int64, from int) {
	if p.width == 0 {
		for i := range dst {
			dst[i] = p.base
		}
		return
	}
	bit := uint(from) * p.width
	for i := range dst {
		d := binary.LittleEndian.Uint64(p.data[bit>>3:]) >> (bit & 7) & p.mask
		dst[i] = p.base + int64(d*p.step)
		bit += p.width
	}
}

// search returns the first i in [from, to) whose element is at least v, or to.
// The elements of the range must ascend.
func (p *packed) search(from, to int, v int64) int {
	for from < to {
		mid := int(uint(from+to) >> 1)
		if p.at(mid) < v {
			from = mid + 1
		} else {
			to = mid
		}
	}
	return from
}
