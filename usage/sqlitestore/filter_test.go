package sqlitestore_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/usage"
)

// What is left out because of the filter is only what the filter does not match,
// and it is left out where the file can decide it.
func TestFilterIsPushedDown(t *testing.T) {
	t.Parallel()
	s := openStore(t, temp(t), nil)
	sample(t, s)
	schema, err := filter.NewSchema(
		filter.Field{Name: "id", Type: filter.TypeString, NotNull: true}, filter.Field{Name: "source", Type: filter.TypeString, NotNull: true},
		filter.Field{Name: "start", Type: filter.TypeTime, NotNull: true}, filter.Field{Name: "recorded", Type: filter.TypeTime, NotNull: true},
		filter.Field{Name: "sequence", Type: filter.TypeDecimal, NotNull: true}, filter.Field{Name: "region", Type: filter.TypeString})
	require.NoError(t, err)
	st, err := s.Checkpoint(t.Context(), usage.AsOf{})
	require.NoError(t, err)
	scan := func(sel usage.Selection) (ids []string, all []*usage.Stored) {
		for r, err := range s.Scan(t.Context(), sel) {
			require.NoError(t, err)
			ids, all = append(ids, r.ID), append(all, r)
		}
		return ids, all
	}
	_, all := scan(usage.Selection{Scope: usage.AllTenants(), Mark: st.Mark})
	recorded := all[400].Recorded.Format("2006-01-02T15:04:05.000000Z")
	for _, c := range []struct {
		filter string
		// all: everything that does not match is left out.
		all bool
	}{
		{"sequence gt 100 and sequence le 110", true},
		{"sequence eq 5 or sequence eq 700", true},
		{"sequence gt 100.5", true},
		{"sequence lt 0", true},
		{"sequence gt -9223372036854775808", true},
		{"sequence ge -9223372036854775808 and sequence le 9223372036854775807", true},
		{"sequence lt 9223372036854775808", true},
		{"start ge 2026-03-02T10:00:00Z and start lt 2026-03-02T10:30:00Z", true},
		{"start eq 2026-03-02T10:00:00Z or sequence lt 10", true},
		{"start gt 2026-03-02T10:00:00.0000001Z", true},
		{"recorded ge " + recorded, true},
		{"recorded lt " + recorded, false},
		{"recorded eq " + recorded, false},
		{"id eq 'r00007'", true},
		{"id in ('r00007','v1','none') and source eq 'desk'", true},
		{"id eq 'r00007' and start gt 2027-01-01T00:00:00Z", false},
		{"region eq 'region-1' and sequence lt 50", false},
		{"not (sequence gt 20)", true},
		{"region eq 'region-1' or sequence lt 50", false},
	} {
		t.Run(c.filter, func(t *testing.T) {
			t.Parallel()
			expr, err := filter.Parse(c.filter, nil)
			require.NoError(t, err)
			checked, err := filter.Check(expr, schema)
			require.NoError(t, err)
			program := checked.Compile()
			for _, scope := range []usage.Scope{usage.ForTenant("tenant-1"), usage.ForTenants("tenant-0", "tenant-1", "tenant-2", "tenant-9"), usage.AllTenants()} {
				for _, order := range []usage.ScanOrder{usage.Unordered, usage.ByStart, usage.BySequence} {
					sel := usage.Selection{Scope: scope, Mark: st.Mark, Order: order}
					_, unfiltered := scan(sel)
					var want []string
					for _, r := range unfiltered {
						if ok, err := program.Match(fieldsOf{checked, r}); err == nil && ok {
							want = append(want, r.ID)
						}
					}
					sel.Filter = checked
					_, got := scan(sel)
					var matching []string
					for _, r := range got {
						if ok, err := program.Match(fieldsOf{checked, r}); err == nil && ok {
							matching = append(matching, r.ID)
						}
					}
					if order == usage.Unordered {
						require.ElementsMatch(t, want, matching)
					} else {
						require.Equal(t, want, matching)
					}
					if _, every := scope.Tenants(); c.all && order == usage.ByStart && !every {
						extra := 0
						for _, r := range got {
							if r.Corrects == nil { // voids have no start and come along
								extra++
							}
						}
						require.LessOrEqual(t, extra, len(want), "%d of %d", len(got), len(unfiltered))
					}
				}
			}
		})
	}
}

// fieldsOf gives a record to a filter.
type fieldsOf struct {
	of *filter.Checked
	r  *usage.Stored
}

func (f fieldsOf) Value(slot int) filter.Value {
	switch name := f.of.Fields()[slot].Name; name {
	case "id":
		return filter.String(f.r.ID)
	case "source":
		return filter.String(f.r.Source)
	case "start":
		return filter.Time(f.r.Start)
	case "recorded":
		return filter.Time(f.r.Recorded)
	case "sequence":
		return filter.Number(int64(f.r.Sequence), 0)
	case "region":
		if v, ok := f.r.Dimensions.Get("region"); ok {
			return filter.String(v)
		}
		return filter.Null()
	default:
		panic(fmt.Sprintf("field %q", name))
	}
}
