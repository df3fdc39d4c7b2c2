package rules

import (
	"slices"
	"strings"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
)

// fieldKind says where a name in a rule's filter takes its value from.
type fieldKind uint8

const (
	idField fieldKind = iota
	sourceField
	tenantField
	meterField
	startField
	endField
	valueField
	dimensionField
)

// ownNames are the record's own fields, in the order of their kinds.
var ownNames = []string{"id", "source", "tenant", "meter", "start", "end"}

// bookedNames are fields that a record has only once it is booked. They are not
// taken for dimensions: a condition on them would be false for ever, silently.
var bookedNames = []string{"recorded", "sequence", "verified", "billable"}

const (
	valuesPrefix     = "values/"
	dimensionsPrefix = "dimensions/"
)

// field is a name in a rule's filter, resolved.
type field struct {
	kind fieldKind
	name string // of the value or dimension
}

// schema resolves the names in filters. It is immutable.
type schema struct {
	values []string
}

var _ filter.Schema = (*schema)(nil)

func (s *schema) resolve(name string) (field, bool) {
	if i := slices.Index(ownNames, name); i >= 0 {
		return field{kind: fieldKind(i), name: name}, true
	}
	if rest, ok := strings.CutPrefix(name, valuesPrefix); ok {
		return field{kind: valueField, name: rest}, nameFault(rest) == ""
	}
	if rest, ok := strings.CutPrefix(name, dimensionsPrefix); ok {
		return field{kind: dimensionField, name: rest}, nameFault(rest) == ""
	}
	if slices.Contains(bookedNames, name) || nameFault(name) != "" {
		return field{}, false
	}
	if slices.Contains(s.values, name) {
		return field{kind: valueField, name: name}, true
	}
	return field{kind: dimensionField, name: name}, true
}

// Field implements filter.Schema.
func (s *schema) Field(name string) (filter.Field, bool) {
	f, ok := s.resolve(name)
	if !ok {
		return filter.Field{}, false
	}
	switch f.kind {
	case startField:
		return filter.Field{Name: f.name, Type: filter.TypeTime, NotNull: true}, true
	case endField:
		return filter.Field{Name: f.name, Type: filter.TypeTime}, true
	case valueField:
		return filter.Field{Name: valuesPrefix + f.name, Type: filter.TypeDecimal}, true
	case dimensionField:
		return filter.Field{Name: dimensionsPrefix + f.name, Type: filter.TypeString}, true
	}
	return filter.Field{Name: f.name, Type: filter.TypeString, NotNull: true}, true
}

// Names implements filter.Schema.
func (s *schema) Names() []string { return slices.Concat(ownNames, s.values) }

// of returns the field's value in a record.
func (f field) of(sub Subject) filter.Value {
	switch f.kind {
	case idField:
		return filter.String(sub.ID())
	case sourceField:
		return filter.String(sub.Source())
	case tenantField:
		return filter.String(sub.Tenant())
	case meterField:
		return filter.String(sub.Meter())
	case startField:
		return timeValue(sub.Start())
	case endField:
		return timeValue(sub.End())
	case valueField:
		if n, ok := sub.Value(f.name); ok {
			return numberValue(n)
		}
	case dimensionField:
		if text, ok := sub.Dimension(f.name); ok {
			return filter.String(text)
		}
	}
	return filter.Null()
}

func timeValue(t time.Time) filter.Value {
	if t.IsZero() {
		return filter.Null()
	}
	return filter.Micros(t.UnixMicro())
}

func numberValue(n aggregate.Number) filter.Value {
	if coef, scale, ok := n.Small(); ok {
		return filter.Number(coef, int32(scale))
	}
	return filter.Decimal(n.Decimal())
}
