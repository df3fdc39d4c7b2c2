package native_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter/internal/golden"
)

// textFile compares a text with the file of that name under testdata.
func textFile(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if golden.Update() {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), got, "go test -update rewrites the golden files")
}
