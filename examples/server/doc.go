// Command server serves every documented API from one book, as a service of yours
// could: it is an example to read, a place to try the APIs, and what the tests of
// this repository drive with the vendors' own clients.
//
//	go run ./examples/server -addr 127.0.0.1:8080 -store mem -config examples/server/config.json
//
// It prints "listening on http://HOST:PORT" once it answers; port 0 takes a free
// one. walkthrough.md beside this file shows each route with its answer.
//
// # Flags
//
//	-addr    where to listen; 127.0.0.1:8080 by default
//	-store   mem, which forgets everything when the server ends; the default
//	-config  the config file; without it nobody has a token
//	-meter   books the server's own requests too, as api-requests of the caller's home
//
// # Routes of its own
//
//	/healthz  200 as long as the process answers
//	/readyz   200 when the store answers and the background work runs, else 503 with
//	          the reasons
//
// SIGTERM and SIGINT end it: it takes no more connections, finishes requests, books
// what is queued, gives unfinished background work back to the store, and closes it.
// A second signal ends it at once.
//
// # The config file
//
// JSON; an unknown key is refused by name. All keys are optional:
//
//	tokens         bearer token -> {subject, kind (user or app), home, tenants, roles,
//	               permissions}; "*" in a list is everything
//	tenants        [{id, name, since (2026-01-31), billingAnchorDay (1-31),
//	               clusterRegion, namespaces [{id, clusterRegion}]}]
//	subscriptions  [{id, name, tenant, provider, deleted}]
//	clients        [{id, name, tenant}]
//	kpis           definitions as rules.ParseKPIs reads them
//	rules          rules as rules.Parse reads them: {name, meter, application, unit,
//	               max, ...}
//	meters         [{name, aliases, closed, values [{name, aliases, unit, aggregation,
//	               distinctOf, integer, maxScale}], dimensions [{name, aliases, json,
//	               foldCase}]}]; one of a default name replaces that default
//	azurestack     {reportedTime: "recorded" (the default) or "event"}
//	limits         {rates {read, write, start: {perSecond, burst}}, maxBody (bytes),
//	               batchSize (records), maxGroups (rows), timeout ("60s")}; a class
//	               without a rate is not limited
//	baseURL        scheme and host of next links; by default the request's
//	tokenKeys      [{id, secret}] that sign page tokens, secrets of at least 16 bytes;
//	               by default a random one
package main
