package golden

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// The ways a body is written in a file.
const (
	plain    = ""
	joined   = "!join"
	zipped   = "!gzip"
	base64ed = "!base64"
)

// body is a body of a file. The zero body is none.
type body struct {
	there   bool
	written string
	text    template // of base64ed: the decoded bytes as one literal
}

// bytes returns the body as it goes over the wire, nil for none.
func (b body) bytes(values map[string]string) []byte {
	if !b.there {
		return nil
	}
	text := []byte(b.text.expand(values))
	if b.written == zipped {
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		_, _ = z.Write(text) // a Buffer takes everything
		_ = z.Close()
		return out.Bytes()
	}
	return text
}

// match compares a body that came with the recorded one.
func (b body) match(got []byte, values map[string]string) (text string, m *mismatch) {
	text = string(got)
	if b.written == zipped {
		plain, err := inflate(got)
		if err != nil {
			return text, &mismatch{0, "(gzip, this is not: " + err.Error() + ") " + b.text.show(values)}
		}
		text = plain
	}
	return text, b.text.match(text, values)
}

func inflate(b []byte) (string, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(z, maxExpanded+1))
	if err == nil && len(text) > maxExpanded {
		err = fmt.Errorf("inflates to more than %d bytes", maxExpanded)
	}
	return string(text), err
}

// lines writes a body the way Parse reads it, without the empty line before it. The
// text is that of a template, the bytes the body it stands for.
func lines(text string, raw []byte, gzip bool) []string {
	if !gzip && !printable(raw) {
		out := []string{base64ed}
		for s := base64.StdEncoding.EncodeToString(raw); s != ""; {
			n := min(len(s), 76)
			out = append(out, s[:n])
			s = s[n:]
		}
		return out
	}
	var out []string
	rows := strings.Split(text, "\n")
	if gzip {
		out = append(out, zipped)
	} else if len(rows) == 1 && len(text) > 100 {
		if broken := breakRows(text); len(broken) > 1 {
			out, rows = append(out, joined), broken
		}
	}
	for i, row := range rows {
		if strings.IndexAny(row, `-=#!\`) == 0 || row == "" && i == len(rows)-1 {
			row = `\` + row
		}
		out = append(out, row)
	}
	return out
}

// breakRows breaks JSON in one line where rows begin and end, so that a row is a line
// and a difference in one is a difference in that line. Where this meets a string or a
// template no harm is done: the lines are joined before anything reads them.
func breakRows(text string) []string {
	return strings.Split(strings.NewReplacer("[{", "[\n{", "},{", "},\n{", "}]", "}\n]").Replace(text), "\n")
}

// printable says whether a body can be written as text.
func printable(b []byte) bool {
	return utf8.Valid(b) && !bytes.ContainsFunc(b, func(r rune) bool {
		return r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r == 0xfeff
	})
}
