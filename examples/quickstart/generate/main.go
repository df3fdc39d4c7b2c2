package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

const (
	// seed and lines are those of the committed file.
	seed  = 20240901
	lines = 1000
)

func main() {
	dir := flag.String("dir", "testdata", "directory to write to")
	flag.Parse()
	for name, content := range files() {
		if err := os.WriteFile(filepath.Join(*dir, name), content, 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "generate:", err)
			os.Exit(1)
		}
	}
}

// files returns the content of each file by its name.
func files() map[string][]byte {
	var sample, bad bytes.Buffer
	writeSample(&sample, seed, lines)
	writeBadLines(&bad)
	return map[string][]byte{"sample.csv": sample.Bytes(), "bad_lines.csv": bad.Bytes()}
}
