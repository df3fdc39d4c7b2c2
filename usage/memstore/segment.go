package memstore

import (
	"cmp"
	"slices"
	"strings"
)

// segment is mostRows rows that never change, sorted by pair (tenant and
// meter), start, source and id, so that a query touches the runs of the pairs
// it is about and in them only its range. What is sorted is called a position,
// what is in the order of commit a row; both count from 0 in the segment.
type segment struct {
	n int
	// Run i is the rows of pairs[i], at positions [runs[i], runs[i+1]).
	pairs []uint32
	runs  []uint32

	position packed // row -> position
	row      packed // position -> row

	// By position:
	local   packed
	start   packed // 0 where there is none
	span    packed
	source  packed
	verdict packed
	idForm  packed
	idEnd   packed // unless idSize says that all have one size
	idSize  int
	ids     []byte
	columns []column // in the order of the names' numbers

	// By row: when records were booked, run by run.
	recordedRow packed
	recordedAt  packed
	recordings  int

	least, most int64 // bounds of start, voids apart
}

// seal turns a full head into a segment. It needs no lock: the head does not
// change any more, and lists is the dictionary at a later moment.
func seal(h *head, l *lists) *segment {
	n := h.len()
	s := &segment{n: n, least: h.least, most: h.most}
	order := h.sorted(l)

	nums := make([]int64, n)
	column := func(pack func([]int64) packed, of func(row uint32) int64) packed {
		for i, r := range order {
			nums[i] = of(r)
		}
		return pack(nums)
	}
	s.row = column(pack, func(r uint32) int64 { return int64(r) })
	for i, r := range order {
		nums[r] = int64(i)
	}
	s.position = pack(nums)
	for i, r := range order {
		if p := h.pair[r]; i == 0 || p != s.pairs[len(s.pairs)-1] {
			s.pairs, s.runs = append(s.pairs, p), append(s.runs, uint32(i))
		}
	}
	s.pairs, s.runs = slices.Clip(s.pairs), slices.Clip(append(s.runs, uint32(n)))
	s.local = column(pack, func(r uint32) int64 { return int64(h.local[r]) })
	s.span = column(packSteps, func(r uint32) int64 { return h.span[r] })
	s.source = column(pack, func(r uint32) int64 { return int64(h.source[r]) })
	s.verdict = column(pack, func(r uint32) int64 { return int64(h.verdict[r]) })
	s.start = column(packSteps, func(r uint32) int64 {
		if h.start[r] < h.least {
			// A void. Keeping its year 1 would widen the whole column.
			return h.least
		}
		return h.start[r]
	})
	s.sealIDs(h, order)
	s.sealValues(h, order)

	recorded := make([]int64, len(h.recordedRow))
	for i, r := range h.recordedRow {
		recorded[i] = int64(r)
	}
	s.recordings = len(recorded)
	s.recordedRow = pack(recorded)
	s.recordedAt = packSteps(h.recordedAt)
	return s
}

// sorted returns the rows of the head in the order of positions.
func (h *head) sorted(l *lists) []uint32 {
	// Rows go to their pairs by counting, and only the short runs are sorted.
	top := slices.Max(h.pair)
	ends := make([]uint32, top+2)
	for _, p := range h.pair {
		ends[p+1]++
	}
	for i := 1; i < len(ends); i++ {
		ends[i] += ends[i-1]
	}
	order := make([]uint32, h.len())
	for r, p := range h.pair {
		order[ends[p]] = uint32(r)
		ends[p]++
	}
	from := uint32(0)
	for _, to := range ends[:top+1] {
		if run := order[from:to]; len(run) > 1 {
			slices.SortFunc(run, func(a, b uint32) int {
				if c := cmp.Compare(h.start[a], h.start[b]); c != 0 {
					return c
				}
				return h.compareNames(l, a, b)
			})
		}
		from = to
	}
	return order
}

// compareNames orders rows by source and id.
func (h *head) compareNames(l *lists, a, b uint32) int {
	if h.source[a] != h.source[b] {
		return strings.Compare(l.sources[h.source[a]], l.sources[h.source[b]])
	}
	af, x := h.id(int(a))
	bf, y := h.id(int(b))
	return compareIDs(af, x, bf, y)
}

func (s *segment) sealIDs(h *head, order []uint32) {
	ends, forms := make([]int64, len(order)), make([]int64, len(order))
	s.ids = make([]byte, 0, len(h.ids))
	_, first := h.id(int(order[0]))
	s.idSize = len(first)
	for i, r := range order {
		form, id := h.id(int(r))
		if len(id) != s.idSize {
			s.idSize = -1
		}
		s.ids = append(s.ids, id...)
		ends[i], forms[i] = int64(len(s.ids)), int64(form)
	}
	s.idForm = pack(forms)
	if s.idSize < 0 {
		s.idEnd = pack(ends)
	}
}

func (s *segment) sealValues(h *head, order []uint32) {
	var builders []*columnBuilder
	of := make(map[uint32]*columnBuilder)
	var last *columnBuilder
	for i, r := range order {
		cells := h.valuesOf(int(r))
		for k := range cells {
			c := &cells[k]
			if last == nil || last.name != c.name {
				if last = of[c.name]; last == nil {
					last = &columnBuilder{name: c.name}
					of[c.name] = last
					builders = append(builders, last)
				}
			}
			last.add(i, h, c)
		}
	}
	slices.SortFunc(builders, func(a, b *columnBuilder) int { return cmp.Compare(a.name, b.name) })
	s.columns = make([]column, len(builders))
	for i, b := range builders {
		s.columns[i] = b.build(len(order))
	}
}

func (s *segment) id(position int) (uint8, []byte) {
	form := uint8(s.idForm.at(position))
	if s.idSize >= 0 {
		return form, s.ids[position*s.idSize : (position+1)*s.idSize]
	}
	from := int64(0)
	if position > 0 {
		from = s.idEnd.at(position - 1)
	}
	return form, s.ids[from:s.idEnd.at(position)]
}

// run returns the run that a position is in.
func (s *segment) run(position int) int {
	i, found := slices.BinarySearch(s.runs, uint32(position))
	if !found {
		i--
	}
	return i
}

// recorded returns when a row was booked.
func (s *segment) recorded(row int) int64 {
	i := s.recordedRow.search(0, s.recordings, int64(row)+1)
	return s.recordedAt.at(i - 1)
}

// column returns the column of a name, nil where no row has it.
func (s *segment) column(name uint32) *column {
	i, ok := slices.BinarySearchFunc(s.columns, name, func(c column, n uint32) int { return cmp.Compare(c.name, n) })
	if !ok {
		return nil
	}
	return &s.columns[i]
}
