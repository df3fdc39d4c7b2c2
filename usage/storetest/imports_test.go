package storetest_test

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// imports returns what the Go files of a directory import, tests left out.
func imports(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	out := map[string]string{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, i := range file.Imports {
			path, err := strconv.Unquote(i.Path.Value)
			require.NoError(t, err)
			out[path] = name
		}
	}
	return out
}

const module = "github.com/usagebook/usagebook/"

// The model is an oracle only as long as it shares nothing with what it judges.
func TestModelImportsTheStandardLibraryAlone(t *testing.T) {
	t.Parallel()
	for path, name := range imports(t, "internal/model") {
		require.NotContains(t, path, ".", "%s imports %s", name, path)
	}
}

// A kit that imported a store could ask which store it is testing, and one that
// imported testify would bring it into its users' programs.
func TestKitImportsNoStore(t *testing.T) {
	t.Parallel()
	allowed := map[string]bool{"usage": true, "aggregate": true, "filter": true, "rules": true, "paginate": true, "usage/storetest/internal/model": true}
	for path, name := range imports(t, ".") {
		own, ours := strings.CutPrefix(path, module)
		require.True(t, ours && allowed[own] || !strings.Contains(path, "."), "%s imports %s", name, path)
	}
}
