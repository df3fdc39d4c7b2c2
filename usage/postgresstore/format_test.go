package postgresstore_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage/postgresstore"
	"github.com/usagebook/usagebook/usage/postgresstore/pgtest"
)

// What is written as an array is what the server reads, and what it writes is
// what is read.
func TestArraysOfTexts(t *testing.T) {
	t.Parallel()
	pool := newPool(t, pgtest.Shared(t, 0).Database(t), nil)
	lists := [][]string{{}, {""}, {"", ""}, {"a", "b c"}, {"NULL", "null"}, {`"`, `\`, `\"`, `\\`, `a\b"c`}, {"{", "}", ",", "{a,b}"}, {" a ", "\t", "\n", "ä😀"}, {"'", "''", "$1", "E'"}}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		var list []string
		for range 1 + rng.IntN(4) {
			var b strings.Builder
			for range rng.IntN(6) {
				b.WriteByte(`ab"\{}, 'N`[rng.IntN(10)])
			}
			list = append(list, b.String())
		}
		lists = append(lists, list)
	}
	for _, list := range lists {
		var read []string
		var written string
		err := pool.QueryRow(t.Context(), "SELECT $1::text[], $1::text[]::text", postgresstore.ArrayOf(list)).Scan(&read, &written)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("%q", list), fmt.Sprintf("%q", read))
		back, err := postgresstore.TextsOf([]byte(written))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("%q", list), fmt.Sprintf("%q", append([]string{}, back...)))
	}
}

func TestBinaryNumbers(t *testing.T) {
	t.Parallel()
	pool := newPool(t, pgtest.Shared(t, 0).Database(t), nil)
	nines, zeros := strings.Repeat("9", 38), strings.Repeat("0", 29)
	numbers := []string{"0", "0.000", "1", "-1", "10", "10000", "100000000", "0.1", "0.0001", "0.00001", "-0.00000001", "9999.9999", "10000.0001", "1e20", "-1e37",
		"9223372036854775807", "-9223372036854775808", "9223372036854775808", nines, nines + "." + strings.Repeat("9", 30), "-0." + zeros + "1", "1" + zeros + "." + zeros + "1"}
	rng := rand.New(rand.NewPCG(2, 2))
	for range 500 {
		digits := fmt.Sprint(rng.Uint64())
		at := rng.IntN(len(digits))
		numbers = append(numbers, digits[:at]+"."+digits[at:], "-0."+strings.Repeat("0", rng.IntN(20))+digits[:1+rng.IntN(8)], digits+strings.Repeat("0", rng.IntN(18)))
	}
	for _, text := range numbers {
		want, err := aggregate.ParseNumber(text)
		require.NoError(t, err)
		rows, err := pool.Query(t.Context(), "SELECT $1::numeric, $1::numeric * 3", pgx.QueryResultFormats{pgx.BinaryFormatCode}, text)
		require.NoError(t, err)
		require.True(t, rows.Next(), "%s: %v", text, rows.Err())
		raw := rows.RawValues()
		got, err := postgresstore.NumberOf(raw[0])
		require.NoError(t, err)
		require.True(t, want.Equal(got), "%s is read as %s", text, got)
		sum, err := postgresstore.SumOf(raw[1])
		require.NoError(t, err)
		var three aggregate.Sum
		for range 3 {
			three.Add(want)
		}
		require.True(t, three.Equal(&sum), "three times %s is read as %s", text, sum)
		rows.Close()
	}
	for _, b := range [][]byte{nil, {0}, {0, 1, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0xc0, 0, 0, 0}, {0xff, 0xff, 0, 0, 0, 0, 0, 0}} {
		if n, err := postgresstore.NumberOf(b); err == nil {
			require.Zero(t, n.Sign(), "%v", b)
		}
	}
}
