package postgresstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/usagebook/usagebook/usage"
)

// errRaced is unlikely: others won every race for as long as was tried.
var errRaced = fmt.Errorf("%w: others kept booking the same records or corrections of the same targets", usage.ErrUnavailable)

// bookLinked books a batch whose records do not stand alone: it has corrections,
// or is to be booked wholly or not at all. The session is a transaction. What is
// booked is looked up first; when somebody else books the same in between, or
// corrects the same target, the database tells, and all is judged once more.
func (s *Store) bookLinked(ctx context.Context, in session, b *usage.Batch) ([]usage.ReceiptEntry, *fresh, error) {
	for range mostTries {
		led := ledger{store: s, in: in}
		isolation, err := led.findLinked(ctx, b)
		if err != nil {
			return nil, nil, err
		}
		if err := settingsFault(isolation); err != nil {
			return nil, nil, err
		}
		out := b.Judge(&led)
		var insert []int
		for i := range out {
			if out[i].Outcome == usage.Inserted {
				insert = append(insert, i)
			}
		}
		if len(insert) == 0 {
			return out, nil, nil
		}
		byIdentity(b, insert)
		ids, fresh, err := s.encode(ctx, in, b, insert)
		if err != nil {
			return nil, nil, err
		}
		ins := s.insertion(b, insert, nil, ids, true, &led)
		corrections := 0
		for _, i := range insert {
			if b.At(i).Record.Corrects != nil {
				corrections++
			}
		}
		list := []statement{{sql: "SAVEPOINT usagebook"}}
		if fresh != nil {
			list = append(list, fresh.statements(&s.sql)...)
		}
		list = append(list, statement{ins.sql.String(), ins.sql.args})
		var head insertHead
		err = in.run(ctx, list, func(i int, c [][]byte) error {
			if i == len(list)-1 && c[0] != nil {
				return head.read(c)
			}
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
		if head.inserted == len(insert) && head.links == corrections {
			return out, fresh, in.run(ctx, []statement{{sql: "RELEASE SAVEPOINT usagebook"}}, noRows)
		}
		if err := in.run(ctx, []statement{{sql: "ROLLBACK TO SAVEPOINT usagebook"}, {sql: "RELEASE SAVEPOINT usagebook"}}, noRows); err != nil {
			return nil, nil, err
		}
	}
	return nil, nil, errRaced
}

// findLinked looks up what a batch is judged by.
func (l *ledger) findLinked(ctx context.Context, b *usage.Batch) (isolation string, err error) {
	var at []int
	var ids []usage.Identity
	for i := range b.Len() {
		e := b.At(i)
		if e.Anonymous {
			continue
		}
		at = append(at, i)
		// The judge asks for no target of a record that is refused anyhow, and what
		// that names may be nothing that the server takes.
		if c := e.Record.Corrects; c != nil && !e.Malformed && len(e.Violations) == 0 {
			ids = append(ids, usage.Identity{Tenant: e.Record.Tenant, Source: c.Source, ID: c.ID})
		}
	}
	list := []statement{{sql: "SELECT " + settings}, l.store.lookUpStatement(b, at)}
	if len(ids) > 0 {
		args := identityArrays(ids)
		list = append(list, statement{l.store.sql.targetsBooked, args}, statement{l.store.sql.targets, args})
	}
	l.targets = map[usage.Identity]*target{}
	get := func(id usage.Identity) *target {
		t := l.targets[id]
		if t == nil {
			t = new(target)
			l.targets[id] = t
		}
		return t
	}
	err = l.in.run(ctx, list, func(i int, c [][]byte) error {
		switch i {
		case 0:
			isolation = string(c[0])
		case 1:
			k, err := parseInt(c[0])
			if err != nil {
				return err
			}
			return l.booked(&b.At(at[k-1]).Record, c[1:])
		case 2:
			k, err := parseInt(c[0])
			if err != nil {
				return err
			}
			t := get(ids[k-1])
			t.there, t.void = true, string(c[3]) == "1"
			if t.batch, err = parseInt(c[1]); err != nil {
				return err
			}
			t.ord, err = parseInt(c[2])
			return err
		case 3:
			tenant := string(c[0])
			by := usage.Identity{Tenant: tenant, Source: string(c[3]), ID: string(c[4])}
			get(usage.Identity{Tenant: tenant, Source: string(c[1]), ID: string(c[2])}).by = &by
			t := get(by)
			t.there, t.void = true, string(c[5]) == "1"
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return isolation, l.complete(ctx)
}

func identityArrays(ids []usage.Identity) []any {
	var tenant, source, id array
	for _, x := range ids {
		tenant.text(x.Tenant)
		source.text(x.Source)
		id.text(x.ID)
	}
	return []any{tenant.String(), source.String(), id.String()}
}

// insertLinks writes the part of an insertion that notes which record corrects
// which. Targets of the same batch have no place yet: theirs is 0.
func (s *Store) insertLinks(q *builder, b *usage.Batch, sorted []int, ordOf map[int]int, led *ledger) {
	type link struct {
		from   *usage.Record
		ord    int
		target *target
	}
	inBatch := make(map[usage.Identity]*target, len(sorted))
	for _, i := range sorted {
		inBatch[b.At(i).Record.Identity()] = &target{ord: int64(ordOf[i])}
	}
	var links []link
	for _, i := range sorted {
		r := &b.At(i).Record
		if r.Corrects == nil {
			continue
		}
		id := usage.Identity{Tenant: r.Tenant, Source: r.Corrects.Source, ID: r.Corrects.ID}
		t := inBatch[id]
		if t == nil {
			t = led.targets[id]
		}
		links = append(links, link{r, ordOf[i], t})
	}
	// In one order everywhere, so that nobody waits for who waits for him.
	slices.SortFunc(links, func(x, y link) int {
		p, q := x.from, y.from
		return cmp.Or(strings.Compare(p.Tenant, q.Tenant), strings.Compare(p.Corrects.Source, q.Corrects.Source), strings.Compare(p.Corrects.ID, q.Corrects.ID))
	})
	var tenant, targetSource, targetID, source, id, kind, ord, targetBatch, targetOrd array
	for _, l := range links {
		tenant.text(l.from.Tenant)
		targetSource.text(l.from.Corrects.Source)
		targetID.text(l.from.Corrects.ID)
		source.text(l.from.Source)
		id.text(l.from.ID)
		kind.int(int64(l.from.Corrects.Kind))
		ord.int(int64(l.ord))
		targetBatch.int(l.target.batch)
		targetOrd.int(l.target.ord)
	}
	q.add("links AS (INSERT INTO ", s.schema, ".corrections (tenant, target_source, target_id, source, id, kind, batch, ord, target_batch, target_ord)\n",
		"\tSELECT l.tenant, l.target_source, l.target_id, l.source, l.id, l.kind, n.id, l.ord, CASE WHEN l.target_batch = 0 THEN n.id ELSE l.target_batch END, l.target_ord\n",
		"\tFROM n CROSS JOIN unnest(", q.arg(tenant.String()), "::text[], ", q.arg(targetSource.String()), "::text[], ", q.arg(targetID.String()), "::text[], ",
		q.arg(source.String()), "::text[], ", q.arg(id.String()), "::text[], ", q.arg(kind.String()), "::smallint[], ", q.arg(ord.String()), "::int[], ",
		q.arg(targetBatch.String()), "::bigint[], ", q.arg(targetOrd.String()), "::int[]) l(tenant, target_source, target_id, source, id, kind, ord, target_batch, target_ord)\n",
		"\tON CONFLICT DO NOTHING RETURNING 1),\n")
}
