package httpadapter

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/usage"
)

// Fields says where an API's documented fields come from: for each, an ordered
// list of fields of the record, of which the first one present counts. A field
// of the record is the name of a dimension, or one of tenant, meter, source and
// id; dimensions/NAME reaches a dimension of such a name.
type Fields map[string][]string

// Over returns the fields laid over an API's defaults: fields that are not
// named keep their default. The error names fields that the API does not have
// and record fields that cannot be.
func (f Fields) Over(defaults Fields) (Fields, error) {
	var faults []error
	out := make(Fields, len(defaults))
	for name, list := range defaults {
		out[name] = slices.Clone(list)
	}
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if _, ok := defaults[name]; !ok {
			faults = append(faults, fmt.Errorf("there is no field %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(defaults)), ", ")))
			continue
		}
		if len(f[name]) == 0 {
			faults = append(faults, fmt.Errorf("the field %q comes from nothing; name at least one field of the record", name))
		}
		for _, from := range f[name] {
			if list, err := filter.ParseGroupBy(recordField(from), nil); err != nil || len(list) != 1 {
				faults = append(faults, fmt.Errorf("the field %q cannot come from %q, which is no name", name, from))
			}
		}
		out[name] = slices.Clone(f[name])
	}
	return out, errors.Join(faults...)
}

// ValueNames lays a host's names of values over the documented ones: it returns
// the name of each documented value in the records, in the order of documented.
// The error names values that the API does not have.
func ValueNames(given map[string]string, documented []string) ([]string, error) {
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(documented, name) {
			faults = append(faults, fmt.Errorf("there is no value %q; there are %s", name, strings.Join(documented, ", ")))
		}
	}
	out := slices.Clone(documented)
	for i, name := range documented {
		if given[name] != "" {
			out[i] = given[name]
		}
	}
	return out, errors.Join(faults...)
}

// recordField spells a field of the record for a query.
func recordField(name string) string {
	switch name {
	case "tenant", "meter", "source", "id":
		return name
	}
	if strings.HasPrefix(name, "dimensions/") {
		return name
	}
	return "dimensions/" + name
}

// Groups are the record fields that a query has to group by to answer some
// documented fields, and how these are read from its rows.
type Groups struct {
	names []string
	at    map[string][]int
}

// Groups returns the groups for some of the fields. extra are further record
// fields to group by, read by their own names.
func (f Fields) Groups(fields []string, extra ...string) *Groups {
	g := &Groups{at: map[string][]int{}}
	add := func(field, from string) {
		name := recordField(from)
		i := slices.Index(g.names, name)
		if i < 0 {
			i = len(g.names)
			g.names = append(g.names, name)
		}
		g.at[field] = append(g.at[field], i)
	}
	for _, field := range fields {
		for _, from := range f[field] {
			add(field, from)
		}
	}
	for _, from := range extra {
		if _, taken := g.at[from]; !taken {
			add(from, from)
		}
	}
	return g
}

// GroupBy returns the groups for a query.
func (g *Groups) GroupBy() []string { return g.names }

// Width is the number of groups: the measures of a row begin at this cell.
func (g *Groups) Width() int { return len(g.names) }

// Value returns a field of a row, and whether the record has it.
func (g *Groups) Value(row *usage.Row, field string) (string, bool) {
	for _, i := range g.at[field] {
		if v := &row.Cells[i]; !v.IsNull() {
			return v.Str(), true
		}
	}
	return "", false
}

// Condition returns a filter that is true for records whose documented field,
// as Fields has it, is one of the values.
func (f Fields) Condition(field string, values ...string) string {
	if len(values) == 0 {
		return "false"
	}
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = Quote(v)
	}
	in := " in (" + strings.Join(list, ",") + ")"
	var terms, absent []string
	for _, from := range f[field] {
		name := recordField(from)
		terms = append(terms, strings.Join(append(slices.Clone(absent), name+in), " and "))
		absent = append(absent, name+" eq null")
	}
	return "(" + strings.Join(terms, " or ") + ")"
}

// MeterFilter returns a filter for the records of some meters.
func MeterFilter(meters []string) string {
	list := make([]string, len(meters))
	for i, m := range meters {
		list[i] = Quote(m)
	}
	if len(list) == 1 {
		return "meter eq " + list[0]
	}
	return "meter in (" + strings.Join(list, ",") + ")"
}

// And joins conditions; empty ones are left out.
func And(conditions ...string) string {
	var out []string
	for _, c := range conditions {
		if c != "" {
			out = append(out, "("+c+")")
		}
	}
	if len(out) == 1 {
		return out[0][1 : len(out[0])-1]
	}
	return strings.Join(out, " and ")
}

// Quote returns a text as a literal of the filter language.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
