package demo

import (
	"bytes"
	"testing"
	"time"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/usage"
)

// Subscriptions of the examples.
const (
	AcmeSubscription     = "00000000-0000-4000-8000-0000000000a1"
	GlobexSubscription   = "00000000-0000-4000-8000-0000000000b2"
	ProviderSubscription = "00000000-0000-4000-8000-0000000000d0"
)

// Principals are the callers by their tokens: the two of the demonstration
// config, globex as acme's twin, the provider of both, an administrator of acme's
// billing cycles, the provider llm of the real data, and "no-roles" and "no-tenants", which lack what they are named
// for.
func Principals() map[string]httpadapter.Principal {
	roles := []string{"Account Member", "Reader"}
	permissions := []string{"usage:organization:view", "usage:client:view", "usage:simpleSearch:view", "partner:analytics:view",
		"uts:usages:read", "uts:usages:write", "usage:records:read", "usage:records:write"}
	all := []string{httpadapter.Everything}
	return map[string]httpadapter.Principal{
		"demo-admin":    {Subject: "demo-admin", Home: "demo", Tenants: all, Roles: all, Permissions: all},
		"demo-acme":     {Subject: "demo-acme", Home: "acme", Tenants: []string{"acme"}, Roles: roles, Permissions: permissions},
		"demo-llm":      {Subject: "demo-llm", Home: "llm", Tenants: all, Permissions: permissions},
		"demo-globex":   {Subject: "demo-globex", Home: "globex", Tenants: []string{"globex"}, Roles: roles, Permissions: permissions},
		"acme-cycles":   {Subject: "acme-cycles", Tenants: []string{"acme"}, Roles: []string{"Tenant Administrator"}},
		"demo-provider": {Subject: "demo-provider", Home: "demo", Tenants: []string{"demo", "acme", "globex"}, Roles: roles, Permissions: permissions},
		"no-roles":      {Subject: "no-roles", Home: "acme", Tenants: []string{"acme"}},
		"no-tenants":    {Subject: "no-tenants", Roles: all, Permissions: all},
	}
}

// Catalogue is that of the examples.
func Catalogue() *httpadapter.Catalogue {
	return &httpadapter.Catalogue{
		Tenants: []httpadapter.Tenant{
			{ID: "acme", Name: "Acme AG", Since: time.Date(2026, 2, 15, 0, 0, 0, 0, time.UTC)},
			{ID: "globex", Name: "Globex"},
		},
		Subscriptions: []httpadapter.Subscription{
			{ID: AcmeSubscription, Name: "Acme production", Tenant: "acme", Provider: ProviderSubscription},
			{ID: GlobexSubscription, Name: "Globex", Tenant: "globex", Provider: ProviderSubscription},
			{ID: ProviderSubscription, Name: "Provider", Tenant: "demo"},
		},
		Clients: []httpadapter.Client{
			{ID: "client-1", Name: "Acme Mobile", Tenant: "acme"},
			{ID: "client-2", Name: "Nightly Export", Tenant: "acme"},
		},
	}
}

// Authenticate knows the Principals.
func Authenticate(t testing.TB) httpadapter.Options {
	t.Helper()
	auth, err := httpadapter.StaticTokens(Principals())
	if err != nil {
		t.Fatal(err)
	}
	return httpadapter.Options{Authenticate: auth, Catalogue: Catalogue()}
}

// Book returns a function that decodes records, one JSON object a line, and
// books them; any that is not new fails the test.
func Book(b *usage.Book) func(t testing.TB, ndjson []byte) {
	return func(t testing.TB, ndjson []byte) {
		t.Helper()
		for line := range bytes.Lines(ndjson) {
			if line = bytes.TrimSpace(line); len(line) == 0 {
				continue
			}
			r, err := usage.DecodeRecord(line)
			if err == nil {
				_, err = b.Append(t.Context(), r)
			}
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
		}
	}
}
