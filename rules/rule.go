package rules

import (
	"maps"
	"slices"
	"time"

	"github.com/usagebook/usagebook/aggregate"
)

// QuantityName is the value that a rule's limits are about unless it names
// another one: the single value of a plain measurement.
const QuantityName = "quantity"

// The dimensions that rules know by name.
const (
	applicationName = "application"
	providerName    = "provider"
	unitName        = "unit"
	userTypeName    = "userType"
)

// Rule says which records it covers and what must hold for them. The zero value
// of every field but Name means that the rule does not ask for it, so a Rule
// with a Name alone covers every record and accepts it.
//
// Its JSON form has the field names in lower camel case: see [Parse].
type Rule struct {
	// Name identifies the rule in judgements and faults. Required, at most 128
	// bytes without control characters. Rules may share a name when their
	// periods do not overlap.
	Name string

	// Meter, Application, Provider and Unit select records: of the meter, and
	// with a dimension application, provider or unit of exactly this value. For
	// a record without the dimension unit, the unit is the one that
	// Options.Units declares for the meter.
	Meter, Application, Provider, Unit string

	// Dimensions select records that have each of these dimensions with exactly
	// this value.
	Dimensions map[string]string

	// Filter selects records for which the expression is true (not null).
	Filter string

	// From and Until bound the event time of the records selected: From <= start
	// < Until. Cut to the microsecond towards the past; zero means unbounded.
	From, Until time.Time

	// Tenants lists the tenants that may have such usage.
	Tenants []string

	// UserTypes lists the values that the dimension userType may have. A record
	// without the dimension is refused.
	UserTypes []string

	// Units lists the units that the usage may be in. A record without a unit is
	// refused.
	Units []string

	// Required lists dimensions that must be present. Empty text is present.
	Required []string

	// Forbidden lists dimensions that must be absent.
	Forbidden []string

	// Allowed lists dimensions that may be present; a record with any other is
	// refused. The dimensions that the rule names in its other fields are
	// allowed without being listed.
	Allowed []string

	// AllowedValues lists, by dimension, the values it may have. A record
	// without the dimension passes; Required refuses it.
	AllowedValues map[string][]string

	// Value is the value that Min, Max, Scale and Sign are about. Defaults to
	// "quantity".
	Value string

	// Min and Max are the least and the greatest number allowed.
	Min, Max *aggregate.Number

	// Scale is the greatest number of decimal places allowed, 0 to 30. Trailing
	// zeros do not count.
	Scale *int

	// Sign is the sign that is wanted.
	Sign Sign

	// Values are limits for values by name. The name "*" stands for every value
	// of the record that the rule has no limits of its own for.
	Values map[string]Limits

	// MaxAge is how long before the time of judging the usage may have started.
	// Not negative.
	MaxAge *time.Duration

	// MaxFuture is how long after the time of judging the usage may start, to
	// allow for clocks that differ. Not negative; a pointer to zero allows no
	// start in the future at all.
	MaxFuture *time.Duration

	// Billable says whether the usage is billable. Nil has no say.
	Billable *bool
}

// Limits bound one value of a record.
type Limits struct {
	// Required refuses records without the value.
	Required bool
	// Min and Max are the least and the greatest number allowed.
	Min, Max *aggregate.Number
	// Scale is the greatest number of decimal places allowed, 0 to 30.
	Scale *int
	// Sign is the sign that is wanted.
	Sign Sign
}

// IsZero reports whether the limits allow everything.
func (l Limits) IsZero() bool { return l == Limits{} }

// Sign is a demand on the sign of a value.
type Sign uint8

// The signs. AnySign, the zero value, demands nothing.
const (
	AnySign     Sign = iota
	Positive         // above zero
	Negative         // below zero
	NonNegative      // zero or above
	NonPositive      // zero or below
)

var signNames = [...]string{"", "positive", "negative", "nonNegative", "nonPositive"}

// String returns the sign's name in JSON; empty for AnySign.
func (s Sign) String() string {
	if int(s) < len(signNames) {
		return signNames[s]
	}
	return "invalid"
}

// allows reports whether a number with the sign -1, 0 or 1 is as demanded.
func (s Sign) allows(sign int) bool {
	switch s {
	case Positive:
		return sign > 0
	case Negative:
		return sign < 0
	case NonNegative:
		return sign >= 0
	case NonPositive:
		return sign <= 0
	}
	return true
}

// Some returns a pointer to v, for the fields of a Rule where nil means that
// the rule does not ask for it: Max: rules.Some(aggregate.Int(1000)).
func Some[T any](v T) *T { return &v }

// clone returns a rule that shares nothing with r, with times in UTC and
// microseconds.
func (r Rule) clone() Rule {
	r.Dimensions = maps.Clone(r.Dimensions)
	r.From, r.Until = micro(r.From), micro(r.Until)
	r.Tenants, r.UserTypes, r.Units = slices.Clone(r.Tenants), slices.Clone(r.UserTypes), slices.Clone(r.Units)
	r.Required, r.Forbidden, r.Allowed = slices.Clone(r.Required), slices.Clone(r.Forbidden), slices.Clone(r.Allowed)
	r.AllowedValues = maps.Clone(r.AllowedValues)
	for name, list := range r.AllowedValues {
		r.AllowedValues[name] = slices.Clone(list)
	}
	r.Min, r.Max, r.Scale = clonePointer(r.Min), clonePointer(r.Max), clonePointer(r.Scale)
	r.Values = maps.Clone(r.Values)
	for name, l := range r.Values {
		l.Min, l.Max, l.Scale = clonePointer(l.Min), clonePointer(l.Max), clonePointer(l.Scale)
		r.Values[name] = l
	}
	r.MaxAge, r.MaxFuture, r.Billable = clonePointer(r.MaxAge), clonePointer(r.MaxFuture), clonePointer(r.Billable)
	return r
}

func clonePointer[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// micro brings a time to UTC and cuts it to the microsecond towards the past.
func micro(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.UnixMicro(t.UnixMicro()).UTC()
}

// ownLimits are the limits of the rule's own fields.
func (r *Rule) ownLimits() Limits {
	return Limits{Min: r.Min, Max: r.Max, Scale: r.Scale, Sign: r.Sign}
}

// valueName is the value that the rule's own limits are about.
func (r *Rule) valueName() string {
	if r.Value == "" {
		return QuantityName
	}
	return r.Value
}
