package paginate

import (
	"cmp"
	"strconv"
	"strings"
)

// Direction is the way one key of an order runs. The zero Direction is Ascending.
type Direction uint8

// The two directions.
const (
	Ascending  Direction = iota // null first
	Descending                  // null last
)

// Compare orders two values ascending: null first, false before true, numbers
// by value, instants by time, strings by their bytes. It returns -1, 0 or 1.
// Values of different kinds order by kind, so that the order is total whatever
// comes; a column of one type never meets that case.
func Compare(a, b Value) int {
	if a.isNumber() && b.isNumber() {
		return compareNumbers(a, b)
	}
	if c := cmp.Compare(a.kind, b.kind); c != 0 {
		return c
	}
	switch a.kind {
	case KindBool, KindTime:
		return cmp.Compare(a.num, b.num)
	case KindString:
		return strings.Compare(a.text, b.text)
	}
	return 0
}

// CompareKeys orders two key tuples by their first difference, each key in its
// own direction; a key without a direction is ascending. Descending is the
// exact reverse of ascending, so null comes last there. Where one tuple is the
// beginning of the other, the shorter one comes first: a cursor on the first
// keys of an order stands before all rows that share them.
func CompareKeys(a, b []Value, directions ...Direction) int {
	for i := range min(len(a), len(b)) {
		c := Compare(a[i], b[i])
		if c == 0 {
			continue
		}
		if i < len(directions) && directions[i] == Descending {
			return -c
		}
		return c
	}
	return cmp.Compare(len(a), len(b))
}

func (v Value) isNumber() bool { return v.kind == KindInteger || v.kind == KindDecimal }

// compareNumbers compares canonical texts digit by digit. A walk compares the
// cursor with many rows, and going through big integers would allocate for each.
func compareNumbers(a, b Value) int {
	if a.kind == KindInteger && b.kind == KindInteger {
		return cmp.Compare(a.num, b.num)
	}
	return compareDecimals(a.digits(), b.digits())
}

// digits returns the canonical text of a number.
func (v Value) digits() string {
	if v.kind == KindInteger {
		return strconv.FormatInt(v.num, 10)
	}
	return v.text
}

// compareDecimals compares two canonical decimals.
func compareDecimals(a, b string) int {
	negativeA, negativeB := a[0] == '-', b[0] == '-'
	switch {
	case negativeA && !negativeB:
		return -1
	case !negativeA && negativeB:
		return 1
	case negativeA:
		a, b = b[1:], a[1:]
	}
	wholeA, fractionA, _ := strings.Cut(a, ".")
	wholeB, fractionB, _ := strings.Cut(b, ".")
	// Canonical whole parts have no leading zeros, so the longer one is greater.
	if c := cmp.Compare(len(wholeA), len(wholeB)); c != 0 {
		return c
	}
	if c := strings.Compare(wholeA, wholeB); c != 0 {
		return c
	}
	// Canonical fractions have no trailing zeros, so byte order is their order.
	return strings.Compare(fractionA, fractionB)
}
