package paginate_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/paginate"
)

// customer is a row with a key that may be absent, the shape that breaks
// cursors which compare with null.
type customer struct {
	id    int64
	limit paginate.Value
}

func (c customer) keys() []paginate.Value { return []paginate.Value{c.limit, paginate.Integer(c.id)} }

func customers(limits ...any) []customer {
	rows := make([]customer, len(limits))
	for i, limit := range limits {
		rows[i].id = int64(i + 1)
		if n, ok := limit.(int); ok {
			rows[i].limit = paginate.Integer(int64(n))
		}
	}
	return rows
}

// source pages rows the way a store does: behind a cursor, in order.
func source(s *paginate.Sealer, rows []customer, size int, directions ...paginate.Direction) paginate.Fetch[customer] {
	ordered := slices.SortedFunc(slices.Values(rows), func(a, b customer) int {
		return paginate.CompareKeys(a.keys(), b.keys(), directions...)
	})
	return func(_ context.Context, token string) ([]customer, string, error) {
		var from paginate.Token
		if token != "" {
			var err error
			if from, err = s.Open(token, binding); err != nil {
				return nil, "", err
			}
		}
		var page []customer
		for _, row := range ordered {
			if from.Keys != nil && paginate.CompareKeys(row.keys(), from.Keys, directions...) <= 0 {
				continue
			}
			if len(page) == size {
				next, err := s.Seal(paginate.Token{Binding: binding, Keys: page[size-1].keys(), Seen: from.Seen + int64(size)})
				return page, next, err
			}
			page = append(page, row)
		}
		return page, "", nil
	}
}

func ids(t *testing.T, rows iter.Seq2[customer, error]) []int64 {
	t.Helper()
	var out []int64
	for row, err := range rows {
		require.NoError(t, err)
		out = append(out, row.id)
	}
	return out
}

func TestNullableKey(t *testing.T) {
	t.Parallel()
	s := newSealer(t, paginate.Options{})
	rows := customers(nil, 2, nil, 30, nil, 35, 5, 50, 25)
	var sizes []int
	var got []int64
	for page, err := range paginate.Pages(t.Context(), "", source(s, rows, 2, paginate.Ascending)) {
		require.NoError(t, err)
		sizes = append(sizes, len(page))
		for _, row := range page {
			got = append(got, row.id)
		}
	}
	require.Equal(t, []int64{1, 3, 5, 2, 7, 9, 4, 6, 8}, got)
	require.Equal(t, []int{2, 2, 2, 2, 1}, sizes, "no empty page where null ends")

	descending := source(s, rows, 2, paginate.Descending)
	require.Equal(t, []int64{8, 6, 4, 9, 7, 2, 1, 3, 5}, ids(t, paginate.Rows(t.Context(), "", descending)))
	both := source(s, rows, 2, paginate.Descending, paginate.Descending)
	require.Equal(t, []int64{8, 6, 4, 9, 7, 2, 5, 3, 1}, ids(t, paginate.Rows(t.Context(), "", both)))
}

// TestWalkEqualsOneBigPage walks random rows with random page sizes: always the
// rows in order, each once.
func TestWalkEqualsOneBigPage(t *testing.T) {
	t.Parallel()
	s := newSealer(t, paginate.Options{})
	rng := rand.New(rand.NewPCG(3, 4))
	for round := range 100 {
		limits := make([]any, rng.IntN(30))
		for i := range limits {
			if rng.IntN(3) > 0 {
				limits[i] = rng.IntN(4)
			}
		}
		directions := []paginate.Direction{paginate.Direction(rng.IntN(2)), paginate.Direction(rng.IntN(2))}
		rows := customers(limits...)
		whole := ids(t, paginate.Rows(t.Context(), "", source(s, rows, len(rows)+1, directions...)))
		require.Len(t, whole, len(rows))
		paged := ids(t, paginate.Rows(t.Context(), "", source(s, rows, 1+rng.IntN(5), directions...)))
		require.Equal(t, whole, paged, "round %d", round)
	}
}

func TestPagesRules(t *testing.T) {
	t.Parallel()
	broken := errors.New("store is away")
	count := 0
	numbers := func(_ context.Context, token string) ([]int, string, error) {
		count++
		switch token {
		case "":
			return []int{1, 2}, "b", nil
		case "b":
			return nil, "c", nil
		case "c":
			return []int{3}, "d", nil
		case "d":
			return nil, "", broken
		}
		return []int{9}, token, nil
	}
	collect := func(ctx context.Context, token string) (out []int, err error) {
		for n, err := range paginate.Rows(ctx, token, numbers) {
			if err != nil {
				return out, err
			}
			out = append(out, n)
		}
		return out, nil
	}

	got, err := collect(t.Context(), "")
	require.ErrorIs(t, err, broken)
	require.Equal(t, []int{1, 2, 3}, got, "an empty page in between is no end")
	require.Equal(t, 4, count)

	got, err = collect(t.Context(), "loop")
	require.ErrorIs(t, err, paginate.ErrStuck)
	require.Equal(t, []int{9}, got)

	count = 0
	for n, err := range paginate.Rows(t.Context(), "", numbers) {
		require.NoError(t, err)
		if n == 2 {
			break
		}
	}
	require.Equal(t, 1, count, "breaking off fetches nothing more")

	gone := errors.New("client went away")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	count = 0
	var seen []int
	for n, err := range paginate.Rows(ctx, "", numbers) {
		if err != nil {
			require.ErrorIs(t, err, gone)
			seen = append(seen, -1)
			continue
		}
		seen = append(seen, n)
		cancel(gone)
	}
	require.Equal(t, []int{1, 2, -1}, seen, "the context is asked before each page")
	require.Equal(t, 1, count)
}

func TestSkipAndTop(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	reads := 0
	five := func(yield func(int, error) bool) {
		for i := 1; i <= 5; i++ {
			reads++
			if !yield(i, nil) {
				return
			}
		}
		yield(0, broken)
	}
	collect := func(rows iter.Seq2[int, error]) (out []string) {
		for n, err := range rows {
			if err != nil {
				out = append(out, err.Error())
				continue
			}
			out = append(out, fmt.Sprint(n))
		}
		return out
	}
	require.Equal(t, []string{"1", "2", "3", "4", "5", "broken"}, collect(paginate.Skip(five, 0)))
	require.Equal(t, []string{"4", "5", "broken"}, collect(paginate.Skip(five, 3)))
	require.Equal(t, []string{"broken"}, collect(paginate.Skip(five, 99)), "an error is never skipped")
	reads = 0
	require.Equal(t, []string{"1", "2"}, collect(paginate.Top(five, 2)))
	require.Equal(t, 2, reads, "top reads no further than its last row")
	require.Empty(t, collect(paginate.Top(five, 0)))
	require.Equal(t, []string{"1", "2", "3", "4", "5", "broken"}, collect(paginate.Top(five, 6)))
	sequence := paginate.Top(paginate.Skip(five, 1), 2)
	require.Equal(t, []string{"2", "3"}, collect(sequence))
	require.Equal(t, []string{"2", "3"}, collect(sequence), "a sequence can be used again")
}

func TestClampAndLimit(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ asked, def, most, want int }{
		{0, 1000, 10_000, 1000}, {-5, 1000, 10_000, 1000}, {1, 1000, 10_000, 1}, {10_000, 1000, 10_000, 10_000}, {10_001, 1000, 10_000, 10_000},
		{0, 50, 20, 20}, {0, 0, 0, 1}, {7, 0, 0, 1},
	} {
		require.Equal(t, tc.want, paginate.Clamp(tc.asked, tc.def, tc.most), "%+v", tc)
	}
	for _, tc := range []struct {
		size      int
		top, seen int64
		want      int
	}{
		{100, -1, 5000, 100}, {100, 250, 0, 100}, {100, 250, 200, 50}, {100, 250, 250, 0}, {100, 250, 300, 0}, {100, 0, 0, 0}, {100, 1 << 62, 0, 100},
	} {
		require.Equal(t, tc.want, paginate.Limit(tc.size, tc.top, tc.seen), "%+v", tc)
	}
}
