package sqlfilter_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/filter/sqlfilter"
)

var wide = &filter.Limits{Bytes: 8 << 20, Nodes: 1 << 20, Depth: 10_000}

func numbers(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprint(&b, i)
	}
	return b.String()
}

func TestTooManyArgumentsStayInGo(t *testing.T) {
	t.Parallel()
	for _, d := range dialects() {
		w := writer(t, d)
		full := w.Where(check(t, "n in ("+numbers(d.MaxArgs)+")", wide), 0)
		require.Nil(t, full.Residual)
		require.Len(t, full.Args, d.MaxArgs)
		for name, c := range map[string]sqlfilter.Where{
			"too long a list":  w.Where(check(t, "n in ("+numbers(d.MaxArgs+1)+")", wide), 0),
			"arguments before": w.Where(check(t, "n in ("+numbers(d.MaxArgs)+")", wide), 1),
		} {
			require.NotNil(t, c.Residual, name)
			require.Empty(t, c.Args, name)
		}
		// What still fits is pushed, before and after what does not.
		some := w.Where(check(t, "n eq 1 and n in ("+numbers(d.MaxArgs)+") and qty eq 2", wide), 0)
		require.Len(t, some.Args, 2)
		require.Equal(t, 2, placeholders(some.SQL))
		require.NotNil(t, some.Residual)
		order := w.OrderBy(keys(t, "text, n eq 1"), d.MaxArgs)
		require.False(t, order.Exact)
		require.NotContains(t, order.SQL, ",")
	}
}

func TestTooDeepStaysInGo(t *testing.T) {
	t.Parallel()
	nested := map[string]func(depth int) string{
		"not":        func(n int) string { return strings.Repeat("not (", n) + "ok" + strings.Repeat(")", n) },
		"or and":     func(n int) string { return strings.Repeat("ok or (ok2 and (", n/2) + "ok" + strings.Repeat("))", n/2) },
		"conditions": func(n int) string { return strings.Repeat("ok ge (", n) + "ok" + strings.Repeat(")", n) },
		"eq":         func(n int) string { return strings.Repeat("(", n) + "ok" + strings.Repeat(" eq ok2)", n) },
		"tolower":    func(n int) string { return strings.Repeat("tolower(", n) + "code" + strings.Repeat(")", n) + " eq 'a'" },
	}
	for name, text := range nested {
		for _, d := range dialects() {
			w := writer(t, d)
			require.Nil(t, w.Where(check(t, text(90), wide), 0).Residual, "%s in %s", name, d.Name)
			require.NotNil(t, w.Where(check(t, text(4_000), wide), 0).Residual, "%s in %s", name, d.Name)
		}
	}
	w := writer(t, sqlfilter.PostgreSQL())
	sum := func(n int) string { return "n" + strings.Repeat(" add (n", n) + strings.Repeat(")", n) + " gt 1" }
	require.Nil(t, w.Where(check(t, sum(70), wide), 0).Residual)
	require.NotNil(t, w.Where(check(t, sum(4_000), wide), 0).Residual)
}

// TestSizeIsLinear holds that nesting does not multiply the text.
func TestSizeIsLinear(t *testing.T) {
	t.Parallel()
	for _, d := range dialects() {
		w := writer(t, d)
		for _, form := range []string{"((%s) ge ok)", "((%s and ok) le (ok2 or ok))", "((%s) in (true,null))", "((%s) eq (ok eq ok2))", "((%s) gt null or ok)"} {
			text := "ok"
			for range 40 {
				text = fmt.Sprintf(form, text)
			}
			where := w.Where(check(t, text, wide), 0)
			require.Nil(t, where.Residual, form)
			require.Less(t, len(where.SQL), 40*400, form)
		}
	}
}

func TestNewListsFaults(t *testing.T) {
	t.Parallel()
	good := sqlfilter.Column{SQL: "a", Kind: sqlfilter.KindText}
	for name, c := range map[string]struct {
		dialect func(*sqlfilter.Dialect)
		column  sqlfilter.Column
		message string
	}{
		"no SQL":           {column: sqlfilter.Column{Kind: sqlfilter.KindText}, message: "column of a: no SQL"},
		"no kind":          {column: sqlfilter.Column{SQL: "a"}, message: "unknown kind 0"},
		"NUL":              {column: sqlfilter.Column{SQL: "a\x00", Kind: sqlfilter.KindText}, message: "NUL in the SQL"},
		"ASCII of numbers": {column: sqlfilter.Column{SQL: "a", Kind: sqlfilter.KindInteger, ASCII: true}, message: "ASCII is for text alone"},
		"scale of text":    {column: sqlfilter.Column{SQL: "a", Kind: sqlfilter.KindText, Scale: 1}, message: "scale 1, allowed are 0 to 38, for integers"},
		"scale too large":  {column: sqlfilter.Column{SQL: "a", Kind: sqlfilter.KindInteger, Scale: 39}, message: "scale 39"},
		"digits of text":   {column: sqlfilter.Column{SQL: "a", Kind: sqlfilter.KindText, Digits: 1}, message: "1 digits and 0 places"},
		"negative digits":  {column: sqlfilter.Column{SQL: "a", Kind: sqlfilter.KindNumeric, Digits: -1}, message: "-1 digits"},
		"no placeholder":   {dialect: func(d *sqlfilter.Dialect) { d.Placeholder = nil }, column: good, message: "dialect SQLite: no Placeholder"},
		"no limits":        {dialect: func(d *sqlfilter.Dialect) { d.MaxArgs = 0 }, column: good, message: "MaxArgs and MaxDepth must be positive"},
		"no equality":      {dialect: func(d *sqlfilter.Dialect) { d.Same = "" }, column: good, message: "no Same or no Differs"},
		"lost operand":     {dialect: func(d *sqlfilter.Dialect) { d.Contains = "f({x})" }, column: good, message: "Contains has no {y}"},
		"empty argument":   {dialect: func(d *sqlfilter.Dialect) { d.Args[sqlfilter.KindText] = "" }, column: good, message: "empty template"},
		"sums of nothing":  {dialect: func(d *sqlfilter.Dialect) { d.Numeric = "{x}" }, column: good, message: "Numeric without Args of KindNumeric"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := sqlfilter.SQLite()
			if c.dialect != nil {
				c.dialect(&d)
			}
			_, err := sqlfilter.New(d, sqlfilter.Columns{"a": c.column, "b": {}})
			require.ErrorContains(t, err, c.message)
		})
	}
	_, err := sqlfilter.New(sqlfilter.SQLite(), sqlfilter.Columns{"a": {}, "b": {}})
	require.ErrorContains(t, err, "column of a")
	require.ErrorContains(t, err, "column of b")
}

// TestOtherDialect fills in a dialect that can do less than ours.
func TestOtherDialect(t *testing.T) {
	t.Parallel()
	d := sqlfilter.Dialect{
		Name:        "other",
		Placeholder: func(n int) string { return fmt.Sprintf(":a%d", n) },
		MaxArgs:     10,
		MaxDepth:    100,
		Args:        map[sqlfilter.Kind]string{sqlfilter.KindInteger: "CAST({x} AS INT)"},
		Same:        "<=>",
		Differs:     "<!>",
	}
	w := writer(t, d)
	for text, want := range map[string]string{
		"n eq n2":            "n <=> n2",
		"n gt 2":             "n > CAST(:a1 AS INT)",
		"n gt 2 and ok":      "n > CAST(:a1 AS INT) AND ok = 1",
		"text eq null":       "text IS NULL",
		"text eq 'a'":        "TRUE",
		"contains(text,'a')": "TRUE",
		"length(code) eq 1":  "TRUE",
		"n add 1 eq 2":       "TRUE",
	} {
		where := w.Where(check(t, text, nil), 0)
		require.Equal(t, want, where.SQL, text)
		require.Equal(t, want == "TRUE", where.Residual != nil, text)
	}
}

func TestIdent(t *testing.T) {
	t.Parallel()
	require.Equal(t, `"a"`, sqlfilter.Ident("a"))
	require.Equal(t, `"a""b"`, sqlfilter.Ident(`a"b`))
	for sql, want := range map[string]string{
		"a": "a", "a_1": "a_1", "t.a": "t.a", `"a b"`: `"a b"`, `t."a""b"`: `t."a""b"`,
		"a b": "(a b)", "a + 1": "(a + 1)", "f(a)": "(f(a))", `"a" || "b"`: `("a" || "b")`, `"a`: `("a)`, "1a": "(1a)", "a.": "(a.)", "a..b": "(a..b)",
	} {
		w, err := sqlfilter.New(sqlfilter.SQLite(), sqlfilter.Columns{"n": {SQL: sql, Kind: sqlfilter.KindInteger}})
		require.NoError(t, err)
		require.Equal(t, want+" IS NULL", w.Where(check(t, "n eq null", nil), 0).SQL)
	}
}
