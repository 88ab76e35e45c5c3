// Package cli is the command line: cobra commands, flags, streams and exit codes. It is the only package that knows the
// environment and the clock.
//
// Each command is flags → options → run. The options are checked before anything is read. The answer is always the same
// report; exit codes are decided from it and never from the output format.
package cli
