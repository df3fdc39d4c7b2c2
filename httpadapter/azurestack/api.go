package azurestack

import (
	_ "embed"
	"strings"
	"unicode/utf8"

	"github.com/usagebook/usagebook/httpadapter"
)

//go:embed openapi.json
var document []byte

// The namespaces of the documented resource providers.
const (
	commerce      = "Microsoft.Commerce"
	commerceAdmin = "Microsoft.Commerce.Admin"
)

// New returns the API, to be mounted by httpadapter.New, which reports faults of
// the options. The options are copied.
func New(o *Options) *httpadapter.API {
	s, err := o.compile()
	a := &httpadapter.API{
		Name:      "azurestack",
		Roots:     []string{"/subscriptions"},
		FoldPath:  true,
		FoldNames: true,
		Begin:     func(c *httpadapter.Call) { c.Header().Set("x-ms-request-id", c.Operation) },
		Fail:      fail,
		Document:  document,
		Check:     func(*httpadapter.Adapter) error { return err },
	}
	// A server that cleans paths makes /subscriptions//providers of a path without
	// its subscription, or redirects to one without the segment.
	for _, subscription := range []string{"/subscriptions/{subId?}", "/subscriptions"} {
		a.Routes = append(a.Routes,
			httpadapter.Route{
				Method: "GET", Path: subscription + "/providers/" + commerce + "/usageAggregates",
				Parameters: []string{startParam, endParam, granularityParam, versionParam, tokenParam, detailsParam},
				Authorize:  authorizeTenant,
				Serve:      func(c *httpadapter.Call) error { return s.serve(c, false, commerce) },
			})
		for _, namespace := range []string{commerce, commerceAdmin} {
			a.Routes = append(a.Routes, httpadapter.Route{
				Method: "GET", Path: subscription + "/providers/" + namespace + "/subscriberUsageAggregates",
				Parameters: []string{startParam, endParam, granularityParam, versionParam, tokenParam, detailsParam, subscriberParam},
				Authorize:  authorizeProvider,
				Serve:      func(c *httpadapter.Call) error { return s.serve(c, true, namespace) },
			})
		}
	}
	return a
}

// subscriptionOf is the subscription of the path as the catalogue has it; one
// that it does not have is a tenant of this name.
func subscriptionOf(c *httpadapter.Call) (s httpadapter.Subscription, listed bool) {
	id := c.Path("subId")
	if s, listed = c.Catalogue.Subscription(id); !listed {
		s = httpadapter.Subscription{ID: id, Tenant: id}
	}
	return s, listed
}

func authorizeTenant(c *httpadapter.Call) error {
	if err := authorizeRole(c); err != nil {
		return err
	}
	if s, _ := subscriptionOf(c); !c.Principal.HoldsTenant(s.Tenant) {
		return notAllowed(c)
	}
	return nil
}

func authorizeProvider(c *httpadapter.Call) error {
	if err := authorizeRole(c); err != nil {
		return err
	}
	s, listed := subscriptionOf(c)
	if !listed || !c.Principal.HoldsTenant(s.Tenant) || len(c.Catalogue.CustomersOf(s.ID)) == 0 {
		return notAllowed(c)
	}
	return nil
}

// authorizeRole checks what both kinds of route ask for.
func authorizeRole(c *httpadapter.Call) error {
	switch {
	case !c.Principal.HoldsRole("Owner", "Contributor", "Reader"):
		return notAllowed(c)
	case c.Path("subId") == "":
		return &httpadapter.Problem{Kind: httpadapter.Invalid, Code: "SubscriptionIdMissingInRequest", Message: "The request has no subscription ID in its path."}
	case !utf8.ValidString(c.Path("subId")) || strings.ContainsRune(c.Path("subId"), 0):
		return notAllowed(c) // the id of no tenant
	}
	return nil
}

func notAllowed(c *httpadapter.Call) error {
	return httpadapter.Denied("The client does not have authorization to read usage over the scope '/subscriptions/%s', or the scope is invalid.", c.Path("subId"))
}
