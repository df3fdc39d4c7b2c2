package native

import (
	"errors"
	"strings"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/usage"
)

// body reads the records of the request, and refuses it when it names a tenant
// that the caller does not hold: before anything is said of the records.
func (s *service) body(c *httpadapter.Call) ([]usage.Record, error) {
	records, err := Decode(c.Request.Header.Get("Content-Type"), c.Request.Header, c.Body(), &s.decode)
	if err != nil {
		return nil, bodyProblem(err)
	}
	if c.Principal.AllTenants() {
		return records, nil
	}
	for _, tenant := range Tenants(records) {
		if !c.Principal.HoldsTenant(tenant) {
			return nil, httpadapter.Denied("The body names the tenant %q, which the token is not for.", tenant)
		}
	}
	return records, nil
}

// flagParam reads a parameter that is true or false.
func flagParam(c *httpadapter.Call, name string) (bool, error) {
	switch v := c.Param(name); strings.ToLower(v) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, httpadapter.Bad(name, "'%s' is %q; true and false are allowed", name, clip(v))
	}
}

func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "..."
	}
	return s
}

func (s *service) records(c *httpadapter.Call) error {
	whole, err := flagParam(c, "allOrNothing")
	if err != nil {
		return err
	}
	records, err := s.body(c)
	if err != nil {
		return err
	}
	receipt, err := c.Book.AppendBatch(c.Context(), usage.AppendOptions{AllOrNothing: whole}, records...)
	var refused *usage.AppendError
	if err != nil && !errors.As(err, &refused) {
		return err
	}
	return c.Stream(200, httpadapter.JSONType, func(out *httpadapter.Stream) error { return WriteOutcomes(out, receipt) })
}
