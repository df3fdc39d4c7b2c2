package usage

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/usagebook/usagebook/aggregate"
)

// QuantityName is the name of the value of a plain measurement.
const QuantityName = "quantity"

// Value is one named figure of a record.
type Value struct {
	Name   string
	Number aggregate.Number
}

// Values is an immutable set of named exact decimals, sorted by name in byte
// order. The zero value is empty, which no plain record may be.
//
// A number that the book cannot hold (more than 38 digits before the point or
// 30 after it) is remembered as a fault and refused by Append with the
// violation "out_of_range", so that building a record never fails and never
// rounds. Copying Values is cheap, and a copy may be used from several
// goroutines.
type Values struct {
	list   []Value
	faults []valueFault
}

type valueFault struct {
	name, code, message string
}

// Quantity returns the values of a plain measurement: the single value
// "quantity".
func Quantity(d decimal.Decimal) Values { return Values{}.With(QuantityName, d) }

// NewValues returns the set of the given values. A name given twice is refused
// when the record is appended, with the violation "duplicate".
func NewValues(list ...Value) Values {
	if len(list) == 0 {
		return Values{}
	}
	return ownValues(slices.Clone(list))
}

// ownValues takes the slice over: the caller must not use it again.
func ownValues(list []Value) Values {
	byName := func(a, b Value) int { return cmp.Compare(a.Name, b.Name) }
	if !slices.IsSortedFunc(list, byName) {
		slices.SortStableFunc(list, byName)
	}
	return Values{list: list}
}

// ValuesOf returns the set that a map holds. The map is copied.
func ValuesOf(m map[string]decimal.Decimal) Values {
	var v Values
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	v.list = make([]Value, 0, len(names))
	for _, name := range names {
		n, err := aggregate.NumberOf(m[name])
		if err != nil {
			v.faults = append(v.faults, valueFault{name, CodeOutOfRange, err.Error()})
			continue
		}
		v.list = append(v.list, Value{name, n})
	}
	return v
}

// With returns the set with one value added or changed; the receiver stays as
// it is.
func (v Values) With(name string, d decimal.Decimal) Values {
	n, err := aggregate.NumberOf(d)
	if err != nil {
		return v.WithFault(name, CodeOutOfRange, err.Error())
	}
	return v.WithNumber(name, n)
}

// WithNumber is With for a number that is at hand already.
func (v Values) WithNumber(name string, n aggregate.Number) Values {
	list := make([]Value, 0, len(v.list)+1)
	i := 0
	for ; i < len(v.list) && v.list[i].Name < name; i++ {
		list = append(list, v.list[i])
	}
	list = append(list, Value{name, n})
	for ; i < len(v.list); i++ {
		if v.list[i].Name != name {
			list = append(list, v.list[i])
		}
	}
	out := Values{list: list}
	for _, f := range v.faults {
		if f.name != name {
			out.faults = append(out.faults, f)
		}
	}
	return out
}

// WithFault returns the set with a value that could not be read, for decoders:
// Append refuses the record with a violation of this code on this value,
// together with whatever else is wrong with it.
func (v Values) WithFault(name, code, message string) Values {
	out := Values{list: slices.DeleteFunc(slices.Clone(v.list), func(e Value) bool { return e.Name == name })}
	out.faults = append(slices.Clone(v.faults), valueFault{name, code, message})
	return out
}

// Get returns a value as a decimal and whether it is there.
func (v Values) Get(name string) (decimal.Decimal, bool) {
	n, ok := v.Number(name)
	if !ok {
		return decimal.Decimal{}, false
	}
	return n.Decimal(), true
}

// Number returns a value and whether it is there.
func (v Values) Number(name string) (aggregate.Number, bool) {
	for i := range v.list {
		if v.list[i].Name == name {
			return v.list[i].Number, true
		}
	}
	return aggregate.Number{}, false
}

// Len returns the number of values.
func (v Values) Len() int { return len(v.list) }

// At returns the i-th value in the order of names, 0 <= i < Len.
func (v Values) At(i int) Value { return v.list[i] }

// All yields the values in the order of their names.
func (v Values) All() iter.Seq2[string, aggregate.Number] {
	return func(yield func(string, aggregate.Number) bool) {
		for _, e := range v.list {
			if !yield(e.Name, e.Number) {
				return
			}
		}
	}
}

// Equal reports whether two sets hold the same names and equal numbers.
func (v Values) Equal(o Values) bool {
	return slices.EqualFunc(v.list, o.list, func(a, b Value) bool { return a.Name == b.Name && a.Number.Equal(b.Number) }) &&
		len(v.faults) == 0 && len(o.faults) == 0
}

// String returns the set as {name=1.5, ...}, for messages.
func (v Values) String() string {
	var b strings.Builder
	b.WriteByte('{')
	for i, e := range v.list {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(e.Name + "=" + e.Number.String())
	}
	b.WriteByte('}')
	return b.String()
}
