package runtime

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func apparmorRuncSignalDenied() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST201", Slug: "apparmor-runc-signal-denied", Reach: scope.ReachNode,
		Needs: []snapshot.Kind{snapshot.Event},
		Doc: diagnose.Doc{
			Title:   "AppArmor forbids runc to signal containers",
			Symptom: "Every pod that is deleted on the node stays Terminating with FailedKillPod \"unable to signal init: permission denied\".",
			Mechanism: "An AppArmor profile is attached to runc itself, and the profile of the containers accepts signals only from an unconfined " +
				"runtime. The kernel then denies both SIGTERM and SIGKILL, and no container of the node can be ended.",
			Confirm: []string{
				"kubectl get events -n {namespace} --field-selector involvedObject.name={pod},reason=FailedKillPod",
				"kubectl get node {node} -o wide",
			},
			Remedies: []diagnose.Remedy{
				{ID: "look-for-denials", Risk: diagnose.RiskNone, Text: "On the node: journalctl -k and look for apparmor=\"DENIED\" operation=\"signal\" comm=\"runc\"."},
				{ID: "fix-apparmor-profile", Risk: diagnose.RiskMedium, Text: "On the node: upgrade AppArmor and containerd, or as a stopgap take the profile off runc (aa-complain or aa-disable). Pending kills succeed at once. Do the same to every node with this operating system."},
				{ID: "drain-and-reboot", Risk: diagnose.RiskMedium, Text: "Drain the node and reboot it with the mended profile.", Command: "kubectl drain {node} --ignore-daemonsets"},
			},
			Refs: []string{
				"https://github.com/containerd/containerd/issues/10542",
				"https://github.com/NVIDIA/nvidia-container-toolkit/issues/796",
				"https://kubernetes.io/docs/tutorials/security/apparmor/",
			},
		},
		Signature: &diagnose.Signature{
			States: []stuck.State{stuck.Terminating}, Stages: []stuck.Stage{stuck.KillUnconfirmed},
			Events:     []diagnose.EventMatch{{Reasons: []string{"FailedKillPod"}, Text: diagnose.Text{All: []string{"unable to signal init", "permission denied"}}}},
			Confidence: diagnose.Certain, OnNode: true,
			Say: "Runc on node {node} may not signal containers: the kernel answers permission denied, so no container there can be ended.",
		},
		Log: []string{`apparmor="DENIED" operation="signal"`, "unable to signal init: permission denied"},
	}
}
