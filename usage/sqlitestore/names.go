package sqlitestore

import (
	"context"
	"database/sql/driver"
	"encoding/binary"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/internal/intern"
)

// The kinds of names in the dictionary.
const (
	pairName    = 1 // a tenant with a meter, "" for voids
	seriesName  = 2 // a pair with a set of dimensions
	ownerName   = 3 // a tenant with a source
	verdictName = 4
	shapeName   = 5 // a list of names of values
	rollupName  = 6 // a projection and level
	setName     = 7 // a set of dimensions, apart because many meters measure one resource
)

// rememberedNames is about the number of names of each kind that a store keeps
// in memory; more than that cost a look-up in the file now and then.
const rememberedNames = 1 << 17

// names is what a store remembers of the dictionary. A name that was committed
// never changes, so what is remembered is right in every process; what is not
// remembered is looked up.
type names struct {
	codes    cache[string, int64]  // by kind and content, but for series
	pairSets cache[pairSet, int64] // the codes of series
	series   cache[int64, *usage.Series]
	sets     cache[int64, usage.Dimensions]
	owners   cache[int64, owner]
	verdicts cache[int64, usage.Verdict]
	shapes   cache[int64, []string]
	pairs    *pairs
	private  bool // see within
}

// cache remembers names. In a transaction that may still be rolled back, own
// stands before what is shared with everybody else, and nothing is put there.
type cache[K comparable, V any] struct {
	shared  *intern.Cache[K, V]
	own     map[K]V
	private bool
}

func newCache[K comparable, V any]() cache[K, V] {
	return cache[K, V]{shared: intern.New[K, V](rememberedNames)}
}

func (c *cache[K, V]) Get(key K) (V, bool) {
	if v, ok := c.own[key]; ok {
		return v, true
	}
	return c.shared.Get(key)
}

func (c *cache[K, V]) Put(key K, v V) {
	if !c.private {
		c.shared.Put(key, v)
		return
	}
	if c.own == nil {
		c.own = make(map[K]V)
	}
	c.own[key] = v
}

func (c cache[K, V]) within() cache[K, V] { return cache[K, V]{shared: c.shared, private: true} }

// within returns the names as a transaction sees them that gives out new ones:
// after a rollback their codes are given to others, so nothing that it looks up
// may be remembered outside of it.
func (n *names) within() *names {
	return &names{codes: n.codes.within(), pairSets: n.pairSets.within(), series: n.series.within(), sets: n.sets.within(),
		owners: n.owners.within(), verdicts: n.verdicts.within(), shapes: n.shapes.within(), pairs: n.pairs, private: true}
}

type owner struct{ tenant, source string }

// pairSet is a series in codes.
type pairSet struct{ pair, set int64 }

func newNames() *names {
	return &names{
		codes: newCache[string, int64](), pairSets: newCache[pairSet, int64](), series: newCache[int64, *usage.Series](), sets: newCache[int64, usage.Dimensions](),
		owners: newCache[int64, owner](), verdicts: newCache[int64, usage.Verdict](), shapes: newCache[int64, []string](), pairs: new(pairs),
	}
}

// Names as they are kept, each behind its kind.

func appendPair(dst []byte, tenant, meter string) []byte {
	return append(appendText(append(dst, pairName), tenant), meter...)
}

func appendSet(dst []byte, d *usage.Dimensions) []byte {
	return d.AppendKey(binary.AppendUvarint(append(dst, setName), uint64(d.Len())))
}

func appendSeries(dst []byte, pair, set int64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(append(dst, seriesName), uint64(pair)), uint64(set))
}

func appendOwner(dst []byte, tenant, source string) []byte {
	return append(appendText(append(dst, ownerName), tenant), source...)
}

func appendVerdict(dst []byte, v *usage.Verdict) []byte {
	return append(append(dst, verdictName, byte(v.Class())), v.Version...)
}

func appendShape(dst []byte, v *usage.Values) []byte {
	dst = binary.AppendUvarint(append(dst, shapeName), uint64(v.Len()))
	for i := range v.Len() {
		dst = appendText(dst, v.At(i).Name)
	}
	return dst
}

func appendRollup(dst []byte, projection string, level aggregate.Unit) []byte {
	return append(append(dst, rollupName, byte(level)), projection...)
}

// find returns the code of a name, 0 where there is none yet.
func (n *names) find(ctx context.Context, c *conn, name []byte) (int64, error) {
	if code, ok := n.codes.Get(string(name)); ok {
		return code, nil
	}
	code, err := lookName(ctx, c, name)
	if code != 0 {
		// What a reader sees is committed.
		n.codes.Put(string(name), code)
	}
	return code, err
}

func lookName(ctx context.Context, c *conn, name []byte) (code int64, err error) {
	kind, content := int64(name[0]), name[1:]
	var sum int64
	found, err := c.one(ctx, "SELECT code, crc FROM usagebook_names WHERE kind = ? AND content = ?", []driver.Value{kind, content}, func(r *rows) { code, sum = r.int(0), r.int(1) })
	if err != nil || !found {
		return 0, err
	}
	if sum != int64(sumOf(content, kind, code)) {
		return 0, damaged("the checksum of name %d of kind %d is wrong", code, kind)
	}
	return code, nil
}

// content returns the content of a name behind a code.
func (n *names) content(ctx context.Context, c *conn, kind, code int64) ([]byte, error) {
	var content []byte
	var sum int64
	found, err := c.one(ctx, "SELECT content, crc FROM usagebook_names WHERE kind = ? AND code = ?", []driver.Value{kind, code}, func(r *rows) { content, sum = r.blob(0), r.int(1) })
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, damaged("there is no name %d of kind %d", code, kind)
	case sum != int64(sumOf(content, kind, code)):
		return nil, damaged("the checksum of name %d of kind %d is wrong", code, kind)
	}
	return content, nil
}

func unknownForm(kind, code int64) error {
	return damaged("name %d of kind %d is of an unknown form", code, kind)
}

// seriesBlock is how many names of series are read together: who needs one that
// is not remembered mostly needs its neighbours too.
const seriesBlock = 256

// seriesOf returns the series behind a code.
func (n *names) seriesOf(ctx context.Context, c *conn, code int64) (*usage.Series, error) {
	if s, ok := n.series.Get(code); ok {
		return s, nil
	}
	from := code &^ (seriesBlock - 1)
	type read struct {
		code, sum int64
		content   []byte
	}
	var block []read
	r, err := c.query(ctx, "SELECT code, content, crc FROM usagebook_names WHERE kind = ? AND code >= ? AND code < ?", int64(seriesName), from, from+seriesBlock)
	if err != nil {
		return nil, err
	}
	for r.next() {
		block = append(block, read{r.int(0), r.int(2), r.blob(1)})
	}
	if err := r.close(); err != nil {
		return nil, err
	}
	var wanted *usage.Series
	for i := range block {
		b := &block[i]
		if b.sum != int64(sumOf(b.content, seriesName, b.code)) {
			return nil, damaged("the checksum of name %d of kind %d is wrong", b.code, seriesName)
		}
		d := cutter{data: b.content}
		p, err := n.pairOf(ctx, c, d.code())
		if err != nil {
			return nil, err
		}
		s := &usage.Series{Tenant: p.tenant, Meter: p.meter}
		if s.Dimensions, err = n.setOf(ctx, c, d.code()); err != nil {
			return nil, err
		}
		if d.bad || len(d.data) > 0 {
			return nil, unknownForm(seriesName, b.code)
		}
		n.series.Put(b.code, s)
		if b.code == code {
			wanted = s
		}
	}
	if wanted == nil {
		return nil, damaged("there is no name %d of kind %d", code, seriesName)
	}
	return wanted, nil
}

// pairOf returns the pair behind a code.
func (n *names) pairOf(ctx context.Context, c *conn, code int64) (*pair, error) {
	if !n.private {
		return n.pairs.at(ctx, c, code)
	}
	if p := n.pairs.known(code); p != nil {
		return p, nil
	}
	content, err := n.content(ctx, c, pairName, code)
	if err != nil {
		return nil, err
	}
	return parsePair(code, content)
}

// setOf returns the set of dimensions behind a code.
func (n *names) setOf(ctx context.Context, c *conn, code int64) (usage.Dimensions, error) {
	if d, ok := n.sets.Get(code); ok {
		return d, nil
	}
	content, err := n.content(ctx, c, setName, code)
	if err != nil {
		return usage.Dimensions{}, err
	}
	d := cutter{data: content}
	var list []usage.Dimension
	for range min(d.uvarint(), uint64(len(content))) {
		list = append(list, usage.Dimension{Name: d.text(), Value: d.text()})
	}
	if d.bad || len(d.data) > 0 {
		return usage.Dimensions{}, unknownForm(setName, code)
	}
	set := usage.NewDimensions(list...)
	n.sets.Put(code, set)
	return set, nil
}

// findSeries returns the code of a series, 0 where there is none yet.
func (n *names) findSeries(ctx context.Context, c *conn, pair int64, d *usage.Dimensions) (int64, error) {
	set, err := n.find(ctx, c, appendSet(nil, d))
	if err != nil || set == 0 {
		return 0, err
	}
	key := pairSet{pair, set}
	if code, ok := n.pairSets.Get(key); ok {
		return code, nil
	}
	code, err := lookName(ctx, c, appendSeries(nil, pair, set))
	if code != 0 {
		n.pairSets.Put(key, code)
	}
	return code, err
}

func (n *names) ownerOf(ctx context.Context, c *conn, code int64) (owner, error) {
	if o, ok := n.owners.Get(code); ok {
		return o, nil
	}
	content, err := n.content(ctx, c, ownerName, code)
	if err != nil {
		return owner{}, err
	}
	d := cutter{data: content}
	o := owner{tenant: d.text()}
	o.source = string(d.data)
	if d.bad {
		return o, unknownForm(ownerName, code)
	}
	n.owners.Put(code, o)
	return o, nil
}

// identity returns the identity behind a key.
func (n *names) identity(ctx context.Context, c *conn, key []byte) (usage.Identity, error) {
	code, id, ok := parseIdentity(key)
	if !ok {
		return usage.Identity{}, damaged("an identity is of an unknown form")
	}
	o, err := n.ownerOf(ctx, c, code)
	return usage.Identity{Tenant: o.tenant, Source: o.source, ID: id}, err
}

func (n *names) verdictOf(ctx context.Context, c *conn, code int64) (usage.Verdict, error) {
	if v, ok := n.verdicts.Get(code); ok {
		return v, nil
	}
	content, err := n.content(ctx, c, verdictName, code)
	if err != nil {
		return usage.Verdict{}, err
	}
	if len(content) == 0 {
		return usage.Verdict{}, unknownForm(verdictName, code)
	}
	class := usage.VerdictClass(content[0])
	v := usage.Verdict{State: class.State(), Billable: class.Billable(), Version: string(content[1:])}
	n.verdicts.Put(code, v)
	return v, nil
}

func (n *names) shapeOf(ctx context.Context, c *conn, code int64) ([]string, error) {
	if s, ok := n.shapes.Get(code); ok {
		return s, nil
	}
	content, err := n.content(ctx, c, shapeName, code)
	if err != nil {
		return nil, err
	}
	list, ok := parseShape(content)
	if !ok {
		return nil, unknownForm(shapeName, code)
	}
	n.shapes.Put(code, list)
	return list, nil
}

func parseShape(content []byte) (list []string, ok bool) {
	d := cutter{data: content}
	list = []string{}
	for range min(d.uvarint(), uint64(len(content))) {
		list = append(list, d.text())
	}
	return list, !d.bad && len(d.data) == 0
}

// coiner gives codes to names inside a transaction. What it gave is remembered
// by others only when that is committed.
type coiner struct {
	*names      // as the transaction sees them
	all         *names
	fresh       map[string]int64
	freshSeries map[pairSet]int64
	next        [8]int64 // by kind; 0: not known yet
	name        []byte   // scratch
}

func newCoiner(n *names) *coiner {
	return &coiner{names: n.within(), all: n, fresh: make(map[string]int64), freshSeries: make(map[pairSet]int64)}
}

// code returns the code of a name, a new one where it has none.
func (n *coiner) code(ctx context.Context, c *conn, name []byte) (int64, error) {
	if code, ok := n.codes.Get(string(name)); ok {
		return code, nil
	}
	if code, ok := n.fresh[string(name)]; ok {
		return code, nil
	}
	code, err := n.coin(ctx, c, name)
	if err == nil {
		n.fresh[string(name)] = code
	}
	return code, err
}

// seriesCode returns the code of a series, a new one where it has none.
func (n *coiner) seriesCode(ctx context.Context, c *conn, pair int64, d *usage.Dimensions) (int64, error) {
	n.name = appendSet(n.name[:0], d)
	set, err := n.code(ctx, c, n.name)
	if err != nil {
		return 0, err
	}
	key := pairSet{pair, set}
	if code, ok := n.pairSets.Get(key); ok {
		return code, nil
	}
	if code, ok := n.freshSeries[key]; ok {
		return code, nil
	}
	n.name = appendSeries(n.name[:0], pair, set)
	code, err := n.coin(ctx, c, n.name)
	if err == nil {
		n.freshSeries[key] = code
	}
	return code, err
}

// remembered returns the code of a record's series; 0 where it is not at hand.
func (n *coiner) remembered(r *usage.Record) int64 {
	has := func(name []byte) int64 {
		code, ok := n.codes.Get(string(name))
		if !ok {
			code = n.fresh[string(name)]
		}
		n.name = name // scratch
		return code
	}
	pair := has(appendPair(n.name[:0], r.Tenant, r.Meter))
	set := has(appendSet(n.name[:0], &r.Dimensions))
	if pair == 0 || set == 0 {
		return 0
	}
	key := pairSet{pair, set}
	if code, ok := n.pairSets.Get(key); ok {
		return code
	}
	return n.freshSeries[key]
}

// coin returns the code of a name that is not remembered. Most of these are new:
// so it tries to write it, and the index of contents says where it is there.
func (n *coiner) coin(ctx context.Context, c *conn, name []byte) (int64, error) {
	kind, content := int64(name[0]), name[1:]
	if n.next[kind] == 0 {
		if _, err := c.one(ctx, "SELECT ifnull(max(code), 0) FROM usagebook_names WHERE kind = ?", []driver.Value{kind}, func(r *rows) { n.next[kind] = r.int(0) + 1 }); err != nil {
			return 0, err
		}
	}
	code := n.next[kind]
	added, err := c.exec(ctx, "INSERT INTO usagebook_names (kind, code, content, crc) VALUES (?, ?, ?, ?) ON CONFLICT (kind, content) DO NOTHING",
		kind, code, content, int64(sumOf(content, kind, code)))
	if err != nil {
		return 0, err
	}
	if added > 0 {
		n.next[kind]++
		return code, nil
	}
	if code, err = lookName(ctx, c, name); err == nil && code == 0 {
		err = damaged("a name of kind %d is there and is not found", kind)
	}
	return code, err
}

// committed remembers what was given.
func (n *coiner) committed() {
	for name, code := range n.fresh {
		n.all.codes.Put(name, code)
	}
	for key, code := range n.freshSeries {
		n.all.pairSets.Put(key, code)
	}
}
