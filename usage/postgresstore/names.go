package postgresstore

import (
	"context"
	"encoding/binary"
	"hash/fnv"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/internal/intern"
)

// names remembers the ids of what records have in common, and what ids stand
// for. An id stands for one content for ever, whether or not the transaction
// that made it was committed, so what ids stand for may be remembered from
// anywhere. The other way round only what is known to be committed may be: the
// id of a transaction that is rolled back is in no table.
type names struct {
	pairs    *intern.Cache[string, int64]
	series   *intern.Cache[string, seriesCode]
	shapes   *intern.Cache[string, int64]
	verdicts *intern.Cache[usage.Verdict, int64]

	pairOf    *intern.Cache[int64, *usage.Series] // without dimensions
	seriesOf  *intern.Cache[int64, *usage.Series]
	shapeOf   *intern.Cache[int64, []string]
	verdictOf *intern.Cache[int64, usage.Verdict]
	// rollupSetOf is what the ids of rollup_sets stand for.
	rollupSetOf *intern.Cache[int64, *usage.Series]

	// shapesNow are all shapes, when they were looked up last.
	shapesNow atomic.Pointer[[]shape]
	// pairsKnown are all pairs, when they were looked up last.
	pairsKnown atomic.Pointer[pairsKnown]

	mu         sync.Mutex // guards the block of ids
	next, last int64
}

type seriesCode struct{ pair, series int64 }

// idBlock is how many ids are drawn at a time.
const idBlock = 1000

func newNames(series int) *names {
	return &names{
		pairs: intern.New[string, int64](series), series: intern.New[string, seriesCode](series),
		shapes: intern.New[string, int64](10_000), verdicts: intern.New[usage.Verdict, int64](10_000),
		pairOf: intern.New[int64, *usage.Series](series), seriesOf: intern.New[int64, *usage.Series](series),
		shapeOf: intern.New[int64, []string](10_000), verdictOf: intern.New[int64, usage.Verdict](10_000),
		rollupSetOf: intern.New[int64, *usage.Series](series),
	}
}

// codes are the ids that a record is booked with.
type codes struct{ pair, series, shape, verdict int64 }

// unknown collects what has no id yet.
type unknown struct {
	series   map[string]*usage.Series
	pairs    map[string]*usage.Series
	shapes   map[string][]string
	verdicts map[usage.Verdict]bool
}

func (u *unknown) empty() bool {
	return len(u.series) == 0 && len(u.shapes) == 0 && len(u.verdicts) == 0
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func pairKey(tenant, meter string) string {
	return string(appendText(appendText(nil, tenant), meter))
}

// appendSeriesKey appends a form of a series that is its own alone.
func appendSeriesKey(b []byte, tenant, meter string, d *usage.Dimensions) []byte {
	return d.AppendKey(appendText(appendText(b, tenant), meter))
}

// hashOf is kept in the tables: it must never change.
func hashOf(d *usage.Dimensions) int64 {
	h := fnv.New64a()
	h.Write(d.AppendKey(nil))
	return int64(h.Sum64())
}

// fresh are names that a transaction is about to book.
type fresh struct {
	pairs, series, shapes, verdicts [4]array // columns
	learn                           []func(*names)
}

// statements book the names.
func (f *fresh) statements(q *statements) []statement {
	var out []statement
	add := func(sql string, cols *[4]array, n int) {
		if len(cols[0].b) == 0 {
			return
		}
		st := statement{sql: sql}
		for i := range n {
			st.args = append(st.args, cols[i].String())
		}
		out = append(out, st)
	}
	add(q.newPairs, &f.pairs, 3)
	add(q.newSeries, &f.series, 4)
	add(q.newShapes, &f.shapes, 2)
	add(q.newVerdicts, &f.verdicts, 4)
	return out
}

// committed remembers the names for good.
func (f *fresh) committed(n *names) {
	if f != nil {
		for _, learn := range f.learn {
			learn(n)
		}
	}
}

// encode returns the ids for entries of a batch, those at the given places. What
// has none yet is looked up in the session, and what is not there gets a new
// one; that is in fresh and for the caller to book.
func (s *Store) encode(ctx context.Context, in session, b *usage.Batch, at []int) ([]codes, *fresh, error) {
	out := make([]codes, len(at))
	var miss unknown
	if s.names.known(b, at, out, &miss, nil); miss.empty() {
		return out, nil, nil
	}
	found, err := s.lookUp(ctx, in, &miss)
	if err != nil {
		return nil, nil, err
	}
	f, err := s.assign(ctx, in, &miss, found)
	if err != nil {
		return nil, nil, err
	}
	s.names.known(b, at, out, &miss, found)
	for _, c := range out {
		if c.pair == 0 || c.series == 0 || c.shape == 0 || c.verdict == 0 {
			return nil, nil, damaged("a name has no id after it was given one")
		}
	}
	return out, f, nil
}

// found are ids that were looked up or assigned for one call.
type found struct {
	pairs    map[string]int64
	series   map[string]seriesCode
	shapes   map[string]int64
	verdicts map[usage.Verdict]int64
}

// known fills in the ids that are remembered, or found, and collects in miss
// what is neither.
func (n *names) known(b *usage.Batch, at []int, out []codes, miss *unknown, more *found) {
	var key []byte
	var lastVerdict usage.Verdict
	var lastVerdictID int64
	var lastShape string
	var lastShapeID int64
	for k, i := range at {
		e := b.At(i)
		r := &e.Record
		c := &out[k]
		key = appendSeriesKey(key[:0], r.Tenant, r.Meter, &r.Dimensions)
		code, ok := intern.GetBytes(n.series, key)
		if !ok && more != nil {
			code, ok = more.series[string(key)]
		}
		if ok {
			c.pair, c.series = code.pair, code.series
		} else if c.series == 0 {
			sk := string(key)
			if miss.series == nil {
				miss.series, miss.pairs = map[string]*usage.Series{}, map[string]*usage.Series{}
			}
			if miss.series[sk] == nil {
				series := &usage.Series{Tenant: r.Tenant, Meter: r.Meter, Dimensions: r.Dimensions}
				miss.series[sk] = series
				miss.pairs[pairKey(r.Tenant, r.Meter)] = series
			}
		}

		if r.Values.Len() == 1 {
			key = appendText(key[:0], r.Values.At(0).Name)
		} else {
			key = key[:0]
			for name := range r.Values.All() {
				key = appendText(key, name)
			}
		}
		switch {
		case c.shape != 0:
			// Of an earlier pass. What was remembered then may be forgotten now.
		case lastShapeID != 0 && string(key) == lastShape:
			c.shape = lastShapeID
		default:
			vk := string(key)
			id, ok := n.shapes.Get(vk)
			if !ok && more != nil {
				id, ok = more.shapes[vk]
			}
			if ok {
				c.shape, lastShape, lastShapeID = id, vk, id
			} else {
				list := []string{}
				for name := range r.Values.All() {
					list = append(list, name)
				}
				if miss.shapes == nil {
					miss.shapes = map[string][]string{}
				}
				miss.shapes[vk] = list
			}
		}

		if c.verdict != 0 {
			continue
		}
		if lastVerdictID != 0 && e.Verdict == lastVerdict {
			c.verdict = lastVerdictID
			continue
		}
		id, ok := n.verdicts.Get(e.Verdict)
		if !ok && more != nil {
			id, ok = more.verdicts[e.Verdict]
		}
		if ok {
			c.verdict, lastVerdict, lastVerdictID = id, e.Verdict, id
		} else {
			if miss.verdicts == nil {
				miss.verdicts = map[usage.Verdict]bool{}
			}
			miss.verdicts[e.Verdict] = true
		}
	}
}

// lookUp looks for names in the tables. What is known to be committed is
// remembered.
func (s *Store) lookUp(ctx context.Context, in session, miss *unknown) (*found, error) {
	n := s.names
	out := &found{pairs: map[string]int64{}, series: map[string]seriesCode{}, shapes: map[string]int64{}, verdicts: map[usage.Verdict]int64{}}
	var seriesTenants, seriesMeters, hashes, tenants, meters array
	for _, x := range miss.series {
		seriesTenants.text(x.Tenant)
		seriesMeters.text(x.Meter)
		hashes.int(hashOf(&x.Dimensions))
	}
	for _, p := range miss.pairs {
		tenants.text(p.Tenant)
		meters.text(p.Meter)
	}
	list := []statement{
		{s.sql.findSeries, []any{seriesTenants.String(), seriesMeters.String(), hashes.String()}},
		{s.sql.findPairs, []any{tenants.String(), meters.String()}},
	}
	if len(miss.shapes) > 0 {
		var keys array
		for _, names := range miss.shapes {
			keys.text(texts(names))
		}
		list = append(list, statement{s.sql.findShapes, []any{keys.String()}})
	}
	if len(miss.verdicts) > 0 {
		list = append(list, statement{s.sql.allVerdicts, nil})
	}
	err := in.run(ctx, list, func(i int, c [][]byte) error {
		id, committed, err := idAndCommitted(c)
		if err != nil {
			return err
		}
		switch sql := list[i].sql; sql {
		case s.sql.findSeries:
			pair, err := parseInt(c[2])
			if err != nil {
				return err
			}
			dims, err := unquote(c[5])
			if err != nil {
				return err
			}
			series, err := newSeries(string(c[3]), string(c[4]), dims)
			if err != nil {
				return err
			}
			key := string(appendSeriesKey(nil, series.Tenant, series.Meter, &series.Dimensions))
			code := seriesCode{pair, id}
			if miss.series[key] == nil {
				return nil // another one of the same hash
			}
			if old, ok := out.series[key]; ok && old.series < id {
				return nil
			}
			out.series[key] = code
			n.seriesOf.Put(id, series)
			if committed {
				n.series.Put(key, code)
			}
		case s.sql.findPairs:
			key := pairKey(string(c[2]), string(c[3]))
			if old, ok := out.pairs[key]; ok && old < id {
				return nil
			}
			out.pairs[key] = id
			if committed {
				n.pairs.Put(key, id)
			}
		case s.sql.findShapes:
			list, err := unquote(c[2])
			if err != nil {
				return err
			}
			key := shapeKey(list)
			out.shapes[key] = id
			n.shapeOf.Put(id, list)
			if committed {
				n.shapes.Put(key, id)
			}
		case s.sql.allVerdicts:
			v, err := verdictOf(c[2:])
			if err != nil {
				return err
			}
			out.verdicts[v] = id
			n.verdictOf.Put(id, v)
			if committed {
				n.verdicts.Put(v, id)
			}
		}
		return nil
	})
	return out, err
}

func shapeKey(names []string) string {
	var key []byte
	for _, name := range names {
		key = appendText(key, name)
	}
	return string(key)
}

func idAndCommitted(c [][]byte) (id int64, committed bool, err error) {
	id, err = parseInt(c[0])
	return id, string(c[1]) == "true", err
}

func parseInt(b []byte) (int64, error) {
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return 0, damaged("%.40q is no integer", b)
	}
	return n, nil
}

func verdictOf(c [][]byte) (usage.Verdict, error) {
	state, err := parseInt(c[0])
	class := classOf(state, string(c[1]) == "true")
	return usage.Verdict{State: class.State(), Billable: class.Billable(), Version: string(c[2])}, err
}

// classOf returns the class of a verdict as the tables have it.
func classOf(state int64, billable bool) usage.VerdictClass {
	class := usage.VerdictClass(state << 1)
	if billable {
		class |= 1
	}
	return class
}

// newSeries makes a series of what is in the tables.
func newSeries(tenant, meter string, dims []string) (*usage.Series, error) {
	if len(dims)%2 != 0 {
		return nil, damaged("a series of %d names and values", len(dims))
	}
	list := make([]usage.Dimension, len(dims)/2)
	for i := range list {
		list[i] = usage.Dimension{Name: dims[2*i], Value: dims[2*i+1]}
	}
	return &usage.Series{Tenant: tenant, Meter: meter, Dimensions: usage.NewDimensions(list...)}, nil
}

// assign gives new ids to what was not found.
func (s *Store) assign(ctx context.Context, in session, miss *unknown, have *found) (*fresh, error) {
	f := new(fresh)
	var newPairs, newSeries, newShapes []string
	var newVerdicts []usage.Verdict
	for key := range miss.series {
		if _, ok := have.series[key]; !ok {
			newSeries = append(newSeries, key)
		}
	}
	// A pair is wanted for a new series alone.
	for _, sk := range newSeries {
		key := pairKey(miss.series[sk].Tenant, miss.series[sk].Meter)
		if _, ok := have.pairs[key]; ok {
			continue
		}
		if id, ok := s.names.pairs.Get(key); ok {
			have.pairs[key] = id
			continue
		}
		have.pairs[key] = 0
		newPairs = append(newPairs, key)
	}
	for key := range miss.shapes {
		if _, ok := have.shapes[key]; !ok {
			newShapes = append(newShapes, key)
		}
	}
	for v := range miss.verdicts {
		if _, ok := have.verdicts[v]; !ok {
			newVerdicts = append(newVerdicts, v)
		}
	}
	ids, err := s.ids(ctx, in, len(newPairs)+len(newSeries)+len(newShapes)+len(newVerdicts))
	if err != nil {
		return nil, err
	}
	take := func() int64 {
		id := ids[0]
		ids = ids[1:]
		return id
	}
	for _, key := range newPairs {
		id, p := take(), miss.pairs[key]
		have.pairs[key] = id
		f.pairs[0].int(id)
		f.pairs[1].text(p.Tenant)
		f.pairs[2].text(p.Meter)
		f.learn = append(f.learn, func(n *names) { n.pairs.Put(key, id) })
	}
	for _, key := range newSeries {
		id, x := take(), miss.series[key]
		code := seriesCode{have.pairs[pairKey(x.Tenant, x.Meter)], id}
		have.series[key] = code
		f.series[0].int(id)
		f.series[1].int(code.pair)
		f.series[2].int(hashOf(&x.Dimensions))
		f.series[3].text(texts(flat(&x.Dimensions)))
		f.learn = append(f.learn, func(n *names) { n.series.Put(key, code); n.seriesOf.Put(id, x) })
	}
	for _, key := range newShapes {
		id, list := take(), miss.shapes[key]
		have.shapes[key] = id
		f.shapes[0].int(id)
		f.shapes[1].text(texts(list))
		f.learn = append(f.learn, func(n *names) { n.shapes.Put(key, id); n.shapeOf.Put(id, list) })
	}
	for _, v := range newVerdicts {
		id := take()
		have.verdicts[v] = id
		f.verdicts[0].int(id)
		f.verdicts[1].int(int64(v.State))
		f.verdicts[2].text(strconv.FormatBool(v.Billable))
		f.verdicts[3].text(v.Version)
		f.learn = append(f.learn, func(n *names) { n.verdicts.Put(v, id); n.verdictOf.Put(id, v) })
	}
	return f, nil
}

// flat returns dimensions as they are kept: name, value, name, value.
func flat(d *usage.Dimensions) []string {
	out := make([]string, 0, 2*d.Len())
	for name, value := range d.All() {
		out = append(out, name, value)
	}
	return out
}

// ids returns ids that nobody has. They come in blocks, so that most new names
// cost no round trip of their own.
func (s *Store) ids(ctx context.Context, in session, n int) ([]int64, error) {
	if n == 0 {
		return nil, nil
	}
	out := make([]int64, 0, n)
	take := func() {
		s.names.mu.Lock()
		defer s.names.mu.Unlock()
		for len(out) < n && s.names.next < s.names.last {
			out = append(out, s.names.next)
			s.names.next++
		}
	}
	if take(); len(out) == n {
		return out, nil
	}
	blocks := (n - len(out) + idBlock - 1) / idBlock
	err := in.run(ctx, []statement{{s.sql.nextIDs, []any{blocks}}}, func(_ int, c [][]byte) error {
		block, err := parseInt(c[0])
		if err != nil {
			return err
		}
		from := block * idBlock
		for to := from + idBlock; from < to; from++ {
			if len(out) < n {
				out = append(out, from)
				continue
			}
			s.names.mu.Lock()
			s.names.next, s.names.last = from, to
			s.names.mu.Unlock()
			break
		}
		return nil
	})
	if err == nil && len(out) < n {
		err = damaged("the sequence of ids gives none")
	}
	return out, err
}

// resolve returns what ids stand for: from the cache, and what it does not
// remember from the tables.
func resolve[V any](ctx context.Context, in session, cache *intern.Cache[int64, V], sql string, ids []int64, decode func([][]byte) (V, error)) (map[int64]V, error) {
	out := make(map[int64]V)
	var miss []int64
	for _, id := range ids {
		if _, ok := out[id]; ok {
			continue
		}
		v, ok := cache.Get(id)
		if !ok {
			miss = append(miss, id)
		}
		out[id] = v
	}
	for part := range slices.Chunk(miss, 10_000) {
		n := 0
		read := func() error {
			n = 0
			return in.run(ctx, []statement{{sql, []any{ints(part)}}}, func(_ int, c [][]byte) error {
				id, err := parseInt(c[0])
				if err != nil {
					return err
				}
				v, err := decode(c[1:])
				if err != nil {
					return err
				}
				n++
				out[id] = v
				cache.Put(id, v)
				return nil
			})
		}
		var err error
		if outsideTransaction(in) {
			err = retry(ctx, read)
		} else {
			err = read()
		}
		if err == nil && n != len(part) {
			err = damaged("of %d names %d are there", len(part), n)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *Store) resolveSeries(ctx context.Context, in session, ids []int64) (map[int64]*usage.Series, error) {
	return resolve(ctx, in, s.names.seriesOf, s.sql.seriesByID, ids, decodeSeries)
}

func decodeSeries(c [][]byte) (*usage.Series, error) {
	dims, err := unquote(c[2])
	if err != nil {
		return nil, err
	}
	return newSeries(string(c[0]), string(c[1]), dims)
}

func (s *Store) resolvePairs(ctx context.Context, in session, ids []int64) (map[int64]*usage.Series, error) {
	return resolve(ctx, in, s.names.pairOf, s.sql.pairsByID, ids, func(c [][]byte) (*usage.Series, error) {
		return &usage.Series{Tenant: string(c[0]), Meter: string(c[1])}, nil
	})
}

func (s *Store) resolveShapes(ctx context.Context, in session, ids []int64) (map[int64][]string, error) {
	return resolve(ctx, in, s.names.shapeOf, s.sql.shapesByID, ids, func(c [][]byte) ([]string, error) { return unquote(c[0]) })
}

func (s *Store) resolveVerdicts(ctx context.Context, in session, ids []int64) (map[int64]usage.Verdict, error) {
	return resolve(ctx, in, s.names.verdictOf, s.sql.verdictsByID, ids, verdictOf)
}
