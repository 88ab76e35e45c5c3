// Package fix runs the built `kubectl stuck fix` and `undo` against a real API server through package faultproxy, with one thing going wrong at
// each request in turn, with the process killed at each request and at random moments, and with others at work on the same pods. What is looked at afterwards
// is what everybody saw: the proxy's log, the journal's files, the API, and what the command said. check_test.go has what must hold.
//
//	FAULTS='force/.*cut'  runs only the combinations whose names match;  FAULTS_ALL=1 runs every fault at every request;  FAULTS_BRIEF=1 runs one in eight.
package fix
