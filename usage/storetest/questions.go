package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/usagebook/usagebook/usage/storetest/internal/model"
)

// question makes up a question about the world as it is.
func (w *world) question() *question {
	w.k.Helper()
	q := &question{}
	q.Mark = w.place()
	q.Places = 18
	rng := w.rng
	w.scopeOf(q)
	if rng.IntN(6) == 0 {
		w.pastOf(q)
	}
	if w.span != 0 && rng.IntN(3) > 0 {
		w.plainRowsOf(q)
		return q
	}
	if rng.IntN(2) == 0 {
		q.Where = w.condition(2)
	}
	if rng.IntN(4) == 0 {
		w.rangeOf(q, 0)
		w.recordsOf(q)
	} else {
		w.rowsOf(q)
	}
	if rng.IntN(4) == 0 {
		q.Limit = 1 + rng.IntN(20)
	}
	q.pageSize = pick(rng, []int{0, 0, 1, 2, 7, 50})
	q.count = rng.IntN(3) == 0
	return q
}

func (w *world) scopeOf(q *question) {
	switch w.rng.IntN(4) {
	case 0:
		q.Tenants = []string{pick(w.rng, worldTenants)}
	case 1:
		q.Tenants = []string{"acme", "nobody", "Acme"}
	}
	if w.rng.IntN(6) == 0 {
		q.Required = map[string]string{"region": pick(w.rng, worldRegions)}
		if w.rng.IntN(3) == 0 {
			q.Required["host"] = "h1"
		}
	}
}

// pastOf asks as of an earlier moment, by sequence or by time.
func (w *world) pastOf(q *question) {
	if len(w.model.Records) == 0 {
		return
	}
	r := pick(w.rng, w.model.Records)
	if w.rng.IntN(2) == 0 {
		q.asOf.Sequence = r.Sequence
		q.Mark = r.Sequence
		return
	}
	q.asOf.Time = r.Recorded.Add(time.Duration(w.rng.IntN(2)) * time.Microsecond)
	q.Mark = 0
	for _, r := range w.model.Records {
		if r.Recorded.Before(q.asOf.Time) {
			q.Mark = r.Sequence
		}
	}
	if q.asOf.Time.After(w.clock.Now()) {
		q.Mark = w.place() // the clock ran back: an instant in its future is now
	}
}

// rangeOf gives the question a range; one of at most longest where that is not 0.
func (w *world) rangeOf(q *question, longest time.Duration) {
	rng := w.rng
	if longest == 0 && rng.IntN(3) == 0 {
		return
	}
	if longest == 0 && rng.IntN(4) == 0 && len(w.model.Records) > 0 {
		q.Recorded = true
		from, to := pick(rng, w.model.Records).Recorded, pick(rng, w.model.Records).Recorded
		if to.Before(from) {
			from, to = to, from
		}
		if q.To = to; rng.IntN(3) > 0 {
			q.From = from
		}
		return
	}
	q.From = w.instant()
	most := longest
	if most == 0 {
		most = pick(rng, []time.Duration{time.Hour, 26 * time.Hour, 40 * 24 * time.Hour, 20 * 365 * 24 * time.Hour})
	}
	q.To = q.From.Add(1 + time.Duration(rng.Int64N(int64(most)))).Truncate(pick(rng, []time.Duration{time.Microsecond, time.Minute, time.Hour}))
	if !q.To.After(q.From) {
		q.To = q.From.Add(time.Microsecond)
	}
	if longest == 0 {
		switch rng.IntN(6) {
		case 0:
			q.From = time.Time{}
		case 1:
			q.To = time.Time{}
		}
	}
}

func (w *world) orders(q *question, columns []string) {
	columns = slices.Clone(columns)
	w.rng.Shuffle(len(columns), func(i, j int) { columns[i], columns[j] = columns[j], columns[i] })
	for _, c := range columns[:min(w.rng.IntN(3), len(columns))] {
		q.Order = append(q.Order, model.Order{Column: c, Descending: w.rng.IntN(2) == 0})
	}
}

func (w *world) recordsOf(q *question) {
	w.orders(q, []string{"id", "source", "tenant", "meter", "start", "end", "recorded", "sequence", "verified", "billable", "values/quantity", "values/cost", "region", "host", "unknown"})
}

var groupFields = []string{"tenant", "meter", "region", "host", "verified", "billable", "source", "unknown"}

func (w *world) rowsOf(q *question) {
	rng := w.rng
	if rng.IntN(3) > 0 {
		fields := slices.Clone(groupFields)
		rng.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
		q.Group = fields[:rng.IntN(4)]
	}
	if rng.IntN(3) > 0 {
		q.Window = model.Window{Unit: model.Unit(1 + rng.IntN(int(model.Cycle))), Location: pick(rng, w.zones)}
		if q.Window.Unit == model.Cycle {
			q.Window.Day, q.Window.Hour = 1+rng.IntN(31), rng.IntN(24)
		}
	}
	if q.Window.Unit != model.None && rng.IntN(4) == 0 {
		q.ZeroFill = true
		longest := map[model.Unit]time.Duration{model.Hour: 50 * time.Hour, model.Day: 40 * 24 * time.Hour, model.Week: 200 * 24 * time.Hour}[q.Window.Unit]
		if longest == 0 {
			longest = 900 * 24 * time.Hour
		}
		w.rangeOf(q, longest)
	} else {
		w.rangeOf(q, 0)
	}
	for i := range 1 + rng.IntN(4) {
		m := model.Measure{Name: fmt.Sprintf("m%d", i), Aggregation: model.Aggregation(rng.IntN(int(model.Distinct) + 1))}
		m.Of = pick(rng, []string{"values/quantity", "values/quantity", "values/cost", "values/unknown"})
		switch {
		case m.Aggregation == model.Count && rng.IntN(2) == 0:
			m.Of = ""
		case m.Aggregation == model.Distinct && rng.IntN(3) > 0:
			m.Of = pick(rng, []string{"region", "host", "dimensions/region", "tenant", "meter", "unknown"})
		}
		if rng.IntN(5) == 0 {
			m.Meter = pick(rng, verdictMeters)
		}
		q.Measures = append(q.Measures, m)
	}
	columns := slices.Clone(q.Group)
	for _, m := range q.Measures {
		columns = append(columns, m.Name)
	}
	w.orders(q, columns)
}

// plainRowsOf asks what reports ask, which is what rollups are for: sums by
// dimensions over whole hours and days.
func (w *world) plainRowsOf(q *question) {
	rng := w.rng
	fields := []string{"tenant", "meter", "region", "verified"}
	rng.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	q.Group = fields[:rng.IntN(3)]
	if unit := model.Unit(rng.IntN(int(model.Cycle) + 1)); unit != model.None {
		q.Window = model.Window{Unit: unit, Location: pick(rng, w.zones[:3])}
		if unit == model.Cycle {
			q.Window.Day, q.Window.Hour = 1+rng.IntN(31), rng.IntN(24)
		}
	}
	if rng.IntN(3) > 0 {
		edge := pick(rng, []time.Duration{time.Hour, 24 * time.Hour, 24 * time.Hour, time.Minute})
		q.From = w.turn.Add(-time.Duration(rng.Int64N(int64(w.span + 1)))).Truncate(edge)
		q.To = w.turn.Add(time.Duration(rng.Int64N(int64(w.span)))).Truncate(edge).Add(edge)
	}
	switch rng.IntN(5) {
	case 0:
		q.Where = model.Comparison{Field: "region", Op: "eq", With: model.OfText(pick(rng, w.regions))}
	case 1:
		q.Where = model.Member{Field: "meter", List: []model.Value{model.OfText(pick(rng, w.meters))}}
	case 2:
		q.Where = model.Comparison{Field: "verified", Op: "ne", With: model.OfBool(false)}
	}
	q.ZeroFill = q.Window.Unit != model.None && !q.From.IsZero() && rng.IntN(4) == 0
	for i := range 1 + rng.IntN(3) {
		m := model.Measure{Name: fmt.Sprintf("m%d", i), Of: pick(rng, []string{"values/quantity", "values/cost"})}
		m.Aggregation = pick(rng, []model.Aggregation{model.Sum, model.Sum, model.Count, model.Min, model.Max, model.Avg, model.First, model.Last, model.Distinct})
		if m.Aggregation == model.Distinct {
			m.Of = pick(rng, []string{"dimensions/region", "host"})
		}
		q.Measures = append(q.Measures, m)
	}
	w.orders(q, append(slices.Clone(q.Group), "m0"))
	q.pageSize = pick(rng, []int{0, 0, 5})
}

// condition makes up a condition that the model can decide by itself.
func (w *world) condition(depth int) model.Condition {
	rng := w.rng
	if depth > 0 {
		switch rng.IntN(6) {
		case 0:
			return model.Not{X: w.condition(depth - 1)}
		case 1:
			return model.All{w.condition(depth - 1), w.condition(depth - 1)}
		case 2:
			return model.Any{w.condition(depth - 1), w.condition(depth - 1)}
		}
	}
	comparison := func(field string, with model.Value) model.Condition {
		return model.Comparison{Field: field, Op: pick(rng, []string{"eq", "ne", "gt", "ge", "lt", "le"}), With: with}
	}
	equality := func(field string, with model.Value) model.Condition {
		return model.Comparison{Field: field, Op: pick(rng, []string{"eq", "ne"}), With: with}
	}
	dimension := func(rng *rand.Rand) (string, model.Value) {
		if rng.IntN(2) == 0 {
			return pick(rng, []string{"host", "dimensions/host"}), model.OfText(fmt.Sprintf("h%d", rng.IntN(7)))
		}
		return pick(rng, []string{"region", "dimensions/region"}), model.OfText(pick(rng, worldRegions))
	}
	switch rng.IntN(14) {
	case 0, 1:
		return comparison(dimension(rng))
	case 2:
		f, v := dimension(rng)
		_, o := dimension(rng)
		return model.Member{Field: f, List: []model.Value{v, o}}
	case 3:
		f, _ := dimension(rng)
		return equality(f, model.Value{})
	case 4:
		return model.Part{Func: pick(rng, []string{"contains", "startswith", "endswith"}), Field: "region", Text: pick(rng, []string{"e", "eu", "u", "", "-"})}
	case 5:
		return model.Comparison{Field: "region", Op: "eq", With: model.OfText("eu"), Lower: true}
	case 6:
		return comparison(pick(rng, []string{"values/quantity", "values/cost"}), model.OfNumber(rat(pick(rng, worldNumbers))))
	case 7:
		return equality(pick(rng, []string{"values/cost", "values/quantity", "unknown"}), model.Value{})
	case 8:
		return comparison("start", model.OfInstant(w.instant()))
	case 9:
		return equality("verified", pick(rng, []model.Value{model.OfBool(true), model.OfBool(false), {}}))
	case 10:
		return equality("billable", model.OfBool(rng.IntN(2) == 0))
	case 11:
		return comparison("tenant", model.OfText(pick(rng, worldTenants)))
	case 12:
		if len(w.sent) > 0 {
			return comparison("id", model.OfText(pick(rng, w.sent).ID))
		}
	}
	return model.Member{Field: "meter", List: []model.Value{model.OfText(pick(rng, verdictMeters)), model.OfText("nobody")}}
}
