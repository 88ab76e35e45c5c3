// Command check-docs checks what the Markdown files of the repository promise: that links lead somewhere, that each
// `kubectl stuck …` names a command and flags that the built binary has, and each `make …` a target of the Makefile.
//
// It asks the binary itself and keeps no list of commands. It reads files and runs the binary's help; it changes
// nothing and opens no address.
package main
