package rules_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/rules"
)

// fullText has every key once.
const fullText = `[{
	"name": "full", "meter": "app-usage", "application": "assetmonitor", "provider": "demo", "unit": "asset",
	"dimensions": {"resource": "plant-1", "region": ""},
	"filter": "startswith(resource,'plant') and 'a' lt 'b'",
	"from": "2026-01-01", "until": "2026-02-01T01:00:00.5+01:00",
	"tenants": ["acme", "globex"], "userTypes": ["user"], "units": ["asset"],
	"required": ["alias"], "forbidden": ["password"], "allowed": ["location"],
	"allowedValues": {"location": ["eu", "us"], "alias": ["a"]},
	"value": "quantity", "min": "-0.000000000000000000000000000001", "max": 1000.10, "scale": 3, "sign": "nonNegative",
	"values": {"cost": {"required": true, "min": 0, "max": "99999999999999999999999999999999999999", "scale": 11, "sign": "positive"}, "*": {"sign": "nonPositive"}},
	"maxAge": "90d", "maxFuture": "1h30m", "billable": false
}]`

func fullRule(t *testing.T) rules.Rule {
	return rules.Rule{
		Name: "full", Meter: "app-usage", Application: "assetmonitor", Provider: "demo", Unit: "asset",
		Dimensions: map[string]string{"resource": "plant-1", "region": ""},
		Filter:     "startswith(resource,'plant') and 'a' lt 'b'",
		From:       instant("2026-01-01T00:00:00Z"), Until: instant("2026-02-01T00:00:00.5Z"),
		Tenants: []string{"acme", "globex"}, UserTypes: []string{"user"}, Units: []string{"asset"},
		Required: []string{"alias"}, Forbidden: []string{"password"}, Allowed: []string{"location"},
		AllowedValues: map[string][]string{"location": {"eu", "us"}, "alias": {"a"}},
		Value:         "quantity", Min: num(t, "-0.000000000000000000000000000001"), Max: num(t, "1000.1"), Scale: rules.Some(3), Sign: rules.NonNegative,
		Values: map[string]rules.Limits{
			"cost": {Required: true, Min: num(t, "0"), Max: num(t, "99999999999999999999999999999999999999"), Scale: rules.Some(11), Sign: rules.Positive},
			"*":    {Sign: rules.NonPositive},
		},
		MaxAge: rules.Some(90 * 24 * time.Hour), MaxFuture: rules.Some(90 * time.Minute), Billable: rules.Some(false),
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := rules.Parse([]byte(fullText))
	require.NoError(t, err)
	require.Equal(t, []rules.Rule{fullRule(t)}, got)
	_, err = rules.New("", got, nil)
	require.NoError(t, err)

	text, err := json.Marshal(got)
	require.NoError(t, err)
	again, err := rules.Parse(text)
	require.NoError(t, err)
	require.Equal(t, got, again)
	var direct []rules.Rule
	require.NoError(t, json.Unmarshal(text, &direct))
	require.Equal(t, got, direct)

	empty, err := rules.Parse([]byte(" [ ] "))
	require.NoError(t, err)
	require.Empty(t, empty)
	nulls, err := rules.Parse([]byte(`[{"name":"r","max":null,"tenants":null,"billable":null,"values":null,"from":null}]`))
	require.NoError(t, err)
	require.Equal(t, []rules.Rule{{Name: "r"}}, nulls)
}

func TestMarshal(t *testing.T) {
	t.Parallel()
	text, err := fullRule(t).MarshalJSON()
	require.NoError(t, err)
	require.Equal(t, `{"name":"full","meter":"app-usage","application":"assetmonitor","provider":"demo","unit":"asset","dimensions":{"region":"","resource":"plant-1"},`+
		`"filter":"startswith(resource,'plant') and 'a' lt 'b'","from":"2026-01-01T00:00:00Z","until":"2026-02-01T00:00:00.5Z","tenants":["acme","globex"],"userTypes":["user"],"units":["asset"],`+
		`"required":["alias"],"forbidden":["password"],"allowed":["location"],"allowedValues":{"alias":["a"],"location":["eu","us"]},"value":"quantity",`+
		`"min":"-0.000000000000000000000000000001","max":"1000.1","scale":3,"sign":"nonNegative",`+
		`"values":{"*":{"sign":"nonPositive"},"cost":{"required":true,"min":"0","max":"99999999999999999999999999999999999999","scale":11,"sign":"positive"}},`+
		`"maxAge":"90d","maxFuture":"1h30m","billable":false}`, string(text))
	text, err = json.Marshal(rules.Rule{Name: "r"})
	require.NoError(t, err)
	require.Equal(t, `{"name":"r"}`, string(text))
	text, err = rules.Rule{Name: "r", Filter: "a ge 'x & <y>'"}.MarshalJSON()
	require.NoError(t, err)
	require.Contains(t, string(text), "x & <y>")
}

func TestParseFaults(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, text, want string }{
		{"no JSON", "", "expected a JSON array of rules: line 1, column 1: unexpected end of JSON input"},
		{"an object", `{"name":"r"}`, "expected a JSON array of rules: json: cannot unmarshal object"},
		{"cut", "[\n{\"name\":\n", "expected a JSON array of rules: line 3, column 1: unexpected end of JSON input"},
		{"more text", "[] []", "expected a JSON array of rules: line 1, column 4: invalid character"},
		{"not UTF-8", "[{\"name\":\"\xff\"}]", "the text is not valid UTF-8"},
		{"not an object", `[{"name":"r"}, 5]`, "rule 1: expected a JSON object"},
		{"unknown key", `[{"name":"r","maximum":5}]`, "rule 0 (r): maximum: unknown key, allowed are name, meter, application, provider, unit, "},
		{"key of another case", `[{"name":"r","MaxAge":"5m"}]`, "rule 0 (r): MaxAge: unknown key, did you mean maxAge?"},
		{"key in snake case", `[{"name":"r","allowed_values":{}}]`, "rule 0 (r): allowed_values: unknown key, did you mean allowedValues?"},
		{"key twice", `[{"name":"r","max":5,"max":6}]`, `rule 0: key "max" is given twice`},
		{"nested key twice", `[{"name":"r","dimensions":{"a":"1","a":"2"}}]`, `rule 0 (r): dimensions: key "a" is given twice`},
		{"nested unknown key", `[{"name":"r","values":{"cost":{"max":1,"maxAge":"1d"}}}]`, "rule 0 (r): values.cost.maxAge: unknown key, allowed are required, min, max, scale, sign"},
		{"name is a number", `[{"name":5}]`, "rule 0: name: expected a text, not 5"},
		{"list of numbers", `[{"name":"r","units":["GB",5]}]`, "rule 0 (r): units: item 1: expected a text, not 5"},
		{"text for a list", `[{"name":"r","units":"GB"}]`, `rule 0 (r): units: expected a list of texts, not "GB"`},
		{"list of values", `[{"name":"r","allowedValues":{"a":"b"}}]`, `rule 0 (r): allowedValues.a: expected a list of texts, not "b"`},
		{"null dimension", `[{"name":"r","dimensions":{"a":null}}]`, "rule 0 (r): dimensions.a: expected a text, not null"},
		{"number", `[{"name":"r","max":"1,000"}]`, "rule 0 (r): max: "},
		{"number is true", `[{"name":"r","max":true}]`, "rule 0 (r): max: "},
		{"number is a list", `[{"name":"r","max":[1]}]`, "rule 0 (r): max: expected a number, not [1]"},
		{"too many digits", `[{"name":"r","max":1` + strings.Repeat("0", 38) + `}]`, "rule 0 (r): max: "},
		{"exponent bomb", `[{"name":"r","max":1e999999999}]`, "rule 0 (r): max: "},
		{"nested number", `[{"name":"r","values":{"cost":{"min":"x"}}}]`, "rule 0 (r): values.cost.min: "},
		{"scale", `[{"name":"r","scale":1.5}]`, "rule 0 (r): scale: expected a whole number, not 1.5"},
		{"sign", `[{"name":"r","sign":"plus"}]`, `rule 0 (r): sign: unknown sign "plus", allowed are positive, negative, nonNegative, nonPositive`},
		{"empty sign", `[{"name":"r","sign":""}]`, `rule 0 (r): sign: unknown sign ""`},
		{"duration is a number", `[{"name":"r","maxAge":90}]`, `rule 0 (r): maxAge: expected a duration such as "90d" or "5m", not 90`},
		{"duration", `[{"name":"r","maxAge":"90 days"}]`, `rule 0 (r): maxAge: "90 days" is not a duration such as 90d, 1d12h or 5m`},
		{"time", `[{"name":"r","from":"1.1.2026"}]`, `rule 0 (r): from: "1.1.2026" is not a time such as 2026-01-31T00:00:00Z or a date`},
		{"time without zone", `[{"name":"r","from":"2026-01-01T00:00:00"}]`, `rule 0 (r): from: "2026-01-01T00:00:00" is not a time`},
		{"bool", `[{"name":"r","billable":"yes"}]`, `rule 0 (r): billable: expected true or false, not "yes"`},
		{"values is a list", `[{"name":"r","values":[]}]`, "rule 0 (r): values: expected a JSON object"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := rules.Parse([]byte(tc.text))
			require.Nil(t, got)
			var list *rules.SetError
			require.ErrorAs(t, err, &list)
			require.ErrorContains(t, err, "rules: "+tc.want)
			require.Len(t, list.Faults, 1)
		})
	}

	_, err := rules.Parse([]byte(`[{"name":"a","max":"x","min":"y","colour":1},{"name":"b"},{"meter":5}]`))
	var list *rules.SetError
	require.ErrorAs(t, err, &list)
	require.Len(t, list.Faults, 4, "every fault of every rule")
	require.ErrorIs(t, err, aggregate.ErrSyntax, "causes can be asked for")

	r := rules.Rule{Name: "kept"}
	err = json.Unmarshal([]byte(`{"name":"r","colour":1,"Max":2}`), &r)
	require.ErrorContains(t, err, "rules: colour: unknown key, allowed are name, ")
	require.ErrorContains(t, err, "; Max: unknown key, did you mean max?")
	require.Equal(t, rules.Rule{Name: "kept"}, r, "a rule is changed only if it is read whole")
}

func TestHostileJSON(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"deep":         strings.Repeat("[", 1_000_000),
		"deep objects": `[{"values":` + strings.Repeat(`{"a":`, 100_000),
		"long number":  `[{"name":"r","max":` + strings.Repeat("9", 1_000_000) + `}]`,
		"long key":     `[{"` + strings.Repeat("k", 1_000_000) + `":1}]`,
		"long text":    `[{"name":"r","from":"` + strings.Repeat("2", 1_000_000) + `"}]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := rules.Parse([]byte(text))
			require.Error(t, err)
			require.Less(t, len(err.Error()), 1000)
		})
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	read := func(text string) (*time.Duration, error) {
		var r rules.Rule
		err := json.Unmarshal([]byte(`{"name":"r","maxAge":"`+text+`"}`), &r)
		return r.MaxAge, err
	}
	for _, tc := range []struct {
		in   string
		want time.Duration
		out  string
	}{
		{"0s", 0, "0s"}, {"0d", 0, "0s"}, {"5m", 5 * time.Minute, "5m"}, {"90s", 90 * time.Second, "1m30s"}, {"1h", time.Hour, "1h"}, {"1h30m", 90 * time.Minute, "1h30m"},
		{"1h0m5s", time.Hour + 5*time.Second, "1h0m5s"}, {"10h10m", 10*time.Hour + 10*time.Minute, "10h10m"}, {"24h", 24 * time.Hour, "1d"}, {"48h", 48 * time.Hour, "2d"},
		{"1d12h", 36 * time.Hour, "1d12h"}, {"36h", 36 * time.Hour, "1d12h"}, {"90d", 90 * 24 * time.Hour, "90d"}, {"1d1ms", 24*time.Hour + time.Millisecond, "1d1ms"},
		{"106751d", 106751 * 24 * time.Hour, "106751d"}, {"500ms", 500 * time.Millisecond, "500ms"}, {"20h", 20 * time.Hour, "20h"}, {"10m", 10 * time.Minute, "10m"},
	} {
		got, err := read(tc.in)
		require.NoError(t, err, tc.in)
		require.Equal(t, tc.want, *got, tc.in)
		text, err := json.Marshal(rules.Rule{Name: "r", MaxAge: got})
		require.NoError(t, err)
		require.Equal(t, `{"name":"r","maxAge":"`+tc.out+`"}`, string(text))
		again, err := read(tc.out)
		require.NoError(t, err)
		require.Equal(t, tc.want, *again)
	}
	for _, bad := range []string{"", "d", "-1d", "1.5d", "1d-1h", "1d+1h", "1dd", "106752d", "99999999999999999999d", "106751d24h", "5", "5x", "1h1d"} {
		_, err := read(bad)
		require.Error(t, err, bad)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(fullText))
	f.Add([]byte(`[{"name":"r","max":1e3},{"name":"r","filter":"a eq 'b'"}]`))
	f.Add([]byte(`[{"name":"r","maxAge":"1d12h","from":"2026-01-01"}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := rules.Parse(data)
		if err != nil {
			var typed *rules.SetError
			require.ErrorAs(t, err, &typed)
			return
		}
		text, err := json.Marshal(list)
		require.NoError(t, err)
		again, err := rules.Parse(text)
		require.NoError(t, err, "%s", text)
		twice, err := json.Marshal(again)
		require.NoError(t, err)
		require.Equal(t, string(text), string(twice))

		s, err := rules.New("", list, nil)
		if err != nil {
			var typed *rules.SetError
			require.ErrorAs(t, err, &typed)
			return
		}
		first := s.Judge(assetRecord(), now)
		fresh, err := rules.New("", again, nil)
		require.NoError(t, err)
		require.Equal(t, s.Version(), fresh.Version())
		require.Equal(t, first, fresh.Judge(assetRecord(), now))
	})
}
