package rules_test

import (
	"cmp"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/rules"
)

// record is a Subject. Its sequences are made once, as judging without
// allocation is only possible over a subject that does not allocate itself.
type record struct {
	tenant, source, id, meter string
	start, end                time.Time
	dimensions                []pair[string]
	values                    []pair[aggregate.Number]
	allDimensions             iter.Seq2[string, string]
	allValues                 iter.Seq2[string, aggregate.Number]
}

type pair[V any] struct {
	name  string
	value V
}

var _ rules.Subject = (*record)(nil)

func (r *record) Tenant() string   { return r.tenant }
func (r *record) Source() string   { return r.source }
func (r *record) ID() string       { return r.id }
func (r *record) Meter() string    { return r.meter }
func (r *record) Start() time.Time { return r.start }
func (r *record) End() time.Time   { return r.end }

func (r *record) Dimension(name string) (string, bool)        { return get(r.dimensions, name) }
func (r *record) Value(name string) (aggregate.Number, bool)  { return get(r.values, name) }
func (r *record) Dimensions() iter.Seq2[string, string]       { return r.allDimensions }
func (r *record) Values() iter.Seq2[string, aggregate.Number] { return r.allValues }

func get[V any](list []pair[V], name string) (v V, ok bool) {
	for i := range list {
		if list[i].name == name {
			return list[i].value, true
		}
	}
	return v, false
}

func all[V any](list *[]pair[V]) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, p := range *list {
			if !yield(p.name, p.value) {
				return
			}
		}
	}
}

func set[V any](list []pair[V], name string, value V) []pair[V] {
	list = slices.DeleteFunc(list, func(p pair[V]) bool { return p.name == name })
	list = append(list, pair[V]{name, value})
	slices.SortFunc(list, func(a, b pair[V]) int { return cmp.Compare(a.name, b.name) })
	return list
}

// with changes a record while it is being built.
type with func(*record)

func dim(name, value string) with {
	return func(r *record) { r.dimensions = set(r.dimensions, name, value) }
}

func without(name string) with {
	return func(r *record) {
		r.dimensions = slices.DeleteFunc(r.dimensions, func(p pair[string]) bool { return p.name == name })
		r.values = slices.DeleteFunc(r.values, func(p pair[aggregate.Number]) bool { return p.name == name })
	}
}

func val(name, number string) with {
	return func(r *record) {
		n, err := aggregate.ParseNumber(number)
		if err != nil {
			panic(err)
		}
		r.values = set(r.values, name, n)
	}
}

func starting(text string) with { return func(r *record) { r.start = instant(text) } }

func instant(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

// now is the time of judging in all tests.
var now = instant("2026-01-20T12:00:00Z")

// assetRecord is one use of the demonstration's application.
func assetRecord(changes ...with) *record {
	r := &record{
		tenant: "acme", source: "uts", id: "job-1/0", meter: "app-usage",
		start: instant("2026-01-07T08:00:00Z"),
	}
	for _, change := range append([]with{
		dim("application", "assetmonitor"), dim("provider", "demo"), dim("unit", "asset"), dim("userType", "user"), dim("resource", "plant-1"),
		val("quantity", "10"),
	}, changes...) {
		change(r)
	}
	r.allDimensions, r.allValues = all(&r.dimensions), all(&r.values)
	return r
}

func num(t testing.TB, text string) *aggregate.Number {
	t.Helper()
	n, err := aggregate.ParseNumber(text)
	require.NoError(t, err)
	return &n
}

func compile(t testing.TB, opts *rules.Options, list ...rules.Rule) *rules.Set {
	t.Helper()
	s, err := rules.New("v1", list, opts)
	require.NoError(t, err)
	return s
}
