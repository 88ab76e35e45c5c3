package remedy

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/admission"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

// standing is what rungs ask of a case: how its containers, its node, its controller and its volumes are.
type standing struct {
	*Case
	obj   *corev1.Pod
	facts scope.NodeFacts // of its node; Exists is Unknown for a pod that has none
}

func (c *Case) standing() standing {
	st := standing{Case: c, obj: c.Pod.Object}
	if st.obj == nil {
		st.obj = &corev1.Pod{}
	}
	if c.Pod.Node != "" {
		st.facts = scope.Facts(c.S, c.Pod.Node)
	}
	return st
}

func (st standing) deleting() bool { return st.obj.DeletionTimestamp != nil }

// name is "shop/cart-0".
func (st standing) name() string { return st.Pod.Ref.Namespace + "/" + st.Pod.Ref.Name }

func (st standing) mirror() bool {
	_, is := st.obj.Annotations[corev1.MirrorPodAnnotationKey]
	return is
}

// virtual tells whether a program stands for the node instead of a machine (the labels and the taint by which virtual-kubelet and its kin are known).
func (st standing) virtual() bool {
	n := st.S.Node(st.Pod.Node)
	if st.Pod.Node == "" || n == nil {
		return false
	}
	if n.Labels["type"] == "virtual-kubelet" || n.Labels["eks.amazonaws.com/compute-type"] == "fargate" || n.Labels[corev1.LabelInstanceTypeStable] == "eklet" {
		return true
	}
	return slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == "virtual-kubelet.io/provider" })
}

func (st standing) outOfService() bool {
	n := st.S.Node(st.Pod.Node)
	return st.Pod.Node != "" && n != nil && outOfService(n)
}

// vouchedFor tells whether the person's word stands for the pod's node. It lifts guards, and makes nothing less dangerous: it may be wrong.
func (st standing) vouchedFor() bool {
	words, err := st.attested()
	return err == nil && words != ""
}

// kindOfController is the kind of who controls the pod directly; empty for a bare pod.
func (st standing) kindOfController() string {
	for _, o := range st.obj.OwnerReferences {
		if o.Controller != nil && *o.Controller {
			return o.Kind
		}
	}
	return ""
}

func (st standing) bare() bool { return st.kindOfController() == "" && !st.mirror() }

// promises tells whether at most one pod of this identity may run at a time, with what says so: the same as the guard at-most-one asks.
func (st standing) promises() []string {
	why, _ := st.single()
	return why
}

// dropped says what it costs that a rung makes the object go past its kubelet while nothing shows that the containers stopped; false where it does not. It weighs
// evidence alone, and a person's word only in how it says so.
func (st standing) dropped(id ID) (Work, bool) {
	if past, _ := st.past(id); !past || st.atRest().known {
		return Work{}, false
	}
	w := Work{Risk: diagnose.RiskHigh, Loses: st.leftovers()}
	switch {
	case len(st.promises()) > 0:
		w.Risk = diagnose.RiskDataLoss
	case st.vouchedFor():
		w.Risk = diagnose.RiskMedium
	}
	return w, true
}

func (st standing) volume(claim, pv string) string {
	switch {
	case claim != "" && pv != "":
		return fmt.Sprintf("PersistentVolumeClaim %s (PersistentVolume %s)", claim, pv)
	case claim != "":
		return "PersistentVolumeClaim " + claim
	default:
		return "volume " + pv
	}
}

// attached lists the volumes that only one node may have and that are attached to the pod's node.
func (st standing) attached() []string {
	var out []string
	for _, l := range st.Volumes {
		if oneNode(l.Chain) && l.Attachment != nil && l.Attachment.Status.Attached {
			out = append(out, st.volume(l.Claim, l.VolumeName()))
		}
	}
	return out
}

// blocked names the first gate that cannot answer and without which the request is refused; sure is false where only the API server can tell
// whether it is asked.
func blocked(gates []admission.Gate) (why string, sure bool) {
	for _, pass := range []bool{true, false} {
		for _, g := range gates {
			if g.Blocks() && g.Sure == pass {
				return fmt.Sprintf("%s of %s cannot answer: %s", gateName(g), g.Ref, g.Backend.Why), pass
			}
		}
	}
	return "", false
}

func gateName(g admission.Gate) string {
	switch g.Kind {
	case admission.MutatingWebhook, admission.ValidatingWebhook:
		return "webhook " + g.Name
	default:
		return "policy " + g.Name
	}
}

// nodeTrouble tells whether what is wrong is the node's: the verdict of its reach, or what the API itself shows.
func (st standing) nodeTrouble() bool {
	return st.Pod.Node != "" && (st.Reach == scope.ReachNode || st.facts.Ready != "" && st.facts.Ready != string(corev1.ConditionTrue))
}

// pinned says why another pod of the same controller can only go to the same node; empty where it may go elsewhere.
func (st standing) pinned() string {
	if st.Pod.Node == "" {
		return ""
	}
	if st.kindOfController() == "DaemonSet" {
		return "its DaemonSet makes it anew on the same node"
	}
	if host := st.obj.Spec.NodeSelector[corev1.LabelHostname]; host != "" {
		return fmt.Sprintf("its nodeSelector binds it to the node with %s=%s", corev1.LabelHostname, host)
	}
	if a := st.obj.Spec.Affinity; a != nil && a.NodeAffinity != nil && single(a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution) {
		return "its node affinity binds it to one node"
	}
	for _, l := range st.Volumes {
		if l.PV != nil && l.PV.Spec.NodeAffinity != nil && single(l.PV.Spec.NodeAffinity.Required) {
			return fmt.Sprintf("PersistentVolume %s is on that node alone", l.PV.Name)
		}
	}
	return ""
}

// single tells whether every term of a selector names one node.
func single(sel *corev1.NodeSelector) bool {
	if sel == nil || len(sel.NodeSelectorTerms) != 1 {
		return false
	}
	t := sel.NodeSelectorTerms[0]
	one := func(rs []corev1.NodeSelectorRequirement, key string) bool {
		return slices.ContainsFunc(rs, func(r corev1.NodeSelectorRequirement) bool {
			return r.Key == key && r.Operator == corev1.NodeSelectorOpIn && len(r.Values) == 1
		})
	}
	return one(t.MatchFields, "metadata.name") || one(t.MatchExpressions, corev1.LabelHostname)
}

// successor says how the pod would fare that its controller makes instead. Help is that of having it: Helps where nothing speaks against it.
func (st standing) successor() (Help, string) {
	if st.bare() {
		return Helps, "no controller makes another pod"
	}
	if why := st.pinned(); why != "" && st.nodeTrouble() {
		return NoHelp, fmt.Sprintf("what is wrong is node %s, and %s: it would stick again", st.Pod.Node, why)
	}
	for _, f := range st.Findings {
		switch {
		case startup(f.Code) && !st.deleting():
			return NoHelp, fmt.Sprintf("another pod has the same specification, and so the same trouble (%s %s)", f.Code, f.Slug)
		case (f.Reach == scope.ReachShared || f.Reach == scope.ReachCluster) && f.Confidence != diagnose.Possible:
			return NotAlone, fmt.Sprintf("what is wrong is %s (%s %s), which another pod needs too: it would stick as well", f.Subject, f.Code, f.Slug)
		}
	}
	if held := st.attached(); len(held) > 0 {
		return MayHelp, fmt.Sprintf("%s is attached to node %s: a pod on another node waits for it (Multi-Attach) until it is detached there", strings.Join(held, ", "), st.Pod.Node)
	}
	for _, l := range st.Volumes {
		if oneNode(l.Chain) && len(l.Elsewhere) > 0 {
			return MayHelp, fmt.Sprintf("%s is attached to node %s as well: another pod may have to wait for it (Multi-Attach)", st.volume(l.Claim, l.VolumeName()), l.Elsewhere[0].Spec.NodeName)
		}
	}
	return Helps, ""
}

// finalPhrase words a list of finalizers.
func finalPhrase(names []string) string {
	if len(names) == 1 {
		return "finalizer " + names[0]
	}
	return "finalizers " + strings.Join(names, ", ")
}

// leftovers are what stays on a machine whose kubelet has not finished with the pod. What a person vouches for is listed all the same, as what comes of it
// if they are wrong.
func (st standing) leftovers() []string {
	known := st.atRest().known
	absent := st.facts.Exists == snapshot.Absent
	if st.Pod.Node == "" || absent && known {
		return nil
	}
	var out []string
	add := func(format string, args ...any) {
		says := fmt.Sprintf(format, args...)
		if st.vouchedFor() {
			says = "if your word is wrong: " + says
		}
		out = append(out, says)
	}
	switch {
	case st.virtual():
		out = append(out, fmt.Sprintf("the task behind virtual node %s may go on running, and be paid for", st.Pod.Node))
	case !known:
		add("containers of the pod may go on running on node %s, unseen by Kubernetes", st.Pod.Node)
	}
	if !known {
		st.twice(add)
	}
	if st.virtual() || st.outOfService() || absent {
		return out
	}
	for _, l := range st.Volumes {
		if l.CanHang() && st.Pod.Stage != stuck.FinalizersOnly {
			out = append(out, fmt.Sprintf("the mount of %s may stay on node %s", l.Describe(), st.Pod.Node))
		}
	}
	return out
}

// twice lists what would be there twice, if a container still runs when the next pod starts.
func (st standing) twice(add func(format string, args ...any)) {
	if st.Pod.Object == nil {
		return
	}
	next, _ := st.waitsToBeGone()
	writers := false
	for _, v := range volume.Of(st.S, st.obj) {
		one, _ := exclusive(st.Case, v)
		switch what := st.volume(v.Claim, v.VolumeName()); {
		case one != "" && v.Claim != "" && v.PVC == nil:
			add("two writers on %s, perhaps: it was not read", what)
		case one != "" && v.Claim != "":
			add("two writers on %s, if a container still runs when its replacement starts", what)
		case one != "" || next != "" && writable(v):
			add("two writers on volume %s, if a container still runs when its replacement starts", v.Describe())
		default:
			continue
		}
		writers = true
	}
	if next != "" && !writers {
		add("two pods at once, if a container still runs: %s", lower(next))
	}
	if whose, _ := st.identity(); len(whose) > 0 {
		add("two pods with the identity of %s at once, if a container still runs", st.name())
	}
}

// startup tells whether the cause is about what the pod asks for: images, configuration, scheduling. Its code tells (diagnose.AreaStartup).
func startup(c diagnose.Code) bool { return (diagnose.Cause{Code: c}).Area() == diagnose.AreaStartup }

// clock words a time of the cluster.
func clock(t time.Time) string { return t.UTC().Format("15:04:05 UTC") }

// join puts clauses together, without the empty ones.
func join(clauses ...string) string {
	return strings.Join(slices.DeleteFunc(clauses, func(s string) bool { return s == "" }), "; ")
}

// lower makes the first letter small, to go on with a sentence.
func lower(s string) string { return first(s, unicode.ToLower) }

func first(s string, change func(rune) rune) string {
	r, n := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError {
		return s
	}
	return string(change(r)) + s[n:]
}

// quote makes a word safe for a shell. Kubernetes' own names need none; what a file claims to be a name may.
func quote(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._/,=:", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// job is the Job that made the pod; nil where there is none, or it was not read.
func (st standing) job() *batchv1.Job {
	for _, o := range st.obj.OwnerReferences {
		if o.Controller != nil && *o.Controller && o.Kind == "Job" {
			return st.S.Job(st.obj.Namespace, o.Name)
		}
	}
	return nil
}

func (st standing) finalOnly() bool { return st.Pod.Stage == stuck.FinalizersOnly }

// controls makes a test for the reference of a controller of the kind.
func controls(kind string) func(metav1.OwnerReference) bool {
	return func(o metav1.OwnerReference) bool { return o.Controller != nil && *o.Controller && o.Kind == kind }
}

// keepsOut names the first taint of the pod's node that keeps a DaemonSet from making a pod for it; empty where none does. The controller adds tolerations
// of its own to the pods that it makes, and unreachable:NoSchedule is not among them (pkg/controller/daemon nodeShouldRunDaemonPod and
// util AddOrUpdateDaemonPodTolerations).
func (c *Case) keepsOut() string {
	n := c.S.Node(c.Pod.Node)
	if n == nil || c.Pod.Object == nil {
		return ""
	}
	for i := range n.Spec.Taints {
		t := &n.Spec.Taints[i]
		if t.Effect != corev1.TaintEffectNoSchedule {
			continue
		}
		if !slices.ContainsFunc(c.Pod.Object.Spec.Tolerations, func(o corev1.Toleration) bool { return tolerates(o, t) }) {
			return t.Key + ":" + string(t.Effect)
		}
	}
	return ""
}

// tolerates follows k8s.io/component-helpers/scheduling/corev1 for the operators that every version has; one that is not known here is taken to tolerate.
func tolerates(o corev1.Toleration, t *corev1.Taint) bool {
	if o.Effect != "" && o.Effect != t.Effect || o.Key != "" && o.Key != t.Key {
		return false
	}
	switch o.Operator {
	case "", corev1.TolerationOpEqual:
		return o.Key != "" && o.Value == t.Value
	default:
		return true
	}
}
