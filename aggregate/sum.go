package aggregate

import (
	"fmt"
	"math"
	"math/big"
	"math/bits"

	"github.com/shopspring/decimal"
)

// A Sum adds decimals exactly, without bound on the result.
//
// It counts in 128-bit fixed point at the largest scale seen so far; what no
// longer fits moves to a big integer beside it, and the fast path goes on from
// zero. So a sum stays exact across any number of switches, and its order of
// additions cannot show in the result.
//
// The zero value is the empty sum, 0. A Sum may be copied by value: the copies
// are independent, because the big integer is replaced and never changed in
// place. Compare sums with [Sum.Cmp], not with ==. A Sum is not safe for
// concurrent use; add into one Sum per goroutine and merge.
type Sum struct {
	hi, lo uint64   // two's complement, times 10^-scale
	carry  *big.Int // what was moved out of hi, lo, at the same scale; nil is 0; immutable
	scale  uint8
}

// fastHigh keeps the high word of the fast path within ±2^62: one addition to
// the fixed part cannot leave it wrong, and one comparison sees the border.
const fastHigh = 1 << 62

// AddFixed adds coef × 10^-scale. It is the fast path of a scan: no
// allocation, and a few instructions when the scale is that of the sum.
func (s *Sum) AddFixed(coef int64, scale uint8) {
	lo, c := bits.Add64(s.lo, uint64(coef), 0)
	hi := s.hi + uint64(coef>>63) + c
	if scale != s.scale || hi+fastHigh >= 2*fastHigh {
		s.addScaled(coef, scale)
		return
	}
	s.lo, s.hi = lo, hi
}

// AddBlock adds every coefs[i] × 10^-scale. It is [Sum.AddFixed] for a column
// that is stored at one scale.
func (s *Sum) AddBlock(coefs []int64, scale uint8) {
	if len(coefs) == 0 {
		return
	}
	if scale < s.scale {
		// One multiplication for the block instead of one per element.
		block := Sum{scale: scale}
		block.AddBlock(coefs, scale)
		s.Merge(&block)
		return
	}
	if scale > s.scale {
		s.raise(scale)
	}
	hi, lo := s.hi, s.lo
	for _, coef := range coefs {
		l, c := bits.Add64(lo, uint64(coef), 0)
		h := hi + uint64(coef>>63) + c
		if h+fastHigh >= 2*fastHigh {
			s.hi, s.lo = hi, lo
			s.spill()
			l, h = uint64(coef), uint64(coef>>63)
		}
		hi, lo = h, l
	}
	s.hi, s.lo = hi, lo
}

// addScaled adds a coefficient whose scale differs from that of the sum, or
// that would bring the sum to the border of the fast path.
func (s *Sum) addScaled(coef int64, scale uint8) {
	if coef == 0 {
		return
	}
	if scale == s.scale {
		s.spill()
		s.hi, s.lo = uint64(coef>>63), uint64(coef)
		return
	}
	if scale > s.scale {
		// Zeros behind the point must not widen the sum for good.
		if coef, scale = stripSmall(coef, scale); scale > s.scale {
			s.raise(scale)
		}
	}
	d := s.scale - scale
	if d <= 19 {
		// 2^63 × 10^19 is less than 2^127.
		hi, lo := bits.Mul64(abs(coef), pow10[d])
		if coef < 0 {
			hi, lo = neg128(hi, lo)
		}
		s.add128(hi, lo)
		return
	}
	s.addWide(coef < 0, &wide{abs(coef)}, scale)
}

// Add adds n.
func (s *Sum) Add(n Number) {
	if n.tail&tailWide == 0 {
		s.AddFixed(int64(n.w0), uint8(n.tail))
		return
	}
	neg, mag := n.magnitude()
	s.addMagnitude(neg, &mag, n.Scale())
}

// AddDecimal adds d. The error is that of [NumberOf]; then nothing was added.
func (s *Sum) AddDecimal(d decimal.Decimal) error {
	n, err := NumberOf(d)
	if err != nil {
		return err
	}
	s.Add(n)
	return nil
}

// Sub subtracts n.
func (s *Sum) Sub(n Number) {
	if n.tail&tailWide == 0 && n.w0 != 1<<63 {
		s.AddFixed(-int64(n.w0), uint8(n.tail))
		return
	}
	neg, mag := n.magnitude()
	s.addMagnitude(!neg, &mag, n.Scale())
}

func (s *Sum) addMagnitude(neg bool, mag *wide, scale uint8) {
	if scale > s.scale {
		s.raise(scale)
	}
	s.addWide(neg, mag, scale)
}

// addWide adds a magnitude whose scale is at most that of the sum.
func (s *Sum) addWide(neg bool, mag *wide, scale uint8) {
	m := *mag
	d := int(s.scale - scale)
	if m.scaleUp(d) && m.bitLen() <= 127 {
		hi, lo := m[1], m[0]
		if neg {
			hi, lo = neg128(hi, lo)
		}
		s.add128(hi, lo)
		return
	}
	v := mag.big()
	v.Mul(v, bigPow10(d))
	if neg {
		v.Neg(v)
	}
	s.addCarry(v)
}

// add128 adds a two's complement value at the scale of the sum.
func (s *Sum) add128(hi, lo uint64) {
	l, c := bits.Add64(s.lo, lo, 0)
	h := s.hi + hi + c
	if int64((s.hi^h)&(hi^h)) < 0 {
		s.spill()
		l, h = lo, hi
	}
	s.lo, s.hi = l, h
}

// addCarry adds v, which it takes over, to the carry.
func (s *Sum) addCarry(v *big.Int) {
	if s.carry != nil {
		v.Add(v, s.carry)
	}
	s.setCarry(v)
}

// setCarry keeps v unless it is zero: a sum that came back is a fast one.
func (s *Sum) setCarry(v *big.Int) {
	if v.Sign() == 0 {
		v = nil
	}
	s.carry = v
}

// spill moves the fixed part into the carry and leaves zero. The next spill is
// at least 2^126 away, so a sum that hovers around the limit does not switch
// with every addition.
func (s *Sum) spill() {
	s.addCarry(big128(s.hi, s.lo))
	s.hi, s.lo = 0, 0
}

// settle brings the carry back into the fixed part where both fit together,
// well within the border at which they would be parted again.
func (s *Sum) settle() {
	if s.carry == nil {
		return
	}
	total := new(big.Int).Add(s.carry, big128(s.hi, s.lo))
	if total.BitLen() > 125 {
		return
	}
	var mag wide
	mag.setBig(total)
	s.carry, s.hi, s.lo = nil, mag[1], mag[0]
	if total.Sign() < 0 {
		s.hi, s.lo = neg128(s.hi, s.lo)
	}
}

// raise brings the sum to a larger scale.
func (s *Sum) raise(scale uint8) {
	d := int(scale - s.scale)
	s.scale = scale
	if s.carry != nil {
		s.carry = new(big.Int).Mul(s.carry, bigPow10(d))
	}
	if s.hi|s.lo == 0 {
		return
	}
	neg, m := magnitude128(s.hi, s.lo)
	if m.scaleUp(d) && m.bitLen() <= 127 {
		s.hi, s.lo = m[1], m[0]
		if neg {
			s.hi, s.lo = neg128(s.hi, s.lo)
		}
		return
	}
	v := big128(s.hi, s.lo)
	s.hi, s.lo = 0, 0
	s.addCarry(v.Mul(v, bigPow10(d)))
}

// Merge adds what o has added. o is unchanged; nil adds nothing.
func (s *Sum) Merge(o *Sum) {
	if o == nil {
		return
	}
	v := *o // o may be s
	if v.scale > s.scale {
		s.raise(v.scale)
	}
	if v.carry != nil {
		c := new(big.Int).Set(v.carry)
		if d := int(s.scale - v.scale); d > 0 {
			c.Mul(c, bigPow10(d))
		}
		s.addCarry(c)
	}
	switch {
	case v.hi|v.lo == 0:
	case v.scale == s.scale:
		s.add128(v.hi, v.lo)
	default:
		neg, mag := magnitude128(v.hi, v.lo)
		s.addWide(neg, &mag, v.scale)
	}
	s.settle()
}

// Unmerge takes away what o has added: s.Merge(o) followed by s.Unmerge(o)
// leaves s as it was. o is unchanged; nil takes away nothing.
func (s *Sum) Unmerge(o *Sum) {
	if o == nil {
		return
	}
	v := o.Neg()
	s.Merge(&v)
}

// Neg returns the negated sum.
func (s Sum) Neg() Sum {
	v := s
	if v.hi == 1<<63 && v.lo == 0 {
		v.spill() // the one value without a counterpart
	}
	v.hi, v.lo = neg128(v.hi, v.lo)
	if v.carry != nil {
		v.carry = new(big.Int).Neg(v.carry)
	}
	return v
}

// Clone returns an independent copy. Copying a Sum by value does the same.
func (s Sum) Clone() Sum { return s }

// magnitude returns the canonical sign, magnitude and scale; ok is false if
// the magnitude does not fit, and the caller must use total.
func (s Sum) magnitude() (neg bool, mag wide, scale uint8, ok bool) {
	if s.carry == nil {
		neg, mag = magnitude128(s.hi, s.lo)
	} else {
		total := s.total()
		if !mag.setBig(total) {
			return false, mag, 0, false
		}
		neg = total.Sign() < 0
	}
	scale = mag.strip(s.scale)
	return neg, mag, scale, true
}

// total returns the whole sum as a new integer at s.scale.
func (s Sum) total() *big.Int {
	v := big128(s.hi, s.lo)
	if s.carry != nil {
		v.Add(v, s.carry)
	}
	return v
}

// Big returns the canonical coefficient, in a big.Int of the caller's own, and
// the scale.
func (s Sum) Big() (coef *big.Int, scale uint8) {
	if neg, mag, scale, ok := s.magnitude(); ok {
		coef = mag.big()
		if neg {
			coef.Neg(coef)
		}
		return coef, scale
	}
	coef, scale = s.total(), s.scale
	ten, r := big.NewInt(10), new(big.Int)
	for scale > 0 {
		q, _ := new(big.Int).QuoRem(coef, ten, r)
		if r.Sign() != 0 {
			break
		}
		coef, scale = q, scale-1
	}
	return coef, scale
}

// Decimal returns the sum as a canonical decimal: its exponent is zero or less
// and it has no trailing zeros after the point.
func (s Sum) Decimal() decimal.Decimal {
	if neg, mag, scale, ok := s.magnitude(); ok && mag.bitLen() <= 63 {
		coef := int64(mag[0])
		if neg {
			coef = -coef
		}
		return decimal.New(coef, -int32(scale))
	}
	coef, scale := s.Big()
	return decimal.NewFromBigInt(coef, -int32(scale))
}

// Number returns the sum as a Number. The error is a [*NumberError] that wraps
// [ErrRange] if the sum has too many digits before or after the point.
func (s Sum) Number() (Number, error) {
	// Nearly every sum fits a word, and is within the limits then.
	if coef := int64(s.lo); s.carry == nil && s.hi == uint64(coef>>63) && s.scale <= MaxScale {
		return Fixed(coef, s.scale), nil
	}
	neg, mag, scale, ok := s.magnitude()
	if ok && scale > MaxScale {
		return Number{}, rangeError(scaleReason)
	}
	limit := integerLimit(int(min(scale, MaxScale)))
	if !ok || mag.cmp(&limit) >= 0 {
		return Number{}, rangeError(integerReason)
	}
	return numberFrom(neg, &mag, scale), nil
}

// Sign returns -1, 0 or 1.
func (s Sum) Sign() int {
	if s.carry != nil {
		return s.total().Sign()
	}
	switch {
	case int64(s.hi) < 0:
		return -1
	case s.hi|s.lo == 0:
		return 0
	}
	return 1
}

// IsZero reports whether the sum is 0, which is not whether anything was added.
func (s Sum) IsZero() bool { return s.Sign() == 0 }

// Cmp returns -1, 0 or 1 as s is less than, equal to or greater than o.
func (s *Sum) Cmp(o *Sum) int {
	if s.carry == nil && o.carry == nil && s.scale == o.scale {
		if s.hi != o.hi {
			return cmpInt(int64(s.hi), int64(o.hi))
		}
		switch {
		case s.lo < o.lo:
			return -1
		case s.lo > o.lo:
			return 1
		}
		return 0
	}
	d := *s
	d.Unmerge(o)
	return d.Sign()
}

// Equal reports whether s and o are the same amount.
func (s *Sum) Equal(o *Sum) bool { return s.Cmp(o) == 0 }

// String returns the sum in plain notation, as [Number.String] does.
func (s Sum) String() string {
	var buf [128]byte
	return string(s.AppendText(buf[:0]))
}

// AppendText appends the text of [Sum.String] to dst and returns the extended
// slice. [ParseSum] reads it back.
func (s Sum) AppendText(dst []byte) []byte {
	if neg, mag, scale, ok := s.magnitude(); ok {
		var buf [120]byte
		return appendPoint(dst, neg, mag.appendDigits(buf[:0]), int(scale))
	}
	coef, scale := s.Big()
	neg := coef.Sign() < 0
	return appendPoint(dst, neg, coef.Abs(coef).Append(nil, 10), int(scale))
}

// MarshalText returns the text of [Sum.String]. It never fails.
func (s Sum) MarshalText() ([]byte, error) { return s.AppendText(nil), nil }

// UnmarshalText reads text as [ParseSum] does.
func (s *Sum) UnmarshalText(text []byte) error {
	v, err := parseSum(text)
	if err != nil {
		return err
	}
	*s = v
	return nil
}

const (
	// MaxSumDigits is the largest number of digits before the decimal point
	// that [ParseSum] reads. 2^63 numbers of the largest size need 57.
	MaxSumDigits = 512
	// MaxSumScale is the largest number of digits after the decimal point that
	// [ParseSum] reads.
	MaxSumScale = math.MaxUint8
	// MaxSumText is the longest text, in bytes, that [ParseSum] looks at.
	MaxSumText = 1024
)

// ParseSum reads the text of a sum, in the notation of [ParseNumber] with the
// wider limits [MaxSumDigits], [MaxSumScale] and [MaxSumText]. The error is a
// [*NumberError] that wraps [ErrSyntax] or [ErrRange].
func ParseSum(text string) (Sum, error) { return parseSum(text) }

func parseSum[T string | []byte](text T) (Sum, error) {
	if len(text) > MaxSumText {
		return Sum{}, textError(text, 0, fmt.Sprintf("text of %d bytes, at most %d are read", len(text), MaxSumText), ErrRange)
	}
	s, fault := scanNumber(text)
	if fault != "" {
		return Sum{}, textError(text, s.offset, fault, ErrSyntax)
	}
	if s.digits == 0 {
		return Sum{}, nil
	}
	if s.digits+s.power > MaxSumDigits {
		return Sum{}, textError(text, 0, "more than 512 digits before the decimal point", ErrRange)
	}
	if -s.power > MaxSumScale {
		return Sum{}, textError(text, 0, "more than 255 digits after the decimal point", ErrRange)
	}
	if s.digits+max(s.power, 0) <= MaxIntegerDigits+MaxScale {
		mag := wideDigits(text, s)
		var sum Sum
		if s.power > 0 {
			mag.scaleUp(s.power)
		} else {
			sum.scale = uint8(-s.power)
		}
		sum.addWide(s.neg, &mag, sum.scale)
		return sum, nil
	}
	digits := make([]byte, 0, s.digits+max(s.power, 0))
	for i := s.first; i <= s.last; i++ {
		if c := text[i]; c != '.' {
			digits = append(digits, c)
		}
	}
	var sum Sum
	for range s.power {
		digits = append(digits, '0')
	}
	if s.power < 0 {
		sum.scale = uint8(-s.power)
	}
	v, _ := new(big.Int).SetString(string(digits), 10)
	if s.neg {
		v.Neg(v)
	}
	sum.addCarry(v)
	return sum, nil
}

func neg128(hi, lo uint64) (uint64, uint64) {
	lo = -lo
	hi = ^hi
	if lo == 0 {
		hi++
	}
	return hi, lo
}

// magnitude128 splits a two's complement value into sign and magnitude.
func magnitude128(hi, lo uint64) (neg bool, mag wide) {
	if int64(hi) < 0 {
		hi, lo = neg128(hi, lo)
		neg = true
	}
	return neg, wide{lo, hi}
}

// big128 returns a two's complement value as a new big.Int.
func big128(hi, lo uint64) *big.Int {
	neg, mag := magnitude128(hi, lo)
	v := mag.big()
	if neg {
		v.Neg(v)
	}
	return v
}
