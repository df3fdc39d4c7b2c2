package postgresstore

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/internal/chunk"
)

// placesAtOnce is how many chunks one statement of a commit reads or writes.
const placesAtOnce = 2000

// Commit moves the checkpoint; see [usage.Store] for the rules. It holds the lock
// that commits take turns by until it has ended, and no other.
func (s *Store) Commit(ctx context.Context, c *usage.Commit) error {
	s.assumed.moved()
	return fault("commit", retry(ctx, func() error { return s.commitOnce(ctx, c) }))
}

func (s *Store) commitOnce(ctx context.Context, c *usage.Commit) error {
	if err := s.alive(ctx); err != nil {
		return err
	}
	if c.To <= c.From || c.To > math.MaxInt64 {
		return fmt.Errorf("%w: the new checkpoint %d is not above %d", usage.ErrInvalid, c.To, c.From)
	}
	placed := chunk.Group(c.Put)
	return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		k := committing{Store: s, ctx: ctx, in: pgxSession{tx}, commit: c}
		var latest int64
		if err := k.one(s.text("SELECT latest::text FROM {s}.tip FOR UPDATE"), nil, &latest); err != nil {
			return err
		}
		if uint64(latest) != c.From {
			return fmt.Errorf("%w: it is at %d, not at %d", usage.ErrCheckpoint, latest, c.From)
		}
		if err := k.intern(placed); err != nil {
			return err
		}
		for len(k.places) > 0 {
			n := min(placesAtOnce, len(k.places))
			if err := k.apply(k.places[:n]); err != nil {
				return err
			}
			k.places = k.places[n:]
		}
		return k.move()
	})
}

// committing is a Commit under way, under the lock.
type committing struct {
	*Store
	ctx    context.Context
	in     session
	commit *usage.Commit
	places []numbered
}

// numbered is a place in numbers.
type numbered struct {
	kind, pair, span, set int64
	put                   []*usage.Rollup
}

func (k *committing) one(sql string, args []any, out *int64) error {
	return k.in.run(k.ctx, []statement{{sql, args}}, func(_ int, c [][]byte) (err error) {
		*out, err = parseInt(c[0])
		return err
	})
}

type kindKey struct {
	projection string
	level      int64
}

type pairOf struct{ tenant, meter string }

type setKey struct {
	pair int64
	dims string
}

// intern finds the numbers of places and gives new ones to those that have none.
// Nobody else does so at the same time, so each content has one number.
func (k *committing) intern(placed []chunk.Placed) error {
	kinds, pairs, sets := map[kindKey]int64{}, map[pairOf]int64{}, map[setKey]int64{}
	for i := range placed {
		kinds[kindKey{placed[i].Projection, int64(placed[i].Level)}] = 0
		pairs[pairOf{placed[i].Tenant, placed[i].Meter}] = 0
	}
	for key := range kinds {
		var id int64
		args := []any{key.projection, key.level}
		err := k.one(k.text(`WITH old AS (SELECT id FROM {s}.rollup_kinds WHERE projection = $1::text AND level = $2::bigint),
			new AS (INSERT INTO {s}.rollup_kinds (projection, level) SELECT $1::text, $2::bigint WHERE NOT EXISTS (SELECT FROM old) RETURNING id)
			SELECT id::text FROM old UNION ALL SELECT id::text FROM new`), args, &id)
		if err != nil {
			return err
		}
		kinds[key] = id
	}
	all := make([]pairOf, 0, len(pairs))
	for key := range pairs {
		all = append(all, key)
	}
	for part := range slices.Chunk(all, placesAtOnce) {
		var tenant, meter array
		for _, p := range part {
			tenant.text(p.tenant)
			meter.text(p.meter)
		}
		err := k.in.run(k.ctx, []statement{{k.text(`WITH u AS (SELECT * FROM unnest($1::text[], $2::text[]) u(tenant, meter)),
			old AS (SELECT p.id, p.tenant, p.meter FROM u JOIN {s}.rollup_pairs p USING (tenant, meter)),
			new AS (INSERT INTO {s}.rollup_pairs (tenant, meter) SELECT tenant, meter FROM u WHERE NOT EXISTS (SELECT FROM old WHERE old.tenant = u.tenant AND old.meter = u.meter) RETURNING id, tenant, meter)
			SELECT id::text, tenant::text, meter::text FROM old UNION ALL SELECT id::text, tenant::text, meter::text FROM new`), []any{tenant.String(), meter.String()}}},
			func(_ int, c [][]byte) (err error) {
				pairs[pairOf{string(c[1]), string(c[2])}], err = parseInt(c[0])
				return err
			})
		if err != nil {
			return err
		}
	}
	var wanted []setKey
	lists := map[setKey]*usage.Dimensions{}
	for i := range placed {
		p := &placed[i]
		key := setKey{pairs[pairOf{p.Tenant, p.Meter}], string(p.Dimensions.AppendKey(nil))}
		if lists[key] == nil {
			lists[key] = &p.Dimensions
			wanted = append(wanted, key)
		}
	}
	for part := range slices.Chunk(wanted, placesAtOnce) {
		var pair, hashes, dims array
		for _, key := range part {
			pair.int(key.pair)
			hashes.int(hashOf(lists[key]))
			dims.text(texts(flat(lists[key])))
		}
		err := k.in.run(k.ctx, []statement{{k.text(`WITH u AS (SELECT a AS pair, b AS hash, c::text[] AS dimensions FROM unnest($1::bigint[], $2::bigint[], $3::text[]) u(a, b, c)),
			old AS (SELECT x.id, x.pair, x.hash, x.dimensions FROM u JOIN {s}.rollup_sets x USING (pair, hash, dimensions)),
			new AS (INSERT INTO {s}.rollup_sets (pair, hash, dimensions) SELECT pair, hash, dimensions FROM u
				WHERE NOT EXISTS (SELECT FROM old WHERE old.pair = u.pair AND old.hash = u.hash AND old.dimensions = u.dimensions) RETURNING id, pair, dimensions)
			SELECT id::text, pair::text, dimensions::text FROM old UNION ALL SELECT id::text, pair::text, dimensions::text FROM new`),
			[]any{pair.String(), hashes.String(), dims.String()}}}, func(_ int, c [][]byte) error {
			id, err := parseInt(c[0])
			if err != nil {
				return err
			}
			pair, err := parseInt(c[1])
			if err != nil {
				return err
			}
			list, err := unquote(c[2])
			if err != nil {
				return err
			}
			series, err := newSeries("", "", list)
			if err != nil {
				return err
			}
			sets[setKey{pair, string(series.Dimensions.AppendKey(nil))}] = id
			return nil
		})
		if err != nil {
			return err
		}
	}
	for i := range placed {
		p := &placed[i]
		pair := pairs[pairOf{p.Tenant, p.Meter}]
		n := numbered{kind: kinds[kindKey{p.Projection, int64(p.Level)}], pair: pair, span: p.Span, put: p.Put,
			set: sets[setKey{pair, string(p.Dimensions.AppendKey(nil))}]}
		if n.kind == 0 || n.pair == 0 || n.set == 0 {
			return damaged("a place of a rollup got no number")
		}
		k.places = append(k.places, n)
	}
	return nil
}

// apply puts rows in the place of those with the same key and keeps what they
// replace.
func (k *committing) apply(places []numbered) error {
	type key struct{ kind, pair, span, set int64 }
	chunks := make(map[key]*chunk.Chunk, len(places))
	var kind, pair, span, set array
	for _, p := range places {
		kind.int(p.kind)
		pair.int(p.pair)
		span.int(p.span)
		set.int(p.set)
	}
	rows, err := k.in.(pgxSession).Query(k.ctx, k.text(`SELECT r.kind, r.pair, r.span, r.set, r.data
		FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) u(kind, pair, span, set)
		JOIN {s}.rollups r ON r.kind = u.kind AND r.pair = u.pair AND r.span = u.span AND r.set = u.set`),
		append(k.mode[:len(k.mode):len(k.mode)], kind.String(), pair.String(), span.String(), set.String())...)
	if err != nil {
		return err
	}
	err = eachRow(rows, func(c [][]byte) error {
		x := new(chunk.Chunk)
		if err := x.Decode(c[4]); err != nil {
			return err
		}
		chunks[key{integer(c[0]), integer(c[1]), integer(c[2]), integer(c[3])}] = x
		return nil
	})
	if err != nil {
		return err
	}
	type written struct {
		kind, pair, span, set array
		data                  [][]byte
	}
	add := func(w *written, p *numbered, data []byte) {
		w.kind.int(p.kind)
		w.pair.int(p.pair)
		w.span.int(p.span)
		w.set.int(p.set)
		w.data = append(w.data, data)
	}
	var now, before written
	for i := range places {
		p := &places[i]
		x := chunks[key{p.kind, p.pair, p.span, p.set}]
		if x == nil {
			x = new(chunk.Chunk)
		}
		gone := x.Apply(p.put, k.commit.To)
		add(&now, p, x.AppendBinary(nil))
		if len(gone.Rows) > 0 {
			add(&before, p, gone.AppendBinary(nil))
		}
	}
	tx := k.in.(pgxSession)
	if err := exec(k.ctx, tx, k.text(`INSERT INTO {s}.rollups (kind, pair, span, set, data)
		SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[])
		ON CONFLICT (kind, pair, span, set) DO UPDATE SET data = excluded.data`),
		now.kind.String(), now.pair.String(), now.span.String(), now.set.String(), now.data); err != nil {
		return err
	}
	if len(before.data) == 0 {
		return nil
	}
	return exec(k.ctx, tx, k.text(`INSERT INTO {s}.replaced (kind, pair, span, set, until, data)
		SELECT a, b, c, d, $6::bigint, e FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[]) u(a, b, c, d, e)`),
		before.kind.String(), before.pair.String(), before.span.String(), before.set.String(), before.data, int64(k.commit.To))
}

func exec(ctx context.Context, in sender, sql string, args ...any) error {
	rows, err := in.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	return eachRow(rows, func([][]byte) error { return nil })
}

// move makes the checkpoint the newest one and lets go of what need not be held
// any more.
func (k *committing) move() error {
	c := k.commit
	coverage := c.Coverage
	if coverage == nil {
		coverage = []byte{}
	}
	tx := k.in.(pgxSession)
	if err := exec(k.ctx, tx, k.text("INSERT INTO {s}.checkpoints (at, coverage) VALUES ($1, $2)"), int64(c.To), coverage); err != nil {
		return err
	}
	now := c.Now.UnixMicro()
	// Held is what was replaced less than Hold ago, and all that came after. The
	// statements see what those before them did.
	return k.in.run(k.ctx, []statement{
		{k.text("UPDATE {s}.tip SET latest = $1"), []any{int64(c.To)}},
		{k.text("UPDATE {s}.checkpoints SET replaced = $1 WHERE at = $2"), []any{now, int64(c.From)}},
		{k.text(`DELETE FROM {s}.checkpoints WHERE at < (SELECT min(at) FROM {s}.checkpoints WHERE replaced IS NULL OR replaced + $1 > $2)`), []any{c.Hold.Microseconds(), now}},
		{k.text(`DELETE FROM {s}.replaced WHERE until <= (SELECT min(at) FROM {s}.checkpoints)`), nil},
	}, noRows)
}
