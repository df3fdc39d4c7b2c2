package native_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter/native"
	"github.com/usagebook/usagebook/usage"
)

const soundEvent = `{"specversion":"1.0","id":"7","source":"gateway","tenant":"acme","type":"requests","time":"2026-03-01T00:00:00Z","data":{"values":{"quantity":"1.5"}}}`

// with returns the event with further members in front.
func with(members string) string { return "{" + members + "," + soundEvent[1:] }

// without returns the event without an attribute.
func without(name string) string {
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(soundEvent), &members); err != nil {
		panic(err)
	}
	delete(members, name)
	out, err := json.Marshal(members)
	if err != nil {
		panic(err)
	}
	return string(out)
}

// data returns the event with other data.
func data(text string) string {
	return strings.Replace(soundEvent, `{"values":{"quantity":"1.5"}}`, text, 1)
}

func TestDecodeEvents(t *testing.T) {
	t.Parallel()
	one := func(name, body string) decodeCase {
		return decodeCase{name: name, contentType: typeEvent, body: body}
	}
	batch := func(name, body string) decodeCase {
		return decodeCase{name: name, contentType: typeEvents, body: body}
	}
	options := func(c decodeCase, o native.DecodeOptions) decodeCase {
		c.options = &o
		return c
	}
	wrong := func(name, value string) string {
		return with(fmt.Sprintf("%q:%s", name, value))
	}
	replaced := func(name, value string) string {
		return "{" + fmt.Sprintf("%q:%s,", name, value) + without(name)[1:]
	}
	runCases(t, "events.golden", []decodeCase{
		one("event", soundEvent),
		one("with the charset of a structured event", " "+soundEvent+"\n"),
		{name: "content type with a charset", contentType: "application/cloudevents+json; charset=UTF-8", body: soundEvent},
		{name: "batch with a charset", contentType: "application/cloudevents-batch+json; charset=utf-8", body: "[" + soundEvent + "]"},
		{name: "headers of a structured event are passed over", contentType: typeEvent, body: soundEvent, header: http.Header{"Ce-Id": {"8"}, "Ce-Tenant": {"globex"}}},
		batch("batch", "["+soundEvent+","+soundEvent+"]"),
		batch("empty batch", "[]"),
		one("byte order mark", "\ufeff"+soundEvent),

		one("quantity", data(`{"quantity":2}`)),
		one("all of data", data(`{"meter":"calls","start":"2026-03-01T01:00:00+01:00","end":"2026-03-01T01:00:00Z","values":{"cost":1e-3},"quantity":"2","dimensions":{"region":"eu","tags":{"b":1,"a":2}},"tenant":"acme"}`)),
		one("nulls are not given", data(`{"meter":null,"start":null,"end":null,"values":null,"quantity":3,"dimensions":null,"corrects":null,"tenant":null}`)),
		one("null attributes are not given", with(`"subject":null,"datacontenttype":null,"dataschema":null,"data_base64":null,"traceparent":null`)),
		one("tenant of the data", strings.Replace(data(`{"tenant":"acme","quantity":1}`), `"tenant":"acme",`, "", 1)),
		one("tenant in both", data(`{"tenant":"\u0061cme","quantity":1}`)),
		one("tenants that differ", data(`{"tenant":"globex","quantity":1}`)),
		one("tenant of the data is no string", data(`{"tenant":12,"quantity":1}`)),
		one("no tenant", without("tenant")),
		one("tenant is an integer", replaced("tenant", `42`)),
		one("tenant is a fraction", replaced("tenant", `42.5`)),
		one("tenant is an object", replaced("tenant", `{}`)),
		one("tenant twice", wrong("tenant", `"globex"`)),
		options(one("tenant by another attribute", with(`"customer":"globex"`)), native.DecodeOptions{TenantAttribute: "customer"}),
		options(one("tenant by another attribute, twice", with(`"customer":"globex","customer":"acme"`)), native.DecodeOptions{TenantAttribute: "customer"}),
		options(one("tenant by the subject", with(`"subject":"globex"`)), native.DecodeOptions{TenantAttribute: "subject"}),
		options(one("no tenant by the subject", soundEvent), native.DecodeOptions{TenantAttribute: "subject"}),
		one("subject", with(`"subject":"user 5"`)),
		one("subject beside dimensions", `{"subject":"user 5",`+data(`{"quantity":1,"dimensions":{"region":"eu"}}`)[1:]),
		one("subject beside empty dimensions", `{"subject":"user 5",`+data(`{"quantity":1,"dimensions":{ }}`)[1:]),
		one("subject beside bad dimensions", `{"subject":"user 5",`+data(`{"quantity":1,"dimensions":["eu"]}`)[1:]),
		one("subject in both", `{"subject":"user 5",`+data(`{"quantity":1,"dimensions":{"subject":"user 6"}}`)[1:]),
		one("extensions are passed over", with(`"traceparent":"00-1","sampledrate":5,"final":true`)),
		options(one("extensions as dimensions", `{"traceparent":"00-1","sampledrate":-5,"final":true,"subject":"u",`+data(`{"quantity":1,"dimensions":{"region":"eu"}}`)[1:]), native.DecodeOptions{ExtensionDimensions: true}),
		options(one("extension beside an equal dimension", `{"region":"us",`+data(`{"quantity":1,"dimensions":{"region":"eu"}}`)[1:]), native.DecodeOptions{ExtensionDimensions: true}),
		one("void", `{"type":"com.acme.void","time":"2026-03-02T00:00:00Z","subject":"u",`+`"specversion":"1.0","id":"8","source":"gateway","tenant":"acme","data":{"corrects":{"source":"gateway","id":"7","kind":"void"}}}`),
		one("replace", data(`{"quantity":2,"corrects":{"kind":"replace","source":"gateway","id":"6"}}`)),
		one("JSON data", with(`"datacontenttype":"application/json"`)),
		one("other JSON data", with(`"datacontenttype":"application/vnd.acme.usage+json; charset=UTF-8"`)),
		one("schema", with(`"dataschema":"https://acme.example/usage"`)),
		one("escaped names and values", strings.NewReplacer(`"type"`, `"\u0074ype"`, `"1.0"`, `"1\u002e0"`, `"data"`, `"dat\u0061"`, `"values"`, `"v\u0061lues"`).Replace(soundEvent)),

		one("no version", without("specversion")),
		one("version 0.3", replaced("specversion", `"0.3"`)),
		one("version is a number", replaced("specversion", `1.0`)),
		one("no type", without("type")),
		one("no type, but a meter", `{"data":{"meter":"m","quantity":1},`+strings.Replace(without("type")[1:], `"data":{"values":{"quantity":"1.5"}},`, "", 1)),
		one("empty type", replaced("type", `""`)),
		one("type is a number", replaced("type", `5`)),
		one("type is a number, but there is a meter", strings.Replace(data(`{"meter":"m","quantity":1}`), `"requests"`, `5`, 1)),
		one("no time", without("time")),
		one("no time, but a start", strings.Replace(data(`{"start":"2026-03-01T00:00:00Z","quantity":1}`), `"time":"2026-03-01T00:00:00Z",`, "", 1)),
		one("time is no instant", replaced("time", `"2026-03-01"`)),
		one("time is a number", replaced("time", `1772323200`)),
		one("no id", without("id")),
		one("id is a number", replaced("id", `7`)),
		one("id twice", wrong("id", `"8"`)),
		one("source twice, null first", wrong("source", `null`)),
		one("data twice", wrong("data", `{"quantity":1}`)),
		one("extension twice", with(`"traceparent":"a","traceparent":"a"`)),
		one("extensions with long names", with(`"`+strings.Repeat("n", 200)+`":1,"`+strings.Repeat("n", 201)+`":2`)),
		one("extension with a bad name", with(`"trace_parent":"a","Tenant":"b","":1`)),
		one("extension of a bad type", with(`"a":{},"b":[1],"c":1.5,"d":1e2,"e":2147483648,"f":-2147483648`)),
		one("subject is empty", with(`"subject":""`)),
		one("subject is a number", with(`"subject":5`)),
		one("XML data", with(`"datacontenttype":"application/xml"`)),
		one("JSON in another charset", with(`"datacontenttype":"application/json; charset=latin1"`)),
		one("data in base64", `{"data_base64":"e30=",`+without("data")[1:]),
		one("no data", without("data")),
		one("data is null", data(`null`)),
		one("data is a string", data(`"{}"`)),
		one("data is an array", data(`[1]`)),
		one("unknown keys of data", data(`{"id":"8","unit":"GB","quantity":1}`)),
		one("keys of data twice", data(`{"quantity":1,"quantity":2}`)),
		one("values are bad", data(`{"values":{"quantity":"many","cost":1e40}}`)),
		batch("bad ones in a batch", `[`+soundEvent+`,null,12,[],"x",{},`+soundEvent+`]`),

		one("no JSON", `{"specversion":}`),
		one("empty", ""),
		one("no object", `[`+soundEvent+`]`),
		batch("no array", soundEvent),
		batch("no JSON, batch", `[`+soundEvent),
		options(batch("as many as allowed", "["+soundEvent+","+soundEvent+"]"), native.DecodeOptions{Records: 2}),
		options(batch("more than allowed", "["+soundEvent+","+soundEvent+",{}]"), native.DecodeOptions{Records: 2}),
		options(batch("a long event", "["+with(`"note":"`+strings.Repeat("x", 300)+`"`)+","+soundEvent+"]"), native.DecodeOptions{RecordBytes: 300}),
		options(batch("too deep", "["+data(`{"quantity":1,"dimensions":{"a":[]}}`)+","+soundEvent+"]"), native.DecodeOptions{Depth: 2}),
		one("as deep as the book takes", data(`{"quantity":1,"dimensions":{"a":`+strings.Repeat("[", 32)+strings.Repeat("]", 32)+`}}`)),
		one("deeper than the book takes", data(`{"quantity":1,"dimensions":{"a":`+strings.Repeat("[", 33)+strings.Repeat("]", 33)+`}}`)),
	})
}

func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func TestDecodeBinaryEvents(t *testing.T) {
	t.Parallel()
	base := []string{"ce-specversion", "1.0", "ce-id", "7", "ce-source", "/gateway", "ce-type", "requests", "ce-time", "2026-03-01T00:00:00Z", "ce-tenant", "acme"}
	one := func(name, body string, more ...string) decodeCase {
		return decodeCase{name: name, contentType: typeJSON, body: body, header: headers(append(append([]string{}, base...), more...)...)}
	}
	other := func(name, key, value string) decodeCase {
		c := one(name, `{"quantity":1}`)
		c.header.Set(key, value)
		return c
	}
	typed := func(name, contentType string) decodeCase {
		c := one(name, `{"quantity":1}`)
		c.contentType = contentType
		return c
	}
	all := one("extensions as dimensions", `{"quantity":1,"dimensions":{"a":"b"}}`, "ce-traceparent", "00-1", "ce-region", "eu%20west", "ce-subject", "u")
	all.options = &native.DecodeOptions{ExtensionDimensions: true}
	runCases(t, "binary_events.golden", []decodeCase{
		one("event", ` {"values":{"quantity":"1.5"}} `),
		typed("JSON with a charset", "application/json; charset=utf-8"),
		typed("other JSON", "application/vnd.acme+json"),
		typed("text/json", "text/json"),
		all,
		one("other headers", `{"quantity":1}`, "Content-Encoding", "gzip", "Cetacean", "whale"),
		other("percent signs", "ce-id", "Euro%20%E2%82%AC%20%F0%9f%98%80%25"),
		other("decoded once", "ce-id", "%2541"),
		other("quotes", "ce-id", `"a \"b\" \\ %63"`),
		other("UTF-8 as it is", "ce-id", "€"),
		other("empty", "ce-id", ""),
		one("empty body", "  "),
		one("null", "null"),

		{name: "type alone", contentType: typeJSON, body: `{"quantity":1}`, header: headers("ce-type", "requests")},
		{name: "a record is no data", contentType: typeJSON, body: sound, header: headers(base...)},
		{name: "other ce- headers make no event", contentType: typeJSON, body: sound, header: headers("ce-tenant", "globex")},
		one("header twice", `{"quantity":1}`, "ce-id", "8"),
		one("content type as a header", `{"quantity":1}`, "ce-datacontenttype", "application/json"),
		one("data as a header", `{"quantity":1}`, "ce-data", "{}"),
		one("name with a dash", `{"quantity":1}`, "ce-trace-parent", "x"),
		one("base64", `{"quantity":1}`, "ce-data_base64", "e30="),
		other("percent sign at the end", "ce-id", "100%"),
		other("percent sign without digits", "ce-id", "%zz"),
		other("percent sign with a sign", "ce-id", "%+1"),
		other("overlong UTF-8", "ce-id", "%C0%A0"),
		other("half of a character", "ce-tenant", "\xe2\x82"),
		other("quote inside", "ce-source", `a"b`),
		other("quote not closed", "ce-source", `"ab`),
		other("quote closed early", "ce-source", `"a"b`),
		other("quote not closed behind an escape", "ce-source", `"a\"`),
		other("bad time", "ce-time", "noon"),
		other("old version", "ce-specversion", "0.3"),
		one("no JSON", `{"quantity":`),
		one("data is an array", `[{"quantity":1}]`),
		typed("no JSON data", "text/csv"),
		typed("no JSON lines", "application/x-ndjson"),
		typed("unknown type", "application/xml"),
		typed("no type", ""),
	})
}

// FuzzDecodeCloudEvents reads bodies in all three modes.
func FuzzDecodeCloudEvents(f *testing.F) {
	for _, seed := range []string{soundEvent, "[" + soundEvent + ",1,{}]", with(`"subject":"u","a":1,"b":true,"a":2`), data(`{"dimensions":{"a":[]},"corrects":{"kind":"void"}}`),
		`{"values":{"a":1},"dimensions":{}}`, `{"\u0069d":"1","data":{"dimensions":{"x":"}"}}}`, with(`"data_base64":"x","tenant":"t"`)} {
		f.Add([]byte(seed), uint8(0), "7", "acme")
		f.Add([]byte(seed), uint8(1), "%41", `"a"`)
		f.Add([]byte(seed), uint8(2), "%E2%82%AC", "")
	}
	f.Fuzz(func(t *testing.T, body []byte, mode uint8, id, extra string) {
		text := bytes.TrimPrefix(body, []byte("\ufeff"))
		contentType, header := typeJSON, headers("ce-specversion", "1.0", "ce-id", id, "ce-source", "s", "ce-extra", extra, "ce-tenant", extra)
		want := 1
		switch mode % 3 {
		case 0:
			contentType = typeEvent
		case 1:
			contentType = typeEvents
			var list []json.RawMessage
			if json.Unmarshal(text, &list) == nil {
				want = len(list)
			}
		}
		records, err := native.Decode(contentType, header, body, small)
		if err != nil {
			e := requireRefused(t, err)
			switch {
			case e.Status == 413:
				require.Greater(t, want, small.Records)
			case json.Valid(text):
				// Another shape than the content type says.
				first := bytes.TrimSpace(text)[0]
				require.True(t, mode%3 == 0 && first != '{' || mode%3 == 1 && first != '[', "%v", err)
			}
			return
		}
		require.True(t, json.Valid(text) || mode%3 == 2 && len(bytes.TrimSpace(text)) == 0)
		require.Len(t, records, want)
		judged(t, records)
		roundTrip(t, records)

		// The records that are sound are the same as events.
		batch := prepare(t, records)
		var events []string
		var same []usage.Record
		for i := range records {
			if e := batch.At(i); len(e.Violations) == 0 && records[i].Corrects == nil {
				events = append(events, eventOf(t, &e.Record))
				same = append(same, e.Record)
			}
		}
		again, err := native.Decode(typeEvents, nil, []byte("["+strings.Join(events, ",")+"]"), nil)
		require.NoError(t, err)
		require.Len(t, again, len(same))
		for i := range same {
			require.Equal(t, same[i], again[i])
		}
	})
}

// eventOf writes a record as an event.
func eventOf(t *testing.T, r *usage.Record) string {
	t.Helper()
	text, err := r.MarshalJSON()
	require.NoError(t, err)
	var members map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(text, &members))
	event := map[string]json.RawMessage{"specversion": []byte(`"1.0"`)}
	inner := map[string]json.RawMessage{}
	for name, value := range members {
		switch name {
		case "id", "source", "tenant":
			event[name] = value
		case "meter":
			event["type"] = value
		case "start":
			event["time"] = value
		default:
			inner[name] = value
		}
	}
	event["data"], err = json.Marshal(inner)
	require.NoError(t, err)
	out, err := json.Marshal(event)
	require.NoError(t, err)
	return string(out)
}
