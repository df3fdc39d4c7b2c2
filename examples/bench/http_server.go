package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/httpadapter/azurestack"
	"github.com/usagebook/usagebook/httpadapter/native"
	"github.com/usagebook/usagebook/httpadapter/uts"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

const token = "bench"

// serve answers on a free port of loopback until stop is called.
func serve(h http.Handler) (base string, stop func() error, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{Handler: h}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	return "http://" + l.Addr().String(), func() error {
		err := s.Shutdown(context.Background())
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}, nil
}

// newBook returns an empty book in memory and its HTTP side, as a service would
// mount it: with authentication, authorization and limits.
func newBook() (*usage.Book, http.Handler, error) {
	book, err := usage.New(memstore.New(nil), &usage.Options{Meters: httpadapter.Meters()})
	if err != nil {
		return nil, nil, err
	}
	auth, err := httpadapter.StaticTokens(map[string]httpadapter.Principal{token: {Subject: "bench", Home: "operator", Tenants: []string{"*"}, Roles: []string{"*"}, Permissions: []string{"*"}}})
	if err != nil {
		return nil, nil, err
	}
	limiter, err := httpadapter.NewLimiter(&httpadapter.LimitOptions{Rates: map[httpadapter.RouteClass]httpadapter.Rate{
		httpadapter.ReadClass: {PerSecond: 1e6, Burst: 1e6}, httpadapter.WriteClass: {PerSecond: 1e6, Burst: 1e6}}})
	if err != nil {
		return nil, nil, err
	}
	a, err := httpadapter.New(book, &httpadapter.Options{Authenticate: auth, Limiter: limiter, Logger: slog.New(slog.DiscardHandler)},
		native.New(nil), azurestack.New(&azurestack.Options{ReportedTime: azurestack.Event}), uts.New(nil))
	return book, a, err
}
