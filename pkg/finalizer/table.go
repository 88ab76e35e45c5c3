package finalizer

import (
	"slices"
	"strings"
)

// entry is a finalizer, or a family of them, whose owner is known.
type entry struct {
	// patterns are finalizers; "*" stands for any text.
	patterns []string
	name     string
	// builtIn marks Kubernetes' own; lease is then the one in kube-system by which its program elects its leader.
	builtIn bool
	lease   string
	// workloads are what the owner's Deployment, StatefulSet or DaemonSet, a container of it or its image is called.
	workloads []string
	// leases are names of the Leases by which it elects its leader; "*" stands for any text.
	leases []string
	// group is an API group of which the project installs CustomResourceDefinitions; empty where it installs none.
	group string
	// outside marks owners that may run outside the cluster: that nothing of them is found here proves nothing.
	outside bool
	// sidecar is the container beside a CSI driver that owns the finalizer.
	sidecar string
	// todo and leaks are clauses: what the owner does before it removes the finalizer, and what comes of it if somebody else removes it.
	todo, leaks string
	ref         string
}

// Finalizers of Kubernetes itself that are looked at more closely.
const (
	pvcProtection = "kubernetes.io/pvc-protection"
	pvProtection  = "kubernetes.io/pv-protection"
	attacher      = "external-attacher/"
)

// The leases of the control plane, in kube-system.
const (
	kubeControllerManager  = "kube-controller-manager"
	cloudControllerManager = "cloud-controller-manager"
)

// table is all that is known, the more particular before the more general. It is made once: of thousands of stuck pods each is looked up in it.
var table = slices.Concat(kubernetesOwn(), onPods(), onVolumes(), onOthers())

// lookup finds the entry of a finalizer; nil where it is not known. The first that matches counts.
func lookup(finalizer string) *entry {
	for i := range table {
		for _, p := range table[i].patterns {
			if like(p, finalizer) {
				e := table[i]
				return &e
			}
		}
	}
	return nil
}

// like tells whether the text is of the pattern, in which each "*" stands for any text.
func like(pattern, text string) bool {
	first := strings.IndexByte(pattern, '*')
	if first < 0 {
		return pattern == text
	}
	last := strings.LastIndexByte(pattern, '*')
	before, after := pattern[:first], pattern[last+1:]
	if len(text) < len(before)+len(after) || !strings.HasPrefix(text, before) || !strings.HasSuffix(text, after) {
		return false
	}
	rest := text[len(before) : len(text)-len(after)]
	for first < last {
		var part string
		part, _, _ = strings.Cut(pattern[first+1:], "*")
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest, first = rest[i+len(part):], first+1+len(part)
	}
	return true
}

// kubernetesOwn are the finalizers that Kubernetes sets and removes by itself. Sources: pkg/controller/{job,garbagecollector,namespace,resourceclaim},
// pkg/controller/volume/{pvcprotection,pvprotection,persistentvolume} and apiextensions-apiserver/pkg/controller/finalizer of Kubernetes 1.37;
// k8s.io/cloud-provider/service/helpers for that of load balancers.
func kubernetesOwn() []entry {
	return []entry{
		{
			patterns: []string{"batch.kubernetes.io/job-tracking"}, name: "Job controller", builtIn: true, lease: kubeControllerManager,
			todo: "count the pod in the status of its Job, or see that the Job is gone", leaks: "a Job that has not counted the pod counts it as lost, and may run it again",
			ref: "https://kubernetes.io/docs/concepts/workloads/controllers/job/#job-tracking-with-finalizers",
		},
		{
			patterns: []string{"foregroundDeletion"}, name: "garbage collector", builtIn: true, lease: kubeControllerManager,
			todo: "delete the objects that name this one as their owner and block its deletion", leaks: "dependents that still exist are deleted in the background, or stay if the collector does not work",
			ref: "https://kubernetes.io/docs/concepts/architecture/garbage-collection/#foreground-deletion",
		},
		{
			patterns: []string{"orphan"}, name: "garbage collector", builtIn: true, lease: kubeControllerManager,
			todo: "take this owner off its dependents, so that they stay", leaks: "dependents that still name this owner are deleted, although they were to stay",
			ref: "https://kubernetes.io/docs/concepts/architecture/garbage-collection/#orphaned-dependents",
		},
		{
			patterns: []string{"kubernetes"}, name: "namespace controller", builtIn: true, lease: kubeControllerManager,
			todo: "delete everything in the namespace", leaks: "what is left in the namespace stays in the store, and appears again with a namespace of the same name",
			ref: "https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/",
		},
		{
			patterns: []string{pvcProtection}, name: "claim protection controller", builtIn: true, lease: kubeControllerManager,
			todo: "wait until no pod uses the claim", leaks: "the volume can be deleted with its data while a pod writes to it",
			ref: "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#storage-object-in-use-protection",
		},
		{
			patterns: []string{pvProtection}, name: "volume protection controller", builtIn: true, lease: kubeControllerManager,
			todo: "wait until no claim is bound to the volume", leaks: "the claim is lost, and whoever uses it loses its volume",
			ref: "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#storage-object-in-use-protection",
		},
		{
			patterns: []string{"kubernetes.io/pv-controller"}, name: "volume controller", builtIn: true, lease: kubeControllerManager,
			todo: "delete the storage behind the volume", leaks: "the disk behind the volume stays, and is paid for",
			ref: "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#persistentvolume-deletion-protection-finalizer",
		},
		{
			patterns: []string{"resource.kubernetes.io/delete-protection"}, name: "ResourceClaim controller", builtIn: true, lease: kubeControllerManager,
			todo: "wait until no pod has the claim reserved, and free its devices", leaks: "devices stay allocated to a claim that does not exist, or are given away while a pod uses them",
			ref: "https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/",
		},
		{
			patterns: []string{"service.kubernetes.io/load-balancer-cleanup"}, name: "service controller of the cloud provider", builtIn: true, lease: cloudControllerManager,
			todo: "delete the load balancer in the cloud", leaks: "the load balancer stays, is paid for, and keeps its address",
			ref: "https://kubernetes.io/docs/tasks/access-application-cluster/create-external-load-balancer/#garbage-collecting-load-balancers",
		},
		{
			patterns: []string{"customresourcecleanup.apiextensions.k8s.io"}, name: "API server", builtIn: true,
			todo: "delete every object of the custom resource, each of which may have finalizers", leaks: "the objects stay in the store, and appear again with a definition of the same name",
			ref: "https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#finalizers",
		},
	}
}

// onPods are the finalizers of others that are found on pods, and those of their projects.
func onPods() []entry {
	return []entry{
		{
			patterns: []string{"kueue.x-k8s.io/managed", "kueue.x-k8s.io/*"}, name: "Kueue", workloads: []string{"kueue-controller-manager"}, leases: []string{"c1f6bfd2.kueue.x-k8s.io"}, group: "kueue.x-k8s.io",
			todo: "count the pod's end in its Workload, or see that the Workload is gone or replaced", leaks: "quota may stay reserved for a workload that is over, or a pod group runs a pod again",
			ref: "https://kueue.sigs.k8s.io/docs/tasks/run/plain_pods/",
		},
		{
			patterns: []string{"workflows.argoproj.io/status"}, name: "Argo Workflows controller", workloads: []string{"workflow-controller"}, leases: []string{"workflow-controller", "workflow-controller-*"}, group: "argoproj.io",
			todo: "record the pod's result in its Workflow", leaks: "the step of the Workflow counts as failed with \"pod deleted\"",
			ref: "https://argo-workflows.readthedocs.io/en/latest/environment-variables/",
		},
		{
			patterns: []string{"workflows.argoproj.io/artifact-gc"}, name: "Argo Workflows controller", workloads: []string{"workflow-controller"}, leases: []string{"workflow-controller", "workflow-controller-*"}, group: "argoproj.io",
			todo: "delete the artifacts of the Workflow", leaks: "the artifacts stay in their store",
			ref: "https://argo-workflows.readthedocs.io/en/latest/walk-through/artifacts/#artifact-garbage-collection",
		},
		{
			patterns: []string{"mysql.oracle.com/membership"}, name: "MySQL Operator", workloads: []string{"mysql-operator"}, group: "mysql.oracle.com",
			todo: "take the server out of its InnoDB cluster", leaks: "the cluster keeps a member that does not exist, and may lose its quorum",
			ref: "https://github.com/mysql/mysql-operator",
		},
		{
			patterns: []string{"pvc.database.arangodb.com/*"}, name: "ArangoDB operator", workloads: []string{"kube-arangodb", "arango-deployment-operator"}, group: "database.arangodb.com",
			todo: "see that the member of the claim is gone", leaks: "data of a member that is still in use is deleted",
			ref: "https://github.com/arangodb/kube-arangodb",
		},
		{
			patterns: []string{"*.database.arangodb.com/*", "database.arangodb.com/*"}, name: "ArangoDB operator", workloads: []string{"kube-arangodb", "arango-deployment-operator", "arango-operator"}, leases: []string{"arango-*"}, group: "database.arangodb.com",
			todo: "drain the member, or wait until the others can do without it", leaks: "shards or agency members are lost if this one held the last copy",
			ref: "https://github.com/arangodb/kube-arangodb",
		},
		{
			patterns: []string{"prow.x-k8s.io/*"}, name: "Prow crier", workloads: []string{"crier"}, group: "prow.k8s.io",
			todo: "report the pod's end and upload it", leaks: "the job's record lacks the pod's state and events",
			ref: "https://docs.prow.k8s.io/docs/components/core/crier/",
		},
		{
			patterns: []string{"actions.summerwind.dev/*"}, name: "GitHub Actions Runner Controller (summerwind)", workloads: []string{"actions-runner-controller"}, leases: []string{"actions-runner-controller"}, group: "actions.summerwind.dev",
			todo: "unregister the runner at GitHub", leaks: "runners that do not exist stay registered at GitHub, and jobs may be given to them",
			ref: "https://github.com/actions/actions-runner-controller",
		},
		{
			patterns: []string{"ephemeralrunner.actions.github.com/*", "autoscalingrunnerset.actions.github.com/*", "autoscalinglistener.actions.github.com/*", "actions.github.com/*", "*.actions.github.com/*"},
			name:     "GitHub Actions Runner Controller", workloads: []string{"gha-runner-scale-set-controller", "gha-rs-controller"}, leases: []string{"gha-rs-controller", "*-gha-rs-controller"}, group: "actions.github.com",
			todo: "unregister the runner or the scale set at GitHub, and remove what it made for it", leaks: "runners and scale sets stay registered at GitHub; roles and service accounts stay here",
			ref: "https://github.com/actions/actions-runner-controller",
		},
		{
			patterns: []string{"garo.tietoevry.com/*"}, name: "GitHub Actions runner operator (garo)", workloads: []string{"github-actions-runner-operator"}, group: "garo.tietoevry.com",
			todo: "unregister the runner at GitHub", leaks: "a runner that does not exist stays registered at GitHub",
			ref: "https://github.com/evryfs/github-actions-runner-operator",
		},
		{
			patterns: []string{"juicefs.com/finalizer"}, name: "JuiceFS CSI node service", workloads: []string{"juicefs-csi-node"},
			todo: "unmount the file system of the mount pod on its node", leaks: "the mount stays behind on the node, and programs that use it hang",
			ref: "https://juicefs.com/docs/csi/introduction/",
		},
		{
			patterns: []string{"multicluster.admiralty.io/*"}, name: "Admiralty", workloads: []string{"multicluster-scheduler-controller-manager", "admiralty-controller-manager"}, leases: []string{"admiralty-*"}, group: "multicluster.admiralty.io",
			todo: "delete the pod that stands for this one in another cluster", leaks: "the pod in the other cluster goes on running",
			ref: "https://admiralty.io/docs/",
		},
		{
			patterns: []string{"virtual-kubelet.liqo.io/*", "*.liqo.io/*", "liqo.io/*"}, name: "Liqo", workloads: []string{"liqo-controller-manager", "liqo-virtual-kubelet", "virtual-kubelet"}, group: "offloading.liqo.io",
			todo: "delete what stands for this object in the other cluster", leaks: "the pod in the other cluster goes on running",
			ref: "https://docs.liqo.io/",
		},
		{
			patterns: []string{"gitpod.io/finalizer"}, name: "Gitpod workspace manager", workloads: []string{"ws-manager-mk2", "ws-manager"}, group: "workspace.gitpod.io",
			todo: "back up the content of the workspace", leaks: "work in the workspace that was not saved is lost",
			ref: "https://github.com/gitpod-io/gitpod",
		},
		{
			patterns: []string{"kmm.node.kubernetes.io/*", "kmm.openshift.io/*"}, name: "Kernel Module Management", workloads: []string{"kmm-operator-controller", "kmm-operator-controller-manager"}, group: "kmm.sigs.x-k8s.io",
			todo: "record how the worker pod ended on its node", leaks: "the state of the node's kernel modules is recorded wrongly, and the worker runs again",
			ref: "https://kmm.sigs.k8s.io/",
		},
		{
			patterns: []string{"finalizer.chaos.datadoghq.com*"}, name: "Datadog chaos controller", workloads: []string{"chaos-controller"}, group: "chaos.datadoghq.com",
			todo: "undo the disruption on the node and see that the injector ended well", leaks: "the disruption (network, disk, processor) may go on on the node",
			ref: "https://github.com/DataDog/chaos-controller",
		},
		{
			patterns: []string{"matrixorigin.io/*"}, name: "MatrixOne operator", workloads: []string{"matrixone-operator"}, group: "core.matrixorigin.io",
			todo: "drain the connections of the pod", leaks: "open connections to the database break",
			ref: "https://github.com/matrixorigin/matrixone-operator",
		},
		{
			patterns: []string{"*.emqx.io/*", "emqx.io/*"}, name: "EMQX operator", workloads: []string{"emqx-operator-controller-manager", "emqx-operator"}, group: "apps.emqx.io",
			todo: "move the sessions off the broker and take it out of the cluster", leaks: "sessions are lost, and the cluster keeps a member that does not exist",
			ref: "https://docs.emqx.com/en/emqx-operator/latest/",
		},
		{
			// Operators written with kopf set it on whatever they watch, pods included; all of them use the same name.
			patterns: []string{"kopf.zalando.org/KopfFinalizerMarker", "KopfFinalizerMarker"}, name: "an operator written with kopf", outside: true,
			todo: "run its handlers for the deletion", leaks: "whatever those handlers clean up stays",
			ref: "https://kopf.readthedocs.io/en/stable/handlers/",
		},
		{
			patterns: []string{"finalizers.gatekeeper.sh/*"}, name: "Gatekeeper", workloads: []string{"gatekeeper-controller-manager"}, group: "config.gatekeeper.sh",
			todo: "forget the object in its data for policies", leaks: "nothing outside the cluster; policies may judge by an object that is gone",
			ref: "https://github.com/open-policy-agent/gatekeeper",
		},
		{
			patterns: []string{"chains.tekton.dev", "chains.tekton.dev/*"}, name: "Tekton Chains", workloads: []string{"tekton-chains-controller"}, leases: []string{"tekton-chains*"}, group: "tekton.dev",
			todo: "sign the run and store its provenance", leaks: "the run has no signature and no provenance",
			ref: "https://tekton.dev/docs/chains/",
		},
		{
			patterns: []string{"results.tekton.dev/*", "results.tekton.dev"}, name: "Tekton Results", workloads: []string{"tekton-results-watcher"}, leases: []string{"tekton-results*"}, group: "tekton.dev",
			todo: "store the run and its logs", leaks: "logs and results of the run are lost",
			ref: "https://tekton.dev/docs/results/",
		},
		{
			patterns: []string{"ray.io/*"}, name: "KubeRay operator", workloads: []string{"kuberay-operator"}, leases: []string{"ray-operator-leader"}, group: "ray.io",
			todo: "clean up what the cluster keeps in Redis", leaks: "keys of the cluster stay in Redis",
			ref: "https://docs.ray.io/en/latest/cluster/kubernetes/user-guides/kuberay-gcs-ft.html",
		},
		{
			patterns: []string{"*.kubeblocks.io/*", "kubeblocks.io/*"}, name: "KubeBlocks", workloads: []string{"kubeblocks"}, group: "apps.kubeblocks.io",
			todo: "take the member out of its database cluster and delete what belongs to it", leaks: "volumes, secrets and memberships of the database stay",
			ref: "https://kubeblocks.io/docs/",
		},
		{
			patterns: []string{"kubeovn.io/*"}, name: "Kube-OVN", workloads: []string{"kube-ovn-controller"}, leases: []string{"kube-ovn-controller"}, group: "kubeovn.io",
			todo: "free the address and the logical port", leaks: "addresses and ports stay taken in OVN",
			ref: "https://kubeovn.github.io/docs/stable/en/",
		},
	}
}

// onVolumes are the finalizers of others on claims, volumes and their attachments.
func onVolumes() []entry {
	return []entry{
		{
			patterns: []string{attacher + "*"}, name: "external-attacher of the CSI driver", sidecar: "csi-attacher",
			todo: "have the driver detach the volume from its node", leaks: "the volume may stay attached to its node: the next pod cannot attach it, or two nodes write to it",
			ref: "https://kubernetes-csi.github.io/docs/external-attacher.html",
		},
		{
			patterns: []string{"external-provisioner.volume.kubernetes.io/finalizer"}, name: "external-provisioner of the CSI driver", sidecar: "csi-provisioner",
			todo: "have the driver delete the storage behind the volume", leaks: "the disk behind the volume stays, and is paid for",
			ref: "https://kubernetes-csi.github.io/docs/external-provisioner.html",
		},
		{
			patterns: []string{"provisioner.storage.kubernetes.io/*"}, name: "external-provisioner of the CSI driver", sidecar: "csi-provisioner",
			todo: "finish the copies that are being made of the claim", leaks: "a copy that is being made fails or is incomplete",
			ref: "https://kubernetes-csi.github.io/docs/volume-cloning.html",
		},
		{
			patterns: []string{"snapshot.storage.kubernetes.io/*"}, name: "snapshot controller", workloads: []string{"snapshot-controller", "csi-snapshot-controller"}, leases: []string{"snapshot-controller-leader*"}, group: "snapshot.storage.k8s.io",
			todo: "finish or delete the snapshots of the claim", leaks: "snapshots stay in the storage system, or are cut off while they are made",
			ref: "https://kubernetes-csi.github.io/docs/snapshot-controller.html",
		},
		{
			patterns: []string{"cns.vmware.com/*"}, name: "vSphere CSI driver", workloads: []string{"vsphere-csi-controller"}, leases: []string{"vsphere-syncer", "*csi-vsphere-vmware-com"}, group: "cns.vmware.com",
			todo: "release the volume in the supervisor cluster", leaks: "the volume stays in vSphere",
			ref: "https://docs.vmware.com/en/VMware-vSphere-Container-Storage-Plug-in/",
		},
		{
			patterns: []string{"topolvm.io/*", "topolvm.cybozu.com/*"}, name: "TopoLVM", workloads: []string{"topolvm-controller"}, leases: []string{"topolvm", "*topolvm*"}, group: "topolvm.io",
			todo: "delete the pods and the logical volume that belong to the claim", leaks: "the logical volume stays on its node",
			ref: "https://github.com/topolvm/topolvm",
		},
		{
			patterns: []string{"*.openebs.io/finalizer", "openebs.io/*"}, name: "OpenEBS", workloads: []string{"openebs-localpv-provisioner", "openebs-zfs-controller", "openebs-zfs-localpv-controller", "openebs-lvm-controller", "openebs-lvm-localpv-controller", "cvc-operator", "openebs-cstor-cvc-operator"}, group: "openebs.io",
			todo: "delete the data of the volume", leaks: "the data stays on its node or pool",
			ref: "https://openebs.io/docs/",
		},
		{
			patterns: []string{"longhorn.io", "longhorn.io/*"}, name: "Longhorn", workloads: []string{"longhorn-manager"}, leases: []string{"longhorn-manager-*"}, group: "longhorn.io",
			todo: "delete the replicas, engines or backups of the object", leaks: "replicas stay on the disks of the nodes",
			ref: "https://longhorn.io/docs/",
		},
		{
			patterns: []string{"*.ceph.rook.io", "ceph.rook.io/*", "*.objectbucket.io", "objectbucket.io/*"}, name: "Rook", workloads: []string{"rook-ceph-operator"}, group: "ceph.rook.io",
			todo: "remove the object from Ceph, and wait until nothing depends on it", leaks: "pools, users and data of Ceph stay on the hosts; a new cluster on them fails",
			ref: "https://rook.io/docs/rook/latest/Getting-Started/ceph-teardown/",
		},
		{
			patterns: []string{"trident.netapp.io", "trident.netapp.io/*"}, name: "NetApp Trident", workloads: []string{"trident-controller", "trident-csi"}, group: "trident.netapp.io",
			todo: "delete the volume on the storage system", leaks: "the volume stays on the storage system, and Trident forgets it",
			ref: "https://docs.netapp.com/us-en/trident/",
		},
		{
			patterns: []string{"cdi.kubevirt.io/*"}, name: "KubeVirt CDI", workloads: []string{"cdi-deployment"}, leases: []string{"cdi-controller-leader-election-helper"}, group: "cdi.kubevirt.io",
			todo: "end the import or the clone, and remove its helper pods", leaks: "helper pods and half-written claims stay",
			ref: "https://github.com/kubevirt/containerized-data-importer",
		},
	}
}

// onOthers are the finalizers of others on namespaces, nodes, services, owners of pods and custom resources.
func onOthers() []entry {
	return []entry{
		{
			patterns: []string{"resources-finalizer.argocd.argoproj.io", "resources-finalizer.argocd.argoproj.io/*", "post-delete-finalizer.argocd.argoproj.io", "post-delete-finalizer.argocd.argoproj.io/*", "argocd.argoproj.io/hook-finalizer"},
			name:     "Argo CD application controller", workloads: []string{"argocd-application-controller"}, group: "argoproj.io", outside: true,
			todo: "delete what the Application deployed, or end the hook", leaks: "what the Application deployed stays in its cluster",
			ref: "https://argo-cd.readthedocs.io/en/stable/user-guide/app_deletion/",
		},
		{
			patterns: []string{"kubevirt.io/*", "foregroundDeleteVirtualMachine", "*.kubevirt.io/*"}, name: "KubeVirt", workloads: []string{"virt-controller"}, leases: []string{"virt-controller"}, group: "kubevirt.io",
			todo: "see that the virtual machine has stopped and its node has cleaned up", leaks: "the machine may go on running, and a second one be started on the same disk",
			ref: "https://kubevirt.io/user-guide/",
		},
		{
			patterns: []string{"service.k8s.aws/*", "elbv2.k8s.aws/*", "ingress.k8s.aws/*", "group.ingress.k8s.aws/*", "gateway.k8s.aws/*"}, name: "AWS Load Balancer Controller",
			workloads: []string{"aws-load-balancer-controller"}, leases: []string{"aws-load-balancer-controller-leader"}, group: "elbv2.k8s.aws",
			todo: "delete the load balancer, its target groups and security groups", leaks: "load balancers and security groups stay in AWS, and are paid for",
			ref: "https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/",
		},
		{
			patterns: []string{"networking.k8s.aws/*"}, name: "Amazon VPC network policy controller", outside: true, leases: []string{"amazon-network-policy-controller-k8s", "cp-vpc-resource-controller"}, group: "networking.k8s.aws",
			todo: "remove the policy from the endpoints", leaks: "rules of the policy stay in force on the nodes",
			ref: "https://github.com/aws/amazon-network-policy-controller-k8s",
		},
		{
			patterns: []string{"*.application-networking.k8s.aws/*"}, name: "AWS Gateway API Controller", workloads: []string{"aws-gateway-controller", "gateway-api-controller"}, group: "application-networking.k8s.aws",
			todo: "delete what it made in VPC Lattice", leaks: "services and associations stay in VPC Lattice",
			ref: "https://www.gateway-api-controller.eks.aws.dev/latest/",
		},
		{
			patterns: []string{"finalizers.*.services.k8s.aws/*", "*.services.k8s.aws/*"}, name: "AWS Controllers for Kubernetes (the one of that service)", outside: true,
			todo: "delete the resource in AWS", leaks: "the resource stays in AWS, and is paid for",
			ref: "https://aws-controllers-k8s.github.io/community/docs/community/overview/",
		},
		{
			patterns: []string{"gke.networking.io/*", "networking.gke.io/*", "*.networking.gke.io"}, name: "GKE load balancing controllers", outside: true, leases: []string{"ingress-gce-lock", "ingress-gce-*"},
			todo: "delete the load balancer or the network endpoint group", leaks: "load balancers, forwarding rules and endpoint groups stay in Google Cloud",
			ref: "https://github.com/kubernetes/ingress-gce",
		},
		{
			patterns: []string{"cnrm.cloud.google.com/*", "*.cnrm.cloud.google.com/*"}, name: "Google Config Connector", workloads: []string{"cnrm-controller-manager", "cnrm-deletiondefender"}, group: "core.cnrm.cloud.google.com",
			todo: "delete the resource in Google Cloud", leaks: "the resource stays in Google Cloud, and is paid for",
			ref: "https://cloud.google.com/config-connector/docs/overview",
		},
		{
			patterns: []string{"serviceoperator.azure.com/*"}, name: "Azure Service Operator", workloads: []string{"azureserviceoperator-controller-manager"}, leases: []string{"controllers-leader-election-azinfra-generated"}, group: "resources.azure.com",
			todo: "delete the resource in Azure", leaks: "the resource stays in Azure, and is paid for",
			ref: "https://azure.github.io/azure-service-operator/",
		},
		{
			patterns: []string{"service.k8s.alibaba/*"}, name: "Alibaba Cloud controller manager", outside: true, workloads: []string{"cloud-controller-manager"}, leases: []string{"ccm", "cloud-controller-manager"},
			todo: "delete the load balancer", leaks: "the load balancer stays, and is paid for",
			ref: "https://github.com/kubernetes/cloud-provider-alibaba-cloud",
		},
		{
			patterns: []string{"karpenter.sh/*", "karpenter.k8s.aws/*", "karpenter.azure.com/*", "*.karpenter.sh/*"}, name: "Karpenter", outside: true, workloads: []string{"karpenter"}, leases: []string{"karpenter-leader-election"}, group: "karpenter.sh",
			todo: "drain the node and end its machine", leaks: "the machine stays, runs its pods and is paid for",
			ref: "https://karpenter.sh/docs/concepts/disruption/",
		},
		{
			patterns: []string{"controller.cattle.io/*", "wrangler.cattle.io/managed-etcd-controller", "wrangler.cattle.io/node", "wrangler.cattle.io/on-helm-chart-remove", "wrangler.cattle.io/*", "*.cattle.io/*", "clusterscoped.controller.cattle.io/*"},
			name:     "Rancher, or K3s", outside: true, workloads: []string{"rancher", "cattle-cluster-agent", "fleet-controller", "fleet-agent"}, leases: []string{"cattle-controllers", "k3s", "rke2", "k3s-etcd", "rke2-etcd"}, group: "management.cattle.io",
			todo: "remove the rights, members or releases that it keeps for the object", leaks: "roles and bindings stay, a member of etcd stays registered, or a chart stays installed",
			ref: "https://ranchermanager.docs.rancher.com/",
		},
		{
			patterns: []string{"finalizers.kubesphere.io/*", "*.finalizers.kubesphere.io", "finalizers.kubesphere.io", "finalizers.tenant.kubesphere.io*"}, name: "KubeSphere", workloads: []string{"ks-controller-manager"}, leases: []string{"ks-controller-manager-leader-election"}, group: "tenant.kubesphere.io",
			todo: "remove the rights and the workspace entries of the object", leaks: "roles and entries of workspaces stay",
			ref: "https://kubesphere.io/docs/",
		},
		{
			patterns: []string{"acme.cert-manager.io/finalizer", "finalizer.acme.cert-manager.io", "*.cert-manager.io/*"}, name: "cert-manager", workloads: []string{"cert-manager"}, leases: []string{"cert-manager-controller"}, group: "cert-manager.io",
			todo: "take the challenge away from DNS or from its Ingress", leaks: "records of challenges stay in DNS",
			ref: "https://cert-manager.io/docs/troubleshooting/acme/",
		},
		{
			patterns: []string{"finalizer.managedresource.crossplane.io", "finalizer.managedresource.crossplane.io/*"}, name: "the Crossplane provider of that resource", outside: true, leases: []string{"crossplane-leader-election-provider-*"},
			todo: "delete the resource outside the cluster", leaks: "the resource outside the cluster stays, and is paid for",
			ref: "https://docs.crossplane.io/latest/guides/troubleshoot-crossplane/",
		},
		{
			patterns: []string{"*.apiextensions.crossplane.io", "*.pkg.crossplane.io", "*.crossplane.io", "*.crossplane.io/*"}, name: "Crossplane", workloads: []string{"crossplane"},
			leases: []string{"crossplane-leader-election-core", "crossplane-leader-election-rbac"}, group: "apiextensions.crossplane.io",
			todo: "delete what the claim or the composite is made of", leaks: "resources outside the cluster stay, and are paid for",
			ref: "https://docs.crossplane.io/latest/guides/troubleshoot-crossplane/",
		},
		{
			patterns: []string{"sparkoperator.k8s.io/*"}, name: "Spark operator", workloads: []string{"spark-operator", "spark-operator-controller"}, leases: []string{"spark-operator*"}, group: "sparkoperator.k8s.io",
			todo: "delete the driver and what it made", leaks: "the driver's pods, services and ingresses may stay",
			ref: "https://www.kubeflow.org/docs/components/spark-operator/",
		},
		{
			patterns: []string{"flinkdeployments.flink.apache.org/finalizer", "*.flink.apache.org/finalizer"}, name: "Flink operator", workloads: []string{"flink-kubernetes-operator"}, leases: []string{"flink-operator-lease"}, group: "flink.apache.org",
			todo: "stop the job and clean up its state for high availability", leaks: "the job may go on running, and its state stays",
			ref: "https://nightlies.apache.org/flink/flink-kubernetes-operator-docs-main/",
		},
		{
			patterns: []string{"strimzi.io/*"}, name: "Strimzi topic operator", workloads: []string{"entity-operator", "topic-operator", "strimzi-cluster-operator"}, group: "kafka.strimzi.io",
			todo: "delete the topic in Kafka", leaks: "the topic stays in Kafka",
			ref: "https://strimzi.io/docs/operators/latest/deploying",
		},
		{
			patterns: []string{"finalizer.keda.sh", "*.keda.sh", "keda.sh/*"}, name: "KEDA", workloads: []string{"keda-operator"}, leases: []string{"operator.keda.sh"}, group: "keda.sh",
			todo: "give the workload its replicas back and stop to scale it", leaks: "the workload stays at the number of replicas that it has",
			ref: "https://keda.sh/docs/latest/",
		},
		{
			patterns: []string{"*.velero.io/external-resources-finalizer", "velero.io/*", "*.velero.io/*"}, name: "Velero", workloads: []string{"velero"}, group: "velero.io",
			todo: "delete the backup's or restore's data in the object store", leaks: "data stays in the object store",
			ref: "https://velero.io/docs/",
		},
		{
			patterns: []string{"*.infrastructure.cluster.x-k8s.io", "*.infrastructure.cluster.x-k8s.io/*"}, name: "infrastructure provider of Cluster API", outside: true,
			workloads: []string{"capa-controller-manager", "capz-controller-manager", "capv-controller-manager", "capg-controller-manager", "capo-controller-manager", "capm3-controller-manager", "caph-controller-manager", "capd-controller-manager"},
			leases:    []string{"controller-leader-election-cap*"}, group: "infrastructure.cluster.x-k8s.io",
			todo: "delete the machine or the network in the cloud", leaks: "machines, disks and networks stay, and are paid for",
			ref: "https://cluster-api.sigs.k8s.io/",
		},
		{
			patterns: []string{"*.cluster.x-k8s.io", "cluster.x-k8s.io/*", "*.cluster.x-k8s.io/*"}, name: "Cluster API", outside: true,
			workloads: []string{"capi-controller-manager"}, leases: []string{"controller-leader-election-capi"}, group: "cluster.x-k8s.io",
			todo: "drain the node and have its machine deleted", leaks: "machines, disks and networks stay, and are paid for",
			ref: "https://cluster-api.sigs.k8s.io/",
		},
		{
			patterns: []string{"baremetalhost.metal3.io", "*.metal3.io", "*.metal3.io/*"}, name: "Metal3", workloads: []string{"baremetal-operator-controller-manager", "metal3-baremetal-operator", "baremetal-operator"}, leases: []string{"baremetal-operator"}, group: "metal3.io",
			todo: "deprovision the host", leaks: "the host goes on running what was installed on it, and Ironic keeps it",
			ref: "https://book.metal3.io/",
		},
		{
			patterns: []string{"machine.machine.openshift.io", "*.machine.openshift.io"}, name: "OpenShift machine controller", workloads: []string{"machine-api-controllers"}, leases: []string{"cluster-api-provider-*", "machine-api-*"}, group: "machine.openshift.io",
			todo: "drain the node and delete its machine in the cloud", leaks: "the machine stays in the cloud, and is paid for",
			ref: "https://docs.redhat.com/en/documentation/openshift_container_platform/",
		},
		{
			patterns: []string{"finalizer.elasticsearch.k8s.elastic.co/*", "*.k8s.elastic.co/*", "*.k8s.elastic.co"}, name: "Elastic Cloud on Kubernetes", workloads: []string{"elastic-operator"}, leases: []string{"elastic-operator-leader"}, group: "elasticsearch.k8s.elastic.co",
			todo: "forget what it watches for the object", leaks: "nothing outside the cluster",
			ref: "https://www.elastic.co/docs/deploy-manage/deploy/cloud-on-k8s",
		},
		{
			patterns: []string{"postgres-operator.crunchydata.com/*", "*.postgres-operator.crunchydata.com/*"}, name: "Crunchy Postgres operator", workloads: []string{"pgo"}, leases: []string{"cpk-leader-election-lease"}, group: "postgres-operator.crunchydata.com",
			todo: "shut the instances down in order, replicas first", leaks: "replicas may promote themselves while the cluster goes down",
			ref: "https://access.crunchydata.com/documentation/postgres-operator/latest",
		},
		{
			patterns: []string{"percona.com/*", "*.percona.com/*", "delete-pods-in-order", "delete-psmdb-pods-in-order", "delete-pxc-pods-in-order", "delete-proxysql-pvc", "delete-pxc-pvc", "delete-psmdb-pvc"}, name: "Percona operator",
			workloads: []string{"percona-xtradb-cluster-operator", "percona-server-mongodb-operator", "percona-server-mysql-operator", "percona-postgresql-operator"}, leases: []string{"*.percona.com"}, group: "percona.com",
			todo: "delete the pods in order, and the volumes or backups that were to go", leaks: "volumes and backups that were to go stay",
			ref: "https://docs.percona.com/percona-operators/",
		},
		{
			patterns: []string{"mongodb.com/*", "*.finalizer.mongodb.com", "*.mongodb.com/*", "*.mongodb.com"}, name: "MongoDB operator", workloads: []string{"mongodb-enterprise-operator", "mongodb-kubernetes-operator", "mongodb-atlas-operator"}, group: "mongodb.com",
			todo: "remove the deployment from Ops Manager or Atlas", leaks: "the deployment stays in Ops Manager or Atlas",
			ref: "https://www.mongodb.com/docs/kubernetes/current/",
		},
		{
			patterns: []string{"finalizers.fluxcd.io", "finalizers.fluxcd.io/*"}, name: "Flux", workloads: []string{"kustomize-controller", "helm-controller", "source-controller", "notification-controller", "image-automation-controller", "image-reflector-controller"},
			leases: []string{"kustomize-controller-leader-election", "helm-controller-leader-election", "source-controller-leader-election"}, group: "kustomize.toolkit.fluxcd.io",
			todo: "delete what it deployed", leaks: "what it deployed stays",
			ref: "https://fluxcd.io/flux/",
		},
		{
			patterns: []string{"externalsecrets.external-secrets.io/*", "*.external-secrets.io/*", "external-secrets.io/*", "*.externalsecrets.external-secrets.io/*"}, name: "External Secrets operator", workloads: []string{"external-secrets"}, leases: []string{"external-secrets-controller"}, group: "external-secrets.io",
			todo: "delete the secrets that it made, where it was told to", leaks: "secrets stay here or at the provider",
			ref: "https://external-secrets.io/latest/",
		},
		{
			patterns: []string{"*.secrets.hashicorp.com/*", "secrets.hashicorp.com/*"}, name: "Vault Secrets operator", workloads: []string{"vault-secrets-operator-controller-manager", "vault-secrets-operator"}, leases: []string{"b0d477c0.hashicorp.com"}, group: "secrets.hashicorp.com",
			todo: "revoke what it leased from Vault", leaks: "credentials stay valid in Vault until their lease ends",
			ref: "https://developer.hashicorp.com/vault/docs/deploy/kubernetes/vso",
		},
		{
			patterns: []string{"istio-finalizer.install.istio.io"}, name: "Istio operator (no longer part of Istio since 1.24)", workloads: []string{"istio-operator"}, leases: []string{"istio-operator-lock*"}, group: "install.istio.io",
			todo: "remove what the IstioOperator installed", leaks: "the control plane of Istio stays installed",
			ref: "https://istio.io/latest/blog/2024/in-cluster-operator-deprecation-announcement/",
		},
		{
			patterns: []string{"gateway-exists-finalizer.gateway.networking.k8s.io", "gateway-exists-finalizer.gateway.networking.k8s.io/*"}, name: "the controller of the GatewayClass", outside: true, group: "gateway.networking.k8s.io",
			todo: "see that no Gateway uses the class", leaks: "the Gateways of the class are left without it",
			ref: "https://gateway-api.sigs.k8s.io/",
		},
		{
			patterns: []string{"*.cilium.io/*", "cilium.io/*", "*.cilium.io"}, name: "Cilium operator", workloads: []string{"cilium-operator"}, leases: []string{"cilium-operator-resource-lock"}, group: "cilium.io",
			todo: "free what the object holds: addresses, endpoints, identities", leaks: "addresses and identities stay taken",
			ref: "https://docs.cilium.io/en/stable/",
		},
		{
			patterns: []string{"*.karmada.io/*", "karmada.io/*"}, name: "Karmada", outside: true, workloads: []string{"karmada-controller-manager"}, leases: []string{"karmada-controller-manager"}, group: "work.karmada.io",
			todo: "delete the object in the member clusters", leaks: "the object stays in the member clusters",
			ref: "https://karmada.io/docs/",
		},
		{
			patterns: []string{"*.open-cluster-management.io/*", "*.open-cluster-management.io"}, name: "Open Cluster Management", outside: true, workloads: []string{"cluster-manager-registration-controller", "klusterlet-registration-agent", "klusterlet-agent", "klusterlet-work-agent"}, group: "cluster.open-cluster-management.io",
			todo: "remove the object in the managed clusters", leaks: "the object stays in the managed clusters",
			ref: "https://open-cluster-management.io/",
		},
		{
			patterns: []string{"helm.sdk.operatorframework.io/*", "uninstall-helm-release"}, name: "an operator made from a Helm chart", outside: true,
			todo: "uninstall the Helm release of the object", leaks: "everything that the release installed stays",
			ref: "https://sdk.operatorframework.io/docs/building-operators/helm/",
		},
		{
			patterns: []string{"metacontroller.io/*"}, name: "Metacontroller", workloads: []string{"metacontroller"}, group: "metacontroller.k8s.io",
			todo: "run the finalize hook of its composite or decorator controller", leaks: "whatever that hook cleans up stays",
			ref: "https://metacontroller.github.io/metacontroller/",
		},
		{
			patterns: []string{"operator.tigera.io/*", "tigera.io/*"}, name: "Tigera operator", workloads: []string{"tigera-operator"}, leases: []string{"operator-lock"}, group: "operator.tigera.io",
			todo: "uninstall Calico in the right order", leaks: "parts of Calico stay, and pods cannot be removed from the network",
			ref: "https://docs.tigera.io/calico/latest/reference/installation/api",
		},
	}
}

// Entry is what the table knows of a family of finalizers.
type Entry struct {
	Patterns               []string // "*" stands for any text
	Name, Todo, Leaks, Ref string
	BuiltIn                bool
}

// Known lists the table, for documentation and for what has to leave its words as they are.
func Known() []Entry {
	out := make([]Entry, len(table))
	for i, e := range table {
		out[i] = Entry{Patterns: slices.Clone(e.patterns), Name: e.name, Todo: e.todo, Leaks: e.leaks, Ref: e.ref, BuiltIn: e.builtIn}
	}
	return out
}

// Words are the texts by which owners are recognised: in a redacted dump they must stay as they are, or an owner that lives would look as if it were gone.
func Words() []string {
	out := slices.Concat(toolPrefixes(), toolNames(), controllerWords())
	for _, e := range table {
		out = slices.Concat(out, e.patterns, e.workloads, e.leases, []string{e.group, e.sidecar, e.lease})
	}
	return out
}
