package paginate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

const (
	// MaxKeys is the greatest number of values in a cursor.
	MaxKeys = 128
	// MaxExtra is the greatest length of Token.Extra, in bytes.
	MaxExtra = 1024
)

// Binding says what a token may be used for. Both digests are the caller's,
// made for example with Digest: Scope of the tenants and required dimension
// values the reader is limited to (not of the bearer token, which rotates),
// Query of what decides the rows and their order (not of the URL, which may be
// spelled otherwise on the next page).
type Binding struct {
	Scope, Query [32]byte
}

// Token is what a token text holds. It is a value; Keys is the only slice in
// it, kept by nobody after Seal and owned by the caller after Open.
type Token struct {
	Binding

	// Mark is the snapshot all pages are read from: the sequence that was the
	// newest when the first page was taken.
	Mark uint64

	// Extra is what a store adds to the mark, at most MaxExtra bytes. Empty
	// where the mark says it all.
	Extra string

	// Keys is the cursor: the order key of the last row delivered, one value
	// for each key of the order. At most MaxKeys. Empty in a token that only
	// carries a snapshot, or that continues from Seen.
	Keys []Value

	// Seen is the number of rows delivered so far, on all pages. Not negative.
	Seen int64

	// Total is the number of rows of the whole result, where it was counted for
	// an earlier page; zero means that it was not. Not negative.
	Total int64

	// Issued is when the token was sealed. Zero in Seal means now. In UTC and
	// microseconds after Open.
	Issued time.Time

	// Expires is when the token stops being good. Zero in Seal means Issued plus
	// Options.Lifetime, or never where there is no lifetime; zero after Open
	// means never. To let the first page decide for the whole walk, carry Issued
	// and Expires over from the token that asked for the page.
	Expires time.Time
}

// The layout of version 1, before base64:
//
//	version  1 byte
//	key id   1 byte length, then the id
//	scope    32 bytes
//	query    32 bytes
//	mark, seen, total        unsigned varints
//	issued                   signed varint, microseconds since 1970
//	expires                  0, or 1 and a signed varint
//	extra                    unsigned varint length, then the bytes
//	keys                     unsigned varint count, then for each a kind byte
//	                         and its content: bool one byte, integer and time
//	                         a signed varint, decimal and string like extra
//	signature                32 bytes of HMAC-SHA-256 over all of the above
const (
	version      = 1
	signatureLen = 32
)

// check says why a token cannot be sealed.
func (t *Token) check() error {
	switch {
	case t.Seen < 0:
		return fmt.Errorf("paginate: seal: %w: seen is %d, must not be negative", ErrValue, t.Seen)
	case t.Total < 0:
		return fmt.Errorf("paginate: seal: %w: total is %d, must not be negative", ErrValue, t.Total)
	case len(t.Extra) > MaxExtra:
		return fmt.Errorf("paginate: seal: %w: extra has %d bytes, at most %d are allowed", ErrValue, len(t.Extra), MaxExtra)
	case len(t.Keys) > MaxKeys:
		return fmt.Errorf("paginate: seal: %w: cursor has %d values, at most %d are allowed", ErrValue, len(t.Keys), MaxKeys)
	case !withinMicros(t.Issued) || !withinMicros(t.Expires):
		return fmt.Errorf("paginate: seal: %w: issued or expires is out of range", ErrValue)
	}
	for i, v := range t.Keys {
		if v.kind >= kindInvalid {
			return fmt.Errorf("paginate: seal: %w: key %d: %s", ErrValue, i, v.text)
		}
	}
	return nil
}

// appendTo appends the layout between the key id and the signature.
func (t *Token) appendTo(b []byte) []byte {
	b = append(b, t.Scope[:]...)
	b = append(b, t.Query[:]...)
	b = binary.AppendUvarint(b, t.Mark)
	b = binary.AppendUvarint(b, uint64(t.Seen))
	b = binary.AppendUvarint(b, uint64(t.Total))
	b = binary.AppendVarint(b, t.Issued.UnixMicro())
	if t.Expires.IsZero() {
		b = append(b, 0)
	} else {
		b = append(b, 1)
		b = binary.AppendVarint(b, t.Expires.UnixMicro())
	}
	b = appendText(b, t.Extra)
	b = binary.AppendUvarint(b, uint64(len(t.Keys)))
	for _, v := range t.Keys {
		b = append(b, byte(v.kind))
		switch v.kind {
		case KindBool:
			b = append(b, byte(v.num))
		case KindInteger, KindTime:
			b = binary.AppendVarint(b, v.num)
		case KindDecimal, KindString:
			b = appendText(b, v.text)
		}
	}
	return b
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// reader takes the layout apart. After a fault every further read is a zero,
// and the fault is asked for once at the end.
type reader struct {
	rest []byte
	// whole is the same content as a string: every text is a part of it, so that
	// a cursor of many strings costs one allocation.
	whole string
	err   error
}

var errLayout = errors.New("the signed content has another layout than its version")

func (r *reader) fail() { r.err, r.rest = errLayout, nil }

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.fail()
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) varint() int64 {
	n, size := binary.Varint(r.rest)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// count reads a number that must not be negative in its signed field.
func (r *reader) count() int64 {
	n := r.uvarint()
	if n > math.MaxInt64 {
		r.fail()
		return 0
	}
	return int64(n)
}

func (r *reader) text() string {
	n := r.uvarint()
	at := len(r.whole) - len(r.rest)
	if r.bytes(n); r.err != nil {
		return ""
	}
	return r.whole[at : at+int(n)]
}

func (r *reader) value() Value {
	switch kind := Kind(r.byte()); kind {
	case KindNull:
		return Value{}
	case KindBool:
		switch r.byte() {
		case 0:
			return Value{kind: kind}
		case 1:
			return Value{kind: kind, num: 1}
		}
	case KindInteger, KindTime:
		return Value{kind: kind, num: r.varint()}
	case KindString:
		return Value{kind: kind, text: r.text()}
	case KindDecimal:
		text := r.text()
		// Values are compared as text, which is right for canonical text only.
		if isCanonical(text) {
			return Value{kind: kind, text: text}
		}
	}
	r.fail()
	return Value{}
}

// decode reads what appendTo wrote. The signature has been verified by then, so
// a fault here means that a holder of the key writes another layout under this
// version; it is refused like any other token that cannot be read.
func decode(b []byte) (Token, error) {
	r := &reader{rest: b, whole: string(b)}
	var t Token
	copy(t.Scope[:], r.bytes(32))
	copy(t.Query[:], r.bytes(32))
	t.Mark = r.uvarint()
	t.Seen = r.count()
	t.Total = r.count()
	t.Issued = time.UnixMicro(r.varint()).UTC()
	switch r.byte() {
	case 0:
	case 1:
		t.Expires = time.UnixMicro(r.varint()).UTC()
	default:
		r.fail()
	}
	t.Extra = r.text()
	n := r.uvarint()
	if n > MaxKeys || len(t.Extra) > MaxExtra {
		r.fail()
	}
	if r.err == nil && n > 0 {
		t.Keys = make([]Value, n)
		for i := range t.Keys {
			t.Keys[i] = r.value()
		}
	}
	if r.err == nil && len(r.rest) > 0 {
		r.fail()
	}
	if r.err != nil {
		return Token{}, r.err
	}
	return t, nil
}
