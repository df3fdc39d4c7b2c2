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

// sealing is the scratch of a seal, lent from one to the next: it is several
// megabytes, and a fresh one each time costs as much as a pass over all rows.
type sealing struct {
	order []uint32 // rows by position
	ends  []uint32 // of pairs
	nums  []int64
}

// room returns a slice of a length that holds anything.
func room[T any](scratch *[]T, n int) []T {
	*scratch = slices.Grow((*scratch)[:0], n)[:n]
	return *scratch
}

// gather writes a column in the order of positions.
func gather[T uint8 | uint32 | int64](to []int64, column []T, order []uint32) []int64 {
	column = column[:len(order)]
	for i, r := range order {
		to[i] = int64(column[r])
	}
	return to
}

// seal turns a full head into a segment. It needs no lock: the head does not
// change any more, and lists is the dictionary at a later moment.
func seal(h *head, l *lists, w *sealing) *segment {
	n := h.len()
	s := &segment{n: n, least: h.least, most: h.most}
	order := h.sorted(l, w)

	nums := room(&w.nums, n)
	for i, r := range order {
		nums[i] = int64(r)
	}
	s.row = pack(nums)
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
	s.local = pack(gather(nums, h.local, order))
	s.span = packSteps(gather(nums, h.span, order))
	s.source = pack(gather(nums, h.source, order))
	s.verdict = pack(gather(nums, h.verdict, order))
	gather(nums, h.start, order)
	for i := range nums {
		// A void has none. Keeping its year 1 would widen the whole column.
		nums[i] = max(nums[i], h.least)
	}
	s.start = packSteps(nums)
	s.sealIDs(h, order, nums)
	s.sealValues(h, order, nums)

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
func (h *head) sorted(l *lists, w *sealing) []uint32 {
	// Rows go to their pairs by counting, and only the short runs are sorted.
	top := slices.Max(h.pair)
	ends := room(&w.ends, int(top)+2)
	clear(ends)
	for _, p := range h.pair {
		ends[p+1]++
	}
	for i := 1; i < len(ends); i++ {
		ends[i] += ends[i-1]
	}
	order := room(&w.order, h.len())
	for r, p := range h.pair {
		order[ends[p]] = uint32(r)
		ends[p]++
	}
	from := uint32(0)
	for _, to := range ends[:top+1] {
		h.sortRun(l, order[from:to])
		from = to
	}
	return order
}

// sortRun sorts the rows of a pair. They come in about the order of their starts:
// most are in their place or near it, which is when moving each to its place one
// by one is fastest.
func (h *head) sortRun(l *lists, run []uint32) {
	const most = 16 // moves of each, on average; what needs more is sorted properly
	moves := most * len(run)
	for i := 1; i < len(run); i++ {
		row := run[i]
		k := i
		for ; k > 0 && (h.start[row] < h.start[run[k-1]] || h.start[row] == h.start[run[k-1]] && h.compareNames(l, row, run[k-1]) < 0); k-- {
			run[k] = run[k-1]
		}
		run[k] = row
		if moves -= i - k; moves < 0 {
			slices.SortFunc(run, func(a, b uint32) int {
				if c := cmp.Compare(h.start[a], h.start[b]); c != 0 {
					return c
				}
				return h.compareNames(l, a, b)
			})
			return
		}
	}
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

func (s *segment) sealIDs(h *head, order []uint32, nums []int64) {
	s.idForm = pack(gather(nums, h.idForm, order))
	s.ids = make([]byte, 0, len(h.ids))
	s.idSize = int(h.idEnd[0])
	for i, end := range h.idEnd {
		if int(end) != (i+1)*s.idSize {
			s.idSize = -1
			break
		}
	}
	if n := s.idSize; n >= 0 {
		for _, r := range order {
			s.ids = append(s.ids, h.ids[int(r)*n:int(r+1)*n]...)
		}
		return
	}
	for i, r := range order {
		_, id := h.id(int(r))
		s.ids = append(s.ids, id...)
		nums[i] = int64(len(s.ids))
	}
	s.idEnd = pack(nums)
}

func (s *segment) sealValues(h *head, order []uint32, nums []int64) {
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
					if len(builders) == 0 { // most heads have one column
						last.reserve(len(order))
					}
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
		s.columns[i] = b.build(len(order), nums)
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
