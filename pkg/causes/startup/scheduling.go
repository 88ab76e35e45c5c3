package startup

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// obstacle is the kind of a reason for which the scheduler passes nodes over.
type obstacle string

const (
	obstacleResources obstacle = "resources"
	obstacleTaints    obstacle = "taints"
	obstacleAffinity  obstacle = "affinity"
	obstacleTopology  obstacle = "topology"
	obstacleVolumes   obstacle = "volumes" // the storage causes'
	obstacleClaims    obstacle = "claims"  // of devices: dra-claim-pending
	obstacleOther     obstacle = "other"
)

// objection is one counted reason of the scheduler's message.
type objection struct {
	nodes int
	text  string
	kind  obstacle
	// byDesign are nodes that ordinary pods never go to: those of the control plane.
	byDesign bool
}

// rejection is the scheduler's message, taken apart.
type rejection struct {
	total      int
	objections []objection
	ev         []diagnose.Evidence
}

// The scheduler's message: "0/5 nodes are available: 2 Insufficient cpu, 3 node(s) had untolerated taint(s).
// preemption: 0/5 nodes are available: …" (pkg/scheduler/framework/types.go FitError).
var (
	available = regexp.MustCompile(`\b(?:0/(\d+) nodes are (?:un)?available|all nodes are unavailable)(?:: ?|,? )(.*)`)
	counted   = regexp.MustCompile(`(?:^|, )(\d+) `)
)

// rejectionOf reads the pod's condition, or, where that does not say, the last event of a scheduler.
func rejectionOf(s *snapshot.Snapshot, p stuck.Pod) (rejection, bool) {
	if p.Object == nil || p.State != stuck.Unschedulable && p.State != stuck.Pending || p.Node != "" {
		return rejection{}, false
	}
	c := snapshot.PodCondition(p.Object, corev1.PodScheduled)
	if c != nil && c.Status != corev1.ConditionFalse {
		return rejection{}, false
	}
	if c != nil && c.Message != "" {
		if r, ok := parseRejection(c.Message); ok {
			r.ev = []diagnose.Evidence{{Object: p.Ref.String(), Field: "status.conditions[PodScheduled].message", Value: c.Message}}
			return r, true
		}
	}
	for _, e := range slices.Backward(diagnose.Events(s, p)) {
		if !told(e, "FailedScheduling", "Unschedulable") {
			continue
		}
		if r, ok := parseRejection(e.Message); ok {
			r.ev = []diagnose.Evidence{diagnose.EventEvidence(e)}
			return r, true
		}
	}
	return rejection{}, false
}

// scaler is what an autoscaler says of the pod: the cluster autoscaler (NotTriggerScaleUp, TriggeredScaleUp) or Karpenter (FailedScheduling, Nominated).
func scaler(s *snapshot.Snapshot, p stuck.Pod) (words string, ev []diagnose.Evidence) {
	for _, e := range slices.Backward(diagnose.Events(s, p)) {
		karpenter := strings.Contains(strings.ToLower(e.Component), "karpenter")
		switch {
		case e.Reason == "NotTriggerScaleUp":
			return " The autoscaler adds no node for it: " + quote(e.Message) + ".", []diagnose.Evidence{diagnose.EventEvidence(e)}
		case e.Reason == "TriggeredScaleUp":
			return " The autoscaler is adding a node for it: " + quote(e.Message) + ".", []diagnose.Evidence{diagnose.EventEvidence(e)}
		case karpenter && e.Reason == "FailedScheduling":
			return " Karpenter adds no node for it: " + quote(e.Message) + ".", []diagnose.Evidence{diagnose.EventEvidence(e)}
		case karpenter && e.Reason == "Nominated":
			return " Karpenter has a node in mind for it: " + quote(e.Message) + ".", []diagnose.Evidence{diagnose.EventEvidence(e)}
		}
	}
	return "", nil
}

func parseRejection(message string) (rejection, bool) {
	// What follows is what the plugins for devices, and for preemption, say of their attempts to make room.
	for _, after := range []string{" preemption: ", ". no new claims to deallocate", ". still not schedulable"} {
		message, _, _ = strings.Cut(message, after)
	}
	m := available.FindStringSubmatch(strings.Join(strings.Fields(message), " "))
	if m == nil {
		if strings.Contains(message, "no nodes available to schedule pods") { // pkg/scheduler ErrNoNodesAvailable
			return rejection{objections: []objection{{nodes: 1, text: "there is no node", kind: obstacleResources}}}, true
		}
		return rejection{}, false
	}
	var r rejection
	r.total, _ = strconv.Atoi(m[1])
	body := strings.TrimRight(m[2], ". ")
	at := counted.FindAllStringSubmatchIndex(body, -1)
	for i, x := range at {
		end := len(body)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		n, _ := strconv.Atoi(body[x[2]:x[3]])
		text := strings.TrimRight(body[x[1]:end], ", .")
		o := objection{nodes: n, text: text, kind: kindOf(text)}
		o.byDesign = o.kind == obstacleTaints && (strings.Contains(text, "node-role.kubernetes.io/control-plane") || strings.Contains(text, "node-role.kubernetes.io/master"))
		r.objections = append(r.objections, o)
	}
	if len(at) == 0 && body != "" { // said of the pod before any node was looked at
		r.objections = append(r.objections, objection{nodes: max(r.total, 1), text: body, kind: kindOf(body)})
	}
	return r, len(r.objections) > 0
}

// kindOf sorts the reasons of the scheduler's plugins (pkg/scheduler/framework/plugins).
func kindOf(text string) obstacle {
	has := func(subs ...string) bool {
		return slices.ContainsFunc(subs, func(sub string) bool { return strings.Contains(strings.ToLower(text), strings.ToLower(sub)) })
	}
	switch {
	case has("PersistentVolume", "volume", "free storage", "no available disk", "pvc"):
		return obstacleVolumes
	case has("claim", "device class", "cannot allocate"):
		return obstacleClaims
	case has("topology spread"):
		return obstacleTopology
	case has("taint", "were unschedulable", "were not ready", "had unknown conditions", "pressure", "network unavailable", "out of disk"):
		return obstacleTaints
	case has("affinity", "node selector", "nodeselector", "requested node name", "required features", "match node"):
		return obstacleAffinity
	case has("Insufficient ", "Too many pods", "free ports", "resource fit failed", "not enough resource"):
		return obstacleResources
	}
	return obstacleOther
}

// weight is on how many nodes the kind of reason stands in the way. One node can be passed over for several reasons of
// one kind, so that the largest counts and not the sum.
func (r rejection) weight(kind obstacle) (nodes int) {
	for _, o := range r.objections {
		if o.kind == kind && (!o.byDesign || r.onlyByDesign()) {
			nodes = max(nodes, o.nodes)
		}
	}
	return nodes
}

func (r rejection) onlyByDesign() bool {
	return !slices.ContainsFunc(r.objections, func(o objection) bool { return !o.byDesign })
}

// depth is how far a node came before the reason stopped it. The scheduler asks its filter plugins in a fixed order and stops at the first
// that objects (pkg/scheduler/apis/config/v1/default_plugins.go), so a node that lacks room has passed the taints and the node selector.
func (o objection) depth() int {
	switch {
	case o.kind == obstacleTaints, strings.Contains(o.text, "requested node name"):
		return 1
	case o.kind == obstacleAffinity && (strings.Contains(strings.ToLower(o.text), "node affinity") || strings.Contains(o.text, "node selector")):
		return 2
	case o.kind == obstacleResources:
		return 3
	case o.kind == obstacleVolumes:
		return 4
	case o.kind == obstacleClaims: // DynamicResources stands behind the others in default_plugins.go
		return 7
	case o.kind == obstacleTopology:
		return 5
	case o.kind == obstacleAffinity: // between pods
		return 6
	default:
		return 0
	}
}

// decides tells whether the kind of reason is what stops the nodes that came furthest, and are nearest to taking the pod, and
// whether it is the only one. most tells whether it stops more than half of the nodes instead.
func (r rejection) decides(kind obstacle) (furthest, most, only bool) {
	w := r.weight(kind)
	if w == 0 {
		return false, false, false
	}
	deepest, nodes := objection{}, 0
	only = true
	for _, o := range r.objections {
		if o.byDesign && !r.onlyByDesign() {
			continue
		}
		if d := o.depth(); d > deepest.depth() || nodes == 0 || d == deepest.depth() && o.nodes > nodes {
			deepest, nodes = o, o.nodes
		}
		if o.kind != kind {
			only = false
		}
	}
	return deepest.kind == kind, 2*w > r.total, only
}

// words lists the reasons with their counts, the commonest first.
func (r rejection) words() string {
	l := slices.Clone(r.objections)
	slices.SortStableFunc(l, func(a, b objection) int { return b.nodes - a.nodes })
	var out []string
	for _, o := range l {
		out = append(out, fmt.Sprintf("%d× %s", o.nodes, o.text))
	}
	return strings.Join(out, "; ")
}

// unschedulable is the rule of the causes that stand for one kind of reason.
func unschedulable(kind obstacle, say string) func(*snapshot.Snapshot, stuck.Pod) (diagnose.Finding, bool) {
	return func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
		r, ok := rejectionOf(s, p)
		if !ok {
			return diagnose.Finding{}, false
		}
		furthest, most, only := r.decides(kind)
		if !furthest && !most {
			return diagnose.Finding{}, false
		}
		if _, waits := victimOf(s, p); waits {
			return diagnose.Finding{}, false // room is being made; what it waits for is the victim
		}
		f := diagnose.Finding{Subject: p.OwnerOrSelf(), Confidence: diagnose.Likely, Evidence: r.ev}
		switch {
		case only:
			f.Confidence = diagnose.Certain
		case !furthest:
			f.Confidence = diagnose.Possible
		}
		switch r.total {
		case 0:
			f.Message = "The scheduler knows no node at all."
			if !strings.Contains(r.words(), "no node") {
				f.Message = fmt.Sprintf("%s: %s.", say, r.words())
			}
		case 1:
			f.Message = fmt.Sprintf("%s. Of the one node: %s.", say, r.words())
		default:
			f.Message = fmt.Sprintf("%s. Of %d nodes: %s.", say, r.total, r.words())
		}
		words, ev := scaler(s, p)
		f.Message += words
		f.Evidence = append(f.Evidence, ev...)
		return f, true
	}
}
