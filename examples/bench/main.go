package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// sizes are what the flags say.
type sizes struct {
	records, turns   int
	batches, clients int // http
	workload
	contenders []string // ingest, queries
	engines    []string // stores, writers
	append     []int    // ingest, stores: sizes of batches
	commits    int      // writers
	// warm is for about how long a quick question is asked over and over in a turn, and
	// pace the time from batch to batch of those that arrive meanwhile.
	warm, pace time.Duration
	mix        time.Duration // mixed
}

// part is a comparison that can be run alone.
type part struct {
	name string
	run  func(context.Context, sizes, *report) error
}

var parts = []part{
	{"ingest", compareIngest},
	{"queries", compareQueries},
	{"scaling", compareScaling},
	{"mixed", compareMixed},
	{"allocations", compareAllocations},
	{"http", compareHTTP},
	{"stores", compareStores},
	{"writers", compareWriters},
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	var s sizes
	flags.IntVar(&s.records, "records", 200_000, "`records` in a book")
	flags.IntVar(&s.turns, "turns", 5, "turns of each side")
	flags.IntVar(&s.batches, "batches", 400, "http: batches in a turn of ingest")
	flags.IntVar(&s.clients, "clients", 4, "http: connections that post at the same time")
	engines := flags.String("engines", "sqlite,postgres", "stores, writers: `names` of engines")
	appends := flags.String("append", "200,10000", "ingest, stores: `sizes` of batches; the questions go to what the last one has loaded")
	shaped := flags.String("workload", string(typical), "`shape` of the workload: typical, skewed, adversarial or wide")
	ids := flags.String("ids", "uuid", "`kind` of ids: uuid, or hex for 32 digits")
	flags.IntVar(&s.each, "meters", meters, "`meters` of each resource, of 40; 2,000 times so many series")
	contenders := flags.String("contenders", usual(), "ingest, queries: `names` of contenders")
	flags.IntVar(&s.commits, "commits", 400, "writers: batches in a turn")
	flags.DurationVar(&s.warm, "warm", 200*time.Millisecond, "queries, stores: about for how `long` a quick question is asked in a turn")
	flags.DurationVar(&s.mix, "mix", 5*time.Minute, "mixed: how `long` a reader and a writer go on together")
	flags.DurationVar(&s.pace, "pace", 20*time.Millisecond, "queries: `time` from one batch to the next, of those that arrive while a question is asked")
	file := flags.String("report", "", "write a report in Markdown to this `file`, too")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if s.records < 10_000 || s.pace <= 0 || s.mix <= 0 || s.turns < 1 || s.batches < 1 || s.clients < 1 || s.commits < 1 || s.each < 1 || s.each > meters {
		return errors.New("at least 10,000 records and one turn, batch, client and commit are needed, and 1 to 40 meters; see -help")
	}
	if s.shape = shape(*shaped); !slices.Contains(shapes, s.shape) {
		return fmt.Errorf("there is no workload %q; see -help", *shaped)
	}
	if s.hexIDs = *ids == "hex"; !s.hexIDs && *ids != "uuid" {
		return fmt.Errorf("-ids is %q: uuid and hex are allowed", *ids)
	}
	s.contenders = strings.Split(*contenders, ",")
	s.engines = strings.Split(*engines, ",")
	for _, text := range strings.Split(*appends, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 10_000 {
			return fmt.Errorf("-append is %q: sizes from 1 to 10,000 with commas are allowed", *appends)
		}
		s.append = append(s.append, n)
	}
	chosen := parts
	if flags.NArg() > 0 {
		chosen = nil
		for _, name := range flags.Args() {
			i := slices.IndexFunc(parts, func(p part) bool { return p.name == name })
			if i < 0 {
				return fmt.Errorf("there is no part %q; see -help", name)
			}
			chosen = append(chosen, parts[i])
		}
	}
	r := newReport(out, *file)
	for _, p := range chosen {
		if err := p.run(ctx, s, r); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return r.finish(*file, args)
}
