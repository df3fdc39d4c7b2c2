// Package golden replays recorded HTTP exchanges, which are text files, against an
// http.Handler. It is for tests alone.
//
// Three nouns: a scenario is one file and one test; an exchange is a request with the
// response it is to have; a fixture is what the test opens for a scenario: a handler, and
// the hooks that the directives of the file call.
//
//	func TestExchanges(t *testing.T) {
//		golden.Run(t, "testdata/exchanges", func(t *testing.T, s *golden.Scenario) golden.Fixture {
//			book, clock := usagetest.NewBook(t, nil)
//			return golden.Fixture{
//				Handler: New(book, &Options{Strict: s.Option("strict") == "yes"}),
//				Clock:   clock.Set,
//				Book:    func(t testing.TB, ndjson []byte) { ... decode and append ... },
//				Steps:   map[string]func(testing.TB, string){"work": func(t testing.TB, arg string) { ... }},
//			}
//		})
//	}
//
// A file (testdata/exchanges/tour.http of this package is a runnable one):
//
//	# What is between exchanges and starts with "#" is a comment.
//	= option strict yes
//	= clock 2026-03-20T12:00:00Z
//	= book
//	{"id":"1","tenant":"acme", ... }
//	{"id":"2","tenant":"acme", ... }
//
//	--- a query is started
//	POST /api/v2/usage/query HTTP/1.1
//	Authorization: Bearer demo-admin
//	Content-Type: application/json
//
//	{"interval":"2026-03-01/2026-03-08"}
//
//	--> 200
//	Content-Type: application/json; charset=utf-8
//
//	{"executionId":"{{id=9f0c2b1e-5d7a-4c57-9a44-0d8d0f5b7a10}}"}
//
//	= work
//
//	--- and its results are read
//	GET /api/v2/usage/query/{{id}}/results HTTP/1.1
//	Authorization: Bearer demo-admin
//
//	--> 200
//	Content-Type: application/json; charset=utf-8
//
//	{"results":[]}
//
// To record: write the requests alone, run go test ./path/of/package -update, and read what
// it wrote. It writes responses that are missing or no longer match, and nothing else of a
// file; all headers where none is listed. Captures stay where they were; for what is random in a response that is not recorded
// yet, write the status and the capture with the text before it, such as
//
//	--> 200
//
//	"executionId":"{{id=9f0c2b1e-5d7a-4c57-9a44-0d8d0f5b7a10}}
//
// # Directives
//
// Each is a line between exchanges, and takes effect where it stands:
//
//	= clock 2026-03-20T12:00:00Z   sets the clock; "= clock +90m" moves it on from there
//	= book                         books the lines below it; "= book FILE" those of a file of the same folder
//	= NAME TEXT                    calls the step NAME of the fixture with TEXT, which may be missing
//	= option NAME TEXT             before all others: read with Scenario.Option when the fixture is opened
//
// An option that the fixture does not ask for, and a step that it does not have, is an error.
//
// # Requests and responses
//
// The request line ends in HTTP/1.1; the target may be absolute. Host is example.com where no
// header says otherwise, the remote address 192.0.2.1:1234. Content-Length is computed; with
// "Transfer-Encoding: chunked" the handler sees a body of unknown length.
//
// A response is its status, headers and body. Those headers that are listed are compared: a name
// listed twice has two values, one with an empty value must not be in the response. Date and
// Content-Length are never listed. No body is an empty body. Where a handler sets Content-Length,
// it has to be that of the body; a status that has no body has to have none.
//
// # Bodies
//
// A body starts after one empty line. Its last line has no line feed; empty lines after it don't
// count. A body line that starts with one of - = # ! \ is written with a backslash before it, and
// a line that is a backslash is an empty line that counts: at the end it makes the body end in a
// line feed. The first line may say how the body is written:
//
//	!join     line feeds are taken out: long lines are broken for the reader. -update writes rows so
//	!gzip     what follows is compressed, or in a response was
//	!base64   for bytes that are not text
//
// # Braces
//
//	{{name=value}}   in a response: captures what stands there; the value is an example, which is what
//	                 Load gives. A UUID matches UUIDs and digits match digits; anything else matches a
//	                 run of characters other than space, quotes, braces, brackets (<>) and backslash, up to
//	                 where the text after it begins. The name _ is for what is never asked for again
//	{{name}}         what was captured: in targets, header values, bodies, steps
//	{{repeat 0..200 ","}}...{{end}}   in bodies: once per number, with the separator (a Go string)
//	                 between; {{n}} inside is the number, {{n4}} has at least four digits
//	{{{{}}           two braces
//
// # Caveats
//
// The handler is called in this process, without a network: what net/http does to a response on its
// way is not seen, and deadlines of connections are not supported. Scenarios run in parallel.
package golden
