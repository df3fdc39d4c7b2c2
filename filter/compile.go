package filter

import (
	"slices"
	"strings"
)

// The compiled form is closures over constants. Conditions return a tri and values
// a Value, and both carry a fault in their own range, so that nothing is allocated
// and no second result is looked at on the way up.
type (
	condFunc  func(r Row, f *frame) tri
	valueFunc func(r Row, f *frame) Value
)

type compiler struct {
	sites  []Expr // expressions that may fail, for fault
	frames bool   // the program needs frames
}

// site returns the first fault of e; the kinds follow it.
func (c *compiler) site(e Expr) tri {
	c.sites = append(c.sites, e)
	return faultBase + tri(len(c.sites)-1)*faultKinds
}

// cond compiles a condition.
func (c *compiler) cond(e Expr) condFunc {
	switch e := e.(type) {
	case *Literal:
		t := truthOf(e.Value)
		return func(Row, *frame) tri { return t }
	case *Not:
		x := c.cond(e.X)
		return func(r Row, f *frame) tri {
			// 5.1.1.1.9: not null is null.
			t := x(r, f)
			if t <= yes {
				return 1 - t
			}
			return t
		}
	case *Logic:
		return c.logic(e)
	case *Binary:
		if e.Op.Comparison() {
			return c.compare(e)
		}
		return c.truthValue(e) // null, whatever the row
	case *In:
		return c.in(e)
	case *Call:
		if fn := c.condCall(e); fn != nil {
			return fn
		}
	case *Lambda:
		return c.lambda(e)
	case *Name, *Cast, *Case, *Negate, *Aggregate:
		return c.truthValue(e)
	}
	bad := c.site(e) + faultRowType // nothing that Check lets through
	return func(Row, *frame) tri { return bad }
}

func (c *compiler) truthValue(e Expr) condFunc {
	x := c.value(e)
	return func(r Row, f *frame) tri { return truthOf(x(r, f)) }
}

// logic compiles and and or with three values (5.1.1.1.7, 5.1.1.1.8): false
// decides an and and true an or, even beside null.
func (c *compiler) logic(e *Logic) condFunc {
	decides := no
	if e.Or {
		decides = yes
	}
	args := make([]condFunc, len(e.Args))
	for i, a := range e.Args {
		args[i] = c.cond(a)
	}
	if len(args) == 2 {
		x, y := args[0], args[1]
		return func(r Row, f *frame) tri {
			a := x(r, f)
			if a == decides || a >= faultBase {
				return a
			}
			b := y(r, f)
			if a == unknown && b != decides && b < faultBase {
				return unknown
			}
			return b
		}
	}
	return func(r Row, f *frame) tri {
		result := 1 - decides
		for _, arg := range args {
			t := arg(r, f)
			if t == decides || t >= faultBase {
				return t
			}
			if t == unknown {
				result = unknown
			}
		}
		return result
	}
}

// verdicts gives what an operator says of Compare's -1, 0 and 1.
var verdicts = [...][3]tri{
	OpEq: {no, yes, no}, OpNe: {yes, no, yes},
	OpGt: {no, no, yes}, OpGe: {no, yes, yes},
	OpLt: {yes, no, no}, OpLe: {yes, yes, no},
}

// withNull gives what an operator says when one operand is null, and when both
// are. 5.1.1.1.1 ff.: null equals null alone, and an order with null is false, not
// null; null ge null and null le null follow eq, which the standard leaves open.
func withNull(op Op) (one, both tri) {
	switch op {
	case OpEq, OpGe, OpLe:
		return no, yes
	case OpNe:
		return yes, no
	}
	return no, no
}

func (c *compiler) compare(e *Binary) condFunc {
	one, both := withNull(e.Op)
	verdict := verdicts[e.Op]
	if l, ok := e.Y.(*Literal); ok {
		if fn := c.compareConst(e, l.Value, one, verdict); fn != nil {
			return fn
		}
	}
	x, y := c.value(e.X), c.value(e.Y)
	return func(r Row, f *frame) tri {
		a := x(r, f)
		if a.typ == typeFault {
			return tri(a.num)
		}
		b := y(r, f)
		switch {
		case b.typ == typeFault:
			return tri(b.num)
		case a.typ == TypeNull && b.typ == TypeNull:
			return both
		case a.typ == TypeNull || b.typ == TypeNull:
			return one
		}
		return verdict[Compare(a, b)+1]
	}
}

// compareConst compiles the comparison with a constant, which most conditions are:
// of a field without a call between, of tolower and toupper without building the
// string.
func (c *compiler) compareConst(e *Binary, k Value, one tri, verdict [3]tri) condFunc {
	if k.IsNull() {
		x := c.value(e.X)
		_, both := withNull(e.Op)
		return func(r Row, f *frame) tri {
			switch v := x(r, f); v.typ {
			case typeFault:
				return tri(v.num)
			case TypeNull:
				return both
			}
			return one
		}
	}
	if call, ok := e.X.(*Call); ok && k.typ == TypeString && (e.Op == OpEq || e.Op == OpNe) {
		if fn := c.compareMapped(call, k.str, one, verdict); fn != nil {
			return fn
		}
	}
	n, ok := e.X.(*Name)
	if !ok || n.Var > 0 {
		x := c.value(e.X)
		if k.typ == TypeDecimal && k.ext == nil {
			coef, scale := k.num, k.scale
			return func(r Row, f *frame) tri {
				v := x(r, f)
				switch v.typ {
				case typeFault:
					return tri(v.num)
				case TypeNull:
					return one
				}
				if v.ext == nil {
					return verdict[compareSmall(v.num, v.scale, coef, scale)+1]
				}
				return verdict[compareNumbers(v, k)+1]
			}
		}
		return func(r Row, f *frame) tri {
			v := x(r, f)
			switch v.typ {
			case typeFault:
				return tri(v.num)
			case TypeNull:
				return one
			}
			return verdict[Compare(v, k)+1]
		}
	}
	slot, typ := n.Slot, n.typ
	bad := c.site(n) + faultRowType
	other := func(v Value) tri {
		if v.typ == TypeNull {
			return one
		}
		return bad
	}
	switch {
	case typ == TypeString && e.Op <= OpNe || typ == TypeGuid:
		same, text := verdict[1], k.str
		differs := verdict[0]
		return func(r Row, _ *frame) tri {
			v := r.Value(slot)
			if v.typ != typ {
				return other(v)
			}
			if v.str == text {
				return same
			}
			return differs
		}
	case typ == TypeString:
		text := k.str
		return func(r Row, _ *frame) tri {
			v := r.Value(slot)
			if v.typ != TypeString {
				return other(v)
			}
			return verdict[strings.Compare(v.str, text)+1]
		}
	case typ == TypeDecimal && k.ext == nil:
		coef, scale := k.num, k.scale
		return func(r Row, _ *frame) tri {
			v := r.Value(slot)
			if v.typ != TypeDecimal {
				return other(v)
			}
			if v.ext == nil {
				return verdict[compareSmall(v.num, v.scale, coef, scale)+1]
			}
			return verdict[compareNumbers(v, k)+1]
		}
	case typ == TypeTime || typ == TypeDuration:
		num, sub := k.num, k.scale
		return func(r Row, _ *frame) tri {
			v := r.Value(slot)
			switch {
			case v.typ != typ:
				return other(v)
			case v.num < num:
				return verdict[0]
			case v.num > num:
				return verdict[2]
			case v.scale < sub:
				return verdict[0]
			case v.scale > sub:
				return verdict[2]
			}
			return verdict[1]
		}
	}
	return func(r Row, _ *frame) tri {
		v := r.Value(slot)
		if v.typ != typ {
			return other(v)
		}
		return verdict[Compare(v, k)+1]
	}
}

// in compiles membership. It has two values only: null is in a list that has null,
// and else in none.
func (c *compiler) in(e *In) condFunc {
	x := c.value(e.X)
	if e.Set != nil {
		return c.inCollection(x, e)
	}
	ifNull := no
	var set []Value
	for _, l := range e.List {
		if l.Value.IsNull() {
			ifNull = yes
			continue
		}
		set = append(set, l.Value)
	}
	slices.SortFunc(set, Compare)
	set = slices.CompactFunc(set, Equal)
	member := func(v Value) bool { return hasSorted(set, v) }
	if e.X.Type() == TypeString || e.X.Type() == TypeGuid {
		member = stringSet(set)
	}
	if n, ok := e.X.(*Name); ok && n.Var == 0 {
		slot, typ, bad := n.Slot, n.typ, c.site(n)+faultRowType
		return func(r Row, _ *frame) tri {
			v := r.Value(slot)
			switch v.typ {
			case typ:
				return truth(member(v))
			case TypeNull:
				return ifNull
			}
			return bad
		}
	}
	return func(r Row, f *frame) tri {
		v := x(r, f)
		switch v.typ {
		case typeFault:
			return tri(v.num)
		case TypeNull:
			return ifNull
		}
		return truth(member(v))
	}
}

// hasSorted is a binary search; Compare sees through scales, which a map of keys
// could not without bringing every number of every row to one form.
func hasSorted(set []Value, v Value) bool {
	lo, hi := 0, len(set)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		switch d := Compare(set[mid], v); {
		case d == 0:
			return true
		case d < 0:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return false
}

// stringSet looks few strings up one by one and many in a map.
func stringSet(set []Value) func(Value) bool {
	const few = 6 // below this a map's hash costs more than comparing lengths
	if len(set) <= few {
		list := make([]string, len(set))
		for i, v := range set {
			list[i] = v.str
		}
		return func(v Value) bool {
			for _, s := range list {
				if s == v.str {
					return true
				}
			}
			return false
		}
	}
	m := make(map[string]struct{}, len(set))
	for _, v := range set {
		m[v.str] = struct{}{}
	}
	return func(v Value) bool {
		_, ok := m[v.str]
		return ok
	}
}

func (c *compiler) inCollection(x valueFunc, e *In) condFunc {
	set := c.value(e.Set)
	return func(r Row, f *frame) tri {
		v := x(r, f)
		if v.typ == typeFault {
			return tri(v.num)
		}
		s := set(r, f)
		if s.typ == typeFault {
			return tri(s.num)
		}
		if items := s.Collection(); items != nil {
			for i := range items.Len() {
				if Equal(items.Value(i, 0), v) {
					return yes
				}
			}
		}
		return no
	}
}

// lambda compiles any and all. An empty or null collection makes any false and all
// true; a condition that is null for an item is not true for it (5.1.1.13).
func (c *compiler) lambda(e *Lambda) condFunc {
	over := c.value(e.Over)
	if e.Body == nil {
		return func(r Row, f *frame) tri {
			v := over(r, f)
			if v.typ == typeFault {
				return tri(v.num)
			}
			items := v.Collection()
			return truth(items != nil && items.Len() > 0)
		}
	}
	c.frames = true
	body := c.cond(e.Body)
	all := e.All
	return func(r Row, f *frame) tri {
		v := over(r, f)
		if v.typ == typeFault {
			return tri(v.num)
		}
		items := v.Collection()
		if items == nil {
			return truth(all)
		}
		level, text, used := len(f.items), len(f.text), f.used
		f.items = append(f.items, item{of: items})
		result := truth(all)
		for i := range items.Len() {
			f.items[level].index = i
			t := body(r, f)
			// What the condition built for this item is done with.
			f.text, f.used = f.text[:text], used
			if t >= faultBase || (t == yes) != all {
				result = t
				if t == unknown {
					result = no
				}
				break
			}
		}
		f.items = f.items[:level]
		return result
	}
}

// value compiles an expression of any type.
func (c *compiler) value(e Expr) valueFunc {
	switch e := e.(type) {
	case *Literal:
		v := e.Value
		return func(Row, *frame) Value { return v }
	case *Name:
		return c.name(e)
	case *Negate:
		return c.negate(e)
	case *Binary:
		if !e.Op.Comparison() {
			return c.arithmetic(e)
		}
	case *Call:
		if fn := c.valueCall(e); fn != nil {
			return fn
		}
	case *Cast:
		return c.cast(e)
	case *Case:
		return c.caseOf(e)
	case *Count:
		over := c.value(e.Over)
		return func(r Row, f *frame) Value {
			v := over(r, f)
			if v.typ == typeFault {
				return v
			}
			items := v.Collection()
			if items == nil {
				return Number(0, 0)
			}
			return Number(int64(items.Len()), 0)
		}
	case *Aggregate:
		return c.aggregate(e)
	}
	cond := c.cond(e)
	return func(r Row, f *frame) Value { return valueOf(cond(r, f)) }
}

func (c *compiler) name(e *Name) valueFunc {
	slot, typ, bad := e.Slot, e.typ, faultValue(c.site(e)+faultRowType)
	if e.Var > 0 {
		c.frames = true
		level := e.Var - 1
		return func(_ Row, f *frame) Value {
			it := f.items[level]
			v := it.of.Value(it.index, slot)
			if v.typ != typ && v.typ != TypeNull {
				return bad
			}
			return v
		}
	}
	return func(r Row, _ *frame) Value {
		v := r.Value(slot)
		if v.typ != typ && v.typ != TypeNull {
			return bad
		}
		return v
	}
}

// caseOf compiles case: the first true condition decides, null otherwise
// (5.1.1.12).
func (c *compiler) caseOf(e *Case) valueFunc {
	whens, thens := make([]condFunc, len(e.Arms)), make([]valueFunc, len(e.Arms))
	for i, a := range e.Arms {
		whens[i], thens[i] = c.cond(a.When), c.value(a.Then)
	}
	return func(r Row, f *frame) Value {
		for i, when := range whens {
			switch t := when(r, f); {
			case t == yes:
				return thens[i](r, f)
			case t >= faultBase:
				return faultValue(t)
			}
		}
		return Value{}
	}
}
