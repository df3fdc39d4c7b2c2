package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/usagebook/usagebook/filter"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the whole program and returns its exit code.
func run(args []string, stdout, stderr io.Writer) int {
	cfg, err := parseFlags(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err == nil {
		err = cfg.answer(stdout)
	}
	var mistake usageError
	var fault *filter.Error
	switch {
	case errors.As(err, &mistake):
		fmt.Fprintf(stderr, "odata: %s\nodata -help says what there is\n", err)
		return exitUsage
	case errors.As(err, &fault):
		fmt.Fprintln(stderr, fault.Render())
		var at *rowError
		if errors.As(err, &at) {
			fmt.Fprintf(stderr, "  in rows[%d]\n", at.index)
		}
		return exitUsage
	case err != nil:
		fmt.Fprintf(stderr, "odata: %s\n", err)
		return exitFailed
	}
	return exitOK
}

// answer reads the files and prints what the command line asks for. Nothing is
// printed before the whole query is answered, so that a fault in the last row does
// not leave a part that looks like an answer.
func (c *config) answer(stdout io.Writer) error {
	t, err := readTable(c.schema, c.rows)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(stdout)
	now := time.Now()
	if c.vectors != "" {
		lists, err := readVectors(c.vectors)
		if err != nil {
			return err
		}
		if err := t.answerAll(lists, now, out); err != nil {
			return err
		}
		return out.Flush()
	}
	selected, err := t.answer(c.query, now)
	if err != nil {
		return err
	}
	var line bytes.Buffer
	for _, at := range selected {
		line.Reset()
		if err := json.Compact(&line, t.rows[at].text); err != nil {
			return err
		}
		line.WriteByte('\n')
		if _, err := out.Write(line.Bytes()); err != nil {
			return err
		}
	}
	return out.Flush()
}
