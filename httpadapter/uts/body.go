package uts

import (
	"slices"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/httpadapter"
)

// item is one usage of a request, with everything that its place in the
// document says of it.
type item struct {
	tenant, user, userType string
	application, alias     string
	resource               string // empty: not given
	unit                   string
	at                     time.Time
	value                  aggregate.Number
}

// userTypes are the documented ones.
var userTypes = []string{"tenant", "user", "agent"}

// The keys of the documents, those that are required first.
var (
	usersKeys    = []string{"users"}
	userKeys     = []string{"tenantId", "resources", "userId", "userType"}
	resourceKeys = []string{"resource", "usages", "application", "alias"}
	valueKeys    = []string{"value", "unit", "datetime"}

	customerKeys = []string{"CustomerTenantID", "CustomerUserID", "UTSUsageData"}
	dataKeys     = []string{"resourceAlias", "UsageData", "resourceName"}
	usageKeys    = []string{"usage", "usageUnit", "usageDate"}
)

// readUsers reads the body of POST /usagesJobs.
func readUsers(body []byte) ([]item, error) {
	r, err := newReader(body)
	if err != nil {
		return nil, err
	}
	r.object(usersKeys, 1, func(int) { r.array(r.user) })
	return r.result()
}

func (r *reader) user() {
	from := len(r.usages)
	u := item{}
	r.object(userKeys, 2, func(key int) {
		switch key {
		case 0:
			u.tenant = r.tenant()
		case 1:
			r.array(r.resource)
		case 2:
			u.user = r.text(maxText, false)
		case 3:
			if u.userType = r.text(maxText, false); u.userType != "" && !slices.Contains(userTypes, u.userType) {
				r.note(invalidProperty, "is %q, allowed are tenant, user and agent", clip(u.userType))
			}
		}
	})
	if u.userType == "" {
		u.userType = "user"
	}
	if u.user == "" {
		u.user, u.userType = u.tenant, "tenant"
	}
	for i := range r.usages[from:] {
		x := &r.usages[from+i]
		x.tenant, x.user, x.userType = u.tenant, u.user, u.userType
	}
}

func (r *reader) resource() {
	from := len(r.usages)
	u := item{}
	r.object(resourceKeys, 2, func(key int) {
		switch key {
		case 0:
			u.resource = r.text(maxText, true)
		case 1:
			r.array(func() { r.usage(valueKeys, false) })
		case 2:
			u.application = r.text(maxText, false)
		case 3:
			u.alias = r.text(maxText, false)
		}
	})
	switch {
	case u.application == "" && u.alias == "":
		r.in("application", r.missing)
	case u.application == "":
		u.application = u.alias
	case u.alias == "":
		u.alias = u.application
	}
	r.fill(from, &u)
}

// readCustomer reads the body of POST /usages.
func readCustomer(body []byte) ([]item, error) {
	r, err := newReader(body)
	if err != nil {
		return nil, err
	}
	u := item{userType: "user"}
	r.object(customerKeys, 3, func(key int) {
		switch key {
		case 0:
			u.tenant = r.tenant()
		case 1:
			u.user = r.text(maxText, true)
		case 2:
			r.array(r.customerData)
		}
	})
	for i := range r.usages {
		x := &r.usages[i]
		x.tenant, x.user, x.userType = u.tenant, u.user, u.userType
	}
	return r.result()
}

func (r *reader) customerData() {
	from := len(r.usages)
	u := item{}
	r.object(dataKeys, 2, func(key int) {
		switch key {
		case 0:
			u.application = r.text(maxText, true)
		case 1:
			r.array(func() { r.usage(usageKeys, true) })
		case 2:
			u.resource = r.text(maxText, false)
		}
	})
	u.alias = u.application
	r.fill(from, &u)
}

// fill gives the usages from a place on what their resource says.
func (r *reader) fill(from int, u *item) {
	for i := range r.usages[from:] {
		x := &r.usages[from+i]
		x.application, x.alias, x.resource = u.application, u.alias, u.resource
	}
}

// usage reads one usage: number, unit and instant, by these keys.
func (r *reader) usage(keys []string, integer bool) {
	r.count++
	u := item{}
	r.object(keys, 3, func(key int) {
		switch key {
		case 0:
			if u.value = r.number(); integer && u.value.Scale() > 0 {
				r.note(invalidProperty, "is %s and has to be a whole number", clip(u.value.String()))
			}
		case 1:
			u.unit = r.text(maxText, true)
		case 2:
			text := r.text(maxText, true)
			var ok bool
			if u.at, ok = parseInstant(text); !ok {
				r.note(invalidProperty, "is %q, which is no instant such as 2026-01-05T08:00:00Z", clip(text))
			}
		}
	})
	if r.fault == nil && r.count <= maxUsages {
		r.usages = append(r.usages, u)
	}
}

// checkTenants refuses a request that names a tenant which the caller does not
// hold.
func checkTenants(c *httpadapter.Call, items []item) error {
	for i := range items {
		if i > 0 && items[i].tenant == items[i-1].tenant {
			continue
		}
		if !c.Principal.HoldsTenant(items[i].tenant) {
			return httpadapter.Denied("The token is not for the tenant %q.", items[i].tenant)
		}
	}
	return nil
}
