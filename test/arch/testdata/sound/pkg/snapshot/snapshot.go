package snapshot

import (
	"errors"
	"regexp"
	"time"

	v1 "k8s.io/api/core/v1"
)

// ErrGap is an error value: a constant that Go has no syntax for.
var ErrGap = errors.New("could not be read")

// pattern and order are constants too, as long as nothing changes them.
var (
	pattern = regexp.MustCompile("^a")
	order   = map[string]int{"a": 1}
)

// Snapshot is what the rooms above decide on.
type Snapshot struct {
	now  time.Time
	Pods []v1.Pod
}

// Now is the only clock below cli.
func (s *Snapshot) Now() time.Time { return s.now }

// Rank reads the tables.
func Rank(name string) (int, bool) {
	rank, ok := order[name]
	return rank, ok && pattern.MatchString(name)
}
