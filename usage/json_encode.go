package usage

import (
	"time"
	"unicode/utf8"
)

// unwritable says why a record has no JSON form, or nothing.
func (r *Record) unwritable() string {
	if what := r.unwritableMembers(); what != "" {
		return what
	}
	return r.Dimensions.unwritable()
}

// unwritableMembers is unwritable for everything but the dimensions.
func (r *Record) unwritableMembers() string {
	switch {
	case len(r.faults) > 0:
		return r.faults[0].Field + ": " + r.faults[0].Message
	case len(r.Values.faults) > 0:
		return "values." + shortName(r.Values.faults[0].name) + ": " + r.Values.faults[0].message
	}
	for _, s := range [...]string{r.ID, r.Source, r.Tenant, r.Meter} {
		if !utf8.ValidString(s) {
			return quoted(s) + " is not valid UTF-8"
		}
	}
	for _, t := range [...]time.Time{r.Start, r.End} {
		if !t.IsZero() && (t.Before(minTime) || !t.Before(maxTime)) {
			return "an instant is outside the years 1 to 9999"
		}
	}
	for i := range r.Values.list {
		if i > 0 && r.Values.list[i].Name == r.Values.list[i-1].Name {
			return "values." + shortName(r.Values.list[i].Name) + ": the value is given twice"
		}
		if !utf8.ValidString(r.Values.list[i].Name) {
			return "the name " + quoted(r.Values.list[i].Name) + " of a value is not valid UTF-8"
		}
	}
	if c := r.Corrects; c != nil {
		switch {
		case c.Kind != Void && c.Kind != Replace:
			return "corrects: unknown kind of correction"
		case !utf8.ValidString(c.Source) || !utf8.ValidString(c.ID):
			return "corrects: is not valid UTF-8"
		}
	}
	return ""
}

func (d Dimensions) unwritable() string {
	if name := d.twice(); name != "" {
		return "dimensions." + shortName(name) + ": the dimension is given twice"
	}
	for i := range d.list {
		if e := &d.list[i]; !utf8.ValidString(e.Name) || !utf8.ValidString(e.Value) {
			return "the dimension " + quoted(e.Name) + " is not valid UTF-8"
		}
	}
	return ""
}

// same reports whether two sets are one, as they are in records that were made
// together. False says nothing.
func (d Dimensions) same(o Dimensions) bool {
	return len(d.list) == len(o.list) && (len(d.list) == 0 || &d.list[0] == &o.list[0])
}

func appendJSONInstant(dst []byte, t time.Time) []byte {
	dst = append(dst, '"')
	dst = t.UTC().AppendFormat(dst, time.RFC3339Nano)
	return append(dst, '"')
}

// appendJSONText appends valid UTF-8 as a JSON string.
func appendJSONText(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		}
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}
