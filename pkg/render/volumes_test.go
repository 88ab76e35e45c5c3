package render_test

import (
	"strings"
	"testing"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/render"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

// podVolumes are a disk whose driver is in trouble and a file server of which nothing is known to be wrong.
func podVolumes() []report.PodVolume {
	no, limit := false, 2
	return []report.PodVolume{
		{
			Name: "data", Claim: "db-data", PV: "pvc-1", Kind: "CSI", Driver: "disk.example.com", Handle: "vol-1", AccessModes: []string{"ReadWriteOnce"},
			Attachment: &report.VolumeAttachment{Name: "csi-1", Node: "worker-3", Error: "rpc error: code = Internal"}, Registered: &no, Limit: &limit, Used: 2,
			DriverPods: []report.DriverPod{
				{Pod: ref(snapshot.Pod, "storage", "plugin-x"), Role: "node plugin", Status: "CrashLoopBackOff"},
				{Pod: ref(snapshot.Pod, "storage", "controller-0"), Role: "attacher", Status: "Running", Ready: true},
			},
			Notes: []report.VolumeNote{
				{Hop: volume.HopAttachment, What: "attaching it to node worker-3 fails"}, {Hop: volume.HopDriver, What: "it is not registered on node worker-3"},
				{Hop: volume.HopPlugin, What: "storage/plugin-x is not ready (CrashLoopBackOff)"},
			},
		},
		{Name: "files", Kind: "NFS", Server: "NFS files.example.com", Path: "/srv", ReadOnly: true},
		{Name: "scratch", Kind: "hostPath", Path: "/mnt/scratch"},
		{Name: "lost", Claim: "gone", Notes: []report.VolumeNote{{Hop: volume.HopClaim, What: "it does not exist"}, {Hop: volume.HopController, What: "nobody leads its attacher"}}},
	}
}

func TestExplainFollowsTheVolumesOfAPod(t *testing.T) {
	r := withoutNodes(undecided())
	r.Groups[0].Pods[0].Volumes = podVolumes()
	got := draw(t, r, render.Options{View: render.Explain, Width: 200})
	for _, want := range []string{
		"Storage", "volume data (CSI)", "claim: db-data (ReadWriteOnce)", "persistent volume: pvc-1", "handle: vol-1",
		`attachment: csi-1, to node worker-3 (not attached yet), "rpc error: code = Internal": attaching it to node worker-3 fails`,
		"driver: disk.example.com, 2 of 2 volumes attached there: it is not registered on node worker-3",
		"its pod on the node: storage/plugin-x (not ready, CrashLoopBackOff)\n",
		"its controller: attacher storage/controller-0 (ready)",
		"volume files (NFS), read-only", "server: NFS files.example.com /srv", "directory of the node: /mnt/scratch",
		"claim: gone: it does not exist", "its controller: nobody leads its attacher",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in:\n%s", want, got)
		}
	}
	r.Groups[0].Pods[0].Volumes = nil
	if got := draw(t, r, render.Options{View: render.Explain, Width: 200}); strings.Contains(got, "Storage") {
		t.Error("a pod without volumes has a chain of them")
	}
}

func TestWhatAClusterSaysOfVolumesIsCleaned(t *testing.T) {
	r := withoutNodes(undecided())
	const evil = "a\x1b[2Jb\u202ec"
	r.Groups[0].Pods[0].Volumes = []report.PodVolume{{
		Name: evil, Claim: evil, PV: evil, Kind: evil, Server: evil, Path: evil, Driver: evil, Handle: evil, AccessModes: []string{evil},
		Attachment: &report.VolumeAttachment{Name: evil, Node: evil, Error: evil}, DriverPods: []report.DriverPod{{Pod: ref(snapshot.Pod, evil, evil), Role: evil, Status: evil}},
		Notes: []report.VolumeNote{{Hop: volume.HopClaim, What: evil}},
	}}
	got := draw(t, r, render.Options{View: render.Explain, Width: 80})
	if strings.ContainsAny(got, "\x1b\u202e") {
		t.Errorf("not clean:\n%q", got)
	}
}
