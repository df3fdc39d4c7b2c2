package partnercenter

import (
	_ "embed"
	"strings"

	"github.com/usagebook/usagebook/httpadapter"
)

//go:embed openapi.json
var document []byte

// parameters are the documented ones. Those of OData may have a $ before them.
var parameters = []string{"top", "skip", "filter", "aggregationLevel", "orderby", "groupby", "startDate", "endDate", "snapshot",
	"$top", "$skip", "$filter", "$orderby"}

// New returns the API, to be mounted by httpadapter.New, which reports faults of
// the options. The options are copied.
func New(o *Options) *httpadapter.API {
	s, err := o.compile()
	route := func(path string) httpadapter.Route {
		return httpadapter.Route{Method: "GET", Path: path, Parameters: parameters, Authorize: authorize, Serve: s.azureUsage}
	}
	return &httpadapter.API{
		Name:      "partnercenter",
		Roots:     []string{"/partner/v1"},
		FoldNames: true,
		Begin:     begin,
		Fail:      fail,
		Document:  document,
		Check:     func(*httpadapter.Adapter) error { return err },
		Routes:    []httpadapter.Route{route("/partner/v1/analytics/azureusage"), route("/partner/v1/analytics/usage/azure")},
	}
}

func authorize(c *httpadapter.Call) error {
	if c.Principal.Kind != httpadapter.User {
		return httpadapter.Denied("Access denied: user credentials are needed, those of an app are not enough.")
	}
	if !c.Principal.HoldsPermission("partner:analytics:view") {
		return httpadapter.Denied("Access denied: the permission partner:analytics:view is missing.")
	}
	if len(c.Principal.Tenants) == 0 {
		return httpadapter.Denied("Access denied: the caller has no customers.")
	}
	return nil
}

// begin gives every answer the ids of the request: those the client sent, or a
// new one.
func begin(c *httpadapter.Call) {
	for _, name := range []string{"MS-RequestId", "MS-CorrelationId"} {
		id := c.Request.Header.Get(name)
		if !plainID(id) {
			id = c.Operation
		}
		// Set would spell the names another way.
		c.Header()[name] = []string{id}
	}
}

// plainID says whether an id of the client may be sent back as it is.
func plainID(id string) bool {
	return id != "" && len(id) <= 128 && strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._{}") == ""
}
