package postgresstore

import (
	"context"
	"encoding/binary"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/usagebook/usagebook/usage"
)

// catalog is the series of some tenants and meters, as far as they were there
// when somebody looked. Others come back from a read by their ids and are added.
// It never changes: an extended one takes its place.
type catalog struct {
	series []*usage.Series
	ids    []int64 // in the same order
	pairs  []int64 // of those that were there when somebody looked, which come first
	array  string  // of the ids
	known  map[int64]bool
	// asOf is a mark that was settled before somebody looked: no record up to it is
	// of another series.
	asOf uint64
}

// complete reports whether no record up to a mark is of another series of these
// tenants and meters.
func (c *catalog) complete(m *moment) bool { return c != nil && m.mark <= c.asOf }

// all yields the series with their ids.
func (c *catalog) all() iter.Seq2[int64, *usage.Series] {
	return func(yield func(int64, *usage.Series) bool) {
		for i, s := range c.series {
			if !yield(c.ids[i], s) {
				return
			}
		}
	}
}

// mostCatalog is the most series of a catalog.
const mostCatalog = 20_000

var catalogs sync.Mutex

func (q *query) catalogKey() string {
	var key []byte
	for _, list := range [][]string{q.tenants, q.meters} {
		if list == nil {
			key = append(key, 0)
			continue
		}
		key = binary.AppendUvarint(append(key, 1), uint64(len(list)))
		sorted := slices.Clone(list)
		slices.Sort(sorted)
		for _, s := range sorted {
			key = appendText(key, s)
		}
	}
	return string(key)
}

// catalog returns the series of the query's tenants and meters; nil where there
// are too many. still: the book is at rest, so that it is worth while to look anew for
// a catalog that is complete.
func (s *Store) catalog(ctx context.Context, q *query, still bool) (*catalog, error) {
	key := q.catalogKey()
	if c, ok := s.catalogs.Get(key); ok && (c == nil || !still || c.complete(&q.mark)) {
		return c, nil
	}
	var b builder
	b.add(s.text("SELECT x.id, p.tenant, p.meter, x.dimensions, x.pair FROM {s}.series x JOIN {s}.pairs p ON p.id = x.pair WHERE p.meter <> ''"))
	if q.tenants != nil {
		b.add(" AND ", b.among("p.tenant", q.tenants))
	}
	if q.meters != nil {
		b.add(" AND ", b.among("p.meter", q.meters))
	}
	b.add(" LIMIT ", b.arg(mostCatalog+1))
	c := &catalog{known: map[int64]bool{}, asOf: q.mark.mark}
	err := s.read(ctx, b.String(), b.args, func(row [][]byte) error {
		dims, err := textElements(row[3])
		if err != nil {
			return err
		}
		series, err := newSeries(string(row[1]), string(row[2]), dims)
		if err != nil {
			return err
		}
		id := integer(row[0])
		if known, ok := s.names.seriesOf.Get(id); ok {
			series = known // one copy of the texts will do
		} else {
			s.names.seriesOf.Put(id, series)
		}
		c.ids, c.series, c.known[id] = append(c.ids, id), append(c.series, series), true
		c.pairs = append(c.pairs, integer(row[4]))
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(c.ids) > mostCatalog {
		c = nil
	} else {
		c.array = ints(c.ids)
	}
	s.catalogs.Put(key, c)
	return c, nil
}

// extend adds series that came back from a read to the catalog that it had.
func (s *Store) extend(q *query, c *catalog, more map[int64]*usage.Series) {
	key := q.catalogKey()
	catalogs.Lock()
	defer catalogs.Unlock()
	if now, ok := s.catalogs.Get(key); !ok || now != c {
		return // somebody else did
	}
	next := &catalog{series: slices.Clone(c.series), ids: slices.Clone(c.ids), pairs: c.pairs, known: maps.Clone(c.known), asOf: c.asOf}
	for id, series := range more {
		if !next.known[id] {
			next.known[id] = true
			next.ids, next.series = append(next.ids, id), append(next.series, series)
		}
	}
	if len(next.series) > mostCatalog {
		s.catalogs.Put(key, nil)
		return
	}
	next.array = ints(next.ids)
	s.catalogs.Put(key, next)
}

// allClasses are all that a verdict can be of: unverified, of no rule or verified,
// each billable or not. Not those that there are: a series that none of them wants is
// left to the database, which would say nothing of one that came since.
var allClasses = []usage.VerdictClass{0, 1, 2, 3, 4, 5}
