package memstore_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

// Everything at once: what a reader sees as of a mark must add up whatever goes
// on beside it. Every record has the quantity 1 and every one that is corrected
// is corrected by a void, so the plain ones can be counted in three ways.
func TestAllAtOnce(t *testing.T) {
	t.Parallel()
	const writers, batches = 3, 60
	s := memstore.NewSegments(6)
	book, err := usage.New(s, nil)
	require.NoError(t, err)
	ctx := t.Context()
	var booked atomic.Int64
	var writing, reading sync.WaitGroup
	done := make(chan struct{})
	fail := func(format string, args ...any) { t.Errorf(format, args...) }

	for w := range writers {
		writing.Go(func() {
			for b := range batches {
				var records []usage.Record
				for i := range 7 {
					records = append(records, usage.Record{
						Tenant: fmt.Sprint("t", i%3), Source: fmt.Sprint("w", w), ID: fmt.Sprint(b, "/", i), Meter: fmt.Sprint("m", b%5),
						Start: clockStart.Add(time.Duration(b*i) * time.Minute), Values: usage.Quantity(decimal.New(1, 0)),
						Dimensions: usage.NewDimensions(usage.Dimension{Name: "host", Value: fmt.Sprint(b % 11)}),
					})
				}
				// All writers void the same records; one of them wins.
				shared := usage.Record{Tenant: "t0", Source: "shared", ID: fmt.Sprint(b), Meter: "m0", Start: clockStart, Values: usage.Quantity(decimal.New(1, 0))}
				records = append(records, shared)
				receipt, err := book.Append(ctx, records...)
				if err != nil {
					fail("append: %v", err)
					return
				}
				booked.Add(int64(receipt.Inserted))
				receipt, err = book.Void(ctx, shared.Identity(), fmt.Sprint("void", w), fmt.Sprint(b))
				if err != nil && !errors.Is(err, usage.ErrAlreadyCorrected) {
					fail("void: %v", err)
				}
				booked.Add(int64(receipt.Inserted))
			}
		})
	}
	read := func(f func(st usage.State) error) {
		reading.Go(func() {
			for last := false; ; {
				select {
				case <-done:
					last = true
				default:
				}
				st, err := s.Checkpoint(ctx, usage.AsOf{})
				if err == nil {
					err = f(st)
				}
				if err != nil {
					fail("%v", err)
					return
				}
				if last {
					return
				}
			}
		})
	}
	plain := func(order usage.ScanOrder) func(usage.State) error {
		return func(st usage.State) error {
			var sequences, plain, chained uint64
			for r, err := range s.Scan(ctx, usage.Selection{Scope: usage.AllTenants(), Mark: st.Mark, Order: order}) {
				if err != nil {
					return err
				}
				sequences += r.Sequence
				if r.Corrects == nil && r.CorrectedBy == nil {
					plain++
				} else {
					chained++
				}
			}
			n := st.Mark.Sequence
			if sequences != n*(n+1)/2 || plain+chained != n {
				return fmt.Errorf("as of %d there are %d plain and %d chained records", n, plain, chained)
			}
			var grouped int64
			for row, err := range s.Group(ctx, usage.GroupRead{
				Selection: usage.Selection{Scope: usage.AllTenants(), Mark: st.Mark, Class: usage.Plain}, Window: aggregate.Window{Unit: aggregate.Hour},
				Group: func(s *usage.Series, _ usage.VerdictClass) int { return len(s.Meter) }, Values: []string{usage.QuantityName},
			}) {
				if err != nil {
					return err
				}
				grouped += row.Records
				if sum, err := row.Values[0].Sum.Number(); err != nil || sum != aggregate.Int(row.Records) {
					return fmt.Errorf("%d records add up to %s", row.Records, sum)
				}
			}
			if uint64(grouped) != plain {
				return fmt.Errorf("as of %d there are %d plain records, and %d in groups", n, plain, grouped)
			}
			return nil
		}
	}
	read(plain(usage.BySequence))
	read(plain(usage.ByStart))
	read(func(st usage.State) error {
		if st.Mark.Sequence <= st.Latest {
			return nil
		}
		row := &usage.Rollup{RollupKey: usage.RollupKey{Projection: "p", Level: aggregate.Hour, Tenant: "t0", Meter: "m0"}, Records: int64(st.Mark.Sequence)}
		return s.Commit(ctx, &usage.Commit{From: st.Latest, To: st.Mark.Sequence, Put: []*usage.Rollup{row}, Now: clockStart.Add(time.Duration(st.Mark.Sequence) * time.Second), Hold: 20 * time.Second})
	})
	read(func(st usage.State) error {
		if st.Checkpoint == 0 {
			return nil
		}
		for row, err := range s.ScanRollups(ctx, usage.RollupSelection{Scope: usage.AllTenants(), Checkpoint: st.Checkpoint, Projection: "p", Level: aggregate.Hour}) {
			if errors.Is(err, usage.ErrHeld) {
				return nil
			}
			if err != nil {
				return err
			}
			if uint64(row.Records) != st.Checkpoint {
				return fmt.Errorf("the row of checkpoint %d is that of %d", st.Checkpoint, row.Records)
			}
		}
		return nil
	})
	writing.Wait()
	close(done)
	reading.Wait()
	// 7 records of each batch of each writer, and one shared with its void.
	require.EqualValues(t, writers*batches*7+2*batches, booked.Load())
}

// A consumer that stops leaves no goroutine behind, and neither does one whose
// context ends.
func TestGroupStopped(t *testing.T) {
	s := memstore.NewSegments(5)
	book, err := usage.New(s, nil)
	require.NoError(t, err)
	for b := range 40 {
		var records []usage.Record
		for i := range 100 {
			records = append(records, usage.Record{Tenant: fmt.Sprint("t", i), Source: "s", ID: fmt.Sprint(b, "/", i), Meter: "m", Start: clockStart.Add(time.Duration(b*100+i) * time.Hour), Values: usage.Quantity(decimal.New(1, 0))})
		}
		_, err := book.Append(t.Context(), records...)
		require.NoError(t, err)
	}
	groups := map[string]int{}
	read := usage.GroupRead{
		Selection: usage.Selection{Scope: usage.AllTenants(), Mark: usage.Mark{Sequence: 4000}, Class: usage.Plain},
		Window:    aggregate.Window{Unit: aggregate.Hour}, Values: []string{usage.QuantityName},
		Group: func(s *usage.Series, _ usage.VerdictClass) int {
			if _, ok := groups[s.Tenant]; !ok {
				groups[s.Tenant] = len(groups)
			}
			return groups[s.Tenant]
		},
	}
	before := runtime.NumGoroutine()
	for stop := range 12 {
		n := 0
		for _, err := range s.Group(t.Context(), read) {
			require.NoError(t, err)
			if n++; n > stop*100 {
				break
			}
		}
		require.Equal(t, stop*100+1, n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	n := int64(0)
	for row, err := range s.Group(ctx, read) {
		if err != nil {
			last = err
			continue
		}
		require.NoError(t, last, "a row after an error")
		n += row.Records
		cancel()
	}
	require.ErrorIs(t, last, context.Canceled)
	require.Less(t, n, int64(4000))
	all := int64(0)
	for row, err := range s.Group(t.Context(), read) {
		require.NoError(t, err)
		all += row.Records
	}
	require.EqualValues(t, 4000, all)
	// One that has said that it is done may still be on its way out.
	for range 1_000_000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		runtime.Gosched()
	}
	t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

// One meter of very many, in segments where most runs are of others.
func TestOneOfManyPairs(t *testing.T) {
	t.Parallel()
	s := memstore.NewSegments(9)
	book, err := usage.New(s, nil)
	require.NoError(t, err)
	for b := range 20 {
		var records []usage.Record
		for i := range 100 {
			records = append(records, usage.Record{Tenant: fmt.Sprint("t", i%5), Source: "s", ID: fmt.Sprint(b, "/", i), Meter: fmt.Sprint("m", i), Start: clockStart.Add(time.Duration(b) * time.Hour), Values: usage.Quantity(decimal.New(int64(b), 0))})
		}
		_, err := book.Append(t.Context(), records...)
		require.NoError(t, err)
	}
	sel := usage.Selection{Scope: usage.AllTenants(), Mark: usage.Mark{Sequence: 2000}, Meters: []string{"m17", "m99"}, From: clockStart.Add(5 * time.Hour), To: clockStart.Add(15 * time.Hour), Class: usage.Plain}
	n := 0
	for r, err := range s.Scan(t.Context(), sel) {
		require.NoError(t, err)
		require.Contains(t, sel.Meters, r.Meter)
		n++
	}
	require.Equal(t, 20, n)
	var sum aggregate.Sum
	for row, err := range s.Group(t.Context(), usage.GroupRead{Selection: sel, Values: []string{usage.QuantityName}, Group: func(*usage.Series, usage.VerdictClass) int { return 0 }}) {
		require.NoError(t, err)
		sum.Merge(&row.Values[0].Sum)
	}
	require.Equal(t, "190", sum.String())
}
