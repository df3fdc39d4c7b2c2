package sqlfilter

import (
	"strings"
	"unicode/utf8"

	"github.com/usagebook/usagebook/filter"
)

// kindNull is the kind of the null literal, which fits where any does.
const kindNull Kind = 255

// maxDigits is the most digits of a result in package filter.
const maxDigits = 100

// form is how the database holds the values of an operand.
type form struct {
	kind    Kind
	scale   int // of KindInteger
	notNull bool
	ascii   bool // of KindText
	// before and after are the most digits a number has on either side of its
	// point.
	before, after int
}

// int64Digits is the most digits of a 64-bit integer.
const int64Digits = 19

// form finds how an operand would be written, without writing it; ok is false where
// it cannot be.
func (t *text) form(e filter.Expr) (form, bool) {
	defer t.leave(callLevels)
	if !t.enter(callLevels) {
		return form{}, false
	}
	switch e := e.(type) {
	case *filter.Literal:
		return t.literalForm(e.Value)
	case *filter.Name:
		c, ok := t.column(e)
		r := form{kind: c.Kind, notNull: c.NotNull, ascii: c.ASCII, scale: c.Scale}
		switch c.Kind {
		case KindNumeric:
			r.before, r.after = c.Digits, c.Places
		case KindInteger:
			r.before, r.after = int64Digits, c.Scale
		}
		return r, ok && c.Kind < KindBoolean
	case *filter.Call:
		return t.callForm(e)
	case *filter.Negate:
		return t.arithmeticForm(filter.OpSub, e.X, nil)
	case *filter.Binary:
		return t.arithmeticForm(e.Op, e.X, e.Y)
	}
	return form{}, false
}

func (t *text) literalForm(v filter.Value) (form, bool) {
	switch v.Type() {
	case filter.TypeNull:
		return form{kind: kindNull}, true
	case filter.TypeString:
		return form{kind: KindText, notNull: true, ascii: isASCII(v.Str())}, storable(v.Str())
	case filter.TypeDecimal:
		r := form{kind: KindNumeric, notNull: true}
		digits := strings.TrimPrefix(v.String(), "-")
		before, after, _ := strings.Cut(digits, ".")
		r.before, r.after = len(before), len(after)
		return r, t.dialect.Numeric != "" && !strings.Contains(digits, "e")
	}
	return form{}, false
}

func (t *text) callForm(e *filter.Call) (form, bool) {
	var template string
	switch e.Func {
	case "length":
		template = t.dialect.Length
	case "tolower":
		template = t.dialect.Lower
	case "toupper":
		template = t.dialect.Upper
	}
	if template == "" {
		return form{}, false
	}
	r, ok := t.form(e.Args[0])
	if !ok || r.kind != KindText || !r.ascii {
		return form{}, false
	}
	if e.Func == "length" {
		return form{kind: KindInteger, notNull: r.notNull, before: int64Digits}, t.dialect.Args[KindInteger] != ""
	}
	return r, true
}

// arithmeticForm is that of x op y, or of -x when y is nil. Beyond the digits of
// package filter evaluation fails there and would not here, so the declared digits
// must prove that no result has more.
func (t *text) arithmeticForm(op filter.Op, x, y filter.Expr) (form, bool) {
	if t.dialect.Numeric == "" || op != filter.OpAdd && op != filter.OpSub && op != filter.OpMul {
		return form{}, false
	}
	rx, ok := t.form(x)
	if !ok || !rx.number() {
		return form{}, false
	}
	if y == nil {
		rx.kind, rx.scale = KindNumeric, 0
		return rx, true
	}
	ry, ok := t.form(y)
	if !ok || !ry.number() {
		return form{}, false
	}
	r := form{kind: KindNumeric, notNull: rx.notNull && ry.notNull}
	if op == filter.OpMul {
		r.before, r.after = rx.before+ry.before, rx.after+ry.after
	} else {
		r.before, r.after = max(rx.before, ry.before)+1, max(rx.after, ry.after)
	}
	return r, r.before+r.after <= maxDigits
}

func (r form) number() bool {
	return r.kind == KindNumeric || r.kind == KindInteger || r.kind == kindNull
}

// common returns the kind in which two operands are compared.
func (t *text) common(x, y form) (Kind, bool) {
	switch {
	case x.kind == KindInteger && y.kind == KindInteger && x.scale == y.scale:
		return KindInteger, true
	case x.kind == kindNull || y.kind == kindNull:
		return 0, false
	case x.number() && y.number():
		// Bringing two scales to one may take more than 64 bits.
		return KindNumeric, t.dialect.Numeric != ""
	}
	return x.kind, x.kind == y.kind
}

// value writes an operand that form has found good, as a value of a kind.
func (t *text) value(e filter.Expr, kind Kind) bool {
	defer t.leave(callLevels)
	if !t.enter(callLevels) {
		return false
	}
	switch e := e.(type) {
	case *filter.Literal:
		switch {
		case e.Value.IsNull():
			return t.arg(kind, nil)
		case kind == KindText:
			return t.arg(kind, e.Value.Str())
		case kind == KindNumeric:
			return t.arg(kind, e.Value.String())
		}
	case *filter.Name:
		c, ok := t.column(e)
		if !ok {
			return false
		}
		if kind == KindNumeric && c.Kind == KindInteger {
			return t.numeric(c.Scale, func() bool { t.write(c.SQL); return true })
		}
		t.write(c.SQL)
		return true
	case *filter.Call:
		operand := func() bool { return t.value(e.Args[0], KindText) }
		switch e.Func {
		case "length":
			length := func() bool { return t.template(t.dialect.Length, operand, nil) }
			if kind == KindNumeric {
				return t.numeric(0, length)
			}
			return length()
		case "tolower":
			return t.template(t.dialect.Lower, operand, nil)
		case "toupper":
			return t.template(t.dialect.Upper, operand, nil)
		}
	case *filter.Negate:
		t.write("(- ")
		ok := t.value(e.X, KindNumeric)
		t.write(")")
		return ok
	case *filter.Binary:
		sign := " + "
		switch e.Op {
		case filter.OpSub:
			sign = " - "
		case filter.OpMul:
			sign = " * "
		}
		t.write("(")
		if !t.value(e.X, KindNumeric) {
			return false
		}
		t.write(sign)
		ok := t.value(e.Y, KindNumeric)
		t.write(")")
		return ok
	}
	return false
}

// numeric writes an integer of a scale as an exact decimal.
func (t *text) numeric(scale int, integer func() bool) bool {
	if scale == 0 {
		return t.template(t.dialect.Numeric, integer, nil)
	}
	t.write("(")
	ok := t.template(t.dialect.Numeric, integer, nil)
	t.write(" * 0.", strings.Repeat("0", scale-1), "1)")
	return ok
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// storable reports whether a database takes a text. PostgreSQL refuses NUL and what
// is no UTF-8, and SQLite's functions stop at NUL, although Go has an answer.
func storable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsRune(s, 0)
}
