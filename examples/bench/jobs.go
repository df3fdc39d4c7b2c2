package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"time"

	"github.com/usagebook/usagebook/usage"
)

// usagesRoute is where jobs are posted.
const usagesRoute = "/api/usagetransparency/v3/usagesJobs"

// plainJob is the body of POST usagesJobs as encoding/json decodes it.
type plainJob struct {
	Users []struct {
		TenantID  string `json:"tenantId"`
		UserID    string `json:"userId"`
		UserType  string `json:"userType"`
		Resources []struct {
			Application string `json:"application"`
			Alias       string `json:"alias"`
			Resource    string `json:"resource"`
			Usages      []struct {
				Value    json.Number `json:"value"`
				Unit     string      `json:"unit"`
				Datetime time.Time   `json:"datetime"`
			} `json:"usages"`
		} `json:"resources"`
	} `json:"users"`
}

// usages counts what was decoded.
func (j *plainJob) usages() (n int) {
	for _, u := range j.Users {
		for _, r := range u.Resources {
			n += len(r.Usages)
		}
	}
	return n
}

// job returns a body of 200 usages, which is the documented limit: of ten users
// with four resources each.
func job(rnd *rand.Rand) []byte {
	const users, resources = 10, 4
	b := []byte(`{"users":[`)
	for u := range users {
		if u > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"tenantId":"tenant-%02d","userId":"user-%04d","userType":"user","resources":[`, rnd.IntN(50), rnd.IntN(10_000))
		for r := range resources {
			if r > 0 {
				b = append(b, ',')
			}
			b = fmt.Appendf(b, `{"application":"app-%d","alias":"alias-%d","resource":"asset-%06d","usages":[`, rnd.IntN(5), rnd.IntN(5), rnd.IntN(1_000_000))
			for i := range batchSize / users / resources {
				if i > 0 {
					b = append(b, ',')
				}
				b = fmt.Appendf(b, `{"value":%d.%03d,"unit":"unit-%d","datetime":"2026-%02d-%02dT%02d:%02d:%02dZ"}`,
					rnd.IntN(1000), rnd.IntN(1000), r, 1+rnd.IntN(3), 1+rnd.IntN(28), rnd.IntN(24), rnd.IntN(60), rnd.IntN(60))
			}
			b = append(b, `]}`...)
		}
		b = append(b, `]}`...)
	}
	return append(b, `]}`...)
}

// jobs posts the same bodies to both handlers in turns. accepted is the time
// until all jobs were accepted, and ended the time until all were booked, too.
func jobs(ctx context.Context, s sizes) (accepted, ended, other turns, err error) {
	decodeOnly := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var j plainJob
		if err == nil {
			err = json.Unmarshal(body, &j)
		}
		if err != nil || j.usages() != batchSize {
			http.Error(w, "not decoded", http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, `{"status":"ACCEPTED","usagesCount":200}`) // what the client looks for
	})
	check := func(answer []byte) bool {
		return bytes.HasSuffix(answer, []byte(`"status":"ACCEPTED","usagesCount":200}`))
	}
	rnd := rand.New(rand.NewPCG(3, 3))
	for range s.turns {
		bodies := make([][]byte, s.batches)
		for i := range bodies {
			bodies[i] = job(rnd)
		}
		book, handler, err := newBook()
		if err != nil {
			return nil, nil, nil, err
		}
		runtime.GC()
		d, err := postAll(ctx, handler, usagesRoute, bodies, s.clients, check)
		if err != nil {
			return nil, nil, nil, err
		}
		accepted = append(accepted, d)
		begun := time.Now()
		for did := true; did; {
			if did, err = book.Work(ctx); err != nil {
				return nil, nil, nil, err
			}
		}
		ended = append(ended, d+time.Since(begun))
		if err := bookedWhole(ctx, book, s.batches*batchSize); err != nil {
			return nil, nil, nil, err
		}
		runtime.GC()
		if d, err = postAll(ctx, decodeOnly, usagesRoute, bodies, s.clients, check); err != nil {
			return nil, nil, nil, err
		}
		other = append(other, d)
	}
	return accepted, ended, other, nil
}

// bookedWhole sees that so many records are in the book.
func bookedWhole(ctx context.Context, book *usage.Book, want int) error {
	count, err := usage.ParseMeasures("count()")
	if err != nil {
		return err
	}
	for row, err := range book.Rows(ctx, usage.AllTenants(), usage.Query{Measures: count}) {
		if err != nil {
			return err
		}
		if got := row.Get("count").String(); got != fmt.Sprint(want) {
			return fmt.Errorf("%s usages of %d were booked", got, want)
		}
	}
	return nil
}
