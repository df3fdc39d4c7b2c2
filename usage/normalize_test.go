package usage

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// printable looks at eight bytes at a time; here every byte stands in every
// place, held against one byte at a time.
func TestPrintable(t *testing.T) {
	t.Parallel()
	for length := 1; length <= 17; length++ {
		for at := range length {
			for c := range 256 {
				for _, others := range []string{" ", "~", "a"} {
					text := []byte(strings.Repeat(others, length))
					text[at] = byte(c)
					require.Equal(t, c >= 0x20 && c < 0x7f, printable(string(text)), "%q", text)
				}
			}
		}
	}
	require.True(t, printable(""))
}

func FuzzCheckText(f *testing.F) {
	for _, s := range []string{"", "plain", "eight by", "eight by\x7f", "naïve names", "\x00", "tab\t", "\u0085", "\xff", strings.Repeat("n", 129)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		require.Equal(t, textFault("name", s, maxNameBytes), checkText("name", s, maxNameBytes))
	})
}
