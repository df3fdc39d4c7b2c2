package httpadapter

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
)

// StaticTokens authenticates by a fixed list of bearer tokens, for tests,
// examples and services with a handful of callers. Tokens are kept and compared
// as SHA-256 digests, so that neither a look at the memory nor the time of an
// answer tells one. It copies the map. An empty token, or a principal that
// [Principal.Check] refuses, is an error.
func StaticTokens(tokens map[string]Principal) (func(*http.Request) (Principal, error), error) {
	known := make(map[[sha256.Size]byte]Principal, len(tokens))
	for token, p := range tokens {
		if token == "" {
			return nil, fmt.Errorf("httpadapter: the principal %q has an empty token", p.Subject)
		}
		if err := p.Check(); err != nil {
			return nil, fmt.Errorf("httpadapter: %w", err)
		}
		known[sha256.Sum256([]byte(token))] = p.clone()
	}
	return func(r *http.Request) (Principal, error) {
		token, err := Bearer(r)
		if err != nil {
			return Principal{}, err
		}
		p, ok := known[sha256.Sum256([]byte(token))]
		if !ok {
			return Principal{}, ErrBadToken
		}
		return p, nil
	}, nil
}

func cutSpace(s string) (before, after string, ok bool) {
	before, after, ok = strings.Cut(strings.TrimSpace(s), " ")
	return before, strings.TrimSpace(after), ok
}

func equalFold(a, b string) bool { return strings.EqualFold(a, b) }
