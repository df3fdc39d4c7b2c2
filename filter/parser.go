package filter

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Parse reads an expression. The text is taken as it is: percent-encoding is the
// caller's to decode, once, and white space around the expression the caller's to
// trim. A nil limits stands for the defaults. The error is an *Error.
//
// Parse knows no fields: names and types are looked at by Check.
func Parse(text string, limits *Limits) (Expr, error) {
	var p parser
	p.start(text, limits)
	e := p.expression()
	if err := p.finish("an operator", "the end"); err != nil {
		return nil, err
	}
	return e, nil
}

// Order is one key of an orderby list.
type Order struct {
	Expr Expr
	Desc bool
	Span Span // of the expression with its direction
}

// String returns the key as it is written in a list.
func (o Order) String() string {
	if o.Desc {
		return o.Expr.String() + " desc"
	}
	return o.Expr.String()
}

// ParseOrderBy reads a list of expressions, each with an optional asc or desc
// (5.1.4). The error is an *Error.
func ParseOrderBy(text string, limits *Limits) ([]Order, error) {
	var p parser
	p.start(text, limits)
	list := p.orderBy()
	if err := p.finish("an operator", "asc", "desc", "a comma", "the end"); err != nil {
		return nil, err
	}
	return list, nil
}

// ParseGroupBy reads a list of names, which may have the form of a path, a/b. The
// error is an *Error.
func ParseGroupBy(text string, limits *Limits) ([]*Name, error) {
	var p parser
	p.start(text, limits)
	list := p.names()
	if err := p.finish("a comma", "the end"); err != nil {
		return nil, err
	}
	return list, nil
}

// parser is a recursive descent with one token of look-ahead. Functions return
// nil after a fault, and the first fault stays in err.
type parser struct {
	text  string
	lim   Limits
	tok   token
	end   int // where the token before tok ends
	nodes int
	depth int // nesting of what recurses: parentheses, arguments, not and minus
	err   *Error
}

// start reads the first token. A parser stays on the stack.
func (p *parser) start(text string, limits *Limits) {
	p.text, p.lim = text, limits.withDefaults()
	switch {
	case len(text) > p.lim.Bytes:
		p.text = text[:stepBack(text, p.lim.Bytes, 1)] // an error carries no megabytes
		p.fail(CodeLimit, Span{len(p.text), len(p.text)}, "the expression is longer than "+itoa(p.lim.Bytes)+" bytes")
	case !utf8.ValidString(text):
		at := 0
		for i, r := range text {
			if r == utf8.RuneError {
				if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
					at = i
					break
				}
			}
		}
		p.fail(CodeSyntax, Span{at, at + 1}, "the text is not valid UTF-8")
	}
	p.next()
	if p.err == nil && p.tok.spaced {
		p.fail(CodeSyntax, Span{0, p.tok.from}, "no space is allowed before the expression")
	}
}

func itoa(n int) string { return string(appendPadded(nil, int64(n), 1)) }

// finish returns the fault, which may be text that was left over.
func (p *parser) finish(expected ...string) error {
	if p.err == nil && p.tok.kind != tokenEnd {
		p.unexpected(expected...)
	}
	if p.err == nil && p.tok.spaced {
		p.fail(CodeSyntax, Span{p.end, p.tok.from}, "no space is allowed after the expression")
	}
	if p.err != nil {
		return p.err
	}
	return nil
}

func (p *parser) fail(code string, span Span, message string, expected ...string) {
	if p.err == nil {
		p.err = &Error{Text: p.text, Span: span, Code: code, Message: message, Expected: expected}
	}
	p.tok = token{from: len(p.text), to: len(p.text)}
}

func (p *parser) notSupported(span Span, what string) {
	p.fail(CodeNotSupported, span, what+" is not supported")
}

// unexpected reports the current token. What people write out of habit of other
// languages is answered with the operator of this one.
func (p *parser) unexpected(expected ...string) {
	t := p.tok
	if t.kind == tokenEnd {
		p.fail(CodeSyntax, Span{len(p.text), len(p.text)}, "unexpected end", expected...)
		return
	}
	text := p.text[t.from:t.to]
	if t.kind == tokenPunct {
		for _, habit := range []struct{ is, use string }{
			{"==", "eq"}, {"!=", "ne"}, {"<>", "ne"}, {"<=", "le"}, {">=", "ge"}, {"&&", "and"}, {"||", "or"},
			{"=", "eq"}, {"<", "lt"}, {">", "gt"}, {"!", "not"}, {"&", "and"}, {"|", "or"}, {"%", "mod"}, {"*", "mul"}, {"+", "add"},
		} {
			if strings.HasPrefix(p.text[t.from:], habit.is) {
				p.fail(CodeSyntax, Span{t.from, t.from + len(habit.is)}, "unexpected "+habit.is, habit.use)
				return
			}
		}
		if t.ch == '"' {
			p.fail(CodeSyntax, Span{t.from, t.to}, `unexpected ", strings are written in single quotes`)
			return
		}
		if text[0] < ' ' || text[0] == 0x7f {
			text = "control character"
		}
	}
	if p.err == nil && t.kind == tokenWord && slices.Contains(expected, "an operator") {
		if s := nearest(text, operatorWords); s != "" && !equalFoldASCII(s, text) {
			p.fail(CodeSyntax, Span{t.from, t.to}, "unexpected "+quoteShort(text), expected...)
			p.err.Suggestion = s
			return
		}
	}
	p.fail(CodeSyntax, Span{t.from, t.to}, "unexpected "+quoteShort(text), expected...)
}

// isOperator reports whether a word is an operator, of which each may be a name
// too where the grammar has no operator.
func isOperator(word string) bool {
	if len(word) > 5 {
		return false
	}
	lower := lowerASCII(word)
	return lower == "not" || slices.Contains(operatorWords, lower)
}

var operatorWords = []string{"eq", "ne", "gt", "ge", "lt", "le", "and", "or", "in", "add", "sub", "mul", "div", "divby", "mod"}

// punctuation steps over ch or fails.
func (p *parser) expect(ch byte, expected ...string) bool {
	if p.tok.is(ch) {
		p.next()
		return p.err == nil
	}
	p.unexpected(expected...)
	return false
}

// enter counts a level of recursion; leave ends it.
func (p *parser) enter() bool {
	p.depth++
	if p.depth > p.lim.Depth {
		p.tooDeep(p.tok.from)
		return false
	}
	return p.err == nil
}

func (p *parser) leave() { p.depth-- }

func (p *parser) tooDeep(at int) {
	p.fail(CodeLimit, Span{at, min(at+1, len(p.text))}, "the expression is nested more than "+itoa(p.lim.Depth)+" levels deep")
}

// at makes the common part of a node from byte from to the end of the last token,
// above the given operands.
func (p *parser) at(from int, operands ...Expr) node {
	n := node{src: p.text, span: Span{from, p.end}, height: 1}
	for _, o := range operands {
		if o != nil {
			n.height = max(n.height, o.base().height+1)
		}
	}
	p.count(n)
	return n
}

func (p *parser) count(n node) {
	p.nodes++
	if p.nodes > p.lim.Nodes {
		p.fail(CodeLimit, n.span, "the expression has more than "+itoa(p.lim.Nodes)+" parts")
	}
	if int(n.height) > p.lim.Depth {
		p.tooDeep(max(n.span.To-1, n.span.From))
	}
}

func (p *parser) expression() Expr { return p.operators(precOr) }

// wordOp returns the operator that the current token spells.
func (p *parser) wordOp() (op Op, logic bool, prec int) {
	if p.tok.kind != tokenWord || p.tok.to-p.tok.from > 5 {
		return 0, false, 0
	}
	switch lowerASCII(p.text[p.tok.from:p.tok.to]) {
	case "or":
		return 0, true, precOr
	case "and":
		return 0, true, precAnd
	case "eq":
		op = OpEq
	case "ne":
		op = OpNe
	case "gt":
		op = OpGt
	case "ge":
		op = OpGe
	case "lt":
		op = OpLt
	case "le":
		op = OpLe
	case "add":
		op = OpAdd
	case "sub":
		op = OpSub
	case "mul":
		op = OpMul
	case "div":
		op = OpDiv
	case "divby":
		op = OpDivBy
	case "mod":
		op = OpMod
	default:
		return 0, false, 0
	}
	return op, false, op.precedence()
}

// operators reads operands joined by operators that bind at least as tightly as
// min. Operators of one precedence group from the left (5.1.1.17).
func (p *parser) operators(min int) Expr {
	from := p.tok.from
	left := p.unary()
	var chain *Logic // left, when it is a chain that was written without parentheses
	for left != nil && p.err == nil {
		op, logic, prec := p.wordOp()
		if prec == 0 || prec < min {
			return left
		}
		if !p.operatorSpaces() {
			return nil
		}
		right := p.operators(prec + 1)
		if right == nil {
			return nil
		}
		switch {
		case logic && chain != nil && chain.Or == (prec == precOr):
			chain.Args = append(chain.Args, right)
			chain.span.To = p.end
			chain.height = max(chain.height, right.base().height+1)
			p.count(chain.node)
		case logic:
			chain = &Logic{Or: prec == precOr, Args: []Expr{left, right}, node: p.at(from, left, right)}
			left = chain
		default:
			left = &Binary{Op: op, X: left, Y: right, node: p.at(from, left, right)}
			chain = nil
		}
	}
	if p.err != nil {
		return nil
	}
	return left
}

// operatorSpaces steps over an operator, which needs white space on both sides
// (RWS in the grammar).
func (p *parser) operatorSpaces() bool {
	word := p.tok
	name := p.text[word.from:word.to]
	if !word.spaced {
		p.fail(CodeSyntax, Span{word.from, word.to}, "a space is needed before "+name)
		return false
	}
	p.next()
	if p.err == nil && p.tok.kind != tokenEnd && !p.tok.spaced {
		p.fail(CodeSyntax, Span{word.from, word.to}, "a space is needed after "+name)
	}
	return p.err == nil
}

// unary reads not and minus, which bind tighter than every operator but in:
// not a eq b is (not a) eq b.
func (p *parser) unary() Expr {
	from := p.tok.from
	switch {
	case p.tok.kind == tokenWord && equalFoldASCII(p.text[p.tok.from:p.tok.to], "not"):
		if !p.enter() {
			return nil
		}
		defer p.leave()
		p.next()
		// The grammar asks for a space here too; not( is what everyone accepts.
		if p.err == nil && p.tok.kind != tokenEnd && !p.tok.spaced && !p.tok.is('(') {
			p.fail(CodeSyntax, Span{from, p.end}, "a space is needed after not")
		}
		x := p.unary()
		if x == nil {
			return nil
		}
		return &Not{X: x, node: p.at(from, x)}
	case p.tok.is('-'):
		if !p.enter() {
			return nil
		}
		defer p.leave()
		p.next()
		x := p.unary()
		if x == nil {
			return nil
		}
		return &Negate{X: x, node: p.at(from, x)}
	}
	left := p.primary()
	for left != nil && p.err == nil && p.tok.kind == tokenWord {
		switch word := p.text[p.tok.from:p.tok.to]; {
		case equalFoldASCII(word, "in"):
			left = p.in(from, left)
		case equalFoldASCII(word, "has"):
			p.notSupported(Span{p.tok.from, p.tok.to}, "the operator has (there are no enumerations)")
			return nil
		default:
			return left
		}
	}
	return left
}

// in reads what follows the left operand of in: a list of literals, or an
// expression that gives a collection.
func (p *parser) in(from int, x Expr) Expr {
	if !p.operatorSpaces() {
		return nil
	}
	if p.tok.kind == tokenWord {
		set := p.primary()
		if set == nil {
			return nil
		}
		return &In{X: x, Set: set, node: p.at(from, x, set)}
	}
	if !p.tok.is('(') {
		if p.tok.is('[') {
			p.notSupported(Span{p.tok.from, p.tok.to}, "a JSON array")
			return nil
		}
		p.unexpected("a list in parentheses")
		return nil
	}
	p.next()
	if p.tok.is(')') { // an empty list has no members
		p.next()
		return &In{X: x, node: p.at(from, x)}
	}
	first := p.literalNode()
	if p.err != nil {
		return nil
	}
	if first == nil {
		if !p.enter() {
			return nil
		}
		defer p.leave()
		set := p.expression()
		if set == nil || !p.expect(')', ")") {
			return nil
		}
		return &In{X: x, Set: set, node: p.at(from, x, set)}
	}
	list := []*Literal{first}
	for p.tok.is(',') {
		p.next()
		l := p.literalNode()
		if l == nil {
			if p.err == nil {
				p.unexpected("a literal")
			}
			return nil
		}
		list = append(list, l)
	}
	if !p.expect(')', "a comma", ")") {
		return nil
	}
	return &In{X: x, List: list, node: p.at(from, x, first)}
}

// literalNode reads a literal, or returns nil without a fault when there is none.
func (p *parser) literalNode() *Literal {
	t := p.tok
	switch t.kind {
	case tokenLiteral:
		p.next()
		return &Literal{Value: t.val, Whole: t.whole, Offset: t.offset, node: p.at(t.from)}
	case tokenWord:
		var v Value
		switch word := p.text[t.from:t.to]; {
		case equalFoldASCII(word, "null"):
		case equalFoldASCII(word, "true"):
			v = Bool(true)
		case equalFoldASCII(word, "false"):
			v = Bool(false)
		case word == "INF" || word == "NaN":
			p.notSupported(Span{t.from, t.to}, word+" (numbers are exact decimals)")
			return nil
		default:
			return nil
		}
		p.next()
		return &Literal{Value: v, node: p.at(t.from)}
	}
	return nil
}

func (p *parser) primary() Expr {
	if l := p.literalNode(); l != nil || p.err != nil {
		if l == nil {
			return nil
		}
		return l
	}
	t := p.tok
	switch {
	case t.kind == tokenWord:
		return p.named()
	case t.is('('):
		if !p.enter() {
			return nil
		}
		defer p.leave()
		p.next()
		e := p.expression()
		if e == nil {
			return nil
		}
		if p.tok.is(',') {
			p.fail(CodeSyntax, Span{p.tok.from, p.tok.to}, "a list stands to the right of in only", ")")
			return nil
		}
		if !p.expect(')', "an operator", ")") {
			return nil
		}
		return e
	case t.is('$'), t.is('@'):
		p.dollar()
		return nil
	case t.is('['), t.is('{'):
		p.notSupported(Span{t.from, t.to}, "a JSON array or object")
		return nil
	}
	p.unexpected("a field, literal, function or parenthesis")
	return nil
}

// dollar refuses $it and its kin, and @parameters, by name.
func (p *parser) dollar() {
	t := p.tok
	end := t.to
	for n := isWordPart(p.text, end); n > 0; n = isWordPart(p.text, end) {
		end += n
	}
	name := p.text[t.from:end]
	span := Span{t.from, end}
	switch {
	case end == t.to:
		p.unexpected("a field, literal, function or parenthesis")
	case t.ch == '@':
		p.notSupported(span, "the parameter or annotation "+quoteShort(name))
	case name == "$it", name == "$this", name == "$root", name == "$these", name == "$count":
		p.notSupported(span, name)
	default:
		p.fail(CodeSyntax, span, "unexpected "+quoteShort(name), "a field, literal, function or parenthesis")
	}
}

// named reads what begins with a word: a function, or a path with what follows it.
func (p *parser) named() Expr {
	t := p.tok
	word := p.text[t.from:t.to]
	call := t.to < len(p.text) && p.text[t.to] == '('
	if call {
		switch lower := lowerASCII(word); lower {
		case "cast":
			return p.cast()
		case "case":
			return p.caseOf()
		case "isof":
			p.notSupported(Span{t.from, t.to}, "the function isof")
			return nil
		case "any", "all":
			p.fail(CodeSyntax, Span{t.to, t.to + 1}, lower+" stands after the path of a collection", "lines/"+lower+"(...)")
			return nil
		default:
			if fn := functions[lower]; fn != nil {
				return p.call(fn)
			}
			if strings.HasPrefix(lower, "geo.") {
				p.notSupported(Span{t.from, t.to}, "the function "+lower)
				return nil
			}
			return p.callOrKey(word)
		}
	}
	if strings.IndexByte(word, '.') >= 0 {
		p.notSupported(Span{t.from, t.to}, "the qualified name "+quoteShort(word))
		return nil
	}
	p.next()
	if isOperator(word) && p.err == nil && (p.tok.kind == tokenLiteral || p.tok.kind == tokenWord && p.tok.spaced && !p.follows()) {
		// and and b: an operator without operand, and no field of that name.
		p.fail(CodeSyntax, Span{t.from, t.to}, "unexpected "+word, "a field, literal, function or parenthesis")
		return nil
	}
	return p.path(t.from, &Name{Path: word, node: p.at(t.from)})
}

// follows reports whether the current word may follow an operand.
func (p *parser) follows() bool {
	word := lowerASCII(p.text[p.tok.from:p.tok.to])
	return isOperator(word) || slices.Contains([]string{"has", "asc", "desc", "as", "with", "from"}, word)
}

// path reads the segments after the first: names, $count, any, all.
func (p *parser) path(from int, name *Name) Expr {
	for p.err == nil && p.tok.is('/') && !p.tok.spaced {
		slash := p.tok
		p.next()
		t := p.tok
		switch {
		case t.spaced || t.kind == tokenEnd:
			p.fail(CodeSyntax, Span{slash.from, slash.to}, "a path ends here", "a name after /")
			return nil
		case t.is('$'):
			return p.dollarSegment(from, name)
		case t.is('@'):
			p.notSupported(Span{t.from, t.to}, "an annotation in a path")
			return nil
		case t.kind == tokenLiteral && t.val.typ == TypeGuid || t.kind != tokenWord:
			p.unexpected("a name after /")
			return nil
		}
		word := p.text[t.from:t.to]
		if t.to < len(p.text) && p.text[t.to] == '(' {
			switch lowerASCII(word) {
			case "any":
				return p.lambda(from, name, false)
			case "all":
				return p.lambda(from, name, true)
			case "aggregate":
				return p.aggregateOf(from, name)
			}
			p.notSupported(Span{t.from, t.to}, "the function or key access "+quoteShort(word)+" in a path")
			return nil
		}
		p.next()
		if p.err != nil {
			return nil
		}
		name = &Name{Path: p.text[from:t.to], node: node{src: p.text, span: Span{from, t.to}, height: 1}}
	}
	if p.err != nil {
		return nil
	}
	return name
}

// dollarSegment reads lines/$count and refuses the other segments of its kind.
func (p *parser) dollarSegment(from int, name *Name) Expr {
	dollar := p.tok
	p.next()
	if p.tok.kind != tokenWord || p.tok.spaced {
		p.unexpected("$count")
		return nil
	}
	word := p.text[p.tok.from:p.tok.to]
	span := Span{dollar.from, p.tok.to}
	if word != "count" || span.To < len(p.text) && strings.IndexByte("(/", p.text[span.To]) >= 0 {
		p.notSupported(span, "the segment $"+quoteShort(word))
		if word == "count" {
			p.err.Message = "$count with options is not supported"
		}
		return nil
	}
	p.next()
	return &Count{Over: name, node: p.at(from, name)}
}

// lambda reads any( or all( with the variable and the condition; any() alone asks
// whether there are items (5.1.1.13).
func (p *parser) lambda(from int, over *Name, all bool) Expr {
	if !p.enter() {
		return nil
	}
	defer p.leave()
	p.next()
	p.next()
	if p.tok.is(')') && !all {
		p.next()
		return &Lambda{Over: over, node: p.at(from, over)}
	}
	t := p.tok
	if t.kind != tokenWord || strings.IndexByte(p.text[t.from:t.to], '.') >= 0 {
		p.unexpected("a variable and a colon")
		return nil
	}
	p.next()
	if !p.expect(':', ":") {
		return nil
	}
	body := p.expression()
	if body == nil || !p.expect(')', "an operator", ")") {
		return nil
	}
	return &Lambda{Over: over, All: all, Var: p.text[t.from:t.to], Body: body, node: p.at(from, over, body)}
}

// call reads the arguments of a function of the standard.
func (p *parser) call(fn *function) Expr {
	t := p.tok
	args, _, ok := p.arguments(false)
	if !ok {
		return nil
	}
	if len(args) < fn.min || len(args) > fn.max {
		p.fail(CodeArguments, Span{t.from, p.end}, fn.name+" takes "+fn.arity()+", not "+itoa(len(args)))
		return nil
	}
	return &Call{Func: fn.name, Args: args, fn: fn, node: p.at(t.from, args...)}
}

// arguments reads from the name of a function to its closing parenthesis.
func (p *parser) arguments(named bool) (args []Expr, names []string, ok bool) {
	if !p.enter() {
		return nil, nil, false
	}
	defer p.leave()
	p.next() // the name
	p.next() // the parenthesis
	if p.tok.is(')') {
		p.next()
		return nil, nil, p.err == nil
	}
	for {
		if named && p.tok.kind == tokenWord && p.tok.to < len(p.text) && p.text[p.tok.to] == '=' {
			names = append(names, p.text[p.tok.from:p.tok.to])
			p.next()
			p.next()
		}
		e := p.expression()
		if e == nil {
			return nil, nil, false
		}
		args = append(args, e)
		if !p.tok.is(',') {
			break
		}
		p.next()
	}
	if len(names) > 0 && len(names) != len(args) {
		p.fail(CodeSyntax, args[len(args)-1].Span(), "either all arguments have names or none")
		return nil, nil, false
	}
	return args, names, p.expect(')', "an operator", "a comma", ")")
}

// callOrKey reads a call of a function outside the standard, or access by key,
// which look alike: Items(1), Self.sqrt(Number=x).
func (p *parser) callOrKey(word string) Expr {
	t := p.tok
	if strings.IndexByte(word, '.') >= 0 {
		args, names, ok := p.arguments(true)
		if !ok {
			return nil
		}
		if len(args) > 0 && names == nil {
			p.fail(CodeSyntax, args[0].Span(), "the arguments of "+quoteShort(word)+" need names", "name=value")
			return nil
		}
		if p.tok.is('/') {
			p.notSupported(Span{p.tok.from, p.tok.to}, "a path after a function")
			return nil
		}
		return &Call{Func: word, Args: args, Names: names, node: p.at(t.from, args...)}
	}
	s := otherNames[lowerASCII(word)]
	if s == "" {
		s = nearest(lowerASCII(word), functionNames)
	}
	if s != "" {
		p.fail(CodeUnknownFunction, Span{t.from, t.to}, "there is no function "+quoteShort(word))
		p.err.Suggestion = s
		return nil
	}
	name := &Name{Path: word, node: node{src: p.text, span: Span{t.from, t.to}, height: 1}}
	args, names, ok := p.arguments(true)
	if !ok {
		return nil
	}
	isKey := len(args) == 1 || len(names) > 0
	for _, a := range args {
		_, literal := a.(*Literal)
		isKey = isKey && literal
	}
	if !isKey {
		p.fail(CodeUnknownFunction, Span{t.from, t.to}, "there is no function "+quoteShort(word))
		return nil
	}
	if p.tok.is('/') {
		p.notSupported(Span{p.tok.from, p.tok.to}, "a path after a key")
		return nil
	}
	return &ByKey{Over: name, Args: args, Names: names, node: p.at(t.from, args...)}
}

// cast reads cast(x,Edm.T), with the type bare as in 4.01 or quoted as before, and
// cast(T).
func (p *parser) cast() Expr {
	t := p.tok
	if !p.enter() {
		return nil
	}
	defer p.leave()
	p.next()
	p.next()
	if p.tok.kind == tokenWord && strings.IndexByte(p.text[p.tok.from:p.tok.to], '.') >= 0 {
		if to, ok := p.typeName(); ok && p.tok.is(')') {
			p.next()
			return &Cast{To: to, node: p.at(t.from)}
		}
		p.unexpected(")")
		return nil
	}
	x := p.expression()
	if x == nil {
		return nil
	}
	if p.tok.is(')') {
		p.next()
		switch x := x.(type) {
		case *Name:
			return &Cast{To: x.Path, node: p.at(t.from)}
		case *Literal:
			if x.Value.typ == TypeString && isTypeName(x.Value.str) && strings.IndexByte(x.Value.str, '.') > 0 {
				return &Cast{To: x.Value.str, node: p.at(t.from)}
			}
		}
		p.fail(CodeArguments, x.Span(), "cast takes a value and a type", "cast(value,Edm.Decimal)")
		return nil
	}
	if !p.expect(',', "an operator", "a comma and a type") {
		return nil
	}
	to, ok := p.typeName()
	if !ok || !p.expect(')', ")") {
		return nil
	}
	return &Cast{X: x, To: to, node: p.at(t.from, x)}
}

func (p *parser) typeName() (string, bool) {
	t := p.tok
	switch {
	case t.kind == tokenWord:
		p.next()
		return p.text[t.from:t.to], p.err == nil
	case t.kind == tokenLiteral && t.val.typ == TypeString && isTypeName(t.val.str):
		p.next()
		return t.val.str, p.err == nil
	}
	p.unexpected("a type like Edm.Decimal")
	return "", false
}

// isTypeName reports whether s is an identifier, or several joined by points.
func isTypeName(s string) bool {
	start := true
	for i := 0; i < len(s); {
		n := isWordPart(s, i)
		if start {
			n = isWordStart(s, i)
		}
		start = false
		if n == 0 && s[i] == '.' && i > 0 && s[i-1] != '.' {
			n, start = 1, true
		}
		if n == 0 {
			return false
		}
		i += n
	}
	return s != "" && !start
}

// caseOf reads case(when:then,...) (5.1.1.12).
func (p *parser) caseOf() Expr {
	t := p.tok
	if !p.enter() {
		return nil
	}
	defer p.leave()
	p.next()
	p.next()
	var arms []Arm
	var parts []Expr
	for {
		when := p.expression()
		if when == nil || !p.expect(':', "an operator", ":") {
			return nil
		}
		then := p.expression()
		if then == nil {
			return nil
		}
		arms = append(arms, Arm{When: when, Then: then})
		parts = append(parts, when, then)
		if !p.tok.is(',') {
			break
		}
		p.next()
	}
	if !p.expect(')', "an operator", "a comma", ")") {
		return nil
	}
	return &Case{Arms: arms, node: p.at(t.from, parts...)}
}

// orderBy reads keys up to something that is no comma.
func (p *parser) orderBy() []Order {
	var list []Order
	for {
		from := p.tok.from
		e := p.expression()
		if e == nil {
			return nil
		}
		o := Order{Expr: e}
		if p.tok.kind == tokenWord {
			word := p.text[p.tok.from:p.tok.to]
			desc := equalFoldASCII(word, "desc")
			if desc || equalFoldASCII(word, "asc") {
				if !p.tok.spaced {
					p.fail(CodeSyntax, Span{p.tok.from, p.tok.to}, "a space is needed before "+word)
					return nil
				}
				o.Desc = desc
				p.next()
			}
		}
		o.Span = Span{from, p.end}
		list = append(list, o)
		if p.err != nil || !p.tok.is(',') {
			return list
		}
		p.next()
	}
}

// names reads names up to something that is no comma.
func (p *parser) names() []*Name {
	var list []*Name
	for {
		n := p.nameOnly()
		if n == nil {
			return nil
		}
		list = append(list, n)
		if p.err != nil || !p.tok.is(',') {
			return list
		}
		p.next()
	}
}

func (p *parser) nameOnly() *Name {
	t := p.tok
	if t.kind != tokenWord {
		p.unexpected("a name")
		return nil
	}
	if strings.IndexByte(p.text[t.from:t.to], '.') >= 0 {
		p.notSupported(Span{t.from, t.to}, "the qualified name "+quoteShort(p.text[t.from:t.to]))
		return nil
	}
	p.next()
	e := p.path(t.from, &Name{Path: p.text[t.from:t.to], node: p.at(t.from)})
	if e == nil {
		return nil
	}
	n, ok := e.(*Name)
	if !ok {
		p.fail(CodeSyntax, e.Span(), "unexpected "+quoteShort(e.String()), "a name")
		return nil
	}
	return n
}
