package sqlfilter

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/usagebook/usagebook/filter"
)

// Kind says how a column holds the values of a field.
type Kind uint8

// The kinds. The zero Kind is none, and New refuses it.
const (
	// KindText holds a string as text, UTF-8 without NUL.
	KindText Kind = iota + 1
	// KindNumeric holds a number as an exact decimal of the database (PostgreSQL
	// numeric), never NaN or infinite.
	KindNumeric
	// KindInteger holds a number as the integer value * 10^Scale, within 64 bits.
	KindInteger
	// KindMicros holds an instant as integer microseconds since
	// 1970-01-01T00:00:00Z.
	KindMicros
	// KindTimestamp holds an instant as timestamptz, which is exact to the
	// microsecond, and never infinite.
	KindTimestamp
	// KindBoolean holds a boolean as a boolean of the database.
	KindBoolean
	// KindBoolInt holds a boolean as the integer 0 or 1.
	KindBoolInt
	// KindOpaque holds a value of any type in a form that the database cannot
	// compare, such as a decimal as text: nothing but its being null is pushed.
	KindOpaque
)

var kindTypes = [...]filter.Type{
	KindText: filter.TypeString, KindNumeric: filter.TypeDecimal, KindInteger: filter.TypeDecimal,
	KindMicros: filter.TypeTime, KindTimestamp: filter.TypeTime,
	KindBoolean: filter.TypeBool, KindBoolInt: filter.TypeBool,
}

// holds reports whether a column of the kind can hold the values of a type.
func (k Kind) holds(t filter.Type) bool {
	return k == KindOpaque || k < KindOpaque && kindTypes[k] == t
}

// Column describes the column of a field. What it claims is believed: a claim that
// does not hold gives other rows than Match.
type Column struct {
	// SQL is the column's name or an expression, written into the statement as it
	// is: it must come from the host and never from a request. Ident quotes a name.
	// It holds no placeholders.
	SQL string
	// Kind is how the column holds the field's values. A column whose kind cannot
	// hold values of the field's type is as good as none.
	Kind Kind
	// ASCII declares that a KindText column holds ASCII text only, which makes its
	// length and its case the same everywhere.
	ASCII bool
	// Scale is the number of decimal places of a KindInteger column, 0 to 38.
	Scale int
	// Digits and Places are the most digits that a number of a KindNumeric column
	// has before and after the point: 14 and 6 for numeric(20,6). Arithmetic is
	// pushed where they prove that the result stays within 100 digits, beyond which
	// Match fails. Both zero stand for 38 and 30.
	Digits, Places int
	// NotNull declares that the column is never null, which makes the SQL shorter
	// and indexes easier to use.
	NotNull bool
}

// Columns gives the columns of fields by the canonical names of the fields. What
// concerns a field without column stays in Go.
type Columns map[string]Column

const (
	defaultDigits = 38
	defaultPlaces = 30
	maxScale      = 38
)

// Ident returns a name as a quoted identifier.
func Ident(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// prepared checks the columns and brings them into the form that the writer
// expects.
func (c Columns) prepared() (Columns, error) {
	var errs []error
	out := make(Columns, len(c))
	names := make([]string, 0, len(c))
	for name := range c {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		col := c[name]
		fail := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("column of %s: %s", name, fmt.Sprintf(format, args...)))
		}
		if strings.TrimSpace(col.SQL) == "" {
			fail("no SQL")
		}
		if strings.ContainsRune(col.SQL, 0) {
			fail("NUL in the SQL")
		}
		if col.Kind == 0 || col.Kind > KindOpaque {
			fail("unknown kind %d", col.Kind)
		}
		if col.ASCII && col.Kind != KindText {
			fail("ASCII is for text alone")
		}
		if col.Scale < 0 || col.Scale > maxScale || col.Scale > 0 && col.Kind != KindInteger {
			fail("scale %d, allowed are 0 to %d, for integers", col.Scale, maxScale)
		}
		if col.Digits < 0 || col.Places < 0 || col.Digits+col.Places > 0 && col.Kind != KindNumeric {
			fail("%d digits and %d places, allowed are none below 0, for numeric columns", col.Digits, col.Places)
		}
		if col.Digits == 0 && col.Places == 0 {
			col.Digits, col.Places = defaultDigits, defaultPlaces
		}
		if !isName(col.SQL) {
			col.SQL = "(" + col.SQL + ")"
		}
		out[name] = col
	}
	return out, errors.Join(errs...)
}

// isName reports whether an expression is a plain or quoted name, with or without
// the name of its table, which needs no parentheses.
func isName(sql string) bool {
	for sql != "" {
		if sql[0] == '"' {
			end := 1
			for {
				i := strings.IndexByte(sql[end:], '"')
				if i < 0 {
					return false
				}
				if end += i + 1; end == len(sql) || sql[end] != '"' {
					break
				}
				end++
			}
			sql = sql[end:]
		} else {
			end := 0
			for end < len(sql) && (sql[end] == '_' || sql[end] >= '0' && sql[end] <= '9' && end > 0 ||
				sql[end]|0x20 >= 'a' && sql[end]|0x20 <= 'z') {
				end++
			}
			if end == 0 {
				return false
			}
			sql = sql[end:]
		}
		if sql == "" {
			return true
		}
		if sql[0] != '.' {
			return false
		}
		sql = sql[1:]
	}
	return false
}
