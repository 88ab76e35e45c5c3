package runtime

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func apparmorRuncSignalDenied() diagnose.Cause {
	// runc's words since 1.1, and those before.
	denied := diagnose.Text{All: []string{"permission denied"}, Any: []string{"unable to signal init", "signaling init process"}}
	return diagnose.Cause{
		Code: "ST201", Slug: "apparmor-runc-signal-denied", Reach: scope.ReachNode,
		Needs: []snapshot.Kind{snapshot.Event},
		Doc: diagnose.Doc{
			Title:   "AppArmor forbids runc to signal containers",
			Symptom: "Every pod that is deleted on the node stays Terminating with FailedKillPod \"unable to signal init: permission denied\".",
			Mechanism: "An AppArmor profile is attached to runc itself (AppArmor 4, from Ubuntu 24.04 on, brings one; snaps of MicroK8s and Docker " +
				"have their own), and the profile of the containers accepts signals only from an unconfined runtime. The kernel then denies " +
				"both SIGTERM and SIGKILL, and no container of the node can be ended.",
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
				"https://github.com/canonical/microk8s/issues/1773",
				"https://kubernetes.io/docs/tutorials/security/apparmor/",
			},
		},
		Signature: &diagnose.Signature{
			States: []stuck.State{stuck.Terminating}, Stages: []stuck.Stage{stuck.KillUnconfirmed},
			Events:     []diagnose.EventMatch{{Reasons: []string{"FailedKillPod"}, Text: denied}},
			Confidence: diagnose.Certain, OnNode: true,
			Say: "Runc on node {node} may not signal containers: the kernel answers permission denied, so no container there can be ended.",
		},
		Log: append(
			diagnose.CertainLines(
				diagnose.Text{All: []string{"apparmor=", "DENIED", "operation=", "signal", "requested_mask"}, Any: []string{"cri-containerd", "docker-default", "crio-default", "containers-default", "runc", "crun", "dockerd"}},
				denied,
			),
			diagnose.LikelyLines(
				diagnose.Saying("apparmor=", "DENIED", "operation=", "signal", "requested_mask"),
				diagnose.Saying("cannot stop container", "permission denied"), diagnose.Saying("could not kill container", "permission denied"), // dockerd
			)...,
		),
	}
}
