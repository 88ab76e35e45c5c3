// Package render prints the report: as text for a terminal, as a page for a browser, and as data for other programs.
//
// It takes a finished document (package report, or a cause of package diagnose) and a writer, and does nothing else:
// it reads no clock, no environment and no cluster, and decides nothing that the report has not decided. Everything
// that a cluster said passes through Clean on its way to a terminal. It is the only package that knows how tables
// are drawn.
package render
