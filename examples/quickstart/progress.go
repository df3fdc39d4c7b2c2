package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// progress draws how much of a file is read on a line of a terminal, and
// nothing on anything else.
type progress struct {
	w     io.Writer
	title string
	size  int64
	done  int64
	drawn int64 // per mille, so that it is not drawn again and again
}

// isTerminal reports whether a writer is a character device.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func newProgress(w io.Writer, terminal bool, title string, size int64) *progress {
	if !terminal || size == 0 {
		w = nil
	}
	return &progress{w: w, title: title, size: size, drawn: -1}
}

const barWidth = 30

// add reports n more bytes.
func (p *progress) add(n int) {
	p.done += int64(n)
	if p.w == nil {
		return
	}
	mille := min(1000, p.done*1000/p.size)
	if mille == p.drawn {
		return
	}
	p.drawn = mille
	full := int(mille * barWidth / 1000)
	fmt.Fprintf(p.w, "\r%s [%s%s] %3d %%", p.title, strings.Repeat("#", full), strings.Repeat(".", barWidth-full), mille/10)
}

// clear takes the bar away, so that a message can stand in its place.
func (p *progress) clear() {
	if p.w != nil && p.drawn >= 0 {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.drawn = -1
	}
}
