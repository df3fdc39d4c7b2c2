package usage

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/usagebook/usagebook/usage/internal/jsontext"
)

// jobScan reads heads and bodies of jobs in a single pass, as this release writes
// them: each key once, no null but for a note, and nothing that is not known. What it does not
// take may be right all the same, and encoding/json has the last word on it; of
// what it does take, encoding/json would make the same.
type jobScan struct{ decoder }

// The keys of a head, of its lines and of a body.
var (
	jobHeadKeys = []string{"v", "digest", "count", "labels", "lines", "finished", "lost"}
	jobLineKeys = []string{"t", "l", "s", "n"}
	jobBodyKeys = []string{"v", "records", "notes", "errors"}
)

// scanJobHead reads a head, or reports that it does not take it.
func scanJobHead(data []byte) (*jobHead, bool) {
	s := jobScan{newDecoder(data, true)} // lists read a thousand of them, mostly small
	h := &jobHead{}
	ok := s.members(jobHeadKeys, func(key int) (ok bool) {
		switch key {
		case 0:
			h.Form, ok = s.whole()
		case 1:
			h.Digest, ok = s.plainText()
		case 2:
			h.Count, ok = s.whole()
		case 3:
			h.Labels = []string{}
			ok = s.items(func(int) bool {
				l, ok := s.plainText()
				h.Labels = append(h.Labels, l)
				return ok
			})
		case 4:
			h.Lines = []jobLine{}
			ok = s.items(func(int) bool {
				h.Lines = append(h.Lines, jobLine{})
				return s.line(&h.Lines[len(h.Lines)-1])
			})
		case 5:
			h.Finished, ok = s.instant()
		case 6:
			h.Lost, ok = s.plainText()
		}
		return ok
	})
	return h, ok && s.end() == nil && h.Form == taskForm
}

func (s *jobScan) line(l *jobLine) bool {
	return s.members(jobLineKeys, func(key int) (ok bool) {
		switch key {
		case 0:
			l.Tenant, ok = s.plainText()
		case 1:
			l.Labels = [][2]string{}
			ok = s.items(func(int) bool {
				var pair [2]string
				n := 0
				ok := s.items(func(i int) (ok bool) {
					if n = i + 1; n <= len(pair) {
						pair[i], ok = s.plainText()
					}
					return ok
				})
				l.Labels = append(l.Labels, pair)
				return ok && n == len(pair)
			})
		case 2:
			var name string
			name, ok = s.plainText()
			i := slices.Index(itemStateNames[:], name)
			l.State, ok = ItemState(max(i, 0)), ok && i > 0
		case 3:
			l.Count, ok = s.whole()
		}
		return ok
	})
}

// scanJobBody reads the body of a job of some records that is on its way, or
// reports that it does not take it. Records of the body stays empty: records has
// what it would hold.
func scanJobBody(data []byte, count int) (body *jobBody, records []Record, ok bool) {
	s := jobScan{newDecoder(data, false)}
	body = &jobBody{}
	ok = s.members(jobBodyKeys, func(key int) (ok bool) {
		switch key {
		case 0:
			body.Form, ok = s.whole()
		case 1:
			if s.Peek() != '[' {
				return false
			}
			var err error
			records, err = s.array(max(count, 1))
			return err == nil
		case 2:
			body.Notes = make([][]byte, 0, len(records))
			return s.items(func(int) bool {
				note, ok := s.note()
				body.Notes = append(body.Notes, note)
				return ok
			})
		case 3:
			s.Peek()
			from := s.Pos
			if _, err := s.Skip(); err != nil {
				return false
			}
			return json.Unmarshal(data[from:s.Pos], &body.Errors) == nil
		}
		return ok
	})
	return body, records, ok && s.end() == nil && body.Form == taskForm && records != nil
}

// members reads an object of known keys: read is called for the value of each,
// and reports whether it was taken.
func (s *jobScan) members(keys []string, read func(key int) bool) bool {
	if s.Peek() != '{' {
		return false
	}
	s.Pos++
	seen := 0
	for first := true; ; first = false {
		key, done, err := s.key(first)
		if done || err != nil {
			return done
		}
		i := 0
		for i < len(keys) && keys[i] != string(key) {
			i++
		}
		if i == len(keys) || seen&(1<<i) != 0 || !read(i) {
			return false
		}
		seen |= 1 << i
	}
}

// items reads an array: read is called for each item.
func (s *jobScan) items(read func(i int) bool) bool {
	if s.Peek() != '[' {
		return false
	}
	s.Pos++
	for i := 0; ; i++ {
		more, err := s.Item(i == 0)
		if !more || err != nil {
			return err == nil
		}
		if !read(i) {
			return false
		}
	}
}

// plainText reads a string of which encoding/json replaces nothing.
func (s *jobScan) plainText() (string, bool) {
	if s.Peek() != '"' {
		return "", false
	}
	b, broken, err := s.String()
	if err != nil || broken || !utf8.Valid(b) {
		return "", false
	}
	return s.texts.Intern(b), true
}

// whole reads an integer.
func (s *jobScan) whole() (int, bool) {
	if !jsontext.IsNumber(s.Peek()) {
		return 0, false
	}
	text, err := s.Number()
	if err != nil {
		return 0, false
	}
	n, err := strconv.Atoi(string(text))
	return n, err == nil
}

// instant reads a time. Times in JSON are not unescaped.
func (s *jobScan) instant() (t time.Time, ok bool) {
	if s.Peek() != '"' {
		return t, false
	}
	from := s.Pos
	if _, _, err := s.String(); err != nil {
		return t, false
	}
	return t, t.UnmarshalJSON(s.Data[from:s.Pos]) == nil
}

// note reads bytes in base64, or null, which is none.
func (s *jobScan) note() ([]byte, bool) {
	switch s.Peek() {
	case 'n':
		return nil, s.Literal() == nil
	case '"':
	default:
		return nil, false
	}
	text, _, err := s.String()
	if err != nil {
		return nil, false
	}
	out := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(out, text)
	return out[:n], err == nil
}
