package memstore

import (
	"hash/maphash"
	"strings"
	"unsafe"

	"github.com/usagebook/usagebook/usage"
)

// texts numbers distinct strings in the order of their arrival.
type texts struct {
	codes  map[string]uint32
	list   []string
	length int64 // of all of them
}

func (t *texts) find(s string) (uint32, bool) {
	c, ok := t.codes[s]
	return c, ok
}

func (t *texts) code(s string) uint32 {
	if c, ok := t.codes[s]; ok {
		return c
	}
	if t.codes == nil {
		t.codes = make(map[string]uint32)
	}
	// A copy: s may be part of a request that nobody needs any more.
	s = strings.Clone(s)
	c := uint32(len(t.list))
	t.codes[s] = c
	t.list = append(t.list, s)
	t.length += int64(len(s))
	return c
}

// names is the dictionary of a store: everything that repeats from record to
// record is here once, and rows carry numbers. Numbers are given in order and
// never change, so the head of a list that a reader took under the lock stays
// right while the writer goes on behind it.
type names struct {
	seed maphash.Seed
	key  []byte // scratch of the writer

	tenants, meters, sources texts
	values                   texts // names of values
	attributes               texts // names of dimensions

	// A pair is a tenant with a meter: what rows of a segment are sorted by
	// first. Voids, which have no meter, are pairs with the meter "".
	pairs    []pair
	pairOf   map[uint64]uint32
	ofTenant [][]uint32 // tenant -> pairs

	// Sets of dimensions are apart from series, because the same resource is
	// measured by many meters.
	sets     []usage.Dimensions
	setIndex table
	setBytes int64

	series      [][]usage.Series // in chunks, so that pointers to them stay good
	seriesCount int
	placeOf     []place
	seriesIndex table

	verdicts  []usage.Verdict
	verdictOf map[usage.Verdict]uint32
	classOf   []uint8 // verdict -> class
	classes   []usage.VerdictClass
}

type pair struct {
	tenant, meter uint32
	series        []uint32 // by local number
}

// place is where a series stands: in which pair, and its number there. Rows of
// a segment are grouped by pair, so the small local number is all they keep.
type place struct{ pair, local, set uint32 }

const seriesChunk = 512

func newNames() names {
	return names{
		seed:      maphash.MakeSeed(),
		pairOf:    make(map[uint64]uint32),
		verdictOf: make(map[usage.Verdict]uint32),
	}
}

// mix spreads numbers over 64 bits.
func mix(a, b, c uint64) uint64 {
	h := a*0x9e3779b97f4a7c15 ^ b*0xc2b2ae3d27d4eb4f ^ c*0x165667b19e3779f9
	h ^= h >> 29
	h *= 0xbf58476d1ce4e5b9
	return h ^ h>>32
}

func pairKey(tenant, meter uint32) uint64 { return uint64(tenant)<<32 | uint64(meter) }

// pairCode numbers a tenant with a meter.
func (n *names) pairCode(tenantName, meterName string) uint32 {
	return n.pairOfCodes(n.tenantCode(tenantName), n.meters.code(meterName))
}

func (n *names) tenantCode(name string) uint32 {
	c := n.tenants.code(name)
	if int(c) == len(n.ofTenant) {
		n.ofTenant = append(n.ofTenant, nil)
	}
	return c
}

func (n *names) pairOfCodes(tenant, meter uint32) uint32 {
	k := pairKey(tenant, meter)
	if p, ok := n.pairOf[k]; ok {
		return p
	}
	p := uint32(len(n.pairs))
	n.pairs = append(n.pairs, pair{tenant: tenant, meter: meter})
	n.pairOf[k] = p
	n.ofTenant[tenant] = append(n.ofTenant[tenant], p)
	return p
}

func (n *names) setHash(d *usage.Dimensions) uint64 {
	n.key = d.AppendKey(n.key[:0])
	return maphash.Bytes(n.seed, n.key)
}

// setFind looks a set of dimensions up.
func (n *names) setFind(d *usage.Dimensions, h uint64) (uint32, bool) {
	return n.setIndex.find(uint32(h), func(c uint32) bool { return n.sets[c].Equal(*d) })
}

// setCode numbers a set of dimensions.
func (n *names) setCode(d *usage.Dimensions) uint32 { return n.setNumber(d, n.setHash(d)) }

func (n *names) setNumber(d *usage.Dimensions, h uint64) uint32 {
	if c, ok := n.setFind(d, h); ok {
		return c
	}
	c := uint32(len(n.sets))
	n.sets = append(n.sets, n.own(d))
	n.setBytes += int64(unsafe.Sizeof(usage.Dimensions{})) * 3 / 2 // lists grow ahead
	n.setIndex.insert(uint32(h), c)
	return c
}

// own returns a copy of a set that shares no memory with the caller's.
func (n *names) own(d *usage.Dimensions) usage.Dimensions {
	if d.Len() == 0 {
		return usage.Dimensions{}
	}
	var b strings.Builder
	for i := range d.Len() {
		b.WriteString(d.At(i).Value)
	}
	all := b.String()
	n.setBytes += int64(b.Cap()) + int64(d.Len())*int64(unsafe.Sizeof(usage.Dimension{}))
	list := make([]usage.Dimension, d.Len())
	for i := range list {
		e := d.At(i)
		list[i] = usage.Dimension{Name: n.attributes.list[n.attributes.code(e.Name)], Value: all[:len(e.Value)]}
		all = all[len(e.Value):]
	}
	return usage.NewDimensions(list...)
}

// seriesCode numbers a series and says where it stands.
func (n *names) seriesCode(pairCode uint32, d *usage.Dimensions) place {
	inSet := n.setHash(d)
	h := uint32(mix(uint64(pairCode), inSet, 1))
	if c, ok := n.seriesIndex.find(h, func(c uint32) bool {
		return n.placeOf[c].pair == pairCode && n.sets[n.placeOf[c].set].Equal(*d)
	}); ok {
		return n.placeOf[c]
	}
	set := n.setNumber(d, inSet)
	c := uint32(n.seriesCount)
	if n.seriesCount%seriesChunk == 0 {
		n.series = append(n.series, make([]usage.Series, seriesChunk))
	}
	p := &n.pairs[pairCode]
	n.series[c/seriesChunk][c%seriesChunk] = usage.Series{
		Tenant: n.tenants.list[p.tenant], Meter: n.meters.list[p.meter], Dimensions: n.sets[set],
	}
	n.seriesCount++
	at := place{pair: pairCode, local: uint32(len(p.series)), set: set}
	p.series = append(p.series, c)
	n.placeOf = append(n.placeOf, at)
	n.seriesIndex.insert(h, c)
	return at
}

// verdictCode numbers a verdict.
func (n *names) verdictCode(v *usage.Verdict) uint32 {
	if len(n.verdicts) > 0 && n.verdicts[len(n.verdicts)-1] == *v {
		return uint32(len(n.verdicts) - 1)
	}
	if c, ok := n.verdictOf[*v]; ok {
		return c
	}
	own := *v
	own.Version = strings.Clone(v.Version)
	c := uint32(len(n.verdicts))
	n.verdicts = append(n.verdicts, own)
	n.verdictOf[own] = c
	class := own.Class()
	k := 0
	for k < len(n.classes) && n.classes[k] != class {
		k++
	}
	if k == len(n.classes) {
		n.classes = append(n.classes, class)
	}
	n.classOf = append(n.classOf, uint8(k))
	return c
}

// lists are the heads of the dictionary's lists at one moment, for readers.
type lists struct {
	tenants, meters, sources, values []string
	series                           [][]usage.Series
	placeOf                          []place
	verdicts                         []usage.Verdict
	classOf                          []uint8
	classes                          []usage.VerdictClass
}

func (n *names) lists() lists {
	return lists{
		tenants: n.tenants.list, meters: n.meters.list, sources: n.sources.list, values: n.values.list,
		series: n.series, placeOf: n.placeOf, verdicts: n.verdicts, classOf: n.classOf, classes: n.classes,
	}
}

func (l *lists) seriesAt(code uint32) *usage.Series {
	return &l.series[code/seriesChunk][code%seriesChunk]
}
