// Package native serves the book over HTTP in its own form: records are booked
// with POST /v1/records, as JSON, NDJSON, CSV or CloudEvents, and figures are
// read with GET /v1/usage. Decode reads the body of a request into records,
// AppendOutcomes writes what became of them, and WriteRows writes a page of an
// answer; all three are pure and know nothing of a server.
package native
