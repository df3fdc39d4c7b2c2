package paginate_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"math/bits"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/paginate"
)

var (
	binding = paginate.Binding{Scope: paginate.Digest("tenant", "acme"), Query: paginate.Digest("sum(quantity)", "day")}
	keyA    = paginate.Key{ID: "2026-a", Secret: []byte("0123456789abcdef0123456789abcdef")}
	keyB    = paginate.Key{ID: "2026-b", Secret: []byte("fedcba9876543210fedcba9876543210")}
	noon    = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.FixedZone("", 3600))
)

func at(t time.Time) func() time.Time { return func() time.Time { return t } }

func newSealer(t testing.TB, opts paginate.Options) *paginate.Sealer {
	t.Helper()
	if opts.Keys == nil {
		opts.Keys = []paginate.Key{keyA}
	}
	if opts.Now == nil {
		opts.Now = at(noon)
	}
	s, err := paginate.New(&opts)
	require.NoError(t, err)
	return s
}

func everyValue() []paginate.Value {
	return []paginate.Value{
		paginate.Null(),
		paginate.Bool(false),
		paginate.Bool(true),
		paginate.Integer(-1 << 63),
		paginate.Integer(1<<63 - 1),
		paginate.Decimal(decimal.RequireFromString("-13438.712904456820057")),
		paginate.Decimal(decimal.RequireFromString("1e30")),
		paginate.Time(noon),
		paginate.Time(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)),
		paginate.String(""),
		paginate.String("Zürich 東京 \x00\n'%_\\"),
		paginate.String("\xff not UTF-8"),
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	s := newSealer(t, paginate.Options{Lifetime: time.Hour})
	in := paginate.Token{Binding: binding, Mark: 1<<64 - 1, Extra: "10:20:11,12", Keys: everyValue(), Seen: 1<<63 - 1, Total: 7}
	text, err := s.Seal(in)
	require.NoError(t, err)
	require.NotContains(t, text, "=")
	out, err := s.Open(text, binding)
	require.NoError(t, err)
	in.Issued = time.Date(2026, 3, 1, 11, 0, 0, 123456000, time.UTC)
	in.Expires = in.Issued.Add(time.Hour)
	require.Equal(t, in, out)

	again, err := s.Seal(out)
	require.NoError(t, err)
	require.Equal(t, text, again, "sealing what was opened gives the same text")
}

func TestRoundTripOfNearlyNothing(t *testing.T) {
	t.Parallel()
	s := newSealer(t, paginate.Options{})
	text, err := s.Seal(paginate.Token{})
	require.NoError(t, err)
	out, err := s.Open(text, paginate.Binding{})
	require.NoError(t, err)
	require.Equal(t, paginate.Token{Issued: noon.UTC().Truncate(time.Microsecond)}, out)
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	s := newSealer(t, paginate.Options{})
	good, err := s.Seal(paginate.Token{Binding: binding, Mark: 5, Keys: []paginate.Value{paginate.Integer(1)}})
	require.NoError(t, err)
	raw, err := base64.RawURLEncoding.DecodeString(good)
	require.NoError(t, err)
	with := func(change func([]byte) []byte) string {
		return base64.RawURLEncoding.EncodeToString(change(append([]byte(nil), raw...)))
	}
	set := func(i int, b byte) string {
		return with(func(r []byte) []byte { r[i] = b; return r })
	}
	other := binding
	other.Scope[31] ^= 1
	otherQuery := binding
	otherQuery.Query[0] ^= 128
	both := paginate.Binding{Scope: other.Scope, Query: otherQuery.Query}

	for _, tc := range []struct {
		name    string
		text    string
		binding paginate.Binding
		want    error
	}{
		{"empty", "", binding, paginate.ErrToken},
		{"one letter", "A", binding, paginate.ErrToken},
		{"version alone", "AQ", binding, paginate.ErrToken},
		{"too long", strings.Repeat("A", paginate.DefaultMaxLength+1), binding, paginate.ErrToken},
		{"padding", good + "=", binding, paginate.ErrToken},
		{"standard alphabet", strings.Repeat("+", len(good)), binding, paginate.ErrToken},
		{"line feed inside", good[:9] + "\n" + good[9:], binding, paginate.ErrToken},
		{"carriage return at the end", good + "\r", binding, paginate.ErrToken},
		{"space", " " + good, binding, paginate.ErrToken},
		{"not ASCII", "é" + good, binding, paginate.ErrToken},
		{"cut", good[:len(good)-4], binding, paginate.ErrToken},
		{"longer", good + "AAAA", binding, paginate.ErrToken},
		{"version 0", set(0, 0), binding, paginate.ErrTokenVersion},
		{"version 2", set(0, 2), binding, paginate.ErrTokenVersion},
		{"key id longer than the token", set(1, 255), binding, paginate.ErrToken},
		{"other key id", set(2, 'x'), binding, paginate.ErrTokenKey},
		{"key id cut", set(1, 3), binding, paginate.ErrTokenKey},
		{"signature", set(len(raw)-1, raw[len(raw)-1]^1), binding, paginate.ErrToken},
		{"other scope", good, other, paginate.ErrTokenScope},
		{"other query", good, otherQuery, paginate.ErrTokenQuery},
		{"other scope and query", good, both, paginate.ErrTokenScope},
		{"zero binding", good, paginate.Binding{}, paginate.ErrTokenScope},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			out, err := s.Open(tc.text, tc.binding)
			require.ErrorIs(t, err, tc.want)
			require.ErrorIs(t, err, paginate.ErrToken, "every refusal is ErrToken")
			var typed *paginate.TokenError
			require.ErrorAs(t, err, &typed)
			require.Equal(t, tc.want, typed.Err, "the sentinel is this one and not a neighbour")
			require.Zero(t, out)
		})
	}
}

// TestEveryBit changes each bit of a token, in the bytes and in the text, and
// the last letter to every other. The three lengths leave none, two and four
// spare bits there.
func TestEveryBit(t *testing.T) {
	t.Parallel()
	for _, extra := range []string{"", "x", "xy"} {
		s := newSealer(t, paginate.Options{Keys: []paginate.Key{keyA, keyB}, Lifetime: time.Hour})
		good, err := s.Seal(paginate.Token{Binding: binding, Mark: 300, Extra: extra, Keys: everyValue(), Seen: 20})
		require.NoError(t, err)
		raw, err := base64.RawURLEncoding.DecodeString(good)
		require.NoError(t, err)
		for i := range len(raw) * 8 {
			raw[i/8] ^= 1 << (i % 8)
			_, err := s.Open(base64.RawURLEncoding.EncodeToString(raw), binding)
			raw[i/8] ^= 1 << (i % 8)
			require.ErrorIs(t, err, paginate.ErrToken, "bit %d", i)
		}
		text := []byte(good)
		for i := range text {
			kept := text[i]
			for b := range 256 {
				if i < len(text)-1 && bits.OnesCount8(byte(b)^kept) > 1 {
					continue // any letter at the end, one bit elsewhere
				}
				if text[i] = byte(b); text[i] != kept {
					_, err := s.Open(string(text), binding)
					require.ErrorIs(t, err, paginate.ErrToken, "letter %d is %q", i, b)
				}
			}
			text[i] = kept
		}
		for n := range len(good) {
			_, err := s.Open(good[:n], binding)
			require.ErrorIs(t, err, paginate.ErrToken, "cut to %d", n)
		}
	}
}

// TestLayout holds the bytes of version 1: a token that was issued before an
// upgrade has to open after it.
func TestLayout(t *testing.T) {
	t.Parallel()
	s := newSealer(t, paginate.Options{Keys: []paginate.Key{{ID: "k", Secret: []byte("0123456789abcdef")}}})
	text, err := s.Seal(paginate.Token{Issued: time.UnixMicro(-1), Expires: time.UnixMicro(2), Mark: 300, Extra: "x", Seen: 2, Total: 9, Keys: []paginate.Value{
		paginate.Null(), paginate.Bool(true), paginate.Integer(-1), paginate.Decimal(decimal.New(15, -1)), paginate.Time(time.UnixMicro(64)), paginate.String("é"),
	}})
	require.NoError(t, err)
	raw, err := base64.RawURLEncoding.DecodeString(text)
	require.NoError(t, err)
	content, signature := raw[:len(raw)-32], raw[len(raw)-32:]
	want := "\x01" + "\x01k" + strings.Repeat("\x00", 64) +
		"\xac\x02" + "\x02" + "\x09" + // mark, seen, total
		"\x01" + "\x01\x04" + // issued, expires
		"\x01x" + "\x06" + "\x00" + "\x01\x01" + "\x02\x01" + "\x03\x031.5" + "\x04\x80\x01" + "\x05\x02é"
	require.Equal(t, want, string(content))
	mac := hmac.New(sha256.New, []byte("0123456789abcdef"))
	mac.Write([]byte("usagebook page token\x00" + want))
	require.Equal(t, mac.Sum(nil), signature)
}

func TestRotation(t *testing.T) {
	t.Parallel()
	old := newSealer(t, paginate.Options{Keys: []paginate.Key{keyA}})
	turned := newSealer(t, paginate.Options{Keys: []paginate.Key{keyB, keyA}})
	gone := newSealer(t, paginate.Options{Keys: []paginate.Key{keyB}})

	fromOld, err := old.Seal(paginate.Token{Binding: binding})
	require.NoError(t, err)
	_, err = turned.Open(fromOld, binding)
	require.NoError(t, err, "the old key still verifies")
	_, err = gone.Open(fromOld, binding)
	require.ErrorIs(t, err, paginate.ErrTokenKey)

	fromTurned, err := turned.Seal(paginate.Token{Binding: binding})
	require.NoError(t, err)
	_, err = gone.Open(fromTurned, binding)
	require.NoError(t, err, "the first key signs")
	_, err = old.Open(fromTurned, binding)
	require.ErrorIs(t, err, paginate.ErrTokenKey)

	impostor := newSealer(t, paginate.Options{Keys: []paginate.Key{{ID: keyA.ID, Secret: keyB.Secret}}})
	_, err = impostor.Open(fromOld, binding)
	require.ErrorIs(t, err, paginate.ErrToken)
	require.False(t, errors.Is(err, paginate.ErrTokenKey), "the id is known, the signature is wrong")
}

func TestProcessKey(t *testing.T) {
	t.Parallel()
	here, err := paginate.New(nil)
	require.NoError(t, err)
	there, err := paginate.New(&paginate.Options{})
	require.NoError(t, err)
	text, err := here.Seal(paginate.Token{Binding: binding})
	require.NoError(t, err)
	_, err = here.Open(text, binding)
	require.NoError(t, err)
	_, err = there.Open(text, binding)
	require.ErrorIs(t, err, paginate.ErrTokenKey)
}

func TestSecretIsCopied(t *testing.T) {
	t.Parallel()
	secret := []byte("0123456789abcdef")
	s := newSealer(t, paginate.Options{Keys: []paginate.Key{{ID: "k", Secret: secret}}})
	before, err := s.Seal(paginate.Token{Binding: binding})
	require.NoError(t, err)
	secret[0] = 'X'
	after, err := s.Seal(paginate.Token{Binding: binding})
	require.NoError(t, err)
	require.Equal(t, before, after)
	fresh := newSealer(t, paginate.Options{Keys: []paginate.Key{{ID: "k", Secret: []byte("0123456789abcdef")}}})
	_, err = fresh.Open(after, binding)
	require.NoError(t, err)
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	noon := noon.Truncate(time.Microsecond) // to stand exactly on the end of a life
	now := noon
	s := newSealer(t, paginate.Options{Lifetime: time.Hour, Now: func() time.Time { return now }})
	text, err := s.Seal(paginate.Token{Binding: binding})
	require.NoError(t, err)

	now = noon.Add(time.Hour - time.Nanosecond)
	first, err := s.Open(text, binding)
	require.NoError(t, err)
	now = noon.Add(time.Hour)
	_, err = s.Open(text, binding)
	require.ErrorIs(t, err, paginate.ErrTokenExpired, "the end of its life is no longer in it")
	other := binding
	other.Query[3]++
	_, err = s.Open(text, other)
	require.ErrorIs(t, err, paginate.ErrTokenQuery, "a wrong query is told before an old age")

	now = noon.Add(30 * time.Minute)
	carried, err := s.Seal(paginate.Token{Binding: binding, Issued: first.Issued, Expires: first.Expires})
	require.NoError(t, err)
	require.Equal(t, text, carried, "a walk can keep the life of its first page")

	forever := newSealer(t, paginate.Options{Now: at(noon.AddDate(100, 0, 0))})
	ageless, err := newSealer(t, paginate.Options{}).Seal(paginate.Token{Binding: binding})
	require.NoError(t, err)
	out, err := forever.Open(ageless, binding)
	require.NoError(t, err)
	require.True(t, out.Expires.IsZero())
	_, err = forever.Open(text, binding)
	require.ErrorIs(t, err, paginate.ErrTokenExpired, "the token's own life counts, not the opener's setting")
}

func TestSealRefuses(t *testing.T) {
	t.Parallel()
	s := newSealer(t, paginate.Options{})
	long := make([]paginate.Value, paginate.MaxKeys+1)
	for _, tc := range []struct {
		name  string
		token paginate.Token
		want  error
	}{
		{"negative seen", paginate.Token{Seen: -1}, paginate.ErrValue},
		{"negative total", paginate.Token{Total: -1}, paginate.ErrValue},
		{"long extra", paginate.Token{Extra: strings.Repeat("x", paginate.MaxExtra+1)}, paginate.ErrValue},
		{"many keys", paginate.Token{Keys: long}, paginate.ErrValue},
		{"decimal with a huge exponent", paginate.Token{Keys: []paginate.Value{paginate.Decimal(decimal.New(1, 1<<30))}}, paginate.ErrValue},
		{"decimal with a tiny exponent", paginate.Token{Keys: []paginate.Value{paginate.Decimal(decimal.New(1, -1<<30))}}, paginate.ErrValue},
		{"time far away", paginate.Token{Keys: []paginate.Value{paginate.Time(time.Unix(1<<60, 0))}}, paginate.ErrValue},
		{"issued far away", paginate.Token{Issued: time.Unix(1<<60, 0)}, paginate.ErrValue},
		{"long string", paginate.Token{Keys: []paginate.Value{paginate.String(strings.Repeat("x", paginate.DefaultMaxLength))}}, paginate.ErrTokenLength},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			text, err := s.Seal(tc.token)
			require.ErrorIs(t, err, tc.want)
			require.Empty(t, text)
		})
	}
}

// TestLengthLimit seals cursors around the limit: what Seal gives, Open takes.
func TestLengthLimit(t *testing.T) {
	t.Parallel()
	for _, most := range []int{512, 4096, 10_000} {
		s := newSealer(t, paginate.Options{MaxLength: most})
		var sealed, refused int
		for n := most*3/4 - 300; n < most*3/4; n += 5 {
			text, err := s.Seal(paginate.Token{Binding: binding, Keys: []paginate.Value{paginate.String(strings.Repeat("é", n/2))}})
			if err != nil {
				require.ErrorIs(t, err, paginate.ErrTokenLength)
				refused++
				continue
			}
			sealed++
			require.LessOrEqual(t, len(text), most)
			_, err = s.Open(text, binding)
			require.NoError(t, err)
		}
		require.Positive(t, sealed)
		require.Positive(t, refused)
	}
}

func TestNewListsEveryFault(t *testing.T) {
	t.Parallel()
	_, err := paginate.New(&paginate.Options{
		Keys: []paginate.Key{
			{ID: "", Secret: keyA.Secret},
			{ID: "short", Secret: []byte("fifteen bytes..")},
			keyA,
			{ID: keyA.ID, Secret: keyB.Secret},
			{ID: strings.Repeat("k", paginate.MaxKeyID+1), Secret: keyA.Secret},
		},
		Lifetime:  -time.Second,
		MaxLength: 100,
	})
	require.EqualError(t, err, strings.Join([]string{
		`paginate: max length 100 is outside 512 to 1048576`,
		`paginate: lifetime -1s is negative; zero means for ever`,
		`paginate: key 0: id has 0 bytes, 1 to 64 are allowed`,
		`paginate: key 1 ("short"): secret has 15 bytes, at least 16 are needed`,
		`paginate: key 3: id "2026-a" is given twice`,
		`paginate: key 4: id has 65 bytes, 1 to 64 are allowed`,
	}, "\n"))
	require.NotContains(t, err.Error(), "fifteen", "a secret is never printed")
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	s := newSealer(t, paginate.Options{Keys: []paginate.Key{keyA, keyB}})
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 200 {
				b := paginate.Binding{Scope: paginate.Digest("tenant", string(rune('a'+worker)))}
				text, err := s.Seal(paginate.Token{Binding: b, Mark: uint64(i), Keys: []paginate.Value{paginate.Integer(int64(worker))}})
				if err != nil {
					t.Error(err)
					return
				}
				out, err := s.Open(text, b)
				if err != nil || out.Mark != uint64(i) {
					t.Errorf("worker %d: mark %d, %v", worker, out.Mark, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestDigest(t *testing.T) {
	t.Parallel()
	lists := [][]string{nil, {""}, {"", ""}, {"a"}, {"a", ""}, {"", "a"}, {"ab"}, {"a", "b"}, {"b", "a"}, {"ab", "c"}, {"a", "bc"},
		{"a\x00\x00\x00\x00\x00\x00\x00\x01b"}, {"a", "\x01b"}}
	seen := map[[32]byte]int{}
	for i, list := range lists {
		sum := paginate.Digest(list...)
		before, twice := seen[sum]
		require.False(t, twice, "lists %d and %d collide", before, i)
		seen[sum] = i
	}
	require.Equal(t, paginate.Digest("a", "bc"), paginate.Digest([]byte("a"), []byte("bc")), "strings and bytes are the same parts")
}
