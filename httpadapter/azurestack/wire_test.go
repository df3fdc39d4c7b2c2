package azurestack

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
)

// What is written in short cuts is what the general way writes.
func FuzzRow(f *testing.F) {
	f.Add("sub1", "meterID1", "resourceUri1", `{"a":"b"}`, "12345678")
	f.Add("\"", "\\", "a \u2028 <&>", "{not json", "1234567\x1f")
	f.Add("\x7f\x80", "ÿ", strings.Repeat("x", 16)+"é", `"\u0000"`, " \t\n")
	f.Fuzz(func(t *testing.T, subscription, meter, resource, tag, info string) {
		r := row{start: 1_772_409_600_000_000, sum: decimal.New(24, -1)}
		for i, s := range map[int]string{subscriptionID: subscription, meterID: meter, resourceURI: resource, tags: tag, additionalInfo: info} {
			r.fields[i] = text{strings.ToValidUTF8(s, "?"), true}
			require.Equal(t, string(httpadapter.AppendString(nil, s)), `"`+string(appendInner(nil, s))+`"`)
		}
		e := encoder{namespace: commerce, bucket: 24 * time.Hour}
		_ = e.row(nil, &row{start: 7}) // what a row before it leaves behind changes nothing
		var got struct {
			ID, Name, Type string
			Properties     struct {
				SubscriptionID, UsageStartTime, UsageEndTime, InstanceData, MeterID string
				Quantity                                                            json.Number
			}
		}
		require.NoError(t, json.Unmarshal(e.row(nil, &r), &got))
		s, m := r.fields[subscriptionID].s, r.fields[meterID].s
		require.Equal(t, s+"-"+m, got.Name)
		require.Equal(t, "/subscriptions/"+s+"/providers/Microsoft.Commerce/UsageAggregate/"+got.Name, got.ID)
		require.Equal(t, []string{s, m, "2026-03-02T00:00:00+00:00", "2026-03-03T00:00:00+00:00"},
			[]string{got.Properties.SubscriptionID, got.Properties.MeterID, got.Properties.UsageStartTime, got.Properties.UsageEndTime})
		require.Equal(t, json.Number("2.4000000000"), got.Properties.Quantity)
		var data struct {
			Resources struct {
				ResourceURI          string
				Location             *string
				Tags, AdditionalInfo json.RawMessage
			} `json:"Microsoft.Resources"`
		}
		require.NoError(t, json.Unmarshal([]byte(got.Properties.InstanceData), &data))
		require.Equal(t, r.fields[resourceURI].s, data.Resources.ResourceURI)
		require.Nil(t, data.Resources.Location)
		for i, raw := range map[int]json.RawMessage{tags: data.Resources.Tags, additionalInfo: data.Resources.AdditionalInfo} {
			want := r.fields[i].s
			if json.Valid([]byte(want)) {
				require.Equal(t, strings.TrimSpace(want), string(raw))
				continue
			}
			var text string
			require.NoError(t, json.Unmarshal(raw, &text))
			require.Equal(t, want, text)
		}
	})
}

func TestPlain(t *testing.T) {
	t.Parallel()
	for c := range 256 {
		for at := range 17 {
			s := []byte(strings.Repeat("a", 17))
			s[at] = byte(c)
			require.Equal(t, c >= ' ' && c < 0x80 && c != '"' && c != '\\', plain(string(s)), "%d at %d", c, at)
		}
	}
}
