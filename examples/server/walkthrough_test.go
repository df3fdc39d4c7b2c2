package main

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/examples/internal/walk"
)

// patterns remembers the routes that requests were answered by.
type patterns struct {
	next http.Handler
	mu   sync.Mutex
	seen map[string]bool
}

func (p *patterns) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.next.ServeHTTP(w, r)
	p.mu.Lock()
	p.seen[r.Pattern] = true
	p.mu.Unlock()
}

// TestWalkthrough runs every block of walkthrough.md against a fresh server, at moments far
// from one another: what it shows does not depend on when it is read.
func TestWalkthrough(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("walkthrough.md")
	require.NoError(t, err)
	const address = "http://127.0.0.1:8080"
	for _, moment := range []time.Time{
		time.Date(2026, 11, 8, 12, 0, 0, 0, time.UTC),
		time.Date(2028, 2, 29, 23, 0, 0, 0, time.UTC),
		time.Date(2037, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		t.Run(moment.Format(time.DateOnly), func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			s, err := open(t, demonstration(t), serverOptions{now: func() time.Time { return moment.Add(time.Since(begun)) }})
			require.NoError(t, err)
			seen := &patterns{next: s.http.Handler, seen: map[string]bool{}}
			s.http.Handler = seen
			base := serve(t, s)
			blocks, err := walk.Blocks(strings.ReplaceAll(string(text), address, base))
			require.NoError(t, err)

			// The first command starts the server, which this test has done.
			require.Equal(t, "sh", blocks[0].Language)
			flags, ok := strings.CutPrefix(strings.TrimSpace(blocks[0].Text), "go run ./examples/server ")
			require.True(t, ok, blocks[0].Text)
			require.Equal(t, []string{"-store", "mem", "-config", "examples/server/config.json"}, strings.Fields(flags))
			require.FileExists(t, filepath.Join("../..", "examples/server/config.json"))

			session := walk.Session{Vars: map[string]string{}}
			require.NoError(t, session.Run(t.Context(), blocks[1:], nil))
			require.Equal(t, base, session.Vars["BASE"], "the address is the default one")

			var missing []string
			for _, r := range s.adapter.ListRoutes() {
				if !seen.seen[r.Method+" "+strings.ReplaceAll(r.Path, "?}", "}")] {
					missing = append(missing, r.API+" "+r.Method+" "+r.Path)
				}
			}
			// Its only answer is that the subscription is missing.
			missing = slices.DeleteFunc(missing, func(r string) bool { return strings.HasPrefix(r, "azurestack GET /subscriptions/providers/") })
			require.Empty(t, missing, "the walkthrough shows every route")
		})
	}
}
