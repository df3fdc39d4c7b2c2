package usage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/rules"
)

// The dimensions that KPIs go by.
const (
	providerDimension    = "provider"
	applicationDimension = "application"
	unitDimension        = "unit"
)

// KPIResult is the figure of a KPI in a month, for each tenant that used it.
type KPIResult struct {
	// Definition is the KPI, every default filled in.
	Definition rules.KPI
	Year       int
	Month      time.Month
	// Until is the last day that counts, its midnight UTC: the last one of the
	// month, or today in the running month. Zero in a month that is in the
	// future, which has no day yet.
	Until time.Time
	// Days is the number of days from the 1st to Until.
	Days int
	// Consumers are the tenants of the scope that have a record of the KPI in
	// the month, sorted by their bytes.
	Consumers []KPIConsumer
	// AsOf is the moment that the figures speak of.
	AsOf AsOf
}

// KPIConsumer is a tenant with its figure.
type KPIConsumer struct {
	Tenant string
	// Value is exact, but for averages, which have 18 places, rounded half away
	// from zero.
	Value decimal.Decimal
	// Records is the number of records behind the value and Days the number of
	// days up to Until that have some. Both are 0 for a tenant whose only
	// records are after Until.
	Records int64
	Days    int
}

// KPIs returns the definitions of Options.KPIs.
func (b *Book) KPIs() *rules.KPISet { return b.kpis }

// KPI works out a KPI for one month, UTC, and each tenant of the scope.
//
// The records are those of the definition's meter that have its value, start in
// the month, carry its provider, application and one of its units (none listed:
// any) in the dimensions provider, application and unit, and pass its filter.
// The scope may narrow them further, and Query decides which of them count.
// [rules.KPI] says how records make days, and days the month.
//
// Errors: ErrScope; ErrInvalid for a month that there is none of; ErrNotFound
// for a KPI that is not defined; ErrTooLarge where the tenants have more days
// with usage than Options.MaxGroups; and those of the store.
func (b *Book) KPI(ctx context.Context, scope Scope, key rules.KPIKey, year int, month time.Month) (*KPIResult, error) {
	out, err := b.kpi(ctx, scope, key, year, month)
	if err != nil {
		return nil, fmt.Errorf("usage: kpi: %w", err)
	}
	return out, nil
}

func (b *Book) kpi(ctx context.Context, scope Scope, key rules.KPIKey, year int, month time.Month) (*KPIResult, error) {
	if err := scope.Check(); err != nil {
		return nil, err
	}
	if year < 1 || year > 9999 || month < time.January || month > time.December {
		return nil, fmt.Errorf("%w: month %d of the year %d; months are 1 to 12, years 1 to 9999", ErrInvalid, month, year)
	}
	k, ok := b.kpis.Get(key)
	if !ok {
		return nil, fmt.Errorf("%w: there is no KPI %s", ErrNotFound, key)
	}
	first := time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
	next := first.AddDate(0, 1, 0)
	out := &KPIResult{Definition: k, Year: year, Month: month}
	switch now := b.Now(); {
	case now.Before(first):
		return out, nil
	case now.Before(next):
		out.Days = now.Day()
	default:
		out.Days = next.AddDate(0, 0, -1).Day()
	}
	out.Until = first.AddDate(0, 0, out.Days-1)

	q, err := b.compile(ctx, kpiScope(scope, &k), kpiQuery(&k, first, next))
	if err != nil {
		return nil, err
	}
	r, err := b.run(ctx, q)
	if err != nil {
		return nil, err
	}
	out.AsOf = q.asOf()
	months := map[string]*kpiMonth{}
	for a := range r.fold.all() {
		records := q.cellAt(a, 1, false).Decimal().IntPart()
		if records == 0 {
			continue // without the value it is no record of the KPI
		}
		tenant := q.cellAt(a, 0, false).Str()
		m := months[tenant]
		if m == nil {
			m = &kpiMonth{days: make([]kpiDay, out.Days)}
			months[tenant] = m
		}
		// A record may be of a later day than today: its tenant uses the KPI,
		// and the day is not there yet.
		if day := int((a.from - first.UnixMicro()) / (24 * time.Hour).Microseconds()); day < out.Days {
			m.days[day] = kpiDay{records: records, value: k.Factor.Decimal().Mul(dayValue(&k, records, q.cellAt(a, 2, false)))}
		}
	}
	out.Consumers = make([]KPIConsumer, 0, len(months))
	for tenant, m := range months {
		out.Consumers = append(out.Consumers, m.consumer(&k, tenant))
	}
	slices.SortFunc(out.Consumers, func(a, b KPIConsumer) int { return strings.Compare(a.Tenant, b.Tenant) })
	return out, nil
}

// kpiScope narrows a scope to the records of a KPI, as far as dimensions decide.
func kpiScope(s Scope, k *rules.KPI) Scope {
	s = s.With(providerDimension, k.Provider).With(applicationDimension, k.Application)
	if len(k.Units) > 0 {
		s = s.WithAny(unitDimension, k.Units...)
	}
	return s
}

// kpiQuery asks for the days of a KPI: tenant, number of records, daily figure.
func kpiQuery(k *rules.KPI, from, to time.Time) Query {
	text := "meter eq " + filter.String(k.Meter).Literal()
	if k.Filter != "" {
		text += " and (" + k.Filter + ")"
	}
	daily := Measure{Name: "daily", Of: valuesPrefix + k.Value}
	switch k.Daily {
	case rules.Max:
		daily.Aggregation = Max
	case rules.Min:
		daily.Aggregation = Min
	case rules.Last:
		daily.Aggregation = Last
	case rules.Sum, rules.Avg, rules.Count: // an average is divided here: Options.AvgPlaces is not the KPI's
		daily.Aggregation = Sum
	}
	return Query{From: from, To: to, Filter: text, GroupBy: []string{"tenant"}, Window: aggregate.Window{Unit: aggregate.Day},
		Measures: []Measure{{Name: "records", Aggregation: Count, Of: daily.Of}, daily}}
}

func dayValue(k *rules.KPI, records int64, figure filter.Value) decimal.Decimal {
	switch k.Daily {
	case rules.Avg:
		return aggregate.Average(figure.Decimal(), records, aggregate.DefaultPlaces)
	case rules.Count:
		return decimal.NewFromInt(records)
	}
	return figure.Decimal()
}

// kpiMonth has the days of a tenant from the 1st on.
type kpiMonth struct {
	days []kpiDay
}

type kpiDay struct {
	records int64
	value   decimal.Decimal
}

func (m *kpiMonth) consumer(k *rules.KPI, tenant string) KPIConsumer {
	c := KPIConsumer{Tenant: tenant}
	var sum, least, greatest, day decimal.Decimal
	for i, d := range m.days {
		switch {
		case d.records > 0:
			c.Records += d.records
			c.Days++
			day = d.value
		case k.PreFill == rules.FillZero:
			day = decimal.Decimal{}
		}
		sum = sum.Add(day)
		if i == 0 || day.LessThan(least) {
			least = day
		}
		if i == 0 || day.GreaterThan(greatest) {
			greatest = day
		}
	}
	switch k.Monthly {
	case rules.Sum:
		c.Value = sum
	case rules.Max:
		c.Value = greatest
	case rules.Min:
		c.Value = least
	case rules.Avg:
		c.Value = aggregate.Average(sum, int64(len(m.days)), aggregate.DefaultPlaces)
	case rules.Last:
		c.Value = day
	case rules.Count:
		c.Value = decimal.NewFromInt(int64(len(m.days)))
	}
	return c
}

// newKPIs checks definitions against the catalogue: what would fail, or select
// nothing, when it is asked for fails here.
func (b *Book) newKPIs(list []rules.KPI) (*rules.KPISet, error) {
	set, err := rules.NewKPIs(list, b.fields)
	if err != nil {
		return nil, err
	}
	var faults []error
	for i, k := range set.KPIs() {
		scope := kpiScope(AllTenants(), &k)
		q := &query{book: b, scope: scope, src: kpiQuery(&k, minTime, maxTime)}
		for _, step := range []func() error{q.compileRange, q.compileFilter, q.compileGroups, q.compileMeasures, q.compileNames} {
			if err = step(); err != nil {
				break
			}
		}
		if m := b.catalogue.byName[k.Meter]; err == nil && m != nil && m.Closed {
			for _, r := range scope.Requirements() {
				if !m.declares(b.fields.dimension(r.Dimension)) {
					err = fmt.Errorf("the meter %s is closed and does not declare the dimension %s", quoted(k.Meter), r.Dimension)
				}
			}
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("KPI %d (%s): %w", i, k.Name, err))
		}
	}
	return set, errors.Join(faults...)
}
