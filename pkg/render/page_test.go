package render

import (
	"strings"
	"testing"
	"time"
)

func TestTimesAreGivenBothWays(t *testing.T) {
	now := time.Date(2026, 3, 22, 10, 14, 22, 0, time.UTC)
	p := newPage(Options{}, now)
	for want, at := range map[string]time.Time{
		"14m ago (10:00:22)":             now.Add(-14 * time.Minute),
		"in 6m (10:20:22)":               now.Add(6 * time.Minute),
		"0s ago (10:14:22)":              now,
		"30h ago (2026-03-21 04:14:22)":  now.Add(-30 * time.Hour),
		"in 14h (2026-03-23 00:14:22)":   now.Add(14 * time.Hour),
		"at an unknown time":             {},
		"5m ago (10:09:22)":              now.Add(-5 * time.Minute).In(time.FixedZone("elsewhere", 8*3600)),
		"40d ago (2026-02-10 10:14:22)":  now.Add(-40 * 24 * time.Hour),
		"400d ago (2025-02-15 10:14:22)": now.Add(-400 * 24 * time.Hour),
	} {
		if got := p.when(at); got != want {
			t.Errorf("%s: got %q, want %q", at, got, want)
		}
	}
}

func TestParagraphsWrapBetweenWords(t *testing.T) {
	p := newPage(Options{Width: 40}, time.Time{})
	p.para(2, 4, text("one two three four five six seven eight nine "), styled(bold, "ten"), text(", a-word-that-is-much-longer-than-any-line-can-ever-be and more"))
	want := "  one two three four five six seven\n    eight nine ten,\n    a-word-that-is-much-longer-than-any-line-can-ever-be\n    and more\n"
	if got := p.b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTablesGiveWay(t *testing.T) {
	cols := func() []column {
		return []column{
			{head: "NAME", weight: 9, cells: []string{"shop/cart-0", "shop/cart-1", "shop/cart-2", "shop/cart-3", "shop/cart-4", "shop/a-name-that-is-very-much-longer-than-the-others"}},
			{head: "STATE", weight: 7, cells: []string{"Terminating", "Terminating", "Terminating", "Terminating", "Terminating", "ContainerCreating"}},
			{head: "OWNER", weight: 2, min: 10, cells: []string{"sts/cart", "sts/cart", "sts/cart", "sts/cart", "sts/cart", "deploy/some-other-long-name"}},
		}
	}
	for name, tc := range map[string]struct {
		width int
		full  bool
		has   []string
		not   []string
	}{
		"everything fits":                           {width: 120, has: []string{"deploy/some-other-long-name", "  shop/a-name-that-is-very-much-longer-than-the-others  ContainerCreating  deploy"}},
		"the lightest column is cut":                {width: 90, has: []string{"deploy/som", "…"}, not: []string{"deploy/some-other-long-name"}},
		"a long name gets a line of its own":        {width: 60, has: []string{"  shop/a-name-that-is-very-much-longer-than-the-others\n", "OWNER", "shop/cart-0  Terminating"}},
		"rows become two lines where nothing helps": {width: 40, full: false, has: []string{"shop/cart-0"}},
		"full tables are never cut":                 {width: 40, full: true, has: []string{"deploy/some-other-long-name"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPage(Options{Width: tc.width}, time.Time{})
			if err := p.table(2, cols(), tc.full); err != nil {
				t.Fatal(err)
			}
			got := p.b.String()
			for _, s := range tc.has {
				if !strings.Contains(got, s) {
					t.Errorf("%q is missing in\n%s", s, got)
				}
			}
			for _, s := range tc.not {
				if strings.Contains(got, s) {
					t.Errorf("%q should not be in\n%s", s, got)
				}
			}
		})
	}
}

func FuzzTable(f *testing.F) {
	f.Add("shop/cart", "Terminating", "sts/cart", 80)
	f.Add("商店/购物车", "\x1b[2J", "\u202e", 60)
	f.Add("", "", "", 1)
	f.Fuzz(func(t *testing.T, a, b, c string, w int) {
		p := newPage(Options{Width: w % 300}, time.Time{})
		cols := []column{{head: "A", weight: 9, cells: []string{a, b}}, {head: "B", weight: 4, min: 10, cells: []string{b, c}}, {head: "C", weight: 2, min: 5, cells: []string{c, a}}}
		if err := p.table(2, cols, false); err != nil {
			t.Fatal(err)
		}
		for _, r := range p.b.String() {
			if r != '\n' && r != ' ' && !visible(r) {
				t.Fatalf("%U in %q", r, p.b.String())
			}
		}
	})
}
