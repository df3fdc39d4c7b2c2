package golden

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// An Error is a fault in a file.
type Error struct {
	File string
	Line int
	Msg  string
}

func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg) }

var (
	requestRE = regexp.MustCompile(`^([A-Z]+) (\S+) HTTP/1\.1$`)
	statusRE  = regexp.MustCompile(`^--> ([1-5][0-9][0-9])$`)
	wordRE    = regexp.MustCompile(`^= ([a-z][a-z0-9-]*)(?: (\S.*))?$`)
	optionRE  = regexp.MustCompile(`^([a-z][A-Za-z0-9]*) (\S.*)$`)
	headerRE  = regexp.MustCompile("^([-!#$%&'*+.^_`|~0-9A-Za-z]+):(?: (\\S.*))?$")
)

const (
	maxFile  = 16 << 20
	bodyRule = `a line of a body that starts with - = # ! or \ is written with \ before it`
)

// Parse reads a file. The error is an *Error with the line of the first fault.
func Parse(file string, text []byte) (*Scenario, error) {
	p := &parser{
		s: &Scenario{
			Name:    strings.TrimSuffix(filepath.Base(file), ".http"),
			File:    file,
			options: map[string]option{},
			asked:   map[string]bool{},
		},
		known: map[string]string{},
	}
	if err := p.parse(string(text)); err != nil {
		return nil, err
	}
	return p.s, nil
}

type parser struct {
	s     *Scenario
	at    int               // index of the next line
	known map[string]string // captures so far
}

// fail makes an error at a line, counted from 0.
func (p *parser) fail(line int, format string, args ...any) error {
	return &Error{File: p.s.File, Line: line + 1, Msg: fmt.Sprintf(format, args...)}
}

func (p *parser) more() bool { return p.at < len(p.s.lines) }

func (p *parser) line() string { return p.s.lines[p.at] }

func (p *parser) parse(text string) error {
	switch {
	case len(text) > maxFile:
		return p.fail(0, "more than %d bytes", maxFile)
	case text == "" || !strings.HasSuffix(text, "\n"):
		return p.fail(strings.Count(text, "\n"), "the last line has no line feed")
	}
	p.s.lines = strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i, line := range p.s.lines {
		if !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f || r == 0xfeff }) {
			return p.fail(i, "control characters, or not UTF-8; bodies that have to have them are written as !base64")
		}
	}
	for p.more() {
		var err error
		switch line := p.line(); {
		case line == "", strings.HasPrefix(line, "#"):
			p.at++
		case strings.HasPrefix(line, "= "):
			err = p.directive()
		case strings.HasPrefix(line, "--- "):
			err = p.exchange()
		case strings.HasPrefix(line, "-->"):
			err = p.fail(p.at, "a response without a request before it")
		default:
			err = p.fail(p.at, "not an exchange (---), a directive (=), or a comment (#); %s", bodyRule)
		}
		if err != nil {
			return err
		}
	}
	if len(p.s.Exchanges) == 0 {
		return p.fail(len(p.s.lines)-1, "no exchange")
	}
	return nil
}

func (p *parser) directive() error {
	start := p.at
	m := wordRE.FindStringSubmatch(p.line())
	if m == nil {
		return p.fail(start, "a directive is \"= name\" or \"= name text\"")
	}
	p.at++
	word, arg := m[1], m[2]
	it := item{line: start + 1, word: word}
	switch word {
	case "option":
		o := optionRE.FindStringSubmatch(arg)
		switch {
		case o == nil:
			return p.fail(start, "write = option name text")
		case len(p.s.items) > 0:
			return p.fail(start, "options come before everything else")
		}
		if _, twice := p.s.options[o[1]]; twice {
			return p.fail(start, "the option %s is given twice", o[1])
		}
		p.s.options[o[1]] = option{start + 1, o[2]}
		return nil
	case "clock":
		if _, _, err := parseClock(arg); err != nil {
			return p.fail(start, "%v", err)
		}
		it.arg = template{{lit: arg}}
	case "book":
		if arg != "" {
			if !filepath.IsLocal(arg) {
				return p.fail(start, "the file %s is not in the folder of this one", arg)
			}
			it.arg = template{{lit: arg}}
			break
		}
		b, err := p.body(false, false)
		if err != nil {
			return err
		}
		if !b.there {
			return p.fail(start, "no records below = book")
		}
		// A book's lines end in line feeds, as NDJSON does.
		it.arg, it.block = b.text.literal("\n"), true
	default:
		t, fault := grammar{known: p.known}.template(arg)
		if fault != nil {
			return p.fail(start, "%s", fault.msg)
		}
		it.arg = t
	}
	p.s.items = append(p.s.items, it)
	return nil
}

// parseClock reads an instant, or a duration that starts with a plus.
func parseClock(arg string) (at time.Time, by time.Duration, err error) {
	if rest, relative := strings.CutPrefix(arg, "+"); relative {
		if by, err = time.ParseDuration(rest); err != nil || by < 0 {
			return at, 0, fmt.Errorf("%q is no duration such as +90m", arg)
		}
		return at, by, nil
	}
	if at, err = time.Parse(time.RFC3339, arg); err != nil {
		return at, 0, fmt.Errorf("%q is neither an instant such as 2026-03-20T12:00:00Z nor a duration such as +90m", arg)
	}
	return at.UTC(), 0, nil
}

func (p *parser) exchange() error {
	e := &Exchange{Title: strings.TrimSpace(strings.TrimPrefix(p.line(), "--- ")), Line: p.at + 1}
	if e.Title == "" {
		return p.fail(p.at, "an exchange has a title: --- what it shows")
	}
	p.at++
	if !p.more() {
		return p.fail(p.at-1, "no request line below the title")
	}
	m := requestRE.FindStringSubmatch(p.line())
	if m == nil {
		return p.fail(p.at, "not a request line such as GET /path?query HTTP/1.1")
	}
	var fault *spanError
	line := p.at
	e.Method = m[1]
	if e.target, fault = (grammar{known: p.known}).template(m[2]); fault != nil {
		return p.fail(line, "%s", fault.msg)
	}
	p.at++
	var err error
	if e.headers, err = p.headers(false); err != nil {
		return err
	}
	if e.body, err = p.body(true, false); err != nil {
		return err
	}
	e.Target = e.target.expand(p.known)
	e.Header = expandHeaders(e.headers, p.known)
	e.Body = e.body.bytes(p.known)
	if _, err := newRequest(e.Method, e.Target, e.Header, e.Body); err != nil {
		return p.fail(line, "not a request: %v", err)
	}
	e.from, e.to = p.at, p.at
	for e.from > 0 && p.s.lines[e.from-1] == "" {
		e.from--
	}
	e.to = e.from
	if p.more() && strings.HasPrefix(p.line(), "-->") {
		if err := p.response(e); err != nil {
			return err
		}
	}
	p.s.Exchanges = append(p.s.Exchanges, e)
	p.s.items = append(p.s.items, item{line: e.Line, exchange: e})
	return nil
}

func (p *parser) response(e *Exchange) (err error) {
	m := statusRE.FindStringSubmatch(p.line())
	if m == nil {
		return p.fail(p.at, "write --> and the status, such as --> 200")
	}
	e.from = p.at
	e.Status, _ = strconv.Atoi(m[1])
	p.at++
	if e.responses, err = p.headers(true); err != nil {
		return err
	}
	if e.response, err = p.body(true, true); err != nil {
		return err
	}
	for e.to = p.at; p.s.lines[e.to-1] == ""; {
		e.to--
	}
	e.ResponseHeader = expandHeaders(e.responses, p.known)
	e.ResponseBody = e.response.bytes(p.known)
	return nil
}

// never are the headers that a file cannot list, because nobody writes them by hand
// and the handler does not decide them.
var never = map[string]bool{"Date": true, "Content-Length": true}

func (p *parser) headers(response bool) ([]header, error) {
	var out []header
	for ; p.more() && p.line() != "" && !marker(p.line()); p.at++ {
		m := headerRE.FindStringSubmatch(p.line())
		if m == nil {
			return nil, p.fail(p.at, "not a header such as Name: value; an empty line comes before a body")
		}
		name := http.CanonicalHeaderKey(m[1])
		switch {
		case never[name]:
			return nil, p.fail(p.at, "%s is not listed", name)
		case !response && m[2] == "":
			return nil, p.fail(p.at, "the header has no value")
		case !response && name == "Transfer-Encoding" && m[2] != "chunked":
			return nil, p.fail(p.at, "Transfer-Encoding is chunked or not listed")
		}
		value, fault := grammar{known: p.known, captures: response}.template(strings.TrimRight(m[2], " \t"))
		if fault != nil {
			return nil, p.fail(p.at, "%s", fault.msg)
		}
		out = append(out, header{p.at + 1, m[1], value})
	}
	return out, nil
}

func expandHeaders(list []header, values map[string]string) http.Header {
	out := http.Header{}
	for _, h := range list {
		if v := h.value.expand(values); v != "" {
			out.Add(h.name, v)
		}
	}
	return out
}

// marker says whether a line ends a body.
func marker(line string) bool { return strings.IndexAny(line, "-=#") == 0 }

// body reads a body up to the next marker: that of a message, which one empty line
// comes before and which may say how it is written, or the block of a directive.
func (p *parser) body(message, response bool) (body, error) {
	if message {
		if !p.more() || p.line() != "" {
			return body{}, nil
		}
		p.at++
	}
	b := body{}
	if p.more() && strings.HasPrefix(p.line(), "!") && message {
		switch b.written = p.line(); b.written {
		case joined, zipped, base64ed:
		default:
			return body{}, p.fail(p.at, "a body is written as !join, !gzip or !base64; %s", bodyRule)
		}
		b.there = true
		p.at++
	}
	start := p.at
	for p.more() && !marker(p.line()) {
		p.at++
	}
	end := p.at
	for end > start && p.s.lines[end-1] == "" {
		end--
	}
	if end == start {
		if b.there && b.written != zipped {
			return body{}, p.fail(start-1, "no body below %s", b.written)
		}
		return b, nil
	}
	b.there = true
	rows := make([]string, 0, end-start)
	for i := start; i < end; i++ {
		row := p.s.lines[i]
		if strings.HasPrefix(row, "!") {
			return body{}, p.fail(i, "%s", bodyRule)
		}
		if rest, escaped := strings.CutPrefix(row, `\`); escaped {
			if rest != "" && strings.IndexAny(rest, `-=#!\`) != 0 {
				return body{}, p.fail(i, `a backslash at the beginning is written \\`)
			}
			row = rest
		}
		rows = append(rows, row)
	}
	separator := "\n"
	switch b.written {
	case base64ed:
		raw, err := base64.StdEncoding.DecodeString(strings.Join(rows, ""))
		if err != nil {
			return body{}, p.fail(start, "%v", err)
		}
		b.text = template{}.literal(string(raw))
		return b, nil
	case joined:
		separator = ""
	}
	var fault *spanError
	b.text, fault = grammar{known: p.known, captures: response, repeats: true}.template(strings.Join(rows, separator))
	if fault != nil {
		line, left := start, fault.offset
		for _, row := range rows {
			if left -= len(row) + len(separator); left < 0 {
				break
			}
			line++
		}
		return body{}, p.fail(min(line, end-1), "%s", fault.msg)
	}
	return b, nil
}
