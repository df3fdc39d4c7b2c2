package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// compareAnswers asks both the same questions in turns and compares every answer to
// the last digit.
func compareAnswers(ctx context.Context, s sizes, p pair, t *table) error {
	for which, q := range s.workload.questions(s.records, 0) {
		ours, hand, rows, err := compareAnswer(ctx, s, p, which)
		if err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
		faster := over(hand, ours)
		t.rows = append(t.rows, []string{p.engine, q.name, fmt.Sprint(rows), short(ours.median()), ours.spread(),
			short(hand.median()), hand.spread(), faster.String(), faster.spread()})
	}
	return nil
}

// compareAnswer returns the times of a question, and how many rows an answer has at
// most.
func compareAnswer(ctx context.Context, s sizes, p pair, which int) (ours, hand turns, rows int, err error) {
	// The first answers tell how often a turn has to ask, and count no further.
	answers, repeat, variant := map[contender][][]figure{}, 1, 0
	turn := func(i int) error {
		clear(answers)
		err := p.turn(i, &ours, &hand, func(c contender) error {
			for r := range repeat {
				list, err := answer(ctx, c, s.workload.questions(s.records, variant+r)[which])
				if err != nil {
					return err
				}
				answers[c] = append(answers[c], list)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for r, list := range answers[p.ours] {
			if err := sameAnswer("ours", "the hand-written one", list, answers[p.hand][r]); err != nil {
				return err
			}
			rows = max(rows, len(list))
		}
		ours[len(ours)-1] /= time.Duration(repeat)
		hand[len(hand)-1] /= time.Duration(repeat)
		variant += repeat
		return nil
	}
	for i := range 2 {
		if err := turn(i); err != nil {
			return nil, nil, 0, err
		}
	}
	repeat = int(min(100, max(1, s.warm/max(ours[1], hand[1], 1))))
	ours, hand = nil, nil
	for i := range s.turns {
		if err := turn(i); err != nil {
			return nil, nil, 0, err
		}
	}
	if rows == 0 {
		return nil, nil, 0, errors.New("all answers are empty, which compares nothing; more records are needed")
	}
	return ours, hand, rows, nil
}
