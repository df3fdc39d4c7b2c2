package postgresstore

import (
	"slices"
	"strconv"
	"strings"

	"github.com/usagebook/usagebook/aggregate"
)

// array writes an array as PostgreSQL reads it from a text. The zero array is
// empty.
type array struct{ b []byte }

func (a *array) next() {
	if len(a.b) == 0 {
		a.b = append(a.b, '{')
	} else {
		a.b = append(a.b, ',')
	}
}

func (a *array) int(n int64) {
	a.next()
	a.b = strconv.AppendInt(a.b, n, 10)
}

func (a *array) null() {
	a.next()
	a.b = append(a.b, "NULL"...)
}

func (a *array) number(n aggregate.Number) {
	a.next()
	a.b = n.AppendText(a.b)
}

func (a *array) text(s string) {
	a.next()
	a.b = append(a.b, '"')
	if strings.IndexByte(s, '"') < 0 && strings.IndexByte(s, '\\') < 0 {
		a.b = append(a.b, s...)
	} else {
		for i := range len(s) {
			if s[i] == '"' || s[i] == '\\' {
				a.b = append(a.b, '\\')
			}
			a.b = append(a.b, s[i])
		}
	}
	a.b = append(a.b, '"')
}

// String returns the text.
func (a *array) String() string {
	if len(a.b) == 0 {
		return "{}"
	}
	return string(a.b) + "}"
}

func ints(list []int64) string {
	var a array
	for _, n := range list {
		a.int(n)
	}
	return a.String()
}

func texts(list []string) string {
	var a array
	for _, s := range list {
		a.text(s)
	}
	return a.String()
}

// unquote reads the text of an array of texts without nulls, as PostgreSQL
// writes it.
func unquote(b []byte) ([]string, error) {
	if len(b) < 2 || b[0] != '{' || b[len(b)-1] != '}' {
		return nil, damaged("%.40q is no array", b)
	}
	var out []string
	b = b[1 : len(b)-1]
	for len(b) > 0 {
		var item []byte
		if b[0] != '"' {
			n := 0
			for n < len(b) && b[n] != ',' {
				n++
			}
			item, b = b[:n], b[n:]
		} else {
			n := 1
			for n < len(b) && b[n] != '"' {
				if b[n] == '\\' {
					n++
				}
				if n < len(b) {
					item = append(item, b[n])
				}
				n++
			}
			if n >= len(b) {
				return nil, damaged("an array ends in a text")
			}
			b = b[n+1:]
		}
		out = append(out, string(item))
		if len(b) > 0 {
			b = b[1:]
		}
	}
	return out, nil
}

// builder writes a statement and numbers its arguments.
type builder struct {
	strings.Builder
	args []any
}

// arg adds an argument and returns its placeholder.
func (q *builder) arg(v any) string {
	q.args = append(q.args, v)
	return "$" + strconv.Itoa(len(q.args))
}

func (q *builder) add(parts ...string) {
	for _, p := range parts {
		q.WriteString(p)
	}
}

// among writes the condition that a text column has one of the values. One value
// is written as such: the planner then knows better what it selects, and need not
// plan each time.
func (q *builder) among(column string, values []string) string {
	values = slices.DeleteFunc(slices.Clone(values), unquotable)
	if len(values) == 1 {
		return column + " = " + q.arg(values[0]) + "::text"
	}
	return column + " = ANY(" + q.arg(texts(values)) + "::text[])"
}
