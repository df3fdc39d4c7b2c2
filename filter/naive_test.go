package filter_test

import (
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/filter"
)

// The naive evaluator walks the tree of Parse, before Check, with rationals, rune
// slices and the time package: nothing of it is shared with the compiled program.
// Values are nil, bool, string, *big.Rat, time.Time, time.Duration and []string.

var errNaive = errors.New("the evaluation fails")

type naive struct {
	row  map[string]any
	vars map[string]string
}

func (n naive) eval(e filter.Expr) any {
	switch e := e.(type) {
	case *filter.Literal:
		return naiveValue(e.Value)
	case *filter.Name:
		if v, ok := n.vars[e.Path]; ok {
			return v
		}
		return n.row[e.Path]
	case *filter.Not:
		if b, ok := n.eval(e.X).(bool); ok {
			return !b
		}
		return nil
	case *filter.Negate:
		if r, ok := n.eval(e.X).(*big.Rat); ok {
			return new(big.Rat).Neg(r)
		}
		return nil
	case *filter.Logic:
		var result any = !e.Or
		for _, a := range e.Args {
			switch b := n.eval(a); b {
			case e.Or:
				return e.Or
			case nil:
				result = nil
			}
		}
		return result
	case *filter.Binary:
		x, y := n.eval(e.X), n.eval(e.Y)
		if e.Op.Comparison() {
			if n.folds(e.X) || n.folds(e.Y) {
				x, y = naiveLower(x), naiveLower(y)
			}
			return naiveCompare(e.Op, x, y)
		}
		return n.arithmetic(e, x, y)
	case *filter.In:
		x := n.eval(e.X)
		if n.folds(e.X) {
			x = naiveLower(x)
		}
		for _, l := range e.List {
			y := n.eval(l)
			if n.folds(e.X) {
				y = naiveLower(y)
			}
			if naiveCompare(filter.OpEq, x, y) {
				return true
			}
		}
		return false
	case *filter.Case:
		for _, a := range e.Arms {
			if n.eval(a.When) == true {
				return n.eval(a.Then)
			}
		}
		return nil
	case *filter.Lambda:
		items, _ := n.row[e.Over.Path].([]string)
		for _, item := range items {
			inner := naive{row: n.row, vars: map[string]string{e.Var: item}}
			if (inner.eval(e.Body) == true) != e.All {
				return !e.All
			}
		}
		return e.All
	case *filter.Call:
		return n.call(e)
	}
	panic(fmt.Sprintf("%T", e))
}

// folds reports whether a string comes from the field that disregards case.
func (n naive) folds(e filter.Expr) bool {
	switch e := e.(type) {
	case *filter.Name:
		return e.Path == "region"
	case *filter.Call:
		if e.Func == "trim" || e.Func == "substring" || e.Func == "concat" {
			return n.folds(e.Args[0]) || e.Func == "concat" && n.folds(e.Args[1])
		}
	case *filter.Case:
		for _, a := range e.Arms {
			if n.folds(a.Then) {
				return true
			}
		}
	}
	return false
}

func naiveLower(v any) any {
	if s, ok := v.(string); ok {
		return strings.Map(unicode.ToLower, s)
	}
	return v
}

func naiveValue(v filter.Value) any {
	switch v.Type() {
	case filter.TypeNull:
		return nil
	case filter.TypeBool:
		return v.Bool()
	case filter.TypeDecimal:
		return v.Decimal().Rat()
	case filter.TypeTime, filter.TypeDate:
		return v.Time()
	case filter.TypeDuration:
		return v.Duration()
	}
	return v.Str()
}

func naiveCompare(op filter.Op, x, y any) bool {
	if x == nil || y == nil {
		both := x == nil && y == nil
		switch op {
		case filter.OpEq, filter.OpGe, filter.OpLe:
			return both
		case filter.OpNe:
			return !both
		}
		return false
	}
	c := 0
	switch x := x.(type) {
	case bool:
		b := map[bool]int{true: 1}
		c = b[x] - b[y.(bool)]
	case string:
		c = strings.Compare(x, y.(string))
	case *big.Rat:
		c = x.Cmp(y.(*big.Rat))
	case time.Time:
		c = x.Compare(y.(time.Time))
	}
	return map[filter.Op]bool{
		filter.OpEq: c == 0, filter.OpNe: c != 0, filter.OpGt: c > 0, filter.OpGe: c >= 0, filter.OpLt: c < 0, filter.OpLe: c <= 0,
	}[op]
}

// whole reports whether an operand is of integer type.
func (n naive) whole(e filter.Expr) bool {
	switch e := e.(type) {
	case *filter.Literal:
		return e.Whole || e.Value.IsNull()
	case *filter.Name:
		return e.Path == "n"
	case *filter.Negate:
		return n.whole(e.X)
	case *filter.Binary:
		return e.Op != filter.OpDivBy && n.whole(e.X) && n.whole(e.Y)
	case *filter.Call:
		switch e.Func {
		case "length", "indexof", "year", "month", "day", "hour", "minute", "second":
			return true
		}
	case *filter.Case:
		for _, a := range e.Arms {
			if !n.whole(a.Then) {
				return false
			}
		}
		return true
	}
	return false
}

func (n naive) arithmetic(e *filter.Binary, x, y any) any {
	if x == nil || y == nil {
		return nil
	}
	if t, ok := x.(time.Time); ok {
		d := y.(time.Duration)
		if e.Op == filter.OpSub {
			d = -d
		}
		return t.Add(d)
	}
	a, b := x.(*big.Rat), y.(*big.Rat)
	r := new(big.Rat)
	switch e.Op {
	case filter.OpAdd:
		r.Add(a, b)
	case filter.OpSub:
		r.Sub(a, b)
	case filter.OpMul:
		r.Mul(a, b)
	default:
		if b.Sign() == 0 {
			panic(errNaive)
		}
		r.Quo(a, b)
		whole := new(big.Rat).SetInt(new(big.Int).Quo(r.Num(), r.Denom()))
		switch {
		case e.Op == filter.OpMod:
			r.Sub(a, whole.Mul(whole, b))
		case e.Op == filter.OpDiv && n.whole(e.X) && n.whole(e.Y):
			r = whole
		default:
			r = naiveRound(r, max(34, naiveDigits(a), naiveDigits(b)))
		}
	}
	if r.Sign() != 0 {
		places, ok := naivePlaces(r)
		before := len(new(big.Int).Quo(new(big.Int).Abs(r.Num()), r.Denom()).String())
		if new(big.Rat).Abs(r).Cmp(big.NewRat(1, 1)) < 0 {
			before = 0
		}
		if !ok || before+places > 100 {
			panic(errNaive)
		}
	}
	return r
}

// naivePlaces returns the decimal places of a number that has finitely many.
func naivePlaces(r *big.Rat) (int, bool) {
	places := 0
	for x := new(big.Rat).Set(r); !x.IsInt(); places++ {
		if places > 400 {
			return 0, false
		}
		x.Mul(x, big.NewRat(10, 1))
	}
	return places, true
}

// naiveDigits returns the significant digits.
func naiveDigits(r *big.Rat) int {
	places, _ := naivePlaces(r)
	return len(strings.Trim(strings.TrimPrefix(strings.Replace(r.FloatString(places), ".", "", 1), "-"), "0"))
}

// naiveRound rounds to significant digits, half away from zero.
func naiveRound(r *big.Rat, digits int) *big.Rat {
	if places, ok := naivePlaces(r); ok && places <= 400 && naiveDigits(r) <= digits {
		return r
	}
	abs := new(big.Rat).Abs(r)
	exp := 0
	ten := big.NewRat(10, 1)
	limit := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil))
	for abs.Cmp(limit) >= 0 {
		abs.Quo(abs, ten)
		exp++
	}
	low := new(big.Rat).Quo(limit, ten)
	for abs.Cmp(low) < 0 {
		abs.Mul(abs, ten)
		exp--
	}
	abs.Add(abs, big.NewRat(1, 2))
	out := new(big.Rat).SetInt(new(big.Int).Quo(abs.Num(), abs.Denom()))
	for ; exp > 0; exp-- {
		out.Mul(out, ten)
	}
	for ; exp < 0; exp++ {
		out.Quo(out, ten)
	}
	if r.Sign() < 0 {
		out.Neg(out)
	}
	return out
}

func (n naive) call(e *filter.Call) any {
	args := make([]any, len(e.Args))
	for i, a := range e.Args {
		if args[i] = n.eval(a); args[i] == nil {
			// The others are still evaluated, because they may fail.
			for _, rest := range e.Args[i+1:] {
				n.eval(rest)
			}
			return nil
		}
	}
	if len(args) == 2 && e.Func != "substring" && e.Func != "concat" && (n.folds(e.Args[0]) || n.folds(e.Args[1])) {
		args[0], args[1] = naiveLower(args[0]), naiveLower(args[1])
	}
	number := func(i int) any { return big.NewRat(int64(i), 1) }
	text := func(i int) []rune { return []rune(args[i].(string)) }
	switch e.Func {
	case "contains":
		return strings.Contains(args[0].(string), args[1].(string))
	case "startswith":
		return strings.HasPrefix(args[0].(string), args[1].(string))
	case "endswith":
		return strings.HasSuffix(args[0].(string), args[1].(string))
	case "indexof":
		x, y := text(0), text(1)
		for i := 0; i+len(y) <= len(x); i++ {
			if string(x[i:i+len(y)]) == string(y) {
				return number(i)
			}
		}
		return number(-1)
	case "length":
		return number(len(text(0)))
	case "tolower":
		return strings.Map(unicode.ToLower, args[0].(string))
	case "toupper":
		return strings.Map(unicode.ToUpper, args[0].(string))
	case "trim":
		return strings.Trim(args[0].(string), " ")
	case "concat":
		return args[0].(string) + args[1].(string)
	case "substring":
		x := text(0)
		bounds := []int{0, len(x)}
		for i, a := range args[1:] {
			r := a.(*big.Rat)
			if !r.IsInt() || r.Sign() < 0 {
				panic(errNaive)
			}
			bounds[i] = len(x)
			if r.Num().IsInt64() {
				bounds[i] = int(min(r.Num().Int64(), int64(len(x))))
			}
		}
		return string(x[bounds[0]:min(len(x), bounds[0]+bounds[1])])
	case "floor", "ceiling", "round":
		r := args[0].(*big.Rat)
		abs := new(big.Rat).Abs(r)
		floor := new(big.Rat).SetInt(new(big.Int).Div(r.Num(), r.Denom())) // Euclidean: the floor
		switch {
		case r.IsInt():
			return r
		case e.Func == "floor":
			return floor
		case e.Func == "ceiling":
			return floor.Add(floor, big.NewRat(1, 1))
		}
		abs.Add(abs, big.NewRat(1, 2))
		out := new(big.Rat).SetInt(new(big.Int).Div(abs.Num(), abs.Denom()))
		if r.Sign() < 0 {
			out.Neg(out)
		}
		return out
	}
	t := args[0].(time.Time)
	switch e.Func {
	case "year":
		return number(t.Year())
	case "month":
		return number(int(t.Month()))
	case "day":
		return number(t.Day())
	case "hour":
		return number(t.Hour())
	case "minute":
		return number(t.Minute())
	case "second":
		return number(t.Second())
	case "date":
		return t.Truncate(24 * time.Hour)
	}
	panic(e.Func)
}

// naiveText is for comparing: equal rationals may differ in memory.
func naiveText(v any) string {
	if r, ok := v.(*big.Rat); ok {
		v = r.RatString()
	}
	return fmt.Sprintf("%T %v", v, v)
}

// generator writes random typed expressions as text.
type generator struct {
	r     *rand.Rand
	inAny bool
}

func pick[T any](g *generator, list ...T) T { return list[g.r.IntN(len(list))] }

func (g *generator) condition(depth int) string {
	if depth <= 0 {
		return pick(g, "billable", "true", "name eq 'a'", "quantity gt 0", "n ne null", "null", "contains(name,'a')")
	}
	switch g.r.IntN(14) {
	case 0:
		return "not (" + g.condition(depth-1) + ")"
	case 1:
		return g.condition(depth-1) + " and (" + g.condition(depth-1) + ")"
	case 2:
		return "(" + g.condition(depth-1) + ") or " + g.condition(depth-1) + " or (" + g.condition(depth-2) + ")"
	case 3:
		return g.text(depth-1) + " " + g.op() + " " + g.text(depth-1)
	case 4:
		return "(" + g.text(depth-1) + ") in (" + g.literalText() + ",null," + g.literalText() + "," + g.literalText() + ")"
	case 5, 6:
		return "(" + g.number(depth-1) + ") " + g.op() + " (" + g.number(depth-1) + ")"
	case 7:
		return "(" + g.number(depth-1) + ") in (" + g.literalNumber() + "," + g.literalNumber() + ")"
	case 8:
		return g.instant(depth-1) + " " + g.op() + " " + g.instant(depth-1)
	case 9:
		return pick(g, "contains", "startswith", "endswith") + "(" + g.text(depth-1) + "," + g.text(depth-1) + ")"
	case 10:
		if g.inAny {
			return "x " + g.op() + " " + g.text(depth-1)
		}
		g.inAny = true
		defer func() { g.inAny = false }()
		return "tags/" + pick(g, "any", "all") + "(x:" + g.condition(depth-1) + ")"
	case 11:
		return pick(g, "name", "region", "quantity", "n", "billable", "start") + " " + pick(g, "eq", "ne", "ge", "lt") + " null"
	case 12:
		return "case(" + g.condition(depth-1) + ":" + g.condition(depth-1) + ",billable:" + g.condition(depth-2) + ")"
	}
	return "date(" + g.instant(depth-1) + ") " + g.op() + " " + pick(g, "2018-01-01", "2020-02-29", "1969-12-31")
}

func (g *generator) op() string { return pick(g, "eq", "ne", "gt", "ge", "lt", "le") }

func (g *generator) literalText() string {
	return pick(g, "'a'", "''", "'A'", "'ä'", "' a '", "'O''Neil'", "'%'", "'日本'", "'aäb日b'", "'b'", "'日'", "'İ'", "'EU'", "'eu'")
}

func (g *generator) text(depth int) string {
	if depth <= 0 {
		if g.inAny && g.r.IntN(3) == 0 {
			return "x"
		}
		return pick(g, "name", "region", g.literalText(), "name", "region")
	}
	switch g.r.IntN(8) {
	case 0:
		return pick(g, "tolower", "toupper", "trim") + "(" + g.text(depth-1) + ")"
	case 1:
		return "concat(" + g.text(depth-1) + "," + g.text(depth-1) + ")"
	case 2:
		return "substring(" + g.text(depth-1) + "," + g.number(depth-2) + ")"
	case 3:
		return "substring(" + g.text(depth-1) + "," + pick(g, "0", "1", "n") + "," + pick(g, "1", "2", "n") + ")"
	case 4:
		return "case(" + g.condition(depth-1) + ":" + g.text(depth-1) + ",true:" + g.text(depth-1) + ")"
	}
	return g.text(0)
}

func (g *generator) literalNumber() string {
	return pick(g, "0", "1", "-1", "2.50", "0.1", "1e1", "10.0", "-0.5", "9223372036854775807", "12345678901234567890.123456789", "3", "7", "1e-30", "1e60", "-9223372036854775808")
}

func (g *generator) number(depth int) string {
	if depth <= 0 {
		return pick(g, "quantity", "n", g.literalNumber(), "quantity", "n")
	}
	switch g.r.IntN(9) {
	case 0, 1, 2:
		return "(" + g.number(depth-1) + ") " + pick(g, "add", "sub", "mul", "div", "divby", "mod") + " (" + g.number(depth-1) + ")"
	case 3:
		return "-(" + g.number(depth-1) + ")"
	case 4:
		return pick(g, "round", "floor", "ceiling") + "(" + g.number(depth-1) + ")"
	case 5:
		return pick(g, "length(", "indexof(name,") + g.text(depth-1) + ")"
	case 6:
		return pick(g, "year", "month", "day", "hour", "minute", "second") + "(" + g.instant(depth-1) + ")"
	case 7:
		return "case(" + g.condition(depth-1) + ":" + g.number(depth-1) + ",true:" + g.number(depth-1) + ")"
	}
	return g.number(0)
}

func (g *generator) instant(depth int) string {
	if depth > 0 && g.r.IntN(3) == 0 {
		return "(start " + pick(g, "add", "sub") + " duration'" + pick(g, "PT1H", "P1DT0.000001S", "-P400D") + "')"
	}
	return pick(g, "start", "start", "2018-01-01T00:00:00Z", "2020-02-29T23:59:59.999999Z", "1969-12-31T23:59:59.5Z", "start")
}

// sample makes a random row in both forms.
func (g *generator) sample() (row, map[string]any) {
	r, plain := row{}, map[string]any{}
	if g.r.IntN(4) > 0 {
		s := strings.Trim(g.literalText(), "'")
		r["name"], plain["name"] = filter.String(s), s
	}
	if g.r.IntN(4) > 0 {
		s := pick(g, "EU", "eu", "Eu", "us", "Ä", "ä", "")
		r["region"], plain["region"] = filter.String(s), s
	}
	if g.r.IntN(4) > 0 {
		d := decimal.RequireFromString(pick(g, g.literalNumber(), "2.5", "-2.5", "0.000", "99999999999999999999999999999.5", "2.000000000000000"))
		r["quantity"], plain["quantity"] = filter.Decimal(d), d.Rat()
	}
	if g.r.IntN(4) > 0 {
		i := pick(g, int64(0), 1, 2, -1, 3, 10, 1<<62, -1<<63)
		r["n"], plain["n"] = filter.Number(i, 0), new(big.Rat).SetInt64(i)
	}
	if g.r.IntN(4) > 0 {
		b := g.r.IntN(2) == 0
		r["billable"], plain["billable"] = filter.Bool(b), b
	}
	if g.r.IntN(4) > 0 {
		t := time.UnixMicro(pick(g, int64(0), -1, 1514764800000000, 1514764799999999, 1583020799999999, g.r.Int64N(1<<51))).UTC()
		r["start"], plain["start"] = filter.Time(t), t
	}
	if g.r.IntN(4) > 0 {
		var items []string
		var all objects
		for range g.r.IntN(4) {
			s := strings.Trim(g.literalText(), "'")
			items, all = append(items, s), append(all, []filter.Value{filter.String(s)})
		}
		r["tags"], plain["tags"] = filter.Items(all), items
	}
	return r, plain
}

// compareWithNaive generates an expression and holds program = naive evaluator on
// some rows, and the round trip of the tree.
func compareWithNaive(t *testing.T, schema filter.Schema, seed uint64) {
	t.Helper()
	g := &generator{r: rand.New(rand.NewPCG(seed, 1))}
	depth := 1 + g.r.IntN(4)
	kind := g.r.IntN(4)
	text := [](func(int) string){g.condition, g.condition, g.number, g.text}[kind](depth)
	e, err := filter.Parse(text, &filter.Limits{Bytes: 1 << 20, Nodes: 1 << 16})
	require.NoError(t, err, text)
	again, err := filter.Parse(e.String(), &filter.Limits{Bytes: 1 << 20, Nodes: 1 << 16})
	require.NoError(t, err, e.String())
	require.Equal(t, e.String(), again.String())
	c, err := filter.CheckValue(e, schema)
	require.NoError(t, err, text)
	p := c.Compile()
	for range 6 {
		r, plain := g.sample()
		want, wantErr := func() (v any, err error) {
			defer func() {
				if fault := recover(); fault != nil {
					if fault != any(errNaive) {
						panic(fault)
					}
					err = errNaive
				}
			}()
			return naive{row: plain}.eval(e), nil
		}()
		v, err := p.Eval(bound{r, p.Fields()})
		require.Equal(t, wantErr != nil, err != nil, "%s\nof %v: %v, naive %v", text, plain, err, wantErr)
		if err != nil {
			continue
		}
		require.Equal(t, naiveText(want), naiveText(naiveValue(v)), "%s\nof %v", text, plain)
		if kind < 2 {
			got, err := p.Match(bound{r, p.Fields()})
			require.NoError(t, err)
			require.Equal(t, want == true, got, "%s\nof %v", text, plain)
		}
	}
}

func TestProgramsAgreeWithNaiveEvaluator(t *testing.T) {
	t.Parallel()
	schema := errorSchema(t)
	for seed := range uint64(5_000) {
		compareWithNaive(t, schema, seed)
	}
}

// FuzzEval is the same for the seeds that the fuzzer finds interesting.
func FuzzEval(f *testing.F) {
	schema := errorSchema(f)
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { compareWithNaive(t, schema, seed) })
}
