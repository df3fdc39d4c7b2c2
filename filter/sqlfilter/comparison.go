package sqlfilter

import "github.com/usagebook/usagebook/filter"

var opSigns = map[filter.Op]string{
	filter.OpEq: "=", filter.OpNe: "<>", filter.OpGt: ">", filter.OpGe: ">=", filter.OpLt: "<", filter.OpLe: "<=",
}

var flipped = map[filter.Op]filter.Op{
	filter.OpEq: filter.OpEq, filter.OpNe: filter.OpNe,
	filter.OpGt: filter.OpLt, filter.OpGe: filter.OpLe, filter.OpLt: filter.OpGt, filter.OpLe: filter.OpGe,
}

// comparison writes eq, ne, gt, ge, lt, le. To the language none of them is ever
// null: with one null operand all but ne are false, with two eq, ge and le are
// true.
func (t *text) comparison(e *filter.Binary, strict bool) bool {
	x, y, op := e.X, e.Y, e.Op
	if _, literal := x.(*filter.Literal); literal {
		x, y, op = y, x, flipped[op]
	}
	if l, ok := y.(*filter.Literal); ok {
		return t.withLiteral(x, op, l.Value, strict)
	}
	if x.Type() == filter.TypeBool || y.Type() == filter.TypeBool {
		return t.conditions(x, y, op)
	}
	rx, okx := t.form(x)
	ry, oky := t.form(y)
	if !okx || !oky {
		return false
	}
	kind, ok := t.common(rx, ry)
	if !ok {
		return false
	}
	left := func() bool {
		ok := t.value(x, kind)
		t.collate(kind)
		return ok
	}
	right := func() bool { return t.value(y, kind) }
	between := func(sign string) bool {
		ok := left()
		t.write(" ", sign, " ")
		return ok && right()
	}
	nullable := !rx.notNull && !ry.notNull
	switch {
	case op == filter.OpEq && nullable:
		return between(t.dialect.Same)
	case op == filter.OpNe && nullable:
		return between(t.dialect.Differs)
	case (op == filter.OpGe || op == filter.OpLe) && nullable:
		t.write("(")
		if !t.wrapped(filter.OpEq, strict, func() bool { return between(opSigns[op]) }) {
			return false
		}
		t.write(" OR ")
		if !t.value(x, kind) {
			return false
		}
		t.write(" IS NULL AND ")
		ok := t.value(y, kind)
		t.write(" IS NULL)")
		return ok
	case rx.notNull && ry.notNull:
		return between(opSigns[op])
	}
	return t.wrapped(op, strict, func() bool { return between(opSigns[op]) })
}

// wrapped writes a comparison of which an operand may be null, so that null gives
// what the language says: true for ne, and false for the others. Where null and
// false are one only ne needs it.
func (t *text) wrapped(op filter.Op, strict bool, comparison func() bool) bool {
	ifNull := ", FALSE)"
	if op == filter.OpNe {
		ifNull = ", TRUE)"
	} else if !strict {
		return comparison()
	}
	t.write("COALESCE(")
	ok := comparison()
	t.write(ifNull)
	return ok
}

// collate makes the bytes decide that follow in a comparison.
func (t *text) collate(kind Kind) {
	if kind == KindText && t.dialect.Collate != "" {
		t.write(" ", t.dialect.Collate)
	}
}

// conditions compares two conditions; false is before true. The operands may be
// conditions of any size, so no form names one twice: nested comparisons would
// double the text at each level.
func (t *text) conditions(x, y filter.Expr, op filter.Op) bool {
	pair := func(open, between, end string) bool {
		t.write(open, "(")
		if !t.condition(x, true) {
			return false
		}
		t.write(")", between, "(")
		ok := t.condition(y, true)
		t.write(")", end)
		return ok
	}
	switch op {
	case filter.OpEq:
		return pair("", " "+t.dialect.Same+" ", "")
	case filter.OpNe:
		return pair("", " "+t.dialect.Differs+" ", "")
	case filter.OpGt, filter.OpLt:
		return pair("COALESCE(", " "+opSigns[op]+" ", ", FALSE)")
	}
	// With 4 for null, the difference of two nulls is 0 and of a null and a boolean
	// at least 3.
	const code = " WHEN TRUE THEN 1 WHEN FALSE THEN 0 ELSE 4 END"
	end := code + ") IN (0, 1)"
	if op == filter.OpLe {
		end = code + ") IN (0, -1)"
	}
	return pair("(CASE ", code+" - CASE ", end)
}

// withLiteral writes the comparison with a constant.
func (t *text) withLiteral(x filter.Expr, op filter.Op, v filter.Value, strict bool) bool {
	if v.IsNull() {
		switch op {
		case filter.OpEq, filter.OpGe, filter.OpLe:
			return t.nullTest(x, true)
		case filter.OpNe:
			return t.nullTest(x, false)
		}
		return t.pushable(x) && t.truth(filter.Bool(false), strict)
	}
	if v.Type() == filter.TypeBool {
		return t.withBool(x, op, v.Bool(), strict)
	}
	r, ok := t.form(x)
	if !ok {
		return false
	}
	c, ok := r.constant(v)
	if !ok {
		return false
	}
	sign := opSigns[op]
	switch c.at {
	case below, above:
		return t.decided(x, r, beyond(op, c.at), op == filter.OpNe)
	case between:
		switch op {
		case filter.OpEq, filter.OpNe:
			return t.decided(x, r, op == filter.OpNe, op == filter.OpNe)
		case filter.OpGt, filter.OpGe:
			sign = ">"
		default:
			sign = "<="
		}
	}
	comparison := func() bool {
		ok := t.value(x, r.kind)
		t.collate(r.kind)
		t.write(" ", sign, " ")
		return ok && t.arg(r.kind, c.arg)
	}
	if r.notNull {
		return comparison()
	}
	return t.wrapped(op, strict, comparison)
}

func (t *text) withBool(x filter.Expr, op filter.Op, v bool, strict bool) bool {
	value := "FALSE"
	if v {
		value = "TRUE"
	}
	comparison := func() bool {
		t.write("(")
		ok := t.condition(x, true)
		t.write(") ", opSigns[op], " ", value)
		return ok
	}
	if n, ok := x.(*filter.Name); ok {
		c, ok := t.column(n)
		if !ok || c.Kind == KindOpaque {
			return false
		}
		if c.Kind == KindBoolInt { // bare, so that an index serves it
			value = map[bool]string{false: "0", true: "1"}[v]
		}
		comparison = func() bool {
			t.write(c.SQL, " ", opSigns[op], " ", value)
			return true
		}
		if c.NotNull {
			return comparison()
		}
	}
	return t.wrapped(op, strict, comparison)
}

// beyond compares any value of a column with a constant that lies outside them all.
func beyond(op filter.Op, at place) bool {
	switch op {
	case filter.OpEq:
		return false
	case filter.OpNe:
		return true
	case filter.OpLt, filter.OpLe:
		return at == above
	}
	return at == below
}

// decided writes a comparison that has one outcome for all values and one for null.
func (t *text) decided(x filter.Expr, r form, result, ifNull bool) bool {
	if result == ifNull || r.notNull {
		return t.truth(filter.Bool(result), true)
	}
	return t.nullTest(x, ifNull)
}

// pushable reports whether an operand could be written, without writing it. A
// comparison that has the same outcome whatever its operand is pushed with it alone:
// what fails in Go must not succeed here.
func (t *text) pushable(x filter.Expr) bool {
	sql, args := len(t.sql), len(t.args)
	ok := t.nullTest(x, true)
	t.sql, t.args = t.sql[:sql], t.args[:args]
	return ok
}

// in writes membership in a list, which is never null: a null operand is a member of
// a list with null, and of no other.
func (t *text) in(e *filter.In, strict bool) bool {
	hasNull := false
	for _, l := range e.List {
		hasNull = hasNull || l.Value.IsNull()
	}
	ifNull := filter.OpEq
	if hasNull {
		ifNull = filter.OpNe
	}
	if e.X.Type() == filter.TypeBool {
		return t.flagIn(e, ifNull, strict)
	}
	r, ok := t.form(e.X)
	if !ok {
		// A field that cannot be compared may still be looked for among nulls.
		return hasNull && allNull(e.List) && t.nullTest(e.X, true)
	}
	var args []any
	for _, l := range e.List {
		if l.Value.IsNull() {
			continue
		}
		c, ok := r.constant(l.Value)
		if !ok {
			return false
		}
		if c.at == exact {
			args = append(args, c.arg)
		}
	}
	if len(args) == 0 {
		return t.decided(e.X, r, false, hasNull)
	}
	member := func() bool {
		ok := t.value(e.X, r.kind)
		t.collate(r.kind)
		t.write(" IN (")
		for i, a := range args {
			if i > 0 {
				t.write(", ")
			}
			ok = ok && t.arg(r.kind, a)
		}
		t.write(")")
		return ok
	}
	if r.notNull {
		return member()
	}
	return t.wrapped(ifNull, strict, member)
}

func allNull(list []*filter.Literal) bool {
	for _, l := range list {
		if !l.Value.IsNull() {
			return false
		}
	}
	return true
}

// flagIn writes membership of a condition.
func (t *text) flagIn(e *filter.In, ifNull filter.Op, strict bool) bool {
	if allNull(e.List) {
		return t.nullTest(e.X, true)
	}
	return t.wrapped(ifNull, strict, func() bool {
		t.write("(")
		if !t.condition(e.X, true) {
			return false
		}
		t.write(") IN (")
		first := true
		for _, l := range e.List {
			if l.Value.IsNull() {
				continue
			}
			if !first {
				t.write(", ")
			}
			first = false
			if !t.truth(l.Value, true) {
				return false
			}
		}
		t.write(")")
		return true
	})
}
