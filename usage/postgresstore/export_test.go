package postgresstore

import (
	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/internal/intern"
)

// What tests outside of the package look into.

// ArrayOf writes an array of texts.
func ArrayOf(list []string) string { return texts(list) }

// TextsOf reads what PostgreSQL writes of one.
func TextsOf(b []byte) ([]string, error) { return unquote(b) }

// NumberOf and SumOf read numbers in the binary format.
func NumberOf(b []byte) (aggregate.Number, error) { return number(b) }

// SumOf is NumberOf for sums.
func SumOf(b []byte) (aggregate.Sum, error) { return sum(b) }

// Remember has a store remember few names of each kind.
func (s *Store) Remember(n int) {
	s.names.shapes, s.names.verdicts = intern.New[string, int64](n), intern.New[usage.Verdict, int64](n)
	s.names.pairs, s.names.series = intern.New[string, int64](n), intern.New[string, seriesCode](n)
}
