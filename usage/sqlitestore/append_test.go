package sqlitestore_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/sqlitestore"
)

// Callers that wait for the writer are booked together: while another connection
// holds the lock, batches gather, and one commit books them all.
func TestAppendsAreGrouped(t *testing.T) {
	t.Parallel()
	path := temp(t)
	s := openStore(t, path, &sqlitestore.Options{Busy: 1 << 40})
	book := newBook(t, s)
	mustAppend(t, book, use("first", 0))
	target := use("target", 1)
	mustAppend(t, book, target)
	other := openHandWritten(t, path).db
	tx, err := other.Begin()
	require.NoError(t, err)

	const callers = 40
	results := make([]*usage.Receipt, callers)
	errs := make([]error, callers)
	cancelled, cancel := context.WithCancel(t.Context())
	var wait, begun sync.WaitGroup
	begun.Add(callers)
	for i := range callers {
		wait.Go(func() {
			ctx, opts := t.Context(), usage.AppendOptions{}
			records := uses(fmt.Sprintf("c%d-", i), 10)
			switch i % 8 {
			case 1: // all or nothing, and nothing it is
				changed := use("first", 0)
				changed.Meter = "other"
				records, opts.AllOrNothing = append(records, changed), true
			case 2: // twice the same, and one that is booked already
				records = append(records, records[0], use("first", 0))
			case 3: // one conflict
				changed := use("first", 0)
				changed.Meter = "other"
				records = append(records, changed)
			case 4: // one of these is accepted
				records = []usage.Record{voidOf(fmt.Sprint("void", i), target)}
			case 5:
				ctx = cancelled
			case 6: // the same from all of them
				records = uses("shared-", 10)
			case 7: // all or nothing, all of it
				opts.AllOrNothing = true
			}
			begun.Done()
			results[i], errs[i] = book.AppendBatch(ctx, opts, records...)
		})
	}
	begun.Wait()
	cancel()
	before := commits(t, path)
	require.NoError(t, tx.Rollback())
	wait.Wait()
	// Not all of them need be waiting already when the lock is let go.
	require.Less(t, commits(t, path)-before, callers/2)

	voids, shared, want := 0, 0, 2
	for i := range callers {
		switch i % 8 {
		case 0:
			require.NoError(t, errs[i])
			require.Equal(t, 10, results[i].Inserted)
			want += 10
		case 1:
			require.ErrorIs(t, errs[i], usage.ErrConflict)
			require.Zero(t, results[i].Inserted)
		case 2:
			require.NoError(t, errs[i])
			require.Equal(t, 10, results[i].Inserted)
			require.Equal(t, 2, results[i].Duplicates)
			want += 10
		case 3:
			require.ErrorIs(t, errs[i], usage.ErrConflict)
			require.Equal(t, 10, results[i].Inserted)
			want += 10
		case 4:
			if errs[i] == nil {
				voids++
				want++
			} else {
				require.ErrorIs(t, errs[i], usage.ErrAlreadyCorrected)
			}
		case 5:
			if errs[i] == nil { // it was written before it was cancelled
				require.Equal(t, 10, results[i].Inserted)
				want += 10
			} else {
				require.ErrorIs(t, errs[i], context.Canceled)
			}
		case 6:
			require.NoError(t, errs[i])
			shared += results[i].Inserted
			want += results[i].Inserted
		case 7:
			require.NoError(t, errs[i])
			require.Equal(t, 10, results[i].Inserted)
			want += 10
		}
	}
	require.Equal(t, 1, voids)
	require.Equal(t, 10, shared)
	require.NoError(t, s.Check(t.Context()))
	st, err := s.Checkpoint(t.Context(), usage.AsOf{})
	require.NoError(t, err)
	require.Equal(t, uint64(want), st.Mark.Sequence)
	seen := map[uint64]string{}
	for r, err := range s.Scan(t.Context(), usage.Selection{Scope: usage.AllTenants(), Mark: st.Mark}) {
		require.NoError(t, err)
		seen[r.Sequence] = r.ID
	}
	require.Len(t, seen, want)
	// What the receipts say is what is booked.
	for i := range callers {
		if errs[i] != nil {
			continue
		}
		for k, e := range results[i].Entries {
			if e.Outcome == usage.Inserted && i%8 == 0 {
				require.Equal(t, fmt.Sprintf("c%d-%05d", i, k), seen[e.Sequence])
			}
		}
	}
}

// commits counts the transactions in the log beside the file.
func commits(t *testing.T, path string) (n int) {
	t.Helper()
	data, err := os.ReadFile(path + "-wal")
	require.NoError(t, err)
	const head, frame = 32, 24 + 4096
	for at := head; at+frame <= len(data); at += frame {
		if binary.BigEndian.Uint32(data[at+4:]) != 0 { // the size of the file after a commit
			n++
		}
	}
	return n
}

// A batch longer than a row of the log, and one whose ids come in every form.
func TestLongBatches(t *testing.T) {
	t.Parallel()
	path := temp(t)
	s := openStore(t, path, nil)
	book := newBook(t, s)
	records := uses("long", 9_000)
	for i := range records {
		switch i % 5 {
		case 0:
			records[i].ID = fmt.Sprintf("%08x-0000-4000-8000-%012x", i, i)
		case 1:
			records[i].ID = fmt.Sprintf("%032x", i)
		case 2:
			records[i].ID = fmt.Sprintf("%08X-0000-4000-8000-%012X", i, i)
		case 3:
			records[i].ID = fmt.Sprintf("%x", i|1<<20)
		}
	}
	mustAppend(t, book, records...)
	receipt, err := book.Append(t.Context(), records...)
	require.NoError(t, err)
	require.Equal(t, len(records), receipt.Duplicates)
	require.NoError(t, s.Check(t.Context()))
	for _, after := range []uint64{0, 1, 4095, 4096, 8000, 8999} {
		n := after
		for r, err := range s.Scan(t.Context(), usage.Selection{Scope: usage.AllTenants(), Mark: usage.Mark{Sequence: 9000}, After: after, Order: usage.BySequence}) {
			require.NoError(t, err)
			n++
			require.Equal(t, n, r.Sequence)
			require.Equal(t, records[n-1].ID, r.ID)
		}
		require.Equal(t, uint64(9000), n)
	}
}
