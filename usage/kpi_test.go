package usage_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/rules"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

var assetCount = rules.KPI{Provider: "demo", Application: "assetmonitor", ApplicationDisplayName: "Asset Monitor",
	Name: "asset-count", DisplayName: "asset count", Units: []string{"asset"}, Daily: rules.Max}

func assetUse(id, tenant, start, quantity string) usage.Record {
	at, err := time.Parse(time.RFC3339, start)
	if err != nil {
		panic(err)
	}
	return usage.Record{Tenant: tenant, Source: "uts", ID: id, Meter: "app-usage", Start: at, Values: usage.Quantity(decimal.RequireFromString(quantity)),
		Dimensions: usage.DimensionsOf(map[string]string{"provider": "demo", "application": "assetmonitor", "alias": "assetmonitor", "unit": "asset"})}
}

// january20 is the clock of the worked examples.
var january20 = time.Date(2026, 1, 20, 12, 0, 0, 0, time.UTC)

func kpiBook(t testing.TB, now *time.Time, kpis ...rules.KPI) *usage.Book {
	t.Helper()
	book, err := usage.New(memstore.New(nil), &usage.Options{KPIs: kpis, Now: func() time.Time { return *now }})
	require.NoError(t, err)
	return book
}

// figures writes consumers as text.
func figures(r *usage.KPIResult) []string {
	out := make([]string, 0, len(r.Consumers))
	for _, c := range r.Consumers {
		out = append(out, fmt.Sprintf("%s %s of %d records on %d days", c.Tenant, c.Value, c.Records, c.Days))
	}
	return out
}

// TestKPIWorkedExamples are 5.2 and 5.3 of the contract's mapping: the fifth
// usage of 5.1 broke a rule and is not booked.
func TestKPIWorkedExamples(t *testing.T) {
	t.Parallel()
	now := january20
	book := kpiBook(t, &now, assetCount)
	mustAppend(t, book,
		assetUse("job/0", "acme", "2026-01-05T08:00:00Z", "10"),
		assetUse("job/1", "acme", "2026-01-06T00:30:00+01:00", "12"),
		assetUse("job/2", "acme", "2026-01-06T08:00:00Z", "8"),
		assetUse("job/4", "globex", "2026-01-06T10:00:00Z", "2.5"))

	consumer, err := book.KPI(t.Context(), usage.ForTenant("acme").With("provider", "demo"), assetCount.Key(), 2026, time.January)
	require.NoError(t, err)
	require.Equal(t, []string{"acme 20 of 3 records on 2 days"}, figures(consumer))
	require.Equal(t, "2026-01-20", consumer.Until.Format(time.DateOnly))
	require.Equal(t, 20, consumer.Days)
	require.Equal(t, 2026, consumer.Year)
	require.Equal(t, time.January, consumer.Month)
	require.Equal(t, usage.AsOf{Sequence: 4}, consumer.AsOf)
	require.Equal(t, "Asset Monitor MAX SUM ZERO app-usage", strings.Join([]string{consumer.Definition.ApplicationDisplayName,
		consumer.Definition.Daily.String(), consumer.Definition.Monthly.String(), consumer.Definition.PreFill.String(), consumer.Definition.Meter}, " "))

	provider, err := book.KPI(t.Context(), usage.AllTenants().With("provider", "demo"), assetCount.Key(), 2026, time.January)
	require.NoError(t, err)
	require.Equal(t, []string{"acme 20 of 3 records on 2 days", "globex 2.5 of 1 records on 1 days"}, figures(provider))

	// Corrections are respected.
	_, err = book.Void(t.Context(), usage.Identity{Tenant: "acme", Source: "uts", ID: "job/1"}, "desk", "v")
	require.NoError(t, err)
	_, err = book.Void(t.Context(), usage.Identity{Tenant: "globex", Source: "uts", ID: "job/4"}, "desk", "v")
	require.NoError(t, err)
	provider, err = book.KPI(t.Context(), usage.AllTenants(), assetCount.Key(), 2026, time.January)
	require.NoError(t, err)
	require.Equal(t, []string{"acme 18 of 2 records on 2 days"}, figures(provider))
}

func TestKPIFunctions(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 6, 23, 0, 0, 0, time.UTC)
	uses := []usage.Record{
		assetUse("1", "acme", "2026-01-02T23:59:59.999999Z", "1"),
		assetUse("2", "acme", "2026-01-02T00:00:00Z", "4"),
		assetUse("3", "acme", "2026-01-02T10:00:00Z", "-3"),
		assetUse("4", "acme", "2026-01-04T10:00:00Z", "10"),
		assetUse("5", "acme", "2026-01-04T10:00:00Z", "9"), // the same instant: the id decides
		assetUse("6", "acme", "2025-12-31T23:59:59Z", "1000"),
		assetUse("7", "acme", "2026-02-01T00:00:00Z", "1000"),
		assetUse("8", "acme", "2026-01-07T00:00:00Z", "1000"), // after today
		assetUse("9", "later", "2026-01-31T00:00:00Z", "7"),
	}
	third := "0.666666666666666667"
	for _, c := range []struct {
		daily, monthly rules.Function
		fill           rules.PreFill
		want           string
	}{
		{rules.Sum, rules.Sum, rules.FillZero, "21"},
		{rules.Sum, rules.Sum, rules.FillPrevious, "61"}, // 0 2 2 19 19 19
		{rules.Sum, rules.Max, rules.FillZero, "19"},
		{rules.Sum, rules.Min, rules.FillZero, "0"},
		{rules.Sum, rules.Avg, rules.FillZero, "3.5"},
		{rules.Sum, rules.Last, rules.FillZero, "0"},
		{rules.Sum, rules.Last, rules.FillPrevious, "19"},
		{rules.Sum, rules.Count, rules.FillZero, "6"},
		{rules.Max, rules.Sum, rules.FillZero, "14"},
		{rules.Min, rules.Sum, rules.FillZero, "6"}, // -3 + 9
		{rules.Min, rules.Min, rules.FillPrevious, "-3"},
		{rules.Min, rules.Max, rules.FillPrevious, "9"},
		{rules.Avg, rules.Sum, rules.FillZero, decimal.RequireFromString(third).Add(decimal.RequireFromString("9.5")).String()},
		{rules.Last, rules.Sum, rules.FillZero, "10"}, // 1 + 9
		{rules.Count, rules.Sum, rules.FillZero, "5"},
		{rules.Count, rules.Avg, rules.FillPrevious, "2"}, // 0 3 3 2 2 2
	} {
		k := assetCount
		k.Daily, k.Monthly, k.PreFill = c.daily, c.monthly, c.fill
		book := kpiBook(t, &now, k)
		mustAppend(t, book, uses...)
		got, err := book.KPI(t.Context(), usage.AllTenants(), k.Key(), 2026, time.January)
		require.NoError(t, err)
		// Nothing of the second has come yet, but it is there.
		later := "0"
		if c.monthly == rules.Count {
			later = "6"
		}
		require.Equal(t, []string{"acme " + c.want + " of 5 records on 2 days", "later " + later + " of 0 records on 0 days"}, figures(got), "%s %s %s", c.daily, c.monthly, c.fill)

		december, err := book.KPI(t.Context(), usage.AllTenants(), k.Key(), 2025, time.December)
		require.NoError(t, err)
		require.Equal(t, "2025-12-31", december.Until.Format(time.DateOnly))
		require.Equal(t, 31, december.Days)
		require.Len(t, december.Consumers, 1)
		november, err := book.KPI(t.Context(), usage.AllTenants(), k.Key(), 2025, time.November)
		require.NoError(t, err)
		require.Empty(t, november.Consumers)
		require.Equal(t, 30, november.Days)
		february, err := book.KPI(t.Context(), usage.AllTenants(), k.Key(), 2026, time.February)
		require.NoError(t, err)
		require.Empty(t, february.Consumers, "a month in the future has no days, whatever is booked")
		require.True(t, february.Until.IsZero())
		require.Zero(t, february.Days)
	}
}

// TestKPIScope: neither the filter of a KPI nor the scope of the caller leaves
// the provider and application of the KPI, and the caller's narrows it further.
func TestKPIScope(t *testing.T) {
	t.Parallel()
	now := january20
	k := assetCount
	k.Filter = "resource eq 'plant-1' or provider eq 'other' or meter eq 'other' or true"
	k.Daily, k.Units = rules.Sum, []string{"asset", "site"}
	book := kpiBook(t, &now, k)
	with := func(id, tenant, quantity, name, value string) usage.Record {
		r := assetUse(id, tenant, "2026-01-05T08:00:00Z", quantity)
		r.Dimensions = r.Dimensions.With(name, value)
		return r
	}
	other := with("3", "acme", "100", "unit", "asset")
	other.Meter = "other"
	silent := with("7", "silent", "100", "unit", "asset")
	silent.Values = usage.ValuesOf(map[string]decimal.Decimal{"cost": decimal.NewFromInt(1)})
	bare := assetUse("8", "acme", "2026-01-05T08:00:00Z", "100")
	bare.Dimensions = usage.DimensionsOf(map[string]string{"provider": "demo", "application": "assetmonitor"})
	mustAppend(t, book, with("1", "acme", "1", "unit", "site"), with("2", "acme", "100", "provider", "other"), other,
		with("4", "acme", "100", "application", "other"), with("5", "acme", "100", "unit", "hour"), with("6", "globex", "3", "userId", "u1"), silent, bare)

	get := func(scope usage.Scope) []string {
		r, err := book.KPI(t.Context(), scope, k.Key(), 2026, time.January)
		require.NoError(t, err)
		return figures(r)
	}
	require.Equal(t, []string{"acme 1 of 1 records on 1 days", "globex 3 of 1 records on 1 days"}, get(usage.AllTenants()))
	require.Equal(t, []string{"globex 3 of 1 records on 1 days"}, get(usage.ForTenants("globex", "nobody")))
	require.Equal(t, []string{"globex 3 of 1 records on 1 days"}, get(usage.AllTenants().With("userId", "u1")))
	require.Empty(t, get(usage.AllTenants().With("provider", "other")))
	require.Empty(t, get(usage.AllTenants().WithAny("unit", "hour")))

	for scope, want := range map[*usage.Scope]error{{}: usage.ErrScope} {
		_, err := book.KPI(t.Context(), *scope, k.Key(), 2026, time.January)
		require.ErrorIs(t, err, want)
	}
	for _, key := range []rules.KPIKey{{}, {Provider: "demo", Application: "assetmonitor", Name: "Asset-Count"}, {Provider: "other", Application: "assetmonitor", Name: "asset-count"}} {
		_, err := book.KPI(t.Context(), usage.AllTenants(), key, 2026, time.January)
		require.ErrorIs(t, err, usage.ErrNotFound)
	}
	for _, m := range []struct {
		year  int
		month time.Month
	}{{2026, 0}, {2026, 13}, {0, 1}, {10000, 1}, {-5, 1}} {
		_, err := book.KPI(t.Context(), usage.AllTenants(), k.Key(), m.year, m.month)
		require.ErrorIs(t, err, usage.ErrInvalid)
	}
	now = time.Date(9999, 12, 31, 23, 0, 0, 0, time.UTC)
	for _, month := range []time.Month{11, 12} {
		r, err := book.KPI(t.Context(), usage.AllTenants(), k.Key(), 9999, month)
		require.NoError(t, err)
		require.Empty(t, r.Consumers)
	}
}

// TestKPIFaultsShowAtStart: New names every definition that could not be worked
// out.
func TestKPIFaultsShowAtStart(t *testing.T) {
	t.Parallel()
	meters := []usage.Meter{
		{Name: "closed", Closed: true, Values: []usage.MeterValue{{Name: "quantity"}}, Dimensions: []usage.MeterDimension{{Name: "provider"}, {Name: "application"}}},
		{Name: "present", Aliases: []string{"former"}, Values: []usage.MeterValue{{Name: "cost"}}},
	}
	with := func(change func(k *rules.KPI)) rules.KPI {
		k := rules.KPI{Provider: "p", Application: "a", Name: "k"}
		change(&k)
		return k
	}
	for name, c := range map[string]struct {
		kpi  rules.KPI
		want string
	}{
		"no name":              {with(func(k *rules.KPI) { k.Name = "" }), "KPI 0: name: is required"},
		"type":                 {with(func(k *rules.KPI) { k.Filter = "cost eq 'a'" }), "KPI 0 (k): filter: at byte"},
		"syntax out of itself": {with(func(k *rules.KPI) { k.Filter = "true) or (true" }), "KPI 0 (k): filter: at byte"},
		"too long":             {with(func(k *rules.KPI) { k.Filter = "a eq '" + strings.Repeat("x", 8<<10-7) + "'" }), "KPI 0 (k): invalid query"},
		"former meter":         {with(func(k *rules.KPI) { k.Meter = "former" }), "KPI 0 (k): invalid query"},
		"closed, value":        {with(func(k *rules.KPI) { k.Meter, k.Value = "closed", "cost" }), "KPI 0 (k): invalid query"},
		"closed, filter":       {with(func(k *rules.KPI) { k.Meter, k.Filter = "closed", "region eq 'eu'" }), "KPI 0 (k): invalid query"},
		"closed, unit":         {with(func(k *rules.KPI) { k.Meter, k.Units = "closed", []string{"GB"} }), "KPI 0 (k): the meter \"closed\" is closed and does not declare the dimension unit"},
	} {
		_, err := usage.New(memstore.New(nil), &usage.Options{Meters: meters, KPIs: []rules.KPI{c.kpi}})
		require.ErrorIs(t, err, usage.ErrInvalid, name)
		require.ErrorContains(t, err, c.want, name)
	}
	_, err := usage.New(memstore.New(nil), &usage.Options{Meters: meters, KPIs: []rules.KPI{
		with(func(k *rules.KPI) { k.Meter = "closed" }), with(func(k *rules.KPI) { k.Meter, k.Name, k.Filter = "it's", "l", "cost gt 5 and billable" }),
	}})
	require.NoError(t, err)
	_, err = usage.New(memstore.New(nil), &usage.Options{KPIs: []rules.KPI{assetCount, assetCount}})
	require.ErrorContains(t, err, "KPI 1 (asset-count): name: KPI 0 has the same")
}

// naiveKPI is the figure worked out from a plain list of what counts.
func naiveKPI(k *rules.KPI, records []usage.Record, year int, month time.Month, now time.Time) []string {
	rat := func(d decimal.Decimal) *big.Rat { return d.Rat() }
	// rounded to 18 places, half away from zero
	rounded := func(r *big.Rat) *big.Rat {
		places := new(big.Int).Exp(big.NewInt(10), big.NewInt(18), nil)
		n := new(big.Int).Mul(new(big.Int).Abs(r.Num()), places)
		n.Mul(n, big.NewInt(2)).Add(n, r.Denom()).Div(n, new(big.Int).Mul(r.Denom(), big.NewInt(2)))
		if r.Sign() < 0 {
			n.Neg(n)
		}
		return new(big.Rat).SetFrac(n, places)
	}
	apply := func(f rules.Function, list []*big.Rat) *big.Rat {
		sum := new(big.Rat)
		least, greatest := list[0], list[0]
		for _, r := range list {
			sum.Add(sum, r)
			if r.Cmp(least) < 0 {
				least = r
			}
			if r.Cmp(greatest) > 0 {
				greatest = r
			}
		}
		n := big.NewRat(int64(len(list)), 1)
		return map[rules.Function]*big.Rat{rules.Sum: sum, rules.Max: greatest, rules.Min: least,
			rules.Avg: rounded(new(big.Rat).Quo(sum, n)), rules.Last: list[len(list)-1], rules.Count: n}[f]
	}
	byTenant := map[string][]usage.Record{}
	for _, r := range records {
		p, _ := r.Dimensions.Get("provider")
		a, _ := r.Dimensions.Get("application")
		u, hasUnit := r.Dimensions.Get("unit")
		res, hasRes := r.Dimensions.Get("resource")
		_, hasValue := r.Values.Get("quantity")
		at := r.Start.UTC()
		if r.Meter != "app-usage" || p != k.Provider || a != k.Application || !hasValue || at.Year() != year || at.Month() != month ||
			k.Units != nil && (!hasUnit || !slices.Contains(k.Units, u)) || k.Filter != "" && hasRes && res == "plant-1" {
			continue
		}
		byTenant[r.Tenant] = append(byTenant[r.Tenant], r)
	}
	var tenants []string
	for tenant := range byTenant {
		tenants = append(tenants, tenant)
	}
	slices.Sort(tenants)
	var out []string
	for _, tenant := range tenants {
		uses := byTenant[tenant]
		slices.SortFunc(uses, func(a, b usage.Record) int {
			if c := a.Start.Compare(b.Start); c != 0 {
				return c
			}
			return strings.Compare(a.Source+"\x00"+a.ID, b.Source+"\x00"+b.ID)
		})
		var days []*big.Rat
		counted, used := 0, 0
		for day := time.Date(year, month, 1, 0, 0, 0, 0, time.UTC); day.Month() == month && !day.After(now); day = day.AddDate(0, 0, 1) {
			var list []*big.Rat
			for _, r := range uses {
				if at := r.Start.UTC(); at.Day() == day.Day() {
					q, _ := r.Values.Get("quantity")
					list = append(list, rat(q))
				}
			}
			value := new(big.Rat)
			switch {
			case len(list) > 0:
				value = new(big.Rat).Mul(apply(k.Daily, list), rat(k.Factor.Decimal()))
				counted += len(list)
				used++
			case k.PreFill == rules.FillPrevious && len(days) > 0:
				value = days[len(days)-1]
			}
			days = append(days, value)
		}
		if len(days) == 0 {
			return nil // a month in the future
		}
		figure := apply(k.Monthly, days).FloatString(60)
		if strings.Contains(figure, ".") {
			figure = strings.TrimRight(strings.TrimRight(figure, "0"), ".")
		}
		if figure == "-0" {
			figure = "0"
		}
		out = append(out, fmt.Sprintf("%s %s of %d records on %d days", tenant, figure, counted, used))
	}
	return out
}

// TestKPIAgainstNaive holds KPIs of every kind over random records, corrected
// and rolled up here and there, equal to a naive computation.
func TestKPIAgainstNaive(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 5))
			var kpis []rules.KPI
			for _, daily := range []rules.Function{rules.Sum, rules.Max, rules.Min, rules.Avg, rules.Last, rules.Count} {
				for _, monthly := range []rules.Function{rules.Sum, rules.Max, rules.Min, rules.Avg, rules.Last, rules.Count} {
					k := rules.KPI{Provider: pick(rng, "demo", "demo", "other"), Application: pick(rng, "app", "app", "tool"), Name: fmt.Sprint(daily, "-", monthly),
						Daily: daily, Monthly: monthly, PreFill: pick(rng, rules.FillZero, rules.FillPrevious),
						Factor: pick(rng, aggregate.Number{}, aggregate.Fixed(1, 3), aggregate.Int(-60), aggregate.Fixed(333333333, 9))}
					if rng.IntN(2) == 0 {
						k.Units = pick(rng, []string{"asset"}, []string{"asset", "site"}, []string{""})
					}
					if rng.IntN(2) == 0 {
						k.Filter = "resource ne 'plant-1'"
					}
					kpis = append(kpis, k)
				}
			}
			now := time.Date(2026, 2, 11, 7, 0, 0, 0, time.UTC)
			book := kpiBook(t, &now, kpis...)
			var live []usage.Record
			use := func(id string) usage.Record {
				r := usage.Record{Tenant: pick(rng, "acme", "acme", "globex", "initech"), Source: pick(rng, "s", "t"), ID: id, Meter: pick(rng, "app-usage", "app-usage", "app-usage", "other"),
					Start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rng.IntN(59*24*4)-24) * 15 * time.Minute)}
				if rng.IntN(3) == 0 { // dense days, which rollups are kept of
					r.Start = time.Date(2026, pick(rng, time.January, time.February), pick(rng, 1, 9, 11), 0, rng.IntN(24*60), 0, 0, time.UTC)
				}
				values := map[string]decimal.Decimal{"quantity": decimal.New(rng.Int64N(20_000)-5000, -int32(rng.IntN(5)))}
				if rng.IntN(9) == 0 {
					values = map[string]decimal.Decimal{"cost": decimal.NewFromInt(5)}
				}
				r.Values = usage.ValuesOf(values)
				dims := map[string]string{"provider": pick(rng, "demo", "demo", "demo", "other"), "application": pick(rng, "app", "app", "tool")}
				if rng.IntN(5) > 0 {
					dims["unit"] = pick(rng, "asset", "asset", "site", "hour", "")
				}
				if rng.IntN(3) > 0 {
					dims["resource"] = pick(rng, "plant-1", "plant-2")
				}
				r.Dimensions = usage.DimensionsOf(dims)
				return r
			}
			check := func() {
				t.Helper()
				for i := range kpis {
					k := kpis[i]
					if k.Factor.IsZero() {
						k.Factor = aggregate.Int(1)
					}
					for _, month := range []time.Month{1, 2, 3} {
						r, err := book.KPI(t.Context(), usage.AllTenants(), k.Key(), 2026, month)
						require.NoError(t, err)
						want := naiveKPI(&k, live, 2026, month, now)
						require.Equal(t, append([]string{}, want...), figures(r), "%+v in month %d", k, month)
					}
					tenant := pick(rng, "acme", "globex", "nobody")
					r, err := book.KPI(t.Context(), usage.ForTenant(tenant), k.Key(), 2026, time.January)
					require.NoError(t, err)
					var own []usage.Record
					for _, x := range live {
						if x.Tenant == tenant {
							own = append(own, x)
						}
					}
					require.Equal(t, append([]string{}, naiveKPI(&k, own, 2026, time.January, now)...), figures(r))
				}
			}
			for round := range 3 {
				for i := range 300 {
					r := use(fmt.Sprint(round, "-", i))
					mustAppend(t, book, r)
					live = append(live, r)
				}
				for i := range 25 {
					at := rng.IntN(len(live))
					target := live[at].Identity()
					live = slices.Delete(live, at, at+1)
					if i%2 == 0 {
						_, err := book.Void(t.Context(), target, "desk", fmt.Sprint("v", round, "-", i))
						require.NoError(t, err)
						continue
					}
					with := use(fmt.Sprint("r", round, "-", i))
					with.Tenant = target.Tenant
					_, err := book.Replace(t.Context(), target, with)
					require.NoError(t, err)
					live = append(live, with)
				}
				if round == 1 {
					rollAll(t, book)
				}
				check()
			}
		})
	}
}
