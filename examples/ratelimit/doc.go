// Package ratelimit is golang.org/x/time/rate as the Limiter of httpadapter, for
// services that have their limits there already. Its whole source is the example:
// copy it, and change what differs in your service.
//
// It keeps a limiter for each caller and class for ever. A service with more callers
// than it wants to remember takes httpadapter.NewLimiter, which forgets the silent.
package ratelimit
