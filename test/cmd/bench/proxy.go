package main

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// proxy passes TCP connections on and counts what comes back.
type proxy struct {
	listener net.Listener
	server   string
	received atomic.Int64
	serving  sync.WaitGroup
}

func newProxy(server string) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: l, server: server}
	p.serving.Go(p.serve)
	return p, nil
}

// Address is where the proxy listens.
func (p *proxy) Address() string { return p.listener.Addr().String() }

// Received counts the bytes that clients received so far.
func (p *proxy) Received() int64 {
	if p == nil {
		return 0
	}
	return p.received.Load()
}

// Close ends the proxy; connections end with their clients.
func (p *proxy) Close() error {
	err := p.listener.Close()
	p.serving.Wait()
	return err
}

func (p *proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		go func() {
			_, _ = io.Copy(server, client)
			if half, ok := server.(*net.TCPConn); ok {
				_ = half.CloseWrite()
			}
		}()
		go func() {
			buf := make([]byte, 256<<10)
			_, _ = io.CopyBuffer(onlyWriter{client}, counted{server, &p.received}, buf)
			_ = client.Close()
			_ = server.Close()
		}()
	}
}

// counted counts what is read.
type counted struct {
	io.Reader
	n *atomic.Int64
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// onlyWriter hides ReadFrom, which would go around the count.
type onlyWriter struct{ io.Writer }
