package main

import (
	"context"

	"github.com/usagebook/usagebook/usage/memstore"
)

// bookMemory is ours in memory.
type bookMemory struct {
	bookContender
	store *memstore.Store
	raw   bool // without rollups
}

func openBookMemory(raw bool) (*bookMemory, error) {
	store := memstore.New(nil)
	c, err := newBookContender(store)
	return &bookMemory{c, store, raw}, err
}

func (c *bookMemory) roll(ctx context.Context) error {
	if c.raw {
		return nil
	}
	return c.bookContender.roll(ctx)
}

// analyze does nothing: a store brings what it needs.
func (c *bookMemory) analyze(context.Context) error { return nil }

func (c *bookMemory) bytes(context.Context) (int64, error) { return c.store.Bytes(), nil }

func (c *bookMemory) close() error { return c.store.Close() }
