package node

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func windowsNodeWedged() diagnose.Cause {
	text := diagnose.Text{
		Any: []string{
			"failed to detach vhd", "hcndeletenamespace", "hcndeleteendpoint", "hcncreateendpoint", "hcsshim::", "hcsshim: ", "hcs::", "hns failed with error", "windowsfilter",
			"a virtual machine or container with the specified identifier is not running", "the handle has already been closed",
		},
		None: []string{"executable file not found", "the system cannot find the file specified", "no matching manifest"},
	}
	reasons := []string{"FailedKillPod", "FailedCreatePodSandBox", "Failed", "FailedPodSandBoxStatus", "FailedSync"}
	return diagnose.Cause{
		Code: "ST112", Slug: "windows-node-wedged", Reach: scope.ReachNode,
		Needs: []snapshot.Kind{snapshot.Event},
		Doc: diagnose.Doc{
			Title:     "The container services of a Windows node are wedged",
			Symptom:   "On a Windows node pods neither start nor end, with errors from hcsshim, the host network service, or \"failed to detach VHD\".",
			Mechanism: "The Host Compute Service or the Host Network Service of Windows holds on to a layer or a network namespace of a container that has ended, often after a restart of containerd or Docker.",
			Confirm:   []string{"kubectl get node {node} -o wide", "kubectl get events -n {namespace} --field-selector involvedObject.name={pod}"},
			Remedies: []diagnose.Remedy{
				{ID: "restart-runtime", Risk: diagnose.RiskMedium, Text: "On the node: Restart-Service containerd (or docker). Windows containers may end with it."},
				{ID: "drain-and-reboot", Risk: diagnose.RiskMedium, Text: "If that does not help: drain and reboot.", Command: "kubectl drain {node} --ignore-daemonsets"},
			},
			Refs: []string{"https://github.com/microsoft/Windows-Containers/issues/207", "https://github.com/containerd/containerd/issues/9529", "https://github.com/projectcalico/calico/issues/6974", "https://github.com/moby/moby/issues/40723"},
		},
		Signature: &diagnose.Signature{
			Events:     []diagnose.EventMatch{{Reasons: reasons, Text: text}},
			Confidence: diagnose.Likely, OnNode: true,
			Say: "Windows node {node} does not let go of what a container had, or does not make what one needs.",
		},
		Log: append(
			diagnose.CertainLines(diagnose.Saying("failed to detach VHD"), diagnose.Saying("hcnDeleteNamespace"), diagnose.Saying("failed to terminate hccshim container"), diagnose.Saying("failed to terminate hcsshim container")),
			diagnose.LikelyLines(
				diagnose.Text{All: []string{"hcsshim"}, Any: []string{"being used by another process", "already been closed", "Access is denied", "not running", "timeout", "failed in Win32"}},
				diagnose.Saying("HNS failed with error"), diagnose.Saying("hcnCreateEndpoint failed"), diagnose.Saying("hcnDeleteEndpoint"), diagnose.Saying("windowsfilter", "failed to remove root filesystem"),
				diagnose.Text{All: []string{"unable to remove filesystem for", "Access is denied"}},
			)...,
		),
	}
}
