package scenario

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/csi"
	"github.com/kubectl-stuck/kubectl-stuck/test/fault"
)

// DeadNFSServer is one file server that two workloads on three nodes wait for.
func DeadNFSServer() Scenario {
	const namespace, server, export = "catalog", "10.20.40.7", "/exports/product-images"
	volume := withVolume("product-images", "/srv/images", corev1.VolumeSource{
		NFS: &corev1.NFSVolumeSource{Server: server, Path: export},
	})
	resizer := workload{namespace: namespace, name: "image-resizer", replicas: 3, apart: true, edit: volume}
	importer := workload{namespace: namespace, name: "feed-importer", replicas: 3, apart: true, edit: volume}
	match := fault.Match{Source: server + ":**"}
	return Scenario{
		Name: "dead-nfs-server",
		Doc:  "An NFS server is gone: pods of two workloads on three nodes can neither mount its export nor, when deleted, unmount it.",
		Setup: func(ctx context.Context, c *bed.Cluster) error {
			if err := resizer.deployRunning(ctx, c); err != nil {
				return err
			}
			err := addFaultsToHealthy(ctx, c,
				fault.Rule{ID: "nfs-mount", Call: fault.Mount, Match: match, Action: fault.Fail, Delay: 3 * time.Second,
					Message: "mount failed: exit status 32\nMounting command: mount\nMounting arguments: -t nfs {source} {id}\nOutput: mount.nfs: Connection timed out\n"},
				fault.Rule{ID: "nfs-unmount", Call: fault.Unmount, Match: match, Action: fault.Hang})
			if err != nil {
				return err
			}
			return all(resizer.deletePods(ctx, c), importer.deploy(ctx, c))
		},
		Check: func(ctx context.Context, c *bed.Cluster) error {
			return all(
				enough(ctx, c, namespace, resizer.name, 3, inCleanup, overdue),
				enough(ctx, c, namespace, importer.name, 3, inState(Starting), waiting("ContainerCreating")),
				event(ctx, c, namespace, importer.name, "FailedMount", "mount.nfs: Connection timed out", server+":"+export),
			)
		},
		Within: 4 * time.Minute,
		Want: []Want{
			{Namespace: namespace, Prefix: resizer.name, State: Terminating, AtLeast: 3, Reach: []Reach{ReachShared}, Causes: []string{"nfs-server-unreachable"}},
			{Namespace: namespace, Prefix: resizer.name, State: Starting, AtLeast: 3, Reach: []Reach{ReachShared}, Causes: []string{"nfs-server-unreachable"}},
			{Namespace: namespace, Prefix: importer.name, State: Starting, AtLeast: 3, Reach: []Reach{ReachShared}, Causes: []string{"nfs-server-unreachable"}},
		},
	}
}

// MultiAttach is a disk that is still attached to a node that is lost.
func MultiAttach() Scenario {
	const node, namespace, claim, volume = "worker-c7", "ledger", "ledger-data", "pv-ledger-data"
	ledger := workload{namespace: namespace, name: "ledger", replicas: 1, node: node, edit: both(shortTolerations,
		withVolume("data", "/var/lib/ledger", corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
		}))}
	return Scenario{
		Name:  "multi-attach",
		Doc:   "A pod with a ReadWriteOnce disk was on a node that is lost; its replacement elsewhere waits for the disk, which stays attached to the lost node.",
		Nodes: []NodeSpec{{Name: node, Zone: "eu-central-1c"}},
		Setup: func(ctx context.Context, c *bed.Cluster) error {
			if err := c.EnsureNamespace(ctx, namespace); err != nil {
				return err
			}
			if err := makeDisk(ctx, c, namespace, claim, volume); err != nil {
				return err
			}
			if err := ledger.deployRunning(ctx, c); err != nil {
				return err
			}
			return freeze(c, node)
		},
		Check: func(ctx context.Context, c *bed.Cluster) error {
			return all(
				nodeReady(ctx, c, node, corev1.ConditionUnknown),
				attachedTo(ctx, c, volume, node),
				// The wording changes: "Multi-Attach error" before 1.37,
				// "Waiting for detach" since.
				event(ctx, c, namespace, ledger.name, "FailedAttachVolume", volume, "Volume is already"),
			)
		},
		Within: 3 * time.Minute,
		Want: []Want{
			{Namespace: namespace, Prefix: ledger.name, State: Terminating, AtLeast: 1, Node: node, Reach: []Reach{ReachNode, ReachPod}, Causes: []string{"node-lost", "kubelet-dead-node-up"}},
			{Namespace: namespace, Prefix: ledger.name, State: Starting, AtLeast: 1, Reach: []Reach{ReachPod, ReachNode, ReachShared}, Causes: []string{"multi-attach-node-down"}},
		},
	}
}

// makeDisk makes a volume of the bed's CSI driver, and a claim bound to it.
func makeDisk(ctx context.Context, c *bed.Cluster, namespace, claim, volume string) error {
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("20Gi")}
	noClass := ""
	pv := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: volume},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      size,
			AccessModes:                   []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			ClaimRef:                      &corev1.ObjectReference{Namespace: namespace, Name: claim},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				CSI: &corev1.CSIPersistentVolumeSource{Driver: csi.DriverName, VolumeHandle: "vol-" + volume},
			},
		},
	}
	if _, err := c.Client().CoreV1().PersistentVolumes().Create(ctx, pv, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create PersistentVolume %s: %w", volume, err)
	}
	pvc := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: claim},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:        corev1.VolumeResourceRequirements{Requests: size},
			StorageClassName: &noClass,
			VolumeName:       volume,
		},
	}
	if _, err := c.Client().CoreV1().PersistentVolumeClaims(namespace).Create(ctx, pvc, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create PersistentVolumeClaim %s/%s: %w", namespace, claim, err)
	}
	return nil
}

func attachedTo(ctx context.Context, c *bed.Cluster, volume, node string) error {
	list, err := c.Client().StorageV1().VolumeAttachments().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list VolumeAttachments: %w", err)
	}
	for _, va := range list.Items {
		if name := va.Spec.Source.PersistentVolumeName; name != nil && *name == volume && va.Spec.NodeName == node && va.Status.Attached {
			return nil
		}
	}
	return fmt.Errorf("volume %s is not attached to node %s", volume, node)
}

// ClaimUnbound is a claim whose StorageClass nobody has made.
func ClaimUnbound() Scenario {
	const namespace, claim = "reviews", "reviews-data"
	const class = "fast-ssd"
	reviews := workload{namespace: namespace, name: "reviews-db", replicas: 1, edit: withVolume("data", "/var/lib/postgresql",
		corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}})}
	return Scenario{
		Name: "claim-unbound",
		Doc:  "A pod's PersistentVolumeClaim names a StorageClass that does not exist.",
		Setup: func(ctx context.Context, c *bed.Cluster) error {
			if err := c.EnsureNamespace(ctx, namespace); err != nil {
				return err
			}
			storageClass := class
			pvc := &corev1.PersistentVolumeClaim{
				ObjectMeta: metav1.ObjectMeta{Name: claim},
				Spec: corev1.PersistentVolumeClaimSpec{
					AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
					StorageClassName: &storageClass,
					Resources: corev1.VolumeResourceRequirements{
						Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("50Gi")},
					},
				},
			}
			if _, err := c.Client().CoreV1().PersistentVolumeClaims(namespace).Create(ctx, pvc, metav1.CreateOptions{}); err != nil {
				return fmt.Errorf("create PersistentVolumeClaim %s/%s: %w", namespace, claim, err)
			}
			return reviews.deploy(ctx, c)
		},
		Check: func(ctx context.Context, c *bed.Cluster) error {
			return all(
				event(ctx, c, namespace, claim, "ProvisioningFailed", `"`+class+`" not found`),
				event(ctx, c, namespace, reviews.name, "FailedScheduling", "unbound immediate PersistentVolumeClaims"),
			)
		},
		Want: []Want{
			{Namespace: namespace, Prefix: reviews.name, State: Pending, AtLeast: 1, Reach: []Reach{ReachPod, ReachShared, ReachUndecided}, Causes: []string{"pvc-unbound"}},
		},
	}
}
