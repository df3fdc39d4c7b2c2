package rules

import (
	"cmp"
	"hash/maphash"
	"slices"
)

type selectorKind uint8

const (
	meterSelector selectorKind = iota
	dimensionSelector
	unitSelector
)

// selector is a field of a record and the value that it must have.
type selector struct {
	kind  selectorKind
	name  string // of the dimension; "unit" for a unit
	of    string // the value whose declared unit is meant, for a unit
	value string
}

// selectors are the rule's equalities, in an order that does not depend on how
// the rule was written.
func (r *Rule) selectors() []selector {
	var out []selector
	if r.Meter != "" {
		out = append(out, selector{kind: meterSelector, value: r.Meter})
	}
	add := func(name, value string) {
		if name == unitName {
			out = append(out, selector{kind: unitSelector, name: name, of: r.valueName(), value: value})
			return
		}
		out = append(out, selector{kind: dimensionSelector, name: name, value: value})
	}
	for _, s := range []struct{ name, value string }{{applicationName, r.Application}, {providerName, r.Provider}, {unitName, r.Unit}} {
		if s.value != "" {
			add(s.name, s.value)
		}
	}
	for name, value := range r.Dimensions {
		add(name, value)
	}
	slices.SortFunc(out, func(a, b selector) int { return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name)) })
	return out
}

// read returns what a record has for the selector's field.
func (s *selector) read(sub Subject, units func(meter, value string) string) (string, bool) {
	switch s.kind {
	case meterSelector:
		return sub.Meter(), true
	case unitSelector:
		return unitOf(sub, s.of, units)
	}
	return sub.Dimension(s.name)
}

// unitOf is the unit of a record's value: its own, or the one that is declared
// for its meter.
func unitOf(sub Subject, value string, units func(meter, value string) string) (string, bool) {
	if unit, ok := sub.Dimension(unitName); ok {
		return unit, true
	}
	if units != nil {
		if unit := units(sub.Meter(), value); unit != "" {
			return unit, true
		}
	}
	return "", false
}

// index finds the rules whose selectors may fit a record. Rules that select by
// the same fields form a group, in which the values find the rules. It is
// immutable.
type index struct {
	seed   maphash.Seed
	always []int32 // rules without selectors
	groups []group
}

type group struct {
	fields []selector // their values are not used
	rules  map[uint64][]int32
}

func newIndex(rules []compiled) *index {
	x := &index{seed: maphash.MakeSeed()}
	for i := range rules {
		selectors := rules[i].selectors
		if len(selectors) == 0 {
			x.always = append(x.always, int32(i))
			continue
		}
		at := slices.IndexFunc(x.groups, func(g group) bool {
			return slices.EqualFunc(g.fields, selectors, func(a, b selector) bool { return a.kind == b.kind && a.name == b.name && a.of == b.of })
		})
		if at < 0 {
			at = len(x.groups)
			x.groups = append(x.groups, group{fields: selectors, rules: map[uint64][]int32{}})
		}
		var h uint64
		for _, s := range selectors {
			h = x.mix(h, s.value)
		}
		x.groups[at].rules[h] = append(x.groups[at].rules[h], int32(i))
	}
	return x
}

// mix adds a text to a hash. Texts that collide only cost time: a rule that is
// found is compared value by value.
func (x *index) mix(h uint64, text string) uint64 {
	return (h^maphash.String(x.seed, text))*0x9e3779b97f4a7c15 + 1
}

// find appends the rules that may cover a record, in the order of the set.
func (x *index) find(to []int32, sub Subject, units func(meter, value string) string) []int32 {
	to = append(to, x.always...)
	sorted := true
search:
	for i := range x.groups {
		g := &x.groups[i]
		var h uint64
		for k := range g.fields {
			text, ok := g.fields[k].read(sub, units)
			if !ok {
				continue search
			}
			h = x.mix(h, text)
		}
		if found := g.rules[h]; len(found) > 0 {
			sorted = sorted && len(to) == 0
			to = append(to, found...)
		}
	}
	if !sorted {
		slices.Sort(to)
	}
	return to
}
