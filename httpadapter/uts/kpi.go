package uts

import (
	"slices"
	"strings"
	"time"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/rules"
	"github.com/usagebook/usagebook/usage"
)

// monthNames are those of the documents.
var monthNames = [...]string{"january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"}

// asked is what both aggregates ask for.
type asked struct {
	key   rules.KPIKey
	year  int
	month time.Month
}

// readAsked reads the required parameters, in their documented order. The
// provider is a parameter on the consumer's route alone.
func readAsked(c *httpadapter.Call, provider string) (asked, error) {
	a := asked{key: rules.KPIKey{Provider: provider}}
	names := []string{"month", "year", "provider", "application", "KPIName"}
	for _, name := range names {
		if c.Param(name) == "" && (name != "provider" || provider == "") {
			return a, absent(name)
		}
	}
	month := c.Param("month")
	if i := slices.Index(monthNames[:], strings.ToLower(month)); i >= 0 {
		a.month = time.Month(i + 1)
	} else if n, ok := whole(month); ok && len(month) <= 2 && n >= 1 && n <= 12 {
		a.month = time.Month(n)
	} else {
		return a, invalid("month", month, "Give the English name of a month, or 1 to 12.")
	}
	year, ok := whole(c.Param("year"))
	if !ok || len(c.Param("year")) != 4 || year == 0 {
		return a, invalid("year", c.Param("year"), "Give a year of four digits.")
	}
	a.year = int(year)
	if provider == "" {
		a.key.Provider = c.Param("provider")
	}
	a.key.Application, a.key.Name = c.Param("application"), c.Param("KPIName")
	return a, nil
}

// figures works out a KPI. Without tenants to look at there is nothing but the
// definition.
func (a asked) figures(c *httpadapter.Call, scope usage.Scope, anyone bool) (*usage.KPIResult, error) {
	if _, ok := c.Book.KPIs().Get(a.key); !ok {
		return nil, httpadapter.Missing("There is no KPI of this name, application and provider.")
	}
	if !anyone {
		return &usage.KPIResult{}, nil
	}
	return c.Book.KPI(c.Context(), scope, a.key, a.year, a.month)
}

// consumerUsage answers GET /aggregatedMonthlyConsumerUsage, of the caller's own
// tenant.
func (s *service) consumerUsage(c *httpadapter.Call) error {
	a, err := readAsked(c, "")
	if err != nil {
		return err
	}
	k, err := a.figures(c, usage.ForTenant(home(c)), true)
	if err != nil {
		return err
	}
	if len(k.Consumers) == 0 {
		return c.Answer(204, "", nil)
	}
	return writeConsumer(c, k)
}

// providerUsage answers GET /aggregatedMonthlyProviderUsage, of what the
// caller's own tenant provides to the tenants that it holds.
func (s *service) providerUsage(c *httpadapter.Call) error {
	a, err := readAsked(c, home(c))
	if err != nil {
		return err
	}
	p, err := readPage(c, 0, 20)
	if err != nil {
		return err
	}
	scope, anyone := c.Principal.Scope(), true
	if consumer := c.Param("consumer"); consumer != "" {
		// Somebody else's tenant is as one that used nothing.
		scope, anyone = usage.ForTenant(consumer), c.Principal.HoldsTenant(consumer)
	}
	k, err := a.figures(c, scope, anyone)
	if err != nil {
		return err
	}
	if len(k.Consumers) == 0 {
		return c.Answer(204, "", nil)
	}
	return writeProvider(c, k, cut(&p, k.Consumers), &p)
}
