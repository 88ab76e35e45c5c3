package remedy

import "github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"

// Role is the ClusterRole of docs/RIGHTS.md that allows what the steps of remedies do. It comes beside the one for reading.
const Role = "stuck-fixer"

// Right is a right that changing takes, as RBAC has it.
type Right struct {
	Group, Resource string
	Verbs           []Verb
	// Why says what it is for.
	Why string
	// Optional rights are a courtesy: everything is done without them too.
	Optional bool
}

// Rights lists what the steps of all remedies take, and of taking them back. A test holds it against the steps.
func Rights() []Right {
	pods, _ := snapshot.InfoOf(snapshot.Pod)
	nodes, _ := snapshot.InfoOf(snapshot.Node)
	events, _ := snapshot.InfoOf(snapshot.Event)
	return []Right{
		{Group: pods.GVR.Group, Resource: pods.GVR.Resource, Verbs: []Verb{Delete}, Why: "`--delete` and `--force`"},
		{Group: pods.GVR.Group, Resource: pods.GVR.Resource, Verbs: []Verb{Patch}, Why: "`--finalizers`, and taking that back"},
		{Group: pods.GVR.Group, Resource: pods.GVR.Resource, Verbs: []Verb{Create}, Why: "`undo` of a pod that nobody else creates again, and the pod of `node --probe`"},
		{Group: pods.GVR.Group, Resource: pods.GVR.Resource + "/eviction", Verbs: []Verb{Create}, Why: "`node --drain-and-delete`: pods that their kubelet can still stop are evicted"},
		{Group: nodes.GVR.Group, Resource: nodes.GVR.Resource, Verbs: []Verb{Patch}, Why: "cordons, taints, labels and annotations of `node --drain-and-delete`, `--out-of-service` and `--restore`, and taking them back"},
		{Group: nodes.GVR.Group, Resource: nodes.GVR.Resource, Verbs: []Verb{Delete}, Why: "`node --drain-and-delete`"},
		{Group: nodes.GVR.Group, Resource: nodes.GVR.Resource, Verbs: []Verb{Create}, Why: "`undo` of that, where no kubelet makes its Node again"},
		{Group: "", Resource: events.GVR.Resource, Verbs: []Verb{Create}, Why: "the Event that says what was done; everything works without it", Optional: true},
	}
}
