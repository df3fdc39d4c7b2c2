package rules

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// parseDuration reads what time.ParseDuration reads, with whole days of 24 hours
// before it: 90d, 1d12h, 48h, 5m.
func parseDuration(text string) (time.Duration, error) {
	bad := func() error {
		return fmt.Errorf("%q is not a duration such as 90d, 1d12h or 5m", shorten(text))
	}
	days, rest, hasDays := strings.Cut(text, "d")
	if !hasDays {
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, bad()
		}
		return d, nil
	}
	n, err := strconv.ParseUint(days, 10, 32)
	if err != nil || n > uint64(math.MaxInt64/day) {
		return 0, bad()
	}
	d := time.Duration(n) * day
	if rest == "" {
		return d, nil
	}
	if rest[0] == '-' || rest[0] == '+' {
		return 0, bad()
	}
	more, err := time.ParseDuration(rest)
	if err != nil || d+more < d {
		return 0, bad()
	}
	return d + more, nil
}

// formatDuration writes what parseDuration reads, without zero parts.
func formatDuration(d time.Duration) string {
	if d < 0 {
		return d.String()
	}
	text := ""
	if days := d / day; days > 0 {
		text = strconv.FormatInt(int64(days), 10) + "d"
		if d %= day; d == 0 {
			return text
		}
	}
	rest := d.String()
	if d >= time.Minute {
		rest = strings.TrimSuffix(rest, "m0s")
		if len(rest) < len(d.String()) {
			rest += "m"
		}
	}
	if d >= time.Hour {
		if trimmed := strings.TrimSuffix(rest, "h0m"); trimmed != rest {
			rest = trimmed + "h"
		}
	}
	return text + rest
}

// shorten keeps a text from outside to a length that fits a message.
func shorten(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
