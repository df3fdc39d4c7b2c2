package postgresstore

import (
	"context"
	"sync"
)

// chainedTenants remembers which tenants have corrections, so that the reads that
// corrections cost are spared to all others.
type chainedTenants struct {
	mu      sync.Mutex
	count   int64 // of corrections, when the tenants were read
	tenants map[string]bool
	many    bool // more tenants than are remembered
}

// mostChained is how many tenants are remembered.
const mostChained = 10_000

// any reports whether one of the tenants may have one of the first corrections,
// so many as count; nil are all tenants.
func (t *chainedTenants) any(ctx context.Context, s *Store, count int64, tenants []string) (bool, error) {
	if tenants == nil {
		return count > 0, nil
	}
	t.mu.Lock()
	known, many := t.tenants, t.many
	fresh := t.count >= count
	t.mu.Unlock()
	if !fresh {
		found := map[string]bool{}
		// The statement sees at least the corrections that were counted.
		sql := s.text("SELECT tenant FROM {s}.corrections GROUP BY tenant LIMIT $1")
		err := s.read(ctx, sql, []any{mostChained + 1}, func(c [][]byte) error {
			found[string(c[0])] = true
			return nil
		})
		if err != nil {
			return false, err
		}
		known, many = found, len(found) > mostChained
		t.mu.Lock()
		if t.count < count {
			t.count, t.tenants, t.many = count, known, many
		}
		t.mu.Unlock()
	}
	if many {
		return true, nil
	}
	for _, name := range tenants {
		if known[name] {
			return true, nil
		}
	}
	return false, nil
}
