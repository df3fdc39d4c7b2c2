package memstore_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/rules"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

// someRules give records verdicts of several classes and versions.
type someRules struct{}

func (someRules) Judge(s rules.Subject, _ time.Time) rules.Judgement {
	n := len(s.ID()) + len(s.Meter())
	return rules.Judgement{Verdict: rules.Verdict(n % 3), Billable: n%2 == 0, Version: fmt.Sprint("v", n%4)}
}

var clockStart = time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)

// workload makes batches that collide, correct and come late, and selections
// of all kinds about them.
type workload struct {
	*rand.Rand
	now  time.Time
	book *usage.Book
	ids  []usage.Identity
}

func newWorkload(t *testing.T, seed uint64) *workload {
	w := &workload{Rand: rand.New(rand.NewPCG(seed, 77)), now: clockStart}
	var err error
	w.book, err = usage.New(memstore.New(nil), &usage.Options{Rules: someRules{}, Now: func() time.Time { return w.now }})
	require.NoError(t, err)
	return w
}

func pick[T any](w *workload, list ...T) T { return list[w.IntN(len(list))] }

func (w *workload) id() string {
	n := w.IntN(150)
	switch n % 4 {
	case 0:
		return fmt.Sprintf("%08x-0000-4000-8000-%012x", n*7919, n)
	case 1:
		return fmt.Sprintf("%04x", n)
	case 2:
		return fmt.Sprintf("%d", n)
	}
	return fmt.Sprintf("use/%d", n)
}

func (w *workload) start() time.Time {
	return clockStart.Add(time.Duration(w.IntN(72)-36) * pick(w, time.Hour, time.Minute, time.Microsecond))
}

func (w *workload) number() decimal.Decimal {
	return pick(w, decimal.New(w.Int64N(1000)-200, -2), decimal.New(w.Int64(), -int32(w.IntN(20))), decimal.New(w.Int64(), 15), decimal.Zero, decimal.New(1, -30))
}

func (w *workload) record() usage.Record {
	r := usage.Record{Tenant: pick(w, "acme", "globex", "initech"), Source: pick(w, "a", "b"), ID: w.id(), Meter: pick(w, "cpu", "disk", "net"), Start: w.start()}
	if w.IntN(3) == 0 {
		r.End = r.Start.Add(time.Duration(w.IntN(3)) * time.Hour)
	}
	r.Values = usage.Quantity(w.number())
	for _, name := range []string{"cost", "weight"} {
		if w.IntN(4) == 0 {
			r.Values = r.Values.With(name, w.number())
		}
	}
	if w.IntN(10) == 0 {
		r.Values = usage.Values{}.With("cost", w.number())
	}
	for _, name := range []string{"host", "region"} {
		if w.IntN(3) > 0 {
			r.Dimensions = r.Dimensions.With(name, pick(w, "", "x", "y", "zürich"))
		}
	}
	if len(w.ids) > 0 && w.IntN(6) == 0 {
		target := w.ids[w.IntN(len(w.ids))]
		r.Tenant = target.Tenant
		r.Corrects = &usage.Correction{Kind: usage.Replace, Source: target.Source, ID: target.ID}
		if w.IntN(2) == 0 {
			r = usage.Record{Tenant: r.Tenant, Source: r.Source, ID: r.ID, Corrects: &usage.Correction{Kind: usage.Void, Source: target.Source, ID: target.ID}}
		}
	}
	if w.IntN(40) == 0 {
		r.Meter = ""
	}
	return r
}

func (w *workload) batch(t *testing.T) *usage.Batch {
	records := make([]usage.Record, 1+w.IntN(12))
	for i := range records {
		records[i] = w.record()
		if i > 0 && w.IntN(10) == 0 {
			records[i] = records[w.IntN(i)]
		}
		w.ids = append(w.ids, records[i].Identity())
	}
	b, err := w.book.Prepare(usage.AppendOptions{AllOrNothing: w.IntN(8) == 0}, records...)
	require.NoError(t, err)
	w.now = w.now.Add(time.Duration(w.IntN(4)-1) * time.Minute)
	return b
}

func (w *workload) scope() usage.Scope {
	return pick(w, usage.AllTenants(), usage.AllTenants(), usage.ForTenant("acme"), usage.ForTenants("globex", "initech"), usage.ForTenant("nobody"))
}

func (w *workload) selection(mark uint64) usage.Selection {
	s := usage.Selection{Scope: w.scope(), Mark: usage.Mark{Sequence: mark}}
	if w.IntN(3) == 0 {
		s.Mark.Sequence = w.Uint64N(mark + 3)
	}
	if w.IntN(4) == 0 {
		s.After = w.Uint64N(mark + 1)
	}
	if w.IntN(4) == 0 {
		s.Through = w.Uint64N(mark + 1)
	}
	if w.IntN(4) == 0 {
		s.From = w.start().Add(time.Duration(w.IntN(2)))
	}
	if w.IntN(4) == 0 {
		s.To = w.start().Add(time.Duration(w.IntN(2)))
	}
	if w.IntN(5) == 0 {
		s.RecordedFrom = clockStart.Add(time.Duration(w.IntN(60)) * time.Minute)
	}
	if w.IntN(5) == 0 {
		s.RecordedTo = clockStart.Add(time.Duration(w.IntN(60)) * time.Minute)
	}
	if w.IntN(4) == 0 {
		s.Meters = pick(w, []string{"cpu"}, []string{"net", "disk", "unknown"}, []string{}, []string{""})
	}
	if w.IntN(4) == 0 {
		s.Series = func(s *usage.Series) bool { v, ok := s.Dimensions.Get("host"); return ok && v != "x" }
	}
	return s
}

func (w *workload) scan(mark uint64) usage.Selection {
	s := w.selection(mark)
	s.Class = pick(w, usage.AnyClass, usage.AnyClass, usage.Plain, usage.Chained, usage.Corrections)
	s.Order = pick(w, usage.Unordered, usage.BySequence, usage.ByStart, usage.ByStart)
	if w.IntN(6) == 0 {
		s.Identities = []usage.Identity{}
		for range w.IntN(6) {
			s.Identities = append(s.Identities, w.ids[w.IntN(len(w.ids))], usage.Identity{Tenant: "acme", Source: "a", ID: w.id()})
		}
	}
	if s.Order == usage.ByStart && w.IntN(2) == 0 {
		id := w.ids[w.IntN(len(w.ids))]
		s.Resume = &aggregate.Position{Start: w.start().UnixMicro(), Source: id.Source, ID: id.ID, Tenant: id.Tenant}
	}
	return s
}

func show(s *usage.Stored) string {
	text := fmt.Sprintf("%d %s %q %q %q %q %s %s %v %v %+v", s.Sequence, s.Recorded, s.Tenant, s.Source, s.ID, s.Meter, s.Start, s.End, s.Values, s.Dimensions, s.Verdict)
	if s.Corrects != nil {
		text += fmt.Sprintf(" corrects %+v", *s.Corrects)
	}
	if s.CorrectedBy != nil {
		text += fmt.Sprintf(" corrected by %+v", *s.CorrectedBy)
	}
	return text
}

func scanned(t *testing.T, s usage.Store, sel usage.Selection) []string {
	t.Helper()
	var out []string
	for r, err := range s.Scan(t.Context(), sel) {
		require.NoError(t, err)
		out = append(out, show(r))
	}
	if sel.Order == usage.Unordered {
		slices.Sort(out)
	}
	return out
}

type cellKey struct {
	group  int
	window int64
}

// summed says what a grouping adds up to, value by value.
func summed(cells map[cellKey]*usage.GroupRow) []string {
	var out []string
	for k, c := range cells {
		text := fmt.Sprint(k, " ", c.Records)
		for i := range c.Values {
			if v := &c.Values[i]; v.Count > 0 {
				text += fmt.Sprintf(" | %d %s %s %s", v.Count, v.Sum.String(), v.Min, v.Max)
			} else {
				text += " | none"
			}
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return out
}

func cellOf(cells map[cellKey]*usage.GroupRow, k cellKey, values int) *usage.GroupRow {
	if cells[k] == nil {
		cells[k] = &usage.GroupRow{Values: make([]aggregate.Summary, values)}
	}
	return cells[k]
}

// grouped compares Group with what the model's records add up to.
func (w *workload) grouped(t *testing.T, s *memstore.Store, m *model, mark uint64) {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Zurich")
	require.NoError(t, err)
	sel := w.selection(mark)
	sel.Class, sel.Series = usage.Plain, nil
	read := usage.GroupRead{Selection: sel, Values: []string{"cost", "absent", "quantity"}, Window: aggregate.Window{Unit: pick(w, aggregate.None, aggregate.Hour, aggregate.Day, aggregate.Month), Location: zone}}
	kind := w.IntN(3)
	read.Group = func(s *usage.Series, c usage.VerdictClass) int {
		switch v, ok := s.Dimensions.Get("host"); {
		case kind == 0:
			return len(s.Meter)
		case kind == 1:
			return int(c)*3 - 3
		case !ok:
			return -1
		default:
			return len(v) * 100_000
		}
	}
	if kind > 0 {
		read.AnyMeter, read.Dimensions = w.IntN(2) == 0, pick(w, nil, []string{"host"}, []string{"region", "host"})
	}
	var where *filter.Program
	if w.IntN(2) == 0 {
		read.Where = w.condition(t)
		where = read.Where.Compile()
	}
	got, want := map[cellKey]*usage.GroupRow{}, map[cellKey]*usage.GroupRow{}
	var fault error
	for row, err := range s.Group(t.Context(), read) {
		if fault = err; err != nil {
			break
		}
		c := cellOf(got, cellKey{row.Group, row.Window}, 3)
		c.Records += row.Records
		for i := range row.Values {
			c.Values[i].Merge(&row.Values[i])
		}
	}
	for r, err := range m.Scan(t.Context(), sel) {
		require.NoError(t, err)
		g := read.Group(&usage.Series{Tenant: r.Tenant, Meter: r.Meter, Dimensions: r.Dimensions}, r.Verdict.Class())
		if g < 0 {
			continue
		}
		if where != nil {
			holds, err := where.Match(conditionRow{where.Fields(), r})
			if err != nil {
				// Which of the records at fault is met first is left to the store.
				require.ErrorAs(t, fault, new(*filter.Error), "%s", read.Where)
				return
			}
			if !holds {
				continue
			}
		}
		k := cellKey{group: g}
		if read.Window.Unit != aggregate.None {
			k.window, _ = read.Window.Locate(r.Start.UnixMicro())
		}
		c := cellOf(want, k, 3)
		c.Records++
		for i, name := range read.Values {
			if n, ok := r.Values.Number(name); ok {
				c.Values[i].Add(n)
			}
		}
	}
	require.NoError(t, fault, "%s", read.Where)
	require.Equal(t, summed(want), summed(got), "%+v", read)
}

// rollups commits random rows to both stores and compares what they read.
func (w *workload) rollups(t *testing.T, stores ...usage.Store) {
	t.Helper()
	state, err := stores[1].Checkpoint(t.Context(), usage.AsOf{})
	require.NoError(t, err)
	key := func() usage.RollupKey {
		return usage.RollupKey{
			Projection: pick(w, "p", "q"), Level: pick(w, aggregate.Hour, aggregate.Day, aggregate.Month), Bucket: clockStart.UnixMicro() + int64(w.IntN(2000)-1000)*3_600_000_000,
			Tenant: pick(w, "acme", "globex", "other"), Meter: pick(w, "cpu", "disk"), Dimensions: usage.DimensionsOf(pick(w, nil, map[string]string{"host": "x"}, map[string]string{"host": ""})),
			Verdict: usage.VerdictClass(w.IntN(2)),
		}
	}
	c := &usage.Commit{From: state.Latest, To: state.Latest + 1 + w.Uint64N(3), Now: w.now, Hold: 3 * time.Minute, Coverage: []byte{byte(w.IntN(9))}}
	if w.IntN(9) == 0 {
		c.From++
	}
	seen := map[string]bool{}
	var known []usage.RollupKey
	for range w.IntN(40) {
		k := key()
		if text := fmt.Sprint(k); !seen[text] {
			seen[text] = true
			r := &usage.Rollup{RollupKey: k}
			if w.IntN(4) > 0 {
				r.Records = 1 + w.Int64N(1<<40)>>w.IntN(40)
				for _, name := range []string{"cost", "quantity"} {
					if w.IntN(4) > 0 {
						v := usage.ValueSummary{Name: name}
						for range 1 + w.IntN(3) {
							n, err := aggregate.NumberOf(w.number())
							require.NoError(t, err)
							v.Add(n)
						}
						r.Values = append(r.Values, v)
					}
				}
			}
			c.Put = append(c.Put, r)
			known = append(known, k)
		}
	}
	require.Equal(t, stores[1].Commit(t.Context(), c) == nil, stores[0].Commit(t.Context(), c) == nil)
	for range 4 {
		sel := usage.RollupSelection{Scope: w.scope(), Projection: pick(w, "p", "q", "none"), Level: pick(w, aggregate.Hour, aggregate.Day, aggregate.Month)}
		sel.Checkpoint = c.To - min(c.To, w.Uint64N(6))
		if w.IntN(2) == 0 {
			sel.From, sel.To = key().Bucket, key().Bucket
		}
		if w.IntN(4) == 0 {
			sel.Meters = pick(w, []string{}, []string{"cpu", "unknown"})
		}
		if w.IntN(3) == 0 {
			sel.Keys = []usage.RollupKey{key(), key()}
			for _, k := range known {
				if k.Projection == sel.Projection && k.Level == sel.Level {
					sel.Keys = append(sel.Keys, k)
				}
			}
			for i := range sel.Keys {
				sel.Keys[i].Projection, sel.Keys[i].Level = sel.Projection, sel.Level
			}
		}
		var texts [2]string
		for i, s := range stores {
			var lines []string
			for r, err := range s.ScanRollups(t.Context(), sel) {
				if err != nil {
					require.ErrorIs(t, err, usage.ErrHeld)
					lines = append(lines, "held")
					break
				}
				text := fmt.Sprint(r.RollupKey, r.Records)
				for k := range r.Values {
					v := &r.Values[k]
					text += fmt.Sprintf(" %s %d %s %s %s", v.Name, v.Count, v.Sum.String(), v.Min, v.Max)
				}
				lines = append(lines, text)
			}
			slices.Sort(lines)
			texts[i] = strings.Join(lines, "\n")
		}
		require.Equal(t, texts[1], texts[0], "%+v", sel)
		if sel.Keys == nil {
			w.groupedRollups(t, stores[0].(*memstore.Store), sel)
		}
	}
}

// groupedRollups compares GroupRollups with what the rows add up to.
func (w *workload) groupedRollups(t *testing.T, s *memstore.Store, sel usage.RollupSelection) {
	t.Helper()
	read := usage.GroupRead{Values: []string{"quantity", "absent", "cost"}, Window: aggregate.Window{Unit: pick(w, aggregate.None, aggregate.Day, aggregate.Month)},
		Dimensions: pick(w, nil, []string{"host"}), AnyMeter: w.IntN(2) == 0, Group: func(s *usage.Series, c usage.VerdictClass) int {
			v, ok := s.Dimensions.Get("host")
			if !ok && c == 1 {
				return -1
			}
			return len(v) + int(c)*20_000 + len(s.Tenant)
		}}
	got, want := map[cellKey]*usage.GroupRow{}, map[cellKey]*usage.GroupRow{}
	held := true
	for row, err := range s.GroupRollups(t.Context(), sel, read) {
		if err != nil {
			require.ErrorIs(t, err, usage.ErrHeld)
			held = false
			break
		}
		c := cellOf(got, cellKey{row.Group, row.Window}, 3)
		c.Records += row.Records
		for i := range row.Values {
			c.Values[i].Merge(&row.Values[i])
		}
	}
	for r, err := range s.ScanRollups(t.Context(), sel) {
		if err != nil {
			require.ErrorIs(t, err, usage.ErrHeld)
			require.False(t, held)
			return
		}
		g := read.Group(&usage.Series{Tenant: r.Tenant, Meter: r.Meter, Dimensions: r.Dimensions}, r.Verdict)
		if g < 0 {
			continue
		}
		k := cellKey{group: g}
		if read.Window.Unit != aggregate.None {
			k.window, _ = read.Window.Locate(r.Bucket)
		}
		c := cellOf(want, k, 3)
		c.Records += r.Records
		for i, name := range read.Values {
			for n := range r.Values {
				if r.Values[n].Name == name {
					c.Values[i].Merge(&r.Values[n].Summary)
				}
			}
		}
	}
	require.True(t, held)
	require.Equal(t, summed(want), summed(got), "%+v", sel)
}

func TestAgainstModel(t *testing.T) {
	t.Parallel()
	for _, shift := range []uint{0, 2, 4, 16} {
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("%d rows, seed %d", 1<<shift, seed), func(t *testing.T) {
				t.Parallel()
				w := newWorkload(t, seed)
				s, m := memstore.NewSegments(shift), newModel()
				for range 60 {
					b := w.batch(t)
					got, err := s.Append(t.Context(), b)
					require.NoError(t, err)
					want, err := m.Append(t.Context(), b)
					require.NoError(t, err)
					require.Equal(t, want, got)

					at := usage.AsOf{}
					if w.IntN(2) == 0 {
						at.Time = w.now.Add(-time.Duration(w.IntN(40)) * time.Minute)
					}
					if w.IntN(3) == 0 {
						at.Sequence = w.Uint64N(300)
					}
					gotState, err := s.Checkpoint(t.Context(), at)
					require.NoError(t, err)
					wantState, err := m.Checkpoint(t.Context(), at)
					require.NoError(t, err)
					require.Equal(t, wantState, gotState)

					mark := uint64(len(m.records))
					for range 6 {
						sel := w.scan(mark)
						require.Equal(t, scanned(t, m, sel), scanned(t, s, sel), "%+v", sel)
					}
					w.grouped(t, s, m, mark)
					w.grouped(t, s, m, mark)
					w.rollups(t, s, m)
				}
			})
		}
	}
}
