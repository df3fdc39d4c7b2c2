package main

import "context"

// contender keeps records and answers from them.
type contender interface {
	// prepare turns a batch into the form in which callers of the contender have their
	// records, which is no part of what is measured.
	prepare(b delivery) (booking, error)
	// roll keeps sums ready, where a contender does.
	roll(ctx context.Context) error
	// analyze has the engine look at what is there, as one in service does from time to
	// time.
	analyze(ctx context.Context) error
	// ask is called after both. What it does is no part of what is measured either:
	// it makes ready what a client has at hand that asks often. The asking may be done
	// more than once, beside others.
	ask(ctx context.Context, q question) (asking, error)
	// bytes is what the contender takes, on disk with all indexes, or in memory by its
	// own account.
	bytes(ctx context.Context) (int64, error)
	close() error
}

// booking books a batch for good and tells how many of it were new. Several may be
// done at once.
type booking func(ctx context.Context) (inserted int, err error)

// asking answers a question.
type asking func(ctx context.Context) ([]figure, error)

// add prepares and books a batch.
func add(ctx context.Context, c contender, b delivery) (inserted int, err error) {
	book, err := c.prepare(b)
	if err != nil {
		return 0, err
	}
	return book(ctx)
}

// answer asks a question once.
func answer(ctx context.Context, c contender, q question) ([]figure, error) {
	ask, err := c.ask(ctx, q)
	if err != nil {
		return nil, err
	}
	return ask(ctx)
}

// reopener is a contender that keeps its records when it is closed: it is opened anew
// before it is asked for the first time.
type reopener interface {
	reopen(ctx context.Context) error
}

// runner is a contender that does work in the background while it is in service. run
// does it until the context ends.
type runner interface {
	run(ctx context.Context) error
	// rolledUp is how many records that work has taken in.
	rolledUp(ctx context.Context) (int, error)
}
