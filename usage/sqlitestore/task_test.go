package sqlitestore_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
)

// A version that nothing can have is none that is there, and nothing is inserted.
func TestTaskOfTheLastVersion(t *testing.T) {
	t.Parallel()
	s := openStore(t, temp(t), nil)
	task := &usage.Task{Kind: "job", ID: "x", Owner: "o", Version: math.MaxUint64}
	require.ErrorIs(t, s.PutTask(t.Context(), task), usage.ErrTaskChanged)
	_, err := s.Task(t.Context(), "job", "x")
	require.ErrorIs(t, err, usage.ErrNotFound)
}
