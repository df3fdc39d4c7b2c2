package memstore

import (
	"context"
	"fmt"
	"iter"

	"github.com/usagebook/usagebook/usage"
)

var _ usage.RollupGrouper = (*Store)(nil)

// GroupRollups adds up rollup rows by group and window; see [usage.RollupGrouper].
// Like ScanRollups it holds no lock while it asks for groups or yields.
func (s *Store) GroupRollups(ctx context.Context, sel usage.RollupSelection, read usage.GroupRead) iter.Seq2[*usage.GroupRow, error] {
	return func(yield func(*usage.GroupRow, error) bool) {
		if read.Group == nil || sel.Keys != nil {
			yield(nil, fmt.Errorf("memstore: group rollups: %w: it needs a Group function and no keys", usage.ErrInvalid))
			return
		}
		x := rollupSums{read: &read, windows: newWindows(read.Window), sums: s.newSums(len(read.Values), 0)}
		r := rollupReader{store: s, ctx: ctx, sel: &sel, sums: &x}
		err := r.run()
		if err == nil && !x.sums.yield(&x.windows, &read, func(row *usage.GroupRow) bool {
			if err = ctx.Err(); err != nil {
				return false
			}
			return yield(row, nil)
		}) && err == nil {
			return // the consumer wants no more
		}
		s.reuse(x.sums)
		if err != nil {
			yield(nil, err)
		}
	}
}

// rollupSums adds up the rows that a rollupReader finds.
type rollupSums struct {
	read    *usage.GroupRead
	windows windows
	sums    *sums
	names   []uint32 // numbers of the values; noValue where no row has it

	asked  asked
	series usage.Series // asked about
}

// asked remembers what Group said, by the tenant, the meter and the part of the
// dimensions that it looks at.
type asked struct {
	groups seriesGroups
	// cuts numbers these parts: of each set, 0 where it is not known yet.
	cuts  []uint32
	cutOf map[string]uint32
	key   []byte
}

// add takes in what was found.
func (x *rollupSums) add(r *rollupReader) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	if x.names == nil {
		x.names = make([]uint32, len(x.read.Values))
		for i, name := range x.read.Values {
			x.names[i] = noValue
			for code, n := range r.lists.values {
				if n == name {
					x.names[i] = uint32(code)
				}
			}
		}
	}
	for i := range r.found {
		f := &r.found[i]
		group := x.group(r, &f.row)
		if group < 0 {
			x.sums.read++
			continue
		}
		window := int32(0)
		if !x.windows.single {
			window, _ = x.windows.find(f.row.bucket)
		}
		place := x.sums.at(group, window)
		x.sums.read++
		switch {
		case f.large != nil:
			x.sums.records[place] += f.large.records
			for k := range f.large.values {
				v := &f.large.values[k]
				for i, name := range x.read.Values {
					if name == v.Name && v.Count > 0 {
						x.sums.exact(place*x.sums.values + i).Merge(&v.Summary)
					}
				}
			}
		case f.row.value.scale != noSummary:
			x.sums.records[place] += int64(f.row.records)
			x.value(place, &f.row.value)
			end := len(r.more)
			if i+1 < len(r.found) {
				end = r.found[i+1].more
			}
			for k := f.more; k < end; k++ {
				x.value(place, &r.more[k])
			}
		default:
			x.sums.records[place] += int64(f.row.records)
		}
	}
	return nil
}

func (x *rollupSums) value(place int, v *packedSummary) {
	for i, name := range x.names {
		if name == uint32(v.name) {
			x.sums.addBlock(place*x.sums.values+i, int64(v.count), v.sum, v.min, v.max, v.scale)
		}
	}
}

// group returns the group of a row's series, which is asked for once.
func (x *rollupSums) group(r *rollupReader, row *rollupRow) int32 {
	k := seriesKey{pair: row.pair, class: uint32(row.value.verdict)}
	if x.read.AnyMeter {
		k.pair = r.pairs[row.pair].tenant
	}
	if cut := x.asked.cut(x.read, row.set, len(r.sets)); cut != 0 {
		k.cut = cut
	} else {
		k.cut = x.asked.number(x.read, row.set, &r.sets[row.set])
	}
	at := x.asked.groups.find(k)
	if at.group == unasked {
		p := &r.pairs[row.pair]
		x.series = usage.Series{Tenant: r.lists.tenants[p.tenant], Meter: r.lists.meters[p.meter], Dimensions: r.sets[row.set]}
		at.group = int32(max(x.read.Group(&x.series, usage.VerdictClass(row.value.verdict)), unwanted))
		x.sums.room(int(at.group) + 1)
	}
	return at.group
}

// cut returns the number of the part of a set that Group looks at, 0 where it is not
// known yet. There are so many sets.
func (a *asked) cut(read *usage.GroupRead, set uint32, sets int) uint32 {
	switch {
	case read.Dimensions == nil:
		return set + 1
	case len(read.Dimensions) == 0:
		return 1
	case a.cuts == nil:
		a.cuts, a.cutOf = make([]uint32, sets), make(map[string]uint32)
	}
	return a.cuts[set]
}

// number numbers the part of a set.
func (a *asked) number(read *usage.GroupRead, set uint32, d *usage.Dimensions) uint32 {
	a.key = a.key[:0]
	for _, name := range read.Dimensions {
		if v, ok := d.Get(name); ok {
			a.key = appendLabel(a.key, 1, v)
		} else {
			a.key = append(a.key, 0)
		}
	}
	n, ok := a.cutOf[string(a.key)]
	if !ok {
		n = uint32(len(a.cutOf)) + 1
		a.cutOf[string(a.key)] = n
	}
	a.cuts[set] = n
	return n
}

// seriesGroups is a table of groups. It has one probe for the last key, because rows
// of one series often follow each other.
type seriesGroups struct {
	slots []seriesGroup
	n     int
	last  int
}

type seriesKey struct{ pair, cut, class uint32 }

type seriesGroup struct {
	seriesKey
	group int32
	used  bool
}

// find returns the place of a key, with the group unasked if it is new. It is valid
// until the next call.
func (t *seriesGroups) find(k seriesKey) *seriesGroup {
	if t.n > 0 && t.slots[t.last].seriesKey == k {
		return &t.slots[t.last]
	}
	if 2*t.n >= len(t.slots) {
		old := t.slots
		t.slots = make([]seriesGroup, max(64, 2*len(old)))
		for i := range old {
			if old[i].used {
				t.slots[t.place(old[i].seriesKey)] = old[i]
			}
		}
	}
	t.last = t.place(k)
	s := &t.slots[t.last]
	if !s.used {
		*s = seriesGroup{k, unasked, true}
		t.n++
	}
	return s
}

// place returns where a key is, or belongs.
func (t *seriesGroups) place(k seriesKey) int {
	mask := len(t.slots) - 1
	i := int(mix(uint64(k.pair)<<32|uint64(k.cut), uint64(k.class), 0)) & mask
	for t.slots[i].used && t.slots[i].seriesKey != k {
		i = (i + 1) & mask
	}
	return i
}
