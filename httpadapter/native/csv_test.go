package native_test

import (
	"encoding/csv"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter/native"
)

func TestDecodeCSV(t *testing.T) {
	t.Parallel()
	const header = "id,source,tenant,meter,start,quantity\n"
	const row = "7,gateway,acme,requests,2026-03-01T00:00:00Z,1.5\n"
	one := func(name, body string) decodeCase {
		return decodeCase{name: name, contentType: typeCSV, body: body}
	}
	limits := func(name, body string, o native.DecodeOptions) decodeCase {
		return decodeCase{name: name, contentType: typeCSV, body: body, options: &o}
	}
	var wide, full []string
	for i := range 1024 {
		wide = append(wide, fmt.Sprintf("values.v%d", i))
	}
	for i := range 70 {
		full = append(full, fmt.Sprintf("dimensions.d%d", i), fmt.Sprintf("values.v%d", i))
	}
	runCases(t, "csv.golden", []decodeCase{
		one("rows", header+row+row),
		one("CRLF, no end of the last line", strings.ReplaceAll(header+row, "\n", "\r\n")+strings.TrimSuffix(row, "\n")),
		one("byte order mark", "\ufeff"+header+row),
		one("blank lines", "\n\r\n"+header+"\n"+row+"\r\n\n"),
		one("header alone", header),
		one("header without an end", strings.TrimSuffix(header, "\n")),
		one("columns in any order", "values.cost,dimensions.b,tenant,dimensions.a,quantity,id,meter,source,start,end\n"+
			"0.10,B,acme,A,2,7,m,s,2026-03-01T00:00:00Z,2026-03-01T01:00:00Z\n"),
		one("empty cells are not given", "id,source,tenant,meter,start,end,quantity,values.cost,dimensions.a,dimensions.b,corrects.kind,corrects.id\n"+
			"7,s,acme,m,2026-03-01T00:00:00Z,,1,,,\"\",,\n"),
		one("quotes", "id,source,tenant,meter,start,\"quantity\",\"dimensions.a \"\"b\"\", c\"\n"+
			"\"7\",\"s\",acme,m,2026-03-01T00:00:00Z,\"1\",\"x, \"\"y\"\"\n\r\nz\"\n"),
		one("nothing is trimmed", "id,tenant,quantity,dimensions.a\n 7,acme , 1, b \n"),
		one("corrections", "id,source,tenant,corrects.kind,corrects.source,corrects.id\n8,s,acme,void,s,7\n9,s,acme,replace,s,\n10,s,acme,,s,\n11,s,acme,undo,s,7\n"),
		one("numbers", "id,source,tenant,meter,start,quantity,values.cost\n"+
			"1,s,t,m,2026-03-01T00:00:00Z,99999999999999999999999999999999999999.999999999999999999999999999999,-0\n"+
			"2,s,t,m,2026-03-01T00:00:00Z,1e38,\"1,5\"\n3,s,t,m,2026-03-01T00:00:00Z,NaN,$1\n4,s,t,m,2026-03-01T00:00:00Z,1E2,.5\n"),
		one("instants", "id,source,tenant,meter,start,end,quantity\n1,s,t,m,2026-03-01 00:00:00,1772323200,1\n2,s,t,m,2026-03-01T00:00:00+01:00,2026-02-01T00:00:00Z,1\n"),
		one("text of JSON stays text", "id,dimensions.tags\n7,\"{\"\"b\"\":1, \"\"a\"\":2}\"\n"),
		one("control characters and bad bytes", "id,tenant,dimensions.a\na\x01b,\xff,\"\x00\t\"\nc\rd,e,f\r\n"),
		one("wrong numbers of cells", header+row+"7,gateway\n"+row+strings.TrimSuffix(row, "\n")+",more\n"+row),
		one("quote inside a cell", header+"7,gate\"way,acme,requests,2026-03-01T00:00:00Z,1.5\n"+row),
		one("text behind a closing quote", header+"7,\"gate\"way,acme,requests,2026-03-01T00:00:00Z,1.5\n"+row),
		one("quote that is never closed", header+row+"7,\"gateway,acme,requests,2026-03-01T00:00:00Z,1.5\n"+row+row),
		one("quote that ends in a later row", header+"7,\"gateway,acme,requests,2026-03-01T00:00:00Z,1.5\n"+row+
			"8,\"gate,way\",acme,requests,2026-03-01T00:00:00Z,1.5\n"+row),
		one("row over several lines, then a bad one", header+"7,\"gate\nway\",acme,requests,2026-03-01T00:00:00Z,1.5\nbad\n"),
		one("more values and dimensions than a record has", strings.Join(full, ",")+"\n"+strings.Repeat("1,", 2*70-1)+"1\n"),
		one("as many columns as allowed", strings.Join(wide, ",")+"\n"),

		one("empty", ""),
		one("blank", "\n\n"),
		one("unknown column", "id,tenant,region\n1,acme,eu\n"),
		one("column of another case", "ID,tenant\n"),
		one("column with a space", "id, tenant\n"),
		one("no header", row),
		one("column without a name", "id,tenant,\n"),
		one("value without a name", "id,values.\n"),
		one("dimension without a name", "id,dimensions.\n"),
		one("values as a whole", "id,values\n"),
		one("column twice", "id,tenant,id\n"),
		one("dimension twice", "dimensions.a,tenant,dimensions.a\n"),
		one("quantity twice", "values.quantity,quantity\n"),
		one("header is not UTF-8", "id,dimensions.\xff\n"),
		one("header with a bad quote", "id,\"tenant\n"),
		one("more columns than allowed", strings.Join(wide, ",")+",id\n"),
		one("semicolons", "id;tenant;quantity\n1;acme;2\n"),

		limits("as many rows as allowed", header+row+"\n"+row+"\n", native.DecodeOptions{Records: 2}),
		limits("more rows than allowed", header+row+row+"\nx", native.DecodeOptions{Records: 2}),
		limits("a long row", header+row+"7,gateway,acme,requests,2026-03-01T00:00:00Z,"+strings.Repeat("1", 80)+"\n"+row, native.DecodeOptions{RecordBytes: 100}),
		limits("a long row in quotes", header+row+"7,\"gate\n"+strings.Repeat("way,", 30)+"\",acme,requests,2026-03-01T00:00:00Z,1\n"+row, native.DecodeOptions{RecordBytes: 100}),
	})
}

// A thousand rows go through more than one chunk and stay in order.
func TestDecodeCSVChunks(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("id,source,tenant,dimensions.note,quantity\n")
	for i := range 1000 {
		switch i % 5 {
		case 3:
			b.WriteString("bad\n")
		default:
			fmt.Fprintf(&b, "%d,s,t,%s,%d\n", i, strings.Repeat("n", i), i)
		}
	}
	records, err := native.Decode(typeCSV, nil, []byte(b.String()), nil)
	require.NoError(t, err)
	require.Len(t, records, 1000)
	for i, violations := range judged(t, records) {
		if i%5 == 3 {
			require.Equal(t, "record syntax", violations[0])
			continue
		}
		require.Equal(t, fmt.Sprint(i), records[i].ID)
		note, _ := records[i].Dimensions.Get("note")
		require.Len(t, note, i)
		q, _ := records[i].Values.Get("quantity")
		require.Equal(t, fmt.Sprint(i), q.String())
	}
}

// FuzzDecodeCSV compares with encoding/csv wherever that can read the rows.
func FuzzDecodeCSV(f *testing.F) {
	for _, seed := range []string{"a,b\nc,d\n", "\"a\"\"\n\",b\r\n", "\"a\nb,c\n", "a\"b,c\n", "\"a\"b,c\n", "\n\r\n,\n,,\n", "a,b\r", "\"\",\"\"", "\"x\n\"x\n\"x\n", ",\",\n", "\",\",\n\",\",\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, rows string) {
		const header = "dimensions.a,dimensions.b\n"
		records, err := native.Decode(typeCSV, nil, []byte(header+rows), small)
		oracle := csv.NewReader(strings.NewReader(rows))
		oracle.FieldsPerRecord = -1
		want, bad := oracle.ReadAll()
		if err != nil {
			require.Equal(t, 413, requireRefused(t, err).Status)
			require.True(t, bad != nil || len(want) > small.Records)
			return
		}
		all := judged(t, records)
		roundTrip(t, records)
		if bad != nil {
			refused := 0
			for _, violations := range all {
				if violations[0] == "record syntax" || violations[0] == "record too_long" {
					refused++
				}
			}
			require.Positive(t, refused, "what encoding/csv refuses is told")
			return
		}
		if len(rows) > small.RecordBytes {
			return // a quote may be too long
		}
		require.Len(t, records, len(want))
		for i, cells := range want {
			if len(cells) != 2 {
				require.Equal(t, "record syntax", all[i][0])
				continue
			}
			for k, name := range []string{"a", "b"} {
				got, ok := records[i].Dimensions.Get(name)
				require.Equal(t, cells[k] != "", ok)
				require.Equal(t, cells[k], strings.ReplaceAll(got, "\r\n", "\n")) // encoding/csv does that in quotes
			}
		}
	})
}

// FuzzCSVAgainstJSON writes the same records in both forms.
func FuzzCSVAgainstJSON(f *testing.F) {
	f.Add("7", "gateway", "acme", "requests", "2026-03-01T00:00:00Z", "", "1.5", "eu", "", "", uint8(3))
	f.Add("a,b", "\"", "\r\n", "\xff", "2026-03-01t00:00:00.123456789+01:00", "today", "1e99", "{\"a\":1}", "void", "\\u0041", uint8(200))
	f.Add("1", "s", "t", "", "", "", "", "", "void", "0", uint8(1))
	f.Fuzz(func(t *testing.T, id, source, tenant, meter, start, end, value, dim, kind, target string, n uint8) {
		var table, list strings.Builder
		table.WriteString("dimensions.d,quantity,start,corrects.id,end,meter,corrects.kind,tenant,id,source,values.v\n")
		list.WriteByte('[')
		count := 1 + int(n%4)
		for i := range count {
			if i > 0 {
				list.WriteByte(',')
			}
			key := id
			if i > 0 {
				key = fmt.Sprint(id, i)
			}
			for k, cell := range []string{dim, value, start, target, end, meter, kind, tenant, key, source, value} {
				if k > 0 {
					table.WriteByte(',')
				}
				if n&1 == 0 || strings.ContainsAny(cell, ",\"\r\n") {
					cell = `"` + strings.ReplaceAll(cell, `"`, `""`) + `"`
				}
				table.WriteString(cell)
			}
			table.WriteByte('\n')
			sep := byte('{')
			member := func(name, text string) {
				if text != "" {
					list.WriteByte(sep)
					sep = ','
					fmt.Fprintf(&list, "%q:", name)
					jsonText(&list, text)
				}
			}
			member("id", key)
			member("source", source)
			member("tenant", tenant)
			member("meter", meter)
			member("start", start)
			member("end", end)
			member("quantity", value)
			if sep == '{' {
				list.WriteByte('{')
			}
			object := func(name string, pairs ...string) {
				sep := "{"
				for k := 0; k < len(pairs); k += 2 {
					if pairs[k+1] == "" {
						continue
					}
					if sep == "{" {
						if !strings.HasSuffix(list.String(), "{") {
							list.WriteByte(',')
						}
						fmt.Fprintf(&list, "%q:", name)
					}
					list.WriteString(sep)
					sep = ","
					fmt.Fprintf(&list, "%q:", pairs[k])
					jsonText(&list, pairs[k+1])
				}
				if sep == "," {
					list.WriteByte('}')
				}
			}
			object("values", "v", value)
			object("dimensions", "d", dim)
			object("corrects", "kind", kind, "id", target)
			list.WriteByte('}')
		}
		list.WriteByte(']')
		want, err := native.Decode(typeJSON, nil, []byte(list.String()), nil)
		require.NoError(t, err, list.String())
		got, err := native.Decode(typeCSV, nil, []byte(table.String()), nil)
		require.NoError(t, err)
		if id+source+tenant+meter+start+end+value+dim+kind+target == "" {
			return // rows of nothing but commas
		}
		require.Len(t, got, count)
		for i := range want {
			require.Equal(t, want[i], got[i])
		}
	})
}

// jsonText writes a string of JSON that keeps bytes that are not UTF-8.
func jsonText(b *strings.Builder, s string) {
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ':
			fmt.Fprintf(b, `\u%04x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
}
