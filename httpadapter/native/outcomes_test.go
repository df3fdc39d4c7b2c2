package native_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter/native"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// answer is what a client makes of the text.
type answer struct {
	Inserted, Duplicates, Conflicts, Rejected int
	Withheld                                  *int
	Outcomes                                  []struct {
		Index      int
		Outcome    string
		Violations []struct{ Code, Field, Message string }
	}
}

func TestAppendOutcomes(t *testing.T) {
	t.Parallel()
	book, err := usage.New(memstore.New(nil), &usage.Options{Now: usagetest.NewClock(usagetest.Epoch()).Now})
	require.NoError(t, err)
	decode := func(text string) []usage.Record {
		list, err := native.Decode(typeJSON, nil, []byte(text), nil)
		require.NoError(t, err)
		return list
	}
	other := strings.Replace(sound, "1.5", "2", 1)
	bad := `{"id":"<8>","source":"gateway","tenant":"acme","start":"to\u0001day \"<&>\"","x\u2028\n":1}`

	var b strings.Builder
	show := func(name string, all bool, text string) {
		records := decode(text)
		receipt, _ := book.AppendBatch(t.Context(), usage.AppendOptions{AllOrNothing: all}, records...)
		require.NotNil(t, receipt)
		out := native.AppendOutcomes([]byte("x"), receipt)
		require.Equal(t, byte('x'), out[0])
		fmt.Fprintf(&b, "== %s\n%s\n\n", name, out[1:])

		var got answer
		dec := json.NewDecoder(strings.NewReader(string(out[1:])))
		dec.DisallowUnknownFields()
		require.NoError(t, dec.Decode(&got))
		require.Equal(t, []int{receipt.Inserted, receipt.Duplicates, receipt.Conflicts, receipt.Rejected}, []int{got.Inserted, got.Duplicates, got.Conflicts, got.Rejected})
		require.Equal(t, receipt.Withheld > 0, got.Withheld != nil)
		require.Len(t, got.Outcomes, len(records))
		for i, o := range got.Outcomes {
			want := receipt.Entries[i]
			require.Equal(t, i, o.Index)
			require.Equal(t, want.Outcome.String(), o.Outcome)
			require.Len(t, o.Violations, len(want.Violations))
			for k, v := range o.Violations {
				require.Equal(t, []string{want.Violations[k].Code, want.Violations[k].Field, want.Violations[k].Message}, []string{v.Code, v.Field, v.Message})
			}
		}
	}
	show("no records", false, "[]")
	show("all or nothing", true, "["+sound+","+bad+"]")
	show("every outcome", false, "["+sound+","+sound+","+other+","+bad+",5]")
	show("again", false, "["+sound+"]")
	textFile(t, "outcomes.golden", b.String())

	require.Equal(t, `{"inserted":0,"duplicates":0,"conflicts":0,"rejected":0,"outcomes":[]}`, string(native.AppendOutcomes(nil, nil)))
	broken := native.AppendOutcomes(nil, &usage.Receipt{Entries: []usage.ReceiptEntry{{Outcome: usage.Rejected, Violations: []usage.Violation{{Field: "a\xff", Message: "\xc3("}}}}})
	require.True(t, json.Valid(broken))
	require.Contains(t, string(broken), `"field":"a`+"\ufffd"+`"`)
}
