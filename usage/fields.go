package usage

import (
	"slices"
	"strings"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/rules"
)

// fieldKind says where the value of a field comes from.
type fieldKind uint8

const (
	idField fieldKind = iota
	sourceField
	tenantField
	meterField
	startField
	endField
	recordedField
	sequenceField
	verifiedField
	billableField
	valueField
	dimensionField
	// eitherField is a name that nobody declared as the argument of a distinct
	// count: the value where a record has one, else the dimension.
	eitherField
)

// field is a name of a query, resolved: how to take its value from a record.
type field struct {
	kind fieldKind
	// name is the canonical spelling, equal for equal fields.
	name string
	// key is the spelling that was asked for: the name of a value or dimension
	// in records of meters that don't declare it. info, where there is one, has
	// the names to look up in those that do.
	key  string
	info *nameInfo
	fold bool
	// declared is false for a name that no meter declares.
	declared bool
	catalog  *catalogue
}

// perSeries reports whether the field is the same for all records of a series.
func (f *field) perSeries() bool {
	return f.kind == tenantField || f.kind == meterField || f.kind == dimensionField
}

// perVerdict reports whether it is the same for all records of a series with
// one class of verdict, which is how rollups keep them.
func (f *field) perVerdict() bool {
	return f.perSeries() || f.kind == verifiedField || f.kind == billableField
}

// Verified is the field verified of records of this class; ok is false where it is
// null, because no rule covered them.
func (c VerdictClass) Verified() (verified, ok bool) {
	return c.State() == rules.Verified, c.State() != rules.NoRule
}

func (f *field) valueType() filter.Type {
	switch f.kind {
	case startField, endField, recordedField:
		return filter.TypeTime
	case sequenceField, valueField:
		return filter.TypeDecimal
	case verifiedField, billableField:
		return filter.TypeBool
	}
	return filter.TypeString
}

// of returns the field's value in a record.
func (f *field) of(s *Stored) filter.Value {
	switch f.kind {
	case idField:
		return filter.String(s.ID)
	case sourceField:
		return filter.String(s.Source)
	case startField:
		return timeValue(s.Start)
	case endField:
		return timeValue(s.End)
	case recordedField:
		return timeValue(s.Recorded)
	case sequenceField:
		return filter.Number(int64(s.Sequence), 0)
	case valueField, eitherField:
		if n, ok := f.number(s); ok {
			return numberValue(n)
		}
	}
	return f.ofSeries(s.Tenant, s.Meter, s.Dimensions, s.Verdict.Class())
}

// ofSeries returns the value of a field that is the same for a whole series
// and class of verdict.
func (f *field) ofSeries(tenant, meter string, dims Dimensions, class VerdictClass) filter.Value {
	switch f.kind {
	case tenantField:
		return filter.String(tenant)
	case meterField:
		return filter.String(f.catalog.meterName(meter))
	case verifiedField:
		if verified, ok := class.Verified(); ok {
			return filter.Bool(verified)
		}
		return filter.Null()
	case billableField:
		return filter.Bool(class.Billable())
	case dimensionField, eitherField:
		if f.info != nil {
			if names := f.info.byMeter[f.catalog.meterName(meter)]; names != nil {
				for _, k := range names {
					if v, ok := dims.Get(k); ok {
						return filter.String(v)
					}
				}
				return filter.Null()
			}
		}
		if v, ok := dims.Get(f.key); ok {
			return filter.String(v)
		}
	}
	return filter.Null()
}

// number is the field's value in a record.
func (f *field) number(s *Stored) (aggregate.Number, bool) {
	if f.info != nil {
		if names := f.info.byMeter[f.catalog.meterName(s.Meter)]; names != nil {
			for _, k := range names {
				if n, ok := s.Values.Number(k); ok {
					return n, true
				}
			}
			return aggregate.Number{}, false
		}
	}
	return s.Values.Number(f.key)
}

// former reports whether records of some meter carry it under another name.
func (f *field) former() bool {
	if f.kind == meterField {
		return f.catalog.renamed
	}
	return f.info != nil && f.info.former
}

// names are all names that the field may be looked up by.
func (f *field) names() []string {
	names := []string{f.key}
	if f.info != nil {
		for _, list := range f.info.byMeter {
			names = append(names, list...)
		}
	}
	return names
}

func timeValue(t time.Time) filter.Value {
	if t.IsZero() {
		return filter.Null()
	}
	return filter.Micros(t.UnixMicro())
}

// fields resolves the names of queries. It is immutable.
type fields struct {
	catalogue *catalogue
	reserved  map[string]*field
}

func newFields(c *catalogue) *fields {
	f := &fields{catalogue: c, reserved: map[string]*field{}}
	for i, name := range reservedNames {
		f.reserved[name] = &field{kind: fieldKind(i), name: name, declared: true, catalog: c}
	}
	return f
}

const (
	valuesPrefix     = "values/"
	dimensionsPrefix = "dimensions/"
)

// resolve finds the field of a name: the record's own fields, declared values,
// declared dimensions, and any other name as a dimension that nobody declared.
func (f *fields) resolve(name string) (*field, bool) {
	if r := f.reserved[name]; r != nil {
		return r, true
	}
	if rest, ok := strings.CutPrefix(name, valuesPrefix); ok && rest != "" {
		return f.value(rest), true
	}
	if rest, ok := strings.CutPrefix(name, dimensionsPrefix); ok && rest != "" {
		return f.dimension(rest), true
	}
	if f.catalogue.values[name] != nil {
		return f.value(name), true
	}
	if name == "" || len(name) > maxNameBytes {
		return nil, false
	}
	return f.dimension(name), true
}

func (f *fields) value(name string) *field {
	info := f.catalogue.values[name]
	return &field{kind: valueField, name: valuesPrefix + name, key: name, info: info, declared: info != nil, catalog: f.catalogue}
}

func (f *fields) dimension(name string) *field {
	info := f.catalogue.dimensions[name]
	return &field{kind: dimensionField, name: dimensionsPrefix + name, key: name, info: info, declared: info != nil,
		fold: info != nil && info.foldCase, catalog: f.catalogue}
}

// Field implements filter.Schema.
func (f *fields) Field(name string) (filter.Field, bool) {
	r, ok := f.resolve(name)
	if !ok {
		return filter.Field{}, false
	}
	return filter.Field{Name: r.name, Type: r.valueType(), FoldCase: r.fold, NotNull: r.notNull()}, true
}

func (f *field) notNull() bool {
	switch f.kind {
	case endField, verifiedField, valueField, dimensionField, eitherField:
		return false
	}
	return true
}

// Names implements filter.Schema: the declared names, for suggestions.
func (f *fields) Names() []string {
	return append(slices.Clone(reservedNames), f.catalogue.present...)
}

// bind returns the fields behind the slots of a checked expression.
func (f *fields) bind(slots []filter.Field) []*field {
	out := make([]*field, len(slots))
	for i, s := range slots {
		out[i], _ = f.resolve(s.Name)
	}
	return out
}

// recordRow lets a compiled expression read a record.
type recordRow struct {
	fields []*field
	record *Stored
}

func (r *recordRow) Value(slot int) filter.Value { return r.fields[slot].of(r.record) }

// seriesRow lets a compiled expression read a series with a class of verdict.
type seriesRow struct {
	fields        []*field
	tenant, meter string
	dims          Dimensions
	class         VerdictClass
}

func (r *seriesRow) Value(slot int) filter.Value {
	return r.fields[slot].ofSeries(r.tenant, r.meter, r.dims, r.class)
}
