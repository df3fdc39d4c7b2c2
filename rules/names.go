package rules

import (
	"slices"
	"sync/atomic"
)

// names gives the names of the rules that applied to a record without
// allocating for each record: records of one kind meet the same rules.
type names struct {
	all []string // of all rules, in order
	// combinations remembers lists that are no run of neighbours in all, in a
	// table of fixed size where a newcomer takes an old one's place, so that no
	// variety of records makes it grow.
	combinations [256]atomic.Pointer[combination]
}

type combination struct {
	rules []int32
	names []string
}

func (n *names) init(rules []compiled) {
	n.all = make([]string, len(rules))
	for i := range rules {
		n.all[i] = rules[i].name
	}
}

// of returns the names of rules given in ascending order. The slice is shared.
func (n *names) of(rules []int32) []string {
	if len(rules) == 0 {
		return nil
	}
	first, last := rules[0], rules[len(rules)-1]
	if int(last-first) == len(rules)-1 {
		return n.all[first : last+1 : last+1]
	}
	h := uint32(2166136261)
	for _, r := range rules {
		h = (h ^ uint32(r)) * 16777619
	}
	place := &n.combinations[(h^h>>16)%uint32(len(n.combinations))]
	if c := place.Load(); c != nil && slices.Equal(c.rules, rules) {
		return c.names
	}
	c := &combination{rules: slices.Clone(rules), names: make([]string, len(rules))}
	for i, r := range rules {
		c.names[i] = n.all[r]
	}
	place.Store(c)
	return c.names
}
