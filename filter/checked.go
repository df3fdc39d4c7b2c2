package filter

import (
	"slices"
	"time"
)

// Checked is an expression whose names and types are known. It is immutable and
// safe for concurrent use.
type Checked struct {
	expr   Expr
	fields []Field
}

// newChecked numbers the fields of a tree that is the checker's own.
func newChecked(e Expr) *Checked {
	c := &Checked{expr: e}
	number(e, &c.fields)
	return c
}

// part numbers the fields of a part of a checked tree. The names are copied,
// because the tree keeps its own slots.
func part(e Expr) *Checked {
	return newChecked(rewrite(e, func(e Expr) Expr {
		if n, ok := e.(*Name); ok {
			own := *n
			return &own
		}
		return e
	}))
}

// number gives the fields of a tree their slots, in order of first use.
func number(e Expr, fields *[]Field) {
	if n, ok := e.(*Name); ok {
		if n.Var > 0 {
			return
		}
		for i := range *fields {
			if (*fields)[i].Name == n.Field.Name {
				n.Slot = i
				return
			}
		}
		n.Slot = len(*fields)
		*fields = append(*fields, *n.Field)
		return
	}
	eachChild(e, func(c Expr) { number(c, fields) })
}

// rewrite copies a tree and replaces its leaves, from left to right; a function
// without arguments is a leaf.
func rewrite(e Expr, leaf func(Expr) Expr) Expr {
	list := func(in []Expr) []Expr {
		out := make([]Expr, len(in))
		for i, x := range in {
			out[i] = rewrite(x, leaf)
		}
		return out
	}
	switch e := e.(type) {
	case *Not:
		n := *e
		n.X = rewrite(e.X, leaf)
		return &n
	case *Negate:
		n := *e
		n.X = rewrite(e.X, leaf)
		return &n
	case *Logic:
		n := *e
		n.Args = list(e.Args)
		return &n
	case *Binary:
		n := *e
		n.X, n.Y = rewrite(e.X, leaf), rewrite(e.Y, leaf)
		return &n
	case *In:
		n := *e
		n.X = rewrite(e.X, leaf)
		if e.Set != nil {
			n.Set = rewrite(e.Set, leaf)
		}
		return &n
	case *Call:
		if len(e.Args) == 0 {
			return leaf(e)
		}
		n := *e
		n.Args = list(e.Args)
		return &n
	case *Cast:
		n := *e
		n.X = rewrite(e.X, leaf)
		return &n
	case *Case:
		n := *e
		n.Arms = make([]Arm, len(e.Arms))
		for i, a := range e.Arms {
			n.Arms[i] = Arm{When: rewrite(a.When, leaf), Then: rewrite(a.Then, leaf)}
		}
		return &n
	case *Lambda:
		n := *e
		n.Over = rewrite(e.Over, leaf).(*Name)
		if e.Body != nil {
			n.Body = rewrite(e.Body, leaf)
		}
		return &n
	case *Count:
		n := *e
		n.Over = rewrite(e.Over, leaf).(*Name)
		return &n
	case *Aggregate:
		n := *e
		n.Over = rewrite(e.Over, leaf).(*Name)
		a := e.Aggs[0]
		a.Expr = rewrite(a.Expr, leaf)
		n.Aggs = []AggregateExpr{a}
		return &n
	}
	return leaf(e)
}

// Type returns the type of the expression, TypeNull for the null literal.
func (c *Checked) Type() Type { return c.expr.Type() }

// Expr returns the checked tree: names resolved (Field, Slot), literals brought to
// the type of what they are compared with and standing on the right of it, and
// what is constant computed.
func (c *Checked) Expr() Expr { return c.expr }

// Fields returns the distinct fields in order of first use; a field's index is its
// slot. The caller must not change the slice.
func (c *Checked) Fields() []Field { return c.fields }

// String returns a canonical text: expressions that differ in spelling, spaces,
// superfluous parentheses, the notation of literals, the sides of a comparison or
// the order of the operands of and, or and of a list have the same text.
func (c *Checked) String() string { return canonical(c.expr).String() }

// At returns the expression with now() replaced by t. Without At, now() is the
// moment of Compile; a query that is answered in pages wants the moment of the
// first, and fingerprints that moment.
func (c *Checked) At(t time.Time) *Checked {
	return part(rewrite(c.expr, func(e Expr) Expr {
		n, ok := e.(*Call)
		if !ok || n.Func != "now" {
			return e
		}
		return nowLiteral(n, t)
	}))
}

func nowLiteral(n *Call, t time.Time) *Literal {
	l := &Literal{node: n.node, Value: Time(t)}
	l.height = 1
	return l
}

// conjuncts returns the operands of a top-level and, or the expression alone.
func conjuncts(e Expr) []Expr {
	l, ok := e.(*Logic)
	if !ok || l.Or {
		return []Expr{e}
	}
	var list []Expr
	for _, a := range l.Args {
		list = append(list, conjuncts(a)...)
	}
	return list
}

// Conjuncts returns the conditions that must all hold for a row to be selected:
// the operands of and at the top, or the expression alone.
func (c *Checked) Conjuncts() []*Checked {
	parts := conjuncts(c.expr)
	if len(parts) == 1 {
		return []*Checked{c}
	}
	list := make([]*Checked, len(parts))
	for i, e := range parts {
		list[i] = part(e)
	}
	return list
}

// Split takes the top-level conjunction apart: yes has the conjuncts all of whose
// fields satisfy pred, those without fields among them, rest the others; either
// is nil when it has none. A row is selected by c if and only if it is selected by
// both.
func (c *Checked) Split(pred func(Field) bool) (yes, rest *Checked) {
	var a, b []Expr
	for _, e := range conjuncts(c.expr) {
		all := true
		Walk(e, func(e Expr) bool {
			if n, ok := e.(*Name); ok && n.Var == 0 {
				all = all && pred(*n.Field)
			}
			return all
		})
		if all {
			a = append(a, e)
		} else {
			b = append(b, e)
		}
	}
	switch {
	case len(b) == 0:
		return c, nil
	case len(a) == 0:
		return nil, c
	}
	return conjunction(a), conjunction(b)
}

func conjunction(list []Expr) *Checked {
	if len(list) == 1 {
		return part(list[0])
	}
	n := &Logic{Args: list, node: node{src: list[0].base().src, typ: TypeBool, height: 1}}
	n.span = Span{list[0].Span().From, list[len(list)-1].Span().To}
	for _, e := range list {
		n.height = max(n.height, e.base().height+1)
	}
	return part(n)
}

// Conjunction returns the condition that selects the rows that all of the
// conditions select, which may come from different texts: errors of its evaluation
// keep the text and span of the one at fault. nil of none.
func Conjunction(conditions ...*Checked) *Checked {
	switch len(conditions) {
	case 0:
		return nil
	case 1:
		return conditions[0]
	}
	list := make([]Expr, len(conditions))
	for i, c := range conditions {
		list[i] = c.expr
	}
	return conjunction(list)
}

// Constraint returns the values that the top-level conjuncts leave to a field:
// each row that the expression selects has one of them. They come from eq, from in
// and from chains of or over the one field, intersected, in order of appearance
// and without repetition; null may be among them. ok is false when the field is
// not constrained. A field with FoldCase never is.
func (c *Checked) Constraint(field string) (values []Value, ok bool) {
	for _, e := range conjuncts(c.expr) {
		list, here := allowed(e, field)
		switch {
		case !here:
		case !ok:
			values, ok = distinct(list), true
		default:
			values = slices.DeleteFunc(values, func(v Value) bool { return !contains(list, v) })
		}
	}
	return values, ok
}

func distinct(list []Value) []Value {
	sorted := slices.Clone(list)
	slices.SortFunc(sorted, Compare)
	sorted = slices.CompactFunc(sorted, Equal)
	if len(sorted) == len(list) {
		return slices.Clone(list)
	}
	out := make([]Value, 0, len(sorted))
	taken := make([]bool, len(sorted))
	for _, v := range list {
		if i, _ := slices.BinarySearchFunc(sorted, v, Compare); !taken[i] {
			taken[i] = true
			out = append(out, v)
		}
	}
	return out
}

func contains(list []Value, v Value) bool {
	return slices.ContainsFunc(list, func(w Value) bool { return Equal(v, w) })
}

// allowed returns the values that a condition leaves to a field.
func allowed(e Expr, field string) ([]Value, bool) {
	switch e := e.(type) {
	case *Name: // a condition that is a boolean field
		if isField(e, field) {
			return []Value{Bool(true)}, true
		}
	case *Not:
		if isField(e.X, field) {
			return []Value{Bool(false)}, true
		}
	case *Binary:
		l, ok := e.Y.(*Literal)
		if ok && e.Op == OpEq && isField(e.X, field) {
			return []Value{l.Value}, true
		}
	case *In:
		if e.Set == nil && isField(e.X, field) {
			list := make([]Value, len(e.List))
			for i, l := range e.List {
				list[i] = l.Value
			}
			return list, true
		}
	case *Logic:
		if !e.Or {
			break
		}
		var union []Value
		for _, a := range e.Args {
			list, ok := allowed(a, field)
			if !ok {
				return nil, false
			}
			union = append(union, list...)
		}
		return union, true
	}
	return nil, false
}

func isField(e Expr, field string) bool {
	n, ok := e.(*Name)
	return ok && n.Var == 0 && n.Field.Name == field && !n.Field.FoldCase
}

// Range returns the bounds that the top-level conjuncts set to a field by gt, ge,
// lt, le, eq and in; a null bound is open. Bounds that exclude each other are
// returned as they are. A row whose field is null is never selected when there is
// a bound, so the bounds may be used to skip data.
func (c *Checked) Range(field string) (from, to Value, fromIncl, toIncl bool) {
	lower := func(v Value, incl bool) {
		if d := Compare(v, from); from.IsNull() || d > 0 || d == 0 && !incl {
			from, fromIncl = v, incl
		}
	}
	upper := func(v Value, incl bool) {
		if d := Compare(v, to); to.IsNull() || d < 0 || d == 0 && !incl {
			to, toIncl = v, incl
		}
	}
	for _, e := range conjuncts(c.expr) {
		if list, ok := allowed(e, field); ok && len(list) > 0 && !contains(list, Null()) {
			lower(slices.MinFunc(list, Compare), true)
			upper(slices.MaxFunc(list, Compare), true)
			continue
		}
		b, ok := e.(*Binary)
		if !ok || !isField(b.X, field) {
			continue
		}
		l, ok := b.Y.(*Literal)
		if !ok || l.Value.IsNull() {
			continue
		}
		switch b.Op {
		case OpGt, OpGe:
			lower(l.Value, b.Op == OpGe)
		case OpLt, OpLe:
			upper(l.Value, b.Op == OpLe)
		}
	}
	return from, to, fromIncl, toIncl
}

// canonical returns the tree whose text Checked.String is.
func canonical(e Expr) Expr {
	switch e := e.(type) {
	case *Not:
		n := *e
		n.X = canonical(e.X)
		return &n
	case *Logic:
		return canonicalLogic(e)
	case *Binary:
		if l, ok := e.Y.(*Literal); ok && e.Op.Comparison() {
			n := *e
			n.X, n.Y = canonical(e.X), plainLiteral(l.Value)
			return &n
		}
	case *In:
		if e.Set != nil {
			break
		}
		values := make([]Value, len(e.List))
		for i, l := range e.List {
			values[i] = l.Value
		}
		slices.SortFunc(values, Compare)
		values = slices.CompactFunc(values, Equal)
		if len(values) == 1 { // x in (v) is x eq v, null included
			return &Binary{Op: OpEq, X: e.X, Y: plainLiteral(values[0])}
		}
		n := &In{X: e.X}
		for _, v := range values {
			n.List = append(n.List, plainLiteral(v))
		}
		return n
	case *Lambda:
		if e.Body == nil {
			break
		}
		n := *e
		n.Body = canonical(e.Body)
		return &n
	}
	return rewrite(e, func(e Expr) Expr {
		if l, ok := e.(*Literal); ok {
			return &Literal{Value: l.Value, Whole: l.Whole}
		}
		return e
	})
}

// plainLiteral drops how a literal was written. As a side of a comparison 5, 5.0
// and 5m are one; as an operand of div they are not.
func plainLiteral(v Value) *Literal {
	return &Literal{Value: v, Whole: v.typ == TypeDecimal && v.ext == nil && v.scale == 0}
}

func canonicalLogic(e *Logic) Expr {
	type arg struct {
		text string
		expr Expr
	}
	var args []arg
	var add func(list []Expr)
	add = func(list []Expr) {
		for _, x := range list {
			if l, ok := x.(*Logic); ok && l.Or == e.Or {
				add(l.Args)
				continue
			}
			x = canonical(x)
			args = append(args, arg{x.String(), x})
		}
	}
	add(e.Args)
	slices.SortFunc(args, func(a, b arg) int {
		if a.text < b.text {
			return -1
		}
		if a.text > b.text {
			return 1
		}
		return 0
	})
	args = slices.CompactFunc(args, func(a, b arg) bool { return a.text == b.text })
	if len(args) == 1 {
		return args[0].expr
	}
	n := &Logic{Or: e.Or}
	for _, a := range args {
		n.Args = append(n.Args, a.expr)
	}
	return n
}
