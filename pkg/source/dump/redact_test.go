package dump_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source/dump"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source/sourcetest"
)

// telling is a pod in which every field that could tell something holds a canary: a word with "q9q" in it.
func telling() []runtime.Object {
	p := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{},
		ObjectMeta: metav1.ObjectMeta{
			Name: "payroll-q9q1-0", Namespace: "acme-q9q2", Labels: map[string]string{"team": "q9q3", "q9q4.corp/tier": "gold-q9q5"},
			Annotations: map[string]string{"q9q6.corp/note": "token q9q7", "kubernetes.io/config.source": "q9q8", "kubectl.kubernetes.io/last-applied-configuration": "q9q9"},
			Finalizers:  []string{"q9q10.corp/hold", "kubernetes.io/pvc-protection"}, DeletionTimestamp: &metav1.Time{Time: sourcetest.Taken().Add(-3600e9).Truncate(1e9)},
			ManagedFields:   []metav1.ManagedFieldsEntry{{Manager: "kubelet", FieldsType: "FieldsV1", FieldsV1: fieldsV1(`{"f:metadata":{"f:finalizers":{"v:\"q9q10.corp/hold\"":{}}}}`)}},
			OwnerReferences: []metav1.OwnerReference{{Kind: "StatefulSet", Name: "payroll-q9q1", APIVersion: "apps/v1", UID: "11111111-2222-3333-4444-5555q9q555555"}},
		},
		Spec: corev1.PodSpec{
			NodeName: "ip-10-0-0-9.q9q11.internal", Hostname: "q9q12", Subdomain: "q9q13", ServiceAccountName: "sa-q9q14",
			ImagePullSecrets: []corev1.LocalObjectReference{{Name: "pull-q9q15"}}, NodeSelector: map[string]string{"q9q16.corp/pool": "q9q17"},
			HostAliases: []corev1.HostAlias{{IP: "192.0.2.77", Hostnames: []string{"db.q9q18.example"}}},
			Containers: []corev1.Container{{
				Name: "q9q19", Image: "q9q20.corp:5000/q9q21/app@sha256:q9q22", Command: []string{"run-q9q23"}, Args: []string{"--password=q9q24"},
				Env:            []corev1.EnvVar{{Name: "PASSWORD", Value: "q9q25"}, {Name: "FROM", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "q9q26"}, Key: "k"}}}},
				LivenessProbe:  &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/q9q27", Host: "q9q28.corp", HTTPHeaders: []corev1.HTTPHeader{{Name: "Authorization", Value: "Bearer q9q29"}}}}},
				ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"q9q30"}}}},
				VolumeMounts:   []corev1.VolumeMount{{Name: "q9q31", MountPath: "/mnt/q9q32", SubPath: "q9q33"}},
			}},
			Volumes: []corev1.Volume{
				{Name: "q9q31", VolumeSource: corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Server: "nfs-q9q34.corp", Path: "/export/q9q35"}}},
				{Name: "q9q36", VolumeSource: corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "nfs.csi.k8s.io", VolumeAttributes: map[string]string{"share": "//198.51.100.7/q9q37", "user": "q9q38"}}}},
				{Name: "q9q39", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/srv/q9q40"}}},
			},
			Tolerations: []corev1.Toleration{{Key: "q9q41.corp/dedicated", Value: "q9q42"}},
		},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, HostIP: "203.0.113.9", PodIP: "2001:db8:77::9", Message: `node "ip-10-0-0-9.q9q11.internal" lost pod acme-q9q2/payroll-q9q1-0`,
			ContainerStatuses: []corev1.ContainerStatus{{Name: "q9q19", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Error", Message: "panic: secret q9q43"}}}},
		},
	}
	e := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "acme-q9q2", Name: "payroll-q9q1-0.17", CreationTimestamp: metav1.Time{Time: sourcetest.Taken().Truncate(1e9)}},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: "acme-q9q2", Name: "payroll-q9q1-0"}, Type: "Warning", Reason: "FailedMount",
		Message: `MountVolume.SetUp failed for volume "q9q31" : mount failed: exit status 32 mounting nfs-q9q34.corp:/export/q9q35 from 203.0.113.9: Connection timed out; secret "missing-q9q44" not found; lookup other.q9q45.corp on 198.51.100.53:53: no such host`,
		Source:  corev1.EventSource{Component: "kubelet", Host: "ip-10-0-0-9.q9q11.internal"}, LastTimestamp: metav1.Time{Time: sourcetest.Taken().Truncate(1e9)},
	}
	return []runtime.Object{p, e}
}

func fieldsV1(raw string) *metav1.FieldsV1 {
	f := &metav1.FieldsV1{}
	f.SetRawString(raw)
	return f
}

func redactedDump(t *testing.T, objects []runtime.Object, path string) (before, after *snapshot.Snapshot) {
	t.Helper()
	ctx := context.Background()
	q := sourcetest.Queries()["everything"]
	before, err := source.Load(ctx, &sourcetest.Memory{Objects: objects, Now: sourcetest.Taken()}, q)
	if err != nil {
		t.Fatal(err)
	}
	if err := dump.Write(ctx, path, before, dump.WriteOptions{Redact: true}); err != nil {
		t.Fatal(err)
	}
	b, err := dump.Open(ctx, []string{path}, dump.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if after, err = b.Load(ctx, q); err != nil {
		t.Fatal(err)
	}
	return before, after
}

func TestRedactLeavesNothingThatTellsWhoseClusterItWas(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	_, after := redactedDump(t, append(sourcetest.Cluster(), telling()...), dir)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"q9q", "hunter2", "10-0-0-9", "203.0.113.9", "198.51.100", "2001:db8:77", "192.0.2.77"} {
			if i := bytes.Index(text, []byte(secret)); i >= 0 {
				t.Errorf("%s holds %q: …%s…", filepath.Base(f), secret, text[max(0, i-80):min(len(text), i+40)])
			}
		}
	}
	var event snapshot.EventRecord
	for _, e := range after.AllEvents() {
		if strings.Contains(e.Message, "mounting") {
			event = e
		}
	}
	for _, stays := range []string{"MountVolume.SetUp failed for volume", "mount failed: exit status 32 mounting ", ": Connection timed out; secret ", " not found; lookup ", ": no such host"} {
		if !strings.Contains(event.Message, stays) {
			t.Errorf("the message lost %q: %s", stays, event.Message)
		}
	}
	i := slices.IndexFunc(after.Pods(), func(p *corev1.Pod) bool { return len(p.Spec.Volumes) == 3 })
	if i < 0 {
		t.Fatal("the pod is not there")
	}
	pod := after.Pods()[i]
	server, path := pod.Spec.Volumes[0].NFS.Server, pod.Spec.Volumes[0].NFS.Path
	if !strings.Contains(event.Message, server+":"+path) || !strings.Contains(event.Message, "from "+pod.Status.HostIP) || event.Regarding.Name != pod.Name || event.Host != pod.Spec.NodeName {
		t.Errorf("names are not the same everywhere: %s %s %s %s: %+v", server, path, pod.Name, pod.Status.HostIP, event)
	}
	if !slices.Contains(pod.Finalizers, "kubernetes.io/pvc-protection") || pod.Spec.Volumes[1].CSI.Driver != "nfs.csi.k8s.io" || len(pod.ManagedFields) != 1 ||
		!strings.Contains(string(pod.ManagedFields[0].FieldsV1.GetRawBytes()), strings.TrimSuffix(pod.Finalizers[0], "/hold")) {
		t.Errorf("known names changed, or the finalizer differs from its managed field: %v %v", pod.Finalizers, pod.ManagedFields)
	}
}

// What is decided on must not change: the same states on as many nodes, the same owners and volumes in common.
func TestARedactedDumpHasTheSameShape(t *testing.T) {
	before, after := redactedDump(t, sourcetest.Cluster(), filepath.Join(t.TempDir(), "d.tar.gz"))
	shape := func(s *snapshot.Snapshot) []string {
		var out []string
		for _, p := range s.Pods() {
			onNode, all := s.PodsOnNode(p.Spec.NodeName)
			owner, owned := s.Owner(p)
			line := []any{snapshot.StatusOf(p), p.DeletionTimestamp, p.Finalizers, len(onNode), all, owner.Kind, owned, len(s.Events(snapshot.RefOf(p))), s.Has(snapshot.Node, "", p.Spec.NodeName)}
			if owned && owner.Kind == snapshot.Deployment {
				line = append(line, strings.HasPrefix(p.Name, owner.Name+"-"))
			}
			for _, v := range p.Spec.Volumes {
				if c := v.PersistentVolumeClaim; c != nil {
					line = append(line, s.Has(snapshot.PersistentVolumeClaim, p.Namespace, c.ClaimName))
				}
			}
			if l := s.NodeLease(p.Spec.NodeName); l != nil {
				line = append(line, l.Spec.RenewTime.UTC())
			}
			out = append(out, show(line))
		}
		out = append(out, show(s.Now().UTC()), show(len(s.Gaps())), show(s.Census().Of("").Status), show(len(s.Census().Nodes)))
		slices.Sort(out)
		return out
	}
	want, got := shape(before), shape(after)
	if !slices.Equal(want, got) {
		t.Errorf("want %s\ngot  %s", strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
	if after.Pod("shop", "cart-0") != nil {
		t.Error("the pod still has its name")
	}
}

func TestTheSameNameGetsAnotherPseudonymInAnotherDump(t *testing.T) {
	_, a := redactedDump(t, sourcetest.Cluster(), filepath.Join(t.TempDir(), "a"))
	_, b := redactedDump(t, sourcetest.Cluster(), filepath.Join(t.TempDir(), "b"))
	names := map[string]bool{}
	for _, p := range append(slices.Clone(a.Pods()), b.Pods()...) {
		if names[p.Name] && !slices.Contains([]string{"agent-a", "evicted", "with-sidecar"}, p.Name) { // Kubernetes' own words
			t.Errorf("pod %s is in both dumps", p.Name)
		}
		names[p.Name] = true
	}
}
