package model

import (
	"math/big"
	"strings"
	"time"
)

// Kind is the type of a Value. Values of different kinds never meet in one
// column.
type Kind uint8

// The kinds.
const (
	Null Kind = iota
	Bool
	Text
	Number
	Instant
)

// Value is what a cell of an answer or a literal of a condition holds. The zero
// Value is null.
type Value struct {
	Kind Kind
	B    bool
	S    string
	N    *big.Rat
	T    time.Time
}

// OfBool, OfText, OfNumber and OfInstant make values. The zero instant is null.
func OfBool(b bool) Value       { return Value{Kind: Bool, B: b} }
func OfText(s string) Value     { return Value{Kind: Text, S: s} }
func OfNumber(n *big.Rat) Value { return Value{Kind: Number, N: n} }
func OfInt(n int64) Value       { return OfNumber(new(big.Rat).SetInt64(n)) }
func OfInstant(t time.Time) Value {
	if t.IsZero() {
		return Value{}
	}
	return Value{Kind: Instant, T: t}
}

// Compare orders two values of one kind, null before everything.
func Compare(a, b Value) int {
	if a.Kind == Null || b.Kind == Null {
		switch {
		case a.Kind == b.Kind:
			return 0
		case a.Kind == Null:
			return -1
		}
		return 1
	}
	switch a.Kind {
	case Bool:
		switch {
		case a.B == b.B:
			return 0
		case b.B:
			return -1
		}
		return 1
	case Text:
		return compareBytes(a.S, b.S)
	case Number:
		return a.N.Cmp(b.N)
	}
	return a.T.Compare(b.T)
}

// compareBytes is written out so that the order of texts rests on nothing but
// the bytes.
func compareBytes(a, b string) int {
	for i := 0; i < len(a) && i < len(b); i++ {
		if a[i] != b[i] {
			if a[i] < b[i] {
				return -1
			}
			return 1
		}
	}
	switch {
	case len(a) < len(b):
		return -1
	case len(a) > len(b):
		return 1
	}
	return 0
}

// String returns the value as an answer shows it: numbers in full without an
// exponent and without zeros at the end, instants in RFC 3339 and UTC, null as
// "null".
func (v Value) String() string {
	switch v.Kind {
	case Bool:
		if v.B {
			return "true"
		}
		return "false"
	case Text:
		return "'" + v.S + "'"
	case Number:
		return Decimal(v.N)
	case Instant:
		return v.T.UTC().Format("2006-01-02T15:04:05.999999Z")
	}
	return "null"
}

// Decimal writes a number whose denominator divides a power of ten.
func Decimal(n *big.Rat) string {
	places := 0
	for scaled := new(big.Rat).Set(n); !scaled.IsInt(); places++ {
		scaled.Mul(scaled, big.NewRat(10, 1))
		if places > 200 {
			return n.String() // no finite decimal: the caller compares texts and sees it
		}
	}
	return n.FloatString(places)
}

// Divide divides once and rounds half away from zero to a number of places.
func Divide(a, b *big.Rat, places int) *big.Rat {
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil)
	q := new(big.Rat).Quo(a, b)
	q.Mul(q, new(big.Rat).SetInt(scale))
	negative := q.Sign() < 0
	q.Abs(q)
	q.Add(q, big.NewRat(1, 2))
	whole := new(big.Int).Quo(q.Num(), q.Denom())
	if negative {
		whole.Neg(whole)
	}
	return new(big.Rat).SetFrac(whole, scale)
}

// literal returns the value as a literal of the filter language.
func (v Value) literal() string {
	if v.Kind == Text {
		return "'" + strings.ReplaceAll(v.S, "'", "''") + "'"
	}
	return v.String()
}
