package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/usagebook/usagebook/rules"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailed  = 1
	exitUsage   = 2
	exitRefused = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program and returns its exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cfg, err := parseFlags(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	var refused int
	if err == nil {
		p := &program{config: cfg, out: newRenderer(cfg.output, stdout), stderr: stderr, terminal: isTerminal(stderr)}
		refused, err = p.run(ctx)
	}
	var mistake usageError
	switch {
	case errors.As(err, &mistake):
		fmt.Fprintf(stderr, "quickstart: %s\nquickstart -help says what there is\n", err)
		return exitUsage
	case err != nil:
		fmt.Fprintf(stderr, "quickstart: %s\n", err)
		return exitFailed
	case refused > 0 && cfg.file != "":
		return exitRefused
	}
	return exitOK
}

// program is one run.
type program struct {
	*config
	book     *usage.Book
	out      renderer
	stderr   io.Writer
	terminal bool
}

// run books the file, reports, and returns how many lines were refused.
func (p *program) run(ctx context.Context) (refused int, err error) {
	in := embedded("sample.csv", sampleCSV)
	if p.file != "" {
		if in, err = fileInput(p.file, p.format); err != nil {
			return 0, err
		}
	}
	store := memstore.New(nil)
	defer store.Close()
	if err := p.open(ctx, store); err != nil {
		return 0, err
	}
	refused, err = p.bookTwice(ctx, in)
	if err != nil {
		return refused, err
	}
	// A service leaves this to Book.Run in a goroutine of its own. Answers are
	// the same without it, only slower.
	for more := true; more; {
		if more, err = p.book.Roll(ctx); err != nil {
			return refused, err
		}
	}
	if err := p.report(ctx); err != nil {
		return refused, err
	}
	if p.file == "" {
		if err := p.showBadLines(ctx); err != nil {
			return refused, err
		}
	}
	return refused, p.out.close()
}

// open makes the book: the store to keep it in, the meter with its values and
// dimensions, what to verify, and the combination of dimensions that the report
// asks for again and again and that is kept summed up for that reason.
func (p *program) open(ctx context.Context, store usage.Store) error {
	opts := &usage.Options{
		Meters:    p.mapping.catalogue(),
		Rollups:   [][]string{p.dimensionsOf(p.by)},
		BatchSize: p.batch,
	}
	if isFocus(p.mapping.targets) {
		set, err := rules.New("focus-1", focusRules(p.mapping.meter), nil)
		if err != nil {
			return err
		}
		opts.Rules = set
	}
	book, err := usage.New(store, opts)
	var catalogue *usage.CatalogueError
	if errors.As(err, &catalogue) {
		return wrong("-map: %s", strings.Join(catalogue.Faults, "; "))
	}
	if err != nil {
		return err
	}
	p.book = book
	// A filter that cannot be understood is better known before the file is
	// read. The book is empty: this costs nothing.
	if _, err := book.Query(ctx, p.scope(), usage.Query{Filter: p.filter}); errors.Is(err, usage.ErrInvalid) {
		return wrong("-filter: %w", err)
	}
	return nil
}

// scope is whose records the report is about.
func (p *program) scope() usage.Scope {
	if p.mapping.has(partTenant) {
		return usage.AllTenants() // the file names the tenants, and the report is the operator's
	}
	return usage.ForTenant(p.mapping.tenant)
}

// dimensionsOf leaves out the names that are no dimensions.
func (p *program) dimensionsOf(names []string) []string {
	var dimensions []string
	for _, n := range names {
		if n != "meter" && n != "tenant" && n != "source" {
			dimensions = append(dimensions, n)
		}
	}
	return dimensions
}

// bookTwice books the input two times over and prints what became of its
// lines. Lines that are refused go to standard error, once.
func (p *program) bookTwice(ctx context.Context, in *input) (refused int, err error) {
	s := &section{name: "booking", title: "Booking " + in.name + ", twice"}
	s.columns = append(textColumns("pass"), numberColumns("lines", "booked", "duplicates", "refused")...)
	for _, pass := range []string{"first", "second"} {
		report := func(r refusal) error {
			_, err := fmt.Fprintf(p.stderr, "%s:%d: %s%s\n", in.name, r.line, named(r), sentences(r.violations, true))
			return err
		}
		if pass == "second" {
			report = func(refusal) error { return nil }
		}
		t, err := p.bookOnce(ctx, in, pass+" pass", report)
		if err != nil {
			return refused, err
		}
		refused = t.refused
		s.add(text(pass), whole(t.lines), whole(t.booked), whole(t.duplicates), whole(t.refused))
		if pass == "second" && t.booked > 0 {
			return refused, fmt.Errorf("%s changed between the two times it was booked: %s new", in.name, plural(t.booked, "line"))
		}
	}
	s.note("The second pass changed nothing: a record is counted once, however often it is sent.")
	return refused, p.out.section(s)
}

// named says which record a refusal is about, where it has a name.
func named(r refusal) string {
	if r.id == "" {
		return ""
	}
	return "id " + r.id + ": "
}

// bookOnce books the input and draws the progress.
func (p *program) bookOnce(ctx context.Context, in *input, title string, report func(refusal) error) (tally, error) {
	bar := newProgress(p.stderr, p.terminal, title, in.size)
	defer bar.clear()
	p.mapping.rewind()
	lines, file, err := in.lines(p.mapping, p.null, p.delimiter, bar.add)
	if err != nil {
		err = fmt.Errorf("%s: %w", in.name, err)
		if errors.Is(err, errMapping) && p.mapped {
			return tally{}, usageError{err}
		}
		if errors.Is(err, errMapping) {
			return tally{}, fmt.Errorf("%w, which a FOCUS export has; with -map any other file can be booked", err)
		}
		return tally{}, err
	}
	defer file.Close()
	b := &booking{book: p.book, mapping: p.mapping, batch: p.batch, refused: func(r refusal) error {
		bar.clear()
		return report(r)
	}}
	t, err := b.run(ctx, lines)
	if err != nil {
		return t, fmt.Errorf("%s: %w", in.name, err)
	}
	return t, nil
}

// showBadLines books lines that are bad on purpose and prints what the book,
// or the reader before it, says of each.
func (p *program) showBadLines(ctx context.Context) error {
	in := embedded("bad_lines.csv", badLinesCSV)
	s := &section{name: "rejects", title: "Booking " + in.name + ": what is refused, and why"}
	s.columns = append(numberColumns("line"), textColumns("id", "outcome", "code", "reason")...)
	t, err := p.bookOnce(ctx, in, "bad lines", func(r refusal) error {
		for _, v := range r.violations {
			id := cell{r.id, r.id != ""}
			s.add(whole(r.line), id, text(r.outcome), text(v.Code), text(sentences([]usage.Violation{v}, false)))
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.note(fmt.Sprintf("Of %s, %d were booked, %d had been before and %d were refused. What is refused leaves no trace in the book.", plural(t.lines, "line"), t.booked, t.duplicates, t.refused))
	return p.out.section(s)
}
