package causes_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/nodelog"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot/snapshottest"
)

// storageWording is what was said of a pod, and nothing else is known: neither its volumes nor what stands behind them.
type storageWording struct{ reason, message string }

const (
	mountReason  = "FailedMount"
	attachReason = "FailedAttachVolume"
	wait         = `Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[data kube-api-access-x]: timed out waiting for the condition`
)

// storageWordings are what the kubelet, the attach-detach controller, the scheduler and drivers say, by the cause that the words must lead to: as the first
// answer, or as one that the first names as its alternative.
func storageWordings() map[string][]storageWording {
	return map[string][]storageWording{
		"multi-attach-node-down": {
			{attachReason, `Multi-Attach error for volume "pvc-1" Volume is already exclusively attached to one node and can't be attached to another`},
			{attachReason, `Waiting for detach for volume "pvc-1" Volume is already exclusively attached to one node, waiting on detach before it can be attached to another node`}, // 1.37
			{attachReason, `(combined from similar events): Multi-Attach error for volume "pvc-1" Volume is already exclusively attached to one no`},
			{mountReason, `MountVolume.WaitForAttach failed for volume "pvc-1" : rbd image rbd/kubernetes-dynamic-pvc-1 is still being used`},
			{mountReason, `MountVolume.MountDevice failed for volume "pvc-1" : rpc error: code = Internal desc = rbd image replicapool/csi-vol-1 is still being used`},
		},
		"multi-attach-rolling-update": {
			{attachReason, `Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) cart-7d9f-abcde`},
			{attachReason, `Multi-Attach error for volume "pvc-1" Volume is already used by 1 pod(s) in different namespaces`},
			{attachReason, `Waiting for detach for volume "pvc-1" Volume is already used by pod(s) cart-7d9f-abcde and 2 pod(s) in different namespaces`},
		},
		"volumeattachment-stale": {
			{mountReason, `MountVolume.WaitForAttach failed for volume "pvc-1" : volume attachment is being deleted`},
			{attachReason, `AttachVolume.Attach failed for volume "pvc-1" : volume attachment is being deleted`},
			{attachReason, `AttachVolume.Attach failed for volume "pvc-1" : PersistentVolume "pvc-1" is marked for deletion`},
		},
		"csi-driver-not-registered": {
			{mountReason, `MountVolume.MountDevice failed for volume "pvc-1" : kubernetes.io/csi: attacher.MountDevice failed to create newCsiDriverClient: driver name disk.example.com not found in the list of registered CSI drivers`},
			{mountReason, `MountVolume.SetUp failed for volume "pvc-1" : kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: driver name nfs.csi.k8s.io not found in the list of registered CSI drivers`},
			{"FailedMapVolume", `MapVolume.SetUpDevice failed for volume "pvc-1" : kubernetes.io/csi: blockMapper.SetUpDevice failed to get CSI client: driver name disk.example.com not found in the list of registered CSI drivers`},
			{attachReason, `AttachVolume.Attach failed for volume "pvc-1" : CSINode worker-1 does not contain driver disk.example.com`},
			{attachReason, `AttachVolume.Attach failed for volume "pvc-1" : node "worker-1" has no NodeID annotation`},
			{mountReason, `MountVolume.MountDevice failed for volume "pvc-1" : rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial unix /var/lib/kubelet/plugins/disk.example.com/csi.sock: connect: connection refused"`},
			{mountReason, `MountVolume.SetUp failed for volume "pvc-1" : rpc error: code = Unavailable desc = all SubConns are in TransientFailure, latest connection error: connection error: desc = "transport: Error while dialing dial unix /var/lib/kubelet/plugins/disk.example.com/csi.sock: connect: no such file or directory"`},
		},
		"csi-controller-down": {
			{"FailedScheduling", `running PreBind plugin "VolumeBinding": binding volumes: timed out waiting for the condition`},
			{"FailedScheduling", `running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded`},
			{attachReason, `AttachVolume.Attach failed for volume "pvc-1" : timed out waiting for external-attacher of disk.example.com CSI driver to attach volume vol-1`},
			{attachReason, `AttachVolume.Attach failed for volume "pvc-1" : attachment timeout for volume vol-1`},
			{"ExternalProvisioning", `waiting for a volume to be created, either by external provisioner "disk.example.com" or manually created by system administrator`},
			{"ExternalProvisioning", `Waiting for a volume to be created either by the external provisioner 'disk.example.com' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.`},
		},
		"volume-attach-limit": {
			{attachReason, `AttachVolume.Attach failed for volume "pvc-1" : rpc error: code = ResourceExhausted desc = Could not attach volume "vol-1" to node "i-1": attachment of disk "vol-1" failed: AttachmentLimitExceeded`},
			{attachReason, `AttachVolume.Attach failed for volume "pvc-1" : rpc error: code = Internal desc = Could not attach volume "vol-1" to node "i-1": attachment of disk "vol-1" failed, expected device to be attached but was attaching`},
			{attachReason, `AttachVolume.Attach failed for volume "pvc-1" : rpc error: code = Unknown desc = Attach volume /subscriptions/s/disks/d to instance aks-1 failed with compute.VirtualMachinesClient#CreateOrUpdate: Failure sending request: StatusCode=409 -- Original Error: Code="OperationNotAllowed" Message="The maximum number of data disks allowed to be attached to a VM of this size is 4."`},
			{attachReason, `AttachVolume.Attach failed for volume "pvc-1" : rpc error: code = Internal desc = ControllerPublish failed: Failed to attach: googleapi: Error 400: Exceeded limit 'maximum_persistent_disks' on resource 'gke-1'. Limit: 15.0, limitExceeded`},
			{attachReason, `AttachVolume.Attach failed for volume "pvc-1" : rpc error: code = Internal desc = failed to attach volume: attachment limit of 16 reached`},
			{attachReason, `AttachVolume.Attach failed for volume "pvc-1" : rpc error: code = ResourceExhausted desc = max number of volumes (8) already attached to instance`},
			{attachReason, `AttachVolume.Attach failed for volume "pvc-1" : rpc error: code = Internal desc = failed to publish volume: maximum number of volumes already attached to the server`},
			{attachReason, `AttachVolume.Attach failed for volume "pvc-1" : rpc error: code = Internal desc = Could not attach volume "vol-1" to node "i-1": attachment of disk "vol-1" failed, expected device to be attached but was att`},
			{attachReason, `AttachVolume.Attach failed for volume "pvc-1" : rpc error: code = Internal desc = Could not attach volume "vol-1" to node "i-1": attachment of disk "vol-1" failed, expected device to be attached but was`},
			{mountReason, wait},
		},
		"nfs-server-unreachable": {
			{mountReason, "MountVolume.SetUp failed for volume \"files\" : mount failed: exit status 32\nMounting command: mount\nMounting arguments: -t nfs files.example.com:/srv /var/lib/kubelet/pods/1/volumes/kubernetes.io~nfs/files\nOutput: mount.nfs: Connection timed out"},
			{mountReason, `MountVolume.SetUp failed for volume "files" : mount failed: exit status 32 Mounting command: systemd-run Mounting arguments: --description=Kubernetes transient mount for /var/lib/kubelet/pods/1 --scope -- mount -t nfs -o vers=4.1 10.0.0.9:/srv /var/lib/kubelet/pods/1 Output: Running scope as unit run-1.scope. mount.nfs: No route to host`},
			{mountReason, `MountVolume.SetUp failed for volume "pvc-1" : rpc error: code = Internal desc = mount failed: exit status 32 Mounting command: mount Mounting arguments: -t nfs -o nfsvers=4.1 files.example.com:/srv /var/lib/kubelet/pods/1 Output: mount.nfs: Failed to resolve server files.example.com: Name or service not known`},
			{mountReason, `MountVolume.SetUp failed for volume "pvc-1" : rpc error: code = Internal desc = mount(nfs.csi.k8s.io): mount.nfs: Connection refused`},
			{mountReason, `MountVolume.SetUp failed for volume "pvc-1" : rpc error: code = Internal desc = Could not mount "fs-1:/" at "/var/lib/kubelet/pods/1": mount failed: exit status 1 Mounting command: mount Mounting arguments: -t efs fs-1:/ /var Output: Failed to resolve "fs-1.efs.eu-west-1.amazonaws.com" - check that your file system ID is correct`},
			{mountReason, "MountVolume.SetUp failed for volume \"files\" : mount failed: exit status 1\nMounting command: /home/kubernetes/containerized_mounter/mounter\nMounting arguments: mount -t nfs 10.0.0.9:/data /var/lib/kubelet/pods/1\nOutput: Mount failed: mount failed: exit status 32\nOutput: mount.nfs: Connection timed out"},
			{mountReason, `MountVolume.SetUp failed for volume "pvc-1" : mount failed: exit status 32 Mounting arguments: -t nfs 10.0.0.9:/srv /var/lib/kubelet Output: mount.nfs: Network is unreachable`},
			{mountReason, `MountVolume.SetUp failed for volume "pvc-1" : rpc error: code = Internal desc = Could not mount "fs-1:/" at "/var": mount failed: exit status 32 Mounting arguments: -t efs -o tls fs-1:/ /var Output: Mount attempt 1/3 failed due to timeout after 15 sec b'mount.nfs4: mount system call failed'`},
			{mountReason, `MountVolume.SetUp failed for volume "pvc-1" : rpc error: code = Internal desc = mount failed: exit status 32 Mounting arguments: -t nfs -o nfsvers=4.1 files.example.com:/srv /var Output: mount.nfs: Resource temporarily unavailable`},
			{mountReason, wait},
		},
		"nfs-stale-file-handle": {
			{"Failed", `Error: failed to generate container "4f2a" spec: failed to generate spec: failed to stat "/var/lib/kubelet/pods/1/volumes/kubernetes.io~nfs/files": stat /var/lib/kubelet/pods/1/volumes/kubernetes.io~nfs/files: stale NFS file handle`},
			{mountReason, `MountVolume.SetUp failed for volume "files" : stat /var/lib/kubelet/pods/1/volumes/kubernetes.io~nfs/files: stale NFS file handle`},
			{"Failed", `Error: failed to prepare subPath for volumeMount "files" of container "main": lstat /srv: stale file handle`},
			{"FailedKillPod", `error killing pod: stat /srv/files: Stale file handle`},
		},
		"hung-fs-mount": {
			{mountReason, `MountVolume.MountDevice failed for volume "pvc-1" : rpc error: code = Aborted desc = an operation with the given Volume ID 0001-0009-rook-ceph-1 already exists`},
			{mountReason, `MountVolume.MountDevice failed for volume "pvc-1" : rpc error: code = DeadlineExceeded desc = context deadline exceeded`},
			{mountReason, `MountVolume.SetUp failed for volume "pvc-1" : rpc error: code = Aborted desc = An operation with the given volume="vol-1" is already in progress`},
			{mountReason, `MountVolume.SetUp failed for volume "pvc-1" : rpc error: code = DeadlineExceeded desc = stream terminated by RST_STREAM with error code: CANCEL`},
			{mountReason, `MountVolume.SetUp failed for volume "pvc-1" : rpc error: code = Internal desc = Could not mount juicefs: mount /jfs/pvc-1 at /jfs/pvc-1 failed: The mount point is not ready in 10 seconds, exit it`},
			{mountReason, `MountVolume.MountDevice failed for volume "pvc-1" : rpc error: code = Internal desc = an error (exit status 32) occurred while running mount args: [-t ceph 10.0.0.1:6789:/volumes /var]: mount error: no mds server is up or the cluster is laggy`},
			{mountReason, `MountVolume.WaitForAttach failed for volume "pvc-1" : rbd: map failed exit status 110, rbd output: rbd: sysfs write failed In some cases useful info is found in syslog - try "dmesg | tail". rbd: map failed: (110) Connection timed out`},
			{mountReason, `MountVolume.SetUp failed for volume "share" : mount failed: exit status 32 Mounting command: mount Mounting arguments: -t cifs //files.example.com/share /var Output: mount error(112): Host is down`},
			{mountReason, `MountVolume.WaitForAttach failed for volume "pvc-1" : failed to get any path for iscsi disk, last err seen: iscsi: failed to sendtargets to portal 10.0.0.3:3260 output: iscsiadm: cannot make connection to 10.0.0.3: Connection refused`},
			{mountReason, wait},
			{mountReason, `Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[], failed to process volumes=[]: context deadline exceeded`},
			{mountReason, `Unable to mount volumes for pod "p_shop(1)": timeout expired waiting for volumes to attach or mount for pod "shop"/"p". list of unmounted volumes=[data]. list of unattached volumes=[data token]`},
		},
		"fuse-endpoint-dead": {
			{"Failed", `Error: failed to generate container "4f2a" spec: failed to generate spec: failed to stat "/var/lib/kubelet/pods/1/volumes/kubernetes.io~csi/pv-1/mount": stat /var/lib/kubelet/pods/1/volumes/kubernetes.io~csi/pv-1/mount: transport endpoint is not connected`},
			{mountReason, `MountVolume.SetUp failed for volume "pv-1" : stat /var/lib/kubelet/plugins/kubernetes.io/csi/pv/pv-1/globalmount: transport endpoint is not connected`},
			{"Failed", `Error: Error response from daemon: error while creating mount source path '/mnt/s3': mkdir /mnt/s3: file exists`},
			{"Failed", `Error: failed to generate container "4f2a" spec: failed to generate spec: failed to mkdir "/mnt/s3": mkdir /mnt/s3: file exists`},
			{mountReason, `MountVolume.SetUp failed for volume "pvc-1" : rpc error: code = Internal desc = stat /var/lib/kubelet/pods/1/volumes/kubernetes.io~csi/pvc-1/mount: connection refused`},
			{mountReason, `MountVolume.SetUp failed for volume "pvc-1" : stat /var/lib/kubelet/pods/1/volumes/kubernetes.io~csi/pvc-1/mount: software caused connection abort`},
			{"Failed", `Error: failed to prepare subPath for volumeMount "data" of container "main": stat /var/lib/kubelet/pods/1/volumes/x: transport endpoint is not connected`},
		},
		"multipathd-claims-device": {
			{mountReason, "MountVolume.MountDevice failed for volume \"pvc-1\" : rpc error: code = Internal desc = mount failed: exit status 32\nMounting command: mount\nMounting arguments: -t ext4 -o defaults /dev/longhorn/pvc-1 /var\nOutput: mount: /var: /dev/longhorn/pvc-1 already mounted or mount point busy."},
			{mountReason, `MountVolume.MountDevice failed for volume "pvc-1" : rpc error: code = Internal desc = format of disk "/dev/longhorn/pvc-1" failed: type:("ext4") errcode:(exit status 1) output:(mke2fs 1.45.5 /dev/longhorn/pvc-1 is apparently in use by the system; will not make a filesystem here!)`},
			{mountReason, `MountVolume.SetUp failed for volume "pvc-1" : mount failed: exit status 32 Output: mount: /dev/sdb is already mounted or /var/lib/kubelet/plugins busy`},
		},
		"fsgroup-recursive-chown": {
			{"VolumePermissionChangeInProgress", `Setting volume ownership for 1/volumes/kubernetes.io~csi/pvc-1/mount is taking longer than expected, consider using OnRootMismatch - https://kubernetes.io/docs/tasks/configure-pod-container/security-context/`},
			{"VolumePermissionChangeInProgress", `Setting volume ownership for 1/volumes/kubernetes.io~csi/pvc-1/mount, processed 812345 files.`},
			{mountReason, wait},
		},
		"selinux-recursive-relabel": {
			{"Failed", `Error: relabel failed /var/lib/kubelet/pods/1/volumes/kubernetes.io~nfs/files: lsetxattr /var/lib/kubelet/pods/1/volumes/kubernetes.io~nfs/files: operation not supported`},
			{"Failed", `Error: error setting label on mount source '/var/lib/kubelet/pods/1/volumes/x': SELinux relabeling of /var/lib/kubelet/pods/1/volumes/x is not allowed: "operation not supported"`},
			{"Failed", `Error: failed to generate container "9c1d" spec: failed to generate spec: failed to apply OCI options: relabel "/var/lib/kubelet/pods/1/volumes/x" with "system_u:object_r:container_file_t:s0:c1,c2" failed: lsetxattr /var/lib/kubelet/pods/1/volumes/x/y: read-only file system`},
			{mountReason, wait},
		},
		"selinux-mount-label-conflict": {
			{mountReason, `Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[], failed to process volumes=[data]: conflicting SELinux labels of volume data: "system_u:object_r:container_file_t:s0:c1,c2" and "system_u:object_r:container_file_t:s0:c3,c4"`},
		},
		"missing-mount-helper": {
			{mountReason, "MountVolume.SetUp failed for volume \"files\" : mount failed: exit status 32\nMounting command: mount\nMounting arguments: -t nfs 10.0.0.9:/srv /var\nOutput: mount: wrong fs type, bad option, bad superblock on 10.0.0.9:/srv,\n missing codepage or helper program, or other error\n (for several filesystems (e.g. nfs, cifs) you might\n need a /sbin/mount.<type> helper program)"},
			{mountReason, "MountVolume.SetUp failed for volume \"files\" : mount failed: exit status 32\nOutput: mount: /var: bad option; for several filesystems (e.g. nfs, cifs) you might need a /sbin/mount.nfs helper program."},
			{mountReason, `MountVolume.SetUp failed for volume "vol" : mount failed: mount failed: exit status 32 Output: mount: unknown filesystem type 'glusterfs'`},
			{mountReason, `MountVolume.WaitForAttach failed for volume "pvc-1" : executable file not found in $PATH, rbd output:`},
			{mountReason, `MountVolume.SetUp failed for volume "files" : mount failed: exit status 32 Output: mount.nfs: rpc.statd is not running but is required for remote locking. mount.nfs: Either use '-o nolock' to keep locks local, or start statd.`},
			{mountReason, `Unable to attach or mount volumes: unmounted volumes=[vol], unattached volumes=[vol]: failed to get Plugin from volumeSpec for volume "vol" err=no volume plugin matched`},
			{mountReason, `MountVolume.SetUp failed for volume "files" : mount failed: exit status 32 Output: mount.nfs: an incorrect mount option was specified`},
			{mountReason, `MountVolume.WaitForAttach failed for volume "pvc-1" : fail to check rbd image status with: (executable file not found in $PATH), rbd output: ()`},
		},
		"hostpath-type": {
			{mountReason, `MountVolume.SetUp failed for volume "sock" : hostPath type check failed: /run/agent.sock is not a socket file`},
			{mountReason, `MountVolume.SetUp failed for volume "dir" : hostPath type check failed, /data is not a directory, unable to determine its type: stat /data: no such file or directory`},
			{mountReason, `MountVolume.NewMounter initialization failed for volume "local-1" : path "/mnt/disks/vol1" does not exist`},
			{mountReason, `MountVolume.SetUp failed for volume "connections" : mkdir /sys/fs/fuse: operation not permitted`},
			{"Failed", `Error: failed to prepare subPath for volumeMount "conf" of container "main"`},
			{"Failed", `Error: failed to create subPath directory for volumeMount "data" of container "main"`},
			{"Failed", `Error: failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: error mounting "/var/lib/kubelet/pods/1/volume-subpaths/conf/main/0" to rootfs at "/etc/app.conf": mount src=/var/lib/kubelet/pods/1/volume-subpaths/conf/main/0: not a directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)?`},
		},
		"secrets-store": {
			{mountReason, `MountVolume.SetUp failed for volume "keys" : rpc error: code = Unknown desc = failed to mount secrets store objects for pod shop/p, err: rpc error: code = Unknown desc = error connecting to provider "vault": provider not found: provider "vault"`},
			{mountReason, `MountVolume.SetUp failed for volume "keys" : rpc error: code = Unknown desc = failed to get secretproviderclass shop/keys, error: SecretProviderClass.secrets-store.csi.x-k8s.io "keys" not found`},
			{mountReason, `MountVolume.SetUp failed for volume "kube-api-access-x" : failed to fetch token: serviceaccounts "app" not found`},
			{mountReason, `MountVolume.SetUp failed for volume "keys" : kubernetes.io/csi: mounter.SetUpAt failed to get service accoount token attributes: failed to fetch token: Post "https://10.0.0.1:443/api/v1/namespaces/shop/serviceaccounts/app/token": context deadline exceeded`},
		},
		"config-missing-key": {
			{mountReason, `MountVolume.SetUp failed for volume "conf" : configmap references non-existent config key: app.conf`},
			{mountReason, `MountVolume.SetUp failed for volume "keys" : references non-existent secret key: tls.crt`},
			{mountReason, `MountVolume.SetUp failed for volume "kubernetes.io/configmap/1-conf" (spec.Name: "conf") pod "1" (UID: "1") with: references non-existent config key.`},
		},
		"configmap-or-secret-missing": {
			{mountReason, `MountVolume.SetUp failed for volume "conf" : configmap "app" not found`},
			{mountReason, `MountVolume.SetUp failed for volume "keys" : secret "app-tls" not found`},
			{mountReason, `MountVolume.SetUp failed for volume "keys" : secrets "app-tls" not found`},
			{mountReason, `MountVolume.SetUp failed for volume "all" : [configmap "a" not found, secret "b" not found]`},
			{mountReason, `MountVolume.MountDevice failed for volume "pvc-1" : fetching NodeStageSecretRef storage/csi-node failed: kubernetes.io/csi: failed to find the secret csi-node in the namespace storage with error: secrets "csi-node" not found`},
			{mountReason, wait},
		},
		"kubelet-object-cache": {
			{mountReason, `MountVolume.SetUp failed for volume "conf" : object "shop"/"app" not registered`},
			{mountReason, `MountVolume.SetUp failed for volume "conf" : failed to sync configmap cache: timed out waiting for the condition`},
			{mountReason, `MountVolume.SetUp failed for volume "keys" : failed to sync secret cache: timed out waiting for the condition`},
			{mountReason, `MountVolume.SetUp failed for volume "keys" : couldn't propagate object cache: timed out waiting for the condition`},
			{mountReason, `MountVolume.SetUp failed for volume "kube-api-access-x" : [object "shop"/"kube-root-ca.crt" not registered, failed to sync configmap cache: timed out waiting for the condition]`},
		},
		"gitrepo-volume-removed": {
			{mountReason, "MountVolume.SetUp failed for volume \"src\" : git-repo volume plugin has been disabled; if necessary, it may be re-enabled by enabling the feature-gate `GitRepoVolumeDriver`"},
		},
		"pv-node-affinity-conflict": {
			{"FailedScheduling", `0/4 nodes are available: 4 node(s) had volume node affinity conflict.`},
			{"FailedScheduling", `0/4 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 3 node(s) had volume node affinity conflict. preemption: 0/4 nodes are available: 4 Preemption is not helpful for scheduling.`},
			{"FailedScheduling", `0/3 nodes are available: 3 node(s) didn't match PersistentVolume's node affinity.`},
			{"FailedScheduling", `0/3 nodes are available: 3 node(s) had no available volume zone.`},
			{mountReason, `MountVolume.NodeAffinity check failed for volume "local-1" : no matching NodeSelectorTerms`},
		},
		"pvc-unbound": {
			{"FailedScheduling", `0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.`},
			{"FailedScheduling", `0/4 nodes are available: 4 pod has unbound immediate PersistentVolumeClaims.`},
			{"FailedScheduling", `running "VolumeBinding" filter plugin for pod "p": pod has unbound immediate PersistentVolumeClaims`},
			{"FailedScheduling", `persistentvolumeclaim "data" not found`},
			{"FailedScheduling", `0/3 nodes are available: persistentvolumeclaim "data" not found.`},
			{"FailedScheduling", `0/3 nodes are available: 3 node(s) didn't find available persistent volumes to bind.`},
			{"FailedScheduling", `PersistentVolumeClaim is not bound: "data"`},
			{"FailedScheduling", `0/3 nodes are available: waiting for ephemeral volume controller to create the persistentvolumeclaim "p-scratch".`},
			{"FailedScheduling", `0/3 nodes are available: 3 node(s) did not have enough free storage.`},
			{"ProvisioningFailed", `storageclass.storage.k8s.io "fast" not found`},
			{"ProvisioningFailed", `failed to provision volume with StorageClass "fast": rpc error: code = Internal desc = could not create volume: UnauthorizedOperation`},
			{"FailedBinding", `no persistent volumes available for this claim and no storage class is set`},
			{mountReason, `Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[data]: error processing PVC shop/data: PVC is not bound`},
		},
		"volume-attach-fails": {
			{attachReason, `AttachVolume.Attach failed for volume "pvc-1" : rpc error: code = NotFound desc = Instance "i-1" not found`},
			{attachReason, `AttachVolume.Attach failed for volume "pvc-1" : rpc error: code = Aborted desc = volume pvc-1 is not ready for workloads`},
			{attachReason, `AttachVolume.Attach failed for volume "pvc-1" : Attach volume "disk" to instance "vmss/1" failed with compute.VirtualMachineScaleSetVMsClient#Update: StatusCode=409 -- Original Error: Code="AttachDiskWhileBeingDetached" Message="Cannot attach data disk because the disk is currently being detached or the last detach operation failed."`},
			{attachReason, `AttachVolume.Attach failed for volume "data" : multiple results where only one expected`},
			{attachReason, `AttachVolume.Attach failed for volume "pv-1" : Failed to add disk 'scsi1:2'.`},
			{mountReason, `Failed to attach volume "pv-1" on node "worker-1" with: Invalid volume: volume 'v' status must be 'available'. Currently in 'in-use'`},
			{attachReason, `AttachVolume.Attach failed for volume "pvc-1" : rpc error: code = Internal desc = Could not attach volume "vol-1" to node "i-1": attachment of disk "vol-1" failed, expected device to be attached but was detached`},
			{attachReason, `AttachVolume.Attach failed for volume "pvc-1" : rpc error: code = Internal desc = Could not attach volume "vol-1" to node "i-1": UnauthorizedOperation: You are not authorized to perform this operation. status code: 403`},
		},
		"volume-mount-fails": {
			{mountReason, "MountVolume.SetUp failed for volume \"files\" : mount failed: exit status 32\nMounting command: mount\nMounting arguments: -t nfs 10.0.0.9:/srv /var\nOutput: mount.nfs: access denied by server while mounting 10.0.0.9:/srv"},
			{mountReason, `MountVolume.SetUp failed for volume "share" : mount failed: exit status 32 Mounting command: mount Mounting arguments: -t cifs //files.example.com/share /var Output: mount error(13): Permission denied Refer to the mount.cifs(8) manual page`},
			{mountReason, `MountVolume.SetUp failed for volume "files" : mount failed: exit status 32 Output: mount.nfs: mounting 10.0.0.9:/gone failed, reason given by server: No such file or directory`},
			{mountReason, `MountVolume.SetUp failed for volume "files" : mount failed: exit status 32 Output: mount.nfs: requested NFS version or transport protocol is not supported`},
			{mountReason, `MountVolume.MountDevice failed for volume "pvc-1" : rpc error: code = Internal desc = failed to find device path for volume vol-1: device path not found`},
		},
		"volume-io-error": {
			{mountReason, `MountVolume.MountDevice failed for volume "pvc-1" : rpc error: code = Internal desc = 'fsck' found errors on device /dev/sdb but could not correct them: fsck from util-linux 2.36 /dev/sdb: UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY.`},
			{mountReason, `MountVolume.MountDevice failed for volume "pvc-1" : rpc error: code = Internal desc = mount failed: exit status 32 Output: mount: /var: mount(2) system call failed: Structure needs cleaning.`},
			{mountReason, `MountVolume.MountDevice failed for volume "pvc-1" : mount failed: exit status 32 Output: mount: /var: can't read superblock on /dev/sdb.`},
		},
	}
}

// TestStorageWordsLeadToTheirCause asks what is made of words alone.
func TestStorageWordsLeadToTheirCause(t *testing.T) {
	for slug, list := range storageWordings() {
		for _, w := range list {
			t.Run(slug, func(t *testing.T) {
				s := newScene(t)
				if slices.Contains([]string{"FailedScheduling", "ProvisioningFailed", "FailedBinding"}, w.reason) {
					s.pod.Spec.NodeName = ""
					s.pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, LastTransitionTime: ago(20 * time.Minute)}}
				} else {
					s.node(time.Hour).since(20 * time.Minute)
					state := "ContainerCreating"
					if w.reason == "Failed" {
						state = "CreateContainerError"
					}
					s.waiting(state, "")
				}
				if w.reason == "FailedKillPod" {
					s = newScene(t).node(time.Hour).deleted(10 * time.Minute)
				}
				s.event(time.Minute, w.reason, w.message)
				for _, k := range snapshot.Kinds() {
					if !slices.Contains([]snapshot.Kind{snapshot.Pod, snapshot.Node, snapshot.Lease, snapshot.Event}, k.Kind) {
						s.unread = append(s.unread, k.Kind)
					}
				}
				d := s.partly().diagnose()
				if len(d.Findings) == 0 {
					t.Fatalf("nothing is made of %s: %s", w.reason, w.message)
				}
				first := d.Findings[0]
				for _, f := range d.Findings {
					if f.Rank() == first.Rank() && (f.Slug == slug || slices.Contains(f.Alternatives, slug)) {
						if first.Confidence == diagnose.Certain && first.Slug != slug {
							break
						}
						return
					}
				}
				t.Errorf("%s: %s\nleads to %s, %v", w.reason, w.message, list2(d.Findings), first.Alternatives)
			})
		}
	}
}

// TestStorageWordsAreFoundInLogs puts the same words into the lines of kubelets of several ages.
func TestStorageWordsAreFoundInLogs(t *testing.T) {
	for slug, list := range storageWordings() {
		for _, w := range list {
			if w.reason != mountReason && w.reason != attachReason {
				continue
			}
			for _, line := range []string{
				`E0301 09:58:01.000000    1234 nestedpendingoperations.go:270] Operation for "\"kubernetes.io/csi/x^1\"" failed. No retries permitted until 2026-03-01 10:00:03. Error: "` + flat(w.message) + `"`,
				`E0301 09:58:01.000000    1234 nestedpendingoperations.go:348] Operation for "{volumeName:kubernetes.io/csi/x^1 podName: nodeName:}" failed. No retries permitted until 2026-03-01 10:00:03. Error: ` + flat(w.message),
			} {
				if !leads(t, line, slug) {
					t.Errorf("%s: no line of it: %s", slug, line)
				}
			}
		}
	}
}

// flat is a message in one line, as logs have it.
func flat(message string) string { return strings.Join(strings.Fields(message), " ") }

func list2(findings []diagnose.Finding) string {
	var out []string
	for _, f := range findings {
		out = append(out, f.Slug+" ("+string(f.Confidence)+")")
	}
	return strings.Join(out, ", ")
}

// leads tells whether a scan of the line names the cause, or a match that has it as its alternative.
func leads(t *testing.T, line, slug string) bool {
	t.Helper()
	s, err := nodelog.New(catalogue(t))
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Scan(strings.NewReader(line+"\n"), nodelog.Input{Name: "kubelet", Now: taken})
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(l.Matches, func(m nodelog.Match) bool { return m.Slug == slug || slices.Contains(m.Alternatives, slug) })
}

// partly leaves open which nodes there are, as for somebody who read one of them.
func (s *scene) partly() *scene {
	s.some = append(s.some, snapshot.Node)
	return s
}

// TestFindingsSayWhatTellsVolumeDriverAndBackendApart looks at what the fixtures' findings say beyond the words of the events.
func TestFindingsSayWhatTellsVolumeDriverAndBackendApart(t *testing.T) {
	all := catalogue(t)
	for _, c := range []struct{ slug, pod, says string }{
		{"hung-fs-mount", "late-0", "The driver has mounted another volume on that node since, for pod shop/fine-0, so it is this volume."},
		{"hung-fs-mount", "busy-0", "Its node plugin, pod storage/disk-plugin-x, is not ready (CrashLoopBackOff)."},
		{"hung-fs-mount", "busy-0", "The call is mounting it for the pod (NodePublishVolume)."},
		{"csi-driver-not-registered", "dumb-0", "is ready. So it registers in vain"},
		{"csi-driver-not-registered", "crash-0", "is not ready (CrashLoopBackOff)."},
		{"csi-controller-down", "led-0", "Nobody leads its attacher"},
		{"multi-attach-node-down", "intree-0", "is attached to node worker-4, which is not ready (Unknown)"},
		{"volumeattachment-stale", "out-0", "was deleted 25m ago and stays"},
		{"nfs-server-unreachable", "flex-0", "10.9.9.9"},
		{"volume-mount-fails", "a-0", "the server refuses this node, or the credentials"},
	} {
		_, d := run(t, snapshottest.Load(t, "storage/testdata/"+c.slug+".yaml"), all...)
		i := slices.IndexFunc(d.Findings, func(f diagnose.Finding) bool {
			return f.Slug == c.slug && slices.ContainsFunc(f.Explains, func(r snapshot.Ref) bool { return r.Name == c.pod })
		})
		if i < 0 || !strings.Contains(d.Findings[i].Message, c.says) {
			t.Errorf("%s of %s does not say %q: %s", c.slug, c.pod, c.says, list2(d.Findings))
			if i >= 0 {
				t.Log(d.Findings[i].Message)
			}
		}
	}
}
