package uts

import (
	"fmt"
	"slices"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/httpadapter"
)

// item is one usage of a request, with everything that its place in the
// document says of it.
type item struct {
	*place
	unit  string
	at    time.Time
	value aggregate.Number
}

// place is what usages of one resource have in common.
type place struct {
	*owner
	application, alias string
	resource           string // empty: not given
}

// owner is what the usages of one user have in common.
type owner struct{ tenant, user, userType string }

// userTypes are the documented ones.
var userTypes = []string{"tenant", "user", "agent"}

// The keys of the documents.
var (
	usersKeys    = newKeys(1, "users")
	userKeys     = newKeys(2, "tenantId", "resources", "userId", "userType")
	resourceKeys = newKeys(2, "resource", "usages", "application", "alias")
	valueKeys    = newKeys(3, "value", "unit", "datetime")

	customerKeys = newKeys(3, "CustomerTenantID", "CustomerUserID", "UTSUsageData")
	dataKeys     = newKeys(2, "resourceAlias", "UsageData", "resourceName")
	usageKeys    = newKeys(3, "usage", "usageUnit", "usageDate")
)

// readUsers reads the body of POST /usagesJobs.
func readUsers(body []byte) ([]item, error) { return read(body, (*reader).users) }

func (r *reader) users() error {
	return r.object(usersKeys, func(int) error { return r.array(r.user) })
}

func (r *reader) user() error {
	u := &owner{}
	r.owner = u
	err := r.object(userKeys, func(key int) error {
		switch key {
		case 0:
			return r.tenant(&u.tenant)
		case 1:
			return r.array(r.resource)
		case 2:
			return r.text(&u.user, false)
		}
		err := r.text(&u.userType, false)
		if u.userType != "" && !slices.Contains(userTypes, u.userType) {
			r.note(invalidProperty, fmt.Sprintf("is %q, allowed are tenant, user and agent", clip(u.userType)))
		}
		return err
	})
	if u.userType == "" {
		u.userType = "user"
	}
	if u.user == "" {
		u.user, u.userType = u.tenant, "tenant"
	}
	return err
}

func (r *reader) resource() error {
	p := &place{owner: r.owner}
	r.place = p
	err := r.object(resourceKeys, func(key int) error {
		switch key {
		case 0:
			return r.text(&p.resource, true)
		case 1:
			return r.array(r.valueUsage)
		case 2:
			return r.text(&p.application, false)
		}
		return r.text(&p.alias, false)
	})
	switch {
	case p.application == "" && p.alias == "":
		r.missing("application")
	case p.application == "":
		p.application = p.alias
	case p.alias == "":
		p.alias = p.application
	}
	return err
}

// readCustomer reads the body of POST /usages.
func readCustomer(body []byte) ([]item, error) { return read(body, (*reader).customer) }

func (r *reader) customer() error {
	u := &owner{userType: "user"}
	r.owner = u
	return r.object(customerKeys, func(key int) error {
		switch key {
		case 0:
			return r.tenant(&u.tenant)
		case 1:
			return r.text(&u.user, true)
		}
		return r.array(r.customerData)
	})
}

func (r *reader) customerData() error {
	p := &place{owner: r.owner}
	r.place = p
	err := r.object(dataKeys, func(key int) error {
		switch key {
		case 0:
			return r.text(&p.application, true)
		case 1:
			return r.array(r.customerUsage)
		}
		return r.text(&p.resource, false)
	})
	p.alias = p.application
	return err
}

func (r *reader) valueUsage() error    { return r.usage(valueKeys, false) }
func (r *reader) customerUsage() error { return r.usage(usageKeys, true) }

// usage reads one usage: number, unit and instant, by these keys.
func (r *reader) usage(k *keys, integer bool) error {
	r.count++
	u := item{place: r.place}
	err := r.object(k, func(key int) error {
		switch key {
		case 0:
			return r.number(&u.value, integer)
		case 1:
			return r.text(&u.unit, true)
		}
		return r.instant(&u.at)
	})
	if r.fault == nil && r.count <= maxUsages {
		r.usages = append(r.usages, u)
	}
	return err
}

// checkTenants refuses a request that names a tenant which the caller does not
// hold.
func checkTenants(c *httpadapter.Call, items []item) error {
	for i := range items {
		if i > 0 && (items[i].place == items[i-1].place || items[i].tenant == items[i-1].tenant) {
			continue
		}
		if !c.Principal.HoldsTenant(items[i].tenant) {
			return httpadapter.Denied("The token is not for the tenant %q.", items[i].tenant)
		}
	}
	return nil
}
