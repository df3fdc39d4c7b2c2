package azurestack

import (
	"fmt"
	"strconv"
	"time"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/paginate"
	"github.com/usagebook/usagebook/usage"
)

// place is where a page begins: at the row before which so many rows of a bucket
// were given. The row itself is not needed, as all pages speak of one moment. The
// zero place, but for its moment, is the beginning of the range.
type place struct {
	asOf  usage.AsOf
	start int64 // of the bucket, Unix microseconds
	// deep is how many of the fields meterId and resourceUri the place names, so
	// that rows before these need not be read again.
	deep int
	key  [2]text
	// passed counts the rows before the place that share its bucket, its bucket
	// and meterId, and all three.
	passed [3]int64
	begun  bool
}

// longestKey bounds the texts that a token names: longer ones would make it, or
// the condition it turns into, too long.
const longestKey = 1500

func (r *request) purpose() (string, []string) {
	return "azurestack", []string{strconv.FormatBool(r.provider), r.namespace, r.subscription.ID,
		strconv.FormatInt(r.from.Unix(), 10), strconv.FormatInt(r.to.Unix(), 10), r.unit.String(), r.subscriber}
}

// seal makes the token of a place.
func (r *request) seal(c *httpadapter.Call, at place) (string, error) {
	keys := []paginate.Value{paginate.Time(time.UnixMicro(at.start))}
	for _, n := range at.passed {
		keys = append(keys, paginate.Integer(n))
	}
	length := 0
	for _, k := range at.key {
		if length += len(k.s); length > longestKey {
			break
		}
		if k.ok {
			keys = append(keys, paginate.String(k.s))
		} else {
			keys = append(keys, paginate.Null())
		}
	}
	purpose, parts := r.purpose()
	return c.Seal(httpadapter.Place{AsOf: at.asOf, Keys: keys}, purpose, parts...)
}

// open reads the request's token.
func (r *request) open(c *httpadapter.Call) (place, error) {
	purpose, parts := r.purpose()
	p, err := c.Unseal(r.token, purpose, parts...)
	if err != nil {
		return place{}, badToken(err)
	}
	at := place{asOf: p.AsOf, begun: true, deep: len(p.Keys) - 4}
	if at.deep < 0 || at.deep > len(at.key) {
		return place{}, badToken(fmt.Errorf("%w: %d keys", paginate.ErrToken, len(p.Keys)))
	}
	start, _ := p.Keys[0].Time()
	at.start = start.UnixMicro()
	for i := range at.passed {
		at.passed[i], _ = p.Keys[1+i].Integer()
	}
	for i := range at.deep {
		at.key[i].s, at.key[i].ok = p.Keys[4+i].Text()
	}
	return at, nil
}

// badToken says what to do about a token that is refused.
func badToken(err error) error {
	return &httpadapter.Problem{Kind: httpadapter.Invalid, Code: "InvalidProperty", Field: tokenParam, Err: err,
		Message: "continuationToken is refused: " + httpadapter.ProblemOf(err).Message + "."}
}
