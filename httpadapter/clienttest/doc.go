// Package clienttest drives examples/server with the clients that the vendors of the
// documented APIs publish, as their users would. It has tests only, in a module of its
// own because of the clients.
//
// Three nouns: a client is a vendor's own, in the version that go.mod or
// testdata/uts/package-lock.json pins; the server is examples/server, built and run by
// the tests, with an empty book of its own for each; the answer is what the records
// that a test has booked come to, which the test works out for itself.
//
//	go test -count=1 .
//
// Go does not see that the server has changed, so without -count=1 it repeats the
// result of the last run. make test never does.
//
//	Azure Stack   github.com/Azure/azure-sdk-for-go, profile 2020-09-01
//	Genesys       github.com/mypurecloud/platform-client-sdk-go
//	MindSphere    npm @mindconnect/mindconnect-nodejs, through testdata/uts/drive.js
//
// The last needs Node.js. ./install-client installs both; the tests run it when they
// are root or when CI or USAGEBOOK_INSTALL is set. Without them, the tests that need
// them fail in CI, and skip with the reason elsewhere.
//
// # Caveats
//
// The server's clock is the real one, so what hangs on the time of day is left to the
// tests of the packages, whose clocks stand still. OCS and Partner Center have no client
// here.
//
// # Performance
//
// A run takes ten seconds. The first has to compile the Genesys client before, of some
// 6,500 files: two to four minutes on two cores (November 2026).
package clienttest
