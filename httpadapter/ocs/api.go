package ocs

import (
	_ "embed"

	"github.com/usagebook/usagebook/httpadapter"
)

//go:embed openapi.json
var document []byte

// New returns the API, to be mounted by httpadapter.New, which reports faults of
// the options. The options are copied.
func New(o *Options) *httpadapter.API {
	s, err := o.compile()
	return &httpadapter.API{
		Name:      "ocs",
		Roots:     []string{"/api/v1/tenants"},
		FoldNames: true,
		Fail:      fail,
		Document:  document,
		Check:     func(*httpadapter.Adapter) error { return err },
		Routes: []httpadapter.Route{
			{
				Method: "GET", Path: "/api/v1/tenants/{tenantId}/usage",
				Parameters: []string{"start", "end", "groupByNamespace"},
				Authorize:  authorize("Account Member", "Tenant Member"),
				Serve:      s.tenantUsage,
			},
			{
				Method: "GET", Path: "/api/v1/tenants/{tenantId}/namespaces/{namespaceId}/usage",
				Parameters: []string{"start", "end"},
				Authorize:  authorize("Account Member", "Tenant Member"),
				Serve:      s.namespaceUsage,
			},
			{
				Method: "GET", Path: "/api/v1/tenants/{tenantId}/subscriptionterm/billingcycles",
				Authorize: authorize("Account Administrator", "Tenant Administrator"),
				Serve:     s.billingCycles,
			},
		},
	}
}

func authorize(roles ...string) func(*httpadapter.Call) error {
	return func(c *httpadapter.Call) error {
		tenant := c.Path("tenantId")
		if !c.Principal.HoldsTenant(tenant) {
			return httpadapter.Denied("The token is not for the tenant %q.", tenant)
		}
		if !c.Principal.HoldsRole(roles...) {
			return httpadapter.Denied("The token lacks the role %s.", roles[0])
		}
		return nil
	}
}
