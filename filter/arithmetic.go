package filter

import (
	"math/big"
	"math/bits"
)

// quotientDigits is the number of significant digits to which a quotient that
// does not end is rounded, half away from zero; operands with more digits raise
// it to their own number. It is the precision of IEEE 754 decimal128.
const quotientDigits = 34

// negate compiles unary minus; null stays null (5.1.1.2.3).
func (c *compiler) negate(e *Negate) valueFunc {
	x := c.value(e.X)
	return func(r Row, f *frame) Value {
		v := x(r, f)
		switch v.typ {
		case TypeDecimal:
			return negative(v)
		case TypeDuration:
			return negativeDuration(v)
		}
		return v
	}
}

func negative(v Value) Value {
	if v.ext == nil && v.num != -1<<63 {
		v.num = -v.num
		return v
	}
	var z big.Int
	bigCoef(&z, v)
	return fromBig(z.Neg(&z), v.scale)
}

func negativeDuration(v Value) Value {
	v.num = -v.num
	if v.scale > 0 {
		v.num--
		v.scale = picosPerMicro - v.scale
	}
	return v
}

// arithmetic compiles add, sub, mul, div, divby, mod. Null on either side gives
// null (5.1.1.2).
func (c *compiler) arithmetic(e *Binary) valueFunc {
	x, y := c.value(e.X), c.value(e.Y)
	site := c.site(e)
	op := operation(e)
	return func(r Row, f *frame) Value {
		a := x(r, f)
		if a.typ == typeFault {
			return a
		}
		b := y(r, f)
		if b.typ == typeFault {
			return b
		}
		if a.typ == TypeNull || b.typ == TypeNull {
			return Value{}
		}
		v, fault := op(a, b)
		if fault >= 0 {
			return faultValue(site + fault)
		}
		return v
	}
}

// noFault is the second result of an operation that went well.
const noFault tri = -1

// operation returns what computes e of operands that are not null. The second
// result is noFault or a kind of fault.
func operation(e *Binary) func(a, b Value) (Value, tri) {
	x, y := e.X.Type(), e.Y.Type()
	switch {
	case e.typ == TypeDecimal:
		return numberOperation(e)
	case e.typ == TypeNull:
		return func(Value, Value) (Value, tri) { return Value{}, noFault }
	case e.Op == OpAdd && x == TypeDuration && e.typ != TypeDuration:
		return func(a, b Value) (Value, tri) { return shift(b, a) }
	case e.Op == OpAdd && e.typ == TypeDuration:
		return addDurations
	case e.Op == OpAdd:
		return shift
	case e.Op == OpSub && e.typ != TypeDuration:
		return func(a, b Value) (Value, tri) { return shift(a, negativeDuration(b)) }
	case e.Op == OpSub && (x == TypeTime || x == TypeDate):
		return between
	case e.Op == OpSub:
		return func(a, b Value) (Value, tri) { return addDurations(a, negativeDuration(b)) }
	case e.Op == OpMul && y == TypeDuration:
		return func(a, b Value) (Value, tri) { return scaleDuration(b, a, false) }
	}
	divide := e.Op != OpMul
	return func(a, b Value) (Value, tri) { return scaleDuration(a, b, divide) }
}

func numberOperation(e *Binary) func(a, b Value) (Value, tri) {
	var op func(a, b Value) (Value, tri)
	switch e.Op {
	case OpAdd:
		op = addNumbers
	case OpSub:
		op = func(a, b Value) (Value, tri) { return addNumbers(a, negative(b)) }
	case OpMul:
		op = multiply
	case OpMod:
		op = remainder
	case OpDivBy:
		op = quotient
	default:
		op = quotient
		// 5.1.1.2.5: div of two integers truncates, divby never does.
		if e.X.base().integer && e.Y.base().integer {
			op = wholeQuotient
		}
	}
	return func(a, b Value) (Value, tri) {
		// Before anything is computed: alignment costs what the scales differ.
		if !computable(a) || !computable(b) {
			return Value{}, faultRange
		}
		return op(a, b)
	}
}

// computable reports whether a number is within the limits of operands. What the
// host's rows give may be beyond those of literals and results, to a degree.
func computable(v Value) bool {
	return v.scale >= 0 && v.scale <= 10*maxDigits && (v.ext == nil || v.ext.coef.BitLen() <= 40*maxDigits)
}

// result makes the outcome of an operation, or its fault.
func result(coef *big.Int, scale int32) (Value, tri) {
	v := fromBig(coef, scale)
	return inRange(v)
}

func inRange(v Value) (Value, tri) {
	if v.ext == nil {
		for v.scale > maxDigits && v.num%10 == 0 {
			if v.num == 0 {
				v.scale = 0
				break
			}
			v.num, v.scale = v.num/10, v.scale-1
		}
		if v.scale > maxDigits {
			return Value{}, faultRange
		}
		return v, noFault
	}
	if v.scale < 0 || int(v.scale) > maxDigits || digitsOf(&v.ext.coef) > maxDigits {
		return Value{}, faultRange
	}
	return v, noFault
}

func addNumbers(a, b Value) (Value, tri) {
	if a.ext == nil && b.ext == nil {
		if a.scale > b.scale {
			a, b = b, a
		}
		// a has the fewer places.
		if up := b.scale - a.scale; up < int32(len(pow10)) {
			hi, lo := bits.Mul64(abs64(a.num), pow10[up])
			if hi == 0 && lo <= 1<<63-1 {
				n := int64(lo)
				if a.num < 0 {
					n = -n
				}
				if s := n + b.num; (s > n) == (b.num > 0) {
					return inRange(Value{typ: TypeDecimal, num: s, scale: b.scale})
				}
			}
		}
	}
	var x, y big.Int
	scale := alignedBig(&x, &y, a, b)
	return result(x.Add(&x, &y), scale)
}

// alignedBig sets x and y to the coefficients of a and b at their common scale.
func alignedBig(x, y *big.Int, a, b Value) int32 {
	bigCoef(x, a)
	bigCoef(y, b)
	switch {
	case a.scale < b.scale:
		scaleUp(x, x, int(b.scale-a.scale))
		return b.scale
	case a.scale > b.scale:
		scaleUp(y, y, int(a.scale-b.scale))
	}
	return a.scale
}

func multiply(a, b Value) (Value, tri) {
	if a.ext == nil && b.ext == nil {
		hi, lo := bits.Mul64(abs64(a.num), abs64(b.num))
		if hi == 0 && lo <= 1<<63-1 {
			n := int64(lo)
			if (a.num < 0) != (b.num < 0) {
				n = -n
			}
			return inRange(Value{typ: TypeDecimal, num: n, scale: a.scale + b.scale})
		}
	}
	var x, y big.Int
	bigCoef(&x, a)
	bigCoef(&y, b)
	return result(x.Mul(&x, &y), a.scale+b.scale)
}

// quotient divides exactly where the quotient ends within quotientDigits, and
// rounds there where it does not.
func quotient(a, b Value) (Value, tri) {
	if signOf(b) == 0 {
		return Value{}, faultDivision
	}
	if a.ext == nil && b.ext == nil && a.scale >= b.scale && b.num != -1 && a.num%b.num == 0 {
		return inRange(Value{typ: TypeDecimal, num: a.num / b.num, scale: a.scale - b.scale})
	}
	if signOf(a) == 0 {
		return Value{typ: TypeDecimal}, noFault
	}
	var x, y, q, r big.Int
	bigCoef(&x, a)
	bigCoef(&y, b)
	negative := x.Sign() != y.Sign()
	x.Abs(&x)
	y.Abs(&y)
	dx, dy := digitsOf(&x), digitsOf(&y)
	digits := max(quotientDigits, dx, dy)
	up := max(digits-dx+dy+1, 0)
	scaleUp(&x, &x, up)
	q.QuoRem(&x, &y, &r)
	scale := a.scale - b.scale + int32(up)
	drop := digitsOf(&q) - digits
	if drop > 0 {
		var half big.Int
		q.QuoRem(&q, &bigPow10[drop], &r)
		half.Lsh(&r, 1)
		if half.CmpAbs(&bigPow10[drop]) >= 0 {
			q.Add(&q, big.NewInt(1))
		}
		scale -= int32(drop)
	} else if r.Lsh(&r, 1).CmpAbs(&y) >= 0 {
		q.Add(&q, big.NewInt(1))
	}
	if negative {
		q.Neg(&q)
	}
	return result(&q, scale)
}

func wholeQuotient(a, b Value) (Value, tri) {
	if signOf(b) == 0 {
		return Value{}, faultDivision
	}
	if a.ext == nil && b.ext == nil && a.scale == 0 && b.scale == 0 && b.num != -1 {
		return Value{typ: TypeDecimal, num: a.num / b.num}, noFault
	}
	var x, y big.Int
	alignedBig(&x, &y, a, b)
	return result(x.Quo(&x, &y), 0)
}

// remainder has the sign of its left operand (5.1.1.2.6).
func remainder(a, b Value) (Value, tri) {
	if signOf(b) == 0 {
		return Value{}, faultDivision
	}
	if a.ext == nil && b.ext == nil && a.scale == b.scale && b.num != -1 {
		return Value{typ: TypeDecimal, num: a.num % b.num, scale: a.scale}, noFault
	}
	var x, y big.Int
	scale := alignedBig(&x, &y, a, b)
	return result(x.Rem(&x, &y), scale)
}

// rounding is one of the arithmetic functions (5.1.1.9).
type rounding uint8

const (
	roundHalf    rounding = iota // to the nearest, halves away from zero
	roundFloor                   // towards minus infinity
	roundCeiling                 // towards plus infinity
)

func (m rounding) apply(v Value) (Value, tri) {
	if !computable(v) {
		return Value{}, faultRange
	}
	if v.scale == 0 {
		return v, noFault
	}
	if v.ext == nil {
		if v.scale >= int32(len(pow10)) {
			// The magnitude is below 9.3, and below 0.5 from the next scale on.
			if v.scale > int32(len(pow10)) {
				return m.tiny(v.num), noFault
			}
		} else {
			unit := int64(pow10[v.scale])
			return Value{typ: TypeDecimal, num: m.step(v.num/unit, v.num%unit, unit)}, noFault
		}
	}
	var x, rest big.Int
	bigCoef(&x, v)
	unit := new(big.Int)
	scaleUp(unit, big.NewInt(1), int(v.scale))
	x.QuoRem(&x, unit, &rest)
	sign := int64(rest.Sign())
	up := false
	switch m {
	case roundHalf:
		up = rest.Lsh(&rest, 1).CmpAbs(unit) >= 0
	case roundFloor:
		up = sign < 0
	case roundCeiling:
		up = sign > 0
	}
	if up {
		x.Add(&x, big.NewInt(sign))
	}
	return result(&x, 0)
}

// tiny rounds a number of which nothing but the sign matters.
func (m rounding) tiny(coef int64) Value {
	v := Value{typ: TypeDecimal}
	switch {
	case m == roundFloor && coef < 0:
		v.num = -1
	case m == roundCeiling && coef > 0:
		v.num = 1
	}
	return v
}

// step rounds q + rest/unit; rest has the sign of the number.
func (m rounding) step(q, rest, unit int64) int64 {
	switch {
	case m == roundHalf && abs64(rest) >= uint64(unit)-abs64(rest) && rest != 0:
		if rest < 0 {
			return q - 1
		}
		return q + 1
	case m == roundFloor && rest < 0:
		return q - 1
	case m == roundCeiling && rest > 0:
		return q + 1
	}
	return q
}

const maxDuration = 1_000_000_000_000 * microsPerSecond

func inDurationRange(v Value) (Value, tri) {
	if v.num > maxDuration || v.num < -maxDuration {
		return Value{}, faultRange
	}
	return v, noFault
}

func addDurations(a, b Value) (Value, tri) {
	v := Value{typ: TypeDuration, num: a.num + b.num, scale: a.scale + b.scale}
	if v.scale >= picosPerMicro {
		v.num, v.scale = v.num+1, v.scale-picosPerMicro
	}
	return inDurationRange(v)
}

// shift adds a duration to an instant, or its whole days to a date.
func shift(a, d Value) (Value, tri) {
	if a.typ == TypeDate {
		days := d.num / microsPerDay
		if d.num < 0 && d.scale > 0 && d.num%microsPerDay == 0 {
			days++ // the picoseconds bring it below the whole day
		}
		a.num += days
		if a.num < minDays || a.num > maxDays {
			return Value{}, faultRange
		}
		return a, noFault
	}
	a.num += d.num
	if a.scale += d.scale; a.scale >= picosPerMicro {
		a.num, a.scale = a.num+1, a.scale-picosPerMicro
	}
	if a.num < minMicros || a.num > maxMicros {
		return Value{}, faultRange
	}
	return a, noFault
}

// between is the duration from b to a.
func between(a, b Value) (Value, tri) {
	if a.typ == TypeDate {
		return inDurationRange(Value{typ: TypeDuration, num: (a.num - b.num) * microsPerDay})
	}
	v := Value{typ: TypeDuration, num: a.num - b.num, scale: a.scale - b.scale}
	if v.scale < 0 {
		v.num, v.scale = v.num-1, v.scale+picosPerMicro
	}
	return inDurationRange(v)
}

// scaleDuration multiplies or divides a duration by a number, exactly and then
// rounded to the picosecond, half away from zero.
func scaleDuration(d, n Value, divide bool) (Value, tri) {
	if !computable(n) {
		return Value{}, faultRange
	}
	var picos, coef, unit, rest big.Int
	picos.Mul(big.NewInt(d.num), big.NewInt(picosPerMicro))
	picos.Add(&picos, big.NewInt(int64(d.scale)))
	bigCoef(&coef, n)
	scaleUp(&unit, big.NewInt(1), int(n.scale))
	if divide {
		if coef.Sign() == 0 {
			return Value{}, faultDivision
		}
		coef, unit = unit, coef
		if unit.Sign() < 0 {
			unit.Neg(&unit)
			coef.Neg(&coef)
		}
	}
	picos.Mul(&picos, &coef)
	picos.QuoRem(&picos, &unit, &rest)
	sign := int64(rest.Sign())
	if rest.Lsh(&rest, 1).CmpAbs(&unit) >= 0 && sign != 0 {
		picos.Add(&picos, big.NewInt(sign))
	}
	var us, sub big.Int
	us.DivMod(&picos, big.NewInt(picosPerMicro), &sub) // Euclidean: sub is never negative
	if !us.IsInt64() {
		return Value{}, faultRange
	}
	return inDurationRange(Value{typ: TypeDuration, num: us.Int64(), scale: int32(sub.Int64())})
}
