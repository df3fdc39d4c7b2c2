package openapitest

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/internal/golden"
)

// wrong is what is said of each exchange of testdata/sample.http that breaks the document.
var wrong = map[string]string{
	"undocumented status":       "GET /v1/usage: the status 503 is not documented",
	"wrong type":                "got string, want number",
	"missing required property": "missing property 'quantity'",
	"unknown property":          "additional properties 'more' not allowed",
	"unknown property behind a reference to itself": "additional properties 'more' not allowed",
	"wrong format":                               "'yesterday' is not valid date-time",
	"value outside of a list":                    "value must be one of 'NotFound', 'Invalid'",
	"a digit too many":                           "at '/0/quantity': maximum: ",
	"not JSON":                                   "unexpected end of JSON input",
	"wrong content type":                         "content type 'application/json' does not exist",
	"missing body":                               "status 400: the documented body is missing",
	"body without a document":                    "status 204: documented without a body, and has 2 bytes",
	"undocumented response header":               "status 204: the header X-Rows is not documented",
	"response header of the wrong type":          "the header X-Rows: ",
	"undocumented parameter":                     "the query parameter skip is not documented",
	"undocumented request header":                "the request header X-Other is not documented",
	"missing parameter":                          "Query parameter 'from' is missing",
	"parameter out of range":                     "minimum: got 0, want 1",
	"parameter of the wrong type":                "the value 'ten' is not a valid integer",
	"parameter of the wrong format":              "'yesterday' is not valid date-time",
	"letter case of a parameter where it counts": "the query parameter From is not documented",
	"letter case of a parameter's value":         "'daily'",
	"letter case of a path where it counts":      "the path /v1/Usage is not documented, and the answer is 400",
	"path parameter of the wrong format":         "'7' is not valid uuid",
	"no token":                                   "Authorization header was not found",
	"unknown property in a request":              "additional properties 'more' not allowed",
	"fault in a line":                            "line 2: jsonschema",
	"content type of a request":                  "content type 'application/xml' does not exist",
	"no content type of a request":               "content type '' does not exist",
	"no body in a request":                       "request body is empty",
	"undocumented path":                          "the path /v1/nothing is not documented, and the answer is 200",
	"undocumented method":                        "DELETE /v1/usage is not documented, and the answer is 404",
	"methods that Allow has wrong":               `has the methods ["DELETE" "GET"], Allow says ["GET"]`,
}

// TestSample holds the judge itself: what keeps to a document passes, and each way of breaking it
// is told.
func TestSample(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/sample.json")
	require.NoError(t, err)
	d, faults := readDocument(text)
	require.Empty(t, faults)
	scenarios, err := golden.Load("testdata")
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, e := range scenarios[0].Exchanges {
		t.Run(e.Title, func(t *testing.T) {
			a := &httpadapter.API{}
			if strings.HasPrefix(strings.ToLower(e.Target), "/subscriptions/") {
				a = &httpadapter.API{FoldPath: true, FoldNames: true}
			}
			said := strings.Join(d.judge(e, a, ""), "\n")
			if strings.HasPrefix(e.Title, "right: ") {
				require.Empty(t, said)
				return
			}
			require.NotEmpty(t, wrong[e.Title], "the title is not in the list")
			require.Contains(t, said, wrong[e.Title])
			seen[e.Title] = true
		})
	}
	for title := range wrong {
		require.True(t, seen[title], title)
	}
}

func TestPrefix(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/sample.json")
	require.NoError(t, err)
	d, _ := readDocument(text)
	s, err := golden.Parse("x.http", []byte("--- below\nGET /at/v1/usage?from=2026-03-01T00:00:00Z HTTP/1.1\nAuthorization: Bearer x\n\n--> 204\n\n"+
		"--- beside\nGET /v1/usage?from=2026-03-01T00:00:00Z HTTP/1.1\nAuthorization: Bearer x\n\n--> 204\n"))
	require.NoError(t, err)
	require.Empty(t, d.judge(s.Exchanges[0], &httpadapter.API{}, "/at"))
	require.NotEmpty(t, d.judge(s.Exchanges[0], &httpadapter.API{}, ""))
	require.NotEmpty(t, d.judge(s.Exchanges[1], &httpadapter.API{}, "/at"))
}

// TestDocuments holds that faults of a document are found.
func TestDocuments(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/sample.json")
	require.NoError(t, err)
	for _, tc := range []struct{ name, from, to, want string }{
		{"not JSON", `{`, ``, "not JSON"},
		{"no title", `"title": "Sample", `, ``, "title"},
		{"response without a description", `"description": "rows",`, ``, "description"},
		{"parameter in nothing", `"in": "header"`, `"in": "head"`, "parameters/2/in"},
		{"reference to nothing", `#/components/schemas/Row"}}}`, `#/components/schemas/Line"}}}`, "Line"},
		{"schema of 3.0", `"type": ["string", "null"]}, "at"`, `"type": "string", "nullable": "yes", "minLength": "1"}, "at"`, "minLength"},
		{"unknown type", `"id": {"type": "string"}, "quantity": {"type": "number"`, `"id": {"type": "text"}, "quantity": {"type": "number"`, "/components/schemas/Row"},
		{"example", `"region": null, "dim`, `"region": 1, "dim`, "/application~1json/example"},
		{"example of a parameter", `"example": 10`, `"example": 0`, "/parameters/1/example"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, string(text), tc.from)
			_, faults := readDocument([]byte(strings.Replace(string(text), tc.from, tc.to, 1)))
			require.Contains(t, strings.Join(faults, "\n"), tc.want)
		})
	}
}
