package storetest_test

import (
	"context"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
	"github.com/usagebook/usagebook/usage/storetest"
)

func TestCompareAListWithMemstore(t *testing.T) {
	t.Parallel()
	reopened := 0
	for _, seed := range []uint64{700, 703} {
		storetest.Compare(t, seed, 150,
			storetest.Named{Name: "list", Store: newList()},
			storetest.Named{Name: "memstore", Store: memstore.New(nil), Reopen: func(_ testing.TB, s usage.Store) usage.Store {
				reopened++
				return s
			}})
	}
	require.Positive(t, reopened)
}

func TestCompareFindsWhatDiffers(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]usage.Store{
		"a record is missing from scans": forgetful{newList()},
		"a verdict is another":           partial{newList()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said := storetest.CompareFailures(t, 702, 200,
				storetest.Named{Name: "memstore", Store: memstore.New(nil)},
				storetest.Named{Name: "broken", Store: broken})
			require.Len(t, said, 1)
			require.Contains(t, said[0], "seed 702")
			require.Contains(t, said[0], "broken")
		})
	}
	said := storetest.CompareFailures(t, 1, 1, storetest.Named{Name: "alone", Store: newList()})
	require.Len(t, said, 1)
}

// forgetful leaves the fifth record out of scans by start.
type forgetful struct{ usage.Store }

func (s forgetful) Scan(ctx context.Context, sel usage.Selection) iter.Seq2[*usage.Stored, error] {
	return func(yield func(*usage.Stored, error) bool) {
		n := 0
		for r, err := range s.Store.Scan(ctx, sel) {
			if n++; n == 5 && sel.Order == usage.ByStart {
				continue
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// partial tells of the seventh record that it was billable.
type partial struct{ usage.Store }

func (s partial) Scan(ctx context.Context, sel usage.Selection) iter.Seq2[*usage.Stored, error] {
	return func(yield func(*usage.Stored, error) bool) {
		for r, err := range s.Store.Scan(ctx, sel) {
			if r != nil && r.Sequence == 7 {
				r.Verdict.Billable = !r.Verdict.Billable
			}
			if !yield(r, err) {
				return
			}
		}
	}
}
