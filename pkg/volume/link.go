package volume

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// answerTakes is how long a driver may leave an attach or a detach unanswered before that is odd: cloud disks take up to a minute or two.
const answerTakes = 3 * time.Minute

// Link is a Chain followed to its end on a node.
type Link struct {
	Chain
	Node string
	// Attachment is that of the node, Elsewhere are those of other nodes. Where VolumeAttachments were not read, AttachUnknown is set.
	Attachment    *storagev1.VolumeAttachment
	Elsewhere     []*storagev1.VolumeAttachment
	AttachUnknown bool

	// Driver is the CSI driver on the node; empty for other kinds. What follows is about it.
	DriverName  string
	Registered  snapshot.Presence
	Limit       int // negative where it is not known
	Used        int
	Plugins     []DriverPod
	Controllers []Controller
	// PluginsKnown tells that all pods of the node were read.
	PluginsKnown bool
}

// Follower follows volumes, and remembers what many of them have in common: a driver and how it fares on a node. It is not safe for concurrent use.
type Follower struct {
	s           *snapshot.Snapshot
	controllers map[string][]Controller
	nodes       map[onNode]driverOnNode
}

type onNode struct{ driver, node string }

type driverOnNode struct {
	registered  snapshot.Presence
	limit, used int
	plugins     []DriverPod
	all         bool
}

// NewFollower returns one that has followed nothing yet.
func NewFollower(s *snapshot.Snapshot) *Follower {
	return &Follower{s: s, controllers: map[string][]Controller{}, nodes: map[onNode]driverOnNode{}}
}

// Follow resolves what the volume rests on for a pod on the node. A node of "" is that of a pod that has none.
func (f *Follower) Follow(c Chain, node string) Link {
	l := Link{Chain: c, Node: node, Limit: -1, AttachUnknown: Unread(f.s, snapshot.VolumeAttachment)}
	l.Attachment, l.Elsewhere = Attachments(f.s, c.VolumeName(), node)
	if node == "" {
		l.DriverName = c.Driver()
	} else {
		l.DriverName = c.DriverOn(f.s.CSINode(node))
	}
	if l.DriverName == "" && l.Attachment != nil {
		l.DriverName = l.Attachment.Spec.Attacher
	}
	if l.DriverName == "" {
		return l
	}
	if _, ok := f.controllers[l.DriverName]; !ok {
		f.controllers[l.DriverName] = Controllers(f.s, l.DriverName)
	}
	l.Controllers = f.controllers[l.DriverName]
	if node == "" {
		return l
	}
	k := onNode{l.DriverName, node}
	d, ok := f.nodes[k]
	if !ok {
		d = driverOnNode{registered: Registered(f.s, k.driver, node), limit: Limit(f.s.CSINode(node), k.driver), used: Attached(f.s, k.driver, node)}
		d.plugins, d.all = NodePlugins(f.s, k.driver, node)
		f.nodes[k] = d
	}
	l.Registered, l.Limit, l.Used, l.Plugins, l.PluginsKnown = d.registered, d.limit, d.used, d.plugins, d.all
	return l
}

// Fill follows every volume of the pod to its end on the node that it is bound to, but those that are made of objects of the cluster alone.
func (f *Follower) Fill(p *corev1.Pod) []Link {
	var out []Link
	for _, c := range Of(f.s, p) {
		if c.Kind() != "" || c.Claim != "" {
			out = append(out, f.Follow(c, p.Spec.NodeName))
		}
	}
	return out
}

// Hop is a place along the chain.
type Hop string

// The hops, from the pod on.
const (
	HopClaim      Hop = "claim"
	HopVolume     Hop = "volume"
	HopAttachment Hop = "attachment"
	HopDriver     Hop = "driver"     // its registration and limit on the node
	HopPlugin     Hop = "plugin"     // its pods on the node
	HopController Hop = "controller" // its leaders
)

// Oddity is what is wrong at a hop, in words.
type Oddity struct {
	Hop  Hop
	What string
}

// Odd words what is wrong along the chain, hop by hop, from the claim on; empty where nothing is seen to be.
func (l Link) Odd(s *snapshot.Snapshot, namespace string) []Oddity {
	var out []Oddity
	hop := HopClaim
	say := func(format string, args ...any) {
		out = append(out, Oddity{hop, fmt.Sprintf(format, args...)})
	}
	switch {
	case l.Claim == "":
	case l.PVC == nil && s.Has(snapshot.PersistentVolumeClaim, namespace, l.Claim) == snapshot.Absent:
		say("it does not exist")
	case l.PVC == nil:
		say("it could not be read")
	case l.PVC.DeletionTimestamp != nil:
		say("it is being deleted")
	case l.PVC.Spec.VolumeName == "":
		say("it has no volume yet")
	case l.PV != nil && l.PV.DeletionTimestamp == nil:
	case l.PV == nil && s.Has(snapshot.PersistentVolume, "", l.VolumeName()) == snapshot.Absent:
		hop = HopVolume
		say("it does not exist")
	case l.PV == nil:
		hop = HopVolume
		say("it could not be read")
	default:
		hop = HopVolume
		say("it is being deleted")
	}
	hop = HopAttachment
	if va := l.Attachment; va != nil {
		switch {
		case va.Status.DetachError != nil && va.DeletionTimestamp != nil:
			say("detaching it from node %s fails", va.Spec.NodeName)
		case va.DeletionTimestamp != nil:
			say("it is being detached from node %s", va.Spec.NodeName)
		case va.Status.AttachError != nil:
			say("attaching it to node %s fails", va.Spec.NodeName)
		case !va.Status.Attached && s.Now().Sub(va.CreationTimestamp.Time) > answerTakes:
			say("attaching it to node %s has had no answer", va.Spec.NodeName)
		}
	}
	if l.Exclusive() && (l.Attachment == nil || !l.Attachment.Status.Attached) {
		for _, va := range l.Elsewhere {
			say("it is attached to node %s", va.Spec.NodeName)
		}
	}
	hop = HopDriver
	if l.DriverName != "" && l.Node != "" {
		if l.Registered == snapshot.Absent {
			say("it is not registered on node %s", l.Node)
		}
		if l.Limit >= 0 && l.Used >= l.Limit && (l.Attachment == nil || !l.Attachment.Status.Attached) {
			say("node %s has %d of its volumes, which is the limit", l.Node, l.Used)
		}
	}
	hop = HopPlugin
	for _, p := range l.Plugins {
		if !p.Ready {
			say("%s/%s is not ready (%s)", p.Pod.Namespace, p.Pod.Name, p.Status)
		}
	}
	hop = HopController
	for _, c := range l.Controllers {
		if o := c.Odd(); o != "" {
			say("%s", o)
		}
	}
	return out
}

// Odd words what is wrong with a part of a controller; empty where nothing is seen to be.
func (c Controller) Odd() string {
	var bad []string
	ready := false
	for _, p := range c.Pods {
		ready = ready || p.Ready
		if !p.Ready {
			bad = append(bad, fmt.Sprintf("%s/%s (%s)", p.Pod.Namespace, p.Pod.Name, p.Status))
		}
	}
	switch {
	case c.Stale && len(bad) > 0:
		return fmt.Sprintf("nobody leads its %s: the lease has not been renewed for %s, and not ready is %s", c.Role, scope.Short(c.Idle), strings.Join(bad, ", "))
	case c.Stale:
		return fmt.Sprintf("nobody leads its %s: the lease has not been renewed for %s", c.Role, scope.Short(c.Idle))
	case len(bad) > 0 && !ready:
		return fmt.Sprintf("its %s is not ready: %s", c.Role, strings.Join(bad, ", "))
	default:
		return ""
	}
}
