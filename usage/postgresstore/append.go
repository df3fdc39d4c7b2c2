package postgresstore

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/usagebook/usagebook/usage"
)

// Append books a batch; see [usage.Store] for the rules. The receipts have
// neither Sequence nor Recorded: these are given when the batch is settled,
// which whoever reads the book sees to. A batch without corrections, and not all
// or nothing, takes one round trip.
//
// A transaction that the server gives up for another one's sake is tried again.
func (s *Store) Append(ctx context.Context, b *usage.Batch) (out []usage.ReceiptEntry, err error) {
	err = retry(ctx, func() error {
		out, err = s.appendOnce(ctx, b)
		return err
	})
	if err != nil {
		return nil, fault("append", err)
	}
	s.assumed.moved()
	return out, nil
}

func (s *Store) appendOnce(ctx context.Context, b *usage.Batch) ([]usage.ReceiptEntry, error) {
	if err := s.alive(ctx); err != nil {
		return nil, err
	}
	if plain(b) {
		out, fresh, err := s.bookPlain(ctx, pgxSession{s.pool}, b, true)
		if err == nil {
			fresh.committed(s.names)
		}
		return out, err
	}
	var out []usage.ReceiptEntry
	var fresh *fresh
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) (err error) {
		out, fresh, err = s.bookLinked(ctx, pgxSession{tx}, b)
		return err
	})
	if err == nil {
		fresh.committed(s.names)
	}
	return out, err
}

// AppendTx books records in a transaction of the host's, so that they are booked
// if and only if the host commits. The book normalises and judges them; it must
// be the one over this store. The answer is that of [usage.Book.Append], but for
// Sequence and Recorded of what is inserted, which the records get when they are
// settled, after the commit. It holds only if the host commits.
//
// It never retries, commits or rolls back. Records that are not booked, the
// conflicts among them, come back in a *usage.AppendError and leave the
// transaction usable; an error of the server aborts it, as it does after every
// statement. The transaction must be READ COMMITTED, which is PostgreSQL's
// default, else the error is an [*IsolationError].
//
// Two transactions that book the same identity wait for each other: the second
// one until the first has ended. Others never wait for the transaction.
func (s *Store) AppendTx(ctx context.Context, book *usage.Book, tx pgx.Tx, records ...usage.Record) (*usage.Receipt, error) {
	return s.appendIn(ctx, book, pgxSession{tx}, records)
}

// AppendSQLTx is AppendTx for a transaction of database/sql, whose driver must be
// pgx's own (github.com/jackc/pgx/v5/stdlib) or another one that takes texts for
// arguments of every type.
func (s *Store) AppendSQLTx(ctx context.Context, book *usage.Book, tx *sql.Tx, records ...usage.Record) (*usage.Receipt, error) {
	return s.appendIn(ctx, book, sqlSession{tx}, records)
}

func (s *Store) appendIn(ctx context.Context, book *usage.Book, in session, records []usage.Record) (*usage.Receipt, error) {
	b, err := book.Prepare(usage.AppendOptions{}, records...)
	if err != nil {
		return nil, err
	}
	if err := s.alive(ctx); err != nil {
		return nil, fault("append", err)
	}
	var out []usage.ReceiptEntry
	if plain(b) {
		out, _, err = s.bookPlain(ctx, in, b, false)
	} else {
		out, _, err = s.bookLinked(ctx, in, b)
	}
	if err != nil {
		return nil, fault("append", err)
	}
	return b.Receipt(out)
}

// plain reports whether each record of a batch stands alone.
func plain(b *usage.Batch) bool {
	if b.AllOrNothing() {
		return false
	}
	for i := range b.Len() {
		if b.At(i).Record.Corrects != nil {
			return false
		}
	}
	return true
}

// nothing is a ledger of an empty book.
type nothing struct{}

func (nothing) Find(*usage.Entry) (bool, bool, uint64, time.Time) {
	return false, false, 0, time.Time{}
}
func (nothing) Target(usage.Identity) (bool, usage.Target) { return false, usage.Target{} }

// bookPlain books a batch of records that stand alone. It goes by the guess that
// nothing of it is booked, has the database insert what is not, and judges by
// what that found; so it takes one round trip, and another one only for what
// somebody else booked at the same moment, or for names that are new. own: it
// may be a transaction of its own.
//
// Only a transaction of its own can be tried twice: at first what was seen lately
// is looked up before the rest is numbered, and when that does not come out, which
// costs nobody a record, all is.
func (s *Store) bookPlain(ctx context.Context, in session, b *usage.Batch, own bool) ([]usage.ReceiptEntry, *fresh, error) {
	if own {
		out, fresh, err := s.bookGuessed(ctx, in, b, own, false)
		if !isMisjudged(err) {
			return out, fresh, err
		}
	}
	return s.bookGuessed(ctx, in, b, own, true)
}

// bookGuessed is one try of bookPlain. all: every record is looked up.
func (s *Store) bookGuessed(ctx context.Context, in session, b *usage.Batch, own, all bool) ([]usage.ReceiptEntry, *fresh, error) {
	guess := b.Judge(nothing{})
	var insert, refused []int
	for i := range guess {
		switch {
		case guess[i].Outcome == usage.Inserted:
			insert = append(insert, i)
		case guess[i].Outcome == usage.Rejected && !b.At(i).Anonymous:
			refused = append(refused, i) // a Duplicate all the same, if it is booked
		}
	}
	if len(insert)+len(refused) == 0 {
		return guess, nil, nil
	}
	led := ledger{store: s, in: in}
	if len(insert) == 0 {
		if err := led.find(ctx, b, refused); err != nil {
			return nil, nil, err
		}
		return b.Judge(&led), nil, nil
	}
	byIdentity(b, insert)
	ids, fresh, err := s.encode(ctx, in, b, insert)
	if err != nil {
		return nil, nil, err
	}
	look := insert
	if !all {
		look = s.recent.among(b, insert)
	}
	ins := s.insertion(b, insert, look, ids, own, nil)
	var list []statement
	if len(refused) > 0 {
		list = append(list, s.lookUpStatement(b, refused))
	}
	if fresh != nil {
		list = append(list, fresh.statements(&s.sql)...)
	}
	at := len(list)
	list = append(list, statement{ins.sql.String(), ins.sql.args})
	var head insertHead
	err = in.run(ctx, list, func(i int, c [][]byte) error {
		switch {
		case i == at && c[0] != nil:
			return head.read(c)
		case i == at:
			k, err := parseInt(c[4])
			if err != nil {
				return err
			}
			return led.booked(&b.At(ins.at[k-1]).Record, c[6:])
		case i == 0 && len(refused) > 0:
			k, err := parseInt(c[0])
			if err != nil {
				return err
			}
			return led.booked(&b.At(refused[k-1]).Record, c[1:])
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if !own {
		if err := settingsFault(head.settings); err != nil {
			return nil, nil, err
		}
	}
	if head.inserted < len(insert) {
		// Somebody else booked the rest: most of it was found by the same
		// statement, but not what was committed while that ran.
		var raced []int
		ord := 0
		for k, i := range ins.at {
			if head.gone[k+1] {
				continue
			}
			if ord++; !head.ords[ord] {
				raced = append(raced, i)
			}
		}
		if err := led.find(ctx, b, raced); err != nil {
			return nil, nil, err
		}
	}
	if err := led.complete(ctx); err != nil {
		return nil, nil, err
	}
	out := b.Judge(&led)
	n := 0
	for i := range out {
		if out[i].Outcome == usage.Inserted {
			n++
		}
	}
	if n != head.inserted {
		return nil, nil, damaged("%d records were inserted and %d were to be", head.inserted, n)
	}
	s.recent.add(b, insert)
	return out, fresh, nil
}

const readCommitted = "read committed"

// settings is an expression of what a host may have set in its transaction, and
// soundSettings what it must be: texts are sent as UTF-8, and lists with NULL in
// them.
const (
	settings      = "(current_setting('transaction_isolation') || ', ' || current_setting('client_encoding') || ', ' || current_setting('array_nulls'))"
	soundSettings = readCommitted + ", UTF8, on"
)

// settingsFault says what is wrong with the settings of a host's transaction.
func settingsFault(have string) error {
	level, rest, _ := strings.Cut(have, ", ")
	switch {
	case have == soundSettings:
		return nil
	case level != readCommitted:
		return &IsolationError{Level: level}
	}
	encoding, nulls, _ := strings.Cut(rest, ", ")
	return fmt.Errorf("%w: the session has client_encoding %s and array_nulls %s, needed are UTF8 and on", usage.ErrInvalid, encoding, nulls)
}

func noRows(int, [][]byte) error { return nil }

// byIdentity sorts places of a batch, so that of two transactions that book the
// same identities none waits for the other while that waits for it.
func byIdentity(b *usage.Batch, at []int) {
	slices.SortFunc(at, func(x, y int) int {
		p, q := &b.At(x).Record, &b.At(y).Record
		return cmp.Or(strings.Compare(p.ID, q.ID), strings.Compare(p.Source, q.Source), strings.Compare(p.Tenant, q.Tenant))
	})
}

// insertion is the statement that books records of a batch. Each is told by its
// place in at, from 1.
//
// The ord of a row is its place among those that are booked, so that sequences
// have no gaps for what was booked before. Where somebody else books the same at
// the same moment one is left, which hurts nobody.
type insertion struct {
	sql builder
	at  []int
}

// voidStart is the start of a void in the tables: Go's zero time, which no other
// record may have.
const voidStart = -62135596800000000

func startOf(r *usage.Record) int64 {
	if r.Start.IsZero() {
		return voidStart
	}
	return r.Start.UnixMicro()
}

// insertion writes the statement. sorted are the places to book, by identity,
// and ids their codes; look are those of them that may be booked already, and
// when others turn out to be and it is a transaction of its own, the statement
// fails and isMisjudged tells; led knows the targets of corrections among them.
func (s *Store) insertion(b *usage.Batch, sorted, look []int, ids []codes, own bool, led *ledger) *insertion {
	ins := &insertion{at: slices.Clone(sorted)}
	slices.Sort(ins.at)
	ordOf := make(map[int]int, len(ins.at))
	for k, i := range ins.at {
		ordOf[i] = k + 1
	}
	var tenant, source, id, ord, pair, series, start, end, shape, verdict, value, more, kind array
	for _, a := range []*array{&source, &ord, &pair, &series, &start, &value} {
		a.b = make([]byte, 0, 12*len(sorted))
	}
	id.b = make([]byte, 0, 40*len(sorted))
	oneShape, oneVerdict, ends, mores, kinds := true, true, false, false, false
	since, until, starts := int64(0), int64(0), 0
	corrections := 0
	var scratch []byte
	for k, i := range sorted {
		r := &b.At(i).Record
		tenant.text(r.Tenant)
		source.text(r.Source)
		id.text(r.ID)
		ord.int(int64(ordOf[i]))
		pair.int(ids[k].pair)
		series.int(ids[k].series)
		at := startOf(r)
		start.int(at)
		if !r.Start.IsZero() {
			if starts == 0 {
				since, until = at, at
			}
			since, until = min(since, at), max(until, at)
			starts++
		}
		if r.End.IsZero() {
			end.null()
		} else {
			ends = true
			end.int(r.End.UnixMicro())
		}
		oneShape = oneShape && ids[k].shape == ids[0].shape
		shape.int(ids[k].shape)
		oneVerdict = oneVerdict && ids[k].verdict == ids[0].verdict
		verdict.int(ids[k].verdict)
		switch n := r.Values.Len(); n {
		case 0:
			value.null()
			more.null()
		case 1:
			value.number(r.Values.At(0).Number)
			more.null()
		default:
			mores = true
			value.number(r.Values.At(0).Number)
			rest := array{scratch[:0]}
			for j := 1; j < n; j++ {
				rest.number(r.Values.At(j).Number)
			}
			more.text(rest.String())
			scratch = rest.b
		}
		if c := r.Corrects; c != nil {
			kinds = true
			corrections++
			kind.int(int64(c.Kind))
		} else {
			kind.null()
		}
	}
	q := &ins.sql
	type column struct{ name, source, expr string }
	var cols []column // of the function unnest
	add := func(a *array, name, typ, expr string) {
		cols = append(cols, column{name, q.arg(a.String()) + "::" + typ, expr})
	}
	add(&tenant, "tenant", "text[]", "u.tenant")
	add(&source, "source", "text[]", "u.source")
	add(&id, "id", "text[]", "u.id")
	add(&ord, "ord", "int[]", "u.ord")
	keys := len(cols)
	add(&pair, "pair", "bigint[]", "u.pair")
	add(&series, "series", "bigint[]", "u.series")
	add(&start, "start", "bigint[]", "u.start")
	add(&value, "value", "numeric[]", "u.value")
	if ends {
		add(&end, `"end"`, "bigint[]", `u."end"`)
	}
	if mores {
		add(&more, "more", "text[]", "u.more::numeric[]")
	}
	if kinds {
		add(&kind, "kind", "smallint[]", "u.kind")
	}
	if !oneShape {
		add(&shape, "shape", "bigint[]", "u.shape")
	}
	if !oneVerdict {
		add(&verdict, "verdict", "bigint[]", "u.verdict")
	}
	unnest := func(cols []column) {
		q.add("unnest(")
		for i, c := range cols {
			if i > 0 {
				q.add(", ")
			}
			q.add(c.source)
		}
		q.add(") u(")
		for i, c := range cols {
			if i > 0 {
				q.add(", ")
			}
			q.add(c.name)
		}
		q.add(")")
	}
	looked := cols[:keys]
	if !kinds && len(look) < len(sorted) {
		var tenant, source, id, ord array
		for _, i := range look {
			r := &b.At(i).Record
			tenant.text(r.Tenant)
			source.text(r.Source)
			id.text(r.ID)
			ord.int(int64(ordOf[i]))
		}
		looked = slices.Clone(looked)
		for i, a := range []*array{&tenant, &source, &id, &ord} {
			looked[i].source = q.arg(a.String()) + "::" + []string{"text[]", "text[]", "text[]", "int[]"}[i]
		}
	}
	q.add("WITH n AS MATERIALIZED (SELECT nextval(", literal(s.schema+".batch_ids"), ") AS id),\n")
	if !kinds {
		// One look-up of the index for each: a join might read the table.
		q.add("d AS MATERIALIZED (SELECT array_agg(u.ord ORDER BY u.ord) AS ords FROM ")
		unnest(looked)
		q.add(" WHERE (SELECT true FROM ", s.schema, ".records r WHERE r.tenant = u.tenant AND r.source = u.source AND r.id = u.id LIMIT 1)),\n")
		cols[keys-1].expr = "u.ord - coalesce(width_bucket(u.ord, (SELECT ords FROM d)), 0)"
	}
	q.add("ins AS (INSERT INTO ", s.schema, ".records (batch")
	for _, c := range cols {
		q.add(", ", c.name)
	}
	if oneShape {
		q.add(", shape")
	}
	if oneVerdict {
		q.add(", verdict")
	}
	q.add(") SELECT n.id")
	for _, c := range cols {
		q.add(", ", c.expr)
	}
	if oneShape {
		q.add(", ", q.arg(ids[0].shape), "::bigint")
	}
	if oneVerdict {
		q.add(", ", q.arg(ids[0].verdict), "::bigint")
	}
	q.add(" FROM n CROSS JOIN ")
	unnest(cols)
	if !own {
		q.add(" WHERE ", settings, " = '", soundSettings, "'")
	}
	q.add(" ON CONFLICT DO NOTHING RETURNING ord),\n")
	total := q.arg(len(sorted)) + "::int"
	var sinceArg, untilArg any
	if starts > 0 {
		sinceArg, untilArg = since, until
	}
	if kinds {
		s.insertLinks(q, b, sorted, ordOf, led)
	}
	q.add("b AS (INSERT INTO ", s.schema, ".batches (id, now, width, corrections, since, until)\n\tSELECT n.id, ", q.arg(b.Now().UnixMicro()), "::bigint, (SELECT max(ord) FROM ins), ",
		q.arg(corrections), "::int, ", q.arg(sinceArg), "::bigint, ", q.arg(untilArg), "::bigint FROM n WHERE EXISTS (SELECT FROM ins))\n")
	links, gone := "NULL::text", "(SELECT ords FROM d)::text"
	if kinds {
		links, gone = "(SELECT count(*) FROM links)::text", "NULL::text"
	}
	inserted := "(SELECT count(*) FROM ins)"
	if own && !kinds && len(look) < len(sorted) {
		// Dividing by zero ends the transaction: nothing of it is booked.
		inserted = "(SELECT count(*) / (count(*) = " + total + " - coalesce(cardinality((SELECT ords FROM d)), 0))::int FROM ins)"
	}
	q.add("SELECT ", inserted, "::text, CASE WHEN (SELECT count(*) FROM ins) < ", total, " THEN (SELECT array_agg(ord) FROM ins)::text END,",
		" ", settings, ", n.id::text, ", links, ", ", gone, strings.Repeat(", NULL::text", bookedColumnCount), " FROM n")
	if kinds {
		return ins // what is booked already was looked up before
	}
	q.add("\nUNION ALL\nSELECT NULL, NULL, NULL, NULL, u.ord::text, NULL, ", bookedColumns, " FROM ")
	unnest(looked)
	q.add(" CROSS JOIN LATERAL (SELECT * FROM ", s.schema, ".records r WHERE r.tenant = u.tenant AND r.source = u.source AND r.id = u.id LIMIT 1) r", s.text(bookedJoins),
		"\n\tWHERE (SELECT ords FROM d) IS NOT NULL AND u.ord = ANY((SELECT ords FROM d)::int[])")
	return ins
}

// insertHead is the first row that an insertion returns.
type insertHead struct {
	inserted int
	ords     map[int]bool // of the rows that were inserted; nil: all or none
	gone     map[int]bool // places of those that were booked before
	settings string
	links    int
}

func (h *insertHead) read(c [][]byte) error {
	n, err := parseInt(c[0])
	if err != nil {
		return err
	}
	h.inserted, h.settings = int(n), string(c[2])
	if c[4] != nil {
		n, err := parseInt(c[4])
		if err != nil {
			return err
		}
		h.links = int(n)
	}
	if h.ords, err = setOf(c[1]); err != nil {
		return err
	}
	h.gone, err = setOf(c[5])
	return err
}

// setOf reads an array of integers; null is nil.
func setOf(text []byte) (map[int]bool, error) {
	if text == nil {
		return nil, nil
	}
	list, err := unquote(text)
	if err != nil {
		return nil, err
	}
	set := make(map[int]bool, len(list))
	for _, text := range list {
		n, err := parseInt([]byte(text))
		if err != nil {
			return nil, err
		}
		set[int(n)] = true
	}
	return set, nil
}

func (s *Store) lookUpStatement(b *usage.Batch, at []int) statement {
	var tenant, source, id array
	for _, i := range at {
		r := &b.At(i).Record
		tenant.text(r.Tenant)
		source.text(r.Source)
		id.text(r.ID)
	}
	return statement{s.sql.lookUp, []any{tenant.String(), source.String(), id.String()}}
}
