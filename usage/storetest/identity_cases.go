package storetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/usagebook/usagebook/usage"
)

var identityCases = []aCase{
	{
		name: "I1_identity_is_for_ever",
		rule: "Identity is (tenant, source, id) for ever: the same identity and content is a Duplicate however much was booked since, also of a record that was corrected; the same id of another source or tenant is another record.",
		run:  identityIsForEver,
	},
	{
		name: "I2_parts_do_not_run_together",
		rule: "The parts of an identity are kept apart: no two different identities are ever taken for one, whatever characters they are made of.",
		run:  partsDoNotRunTogether,
	},
	{
		name: "I3_any_difference_is_a_conflict",
		rule: "The same identity with other content, in whatever field, is a Conflict, and nothing is changed.",
		run:  anyDifferenceIsAConflict,
	},
	{
		name: "I4_absent_empty_and_zero_differ",
		rule: "Contents that differ only in that something is absent in one and empty or zero in the other are different.",
		run:  absentEmptyAndZeroDiffer,
	},
	{
		name: "I5_spelling_is_no_difference",
		rule: "Contents are compared after normalisation: 1.0, 1.00 and 1e0 are one number, an instant is the same in every zone and to the microsecond, an End equal to Start is none, dimensions have no order.",
		run:  spellingIsNoDifference,
	},
	{
		name: "I6_repeats_in_one_batch",
		rule: "The same identity twice in one batch: the first is judged, later ones are compared with it.",
		run:  repeatsInOneBatch,
	},
	{
		name: "I7_identity_before_violations",
		rule: "Identity is looked up before violations count: a record that would be refused now but is booked is a Duplicate or Conflict; only an unknown one is Rejected, and leaves its identity free.",
		run:  identityBeforeViolations,
	},
}

func identityIsForEver(k *kit) {
	b := k.open(nil)
	first := use("r", 0)
	b.must(first)
	place := b.find(first.Identity())
	sibling := first
	sibling.Source = "other"
	b.must(of("globex", first), sibling)
	for i := range 20 {
		b.clock.advance(31 * 24 * time.Hour)
		b.must(uses(fmt.Sprintf("fill%d-", i), 100)...)
	}
	b.want("a retry after years", []usage.Outcome{usage.Duplicate}, first)
	b.must(voidOf("void", first))
	b.want("a retry after a void", []usage.Outcome{usage.Duplicate, usage.Duplicate, usage.Duplicate}, first, sibling, of("globex", first))
	now := b.find(first.Identity())
	if now.Sequence != place.Sequence || !now.Recorded.Equal(place.Recorded) {
		k.Fatalf("the record stood at %d (%s) and stands at %d (%s) after retries", place.Sequence, place.Recorded, now.Sequence, now.Recorded)
	}
	if got, want := len(b.everything()), 3+2000+1; got != want {
		k.Fatalf("%d records are booked, want %d", got, want)
	}
}

func partsDoNotRunTogether(k *kit) {
	b := k.open(nil)
	var records []usage.Record
	seen := map[usage.Identity]bool{}
	add := func(tenant, source, id string) {
		r := use(id, 0)
		r.Tenant, r.Source = tenant, source
		if !seen[r.Identity()] {
			seen[r.Identity()] = true
			records = append(records, r)
		}
	}
	for _, sep := range []string{"-", "|", ":", "/", ",", ";", "_", ".", "~", "\u00a0", "'", "\"", "\\", " ", "#", "$"} {
		add("a", "b"+sep+"c", "d")
		add("a"+sep+"b", "c", "d")
		add("a", "b", "c"+sep+"d")
		add("a"+sep+"b", "c"+sep+"d", "e")
		add("a", "b"+sep+"c", "d"+sep+"e")
		add("a"+sep, "b", "c")
		add("a", sep+"b", "c")
		add("a", "b"+sep, "c")
		add("a", "b", sep+"c")
	}
	for _, p := range [][3]string{{"ab", "c", "d"}, {"a", "bc", "d"}, {"a", "b", "cd"}, {"1", "11", "1"}, {"11", "1", "1"}, {"1", "1", "11"},
		{"A", "b", "c"}, {"a", "B", "c"}, {"a", "b", "C"}, {"a", "b", "é"}, {"a", "b", "e\u0301"}, {"a", "b", "c "}, {"a", "b", "c"}, {"a", "b", "1"}, {"a", "b", "01"}, {"a", "b", "1.0"},
		{"a", "b", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"}, {"a", "b", "6BA7B810-9DAD-11D1-80B4-00C04FD430C8"}, {"a", "b", "6ba7b8109dad11d180b400c04fd430c8"},
		{"a", "b", "{6ba7b810-9dad-11d1-80b4-00c04fd430c8}"}, {"a", "b", "deadbeef"}, {"a", "b", "DEADBEEF"}, {"a", "b", "0deadbeef"}, {"a", "b", "00deadbeef"},
		{"a", "b", strings.Repeat("0", 32)}, {"a", "b", strings.Repeat("0", 31)}, {"a", "b", strings.Repeat("0", 64)}} {
		add(p[0], p[1], p[2])
	}
	for i, e := range b.append(records...) {
		if e.Outcome != usage.Inserted {
			k.Fatalf("the identity %v was taken for another one: %s", records[i].Identity(), e.Outcome)
		}
	}
	b.holds("identities of many shapes", records...)
	for i := range records {
		if got := b.find(records[i].Identity()); got.Identity() != records[i].Identity() {
			k.Fatalf("asked for %v, found %v", records[i].Identity(), got.Identity())
		}
	}
}

func anyDifferenceIsAConflict(k *kit) {
	b := k.open(nil)
	base := use("r", 0)
	base.End = base.Start.Add(time.Hour)
	base.Values = quantity("1.5").WithNumber("cost", number("0.01"))
	base.Dimensions = usage.NewDimensions(usage.Dimension{Name: "region", Value: "eu"}, usage.Dimension{Name: "tier", Value: "gold"})
	target, other := use("target", 0), use("other", 0)
	b.must(base, target, other)
	void, replace := voidOf("void", target), replaceOf("replace", other, 3)
	b.must(void, replace)

	type change struct {
		what string
		of   usage.Record
		with func(r *usage.Record)
	}
	changes := []change{
		{"meter", base, func(r *usage.Record) { r.Meter = "Requests" }},
		{"start", base, func(r *usage.Record) { r.Start = r.Start.Add(time.Microsecond) }},
		{"end", base, func(r *usage.Record) { r.End = r.End.Add(time.Microsecond) }},
		{"no end", base, func(r *usage.Record) { r.End = time.Time{} }},
		{"a digit", base, func(r *usage.Record) { r.Values = r.Values.WithNumber("quantity", number("1.51")) }},
		{"the last digit", base, func(r *usage.Record) {
			r.Values = r.Values.WithNumber("quantity", number("1.500000000000000000000000000001"))
		}},
		{"the sign", base, func(r *usage.Record) { r.Values = r.Values.WithNumber("quantity", number("-1.5")) }},
		{"another value", base, func(r *usage.Record) { r.Values = r.Values.WithNumber("cost", number("0.02")) }},
		{"one value more", base, func(r *usage.Record) { r.Values = r.Values.WithNumber("tax", number("1")) }},
		{"one value less", base, func(r *usage.Record) { r.Values = quantity("1.5") }},
		{"a value's name", base, func(r *usage.Record) { r.Values = quantity("1.5").WithNumber("Cost", number("0.01")) }},
		{"values exchanged", base, func(r *usage.Record) { r.Values = quantity("0.01").WithNumber("cost", number("1.5")) }},
		{"a dimension", base, func(r *usage.Record) { r.Dimensions = r.Dimensions.With("region", "us") }},
		{"a dimension's case", base, func(r *usage.Record) { r.Dimensions = r.Dimensions.With("region", "EU") }},
		{"a dimension's space", base, func(r *usage.Record) { r.Dimensions = r.Dimensions.With("region", "eu ") }},
		{"one dimension more", base, func(r *usage.Record) { r.Dimensions = r.Dimensions.With("zone", "1") }},
		{"one dimension less", base, func(r *usage.Record) { r.Dimensions = r.Dimensions.Project([]string{"region"}) }},
		{"a dimension's name", base, func(r *usage.Record) { r.Dimensions = r.Dimensions.Project([]string{"region"}).With("Tier", "gold") }},
		{"a correction instead", base, func(r *usage.Record) {
			r.Corrects = &usage.Correction{Kind: usage.Replace, Source: other.Source, ID: other.ID}
		}},
		{"a void instead", base, func(r *usage.Record) {
			r.Corrects = &usage.Correction{Kind: usage.Void, Source: other.Source, ID: other.ID}
			r.Meter, r.Start, r.End, r.Values, r.Dimensions = "", time.Time{}, time.Time{}, usage.Values{}, usage.Dimensions{}
		}},
		{"a void's target", void, func(r *usage.Record) { r.Corrects.ID = "other" }},
		{"a void's target's source", void, func(r *usage.Record) { r.Corrects.Source = "desk" }},
		{"a replace's target", replace, func(r *usage.Record) { r.Corrects.ID = "target" }},
		{"a replace's content", replace, func(r *usage.Record) { r.Values = quantity("4") }},
		{"a replace's correction", replace, func(r *usage.Record) { r.Corrects = nil }},
	}
	before := b.everything()
	for _, c := range changes {
		r := c.of
		if r.Corrects != nil {
			own := *r.Corrects
			r.Corrects = &own
		}
		c.with(&r)
		b.want("the same identity with another "+c.what, []usage.Outcome{usage.Conflict}, r)
	}
	after := b.everything()
	if len(after) != len(before) {
		k.Fatalf("conflicts booked records: there were %d and are %d", len(before), len(after))
	}
	for i := range before {
		if got, want := showStored(after[i]), showStored(before[i]); got != want {
			k.Fatalf("a conflict changed the booked record from\n  %s\nto\n  %s", want, got)
		}
	}
}

func absentEmptyAndZeroDiffer(k *kit) {
	b := k.open(nil)
	absent, empty := use("dim", 0), use("dim", 0)
	absent.Dimensions = usage.Dimensions{}
	empty.Dimensions = usage.NewDimensions(usage.Dimension{Name: "region", Value: ""})
	b.must(absent)
	b.want("an empty dimension where it was absent", []usage.Outcome{usage.Conflict}, empty)

	absent.ID, empty.ID = "dim2", "dim2"
	b.must(empty)
	b.want("an absent dimension where it was empty", []usage.Outcome{usage.Conflict, usage.Conflict}, absent,
		func() usage.Record { r := empty; r.Dimensions = r.Dimensions.With("region", "null"); return r }())

	none, zero := use("val", 0), use("val", 0)
	zero.Values = zero.Values.WithNumber("cost", number("0"))
	b.must(none)
	b.want("a zero value where it was absent", []usage.Outcome{usage.Conflict}, zero)
	none.ID, zero.ID = "val2", "val2"
	b.must(zero)
	b.want("an absent value where it was zero", []usage.Outcome{usage.Conflict}, none)
}

func spellingIsNoDifference(k *kit) {
	b := k.open(&usage.Options{Meters: []usage.Meter{{Name: "tagged", Dimensions: []usage.MeterDimension{{Name: "tags", JSON: true}}}}})
	spelled := func(values usage.Values, start, end time.Time, dims ...usage.Dimension) usage.Record {
		r := use("r", 0)
		r.Meter, r.Values, r.Start, r.End, r.Dimensions = "tagged", values, start, end, usage.NewDimensions(dims...)
		return r
	}
	tags := func(s string) usage.Dimension { return usage.Dimension{Name: "tags", Value: s} }
	region := usage.Dimension{Name: "region", Value: "eu"}
	east := time.FixedZone("", 5*3600+1800)
	b.must(spelled(quantity("1").WithNumber("cost", number("0")), epoch, time.Time{}, region, tags(`{"a":1,"b":[true,null]}`)))
	b.want("other spellings of one content", []usage.Outcome{usage.Duplicate, usage.Duplicate, usage.Duplicate, usage.Duplicate},
		spelled(quantity("1.0").WithNumber("cost", number("-0.00")), epoch.In(east), epoch, tags(`{ "b" : [true, null], "a" : 1 }`), region),
		spelled(quantity("1e0").WithNumber("cost", number("0e5")), epoch.Add(999), epoch.Add(1), region, tags("{\"b\":[true,null],\n\"\\u0061\":1}")),
		spelled(quantity("0.1e1").WithNumber("cost", number("-0")), epoch, epoch.In(east), region, tags(`{"a":1,"b":[true,null]}`)),
		spelled(quantity("1.000000000000000000000000000000").WithNumber("cost", number("0")), epoch, time.Time{}, region, tags(`{"a":1,"b":[true,null]}`)))
	r := b.find(usage.Identity{Tenant: "acme", Source: "s", ID: "r"})
	if got := r.Values.String(); got != "{cost=0, quantity=1}" {
		k.Fatalf("the values are read back as %s, want {cost=0, quantity=1}", got)
	}
	if got, _ := r.Dimensions.Get("tags"); got != `{"a":1,"b":[true,null]}` {
		k.Fatalf("the JSON dimension is read back as %s, want it canonical", got)
	}
}

func repeatsInOneBatch(k *kit) {
	b := k.open(nil)
	old := use("old", 0)
	b.must(old)
	changed, fresh := old, use("fresh", 1)
	changed.Meter = "other"
	again := fresh
	again.Meter = "other"
	broken := use("broken", 2)
	broken.Values = usage.Values{}
	mended := use("broken", 2)
	b.want("repeats in one batch", []usage.Outcome{
		usage.Inserted, usage.Duplicate, usage.Conflict, usage.Duplicate,
		usage.Conflict, usage.Conflict, usage.Rejected, usage.Conflict,
	}, fresh, fresh, again, fresh, changed, old, broken, mended)
	b.holds("after repeats in one batch", old, fresh)
	if got := b.find(fresh.Identity()).Meter; got != fresh.Meter {
		k.Fatalf("booked is the content of a later repeat: meter %s", got)
	}
	b.want("the mended record later", []usage.Outcome{usage.Inserted}, mended)
}

func identityBeforeViolations(k *kit) {
	b := k.open(nil)
	booked, other := use("booked", 0), use("booked", 0)
	other.Values = quantity("2")
	b.must(booked)
	// Another book over the same store refuses what the first one took.
	strict := b.newBook(&usage.Options{Meters: []usage.Meter{{Name: "requests", Closed: true}}})
	open := b.book
	b.book = strict
	b.want("under a meter that was closed since", []usage.Outcome{usage.Duplicate, usage.Conflict, usage.Rejected}, booked, other, use("unknown", 0))
	b.book = open
	b.want("a rejected record leaves its identity free", []usage.Outcome{usage.Inserted}, use("unknown", 0))
	b.holds("at the end", booked, use("unknown", 0))
}
