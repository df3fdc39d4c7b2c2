package storetest

import (
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/usagebook/usagebook/rules"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/storetest/internal/model"
)

// world is a book over the store under test beside the model of the same book.
// Both are told the same things, and asked the same questions.
type world struct {
	*bench
	model  *model.Book
	rng    *rand.Rand
	sent   []usage.Record // everything ever sent, for repeats and corrections
	serial int
	placed int // how many of the model's records have their Sequence
	synced uint64
	zones  []*time.Location
	seed   uint64
	// What records are made of. Few tenants, meters and regions within a short
	// time make rollups worth keeping; many, spread over years, find what is
	// at the edges.
	tenants, meters, regions []string
	hosts                    int
	span                     time.Duration // around one change of a clock; 0: around all, and in between
	turn                     time.Time

	// planned counts how answers were read.
	planned map[string]int

	opts usage.Options // of the book
	side string        // before every failure: which of several worlds it is
}

func (k *kit) world(seed uint64, opts usage.Options) *world {
	k.Helper()
	return k.worldOver(k.open(nil), seed, opts)
}

// worldOver makes a world of what lies on a bench, with a book of its own.
func (k *kit) worldOver(b *bench, seed uint64, opts usage.Options) *world {
	k.Helper()
	opts.Rules = verdicts{}
	if opts.Rollups == nil {
		opts.Rollups = [][]string{{"region"}, {"host", "region"}}
	}
	b.book = b.newBook(&opts)
	w := &world{bench: b, model: model.New(), rng: rand.New(rand.NewPCG(seed, 20260302)), seed: seed, opts: opts}
	for _, name := range zones {
		w.zones = append(w.zones, k.zone(name))
	}
	w.planned = map[string]int{}
	w.tenants, w.meters, w.regions, w.hosts = worldTenants, verdictMeters, worldRegions, 6
	if seed%2 == 1 {
		w.tenants, w.meters, w.regions, w.hosts = worldTenants[:2], verdictMeters[:2], worldRegions[:2], 1+int(seed/2%2)
		w.span = []time.Duration{5 * time.Hour, 30 * time.Hour, 20 * 24 * time.Hour}[seed/2%3]
		w.turn = changes[seed/2%2] // of the clock in Zurich
	}
	return w
}

// fatalf says with which seed the world went wrong.
func (w *world) fatalf(format string, args ...any) {
	w.k.Helper()
	w.k.Fatalf("%sseed %d, %d records: %s", w.side, w.seed, len(w.model.Records), fmt.Sprintf(format, args...))
}

func pick[T any](rng *rand.Rand, list []T) T { return list[rng.IntN(len(list))] }

var (
	worldTenants = []string{"acme", "globex", "Acme"}
	worldRegions = []string{"eu", "us", "EU", "", "eu-west", "ä"}
	worldNumbers = []string{
		"0", "1", "1", "2.5", "-1.25", "0.1", "0.000000000000015", "100", "1000000.01", "9223372036854775807", "-9223372036854775808",
		"99999999999999999999999999999999999999.999999999999999999999999999999", "-0.000000000000000000000000000001", "3.333333333333",
	}
)

// instant picks an event time: often close to a change of some clock, often on
// the edge of an hour, often one that another record has too.
func (w *world) instant() time.Time {
	if w.span != 0 {
		return w.turn.Add(time.Duration(w.rng.Int64N(int64(2*w.span))) - w.span).Truncate(pick(w.rng, []time.Duration{time.Microsecond, time.Minute, time.Hour}))
	}
	switch n := w.rng.IntN(10); {
	case n < 4:
		return pick(w.rng, changes).Add(time.Duration(w.rng.IntN(160)-80) * 15 * time.Minute)
	case n < 5:
		return pick(w.rng, changes).Add(time.Duration(w.rng.IntN(5)-2) * time.Microsecond)
	case n < 6 && len(w.sent) > 0:
		if t := pick(w.rng, w.sent).Start; !t.IsZero() {
			return t
		}
	}
	return epoch.Add(time.Duration(w.rng.Int64N(int64(60*24*time.Hour))) - 30*24*time.Hour).Truncate(pick(w.rng, []time.Duration{time.Microsecond, time.Minute, time.Hour}))
}

// fresh makes a record that was never sent.
func (w *world) fresh() usage.Record {
	w.serial++
	r := usage.Record{
		Tenant: pick(w.rng, w.tenants), Source: fmt.Sprintf("s%d", w.rng.IntN(3)), ID: fmt.Sprintf("%x-%d", w.rng.IntN(64), w.serial),
		Meter: pick(w.rng, w.meters), Start: w.instant(),
	}
	if w.rng.IntN(3) == 0 {
		r.End = r.Start.Add(time.Duration(w.rng.Int64N(int64(50 * time.Hour))))
	}
	if w.rng.IntN(8) > 0 {
		r.Values = r.Values.WithNumber("quantity", number(pick(w.rng, worldNumbers)))
	}
	if w.rng.IntN(3) == 0 || r.Values.Len() == 0 {
		r.Values = r.Values.WithNumber("cost", number(fmt.Sprintf("%d.%02d", w.rng.IntN(20)-5, w.rng.IntN(100))))
	}
	if w.rng.IntN(4) > 0 {
		r.Dimensions = r.Dimensions.With("region", pick(w.rng, w.regions))
	}
	if w.rng.IntN(4) > 0 {
		r.Dimensions = r.Dimensions.With("host", fmt.Sprintf("h%d", w.rng.IntN(w.hosts)))
	}
	return r
}

// next makes a record to send: a new one, a repeat, a conflict or a correction.
func (w *world) next() usage.Record {
	n := w.rng.IntN(100)
	if len(w.sent) == 0 {
		n = 0
	}
	switch {
	case n < 62:
		return w.fresh()
	case n < 74:
		return pick(w.rng, w.sent)
	case n < 78: // most likely a conflict
		r := pick(w.rng, w.sent)
		if r.Corrects == nil || r.Corrects.Kind == usage.Replace {
			r.Values = r.Values.WithNumber("quantity", number("77"))
		}
		return r
	}
	target := w.target()
	w.serial++
	if n >= 98 {
		target.ID = "nobody"
	}
	if n >= 96 {
		target.Tenant = pick(w.rng, worldTenants) // often one that never booked the target
	}
	if n < 90 {
		return voidOf(fmt.Sprintf("v%d", w.serial), target)
	}
	r := w.fresh()
	r.Tenant = target.Tenant
	r.Corrects = &usage.Correction{Kind: usage.Replace, Source: target.Source, ID: target.ID}
	return r
}

// target picks a record to correct: often the head of a chain, so that chains
// grow, sometimes any record, which is refused when it is corrected already.
func (w *world) target() usage.Record {
	r := pick(w.rng, w.sent)
	if w.rng.IntN(5) == 0 {
		return r
	}
	for {
		booked := w.model.Find(model.Identity(r.Identity()))
		if booked == nil {
			return r
		}
		by := booked.CorrectedBy(^uint64(0))
		if by == nil {
			return r
		}
		r.Source, r.ID = by.Source, by.ID
	}
}

// append sends a batch to both and compares what becomes of each record, which
// it returns.
func (w *world) append(records ...usage.Record) []usage.ReceiptEntry {
	w.k.Helper()
	o := usage.AppendOptions{AllOrNothing: w.rng.IntN(10) == 0}
	batch, err := w.book.Prepare(o, records...)
	if err != nil {
		w.fatalf("Prepare: %v", err)
	}
	asked := make([]model.Record, len(records))
	for i := range asked {
		asked[i] = modelled(batch.At(i))
	}
	receipt, err := w.book.AppendBatch(w.ctx(), o, records...)
	var refused *usage.AppendError
	if err != nil && !errors.As(err, &refused) {
		w.fatalf("Append: %v", err)
	}
	if len(receipt.Entries) != len(records) {
		w.fatalf("the receipt has %d entries for %d records", len(receipt.Entries), len(records))
	}
	for i, want := range w.model.Append(asked, o.AllOrNothing) {
		if got := receipt.Entries[i].Outcome; got != usage.Outcome(want) {
			w.fatalf("record %d of %d (all or nothing: %v) is %s, by the model %s\n  %s\n  violations: %v",
				i, len(records), o.AllOrNothing, got, usage.Outcome(want), show(&records[i]), receipt.Entries[i].Violations)
		}
	}
	w.sent = append(w.sent, records...)
	return receipt.Entries
}

// step sends a batch in random order, with the clock going on, standing still
// or running back.
func (w *world) step() {
	w.k.Helper()
	w.append(w.batch()...)
	w.tick()
}

func (w *world) batch() []usage.Record {
	records := make([]usage.Record, 1+w.rng.IntN(25))
	for i := range records {
		records[i] = w.next()
		if w.rng.IntN(12) == 0 {
			records[w.rng.IntN(i+1)] = records[i]
		}
	}
	return records
}

func (w *world) tick() {
	w.clock.advance(pick(w.rng, []time.Duration{0, time.Microsecond, time.Second, 7 * time.Minute, -3 * time.Minute}))
}

// place gives the model's new records the Sequence and Recorded that the store
// gave them, and returns the newest.
func (w *world) place() uint64 {
	w.k.Helper()
	for _, r := range w.scan(usage.Selection{Scope: usage.AllTenants(), Mark: w.settled().Mark, After: w.synced, Order: usage.BySequence}) {
		if w.placed == len(w.model.Records) {
			w.fatalf("the store holds a record that the model does not: %s", showStored(r))
		}
		m := w.model.Records[w.placed]
		if m.Identity != model.Identity(r.Identity()) {
			w.fatalf("place %d in the order of commit is %v, by the model %v", w.placed, r.Identity(), m.Identity)
		}
		m.Sequence, m.Recorded = r.Sequence, r.Recorded
		w.placed++
		w.synced = r.Sequence
	}
	if w.placed != len(w.model.Records) {
		w.fatalf("the store holds %d records, the model %d", w.placed, len(w.model.Records))
	}
	return w.synced
}

// modelled returns the model's record of an entry.
func modelled(e *usage.Entry) model.Record {
	r := &e.Record
	out := model.Record{
		Identity: model.Identity(r.Identity()), Meter: r.Meter, Start: r.Start, End: r.End,
		Values: map[string]*big.Rat{}, Dimensions: map[string]string{}, Billable: e.Verdict.Billable,
	}
	for name, n := range r.Values.All() {
		out.Values[name] = rat(n.String())
	}
	for name, v := range r.Dimensions.All() {
		out.Dimensions[name] = v
	}
	switch e.Verdict.State {
	case rules.Verified:
		out.Verified = model.OfBool(true)
	case rules.Unverified:
		out.Verified = model.OfBool(false)
	}
	if c := r.Corrects; c != nil {
		out.Role = model.Void
		if c.Kind == usage.Replace {
			out.Role = model.Replace
		}
		out.Target = model.Identity{Tenant: r.Tenant, Source: c.Source, ID: c.ID}
	}
	return out
}

// roll takes steps of the rollups; all of them where steps is negative.
func (w *world) roll(steps int) {
	w.k.Helper()
	for n := 0; n != steps; n++ {
		did, err := w.book.Roll(w.ctx())
		if err != nil {
			w.fatalf("Roll: %v", err)
		}
		if !did {
			return
		}
		if n > 10_000 {
			w.fatalf("Roll never ends")
		}
	}
}

// question is a query with everything that is asked around it.
type question struct {
	model.Query
	asOf     usage.AsOf
	pageSize int
	count    bool
}

func (q *question) scope() usage.Scope {
	s := usage.AllTenants()
	if q.Tenants != nil {
		s = usage.ForTenants(q.Tenants...)
	}
	for name, value := range q.Required {
		s = s.With(name, value)
	}
	return s
}

var aggregations = map[model.Aggregation]usage.Aggregation{
	model.Sum: usage.Sum, model.Count: usage.Count, model.Min: usage.Min, model.Max: usage.Max,
	model.Avg: usage.Avg, model.First: usage.First, model.Last: usage.Last, model.Distinct: usage.CountDistinct,
}

// query returns the question in the library's own words.
func (q *question) query() usage.Query {
	out := usage.Query{
		From: q.From, To: q.To, GroupBy: q.Group, Window: windowOf(q.Window),
		Limit: q.Limit, ZeroFill: q.ZeroFill, AsOf: q.asOf, PageSize: q.pageSize, Count: q.count,
	}
	if q.Recorded {
		out.On = usage.RecordedTime
	}
	if q.Where != nil {
		out.Filter = q.Where.String()
	}
	for _, m := range q.Measures {
		of := m.Of
		if m.Aggregation != model.Distinct {
			of = strings.TrimPrefix(of, "values/")
		}
		out.Measures = append(out.Measures, usage.Measure{Name: m.Name, Aggregation: aggregations[m.Aggregation], Of: of, Meter: m.Meter})
	}
	var order []string
	for _, o := range q.Order {
		if o.Descending {
			order = append(order, o.Column+" desc")
		} else {
			order = append(order, o.Column)
		}
	}
	out.OrderBy = strings.Join(order, ", ")
	return out
}

func (q *question) String() string {
	s := fmt.Sprintf("%+v", q.query())
	return fmt.Sprintf("query %s, tenants %q, required %v, zone %v", s, q.Tenants, q.Required, q.Window.Location)
}

// text writes a row of the store's book, modelText one of the model's.
func text(r *usage.Row) string {
	if r.Record != nil {
		return fmt.Sprintf("%s to %s: %v at %d", showTime(r.Start), showTime(r.End), r.Record.Identity(), r.Record.Sequence)
	}
	cells := make([]string, len(r.Cells))
	for i, c := range r.Cells {
		switch {
		case c.IsNull():
			cells[i] = "null"
		case c.Time().IsZero() && c.Str() == "":
			if cells[i] = c.String(); cells[i] == "" {
				cells[i] = "''"
			}
		case c.Time().IsZero():
			cells[i] = "'" + c.Str() + "'"
		default:
			cells[i] = model.OfInstant(c.Time()).String()
		}
	}
	return fmt.Sprintf("%s to %s: %s", showTime(r.Start), showTime(r.End), strings.Join(cells, ", "))
}

func modelText(r *model.Row) string {
	utc := func(t time.Time) time.Time {
		if t.IsZero() {
			return t
		}
		return t.UTC()
	}
	if r.Record != nil {
		return fmt.Sprintf("%s to %s: %v at %d", showTime(utc(r.Start)), showTime(utc(r.End)), usage.Identity(r.Record.Identity), r.Record.Sequence)
	}
	cells := make([]string, len(r.Cells))
	for i, c := range r.Cells {
		cells[i] = c.String()
	}
	return fmt.Sprintf("%s to %s: %s", showTime(utc(r.Start)), showTime(utc(r.End)), strings.Join(cells, ", "))
}

// answer asks the book, page by page, with meanwhile being called between
// pages.
func (w *world) answer(book *usage.Book, q *question, meanwhile func()) []string {
	w.k.Helper()
	var got []string
	query := q.query()
	for pages := 0; ; pages++ {
		page, err := book.Query(w.ctx(), q.scope(), query)
		if err != nil {
			w.fatalf("%v\nthe error: %v", q, err)
		}
		if len(page.Rows) > w.pageSize(q) {
			w.fatalf("%v\na page has %d rows, at most %d were asked for", q, len(page.Rows), q.pageSize)
		}
		for i := range page.Rows {
			got = append(got, text(&page.Rows[i]))
		}
		if q.count && pages == 0 {
			got = append([]string{fmt.Sprintf("count %d", page.Count)}, got...)
		}
		if page.Next == "" {
			return got
		}
		if len(page.Rows) == 0 || pages > 10_000 {
			w.fatalf("%v\npage %d is empty and has a next one", q, pages)
		}
		query.Token = page.Next
		query.PageSize = 0 // the size may change from page to page
		if q.pageSize > 0 {
			query.PageSize = q.pageSize + pages%2
		}
		if meanwhile != nil {
			meanwhile()
		}
	}
}

func (w *world) pageSize(q *question) int {
	if q.pageSize == 0 {
		return 1000
	}
	return q.pageSize + 1
}

// expected asks the model.
func (w *world) expected(q *question) []string {
	rows := w.model.Rows(&q.Query)
	var want []string
	if q.count {
		want = append(want, fmt.Sprintf("count %d", len(rows)))
	}
	for i := range rows {
		want = append(want, modelText(&rows[i]))
	}
	return want
}

// same compares two answers row by row.
func (w *world) same(what string, q *question, got, want []string) {
	w.k.Helper()
	for i := range max(len(got), len(want)) {
		g, m := "(no row)", "(no row)"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			m = want[i]
		}
		if g != m {
			plan := ""
			if p, err := w.book.Plan(w.ctx(), q.scope(), q.query()); err == nil {
				plan = "\nthe plan: " + p.String()
			}
			w.fatalf("%s: row %d of %d is\n  %s\nwant (%d rows)\n  %s\nin %v, mark %d%s", what, i, len(got), g, len(want), m, q, q.Mark, plan)
		}
	}
}

// check asks both and compares.
func (w *world) check(q *question) {
	w.k.Helper()
	w.same("the answer", q, w.answer(w.book, q, nil), w.expected(q))
	if w.rng.IntN(4) == 0 {
		plan, err := w.book.Plan(w.ctx(), q.scope(), q.query())
		if err != nil {
			w.fatalf("Plan: %v\n%v", err, q)
		}
		for _, r := range plan.Reads {
			if r.Rows > 0 {
				w.planned[r.Kind]++
			}
		}
	}
}
