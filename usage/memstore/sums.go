package memstore

import (
	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
)

// sums are the figures of the groups and windows that one worker came across.
type sums struct {
	values int // per place
	groups int // group numbers are below it

	// place of a group in a window: by window, then group, where that table is
	// small enough; 0 is none yet, otherwise it is the place + 1.
	dense  [][]int32
	sparse map[uint64]int32

	group   []int32
	window  []int32
	records []int64
	figures []figure
	wide    map[int]*aggregate.Summary // by place in figures: what no figure holds
	read    int64
}

// denseGroups bounds the groups of the dense table, which has four bytes for
// each group in each window.
const denseGroups = 1 << 14

// figure adds up fixed-point numbers of one scale as long as int64 holds them,
// which is nearly always. What it cannot take moves to an exact Summary.
type figure struct {
	count         int64
	sum, min, max int64
	scale         uint8
	_             [7]byte
}

// newSums returns empty sums, in the room of others that were done with: for a
// query of a millisecond the room is most of the work.
func (s *Store) newSums(values, groups int) *sums {
	if groups > denseGroups {
		return &sums{values: values, groups: groups, sparse: make(map[uint64]int32)}
	}
	out, _ := s.used.Get().(*sums)
	if out == nil {
		out = new(sums)
	}
	out.values, out.groups = values, groups
	return out
}

// reuse takes back sums whose rows have been yielded.
func (s *Store) reuse(done *sums) {
	if done.sparse != nil || len(done.figures) > mostFigures {
		return
	}
	for i, g := range done.group {
		done.dense[done.window[i]][g] = 0
	}
	done.group, done.window, done.records, done.figures = done.group[:0], done.window[:0], done.records[:0], done.figures[:0]
	done.wide, done.read = nil, 0
	s.used.Put(done)
}

// room makes room for group numbers below groups, where how many there are shows as
// the work goes on.
func (s *sums) room(groups int) {
	if groups <= s.groups {
		return
	}
	if s.groups = max(groups, 2*s.groups, 64); s.groups <= denseGroups || s.sparse != nil {
		return
	}
	s.sparse = make(map[uint64]int32, len(s.group))
	for p := range s.group {
		s.sparse[uint64(s.window[p])<<32|uint64(uint32(s.group[p]))] = int32(p)
	}
}

// at returns the place of a group in a window.
func (s *sums) at(group, window int32) int {
	if s.sparse != nil {
		k := uint64(window)<<32 | uint64(uint32(group))
		p, ok := s.sparse[k]
		if !ok {
			p = s.add(group, window)
			s.sparse[k] = p
		}
		return int(p)
	}
	for int(window) >= len(s.dense) {
		s.dense = append(s.dense, nil)
	}
	if have := s.dense[window]; len(have) < s.groups {
		// Of an earlier query it is all zero.
		s.dense[window] = make([]int32, s.groups)
		copy(s.dense[window], have)
	}
	p := &s.dense[window][group]
	if *p == 0 {
		*p = s.add(group, window) + 1
	}
	return int(*p - 1)
}

func (s *sums) add(group, window int32) int32 {
	p := int32(len(s.group))
	s.group, s.window, s.records = append(s.group, group), append(s.window, window), append(s.records, 0)
	for range s.values {
		s.figures = append(s.figures, figure{})
	}
	return p
}

// addBlock takes in count numbers of one scale whose sum fits int64.
func (s *sums) addBlock(figureAt int, count, sum, least, most int64, scale uint8) {
	f := &s.figures[figureAt]
	if f.count == 0 {
		*f = figure{count: count, sum: sum, min: least, max: most, scale: scale}
		return
	}
	total := f.sum + sum
	if f.scale != scale || (f.sum^total)&(sum^total) < 0 {
		s.spill(figureAt)
		*f = figure{count: count, sum: sum, min: least, max: most, scale: scale}
		return
	}
	f.count += count
	f.sum, f.min, f.max = total, min(f.min, least), max(f.max, most)
}

// addNumber takes in a number that int64 cannot hold.
func (s *sums) addNumber(figureAt int, n aggregate.Number) { s.exact(figureAt).Add(n) }

func (s *sums) exact(figureAt int) *aggregate.Summary {
	if s.wide == nil {
		s.wide = make(map[int]*aggregate.Summary)
	}
	w := s.wide[figureAt]
	if w == nil {
		w = new(aggregate.Summary)
		s.wide[figureAt] = w
	}
	return w
}

// spill moves a figure to its exact Summary.
func (s *sums) spill(figureAt int) {
	f := &s.figures[figureAt]
	sum := f.summary()
	s.exact(figureAt).Merge(&sum)
	*f = figure{}
}

func (f *figure) summary() aggregate.Summary {
	var out aggregate.Summary
	f.into(&out, usage.AllFigures)
	return out
}

// into writes the figures that are asked for. Least and greatest are costly to bring
// to the form of a Number.
func (f *figure) into(out *aggregate.Summary, asked usage.Figures) {
	*out = aggregate.Summary{Count: f.count}
	if f.count == 0 {
		return
	}
	if asked&usage.FigureSum != 0 {
		out.Sum.AddFixed(f.sum, f.scale)
	}
	if asked&usage.FigureMin != 0 {
		out.Min = aggregate.Fixed(f.min, f.scale)
	}
	if asked&usage.FigureMax != 0 {
		out.Max = aggregate.Fixed(f.max, f.scale)
	}
}

// yield hands the rows out, with the figures that the read asks for.
func (s *sums) yield(w *windows, read *usage.GroupRead, f func(*usage.GroupRow) bool) bool {
	row := usage.GroupRow{Values: make([]aggregate.Summary, s.values), Read: s.read}
	for i := range s.group {
		row.Group, row.Records, row.Window = int(s.group[i]), s.records[i], 0
		if !w.single {
			row.Window = w.starts[s.window[i]]
		}
		for k := range row.Values {
			at := i*s.values + k
			asked := read.FiguresOf(k)
			if x := s.wide[at]; x != nil {
				row.Values[k] = s.figures[at].summary()
				row.Values[k].Merge(x)
			} else {
				s.figures[at].into(&row.Values[k], asked)
			}
		}
		if !f(&row) {
			return false
		}
		row.Read = 0
	}
	return true
}
