package sqlitestore_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/sqlitestore"
)

var epoch = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

func openStore(t testing.TB, path string, opts *sqlitestore.Options) *sqlitestore.Store {
	t.Helper()
	s, err := sqlitestore.Open(t.Context(), path, opts)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func newBook(t testing.TB, s usage.Store) *usage.Book {
	t.Helper()
	book, err := usage.New(s, nil)
	require.NoError(t, err)
	return book
}

// use returns a record of one of three tenants and five meters.
func use(id string, minute int) usage.Record {
	return usage.Record{
		Tenant: fmt.Sprintf("tenant-%d", minute%3), Source: "s", ID: id, Meter: fmt.Sprintf("meter-%d", minute%5),
		Start:  epoch.Add(time.Duration(minute) * time.Minute),
		Values: usage.Values{}.WithNumber(usage.QuantityName, aggregate.Fixed(int64(minute)*7+1, 2)),
		Dimensions: usage.NewDimensions(
			usage.Dimension{Name: "region", Value: fmt.Sprintf("region-%d", minute%4)}),
	}
}

func uses(prefix string, n int) []usage.Record {
	out := make([]usage.Record, n)
	for i := range out {
		out[i] = use(fmt.Sprintf("%s%05d", prefix, i), i)
	}
	return out
}

func voidOf(id string, target usage.Record) usage.Record {
	return usage.Record{Tenant: target.Tenant, Source: "desk", ID: id, Corrects: &usage.Correction{Kind: usage.Void, Source: target.Source, ID: target.ID}}
}

func mustAppend(t testing.TB, book *usage.Book, records ...usage.Record) {
	t.Helper()
	receipt, err := book.Append(t.Context(), records...)
	require.NoError(t, err)
	require.Equal(t, len(records), receipt.Inserted)
}

func mustRoll(t testing.TB, book *usage.Book) {
	t.Helper()
	for {
		did, err := book.Roll(t.Context())
		require.NoError(t, err)
		if !did {
			return
		}
	}
}

// everything returns all that a store tells about its book, as text.
func everything(t testing.TB, s *sqlitestore.Store) (string, error) {
	t.Helper()
	var b strings.Builder
	st, err := s.Checkpoint(t.Context(), usage.AsOf{})
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "%+v\n", st)
	for _, order := range []usage.ScanOrder{usage.BySequence, usage.ByStart, usage.Unordered} {
		n := 0
		for r, err := range s.Scan(t.Context(), usage.Selection{Scope: usage.AllTenants(), Mark: st.Mark, Order: order}) {
			if err != nil {
				return "", err
			}
			n++
			if order != usage.Unordered {
				fmt.Fprintf(&b, "%d %s %v %v %s %s %v %v %v\n", r.Sequence, r.Recorded, r.Identity(), r.Meter, r.Start, r.End, r.Values, r.Dimensions, r.Verdict)
				if r.Corrects != nil {
					fmt.Fprintf(&b, "corrects %v\n", *r.Corrects)
				}
				if r.CorrectedBy != nil {
					fmt.Fprintf(&b, "corrected by %v\n", *r.CorrectedBy)
				}
			}
		}
		fmt.Fprintln(&b, n)
	}
	book := newBook(t, s)
	for _, q := range []usage.Query{
		{GroupBy: []string{"tenant", "meter"}, Window: aggregate.Window{Unit: aggregate.Day}},
		{GroupBy: []string{"region"}},
		{GroupBy: []string{"tenant"}, Window: aggregate.Window{Unit: aggregate.Hour}, Filter: "region eq 'region-1'"},
	} {
		q.PageSize = 10_000
		q.Measures = []usage.Measure{{Of: usage.QuantityName}, {Of: "cost"}, {Aggregation: usage.Count}, {Of: usage.QuantityName, Aggregation: usage.Max}}
		page, err := book.Query(t.Context(), usage.AllTenants(), q)
		if err != nil {
			return "", err
		}
		for i := range page.Rows {
			r := &page.Rows[i]
			fmt.Fprint(&b, r.Start, r.End)
			for _, cell := range r.Cells {
				fmt.Fprint(&b, " ", cell.String())
			}
			fmt.Fprintln(&b)
		}
	}
	for _, kind := range []string{"job", "execution"} {
		list, err := s.Tasks(t.Context(), usage.TaskSelection{Kind: kind, Owner: "owner"})
		if err != nil {
			return "", err
		}
		for _, head := range list {
			task, err := s.Task(t.Context(), head.Kind, head.ID)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&b, "%+v\n", *task)
		}
	}
	return b.String(), nil
}

// sample fills a book with something of everything.
func sample(t testing.TB, s *sqlitestore.Store) {
	t.Helper()
	book, err := usage.New(s, &usage.Options{RollBatch: 300})
	require.NoError(t, err)
	records := uses("r", 700)
	for at := 0; at < len(records); at += 100 {
		mustAppend(t, book, records[at:at+100]...)
	}
	mustRoll(t, book)
	mustAppend(t, book, voidOf("v1", records[3]), voidOf("v2", records[50]))
	mustAppend(t, book, voidOf("v3", voidOf("v1", records[3])))
	wide := use("wide", 5)
	wide.Values = wide.Values.WithNumber("cost", number("12345678901234567890123456789.0123456789"))
	wide.End = wide.Start.Add(time.Hour)
	mustAppend(t, book, wide)
	mustRoll(t, book)
	mustAppend(t, book, uses("tail", 40)...)
	for i := range 5 {
		task := &usage.Task{Kind: "job", ID: fmt.Sprint("id", i), Owner: "owner", Created: epoch, Due: epoch.Add(time.Duration(i) * time.Hour), Head: []byte("head"), Body: []byte(strings.Repeat("body", 10+i))}
		if i%2 == 0 {
			task.Key, task.Expires = fmt.Sprint("key", i), epoch.AddDate(1, 0, 0)
		}
		require.NoError(t, s.PutTask(t.Context(), task))
	}
	_, err = s.Checkpoint(t.Context(), usage.AsOf{Time: time.Now()})
	require.NoError(t, err)
}

func number(s string) aggregate.Number {
	n, err := aggregate.ParseNumber(s)
	if err != nil {
		panic(err)
	}
	return n
}

func temp(t testing.TB) string { return filepath.Join(t.TempDir(), "usage.db") }
