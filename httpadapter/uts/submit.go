package uts

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/usage"
)

const keyHeader = "Idempotency-Key"

// postUsages answers POST /usages: a job whose id is not told.
func (s *service) postUsages(c *httpadapter.Call) error {
	if _, err := s.submit(c, "usages", readCustomer); err != nil {
		return err
	}
	return c.JSON(200, []byte(`""`))
}

// postJob answers POST /usagesJobs. A request that is repeated under its key has
// the first answer, however far the job is.
func (s *service) postJob(c *httpadapter.Call) error {
	job, err := s.submit(c, "usagesJobs", readUsers)
	if err != nil {
		return err
	}
	return c.JSON(200, append(appendJob(append([]byte(nil), '{'), job, usage.JobAccepted, job.Count), '}'))
}

// submit has the usages of the body accepted as a job.
func (s *service) submit(c *httpadapter.Call, route string, read func([]byte) ([]item, error)) (*usage.Job, error) {
	key, err := idempotencyKey(c)
	if err != nil {
		return nil, err
	}
	items, err := read(c.Body())
	if err != nil {
		return nil, err
	}
	if err := checkTenants(c, items); err != nil {
		return nil, err
	}
	operator, now := home(c), c.Now()
	id := fmt.Sprintf("%s-%s%03d", s.newID(), now.Format("20060102"), now.Nanosecond()/1e6)
	req := usage.JobRequest{ID: id, Created: now, Key: key, Digest: digest(route, items), Records: s.records(id, operator, items),
		Notes:  slices.Repeat([][]byte{[]byte(c.Operation)}, len(items)), // the logref, should it fail
		Labels: []string{applicationDimension, unitDimension}}
	job, existed, err := c.Book.Submit(c.Context(), ownerOf(operator), req)
	if errors.Is(err, usage.ErrKeyReused) {
		return nil, &httpadapter.Problem{Kind: httpadapter.Invalid, Field: keyHeader, Err: err,
			Message: fmt.Sprintf("The %s %q was used for another request.", keyHeader, clip(key)), Allowed: "Use a new one for each request, and repeat it only with the same body."}
	}
	if err != nil {
		return nil, err
	}
	c.Log.Debug("usages accepted", "job", job.ID, "usages", job.Count, "repeated", existed)
	return job, nil
}

// records are the usages as they are booked. The identity of each is that of its
// place in the job, so that a job that is worked on again books nothing twice.
func (s *service) records(job, operator string, items []item) []usage.Record {
	out := make([]usage.Record, len(items))
	var ids strings.Builder // one text for all of them
	ids.Grow(len(items) * (len(job) + len("/199")))
	var dimensions usage.Dimensions
	for i := range items {
		u := &items[i]
		// Usages of one resource and unit share their dimensions.
		if i == 0 || u.place != items[i-1].place || u.unit != items[i-1].unit {
			dimensions = s.dimensions(operator, u)
		}
		from := ids.Len()
		ids.WriteString(job)
		ids.WriteByte('/')
		var number [20]byte
		ids.Write(strconv.AppendInt(number[:0], int64(i), 10))
		out[i] = usage.Record{Tenant: u.tenant, Source: "uts", ID: ids.String()[from:], Meter: s.meter, Start: u.at,
			Values: usage.NewValues(usage.Value{Name: usage.QuantityName, Number: u.value}), Dimensions: dimensions}
	}
	return out
}

func (s *service) dimensions(operator string, u *item) usage.Dimensions {
	list := [...]usage.Dimension{
		{Name: providerDimension, Value: operator},
		{Name: applicationDimension, Value: u.application},
		{Name: s.alias, Value: u.alias},
		{Name: unitDimension, Value: u.unit},
		{Name: s.userID, Value: u.user},
		{Name: s.userType, Value: u.userType},
		{Name: s.resource, Value: u.resource},
	}
	if u.resource == "" {
		return usage.NewDimensions(list[:len(list)-1]...)
	}
	return usage.NewDimensions(list[:]...)
}

// idempotencyKey returns the key of the request, empty where it has none.
func idempotencyKey(c *httpadapter.Call) (string, error) {
	const most = 256
	values := c.Request.Header.Values(keyHeader)
	if len(values) == 0 {
		return "", nil
	}
	bad := func(message string) error {
		return &httpadapter.Problem{Kind: httpadapter.Invalid, Field: keyHeader, Message: message}
	}
	switch key := values[0]; {
	case len(values) > 1:
		return "", bad("The header " + keyHeader + " is given more than once.")
	case key == "" || len(key) > most || !utf8.ValidString(key):
		return "", bad(fmt.Sprintf("The header %s is no text of 1 to %d bytes.", keyHeader, most))
	default:
		return key, nil
	}
}

// digest tells requests under one key apart by what they say, not by how they
// are spelled. Each text has its length before it.
func digest(route string, items []item) string {
	sum := sha256.New()
	b := make([]byte, 0, 512) // of one usage
	text := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	text(route)
	for i := range items {
		u := &items[i]
		for _, s := range [...]string{u.tenant, u.user, u.userType, u.application, u.alias, u.resource, u.unit} {
			text(s)
		}
		var number [96]byte
		digits := u.value.AppendText(number[:0])
		b = append(binary.AppendUvarint(b, uint64(len(digits))), digits...)
		b = binary.AppendVarint(b, u.at.UnixMicro())
		sum.Write(b) // never fails
		b = b[:0]
	}
	sum.Write(b)
	return hex.EncodeToString(sum.Sum(nil))
}
