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
	c.frames = true
	x := c.value(e.X)
	return func(r Row, f *frame) Value {
		v := x(r, f)
		switch v.typ {
		case TypeDecimal:
			return f.negative(v)
		case TypeDuration:
			return negativeDuration(v)
		}
		return v
	}
}

func (m *calc) negative(v Value) Value {
	if v.ext == nil && v.num != -1<<63 {
		v.num = -v.num
		return v
	}
	bigCoef(&m.x, v)
	return m.number(m.x.Neg(&m.x), v.scale)
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
	c.frames = true
	x, y := c.value(e.X), c.value(e.Y)
	site := c.site(e)
	op := operation(e)
	small := smallOperation(e)
	n, isField := e.X.(*Name)
	l, isConst := e.Y.(*Literal)
	if small != nil && isField && n.Var == 0 && isConst && l.Value.typ == TypeDecimal && l.Value.ext == nil {
		slot, b, bad := n.Slot, l.Value, faultValue(c.site(n)+faultRowType)
		return func(r Row, f *frame) Value {
			a := r.Value(slot)
			if a.typ != TypeDecimal {
				if a.typ == TypeNull {
					return Value{}
				}
				return bad
			}
			if a.ext == nil {
				if v, ok := small(a, b); ok {
					return v
				}
			}
			v, fault := op(&f.calc, a, b)
			if fault >= 0 {
				return faultValue(site + fault)
			}
			return v
		}
	}
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
		if small != nil && a.ext == nil && b.ext == nil {
			if v, ok := small(a, b); ok {
				return v
			}
		}
		v, fault := op(&f.calc, a, b)
		if fault >= 0 {
			return faultValue(site + fault)
		}
		return v
	}
}

// smallOperation returns what computes most sums and products: of numbers that
// stay within 64 bits and few places. ok is false for the others.
func smallOperation(e *Binary) func(a, b Value) (v Value, ok bool) {
	if e.typ != TypeDecimal {
		return nil
	}
	switch e.Op {
	case OpAdd:
		return smallSum
	case OpSub:
		return func(a, b Value) (Value, bool) {
			b.num = -b.num
			if b.num == -1<<63 {
				return Value{}, false
			}
			return smallSum(a, b)
		}
	case OpMul:
		return smallProduct
	}
	return nil
}

func smallSum(a, b Value) (Value, bool) {
	if a.scale != b.scale || uint32(a.scale) > maxDigits/2 {
		return Value{}, false
	}
	s := a.num + b.num
	if (s > a.num) != (b.num > 0) {
		return Value{}, false
	}
	return Value{typ: TypeDecimal, num: s, scale: a.scale}, true
}

func smallProduct(a, b Value) (Value, bool) {
	const half = 1 << 31
	if uint64(a.num+half) >= 2*half || uint64(b.num+half) >= 2*half || uint32(a.scale) > maxDigits/2 || uint32(b.scale) > maxDigits/2 {
		return Value{}, false
	}
	return Value{typ: TypeDecimal, num: a.num * b.num, scale: a.scale + b.scale}, true
}

// noFault is the second result of an operation that went well.
const noFault tri = -1

// operationFunc computes with two operands that are not null.
type operationFunc func(m *calc, a, b Value) (Value, tri)

// operation returns what computes e of operands that are not null. The second
// result is noFault or a kind of fault.
func operation(e *Binary) operationFunc {
	x, y := e.X.Type(), e.Y.Type()
	switch {
	case e.typ == TypeDecimal:
		return numberOperation(e)
	case e.typ == TypeNull:
		return func(*calc, Value, Value) (Value, tri) { return Value{}, noFault }
	case e.Op == OpAdd && x == TypeDuration && e.typ != TypeDuration:
		return func(m *calc, a, b Value) (Value, tri) { return shift(m, b, a) }
	case e.Op == OpAdd && e.typ == TypeDuration:
		return addDurations
	case e.Op == OpAdd:
		return shift
	case e.Op == OpSub && e.typ != TypeDuration:
		return func(m *calc, a, b Value) (Value, tri) { return shift(m, a, negativeDuration(b)) }
	case e.Op == OpSub && (x == TypeTime || x == TypeDate):
		return between
	case e.Op == OpSub:
		return func(m *calc, a, b Value) (Value, tri) { return addDurations(m, a, negativeDuration(b)) }
	case e.Op == OpMul && y == TypeDuration:
		return func(m *calc, a, b Value) (Value, tri) { return scaleDuration(m, b, a, false) }
	}
	divide := e.Op != OpMul
	return func(m *calc, a, b Value) (Value, tri) { return scaleDuration(m, a, b, divide) }
}

func numberOperation(e *Binary) operationFunc {
	var op operationFunc
	switch e.Op {
	case OpAdd:
		op = (*calc).add
	case OpSub:
		op = func(m *calc, a, b Value) (Value, tri) { return m.add(a, m.negative(b)) }
	case OpMul:
		op = (*calc).multiply
	case OpMod:
		op = (*calc).remainder
	case OpDivBy:
		op = (*calc).quotient
	default:
		op = (*calc).quotient
		// 5.1.1.2.5: div of two integers truncates, divby never does.
		if e.X.base().integer && e.Y.base().integer {
			op = (*calc).wholeQuotient
		}
	}
	return func(m *calc, a, b Value) (Value, tri) {
		// Before anything is computed: alignment costs what the scales differ.
		if !computable(a) || !computable(b) {
			return Value{}, faultRange
		}
		return op(m, a, b)
	}
}

// computable reports whether a number is within the limits of operands. What the
// host's rows give may be beyond those of literals and results, to a degree.
func computable(v Value) bool {
	return v.scale >= 0 && v.scale <= 10*maxDigits && (v.ext == nil || v.ext.coef.BitLen() <= 40*maxDigits)
}

// result makes the outcome of an operation, or its fault.
func (m *calc) result(coef *big.Int, scale int32) (Value, tri) {
	if scale < 0 {
		// Only a quotient has one, and it is no smaller than its digits.
		if int(-scale) > maxDigits {
			return Value{}, faultRange
		}
		coef, scale = scaleUp(&m.z, coef, int(-scale)), 0
	}
	return inRange(m.number(coef, scale))
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

func (m *calc) add(a, b Value) (Value, tri) {
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
	x, y, scale := m.aligned(a, b)
	return m.result(x.Add(x, y), scale)
}

// aligned returns the coefficients of a and b at their common scale, in two of x,
// y and z.
func (m *calc) aligned(a, b Value) (x, y *big.Int, scale int32) {
	x, y = bigCoef(&m.x, a), bigCoef(&m.y, b)
	switch {
	case a.scale < b.scale:
		return scaleUp(&m.z, x, int(b.scale-a.scale)), y, b.scale
	case a.scale > b.scale:
		return x, scaleUp(&m.z, y, int(a.scale-b.scale)), a.scale
	}
	return x, y, a.scale
}

func (m *calc) multiply(a, b Value) (Value, tri) {
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
	x, y := bigCoef(&m.x, a), bigCoef(&m.y, b)
	return m.result(m.z.Mul(x, y), a.scale+b.scale)
}

// quotient divides exactly where the quotient ends within quotientDigits, and
// rounds there where it does not.
func (m *calc) quotient(a, b Value) (Value, tri) {
	if signOf(b) == 0 {
		return Value{}, faultDivision
	}
	if a.ext == nil && b.ext == nil && a.scale >= b.scale && b.num != -1 && a.num%b.num == 0 {
		return inRange(Value{typ: TypeDecimal, num: a.num / b.num, scale: a.scale - b.scale})
	}
	if signOf(a) == 0 {
		return Value{typ: TypeDecimal}, noFault
	}
	x, y := bigCoef(&m.x, a), bigCoef(&m.y, b)
	negative := x.Sign() != y.Sign()
	x.Abs(x)
	y.Abs(y)
	dx, dy := digitsOf(x), digitsOf(y)
	digits := max(quotientDigits, m.significant(x, dx), m.significant(y, dy))
	up := max(digits-dx+dy+1, 0)
	q, r := &m.q, &m.r
	q.QuoRem(scaleUp(&m.z, x, up), y, r)
	scale := a.scale - b.scale + int32(up)
	if drop := digitsOf(q) - digits; drop > 0 {
		x.Set(q)
		q.QuoRem(x, &bigPow10[drop], r)
		y = &bigPow10[drop]
		scale -= int32(drop)
	}
	if m.x.Lsh(r, 1).Cmp(y) >= 0 {
		q.Add(q, one)
	}
	if negative {
		q.Neg(q)
	}
	return m.result(x.Set(q), scale)
}

// significant returns the digits of x, n of them, without zeros at the end, so
// that equal operands have equal quotients whatever their scale. Up to
// quotientDigits the number does not matter. It uses z, q and r.
func (m *calc) significant(x *big.Int, n int) int {
	if n <= quotientDigits {
		return n
	}
	rest := m.z.Set(x)
	for {
		m.q.QuoRem(rest, &bigPow10[1], &m.r)
		if m.r.Sign() != 0 || n <= quotientDigits {
			return n
		}
		rest.Set(&m.q)
		n--
	}
}

// Constants, never written.
var (
	one     = big.NewInt(1)
	million = big.NewInt(picosPerMicro)
)

func (m *calc) wholeQuotient(a, b Value) (Value, tri) {
	if signOf(b) == 0 {
		return Value{}, faultDivision
	}
	if a.ext == nil && b.ext == nil && a.scale == 0 && b.scale == 0 && b.num != -1 {
		return Value{typ: TypeDecimal, num: a.num / b.num}, noFault
	}
	x, y, _ := m.aligned(a, b)
	return m.result(m.q.Quo(x, y), 0)
}

// remainder has the sign of its left operand (5.1.1.2.6).
func (m *calc) remainder(a, b Value) (Value, tri) {
	if signOf(b) == 0 {
		return Value{}, faultDivision
	}
	if a.ext == nil && b.ext == nil && a.scale == b.scale && b.num != -1 {
		return Value{typ: TypeDecimal, num: a.num % b.num, scale: a.scale}, noFault
	}
	x, y, scale := m.aligned(a, b)
	m.q.QuoRem(x, y, &m.r)
	return m.result(x.Set(&m.r), scale)
}

// rounding is one of the arithmetic functions (5.1.1.9).
type rounding uint8

const (
	roundHalf    rounding = iota // to the nearest, halves away from zero
	roundFloor                   // towards minus infinity
	roundCeiling                 // towards plus infinity
)

func (mode rounding) apply(m *calc, v Value) (Value, tri) {
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
				return mode.tiny(v.num), noFault
			}
		} else {
			unit := int64(pow10[v.scale])
			return Value{typ: TypeDecimal, num: mode.step(v.num/unit, v.num%unit, unit)}, noFault
		}
	}
	unit := scaleUp(&m.z, one, int(v.scale))
	m.q.QuoRem(bigCoef(&m.x, v), unit, &m.r)
	sign := m.r.Sign()
	up := false
	switch mode {
	case roundHalf:
		up = m.y.Lsh(&m.r, 1).CmpAbs(unit) >= 0
	case roundFloor:
		up = sign < 0
	case roundCeiling:
		up = sign > 0
	}
	switch {
	case up && sign < 0:
		m.q.Sub(&m.q, one)
	case up && sign > 0:
		m.q.Add(&m.q, one)
	}
	return m.result(m.x.Set(&m.q), 0)
}

// tiny rounds a number of which nothing but the sign matters.
func (mode rounding) tiny(coef int64) Value {
	v := Value{typ: TypeDecimal}
	switch {
	case mode == roundFloor && coef < 0:
		v.num = -1
	case mode == roundCeiling && coef > 0:
		v.num = 1
	}
	return v
}

// step rounds q + rest/unit; rest has the sign of the number.
func (mode rounding) step(q, rest, unit int64) int64 {
	switch {
	case mode == roundHalf && abs64(rest) >= uint64(unit)-abs64(rest) && rest != 0:
		if rest < 0 {
			return q - 1
		}
		return q + 1
	case mode == roundFloor && rest < 0:
		return q - 1
	case mode == roundCeiling && rest > 0:
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

func addDurations(_ *calc, a, b Value) (Value, tri) {
	v := Value{typ: TypeDuration, num: a.num + b.num, scale: a.scale + b.scale}
	if v.scale >= picosPerMicro {
		v.num, v.scale = v.num+1, v.scale-picosPerMicro
	}
	return inDurationRange(v)
}

// shift adds a duration to an instant, or its whole days to a date.
func shift(_ *calc, a, d Value) (Value, tri) {
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
func between(_ *calc, a, b Value) (Value, tri) {
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
func scaleDuration(m *calc, d, n Value, divide bool) (Value, tri) {
	if !computable(n) {
		return Value{}, faultRange
	}
	m.z.Mul(m.x.SetInt64(d.num), million)
	m.z.Add(&m.z, m.x.SetInt64(int64(d.scale)))
	coef, unit := bigCoef(&m.x, n), scaleUp(&m.y, one, int(n.scale))
	if divide {
		if coef.Sign() == 0 {
			return Value{}, faultDivision
		}
		coef, unit = unit, coef
		if unit.Sign() < 0 {
			unit.Neg(unit)
			coef.Neg(coef)
		}
	}
	m.q.Mul(&m.z, coef)
	m.z.QuoRem(&m.q, unit, &m.r)
	if sign := m.r.Sign(); m.q.Lsh(&m.r, 1).CmpAbs(unit) >= 0 {
		if sign < 0 {
			m.z.Sub(&m.z, one)
		} else {
			m.z.Add(&m.z, one)
		}
	}
	m.q.DivMod(&m.z, million, &m.r) // Euclidean: the rest is never negative
	if !m.q.IsInt64() {
		return Value{}, faultRange
	}
	return inDurationRange(Value{typ: TypeDuration, num: m.q.Int64(), scale: int32(m.r.Int64())})
}
