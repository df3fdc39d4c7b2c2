package httpadapter

import (
	"fmt"
	"slices"

	"github.com/usagebook/usagebook/paginate"
	"github.com/usagebook/usagebook/usage"
)

// Place is where a page of an answer ended: the moment that all pages speak of,
// the keys of the last row, and how many rows were given.
type Place struct {
	AsOf usage.AsOf
	Keys []paginate.Value
	Seen int64
}

// Seal returns an opaque token for a place, signed with the book's keys and
// bound to the tenants of the caller and to what the token is for: purpose
// names the API and the use, parts are whatever has to be the same on the next
// page. The bearer token is not part of it, as it rotates.
func (c *Call) Seal(p Place, purpose string, parts ...string) (string, error) {
	t := paginate.Token{Binding: c.binding(purpose, parts), Mark: p.AsOf.Sequence, Keys: slices.Clone(p.Keys), Seen: p.Seen}
	if !p.AsOf.Time.IsZero() {
		// The moment before the first record has a time and no sequence.
		t.Mark = 0
		t.Keys = append(t.Keys, paginate.Time(p.AsOf.Time))
	}
	text, err := c.Book.Sealer().Seal(t)
	if err != nil {
		return "", fmt.Errorf("seal a page token: %w", err)
	}
	return text, nil
}

// Unseal returns the place of a token; the error is one that [ProblemOf] knows.
func (c *Call) Unseal(text, purpose string, parts ...string) (Place, error) {
	t, err := c.Book.Sealer().Open(text, c.binding(purpose, parts))
	if err != nil {
		return Place{}, fmt.Errorf("open a page token: %w", err)
	}
	p := Place{AsOf: usage.AsOf{Sequence: t.Mark}, Keys: t.Keys, Seen: t.Seen}
	if t.Mark == 0 {
		n := len(t.Keys)
		if n == 0 {
			return Place{}, fmt.Errorf("%w: it holds no moment", paginate.ErrToken)
		}
		var ok bool
		if p.AsOf.Time, ok = t.Keys[n-1].Time(); !ok {
			return Place{}, fmt.Errorf("%w: it holds no moment", paginate.ErrToken)
		}
		p.Keys = t.Keys[:n-1]
	}
	return p, nil
}

func (c *Call) binding(purpose string, parts []string) paginate.Binding {
	return paginate.Binding{Scope: paginate.Digest(c.Holders()...), Query: paginate.Digest(append([]string{"httpadapter", purpose}, parts...)...)}
}

// Holders returns the tenants of the caller in byte order, or Everything alone:
// what tokens, jobs and executions are bound to.
func (c *Call) Holders() []string {
	if c.Principal.AllTenants() {
		return []string{Everything}
	}
	t := slices.Clone(c.Principal.Tenants)
	slices.Sort(t)
	return slices.Compact(t)
}
