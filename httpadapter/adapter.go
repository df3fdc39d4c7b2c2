package httpadapter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/usagebook/usagebook/filter"
	"github.com/usagebook/usagebook/usage"
)

// Options are the settings of an [Adapter]. Only Authenticate has no default
// that lets requests through: without it every request is answered with 401.
type Options struct {
	// Authenticate says who the caller is. It is called concurrently, and
	// answers [ErrNoToken] or [ErrBadToken] for callers it does not know. See
	// [StaticTokens] for a list of tokens and [Bearer] for the header.
	Authenticate func(*http.Request) (Principal, error)

	// Catalogue holds what the APIs know beside the records: the names and
	// subscriptions of tenants and the registered clients. Defaults to none.
	Catalogue *Catalogue

	// Prefix is the path below which the adapter is mounted: "/usage". It
	// begins with a slash, does not end in one and is spelled as in a URL, with
	// %20 for a space. Defaults to none.
	Prefix string

	// BaseURL replaces the scheme and host of links, for services behind a
	// proxy: "https://api.example.com". The path of a link is the path of the
	// request as this process sees it, so a base URL may have a path of its own
	// where a proxy takes one off. Defaults to the scheme and Host of the
	// request; forwarding headers are not trusted.
	BaseURL string

	// MaxBody bounds bodies in bytes, after inflation. Defaults to 16 MiB.
	MaxBody int64

	// BodyTimeout is how long a body may take to arrive. Defaults to 30 s.
	BodyTimeout time.Duration

	// WriteTimeout is how long a client may take to read 32 KiB of an answer.
	// Defaults to 30 s.
	WriteTimeout time.Duration

	// Timeout bounds the work for one request. Defaults to 60 s.
	Timeout time.Duration

	// Limiter bounds the rate of each caller. Defaults to [NewLimiter](nil).
	Limiter Limiter

	// NewID makes operation ids. Defaults to random UUIDs.
	NewID func() string

	// Observe, where set, is told of every request once it is answered, from
	// the goroutine that served it.
	Observe func(context.Context, Exchange)

	// Logger gets failures of ours at level Error and refusals at Debug, each
	// with its operation id. Defaults to slog.Default.
	Logger *slog.Logger
}

// Exchange is what an observer is told of a request.
type Exchange struct {
	// API, Method and Pattern name the route; Pattern is empty where none
	// matched, and API where the path is nobody's.
	API, Method, Pattern string
	// Subject is the caller's, empty when unknown.
	Subject   string
	Operation string
	Status    int
	// BytesIn is the size of the inflated body and BytesOut that of the answer.
	BytesIn, BytesOut int64
	Duration          time.Duration
	// Problem is why the request failed, nil otherwise.
	Problem *Problem
}

// Adapter answers the requests of one or more APIs from a book. It is an
// http.Handler and safe for concurrent use. Make one with [New].
type Adapter struct {
	book      *usage.Book
	opts      Options
	catalogue *Catalogue
	apis      []*api
	fallback  *api
	buffers   buffers
	document  []byte
}

// New returns the adapter of a book and some APIs, one or all. The options are
// copied. The error names every fault: of the options, of two APIs that claim
// one path, and of an API that does not fit the catalogue.
func New(book *usage.Book, opts *Options, apis ...*API) (*Adapter, error) {
	a := &Adapter{book: book}
	if opts != nil {
		a.opts = *opts
	}
	o := &a.opts
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if book == nil {
		fault("the book is nil")
	}
	if o.Prefix != "" && (!strings.HasPrefix(o.Prefix, "/") || strings.HasSuffix(o.Prefix, "/")) {
		fault("the prefix %q does not begin with a slash or ends in one", o.Prefix)
	}
	if u, err := url.Parse(o.Prefix); err != nil || u.EscapedPath() != o.Prefix {
		fault("the prefix %q is not spelled as the path of a URL", o.Prefix)
	}
	if o.BaseURL != "" {
		if u, err := url.Parse(o.BaseURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			fault("the base URL %q is not of the form https://host[:port][/path]", o.BaseURL)
		}
		o.BaseURL = strings.TrimRight(o.BaseURL, "/")
	}
	if o.MaxBody < 0 || o.MaxBody > math.MaxInt32 {
		fault("MaxBody is %d; 0 to 2 GiB are allowed", o.MaxBody)
	}
	if o.MaxBody == 0 {
		o.MaxBody = 16 << 20
	}
	lasting := func(name string, v *time.Duration, def time.Duration) {
		if *v < 0 {
			fault("%s is %s, at least 0 is allowed", name, *v)
		}
		if *v == 0 {
			*v = def
		}
	}
	lasting("BodyTimeout", &o.BodyTimeout, 30*time.Second)
	lasting("WriteTimeout", &o.WriteTimeout, 30*time.Second)
	lasting("Timeout", &o.Timeout, time.Minute)
	if o.Authenticate == nil {
		o.Authenticate = func(*http.Request) (Principal, error) {
			return Principal{}, fmt.Errorf("%w: the service has no authentication", ErrNoToken)
		}
	}
	if o.Limiter == nil {
		l, err := NewLimiter(nil)
		if err != nil {
			faults = append(faults, err)
		}
		o.Limiter = l
	}
	if o.NewID == nil {
		o.NewID = NewUUID
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	var err error
	if a.catalogue, err = o.Catalogue.compile(); err != nil {
		faults = append(faults, err)
	}
	if a.fallback, err = compileAPI(plainAPI()); err != nil {
		faults = append(faults, err)
	}
	for _, x := range apis {
		if x == nil {
			fault("an API is nil")
			continue
		}
		c, err := compileAPI(x)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		for _, other := range a.apis {
			if other.Name == c.Name {
				fault("the API %s is given twice", c.Name)
			}
			for i, root := range c.roots {
				if other.owns(root) {
					fault("%s and %s both claim %s", other.Name, c.Name, c.Roots[i])
				}
			}
		}
		a.apis = append(a.apis, c)
	}
	if len(faults) == 0 {
		for _, x := range a.apis {
			if x.Check != nil {
				if err := x.Check(a); err != nil {
					fault("%s: %w", x.Name, err)
				}
			}
		}
		if a.document, err = a.openAPI(); err != nil {
			faults = append(faults, err)
		}
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("httpadapter: %w", errors.Join(faults...))
	}
	return a, nil
}

// Book returns the adapter's book.
func (a *Adapter) Book() *usage.Book { return a.book }

// Catalogue returns the adapter's catalogue, never nil.
func (a *Adapter) Catalogue() *Catalogue { return a.catalogue }

// OpenAPI returns the OpenAPI 3.1 document of every mounted route. The slice is
// not to be changed.
func (a *Adapter) OpenAPI() []byte { return a.document }

// Mount registers the roots of every API on a mux, below the prefix. A mux
// compares paths with regard to case and redirects doubled slashes; where
// Azure's paths are to be found in any letter case, hand requests to the
// adapter directly: as the server's handler, with [Adapter.Wrap], or with
// mux.Handle("/", adapter).
func (a *Adapter) Mount(mux *http.ServeMux) {
	for _, x := range a.apis {
		for _, root := range x.Roots {
			mux.Handle(a.opts.Prefix+root, a)
			mux.Handle(a.opts.Prefix+root+"/", a)
		}
	}
}

// Wrap returns a handler that answers the adapter's paths and hands all other
// requests to next.
func (a *Adapter) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if list, ok := a.segments(r); ok && a.owner(list) != nil {
			a.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (a *Adapter) owner(path []string) *api {
	for _, x := range a.apis {
		if x.owns(path) {
			return x
		}
	}
	return nil
}

// segments returns the path below the prefix.
func (a *Adapter) segments(r *http.Request) ([]string, bool) {
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), a.opts.Prefix)
	if !ok {
		return nil, false
	}
	return splitPath(path)
}

// ServeHTTP answers a request. Paths that are no API's are 404.
func (a *Adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begun := time.Now()
	out := &response{ResponseWriter: w, control: http.NewResponseController(w), timeout: a.opts.WriteTimeout}
	ctx, cancel := context.WithTimeout(r.Context(), a.opts.Timeout)
	defer cancel()
	if r.ContentLength != 0 {
		// A body that nobody reads, because the request is refused or the route has
		// none, is read by the server before the next request. No less than all that
		// a request may take: a deadline that passes earlier ends its context.
		out.unread = begun.Add(a.opts.BodyTimeout + a.opts.Timeout)
		_ = out.control.SetReadDeadline(out.unread) // not every connection has deadlines
	}
	c := &Call{Request: r.WithContext(ctx), asked: r, Book: a.book, Catalogue: a.catalogue, Operation: a.opts.NewID(), adapter: a, w: out}
	c.Log = a.opts.Logger.With("operation", c.Operation)
	defer func() {
		a.buffers.put(c.body)
		if a.opts.Observe == nil {
			return
		}
		x := Exchange{Method: r.Method, Subject: c.Principal.Subject, Operation: c.Operation, Status: out.status,
			BytesIn: int64(len(c.body)), BytesOut: out.bytes, Duration: time.Since(begun), Problem: c.problem}
		if c.api != nil && c.api != a.fallback {
			x.API = c.api.Name
		}
		_, x.Pattern = c.Route()
		a.opts.Observe(ctx, x)
	}()
	defer func() {
		fault := recover()
		if fault == nil {
			return
		}
		if err, ok := fault.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(fault)
		}
		c.Log.Error("panic", "fault", fmt.Sprint(fault), "stack", string(debug.Stack()))
		if out.wrote {
			panic(http.ErrAbortHandler) // a half answer must not look whole
		}
		c.fail(&Problem{Kind: Internal, Message: "something went wrong on this side; the operation id finds it in the log"})
	}()
	if err := c.serve(); err != nil {
		p := ProblemOf(err)
		if p.Kind == TooLarge && c.route != nil && c.route.Body == nil {
			// It is the answer that would be too large, and nothing that was sent.
			narrower := *p
			narrower.Kind, p = Invalid, &narrower
		}
		c.fail(p)
	}
}

// serve takes a request through the steps in their documented order.
func (c *Call) serve() error {
	a, r := c.adapter, c.Request
	path, ok := a.segments(r)
	if c.api = a.fallback; ok {
		if x := a.owner(path); x != nil {
			c.api = x
		}
	}
	c.Log = c.Log.With("api", c.api.Name)
	if c.api.Begin != nil {
		c.api.Begin(c)
	}
	found, values, allowed := c.api.find(r.Method, path)
	switch {
	case !ok || found == nil && len(allowed) == 0:
		return &Problem{Kind: NoPath, Message: "There is nothing at this path.", Field: r.URL.Path}
	case found == nil:
		c.Header().Set("Allow", strings.Join(allowed, ", "))
		return &Problem{Kind: BadMethod, Message: "The method " + r.Method + " is not allowed here.",
			Allowed: "Allowed: " + strings.Join(allowed, ", ") + "."}
	}
	c.route, c.names = found, values
	// As a mux does: what wraps the adapter, such as Meter, sees the route.
	c.asked.Pattern = found.Method + " " + a.opts.Prefix + documentPath(found.Path)
	c.Log = c.Log.With("route", found.Method+" "+found.Path)
	if !found.Public {
		if err := c.authenticate(); err != nil {
			return err
		}
	}
	var fault *Problem
	c.query, fault = parseQuery(r.URL.RawQuery, found)
	if err := found.Authorize(c); err != nil {
		return err
	}
	if found.Body != nil {
		if p := c.contentType(found.Body); p != nil {
			return p
		}
		if p := c.readBody(found.Body); p != nil {
			return p
		}
	}
	if fault != nil {
		return fault
	}
	return found.Serve(c)
}

// authenticate finds out who calls, and whether not too often.
func (c *Call) authenticate() error {
	p, err := c.adapter.opts.Authenticate(c.Request)
	if err == nil {
		err = p.Check()
	}
	switch {
	case errors.Is(err, ErrNoToken):
		return &Problem{Kind: NoToken, Message: "The request carries no token.", Allowed: "Send the header Authorization: Bearer TOKEN.", Err: err}
	case errors.Is(err, ErrBadToken):
		return &Problem{Kind: BadToken, Message: "The token is not known, or has expired.", Allowed: "Get a new token and try again.", Err: err}
	case err != nil:
		return fmt.Errorf("authenticate: %w", err)
	}
	c.Principal = p
	c.Log = c.Log.With("subject", p.Subject)
	if ok, wait := c.adapter.opts.Limiter.Allow(p.Subject, c.route.Class); !ok {
		return &Problem{Kind: TooMany, Message: "Too many requests.", RetryAfter: max(wait, time.Second)}
	}
	return nil
}

// fail answers a problem, logs it, and cuts the connection where the answer
// has begun already.
func (c *Call) fail(p *Problem) {
	c.problem = p
	if errors.Is(p.Err, context.Canceled) && c.Request.Context().Err() != nil {
		c.Log.Debug("the client went away", "error", p.Err)
	} else if p.Kind == Internal {
		c.Log.Error("request failed", "error", p)
	} else {
		c.Log.Debug("request refused", "kind", p.Kind.String(), "error", p)
	}
	if c.w.wrote {
		panic(http.ErrAbortHandler)
	}
	if p.RetryAfter > 0 {
		c.Header().Set("Retry-After", strconv.FormatInt(int64(math.Ceil(p.RetryAfter.Seconds())), 10))
	}
	for _, h := range []string{"Content-Length", "Content-Encoding", "Content-Type"} {
		c.Header().Del(h)
	}
	c.api.Fail(c, p)
}

// plainAPI answers paths that are no API's.
func plainAPI() *API {
	return &API{Name: "none", Roots: []string{"/-"}, Fail: FailPlain}
}

// FailPlain answers a problem as RFC 9457 has it: for APIs without a documented
// shape of their own. Beside the members of the RFC it has code, allowed, field
// and, for a fault in an expression, position: its byte offset and length, and
// the expression with carets under the fault.
func FailPlain(c *Call, p *Problem) {
	status := p.HTTPStatus()
	if status == http.StatusUnauthorized {
		c.Header().Set("WWW-Authenticate", "Bearer")
	}
	code := p.Code
	if code == "" {
		code = strings.ReplaceAll(p.Kind.String(), " ", "_")
	}
	b := append([]byte(`{"type":"about:blank","title":`), AppendString(nil, http.StatusText(status))...)
	b = strconv.AppendInt(append(b, `,"status":`...), int64(status), 10)
	for _, f := range []Figure{{"code", code}, {"detail", p.Message}, {"allowed", p.Allowed}, {"field", p.Field}, {"instance", "urn:uuid:" + c.Operation}} {
		if f.Value != "" {
			b = AppendString(append(b, ','), f.Name)
			b = AppendString(append(b, ':'), f.Value)
		}
	}
	var fe *filter.Error
	if errors.As(p.Err, &fe) && fe.Text != "" {
		b = strconv.AppendInt(append(b, `,"position":{"offset":`...), int64(fe.Span.From), 10)
		b = strconv.AppendInt(append(b, `,"length":`...), int64(fe.Span.To-fe.Span.From), 10)
		b = AppendString(append(b, `,"text":`...), fe.Render())
		b = append(b, '}')
	}
	_ = c.Answer(status, "application/problem+json", append(b, '}')) // nobody is left to be told
}

// ListAPIs returns the names of the mounted APIs, in the order given.
func (a *Adapter) ListAPIs() []string {
	out := make([]string, len(a.apis))
	for i, x := range a.apis {
		out[i] = x.Name
	}
	return out
}

// RouteInfo describes a mounted route.
type RouteInfo struct {
	API, Method, Path string
	Public            bool
	Body              bool
}

// ListRoutes returns every mounted route, for documents and tests.
func (a *Adapter) ListRoutes() []RouteInfo {
	var out []RouteInfo
	for _, x := range a.apis {
		for _, r := range x.routes {
			out = append(out, RouteInfo{x.Name, r.Method, r.Path, r.Public, r.Body != nil})
		}
	}
	slices.SortStableFunc(out, func(a, b RouteInfo) int { return strings.Compare(a.API, b.API) })
	return out
}
