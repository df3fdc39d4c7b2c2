package native_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter/native"
	"github.com/usagebook/usagebook/usage"
)

func TestDecodeNDJSON(t *testing.T) {
	t.Parallel()
	one := func(name, body string) decodeCase {
		return decodeCase{name: name, contentType: typeNDJSON, body: body}
	}
	limits := func(name, body string, o native.DecodeOptions) decodeCase {
		return decodeCase{name: name, contentType: typeNDJSON, body: body, options: &o}
	}
	runCases(t, "ndjson.golden", []decodeCase{
		one("lines", sound+"\n"+sound+"\n"),
		one("no end of the last line", sound+"\n"+sound),
		one("CRLF and blank lines", "\r\n"+sound+"\r\n\r\n \t \n"+sound+"\r\n\r\n"),
		one("byte order mark", "\ufeff"+sound),
		one("empty", ""),
		one("blank", "\n\r\n"),
		one("bad lines", sound+"\n\n{\"id\":\n12\nnull\n[]\n["+sound+"]\n"+sound+","+sound+"\n"+sound+sound+"\n"+strings.TrimSuffix(sound, "}")+"\n"+sound),
		one("lines that make a record together", "{\"id\":\"1\"},{\"id\":\"2\"}\n{\"tenant\":\"t\",\"dimensions\":{\"d\":[{}\n{}]}}\n"),
		one("a line end in a string", "{\"id\":\"a\nb\"}"),
		one("faults of fields", "{\"id\":\"1\",\"start\":\"today\",\"tenant\":\"t\"}"),
		one("not UTF-8", "{\"id\":\"\xff\",\"tenant\":\"t\"}\n\xff\n"),
		limits("as many as allowed", sound+"\n\n"+sound+"\n\n", native.DecodeOptions{Records: 2}),
		limits("more than allowed", sound+"\n\n"+sound+"\n\nx", native.DecodeOptions{Records: 2}),
		limits("a long line", sound+"\n"+strings.TrimSuffix(sound, "}")+`,"end":"`+strings.Repeat("x", 300)+"\"}\n"+sound, native.DecodeOptions{RecordBytes: 300}),
		limits("a long blank line", sound+"\n"+strings.Repeat(" ", 400)+"\n"+sound, native.DecodeOptions{RecordBytes: 300}),
		limits("too deep", `{"id":"1","dimensions":{"d":[]}}`+"\n"+`{"id":"1","dimensions":{"d":""}}`, native.DecodeOptions{Depth: 2}),
	})
}

func FuzzDecodeNDJSON(f *testing.F) {
	for _, seed := range []string{sound + "\n" + sound, "\r\n{}\r\n\r\n1\n", "{\"dimensions\":{\"d\":[{}\n{}]}}", "\ufeff{}", strings.Repeat("{}\n", 21), "{\"id\":\"" + strings.Repeat("x", 500) + "\"}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var lines [][]byte
		for line := range bytes.SplitSeq(bytes.TrimPrefix(body, []byte("\ufeff")), []byte("\n")) {
			if line = bytes.Trim(line, " \t\r"); len(line) > 0 {
				lines = append(lines, line)
			}
		}
		records, err := native.Decode(typeNDJSON, nil, body, small)
		if err != nil {
			require.Equal(t, 413, requireRefused(t, err).Status)
			require.Greater(t, len(lines), small.Records)
			return
		}
		require.Len(t, records, len(lines))
		for i, violations := range judged(t, records) {
			r, err := usage.DecodeRecord(lines[i])
			switch {
			case err != nil:
				require.Equal(t, []string{"record syntax"}, violations[:1])
			case len(lines[i]) > small.RecordBytes:
				require.Contains(t, violations, "record too_long")
			case len(violations) == 0:
				require.Equal(t, r, records[i])
			}
			if err == nil {
				require.True(t, json.Valid(lines[i]))
			}
		}
		roundTrip(t, records)
	})
}
