package sqlfilter_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/filter/sqlfilter"
)

// schema is the one of the examples in the package documentation.
func schema(t testing.TB) *filter.Fields {
	t.Helper()
	var fields []filter.Field
	for _, suffix := range []string{"", "2"} {
		fields = append(fields,
			filter.Field{Name: "text" + suffix, Type: filter.TypeString},
			filter.Field{Name: "code" + suffix, Type: filter.TypeString},
			filter.Field{Name: "qty" + suffix, Type: filter.TypeDecimal},
			filter.Field{Name: "n" + suffix, Type: filter.TypeDecimal, Whole: true},
			filter.Field{Name: "ts" + suffix, Type: filter.TypeTime},
			filter.Field{Name: "ok" + suffix, Type: filter.TypeBool},
		)
	}
	fields = append(fields,
		filter.Field{Name: "note", Type: filter.TypeDecimal},
		filter.Field{Name: "tags", Type: filter.TypeCollection, Items: []filter.Field{{Type: filter.TypeString}}},
		filter.Field{Name: "always", Type: filter.TypeDecimal, Whole: true},
		filter.Field{Name: "name", Type: filter.TypeString},
		filter.Field{Name: "region", Type: filter.TypeString, FoldCase: true},
		filter.Field{Name: "absent", Type: filter.TypeString},
		filter.Field{Name: "wrong", Type: filter.TypeString},
		filter.Field{Name: "guid", Type: filter.TypeGuid},
	)
	s, err := filter.NewSchema(fields...)
	require.NoError(t, err)
	return s
}

func columns(d sqlfilter.Dialect) sqlfilter.Columns {
	postgres := d.Name == "PostgreSQL"
	c := sqlfilter.Columns{
		"note":   {SQL: "note", Kind: sqlfilter.KindOpaque},
		"always": {SQL: "always", Kind: sqlfilter.KindInteger, NotNull: true},
		"name":   {SQL: `r."a ""name"""`, Kind: sqlfilter.KindText, NotNull: true},
		"region": {SQL: "dims->>'region'", Kind: sqlfilter.KindText, ASCII: true},
		"wrong":  {SQL: "wrong", Kind: sqlfilter.KindNumeric},
		"guid":   {SQL: "guid", Kind: sqlfilter.KindOpaque},
	}
	for _, suffix := range []string{"", "2"} {
		c["text"+suffix] = sqlfilter.Column{SQL: "text" + suffix, Kind: sqlfilter.KindText}
		c["code"+suffix] = sqlfilter.Column{SQL: "code" + suffix, Kind: sqlfilter.KindText, ASCII: true}
		c["n"+suffix] = sqlfilter.Column{SQL: "n" + suffix, Kind: sqlfilter.KindInteger}
		if postgres {
			c["qty"+suffix] = sqlfilter.Column{SQL: "qty" + suffix, Kind: sqlfilter.KindNumeric, Digits: 14, Places: 6}
			c["ts"+suffix] = sqlfilter.Column{SQL: "ts" + suffix, Kind: sqlfilter.KindTimestamp}
			c["ok"+suffix] = sqlfilter.Column{SQL: "ok" + suffix, Kind: sqlfilter.KindBoolean}
		} else {
			c["qty"+suffix] = sqlfilter.Column{SQL: "qty" + suffix, Kind: sqlfilter.KindInteger, Scale: 2}
			c["ts"+suffix] = sqlfilter.Column{SQL: "ts" + suffix, Kind: sqlfilter.KindMicros}
			c["ok"+suffix] = sqlfilter.Column{SQL: "ok" + suffix, Kind: sqlfilter.KindBoolInt}
		}
	}
	return c
}

func dialects() []sqlfilter.Dialect {
	return []sqlfilter.Dialect{sqlfilter.SQLite(), sqlfilter.PostgreSQL()}
}

func writer(t testing.TB, d sqlfilter.Dialect) *sqlfilter.Writer {
	t.Helper()
	w, err := sqlfilter.New(d, columns(d))
	require.NoError(t, err)
	return w
}

func check(t testing.TB, text string, limits *filter.Limits) *filter.Checked {
	t.Helper()
	e, err := filter.Parse(text, limits)
	require.NoError(t, err, text)
	c, err := filter.Check(e, schema(t))
	require.NoError(t, err, text)
	return c
}

func keys(t testing.TB, text string) []filter.Key {
	t.Helper()
	list, err := filter.ParseOrderBy(text, nil)
	require.NoError(t, err, text)
	k, err := filter.CheckOrderBy(list, schema(t))
	require.NoError(t, err, text)
	return k
}

// placeholders counts the placeholders of a text that has no quoted strings.
func placeholders(sql string) int { return strings.Count(sql, "?") + strings.Count(sql, "$") }
