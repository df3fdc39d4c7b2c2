package postgresstore

import "context"

// pairsKnown is the ids of all pairs that there were when somebody looked. It never
// changes: another one takes its place.
type pairsKnown struct {
	ids map[string][]int64 // by pairKey; a pair may have several
	// asOf is a mark that was settled before somebody looked: no record up to it is
	// of another pair. 0: there are too many to know.
	asOf uint64
}

// mostKnownPairs is how many pairs are known at most, some 100 bytes each.
const mostKnownPairs = 10_000

// pairsAtHand returns the ids of the query's one tenant and meter; nil where they are
// not known. still: the book is at rest, so that it is worth while to look.
func (s *Store) pairsAtHand(ctx context.Context, q *query, still bool) ([]int64, error) {
	known := s.names.pairsKnown.Load()
	switch {
	case known != nil && (known.asOf == 0 || known.asOf < q.mark.mark && !still), known == nil && !still:
		return nil, nil
	case known == nil || known.asOf < q.mark.mark:
		next := &pairsKnown{ids: map[string][]int64{}, asOf: q.mark.mark}
		n := 0
		err := s.read(ctx, s.text("SELECT id, tenant, meter FROM {s}.pairs LIMIT $1"), []any{mostKnownPairs + 1}, func(c [][]byte) error {
			key := pairKey(string(c[1]), string(c[2]))
			next.ids[key] = append(next.ids[key], integer(c[0]))
			n++
			return nil
		})
		if err != nil {
			return nil, err
		}
		if n > mostKnownPairs {
			next = &pairsKnown{}
		}
		s.names.pairsKnown.Store(next)
		if known = next; known.asOf == 0 {
			return nil, nil
		}
	}
	if ids := known.ids[pairKey(q.tenants[0], q.meters[0])]; ids != nil {
		return ids, nil
	}
	return []int64{}, nil
}
