package cli

import (
	"fmt"
	"os"
	"time"

	"example.com/house/pkg/render"
	"example.com/house/pkg/snapshot"
	"example.com/house/pkg/source/live"
)

// The linker fills these in.
var version, commit, date string

// Main knows the environment and the clock.
func Main() int {
	version = os.Getenv("VERSION")
	s, err := live.Load(nil, nil)
	if err != nil {
		s = &snapshot.Snapshot{}
	}
	if _, _, err := render.Table(os.Stdout, s); err != nil {
		return 1
	}
	fmt.Fprintln(os.Stderr, time.Now(), version, commit, date)
	return 0
}
