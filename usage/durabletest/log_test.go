package durabletest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"sync"
	"time"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/memstore"
)

// logStore is the plainest durable store there is: the one in memory, and a log of
// its batches that is gone through when it is opened. With a flaw it is one that a
// kill is to find out.
type logStore struct {
	usage.Store
	flaw string

	mu   sync.Mutex
	file *os.File
	late []byte // not written yet
}

// logged is a line of the log.
type logged struct {
	Now          time.Time
	AllOrNothing bool
	Records      json.RawMessage
}

func openLog(ctx context.Context, path, flaw string) (*logStore, error) {
	s := &logStore{Store: memstore.New(nil), flaw: flaw}
	var err error
	if s.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		return nil, err
	}
	var now time.Time
	book, err := usage.New(s.Store, &usage.Options{Rules: billing{}, Now: func() time.Time { return now }})
	if err != nil {
		return nil, err
	}
	lines := bufio.NewReader(s.file)
	whole := int64(0)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			// What stands after the last end of a line was never whole.
			return s, s.file.Truncate(whole)
		}
		var l logged
		if err := json.Unmarshal(line, &l); err != nil {
			return nil, err
		}
		now = l.Now
		records, err := usage.DecodeRecords(l.Records, nil)
		if err != nil {
			return nil, err
		}
		if _, err := book.AppendBatch(ctx, usage.AppendOptions{AllOrNothing: l.AllOrNothing}, records...); err != nil {
			return nil, fmt.Errorf("going through the log: %w", err)
		}
		whole += int64(len(line))
	}
}

func (s *logStore) Append(ctx context.Context, b *usage.Batch) ([]usage.ReceiptEntry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var records []usage.Record
	for i := range b.Len() {
		records = append(records, b.At(i).Record)
	}
	out, err := s.Store.Append(ctx, b)
	if err != nil {
		return nil, err
	}
	if s.flaw == "halves" {
		if err := s.write(b, records[:1]); err != nil {
			return nil, err
		}
		records = records[1:]
	}
	return out, s.write(b, records)
}

func (s *logStore) write(b *usage.Batch, records []usage.Record) error {
	text, err := json.Marshal(records)
	if err != nil {
		return err
	}
	line, err := json.Marshal(&logged{Now: b.Now(), AllOrNothing: b.AllOrNothing(), Records: text})
	if err != nil {
		return err
	}
	s.late = append(append(s.late, line...), '\n')
	if s.flaw == "acknowledges" && len(s.late) < 4096 {
		return nil
	}
	if _, err := s.file.Write(s.late); err != nil {
		return err
	}
	s.late = s.late[:0]
	return s.file.Sync()
}

func (s *logStore) Scan(ctx context.Context, sel usage.Selection) iter.Seq2[*usage.Stored, error] {
	if s.flaw != "repeats" {
		return s.Store.Scan(ctx, sel)
	}
	return func(yield func(*usage.Stored, error) bool) {
		for r, err := range s.Store.Scan(ctx, sel) {
			if !yield(r, err) || r != nil && r.Sequence%50 == 0 && !yield(r, nil) {
				return
			}
		}
	}
}

func (s *logStore) Close() error {
	s.file.Close()
	return s.Store.Close()
}
