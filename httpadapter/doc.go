// Package httpadapter mounts documented usage APIs in a host's HTTP server and
// answers them from a book.
//
// Three nouns:
//
//   - An [API] is one documented API: its routes and the shape of its errors.
//     Packages ocs, azurestack, purecloud, partnercenter, uts and native make
//     one each.
//   - A [Principal] is the caller, as the host's own authentication knows it.
//   - An [Adapter] joins a book, the authentication and some APIs; it is an
//     http.Handler.
//
// Mounting takes three lines:
//
//	adapter, err := httpadapter.New(book, &httpadapter.Options{Authenticate: auth}, ocs.New(nil), uts.New(nil))
//	...
//	adapter.Mount(mux)
//
// or, where the adapter shares a server with other handlers and Azure's paths
// are to be found in any letter case, http.ListenAndServe(addr, adapter.Wrap(mux)).
// Options.Prefix puts everything below a path of the host's choosing.
//
// # The order of checks
//
// Path (404), method (405), token (401), rate (429 or 503), role, permission and
// tenant of the path (403), content type (415), size (413), syntax and
// parameters (400), tenants named in a body (403), existence (404). Whoever may
// not ask learns nothing of what is there, and nothing of what was wrong with
// the request. Without Options.Authenticate every request is 401.
//
// # What is bounded
//
// The query string (32 KiB, 200 parameters), the body (Options.MaxBody, counted
// after inflation), the time it takes to arrive, the time an answer takes, the
// time a client takes to read it, and how often a caller may ask. A panic in a
// handler is logged and answered as the API answers its own faults.
//
// # Errors
//
// A handler returns a [*Problem] or any error, which [ProblemOf] turns into one;
// the API's Fail gives it the documented body. Nothing of an internal error is
// shown: the body carries the operation id that the log line has too.
//
// # Metering
//
// [Meter] wraps a handler of the host and books one record for each request it
// serves, in batches of its own: what the routes of package purecloud report.
// Its queue is in memory; see there what that means.
//
// # What it does not do
//
// It authenticates nobody itself, terminates no TLS and trusts no forwarding
// header: links take their host from Options.BaseURL or the request's Host.
// Methods HEAD and OPTIONS are not served.
package httpadapter
