package filter

import "strings"

// Expr is a node of an expression tree. The node types are Literal, Name, Not,
// Negate, Logic, Binary, In, Call, Cast, Case, Lambda, Count, ByKey and Aggregate,
// always as pointers; there are no others, so a type switch over them is
// complete.
//
// A tree that Parse or Check returned is not changed any more and may be shared;
// treat it as read-only.
type Expr interface {
	// Span is where the expression stands in the text, without parentheses
	// around it.
	Span() Span
	// Type is the type that Check found; TypeNull before.
	Type() Type
	// IsWhole reports whether Check found a number that is always a whole one
	// (Edm.Int64 and its kin), for which div truncates.
	IsWhole() bool
	// String returns the expression as text that parses to an equal tree.
	String() string
	base() *node
}

// node is what all nodes have.
type node struct {
	src     string // the whole text, for errors
	span    Span
	height  int32
	typ     Type
	integer bool // a number known to be whole, so that div truncates
	folds   bool // a string that comes from a field with FoldCase
}

func (n *node) Span() Span  { return n.span }
func (n *node) Type() Type  { return n.typ }
func (n *node) base() *node { return n }

func (n *node) IsWhole() bool { return n.integer }

// Op is an operator between two operands.
type Op uint8

// The operators.
const (
	OpEq Op = iota
	OpNe
	OpGt
	OpGe
	OpLt
	OpLe
	OpAdd
	OpSub
	OpMul
	OpDiv
	OpDivBy
	OpMod
)

var opNames = [...]string{"eq", "ne", "gt", "ge", "lt", "le", "add", "sub", "mul", "div", "divby", "mod"}

// String returns the operator as it is written.
func (o Op) String() string { return opNames[o] }

// Comparison reports whether the operator compares, giving a boolean; the others
// are arithmetic.
func (o Op) Comparison() bool { return o <= OpLe }

// flip returns the operator for exchanged operands.
func (o Op) flip() Op {
	switch o {
	case OpGt:
		return OpLt
	case OpGe:
		return OpLe
	case OpLt:
		return OpGt
	case OpLe:
		return OpGe
	}
	return o
}

type (
	// Literal is a constant.
	Literal struct {
		node
		Value  Value
		Whole  bool // a number written without point and exponent
		Offset int  // minutes of an instant's offset from UTC as written
	}

	// Name refers to a field, or inside a Lambda to its variable or a field of it.
	Name struct {
		node
		Path string // as written: a, or a/b
		// Set by Check.
		Field *Field // nil before Check
		Slot  int    // index of the field in Checked.Fields; of a variable, index of the item's field
		Var   int    // 0 for a field of the row; n for the variable of the n-th Lambda around the name, counted from outside
	}

	// Not is logical negation.
	Not struct {
		node
		X Expr
	}

	// Negate is arithmetic negation.
	Negate struct {
		node
		X Expr
	}

	// Logic is a chain of and, or a chain of or, of two or more operands.
	Logic struct {
		node
		Or   bool
		Args []Expr
	}

	// Binary is a comparison or an arithmetic operation.
	Binary struct {
		node
		Op   Op
		X, Y Expr
	}

	// In is membership in a list of literals, or in the collection Set.
	In struct {
		node
		X    Expr
		List []*Literal
		Set  Expr // nil when there is a List
	}

	// Call is a call of a function. Func is its name in lower case, as the
	// standard writes it. A function of another namespace (Self.sqrt) keeps its
	// case and has the Names of its arguments.
	Call struct {
		node
		Func  string
		Args  []Expr
		Names []string
		fn    *function
	}

	// Cast is cast(X,To). X is nil in the form with one argument.
	Cast struct {
		node
		X  Expr
		To string // Edm.Decimal and so on
	}

	// Case is case(when:then,...).
	Case struct {
		node
		Arms []Arm
	}

	// Arm is one condition of a Case with its result.
	Arm struct{ When, Then Expr }

	// Lambda is any or all over a collection.
	Lambda struct {
		node
		Over *Name
		All  bool
		Var  string // empty for any() without arguments
		Body Expr   // nil for any() without arguments
	}

	// Count is the number of items of a collection: lines/$count.
	Count struct {
		node
		Over *Name
	}

	// ByKey is access to an item of a collection by its key: Items(1). Nothing but
	// the grammar knows it: Check refuses it.
	ByKey struct {
		node
		Over  *Name
		Args  []Expr
		Names []string
		Rest  string // the path after it
	}

	// Aggregate is Path/aggregate(...) in an expression. Nothing but the grammar
	// knows it: Check refuses it.
	Aggregate struct {
		node
		Over *Name
		Aggs []AggregateExpr
	}
)

// Walk calls visit for e and, while visit returns true, for what is below it,
// from left to right. It does not go deeper than any tree of Parse.
func Walk(e Expr, visit func(Expr) bool) { walk(e, visit, 0) }

func walk(e Expr, visit func(Expr) bool, depth int) {
	if e == nil || depth > hardDepth+1 || !visit(e) {
		return
	}
	eachChild(e, func(c Expr) { walk(c, visit, depth+1) })
}

// eachChild calls f for the operands of e, from left to right.
func eachChild(e Expr, f func(Expr)) {
	switch e := e.(type) {
	case *Not:
		f(e.X)
	case *Negate:
		f(e.X)
	case *Logic:
		for _, a := range e.Args {
			f(a)
		}
	case *Binary:
		f(e.X)
		f(e.Y)
	case *In:
		f(e.X)
		for _, l := range e.List {
			f(l)
		}
		if e.Set != nil {
			f(e.Set)
		}
	case *Call:
		for _, a := range e.Args {
			f(a)
		}
	case *Cast:
		if e.X != nil {
			f(e.X)
		}
	case *Case:
		for _, a := range e.Arms {
			f(a.When)
			f(a.Then)
		}
	case *Lambda:
		f(e.Over)
		if e.Body != nil {
			f(e.Body)
		}
	case *Count:
		f(e.Over)
	case *ByKey:
		f(e.Over)
		for _, a := range e.Args {
			f(a)
		}
	case *Aggregate:
		f(e.Over)
		for _, a := range e.Aggs {
			if a.Expr != nil {
				f(a.Expr)
			}
		}
	}
}

// String methods: one printer, which stops at the depth that no tree of Parse has.

func (e *Literal) String() string   { return print(e) }
func (e *Name) String() string      { return e.Path }
func (e *Not) String() string       { return print(e) }
func (e *Negate) String() string    { return print(e) }
func (e *Logic) String() string     { return print(e) }
func (e *Binary) String() string    { return print(e) }
func (e *In) String() string        { return print(e) }
func (e *Call) String() string      { return print(e) }
func (e *Cast) String() string      { return print(e) }
func (e *Case) String() string      { return print(e) }
func (e *Lambda) String() string    { return print(e) }
func (e *Count) String() string     { return print(e) }
func (e *ByKey) String() string     { return print(e) }
func (e *Aggregate) String() string { return print(e) }

// Precedences of OData 4.01 part 2, 5.1.1.17, higher binds tighter.
const (
	precOr = iota + 1
	precAnd
	precEquality
	precRelation
	precAdd
	precMul
	precUnary
	precIn
	precPrimary
)

func (o Op) precedence() int {
	switch o {
	case OpEq, OpNe:
		return precEquality
	case OpGt, OpGe, OpLt, OpLe:
		return precRelation
	case OpAdd, OpSub:
		return precAdd
	}
	return precMul
}

func precedence(e Expr) int {
	switch e := e.(type) {
	case *Logic:
		if e.Or {
			return precOr
		}
		return precAnd
	case *Binary:
		return e.Op.precedence()
	case *Not, *Negate:
		return precUnary
	case *In:
		return precIn
	}
	return precPrimary
}

func print(e Expr) string {
	var p printer
	p.expr(e, 0)
	return string(p.b)
}

type printer struct {
	b     []byte
	depth int
}

// expr prints e, in parentheses where it binds no tighter than min asks for.
func (p *printer) expr(e Expr, min int) {
	if p.depth > hardDepth+1 || e == nil {
		p.b = append(p.b, "..."...)
		return
	}
	p.depth++
	defer func() { p.depth-- }()
	if precedence(e) < min {
		p.b = append(p.b, '(')
		p.bare(e)
		p.b = append(p.b, ')')
		return
	}
	p.bare(e)
}

func (p *printer) bare(e Expr) {
	switch e := e.(type) {
	case *Literal:
		p.literal(e)
	case *Name:
		p.b = append(p.b, e.Path...)
	case *Not:
		p.b = append(p.b, "not "...)
		p.expr(e.X, precUnary)
	case *Negate:
		p.negate(e)
	case *Logic:
		op, prec := " and ", precAnd
		if e.Or {
			op, prec = " or ", precOr
		}
		for i, a := range e.Args {
			if i > 0 {
				p.b = append(p.b, op...)
			}
			p.expr(a, prec+1)
		}
	case *Binary:
		prec := e.Op.precedence()
		p.expr(e.X, prec)
		p.b = append(p.b, ' ')
		p.b = append(p.b, e.Op.String()...)
		p.b = append(p.b, ' ')
		p.expr(e.Y, prec+1)
	case *In:
		p.expr(e.X, precIn)
		p.b = append(p.b, " in ("...)
		if _, literal := e.Set.(*Literal); literal {
			// A single literal in parentheses would be read as a list.
			p.b = append(p.b, '(')
			p.expr(e.Set, 0)
			p.b = append(p.b, ')')
		} else if e.Set != nil {
			p.expr(e.Set, 0)
		}
		for i, l := range e.List {
			if i > 0 {
				p.b = append(p.b, ',')
			}
			p.literal(l)
		}
		p.b = append(p.b, ')')
	case *Call:
		p.b = append(p.b, e.Func...)
		p.arguments(e.Args, e.Names)
	case *Cast:
		p.b = append(p.b, "cast("...)
		if e.X != nil {
			p.expr(e.X, 0)
			p.b = append(p.b, ',')
		}
		p.b = append(p.b, e.To...)
		p.b = append(p.b, ')')
	case *Case:
		p.b = append(p.b, "case("...)
		for i, a := range e.Arms {
			if i > 0 {
				p.b = append(p.b, ',')
			}
			p.expr(a.When, 0)
			// A number before a colon and a number after it would be read as a
			// time of day.
			p.b = append(p.b, " : "...)
			p.expr(a.Then, 0)
		}
		p.b = append(p.b, ')')
	case *Lambda:
		p.b = append(p.b, e.Over.Path...)
		if e.All {
			p.b = append(p.b, "/all("...)
		} else {
			p.b = append(p.b, "/any("...)
		}
		if e.Body != nil {
			p.b = append(p.b, e.Var...)
			p.b = append(p.b, ':')
			p.expr(e.Body, 0)
		}
		p.b = append(p.b, ')')
	case *Count:
		p.b = append(p.b, e.Over.Path...)
		p.b = append(p.b, "/$count"...)
	case *ByKey:
		p.b = append(p.b, e.Over.Path...)
		p.arguments(e.Args, e.Names)
	case *Aggregate:
		p.b = append(p.b, e.Over.Path...)
		p.b = append(p.b, "/aggregate("...)
		p.aggregates(e.Aggs)
		p.b = append(p.b, ')')
	}
}

// negate keeps the sign away from a digit, with which it would be one literal.
func (p *printer) negate(e *Negate) {
	p.b = append(p.b, '-')
	at := len(p.b)
	p.expr(e.X, precUnary)
	if at < len(p.b) && p.b[at] >= '0' && p.b[at] <= '9' {
		p.b = append(p.b, "()"...)
		copy(p.b[at+1:], p.b[at:len(p.b)-2])
		p.b[at], p.b[len(p.b)-1] = '(', ')'
	}
}

func (p *printer) arguments(args []Expr, names []string) {
	p.b = append(p.b, '(')
	for i, a := range args {
		if i > 0 {
			p.b = append(p.b, ',')
		}
		if i < len(names) {
			p.b = append(p.b, names[i]...)
			p.b = append(p.b, '=')
		}
		p.expr(a, 0)
	}
	p.b = append(p.b, ')')
}

func (p *printer) literal(e *Literal) {
	switch {
	case e.Value.typ == TypeTime && e.Offset != 0:
		p.b = appendTime(p.b, e.Value.num, e.Value.scale, int64(e.Offset))
	case e.Value.typ == TypeDecimal && !e.Whole:
		s := e.Value.Literal()
		p.b = append(p.b, s...)
		if !strings.ContainsRune(s, '.') {
			p.b = append(p.b, ".0"...) // keeps 5.0 a decimal, for which div does not truncate
		}
	default:
		p.b = e.Value.appendLiteral(p.b)
	}
}
