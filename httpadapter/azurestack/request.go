package azurestack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/httpadapter"
	"github.com/usagebook/usagebook/usage"
)

// The query parameters.
const (
	startParam       = "reportedStartTime"
	endParam         = "reportedEndTime"
	granularityParam = "aggregationGranularity"
	versionParam     = "api-version"
	tokenParam       = "continuationToken"
	detailsParam     = "showDetails"
	subscriberParam  = "subscriberId"
)

const version = "2015-06-01-preview"

// request is what a request asks for, understood.
type request struct {
	provider  bool
	namespace string
	// subscription is that of the path; it has no more than an id and a tenant
	// where listed is false.
	subscription httpadapter.Subscription
	listed       bool
	from, to     time.Time
	unit         aggregate.Unit // Day or Hour
	// subscribers are the subscriptions that a provider asks about.
	subscribers []httpadapter.Subscription
	subscriber  string // the one that it asks about alone
	token       string
}

// readRequest reads the parameters. Its order decides which of several faults is
// answered.
func readRequest(c *httpadapter.Call, provider bool, namespace string) (*request, error) {
	r := &request{provider: provider, namespace: namespace, token: c.Param(tokenParam)}
	r.subscription, r.listed = subscriptionOf(c)
	switch v := c.Param(versionParam); {
	case v == "":
		return nil, &httpadapter.Problem{Kind: httpadapter.Invalid, Code: "NoApiVersion", Field: versionParam,
			Message: "The request has no api-version; " + version + " is supported."}
	case !strings.EqualFold(v, version):
		return nil, invalid(versionParam, "is not supported; "+version+" is")
	}
	var err error
	if r.from, err = readTime(c, startParam); err != nil {
		return nil, err
	}
	if r.to, err = readTime(c, endParam); err != nil {
		return nil, err
	}
	switch g := c.Param(granularityParam); {
	case g == "" || strings.EqualFold(g, "Daily"):
		r.unit = aggregate.Day
	case strings.EqualFold(g, "Hourly"):
		r.unit = aggregate.Hour
	default:
		return nil, &httpadapter.Problem{Kind: httpadapter.Invalid, Code: "InvalidAggregationGranularity", Field: granularityParam,
			Message: fmt.Sprintf("aggregationGranularity %q is not supported; Daily and Hourly are.", g)}
	}
	if err := r.aligned(startParam, r.from); err != nil {
		return nil, err
	}
	if err := r.aligned(endParam, r.to); err != nil {
		return nil, err
	}
	now := c.Now()
	if r.to.After(now) {
		return nil, &httpadapter.Problem{Kind: httpadapter.Invalid, Code: "RequestEndTimeIsInFuture", Field: endParam,
			Message: "reportedEndTime cannot be in the future."}
	}
	if !r.from.Before(r.to) {
		return nil, invalid(endParam, "must be after reportedStartTime")
	}
	if provider {
		if err := r.readSubscriber(c); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func invalid(parameter, why string) error {
	return &httpadapter.Problem{Kind: httpadapter.Invalid, Code: "InvalidProperty", Field: parameter, Message: parameter + " " + why + "."}
}

// readTime reads an instant in UTC: 2015-06-16T18:00:00Z, with or without
// fraction, +00:00 in the place of the Z or before it, and a blank for its plus,
// which is what a plus becomes that nobody escaped.
func readTime(c *httpadapter.Call, parameter string) (time.Time, error) {
	text := c.Param(parameter)
	if text == "" {
		return time.Time{}, invalid(parameter, "is missing")
	}
	bare, zone := strings.CutSuffix(text, "Z")
	for _, offset := range []string{"+00:00", " 00:00"} {
		if cut, ok := strings.CutSuffix(bare, offset); ok {
			bare, zone = cut, true
			break
		}
	}
	t, err := time.Parse("2006-01-02T15:04:05", bare)
	if err != nil || !zone || len(bare) < len("2006-01-02T15:04:05") || len(bare) > len("2006-01-02T15:04:05.000000000") || strings.Contains(bare, ",") || t.Year() < 1 {
		return time.Time{}, invalid(parameter, "is not an instant in UTC such as 2015-06-16T18:00:00+00:00")
	}
	return t, nil
}

// aligned refuses an instant that is not at the beginning of a bucket.
func (r *request) aligned(parameter string, t time.Time) error {
	switch {
	case r.unit == aggregate.Day && !t.Equal(t.Truncate(24*time.Hour)):
		return invalid(parameter, "must be at midnight UTC for daily aggregation")
	case !t.Equal(t.Truncate(time.Hour)):
		return invalid(parameter, "must be at the beginning of an hour for hourly aggregation")
	}
	return nil
}

// readSubscriber finds the subscriptions that a provider asks about.
func (r *request) readSubscriber(c *httpadapter.Call) error {
	all := c.Catalogue.CustomersOf(r.subscription.ID)
	id := c.Param(subscriberParam)
	if id == "" {
		r.subscribers = all
		return nil
	}
	s, ok := c.Catalogue.Subscription(id)
	if !ok || !strings.EqualFold(s.Provider, r.subscription.ID) {
		return &httpadapter.Problem{Kind: httpadapter.Invalid, Code: "SubscriberIdIsNotDirectTenant", Field: subscriberParam,
			Message: "subscriberId is not the subscription of a direct tenant of this provider."}
	}
	r.subscribers, r.subscriber = []httpadapter.Subscription{s}, s.ID
	return nil
}

// unprocessed refuses a provider's range that reaches into the running day.
func (r *request) unprocessed(now time.Time) error {
	today := now.Truncate(24 * time.Hour)
	if !r.provider || !r.to.After(today) {
		return nil
	}
	return &httpadapter.Problem{Kind: httpadapter.Unavailable, Status: http.StatusAccepted, Code: "ProcessingNotCompleted", Field: endParam,
		Message: "The usage of the current day is still being processed; ask for it when the day is over.", RetryAfter: today.Add(24 * time.Hour).Sub(now)}
}

// bucket is the length of a row's time.
func (r *request) bucket() time.Duration {
	if r.unit == aggregate.Hour {
		return time.Hour
	}
	return 24 * time.Hour
}

// serve answers a page.
func (s *service) serve(c *httpadapter.Call, provider bool, namespace string) error {
	r, err := readRequest(c, provider, namespace)
	if err != nil {
		return err
	}
	var at place
	if r.token != "" {
		if at, err = r.open(c); err != nil {
			return err
		}
	}
	if !provider && r.subscription.Deleted {
		return &httpadapter.Problem{Kind: httpadapter.NotFound, Message: "The subscription '" + r.subscription.ID + "' could not be found."}
	}
	if err := r.unprocessed(c.Now()); err != nil {
		return err
	}
	if r.token == "" {
		if at.asOf, err = s.moment(c, r); err != nil {
			return err
		}
	}
	w := s.walk(c, r, at)
	if err := w.run(c.Context()); err != nil {
		return w.blame(err)
	}
	link := ""
	if w.more {
		token, err := r.seal(c, w.next)
		if err != nil {
			return err
		}
		link = c.Link(httpadapter.Figure{Name: tokenParam, Value: token})
	}
	return c.Stream(http.StatusOK, httpadapter.JSONType, func(out *httpadapter.Stream) error {
		return writePage(out, r, w.rows, link)
	})
}

// moment fixes the moment that all pages speak of. A range of recorded time is
// complete by then: a writer that began before its end has finished or given up.
func (s *service) moment(c *httpadapter.Call, r *request) (usage.AsOf, error) {
	if s.reported == Recorded {
		ctx, cancel := context.WithTimeout(c.Context(), s.wait)
		defer cancel()
		if err := c.Book.Settled(ctx, r.to); err != nil {
			if errors.Is(err, context.DeadlineExceeded) {
				return usage.AsOf{}, &httpadapter.Problem{Kind: httpadapter.Unavailable, RetryAfter: s.wait, Err: err,
					Message: "The usage of the range is still being written; try again after the time in the header Retry-After."}
			}
			return usage.AsOf{}, err
		}
	}
	return c.Book.Present(c.Context())
}
