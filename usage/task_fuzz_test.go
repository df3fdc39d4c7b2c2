package usage_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// FuzzTasks puts heads and bodies into the store that nobody of ours wrote:
// whatever they are, nothing panics, Work goes on, and a job or an execution
// comes to an end unless it is of a newer form.
func FuzzTasks(f *testing.F) {
	for _, seed := range [][2]string{
		{``, ``}, {`{"v":1}`, `{"v":1}`}, {`{"v":2}`, `{"v":2}`}, {`{"v":1,"count":-1}`, `{"v":1,"records":[]}`},
		{`{"v":1,"count":1,"lines":[{"t":"acme","s":"accepted","n":1,"l":[["a","b"],["a","c"]]}]}`, `{"v":1,"records":[{"id":"1","source":"s","tenant":"acme","meter":"m","start":"2026-03-01T00:00:00Z","quantity":1}],"notes":["YQ=="]}`},
		{`{"v":1,"count":2,"labels":["a"],"lost":""}`, `{"v":1,"records":[{},{}],"errors":[{"i":0,"s":"billing_failed","x":[{"c":"x","p":[["a","b"]]}],"r":{"id":7}}]}`},
		{`{"v":1,"state":"running","mark":7,"note":"bg=="}`, `{"v":1,"scope":{"tenants":["acme"],"required":[{"dimension":"d","values":["x"],"fold":true}]},"query":{"from":-9223372036854775808,"filter":"id eq","window":{"unit":"day","zone":"Europe/Zurich","offset":99999999}},"mark":18446744073709551615,"extra":"AA==","now":9223372036854775807}`},
		{`{"v":1,"state":"complete","rows":9}`, `{"v":1,"scope":{"all":true},"query":{"groupBy":["id"],"measures":[{"aggregation":"sum","of":"quantity"}],"limit":-3},"mark":1,"now":0}`},
	} {
		f.Add([]byte(seed[0]), []byte(seed[1]))
	}
	f.Fuzz(func(t *testing.T, head, body []byte) {
		store, clock := memstore.New(nil), usagetest.NewClock(noon)
		book := over(t, store, clock, usage.Options{})
		mustAppend(t, book, plainRecord("1"))
		for _, kind := range []string{"job", "execution"} {
			require.NoError(t, store.PutTask(t.Context(), &usage.Task{Kind: kind, ID: "1", Owner: "op", Created: noon, Due: noon, Head: head, Body: body}))
		}
		read := func() {
			job, err := book.Job(t.Context(), "op", "1")
			if err == nil {
				_ = job.Status()
			}
			_, _ = book.JobErrors(t.Context(), "op", "1")
			_, _ = book.Jobs(t.Context(), "op", usage.JobsQuery{})
			_, _ = book.Execution(t.Context(), "op", "1")
			_, _ = book.ExecutionPage(t.Context(), "op", "1", 0, "")
			for range book.ExecutionRows(t.Context(), "op", "1") {
				continue
			}
		}
		read()
		for range 10 {
			_, err := book.Work(t.Context())
			if err != nil && errors.Is(err, usage.ErrClosed) {
				t.Fatal(err)
			}
			require.NotContains(t, errText(err), "panic")
			clock.Advance(10 * time.Minute)
		}
		read()
		_, _ = book.Cancel(t.Context(), "op", "1")
	})
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
