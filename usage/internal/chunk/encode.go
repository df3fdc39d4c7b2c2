package chunk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
)

// ErrDamaged: the bytes are not what AppendBinary wrote.
var ErrDamaged = errors.New("damaged rollup rows")

// The first byte tells in which unit buckets are counted. Rollups are kept by
// hours at least; what a caller makes of buckets besides is kept all the same.
const (
	byHours  = 1
	byMicros = 2
)

// wideNumber marks a number that follows as text; any other scale is followed
// by the coefficient.
const wideNumber = 0xff

// alike marks the summary of one number, or of equal ones whose sum is that
// number: least and greatest are the sum and do not follow.
const alike = 0x40

var checksum = crc32.MakeTable(crc32.Castagnoli)

// AppendBinary appends the packed form to dst.
func (c *Chunk) AppendBinary(dst []byte) []byte {
	begin := len(dst)
	unit, size := byte(byHours), int64(hourMicros)
	if slices.ContainsFunc(c.Rows, func(r Row) bool { return r.Bucket%hourMicros != 0 }) {
		unit, size = byMicros, 1
	}
	dst = append(dst, unit)

	var names []string
	var oldest uint64
	for i := range c.Rows {
		r := &c.Rows[i]
		for k := range r.Values {
			if !slices.Contains(names, r.Values[k].Name) {
				names = append(names, r.Values[k].Name)
			}
		}
		if i == 0 || r.From < oldest {
			oldest = r.From
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(names)))
	for _, n := range names {
		dst = binary.AppendUvarint(dst, uint64(len(n)))
		dst = append(dst, n...)
	}
	dst = binary.AppendUvarint(dst, oldest)
	dst = binary.AppendUvarint(dst, uint64(len(c.Rows)))
	last := int64(0)
	for i := range c.Rows {
		r := &c.Rows[i]
		dst = binary.AppendVarint(dst, r.Bucket/size-last)
		last = r.Bucket / size
		dst = append(dst, byte(r.Verdict))
		dst = binary.AppendUvarint(dst, r.From-oldest)
		dst = binary.AppendVarint(dst, r.Records)
		dst = binary.AppendUvarint(dst, uint64(len(r.Values)))
		for k := range r.Values {
			v := &r.Values[k]
			dst = binary.AppendUvarint(dst, uint64(slices.Index(names, v.Name)))
			dst = appendSummary(dst, &v.Summary)
		}
	}
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[begin:], checksum))
}

func appendSummary(dst []byte, s *aggregate.Summary) []byte {
	dst = binary.AppendVarint(dst, s.Count)
	if s.Count == 0 {
		return dst // the rest means nothing
	}
	n, err := s.Sum.Number()
	if err != nil { // beyond what a Number holds
		dst = appendWide(dst, s.Sum.AppendText(nil))
		return appendNumber(appendNumber(dst, s.Min), s.Max)
	}
	if n == s.Min && n == s.Max {
		if coef, scale, ok := n.Small(); ok && scale < alike {
			return binary.AppendVarint(append(dst, scale|alike), coef)
		}
	}
	return appendNumber(appendNumber(appendNumber(dst, n), s.Min), s.Max)
}

func appendNumber(dst []byte, n aggregate.Number) []byte {
	if coef, scale, ok := n.Small(); ok && scale < alike {
		return binary.AppendVarint(append(dst, scale), coef)
	}
	return appendWide(dst, n.AppendText(nil))
}

func appendWide(dst, text []byte) []byte {
	dst = append(dst, wideNumber)
	dst = binary.AppendUvarint(dst, uint64(len(text)))
	return append(dst, text...)
}

// Decode reads the packed form. What the chunk held before is overwritten, its
// rows and values reused.
func (c *Chunk) Decode(data []byte) error {
	const sum = 4
	c.Rows, c.names, c.values = c.Rows[:0], c.names[:0], c.values[:0]
	if len(data) < sum || crc32.Checksum(data[:len(data)-sum], checksum) != binary.BigEndian.Uint32(data[len(data)-sum:]) {
		return fmt.Errorf("%w: the checksum of %d bytes is wrong", ErrDamaged, len(data))
	}
	d := decoder{data: data[:len(data)-sum]}
	c.decode(&d)
	if d.bad || len(d.data) > 0 {
		c.Rows = c.Rows[:0]
		return fmt.Errorf("%w: %d bytes of an unknown form", ErrDamaged, len(data))
	}
	return nil
}

func (c *Chunk) decode(d *decoder) {
	size := int64(hourMicros)
	switch d.byte() {
	case byHours:
	case byMicros:
		size = 1
	default:
		d.bad = true
		return
	}
	for range d.length() {
		c.names = append(c.names, string(d.bytes(d.length())))
	}
	oldest := d.uvarint()
	rows := d.length()
	c.Rows = slices.Grow(c.Rows, rows)
	last := int64(0)
	for range rows {
		last += d.varint()
		r := Row{Bucket: last * size, Verdict: usage.VerdictClass(d.byte()), From: oldest + d.uvarint(), Records: d.varint()}
		n := d.length()
		begin := len(c.values)
		for range n {
			name := d.uvarint()
			if d.bad || name >= uint64(len(c.names)) {
				d.bad = true
				return
			}
			c.values = append(c.values, usage.ValueSummary{Name: c.names[name]})
			d.summary(&c.values[len(c.values)-1].Summary)
		}
		if d.bad {
			return
		}
		// Where the slice moves, the rows before keep what they point at.
		r.Values = c.values[begin:len(c.values):len(c.values)]
		c.Rows = append(c.Rows, r)
	}
}

// decoder reads from bytes whose checksum is right. It still never reads beyond
// them: whoever wrote a checksum may have written anything before it.
type decoder struct {
	data []byte
	bad  bool
}

func (d *decoder) byte() byte {
	if len(d.data) == 0 {
		d.bad = true
		return 0
	}
	b := d.data[0]
	d.data = d.data[1:]
	return b
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.data)
	if n <= 0 {
		d.bad, d.data = true, nil
		return 0
	}
	d.data = d.data[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.data)
	if n <= 0 {
		d.bad, d.data = true, nil
		return 0
	}
	d.data = d.data[n:]
	return v
}

// length reads a number of things that take a byte each at least.
func (d *decoder) length() int {
	n := d.uvarint()
	if n > uint64(len(d.data)) {
		d.bad, d.data = true, nil
		return 0
	}
	return int(n)
}

func (d *decoder) bytes(n int) []byte {
	if n > len(d.data) {
		d.bad, d.data = true, nil
		return nil
	}
	b := d.data[:n]
	d.data = d.data[n:]
	return b
}

func (d *decoder) summary(s *aggregate.Summary) {
	s.Count = d.varint()
	if s.Count == 0 {
		return
	}
	switch scale := d.byte(); {
	case scale == wideNumber:
		sum, err := aggregate.ParseSum(string(d.bytes(d.length())))
		d.bad = d.bad || err != nil
		s.Sum = sum
	default:
		same := scale&alike != 0
		scale &^= alike
		d.bad = d.bad || scale > alike
		coef := d.varint()
		s.Sum.AddFixed(coef, scale)
		if same {
			s.Min = aggregate.Fixed(coef, scale)
			s.Max = s.Min
			return
		}
	}
	s.Min, s.Max = d.number(), d.number()
}

func (d *decoder) number() aggregate.Number {
	scale := d.byte()
	if scale == wideNumber {
		n, err := aggregate.ParseNumberBytes(d.bytes(d.length()))
		d.bad = d.bad || err != nil
		return n
	}
	d.bad = d.bad || scale > alike
	return aggregate.Fixed(d.varint(), scale)
}
