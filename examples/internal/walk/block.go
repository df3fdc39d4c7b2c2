package walk

import (
	"fmt"
	"strings"
)

// Block is a fenced block of a document.
type Block struct {
	// Line is the number of its first line, after the fence.
	Line int
	// Language is what stands behind the fence; empty where nothing does.
	Language string
	// Heading is that of the section that the block is in, without its marks.
	Heading string
	// Text is what is in the block, with its last line feed.
	Text string
}

// Blocks returns the fenced blocks of a document in their order.
func Blocks(text string) ([]Block, error) {
	var out []Block
	var open *Block
	heading, number := "", 0
	for line := range strings.Lines(text) {
		number++
		bare := strings.TrimRight(line, "\r\n")
		fence := strings.HasPrefix(bare, "```")
		switch {
		case open != nil && bare == "```":
			out = append(out, *open)
			open = nil
		case open != nil && fence:
			return nil, fmt.Errorf("line %d: a block begins in the block of line %d", number, open.Line)
		case open != nil:
			open.Text += bare + "\n"
		case fence:
			open = &Block{Line: number + 1, Language: strings.TrimSpace(bare[3:]), Heading: heading}
		case strings.HasPrefix(bare, "#"):
			heading = strings.TrimSpace(strings.TrimLeft(bare, "#"))
		}
	}
	if open != nil {
		return nil, fmt.Errorf("the block of line %d has no end", open.Line)
	}
	return out, nil
}
