package filter

// AggregateExpr is one part of aggregate(...): an expression with a method, or a
// custom aggregate, and its name in the result.
type AggregateExpr struct {
	Expr   Expr   // nil for $count
	Method string // sum, min, max, average, countdistinct, or a custom one; empty for a custom aggregate and $count
	As     string // empty for a custom aggregate that keeps its name
	Span   Span
}

func (p *printer) aggregates(list []AggregateExpr) {}

func (p *parser) aggregateOf(from int, over *Name) Expr {
	p.notSupported(Span{p.tok.from, p.tok.to}, "aggregate in a path")
	return nil
}
