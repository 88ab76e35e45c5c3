package storage

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

// step words which call a message of the kubelet or of the attach-detach controller is about (pkg/volume/util/operationexecutor, and the calls that the
// CSI plugin makes for them); empty where it does not tell.
func step(message string) string {
	m := strings.ToLower(message)
	for _, s := range []struct{ part, words, call string }{
		{"attachvolume.attach", "attaching it", "ControllerPublishVolume"},
		{"detachvolume.detach", "detaching it", "ControllerUnpublishVolume"},
		{"mountvolume.waitforattach", "waiting for it to be attached", ""},
		{"mapvolume.waitforattach", "waiting for it to be attached", ""},
		{"mountvolume.mountdevice", "mounting its device on the node", "NodeStageVolume"},
		{"mapvolume.setupdevice", "setting up its device on the node", "NodeStageVolume"},
		{"mapvolume.mappoddevice", "handing its device to the pod", "NodePublishVolume"},
		{"mountvolume.setup", "mounting it for the pod", "NodePublishVolume"},
		{"unmountvolume.teardown", "unmounting it from the pod", "NodeUnpublishVolume"},
		{"unmountdevice", "unmounting its device from the node", "NodeUnstageVolume"},
	} {
		if !strings.Contains(m, s.part) {
			continue
		}
		if s.call != "" && (strings.Contains(m, "rpc error") || strings.Contains(m, "kubernetes.io/csi")) {
			return s.words + " (" + s.call + ")" // a driver was asked, and not a plugin of the kubelet's own
		}
		return s.words
	}
	return ""
}

// lastStep words the call that the newest of the evidence is about.
func lastStep(ev []diagnose.Evidence) string {
	for i := len(ev) - 1; i >= 0; i-- {
		if w := step(ev[i].Value); w != "" {
			return w
		}
	}
	return ""
}

// timedOut are the kubelet's and the attach-detach controller's words for a wait that ended without an answer, which fit every cause in which a volume
// does not come (pkg/kubelet WaitForAttachAndMount; before 1.16 "timeout expired waiting for volumes").
var timedOut = diagnose.Text{
	Any: []string{"unmounted volumes=", "list of unmounted volumes", "list of unattached/unmounted volumes", "Unable to mount volumes for pod"},
}

// generic tells whether a message says no more than that volumes did not come in time.
func generic(message string) bool {
	m := strings.ToLower(message)
	return timedOut.Match(message) && (strings.Contains(m, "timed out waiting for the condition") || strings.Contains(m, "context deadline exceeded") ||
		strings.Contains(m, "timeout expired waiting for volumes"))
}

// onlyTimeouts cites the last of the kubelet's general complaints, where nobody says anything more to the point of the pod's volumes.
func onlyTimeouts(s *snapshot.Snapshot, p stuck.Pod) []diagnose.Evidence {
	var out []diagnose.Evidence
	for _, e := range diagnose.Events(s, p) {
		switch {
		case e.Type != corev1.EventTypeWarning || e.Reason == "FailedScheduling" || diagnose.OwnWords(e.Reason):
		case generic(e.Message):
			out = append(out, diagnose.EventEvidence(e))
		default:
			return nil
		}
	}
	return out[max(0, len(out)-2):]
}

// workedSince finds a pod on the node that mounts another volume of the driver and whose containers started after the time: the driver mounts there.
func workedSince(s *snapshot.Snapshot, driver string, p stuck.Pod) *corev1.Pod {
	if driver == "" || p.Node == "" {
		return nil
	}
	pods, _ := s.PodsOnNode(p.Node)
	for _, o := range pods {
		if o.UID == p.Object.UID && o.Name == p.Object.Name || !startedAfter(o, p.Since) {
			continue
		}
		for _, c := range volume.Of(s, o) {
			if c.Driver() == driver {
				return o
			}
		}
	}
	return nil
}

func startedAfter(p *corev1.Pod, t time.Time) bool {
	for i := range p.Status.ContainerStatuses {
		if r := p.Status.ContainerStatuses[i].State.Running; r != nil && r.StartedAt.After(t) && p.Status.ContainerStatuses[i].RestartCount == 0 {
			return true
		}
	}
	return false
}

// plugins words how the driver's own pods on the pod's node fare, with evidence, and whether that is bad: none there, or one that is not ready. It
// says nothing where nothing is known of them.
func plugins(s *snapshot.Snapshot, driver string, p stuck.Pod) (words string, ev []diagnose.Evidence, bad bool) {
	found, _ := volume.NodePlugins(s, driver, p.Node)
	for _, d := range found {
		e := diagnose.Evidence{Object: snapshot.RefOf(d.Pod).String(), Field: "status", Value: fmt.Sprintf("%s, ready: %t; it %s", d.Status, d.Ready, d.Why)}
		switch {
		case !d.Ready:
			return fmt.Sprintf("Its node plugin, pod %s/%s, is not ready (%s).", d.Pod.Namespace, d.Pod.Name, d.Status), []diagnose.Evidence{e}, true
		case d.Restarted.After(p.Since.Add(-eventMargin)):
			words = fmt.Sprintf("Its node plugin, pod %s/%s, was restarted %s.", d.Pod.Namespace, d.Pod.Name, scope.Ago(s.Now().Sub(d.Restarted)))
		case words == "":
			words = fmt.Sprintf("Its node plugin, pod %s/%s, is ready.", d.Pod.Namespace, d.Pod.Name)
		}
		ev = append(ev, e)
	}
	return words, ev, false
}

// eventMargin is how long before a pod got stuck a restart of its driver may lie and still be of interest.
const eventMargin = 10 * time.Minute

// leaders words what is wrong with the part of a driver's controller, with evidence; empty where nothing is seen to be.
func leaders(s *snapshot.Snapshot, driver, role string) (words string, ev []diagnose.Evidence) {
	for _, c := range volume.Controllers(s, driver, role) {
		odd := c.Odd()
		if odd == "" {
			continue
		}
		words = " " + strings.ToUpper(odd[:1]) + odd[1:] + "."
		if c.Lease != nil {
			ev = append(ev, diagnose.Evidence{
				Object: "lease " + c.Lease.Namespace + "/" + c.Lease.Name, Field: "spec.renewTime", Value: fmt.Sprintf("renewed %s, holder %q", scope.Ago(c.Idle), c.Holder),
			})
		}
		for _, d := range c.Pods {
			if !d.Ready {
				ev = append(ev, diagnose.Evidence{Object: snapshot.RefOf(d.Pod).String(), Field: "status", Value: d.Status + "; it " + d.Why})
			}
		}
		return words, ev
	}
	return "", nil
}

// blind tells whether what stands behind the pod's volumes could not be read.
func blind(s *snapshot.Snapshot) bool {
	return volume.Unread(s, snapshot.VolumeAttachment) || volume.Unread(s, snapshot.PersistentVolumeClaim) || volume.Unread(s, snapshot.PersistentVolume)
}
