//go:build unix

package main

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage/postgresstore/pgtest"
)

// ask sends a request with the token of acme and returns the body of a 200.
func (p *process) ask(t *testing.T, method, path, body string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.addr+path, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer demo-acme")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s", text)
	return string(text)
}

// TestStoresKeep: what was acknowledged is there when the server is killed and started
// again; by default in a file of the working directory.
func TestStoresKeep(t *testing.T) {
	t.Parallel()
	config, err := filepath.Abs("config.json")
	require.NoError(t, err)
	for name, test := range map[string]struct {
		args []string
		file string
	}{
		"by default":         {nil, "usage.db"},
		"SQLite":             {[]string{"-store", "sqlite:books/own.db"}, "books/own.db"},
		"PostgreSQL, a URL":  {[]string{"-store", pgtest.Shared(t, 0).Database(t)}, ""},
		"PostgreSQL, prefix": {[]string{"-store", "postgres:" + pgtest.Shared(t, 0).Database(t)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.MkdirAll(filepath.Join(dir, "books"), 0o700))
			args := append([]string{"-config", config}, test.args...)
			const read = "/v1/usage?tenant=acme&measures=sum(quantity)%20as%20q"

			p := spawnIn(t, dir, args...)
			require.Contains(t, p.ask(t, http.MethodPost, "/v1/records", record), `"inserted":1`)
			require.Contains(t, p.ask(t, http.MethodGet, read, ""), `"q":"1.5"`)
			require.NoError(t, p.cmd.Process.Kill())
			require.Error(t, <-p.exit)
			if test.file != "" {
				require.FileExists(t, filepath.Join(dir, test.file))
			}

			p = spawnIn(t, dir, args...)
			require.Contains(t, p.ask(t, http.MethodGet, read, ""), `"q":"1.5"`)
			require.Contains(t, p.ask(t, http.MethodPost, "/v1/records", record), `"duplicates":1`)
			p.signal(t)
			require.NoError(t, <-p.exit, p.stderr)
			require.Empty(t, p.stderr.String(), "there was nothing to complain of")
		})
	}
}

// TestQuickstartHasNoDriver: the README's first command builds without a database.
func TestQuickstartHasNoDriver(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "../quickstart").Output()
	require.NoError(t, err)
	require.Contains(t, string(out), "github.com/usagebook/usagebook/usage/memstore\n")
	require.NotRegexp(t, `(?m)^(modernc\.org|github\.com/jackc|database/sql$)`, string(out))
}
