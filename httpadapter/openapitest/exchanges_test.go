package openapitest

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/azurestack"
	"github.com/usagebook/usagebook/httpadapter/internal/golden"
	"github.com/usagebook/usagebook/httpadapter/native"
	"github.com/usagebook/usagebook/httpadapter/ocs"
	"github.com/usagebook/usagebook/httpadapter/partnercenter"
	"github.com/usagebook/usagebook/httpadapter/purecloud"
	"github.com/usagebook/usagebook/httpadapter/uts"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// apis are the packages beside this one that have exchanges, by their folders.
var apis = map[string]func() *httpadapter.API{
	"azurestack":    func() *httpadapter.API { return azurestack.New(nil) },
	"native":        func() *httpadapter.API { return native.New(nil) },
	"ocs":           func() *httpadapter.API { return ocs.New(nil) },
	"partnercenter": func() *httpadapter.API { return partnercenter.New(nil) },
	"purecloud":     func() *httpadapter.API { return purecloud.New(nil) },
	"uts":           func() *httpadapter.API { return uts.New(nil) },
}

// mount returns the document of all APIs mounted together.
func mount(t *testing.T) (*document, *httpadapter.Adapter, map[string]*httpadapter.API) {
	t.Helper()
	book, _ := usagetest.NewBook(t, nil)
	made := map[string]*httpadapter.API{}
	var list []*httpadapter.API
	for _, name := range slices.Sorted(maps.Keys(apis)) {
		made[name] = apis[name]()
		list = append(list, made[name])
	}
	adapter, err := httpadapter.New(book, nil, list...)
	require.NoError(t, err)
	d, faults := readDocument(adapter.OpenAPI())
	require.Empty(t, faults, strings.Join(faults, "\n"))
	return d, adapter, made
}

func TestDocument(t *testing.T) {
	t.Parallel()
	mount(t)
}

// TestFolders holds that no package with exchanges is forgotten here.
func TestFolders(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../*/testdata/exchanges/*.http")
	require.NoError(t, err)
	var folders []string
	for _, file := range files {
		folders = append(folders, strings.Split(filepath.ToSlash(file), "/")[1])
	}
	require.Equal(t, slices.Sorted(maps.Keys(apis)), slices.Compact(folders), "the map apis, and the folders with testdata/exchanges")
}

// TestServed holds that the document is what is served.
func TestServed(t *testing.T) {
	t.Parallel()
	_, adapter, _ := mount(t)
	w := httptest.NewRecorder()
	adapter.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, string(adapter.OpenAPI()), w.Body.String())
}

func TestExchanges(t *testing.T) {
	t.Parallel()
	d, _, made := mount(t)
	for name, a := range made {
		scenarios, err := golden.Load(filepath.Join("..", name, "testdata", "exchanges"))
		require.NoError(t, err)
		for _, s := range scenarios {
			for _, e := range s.Exchanges {
				for _, fault := range d.judge(e, a, s.Option("prefix")) {
					t.Errorf("%s:%d: %s\n    %s", s.File, e.Line, e.Title, strings.ReplaceAll(fault, "\n", "\n    "))
				}
			}
		}
	}
}
