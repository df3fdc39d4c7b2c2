package sqlfilter_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/filter"
)

// TestTable holds the table of the package documentation: what it says is pushed
// leaves no residual, and what it says is residual leaves all of it.
func TestTable(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	_, table, ok := strings.Cut(string(source), "//\toperation ")
	require.True(t, ok)
	columns := regexp.MustCompile(`  +`)
	seen := map[string]bool{}
	rows := 0
	for _, line := range strings.Split(table, "\n")[1:] {
		line, ok := strings.CutPrefix(line, "//\t")
		if !ok {
			break
		}
		cells := columns.Split(line, -1)
		require.Len(t, cells, 4, line)
		rows++
		c := check(t, cells[1], nil)
		filter.Walk(c.Expr(), func(e filter.Expr) bool {
			switch e := e.(type) {
			case *filter.Binary:
				seen[e.Op.String()] = true
			case *filter.Call:
				seen[e.Func] = true
			}
			return true
		})
		for i, d := range dialects() {
			where := writer(t, d).Where(c, 0)
			switch cells[2+i] {
			case "pushed":
				require.Nil(t, where.Residual, "%s: %s leaves %s", d.Name, line, where.Residual)
				require.NotEqual(t, "TRUE", where.SQL, "%s: %s", d.Name, line)
			case "residual":
				require.Same(t, c, where.Residual, "%s: %s became %s", d.Name, line, where.SQL)
				require.Equal(t, "TRUE", where.SQL)
				require.Empty(t, where.Args)
			default:
				t.Fatalf("neither pushed nor residual: %s", line)
			}
			// What is an order follows the same table.
			order := writer(t, d).OrderBy([]filter.Key{{Value: c}}, 0)
			require.Equal(t, cells[2+i] == "pushed", order.Exact, "%s: %s", d.Name, line)
		}
	}
	require.Greater(t, rows, 40)
	for _, name := range []string{
		"eq", "ne", "gt", "ge", "lt", "le", "add", "sub", "mul", "div", "divby", "mod",
		"contains", "startswith", "endswith", "length", "tolower", "toupper", "matchesPattern", "indexof", "substring",
		"trim", "concat", "round", "floor", "ceiling", "now", "year", "isdefined",
	} {
		require.True(t, seen[name], "no row of the table has %s", name)
	}
}

// TestEachOperatorIsPushed holds the rows of the table that stand for several
// operators, each against a constant, a field and beside not.
func TestEachOperatorIsPushed(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"eq", "ne", "gt", "ge", "lt", "le"} {
		for _, operands := range [][2]string{
			{"text", "'a'"}, {"text", "text2"}, {"text", "null"}, {"code", "code2"}, {"qty", "1.5"}, {"qty", "qty2"}, {"qty", "null"},
			{"n", "1e30"}, {"n", "-1e30"}, {"n", "0.5"}, {"n", "n2"}, {"n", "length(code)"}, {"always", "n"}, {"always", "2"},
			{"ts", "2018-01-01"}, {"ts", "ts2"}, {"ok", "true"}, {"ok", "ok2"}, {"(n eq 1)", "contains(text,'a')"}, {"ok", "null"},
		} {
			for _, text := range []string{operands[0] + " " + op + " " + operands[1], "not (" + operands[0] + " " + op + " " + operands[1] + ")"} {
				for _, d := range dialects() {
					require.Nil(t, writer(t, d).Where(check(t, text, nil), 0).Residual, "%s: %s", d.Name, text)
				}
			}
		}
	}
	for _, part := range []string{"month", "day", "hour", "minute", "second", "fractionalseconds", "totaloffsetminutes"} {
		for _, d := range dialects() {
			require.NotNil(t, writer(t, d).Where(check(t, part+"(ts) eq 1", nil), 0).Residual, part)
		}
	}
}
