package filter

import (
	"regexp"
	"regexp/syntax"
)

const (
	// maxPattern is the longest pattern in bytes.
	maxPattern = 1000
	// maxPatternSize is the most instructions of a compiled pattern, because the
	// time to match a row is proportional to them: 1,000 steps for each character
	// of a value are affordable, the millions that Go's regexp allows are not.
	maxPatternSize = 5000
)

// pattern checks the second argument of matchesPattern, which is a constant, so
// that it is compiled once and its cost is known.
func (c *checker) pattern(e Expr) bool {
	l, ok := e.(*Literal)
	switch {
	case !ok:
		c.fail(e, CodeNotSupported, "a pattern that is no constant is not supported")
		return false
	case l.Value.IsNull():
		return true
	case len(l.Value.str) > maxPattern:
		c.fail(e, CodeLimit, "the pattern is longer than "+itoa(maxPattern)+" bytes")
		return false
	}
	tree, err := syntax.Parse(l.Value.str, syntax.Perl)
	if err != nil {
		message := "invalid pattern"
		code := CodeSyntax
		if e, ok := err.(*syntax.Error); ok {
			message += ": " + e.Code.String() + " " + quoteShort(e.Expr)
			if e.Code == syntax.ErrInvalidPerlOp || e.Code == syntax.ErrInvalidEscape {
				// Look-around and back references have no linear time.
				code, message = CodeNotSupported, "in a pattern, "+quoteShort(e.Expr)+" is not supported"
			}
		}
		c.fail(e, code, message)
		return false
	}
	if patternSize(tree) > maxPatternSize {
		c.fail(e, CodeLimit, "the pattern is too large when its repetitions are written out")
		return false
	}
	return true
}

// patternSize bounds the instructions of a pattern before it is compiled: that
// alone could take seconds. The parser of patterns limits the depth.
func patternSize(re *syntax.Regexp) int {
	size := 1
	for _, sub := range re.Sub {
		size = min(size+patternSize(sub), maxPatternSize+1)
	}
	switch re.Op {
	case syntax.OpRepeat:
		size *= max(re.Max, re.Min, 1) + 1
	case syntax.OpLiteral:
		size += len(re.Rune)
	case syntax.OpCharClass:
		size += len(re.Rune) / 8
	}
	return min(size, maxPatternSize+1)
}

// compilePattern returns nil for null; pattern has seen that it compiles.
func compilePattern(e Expr) (re *regexp.Regexp, err error) {
	l, ok := e.(*Literal)
	if !ok || l.Value.IsNull() {
		return nil, nil
	}
	return regexp.Compile(l.Value.str)
}
