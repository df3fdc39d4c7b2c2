package sqlitestore

import (
	"github.com/usagebook/usagebook/aggregate"
)

// tally is what a Group adds up: rows by group and window, found through a table
// of hashes, each with its figures in one list of all.
type tally struct {
	values    int // figures a row
	rows      []tallyRow
	summaries []aggregate.Summary
	table     []int32 // places in rows + 1, 0 where there is none; its length is a power of two
	last      int     // the row that was asked for last
}

type tallyRow struct {
	group   int32
	window  int64
	records int64
}

// newTally returns an empty tally, which may have been used before.
func (s *Store) newTally(values int) *tally {
	t, _ := s.tallies.Get().(*tally)
	if t == nil {
		t = &tally{table: make([]int32, 256)}
	}
	t.values = values
	return t
}

// keptRows is the most rows that a tally keeps room for when it is cleared.
const keptRows = 1 << 12

// clear makes it empty.
func (t *tally) clear() {
	t.last = 0
	if len(t.rows) > keptRows {
		*t = tally{values: t.values, table: make([]int32, 256)}
		return
	}
	clear(t.table)
	clear(t.summaries) // they may point to large numbers
	t.rows, t.summaries = t.rows[:0], t.summaries[:0]
}

// figures returns the figures of a row.
func (t *tally) figures(row int) []aggregate.Summary {
	return t.summaries[row*t.values : (row+1)*t.values]
}

// at returns the row of a group and window.
func (t *tally) at(group int32, window int64) int {
	if t.last < len(t.rows) {
		if r := &t.rows[t.last]; r.group == group && r.window == window {
			return t.last
		}
	}
	mask := uint64(len(t.table) - 1)
	i := hash(group, window) & mask
	for ; t.table[i] != 0; i = (i + 1) & mask {
		k := int(t.table[i] - 1)
		if r := &t.rows[k]; r.group == group && r.window == window {
			t.last = k
			return k
		}
	}
	t.last = len(t.rows)
	t.rows = append(t.rows, tallyRow{group: group, window: window})
	t.summaries = append(t.summaries, make([]aggregate.Summary, t.values)...)
	t.table[i] = int32(len(t.rows))
	if 2*len(t.rows) > len(t.table) {
		t.grow()
	}
	return t.last
}

func (t *tally) grow() {
	t.table = make([]int32, 4*len(t.table))
	mask := uint64(len(t.table) - 1)
	for k := range t.rows {
		i := hash(t.rows[k].group, t.rows[k].window) & mask
		for t.table[i] != 0 {
			i = (i + 1) & mask
		}
		t.table[i] = int32(k + 1)
	}
}

func hash(group int32, window int64) uint64 {
	h := uint64(group)*0x9e3779b97f4a7c15 ^ uint64(window)*0xc2b2ae3d27d4eb4f
	h ^= h >> 29
	h *= 0xbf58476d1ce4e5b9
	return h ^ h>>32
}
