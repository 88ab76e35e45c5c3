package report

import (
	"fmt"
	"slices"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/nodelog"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// NodeLogs is what was read of a node's own logs, and what they say.
type NodeLogs struct {
	// Asked is who was asked: "kubelet", or the names of files.
	Asked []string `json:"asked"`
	// Since is from when lines were wanted.
	Since *time.Time `json:"since,omitempty"`
	// Sources are all attempts, with those that failed.
	Sources []NodeLogSource `json:"sources"`
	// Matches are the causes of which lines speak, one for each cause and log, the surest first.
	Matches []LogMatch `json:"matches"`
	// TooOld are those whose last line is from before anything that is stuck there now got stuck: they count for nothing.
	TooOld []LogMatch `json:"tooOld,omitempty"`
}

// NodeLogSource is one attempt to read a log.
type NodeLogSource struct {
	What   string `json:"what"`             // "unit kubelet", "file kern.log"
	Status int    `json:"status,omitempty"` // of HTTP
	Read   bool   `json:"read"`
	// Reason says why it was not read, or what is missing of it.
	Reason string `json:"reason,omitempty"`
	Lines  int64  `json:"lines"`
	Bytes  int64  `json:"bytes"`
}

// LogsOf puts what was read of a node's logs into the document. Lines were wanted from since on, and count from counts on; causes are those
// that the logs were read for.
func LogsOf(asked []string, since, counts time.Time, sources []NodeLogSource, logs []nodelog.Log, causes []diagnose.Cause) *NodeLogs {
	out := &NodeLogs{Asked: asked, Since: known(since), Sources: append([]NodeLogSource{}, sources...), Matches: []LogMatch{}}
	read := make([]ReadLog, len(logs))
	for i, l := range logs {
		read[i].Log = l
	}
	for _, m := range NewLogScan(read, nil, causes).Matches {
		if m.Last != nil && diagnose.TooOld(counts, *m.Last) {
			out.TooOld = append(out.TooOld, m)
		} else {
			out.Matches = append(out.Matches, m)
		}
	}
	return out
}

// Unread tells whether nothing could be read of the logs that were asked for.
func (l *NodeLogs) Unread() bool {
	return l != nil && !slices.ContainsFunc(l.Sources, func(s NodeLogSource) bool { return s.Read })
}

// speaks says for which causes of nodes the node's own logs speak. The reach itself stays what the API's numbers made it: a line proves that
// something is wrong there, and not that it is what everything waits for.
func (l *NodeLogs) speaks(st NodeStory) []string {
	if l == nil {
		return nil
	}
	var out []string
	for _, f := range st.Findings {
		if f.Reach != scope.ReachNode || f.Confidence.Rank() < scope.Likely.Rank() {
			continue
		}
		var lines int64
		var last time.Time
		for _, m := range l.Matches {
			if m.Code != f.Code || !slices.ContainsFunc(f.Evidence, func(e diagnose.Evidence) bool { return e.Object == m.File }) {
				continue
			}
			lines += m.Count
			if m.Last != nil && m.Last.After(last) {
				last = *m.Last
			}
		}
		if lines == 0 {
			continue
		}
		s := fmt.Sprintf("its own log speaks for the node: %s %s (%d lines", f.Code, f.Title, lines)
		if !last.IsZero() {
			s += ", the last at " + last.Format("15:04:05") + " UTC"
		}
		out = append(out, s+")")
	}
	return out
}

// logs puts what the logs of a node said where the node is told of.
func (b *builder) logs(r *Report) {
	for node, l := range b.o.Logs {
		for i := range r.Nodes {
			if r.Nodes[i].Name == node {
				r.Nodes[i].Logs = l
				r.Nodes[i].Why = append(slices.Clone(r.Nodes[i].Why), l.speaks(r.Nodes[i])...)
			}
		}
		if len(r.Nodes) == 0 {
			for i := range r.Groups {
				if r.Groups[i].Node == node {
					r.Groups[i].Logs = l
				}
			}
		}
		if l.Unread() {
			r.Summary.Complete = false
		}
	}
}

// LoggedOn returns the nodes of the stuck pods with these names, in order and each once. A name without a namespace is of any.
func LoggedOn(d *diagnose.Diagnosis, pods []snapshot.Ref) []string {
	var out []string
	for _, g := range d.Scope.Groups {
		for _, p := range g.Stuck {
			same := func(r snapshot.Ref) bool {
				return (r.Namespace == "" || r.Namespace == p.Ref.Namespace) && r.Name == p.Ref.Name
			}
			if g.Node != "" && slices.ContainsFunc(pods, same) && !slices.Contains(out, g.Node) {
				out = append(out, g.Node)
			}
		}
	}
	slices.Sort(out)
	return out
}
