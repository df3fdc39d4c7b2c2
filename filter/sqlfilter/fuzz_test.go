package sqlfilter_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/filter"
)

// plain is what SQL may be made of: no quoted text, no comment, no digits but those
// of placeholders, names, forms and scales.
var plain = regexp.MustCompile(`^([A-Za-z_][A-Za-z_0-9]*|\$[0-9]+|\?|"(C|a ""name"")"|"a ""name"""|'region'|0\.0*1|[014]|-1|[ (),.:=<>+*-])*$`)

// FuzzWhere holds for any text that is a condition: the SQL is made of known parts,
// it has as many placeholders as arguments, and SQL and residual together have the
// conjuncts of the condition.
func FuzzWhere(f *testing.F) {
	for _, s := range []string{
		"text eq 'a' and not (qty gt 1.5)", "n in (1,2.5,null) or contains(code,'x')", "ok ge (n eq 1)", "qty add n mul 2 lt 1e10",
		"tags/any(t:t eq 'a') and trim(text) eq 'a' and n gt 1", "region in ('EU') and matchesPattern(text,'a')", "ts lt now() and 1 div 0 eq n",
		"not (length(code) ge length(code2))", "name eq text and cast(n,Edm.String) eq '1' and case(ok:1,true:2) eq n",
	} {
		f.Add(s)
	}
	fields := schema(f)
	ds := dialects()
	f.Fuzz(func(t *testing.T, s string) {
		e, err := filter.Parse(s, nil)
		if err != nil {
			return
		}
		c, err := filter.Check(e, fields)
		if err != nil {
			return
		}
		c = c.At(time.Unix(0, 0))
		for _, d := range ds {
			w := writer(t, d)
			where := w.Where(c, 0)
			require.Regexp(t, plain, where.SQL)
			require.NotContains(t, where.SQL, "--")
			require.Equal(t, placeholders(where.SQL), len(where.Args))
			require.Equal(t, strings.Count(where.SQL, "("), strings.Count(where.SQL, ")"))
			require.Less(t, len(where.SQL), 1000+200*len(s))
			if where.SQL == "TRUE" && len(c.Conjuncts()) == 1 {
				require.True(t, where.Residual == nil || where.Residual == c)
			}
			if where.Residual != nil {
				// What stayed stays: writing it again pushes nothing.
				again := w.Where(where.Residual, 0)
				require.Equal(t, "TRUE", again.SQL)
				require.Equal(t, where.Residual.String(), again.Residual.String())
				have := map[string]bool{}
				for _, x := range c.Conjuncts() {
					have[x.String()] = true
				}
				for _, x := range where.Residual.Conjuncts() {
					require.True(t, have[x.String()], "%s is no conjunct of %s", x, c)
				}
			}
			order := w.OrderBy([]filter.Key{{Value: c}, {Value: c, Desc: true}}, 0)
			require.Equal(t, placeholders(order.SQL), len(order.Args))
		}
	})
}
