package paginate

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestIsCanonical holds the check against the writer on every short text.
func TestIsCanonical(t *testing.T) {
	t.Parallel()
	texts := []string{""}
	for from := 0; from < len(texts) && len(texts[from]) < 5; from++ {
		for _, c := range "-+.015" {
			texts = append(texts, texts[from]+string(c))
		}
	}
	for _, text := range texts {
		canon, err := canonical(text)
		require.Equal(t, err == nil && canon == text, isCanonical(text), "%q", text)
	}
}
