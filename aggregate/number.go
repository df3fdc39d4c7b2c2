package aggregate

import (
	"math"
	"math/big"
	"math/bits"
	"strconv"

	"github.com/shopspring/decimal"
)

const (
	// MaxIntegerDigits is the largest number of digits before the decimal point.
	MaxIntegerDigits = 38
	// MaxScale is the largest number of digits after the decimal point.
	MaxScale = 30
)

// A Number is an exact decimal within the limits of the book: at most
// [MaxIntegerDigits] digits before the point and [MaxScale] after it.
//
// A Number is canonical: no trailing zeros after the point, a scale of zero
// or more, no negative zero. Two Numbers are therefore equal exactly when ==
// says so, and a Number can be a map key. It takes 32 bytes, holds no pointer
// and is never allocated. The zero value is 0. Numbers are immutable and safe
// for concurrent use.
type Number struct {
	// A coefficient that fits int64 is w0 in two's complement, with tail equal
	// to the scale alone: the common case is decided by one comparison. Any
	// other has its magnitude in w0, w1, w2 and the upper 48 bits of tail.
	w0, w1, w2 uint64
	tail       uint64
}

const (
	tailScale    = 0xff
	tailWide     = 1 << 8
	tailNegative = 1 << 9
	tailShift    = 16
)

// Fixed returns coef × 10^-scale.
//
// It never fails, so that a store can build numbers from its columns without
// an error path: a scale above [MaxScale] that is still there after trailing
// zeros are removed gives a Number outside of the limits, which adds and
// compares exactly and which [ParseNumber] would refuse.
func Fixed(coef int64, scale uint8) Number {
	if scale != 0 && coef&1 == 0 { // an odd number ends in no zero
		coef, scale = stripSmall(coef, scale)
	}
	return Number{w0: uint64(coef), tail: uint64(scale)}
}

// Int returns v as a Number.
func Int(v int64) Number { return Number{w0: uint64(v)} }

func stripSmall(coef int64, scale uint8) (int64, uint8) {
	if coef == 0 {
		return 0, 0
	}
	for scale >= 8 && coef%1e8 == 0 {
		coef, scale = coef/1e8, scale-8
	}
	for scale > 0 && coef&1 == 0 && coef%10 == 0 {
		coef, scale = coef/10, scale-1
	}
	return coef, scale
}

// numberFrom returns the canonical Number of a magnitude of at most 226 bits.
func numberFrom(neg bool, mag *wide, scale uint8) Number {
	m := *mag
	scale = m.strip(scale)
	if m[1]|m[2]|m[3] == 0 {
		if !neg && m[0] <= math.MaxInt64 {
			return Number{w0: m[0], tail: uint64(scale)}
		}
		if neg && m[0] <= 1<<63 {
			return Number{w0: -m[0], tail: uint64(scale)}
		}
	}
	n := Number{w0: m[0], w1: m[1], w2: m[2], tail: m[3]<<tailShift | tailWide | uint64(scale)}
	if neg {
		n.tail |= tailNegative
	}
	return n
}

// magnitude returns the sign and the absolute value of the coefficient.
func (n Number) magnitude() (neg bool, mag wide) {
	if n.tail&tailWide == 0 {
		c := int64(n.w0)
		if c < 0 {
			return true, wide{-n.w0}
		}
		return false, wide{n.w0}
	}
	return n.tail&tailNegative != 0, wide{n.w0, n.w1, n.w2, n.tail >> tailShift}
}

// NumberOf returns d as a Number. The error is a [*NumberError] that wraps
// [ErrRange] if d has more than [MaxIntegerDigits] digits before or more than
// [MaxScale] after the point; trailing zeros do not count. A coefficient of
// more than 1,024 bits (308 digits) is refused whatever its zeros. The
// exponent is checked before any arithmetic, so decimal.New(1, 1<<30) costs
// nothing; a coefficient of 100,000 digits costs a millisecond or two.
func NumberOf(d decimal.Decimal) (Number, error) {
	sign := d.Sign()
	if sign == 0 {
		return Number{}, nil
	}
	exp := int(d.Exponent())
	if exp >= MaxIntegerDigits {
		return Number{}, rangeError(integerReason)
	}
	if exp < -MaxScale-308 {
		// Even 308 trailing zeros could not bring it back.
		return Number{}, rangeError(scaleReason)
	}
	if digits := d.NumDigits(); digits <= 18 {
		coef := d.CoefficientInt64()
		if exp <= 0 {
			scale := -exp
			for scale > 0 && coef%10 == 0 {
				coef, scale = coef/10, scale-1
			}
			if scale > MaxScale {
				return Number{}, rangeError(scaleReason)
			}
			return Number{w0: uint64(coef), tail: uint64(scale)}, nil
		}
		if digits+exp <= 18 {
			return Number{w0: uint64(coef * int64(pow10[exp]))}, nil
		}
	}
	return numberOfBig(d.Coefficient(), exp)
}

// numberOfBig finishes NumberOf for coefficients that need more than a word.
func numberOfBig(coef *big.Int, exp int) (Number, error) {
	if coef.BitLen() > 1024 {
		return Number{}, rangeError("coefficient longer than 1,024 bits")
	}
	neg := coef.Sign() < 0
	abs := new(big.Int).Abs(coef)
	if exp < -MaxScale {
		// Only trailing zeros can make up for the excess.
		q, r := new(big.Int).QuoRem(abs, bigPow10(-exp-MaxScale), new(big.Int))
		if r.Sign() != 0 {
			return Number{}, rangeError(scaleReason)
		}
		abs, exp = q, -MaxScale
	}
	var mag wide
	// 10^68 is the first magnitude that cannot be a Number's; wide has room
	// for any coefficient below it times 10^37.
	if abs.BitLen() > numberBits || !mag.setBig(abs) {
		return Number{}, rangeError(integerReason)
	}
	scale := 0
	if exp < 0 {
		scale = -exp
	} else if !mag.scaleUp(exp) {
		return Number{}, rangeError(integerReason)
	}
	limit := integerLimit(scale)
	if mag.cmp(&limit) >= 0 {
		return Number{}, rangeError(integerReason)
	}
	return numberFrom(neg, &mag, uint8(scale)), nil
}

// integerLimit is the first magnitude at this scale with too many digits
// before the point: 10^(38+scale).
func integerLimit(scale int) wide {
	limit := wide{1}
	limit.scaleUp(MaxIntegerDigits + scale)
	return limit
}

// Decimal returns n as a decimal, canonical too: its exponent is zero or less
// and it has no trailing zeros after the point.
func (n Number) Decimal() decimal.Decimal {
	if n.tail&tailWide == 0 {
		return decimal.New(int64(n.w0), -int32(n.tail))
	}
	coef, scale := n.Big()
	return decimal.NewFromBigInt(coef, -int32(scale))
}

// Small returns the coefficient and the scale of n, with n equal to
// coef × 10^-scale, and whether the coefficient fits an int64.
func (n Number) Small() (coef int64, scale uint8, ok bool) {
	if n.tail&tailWide != 0 {
		return 0, 0, false
	}
	return int64(n.w0), uint8(n.tail), true
}

// Big returns the coefficient, in a big.Int of the caller's own, and the
// scale, for every n.
func (n Number) Big() (coef *big.Int, scale uint8) {
	if n.tail&tailWide == 0 {
		return big.NewInt(int64(n.w0)), uint8(n.tail)
	}
	neg, mag := n.magnitude()
	coef = mag.big()
	if neg {
		coef.Neg(coef)
	}
	return coef, n.Scale()
}

// Scale returns the number of digits after the point.
func (n Number) Scale() uint8 { return uint8(n.tail & tailScale) }

// Sign returns -1, 0 or 1.
func (n Number) Sign() int {
	if n.tail&tailWide != 0 {
		if n.tail&tailNegative != 0 {
			return -1
		}
		return 1
	}
	switch c := int64(n.w0); {
	case c < 0:
		return -1
	case c > 0:
		return 1
	}
	return 0
}

// IsZero reports whether n is 0.
func (n Number) IsZero() bool { return n == Number{} }

// Neg returns -n.
func (n Number) Neg() Number {
	if n.tail&tailWide == 0 && n.w0 != 1<<63 {
		n.w0 = -n.w0
		return n
	}
	neg, mag := n.magnitude()
	return numberFrom(!neg, &mag, n.Scale())
}

// Equal reports whether n and o are the same number. It is the same as ==.
func (n Number) Equal(o Number) bool { return n == o }

// Cmp returns -1, 0 or 1 as n is less than, equal to or greater than o.
func (n Number) Cmp(o Number) int {
	if (n.tail|o.tail)&tailWide == 0 {
		return cmpSmall(int64(n.w0), uint8(n.tail), int64(o.w0), uint8(o.tail))
	}
	return cmpWide(n, o)
}

// less is Cmp for merging, where most numbers of a column have one scale.
func (n *Number) less(o *Number) bool {
	if n.tail == o.tail && n.tail&tailWide == 0 {
		return int64(n.w0) < int64(o.w0)
	}
	return n.Cmp(*o) < 0
}

// cmpSmall compares a × 10^-as with b × 10^-bs; neither need be canonical.
func cmpSmall(a int64, as uint8, b int64, bs uint8) int {
	if as == bs {
		return cmpInt(a, b)
	}
	// Different signs need no alignment; from here on both have the same one.
	if a <= 0 && b >= 0 || a >= 0 && b <= 0 {
		return cmpInt(a, b)
	}
	c := cmpScaled(abs(a), as, abs(b), bs)
	if a < 0 {
		return -c
	}
	return c
}

// cmpScaled compares two positive magnitudes.
func cmpScaled(a uint64, as uint8, b uint64, bs uint8) int {
	if as > bs {
		return -cmpScaled(b, bs, a, as)
	}
	d := bs - as
	if d > 19 {
		return 1 // a is at least 1, and 10^20 is more than any word
	}
	hi, lo := bits.Mul64(a, pow10[d])
	switch {
	case hi != 0 || lo > b:
		return 1
	case lo < b:
		return -1
	}
	return 0
}

func cmpWide(n, o Number) int {
	ns, os := n.Sign(), o.Sign()
	if ns != os {
		return cmpInt(int64(ns), int64(os))
	}
	_, a := n.magnitude()
	_, b := o.magnitude()
	fits := true
	if d := int(o.Scale()) - int(n.Scale()); d >= 0 {
		fits = a.scaleUp(d)
	} else {
		fits = b.scaleUp(-d)
	}
	if !fits {
		return cmpBig(n, o)
	}
	return ns * a.cmp(&b)
}

// cmpBig serves the numbers outside of the limits that Fixed lets through.
func cmpBig(n, o Number) int {
	a, as := n.Big()
	b, bs := o.Big()
	if d := int(bs) - int(as); d >= 0 {
		a.Mul(a, bigPow10(d))
	} else {
		b.Mul(b, bigPow10(-d))
	}
	return a.Cmp(b)
}

func cmpInt(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func abs(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}

// String returns n in plain notation: no exponent, no trailing zeros, a zero
// before a leading point.
func (n Number) String() string {
	var buf [80]byte
	return string(n.AppendText(buf[:0]))
}

// AppendText appends the text of [Number.String] to dst and returns the
// extended slice.
func (n Number) AppendText(dst []byte) []byte {
	if n.tail == 0 {
		return strconv.AppendInt(dst, int64(n.w0), 10)
	}
	var buf [80]byte
	if n.tail&tailWide == 0 {
		digits := strconv.AppendUint(buf[:0], abs(int64(n.w0)), 10)
		return appendPoint(dst, int64(n.w0) < 0, digits, int(n.tail))
	}
	neg, mag := n.magnitude()
	return appendPoint(dst, neg, mag.appendDigits(buf[:0]), int(n.Scale()))
}

// appendPoint appends digits with the point set before the last scale digits.
func appendPoint(dst []byte, neg bool, digits []byte, scale int) []byte {
	if neg {
		dst = append(dst, '-')
	}
	if scale == 0 {
		return append(dst, digits...)
	}
	whole := len(digits) - scale
	if whole <= 0 {
		dst = append(dst, '0', '.')
		for ; whole < 0; whole++ {
			dst = append(dst, '0')
		}
		return append(dst, digits...)
	}
	dst = append(dst, digits[:whole]...)
	dst = append(dst, '.')
	return append(dst, digits[whole:]...)
}

// MarshalText returns the text of [Number.String]. It never fails.
func (n Number) MarshalText() ([]byte, error) { return n.AppendText(nil), nil }

// UnmarshalText reads text as [ParseNumberBytes] does.
func (n *Number) UnmarshalText(text []byte) error {
	v, err := ParseNumberBytes(text)
	if err != nil {
		return err
	}
	*n = v
	return nil
}
