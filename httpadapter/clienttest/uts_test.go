package clienttest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// errNoClient is the one reason for which a test may be skipped, outside CI.
var errNoClient = errors.New("the npm client or Node.js is not here; httpadapter/clienttest/install-client installs them")

var npmClient struct {
	once sync.Once
	err  error
}

// findClient returns an error unless the npm client is installed; it installs it where that is
// wanted.
func findClient() error {
	found := func() bool {
		_, err := os.Stat("testdata/uts/node_modules/.installed")
		if err == nil {
			_, err = exec.LookPath("node")
		}
		return err == nil
	}
	if found() {
		return nil
	}
	if os.Getenv("CI") == "" && os.Getenv("USAGEBOOK_INSTALL") == "" && os.Getuid() != 0 {
		return errNoClient
	}
	out, err := exec.Command("./install-client").CombinedOutput()
	if found() {
		return nil
	}
	return fmt.Errorf("%w: %w\n%s", errNoClient, err, out)
}

// utsClient is the vendor's client, in a process of Node.js.
type utsClient struct {
	in  io.Writer
	out *bufio.Reader
}

func startClient(t *testing.T, s *server) *utsClient {
	t.Helper()
	npmClient.once.Do(func() { npmClient.err = findClient() })
	switch {
	case errors.Is(npmClient.err, errNoClient) && os.Getenv("CI") == "":
		t.Skip(npmClient.err)
	case npmClient.err != nil:
		t.Fatal(npmClient.err)
	}
	cmd := exec.Command("node", "drive.js", s.url)
	cmd.Dir = filepath.Join("testdata", "uts")
	// The client sends requests to loopback, too, through a proxy that the environment names, and
	// keeps files in the home folder.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("node ended badly: %v", err)
		}
	})
	return &utsClient{in, bufio.NewReader(out)}
}

// call calls a method of the client; failure is what it throws.
func (c *utsClient) call(t *testing.T, token, method string, args ...any) (result json.RawMessage, failure string) {
	t.Helper()
	if args == nil {
		args = []any{}
	}
	_, err := c.in.Write(append(marshal(t, settings{"token": token, "method": method, "args": args}), '\n'))
	require.NoError(t, err)
	line, err := c.out.ReadBytes('\n')
	require.NoError(t, err)
	var answer struct {
		Result json.RawMessage
		Error  string
	}
	require.NoError(t, json.Unmarshal(line, &answer))
	return answer.Result, answer.Error
}

// get calls a method that has to succeed.
func (c *utsClient) get(t *testing.T, into any, token, method string, args ...any) json.RawMessage {
	t.Helper()
	result, failure := c.call(t, token, method, args...)
	require.Empty(t, failure)
	require.NoError(t, json.Unmarshal(result, into))
	return result
}

// action is the argument for a route without a method.
func action(route string, query settings) settings {
	values := url.Values{}
	for name, value := range query {
		values.Set(name, fmt.Sprint(value))
	}
	return settings{"verb": "GET", "baseUrl": "/api/usagetransparency/v3/" + route + "?" + values.Encode()}
}

type utsPage struct{ Number, Size, TotalElements, TotalPages int }

type utsJob struct {
	ID          string
	Time        time.Time
	Status      string
	UsagesCount int
}

type utsSummary struct {
	utsJob
	UsagesSummary []struct {
		Application, Unit string
		UsagesCount       int
		ProcessStatus     string
	}
	Page utsPage
}

type utsJobs struct {
	Jobs []utsJob
	Page utsPage
}

// finished asks for a job until it is done.
func (c *utsClient) finished(t *testing.T, token, id string) utsSummary {
	t.Helper()
	var job utsSummary
	eventually(t, func() bool {
		job = utsSummary{}
		c.get(t, &job, token, "GetUsagesJobsById", id, settings{"page": 1, "size": 200})
		require.Equal(t, id, job.ID)
		return job.Status != "ACCEPTED" && job.Status != "INPROGRESS"
	})
	return job
}

// lastMonth is the first day of the month before this one: a month that no longer grows.
var lastMonth = time.Date(today.Year(), today.Month()-1, 1, 0, 0, 0, 0, time.UTC)

func lastMonthDay(n int, clock string) string {
	return lastMonth.AddDate(0, 0, n-1).Format("2006-01-02T") + clock
}

func usage(value any, unit, at string) settings {
	return settings{"value": value, "unit": unit, "datetime": at}
}

// user is a user's usages of one resource.
func user(tenant, id, application, resource string, usages ...settings) settings {
	u := settings{"tenantId": tenant, "resources": []settings{{"application": application, "resource": resource, "usages": usages}}}
	if id != "" {
		u["userId"] = id
	}
	return u
}

func users(list ...settings) settings { return settings{"users": list} }

// The demonstration's rule allows at most 1,000 assets, and its KPI adds up the greatest number
// of assets of each day.
func TestUTSJob(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c := startClient(t, s)

	var accepted utsJob
	c.get(t, &accepted, admin, "PostUsagesJobs", users(
		user("acme", "u1", "assetmonitor", "plant-1",
			usage(10, "asset", lastMonthDay(5, "08:00:00Z")),
			usage(12, "asset", lastMonthDay(6, "00:30:00+0100")),
			usage(8, "asset", lastMonthDay(6, "08:00:00Z")),
			usage(5000, "asset", lastMonthDay(7, "08:00:00Z"))),
		user("globex", "", "assetmonitor", "plant-9",
			usage(2.5, "asset", lastMonthDay(6, "10:00:00Z")))))
	require.Regexp(t, `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-`+accepted.Time.Format("20060102")+`[0-9]{3}$`, accepted.ID)
	require.Equal(t, "ACCEPTED", accepted.Status)
	require.Equal(t, 5, accepted.UsagesCount)

	job := c.finished(t, admin, accepted.ID)
	require.Equal(t, "ERRORS", job.Status)
	require.Equal(t, 5, job.UsagesCount)
	require.Equal(t, accepted.Time, job.Time)
	want := settings{"id": job.ID, "time": job.Time, "status": "ERRORS", "usagesCount": 5, "usagesSummary": []settings{
		{"application": "assetmonitor", "unit": "asset", "usagesCount": 4, "processStatus": "AGGREGATED"},
		{"application": "assetmonitor", "unit": "asset", "usagesCount": 1, "processStatus": "VERIFICATIONFAILED"},
	}, "page": settings{"number": 1, "size": 200, "totalElements": 2, "totalPages": 1}}
	require.JSONEq(t, string(marshal(t, want)), string(c.get(t, &job, admin, "GetUsagesJobsById", job.ID)), "the defaults are page 1 of 200")
	want["usagesSummary"] = want["usagesSummary"].([]settings)[1:]
	want["page"] = settings{"number": 2, "size": 1, "totalElements": 2, "totalPages": 2}
	require.JSONEq(t, string(marshal(t, want)), string(c.get(t, &job, admin, "GetUsagesJobsById", job.ID, settings{"page": 2, "size": 1})))

	var failed struct {
		Errors []struct {
			Code, Message, Logref, ErrorType string
			MessageParameters                []struct{ Name, Value string }
			ErrorData                        json.RawMessage
		}
		Page utsPage
	}
	c.get(t, &failed, admin, "GetUsagesJobsByIdErrors", job.ID, settings{"errorClass": "validation", "page": 1, "size": 10})
	require.Equal(t, utsPage{1, 10, 1, 1}, failed.Page)
	require.Len(t, failed.Errors, 1)
	fault := failed.Errors[0]
	require.Equal(t, "mdsp.demo.assetmonitor.max", fault.Code)
	require.Equal(t, "ValidationError", fault.ErrorType)
	require.NotEmpty(t, fault.Message)
	require.NotEmpty(t, fault.Logref)
	require.Contains(t, fault.MessageParameters, struct{ Name, Value string }{"max", "1000"})
	require.Contains(t, fault.MessageParameters, struct{ Name, Value string }{"quantity", "5000"})
	require.JSONEq(t, string(marshal(t, []settings{{"tenantId": "acme", "userId": "u1", "userType": "user", "resources": []settings{{
		"application": "assetmonitor", "alias": "assetmonitor", "resource": "plant-1",
		"usages": []settings{usage(5000, "asset", lastMonthDay(7, "08:00:00Z"))}}}}})), string(fault.ErrorData))
	c.get(t, &failed, admin, "GetUsagesJobsByIdErrors", job.ID)
	require.Equal(t, utsPage{1, 10, 1, 1}, failed.Page)
	c.get(t, &failed, admin, "GetUsagesJobsByIdErrors", job.ID, settings{"errorClass": "billing"})
	require.Equal(t, utsPage{1, 10, 0, 0}, failed.Page)
	require.Empty(t, failed.Errors)

	// A job is listed with what matches.
	for _, tc := range []struct {
		token string
		query settings
		count int
		state string
	}{
		{admin, settings{}, 5, "ERRORS"},
		{admin, settings{"tenant": "acme"}, 4, "ERRORS"},
		{admin, settings{"tenant": "globex", "application": "assetmonitor", "unit": "asset", "page": 1, "size": 10}, 1, "COMPLETED"},
		{admin, settings{"tenant": "globex", "unit": "other"}, 0, ""},
		{admin, settings{"application": "other"}, 0, ""},
		{acme, settings{}, 0, ""},
	} {
		var list utsJobs
		tc.query["date"] = job.Time
		c.get(t, &list, tc.token, "GetUsagesJobs", tc.query)
		if tc.count == 0 {
			require.Empty(t, list.Jobs, "%v", tc.query)
			require.Equal(t, utsPage{1, 10, 0, 0}, list.Page)
			continue
		}
		require.Equal(t, []utsJob{{job.ID, job.Time, tc.state, tc.count}}, list.Jobs, "%v", tc.query)
		require.Equal(t, utsPage{1, 10, 1, 1}, list.Page)
	}
	var list utsJobs
	c.get(t, &list, admin, "GetUsagesJobs", settings{"date": job.Time.AddDate(0, 0, -1)})
	require.Empty(t, list.Jobs)

	requireAggregates(t, c, settings{"acme": 20, "globex": 2.5})
	// Usage that came in by another way counts as well: 30 on the sixth, and nobody else's.
	at, err := time.Parse(time.RFC3339, lastMonthDay(6, "11:00:00Z"))
	require.NoError(t, err)
	other := func(provider, application, unit, quantity string, at time.Time) record {
		return record{Tenant: "acme", Meter: "app-usage", Start: at, Values: map[string]string{"quantity": quantity},
			Dimensions: map[string]any{"provider": provider, "application": application, "unit": unit}}
	}
	s.book(t, other("demo", "assetmonitor", "asset", "30", at), other("globex", "assetmonitor", "asset", "100", at),
		other("demo", "other", "asset", "100", at), other("demo", "assetmonitor", "other", "100", at),
		other("demo", "assetmonitor", "asset", "100", lastMonth.Add(-time.Microsecond)), other("demo", "assetmonitor", "asset", "100", lastMonth.AddDate(0, 1, 0)))
	requireAggregates(t, c, settings{"acme": 42, "globex": 2.5})
}

// requireAggregates requires the sums of the last month, by the routes for which the client has
// no method.
func requireAggregates(t *testing.T, c *utsClient, values settings) {
	t.Helper()
	month := strings.ToLower(lastMonth.Month().String())
	common := func(more settings) settings {
		out := settings{"provider": "demo", "application": "assetmonitor", "applicationDisplayName": "Asset Monitor",
			"KPIName": "asset-count", "KPIDisplayName": "asset count",
			"aggregationUntilDate": lastMonth.AddDate(0, 1, -1).Format(time.DateOnly), "year": lastMonth.Format("2006"), "month": month,
			"aggragationFunction": settings{"aggregationFunctionDaily": "MAX", "aggregationFunctionMonthly": "SUM", "preFill": "ZERO"}}
		for name, value := range more {
			out[name] = value
		}
		return out
	}
	query := func(more settings) settings {
		out := settings{"month": month, "year": lastMonth.Year(), "application": "assetmonitor", "KPIName": "asset-count"}
		for name, value := range more {
			out[name] = value
		}
		return out
	}
	var got settings
	for consumer, token := range map[string]string{"acme": acme, "globex": globex} {
		for _, spelled := range []string{month, lastMonth.Month().String(), lastMonth.Format("01"), lastMonth.Format("1")} {
			require.JSONEq(t, string(marshal(t, common(settings{"consumer": consumer, "value": values[consumer]}))),
				string(c.get(t, &got, token, "HttpAction", action("aggregatedMonthlyConsumerUsage", query(settings{"provider": "demo", "month": spelled})))))
		}
	}
	all := []settings{{"consumer": "acme", "value": values["acme"]}, {"consumer": "globex", "value": values["globex"]}}
	for _, tc := range []struct {
		query settings
		want  []settings
		page  settings
	}{
		{settings{}, all, settings{"number": 0, "size": 20, "totalElements": 2, "totalPages": 1}},
		{settings{"page": 1, "size": 1}, all[1:], settings{"number": 1, "size": 1, "totalElements": 2, "totalPages": 2}},
		{settings{"consumer": "acme"}, all[:1], settings{"number": 0, "size": 20, "totalElements": 1, "totalPages": 1}},
	} {
		require.JSONEq(t, string(marshal(t, common(settings{"aggregatedUsages": tc.want, "page": tc.page}))),
			string(c.get(t, &got, admin, "HttpAction", action("aggregatedMonthlyProviderUsage", query(tc.query)))))
	}
}

// Usage of one user is a job as well, whose id only the list tells.
func TestUTSUsages(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c := startClient(t, s)

	body := func(usages ...settings) settings {
		return settings{"CustomerTenantID": "acme", "CustomerUserID": "u7", "UTSUsageData": []settings{
			{"resourceAlias": "assetmonitor", "resourceName": "plant-1", "UsageData": usages}}}
	}
	use := func(n int, at string) settings { return settings{"usage": n, "usageUnit": "asset", "usageDate": at} }
	result, failure := c.call(t, admin, "PostUsages", body(use(20, lastMonthDay(2, "10:00:00.000Z")), use(7, lastMonthDay(3, "10:00:00.000Z")), use(1001, lastMonthDay(3, "11:00:00.000Z"))))
	require.Empty(t, failure)
	require.JSONEq(t, "{}", string(result))

	// The time of the job is not told, so its day may be the one before.
	var job utsJob
	for _, date := range []time.Time{time.Now(), time.Now().AddDate(0, 0, -1)} {
		var list utsJobs
		c.get(t, &list, admin, "GetUsagesJobs", settings{"date": date, "tenant": "acme"})
		if len(list.Jobs) > 0 {
			job = list.Jobs[0]
		}
	}
	require.NotEmpty(t, job.ID)
	require.Equal(t, 3, job.UsagesCount)
	done := c.finished(t, admin, job.ID)
	require.Equal(t, "ERRORS", done.Status)
	require.Len(t, done.UsagesSummary, 2)

	var failed struct {
		Errors []struct {
			Code      string
			ErrorData json.RawMessage
		}
	}
	c.get(t, &failed, admin, "GetUsagesJobsByIdErrors", job.ID, settings{})
	require.Len(t, failed.Errors, 1)
	require.Equal(t, "mdsp.demo.assetmonitor.max", failed.Errors[0].Code)
	var data []struct{ TenantID, UserID, UserType string }
	require.NoError(t, json.Unmarshal(failed.Errors[0].ErrorData, &data))
	require.Equal(t, []struct{ TenantID, UserID, UserType string }{{"acme", "u7", "user"}}, data)

	var got struct {
		Consumer string
		Value    json.Number
	}
	c.get(t, &got, acme, "HttpAction", action("aggregatedMonthlyConsumerUsage", settings{"provider": "demo",
		"month": lastMonth.Month(), "year": lastMonth.Year(), "application": "assetmonitor", "KPIName": "asset-count"}))
	require.Equal(t, "acme", got.Consumer)
	require.Equal(t, json.Number("27"), got.Value)
}

func TestUTSJobsInPages(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c := startClient(t, s)
	var ids []string
	first, last := time.Time{}, time.Time{}
	for i := range 12 {
		var job utsJob
		c.get(t, &job, admin, "PostUsagesJobs", users(user("acme", "", "app", "r", usage(i, "u", lastMonthDay(1, "00:00:00Z")))))
		c.finished(t, admin, job.ID)
		ids, last = append([]string{job.ID}, ids...), job.Time
		if i == 0 {
			first = job.Time
		}
	}
	if first.UTC().Day() != last.UTC().Day() {
		return // the list is of one day, and a midnight lies between these
	}
	pages := func(size int) []string {
		var got []string
		for n := 1; ; n++ {
			var list utsJobs
			c.get(t, &list, admin, "GetUsagesJobs", settings{"date": first, "page": n, "size": size})
			require.Equal(t, utsPage{n, size, len(ids), (len(ids) + size - 1) / size}, list.Page)
			if len(list.Jobs) == 0 {
				return got
			}
			for _, job := range list.Jobs {
				require.Equal(t, "COMPLETED", job.Status)
				got = append(got, job.ID)
			}
		}
	}
	require.Equal(t, ids, pages(5), "newest first")
	require.Equal(t, ids, pages(12))
	var list utsJobs
	c.get(t, &list, admin, "GetUsagesJobs", settings{"date": first})
	require.Len(t, list.Jobs, 10)
	require.Equal(t, utsPage{1, 10, 12, 2}, list.Page)
}

func TestUTSErrors(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c := startClient(t, s)
	var job utsJob
	c.get(t, &job, admin, "PostUsagesJobs", users(user("acme", "u1", "assetmonitor", "plant-1", usage(1, "asset", lastMonthDay(1, "00:00:00Z")))))
	c.finished(t, admin, job.ID)

	at := lastMonthDay(1, "00:00:00Z")
	many := make([]settings, 201)
	manySingle := make([]settings, 201)
	for i := range many {
		many[i] = usage(i, "asset", at)
		manySingle[i] = settings{"usage": i, "usageUnit": "asset", "usageDate": at}
	}
	single := func(tenant string, usages ...settings) settings {
		return settings{"CustomerTenantID": tenant, "CustomerUserID": "u1", "UTSUsageData": []settings{{"resourceAlias": "assetmonitor", "UsageData": usages}}}
	}
	kpi := func(route string, more settings, without ...string) settings {
		query := settings{"month": lastMonth.Month(), "year": lastMonth.Year(), "provider": "demo", "application": "assetmonitor", "KPIName": "asset-count"}
		for name, value := range more {
			query[name] = value
		}
		for _, name := range without {
			delete(query, name)
		}
		return action(route, query)
	}
	const noID = "00000000-0000-4000-8000-000000000000-20200101000"
	const consumer, provider = "aggregatedMonthlyConsumerUsage", "aggregatedMonthlyProviderUsage"

	for _, tc := range []struct {
		name, token, method string
		args                []any
		status, code        string
	}{
		{"no caller posts a job", stranger, "PostUsagesJobs", []any{users(user("acme", "", "app", "r", usage(1, "u", at)))}, "Unauthorized", "unauthorized"},
		{"no caller posts usages", stranger, "PostUsages", []any{single("acme")}, "Unauthorized", "unauthorized"},
		{"no caller lists jobs", stranger, "GetUsagesJobs", nil, "Unauthorized", "unauthorized"},
		{"no caller reads a job", stranger, "GetUsagesJobsById", []any{job.ID}, "Unauthorized", "unauthorized"},
		{"no caller reads errors", stranger, "GetUsagesJobsByIdErrors", []any{job.ID}, "Unauthorized", "unauthorized"},
		{"no caller reads a consumer", stranger, "HttpAction", []any{kpi(consumer, nil)}, "Unauthorized", "unauthorized"},
		{"no caller reads a provider", stranger, "HttpAction", []any{kpi(provider, nil)}, "Unauthorized", "unauthorized"},
		{"no permission to post a job", nobody, "PostUsagesJobs", []any{users()}, "Forbidden", "forbidden"},
		{"no permission to post usages", nobody, "PostUsages", []any{single("acme")}, "Forbidden", "forbidden"},
		{"no permission to list jobs", nobody, "GetUsagesJobs", nil, "Forbidden", "forbidden"},
		{"no permission to read a job", nobody, "GetUsagesJobsById", []any{job.ID}, "Forbidden", "forbidden"},
		{"no permission to read errors", nobody, "GetUsagesJobsByIdErrors", []any{job.ID}, "Forbidden", "forbidden"},
		{"no permission to read a consumer", nobody, "HttpAction", []any{kpi(consumer, nil)}, "Forbidden", "forbidden"},
		{"no permission to read a provider", nobody, "HttpAction", []any{kpi(provider, nil)}, "Forbidden", "forbidden"},
		{"a job for another tenant, too", acme, "PostUsagesJobs", []any{users(user("acme", "", "app", "r", usage(1, "u", at)), user("globex", "", "app", "r", usage(1, "u", at)))}, "Forbidden", "forbidden"},
		{"usages of another tenant", acme, "PostUsages", []any{single("globex", settings{"usage": 1, "usageUnit": "u", "usageDate": at})}, "Forbidden", "forbidden"},
		{"a job of 201", admin, "PostUsagesJobs", []any{users(user("acme", "", "app", "r", many[:100]...), user("globex", "", "app", "r", many[100:]...))}, "Request Entity Too Large", "payloadTooLarge"},
		{"usages of 201", admin, "PostUsages", []any{single("acme", manySingle...)}, "Request Entity Too Large", "payloadTooLarge"},
		{"a job without users", admin, "PostUsagesJobs", []any{settings{}}, "Bad Request", "missingRequestBodyProperty"},
		{"a usage without a unit", admin, "PostUsagesJobs", []any{users(user("acme", "", "app", "r", settings{"value": 1, "datetime": at}))}, "Bad Request", "missingRequestBodyProperty"},
		{"a value in words", admin, "PostUsagesJobs", []any{users(user("acme", "", "app", "r", usage("one", "u", at)))}, "Bad Request", "invalidRequestBodyProperty"},
		{"a property of its own", admin, "PostUsagesJobs", []any{settings{"users": []settings{user("acme", "", "app", "r", usage(1, "u", at))}, "colour": "red"}}, "Bad Request", "invalidRequestBodyProperty"},
		{"a fraction where none may be", admin, "PostUsages", []any{single("acme", settings{"usage": 1.5, "usageUnit": "u", "usageDate": at})}, "Bad Request", "invalidRequestBodyProperty"},
		{"page nought of jobs", admin, "GetUsagesJobs", []any{settings{"page": 0}}, "Bad Request", "invalidParameter"},
		{"page nought of a job", admin, "GetUsagesJobsById", []any{job.ID, settings{"page": 0}}, "Bad Request", "invalidParameter"},
		{"a size too many", admin, "GetUsagesJobs", []any{settings{"size": 1001}}, "Bad Request", "invalidParameter"},
		{"a class of its own", admin, "GetUsagesJobsByIdErrors", []any{job.ID, settings{"errorClass": "odd"}}, "Bad Request", "invalidParameter"},
		{"no such job", admin, "GetUsagesJobsById", []any{noID}, "Not Found", "noMatch"},
		{"no such job's errors", admin, "GetUsagesJobsByIdErrors", []any{noID}, "Not Found", "noMatch"},
		{"another operator's job", acme, "GetUsagesJobsById", []any{job.ID}, "Not Found", "noMatch"},
		{"another operator's errors", acme, "GetUsagesJobsByIdErrors", []any{job.ID}, "Not Found", "noMatch"},
		{"no month", acme, "HttpAction", []any{kpi(consumer, nil, "month")}, "Bad Request", "missingParameter"},
		{"no provider", acme, "HttpAction", []any{kpi(consumer, nil, "provider")}, "Bad Request", "missingParameter"},
		{"no KPI", admin, "HttpAction", []any{kpi(provider, nil, "KPIName")}, "Bad Request", "missingParameter"},
		{"a thirteenth month", acme, "HttpAction", []any{kpi(consumer, settings{"month": 13})}, "Bad Request", "invalidParameter"},
		{"a short year", admin, "HttpAction", []any{kpi(provider, settings{"year": 26})}, "Bad Request", "invalidParameter"},
		{"a page below nought", admin, "HttpAction", []any{kpi(provider, settings{"page": -1})}, "Bad Request", "invalidParameter"},
		{"a KPI that nobody registered", acme, "HttpAction", []any{kpi(consumer, settings{"KPIName": "other"})}, "Not Found", "noMatch"},
		{"a KPI of another provider", acme, "HttpAction", []any{kpi(provider, nil)}, "Not Found", "noMatch"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, failure := c.call(t, tc.token, tc.method, tc.args...)
			require.Contains(t, failure, "Network error occured "+tc.status+" {")
			require.Contains(t, failure, `"code":"mdsp.core.generic.`+tc.code+`"`)
		})
	}

	// No usage, no content: the client fails at the body that is not there.
	for _, route := range []string{consumer, provider} {
		_, failure := c.call(t, admin, "HttpAction", kpi(route, settings{"year": 2001}))
		require.Contains(t, failure, "Unexpected end of JSON input")
	}
	// Of what was refused, nothing is a job.
	for _, date := range []time.Time{job.Time, time.Now()} {
		for _, token := range []string{admin, acme} {
			var list utsJobs
			c.get(t, &list, token, "GetUsagesJobs", settings{"date": date})
			for _, listed := range list.Jobs {
				require.Equal(t, job.ID, listed.ID)
			}
		}
	}
}

func TestUTSThrottled(t *testing.T) {
	t.Parallel()
	s := start(t, limits("read"))
	c := startClient(t, s)
	failure := ""
	eventually(t, func() bool {
		_, failure = c.call(t, admin, "GetUsagesJobs")
		return failure != ""
	})
	require.Contains(t, failure, "Network error occured Too Many Requests {")
	require.Contains(t, failure, `"code":"mdsp.core.generic.tooManyRequests"`)
}
