package rules

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
)

// compiled is a rule made ready for judging. It is immutable.
type compiled struct {
	name        string
	selectors   []selector
	from, until int64 // microseconds since 1970, half-open
	program     *filter.Program
	fields      []field // behind the program's slots

	tenants, userTypes, units *list
	unitOf                    string // the value whose declared unit stands in for the dimension
	required, forbidden       []string
	allowed                   *list
	allowedValues             []allowedValues
	values                    []valueLimits // by name
	others                    *Limits       // of values without limits of their own
	maxAge, maxFuture         *time.Duration
	billable                  *bool
}

// list is a list of texts that may be.
type list struct {
	items []string
	set   map[string]struct{}
}

type allowedValues struct {
	dimension string
	list      *list
}

type valueLimits struct {
	name string
	Limits
}

func newList(items []string) *list {
	if items == nil {
		return nil
	}
	l := &list{items: items, set: make(map[string]struct{}, len(items))}
	for _, item := range items {
		l.set[item] = struct{}{}
	}
	return l
}

func (l *list) has(text string) bool {
	_, ok := l.set[text]
	return ok
}

// String joins the list for a message, which stays short however long the list.
func (l *list) String() string {
	const shown = 10
	items := make([]string, 0, shown)
	for _, item := range l.items[:min(len(l.items), shown)] {
		items = append(items, shorten(item))
	}
	text := strings.Join(items, ", ")
	if rest := len(l.items) - shown; rest > 0 {
		text += " and " + strconv.Itoa(rest) + " more"
	}
	return text
}

// compile makes a rule ready that check found nothing wrong with.
func compile(r *Rule, s *schema, f *faults) compiled {
	c := compiled{
		name:      r.Name,
		selectors: r.selectors(),
		from:      math.MinInt64,
		until:     math.MaxInt64,
		tenants:   newList(r.Tenants),
		userTypes: newList(r.UserTypes),
		units:     newList(r.Units),
		unitOf:    r.valueName(),
		required:  r.Required,
		forbidden: r.Forbidden,
		maxAge:    r.MaxAge,
		maxFuture: r.MaxFuture,
		billable:  r.Billable,
	}
	if !r.From.IsZero() {
		c.from = r.From.UnixMicro()
	}
	if !r.Until.IsZero() {
		c.until = r.Until.UnixMicro()
	}
	for _, name := range sortedKeys(r.AllowedValues) {
		c.allowedValues = append(c.allowedValues, allowedValues{name, newList(r.AllowedValues[name])})
	}
	if r.Allowed != nil {
		c.allowed = newList(r.mentionedDimensions())
	}
	if own := r.ownLimits(); !own.IsZero() {
		c.values = append(c.values, valueLimits{r.valueName(), own})
	}
	for _, name := range sortedKeys(r.Values) {
		l := r.Values[name]
		if name == anyValue {
			c.others = &l
			continue
		}
		c.values = append(c.values, valueLimits{name, l})
	}
	slices.SortFunc(c.values, func(a, b valueLimits) int { return strings.Compare(a.name, b.name) })
	if r.Filter != "" {
		c.compileFilter(r.Filter, s, f)
	}
	return c
}

func (c *compiled) compileFilter(text string, s *schema, f *faults) {
	tree, err := filter.Parse(text, nil)
	if err != nil {
		f.addFilter(err)
		return
	}
	names := &ruleSchema{schema: s, rule: c}
	checked, err := filter.Check(tree, names)
	if names.unclear != "" {
		// Before what Check says: it would advise to quote the number that a
		// "dimension" quantity is compared with, and the rule would never apply.
		f.add("filter", fmt.Sprintf("%[1]s is a value in this rule; write values/%[1]s, or dimensions/%[1]s for a dimension of that name", names.unclear))
		return
	}
	if err != nil {
		f.addFilter(err)
		return
	}
	c.program = checked.Compile()
	slots := c.program.Fields()
	c.fields = make([]field, len(slots))
	for i, slot := range slots {
		c.fields[i], _ = s.resolve(slot.Name) // Check resolved it before
	}
}

// ruleSchema resolves the names in the filter of one rule, and notices a name
// that would be taken for a dimension though the rule knows it as a value.
type ruleSchema struct {
	*schema
	rule    *compiled
	unclear string
}

func (s *ruleSchema) Field(name string) (filter.Field, bool) {
	f, ok := s.resolve(name)
	if ok && f.kind == dimensionField && f.name == name && (name == QuantityName || s.rule.limitsOf(name)) {
		s.unclear = name
	}
	return s.schema.Field(name)
}

// mentionedDimensions are the allowed dimensions with those that the rule names
// elsewhere: a rule for an application must not refuse the dimension
// application.
func (r *Rule) mentionedDimensions() []string {
	names := slices.Clone(r.Allowed)
	for _, s := range r.selectors() {
		if s.kind != meterSelector {
			names = append(names, s.name)
		}
	}
	names = append(names, r.Required...)
	names = append(names, sortedKeys(r.AllowedValues)...)
	if r.Units != nil {
		names = append(names, unitName)
	}
	if r.UserTypes != nil {
		names = append(names, userTypeName)
	}
	return names
}

// limitsOf reports whether the rule has limits of its own for a value.
func (c *compiled) limitsOf(name string) bool {
	for i := range c.values {
		if c.values[i].name == name {
			return true
		}
	}
	return false
}

// breaks reports whether a number is outside of the limits.
func (l *Limits) breaks(n aggregate.Number) bool {
	return l.Min != nil && n.Cmp(*l.Min) < 0 || l.Max != nil && n.Cmp(*l.Max) > 0 ||
		l.Scale != nil && int(n.Scale()) > *l.Scale || !l.Sign.allows(n.Sign())
}
