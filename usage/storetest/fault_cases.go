package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"

	"github.com/usagebook/usagebook/paginate"
	"github.com/usagebook/usagebook/usage"
)

var faultCases = []aCase{
	{
		name:     "F1_failing_before_the_write",
		rule:     "ErrUnavailable may mean that nothing happened: the same records are sent again and are booked once.",
		workload: true,
		run:      func(k *kit) { k.failing(false) },
	},
	{
		name:     "F2_failing_after_the_write",
		rule:     "ErrUnavailable may mean that it happened: the same records are sent again, are Duplicates, and count once.",
		workload: true,
		run:      func(k *kit) { k.failing(true) },
	},
	{
		name:     "F3_failing_reads",
		rule:     "A read that fails is an error and never a shorter answer; the next one is whole again.",
		workload: true,
		run:      failingReads,
	},
	{
		name:     "F4_failing_commits",
		rule:     "A commit that fails, before or after it happened, leaves rollups that are right, and rolling goes on from there.",
		workload: true,
		run:      failingCommits,
	},
	{
		name:     "F5_hidden_powers",
		rule:     "A wrapper that hides the optional interfaces of a store may make it slower and changes no answer, not even in the middle of its pages.",
		workload: true,
		run:      hiddenPowers,
	},
}

// faulty fails every so often, before or after the call went through. It embeds
// the interface, so that the powers of the store behind it are hidden.
type faulty struct {
	usage.Store
	after bool
	every int64 // 0: never
	calls atomic.Int64
}

var errLine = errors.New("the line was cut")

func (s *faulty) fails() error {
	if n := s.calls.Add(1); s.every > 0 && n%s.every == 0 {
		return fmt.Errorf("%w: %w", usage.ErrUnavailable, errLine)
	}
	return nil
}

func (s *faulty) Append(ctx context.Context, b *usage.Batch) ([]usage.ReceiptEntry, error) {
	err := s.fails()
	if err != nil && !s.after {
		return nil, err
	}
	out, own := s.Store.Append(ctx, b)
	if own != nil {
		return out, own
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *faulty) Commit(ctx context.Context, c *usage.Commit) error {
	err := s.fails()
	if err != nil && !s.after {
		return err
	}
	if own := s.Store.Commit(ctx, c); own != nil {
		return own
	}
	return err
}

func (s *faulty) Scan(ctx context.Context, sel usage.Selection) iter.Seq2[*usage.Stored, error] {
	return cut(s.fails(), s.Store.Scan(ctx, sel))
}

func (s *faulty) ScanRollups(ctx context.Context, sel usage.RollupSelection) iter.Seq2[*usage.Rollup, error] {
	return cut(s.fails(), s.Store.ScanRollups(ctx, sel))
}

// cut ends a sequence with an error after its first item, where there is an
// error.
func cut[T any](err error, all iter.Seq2[T, error]) iter.Seq2[T, error] {
	if err == nil {
		return all
	}
	return func(yield func(T, error) bool) {
		for item, own := range all {
			if own != nil || !yield(item, nil) {
				return
			}
			break
		}
		var none T
		yield(none, err)
	}
}

func (k *kit) failing(after bool) {
	k.Helper()
	b := k.open(nil)
	s := &faulty{Store: b.store, after: after, every: 2}
	b.store = s
	b.book = b.newBook(nil)
	want := int64(0)
	for i := range 20 {
		records := uses(fmt.Sprintf("b%d-", i), 5)
		want += 5
		var receipt *usage.Receipt
		failed := false
		for {
			var err error
			if receipt, err = b.book.Append(b.ctx(), records...); err == nil {
				break
			}
			failed = true
			if !errors.Is(err, usage.ErrUnavailable) || !errors.Is(err, errLine) {
				k.Fatalf("Append over a store that fails returned %v, want %v with its cause", err, usage.ErrUnavailable)
			}
			n := len(b.scan(usage.Selection{Scope: usage.AllTenants(), Mark: b.state().Mark}))
			if whole := int(want); n != whole && n != whole-5 {
				k.Fatalf("after a failed batch of 5 there are %d records, want %d or %d", n, whole-5, whole)
			}
			s.calls.Store(0)
		}
		if failed && after && receipt.Duplicates != 5 {
			k.Fatalf("the retry of a batch that was booked is %d duplicates and %d inserted, want 5 duplicates", receipt.Duplicates, receipt.Inserted)
		}
		if (!failed || !after) && receipt.Inserted != 5 {
			k.Fatalf("a batch that was not booked before is %d inserted, want 5", receipt.Inserted)
		}
		s.calls.Store(int64(i % 2))
	}
	s.every = 0
	page, err := b.book.Query(b.ctx(), usage.ForTenant("acme"), usage.Query{Measures: []usage.Measure{{Of: "quantity"}, {Aggregation: usage.Count}}})
	if err != nil || len(page.Rows) != 1 {
		k.Fatalf("Query: %v, %+v", err, page)
	}
	if got, n := page.Rows[0].Get("quantity").String(), page.Rows[0].Get("count").String(); got != fmt.Sprint(want) || n != fmt.Sprint(want) {
		k.Fatalf("after failures and retries the sum is %s over %s records, want %d", got, n, want)
	}
}

func failingReads(k *kit) {
	w := k.world(401, usage.Options{RollBatch: 50})
	s := &faulty{Store: w.store}
	w.store = s
	w.book = w.newBook(&usage.Options{Rules: verdicts{}, RollBatch: 50})
	for range 10 {
		w.step()
	}
	w.roll(1)
	cases := 0
	for range 40 {
		s.every = 0
		q := w.question()
		want := w.expected(q)
		for every := int64(1); every <= 3; every++ {
			s.every = every
			s.calls.Store(0)
			page, err := w.book.Query(w.ctx(), q.scope(), q.query())
			switch {
			case err == nil:
				// It asked less often than that; then it must be right.
				if q.pageSize == 0 && len(page.Rows) != len(want)-map[bool]int{true: 1}[q.count] {
					w.fatalf("over a store whose reads fail, an answer has %d rows without an error, want %d: %v", len(page.Rows), len(want), q)
				}
			case errors.Is(err, errLine):
				cases++
			default:
				w.fatalf("over a store whose reads fail, the error is %v, want one with its cause", err)
			}
		}
		s.every = 0
		w.same("after failed reads", q, w.answer(w.book, q, nil), want)
	}
	if cases == 0 {
		w.fatalf("no read failed, so nothing was shown")
	}
}

func failingCommits(k *kit) {
	for i, after := range []bool{false, true} {
		w := k.world(411+2*uint64(i), usage.Options{})
		s := &faulty{Store: w.store, after: after}
		w.store = s
		w.book = w.newBook(&usage.Options{Rules: verdicts{}, RollBatch: 30, Rollups: [][]string{{"region"}}})
		failed := 0
		for range 12 {
			w.step()
			w.step()
			for range 3 {
				s.every = 3
				_, err := w.book.Roll(w.ctx())
				s.every = 0
				switch {
				case errors.Is(err, errLine):
					failed++
				case err != nil:
					w.fatalf("Roll over a store that fails: %v, want the cause in it", err)
				}
				w.check(w.question())
			}
		}
		if failed == 0 {
			w.fatalf("no commit failed, so nothing was shown")
		}
		w.roll(-1)
		for range 10 {
			w.check(w.question())
		}
	}
}

func hiddenPowers(k *kit) {
	keys := []paginate.Key{{ID: "k", Secret: []byte(strings.Repeat("secret--", 4))}}
	w := k.world(421, usage.Options{RollBatch: 60, TokenKeys: keys})
	bench := *w.bench
	bench.store = struct{ usage.Store }{w.store}
	hidden := bench.newBook(&usage.Options{Rules: verdicts{}, RollBatch: 60, Rollups: [][]string{{"region"}, {"host", "region"}}, TokenKeys: keys})
	for i := range 15 {
		w.step()
		if i%4 == 3 {
			w.roll(1)
		}
		for range 6 {
			q := w.question()
			want := w.expected(q)
			w.same("over the store", q, w.answer(w.book, q, nil), want)
			w.same("over the store with its powers hidden", q, w.answer(hidden, q, nil), want)
			// A walk that begins here and goes on there.
			if q.pageSize == 0 {
				q.pageSize = 3
			}
			query := q.query()
			var got []string
			for i := 0; ; i++ {
				book := []*usage.Book{w.book, hidden}[i%2]
				page, err := book.Query(w.ctx(), q.scope(), query)
				if err != nil {
					w.fatalf("%v: %v", q, err)
				}
				if i == 0 && q.count {
					got = append(got, fmt.Sprintf("count %d", page.Count))
				}
				for i := range page.Rows {
					got = append(got, text(&page.Rows[i]))
				}
				if query.Token = page.Next; page.Next == "" {
					break
				}
			}
			w.same("page by page over both", q, got, want)
		}
	}
}
