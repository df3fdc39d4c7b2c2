package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// outcomeLine is a line of the output of -vectors as another program reads it.
type outcomeLine struct {
	List  string
	I     int
	IDs   []int64
	Error *struct {
		Message string
		At      *int
	}
}

// outcomes runs the program over a file of rows with all vectors.
func outcomes(t *testing.T, rows, vectors string) map[string][]outcomeLine {
	t.Helper()
	r := runWith(t, "-schema", rows, "-rows", rows, "-vectors", vectors)
	require.Zero(t, r.code, r.stderr)
	lists := map[string][]outcomeLine{}
	for text := range strings.Lines(r.stdout) {
		var line outcomeLine
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		require.NoError(t, d.Decode(&line))
		require.Len(t, lists[line.List], line.I, "in the order of the file")
		require.NotEqual(t, line.IDs == nil, line.Error == nil, "ids or an error: %s", text)
		if line.Error != nil {
			require.NotEmpty(t, line.Error.Message)
			require.NotNil(t, line.Error.At)
		}
		lists[line.List] = append(lists[line.List], line)
	}
	return lists
}

// All public vectors, by the way that a user takes: every valid one has the ids of
// the file, every invalid one is refused.
func TestPublicVectors(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("USAGEBOOK_SHARED")
	if dir == "" {
		t.Skip("USAGEBOOK_SHARED is not set: the vectors are not part of the repository")
	}
	dir = filepath.Join(dir, "odata")
	path := filepath.Join(dir, "public.json")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var file struct {
		Valid []struct {
			Dataset, Filter, OrderBy string
			IDs                      []int64
		}
		Invalid []struct{ Input string }
	}
	require.NoError(t, json.Unmarshal(text, &file))
	require.GreaterOrEqual(t, len(file.Valid), 1394)
	require.GreaterOrEqual(t, len(file.Invalid), 400)

	sets := map[string]map[string][]outcomeLine{}
	for _, name := range []string{"focus", "edge"} {
		sets[name] = outcomes(t, filepath.Join(dir, name+"_rows.json"), path)
		require.Len(t, sets[name]["valid"], len(file.Valid))
		require.Len(t, sets[name]["invalid"], len(file.Invalid))
	}
	for i, v := range file.Valid {
		got := sets[v.Dataset]["valid"][i]
		require.Nil(t, got.Error, "%s: %s order by %s: %+v", v.Dataset, v.Filter, v.OrderBy, got.Error)
		require.Equal(t, v.IDs, got.IDs, "%s: %s order by %s", v.Dataset, v.Filter, v.OrderBy)
	}
	// The file does not say which rows an input was made for, so that it counts as
	// refused only where both refuse it. At least 98 of 100 have to be; all are.
	for i, v := range file.Invalid {
		for name, lists := range sets {
			require.NotNil(t, lists["invalid"][i].Error, "%s is read with the fields of %s", v.Input, name)
		}
	}
}
