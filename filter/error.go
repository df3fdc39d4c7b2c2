package filter

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Span is a range of bytes [From, To) in the text of an expression.
type Span struct {
	From, To int
}

// The values of Error.Code.
const (
	CodeSyntax          = "syntax"           // the text is not an expression of the language
	CodeUnknownName     = "unknown_name"     // no such field
	CodeUnknownFunction = "unknown_function" // no such function
	CodeArguments       = "arguments"        // a function with the wrong number of arguments
	CodeType            = "type"             // an operator or function that does not take operands of these types
	CodeNotAllowed      = "not_allowed"      // a field that may not be used for this
	CodeDuplicate       = "duplicate"        // a name given twice
	CodeNotSupported    = "not_supported"    // a part of the standard that is left out
	CodeLimit           = "limit"            // too long, too many nodes, nested too deeply
	CodeOutOfRange      = "out_of_range"     // a number, date or time that cannot be represented
	CodeDivisionByZero  = "division_by_zero" // div, divby or mod by zero
)

// Error is what is wrong with an expression: what, where, and what was expected.
// It is the error of every function of this package that reads or evaluates an
// expression. errors.Is(err, &Error{Code: code}) reports whether an error has a
// code.
type Error struct {
	Text       string   // the whole text; empty when the tree was not made by Parse
	Span       Span     // the bytes of Text at fault; From is len(Text) where something is missing at the end
	Code       string   // one of the Code constants
	Message    string   // what is wrong, without position
	Expected   []string // what would have been right, where that is a short list
	Suggestion string   // a declared name near to the unknown one, or empty
}

// Error returns the message in one line with the byte position.
func (e *Error) Error() string {
	return "filter: at byte " + strconv.Itoa(e.Span.From) + ": " + e.message()
}

func (e *Error) message() string {
	var b strings.Builder
	b.WriteString(e.Message)
	if len(e.Expected) > 0 {
		b.WriteString(", expected ")
		for i, x := range e.Expected {
			switch {
			case i == 0:
			case i == len(e.Expected)-1:
				b.WriteString(" or ")
			default:
				b.WriteString(", ")
			}
			b.WriteString(x)
		}
	}
	if e.Suggestion != "" {
		b.WriteString("; did you mean ")
		b.WriteString(e.Suggestion)
		b.WriteString("?")
	}
	return b.String()
}

// Is reports whether target is an *Error that has nothing but the same Code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Text == "" && t.Message == "" && t.Span == Span{} && t.Suggestion == "" && len(t.Expected) == 0
}

// renderWidth is the most characters of the text that Render shows, so that a
// fault in a long text stays on one line of a terminal.
const renderWidth = 76

// Render returns the error in three lines: the message, the text around the
// fault, and carets under the fault.
func (e *Error) Render() string {
	var b strings.Builder
	b.WriteString(e.Error())
	if e.Text == "" {
		return b.String()
	}
	from := min(max(e.Span.From, 0), len(e.Text))
	to := min(max(e.Span.To, from), len(e.Text))
	// Runes are counted once, from the window's edge, so that the caret stands
	// right under multi-byte text and a long text costs no more than its window.
	start := stepBack(e.Text, from, renderWidth/2)
	line, caretFrom := window(e.Text[start:from], renderWidth)
	under := caretFrom
	rest, marked := window(e.Text[from:], renderWidth-under)
	width := utf8.RuneCountInString(e.Text[from:to])
	width = max(1, min(width, marked))
	b.WriteString("\n  ")
	lead := 0
	if start > 0 {
		b.WriteString("...")
		lead = 3
	}
	b.WriteString(line)
	b.WriteString(rest)
	if from+runesLen(e.Text[from:], marked) < len(e.Text) {
		b.WriteString("...")
	}
	b.WriteString("\n  ")
	b.WriteString(strings.Repeat(" ", lead+under))
	b.WriteString(strings.Repeat("^", width))
	return b.String()
}

func stepBack(s string, i, n int) int {
	for ; n > 0 && i > 0; n-- {
		_, size := utf8.DecodeLastRuneInString(s[:i])
		i -= size
	}
	return i
}

func runesLen(s string, n int) int {
	i := 0
	for ; n > 0 && i < len(s); n-- {
		_, size := utf8.DecodeRuneInString(s[i:])
		i += size
	}
	return i
}

// window returns the first n characters of s, those that would move the cursor
// replaced, and their number.
func window(s string, n int) (string, int) {
	var b strings.Builder
	count := 0
	for _, r := range s {
		if count == n {
			break
		}
		if !unicode.IsPrint(r) {
			r = ' '
		}
		b.WriteRune(r)
		count++
	}
	return b.String(), count
}
