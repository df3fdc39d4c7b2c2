package usage

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Scope says whose records a query may see: a set of tenants and, optionally,
// dimension values that every record must have. It is applied beside the
// filter of a query, not inside it, so that no filter can widen it.
//
// The zero Scope sees nothing: every method that takes a scope refuses it with
// [ErrScope]. A Scope is immutable and safe for concurrent use.
type Scope struct {
	tenants  []string // sorted, without repetition
	all      bool
	required []Requirement // by dimension, one for each
}

// Requirement is a condition of a [Scope] on one dimension: a record has it,
// with one of the values. A record without the dimension, or with a null in
// its place, does not meet it.
type Requirement struct {
	// Dimension is the name, as in [Record]; a declared dimension may go by an
	// alias.
	Dimension string
	// Values are those allowed, in byte order and without repetition; of values
	// that Fold makes equal one spelling is kept. Without any no record meets
	// the requirement.
	Values []string
	// Fold compares without regard to case: by simple Unicode case folding, as
	// strings.EqualFold does. Otherwise bytes decide.
	Fold bool
}

// ForTenant returns the scope of one tenant.
func ForTenant(tenant string) Scope { return ForTenants(tenant) }

// ForTenants returns the scope of several tenants. Without any it is the zero
// Scope, which sees nothing; an empty name among them makes the scope invalid.
func ForTenants(tenants ...string) Scope {
	t := slices.Clone(tenants)
	slices.Sort(t)
	return Scope{tenants: slices.Compact(t)}
}

// AllTenants returns the scope of every tenant, for the operator's own reports.
func AllTenants() Scope { return Scope{all: true} }

// With returns the scope narrowed to records whose dimension has this value.
// Several calls narrow further; two values for one dimension leave nothing.
func (s Scope) With(dimension, value string) Scope {
	return s.narrow(Requirement{Dimension: dimension, Values: []string{value}})
}

// WithAny returns the scope narrowed to records whose dimension has one of
// these values; none given leaves nothing. Several calls narrow further: what
// is left is what all of them allow.
func (s Scope) WithAny(dimension string, values ...string) Scope {
	return s.narrow(Requirement{Dimension: dimension, Values: values})
}

// WithFold is WithAny for values that are compared without regard to case, by
// simple Unicode case folding: for identifiers that their owners spell as they
// like.
func (s Scope) WithFold(dimension string, values ...string) Scope {
	return s.narrow(Requirement{Dimension: dimension, Values: values, Fold: true})
}

// narrow adds a requirement. Two of one dimension become the one that allows
// what both do, so that scopes of equal meaning are mostly equal.
func (s Scope) narrow(r Requirement) Scope {
	r.Values = append([]string{}, r.Values...)
	slices.Sort(r.Values)
	r.Values = slices.Compact(r.Values)
	if r.Fold {
		seen := make(map[string]bool, len(r.Values))
		r.Values = slices.DeleteFunc(r.Values, func(v string) bool {
			k := foldCase(v)
			again := seen[k]
			seen[k] = true
			return again
		})
	}
	i, ok := slices.BinarySearchFunc(s.required, r.Dimension, func(o Requirement, name string) int { return cmp.Compare(o.Dimension, name) })
	list := slices.Clone(s.required)
	if ok {
		list[i] = list[i].and(r)
	} else {
		list = slices.Insert(list, i, r)
	}
	s.required = list
	return s
}

// and returns the requirement that allows what both allow. An exact one decides
// the spelling.
func (r Requirement) and(o Requirement) Requirement {
	if r.Fold && !o.Fold {
		r, o = o, r
	}
	admits := o.matcher()
	out := Requirement{Dimension: r.Dimension, Values: []string{}, Fold: r.Fold}
	for _, v := range r.Values {
		if admits(v) {
			out.Values = append(out.Values, v)
		}
	}
	return out
}

// matcher returns the test of a value. It is not safe for concurrent use.
func (r Requirement) matcher() func(value string) bool {
	if len(r.Values) == 1 {
		only := r.Values[0]
		if !r.Fold {
			return func(value string) bool { return value == only }
		}
		if utf8.ValidString(only) { // EqualFold holds invalid bytes to be equal
			return func(value string) bool { return strings.EqualFold(value, only) }
		}
	}
	set := make(map[string]struct{}, len(r.Values))
	for _, v := range r.Values {
		if r.Fold {
			v = foldCase(v)
		}
		set[v] = struct{}{}
	}
	if !r.Fold {
		return func(value string) bool { _, ok := set[value]; return ok }
	}
	var room []byte
	return func(value string) bool {
		room = appendFolded(room[:0], value)
		_, ok := set[string(room)]
		return ok
	}
}

// foldCase returns the one spelling that all texts equal under simple case
// folding share.
func foldCase(s string) string { return string(appendFolded(nil, s)) }

func appendFolded(b []byte, s string) []byte {
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if 'a' <= c && c <= 'z' {
				c -= 'a' - 'A' // the least of k, K and the Kelvin sign too
			}
			b = append(b, c)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			b = append(b, s[i]) // no text, equal to itself alone
			i++
			continue
		}
		least := r
		for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
			least = min(least, o)
		}
		b = utf8.AppendRune(b, least)
		i += size
	}
	return b
}

// Tenants returns the tenants of the scope in byte order, and whether it is
// the scope of all tenants instead. The slice is not to be changed.
func (s Scope) Tenants() (tenants []string, all bool) { return s.tenants, s.all }

// Requirements returns the conditions on dimensions that every record of the
// scope meets, in the order of dimensions and at most one for each: what
// several calls asked of one dimension comes back as what they allow together.
// Given to WithAny, and with Fold to WithFold, they make an equal scope. The
// slices are not to be changed.
func (s Scope) Requirements() []Requirement { return s.required }

// Holds reports whether a tenant is of the scope.
func (s Scope) Holds(tenant string) bool {
	if s.all {
		return true
	}
	_, ok := slices.BinarySearch(s.tenants, tenant)
	return ok
}

// Check returns an error that wraps [ErrScope] when the scope can see nothing
// because it was never given.
func (s Scope) Check() error {
	if s.all {
		return nil
	}
	if len(s.tenants) == 0 {
		return fmt.Errorf("%w: no tenant given; use ForTenant, ForTenants or AllTenants", ErrScope)
	}
	if s.tenants[0] == "" {
		return fmt.Errorf("%w: an empty tenant name", ErrScope)
	}
	for _, r := range s.required {
		if r.Dimension == "" {
			return fmt.Errorf("%w: an empty dimension name", ErrScope)
		}
	}
	return nil
}

// appendKey appends a form of the scope that is equal for equal scopes only.
func (s Scope) appendKey(b []byte) []byte {
	if s.all {
		b = append(b, 'A')
	} else {
		b = append(b, 'T')
	}
	b = appendKeyText(b, fmt.Sprint(len(s.tenants)))
	for _, t := range s.tenants {
		b = appendKeyText(b, t)
	}
	for _, r := range s.required {
		b = appendKeyText(b, r.Dimension)
		values := r.Values
		if r.Fold {
			b = append(b, 'F')
			values = make([]string, len(r.Values))
			for i, v := range r.Values {
				values[i] = foldCase(v)
			}
			slices.Sort(values)
		} else {
			b = append(b, 'E')
		}
		b = appendKeyText(b, fmt.Sprint(len(values)))
		for _, v := range values {
			b = appendKeyText(b, v)
		}
	}
	return b
}
