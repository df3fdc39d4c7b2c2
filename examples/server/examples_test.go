package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/examples/internal/walk"
	"github.com/usagebook/usagebook/usage/usagetest"
)

// variables are what the documents begin with.
func variables(base string) map[string]string {
	return map[string]string{
		"BASE":   base,
		"ADMIN":  "Authorization: Bearer " + admin,
		"ACME":   "Authorization: Bearer " + acme,
		"JSON":   "Content-Type: application/json",
		"NDJSON": "Content-Type: application/x-ndjson",
	}
}

// usages201 is a job of the Usage Transparency Service with one usage too many.
func usages201() string {
	one := `{"value":1,"unit":"asset","datetime":"2026-01-05T08:00:00Z"}`
	return `{"users":[{"tenantId":"acme","userId":"u1","resources":[{"application":"assetmonitor","resource":"plant-1","usages":[` +
		one + strings.Repeat(","+one, 200) + `]}]}]}`
}

// sections cuts blocks where a heading of the second level begins.
func sections(t testing.TB, name string) map[string][]walk.Block {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	out := map[string][]walk.Block{}
	line := 1
	for i, part := range strings.Split(string(text), "\n## ") {
		title, _, _ := strings.Cut(part, "\n")
		blocks, err := walk.Blocks(part)
		require.NoError(t, err)
		for j := range blocks {
			blocks[j].Line += line - 1
		}
		line += strings.Count(part, "\n") + 1
		if i > 0 {
			out[title] = blocks
		}
	}
	return out
}

// TestExamples runs every worked example at the clock that it was worked out for.
func TestExamples(t *testing.T) {
	t.Parallel()
	for title, blocks := range sections(t, "testdata/examples.md") {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			runExamples(t, blocks)
		})
	}
}

func runExamples(t *testing.T, blocks []walk.Block) {
	t.Helper()
	name := "config.json"
	if len(blocks) > 0 && blocks[0].Language == "config" {
		name = changed(t, blocks[0].Text)
		blocks = blocks[1:]
	}
	c, err := readConfig(name)
	require.NoError(t, err)
	clock := usagetest.NewClock(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC))
	s, err := open(t, c, serverOptions{now: clock.Now})
	require.NoError(t, err)
	base := serve(t, s)
	session := walk.Session{Vars: variables(base), Exact: true}
	session.Vars["USAGES201"] = usages201()
	require.NoError(t, session.Run(t.Context(), blocks, func(b walk.Block) error {
		at, err := time.Parse(time.RFC3339, strings.TrimSpace(b.Text))
		if b.Language != "clock" {
			err = fmt.Errorf("a block of language %q", b.Language)
		}
		clock.Set(at)
		return err
	}))
}

// changed writes the demonstration's config with other values for some keys.
func changed(t *testing.T, text string) string {
	t.Helper()
	var have, other map[string]json.RawMessage
	demo, err := os.ReadFile("config.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(demo, &have))
	require.NoError(t, json.Unmarshal([]byte(text), &other))
	maps.Copy(have, other)
	out, err := json.Marshal(have)
	require.NoError(t, err)
	return written(t, string(out))
}

// serve runs a server over loopback until the test ends and returns its address.
func serve(t *testing.T, s *server) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended, ready := make(chan error, 1), make(chan struct{})
	ctx, stop := context.WithCancel(context.Background())
	go func() { ended <- s.run(ctx, listener, func() { close(ready) }) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
	<-ready
	return "http://" + listener.Addr().String()
}

// contract returns the folder of the vendors' contracts, which is not part of the
// repository. Without the variable the test skips; with it, a missing file fails.
func contract(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("USAGEBOOK_SHARED")
	if dir == "" {
		t.Skip("USAGEBOOK_SHARED is not set: the contracts are not part of the repository")
	}
	return filepath.Join(dir, "contracts")
}

// jobID is that of the contract.
const jobID = "35a4cb01-2497-4191-ad1c-551a1942c409-20260120000"

// TestExamplesAreAll: each request, record and answer of the contract's worked examples is
// among those that TestExamples runs.
func TestExamplesAreAll(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(contract(t), "mapping.md"))
	require.NoError(t, err)
	_, examples, ok := strings.Cut(string(text), "\n## 1. ")
	require.True(t, ok)
	examples, _, ok = strings.Cut(examples, "\n## 6. ")
	require.True(t, ok)

	var commands strings.Builder
	var answers []string
	for _, blocks := range sections(t, "testdata/examples.md") {
		for _, b := range blocks {
			switch b.Language {
			case "sh":
				commands.WriteString(b.Text)
			case "http":
				_, body, ok := strings.Cut(b.Text, "\n\n")
				require.True(t, ok)
				answers = append(answers, strings.TrimSpace(body))
			case "json":
				answers = append(answers, strings.TrimSpace(b.Text))
			}
		}
	}
	isSent := func(text string) bool { return strings.Contains(commands.String(), text) }
	isAnswer := func(body string) bool {
		return slices.ContainsFunc(answers, func(a string) bool {
			return walk.MatchText(a, body, map[string]string{"BASE": "http://HOST", "JOB": jobID}) == nil
		})
	}

	blocks, err := walk.Blocks(examples)
	require.NoError(t, err)
	records, bodies, requests := 0, 0, 0
	for _, b := range blocks {
		if b.Language == "json" {
			bodies++
			body := strings.TrimSpace(b.Text)
			require.True(t, isSent(body) || isAnswer(body), body)
			continue
		}
		for line := range strings.Lines(b.Text) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), "   recorded ")
			if strings.HasPrefix(line, "{") { // the others say what differs from it
				records++
				require.True(t, isSent(line), line)
			}
		}
	}
	for _, m := range regexp.MustCompile("`(?:(GET|POST) )?(/[^`…]+|\\{\"[^`…]+\\})`").FindAllStringSubmatch(examples, -1) {
		switch method, text := m[1], m[2]; {
		case method != "" && !strings.HasPrefix(text, "/users/"): // that is an example of a mux
			requests++
			require.True(t, isSent(`"$BASE`+strings.ReplaceAll(text, jobID, "$JOB")+`"`), text)
		case strings.HasPrefix(text, `{"tenant"`): // a record, as the native route shows it
			bodies++
			_, rest, _ := strings.Cut(text, `"id":"`+jobID)
			rest = `{"id":"$JOB` + strings.Replace(strings.TrimSuffix(rest, "}"), `,"meter"`, `,"source":"uts","tenant":"acme","meter"`, 1) + ","
			require.True(t, slices.ContainsFunc(answers, func(a string) bool { return strings.Contains(a, rest) }), rest)
		case strings.HasPrefix(text, `{"`):
			bodies++
			require.True(t, isSent(text) || isAnswer(text), text)
		}
	}
	require.Equal(t, []int{12, 29, 18}, []int{records, bodies, requests})
}
