package storetest

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/rules"
	"github.com/usagebook/usagebook/usage"
)

var scanCases = []aCase{
	{
		name: "S1_everything_once",
		rule: "Scan yields exactly the records that the selection names, each once; with no condition but scope and mark that is all of them.",
		run:  everythingOnce,
	},
	{
		name: "S1_event_range",
		rule: "From and To select Start in [From, To): the first instant is in, the last is not, to the microsecond, and a record's End does not matter.",
		run:  eventRange,
	},
	{
		name: "S1_recorded_range",
		rule: "RecordedFrom and RecordedTo select Recorded in [RecordedFrom, RecordedTo), to the microsecond; a void has a Recorded like every other record.",
		run:  recordedRange,
	},
	{
		name: "S1_sequence_interval",
		rule: "After and Through select Sequence in (After, Through]; Through 0 means up to the mark.",
		run:  sequenceInterval,
	},
	{
		name: "S1_meters",
		rule: "Meters selects records of these meters, by the bytes of their names; a void has no meter and is not selected by it.",
		run:  meters,
	},
	{
		name: "S1_series",
		rule: "Series selects records by their series: it is asked for each tenant, meter and set of dimensions with exactly these, never for one of another scope, and its answer holds for all records of the series.",
		run:  series,
	},
	{
		name: "S1_identities",
		rule: "Identities selects exactly these, as far as they are booked, each once however often it is named; empty but not nil selects nothing.",
		run:  identitiesSelect,
	},
	{
		name: "S1_class",
		rule: "Plain records neither are a correction nor have one at or below the mark, Chained are all others, and Corrections are the voids and replaces.",
		run:  class,
	},
	{
		name: "S1_filter_is_a_hint",
		rule: "Filter is a hint: a store may leave out records for which it does not hold, and never one for which it does.",
		run:  filterIsAHint,
	},
	{
		name: "S2_by_start",
		rule: "ByStart is the order of (Start, Source, ID, Tenant), with voids, which have no Start, first.",
		run:  byStart,
	},
	{
		name: "S2_by_bytes",
		rule: "Texts are ordered by their UTF-8 bytes: upper case before lower case, no collation, no locale, no UTF-16.",
		run:  byBytes,
	},
	{
		name: "S2_by_sequence",
		rule: "BySequence is the order of commit, whatever the event times.",
		run:  bySequence,
	},
	{
		name: "S2_resume",
		rule: "Resume, with ByStart, yields only records strictly after a place, in all parts of the position, whether or not a record stands there.",
		run:  resume,
	},
	{
		name: "S3_as_of_the_mark",
		rule: "A scan is as of its mark: records above it are not there, CorrectedBy tells of corrections up to the mark only, and classes follow from that.",
		run:  asOfTheMark,
	},
	{
		name: "S4_scope",
		rule: "A tenant that the scope does not hold is never yielded, by whatever condition it is asked for, and AllTenants is all of them.",
		run:  scopes,
	},
	{
		name: "S5_during_a_scan",
		rule: "What is booked during a scan above its mark is not seen, and what stands at or below it is not missed.",
		run:  duringAScan,
	},
	{
		name: "S6_records_are_fresh",
		rule: "Every yielded *Stored is fresh: the receiver may keep and change it.",
		run:  recordsAreFresh,
	},
	{
		name: "S7_cancelled_scan",
		rule: "A cancelled context ends the scan with its error, after which nothing more is yielded.",
		run:  cancelledScan,
	},
	{
		name: "S7_stopping_early",
		rule: "Stopping a scan early releases everything: the store can be written to and read at once.",
		run:  stoppingEarly,
	},
}

// at selects everything as of now.
func (b *bench) at() usage.Selection {
	b.k.Helper()
	return usage.Selection{Scope: usage.AllTenants(), Mark: b.settled().Mark}
}

// yields checks what a selection names: as a set unless an order is asked for.
func (b *bench) yields(what string, sel usage.Selection, want ...usage.Record) {
	b.k.Helper()
	ids := make([]usage.Identity, len(want))
	for i := range want {
		ids[i] = want[i].Identity()
	}
	got := identities(b.scan(sel))
	if sel.Order == usage.Unordered {
		slices.SortFunc(got, compareIdentities)
		slices.SortFunc(ids, compareIdentities)
	}
	b.sameIdentities(what, got, ids)
}

func compareIdentities(a, b usage.Identity) int {
	return cmp.Or(strings.Compare(a.Tenant, b.Tenant), strings.Compare(a.Source, b.Source), strings.Compare(a.ID, b.ID))
}

func everythingOnce(k *kit) {
	b := k.open(nil)
	b.yields("an empty store", b.at())
	var all []usage.Record
	for i := range 30 {
		batch := uses(fmt.Sprintf("b%d-", i), 1+i*7%100)
		for j := range batch {
			batch[j].Meter = fmt.Sprintf("m%d", j%5)
			batch[j].Dimensions = batch[j].Dimensions.With("host", fmt.Sprintf("h%d", (i+j)%11))
			batch[j].Start = epoch.Add(time.Duration((i*j)%97) * time.Hour)
			batch[j].Tenant = []string{"acme", "globex", "umbrella"}[(i+j)%3]
		}
		b.must(batch...)
		all = append(all, batch...)
	}
	void := voidOf("v", all[17])
	b.must(void)
	all = append(all, void)
	sel := b.at()
	for _, order := range []usage.ScanOrder{usage.Unordered, usage.BySequence} {
		sel.Order = order
		b.yields("everything", sel, all...)
		b.yields("everything, once more", sel, all...)
	}
}

func eventRange(k *kit) {
	b := k.open(nil)
	var all []usage.Record
	for i := range 10 {
		r := use(fmt.Sprintf("r%d", i), 0)
		r.Start = epoch.Add(time.Duration(i) * time.Microsecond)
		r.End = r.Start.Add(24 * time.Hour)
		all = append(all, r)
	}
	early, late := use("early", -7*24*60), use("late", 400*24*60)
	b.must(append([]usage.Record{early, late}, all...)...)
	b.must(voidOf("v", early))
	sel := b.at()
	sel.From, sel.To = all[3].Start, all[7].Start
	b.yields("a range within an hour", sel, all[3:7]...)
	sel.To = sel.From
	b.yields("an empty range", sel)
	sel.To = sel.From.Add(time.Microsecond)
	b.yields("a range of a microsecond", sel, all[3])
	sel.From, sel.To = all[9].Start, time.Time{}
	b.yields("from an instant on", sel, all[9], late)
	sel.From, sel.To = early.Start, all[1].Start
	b.yields("a range over days", sel, early, all[0])
	sel.Meters = []string{"requests"} // leaves the void out, which has no Start
	sel.From = time.Time{}
	b.yields("up to an instant", sel, early, all[0])
	sel.From, sel.To = epoch.Add(time.Hour), epoch.Add(2*time.Hour)
	b.yields("a range that intervals reach into", sel)
	zone := time.FixedZone("", -7*3600)
	sel.From, sel.To = all[3].Start.In(zone), all[7].Start.In(zone)
	b.yields("a range in another zone", sel, all[3:7]...)
}

func recordedRange(k *kit) {
	b := k.open(nil)
	var all []usage.Record
	for i := range 6 {
		b.clock.advance(time.Microsecond)
		r := use(fmt.Sprintf("r%d", i), -100*i)
		if i == 4 {
			r = voidOf("v", all[0])
		}
		b.must(r)
		all = append(all, r)
		b.settled()
	}
	at := func(i int) time.Time { return b.find(all[i].Identity()).Recorded }
	var instants []time.Time
	for i := range all {
		instants = append(instants, at(i), at(i).Add(time.Microsecond))
	}
	for _, from := range instants {
		for _, to := range instants {
			var want []usage.Record
			for i := range all {
				if t := at(i); !t.Before(from) && t.Before(to) {
					want = append(want, all[i])
				}
			}
			sel := b.at()
			sel.RecordedFrom, sel.RecordedTo = from, to
			b.yields(fmt.Sprintf("recorded from %s to %s", from, to), sel, want...)
		}
	}
}

func sequenceInterval(k *kit) {
	b := k.open(nil)
	all := uses("r", 12)
	b.must(all[:5]...)
	b.must(all[5:]...)
	stored := b.everything()
	seq := func(i int) uint64 { return stored[i].Sequence }
	sel := b.at()
	sel.Order = usage.BySequence
	sel.After = seq(3)
	b.yields("after the fourth", sel, all[4:]...)
	sel.Through = seq(7)
	b.yields("after the fourth through the eighth", sel, all[4:8]...)
	sel.After = 0
	b.yields("through the eighth", sel, all[:8]...)
	sel.After = seq(7)
	b.yields("after the eighth through the eighth", sel)
	sel.After, sel.Through = seq(11), 0
	b.yields("after the last", sel)
	b.must(use("new", 20))
	sel.After = seq(10)
	b.yields("through 0 is the mark and not the newest", sel, all[11])
}

func meters(k *kit) {
	b := k.open(nil)
	var all []usage.Record
	for i, m := range []string{"requests", "Requests", "requests ", "storage", "request", "requests.eu", "é"} {
		r := use(fmt.Sprintf("r%d", i), i)
		r.Meter = m
		all = append(all, r)
	}
	b.must(all...)
	b.must(voidOf("v", all[0]))
	sel := b.at()
	sel.Meters = []string{"requests"}
	b.yields("one meter", sel, all[0])
	sel.Meters = []string{"é", "unknown", "Requests", "é"}
	b.yields("several meters", sel, all[1], all[6])
	sel.Meters = []string{"unknown"}
	b.yields("an unknown meter", sel)
}

func series(k *kit) {
	b := k.open(nil)
	var all []usage.Record
	dims := func(i int) usage.Dimensions {
		d := usage.NewDimensions(usage.Dimension{Name: "host", Value: fmt.Sprint(i % 4)})
		if i%3 == 0 {
			d = d.With("region", "")
		}
		if i%5 == 0 {
			d = d.Project(nil)
		}
		return d
	}
	for i := range 60 {
		r := use(fmt.Sprintf("r%02d", i), i)
		r.Dimensions, r.Meter, r.Tenant = dims(i), fmt.Sprintf("m%d", i%2), []string{"acme", "globex"}[i/30]
		all = append(all, r)
	}
	b.must(all...)
	key := func(s *usage.Series) string { return s.Tenant + "\x00" + s.Meter + "\x00" + s.Dimensions.String() }
	for _, wanted := range []func(s *usage.Series) bool{
		func(s *usage.Series) bool { v, ok := s.Dimensions.Get("host"); return ok && v == "1" },
		func(s *usage.Series) bool { _, ok := s.Dimensions.Get("region"); return !ok },
		func(s *usage.Series) bool { return s.Dimensions.Len() == 0 && s.Meter == "m1" },
		func(*usage.Series) bool { return true },
		func(*usage.Series) bool { return false },
	} {
		for _, scope := range []usage.Scope{usage.AllTenants(), usage.ForTenant("globex")} {
			known := map[string]bool{}
			var want []usage.Record
			for i := range all {
				if scope.Holds(all[i].Tenant) {
					known[key(seriesOf(&all[i]))] = true
					if wanted(seriesOf(&all[i])) {
						want = append(want, all[i])
					}
				}
			}
			sel := b.at()
			sel.Scope = scope
			sel.Series = func(s *usage.Series) bool {
				if !known[key(s)] {
					k.Errorf("asked for a series that the scope does not hold or nobody booked: %q", key(s))
				}
				return wanted(s)
			}
			b.yields("a selection of series", sel, want...)
		}
	}
}

func identitiesSelect(k *kit) {
	b := k.open(nil)
	all := uses("r", 40)
	b.must(all...)
	sel := b.at()
	sel.Identities = []usage.Identity{all[1].Identity(), {Tenant: "acme", Source: "s", ID: "a\x00b"}, {Tenant: "acme", Source: "\xff", ID: "r0001"}}
	b.yields("an identity beside some that no record can have", sel, all[1])
	for _, class := range []usage.Class{usage.Chained, usage.Corrections} {
		sel.Class = class
		b.yields("an identity among corrections, where there are none", sel)
	}
	void := voidOf("v", all[1])
	b.must(void, of("globex", all[2]))
	sel = b.at()
	sel.Identities = []usage.Identity{all[30].Identity(), {Tenant: "acme", Source: "s", ID: "nobody"}, void.Identity(), all[2].Identity(), all[30].Identity(), {Tenant: "nobody", Source: "s", ID: "r0003"}}
	b.yields("some identities", sel, all[30], void, all[2])
	sel.Identities = []usage.Identity{}
	b.yields("no identities", sel)
	sel.Identities = make([]usage.Identity, len(all))
	for i := range all {
		sel.Identities[len(all)-1-i] = all[i].Identity()
	}
	b.yields("many identities", sel, all...)
	sel.From, sel.To = all[10].Start, all[12].Start
	b.yields("many identities in a range", sel, all[10], all[11])
}

func class(k *kit) {
	b := k.open(nil)
	plain, voided, replaced, restored := use("plain", 1), use("voided", 2), use("replaced", 3), use("restored", 4)
	b.must(plain, voided, replaced, restored)
	v, r, v1 := voidOf("v", voided), replaceOf("r", replaced, 5), voidOf("v1", restored)
	v2 := voidOf("v2", v1)
	b.must(v, r, v1, v2)
	sel := b.at()
	sel.Class = usage.Plain
	b.yields("plain records", sel, plain)
	sel.Class = usage.Chained
	b.yields("chained records", sel, voided, replaced, restored, v, r, v1, v2)
	sel.Class = usage.Corrections
	b.yields("corrections", sel, v, r, v1, v2)
	sel.Class = usage.AnyClass
	b.yields("all classes", sel, plain, voided, replaced, restored, v, r, v1, v2)
	sel.Class, sel.Meters = usage.Chained, []string{"requests"}
	b.yields("chained records of a meter", sel, voided, replaced, restored, r)
}

// hintSchema names the fields of filters as the Book does: a store goes by
// these names.
type hintSchema struct{}

func (hintSchema) Field(name string) (filter.Field, bool) {
	f := filter.Field{Name: name, Type: filter.TypeString}
	switch name {
	case "start", "end", "recorded":
		f.Type = filter.TypeTime
	case "sequence":
		f.Type = filter.TypeDecimal
	case "verified", "billable":
		f.Type = filter.TypeBool
	}
	if strings.HasPrefix(name, "values/") {
		f.Type = filter.TypeDecimal
	}
	return f, true
}

func (hintSchema) Names() []string { return nil }

// hintRow reads a record by the fields of a checked filter.
type hintRow struct {
	fields []filter.Field
	record *usage.Stored
}

func (r hintRow) Value(slot int) filter.Value {
	instant := func(t time.Time) filter.Value {
		if t.IsZero() {
			return filter.Null()
		}
		return filter.Time(t)
	}
	switch name := r.fields[slot].Name; name {
	case "id":
		return filter.String(r.record.ID)
	case "source":
		return filter.String(r.record.Source)
	case "tenant":
		return filter.String(r.record.Tenant)
	case "meter":
		return filter.String(r.record.Meter)
	case "start":
		return instant(r.record.Start)
	case "end":
		return instant(r.record.End)
	case "recorded":
		return instant(r.record.Recorded)
	case "sequence":
		return filter.Number(int64(r.record.Sequence), 0)
	case "verified":
		if r.record.Verdict.State == rules.NoRule {
			return filter.Null()
		}
		return filter.Bool(r.record.Verdict.State == rules.Verified)
	case "billable":
		return filter.Bool(r.record.Verdict.Billable)
	default:
		if value, ok := strings.CutPrefix(name, "values/"); ok {
			if n, ok := r.record.Values.Number(value); ok {
				return filter.Decimal(n.Decimal())
			}
			return filter.Null()
		}
		if s, ok := r.record.Dimensions.Get(strings.TrimPrefix(name, "dimensions/")); ok {
			return filter.String(s)
		}
	}
	return filter.Null()
}

// hints are filters of many kinds.
var hints = []string{
	"dimensions/region eq 'eu'", "dimensions/region ne 'eu'", "dimensions/region eq null", "dimensions/region ne null", "dimensions/region eq ''",
	"dimensions/region in ('eu','',null)", "not (dimensions/region gt 'eu')", "dimensions/region ge 'a' and dimensions/region lt 'f'",
	"contains(dimensions/region,'%')", "contains(dimensions/region,'_')", "startswith(dimensions/region,'eu')", "endswith(dimensions/region,'b')",
	"not contains(dimensions/region,'e')", "tolower(dimensions/region) eq 'eu'", "toupper(dimensions/region) eq 'Ä'", "dimensions/region eq 'a''b'",
	"dimensions/meter eq 'requests'", "meter eq 'requests'", "meter ne 'requests'", "meter in ('storage','Requests')",
	"values/quantity gt 1", "values/quantity le 0", "values/quantity eq 9223372036854775808", "values/quantity eq 0.000000000000000000000000000001", "values/quantity eq 1.50",
	"values/cost eq null", "values/cost ne 10", "values/cost lt 10", "not (values/cost lt 10)", "values/cost gt values/quantity", "values/unknown eq null", "dimensions/unknown eq null",
	"id ge 'r050'", "id in ('r001','r002','nobody')", "source eq 's'", "source eq 'desk'", "tenant eq 'acme'", "tenant ne 'acme'",
	"start ge 2026-03-02T08:30:00Z and start lt 2026-03-02T09:00:00Z", "end eq null", "end gt 2026-03-02T09:30:00Z", "start lt 2026-03-02T08:30:00.000001Z or id eq 'r100'",
	"dimensions/region eq 'eu' or values/quantity gt 1", "not (dimensions/region eq 'eu' and values/cost eq 10)", "false", "true",
}

func (k *kit) hint(text string) *filter.Checked {
	k.Helper()
	expr, err := filter.Parse(text, nil)
	if err != nil {
		k.Fatalf("the kit's filter %s: %v", text, err)
	}
	checked, err := filter.Check(expr, hintSchema{})
	if err != nil {
		k.Fatalf("the kit's filter %s: %v", text, err)
	}
	return checked
}

func filterIsAHint(k *kit) {
	b := k.open(nil)
	var all []usage.Record
	rng := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...string) string { return list[rng.IntN(len(list))] }
	for i := range 120 {
		r := use(fmt.Sprintf("r%03d", i), i)
		r.Meter = pick("requests", "Requests", "storage")
		r.Dimensions = usage.Dimensions{}
		if i%4 != 0 {
			r.Dimensions = r.Dimensions.With("region", pick("eu", "EU", "", "eu-west", "100%", "a_b", "a'b", "ä"))
		}
		if i%3 != 0 {
			r.Dimensions = r.Dimensions.With("meter", pick("eu", "requests"))
		}
		r.Values = quantity(pick("0", "1", "1.5", "-3", "9223372036854775808", "0.000000000000000000000000000001"))
		if i%5 == 0 {
			r.Values = r.Values.WithNumber("cost", number(pick("0", "10", "9")))
		}
		if i%2 == 0 {
			r.End = r.Start.Add(time.Hour)
		}
		all = append(all, r)
	}
	b.must(all...)
	b.must(voidOf("v", all[3]))
	records := b.everything()
	for _, text := range hints {
		checked := k.hint(text)
		program := checked.Compile()
		needed := map[usage.Identity]bool{}
		for _, r := range records {
			holds, err := program.Match(hintRow{checked.Fields(), r})
			if err != nil {
				k.Fatalf("the kit's filter %s: %v", text, err)
			}
			if holds {
				needed[r.Identity()] = true
			}
		}
		for _, narrow := range []bool{false, true} {
			sel := b.at()
			sel.Filter = checked
			if narrow {
				sel.From, sel.To = all[20].Start, all[90].Start
			}
			seen := map[usage.Identity]bool{}
			for _, r := range b.scan(sel) {
				if seen[r.Identity()] {
					k.Fatalf("with the hint %s a record is yielded twice: %s", text, showStored(r))
				}
				seen[r.Identity()] = true
				if narrow && (r.Start.Before(sel.From) || !r.Start.Before(sel.To)) {
					k.Fatalf("with the hint %s a record outside the range is yielded: %s", text, showStored(r))
				}
			}
			for _, r := range records {
				in := !narrow || !r.Start.Before(sel.From) && r.Start.Before(sel.To)
				if in && needed[r.Identity()] && !seen[r.Identity()] {
					k.Fatalf("with the hint %s a record is left out for which it holds: %s", text, showStored(r))
				}
			}
		}
	}
}

func byStart(k *kit) {
	b := k.open(nil)
	var all []usage.Record
	for i := range 60 {
		r := use(fmt.Sprintf("r%02d", i*37%60), 0)
		r.Start = epoch.Add(time.Duration(i*31%60/4) * 7 * time.Hour)
		r.Source, r.Tenant = fmt.Sprintf("s%d", i%3), fmt.Sprintf("t%d", i%2)
		all = append(all, r)
		if i%20 == 0 { // the same but for the tenant
			r.Tenant = "t2"
			all = append(all, r)
		}
	}
	rand.New(rand.NewPCG(3, 4)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for i := 0; i < len(all); i += 9 {
		b.must(all[i:min(i+9, len(all))]...)
	}
	voids := []usage.Record{voidOf("b", all[0]), voidOf("a", all[1])}
	b.must(voids...)
	sorted := slices.Clone(append(all, voids...))
	slices.SortFunc(sorted, func(a, b usage.Record) int { return position(&a).Compare(position(&b)) })
	sel := b.at()
	sel.Order = usage.ByStart
	b.yields("by start", sel, sorted...)
	sel.From, sel.To = epoch.Add(7*time.Hour), epoch.Add(50*time.Hour)
	var inside []usage.Record
	for _, r := range sorted {
		if !r.Start.Before(sel.From) && r.Start.Before(sel.To) {
			inside = append(inside, r)
		}
	}
	b.yields("a range by start", sel, inside...)
}

// position is the place of a record in event time; a void has the first.
func position(r *usage.Record) aggregate.Position {
	return aggregate.Position{Start: r.Start.UnixMicro(), Source: r.Source, ID: r.ID, Tenant: r.Tenant}
}

func byBytes(k *kit) {
	b := k.open(nil)
	var all []usage.Record
	for i, s := range texts {
		r := use(s, 0)
		all = append(all, r)
		r = use("x", 0)
		r.Source = "s" + s
		all = append(all, r)
		r = use("y", 0)
		all = append(all, of("t"+texts[(i*7)%len(texts)], r))
	}
	seen := map[usage.Identity]bool{}
	all = slices.DeleteFunc(all, func(r usage.Record) bool { again := seen[r.Identity()]; seen[r.Identity()] = true; return again })
	b.must(all...)
	slices.SortFunc(all, func(a, b usage.Record) int { return position(&a).Compare(position(&b)) })
	sel := b.at()
	sel.Order = usage.ByStart
	b.yields("texts of all kinds by start", sel, all...)
}

func bySequence(k *kit) {
	b := k.open(nil)
	var all []usage.Record
	for i := range 12 {
		batch := uses(fmt.Sprintf("b%02d-", 11-i), 5)
		for j := range batch {
			batch[j].Start = epoch.Add(time.Duration((i*5+j)*29%60) * time.Hour)
			batch[j].Tenant = fmt.Sprintf("t%d", j%3)
		}
		b.must(batch...)
		all = append(all, batch...)
	}
	void := voidOf("v", all[0])
	b.must(void)
	sel := b.at()
	sel.Order = usage.BySequence
	b.yields("by sequence", sel, append(all, void)...)
}

func resume(k *kit) {
	b := k.open(nil)
	var all []usage.Record
	for i := range 40 {
		r := use(fmt.Sprintf("r%d-%d", i%3, i/12), 0)
		r.Start = epoch.Add(time.Duration(i/12) * time.Hour)
		r.Source, r.Tenant = fmt.Sprintf("s%d", i/3%2), fmt.Sprintf("t%d", i/6%2)
		all = append(all, r)
	}
	all = all[:36]
	shuffled := slices.Clone(all)
	rand.New(rand.NewPCG(5, 6)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	b.must(shuffled...)
	slices.SortFunc(all, func(a, b usage.Record) int { return position(&a).Compare(position(&b)) })
	sel := b.at()
	sel.Order = usage.ByStart
	for i := range all {
		p := position(&all[i])
		sel.Resume = &p
		b.yields(fmt.Sprintf("after record %d", i), sel, all[i+1:]...)
	}
	between := aggregate.Position{Start: epoch.Add(time.Hour).UnixMicro(), Source: "s0", ID: "r1-9", Tenant: "t9"}
	sel.Resume = &between
	at := slices.IndexFunc(all, func(r usage.Record) bool { return position(&r).Compare(between) > 0 })
	b.yields("after a place without a record", sel, all[at:]...)
	before := aggregate.Position{Start: epoch.Add(-time.Hour).UnixMicro()}
	sel.Resume = &before
	b.yields("after a place before all", sel, all...)
}

func asOfTheMark(k *kit) {
	b := k.open(nil)
	one, two := use("one", 1), use("two", 2)
	void, undo := voidOf("v", one), usage.Record{}
	undo = voidOf("vv", void)
	steps := [][]usage.Record{{one, two}, {void}, {replaceOf("r", two, 7)}, {undo}, {use("three", 3)}}
	var marks []usage.Mark
	var books [][]string // what was there at each mark
	for _, s := range steps {
		b.must(s...)
		mark := b.settled().Mark
		marks = append(marks, mark)
		var now []string
		for _, r := range b.scan(usage.Selection{Scope: usage.AllTenants(), Mark: mark, Order: usage.BySequence}) {
			now = append(now, showStored(r))
		}
		books = append(books, now)
	}
	classes := map[usage.Class][]int{ // how many of each class at each mark
		usage.Plain:       {2, 1, 0, 0, 1},
		usage.Chained:     {0, 2, 4, 5, 5},
		usage.Corrections: {0, 1, 2, 3, 3},
	}
	for i, mark := range marks {
		var now []string
		for _, r := range b.scan(usage.Selection{Scope: usage.AllTenants(), Mark: mark, Order: usage.BySequence}) {
			now = append(now, showStored(r))
		}
		if got, want := strings.Join(now, "\n  "), strings.Join(books[i], "\n  "); got != want {
			k.Fatalf("as of step %d the book was\n  %s\nand is read later, as of the same mark, as\n  %s", i, want, got)
		}
		for c, want := range classes {
			if got := len(b.scan(usage.Selection{Scope: usage.AllTenants(), Mark: mark, Class: c})); got != want[i] {
				k.Fatalf("as of step %d there are %d records of class %d, want %d", i, got, c, want[i])
			}
		}
		ids := []usage.Identity{one.Identity(), void.Identity(), undo.Identity(), {Tenant: "acme", Source: "s", ID: "three"}}
		got := b.scan(usage.Selection{Scope: usage.AllTenants(), Mark: mark, Identities: ids})
		if want := []int{1, 2, 2, 3, 4}[i]; len(got) != want {
			k.Fatalf("as of step %d %d of the identities are found, want %d", i, len(got), want)
		}
		for _, r := range got {
			if !slices.Contains(books[i], showStored(r)) {
				k.Fatalf("as of step %d a record is found by its identity as\n  %s\nwant it as of the mark:\n  %s", i, showStored(r), strings.Join(books[i], "\n  "))
			}
		}
	}
}

func scopes(k *kit) {
	b := k.open(nil)
	tenants := []string{"acme", "Acme", "acme ", "acm", "acme2", "globex", "é"}
	byTenant := map[string][]usage.Record{}
	var all []usage.Record
	for i, tenant := range tenants {
		for j := range 3 {
			r := of(tenant, use(fmt.Sprintf("r%d", j), i+j))
			byTenant[tenant] = append(byTenant[tenant], r)
			all = append(all, r)
		}
		void := voidOf("v", byTenant[tenant][0])
		byTenant[tenant] = append(byTenant[tenant], void)
		all = append(all, void)
	}
	b.must(all...)
	var ids []usage.Identity
	for i := range all {
		ids = append(ids, all[i].Identity())
	}
	for _, names := range [][]string{{"acme"}, {"Acme", "é"}, {"nobody"}, {"globex", "nobody", "acm"}, tenants} {
		var want, voids []usage.Record
		for _, name := range names {
			want = append(want, byTenant[name]...)
			if len(byTenant[name]) > 0 {
				voids = append(voids, byTenant[name][3])
			}
		}
		sel := b.at()
		sel.Scope = usage.ForTenants(names...)
		what := fmt.Sprintf("the scope of %q", names)
		b.yields(what, sel, want...)
		sel.Identities = ids
		b.yields(what+" by identities", sel, want...)
		sel.Identities, sel.Order = nil, usage.BySequence
		if got := len(b.scan(sel)); got != len(want) {
			k.Fatalf("%s by sequence yields %d records, want %d", what, got, len(want))
		}
		sel.Order = usage.Unordered
		sel.Class = usage.Corrections
		b.yields(what+", corrections", sel, slices.DeleteFunc(voids, func(r usage.Record) bool { return r.Corrects == nil })...)
		sel.Class, sel.Series = usage.AnyClass, func(s *usage.Series) bool {
			if !slices.Contains(names, s.Tenant) {
				k.Errorf("%s: asked for a series of %q", what, s.Tenant)
			}
			return true
		}
		b.yields(what+" by series", sel, want...)
	}
	sel := b.at()
	b.yields("all tenants", sel, all...)
}

func duringAScan(k *kit) {
	b := k.open(nil)
	var old []usage.Record
	for i := range 10 {
		batch := uses(fmt.Sprintf("old%d-", i), 60)
		b.must(batch...)
		old = append(old, batch...)
	}
	voided := 0
	for _, order := range []usage.ScanOrder{usage.Unordered, usage.BySequence, usage.ByStart} {
		sel := b.at()
		sel.Order = order
		before := len(b.scan(sel))
		n, seen := 0, map[usage.Identity]bool{}
		for r, err := range b.store.Scan(b.ctx(), sel) {
			if err != nil {
				k.Fatalf("Scan: %v", err)
			}
			if seen[r.Identity()] {
				k.Fatalf("a record is yielded twice: %s", showStored(r))
			}
			seen[r.Identity()] = true
			if r.Sequence > sel.Mark.Sequence || r.CorrectedBy != nil && r.CorrectedBy.Sequence > sel.Mark.Sequence {
				k.Fatalf("as of %d a record that was booked during the scan is seen: %s", sel.Mark.Sequence, showStored(r))
			}
			if n%100 == 0 { // writes into the very hours that are being read
				b.must(uses(fmt.Sprintf("new%d-%d-", order, n), 20)...)
				b.must(voidOf(fmt.Sprintf("v%d-%d", order, n), old[voided*17%len(old)]))
				voided++
			}
			n++
		}
		if n != before {
			k.Fatalf("the scan yielded %d records, and %d stood at or below its mark", n, before)
		}
	}
}

func recordsAreFresh(k *kit) {
	b := k.open(nil)
	all := uses("r", 30)
	b.must(all...)
	b.must(voidOf("v", all[4]), replaceOf("p", all[5], 3))
	for _, order := range []usage.ScanOrder{usage.Unordered, usage.BySequence, usage.ByStart} {
		sel := b.at()
		sel.Order = order
		var kept []*usage.Stored
		var shown []string
		for r, err := range b.store.Scan(b.ctx(), sel) {
			if err != nil {
				k.Fatalf("Scan: %v", err)
			}
			kept, shown = append(kept, r), append(shown, showStored(r))
		}
		for i := range kept {
			if got := showStored(kept[i]); got != shown[i] {
				k.Fatalf("a record that was kept changed from\n  %s\nto\n  %s", shown[i], got)
			}
		}
		for _, r := range kept {
			if r.Corrects != nil {
				r.Corrects.ID = "overwritten"
			}
			if r.CorrectedBy != nil {
				*r.CorrectedBy = usage.CorrectedBy{}
			}
			*r = usage.Stored{}
		}
		for i, r := range b.scan(sel) {
			if got := showStored(r); got != shown[i] && order != usage.Unordered {
				k.Fatalf("after the receiver changed its record it is read as\n  %s\nwant\n  %s", got, shown[i])
			}
		}
	}
}

func cancelledScan(k *kit) {
	b := k.open(nil)
	for i := range 20 {
		b.must(uses(fmt.Sprintf("r%d-", i), 500)...)
	}
	check := func(what string, ctx context.Context, cancel func(), after int) {
		k.Helper()
		n, errs := 0, 0
		for r, err := range b.store.Scan(ctx, b.at()) {
			if errs > 0 {
				k.Fatalf("%s: something is yielded after the error: %v, %v", what, r, err)
			}
			if err != nil {
				errs++
				if !isCancelled(err) {
					k.Fatalf("%s: the error is %v, want %v", what, err, context.Canceled)
				}
				continue
			}
			if n++; n == after {
				cancel()
			}
		}
		if errs == 0 {
			k.Fatalf("%s: the scan ended without an error after %d records", what, n)
		}
	}
	check("cancelled before", ended(b.ctx()), func() {}, 0)
	ctx, cancel := context.WithCancel(b.ctx())
	defer cancel()
	check("cancelled on the way", ctx, cancel, 10)
}

func stoppingEarly(k *kit) {
	b := k.open(nil)
	b.must(uses("r", 300)...)
	for i := range 200 {
		sel := b.at()
		sel.Order = usage.ScanOrder(i % 3)
		for r, err := range b.store.Scan(b.ctx(), sel) {
			if err != nil || r == nil {
				k.Fatalf("Scan: %v, %v", r, err)
			}
			break
		}
		if i%10 == 0 {
			b.must(use(fmt.Sprintf("more%d", i), i))
		}
	}
	if got := len(b.everything()); got != 320 {
		k.Fatalf("%d records are there, want 320", got)
	}
}
