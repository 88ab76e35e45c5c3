// Package faultproxy stands between a client and a real API server, writes down every request, and does one thing wrong at a chosen one: it is late,
// cuts the connection before or after the server did what was asked, answers for the server, lies, or ends the client. What the client then
// does is what the tests of package fix look at.
//
// It serves TLS and HTTP/2, as the API server does. It is for tests, listens on 127.0.0.1 only, and hands on whatever credentials it is given.
package faultproxy
