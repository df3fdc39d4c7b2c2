package usage_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
)

// structRecord is what a program without this package would decode into: numbers
// as text, so that no digit is lost, and nothing checked.
type structRecord struct {
	ID         string                 `json:"id"`
	Source     string                 `json:"source"`
	Tenant     string                 `json:"tenant"`
	Meter      string                 `json:"meter"`
	Start      time.Time              `json:"start"`
	End        time.Time              `json:"end"`
	Values     map[string]json.Number `json:"values"`
	Dimensions map[string]string      `json:"dimensions"`
}

// jsonBatch writes a batch as a gateway would: 50 tenants, 40 meters, two
// values and four dimensions a record.
func jsonBatch(n int) []byte {
	g := rand.New(rand.NewPCG(1, 2))
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	b := []byte{'['}
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		at = at.Add(time.Duration(g.IntN(1e9)) * time.Microsecond)
		b = fmt.Appendf(b, `{"id":"req-%08x-%06d","source":"gateway-%d","tenant":"tenant-%02d","meter":"meter-%02d","start":%q,"end":%q,`+
			`"values":{"quantity":"%d.%06d","cost":"0.%011d"},"dimensions":{"region":"eu-%d","service":"object storage","resource":"arn:res:%06d","unit":"GB"}}`,
			g.Uint32(), i, g.IntN(4), g.IntN(50), g.IntN(40), at.Format(time.RFC3339Nano), at.Add(time.Hour).Format(time.RFC3339Nano),
			g.IntN(1000), g.IntN(1e6), g.IntN(1e9), g.IntN(6), g.IntN(2000))
	}
	return append(b, ']')
}

// structRecords decodes the way to compare with, and makes records of it.
func structRecords(tb testing.TB, plain []structRecord) []usage.Record {
	out := make([]usage.Record, len(plain))
	for i, p := range plain {
		var values []usage.Value
		for name, text := range p.Values {
			n, err := aggregate.ParseNumber(text.String())
			require.NoError(tb, err)
			values = append(values, usage.Value{Name: name, Number: n})
		}
		out[i] = usage.Record{ID: p.ID, Source: p.Source, Tenant: p.Tenant, Meter: p.Meter, Start: p.Start, End: p.End,
			Values: usage.NewValues(values...), Dimensions: usage.DimensionsOf(p.Dimensions)}
	}
	return out
}

func BenchmarkDecodeRecords200(b *testing.B) {
	text := jsonBatch(200)
	var own []usage.Record
	var plain []structRecord
	b.Run("book", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			var err error
			if own, err = usage.DecodeRecords(text, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			plain = nil
			if err := json.Unmarshal(text, &plain); err != nil {
				b.Fatal(err)
			}
		}
	})
	if len(own) == 0 || len(plain) == 0 {
		return // one of the two was not asked for
	}
	require.Len(b, own, 200)
	for i, want := range structRecords(b, plain) {
		requireSame(b, &want, &own[i], want.ID)
	}
}

func BenchmarkDecodeRecord(b *testing.B) {
	text := jsonBatch(1)
	text = text[1 : len(text)-1]
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := usage.DecodeRecord(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendRecordJSON(b *testing.B) {
	list, err := usage.DecodeRecords(jsonBatch(1), nil)
	require.NoError(b, err)
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		if out, err = list[0].AppendJSON(out[:0]); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(out)))
}

// What is hostile costs no more than what is long.
func BenchmarkDecodeHostile(b *testing.B) {
	deep := make([]byte, 0, 3<<20)
	deep = append(deep, `[{"dimensions":{"a":`...)
	for range 1 << 20 {
		deep = append(deep, '[')
	}
	for range 1 << 20 {
		deep = append(deep, ']')
	}
	deep = append(deep, `}}]`...)
	keys := []byte(`[{"a":1`)
	for range 1 << 18 {
		keys = append(keys, `,"a":1`...)
	}
	keys = append(keys, `}]`...)
	digits := []byte(`[{"quantity":1`)
	for range 1 << 20 {
		digits = append(digits, '9')
	}
	digits = append(digits, `}]`...)
	for name, text := range map[string][]byte{"deep": deep, "keys": keys, "digits": digits} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := usage.DecodeRecords(text, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
