package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

// written writes a config file and returns its name.
func written(t testing.TB, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "config.json")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

// demonstration returns the demonstration config.
func demonstration(t testing.TB) *config {
	t.Helper()
	c, err := readConfig("config.json")
	require.NoError(t, err)
	return c
}

// open returns a server of a config over a store of its own, with the clock now.
func open(t testing.TB, c *config, o serverOptions) (*server, error) {
	t.Helper()
	store := memstore.New(nil)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	if o.now == nil {
		o.now = time.Now
	}
	if o.log == nil {
		o.log = slog.New(slog.DiscardHandler)
	}
	return newServer(store, c, &o)
}

// TestConfigFaults: what is wrong with a file is told by its line and path.
func TestConfigFaults(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"a key":              {"{\n \"token\": {}}", "2: token: there is no such key; there are tokens, tenants, subscriptions, clients, kpis, rules, meters, azurestack, limits, baseURL, tokenKeys"},
		"its case":           {`{"Tokens": {}}`, "1: Tokens: there is no such key"},
		"twice":              {"{\"tokens\": {},\n\"tokens\": {}}", "2: the key of this line is there twice"},
		"of a token":         {"{\"tokens\": {\"s3cret\": {\"subject\": \"a\"}, \"other\": {\n\"subjekt\": \"b\"}}}", "2: tokens[1].subjekt: there is no such key; there are subject, kind, home, tenants, roles, permissions"},
		"of a tenant":        {"{\"tenants\": [{\"id\": \"a\"},\n\n{\"ids\": \"b\"}]}", "3: tenants[1].ids: there is no such key; there are id, name, billingAnchorDay, clusterRegion, namespaces, since"},
		"of a namespace":     {`{"tenants": [{"namespaces": [{"region": 1}]}]}`, "1: tenants[0].namespaces[0].region: there is no such key; there are id, clusterRegion"},
		"of a subscription":  {`{"subscriptions": [{"customer": ""}]}`, "1: subscriptions[0].customer: there is no such key; there are id, name, tenant, provider, deleted"},
		"of a client":        {`{"clients": [{"secret": ""}]}`, "1: clients[0].secret: there is no such key; there are id, name, tenant"},
		"of a KPI":           {"{\"kpis\": [\n{\"nam\": \"a\"}]}", "2: kpis[0]: nam: unknown key, allowed are provider, application, applicationDisplayName, name,"},
		"of a rule":          {"{\"rules\": [{\"name\": \"a\"},\n{\"name\": \"b\", \"maximum\": 1}]}", "2: rules[1]: maximum: unknown key"},
		"of a meter":         {`{"meters": [{"value": []}]}`, "1: meters[0].value: there is no such key; there are name, aliases, closed, values, dimensions"},
		"of a value":         {`{"meters": [{"values": [{"agg": ""}]}]}`, "1: meters[0].values[0].agg: there is no such key; there are name, aliases, unit, aggregation, distinctOf, integer, maxScale"},
		"of a dimension":     {`{"meters": [{"dimensions": [{"unit": ""}]}]}`, "1: meters[0].dimensions[0].unit: there is no such key; there are name, aliases, json, anyText, foldCase"},
		"of azurestack":      {`{"azurestack": {"reported": ""}}`, "1: azurestack.reported: there is no such key; there are reportedTime"},
		"of the limits":      {`{"limits": {"rate": {}}}`, "1: limits.rate: there is no such key; there are rates, maxBody, batchSize, maxGroups, waitingExecutions, timeout"},
		"of a rate":          {`{"limits": {"rates": {"read": {"perHour": 1}}}}`, "1: limits.rates.read.perHour: there is no such key; there are perSecond, burst"},
		"of a token key":     {`{"tokenKeys": [{"key": ""}]}`, "1: tokenKeys[0].key: there is no such key; there are id, secret"},
		"a dash":             {`{"-": 1}`, "1: -: there is no such key"},
		"no JSON":            {"{\n\"tokens\": {,}}", "2: invalid character ','"},
		"half of it":         {"{\n\"tokens\"\n", "3: unexpected end of JSON input"},
		"nothing":            {"", "1: unexpected end of JSON input"},
		"more behind it":     {"{}\n{}", "2: invalid character '{' after top-level value"},
		"a list":             {"[]", "1: an object is expected here"},
		"null":               {"null", "1: an object is expected here"},
		"no object":          {`{"tenants": [1]}`, "1: tenants[0]: an object is expected here"},
		"no list":            {`{"tenants": {}}`, "1: tenants: a list is expected here"},
		"no rules":           {`{"rules": "none"}`, "1: rules: a list is expected here"},
		"no text":            {"{\"tenants\": [{\"id\":\n 5}]}", "2: tenants[0].id: a number is no text"},
		"no number":          {`{"limits": {"maxBody": "16 MiB"}}`, "1: limits.maxBody: a string is no whole number that fits"},
		"a fraction":         {`{"limits": {"batchSize": 1.5}}`, "1: limits.batchSize: a number 1.5 is no whole number that fits"},
		"too large a number": {`{"limits": {"batchSize": 1e40}}`, "1: limits.batchSize: a number 1e40 is no whole number that fits"},
		"no bool":            {`{"meters": [{"closed": "yes"}]}`, "1: meters[0].closed: a string is no true or false"},
		"no region":          {`{"tenants": [{"namespaces": [{"clusterRegion": "eu"}]}]}`, "1: tenants[0].namespaces[0].clusterRegion: a string is no whole number that fits"},
		"no rate":            {`{"limits": {"rates": {"read": {"perSecond": "1"}}}}`, "1: limits.rates.read.perSecond: a string is no number"},
		"a kind":             {`{"tokens": {"a": {"subject": "a", "kind": "robot"}}}`, `1: tokens[0].kind: the kind of a caller is "robot"; user and app are allowed`},

		"no subject":           {`{"tokens": {"s3cret": {"tenants": ["a"]}}}`, "1: tokens: httpadapter: bad token: the principal has no subject"},
		"an empty token":       {`{"tokens": {"": {"subject": "a"}}}`, `1: tokens: httpadapter: the principal "a" has an empty token`},
		"a date":               {"{\"tenants\": [{\"id\": \"a\",\n\"since\": \"15.2.2026\"}]}", `2: tenants[0].since: "15.2.2026" is no date such as 2026-01-31`},
		"a day of the month":   {`{"tenants": [{"id": "a", "billingAnchorDay": 32}]}`, `the billing anchor day of the tenant "a" is 32; 1 to 31 are allowed`},
		"a provider":           {`{"subscriptions": [{"id": "a", "tenant": "b", "provider": "c"}]}`, `the provider "c" of the subscription "a" is not among the subscriptions`},
		"a client":             {`{"clients": [{"id": "a"}]}`, "clients[0] has no id or no tenant"},
		"a KPI":                {"{\"kpis\": [\n{\"provider\": \"a\", \"application\": \"b\"}]}", "2: kpis[0]: name: is required"},
		"a function":           {`{"kpis": [{"provider": "a", "application": "b", "name": "c", "daily": "MEDIAN"}]}`, `1: kpis[0]: daily: unknown function "MEDIAN"`},
		"a rule":               {`{"rules": [{"max": 1}]}`, "1: rules[0]: name: is required"},
		"a rule's filter":      {"{\"rules\": [{\"name\": \"a\"},\n{\"name\": \"b\", \"filter\": \"a eq\"}]}", "2: rules[1]: filter: "},
		"an aggregation":       {`{"meters": [{"name": "m", "values": [{"name": "v", "aggregation": "median"}]}]}`, `1: meters[0].values[0].aggregation: "median" is none of sum, count, min, max, avg, first, last, countdistinct`},
		"a meter":              {`{"meters": [{"values": []}]}`, "meters: meter 4 has no name"},
		"a reserved name":      {`{"meters": [{"name": "m", "dimensions": [{"name": "tenant"}]}]}`, "reserved"},
		"a reported time":      {`{"azurestack": {"reportedTime": "start"}}`, `1: azurestack.reportedTime: the reported time is "start"; recorded and event are allowed`},
		"a class":              {`{"limits": {"rates": {"delete": {}}}}`, "1: limits.rates.delete: there is no such class of routes; there are read, write and start"},
		"a burst":              {`{"limits": {"rates": {"read": {"perSecond": 1}}}}`, "1: limits.rates.read: 1 a second and 0 at once is no rate"},
		"a rate below nothing": {`{"limits": {"rates": {"read": {"perSecond": -1}}}}`, "1: limits.rates.read: -1 a second and 0 at once is no rate"},
		"a body":               {`{"limits": {"maxBody": -1}}`, "1: limits.maxBody: -1 is not from 0 to 2 GiB"},
		"a batch":              {`{"limits": {"batchSize": -1}}`, "1: limits.batchSize: -1 is negative"},
		"groups":               {`{"limits": {"maxGroups": -1}}`, "1: limits.maxGroups: -1 is negative"},
		"executions":           {`{"limits": {"waitingExecutions": -1}}`, "1: limits.waitingExecutions: -1 is negative"},
		"a time":               {`{"limits": {"timeout": "60"}}`, `1: limits.timeout: "60" is no duration such as 60s`},
		"no time":              {`{"limits": {"timeout": "0s"}}`, `1: limits.timeout: "0s" is no duration such as 60s`},
		"a base URL":           {`{"baseURL": "example.com"}`, `the base URL "example.com" is not of the form https://host[:port][/path]`},
		"a secret":             {`{"tokenKeys": [{"id": "1", "secret": "short"}]}`, "1: tokenKeys[0].secret: 5 bytes are too few; at least 16 are needed"},
		"two keys":             {`{"tokenKeys": [{"id": "1", "secret": "0123456789abcdef"}, {"id": "1", "secret": "0123456789abcdef"}]}`, "twice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := written(t, test.text)
			c, err := readConfig(file)
			if err == nil {
				_, err = open(t, c, serverOptions{})
			}
			require.Error(t, err)
			require.NotContains(t, err.Error(), "s3cret", "tokens are no matter for logs")
			want := test.want
			if regexp.MustCompile(`^\d+: `).MatchString(want) {
				want = "config: " + file + ":" + want
			}
			require.Contains(t, err.Error(), want)
		})
	}
	_, err := readConfig(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestEmptyConfig: every key may be left out, and null is as if it were.
func TestEmptyConfig(t *testing.T) {
	t.Parallel()
	nulls := "{}"
	for _, key := range keysOf(reflect.TypeFor[config]()) {
		nulls = strings.TrimSuffix(nulls, "}") + fmt.Sprintf(",%q:null}", key)
	}
	nulls = strings.Replace(nulls, ",", "", 1)
	for _, text := range []string{"{}", nulls} {
		c, err := readConfig(written(t, text))
		require.NoError(t, err)
		_, err = open(t, c, serverOptions{})
		require.NoError(t, err)
	}
	c, err := readConfig("")
	require.NoError(t, err)
	_, err = open(t, c, serverOptions{})
	require.NoError(t, err)
}

// TestWholeConfig: every key that the struct has arrives where it belongs.
func TestWholeConfig(t *testing.T) {
	t.Parallel()
	text := `{
	"tokens": {"t": {"subject": "s", "kind": "app", "home": "h", "tenants": ["a", "b"], "roles": ["r"], "permissions": ["p"]}},
	"tenants": [{"id": "a", "name": "A", "since": "2026-02-15", "billingAnchorDay": 31, "clusterRegion": 2, "namespaces": [{"id": "n", "clusterRegion": 3}, {"id": "m"}]}],
	"subscriptions": [{"id": "d0", "name": "P", "tenant": "p"}, {"id": "a1", "name": "A1", "tenant": "a", "provider": "d0", "deleted": true}],
	"clients": [{"id": "c", "name": "C", "tenant": "a"}],
	"kpis": [{"provider": "p", "application": "app", "name": "k"}],
	"rules": [{"name": "r", "meter": "m", "max": 5}],
	"meters": [{"name": "m", "aliases": ["old"], "closed": true, "values": [{"name": "v", "aliases": ["w"], "unit": "GB", "aggregation": "countdistinct", "distinctOf": "d",
		"integer": true}, {"name": "x", "maxScale": 2}], "dimensions": [{"name": "d", "aliases": ["e"], "foldCase": true}, {"name": "j", "json": true, "anyText": true}]},
		{"name": "app-usage"}],
	"azurestack": {"reportedTime": "event"},
	"limits": {"rates": {"read": {"perSecond": 2.5, "burst": 1}}, "maxBody": 100, "batchSize": 3, "maxGroups": 4, "waitingExecutions": 5, "timeout": "1m30s"},
	"baseURL": "https://api.example.com",
	"tokenKeys": [{"id": "k1", "secret": "0123456789abcdef"}]
}`
	c, err := readConfig(written(t, text))
	require.NoError(t, err)
	require.Equal(t, httpadapter.Principal{Subject: "s", Kind: httpadapter.App, Home: "h", Tenants: []string{"a", "b"}, Roles: []string{"r"}, Permissions: []string{"p"}}, c.Tokens["t"])

	catalogue, err := c.catalogue()
	require.NoError(t, err)
	three := 3
	require.Equal(t, &httpadapter.Catalogue{
		Tenants: []httpadapter.Tenant{{ID: "a", Name: "A", Since: time.Date(2026, 2, 15, 0, 0, 0, 0, time.UTC), BillingAnchorDay: 31, ClusterRegion: 2,
			Namespaces: []httpadapter.Namespace{{ID: "n", ClusterRegion: &three}, {ID: "m"}}}},
		Subscriptions: []httpadapter.Subscription{{ID: "d0", Name: "P", Tenant: "p"}, {ID: "a1", Name: "A1", Tenant: "a", Provider: "d0", Deleted: true}},
		Clients:       []httpadapter.Client{{ID: "c", Name: "C", Tenant: "a"}},
	}, catalogue)

	book, err := c.bookOptions()
	require.NoError(t, err)
	require.Len(t, book.KPIs, 1)
	require.Equal(t, "k", book.KPIs[0].Name)
	require.NotNil(t, book.Rules)
	require.Equal(t, []int{3, 4, 5}, []int{book.BatchSize, book.MaxGroups, book.WaitingExecutions})
	require.Equal(t, "k1", book.TokenKeys[0].ID)
	require.Equal(t, "0123456789abcdef", string(book.TokenKeys[0].Secret))
	defaults := httpadapter.Meters()
	require.Len(t, book.Meters, len(defaults)+1, "one is replaced, one is new")
	for i, m := range defaults {
		if m.Name == httpadapter.AppUsage {
			m = usage.Meter{Name: m.Name}
		}
		require.Equal(t, m, book.Meters[i])
	}
	require.Equal(t, usage.Meter{Name: "m", Aliases: []string{"old"}, Closed: true,
		Values:     []usage.MeterValue{{Name: "v", Aliases: []string{"w"}, Unit: "GB", Aggregation: usage.CountDistinct, DistinctOf: "d", Integer: true}, {Name: "x", MaxScale: 2}},
		Dimensions: []usage.MeterDimension{{Name: "d", Aliases: []string{"e"}, FoldCase: true}, {Name: "j", JSON: true, AnyText: true}}}, book.Meters[len(defaults)])

	clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	adapter, err := c.adapterOptions(func() time.Time { return clock })
	require.NoError(t, err)
	require.Equal(t, "https://api.example.com", adapter.BaseURL)
	require.EqualValues(t, 100, adapter.MaxBody)
	require.Equal(t, 90*time.Second, adapter.Timeout)
	allow := func(class httpadapter.RouteClass) bool {
		ok, _ := adapter.Limiter.Allow("s", class)
		return ok
	}
	require.True(t, allow(httpadapter.ReadClass))
	require.False(t, allow(httpadapter.ReadClass))
	clock = clock.Add(400 * time.Millisecond)
	require.True(t, allow(httpadapter.ReadClass), "2.5 a second")
	for range 10_000 {
		require.True(t, allow(httpadapter.WriteClass), "a class without a rate is not limited")
	}

	_, err = open(t, c, serverOptions{})
	require.NoError(t, err)
}

// documentedKeys are those that the package comment explains, by their objects.
func documentedKeys(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	_, section, ok := bytes.Cut(text, []byte("# The config file"))
	require.True(t, ok)
	return string(section)
}

// TestKeysAreDocumented: the package comment has every key of the file, and the
// demonstration shows every key at the top but those that a demonstration cannot set.
func TestKeysAreDocumented(t *testing.T) {
	t.Parallel()
	section := documentedKeys(t)
	var walk func(kind reflect.Type)
	walk = func(kind reflect.Type) {
		switch kind.Kind() {
		case reflect.Map, reflect.Slice, reflect.Pointer:
			walk(kind.Elem())
		case reflect.Struct:
			for _, key := range keysOf(kind) {
				require.Regexp(t, `\b`+key+`\b`, section)
				f, _ := fieldOf(kind, key)
				walk(f.Type)
			}
		}
	}
	walk(reflect.TypeFor[config]())
	for _, list := range []string{`{"kpis": [{"?": 1}]}`, `{"rules": [{"?": 1}]}`, `{"rules": [{"name": "r", "values": {"*": {"?": 1}}}]}`} {
		c, err := readConfig(written(t, list))
		require.NoError(t, err)
		_, err = c.bookOptions()
		require.Error(t, err)
		_, allowed, ok := strings.Cut(err.Error(), "allowed are ")
		require.True(t, ok, err)
		for key := range strings.SplitSeq(allowed, ", ") {
			require.Regexp(t, `\b`+key+`\b`, section)
		}
	}

	text, err := os.ReadFile("config.json")
	require.NoError(t, err)
	var have map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(text, &have))
	for _, key := range keysOf(reflect.TypeFor[config]()) {
		// Links go to the address that was asked, and tokens die with the book.
		require.Equal(t, key != "baseURL" && key != "tokenKeys", have[key] != nil, key)
	}
}
