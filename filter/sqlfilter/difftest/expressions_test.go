package difftest

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/usagebook/usagebook/filter"
)

// generator writes random expressions that are right by their types.
type generator struct{ *rand.Rand }

func quoted(s string) string { return filter.String(s).Literal() }

// condition writes a boolean expression that stands as an operand of anything.
func (g generator) condition(depth int) string {
	if depth <= 0 {
		return g.leaf()
	}
	switch g.IntN(12) {
	case 0, 1:
		return "not (" + g.condition(depth-1) + ")"
	case 2, 3, 4, 5:
		op := pick(g.Rand, []string{" and ", " or "})
		args := make([]string, 2+g.IntN(2))
		for i := range args {
			args[i] = g.condition(depth - 1)
		}
		return "(" + strings.Join(args, op) + ")"
	case 6:
		return "(" + g.condition(depth-1) + " " + g.comparison() + " " + g.condition(depth-1) + ")"
	case 7:
		return "((" + g.condition(depth-1) + ") in " + g.list(func() string { return pick(g.Rand, []string{"true", "false"}) }) + ")"
	case 8:
		return "(" + g.condition(depth-1) + " " + g.comparison() + " " + pick(g.Rand, []string{"true", "false", "null"}) + ")"
	}
	return g.leaf()
}

func (g generator) comparison() string {
	return pick(g.Rand, []string{"eq", "ne", "gt", "ge", "lt", "le"})
}

func (g generator) list(item func() string) string {
	items := make([]string, 1+g.IntN(4))
	for i := range items {
		items[i] = item()
		if g.IntN(6) == 0 {
			items[i] = "null"
		}
	}
	return "(" + strings.Join(items, ",") + ")"
}

// leaf writes a condition over values.
func (g generator) leaf() string {
	kinds := []struct{ value, literal func() string }{
		{g.text, g.textLiteral}, {func() string { return g.number(2) }, g.numberLiteral}, {g.instant, g.instantLiteral},
	}
	k := pick(g.Rand, kinds)
	switch g.IntN(16) {
	case 0:
		return pick(g.Rand, []string{"b", "b2", "bint"})
	case 1:
		return "(" + pick(g.Rand, []string{"b", "b2", "bint"}) + " " + g.comparison() + " " + pick(g.Rand, []string{"b", "bint", "true", "false", "null"}) + ")"
	case 2:
		return pick(g.Rand, []string{"true", "false", "null"})
	case 3, 4:
		return "(" + k.value() + " in " + g.list(k.literal) + ")"
	case 5, 6, 7:
		return fmt.Sprintf("%s(%s,%s)", pick(g.Rand, []string{"contains", "startswith", "endswith"}), g.text(), pick(g.Rand, []func() string{g.text, g.textLiteral})())
	case 8:
		return "isdefined(" + pick(g.Rand, []string{"s", "q", "big", "t", "b"}) + ")"
	case 9:
		if g.IntN(2) == 0 {
			return g.inGo()
		}
		return "(" + k.value() + " " + g.comparison() + " null)"
	case 10, 11:
		return "(" + k.value() + " " + g.comparison() + " " + k.value() + ")"
	}
	return "(" + k.value() + " " + g.comparison() + " " + k.literal() + ")"
}

// inGo writes a condition that no database gets.
func (g generator) inGo() string {
	return pick(g.Rand, []string{
		"matchesPattern(s,'^a')", "tags/any(t:t eq s)", "tags/all(t:contains(t,'a'))", "(s in (tags))", "(year(t) eq 2018)", "(n div 2 eq 1)", "(1 div n lt 1)",
		"(round(q) eq 2)", "(cast(n,Edm.String) eq '1')", "(case(b:1,b2:2) eq 1)", "(t add duration'PT1H' gt t2)", "(big mul big mul big gt 1)", "(tags/$count gt 1)",
	})
}

func (g generator) text() string {
	switch g.IntN(20) {
	case 0:
		return g.textLiteral()
	case 1, 2:
		return pick(g.Rand, []string{"tolower(", "toupper("}) + pick(g.Rand, []string{"a", "a2"}) + ")"
	case 3:
		return "tolower(" + pick(g.Rand, []string{"s", "must", "toupper(a)"}) + ")"
	case 4:
		return pick(g.Rand, []string{"trim(s)", "concat(a,s)", "substring(s,1)", "toupper(s)"})
	}
	return pick(g.Rand, []string{"s", "s", "s2", "s2", "a", "a2", "fold", "foldall", "must"})
}

func (g generator) textLiteral() string { return quoted(randomText(g.Rand, texts)) }

func (g generator) number(depth int) string {
	if depth > 0 && g.IntN(4) == 0 {
		op := pick(g.Rand, []string{"add", "sub", "mul", "add", "sub", "mul", "div", "divby", "mod"})
		return "(" + g.number(depth-1) + " " + op + " " + g.number(depth-1) + ")"
	}
	switch g.IntN(16) {
	case 0:
		return g.numberLiteral()
	case 1:
		return "length(" + g.text() + ")"
	case 2, 3:
		return "length(" + pick(g.Rand, []string{"a", "a2", "tolower(a)"}) + ")"
	case 4:
		return "(-(" + g.number(depth-1) + "))"
	case 5:
		return pick(g.Rand, []string{"round(r)", "floor(big)", "indexof(s,'a')", "null"})
	}
	return pick(g.Rand, []string{"q", "q", "q2", "r", "n", "n", "n2", "big", "big2", "milli", "nmust"})
}

// numberLiteral writes numbers of the rows, near them and far from any column.
func (g generator) numberLiteral() string {
	switch g.IntN(8) {
	case 0:
		return pick(g.Rand, []string{"9223372036854775808", "-9223372036854775809", "9223372036854775807.5", "-9223372036854775808.5", "92233720368547758.075", "-92233720368547758.085",
			"1e40", "-1e40", "1e-40", "0.005", "-0.005", "1.005", "0.0000001", "99999999999999999999999999999999999999.9999999999999999999999999999991"})
	case 1, 2:
		return filter.Number(g.Int64N(600)-300, int32(g.IntN(5))).Literal()
	}
	return pick(g.Rand, pick(g.Rand, [][]string{wholes, cents, micro, bigs}))
}

func (g generator) instant() string {
	switch g.IntN(16) {
	case 0:
		return g.instantLiteral()
	case 1:
		return pick(g.Rand, []string{"mindatetime()", "maxdatetime()"})
	}
	return pick(g.Rand, []string{"t", "t", "t2", "micros"})
}

func (g generator) instantLiteral() string {
	return pick(g.Rand, []string{
		"2018-01-01T00:00:00Z", "2018-01-01T02:00:00+02:00", "2017-12-31T16:00:00.000001-08:00", "2018-01-01", "2017-12-31T23:59:59.9999999Z", "2018-01-01T00:00:00.0000001Z",
		"2018-01-01T00:00:00.000000000001Z", "1969-12-31T23:59:59.9999999Z", "1970-01-01T05:45:00+05:45", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.9999999Z", "0000-01-01",
		"2020-02-29T18:00:00.5-05:00",
	})
}

// key writes an expression of any type.
func (g generator) key() string {
	switch g.IntN(8) {
	case 0:
		return g.condition(1)
	case 1:
		return pick(g.Rand, []string{"b", "bint", "null", "1", "'a'"})
	case 2, 3, 4:
		return g.text()
	case 5:
		return g.instant()
	}
	return g.number(1)
}

// order writes a list of keys.
func (g generator) order() string {
	keys := make([]string, 1+g.IntN(3))
	for i := range keys {
		keys[i] = g.key() + pick(g.Rand, []string{"", " asc", " desc"})
	}
	return strings.Join(keys, ",")
}
