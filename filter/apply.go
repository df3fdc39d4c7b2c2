package filter

import "strings"

// Apply is the tree of an $apply text: transformations, each of which takes what
// the one before it gives. The shape is that of the OData extension for data
// aggregation 4.0; CheckApply says which transformations have a meaning here.
type Apply struct {
	Steps []Step
}

// String returns the steps as text that parses to an equal tree.
func (a *Apply) String() string {
	var p printer
	p.steps(a.Steps)
	return string(p.b)
}

// Step is one transformation. The types are FilterStep, GroupByStep,
// AggregateStep, ComputeStep, OrderByStep, TopStep, SkipStep, RankStep,
// IdentityStep, ConcatStep, SearchStep, NestStep and JoinStep, always as pointers;
// there are no others.
type Step interface {
	// Span is where the step stands in the text.
	Span() Span
	// Name is the transformation as it is written, in lower case.
	Name() string
	stepBase() *step
}

type step struct {
	src  string
	span Span
}

func (s *step) Span() Span      { return s.span }
func (s *step) stepBase() *step { return s }

type (
	// FilterStep is filter(condition).
	FilterStep struct {
		step
		Cond Expr
	}

	// GroupByStep is groupby((names),steps); Steps is empty for the distinct
	// combinations alone.
	GroupByStep struct {
		step
		Names []*Name
		Steps []Step
	}

	// AggregateStep is aggregate(...).
	AggregateStep struct {
		step
		Aggs []AggregateExpr
	}

	// ComputeStep is compute(expression as name,...).
	ComputeStep struct {
		step
		List []ComputeExpr
	}

	// OrderByStep is orderby(keys).
	OrderByStep struct {
		step
		Keys []Order
	}

	// TopStep is top(n).
	TopStep struct {
		step
		N int64
	}

	// SkipStep is skip(n).
	SkipStep struct {
		step
		N int64
	}

	// RankStep is one of topcount, topsum, toppercent, bottomcount, bottomsum and
	// bottompercent, with its two arguments.
	RankStep struct {
		step
		Kind   string
		Amount Expr
		By     Expr
	}

	// IdentityStep is identity.
	IdentityStep struct{ step }

	// ConcatStep is concat(steps,steps,...).
	ConcatStep struct {
		step
		Branches [][]Step
	}

	// SearchStep is search(text); the text is not looked into.
	SearchStep struct {
		step
		Text string
	}

	// NestStep is nest(steps as name,...) or, with Over, addnested(path,steps as
	// name,...).
	NestStep struct {
		step
		Over  *Name
		Parts []NestExpr
	}

	// JoinStep is join(path as name,steps) or outerjoin.
	JoinStep struct {
		step
		Outer bool
		Over  *Name
		As    string
		Steps []Step
	}

	// ComputeExpr is one part of a ComputeStep.
	ComputeExpr struct {
		Expr Expr
		As   string
		Span Span
	}

	// NestExpr is one part of a NestStep.
	NestExpr struct {
		Steps []Step
		As    string
	}

	// AggregateExpr is one part of aggregate(...): an expression with a method, a
	// custom aggregate, or $count.
	AggregateExpr struct {
		Expr   Expr   // nil for $count
		Method string // empty for $count, for path/$count and for a custom aggregate
		From   []AggregateFrom
		As     string // empty where a custom aggregate keeps its name
		Span   Span
	}

	// AggregateFrom is a from clause, which aggregates in steps.
	AggregateFrom struct {
		Names  []*Name
		Method string
	}
)

// Name returns "filter".
func (*FilterStep) Name() string { return "filter" }

// Name returns "groupby".
func (*GroupByStep) Name() string { return "groupby" }

// Name returns "aggregate".
func (*AggregateStep) Name() string { return "aggregate" }

// Name returns "compute".
func (*ComputeStep) Name() string { return "compute" }

// Name returns "orderby".
func (*OrderByStep) Name() string { return "orderby" }

// Name returns "top".
func (*TopStep) Name() string { return "top" }

// Name returns "skip".
func (*SkipStep) Name() string { return "skip" }

// Name returns the Kind.
func (s *RankStep) Name() string { return s.Kind }

// Name returns "identity".
func (*IdentityStep) Name() string { return "identity" }

// Name returns "concat".
func (*ConcatStep) Name() string { return "concat" }

// Name returns "search".
func (*SearchStep) Name() string { return "search" }

// Name returns "nest" or "addnested".
func (s *NestStep) Name() string {
	if s.Over != nil {
		return "addnested"
	}
	return "nest"
}

// Name returns "join" or "outerjoin".
func (s *JoinStep) Name() string {
	if s.Outer {
		return "outerjoin"
	}
	return "join"
}

// ParseApply reads the value of $apply. The error is an *Error; a transformation
// that is left out is named in it.
func ParseApply(text string, limits *Limits) (*Apply, error) {
	var p parser
	p.start(text, limits)
	steps := p.sequence()
	if err := p.finish("/ and a transformation", "the end"); err != nil {
		return nil, err
	}
	return &Apply{Steps: steps}, nil
}

// ParseCompute reads a list of expressions with their names, expression as name
// ($compute, 5.1.3). The error is an *Error.
func ParseCompute(text string, limits *Limits) ([]ComputeExpr, error) {
	var p parser
	p.start(text, limits)
	list := p.computes()
	if err := p.finish("an operator", "a comma", "the end"); err != nil {
		return nil, err
	}
	return list, nil
}

// leftOut are the transformations and set functions that are known by name and
// refused.
var leftOut = map[string]bool{
	"ancestors": true, "descendants": true, "traverse": true, "expand": true,
}

var stepNames = []string{
	"filter", "groupby", "aggregate", "compute", "orderby", "top", "skip", "topcount", "topsum", "toppercent",
	"bottomcount", "bottomsum", "bottompercent", "identity", "concat", "search", "nest", "addnested", "join", "outerjoin",
}

// sequence reads steps joined by slashes.
func (p *parser) sequence() []Step {
	if !p.enter() {
		return nil
	}
	defer p.leave()
	var list []Step
	for {
		s := p.step()
		if s == nil || p.err != nil {
			return nil
		}
		list = append(list, s)
		if !p.tok.is('/') || p.tok.spaced {
			return list
		}
		p.next()
	}
}

func (p *parser) step() Step {
	t := p.tok
	if t.kind != tokenWord || t.spaced && p.end > 0 && p.text[p.end-1] == '/' {
		p.unexpected("a transformation")
		return nil
	}
	word := p.text[t.from:t.to]
	name := lowerASCII(word)
	open := t.to < len(p.text) && p.text[t.to] == '('
	p.count(node{span: Span{t.from, t.to}})
	if name == "identity" {
		p.next()
		return &IdentityStep{p.stepAt(t.from)}
	}
	switch {
	case leftOut[name] || strings.IndexByte(word, '.') >= 0:
		p.notSupported(Span{t.from, t.to}, "the transformation "+quoteShort(word))
		return nil
	case !open:
		p.next()
		if p.err == nil && nearest(name, stepNames) == name {
			p.unexpected("(")
			return nil
		}
	}
	if name == "search" && open {
		return p.search()
	}
	if nearest(name, stepNames) != name || p.err != nil {
		if p.err == nil {
			p.fail(CodeUnknownFunction, Span{t.from, t.to}, "there is no transformation "+quoteShort(word))
			p.err.Suggestion = nearest(name, stepNames)
		}
		return nil
	}
	if !p.enter() {
		return nil
	}
	defer p.leave()
	p.next()
	p.next()
	s := p.stepBody(t.from, name)
	if p.err != nil {
		return nil
	}
	return s
}

// stepBody reads what stands in the parentheses of a step, and the closing one. A
// switch and no table of methods, which would move every parser to the heap.
func (p *parser) stepBody(from int, name string) Step {
	switch name {
	case "filter":
		return p.filterStep(from)
	case "groupby":
		return p.groupByStep(from)
	case "aggregate":
		return p.aggregateStep(from)
	case "compute":
		return p.computeStep(from)
	case "orderby":
		return p.orderByStep(from)
	case "top", "skip":
		return p.topOrSkip(from, name)
	case "concat":
		return p.concatStep(from)
	case "nest", "addnested":
		return p.nestStep(from, name)
	case "join", "outerjoin":
		return p.joinStep(from, name)
	}
	return p.rankStep(from, name)
}

func (p *parser) stepAt(from int) step { return step{src: p.text, span: Span{from, p.end}} }

// closing steps over the parenthesis that ends a step.
func (p *parser) closing(expected ...string) bool { return p.expect(')', append(expected, ")")...) }

func (p *parser) filterStep(from int) Step {
	e := p.expression()
	if e == nil || !p.closing("an operator") {
		return nil
	}
	return &FilterStep{step: p.stepAt(from), Cond: e}
}

func (p *parser) groupByStep(from int) Step {
	if !p.expect('(', "names in parentheses") {
		return nil
	}
	if p.tok.kind == tokenWord && p.tok.to < len(p.text) && p.text[p.tok.to] == '(' {
		if word := lowerASCII(p.text[p.tok.from:p.tok.to]); word == "rollup" || word == "rolluprecursive" {
			p.notSupported(Span{p.tok.from, p.tok.to}, word)
			return nil
		}
	}
	names := p.names()
	if names == nil || !p.closing("a comma") {
		return nil
	}
	s := &GroupByStep{Names: names}
	if p.tok.is(',') {
		p.next()
		if s.Steps = p.sequence(); s.Steps == nil {
			return nil
		}
	}
	if !p.closing("a comma") {
		return nil
	}
	s.step = p.stepAt(from)
	return s
}

func (p *parser) aggregateStep(from int) Step {
	aggs := p.aggregateList(true)
	if aggs == nil || !p.closing("a comma") {
		return nil
	}
	return &AggregateStep{step: p.stepAt(from), Aggs: aggs}
}

// aggregateOf reads path/aggregate(...) inside an expression; the token is the
// word aggregate.
func (p *parser) aggregateOf(from int, over *Name) Expr {
	if !p.enter() {
		return nil
	}
	defer p.leave()
	p.next()
	p.next()
	aggs := p.aggregateList(false)
	if aggs == nil || !p.closing() {
		return nil
	}
	parts := []Expr{over}
	for _, a := range aggs {
		if a.Expr != nil {
			parts = append(parts, a.Expr)
		}
	}
	return &Aggregate{Over: over, Aggs: aggs, node: p.at(from, parts...)}
}

// aggregateList reads the parts of aggregate; inside an expression there is one,
// and it has no name.
func (p *parser) aggregateList(named bool) []AggregateExpr {
	var list []AggregateExpr
	for {
		a, ok := p.aggregateExpr(named)
		if !ok {
			return nil
		}
		list = append(list, a)
		if !named || !p.tok.is(',') {
			return list
		}
		p.next()
	}
}

func (p *parser) aggregateExpr(named bool) (a AggregateExpr, ok bool) {
	from := p.tok.from
	custom := false
	if dollar := p.tok; dollar.is('$') {
		p.next()
		if p.tok.kind != tokenWord || p.tok.spaced || p.text[p.tok.from:p.tok.to] != "count" {
			p.tok = dollar
			p.dollar()
			return a, false
		}
		p.next()
	} else {
		if a.Expr = p.expression(); a.Expr == nil {
			return a, false
		}
		switch {
		case p.keyword("with"):
			if a.Method, ok = p.identifier("a method"); !ok {
				return a, false
			}
		case isCount(a.Expr):
		default:
			if _, isName := a.Expr.(*Name); !isName {
				p.unexpected("an operator", "with and a method")
				return a, false
			}
			custom = true
		}
		for p.err == nil && p.keyword("from") {
			f := AggregateFrom{Names: p.names()}
			if f.Names == nil {
				return a, false
			}
			if p.keyword("with") {
				if f.Method, ok = p.identifier("a method"); !ok {
					return a, false
				}
			} else if !custom {
				p.unexpected("with and a method")
				return a, false
			}
			a.From = append(a.From, f)
		}
	}
	switch {
	case p.err != nil:
		return a, false
	case !named:
	case p.keyword("as"):
		if a.As, ok = p.identifier("a name"); !ok {
			return a, false
		}
	case !custom:
		p.unexpected("as and a name")
		return a, false
	}
	a.Span = Span{from, p.end}
	return a, p.err == nil
}

func isCount(e Expr) bool { _, ok := e.(*Count); return ok }

// keyword steps over a keyword between spaces; false when the token is another one.
func (p *parser) keyword(word string) bool {
	if p.tok.kind != tokenWord || !equalFoldASCII(p.text[p.tok.from:p.tok.to], word) {
		return false
	}
	return p.operatorSpaces()
}

// identifier reads a word.
func (p *parser) identifier(what string) (string, bool) {
	t := p.tok
	if t.kind != tokenWord {
		p.unexpected(what)
		return "", false
	}
	p.next()
	return p.text[t.from:t.to], p.err == nil
}

func (p *parser) computeStep(from int) Step {
	list := p.computes()
	if list == nil || !p.closing("a comma") {
		return nil
	}
	return &ComputeStep{step: p.stepAt(from), List: list}
}

func (p *parser) computes() []ComputeExpr {
	var list []ComputeExpr
	for {
		from := p.tok.from
		e := p.expression()
		if e == nil {
			return nil
		}
		if !p.keyword("as") {
			if p.err == nil {
				p.unexpected("an operator", "as and a name")
			}
			return nil
		}
		name, ok := p.identifier("a name")
		if !ok {
			return nil
		}
		list = append(list, ComputeExpr{Expr: e, As: name, Span: Span{from, p.end}})
		if !p.tok.is(',') {
			return list
		}
		p.next()
	}
}

func (p *parser) orderByStep(from int) Step {
	keys := p.orderBy()
	if keys == nil || !p.closing("asc", "desc", "a comma") {
		return nil
	}
	return &OrderByStep{step: p.stepAt(from), Keys: keys}
}

func (p *parser) topOrSkip(from int, name string) Step {
	t := p.tok
	n, scale, small := t.val.Small()
	if t.kind != tokenLiteral || !t.whole || !small || scale != 0 || n < 0 {
		p.unexpected("a whole number of rows")
		return nil
	}
	p.next()
	if !p.closing() {
		return nil
	}
	if name == "top" {
		return &TopStep{step: p.stepAt(from), N: n}
	}
	return &SkipStep{step: p.stepAt(from), N: n}
}

func (p *parser) rankStep(from int, name string) Step {
	amount := p.expression()
	if amount == nil || !p.expect(',', "an operator", "a comma") {
		return nil
	}
	by := p.expression()
	if by == nil || !p.closing("an operator") {
		return nil
	}
	return &RankStep{step: p.stepAt(from), Kind: name, Amount: amount, By: by}
}

func (p *parser) concatStep(from int) Step {
	s := &ConcatStep{}
	for {
		branch := p.sequence()
		if branch == nil {
			return nil
		}
		s.Branches = append(s.Branches, branch)
		if !p.tok.is(',') {
			break
		}
		p.next()
	}
	if len(s.Branches) < 2 {
		p.unexpected("a comma and another sequence")
		return nil
	}
	if !p.closing("a comma") {
		return nil
	}
	s.step = p.stepAt(from)
	return s
}

func (p *parser) nestStep(from int, name string) Step {
	s := &NestStep{}
	if name == "addnested" {
		if s.Over = p.nameOnly(); s.Over == nil || !p.expect(',', "a comma") {
			return nil
		}
	}
	for {
		steps := p.sequence()
		if steps == nil {
			return nil
		}
		if !p.keyword("as") {
			if p.err == nil {
				p.unexpected("/ and a transformation", "as and a name")
			}
			return nil
		}
		as, ok := p.identifier("a name")
		if !ok {
			return nil
		}
		s.Parts = append(s.Parts, NestExpr{Steps: steps, As: as})
		if !p.tok.is(',') {
			break
		}
		p.next()
	}
	if !p.closing("a comma") {
		return nil
	}
	s.step = p.stepAt(from)
	return s
}

func (p *parser) joinStep(from int, name string) Step {
	s := &JoinStep{Outer: name == "outerjoin"}
	if s.Over = p.nameOnly(); s.Over == nil {
		return nil
	}
	if !p.keyword("as") {
		if p.err == nil {
			p.unexpected("as and a name")
		}
		return nil
	}
	var ok bool
	if s.As, ok = p.identifier("a name"); !ok {
		return nil
	}
	if p.tok.is(',') {
		p.next()
		if s.Steps = p.sequence(); s.Steps == nil {
			return nil
		}
	}
	if !p.closing("a comma") {
		return nil
	}
	s.step = p.stepAt(from)
	return s
}

// search takes the text up to the parenthesis that closes it; quoted pieces hide
// parentheses. It does not recurse.
func (p *parser) search() Step {
	t := p.tok
	from := t.to + 1
	depth, quote := 0, byte(0)
	for i := from; i < len(p.text); i++ {
		c := p.text[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case c == ')':
			text := p.text[from:i]
			if strings.Trim(text, " \t") == "" {
				p.fail(CodeSyntax, Span{i, i + 1}, "unexpected )", "words to search for")
				return nil
			}
			p.tok.to = i + 1
			p.next()
			return &SearchStep{step: p.stepAt(t.from), Text: text}
		}
	}
	p.fail(CodeSyntax, Span{len(p.text), len(p.text)}, "unexpected end", ")")
	return nil
}

func (p *printer) text(parts ...string) {
	for _, s := range parts {
		p.b = append(p.b, s...)
	}
}

func (p *printer) steps(list []Step) {
	if p.depth > hardDepth {
		p.text("...")
		return
	}
	p.depth++
	defer func() { p.depth-- }()
	for i, s := range list {
		if i > 0 {
			p.text("/")
		}
		p.step(s)
	}
}

func (p *printer) step(s Step) {
	if _, ok := s.(*IdentityStep); ok {
		p.text("identity")
		return
	}
	p.text(s.Name(), "(")
	switch s := s.(type) {
	case *FilterStep:
		p.expr(s.Cond, 0)
	case *GroupByStep:
		p.text("(")
		p.names(s.Names)
		p.text(")")
		if len(s.Steps) > 0 {
			p.text(",")
			p.steps(s.Steps)
		}
	case *AggregateStep:
		p.aggregates(s.Aggs)
	case *ComputeStep:
		for i, c := range s.List {
			p.comma(i)
			p.expr(c.Expr, 0)
			p.text(" as ", c.As)
		}
	case *OrderByStep:
		for i, k := range s.Keys {
			p.comma(i)
			p.expr(k.Expr, 0)
			if k.Desc {
				p.text(" desc")
			}
		}
	case *TopStep:
		p.text(itoa(int(s.N)))
	case *SkipStep:
		p.text(itoa(int(s.N)))
	case *RankStep:
		p.expr(s.Amount, 0)
		p.text(",")
		p.expr(s.By, 0)
	case *ConcatStep:
		for i, b := range s.Branches {
			p.comma(i)
			p.steps(b)
		}
	case *SearchStep:
		p.text(s.Text)
	case *NestStep:
		if s.Over != nil {
			p.text(s.Over.Path, ",")
		}
		for i, part := range s.Parts {
			p.comma(i)
			p.steps(part.Steps)
			p.text(" as ", part.As)
		}
	case *JoinStep:
		p.text(s.Over.Path, " as ", s.As)
		if len(s.Steps) > 0 {
			p.text(",")
			p.steps(s.Steps)
		}
	}
	p.text(")")
}

func (p *printer) comma(i int) {
	if i > 0 {
		p.text(",")
	}
}

func (p *printer) names(list []*Name) {
	for i, n := range list {
		p.comma(i)
		p.text(n.Path)
	}
}

func (p *printer) aggregates(list []AggregateExpr) {
	for i, a := range list {
		p.comma(i)
		if a.Expr == nil {
			p.text("$count")
		} else {
			p.expr(a.Expr, 0)
		}
		if a.Method != "" {
			p.text(" with ", a.Method)
		}
		for _, f := range a.From {
			p.text(" from ")
			p.names(f.Names)
			if f.Method != "" {
				p.text(" with ", f.Method)
			}
		}
		if a.As != "" {
			p.text(" as ", a.As)
		}
	}
}
