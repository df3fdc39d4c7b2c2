package difftest

import (
	"math/rand/v2"
	"time"

	"github.com/shopspring/decimal"

	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/filter/sqlfilter"
)

func same(c column) func(filter.Field) field {
	return func(f filter.Field) field { return field{f, c, c} }
}

// generated are the fields of the random rows: each kind twice, so that fields can
// be compared with fields, some of them in columns whose own collation folds case.
func generated() []field {
	text := func(name string, folds, ascii bool, sqlite, postgres string) field {
		c := sqlfilter.Column{Kind: sqlfilter.KindText, ASCII: ascii}
		return field{filter.Field{Name: name, Type: filter.TypeString, FoldCase: folds}, column{sqlite, c}, column{postgres, c}}
	}
	number := func(name string, whole bool, scale int) field {
		return field{filter.Field{Name: name, Type: filter.TypeDecimal, Whole: whole},
			column{"INTEGER", sqlfilter.Column{Kind: sqlfilter.KindInteger, Scale: scale}},
			column{"NUMERIC", sqlfilter.Column{Kind: sqlfilter.KindNumeric, Digits: 19 - scale, Places: scale}}}
	}
	instant := func(name string) field {
		return field{filter.Field{Name: name, Type: filter.TypeTime},
			column{"INTEGER", sqlfilter.Column{Kind: sqlfilter.KindMicros}},
			column{"TIMESTAMPTZ", sqlfilter.Column{Kind: sqlfilter.KindTimestamp}}}
	}
	flag := func(name string) field {
		return field{filter.Field{Name: name, Type: filter.TypeBool},
			column{"INTEGER", sqlfilter.Column{Kind: sqlfilter.KindBoolInt}},
			column{"BOOLEAN", sqlfilter.Column{Kind: sqlfilter.KindBoolean}}}
	}
	big := func(name string) field {
		return field{filter.Field{Name: name, Type: filter.TypeDecimal},
			column{"TEXT", sqlfilter.Column{Kind: sqlfilter.KindOpaque}},
			column{"NUMERIC", sqlfilter.Column{Kind: sqlfilter.KindNumeric}}}
	}
	return []field{
		text("s", false, false, "TEXT", "TEXT"),
		text("s2", false, false, "TEXT COLLATE NOCASE", "TEXT COLLATE pg_temp.folding"),
		text("a", false, true, "TEXT", "TEXT"),
		text("a2", false, true, "TEXT COLLATE RTRIM", `VARCHAR COLLATE pg_temp.folding`),
		text("fold", true, true, "TEXT", "TEXT"),
		text("foldall", true, false, "TEXT", "TEXT"),
		number("q", false, 2),
		number("q2", false, 2),
		number("r", false, 6),
		number("n", true, 0),
		number("n2", true, 0),
		big("big"),
		big("big2"),
		same(column{"BIGINT", sqlfilter.Column{Kind: sqlfilter.KindInteger, Scale: 3}})(filter.Field{Name: "milli", Type: filter.TypeDecimal}),
		instant("t"),
		instant("t2"),
		same(column{"BIGINT", sqlfilter.Column{Kind: sqlfilter.KindMicros}})(filter.Field{Name: "micros", Type: filter.TypeTime}),
		flag("b"),
		flag("b2"),
		same(column{"INTEGER", sqlfilter.Column{Kind: sqlfilter.KindBoolInt}})(filter.Field{Name: "bint", Type: filter.TypeBool}),
		same(column{"TEXT NOT NULL", sqlfilter.Column{Kind: sqlfilter.KindText, NotNull: true}})(filter.Field{Name: "must", Type: filter.TypeString}),
		same(column{"BIGINT NOT NULL", sqlfilter.Column{Kind: sqlfilter.KindInteger, NotNull: true}})(filter.Field{Name: "nmust", Type: filter.TypeDecimal, Whole: true}),
		{Field: filter.Field{Name: "tags", Type: filter.TypeCollection, Items: []filter.Field{{Type: filter.TypeString}}}},
	}
}

// The values meet often, and lie where translators go wrong: wildcards, quotes,
// characters beyond the first plane, which UTF-16 sorts before U+FFFF, letters whose
// case depends on the language or changes the length, composed and combining ones.
var (
	asciis = []string{"", "a", "A", "b", "ab", "aB", "AB", "abc", " ", "a ", " a", "%", "50%", "_", "a_b", `\`, `\%`, "'", "''", "it's", `"`, "I", "i", "?", "$1", "--", "0", "10", "9"}
	wides  = []string{"Ä", "ä", "é", "e\u0301", "😀", "😀a", "a😀", "\uFFFF", "\uFFFD", "\U00010000", "\U0010FFFF", "İ", "ı", "ß", "ẞ", "ſ", "K", "Σ", "ς", "\u200d", "aä", "äA", "\u00a0", "日本", "本"}
	texts  = append(append([]string{}, asciis...), wides...)
	wholes = []string{"0", "1", "-1", "2", "3", "10", "42", "-7", "100", "9007199254740993", "-9007199254740993", "9223372036854775807", "-9223372036854775808", "9223372036854775806"}
	cents  = []string{"0", "0.01", "-0.01", "0.1", "0.10", "1", "1.5", "-1.5", "2.25", "10", "99.99", "92233720368547758.07", "-92233720368547758.08", "90071992547409.93"}
	micro  = []string{"0", "0.000001", "-0.000001", "0.1", "1", "1.5", "2.25", "3.141592", "9223372036854.775807", "-9223372036854.775808"}
	bigs   = []string{"0", "1", "1.5", "-1.5", "0.1", "2.25", "0.000000000000000000000000000001", "-0.000000000000000000000000000001", "99999999999999999999999999999999999999.999999999999999999999999999999",
		"-99999999999999999999999999999999999999.999999999999999999999999999999", "12345678901234567890123456789", "12345678901234567890123456789.0000000001", "9007199254740993.1"}
	moments = []string{"2018-01-01T00:00:00Z", "2018-01-01T00:00:00.000001Z", "2017-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "1900-02-28T12:00:00Z",
		"2020-02-29T23:00:00.5Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2024-03-31T01:30:00Z"}
)

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// collection is a collection of strings.
type collection []string

func (c collection) Len() int                           { return len(c) }
func (c collection) Value(item, field int) filter.Value { return filter.String(c[item]) }

func number(text string) filter.Value { return filter.Decimal(decimal.RequireFromString(text)) }

func instant(text string) filter.Value {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return filter.Time(t)
}

func randomText(r *rand.Rand, from []string) string {
	s := pick(r, from)
	for r.IntN(3) == 0 {
		s += pick(r, from)
	}
	return s
}

func randomRow(r *rand.Rand) row {
	out := row{
		"must":  filter.String(randomText(r, texts)),
		"nmust": number(pick(r, wholes)),
	}
	set := func(name string, v func() filter.Value) {
		if r.IntN(4) > 0 {
			out[name] = v()
		}
	}
	from := func(list []string, f func(string) filter.Value) func() filter.Value {
		return func() filter.Value { return f(pick(r, list)) }
	}
	random := func(lo, hi int64, scale int32) func() filter.Value {
		return func() filter.Value { return filter.Number(lo+r.Int64N(hi-lo), scale) }
	}
	either := func(a, b func() filter.Value) func() filter.Value {
		if r.IntN(3) == 0 {
			return b
		}
		return a
	}
	for _, name := range []string{"s", "s2", "foldall"} {
		set(name, func() filter.Value { return filter.String(randomText(r, texts)) })
	}
	for _, name := range []string{"a", "a2", "fold"} {
		set(name, func() filter.Value { return filter.String(randomText(r, asciis)) })
	}
	for _, name := range []string{"q", "q2"} {
		set(name, either(from(cents, number), random(-300, 300, 2)))
	}
	set("r", either(from(micro, number), random(-3e6, 3e6, 6)))
	for _, name := range []string{"n", "n2"} {
		set(name, either(from(wholes, number), random(-5, 5, 0)))
	}
	set("milli", either(from([]string{"0", "1", "1.5", "-0.001", "9223372036854775.807"}, number), random(-3000, 3000, 3)))
	for _, name := range []string{"big", "big2"} {
		set(name, from(bigs, number))
	}
	for _, name := range []string{"t", "t2", "micros"} {
		set(name, from(moments, instant))
	}
	for _, name := range []string{"b", "b2", "bint"} {
		set(name, func() filter.Value { return filter.Bool(r.IntN(2) == 0) })
	}
	set("tags", func() filter.Value {
		var c collection
		for range r.IntN(4) {
			c = append(c, pick(r, texts))
		}
		return filter.Items(c)
	})
	return out
}
