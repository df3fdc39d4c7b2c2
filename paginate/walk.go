package paginate

import (
	"context"
	"fmt"
	"iter"
)

// Clamp returns the page size to use for the size a client asked for: def where
// it asked for none (zero or less), and never more than most or less than one.
func Clamp(asked, def, most int) int {
	if asked <= 0 {
		asked = def
	}
	return max(1, min(asked, most))
}

// Limit returns how many rows the next page may have when the whole result is
// capped at top rows and seen of them were delivered: size, or what is left of
// top. A negative top means no cap. Zero means that the result is complete.
func Limit(size int, top, seen int64) int {
	if top < 0 {
		return size
	}
	return int(max(0, min(int64(size), top-seen)))
}

// Fetch answers one page: the rows behind token and the token of the page after
// it, empty when this was the last one. An empty token asks for the first page.
type Fetch[T any] func(ctx context.Context, token string) (rows []T, next string, err error)

// Pages returns all pages as a sequence, from the page of token on (empty: the
// first). Pages may be empty without being the last. After an error, which
// comes with a nil page, the sequence ends; breaking off fetches nothing more.
// Besides the errors of fetch and ctx it yields ErrStuck. The sequence can be
// used again and starts at token again.
func Pages[T any](ctx context.Context, token string, fetch Fetch[T]) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		for token := token; ; {
			if err := context.Cause(ctx); err != nil {
				yield(nil, err)
				return
			}
			rows, next, err := fetch(ctx, token)
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(rows, nil) || next == "" {
				return
			}
			if next == token {
				yield(nil, fmt.Errorf("paginate: %w", ErrStuck))
				return
			}
			token = next
		}
	}
}

// Rows returns the rows of all pages as a sequence, under the rules of Pages.
// After an error, which comes with the zero row, the sequence ends.
func Rows[T any](ctx context.Context, token string, fetch Fetch[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for rows, err := range Pages(ctx, token, fetch) {
			if err != nil {
				var zero T
				yield(zero, err)
				return
			}
			for _, row := range rows {
				if !yield(row, nil) {
					return
				}
			}
		}
	}
}

// Skip returns the sequence without its first n rows, read and dropped. Errors
// pass, wherever they come.
func Skip[T any](rows iter.Seq2[T, error], n int64) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		left := n
		for row, err := range rows {
			if err == nil && left > 0 {
				left--
				continue
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

// Top returns the first n rows of the sequence and reads no further than them.
// An error before that passes and ends it.
func Top[T any](rows iter.Seq2[T, error], n int64) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if n <= 0 {
			return
		}
		left := n
		for row, err := range rows {
			if !yield(row, err) || err != nil {
				return
			}
			if left--; left == 0 {
				return
			}
		}
	}
}
