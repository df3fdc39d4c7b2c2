package uts_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/internal/sink"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// No page is in memory as a whole: neither what became of usages with long texts,
// nor lists of jobs, nor the lines of one.
func TestPagesAreStreamed(t *testing.T) {
	t.Parallel()
	b, clock := usagetest.NewBook(t, &usage.Options{Meters: httpadapter.Meters(), Rules: parseRules(t, demoRules, true)})
	clock.Set(time.Date(2026, 1, 20, 12, 0, 0, 0, time.UTC))
	h := newHandler(t, b, nil, httpadapter.Options{Limiter: httpadapter.Unlimited{}})
	long := strings.Repeat("long ", 400)
	var resources []string
	for i := range 200 {
		resources = append(resources, fmt.Sprintf(`{"application":"%d %s","resource":"r","usages":[{"value":1,"unit":"u","datetime":"2026-01-05T08:00:00Z"}]}`, i, long))
	}
	var last jobAnswer
	for range 1000 {
		clock.Advance(time.Millisecond)
		body := usersOf("acme")
		if last.ID == "" {
			body = `{"users":[{"tenantId":"acme","resources":[` + strings.Join(resources, ",") + `]}]}`
		}
		var j jobAnswer
		decode(t, ask(h, "POST", "/usagesJobs", "demo-acme", body), &j)
		if last.ID == "" {
			last = j
		}
	}
	work(t, b)
	for target, least := range map[string]int{
		"/usagesJobs/" + last.ID + "/errors?size=1000": 800_000,
		"/usagesJobs/" + last.ID + "?size=1000":        400_000,
		"/usagesJobs?size=1000":                        100_000,
	} {
		r := httptest.NewRequest("GET", root+target, nil)
		r.Header.Set("Authorization", "Bearer demo-acme")
		w := &sink.Sink{}
		h.ServeHTTP(w, r)
		require.True(t, w.Streamed(least), "%s: %+v", target, w)
		require.Len(t, ask(h, "GET", target, "demo-acme", "").Body.Bytes(), w.Bytes)
	}
}
