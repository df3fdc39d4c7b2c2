package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"
	_ "time/tzdata" // zones of queries work where the machine has no zone files
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	go func() {
		<-ctx.Done()
		stop() // a second signal ends the process at once
	}()
	switch err := start(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errFlags):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

// errFlags: the flags are wrong, and the user was told.
var errFlags = errors.New("wrong flags")

// start reads the flags and serves until ctx ends.
func start(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:8080", "where to listen, `host:port`; port 0 takes a free one")
	storeName := flags.String("store", defaultStore, "the `store` that keeps the book: mem, sqlite:FILE or postgres:DSN")
	configName := flags.String("config", "", "the config `file`; without it nobody has a token")
	metered := flags.Bool("meter", false, "book the server's own requests too, as api-requests")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return err
	} else if err != nil {
		return errFlags
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "%q is no flag\n", flags.Arg(0))
		flags.Usage()
		return errFlags
	}
	c, err := readConfig(*configName)
	if err != nil {
		return err
	}
	store, err := openStore(ctx, *storeName)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	s, err := newServer(store, c, &serverOptions{metered: *metered, log: slog.New(slog.NewTextHandler(stderr, nil)), now: time.Now})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	return s.run(ctx, listener, func() { fmt.Fprintf(stdout, "listening on http://%s\n", listener.Addr()) })
}
