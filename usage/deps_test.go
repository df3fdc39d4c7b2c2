package usage_test

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/usagebook/usagebook"

// importRule says what the packages of a folder may import of ours. Imports
// point down only: whoever adds an arrow that points up fails here and not in
// a review.
type importRule struct {
	// under is the folder, with everything below it unless a longer rule fits.
	under string
	// ours are the packages of ours it may import; a trailing /... covers
	// everything below.
	ours []string
	why  string
}

var importRules = []importRule{
	{"filter", nil, "a leaf that knows nothing of usage"},
	{"filter/sqlfilter", []string{"filter"}, "it turns checked trees into SQL and nothing else"},
	{"paginate", nil, "a leaf that knows nothing of usage"},
	{"aggregate", nil, "a leaf that knows nothing of usage"},
	{"rules", []string{"filter", "aggregate"}, "functions and windows have one home each"},
	{"usage", []string{"filter", "aggregate", "paginate", "rules", "usage/internal/jsontext"}, "the book stands on the leaves"},
	{"usage/storetest", []string{"usage", "usage/storetest/...", "filter", "aggregate", "rules", "paginate"}, "a kit that never asks which store it tests"},
	{"usage/storetest/internal", []string{"usage/storetest/internal/..."}, "the oracle of the kit shares nothing with what it judges"},
	{"usage/usagetest", []string{"usage", "usage/memstore", "aggregate", "rules"}, "a kit for hosts, over the memory store"},
	{"usage/internal", []string{"usage", "usage/internal/...", "aggregate"}, "what stores share in keeping a book in a database"},
	{"usage/internal/jsontext", nil, "a leaf that knows no document"},
	{"usage/postgresstore/pgtest", nil, "it starts servers and knows nothing of books"},
	// Any other folder under usage is a store.
	{"usage/*", []string{"usage", "usage/internal/...", "filter", "filter/sqlfilter", "aggregate"}, "stores parse no text, judge no rule and see no token"},
	{"httpadapter", []string{"usage", "usage/...", "filter", "aggregate", "paginate", "rules"}, "the shared HTTP part knows no vendor"},
	{"httpadapter/internal", []string{"httpadapter/internal/..."}, "test tools know handlers and nothing of usage"},
	{"httpadapter/internal/demo", []string{"httpadapter", "usage"}, "what the tests of every API share"},
	{"httpadapter/*", []string{"httpadapter", "usage", "filter", "aggregate", "paginate", "rules"}, "vendors don't know each other"},
	{"examples", []string{"..."}, "examples show everything"},
}

func ruleFor(dir string) (importRule, bool) {
	best := -1
	for i, r := range importRules {
		ok := false
		if prefix, star := strings.CutSuffix(r.under, "/*"); star {
			ok = strings.HasPrefix(dir, prefix+"/")
		} else {
			ok = dir == r.under || strings.HasPrefix(dir, r.under+"/")
		}
		if !ok {
			continue
		}
		if best < 0 || weight(r.under) > weight(importRules[best].under) {
			best = i
		}
	}
	if best < 0 {
		return importRule{}, false
	}
	return importRules[best], true
}

// weight makes a named folder win over a pattern, and a longer one over a
// shorter one.
func weight(under string) int {
	if prefix, star := strings.CutSuffix(under, "/*"); star {
		return 2*len(prefix) + 1
	}
	return 2 * len(under)
}

func (r importRule) allows(pkg string) bool {
	for _, o := range r.ours {
		if o == "..." || o == pkg {
			return true
		}
		if prefix, ok := strings.CutSuffix(o, "/..."); ok && (pkg == prefix || strings.HasPrefix(pkg, prefix+"/")) {
			return true
		}
	}
	return false
}

func TestImportsPointDown(t *testing.T) {
	t.Parallel()
	root := ".."
	seen := 0
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, name)
		if d.IsDir() {
			if base := d.Name(); rel != "." && (strings.HasPrefix(base, ".") || base == "testdata" || base == "node_modules") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		dir := filepath.ToSlash(filepath.Dir(rel))
		rule, ok := ruleFor(dir)
		if !ok {
			t.Errorf("%s: the folder %s has no import rule; add one", rel, dir)
			return nil
		}
		seen++
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			require.NoError(t, err)
			if imp == "net/http" && !strings.HasPrefix(dir, "httpadapter") && !strings.HasPrefix(dir, "examples") {
				t.Errorf("%s imports net/http: nothing below httpadapter knows it", rel)
			}
			if pkg, ok := strings.CutPrefix(imp, module+"/"); ok && pkg != dir && !rule.allows(pkg) {
				t.Errorf("%s imports %s; %s may import of ours %v: %s", rel, pkg, rule.under, rule.ours, rule.why)
			}
		}
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, seen, 50, "the walk found the sources")
}

// TestCoreStaysSmall holds what a host gets into its binary: nothing of the
// core but the kits reaches testing, and nobody's code but the decimals.
func TestCoreStaysSmall(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Deps,Module", "./...")
	cmd.Dir = ".."
	cmd.Env = append(cmd.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Fatalf("go list: %s", exit.Stderr)
	}
	require.NoError(t, err)
	dec := json.NewDecoder(strings.NewReader(string(out)))
	kits := []string{"usage/storetest", "usage/usagetest", "httpadapter/internal/golden", "httpadapter/internal/demo"}
	packages := 0
	for {
		var p struct {
			ImportPath string
			Deps       []string
		}
		if err := dec.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages++
		pkg := strings.TrimPrefix(p.ImportPath, module+"/")
		kit := slices.ContainsFunc(kits, func(k string) bool { return pkg == k || strings.HasPrefix(pkg, k+"/") })
		for _, dep := range p.Deps {
			switch {
			case dep == "testing" && !kit:
				t.Errorf("%s reaches testing, which belongs into tests and kits", pkg)
			case dep == "net/http" && !strings.HasPrefix(pkg, "httpadapter"):
				t.Errorf("%s reaches net/http", pkg)
			case strings.HasPrefix(dep, module), !strings.Contains(strings.SplitN(dep, "/", 2)[0], "."):
			case path.Dir(dep) == "github.com/shopspring" || strings.HasPrefix(dep, "github.com/shopspring/decimal"):
			default:
				t.Errorf("%s reaches %s: the core depends on decimals alone", pkg, dep)
			}
		}
	}
	require.GreaterOrEqual(t, packages, 5)
}
