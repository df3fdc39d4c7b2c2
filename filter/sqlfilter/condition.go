package sqlfilter

import "github.com/usagebook/usagebook/filter"

// The most levels of SQL that a condition, and an operand, add to those below them.
const (
	formLevels = 5 // IN over a difference of two CASE
	callLevels = 2 // a function of a text with COLLATE
)

// condition writes a condition that is safe as an operand of AND and OR. In a
// strict one true, false and null are those of the language: it stands behind not,
// is compared or sorted. In the others null and false are one, as they are to WHERE
// and to and and or below it, so that a comparison needs no wrapping and an index
// can serve it.
func (t *text) condition(e filter.Expr, strict bool) bool {
	defer t.leave(formLevels)
	if !t.enter(formLevels) {
		return false
	}
	switch e := e.(type) {
	case *filter.Literal:
		return t.truth(e.Value, strict)
	case *filter.Name:
		return t.flag(e)
	case *filter.Not:
		t.write("NOT (")
		ok := t.condition(e.X, true)
		t.write(")")
		return ok
	case *filter.Logic:
		return t.logic(e, strict)
	case *filter.Binary:
		return e.Op.Comparison() && t.comparison(e, strict)
	case *filter.In:
		return e.Set == nil && t.in(e, strict)
	case *filter.Call:
		return t.test(e)
	}
	return false
}

func (t *text) truth(v filter.Value, strict bool) bool {
	switch {
	case v.Type() == filter.TypeBool && v.Bool():
		t.write("TRUE")
	case v.Type() == filter.TypeBool || v.IsNull() && !strict:
		t.write("FALSE")
	case v.IsNull():
		t.write("CAST(NULL AS BOOLEAN)")
	default:
		return false
	}
	return true
}

// flag writes a boolean field as a condition.
func (t *text) flag(n *filter.Name) bool {
	c, ok := t.column(n)
	if !ok {
		return false
	}
	switch c.Kind {
	case KindBoolean:
		t.write(c.SQL)
	case KindBoolInt:
		t.write(c.SQL, " = 1")
	default:
		return false
	}
	return true
}

func (t *text) logic(e *filter.Logic, strict bool) bool {
	op := " AND "
	if e.Or {
		op = " OR "
	}
	return t.chain(e.Args, op, strict)
}

func (t *text) chain(args []filter.Expr, op string, strict bool) bool {
	levels := min(len(args), flat)
	defer t.leave(levels)
	if !t.enter(levels) {
		return false
	}
	t.write("(")
	if len(args) > flat {
		half := len(args) / 2
		if !t.chain(args[:half], op, strict) {
			return false
		}
		t.write(op)
		if !t.chain(args[half:], op, strict) {
			return false
		}
	} else {
		for i, a := range args {
			if i > 0 {
				t.write(op)
			}
			if !t.condition(a, strict) {
				return false
			}
		}
	}
	t.write(")")
	return true
}

// test writes a function whose result is a condition. The database's null for a
// null operand is that of the language.
func (t *text) test(e *filter.Call) bool {
	var template string
	switch e.Func {
	case "contains":
		template = t.dialect.Contains
	case "startswith":
		template = t.dialect.StartsWith
	case "endswith":
		template = t.dialect.EndsWith
	case "isdefined":
		return t.nullTest(e.Args[0], false)
	}
	if template == "" {
		return false
	}
	for _, a := range e.Args {
		if r, ok := t.form(a); !ok || r.kind != KindText && r.kind != kindNull {
			return false
		}
	}
	return t.template(template,
		func() bool { return t.value(e.Args[0], KindText) },
		func() bool { return t.value(e.Args[1], KindText) })
}

// nullTest writes that an operand is, or is not, null.
func (t *text) nullTest(x filter.Expr, null bool) bool {
	is := " IS NOT NULL"
	if null {
		is = " IS NULL"
	}
	if n, ok := x.(*filter.Name); ok {
		c, ok := t.column(n)
		t.write(c.SQL, is)
		return ok
	}
	if x.Type() == filter.TypeBool {
		t.write("(")
		ok := t.condition(x, true)
		t.write(")", is)
		return ok
	}
	r, ok := t.form(x)
	if !ok || r.kind == kindNull {
		return false
	}
	ok = t.value(x, r.kind)
	t.write(is)
	return ok
}
