package main

import (
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// taken is when every incident is looked at. Nothing depends on the date.
var taken = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

const (
	namespace = "incident"
	podName   = "app-0"
	nodeName  = "node-0"
)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(taken.Add(-d)) }

// picture is the least that an API server would have shown of the incident: a pod in the state, its node, and the events. What the incident does
// not tell is not made up: kinds that nobody read are gaps.
func picture(i incident) (*snapshot.Snapshot, error) {
	b := snapshot.NewBuilder()
	version := i.Version
	if version != "" && version[0] >= '0' && version[0] <= '9' {
		version = "v" + version
	}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: nodeName, CreationTimestamp: ago(48 * time.Hour)},
		Status: corev1.NodeStatus{
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", LastTransitionTime: ago(47 * time.Hour)}},
			NodeInfo:   corev1.NodeSystemInfo{KubeletVersion: version},
		},
	}
	renewed := metav1.NewMicroTime(taken.Add(-5 * time.Second))
	if i.State == "NodeLost" || i.State == "Unknown" {
		node.Status.Conditions[0].Status, node.Status.Conditions[0].Reason = corev1.ConditionUnknown, "NodeStatusUnknown"
		node.Status.Conditions[0].LastTransitionTime = ago(20 * time.Minute)
		renewed = metav1.NewMicroTime(taken.Add(-21 * time.Minute))
	}
	b.Add(node)
	b.Add(&coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: nodeName}, Spec: coordinationv1.LeaseSpec{RenewTime: &renewed}})
	for _, line := range i.Evidence.Conditions {
		// "worker-3 NotReady": a node of the incident other than the pod's, as far as the words go.
		if f := strings.Fields(line); len(f) == 2 && f[1] == "NotReady" {
			b.Add(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: f[0]}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{
				Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Reason: "NodeStatusUnknown", LastTransitionTime: ago(30 * time.Minute),
			}}}})
		}
	}
	about := corev1.ObjectReference{Kind: "Pod", Namespace: namespace, Name: podName, APIVersion: "v1"}
	switch subject := subjectOf(i.State); subject {
	case "workload":
		b.Add(&appsv1.ReplicaSet{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "app", CreationTimestamp: ago(30 * time.Minute)},
			Spec:       appsv1.ReplicaSetSpec{Replicas: ptr(int32(1))},
			Status: appsv1.ReplicaSetStatus{Conditions: []appsv1.ReplicaSetCondition{{
				Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", LastTransitionTime: ago(20 * time.Minute),
				Message: messages(i),
			}}},
		})
		about = corev1.ObjectReference{Kind: "ReplicaSet", Namespace: namespace, Name: "app", APIVersion: "apps/v1"}
	default:
		b.Add(pod(i))
	}
	for n, e := range i.Evidence.Events {
		last := ago(time.Duration(len(i.Evidence.Events)-n) * 30 * time.Second)
		b.Add(&corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("event-%d", n)},
			InvolvedObject: about, Type: corev1.EventTypeWarning, Reason: e.Reason, Message: e.Message, Source: corev1.EventSource{Component: e.Source},
			FirstTimestamp: ago(15 * time.Minute), LastTimestamp: last, Count: 5,
		})
	}
	b.SetComplete(snapshot.Event, "")
	b.SetNodeComplete(nodeName)
	for _, info := range snapshot.Kinds() {
		switch info.Kind {
		case snapshot.Pod, snapshot.Node, snapshot.Lease, snapshot.Event, snapshot.ReplicaSet:
		default:
			b.AddGap(snapshot.Gap{Kind: info.Kind, Reason: snapshot.ReasonNotInDump, Detail: "the incident does not tell"})
		}
	}
	census := snapshot.Census{Nodes: map[string]*snapshot.NodeCount{}}
	b.SetCensus(census)
	s, err := b.Build(taken)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", i.ID, err)
	}
	return s, nil
}

// subjectOf tells what is stuck in the incident: a pod, or a workload that has none.
func subjectOf(state string) string {
	if strings.EqualFold(state, "NoPodCreated") || strings.EqualFold(state, "FailedCreate") {
		return "workload"
	}
	return "pod"
}

func messages(i incident) string {
	var out []string
	for _, e := range i.Evidence.Events {
		out = append(out, e.Message)
	}
	return strings.Join(out, "; ")
}

// pod is the pod in the incident's state.
func pod(i incident) runtime.Object {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: podName, UID: "0b0c0d0e-0000-4000-8000-000000000001", CreationTimestamp: ago(30 * time.Minute)},
		Spec:       corev1.PodSpec{NodeName: nodeName, Containers: []corev1.Container{{Name: "main", Image: "registry.example/app:1"}}},
		Status:     corev1.PodStatus{Phase: corev1.PodPending, StartTime: ptr(ago(30 * time.Minute))},
	}
	wait := func(reason string) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}}
	}
	state, _, _ := strings.Cut(i.State, "(")
	switch state {
	case "Terminating", "Completed", "Evicted":
		t := ago(20 * time.Minute)
		p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &t, ptr(int64(30))
		p.Status.Phase = corev1.PodRunning
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: ago(25 * time.Minute)}}}}
	case "Failed":
		p.Status.Phase = corev1.PodFailed
		if len(i.Evidence.Events) > 0 {
			p.Status.Reason, p.Status.Message = i.Evidence.Events[0].Reason, i.Evidence.Events[0].Message
		}
	case "Pending", "Unschedulable", "SchedulingGated":
		p.Spec.NodeName = ""
		reason := corev1.PodReasonUnschedulable
		if state == "SchedulingGated" {
			reason = corev1.PodReasonSchedulingGated
		}
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: reason, LastTransitionTime: ago(25 * time.Minute)}}
	case "NodeLost", "Unknown", "Running":
		p.Status.Phase = corev1.PodRunning
	case "CrashLoopBackOff":
		p.Status.Phase = corev1.PodRunning
		wait(state)
	default:
		if state == "" {
			state = "ContainerCreating"
		}
		wait(state)
	}
	facts(p, i.Evidence.Facts)
	return p
}

// facts puts what is told of the pod's own fields into it.
func facts(p *corev1.Pod, told map[string]any) {
	if list, ok := told["finalizers"].([]any); ok {
		for _, f := range list {
			if s, ok := f.(string); ok {
				p.Finalizers = append(p.Finalizers, s)
			}
		}
	}
	if g, ok := told["deletionGracePeriodSeconds"].(float64); ok {
		p.DeletionGracePeriodSeconds = ptr(int64(g))
	}
	if phase, ok := told["phase"].(string); ok {
		p.Status.Phase = corev1.PodPhase(phase)
	}
	if reason, ok := told["status.reason"].(string); ok {
		p.Status.Reason = reason
	}
}

func ptr[T any](v T) *T { return &v }
