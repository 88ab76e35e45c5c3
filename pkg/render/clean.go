package render

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/displaywidth"
)

// ellipsis stands for text that was left out.
const ellipsis = "…"

// maxMarks is how many combining marks may stand on one character. Written languages need no more; more than that
// climbs into the lines above.
const maxMarks = 4

// Clean makes text from a cluster fit to be shown on a terminal, on one line. What a terminal, or the eye, could be
// deceived by becomes visible instead of acting: control characters and escape sequences, bidirectional marks,
// overrides and isolates, zero-width and other invisible characters, and bytes that are not UTF-8 are written as
// Go would write them (\x1b, \u202e, \xff). A line break becomes ⏎, every other kind of space a plain one. Colour
// sequences, which some programs leave in their messages, are taken out.
//
// Clean of something clean is the same. Letters of every script are left alone.
func Clean(s string) string {
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	marks := 0
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			fmt.Fprintf(&b, `\x%02x`, s[i])
			i++
			marks = 0
			continue
		}
		if r == 0x1b {
			if n := colourSequence(s[i:]); n > 0 {
				i += n
				continue
			}
		}
		switch {
		case r == '\r' && strings.HasPrefix(s[i+size:], "\n"):
			// The line break follows.
		case r == '\n' || r == '\u2028' || r == '\u2029':
			b.WriteString("⏎")
			marks = 0
		case r == '\t' || unicode.Is(unicode.Zs, r):
			b.WriteByte(' ')
			marks = 0
		case !visible(r):
			b.WriteString(escaped(r))
			marks = 0
		case unicode.Is(unicode.M, r):
			if marks++; marks <= maxMarks {
				b.WriteRune(r)
			}
		default:
			b.WriteRune(r)
			marks = 0
		}
		i += size
	}
	return b.String()
}

// isPlain tells whether s is printable ASCII only, as nearly everything is.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// visible tells whether a terminal shows r and does nothing else about it.
func visible(r rune) bool {
	if r == 0x2800 || (r >= 0x17b4 && r <= 0x17b5) || !unicode.IsGraphic(r) {
		return false // a blank braille cell; vowels that are never shown; controls, formatting, private use, unassigned
	}
	return !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// escaped is how an invisible character is shown.
func escaped(r rune) string {
	switch {
	case r < 0x100:
		return fmt.Sprintf(`\x%02x`, r)
	case r <= 0xffff:
		return fmt.Sprintf(`\u%04x`, r)
	default:
		return fmt.Sprintf(`\U%08x`, r)
	}
}

// colourSequence is the length of the complete colour sequence (ESC [ digits ; m) that s begins with, or 0. They
// are the only ones that are taken out: all they do is paint.
func colourSequence(s string) int {
	const longest = 32
	if !strings.HasPrefix(s, "\x1b[") {
		return 0
	}
	for i := 2; i < len(s) && i < longest; i++ {
		switch c := s[i]; {
		case c == 'm':
			return i + 1
		case (c < '0' || c > '9') && c != ';':
			return 0
		}
	}
	return 0
}

// Bound is Clean text in at most so many cells of a terminal; what is cut off is replaced by an ellipsis. Text that is
// no longer is not changed. A bound of 0 or less is none.
func Bound(s string, cells int) string {
	s = Clean(s)
	if cells <= 0 || len(s) <= cells || width(s) <= cells {
		return s
	}
	used := 0
	for i, r := range s {
		w := displaywidth.Rune(r)
		if used+w > cells-1 {
			return strings.TrimRight(s[:i], " ") + ellipsis
		}
		used += w
	}
	return s
}

// boundMiddle is Bound, except that the middle is what is left out: programs put the reason of a failure last.
func boundMiddle(s string, cells int) string {
	s = Clean(s)
	if cells <= 0 || len(s) <= cells || width(s) <= cells {
		return s
	}
	head := strings.TrimSuffix(Bound(s, cells*2/5), ellipsis)
	room := cells - width(head) - 3 // the ellipsis between two spaces
	at := len(s)
	for at > len(head) {
		r, size := utf8.DecodeLastRuneInString(s[:at])
		if room -= displaywidth.Rune(r); room < 0 {
			break
		}
		at -= size
	}
	tail := " " + s[at:]
	if i := strings.IndexByte(tail[1:], ' '); i >= 0 && i < len(tail)/4 {
		tail = tail[1+i:] // begin with a whole word
	} else if at > 0 && s[at-1] != ' ' {
		tail = tail[1:] // in the middle of a long one
	}
	if i := strings.LastIndexByte(head, ' '); i > len(head)*3/4 {
		head = head[:i]
	}
	return head + " " + ellipsis + tail
}

// width is how many cells of a terminal clean text takes. It counts rune by rune, as the tables do.
func width(s string) int {
	if isPlain(s) {
		return len(s)
	}
	n := 0
	for _, r := range s {
		n += displaywidth.Rune(r)
	}
	return n
}
