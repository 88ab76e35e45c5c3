package render_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/render"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
)

// someLogs are the logs of a node: one unit that says much, a file that says something old, and one that could not be read.
func someLogs(node string) *report.NodeLogs {
	return &report.NodeLogs{
		Asked: []string{"kubelet"}, Since: at(ago(time.Hour)),
		Sources: []report.NodeLogSource{
			{What: "unit kubelet", Status: 200, Read: true, Lines: 48210, Bytes: 11 << 20},
			{What: "unit containerd", Status: 200, Reason: "kubelet knows no journal of that unit: options present and query resolved to log files for [containerd]"},
			{What: "file messages", Status: 206, Read: true, Lines: 512000, Bytes: 64 << 20, Reason: "only its last 64 MiB of 310 MiB; line numbers count from there"},
		},
		Matches: []report.LogMatch{{
			Code: "ST201", Slug: "runtime-cannot-fork", Title: "The runtime cannot start processes", File: "log of kubelet on node " + node, Count: 3412,
			First: at(ago(16 * time.Minute)), Last: at(ago(3 * time.Second)), Unit: "kubelet", Units: []string{"kubelet"}, SampleLine: 1204, Lines: []int64{1204, 1209}, Confidence: scope.Likely,
			Sample: `Mar 22 09:58:31.120934 worker-7 kubelet[1201]: E0322 09:58:31.120811    1201 remote_runtime.go:222] "RunPodSandbox from runtime service failed" err="fork/exec /usr/bin/runc: resource temporarily unavailable"`,
		}},
		TooOld: []report.LogMatch{{
			Code: "ST214", Slug: "kernel-hung-task", Title: "The kernel itself is stuck", File: "file messages of node " + node, Count: 1, First: at(ago(30 * time.Hour)), Last: at(ago(30 * time.Hour)),
			Units: []string{"kernel"}, SampleLine: 7, Lines: []int64{7}, Confidence: scope.Certain, Sample: "Mar 21 04:14:22 worker-7 kernel: BUG: soft lockup - CPU#3 stuck for 22s",
		}},
	}
}

func TestTheLogsOfANodeAreTold(t *testing.T) {
	for name, c := range map[string]struct {
		logs *report.NodeLogs
		says []string
	}{
		"what was read, what it says and what is missing of it": {someLogs("n"), []string{
			"560210 lines (75 MiB) of unit kubelet, file messages", "ST201", "3412", "too old", "> Mar 22 09:58:31", "(line 1204, log of kubelet on node n)",
			"not read: unit containerd (HTTP 200): kubelet knows no journal", "file messages (HTTP 206): only its last 64 MiB",
		}},
		"nothing was read": {&report.NodeLogs{Asked: []string{"kubelet"}, Sources: []report.NodeLogSource{{What: "unit kubelet", Status: 403, Reason: "forbidden: the right is missing"}}},
			[]string{"no log could be read", "not read: unit kubelet (HTTP 403): forbidden: the right is missing"}},
		"it says nothing": {&report.NodeLogs{Asked: []string{"x"}, Sources: []report.NodeLogSource{{What: "file x", Read: true, Lines: 1, Bytes: 9}}}, []string{"1 line (9 bytes) of file x", "no line speaks of a cause"}},
	} {
		r := base(report.Report{Nodes: []report.NodeStory{{Name: "n", Logs: c.logs}}})
		got := draw(t, r, render.Options{View: render.NodeDetail, Width: 200})
		flat := strings.Join(strings.Fields(got), " ")
		for _, want := range c.says {
			if !strings.Contains(flat, want) {
				t.Errorf("%s: it does not say %q:\n%s", name, want, got)
			}
		}
	}
	if got := draw(t, base(report.Report{Nodes: []report.NodeStory{{Name: "n"}}}), render.Options{View: render.NodeDetail}); strings.Contains(got, "own log") {
		t.Errorf("nobody asked for logs:\n%s", got)
	}
}
