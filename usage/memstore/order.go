package memstore

import (
	"cmp"
	"slices"
	"strings"
)

// key is a hit with the first part of its place in the order of starts. The
// other parts, texts, are looked up when two starts are equal.
type key struct {
	hit
	start int64
}

func (q *query) key(h hit) key {
	i := int(h.row >> q.shift)
	if g := q.parts[i].segment; g != nil {
		return key{h, q.wanted(g.pairs[h.run]).startOf(g.start.at(int(h.at)))}
	}
	return key{h, q.headOf(i).start[h.at]}
}

// texts returns what decides between two records of one start.
func (q *query) texts(h hit) (source string, form uint8, id []byte, tenant string) {
	i := int(h.row >> q.shift)
	var pairCode uint32
	if g := q.parts[i].segment; g != nil {
		form, id = g.id(int(h.at))
		source, pairCode = q.sources[g.source.at(int(h.at))], g.pairs[h.run]
	} else {
		head := q.headOf(i)
		form, id = head.id(int(h.at))
		source, pairCode = q.sources[head.source[h.at]], head.pair[h.at]
	}
	return source, form, id, q.seriesAt(q.wanted(pairCode).series[0]).Tenant
}

// compare orders by (Start, Source, ID, Tenant).
func (q *query) compare(a, b *key) int {
	if c := cmp.Compare(a.start, b.start); c != 0 {
		return c
	}
	if a.row == b.row {
		return 0
	}
	as, af, aid, at := q.texts(a.hit)
	bs, bf, bid, bt := q.texts(b.hit)
	if c := strings.Compare(as, bs); c != 0 {
		return c
	}
	if c := compareIDs(af, aid, bf, bid); c != 0 {
		return c
	}
	return strings.Compare(at, bt)
}

// after reports whether a record stands strictly after Selection.Resume.
func (q *query) after(k *key) bool {
	p := q.sel.Resume
	if p == nil || k.start > p.Start {
		return true
	}
	if k.start < p.Start {
		return false
	}
	source, form, id, tenant := q.texts(k.hit)
	if c := strings.Compare(source, p.Source); c != 0 {
		return c > 0
	}
	if c := compareID(form, id, p.ID); c != 0 {
		return c > 0
	}
	return tenant > p.Tenant
}

// cursor walks a run of a segment, which is in the order of starts, or the
// sorted hits of a head.
type cursor struct {
	part   *partRange
	want   *want
	run    int
	at, to int
	hits   []key // of a head; at and to are places in it
	head   key   // the record that it stands on
}

// next moves to the next selected record.
func (r *reader) next(c *cursor) bool {
	if c.part.head != nil {
		if c.at == c.to {
			return false
		}
		c.head = c.hits[c.at]
		c.at++
		return true
	}
	g := c.part.segment
	for ; c.at < c.to; c.at++ {
		row := int(g.row.at(c.at))
		if !r.takes(c.part, row) || !r.keeps(c.want, uint32(g.local.at(c.at))) {
			continue
		}
		k := key{hit{c.part.base + uint32(row), uint32(c.at), uint32(c.run)}, c.want.startOf(g.start.at(c.at))}
		if !r.after(&k) {
			continue
		}
		c.head = k
		c.at++
		return true
	}
	return false
}

// merge yields in the order of starts: every wanted run of every segment is in
// that order already, so only one place in each has to be remembered.
func (r *reader) merge() {
	if p := r.sel.Resume; p != nil {
		r.from = max(r.from, p.Start)
	}
	ranges := r.ranges()
	var heap []*cursor
	for i := range ranges {
		p := &ranges[i]
		if p.head == nil {
			ok := true
			r.runs(p.segment, func(run int, w *want, from, to int) bool {
				if ok = r.alive(); !ok {
					return false
				}
				c := &cursor{part: p, want: w, run: run, at: from, to: to}
				if r.next(c) {
					heap = append(heap, c)
				}
				return true
			})
			if !ok {
				return
			}
			continue
		}
		hits, ok := r.collectHead(p, nil)
		if !ok {
			return
		}
		keys := make([]key, 0, len(hits))
		for _, h := range hits {
			if k := r.key(h); r.after(&k) {
				keys = append(keys, k)
			}
		}
		slices.SortFunc(keys, func(a, b key) int { return r.compare(&a, &b) })
		c := &cursor{part: p, hits: keys, to: len(keys)}
		if r.next(c) {
			heap = append(heap, c)
		}
	}
	for i := len(heap)/2 - 1; i >= 0; i-- {
		r.sink(heap, i)
	}
	one := make([]hit, 1)
	for len(heap) > 0 {
		one[0] = heap[0].head.hit
		if !r.emit(one) {
			return
		}
		if !r.next(heap[0]) {
			heap[0] = heap[len(heap)-1]
			heap = heap[:len(heap)-1]
		}
		r.sink(heap, 0)
	}
}

// sink moves an element down to where the heap is in order again.
func (r *reader) sink(heap []*cursor, i int) {
	for {
		least, k := i, 2*i+1
		if k < len(heap) && r.compare(&heap[k].head, &heap[least].head) < 0 {
			least = k
		}
		if k+1 < len(heap) && r.compare(&heap[k+1].head, &heap[least].head) < 0 {
			least = k + 1
		}
		if least == i {
			return
		}
		heap[i], heap[least] = heap[least], heap[i]
		i = least
	}
}
