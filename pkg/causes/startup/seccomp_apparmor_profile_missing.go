package startup

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func seccompAppArmorProfileMissing() diagnose.Cause {
	profiles := []string{
		"apparmor profile not found", "failed to generate apparmor spec opts", "apparmor is not supported",
		"failed to generate seccomp spec opts", "cannot load seccomp profile", "failed to load seccomp profile", "seccomp is not supported", "apparmor failed to apply profile",
		"failed to apply AppArmor profile", "apply apparmor profile:", "applying apparmor profile to container", "load apparmor profile", "localhost AppArmor profile is forbidden", "apparmor_parser", "Cannot enforce AppArmor", "AppArmor is not enabled on the host", "unable to load seccomp profile", "setup seccomp: unable to load local profile",
		"failed to setup seccomp", "/proc/self/attr/apparmor/exec", "AppArmor profile \"",
	}
	return diagnose.Cause{
		Code: "ST616", Slug: "seccomp-apparmor-profile-missing",
		Doc: diagnose.Doc{
			Title:     "The node lacks the seccomp or AppArmor profile that the pod names",
			Symptom:   `CreateContainerError with "apparmor profile not found", "cannot load seccomp profile" or the like. The pod may start on other nodes.`,
			Mechanism: "A Localhost profile has to be loaded on each node by somebody: for AppArmor in the kernel, for seccomp as a file below /var/lib/kubelet/seccomp. This node does not have it, or its kernel or runtime does not support the mechanism.",
			Confirm: []string{
				"kubectl get pod {pod} -o jsonpath='{.spec.securityContext} {.spec.containers[*].securityContext}' -n {namespace}",
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "load-profile", Risk: diagnose.RiskNone, Text: "Load the profile on the node, or bring back what loads it there (often a DaemonSet). The container starts at the next attempt."},
				{ID: "select-nodes", Risk: diagnose.RiskLow, Text: "Or let the workload run only on nodes that have the profile, by a label."},
				{ID: "fix-profile-name", Risk: diagnose.RiskLow, Text: "Or correct the profile's name in the workload. RuntimeDefault exists wherever the mechanism does."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/tutorials/security/apparmor/",
				"https://kubernetes.io/docs/tutorials/security/seccomp/",
			},
		},
		Reach:    scope.ReachNode,
		Optional: []snapshot.Kind{snapshot.Event},
		Signature: &diagnose.Signature{
			States: []stuck.State{stuck.CreateContainerError, stuck.RunContainerError, stuck.CrashLoopBackOff, stuck.ContainerCreating, stuck.PodInitializing, stuck.Init, stuck.Rejected},
			Waiting: []diagnose.WaitingMatch{{
				Reasons: []string{"CreateContainerError", "RunContainerError", "StartError", "ContainerCannotRun"}, Text: diagnose.Text{Any: profiles},
			}},
			PodStatus:  []diagnose.WaitingMatch{{Reasons: []string{"AppArmor"}}, {Text: diagnose.Text{Any: []string{"Cannot enforce AppArmor"}}}},
			Events:     []diagnose.EventMatch{{Reasons: []string{"FailedCreatePodSandBox", "Failed", "AppArmor"}, Text: diagnose.Text{Any: profiles}}},
			Confidence: diagnose.Certain,
			Say:        "Node {node} does not have, or does not support, the seccomp or AppArmor profile that pod {pod} names.",
		},
		Log: append(diagnose.Lines("apparmor failed to apply profile", "failed to generate apparmor spec opts", "Cannot enforce AppArmor", "failed to generate seccomp spec opts", "cannot load seccomp profile",
			"applying apparmor profile to container", "localhost AppArmor profile is forbidden"), []diagnose.LogMatch{
			{Text: diagnose.Text{All: []string{"load apparmor profile", "exit status"}}}, // containerd contrib/apparmor
			// The kernel's own record of a profile that was loaded names the program too, without any error.
			{Text: diagnose.Text{All: []string{"apparmor_parser"}, Any: []string{"executable file not found", "exit status", "get apparmor_parser version"}, None: []string{"audit(", "comm="}}},
		}...),
	}
}
