package sqlfilter_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/filter"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestGolden holds the SQL of the conditions and orders of testdata/cases.txt.
func TestGolden(t *testing.T) {
	t.Parallel()
	cases, err := os.ReadFile("testdata/cases.txt")
	require.NoError(t, err)
	var b bytes.Buffer
	for _, line := range strings.Split(strings.TrimSpace(string(cases)), "\n") {
		fmt.Fprintln(&b, line)
		for _, d := range dialects() {
			w := writer(t, d)
			if order, ok := strings.CutPrefix(line, "orderby "); ok {
				o := w.OrderBy(keys(t, order), 2)
				fmt.Fprintf(&b, "  %s: %s\n", d.Name, o.SQL)
				printArgs(&b, o.Args)
				if !o.Exact {
					fmt.Fprintln(&b, "    not exact")
				}
				continue
			}
			where := w.Where(check(t, line, nil), 2)
			fmt.Fprintf(&b, "  %s: %s\n", d.Name, where.SQL)
			printArgs(&b, where.Args)
			if where.Residual != nil {
				fmt.Fprintf(&b, "    residual: %s\n", where.Residual.Expr())
			}
		}
		b.WriteByte('\n')
	}
	const golden = "testdata/sql.golden"
	if *update {
		require.NoError(t, os.WriteFile(golden, b.Bytes(), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String())
}

func printArgs(b *bytes.Buffer, args []any) {
	for _, a := range args {
		if at, ok := a.(time.Time); ok {
			a = at.Format(time.RFC3339Nano)
		}
		fmt.Fprintf(b, "    %T %#v\n", a, a)
	}
}

func TestNowIsPushedWhenFixed(t *testing.T) {
	t.Parallel()
	c := check(t, "ts lt now()", nil)
	for _, d := range dialects() {
		require.NotNil(t, writer(t, d).Where(c, 0).Residual)
		require.Nil(t, writer(t, d).Where(c.At(time.Unix(1, 1)), 0).Residual)
	}
}

func TestNilConditionSelectsEverything(t *testing.T) {
	t.Parallel()
	for _, d := range dialects() {
		where := writer(t, d).Where(nil, 0)
		require.Equal(t, "TRUE", where.SQL)
		require.Nil(t, where.Residual)
	}
}

// TestStringsAreArguments holds that no text of a request enters the SQL.
func TestStringsAreArguments(t *testing.T) {
	t.Parallel()
	const evil = `x'' OR 1=1; -- $1 ? "q" %_\ {x} {y}`
	for _, text := range []string{
		"text eq '%s'", "text in ('%s','b')", "contains(text,'%s')", "startswith('%s',text)", "endswith(text,'%s')",
		"not (text ge '%s')", "tolower(code) eq '%s'",
	} {
		for _, d := range dialects() {
			where := writer(t, d).Where(check(t, fmt.Sprintf(text, evil), nil), 0)
			require.Nil(t, where.Residual)
			require.NotContains(t, where.SQL, "OR 1=1")
			require.NotContains(t, where.SQL, "{")
			require.Contains(t, where.Args, strings.ReplaceAll(evil, "''", "'"), text)
		}
	}
}

func TestUnstorableStringsStayInGo(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"a\x00b", "a\xffb"} {
		e := &filter.Binary{Op: filter.OpGt, X: &filter.Name{Path: "text"}, Y: &filter.Literal{Value: filter.String(s)}}
		c, err := filter.Check(e, schema(t))
		require.NoError(t, err)
		in := &filter.In{X: &filter.Name{Path: "text"}, List: []*filter.Literal{{Value: filter.String(s)}}}
		list, err := filter.Check(in, schema(t))
		require.NoError(t, err)
		for _, d := range dialects() {
			require.NotNil(t, writer(t, d).Where(c, 0).Residual)
			require.NotNil(t, writer(t, d).Where(list, 0).Residual)
		}
	}
}
