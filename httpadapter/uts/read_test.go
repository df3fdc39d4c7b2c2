package uts

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/httpadapter"
)

// pairs is an object as encoding/json finds it, with keys that come twice.
type pairs []pair

type pair struct {
	key   string
	value any
}

// parse reads a value with the tokens of encoding/json.
func parse(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := parse(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	case json.Delim('{'):
		list := pairs{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := parse(d)
			if err != nil {
				return nil, err
			}
			list = append(list, pair{key.(string), v})
		}
		_, err := d.Token()
		return list, err
	}
	return token, nil
}

// oracle reads documents as the package says that it does, slowly, from what
// encoding/json makes of them.
type oracle struct {
	bad   bool
	count int
	items []item
}

// members are the values of an object by its documented keys.
func (o *oracle) members(v any, k *keys) map[string]any {
	list, ok := v.(pairs)
	o.bad = o.bad || !ok
	out, seen := map[string]any{}, map[string]bool{}
	for _, p := range list {
		o.bad = o.bad || seen[p.key] || !slices.Contains(k.names, p.key)
		if seen[p.key] = true; p.value != nil {
			out[p.key] = p.value
		}
	}
	for _, name := range k.names[:k.required] {
		_, ok := out[name]
		o.bad = o.bad || !ok
	}
	return out
}

func (o *oracle) list(v any) []any {
	list, ok := v.([]any)
	o.bad = o.bad || !ok || len(list) == 0
	return list
}

func (o *oracle) text(v any, most int, required bool) string {
	if v == nil {
		return ""
	}
	s, ok := v.(string)
	o.bad = o.bad || !ok || required && s == "" || len(s) > most || strings.ContainsRune(s, 0)
	return s
}

func (o *oracle) tenant(v any) string {
	s := o.text(v, maxTenant, true)
	o.bad = o.bad || strings.IndexFunc(s, func(c rune) bool { return c < 0x20 || c >= 0x7f && c < 0xa0 }) >= 0
	return s
}

func (o *oracle) use(v any, p *place, k *keys, integer bool) {
	o.count++
	m := o.members(v, k)
	n, ok := m[k.names[0]].(json.Number)
	number, err := aggregate.ParseNumber(n.String())
	o.bad = o.bad || !ok || err != nil || integer && number.Scale() > 0
	at, ok := parseInstant(o.text(m[k.names[2]], maxText, true))
	o.bad = o.bad || !ok
	o.items = append(o.items, item{place: p, value: number, unit: o.text(m[k.names[1]], maxText, true), at: at})
}

func (o *oracle) users(v any) {
	for _, v := range o.list(o.members(v, usersKeys)["users"]) {
		m := o.members(v, userKeys)
		u := &owner{tenant: o.tenant(m["tenantId"]), user: o.text(m["userId"], maxText, false), userType: o.text(m["userType"], maxText, false)}
		if u.userType == "" {
			u.userType = "user"
		}
		o.bad = o.bad || !slices.Contains(userTypes, u.userType)
		if u.user == "" {
			u.user, u.userType = u.tenant, "tenant"
		}
		for _, v := range o.list(m["resources"]) {
			m := o.members(v, resourceKeys)
			p := &place{owner: u, application: o.text(m["application"], maxText, false), alias: o.text(m["alias"], maxText, false), resource: o.text(m["resource"], maxText, true)}
			if p.application == "" {
				p.application = p.alias
			}
			if p.alias == "" {
				p.alias = p.application
			}
			o.bad = o.bad || p.alias == ""
			for _, v := range o.list(m["usages"]) {
				o.use(v, p, valueKeys, false)
			}
		}
	}
}

func (o *oracle) customer(v any) {
	m := o.members(v, customerKeys)
	u := &owner{tenant: o.tenant(m["CustomerTenantID"]), user: o.text(m["CustomerUserID"], maxText, true), userType: "user"}
	for _, v := range o.list(m["UTSUsageData"]) {
		m := o.members(v, dataKeys)
		p := &place{owner: u, application: o.text(m["resourceAlias"], maxText, true), resource: o.text(m["resourceName"], maxText, false)}
		p.alias = p.application
		for _, v := range o.list(m["UsageData"]) {
			o.use(v, p, usageKeys, true)
		}
	}
}

var surrogate = regexp.MustCompile(`\\u[dD][89a-fA-F]`)

// same holds what is read of a body to the oracle: the same usages, or refused by
// both.
func same(t *testing.T, body []byte, read func([]byte) ([]item, error), by func(*oracle, any)) {
	t.Helper()
	before := bytes.Clone(body)
	got, err := read(body)
	require.Equal(t, before, body)
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var o oracle
	if !utf8.Valid(body) || !json.Valid(body) {
		o.bad = true
	} else {
		v, fault := parse(d)
		require.NoError(t, fault)
		by(&o, v)
	}
	if o.count > maxUsages {
		require.Equal(t, httpadapter.TooLarge, httpadapter.ProblemOf(err).Kind)
		return
	}
	if err == nil {
		require.False(t, o.bad, "taken, and refused by the oracle: %s", body)
		require.Equal(t, o.items, got)
		return
	}
	require.Equal(t, httpadapter.Invalid, httpadapter.ProblemOf(err).Kind)
	if !surrogate.Match(body) { // of which encoding/json knows nothing
		require.True(t, o.bad, "refused, and taken by the oracle: %s: %v", body, err)
	}
}

func FuzzReadUsers(f *testing.F) {
	for _, seed := range []string{
		`{"users":[{"tenantId":"acme","resources":[{"application":"a","resource":"r","usages":[{"value":1,"unit":"h","datetime":"2026-01-05T08:00:00Z"}]}]}]}`,
		`{"users":[{"userType":"agent","userId":"\ud83d\ude00\u0041","resources":[{"usages":[{"datetime":"2026-01-05T08:00:00.5+0100","value":-1.50e-3,"unit":"h"},{"unit":"","value":1e99,"datetime":null}],"resource":"r","alias":"a","application":null}],"tenantId":"acme"}]} `,
		`{"users":[{"tenantId":"acme","tenantId":"globex"}],"users":[]}`, `{"Users":[]}`, `{"users":[{"x":{"y":[1,"a\"]}",{}]}},5,null]} `, `{"\u0075sers":null}`, `[{]`, "{\"users\":\"\xff\"}", `{"users":[1,]}`,
		`{"users":[{"tenantId":"\u0001","userId":"\u0000","userType":"x","resources":[{"resource":"\ud800","usages":[7]}]}]}`,
		`{"users":[{"tenantId":"acme","resources":[{"application":"a","resource":"r","usages":[` + strings.Repeat(`{"value":1,"unit":"h","datetime":"2026-01-05T08:00:00Z"},`, 200) + `{}]}]}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) { same(t, body, readUsers, (*oracle).users) })
}

func FuzzReadCustomer(f *testing.F) {
	for _, seed := range []string{
		`{"CustomerTenantID":"acme","CustomerUserID":"u1","UTSUsageData":[{"resourceAlias":"a","UsageData":[{"usage":1,"usageUnit":"h","usageDate":"2026-01-05T08:00:00Z"}]}]}`,
		`{"UTSUsageData":[{"UsageData":[{"usageDate":"2026-01-05T08:00:00","usage":2.0e1,"usageUnit":"\n"},{"usage":1.5}],"resourceName":"","resourceAlias":"/"}],"CustomerUserID":"u","CustomerTenantID":"acme"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) { same(t, body, readCustomer, (*oracle).customer) })
}

// The text of a body is read once and copied in small parts: what is taken of it
// does not grow with what is only passed over, however deep or long it is.
func TestReadAlloc(t *testing.T) {
	allocations := func(extra string) float64 {
		body := []byte(`{"users":[{"tenantId":"acme","x":` + extra + `,"resources":[]}]}`)
		return testing.AllocsPerRun(20, func() {
			_, err := readUsers(body)
			require.Error(t, err)
		})
	}
	few := allocations(`1`)
	for _, extra := range []string{`[` + strings.Repeat(`1,`, 100_000) + `1]`, `"` + strings.Repeat(`\n`, 100_000) + `"`, `{` + strings.Repeat(`"k":{"a":[]},`, 50_000) + `"z":1}`} {
		require.Less(t, allocations(extra), few+5)
	}
	deep := strings.Repeat(`[`, 200_000) + strings.Repeat(`]`, 200_000)
	require.Less(t, allocations(deep), few+50)
}

// BenchmarkRead reads documents of 200 usages.
func BenchmarkRead(b *testing.B) {
	one := `{"value":12.345,"unit":"asset","datetime":"2026-01-05T08:00:00Z"}`
	resource := `{"application":"app","alias":"alias","resource":"asset-000001","usages":[` + strings.Repeat(one+",", 4) + one + `]}`
	user := `{"tenantId":"acme","userId":"user-0001","userType":"user","resources":[` + strings.Repeat(resource+",", 3) + resource + `]}`
	body := []byte(`{"users":[` + strings.Repeat(user+",", 9) + user + `]}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := readUsers(body); err != nil {
			b.Fatal(err)
		}
	}
}
