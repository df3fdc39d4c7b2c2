package postgresstore

import (
	"context"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/filter/sqlfilter"
	"github.com/usagebook/usagebook/usage"
)

// query is a selection in the words of the tables.
type query struct {
	*Store
	sel  *usage.Selection
	mark moment

	tenants []string // nil: all
	meters  []string // nil: all
	lo, hi  int64    // sequences in (lo, hi]
	from    int64    // starts in [from, to)
	to      int64
	// linked: there are corrections at or below the mark, of tenants in scope.
	linked bool
	// linkedHere: some of them are among the selected sequences.
	linkedHere bool
	empty      bool
}

func (s *Store) query(ctx context.Context, sel *usage.Selection) (*query, error) {
	if err := sel.Scope.Check(); err != nil {
		return nil, err
	}
	if err := s.alive(ctx); err != nil {
		return nil, err
	}
	m, err := s.at(ctx, sel.Mark.Sequence)
	if err != nil {
		return nil, err
	}
	q := &query{Store: s, sel: sel, mark: m, from: math.MinInt64, to: math.MaxInt64}
	tenants, all := sel.Scope.Tenants()
	if !all {
		q.tenants = slices.DeleteFunc(slices.Clone(tenants), unquotable)
		q.empty = len(q.tenants) == 0
	}
	if sel.Meters != nil {
		// A void has no meter, and is not selected by the empty name either.
		q.meters = slices.DeleteFunc(slices.Clone(sel.Meters), func(m string) bool { return m == "" || unquotable(m) })
		q.empty = q.empty || len(q.meters) == 0
	}
	q.lo, q.hi = int64(min(sel.After, math.MaxInt64)), int64(m.mark)
	if sel.Through != 0 {
		q.hi = min(q.hi, int64(min(sel.Through, math.MaxInt64)))
	}
	if !sel.From.IsZero() {
		q.from = ceilMicro(sel.From)
	}
	if !sel.To.IsZero() {
		q.to = ceilMicro(sel.To)
	}
	if q.lo < q.hi && (!sel.RecordedFrom.IsZero() || !sel.RecordedTo.IsZero()) {
		if err := q.recorded(ctx); err != nil {
			return nil, err
		}
	}
	if m.starts {
		// No record but a void, which has no start, lies outside of these bounds.
		// So a range that takes them all in is no condition, and one beside them
		// need not be asked about.
		if sel.Class == usage.Plain || q.meters != nil || q.from > voidStart {
			q.empty = q.empty || q.to <= m.first || q.from > m.last
			switch {
			case q.from > m.first:
			case sel.Class == usage.Plain || q.meters != nil:
				q.from = math.MinInt64 // voids are left out by other conditions
			default:
				q.from = voidStart + 1
			}
			if q.to > m.last {
				q.to = math.MaxInt64
			}
		}
	}
	q.empty = q.empty || q.lo >= q.hi || q.from >= q.to
	if q.empty || m.corrections == 0 {
		return q, nil
	}
	if q.linked, err = s.chained.any(ctx, s, m.corrections, q.tenants); err != nil || !q.linked {
		return q, err
	}
	q.linkedHere = true
	if q.lo > 0 && q.hi == int64(m.mark) {
		// A record after lo that a correction at or below the mark is about has
		// it after lo too.
		after, err := s.at(ctx, uint64(q.lo))
		if err != nil {
			return nil, err
		}
		least := after.corrections
		if !after.whole() {
			least = after.before
		}
		q.linkedHere = m.corrections > least
	}
	return q, nil
}

// recorded turns the range of recorded time into one of sequences: Recorded
// never decreases with them.
func (q *query) recorded(ctx context.Context) error {
	before := func(arg string) string {
		return "(SELECT through FROM {s}.batches WHERE recorded < " + arg + " ORDER BY recorded DESC, base DESC LIMIT 1)"
	}
	from, to := int64(math.MinInt64), int64(math.MaxInt64)
	if !q.sel.RecordedFrom.IsZero() {
		from = ceilMicro(q.sel.RecordedFrom)
	}
	if !q.sel.RecordedTo.IsZero() {
		to = ceilMicro(q.sel.RecordedTo)
	}
	return q.read(ctx, q.text("SELECT coalesce("+before("$1")+", 0), coalesce("+before("$2")+", 0)"), []any{from, to}, func(c [][]byte) error {
		q.lo, q.hi = max(q.lo, integer(c[0])), min(q.hi, integer(c[1]))
		return nil
	})
}

// pairsWanted writes the ids of pairs in scope, empty for all.
func (q *query) pairsWanted(b *builder) string {
	var list []string
	if q.tenants != nil {
		list = append(list, b.among("tenant", q.tenants))
	}
	if q.meters != nil {
		list = append(list, b.among("meter", q.meters))
	}
	if list == nil {
		return ""
	}
	return "SELECT id FROM " + q.schema + ".pairs WHERE " + strings.Join(list, " AND ")
}

// events writes the conditions on pair and start. pairs are the ids in question;
// nil: those in scope.
func (q *query) events(b *builder, pairs []int64) {
	if len(pairs) == 1 {
		b.add(" AND r.pair = ", b.arg(pairs[0]))
	} else if pairs != nil {
		b.add(" AND r.pair = ANY(", b.arg(ints(pairs)), "::bigint[])")
	} else if wanted := q.pairsWanted(b); wanted != "" {
		b.add(" AND r.pair IN (", wanted, ")")
	}
	if q.from != math.MinInt64 {
		b.add(" AND r.start >= ", b.arg(q.from))
	}
	if q.to != math.MaxInt64 {
		b.add(" AND r.start < ", b.arg(q.to))
	}
}

// settledPart writes the condition that a record r of batch b is among the
// selected sequences.
func (q *query) settledPart(b *builder, lo, hi int64) {
	b.add(" AND b.base < ", b.arg(hi), " AND b.base + r.ord <= ", b.arg(hi))
	if lo > 0 {
		at := b.arg(lo)
		b.add(" AND b.base >= coalesce((SELECT base FROM ", q.schema, ".batches WHERE base <= ", at, " ORDER BY base DESC LIMIT 1), 0) AND b.base + r.ord > ", at)
	}
}

// hint writes what the database can decide of the selection's filter from a record
// alone. What its series decides, the meter and the dimensions, Selection.Series
// says too.
func (q *query) hint(b *builder) {
	if where, ok := q.where(q.sel.Filter, len(b.args)); ok && where.SQL != "TRUE" {
		b.add(" AND (", where.SQL, ")")
		b.args = append(b.args, where.Args...)
	}
}

// where turns a condition into one on a record r, and its batch b where booked says
// so. There may be so many arguments before it.
func (s *Store) where(c *filter.Checked, argsBefore int) (where sqlfilter.Where, ok bool) {
	if c == nil {
		return where, false
	}
	columns := sqlfilter.Columns{}
	for _, f := range c.Fields() {
		switch name := f.Name; name {
		case "id":
			columns[name] = sqlfilter.Column{SQL: "r.id", Kind: sqlfilter.KindText, NotNull: true}
		case "source":
			columns[name] = sqlfilter.Column{SQL: "r.source", Kind: sqlfilter.KindText, NotNull: true}
		case "tenant":
			columns[name] = sqlfilter.Column{SQL: "r.tenant", Kind: sqlfilter.KindText, NotNull: true}
		case "start":
			columns[name] = sqlfilter.Column{SQL: "nullif(r.start, -62135596800000000)", Kind: sqlfilter.KindMicros}
		case "end":
			columns[name] = sqlfilter.Column{SQL: `r."end"`, Kind: sqlfilter.KindMicros}
		case "recorded":
			columns[name] = sqlfilter.Column{SQL: "b.recorded", Kind: sqlfilter.KindMicros, NotNull: true}
		case "sequence":
			columns[name] = sqlfilter.Column{SQL: "b.base + r.ord", Kind: sqlfilter.KindInteger, NotNull: true}
		case "verified":
			columns[name] = sqlfilter.Column{SQL: "SELECT CASE v.state WHEN 2 THEN true WHEN 0 THEN false END FROM " + s.schema + ".verdicts v WHERE v.id = r.verdict", Kind: sqlfilter.KindBoolean}
		case "billable":
			columns[name] = sqlfilter.Column{SQL: "SELECT v.billable FROM " + s.schema + ".verdicts v WHERE v.id = r.verdict", Kind: sqlfilter.KindBoolean, NotNull: true}
		default:
			if value, ok := strings.CutPrefix(name, "values/"); ok && quotable(value) {
				columns[name] = sqlfilter.Column{SQL: s.value(value), Kind: sqlfilter.KindNumeric}
			}
		}
	}
	w, err := sqlfilter.New(sqlfilter.PostgreSQL(), columns)
	if err != nil {
		return where, false // then nothing is pushed
	}
	return w.Where(c, argsBefore), true
}

// booked reports whether a condition looks at what a record got from its batch.
func booked(c *filter.Checked) bool {
	return c != nil && slices.ContainsFunc(c.Fields(), func(f filter.Field) bool { return f.Name == "recorded" || f.Name == "sequence" })
}

// Filters reports whether the database can decide all of a condition.
func (s *Store) Filters(c *filter.Checked) bool {
	where, ok := s.where(c, mostArgs)
	return ok && where.Residual == nil
}

// mostArgs is more than the arguments of a statement beside those of its condition.
const mostArgs = 10_000

func quotable(name string) bool { return utf8.ValidString(name) && !strings.ContainsRune(name, 0) }

// unquotable reports whether a text is none that the database can hold, so that
// nothing there is called so.
func unquotable(name string) bool { return !quotable(name) }

// quote writes a text that may come from anywhere into a statement, whatever the
// server takes a backslash for.
func quote(text string) string {
	return "E'" + strings.NewReplacer(`\`, `\\`, "'", "''").Replace(text) + "'"
}

// value writes the value of a name in a record r, null where it has none. The
// sub-selects are read once for a statement.
func (s *Store) value(name string) string {
	n := quote(name)
	shapes := "FROM " + s.schema + ".shapes WHERE "
	return "CASE WHEN r.shape = ANY(ARRAY(SELECT id " + shapes + "names[1] = " + n + ")) THEN r.value" +
		" WHEN r.shape = ANY(ARRAY(SELECT id " + shapes + n + " = ANY(names[2:]))) THEN r.more[(SELECT array_position(names, " + n + ") - 1 " + shapes + "id = r.shape)] END"
}
