package memstore

import (
	"math/bits"
	"slices"

	"github.com/usagebook/usagebook/aggregate"
)

// column is one named value of the rows of a segment.
type column struct {
	name     uint32
	presence presence
	coef     packed
	// Numbers of a column usually have few decimal places and fit one scale:
	// then scales is nil, and a block of coefficients can be added up as it is.
	scale  uint8
	scales *packed
	// wide are numbers whose coefficient no int64 holds, by place in the column.
	wide map[uint32]aggregate.Number
	// blocks is the number of elements that can be added in int64 for sure.
	blocks int
	n      int
}

// elements returns the number of elements.
func (c *column) elements() int { return c.n }

// uniform reports whether the column is plain coefficients at one scale.
func (c *column) uniform() bool { return c.scales == nil && c.wide == nil }

// small returns the i-th number of the column unless it is wide.
func (c *column) small(i int) (coef int64, scale uint8, ok bool) {
	if c.wide != nil {
		if _, wide := c.wide[uint32(i)]; wide {
			return 0, 0, false
		}
	}
	scale = c.scale
	if c.scales != nil {
		scale = uint8(c.scales.at(i))
	}
	return c.coef.at(i), scale, true
}

// number returns the i-th number of the column.
func (c *column) number(i int) aggregate.Number {
	coef, scale, ok := c.small(i)
	if !ok {
		return c.wide[uint32(i)]
	}
	return aggregate.Fixed(coef, scale)
}

// columnBuilder collects a column in the order of its positions.
type columnBuilder struct {
	name   uint32
	at     []uint16
	coefs  []int64
	scales []uint8
	top    uint8
	wide   map[uint32]aggregate.Number
}

func (b *columnBuilder) reserve(n int) {
	b.at, b.coefs, b.scales = slices.Grow(b.at, n), slices.Grow(b.coefs, n), slices.Grow(b.scales, n)
}

func (b *columnBuilder) add(position int, h *head, c *cell) {
	b.at = append(b.at, uint16(position))
	if c.wide {
		if b.wide == nil {
			b.wide = make(map[uint32]aggregate.Number)
		}
		b.wide[uint32(len(b.coefs))] = h.wide[c.coef]
		b.coefs, b.scales = append(b.coefs, 0), append(b.scales, 0)
		return
	}
	b.coefs, b.scales = append(b.coefs, c.coef), append(b.scales, c.scale)
	b.top = max(b.top, c.scale)
}

var pow10 = func() (p [19]int64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 10
	}
	return p
}()

// rescale returns coef at a scale that is higher by d, if that fits.
func rescale(coef int64, d uint8) (int64, bool) {
	if coef == 0 || d == 0 {
		return coef, true
	}
	if int(d) >= len(pow10) {
		return 0, false
	}
	v := coef * pow10[d]
	return v, v/pow10[d] == coef
}

// build returns the column; scratch has room for as many numbers.
func (b *columnBuilder) build(rows int, scratch []int64) column {
	c := column{name: b.name, n: len(b.coefs), presence: newPresence(b.at, rows), wide: b.wide, scale: b.top}
	level := scratch[:len(b.coefs)]
	fits := true
	most := uint64(0)
	for i, coef := range b.coefs {
		if level[i], fits = rescale(coef, b.top-b.scales[i]); !fits {
			break
		}
		most = max(most, uint64(max(level[i], -level[i])))
	}
	if !fits {
		scales := make([]int64, len(b.scales))
		for i, s := range b.scales {
			scales[i] = int64(s)
		}
		p := pack(scales)
		c.scales, c.coef = &p, pack(b.coefs)
		return c
	}
	c.coef = pack(level)
	// The magnitude of the least int64 is its own negative, and as unsigned
	// number it is right all the same.
	c.blocks = mostRows
	if n := bits.Len64(most); n > 62-mostShift {
		c.blocks = 1 << max(0, 62-n)
	}
	return c
}

// presence says which positions of a segment have an element in a column.
type presence struct {
	all   bool
	list  []uint16 // few: their positions
	words []uint64 // many: a bit for each
	ranks []uint16 // elements before each word
}

// A list takes 16 bits an element, bits and ranks together 1.25 a row.
const listShare = 16

func newPresence(at []uint16, rows int) presence {
	if len(at) == rows {
		return presence{all: true}
	}
	if len(at) < rows/listShare {
		return presence{list: slices.Clone(at)}
	}
	p := presence{words: make([]uint64, (rows+63)/64), ranks: make([]uint16, (rows+63)/64)}
	for _, i := range at {
		p.words[i>>6] |= 1 << (i & 63)
	}
	n := 0
	for i, w := range p.words {
		p.ranks[i] = uint16(n)
		n += bits.OnesCount64(w)
	}
	return p
}

// rank returns the number of elements before a position.
func (p *presence) rank(position, elements int) int {
	switch {
	case p.all:
		return position
	case p.words == nil:
		if position > 1<<16-1 {
			return len(p.list)
		}
		i, _ := slices.BinarySearch(p.list, uint16(position))
		return i
	case position>>6 == len(p.words):
		return elements
	}
	return int(p.ranks[position>>6]) + bits.OnesCount64(p.words[position>>6]&(1<<(position&63)-1))
}

// index returns the place in the column of a position that has an element.
func (p *presence) index(position int) (int, bool) {
	switch {
	case p.all:
		return position, true
	case p.words == nil:
		return slices.BinarySearch(p.list, uint16(position))
	case p.words[position>>6]>>(position&63)&1 == 0:
		return 0, false
	}
	return int(p.ranks[position>>6]) + bits.OnesCount64(p.words[position>>6]&(1<<(position&63)-1)), true
}
