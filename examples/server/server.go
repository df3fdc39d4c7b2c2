package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/usage"
)

const (
	// grace is how long requests and queues have to end.
	grace = 10 * time.Second
	// headerTime is how long the head of a request may take to arrive.
	headerTime = 10 * time.Second
)

// server is the book with everything around it.
type server struct {
	book    *usage.Book
	adapter *httpadapter.Adapter
	meter   *httpadapter.Metered // nil without metering
	http    http.Server
	log     *slog.Logger
}

// serverOptions are what the config file does not say.
type serverOptions struct {
	metered bool
	log     *slog.Logger
	now     func() time.Time
}

func newServer(store usage.Store, c *config, o *serverOptions) (*server, error) {
	bookOptions, err := c.bookOptions()
	if err != nil {
		return nil, err
	}
	adapterOptions, err := c.adapterOptions(o.now)
	if err != nil {
		return nil, err
	}
	apis, err := c.apis()
	if err != nil {
		return nil, err
	}
	bookOptions.Logger, bookOptions.Now = o.log, o.now
	adapterOptions.Logger = o.log
	s := &server{log: o.log}
	if s.book, err = usage.New(store, bookOptions); err != nil {
		return nil, fmt.Errorf("config: %s: %w", c.name, err)
	}
	if s.adapter, err = httpadapter.New(s.book, adapterOptions, apis...); err != nil {
		return nil, fmt.Errorf("config: %s: %w", c.name, err)
	}
	var handler http.Handler = http.HandlerFunc(s.route)
	if o.metered {
		auth := adapterOptions.Authenticate
		s.meter, err = httpadapter.Meter(handler, s.book, &httpadapter.MeterOptions{Logger: o.log, Now: o.now, Identify: func(r *http.Request) (httpadapter.Caller, bool) {
			p, err := auth(r)
			home, ok := p.HomeTenant()
			return httpadapter.Caller{Tenant: home, Client: p.Subject, ClientName: p.Subject}, err == nil && ok
		}})
		if err != nil {
			return nil, err
		}
		handler = s.meter
	}
	s.http = http.Server{Handler: handler, ReadHeaderTimeout: headerTime,
		// The adapter gives bodies a time of their own. This one is for those that
		// nobody reads, and no less than all that a request may take: a deadline
		// that passes while a request is answered ends its context.
		ReadTimeout: headerTime + adapterOptions.BodyTimeout + adapterOptions.Timeout,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(o.log.Handler(), slog.LevelWarn)}
	return s, nil
}

// route hands requests to the adapter, which answers unknown paths too, but for
// the server's own. A ServeMux in its place would redirect paths with a doubled
// slash, which Azure's clients send for a subscription without an id.
func (s *server) route(w http.ResponseWriter, r *http.Request) {
	var own http.HandlerFunc
	switch r.URL.Path {
	case "/healthz":
		own = s.healthy
	case "/readyz":
		own = s.ready
	default:
		s.adapter.ServeHTTP(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		answer(w, http.StatusMethodNotAllowed, map[string]any{"status": "method not allowed"})
		return
	}
	own(w, r)
}

func (s *server) healthy(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{"status": "ok"})
}

// ready says whether answers can be had, and if not why.
func (s *server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	var reasons []string
	if _, err := s.book.Present(ctx); err != nil {
		s.log.Warn("not ready", "error", err)
		reasons = append(reasons, "the store does not answer")
	}
	if !s.book.Running() {
		reasons = append(reasons, "the background work does not run: jobs and queries wait")
	}
	if len(reasons) > 0 {
		answer(w, http.StatusServiceUnavailable, map[string]any{"status": "not ready", "reasons": reasons})
		return
	}
	answer(w, http.StatusOK, map[string]any{"status": "ready"})
}

func answer(w http.ResponseWriter, status int, body any) {
	text, _ := json.Marshal(body) // maps of texts
	w.Header().Set("Content-Type", httpadapter.JSONType)
	w.WriteHeader(status)
	_, _ = w.Write(text) // nobody is left to be told
}

// run serves until ctx ends, and then ends cleanly. ready is called once it
// answers.
func (s *server) run(ctx context.Context, listener net.Listener, ready func()) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var group sync.WaitGroup
	failed := make(chan error, 3)
	start := func(what string, f func() error) {
		group.Go(func() {
			if err := f(); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("%s: %w", what, err)
			}
		})
	}
	start("background work", func() error { return s.book.Run(background) })
	if s.meter != nil {
		start("metering", func() error { return s.meter.Run(background) })
	}
	start("serve", func() error { return s.http.Serve(listener) })
	for !s.book.Running() {
		runtime.Gosched() // until its goroutine has begun: it runs until it is stopped
	}
	ready()

	var faults []error
	select {
	case <-ctx.Done():
	case err := <-failed:
		faults = append(faults, err)
	}
	if err := inTime(ctx, s.http.Shutdown); err != nil {
		faults = append(faults, fmt.Errorf("requests did not end in %s: %w", grace, err))
		_ = s.http.Close()
	}
	if s.meter != nil {
		faults = append(faults, inTime(ctx, func(ctx context.Context) error {
			_, err := s.meter.Shutdown(ctx) // the error says how many are lost
			return err
		}))
	}
	stop()
	group.Wait()
	close(failed)
	for err := range failed {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// inTime calls f with a context that ends after the time of grace.
func inTime(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	return f(ctx)
}
