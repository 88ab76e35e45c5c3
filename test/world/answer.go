package world

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/test/plugin"
)

// Refused is the exit code of what a guard, the API server or the person refused.
const Refused = 4

// Answer is what the plugin printed, with its document where it printed one.
type Answer struct {
	plugin.Answer

	Args []string
	Doc  report.Fix
}

// Stuck runs `kubectl stuck ARGS -o json` as the cluster's admin.
func (w *World) Stuck(ctx context.Context, args ...string) (Answer, error) {
	a, err := w.Plugin.Run(ctx, w.Kubeconfig(), append(slices.Clone(args), "-o", "json")...)
	if err != nil {
		return Answer{}, fmt.Errorf("run the plugin: %w", err)
	}
	return Read(a, args)
}

// Read reads the document in what was printed, if there is one.
func Read(a plugin.Answer, args []string) (Answer, error) {
	out := Answer{Answer: a, Args: args}
	if strings.HasPrefix(strings.TrimSpace(a.Out), "{") {
		if err := json.Unmarshal([]byte(a.Out), &out.Doc); err != nil {
			return out, fmt.Errorf("kubectl stuck %q: %w\n%s", args, err, a.Out)
		}
	}
	return out, nil
}

// String is all that was printed, for who has to find out why.
func (a *Answer) String() string {
	return fmt.Sprintf("kubectl stuck %s: exit code %d\n%s\n%s", strings.Join(a.Args, " "), a.Code, a.Out, a.ErrOut)
}

// Verdicts are all those of the document's plan.
func (a *Answer) Verdicts() []remedy.Verdict {
	if a.Doc.Plan == nil {
		return nil
	}
	all := slices.Clone(a.Doc.Plan.Verdicts)
	for _, act := range a.Doc.Plan.Acts {
		all = append(all, act.Verdicts...)
	}
	return all
}

// Blocks are the names of the guards that block, and By finds the verdict of one.
func (a *Answer) Blocks() []string {
	var out []string
	for _, v := range a.Verdicts() {
		if v.Blocks() && !slices.Contains(out, v.Guard) {
			out = append(out, v.Guard)
		}
	}
	return out
}

// By finds what a guard said, blocks first.
func (a *Answer) By(guard string) (remedy.Verdict, bool) {
	var found []remedy.Verdict
	for _, v := range a.Verdicts() {
		if v.Guard == guard && v.Blocks() {
			return v, true
		}
		if v.Guard == guard {
			found = append(found, v)
		}
	}
	if len(found) == 0 {
		return remedy.Verdict{}, false
	}
	return found[0], true
}

// Write is one line of the audit log.
type Write struct {
	UserAgent  string `json:"userAgent"`
	Verb       string `json:"verb"`
	RequestURI string `json:"requestURI"`
	ObjectRef  struct {
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
	RequestObject json.RawMessage `json:"requestObject"`
}

// Writes are the plugin's requests that would change something, refused ones too, as the API server's audit log has them. Dry runs, questions about
// rights and Events are left out.
func (w *World) Writes(is func(Write) bool) ([]Write, error) {
	f, err := os.Open(w.audit)
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	defer f.Close()
	var out []Write
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil { // what has no end yet is being written, by somebody else: the log is written before the answer
			return out, nil //nolint:nilerr // see above
		}
		var l Write
		if err := json.Unmarshal(line, &l); err != nil {
			return nil, fmt.Errorf("audit log: %w\n%s", err, line)
		}
		if !strings.HasPrefix(l.UserAgent, "kubectl-stuck") || l.ObjectRef.Resource == "events" || strings.HasSuffix(l.ObjectRef.Resource, "reviews") ||
			strings.Contains(l.RequestURI, "dryRun=All") || bytes.Contains(l.RequestObject, []byte(`"dryRun":["All"]`)) || !is(l) {
			continue
		}
		out = append(out, l)
	}
}

// About are writes to a Node, and to whatever is in a namespace.
func About(node, namespace string) func(Write) bool {
	return func(l Write) bool {
		return l.ObjectRef.Resource == "nodes" && l.ObjectRef.Name == node || namespace != "" && l.ObjectRef.Namespace == namespace
	}
}

// Journal is one file of the journal, read with none of the plugin's own code but its types.
type Journal struct {
	Path    string
	Record  remedy.Record
	Entries []remedy.Entry
	Torn    bool
	Err     string
}

// ReadJournal reads all files of a journal's folder, the oldest first.
func ReadJournal(dir string) []Journal {
	files, _ := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	slices.Sort(files)
	var out []Journal
	for _, path := range files {
		j := Journal{Path: path}
		data, err := os.ReadFile(path)
		if err != nil {
			j.Err = err.Error()
		}
		lines := strings.Split(string(data), "\n")
		for i, line := range lines {
			if strings.TrimSpace(line) == "" {
				continue
			}
			var e remedy.Entry
			if i == 0 {
				err = json.Unmarshal([]byte(line), &j.Record)
			} else if err = json.Unmarshal([]byte(line), &e); err == nil {
				j.Entries = append(j.Entries, e)
			}
			if err != nil && i > 0 && strings.TrimSpace(strings.Join(lines[i+1:], "")) == "" {
				j.Torn = true
			} else if err != nil {
				j.Err = fmt.Sprintf("line %d: %v", i+1, err)
			}
		}
		out = append(out, j)
	}
	return out
}
