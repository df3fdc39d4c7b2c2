package filter

import (
	"fmt"
	"slices"
)

// Field is a field of the row as the host declares it.
type Field struct {
	// Name is the canonical name. Names are case-sensitive.
	Name string
	// Type is the type of the field's values; a Row gives values of this type or
	// null, and evaluation fails on any other.
	Type Type
	// Whole declares a number that is always a whole one, for which div truncates.
	Whole bool
	// NotNull declares that the field is never null. A Row that gives null all the
	// same is believed.
	NotNull bool
	// FoldCase makes the comparisons, in, contains, startswith, endswith and
	// indexof of a string field disregard case. It changes neither the order of an
	// orderby nor groups. Check writes it out as tolower.
	FoldCase bool
	// NoFilter, NoSort and NoGroup forbid the use of the field in a condition, an
	// order or a grouping.
	NoFilter, NoSort, NoGroup bool
	// Aliases are other names that resolve to the field.
	Aliases []string
	// Items describes the items of a collection: one field without a name for
	// primitive values, else the fields of the flat objects.
	Items []Field
}

// Schema resolves the names of an expression. Names may have the form of a path,
// a/b. An implementation is asked by Check only, from one goroutine at a time for
// each call of Check.
type Schema interface {
	// Field resolves a name. The Field it returns has the canonical name, so that
	// two names of one field are one slot. An open schema resolves any name.
	Field(name string) (Field, bool)
	// Names returns the declared names, for suggestions.
	Names() []string
}

// Fields is a fixed Schema. It is immutable and safe for concurrent use.
type Fields struct {
	names  []string
	byName map[string]Field
}

var _ Schema = (*Fields)(nil)

// NewSchema returns the Schema of these fields. It fails when a name is empty or
// used twice, aliases included, when a field has no type, or a collection no
// items.
func NewSchema(fields ...Field) (*Fields, error) {
	s := &Fields{byName: make(map[string]Field, len(fields))}
	add := func(name string, f Field) error {
		if name == "" {
			return fmt.Errorf("filter: a field has no name")
		}
		if _, twice := s.byName[name]; twice {
			return fmt.Errorf("filter: field %s is declared twice", name)
		}
		s.byName[name] = f
		return nil
	}
	for _, f := range fields {
		f.Aliases, f.Items = slices.Clone(f.Aliases), slices.Clone(f.Items)
		if err := checkField(f); err != nil {
			return nil, err
		}
		if err := add(f.Name, f); err != nil {
			return nil, err
		}
		s.names = append(s.names, f.Name)
		for _, a := range f.Aliases {
			if err := add(a, f); err != nil {
				return nil, err
			}
		}
	}
	for _, f := range fields {
		s.names = append(s.names, f.Aliases...)
	}
	return s, nil
}

func checkField(f Field) error {
	switch {
	case f.Type == TypeNull || f.Type > TypeCollection:
		return fmt.Errorf("filter: field %s has no type", f.Name)
	case f.FoldCase && f.Type != TypeString:
		return fmt.Errorf("filter: field %s folds case and is no string", f.Name)
	case f.Type == TypeCollection && len(f.Items) == 0:
		return fmt.Errorf("filter: collection %s does not say what its items are", f.Name)
	}
	for _, item := range f.Items {
		if item.Type == TypeNull || item.Type >= TypeCollection {
			return fmt.Errorf("filter: the items of %s are neither primitive nor flat objects", f.Name)
		}
		if item.Name == "" && len(f.Items) > 1 {
			return fmt.Errorf("filter: a field of the items of %s has no name", f.Name)
		}
	}
	return nil
}

// Field resolves a name or alias.
func (s *Fields) Field(name string) (Field, bool) {
	f, ok := s.byName[name]
	return f, ok
}

// Names returns the names in the order of declaration, and after them the aliases.
// The caller must not change the slice.
func (s *Fields) Names() []string { return s.names }

// nearest returns the candidate with the least edit distance to name, or "" when
// none is near: at most one edit for each three characters. Earlier candidates
// win ties, and difference of case alone beats everything.
func nearest(name string, candidates []string) string {
	best, bestAt := "", len(name)/3+1
	if len(name) > 64 {
		return "" // no declared name is misspelled at this length; keeps the time linear
	}
	for _, c := range candidates {
		if equalFoldASCII(c, name) {
			return c
		}
		if d := len(c) - len(name); d >= bestAt || -d >= bestAt || len(c) > 128 {
			continue
		}
		if d := editDistance(name, c, bestAt); d < bestAt {
			best, bestAt = c, d
		}
	}
	return best
}

// editDistance counts insertions, deletions, replacements and exchanges of
// neighbours between two short texts.
func editDistance(a, b string, limit int) int {
	var rows [3][130]int
	prev2, prev, cur := &rows[0], &rows[1], &rows[2]
	for j := 0; j <= len(b); j++ {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if lowerByte(a[i-1]) == lowerByte(b[j-1]) {
				cost = 0
			}
			d := min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, prev2[j-2]+1)
			}
			cur[j] = d
			least = min(least, d)
		}
		if least > limit {
			return limit + 1
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}

func lowerByte(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func equalFoldASCII(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if lowerByte(a[i]) != lowerByte(b[i]) {
			return false
		}
	}
	return true
}
