package sqlitestore

import (
	"context"
	"slices"
	"sync"

	"github.com/usagebook/usagebook/usage"
)

// queue holds the batches of callers that wait for the writer. Whoever gets it
// books all of them in one transaction: what waiting for the disk costs, they
// pay once.
type queue struct {
	mu   sync.Mutex
	jobs []*job
}

// job is a batch on its way into the book.
type job struct {
	ctx   context.Context
	batch *usage.Batch
	// judgeFirst: identities are looked up before anything is written.
	judgeFirst bool

	finished bool          // of whoever has the writer
	done     chan struct{} // closed when out and err are set
	out      []usage.ReceiptEntry
	err      error
}

// groupRecords is about the most records that are booked in one transaction of
// several batches: enough to share the wait for the disk, few enough for the first
// of them not to wait long for the last.
const groupRecords = 20_000

func (q *queue) put(j *job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.jobs = append(q.jobs, j)
}

// take takes the batches that are booked together next.
func (q *queue) take() []*job {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, records := 0, 0
	for n < len(q.jobs) && (n == 0 || records+q.jobs[n].batch.Len() <= groupRecords) {
		records += q.jobs[n].batch.Len()
		n++
	}
	taken := slices.Clone(q.jobs[:n])
	q.jobs = slices.Delete(q.jobs, 0, n)
	return taken
}

// drop takes a batch out of the queue, and reports false when it was taken.
func (q *queue) drop(j *job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.jobs, j)
	if i >= 0 {
		q.jobs = slices.Delete(q.jobs, i, i+1)
	}
	return i >= 0
}
