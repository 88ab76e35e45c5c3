package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Checker checks pages.
type Checker struct {
	Root    string
	Tool    Tool
	Targets []string // of the Makefile
}

var (
	inlineLink = regexp.MustCompile(`\]\(<?([^()\s<>]+(?:\([^()]*\)[^()\s]*)?)>?(?:\s+"[^"]*")?\)`)
	inlineCode = regexp.MustCompile("`([^`]+)`")
	command    = regexp.MustCompile(`(?:^|[\s$;&|('"])kubectl[ -]stuck\b([^|&;#>)]*)`)
	makeCall   = regexp.MustCompile(`(?:^|&& ?|\$ )make((?: +[A-Za-z0-9_.=-]+)*)`)
	longFlag   = regexp.MustCompile(`^--([a-z][a-z0-9-]*)`)
	shortFlag  = regexp.MustCompile(`^-([A-Za-z])`)
	target     = regexp.MustCompile(`(?m)^([a-zA-Z0-9][a-zA-Z0-9_./ -]*):(?:[^=]|$)`)
)

// Targets lists the targets of a Makefile.
func Targets(makefile string) []string {
	var found []string
	for _, m := range target.FindAllStringSubmatch(makefile, -1) {
		found = append(found, strings.Fields(m[1])...)
	}
	return found
}

// Page returns what a page promises and does not hold.
func (c Checker) Page(page, text string) []string {
	var problems []string
	report := func(line int, format string, args ...any) {
		problems = append(problems, fmt.Sprintf("%s:%d: ", page, line)+fmt.Sprintf(format, args...))
	}
	fence := ""
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		trimmed := strings.TrimSpace(line)
		if mark := fenceMark(trimmed); mark != "" && (fence == "" || mark == fence) {
			if fence == "" {
				fence = mark
			} else {
				fence = ""
			}
			continue
		}
		if fence != "" {
			c.checkCode(trimmed, func(format string, args ...any) { report(number, format, args...) })
			continue
		}
		for _, m := range inlineCode.FindAllStringSubmatch(line, -1) {
			c.checkCode(m[1], func(format string, args ...any) { report(number, format, args...) })
		}
		for _, m := range inlineLink.FindAllStringSubmatch(inlineCode.ReplaceAllString(line, "code"), -1) {
			if problem := c.link(page, m[1]); problem != "" {
				report(number, "%s", problem)
			}
		}
	}
	return problems
}

func fenceMark(line string) string {
	for _, mark := range []string{"```", "~~~"} {
		if strings.HasPrefix(line, mark) {
			return mark
		}
	}
	return ""
}

func (c Checker) checkCode(code string, report func(string, ...any)) {
	for _, m := range command.FindAllStringSubmatch(code, -1) {
		if problem := c.call(m[1]); problem != "" {
			report("`%s`: %s", strings.TrimSpace(strings.Trim(m[0], "`")), problem)
		}
	}
	if m := makeCall.FindStringSubmatch(code); m != nil {
		for word := range strings.FieldsSeq(m[1]) {
			if !strings.Contains(word, "=") && !strings.HasPrefix(word, "-") && !slices.Contains(c.Targets, word) {
				report("`make %s`: the Makefile has no such target", word)
			}
		}
	}
}

// call checks the words after `kubectl stuck`.
func (c Checker) call(rest string) string {
	words := strings.FieldsFunc(rest, func(r rune) bool {
		return unicode.IsSpace(r) || r == '[' || r == ']' || r == '"' || r == '\'' || r == '('
	})
	help := c.Tool.Help[""]
	name := ""
	if len(words) > 0 && words[0] == strings.ToLower(words[0]) && !strings.HasPrefix(words[0], "-") && unicode.IsLetter(rune(words[0][0])) {
		name = words[0]
		own, ok := c.Tool.Help[name]
		if !ok {
			return "there is no command " + name
		}
		words = words[1:]
		if len(words) > 0 {
			if sub, ok := c.Tool.Help[name+" "+strings.TrimSuffix(words[0], "s")]; ok {
				name, own, words = name+" "+words[0], sub, words[1:]
			}
		}
		help += own
	}
	for _, w := range words {
		if w == "--" {
			break
		}
		if m := longFlag.FindStringSubmatch(w); m != nil {
			if !regexp.MustCompile(`(?m)(^|[\s,])--` + regexp.QuoteMeta(m[1]) + `\b([^-]|$)`).MatchString(help) {
				return strings.TrimSpace(name + " has no flag --" + m[1])
			}
		} else if m := shortFlag.FindStringSubmatch(w); m != nil && !strings.HasPrefix(w, "--") {
			if !regexp.MustCompile(`(?m)^\s*-` + m[1] + `, --`).MatchString(help) {
				return strings.TrimSpace(name + " has no flag -" + m[1])
			}
		}
	}
	return ""
}

func (c Checker) link(page, to string) string {
	parsed, err := url.Parse(to)
	if err != nil {
		return fmt.Sprintf("link %s: %v", to, err)
	}
	if parsed.Scheme != "" || parsed.Host != "" {
		return ""
	}
	file := page
	if parsed.Path != "" {
		file = filepath.Join(filepath.Dir(page), filepath.FromSlash(parsed.Path))
		if strings.HasPrefix(parsed.Path, "/") {
			file = filepath.FromSlash(strings.TrimPrefix(parsed.Path, "/"))
		}
	}
	if _, err := os.Stat(filepath.Join(c.Root, file)); err != nil {
		return fmt.Sprintf("link %s: there is no %s", to, filepath.ToSlash(file))
	}
	if parsed.Fragment == "" || filepath.Ext(file) != ".md" {
		return ""
	}
	text, err := os.ReadFile(filepath.Join(c.Root, file))
	if err != nil {
		return fmt.Sprintf("link %s: %v", to, err)
	}
	if !slices.Contains(Anchors(string(text)), parsed.Fragment) {
		return fmt.Sprintf("link %s: %s has no heading #%s", to, filepath.ToSlash(file), parsed.Fragment)
	}
	return ""
}

// Anchors are the names by which the headings of a page can be linked to, as GitHub makes them.
func Anchors(text string) []string {
	var found []string
	seen := map[string]int{}
	fenced := false
	for line := range strings.Lines(text) {
		if fenceMark(strings.TrimSpace(line)) != "" {
			fenced = !fenced
		}
		if id := regexp.MustCompile(`<a (?:id|name)="([^"]+)"`).FindStringSubmatch(line); id != nil {
			found = append(found, id[1])
		}
		title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " ")
		if fenced || !strings.HasPrefix(line, "#") || !ok {
			continue
		}
		title = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(title, "$1")
		slug := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(title))
		if n := seen[slug]; n > 0 {
			found = append(found, fmt.Sprintf("%s-%d", slug, n))
		} else {
			found = append(found, slug)
		}
		seen[slug]++
	}
	return found
}
