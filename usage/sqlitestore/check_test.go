package sqlitestore_test

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usagebook/usagebook/usage"
	"github.com/usagebook/usagebook/usage/sqlitestore"
)

func TestCheckOfASoundBook(t *testing.T) {
	t.Parallel()
	s := openStore(t, temp(t), nil)
	require.NoError(t, s.Check(t.Context()), "an empty one")
	sample(t, s)
	require.NoError(t, s.Check(t.Context()))
}

// A changed byte of the file is found by opening it, by Check or by reading, or
// changes no answer. Whatever the byte, nothing panics.
func TestByteFlips(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "usage.db")
	s, err := sqlitestore.Open(t.Context(), path, nil)
	require.NoError(t, err)
	sample(t, s)
	want, err := everything(t, s)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	sound, err := os.ReadFile(path)
	require.NoError(t, err)

	rng := rand.New(rand.NewPCG(3, 5))
	var places []int
	flips := 400
	if n, err := strconv.Atoi(os.Getenv("USAGEBOOK_FLIPS")); err == nil {
		flips = n
	}
	if testing.Short() {
		flips = 60
	}
	const pageSize = 4096
	for range flips / 2 {
		places = append(places, rng.IntN(len(sound)))
		// Heads of pages and of the file, where a byte means most.
		page := rng.IntN(len(sound) / pageSize)
		at := page*pageSize + rng.IntN(24)
		if page == 0 {
			at = rng.IntN(124)
		}
		places = append(places, at)
	}
	seen := map[string]int{}
	for _, at := range places {
		bit := byte(1) << rng.IntN(8)
		if rng.IntN(3) == 0 {
			bit = byte(1 + rng.IntN(255))
		}
		own := filepath.Join(dir, "flipped.db")
		changed := append([]byte(nil), sound...)
		changed[at] ^= bit
		require.NoError(t, os.WriteFile(own, changed, 0o600))
		how := flipped(t, own, want)
		seen[how]++
		if how == "unseen" {
			t.Errorf("byte %d of page %d, changed by %#x, changes answers and nobody sees it", at%pageSize, at/pageSize+1, bit)
		}
		for _, suffix := range []string{"", "-wal", "-shm"} {
			_ = os.Remove(own + suffix)
		}
	}
	t.Logf("%d bytes of %d pages: %v", len(places), len(sound)/pageSize, seen)
	require.Positive(t, seen["check"]+seen["open"])
	require.Positive(t, seen["read"])
}

// flipped says how a changed file shows.
func flipped(t *testing.T, path, want string) string {
	s, err := sqlitestore.Open(t.Context(), path, nil)
	if err != nil {
		require.True(t, errors.Is(err, usage.ErrUnavailable), "%v", err)
		return "open"
	}
	defer s.Close()
	got, err := everything(t, s)
	damage := s.Check(t.Context())
	switch {
	case err != nil: // where a task is listed and not there, no more than usage.ErrNotFound
		return "read"
	case damage != nil:
		require.True(t, errors.Is(damage, sqlitestore.ErrDamaged), "%v", damage)
		if got != want {
			return "check of wrong answers"
		}
		return "check"
	case got == want:
		return "harmless"
	}
	return "unseen"
}

// What Check says of a row that is gone from a table and all of its indexes, which
// SQLite cannot see.
func TestCheckSeesMissingRows(t *testing.T) {
	t.Parallel()
	for _, statement := range []string{
		"DELETE FROM usagebook_records WHERE seq = 77",
		"DELETE FROM usagebook_log WHERE first = 101",
		"DELETE FROM usagebook_names WHERE kind = 2 AND code = 3",
		"DELETE FROM usagebook_chained WHERE by IS NOT NULL",
		"UPDATE usagebook_records SET start = start + 1 WHERE seq = 5",
		"UPDATE usagebook_rollups SET span = span + 1",
		"UPDATE usagebook_tasks SET owner = 'other'",
		"UPDATE usagebook_bodies SET number = number + 100",
		"UPDATE usagebook_meta SET value = value - 1",
		"UPDATE usagebook_checkpoints SET coverage = x'00'",
		"UPDATE usagebook_chained SET by_kind = 2 WHERE by_kind = 1",
		"DROP INDEX usagebook_tasks_due",
	} {
		t.Run(statement, func(t *testing.T) {
			t.Parallel()
			path := temp(t)
			s := openStore(t, path, nil)
			sample(t, s)
			db := openHandWritten(t, path).db
			result, err := db.Exec(statement)
			require.NoError(t, err)
			if n, err := result.RowsAffected(); statement[:4] != "DROP" {
				require.NoError(t, err)
				require.Positive(t, n)
			}
			err = s.Check(t.Context())
			require.ErrorIs(t, err, sqlitestore.ErrDamaged)
			require.ErrorIs(t, err, usage.ErrUnavailable)
			t.Log(err)
		})
	}
}

// The sizes that the flips rely on.
func TestPageSize(t *testing.T) {
	t.Parallel()
	path := temp(t)
	s := openStore(t, path, nil)
	require.NoError(t, s.Close())
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, uint16(4096), binary.BigEndian.Uint16(data[16:]))
}
