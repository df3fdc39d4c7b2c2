package walk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Session runs the blocks of a document, in order.
type Session struct {
	// Vars are the variables; answers and commands add to them. Required.
	Vars map[string]string
	// Exact compares JSON byte by byte, as it goes over the wire.
	Exact bool
	// Client sends the requests. Defaults to http.DefaultClient.
	Client *http.Client
}

// Run runs the blocks and returns the first fault, with its line. Blocks that
// are neither sh nor an answer are handed to other, in their place; nil refuses
// them.
func (s *Session) Run(ctx context.Context, blocks []Block, other func(Block) error) error {
	for i := 0; i < len(blocks); i++ {
		b := blocks[i]
		answered, err := false, error(nil)
		switch {
		case b.Language == "sh":
			var answer *Block
			if i+1 < len(blocks) && isAnswer(blocks[i+1].Language) {
				answer = &blocks[i+1]
			}
			answered, err = s.shell(ctx, b, answer)
			if answered {
				i++
			} else if err == nil && answer != nil {
				err = errors.New("the block has an answer and no curl command")
			}
		case isAnswer(b.Language):
			err = errors.New("an answer is behind no command")
		case other == nil:
			err = fmt.Errorf("a block of language %q", b.Language)
		default:
			err = other(b)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", b.Line, err)
		}
	}
	return nil
}

func isAnswer(language string) bool {
	return language == "json" || language == "http" || language == "text"
}

// patience is how long a command is repeated: what takes longer has failed.
const patience = time.Minute

// shell runs an sh block: variables, or one command and its answer.
func (s *Session) shell(ctx context.Context, b Block, answer *Block) (answered bool, err error) {
	list, err := Commands(b.Text, s.Vars)
	switch {
	case err != nil:
		return false, err
	case len(list) == 0:
		return false, nil
	case len(list) > 1:
		return false, errors.New("a block has one command at most")
	case answer == nil:
		return false, errors.New("no answer is behind the command")
	}
	request, err := Curl(list[0].Words)
	if err != nil {
		return true, err
	}
	if !strings.HasPrefix(list[0].Comment, "repeat until") {
		return true, s.ask(ctx, request, answer)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := s.ask(ctx, request, answer)
		if err == nil {
			return true, nil
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return true, fmt.Errorf("%w: %w", ctx.Err(), last)
		case <-tick.C:
		}
	}
}

// ask sends a request and compares the answer.
func (s *Session) ask(ctx context.Context, request *Request, answer *Block) error {
	r, err := http.NewRequestWithContext(ctx, request.Method, request.URL, strings.NewReader(request.Body))
	if err != nil {
		return err
	}
	r.Header = request.Header
	client := s.Client
	if client == nil {
		client = http.DefaultClient
	}
	got, err := client.Do(r)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		return err
	}
	text, shown := string(body), strings.TrimSuffix(answer.Text, "\n")
	whole := fmt.Errorf("%s %s answered %s: %s", request.Method, request.URL, got.Status, text)
	if request.Head != (answer.Language == "http") {
		return errors.New("an http block shows the answer of curl -i, and no other")
	}
	if request.Head {
		head, rest, _ := strings.Cut(shown, "\n\n")
		if err := s.head(head, got); err != nil {
			return fmt.Errorf("%w; %w", err, whole)
		}
		shown = rest
	} else if got.StatusCode/100 != 2 {
		return whole
	}
	compare := MatchJSON
	if s.Exact || answer.Language == "text" || !strings.Contains(got.Header.Get("Content-Type"), "json") {
		compare = MatchText
	}
	if err := compare(shown, text, s.Vars); err != nil {
		return fmt.Errorf("%w; %w", err, whole)
	}
	return nil
}

// head compares status and headers.
func (s *Session) head(shown string, got *http.Response) error {
	lines := strings.Split(shown, "\n")
	if want := got.Proto + " " + got.Status; lines[0] != want {
		return fmt.Errorf("shown %q, got %q", lines[0], want)
	}
	for _, line := range lines[1:] {
		name, want, ok := strings.Cut(line, ":")
		if !ok {
			return fmt.Errorf("%q is no header", line)
		}
		if err := MatchText(strings.TrimSpace(want), got.Header.Get(name), s.Vars); err != nil {
			return fmt.Errorf("the header %s: %w", name, err)
		}
	}
	return nil
}
