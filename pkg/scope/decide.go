package scope

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// Numbers of this tool's own.
const (
	// stormShare is the share of unhealthy nodes above which the nodes are not to blame one by one. It is the share at
	// which the node controller stops evicting too (kube-controller-manager --unhealthy-zone-threshold, 0.55).
	stormShare = 0.55
	stormNodes = 3 // fewer nodes than this are no storm
	// quiet is how long nothing may have moved on a node before that is evidence.
	quiet = 5 * time.Minute
)

// Decide groups the stuck pods by node and judges each group. explained are the pods for which a cause has
// spoken already: one that is certain, and not about the node, takes its pod out of the evidence against the node.
func Decide(s *snapshot.Snapshot, found stuck.Result, explained map[snapshot.Ref]Explanation) Result {
	r := Result{Pods: map[snapshot.Ref]Verdict{}}
	byNode := map[string][]stuck.Pod{}
	for _, p := range found.Stuck {
		byNode[p.Node] = append(byNode[p.Node], p)
	}
	r.Shared = findShared(s, found.Stuck, explained)
	nodes, unhealthy, reason := health(s)
	r.Nodes, r.Unhealthy = nodes, unhealthy
	storm := ""
	if stormy(nodes, unhealthy) {
		storm = reason
	}
	via := map[snapshot.Ref]*Shared{}
	for i := len(r.Shared) - 1; i >= 0; i-- { // the best comes first, and so is written last
		for _, p := range r.Shared[i].Pods {
			via[p] = &r.Shared[i]
		}
	}
	for node, pods := range byNode {
		j := judge{s: s, node: node, pods: pods, explained: explained, via: via, storm: storm, nodes: r.Nodes, unhealthy: r.Unhealthy}
		g := j.group(r.Pods)
		r.Groups = append(r.Groups, g)
	}
	r.Shared = slices.DeleteFunc(r.Shared, func(sh Shared) bool { return sh.Confidence == Possible && !r.open(sh.Pods) })
	shareNodes(s, &r)
	sort.Slice(r.Groups, func(i, j int) bool { return worse(r.Groups[i], r.Groups[j]) })
	return r
}

// open tells whether any of the pods is not yet laid at the door of its node or of something surer.
func (r *Result) open(pods []snapshot.Ref) bool {
	return slices.ContainsFunc(pods, func(p snapshot.Ref) bool {
		v := r.Pods[p].Reach
		return v == ReachPod || v == ReachUndecided
	})
}

// worse orders groups: what spans most comes first, then what holds most pods.
func worse(a, b Group) bool {
	order := map[Reach]int{ReachCluster: 0, ReachNode: 1, ReachShared: 2, ReachUndecided: 3, ReachPod: 4}
	switch {
	case order[a.Reach] != order[b.Reach]:
		return order[a.Reach] < order[b.Reach]
	case len(a.Stuck) != len(b.Stuck):
		return len(a.Stuck) > len(b.Stuck)
	default:
		return a.Node < b.Node
	}
}

// health counts the nodes, and the largest number of them that are unhealthy for one reason: whose kubelet does not answer, or whose Ready
// condition is False for the same reason in the same words.
func health(s *snapshot.Snapshot) (nodes, unhealthy int, reason string) {
	n := map[string]int{}
	for _, node := range s.Nodes() {
		nodes++
		if r := Facts(s, node.Name).ailment(); r != "" {
			if n[r]++; n[r] > unhealthy {
				unhealthy, reason = n[r], r
			}
		}
	}
	return nodes, unhealthy, reason
}

// silence is the ailment of a node whose kubelet does not answer.
const silence = "does not answer"

// ailment says in a few words what is wrong with a node, the same for all that have the same wrong.
func (f NodeFacts) ailment() string {
	switch {
	case f.silent() || f.Ready == "Unknown":
		return silence
	case f.Ready == "False":
		words := strings.Fields(f.ReadyMessage)
		return strings.Join(append([]string{"is not ready:", f.ReadyReason}, words[:min(len(words), 6)]...), " ")
	default:
		return ""
	}
}

// nodeBound tells whether the pod waits for its node: what it hangs in is the kubelet's, runtime's or kernel's work
// and not its own content.
func nodeBound(p stuck.Pod) bool {
	if p.Node == "" || p.Pulling {
		return false
	}
	switch p.State {
	case stuck.Terminating:
		return p.Stage == stuck.KillUnconfirmed || p.Stage == stuck.Cleanup
	case stuck.ContainerCreating, stuck.PodInitializing, stuck.Pending, stuck.NodeLost, stuck.CreateContainerError, stuck.RunContainerError:
		return true
	case stuck.Init:
		return p.Word == "Init:ContainerCreating"
	default:
		return false
	}
}

type judge struct {
	s                *snapshot.Snapshot
	node             string
	pods             []stuck.Pod
	explained        map[snapshot.Ref]Explanation
	via              map[snapshot.Ref]*Shared
	storm            string // the ailment of so many nodes that they are not to blame one by one
	nodes, unhealthy int
}

// tally is the evidence about one node.
type tally struct {
	bound    []stuck.Pod // stuck, waiting for the node, with no reason of their own
	shared   []stuck.Pod // stuck through something shared
	own      []stuck.Pod // stuck for a reason of their own
	owners   map[string]bool
	starting int
	ending   int
	since    time.Time // when the first of bound got stuck
	ready    int       // pods on the node that became Ready since
	gone     int       // pods that ended and are gone since, by their events
	seenAll  bool      // every pod on the node was read
}

func (j *judge) group(verdicts map[snapshot.Ref]Verdict) Group {
	census := j.s.Census().Of(j.node)
	g := Group{Node: j.node, Stuck: j.pods, Total: max(census.Pods, len(j.pods)), Healthy: census.Ready}
	if j.node != "" {
		g.Facts = Facts(j.s, j.node)
	}
	t := j.tally(g.Facts)
	if j.node == "" {
		g.Verdict, g.Why = j.unscheduled(t)
	} else {
		g.Verdict, g.Why, g.Decide = j.decide(t, g)
	}
	for _, p := range t.bound {
		verdicts[p.Ref] = g.Verdict
	}
	if g.Reach != ReachNode && g.Reach != ReachCluster && g.Reach != ReachUndecided {
		for _, p := range t.bound {
			verdicts[p.Ref] = Verdict{Reach: ReachPod, Confidence: g.Confidence}
		}
	}
	for _, p := range t.own {
		verdicts[p.Ref] = ownVerdict(j.explained[p.Ref])
	}
	for _, p := range t.shared {
		v := Verdict{Reach: ReachShared, Confidence: Likely}
		if sh := j.via[p.Ref]; sh != nil {
			v.Confidence, v.Via = sh.Confidence, sh.Kind+" "+sh.Name
			if e, ok := j.explained[p.Ref]; ok && e.Certain && e.Reach == ReachCluster {
				v.Reach = ReachCluster
			}
		}
		if g.Reach == ReachNode || g.Reach == ReachCluster {
			v = g.Verdict
		}
		verdicts[p.Ref] = v
	}
	return g
}

func ownVerdict(e Explanation) Verdict {
	v := Verdict{Reach: ReachPod, Confidence: Likely}
	if e.Certain {
		v.Confidence = Certain
	}
	if e.Reach == ReachCluster {
		v.Reach = ReachCluster
	}
	if !e.Via.IsZero() && e.Via.Kind != snapshot.Pod {
		v.Via = e.Via.String()
	}
	return v
}

func (j *judge) any(f func(stuck.Pod) bool) bool { return slices.ContainsFunc(j.pods, f) }

func (j *judge) tally(f NodeFacts) tally {
	t := tally{owners: map[string]bool{}}
	dead := f.silent()
	for _, p := range j.pods {
		e, known := j.explained[p.Ref]
		sh := j.via[p.Ref]
		switch {
		case sh != nil && sh.Confidence != Possible:
			t.shared = append(t.shared, p)
		case known && e.speaksFor(), j.node == "", !nodeBound(p) && (!dead || p.Stage == stuck.FinalizersOnly):
			t.own = append(t.own, p) // where the kubelet is dead, nothing but a finalizer's owner can move a pod
		default:
			t.bound = append(t.bound, p)
			t.owners[p.OwnerOrSelf().String()] = true
			if p.State.Starting() {
				t.starting++
			} else {
				t.ending++
			}
		}
	}
	if j.node == "" || len(t.bound) == 0 {
		return t
	}
	t.since = together(t.bound)
	var there []*corev1.Pod
	there, t.seenAll = j.s.PodsOnNode(j.node)
	present := map[snapshot.Ref]bool{}
	for _, p := range there {
		present[snapshot.Ref{Kind: snapshot.Pod, Namespace: p.Namespace, Name: p.Name}] = true
		if c := snapshot.PodCondition(p, corev1.PodReady); c != nil && c.Status == corev1.ConditionTrue &&
			c.LastTransitionTime.After(t.since) && startedSince(p, t.since) {
			t.ready++
		}
	}
	if t.seenAll {
		t.gone = j.endedSince(t.since, present)
	}
	return t
}

// together is when a second workload got stuck beside the first, which is when one began to suspect the node; with one workload, when that
// did. A pod that has hung for weeks does not vouch for the node with all that has moved in those weeks.
func together(pods []stuck.Pod) time.Time {
	first := map[string]time.Time{}
	for _, p := range pods {
		o := p.OwnerOrSelf().String()
		if at, ok := first[o]; !ok || p.Since.Before(at) {
			first[o] = p.Since
		}
	}
	var onsets []time.Time
	for _, at := range first {
		onsets = append(onsets, at)
	}
	slices.SortFunc(onsets, time.Time.Compare)
	return onsets[min(1, len(onsets)-1)]
}

// startedSince tells whether a container of the pod started after the moment. A pod whose readiness probe merely came
// back says nothing about the node's power to start containers.
func startedSince(p *corev1.Pod, when time.Time) bool {
	for i := range p.Status.ContainerStatuses {
		if r := p.Status.ContainerStatuses[i].State.Running; r != nil && r.StartedAt.After(when) {
			return true
		}
	}
	return false
}

// endedSince counts the pods that this node's kubelet was told to kill after the moment and that are gone.
func (j *judge) endedSince(when time.Time, present map[snapshot.Ref]bool) int {
	gone := map[snapshot.Ref]bool{}
	for _, e := range j.s.AllEvents() {
		ref := e.Regarding
		ref.UID = ""
		if e.Reason == "Killing" && e.Host == j.node && ref.Kind == snapshot.Pod && e.Last.After(when) && !present[ref] {
			gone[ref] = true
		}
	}
	return len(gone)
}

// unscheduled judges the pods that have no node.
func (j *judge) unscheduled(t tally) (Verdict, []string) {
	owners := map[string]bool{}
	for _, p := range j.pods {
		owners[p.OwnerOrSelf().String()] = true
	}
	why := []string{fmt.Sprintf("%s of %s have no node", count(len(j.pods), "pod"), count(len(owners), "workload"))}
	cluster := 0
	for _, p := range j.pods {
		if e := j.explained[p.Ref]; e.Certain && e.Reach == ReachCluster {
			cluster++
		}
	}
	switch {
	case cluster > 0 && 2*cluster >= len(j.pods):
		return Verdict{Reach: ReachCluster, Confidence: Certain}, append(why, fmt.Sprintf("%d of them wait for the control plane", cluster))
	case len(t.shared) > 0 && len(t.own) == 0:
		return Verdict{Reach: ReachShared, Confidence: j.via[t.shared[0].Ref].Confidence, Via: j.via[t.shared[0].Ref].Name}, append(why, j.via[t.shared[0].Ref].Why)
	default:
		return Verdict{Reach: ReachPod, Confidence: Likely}, append(why, "each waits for something of its own")
	}
}

func (j *judge) decide(t tally, g Group) (v Verdict, why []string, settle string) {
	f := g.Facts
	head := fmt.Sprintf("%d of %d pods on it are stuck, of %s", len(j.pods), g.Total, count(len(ownersOf(j.pods)), "workload"))
	if both(t) {
		head += fmt.Sprintf(": %d starting, %d ending", t.starting, t.ending)
	}
	why = append(why, head)
	state := "the node: " + f.String()
	switch {
	case f.Exists == snapshot.Absent && j.any(func(p stuck.Pod) bool { return p.Stage != stuck.FinalizersOnly }):
		return j.missing(t, g, append(why, state))
	case len(t.bound) == 0 && len(t.shared) == 0:
		return j.ownOnly(t), append(why, j.ownReasons(t)...), ""
	case j.storm != "" && f.ailment() == j.storm:
		suspect := "what they have in common is to be suspected before the nodes"
		if j.storm == silence {
			suspect = "the control plane or the network between is to be suspected before the nodes"
		}
		return Verdict{Reach: ReachCluster, Confidence: Likely}, append(why, state, fmt.Sprintf("%d of %d nodes at once %s: %s", j.unhealthy, j.nodes, plural(j.storm), suspect)), ""
	case f.silent():
		c := Certain
		if f.Ready != "Unknown" {
			c = Likely // the lease alone
		}
		return Verdict{Reach: ReachNode, Confidence: c}, append(why, state+": its kubelet does not answer"), ""
	case f.Ready == "Unknown":
		return Verdict{Reach: ReachNode, Confidence: Likely}, append(why, state+": its kubelet renews its lease and yet does not report, or it has only just come back"), ""
	case len(t.bound) == 0:
		sh := j.via[t.shared[0].Ref]
		why = append(why, sh.Why, state)
		if len(t.own) > 0 {
			why = append(why, j.ownReasons(t)...)
		}
		return Verdict{Reach: ReachShared, Confidence: sh.Confidence, Via: sh.Kind + " " + sh.Name}, why, ""
	case f.Ready == "False":
		c := Likely
		if len(t.owners) >= 2 && t.ready+t.gone == 0 {
			c = Certain
		}
		return Verdict{Reach: ReachNode, Confidence: c}, append(why, fmt.Sprintf("%s: %s %s", state, f.ReadyReason, f.ReadyMessage)), ""
	}
	return j.byNumbers(t, why, state)
}

// missing judges the pods of a node that has no object. PodGC removes them within a minute (a quarantine of 40 s and a loop of 20 s), so
// where it has not, it is no longer the node alone; and pods that run there say that the node was missed rather than missing.
func (j *judge) missing(t tally, g Group, why []string) (Verdict, []string, string) {
	cluster, overdue := 0, false
	for _, p := range j.pods {
		if e := j.explained[p.Ref]; e.Likely && e.Reach == ReachCluster {
			cluster++
		}
		overdue = overdue || p.For > 2*time.Minute
	}
	switch {
	case cluster == len(j.pods):
		return Verdict{Reach: ReachCluster, Confidence: Likely}, append(why, "PodGC, which removes pods of missing nodes, does not run"), ""
	case g.Healthy > 0 && len(t.bound)+len(t.own) > 0:
		return Verdict{Reach: ReachUndecided, Confidence: Possible}, append(why, fmt.Sprintf("yet %s on it are Running and Ready", count(g.Healthy, "pod"))),
			"whether the Node was deleted within the last minute, or the list of nodes that this is made from is not whole"
	case overdue:
		return Verdict{Reach: ReachNode, Confidence: Likely}, append(why, "PodGC should have removed its pods within a minute"), ""
	default:
		return Verdict{Reach: ReachNode, Confidence: Certain}, why, ""
	}
}

// plural puts an ailment into the plural: "do not answer", "are not ready: …".
func plural(ailment string) string {
	return strings.Replace(strings.Replace(ailment, "does not", "do not", 1), "is not", "are not", 1)
}

// byNumbers judges a node that looks well by what hangs on it and what does not.
func (j *judge) byNumbers(t tally, why []string, state string) (Verdict, []string, string) {
	moved := fmt.Sprintf("none became Ready or went away since %s", Ago(j.s.Now().Sub(t.since)))
	if t.ready+t.gone > 0 {
		moved = fmt.Sprintf("%d became Ready and %d went away there since %s", t.ready, t.gone, Ago(j.s.Now().Sub(t.since)))
	}
	if !t.seenAll {
		moved += " (among the pods that could be read)"
	}
	owners := len(t.owners)
	if len(t.bound) < len(j.pods) {
		why = append(why, fmt.Sprintf("%s of %s wait for the node itself", count(len(t.bound), "pod"), count(owners, "workload")))
	}
	why = append(why, moved, state)
	nodeSaid := j.nodeSaid(t)
	if nodeSaid > 0 {
		why = append(why, fmt.Sprintf("the messages about %d of them are about the node's own runtime, kernel or network", nodeSaid))
	}
	why = append(why, j.ownReasons(t)...)
	movedOn := t.ready+t.gone > 0
	switch {
	case owners >= 2 && !movedOn && (both(t) || owners >= 3):
		c := Likely
		if both(t) && owners >= 3 && t.seenAll {
			c = Certain
		}
		return Verdict{Reach: ReachNode, Confidence: c}, why, ""
	case owners == 2 && !movedOn && nodeSaid < 2 && j.s.Now().Sub(t.since) < quiet:
		return Verdict{Reach: ReachUndecided, Confidence: Possible}, why,
			fmt.Sprintf("time: on a quiet node nothing need have moved in %s. Look again in a few minutes, or start a small pod there", Short(j.s.Now().Sub(t.since)))
	case owners >= 2 && !movedOn, owners >= 3 && len(t.bound) > t.ready+t.gone:
		return Verdict{Reach: ReachNode, Confidence: Likely}, why, ""
	case owners >= 2 && nodeSaid >= 2:
		return Verdict{Reach: ReachNode, Confidence: Likely}, why, ""
	case owners >= 2:
		return Verdict{Reach: ReachUndecided, Confidence: Possible}, why,
			fmt.Sprintf("the node still starts or ends pods, yet %d workloads hang there: see explain for each pod, and whether what they have in common (volume, image, size) is missing from the pods that moved", owners)
	case movedOn:
		return Verdict{Reach: ReachPod, Confidence: Likely}, why, ""
	case j.elsewhere(t) != "":
		return Verdict{Reach: ReachPod, Confidence: Likely}, append(why, j.elsewhere(t)), ""
	default:
		return Verdict{Reach: ReachUndecided, Confidence: Possible}, why,
			fmt.Sprintf("one workload alone does not convict a node: start a small pod there (kubectl run probe --image=… --overrides='{\"spec\":{\"nodeName\":%q}}'), wait until it runs, delete it; if it hangs too, it is the node", j.node)
	}
}

// elsewhere says that the one workload that hangs here hangs on other nodes too, and nothing else does; empty where that is
// not so. It is the workload then, and not each of its nodes.
func (j *judge) elsewhere(t tally) string {
	for _, p := range t.bound {
		if sh := j.via[p.Ref]; sh == nil || sh.Kind != traitWorkload || len(sh.Nodes) < 2 {
			return ""
		}
	}
	return j.via[t.bound[0].Ref].Why
}

// nodeSaid counts the bound pods for which a cause named the node, with more than a guess.
func (j *judge) nodeSaid(t tally) int {
	n := 0
	for _, p := range t.bound {
		if e, ok := j.explained[p.Ref]; ok && e.Reach == ReachNode && e.Likely {
			n++
		}
	}
	return n
}

func both(t tally) bool { return t.starting > 0 && t.ending > 0 }

// ownOnly judges a group in which no pod waits for the node.
func (j *judge) ownOnly(t tally) Verdict {
	v := Verdict{Reach: ReachPod, Confidence: Certain}
	cluster := 0
	for _, p := range t.own {
		e := j.explained[p.Ref]
		if !e.Certain {
			v.Confidence = Likely
		}
		if e.Reach == ReachCluster {
			cluster++
		}
	}
	if cluster == len(t.own) && cluster > 0 {
		v.Reach = ReachCluster
	}
	return v
}

// ownReasons says how many pods hang for a reason that is not the node's.
func (j *judge) ownReasons(t tally) []string {
	byReason := map[string]int{}
	for _, p := range t.own {
		byReason[ownReason(p)]++
	}
	var out []string
	for reason, n := range byReason {
		out = append(out, fmt.Sprintf("%s %s", count(n, "pod"), reason))
	}
	sort.Strings(out)
	return out
}

func ownReason(p stuck.Pod) string {
	switch {
	case p.Stage == stuck.FinalizersOnly:
		return "held by finalizers only, with which the node has nothing to do"
	case p.Stage == stuck.NodeGone:
		return "bound to a node that does not exist"
	default:
		return fmt.Sprintf("in %s for a reason of its own", p.Word)
	}
}

func ownersOf(pods []stuck.Pod) map[string]bool {
	out := map[string]bool{}
	for _, p := range pods {
		out[p.OwnerOrSelf().String()] = true
	}
	return out
}
