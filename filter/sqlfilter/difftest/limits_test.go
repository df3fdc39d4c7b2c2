package difftest

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/filter"
)

var wide = &filter.Limits{Bytes: 8 << 20, Nodes: 1 << 20, Depth: 10_000}

// TestLimits holds that the engines take what is written at the limits of the
// dialects: the deepest conditions of each form, and as many arguments as there may
// be.
func TestLimits(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	rows := []row{
		{"b": filter.Bool(true), "a": filter.String("A"), "n": filter.Number(7, 0), "must": filter.String("m"), "nmust": filter.Number(1, 0)},
		{"b2": filter.Bool(false), "must": filter.String("m"), "nmust": filter.Number(1, 0)},
	}
	for _, e := range h.engines {
		e.fill(t, rows)
	}
	nested := map[string]func(n int) string{
		"not":      func(n int) string { return strings.Repeat("not (", n) + "b" + strings.Repeat(")", n) },
		"and or":   func(n int) string { return strings.Repeat("b or (b2 and (", n/2) + "b" + strings.Repeat("))", n/2) },
		"or first": func(n int) string { return strings.Repeat("(", n) + "b" + strings.Repeat(" or b2 or n eq 1)", n) },
		"ge":       func(n int) string { return strings.Repeat("b ge (", n) + "b" + strings.Repeat(")", n) },
		"eq":       func(n int) string { return strings.Repeat("(", n) + "b" + strings.Repeat(" eq b2)", n) },
		"in":       func(n int) string { return strings.Repeat("(", n) + "b" + strings.Repeat(" in (true,null))", n) },
		"tolower":  func(n int) string { return strings.Repeat("tolower(", n) + "a" + strings.Repeat(")", n) + " eq 'a'" },
		"sum":      func(n int) string { return "n" + strings.Repeat(" sub (n", n) + strings.Repeat(")", n) + " gt 1" },
	}
	check := func(text string) *filter.Checked {
		parsed, err := filter.Parse(text, wide)
		require.NoError(t, err)
		c, err := filter.Check(parsed, h.schema)
		require.NoError(t, err)
		return c
	}
	for name, text := range nested {
		for _, e := range h.engines {
			deepest := 0
			for depth := 20; depth < 2_000; depth += 10 {
				c := check(text(depth))
				if e.writer.Where(c, 1).Residual != nil {
					break
				}
				deepest = depth
			}
			if deepest > 0 {
				h.condition(t, rows, check(text(deepest)))
			}
			t.Logf("%s in %s: %d deep", name, e.name, deepest)
			if name != "sum" {
				require.GreaterOrEqual(t, deepest, 100, "%s in %s", name, e.name)
				require.Less(t, deepest, 1_900, "%s in %s", name, e.name)
			}
		}
	}
	chain := "n eq 0"
	for i := range 1_000 {
		chain += " or n eq " + strconv.Itoa(i)
	}
	h.condition(t, rows, check(chain))
	h.condition(t, rows, check(strings.NewReplacer(" eq ", " ne 1", " or ", " and ").Replace(chain)))
	for i, most := range []int{32_766, 65_535} {
		list := make([]string, most-1)
		for j := range list {
			list[j] = strconv.Itoa(j)
		}
		c := check("n in (" + strings.Join(list, ",") + ")")
		ids, residual, _ := h.engines[i].where(t, c)
		require.Nil(t, residual)
		require.Equal(t, []int{0}, ids)
	}
}
