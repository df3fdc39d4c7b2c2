package httpadapter

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// API is one documented API: its routes, the shape of its errors and its part
// of the OpenAPI document. The packages below httpadapter make one each, with
// their New; a host hands them to [New].
type API struct {
	// Name is short and unique: "ocs".
	Name string
	// Roots are the path prefixes, on whole segments, that are this API's and
	// nobody else's: what lies below one and is no route is answered as this API
	// answers unknown paths. Each begins with a slash and does not end in one.
	Roots []string
	// FoldPath compares the fixed segments of paths without regard to case.
	FoldPath bool
	// FoldNames compares the names of query parameters without regard to case.
	FoldNames bool
	Routes    []Route
	// Begin, where set, is called first of all: the place for headers that every
	// answer carries.
	Begin func(*Call)
	// Fail answers a request that failed, in the API's documented shape. It
	// writes status, headers and body through the Call; Allow, Retry-After and
	// the like of the kind are set already. Required.
	Fail func(*Call, *Problem)
	// Document is the API's part of the OpenAPI document: an object with "paths"
	// and "components", and every route of Routes in it.
	Document []byte
	// Check, where set, is called by New with the adapter: the place to refuse
	// options that don't fit the book or the catalogue.
	Check func(*Adapter) error
}

// RouteClass is what a route costs, for rate limits.
type RouteClass string

// The classes.
const (
	ReadClass  RouteClass = "read"  // answers from the book
	WriteClass RouteClass = "write" // books records or accepts them for booking
	StartClass RouteClass = "start" // starts an asynchronous query
)

// Route is one method of one path.
type Route struct {
	Method string
	// Path is a pattern: segments that are {name} match one segment that is not
	// empty, {name?} one that may be, and all others themselves.
	Path  string
	Class RouteClass
	// Parameters are the documented query parameters, by their documented names.
	// Others are ignored; one of these given twice is an error.
	Parameters []string
	// ManyParameters are documented parameters that may be given more than once.
	ManyParameters []string
	// Body is nil for routes without a body; what is sent is then ignored.
	Body *BodyRule
	// Authorize refuses callers; see the order in the package comment. Required:
	// a route that is for every known caller says so with [Anyone]. Parameters
	// may be looked at with [Call.Values] but not judged.
	Authorize func(*Call) error
	// Serve answers the request. An error is answered by API.Fail, unless bytes
	// were written already; then the connection is cut. Required.
	Serve func(*Call) error
	// Public routes ask for no token.
	Public bool
}

// BodyRule says what body a route takes.
type BodyRule struct {
	// Types are the accepted content types, without parameters; empty accepts
	// every one. A charset parameter must be utf-8.
	Types []string
	// AnyType also accepts a request that has no Content-Type.
	NoType bool
	// MaxBytes bounds the body after inflation; 0 is Options.MaxBody.
	MaxBytes int64
}

// Anyone lets every known caller pass.
func Anyone(*Call) error { return nil }

// segment is one part of a route's path.
type segment struct {
	text  string // a fixed text, or the name of a parameter
	param bool
	empty bool // may be empty
}

// route is a Route made ready.
type route struct {
	Route
	api      *api
	segments []segment
}

type api struct {
	*API
	roots [][]string
	// paths are the routes by path pattern, in the order of Routes.
	routes []*route
}

func compileAPI(a *API) (*api, error) {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	out := &api{API: a}
	if a.Name == "" {
		fault("an API has no name")
	}
	if a.Fail == nil {
		fault("the API %s has no Fail", a.Name)
	}
	if len(a.Roots) == 0 {
		fault("the API %s has no root", a.Name)
	}
	for _, root := range a.Roots {
		if !strings.HasPrefix(root, "/") || strings.HasSuffix(root, "/") {
			fault("the root %q of %s does not begin with a slash or ends in one", root, a.Name)
			continue
		}
		out.roots = append(out.roots, strings.Split(root[1:], "/"))
	}
	for i := range a.Routes {
		r := a.Routes[i]
		if r.Serve == nil || r.Authorize == nil {
			fault("%s %s of %s lacks Serve or Authorize", r.Method, r.Path, a.Name)
		}
		if r.Class == "" {
			r.Class = ReadClass
		}
		c := &route{Route: r, api: out}
		if !strings.HasPrefix(r.Path, "/") {
			fault("the path %q of %s does not begin with a slash", r.Path, a.Name)
			continue
		}
		for _, text := range strings.Split(r.Path[1:], "/") {
			s := segment{text: text}
			if name, ok := strings.CutPrefix(text, "{"); ok {
				name, ok = strings.CutSuffix(name, "}")
				if !ok || name == "" {
					fault("the segment %q of %s", text, r.Path)
				}
				s.text, s.empty = strings.CutSuffix(name, "?")
				s.param = true
			}
			c.segments = append(c.segments, s)
		}
		out.routes = append(out.routes, c)
	}
	return out, errors.Join(faults...)
}

func (a *api) same(x, y string) bool {
	return x == y || a.FoldPath && strings.EqualFold(x, y)
}

// owns reports whether a path, cut into segments, is below one of the roots.
func (a *api) owns(path []string) bool {
	return slices.ContainsFunc(a.roots, func(root []string) bool {
		if len(path) < len(root) {
			return false
		}
		for i, s := range root {
			if !a.same(path[i], s) {
				return false
			}
		}
		return true
	})
}

// match returns the values of the route's parameters if the path is its.
func (r *route) match(path []string) (values []string, ok bool) {
	if len(path) != len(r.segments) {
		return nil, false
	}
	for i, s := range r.segments {
		switch {
		case s.param && (s.empty || path[i] != ""):
			values = append(values, path[i])
		case s.param || !r.api.same(path[i], s.text):
			return nil, false
		}
	}
	return values, true
}

// weight prefers fixed segments, from the left, where several routes match.
func (r *route) weight() string {
	b := make([]byte, len(r.segments))
	for i, s := range r.segments {
		if b[i] = '0'; s.param {
			b[i] = '1'
		}
	}
	return string(b)
}

// find returns the route of a method and path. Without one, allowed holds the
// methods that the path has; empty when no route has the path.
func (a *api) find(method string, path []string) (found *route, values []string, allowed []string) {
	best := ""
	for _, r := range a.routes {
		v, ok := r.match(path)
		if !ok {
			continue
		}
		w := r.weight()
		if best == "" || w < best {
			best, found, values, allowed = w, nil, nil, nil
		} else if w > best {
			continue
		}
		allowed = append(allowed, r.Method)
		if r.Method == method {
			found, values = r, v
		}
	}
	slices.Sort(allowed)
	return found, values, slices.Compact(allowed)
}

// splitPath cuts an escaped path into its segments and unescapes each, so that
// a slash that is part of a name stays in it. A trailing slash is a segment.
func splitPath(escaped string) ([]string, bool) {
	if !strings.HasPrefix(escaped, "/") {
		return nil, false
	}
	list := strings.Split(escaped[1:], "/")
	for i, s := range list {
		u, err := url.PathUnescape(s)
		if err != nil {
			return nil, false
		}
		list[i] = u
	}
	return list, true
}

// statusOf is the status of a kind that an API has no other one for.
func statusOf(k ProblemKind) int {
	switch k {
	case NoPath, NotFound:
		return http.StatusNotFound
	case BadMethod:
		return http.StatusMethodNotAllowed
	case NoToken, BadToken:
		return http.StatusUnauthorized
	case TooMany:
		return http.StatusTooManyRequests
	case Forbidden:
		return http.StatusForbidden
	case Unsupported:
		return http.StatusUnsupportedMediaType
	case TooLarge:
		return http.StatusRequestEntityTooLarge
	case SlowBody:
		return http.StatusRequestTimeout
	case Twice, Invalid:
		return http.StatusBadRequest
	case Conflict:
		return http.StatusConflict
	case Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// HTTPStatus returns the status of the problem: its own, or else that of its
// kind as RFC 9110 has it.
func (p *Problem) HTTPStatus() int {
	if p.Status != 0 {
		return p.Status
	}
	return statusOf(p.Kind)
}
