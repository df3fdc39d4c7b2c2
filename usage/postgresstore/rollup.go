package postgresstore

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/internal/chunk"
)

// ScanRollups yields rollup rows; see [usage.Store] for the rules. The yielded
// row is reused. It reads some thousand chunks in one statement and holds no
// connection while it yields; should the checkpoint stop being held in the
// meantime, the scan ends with usage.ErrHeld.
//
// At checkpoint 0, where every book begins, there are no rows.
func (s *Store) ScanRollups(ctx context.Context, sel usage.RollupSelection) iter.Seq2[*usage.Rollup, error] {
	return func(yield func(*usage.Rollup, error) bool) {
		r := rollupReader{Store: s, ctx: ctx, sel: &sel, yield: yield, confirm: sel.Confirm}
		if err := r.run(); err != nil && err != errStopped {
			yield(nil, fault("rollups", err))
		}
	}
}

// chunksAtOnce is the number of chunks that one statement reads.
const chunksAtOnce = 10_000

// rollupReader is a scan of rollups under way.
type rollupReader struct {
	*Store
	ctx   context.Context
	sel   *usage.RollupSelection
	yield func(*usage.Rollup, error) bool
	keys  map[string]bool // nil: no condition
	// confirm is the state that the first statement has to confirm.
	confirm *usage.State
	out     usage.Rollup
	chunk   chunk.Chunk
}

// foundChunk is a chunk as it was read.
type foundChunk struct {
	place
	data     []byte
	replaced [][]byte
}

type place struct{ pair, span, set int64 }

func (r *rollupReader) run() error {
	if err := r.alive(r.ctx); err != nil {
		return err
	}
	if err := r.sel.Scope.Check(); err != nil {
		return err
	}
	if r.sel.Checkpoint == 0 {
		return r.Store.confirm(r.ctx, r.confirm)
	}
	if r.sel.Keys != nil {
		return r.byKeys()
	}
	first, last := chunk.Spans(r.sel.Level, r.sel.From, r.sel.To)
	var after *place
	for {
		var b builder
		r.query(&b)
		if r.sel.From != 0 || r.sel.To != 0 {
			b.add(" AND r.span BETWEEN ", b.arg(first), " AND ", b.arg(last))
		}
		if after != nil {
			b.add(" AND (r.pair, r.span, r.set) > (", b.arg(after.pair), "::bigint, ", b.arg(after.span), "::bigint, ", b.arg(after.set), "::bigint)")
		}
		b.add(" ORDER BY r.pair, r.span, r.set LIMIT ", b.arg(chunksAtOnce))
		found, err := r.chunks(&b)
		if err != nil {
			return err
		}
		if err := r.give(found); err != nil {
			return err
		}
		if len(found) < chunksAtOnce {
			return nil
		}
		after = &found[len(found)-1].place
	}
}

// query writes the beginning of a query for chunks, whose end chunks writes: all
// in one snapshot with the checkpoint, $1. What was replaced is looked at only
// where the checkpoint is not the newest.
func (r *rollupReader) query(b *builder) {
	b.arg(int64(r.sel.Checkpoint))
	b.add(r.text(`SELECT x.* FROM {s}.checkpoints k CROSS JOIN (SELECT latest FROM {s}.tip WHERE one) t LEFT JOIN LATERAL (
	SELECT r.pair, r.span, r.set, r.data,
		CASE WHEN t.latest > k.at THEN ARRAY(SELECT o.data FROM {s}.replaced o
			WHERE o.kind = r.kind AND o.pair = r.pair AND o.span = r.span AND o.set = r.set AND o.until > k.at) END AS replaced
	FROM {s}.rollups r WHERE r.kind = (SELECT id FROM {s}.rollup_kinds WHERE projection = `), b.arg(r.sel.Projection), " AND level = ", b.arg(int(r.sel.Level)), ")")
	tenants, all := r.sel.Scope.Tenants()
	if all && r.sel.Meters == nil {
		return
	}
	// An array, because the planner would rather join the pairs, in the order of the
	// answer, and read all of them for that.
	b.add(" AND r.pair = ANY(ARRAY(SELECT id FROM ", r.schema, ".rollup_pairs WHERE true")
	if !all {
		b.add(" AND ", b.among("tenant", tenants))
	}
	if r.sel.Meters != nil {
		b.add(" AND ", b.among("meter", r.sel.Meters))
	}
	b.add("))")
}

// chunks ends a query and runs it. A row without a chunk says that the checkpoint
// is held.
func (r *rollupReader) chunks(b *builder) ([]foundChunk, error) {
	b.add(") x ON true WHERE k.at = $1")
	confirm := r.confirm
	if confirm != nil {
		b.add(" AND ")
		r.confirmed(b, confirm)
		r.confirm = nil
	}
	held := false
	var out []foundChunk
	err := r.read(r.ctx, b.String(), b.args, func(c [][]byte) error {
		held = true
		if c[0] == nil {
			return nil
		}
		f := foundChunk{place: place{integer(c[0]), integer(c[1]), integer(c[2])}, data: slices.Clone(c[3])}
		if c[4] != nil {
			err := elements(c[4], func(e []byte) error { f.replaced = append(f.replaced, slices.Clone(e)); return nil })
			if err != nil {
				return err
			}
		}
		out = append(out, f)
		return nil
	})
	if err == nil && !held {
		if err := r.Store.confirm(r.ctx, confirm); err != nil {
			return nil, err
		}
		r.assumed.moved()
		err = fmt.Errorf("%w: checkpoint %d", usage.ErrHeld, r.sel.Checkpoint)
	}
	return out, err
}

// byKeys reads the chunks that hold exactly these rows.
func (r *rollupReader) byKeys() error {
	keys := r.sel.Keys
	if len(keys) == 0 {
		keys = []usage.RollupKey{{}} // for the sake of the checkpoint
	}
	for part := range slices.Chunk(keys, chunksAtOnce) {
		r.keys = make(map[string]bool, len(part))
		seen := map[string]bool{}
		var tenant, meter, dims, hashes, span array
		for i := range part {
			k := part[i]
			if k.Projection != r.sel.Projection || k.Level != r.sel.Level || unquotable(k.Tenant) || unquotable(k.Meter) || slices.ContainsFunc(flat(&k.Dimensions), unquotable) {
				continue
			}
			r.keys[string(k.AppendKey(nil))] = true
			k.Bucket, k.Verdict = chunk.SpanOf(k.Level, k.Bucket), 0
			if place := string(k.AppendKey(nil)); !seen[place] {
				seen[place] = true
				tenant.text(k.Tenant)
				meter.text(k.Meter)
				dims.text(texts(flat(&k.Dimensions)))
				hashes.int(hashOf(&k.Dimensions))
				span.int(k.Bucket)
			}
		}
		var b builder
		r.query(&b)
		b.add(r.text(` AND (r.pair, r.span, r.set) IN (SELECT kp.id, u.span, ks.id
			FROM unnest(`), b.arg(tenant.String()), "::text[], ", b.arg(meter.String()), "::text[], ", b.arg(dims.String()), "::text[], ", b.arg(hashes.String()), "::bigint[], ", b.arg(span.String()), r.text(`::bigint[]) u(tenant, meter, dimensions, hash, span)
			JOIN {s}.rollup_pairs kp ON kp.tenant = u.tenant AND kp.meter = u.meter
			JOIN {s}.rollup_sets ks ON ks.pair = kp.id AND ks.hash = u.hash AND ks.dimensions = u.dimensions::text[])`))
		found, err := r.chunks(&b)
		if err != nil {
			return err
		}
		if err := r.give(found); err != nil {
			return err
		}
	}
	return nil
}

// give yields the selected rows of chunks. No connection is held.
func (r *rollupReader) give(found []foundChunk) error {
	ids := make([]int64, len(found))
	for i := range found {
		ids[i] = found[i].set
	}
	in := pgxSession{r.pool}
	sets, err := resolve(r.ctx, in, r.names.rollupSetOf, r.sql.rollupSetsByID, ids, decodeSeries)
	if err != nil {
		return err
	}
	for i := range found {
		if err := r.giveChunk(&found[i], sets[found[i].set]); err != nil {
			return err
		}
	}
	return nil
}

// giveChunk yields the selected rows of a chunk.
func (r *rollupReader) giveChunk(f *foundChunk, series *usage.Series) error {
	for i := range 1 + len(f.replaced) {
		data := f.data
		if i > 0 {
			data = f.replaced[i-1]
		}
		if err := r.chunk.Decode(data); err != nil {
			return err
		}
		for k := range r.chunk.Rows {
			x := &r.chunk.Rows[k]
			if x.From > r.sel.Checkpoint || (r.sel.From != 0 || r.sel.To != 0) && (x.Bucket < r.sel.From || x.Bucket >= r.sel.To) {
				continue
			}
			r.out = usage.Rollup{RollupKey: usage.RollupKey{Projection: r.sel.Projection, Level: r.sel.Level, Bucket: x.Bucket,
				Tenant: series.Tenant, Meter: series.Meter, Dimensions: series.Dimensions, Verdict: x.Verdict}, Records: x.Records, Values: x.Values}
			if r.keys != nil && !r.keys[string(r.out.RollupKey.AppendKey(nil))] {
				continue
			}
			if err := r.ctx.Err(); err != nil {
				return err
			}
			if !r.yield(&r.out, nil) {
				return errStopped
			}
		}
	}
	return nil
}
