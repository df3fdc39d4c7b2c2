package walk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// anything stands for what is not shown.
const anything = "…"

var holes = regexp.MustCompile(anything + `|\$[A-Z][A-Z0-9_]*`)

// MatchText compares a text with what a document shows, byte by byte but for
// what … and $NAME stand for. Variables that are not there yet are set when all
// else is equal: to the whole text, or beside other text to one of letters,
// digits and the signs - . _ ~.
func MatchText(shown, got string, vars map[string]string) error {
	var pattern strings.Builder
	pattern.WriteString(`(?s)\A`)
	at := 0
	groups := map[string]string{} // name of the group of a variable
	for _, span := range holes.FindAllStringIndex(shown, -1) {
		pattern.WriteString(regexp.QuoteMeta(shown[at:span[0]]))
		hole := shown[span[0]:span[1]]
		at = span[1]
		if hole == anything {
			pattern.WriteString(`.*?`)
			continue
		}
		name := hole[1:]
		if value, ok := vars[name]; ok {
			pattern.WriteString(regexp.QuoteMeta(value))
		} else if groups[name] != "" {
			return fmt.Errorf("$%s is twice in %q and has no value yet", name, shown)
		} else {
			groups[name] = `[A-Za-z0-9._~-]+`
			if len(hole) == len(shown) {
				groups[name] = `.+`
			}
			pattern.WriteString(`(?P<` + name + `>` + groups[name] + `)`)
		}
	}
	pattern.WriteString(regexp.QuoteMeta(shown[at:]) + `\z`)
	re, err := regexp.Compile(pattern.String())
	if err != nil {
		return err
	}
	found := re.FindStringSubmatch(got)
	if found == nil {
		return fmt.Errorf("shown %s, got %s", shown, got)
	}
	for i, name := range re.SubexpNames() {
		if name != "" {
			vars[name] = found[i]
		}
	}
	return nil
}

// MatchJSON compares JSON with what a document shows; see the package comment.
func MatchJSON(shown, got string, vars map[string]string) error {
	want, err := parse(fill(shown))
	if err != nil {
		return fmt.Errorf("what is shown is no JSON: %w", err)
	}
	have, err := parse(got)
	if err != nil {
		return fmt.Errorf("the answer is no JSON: %w: %s", err, got)
	}
	return match("", want, have, vars)
}

// node is a JSON value with its members in order and its numbers as text.
type node struct {
	kind byte // { [ " or 0 for what has no inner structure
	text string
	keys []string
	list []*node
}

func (n *node) String() string {
	switch n.kind {
	case '{':
		return "an object with the keys " + strings.Join(n.keys, ", ")
	case '[':
		return fmt.Sprintf("a list of %d", len(n.list))
	case '"':
		return fmt.Sprintf("%q", n.text)
	}
	return n.text
}

func parse(text string) (*node, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	n, err := value(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more behind it")
	}
	return n, nil
}

func value(d *json.Decoder) (*node, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch x := token.(type) {
	case json.Delim:
		n := &node{kind: byte(x)}
		for d.More() {
			if x == '{' {
				key, err := d.Token()
				if err != nil {
					return nil, err
				}
				n.keys = append(n.keys, key.(string))
			}
			item, err := value(d)
			if err != nil {
				return nil, err
			}
			n.list = append(n.list, item)
		}
		_, err := d.Token()
		return n, err
	case string:
		return &node{kind: '"', text: x}, nil
	}
	return &node{text: fmt.Sprint(token)}, nil
}

// fill makes JSON of what is shown, where … stands outside of strings: a string
// in place of a value, a member in place of members.
func fill(shown string) string {
	var out bytes.Buffer
	var open []byte
	inString := false
	key := false // a key is next
	for i := 0; i < len(shown); i++ {
		b := shown[i]
		switch {
		case inString && b == '\\' && i+1 < len(shown):
			out.WriteByte(b)
			i++
			b = shown[i]
		case b == '"':
			inString = !inString
			key = false
		case inString:
		case b == '{' || b == '[':
			open = append(open, b)
			key = b == '{'
		case (b == '}' || b == ']') && len(open) > 0:
			open = open[:len(open)-1]
			key = false
		case b == ',':
			key = len(open) > 0 && open[len(open)-1] == '{'
		case strings.HasPrefix(shown[i:], anything):
			out.WriteString(`"` + anything + `"`)
			if key {
				out.WriteString(`:0`)
			}
			i += len(anything) - 1
			continue
		}
		out.WriteByte(b)
	}
	return out.String()
}

func match(path string, want, have *node, vars map[string]string) error {
	if want.kind == '"' && want.text == anything {
		return nil
	}
	differ := func() error {
		if path == "" {
			path = "the answer"
		}
		return fmt.Errorf("%s: shown %s, got %s", path, want, have)
	}
	if want.kind != have.kind {
		return differ()
	}
	if want.kind == '"' {
		if err := MatchText(want.text, have.text, vars); err != nil {
			return differ()
		}
		return nil
	}
	if want.kind == 0 {
		if want.text != have.text {
			return differ()
		}
		return nil
	}
	n := len(want.list)
	rest := n > 0 && (want.kind == '{' && want.keys[n-1] == anything || want.kind == '[' && want.list[n-1].text == anything)
	if rest {
		n--
	}
	if len(have.list) < n || len(have.list) > n && !rest {
		return differ()
	}
	for i := range n {
		at := fmt.Sprintf("%s[%d]", path, i)
		if want.kind == '{' {
			if want.keys[i] != have.keys[i] {
				return differ()
			}
			at = strings.TrimPrefix(path+"."+want.keys[i], ".")
		}
		if err := match(at, want.list[i], have.list[i], vars); err != nil {
			return err
		}
	}
	return nil
}
