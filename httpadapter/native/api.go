package native

import (
	_ "embed"
	"errors"
	"fmt"

	"github.com/usagebook/usagebook/httpadapter"
)

//go:embed openapi.json
var document []byte

// Options are the settings of the API. Nil and the zero value both work.
type Options struct {
	// Decode bounds bodies and says how events are read; see [DecodeOptions].
	// Its Records must not be above the book's BatchSize, or a body could be
	// read and not booked.
	Decode *DecodeOptions
}

// The permissions that the routes ask for.
const (
	WritePermission = "usage:records:write"
	ReadPermission  = "usage:records:read"
)

type service struct{ decode DecodeOptions }

// reading are the parameters of the routes that read.
var reading = []string{"tenant", "from", "to", "on", "window", "tz", "measures", "$filter", "$groupby", "$apply", "$orderby", "$top", "$count", "pageSize", "$skiptoken", "asOf", "zeroFill"}

// New returns the API, to be mounted by httpadapter.New, which reports faults of
// the options. The options are copied.
func New(o *Options) *httpadapter.API {
	s := &service{}
	if o != nil && o.Decode != nil {
		s.decode = *o.Decode
	}
	body := &httpadapter.BodyRule{Types: Accepted()}
	return &httpadapter.API{
		Name:     "native",
		Roots:    []string{"/v1", "/openapi.json"},
		Fail:     fail,
		Document: document,
		Check: func(*httpadapter.Adapter) error {
			// Faults of the options show with any body.
			_, err := Decode("application/json", nil, []byte("[]"), &s.decode)
			return err
		},
		Routes: []httpadapter.Route{
			{Method: "POST", Path: "/v1/records", Class: httpadapter.WriteClass, Parameters: []string{"allOrNothing"}, Body: body, Authorize: may(WritePermission), Serve: s.records},
			{Method: "GET", Path: "/v1/usage", Parameters: reading, Authorize: mayRead, Serve: usageRows},
			{Method: "GET", Path: "/v1/explain", Parameters: append([]string{"source", "id", "row"}, reading...), Authorize: mayRead, Serve: explain},
			{Method: "POST", Path: "/v1/jobs", Class: httpadapter.WriteClass, Body: body, Authorize: may(WritePermission), Serve: s.submit},
			{Method: "GET", Path: "/v1/jobs", Parameters: []string{"from", "to"}, Authorize: may(WritePermission), Serve: jobs},
			{Method: "GET", Path: "/v1/jobs/{id}", Authorize: may(WritePermission), Serve: job},
			{Method: "GET", Path: "/v1/jobs/{id}/errors", Parameters: []string{"skip", "pageSize"}, Authorize: may(WritePermission), Serve: jobErrors},
			{Method: "GET", Path: "/openapi.json", Public: true, Authorize: httpadapter.Anyone, Serve: func(c *httpadapter.Call) error {
				return c.JSON(200, c.OpenAPI())
			}},
		},
	}
}

func may(permission string) func(*httpadapter.Call) error {
	return func(c *httpadapter.Call) error {
		if !c.Principal.HoldsPermission(permission) {
			return httpadapter.Denied("The permission %s is missing.", permission)
		}
		if len(c.Principal.Tenants) == 0 {
			return httpadapter.Denied("The token is for no tenant.")
		}
		return nil
	}
}

// mayRead asks for the permission and for every tenant named.
func mayRead(c *httpadapter.Call) error {
	if err := may(ReadPermission)(c); err != nil {
		return err
	}
	for _, tenant := range c.Values("tenant") {
		if tenant != httpadapter.Everything && tenant != "" && !c.Principal.HoldsTenant(tenant) {
			return httpadapter.Denied("The token is not for the tenant %q.", tenant)
		}
	}
	return nil
}

// fail answers a problem as RFC 9457 has it.
func fail(c *httpadapter.Call, p *httpadapter.Problem) {
	var bad *DecodeError
	if p.Kind != httpadapter.Internal && errors.As(p.Err, &bad) && p.Status == 0 {
		p.Status = bad.Status
	}
	httpadapter.FailPlain(c, p)
}

// bodyProblem is what a DecodeError is for a caller.
func bodyProblem(err error) error {
	var bad *DecodeError
	if !errors.As(err, &bad) {
		return fmt.Errorf("decode options: %w", errors.Join(errors.New("faulty"), err))
	}
	p := &httpadapter.Problem{Kind: httpadapter.Invalid, Field: "body", Message: bad.Error(), Err: err}
	switch bad.Status {
	case 413:
		p.Kind = httpadapter.TooLarge
	case 415:
		p.Kind, p.Field = httpadapter.Unsupported, "Content-Type"
	}
	return p
}
