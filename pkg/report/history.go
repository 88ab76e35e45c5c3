package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// KindHistory is the kind of the document about all runs of a journal.
const KindHistory = "StuckHistory"

// History is what a journal tells of all its runs, the latest first. Times are UTC.
type History struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"` // StuckHistory
	// TakenAt is when the journal was read, by this machine's clock, which the times of runs are of too.
	TakenAt time.Time `json:"takenAt"`
	// Journal is the folder.
	Journal string       `json:"journal"`
	Runs    []HistoryRun `json:"runs"`
	// Unread are files that could not be read, and why.
	Unread []SkippedFile `json:"unread,omitempty"`
}

// HistoryRun is one run in short.
type HistoryRun struct {
	ID      string    `json:"id"`
	Time    time.Time `json:"time"`
	Context string    `json:"context,omitempty"`
	Server  string    `json:"server,omitempty"`
	// User and Host are who ran it on which machine.
	User string `json:"user,omitempty"`
	Host string `json:"host,omitempty"`
	// Remedies are the rungs that were used, and Targets the objects.
	Remedies []string       `json:"remedies"`
	Targets  []snapshot.Ref `json:"targets"`
	Status   remedy.Status  `json:"status"`
	// Ended tells that the run came to its end; one that did not was interrupted, or is still going on.
	Ended bool `json:"ended"`
	// Steps is how many steps were planned, Done how many were done, and Unknown of how many nobody knows.
	Steps   int `json:"steps"`
	Done    int `json:"done"`
	Unknown int `json:"unknown,omitempty"`
	// Undoable tells that something was changed that can be undone, and was not.
	Undoable bool   `json:"undoable"`
	Undoes   string `json:"undoes,omitempty"`   // the run that this one took back
	UndoneBy string `json:"undoneBy,omitempty"` // the run that took this one back
	// Torn tells that the journal ends in the middle of a line.
	Torn bool `json:"torn,omitempty"`
}

// Run is everything that the journal tells of one run: what was written, and what follows from it.
type Run struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"` // StuckRun
	TakenAt    time.Time `json:"takenAt"`
	// Path is the file.
	Path    string      `json:"path"`
	Summary HistoryRun  `json:"summary"`
	Version string      `json:"version,omitempty"` // of the tool that did it
	Args    []string    `json:"args,omitempty"`
	Who     remedy.Who  `json:"who"`
	Plan    remedy.Plan `json:"plan"`
	// Objects are the objects as they were, one for each act; null where the act created one.
	Objects []json.RawMessage `json:"objects"`
	// Kept are objects that went with what was changed: the pods of a Node that was deleted.
	Kept    []json.RawMessage `json:"kept,omitempty"`
	Entries []remedy.Entry    `json:"entries"`
	// FindOut are commands that tell what became of the steps of which the journal does not know.
	FindOut []string `json:"findOut,omitempty"`
}

// NewHistory makes the document of runs that were read, the latest first.
func NewHistory(now time.Time, dir string, runs []remedy.History, unread []SkippedFile) *History {
	out := &History{APIVersion: APIVersion, Kind: KindHistory, TakenAt: now.UTC(), Journal: dir, Runs: []HistoryRun{}, Unread: unread}
	undone := undoneBy(runs)
	for _, h := range runs {
		out.Runs = append(out.Runs, summary(h, undone[h.ID]))
	}
	return out
}

// NewRun makes the document of one run; runs are all of the journal, which tell whether it was taken back.
func NewRun(now time.Time, h remedy.History, runs []remedy.History) *Run {
	out := &Run{
		APIVersion: APIVersion, Kind: remedy.KindRun, TakenAt: now.UTC(), Path: h.Path, Summary: summary(h, undoneBy(runs)[h.ID]), Version: h.Version, Args: h.Args,
		Who: h.Who, Plan: h.Plan, Objects: append([]json.RawMessage{}, h.Objects...), Kept: slices.Clone(h.Kept), Entries: append([]remedy.Entry{}, h.Entries...),
	}
	for _, s := range h.Steps() {
		if s.Status == remedy.Open && s.Plan != nil {
			out.FindOut = append(out.FindOut, findOut(s.Plan.Ref, h.Plan.Cluster.Context))
		}
	}
	slices.Sort(out.FindOut)
	out.FindOut = slices.Compact(out.FindOut)
	return out
}

// History is the run as the journal has it.
func (r *Run) History() remedy.History {
	return remedy.History{
		Record: remedy.Record{
			APIVersion: r.APIVersion, Kind: r.Kind, ID: r.Summary.ID, Time: r.Summary.Time, Version: r.Version, Args: r.Args, Who: r.Who, Plan: r.Plan, Objects: r.Objects, Kept: r.Kept,
		},
		Entries: r.Entries, Torn: r.Summary.Torn, Path: r.Path,
	}
}

// undoneBy tells for each run which other took it back. One of which nobody knows whether it did counts: it is what one has to look at first.
func undoneBy(runs []remedy.History) map[string]string {
	out := map[string]string{}
	for _, h := range runs {
		if h.Plan.Undoes == "" {
			continue
		}
		if s := h.Status(); s == remedy.Done || s == remedy.Already || s == remedy.Open {
			out[h.Plan.Undoes] = h.ID
		}
	}
	return out
}

func summary(h remedy.History, undone string) HistoryRun {
	out := HistoryRun{
		ID: h.ID, Time: h.Time.UTC(), Context: h.Plan.Cluster.Context, Server: h.Plan.Cluster.Server, User: h.Who.User, Host: h.Who.Host,
		Remedies: []string{}, Targets: []snapshot.Ref{}, Status: h.Status(), Ended: h.Ended(), Undoable: h.Undoable() && undone == "",
		Undoes: h.Plan.Undoes, UndoneBy: undone, Torn: h.Torn,
	}
	for _, act := range h.Plan.Acts {
		out.Targets = append(out.Targets, act.Target)
		for _, id := range act.Remedies {
			if !slices.Contains(out.Remedies, string(id)) {
				out.Remedies = append(out.Remedies, string(id))
			}
		}
	}
	for _, s := range h.Steps() {
		out.Steps++
		switch s.Status {
		case remedy.Done:
			out.Done++
		case remedy.Open:
			out.Unknown++
		}
	}
	return out
}

// findOut shows of an object what tells whether something was done to it.
func findOut(r snapshot.Ref, context string) string {
	cmd := "kubectl"
	if context != "" {
		cmd += " --context " + quoted(context)
	}
	cmd += " get " + quoted(strings.ToLower(string(r.Kind))+"/"+r.Name)
	if r.Namespace != "" {
		cmd += " -n " + quoted(r.Namespace)
	}
	return cmd + ` -o jsonpath='{.metadata.uid} {.metadata.resourceVersion} {.metadata.deletionTimestamp} {.metadata.finalizers}{"\n"}'`
}

// quoted is a word as a shell takes it. A journal is a file: what it calls a name need not be one.
func quoted(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._/:", r)
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) && s[0] != '-' {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Manifests are the objects that a run kept, as kubectl create takes them: without what the API server, and nobody else, sets. Pods are as an undo creates
// them. A Node is there once, as it was before the run touched it, with managedFields, which a restore goes by. Of the pods that went with it there are
// those that no controller makes again.
func (r *Run) Manifests() ([]json.RawMessage, error) {
	var out []json.RawMessage
	var nodes []string
	for i, raw := range slices.Concat(r.Objects, r.Kept) {
		var obj map[string]any
		if err := json.Unmarshal(raw, &obj); err != nil {
			return nil, fmt.Errorf("object %d of run %s: %w", i, r.Summary.ID, err)
		}
		if obj == nil { // the act created it
			continue
		}
		meta, _ := obj["metadata"].(map[string]any)
		if obj["kind"] == string(snapshot.Node) && obj["apiVersion"] == "v1" {
			name, _ := meta["name"].(string)
			if slices.Contains(nodes, name) {
				continue
			}
			nodes = append(nodes, name)
			clean, err := remedy.NodeManifest(raw, true)
			if err != nil {
				return nil, fmt.Errorf("object %d of run %s: %w", i, r.Summary.ID, err)
			}
			out = append(out, clean)
			continue
		}
		if i >= len(r.Objects) && !alone(meta) {
			continue
		}
		if obj["kind"] == string(snapshot.Pod) && obj["apiVersion"] == "v1" {
			clean, err := remedy.Manifest(raw)
			if err != nil {
				return nil, fmt.Errorf("object %d of run %s: %w", i, r.Summary.ID, err)
			}
			out = append(out, clean)
			continue
		}
		delete(obj, "status")
		if meta != nil {
			for _, field := range []string{
				"uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "managedFields", "selfLink",
			} {
				delete(meta, field)
			}
		}
		clean, err := json.Marshal(obj)
		if err != nil {
			return nil, fmt.Errorf("object %d of run %s: %w", i, r.Summary.ID, err)
		}
		out = append(out, clean)
	}
	return out, nil
}

// alone tells whether nobody makes the object again: it has no controller, and no kubelet shows it from a file.
func alone(meta map[string]any) bool {
	notes, _ := meta["annotations"].(map[string]any)
	if _, mirror := notes[corev1.MirrorPodAnnotationKey]; mirror {
		return false
	}
	owners, _ := meta["ownerReferences"].([]any)
	return !slices.ContainsFunc(owners, func(o any) bool {
		owner, _ := o.(map[string]any)
		return owner["controller"] == true
	})
}
