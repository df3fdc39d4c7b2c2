//go:build !unix

package memstore_test

import "time"

func processorTime() time.Duration { return 0 }
