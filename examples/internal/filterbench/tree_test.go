package filterbench_test

import (
	"strings"
	"testing"

	"github.com/CiscoM31/godata"

	"github.com/usagebook/usagebook/filter"
)

// The trees of both parsers are written alike: name(operand operand). Only what
// the conditions use is known here.

func node(name string, operands ...string) string {
	return name + "(" + strings.Join(operands, " ") + ")"
}

// godataTree writes a tree of godata.
func godataTree(n *godata.ParseNode) string {
	if len(n.Children) == 0 {
		return n.Token.Value
	}
	operands := make([]string, len(n.Children))
	for i, c := range n.Children {
		operands[i] = godataTree(c)
	}
	return node(n.Token.Value, operands...)
}

// filterTree writes a tree of filter.
func filterTree(t *testing.T, e filter.Expr) string {
	t.Helper()
	switch e := e.(type) {
	case *filter.Literal, *filter.Name:
		return e.String()
	case *filter.Not:
		return node("not", filterTree(t, e.X))
	case *filter.Binary:
		return node(e.Op.String(), filterTree(t, e.X), filterTree(t, e.Y))
	case *filter.Cast:
		return node("cast", filterTree(t, e.X), e.To)
	case *filter.Logic:
		name := "and"
		if e.Or {
			name = "or"
		}
		// A chain is one node here and a node for each operator there.
		left := filterTree(t, e.Args[0])
		for _, x := range e.Args[1:] {
			left = node(name, left, filterTree(t, x))
		}
		return left
	case *filter.In:
		items := make([]string, len(e.List))
		for i, l := range e.List {
			items[i] = filterTree(t, l)
		}
		return node("in", filterTree(t, e.X), node("list", items...))
	case *filter.Call:
		args := make([]string, len(e.Args))
		for i, a := range e.Args {
			args[i] = filterTree(t, a)
		}
		return node(e.Func, args...)
	}
	t.Fatalf("no condition had a %T before: write it here too", e)
	return ""
}
