package sqlitestore

import (
	"container/heap"

	"github.com/usagebook/usagebook/usage"
)

// merge yields in the order of starts: the rows of every pair are in that order
// already, so it walks all wanted pairs side by side, each with some rows read
// ahead.
func (r *reader) merge() error {
	// All pairs together read ahead about as much as one page.
	first := min(max(2*mostRows/len(r.pairs), 4), firstRows)
	h := make(cursors, 0, len(r.pairs))
	for at := 0; at < len(r.pairs); {
		err := r.read(func(c *conn) error {
			for end := min(at+mostRows/first, len(r.pairs)); at < end; at++ {
				cur := &cursor{after: place{r.pairs[at].code, r.from, -1}, pair: r.pairs[at], rows: first}
				if err := r.fill(c, cur); err != nil {
					return err
				}
				if len(cur.ready) > 0 {
					h = append(h, cur)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	heap.Init(&h)
	for len(h) > 0 {
		cur := h[0]
		r.found = append(r.found[:0], cur.ready[0])
		if err := r.flush(); err != nil {
			return err
		}
		cur.ready[0] = nil
		if cur.ready = cur.ready[1:]; len(cur.ready) == 0 && !cur.end {
			if err := r.read(func(c *conn) error { return r.fill(c, cur) }); err != nil {
				return err
			}
		}
		if len(cur.ready) == 0 {
			heap.Pop(&h)
		} else {
			heap.Fix(&h, 0)
		}
	}
	return nil
}

// cursor is a place in a pair.
type cursor struct {
	pair  *pair
	after place           // the last row that was read
	rows  int             // to read the next time
	ready []*usage.Stored // selected, in order
	held  []*usage.Stored // of the last start that was read, of which more may follow
	end   bool
}

// fill reads on until there is a record, or the end.
func (r *reader) fill(c *conn, cur *cursor) error {
	cur.ready = nil
	for len(cur.ready) == 0 && !cur.end {
		rows, err := r.page(c, cur.pair, cur.after, cur.rows)
		if err != nil {
			return err
		}
		r.found = append(r.found[:0], cur.held...)
		cur.held = nil
		for i := range rows {
			if w := &rows[i]; r.takes(w.place, w.chain) {
				if err := r.take(c, w); err != nil {
					return err
				}
			}
		}
		last := int64(0)
		if cur.end = len(rows) < cur.rows; !cur.end {
			cur.after = rows[len(rows)-1].place
			last = cur.after.start
		}
		cur.rows = min(4*cur.rows, mostRows)
		r.sort()
		all := r.found
		n := len(all)
		if !cur.end {
			// Records that start together are ordered by texts: the last of them
			// may not be read yet.
			for n > 0 && startOf(&all[n-1].Record) == last {
				n--
			}
		}
		cur.ready = append(cur.ready, all[:n]...)
		cur.held = append(cur.held, all[n:]...)
		clear(r.found)
		r.found = r.found[:0]
	}
	return nil
}

// cursors is a heap by the records that the cursors stand on.
type cursors []*cursor

func (h cursors) Len() int           { return len(h) }
func (h cursors) Less(i, k int) bool { return compareStored(h[i].ready[0], h[k].ready[0]) < 0 }
func (h cursors) Swap(i, k int)      { h[i], h[k] = h[k], h[i] }
func (h *cursors) Push(x any)        { *h = append(*h, x.(*cursor)) }

func (h *cursors) Pop() any {
	last := len(*h) - 1
	c := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return c
}
