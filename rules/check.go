package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/usagebook/usagebook/aggregate"
)

const (
	maxNameBytes = 128     // of names of rules, dimensions and values
	maxTextBytes = 4 << 10 // of the dimension values that a rule names
	anyValue     = "*"     // in Rule.Values: every value without limits of its own
)

// check finds what is wrong with a rule by itself: texts that no record can
// have, and demands that no record can satisfy. A rule that refuses everything
// it covers is nearly always a slip, and would stop a service's usage.
func (r *Rule) check(f *faults) {
	if fault := nameFault(r.Name); fault != "" {
		f.add("name", fault)
	}
	r.checkSelectors(f)
	if !r.From.IsZero() && !r.Until.IsZero() && !r.From.Before(r.Until) {
		f.add("until", fmt.Sprintf("%s is not after from, %s; the period is empty", formatTime(r.Until), formatTime(r.From)))
	}
	for _, t := range []struct {
		key  string
		time time.Time
	}{{"from", r.From}, {"until", r.Until}} {
		if !t.time.IsZero() && (t.time.Year() < 1 || t.time.Year() > 9999) {
			f.add(t.key, "the year is outside 1 to 9999")
		}
	}
	checkTexts(f, "tenants", r.Tenants)
	checkTexts(f, "userTypes", r.UserTypes)
	checkTexts(f, "units", r.Units)
	r.checkDimensions(f)
	r.checkLimits(f)
	if r.MaxAge != nil && *r.MaxAge < 0 {
		f.add("maxAge", fmt.Sprintf("%s is negative", *r.MaxAge))
	}
	if r.MaxFuture != nil && *r.MaxFuture < 0 {
		f.add("maxFuture", fmt.Sprintf("%s is negative", *r.MaxFuture))
	}
}

func (r *Rule) checkSelectors(f *faults) {
	for _, s := range []struct{ key, value string }{
		{"meter", r.Meter}, {applicationName, r.Application}, {providerName, r.Provider}, {unitName, r.Unit},
	} {
		if fault := textFault(s.value); fault != "" {
			f.add(s.key, fault)
		}
		if _, twice := r.Dimensions[s.key]; twice && s.key != "meter" && s.value != "" {
			f.add("dimensions."+s.key, "is given as "+s.key+" already")
		}
	}
	for _, name := range sortedKeys(r.Dimensions) {
		key := "dimensions." + shorten(name)
		if fault := nameFault(name); fault != "" {
			f.add(key, "the name "+fault)
		}
		if fault := textFault(r.Dimensions[name]); fault != "" {
			f.add(key, fault)
		}
	}
}

func (r *Rule) checkDimensions(f *faults) {
	checkNames(f, "required", r.Required)
	checkNames(f, "forbidden", r.Forbidden)
	checkNames(f, "allowed", r.Allowed)
	for _, name := range sortedKeys(r.AllowedValues) {
		key := "allowedValues." + shorten(name)
		if fault := nameFault(name); fault != "" {
			f.add(key, "the name "+fault)
		}
		checkTexts(f, key, r.AllowedValues[name])
		if r.AllowedValues[name] == nil {
			f.add(key, "lists no value")
		}
	}

	needed := r.neededDimensions()
	for _, name := range r.Forbidden {
		if why := needed[name]; why != "" {
			f.add("forbidden", fmt.Sprintf("dimension %q is demanded by %s of the same rule", name, why))
		}
		if slices.Contains(r.Allowed, name) {
			f.add("forbidden", fmt.Sprintf("dimension %q is allowed by the same rule", name))
		}
	}
	for _, s := range r.selectors() {
		if s.kind == meterSelector {
			continue
		}
		if list, ok := r.AllowedValues[s.name]; ok && !slices.Contains(list, s.value) {
			f.add("allowedValues."+s.name, fmt.Sprintf("the rule covers only records with %s %q, which is not listed", s.name, s.value))
		}
		if s.kind == unitSelector && r.Units != nil && !slices.Contains(r.Units, s.value) {
			f.add("units", fmt.Sprintf("the rule covers only the unit %q, which is not listed", s.value))
		}
		if s.name == userTypeName && r.UserTypes != nil && !slices.Contains(r.UserTypes, s.value) {
			f.add("userTypes", fmt.Sprintf("the rule covers only the userType %q, which is not listed", s.value))
		}
	}
}

// neededDimensions are the dimensions without which a record is not covered or
// is refused, with the key that says so.
func (r *Rule) neededDimensions() map[string]string {
	needed := map[string]string{}
	for _, s := range r.selectors() {
		if s.kind == dimensionSelector {
			needed[s.name] = "a selector"
		}
	}
	for _, name := range r.Required {
		needed[name] = "required"
	}
	if r.UserTypes != nil {
		needed[userTypeName] = "userTypes"
	}
	return needed
}

func (r *Rule) checkLimits(f *faults) {
	own := r.ownLimits()
	if fault := nameFault(r.valueName()); fault != "" {
		f.add("value", fault)
	}
	if r.Value != "" && own.IsZero() && r.Unit == "" && r.Units == nil {
		f.add("value", "is named but has no min, max, scale or sign")
	}
	if _, twice := r.Values[r.valueName()]; twice && !own.IsZero() {
		f.add("values."+r.valueName(), "has limits in min, max, scale or sign already")
	}
	own.check(f, "")
	for _, name := range sortedKeys(r.Values) {
		key := "values." + shorten(name)
		l := r.Values[name]
		if fault := nameFault(name); fault != "" {
			f.add(key, "the name "+fault)
		}
		if l.IsZero() {
			f.add(key, "has no limit")
		}
		if name == anyValue && l.Required {
			f.add(key+".required", "names no value; name the values that are required")
		}
		l.check(f, key+".")
	}
}

func (l Limits) check(f *faults, prefix string) {
	if l.Min != nil && l.Max != nil && l.Min.Cmp(*l.Max) > 0 {
		f.add(prefix+"max", fmt.Sprintf("%s is below min, %s; no number is in between", l.Max, l.Min))
	}
	if l.Scale != nil && (*l.Scale < 0 || *l.Scale > aggregate.MaxScale) {
		f.add(prefix+"scale", fmt.Sprintf("%d is outside 0 to %d", *l.Scale, aggregate.MaxScale))
	}
	if int(l.Sign) >= len(signNames) {
		f.add(prefix+"sign", fmt.Sprintf("unknown sign %d", l.Sign))
	}
	// The sign is at odds with a bound when it does not allow the side that the
	// bound leaves open.
	switch {
	case l.Max != nil && (l.Sign == Positive && l.Max.Sign() <= 0 || l.Sign == NonNegative && l.Max.Sign() < 0),
		l.Min != nil && (l.Sign == Negative && l.Min.Sign() >= 0 || l.Sign == NonPositive && l.Min.Sign() > 0):
		f.add(prefix+"sign", fmt.Sprintf("no number within min and max is %s", signWords(l.Sign)))
	}
}

// checkNamesakes finds rules of one name whose periods overlap.
func checkNamesakes(rules []Rule) []Fault {
	byName := make(map[string][]int)
	for i := range rules {
		byName[rules[i].Name] = append(byName[rules[i].Name], i)
	}
	var out []Fault
	for i := range rules {
		name := rules[i].Name
		list := byName[name]
		if name == "" || len(list) < 2 || list[0] != i {
			continue
		}
		slices.SortStableFunc(list, func(a, b int) int { return rules[a].From.Compare(rules[b].From) })
		// Among rules sorted by their beginning, an overlap is always one with
		// the rule that has lasted longest so far.
		longest := list[0]
		for _, next := range list[1:] {
			if until := rules[longest].Until; until.IsZero() || rules[next].From.Before(until) {
				first, second := min(longest, next), max(longest, next)
				out = append(out, Fault{Index: second, Rule: shorten(name), Field: "name",
					Message: fmt.Sprintf("rule %d has the same name and its period overlaps; let one begin where the other ends", first)})
			}
			if until := rules[longest].Until; !until.IsZero() && (rules[next].Until.IsZero() || rules[next].Until.After(until)) {
				longest = next
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Fault) int { return cmp.Compare(a.Index, b.Index) })
	return out
}

func checkNames(f *faults, key string, names []string) {
	if names != nil && len(names) == 0 {
		f.add(key, "is an empty list; leave it out")
	}
	for _, name := range names {
		if fault := nameFault(name); fault != "" {
			f.add(key, fmt.Sprintf("the name %q %s", shorten(name), fault))
		}
	}
}

func checkTexts(f *faults, key string, list []string) {
	if list != nil && len(list) == 0 {
		f.add(key, "is an empty list, which would refuse everything; leave it out to allow everything")
	}
	for _, text := range list {
		if fault := textFault(text); fault != "" {
			f.add(key, fmt.Sprintf("%q %s", shorten(text), fault))
		}
	}
}

// nameFault says what is wrong with a name, or nothing.
func nameFault(name string) string {
	switch {
	case name == "":
		return "is required"
	case len(name) > maxNameBytes:
		return fmt.Sprintf("has %d bytes, at most %d are allowed", len(name), maxNameBytes)
	case !utf8.ValidString(name):
		return "is not valid UTF-8"
	case strings.IndexFunc(name, unicode.IsControl) >= 0:
		return "has a control character"
	}
	return ""
}

// textFault says what is wrong with the value of a dimension, or nothing.
func textFault(text string) string {
	switch {
	case len(text) > maxTextBytes:
		return fmt.Sprintf("has %d bytes, at most %d are allowed", len(text), maxTextBytes)
	case !utf8.ValidString(text):
		return "is not valid UTF-8"
	case strings.IndexByte(text, 0) >= 0:
		return "has a NUL character"
	}
	return ""
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
