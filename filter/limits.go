package filter

// Limits bounds what Parse accepts. The zero value, and a nil *Limits, stand for
// the defaults.
type Limits struct {
	// Bytes is the longest text. Defaults to 8 KiB.
	Bytes int
	// Nodes is the most nodes of a tree; an element of a list is a node.
	// Defaults to 4,096, which a text of the default length cannot exceed by much.
	Nodes int
	// Depth is the deepest nesting of parentheses, functions and operators. A
	// chain of and, or a chain of or, is one level. Defaults to 100; values above
	// 10,000 count as 10,000, because every walk of a tree recurses this deep. The
	// time of Checked.String grows with length times depth.
	Depth int
}

const (
	defaultBytes = 8 << 10
	defaultNodes = 4096
	defaultDepth = 100
	// hardDepth holds for trees that were not made by Parse too.
	hardDepth = 10_000
)

func (l *Limits) withDefaults() Limits {
	var c Limits
	if l != nil {
		c = *l
	}
	if c.Bytes <= 0 {
		c.Bytes = defaultBytes
	}
	if c.Nodes <= 0 {
		c.Nodes = defaultNodes
	}
	if c.Depth <= 0 {
		c.Depth = defaultDepth
	}
	c.Depth = min(c.Depth, hardDepth)
	return c
}
