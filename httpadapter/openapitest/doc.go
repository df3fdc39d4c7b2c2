// Package openapitest holds the OpenAPI 3.1 document that package httpadapter serves against
// the standard, and what the adapter answers against the document. It has tests only, in a
// module of its own because of the validator.
//
// Three nouns: a document is what is served, checked with libopenapi-validator and its schemas
// with the JSON Schema 2020-12 of santhosh-tekuri/jsonschema; an operation is a method of a path
// of it; an exchange is a golden one of package golden, which is matched with an operation and
// judged.
//
// An exchange that succeeds has to be allowed in whole: path and query parameters, headers, body.
// Of any other the response has to be: its status, headers, content type and body. What the
// document says nothing about is a fault, though the standard would let it pass: a status, a query
// parameter, a header, a body. The exception is what shows that unknown parameters are ignored: one
// whose name begins with "undocumented", or those of an exchange whose title says "ignored".
//
// A path that the document does not have may only be answered with 404, a method that a path of it
// does not have with 405 and an Allow header that lists those it has.
//
// # How paths are matched
//
// The prefix an adapter is mounted under is taken off, fixed segments are compared as they are or,
// for APIs that fold paths, without regard to case, and a fixed segment wins over a parameter. The
// validator is then handed the operation, and a request whose fixed segments and parameter names are
// spelled as documented: its own search knows no letter case.
//
// # Caveats
//
// Bodies that are neither JSON nor lines of JSON are judged by their content type alone. A body of
// lines (application/x-ndjson) is held to its schema as a text where that allows one, else line by
// line. Compressed bodies are judged as what they inflate to. Headers that begin with Ce- need no
// document: they are the attributes of a CloudEvent.
//
// # Performance
//
// A run takes a second or two. Building the validator takes minutes where nothing is cached, five of
// one core with the race detector (two shared cores, November 2026), which has nothing to find here:
// no test starts a goroutine that shares anything.
package openapitest
