package report

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// overview lists the nodes on which something is stuck or that are in trouble themselves, worst first.
func (b *builder) overview(found stuck.Result) []NodeStory {
	out := []NodeStory{}
	seen := map[string]bool{}
	for _, g := range b.d.Scope.Groups {
		if g.Node != "" {
			seen[g.Node] = true
			out = append(out, b.brief(g.Node, found))
		}
	}
	for _, n := range b.s.Nodes() {
		if !seen[n.Name] && scope.Facts(b.s, n.Name).Broken() {
			out = append(out, b.brief(n.Name, found))
		}
	}
	return out
}

// brief is a node without its details.
func (b *builder) brief(node string, found stuck.Result) NodeStory {
	census := b.s.Census().Of(node)
	st := NodeStory{
		Name: node, Why: []string{}, Facts: factsOf(scope.Facts(b.s, node)), Total: census.Pods, Healthy: census.Ready, Findings: []Finding{},
		Roles: roles(b.s.Node(node)),
	}
	for _, g := range b.d.Scope.Groups {
		if g.Node == node {
			st.Reach, st.Confidence, st.Why, st.Decide, st.Stuck, st.Total = g.Reach, g.Confidence, g.Why, g.Decide, len(g.Stuck), g.Total
		}
	}
	for _, p := range found.Waiting {
		if p.Node == node {
			st.Waiting++
		}
	}
	for _, f := range b.d.OfNode(node) {
		st.Findings = append(st.Findings, b.finding(f))
	}
	sortForReach(st.Findings, st.Reach)
	if st.Reach == "" {
		facts := scope.Facts(b.s, node)
		st.Why = append(st.Why, "nothing is stuck on it", "the node: "+facts.String())
	}
	st.Next = b.command("kubectl stuck node " + node)
	return st
}

// story is everything about one node that bears on stuck pods.
func (b *builder) story(node string, found stuck.Result) NodeStory {
	st := b.brief(node, found)
	st.Next = ""
	n := b.s.Node(node)
	if n != nil {
		for _, c := range n.Status.Conditions {
			st.Conditions = append(st.Conditions, NodeCondition{
				Type: string(c.Type), Status: string(c.Status), Reason: c.Reason, Message: c.Message,
				Since: c.LastTransitionTime.UTC(), Bad: bad(c),
			})
		}
	}
	trouble := map[snapshot.Ref]bool{}
	for _, l := range [][]stuck.Pod{found.Stuck, found.Waiting} {
		for _, p := range l {
			trouble[p.Ref] = true
		}
	}
	pods, _ := b.s.PodsOnNode(node)
	for _, p := range pods {
		if trouble[snapshot.RefOf(p)] {
			continue
		}
		line := b.line(p)
		if line.ReadySince != nil {
			st.HealthyPods = append(st.HealthyPods, line)
		} else {
			st.OtherPods = append(st.OtherPods, line)
		}
	}
	st.Volumes = b.volumes(node, pods)
	st.Budgets = b.budgets(pods)
	for _, e := range b.s.Events(snapshot.Ref{Kind: snapshot.Node, Name: node}) {
		st.Events = append(st.Events, EventLine{Type: e.Type, Reason: e.Reason, Message: e.Message, Count: e.Count, Last: e.Last.UTC()})
	}
	st.IfDeleted = b.ifDeleted(node, pods)
	switch {
	case st.Stuck > 0 && b.unsure(st):
		// What the API cannot tell apart, the node's own logs often can.
		st.Next = "kubectl stuck node " + node + " --logs"
	case len(st.Findings) > 0:
		st.Next = b.command("kubectl stuck explain " + string(st.Findings[0].Code))
		st.Next, _, _ = strings.Cut(st.Next, " --from ") // a cause is explained without a cluster
	}
	return st
}

// unsure tells whether the logs of the node would help: they were not asked for, they can be, and nothing is certain about what is stuck there.
func (b *builder) unsure(st NodeStory) bool {
	return b.s.Origin().Path == "" && b.o.Logs[st.Name] == nil && st.Facts.Exists && !st.Facts.LeaseStale && st.Reach != scope.ReachPod &&
		(len(st.Findings) == 0 || st.Findings[0].Confidence != diagnose.Certain)
}

// line is a pod that is not stuck.
func (b *builder) line(p *corev1.Pod) PodLine {
	line := PodLine{Namespace: p.Namespace, Name: p.Name, Status: snapshot.StatusOf(p).Word}
	if o, ok := b.s.Owner(p); ok {
		line.Owner = &o
	}
	if c := snapshot.PodCondition(p, corev1.PodReady); c != nil && c.Status == corev1.ConditionTrue {
		line.ReadySince = utc(c.LastTransitionTime.Time)
	}
	return line
}

// bad tells whether a condition stands the wrong way: Ready should be True, and everything else, the conditions that
// node-problem-detector adds included, False.
func bad(c corev1.NodeCondition) bool {
	if c.Type == corev1.NodeReady {
		return c.Status != corev1.ConditionTrue
	}
	return c.Status != corev1.ConditionFalse
}

func roles(n *corev1.Node) []string {
	if n == nil {
		return nil
	}
	var out []string
	for k, v := range n.Labels {
		if r, ok := strings.CutPrefix(k, "node-role.kubernetes.io/"); ok && r != "" {
			out = append(out, r)
		} else if k == "kubernetes.io/role" && v != "" {
			out = append(out, v)
		}
	}
	sort.Strings(out)
	return slices.Compact(out)
}

// volumes lists what is attached to the node or used on it.
func (b *builder) volumes(node string, pods []*corev1.Pod) []NodeVolume {
	byName := map[string]*NodeVolume{}
	at := func(name string) *NodeVolume {
		if byName[name] == nil {
			byName[name] = &NodeVolume{Name: name, Pods: []snapshot.Ref{}}
		}
		return byName[name]
	}
	for _, va := range b.s.VolumeAttachments() {
		if va.Spec.NodeName != node || va.Spec.Source.PersistentVolumeName == nil {
			continue
		}
		v := at(*va.Spec.Source.PersistentVolumeName)
		v.Driver, v.Attached = va.Spec.Attacher, va.Status.Attached
		switch {
		case va.Status.DetachError != nil:
			v.Detail = "detaching fails: " + va.Status.DetachError.Message
		case va.Status.AttachError != nil:
			v.Detail = "attaching fails: " + va.Status.AttachError.Message
		case va.DeletionTimestamp != nil:
			v.Detail = "being detached since " + scope.Ago(b.s.Now().Sub(va.DeletionTimestamp.Time))
		}
	}
	for _, p := range pods {
		for i := range p.Spec.Volumes {
			vol := &p.Spec.Volumes[i]
			switch {
			case vol.NFS != nil:
				v := at(vol.NFS.Server + ":" + vol.NFS.Path)
				v.Driver = "nfs"
				v.Pods = append(v.Pods, snapshot.RefOf(p))
			case vol.PersistentVolumeClaim != nil:
				c := b.s.PVC(p.Namespace, vol.PersistentVolumeClaim.ClaimName)
				if c == nil || c.Spec.VolumeName == "" {
					continue
				}
				v := at(c.Spec.VolumeName)
				v.Pods = append(v.Pods, snapshot.RefOf(p))
				if pv := b.s.PV(c.Spec.VolumeName); pv != nil && v.Driver == "" {
					v.Driver = driver(pv)
				}
			}
		}
	}
	out := make([]NodeVolume, 0, len(byName))
	for _, v := range byName {
		out = append(out, *v)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

func driver(pv *corev1.PersistentVolume) string {
	switch src := pv.Spec.PersistentVolumeSource; {
	case src.CSI != nil:
		return src.CSI.Driver
	case src.NFS != nil:
		return "nfs " + src.NFS.Server + ":" + src.NFS.Path
	case src.Local != nil:
		return "local " + src.Local.Path
	case src.HostPath != nil:
		return "hostPath " + src.HostPath.Path
	default:
		return "in-tree"
	}
}

func (b *builder) budgets(pods []*corev1.Pod) []Budget {
	var out []Budget
	seen := map[string]bool{}
	for _, p := range pods {
		if seen[p.Namespace] {
			continue
		}
		seen[p.Namespace] = true
		for _, pdb := range b.s.PodDisruptionBudgets(p.Namespace) {
			sel, err := metav1.LabelSelectorAsSelector(pdb.Spec.Selector)
			if err != nil {
				continue
			}
			n := 0
			for _, q := range pods {
				if q.Namespace == p.Namespace && sel.Matches(labels.Set(q.Labels)) {
					n++
				}
			}
			if n > 0 {
				out = append(out, Budget{Namespace: pdb.Namespace, Name: pdb.Name, DisruptionsAllowed: pdb.Status.DisruptionsAllowed, Pods: n})
			}
		}
	}
	return out
}

// ifDeleted says what deleting the Node object would mean. PodGC force-deletes every pod that is bound to a missing
// node (pkg/controller/podgc, quarantine 40 s, loop 20 s), so it is a force delete of all of them.
func (b *builder) ifDeleted(node string, pods []*corev1.Pod) []string {
	n := b.s.Node(node)
	if n == nil {
		return nil
	}
	var bare, ordered, daemon, local, held []string
	managed := 0
	for _, p := range pods {
		name := p.Namespace + "/" + p.Name
		o, ok := b.s.Owner(p)
		switch {
		case !ok, o.Kind == snapshot.Node:
			bare = append(bare, name)
		case o.Kind == snapshot.DaemonSet:
			daemon = append(daemon, name)
		case o.Kind == snapshot.StatefulSet:
			ordered = append(ordered, name)
		default:
			managed++
		}
		if len(p.Finalizers) > 0 {
			held = append(held, name)
		}
		if slices.ContainsFunc(p.Spec.Volumes, func(v corev1.Volume) bool { return v.EmptyDir != nil || v.HostPath != nil }) {
			local = append(local, name)
		}
	}
	out := []string{fmt.Sprintf("PodGC force-deletes all %d pods bound to it about a minute later, without asking budgets and without waiting for containers to stop", len(pods))}
	say := func(format string, names []string) {
		if len(names) > 0 {
			out = append(out, fmt.Sprintf(format, len(names), some(names)))
		}
	}
	if managed > 0 {
		out = append(out, fmt.Sprintf("%d pods are made again elsewhere by their controllers, if there is room", managed))
	}
	say("%d pods that nobody makes again are lost: %s", bare)
	say("%d StatefulSet pods may come to run twice if the machine still runs them: %s", ordered)
	say("%d pods keep data on the node that is lost to them (emptyDir, hostPath): %s", local)
	say("%d pods have finalizers and stay until those are removed: %s", held)
	say("%d DaemonSet pods go and come back only with the node: %s", daemon)
	if attached := b.attached(node); attached > 0 {
		out = append(out, fmt.Sprintf("%d volumes stay attached until the attach-detach controller lets go of them, after 6 minutes for an unhealthy node", attached))
	}
	f := scope.Facts(b.s, node)
	switch {
	case f.LeaseAge >= 0 && !f.LeaseStale:
		out = append(out, "its kubelet is alive: containers go on running unseen, and it does not register again until it is restarted")
	default:
		out = append(out, "its kubelet does not answer: whether containers still run there cannot be told from here")
	}
	if own := ownLabels(n); len(own) > 0 {
		out = append(out, "labels that kubelet does not put back: "+some(own))
	}
	var taints []string
	for _, t := range n.Spec.Taints {
		if !strings.HasPrefix(t.Key, "node.kubernetes.io/") {
			taints = append(taints, t.ToString())
		}
	}
	if len(taints) > 0 {
		out = append(out, "taints that are lost: "+some(taints))
	}
	return out
}

func (b *builder) attached(node string) int {
	n := 0
	for _, va := range b.s.VolumeAttachments() {
		if va.Spec.NodeName == node && va.Status.Attached {
			n++
		}
	}
	return n
}

// ownLabels lists the node's labels that neither kubelet nor a cloud provider writes (k8s.io/api/core/v1 well_known_labels.go).
func ownLabels(n *corev1.Node) []string {
	var out []string
	for k, v := range n.Labels {
		domain, _, qualified := strings.Cut(k, "/")
		switch {
		case strings.HasPrefix(k, "node-role.kubernetes.io/"):
		case qualified && (domain == "kubernetes.io" || domain == "beta.kubernetes.io" || strings.HasSuffix(domain, ".kubernetes.io") && domain != "node-restriction.kubernetes.io"):
			continue
		}
		out = append(out, k+"="+v)
	}
	sort.Strings(out)
	return out
}

// some names a few of many.
func some(names []string) string {
	if len(names) <= 4 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:4], ", "), len(names)-4)
}
