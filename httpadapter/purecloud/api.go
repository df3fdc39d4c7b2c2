package purecloud

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/usage"
)

//go:embed openapi.json
var document []byte

// maxBody bounds bodies in bytes: what is kept of one with its execution has to
// fit a note of the book, which has 64 KiB, and characters may double when they
// are written down.
const maxBody = 30 << 10

// New returns the API, to be mounted by httpadapter.New, which reports faults of
// the options, and a book whose store keeps no tasks. The options are copied.
func New(o *Options) *httpadapter.API {
	s, err := o.compile()
	post := func(path string, permissions []string, serve func(*httpadapter.Call) error) httpadapter.Route {
		return httpadapter.Route{Method: "POST", Path: path, Class: httpadapter.StartClass,
			Body:      &httpadapter.BodyRule{Types: []string{"application/json"}, MaxBytes: maxBody},
			Authorize: authorize(permissions), Serve: serve}
	}
	results := func(path string, k kind, permissions []string) httpadapter.Route {
		return httpadapter.Route{Method: "GET", Path: path, Class: httpadapter.ReadClass, Parameters: []string{"after", "pageSize"},
			Authorize: authorize(permissions), Serve: func(c *httpadapter.Call) error { return s.results(c, k) }}
	}
	organizations := []string{"oauth:client:view", "usage:organization:view"}
	searches := []string{"oauth:client:view", "usage:simpleSearch:view"}
	clients := []string{"oauth:client:view", "usage:client:view"}
	return &httpadapter.API{
		Name:     "purecloud",
		Roots:    []string{"/api/v2/usage", "/api/v2/oauth/clients"},
		Begin:    begin,
		Fail:     fail,
		Document: document,
		Check: func(a *httpadapter.Adapter) error {
			if err != nil {
				return err
			}
			return checkTasks(a.Book())
		},
		Routes: []httpadapter.Route{
			post("/api/v2/usage/query", organizations, s.postOrganizationQuery),
			results("/api/v2/usage/query/{executionId}/results", organizationQuery, organizations),
			post("/api/v2/usage/simplesearch", searches, s.postSimpleSearch),
			results("/api/v2/usage/simplesearch/{executionId}/results", simpleSearch, searches),
			post("/api/v2/oauth/clients/{clientId}/usage/query", clients, s.postClientQuery),
			results("/api/v2/oauth/clients/{clientId}/usage/query/results/{executionId}", clientQuery, clients),
			{
				Method: "GET", Path: "/api/v2/oauth/clients/{clientId}/usage/summary", Class: httpadapter.StartClass,
				Parameters: []string{"days"}, Authorize: authorize(clients), Serve: s.getSummary,
			},
		},
	}
}

// authorize lets callers pass that have any of the permissions.
func authorize(permissions []string) func(*httpadapter.Call) error {
	return func(c *httpadapter.Call) error {
		if !c.Principal.HoldsPermission(permissions...) {
			return httpadapter.Denied("Unable to perform the requested action. You must have at least one of the following permissions assigned: [%s]", strings.Join(permissions, ", "))
		}
		if len(c.Principal.Tenants) == 0 {
			return httpadapter.Denied("Unable to perform the requested action. You belong to no organization.")
		}
		return nil
	}
}

// checkTasks refuses a book that cannot execute. An id that no execution can
// have asks the book alone and not its store.
func checkTasks(b *usage.Book) error {
	if _, err := b.Execution(context.Background(), ownerPrefix, "\x00"); errors.Is(err, usage.ErrUnsupported) {
		return fmt.Errorf("the store of the book keeps no executions: %w", err)
	}
	return nil
}
