package usage

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/usagebook/usagebook/filter"
)

const maxMeasuresBytes = 8 << 10

// ParseMeasures reads a list of measures in the form
//
//	sum(quantity) as quantity, count() as n, max(cost) of 'api-calls' as dearest
//
// The aggregations are sum, count, min, max, avg (or average), first, last and
// countdistinct, in any case. "of METER" narrows a measure to one meter, "as
// NAME" names its column. Names that hold anything but letters, digits and
// _ - . / : are written in single quotes, a quote in them twice. A fault is a
// *filter.Error with its place.
func ParseMeasures(text string) ([]Measure, error) {
	p := &measureParser{text: text}
	if len(text) > maxMeasuresBytes {
		return nil, p.fault(0, 0, "limit", fmt.Sprintf("the list has %d bytes, at most %d are allowed", len(text), maxMeasuresBytes))
	}
	var out []Measure
	p.space()
	for p.at < len(text) {
		if len(out) == maxMeasures {
			return nil, p.fault(p.at, len(text), "limit", fmt.Sprintf("more than %d measures", maxMeasures))
		}
		m, err := p.measure()
		if err != nil {
			return nil, err
		}
		out = append(out, m)
		if p.at == len(text) {
			return out, nil
		}
		if text[p.at] != ',' {
			return nil, p.unexpected("a comma", "the end")
		}
		p.at++
		if p.space(); p.at == len(text) {
			return nil, p.unexpected("a measure")
		}
	}
	return nil, p.unexpected("a measure such as sum(quantity)")
}

type measureParser struct {
	text string
	at   int
}

func (p *measureParser) fault(from, to int, code, message string, expected ...string) error {
	return &filter.Error{Text: p.text, Span: filter.Span{From: from, To: to}, Code: code, Message: message, Expected: expected}
}

func (p *measureParser) unexpected(expected ...string) error {
	if p.at == len(p.text) {
		return p.fault(p.at, p.at, "syntax", "the list of measures ends too early", expected...)
	}
	_, n := utf8.DecodeRuneInString(p.text[p.at:])
	return p.fault(p.at, p.at+n, "syntax", "unexpected "+quoted(p.text[p.at:p.at+n]), expected...)
}

func (p *measureParser) space() {
	for p.at < len(p.text) && (p.text[p.at] == ' ' || p.text[p.at] == '\t') {
		p.at++
	}
}

// word reads a bare word or a quoted name; empty when there is none.
func (p *measureParser) word() (string, error) {
	start := p.at
	if p.at < len(p.text) && p.text[p.at] == '\'' {
		var b strings.Builder
		for p.at++; p.at < len(p.text); p.at++ {
			c := p.text[p.at]
			if c != '\'' {
				b.WriteByte(c)
				continue
			}
			if p.at+1 < len(p.text) && p.text[p.at+1] == '\'' {
				b.WriteByte('\'')
				p.at++
				continue
			}
			p.at++
			return b.String(), nil
		}
		return "", p.fault(start, len(p.text), "syntax", "the quote is not closed", "'")
	}
	for p.at < len(p.text) {
		r, n := utf8.DecodeRuneInString(p.text[p.at:])
		if r < utf8.RuneSelf && !wordByte(byte(r)) || r == utf8.RuneError && n == 1 {
			break
		}
		p.at += n
	}
	return p.text[start:p.at], nil
}

func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_-./:", c) >= 0
}

func (p *measureParser) measure() (m Measure, err error) {
	start := p.at
	name, err := p.word()
	if err != nil {
		return m, err
	}
	if name == "" {
		return m, p.unexpected(aggregationNames[:]...)
	}
	var ok bool
	if m.Aggregation, ok = parseAggregation(name); !ok {
		return m, p.fault(start, p.at, "unknown_name", "unknown aggregation "+quoted(name), aggregationNames[:]...)
	}
	p.space()
	if p.at == len(p.text) || p.text[p.at] != '(' {
		return m, p.unexpected("(")
	}
	p.at++
	p.space()
	argument := p.at
	if m.Of, err = p.word(); err != nil {
		return m, err
	}
	p.space()
	if p.at == len(p.text) || p.text[p.at] != ')' {
		return m, p.unexpected(")")
	}
	if m.Of == "" && m.Aggregation != Count {
		return m, p.fault(argument, p.at, "syntax", name+" needs a value to aggregate", "the name of a value")
	}
	p.at++
	for {
		p.space()
		start := p.at
		keyword, err := p.word()
		if err != nil {
			return m, err
		}
		if keyword == "" {
			return m, nil
		}
		to := &m.Name
		switch strings.ToLower(keyword) {
		case "as":
		case "of":
			to = &m.Meter
		default:
			return m, p.fault(start, p.at, "syntax", "unexpected "+quoted(keyword), "as", "of", "a comma")
		}
		if *to != "" {
			return m, p.fault(start, p.at, "syntax", quoted(keyword)+" is given twice")
		}
		p.space()
		if *to, err = p.word(); err != nil {
			return m, err
		}
		if *to == "" {
			return m, p.unexpected("a name")
		}
	}
}
