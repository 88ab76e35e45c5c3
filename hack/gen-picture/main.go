package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"html"
	"io"
	"os"
	"strings"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/cli"
)

// The size of a cell of the font that the picture asks for, and of the frame around the text, in pixels.
const (
	cellWidth, lineHeight, margin = 8.4, 18, 16
)

func main() {
	width := flag.Int("width", 96, "columns of the terminal")
	lines := flag.Int("lines", 44, "lines that are shown at most")
	flag.Parse()
	args := flag.Args()
	if len(args) == 0 {
		args = []string{"pods", "-A", "--from", "hack/demo/cluster"}
	}
	if err := draw(os.Stdout, *width, *lines, args); err != nil {
		fmt.Fprintln(os.Stderr, "gen-picture:", err)
		os.Exit(1)
	}
}

// draw runs `kubectl stuck ARGS` in a world that is a terminal of that width, and writes the picture.
func draw(to io.Writer, width, lines int, args []string) error {
	var out, errOut bytes.Buffer
	w := cli.World{
		Streams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut},
		Now:     time.Now,
		Getenv:  func(string) string { return "" },
		Width: func(w io.Writer) int {
			if w == &out {
				return width
			}
			return 0
		},
		Context: func() (context.Context, context.CancelFunc) { return context.WithCancel(context.Background()) },
	}
	if code := cli.Main(append([]string{"kubectl-stuck"}, args...), w); code != cli.ExitDone {
		return errors.New(errOut.String())
	}
	text := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
	if len(text) > lines {
		text = append(text[:lines], "…")
	}
	shown := "$ kubectl stuck " + strings.Join(args, " ")
	text = append([]string{"\x1b[1m" + shown + "\x1b[0m"}, text...)
	_, err := io.WriteString(to, svg(text, width))
	return err
}

// svg draws lines of text with the few escape sequences that the plugin uses.
func svg(lines []string, width int) string {
	var b strings.Builder
	w, h := float64(width)*cellWidth+2*margin, len(lines)*lineHeight+2*margin
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%d" viewBox="0 0 %.0f %d" role="img" aria-label="kubectl stuck in a terminal">`+"\n", w, h, w, h)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" rx="8" fill="#161b22"/>`+"\n")
	b.WriteString(`<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,monospace" font-size="14" fill="#d0d7de" style="white-space:pre" xml:space="preserve">` + "\n")
	for i, line := range lines {
		fmt.Fprintf(&b, `<text x="%d" y="%d">%s</text>`+"\n", margin, margin+(i+1)*lineHeight-5, spans(line))
	}
	b.WriteString("</g>\n</svg>\n")
	return b.String()
}

// spans turns the escape sequences of one line into styled spans.
func spans(line string) string {
	styles := map[string]string{
		"1": `font-weight="bold"`, "2": `fill="#8b949e"`, "1;31": `font-weight="bold" fill="#ff7b72"`, "33": `fill="#e3b341"`, "32": `fill="#56d364"`,
	}
	var b strings.Builder
	style := ""
	for line != "" {
		i := strings.Index(line, "\x1b[")
		text := line
		if i >= 0 {
			text = line[:i]
		}
		if text != "" {
			if style != "" {
				fmt.Fprintf(&b, "<tspan %s>%s</tspan>", style, html.EscapeString(text))
			} else {
				b.WriteString(html.EscapeString(text))
			}
		}
		if i < 0 {
			break
		}
		rest := line[i+2:]
		code, after, ok := strings.Cut(rest, "m")
		if !ok {
			break
		}
		style, line = styles[code], after
	}
	return b.String()
}
