package dump

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"sync"
)

// pack keeps text compressed in memory, in blocks. Reads are cached: neighbours are usually asked for together.
type pack struct {
	blocks [][]byte // flate
	sizes  []int    // unpacked
	held   int64    // bytes in blocks
	max    int64

	mu    sync.Mutex
	cache []unpacked // most recently used last
}

type unpacked struct {
	block int32
	data  []byte
}

const packCache = 4

// blockBytes is about how much text goes into one block: enough for the compression, little enough to unpack for a single
// object.
const blockBytes = 512 << 10

// add takes a compressed block over and returns its number.
func (p *pack) add(compressed []byte, size int) (int32, error) {
	p.held += int64(len(compressed))
	if p.held > p.max {
		return 0, fmt.Errorf("more than %d compressed bytes to keep in memory (HeldBytes); unpack the archive, or save JSON instead of YAML: %w", p.max, ErrLimit)
	}
	p.blocks = append(p.blocks, compressed)
	p.sizes = append(p.sizes, size)
	return int32(len(p.blocks) - 1), nil
}

// read returns a part of a block. The caller must not change it.
func (p *pack) read(at location) ([]byte, error) {
	data, err := p.block(at.block)
	if err != nil {
		return nil, err
	}
	return data[at.offset : at.offset+int64(at.length)], nil
}

func (p *pack) block(n int32) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, u := range p.cache {
		if u.block == n {
			p.cache = append(append(p.cache[:i:i], p.cache[i+1:]...), u)
			return u.data, nil
		}
	}
	data := make([]byte, p.sizes[n])
	if _, err := io.ReadFull(flate.NewReader(bytes.NewReader(p.blocks[n])), data); err != nil {
		return nil, fmt.Errorf("unpacking block %d: %w", n, err)
	}
	if len(p.cache) == packCache {
		p.cache = append(p.cache[:0:0], p.cache[1:]...)
	}
	p.cache = append(p.cache, unpacked{n, data})
	return data, nil
}

// packer compresses blocks. It belongs to one goroutine.
type packer struct{ w *flate.Writer }

func (p *packer) pack(data []byte) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(len(data) / 8)
	if p.w == nil {
		w, err := flate.NewWriter(&out, flate.BestSpeed)
		if err != nil {
			return nil, err
		}
		p.w = w
	} else {
		p.w.Reset(&out)
	}
	if _, err := p.w.Write(data); err != nil {
		return nil, err
	}
	if err := p.w.Close(); err != nil {
		return nil, err
	}
	return bytes.Clone(out.Bytes()), nil
}
