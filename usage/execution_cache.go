package usage

import (
	"slices"
	"sync"
	"time"
)

// What a book remembers of late results: cells in all of them together and in
// one. A cell takes some 50 bytes, a record counts as many cells as it has
// columns and some for its content.
const (
	mostCells       = 1 << 19
	mostResultCells = mostCells / 4
	recordCells     = 24
	mostResults     = 256 // which bounds the walk through them
)

// resultCache remembers the rows of executions that were finished or read last.
// What it forgets is read again.
type resultCache struct {
	now func() time.Time

	mu      sync.Mutex // guards what follows
	results []*result  // the one used last at the end
}

type result struct {
	id      string
	expires time.Time
	rows    []Row
	cells   int
}

// keeper collects the rows of an execution as far as they are worth keeping.
type keeper struct {
	perRow int
	list   []Row
	rows   int64
}

func newKeeper(q *query) *keeper {
	k := &keeper{perRow: len(q.columns) + 1}
	if q.records {
		k.perRow += recordCells
	}
	return k
}

func (k *keeper) add(r Row) {
	k.rows++
	if int(k.rows)*k.perRow > mostResultCells {
		k.list = nil
		return
	}
	k.list = append(k.list, r)
}

// own returns a row that the receiver may change.
func (r *Row) own() Row {
	out := *r
	out.Cells = slices.Clone(r.Cells)
	if r.Record != nil {
		s := *r.Record
		out.Record = &s
	}
	return out
}

// get returns the rows of an execution, not to be changed.
func (c *resultCache) get(id string) ([]Row, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(c.now())
	i := slices.IndexFunc(c.results, func(r *result) bool { return r.id == id })
	if i < 0 {
		return nil, false
	}
	r := c.results[i]
	c.results = append(slices.Delete(c.results, i, i+1), r)
	return r.rows, true
}

// put remembers a result, and forgets older ones in its place.
func (c *resultCache) put(id string, expires time.Time, k *keeper) {
	if len(k.list) != int(k.rows) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r := &result{id: id, expires: expires, rows: k.list, cells: 1 + len(k.list)*k.perRow}
	c.results = slices.DeleteFunc(c.results, func(o *result) bool { return o.id == id })
	c.results = append(c.results, r)
	c.drop(c.now())
}

// drop forgets what has expired, and what was not used for longest.
func (c *resultCache) drop(now time.Time) {
	c.results = slices.DeleteFunc(c.results, func(r *result) bool { return !r.expires.After(now) })
	cells := 0
	for i, r := range slices.Backward(c.results) {
		if cells += r.cells; cells > mostCells || len(c.results)-i > mostResults {
			c.results = slices.Delete(c.results, 0, i+1)
			return
		}
	}
}
