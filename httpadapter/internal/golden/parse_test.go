package golden

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseErrors(t *testing.T) {
	t.Parallel()
	const get = "--- a\nGET / HTTP/1.1\n"
	for _, tc := range []struct{ name, text, want string }{
		{"empty", "", "x.http:1: the last line has no line feed"},
		{"no line feed", get + "\n--> 200", "x.http:4: the last line has no line feed"},
		{"no exchange", "# nothing\n", "x.http:1: no exchange"},
		{"carriage return", get + "\r\n", "x.http:3: control characters"},
		{"not UTF-8", get + "\xff\n", "x.http:3: control characters"},
		{"words", "hello\n", "x.http:1: not an exchange"},
		{"response first", "--> 200\n", "x.http:1: a response without a request"},
		{"two responses", get + "\n--> 200\n\n--> 200\n", "x.http:6: a response without a request"},
		{"no title", "--- \nGET / HTTP/1.1\n", "x.http:1: an exchange has a title"},
		{"title alone", "--- a\n", "x.http:1: no request line"},
		{"request line", "--- a\nGET /\n", "x.http:2: not a request line"},
		{"target", "--- a\nGET /% HTTP/1.1\n", "x.http:2: not a request"},
		{"header", get + "Authorization Bearer\n", "x.http:3: not a header"},
		{"empty header", get + "Authorization:\n", "x.http:3: the header has no value"},
		{"date", get + "\n--> 200\nDate: now\n", "x.http:5: Date is not listed"},
		{"length", get + "content-length: 3\n", "x.http:3: Content-Length is not listed"},
		{"transfer encoding", get + "Transfer-Encoding: gzip\n", "x.http:3: Transfer-Encoding is chunked or not listed"},
		{"status", get + "\n--> OK\n", "x.http:4: write --> and the status"},
		{"status number", get + "\n--> 600\n", "x.http:4: write --> and the status"},
		{"body starts a line with a dash", get + "\n-1\n", "x.http:4: not an exchange"},
		{"body has !", get + "\nx\n!y\n", "x.http:5: a line of a body that starts with"},
		{"backslash", get + "\n\\x\n", "x.http:4: a backslash at the beginning"},
		{"written", get + "\n!zip\nx\n", "x.http:4: a body is written as"},
		{"written, no body", get + "\n!join\n", "x.http:4: no body below !join"},
		{"base64", get + "\n!base64\n???\n", "x.http:5: illegal base64"},
		{"directive", "= \n", `x.http:1: a directive is`},
		{"clock", "= clock noon\n", `x.http:1: "noon" is neither`},
		{"clock duration", "= clock +noon\n", `x.http:1: "+noon" is no duration`},
		{"book", "= book\n\n" + get, "x.http:1: no records"},
		{"book file", "= book ../x\n" + get, "x.http:1: the file ../x is not in the folder"},
		{"option", "= option a\n", "x.http:1: write = option name text"},
		{"option twice", "= option a b\n= option a c\n", "x.http:2: the option a is given twice"},
		{"late option", "= clock +1s\n= option a b\n", "x.http:2: options come before"},
		{"unknown name", "--- a\nGET /{{id}} HTTP/1.1\n", "x.http:2: {{id}} is captured nowhere before"},
		{"unknown name in a step", "= work {{id}}\n" + get, "x.http:1: {{id}} is captured nowhere before"},
		{"capture in a request", get + "\n{\"a\":\"{{id=1}}\"}\n", "x.http:4: {{id=1}} captures, which is for responses"},
		{"capture twice", get + "\n--> 200\n\n{{id=1}}\n{{id=1}}\n", "x.http:7: {{id=...}} is captured twice"},
		{"capture of nothing", get + "\n--> 200\n\n{{id=}}\n", "x.http:6: {{id=...}}: a value"},
		{"capture of quotes", get + "\n--> 200\n\n{{id=a\"b}}\n", "x.http:6: {{id=...}}: a value"},
		{"captures side by side", get + "\n--> 200\n\n{{id=1}}{{_=2}}\n", "x.http:6: there has to be text after a capture"},
		{"name", get + "\n--> 200\n\n{{Id=1}}\n", "x.http:6: {{Id=1}} is neither"},
		{"number outside", get + "\nx\n{{n}}\n", "x.http:5: {{n}} is neither"},
		{"braces", get + "\nx {{\n", `x.http:4: "{{" without "}}"`},
		{"repeat without end", get + "\n{{repeat 0..1}}x\n", "x.http:4: {{repeat}} without {{end}}"},
		{"repeat of what", get + "\n{{repeat 3}}x{{end}}\n", "x.http:4: write {{repeat 0..200"},
		{"repeat downwards", get + "\n{{repeat 3..2}}x{{end}}\n", "x.http:4: {{repeat}} counts upwards"},
		{"repeat separator", get + "\n{{repeat 2..3 \"\\q\"}}x{{end}}\n", "x.http:4: the separator"},
		{"repeat in repeat", get + "\n{{repeat 2..3}}{{repeat 2..3}}x{{end}}{{end}}\n", "x.http:4: {{repeat 2..3}} is neither"},
		{"repeat too often", get + "\n{{repeat 0..99999999}}xxxxxxxxxx{{end}}\n", "x.http:4: {{repeat}} makes more than"},
		{"repeat in a target", "--- a\nGET /{{repeat\u00a00..1}} HTTP/1.1\n", "x.http:2: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("x.http", []byte(tc.text))
			var fault *Error
			require.ErrorAs(t, err, &fault)
			require.Contains(t, err.Error(), tc.want)
		})
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, written, want string }{
		{"a line", "abc", "abc"},
		{"empty lines at the end", "abc\n\n", "abc"},
		{"line feed at the end", "abc\n\\\n", "abc\n"},
		{"empty lines", "\n\nabc\n\nd\n\\\n\\", "\n\nabc\n\nd\n\n"},
		{"escapes", "\\-1\n\\=\n\\#\n\\!\n\\\\", "-1\n=\n#\n!\n\\"},
		{"joined", "!join\n[\n{},\n\n{}\n]", "[{},{}]"},
		{"base64", "!base64\nAAE\nC/w==\n", "\x00\x01\x02\xff"},
		{"repeat", `[{{repeat 8..10 ","}}"{{n}} {{n3}}"{{end}}]`, `["8 008","9 009","10 010"]`},
		{"repeat over lines", "{{repeat 1..2 \"\\n\"}}a\n{{{{}}{{n}}{{end}}", "a\n{{1\na\n{{2"},
		{"braces", `{"t":"{{{{}}x}}"}`, `{"t":"{{x}}"}`},
		{"no repeat", "{{repeat 0..0 \",\"}}x{{end}}", "x"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, head := range []string{"", "\n--> 200\n"} {
				s, err := Parse("x.http", []byte("--- a\nPOST / HTTP/1.1\n"+head+"\n"+tc.written+"\n\n# end\n"))
				require.NoError(t, err)
				got := s.Exchanges[0].Body
				if head != "" {
					got = s.Exchanges[0].ResponseBody
				}
				require.Equal(t, tc.want, string(got))
			}
		})
	}
}

// written returns a file with every response written anew.
func written(s *Scenario) string {
	var out []string
	from := 0
	for _, e := range s.Exchanges {
		if e.Status == 0 {
			continue
		}
		out = append(out, s.lines[from:e.from]...)
		out = append(out, s.lines[e.from:e.from+1+len(e.responses)]...)
		if e.ResponseBody != nil {
			text, zip := string(e.ResponseBody), e.response.written == zipped
			if zip {
				text = e.response.text.expand(nil)
			}
			zip = zip && printable([]byte(text))
			out = append(append(out, ""), lines(references(text, nil), e.ResponseBody, zip)...)
		}
		from = e.to
	}
	return strings.Join(append(out, s.lines[from:]...), "\n") + "\n"
}

// FuzzParse holds that any text is read or refused, and that what is written of what was
// read reads as the same.
func FuzzParse(f *testing.F) {
	tour, err := os.ReadFile("testdata/exchanges/tour.http")
	require.NoError(f, err)
	f.Add(string(tour))
	for _, seed := range []string{
		"--- a\nGET / HTTP/1.1\n\n--> 200\n\n!gzip\nx\n",
		"--- a\nGET / HTTP/1.1\n\n--> 200\n\n!base64\nAAEC\n",
		"--- a\nGET / HTTP/1.1\n\n--> 200\n\n!gzip\n",
		"--- a\nGET / HTTP/1.1\n\n--> 200\nA: {{b=1}}\n\n\\-{{c=1}}\n\\\n",
		"--- a\nGET / HTTP/1.1\n\n{{repeat 0..2 \",\"}}{{n2}}{{end}}\n= x {{{{}}\n",
		"--- a\nGET / HTTP/1.1\n\n--> 200\n\n[{\"a\":[{},{}]},{\"b\":\"[{\"}]\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "{{repeat") && len(text) > 500 {
			return // large bodies say nothing new
		}
		s, err := Parse("x.http", []byte(text))
		if err != nil {
			return
		}
		for _, e := range s.Exchanges {
			require.Equal(t, e.Method, e.Request().Method)
			require.NotNil(t, e.Response(nil))
		}
		again, err := Parse("x.http", []byte(written(s)))
		if err != nil && strings.Contains(err.Error(), "captured nowhere") {
			return // bodies are written without their captures here
		}
		require.NoError(t, err, written(s))
		require.Len(t, again.Exchanges, len(s.Exchanges))
		for i, e := range s.Exchanges {
			a := again.Exchanges[i]
			require.Equal(t, e.Status, a.Status)
			require.Equal(t, e.ResponseHeader, a.ResponseHeader)
			require.Equal(t, string(e.ResponseBody), string(a.ResponseBody), written(s))
			require.Equal(t, string(e.Body), string(a.Body))
			require.Equal(t, e.Target, a.Target)
		}
	})
}

// FuzzMatch holds that a template matches what it was recorded from.
func FuzzMatch(f *testing.F) {
	f.Add(`{"id":"{{id=9f0c2b1e-5d7a-4c57-9a44-0d8d0f5b7a10}}","n":{{n1x=12}},"u":"{{id}}"}`, `{"id":"9f0c2b1e-5d7a-4c57-9a44-0d8d0f5b7a11","n":3}`)
	f.Add(`{{_=a}}-{{a=b}}`, `x-y-z`)
	f.Fuzz(func(t *testing.T, text, got string) {
		bare, _ := template(nil).record(got, nil)
		whole, fault := grammar{}.template(bare)
		require.Nil(t, fault)
		require.Nil(t, whole.match(got, nil))
		require.NotNil(t, whole.match(got+"x", nil))
		g := grammar{captures: true, known: map[string]string{}}
		old, fault := g.template(text)
		if fault != nil {
			return
		}
		own := old.expand(g.known)
		matched := map[string]string{}
		if m := old.match(own, matched); m != nil {
			// A capture ends where the text after it begins, which an example may
			// contain itself; then the recorded example is a bad one, and nothing else.
			require.LessOrEqual(t, m.offset, len(own))
		}
		if m := old.match(got, map[string]string{}); m != nil {
			require.LessOrEqual(t, m.offset, len(got))
			require.Equal(t, got[:m.offset], m.want[:m.offset])
		}
		values := map[string]string{}
		recorded, lost := old.record(got, values)
		fresh := grammar{captures: true, known: map[string]string{}}
		again, fault := fresh.template(recorded)
		if fault != nil {
			require.Contains(t, fault.msg, "text after a capture", recorded)
			return
		}
		if len(lost) > 0 || slices.ContainsFunc(again, func(p part) bool { return p.name == "_" }) {
			return
		}
		if m := again.match(got, map[string]string{}); m != nil {
			require.Equal(t, got[:m.offset], m.want[:m.offset])
		}
	})
}
