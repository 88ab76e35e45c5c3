// Command kubectl-stuck is the sound house's program.
package main

import (
	"os"

	"example.com/house/pkg/cli"
)

func main() {
	os.Exit(cli.Main())
}
