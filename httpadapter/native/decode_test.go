package native_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter/native"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

const (
	typeJSON   = "application/json"
	typeNDJSON = "application/x-ndjson"
	typeCSV    = "text/csv"
	typeEvent  = "application/cloudevents+json"
	typeEvents = "application/cloudevents-batch+json"
)

const sound = `{"id":"7","source":"gateway","tenant":"acme","meter":"requests","start":"2026-03-01T00:00:00Z","values":{"quantity":"1.5"}}`

func soundRecord() usage.Record {
	return usage.Record{ID: "7", Source: "gateway", Tenant: "acme", Meter: "requests", Start: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
		Values: usage.Quantity(decimal.RequireFromString("1.5"))}
}

// prepare has records judged as Append would.
func prepare(tb testing.TB, records []usage.Record) *usage.Batch {
	tb.Helper()
	book, err := usage.New(memstore.New(nil), nil)
	require.NoError(tb, err)
	batch, err := book.Prepare(usage.AppendOptions{}, records...)
	require.NoError(tb, err)
	require.Equal(tb, len(records), batch.Len())
	return batch
}

// judged returns what Append would hold against each record, as "field code".
func judged(tb testing.TB, records []usage.Record) [][]string {
	tb.Helper()
	batch := prepare(tb, records)
	out := make([][]string, batch.Len())
	for i := range out {
		for _, v := range batch.At(i).Violations {
			require.NotEmpty(tb, v.Message)
			require.True(tb, utf8.ValidString(v.Field+v.Message))
			require.Less(tb, len(v.Field+v.Message), 1000)
			out[i] = append(out[i], v.Field+" "+v.Code)
		}
	}
	return out
}

// decodeCase is a body and how it is read. Its outcome stands in a golden file.
type decodeCase struct {
	name, contentType, body string
	header                  http.Header
	options                 *native.DecodeOptions
}

// show writes what becomes of a case, for people to review.
func (c decodeCase) show(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "== %s\n", c.name)
	if c.contentType != "" {
		fmt.Fprintf(&b, "type: %s\n", c.contentType)
	}
	names := make([]string, 0, len(c.header))
	for name := range c.header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, v := range c.header[name] {
			fmt.Fprintf(&b, "%s: %q\n", strings.ToLower(name), v)
		}
	}
	for line := range strings.Lines(c.body) {
		line = fmt.Sprintf("%q", line)
		if line = line[1 : len(line)-1]; len(line) > 300 {
			line = line[:300] + "..."
		}
		fmt.Fprintf(&b, "| %s\n", strings.ReplaceAll(line, `\"`, `"`))
	}
	body := []byte(c.body)
	records, err := native.Decode(c.contentType, c.header, body, c.options)
	require.Equal(t, c.body, string(body), "the body is not changed")
	if err != nil {
		require.Nil(t, records)
		var e *native.DecodeError
		require.ErrorAs(t, err, &e)
		require.ErrorIs(t, err, usage.ErrInvalid)
		require.Equal(t, e.Status == 413, errors.Is(err, usage.ErrTooLarge))
		require.True(t, utf8.ValidString(err.Error()))
		fmt.Fprintf(&b, "-> %d %s\n\n", e.Status, err)
		return b.String()
	}
	require.NotNil(t, records)
	if len(records) == 0 {
		b.WriteString("-> no records\n")
	}
	batch := prepare(t, records)
	for i := range records {
		fmt.Fprintf(&b, "-> %d ", i)
		if text, err := records[i].MarshalJSON(); err == nil {
			b.Write(text)
		} else {
			id := records[i].Identity()
			fmt.Fprintf(&b, "tenant %q source %q id %q", id.Tenant, id.Source, id.ID)
		}
		b.WriteByte('\n')
		e := batch.At(i)
		for k, v := range e.Violations {
			if k == 6 {
				fmt.Fprintf(&b, "   and %d more\n", len(e.Violations)-k)
				break
			}
			fmt.Fprintf(&b, "   %s\n", v)
		}
		if e.Anonymous {
			b.WriteString("   its identity is not looked up\n")
		}
	}
	b.WriteByte('\n')
	return b.String()
}

func runCases(t *testing.T, file string, cases []decodeCase) {
	t.Helper()
	var b strings.Builder
	for _, c := range cases {
		b.WriteString(c.show(t))
	}
	textFile(t, file, b.String())
}

func TestDecodeJSON(t *testing.T) {
	t.Parallel()
	one := func(name, body string) decodeCase {
		return decodeCase{name: name, contentType: typeJSON, body: body}
	}
	deep := func(levels int) string {
		return strings.TrimSuffix(sound, "}") + `,"dimensions":{"tags":` + strings.Repeat("[", levels) + strings.Repeat("]", levels) + `}}`
	}
	long := strings.TrimSuffix(sound, "}") + `,"dimensions":{"note":"` + strings.Repeat("x", 400) + `"}}`
	limits := func(name, body string, o native.DecodeOptions) decodeCase {
		return decodeCase{name: name, contentType: typeJSON, body: body, options: &o}
	}
	runCases(t, "json.golden", []decodeCase{
		one("array", "["+sound+"]"),
		one("empty array", " [ ] "),
		one("records", `{"records":[`+sound+`]}`),
		one("records, empty", `{"records":[]}`),
		one("records, with an escape", `{"\u0072ecords":[`+sound+`]}`),
		one("one record", sound),
		one("one record, with space", " \n{ "+sound[1:]+" \n"),
		one("one record, with an unknown key first", `{"unit":"GB",`+sound[1:]),
		one("one record, with an escape in a key", `{"\u0069d":"7"}`),
		one("one record with faults", `{"id":7,"tenant":"acme","start":"today","quantity":"many"}`),
		one("byte order mark", "\ufeff["+sound+"]"),
		one("faults stay with their records", `[`+sound+`,null,12,{"tenant":"globex","id":[]},`+sound+`]`),
		one("no key of a record", `{"record":`+sound+`}`),
		one("empty object", `{}`),
		one("records and more", `{"records":[`+sound+`],"tenant":"acme"}`),
		one("records behind another key", `{"tenant":"acme","records":[`+sound+`]}`),
		one("records twice", `{"records":[],"records":[]}`),
		one("records is no array", `{"records":{}}`),
		one("empty", ""),
		one("space", " \n "),
		one("byte order mark alone", "\ufeff"),
		one("scalar", `"records"`),
		one("null", `null`),
		one("no JSON", `[{"id":`),
		one("no JSON behind a byte order mark", "\ufeff[{\"id\":}]"),
		one("no JSON, one record", `{"id":"7",}`),
		one("two texts", sound+sound),
		one("comma at the end", "["+sound+",]"),
		limits("as many records as allowed", "["+sound+","+sound+"]", native.DecodeOptions{Records: 2}),
		limits("more records than allowed", "["+sound+","+sound+",1]", native.DecodeOptions{Records: 2}),
		limits("more records than allowed, as an object", `{"records":[`+sound+","+sound+",1]}", native.DecodeOptions{Records: 2}),
		limits("a long record", "["+sound+" , "+long+","+sound+"]", native.DecodeOptions{RecordBytes: 300}),
		limits("a long record, as an object", `{ "records" : [`+sound+","+long+"]}", native.DecodeOptions{RecordBytes: 300}),
		limits("one long record", long, native.DecodeOptions{RecordBytes: 300}),
		limits("one short record in much space", strings.Repeat(" ", 400)+sound, native.DecodeOptions{RecordBytes: 300}),
		limits("as deep as allowed", "["+deep(3)+"]", native.DecodeOptions{Depth: 5}),
		limits("too deep", "["+deep(4)+","+sound+"]", native.DecodeOptions{Depth: 5}),
		limits("one record, too deep", deep(4), native.DecodeOptions{Depth: 5}),
		limits("brackets in strings nest nothing", `[{"id":"[[[[\"{{{{","tenant":"t"}]`, native.DecodeOptions{Depth: 1}),
		one("as deep as the book takes", "["+deep(32)+"]"),
		one("deeper than the book takes", "["+deep(33)+"]"),
	})
}

func TestDecodeContentType(t *testing.T) {
	t.Parallel()
	var cases []decodeCase
	for _, contentType := range []string{
		"application/json", "Application/JSON", "application/json;charset=UTF-8", "application/json; charset=\"utf-8\"; profile=x", "application/json; charset=latin1",
		"", "application", "text/plain", "application/x-www-form-urlencoded", "application/vnd.acme+json", "application/json; charset=utf-8; charset=utf-8", "application/json; charset",
		"application/cloudevents", "application/cloudevents+avro", "text/json",
	} {
		cases = append(cases, decodeCase{name: contentType, contentType: contentType, body: "[]"})
	}
	for _, contentType := range []string{"application/x-ndjson", "application/jsonl; charset=us-ascii", "application/ndjson", "application/x-ndjson; charset=utf-16"} {
		cases = append(cases, decodeCase{name: contentType, contentType: contentType, body: sound})
	}
	for _, contentType := range []string{"text/csv", "text/csv; header=present", "text/csv; charset=utf-8; header=Present", "text/csv; header=absent", "text/csv; charset=windows-1252"} {
		cases = append(cases, decodeCase{name: contentType, contentType: contentType, body: "tenant,source,id\nacme,gateway,7\n"})
	}
	runCases(t, "content_types.golden", cases)
}

func TestAccepted(t *testing.T) {
	t.Parallel()
	bodies := map[string]string{typeCSV: "id\n", typeEvent: `{}`}
	for _, contentType := range native.Accepted() {
		body := "[]"
		if b, ok := bodies[contentType]; ok {
			body = b
		}
		_, err := native.Decode(contentType, nil, []byte(body), nil)
		require.NoError(t, err, contentType)
	}
	native.Accepted()[0] = "changed"
	require.Equal(t, typeJSON, native.Accepted()[0])
}

func TestDecodeOptions(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]native.DecodeOptions{
		"records":      {Records: -1},
		"record bytes": {RecordBytes: -1},
		"depth":        {Depth: -1},
		"too deep":     {Depth: 35},
		"name":         {TenantAttribute: "Tenant"},
		"core":         {TenantAttribute: "source"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := native.Decode(typeJSON, nil, []byte("[]"), &o)
			require.ErrorIs(t, err, usage.ErrInvalid)
			var e *native.DecodeError
			require.False(t, errors.As(err, &e), "it is the host's fault and not the request's")
		})
	}
	o := native.DecodeOptions{}
	_, err := native.Decode(typeJSON, nil, []byte("[]"), &o)
	require.NoError(t, err)
	require.Zero(t, o)
}

func TestTenants(t *testing.T) {
	t.Parallel()
	of := func(names ...string) []usage.Record {
		out := make([]usage.Record, len(names))
		for i, n := range names {
			out[i].Tenant = n
		}
		return out
	}
	require.Nil(t, native.Tenants(nil))
	require.Nil(t, native.Tenants(of("", "")))
	require.Equal(t, []string{"b", "a"}, native.Tenants(of("b", "b", "", "a", "b", "a")))
	var many, want []string
	for i := range 100 {
		want = append(want, fmt.Sprint("t", i))
		many = append(many, fmt.Sprint("t", i), fmt.Sprint("t", i/2))
	}
	require.Equal(t, want, native.Tenants(of(many...)))

	for contentType, body := range map[string]string{
		typeJSON:   `[{"tenant":"own","id":5,"start":"never","x":1},{"tenant":"foreign","values":[]},3]`,
		typeNDJSON: "{\"tenant\":\"own\",\"id\":5}\n{\"tenant\":\"foreign\",\"values\":[]}\n{\"tenant\":",
		typeCSV:    "tenant,start,quantity\nown,never,many\nforeign,,\nbad",
		typeEvents: `[{"tenant":"own"},{"data":{"tenant":"foreign"},"id":7},3]`,
	} {
		records, err := native.Decode(contentType, nil, []byte(body), nil)
		require.NoError(t, err)
		require.Equal(t, []string{"own", "foreign"}, native.Tenants(records), contentType)
		for _, violations := range judged(t, records) {
			require.NotEmpty(t, violations)
		}
	}
}

// The same records mean the same in every form.
func TestFormsAgree(t *testing.T) {
	t.Parallel()
	forms := map[string]string{
		typeJSON: `[
			{"id":"1","source":"s","tenant":"acme","meter":"m","start":"2026-03-01T01:00:00.5+01:00","end":"2026-03-01T02:00:00Z","values":{"quantity":1.50,"cost":"-0.000000000000000000000000000001"},"dimensions":{"region":"eu, \"west\"","note":"a\r\nb"}},
			{"id":"2","source":"s","tenant":"acme","meter":"m","start":"soon","quantity":"1e99","dimensions":{"region":"é"}},
			{"id":"3","source":"s","tenant":"acme","corrects":{"kind":"void","source":"s","id":"1"}},
			{"id":"4","source":"s","tenant":"acme","meter":"m","start":"2026-03-01T00:00:00Z","quantity":"x","corrects":{"kind":"cancel","id":"1"}}
		]`,
		typeNDJSON: `
{"id":"1","source":"s","tenant":"acme","meter":"m","start":"2026-03-01T01:00:00.5+01:00","end":"2026-03-01T02:00:00Z","values":{"quantity":1.50,"cost":"-0.000000000000000000000000000001"},"dimensions":{"region":"eu, \"west\"","note":"a\r\nb"}}` + "\r\n\r\n" +
			`{"id":"2","source":"s","tenant":"acme","meter":"m","start":"soon","quantity":"1e99","dimensions":{"region":"é"}}` + "\n" +
			` {"id":"3","source":"s","tenant":"acme","corrects":{"kind":"void","source":"s","id":"1"}} ` + "\n" +
			`{"id":"4","source":"s","tenant":"acme","meter":"m","start":"2026-03-01T00:00:00Z","quantity":"x","corrects":{"kind":"cancel","id":"1"}}`,
		typeCSV: "\ufefftenant,id,source,meter,end,start,quantity,values.cost,dimensions.region,dimensions.note,corrects.kind,corrects.source,corrects.id\r\n" +
			"acme,1,s,m,2026-03-01T02:00:00Z,2026-03-01T01:00:00.5+01:00,1.50,-0.000000000000000000000000000001,\"eu, \"\"west\"\"\",\"a\r\nb\",,,\r\n" +
			"acme,2,s,m,,soon,1e99,,é,,,,\r\n" +
			"acme,3,s,,,,,,,,void,s,1\r\n" +
			"acme,4,s,m,,2026-03-01T00:00:00Z,\"x\",\"\",,,cancel,,1",
		typeEvents: `[
			{"specversion":"1.0","id":"1","source":"s","type":"m","time":"2026-03-01T01:00:00.5+01:00","tenant":"acme","data":{"end":"2026-03-01T02:00:00Z","values":{"quantity":1.50,"cost":"-0.000000000000000000000000000001"},"dimensions":{"region":"eu, \"west\"","note":"a\r\nb"}}},
			{"specversion":"1.0","id":"2","source":"s","type":"m","time":"soon","data":{"tenant":"acme","quantity":"1e99","dimensions":{"region":"é"}}},
			{"specversion":"1.0","id":"3","source":"s","type":"m","tenant":"acme","data":{"corrects":{"kind":"void","source":"s","id":"1"}}},
			{"specversion":"1.0","id":"4","source":"s","type":"other","time":"2026-01-01T00:00:00Z","tenant":"acme","datacontenttype":"application/json","data":{"meter":"m","start":"2026-03-01T00:00:00Z","quantity":"x","corrects":{"kind":"cancel","id":"1"}}}
		]`,
	}
	want, err := native.Decode(typeJSON, nil, []byte(forms[typeJSON]), nil)
	require.NoError(t, err)
	require.Equal(t, [][]string{nil, {"start syntax", "values.quantity out_of_range"}, nil,
		{"corrects.kind correction", "corrects.source required", "values.quantity syntax"}}, judged(t, want))
	for contentType, body := range forms {
		got, err := native.Decode(contentType, nil, []byte(body), nil)
		require.NoError(t, err, contentType)
		require.Equal(t, want, got, contentType)
	}
}

// The records of a call don't hold on to the body.
func TestDecodeKeepsNothing(t *testing.T) {
	t.Parallel()
	for contentType, body := range map[string]string{
		typeJSON:   `[{"id":"1","source":"gateway","tenant":"acme","meter":"m","start":"2026-03-01T00:00:00Z","quantity":1,"dimensions":{"a":{"b":[1]},"c":"d"}}]`,
		typeNDJSON: `{"id":"1","source":"gateway","tenant":"acme","meter":"m","start":"2026-03-01T00:00:00Z","quantity":1,"dimensions":{"a":{"b":[1]},"c":"d"}}`,
		typeCSV:    "id,source,tenant,meter,start,quantity,dimensions.a,dimensions.c\n1,gateway,acme,m,2026-03-01T00:00:00Z,1,\"{\"\"b\"\":[1]}\",d",
		typeEvent:  `{"specversion":"1.0","id":"1","source":"gateway","tenant":"acme","type":"m","time":"2026-03-01T00:00:00Z","data":{"quantity":1,"dimensions":{"a":{"b":[1]},"c":"d"}}}`,
	} {
		text := []byte(body)
		records, err := native.Decode(contentType, nil, text, nil)
		require.NoError(t, err)
		for i := range text {
			text[i] = '!'
		}
		got, err := records[0].MarshalJSON()
		require.NoError(t, err, contentType)
		require.Equal(t, `{"id":"1","source":"gateway","tenant":"acme","meter":"m","start":"2026-03-01T00:00:00Z","values":{"quantity":"1"},"dimensions":{"a":"{\"b\":[1]}","c":"d"}}`, string(got))
	}
}

// What is short but claims much takes memory for what is there.
func TestDecodeHostileMemory(t *testing.T) {
	var columns, row bytes.Buffer
	for i := range 500 {
		fmt.Fprintf(&columns, "dimensions.%0100d,values.%0100d,", i, i)
		row.WriteString("1,1,")
	}
	columns.WriteString("id\n")
	row.WriteString("1\n")
	for name, c := range map[string]struct{ contentType, body string }{
		"csv, many columns": {typeCSV, columns.String() + strings.Repeat(row.String(), 500)},
		"csv, many cells":   {typeCSV, "id\n" + strings.Repeat(strings.Repeat(",", 10_000)+"\n", 200)},
		"csv, one row":      {typeCSV, "id\n" + strings.Repeat(",", 2_000_000)},
		"csv, open quotes":  {typeCSV, "id\n" + strings.Repeat("\"x\n", 9_000)},
		"csv, long quote":   {typeCSV, "id\n\"" + strings.Repeat("x\n", 9_000)},
		"events, names":     {typeEvents, `[{` + strings.Repeat(`"Bad-Name":1,`, 100_000) + `"id":"1"}]`},
		"events, data":      {typeEvents, `[{"data":{` + strings.Repeat(`"x":1,`, 100_000) + `"quantity":1}}]`},
		"events, small":     {typeEvents, `[` + strings.Repeat(`{},`, 9_999) + `{}]`},
		"lines, small":      {typeNDJSON, strings.Repeat("{}\n", 10_000)},
		"lines, bad":        {typeNDJSON, strings.Repeat("x\n", 10_000)},
	} {
		t.Run(name, func(t *testing.T) {
			body := []byte(c.body)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			records, err := native.Decode(c.contentType, nil, body, nil)
			runtime.ReadMemStats(&after)
			require.NoError(t, err)
			// Faults are copied for each that is added, up to some 5 KB a record,
			// however short its text.
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(40*len(body)+6_000*len(records)+(4<<20)))
			for _, violations := range judged(t, records)[:1] {
				require.NotEmpty(t, violations)
				require.Less(t, len(violations), 200)
			}
		})
	}
}

// roundTrip writes the records that a book would take as JSON and reads them
// again, to the same effect.
func roundTrip(t *testing.T, records []usage.Record) {
	t.Helper()
	batch := prepare(t, records)
	body := []byte{'['}
	var want []usage.Record
	for i := range records {
		e := batch.At(i)
		if len(e.Violations) > 0 {
			continue
		}
		if len(want) > 0 {
			body = append(body, ',')
		}
		var err error
		body, err = e.Record.AppendJSON(body)
		require.NoError(t, err)
		want = append(want, e.Record)
	}
	got, err := native.Decode(typeJSON, nil, append(body, ']'), nil)
	require.NoError(t, err)
	require.Len(t, got, len(want))
	for i := range want {
		require.Equal(t, want[i], got[i])
	}
}

// small are options under which short bodies reach every limit.
var small = &native.DecodeOptions{Records: 20, RecordBytes: 400, Depth: 6, ExtensionDimensions: true}

// requireRefused holds an error of Decode against its documentation.
func requireRefused(t *testing.T, err error) *native.DecodeError {
	t.Helper()
	var e *native.DecodeError
	require.ErrorAs(t, err, &e)
	require.Contains(t, []int{400, 413, 415}, e.Status)
	require.ErrorIs(t, err, usage.ErrInvalid)
	require.NotEmpty(t, e.Message)
	require.True(t, utf8.ValidString(err.Error()))
	require.Less(t, len(err.Error()), 2000)
	return e
}

func FuzzDecodeJSON(f *testing.F) {
	for _, seed := range []string{"[" + sound + "]", `{"records":[` + sound + `,1]}`, sound, `{"x":1}`, `{"id":"1","records":[]}`, "\ufeff[]", `[{"dimensions":{"a":[[[[[[]]]]]]}}]`,
		`{"\u0072ecords":[{}]}`, `{"records":[{"id":"\"]},{"}]}`, "[[],\"\\\\\",{\"a\":\"\\\"\"}]", `{"id":"` + strings.Repeat("x", 500) + `"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		records, err := native.Decode(typeJSON, nil, body, small)
		text := bytes.TrimPrefix(body, []byte("\ufeff"))
		if err != nil {
			e := requireRefused(t, err)
			require.LessOrEqual(t, e.Offset, len(body))
			require.False(t, e.Status == 400 && json.Valid(text) && bytes.HasPrefix(bytes.TrimSpace(text), []byte("[")), err)
			return
		}
		require.True(t, json.Valid(text))
		var list []json.RawMessage
		if json.Unmarshal(text, &list) != nil {
			// Keys of a map are matched as they are, those of a struct in any case.
			var members map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(text, &members))
			if inner, ok := members["records"]; ok {
				require.NoError(t, json.Unmarshal(inner, &list))
			} else {
				list = []json.RawMessage{bytes.TrimSpace(text)}
			}
		}
		require.Len(t, records, len(list))
		for i, violations := range judged(t, records) {
			if len(list[i]) > small.RecordBytes {
				require.Contains(t, violations, "record too_long")
			}
		}
		roundTrip(t, records)
	})
}
