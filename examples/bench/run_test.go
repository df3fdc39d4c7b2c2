package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRun proves the program alive and its answers right, and nothing of speed.
func TestRun(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-records", "100000", "-batches", "5", "-clients", "2", "-turns", "2"}, &out))
	require.Regexp(t, `(?m)^ *ingest +\d+ records/s.* of its rate *$`, out.String())
	require.Regexp(t, `(?m)^ *page .* of its time *$`, out.String())
	require.Error(t, run(t.Context(), []string{"-records", "1"}, &out))
	require.Error(t, run(t.Context(), []string{"more"}, &out))
}
