package causes_test

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/causes/startup"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// TestPullErrorsAreTold holds what registries and runtimes say of a pull against the causes, once in the container's state, as recent kubelets
// have it, and once in an event alone.
func TestPullErrorsAreTold(t *testing.T) {
	all := slugsOf(startup.All())
	const (
		containerd = `failed to pull and unpack image "registry.example/app:1": `
		reference  = containerd + `failed to resolve reference "registry.example/app:1": `
		dockerd    = `Error response from daemon: `
	)
	for slug, says := range map[string][]string{
		"image-not-found": {
			reference + `registry.example/app:1: not found`,
			dockerd + `manifest for registry.example/app:1 not found: manifest unknown: manifest unknown`,
			dockerd + `manifest for registry.example/app:1 not found: manifest unknown: manifest tagged by "1" is not found`, // ACR
			dockerd + `manifest for registry.example/app:1 not found: manifest unknown: Failed to fetch "1"`,                 // Artifact Registry
			`reading manifest 1 in registry.example/app: manifest unknown`,                                                   // CRI-O
			`initializing source docker://registry.example/app:1: reading manifest 1 in registry.example/app: name unknown: Repo not found`,
			dockerd + `repository registry.example/app not found: name unknown: The repository with name 'app' does not exist in the registry with id '1'`, // ECR
			reference + `unexpected status from HEAD request to https://registry.example/v2/app/manifests/1: 404 Not Found`,
			dockerd + `unknown: artifact app:1 not found`, // Harbor
		},
		"image-auth": {
			reference + `pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed`,
			dockerd + `pull access denied for registry.example/app, repository does not exist or may require 'docker login': denied: requested access to the resource is denied`,
			dockerd + `Get https://1.dkr.ecr.eu-west-1.example/v2/app/manifests/1: no basic auth credentials`,
			reference + `unexpected status from HEAD request to https://registry.example/v2/app/manifests/1: 403 Forbidden`,
			reference + `failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://registry.example/token: 403 Forbidden`,
			reference + `failed to authorize: failed to fetch oauth token: unexpected status from POST request to https://registry.example/oauth2/token: 401 Unauthorized`,
			`reading manifest 1 in quay.example/app: unauthorized: access to the requested resource is not authorized`,
			`unable to retrieve auth token: invalid username/password: unauthorized: authentication required`,
			dockerd + `denied: Your authorization token has expired. Reauthenticate and try again.`,
			dockerd + `denied: Permission "artifactregistry.repositories.downloadArtifacts" denied on resource "projects/p" (or it may not exist)`,
			dockerd + `Head "https://registry.example/v2/app/manifests/1": denied: access forbidden`, // GitLab
			dockerd + `Head "https://ghcr.example/v2/app/manifests/1": denied`,
			reference + `failed to authorize: failed to fetch oauth token: denied: denied`,
		},
		"image-rate-limit": {
			containerd + `failed to copy: httpReadSeeker: failed open: unexpected status code https://registry.example/v2/app/manifests/sha256:1: 429 Too Many Requests - Server message: toomanyrequests: You have reached your pull rate limit`,
			dockerd + `toomanyrequests: Rate exceeded`,
			dockerd + `toomanyrequests: Data limit exceeded`,
			`reading manifest 1 in docker.io/library/app: toomanyrequests: You have reached your unauthenticated pull rate limit`,
			dockerd + `denied: Quota exceeded for quota metric 'Requests per project per region' and limit 'Requests per project per region per minute'`,
			`pull QPS exceeded`,
		},
		"image-registry-unreachable": {
			reference + `failed to do request: Head "https://registry.example/v2/app/manifests/1": dial tcp: lookup registry.example on 10.0.0.2:53: no such host`,
			reference + `failed to do request: Head "https://registry.example/v2/app/manifests/1": dial tcp 10.0.0.9:443: i/o timeout`,
			reference + `failed to do request: Head "https://registry.example/v2/app/manifests/1": proxyconnect tcp: dial tcp 10.0.0.8:3128: connect: connection refused`,
			reference + `failed to authorize: failed to fetch anonymous token: Get "https://auth.example/token": dial tcp: lookup auth.example: Temporary failure in name resolution`,
			reference + `failed to authorize: failed to fetch anonymous token: unexpected status: 503 Service Unavailable`,
			reference + `failed to do request: Head "https://registry.example/v2/app/manifests/1": EOF`,
			containerd + `failed to copy: httpReadSeeker: failed open: failed to do request: Get "https://blobs.example/1": read tcp 10.0.0.4:5000->10.0.0.9:443: read: connection reset by peer`,
			containerd + `failed to copy: short read: expected 26214400 bytes but got 1048576: unexpected EOF`,
			dockerd + `Get "https://registry.example/v2/": net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)`,
			dockerd + `Get https://registry.example/v2/: net/http: TLS handshake timeout`,
			`pinging container registry registry.example: Get "https://registry.example/v2/": dial tcp 10.0.0.9:443: connect: no route to host`,
			`error pinging docker registry registry.example: invalid status code from registry 502 (Bad Gateway): 502 Bad Gateway`,
			`image pull failed for registry.example/app:1 because the registry is unavailable: pinging`,
			`writing blob: storing blob to file "/var/tmp/storage1/2": read tcp 10.0.0.4:5000->10.0.0.9:443: read: connection reset by peer`,
		},
		"image-x509": {
			reference + `failed to do request: Head "https://registry.example/v2/app/manifests/1": tls: failed to verify certificate: x509: certificate signed by unknown authority`,
			reference + `failed to do request: Head "https://registry.example/v2/app/manifests/1": x509: certificate has expired or is not yet valid: current time 2026-03-01T10:00:00Z is after 2026-02-01T00:00:00Z`,
			dockerd + `Get "https://registry.example/v2/": x509: certificate is valid for other.example, not registry.example`,
			reference + `failed to do request: Head "https://registry.example:5000/v2/app/manifests/1": http: server gave HTTP response to HTTPS client`,
			dockerd + `Get "https://registry.example:5000/v2/": tls: first record does not look like a TLS handshake`,
		},
		"image-arch": {
			containerd + `no match for platform in manifest: not found`,
			dockerd + `no matching manifest for linux/arm64/v8 in the manifest list entries`,
			`choosing an image from manifest list docker://registry.example/app:1: no image found in manifest list for architecture arm64, variant v8, OS linux`,
			dockerd + `image operating system "windows" cannot be used on this platform`,
		},
		"image-disk-full": {
			containerd + `failed to extract layer sha256:1: write /var/lib/containerd/tmpmounts/1/usr/lib/x: no space left on device: unknown`,
			`failed to register layer: Error processing tar file(exit status 1): write /usr/lib/x: no space left on device`,
			`writing blob: storing blob to file "/var/tmp/storage1/2": write /var/tmp/storage1/2: no space left on device`,
		},
		"image-format-unsupported": {
			containerd + `not implemented: media type "application/vnd.docker.distribution.manifest.v1+prettyjws" is no longer supported since containerd v2.1, please rebuild the image as "application/vnd.oci.image.manifest.v1+json"`,
			dockerd + `missing signature key`,
			`failed to register layer: Error processing tar file(exit status 1): archive/tar: invalid tar header`,
		},
		"image-store-broken": {
			containerd + `failed to extract layer sha256:1: failed to Lchown "/usr": invalid argument: unknown`,
			containerd + `failed to prepare extraction snapshot "extract-1 sha256:1": parent snapshot sha256:2 does not exist: not found`,
			containerd + `failed commit on ref "layer-sha256:1": unexpected commit digest sha256:2, expected sha256:1: failed precondition`,
			`failed to register layer: ApplyLayer exit status 1 stdout: stderr: operation not permitted`,
			containerd + `failed to extract layer sha256:1: content digest sha256:1: not found`,
		},
		"image-short-name": {
			`short-name "app:1" did not resolve to an alias and no unqualified-search registries are defined in "/etc/containers/registries.conf"`,
			`short name mode is enforcing, but image name app:1 returns ambiguous list`,
		},
		"image-signature": {
			`SignatureValidationFailed: image pull failed for registry.example/app:1 because the signature validation failed: Source image rejected: A signature was required, but no signature exists`,
		},
	} {
		for _, said := range says {
			inState := newScene(t).node(time.Hour).waiting("ErrImagePull", said).since(10 * time.Minute)
			backedOff := newScene(t).node(time.Hour).waiting("ImagePullBackOff", `Back-off pulling image "registry.example/app:1": ErrImagePull: `+said).since(10 * time.Minute)
			inEvent := newScene(t).node(time.Hour).waiting("ImagePullBackOff", `Back-off pulling image "registry.example/app:1"`).since(10*time.Minute).
				event(time.Minute, "Failed", `Failed to pull image "registry.example/app:1": rpc error: code = Unknown desc = `+said)
			for where, s := range map[string]*scene{"in the state": inState, "in the back-off": backedOff, "in the event": inEvent} {
				if slug == "image-signature" && where != "in the back-off" {
					continue // recent kubelets alone know it
				}
				if got := told(s.diagnose(), all); !slices.Equal(got, []string{slug}) {
					t.Errorf("%s, %s: is laid to %v, and is %s", said, where, got, slug)
				}
			}
		}
	}
}

// TestSchedulersWordsAreTold holds the scheduler's messages of many versions against the causes.
func TestSchedulersWordsAreTold(t *testing.T) {
	all := slugsOf(startup.All())
	for slug, says := range map[string][]string{
		"unschedulable-insufficient": {
			`0/3 nodes are available: 3 Insufficient cpu.`,
			`0/6 nodes are available: 1 Insufficient memory, 1 node(s) had taint {node-role.kubernetes.io/master: }, that the pod didn't tolerate, 5 Insufficient cpu.`,
			`0/4 nodes are available: 4 Insufficient example.com/gpu. preemption: 0/4 nodes are available: 4 No preemption victims found for incoming pod.`,
			`0/4 nodes are available: 4 Too many pods. preemption: 0/4 nodes are available: 4 No preemption victims found for incoming pod..`,
			`0/2 nodes are available: 2 node(s) didn't have free ports for the requested pod ports. preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod.`,
			`no nodes available to schedule pods`,
		},
		"unschedulable-taints": {
			`0/3 nodes are available: 3 node(s) had taint {dedicated: web}, that the pod didn't tolerate.`,
			`0/3 nodes are available: 3 node(s) had taints that the pod didn't tolerate.`,
			`0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 2 node(s) had untolerated taint {dedicated: web}. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.`,
			`0/3 nodes are available: 3 node(s) had untolerated taint(s). no new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.`,
			`0/3 nodes are available: 3 node(s) were unschedulable.`,
		},
		"unschedulable-affinity": {
			`0/3 nodes are available: 3 node(s) didn't match node selector.`,
			`0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.`,
			`0/3 nodes are available: 3 node(s) didn't match pod affinity/anti-affinity, 3 node(s) didn't satisfy existing pods anti-affinity rules.`,
			`0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules.`,
			`0/3 nodes are available: 3 node(s) didn't match Pod's required features.`,
			`0/3 nodes are available: 3 node(s) didn't match the requested node name.`,
		},
		"unschedulable-topology": {
			`0/3 nodes are available: 3 node(s) didn't match pod topology spread constraints.`,
			`0/3 nodes are available: 3 node(s) didn't match pod topology spread constraints (missing required label).`,
		},
		"dra-claim-pending": {
			`0/3 nodes are available: 3 cannot allocate all claims. still not schedulable, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.`,
			`0/3 nodes are available: resourceclaim "one" not found.`,
			`0/3 nodes are available: resourceclaim in use.`,
			`0/3 nodes are available: request gpu: device class gpu.example.com does not exist.`,
		},
		"pod-group-waiting": {
			`pod group is not ready, 2 Pending, 3 minAvailable; Pending: 2 Schedulable`,
			`minCount (4) cannot be satisfied: 0 scheduled, 3 remaining`,
		},
		"unschedulable-other": {
			`0/3 nodes are available: 3 node(s) had no licence left.`,
		},
	} {
		for _, said := range says {
			inState, inEvent := newScene(t), newScene(t)
			inState.pod.Spec.NodeName, inEvent.pod.Spec.NodeName = "", ""
			inState.pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: said, LastTransitionTime: ago(10 * time.Minute)}}
			inEvent.event(time.Minute, "FailedScheduling", said)
			for where, s := range map[string]*scene{"in the condition": inState, "in the event": inEvent} {
				if got := told(s.diagnose(), all); !slices.Equal(got, []string{slug}) {
					t.Errorf("%s, %s: is laid to %v, and is %s", said, where, got, slug)
				}
			}
		}
	}
}

// TestStartErrorsAreTold holds what runtimes say of a container that could not be created or started against the causes.
func TestStartErrorsAreTold(t *testing.T) {
	all := slugsOf(startup.All())
	const oci = `failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: `
	for slug, says := range map[string][][2]string{
		"run-oci-error": {
			{"RunContainerError", oci + `unable to start container process: exec: "/run.sh": stat /run.sh: no such file or directory: unknown`},
			{"RunContainerError", oci + `unable to start container process: exec: "/run.sh": permission denied: unknown`},
			{"RunContainerError", oci + `unable to start container process: error during container init: error mounting "/var/lib/kubelet/pods/1/volume-subpaths/x" to rootfs at "/etc/x": not a directory: unknown`},
			{"RunContainerError", `failed to start container "1a": Error response from daemon: OCI runtime create failed: container_linux.go:380: starting container process caused: exec: "sh": executable file not found in $PATH: unknown`},
			{"CreateContainerError", `failed to generate container "1a" spec: failed to generate spec: path "/var/lib/x" is mounted on "/" but it is not a shared or slave mount`},
			{"CreateContainerError", `Error response from daemon: error while creating mount source path '/opt/x': mkdir /opt/x: read-only file system`},
			{"CreateContainerError", `failed to create containerd container: mount callback failed on /tmp/containerd-mount1: no users found`},
			{"RunContainerError", oci + `unable to start container process: container init was OOM-killed (memory limit too low?): unknown`},
			{"RunContainerError", oci + `unable to start container process: error during container init: error running hook #0: nvidia-container-cli: initialization error: nvml error: driver not loaded: unknown`},
			{"RunContainerError", `container create failed: executable file ` + "`run` not found in $PATH: executable file not found" + ` in $PATH: crun: `},
		},
		"seccomp-apparmor-profile-missing": {
			{"RunContainerError", oci + `unable to start container process: error during container init: apparmor failed to apply profile: write /proc/self/attr/apparmor/exec: no such file or directory: unknown`},
			{"CreateContainerError", `failed to generate container "1a" spec: failed to generate seccomp spec opts: cannot load seccomp profile "/var/lib/kubelet/seccomp/app.json": open /var/lib/kubelet/seccomp/app.json: no such file or directory`},
			{"RunContainerError", `container create failed: time="2026-03-01T09:40:50Z" level=error msg="container_linux.go:380: starting container process caused: process_linux.go:545: container init caused: apply apparmor profile: apparmor failed`},
			{"CreateContainerError", `applying apparmor profile to container 1a: empty localhost AppArmor profile is forbidden`},
			{"CreateContainerError", `failed to create containerd container: load apparmor profile /tmp/cri-containerd.apparmor.d1: exit status 243`},
			{"CreateContainerError", `failed to create containerd container: get apparmor_parser version: exec: "apparmor_parser": executable file not found in $PATH`},
			{"CreateContainerError", `setup seccomp: unable to load local profile "/var/lib/kubelet/seccomp/app.json"`},
		},
		"image-arch": {
			{"RunContainerError", oci + `unable to start container process: exec /run: exec format error`},
			{"RunContainerError", `failed to start container "1a": Error response from daemon: OCI runtime create failed: container_linux.go:380: starting container process caused: exec format error: unknown`},
		},
		"dra-cdi-lost-after-reboot": {
			{"CreateContainerError", `failed to create containerd container: CDI device injection failed: unresolvable CDI devices k8s.gpu.example.com/gpu=1a`},
		},
		"config-runasnonroot": {
			{"CreateContainerConfigError", `container has runAsNonRoot and image will run as root (pod: "p_shop(1)", container: app)`},
			{"CreateContainerConfigError", `container has runAsNonRoot and image has non-numeric user (web), cannot verify user is non-root (pod: "p_shop(1)", container: app)`},
			{"CreateContainerConfigError", `container's runAsUser breaks non-root policy (pod: "p_shop(1)", container: app)`},
		},
		"config-missing-key": {
			{"CreateContainerConfigError", `couldn't find key port in ConfigMap shop/app`},
			{"CreateContainerConfigError", `couldn't find key token in Secret shop/app`},
		},
	} {
		for _, said := range says {
			s := newScene(t).node(time.Hour).waiting(said[0], said[1]).since(10 * time.Minute)
			if got := told(s.diagnose(), all); !slices.Equal(got, []string{slug}) {
				t.Errorf("%s: %s: is laid to %v, and is %s", said[0], said[1], got, slug)
			}
		}
	}
}

// TestSandboxesThatCannotBeMadeAreTold holds the sandbox's own errors against the causes.
func TestSandboxesThatCannotBeMadeAreTold(t *testing.T) {
	all := slugsOf(startup.All())
	for slug, says := range map[string][]string{
		"sandbox-image-unavailable": {
			`failed to get sandbox image "registry.example/pause:3.9": failed to pull image "registry.example/pause:3.9": dial tcp 10.0.0.9:443: i/o timeout`,
			`failed pulling sandbox image "registry.example/pause:3.1": Error response from daemon: Get https://registry.example/v2/: dial tcp: i/o timeout`,
			`unable to pull sandbox image "registry.example/pause:3.9": not found`,
			`error creating pod sandbox with name "k8s_p_shop_1_0": initializing source docker://registry.example/pause:3.9: pinging container registry registry.example: dial tcp 10.0.0.9:443: i/o timeout`,
			`failed pulling image "registry.example/pause:3.1": Error response from daemon: manifest unknown`,
		},
		"runtimeclass-handler-missing": {
			`failed to get sandbox runtime: no runtime for "kata" is configured`,
			`failed to find runtime handler kata from runtime list map[crun:0xc0]`,
			`RuntimeHandler "kata" not supported`,
			`failed to create containerd task: runtime "io.containerd.kata.v2" binary not installed "containerd-shim-kata-v2": file does not exist`,
			`RuntimeClass "kata" not found`,
		},
	} {
		for _, said := range says {
			s := newScene(t).node(time.Hour).waiting("ContainerCreating", "").since(10*time.Minute).event(time.Minute, "FailedCreatePodSandBox", "Failed to create pod sandbox: rpc error: code = Unknown desc = "+said)
			if got := told(s.diagnose(), all); !slices.Equal(got, []string{slug}) {
				t.Errorf("%s: is laid to %v, and is %s", said, got, slug)
			}
		}
	}
}

// TestOneNodeThatCannotPullIsToldFromARegistryThatDoesNotAnswer adds what another node said of the same registry.
func TestOneNodeThatCannotPullIsToldFromARegistryThatDoesNotAnswer(t *testing.T) {
	const said = `failed to do request: Head "https://registry.example/v2/app/manifests/1": dial tcp 10.0.0.9:443: i/o timeout`
	pulled := func(image string) *corev1.Event {
		return &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "pulled"}, InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: "shop", Name: "q"},
			Type: corev1.EventTypeNormal, Reason: "Pulled", Message: `Successfully pulled image "` + image + `" in 2s (2s including waiting)`, Count: 1,
			FirstTimestamp: ago(5 * time.Minute), LastTimestamp: ago(5 * time.Minute), Source: corev1.EventSource{Component: "kubelet", Host: "m"},
		}
	}
	for name, c := range map[string]struct {
		image string // that the other node pulled
		want  snapshot.Kind
	}{
		"the other node pulled from the same registry": {"registry.example/web:2", snapshot.Node},
		"the other node pulled from another registry":  {"other.example/web:2", "Registry"},
	} {
		s := newScene(t).node(time.Hour).waiting("ErrImagePull", said).since(10 * time.Minute)
		s.objects = append(s.objects, pulled(c.image))
		d := s.diagnose()
		i := slices.IndexFunc(d.Findings, func(f diagnose.Finding) bool { return f.Slug == "image-registry-unreachable" })
		if i < 0 {
			t.Fatalf("%s: no finding: %s", name, list(d.Findings))
		}
		if f := d.Findings[i]; f.Subject.Kind != c.want {
			t.Errorf("%s: the subject is %s: %s", name, f.Subject, f.Message)
		}
	}
}

// TestOldAndRareEventsAreTold holds what events alone say, of pods whose state says nothing, against the whole catalogue: the cause must be the first
// answer, or named by it, and where it is only named the answer must not be certain.
func TestOldAndRareEventsAreTold(t *testing.T) {
	const (
		pull    = `Error syncing pod, skipping: failed to "StartContainer" for "app" with ErrImagePull: `
		sandbox = `Failed create pod sandbox: rpc error: code = Unknown desc = failed to start sandbox container for pod "p": Error response from daemon: OCI runtime create failed: unable to retrieve OCI runtime error (open log.json: no such file or directory): `
	)
	for _, c := range []struct{ slug, state, reason, said string }{
		{"image-disk-full", "ErrImagePull", "FailedSync", pull + `"failed to register layer: Untar re-exec error: exit status 1: output: open /srv/x: no space left on device"`},
		{"image-not-found", "ErrImagePull", "FailedSync", pull + `"manifest for registry.example/app:1 not found: manifest unknown"`},
		{"image-x509", "ImagePullBackOff", "FailedSync", pull + `"Get https://registry.example/v2/: x509: certificate signed by unknown authority"`},
		{"image-store-broken", "ErrImagePull", "FailedPullImage", `Failed to pull image "registry.example/app:1": failed to pull and unpack image "registry.example/app:1": failed commit on ref "layer-sha256:1": "layer-sha256:1" failed size validation: 5 != 9: failed precondition`},
		{"image-arch", "CrashLoopBackOff", "Failed", `Error: failed to start container "app": Error response from daemon: exec /run: exec format error`},
		{"configmap-or-secret-missing", "CreateContainerConfigError", "Failed", `Error: secrets "app-env" not found`},
		{"configmap-or-secret-missing", "CreateContainerConfigError", "Failed", `Error: secret "app-env" not found`},
		{"configmap-or-secret-missing", "CreateContainerConfigError", "Failed", `Error: configmaps "app-env" not found`},
		{"config-missing-key", "CreateContainerConfigError", "Failed", `Error: couldn't find key port in ConfigMap shop/app`},
		{"seccomp-apparmor-profile-missing", "CreateContainerError", "Failed", `Error: applying apparmor profile to container 1a: empty localhost AppArmor profile is forbidden`},
		{"run-oci-error", "ContainerCreating", "FailedCreatePodSandBox", sandbox + `exec: "docker-runc": executable file not found in $PATH: unknown`},
		{"run-oci-error", "ContainerCreating", "FailedCreatePodSandBox", `Failed to create pod sandbox: rpc error: code = Unknown desc = failed to create containerd task: failed to create shim task: OCI runtime create failed: exec: "nvidia-container-runtime": executable file not found in $PATH: unknown`},
		{"run-oci-error", "ContainerCreating", "FailedCreatePodSandBox", sandbox + `exec: \"/usr/local/sbin/runc\": stat /usr/local/sbin/runc: no such file or directory: unknown`},
		{"containerd-name-reservation-leak", "ContainerCreating", "FailedCreatePodSandBox", `Failed create pod sandbox: rpc error: code = Unknown desc = failed to create a sandbox for pod "p": Error response from daemon: Conflict. The container name "/k8s_POD_p_shop_1_0" is already in use by container "4f2a". You have to remove (or rename) that container to be able to reuse that name.`},
		{"ccm-uninitialized-taint", "", "FailedScheduling", `0/3 nodes are available: 3 node(s) had untolerated taint {node.cloudprovider.kubernetes.io/uninitialized: true}. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.`},
		{"ccm-uninitialized-taint", "", "FailedScheduling", `0/3 nodes are available: 1 node(s) had taint {node-role.kubernetes.io/master: }, that the pod didn't tolerate, 2 node(s) had taint {node.cloudprovider.kubernetes.io/uninitialized: true}, that the pod didn't tolerate.`},
		{"node-lost", "", "FailedScheduling", `0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/unreachable: }. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.`},
		{"cni-not-initialized", "", "FailedScheduling", `0/2 nodes are available: 2 node(s) had taint {node.kubernetes.io/not-ready: }, that the pod didn't tolerate.`},
		{"pvc-unbound", "", "FailedScheduling", `running PreBind plugin "VolumeBinding": binding volumes: timed out waiting for the condition`},
	} {
		s := newScene(t)
		if c.state == "" {
			s.pod.Spec.NodeName = ""
			s.pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, LastTransitionTime: ago(20 * time.Minute)}}
		} else {
			s.node(time.Hour).waiting(c.state, "").since(10 * time.Minute)
		}
		s.event(time.Minute, c.reason, c.said)
		for _, k := range snapshot.Kinds() {
			if !slices.Contains([]snapshot.Kind{snapshot.Pod, snapshot.Node, snapshot.Lease, snapshot.Event}, k.Kind) {
				s.unread = append(s.unread, k.Kind)
			}
		}
		d := s.partly().diagnose()
		if len(d.Findings) == 0 {
			t.Errorf("nothing is made of %s: %s", c.reason, c.said)
			continue
		}
		first := d.Findings[0]
		if first.Slug != c.slug && (first.Confidence == diagnose.Certain || !slices.Contains(first.Alternatives, c.slug)) {
			t.Errorf("%s: %s: leads to %s, %v, and is %s", c.reason, c.said, list2(d.Findings), first.Alternatives, c.slug)
		}
	}
}
