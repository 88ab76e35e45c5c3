package remedy

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

const (
	// ProbeLabel is on every pod that probes a node; its value is made of the node's name. By it the pods of a run that was killed are found.
	ProbeLabel = "kubectl-stuck.dev/probe"
	// ProbeContainer is the name of its container.
	ProbeContainer = "probe"
	// ProbeGrace is its grace period, in seconds: it has nothing to finish.
	ProbeGrace = 2

	// probePrefix begins its name.
	probePrefix = "stuck-probe-"
	// probeTimeout is how long a probe may take before it is deleted where nothing was asked for, in seconds.
	probeTimeout = 60
	// probeMargin is by how much a probe outlives the run that made it, in seconds, before its kubelet ends it: the time that its deletion is waited for, and the
	// deletion by force after that.
	probeMargin = 90
)

// ProbeOptions choose the probe.
type ProbeOptions struct {
	// Namespace is where its pods are made.
	Namespace string
	// Image is the one that they run; empty takes one that the node has already.
	Image string
	// Suffix ends the names of the pods, so that no two runs have the same.
	Suffix string
	// Beside is a healthy node to compare with; empty compares with none.
	Beside string
	// Left are pods of earlier runs that were killed before they could delete them: see LeftOver.
	Left []*corev1.Pod
}

// ErrNoImage says that no image is known that the node has. A Node object that was registered a moment ago does not list any yet.
var ErrNoImage = errors.New("no image is known that it has: name one with --probe-image")

// MakeProbe plans that a small pod runs on the node, and before that on a healthy one to compare with. Each has an act of two steps: the pod is created, and
// deleted whatever came of it. Acts that delete what an earlier run left go first.
func MakeProbe(c *NodeCase, o ProbeOptions, cluster Cluster) (Plan, error) {
	plan := Plan{
		APIVersion: APIVersion, Kind: KindPlan, Made: c.S.Now(), Expires: c.S.Now().Add(Lifetime), Cluster: cluster, Asked: c.Asked,
	}
	switch {
	case c.Node == nil && c.Facts.Exists == snapshot.Absent:
		return plan, fmt.Errorf("node %s: %w", c.Ref.Name, ErrNodeGone)
	case c.Node == nil:
		return plan, fmt.Errorf("node %s could not be read", c.Ref.Name)
	case c.Planned != "" && c.Planned != c.Node.UID:
		return plan, fmt.Errorf("node %s has UID %s, and was to be %s: %w", c.Ref.Name, c.Node.UID, c.Planned, ErrReplaced)
	case o.Namespace == "":
		return plan, errors.New("no namespace was given for the probe")
	}
	// Without room the scheduler may make some, by evicting a pod of lower priority: a probe must not do that.
	if most, ok := c.Node.Status.Allocatable[corev1.ResourcePods]; ok && c.AllPods {
		n := len(slices.DeleteFunc(slices.Clone(c.Pods), func(p NodePod) bool { return snapshot.IsTerminal(p.Case.Pod.Object) }))
		if int64(n) >= most.Value() {
			return plan, fmt.Errorf("node %s has %d pods, which is all that it takes: there is no room for a probe", c.Ref.Name, n)
		}
	}
	image, says, err := c.probeImage(o.Image)
	if err != nil {
		return plan, err
	}
	for _, pod := range o.Left {
		plan.Acts = append(plan.Acts, removeLeft(pod))
	}
	type canary struct{ node, name, why string }
	pods := []canary{{c.Ref.Name, probePrefix + o.Suffix, "shows which part of a pod's life does not work there"}}
	if o.Beside != "" {
		pods = append([]canary{{o.Beside, probePrefix + o.Suffix + "-beside", "shows how a healthy node does the same"}}, pods...)
	}
	for _, p := range pods {
		n := c.S.Node(p.node)
		if n == nil {
			return plan, fmt.Errorf("node %s, to compare with, could not be read", p.node)
		}
		act, err := probeAct(n, snapshot.Ref{Kind: snapshot.Pod, Namespace: o.Namespace, Name: p.name}, image, c.Asked.Timeout)
		if err != nil {
			return plan, err
		}
		act.Why = p.why + says
		if p.node == c.Ref.Name {
			act.Verdicts = JudgeNode(c, ProbeNode)
		}
		plan.Acts = append(plan.Acts, act)
	}
	return plan, nil
}

// probeAct is one pod, created and deleted.
func probeAct(n *corev1.Node, ref snapshot.Ref, image string, timeout int64) (Act, error) {
	if bad := validation.IsDNS1123Label(ref.Name); len(bad) > 0 {
		return Act{}, fmt.Errorf("%q is not the name of a pod: %s", ref.Name, strings.Join(bad, "; "))
	}
	manifest, err := probeManifest(n, ref, image, timeout)
	if err != nil {
		return Act{}, err
	}
	return Act{
		Target: ref, Node: n.Name, Remedies: []ID{ProbeNode}, Risk: diagnose.RiskLow, Help: NotAlone,
		Steps: []Step{
			{
				Verb: Create, Ref: ref, Manifest: manifest,
				What: fmt.Sprintf("run pod %s/%s on node %s", ref.Namespace, ref.Name, n.Name),
				Undo: Undo{How: "the pod is this tool's own, and the next step deletes it"},
			},
			{
				Verb: Delete, Ref: ref, OfBefore: true,
				What:    fmt.Sprintf("delete pod %s/%s", ref.Namespace, ref.Name),
				Kubectl: []string{fmt.Sprintf("kubectl delete pod %s -n %s", quote(ref.Name), quote(ref.Namespace))},
				Undo:    Undo{How: "nothing is lost with it: the pod is this tool's own"},
			},
		},
	}, nil
}

// probeManifest is the pod. It goes through the scheduler, and not past it with spec.nodeName, because that is a stage of its own; it tolerates every taint, so
// that a node can be proven before it takes other pods. It passes the Pod Security Standard "restricted" (k8s.io/pod-security-admission/policy).
//
// It requests nothing, and says so: what has no requests at all is refused where a quota counts them, and even one millicore can make the scheduler evict a pod
// of lower priority from a node that is full. It has limits for the same quotas, and with them it is not BestEffort, which kubelets reject under memory pressure
// (pkg/kubelet/eviction Admit).
func probeManifest(n *corev1.Node, ref snapshot.Ref, image string, timeout int64) (json.RawMessage, error) {
	if timeout <= 0 {
		timeout = probeTimeout
	}
	var (
		zero, off   = resource.MustParse("0"), false
		deadline    = timeout + probeMargin
		grace       = int64(ProbeGrace)
		hard        = &corev1.SecurityContext{}
		nonRoot, id = true, int64(65535) // that of pause images, which have no other
		security    = &corev1.PodSecurityContext{RunAsNonRoot: &nonRoot}
	)
	os := corev1.OSName(cmp.Or(n.Labels[corev1.LabelOSStable], n.Status.NodeInfo.OperatingSystem))
	if os == corev1.Windows {
		user := "ContainerUser"
		security.WindowsOptions = &corev1.WindowsSecurityContextOptions{RunAsUserName: &user}
	} else {
		security.RunAsUser, security.RunAsGroup = &id, &id
		security.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
		hard.AllowPrivilegeEscalation, hard.ReadOnlyRootFilesystem = &off, &nonRoot
		hard.Capabilities = &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}
	}
	pod := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: ref.Namespace, Name: ref.Name, Labels: map[string]string{ProbeLabel: probeHash(n.Name)},
			// It must not keep the machine from being taken away.
			Annotations: map[string]string{"cluster-autoscaler.kubernetes.io/safe-to-evict": "true"},
		},
		Spec: corev1.PodSpec{
			Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{{
					Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{n.Name},
				}}}},
			}}},
			Tolerations:   []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			RestartPolicy: corev1.RestartPolicyNever, ActiveDeadlineSeconds: &deadline, TerminationGracePeriodSeconds: &grace,
			AutomountServiceAccountToken: &off, EnableServiceLinks: &off, DNSPolicy: corev1.DNSDefault, SecurityContext: security,
			Volumes: []corev1.Volume{{Name: "empty", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
			Containers: []corev1.Container{{
				Name: ProbeContainer, Image: image, ImagePullPolicy: corev1.PullIfNotPresent, SecurityContext: hard,
				VolumeMounts: []corev1.VolumeMount{{Name: "empty", MountPath: "/kubectl-stuck-probe"}},
				Resources: corev1.ResourceRequirements{
					Requests: corev1.ResourceList{corev1.ResourceCPU: zero, corev1.ResourceMemory: zero},
					Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("64Mi")},
				},
			}},
		},
	}
	if os == corev1.Linux || os == corev1.Windows {
		pod.Spec.OS = &corev1.PodOS{Name: os}
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(pod)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	delete(fields, "status")
	if meta, ok := fields["metadata"].(map[string]any); ok {
		delete(meta, "creationTimestamp")
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	return raw, nil
}

// probeHash is the name of a node as the value of a label: names of nodes may be longer than those.
func probeHash(node string) string {
	sum := sha256.Sum256([]byte(node))
	return hex.EncodeToString(sum[:6])
}

// pauseName is what the images of pod sandboxes are called, the last part of their name: pause, pause-amd64, mirrored-pause. They do nothing but wait.
var pauseName = regexp.MustCompile(`(^|-)pause(-|$)`)

// probeImage chooses the image: the one that was asked for, else a pause image that the node has, else the smallest that it has. A node lists its 50 largest
// images (kubelet's nodeStatusMaxImages), so that of many a pause image may be missing.
func (c *NodeCase) probeImage(asked string) (image, says string, err error) {
	if asked != "" {
		if strings.ContainsFunc(asked, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }) {
			return "", "", fmt.Errorf("%q is not the name of an image", asked)
		}
		return asked, "", nil
	}
	var pause, smallest string
	least := int64(0)
	for _, i := range c.Node.Status.Images {
		name := imageName(i)
		switch {
		case name == "":
		case pauseName.MatchString(imageBase(name)):
			pause = cmp.Or(pause, name)
		case smallest == "" || i.SizeBytes < least:
			smallest, least = name, i.SizeBytes
		}
	}
	switch {
	case pause != "":
		return pause, "", nil
	case smallest != "":
		return smallest, fmt.Sprintf("; it runs %s, the smallest image of the node, as that starts by itself, because no pause image is known there: --probe-image names another", smallest), nil
	}
	// A Node object that was registered a moment ago lists no images yet. What runs there has one.
	for _, p := range c.Pods {
		for _, status := range p.Case.Pod.Object.Status.ContainerStatuses {
			if status.State.Running != nil && status.Image != "" && p.Case.Pod.Object.DeletionTimestamp == nil {
				return status.Image, fmt.Sprintf("; it runs %s, which pod %s/%s runs there: --probe-image names another", status.Image, p.Case.Pod.Ref.Namespace, p.Case.Pod.Ref.Name), nil
			}
		}
	}
	return "", "", fmt.Errorf("node %s: %w", c.Ref.Name, ErrNoImage)
}

// imageName is a name by which an image can be asked for: that with a tag, else that with a digest.
func imageName(i corev1.ContainerImage) string {
	digest := ""
	for _, name := range i.Names {
		switch {
		case name == "" || strings.Contains(name, "<none>"):
		case strings.Contains(name, "@"):
			digest = cmp.Or(digest, name)
		default:
			return name
		}
	}
	return digest
}

// imageBase is the last part of an image's name, without its tag and digest.
func imageBase(name string) string {
	name, _, _ = strings.Cut(name, "@")
	name, _, _ = strings.Cut(path.Base(name), ":")
	return name
}

// LeftOver tells whether the pod is a probe that an earlier run left: it has this tool's label and name, and is older than its own deadline, which no run
// outlives. A probe that somebody runs now is younger.
func LeftOver(pod *corev1.Pod, now time.Time) bool {
	deadline := pod.Spec.ActiveDeadlineSeconds
	_, ours := pod.Labels[ProbeLabel]
	return ours && strings.HasPrefix(pod.Name, probePrefix) && deadline != nil && *deadline > 0 && *deadline < int64((24*time.Hour)/time.Second) &&
		now.Sub(pod.CreationTimestamp.Time) > time.Duration(*deadline)*time.Second
}

// removeLeft deletes what an earlier run left. Where its kubelet did not end it at its deadline, it is not waited for.
func removeLeft(pod *corev1.Pod) Act {
	ref := snapshot.RefOf(pod)
	step := Step{
		Verb: Delete, Ref: ref, ResourceVersion: pod.ResourceVersion,
		What:    fmt.Sprintf("delete pod %s/%s, a probe that an earlier run left", ref.Namespace, ref.Name),
		Kubectl: []string{fmt.Sprintf("kubectl delete pod %s -n %s", quote(ref.Name), quote(ref.Namespace))},
		Undo:    Undo{How: "nothing is lost with it: the pod is this tool's own"},
	}
	if !snapshot.IsTerminal(pod) && pod.Spec.NodeName != "" {
		grace := int64(0)
		step.Grace, step.Kubectl = &grace, []string{step.Kubectl[0] + " --grace-period=0 --force"}
	}
	return Act{
		Target: ref, Node: pod.Spec.NodeName, Remedies: []ID{ProbeNode}, Risk: diagnose.RiskLow, Help: NotAlone, Why: "the run that made it was ended before it could",
		Steps: []Step{step},
	}
}

// PickBeside picks a healthy node to compare with, the one most like the node: Ready with a fresh lease, schedulable, of the same operating system and
// architecture, with nothing stuck on it. Where there is none the name is empty; why says why it is this one, or none.
func PickBeside(p *Picture, node string) (name, why string) {
	of := p.S.Node(node)
	if of == nil {
		return "", fmt.Sprintf("node %s could not be read, so that no other can be called like it", node)
	}
	hang := map[string]int{}
	for _, g := range p.D.Scope.Groups {
		hang[g.Node] += len(g.Stuck)
	}
	best, not := -1, map[string]int{}
	for _, n := range p.S.Nodes() {
		if n.Name == node {
			continue
		}
		if bad := unfitBeside(p, of, n, hang[n.Name]); bad != "" {
			not[bad]++
			continue
		}
		if like := likeness(of, n); like > best || like == best && n.Name < name {
			best, name = like, n.Name
		}
	}
	if name != "" {
		zone := of.Labels[corev1.LabelTopologyZone]
		if zone != "" && p.S.Node(name).Labels[corev1.LabelTopologyZone] == zone {
			return name, fmt.Sprintf("it is healthy, and in zone %s like node %s", zone, node)
		}
		return name, fmt.Sprintf("it is healthy, and the most like node %s", node)
	}
	if len(not) == 0 {
		if !p.S.Complete(snapshot.Node, "") {
			return "", "the nodes of the cluster could not be read"
		}
		return "", "the cluster has no other node"
	}
	var reasons []string
	for _, reason := range slices.Sorted(maps.Keys(not)) {
		reasons = append(reasons, fmt.Sprintf("%d %s", not[reason], reason))
	}
	return "", "of the other nodes none is known to be healthy and of the same kind: " + strings.Join(reasons, ", ")
}

// unfitBeside says why a node does not do to be compared with; empty where it does.
func unfitBeside(p *Picture, of, n *corev1.Node, hang int) string {
	f := scope.Facts(p.S, n.Name)
	a, b := of.Status.NodeInfo, n.Status.NodeInfo
	_, virtual := (&Case{S: p.S, Pod: stuck.Pod{Object: &corev1.Pod{}, Node: n.Name}}).virtual()
	trouble := func(t corev1.Taint) bool { // what kubelets, controllers and this tool say of a node, rather than whom it is for
		return t.Effect != corev1.TaintEffectPreferNoSchedule && (strings.HasPrefix(t.Key, "node.kubernetes.io/") || strings.HasPrefix(t.Key, "node.cloudprovider.kubernetes.io/") || t.Key == TaintUnproven)
	}
	switch {
	case a.OperatingSystem != b.OperatingSystem || a.Architecture != b.Architecture:
		return "of another operating system or architecture"
	case f.Ready != string(corev1.ConditionTrue) || n.DeletionTimestamp != nil:
		return "not Ready"
	case f.LeaseStale || f.NoLease:
		return "without a fresh lease"
	case f.Cordoned || slices.ContainsFunc(n.Spec.Taints, trouble):
		return "cordoned or tainted"
	case hang > 0:
		return "with stuck pods"
	case virtual:
		return "without a machine"
	}
	return ""
}

// likeness counts what two nodes have in common, labels first of all: pools, instance types and zones are told by them. A member of the control plane is
// compared with last, unless the node is one.
func likeness(a, b *corev1.Node) int {
	n := 0
	for k, v := range a.Labels {
		if w, ok := b.Labels[k]; ok && v == w {
			n++
		}
	}
	if zone := a.Labels[corev1.LabelTopologyZone]; zone != "" && b.Labels[corev1.LabelTopologyZone] == zone {
		n += 3
	}
	x, y := a.Status.NodeInfo, b.Status.NodeInfo
	for _, same := range []bool{x.KubeletVersion == y.KubeletVersion, x.ContainerRuntimeVersion == y.ContainerRuntimeVersion, x.OSImage == y.OSImage} {
		if same {
			n++
		}
	}
	const plane = "node-role.kubernetes.io/control-plane"
	_, ofPlane := a.Labels[plane]
	if _, is := b.Labels[plane]; is == ofPlane {
		n += 100
	}
	return n
}
