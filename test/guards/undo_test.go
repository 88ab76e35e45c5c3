package guards

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/test/fault"
	"github.com/kubectl-stuck/kubectl-stuck/test/scenario"
)

// undoScenes are about what is left afterwards: one finalizer of two, a pod that comes back, and a run that was interrupted.
func undoScenes() []scene {
	return []scene{
		{name: "one finalizer goes and the other stays, and undo makes the pod again", test: testOneFinalizer},
		{
			name: "an interrupted run says what it did",
			setup: func(ctx context.Context, w *world) error {
				return w.set(ctx, "hasty", "waiter", near, spec("waiter", onNear, grace(2)))
			},
			test: testInterrupted,
		},
	}
}

func testOneFinalizer(t *testing.T, w *world) {
	const namespace, name = scenario.HeldNamespace, scenario.HeldPod
	first := w.until(t, namespace, name, heldOnly)
	if len(first.Finalizers) != 2 {
		t.Fatalf("finalizers %q", first.Finalizers)
	}
	journal := t.TempDir()
	take := func(finalizer string) answer {
		return w.fix(t, "pod", name, "-n", namespace, "--finalizers="+finalizer, "--yes="+name, "--wait", "10s", "--journal", journal)
	}
	a := take(scenario.TheirFinalizer)
	a.warns(t, "finalizers-remain")
	if p := w.get(t, namespace, name); p.UID != first.UID || !slices.Equal(p.Finalizers, []string{scenario.OtherFinalizer}) {
		t.Errorf("%v, finalizers %q; want the same pod with the other one", p.UID, p.Finalizers)
	}
	if len(a.doc.Outcomes) != 1 || a.doc.Outcomes[0].Status != remedy.Done || a.doc.Outcomes[0].Attempts != 1 {
		t.Errorf("outcomes: %s", asJSON(a.doc.Outcomes))
	}
	a = take(scenario.OtherFinalizer)
	a.must(t, 0, remedy.Done)
	if !w.gone(t, namespace, name, first.UID) {
		t.Fatal("the pod is there")
	}
	// Nobody makes a bare pod again, but the journal has it.
	if a := w.stuck(t, w.Kubeconfig(), "undo", a.doc.Run, "--dry-run=server", "--journal", journal); a.Code != 0 {
		t.Errorf("undo --dry-run=server: exit code %d\n%s", a.Code, a.ErrOut)
	}
	if a := w.stuck(t, w.Kubeconfig(), "undo", a.doc.Run, "--journal", journal); a.Code != refused {
		t.Errorf("undo that nobody confirmed: exit code %d", a.Code)
	}
	u := w.stuck(t, w.Kubeconfig(), "undo", a.doc.Run, "--yes="+name, "--journal", journal)
	if u.Code != 0 {
		u = w.stuck(t, w.Kubeconfig(), "undo", a.doc.Run, "--yes", "--journal", journal)
	}
	u.must(t, 0, remedy.Done)
	second := w.until(t, namespace, name, other(first.UID, running("")))
	if !slices.Contains(second.Finalizers, scenario.OtherFinalizer) {
		t.Errorf("it came back with finalizers %q, want %s among them", second.Finalizers, scenario.OtherFinalizer)
	}
	if second.Labels[app] != first.Labels[app] || second.Spec.Containers[0].Image != first.Spec.Containers[0].Image {
		t.Errorf("it came back as another: labels %v, image %s", second.Labels, second.Spec.Containers[0].Image)
	}
	// The name is taken now: once more is refused.
	if again := w.stuck(t, w.Kubeconfig(), "undo", a.doc.Run, "--yes="+name, "--journal", journal); again.Code == 0 {
		t.Error("the same run was undone twice")
	}
	if p := w.get(t, namespace, name); p.UID != second.UID {
		t.Error("undo has replaced a pod")
	}
}

func testInterrupted(t *testing.T, w *world) {
	const namespace, name = "hasty", "waiter-0"
	if err := w.unstoppable(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	// The replacement never becomes Ready, so that the proof is waited for.
	if _, err := w.Node(near).Faults().Add(t.Context(), fault.Rule{ID: "no-sandbox-" + namespace, Call: fault.RunPodSandbox, Match: fault.Match{Namespace: namespace}, Action: fault.Hang}); err != nil {
		t.Fatal(err)
	}
	if err := w.delete(t.Context(), namespace, name); err != nil {
		t.Fatal(err)
	}
	first := w.until(t, namespace, name, overdue)
	journal := t.TempDir()
	cmd := exec.CommandContext(t.Context(), filepath.Join(w.dir, "kubectl-stuck"), "fix", "pod", name, "-n", namespace, "--force", "--yes="+name, "--attest", "I do not mind a second one here", "--wait", "3m", "--journal", journal, "-o", "json")
	cmd.Env = []string{"KUBECONFIG=" + w.Kubeconfig(), "HOME=" + w.dir, "PATH=" + os.Getenv("PATH")}
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, func(context.Context) error {
		if !w.gone(t, namespace, name, first.UID) {
			return errors.New("the pod is there")
		}
		return nil
	})
	time.Sleep(3 * time.Second) // it waits for the replacement now
	began := time.Now()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it ended %s after the interrupt", took)
	}
	code := cmd.ProcessState.ExitCode()
	t.Logf("exit code %d (%v)\n%s", code, err, errOut.String())
	if code != 1 {
		t.Errorf("exit code %d, want 1: what was wanted is not proven", code)
	}
	if strings.Contains(errOut.String(), "nothing was changed") {
		t.Errorf("it says that nothing was changed, and the pod is gone: %s", errOut.String())
	}
	if !strings.Contains(out.String()+errOut.String(), "nterrupt") {
		t.Errorf("it does not say that it was interrupted: %s\n%s", out.String(), errOut.String())
	}
	kept := journalOf(t, journal)
	for _, word := range []string{`"type":"intent"`, `"type":"outcome"`, `"done"`, string(first.UID)} {
		if !strings.Contains(kept, word) {
			t.Errorf("the journal has no %s", word)
		}
	}
	h := w.stuck(t, w.Kubeconfig(), "history", "--journal", journal)
	if h.Code != 0 || !strings.Contains(h.Out, name) || !strings.Contains(h.Out, "done") || !json.Valid([]byte(h.Out)) {
		t.Errorf("history: exit code %d\n%s", h.Code, h.Out)
	}
}
