package uts_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// usersDocument is a body as encoding/json decodes it.
type usersDocument struct {
	Users []struct {
		TenantID  string `json:"tenantId"`
		UserID    string `json:"userId"`
		UserType  string `json:"userType"`
		Resources []struct {
			Application string `json:"application"`
			Alias       string `json:"alias"`
			Resource    string `json:"resource"`
			Usages      []struct {
				Value    json.Number `json:"value"`
				Unit     string      `json:"unit"`
				Datetime time.Time   `json:"datetime"`
			} `json:"usages"`
		} `json:"resources"`
	} `json:"users"`
}

// documentOf is a body of so many users, resources of each, and usages of each of
// these.
func documentOf(users, resources, usages int) string {
	var b strings.Builder
	list := func(n int, item func(i int)) {
		b.WriteByte('[')
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			item(i)
		}
		b.WriteByte(']')
	}
	b.WriteString(`{"users":`)
	list(users, func(u int) {
		fmt.Fprintf(&b, `{"tenantId":"acme","userId":"user-%04d","userType":"user","resources":`, u)
		list(resources, func(r int) {
			fmt.Fprintf(&b, `{"application":"app-%d","alias":"alias-%d","resource":"asset-%06d","usages":`, r%5, r%7, u*r)
			list(usages, func(i int) {
				fmt.Fprintf(&b, `{"value":%d.%03d,"unit":"unit-%d","datetime":"2026-01-05T%02d:00:00Z"}`, i, i*37%1000, r%3, i%24)
			})
			b.WriteByte('}')
		})
		b.WriteByte('}')
	})
	b.WriteByte('}')
	return b.String()
}

// BenchmarkPost accepts jobs of 200 usages, without working on them, beside a
// handler that only decodes them by encoding/json.
func BenchmarkPost(b *testing.B) {
	for _, c := range []struct {
		name                     string
		users, resources, usages int
	}{{"one-resource", 1, 1, 200}, {"ten-users", 10, 4, 5}, {"a-user-each", 200, 1, 1}} {
		body := documentOf(c.users, c.resources, c.usages)
		post := func(b *testing.B, h http.Handler) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				r := httptest.NewRequest("POST", root+"/usagesJobs", strings.NewReader(body))
				r.Header.Set("Authorization", "Bearer demo-acme")
				r.Header.Set("Content-Type", "application/json")
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code != 200 {
					b.Fatal(w.Body)
				}
			}
		}
		b.Run(c.name+"/book", func(b *testing.B) {
			book, _ := usagetest.NewBook(b, &usage.Options{Meters: httpadapter.Meters()})
			post(b, newHandler(b, book, nil, httpadapter.Options{Limiter: httpadapter.Unlimited{}}))
		})
		b.Run(c.name+"/decode-only", func(b *testing.B) {
			post(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				require.NoError(b, err)
				var d usersDocument
				require.NoError(b, json.Unmarshal(body, &d))
			}))
		})
	}
}
