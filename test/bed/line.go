package bed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
)

// line is what connects one node to the API server, so that it can be cut: the machine goes on, and everything on it, and nobody hears of it.
type line struct {
	listener net.Listener
	to       string

	mu   sync.Mutex
	cut  bool
	open map[net.Conn]struct{}
}

// drawLine serves a line until the cluster stops.
func (c *Cluster) drawLine() (*line, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for a node: %w", err)
	}
	l := &line{listener: listener, to: strings.TrimPrefix(c.server, "https://"), open: map[net.Conn]struct{}{}}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = append(c.lines, l)
	c.workers.Go(l.serve)
	return l, nil
}

func (l *line) server() string { return "https://" + l.listener.Addr().String() }

func (l *line) serve() {
	var pairs sync.WaitGroup
	defer pairs.Wait()
	for {
		from, err := l.listener.Accept()
		if err != nil {
			return
		}
		pairs.Go(func() { l.join(from) })
	}
}

// join leads one connection through, until either side ends it or the line is cut.
func (l *line) join(from net.Conn) {
	defer from.Close()
	if !l.hold(from) {
		return
	}
	defer l.drop(from)
	to, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", l.to)
	if err != nil {
		return
	}
	defer to.Close()
	if !l.hold(to) {
		return
	}
	defer l.drop(to)
	var both sync.WaitGroup
	pipe := func(dst, src net.Conn) {
		// However it ends, the other direction ends with it.
		_, _ = io.Copy(dst, src)
		_, _ = dst.Close(), src.Close()
	}
	both.Go(func() { pipe(to, from) })
	both.Go(func() { pipe(from, to) })
	both.Wait()
}

// hold remembers a connection; false where the line is cut.
func (l *line) hold(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		return false
	}
	l.open[c] = struct{}{}
	return true
}

func (l *line) drop(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c)
}

func (l *line) set(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
	if cut {
		for c := range l.open {
			// A connection that has ended already is cut as well.
			_ = c.Close()
		}
	}
}

func (l *line) end() error {
	l.set(true)
	if err := l.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("end a node's line: %w", err)
	}
	return nil
}

// Cut cuts the node off from the API server, as a broken switch does: its containers run on, and nobody hears of it.
func (n *Node) Cut() error { return n.setLine(true) }

// Mend undoes Cut.
func (n *Node) Mend() error { return n.setLine(false) }

func (n *Node) setLine(cut bool) error {
	if n.line == nil {
		return fmt.Errorf("node %s has no line that could be cut: start it with NodeOptions.Line", n.Name)
	}
	n.line.set(cut)
	return nil
}
