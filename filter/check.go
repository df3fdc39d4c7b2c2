package filter

import (
	"strings"
	"unicode"
)

// Check resolves the names of a condition against a schema, checks types and
// computes what is constant. The condition must be boolean; the null literal is
// allowed and selects nothing. The error is an *Error.
//
// The tree e is not changed.
func Check(e Expr, schema Schema) (*Checked, error) {
	c := &checker{schema: schema}
	x := c.expr(e)
	if x != nil && x.Type() != TypeBool && x.Type() != TypeNull {
		c.fail(x, CodeType, "a filter must be a condition, this is a "+x.Type().String())
	}
	if c.err != nil {
		return nil, c.err
	}
	return newChecked(x), nil
}

// CheckValue is Check for an expression of any type but collection, for a key of
// an orderby list.
func CheckValue(e Expr, schema Schema) (*Checked, error) {
	c := &checker{schema: schema, use: useSort}
	x := c.expr(e)
	if x != nil && x.Type() == TypeCollection {
		c.fail(x, CodeType, "a collection has no order")
	}
	if c.err != nil {
		return nil, c.err
	}
	return newChecked(x), nil
}

// checker makes the checked copy of a tree. Its functions return nil after a
// fault.
type checker struct {
	schema Schema
	use    use
	vars   []lambdaVar
	depth  int
	err    *Error
}

// use is what an expression is for, which decides which fields it may name.
type use uint8

const (
	useFilter use = iota
	useSort
	useValue // something to aggregate or compute: any field
)

type lambdaVar struct {
	name  string
	items []Field
}

func (c *checker) fail(e Expr, code, message string, expected ...string) {
	if c.err == nil {
		c.err = &Error{Text: e.base().src, Span: e.Span(), Code: code, Message: message, Expected: expected}
	}
}

func (c *checker) expr(e Expr) Expr {
	if c.err != nil {
		return nil
	}
	if c.depth++; c.depth > hardDepth {
		c.fail(e, CodeLimit, "the expression is nested too deeply")
		return nil
	}
	defer func() { c.depth-- }()
	switch e := e.(type) {
	case *Literal:
		n := *e
		n.typ, n.integer = e.Value.typ, e.Value.typ == TypeDecimal && e.Whole
		return &n
	case *Name:
		if n := c.name(e); n != nil {
			return n
		}
	case *Not:
		if x := c.condition(e.X, "not"); x != nil {
			n := &Not{node: e.node, X: x}
			n.typ = TypeBool
			return fold(n)
		}
	case *Negate:
		return c.negate(e)
	case *Logic:
		return c.logic(e)
	case *Binary:
		x, y := c.expr(e.X), c.expr(e.Y)
		if x == nil || y == nil {
			return nil
		}
		if e.Op.Comparison() {
			return c.compare(e, x, y)
		}
		return c.arithmetic(e, x, y)
	case *In:
		return c.in(e)
	case *Call:
		return c.call(e)
	case *Cast:
		return c.cast(e)
	case *Case:
		return c.caseOf(e)
	case *Lambda:
		return c.lambda(e)
	case *Count:
		if over := c.collection(e.Over); over != nil {
			n := &Count{node: e.node, Over: over}
			n.typ, n.integer = TypeDecimal, true
			return n
		}
	case *ByKey:
		c.fail(e, CodeNotSupported, "access to an item by its key is not supported")
	case *Aggregate:
		return c.aggregate(e)
	}
	return nil
}

// condition checks an operand that must be boolean or the null literal.
func (c *checker) condition(e Expr, of string) Expr {
	x := c.expr(e)
	if x == nil {
		return nil
	}
	if t := x.Type(); t != TypeBool && t != TypeNull {
		message := "the operand of " + of + " must be a condition, this is a " + t.String()
		if of == "not" {
			message += " (not binds tighter than comparisons: write not (a eq b))"
		}
		c.fail(x, CodeType, message)
		return nil
	}
	return x
}

func (c *checker) logic(e *Logic) Expr {
	of := "and"
	if e.Or {
		of = "or"
	}
	n := &Logic{node: e.node, Or: e.Or, Args: make([]Expr, len(e.Args))}
	n.typ = TypeBool
	for i, a := range e.Args {
		if n.Args[i] = c.condition(a, of); n.Args[i] == nil {
			return nil
		}
	}
	return fold(n)
}

func (c *checker) name(e *Name) *Name {
	n := *e
	first, rest, path := strings.Cut(e.Path, "/")
	for i := len(c.vars) - 1; i >= 0; i-- {
		v := c.vars[i]
		if v.name == "" {
			if !path || v.items[0].Name == "" {
				return c.itemField(&n, v, i+1)
			}
			continue
		}
		if v.name != first {
			continue
		}
		n.Var = i + 1
		for slot, f := range v.items {
			if f.Name == rest && path == (f.Name != "") {
				n.Field, n.Slot = &v.items[slot], slot
				n.typ, n.integer, n.folds = f.Type, f.Whole, f.FoldCase
				return &n
			}
		}
		if !path {
			c.fail(e, CodeType, "the items of the collection are objects, name a field of "+first, first+"/"+v.items[0].Name)
			return nil
		}
		names := make([]string, 0, len(v.items))
		for _, f := range v.items {
			if f.Name != "" {
				names = append(names, first+"/"+f.Name)
			}
		}
		c.fail(e, CodeUnknownName, "the items have no field "+quoteShort(rest))
		c.err.Suggestion = nearest(e.Path, names)
		return nil
	}
	f, ok := c.schema.Field(e.Path)
	if !ok {
		c.fail(e, CodeUnknownName, "there is no field "+quoteShort(e.Path))
		c.err.Suggestion = nearest(e.Path, c.schema.Names())
		return nil
	}
	if c.use == useSort && f.NoSort {
		c.fail(e, CodeNotAllowed, "the field "+f.Name+" may not be sorted by")
		return nil
	}
	if c.use == useFilter && f.NoFilter {
		c.fail(e, CodeNotAllowed, "the field "+f.Name+" may not be filtered by")
		return nil
	}
	n.Field, n.Path = &f, f.Name
	n.typ, n.integer, n.folds = f.Type, f.Whole, f.FoldCase
	return &n
}

// itemField resolves a bare name inside aggregate: a field of the item, or the
// variable of a lambda around it.
func (c *checker) itemField(n *Name, v lambdaVar, level int) *Name {
	names := make([]string, 0, len(v.items))
	for slot, f := range v.items {
		if f.Name == n.Path {
			n.Field, n.Slot, n.Var = &v.items[slot], slot, level
			n.typ, n.integer, n.folds = f.Type, f.Whole, f.FoldCase
			return n
		}
		names = append(names, f.Name)
	}
	c.fail(n, CodeUnknownName, "the items have no field "+quoteShort(n.Path))
	c.err.Suggestion = nearest(n.Path, names)
	return nil
}

// compare checks eq, ne, gt, ge, lt, le (5.1.1.1). A literal comes to stand on the
// right, so that whoever walks the checked tree meets one form.
func (c *checker) compare(e *Binary, x, y Expr) Expr {
	op := e.Op
	if isLiteral(x) && !isLiteral(y) {
		x, y, op = y, x, op.flip()
	}
	x, y = c.sameType(e, x, y)
	if x == nil {
		return nil
	}
	if t := commonType(x, y); t == TypeCollection {
		c.fail(e, CodeType, "collections cannot be compared, use any or all")
		return nil
	} else if t == TypeGuid && op > OpNe {
		c.fail(e, CodeType, "guids have no order", "eq", "ne")
		return nil
	}
	if x.base().folds || y.base().folds {
		x, y = lowered(x), lowered(y)
	}
	n := &Binary{node: e.node, Op: op, X: x, Y: y}
	n.typ = TypeBool
	return fold(n)
}

func isLiteral(e Expr) bool { _, ok := e.(*Literal); return ok }

func commonType(x, y Expr) Type {
	if x.Type() == TypeNull {
		return y.Type()
	}
	return x.Type()
}

// sameType brings the operands of e to one type, or reports why not. There is no
// conversion between strings and numbers; a date literal against an instant is
// its midnight UTC.
func (c *checker) sameType(e Expr, x, y Expr) (Expr, Expr) {
	tx, ty := x.Type(), y.Type()
	if tx == ty || tx == TypeNull || ty == TypeNull {
		return x, y
	}
	if tx == TypeTime && ty == TypeDate && isLiteral(y) {
		return x, midnight(y.(*Literal))
	}
	if tx == TypeDate && ty == TypeTime && isLiteral(x) {
		return midnight(x.(*Literal)), y
	}
	message := "cannot compare " + tx.String() + " with " + ty.String()
	lit, other := y, tx
	if !isLiteral(lit) {
		lit, other = x, ty
	}
	if l, ok := lit.(*Literal); ok {
		switch {
		case l.typ == TypeString && other == TypeTime:
			message += ", drop the quotes or use cast(" + quoteShort(l.Value.Literal()) + ",Edm.DateTimeOffset)"
		case l.typ == TypeString && other == TypeBool:
			message += ", write true or false without quotes"
		case l.typ == TypeString && other != TypeCollection:
			message += ", drop the quotes"
		case other == TypeString && l.typ != TypeCollection:
			message += ", put the literal in quotes"
		}
	}
	if tx == TypeTime && ty == TypeDate || tx == TypeDate && ty == TypeTime {
		message += ", use date() on the date-time"
	}
	if isLiteral(lit) {
		e = lit // what is most likely wrong
	}
	c.fail(e, CodeType, message)
	return nil, nil
}

// midnight turns a date literal into the instant at which the date begins in UTC.
func midnight(l *Literal) *Literal {
	n := *l
	n.Value = Micros(l.Value.num * microsPerDay)
	n.typ = TypeTime
	return &n
}

// lowered wraps a string in tolower, to compare without regard to case.
func lowered(e Expr) Expr {
	switch x := e.(type) {
	case *Literal:
		if x.Value.typ != TypeString {
			return e
		}
		n := *x
		n.Value = String(strings.Map(unicode.ToLower, x.Value.str))
		return &n
	case *Call:
		if x.Func == "tolower" {
			return e
		}
	}
	n := &Call{node: *e.base(), Func: "tolower", Args: []Expr{e}, fn: functions["tolower"]}
	n.folds = false
	return n
}

// in checks membership (5.1.1.1.11): a list of literals of the operand's type,
// null among them, or a collection of primitive values.
func (c *checker) in(e *In) Expr {
	x := c.expr(e.X)
	if x == nil {
		return nil
	}
	if x.Type() == TypeCollection {
		c.fail(x, CodeType, "a collection cannot be an item of a list, use any or all")
		return nil
	}
	n := &In{node: e.node, X: x}
	n.typ = TypeBool
	if e.Set != nil {
		set, ok := e.Set.(*Name)
		if !ok {
			c.fail(e.Set, CodeType, "the right operand of in must be a list of literals or a collection")
			return nil
		}
		s := c.collection(set)
		if s == nil {
			return nil
		}
		item := s.Field.Items[0]
		if item.Name != "" {
			c.fail(set, CodeType, "the items of the collection are objects, use any")
			return nil
		}
		if t := x.Type(); t != item.Type && t != TypeNull {
			c.fail(e, CodeType, "cannot look for a "+t.String()+" among items of type "+item.Type.String())
			return nil
		}
		n.Set = s
		if x.base().folds || item.FoldCase {
			return foldedIn(n, s, len(c.vars)+1)
		}
		return n
	}
	folds := x.base().folds
	n.List = make([]*Literal, len(e.List))
	for i, l := range e.List {
		item, _ := c.expr(l).(*Literal)
		if item == nil {
			return nil
		}
		_, y := c.sameType(item, x, item)
		if y == nil {
			return nil
		}
		if folds {
			y = lowered(y)
		}
		n.List[i] = y.(*Literal)
	}
	if folds {
		n.X = lowered(x)
	}
	return fold(n)
}

// foldedIn writes membership without regard to case as any with tolower.
func foldedIn(n *In, set *Name, level int) Expr {
	item := &Name{node: n.node, Path: "item", Field: &set.Field.Items[0], Var: level}
	item.typ, item.height = TypeString, 1
	eq := &Binary{node: n.node, Op: OpEq, X: lowered(item), Y: lowered(n.X)}
	return &Lambda{node: n.node, Over: set, Var: "item", Body: eq}
}

// collection checks the name of a collection.
func (c *checker) collection(e *Name) *Name {
	n := c.name(e)
	if n == nil {
		return nil
	}
	if n.typ != TypeCollection {
		c.fail(e, CodeType, "the field "+e.Path+" is a "+n.typ.String()+" and no collection")
		return nil
	}
	if len(n.Field.Items) == 0 {
		// NewSchema refuses it; another Schema may not.
		c.fail(e, CodeType, "the schema does not say what the items of "+e.Path+" are")
		return nil
	}
	return n
}

func (c *checker) lambda(e *Lambda) Expr {
	over := c.collection(e.Over)
	if over == nil {
		return nil
	}
	n := &Lambda{node: e.node, Over: over, All: e.All, Var: e.Var}
	n.typ = TypeBool
	if e.Body == nil {
		return n
	}
	for _, v := range c.vars {
		if v.name == e.Var {
			c.fail(e, CodeSyntax, "the variable "+e.Var+" is used twice")
			return nil
		}
	}
	c.vars = append(c.vars, lambdaVar{e.Var, over.Field.Items})
	n.Body = c.condition(e.Body, "any or all")
	c.vars = c.vars[:len(c.vars)-1]
	if n.Body == nil {
		return nil
	}
	return n
}

// call checks the arguments of a function.
func (c *checker) call(e *Call) Expr {
	fn := e.fn
	if fn == nil {
		fn = functions[lowerASCII(e.Func)]
	}
	if fn == nil || len(e.Args) < fn.min || len(e.Args) > fn.max {
		c.fail(e, CodeUnknownFunction, "there is no function "+quoteShort(e.Func))
		return nil
	}
	n := &Call{node: e.node, Func: fn.name, Args: make([]Expr, len(e.Args)), fn: fn}
	n.typ, n.integer = fn.result, fn.whole
	anyFolds := false
	for i, a := range e.Args {
		x := c.expr(a)
		if x == nil {
			return nil
		}
		if t := x.Type(); !fn.params[i].has(t) {
			c.fail(x, CodeType, fn.name+" takes a "+fn.params[i].String()+", this is a "+t.String())
			return nil
		}
		if l, ok := x.(*Literal); ok && l.Offset != 0 && fn.result != TypeBool {
			// 5.1.1.8: the functions look at a value's own offset. Instants are
			// kept in UTC here, so the answer for another offset would be wrong.
			c.fail(x, CodeNotSupported, fn.name+" of a date-time with an offset is not supported, instants are kept in UTC")
			return nil
		}
		anyFolds = anyFolds || x.base().folds
		n.Args[i] = x
	}
	switch fn.name {
	case "matchesPattern":
		if !c.pattern(n.Args[1]) {
			return nil
		}
	case "contains", "startswith", "endswith", "indexof":
		if anyFolds {
			for i := range n.Args {
				n.Args[i] = lowered(n.Args[i])
			}
		}
	case "trim", "substring", "concat":
		n.folds = anyFolds
	}
	if fn.name == "now" {
		return n
	}
	return fold(n)
}

// fold computes a node whose operands are all literals. What fails when it is
// computed stays as it is and fails when the program gets there, which it may
// never do.
func fold(e Expr) Expr {
	constant := true
	eachChild(e, func(x Expr) { constant = constant && isLiteral(x) })
	if !constant {
		return e
	}
	v, err := compileValue(e).Eval(nil)
	if err != nil {
		return e
	}
	l := &Literal{node: *e.base(), Value: v, Whole: e.base().integer}
	l.height, l.folds = 1, false
	if cast, ok := e.(*Cast); ok {
		l.Offset = castOffset(cast)
	}
	return l
}
