package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	root := flag.String("root", ".", "root of the module")
	check := flag.Bool("check", false, "write nothing; fail if a file is not what would be written")
	flag.Parse()
	if err := run(*root, *check); err != nil {
		fmt.Fprintln(os.Stderr, "gen-causes:", err)
		os.Exit(1)
	}
}

func run(root string, check bool) error {
	files, err := Generate(root)
	if err != nil {
		return err
	}
	if check {
		return Check(root, files)
	}
	return Write(root, files)
}
