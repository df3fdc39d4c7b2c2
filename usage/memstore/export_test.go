package memstore

// NewSegments returns an empty store whose segments have 1<<shift rows, so that
// tests reach sealed segments with few records.
func NewSegments(shift uint) *Store {
	s := New(nil)
	s.shift = shift
	s.figures = 64
	return s
}
