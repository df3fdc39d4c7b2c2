package postgresstore

import (
	"context"
	"maps"
	"slices"
	"strconv"
)

// shape is the names of the values of some records.
type shape struct {
	id    int64
	names []string
}

// mostShapes is how many shapes a statement is told. Where there are more it
// looks them up itself.
const mostShapes = 64

// allShapes returns the shapes that there were when somebody looked; nil where
// there are too many.
func (s *Store) allShapes(ctx context.Context) ([]shape, error) {
	if list := s.names.shapesNow.Load(); list != nil {
		return *list, nil
	}
	list := []shape{}
	err := s.read(ctx, s.text("SELECT id, names FROM {s}.shapes LIMIT $1"), []any{mostShapes + 1}, func(c [][]byte) error {
		names, err := textElements(c[1])
		list = append(list, shape{integer(c[0]), names})
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(list) > mostShapes {
		list = nil
	}
	s.names.shapesNow.Store(&list)
	return list, nil
}

func knowsShape(list []shape, id int64) bool {
	return slices.ContainsFunc(list, func(s shape) bool { return s.id == id })
}

// everyValue is the column of a value that no record goes without.
const everyValue = "r.value"

// valueOf writes the value of a name in a record r, null where it has none. It is
// right for records of the given shapes, and for all where these are nil.
func (q *query) valueOf(b *builder, name string, shapes []shape) string {
	if !quotable(name) {
		return "NULL::numeric"
	}
	if shapes == nil {
		return q.value(name)
	}
	places := map[int][]int64{}
	for i := range shapes {
		if at := slices.Index(shapes[i].names, name); at >= 0 {
			places[at] = append(places[at], shapes[i].id)
		}
	}
	column := func(at int) string {
		if at == 0 {
			return "r.value"
		}
		return "r.more[" + strconv.Itoa(at) + "]"
	}
	if len(places) == 0 {
		return "NULL::numeric"
	}
	if len(places) == 1 && len(places[0]) == len(shapes) {
		return everyValue // every record has it, and first
	}
	out := "CASE"
	for _, at := range slices.Sorted(maps.Keys(places)) { // one text for one question
		ids := places[at]
		out += " WHEN r.shape = ANY(" + b.arg(ints(ids)) + "::bigint[]) THEN " + column(at)
	}
	return out + " END"
}
