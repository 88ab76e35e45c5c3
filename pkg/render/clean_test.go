package render

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCleanShowsWhatWouldDeceiveAndLeavesTheRest(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"plain text stays":                       {"pod shop/cart-7d9: it's 100% \"fine\"", "pod shop/cart-7d9: it's 100% \"fine\""},
		"letters of other scripts stay":          {"商店 café Ελλάδα עברית العربية e\u0301 🚀", "商店 café Ελλάδα עברית العربية e\u0301 🚀"},
		"a line break becomes visible":           {"a\nb\r\nc", "a⏎b⏎c"},
		"a lone carriage return is shown":        {"good\rbad", `good\x0dbad`},
		"the line separators of Unicode as well": {"a\u2028b\u2029c", "a⏎b⏎c"},
		"a next-line control is shown":           {"a\u0085b", `a\x85b`},
		"tabs and strange spaces are spaces":     {"a\tb\u00a0c\u3000d\u2003e", "a b c d e"},
		"colours are taken out":                  {"\x1b[1;31mERROR\x1b[0m: no", "ERROR: no"},
		"other sequences are shown":              {"\x1b[2J\x1b]0;title\x07", `\x1b[2J\x1b]0;title\x07`},
		"an unfinished colour is shown":          {"\x1b[31", `\x1b[31`},
		"a long false colour is shown":           {"\x1b[" + strings.Repeat("1", 40) + "m", `\x1b[` + strings.Repeat("1", 40) + "m"},
		"C1 controls are shown":                  {"\u009b31m", `\x9b31m`},
		"DEL is shown":                           {"a\x7fb", `a\x7fb`},
		"overrides and isolates are shown":       {"a\u202eb\u2066c\u2069", `a\u202eb\u2066c\u2069`},
		"direction marks are shown":              {"a\u200eb\u061cc", `a\u200eb\u061cc`},
		"zero widths are shown":                  {"a\u200bb\ufeffc\u200dd\u2060e", `a\u200bb\ufeffc\u200dd\u2060e`},
		"a soft hyphen is shown":                 {"a\u00adb", `a\xadb`},
		"variation selectors are shown":          {"a\ufe0fb\U000e0100", `a\ufe0fb\U000e0100`},
		"tags are shown":                         {"a\U000e0041", `a\U000e0041`},
		"invisible letters are shown":            {"a\u3164b\u115fc\u2800d", `a\u3164b\u115fc\u2800d`},
		"private use is shown":                   {"\ue000", `\ue000`},
		"unassigned code points are shown":       {"\U0003ffff", `\U0003ffff`},
		"bytes that are no UTF-8 are shown":      {"a\xffb\xc3", `a\xffb\xc3`},
		"a replacement character stays":          {"a\ufffdb", "a\ufffdb"},
		"marks beyond reason are dropped":        {"e" + strings.Repeat("\u0301", 20), "e" + strings.Repeat("\u0301", maxMarks)},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Clean(tc.in); got != tc.want {
				t.Errorf("Clean(%q)\n got %q\nwant %q", tc.in, got, tc.want)
			}
		})
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "plain", "\x1b[31mred\x1b[0m", "\x1b]8;;http://x\x07", "a\u202eb", "e\u0301\u0301\u0301\u0301\u0301\u0301", "\xff\xfe", "\r\n", "\U000e0041", "中文🚀"} {
		f.Add(s, 10)
	}
	f.Fuzz(func(t *testing.T, s string, cells int) {
		got := Clean(s)
		if !utf8.ValidString(got) {
			t.Fatalf("Clean(%q) is not UTF-8: %q", s, got)
		}
		for _, r := range got {
			if r != ' ' && !visible(r) {
				t.Fatalf("Clean(%q) holds %U", s, r)
			}
		}
		if again := Clean(got); again != got {
			t.Fatalf("Clean(%q) = %q, and again %q", s, got, again)
		}
		for _, bounded := range []string{Bound(s, cells), boundMiddle(s, cells)} {
			if cells >= 10 && width(bounded) > cells {
				t.Fatalf("%q takes %d cells, more than %d", bounded, width(bounded), cells)
			}
			if !utf8.ValidString(bounded) {
				t.Fatalf("bounded %q is not UTF-8: %q", s, bounded)
			}
		}
	})
}

func TestBoundCountsCells(t *testing.T) {
	for name, tc := range map[string]struct {
		in   string
		max  int
		want string
	}{
		"short text stays":                   {"abc", 3, "abc"},
		"long text ends in an ellipsis":      {"abcdef", 4, "abc…"},
		"wide letters take two":              {"购物车服务", 6, "购物…"},
		"a mark takes none":                  {"e\u0301e\u0301e\u0301", 3, "e\u0301e\u0301e\u0301"},
		"no bound":                           {"abcdef", 0, "abcdef"},
		"a space before the ellipsis is cut": {"ab cdef", 4, "ab…"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Bound(tc.in, tc.max); got != tc.want {
				t.Errorf("Bound(%q, %d) = %q, want %q", tc.in, tc.max, got, tc.want)
			}
		})
	}
}

func TestTheMiddleIsCutWhereTheReasonComesLast(t *testing.T) {
	s := "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to create containerd task: fork/exec /usr/bin/runc: resource temporarily unavailable"
	got := boundMiddle(s, 80)
	if !strings.HasPrefix(got, "Failed to create") || !strings.HasSuffix(got, "resource temporarily unavailable") || width(got) > 80 {
		t.Errorf("got %q, %d cells", got, width(got))
	}
}
