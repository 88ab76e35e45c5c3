package status

import (
	"fmt"
	"math/rand/v2"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	core "k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install" // registers the conversions
	"k8s.io/kubernetes/pkg/printers"
	"k8s.io/kubernetes/pkg/printers/internalversion"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// pods is how many made-up pods are compared.
const pods = 20_000

func TestTheStatusOfAPodIsWhatTheAPIServerPrints(t *testing.T) {
	tables := printers.NewTableGenerator()
	internalversion.AddHandlers(tables)
	words := map[string]int{}
	for seed := range uint64(pods) {
		p := invent(rand.New(rand.NewPCG(seed, 1)))
		var in core.Pod
		if err := legacyscheme.Scheme.Convert(p, &in, nil); err != nil {
			t.Fatal(err)
		}
		table, err := tables.GenerateTable(&in, printers.GenerateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got := snapshot.StatusOf(p)
		words[got.Word]++
		cells := table.Rows[0].Cells
		if want := fmt.Sprint(cells[2]); got.Word != want {
			t.Fatalf("seed %d: STATUS %q, the API server prints %q\n%+v", seed, got.Word, want, p.Status)
		}
		if want := fmt.Sprint(cells[1]); fmt.Sprintf("%d/%d", got.Ready, got.Containers) != want {
			t.Fatalf("seed %d: READY %d/%d, the API server prints %q\n%+v", seed, got.Ready, got.Containers, want, p.Status)
		}
	}
	if len(words) < 30 {
		t.Errorf("only %d different words came up: %v", len(words), words)
	}
}

// invent makes a pod in some state, sensible or not.
func invent(r *rand.Rand) *corev1.Pod {
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	chance := func(percent int) bool { return r.IntN(100) < percent }
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "n"}}
	p.Status.Phase = corev1.PodPhase(pick("Pending", "Running", "Succeeded", "Failed", "Unknown"))
	p.Status.Reason = pick("", "", "", "Evicted", "NodeLost", "NodeShutdown")
	if chance(30) {
		now := metav1.Now()
		p.DeletionTimestamp = &now
	}
	for _, t := range []corev1.PodConditionType{corev1.PodScheduled, corev1.PodInitialized, corev1.PodReady} {
		if chance(60) {
			p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{
				Type: t, Status: corev1.ConditionStatus(pick("True", "False", "Unknown")), Reason: pick("", "Unschedulable", corev1.PodReasonSchedulingGated),
			})
		}
	}
	status := func(name string) corev1.ContainerStatus {
		yes := chance(50)
		c := corev1.ContainerStatus{Name: name, Ready: chance(50), RestartCount: int32(r.IntN(4)), Started: &yes}
		switch r.IntN(4) {
		case 0:
			c.State.Waiting = &corev1.ContainerStateWaiting{Reason: pick("", "PodInitializing", "ContainerCreating", "CrashLoopBackOff", "ImagePullBackOff", "CreateContainerError")}
		case 1:
			c.State.Running = &corev1.ContainerStateRunning{}
		case 2:
			c.State.Terminated = &corev1.ContainerStateTerminated{Reason: pick("", "Completed", "Error", "OOMKilled"), ExitCode: int32(r.IntN(3)), Signal: int32(r.IntN(2) * 9)}
		}
		return c
	}
	always := corev1.ContainerRestartPolicyAlways
	for i := range r.IntN(3) {
		c := corev1.Container{Name: fmt.Sprint("init-", i)}
		if chance(30) {
			c.RestartPolicy = &always
		}
		p.Spec.InitContainers = append(p.Spec.InitContainers, c)
		if chance(80) {
			p.Status.InitContainerStatuses = append(p.Status.InitContainerStatuses, status(c.Name))
		}
	}
	for i := range 1 + r.IntN(3) {
		c := corev1.Container{Name: fmt.Sprint("main-", i)}
		p.Spec.Containers = append(p.Spec.Containers, c)
		if chance(80) {
			p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, status(c.Name))
		}
	}
	return p
}
