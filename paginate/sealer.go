package paginate

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"
	"sync"
	"time"
)

const (
	// DefaultMaxLength is the length of the longest token text where
	// Options.MaxLength says nothing: half of the 8 KiB that common proxies and
	// servers allow a request line to have, as the rest of the URL needs room.
	DefaultMaxLength = 4 << 10

	// MinSecret is the length of the shortest secret, in bytes.
	MinSecret = 16

	// MaxKeyID is the length of the longest key id, in bytes: ids travel in
	// every token.
	MaxKeyID = 64

	// minMaxLength leaves room for the fixed part and an empty cursor.
	minMaxLength = 512
	maxMaxLength = 1 << 20
)

// Key signs and verifies tokens.
type Key struct {
	// ID names the key in the tokens it signs: 1 to MaxKeyID bytes, not secret,
	// unique among the keys, and never used again for another secret.
	ID string
	// Secret is the HMAC secret: at least MinSecret bytes, 32 random bytes are
	// best. It is copied.
	Secret []byte
}

// Options configure a Sealer. Nil and the zero value both work.
type Options struct {
	// Keys sign and verify: the first one signs, all of them verify. Defaults to
	// one random key of this process, so that its tokens mean nothing to any
	// other process or after a restart.
	Keys []Key

	// Lifetime is how long a token is good after it was issued. Not negative;
	// zero means for ever. Defaults to zero.
	Lifetime time.Duration

	// MaxLength is the length of the longest token text, in bytes, for Seal and
	// Open alike; 512 to 1,048,576. Defaults to DefaultMaxLength.
	MaxLength int

	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
}

// Sealer seals and opens tokens. It is safe for concurrent use. Make one with New.
type Sealer struct {
	keys      map[string]*signer
	signer    *signer
	lifetime  time.Duration
	maxLength int
	now       func() time.Time
	scratch   sync.Pool // of *scratch
}

// scratch is the room in which one token is put together or taken apart.
type scratch struct {
	raw, text []byte
}

// New returns a sealer with the options given, which it copies. The error lists
// every fault of the options.
func New(opts *Options) (*Sealer, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	s := &Sealer{keys: make(map[string]*signer, len(o.Keys)), lifetime: o.Lifetime, maxLength: o.MaxLength, now: o.Now}
	s.scratch.New = func() any { return new(scratch) }
	if s.now == nil {
		s.now = time.Now
	}
	if s.maxLength == 0 {
		s.maxLength = DefaultMaxLength
	}
	var faults []error
	if s.maxLength < minMaxLength || s.maxLength > maxMaxLength {
		faults = append(faults, fmt.Errorf("paginate: max length %d is outside %d to %d", s.maxLength, minMaxLength, maxMaxLength))
	}
	if s.lifetime < 0 {
		faults = append(faults, fmt.Errorf("paginate: lifetime %s is negative; zero means for ever", s.lifetime))
	}
	keys := o.Keys
	if len(keys) == 0 {
		keys = []Key{randomKey()}
	}
	for i, key := range keys {
		switch {
		case key.ID == "" || len(key.ID) > MaxKeyID:
			faults = append(faults, fmt.Errorf("paginate: key %d: id has %d bytes, 1 to %d are allowed", i, len(key.ID), MaxKeyID))
			continue
		case s.keys[key.ID] != nil:
			faults = append(faults, fmt.Errorf("paginate: key %d: id %q is given twice", i, key.ID))
			continue
		case len(key.Secret) < MinSecret:
			faults = append(faults, fmt.Errorf("paginate: key %d (%q): secret has %d bytes, at least %d are needed", i, key.ID, len(key.Secret), MinSecret))
			continue
		}
		s.keys[key.ID] = newSigner(key)
		if i == 0 {
			s.signer = s.keys[key.ID]
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return s, nil
}

// randomKey returns a key for this process. Its id is random as well: a token
// of another process then names a key that is not here, which tells its holder
// (and the host's log) more than a wrong signature would.
func randomKey() Key {
	random := make([]byte, 8+32)
	rand.Read(random) // never fails, as its documentation says
	return Key{ID: "process-" + hex.EncodeToString(random[:8]), Secret: random[8:]}
}

// signer makes the signatures of one key.
type signer struct {
	id   string
	pool sync.Pool // of *mac: setting up HMAC costs more than a signature
}

type mac struct {
	hash.Hash
	sum [signatureLen]byte
}

func newSigner(key Key) *signer {
	secret := slices.Clone(key.Secret)
	return &signer{id: key.ID, pool: sync.Pool{New: func() any { return &mac{Hash: hmac.New(sha256.New, secret)} }}}
}

// purpose is signed before every token, so that a secret that a host uses for
// something else too cannot be made to sign a token there.
var purpose = []byte("usagebook page token\x00")

// appendSignature appends the signature of content to out.
func (s *signer) appendSignature(out, content []byte) []byte {
	m := s.pool.Get().(*mac)
	defer s.pool.Put(m)
	return m.sign(out, content)
}

// verify reports whether a signature is that of content, in constant time.
func (s *signer) verify(content, signature []byte) bool {
	m := s.pool.Get().(*mac)
	defer s.pool.Put(m)
	return hmac.Equal(m.sign(m.sum[:0], content), signature)
}

func (m *mac) sign(out, content []byte) []byte {
	m.Reset()
	m.Write(purpose)
	m.Write(content)
	return m.Sum(out)
}

// encoding is strict: bits beyond the last byte must be zero, or two texts
// would be one token.
var encoding = base64.RawURLEncoding.Strict()

// Seal returns the text of a token, signed with the first key. It fails with
// ErrValue when a field of t is out of its range and with ErrTokenLength when
// the text would be longer than Options.MaxLength. The same token sealed twice
// gives the same text, if its Issued is set.
func (s *Sealer) Seal(t Token) (string, error) {
	if t.Issued.IsZero() {
		t.Issued = s.now()
	}
	if t.Expires.IsZero() && s.lifetime > 0 {
		t.Expires = t.Issued.Add(s.lifetime)
	}
	if err := t.check(); err != nil {
		return "", err
	}
	room := s.scratch.Get().(*scratch)
	defer s.scratch.Put(room)
	b := append(room.raw[:0], version, byte(len(s.signer.id)))
	b = append(b, s.signer.id...)
	b = t.appendTo(b)
	room.raw = b
	if length := encoding.EncodedLen(len(b) + signatureLen); length > s.maxLength {
		return "", fmt.Errorf("paginate: seal: %w: %d bytes with a cursor of %d values, at most %d are allowed",
			ErrTokenLength, length, len(t.Keys), s.maxLength)
	}
	room.raw = s.signer.appendSignature(b, b)
	room.text = encoding.AppendEncode(room.text[:0], room.raw)
	return string(room.text), nil
}

// Open returns the token of a text if it is sound, was sealed by one of the
// keys, is bound to b and has not expired; otherwise an error that is ErrToken,
// and the zero Token. The error is a *TokenError whose sentinel says which of
// these failed, judged in this order: malformed, version, key, signature, scope,
// query, expiry. The digests and the signature are compared in constant time.
func (s *Sealer) Open(text string, b Binding) (Token, error) {
	if text == "" {
		return Token{}, refuse(ErrToken, "it is empty")
	}
	if len(text) > s.maxLength {
		return Token{}, refuse(ErrToken, "it has %d bytes, at most %d are allowed", len(text), s.maxLength)
	}
	for i := range len(text) {
		// The decoder would skip line breaks, and a changed text must not pass.
		if text[i] == '\n' || text[i] == '\r' {
			return Token{}, refuse(ErrToken, "a line break at byte %d", i)
		}
	}
	room := s.scratch.Get().(*scratch)
	defer s.scratch.Put(room)
	room.text = append(room.text[:0], text...)
	raw, err := encoding.AppendDecode(room.raw[:0], room.text)
	room.raw = raw
	if err != nil {
		return Token{}, refuse(ErrToken, "it is not base64url without padding: %v", err)
	}
	if raw[0] != version {
		return Token{}, refuse(ErrTokenVersion, "version %d, only version %d is read here", raw[0], version)
	}
	if len(raw) < 2 || len(raw) < 2+int(raw[1])+signatureLen {
		return Token{}, refuse(ErrToken, "it is cut short")
	}
	signed := len(raw) - signatureLen
	content, signature := raw[:signed], raw[signed:]
	idEnd := 2 + int(raw[1])
	key := s.keys[string(raw[2:idEnd])]
	if key == nil {
		return Token{}, refuse(ErrTokenKey, "it was signed with a key that is not configured here; give every process the same keys, and keep an old key while its tokens live")
	}
	if !key.verify(content, signature) {
		return Token{}, refuse(ErrToken, "its signature does not fit")
	}
	t, err := decode(content[idEnd:])
	if err != nil {
		return Token{}, refuse(ErrToken, "%v", err)
	}
	sameScope := subtle.ConstantTimeCompare(t.Scope[:], b.Scope[:])
	sameQuery := subtle.ConstantTimeCompare(t.Query[:], b.Query[:])
	switch {
	case sameScope != 1:
		return Token{}, refuse(ErrTokenScope, "it continues a result of other tenants or with other required dimension values")
	case sameQuery != 1:
		return Token{}, refuse(ErrTokenQuery, "filter, order, groups, windows and range must stay as on the page before")
	case !t.Expires.IsZero() && !s.now().Before(t.Expires):
		return Token{}, refuse(ErrTokenExpired, "it was good until %s; start again from the first page", t.Expires.Format(time.RFC3339))
	}
	return t, nil
}
