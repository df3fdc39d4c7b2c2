package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// sizes are what the flags say.
type sizes struct{ records, batches, clients, turns int }

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	var s sizes
	flags.IntVar(&s.records, "records", 1_000_000, "records in the book of the page")
	flags.IntVar(&s.batches, "batches", 400, "batches in a turn of ingest")
	flags.IntVar(&s.clients, "clients", 4, "connections that post at the same time")
	flags.IntVar(&s.turns, "turns", 5, "turns of each side")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || s.records < 10_000 || s.batches < 1 || s.clients < 1 || s.turns < 1 {
		return fmt.Errorf("at least 10,000 records and one batch, client and turn are needed, and no arguments; see -help")
	}
	fmt.Fprintf(out, "%s/%s, %d CPUs, %s\n\n", runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), runtime.Version())
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "work\tours\tspread\tthe other\tspread\tratio\t")
	ours, other, err := ingest(ctx, s)
	if err != nil {
		return fmt.Errorf("ingest: %w", err)
	}
	perSecond := func(d time.Duration) string {
		return fmt.Sprintf("%.0f records/s", float64(s.batches*batchSize)/d.Seconds())
	}
	fmt.Fprintf(w, "ingest\t%s\t%s\t%s\t%s\t%.2f of its rate\t\n", perSecond(ours.median()), ours.spread(), perSecond(other.median()), other.spread(), ratio(other, ours))
	ours, other, err = page(ctx, s)
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	fmt.Fprintf(w, "page\t%s\t%s\t%s\t%s\t%.2f of its time\t\n", ours.median().Round(time.Microsecond), ours.spread(), other.median().Round(time.Microsecond), other.spread(), ratio(ours, other))
	return w.Flush()
}

// turns are the times of the turns of one side.
type turns []time.Duration

func (t turns) median() time.Duration {
	s := slices.Sorted(slices.Values(t))
	return s[len(s)/2]
}

// spread is how far the turns are from their median.
func (t turns) spread() string {
	m := t.median().Seconds()
	return fmt.Sprintf("-%.0f%% +%.0f%%", 100*(1-slices.Min(t).Seconds()/m), 100*(slices.Max(t).Seconds()/m-1))
}

func ratio(a, b turns) float64 { return a.median().Seconds() / b.median().Seconds() }
