package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/rules"
	"github.com/usagebook/usagebook/usage"
)

// epoch is where the clocks of the cases begin.
var epoch = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

// clock is a clock that only the case moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: epoch} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

func (c *clock) advance(d time.Duration) { c.set(c.Now().Add(d)) }

// bench is a store under test with a book to prepare batches for it and a clock
// for both.
type bench struct {
	k     *kit
	store usage.Store
	book  *usage.Book
	clock *clock
}

// open returns a new store on its bench. The options may be nil.
func (k *kit) open(opts *usage.Options) *bench {
	k.Helper()
	s := k.opener(k.TB)
	if s == nil {
		k.Fatalf("open returned no store")
	}
	k.Cleanup(func() { _ = s.Close() })
	return k.bench(s, opts)
}

func (k *kit) bench(s usage.Store, opts *usage.Options) *bench {
	k.Helper()
	b := &bench{k: k, store: s, clock: newClock()}
	b.book = b.newBook(opts)
	return b
}

// newBook returns another book over the same store and clock.
func (b *bench) newBook(opts *usage.Options) *usage.Book {
	b.k.Helper()
	var o usage.Options
	if opts != nil {
		o = *opts
	}
	o.Now = b.clock.Now
	book, err := usage.New(b.store, &o)
	if err != nil {
		b.k.Fatalf("usage.New over the store: %v", err)
	}
	return book
}

func (b *bench) ctx() context.Context { return b.k.Context() }

// prepare makes a batch.
func (b *bench) prepare(records ...usage.Record) *usage.Batch {
	b.k.Helper()
	return b.prepareWith(usage.AppendOptions{}, records...)
}

func (b *bench) prepareWith(o usage.AppendOptions, records ...usage.Record) *usage.Batch {
	b.k.Helper()
	batch, err := b.book.Prepare(o, records...)
	if err != nil {
		b.k.Fatalf("Prepare: %v", err)
	}
	return batch
}

// append books records, or not, and returns the entries of their receipt.
func (b *bench) append(records ...usage.Record) []usage.ReceiptEntry {
	b.k.Helper()
	return b.appendBatch(b.prepare(records...))
}

func (b *bench) appendBatch(batch *usage.Batch) []usage.ReceiptEntry {
	b.k.Helper()
	out, err := b.store.Append(b.ctx(), batch)
	if err != nil {
		b.k.Fatalf("Append: %v", err)
	}
	if len(out) != batch.Len() {
		b.k.Fatalf("Append of %d records returned %d entries", batch.Len(), len(out))
	}
	return out
}

// must books records that are all to be inserted.
func (b *bench) must(records ...usage.Record) []usage.ReceiptEntry {
	b.k.Helper()
	out := b.append(records...)
	for i := range out {
		if out[i].Outcome != usage.Inserted {
			b.k.Fatalf("Append of a new record: record %d (%s) was %s: %v", i, show(&records[i]), out[i].Outcome, out[i].Violations)
		}
	}
	return out
}

// want books records and checks what becomes of each.
func (b *bench) want(what string, want []usage.Outcome, records ...usage.Record) []usage.ReceiptEntry {
	b.k.Helper()
	out := b.append(records...)
	b.outcomes(what, want, out)
	return out
}

func (b *bench) outcomes(what string, want []usage.Outcome, got []usage.ReceiptEntry) {
	b.k.Helper()
	for i := range got {
		if got[i].Outcome != want[i] {
			b.k.Fatalf("%s: record %d is %s, want %s (violations: %v)", what, i, got[i].Outcome, want[i], got[i].Violations)
		}
	}
}

// state asks for the newest moment.
func (b *bench) state() usage.State {
	b.k.Helper()
	return b.stateAt(usage.AsOf{})
}

func (b *bench) stateAt(at usage.AsOf) usage.State {
	b.k.Helper()
	s, err := b.store.Checkpoint(b.ctx(), at)
	if err != nil {
		b.k.Fatalf("Checkpoint(%+v): %v", at, err)
	}
	return s
}

// settled asks for the newest moment by its sequence, which makes stores that
// give sequences later give them.
func (b *bench) settled() usage.State {
	b.k.Helper()
	return b.stateAt(usage.AsOf{Sequence: math.MaxInt64})
}

// scan collects what a selection names.
func (b *bench) scan(sel usage.Selection) []*usage.Stored {
	b.k.Helper()
	var out []*usage.Stored
	for r, err := range b.store.Scan(b.ctx(), sel) {
		if err != nil {
			b.k.Fatalf("Scan: %v", err)
		}
		out = append(out, r)
	}
	return out
}

// everything returns all records in the order of commit, settled.
func (b *bench) everything() []*usage.Stored {
	b.k.Helper()
	return b.scan(usage.Selection{Scope: usage.AllTenants(), Mark: b.settled().Mark, Order: usage.BySequence})
}

// find returns one booked record.
func (b *bench) find(id usage.Identity) *usage.Stored {
	b.k.Helper()
	got := b.scan(usage.Selection{Scope: usage.AllTenants(), Mark: b.settled().Mark, Identities: []usage.Identity{id}})
	if len(got) != 1 {
		b.k.Fatalf("Scan for the booked identity %v yields %d records, want 1", id, len(got))
	}
	return got[0]
}

// holds checks that the store holds exactly these records, by their identities.
func (b *bench) holds(what string, want ...usage.Record) {
	b.k.Helper()
	ids := make([]usage.Identity, len(want))
	for i := range want {
		ids[i] = want[i].Identity()
	}
	b.sameIdentities(what, identities(b.everything()), ids)
}

func (b *bench) sameIdentities(what string, got, want []usage.Identity) {
	b.k.Helper()
	if !slices.Equal(got, want) {
		b.k.Fatalf("%s: the store yields\n  %s\nwant\n  %s", what, showIdentities(got), showIdentities(want))
	}
}

func identities(list []*usage.Stored) []usage.Identity {
	out := make([]usage.Identity, len(list))
	for i, r := range list {
		out[i] = r.Identity()
	}
	return out
}

func showIdentities(ids []usage.Identity) string {
	if len(ids) == 0 {
		return "(nothing)"
	}
	parts := make([]string, 0, len(ids))
	for i, id := range ids {
		if i == 20 {
			parts = append(parts, fmt.Sprintf("and %d more", len(ids)-i))
			break
		}
		parts = append(parts, fmt.Sprintf("%q/%q/%q", id.Tenant, id.Source, id.ID))
	}
	return strings.Join(parts, ", ")
}

// use returns a plain record of tenant acme and source s that was used at a
// whole number of minutes after the epoch.
func use(id string, minute int) usage.Record {
	return usage.Record{
		Tenant: "acme", Source: "s", ID: id, Meter: "requests",
		Start:      epoch.Add(time.Duration(minute) * time.Minute),
		Values:     usage.Values{}.WithNumber(usage.QuantityName, aggregate.Int(1)),
		Dimensions: usage.NewDimensions(usage.Dimension{Name: "region", Value: "eu"}),
	}
}

// uses returns n records, one a minute.
func uses(prefix string, n int) []usage.Record {
	out := make([]usage.Record, n)
	for i := range out {
		out[i] = use(fmt.Sprintf("%s%04d", prefix, i), i)
	}
	return out
}

func of(tenant string, r usage.Record) usage.Record {
	r.Tenant = tenant
	return r
}

// voidOf returns the void of a record of the same tenant.
func voidOf(id string, target usage.Record) usage.Record {
	return usage.Record{Tenant: target.Tenant, Source: "desk", ID: id,
		Corrects: &usage.Correction{Kind: usage.Void, Source: target.Source, ID: target.ID}}
}

// replaceOf returns a replacement of a record that carries other figures.
func replaceOf(id string, target usage.Record, quantity int64) usage.Record {
	r := target
	r.Source, r.ID = "desk", id
	r.Values = usage.Values{}.WithNumber(usage.QuantityName, aggregate.Int(quantity))
	r.Corrects = &usage.Correction{Kind: usage.Replace, Source: target.Source, ID: target.ID}
	return r
}

// number reads a number that is written in a case.
func number(s string) aggregate.Number {
	n, err := aggregate.ParseNumber(s)
	if err != nil {
		panic(err) // a fault of the kit itself
	}
	return n
}

func quantity(s string) usage.Values {
	return usage.Values{}.WithNumber(usage.QuantityName, number(s))
}

// show writes down everything that a record says.
func show(r *usage.Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q %q %q meter %q %s to %s values %v dimensions %v", r.Tenant, r.Source, r.ID, r.Meter,
		showTime(r.Start), showTime(r.End), r.Values, r.Dimensions)
	if c := r.Corrects; c != nil {
		fmt.Fprintf(&b, " %v of %q %q", c.Kind, c.Source, c.ID)
	}
	return b.String()
}

func showTime(t time.Time) string {
	if t.IsZero() {
		return "none"
	}
	return t.Format(time.RFC3339Nano) // in the zone that it has: UTC is asked for
}

// showStored adds what the store knows.
func showStored(r *usage.Stored) string {
	s := fmt.Sprintf("%s sequence %d recorded %s verdict %v", show(&r.Record), r.Sequence, showTime(r.Recorded), r.Verdict)
	if c := r.CorrectedBy; c != nil {
		s += fmt.Sprintf(" corrected at %d by %v %q %q", c.Sequence, c.Kind, c.Source, c.ID)
	}
	return s
}

// seriesOf returns the series of a record.
func seriesOf(r *usage.Record) *usage.Series {
	return &usage.Series{Tenant: r.Tenant, Meter: r.Meter, Dimensions: r.Dimensions}
}

// verdicts are rules that give every kind of verdict, by the meter's name.
type verdicts struct{}

// verdictMeters have a verdict of their own each; others are verified.
var verdictMeters = []string{"requests", "billable", "unruled", "unruled-billable", "unverified"}

// Judge implements usage.Rules.
func (verdicts) Judge(s rules.Subject, _ time.Time) rules.Judgement {
	switch s.Meter() {
	case "billable":
		return rules.Judgement{Verdict: rules.Verified, Billable: true, Version: "2026-02 \u00e9"}
	case "unruled":
		return rules.Judgement{Verdict: rules.NoRule, Version: "v2"}
	case "unruled-billable":
		return rules.Judgement{Verdict: rules.NoRule, Billable: true, Version: "v3"}
	case "unverified":
		return rules.Judgement{}
	}
	return rules.Judgement{Verdict: rules.Verified, Version: "v1"}
}

// ended returns a context that was cancelled already, and the cause that must
// be found in errors.
func ended(parent context.Context) context.Context {
	ctx, cancel := context.WithCancel(parent)
	cancel()
	return ctx
}

func isCancelled(err error) bool { return errors.Is(err, context.Canceled) }
