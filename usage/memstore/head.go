package memstore

import (
	"slices"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
)

// mostRows is the number of rows in a segment. It is the most whose positions
// fit 16 bits. Fewer would make the runs of a tenant and meter too short to be
// worth finding, more would make the switch to a new segment longer. (Tests
// take fewer.)
const mostRows = 1 << mostShift

const mostShift = 16

// head holds the newest rows, in the order of commit, until there are enough
// for a segment. Its slices only grow: a reader that copied the head under the
// lock sees its own rows whatever is appended behind them.
type head struct {
	room         int // rows that all columns have room for
	pair, local  []uint32
	start, span  []int64 // span is end - start; 0 is no end
	source       []uint32
	verdict      []uint32
	idForm       []uint8
	idEnd        []uint32 // in ids
	ids          []byte
	valueEnd     []uint32 // in cells
	cells        []cell
	wide         []aggregate.Number // numbers whose coefficient no int64 holds
	recordedRow  []uint32           // from this row of the head on ...
	recordedAt   []int64            // ... records were booked at this instant
	least, most  int64              // bounds of start, voids apart
	hasLeastMost bool
}

// cell is a value of a row in the head.
type cell struct {
	coef  int64 // or the place in wide
	name  uint32
	scale uint8
	wide  bool
}

// zeroStart is the start of records that have none.
var zeroStart = time.Time{}.UnixMicro()

func (h *head) len() int { return len(h.pair) }

// growth returns for how many rows more reserve makes room, of a head that may
// hold most. Four times as much each time: a head is short-lived, and what is
// copied from one to the next costs more than what stays empty.
func (h *head) growth(rows, most int) int {
	if len(h.pair)+rows <= h.room {
		return 0
	}
	return min(max(4*h.room, len(h.pair)+rows, 256), most) - len(h.pair)
}

// reserve makes room for rows without the many small steps of append.
func (h *head) reserve(rows, most int) {
	n := h.growth(rows, most)
	if n == 0 {
		return
	}
	h.room = len(h.pair) + n
	// Ids and values have no fixed number a row: as many as up to now.
	h.ids = slices.Grow(h.ids, perRow(len(h.ids), len(h.pair), 16)*n)
	h.cells = slices.Grow(h.cells, perRow(len(h.cells), len(h.pair), 1)*n)
	h.pair, h.local = slices.Grow(h.pair, n), slices.Grow(h.local, n)
	h.start, h.span = slices.Grow(h.start, n), slices.Grow(h.span, n)
	h.source, h.verdict = slices.Grow(h.source, n), slices.Grow(h.verdict, n)
	h.idForm, h.idEnd = slices.Grow(h.idForm, n), slices.Grow(h.idEnd, n)
	h.valueEnd = slices.Grow(h.valueEnd, n)
}

// perRow returns how many each row had on average, rounded up, or most where
// there was no row yet.
func perRow(all, rows, most int) int {
	if rows == 0 {
		return most
	}
	return (all + rows - 1) / rows
}

func (h *head) id(i int) (uint8, []byte) {
	from := uint32(0)
	if i > 0 {
		from = h.idEnd[i-1]
	}
	return h.idForm[i], h.ids[from:h.idEnd[i]]
}

func (h *head) valuesOf(i int) []cell {
	from := uint32(0)
	if i > 0 {
		from = h.valueEnd[i-1]
	}
	return h.cells[from:h.valueEnd[i]]
}

func (h *head) number(c *cell) aggregate.Number {
	if c.wide {
		return h.wide[c.coef]
	}
	return aggregate.Fixed(c.coef, c.scale)
}

// recorded returns when the i-th row was booked.
func (h *head) recorded(i int) int64 {
	k, found := slices.BinarySearch(h.recordedRow, uint32(i))
	if !found {
		k--
	}
	return h.recordedAt[k]
}

// row is a record in numbers, on its way into the head.
type row struct {
	place   place
	source  uint32
	verdict uint32
	idForm  uint8
	id      []byte
	record  *usage.Record
}

// extend makes a number of rows, booked at one instant, and returns the first
// of them. They are for the caller to fill, in their order, before it lets go of
// the writer's lock. There is room for them (see reserve).
func (h *head) extend(rows int, recorded int64) int {
	n := h.len()
	if k := len(h.recordedAt); k == 0 || h.recordedAt[k-1] != recorded {
		h.recordedRow = append(h.recordedRow, uint32(n))
		h.recordedAt = append(h.recordedAt, recorded)
	}
	h.pair, h.local = h.pair[:n+rows], h.local[:n+rows]
	h.start, h.span = h.start[:n+rows], h.span[:n+rows]
	h.source, h.verdict = h.source[:n+rows], h.verdict[:n+rows]
	h.idForm, h.idEnd = h.idForm[:n+rows], h.idEnd[:n+rows]
	h.valueEnd = h.valueEnd[:n+rows]
	return n
}

// fill writes the i-th row. names are those of values.
func (h *head) fill(i int, r *row, names *texts) {
	start, span := zeroStart, int64(0)
	if rec := r.record; !rec.Start.IsZero() {
		start = rec.Start.UnixMicro()
		if !rec.End.IsZero() {
			span = rec.End.UnixMicro() - start
		}
		if !h.hasLeastMost {
			h.least, h.most, h.hasLeastMost = start, start, true
		}
		h.least, h.most = min(h.least, start), max(h.most, start)
	}
	h.pair[i], h.local[i] = r.place.pair, r.place.local
	h.start[i], h.span[i] = start, span
	h.source[i], h.verdict[i] = r.source, r.verdict
	h.ids = append(h.ids, r.id...)
	h.idForm[i], h.idEnd[i] = r.idForm, uint32(len(h.ids))
	// One record after the other has the same values.
	var before []cell
	if i > 0 {
		before = h.valuesOf(i - 1)
	}
	for k := range r.record.Values.Len() {
		v := r.record.Values.At(k)
		var c cell
		if k < len(before) && names.list[before[k].name] == v.Name {
			c.name = before[k].name
		} else {
			c.name = names.code(v.Name)
		}
		var ok bool
		if c.coef, c.scale, ok = v.Number.Small(); !ok {
			c.coef, c.wide = int64(len(h.wide)), true
			h.wide = append(h.wide, v.Number)
		}
		h.cells = append(h.cells, c)
	}
	h.valueEnd[i] = uint32(len(h.cells))
}
