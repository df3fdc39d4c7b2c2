package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/paginate"
	"github.com/usagebook/usagebook/rules"
	"github.com/usagebook/usagebook/usage"
)

// config is the config file; the package comment documents its keys.
type config struct {
	Tokens        map[secret]httpadapter.Principal `json:"tokens"`
	Tenants       []tenant                         `json:"tenants"`
	Subscriptions []httpadapter.Subscription       `json:"subscriptions"`
	Clients       []httpadapter.Client             `json:"clients"`
	KPIs          []json.RawMessage                `json:"kpis"`
	Rules         []json.RawMessage                `json:"rules"`
	Meters        []meter                          `json:"meters"`
	AzureStack    struct {
		ReportedTime string `json:"reportedTime"`
	} `json:"azurestack"`
	Limits    limits     `json:"limits"`
	BaseURL   string     `json:"baseURL"`
	TokenKeys []tokenKey `json:"tokenKeys"`

	name  string
	lines map[string]int // by path
}

type tenant struct {
	httpadapter.Tenant
	Since string `json:"since"`
}

type meter struct {
	Name    string   `json:"name"`
	Aliases []string `json:"aliases"`
	Closed  bool     `json:"closed"`
	Values  []struct {
		Name        string   `json:"name"`
		Aliases     []string `json:"aliases"`
		Unit        string   `json:"unit"`
		Aggregation string   `json:"aggregation"`
		DistinctOf  string   `json:"distinctOf"`
		Integer     bool     `json:"integer"`
		MaxScale    int      `json:"maxScale"`
	} `json:"values"`
	Dimensions []struct {
		Name     string   `json:"name"`
		Aliases  []string `json:"aliases"`
		JSON     bool     `json:"json"`
		AnyText  bool     `json:"anyText"`
		FoldCase bool     `json:"foldCase"`
	} `json:"dimensions"`
}

type limits struct {
	Rates             map[httpadapter.RouteClass]httpadapter.Rate `json:"rates"`
	MaxBody           int64                                       `json:"maxBody"`
	BatchSize         int                                         `json:"batchSize"`
	MaxGroups         int                                         `json:"maxGroups"`
	WaitingExecutions int                                         `json:"waitingExecutions"`
	Timeout           string                                      `json:"timeout"`
}

type tokenKey struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
}

// readConfig reads the config file; without a name it is empty.
func readConfig(name string) (*config, error) {
	c := &config{name: name}
	if name == "" {
		return c, nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if c.lines, err = decode(data, c); err != nil {
		return nil, fmt.Errorf("config: %s:%w", name, err)
	}
	return c, nil
}

// fault says what is wrong with the value at a path of the file.
func (c *config) fault(path, format string, args ...any) error {
	return fmt.Errorf("config: %s:%w", c.name, &fault{c.lines[path], path, fmt.Errorf(format, args...).Error()})
}

// list joins what package rules is to read, and says in its errors where it was.
func (c *config) list(key string, items []json.RawMessage, read func([]byte) error) error {
	text, err := json.Marshal(items)
	if err != nil {
		return c.fault(key, "%w", err)
	}
	err = read(text)
	var set *rules.SetError
	if !errors.As(err, &set) {
		return err
	}
	var faults []error
	for _, f := range set.Faults {
		path := key
		if f.Index >= 0 {
			path = fmt.Sprintf("%s[%d]", key, f.Index)
		}
		message := f.Message
		if f.Field != "" {
			message = f.Field + ": " + message
		}
		faults = append(faults, c.fault(path, "%s", message))
	}
	return errors.Join(faults...)
}

// catalogue returns what the APIs know beside the records.
func (c *config) catalogue() (*httpadapter.Catalogue, error) {
	out := &httpadapter.Catalogue{Subscriptions: c.Subscriptions, Clients: c.Clients}
	for i, t := range c.Tenants {
		if t.Since != "" {
			var err error
			if t.Tenant.Since, err = time.Parse(time.DateOnly, t.Since); err != nil {
				return nil, c.fault(fmt.Sprintf("tenants[%d].since", i), "%q is no date such as 2026-01-31", t.Since)
			}
		}
		out.Tenants = append(out.Tenants, t.Tenant)
	}
	return out, nil
}

var aggregations = []usage.Aggregation{usage.Sum, usage.Count, usage.Min, usage.Max, usage.Avg, usage.First, usage.Last, usage.CountDistinct}

// meters returns the defaults, with those of the config beside or over them.
func (c *config) meters() ([]usage.Meter, error) {
	out := httpadapter.Meters()
	for i, m := range c.Meters {
		x := usage.Meter{Name: m.Name, Aliases: m.Aliases, Closed: m.Closed}
		for j, v := range m.Values {
			kind, err := aggregation(v.Aggregation)
			if err != nil {
				return nil, c.fault(fmt.Sprintf("meters[%d].values[%d].aggregation", i, j), "%w", err)
			}
			x.Values = append(x.Values, usage.MeterValue{Name: v.Name, Aliases: v.Aliases, Unit: v.Unit, Aggregation: kind,
				DistinctOf: v.DistinctOf, Integer: v.Integer, MaxScale: v.MaxScale})
		}
		for _, d := range m.Dimensions {
			x.Dimensions = append(x.Dimensions, usage.MeterDimension{Name: d.Name, Aliases: d.Aliases, JSON: d.JSON, AnyText: d.AnyText, FoldCase: d.FoldCase})
		}
		if at := slices.IndexFunc(out, func(o usage.Meter) bool { return o.Name == x.Name }); at >= 0 {
			out[at] = x
		} else {
			out = append(out, x)
		}
	}
	return out, nil
}

// aggregation returns the aggregation of a name, by default the sum.
func aggregation(name string) (usage.Aggregation, error) {
	var names []string
	for _, a := range aggregations {
		if name == "" || name == a.String() {
			return a, nil
		}
		names = append(names, a.String())
	}
	return 0, fmt.Errorf("%q is none of %s", name, strings.Join(names, ", "))
}

// bookOptions returns the settings of the book.
func (c *config) bookOptions() (*usage.Options, error) {
	l := &c.Limits
	for path, n := range map[string]int{"batchSize": l.BatchSize, "maxGroups": l.MaxGroups, "waitingExecutions": l.WaitingExecutions} {
		if n < 0 {
			return nil, c.fault("limits."+path, "%d is negative", n)
		}
	}
	o := &usage.Options{BatchSize: l.BatchSize, MaxGroups: l.MaxGroups, WaitingExecutions: l.WaitingExecutions}
	var err error
	if o.Meters, err = c.meters(); err != nil {
		return nil, err
	}
	err = c.list("kpis", c.KPIs, func(text []byte) (err error) {
		if o.KPIs, err = rules.ParseKPIs(text); err == nil {
			_, err = rules.NewKPIs(o.KPIs, nil) // as the book will, to say where a fault is
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(c.Rules) > 0 {
		err = c.list("rules", c.Rules, func(text []byte) error {
			list, err := rules.Parse(text)
			if err != nil {
				return err
			}
			set, err := rules.New("config", list, nil)
			o.Rules = set
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	for i, k := range c.TokenKeys {
		if len(k.Secret) < paginate.MinSecret {
			return nil, c.fault(fmt.Sprintf("tokenKeys[%d].secret", i), "%d bytes are too few; at least %d are needed", len(k.Secret), paginate.MinSecret)
		}
		o.TokenKeys = append(o.TokenKeys, paginate.Key{ID: k.ID, Secret: []byte(k.Secret)})
	}
	return o, nil
}

// adapterOptions returns the settings of the HTTP side.
func (c *config) adapterOptions(now func() time.Time) (*httpadapter.Options, error) {
	if c.Limits.MaxBody < 0 || c.Limits.MaxBody > math.MaxInt32 {
		return nil, c.fault("limits.maxBody", "%d is not from 0 to 2 GiB", c.Limits.MaxBody)
	}
	o := &httpadapter.Options{BaseURL: c.BaseURL, MaxBody: c.Limits.MaxBody, Timeout: time.Minute, BodyTimeout: 30 * time.Second}
	var err error
	if o.Catalogue, err = c.catalogue(); err != nil {
		return nil, err
	}
	tokens := map[string]httpadapter.Principal{}
	for token, p := range c.Tokens {
		tokens[string(token)] = p
	}
	if o.Authenticate, err = httpadapter.StaticTokens(tokens); err != nil {
		return nil, c.fault("tokens", "%w", err)
	}
	rates := map[httpadapter.RouteClass]httpadapter.Rate{}
	for class, rate := range c.Limits.Rates {
		path := "limits.rates." + string(class)
		if !slices.Contains(classes, class) {
			return nil, c.fault(path, "there is no such class of routes; there are read, write and start")
		}
		if rate.PerSecond < 0 || rate.PerSecond > 0 && rate.Burst < 1 {
			return nil, c.fault(path, "%v a second and %d at once is no rate; perSecond is at least 0, and burst at least 1 with it", rate.PerSecond, rate.Burst)
		}
		rates[class] = rate
	}
	if o.Limiter, err = httpadapter.NewLimiter(&httpadapter.LimitOptions{Rates: rates, Now: now}); err != nil {
		return nil, c.fault("limits.rates", "%w", err)
	}
	if c.Limits.Timeout != "" {
		if o.Timeout, err = time.ParseDuration(c.Limits.Timeout); err != nil || o.Timeout <= 0 {
			return nil, c.fault("limits.timeout", "%q is no duration such as 60s", c.Limits.Timeout)
		}
	}
	return o, nil
}

var classes = []httpadapter.RouteClass{httpadapter.ReadClass, httpadapter.WriteClass, httpadapter.StartClass}
