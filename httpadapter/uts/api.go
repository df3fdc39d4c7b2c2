package uts

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/usage"
)

//go:embed openapi.json
var document []byte

const root = "/api/usagetransparency/v3"

// The permissions of the routes.
const (
	readPermission  = "uts:usages:read"
	writePermission = "uts:usages:write"
)

// New returns the API, to be mounted by httpadapter.New, which reports faults of
// the options, and a book whose store keeps no tasks. The options are copied.
func New(o *Options) *httpadapter.API {
	s, err := o.compile()
	read := func(path string, serve func(*httpadapter.Call) error, parameters ...string) httpadapter.Route {
		return httpadapter.Route{Method: "GET", Path: root + path, Class: httpadapter.ReadClass, Parameters: parameters,
			Authorize: authorize(readPermission), Serve: serve}
	}
	write := func(path string, serve func(*httpadapter.Call) error) httpadapter.Route {
		return httpadapter.Route{Method: "POST", Path: root + path, Class: httpadapter.WriteClass,
			Body: &httpadapter.BodyRule{Types: []string{"application/json"}}, Authorize: authorize(writePermission), Serve: serve}
	}
	consumer := read("/aggregatedMonthlyConsumerUsage", s.consumerUsage, "month", "year", "provider", "application", "KPIName")
	consumer.Authorize = authorizeConsumer
	return &httpadapter.API{
		Name:     "uts",
		Roots:    []string{root},
		Fail:     fail,
		Document: document,
		Check: func(a *httpadapter.Adapter) error {
			if err != nil {
				return err
			}
			return checkTasks(a.Book())
		},
		Routes: []httpadapter.Route{
			write("/usages", s.postUsages),
			write("/usagesJobs", s.postJob),
			read("/usagesJobs", s.listJobs, "date", "tenant", "application", "unit", "page", "size"),
			read("/usagesJobs/{id}", s.getJob, "page", "size"),
			read("/usagesJobs/{id}/errors", s.listErrors, "errorClass", "page", "size"),
			consumer,
			read("/aggregatedMonthlyProviderUsage", s.providerUsage, "month", "year", "application", "KPIName", "consumer", "page", "size"),
		},
	}
}

// checkTasks refuses a book that takes no jobs.
func checkTasks(b *usage.Book) error {
	// Whether there is a store of tasks is seen before the store is asked, which
	// the ended context keeps from happening.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := b.Jobs(ctx, ownerOf("check"), usage.JobsQuery{}); errors.Is(err, usage.ErrUnsupported) {
		return fmt.Errorf("the book's store keeps no tasks, which the jobs of these routes are: %w", err)
	}
	return nil
}

// ownerOf names the owner of the jobs of an operator. Jobs that came another
// way, with the same tenant as their owner, are not of these routes.
func ownerOf(home string) string { return "uts/" + home }

// home is the caller's own tenant. Authorize has seen that there is one.
func home(c *httpadapter.Call) string {
	tenant, _ := c.Principal.HomeTenant()
	return tenant
}

func authorize(permission string) func(*httpadapter.Call) error {
	return func(c *httpadapter.Call) error {
		if !c.Principal.HoldsPermission(permission) {
			return httpadapter.Denied("The permission %s is missing.", permission)
		}
		if _, ok := c.Principal.HomeTenant(); !ok {
			return httpadapter.Denied("The token is of no tenant of its own.")
		}
		if len(c.Principal.Tenants) == 0 {
			return httpadapter.Denied("The token is for no tenant.")
		}
		return nil
	}
}

// authorizeConsumer also asks that the caller may read its own tenant, of which
// the answer speaks.
func authorizeConsumer(c *httpadapter.Call) error {
	if err := authorize(readPermission)(c); err != nil {
		return err
	}
	if !c.Principal.HoldsTenant(home(c)) {
		return httpadapter.Denied("The token is not for the tenant %q.", home(c))
	}
	return nil
}
