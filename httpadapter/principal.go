package httpadapter

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/usagebook/usagebook/usage"
)

// Everything stands in a list of tenants, roles or permissions for all of them.
const Everything = "*"

// The errors that [Options.Authenticate] answers for a request that it cannot
// place; both are answered with status 401. Any other error of it is our fault
// and answered with 500, or 503 where it is usage.ErrUnavailable.
var (
	// ErrNoToken: the request carries no credentials.
	ErrNoToken = errors.New("no token")
	// ErrBadToken: the credentials are unknown, expired or malformed.
	ErrBadToken = errors.New("bad token")
)

// CallerKind tells a person from a program.
type CallerKind uint8

// The kinds. Only Partner Center asks for it.
const (
	User CallerKind = iota
	App
)

// String returns "user" or "app".
func (k CallerKind) String() string {
	if k == App {
		return "app"
	}
	return "user"
}

// MarshalText writes the kind as String does.
func (k CallerKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads "user" or "app"; empty is User.
func (k *CallerKind) UnmarshalText(text []byte) error {
	switch string(text) {
	case "", "user":
		*k = User
	case "app":
		*k = App
	default:
		return fmt.Errorf("the kind of a caller is %q; user and app are allowed", text)
	}
	return nil
}

// Principal is the caller of a request, as the host's authentication knows it.
// It is a value; its slices are read and never changed.
type Principal struct {
	// Subject names the caller in logs and rate limits. Required.
	Subject string `json:"subject"`
	// Kind is User or App.
	Kind CallerKind `json:"kind"`
	// Home is the caller's own tenant. Defaults to the first of Tenants; a
	// caller that holds every tenant has no home unless it is given.
	Home string `json:"home"`
	// Tenants may be read and written; [Everything] among them is all. For a
	// provider, operator or partner these are its own and its customers.
	Tenants []string `json:"tenants"`
	// Roles and Permissions are flat names; Everything holds each.
	Roles       []string `json:"roles"`
	Permissions []string `json:"permissions"`
}

// AllTenants reports whether the caller holds every tenant.
func (p *Principal) AllTenants() bool { return slices.Contains(p.Tenants, Everything) }

// HoldsTenant reports whether the caller may read and write a tenant.
func (p *Principal) HoldsTenant(tenant string) bool {
	return tenant != "" && (slices.Contains(p.Tenants, tenant) || p.AllTenants())
}

// HoldsRole reports whether the caller has one of the roles.
func (p *Principal) HoldsRole(anyOf ...string) bool { return holds(p.Roles, anyOf) }

// HoldsPermission reports whether the caller has one of the permissions.
func (p *Principal) HoldsPermission(anyOf ...string) bool { return holds(p.Permissions, anyOf) }

func holds(have, anyOf []string) bool {
	return slices.ContainsFunc(have, func(h string) bool { return h == Everything || slices.Contains(anyOf, h) })
}

// HomeTenant returns the caller's own tenant; ok is false when it has none.
func (p *Principal) HomeTenant() (tenant string, ok bool) {
	switch {
	case p.Home != "":
		return p.Home, true
	case len(p.Tenants) > 0 && !p.AllTenants():
		return p.Tenants[0], true
	}
	return "", false
}

// Scope returns the scope of everything that the caller may read. A caller
// without tenants has the zero Scope, which every query refuses.
func (p *Principal) Scope() usage.Scope {
	if p.AllTenants() {
		return usage.AllTenants()
	}
	return usage.ForTenants(p.Tenants...)
}

// Check returns an error, wrapping [ErrBadToken], when the principal cannot be
// used: it has no subject, or names a tenant, role or permission that is empty.
func (p *Principal) Check() error {
	if p.Subject == "" {
		return fmt.Errorf("%w: the principal has no subject", ErrBadToken)
	}
	for _, list := range []struct {
		name  string
		items []string
	}{{"tenants", p.Tenants}, {"roles", p.Roles}, {"permissions", p.Permissions}} {
		if slices.Contains(list.items, "") {
			return fmt.Errorf("%w: the principal %q has an empty entry in its %s", ErrBadToken, p.Subject, list.name)
		}
	}
	return nil
}

// clone copies a principal, so that the host may reuse its slices.
func (p Principal) clone() Principal {
	p.Tenants, p.Roles, p.Permissions = slices.Clone(p.Tenants), slices.Clone(p.Roles), slices.Clone(p.Permissions)
	return p
}

// Bearer returns the token of the request's Authorization header. It is
// ErrNoToken when there is none, and ErrBadToken when the header has another
// scheme, is given twice or is longer than 8 KiB.
func Bearer(r *http.Request) (string, error) {
	values := r.Header["Authorization"]
	switch {
	case len(values) == 0 || len(values) == 1 && values[0] == "":
		return "", ErrNoToken
	case len(values) > 1:
		return "", fmt.Errorf("%w: more than one Authorization header", ErrBadToken)
	}
	scheme, token, ok := cutSpace(values[0])
	if !ok || !equalFold(scheme, "Bearer") || token == "" {
		return "", fmt.Errorf("%w: the Authorization header is not of the form Bearer TOKEN", ErrBadToken)
	}
	if len(token) > 8<<10 {
		return "", fmt.Errorf("%w: longer than 8 KiB", ErrBadToken)
	}
	return token, nil
}
