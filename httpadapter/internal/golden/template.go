package golden

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxExpanded bounds what repeat makes of a body: more than any test needs, and
// little enough that a slip of the pen is an error and not a full memory.
const maxExpanded = 64 << 20

// A template is text with captures and references.
type template []part

// part is one of: a literal (name is empty), a reference, a capture.
type part struct {
	lit     string
	name    string
	capture bool
	value   string // of a capture: the recorded example
}

var (
	nameRE   = regexp.MustCompile(`^[a-z][A-Za-z0-9]*$`)
	repeatRE = regexp.MustCompile(`^repeat ([0-9]{1,9})\.\.([0-9]{1,9})(?: (".*"))?$`)
	numberRE = regexp.MustCompile(`^n([1-9])?$`)
	uuidRE   = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)
)

// spanError is a fault at a place in a template.
type spanError struct {
	offset int
	msg    string
}

func (e *spanError) Error() string { return e.msg }

// grammar says what a template may have and knows.
type grammar struct {
	captures bool
	repeats  bool
	known    map[string]string // recorded values; captures are added
}

// template parses text.
func (g grammar) template(text string) (template, *spanError) {
	var t template
	size := 0
	for at := 0; at < len(text); {
		lit, rest, found := strings.Cut(text[at:], "{{")
		t = t.literal(lit)
		if size += len(lit); !found {
			break
		}
		open := at + len(lit)
		word, _, closed := strings.Cut(rest, "}}")
		if !closed {
			return nil, &spanError{open, `"{{" without "}}"; two braces are written {{{{}}`}
		}
		at = open + len("{{") + len(word) + len("}}")
		switch {
		case word == "{{":
			t = t.literal("{{")
			size += 2
		case strings.HasPrefix(word, "repeat "):
			if !g.repeats {
				return nil, &spanError{open, "{{repeat}} is for bodies"}
			}
			end := strings.Index(text[at:], "{{end}}")
			if end < 0 {
				return nil, &spanError{open, "{{repeat}} without {{end}}"}
			}
			rows, err := g.repeat(word, text[at:at+end], maxExpanded-size)
			if err != nil {
				err.offset += open
				return nil, err
			}
			for _, p := range rows {
				size += len(p.lit)
				t = t.append(p)
			}
			at += end + len("{{end}}")
		default:
			p, err := g.part(word)
			if err != nil {
				err.offset += open
				return nil, err
			}
			if last := len(t) - 1; p.name != "" && last >= 0 && t[last].capture {
				return nil, &spanError{open, "there has to be text after a capture, or nothing"}
			}
			if p.capture && p.name != "_" {
				g.known[p.name] = p.value
			}
			t = t.append(p)
		}
		if size > maxExpanded {
			return nil, &spanError{open, fmt.Sprintf("more than %d bytes", maxExpanded)}
		}
	}
	return t, nil
}

// part reads a word between braces that is a capture or a reference.
func (g grammar) part(word string) (part, *spanError) {
	name, value, capture := strings.Cut(word, "=")
	switch {
	case capture && !g.captures:
		return part{}, &spanError{0, fmt.Sprintf("{{%s}} captures, which is for responses", word)}
	case name == "_" && capture:
	case !nameRE.MatchString(name), numberRE.MatchString(name), name == "repeat", name == "end":
		return part{}, &spanError{0, fmt.Sprintf("{{%s}} is neither {{name}} nor {{name=value}}, {{repeat}} or {{n}} inside of one", word)}
	}
	_, known := g.known[name]
	switch {
	case !capture && !known:
		return part{}, &spanError{0, fmt.Sprintf("{{%s}} is captured nowhere before", name)}
	case capture && known:
		return part{}, &spanError{0, fmt.Sprintf("{{%s=...}} is captured twice", name)}
	case capture && (value == "" || run(value) != len(value)):
		return part{}, &spanError{0, fmt.Sprintf("{{%s=...}}: a value of one or more characters that are not space, quotes, braces, < > or \\", name)}
	}
	return part{name: name, capture: capture, value: value}, nil
}

// repeat expands the rows of one repeat.
func (g grammar) repeat(word, row string, room int) (template, *spanError) {
	m := repeatRE.FindStringSubmatch(word)
	if m == nil {
		return nil, &spanError{0, `write {{repeat 0..200 ","}}: first and last number, and a separator if there is one`}
	}
	first, _ := strconv.Atoi(m[1])
	last, _ := strconv.Atoi(m[2])
	if last < first {
		return nil, &spanError{0, "{{repeat}} counts upwards"}
	}
	separator := ""
	if m[3] != "" {
		var err error
		if separator, err = strconv.Unquote(m[3]); err != nil {
			return nil, &spanError{0, fmt.Sprintf("the separator %s is no Go string", m[3])}
		}
	}
	// The row is parsed once, with numbers as references of a name of their own.
	known := map[string]string{}
	for name, value := range g.known {
		known[name] = value
	}
	var cells []part
	width := map[int]int{}
	for at := 0; at < len(row); {
		lit, rest, found := strings.Cut(row[at:], "{{")
		cells = append(cells, part{lit: lit})
		if !found {
			break
		}
		inner, _, closed := strings.Cut(rest, "}}")
		if !closed {
			return nil, &spanError{0, `"{{" without "}}" in {{repeat}}`}
		}
		at += len(lit) + len("{{") + len(inner) + len("}}")
		if n := numberRE.FindStringSubmatch(inner); n != nil {
			w, _ := strconv.Atoi("0" + n[1])
			width[len(cells)] = w
			cells = append(cells, part{})
			continue
		}
		if inner == "{{" {
			cells = append(cells, part{lit: "{{"})
			continue
		}
		p, err := grammar{known: known}.part(inner)
		if err != nil {
			return nil, &spanError{0, err.msg}
		}
		cells = append(cells, p)
	}
	size := len(separator)
	for _, c := range cells {
		size += len(c.lit) + len(c.name) + 1
	}
	if size*(last-first+1) > room {
		return nil, &spanError{0, fmt.Sprintf("{{repeat}} makes more than %d bytes", maxExpanded)}
	}
	var t template
	var b strings.Builder
	for n := first; n <= last; n++ {
		if n > first {
			b.WriteString(separator)
		}
		for i, c := range cells {
			w, number := width[i]
			switch {
			case number:
				fmt.Fprintf(&b, "%0*d", w, n)
			case c.name != "":
				t = append(t.literal(b.String()), c)
				b.Reset()
			default:
				b.WriteString(c.lit)
			}
		}
	}
	return t.literal(b.String()), nil
}

func (t template) literal(s string) template { return t.append(part{lit: s}) }

func (t template) append(p part) template {
	if last := len(t) - 1; p.name == "" && last >= 0 && t[last].name == "" {
		t[last].lit += p.lit
		return t
	}
	if p.name == "" && p.lit == "" {
		return t
	}
	return append(t, p)
}

// expand fills in values; captures become their recorded example.
func (t template) expand(values map[string]string) string {
	var b strings.Builder
	for _, p := range t {
		switch {
		case p.capture:
			b.WriteString(p.value)
		case p.name != "":
			b.WriteString(values[p.name])
		default:
			b.WriteString(p.lit)
		}
	}
	return b.String()
}

// A mismatch says where what came stops being what was wanted: the first offset bytes
// of both are the same.
type mismatch struct {
	offset int
	want   string // all of it, captures that were not reached as {{name}}
}

// match compares what came with a template and adds what it captures to values, as
// far as it gets.
func (t template) match(got string, values map[string]string) *mismatch {
	at := 0
	for i, p := range t {
		if !p.capture {
			want := p.lit
			if p.name != "" {
				want = values[p.name]
			}
			n := commonPrefix(want, got[at:])
			if at += n; n < len(want) {
				return &mismatch{at, got[:at] + want[n:] + t[i+1:].show(values)}
			}
			continue
		}
		n := p.length(got[at:], t[i+1:].ahead(p.name, values))
		if n == 0 {
			return &mismatch{at, got[:at] + t[i:].show(values)}
		}
		if p.name != "_" {
			values[p.name] = got[at : at+n]
		}
		at += n
	}
	if at < len(got) {
		return &mismatch{at, got[:at]}
	}
	return nil
}

// length returns how much of got a capture takes that is followed by the text
// ahead, 0 for nothing that matches.
func (p part) length(got, ahead string) int {
	n := run(got)
	switch {
	case uuidRE.MatchString(p.value):
		if n < len(p.value) || !uuidRE.MatchString(got[:len(p.value)]) {
			return 0
		}
		return len(p.value)
	case digits(p.value) == len(p.value):
		return digits(got)
	case ahead == "" || n == 0:
		return n
	}
	if i := strings.Index(got[1:], ahead); i >= 0 && i+1 <= n {
		return i + 1
	}
	return n
}

// lookahead is how much of the text after a capture is looked at to find its end.
const lookahead = 32

// ahead returns the beginning of a template as far as it is known.
func (t template) ahead(unknown string, values map[string]string) string {
	var b strings.Builder
	for _, p := range t {
		if p.capture || p.name != "" && p.name == unknown || b.Len() >= lookahead {
			break
		}
		b.WriteString(p.lit + values[p.name])
	}
	s := b.String()
	return s[:min(len(s), lookahead)]
}

// show renders a template for a reader.
func (t template) show(values map[string]string) string {
	var b strings.Builder
	for _, p := range t {
		value, known := values[p.name]
		switch {
		case p.name == "":
			b.WriteString(p.lit)
		case known && !p.capture:
			b.WriteString(value)
		default:
			b.WriteString("{{" + p.name + "}}")
		}
	}
	return b.String()
}

// record writes what came as a template: the captures of the former one where their
// surroundings are still there, what they hold as references after that, the rest as
// it is. It adds to values like match, and returns the names of captures that have
// lost their place.
func (t template) record(got string, values map[string]string) (text string, lost []string) {
	var b strings.Builder
	at, before := 0, ""
	for i, p := range t {
		if !p.capture {
			if p.name != "" {
				before += values[p.name]
			}
			before += p.lit
			before = before[max(0, len(before)-lookahead):]
			continue
		}
		context := before
		before = ""
		start, n := p.find(got[at:], context, t[i+1:].ahead(p.name, values))
		start += at
		if n == 0 {
			lost = append(lost, p.name)
			continue
		}
		b.WriteString(references(got[at:start], values))
		// The recorded example stays: what is random should not change the file.
		b.WriteString("{{" + p.name + "=" + p.value + "}}")
		if p.name != "_" {
			values[p.name] = got[start : start+n]
		}
		at = start + n
	}
	b.WriteString(references(got[at:], values))
	return b.String(), lost
}

// find looks for the place of a capture: after as much of the text that was before it as
// there is, if not at the beginning then at least its last bytes. n is 0 where there is none.
func (p part) find(got, before, ahead string) (start, n int) {
	if strings.HasPrefix(got, before) {
		if n = p.length(got[len(before):], ahead); n > 0 {
			return len(before), n
		}
	}
	const least = len(`":"`)
	for cut := 0; cut == 0 || len(before)-cut >= least; cut++ {
		context := before[cut:]
		for at := 0; at <= len(got); {
			i := strings.Index(got[at:], context)
			if i < 0 {
				break
			}
			at += i + len(context)
			if n = p.length(got[at:], ahead); n > 0 {
				return at, n
			}
			if context == "" {
				break
			}
		}
	}
	return 0, 0
}

// shortest is the length from which a captured value is taken for a reference
// wherever it stands: shorter ones stand somewhere by chance.
const shortest = 8

// references writes text with references for the values in it, and braces that are
// safe to read back.
func references(text string, values map[string]string) string {
	names := make([]string, 0, len(values))
	for name, value := range values {
		if len(value) >= shortest {
			names = append(names, name)
		}
	}
	// The longest first, so that one that contains another wins.
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(len(values[b])-len(values[a]), strings.Compare(a, b))
	})
	pairs := []string{"{{", "{{{{}}"}
	for _, name := range names {
		pairs = append(pairs, values[name], "{{"+name+"}}")
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// run returns the length of the beginning of s that a capture may hold.
func run(s string) int {
	if i := strings.IndexFunc(s, func(r rune) bool {
		return r <= ' ' || r == 0x7f || r == utf8.RuneError || strings.ContainsRune(`"{}<>\`, r)
	}); i >= 0 {
		return i
	}
	return len(s)
}

func digits(s string) int {
	return len(s) - len(strings.TrimLeft(s, "0123456789"))
}

func commonPrefix(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
