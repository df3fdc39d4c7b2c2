package main

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"os"
	"strings"
)

//go:embed testdata/sample.csv
var sampleCSV []byte

//go:embed testdata/bad_lines.csv
var badLinesCSV []byte

// input is a file that can be read more than once.
type input struct {
	// name is what messages call it.
	name string
	// format is "csv" or "ndjson".
	format string
	open   func() (io.ReadCloser, error)
	// size is its length in bytes, for the progress bar.
	size int64
}

// embedded is the input of one of the files that are part of the program.
func embedded(name string, content []byte) *input {
	return &input{
		name: name, format: "csv", size: int64(len(content)),
		open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
	}
}

// fileInput is the input of a file on disk; an empty format is told by the name.
func fileInput(path, format string) (*input, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file, and it is to be read twice", path)
	}
	plain := strings.TrimSuffix(strings.ToLower(path), ".gz")
	if format == "" {
		format = "csv"
		if strings.HasSuffix(plain, ".ndjson") || strings.HasSuffix(plain, ".jsonl") || strings.HasSuffix(plain, ".json") {
			format = "ndjson"
		}
	}
	return &input{
		name: path, format: format, size: info.Size(),
		open: func() (io.ReadCloser, error) { return os.Open(path) },
	}, nil
}

// lines opens the input as lines of a mapping. Closing is up to the caller.
// watch is told of the bytes read; gzip is unpacked.
func (in *input) lines(m *mapping, null nullTexts, delimiter byte, watch func(n int)) (lineReader, io.Closer, error) {
	file, err := in.open()
	if err != nil {
		return nil, nil, err
	}
	var r io.Reader = &watched{file, watch}
	if strings.HasSuffix(strings.ToLower(in.name), ".gz") {
		if r, err = gzip.NewReader(r); err != nil {
			file.Close()
			return nil, nil, err
		}
	}
	var l lineReader
	if in.format == "ndjson" {
		l, err = newJSONLines(r, m)
	} else {
		l, err = newCSVLines(r, m, null, delimiter)
	}
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return l, file, nil
}

// watched reports what is read.
type watched struct {
	r     io.Reader
	watch func(n int)
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	w.watch(n)
	return n, err
}
