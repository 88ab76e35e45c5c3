package render_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/render"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
)

// logScans are documents about logs: of one file with one cause, of several with several, and of none that says anything.
func logScans() map[string]*report.LogScan {
	at := func(h, m int) *time.Time {
		t := time.Date(2026, 3, 1, h, m, 0, 0, time.UTC)
		return &t
	}
	fork := report.LogMatch{
		Code: "ST901", Slug: "no-fork", Title: "The node cannot start processes any more", File: "/var/log/messages", Count: 3, First: at(9, 41), Last: at(9, 52),
		Units: []string{"dockerd", "systemd-udevd", "kube-proxy"}, SampleLine: 2, Lines: []int64{2, 3, 40}, Confidence: diagnose.Certain,
		Sample:  `Mar  1 09:41:02 worker-3 dockerd[1412]: time="2026-03-01T09:41:02.511020441Z" level=warning msg="failed to retrieve runc version: fork/exec /usr/bin/runc: resource temporarily unavailable"`,
		Decide:  "Which limit it is.",
		Confirm: []string{"kubectl debug node/{node} -it --image=busybox -- chroot /host systemctl show -p TasksCurrent -p TasksMax containerd"},
		Remedies: []report.Remedy{
			{ID: "a", Risk: diagnose.RiskNone, Text: "Find who has them."}, {ID: "b", Risk: diagnose.RiskLow, Text: "Delete that pod.", Command: "kubectl delete pod {pod} -n {namespace}"},
			{ID: "c", Risk: diagnose.RiskMedium, Text: "Raise the limit."}, {ID: "d", Risk: diagnose.RiskMedium, Text: "Reboot."},
		},
	}
	again := fork
	again.File, again.Count, again.SampleLine, again.Lines, again.Units = "/var/log/messages-20260228.gz", 1, 7, []int64{7}, []string{"dockerd"}
	stop := report.LogMatch{
		Code: "ST902", Slug: "stop-fails", Title: "A container cannot be stopped", File: "/var/log/messages", Count: 12_000, First: at(9, 0), Last: at(9, 0), Unit: "kubelet",
		Units: []string{"kubelet"}, Sample: "kubelet: StopContainer failed", SampleLine: 9, Lines: []int64{9, 10, 11}, LinesCut: true, Confidence: diagnose.Possible,
		Explained: 40, ExplainedBy: []string{"no-fork"}, Alternatives: []string{"d-state-process"}, Decide: "What ps shows.",
		Pods: []string{"shop/cart-0", "shop/cart-1", "0f3a1b2c-4d5e-6f70-8192-a3b4c5d6e7f8"}, Confirm: []string{}, Remedies: []report.Remedy{},
	}
	late := report.LogMatch{
		Code: "ST903", Slug: "too-late", Title: "Something comes late", File: "/var/log/messages", Count: 2, Units: []string{}, Sample: "late", SampleLine: 2, Lines: []int64{2, 3},
		Confidence: diagnose.Possible, Explained: 2, ExplainedBy: []string{"no-fork"}, Confirm: []string{}, Remedies: []report.Remedy{},
	}
	doc := func(files []report.LogFile, matches ...report.LogMatch) *report.LogScan {
		return &report.LogScan{APIVersion: report.APIVersion, Kind: report.KindLogScan, Files: files, Matches: append([]report.LogMatch{}, matches...)}
	}
	one := report.LogFile{Name: "/var/log/messages", Format: "syslog", Lines: 123_456, Bytes: 20_000_000, First: at(8, 0), Last: at(10, 0)}
	two := report.LogFile{Name: "/var/log/messages-20260228.gz", Format: "syslog, gzip", Lines: 400, Bytes: 40_000, CutLines: 1, Error: "/var/log/messages-20260228.gz: the gzip data ends too early"}
	several := doc([]report.LogFile{one, two}, fork, again, stop, late)
	several.Skipped = []report.SkippedFile{{Name: "/var/log/btmp", Reason: "not named like a log of a node"}, {Name: "/var/log/pods", Reason: "a directory"}}
	hostile := stop
	hostile.Sample, hostile.Units, hostile.Pods, hostile.File = "\x1b[2Jevil \u202e line\nand more", []string{"ke\x1b]0;x\x07rnel"}, []string{"a/\u202eb"}, "/tmp/\x1b[31mred"
	return map[string]*report.LogScan{
		"one": doc([]report.LogFile{one}, fork), "several": several, "none": doc([]report.LogFile{one}), "empty": doc([]report.LogFile{{Name: "stdin", Format: "plain"}}),
		"hostile": doc([]report.LogFile{{Name: "/tmp/\x1b[31mred", Format: "plain", Lines: 1, Error: "\x1b[2Jgone"}}, hostile),
	}
}

// logPictures are what the golden files show of them.
func logPictures() []golden {
	var out []golden
	add := func(name string, s *report.LogScan, o render.Options) {
		format := string(o.Format)
		if format == "" {
			format = "table"
		}
		out = append(out, golden{fmt.Sprintf("logs-%s.logs.%s.%d", name, format, o.Width), func(w io.Writer) error { return render.LogScan(w, s, o) }})
	}
	for name, s := range logScans() {
		add(name, s, render.Options{Width: 80})
		add(name, s, render.Options{Width: 120, Format: render.Wide})
	}
	several := logScans()["several"]
	add("several", several, render.Options{Format: render.JSON})
	add("several", several, render.Options{Format: render.YAML})
	add("several", several, render.Options{Format: render.Name})
	add("several", several, render.Options{Format: render.CustomColumns, Template: "CODE:.code,FILE:.file,LINES:.count"})
	add("several", several, render.Options{Format: render.JSONPath, Template: "{.matches[*].lines}"})
	return out
}

func TestWhatALogSaysIsFitToBeSeen(t *testing.T) {
	for name, s := range logScans() {
		for _, o := range []render.Options{{Width: 60}, {Width: 100, Color: true}, {Width: 80, Format: render.Wide}, {Format: render.JSON}, {Format: render.YAML}, {Format: render.Name}} {
			var b bytes.Buffer
			if err := render.LogScan(&b, s, o); err != nil {
				t.Fatal(err)
			}
			for _, r := range withoutColour(b.String()) {
				if r != '\n' && hidden(r) {
					t.Errorf("%s, %q: %q reaches the terminal", name, o.Format, r)
				}
			}
			if o.Width == 0 || o.Format == render.Wide {
				continue
			}
			for line := range strings.Lines(withoutColour(b.String())) {
				line = strings.TrimRight(line, "\n")
				if word := strings.TrimSpace(line); cells(line) > o.Width && strings.ContainsRune(word, ' ') && !strings.Contains(word, "kubectl ") {
					t.Errorf("%s at %d: %d cells: %q", name, o.Width, cells(line), line)
				}
			}
		}
	}
	if err := render.LogScan(io.Discard, logScans()["one"], render.Options{Format: render.HTML}); err == nil {
		t.Error("there is no page of logs, and no error either")
	}
}
