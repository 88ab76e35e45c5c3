package render

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Width could be set by anyone.
var Width = 80 // want no-state "can be changed by everyone"

type counter struct{ n int }

func (c *counter) add() { c.n++ }

func (c counter) get() int { return c.n }

type guarded struct {
	names []string
	lock  sync.Mutex
}

var (
	replacer = strings.NewReplacer("a", "b") // fixed
	lazily   = sync.OnceValue(func() int { return 1 })

	shared  = &counter{}     // want no-state "is a pointer to"
	events  = make(chan int) // want no-state "is a channel"
	busy    guarded          // want no-state "holds a sync.Mutex"
	total   atomic.Int64     // want no-state "holds a sync/atomic.Int64"
	mode    = "short"
	table   = map[string]int{}
	names   = []string{"b", "a"}
	hits    counter
	limits  struct{ rows int }
	stepped int
	taken   int
	looped  int
	fixed   = []string{"b", "a"}
)

func change() (*int, int) {
	mode = "long"          // want no-state "mode is assigned to"
	table["a"] = 1         // want no-state "table is assigned to"
	delete(table, "a")     // want no-state "table is changed by delete"
	slices.Sort(names)     // want no-state "names is changed by slices.Sort"
	hits.add()             // want no-state "hits is changed by its method add"
	limits.rows = 1        // want no-state "limits is assigned to"
	stepped++              // want no-state "stepped is assigned to"
	for looped = range 3 { // want no-state "looped is assigned to"
	}
	mode := "a local name"
	mode = mode + replacer.Replace(slices.Sorted(slices.Values(fixed))[0])
	busy.names, events = nil, nil
	shared.add()
	return &taken, len(mode) + hits.get() + lazily() + int(total.Load()) // want no-state "taken has its address taken"
}
