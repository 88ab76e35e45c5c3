package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/causes"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/nodelog"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "score:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("score", flag.ContinueOnError)
	least := flags.Int("min", 0, "fail below this `percentage` of right answers, of events as of log lines")
	verbose := flags.Bool("v", false, "show all the answers to an incident, and not the surest alone")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("name one folder of incidents: make score CASES=DIR")
	}
	list, err := read(flags.Arg(0))
	if err != nil {
		return err
	}
	all := causes.All()
	scanner, err := nodelog.New(all)
	if err != nil {
		return fmt.Errorf("the catalogue: %w", err)
	}
	known := map[string]bool{}
	for _, c := range all {
		known[c.Slug] = true
	}
	var tables [2]table
	tables[0].title, tables[1].title = "events → cause", "log lines → cause"
	for _, i := range list {
		if len(i.Evidence.Events) > 0 {
			a, err := fromEvents(i, all)
			if err != nil {
				return err
			}
			tables[0].add(i, a, known[i.Truth])
		}
		if len(i.Evidence.Lines) > 0 {
			a, err := fromLines(i, scanner)
			if err != nil {
				return err
			}
			tables[1].add(i, a, known[i.Truth])
		}
	}
	var failed []error
	for _, t := range tables {
		if err := t.print(out, *verbose); err != nil {
			return err
		}
		if t.count[certain] > 0 {
			failed = append(failed, fmt.Errorf("%s: %d wrong and certain", t.title, t.count[certain]))
		}
		if p := t.percent(); len(t.rows) > 0 && p < *least {
			failed = append(failed, fmt.Errorf("%s: %d %% right, want %d %%", t.title, p, *least))
		}
	}
	fmt.Fprintf(out, "%d incidents read, %d of them with events, %d with log lines.\n", len(list), len(tables[0].rows), len(tables[1].rows))
	return errors.Join(failed...)
}

type row struct {
	incident
	answers []answer
	verdict verdict
	known   bool
}

type table struct {
	title string
	rows  []row
	count map[verdict]int
}

func (t *table) add(i incident, a []answer, known bool) {
	if t.count == nil {
		t.count = map[verdict]int{}
	}
	v := judge(a, i.Truth)
	t.count[v]++
	t.rows = append(t.rows, row{i, a, v, known})
}

func (t *table) right() int { return t.count[hit] + t.count[named] }

func (t *table) percent() int {
	if len(t.rows) == 0 {
		return 0
	}
	return 100 * t.right() / len(t.rows)
}

func (t *table) print(out io.Writer, verbose bool) error {
	fmt.Fprintf(out, "%s: %d incidents\n", t.title, len(t.rows))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, r := range t.rows {
		said := "-"
		if len(r.answers) > 0 {
			said = r.answers[0].String()
			if verbose {
				var each []string
				for _, a := range r.answers {
					each = append(each, a.String())
				}
				said = strings.Join(each, "; ")
			}
		}
		truth := r.Truth
		if !r.known {
			truth += " (not in the catalogue)"
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", r.verdict, r.ID, truth, said)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	_, err := fmt.Fprintf(out, "  right %d of %d (%d %%): %d hit, %d named; %d listed, %d wrong, %d missed; wrong and certain: %d\n\n",
		t.right(), len(t.rows), t.percent(), t.count[hit], t.count[named], t.count[listed], t.count[wrong], t.count[miss], t.count[certain])
	if err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	return nil
}
