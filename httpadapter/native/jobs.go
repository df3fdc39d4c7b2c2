package native

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/paginate"
	"github.com/usagebook/usagebook/usage"
)

// owner is whose the jobs of a caller are: the tenants it holds, so that a job
// is nothing to a caller with others, and no matter which token it comes with.
func owner(c *httpadapter.Call) string {
	d := paginate.Digest(append([]string{"native jobs"}, c.Holders()...)...)
	return "native:" + hex.EncodeToString(d[:])
}

func (s *service) submit(c *httpadapter.Call) error {
	records, err := s.body(c)
	if err != nil {
		return err
	}
	key := c.Request.Header.Get("Idempotency-Key")
	if len(c.Request.Header["Idempotency-Key"]) > 1 {
		return httpadapter.Bad("Idempotency-Key", "the header Idempotency-Key is given more than once")
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%q ", c.MediaType())
	for _, name := range slices.Sorted(maps.Keys(c.Request.Header)) {
		if strings.HasPrefix(name, "Ce-") { // an attribute of an event in binary mode
			fmt.Fprintf(sum, "%q %q ", name, c.Request.Header[name])
		}
	}
	sum.Write(c.Body())
	job, existed, err := c.Book.Submit(c.Context(), owner(c), usage.JobRequest{ID: c.Operation, Key: key, Digest: hex.EncodeToString(sum.Sum(nil)), Records: records})
	if err != nil {
		return err
	}
	status := 202
	if existed && !job.Finished.IsZero() {
		status = 200
	}
	c.Header().Set("Location", c.Request.URL.EscapedPath()+"/"+url.PathEscape(job.ID))
	return c.Stream(status, httpadapter.JSONType, func(out *httpadapter.Stream) error { return writeJob(out, job) })
}

func jobs(c *httpadapter.Call) error {
	var q usage.JobsQuery
	var err error
	if q.From, err = moment(c, "from", time.UTC); err != nil {
		return err
	}
	if q.To, err = moment(c, "to", time.UTC); err != nil {
		return err
	}
	list, err := c.Book.Jobs(c.Context(), owner(c), q)
	if err != nil {
		return err
	}
	return c.Stream(200, httpadapter.JSONType, func(out *httpadapter.Stream) error {
		if _, err := out.Write([]byte(`{"jobs":[`)); err != nil {
			return err
		}
		for i, j := range list {
			if i > 0 {
				if _, err := out.Write([]byte{','}); err != nil {
					return err
				}
			}
			if err := writeJob(out, j); err != nil {
				return err
			}
		}
		_, err := out.Write([]byte(`]}`))
		return err
	})
}

func job(c *httpadapter.Call) error {
	j, err := c.Book.Job(c.Context(), owner(c), c.Path("id"))
	if err != nil {
		return err
	}
	return c.Stream(200, httpadapter.JSONType, func(out *httpadapter.Stream) error { return writeJob(out, j) })
}

func writeJob(out *httpadapter.Stream, j *usage.Job) error {
	err := out.Append(func(b []byte) []byte {
		b = appendText(append(b, `{"id":`...), j.ID)
		b = appendInstant(append(b, `,"created":`...), j.Created)
		b = appendInstant(append(b, `,"finished":`...), j.Finished)
		b = appendText(append(b, `,"status":`...), j.Status().String())
		return append(strconv.AppendInt(append(b, `,"count":`...), int64(j.Count), 10), `,"lines":[`...)
	})
	if err != nil {
		return err
	}
	err = out.List(len(j.Lines), func(b []byte, i int) []byte {
		l := &j.Lines[i]
		b = appendText(append(b, `{"tenant":`...), valid(l.Tenant))
		b = appendText(append(b, `,"state":`...), l.State.String())
		return append(strconv.AppendInt(append(b, `,"count":`...), int64(l.Count), 10), '}')
	})
	if err != nil {
		return err
	}
	return out.Append(func(b []byte) []byte { return append(b, ']', '}') })
}

func jobErrors(c *httpadapter.Call) error {
	size, given, err := count(c, "pageSize", 1, maxPage)
	if err != nil {
		return err
	}
	if !given {
		size = 1000
	}
	skip, _, err := count(c, "skip", 0, math.MaxInt32)
	if err != nil {
		return err
	}
	list, err := c.Book.JobErrors(c.Context(), owner(c), c.Path("id"))
	if err != nil {
		return err
	}
	from := min(skip, len(list))
	to := min(from+size, len(list))
	next := ""
	if to < len(list) {
		next = c.Link(httpadapter.Figure{Name: "skip", Value: strconv.Itoa(to)}, httpadapter.Figure{Name: "pageSize", Value: strconv.Itoa(size)})
	}
	return c.Stream(200, httpadapter.JSONType, func(out *httpadapter.Stream) error {
		err := out.Append(func(b []byte) []byte {
			return append(strconv.AppendInt(append(b, `{"total":`...), int64(len(list)), 10), `,"errors":[`...)
		})
		if err != nil {
			return err
		}
		err = out.List(to-from, func(b []byte, i int) []byte {
			e := &list[from+i]
			b = strconv.AppendInt(append(b, `{"index":`...), int64(e.Index), 10)
			b = appendText(append(b, `,"state":`...), e.State.String())
			b = appendText(append(b, `,"message":`...), valid(e.Message))
			return append(appendViolations(append(b, `,"violations":`...), e.Violations), '}')
		})
		if err != nil {
			return err
		}
		return out.Append(func(b []byte) []byte {
			b = append(b, ']')
			if next != "" {
				b = appendText(append(b, `,"nextLink":`...), next)
			}
			return append(b, '}')
		})
	})
}
