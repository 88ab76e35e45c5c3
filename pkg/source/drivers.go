package source

import (
	"context"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// The annotations by which a claim names the provisioner that it was handed to (pkg/controller/volume/persistentvolume): of today, and until 1.22.
const (
	provisionerAnnotation     = "volume.kubernetes.io/storage-provisioner"
	betaProvisionerAnnotation = "volume.beta.kubernetes.io/storage-provisioner"
)

// provisionerOf names the provisioner of a claim that has no volume yet; empty for others, and for what is no driver's name.
func provisionerOf(c *corev1.PersistentVolumeClaim) string {
	if c.Spec.VolumeName != "" {
		return ""
	}
	d := c.Annotations[provisionerAnnotation]
	if d == "" {
		d = c.Annotations[betaProvisionerAnnotation]
	}
	return d
}

// readDrivers reads who leads the controllers of the CSI drivers: the Leases of their leaders, and the pods that hold them. Nothing is read where no
// driver is involved. The drivers' pods on the nodes in question were read with those nodes.
func (p *plan) readDrivers(ctx context.Context, drivers names, provisioners map[string]bool, attachments []*storagev1.VolumeAttachment, volumes names) {
	if !p.needs[snapshot.CSINode] {
		return
	}
	wanted := map[string]bool{}
	for n := range drivers {
		wanted[n.Name] = true
	}
	for d := range provisioners {
		wanted[d] = true
	}
	for _, a := range attachments { // a plugin of the kubelet's own has a driver that stands in for it, which only the attachment names
		if pv := a.Spec.Source.PersistentVolumeName; pv != nil && volumes[types.NamespacedName{Name: *pv}] {
			wanted[a.Spec.Attacher] = true
		}
	}
	delete(wanted, "")
	for d := range wanted {
		if strings.HasPrefix(d, "kubernetes.io/") {
			delete(wanted, d)
		}
	}
	if len(wanted) == 0 {
		return
	}
	named := map[string]bool{}
	for d := range wanted {
		for name := range snapshot.DriverLeases(d) {
			named[name] = true
		}
	}
	leases := slices.DeleteFunc(slices.Clone(p.readLeaderLeases(ctx)), func(l *coordinationv1.Lease) bool { return !named[l.Name] })
	p.readHolders(ctx, leases)
}

// Bounds of addWitnessClaims.
const (
	witnessClaims = 20        // so many claims more are read
	witnessAge    = time.Hour // of pods that started so lately
)

// addWitnessClaims adds the claims of pods that are well and started lately on the nodes where pods wait for claims: a volume that was mounted since
// tells a driver, or a server, that works from one that does not. The youngest come first.
func (p *plan) addWitnessClaims(claims, nodes names) {
	var young []*corev1.Pod
	for _, pod := range p.pods.all() {
		if t := pod.Status.StartTime; t != nil && !candidate(pod) && !snapshot.IsTerminal(pod) && p.now.Sub(t.Time) < witnessAge &&
			nodes[types.NamespacedName{Name: pod.Spec.NodeName}] && len(claimsOf(pod)) > 0 {
			young = append(young, pod)
		}
	}
	slices.SortStableFunc(young, func(a, b *corev1.Pod) int { return b.Status.StartTime.Compare(a.Status.StartTime.Time) })
	added := 0
	for _, pod := range young {
		for _, c := range claimsOf(pod) {
			n := types.NamespacedName{Namespace: pod.Namespace, Name: c}
			if claims[n] {
				continue
			}
			if added++; added > witnessClaims {
				return
			}
			claims[n] = true
		}
	}
}
