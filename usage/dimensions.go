package usage

import (
	"cmp"
	"iter"
	"slices"
	"strings"
)

// Dimension is a named attribute of a record.
type Dimension struct {
	Name, Value string
}

// Dimensions is an immutable set of dimensions, sorted by name in byte order.
// The zero value is the empty set. A dimension that is absent is null in
// queries; one that is present and empty is the empty string: the two differ.
//
// Copying Dimensions is cheap, and a copy may be used from several goroutines.
type Dimensions struct {
	list []Dimension // a name given twice stands here twice, for Append to refuse
}

// NewDimensions returns the set of the given dimensions. Giving a name twice is
// not an error here: the record that carries the set is refused by Append with
// the violation "duplicate".
func NewDimensions(list ...Dimension) Dimensions {
	if len(list) == 0 {
		return Dimensions{}
	}
	return ownDimensions(slices.Clone(list))
}

// DimensionsOf returns the set that a map holds. The map is copied.
func DimensionsOf(m map[string]string) Dimensions {
	list := make([]Dimension, 0, len(m))
	for name, value := range m {
		list = append(list, Dimension{name, value})
	}
	return ownDimensions(list)
}

// ownDimensions takes the slice over: the caller must not use it again.
func ownDimensions(list []Dimension) Dimensions {
	if len(list) == 0 {
		return Dimensions{}
	}
	byName := func(a, b Dimension) int { return cmp.Compare(a.Name, b.Name) }
	if !slices.IsSortedFunc(list, byName) {
		slices.SortStableFunc(list, byName)
	}
	return Dimensions{list: list}
}

// With returns the set with one dimension added or changed; the receiver stays
// as it is. It copies the set: to build a large one use [NewDimensions].
func (d Dimensions) With(name, value string) Dimensions {
	list := make([]Dimension, 0, len(d.list)+1)
	i := 0
	for ; i < len(d.list) && d.list[i].Name < name; i++ {
		list = append(list, d.list[i])
	}
	list = append(list, Dimension{name, value})
	for ; i < len(d.list); i++ {
		if d.list[i].Name != name {
			list = append(list, d.list[i])
		}
	}
	return Dimensions{list: list}
}

// Get returns the value of a dimension and whether it is there.
func (d Dimensions) Get(name string) (string, bool) {
	// Sets are small: a scan beats a binary search up to about a dozen.
	for i := range d.list {
		if d.list[i].Name == name {
			return d.list[i].Value, true
		}
	}
	return "", false
}

// Len returns the number of dimensions.
func (d Dimensions) Len() int { return len(d.list) }

// At returns the i-th dimension in the order of names, 0 <= i < Len.
func (d Dimensions) At(i int) Dimension { return d.list[i] }

// All yields the dimensions in the order of their names.
func (d Dimensions) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, e := range d.list {
			if !yield(e.Name, e.Value) {
				return
			}
		}
	}
}

// twice returns a name that stands in the set twice, or nothing.
func (d Dimensions) twice() string {
	for i := 1; i < len(d.list); i++ {
		if d.list[i].Name == d.list[i-1].Name {
			return d.list[i].Name
		}
	}
	return ""
}

// Equal reports whether two sets hold the same dimensions.
func (d Dimensions) Equal(o Dimensions) bool { return slices.Equal(d.list, o.list) }

// Compare orders sets: dimension by dimension, names before values, a set
// before those it is the beginning of.
func (d Dimensions) Compare(o Dimensions) int {
	return slices.CompareFunc(d.list, o.list, func(a, b Dimension) int {
		if c := cmp.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return cmp.Compare(a.Value, b.Value)
	})
}

// Project returns the subset whose names are given, in any order.
func (d Dimensions) Project(names []string) Dimensions {
	n := 0
	for i := range d.list {
		if slices.Contains(names, d.list[i].Name) {
			n++
		}
	}
	if n == len(d.list) {
		return d
	}
	if n == 0 {
		return Dimensions{}
	}
	list := make([]Dimension, 0, n)
	for i := range d.list {
		if slices.Contains(names, d.list[i].Name) {
			list = append(list, d.list[i])
		}
	}
	return Dimensions{list: list}
}

// AppendKey appends a form of the set that is equal for equal sets and differs
// for different ones: every name and value with its length before it, so no
// two sets can run into each other.
func (d Dimensions) AppendKey(b []byte) []byte {
	for i := range d.list {
		b = appendKeyText(b, d.list[i].Name)
		b = appendKeyText(b, d.list[i].Value)
	}
	return b
}

// appendKeyText appends a text behind its length: keys made of several texts
// are never joined with a separator that could occur inside one of them.
func appendKeyText(b []byte, s string) []byte {
	n := uint64(len(s))
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	b = append(b, byte(n))
	return append(b, s...)
}

// String returns the set as {name="value", ...}, for messages.
func (d Dimensions) String() string {
	var b strings.Builder
	b.WriteByte('{')
	for i, e := range d.list {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(e.Name)
		b.WriteByte('=')
		b.WriteString(quoted(e.Value))
	}
	b.WriteByte('}')
	return b.String()
}
