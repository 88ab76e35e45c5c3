package nodelog

import (
	"encoding/binary"
	"math"
)

// index finds a fixed set of literals in text, whatever the case of their ASCII letters.
//
// It does not look at every byte. Of each literal it knows a window, some bytes of it, and of that every gram of four bytes. Text is sampled: one
// gram in every stride bytes. A window has stride+3 bytes, so that wherever it lies in the text one of its grams is at a sampled place. Nearly
// all samples fail one test of a bit; the others are compared with the literal itself.
type index struct {
	stride int
	// bits tells of each hash of a gram whether a window has such a gram.
	bits *[1 << hashBits / 64]uint64
	// first and the entries from there to the next one's first are those of the hashes that end alike.
	first   *[1<<bucketBits + 1]uint32
	entries []entry
	needles []needle
}

const (
	gram     = 4  // bytes that are looked at at once
	hashBits = 16 // 8 KiB of bits: they stay in the first cache beside the text
	// bucketBits are for what is looked at after a bit: few, so that they stay in a cache too.
	bucketBits = 12
	// shortest is how many bytes a literal must have that text is searched for, and widest the stride beyond which nothing is gained: the wider the
	// windows, the more of what everybody writes is in them.
	shortest = gram + 1
	widest   = 4
)

// needle is one literal, in lower case.
type needle struct {
	text string
	// of are the matches that it announces, by number.
	of []int
}

// entry is one gram of one window.
type entry struct {
	gram   uint32
	needle uint16
	offset uint16 // of the gram in the literal
}

// folded makes letters of either case one. It makes other bytes one as well ('@' and '`', a line feed and '*'), which only costs a comparison.
func folded(b []byte) uint32 { return binary.LittleEndian.Uint32(b) | 0x20202020 }

func hashOf(g uint32) uint32 { return g * 0x9E3779B1 >> (32 - hashBits) }

// newIndex builds the index. Common tells how often text that says nothing has the gram of a hash. All needles have at least shortest bytes, and
// there are no more than math.MaxUint16.
func newIndex(needles []needle, common func(hash uint32) int) *index {
	x := &index{stride: widest, bits: new([1 << hashBits / 64]uint64), first: new([1<<bucketBits + 1]uint32), needles: needles}
	for _, n := range needles {
		x.stride = min(x.stride, len(n.text)-gram+1)
	}
	var buckets [1 << bucketBits][]entry
	for i, n := range needles {
		at := x.window(n.text, common)
		for off := at; off < at+x.stride; off++ {
			g := folded([]byte(n.text[off : off+gram]))
			h := hashOf(g)
			k := h % (1 << bucketBits)
			buckets[k] = append(buckets[k], entry{g, uint16(i), uint16(off)}) //nolint:gosec // bounded by New
			x.bits[h>>6] |= 1 << (h & 63)
		}
	}
	for k, b := range buckets {
		x.first[k] = uint32(len(x.entries)) //nolint:gosec // no more than grams of all windows
		x.entries = append(x.entries, b...)
	}
	x.first[1<<bucketBits] = uint32(len(x.entries)) //nolint:gosec // as above
	return x
}

// window is where the window of a literal begins: where its grams are the least common.
func (x *index) window(text string, common func(uint32) int) int {
	best, least := 0, math.MaxInt
	for at := 0; at+x.stride+gram-1 <= len(text); at++ {
		sum := 0
		for off := at; off < at+x.stride; off++ {
			sum += common(hashOf(folded([]byte(text[off : off+gram]))))
		}
		if sum < least {
			best, least = at, sum
		}
	}
	return best
}

// find returns a place inside of the first literal in b that a sample from there on finds, or -1.
func (x *index) find(b []byte, from int) int {
	if x.stride == widest { // the loop that all the time goes into
		bits := x.bits
		for ; from+16 <= len(b); from += 16 {
			w := b[from : from+16 : from+16]
			lo := binary.LittleEndian.Uint64(w) | 0x2020202020202020
			hi := binary.LittleEndian.Uint64(w[8:]) | 0x2020202020202020
			h0, h1, h2, h3 := hashOf(uint32(lo)), hashOf(uint32(lo>>32)), hashOf(uint32(hi)), hashOf(uint32(hi>>32)) //nolint:gosec // halves
			hit := bits[h0>>6]>>(h0&63) | bits[h1>>6]>>(h1&63) | bits[h2>>6]>>(h2&63) | bits[h3>>6]>>(h3&63)
			if hit&1 == 0 {
				continue
			}
			for at := from; at < from+16; at += 4 {
				if x.literalAt(b, at) >= 0 {
					return at
				}
			}
		}
	}
	for ; from+gram <= len(b); from += x.stride {
		if x.literalAt(b, from) >= 0 {
			return from
		}
	}
	return -1
}

// literalAt returns the first entry whose gram is at that place with its literal around it, or -1.
func (x *index) literalAt(b []byte, at int) int {
	g := folded(b[at:])
	h := hashOf(g)
	if x.bits[h>>6]>>(h&63)&1 == 0 {
		return -1
	}
	k := h % (1 << bucketBits)
	return x.literalFrom(b, at, g, int(x.first[k]), int(x.first[k+1]))
}

// literalFrom is literalAt for some of the entries.
func (x *index) literalFrom(b []byte, at int, g uint32, from, to int) int {
	for i := from; i < to; i++ {
		e := &x.entries[i]
		if e.gram != g {
			continue
		}
		text, start := x.needles[e.needle].text, at-int(e.offset)
		if start >= 0 && start+len(text) <= len(b) && sameFolded(b[start:start+len(text)], text) {
			return i
		}
	}
	return -1
}

// all calls yield with each needle in b, some of them more than once.
func (x *index) all(b []byte, yield func(needle int)) {
	for at := 0; at+gram <= len(b); at += x.stride {
		g := folded(b[at:])
		h := hashOf(g)
		if x.bits[h>>6]>>(h&63)&1 == 0 {
			continue
		}
		k := h % (1 << bucketBits)
		for i, to := int(x.first[k]), int(x.first[k+1]); i < to; i++ {
			if i = x.literalFrom(b, at, g, i, to); i < 0 {
				break
			}
			yield(int(x.entries[i].needle))
		}
	}
}

// sameFolded tells whether b is text, which is in lower case and no longer.
func sameFolded(b []byte, text string) bool {
	for i, c := range b {
		if lower(c) != text[i] {
			return false
		}
	}
	return true
}

// lower is strings.ToLower for one byte of ASCII. Other letters keep their case: what programs of a node write is ASCII.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// lowered writes b in lower case over to.
func lowered(to, b []byte) []byte {
	to = append(to[:0], b...)
	for i, c := range to {
		to[i] = lower(c)
	}
	return to
}
