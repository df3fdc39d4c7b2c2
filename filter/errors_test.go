package filter_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/filter"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// errorSchema has a field of each kind.
func errorSchema(t testing.TB) *filter.Fields {
	t.Helper()
	schema, err := filter.NewSchema(
		filter.Field{Name: "name", Type: filter.TypeString},
		filter.Field{Name: "region", Type: filter.TypeString, FoldCase: true},
		filter.Field{Name: "quantity", Type: filter.TypeDecimal},
		filter.Field{Name: "n", Type: filter.TypeDecimal, Whole: true},
		filter.Field{Name: "billable", Type: filter.TypeBool},
		filter.Field{Name: "start", Type: filter.TypeTime},
		filter.Field{Name: "day1", Type: filter.TypeDate},
		filter.Field{Name: "clock", Type: filter.TypeTimeOfDay},
		filter.Field{Name: "took", Type: filter.TypeDuration},
		filter.Field{Name: "subscription", Type: filter.TypeGuid, Aliases: []string{"subscriptionId"}},
		filter.Field{Name: "cost", Type: filter.TypeDecimal, NoFilter: true, NoSort: true, NoGroup: true},
		filter.Field{Name: "tags", Type: filter.TypeCollection, Items: []filter.Field{{Type: filter.TypeString}}},
		filter.Field{Name: "lines", Type: filter.TypeCollection, Items: []filter.Field{
			{Name: "price", Type: filter.TypeDecimal}, {Name: "sku", Type: filter.TypeString},
		}},
		filter.Field{Name: "dimensions/zone", Type: filter.TypeString},
	)
	require.NoError(t, err)
	return schema
}

// runText brings a text as far as it goes.
func runText(kind, text string, schema filter.Schema, limits *filter.Limits) error {
	switch kind {
	case "filter", "eval":
		e, err := filter.Parse(text, limits)
		if err != nil {
			return err
		}
		c, err := filter.Check(e, schema)
		if err != nil || kind == "filter" {
			return err
		}
		p := c.Compile()
		_, err = p.Match(bound{row{"n": filter.Number(0, 0), "quantity": filter.Number(1, 0), "name": filter.String("x"), "tags": filter.Items(objects{{filter.String("x")}})}, p.Fields()})
		return err
	case "orderby":
		list, err := filter.ParseOrderBy(text, limits)
		if err != nil {
			return err
		}
		_, err = filter.CheckOrderBy(list, schema)
		return err
	case "groupby":
		list, err := filter.ParseGroupBy(text, limits)
		if err != nil {
			return err
		}
		_, err = filter.CheckGroupBy(list, schema)
		return err
	case "compute":
		_, err := filter.ParseCompute(text, limits)
		return err
	case "apply":
		a, err := filter.ParseApply(text, limits)
		if err != nil {
			return err
		}
		_, err = filter.CheckApply(a, schema)
		return err
	}
	return fmt.Errorf("unknown kind %s", kind)
}

// TestErrorRenderings holds what users see, word for word, against
// testdata/errors.golden. Each line of testdata/errors.txt is a kind and a text;
// \t, \n and \x escapes stand for what a line cannot hold.
func TestErrorRenderings(t *testing.T) {
	t.Parallel()
	schema := errorSchema(t)
	input, err := os.ReadFile(filepath.Join("testdata", "errors.txt"))
	require.NoError(t, err)
	unescape := strings.NewReplacer(`\t`, "\t", `\n`, "\n", `\x00`, "\x00", `\xff`, "\xff")
	var out bytes.Buffer
	seen := map[string]bool{}
	for line := range strings.Lines(string(input)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		kind, text, ok := strings.Cut(line, "|")
		require.True(t, ok, line)
		require.False(t, seen[line], "twice: %s", line)
		seen[line] = true
		text = unescape.Replace(text)
		err := runText(kind, text, schema, &filter.Limits{Bytes: 400, Nodes: 60, Depth: 20})
		var fault *filter.Error
		require.Truef(t, errors.As(err, &fault), "%s: no fault in %q: %v", kind, text, err)
		require.LessOrEqual(t, fault.Span.From, fault.Span.To)
		require.LessOrEqual(t, fault.Span.To, len(fault.Text))
		require.NotContains(t, fault.Message, "\n")
		fmt.Fprintf(&out, "%s|%s\n[%s %d:%d] %s\n\n", kind, line[len(kind)+1:], fault.Code, fault.Span.From, fault.Span.To, fault.Render())
	}
	require.GreaterOrEqual(t, len(seen), 150)
	golden := filepath.Join("testdata", "errors.golden")
	if *update {
		require.NoError(t, os.WriteFile(golden, out.Bytes(), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), out.String())
}
