package sqlitestore

import (
	"cmp"
	"context"
	"database/sql/driver"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/internal/chunk"
)

// ScanRollups yields rollup rows; see [usage.Store] for the rules. The yielded
// row is reused. No connection is held while it yields: should the checkpoint stop
// being held in the meantime, the scan ends with usage.ErrHeld.
//
// At checkpoint 0, where every book begins, there are no rows.
func (s *Store) ScanRollups(ctx context.Context, sel usage.RollupSelection) iter.Seq2[*usage.Rollup, error] {
	return func(yield func(*usage.Rollup, error) bool) {
		r := rollupReader{s: s, ctx: ctx, sel: &sel, yield: yield}
		if err := r.run(); err != nil && err != errStopped {
			yield(nil, fault("rollups", err))
		}
	}
}

// rollupReader is a scan of rollups under way.
type rollupReader struct {
	s     *Store
	ctx   context.Context
	sel   *usage.RollupSelection
	yield func(*usage.Rollup, error) bool

	kind        int64
	first, last int64 // spans
	pairs       []*pair
	every       bool // pairs are all there are
	// keys are the rows wanted of each chunk; nil: all.
	keys map[chunkPlace][]bucketKey

	older  bool // the checkpoint is not the newest: rows may have been replaced
	found  []foundChunk
	unused []chunk.Chunk // to be decoded into
	out    usage.Rollup
}

// foundChunk is a chunk that was read and not yielded yet.
type foundChunk struct {
	at     chunkPlace
	pair   *pair
	series *usage.Series
	rows   chunk.Chunk
}

type bucketKey struct {
	bucket  int64
	verdict usage.VerdictClass
}

// chunksAtOnce is about the number of chunks that are read before their rows are
// yielded.
const chunksAtOnce = 256

func (r *rollupReader) run() error {
	if err := r.sel.Scope.Check(); err != nil {
		return err
	}
	if err := r.s.pool.read(r.ctx, r.resolve); err != nil || r.kind == 0 {
		return err
	}
	switch {
	case r.keys != nil:
		return r.byKey()
	case r.every:
		return r.all()
	}
	return r.byPair()
}

// resolve looks up the names of the selection.
func (r *rollupReader) resolve(c *conn) (err error) {
	if r.sel.Checkpoint == 0 {
		return nil
	}
	// Asked first: the names of rows that are committed from here on may be
	// missing in what is read below.
	if err := r.held(c); err != nil {
		return err
	}
	if r.first, r.last = chunk.Spans(r.sel.Level, r.sel.From, r.sel.To); r.first > r.last {
		return nil
	}
	all, byTenant, err := r.s.names.pairs.upToCheckpoint(r.ctx, c, int64(min(r.sel.Checkpoint, math.MaxInt64)))
	if err != nil {
		return err
	}
	tenants, every := r.sel.Scope.Tenants()
	if r.pairs = all; !every {
		r.pairs = nil
		for _, t := range tenants {
			r.pairs = append(r.pairs, byTenant(t)...)
		}
	}
	if r.every = every && r.sel.Meters == nil; r.sel.Meters != nil {
		r.pairs = slices.DeleteFunc(slices.Clone(r.pairs), func(p *pair) bool { return !slices.Contains(r.sel.Meters, p.meter) })
	}
	if r.sel.Keys != nil {
		if err := r.number(c); err != nil {
			return err
		}
	}
	r.kind, err = r.s.names.find(r.ctx, c, appendRollup(nil, r.sel.Projection, r.sel.Level))
	return err
}

// number finds the chunks of the wanted keys. A key whose names are unknown has
// no row.
func (r *rollupReader) number(c *conn) error {
	r.keys = make(map[chunkPlace][]bucketKey)
	kind, err := r.s.names.find(r.ctx, c, appendRollup(nil, r.sel.Projection, r.sel.Level))
	if err != nil {
		return err
	}
	type names struct{ tenant, meter string }
	pairs := make(map[names]*pair, len(r.pairs))
	for _, p := range r.pairs {
		pairs[names{p.tenant, p.meter}] = p
	}
	for i := range r.sel.Keys {
		k := &r.sel.Keys[i]
		p := pairs[names{k.Tenant, k.Meter}]
		if k.Projection != r.sel.Projection || k.Level != r.sel.Level || p == nil {
			continue
		}
		series, err := r.s.names.findSeries(r.ctx, c, p.code, &k.Dimensions)
		if err != nil {
			return err
		}
		at := chunkPlace{kind, p.code, chunk.SpanOf(k.Level, k.Bucket), series}
		if b := (bucketKey{k.Bucket, k.Verdict}); series != 0 && !slices.Contains(r.keys[at], b) {
			r.keys[at] = append(r.keys[at], b)
		}
	}
	return nil
}

// held makes sure that the checkpoint can be read.
func (r *rollupReader) held(c *conn) error {
	at := int64(min(r.sel.Checkpoint, math.MaxInt64))
	h, err := checkpointUpTo(r.ctx, c, at)
	if err != nil {
		return err
	}
	if h.at != at {
		return fmt.Errorf("%w: checkpoint %d", usage.ErrHeld, r.sel.Checkpoint)
	}
	r.older = h.replacedAt != nil
	return nil
}

// snapshot calls f in a transaction that reads, in which the checkpoint is held,
// and yields what f finds.
func (r *rollupReader) snapshot(f func(c *conn) error) error {
	err := r.s.pool.read(r.ctx, func(c *conn) error {
		return snapshot(r.ctx, c, func() error {
			if err := r.held(c); err != nil {
				return err
			}
			return f(c)
		})
	})
	if err != nil {
		return err
	}
	return r.flush()
}

// byPair reads the chunks of pair after pair.
func (r *rollupReader) byPair() error {
	for at := 0; at < len(r.pairs); {
		err := r.snapshot(func(c *conn) error {
			for ; at < len(r.pairs) && len(r.found) < chunksAtOnce; at++ {
				if _, err := r.read(c, "pair = ? AND span >= ? AND span <= ?", nil, r.pairs[at].code, r.first, r.last); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// all reads every chunk of the kind, in the order in which they stand.
func (r *rollupReader) all() error {
	after := &chunkPlace{pair: -1}
	for after != nil {
		err := r.snapshot(func(c *conn) (err error) {
			after, err = r.read(c, "(pair, span, series) > (?, ?, ?)", after, after.pair, after.span, after.series)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// byKey reads the chunks that hold wanted keys.
func (r *rollupReader) byKey() error {
	places := make([]chunkPlace, 0, len(r.keys))
	for at := range r.keys {
		places = append(places, at)
	}
	slices.SortFunc(places, comparePlaces)
	for of := range slices.Chunk(places, chunksAtOnce) {
		err := r.snapshot(func(c *conn) error {
			for _, at := range of {
				if _, err := r.read(c, "pair = ? AND span = ? AND series = ?", nil, at.pair, at.span, at.series); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func comparePlaces(a, b chunkPlace) int {
	return cmp.Or(cmp.Compare(a.pair, b.pair), cmp.Compare(a.span, b.span), cmp.Compare(a.series, b.series))
}

// read finds the rows that were valid at the checkpoint, in the chunks that a
// condition names: among the current ones, and among those that were replaced since.
// With paged it stops after chunksAtOnce of the current ones and returns the last
// of them, nil when there was none left.
func (r *rollupReader) read(c *conn, where string, paged *chunkPlace, args ...driver.Value) (last *chunkPlace, err error) {
	args = append([]driver.Value{r.kind}, args...)
	statement := "SELECT pair, span, series, data, crc FROM usagebook_rollups WHERE kind = ? AND " + where
	if paged != nil {
		statement += " ORDER BY pair, span, series LIMIT ?"
		last, err = r.collect(c, statement, chunksAtOnce, append(slices.Clone(args), int64(chunksAtOnce)))
	} else {
		_, err = r.collect(c, statement, math.MaxInt, args)
	}
	if err != nil || !r.older {
		return last, err
	}
	// At an older checkpoint. A chunk is in one of the two tables as of any
	// moment, and both are read in one snapshot.
	statement = "SELECT pair, span, series, data, crc, until FROM usagebook_replaced WHERE kind = ? AND " + where
	if last != nil {
		statement += " AND (pair, span, series) <= (?, ?, ?)"
		args = append(args, last.pair, last.span, last.series)
	}
	_, err = r.collect(c, statement+" AND until > ?", math.MaxInt, append(args, int64(r.sel.Checkpoint)))
	return last, err
}

// collect runs a statement and keeps the chunks with valid rows. It returns the
// last chunk when there were as many as asked for.
func (r *rollupReader) collect(c *conn, statement string, most int, args []driver.Value) (last *chunkPlace, err error) {
	rs, err := c.query(r.ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	defer rs.close()
	n := 0
	for rs.next() {
		f := foundChunk{at: chunkPlace{r.kind, rs.int(0), rs.int(1), rs.int(2)}}
		until := int64(0)
		if len(rs.row) > 5 {
			until = rs.int(5)
		}
		if k := len(r.unused); k > 0 {
			f.rows, r.unused = r.unused[k-1], r.unused[:k-1]
		}
		if n++; n == most {
			last = &chunkPlace{r.kind, f.at.pair, f.at.span, f.at.series}
		}
		if f.at.span < r.first || f.at.span > r.last {
			continue
		}
		if err := decodeChunk(&f.rows, rs.blob(3), rs.int(4), f.at, until); err != nil {
			return nil, err
		}
		r.found = append(r.found, f)
	}
	return last, rs.close()
}

// flush yields the rows that were found.
func (r *rollupReader) flush() error {
	if len(r.found) == 0 {
		return nil
	}
	err := r.s.pool.read(r.ctx, func(c *conn) (err error) {
		for i := range r.found {
			f := &r.found[i]
			if f.pair, err = r.s.names.pairs.at(r.ctx, c, f.at.pair); err != nil {
				return err
			}
			if f.series, err = r.s.names.seriesOf(r.ctx, c, f.at.series); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	o := &r.out
	for i := range r.found {
		f := &r.found[i]
		if err := r.ctx.Err(); err != nil {
			return err
		}
		o.RollupKey = usage.RollupKey{Projection: r.sel.Projection, Level: r.sel.Level, Tenant: f.pair.tenant, Meter: f.pair.meter, Dimensions: f.series.Dimensions}
		for k := range f.rows.Rows {
			row := &f.rows.Rows[k]
			if row.From > r.sel.Checkpoint || !r.wants(f.at, row) {
				continue
			}
			o.Bucket, o.Verdict, o.Records = row.Bucket, row.Verdict, row.Records
			o.Values = append(o.Values[:0], row.Values...)
			if !r.yield(o, nil) {
				return errStopped
			}
		}
		r.unused = append(r.unused, f.rows)
	}
	r.found = r.found[:0]
	return nil
}

// wants reports whether the range and the keys take a row.
func (r *rollupReader) wants(at chunkPlace, row *chunk.Row) bool {
	if (r.sel.From != 0 || r.sel.To != 0) && (row.Bucket < r.sel.From || row.Bucket >= r.sel.To) {
		return false
	}
	return r.keys == nil || slices.Contains(r.keys[at], bucketKey{row.Bucket, row.Verdict})
}
