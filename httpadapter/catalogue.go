package httpadapter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Catalogue is what the APIs know beside the records: names, subscriptions,
// clients. All of it is optional, and each API says what it does without. It is
// read by New and not kept.
type Catalogue struct {
	Tenants       []Tenant       `json:"tenants"`
	Subscriptions []Subscription `json:"subscriptions"`
	Clients       []Client       `json:"clients"`

	tenants       map[string]*Tenant
	subscriptions map[string]*Subscription // by folded id
	clients       map[string][]*Client     // by id
}

// Tenant is what is known of a tenant.
type Tenant struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Since is the day the tenant began, UTC. Zero: the day of its first record.
	Since time.Time `json:"-"`
	// BillingAnchorDay is the day of the month on which billing cycles begin,
	// 1 to 31; days past a month's end are its last day. Defaults to 1.
	BillingAnchorDay int `json:"billingAnchorDay"`
	// ClusterRegion is the number OCS shows where a namespace has none.
	ClusterRegion int         `json:"clusterRegion"`
	Namespaces    []Namespace `json:"namespaces"`
}

// Namespace is a part of a tenant, in OCS.
type Namespace struct {
	ID string `json:"id"`
	// ClusterRegion is nil where it is the tenant's.
	ClusterRegion *int `json:"clusterRegion"`
}

// Subscription is what a tenant's Azure usage is divided by. Ids compare
// without regard to case, and are written as they are spelled here.
type Subscription struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Tenant string `json:"tenant"`
	// Provider is the id of the provider subscription that this one is a direct
	// customer of; empty where there is none.
	Provider string `json:"provider"`
	// Deleted subscriptions are served on provider routes only.
	Deleted bool `json:"deleted"`
}

// Client is a registered OAuth client, in Genesys.
type Client struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Tenant string `json:"tenant"`
}

// compile copies and indexes a catalogue; nil is an empty one.
func (k *Catalogue) compile() (*Catalogue, error) {
	out := &Catalogue{tenants: map[string]*Tenant{}, subscriptions: map[string]*Subscription{}, clients: map[string][]*Client{}}
	if k == nil {
		return out, nil
	}
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("catalogue: "+format, args...))
	}
	out.Tenants = slices.Clone(k.Tenants)
	for i := range out.Tenants {
		t := &out.Tenants[i]
		t.Namespaces = slices.Clone(t.Namespaces)
		if t.BillingAnchorDay == 0 {
			t.BillingAnchorDay = 1
		}
		switch {
		case t.ID == "":
			fault("tenants[%d] has no id", i)
		case out.tenants[t.ID] != nil:
			fault("the tenant %q is listed twice", t.ID)
		case t.BillingAnchorDay < 1 || t.BillingAnchorDay > 31:
			fault("the billing anchor day of the tenant %q is %d; 1 to 31 are allowed", t.ID, t.BillingAnchorDay)
		}
		for j, n := range t.Namespaces {
			if n.ID == "" {
				fault("a namespace of the tenant %q has no id", t.ID)
			}
			if slices.ContainsFunc(t.Namespaces[:j], func(o Namespace) bool { return o.ID == n.ID }) {
				fault("the namespace %q of the tenant %q is listed twice", n.ID, t.ID)
			}
		}
		out.tenants[t.ID] = t
	}
	out.Subscriptions = slices.Clone(k.Subscriptions)
	for i := range out.Subscriptions {
		s := &out.Subscriptions[i]
		switch {
		case s.ID == "" || s.Tenant == "":
			fault("subscriptions[%d] has no id or no tenant", i)
		case out.subscriptions[foldID(s.ID)] != nil:
			fault("the subscription %q is listed twice", s.ID)
		}
		out.subscriptions[foldID(s.ID)] = s
	}
	for i := range out.Subscriptions {
		if s := &out.Subscriptions[i]; s.Provider != "" && out.subscriptions[foldID(s.Provider)] == nil {
			fault("the provider %q of the subscription %q is not among the subscriptions", s.Provider, s.ID)
		}
	}
	out.Clients = slices.Clone(k.Clients)
	for i := range out.Clients {
		c := &out.Clients[i]
		if c.ID == "" || c.Tenant == "" {
			fault("clients[%d] has no id or no tenant", i)
		}
		if slices.ContainsFunc(out.clients[c.ID], func(o *Client) bool { return o.Tenant == c.Tenant }) {
			fault("the client %q of the tenant %q is listed twice", c.ID, c.Tenant)
		}
		out.clients[c.ID] = append(out.clients[c.ID], c)
	}
	return out, errors.Join(faults...)
}

func foldID(id string) string { return strings.ToLower(id) }

// Tenant returns a tenant; ok is false when the catalogue has none of this id.
func (k *Catalogue) Tenant(id string) (t Tenant, ok bool) {
	if p := k.tenants[id]; p != nil {
		return *p, true
	}
	return Tenant{ID: id, BillingAnchorDay: 1}, false
}

// Subscription returns a subscription by its id in any letter case.
func (k *Catalogue) Subscription(id string) (s Subscription, ok bool) {
	if p := k.subscriptions[foldID(id)]; p != nil {
		return *p, true
	}
	return Subscription{}, false
}

// CustomersOf returns the subscriptions that name one as their provider, in the
// order of the catalogue.
func (k *Catalogue) CustomersOf(provider string) []Subscription {
	var out []Subscription
	for _, s := range k.Subscriptions {
		if s.Provider != "" && strings.EqualFold(s.Provider, provider) {
			out = append(out, s)
		}
	}
	return out
}

// ClientsOf returns the registrations of a client id: one for each tenant that
// has it.
func (k *Catalogue) ClientsOf(id string) []Client {
	var out []Client
	for _, c := range k.clients[id] {
		out = append(out, *c)
	}
	return out
}

// Client returns a tenant's registered client.
func (k *Catalogue) Client(tenant, id string) (c Client, ok bool) {
	for _, p := range k.clients[id] {
		if p.Tenant == tenant {
			return *p, true
		}
	}
	return Client{}, false
}
