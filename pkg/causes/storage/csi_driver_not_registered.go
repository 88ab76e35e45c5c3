package storage

import (
	"fmt"
	"slices"
	"strings"

	storagev1 "k8s.io/api/storage/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

func csiDriverNotRegistered() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST304", Slug: "csi-driver-not-registered", Reach: scope.ReachNode,
		Optional: []snapshot.Kind{snapshot.CSINode, snapshot.Event, snapshot.PersistentVolume, snapshot.PersistentVolumeClaim},
		Doc: diagnose.Doc{
			Title:   "The CSI driver of the volume is not registered on the node",
			Symptom: "Starting: FailedMount \"driver name … not found in the list of registered CSI drivers\". Ending: the containers are gone and the pod stays, in silence. The node's CSINode does not list the driver.",
			Mechanism: "The driver's node plugin announces itself to the kubelet over a socket below the kubelet's directory. When its pod is missing or " +
				"not ready on the node, or looks for the kubelet in another directory, the kubelet can neither mount nor unmount volumes of that driver. " +
				"A driver that was uninstalled before its volumes leaves every pod that used it in this state.",
			Confirm: []string{
				"kubectl get csinode {node} -o yaml",
				"kubectl get pods -A -o wide --field-selector spec.nodeName={node}",
				"kubectl describe pod {pod} -n {namespace}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "heal-node-plugin", Risk: diagnose.RiskLow, Text: "Find the driver's DaemonSet and why it has no ready pod on the node: taints, image, crash, a wrong kubelet directory."},
				{ID: "restart-node-plugin", Risk: diagnose.RiskMedium, Text: "If its pod is ready and yet unregistered: delete that pod, so that it registers anew. FUSE mounts of that driver on the node die with it."},
				{ID: "reinstall-driver", Risk: diagnose.RiskMedium, Text: "If the driver was removed: install it again for as long as it takes to unmount, delete the pods and volumes, and then remove it."},
			},
			Refs: []string{"https://kubernetes-csi.github.io/docs/node-driver-registrar.html", "kubernetes: pkg/volume/csi/csi_client.go"},
		},
		Pod: findUnregistered,
		Log: []diagnose.LogMatch{
			// Said for a moment after each start of the node, too: the driver's pod starts after the kubelet.
			{Text: unregistered},
			{Text: diagnose.Text{All: noSocket.All, Any: noSocket.Any, None: append([]string{"-reg.sock"}, noSocket.None...)}},
			{
				Text:       diagnose.Text{All: append([]string{"-reg.sock"}, noSocket.All...), Any: noSocket.Any, None: noSocket.None},
				Confidence: diagnose.Possible, Alternatives: []string{"kubelet-restart-volume-reconstruct"},
				Decide: "Whether the line goes on: the kubelet says it once or twice whenever the driver's pod is replaced.",
			},
			{Text: diagnose.Text{Any: []string{"RegisterPlugin error", "failed to get plugin info using RPC GetInfo at socket", "Registration process failed with error", "plugin registration failed"}, None: []string{"dra.sock", "device-plugin", "DRA plugin"}}},
		},
	}
}

// unregistered are the words of the kubelet, and of the external-attacher, for a driver that the node does not have (pkg/volume/csi/csi_client.go;
// external-attacher pkg/controller: the CSINode "does not contain driver").
var unregistered = diagnose.Text{Any: []string{"not found in the list of registered CSI drivers", "does not contain driver", "has no NodeID annotation", "no NodeID annotation for driver"}}

// noSocket are gRPC's words for a node plugin that does not listen on its socket below the kubelet's plugins.
var noSocket = diagnose.Text{
	All: []string{"csi", ".sock"},
	Any: []string{"connect: connection refused", "connect: no such file or directory", "transport: Error while dialing"},
}

func findUnregistered(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	f := diagnose.Finding{Subject: snapshot.Ref{Kind: snapshot.CSINode, Name: p.Node}}
	if !mounting(p) && !cleaning(p) {
		return f, false
	}
	var drivers, known []string
	n := s.CSINode(p.Node)
	for _, v := range volume.Of(s, p.Object) {
		d := v.DriverOn(n)
		if d == "" || slices.Contains(known, d) {
			continue
		}
		known = append(known, d)
		if n != nil && volume.Registered(s, d, p.Node) == snapshot.Absent {
			drivers = append(drivers, d)
		}
	}
	f.Evidence = diagnose.Said(s, p, unregistered)
	silent := diagnose.Said(s, p, noSocket)
	switch {
	case len(f.Evidence) > 0 && len(drivers) == 0 && n != nil && mounting(p) && recentlyListed(n, f.Evidence):
		return f, false // it has registered since
	case len(f.Evidence) > 0 && len(drivers) > 0:
		// The kubelet says so, and the list of today agrees.
		f.Confidence = diagnose.Fresh(s, diagnose.Certain, f.Evidence)
	case len(f.Evidence) > 0, len(drivers) > 0:
		f.Confidence = diagnose.Likely
	case len(silent) > 0:
		f.Confidence, f.Evidence = diagnose.Likely, silent
	default:
		return f, false
	}
	what, verb := "A CSI driver of its volumes", "is not registered on"
	if len(drivers) > 0 {
		what = "CSI driver " + strings.Join(drivers, ", ")
		f.Evidence = append(f.Evidence, diagnose.Evidence{Object: "csinode " + p.Node, Field: "spec.drivers", Value: "does not list " + strings.Join(drivers, ", ")})
	} else {
		if len(known) == 1 {
			what = "CSI driver " + known[0]
		}
		if len(silent) > 0 {
			verb = "does not answer on its socket on"
		}
	}
	f.Message = fmt.Sprintf("%s %s node %s, so the kubelet cannot mount the pod's volume.", what, verb, p.Node)
	if cleaning(p) {
		f.Message = fmt.Sprintf("%s %s node %s: the containers have ended, and the kubelet cannot unmount the pod's volume.", what, verb, p.Node)
	}
	if len(drivers) == 0 {
		drivers = known
	}
	if len(drivers) == 1 {
		words, ev := pluginsOf(s, drivers[0], p)
		f.Message += words
		f.Evidence = append(f.Evidence, ev...)
	}
	return f, true
}

// pluginsOf words why the driver may not be registered, by its own pods on the node.
func pluginsOf(s *snapshot.Snapshot, driver string, p stuck.Pod) (string, []diagnose.Evidence) {
	words, ev, bad := plugins(s, driver, p)
	_, all := s.PodsOnNode(p.Node)
	switch {
	case bad:
		return " " + words, ev
	case words != "":
		return " " + words + " So it registers in vain: most often it looks for the kubelet in another directory than the kubelet's.", ev
	case all:
		return " No pod on the node is known as its node plugin.", nil
	default:
		return "", nil
	}
}

// recentlyListed tells whether a driver that a message calls unregistered is in the list by now.
func recentlyListed(n *storagev1.CSINode, ev []diagnose.Evidence) bool {
	last := ev[len(ev)-1].Value
	return slices.ContainsFunc(n.Spec.Drivers, func(d storagev1.CSINodeDriver) bool { return strings.Contains(last, "driver name "+d.Name+" ") })
}
