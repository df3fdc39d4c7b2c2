package usage

import (
	"context"
	"fmt"
	"time"
)

// Present returns the present moment of the book, for callers that need several
// queries to speak of one: give it to each as Query.AsOf. Records booked while
// the call runs may be in it or not.
func (b *Book) Present(ctx context.Context) (AsOf, error) {
	st, err := b.store.Checkpoint(ctx, AsOf{})
	if err != nil {
		return AsOf{}, fmt.Errorf("usage: present: %w", err)
	}
	return asOfMark(st.Mark), nil
}

// asOfMark is the AsOf that repeats a mark. Before anything was booked it is an
// instant before every record: a sequence of 0 would ask for now.
func asOfMark(m Mark) AsOf {
	if m.Sequence == 0 {
		return AsOf{Time: minTime.Add(time.Microsecond)}
	}
	return AsOf{Sequence: m.Sequence}
}
