package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
)

// Options configure a Set. Nil and the zero value both work.
type Options struct {
	// Strict refuses records that no rule covers, with the violation "no_rule".
	// Defaults to false: they are accepted with the verdict NoRule.
	Strict bool

	// Values are the names that mean a value when they stand alone in a filter;
	// any other name alone is a dimension. Defaults to none: values are then
	// written values/NAME.
	Values []string

	// Units returns the declared unit of a meter's value, or "" where none is
	// declared. It stands in for the dimension unit of records that have none.
	// It must answer the same for ever and is called concurrently. Defaults to
	// no declared units.
	Units func(meter, value string) string
}

// Set is a list of rules, compiled. It is immutable and safe for concurrent use.
// Make one with New. A nil *Set has no rules to judge by: everything it judges
// is Unverified.
type Set struct {
	version  string
	strict   bool
	units    func(meter, value string) string
	rules    []Rule
	compiled []compiled
	index    *index
	names    names
	judges   sync.Pool // of *judge
}

// New compiles rules, which it copies, in the order in which violations are
// listed. version names the set in every judgement it makes, at most 128 bytes;
// an empty one is derived from the rules and options, so that the same rules
// have the same version wherever they are compiled (Options.Units is not part
// of it). The error is a *SetError that lists every fault of every rule.
func New(version string, rules []Rule, opts *Options) (*Set, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	s := &Set{version: version, strict: o.Strict, units: o.Units, rules: make([]Rule, len(rules)), compiled: make([]compiled, len(rules))}
	names := &schema{values: slices.Clone(o.Values)}

	general := faults{index: -1}
	if version != "" {
		if fault := nameFault(version); fault != "" {
			general.add("version", fault)
		}
	}
	for _, name := range o.Values {
		if fault := nameFault(name); fault != "" {
			general.add("Values", fmt.Sprintf("the name %q %s", shorten(name), fault))
		}
		if slices.Contains(ownNames, name) || slices.Contains(bookedNames, name) {
			general.add("Values", fmt.Sprintf("the name %q is reserved; write values/%s in filters", name, name))
		}
	}
	all := general.list
	for i := range rules {
		s.rules[i] = rules[i].clone()
		f := faults{index: i, rule: shorten(rules[i].Name)}
		s.rules[i].check(&f)
		s.compiled[i] = compile(&s.rules[i], names, &f)
		all = append(all, f.list...)
	}
	all = append(all, checkNamesakes(s.rules)...)
	if err := setError(all); err != nil {
		return nil, err
	}

	if version == "" {
		var err error
		if s.version, err = derivedVersion(s.rules, o); err != nil {
			return nil, err
		}
	}
	s.index = newIndex(s.compiled)
	s.names.init(s.compiled)
	s.judges.New = func() any { return newJudge() }
	return s, nil
}

// derivedVersion is a digest of all that decides a judgement.
func derivedVersion(rules []Rule, o Options) (string, error) {
	values := slices.Clone(o.Values)
	slices.Sort(values)
	content, err := json.Marshal(struct {
		Rules  []Rule
		Strict bool
		Values []string
	}{rules, o.Strict, slices.Compact(values)})
	if err != nil {
		return "", fmt.Errorf("rules: derive the version: %w", err)
	}
	sum := sha256.Sum256(content)
	return "sha256-" + hex.EncodeToString(sum[:16]), nil
}

// Version returns the version given to New, or the derived one; "" for nil.
func (s *Set) Version() string {
	if s == nil {
		return ""
	}
	return s.version
}

// Strict reports whether the set refuses what no rule covers.
func (s *Set) Strict() bool { return s != nil && s.strict }

// Len returns the number of rules.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.rules)
}

// Rules returns a copy of the rules in order, with times in UTC and microseconds.
func (s *Set) Rules() []Rule {
	out := make([]Rule, s.Len())
	for i := range out {
		out[i] = s.rules[i].clone()
	}
	return out
}
