package main

import (
	"fmt"
	"os"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/causes"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/render"
)

func main() {
	if err := render.CausesMarkdown(os.Stdout, causes.All()); err != nil {
		fmt.Fprintln(os.Stderr, "gen-causes-doc:", err)
		os.Exit(1)
	}
}
