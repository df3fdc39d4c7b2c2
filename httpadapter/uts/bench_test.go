package uts_test

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// BenchmarkPost accepts jobs of 200 usages, without working on them.
func BenchmarkPost(b *testing.B) {
	book, _ := usagetest.NewBook(b, &usage.Options{Meters: httpadapter.Meters()})
	h := newHandler(b, book, nil, httpadapter.Options{Limiter: httpadapter.Unlimited{}})
	one := `{"value":1,"unit":"asset","datetime":"2026-01-05T08:00:00Z"}`
	body := strings.Replace(usersOf("acme"), one, strings.Repeat(one+",", 199)+one, 1)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		r := httptest.NewRequest("POST", root+"/usagesJobs", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer demo-acme")
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(b, 200, w.Code)
		_, _ = io.Copy(io.Discard, w.Body)
	}
}
