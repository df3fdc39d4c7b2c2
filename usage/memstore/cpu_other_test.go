//go:build !linux

package memstore_test

import "time"

func processorTime() time.Duration { return 0 }

func threadTime() time.Duration { return 0 }
