package rules_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/rules"
)

// fullKPI has every key once.
const fullKPI = `[{
	"provider": "demo", "application": "assetmonitor", "applicationDisplayName": "Asset Monitor",
	"name": "asset-count", "displayName": "asset count", "units": ["asset", ""],
	"filter": "resource ne 'plant-1' and 'a' lt '<'", "factor": 0.0010,
	"daily": "MAX", "monthly": "AVG", "preFill": "PREVIOUS", "meter": "asset-usage", "value": "assets"
}]`

func fullKPIs(t *testing.T) []rules.KPI {
	return []rules.KPI{{
		Provider: "demo", Application: "assetmonitor", ApplicationDisplayName: "Asset Monitor", Name: "asset-count", DisplayName: "asset count",
		Units: []string{"asset", ""}, Filter: "resource ne 'plant-1' and 'a' lt '<'", Factor: *num(t, "0.001"),
		Daily: rules.Max, Monthly: rules.Avg, PreFill: rules.FillPrevious, Meter: "asset-usage", Value: "assets",
	}}
}

func TestParseKPIs(t *testing.T) {
	t.Parallel()
	got, err := rules.ParseKPIs([]byte(fullKPI))
	require.NoError(t, err)
	require.Equal(t, fullKPIs(t), got)
	text, err := got[0].MarshalJSON()
	require.NoError(t, err)
	require.Equal(t, `{"provider":"demo","application":"assetmonitor","applicationDisplayName":"Asset Monitor","name":"asset-count","displayName":"asset count",`+
		`"units":["asset",""],"filter":"resource ne 'plant-1' and 'a' lt '<'","factor":0.001,"daily":"MAX","monthly":"AVG","preFill":"PREVIOUS","meter":"asset-usage","value":"assets"}`, string(text))
	var again rules.KPI
	require.NoError(t, json.Unmarshal(text, &again))
	require.Equal(t, got[0], again)

	for i, name := range []string{"SUM", "MAX", "MIN", "AVG", "LAST", "COUNT"} {
		got, err := rules.ParseKPIs([]byte(`[{"daily":"` + name + `","monthly":"` + name + `","preFill":null,"factor":-1e1}]`))
		require.NoError(t, err)
		require.Equal(t, []rules.KPI{{Daily: rules.Function(i), Monthly: rules.Function(i), Factor: aggregate.Int(-10)}}, got)
		require.Equal(t, name, got[0].Daily.String())
	}
	text, err = json.Marshal(rules.KPI{Name: "k", Provider: "p", Application: "a"})
	require.NoError(t, err)
	require.Equal(t, `{"provider":"p","application":"a","name":"k"}`, string(text))
	require.Equal(t, "ZERO PREVIOUS PreFill(2) Function(9)", strings.Join([]string{rules.FillZero.String(), rules.FillPrevious.String(), rules.PreFill(2).String(), rules.Function(9).String()}, " "))
}

func TestParseKPIFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"an object":        {`{}`, []string{"expected a JSON array of KPIs: json: cannot unmarshal object"}},
		"not UTF-8":        {"[{\"name\":\"\xff\"}]", []string{"the text is not valid UTF-8"}},
		"no object":        {`[{}, 5]`, []string{"KPI 1: expected a JSON object"}},
		"key twice":        {`[{"name":"k","name":"l"}]`, []string{`KPI 0: key "name" is given twice`}},
		"every fault":      {`[{"name":"k","Daily":"SUM","unit":"asset","units":"asset"},{"factor":"1","monthly":"sum","preFill":0,"provider":7}]`, []string{"KPI 0 (k): Daily: unknown key, did you mean daily?", "KPI 0 (k): unit: unknown key, allowed are provider, application, applicationDisplayName, name, displayName, units, filter, factor, daily, monthly, preFill, meter, value", `KPI 0 (k): units: expected a list of texts, not "asset"`, `KPI 1: factor: expected a number, not "1"`, `KPI 1: monthly: unknown function "sum", allowed are SUM, MAX, MIN, AVG, LAST, COUNT`, "KPI 1: preFill: expected a text, not 0", "KPI 1: provider: expected a text, not 7"}},
		"factor 0":         {`[{"factor":0.0}]`, []string{"KPI 0: factor: is 0, which makes every figure 0; leave it out for a factor of 1"}},
		"factor too long":  {`[{"factor":1e99}]`, []string{"KPI 0: factor: "}},
		"factor is a list": {`[{"factor":[1]}]`, []string{"KPI 0: factor: expected a number, not [1]"}},
		"factor is true":   {`[{"factor":true}]`, []string{"KPI 0: factor: expected a number, not true"}},
	} {
		_, err := rules.ParseKPIs([]byte(c.text))
		require.Error(t, err, name)
		var set *rules.SetError
		require.ErrorAs(t, err, &set, name)
		require.Len(t, set.Faults, len(c.want), "%s: %v", name, err)
		for i, want := range c.want {
			require.Contains(t, set.Faults[i].String(), want, name)
		}
	}
	var k rules.KPI
	require.EqualError(t, k.UnmarshalJSON([]byte(`{"name":"k","x":1,"factor":0}`)),
		"rules: x: unknown key, allowed are provider, application, applicationDisplayName, name, displayName, units, filter, factor, daily, monthly, preFill, meter, value; factor: is 0, which makes every figure 0; leave it out for a factor of 1")
	require.Equal(t, rules.KPI{}, k)
	require.NoError(t, k.UnmarshalJSON([]byte("null")))
}

// fewNames are a declared value and a declared dimension.
type fewNames struct{}

func (fewNames) Field(name string) (filter.Field, bool) {
	switch name {
	case "cost":
		return filter.Field{Name: name, Type: filter.TypeDecimal}, true
	case "resource":
		return filter.Field{Name: name, Type: filter.TypeString}, true
	}
	return filter.Field{}, false
}

func (fewNames) Names() []string { return []string{"cost", "resource"} }

func TestKPISet(t *testing.T) {
	t.Parallel()
	list := append(fullKPIs(t), rules.KPI{Provider: "demo", Application: "assetmonitor", Name: "Asset-Count"}, rules.KPI{Provider: "p", Application: "a", Name: "k", Filter: "cost gt 5"})
	set, err := rules.NewKPIs(list, nil)
	require.NoError(t, err)
	require.Equal(t, 3, set.Len())
	got, ok := set.Get(rules.KPIKey{Provider: "demo", Application: "assetmonitor", Name: "asset-count"})
	require.True(t, ok)
	require.Equal(t, list[0], got)
	got, ok = set.Get(rules.KPIKey{Provider: "demo", Application: "assetmonitor", Name: "Asset-Count"})
	require.True(t, ok)
	require.Equal(t, rules.KPI{Provider: "demo", Application: "assetmonitor", ApplicationDisplayName: "assetmonitor", Name: "Asset-Count", DisplayName: "Asset-Count",
		Factor: aggregate.Int(1), Meter: "app-usage", Value: "quantity"}, got)
	_, ok = set.Get(rules.KPIKey{Provider: "demo", Application: "assetmonitor"})
	require.False(t, ok)

	// What was given and what is given out are the caller's own.
	list[0].Units[0] = "changed"
	set.KPIs()[0].Units[0] = "changed"
	require.Equal(t, "asset", set.KPIs()[0].Units[0])
	_, err = rules.NewKPIs(list[2:], fewNames{})
	require.NoError(t, err)

	var none *rules.KPISet
	_, ok = none.Get(got.Key())
	require.False(t, ok)
	require.Empty(t, none.KPIs())
	require.Zero(t, none.Len())
}

func TestKPIFaults(t *testing.T) {
	t.Parallel()
	sound := rules.KPI{Provider: "p", Application: "a", Name: "k"}
	with := func(change func(*rules.KPI)) rules.KPI {
		k := sound
		change(&k)
		return k
	}
	for name, c := range map[string]struct {
		kpi  rules.KPI
		want string
	}{
		"no provider":     {with(func(k *rules.KPI) { k.Provider = "" }), "KPI 0 (k): provider: is required"},
		"no application":  {with(func(k *rules.KPI) { k.Application = "" }), "KPI 0 (k): application: is required"},
		"no name":         {with(func(k *rules.KPI) { k.Name = "" }), "KPI 0: name: is required"},
		"NUL":             {with(func(k *rules.KPI) { k.Application = "a\x00" }), "KPI 0 (k): application: has a NUL character"},
		"long meter":      {with(func(k *rules.KPI) { k.Meter = strings.Repeat("m", 129) }), "KPI 0 (k): meter: has 129 bytes, at most 128 are allowed"},
		"value":           {with(func(k *rules.KPI) { k.Value = "a\n" }), "KPI 0 (k): value: has a control character"},
		"display name":    {with(func(k *rules.KPI) { k.DisplayName = "\xff" }), "KPI 0 (k): displayName: is not valid UTF-8"},
		"application's":   {with(func(k *rules.KPI) { k.ApplicationDisplayName = strings.Repeat("x", 5000) }), "KPI 0 (k): applicationDisplayName: has 5000 bytes, at most 4096 are allowed"},
		"unit twice":      {with(func(k *rules.KPI) { k.Units = []string{"GB", "GB"} }), `KPI 0 (k): units: "GB" is given twice`},
		"unit":            {with(func(k *rules.KPI) { k.Units = []string{"\xff"} }), `KPI 0 (k): units: "\xff" is not valid UTF-8`},
		"daily":           {with(func(k *rules.KPI) { k.Daily = 6 }), "KPI 0 (k): daily: unknown Function(6)"},
		"monthly":         {with(func(k *rules.KPI) { k.Monthly = 99 }), "KPI 0 (k): monthly: unknown Function(99)"},
		"pre-fill":        {with(func(k *rules.KPI) { k.PreFill = 2 }), "KPI 0 (k): preFill: unknown PreFill(2)"},
		"filter":          {with(func(k *rules.KPI) { k.Filter = "resource eq" }), "KPI 0 (k): filter: at byte"},
		"filter's names":  {with(func(k *rules.KPI) { k.Filter = "resourc eq 'a'" }), "resourc"},
		"filter's types":  {with(func(k *rules.KPI) { k.Filter = "cost eq 'a'" }), "KPI 0 (k): filter: at byte"},
		"filter is a sum": {with(func(k *rules.KPI) { k.Filter = "cost add 1" }), "KPI 0 (k): filter: at byte"},
	} {
		_, err := rules.NewKPIs([]rules.KPI{c.kpi}, fewNames{})
		var set *rules.SetError
		require.ErrorAs(t, err, &set, name)
		require.Len(t, set.Faults, 1, "%s: %v", name, err)
		require.Contains(t, set.Faults[0].String(), c.want, name)
		if strings.HasPrefix(name, "filter") {
			var at *filter.Error
			require.ErrorAs(t, err, &at, name)
		}
	}
	other := with(func(k *rules.KPI) { k.Provider = "q" })
	_, err := rules.NewKPIs([]rules.KPI{sound, other, sound, with(func(k *rules.KPI) { k.Daily = 7; k.Filter = "(" })}, nil)
	require.ErrorContains(t, err, "rules: KPI 2 (k): name: KPI 0 has the same provider, application and name; KPI 3 (k): daily: unknown Function(7); KPI 3 (k): filter: ")
	require.ErrorContains(t, err, "KPI 3 (k): name: KPI 0 has the same")
}

// FuzzParseKPIs: no text makes ParseKPIs panic, and what it reads it writes
// and reads again as the same.
func FuzzParseKPIs(f *testing.F) {
	f.Add(fullKPI)
	f.Add(`[{"factor":1e-30,"units":[],"name":""}]`)
	f.Add(`[null]`)
	f.Fuzz(func(t *testing.T, text string) {
		list, err := rules.ParseKPIs([]byte(text))
		if err != nil {
			return
		}
		written, err := json.Marshal(list)
		require.NoError(t, err)
		again, err := rules.ParseKPIs(written)
		require.NoError(t, err)
		require.Equal(t, list, again)
		_, _ = rules.NewKPIs(list, nil)
	})
}
