package memstore

import (
	"cmp"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPackID(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		id   string
		form uint8
		size int
	}{
		"uuid":                   {"0190b3f2-5c1e-7abc-8def-0123456789ab", idUUID, 16},
		"uuid in upper case":     {"0190B3F2-5C1E-7ABC-8DEF-0123456789AB", idText, 36},
		"uuid with a wrong dash": {"0190b3f25-c1e-7abc-8def-0123456789ab", idText, 36},
		"uuid with a wrong end":  {"0190b3f2-5c1e-7abc-8def-0123456789ag", idText, 36},
		"uuid, dash too many":    {"0190b3f2-5c1e-7abc-8def-0123456-89ab", idText, 36},
		"hex":                    {strings.Repeat("0f", 16), idHex, 16},
		"hex in upper case":      {strings.Repeat("0F", 16), idText, 32},
		"digits":                 {"00000123", idHex, 4},
		"odd":                    {"123", idOdd, 2},
		"odd with a zero":        {"012", idOdd, 2},
		"one digit":              {"0", idOdd, 1},
		"one letter":             {"g", idText, 1},
		"text":                   {"order-17", idText, 8},
		"empty":                  {"", idText, 0},
		"late fault":             {"0123456789abcdeX", idText, 16},
		"late odd fault":         {"0123456789abcdX", idText, 15},
		"longest":                {strings.Repeat("a", 256), idHex, 128},
		"longest odd":            {strings.Repeat("b", 255), idOdd, 128},
		"bytes like no text":     {"\xff\x00\x80", idText, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kept, form := packID([]byte("before"), c.id)
			require.Equal(t, "before", string(kept[:6]))
			kept = kept[6:]
			require.Equal(t, c.form, form)
			require.Len(t, kept, c.size)
			require.Equal(t, c.id, idString(form, kept))
		})
	}
}

// Every character in every place, held against one digit at a time.
func TestPackDigits(t *testing.T) {
	t.Parallel()
	for at := range 8 {
		for c := range 256 {
			for _, others := range []string{"00000000", "ffffffff", "9a0f81b6"} {
				text := []byte(others)
				text[at] = byte(c)
				s := string(text)
				v, ok := packDigits(fourBytes(s), fourBytes(s[4:]))
				want, err := hex.DecodeString(s)
				require.Equal(t, err == nil && strings.ToLower(s) == s, ok, "%q", s)
				if ok {
					require.Equal(t, want, []byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24)}, "%q", s)
				}
			}
		}
	}
}

func FuzzPack(f *testing.F) {
	for _, s := range []string{"", "0", "00", "0190b3f2-5c1e-7abc-8def-0123456789ab", "abc", "ABC", "-", "00000000000000000000000000000000"} {
		f.Add(s, s+"0")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		a, b = a[:min(len(a), 256)], b[:min(len(b), 256)]
		x, xf := packID(nil, a)
		y, yf := packID(nil, b)
		if got := idString(xf, x); got != a {
			t.Fatalf("%q comes back as %q", a, got)
		}
		if same := xf == yf && string(x) == string(y); same != (a == b) {
			t.Fatalf("%q and %q are kept alike: %v", a, b, same)
		}
		if got := compareIDs(xf, x, yf, y); got != cmp.Compare(a, b) {
			t.Fatalf("%q and %q compare as %d", a, b, got)
		}
		if got := compareID(xf, x, b); got != cmp.Compare(a, b) {
			t.Fatalf("%q and %q compare as %d", a, b, got)
		}
	})
}
