package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/paginate"
	"github.com/usagebook/usagebook/rules"
	"github.com/usagebook/usagebook/usage"
)

// config is the config file; the package comment documents its keys.
type config struct {
	Tokens        map[string]httpadapter.Principal `json:"tokens"`
	Tenants       []tenant                         `json:"tenants"`
	Subscriptions []httpadapter.Subscription       `json:"subscriptions"`
	Clients       []httpadapter.Client             `json:"clients"`
	KPIs          json.RawMessage                  `json:"kpis"`
	Rules         json.RawMessage                  `json:"rules"`
	Meters        []meter                          `json:"meters"`
	AzureStack    struct {
		ReportedTime string `json:"reportedTime"`
	} `json:"azurestack"`
	Limits    limits     `json:"limits"`
	BaseURL   string     `json:"baseURL"`
	TokenKeys []tokenKey `json:"tokenKeys"`
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
		FoldCase bool     `json:"foldCase"`
	} `json:"dimensions"`
}

type limits struct {
	Rates     map[httpadapter.RouteClass]httpadapter.Rate `json:"rates"`
	MaxBody   int64                                       `json:"maxBody"`
	BatchSize int                                         `json:"batchSize"`
	MaxGroups int                                         `json:"maxGroups"`
	Timeout   string                                      `json:"timeout"`
}

type tokenKey struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
}

// readConfig reads the config file; without a name it is empty.
func readConfig(name string) (*config, error) {
	c := &config{}
	if name == "" {
		return c, nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(c); err != nil {
		return nil, fmt.Errorf("config: %s:%d: %w", name, line(data, d, err), err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("config: %s:%d: there is more behind the object", name, line(data, d, nil))
	}
	return c, nil
}

// line returns the line of a fault.
func line(data []byte, d *json.Decoder, err error) int {
	at := d.InputOffset()
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		at = syntax.Offset
	case errors.As(err, &kind):
		at = kind.Offset
	}
	return 1 + bytes.Count(data[:min(int(at), len(data))], []byte("\n"))
}

// catalogue returns what the APIs know beside the records.
func (c *config) catalogue() (*httpadapter.Catalogue, error) {
	out := &httpadapter.Catalogue{Subscriptions: c.Subscriptions, Clients: c.Clients}
	for _, t := range c.Tenants {
		if t.Since != "" {
			var err error
			if t.Tenant.Since, err = time.Parse(time.DateOnly, t.Since); err != nil {
				return nil, fmt.Errorf("config: since of the tenant %q is %q, which is no date such as 2026-01-31", t.ID, t.Since)
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
next:
	for _, m := range c.Meters {
		x := usage.Meter{Name: m.Name, Aliases: m.Aliases, Closed: m.Closed}
	values:
		for _, v := range m.Values {
			value := usage.MeterValue{Name: v.Name, Aliases: v.Aliases, Unit: v.Unit, DistinctOf: v.DistinctOf, Integer: v.Integer, MaxScale: v.MaxScale}
			var names []string
			for _, a := range aggregations {
				names = append(names, a.String())
				if v.Aggregation == a.String() || v.Aggregation == "" {
					value.Aggregation = a
					x.Values = append(x.Values, value)
					continue values
				}
			}
			return nil, fmt.Errorf("config: the aggregation of the value %q of the meter %q is %q; %s are allowed", v.Name, m.Name, v.Aggregation, strings.Join(names, ", "))
		}
		for _, d := range m.Dimensions {
			x.Dimensions = append(x.Dimensions, usage.MeterDimension{Name: d.Name, Aliases: d.Aliases, JSON: d.JSON, FoldCase: d.FoldCase})
		}
		for i := range out {
			if out[i].Name == x.Name {
				out[i] = x
				continue next
			}
		}
		out = append(out, x)
	}
	return out, nil
}

// bookOptions returns the settings of the book.
func (c *config) bookOptions() (*usage.Options, error) {
	o := &usage.Options{BatchSize: c.Limits.BatchSize, MaxGroups: c.Limits.MaxGroups}
	var err error
	if o.Meters, err = c.meters(); err != nil {
		return nil, err
	}
	if len(c.KPIs) > 0 {
		if o.KPIs, err = rules.ParseKPIs(c.KPIs); err != nil {
			return nil, fmt.Errorf("config: kpis: %w", err)
		}
	}
	if len(c.Rules) > 0 {
		list, err := rules.Parse(c.Rules)
		if err != nil {
			return nil, fmt.Errorf("config: rules: %w", err)
		}
		set, err := rules.New("config", list, nil)
		if err != nil {
			return nil, fmt.Errorf("config: rules: %w", err)
		}
		o.Rules = set
	}
	for _, k := range c.TokenKeys {
		o.TokenKeys = append(o.TokenKeys, paginate.Key{ID: k.ID, Secret: []byte(k.Secret)})
	}
	return o, nil
}

// adapterOptions returns the settings of the HTTP side.
func (c *config) adapterOptions() (*httpadapter.Options, error) {
	o := &httpadapter.Options{BaseURL: c.BaseURL, MaxBody: c.Limits.MaxBody}
	var err error
	if o.Catalogue, err = c.catalogue(); err != nil {
		return nil, err
	}
	if o.Authenticate, err = httpadapter.StaticTokens(c.Tokens); err != nil {
		return nil, fmt.Errorf("config: tokens: %w", err)
	}
	rates := c.Limits.Rates
	if rates == nil {
		rates = map[httpadapter.RouteClass]httpadapter.Rate{}
	}
	for class := range rates {
		if class != httpadapter.ReadClass && class != httpadapter.WriteClass && class != httpadapter.StartClass {
			return nil, fmt.Errorf("config: limits.rates has the class %q; read, write and start are allowed", class)
		}
	}
	if o.Limiter, err = httpadapter.NewLimiter(&httpadapter.LimitOptions{Rates: rates}); err != nil {
		return nil, fmt.Errorf("config: limits.rates: %w", err)
	}
	if c.Limits.Timeout != "" {
		if o.Timeout, err = time.ParseDuration(c.Limits.Timeout); err != nil || o.Timeout <= 0 {
			return nil, fmt.Errorf("config: limits.timeout is %q, which is no duration such as 60s", c.Limits.Timeout)
		}
	}
	return o, nil
}
