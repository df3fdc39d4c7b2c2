package usage

import (
	"fmt"
	"slices"
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
	required []Dimension // in the order of With
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
	s.required = append(slices.Clone(s.required), Dimension{dimension, value})
	return s
}

// Tenants returns the tenants of the scope in byte order, and whether it is
// the scope of all tenants instead. The slice is not to be changed.
func (s Scope) Tenants() (tenants []string, all bool) { return s.tenants, s.all }

// Required returns the dimensions that every record of the scope has. The
// slice is not to be changed.
func (s Scope) Required() []Dimension { return s.required }

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
	for _, d := range s.required {
		if d.Name == "" {
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
	req := slices.Clone(s.required)
	slices.SortFunc(req, func(a, b Dimension) int {
		return slices.Compare([]string{a.Name, a.Value}, []string{b.Name, b.Value})
	})
	for _, d := range slices.Compact(req) {
		b = appendKeyText(b, d.Name)
		b = appendKeyText(b, d.Value)
	}
	return b
}
