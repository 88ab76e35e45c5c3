package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

const fixture = "testdata/cluster.json"

// asOf is the time at which the fixture was taken.
const asOf = "2026-03-01T10:00:00Z"

// result is what one run of the command line gave.
type result struct {
	code        int
	out, errOut string
}

// run runs the command line in a world of its own: no terminal, no environment but a kubeconfig that leads nowhere.
func run(t *testing.T, args ...string) result {
	t.Helper()
	return runIn(t, nil, args...)
}

func runIn(t *testing.T, change func(*World), args ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	w := World{
		Streams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut},
		Now:     func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) },
		Getenv:  func(string) string { return "" },
		Width:   func(io.Writer) int { return 0 },

		Interactive: func() bool { return false },
		Host:        func() string { return "laptop" },
		User:        func() string { return "sam" },
		Context:     func() (context.Context, context.CancelFunc) { return context.WithCancel(t.Context()) },
	}
	if change != nil {
		change(&w)
	}
	code := Main(append([]string{"kubectl-stuck"}, args...), w)
	return result{code, out.String(), errOut.String()}
}

func nowhere(t *testing.T) {
	t.Helper()
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	t.Setenv("HOME", t.TempDir())
}

// walk visits every command of the tree.
func walk(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, c := range cmd.Commands() {
		walk(c, visit)
	}
}

func tree() *cobra.Command {
	w := System()
	w.Streams = genericiooptions.NewTestIOStreamsDiscard()
	return NewCommand(w)
}

// ours tells whether the command was written here, rather than by cobra.
func ours(c *cobra.Command) bool {
	return !strings.Contains(c.CommandPath(), " completion") && !c.Hidden
}

func TestEveryCommandIsDocumented(t *testing.T) {
	n := 0
	walk(tree(), func(c *cobra.Command) {
		if !ours(c) {
			return
		}
		n++
		if c.Short == "" || c.Example == "" {
			t.Errorf("%s: the short text or the examples are missing", c.CommandPath())
		}
		if strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: the short text ends in a full stop", c.CommandPath())
		}
		if !strings.HasPrefix(c.UseLine(), "kubectl stuck") {
			t.Errorf("%s: the usage line is %q", c.CommandPath(), c.UseLine())
		}
	})
	if n < 7 {
		t.Errorf("only %d commands were found", n)
	}
}

func TestEveryExampleParses(t *testing.T) {
	n := 0
	walk(tree(), func(c *cobra.Command) {
		for line := range strings.Lines(c.Example) {
			line = strings.TrimSpace(line)
			if !ours(c) || line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			args, ok := strings.CutPrefix(line, "kubectl stuck")
			if !ok {
				if !strings.HasPrefix(line, "kubectl ") {
					t.Errorf("%s: the example %q is no kubectl command", c.CommandPath(), line)
				}
				continue
			}
			n++
			root := tree()
			found, rest, err := root.Find(strings.Fields(args))
			if err != nil {
				t.Errorf("%q: %v", line, err)
				continue
			}
			if err := found.ParseFlags(rest); err != nil {
				t.Errorf("%q: %v", line, err)
				continue
			}
			if err := found.ValidateArgs(found.Flags().Args()); err != nil {
				t.Errorf("%q: %v", line, err)
			}
		}
	})
	if n == 0 {
		t.Error("no example was found")
	}
}

// effects says, for each flag of a command, how to call it so that it shows: with the flag, the run must differ from the
// run without it.
var effects = map[string]struct{ without, with []string }{
	"pod --from":                        {[]string{"fix", "pod", "held", "-n", "shop"}, []string{"fix", "pod", "held", "-n", "shop", "--from", fixture}},
	"pod --as-of":                       {[]string{"fix", "pod", "held", "-n", "shop", "--from", fixture}, []string{"fix", "pod", "held", "-n", "shop", "--from", fixture, "--as-of", "2026-03-01T11:00:00Z"}},
	"pod --output":                      {[]string{"fix", "pod", "held", "-n", "shop", "--from", fixture}, []string{"fix", "pod", "held", "-n", "shop", "--from", fixture, "-o", "json"}},
	"pod --no-headers":                  {[]string{"fix", "pod", "held", "-n", "shop", "--from", fixture, "-o", "custom-columns=A:.pod.name"}, []string{"fix", "pod", "held", "-n", "shop", "--from", fixture, "-o", "custom-columns=A:.pod.name", "--no-headers"}},
	"pod --allow-missing-template-keys": {[]string{"fix", "pod", "held", "-n", "shop", "--from", fixture, "-o", "jsonpath={.nothing}"}, []string{"fix", "pod", "held", "-n", "shop", "--from", fixture, "-o", "jsonpath={.nothing}", "--allow-missing-template-keys=false"}},
	"pod --all-namespaces":              {[]string{"fix", "pods", "--node", "worker-2", "--from", fixture, "-n", "pay"}, []string{"fix", "pods", "--node", "worker-2", "--from", fixture, "-n", "pay", "-A"}},
	"pod --selector":                    {[]string{"fix", "pod", "held", "-n", "shop", "--from", fixture}, []string{"fix", "pods", "-l", "app=cart", "-n", "shop", "--from", fixture}},
	"pod --node":                        {[]string{"fix", "pod", "held", "-n", "shop", "--from", fixture}, []string{"fix", "pods", "--node", "worker-1", "-n", "shop", "--from", fixture}},
	"pod --cause":                       {[]string{"fix", "pod", "held", "-n", "shop", "--from", fixture}, []string{"fix", "pods", "--cause", "ST101", "-n", "shop", "--from", fixture}},
	"pod --delete":                      {[]string{"fix", "pod", "held", "-n", "shop", "--from", fixture}, []string{"fix", "pod", "held", "-n", "shop", "--from", fixture, "--delete", "--dry-run=client"}},
	"pod --force":                       {[]string{"fix", "pod", "held", "-n", "shop", "--from", fixture}, []string{"fix", "pod", "held", "-n", "shop", "--from", fixture, "--force", "--dry-run=client"}},
	"pod --finalizers":                  {[]string{"fix", "pod", "held", "-n", "shop", "--from", fixture}, []string{"fix", "pod", "held", "-n", "shop", "--from", fixture, "--finalizers", "--dry-run=client"}},
	"pod --dry-run":                     {[]string{"fix", "pod", "held", "-n", "shop", "--from", fixture, "--force"}, []string{"fix", "pod", "held", "-n", "shop", "--from", fixture, "--force", "--dry-run=client"}},
	"pod --attest":                      {[]string{"fix", "pod", "cart-0", "-n", "shop", "--from", fixture, "--force", "--dry-run=client"}, []string{"fix", "pod", "cart-0", "-n", "shop", "--from", fixture, "--force", "--attest", "worker-1 was powered off", "--dry-run=client"}},
	"pod --max-pods":                    {[]string{"fix", "pods", "cart-0", "held", "-n", "shop", "--from", fixture, "--force", "--dry-run=client"}, []string{"fix", "pods", "cart-0", "held", "-n", "shop", "--from", fixture, "--force", "--dry-run=client", "--max-pods=1"}},
	"pod --max-share":                   {[]string{"fix", "pods", "cart-0", "held", "-n", "shop", "--from", fixture, "--force", "--dry-run=client"}, []string{"fix", "pods", "cart-0", "held", "-n", "shop", "--from", fixture, "--force", "--dry-run=client", "--max-share=100"}},
	"pod --even-in-grace":               {[]string{"fix", "pod", "held", "-n", "shop", "--from", fixture, "--force", "--dry-run=client", "-o", "json"}, []string{"fix", "pod", "held", "-n", "shop", "--from", fixture, "--force", "--dry-run=client", "--even-in-grace", "-o", "json"}},
	"pod --even-if-owner-alive":         {[]string{"fix", "pod", "held", "-n", "shop", "--from", fixture, "--finalizers", "--dry-run=client", "-o", "json"}, []string{"fix", "pod", "held", "-n", "shop", "--from", fixture, "--finalizers", "--dry-run=client", "--even-if-owner-alive", "-o", "json"}},
	"pod --even-in-storm":               {[]string{"fix", "pod", "held", "-n", "shop", "--from", fixture, "--force", "--dry-run=client", "-o", "json"}, []string{"fix", "pod", "held", "-n", "shop", "--from", fixture, "--force", "--dry-run=client", "--even-in-storm", "-o", "json"}},
	// What follows shows where something is changed: see TestTheWordThatConfirms, and test/fix and test/guards.
	"pod --yes":                          {[]string{"fix", "pod", "held", "-n", "shop", "--from", fixture}, []string{"fix", "pod", "held", "-n", "shop", "--from", fixture, "--yes"}},
	"pod --journal":                      {[]string{"fix", "pod", "held"}, nil},
	"pod --wait":                         {[]string{"fix", "pod", "held"}, []string{"fix", "pod", "held", "--wait=-1s"}},
	"fix --filename":                     {[]string{"fix"}, []string{"fix", "-f", "testdata/plan.json"}},
	"fix --output":                       {[]string{"fix", "-f", "testdata/plan.json"}, []string{"fix", "-f", "testdata/plan.json", "-o", "nonsense"}},
	"fix --no-headers":                   {[]string{"fix"}, nil},
	"fix --allow-missing-template-keys":  {[]string{"fix"}, nil},
	"fix --dry-run":                      {[]string{"fix", "-f", "testdata/plan.json"}, []string{"fix", "-f", "testdata/plan.json", "--dry-run=maybe"}},
	"fix --yes":                          {[]string{"fix"}, nil},
	"fix --journal":                      {[]string{"fix"}, nil},
	"fix --wait":                         {[]string{"fix", "-f", "testdata/plan.json"}, []string{"fix", "-f", "testdata/plan.json", "--wait=-1s"}},
	"undo --output":                      {[]string{"undo"}, []string{"undo", "-o", "nonsense"}},
	"undo --no-headers":                  {[]string{"undo"}, nil},
	"undo --allow-missing-template-keys": {[]string{"undo"}, nil},
	"undo --dry-run":                     {[]string{"undo"}, []string{"undo", "--dry-run=maybe"}},
	"undo --yes":                         {[]string{"undo"}, nil},
	"undo --journal":                     {[]string{"undo"}, nil},
	"undo --wait":                        {[]string{"undo"}, []string{"undo", "--wait=-1s"}},
	"pods --from":                        {[]string{"pods"}, []string{"pods", "--from", fixture}},
	"pods --as-of":                       {[]string{"pods", "--from", fixture}, []string{"pods", "--from", fixture, "--as-of", "2026-03-01T11:00:00Z"}},
	"pods --output":                      {[]string{"pods", "--from", fixture}, []string{"pods", "--from", fixture, "-o", "name"}},
	"pods --exit-code":                   {[]string{"pods", "--from", fixture}, []string{"pods", "--from", fixture, "--exit-code"}},
	"pods --no-headers":                  {[]string{"pods", "--from", fixture, "-o", "custom-columns=A:.name"}, []string{"pods", "--from", fixture, "-o", "custom-columns=A:.name", "--no-headers"}},
	"pods --allow-missing-template-keys": {[]string{"pods", "--from", fixture, "-o", "jsonpath={.nothing}"}, []string{"pods", "--from", fixture, "-o", "jsonpath={.nothing}", "--allow-missing-template-keys=false"}},
	"pods --all-namespaces":              {[]string{"pods", "--from", fixture, "-n", "shop"}, []string{"pods", "--from", fixture, "-n", "shop", "-A"}},
	"pods --selector":                    {[]string{"pods", "--from", fixture}, []string{"pods", "--from", fixture, "-l", "app=cart"}},
	"pods --field-selector":              {[]string{"pods", "--from", fixture}, []string{"pods", "--from", fixture, "--field-selector", "spec.nodeName=worker-1"}},
	"pods --node":                        {[]string{"pods", "--from", fixture}, []string{"pods", "--from", fixture, "--node", "worker-1"}},
	"pods --state":                       {[]string{"pods", "--from", fixture}, []string{"pods", "--from", fixture, "--state", "terminating"}},
	"pods --older-than":                  {[]string{"pods", "--from", fixture}, []string{"pods", "--from", fixture, "--older-than", "12m"}},
	"pods --watch":                       {[]string{"pods", "--from", fixture}, []string{"pods", "--from", fixture, "-w"}},
	"node --from":                        {[]string{"node"}, []string{"node", "--from", fixture}},
	"node --as-of":                       {[]string{"node", "--from", fixture}, []string{"node", "--from", fixture, "--as-of", "2026-03-01T11:00:00Z"}},
	"node --output":                      {[]string{"node", "--from", fixture}, []string{"node", "--from", fixture, "-o", "yaml"}},
	"node --exit-code":                   {[]string{"node", "--from", fixture}, []string{"node", "--from", fixture, "--exit-code"}},
	"node --logs":                        {[]string{"node", "worker-1"}, []string{"node", "worker-1", "--logs", "--from", fixture}}, // see test/e2e: it asks a live kubelet
	"node --log-file":                    {[]string{"node", "worker-1", "--from", fixture}, []string{"node", "worker-1", "--from", fixture, "--log-file", nodeLog}},
	"node --logs-since":                  {[]string{"node", "worker-1", "--from", fixture, "--log-file", nodeLog}, []string{"node", "worker-1", "--from", fixture, "--log-file", nodeLog, "--logs-since", "19m"}},
	// What these do shows in test/drain and test/probe, on real nodes.
	"node --drain-and-delete":                 {[]string{"node", "worker-1", "--from", fixture}, []string{"node", "worker-1", "--from", fixture, "--drain-and-delete", "--dry-run=client"}},
	"node --out-of-service":                   {[]string{"node", "worker-1", "--from", fixture}, []string{"node", "worker-1", "--from", fixture, "--out-of-service", "--dry-run=client"}},
	"node --restore":                          {[]string{"node", "worker-1", "--from", fixture}, []string{"node", "worker-1", "--from", fixture, "--restore", "--saved", "testdata/node.yaml", "--dry-run=client"}},
	"node --saved":                            {[]string{"node", "worker-1", "--from", fixture, "--restore", "--dry-run=client", "--journal", "testdata"}, []string{"node", "worker-1", "--from", fixture, "--restore", "--saved", "testdata/node.yaml", "--dry-run=client", "--journal", "testdata"}},
	"node --probe":                            {[]string{"node", "worker-1"}, []string{"node", "worker-1", "--probe", "--from", fixture}},
	"node --probe-image":                      {[]string{"node", "worker-1", "--from", fixture}, []string{"node", "worker-1", "--from", fixture, "--probe-image", "pause"}},
	"node --wait":                             {[]string{"node", "worker-1"}, []string{"node", "worker-1", "--wait=-1s"}},
	"node --timeout":                          {[]string{"node", "worker-1", "--from", fixture, "--drain-and-delete", "--dry-run=client", "-o", "json"}, []string{"node", "worker-1", "--from", fixture, "--drain-and-delete", "--dry-run=client", "-o", "json", "--timeout", "1m"}},
	"node --dry-run":                          {[]string{"node", "worker-1", "--from", fixture, "--drain-and-delete"}, []string{"node", "worker-1", "--from", fixture, "--drain-and-delete", "--dry-run=client"}},
	"node --yes":                              {[]string{"node", "worker-1", "--from", fixture}, []string{"node", "worker-1", "--from", fixture, "--yes"}},
	"node --journal":                          {[]string{"node", "worker-1", "--from", fixture, "--restore", "--dry-run=client", "--journal", "testdata"}, []string{"node", "worker-1", "--from", fixture, "--restore", "--dry-run=client", "--journal", journalled}},
	"node --attest":                           {[]string{"node", "worker-1", "--from", fixture, "--drain-and-delete", "--dry-run=client", "-o", "json"}, []string{"node", "worker-1", "--from", fixture, "--drain-and-delete", "--dry-run=client", "-o", "json", "--attest", "worker-1 was powered off"}},
	"node --even-in-storm":                    {[]string{"node", "worker-1", "--from", fixture, "--drain-and-delete", "--dry-run=client", "-o", "json"}, []string{"node", "worker-1", "--from", fixture, "--drain-and-delete", "--dry-run=client", "-o", "json", "--even-in-storm"}},
	"node --even-if-healthy":                  {[]string{"node", "worker-1", "--from", fixture, "--drain-and-delete", "--dry-run=client", "-o", "json"}, []string{"node", "worker-1", "--from", fixture, "--drain-and-delete", "--dry-run=client", "-o", "json", "--even-if-healthy"}},
	"node --even-control-plane":               {[]string{"node", "worker-1", "--from", fixture, "--drain-and-delete", "--dry-run=client", "-o", "json"}, []string{"node", "worker-1", "--from", fixture, "--drain-and-delete", "--dry-run=client", "-o", "json", "--even-control-plane"}},
	"node --even-last":                        {[]string{"node", "worker-1", "--from", fixture, "--drain-and-delete", "--dry-run=client", "-o", "json"}, []string{"node", "worker-1", "--from", fixture, "--drain-and-delete", "--dry-run=client", "-o", "json", "--even-last"}},
	"node --even-without-room":                {[]string{"node", "worker-1", "--from", fixture, "--drain-and-delete", "--dry-run=client", "-o", "json"}, []string{"node", "worker-1", "--from", fixture, "--drain-and-delete", "--dry-run=client", "-o", "json", "--even-without-room"}},
	"node --even-unmanaged":                   {[]string{"node", "worker-1", "--from", fixture, "--drain-and-delete", "--dry-run=client", "-o", "json"}, []string{"node", "worker-1", "--from", fixture, "--drain-and-delete", "--dry-run=client", "-o", "json", "--even-unmanaged"}},
	"node --even-past-budget":                 {[]string{"node", "worker-1", "--from", fixture, "--drain-and-delete", "--dry-run=client", "-o", "json"}, []string{"node", "worker-1", "--from", fixture, "--drain-and-delete", "--dry-run=client", "-o", "json", "--even-past-budget"}},
	"node --delete-emptydir-data":             {[]string{"node", "worker-1", "--from", fixture, "--drain-and-delete", "--dry-run=client", "-o", "json"}, []string{"node", "worker-1", "--from", fixture, "--drain-and-delete", "--dry-run=client", "-o", "json", "--delete-emptydir-data"}},
	"node --no-headers":                       {[]string{"node", "--from", fixture, "-o", "custom-columns=A:.name"}, []string{"node", "--from", fixture, "-o", "custom-columns=A:.name", "--no-headers"}},
	"node --allow-missing-template-keys":      {[]string{"node", "--from", fixture, "-o", "jsonpath={.nothing}"}, []string{"node", "--from", fixture, "-o", "jsonpath={.nothing}", "--allow-missing-template-keys=false"}},
	"explain --from":                          {[]string{"explain", "pod/held"}, []string{"explain", "pod/held", "-n", "shop", "--from", fixture}},
	"explain --as-of":                         {[]string{"explain", "pod/held", "-n", "shop", "--from", fixture}, []string{"explain", "pod/held", "-n", "shop", "--from", fixture, "--as-of", "2026-03-01T11:00:00Z"}},
	"explain --output":                        {[]string{"explain", "pod/held", "-n", "shop", "--from", fixture}, []string{"explain", "pod/held", "-n", "shop", "--from", fixture, "-o", "json"}},
	"explain --exit-code":                     {[]string{"explain", "pod/held", "-n", "shop", "--from", fixture}, []string{"explain", "pod/held", "-n", "shop", "--from", fixture, "--exit-code"}},
	"explain --logs":                          {[]string{"explain", "pod/cart-0", "-n", "shop"}, []string{"explain", "pod/cart-0", "-n", "shop", "--logs", "--from", fixture}}, // see test/e2e
	"explain --log-file":                      {[]string{"explain", "pod/cart-0", "-n", "shop", "--from", fixture}, []string{"explain", "pod/cart-0", "-n", "shop", "--from", fixture, "--log-file", nodeLog}},
	"explain --logs-since":                    {[]string{"explain", "node/worker-1", "--from", fixture, "--log-file", nodeLog}, []string{"explain", "node/worker-1", "--from", fixture, "--log-file", nodeLog, "--logs-since", "19m"}},
	"explain --no-headers":                    {[]string{"explain", "pod/held", "-n", "shop", "--from", fixture, "-o", "custom-columns=A:.name"}, []string{"explain", "pod/held", "-n", "shop", "--from", fixture, "-o", "custom-columns=A:.name", "--no-headers"}},
	"explain --allow-missing-template-keys":   {[]string{"explain", "pod/held", "-n", "shop", "--from", fixture, "-o", "jsonpath={.nothing}"}, []string{"explain", "pod/held", "-n", "shop", "--from", fixture, "-o", "jsonpath={.nothing}", "--allow-missing-template-keys=false"}},
	"dump --from":                             {[]string{"dump", "-"}, []string{"dump", "-", "--from", fixture}},
	"dump --as-of":                            {[]string{"dump", "-", "--from", fixture}, []string{"dump", "-", "--from", fixture, "--as-of", "2026-03-01T11:00:00Z"}},
	"dump --redact":                           {[]string{"dump", "-", "--from", fixture}, []string{"dump", "-", "--from", fixture, "--redact"}},
	"dump --force":                            {[]string{"dump", "testdata", "--from", fixture}, nil}, // see TestForceReplacesADump
	"dump --node":                             {[]string{"dump", "-", "--from", fixture}, nil},        // see TestDumpOfANode
	"scan-logs --output":                      {[]string{"scan-logs", forklessLog}, []string{"scan-logs", forklessLog, "-o", "json"}},
	"scan-logs --exit-code":                   {[]string{"scan-logs", forklessLog}, []string{"scan-logs", forklessLog, "--exit-code"}},
	"scan-logs --since":                       {[]string{"scan-logs", forklessLog}, []string{"scan-logs", forklessLog, "--since", "2h"}},
	"scan-logs --cause":                       {[]string{"scan-logs", forklessLog}, []string{"scan-logs", forklessLog, "--cause", "ST209"}},
	"scan-logs --no-headers":                  {[]string{"scan-logs", forklessLog, "-o", "custom-columns=A:.code"}, []string{"scan-logs", forklessLog, "-o", "custom-columns=A:.code", "--no-headers"}},
	"scan-logs --allow-missing-template-keys": {[]string{"scan-logs", forklessLog, "-o", "jsonpath={.nothing}"}, []string{"scan-logs", forklessLog, "-o", "jsonpath={.nothing}", "--allow-missing-template-keys=false"}},
	"history --output":                        {[]string{"history", "--journal", journalled}, []string{"history", "--journal", journalled, "-o", "json"}},
	"history --journal":                       {[]string{"history", "--journal", "testdata"}, []string{"history", "--journal", journalled}},
	"history --manifest":                      {[]string{"history", journalledRun, "--journal", journalled}, []string{"history", journalledRun, "--journal", journalled, "--manifest"}},
	"history --no-headers":                    {[]string{"history", "--journal", journalled, "-o", "custom-columns=A:.id"}, []string{"history", "--journal", journalled, "-o", "custom-columns=A:.id", "--no-headers"}},
	"history --allow-missing-template-keys":   {[]string{"history", "--journal", journalled, "-o", "jsonpath={.nothing}"}, []string{"history", "--journal", journalled, "-o", "jsonpath={.nothing}", "--allow-missing-template-keys=false"}},
	"causes --output":                         {[]string{"causes"}, []string{"causes", "-o", "json"}},
	"causes --area":                           {[]string{"causes"}, []string{"causes", "--area", "storage"}},
	"causes --reach":                          {[]string{"causes"}, []string{"causes", "--reach", "cluster"}},
	"causes --shown-by":                       {[]string{"causes"}, []string{"causes", "--shown-by", "log"}},
	"causes --no-headers":                     {[]string{"causes", "-o", "custom-columns=A:.code"}, []string{"causes", "-o", "custom-columns=A:.code", "--no-headers"}},
	"causes --allow-missing-template-keys":    {[]string{"causes", "-o", "jsonpath={.nothing}"}, []string{"causes", "-o", "jsonpath={.nothing}", "--allow-missing-template-keys=false"}},
}

func TestEveryFlagHasAnEffect(t *testing.T) {
	nowhere(t)
	seen := map[string]bool{}
	walk(tree(), func(c *cobra.Command) {
		if !ours(c) || c.Name() == "options" {
			return
		}
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name == "help" {
				return
			}
			key := c.Name() + " --" + f.Name
			seen[key] = true
			e, ok := effects[key]
			if !ok {
				t.Errorf("%s: no test shows what it does", key)
				return
			}
			if e.with == nil {
				return
			}
			if a, b := run(t, e.without...), run(t, e.with...); a == b {
				t.Errorf("%s: %q and %q give the same:\n%s%s", key, e.without, e.with, a.out, a.errOut)
			}
		})
	})
	for key := range effects {
		if !seen[key] {
			t.Errorf("%s: there is no such flag", key)
		}
	}
}

func TestForceReplacesADump(t *testing.T) {
	nowhere(t)
	path := filepath.Join(t.TempDir(), "d")
	if r := run(t, "dump", path, "--from", fixture); r.code != ExitDone {
		t.Fatal(r)
	}
	if r := run(t, "dump", path, "--from", fixture); r.code != ExitError {
		t.Errorf("a dump was replaced without --force: %v", r)
	}
	if r := run(t, "dump", path, "--from", fixture, "--force"); r.code != ExitDone {
		t.Errorf("--force did not replace it: %v", r)
	}
}

// rewrite writes the fixture again, with the items of each list as change returns them; a list for which it returns nil is left out.
func rewrite(t *testing.T, change func(kind string, items []any) []any) string {
	t.Helper()
	raw, err := os.ReadFile(fixture)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for d := json.NewDecoder(bytes.NewReader(raw)); ; {
		var list map[string]any
		if err := d.Decode(&list); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		items := change(list["kind"].(string), list["items"].([]any))
		if items == nil {
			continue
		}
		list["items"] = items
		if err := json.NewEncoder(&out).Encode(list); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "cluster.json")
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// clone copies the item of that name under another, with a field of its spec set.
func clone(items []any, name, newName, field, value string) map[string]any {
	for _, item := range items {
		o := maps.Clone(item.(map[string]any))
		meta := maps.Clone(o["metadata"].(map[string]any))
		if meta["name"] != name {
			continue
		}
		meta["name"], meta["uid"] = newName, "uid-"+newName
		spec := maps.Clone(o["spec"].(map[string]any))
		spec[field] = value
		o["metadata"], o["spec"] = meta, spec
		return o
	}
	return nil
}

// large is the fixture with a healthy node of so many pods that they are not read in full.
func large(t *testing.T) string {
	t.Helper()
	return rewrite(t, func(kind string, items []any) []any {
		switch kind {
		case "PodList":
			for i := range 2000 {
				items = append(items, clone(items, "pay-1", fmt.Sprintf("pay-x%d", i), "nodeName", "worker-4"))
			}
		case "NodeList":
			items = append(items, clone(items, "worker-3", "worker-4", "providerID", "x"))
		case "LeaseList":
			items = append(items, clone(items, "worker-3", "worker-4", "holderIdentity", "worker-4"))
		}
		return items
	})
}

func TestDumpOfANode(t *testing.T) {
	nowhere(t)
	cluster, dir := large(t), t.TempDir()
	without := run(t, "dump", filepath.Join(dir, "a"), "--from", cluster)
	with := run(t, "dump", filepath.Join(dir, "b"), "--from", cluster, "--node", "worker-4")
	if without.code != 0 || with.code != 0 {
		t.Fatalf("%v %v", without, with)
	}
	if !strings.Contains(with.errOut, " 2005 pods in full of 2005") || strings.Contains(without.errOut, " 2005 pods in full") {
		t.Errorf("with --node:\n%s\nwithout:\n%s", with.errOut, without.errOut)
	}
}

func TestExitCodes(t *testing.T) {
	nowhere(t)
	truncated := filepath.Join(t.TempDir(), "cut.json")
	if err := os.WriteFile(truncated, []byte(`{"kind":"List","apiVersion":"v1","items":[{"kind":"Pod"`), 0o600); err != nil {
		t.Fatal(err)
	}
	healthyPods := rewrite(t, func(kind string, items []any) []any {
		if kind != "PodList" {
			return nil
		}
		return []any{clone(items, "pay-1", "pay-1", "nodeName", "worker-3")}
	})
	for name, c := range map[string]struct {
		args []string
		code int
		says string // on stderr
	}{
		"something is stuck, and nobody asked for a code": {[]string{"pods", "--from", fixture}, ExitDone, ""},
		"something is stuck":                              {[]string{"pods", "--from", fixture, "--exit-code"}, ExitStuck, ""},
		"the format changes nothing":                      {[]string{"pods", "--from", fixture, "--exit-code", "-o", "json"}, ExitStuck, ""},
		"nothing is stuck, but parts could not be read":   {[]string{"pods", "--from", healthyPods, "--exit-code"}, ExitIncomplete, ""},
		"an unknown flag":                                 {[]string{"pods", "--nonsense"}, ExitUsage, "--nonsense"},
		"an unknown command":                              {[]string{"pots"}, ExitUsage, "pots"},
		"an unknown state":                                {[]string{"pods", "--state", "asleep"}, ExitUsage, "Terminating"},
		"an unknown format":                               {[]string{"pods", "-o", "xml"}, ExitUsage, "xml"},
		"a selector that is none":                         {[]string{"pods", "-l", "a in"}, ExitUsage, "--selector"},
		"a field that pods are not selected by":           {[]string{"pods", "--field-selector", "spec.foo=1"}, ExitUsage, "spec.nodeName"},
		"a node where pods are named":                     {[]string{"pods", "node/worker-1", "--from", fixture}, ExitUsage, "names no pod"},
		"a pod without a name":                            {[]string{"pods", "pod/", "--from", fixture}, ExitUsage, "names no pod"},
		"a pod where nodes are named":                     {[]string{"node", "pod/cart-0", "--from", fixture}, ExitUsage, "names no node"},
		"a time that is none":                             {[]string{"pods", "--from", fixture, "--as-of", "noon"}, ExitUsage, "noon"},
		"--as-of with a cluster":                          {[]string{"pods", "--as-of", asOf}, ExitUsage, "--from"},
		"names with -A":                                   {[]string{"pods", "cart-0", "-A"}, ExitUsage, "-n"},
		"files that do not exist":                         {[]string{"pods", "--from", "testdata/none"}, ExitError, "testdata/none"},
		"a file that was cut off":                         {[]string{"pods", "--from", truncated}, ExitError, "cut.json"},
		"no kubeconfig":                                   {[]string{"pods"}, ExitError, ""},
		"a node that does not exist":                      {[]string{"node", "worker-9", "--from", fixture}, ExitError, "worker-9"},
		"a pod that does not exist":                       {[]string{"explain", "pod/none", "-n", "shop", "--from", fixture}, ExitError, "shop/none"},
		"something that cannot be explained":              {[]string{"explain", "service/x"}, ExitUsage, "service/x"},
		"a cause that does not exist":                     {[]string{"explain", "ST000"}, ExitUsage, "ST000"},
		"nothing to explain":                              {[]string{"explain"}, ExitUsage, "one argument"},
		"a cause":                                         {[]string{"explain", "ST101"}, ExitDone, ""},
		"arguments for version":                           {[]string{"version", "x"}, ExitUsage, "no arguments"},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, c.args...)
			if r.code != c.code {
				t.Errorf("%q: exit code %d, want %d\n%s%s", c.args, r.code, c.code, r.out, r.errOut)
			}
			if !strings.Contains(r.errOut, c.says) {
				t.Errorf("%q: stderr does not say %q:\n%s", c.args, c.says, r.errOut)
			}
			if c.code == ExitError && r.out != "" {
				t.Errorf("%q: an error, and yet an answer:\n%s", c.args, r.out)
			}
		})
	}
}

func TestKubectlsConnectionFlagsAreThere(t *testing.T) {
	root := tree()
	for _, f := range []string{"context", "cluster", "user", "kubeconfig", "namespace", "as", "as-group", "token", "server", "request-timeout", "insecure-skip-tls-verify", "certificate-authority"} {
		if root.PersistentFlags().Lookup(f) == nil {
			t.Errorf("--%s is missing", f)
		}
	}
}

func TestColoursOnlyOnATerminalAndNotWithNoColor(t *testing.T) {
	nowhere(t)
	terminal := func(w *World) { w.Width = func(io.Writer) int { return 100 } }
	noColor := func(w *World) {
		terminal(w)
		w.Getenv = func(k string) string {
			if k == "NO_COLOR" {
				return "1"
			}
			return ""
		}
	}
	const escape = "\x1b["
	args := []string{"pods", "--from", fixture}
	if r := runIn(t, terminal, args...); !strings.Contains(r.out, escape) {
		t.Error("no colour on a terminal")
	}
	if r := runIn(t, noColor, args...); strings.Contains(r.out, escape) {
		t.Error("colour although NO_COLOR is set")
	}
	if r := run(t, args...); strings.Contains(r.out, escape) || strings.Contains(r.errOut, escape) {
		t.Error("escapes although stdout is no terminal")
	}
}

func TestHelpNamesThePluginAsItIsTyped(t *testing.T) {
	for _, args := range [][]string{{}, {"--help"}, {"pods", "--help"}, {"options"}} {
		r := run(t, args...)
		if r.code != ExitDone || !strings.Contains(r.out, "kubectl stuck") && args != nil && len(args) > 0 && args[0] != "options" {
			t.Errorf("%q: %+v", args, r)
		}
		if strings.Contains(r.out, "kubectl-stuck") {
			t.Errorf("%q names the binary:\n%s", args, r.out)
		}
	}
}
