package golden

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Update says whether the tests run with -update, for other golden files of the package:
// the flag can be defined once only.
func Update() bool { return *update }

// A Fixture is what a scenario runs against.
type Fixture struct {
	// Handler answers the requests.
	Handler http.Handler
	// Clock sets the clock. Where it is nil, a clock directive is an error.
	Clock func(at time.Time)
	// Book books records, one JSON object a line. Where it is nil, a book directive
	// is an error.
	Book func(t testing.TB, ndjson []byte)
	// Steps are called by the directives of their names, with the text after the
	// name. The names clock, book and option are taken.
	Steps map[string]func(t testing.TB, arg string)
}

// Run runs each scenario of a folder as a parallel test of its own, named like the file,
// against a fixture of its own. With -update it writes the responses that differ.
func Run(t *testing.T, dir string, open func(t *testing.T, s *Scenario) Fixture) {
	t.Helper()
	scenarios, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scenarios {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			p := player{t: t, s: s, fixture: open(t, s), update: *update, values: map[string]string{}}
			text := p.play()
			if p.changed && !t.Failed() {
				if err := os.WriteFile(s.File, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				t.Logf("%s: rewritten; read it", s.File)
			}
		})
	}
}

// player runs one scenario.
type player struct {
	t       testing.TB
	s       *Scenario
	fixture Fixture
	update  bool
	values  map[string]string // captured so far
	clock   time.Time
	changed bool
}

// play runs the scenario and returns its text, with -update as it is to be written.
func (p *player) play() string {
	p.t.Helper()
	for _, name := range slices.Sorted(maps.Keys(p.s.options)) {
		if !p.s.asked[name] {
			p.t.Errorf("%s:%d: the fixture does not ask for the option %s", p.s.File, p.s.options[name].line, name)
		}
	}
	var out []string
	from := 0
	for _, it := range p.s.items {
		if it.exchange == nil {
			p.step(it)
			continue
		}
		if written := p.exchange(it.exchange); written != nil {
			p.changed = true
			out = append(out, p.s.lines[from:it.exchange.from]...)
			out = append(out, written...)
			from = it.exchange.to
		}
	}
	out = append(out, p.s.lines[from:]...)
	return strings.Join(out, "\n") + "\n"
}

func (p *player) step(it item) {
	p.t.Helper()
	at := fmt.Sprintf("%s:%d", p.s.File, it.line)
	arg := it.arg.expand(p.values)
	switch it.word {
	case "clock":
		if p.fixture.Clock == nil {
			p.t.Fatalf("%s: the fixture has no clock", at)
		}
		to, by, _ := parseClock(arg) // Parse has read it
		if to.IsZero() {
			if p.clock.IsZero() {
				p.t.Fatalf("%s: the clock has not been set yet", at)
			}
			to = p.clock.Add(by)
		}
		p.clock = to
		p.fixture.Clock(to)
	case "book":
		if p.fixture.Book == nil {
			p.t.Fatalf("%s: the fixture has no book", at)
		}
		records := []byte(arg)
		if !it.block {
			var err error
			if records, err = os.ReadFile(filepath.Join(filepath.Dir(p.s.File), arg)); err != nil {
				p.t.Fatalf("%s: %v", at, err)
			}
		}
		p.fixture.Book(p.t, records)
	default:
		f := p.fixture.Steps[it.word]
		if f == nil {
			p.t.Fatalf("%s: the fixture has no step %q; it has %q", at, it.word, slices.Sorted(maps.Keys(p.fixture.Steps)))
		}
		f(p.t, arg)
	}
}

// exchange sends a request and compares the response. With -update it returns the
// lines of the response where they are to be written.
func (p *player) exchange(e *Exchange) []string {
	p.t.Helper()
	at := fmt.Sprintf("%s:%d: %s", p.s.File, e.Line, e.Title)
	r, err := newRequest(e.Method, e.target.expand(p.values), expandHeaders(e.headers, p.values), e.body.bytes(p.values))
	if err != nil {
		p.t.Fatalf("%s: with what was captured it is no request: %v", at, err)
	}
	w := httptest.NewRecorder()
	p.fixture.Handler.ServeHTTP(w, r.WithContext(p.t.Context()))
	got := w.Result()
	raw, err := io.ReadAll(got.Body)
	if err != nil {
		p.t.Fatalf("%s: %v", at, err)
	}
	for _, fault := range broken(e.Method, got, raw) {
		p.t.Errorf("%s: %s", at, fault)
	}
	if e.Method == http.MethodHead {
		raw = nil // net/http does not send it
	}
	before := maps.Clone(p.values)
	faults := p.compare(e, got, raw)
	switch {
	case len(faults) == 0:
		return nil
	case p.update:
		p.values = before
		return p.record(at, e, got, raw)
	case e.Status == 0:
		p.t.Fatalf("%s: no response is recorded; -update writes it", at)
	}
	p.t.Errorf("%s:\n%s", at, strings.Join(faults, "\n"))
	for _, name := range e.captures() {
		if _, ok := p.values[name]; !ok {
			p.t.Fatalf("%s: {{%s}} was not captured; the rest of the scenario would not mean anything", at, name)
		}
	}
	return nil
}

// broken says what no response may do, whatever is recorded.
func broken(method string, got *http.Response, raw []byte) (faults []string) {
	if n := got.Header.Get("Content-Length"); n != "" && method != http.MethodHead && n != fmt.Sprint(len(raw)) {
		faults = append(faults, fmt.Sprintf("Content-Length is %s, the body has %d bytes", n, len(raw)))
	}
	if s := got.StatusCode; len(raw) > 0 && (s < 200 || s == http.StatusNoContent || s == http.StatusNotModified) {
		faults = append(faults, fmt.Sprintf("status %d has no body, this one has %d bytes", s, len(raw)))
	}
	return faults
}

// captures returns the names that the response of an exchange captures.
func (e *Exchange) captures() []string {
	var names []string
	add := func(t template) {
		for _, p := range t {
			if p.capture && p.name != "_" {
				names = append(names, p.name)
			}
		}
	}
	for _, h := range e.responses {
		add(h.value)
	}
	add(e.response.text)
	return names
}

// compare returns how a response differs from the recorded one, and captures.
func (p *player) compare(e *Exchange, got *http.Response, raw []byte) (faults []string) {
	if e.Status == 0 {
		return []string{"no response is recorded"}
	}
	if got.StatusCode != e.Status {
		faults = append(faults, fmt.Sprintf("status %d, want %d", got.StatusCode, e.Status))
	}
	nth := map[string]int{}
	for _, h := range e.responses {
		key := strings.ToLower(h.name)
		values := valuesOf(got.Header, h.name)
		i := nth[key]
		nth[key]++
		switch {
		case len(h.value) == 0 && len(values) == 0:
		case len(h.value) == 0:
			faults = append(faults, fmt.Sprintf("header %s: %q, want none", h.name, values))
		case i >= len(values):
			faults = append(faults, fmt.Sprintf("header %s: missing, want %s", h.name, h.value.show(p.values)))
		default:
			if m := h.value.match(values[i], p.values); m != nil {
				faults = append(faults, fmt.Sprintf("header %s: differs at byte %d\n  want %s\n  got  %s", h.name, m.offset, m.want, values[i]))
			}
		}
	}
	for _, h := range e.responses {
		key := strings.ToLower(h.name)
		if values := valuesOf(got.Header, h.name); nth[key] > 0 && len(h.value) > 0 && len(values) > nth[key] {
			faults = append(faults, fmt.Sprintf("header %s: %d values, want %d: %q", h.name, len(values), nth[key], values))
			nth[key] = 0
		}
	}
	if text, m := e.response.match(raw, p.values); m != nil {
		faults = append(faults, difference(m.want, text, m.offset))
	}
	return faults
}

// valuesOf returns the values of a header whose name may have been set in any case.
func valuesOf(h http.Header, name string) []string {
	var values []string
	for _, key := range slices.Sorted(maps.Keys(h)) {
		if strings.EqualFold(key, name) {
			for _, value := range h[key] {
				values = append(values, strings.TrimSpace(value)) // as net/http writes it
			}
		}
	}
	return values
}

// difference shows two bodies and where they part.
func difference(want, got string, offset int) string {
	const before, after, most = 60, 40, 4000
	window := func(s string) string {
		start, end := max(0, offset-before), min(len(s), offset+after)
		return strings.ToValidUTF8(escape(s[start:end]), "�")
	}
	show := func(s string) string {
		start := max(0, min(offset-most/2, len(s)-most))
		end := min(len(s), start+most)
		text := s[start:end]
		if start > 0 {
			text = fmt.Sprintf("(%d bytes)...", start) + text
		}
		if end < len(s) {
			text += fmt.Sprintf("...(%d bytes)", len(s)-end)
		}
		if !utf8.ValidString(text) {
			return fmt.Sprintf("%q", text)
		}
		return text
	}
	indent := utf8.RuneCountInString(strings.ToValidUTF8(escape(got[max(0, offset-before):offset]), "�"))
	return fmt.Sprintf("body differs at byte %d of %d (want has %d)\n  want %s\n  got  %s\n       %s^\n--- want\n%s\n--- got\n%s\n---",
		offset, len(got), len(want), window(want), window(got), strings.Repeat(" ", indent), show(want), show(got))
}

// escape keeps a window of text on its line.
func escape(s string) string {
	return strings.NewReplacer("\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s)
}

// record writes a response: the listed headers, or all of them where none was, with the
// captures that there were.
func (p *player) record(at string, e *Exchange, got *http.Response, raw []byte) []string {
	p.t.Helper()
	var out []string
	var lost []string
	if e.Status == 0 {
		out = append(out, "")
	}
	out = append(out, fmt.Sprintf("--> %d", got.StatusCode))
	write := func(name, value string, old template) {
		text, gone := old.record(value, p.values)
		lost = append(lost, gone...)
		out = append(out, name+": "+text)
	}
	if len(e.responses) == 0 {
		for _, name := range slices.Sorted(maps.Keys(got.Header)) {
			for _, value := range valuesOf(got.Header, name) {
				if !never[http.CanonicalHeaderKey(name)] && value != "" {
					write(name, value, nil)
				}
			}
		}
	}
	nth := map[string]int{}
	for _, h := range e.responses {
		key := strings.ToLower(h.name)
		values := valuesOf(got.Header, h.name)
		i := nth[key]
		nth[key]++
		switch {
		case i >= len(values) && len(h.value) == 0:
			out = append(out, h.name+":")
		case i >= len(values):
			lost = append(lost, names(h.value)...)
		default:
			write(h.name, values[i], h.value)
		}
	}
	text, zip := string(raw), false
	if e.response.written == zipped || e.Status == 0 && strings.EqualFold(got.Header.Get("Content-Encoding"), "gzip") {
		if inflated, err := inflate(raw); err == nil && printable([]byte(inflated)) {
			text, zip = inflated, true
		}
	}
	if len(raw) > 0 {
		written, gone := e.response.text.record(text, p.values)
		lost = append(lost, gone...)
		out = append(out, "")
		out = append(out, lines(written, raw, zip)...)
	} else {
		lost = append(lost, names(e.response.text)...)
	}
	if len(lost) > 0 {
		p.t.Errorf("%s: the captures %q have no place in the new response, which is %d %s", at, lost, got.StatusCode, text)
	}
	return out
}

func names(t template) []string {
	return (&Exchange{response: body{text: t}}).captures()
}
