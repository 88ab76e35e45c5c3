package report

import (
	"slices"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

// PodVolume is one volume of a stuck pod and what it rests on, hop by hop.
type PodVolume struct {
	Name        string   `json:"name"` // in spec.volumes
	Claim       string   `json:"claim,omitempty"`
	PV          string   `json:"pv,omitempty"`
	Kind        string   `json:"kind,omitempty"`   // NFS, CSI, local, hostPath, CephFS, iSCSI …; empty where it is not known
	Server      string   `json:"server,omitempty"` // its kind and host: "NFS files.example.com"
	Path        string   `json:"path,omitempty"`   // on the server, or on the node
	Driver      string   `json:"driver,omitempty"` // the CSI driver that serves it on the pod's node
	Handle      string   `json:"handle,omitempty"` // its name in the storage system
	ReadOnly    bool     `json:"readOnly,omitempty"`
	AccessModes []string `json:"accessModes,omitempty"`
	// Attachment is that to the pod's node, else one to another node.
	Attachment *VolumeAttachment `json:"attachment,omitempty"`
	// Registered tells whether the node's kubelet has the driver; absent where that could not be read, or there is no driver.
	Registered *bool `json:"registered,omitempty"`
	// Limit is how many volumes of the driver the node takes, where the driver says so, and Used how many are attached to it.
	Limit *int `json:"limit,omitempty"`
	Used  int  `json:"used,omitempty"`
	// DriverPods are the driver's own: its plugin on the node, and what was read of its controller.
	DriverPods []DriverPod `json:"driverPods,omitempty"`
	// Notes say what is wrong, with the hop at which it is.
	Notes []VolumeNote `json:"notes,omitempty"`
}

// VolumeAttachment is where a volume is attached, or shall be.
type VolumeAttachment struct {
	Name     string `json:"name"`
	Node     string `json:"node"`
	Attached bool   `json:"attached"`
	Deleting bool   `json:"deleting,omitempty"`
	Error    string `json:"error,omitempty"` // of the driver, to attach or to detach
}

// DriverPod is a pod of a CSI driver.
type DriverPod struct {
	Pod    snapshot.Ref `json:"pod"`
	Role   string       `json:"role"` // "node plugin", "attacher", "provisioner", "resizer" or "snapshotter"
	Status string       `json:"status"`
	Ready  bool         `json:"ready"`
}

// VolumeNote is what is wrong at a hop: claim, volume, attachment, driver, plugin or controller.
type VolumeNote struct {
	Hop  volume.Hop `json:"hop"`
	What string     `json:"what"`
}

// podVolumes tells it of a stuck pod that may wait for its volumes, or for their unmounting.
func (b *builder) podVolumes(p stuck.Pod) []PodVolume {
	if _, is := b.d.Scope.Pods[p.Ref]; !is || p.Object == nil {
		return nil
	}
	switch p.State {
	case stuck.ImagePullBackOff, stuck.CrashLoopBackOff, stuck.SchedulingGated:
		return nil // it is past its volumes, or has not come to them
	}
	if p.Stage == stuck.FinalizersOnly {
		return nil
	}
	if b.volumeChains == nil {
		b.volumeChains = volume.NewFollower(b.s)
	}
	var out []PodVolume
	for _, l := range b.volumeChains.Fill(p.Object) {
		out = append(out, b.podVolume(p, l))
	}
	return out
}

func (b *builder) podVolume(p stuck.Pod, l volume.Link) PodVolume {
	srv := l.Server()
	v := PodVolume{
		Name: l.Name, Claim: l.Claim, PV: l.VolumeName(), Kind: l.Kind(), Path: l.Path(), Driver: l.DriverName, Handle: l.Handle(), ReadOnly: l.ReadOnly(),
	}
	if srv.Kind != "" {
		v.Server, v.Path = srv.Kind+" "+srv.Host, srv.Path
	}
	for _, m := range l.AccessModes() {
		v.AccessModes = append(v.AccessModes, string(m))
	}
	va := l.Attachment
	if va == nil && len(l.Elsewhere) > 0 && l.Exclusive() {
		va = l.Elsewhere[0]
	}
	if va != nil {
		a := &VolumeAttachment{Name: va.Name, Node: va.Spec.NodeName, Attached: va.Status.Attached, Deleting: va.DeletionTimestamp != nil}
		switch {
		case va.Status.DetachError != nil && a.Deleting:
			a.Error = va.Status.DetachError.Message
		case va.Status.AttachError != nil:
			a.Error = va.Status.AttachError.Message
		}
		v.Attachment = a
	}
	if l.DriverName != "" && l.Node != "" {
		if l.Registered != snapshot.Unknown {
			has := l.Registered == snapshot.Present
			v.Registered = &has
		}
		if l.Limit >= 0 {
			limit := l.Limit
			v.Limit = &limit
		}
		v.Used = l.Used
	}
	for _, d := range l.Plugins {
		v.DriverPods = append(v.DriverPods, driverPod(d))
	}
	for _, c := range l.Controllers {
		for _, d := range c.Pods {
			if x := driverPod(d); !slices.Contains(v.DriverPods, x) {
				v.DriverPods = append(v.DriverPods, x)
			}
		}
	}
	for _, o := range l.Odd(b.s, p.Ref.Namespace) {
		v.Notes = append(v.Notes, VolumeNote(o))
	}
	for i, d := range l.Plugins {
		if d.Ready && !d.Restarted.IsZero() && d.Restarted.After(p.Since) {
			v.Notes = append(v.Notes, VolumeNote{volume.HopPlugin, "it was restarted " + scope.Ago(b.s.Now().Sub(l.Plugins[i].Restarted))})
		}
	}
	return v
}

func driverPod(d volume.DriverPod) DriverPod {
	return DriverPod{Pod: snapshot.RefOf(d.Pod), Role: d.Role, Status: d.Status, Ready: d.Ready}
}
