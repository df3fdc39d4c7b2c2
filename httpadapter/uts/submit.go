package uts

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
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
	req := usage.JobRequest{ID: id, Created: now, Key: key, Digest: digest(route, items), Records: make([]usage.Record, len(items)),
		Notes: make([][]byte, len(items)), Labels: []string{applicationDimension, unitDimension}}
	for i := range items {
		req.Records[i] = s.record(id, i, operator, &items[i])
		req.Notes[i] = []byte(c.Operation) // the logref, should it fail
	}
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

// record is a usage as it is booked. Its identity is that of its place in the
// job, so that a job that is worked on again books nothing twice.
func (s *service) record(job string, n int, operator string, u *item) usage.Record {
	dimensions := []usage.Dimension{
		{Name: providerDimension, Value: operator},
		{Name: applicationDimension, Value: u.application},
		{Name: s.alias, Value: u.alias},
		{Name: unitDimension, Value: u.unit},
		{Name: s.userID, Value: u.user},
		{Name: s.userType, Value: u.userType},
	}
	if u.resource != "" {
		dimensions = append(dimensions, usage.Dimension{Name: s.resource, Value: u.resource})
	}
	return usage.Record{Tenant: u.tenant, Source: "uts", ID: job + "/" + strconv.Itoa(n), Meter: s.meter, Start: u.at,
		Values: usage.Values{}.WithNumber(usage.QuantityName, u.value), Dimensions: usage.NewDimensions(dimensions...)}
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
	var b []byte
	text := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	text(route)
	for i := range items {
		u := &items[i]
		for _, s := range []string{u.tenant, u.user, u.userType, u.application, u.alias, u.resource, u.unit, u.value.String()} {
			text(s)
		}
		b = binary.AppendVarint(b, u.at.UnixMicro())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
