// Command server serves every documented API from one book, as a service of yours
// could: it is an example to read, a place to try the APIs, and what the tests of
// this repository drive with the vendors' own clients.
//
//	go run ./examples/server -addr 127.0.0.1:8080 -store sqlite:usage.db -config examples/server/config.json
//
// It prints "listening on http://HOST:PORT" once it answers; port 0 takes a free
// one. walkthrough.md beside this file shows each route with its answer.
//
// # Flags
//
//	-addr    where to listen, host:port; 127.0.0.1:8080 by default
//	-store   sqlite:FILE, a book in a file, sqlite:usage.db by default;
//	         postgres:DSN, one in a database, in the schema usagebook, where DSN is a URL
//	         or words as in host=/run/postgresql dbname=app; mem, which forgets everything
//	         when the server ends
//	-config  the config file; without it nobody has a token
//	-meter   books the server's own requests too: on the meter api-requests, for the
//	         caller's home, with the caller's subject as the client
//
// # Routes of its own
//
//	/healthz  200 as long as the process answers
//	/readyz   200 when the store answers and the background work runs, else 503 with
//	          the reasons
//
// SIGTERM and SIGINT end it: it takes no more connections, gives the requests that it
// has ten seconds, books what is queued, gives unfinished background work back to the
// store, and closes it. The exit code is 0, or 1 where some of that did not succeed.
// A second signal ends it at once.
//
// # The config file
//
// One JSON object, config.json for example. Keys are case-sensitive; one that is
// not known, is there twice or has a wrong value is refused with its line and path.
// Every key may be left out, or null.
//
//	tokens           who may call: an object, bearer token -> caller. None by default
//	  subject        the caller's name, in logs and for rates; required
//	  kind           user (the default) or app, which Partner Center refuses
//	  home           the caller's own tenant; by default the first of tenants
//	  tenants        ids of the tenants that it may read and write; ["*"] is all
//	  roles          names, which OCS and Azure ask for; ["*"] is all
//	  permissions    names, which the other APIs ask for; ["*"] is all
//
//	tenants          what is known of tenants: a list. None by default
//	  id             required
//	  name           shown by Partner Center; empty by default
//	  since          a date, 2026-01-31: where OCS begins to bill; by default the day
//	                 of the first record
//	  billingAnchorDay  the day of the month on which its cycles begin, 1 to 31, at most
//	                 the month's last; 1 by default
//	  clusterRegion  a whole number, shown by OCS; 0 by default
//	  namespaces     a list, of OCS: id, required, and clusterRegion, by default the
//	                 tenant's. By default those that records have
//
//	subscriptions    of Azure: a list. None by default: an id is then a tenant's
//	  id, tenant     required
//	  name           shown by Partner Center; empty by default
//	  provider       the id of the provider's subscription; none by default
//	  deleted        true: served to providers only; false by default
//
//	clients          registered OAuth clients, of Genesys: a list. None by default:
//	                 any id is then a client's
//	  id, tenant     required
//	  name           shown; empty by default
//
//	kpis             monthly figures, of UTS: a list, as rules.ParseKPIs reads it. None
//	                 by default
//	  provider, application, name  identify it; required
//	  applicationDisplayName, displayName  by default application and name
//	  units          the values of the dimension unit that count; by default all
//	  filter         a condition on records, as GET /v1/usage takes it; none by default
//	  meter, value   whose records and which value; app-usage and quantity by default
//	  daily          SUM (the default), MAX, MIN, AVG, LAST or COUNT of a day's records
//	  factor         what that is multiplied by, not 0; 1 by default
//	  monthly        the same of the month's days
//	  preFill        what a day without records is: ZERO (the default) or PREVIOUS, the
//	                 day before's
//
//	rules            what records must be to be booked: a list, as rules.Parse reads it.
//	                 None by default. A record that several rules are about has to pass
//	                 all of them, and one that none is about is booked, unverified
//	  name           required
//	  meter, application, provider, unit  which records it is about, exactly; by
//	                 default any
//	  dimensions     the same of other dimensions: an object, name -> value
//	  filter         the same as a condition
//	  from, until    the same of their start, from <= start < until: instants or dates
//	  tenants        tenants that may have such records; by default all
//	  userTypes, units  values that the dimensions userType and unit may have
//	  required, forbidden, allowed  names of dimensions
//	  allowedValues  values that dimensions may have: an object, name -> list
//	  value          which value min, max, scale and sign are about; quantity by default
//	  min, max       numbers, also as texts
//	  scale          decimal places at most, 0 to 30
//	  sign           positive, negative, nonNegative or nonPositive
//	  values         the same of several values: an object, name -> {required, min, max,
//	                 scale, sign}, where the name "*" is all others
//	  maxAge, maxFuture  how far from now the start may be: 90d, 1d12h, 5m
//	  billable       true or false; no say by default
//
//	meters           declared beside the default ones (stream-events, azure-usage,
//	                 api-requests, app-usage) or, of the same name, in their place: a
//	                 list. None by default. What is not declared is booked as it comes
//	  name           required
//	  aliases        former names of it; none by default, here and below
//	  closed         true: refuses values and dimensions that are not declared; false
//	                 by default
//	  values         a list
//	    name         required
//	    aliases      former names
//	    unit         for people and rules; none by default
//	    aggregation  what queries take of it by default: sum (the default), count, min,
//	                 max, avg, first, last or countdistinct
//	    distinctOf   the dimension that countdistinct counts; by default the value
//	    integer      true: refuses decimals; false by default
//	    maxScale     decimal places at most; 0, the default, is 30
//	  dimensions     a list
//	    name         required
//	    aliases      former names
//	    json         true: holds JSON, kept in one form; false by default
//	    anyText      true, beside json: a text that is no JSON is kept as it is instead
//	                 of refusing the record; false by default
//	    foldCase     true: filters compare it in any letter case; false by default
//
//	azurestack       of Azure Stack
//	  reportedTime   what reported times are: recorded (the default), when the book
//	                 recorded, as documented; or event, the start of usage, for who
//	                 imports history and wants to read it at once
//
//	limits
//	  rates          requests of a caller by class of route, read, write and start (of
//	                 a query in the background): an object, class -> perSecond, a
//	                 number, and burst, requests at once. A class without one, or with
//	                 perSecond 0, is not limited
//	  maxBody        bytes of a body, once inflated; 16777216 by default
//	  batchSize      records of a request or batch; 10000 by default
//	  maxGroups      rows that a query may hold in memory; 1000000 by default
//	  waitingExecutions  queries in the background that an organization may have
//	                 unfinished; 100 by default
//	  timeout        of a request: a Go duration, 60s by default
//
//	baseURL          scheme and host of links, https://api.example.com, where a proxy
//	                 hides the server; by default the address that was asked
//	tokenKeys        what signs page tokens: a list of id and secret, a text of at least
//	                 16 bytes. The first signs, all are accepted. By default a random
//	                 one, so that tokens end with the process
package main
