// Package library is no program.
package library // want thin-main "cmd has programs only"
