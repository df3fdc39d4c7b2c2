package filter

import (
	"cmp"
	"math/big"
	"math/bits"
	"strconv"
	"strings"
	"sync"
)

// maxDigits is the most digits, before and after the point together, that a
// literal or the result of an operation may have. Stored quantities have at most
// 38 + 30, so that a product of two small ones fits, and a sum always does.
const maxDigits = 100

var pow10 = [19]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18}

// bigPow10 holds the powers that results within maxDigits need; it is never
// written after it was built.
var bigPow10 = func() (t [2*maxDigits + 2]big.Int) {
	t[0].SetInt64(1)
	ten := big.NewInt(10)
	for i := 1; i < len(t); i++ {
		t[i].Mul(&t[i-1], ten)
	}
	return t
}()

// scratch lends big integers to comparisons, which would allocate otherwise.
var scratch = sync.Pool{New: func() any { return new([3]big.Int) }}

// scaleUp sets z to x * 10^n and returns z. Callers have bounded n by the digits of
// a number. It allocates where z is x.
func scaleUp(z, x *big.Int, n int) *big.Int {
	if n < len(bigPow10) {
		return z.Mul(x, &bigPow10[n])
	}
	var p big.Int
	p.Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
	return z.Mul(x, &p)
}

// digitsOf returns the number of decimal digits of x, 0 for zero.
func digitsOf(x *big.Int) int {
	if x.Sign() == 0 {
		return 0
	}
	// log10(2) = 0.30103 underestimates by at most one for the lengths in the table.
	n := int(int64(x.BitLen()-1)*30103/100000) + 1
	if n < len(bigPow10) {
		if x.CmpAbs(&bigPow10[n]) >= 0 {
			n++
		}
		if x.CmpAbs(&bigPow10[n-1]) < 0 {
			n--
		}
		return n
	}
	return len(new(big.Int).Abs(x).String())
}

func digitsOf64(x uint64) int {
	n := 0
	for n < len(pow10) && x >= pow10[n] {
		n++
	}
	if x >= 10_000_000_000_000_000_000 {
		n++
	}
	return n
}

func abs64(x int64) uint64 {
	if x < 0 {
		return uint64(-(x + 1)) + 1
	}
	return uint64(x)
}

// fromBig returns coef * 10^-scale.
func fromBig(coef *big.Int, scale int32) Value {
	var m calc
	if scale < 0 && scale >= -1000 {
		coef = scaleUp(new(big.Int), coef, int(-scale))
		scale = 0
	}
	return m.number(coef, scale)
}

// calc is what arithmetic beyond 64 bits works in: integers that keep their
// memory, and the results of one evaluation, which lose theirs at its end.
type calc struct {
	x, y, z, q, r big.Int
	kept          []*extension
	used          int
}

// number makes a value of coef * 10^-scale. The coefficient is kept small wherever
// it can be, so that the fast paths see as much as possible. coef is not
// referred to afterwards; it may be x, y or z of m.
func (m *calc) number(coef *big.Int, scale int32) Value {
	if coef.Sign() == 0 {
		return Value{typ: TypeDecimal}
	}
	if scale >= 0 && coef.IsInt64() {
		return Value{typ: TypeDecimal, num: coef.Int64(), scale: scale}
	}
	if scale > 0 {
		coef, scale = m.stripZeros(coef, scale)
		if coef.IsInt64() {
			return Value{typ: TypeDecimal, num: coef.Int64(), scale: scale}
		}
	}
	v := Value{typ: TypeDecimal, scale: scale, ext: m.extension()}
	v.ext.coef.Set(coef)
	return v
}

func (m *calc) extension() *extension {
	if m.used == len(m.kept) {
		m.kept = append(m.kept, new(extension))
	}
	m.used++
	return m.kept[m.used-1]
}

// stripZeros removes trailing zeros after the point, in steps that halve, so
// that the time is near linear in the digits. It uses q and r.
func (m *calc) stripZeros(coef *big.Int, scale int32) (*big.Int, int32) {
	for step := 64; step > 0; {
		if int32(step) > scale {
			step /= 2
			continue
		}
		m.q.QuoRem(coef, &bigPow10[step], &m.r)
		if m.r.Sign() != 0 {
			step /= 2
			continue
		}
		coef, scale = coef.Set(&m.q), scale-int32(step)
	}
	return coef, scale
}

func signOf(v Value) int {
	if v.ext != nil {
		return v.ext.coef.Sign()
	}
	return cmp.Compare(v.num, 0)
}

// compareNumbers compares two numbers exactly, without allocating.
func compareNumbers(a, b Value) int {
	if a.ext == nil && b.ext == nil {
		return compareSmall(a.num, a.scale, b.num, b.scale)
	}
	sa, sb := signOf(a), signOf(b)
	if sa != sb {
		return cmp.Compare(sa, sb)
	}
	if sa == 0 {
		return 0
	}
	// Magnitudes first: they decide without aligning the scales, whose
	// difference is not bounded, and where they are equal the scales differ by
	// no more than the coefficients differ in length.
	ma, mb := magnitude(a), magnitude(b)
	if ma != mb {
		return cmp.Compare(ma, mb) * sa
	}
	z := scratch.Get().(*[3]big.Int)
	defer scratch.Put(z)
	x, y := bigCoef(&z[0], a), bigCoef(&z[1], b)
	// Multiplying in place would allocate.
	switch {
	case a.scale < b.scale:
		x = scaleUp(&z[2], x, int(b.scale-a.scale))
	case a.scale > b.scale:
		y = scaleUp(&z[2], y, int(a.scale-b.scale))
	}
	return x.Cmp(y)
}

func bigCoef(z *big.Int, v Value) *big.Int {
	if v.ext != nil {
		return z.Set(&v.ext.coef)
	}
	return z.SetInt64(v.num)
}

// magnitude returns the number of digits before the point; it is zero or
// negative for a number below one.
func magnitude(v Value) int64 {
	if v.ext != nil {
		return int64(digitsOf(&v.ext.coef)) - int64(v.scale)
	}
	return int64(digitsOf64(abs64(v.num))) - int64(v.scale)
}

func compareSmall(a int64, as int32, b int64, bs int32) int {
	if as == bs {
		return cmp.Compare(a, b)
	}
	sa, sb := cmp.Compare(a, 0), cmp.Compare(b, 0)
	if sa != sb {
		return cmp.Compare(sa, sb)
	}
	if sa == 0 {
		return 0
	}
	if as < bs {
		return compareAligned(abs64(a), bs-as, abs64(b)) * sa
	}
	return -compareAligned(abs64(b), as-bs, abs64(a)) * sa
}

// compareAligned compares a * 10^n with b; a > 0, b > 0, n > 0.
func compareAligned(a uint64, n int32, b uint64) int {
	if n >= int32(len(pow10)) {
		return 1 // 10^19 is above any coefficient, whose magnitude is at most 2^63
	}
	hi, lo := bits.Mul64(a, pow10[n])
	if hi != 0 {
		return 1
	}
	return cmp.Compare(lo, b)
}

// parseNumber reads the text of a number, [sign] digits [. digits] [e [sign]
// digits], which the lexer has delimited. whole says that it was written without
// point and exponent; ok is false when it has more than maxDigits digits. The
// exponent is judged before anything is computed with it.
func parseNumber(s string) (v Value, whole, ok bool) {
	neg := false
	if s != "" && (s[0] == '-' || s[0] == '+') {
		neg, s = s[0] == '-', s[1:]
	}
	whole = true
	exp := int64(0)
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		whole = false
		exp = parseExponent(s[i+1:])
		s = s[:i]
	}
	intPart, frac, point := strings.Cut(s, ".")
	whole = whole && !point
	intPart = strings.TrimLeft(intPart, "0")
	frac = strings.TrimRight(frac, "0")
	if intPart == "" && frac == "" {
		return Value{typ: TypeDecimal}, whole, true
	}
	if len(intPart)+len(frac) > 2*maxDigits+len(frac)-len(strings.TrimLeft(frac, "0")) {
		return Value{}, whole, false
	}
	digits := intPart + frac
	scale := int64(len(frac)) - exp
	if t := strings.TrimRight(digits, "0"); len(t) < len(digits) {
		scale -= int64(len(digits) - len(t))
		digits = t
	}
	digits = strings.TrimLeft(digits, "0")
	// digits has no zero at either end; value = digits * 10^-scale.
	before, after := max(int64(len(digits))-scale, 0), max(scale, 0)
	if before+after > maxDigits {
		return Value{}, whole, false
	}
	if scale < 0 {
		digits += strings.Repeat("0", int(-scale))
		scale = 0
	}
	if len(digits) <= 18 {
		n, _ := strconv.ParseInt(digits, 10, 64)
		if neg {
			n = -n
		}
		return Value{typ: TypeDecimal, num: n, scale: int32(scale)}, whole, true
	}
	var c big.Int
	c.SetString(digits, 10)
	if neg {
		c.Neg(&c)
	}
	return fromBig(&c, int32(scale)), whole, true
}

// parseExponent reads a signed exponent and saturates far beyond any limit.
func parseExponent(s string) int64 {
	neg := false
	if s != "" && (s[0] == '-' || s[0] == '+') {
		neg, s = s[0] == '-', s[1:]
	}
	n := int64(0)
	for i := 0; i < len(s) && n < 1_000_000_000; i++ {
		n = n*10 + int64(s[i]-'0')
	}
	if neg {
		return -n
	}
	return n
}

func appendDecimal(b []byte, v Value) []byte {
	var buf [2 * maxDigits]byte
	digits := buf[:0]
	if v.ext != nil {
		digits = v.ext.coef.Append(digits, 10)
	} else {
		digits = strconv.AppendInt(digits, v.num, 10)
	}
	if digits[0] == '-' {
		b = append(b, '-')
		digits = digits[1:]
	}
	scale := int(v.scale)
	if len(digits) == 1 && digits[0] == '0' {
		scale = 0
	}
	for scale > 0 && digits[len(digits)-1] == '0' {
		digits, scale = digits[:len(digits)-1], scale-1
	}
	switch {
	case scale < 0 || scale > 1000+len(digits):
		b = append(b, digits...)
		b = append(b, 'e')
		return strconv.AppendInt(b, int64(-scale), 10)
	case scale == 0:
		return append(b, digits...)
	case len(digits) > scale:
		b = append(b, digits[:len(digits)-scale]...)
		b = append(b, '.')
		return append(b, digits[len(digits)-scale:]...)
	default:
		b = append(b, "0."...)
		for i := len(digits); i < scale; i++ {
			b = append(b, '0')
		}
		return append(b, digits...)
	}
}
