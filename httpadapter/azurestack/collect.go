package azurestack

import (
	"cmp"
	"slices"
	"strings"
)

// collector puts rows in their last order, adds up those that are one row here
// and several in the book (their meterId is a dimension in one and the name of
// the meter in another, or their subscription is spelled in another case), and
// keeps those of the page.
type collector struct {
	rows []row
	size int // of the page
	// more tells that there is a row behind the page, next where.
	more bool
	next place
	// read is the number of the book's rows that were taken in.
	read  int64
	alike int // of the fields in a run

	run  []row // rows that share the start and the first fields
	skip int64 // rows of pages before
	last struct {
		start  int64
		key    [2]text
		passed [3]int64
	}
}

func newCollector(at place, size int) collector {
	c := collector{rows: make([]row, 0, size), size: size, next: place{asOf: at.asOf, begun: true}}
	if at.begun {
		c.skip = at.passed[at.deep]
		c.last.start, c.last.key = at.start, at.key
		// The rows before the place that are read again are counted again.
		for i := range at.deep {
			c.last.passed[i] = at.passed[i] - c.skip
		}
	}
	return c
}

// missing is the number of rows that are still to be read.
func (c *collector) missing() int {
	return int(min(mostRead, c.skip+int64(c.size+1-len(c.rows)))) + len(c.run)
}

// compareText orders by bytes, an absent text first.
func compareText(a, b text) int {
	if a.ok != b.ok {
		if b.ok {
			return -1
		}
		return 1
	}
	return strings.Compare(a.s, b.s)
}

// compare orders rows by their start and the first n fields.
func (r *row) compare(o *row, n int) int {
	if c := cmp.Compare(r.start, o.start); c != 0 {
		return c
	}
	for i := range n {
		if c := compareText(r.fields[i], o.fields[i]); c != 0 {
			return c
		}
	}
	return 0
}

func (c *collector) add(r *row) {
	if len(c.run) > 0 && c.run[0].compare(r, c.alike) != 0 {
		c.flush()
	}
	if !c.more {
		c.run = append(c.run, *r)
	}
}

// flush ends a run.
func (c *collector) flush() {
	slices.SortStableFunc(c.run, func(a, b row) int { return a.compare(&b, fieldCount) })
	for i := 0; i < len(c.run) && !c.more; {
		r := &c.run[i]
		for i++; i < len(c.run) && r.compare(&c.run[i], fieldCount) == 0; i++ {
			r.sum = r.sum.Add(c.run[i].sum)
		}
		c.give(r)
	}
	c.run = c.run[:0]
}

// give takes a finished row.
func (c *collector) give(r *row) {
	l := &c.last
	same := 0 // how much of the place before the row shares
	if r.start == l.start {
		for same = 1; same < 3 && l.key[same-1] == r.fields[same-1]; same++ {
		}
	}
	for i := same; i < 3; i++ {
		l.passed[i] = 0
	}
	l.start, l.key = r.start, [2]text{r.fields[meterID], r.fields[resourceURI]}
	switch {
	case c.skip > 0:
		c.skip--
	case len(c.rows) == c.size:
		c.more = true
		c.next.start, c.next.key, c.next.passed = l.start, l.key, l.passed
		return
	default:
		c.rows = append(c.rows, *r)
	}
	for i := range l.passed {
		l.passed[i]++
	}
}
