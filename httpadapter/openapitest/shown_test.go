package openapitest

import (
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter/internal/golden"
)

// TestEveryAnswerIsShown holds that each operation that can succeed has an exchange that does, and
// each status that an API documents an exchange that ends in it. Left out are the document itself,
// which TestServed reads, and what takes more than a request: a body that never comes (408) and faults
// of ours.
func TestEveryAnswerIsShown(t *testing.T) {
	t.Parallel()
	d, _, made := mount(t)
	for name, a := range made {
		scenarios, err := golden.Load(filepath.Join("..", name, "testdata", "exchanges"))
		require.NoError(t, err)
		succeeded, ended := map[string]bool{"GET /openapi.json": true}, map[int]bool{http.StatusRequestTimeout: true}
		for _, s := range scenarios {
			for _, e := range s.Exchanges {
				path := strings.TrimPrefix(e.Request().URL.EscapedPath(), s.Option("prefix"))
				ended[e.Status] = true
				if o := d.find(e.Method, path, a.FoldPath); o != nil && e.Status < 300 {
					succeeded[o.name] = true
				}
			}
		}
		missing := map[string]bool{}
		for _, r := range a.Routes {
			o := d.find(r.Method, strings.ReplaceAll(r.Path, "?}", "}"), false)
			require.NotNil(t, o, r.Path)
			codes := d.get(o.node, "responses").keys()
			if !succeeded[o.name] && slices.ContainsFunc(codes, func(code string) bool { return strings.HasPrefix(code, "2") }) {
				missing[o.name+" has no exchange that succeeds"] = true
			}
			for _, key := range codes {
				if status, err := strconv.Atoi(key); err == nil && status < 500 && !ended[status] {
					missing["no exchange ends in the documented status "+key] = true
				}
			}
		}
		for _, what := range slices.Sorted(maps.Keys(missing)) {
			t.Errorf("%s: %s", name, what)
		}
	}
}
