package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

func newStore(t testing.TB) usage.Store {
	s := memstore.New(nil)
	t.Cleanup(func() { s.Close() })
	return s
}

func TestParseMapping(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		flag string
		want []target
		err  string
	}{
		"parts": {"id=i,start=s,end=e,source=o,tenant=t,meter=m", []target{
			{part: partID, column: "i"}, {part: partStart, column: "s"}, {part: partEnd, column: "e"},
			{part: partSource, column: "o"}, {part: partTenant, column: "t"}, {part: partMeter, column: "m"}}, ""},
		"values":           {"quantity=Q,value.id=n", []target{{part: partValue, name: "quantity", column: "Q"}, {part: partValue, name: "id", column: "n"}}, ""},
		"dimensions":       {"dim.region=R,json.tags=T", []target{{part: partDimension, name: "region", column: "R"}, {part: partJSON, name: "tags", column: "T"}}, ""},
		"quoted column":    {`"q=used, in h"`, []target{{part: partValue, name: "q", column: "used, in h"}}, ""},
		"equals in column": {"q=a=b", []target{{part: partValue, name: "q", column: "a=b"}}, ""},
		"spaces":           {"q=a, dim.r=b c", []target{{part: partValue, name: "q", column: "a"}, {part: partDimension, name: "r", column: "b c"}}, ""},

		"no column":     {"q=", nil, `"q=" is not TARGET=COLUMN`},
		"no target":     {"=a", nil, `"=a" is not TARGET=COLUMN`},
		"a word":        {"quantity", nil, `"quantity" is not TARGET=COLUMN`},
		"nothing":       {"", nil, "not a list of TARGET=COLUMN: EOF"},
		"broken quotes": {`"q=a`, nil, "not a list of TARGET=COLUMN"},
		"no name":       {"dim.=a", nil, "a name begins with a letter"},
		"bad name":      {"dim.my-team=a", nil, "a name begins with a letter"},
		"digit first":   {"1q=a", nil, "a name begins with a letter"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parseMapping(c.flag, nil)
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

// A column beside those of FOCUS is added, or takes the place of one of them.
func TestParseMappingFocus(t *testing.T) {
	t.Parallel()
	got, err := parseMapping("focus,dim.team=x_Team,dim.service=x_Service", nil)
	require.NoError(t, err)
	require.Len(t, got, len(focusTargets)+1)
	m := &mapping{targets: got}
	require.NoError(t, m.validate())
	require.True(t, m.names("x_Service"))
	require.False(t, m.names("ServiceName"))
	require.True(t, isFocus(got))
	require.True(t, slices.ContainsFunc(focusTargets, func(t target) bool { return t.column == "ServiceName" }), "the list itself stays as it is")
}

func TestMappingValidate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ flag, want string }{
		"fits":                   {"start=s,q=a", ""},
		"no start":               {"q=a", "mapping: no column for start, the time of use"},
		"no value":               {"start=s,dim.a=a", "mapping: no column for a value, such as quantity"},
		"part twice":             {"start=s,start=t,q=a", "mapping: start is given twice"},
		"dimension twice":        {"start=s,q=a,dim.d=a,json.d=b", "mapping: json.d is given twice"},
		"value twice":            {"start=s,q=a,value.q=b", "mapping: q is given twice"},
		"one column, two values": {"start=s,q=a,p=a", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			targets, err := parseMapping(c.flag, nil)
			require.NoError(t, err)
			err = (&mapping{targets: targets}).validate()
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, c.want)
		})
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	const header = "id,start,end,quantity,cost,region,tags\n"
	for name, c := range map[string]struct {
		line string
		want string // the record in short, or what is wrong with the line
	}{
		"all there":             {`7,2024-09-01 13:00:00,2024-09-01T16:00:00+02:00,1.50,-0.1,eu,"{""b"":1}"`, `00000007 13:00 14:00 {cost=-0.1, quantity=1.5} {region="eu", tags="{\"b\":1}"}`},
		"nulls":                 {`7,2024-09-01,NULL,1,\N,,NULL`, `00000007 00:00 - {quantity=1} {}`},
		"empty is not null":     {`7,2024-09-01,"","1","","",""`, `00000007 00:00 - {quantity=1} {region=""}`},
		"NULL as a text":        {`7,2024-09-01,,1,,"NULL",`, `00000007 00:00 - {quantity=1} {region="NULL"}`},
		"long numeric id":       {`1234567890,2024-09-01,,1,,,`, `1234567890 00:00 - {quantity=1} {}`},
		"other id":              {`a7,2024-09-01,,1,,,`, `a7 00:00 - {quantity=1} {}`},
		"exponent":              {`7,2024-09-01,,1.5e-7,2E3,,`, `00000007 00:00 - {cost=2000, quantity=0.00000015} {}`},
		"no time":               {`7,,,1,,,`, `! start: column "start" is empty, and without a time nothing can be booked (required)`},
		"two bad times":         {`7,soon,later,1,,,`, `! start: "soon" in column "start" is no time such as 2024-09-01 13:00:00 or 2024-09-01T13:00:00+02:00 (syntax); end: "later" in column "end" is no time such as 2024-09-01 13:00:00 or 2024-09-01T13:00:00+02:00 (syntax)`},
		"bad time and number":   {`7,soon,,x,,,`, `! start: "soon" in column "start" is no time such as 2024-09-01 13:00:00 or 2024-09-01T13:00:00+02:00 (syntax); quantity: "x": `},
		"too few":               {`7,2024-09-01`, `! 2 cells where the header has 7 (columns)`},
		"too many":              {`7,2024-09-01,,1,,,,`, `! 8 cells where the header has 7 (columns)`},
		"not UTF-8":             {"7,2024-09-01,,1,,\xff,", `! region: not valid UTF-8 (characters)`},
		"no id, for the book":   {`,2024-09-01,,1,,,`, ` 00:00 - {quantity=1} {}`},
		"bomb, for the book":    {`7,2024-09-01,,1e999999999,2,,`, `00000007 00:00 - {cost=2} {}`},
		"nothing, for the book": {`7,2024-09-01,,,,,`, `00000007 00:00 - {} {}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			targets, err := parseMapping("id=id,start=start,end=end,quantity=quantity,cost=cost,dim.region=region,json.tags=tags", nil)
			require.NoError(t, err)
			m := &mapping{tenant: "t", source: "s", meter: "m", targets: targets, times: parseTime, digits: 8}
			lines, err := newCSVLines(strings.NewReader(header+c.line), m, parseNull(`NULL,\N,empty`), ',')
			require.NoError(t, err)
			got := func() string {
				l, err := lines.next()
				if err != nil {
					return "! " + strings.TrimPrefix(err.Error(), "line 2: ")
				}
				r, bad := m.record(l)
				if bad != nil {
					return "! " + strings.TrimPrefix(bad.Error(), "line 2: ")
				}
				require.Equal(t, "t/s/m", r.Tenant+"/"+r.Source+"/"+r.Meter)
				end := "-"
				if !r.End.IsZero() {
					end = r.End.Format("15:04")
				}
				return fmt.Sprintf("%s %s %s %s %s", r.ID, r.Start.Format("15:04"), end, r.Values, r.Dimensions)
			}()
			if strings.HasSuffix(c.want, `"x": `) {
				require.Contains(t, got, c.want) // what follows are the words of package aggregate
				return
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestParseTime(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"2024-09-01 13:00:00":           "2024-09-01T13:00:00Z",
		"2024-09-01T13:00:00Z":          "2024-09-01T13:00:00Z",
		"2024-09-01T13:00:00+02:00":     "2024-09-01T11:00:00Z",
		"2024-09-01T13:00:00":           "2024-09-01T13:00:00Z",
		"2024-09-01 13:00:00.123456":    "2024-09-01T13:00:00.123456Z",
		"2024-09-01 13:00:00 UTC":       "2024-09-01T13:00:00Z",
		"2024-09-01 13:00:00.5 UTC":     "2024-09-01T13:00:00.5Z",
		"2024-09-01 13:00:00-05:00":     "2024-09-01T18:00:00Z",
		"2024-09-01 13:00:00.000 +0000": "2024-09-01T13:00:00Z",
		"2024-09-01 13:00:00.000 Z":     "2024-09-01T13:00:00Z",
		"2024-09-01":                    "2024-09-01T00:00:00Z",
		"2024-02-30":                    "",
		"2024-09-01 25:00:00":           "",
		"2024-09-01 13:00:00 CET":       "",
		"01.09.2024":                    "",
		"1725192000":                    "",
	} {
		t.Run(in, func(t *testing.T) {
			t.Parallel()
			got, err := parseTime(in)
			if want == "" {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, want, got.Format(time.RFC3339Nano))
			require.Equal(t, time.UTC, got.Location())
		})
	}
	for name, in := range map[string]string{"unix": "1725192000", "unixmilli": "1725192000000", "unixmicro": "1725192000000000"} {
		got, err := timeReaders[name](in)
		require.NoError(t, err)
		require.Equal(t, "2024-09-01T12:00:00Z", got.Format(time.RFC3339Nano), name)
		for _, bad := range []string{"", "1.5", "soon", "9223372036854775807", "99999999999999999999"} {
			_, err := timeReaders[name](bad)
			if name == "unixmicro" && bad == "9223372036854775807" {
				require.Error(t, err, "the year 294247")
				continue
			}
			require.Error(t, err, name+" "+bad)
		}
	}
}

func TestPadded(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"7": "00000007", "11472": "00011472", "12345678": "12345678", "123456789": "123456789", "": "", "-7": "-7", "7a": "7a", "٣": "٣", "0": "00000000"} {
		require.Equal(t, want, padded(in, 8))
	}
	require.Equal(t, "7", padded("7", 0))
}

// Derived ids depend on what lines say and on nothing else: not on the order of
// lines, of columns, or on columns that are null.
func TestDerivedIDs(t *testing.T) {
	t.Parallel()
	ids := func(text string) []string {
		targets, err := parseMapping("start=t,q=q", nil)
		require.NoError(t, err)
		m := &mapping{targets: targets, times: parseTime}
		lines, err := newCSVLines(strings.NewReader(text), m, parseNull("NULL,empty"), ',')
		require.NoError(t, err)
		var ids []string
		for {
			l, err := lines.next()
			if err != nil {
				break
			}
			r, bad := m.record(l)
			require.Nil(t, bad)
			require.Regexp(t, "^[0-9a-f]{32}$", r.ID)
			ids = append(ids, r.ID)
		}
		slices.Sort(ids)
		return ids
	}
	first := ids("t,q,x\n2024-09-01,1,a\n2024-09-01,2,a\n2024-09-01,1,a\n")
	require.Len(t, slices.Compact(slices.Clone(first)), 3, "two equal lines are two records")
	require.Equal(t, first, ids("t,q,x\n2024-09-01,1,a\n2024-09-01,1,a\n2024-09-01,2,a\n"), "order of lines")
	require.Equal(t, first, ids("x,t,q\na,2024-09-01,1\na,2024-09-01,2\na,2024-09-01,1\n"), "order of columns")
	require.Equal(t, first, ids("t,q,x,y\n2024-09-01,1,a,\n2024-09-01,2,a,NULL\n2024-09-01,1,\"a\",\n"), "a column without values")
	require.NotEqual(t, first, ids("t,q,x\n2024-09-01,1,b\n2024-09-01,2,a\n2024-09-01,1,a\n"), "a column that is not booked")
	require.NotEqual(t, ids("t,q,x\n2024-09-01,1,\n"), ids("t,q,x\n2024-09-01,1,\"\"\n"), "null and empty")
	require.NotEqual(t, ids("t,q,x,y\n2024-09-01,1,ab,c\n"), ids("t,q,x,y\n2024-09-01,1,a,bc\n"), "cells do not run into each other")

	object := func(text string) string {
		j, err := newJSONLines(strings.NewReader(text), jsonMapping())
		require.NoError(t, err)
		l, err := j.next()
		require.NoError(t, err)
		return string(l.content)
	}
	require.Equal(t, object(`{"t":1,"q":2,"n":null}`), object(`{ "q": 2, "t": 1 }`))
	require.NotEqual(t, object(`{"t":1,"q":2}`), object(`{"t":1,"q":"2"}`))
}
