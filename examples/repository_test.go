package examples_test

import (
	"encoding/json"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// skipped reports whether a folder holds nothing of the repository's own packages.
func skipped(name string) bool {
	return name == "testdata" || (strings.HasPrefix(name, ".") && name != "." && name != "..")
}

// modules returns the folders of all modules but the tools, relative to the root.
func modules(t *testing.T) []string {
	t.Helper()
	var dirs []string
	require.NoError(t, filepath.WalkDir(root(t), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && skipped(d.Name()) {
			return fs.SkipDir
		}
		if d.Name() == "go.mod" {
			dir, err := filepath.Rel(root(t), filepath.Dir(path))
			dirs = append(dirs, dir)
			return err
		}
		return nil
	}))
	require.Contains(t, dirs, ".")
	return dirs
}

// goMod is the part of `go mod edit -json` that is looked at here.
type goMod struct {
	Module  struct{ Path string }
	Require []struct {
		Path     string
		Indirect bool
	}
	Replace []struct{ Old, New struct{ Path string } }
	Tool    []struct{ Path string }
}

func readGoMod(t *testing.T, dir string) goMod {
	t.Helper()
	var mod goMod
	text := run(t, filepath.Join(root(t), dir), nil, "go", "mod", "edit", "-json")
	require.NoError(t, json.Unmarshal([]byte(text), &mod))
	return mod
}

// A service that takes the library takes what it requires, so a dependency more is a decision
// that has to be made here too.
func TestCoreRequiresThreeModules(t *testing.T) {
	t.Parallel()
	mod := readGoMod(t, ".")

	var direct, tools []string
	for _, r := range mod.Require {
		if !r.Indirect {
			direct = append(direct, r.Path)
		}
	}
	for _, tool := range mod.Tool {
		tools = append(tools, tool.Path)
	}
	slices.Sort(direct)
	require.Equal(t, []string{"github.com/shopspring/decimal", "github.com/stretchr/testify"}, direct)
	require.Equal(t, []string{"golang.org/x/exp/cmd/apidiff"}, tools, "x/exp is here for this tool")
	require.Empty(t, mod.Replace, "a replace in the core works in the repository and nowhere else")
}

// Nested modules find ours by relative paths, so that each stands alone (GOWORK=off) before
// anything is published. Consumers ignore replace lines.
func TestNestedModulesReplaceOurs(t *testing.T) {
	t.Parallel()
	const ours = "github.com/usagebook/usagebook"

	for _, dir := range modules(t) {
		mod := readGoMod(t, dir)
		want := ours
		if dir != "." {
			want += "/" + filepath.ToSlash(dir)
		}
		require.Equal(t, want, mod.Module.Path)
		if dir == "." {
			continue
		}
		replaced := map[string]bool{}
		for _, r := range mod.Replace {
			require.True(t, r.Old.Path == ours || strings.HasPrefix(r.Old.Path, ours+"/"),
				"%s replaces %s, which is not ours", dir, r.Old.Path)
			require.True(t, strings.HasPrefix(r.New.Path, "../") || strings.HasPrefix(r.New.Path, "./"),
				"%s replaces %s by %s, which is no relative path", dir, r.Old.Path, r.New.Path)
			replaced[r.Old.Path] = true
		}
		for _, r := range mod.Require {
			if r.Path == ours || strings.HasPrefix(r.Path, ours+"/") {
				require.True(t, replaced[r.Path], "%s requires %s without a replace", dir, r.Path)
			}
		}
	}
}

// described walks over the packages of the repository. It calls f with the folder of each, relative
// to the root, its name, and the package comments by file name.
func described(t *testing.T, f func(dir, name string, docs map[string]string)) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(root(t), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if skipped(d.Name()) {
			return fs.SkipDir
		}
		files, err := filepath.Glob(filepath.Join(path, "*.go"))
		if err != nil {
			return err
		}
		var name string
		docs := map[string]string{}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.PackageClauseOnly)
			if err != nil {
				return err
			}
			name = parsed.Name.Name
			if text := parsed.Doc.Text(); text != "" {
				docs[filepath.Base(file)] = text
			}
		}
		if name != "" {
			dir, err := filepath.Rel(root(t), path)
			if err != nil {
				return err
			}
			f(filepath.ToSlash(dir), name, docs)
		}
		return nil
	}))
}

// The first place to read about a package is always the same file. Programs may say it in main.go.
func TestPackagesHaveDoc(t *testing.T) {
	t.Parallel()
	described(t, func(dir, name string, docs map[string]string) {
		switch {
		case len(docs) != 1:
			t.Errorf("%s: one file describes the package, here these do: %q", dir, slices.Sorted(maps.Keys(docs)))
		case name == "main":
		case !strings.HasPrefix(docs["doc.go"], "Package "+name+" "):
			t.Errorf("%s: doc.go does not begin with %q", dir, "Package "+name)
		}
	})
}

var link = regexp.MustCompile(`\]\(([^):#]+)\)`)

// A map of the packages that lacks one, or leads nowhere, is worse than none.
func TestReadmeMapsThePackages(t *testing.T) {
	t.Parallel()
	linked := map[string]bool{}
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md"} {
		text, err := os.ReadFile(filepath.Join(root(t), name))
		require.NoError(t, err)
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			_, err := os.Stat(filepath.Join(root(t), m[1]))
			require.NoError(t, err, "%s links to it", name)
			linked[name+" "+m[1]] = true
		}
	}
	described(t, func(dir, name string, _ map[string]string) {
		if name != "main" && !slices.Contains(strings.Split(dir, "/"), "internal") && !linked["README.md "+dir] {
			t.Errorf("the README's map of the packages lacks %s", dir)
		}
	})
}
