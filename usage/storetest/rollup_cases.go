package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
)

var rollupCases = []aCase{
	{
		name: "R1_rows_valid_at_a_checkpoint",
		rule: "ScanRollups yields exactly the rows that were put by a commit up to the checkpoint and not put again, or taken away, by one up to it.",
		run:  rowsValidAtACheckpoint,
	},
	{
		name: "R1_selection",
		rule: "ScanRollups yields the rows of one projection and level, with Bucket in [From, To), of the given meters or with exactly the given keys; a key is all its parts, and nil and empty differ.",
		run:  rollupSelection,
	},
	{
		name: "R1_every_digit",
		rule: "A rollup row is read back as it was put: every digit of every sum, least and greatest, every byte of its key, and the values that it has.",
		run:  rollupsReadBack,
	},
	{
		name: "R2_checkpoints_that_are_not_held",
		rule: "A checkpoint that never was, or is not held any more, is ErrHeld, and no rows.",
		run:  checkpointsNotHeld,
	},
	{
		name: "R3_scope_of_rollups",
		rule: "A rollup row of a tenant that the scope does not hold is never yielded, by whatever condition it is asked for.",
		run:  scopeOfRollups,
	},
	{
		name: "M1_compare_and_swap",
		rule: "Commit is a compare-and-swap: when the newest checkpoint is not Commit.From it changes nothing and returns ErrCheckpoint; of several that race one wins.",
		run:  compareAndSwap,
	},
	{
		name: "M2_replace_and_take_away",
		rule: "Put rows replace the current row of the same key, and a row with Records 0 takes it away, also where there is none; a commit without rows moves the checkpoint.",
		run:  replaceAndTakeAway,
	},
	{
		name: "M3_hold",
		rule: "Replaced rows stay readable at the checkpoints they were valid for until Commit.Hold has passed since they were replaced, by Commit.Now; after that a checkpoint is either dropped or still right.",
		run:  hold,
	},
}

// rollup returns a row of an hour after the epoch.
func rollup(tenant string, hour int, records int64) *usage.Rollup {
	r := &usage.Rollup{RollupKey: rollupKey(tenant, hour), Records: records}
	var s aggregate.Summary
	for i := range records {
		s.Add(aggregate.Int(i))
	}
	if records > 0 {
		r.Values = []usage.ValueSummary{{Name: usage.QuantityName, Summary: s}}
	}
	return r
}

func rollupKey(tenant string, hour int) usage.RollupKey {
	return usage.RollupKey{Projection: "p", Level: aggregate.Hour, Tenant: tenant, Meter: "requests",
		Bucket: epoch.Add(time.Duration(hour) * time.Hour).UnixMicro()}
}

func showRollup(r *usage.Rollup) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q %v %d %q %q %v verdict %d: %d records", r.Projection, r.Level, r.Bucket, r.Tenant, r.Meter, r.Dimensions, r.Verdict, r.Records)
	for i := range r.Values {
		v := &r.Values[i]
		fmt.Fprintf(&b, ", %q %d times, sum %s, %s to %s", v.Name, v.Count, v.Sum.String(), v.Min, v.Max)
	}
	return b.String()
}

// mustCommit moves the checkpoint. Now is the clock's, and Hold an hour where
// none is given.
func (b *bench) mustCommit(c *usage.Commit) {
	b.k.Helper()
	if err := b.commit(c); err != nil {
		b.k.Fatalf("Commit from %d to %d: %v", c.From, c.To, err)
	}
}

func (b *bench) commit(c *usage.Commit) error {
	if c.Hold == 0 {
		c.Hold = time.Hour
	}
	c.Now = b.clock.Now()
	return b.store.Commit(b.ctx(), c)
}

// rollups collects the rows that a selection names. Scope, projection and level
// are filled in where they are missing.
func (b *bench) rollups(sel usage.RollupSelection) []*usage.Rollup {
	b.k.Helper()
	out, err := b.tryRollups(sel)
	if err != nil {
		b.k.Fatalf("ScanRollups at %d: %v", sel.Checkpoint, err)
	}
	return out
}

func (b *bench) tryRollups(sel usage.RollupSelection) ([]*usage.Rollup, error) {
	if sel.Scope.Check() != nil {
		sel.Scope = usage.AllTenants()
	}
	if sel.Projection == "" {
		sel.Projection = "p"
	}
	if sel.Level == aggregate.None {
		sel.Level = aggregate.Hour
	}
	var out []*usage.Rollup
	for r, err := range b.store.ScanRollups(b.ctx(), sel) {
		if err != nil {
			return out, err
		}
		own := *r // the row may be reused by the next step
		own.Values = slices.Clone(r.Values)
		out = append(out, &own)
	}
	return out, nil
}

// rows checks what a selection of rollups names, in any order.
func (b *bench) rows(what string, sel usage.RollupSelection, want ...*usage.Rollup) {
	b.k.Helper()
	sameRows(b.k, what, b.rollups(sel), want)
}

func sameRows(k *kit, what string, got, want []*usage.Rollup) {
	k.Helper()
	lines := func(rows []*usage.Rollup) string {
		out := make([]string, len(rows))
		for i := range rows {
			out[i] = "\n  " + showRollup(rows[i])
		}
		slices.Sort(out)
		return strings.Join(out, "")
	}
	if got, want := lines(got), lines(want); got != want {
		k.Fatalf("%s: the rows are%s\nwant%s", what, got, want)
	}
}

// sequences books n records and returns their sequence numbers, for checkpoints
// to stand at.
func (b *bench) sequences(n int) []uint64 {
	b.k.Helper()
	b.must(uses("base", n)...)
	out := make([]uint64, 0, n)
	for _, r := range b.everything() {
		out = append(out, r.Sequence)
	}
	return out
}

func rowsValidAtACheckpoint(k *kit) {
	b := k.open(nil)
	at := b.sequences(5)
	gone := func(hour int) *usage.Rollup { return rollup("acme", hour, 0) }
	r := func(hour int, n int64) *usage.Rollup { return rollup("acme", hour, n) }
	commits := [][]*usage.Rollup{
		{r(0, 1), r(1, 2), r(2, 3)},
		{r(1, 20), r(3, 4)},
		{gone(2), r(0, 10)},
		{},
		{r(2, 30), gone(1), r(0, 11), r(4, 5)},
	}
	valid := [][]*usage.Rollup{
		{r(0, 1), r(1, 2), r(2, 3)},
		{r(0, 1), r(1, 20), r(2, 3), r(3, 4)},
		{r(0, 10), r(1, 20), r(3, 4)},
		{r(0, 10), r(1, 20), r(3, 4)},
		{r(0, 11), r(2, 30), r(3, 4), r(4, 5)},
	}
	var from uint64
	for i, put := range commits {
		b.clock.advance(time.Minute)
		b.mustCommit(&usage.Commit{From: from, To: at[i], Put: put})
		from = at[i]
		for j := range i + 1 {
			b.rows(fmt.Sprintf("after commit %d, at checkpoint %d", i, j), usage.RollupSelection{Checkpoint: at[j]}, valid[j]...)
		}
	}
	b.rows("one meter at an old checkpoint", usage.RollupSelection{Checkpoint: at[1], Meters: []string{"requests"}}, valid[1]...)
	b.rows("keys at an old checkpoint", usage.RollupSelection{Checkpoint: at[2], Keys: []usage.RollupKey{r(2, 1).RollupKey, r(0, 1).RollupKey}}, r(0, 10))
}

func rollupSelection(k *kit) {
	b := k.open(nil)
	at := b.sequences(1)[0]
	base := func() *usage.Rollup { return rollup("acme", 5, 3) }
	with := func(change func(r *usage.Rollup)) *usage.Rollup { r := base(); change(r); return r }
	region := func(v string) usage.Dimensions {
		return usage.NewDimensions(usage.Dimension{Name: "region", Value: v})
	}
	plain := base()
	others := map[string]*usage.Rollup{
		"projection": with(func(r *usage.Rollup) { r.Projection = "P" }),
		"day":        with(func(r *usage.Rollup) { r.Level = aggregate.Day }),
		"month":      with(func(r *usage.Rollup) { r.Level = aggregate.Month }),
		"bucket":     with(func(r *usage.Rollup) { r.Bucket += 3600 * 1e6 }),
		"before":     with(func(r *usage.Rollup) { r.Bucket = -3600 * 1e6 }),
		"tenant":     with(func(r *usage.Rollup) { r.Tenant = "globex" }),
		"meter":      with(func(r *usage.Rollup) { r.Meter = "storage" }),
		"dimension":  with(func(r *usage.Rollup) { r.Dimensions = region("eu") }),
		"empty":      with(func(r *usage.Rollup) { r.Dimensions = region("") }),
		"verdict":    with(func(r *usage.Rollup) { r.Verdict = 3 }),
	}
	put := []*usage.Rollup{plain}
	n := int64(4)
	for _, name := range []string{"projection", "day", "month", "bucket", "before", "tenant", "meter", "dimension", "empty", "verdict"} {
		r := rollup("", 0, n)
		others[name].Records, others[name].Values = r.Records, r.Values
		put = append(put, others[name])
		n++
	}
	b.mustCommit(&usage.Commit{To: at, Put: put})
	o := others
	sel := usage.RollupSelection{Checkpoint: at}
	b.rows("hours of the projection", sel, plain, o["bucket"], o["before"], o["tenant"], o["meter"], o["dimension"], o["empty"], o["verdict"])
	sel.Level = aggregate.Day
	b.rows("days", sel, o["day"])
	sel.Level = aggregate.Month
	b.rows("months", sel, o["month"])
	sel = usage.RollupSelection{Checkpoint: at, Projection: "P"}
	b.rows("another projection", sel, o["projection"])
	sel.Projection = "unknown"
	b.rows("an unknown projection", sel)
	sel = usage.RollupSelection{Checkpoint: at, From: plain.Bucket, To: o["bucket"].Bucket}
	b.rows("one hour", sel, plain, o["tenant"], o["meter"], o["dimension"], o["empty"], o["verdict"])
	sel.From, sel.To = plain.Bucket+1, o["bucket"].Bucket+1
	b.rows("the next hour", sel, o["bucket"])
	sel.From, sel.To = -7200*1e6, 0
	b.rows("an hour before 1970", sel, o["before"])
	sel.Meters = []string{"storage", "unknown"}
	sel.From, sel.To = 0, 0
	b.rows("one meter", sel, o["meter"])
	sel.Meters, sel.Scope = nil, usage.ForTenant("globex")
	b.rows("one tenant", sel, o["tenant"])
	sel.Scope = usage.AllTenants()
	sel.Keys = []usage.RollupKey{}
	b.rows("no keys", sel)
	sel.Keys = []usage.RollupKey{o["empty"].RollupKey, o["verdict"].RollupKey, rollupKey("nobody", 5), plain.RollupKey}
	b.rows("some keys", sel, o["empty"], o["verdict"], plain)
	for name, r := range o {
		sel := usage.RollupSelection{Checkpoint: at, Projection: r.Projection, Level: r.Level, Keys: []usage.RollupKey{r.RollupKey}}
		b.rows("the key with another "+name, sel, r)
	}
}

func rollupsReadBack(k *kit) {
	b := k.open(nil)
	at := b.sequences(1)[0]
	summary := func(numbers ...string) aggregate.Summary {
		var s aggregate.Summary
		for _, n := range numbers {
			s.Add(number(n))
		}
		return s
	}
	nines := strings.Repeat("9", 38) + "." + strings.Repeat("9", 30)
	sums := []aggregate.Summary{
		summary("0"), summary("-1.5", "3"), summary("9223372036854775807", "1"), summary(nines, nines, nines, "-0.5"), summary("-"+nines, "-"+nines),
		summary("0." + strings.Repeat("0", 29) + "1"), summary("1e37", "1e-30", "-1e37"), summary("0.1", "0.2"), {},
	}
	// Far more than one number can hold.
	for range 2000 {
		sums[8].Add(number(nines))
	}
	var put []*usage.Rollup
	for i, s := range texts {
		r := &usage.Rollup{RollupKey: rollupKey("acme", i), Records: int64(i + 1)}
		r.Tenant, r.Meter, r.Verdict = s, s, usage.VerdictClass(i%6)
		r.Dimensions = usage.NewDimensions(usage.Dimension{Name: s, Value: s + "\t\n" + s}, usage.Dimension{Name: "e", Value: ""})
		if i%4 != 3 { // a record may lack every value that another one has
			r.Values = []usage.ValueSummary{{Name: "a", Summary: sums[i%len(sums)]}, {Name: "b", Summary: sums[(i+1)%len(sums)]}}
		}
		put = append(put, r)
	}
	slices.SortFunc(put, func(a, b *usage.Rollup) int { return int(a.Records*7919%101) - int(b.Records*7919%101) })
	b.mustCommit(&usage.Commit{To: at, Put: put})
	b.rows("rows of all kinds", usage.RollupSelection{Checkpoint: at}, put...)
	for _, r := range put {
		b.rows("one row by its key", usage.RollupSelection{Checkpoint: at, Keys: []usage.RollupKey{r.RollupKey}}, r)
		b.rows("one row by its meter", usage.RollupSelection{Checkpoint: at, Scope: usage.ForTenant(r.Tenant), Meters: []string{r.Meter}}, r)
	}
	// What is read can be gone on with: a sum is more than its text.
	got := b.rollups(usage.RollupSelection{Checkpoint: at})
	for _, r := range got {
		for i := range r.Values {
			s := r.Values[i].Clone()
			s.Add(number("0.5"))
			s.Sum.Sub(number("0.5"))
			if !s.Sum.Equal(&r.Values[i].Sum) {
				k.Fatalf("a half added and taken away changes %s to %s", r.Values[i].Sum.String(), s.Sum.String())
			}
		}
	}
	// What was put is the caller's again.
	want := make([]*usage.Rollup, len(put))
	for i, r := range put {
		own := *r
		own.Values = slices.Clone(r.Values)
		want[i] = &own
		clear(r.Values)
		*r = usage.Rollup{}
	}
	b.rows("after the caller used its memory again", usage.RollupSelection{Checkpoint: at}, want...)
}

func checkpointsNotHeld(k *kit) {
	b := k.open(nil)
	at := b.sequences(9)
	never := func(what string, checkpoint uint64) {
		k.Helper()
		rows, err := b.tryRollups(usage.RollupSelection{Checkpoint: checkpoint})
		if !errors.Is(err, usage.ErrHeld) {
			k.Fatalf("%s: ScanRollups at %d returned %d rows and the error %v, want %v", what, checkpoint, len(rows), err, usage.ErrHeld)
		}
	}
	never("before any commit", at[3])
	b.mustCommit(&usage.Commit{To: at[3], Put: []*usage.Rollup{rollup("acme", 0, 1)}})
	b.mustCommit(&usage.Commit{From: at[3], To: at[6], Put: []*usage.Rollup{rollup("acme", 1, 1)}})
	never("below all checkpoints", at[1])
	never("between checkpoints", at[4])
	never("above all checkpoints", at[8])
	never("far above", at[8]+1000)
	b.rows("at a checkpoint", usage.RollupSelection{Checkpoint: at[3]}, rollup("acme", 0, 1))
}

func scopeOfRollups(k *kit) {
	b := k.open(nil)
	at := b.sequences(1)[0]
	var all []*usage.Rollup
	tenants := []string{"acme", "Acme", "acme ", "acm", "é"}
	for i, tenant := range tenants {
		all = append(all, rollup(tenant, 0, int64(i+1)), rollup(tenant, 1, int64(i+1)))
	}
	b.mustCommit(&usage.Commit{To: at, Put: all})
	var keys []usage.RollupKey
	for _, r := range all {
		keys = append(keys, r.RollupKey)
	}
	for i, tenant := range tenants {
		sel := usage.RollupSelection{Scope: usage.ForTenant(tenant), Checkpoint: at}
		what := fmt.Sprintf("the scope of %q", tenant)
		b.rows(what, sel, all[2*i:2*i+2]...)
		sel.Meters = []string{"requests"}
		b.rows(what+" by meter", sel, all[2*i:2*i+2]...)
		sel.Meters, sel.Keys = nil, keys
		b.rows(what+" by keys", sel, all[2*i:2*i+2]...)
	}
	b.rows("a scope of nobody known", usage.RollupSelection{Scope: usage.ForTenant("nobody"), Checkpoint: at, Keys: keys})
	b.rows("a scope of two", usage.RollupSelection{Scope: usage.ForTenants("acm", "é", "nobody"), Checkpoint: at}, all[6], all[7], all[8], all[9])
}

func compareAndSwap(k *kit) {
	b := k.open(nil)
	at := b.sequences(30)
	refused := func(from, to uint64) {
		k.Helper()
		err := b.commit(&usage.Commit{From: from, To: to, Put: []*usage.Rollup{rollup("acme", 0, 9)}, Coverage: []byte("wrong")})
		if !errors.Is(err, usage.ErrCheckpoint) {
			k.Fatalf("Commit from %d to %d with the newest checkpoint %d: %v, want %v", from, to, b.settled().Latest, err, usage.ErrCheckpoint)
		}
	}
	refused(at[0], at[1])
	b.mustCommit(&usage.Commit{To: at[2], Put: []*usage.Rollup{rollup("acme", 0, 1)}, Coverage: []byte("one")})
	refused(0, at[3])
	refused(at[1], at[3])
	refused(at[3], at[4])
	if s := b.settled(); s.Latest != at[2] || s.Checkpoint != at[2] || string(s.Coverage) != "one" {
		k.Fatalf("after refused commits the checkpoint is %d with %q, want %d with %q", s.Checkpoint, s.Coverage, at[2], "one")
	}
	b.rows("after refused commits", usage.RollupSelection{Checkpoint: at[2]}, rollup("acme", 0, 1))

	from := at[2]
	for i := 3; i+racers < len(at); i += 3 {
		errs := make([]error, racers)
		race(racers, func(n int) {
			errs[n] = b.commit(&usage.Commit{From: from, To: at[i+n%3], Put: []*usage.Rollup{rollup("acme", 0, int64(n+1))}, Coverage: []byte{byte(n)}})
		})
		winner := -1
		for n, err := range errs {
			switch {
			case err == nil && winner < 0:
				winner = n
			case err == nil:
				k.Fatalf("two commits from checkpoint %d were accepted", from)
			case !errors.Is(err, usage.ErrCheckpoint):
				k.Fatalf("a commit that lost its race returned %v, want %v", err, usage.ErrCheckpoint)
			}
		}
		if winner < 0 {
			k.Fatalf("no commit from checkpoint %d was accepted", from)
		}
		s := b.settled()
		if s.Latest != at[i+winner%3] || len(s.Coverage) != 1 || s.Coverage[0] != byte(winner) {
			k.Fatalf("the checkpoint is %d with %v, want %d with [%d]", s.Latest, s.Coverage, at[i+winner%3], winner)
		}
		from = s.Latest
		b.rows("after a race", usage.RollupSelection{Checkpoint: from}, rollup("acme", 0, int64(winner+1)))
	}
}

func replaceAndTakeAway(k *kit) {
	b := k.open(nil)
	at := b.sequences(4)
	now := func(what string, checkpoint uint64, want ...*usage.Rollup) {
		k.Helper()
		b.rows(what, usage.RollupSelection{Checkpoint: checkpoint}, want...)
	}
	b.mustCommit(&usage.Commit{To: at[0], Put: []*usage.Rollup{rollup("acme", 0, 1), rollup("acme", 1, 2), rollup("acme", 9, 0)}})
	now("a row that takes nothing away", at[0], rollup("acme", 0, 1), rollup("acme", 1, 2))
	bare := rollup("acme", 0, 4)
	bare.Values = nil
	b.mustCommit(&usage.Commit{From: at[0], To: at[1], Put: []*usage.Rollup{bare, rollup("acme", 1, 0)}})
	now("a row replaced and one taken away", at[1], bare)
	b.mustCommit(&usage.Commit{From: at[1], To: at[2]})
	now("a commit without rows", at[2], bare)
	b.mustCommit(&usage.Commit{From: at[2], To: at[3], Put: []*usage.Rollup{rollup("acme", 0, 0), rollup("acme", 1, 5)}})
	now("a row put again", at[3], rollup("acme", 1, 5))
}

func hold(k *kit) {
	b := k.open(nil)
	at := b.sequences(8)
	const held = 30 * time.Minute
	commit := func(i int) {
		k.Helper()
		c := &usage.Commit{To: at[i], Hold: held, Put: []*usage.Rollup{rollup("acme", 0, int64(i+1)), rollup("acme", i+1, 1)}, Coverage: []byte{byte(i)}}
		if i > 0 {
			c.From = at[i-1]
		}
		b.mustCommit(c)
	}
	want := func(i int) []*usage.Rollup {
		rows := []*usage.Rollup{rollup("acme", 0, int64(i+1))}
		for j := range i + 1 {
			rows = append(rows, rollup("acme", j+1, 1))
		}
		return rows
	}
	replaced := map[int]time.Time{}
	for i := range at {
		commit(i)
		if i > 0 {
			replaced[i-1] = b.clock.Now()
		}
		for j := range i {
			rows, err := b.tryRollups(usage.RollupSelection{Checkpoint: at[j]})
			switch {
			case err == nil:
				sameRows(k, fmt.Sprintf("checkpoint %d after commit %d", j, i), rows, want(j))
			case !errors.Is(err, usage.ErrHeld):
				k.Fatalf("ScanRollups at checkpoint %d after commit %d: %v", j, i, err)
			case b.clock.Now().Sub(replaced[j]) < held:
				k.Fatalf("checkpoint %d was dropped %s after its rows were replaced, want it held for %s", j, b.clock.Now().Sub(replaced[j]), held)
			}
		}
		b.rows("the newest checkpoint", usage.RollupSelection{Checkpoint: at[i]}, want(i)...)
		// 29 minutes, and the one microsecond that is missing, and past it.
		b.clock.advance([]time.Duration{29 * time.Minute, time.Minute - time.Microsecond, time.Microsecond, held + time.Second}[i%4])
	}
	// As of an earlier mark, the checkpoint that is named can be read.
	for i := range at {
		s := b.stateAt(usage.AsOf{Sequence: at[i]})
		if s.Checkpoint == 0 {
			continue
		}
		j := slices.Index(at, s.Checkpoint)
		if j < 0 || j > i {
			k.Fatalf("as of %d the checkpoint is %d", at[i], s.Checkpoint)
		}
		b.rows("the checkpoint named as of an earlier mark", usage.RollupSelection{Checkpoint: s.Checkpoint}, want(j)...)
	}
}
