package paginate_test

import (
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/paginate"
)

// FuzzOpen opens arbitrary texts, and a sound token with one bit changed. Only
// a text that Seal gave may pass, and it must then seal to itself again.
func FuzzOpen(f *testing.F) {
	s := newSealer(f, paginate.Options{Keys: []paginate.Key{keyA, keyB}})
	good, err := s.Seal(paginate.Token{Binding: binding, Mark: 9, Extra: "x", Keys: everyValue(), Seen: 3})
	require.NoError(f, err)
	raw, err := base64.RawURLEncoding.DecodeString(good)
	require.NoError(f, err)
	f.Add(good, uint16(0))
	f.Add("", uint16(7))
	f.Add(good+"\n", uint16(99))
	f.Add("AQYyMDI2LWE", uint16(len(raw)*8-1))
	f.Fuzz(func(t *testing.T, text string, bit uint16) {
		out, err := s.Open(text, binding)
		if err != nil {
			require.ErrorIs(t, err, paginate.ErrToken)
			require.Zero(t, out)
		} else {
			again, err := s.Seal(out)
			require.NoError(t, err)
			require.Equal(t, text, again)
		}

		i := int(bit) % (len(raw) * 8)
		changed := append([]byte(nil), raw...)
		changed[i/8] ^= 1 << (i % 8)
		_, err = s.Open(base64.RawURLEncoding.EncodeToString(changed), binding)
		require.ErrorIs(t, err, paginate.ErrToken)
	})
}

// FuzzCursor seals cursors of arbitrary content and opens them again.
func FuzzCursor(f *testing.F) {
	s := newSealer(f, paginate.Options{})
	f.Add("Zürich", "-12.50", int64(5), true, uint64(7))
	f.Add("\xff\x00", "1e9", int64(-1), false, uint64(1<<63))
	f.Fuzz(func(t *testing.T, text, number string, n int64, b bool, mark uint64) {
		keys := []paginate.Value{paginate.String(text), paginate.Null(), paginate.Integer(n), paginate.Bool(b)}
		if v, err := paginate.ParseDecimal(number); err == nil {
			keys = append(keys, v)
			again, err := paginate.ParseDecimal(v.String())
			require.NoError(t, err)
			require.Equal(t, v, again)
			d, ok := v.Decimal()
			require.True(t, ok)
			require.Equal(t, v, paginate.Decimal(d))
		} else {
			require.ErrorIs(t, err, paginate.ErrValue)
		}
		sealed, err := s.Seal(paginate.Token{Binding: binding, Mark: mark, Keys: keys})
		if err != nil {
			require.ErrorIs(t, err, paginate.ErrTokenLength)
			return
		}
		out, err := s.Open(sealed, binding)
		require.NoError(t, err)
		require.Equal(t, keys, out.Keys)
		require.Equal(t, mark, out.Mark)
		require.Zero(t, paginate.CompareKeys(keys, out.Keys))
	})
}
