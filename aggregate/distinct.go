package aggregate

import (
	"iter"
	"maps"
	"slices"
)

// distinctFew is how many keys are searched one by one before a map is worth
// its memory: most groups of a query see a handful of keys.
const distinctFew = 8

// Distinct counts distinct keys exactly, by keeping them. Numbers go in as
// their canonical text ([Number.String]). The zero value is the empty set.
//
// A Distinct must not be copied once used: copies share keys. Take a
// [Distinct.Clone]. It is not safe for concurrent use.
type Distinct struct {
	few  []string
	many map[string]struct{} // nil until few is full; then few is nil
}

// Add takes key in.
func (d *Distinct) Add(key string) {
	if d.many != nil {
		d.many[key] = struct{}{}
		return
	}
	if slices.Contains(d.few, key) {
		return
	}
	if len(d.few) < distinctFew {
		d.few = append(d.few, key)
		return
	}
	d.many = make(map[string]struct{}, 4*distinctFew)
	for _, k := range d.few {
		d.many[k] = struct{}{}
	}
	d.many[key] = struct{}{}
	d.few = nil
}

// AddBytes takes key in. It copies the bytes only if the key is new.
func (d *Distinct) AddBytes(key []byte) {
	if d.many != nil {
		if _, ok := d.many[string(key)]; ok {
			return
		}
	} else if slices.ContainsFunc(d.few, func(k string) bool { return k == string(key) }) {
		return
	}
	d.Add(string(key))
}

// Has reports whether key was added.
func (d *Distinct) Has(key string) bool {
	if d.many != nil {
		_, ok := d.many[key]
		return ok
	}
	return slices.Contains(d.few, key)
}

// Count returns the number of distinct keys.
func (d *Distinct) Count() int64 { return int64(len(d.few) + len(d.many)) }

// All yields every key once, in no particular order. The set must not change
// meanwhile.
func (d *Distinct) All() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, k := range d.few {
			if !yield(k) {
				return
			}
		}
		for k := range d.many {
			if !yield(k) {
				return
			}
		}
	}
}

// Merge takes in every key of o. o is unchanged; nil is the empty set.
func (d *Distinct) Merge(o *Distinct) {
	if o == nil || o == d {
		return
	}
	for k := range o.All() {
		d.Add(k)
	}
}

// Clone returns an independent copy.
func (d *Distinct) Clone() Distinct {
	return Distinct{few: slices.Clone(d.few), many: maps.Clone(d.many)}
}
