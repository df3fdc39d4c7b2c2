package uts_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/rules"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/usagetest"
)

const root = "/api/usagetransparency/v3"

type object map[string]any

func ask(h http.Handler, method, target, token, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, root+target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// decode reads an answer, numbers as their digits.
func decode(t testing.TB, w *httptest.ResponseRecorder, into any) {
	t.Helper()
	require.Equal(t, 200, w.Code, w.Body)
	d := json.NewDecoder(w.Body)
	d.UseNumber()
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(into))
}

// use is one usage as the model knows it.
type use struct {
	tenant, user, userType, application, alias, resource, unit string
	at                                                         time.Time
	value                                                      decimal.Decimal
	codes                                                      []string // of what rules say against it
}

func (u *use) booked() bool { return len(u.codes) == 0 }

const modelRules = `[
	{"name":"limit","application":"assetmonitor","unit":"asset","min":"-10","max":"1000"},
	{"name":"people","application":"people","userTypes":["user","agent"]},
	{"name":"no plants","unit":"hour","dimensions":{"resource":"plant"},"tenants":["globex"],"scale":1}
]`

// judge says what the rules above say.
func (u *use) judge() {
	if u.application == "assetmonitor" && u.unit == "asset" {
		if u.value.LessThan(decimal.NewFromInt(-10)) {
			u.codes = append(u.codes, "min")
		}
		if u.value.GreaterThan(decimal.NewFromInt(1000)) {
			u.codes = append(u.codes, "max")
		}
	}
	if u.application == "people" && u.userType == "tenant" {
		u.codes = append(u.codes, "user_types")
	}
	if u.unit == "hour" && u.resource == "plant" {
		if u.tenant != "globex" {
			u.codes = append(u.codes, "tenants")
		}
		if !u.value.Equal(u.value.Truncate(1)) {
			u.codes = append(u.codes, "scale")
		}
	}
}

// maker makes requests and what they mean.
type maker struct{ *rand.Rand }

func (m maker) one(list ...string) string { return list[m.IntN(len(list))] }

// number returns a number, and one of the ways to write it.
func (m maker) number(whole bool) (decimal.Decimal, json.Number) {
	places := int32(m.IntN(4))
	if whole {
		places = 0
	}
	d := decimal.New(m.Int64N(1_500_000)-30_000, -3).Truncate(places)
	switch m.IntN(4) {
	case 0:
		return d, json.Number(d.Shift(-2).String() + "e2")
	case 1:
		return d, json.Number(d.Shift(3).StringFixed(0) + "E-03")
	case 2:
		return d, json.Number(d.StringFixed(5))
	}
	return d, json.Number(d.String())
}

// instant returns an instant of January or February 2026, and one of the ways to
// write it.
func (m maker) instant() (time.Time, string) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(m.Int64N(int64(45 * 24 * time.Hour)))).Truncate(time.Microsecond)
	if m.IntN(2) == 0 {
		at = at.Truncate(time.Second)
	}
	zone := time.FixedZone("", (m.IntN(27)-13)*1800)
	return at, m.one(at.Format("2006-01-02T15:04:05.999999Z"), at.Format("2006-01-02T15:04:05.999999"), at.In(zone).Format("2006-01-02T15:04:05.000000-07:00"),
		// What is finer than a microsecond is cut off.
		at.In(zone).Format("2006-01-02T15:04:05.000000")+"999"+at.In(zone).Format("-0700"))
}

func (m maker) job() (body object, uses []use) {
	var users []object
	for range 1 + m.IntN(3) {
		u := use{tenant: m.one("acme", "globex", "initech"), userType: "user", user: m.one("", "u1", "u2")}
		user := object{"tenantId": u.tenant}
		if u.user != "" || m.IntN(2) == 0 {
			user["userId"] = u.user
		}
		if m.IntN(2) == 0 {
			u.userType = m.one("user", "tenant", "agent")
			user["userType"] = u.userType
		}
		if u.user == "" {
			u.user, u.userType = u.tenant, "tenant"
		}
		var resources []object
		for range 1 + m.IntN(3) {
			u.application, u.alias, u.resource = m.one("assetmonitor", "Assetmonitor", "people"), m.one("am", "pp"), m.one("plant", "house")
			resource := object{"application": u.application, "alias": u.alias, "resource": u.resource}
			switch m.IntN(3) {
			case 0:
				u.alias = u.application
				delete(resource, "alias")
			case 1:
				u.application = u.alias
				resource["application"] = nil
			}
			var usages []object
			for range 1 + m.IntN(5) {
				v := u
				usage := object{"unit": m.one("asset", "hour")}
				v.unit = usage["unit"].(string)
				v.value, usage["value"] = pair(m.number(false))
				v.at, usage["datetime"] = m.instant()
				v.judge()
				usages, uses = append(usages, usage), append(uses, v)
			}
			resource["usages"] = usages
			resources = append(resources, resource)
		}
		user["resources"] = resources
		users = append(users, user)
	}
	return object{"users": users}, uses
}

func pair[A, B any](a A, b B) (A, any) { return a, b }

func (m maker) customer() (body object, uses []use) {
	u := use{tenant: m.one("acme", "globex"), user: m.one("u1", "u2"), userType: "user"}
	var data []object
	for range 1 + m.IntN(3) {
		u.application = m.one("assetmonitor", "people")
		u.alias, u.resource = u.application, m.one("", "plant")
		entry := object{"resourceAlias": u.application}
		if u.resource != "" {
			entry["resourceName"] = u.resource
		}
		var usages []object
		for range 1 + m.IntN(5) {
			v := u
			usage := object{"usageUnit": m.one("asset", "hour")}
			v.unit = usage["usageUnit"].(string)
			v.value, usage["usage"] = pair(m.number(true))
			v.at, usage["usageDate"] = m.instant()
			v.judge()
			usages, uses = append(usages, usage), append(uses, v)
		}
		entry["UsageData"] = usages
		data = append(data, entry)
	}
	return object{"CustomerTenantID": u.tenant, "CustomerUserID": u.user, "UTSUsageData": data}, uses
}

// sent is a job as the model knows it.
type sent struct {
	id   string
	time time.Time
	uses []use
}

type jobAnswer struct {
	ID          string    `json:"id"`
	Time        time.Time `json:"time"`
	Status      string    `json:"status"`
	UsagesCount int       `json:"usagesCount"`
}

type pageAnswer struct {
	Number, Size, TotalElements, TotalPages int
}

// statusOf is the status and number of the usages of a job that match.
func (s *sent) statusOf(worked bool, match func(*use) bool) (string, int) {
	n, failed := 0, false
	for i := range s.uses {
		if match(&s.uses[i]) {
			n++
			failed = failed || !s.uses[i].booked()
		}
	}
	switch {
	case !worked:
		return "ACCEPTED", n
	case failed:
		return "ERRORS", n
	}
	return "COMPLETED", n
}

var modelKPIs = []rules.KPI{
	{Provider: "demo", Application: "assetmonitor", Name: "sum", Units: []string{"asset"}},
	{Provider: "demo", Application: "assetmonitor", Name: "max", Daily: rules.Max, PreFill: rules.FillPrevious},
	{Provider: "demo", Application: "people", Name: "least", Daily: rules.Min, Monthly: rules.Max, Filter: "userType ne 'agent'"},
	{Provider: "demo", Application: "people", Name: "mean", Daily: rules.Avg, Monthly: rules.Avg},
	{Provider: "demo", Application: "people", Name: "last", Daily: rules.Last, Monthly: rules.Last},
	{Provider: "demo", Application: "people", Name: "number", Daily: rules.Count, Monthly: rules.Min},
}

// figure works a KPI out for the days from the 1st on; ok is false without any
// record in the month.
func figure(k *rules.KPI, records []use, tenant string, month time.Month, days int) (value decimal.Decimal, ok bool) {
	if days == 0 {
		return decimal.Zero, false // the month is to come
	}
	byDay := make([][]use, 32)
	for _, r := range records {
		if r.tenant == tenant && r.at.Month() == month && r.application == k.Application && (len(k.Units) == 0 || slices.Contains(k.Units, r.unit)) &&
			(k.Filter == "" || r.userType != "agent") {
			ok = true
			byDay[r.at.Day()] = append(byDay[r.at.Day()], r)
		}
	}
	fold := func(f rules.Function, list []decimal.Decimal) decimal.Decimal {
		sum := decimal.Zero
		for _, d := range list {
			sum = sum.Add(d)
		}
		switch f {
		case rules.Max:
			return slices.MaxFunc(list, decimal.Decimal.Cmp)
		case rules.Min:
			return slices.MinFunc(list, decimal.Decimal.Cmp)
		case rules.Avg:
			return sum.DivRound(decimal.NewFromInt(int64(len(list))), 18)
		case rules.Last:
			return list[len(list)-1]
		case rules.Count:
			return decimal.NewFromInt(int64(len(list)))
		}
		return sum
	}
	var values []decimal.Decimal
	last := decimal.Zero
	for day := 1; day <= days; day++ {
		if len(byDay[day]) == 0 {
			if k.PreFill == rules.FillZero {
				last = decimal.Zero
			}
			values = append(values, last)
			continue
		}
		slices.SortFunc(byDay[day], func(a, b use) int { return a.at.Compare(b.at) })
		var list []decimal.Decimal
		for _, r := range byDay[day] {
			list = append(list, r.value)
		}
		last = fold(k.Daily, list)
		values = append(values, last)
	}
	return fold(k.Monthly, values), ok
}

func TestAnswersAreThoseOfTheUsages(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			m := maker{rand.New(rand.NewPCG(seed, 5))}
			b, clock := usagetest.NewBook(t, &usage.Options{Meters: httpadapter.Meters(), Rules: parseRules(t, modelRules, false), KPIs: modelKPIs})
			clock.Set(time.Date(2026, 2, 10, 20, 0, 0, 123_000_000, time.UTC))
			h := newHandler(t, b, nil, httpadapter.Options{Limiter: httpadapter.Unlimited{}})

			var jobs []*sent
			for range 12 {
				clock.Advance(time.Duration(1+m.IntN(3_600_000)) * time.Millisecond)
				j := &sent{time: clock.Now()}
				var body object
				if m.IntN(3) > 0 {
					body, j.uses = m.job()
				} else {
					body, j.uses = m.customer()
				}
				text, err := json.Marshal(body)
				require.NoError(t, err)
				if body["users"] == nil {
					w := ask(h, "POST", "/usages", "demo-admin", string(text))
					require.Equal(t, 200, w.Code, w.Body)
					require.Equal(t, `""`, w.Body.String())
				} else {
					var got jobAnswer
					decode(t, ask(h, "POST", "/usagesJobs", "demo-admin", string(text)), &got)
					require.Equal(t, jobAnswer{got.ID, j.time.Truncate(time.Second), "ACCEPTED", len(j.uses)}, got)
				}
				jobs = append(jobs, j)
			}
			checkJobs(t, m, h, jobs, false)
			work(t, b)
			checkJobs(t, m, h, jobs, true)
			for _, j := range jobs {
				checkJob(t, m, h, j)
				checkRecords(t, b, j)
			}

			var records []use
			for _, j := range jobs {
				for _, u := range j.uses {
					if u.booked() {
						records = append(records, u)
					}
				}
			}
			// Other ways in, and back out: half of these are voided, and a KPI is of
			// exactly its application and provider.
			for i := range 20 {
				u := use{tenant: m.one("acme", "globex"), application: m.one("assetmonitor", "people"), unit: "asset", userType: "agent", value: decimal.New(int64(m.IntN(99)), -1)}
				u.at, _ = m.instant()
				r := usage.Record{Tenant: u.tenant, Source: "other", ID: fmt.Sprint(i), Meter: httpadapter.AppUsage, Start: u.at, Values: usage.Quantity(u.value),
					Dimensions: usage.Dimensions{}.With("provider", m.one("demo", "Demo")).With("application", u.application).With("unit", u.unit).With("userType", u.userType)}
				usagetest.Append(t, b, r)
				if p, _ := r.Dimensions.Get("provider"); i%2 == 0 {
					_, err := b.Void(t.Context(), r.Identity(), "other", fmt.Sprint("void ", i))
					require.NoError(t, err)
				} else if p == "demo" {
					records = append(records, u)
				}
			}
			if seed%2 == 0 {
				_, err := b.Roll(t.Context())
				require.NoError(t, err)
			}
			checkAggregates(t, m, h, records, clock.Now())
		})
	}
}

// checkJobs compares the list of jobs with the model, and learns the ids.
func checkJobs(t *testing.T, m maker, h http.Handler, jobs []*sent, worked bool) {
	t.Helper()
	byTime := map[int64]*sent{}
	for _, j := range jobs {
		byTime[j.time.Unix()] = j
	}
	for range 20 {
		day := jobs[m.IntN(len(jobs))].time.Format(time.DateOnly)
		tenant, application, unit := m.one("", "acme", "initech"), m.one("", "assetmonitor", "am"), m.one("", "asset", "hour")
		match := func(u *use) bool {
			return (tenant == "" || u.tenant == tenant) && (application == "" || u.application == application) && (unit == "" || u.unit == unit)
		}
		var want []jobAnswer
		for _, j := range slices.Backward(jobs) {
			if status, n := j.statusOf(worked, match); n > 0 && j.time.Format(time.DateOnly) == day {
				want = append(want, jobAnswer{j.id, j.time.Truncate(time.Second), status, n})
			}
		}
		size := 1 + m.IntN(5)
		var got []jobAnswer
		for page := 1; ; page++ {
			query := url.Values{"date": {day}, "tenant": {tenant}, "application": {application}, "unit": {unit}, "page": {fmt.Sprint(page)}, "size": {fmt.Sprint(size)}}
			var a struct {
				Jobs []jobAnswer
				Page pageAnswer
			}
			decode(t, ask(h, "GET", "/usagesJobs?"+query.Encode(), "demo-admin", ""), &a)
			require.Equal(t, pageAnswer{page, size, len(want), (len(want) + size - 1) / size}, a.Page)
			require.LessOrEqual(t, len(a.Jobs), size)
			if len(a.Jobs) == 0 {
				break
			}
			got = append(got, a.Jobs...)
		}
		for i := range got {
			j := byTime[got[i].Time.Unix()]
			require.NotNil(t, j)
			if j.id == "" {
				j.id = got[i].ID
				require.Regexp(t, "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-"+j.time.Format("20060102")+j.time.Format(".000")[1:]+"$", j.id)
				for k := range want {
					if want[k].Time.Equal(j.time.Truncate(time.Second)) {
						want[k].ID = j.id
					}
				}
			}
		}
		require.Equal(t, want, got)
	}
	// Every job is known from here on.
	for _, day := range []string{jobs[0].time.Format(time.DateOnly), jobs[len(jobs)-1].time.Format(time.DateOnly)} {
		var a struct {
			Jobs []jobAnswer
			Page pageAnswer
		}
		decode(t, ask(h, "GET", "/usagesJobs?size=1000&date="+day, "demo-admin", ""), &a)
		for _, g := range a.Jobs {
			byTime[g.Time.Unix()].id = g.ID
		}
	}
}

// checkJob compares a job's summary and errors with the model.
func checkJob(t *testing.T, m maker, h http.Handler, j *sent) {
	t.Helper()
	type line struct {
		Application, Unit string
		UsagesCount       int
		ProcessStatus     string
	}
	counts := map[line]int{}
	var failed []use
	for _, u := range j.uses {
		l := line{u.application, u.unit, 0, "AGGREGATED"}
		if !u.booked() {
			l.ProcessStatus = "VERIFICATIONFAILED"
			failed = append(failed, u)
		}
		counts[l]++
	}
	var want []line
	for l, n := range counts {
		l.UsagesCount = n
		want = append(want, l)
	}
	slices.SortFunc(want, func(a, b line) int {
		return cmp.Or(strings.Compare(a.Application, b.Application), strings.Compare(a.Unit, b.Unit), strings.Compare(a.ProcessStatus, b.ProcessStatus))
	})
	size := 1 + m.IntN(3)
	var got []line
	for page := 1; len(got) < len(want); page++ {
		var a struct {
			jobAnswer
			UsagesSummary []line
			Page          pageAnswer
		}
		decode(t, ask(h, "GET", fmt.Sprintf("/usagesJobs/%s?page=%d&size=%d", j.id, page, size), "demo-admin", ""), &a)
		status, n := j.statusOf(true, func(*use) bool { return true })
		require.Equal(t, jobAnswer{j.id, j.time.Truncate(time.Second), status, n}, a.jobAnswer)
		require.Equal(t, pageAnswer{page, size, len(want), (len(want) + size - 1) / size}, a.Page)
		require.NotEmpty(t, a.UsagesSummary)
		got = append(got, a.UsagesSummary...)
	}
	require.Equal(t, want, got)

	type jobError struct {
		Code, Message, Logref, ErrorType, Info string
		MessageParameters                      []object
		ErrorData                              []object
	}
	var errs []jobError
	for page := 1; ; page++ {
		var a struct {
			Errors []jobError
			Page   pageAnswer
		}
		decode(t, ask(h, "GET", fmt.Sprintf("/usagesJobs/%s/errors?page=%d&size=%d", j.id, page, size), "demo-admin", ""), &a)
		require.Equal(t, pageAnswer{page, size, len(failed), (len(failed) + size - 1) / size}, a.Page)
		if len(a.Errors) == 0 {
			break
		}
		errs = append(errs, a.Errors...)
	}
	require.Len(t, errs, len(failed))
	for i, e := range errs {
		u := &failed[i]
		require.Equal(t, "mdsp.demo."+u.application+"."+u.codes[0], e.Code)
		require.Equal(t, "ValidationError", e.ErrorType)
		require.Equal(t, len(u.codes), strings.Count(e.Message+" ", ". "), "a sentence for each: %s", e.Message)
		require.NotEmpty(t, e.MessageParameters)
		resource := object{"application": u.application, "alias": u.alias,
			"usages": []any{map[string]any{"value": json.Number(u.value.String()), "unit": u.unit, "datetime": u.at.Format(time.RFC3339Nano)}}}
		if u.resource != "" {
			resource["resource"] = u.resource
		}
		require.Equal(t, []object{{"tenantId": u.tenant, "userId": u.user, "userType": u.userType, "resources": []any{map[string]any(resource)}}}, e.ErrorData)
	}
}

// checkRecords compares what a job has booked with the model.
func checkRecords(t *testing.T, b *usage.Book, j *sent) {
	t.Helper()
	for i, u := range j.uses {
		ledger := usagetest.Booked(t, b, usage.AllTenants())
		id := fmt.Sprintf("%s/%d", j.id, i)
		if !u.booked() {
			ledger.HasNot(u.tenant, "uts", id)
			continue
		}
		got := ledger.Has(u.tenant, "uts", id)
		require.NotNil(t, got)
		want := map[string]string{"provider": "demo", "application": u.application, "alias": u.alias, "unit": u.unit, "userId": u.user, "userType": u.userType}
		if u.resource != "" {
			want["resource"] = u.resource
		}
		require.Equal(t, want, maps.Collect(got.Dimensions.All()))
		require.Equal(t, httpadapter.AppUsage, got.Meter)
		require.True(t, u.at.Equal(got.Start), "%s is not %s", got.Start, u.at)
		require.True(t, got.End.IsZero())
		q, _ := got.Values.Get("quantity")
		require.True(t, u.value.Equal(q), "%s is not %s", q, u.value)
	}
	usagetest.Booked(t, b, usage.AllTenants()).Where("startswith(id,'" + j.id + "/')").Count(len(slices.DeleteFunc(slices.Clone(j.uses), func(u use) bool { return !u.booked() })))
}

func checkAggregates(t *testing.T, m maker, h http.Handler, records []use, now time.Time) {
	t.Helper()
	type consumer struct {
		Consumer string
		Value    json.Number
	}
	for i := range modelKPIs {
		k := &modelKPIs[i]
		for _, month := range []time.Month{time.January, time.February, time.March} {
			days := map[time.Month]int{time.January: 31, time.February: now.Day(), time.March: 0}[month]
			var want []consumer
			for _, tenant := range []string{"acme", "globex", "initech"} {
				v, ok := figure(k, records, tenant, month, days)
				if ok {
					want = append(want, consumer{tenant, json.Number(v.String())})
				}
				token := map[string]string{"acme": "demo-acme", "globex": "demo-globex"}[tenant]
				if token == "" {
					continue
				}
				query := url.Values{"month": {month.String()}, "year": {"2026"}, "provider": {"demo"}, "application": {k.Application}, "KPIName": {k.Name}}
				w := ask(h, "GET", "/aggregatedMonthlyConsumerUsage?"+query.Encode(), token, "")
				if !ok {
					require.Equal(t, 204, w.Code, w.Body)
					require.Empty(t, w.Body.Bytes())
					continue
				}
				var got map[string]any
				decode(t, w, &got)
				require.Equal(t, tenant, got["consumer"])
				require.Equal(t, json.Number(v.String()), got["value"], "%s of %s in %s", k.Name, tenant, month)
				require.Equal(t, time.Date(2026, month, days, 0, 0, 0, 0, time.UTC).Format(time.DateOnly), got["aggregationUntilDate"])
			}
			size := 1 + m.IntN(3)
			var got []consumer
			for page := 0; ; page++ {
				query := url.Values{"month": {fmt.Sprint(int(month))}, "year": {"2026"}, "application": {k.Application}, "KPIName": {k.Name}, "page": {fmt.Sprint(page)}, "size": {fmt.Sprint(size)}}
				w := ask(h, "GET", "/aggregatedMonthlyProviderUsage?"+query.Encode(), "demo-admin", "")
				if len(want) == 0 {
					require.Equal(t, 204, w.Code, w.Body)
					break
				}
				require.Equal(t, 200, w.Code, w.Body)
				var a struct {
					AggregatedUsages []consumer
					Page             pageAnswer
				}
				require.NoError(t, json.Unmarshal(w.Body.Bytes(), &a))
				require.Equal(t, pageAnswer{page, size, len(want), (len(want) + size - 1) / size}, a.Page)
				if len(a.AggregatedUsages) == 0 {
					break
				}
				got = append(got, a.AggregatedUsages...)
			}
			require.Equal(t, want, got, "%s in %s", k.Name, month)
		}
	}
}
