package aggregate

import (
	"math/big"
	"math/bits"
)

// pow10 holds the powers of ten that fit one word: 10^0 to 10^19.
var pow10 = [20]uint64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9,
	1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
}

// wide is an unsigned integer of 384 bits, least significant word first. A
// Number's magnitude takes at most 226 bits (68 digits); the rest is room to
// align two numbers by up to 10^38 without allocating.
type wide [6]uint64

// numberBits bounds a magnitude that a Number can hold: 10^68 has 226 bits.
const numberBits = 226

// mulAdd sets x to x*m + a and reports whether that fits.
func (x *wide) mulAdd(m, a uint64) bool {
	carry := a
	for i := range x {
		hi, lo := bits.Mul64(x[i], m)
		var c uint64
		x[i], c = bits.Add64(lo, carry, 0)
		carry = hi + c // hi is at most 2^64-2, so this cannot wrap
	}
	return carry == 0
}

// scaleUp multiplies x by 10^d and reports whether the product fits.
func (x *wide) scaleUp(d int) bool {
	if x.isZero() {
		return true
	}
	for d > 19 {
		if !x.mulAdd(pow10[19], 0) {
			return false
		}
		d -= 19
	}
	return d == 0 || x.mulAdd(pow10[d], 0)
}

// divMod divides x by m in place and returns the remainder.
func (x *wide) divMod(m uint64) (rem uint64) {
	for i := len(x) - 1; i >= 0; i-- {
		x[i], rem = bits.Div64(rem, x[i], m)
	}
	return rem
}

func (x *wide) isZero() bool {
	return x[0]|x[1]|x[2]|x[3]|x[4]|x[5] == 0
}

func (x *wide) bitLen() int {
	for i := len(x) - 1; i >= 0; i-- {
		if x[i] != 0 {
			return i*64 + bits.Len64(x[i])
		}
	}
	return 0
}

func (x *wide) cmp(y *wide) int {
	for i := len(x) - 1; i >= 0; i-- {
		switch {
		case x[i] < y[i]:
			return -1
		case x[i] > y[i]:
			return 1
		}
	}
	return 0
}

// strip removes trailing decimal zeros, at most scale of them, and returns
// the scale that is left.
func (x *wide) strip(scale uint8) uint8 {
	if x.isZero() {
		return 0
	}
	// 10^k divides x only if 2^k does: odd numbers leave here without a division.
	for _, step := range [...]uint8{16, 8, 4, 2, 1} {
		for scale >= step {
			if x[0]&(1<<step-1) != 0 {
				break
			}
			q := *x
			if q.divMod(pow10[step]) != 0 {
				break
			}
			*x = q
			scale -= step
		}
	}
	return scale
}

// big returns x as a new big.Int.
func (x *wide) big() *big.Int {
	var buf [len(x) * 8]byte
	for i, w := range x {
		for j := range 8 {
			buf[len(buf)-1-i*8-j] = byte(w >> (8 * j))
		}
	}
	return new(big.Int).SetBytes(buf[:])
}

// setBig sets x to the absolute value of b and reports whether it fits.
func (x *wide) setBig(b *big.Int) bool {
	if b.BitLen() > len(x)*64 {
		return false
	}
	var buf [len(x) * 8]byte
	b.FillBytes(buf[:])
	for i := range x {
		var w uint64
		for j := range 8 {
			w |= uint64(buf[len(buf)-1-i*8-j]) << (8 * j)
		}
		x[i] = w
	}
	return true
}

// appendDigits appends the decimal digits of x, at least one.
func (x *wide) appendDigits(dst []byte) []byte {
	var buf [120]byte // 384 bits are at most 116 digits
	i := len(buf)
	for rest := *x; ; {
		chunk := rest.divMod(pow10[19])
		last := rest.isZero()
		for n := 0; n < 19 && (!last || chunk != 0); n++ {
			i--
			buf[i] = byte('0' + chunk%10)
			chunk /= 10
		}
		if last {
			break
		}
	}
	if i == len(buf) {
		i--
		buf[i] = '0'
	}
	return append(dst, buf[i:]...)
}

// bigPow10 returns 10^d as a new big.Int.
func bigPow10(d int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(d)), nil)
}
