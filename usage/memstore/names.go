package memstore

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
	"unsafe"

	"github.com/usagebook/usagebook/usage"
)

// texts numbers distinct strings in the order of their arrival.
type texts struct {
	seed   maphash.Seed
	index  table
	list   []string
	length int64 // of all of them
}

func (t *texts) hash(s string) uint64 { return maphash.String(t.seed, s) }

func (t *texts) find(s string) (uint32, bool) { return t.findHashed(s, t.hash(s)) }

// findHashed is find for a text whose hash is at hand.
func (t *texts) findHashed(s string, h uint64) (uint32, bool) {
	for c, at := t.index.first(uint32(h)); at >= 0; c, at = t.index.next(uint32(h), at) {
		if t.list[c] == s {
			return c, true
		}
	}
	return 0, false
}

func (t *texts) code(s string) uint32 {
	h := t.hash(s)
	if c, ok := t.findHashed(s, h); ok {
		return c
	}
	// A copy: s may be part of a request that nobody needs any more.
	s = strings.Clone(s)
	c := uint32(len(t.list))
	t.index.insert(uint32(h), c)
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

	// Sets of dimensions as rows of rollups number them.
	sets     []usage.Dimensions
	setIndex table
	setBytes int64

	// Sets of dimensions as series number them, apart from the series, because
	// the same resource is measured by many meters.
	labels labels

	series      [][]atomic.Pointer[usage.Series] // in chunks, so that the pointers stay where they are
	placeOf     []place
	seriesIndex tables

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
type place struct{ pair, local, labels uint32 }

const seriesChunk = 512

func newNames(seed maphash.Seed) names {
	n := names{
		seed:        seed,
		pairOf:      make(map[uint64]uint32),
		seriesIndex: newTables(seriesShardBits),
		labels:      newLabels(),
		verdictOf:   make(map[usage.Verdict]uint32),
	}
	for _, t := range []*texts{&n.tenants, &n.meters, &n.sources, &n.values, &n.attributes} {
		t.seed = n.seed
	}
	return n
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
	tenant := n.tenants.code(tenantName)
	if int(tenant) == len(n.ofTenant) {
		n.ofTenant = append(n.ofTenant, nil)
	}
	meter := n.meters.code(meterName)
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
func (n *names) setCode(d *usage.Dimensions) uint32 {
	h := n.setHash(d)
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

// seriesHash hashes a series by the hashes of its tenant, its meter and its
// labels. All are seeded: who sends records cannot choose what collides.
func seriesHash(tenant, meter, labels uint64) uint64 { return mix(tenant, meter, labels) }

// match returns the place of the series that is sought, whose labels are key.
func (n *names) match(s *sought, tenant uint32, key []byte) (place, bool) {
	t := n.seriesIndex.shard(s.hash)
	for c, at := s.number, s.slot; at >= 0; c, at = t.next(uint32(s.hash), at) {
		p := &n.placeOf[c]
		if of := &n.pairs[p.pair]; of.tenant == tenant && of.meter == s.meter && n.labels.is(p.labels, key) {
			return *p, true
		}
	}
	return place{}, false
}

// seriesCode numbers a series and says where it stands.
func (n *names) seriesCode(r *usage.Record) place {
	pairCode := n.pairCode(r.Tenant, r.Meter)
	n.key = n.labels.appendCoded(n.key[:0], &r.Dimensions, &n.attributes)
	of, inLabels := &n.pairs[pairCode], maphash.Bytes(n.seed, n.key)
	s := sought{meter: of.meter, hash: seriesHash(n.tenants.hash(r.Tenant), n.meters.hash(r.Meter), inLabels)}
	s.number, s.slot = n.seriesIndex.shard(s.hash).first(uint32(s.hash))
	if at, ok := n.match(&s, of.tenant, n.key); ok {
		return at
	}
	c := uint32(len(n.placeOf))
	if c%seriesChunk == 0 {
		n.series = append(n.series, make([]atomic.Pointer[usage.Series], seriesChunk))
	}
	at := place{pair: pairCode, local: uint32(len(of.series)), labels: n.labels.code(n.key, inLabels)}
	of.series = append(of.series, c)
	n.placeOf = append(n.placeOf, at)
	n.seriesIndex.insert(s.hash, c)
	return at
}

// verdictsNear is how many verdicts are compared before one is hashed: between
// two versions of the rules there are two or three.
const verdictsNear = 4

// verdictCode numbers a verdict.
func (n *names) verdictCode(v *usage.Verdict) uint32 {
	for i := len(n.verdicts) - 1; i >= max(0, len(n.verdicts)-verdictsNear); i-- {
		if n.verdicts[i] == *v {
			return uint32(i)
		}
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
	labels                           labelLists
	pairsOf                          []pair // only what never changes in one may be read
	series                           [][]atomic.Pointer[usage.Series]
	shown                            *atomic.Int64 // bytes of what was asked for and is kept
	full                             bool          // there is no room to keep more
	placeOf                          []place
	verdicts                         []usage.Verdict
	classOf                          []uint8
	classes                          []usage.VerdictClass
}

func (n *names) lists() lists {
	return lists{
		tenants: n.tenants.list, meters: n.meters.list, sources: n.sources.list, values: n.values.list,
		labels: n.labels.lists(&n.attributes), pairsOf: n.pairs, series: n.series, shown: n.labels.shown,
		placeOf: n.placeOf, verdicts: n.verdicts, classOf: n.classOf, classes: n.classes,
	}
}

// seriesAt returns a series. It is made when somebody asks for it: of many
// millions of series, each with few records, most are never looked at.
func (l *lists) seriesAt(code uint32) *usage.Series {
	p := &l.series[code/seriesChunk][code%seriesChunk]
	if s := p.Load(); s != nil {
		return s
	}
	at := l.placeOf[code]
	of := &l.pairsOf[at.pair]
	s := &usage.Series{Tenant: l.tenants[of.tenant], Meter: l.meters[of.meter], Dimensions: l.labels.at(at.labels, !l.full)}
	if !l.full && p.CompareAndSwap(nil, s) {
		l.shown.Add(seriesBytes)
	}
	return s
}

// forget lets go of the series and sets of dimensions that were made because
// somebody asked for them. Who has one keeps it.
func (n *names) forget() {
	if n.labels.shown.Load() == 0 {
		return
	}
	for _, chunk := range n.series {
		for i := range chunk {
			if chunk[i].Swap(nil) != nil {
				n.labels.shown.Add(-seriesBytes)
			}
		}
	}
	for _, chunk := range n.labels.sets {
		for i := range chunk {
			if d := chunk[i].Swap(nil); d != nil {
				n.labels.shown.Add(-setBytes(d))
			}
		}
	}
}

// seriesBytes is what a series takes that was asked for, its labels apart.
const seriesBytes = 64
