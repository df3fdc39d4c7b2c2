package sqlfilter

import (
	"math/big"
	"time"

	"github.com/usagebook/usagebook/filter"
)

// place is where a constant lies among the values that a column can hold.
type place uint8

const (
	exact   place = iota
	between       // above arg and below the next value
	below         // below all values
	above         // above all values
)

type constant struct {
	arg any
	at  place
}

// constant finds the argument for a constant; ok is false where the constant is of
// another type or the database does not take it.
func (r form) constant(v filter.Value) (c constant, ok bool) {
	switch {
	case r.kind == KindText && v.Type() == filter.TypeString:
		return constant{arg: v.Str()}, storable(v.Str())
	case r.kind == KindNumeric && v.Type() == filter.TypeDecimal:
		return constant{arg: v.String()}, true
	case r.kind == KindInteger && v.Type() == filter.TypeDecimal:
		return scaled(v, r.scale), true
	case (r.kind == KindMicros || r.kind == KindTimestamp) && v.Type() == filter.TypeTime:
		us := v.Micros()
		if r.kind == KindMicros {
			c.arg = us
		} else {
			c.arg = time.UnixMicro(us).UTC()
		}
		if !filter.Equal(v, filter.Micros(us)) {
			c.at = between
		}
		return c, true
	}
	return constant{}, false
}

// scaled places a number among the 64-bit integers of a scale.
func scaled(v filter.Value, scale int) constant {
	d := v.Decimal()
	n, exp := d.Coefficient(), int64(d.Exponent())+int64(scale)
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(max(exp, -exp)), nil)
	at := exact
	if exp >= 0 {
		n.Mul(n, unit)
	} else {
		var rest big.Int
		n.DivMod(n, unit, &rest) // Euclidean: towards minus infinity for a positive unit
		if rest.Sign() != 0 {
			at = between
		}
	}
	switch {
	case n.IsInt64():
		return constant{arg: n.Int64(), at: at}
	case n.Sign() < 0:
		return constant{at: below}
	}
	return constant{at: above}
}
