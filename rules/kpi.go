package rules

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
)

// KPIMeter is the meter of a KPI that names none.
const KPIMeter = "app-usage"

// KPI defines a monthly figure of an application: records become a value for
// each day, and days become the figure of the month. Only the definition is
// here; usage.Book.KPI reads the records and works it out.
//
// Its JSON form has the field names in lower camel case: see [ParseKPIs].
type KPI struct {
	// Provider, Application and Name identify the KPI; see [KPIKey]. They are
	// required, the Name of at most 128 bytes without control characters. A
	// record is of the KPI when its dimensions provider and application are
	// exactly these.
	Provider, Application, Name string

	// ApplicationDisplayName and DisplayName are for people. They default to
	// Application and Name.
	ApplicationDisplayName, DisplayName string

	// Units are the units that count: a record's dimension unit is one of them.
	// Defaults to none listed, with which every record counts, also one without
	// a unit.
	Units []string

	// Filter selects the records for which the expression is true (not null).
	// Its names are those of a query. Empty is no condition.
	Filter string

	// Factor is what a day's value is multiplied by, to turn the records' unit
	// into that of the figure. 0 means 1, the default.
	Factor aggregate.Number

	// Daily makes the value of a UTC day out of its records, that is of those
	// with a Value: the sum, greatest, least, average (18 places, half away from
	// zero) or last (by start, source and id) of the Value, or with Count their
	// number. Defaults to Sum.
	Daily Function

	// Monthly makes the figure of a month out of its days, from the 1st to the
	// last one that has come, silent ones filled in: their sum, greatest, least,
	// average (over all these days, 18 places, half away from zero), the last
	// day's value, or with Count the number of these days. Defaults to Sum.
	Monthly Function

	// PreFill says what a silent day counts. Defaults to FillZero.
	PreFill PreFill

	// Meter is the meter of the records. Defaults to KPIMeter.
	Meter string

	// Value is the name of the value that is added up. Defaults to QuantityName.
	// Records without it are not of the KPI.
	Value string
}

// KPIKey identifies a KPI.
type KPIKey struct {
	Provider, Application, Name string
}

// String returns the key for a message.
func (k KPIKey) String() string {
	return fmt.Sprintf("%q of application %q of provider %q", shorten(k.Name), shorten(k.Application), shorten(k.Provider))
}

// Key returns what identifies the KPI.
func (k *KPI) Key() KPIKey { return KPIKey{k.Provider, k.Application, k.Name} }

// KPISet is a list of KPIs with every default filled in. It is immutable and
// safe for concurrent use. Make one with [NewKPIs]; a nil *KPISet is empty.
type KPISet struct {
	list  []KPI
	byKey map[KPIKey]int
}

// NewKPIs checks KPIs, which it copies. names resolves the names in their
// filters; nil leaves those to whoever runs the filters, and only the syntax is
// checked. The error is a *SetError that lists every fault of every KPI; two
// KPIs with one key are a fault.
func NewKPIs(kpis []KPI, names filter.Schema) (*KPISet, error) {
	s := &KPISet{list: make([]KPI, len(kpis)), byKey: make(map[KPIKey]int, len(kpis))}
	var all []Fault
	for i := range kpis {
		k := kpis[i].withDefaults()
		s.list[i] = k
		f := faults{index: i, noun: "KPI", rule: shorten(k.Name)}
		k.check(names, &f)
		if first, ok := s.byKey[k.Key()]; ok {
			f.add("name", fmt.Sprintf("KPI %d has the same provider, application and name", first))
		} else {
			s.byKey[k.Key()] = i
		}
		all = append(all, f.list...)
	}
	if err := setError(all); err != nil {
		return nil, err
	}
	return s, nil
}

// Len returns the number of KPIs.
func (s *KPISet) Len() int {
	if s == nil {
		return 0
	}
	return len(s.list)
}

// Get returns a KPI, every default filled in, and whether there is one.
func (s *KPISet) Get(key KPIKey) (KPI, bool) {
	if s == nil {
		return KPI{}, false
	}
	i, ok := s.byKey[key]
	if !ok {
		return KPI{}, false
	}
	return s.list[i].clone(), true
}

// KPIs returns a copy of the KPIs in the order in which they were given, every
// default filled in.
func (s *KPISet) KPIs() []KPI {
	out := make([]KPI, s.Len())
	for i := range out {
		out[i] = s.list[i].clone()
	}
	return out
}

func (k KPI) clone() KPI {
	k.Units = slices.Clone(k.Units)
	return k
}

func (k KPI) withDefaults() KPI {
	k = k.clone()
	defaults := func(text *string, value string) {
		if *text == "" {
			*text = value
		}
	}
	defaults(&k.ApplicationDisplayName, k.Application)
	defaults(&k.DisplayName, k.Name)
	defaults(&k.Meter, KPIMeter)
	defaults(&k.Value, QuantityName)
	if k.Factor.IsZero() {
		k.Factor = aggregate.Int(1)
	}
	return k
}

// check finds what is wrong with a KPI by itself.
func (k *KPI) check(names filter.Schema, f *faults) {
	for _, t := range []struct{ key, text string }{{providerName, k.Provider}, {applicationName, k.Application}} {
		if t.text == "" {
			f.add(t.key, "is required")
		}
		if fault := textFault(t.text); fault != "" {
			f.add(t.key, fault)
		}
	}
	for _, t := range []struct{ key, text string }{{"name", k.Name}, {"meter", k.Meter}, {"value", k.Value}} {
		if fault := nameFault(t.text); fault != "" {
			f.add(t.key, fault)
		}
	}
	for _, t := range []struct{ key, text, of string }{{"applicationDisplayName", k.ApplicationDisplayName, k.Application}, {"displayName", k.DisplayName, k.Name}} {
		if fault := textFault(t.text); fault != "" && t.text != t.of { // told already
			f.add(t.key, fault)
		}
	}
	for i, unit := range k.Units {
		if fault := textFault(unit); fault != "" {
			f.add("units", fmt.Sprintf("%q %s", shorten(unit), fault))
		}
		if slices.Contains(k.Units[:i], unit) {
			f.add("units", fmt.Sprintf("%q is given twice", shorten(unit)))
		}
	}
	if int(k.Daily) >= len(functionNames) {
		f.add("daily", "unknown "+k.Daily.String())
	}
	if int(k.Monthly) >= len(functionNames) {
		f.add("monthly", "unknown "+k.Monthly.String())
	}
	if int(k.PreFill) >= len(preFillNames) {
		f.add("preFill", "unknown "+k.PreFill.String())
	}
	if k.Filter == "" {
		return
	}
	tree, err := filter.Parse(k.Filter, nil)
	if err == nil && names != nil {
		_, err = filter.Check(tree, names)
	}
	if err != nil {
		f.addFilter(err)
	}
}

// ParseKPIs reads a JSON array of KPIs:
//
//	[{"provider": "demo", "application": "assetmonitor", "name": "asset-count", "units": ["asset"], "daily": "MAX"}]
//
// The keys are the fields of KPI in lower camel case; any other key is a fault,
// by name, and so is a key given twice. daily and monthly are SUM, MAX, MIN,
// AVG, LAST or COUNT, preFill is ZERO or PREVIOUS, and factor is a JSON number
// other than 0, read exactly. Null is the same as leaving the key out. The error
// is a *SetError that lists every fault. ParseKPIs reads only; what KPIs mean is
// judged by [NewKPIs].
func ParseKPIs(data []byte) ([]KPI, error) { return parse(data, "KPI", decodeKPI) }

// UnmarshalJSON reads one KPI as [ParseKPIs] does. The KPI is changed only if it
// is read without fault.
func (k *KPI) UnmarshalJSON(data []byte) error { return unmarshal(k, data, "KPI", decodeKPI) }

// MarshalJSON writes the KPI as [ParseKPIs] reads it, leaving out what is at its
// zero value.
func (k KPI) MarshalJSON() ([]byte, error) { return encode(&k, kpiProperties) }

func decodeKPI(data []byte, f *faults) KPI { return decodeNamed(data, f, kpiProperties) }

// kpiProperties are the keys of a KPI in the order in which they are written.
var kpiProperties = []property[KPI]{
	text("provider", func(k *KPI) *string { return &k.Provider }),
	text("application", func(k *KPI) *string { return &k.Application }),
	text("applicationDisplayName", func(k *KPI) *string { return &k.ApplicationDisplayName }),
	text("name", func(k *KPI) *string { return &k.Name }),
	text("displayName", func(k *KPI) *string { return &k.DisplayName }),
	texts("units", func(k *KPI) *[]string { return &k.Units }),
	text("filter", func(k *KPI) *string { return &k.Filter }),
	{
		"factor",
		func(k *KPI, raw json.RawMessage) (err error) { k.Factor, err = readFactor(raw); return err },
		func(k *KPI) any {
			if k.Factor.IsZero() {
				return nil
			}
			return json.RawMessage(k.Factor.String())
		},
	},
	named("daily", "function", functionNames, func(k *KPI) *Function { return &k.Daily }),
	named("monthly", "function", functionNames, func(k *KPI) *Function { return &k.Monthly }),
	named("preFill", "fill", preFillNames, func(k *KPI) *PreFill { return &k.PreFill }),
	text("meter", func(k *KPI) *string { return &k.Meter }),
	text("value", func(k *KPI) *string { return &k.Value }),
}

func readFactor(raw json.RawMessage) (aggregate.Number, error) {
	if raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return aggregate.Number{}, fmt.Errorf("expected a number, not %s", shorten(string(raw)))
	}
	n, err := readNumber(raw)
	if err == nil && n.IsZero() {
		err = errors.New("is 0, which makes every figure 0; leave it out for a factor of 1")
	}
	return n, err
}
