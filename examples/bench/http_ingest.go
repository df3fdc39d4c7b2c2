package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"time"
)

// batchSize is the number of records in a batch.
const batchSize = 200

// plainRecord is a record as encoding/json decodes it.
type plainRecord struct {
	ID         string                 `json:"id"`
	Source     string                 `json:"source"`
	Tenant     string                 `json:"tenant"`
	Meter      string                 `json:"meter"`
	Start      time.Time              `json:"start"`
	Values     map[string]json.Number `json:"values"`
	Dimensions map[string]string      `json:"dimensions"`
}

// batch returns a body with new ids.
func batch(rnd *rand.Rand) []byte {
	var b bytes.Buffer
	b.WriteByte('[')
	for i := range batchSize {
		if i > 0 {
			b.WriteByte(',')
		}
		tenant, resource := rnd.IntN(50), rnd.IntN(40)
		fmt.Fprintf(&b, `{"id":"%08x-%04x-4%03x-8%03x-%012x","source":"gateway","tenant":"tenant-%02d","meter":"meter-%02d","start":"2026-%02d-%02dT%02d:%02d:%02dZ","values":{"quantity":"%d.%06d"},"dimensions":{"namespace":"ns-%02d","resource":"/tenants/%02d/resources/%d","region":"eu-west-1"}}`,
			rnd.Uint32(), rnd.IntN(1<<16), rnd.IntN(1<<12), rnd.IntN(1<<12), rnd.Uint64()>>16, tenant, rnd.IntN(40), 1+rnd.IntN(3), 1+rnd.IntN(28), rnd.IntN(24), rnd.IntN(60), rnd.IntN(60),
			rnd.IntN(100), rnd.IntN(1_000_000), resource%20, tenant, resource)
	}
	b.WriteByte(']')
	return b.Bytes()
}

// ingest posts the same bodies to both handlers in turns.
func ingest(ctx context.Context, s sizes) (ours, other turns, err error) {
	decodeOnly := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var list []plainRecord
		if err == nil {
			err = json.Unmarshal(body, &list)
		}
		if err != nil || len(list) != batchSize {
			http.Error(w, "not decoded", http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, `{"inserted":200,`) // what the client looks for
	})
	check := func(answer []byte) bool { return bytes.HasPrefix(answer, []byte(`{"inserted":200,`)) }
	rnd := rand.New(rand.NewPCG(1, 1))
	for range s.turns {
		bodies := make([][]byte, s.batches)
		for i := range bodies {
			bodies[i] = batch(rnd)
		}
		_, handler, err := newBook()
		if err != nil {
			return nil, nil, err
		}
		for _, side := range []struct {
			h     http.Handler
			times *turns
		}{{handler, &ours}, {decodeOnly, &other}} {
			runtime.GC()
			d, err := postAll(ctx, side.h, "/v1/records", bodies, s.clients, check)
			if err != nil {
				return nil, nil, err
			}
			*side.times = append(*side.times, d)
		}
	}
	return ours, other, nil
}

// postAll posts the bodies to a route over some connections and returns how long it
// took. Each answer has to pass the check.
func postAll(ctx context.Context, h http.Handler, route string, bodies [][]byte, clients int, check func([]byte) bool) (took time.Duration, err error) {
	base, stop, err := serve(h)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	queue := make(chan []byte, len(bodies))
	for _, b := range bodies {
		queue <- b
	}
	close(queue)
	faults := make(chan error, clients)
	var group sync.WaitGroup
	begun := time.Now()
	for range clients {
		group.Go(func() {
			for body := range queue {
				if err := post(ctx, client, base+route, body, check); err != nil {
					faults <- err
					return
				}
			}
		})
	}
	group.Wait()
	took = time.Since(begun)
	close(faults)
	return took, <-faults
}

func post(ctx context.Context, client *http.Client, target string, body []byte, check func([]byte) bool) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK || !check(text) {
		return fmt.Errorf("a batch was not booked whole: %d %.300s", answer.StatusCode, text)
	}
	return nil
}
