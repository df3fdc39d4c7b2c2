package main

import (
	"bufio"
	"errors"
	"io"
)

// maxLine is the longest line, and the longest CSV record over several lines,
// in bytes: far above any export, and low enough that a file without line ends
// cannot fill the memory.
const maxLine = 1 << 20

var errLongLine = errors.New("line too long")

// physical reads the lines of a file as an editor counts them.
type physical struct {
	r *bufio.Reader
	// number is that of the line read last, from 1.
	number int
	// again are lines that were given back, the last of them to come first.
	again []taken
}

// taken is a line as next returned it.
type taken struct {
	text string
	err  error
}

func newPhysical(r io.Reader) *physical { return &physical{r: bufio.NewReaderSize(r, 1<<16)} }

// next returns the next line with the end of line that it has, if any. A line
// above maxLine is skipped and answered with errLongLine; the one after it can
// be read. At the end of the file the error is io.EOF.
func (p *physical) next() (string, error) {
	if last := len(p.again) - 1; last >= 0 {
		line := p.again[last]
		p.again = p.again[:last]
		p.number++
		return line.text, line.err
	}
	var line []byte
	for {
		part, err := p.r.ReadSlice('\n')
		if len(line)+len(part) > maxLine {
			return "", p.skip(err)
		}
		if err == nil && line == nil {
			p.number++
			return string(part), nil
		}
		line = append(line, part...)
		switch {
		case err == bufio.ErrBufferFull:
		case err == nil, err == io.EOF && len(line) > 0:
			p.number++
			return string(line), nil
		default:
			return "", err
		}
	}
}

// skip reads to the end of a line whose last part came with err.
func (p *physical) skip(err error) error {
	for err == bufio.ErrBufferFull {
		_, err = p.r.ReadSlice('\n')
	}
	if err != nil && err != io.EOF {
		return err
	}
	p.number++
	return errLongLine
}

// giveBack makes next return the given lines, the last ones it returned, again.
func (p *physical) giveBack(lines []taken) {
	for i := len(lines) - 1; i >= 0; i-- {
		p.again = append(p.again, lines[i])
	}
	p.number -= len(lines)
}
