package filter

import (
	"math/big"

	"github.com/shopspring/decimal"
)

// Seconds returns the length of time of so many seconds, rounded to the picosecond,
// half away from zero; ok is false and the value null for more than 10^12 seconds,
// the longest duration of the language.
func Seconds(d decimal.Decimal) (v Value, ok bool) {
	n := Decimal(d)
	if !computable(n) {
		return Value{}, false
	}
	var m calc
	v, fault := scaleDuration(&m, Value{typ: TypeDuration, num: microsPerSecond}, n, false)
	return v, fault == noFault
}

// Seconds returns a duration in seconds, exactly, and zero for a value of another
// type.
func (v Value) Seconds() decimal.Decimal {
	if v.typ != TypeDuration {
		return decimal.Decimal{}
	}
	picos := new(big.Int).Mul(big.NewInt(v.num), million)
	return decimal.NewFromBigInt(picos.Add(picos, big.NewInt(int64(v.scale))), -12)
}
