package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

// grace is how long requests and queues have to end.
const grace = 10 * time.Second

// openStore opens the store that -store names.
func openStore(name string) (usage.Store, error) {
	kind, _, _ := strings.Cut(name, ":")
	switch kind {
	case "mem":
		if name != "mem" {
			return nil, fmt.Errorf("-store %s: mem takes nothing behind it", name)
		}
		return memstore.New(nil), nil
	}
	return nil, fmt.Errorf("-store %s: there is no such store; mem is there", name)
}

// server is the book with everything around it.
type server struct {
	book  *usage.Book
	meter *httpadapter.Metered // nil without -meter
	http  http.Server
	log   *slog.Logger
}

func newServer(store usage.Store, c *config, metered bool, log *slog.Logger) (*server, error) {
	bookOptions, err := c.bookOptions()
	if err != nil {
		return nil, err
	}
	bookOptions.Logger = log
	adapterOptions, err := c.adapterOptions()
	if err != nil {
		return nil, err
	}
	adapterOptions.Logger = log
	s := &server{log: log}
	if s.book, err = usage.New(store, bookOptions); err != nil {
		return nil, err
	}
	apis, err := c.apis()
	if err != nil {
		return nil, err
	}
	adapter, err := httpadapter.New(s.book, adapterOptions, apis...)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, map[string]any{"status": "ok"}) })
	mux.HandleFunc("GET /readyz", s.ready)
	// The adapter answers what no pattern of the mux has, so that a path that is
	// nobody's has a body too; its own paths it sees before the mux cleans them.
	mux.Handle("/", adapter)
	var handler http.Handler = adapter.Wrap(mux)
	if metered {
		auth := adapterOptions.Authenticate
		s.meter, err = httpadapter.Meter(handler, s.book, &httpadapter.MeterOptions{Logger: log, Identify: func(r *http.Request) (httpadapter.Caller, bool) {
			p, err := auth(r)
			home, ok := p.HomeTenant()
			return httpadapter.Caller{Tenant: home, Client: p.Subject, ClientName: p.Subject}, err == nil && ok
		}})
		if err != nil {
			return nil, err
		}
		handler = s.meter
	}
	s.http = http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	return s, nil
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
	ready()

	var faults []error
	select {
	case <-ctx.Done():
	case err := <-failed:
		faults = append(faults, err)
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := s.http.Shutdown(closing); err != nil {
		faults = append(faults, fmt.Errorf("requests did not end in %s: %w", grace, err))
		_ = s.http.Close()
	}
	if s.meter != nil {
		if left, err := s.meter.Shutdown(closing); err != nil || left > 0 {
			faults = append(faults, fmt.Errorf("%d requests are not booked: %w", left, err))
		}
	}
	stop()
	group.Wait()
	close(failed)
	for err := range failed {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}
