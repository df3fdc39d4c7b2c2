package sqlitestore

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
)

// zeroStart is the start of records that have none.
var zeroStart = time.Time{}.UnixMicro()

// wideNumber is the scale of a number that follows as text, because int64 does
// not hold its digits.
const wideNumber = 0xff

// place is where a record stands in usagebook_records.
type place struct{ pair, start, seq int64 }

// content is what usagebook_records.data says, in codes.
type content struct {
	series, verdict, shape int64
	span                   int64 // end - start, 0 without an end
	idSum                  uint32
	values                 cutter // not read yet, in the order of the shape
}

// appendContent appends the data of a record that stands at a place under the
// key of its identity.
func appendContent(dst []byte, at place, key []byte, series, verdict, shape int64, r *usage.Record) []byte {
	from := len(dst)
	dst = binary.AppendUvarint(dst, uint64(series))
	dst = binary.AppendUvarint(dst, uint64(verdict))
	if r.End.IsZero() {
		dst = binary.AppendUvarint(dst, uint64(shape)<<1)
	} else {
		dst = binary.AppendUvarint(dst, uint64(shape)<<1|1)
		dst = binary.AppendUvarint(dst, uint64(r.End.UnixMicro()-at.start))
	}
	// A query that adds up does not read the identity, so it has a checksum of
	// its own.
	dst = binary.LittleEndian.AppendUint32(dst, sumOf(key))
	for i := range r.Values.Len() {
		dst = appendNumber(dst, r.Values.At(i).Number)
	}
	return binary.LittleEndian.AppendUint32(dst, contentSum(dst[from:], at))
}

// contentSum is sumOf for the place of a record, in fewer steps.
func contentSum(data []byte, at place) uint32 {
	var key [24]byte
	binary.LittleEndian.PutUint64(key[:], uint64(at.pair))
	binary.LittleEndian.PutUint64(key[8:], uint64(at.start))
	binary.LittleEndian.PutUint64(key[16:], uint64(at.seq))
	return crc32.Update(crc32.Update(0, castagnoli, key[:]), castagnoli, data)
}

func appendNumber(dst []byte, n aggregate.Number) []byte {
	if coef, scale, ok := n.Small(); ok {
		return binary.AppendVarint(append(dst, scale), coef)
	}
	return appendText(append(dst, wideNumber), n.String())
}

// parseContent reads the data of a record up to its values.
func parseContent(data []byte, at place) (c content, err error) {
	n := len(data) - sumSize
	if n < 0 || binary.LittleEndian.Uint32(data[n:]) != contentSum(data[:n], at) {
		return c, damaged("the checksum of record %d is wrong", at.seq)
	}
	d := cutter{data: data[:n]}
	c.series, c.verdict = d.code(), d.code()
	shape := d.uvarint()
	c.shape = int64(shape >> 1)
	d.bad = d.bad || c.shape == 0 || c.shape >= mostCodes
	if shape&1 != 0 {
		c.span = int64(d.uvarint())
	}
	c.idSum = d.uint32()
	if d.bad {
		return c, damaged("record %d is of an unknown form", at.seq)
	}
	c.values = d
	return c, nil
}

// number reads the next value: a coefficient and scale, or else a wide one.
func (c *cutter) number() (coef int64, scale uint8, wide aggregate.Number, small bool) {
	if scale = c.byte(); scale != wideNumber {
		return c.varint(), scale, wide, true
	}
	n, err := aggregate.ParseNumberBytes(c.bytes(c.uvarint()))
	c.bad = c.bad || err != nil
	return 0, 0, n, false
}

// read reads the values, whose names the shape gives.
func (c *content) read(names []string, seq int64) (usage.Values, error) {
	var one [1]usage.Value
	list := one[:0]
	if len(names) > 1 {
		list = make([]usage.Value, 0, len(names))
	}
	for _, name := range names {
		coef, scale, n, small := c.values.number()
		if small {
			n = aggregate.Fixed(coef, scale)
		}
		list = append(list, usage.Value{Name: name, Number: n})
	}
	if c.values.bad || len(c.values.data) > 0 {
		return usage.Values{}, damaged("the values of record %d are of an unknown form", seq)
	}
	return usage.NewValues(list...), nil
}

// startOf returns the start of a record as it is kept.
func startOf(r *usage.Record) int64 {
	if r.Start.IsZero() {
		return zeroStart
	}
	return r.Start.UnixMicro()
}

// instant returns the time of microseconds as they are kept.
func instant(us int64) time.Time { return time.UnixMicro(us).UTC() }

// ceilMicro returns the first microsecond that is not before t.
func ceilMicro(t time.Time) int64 {
	us := t.UnixMicro()
	if t.Nanosecond()%1000 != 0 {
		us++
	}
	return us
}
