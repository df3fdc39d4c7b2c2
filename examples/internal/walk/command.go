package walk

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Command is a command of an sh block.
type Command struct {
	// Words are the command and its arguments, as a shell makes them.
	Words []string
	// Comment stands behind it.
	Comment string
}

// Commands reads a block as a shell does, with these variables, and sets those
// that it gives values to. A variable without a value is an error, and so is
// everything that needs a real shell.
func Commands(text string, vars map[string]string) ([]Command, error) {
	r := &shell{text: text, vars: vars}
	var out []Command
	for r.at < len(r.text) {
		c, err := r.command()
		if err != nil {
			return nil, fmt.Errorf("%q: %w", c.Words, err)
		}
		if len(c.Words) == 1 {
			if name, value, ok := strings.Cut(c.Words[0], "="); ok && isName(name) {
				vars[name] = value
				continue
			}
		}
		if len(c.Words) > 0 {
			out = append(out, c)
		}
	}
	return out, nil
}

type shell struct {
	text string
	at   int
	vars map[string]string
}

// command reads up to the end of a line that is not continued.
func (r *shell) command() (c Command, err error) {
	var word strings.Builder
	inWord := false
	end := func() {
		if inWord {
			c.Words = append(c.Words, word.String())
			word.Reset()
			inWord = false
		}
	}
	for r.at < len(r.text) {
		b := r.text[r.at]
		r.at++
		switch {
		case b == '\n':
			end()
			return c, nil
		case b == ' ' || b == '\t':
			end()
		case b == '#' && !inWord:
			line, _, _ := strings.Cut(r.text[r.at:], "\n")
			r.at += len(line)
			c.Comment = strings.TrimSpace(line)
		case b == '\\':
			if r.at == len(r.text) {
				return c, errors.New("nothing is behind the backslash")
			}
			if r.text[r.at] != '\n' { // a line goes on behind one
				word.WriteByte(r.text[r.at])
				inWord = true
			}
			r.at++
		case b == '\'':
			inWord = true
			inner, _, ok := strings.Cut(r.text[r.at:], "'")
			if !ok {
				return c, errors.New("a quote has no end")
			}
			word.WriteString(inner)
			r.at += len(inner) + 1
		case b == '"':
			inWord = true
			if err := r.quoted(&word); err != nil {
				return c, err
			}
		case b == '$':
			inWord = true
			if err := r.variable(&word); err != nil {
				return c, err
			}
		case strings.IndexByte("|&;<>()`*?[]{}~!", b) >= 0:
			return c, fmt.Errorf("%q has to be quoted", b)
		default:
			inWord = true
			word.WriteByte(b)
		}
	}
	end()
	return c, nil
}

// quoted reads what is in double quotes, and the closing one.
func (r *shell) quoted(word *strings.Builder) error {
	for r.at < len(r.text) {
		b := r.text[r.at]
		r.at++
		switch {
		case b == '"':
			return nil
		case b == '`':
			return errors.New("a substitution")
		case b == '$':
			if err := r.variable(word); err != nil {
				return err
			}
		case b == '\\' && r.at < len(r.text) && strings.IndexByte("\"\\$`\n", r.text[r.at]) >= 0:
			if r.text[r.at] != '\n' {
				word.WriteByte(r.text[r.at])
			}
			r.at++
		default:
			word.WriteByte(b)
		}
	}
	return errors.New("a quote has no end")
}

// variable reads the name behind a dollar sign.
func (r *shell) variable(word *strings.Builder) error {
	n := 0
	for r.at+n < len(r.text) && isName(r.text[r.at:r.at+n+1]) {
		n++
	}
	name := r.text[r.at : r.at+n]
	value, ok := r.vars[name]
	if !ok {
		return fmt.Errorf("there is no variable %q", name)
	}
	r.at += n
	word.WriteString(value)
	return nil
}

func isName(s string) bool {
	for i := range len(s) {
		b := s[i]
		if b != '_' && (b|0x20 < 'a' || b|0x20 > 'z') && (i == 0 || b < '0' || b > '9') {
			return false
		}
	}
	return s != ""
}

// Request is what a curl command sends.
type Request struct {
	Method, URL string
	Header      http.Header
	Body        string
	// Head is set by -i: the answer is shown with its status and headers.
	Head bool
}

// Curl reads a curl command: one URL and the flags -s, -i, -G, -X, -H, -d,
// --data-binary, --data-urlencode and --path-as-is.
func Curl(words []string) (*Request, error) {
	if len(words) == 0 || words[0] != "curl" {
		return nil, fmt.Errorf("%q is no curl command", words)
	}
	r := &Request{Header: http.Header{}}
	var data []string
	sends, get := false, false
	args := words[1:]
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		value := func() (v string, err error) {
			if len(args) == 0 {
				return "", fmt.Errorf("nothing is behind %s", arg)
			}
			v, args = args[0], args[1:]
			return v, nil
		}
		var flags []string
		switch {
		case strings.HasPrefix(arg, "--"):
			flags = []string{arg}
		case strings.HasPrefix(arg, "-"):
			for _, c := range arg[1:] {
				flags = append(flags, "-"+string(c))
			}
		case r.URL != "":
			return nil, fmt.Errorf("a second URL: %q", arg)
		default:
			r.URL = arg
		}
		for _, flag := range flags {
			switch flag {
			case "-s", "--path-as-is":
				continue
			case "-i":
				r.Head = true
				continue
			case "-G":
				get = true
				continue
			}
			v, err := value()
			if err != nil {
				return nil, err
			}
			switch flag {
			case "-X":
				r.Method = v
			case "-H":
				name, text, ok := strings.Cut(v, ":")
				if !ok {
					return nil, fmt.Errorf("%q is no header", v)
				}
				r.Header.Add(name, strings.TrimSpace(text))
			case "-d", "--data-binary", "--data-urlencode":
				sends = true
				switch {
				case strings.HasPrefix(v, "@"):
					return nil, fmt.Errorf("%s: files are not read", flag)
				case flag == "-d":
					v = strings.NewReplacer("\r", "", "\n", "").Replace(v)
				case flag == "--data-urlencode":
					name, text, ok := strings.Cut(v, "=")
					if !ok || strings.Contains(name, "@") {
						return nil, fmt.Errorf("%s %q is not of the form name=text", flag, v)
					}
					v = name + "=" + escape(text)
				}
				data = append(data, v)
			default:
				return nil, fmt.Errorf("the flag %s is not known here", flag)
			}
		}
	}
	switch {
	case r.URL == "":
		return nil, errors.New("there is no URL")
	case strings.ContainsAny(r.URL, "{}[] "):
		return nil, fmt.Errorf("curl does not take %q as it is", r.URL)
	}
	method := http.MethodGet
	switch {
	case sends && get:
		mark := "?"
		if strings.Contains(r.URL, "?") {
			mark = "&"
		}
		r.URL += mark + strings.Join(data, "&")
	case sends:
		method, r.Body = http.MethodPost, strings.Join(data, "&")
		if r.Header.Get("Content-Type") == "" {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
	}
	if r.Method == "" {
		r.Method = method
	}
	return r, nil
}

// escape writes every byte but the unreserved ones of RFC 3986 as %XX.
func escape(s string) string {
	var out strings.Builder
	for i := range len(s) {
		if b := s[i]; b|0x20 >= 'a' && b|0x20 <= 'z' || b >= '0' && b <= '9' || strings.IndexByte("-._~", b) >= 0 {
			out.WriteByte(b)
		} else {
			fmt.Fprintf(&out, "%%%02X", b)
		}
	}
	return out.String()
}
