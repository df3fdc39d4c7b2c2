package sqlitestore

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/usagebook/usagebook/usage"
)

// Scan yields records; see [usage.Store] for the rules. It reads the file in
// pieces and holds neither a connection nor a lock while it yields.
func (s *Store) Scan(ctx context.Context, sel usage.Selection) iter.Seq2[*usage.Stored, error] {
	return func(yield func(*usage.Stored, error) bool) {
		err := s.scan(ctx, &sel, func(r *usage.Stored) bool { return yield(r, nil) })
		if err != nil && err != errStopped {
			yield(nil, fault("scan", err))
		}
	}
}

// errStopped ends a read whose consumer wants no more.
var errStopped = errors.New("stopped")

func (s *Store) scan(ctx context.Context, sel *usage.Selection, yield func(*usage.Stored) bool) error {
	q, err := s.query(ctx, sel)
	if err != nil || q.none() {
		return err
	}
	r := &reader{query: q, ctx: ctx, yield: yield}
	switch {
	case q.identities != nil:
		return r.lookUp()
	case sel.Class == usage.Chained || sel.Class == usage.Corrections:
		return r.chainedOnly()
	case sel.Order == usage.ByStart:
		return r.merge()
	case sel.Order == usage.BySequence || r.narrow():
		return r.bySequence()
	}
	return r.byPair()
}

// reader is a scan under way.
type reader struct {
	*query
	ctx     context.Context
	yield   func(*usage.Stored) bool
	entries []logEntry // of the log, those that were looked up, in order
	found   []*usage.Stored
}

// Rows that are read before they are yielded: few at first, for who wants few,
// then more.
const (
	firstRows = 64
	mostRows  = 4096
)

// narrow reports whether the sequences are so few that going through the log is
// better than through pairs and starts.
func (r *reader) narrow() bool {
	const share = 8
	return r.hi-r.lo <= r.s.known.Load()/share
}

// row is a record as it is read.
type row struct {
	place
	pair    *pair
	key     []byte
	content content
	chain   *chain
}

// read lends a connection; see pool.
func (r *reader) read(f func(c *conn) error) error { return r.s.pool.read(r.ctx, f) }

// flush yields what was found.
func (r *reader) flush() error {
	for i, s := range r.found {
		// Every record: a consumer that cancels wants no further one.
		if err := r.ctx.Err(); err != nil {
			return err
		}
		r.found[i] = nil
		if !r.yield(s) {
			return errStopped
		}
	}
	r.found = r.found[:0]
	return nil
}

// take builds the record of a row that is selected and adds it to those found.
func (r *reader) take(c *conn, w *row) error {
	keep, err := r.keeps(r.ctx, c, w.content.series)
	if err != nil || !keep {
		return err
	}
	s, err := r.stored(c, w)
	if err == nil {
		r.found = append(r.found, s)
	}
	return err
}

func (r *reader) stored(c *conn, w *row) (*usage.Stored, error) {
	n := r.s.names
	if w.content.idSum != sumOf(w.key) {
		return nil, damaged("the identity of record %d is not its own", w.seq)
	}
	id, err := n.identity(r.ctx, c, w.key)
	if err != nil {
		return nil, err
	}
	series, err := n.seriesOf(r.ctx, c, w.content.series)
	if err != nil {
		return nil, err
	}
	verdict, err := n.verdictOf(r.ctx, c, w.content.verdict)
	if err != nil {
		return nil, err
	}
	names, err := n.shapeOf(r.ctx, c, w.content.shape)
	if err != nil {
		return nil, err
	}
	recorded, err := r.recorded(c, w.seq)
	if err != nil {
		return nil, err
	}
	out := &usage.Stored{
		Record:   usage.Record{Tenant: id.Tenant, Source: id.Source, ID: id.ID, Meter: series.Meter, Dimensions: series.Dimensions},
		Sequence: uint64(w.seq), Recorded: instant(recorded), Verdict: verdict,
	}
	if out.Values, err = w.content.read(names, w.seq); err != nil {
		return nil, err
	}
	b := booked{place: w.place, content: w.content}
	out.Start, out.End = b.times()
	if h := w.chain; h != nil {
		if h.kind != 0 {
			target, err := n.identity(r.ctx, c, h.target)
			if err != nil {
				return nil, err
			}
			out.Corrects = &usage.Correction{Kind: h.kind, Source: target.Source, ID: target.ID}
		}
		if h.by != 0 && h.by <= r.mark {
			by, err := n.identity(r.ctx, c, h.byID)
			if err != nil {
				return nil, err
			}
			out.CorrectedBy = &usage.CorrectedBy{Sequence: uint64(h.by), Kind: h.byKind, Source: by.Source, ID: by.ID}
		}
	}
	return out, nil
}

// mostEntries is how many entries of the log a scan remembers: records that lie
// together were booked in many batches, the same ones again and again.
const mostEntries = 4096

// recorded returns when a record was booked.
func (r *reader) recorded(c *conn, seq int64) (int64, error) {
	i, found := slices.BinarySearchFunc(r.entries, seq, func(l logEntry, seq int64) int { return cmp.Compare(l.first, seq) })
	if !found {
		i--
	}
	if i >= 0 && seq <= r.entries[i].last() {
		return r.entries[i].recorded, nil
	}
	l, found, err := entryOf(r.ctx, c, seq)
	if err != nil {
		return 0, err
	}
	if !found || seq > l.last() {
		return 0, damaged("record %d is not in the log", seq)
	}
	if len(r.entries) == mostEntries {
		r.entries, i = r.entries[:0], -1
	}
	r.entries = slices.Insert(r.entries, i+1, l)
	return l.recorded, nil
}

// get reads the record at a place, which must be there.
func (r *reader) get(c *conn, at place) (*row, error) {
	w := &row{place: at, pair: r.pairOf(at.pair)}
	var data []byte
	found, err := c.one(r.ctx, "SELECT id, data FROM usagebook_records WHERE pair = ? AND start = ? AND seq = ?", []driver.Value{at.pair, at.start, at.seq}, func(rs *rows) {
		w.key, data = rs.blob(0), rs.blob(1)
	})
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, damaged("record %d is not where it was written", at.seq)
	}
	w.content, err = parseContent(data, at)
	return w, err
}

// chainOf returns what is known of the corrections of a record.
func (r *reader) chainOf(c *conn, at place) (*chain, error) {
	if !r.chained[at.pair] {
		return nil, nil
	}
	h, found, err := findChain(r.ctx, c, at)
	if err != nil || !found {
		return nil, err
	}
	return &h, nil
}

// lookUp answers from the index of identities.
func (r *reader) lookUp() error {
	seen := make(map[int64]bool)
	for ids := range slices.Chunk(r.identities, firstRows) {
		err := r.read(func(c *conn) error {
			for _, id := range ids {
				code, err := r.s.names.find(r.ctx, c, appendOwner(nil, id.Tenant, id.Source))
				if err != nil {
					return err
				}
				if code == 0 {
					continue
				}
				b, found, err := findRecord(r.ctx, c, appendIdentity(nil, code, id.ID))
				if err != nil {
					return err
				}
				if !found || r.pairOf(b.pair) == nil || seen[b.seq] {
					continue
				}
				seen[b.seq] = true
				h, err := r.chainOf(c, b.place)
				if err != nil {
					return err
				}
				if r.takes(b.place, h) {
					if err := r.take(c, &row{place: b.place, key: b.key, content: b.content, chain: h}); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if r.sel.Order == usage.Unordered {
			if err := r.flush(); err != nil {
				return err
			}
		}
	}
	r.sort()
	return r.flush()
}

// sort brings what was found into the order asked for, and leaves out what is
// not after Selection.Resume.
func (r *reader) sort() {
	switch r.sel.Order {
	case usage.BySequence:
		slices.SortFunc(r.found, func(a, b *usage.Stored) int { return cmp.Compare(a.Sequence, b.Sequence) })
	case usage.ByStart:
		slices.SortFunc(r.found, compareStored)
		if r.sel.Resume != nil {
			r.found = slices.DeleteFunc(r.found, func(s *usage.Stored) bool { return !r.after(s) })
		}
	}
}

// compareStored orders by (Start, Source, ID, Tenant).
func compareStored(a, b *usage.Stored) int {
	return cmp.Or(a.Start.Compare(b.Start), strings.Compare(a.Source, b.Source), strings.Compare(a.ID, b.ID), strings.Compare(a.Tenant, b.Tenant))
}

// after reports whether a record stands strictly after Selection.Resume.
func (r *reader) after(s *usage.Stored) bool {
	p := r.sel.Resume
	if p == nil {
		return true
	}
	return cmp.Or(cmp.Compare(startOf(&s.Record), p.Start), strings.Compare(s.Source, p.Source), strings.Compare(s.ID, p.ID), strings.Compare(s.Tenant, p.Tenant)) > 0
}

// chainedOnly answers from the table of chained records, which is short.
func (r *reader) chainedOnly() error {
	list, err := r.chains()
	if err != nil {
		return err
	}
	switch r.sel.Order {
	case usage.BySequence:
		slices.SortFunc(list, func(a, b chain) int { return cmp.Compare(a.seq, b.seq) })
	case usage.ByStart:
		slices.SortFunc(list, func(a, b chain) int { return cmp.Compare(a.start, b.start) })
	}
	for n := firstRows; len(list) > 0; n = min(4*n, mostRows) {
		k := min(n, len(list))
		if r.sel.Order == usage.ByStart {
			// What starts together is ordered by texts, which are not read yet.
			for k < len(list) && list[k].start == list[k-1].start {
				k++
			}
		}
		err := r.read(func(c *conn) error {
			for i := range list[:k] {
				w, err := r.get(c, list[i].place)
				if err != nil {
					return err
				}
				w.chain = &list[i]
				if err := r.take(c, w); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		r.sort()
		if err := r.flush(); err != nil {
			return err
		}
		list = list[k:]
	}
	return nil
}

// chains reads what is known of the selected chained records.
func (r *reader) chains() (list []chain, err error) {
	var of []*pair
	for _, p := range r.pairs {
		if r.chained[p.code] {
			of = append(of, p)
		}
	}
	const few = 64
	switch {
	case len(of) == 0:
		return nil, nil
	case r.sel.Class == usage.Corrections && r.lo > 0:
		// The newest ones, which is what a query beside rollups wants.
		return r.chainsWhere(list, "since > ? AND since <= ?", r.lo, r.hi)
	case len(of) > few:
		return r.chainsWhere(list, "since <= ?", r.mark)
	}
	for _, p := range of {
		if list, err = r.chainsWhere(list, "pair = ? AND start >= ? AND start < ? AND since <= ?", p.code, r.from, r.to, r.mark); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (r *reader) chainsWhere(list []chain, where string, args ...driver.Value) ([]chain, error) {
	err := r.read(func(c *conn) error {
		rs, err := c.query(r.ctx, "SELECT "+chainColumns+" FROM usagebook_chained WHERE "+where, args...)
		if err != nil {
			return err
		}
		for rs.next() {
			if h := readChain(rs, 0); r.pairOf(h.pair) != nil && r.takes(h.place, &h) {
				list = append(list, h)
			}
		}
		return rs.close()
	})
	return list, err
}

// bySequence goes through the log.
func (r *reader) bySequence() error {
	next := r.lo + 1
	for n := firstRows; next <= r.hi; n = min(4*n, mostRows) {
		err := r.read(func(c *conn) error {
			for n := n; next <= r.hi && n > 0; {
				places, last, err := r.places(c, next, n)
				if err != nil {
					return err
				}
				for _, at := range places {
					if err := r.visit(c, at); err != nil {
						return err
					}
				}
				n -= int(last + 1 - next)
				next = last + 1
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := r.flush(); err != nil {
			return err
		}
	}
	return nil
}

// places reads from the log where records from a sequence on stand, those of
// wanted pairs and starts among n at most, and up to which one it read.
func (r *query) places(c *conn, from int64, n int) (places []place, last int64, err error) {
	var l logEntry
	var data []byte
	found, err := c.one(background, "SELECT first, records, recorded, crc, places FROM usagebook_log WHERE first <= ? ORDER BY first DESC LIMIT 1", []driver.Value{from}, func(rs *rows) {
		l, data = readLog(rs, 0), rs.blob(4)
	})
	if err != nil {
		return nil, 0, err
	}
	if !found || from > l.last() {
		return nil, 0, damaged("record %d is not in the log", from)
	}
	last = min(l.last(), r.hi, from+int64(n)-1)
	err = readPlaces(&l, data, func(at place) {
		if at.seq >= from && at.seq <= last && at.start >= r.from && at.start < r.to && r.pairOf(at.pair) != nil {
			places = append(places, at)
		}
	})
	return places, last, err
}

// visit reads the record at a place and takes it if it is selected.
func (r *reader) visit(c *conn, at place) error {
	h, err := r.chainOf(c, at)
	if err != nil || !r.takes(at, h) {
		return err
	}
	w, err := r.get(c, at)
	if err != nil {
		return err
	}
	w.chain = h
	return r.take(c, w)
}

// byPair goes through pair after pair.
func (r *reader) byPair() error {
	n := firstRows
	at := 0 // in pairs
	var after place
	for at < len(r.pairs) {
		err := r.read(func(c *conn) error {
			for left := n; at < len(r.pairs) && left > 0; {
				p := r.pairs[at]
				if after.pair != p.code {
					after = place{p.code, r.from, -1}
				}
				rows, err := r.page(c, p, after, left)
				if err != nil {
					return err
				}
				for i := range rows {
					if w := &rows[i]; r.takes(w.place, w.chain) {
						if err := r.take(c, w); err != nil {
							return err
						}
					}
				}
				if len(rows) < left {
					at++
				} else {
					after = rows[len(rows)-1].place
				}
				left -= max(len(rows), 1)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := r.flush(); err != nil {
			return err
		}
		n = min(4*n, mostRows)
	}
	return nil
}

// The condition on starts stands there twice: the first one is what SQLite looks
// up, the second one leaves out what was read already.
const (
	pageFrom  = " FROM usagebook_records r"
	pageChain = " LEFT JOIN usagebook_chained h ON h.pair = r.pair AND h.start = r.start AND h.seq = r.seq"
	pageWhere = " WHERE r.pair = ? AND r.start >= ? AND r.start < ? AND (r.start, r.seq) > (?, ?) AND r.seq > ? AND r.seq <= ?"
	pageOrder = " ORDER BY r.start, r.seq LIMIT ?"
)

var (
	plainPage   = "SELECT r.start, r.seq, r.id, r.data" + pageFrom + pageWhere
	chainedPage = "SELECT r.start, r.seq, r.id, r.data, h." + strings.ReplaceAll(chainColumns, ", ", ", h.") + pageFrom + pageChain + pageWhere
)

// page reads the next rows of a pair in the order of (start, seq), whatever their
// class.
func (r *query) page(c *conn, p *pair, after place, n int) ([]row, error) {
	statement := plainPage
	chained := r.chained[p.code]
	if chained {
		statement = chainedPage
	}
	where, args := r.filtered(p, []driver.Value{p.code, after.start, r.to, after.start, after.seq, r.lo, r.hi})
	query := c.query
	if where != "" {
		query = c.queryOnce // there are as many statements as filters
	}
	rs, err := query(background, statement+where+pageOrder, append(args, int64(n))...)
	if err != nil {
		return nil, err
	}
	defer rs.close()
	var out []row
	for rs.next() {
		w := row{place: place{p.code, rs.int(0), rs.int(1)}, pair: p, key: rs.blob(2)}
		if w.content, err = parseContent(rs.blob(3), w.place); err != nil {
			return nil, err
		}
		if chained && !rs.null(4) {
			h := readChain(rs, 4)
			w.chain = &h
		}
		out = append(out, w)
	}
	return out, rs.close()
}
