package usage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/usagebook/usagebook/aggregate"
)

// levels are the lengths of rollup buckets, coarse first.
var levels = [...]aggregate.Unit{aggregate.Month, aggregate.Day, aggregate.Hour}

const (
	// coveredFrom is the number of records from which a UTC month gets an entry
	// in the coverage. Below it, reading the few records costs less than
	// deciding about them, and records strewn over many years by a careless or
	// hostile producer don't swell every commit.
	coveredFrom = 64

	// worthwhile: a level is kept where its rows are at most a quarter of the
	// records that they cover.
	worthwhile = 4
)

// coverage is what the book knows about the rollups of a checkpoint: for every
// UTC month with enough records, which levels of which projection are kept.
// It travels through the store as bytes, with the checkpoint it speaks of.
type coverage struct {
	Months []*month `json:"months"` // ascending
}

// month is a UTC month of event time. Rollups are kept or not kept month by
// month, so that a dense year is served from rollups although a sparse one
// before it is not worth them, and so that building a level reads one month.
type month struct {
	From int64 `json:"from"` // Unix microseconds
	// Records is the number of counted records in the month.
	Records int64 `json:"records"`
	// Kinds has an entry for each projection and level that was ever tried.
	Kinds []*kind `json:"kinds"`
}

// kind is a level of a projection within a month.
type kind struct {
	Projection string         `json:"projection"`
	Level      aggregate.Unit `json:"level"`
	// Kept: the rows exist and are complete up to the checkpoint.
	Kept bool `json:"kept,omitempty"`
	// Rows is the number of rows, when kept.
	Rows int64 `json:"rows,omitempty"`
	// Tried is the number of records when keeping the level was last weighed
	// and found not worthwhile. It is weighed again when there are half as many
	// again, so that all the weighing together costs no more than reading three
	// times, and a level that became worthwhile is not missing for long.
	Tried int64 `json:"tried,omitempty"`
}

func decodeCoverage(b []byte) (*coverage, error) {
	c := new(coverage)
	if len(b) == 0 {
		return c, nil
	}
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("usage: the checkpoint's coverage cannot be read: %w", err)
	}
	return c, nil
}

type decodedCoverage struct {
	bytes []byte
	*coverage
}

// coverage decodes a checkpoint's coverage for reading: it may be shared.
func (b *Book) coverage(text []byte) (*coverage, error) {
	if last := b.rollups.Load(); last != nil && bytes.Equal(last.bytes, text) {
		return last.coverage, nil
	}
	c, err := decodeCoverage(text)
	if err == nil {
		b.rollups.Store(&decodedCoverage{bytes.Clone(text), c})
	}
	return c, err
}

func (c *coverage) encode() ([]byte, error) { return json.Marshal(c) }

func (c *coverage) month(from int64) *month {
	i, ok := slices.BinarySearchFunc(c.Months, from, func(m *month, from int64) int {
		switch {
		case m.From < from:
			return -1
		case m.From > from:
			return 1
		}
		return 0
	})
	if !ok {
		return nil
	}
	return c.Months[i]
}

func (c *coverage) add(m *month) {
	i := slices.IndexFunc(c.Months, func(o *month) bool { return o.From > m.From })
	if i < 0 {
		i = len(c.Months)
	}
	c.Months = slices.Insert(c.Months, i, m)
}

func (m *month) to() int64 { return aggregate.Next(aggregate.Month, m.From) }

// kind returns the entry of a projection and level, made if it is missing.
func (m *month) kind(projection string, level aggregate.Unit) *kind {
	for _, k := range m.Kinds {
		if k.Projection == projection && k.Level == level {
			return k
		}
	}
	k := &kind{Projection: projection, Level: level}
	m.Kinds = append(m.Kinds, k)
	return k
}

// piece is a stretch of event time with the way to read it.
type piece struct {
	projection *projection    // nil: raw
	level      aggregate.Unit // None: raw
	from, to   int64
}

// tiler cuts the range of a query into pieces.
type tiler struct {
	usable []*projection
	window aggregate.Locator
	cut    bool // the query has a window
	pieces []piece
}

func (t *tiler) add(p piece) {
	if p.from >= p.to {
		return
	}
	if n := len(t.pieces); n > 0 {
		last := &t.pieces[n-1]
		if last.to == p.from && last.projection == p.projection && last.level == p.level {
			last.to = p.to
			return
		}
	}
	t.pieces = append(t.pieces, p)
}

// tile cuts [from, to): months in the coverage by what is kept of them, and
// everything between them raw.
func (t *tiler) tile(c *coverage, from, to int64) []piece {
	at := from
	for _, m := range c.Months {
		start, end := max(m.From, from), min(m.to(), to)
		if start >= end {
			continue
		}
		t.add(piece{from: at, to: start})
		t.month(m, start, end)
		at = end
	}
	t.add(piece{from: at, to: to})
	return t.pieces
}

// month cuts [from, to), which lies in m, at the bounds of the query's windows,
// and each part into the coarsest kept buckets that fit.
func (t *tiler) month(m *month, from, to int64) {
	var best [len(levels)]*projection
	for i, level := range levels {
		var rows int64
		for _, p := range t.usable {
			for _, k := range m.Kinds {
				if k.Kept && k.Level == level && k.Projection == p.name && (best[i] == nil || k.Rows < rows) {
					best[i], rows = p, k.Rows
				}
			}
		}
	}
	if t.cut {
		// No bucket fits into windows that are shorter.
		switch t.window.Window().Unit {
		case aggregate.Hour:
			best[0], best[1] = nil, nil
		case aggregate.Day, aggregate.Week:
			best[0] = nil
		}
	}
	if best == [len(levels)]*projection{} {
		t.add(piece{from: from, to: to})
		return
	}
	for at := from; at < to; {
		end := to
		if t.cut {
			_, shut := t.window.Locate(at)
			end = min(end, shut)
		}
		if p := best[0]; p != nil && at == m.From && end == m.to() {
			t.add(piece{p, aggregate.Month, at, end})
		} else {
			t.buckets(best[1:], levels[1:], at, end)
		}
		at = end
	}
}

// buckets cuts [from, to) into whole buckets of the first level that is kept,
// and what is left at both edges into the finer ones.
func (t *tiler) buckets(best []*projection, units []aggregate.Unit, from, to int64) {
	if len(best) == 0 {
		t.add(piece{from: from, to: to})
		return
	}
	p, level := best[0], units[0]
	open, shut := ceil(level, from), aggregate.Floor(level, to)
	if p == nil || open >= shut {
		t.buckets(best[1:], units[1:], from, to)
		return
	}
	t.buckets(best[1:], units[1:], from, open)
	t.add(piece{p, level, open, shut})
	t.buckets(best[1:], units[1:], shut, to)
}

// ceil returns the first start of a bucket at or after us.
func ceil(level aggregate.Unit, us int64) int64 {
	if start := aggregate.Floor(level, us); start == us {
		return us
	}
	return aggregate.Next(level, us)
}
