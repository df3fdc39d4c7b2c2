package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/storetest/internal/model"
)

var groupCases = []aCase{
	{
		name: "G1_groups_add_up",
		rule: "Where a store can add up by itself (Grouper), what it adds up is what the records add up to, by group and window, for exactly the records that the selection names: counts, and what is asked for of sums, least and greatest, to the last digit.",
		run:  groupsAddUp,
	},
	{
		name: "G2_groups_of_windows",
		rule: "Where a store can add up by itself, a record belongs to the window of its Start, in any zone and over every change of the clock.",
		run:  groupsOfWindows,
	},
	{
		name: "G3_cancelled_group",
		rule: "Where a store can add up by itself, a cancelled context ends it with its error.",
		run:  cancelledGroup,
	},
	{
		name: "G4_groups_of_some",
		rule: "Where a store says that it goes by a condition (FilterGrouper), it adds up exactly the records for which GroupRead.Where is true, and what fails to be evaluated for a record of a wanted group ends it with the *filter.Error.",
		run:  groupsOfSome,
	},
	{
		name: "G5_groups_of_rollups",
		rule: "Where a store can add up rollup rows by itself (RollupGrouper), what it adds up is what the rows of ScanRollups add up to, by group and the window of their bucket, at every checkpoint that is held; at any other it ends with ErrHeld, and in a cancelled context with its error.",
		run:  groupsOfRollups,
	},
}

// grouper returns the store's Grouper; a store without one has nothing to hold,
// because the Book scans then.
func (b *bench) grouper() (usage.Grouper, bool) {
	g, ok := b.store.(usage.Grouper)
	if !ok {
		b.k.Log("the store is no usage.Grouper, so the Book scans")
	}
	return g, ok
}

// tally is what the records of one group and window add up to.
type tally struct {
	records int64
	values  []valueTally
}

type valueTally struct {
	count         int64
	sum, min, max *big.Rat
}

// add takes in the figures that were asked for; the others stay zero.
func (t *valueTally) add(s *aggregate.Summary, asked usage.Figures) {
	if s.Count == 0 {
		return
	}
	first := t.count == 0
	if first {
		t.sum, t.min, t.max = new(big.Rat), new(big.Rat), new(big.Rat)
	}
	t.count += s.Count
	if asked&usage.FigureSum != 0 {
		t.sum.Add(t.sum, rat(s.Sum.String()))
	}
	if low := rat(s.Min.String()); asked&usage.FigureMin != 0 && (first || low.Cmp(t.min) < 0) {
		t.min = low
	}
	if high := rat(s.Max.String()); asked&usage.FigureMax != 0 && (first || high.Cmp(t.max) > 0) {
		t.max = high
	}
}

type groupAt struct {
	group  int
	window int64
}

func showTallies(all map[groupAt]*tally) string {
	var lines []string
	for at, t := range all {
		if t.records == 0 {
			continue
		}
		var b strings.Builder
		fmt.Fprintf(&b, "\n  group %d window %s: %d records", at.group, time.UnixMicro(at.window).UTC().Format(time.RFC3339), t.records)
		for i, v := range t.values {
			if v.count > 0 {
				fmt.Fprintf(&b, ", value %d: %d times, sum %s, %s to %s", i, v.count, model.Decimal(v.sum), model.Decimal(v.min), model.Decimal(v.max))
			}
		}
		lines = append(lines, b.String())
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

func rat(s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		panic("not a number: " + s) // a Number that writes something else than a number
	}
	return r
}

// grouped compares what the store adds up with what its records add up to.
func (b *bench) grouped(what string, g usage.Grouper, read usage.GroupRead, window model.Window) {
	b.k.Helper()
	tallies := func() (map[groupAt]*tally, func(at groupAt) *tally) {
		all := map[groupAt]*tally{}
		return all, func(at groupAt) *tally {
			if all[at] == nil {
				all[at] = &tally{values: make([]valueTally, len(read.Values))}
			}
			return all[at]
		}
	}
	read.Selection.Class = usage.Plain
	var program *filter.Program
	if read.Where != nil {
		program = read.Where.Compile()
	}
	got, gotAt := tallies()
	var fault error
	for row, err := range g.Group(b.ctx(), read) {
		if err != nil {
			if fault = err; program == nil || !errors.As(err, new(*filter.Error)) {
				b.k.Fatalf("%s: Group: %v", what, err)
			}
			break
		}
		t := gotAt(groupAt{row.Group, row.Window})
		t.records += row.Records
		for i := range row.Values {
			t.values[i].add(&row.Values[i], read.FiguresOf(i))
		}
	}
	want, wantAt := tallies()
	for _, r := range b.scan(read.Selection) {
		n := read.Group(seriesOf(&r.Record), r.Verdict.Class())
		if n < 0 {
			continue
		}
		if program != nil {
			holds, err := program.Match(hintRow{program.Fields(), r})
			if err != nil && fault == nil {
				b.k.Fatalf("%s: Group ends without an error, but the condition fails for %s: %v", what, showStored(r), err)
			}
			if err != nil {
				return
			}
			if !holds {
				continue
			}
		}
		at := groupAt{group: n}
		if window.Unit != model.None {
			start, _ := window.Bounds(r.Start)
			at.window = start.UnixMicro()
		}
		t := wantAt(at)
		t.records++
		for i, name := range read.Values {
			if n, ok := r.Values.Number(name); ok {
				var s aggregate.Summary
				s.Add(n)
				t.values[i].add(&s, read.FiguresOf(i))
			}
		}
	}
	if fault != nil {
		b.k.Fatalf("%s: Group ends with %v, but the condition fails for no record", what, fault)
	}
	if got, want := showTallies(got), showTallies(want); got != want {
		b.k.Fatalf("%s: the store adds up to%s\nbut its records to%s", what, got, want)
	}
}

// groupable books records of many kinds and returns them, and the state in the middle.
func (b *bench) groupable() (all []usage.Record, middle usage.State) {
	b.k.Helper()
	nines := strings.Repeat("9", 38) + "." + strings.Repeat("9", 30)
	numbers := []string{"0", "1", "-1.25", "0.000000000000015", "9223372036854775807", "9223372036854775807", "12345678901234567890.5", nines, "-" + nines, "3"}
	for i := range 400 {
		r := use(fmt.Sprintf("r%03d", i), i*37)
		r.Tenant, r.Meter = []string{"acme", "globex"}[i%2], verdictMeters[i%len(verdictMeters)]
		r.Values = quantity(numbers[i*7%len(numbers)])
		if i%3 == 0 {
			r.Values = r.Values.WithNumber("cost", number(numbers[i%len(numbers)]))
		}
		if i%11 == 0 {
			r.Values = usage.Values{}.WithNumber("cost", number("2.5"))
		}
		r.Dimensions = usage.NewDimensions(usage.Dimension{Name: "host", Value: fmt.Sprint(i % 7)})
		if i%5 != 0 {
			r.Dimensions = r.Dimensions.With("region", []string{"eu", "us", ""}[i%3])
		}
		all = append(all, r)
	}
	b.must(all[:250]...)
	b.clock.advance(time.Hour)
	middle = b.settled()
	b.must(all[250:]...)
	b.must(voidOf("v", all[3]), replaceOf("p", all[4], 9))
	return all, middle
}

func groupsAddUp(k *kit) {
	b := k.open(&usage.Options{Rules: verdicts{}})
	g, ok := b.grouper()
	if !ok {
		return
	}
	all, middle := b.groupable()
	region := func(s *usage.Series, _ usage.VerdictClass) int {
		v, ok := s.Dimensions.Get("region")
		return map[string]int{"eu": 1, "us": 2, "": 3}[v] * map[bool]int{true: 1, false: 0}[ok]
	}
	wanted := func(s *usage.Series, c usage.VerdictClass) int {
		if v, _ := s.Dimensions.Get("host"); v == "3" || s.Meter == "unruled" {
			return -1
		}
		return int(c)
	}
	one := func(*usage.Series, usage.VerdictClass) int { return 0 }
	for name, by := range map[string]struct {
		group      func(*usage.Series, usage.VerdictClass) int
		dimensions []string
		anyMeter   bool
	}{
		"in one group":              {group: one},
		"in one group of any meter": {one, nil, true},
		"by region":                 {region, []string{"region"}, false},
		"by region of any meter":    {region, []string{"unknown", "region"}, true},
		"by nothing of any meter":   {one, []string{}, true},
		"by verdict, some left out": {wanted, []string{"host"}, false},
		"by verdict, more named":    {wanted, []string{"region", "unknown", "host"}, false},
	} {
		for what, change := range map[string]func(s *usage.Selection){
			"everything":       func(*usage.Selection) {},
			"one tenant":       func(s *usage.Selection) { s.Scope = usage.ForTenant("globex") },
			"a range":          func(s *usage.Selection) { s.From, s.To = all[20].Start.Add(1), all[333].Start },
			"meters":           func(s *usage.Selection) { s.Meters = []string{"billable", "requests"} },
			"a recorded range": func(s *usage.Selection) { s.RecordedFrom, s.RecordedTo = epoch, epoch.Add(time.Hour) },
			"a tail":           func(s *usage.Selection) { s.After, s.Through = middle.Mark.Sequence-9, middle.Mark.Sequence+30 },
			"an earlier mark":  func(s *usage.Selection) { s.Mark = middle.Mark },
			"nothing":          func(s *usage.Selection) { s.Scope = usage.ForTenant("nobody") },
		} {
			sel := b.at()
			change(&sel)
			b.grouped(what+" "+name, g, usage.GroupRead{Selection: sel, Group: by.group, Dimensions: by.dimensions, AnyMeter: by.anyMeter, Values: []string{"quantity", "unknown", "cost"}}, model.Window{})
			for _, figures := range [][]usage.Figures{
				{0, 0, 0}, {usage.FigureSum, 0, usage.FigureMin}, {usage.FigureMin, usage.FigureSum, 0}, {usage.FigureMax | usage.FigureMin, usage.AllFigures, usage.FigureSum},
			} {
				b.grouped(fmt.Sprintf("%s %s, figures %v", what, name, figures), g, usage.GroupRead{Selection: sel, Group: by.group, Dimensions: by.dimensions, AnyMeter: by.anyMeter,
					Values: []string{"cost", "quantity", "unknown"}, Figures: figures}, model.Window{})
			}
			b.grouped(what+" "+name+" without values", g, usage.GroupRead{Selection: sel, Group: by.group, Dimensions: by.dimensions, AnyMeter: by.anyMeter}, model.Window{})
		}
	}
}

// zones change their clocks by an hour, by half an hour, at midnight, and not at
// all; one of them left out a whole day.
var zones = []string{"UTC", "Europe/Zurich", "America/New_York", "America/Sao_Paulo", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia"}

func (k *kit) zone(name string) *time.Location {
	k.Helper()
	l, err := time.LoadLocation(name)
	if err != nil {
		k.Fatalf("%v", err)
	}
	return l
}

// changes are instants about which clocks of the zones change.
var changes = []time.Time{
	time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC), time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC), // Zurich
	time.Date(2026, 3, 8, 7, 0, 0, 0, time.UTC), time.Date(2026, 11, 1, 6, 0, 0, 0, time.UTC), // New York
	time.Date(2018, 11, 4, 3, 0, 0, 0, time.UTC), time.Date(2018, 2, 18, 2, 0, 0, 0, time.UTC), // Sao Paulo
	time.Date(2026, 4, 4, 15, 0, 0, 0, time.UTC), time.Date(2026, 10, 3, 15, 30, 0, 0, time.UTC), // Lord Howe
	time.Date(2011, 12, 30, 10, 0, 0, 0, time.UTC), // Apia
	time.Date(2028, 2, 29, 0, 0, 0, 0, time.UTC), time.Date(2026, 12, 31, 23, 59, 59, 999_999_000, time.UTC),
}

var units = map[model.Unit]aggregate.Unit{
	model.None: aggregate.None, model.Hour: aggregate.Hour, model.Day: aggregate.Day, model.Week: aggregate.Week, model.Month: aggregate.Month,
	model.Quarter: aggregate.Quarter, model.Year: aggregate.Year, model.Cycle: aggregate.BillingCycle,
}

// windowOf returns the library's name for a window of the model.
func windowOf(w model.Window) aggregate.Window {
	out := aggregate.Window{Unit: units[w.Unit], Location: w.Location}
	if w.Unit == model.Cycle {
		out.AnchorDay, out.AnchorHour = w.Day, w.Hour
	}
	return out
}

func groupsOfWindows(k *kit) {
	b := k.open(nil)
	g, ok := b.grouper()
	if !ok {
		return
	}
	var all []usage.Record
	for i, at := range changes {
		for j := range 40 {
			r := use(fmt.Sprintf("r%d-%d", i, j), 0)
			r.Start = at.Add(time.Duration(j-20) * 17 * time.Minute)
			if j%5 == 0 {
				r.Start = at.Add(time.Duration(j/5-4) * time.Microsecond)
			}
			r.Values = quantity(fmt.Sprintf("%d.%d", j, i))
			all = append(all, r)
		}
	}
	b.must(all...)
	for _, zone := range zones {
		for unit := range units {
			w := model.Window{Unit: unit, Location: k.zone(zone)}
			if unit == model.Cycle {
				w.Day, w.Hour = 31, 2
			}
			b.grouped(fmt.Sprintf("windows of unit %v in %s", units[unit], zone), g, usage.GroupRead{
				Selection: b.at(), Window: windowOf(w), Values: []string{usage.QuantityName},
				Group: func(*usage.Series, usage.VerdictClass) int { return 0 },
			}, w)
		}
	}
}

func groupsOfSome(k *kit) {
	b := k.open(&usage.Options{Rules: verdicts{}})
	g, ok := b.store.(usage.FilterGrouper)
	if !ok {
		k.Log("the store is no usage.FilterGrouper, so the Book scans for conditions on records")
		return
	}
	all, _ := b.groupable()
	for _, text := range append(slices.Clone(hints),
		"verified", "not verified", "verified eq null", "billable", "sequence gt 100 and sequence le 300", "recorded lt 2026-03-01T10:00:00Z", "month(start) eq 3",
		"values/cost gt 1 or dimensions/region eq 'eu' and values/quantity le 3", "values/quantity gt 9223372036854775806.9", "values/quantity lt -99999999999999999999",
		"values/quantity add values/cost gt 5", "round(values/quantity) eq 0", "values/quantity in (0,1,null)", "values/cost in (2.5,3)", "length(id) add values/quantity gt 4",
		"100 div values/quantity gt 1", "values/quantity gt 0 and 100 div values/quantity gt 1", "values/quantity ne 0 and 100 div values/quantity gt 1", "dimensions/host ne '3' and 1 div values/quantity lt 1",
	) {
		checked := k.hint(text)
		if !g.Filters(checked) {
			continue
		}
		for what, group := range map[string]func(*usage.Series, usage.VerdictClass) int{
			"in one group": func(*usage.Series, usage.VerdictClass) int { return 0 },
			"by host, some left out": func(s *usage.Series, c usage.VerdictClass) int {
				host, _ := s.Dimensions.Get("host")
				return int(host[0]-'0')*8 + int(c) - 8
			},
		} {
			for _, narrow := range []bool{false, true} {
				sel := b.at()
				if narrow {
					sel.Scope, sel.From, sel.To = usage.ForTenant("acme"), all[20].Start.Add(1), all[333].Start
				}
				b.grouped(text+" "+what, g, usage.GroupRead{Selection: sel, Group: group, Values: []string{"cost", "quantity"}, Where: checked}, model.Window{})
			}
		}
	}
}

func groupsOfRollups(k *kit) {
	b := k.open(nil)
	g, ok := b.store.(usage.RollupGrouper)
	if !ok {
		k.Log("the store is no usage.RollupGrouper, so the Book goes through rollup rows one by one")
		return
	}
	at := b.sequences(3)
	nines := strings.Repeat("9", 38) + "." + strings.Repeat("9", 30)
	numbers := []string{"0", "1.5", "-3", "9223372036854775807", nines, "0.000001", "-" + nines, "12"}
	row := func(i, salt int) *usage.Rollup {
		r := &usage.Rollup{RollupKey: rollupKey([]string{"acme", "globex", "initech"}[i%3], i*5)}
		r.Level = []aggregate.Unit{aggregate.Hour, aggregate.Hour, aggregate.Day}[i/3%3]
		r.Bucket = aggregate.Floor(r.Level, r.Bucket-int64(i)*3600*1e6*40)
		r.Meter = []string{"requests", "storage"}[i%2]
		r.Verdict = usage.VerdictClass(i % 4)
		if i%5 != 0 {
			r.Dimensions = r.Dimensions.With("region", []string{"eu", "us", ""}[i%3])
		}
		r.Dimensions = r.Dimensions.With("host", fmt.Sprint(i%7))
		r.Records = int64(i + salt + 1)
		for n, name := range []string{"cost", "quantity"} {
			if (i+n)%4 != 0 {
				v := usage.ValueSummary{Name: name}
				for j := range 1 + i%3 {
					v.Add(number(numbers[(i*7+n+j+salt)%len(numbers)]))
				}
				r.Values = append(r.Values, v)
			}
		}
		return r
	}
	var first, second []*usage.Rollup
	for i := range 120 {
		first = append(first, row(i, 0))
		if i%3 == 0 {
			second = append(second, row(i, 1))
		} else if i%7 == 0 {
			gone := row(i, 0)
			gone.Records, gone.Values = 0, nil
			second = append(second, gone)
		}
	}
	b.mustCommit(&usage.Commit{To: at[0], Put: first})
	b.clock.advance(time.Minute)
	b.mustCommit(&usage.Commit{From: at[0], To: at[1], Put: second})

	region := func(s *usage.Series, _ usage.VerdictClass) int {
		v, ok := s.Dimensions.Get("region")
		return map[string]int{"eu": 1, "us": 2, "": 3}[v] * map[bool]int{true: 1, false: 0}[ok]
	}
	for name, read := range map[string]usage.GroupRead{
		"in one group":   {Group: func(*usage.Series, usage.VerdictClass) int { return 0 }, Dimensions: []string{}},
		"by region":      {Group: region, Dimensions: []string{"region", "unknown"}},
		"of any meter":   {Group: region, Dimensions: []string{"region", "unknown"}, AnyMeter: true},
		"one, any meter": {Group: func(*usage.Series, usage.VerdictClass) int { return 0 }, AnyMeter: true},
		"by what it can": {Group: func(s *usage.Series, c usage.VerdictClass) int { return int(c)*100 + len(s.Tenant)*10 + region(s, c) }},
		"some left out": {Dimensions: []string{"host"}, Group: func(s *usage.Series, c usage.VerdictClass) int {
			if v, _ := s.Dimensions.Get("host"); v == "3" || s.Meter == "storage" && c == 1 {
				return -1
			}
			return int(c)
		}},
	} {
		for what, change := range map[string]func(s *usage.RollupSelection){
			"everything":      func(*usage.RollupSelection) {},
			"days":            func(s *usage.RollupSelection) { s.Level = aggregate.Day },
			"as it was":       func(s *usage.RollupSelection) { s.Checkpoint = at[0] },
			"one tenant":      func(s *usage.RollupSelection) { s.Scope = usage.ForTenant("globex") },
			"a meter":         func(s *usage.RollupSelection) { s.Meters = []string{"storage", "unknown"} },
			"a range":         func(s *usage.RollupSelection) { s.From, s.To = first[60].Bucket, first[10].Bucket },
			"what is not":     func(s *usage.RollupSelection) { s.Projection = "unknown" },
			"nobody":          func(s *usage.RollupSelection) { s.Scope = usage.ForTenant("nobody") },
			"the beginning":   func(s *usage.RollupSelection) { s.Checkpoint = 0 },
			"what is gone":    func(s *usage.RollupSelection) { s.Checkpoint = at[1] - 1 },
			"what is to be":   func(s *usage.RollupSelection) { s.Checkpoint = at[2] },
			"a cancelled one": nil,
		} {
			sel := usage.RollupSelection{Scope: usage.AllTenants(), Checkpoint: at[1], Projection: "p", Level: aggregate.Hour}
			if change == nil {
				for _, err := range g.GroupRollups(ended(b.ctx()), sel, read) {
					if !isCancelled(err) {
						k.Fatalf("GroupRollups with a cancelled context ended with %v, want %v", err, context.Canceled)
					}
				}
				continue
			}
			change(&sel)
			for _, unit := range []model.Unit{model.None, model.Day, model.Month} {
				w := model.Window{Unit: unit, Location: k.zone("Europe/Zurich")}
				read.Window = windowOf(w)
				for _, names := range [][]string{{"quantity", "unknown", "cost"}, {"cost"}, nil} {
					read.Values, read.Figures = names, nil
					b.groupedRollups(what+" "+name, g, sel, read, w)
				}
				read.Values, read.Figures = []string{"quantity", "cost"}, []usage.Figures{usage.FigureSum, usage.FigureMax}
				b.groupedRollups(what+" "+name+", some figures", g, sel, read, w)
			}
		}
	}
}

// groupedRollups compares what the store adds up with what its rows add up to.
func (b *bench) groupedRollups(what string, g usage.RollupGrouper, sel usage.RollupSelection, read usage.GroupRead, window model.Window) {
	b.k.Helper()
	add := func(all map[groupAt]*tally, group int, bucket, records int64) *tally {
		at := groupAt{group: group}
		if window.Unit != model.None {
			at.window = bucket
		}
		if all[at] == nil {
			all[at] = &tally{values: make([]valueTally, len(read.Values))}
		}
		all[at].records += records
		return all[at]
	}
	got, want := map[groupAt]*tally{}, map[groupAt]*tally{}
	rows, wantErr := b.tryRollups(sel)
	var gotErr error
	for row, err := range g.GroupRollups(b.ctx(), sel, read) {
		if gotErr = err; err != nil {
			break
		}
		t := add(got, row.Group, row.Window, row.Records)
		for i := range row.Values {
			t.values[i].add(&row.Values[i], read.FiguresOf(i))
		}
	}
	if errors.Is(wantErr, usage.ErrHeld) && errors.Is(gotErr, usage.ErrHeld) {
		return
	}
	if wantErr != nil || gotErr != nil {
		b.k.Fatalf("%s: GroupRollups ends with %v, and ScanRollups with %v", what, gotErr, wantErr)
	}
	for _, r := range rows {
		n := read.Group(&usage.Series{Tenant: r.Tenant, Meter: r.Meter, Dimensions: r.Dimensions}, r.Verdict)
		if n < 0 {
			continue
		}
		start := r.Bucket
		if window.Unit != model.None {
			from, _ := window.Bounds(time.UnixMicro(r.Bucket).UTC())
			start = from.UnixMicro()
		}
		t := add(want, n, start, r.Records)
		for i, name := range read.Values {
			for k := range r.Values {
				if v := &r.Values[k]; v.Name == name {
					t.values[i].add(&v.Summary, read.FiguresOf(i))
				}
			}
		}
	}
	if got, want := showTallies(got), showTallies(want); got != want {
		b.k.Fatalf("%s: the store adds rollup rows up to%s\nbut its rows add up to%s", what, got, want)
	}
}

func cancelledGroup(k *kit) {
	b := k.open(nil)
	g, ok := b.grouper()
	if !ok {
		return
	}
	b.must(uses("r", 500)...)
	var last error
	for _, err := range g.Group(ended(b.ctx()), usage.GroupRead{
		Selection: usage.Selection{Scope: usage.AllTenants(), Mark: b.settled().Mark, Class: usage.Plain},
		Group:     func(*usage.Series, usage.VerdictClass) int { return 0 },
	}) {
		last = err
	}
	if !isCancelled(last) {
		k.Fatalf("Group with a cancelled context ended with %v, want %v", last, context.Canceled)
	}
}
