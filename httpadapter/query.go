package httpadapter

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// maxQueryBytes bounds the query string: a filter may have 8 KiB, each byte
	// of which may be escaped to three.
	maxQueryBytes = 32 << 10
	maxParameters = 200
)

// parameter is a query parameter as the client sent it.
type parameter struct {
	name string // as spelled
	// documented is the name as documented; empty when the route knows none.
	documented string
	value      string
}

// parseQuery reads a query string. It goes on after a fault, so that
// authorization can look at what is there; the fault is answered after it.
func parseQuery(raw string, r *route) ([]parameter, *Problem) {
	if len(raw) > maxQueryBytes {
		return nil, &Problem{Kind: Invalid, Message: "The query string is too long.", Allowed: "At most 32 KiB are allowed."}
	}
	var out []parameter
	var fault *Problem
	note := func(p *Problem) {
		if fault == nil {
			fault = p
		}
	}
	seen := map[string]bool{}
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		if pair == "" {
			continue
		}
		if len(out) == maxParameters {
			note(&Problem{Kind: Invalid, Message: "The query string has more than 200 parameters."})
			break
		}
		name, value, _ := strings.Cut(pair, "=")
		n, err := url.QueryUnescape(name)
		v, err2 := url.QueryUnescape(value)
		if err != nil || err2 != nil || !utf8.ValidString(n) || !utf8.ValidString(v) {
			note(Bad(n, "The query parameter %q is not percent-encoded UTF-8.", pair))
			continue
		}
		p := parameter{name: n, value: v}
		fold := r.api.FoldNames
		same := func(x string) bool { return x == n || fold && strings.EqualFold(x, n) }
		if i := slices.IndexFunc(r.Parameters, same); i >= 0 {
			p.documented = r.Parameters[i]
			if seen[p.documented] {
				note(&Problem{Kind: Twice, Field: p.documented, Message: "The parameter '" + p.documented + "' is given more than once."})
			}
			seen[p.documented] = true
		} else if i := slices.IndexFunc(r.ManyParameters, same); i >= 0 {
			p.documented = r.ManyParameters[i]
		}
		out = append(out, p)
	}
	return out, fault
}

// Param returns the value of a documented query parameter, empty when it is
// absent.
func (c *Call) Param(name string) string {
	v, _ := c.Lookup(name)
	return v
}

// Lookup returns the value of a documented query parameter and whether it is
// there.
func (c *Call) Lookup(name string) (string, bool) {
	for i := range c.query {
		if c.query[i].documented == name {
			return c.query[i].value, true
		}
	}
	return "", false
}

// Values returns every value of a documented query parameter, in order. In
// Authorize, where a parameter that is given twice is not refused yet, it is
// the one to use.
func (c *Call) Values(name string) []string {
	var out []string
	for i := range c.query {
		if c.query[i].documented == name {
			out = append(out, c.query[i].value)
		}
	}
	return out
}

// Spelled returns the name of a documented query parameter as the client spells
// it, and the documented name when it is absent.
func (c *Call) Spelled(name string) string {
	for i := range c.query {
		if c.query[i].documented == name {
			return c.query[i].name
		}
	}
	return name
}

// Link returns the absolute URL of another page of the request: the base URL,
// the request's own path and its query parameters sorted by name, names as the
// client spelled them and values percent-encoded, a space as %20. set changes
// or adds parameters by their documented names.
func (c *Call) Link(set ...Figure) string {
	type pair struct{ name, value string }
	list := make([]pair, 0, len(c.query)+len(set))
	for _, p := range c.query {
		if slices.ContainsFunc(set, func(f Figure) bool { return f.Name == p.documented }) {
			continue
		}
		list = append(list, pair{p.name, p.value})
	}
	for _, f := range set {
		list = append(list, pair{c.Spelled(f.Name), f.Value})
	}
	slices.SortStableFunc(list, func(a, b pair) int { return strings.Compare(a.name, b.name) })
	var b strings.Builder
	b.WriteString(c.BaseURL())
	b.WriteString(c.Request.URL.EscapedPath())
	for i, p := range list {
		b.WriteByte("?&"[min(i, 1)])
		b.WriteString(escape(p.name))
		b.WriteByte('=')
		b.WriteString(escape(p.value))
	}
	return b.String()
}

// escape is the percent-encoding of next links: $ is left in names, as OData
// spells them.
func escape(s string) string {
	s = strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
	return strings.ReplaceAll(s, "%24", "$")
}
