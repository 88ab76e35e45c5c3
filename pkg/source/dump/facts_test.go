package dump_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source/dump"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source/sourcetest"
)

// The index reads a few fields of a pod by itself, to count it. It must come to the same row as the decoded pod does.
func TestTheIndexCountsPodsAsTheirFullObjectsDo(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	state := func() (s corev1.ContainerState) {
		switch r.IntN(5) {
		case 0:
			s.Waiting = &corev1.ContainerStateWaiting{Reason: pick("", "CrashLoopBackOff", "PodInitializing", "ContainerCreating"), Message: `a "quoted" {message}`}
		case 1:
			s.Terminated = &corev1.ContainerStateTerminated{Reason: pick("", "Completed", "Error", "OOMKilled"), ExitCode: int32(r.IntN(3)), Signal: int32(r.IntN(2) * 9), FinishedAt: metav1.Time{Time: sourcetest.Taken()}}
		case 2, 3:
			s.Running = &corev1.ContainerStateRunning{StartedAt: metav1.Time{Time: sourcetest.Taken()}}
		}
		return s
	}
	statuses := func(containers []corev1.Container) (out []corev1.ContainerStatus) {
		for _, c := range containers[:r.IntN(len(containers)+1)] {
			s := corev1.ContainerStatus{Name: c.Name, Ready: r.IntN(2) == 0, RestartCount: int32(r.IntN(4)), State: state(), LastTerminationState: state()}
			if r.IntN(2) == 0 {
				started := r.IntN(2) == 0
				s.Started = &started
			}
			out = append(out, s)
		}
		return out
	}
	containers := func(n int, prefix string) (out []corev1.Container) {
		for i := range n {
			c := corev1.Container{Name: prefix + string(rune('a'+i)), Image: "x"}
			if prefix == "init-" && r.IntN(2) == 0 {
				c.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
			}
			out = append(out, c)
		}
		return out
	}
	var texts, want []string
	words := map[string]bool{}
	for i := range 3000 {
		p := &corev1.Pod{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
			ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "p" + string(rune('a'+i%26)) + pick("x", "é\n", "\"") + show(i)},
			Spec:       corev1.PodSpec{NodeName: pick("", "n1", "n2"), Containers: containers(r.IntN(3), "c-"), InitContainers: containers(r.IntN(3), "init-")},
			Status:     corev1.PodStatus{Phase: corev1.PodPhase(pick("", "Pending", "Running", "Succeeded", "Failed", "Unknown")), Reason: pick("", "", "Evicted", "NodeLost")},
		}
		p.Status.ContainerStatuses, p.Status.InitContainerStatuses = statuses(p.Spec.Containers), statuses(p.Spec.InitContainers)
		for _, c := range []corev1.PodConditionType{corev1.PodReady, corev1.PodInitialized, corev1.PodScheduled} {
			if r.IntN(2) == 0 {
				p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: c, Status: corev1.ConditionStatus(pick("True", "False")), Reason: pick("", "SchedulingGated")})
			}
		}
		if r.IntN(3) == 0 {
			p.DeletionTimestamp = &metav1.Time{Time: sourcetest.Taken()}
		}
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(b))
		row, _ := source.RowOf(p)
		want = append(want, show(row))
		words[row.Status] = true
	}
	if len(words) < 15 {
		t.Fatalf("only the states %v came up", words)
	}
	slices.Sort(want)
	for _, text := range []string{list("List", texts...), indented(t, list("List", texts...))} {
		b, err := dump.Open(context.Background(), []string{"-"}, dump.Options{Stdin: strings.NewReader(text), AsOf: sourcetest.Taken()})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		if err := b.Census(context.Background(), "a", "", "", func(r *source.Row) { got = append(got, show(*r)) }); err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		for i := range want {
			if i >= len(got) || want[i] != got[i] {
				t.Fatalf("want %s, got %s", want[i], got[min(i, len(got)-1)])
			}
		}
	}
}
