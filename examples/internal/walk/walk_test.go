package walk_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/examples/internal/walk"
)

func TestBlocks(t *testing.T) {
	t.Parallel()
	blocks, err := walk.Blocks("# One\n\ntext\n```sh\na\n\nb\n```\n## Two #\n```\n# no heading\n```\n")
	require.NoError(t, err)
	require.Equal(t, []walk.Block{
		{Line: 5, Language: "sh", Heading: "One", Text: "a\n\nb\n"},
		{Line: 11, Heading: "Two #", Text: "# no heading\n"},
	}, blocks)
	for _, text := range []string{"```sh\na\n", "```sh\n```json\n```\n"} {
		_, err := walk.Blocks(text)
		require.Error(t, err, text)
	}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]walk.Command{
		"":                                       nil,
		"# a b\n":                                nil,
		"a b  c\n":                               {{Words: []string{"a", "b", "c"}}},
		"a \\\n  b # as it is\nc":                {{Words: []string{"a", "b"}, Comment: "as it is"}, {Words: []string{"c"}}},
		`a 'b $X "c" \' "d '$X' \"\\\$Y\$" e\ f`: {{Words: []string{"a", `b $X "c" \`, `d 'x' "\$Y$`, "e f"}}},
		`a $X$X"$X"-b#c ''`:                      {{Words: []string{"a", "xxx-b#c", ""}}},
		"N=1 \na $N":                             {{Words: []string{"a", "1"}}},
		"N='a b'\na \"$N\"":                      {{Words: []string{"a", "a b"}}},
		"a 'b\nc'":                               {{Words: []string{"a", "b\nc"}}},
	} {
		got, err := walk.Commands(text, map[string]string{"X": "x"})
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"a 'b", `a "b`, "a $Y", `a "$y"`, "a | b", "a > b", "a ?x=1", "a `b`", `a "$(b)"`, "a & b", "a *", `a \`, "a $ b", `a {b}`} {
		_, err := walk.Commands(text, map[string]string{"X": "x"})
		require.Error(t, err, text)
	}
}

func TestCurl(t *testing.T) {
	t.Parallel()
	form := "application/x-www-form-urlencoded"
	for text, want := range map[string]walk.Request{
		"curl http://h/a":            {Method: "GET", URL: "http://h/a", Header: http.Header{}},
		"curl -si -X PUT http://h/":  {Method: "PUT", URL: "http://h/", Header: http.Header{}, Head: true},
		"curl -sX PUT http://h/":     {Method: "PUT", URL: "http://h/", Header: http.Header{}},
		"curl http://h/ -d a=b -d c": {Method: "POST", URL: "http://h/", Body: "a=b&c", Header: http.Header{"Content-Type": {form}}},
		"curl http://h/ -d 'a\nb'":   {Method: "POST", URL: "http://h/", Body: "ab", Header: http.Header{"Content-Type": {form}}},
		"curl http://h/ --data-binary 'a\nb' -H 'content-type:  text/csv'": {Method: "POST", URL: "http://h/", Body: "a\nb", Header: http.Header{"Content-Type": {"text/csv"}}},
		"curl -sG http://h/?x=1 -d a=b --data-urlencode '$filter=a eq ~é'": {Method: "GET", URL: "http://h/?x=1&a=b&$filter=a%20eq%20~%C3%A9", Header: http.Header{}},
		"curl -G http://h/ --data-urlencode a=":                            {Method: "GET", URL: "http://h/?a=", Header: http.Header{}},
	} {
		words, err := walk.Commands(quoteMark(text), map[string]string{})
		require.NoError(t, err, text)
		got, err := walk.Curl(words[0].Words)
		require.NoError(t, err, text)
		require.Equal(t, &want, got, text)
	}
	for _, text := range []string{"wget http://h/", "curl", "curl -s", "curl http://h/ http://i/", "curl -k http://h/", "curl http://h/ -H", "curl http://h/ -H a",
		"curl http://h/ -d @file", "curl http://h/ --data-urlencode a", "curl 'http://h/{a}'", "curl 'http://h/ a'"} {
		words, err := walk.Commands(text, map[string]string{})
		require.NoError(t, err, text)
		_, err = walk.Curl(words[0].Words)
		require.Error(t, err, text)
	}
	_, err := walk.Curl(nil)
	require.Error(t, err)
}

// quoteMark quotes the question mark, which a shell would take for a wildcard.
func quoteMark(text string) string {
	out := ""
	for _, r := range text {
		if r == '?' {
			out += `\`
		}
		out += string(r)
	}
	return out
}

func TestMatch(t *testing.T) {
	t.Parallel()
	vars := map[string]string{"A": "a.b"}
	tests := []struct {
		shown, got string
		json       bool
		text       bool
		set        map[string]string
	}{
		{`{"a":1}`, `{"a":1}`, true, true, nil},
		{`{"a": 1}`, `{"a":1}`, true, false, nil},
		{`{"a":1.0}`, `{"a":1}`, false, false, nil},
		{`{"a":1,"b":2}`, `{"b":2,"a":1}`, false, false, nil},
		{`{"a":1}`, `{"a":1,"b":2}`, false, false, nil},
		{`{"a":1,…}`, `{"a":1,"b":2}`, true, true, nil},
		{`{"a":1, …}`, `{"a":1}`, true, false, nil},
		{`{…}`, `{}`, true, true, nil},
		{`{…}`, `[]`, false, false, nil},
		{`{"a":…}`, `{"a":{"b":[]}}`, true, true, nil},
		{`{"a":…,"b":1}`, `{"a":null,"b":1}`, true, true, nil},
		{`[…]`, `[]`, true, true, nil},
		{`[1, …]`, `[1,2,3]`, true, false, nil},
		{`[1,…]`, `[2]`, false, false, nil},
		{`[…,1]`, `[2,1]`, true, true, nil},
		{`{"a":"x…z"}`, `{"a":"xyz"}`, true, true, nil},
		{`{"a":"x…z"}`, `{"a":"xy"}`, false, false, nil},
		{`{"a":"…"}`, `{"a":"}"}`, true, true, nil},
		{`{"a":"$A"}`, `{"a":"a.b"}`, true, true, nil},
		{`{"a":"$A"}`, `{"a":"axb"}`, false, false, nil},
		{`{"a":"$B"}`, `{"a":"1-2"}`, true, true, map[string]string{"B": "1-2"}},
		{`{"a":"/$B/x"}`, `{"a":"/1-2/x"}`, true, true, map[string]string{"B": "1-2"}},
		{`{"a":"/$B/x"}`, `{"a":"/1/2/x"}`, false, false, nil},
		{`{"a":"$filter"}`, `{"a":"$filter"}`, true, true, nil},
		{`{"a":"1"}`, `{"a":1}`, false, false, nil},
		{`{"a":true}`, `{"a":true}`, true, true, nil},
		{`{"a":null}`, `{"a":false}`, false, false, nil},
		{`{"…\"":1}`, `{"…\"":1}`, true, true, nil},
		{`{`, `{`, false, true, nil},
		{`{}`, `{} {}`, false, false, nil},
	}
	for _, test := range tests {
		for name, f := range map[string]func(string, string, map[string]string) error{"json": walk.MatchJSON, "text": walk.MatchText} {
			got := maps.Clone(vars)
			err := f(test.shown, test.got, got)
			require.Equal(t, name == "json" && test.json || name == "text" && test.text, err == nil, "%s: %s for %s: %v", name, test.got, test.shown, err)
			want := maps.Clone(vars)
			maps.Copy(want, test.set)
			require.Equal(t, want, got, "%s: %s", name, test.shown)
		}
	}
	whole := map[string]string{}
	require.NoError(t, walk.MatchJSON(`{"next":"$NEXT"}`, `{"next":"http://h/?a=b c"}`, whole))
	require.Equal(t, "http://h/?a=b c", whole["NEXT"])
	require.Error(t, walk.MatchText("$X $X", "a a", map[string]string{}))
}

func TestSession(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/json":
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			fmt.Fprintf(w, `{"method":%q,"body":%q}`, r.Method, body)
		case "/later":
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"done":%v}`, asked.Add(1) > 2)
		case "/text":
			fmt.Fprint(w, "plain {1}")
		default:
			w.Header().Set("X-Id", "17")
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"id":"17"}`)
		}
	}))
	defer server.Close()

	try := func(exact bool, text string) (map[string]string, error) {
		blocks, err := walk.Blocks(text)
		require.NoError(t, err)
		s := walk.Session{Vars: map[string]string{"BASE": server.URL}, Exact: exact}
		return s.Vars, s.Run(t.Context(), blocks, nil)
	}
	block := func(command, language, answer string) string {
		return "```sh\n" + command + "\n```\n```" + language + "\n" + answer + "\n```\n"
	}
	vars, err := try(false, "```sh\nTOKEN=\"a b\"\n```\n"+block(`curl -s $BASE/json -d "$TOKEN"`, "json", `{"method": "POST", "body": "$BODY"}`)+
		block("curl $BASE/later # repeat until it is done", "json", `{"done":true}`)+
		block("curl $BASE/text", "text", "plain {…}")+
		block("curl -i $BASE/none", "http", "HTTP/1.1 404 Not Found\nX-Id: $ID\n\n{ \"id\": \"$ID\" }"))
	require.NoError(t, err)
	require.Equal(t, "a b", vars["BODY"])
	require.Equal(t, "17", vars["ID"])
	require.EqualValues(t, 3, asked.Load())

	_, err = try(true, block(`curl -s $BASE/json`, "json", `{"method":"GET","body":""}`))
	require.NoError(t, err)
	for name, text := range map[string]string{
		"white space":    block(`curl -s $BASE/json`, "json", `{"method": "GET","body":""}`),
		"a status":       block(`curl -s $BASE/none`, "json", `{"id":"17"}`),
		"another status": block(`curl -i $BASE/none`, "http", "HTTP/1.1 200 OK\n\n…"),
		"a header":       block(`curl -i $BASE/none`, "http", "HTTP/1.1 404 Not Found\nX-Id: 18\n\n…"),
		"no header":      block(`curl -i $BASE/none`, "http", "HTTP/1.1 404 Not Found\nX-None: 18\n\n…"),
		"a body":         block(`curl -i $BASE/none`, "http", "HTTP/1.1 404 Not Found\n\n{}"),
		"a head":         block(`curl -s $BASE/json`, "http", "HTTP/1.1 200 OK\n\n…"),
		"no head":        block(`curl -i $BASE/json`, "json", "…"),
		"no answer":      "```sh\ncurl $BASE/json\n```\n",
		"no command":     "```json\n{}\n```\n",
		"no curl":        block("ls", "text", "…"),
		"variables":      block("A=1", "text", "…"),
		"two":            block("curl $BASE/json\ncurl $BASE/json", "json", "…"),
		"language":       "```go\n```\n",
		"another host":   block(`curl -s http://127.0.0.1:0/`, "json", "…"),
	} {
		_, err := try(true, text)
		require.Error(t, err, name)
	}
}
