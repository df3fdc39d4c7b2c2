package paginate_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/usagebook/usagebook/paginate"
)

// A page ends, its last row's key goes into a token, and the next request
// brings the token back.
func Example() {
	sealer, err := paginate.New(&paginate.Options{
		Keys:     []paginate.Key{{ID: "2026-03", Secret: []byte("take 32 bytes of crypto/rand here")}},
		Lifetime: time.Hour,
	})
	if err != nil {
		panic(err)
	}
	binding := paginate.Binding{
		Scope: paginate.Digest("tenant", "acme"),
		Query: paginate.Digest("sum(quantity)", "by day", "region eq 'eu'"),
	}
	text, err := sealer.Seal(paginate.Token{
		Binding: binding,
		Mark:    4711,
		Keys:    []paginate.Value{paginate.Time(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)), paginate.String("eu")},
		Seen:    1000,
	})
	if err != nil {
		panic(err)
	}

	token, err := sealer.Open(text, binding)
	fmt.Println(token.Mark, token.Keys, token.Seen, err)

	binding.Scope = paginate.Digest("tenant", "globex")
	_, err = sealer.Open(text, binding)
	fmt.Println(errors.Is(err, paginate.ErrTokenScope), errors.Is(err, paginate.ErrToken))
	// Output:
	// 4711 [2026-03-01T00:00:00Z "eu"] 1000 <nil>
	// true true
}

func ExampleRows() {
	fetch := func(_ context.Context, token string) ([]string, string, error) {
		if token == "" {
			return []string{"a", "b"}, "second", nil
		}
		return []string{"c"}, "", nil
	}
	for row, err := range paginate.Rows(context.Background(), "", fetch) {
		fmt.Println(row, err)
	}
	// Output:
	// a <nil>
	// b <nil>
	// c <nil>
}

func ExampleCompareKeys() {
	cursor := []paginate.Value{paginate.Null(), paginate.Integer(5)}
	row := []paginate.Value{paginate.Integer(2), paginate.Integer(1)}
	fmt.Println(paginate.CompareKeys(row, cursor, paginate.Ascending) > 0)  // null comes first: the row is behind the cursor
	fmt.Println(paginate.CompareKeys(row, cursor, paginate.Descending) > 0) // null comes last: the row was delivered before
	// Output:
	// true
	// false
}

func ExampleClamp() {
	fmt.Println(paginate.Clamp(0, 1000, 10_000), paginate.Clamp(50, 1000, 10_000), paginate.Clamp(99_999, 1000, 10_000))
	// Output: 1000 50 10000
}
