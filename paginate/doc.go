// Package paginate makes the continuation tokens of a result that is read
// page by page: it turns the place where a page ended into a text that a
// client hands back, and turns that text into the place again, or refuses it.
//
// Three nouns:
//
//   - A token is the opaque text that goes over the wire. It is base64url
//     without padding, carries a version and the id of the key that signed it,
//     and is authenticated with HMAC-SHA-256.
//   - A cursor is what a token holds and a store understands: the typed order
//     key of the last row delivered (Token.Keys), with the mark of the snapshot
//     that every page of the result is read from (Token.Mark).
//   - A binding says what a token is good for: a digest of the scope it was
//     issued in and a digest of the query it continues. A token opened with
//     another binding is an error and never another page.
//
// A service seals a token when a page leaves rows behind and opens it when the
// client comes back:
//
//	sealer, err := paginate.New(&paginate.Options{Keys: keys})
//	...
//	next, err := sealer.Seal(paginate.Token{
//		Binding: paginate.Binding{Scope: paginate.Digest("acme"), Query: fingerprint},
//		Mark:    asOf,
//		Keys:    []paginate.Value{paginate.Time(last.Start), paginate.String(last.ID)},
//	})
//	...
//	t, err := sealer.Open(text, binding) // t.Keys: read on after this key, as of t.Mark
//
// The package also has what such a service needs beside the token: Clamp for
// page sizes, Limit for a total that spans pages, Compare and CompareKeys for
// the order of keys with nulls, and Pages, Rows, Skip and Top for reading all
// pages as one sequence.
//
// # Keys and rotation
//
// The first key of Options.Keys signs, all of them verify. To rotate, put the
// new key first and keep the old one behind it for as long as its tokens
// should live. Every process that may see a token needs the same keys. Without
// any key New draws a random one, good for this process alone: after a restart,
// or in another process behind the same load balancer, every token it issued
// is refused with ErrTokenKey.
//
// # What it does not do
//
// It encrypts nothing: whoever holds a token can read the key values in it,
// which are values of rows that its holder was just shown, and the mark. It
// knows no store, no query and no HTTP; the digests are the caller's, and so is
// the order, which has to be total (end it with an identity) or rows that tie
// would be lost between pages.
//
// # Caveats
//
// A token has at most Options.MaxLength bytes (4 KiB by default, so that it
// fits the URLs that proxies let through). A cursor that is longer, because it
// holds several long strings, is refused by Seal with ErrTokenLength. Such a
// result can still be paged: under a fixed mark and a total order the number
// of rows delivered is a place too, so seal again with Keys nil and continue
// from Seen.
//
// Times are kept to the microsecond, cut towards the past. A token without
// expiry stays good for as long as its key is configured.
//
// # Performance
//
// BenchmarkSeal and BenchmarkOpen handle a token of four key values and a mark;
// both stay under two microseconds on a quiet core. Comparing keys does not
// allocate, unless an integer meets a decimal.
package paginate
