package drain

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/test/world"
)

const (
	powerSpace = "vault"
	powerDisk  = "pv-vault"
)

// powered is a node that is switched off with a volume, and comes back.
func powered() scene {
	return scene{
		name: "a node that is off gives its volume away by the out-of-service taint, which goes when it is back",
		setup: func(ctx context.Context, w *world.World) error {
			if err := w.Disk(ctx, powerSpace, "data", powerDisk); err != nil {
				return err
			}
			return w.Set(ctx, powerSpace, "vault", diskly, world.Spec("vault", world.Grace(2), world.Tolerate(diskly), world.Prefer(diskly), world.Claim("data")))
		},
		test: testPowered,
	}
}

func testPowered(t *testing.T, w *world.World) {
	ctx, dir := t.Context(), journalIn(t)
	const word = "I switched disk-1 off at its power supply"
	set := []string{"node", diskly, "--out-of-service", "--attest", word, "--yes=" + diskly, "--journal", dir}
	remove := []string{"node", diskly, "--out-of-service=remove", "--yes", "--journal", dir}
	first := podsIn(t, w, powerSpace)[0]

	t.Log("it lives: the word of a person is not enough")
	untouched(t, w, diskly, powerSpace, func() {
		must(t, stuck(t, w, set...), world.Refused)
	})
	ok(t, w.Node(diskly).Stop())
	ok(t, w.UntilNode(ctx, 2*time.Minute, diskly, world.Ready(corev1.ConditionUnknown)))

	t.Log("it is off, and nobody says so")
	untouchedPods := podsIn(t, w, powerSpace)
	must(t, stuck(t, w, "node", diskly, "--out-of-service", "--yes="+diskly, "--journal", dir), world.Refused)
	if n := getNode(t, w, diskly); world.Tainted(n, corev1.TaintNodeOutOfService) || len(untouchedPods) != 1 {
		t.Fatalf("it is tainted without an attestation: %s", asJSON(n.Spec.Taints))
	}

	t.Log("it is off")
	// The lease says so too a while later, which the guards may want to see.
	var a world.Answer
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Second) {
		a = stuck(t, w, set...)
		if a.Code != world.Refused || time.Now().After(deadline) {
			break
		}
		t.Logf("refused by %v", a.Blocks())
	}
	must(t, a, 0)
	n := getNode(t, w, diskly)
	found := false
	for _, taint := range n.Spec.Taints {
		found = found || taint.Key == corev1.TaintNodeOutOfService && taint.Value == "nodeshutdown" && taint.Effect == corev1.TaintEffectNoExecute
	}
	if !found {
		t.Errorf("the taints: %s", asJSON(n.Spec.Taints))
	}
	ok(t, w.Until(ctx, powerSpace, "vault", 1, world.Off(diskly)))
	if now := podsIn(t, w, powerSpace); len(now) != 1 || now[0].UID == first.UID {
		t.Errorf("the pods: %s", asJSON(now))
	}
	holders, err := w.Attached(ctx, powerDisk)
	ok(t, err)
	if len(holders) != 1 || holders[0] == diskly {
		t.Errorf("the volume is attached to %v", holders)
	}

	t.Log("while it is off the taint stays")
	must(t, stuck(t, w, remove...), world.Refused)
	if !world.Tainted(getNode(t, w, diskly), corev1.TaintNodeOutOfService) {
		t.Fatal("the taint is gone while the node is off")
	}

	t.Log("it is back")
	ok(t, w.Node(diskly).Restart(ctx))
	a = stuck(t, w, "node", diskly, "--probe", "--yes", "--journal", dir)
	must(t, a, 0)
	proven(t, a)
	must(t, stuck(t, w, remove...), 0)
	nothingLeft(t, w, diskly)
	if n := getNode(t, w, diskly); world.Tainted(n, corev1.TaintNodeOutOfService) || world.Tainted(n, remedy.TaintUnproven) {
		t.Errorf("its taints: %s", asJSON(n.Spec.Taints))
	}
	holders, err = w.Attached(ctx, powerDisk)
	ok(t, err)
	if len(holders) != 1 || holders[0] == diskly {
		t.Errorf("the volume is attached to %v", holders)
	}
}
