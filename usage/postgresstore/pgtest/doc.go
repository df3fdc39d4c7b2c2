// Package pgtest starts throwaway PostgreSQL servers for tests, of a book in
// PostgreSQL or of anything else:
//
//	func TestOrders(t *testing.T) {
//		url := pgtest.Shared(t, 0).Database(t)
//		pool, err := pgxpool.New(t.Context(), url)
//		...
//	}
//
// A server is a cluster of its own in a temporary folder, on a free port of the
// loopback interface, with a password that nobody else knows. It ends with the
// process that started it, however that ends, and its folder goes with it.
// [Shared] starts one for all tests of a process, and [Run] one for a test
// alone, which may kill it with all of its processes and start it again on the
// same data. Every test gets a database of its own from [Server.Database].
//
// The script install, beside this file, installs PostgreSQL: the system's, of
// any major version or of a given one, with apt-get; 18 from npm where the
// system's is another. Where a test needs a version that is not there, the
// package calls it, if the environment variable CI or USAGEBOOK_INSTALL is set
// or the process is root's. A test skips when there is still none, and fails
// where CI is set.
//
// # What it does not do
//
// It uses no driver: [Server.URL] is for the driver of the caller. It runs no
// server on another machine or in a container, and none on Windows. It keeps no
// data: what lies in a server is gone with it.
//
// # Caveats
//
// Servers of Shared, and others unless [Options.Fsync] says so, write nothing to
// stable storage, because tests are faster so.
//
// A server refuses to run as root. A process of root's starts it as the user
// postgres, or nobody where there is none.
//
// # Performance
//
// Making a cluster and starting it takes about a second, a database 50 ms, and a
// server that was killed is there again in 100 ms and what it takes to go
// through its log.
package pgtest
