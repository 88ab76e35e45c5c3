// Command kubectl-stuck does too much.
package main

import (
	"os"
	"strings" // want thin-main "imports strings"

	"example.com/house/pkg/cli"
)

var name = strings.ToLower("X") // want thin-main "nothing else"

func main() { // want thin-main "nothing else"
	if name == "" {
		return
	}
	os.Exit(cli.Main())
}
