package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// These tests prove the program alive and its answers right, and nothing of speed.

func TestHTTP(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	file := filepath.Join(t.TempDir(), "report.md")
	require.NoError(t, run(t.Context(), []string{"-records", "100000", "-batches", "5", "-clients", "2", "-turns", "2", "-report", file, "http"}, &out))
	require.Regexp(t, `(?m)^ *ingest +\d+ records/s.* of its rate .*$`, out.String())
	require.Regexp(t, `(?m)^ *page .* of its time .*$`, out.String())
	report, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Regexp(t, `(?m)^\| page \| .* of its time \|`, string(report))
}

func TestArguments(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-records", "1"}, {"more"}, {"-turns", "0"}} {
		require.Error(t, run(t.Context(), args, new(bytes.Buffer)), "%v", args)
	}
}
