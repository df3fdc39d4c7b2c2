package usage

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
)

// randomJob is a job with anything in it that a caller may give.
func randomJob(g *rand.Rand) JobRequest {
	one := func(list ...string) string { return list[g.IntN(len(list))] }
	text := func() string {
		return one("", "a", "x y", `"q"\`, "ä\u2028<&>", "\n\t\x01", strings.Repeat("long ", 30))
	}
	var req JobRequest
	for range g.IntN(8) {
		r := Record{ID: text(), Source: text(), Tenant: one("acme", "globex", text()), Meter: text(), Start: time.Date(2026, 1, 1, 0, 0, g.IntN(99), g.IntN(1e9), time.UTC)}
		if g.IntN(4) == 0 {
			r.End = r.Start.Add(time.Hour)
		}
		for range g.IntN(3) {
			r.Values = r.Values.WithNumber(text(), aggregate.Fixed(g.Int64()>>g.IntN(64), uint8(g.IntN(10))))
		}
		for range g.IntN(4) {
			r.Dimensions = r.Dimensions.With(one("unit", "application", text()), text())
		}
		switch g.IntN(12) {
		case 0:
			r.Corrects = &Correction{Kind: Void, Source: text(), ID: text()}
		case 1:
			r.Tenant = "\xff"
		case 2:
			r = r.WithFault("start", CodeSyntax, "is no <instant>")
		case 3:
			r.Dimensions = NewDimensions(Dimension{"a", "1"}, Dimension{"a", "2"})
		}
		req.Records = append(req.Records, r)
	}
	if g.IntN(2) == 0 {
		for range req.Records {
			req.Notes = append(req.Notes, [][]byte{nil, {}, []byte("users[0]"), {0xff, 0}}[g.IntN(4)])
		}
	}
	if g.IntN(2) == 0 {
		req.Labels = []string{"unit", "application"}[:1+g.IntN(2)]
	}
	return req
}

// textBook has all of a book that writing a job needs.
func textBook() *Book { return &Book{catalogue: &catalogue{}} }

// What is written by hand is what encoding/json would write, and read by both to
// the same effect.
func TestJobText(t *testing.T) {
	t.Parallel()
	g := rand.New(rand.NewPCG(6, 6))
	book := textBook()
	for range 2000 {
		req := randomJob(g)
		w := &jobWork{head: jobHead{Form: taskForm, Count: len(req.Records), Labels: req.Labels}, records: req.Records, states: make([]ItemState, len(req.Records))}
		text, faults, err := book.appendJobBody(nil, w, &req)
		require.NoError(t, err)
		body, records, ok := scanJobBody(text, len(req.Records))
		require.True(t, ok, "%s", text)
		require.Len(t, body.Errors, faults)
		want, wantRecords, err := unmarshalJobBody(text, len(req.Records))
		require.NoError(t, err)
		again, err := marshal(want)
		require.NoError(t, err)
		require.Equal(t, string(again), string(text))
		want.Records = nil
		require.Equal(t, want, body)
		require.Equal(t, wantRecords, records)

		w.head.Digest = "abc"
		if g.IntN(2) == 0 {
			w.head.Finished = time.Date(2026, 1, 1, 0, 0, 0, g.IntN(1e6)*1000, time.UTC)
		}
		if g.IntN(4) == 0 {
			w.head.Lost = "gone: \xff"
		}
		head, err := w.marshalHead()
		require.NoError(t, err)
		sum := 0
		for _, l := range w.head.Lines {
			sum += l.Count
		}
		require.Equal(t, len(req.Records), sum)
		byJSON, err := marshal(&w.head)
		require.NoError(t, err)
		// What encoding/json escapes beyond need is the same text.
		require.Equal(t, strings.NewReplacer(`\u2028`, "\u2028", `\ufffd`, "\ufffd").Replace(string(byJSON)), string(head))
		got, ok := scanJobHead(head)
		require.True(t, ok, "%s", head)
		var wantHead jobHead
		require.NoError(t, json.Unmarshal(head, &wantHead))
		require.Equal(t, &wantHead, got)
	}
}

// FuzzJobHead: a head that is taken says what encoding/json reads in it.
func FuzzJobHead(f *testing.F) {
	for _, seed := range []string{
		`{"v":1}`, `{"v":1,"digest":"d","count":2,"labels":["a"],"lines":[{"t":"acme","l":[["a","b"]],"s":"accepted","n":2}],"finished":"2026-03-01T00:00:00.5Z","lost":"x"}`,
		`{"v":1,"v":1}`, `{"V":1}`, `{"v":1,"lines":[{"l":[["a"],["a","b","c"],[]]}]}`, `{"v":1,"labels":null}`, `{"v":1e0}`, `{"v":1,"count":-0}`, `{"v":1,"digest":"\ud800"}`,
		"{\"v\":1,\"digest\":\"\xff\"}", `{"v":1,"finished":"2026-03-01T00:00:00\u005a"}`, `{"v":1,"finished":"0000-01-01T00:00:00+23:59"}`, `{"v":1,"lines":[{"s":"none"}]}`, `{"v":1,"x":{}}`, ` {"v":1} x`, `{"v":1,"lines":[null]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, ok := scanJobHead(data)
		if !ok {
			return
		}
		var want jobHead
		require.NoError(t, unmarshalForm(data, &want.Form, &want))
		require.Equal(t, &want, h)
	})
}

// FuzzJobBody: a body that is taken has what encoding/json and DecodeRecords read
// in it.
func FuzzJobBody(f *testing.F) {
	g := rand.New(rand.NewPCG(7, 7))
	for range 10 {
		req := randomJob(g)
		w := &jobWork{records: req.Records, states: make([]ItemState, len(req.Records))}
		text, _, err := textBook().appendJobBody(nil, w, &req)
		require.NoError(f, err)
		f.Add(text)
	}
	for _, seed := range []string{
		`{"v":1,"records":[{"id":"1","quantity":1}],"notes":["YQ=="]}`, `{"v":1,"records":[{},7],"notes":["Y\nQ==",""],"errors":[{"i":0,"s":"failed"}]}`, `{"v":1,"records":[],"Records":[]}`,
		`{"v":1,"records":{"records":[]}}`, `{"v":1,"records":null}`, `{"v":1,"records":[],"notes":null}`, `{"v":1,"records":[],"notes":[null]}`, `{"v":1,"records":[],"errors":null}`, "{\"v\":1,\"records\":[{\"id\":\"\xff\"}]}",
		`{"v":1,"records":[{"id":"\ud800"}],"errors":[{"r":{"id":7},"n":"YQ=="}]}`, `{"v":1,"records":[],"notes":["Y\u0051=="]}`, `{"records":[],"v":1}`, `{"v":1,"records":[{"dimensions":{"a":[[1]]}}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		body, records, ok := scanJobBody(data, 100)
		if !ok {
			return
		}
		want, wantRecords, err := unmarshalJobBody(data, 100)
		require.NoError(t, err)
		want.Records = nil
		require.Equal(t, want, body)
		require.Equal(t, wantRecords, records)
	})
}

// Of what is written nothing is left to encoding/json.
func BenchmarkJobText(b *testing.B) {
	var req JobRequest
	for i := range 200 {
		req.Records = append(req.Records, Record{ID: fmt.Sprintf("5ab0-2026/%d", i), Source: "uts", Tenant: "acme", Meter: "app-usage", Start: time.Date(2026, 1, 1, 0, 0, i, 0, time.UTC),
			Values:     Values{}.WithNumber(QuantityName, aggregate.Fixed(int64(i)*1001, 3)),
			Dimensions: DimensionsOf(map[string]string{"provider": "op", "application": "app", "alias": "app", "unit": fmt.Sprint("unit-", i%4), "userId": "user-1", "userType": "user", "resource": "asset-1"})})
	}
	w := &jobWork{head: jobHead{Form: taskForm, Count: len(req.Records), Labels: []string{"application", "unit"}}, records: req.Records, states: make([]ItemState, len(req.Records))}
	body, _, err := textBook().appendJobBody(nil, w, &req)
	require.NoError(b, err)
	head, err := w.marshalHead()
	require.NoError(b, err)
	b.Run("write", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			_, _, _ = textBook().appendJobBody(nil, w, &req)
			_, _ = w.marshalHead()
		}
	})
	b.Run("read", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			if _, _, ok := scanJobBody(body, 200); !ok {
				b.Fatal("not taken")
			}
			if _, ok := scanJobHead(head); !ok {
				b.Fatal("not taken")
			}
		}
	})
	b.Run("read-by-encoding-json", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := unmarshalJobBody(body, 200); err != nil {
				b.Fatal(err)
			}
			var h jobHead
			if err := unmarshalForm(head, &h.Form, &h); err != nil {
				b.Fatal(err)
			}
		}
	})
}
