// kubectl-stuck is a kubectl plugin: it finds pods that are stuck, says why, and what to do.
package main

import (
	"os"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/cli"
)

func main() {
	os.Exit(cli.Main(os.Args, cli.System()))
}
