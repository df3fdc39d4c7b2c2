package native_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/httpadapter/native"
	"github.com/usagebook/usagebook/usage"
)

// plainRecord is what a handler would decode into that knows its fields: no
// map, and numbers as text, so that no digit is lost.
type plainRecord struct {
	ID     string `json:"id"`
	Source string `json:"source"`
	Tenant string `json:"tenant"`
	Meter  string `json:"meter"`
	Start  time.Time
	End    time.Time
	Values struct {
		Quantity json.Number `json:"quantity"`
		Cost     json.Number `json:"cost"`
	} `json:"values"`
	Dimensions struct {
		Region   string `json:"region"`
		Service  string `json:"service"`
		Resource string `json:"resource"`
		Unit     string `json:"unit"`
	} `json:"dimensions"`
}

// benchRecords are what a gateway would send: 50 tenants, 40 meters, two values
// and four dimensions a record.
func benchRecords(n int) []plainRecord {
	g := rand.New(rand.NewPCG(1, 2))
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	out := make([]plainRecord, n)
	for i := range out {
		r := &out[i]
		at = at.Add(time.Duration(g.IntN(1e9)) * time.Microsecond)
		r.ID, r.Source = fmt.Sprintf("req-%08x-%06d", g.Uint32(), i), fmt.Sprintf("gateway-%d", g.IntN(4))
		r.Tenant, r.Meter = fmt.Sprintf("tenant-%02d", g.IntN(50)), fmt.Sprintf("meter-%02d", g.IntN(40))
		r.Start, r.End = at, at.Add(time.Hour)
		r.Values.Quantity, r.Values.Cost = json.Number(fmt.Sprintf("%d.%06d", g.IntN(1000), g.IntN(1e6))), json.Number(fmt.Sprintf("0.%011d", g.IntN(1e9)))
		d := &r.Dimensions
		d.Region, d.Service, d.Resource, d.Unit = fmt.Sprintf("eu-%d", g.IntN(6)), "object storage", fmt.Sprintf("arn:res:%06d", g.IntN(2000)), "GB"
	}
	return out
}

// benchBody writes the records in a form.
func benchBody(contentType string, records []plainRecord) []byte {
	var b strings.Builder
	if contentType == typeCSV {
		b.WriteString("id,source,tenant,meter,start,end,quantity,values.cost,dimensions.region,dimensions.service,dimensions.resource,dimensions.unit\n")
	}
	for i, r := range records {
		start, end, d := r.Start.Format(time.RFC3339Nano), r.End.Format(time.RFC3339Nano), r.Dimensions
		rest := fmt.Sprintf(`"values":{"quantity":"%s","cost":"%s"},"dimensions":{"region":%q,"service":%q,"resource":%q,"unit":%q}}`,
			r.Values.Quantity, r.Values.Cost, d.Region, d.Service, d.Resource, d.Unit)
		switch contentType {
		case typeCSV:
			fmt.Fprintln(&b, strings.Join([]string{r.ID, r.Source, r.Tenant, r.Meter, start, end, r.Values.Quantity.String(), r.Values.Cost.String(), d.Region, d.Service, d.Resource, d.Unit}, ","))
			continue
		case typeEvents:
			fmt.Fprintf(&b, `{"specversion":"1.0","id":%q,"source":%q,"tenant":%q,"type":%q,"time":%q,"data":{"end":%q,%s}`, r.ID, r.Source, r.Tenant, r.Meter, start, end, rest)
		default:
			fmt.Fprintf(&b, `{"id":%q,"source":%q,"tenant":%q,"meter":%q,"start":%q,"end":%q,%s`, r.ID, r.Source, r.Tenant, r.Meter, start, end, rest)
		}
		switch {
		case contentType == typeNDJSON:
			b.WriteByte('\n')
		case i < len(records)-1:
			b.WriteByte(',')
		}
	}
	if contentType == typeJSON || contentType == typeEvents {
		return []byte("[" + b.String() + "]")
	}
	return []byte(b.String())
}

// BenchmarkDecode200 decodes a batch of 200 records in every form, and in one
// run with what encoding/json takes for it into structs that name their fields.
func BenchmarkDecode200(b *testing.B) {
	plain := benchRecords(200)
	want, err := native.Decode(typeJSON, nil, benchBody(typeJSON, plain), nil)
	require.NoError(b, err)
	for name, contentType := range map[string]string{"json": typeJSON, "ndjson": typeNDJSON, "csv": typeCSV, "events": typeEvents} {
		b.Run(name, func(b *testing.B) {
			body := benchBody(contentType, plain)
			var got []usage.Record
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if got, err = native.Decode(contentType, nil, body, nil); err != nil {
					b.Fatal(err)
				}
			}
			require.Equal(b, want, got)
		})
	}
	body := benchBody(typeJSON, plain)
	b.Run("encoding-json", func(b *testing.B) {
		var got []plainRecord
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			got = nil
			if err := json.Unmarshal(body, &got); err != nil {
				b.Fatal(err)
			}
		}
		require.Equal(b, plain, got)
	})
	// Both take turns, so that what else the machine does hits both alike.
	b.Run("ratio", func(b *testing.B) {
		var own, standard time.Duration
		for b.Loop() {
			begin := time.Now()
			if _, err := native.Decode(typeJSON, nil, body, nil); err != nil {
				b.Fatal(err)
			}
			middle := time.Now()
			var got []plainRecord
			if err := json.Unmarshal(body, &got); err != nil {
				b.Fatal(err)
			}
			own += middle.Sub(begin)
			standard += time.Since(middle)
		}
		b.ReportMetric(float64(standard)/float64(own), "times-as-fast")
	})
}

// A batch takes few pieces of memory, and what is refused takes none for what it
// only claims.
func TestDecodeAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates on its own")
	}
	plain := benchRecords(200)
	for contentType, most := range map[string]float64{typeJSON: 100, typeNDJSON: 9 * 200, typeCSV: 6 * 200, typeEvents: 250} {
		body := benchBody(contentType, plain)
		got := testing.AllocsPerRun(10, func() {
			records, err := native.Decode(contentType, nil, body, nil)
			if err != nil || len(records) != 200 {
				t.Error(err)
			}
		})
		require.LessOrEqual(t, got, most, contentType)
	}
}

func BenchmarkAppendOutcomes200(b *testing.B) {
	receipt := &usage.Receipt{Inserted: 200, Entries: make([]usage.ReceiptEntry, 200)}
	for i := range receipt.Entries {
		receipt.Entries[i].Outcome = usage.Inserted
	}
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = native.AppendOutcomes(out[:0], receipt)
	}
	b.SetBytes(int64(len(out)))
	require.True(b, json.Valid(out))
}

// BenchmarkWriteOutcomes10000 writes what is said of a large batch that is refused.
func BenchmarkWriteOutcomes10000(b *testing.B) {
	receipt := &usage.Receipt{Rejected: 10_000, Entries: make([]usage.ReceiptEntry, 10_000)}
	for i := range receipt.Entries {
		receipt.Entries[i] = usage.ReceiptEntry{Outcome: usage.Rejected, Violations: []usage.Violation{{Code: usage.CodeRequired, Field: "start", Message: "is required"}}}
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(native.AppendOutcomes(nil, receipt))))
	for b.Loop() {
		if err := native.WriteOutcomes(io.Discard, receipt); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWriteRows1000(b *testing.B) {
	groups := &usage.Page{Columns: []usage.Column{{Name: "region"}, {Name: "service"}, {Name: "quantity", Measure: &usage.Measure{}}, {Name: "n", Measure: &usage.Measure{}}}}
	records := &usage.Page{}
	plain, err := native.Decode(typeJSON, nil, benchBody(typeJSON, benchRecords(1000)), nil)
	require.NoError(b, err)
	for i := range plain {
		at := time.Date(2026, 3, 1, i, 0, 0, 0, time.UTC)
		groups.Rows = append(groups.Rows, usage.Row{Start: at, End: at.Add(time.Hour), Cells: []filter.Value{filter.String("eu-west-1"), filter.String("object storage"), filter.Number(int64(i)*12345, 4), filter.Number(int64(i), 0)}})
		records.Rows = append(records.Rows, usage.Row{Record: &usage.Stored{Record: plain[i], Sequence: uint64(i + 1), Recorded: at}})
	}
	for name, page := range map[string]*usage.Page{"groups": groups, "records": records} {
		b.Run(name, func(b *testing.B) {
			var size strings.Builder
			require.NoError(b, native.WriteRows(&size, page, nil))
			require.True(b, json.Valid([]byte(size.String())))
			b.SetBytes(int64(size.Len()))
			b.ReportAllocs()
			for b.Loop() {
				if err := native.WriteRows(io.Discard, page, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What is hostile costs no more than what is long.
func BenchmarkDecodeHostile(b *testing.B) {
	const n = 1 << 20
	for name, c := range map[string]struct{ contentType, body string }{
		"csv quotes":  {typeCSV, "id\n" + strings.Repeat("\"x\n", 9_000) + "\"" + strings.Repeat("x,\"\"\n", n/8)},
		"csv commas":  {typeCSV, "id\n" + strings.Repeat(",", n)},
		"event names": {typeEvents, `[{` + strings.Repeat(`"badName":1,`, n/16) + `"id":"1"}]`},
		"event depth": {typeEvents, `[{"data":` + strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000) + `}]`},
		"lines":       {typeNDJSON, strings.Repeat("{\n", 9_000)},
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(c.body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := native.Decode(c.contentType, nil, []byte(c.body), &native.DecodeOptions{Records: 1 << 20}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
